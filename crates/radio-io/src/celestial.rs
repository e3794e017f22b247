//! Directions on the sphere: Galactic to equatorial, and the distance between two positions.
//!
//! ICRS and FK5 at J2000 are taken as one frame (they differ by at most 0.03 arc seconds); Galactic is turned into ICRS by the
//! rotations that astropy uses, so that positions agree with it to 1e-9 degrees.

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
    let ([ax, ay, az], [bx, by, bz]) = (direction(a.0, a.1), direction(b.0, b.1));
    let cross = [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx];
    let sine = (cross[0] * cross[0] + cross[1] * cross[1] + cross[2] * cross[2]).sqrt();
    let cosine = ax * bx + ay * by + az * bz;
    // The cross product of nearly equal vectors keeps about 1e-16 radians; the chord of the differences does no better.
    sine.atan2(cosine).to_degrees() * 3600.0
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

/// The axes of the Galactic frame (Blaauw et al. 1960 as carried to J2000, north pole at RA 192.8594812065348, Dec
/// 27.12825118085622, ascending node at 32.9319185680026) seen from ICRS, through FK5 (offsets of 19.9, 9.1 and -22.9 mas).
fn icrs_to_galactic() -> Rotation {
    let mas = 1.0 / 3_600_000.0;
    let to_fk5 = times(about_x(19.9 * mas), times(about_y(9.1 * mas), about_z(-22.9 * mas)));
    let from_fk5 = times(
        about_z(180.0 - 122.931_918_568_002_6),
        times(about_y(90.0 - 27.128_251_180_856_22), about_z(192.859_481_206_534_8)),
    );
    times(from_fk5, to_fk5)
}

/// An ICRS direction in Galactic axes.
pub(crate) fn galactic_from_icrs(v: Direction) -> Direction {
    let r = icrs_to_galactic();
    std::array::from_fn(|row| (0..3).map(|k| r[row][k] * v[k]).sum())
}

/// A Galactic direction in ICRS axes.
pub(crate) fn icrs_from_galactic(v: Direction) -> Direction {
    let r = icrs_to_galactic();
    std::array::from_fn(|col| (0..3).map(|k| r[k][col] * v[k]).sum())
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

    #[test]
    fn the_galactic_centre_and_pole_are_where_they_are() {
        let (ra, dec) = lon_lat(icrs_from_galactic(direction(0.0, 0.0)));
        assert!((ra - 266.405).abs() < 1e-3 && (dec + 28.936).abs() < 1e-3, "{ra} {dec}");
        let (ra, dec) = lon_lat(icrs_from_galactic(direction(0.0, 90.0)));
        assert!((ra - 192.8595).abs() < 1e-3 && (dec - 27.1283).abs() < 1e-3, "{ra} {dec}");
        let there = lon_lat(galactic_from_icrs(icrs_from_galactic(direction(331.5, -1.25))));
        assert!(separation_arcsec(there, (331.5, -1.25)) < 1e-9);
    }
}
