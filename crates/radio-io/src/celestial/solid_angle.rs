//! Area of a polygon on the sphere.

use super::{Direction, cross, direction, dot};

/// Solid angle in steradians of a polygon of (longitude, latitude) corners in degrees, sides being great circles. It is positive
/// whichever way the corners run; a polygon larger than a hemisphere, or one that crosses itself, gives no meaningful answer.
pub fn polygon_sr(corners: &[(f64, f64)]) -> f64 {
    let directions: Vec<Direction> = corners.iter().map(|&(lon, lat)| direction(lon, lat)).collect();
    signed_sr(&directions).abs()
}

/// As [`polygon_sr`], of directions; positive if the corners run counter-clockwise as seen from outside the sphere.
pub(crate) fn signed_sr(corners: &[Direction]) -> f64 {
    let Some((&first, rest)) = corners.split_first() else { return 0.0 };
    rest.windows(2).map(|pair| triangle_sr(first, pair[0], pair[1])).sum()
}

/// Van Oosterom & Strackee 1983 (IEEE Trans. Biomed. Eng. 30, 125). The triple product is taken of differences: of the corners
/// themselves it would leave nothing of a pixel of one arc second.
fn triangle_sr(a: Direction, b: Direction, c: Direction) -> f64 {
    let (ab, ac) = (std::array::from_fn(|k| b[k] - a[k]), std::array::from_fn(|k| c[k] - a[k]));
    let volume = dot(a, cross(ab, ac));
    2.0 * volume.atan2(1.0 + dot(a, b) + dot(b, c) + dot(c, a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    #[test]
    fn areas_known_on_paper() {
        let octant = [(0.0, 0.0), (90.0, 0.0), (0.0, 90.0)];
        assert!((polygon_sr(&octant) - PI / 2.0).abs() < 1e-14);
        let mut reversed = octant;
        reversed.reverse();
        assert!((polygon_sr(&reversed) - PI / 2.0).abs() < 1e-14);
        // A square of 1" about any point is 1 arcsec² to its own relative size squared.
        let side = (1.0 / 3600.0_f64).to_radians();
        for (lon, lat) in [(0.0, 0.0), (359.999_95, 0.0), (123.0, -80.0)] {
            let corner = |x: f64, y: f64| {
                let north = super::super::offset::offset((lon, lat), y, 0.0);
                super::super::offset::offset(north, x, 90.0)
            };
            let square = [corner(-0.5, -0.5), corner(0.5, -0.5), corner(0.5, 0.5), corner(-0.5, 0.5)];
            let area = polygon_sr(&square);
            assert!((area / (side * side) - 1.0).abs() < 1e-8, "{lon} {lat}: {area:e}");
        }
        assert_eq!(polygon_sr(&[]), 0.0);
        assert_eq!(polygon_sr(&[(1.0, 2.0), (3.0, 4.0)]), 0.0);
        // An L: not convex, three quarters of the 0.2 degree square.
        let l = [(0.0, 0.0), (0.2, 0.0), (0.2, 0.1), (0.1, 0.1), (0.1, 0.2), (0.0, 0.2)];
        let expected = 0.03 * (PI / 180.0).powi(2);
        assert!((polygon_sr(&l) / expected - 1.0).abs() < 1e-5);
    }
}
