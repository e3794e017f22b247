//! Flat map to sphere and back about a reference point: SIN, slanted SIN, NCP, TAN and AIT computed here, the rest by the `wcs` crate.
//!
//! Radio interferometers make SIN maps, east-west arrays NCP maps; the `wcs` crate takes both NCP and a slanted SIN for the
//! plain SIN, which is wrong by minutes of arc, so those are ours. Everything is done on unit vectors: no formula here loses
//! digits near a pole or near the reference point.
//!
//! Source: Calabretta & Greisen 2002 (A&A 395, 1077), sections 2.2 to 2.4, 5.1.3, 5.1.5 and 6.1.1.

use std::{fmt, sync::Arc};

use wcs::{ImgXY, LonLat, WCS, WCSParams};

use crate::celestial::{Direction, Rotation, direction, lon_lat};

/// A map projection with its reference point.
#[derive(Debug, Clone)]
pub(crate) struct Projection {
    kind: Kind,
    /// Position of the reference point, degrees.
    pub reference: (f64, f64),
    /// LONPOLE, degrees.
    pub lonpole_deg: f64,
    /// LATPOLE, degrees; it decides only where LONPOLE leaves two solutions.
    pub latpole_deg: f64,
    /// Turns native directions (the axes of the projection) into those of the sky.
    rotation: Rotation,
}

#[derive(Clone)]
enum Kind {
    /// Gnomonic.
    Tan,
    /// Orthographic, slanted by (xi, eta) = (PV2_1, PV2_2); (0, cot CRVAL2) is NCP.
    Sin { xi: f64, eta: f64 },
    /// Hammer-Aitoff; the crate's loses half its digits near the reference point.
    Ait,
    /// The crate's, in native coordinates.
    Other(Arc<WCS>),
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tan => write!(f, "TAN"),
            Self::Ait => write!(f, "AIT"),
            Self::Sin { xi, eta } => write!(f, "SIN({xi}, {eta})"),
            Self::Other(wcs) => write!(f, "{wcs:?}"),
        }
    }
}

/// Projections onto a plane that touches the native pole.
const ZENITHAL: [&str; 6] = ["TAN", "SIN", "NCP", "ZEA", "ARC", "STG"];

/// Projections about the native equator. The crate knows more of both kinds, and conic ones; each that is let through here is
/// checked against its formula below, as not all of the crate's are right (its PAR is off by a factor of three).
const EQUATORIAL: [&str; 5] = ["CAR", "CEA", "MER", "SFL", "AIT"];

impl Projection {
    /// The projection `code` (`SIN`, `TAN`, `NCP`, …). `lonpole_deg`, `latpole_deg` and the parameters `pv` of the latitude
    /// axis, as (m, PVi_m), may be missing from a header.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn new(
        code: &str,
        reference: (f64, f64),
        lonpole_deg: Option<f64>,
        latpole_deg: Option<f64>,
        pv: &[(u32, f64)],
    ) -> Result<Self, String> {
        let native_latitude = match code {
            _ if ZENITHAL.contains(&code) => 90.0,
            _ if EQUATORIAL.contains(&code) => 0.0,
            _ => {
                return Err(format!(
                    "projection {code} is not supported, only {}, {}",
                    ZENITHAL.join(", "),
                    EQUATORIAL.join(", ")
                ));
            }
        };
        let parameter = |m: u32| pv.iter().find(|(index, _)| *index == m).map_or(0.0, |(_, value)| *value);
        let kind = match code {
            "TAN" => Kind::Tan,
            "AIT" => Kind::Ait,
            "SIN" => Kind::Sin { xi: parameter(1), eta: parameter(2) },
            "NCP" if reference.1 == 0.0 => return Err("an NCP map has no reference point on the equator".to_owned()),
            "NCP" => Kind::Sin { xi: 0.0, eta: 1.0 / reference.1.to_radians().tan() },
            _ => Kind::Other(Arc::new(native_map(code, native_latitude, pv)?)),
        };
        let lonpole_deg = lonpole_deg.unwrap_or(if reference.1 >= native_latitude { 0.0 } else { 180.0 });
        let latpole_deg = latpole_deg.unwrap_or(90.0);
        let pole = celestial_pole(reference, native_latitude, lonpole_deg, latpole_deg)?;
        Ok(Self { kind, reference, lonpole_deg, latpole_deg, rotation: rotation(pole, lonpole_deg) })
    }

    /// Direction on the sky of a point of the flat map (degrees from the reference point); `None` off the map.
    pub fn sky(&self, x_deg: f64, y_deg: f64) -> Option<Direction> {
        let (x, y) = (x_deg.to_radians(), y_deg.to_radians());
        let native = match &self.kind {
            Kind::Tan => {
                let depth = 1.0 / (1.0 + x * x + y * y).sqrt();
                [-y * depth, x * depth, depth]
            }
            &Kind::Sin { xi, eta } => {
                let depth = slanted_depth(x, y, xi, eta)?;
                [eta * (1.0 - depth) - y, x - xi * (1.0 - depth), depth]
            }
            Kind::Ait => {
                let z_squared = 1.0 - (x / 4.0).powi(2) - (y / 2.0).powi(2);
                if z_squared < 0.5 {
                    return None;
                }
                let z = z_squared.sqrt();
                let lon = 2.0 * (z * x / 2.0).atan2(2.0 * z_squared - 1.0);
                direction(lon.to_degrees(), (y * z).clamp(-1.0, 1.0).asin().to_degrees())
            }
            Kind::Other(wcs) => {
                let there = wcs.unproj(&ImgXY::new(x_deg, y_deg))?;
                direction(there.lon().to_degrees(), there.lat().to_degrees())
            }
        };
        Some(std::array::from_fn(|row| (0..3).map(|k| self.rotation[row][k] * native[k]).sum()))
    }

    /// Point of the flat map (degrees from the reference point) of a direction on the sky; `None` if the map does not show it.
    pub fn flat(&self, sky: Direction) -> Option<(f64, f64)> {
        let native: Direction = std::array::from_fn(|col| (0..3).map(|k| self.rotation[k][col] * sky[k]).sum());
        // East, north and depth of the direction as seen from the reference point of a zenithal map.
        let (l, m, n) = (native[1], -native[0], native[2]);
        let (x, y) = match &self.kind {
            Kind::Tan => (n > 0.0).then(|| (l / n, m / n))?,
            // The line of sight of a slanted map leans by (xi, eta): the far side of the sphere is hidden.
            &Kind::Sin { xi, eta } => {
                (n + xi * l + eta * m >= 0.0).then_some((l + xi * (1.0 - n), m + eta * (1.0 - n)))?
            }
            Kind::Ait => {
                let ((sin_half, cos_half), cos_lat) =
                    ((native[1].atan2(native[0]) / 2.0).sin_cos(), native[0].hypot(native[1]));
                let gamma = (2.0 / (1.0 + cos_lat * cos_half)).sqrt();
                (2.0 * gamma * cos_lat * sin_half, gamma * native[2])
            }
            Kind::Other(wcs) => {
                let (lon, lat) = lon_lat(native);
                let there = wcs.proj(&LonLat::new(lon.to_radians(), lat.to_radians()))?;
                return Some((there.x(), there.y()));
            }
        };
        Some((x.to_degrees(), y.to_degrees()))
    }
}

/// Where the pole of the native axes lies on the sky (Calabretta & Greisen 2002, eqs. 8 to 10, native longitude 0 of the
/// reference point).
fn celestial_pole(
    reference: (f64, f64),
    native_latitude: f64,
    lonpole: f64,
    latpole: f64,
) -> Result<(f64, f64), String> {
    if native_latitude == 90.0 {
        return Ok(reference);
    }
    // The reference point is on the native equator from here on.
    let (sin_lon, cos_lon) = lonpole.to_radians().sin_cos();
    let (sin_lat, cos_lat) = reference.1.to_radians().sin_cos();
    let latitude = if sin_lon.abs() == 1.0 {
        if reference.1 != 0.0 {
            return Err("LONPOLE of 90 degrees leaves no pole for this reference point".to_owned());
        }
        latpole
    } else {
        let middle = if cos_lon >= 0.0 { 0.0 } else { 180.0 };
        let ratio = sin_lat / cos_lon.abs();
        if ratio.abs() > 1.0 + 1e-12 {
            return Err("LONPOLE and CRVAL leave no place for the native pole".to_owned());
        }
        let half = ratio.clamp(-1.0, 1.0).acos().to_degrees();
        let candidates =
            [middle - half, middle + half].map(|latitude| if latitude > 180.0 { latitude - 360.0 } else { latitude });
        let possible = candidates.into_iter().filter(|latitude| latitude.abs() <= 90.0 + 1e-10);
        let nearest = possible.min_by(|a, b| (a - latpole).abs().total_cmp(&(b - latpole).abs()));
        nearest.ok_or("LONPOLE and CRVAL leave no place for the native pole")?.clamp(-90.0, 90.0)
    };
    let longitude = if reference.1.abs() == 90.0 {
        reference.0
    } else if latitude == 90.0 {
        reference.0 + lonpole - 180.0
    } else if latitude == -90.0 {
        reference.0 - lonpole
    } else {
        let (sin_pole, cos_pole) = latitude.to_radians().sin_cos();
        let turn = (sin_lon / cos_lat).atan2(-sin_pole * sin_lat / (cos_pole * cos_lat));
        reference.0 - turn.to_degrees()
    };
    Ok((longitude, latitude))
}

/// From native axes to those of the sky (same source, eq. 2 as a matrix).
fn rotation(pole: (f64, f64), lonpole: f64) -> Rotation {
    let (sa, ca) = pole.0.to_radians().sin_cos();
    let (sd, cd) = pole.1.to_radians().sin_cos();
    let (sp, cp) = lonpole.to_radians().sin_cos();
    [
        [-sa * sp - ca * cp * sd, sa * cp - ca * sp * sd, ca * cd],
        [ca * sp - sa * cp * sd, -ca * cp - sa * sp * sd, sa * cd],
        [cp * cd, sp * cd, sd],
    ]
}

/// Third direction cosine of a point of a slanted orthographic map: the nearer root of
/// (1 + ξ² + η²) n² + 2 (ξ(x−ξ) + η(y−η)) n + (x−ξ)² + (y−η)² − 1 = 0.
fn slanted_depth(x: f64, y: f64, xi: f64, eta: f64) -> Option<f64> {
    let (dx, dy) = (x - xi, y - eta);
    let a = 1.0 + xi * xi + eta * eta;
    let half_b = xi * dx + eta * dy;
    let c = dx * dx + dy * dy - 1.0;
    let discriminant = half_b * half_b - a * c;
    (discriminant >= 0.0).then(|| (discriminant.sqrt() - half_b) / a)
}

/// The crate's projection in its own axes: with the reference point at longitude 0 of the native pole or equator, its
/// "sky" is the native sphere. Its rotation to the real sky is not used, as that is wrong for some positions of the pole
/// (an Aitoff map about the south pole comes out by 48 degrees off).
fn native_map(code: &str, native_latitude: f64, pv: &[(u32, f64)]) -> Result<WCS, String> {
    let mut card = toml::Table::new();
    card.insert("CTYPE1".to_owned(), format!("RA---{code}").into());
    card.insert("CTYPE2".to_owned(), format!("DEC--{code}").into());
    for (keyword, value) in [("NAXIS", 2_i64), ("NAXIS1", 1), ("NAXIS2", 1)] {
        card.insert(keyword.to_owned(), value.into());
    }
    let lonpole = if native_latitude == 90.0 { 180.0 } else { 0.0 };
    let geometry = [("CRPIX1", 0.0), ("CRPIX2", 0.0), ("CDELT1", 1.0), ("CDELT2", 1.0)];
    let place = [("CRVAL1", 0.0), ("CRVAL2", native_latitude), ("LONPOLE", lonpole)];
    for (keyword, value) in geometry.into_iter().chain(place) {
        card.insert(keyword.to_owned(), value.into());
    }
    for (m, value) in pv {
        card.insert(format!("PV2_{m}"), (*value).into());
    }
    let params: WCSParams = card.try_into().map_err(|refused| format!("not understood: {refused}"))?;
    WCS::new(&params).map_err(|refused| format!("not understood: {refused}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celestial::separation_arcsec;

    fn there_and_back(projection: &Projection, x: f64, y: f64) {
        let sky = projection.sky(x, y).expect("on the map");
        let (x2, y2) = projection.flat(sky).expect("visible");
        assert!((x - x2).abs() < 1e-11 && (y - y2).abs() < 1e-11, "{projection:?}: {x} {y} -> {x2} {y2}");
    }

    #[test]
    fn east_is_left_of_a_negative_step_and_north_is_up() {
        for code in ZENITHAL.into_iter().chain(EQUATORIAL) {
            let projection = Projection::new(code, (100.0, -40.0), None, None, &[]).expect("known");
            let (ra, dec) = lon_lat(projection.sky(0.1, 0.0).expect("on the map"));
            assert!(ra > 100.13 - 0.001 && ra < 100.13 + 0.001, "{code}: x is east, {ra}");
            let (_, dec_north) = lon_lat(projection.sky(0.0, 0.1).expect("on the map"));
            assert!((dec_north + 39.9).abs() < 1e-3 && (dec + 40.0).abs() < 1e-3, "{code}: y is north, {dec_north}");
        }
    }

    #[test]
    fn every_projection_inverts_itself() {
        let slant = [(1, 0.03), (2, -0.8)];
        for (code, pv) in
            [("SIN", &[][..]), ("SIN", &slant[..]), ("TAN", &[]), ("NCP", &[]), ("ZEA", &[]), ("STG", &[])]
        {
            for lonpole in [None, Some(150.0), Some(0.0)] {
                let projection = Projection::new(code, (350.0, 62.5), lonpole, None, pv).expect("known");
                for (x, y) in [(0.0, 0.0), (3.0, -2.0), (-4.5, 1.25)] {
                    there_and_back(&projection, x, y);
                }
            }
        }
    }

    /// Distance from the centre of a zenithal map at 30 degrees from the reference point, radians.
    #[test]
    fn radii_follow_their_formulas() {
        let angle = 30.0_f64.to_radians();
        let radii = [
            ("SIN", 0.5),
            ("TAN", 1.0 / 3.0_f64.sqrt()),
            ("ARC", angle),
            ("STG", 2.0 * (angle / 2.0).tan()),
            ("ZEA", 2.0 * (angle / 2.0).sin()),
        ];
        for (code, expected) in radii {
            let projection = Projection::new(code, (0.0, 0.0), None, None, &[]).expect("known");
            let (x, y) = projection.flat(direction(30.0, 0.0)).expect("visible");
            assert!((x.to_radians() - expected).abs() < 1e-14 && y.abs() < 1e-12, "{code}: {x} {y}");
        }
    }

    /// Maps about the equator, at longitude 30 and latitude 20, radians (Calabretta & Greisen 2002, section 5.2 and 5.3).
    #[test]
    fn maps_about_the_equator_follow_their_formulas() {
        let (lon, lat) = (30.0_f64.to_radians(), 20.0_f64.to_radians());
        let gamma = (2.0 / (1.0 + lat.cos() * (lon / 2.0).cos())).sqrt();
        let points = [
            ("CAR", lon, lat),
            ("CEA", lon, lat.sin()),
            ("MER", lon, (std::f64::consts::FRAC_PI_4 + lat / 2.0).tan().ln()),
            ("SFL", lon * lat.cos(), lat),
            ("AIT", 2.0 * gamma * lat.cos() * (lon / 2.0).sin(), gamma * lat.sin()),
        ];
        for (code, x, y) in points {
            let projection = Projection::new(code, (100.0, 0.0), None, None, &[]).expect("known");
            let got = projection.flat(direction(130.0, 20.0)).expect("visible");
            assert!(
                (got.0.to_radians() - x).abs() < 1e-13 && (got.1.to_radians() - y).abs() < 1e-13,
                "{code}: {got:?}"
            );
            there_and_back(&projection, 12.0, -7.0);
        }
    }

    #[test]
    fn the_far_side_is_not_on_the_map() {
        for code in ["SIN", "TAN", "NCP"] {
            let projection = Projection::new(code, (10.0, 50.0), None, None, &[]).expect("known");
            assert!(projection.flat(direction(190.0, -50.0)).is_none(), "{code}");
        }
        let sin = Projection::new("SIN", (10.0, 50.0), None, None, &[]).expect("known");
        assert!(sin.sky(80.0, 0.0).is_none(), "1.4 radians is beyond the limb");
        assert!(Projection::new("NCP", (10.0, 0.0), None, None, &[]).is_err());
        for code in ["XYZ", "PAR", "COE", "HPX"] {
            let refused = Projection::new(code, (10.0, 0.0), None, None, &[]).expect_err("not supported");
            assert!(refused.contains(code) && refused.contains("SIN"), "{refused}");
        }
    }

    /// The closed form of NCP (AIPS memo 27): RA - RA0 = atan(x / (cos d0 - y sin d0)), cos Dec = (cos d0 - y sin d0) / cos(RA - RA0).
    #[test]
    fn ncp_has_a_closed_form() {
        let reference = (255.4, -41.8_f64);
        let projection = Projection::new("NCP", reference, None, None, &[]).expect("known");
        let (x, y) = (1.3_f64, -0.9_f64);
        let (sin_d0, cos_d0) = reference.1.to_radians().sin_cos();
        let depth = cos_d0 - y.to_radians() * sin_d0;
        let dra = (x.to_radians() / depth).atan();
        let expected = (reference.0 + dra.to_degrees(), -(depth / dra.cos()).acos().to_degrees());
        let got = lon_lat(projection.sky(x, y).expect("on the map"));
        assert!(separation_arcsec(got, expected) < 1e-8, "{got:?} {expected:?}");
    }
}
