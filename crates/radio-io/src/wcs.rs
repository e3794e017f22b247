//! Where a pixel lies on the sky: world coordinates of an image.
//!
//! The keywords come from the header, geometry from the (private) file projection.rs, frames from [`crate::celestial`]. Positions are
//! equatorial, J2000 (ICRS and FK5 taken as one), in degrees. What cannot be computed truly is refused with a reason: 1950
//! coordinates would be wrong by half a degree.
//!
//! FITS counts pixels from 1 and puts x first. Those two conventions live in this file and nowhere else: the outside sees
//! `(row, col)` from 0.

use std::path::Path;

use crate::{
    card::Card,
    celestial::{direction, galactic_from_icrs, icrs_from_galactic, lon_lat},
    error::FitsError,
    header::Header,
    projection::Projection,
};

/// The axes of the header's own coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Right ascension and declination, ICRS or FK5 at J2000.
    Equatorial,
    /// Galactic longitude and latitude.
    Galactic,
}

/// The relation between pixels and sky of one image.
#[derive(Debug, Clone)]
pub struct Wcs {
    frame: Frame,
    /// Three letters, as in CTYPE.
    code: String,
    projection: Projection,
    pv: Vec<(u32, f64)>,
    /// CRPIX of columns and rows, FITS counting.
    reference_pixel: (f64, f64),
    /// Degrees of (longitude, latitude) side per (column, row) step.
    matrix: [[f64; 2]; 2],
}

impl Wcs {
    /// Reads the keywords; `image_axes` are the header's axes (from 0) that count columns and rows. `None` if the header
    /// describes no sky (no CTYPE, or one that names no longitude and latitude).
    ///
    /// # Errors
    /// [`FitsError::Wcs`] for coordinates that cannot be computed truly: 1950, apparent places, ecliptic axes, unknown
    /// projections, units other than degrees, a missing or singular scale.
    pub fn from_header(header: &Header, image_axes: (usize, usize), path: &Path) -> Result<Option<Self>, FitsError> {
        let keywords = Keywords { header, image_axes, path };
        let Some(axes) = keywords.sky_axes()? else { return Ok(None) };
        keywords.check_frame(&axes)?;
        let matrix = keywords.matrix(&axes)?;
        let (lon, lat) = (axes.lon, axes.lat);
        let reference = (keywords.number("CRVAL", lon)?, keywords.number("CRVAL", lat)?);
        if reference.1.abs() > 90.0 || reference.0.abs() > 720.0 {
            return Err(keywords.refuse(&format!("CRVAL{lat}"), "not a position on the sky"));
        }
        let pv: Vec<(u32, f64)> =
            (0..=20).filter_map(|m| header.float(&format!("PV{lat}_{m}")).map(|value| (m, value))).collect();
        for m in [1, 2] {
            let keyword = format!("PV{lon}_{m}");
            if header.float(&keyword).is_some_and(|value| value != 0.0) {
                return Err(keywords.refuse(&keyword, "a moved native reference point is not supported"));
            }
        }
        let lonpole = header.float("LONPOLE").or_else(|| header.float(&format!("PV{lon}_3")));
        let latpole = header.float("LATPOLE").or_else(|| header.float(&format!("PV{lon}_4")));
        let reference = (reference.0.rem_euclid(360.0), reference.1);
        let projection = Projection::new(&axes.code, reference, lonpole, latpole, &pv)
            .map_err(|reason| keywords.refuse(&format!("CTYPE{lon}"), &reason))?;
        let reference_pixel =
            (keywords.number("CRPIX", image_axes.0 + 1)?, keywords.number("CRPIX", image_axes.1 + 1)?);
        Ok(Some(Self { frame: axes.frame, code: axes.code, projection, pv, reference_pixel, matrix }))
    }

    /// A map in equatorial coordinates with square pixels, north up and east to the left: what a simulator writes.
    /// `code` is `SIN` or `TAN`; the position (`ra_deg`, `dec_deg`) falls on (`row`, `col`), which may lie between pixels.
    ///
    /// # Errors
    /// [`FitsError::Wcs`] if `code` is unknown or the numbers describe no map.
    pub fn north_up(
        code: &str,
        (ra_deg, dec_deg): (f64, f64),
        (row, col): (f64, f64),
        pixel_arcsec: f64,
    ) -> Result<Self, FitsError> {
        let mut cards =
            vec![Card::new("CTYPE1", format!("RA---{code}"), ""), Card::new("CTYPE2", format!("DEC--{code}"), "")];
        let numbers = [
            ("CRPIX1", col + 1.0),
            ("CRPIX2", row + 1.0),
            ("CRVAL1", ra_deg),
            ("CRVAL2", dec_deg),
            ("CDELT1", -pixel_arcsec / 3600.0),
            ("CDELT2", pixel_arcsec / 3600.0),
        ];
        cards.extend(numbers.map(|(keyword, value)| Card::new(keyword, value, "")));
        let path = Path::new("(header in memory)");
        let wcs = Self::from_header(&Header::from_cards(&cards), (0, 1), path)?;
        wcs.ok_or_else(|| FitsError::Wcs {
            path: path.into(),
            keyword: "CTYPE1".to_owned(),
            found: format!("RA---{code}"),
            reason: "a projection has a three-letter code".to_owned(),
        })
    }

    /// Right ascension and declination (degrees, J2000) of a pixel position; `None` where the map shows no sky. The centre
    /// of the first pixel is (0, 0).
    pub fn sky(&self, row: f64, col: f64) -> Option<(f64, f64)> {
        let own = self.own_direction(row, col)?;
        Some(lon_lat(match self.frame {
            Frame::Equatorial => own,
            Frame::Galactic => icrs_from_galactic(own),
        }))
    }

    /// Longitude and latitude (degrees) of a pixel position in the header's own [`Frame`].
    pub fn native(&self, row: f64, col: f64) -> Option<(f64, f64)> {
        self.own_direction(row, col).map(lon_lat)
    }

    /// Pixel position (`row`, `col`) of a right ascension and declination (degrees, J2000); `None` if the map does not show it.
    pub fn pixel(&self, ra_deg: f64, dec_deg: f64) -> Option<(f64, f64)> {
        let sky = direction(ra_deg, dec_deg);
        self.pixel_of_own(match self.frame {
            Frame::Equatorial => sky,
            Frame::Galactic => galactic_from_icrs(sky),
        })
    }

    /// Pixel position (`row`, `col`) of a longitude and latitude (degrees) in the header's own [`Frame`].
    pub fn pixel_of_native(&self, lon_deg: f64, lat_deg: f64) -> Option<(f64, f64)> {
        self.pixel_of_own(direction(lon_deg, lat_deg))
    }

    /// The same sky for a cutout whose pixel (0, 0) is pixel (`row`, `col`) of this image.
    pub fn shifted(&self, row: f64, col: f64) -> Self {
        let (x, y) = self.reference_pixel;
        Self { reference_pixel: (x - col, y - row), ..self.clone() }
    }

    /// The reference pixel (CRPIX) as (row, col), counted from 0; it may lie outside the image.
    pub fn reference_pixel(&self) -> (f64, f64) {
        (self.reference_pixel.1 - 1.0, self.reference_pixel.0 - 1.0)
    }

    /// The header's own coordinates.
    pub fn frame(&self) -> Frame {
        self.frame
    }

    /// The projection, as in CTYPE: `SIN`, `TAN`, `NCP`, …
    pub fn projection(&self) -> &str {
        &self.code
    }

    /// Size of a pixel in arc seconds: the square root of its area at the reference point.
    pub fn pixel_arcsec(&self) -> f64 {
        determinant(self.matrix).abs().sqrt() * 3600.0
    }

    /// The cards that describe this sky in a two-dimensional image.
    pub fn cards(&self) -> Vec<Card> {
        let (lon, lat) = match self.frame {
            Frame::Equatorial => ("RA--", "DEC-"),
            Frame::Galactic => ("GLON", "GLAT"),
        };
        let [[a, b], [c, d]] = self.matrix;
        let mut cards = vec![
            Card::new("CTYPE1", format!("{lon}-{}", self.code), ""),
            Card::new("CTYPE2", format!("{lat}-{}", self.code), ""),
            Card::new("CUNIT1", "deg", ""),
            Card::new("CUNIT2", "deg", ""),
            Card::new("CRPIX1", self.reference_pixel.0, "reference pixel, counted from 1"),
            Card::new("CRPIX2", self.reference_pixel.1, ""),
            Card::new("CRVAL1", self.projection.reference.0, "degrees"),
            Card::new("CRVAL2", self.projection.reference.1, "degrees"),
        ];
        if b == 0.0 && c == 0.0 {
            cards.extend([Card::new("CDELT1", a, "degrees per pixel"), Card::new("CDELT2", d, "")]);
        } else {
            let matrix = [("CD1_1", a), ("CD1_2", b), ("CD2_1", c), ("CD2_2", d)];
            cards.extend(matrix.map(|(keyword, value)| Card::new(keyword, value, "degrees per pixel")));
        }
        cards.push(Card::new("LONPOLE", self.projection.lonpole_deg, ""));
        cards.push(Card::new("LATPOLE", self.projection.latpole_deg, ""));
        cards.extend(self.pv.iter().map(|(m, value)| Card::new(&format!("PV2_{m}"), *value, "")));
        if self.frame == Frame::Equatorial {
            cards.push(Card::new("RADESYS", "ICRS", ""));
        }
        cards
    }

    fn own_direction(&self, row: f64, col: f64) -> Option<[f64; 3]> {
        let (dx, dy) = (col + 1.0 - self.reference_pixel.0, row + 1.0 - self.reference_pixel.1);
        let [[a, b], [c, d]] = self.matrix;
        self.projection.sky(a * dx + b * dy, c * dx + d * dy)
    }

    fn pixel_of_own(&self, own: [f64; 3]) -> Option<(f64, f64)> {
        let (x, y) = self.projection.flat(own)?;
        let [[a, b], [c, d]] = self.matrix;
        let determinant = determinant(self.matrix);
        let (dx, dy) = ((d * x - b * y) / determinant, (a * y - c * x) / determinant);
        Some((dy + self.reference_pixel.1 - 1.0, dx + self.reference_pixel.0 - 1.0))
    }

    /// Pixel size from the scale keywords alone, for headers that name no sky axes.
    pub(crate) fn pixel_arcsec_of(header: &Header, image_axes: (usize, usize)) -> Option<f64> {
        let axes = (image_axes.0 + 1, image_axes.1 + 1);
        let matrix = scale_matrix(header, axes, axes)?;
        Some(determinant(matrix).abs().sqrt() * 3600.0).filter(|size| *size > 0.0 && size.is_finite())
    }
}

fn determinant([[a, b], [c, d]]: [[f64; 2]; 2]) -> f64 {
    a * d - b * c
}

/// CDi_j, or else PCi_j · CDELTi, or else CDELT turned by CROTA; `world` are the axes (from 1) of longitude and latitude,
/// `pixel` those of columns and rows. `None` without any scale.
fn scale_matrix(header: &Header, world: (usize, usize), pixel: (usize, usize)) -> Option<[[f64; 2]; 2]> {
    let entry = |name: &str, i: usize, j: usize| header.float(&format!("{name}{i}_{j}"));
    let entries = |name: &str| {
        [
            [entry(name, world.0, pixel.0), entry(name, world.0, pixel.1)],
            [entry(name, world.1, pixel.0), entry(name, world.1, pixel.1)],
        ]
    };
    let cd = entries("CD");
    if cd.iter().flatten().any(Option::is_some) {
        // Where one CD card is given, those left out are 0.
        return Some(cd.map(|row| row.map(|value| value.unwrap_or(0.0))));
    }
    let delta = (header.float(&format!("CDELT{}", world.0))?, header.float(&format!("CDELT{}", world.1))?);
    let identity = |i: usize, j: usize| if i == j { 1.0 } else { 0.0 };
    let pc = entries("PC");
    if pc.iter().flatten().any(Option::is_some) {
        let or = |value: Option<f64>, i, j| value.unwrap_or(identity(i, j));
        return Some([
            [delta.0 * or(pc[0][0], world.0, pixel.0), delta.0 * or(pc[0][1], world.0, pixel.1)],
            [delta.1 * or(pc[1][0], world.1, pixel.0), delta.1 * or(pc[1][1], world.1, pixel.1)],
        ]);
    }
    if world != pixel {
        return Some([
            [delta.0 * identity(world.0, pixel.0), delta.0 * identity(world.0, pixel.1)],
            [delta.1 * identity(world.1, pixel.0), delta.1 * identity(world.1, pixel.1)],
        ]);
    }
    // The old convention: the latitude axis carries the angle.
    let (s, c) = header.float(&format!("CROTA{}", world.1)).unwrap_or(0.0).to_radians().sin_cos();
    Some([[delta.0 * c, -delta.1 * s], [delta.0 * s, delta.1 * c]])
}

/// Which header axes (from 1) are longitude and latitude, and of what.
struct SkyAxes {
    lon: usize,
    lat: usize,
    frame: Frame,
    code: String,
}

struct Keywords<'a> {
    header: &'a Header,
    image_axes: (usize, usize),
    path: &'a Path,
}

impl Keywords<'_> {
    fn refuse(&self, keyword: &str, reason: &str) -> FitsError {
        FitsError::Wcs {
            path: self.path.into(),
            keyword: keyword.to_owned(),
            found: self.header.describe(keyword),
            reason: reason.to_owned(),
        }
    }

    fn number(&self, stem: &str, axis: usize) -> Result<f64, FitsError> {
        let keyword = format!("{stem}{axis}");
        match self.header.get(&keyword) {
            // The standard's default for both CRPIX and CRVAL.
            None => Ok(0.0),
            Some(_) => self.header.float(&keyword).ok_or_else(|| self.refuse(&keyword, "a number was expected")),
        }
    }

    /// The axis names of CTYPE; `None` where they name no sky, as in cutouts without coordinates.
    fn sky_axes(&self) -> Result<Option<SkyAxes>, FitsError> {
        let numbers = (self.image_axes.0 + 1, self.image_axes.1 + 1);
        let ctype = |axis: usize| self.header.text(&format!("CTYPE{axis}")).and_then(AxisType::parse);
        let (Some(first), Some(second)) = (ctype(numbers.0), ctype(numbers.1)) else { return Ok(None) };
        let keyword = format!("CTYPE{}", numbers.0);
        let (lon, lat, lon_type, lat_type) = match (first.is_latitude(), second.is_latitude()) {
            (false, true) => (numbers.0, numbers.1, first, second),
            (true, false) => (numbers.1, numbers.0, second, first),
            _ => return Ok(None),
        };
        let frame = match (lon_type.name.as_str(), lat_type.name.as_str()) {
            ("RA", "DEC") => Frame::Equatorial,
            ("GLON", "GLAT") => Frame::Galactic,
            _ => return Err(self.refuse(&keyword, "only RA/DEC and GLON/GLAT axes are supported")),
        };
        if lon_type.code != lat_type.code {
            return Err(self.refuse(&keyword, "longitude and latitude name different projections"));
        }
        if lon_type.distorted || lat_type.distorted {
            return Err(self.refuse(&keyword, "distortions (such as SIP) are not supported"));
        }
        for axis in [lon, lat] {
            let keyword = format!("CUNIT{axis}");
            if self
                .header
                .text(&keyword)
                .is_some_and(|unit| !matches!(unit.to_lowercase().as_str(), "deg" | "degree" | "degrees"))
            {
                return Err(self.refuse(&keyword, "sky axes in degrees were expected"));
            }
        }
        Ok(Some(SkyAxes { lon, lat, frame, code: lon_type.code }))
    }

    /// Equatorial axes must be ICRS, or FK5 at J2000: half a degree of precession is worse than no position.
    fn check_frame(&self, axes: &SkyAxes) -> Result<(), FitsError> {
        if axes.frame == Frame::Galactic {
            return Ok(());
        }
        let system_keyword = if self.header.text("RADESYS").is_some() { "RADESYS" } else { "RADECSYS" };
        let system = self.header.text(system_keyword).unwrap_or_default().to_uppercase();
        let equinox_keyword = if self.header.get("EQUINOX").is_some() { "EQUINOX" } else { "EPOCH" };
        let equinox = self.header.float(equinox_keyword);
        match system.as_str() {
            "ICRS" => Ok(()),
            "" | "FK5" if equinox.is_none_or(|year| (year - 2000.0).abs() < 1e-6) => Ok(()),
            "" | "FK5" => Err(self.refuse(
                equinox_keyword,
                "only J2000 positions are supported (B1950 ones would be off by half a degree); reproject the map first",
            )),
            _ => Err(self.refuse(system_keyword, "only ICRS and FK5 (J2000) positions are supported; reproject the map first")),
        }
    }

    fn matrix(&self, axes: &SkyAxes) -> Result<[[f64; 2]; 2], FitsError> {
        let pixel = (self.image_axes.0 + 1, self.image_axes.1 + 1);
        let matrix = scale_matrix(self.header, (axes.lon, axes.lat), pixel)
            .ok_or_else(|| self.refuse(&format!("CDELT{}", axes.lon), "without it the size of a pixel is unknown"))?;
        let determinant = determinant(matrix);
        if determinant == 0.0 || !determinant.is_normal() {
            return Err(self.refuse(&format!("CDELT{}", axes.lon), "the pixel scale gives pixels without area"));
        }
        Ok(matrix)
    }
}

/// A CTYPE such as `RA---SIN`: a name, at least one hyphen, and a three-letter code in columns 6 to 8.
struct AxisType {
    name: String,
    code: String,
    distorted: bool,
}

impl AxisType {
    fn parse(ctype: &str) -> Option<Self> {
        if !ctype.is_ascii() || ctype.len() < 8 || ctype.as_bytes()[4] != b'-' {
            return None;
        }
        let code = ctype[5..8].to_uppercase();
        let name = ctype[..4].trim_end_matches('-').to_uppercase();
        let known = code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        known.then_some(Self { name, code, distorted: ctype.len() > 8 })
    }

    fn is_latitude(&self) -> bool {
        self.name == "DEC" || self.name.ends_with("LAT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wcs(cards: &[(&str, f64)]) -> Wcs {
        let mut all = vec![Card::new("CTYPE1", "RA---TAN", ""), Card::new("CTYPE2", "DEC--TAN", "")];
        all.extend(cards.iter().map(|(keyword, value)| Card::new(keyword, *value, "")));
        let read = Wcs::from_header(&Header::from_cards(&all), (0, 1), Path::new("test"));
        read.expect("legal").expect("has a sky")
    }

    /// Calabretta & Greisen 2002, eqs. 186 to 189: x = CDELT1 cos ρ p1 - CDELT2 sin ρ p2, y = CDELT1 sin ρ p1 + CDELT2 cos ρ p2,
    /// so that with east to the left the columns run ρ west of north.
    #[test]
    fn three_ways_to_write_the_scale_agree() {
        let (a, b, angle) = (-2.0e-3, 3.0e-3, 25.0_f64);
        let (s, c) = angle.to_radians().sin_cos();
        let turned = wcs(&[("CDELT1", a), ("CDELT2", b), ("CROTA2", angle)]);
        let cd = wcs(&[("CD1_1", a * c), ("CD1_2", -b * s), ("CD2_1", a * s), ("CD2_2", b * c)]);
        let pc = [("PC1_1", c), ("PC1_2", -s * b / a), ("PC2_1", s * a / b), ("PC2_2", c)];
        let pc = wcs(&[&[("CDELT1", a), ("CDELT2", b)][..], &pc].concat());
        for (other, name) in [(&cd, "CD"), (&pc, "PC")] {
            for (mine, theirs) in turned.matrix.iter().flatten().zip(other.matrix.iter().flatten()) {
                assert!((mine - theirs).abs() < 1e-18, "{name}: {:?} {:?}", turned.matrix, other.matrix);
            }
        }
        // A step along a column goes north and, here, west of the reference point at (0, 0).
        let (ra, dec) = turned.sky(99.0, -1.0).expect("on the map");
        assert!(ra > 359.0 && dec > 0.0, "{ra} {dec}");
        assert!((turned.pixel_arcsec() - 3600.0 * 6.0_f64.sqrt() * 1e-3).abs() < 1e-9);
        let partial = wcs(&[("CDELT1", a), ("CDELT2", b), ("PC1_2", 0.5)]);
        assert_eq!(partial.matrix, [[a, 0.5 * a], [0.0, b]], "missing PC entries are those of the unit matrix");
    }

    /// Declination first is legal, and so are axes of length 1 between those of the image.
    #[test]
    fn the_order_of_the_axes_is_the_headers() {
        let usual = Wcs::north_up("TAN", (30.0, 40.0), (4.0, 7.0), 5.0).expect("legal");
        let text = [("CTYPE1", "DEC--TAN"), ("CTYPE2", "STOKES"), ("CTYPE3", "RA---TAN")];
        let step = 5.0 / 3600.0;
        let numbers =
            [("CRVAL1", 40.0), ("CRVAL3", 30.0), ("CDELT1", step), ("CDELT3", -step), ("CRPIX1", 5.0), ("CRPIX3", 8.0)];
        let mut cards: Vec<Card> = text.iter().map(|(keyword, value)| Card::new(keyword, *value, "")).collect();
        cards.extend(numbers.iter().map(|(keyword, value)| Card::new(keyword, *value, "")));
        let turned = Wcs::from_header(&Header::from_cards(&cards), (0, 2), Path::new("test"));
        let turned = turned.expect("legal").expect("has a sky");
        // Its columns count declination, so (row, col) change places.
        assert_eq!(turned.sky(2.0, 11.0), usual.sky(11.0, 2.0));
        let (row, col) = turned.pixel(30.001, 40.002).expect("on the map");
        let (usual_row, usual_col) = usual.pixel(30.001, 40.002).expect("on the map");
        assert!((row - usual_col).abs() < 1e-9 && (col - usual_row).abs() < 1e-9);
    }

    /// What [`Wcs::cards`] writes is the same sky, also for Galactic, slanted and turned maps.
    #[test]
    fn cards_describe_the_same_sky() {
        for frame in [("RA---SIN", "DEC--SIN"), ("GLON-SIN", "GLAT-SIN"), ("GLON-CAR", "GLAT-CAR")] {
            let mut cards = vec![Card::new("CTYPE1", frame.0, ""), Card::new("CTYPE2", frame.1, "")];
            let numbers = [
                ("CRVAL1", 350.0),
                ("CRVAL2", -20.0),
                ("CRPIX1", 3.0),
                ("CRPIX2", 9.0),
                ("CD1_1", -0.01),
                ("CD1_2", 0.002),
            ];
            let more = [("CD2_1", 0.001), ("CD2_2", 0.011), ("PV2_1", 0.1), ("PV2_2", -0.3), ("LONPOLE", 170.0)];
            cards.extend(numbers.iter().chain(&more).map(|(keyword, value)| Card::new(keyword, *value, "")));
            let read = |cards: &[Card]| Wcs::from_header(&Header::from_cards(cards), (0, 1), Path::new("test"));
            let first = read(&cards).expect("legal").expect("has a sky");
            let again = read(&first.cards()).expect("legal").expect("has a sky");
            assert_eq!(first.sky(20.0, -30.0), again.sky(20.0, -30.0), "{frame:?}");
            assert!(first.sky(20.0, -30.0).is_some() && first.sky(20.0, -30.0) != first.sky(-30.0, 20.0));
        }
    }
}
