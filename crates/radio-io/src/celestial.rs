//! Positions on the celestial sphere: frames, angles as text, distances and offsets, areas, neighbours.
//!
//! A position is a (longitude, latitude) pair in degrees; inside this folder it is a unit vector, where no formula has poles or a
//! longitude that wraps. [`frame`] turns one frame into another, [`sexagesimal`] reads and writes angles, [`offset`] walks a distance
//! along a position angle, [`solid_angle`] measures polygons, [`neighbours`] matches lists, and `coverage` (feature `moc`) writes
//! footprints.

#[cfg(feature = "moc")]
pub mod coverage;
pub mod frame;
pub mod neighbours;
pub mod offset;
pub mod sexagesimal;
pub mod solid_angle;

/// A unit vector.
pub(crate) type Direction = [f64; 3];

/// From longitude and latitude, degrees.
pub(crate) fn direction(lon_deg: f64, lat_deg: f64) -> Direction {
    let (sin_lon, cos_lon) = lon_deg.to_radians().sin_cos();
    let (sin_lat, cos_lat) = lat_deg.to_radians().sin_cos();
    [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]
}

/// Longitude in [0, 360) and latitude, degrees.
pub(crate) fn lon_lat([x, y, z]: Direction) -> (f64, f64) {
    let lon = y.atan2(x).to_degrees().rem_euclid(360.0);
    // A longitude a hair below 0 rounds up to 360.
    (if lon >= 360.0 { 0.0 } else { lon }, z.atan2(x.hypot(y)).to_degrees())
}

/// Great-circle distance between two (longitude, latitude) positions in degrees; arc seconds. Exact for tiny and for
/// opposite pairs alike (Vincenty's formula for the sphere).
pub fn separation_arcsec(a: (f64, f64), b: (f64, f64)) -> f64 {
    // The cross product of nearly equal vectors keeps about 1e-16 radians; the chord of the differences does no better.
    angle_between(direction(a.0, a.1), direction(b.0, b.1)).to_degrees() * 3600.0
}

/// Angle between two directions, radians.
pub(crate) fn angle_between(a: Direction, b: Direction) -> f64 {
    let across = cross(a, b);
    dot(across, across).sqrt().atan2(dot(a, b))
}

/// A rotation matrix, by rows.
pub(crate) type Rotation = [[f64; 3]; 3];

fn about_x(degrees: f64) -> Rotation {
    let (s, c) = degrees.to_radians().sin_cos();
    [[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]]
}

fn about_y(degrees: f64) -> Rotation {
    let (s, c) = degrees.to_radians().sin_cos();
    [[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]]
}

fn about_z(degrees: f64) -> Rotation {
    let (s, c) = degrees.to_radians().sin_cos();
    [[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]
}

fn times(a: Rotation, b: Rotation) -> Rotation {
    std::array::from_fn(|row| std::array::from_fn(|col| (0..3).map(|k| a[row][k] * b[k][col]).sum()))
}

/// A vector seen from turned axes.
pub(crate) fn turned(r: &Rotation, v: Direction) -> Direction {
    std::array::from_fn(|row| (0..3).map(|k| r[row][k] * v[k]).sum())
}

/// `v` times a number added to `u`.
fn plus(u: Direction, factor: f64, v: Direction) -> Direction {
    std::array::from_fn(|k| u[k] + factor * v[k])
}

pub(crate) fn dot(u: Direction, v: Direction) -> f64 {
    (0..3).map(|k| u[k] * v[k]).sum()
}

pub(crate) fn cross(u: Direction, v: Direction) -> Direction {
    [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
}

pub(crate) fn unit(v: Direction) -> Direction {
    let length = dot(v, v).sqrt();
    v.map(|part| part / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separations_known_on_paper() {
        assert!((separation_arcsec((0.0, 0.0), (90.0, 0.0)) - 90.0 * 3600.0).abs() < 1e-8);
        assert!((separation_arcsec((10.0, 60.0), (10.0, 61.0)) - 3600.0).abs() < 1e-8);
        // At declination 60 a step in right ascension is half as long.
        assert!((separation_arcsec((10.0, 60.0), (10.0 + 1.0 / 3600.0, 60.0)) - 0.5).abs() < 1e-8);
        assert!((separation_arcsec((359.9999, 0.0), (0.0001, 0.0)) - 0.72).abs() < 1e-8);
        assert!((separation_arcsec((0.0, 90.0), (123.0, -90.0)) - 180.0 * 3600.0).abs() < 1e-6);
        assert_eq!(separation_arcsec((83.6, 22.0), (83.6, 22.0)), 0.0);
    }
}
