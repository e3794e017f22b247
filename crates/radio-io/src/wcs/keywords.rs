//! From the cards of a header to a [`Wcs`]: axis names, frame and equinox, reference point, units.

use std::path::Path;

use super::{
    Wcs,
    distortion::{Distortion, LAST_TPV, MOST_SIP_ORDER, Warp},
    scale,
};
use crate::{
    celestial::frame::{Axes, SkyFrame},
    error::FitsError,
    header::Header,
    projection::Projection,
};

/// The alternate descriptions (`A` to `Z`) of which a header names an axis.
pub fn alternates(header: &Header) -> Vec<char> {
    ('A'..='Z').filter(|version| (1..=9).any(|axis| header.get(&format!("CTYPE{axis}{version}")).is_some())).collect()
}

/// Why a header describes no sky, in words; `None` if it does describe one, be it one that [`Wcs::from_header`] refuses.
pub fn no_sky_reason(header: &Header, image_axes: (usize, usize)) -> Option<String> {
    let keywords = Keywords { header, image_axes, version: String::new(), path: Path::new("") };
    if !matches!(keywords.sky_axes(), Ok(None)) {
        return None;
    }
    let describe = |axis: usize| format!("CTYPE{axis} is {}", header.describe(&format!("CTYPE{axis}")));
    let (first, second) = (describe(image_axes.0 + 1), describe(image_axes.1 + 1));
    Some(format!("{first} and {second}, which name no longitude and latitude: the image has no sky positions"))
}

pub(super) fn read(
    header: &Header,
    image_axes: (usize, usize),
    version: Option<char>,
    path: &Path,
) -> Result<Option<Wcs>, FitsError> {
    let suffix = version.map(String::from).unwrap_or_default();
    let keywords = Keywords { header, image_axes, version: suffix, path };
    if version.is_some_and(|letter| !letter.is_ascii_uppercase()) {
        return Err(keywords.refuse(&format!("CTYPE1{}", keywords.version), "alternate descriptions are A to Z"));
    }
    let Some(SkyAxes { lon, lat, family, mut code, sip }) = keywords.sky_axes()? else { return Ok(None) };
    let mut remarks = Vec::new();
    let frame = keywords.frame(family, &mut remarks)?;
    let distortion = match code.as_str() {
        "TPV" => Some(keywords.tpv((lon, lat), &mut remarks)?),
        _ => keywords.sip((lon, sip), &mut remarks)?,
    };
    keywords.check_distortion(lon, &code, distortion.as_ref())?;
    let units = (keywords.degrees_per_unit(lon)?, keywords.degrees_per_unit(lat)?);
    let matrix = keywords.matrix((lon, lat), units, &mut remarks)?;
    let reference = (keywords.number("CRVAL", lon)? * units.0, keywords.number("CRVAL", lat)? * units.1);
    // A hair of room for what radians leave of 90 degrees.
    if reference.1.abs() > 90.0 + 1e-9 || reference.0.abs() > 720.0 {
        return Err(keywords.refuse(&keywords.name("CRVAL", lat), "not a position on the sky"));
    }
    let mut reference = (reference.0.rem_euclid(360.0), reference.1.clamp(-90.0, 90.0));
    let mut reference_pixel =
        (keywords.number("CRPIX", image_axes.0 + 1)?, keywords.number("CRPIX", image_axes.1 + 1)?);
    // In a TPV these numbers are its coefficients.
    let plain_pv = |axis: usize, m: u32| keywords.float(&format!("PV{axis}_{m}")).filter(|_| code != "TPV");
    let pv: Vec<(u32, f64)> = (0..=20).filter_map(|m| plain_pv(lat, m).map(|value| (m, value))).collect();
    for m in [1, 2] {
        if plain_pv(lon, m).is_some_and(|value| value != 0.0) {
            let reason = "a moved native reference point, or a distortion written as PV of a TAN (name it TPV), is not supported";
            return Err(keywords.refuse(&format!("PV{lon}_{m}{}", keywords.version), reason));
        }
    }
    let lonpole = keywords.float("LONPOLE").or_else(|| plain_pv(lon, 3));
    let latpole = keywords.float("LATPOLE").or_else(|| plain_pv(lon, 4));
    if code == "GLS" {
        // AIPS's sinusoidal map is SFL about the equator, its reference point moved along the meridian (same paper, section 6.1.4).
        let determinant = scale::determinant(matrix);
        let [[a, b], [_, _]] = matrix;
        let shift = (-b * -reference.1 / determinant, a * -reference.1 / determinant);
        reference_pixel = (reference_pixel.0 + shift.0, reference_pixel.1 + shift.1);
        reference.1 = 0.0;
        code = "SFL".to_owned();
    }
    let plain = if code == "TPV" { "TAN" } else { code.as_str() };
    let projection = Projection::new(plain, reference, lonpole, latpole, &pv)
        .map_err(|reason| keywords.refuse(&keywords.name("CTYPE", lon), &reason))?;
    Ok(Some(Wcs { frame, axes: Axes::of(frame), code, projection, pv, distortion, reference_pixel, matrix, remarks }))
}

/// What the names of the axes say of the frame.
#[derive(Clone, Copy, PartialEq)]
enum Family {
    Equatorial,
    Galactic,
    Supergalactic,
    Ecliptic,
}

/// Which header axes (from 1) are longitude and latitude, and of what.
struct SkyAxes {
    lon: usize,
    lat: usize,
    family: Family,
    code: String,
    /// Whether the names end in `-SIP`.
    sip: bool,
}

struct Keywords<'a> {
    header: &'a Header,
    image_axes: (usize, usize),
    /// Empty, or the letter of an alternate description.
    version: String,
    path: &'a Path,
}

impl Keywords<'_> {
    fn name(&self, stem: &str, axis: usize) -> String {
        format!("{stem}{axis}{}", self.version)
    }

    /// A number of this description, by its name without the letter.
    fn float(&self, stem: &str) -> Option<f64> {
        self.header.float(&format!("{stem}{}", self.version))
    }

    fn refuse(&self, keyword: &str, reason: &str) -> FitsError {
        FitsError::Wcs {
            path: self.path.into(),
            keyword: keyword.to_owned(),
            found: self.header.describe(keyword),
            reason: reason.to_owned(),
        }
    }

    fn number(&self, stem: &str, axis: usize) -> Result<f64, FitsError> {
        let keyword = self.name(stem, axis);
        match self.header.get(&keyword) {
            // The standard's default for both CRPIX and CRVAL.
            None => Ok(0.0),
            Some(_) => self.header.float(&keyword).ok_or_else(|| self.refuse(&keyword, "a number was expected")),
        }
    }

    /// The axis names of CTYPE; `None` where they name no sky, as in cutouts without coordinates.
    fn sky_axes(&self) -> Result<Option<SkyAxes>, FitsError> {
        let numbers = (self.image_axes.0 + 1, self.image_axes.1 + 1);
        let ctype = |axis: usize| self.header.text(&self.name("CTYPE", axis)).and_then(AxisType::parse);
        let (Some(first), Some(second)) = (ctype(numbers.0), ctype(numbers.1)) else { return Ok(None) };
        let keyword = self.name("CTYPE", numbers.0);
        let (lon, lat, lon_type, lat_type) = match (first.is_latitude(), second.is_latitude()) {
            (false, true) => (numbers.0, numbers.1, first, second),
            (true, false) => (numbers.1, numbers.0, second, first),
            _ => return Ok(None),
        };
        let family = match (lon_type.name.as_str(), lat_type.name.as_str()) {
            ("RA", "DEC") => Family::Equatorial,
            ("GLON", "GLAT") => Family::Galactic,
            ("SLON", "SLAT") => Family::Supergalactic,
            ("ELON", "ELAT") => Family::Ecliptic,
            _ => {
                let reason = "only RA/DEC, GLON/GLAT, SLON/SLAT and ELON/ELAT axes are supported; reproject the map";
                return Err(self.refuse(&keyword, reason));
            }
        };
        if lon_type.code != lat_type.code {
            return Err(self.refuse(&keyword, "longitude and latitude name different projections"));
        }
        if [&lon_type, &lat_type].iter().any(|axis| !matches!(axis.distortion.as_str(), "" | "-SIP")) {
            return Err(self.refuse(&keyword, "of distortions only SIP and TPV are supported; reproject the map"));
        }
        let sip = !lon_type.distortion.is_empty() && !lat_type.distortion.is_empty();
        Ok(Some(SkyAxes { lon, lat, family, code: lon_type.code, sip }))
    }

    /// SIP coefficients. Without their mark in CTYPE they are applied too, as other programs do, and that is remarked upon.
    fn sip(&self, (lon, marked): (usize, bool), remarks: &mut Vec<String>) -> Result<Option<Distortion>, FitsError> {
        let ctype = self.name("CTYPE", lon);
        let mut orders = [0, 0];
        for (order, name) in orders.iter_mut().zip(["A", "B"]) {
            let keyword = format!("{name}_ORDER");
            if self.header.get(&keyword).is_some() {
                let known = self.header.integer(&keyword).filter(|order| (0..=MOST_SIP_ORDER).contains(order));
                *order = known.ok_or_else(|| self.refuse(&keyword, "a whole number from 0 to 9 was expected"))?;
            }
        }
        if !self.version.is_empty() {
            return if marked { Err(self.refuse(&ctype, "SIP has no alternate descriptions")) } else { Ok(None) };
        }
        match (orders[0], orders[1]) {
            (0 | 1, 0 | 1) => {
                if marked {
                    remarks.push(format!("{ctype} says SIP, but there are no SIP polynomials: read as if it did not"));
                }
                // Linear terms alone are left out by some programs and applied by others.
                let used = |name: &&str| self.header.float(name).is_some_and(|factor| factor != 0.0);
                match ["A_0_0", "A_0_1", "A_1_0", "B_0_0", "B_0_1", "B_1_0"].iter().find(|name| used(name)) {
                    Some(name) if orders != [0, 0] => {
                        Err(self.refuse(name, "a SIP polynomial of order 1 is not supported; put it into CRPIX and CD"))
                    }
                    _ => Ok(None),
                }
            }
            (2.., 2..) if self.image_axes != (0, 1) => {
                Err(self.refuse(&ctype, "SIP describes the first two axes, which are not those of the image"))
            }
            (2.., 2..) => {
                if !marked {
                    remarks
                        .push(format!("there are SIP polynomials, but {ctype} does not end in -SIP: they are applied"));
                }
                Ok(Some(Distortion::Sip(Warp::sip(orders, |keyword| self.header.float(keyword)))))
            }
            (a, _) => {
                let keyword = if a < 2 { "A_ORDER" } else { "B_ORDER" };
                Err(self.refuse(keyword, "a SIP distortion needs both polynomials, of order 2 or more"))
            }
        }
    }

    /// TPV coefficients; that of the axis itself (PVi_1) is 1 if it is missing.
    fn tpv(&self, (lon, lat): (usize, usize), remarks: &mut Vec<String>) -> Result<Distortion, FitsError> {
        let mut axes = [Vec::new(), Vec::new()];
        for (axis, coefficients) in [lon, lat].into_iter().zip(&mut axes) {
            let number = |m: usize| self.float(&format!("PV{axis}_{m}")).map(|value| (m, value));
            coefficients.extend((0..=LAST_TPV).filter_map(number));
            if !coefficients.iter().any(|(m, _)| *m == 1) {
                if !coefficients.is_empty() {
                    remarks.push(format!("PV{axis}_1 of a TPV map is missing: taken as 1"));
                }
                coefficients.push((1, 1.0));
            }
        }
        Ok(Distortion::Tpv(Warp::tpv(axes)))
    }

    /// Distortions that other programs apply: leaving them out would be silently different.
    fn check_distortion(&self, lon: usize, code: &str, ours: Option<&Distortion>) -> Result<(), FitsError> {
        for keyword in ["CPDIS1", "CPDIS2", "CQDIS1", "CQDIS2", "D2IMDIS1", "D2IMDIS2", "D2IMARR1"] {
            if self.version.is_empty() && self.header.get(keyword).is_some() {
                return Err(self.refuse(keyword, "of distortions only SIP and TPV are supported; reproject the map"));
            }
        }
        let ctype = self.name("CTYPE", lon);
        if matches!(code, "TPD" | "TNX" | "ZPX" | "DSS") {
            return Err(self.refuse(&ctype, "a projection with distortions other than SIP and TPV; reproject the map"));
        }
        let both = code == "TPV" && self.header.integer("A_ORDER").is_some_and(|order| order > 0);
        if code == "GLS" && ours.is_some() || both {
            return Err(self.refuse(&ctype, "SIP polynomials do not go with this projection"));
        }
        Ok(())
    }

    /// Frame and equinox of the axes, with the defaults of the FITS standard (4.0, section 8.3).
    fn frame(&self, family: Family, remarks: &mut Vec<String>) -> Result<SkyFrame, FitsError> {
        match family {
            Family::Galactic => return Ok(SkyFrame::Galactic),
            Family::Supergalactic => return Ok(SkyFrame::Supergalactic),
            Family::Equatorial | Family::Ecliptic => {}
        }
        let named = |stem: &str| format!("{stem}{}", self.version);
        let first_of = |names: [&str; 2]| {
            let present = |name: &&str| self.header.get(&named(name)).is_some();
            named(names.into_iter().find(present).unwrap_or(names[0]))
        };
        let system_keyword = first_of(["RADESYS", "RADECSYS"]);
        let system = self.header.text(&system_keyword).unwrap_or_default().to_uppercase();
        let equinox_keyword = first_of(["EQUINOX", "EPOCH"]);
        let mut equinox = self.equinox(&equinox_keyword)?;
        if equinox == Some(0.0) {
            remarks.push(format!("{equinox_keyword} is 0, which is no year: taken as missing"));
            equinox = None;
        }
        if (system != "ICRS" || family == Family::Ecliptic)
            && equinox.is_some_and(|year| !(1800.0..=2200.0).contains(&year))
        {
            return Err(self.refuse(&equinox_keyword, "a year between 1800 and 2200 was expected"));
        }
        if family == Family::Ecliptic {
            let is_old = system.starts_with("FK4") || system.is_empty() && equinox.is_some_and(|year| year < 1984.0);
            return match system.as_str() {
                "" | "ICRS" | "FK5" if !is_old => Ok(SkyFrame::Ecliptic { equinox: equinox.unwrap_or(2000.0) }),
                _ => {
                    Err(self.refuse(&system_keyword, "ecliptic axes are supported in ICRS and FK5; reproject the map"))
                }
            };
        }
        let frame = match (system.as_str(), equinox) {
            ("ICRS", _) | ("", None) => SkyFrame::Icrs,
            ("FK4", year) => SkyFrame::Fk4 { equinox: year.unwrap_or(1950.0) },
            ("FK4-NO-E", year) => SkyFrame::Fk4NoE { equinox: year.unwrap_or(1950.0) },
            ("FK5", year) => SkyFrame::Fk5 { equinox: year.unwrap_or(2000.0) },
            ("", Some(year)) if year < 1984.0 => SkyFrame::Fk4 { equinox: year },
            ("", Some(year)) => SkyFrame::Fk5 { equinox: year },
            _ => {
                let reason = "only ICRS, FK5, FK4 and FK4-NO-E are supported; reproject the map first";
                return Err(self.refuse(&system_keyword, reason));
            }
        };
        if let SkyFrame::Fk5 { equinox } = frame
            && equinox < 1984.0
        {
            remarks.push(format!(
                "{system_keyword} is FK5 but {equinox_keyword} is {equinox}: computed as FK5 at J{equinox}; if FK4 is meant, {system_keyword} is wrong"
            ));
        }
        Ok(frame)
    }

    /// A year: 2000.0, or `'J2000.0'` as some programs have it.
    fn equinox(&self, keyword: &str) -> Result<Option<f64>, FitsError> {
        if self.header.get(keyword).is_none() {
            return Ok(None);
        }
        let text = || self.header.text(keyword)?.trim_start_matches(['J', 'B', 'j', 'b']).parse().ok();
        let year = self.header.float(keyword).or_else(text).filter(|year: &f64| year.is_finite());
        match year {
            Some(year) => Ok(Some(year)),
            None => Err(self.refuse(keyword, "a year was expected")),
        }
    }

    fn degrees_per_unit(&self, axis: usize) -> Result<f64, FitsError> {
        let keyword = self.name("CUNIT", axis);
        let Some(unit) = self.header.text(&keyword) else { return Ok(1.0) };
        match unit.to_lowercase().as_str() {
            "deg" | "degree" | "degrees" => Ok(1.0),
            "arcmin" => Ok(1.0 / 60.0),
            "arcsec" => Ok(1.0 / 3600.0),
            "mas" => Ok(1.0 / 3_600_000.0),
            "rad" | "radian" | "radians" => Ok(1.0_f64.to_degrees()),
            _ => Err(self.refuse(&keyword, "sky axes in deg, arcmin, arcsec, mas or rad were expected")),
        }
    }

    fn matrix(
        &self,
        world: (usize, usize),
        units: (f64, f64),
        remarks: &mut Vec<String>,
    ) -> Result<[[f64; 2]; 2], FitsError> {
        let pixel = (self.image_axes.0 + 1, self.image_axes.1 + 1);
        let keyword = self.name("CDELT", world.0);
        let matrix = scale::read(self.header, &self.version, world, pixel, units, remarks)
            .map_err(|(keyword, reason)| self.refuse(&keyword, &reason))?
            .ok_or_else(|| self.refuse(&keyword, "without it the size of a pixel is unknown"))?;
        let determinant = scale::determinant(matrix);
        if determinant == 0.0 || !determinant.is_normal() {
            return Err(self.refuse(&keyword, "the pixel scale gives pixels without area"));
        }
        Ok(matrix)
    }
}

/// A CTYPE such as `RA---SIN`: a name, at least one hyphen, and a three-letter code in columns 6 to 8.
struct AxisType {
    name: String,
    code: String,
    /// What follows the code: nothing, or `-SIP`.
    distortion: String,
}

impl AxisType {
    fn parse(ctype: &str) -> Option<Self> {
        if !ctype.is_ascii() || ctype.len() < 8 || ctype.as_bytes()[4] != b'-' {
            return None;
        }
        let code = ctype[5..8].to_uppercase();
        let name = ctype[..4].trim_end_matches('-').to_uppercase();
        let known = code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        known.then(|| Self { name, code, distortion: ctype[8..].trim_end().to_uppercase() })
    }

    fn is_latitude(&self) -> bool {
        self.name == "DEC" || self.name.ends_with("LAT")
    }
}
