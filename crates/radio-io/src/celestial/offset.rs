//! Position angles, and the position at a distance and angle from another.
//!
//! A position angle is counted in degrees from north through east, at the first of the two positions.

use super::{Direction, cross, direction, dot, lon_lat};

/// East and north at a position: unit vectors along growing longitude and latitude. At a pole, east follows from the longitude
/// given.
pub(crate) fn east_north(lon_deg: f64, lat_deg: f64) -> (Direction, Direction) {
    let (sin_lon, cos_lon) = lon_deg.to_radians().sin_cos();
    let east = [-sin_lon, cos_lon, 0.0];
    (east, cross(direction(lon_deg, lat_deg), east))
}

/// Position angle of `to` as seen from `from`, (longitude, latitude) in degrees; in [0, 360), and 0 for equal positions.
pub fn position_angle_deg(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (east, north) = east_north(from.0, from.1);
    let there = direction(to.0, to.1);
    let angle = dot(there, east).atan2(dot(there, north)).to_degrees().rem_euclid(360.0);
    if angle >= 360.0 || from == to { 0.0 } else { angle }
}

/// The (longitude, latitude) at a distance along a position angle, degrees.
pub fn offset(from: (f64, f64), separation_arcsec: f64, position_angle_deg: f64) -> (f64, f64) {
    let (east, north) = east_north(from.0, from.1);
    let (sin_pa, cos_pa) = position_angle_deg.to_radians().sin_cos();
    let (sin_far, cos_far) = (separation_arcsec / 3600.0).to_radians().sin_cos();
    let here = direction(from.0, from.1);
    lon_lat(std::array::from_fn(|k| here[k] * cos_far + (east[k] * sin_pa + north[k] * cos_pa) * sin_far))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celestial::separation_arcsec;
    use proptest::prelude::*;

    /// Made with astropy 8.0.2: `SkyCoord.directional_offset_by` and `position_angle`.
    #[test]
    fn offsets_agree_with_astropy() {
        for (from, angle, arcsec, to) in [
            ((10.0, -43.0), 30.0, 3600.0, (10.674_197_843_355_417, -42.131_979_174_171)),
            ((359.99, 89.9), 120.0, 1800.0, (51.041_962_132_803_73, 89.443_223_734_690_32)),
            ((180.0, 0.0), 270.0, 324_000.0, (90.0, 0.0)),
        ] {
            let got = offset(from, arcsec, angle);
            assert!(separation_arcsec(got, to) < 1e-6, "{from:?}: {got:?}, astropy {to:?}");
            assert!((position_angle_deg(from, to) - angle).abs() < 1e-9);
        }
    }

    #[test]
    fn angles_known_on_paper() {
        assert!((position_angle_deg((10.0, 20.0), (10.0, 21.0))).abs() < 1e-12);
        assert!((position_angle_deg((0.0, 0.0), (1.0, 0.0)) - 90.0).abs() < 1e-12, "east is 90 degrees");
        assert!((position_angle_deg((359.9, 0.0), (0.1, 0.0)) - 90.0).abs() < 1e-12, "across longitude 0 too");
        assert!((position_angle_deg((50.0, -90.0), (50.0, 0.0))).abs() < 1e-9, "all is north of the south pole");
        assert_eq!(position_angle_deg((5.0, 6.0), (5.0, 6.0)), 0.0);
    }

    proptest! {
        #[test]
        fn an_offset_is_found_again(lon in 0.0..360.0, lat in -89.99..89.99, arcsec in 0.01..600_000.0, angle in 0.0..360.0) {
            let there = offset((lon, lat), arcsec, angle);
            prop_assert!((separation_arcsec((lon, lat), there) - arcsec).abs() < 1e-8);
            let turned = (position_angle_deg((lon, lat), there) - angle + 180.0).rem_euclid(360.0) - 180.0;
            // The far end keeps about 1e-10 arc seconds.
            prop_assert!(turned.abs() < 1e-7 / arcsec.min(1.0), "{turned}");
        }
    }
}
