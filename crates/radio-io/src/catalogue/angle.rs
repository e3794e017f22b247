//! Units of angles and fluxes as catalogues write them.

use serde::{Deserialize, Serialize};

/// Unit of a position or a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AngleUnit {
    /// Degrees.
    Deg,
    /// Hours of right ascension, 15 degrees each.
    Hourangle,
    /// Minutes of arc.
    Arcmin,
    /// Seconds of arc.
    Arcsec,
    /// Milliseconds of arc.
    Mas,
    /// Radians.
    Rad,
}

impl AngleUnit {
    /// The unit that a table names, in any of the usual spellings.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.trim().trim_matches(['[', ']']).to_lowercase();
        Some(match word.as_str() {
            "deg" | "degree" | "degrees" | "degs" | "d" | "°" => Self::Deg,
            "hourangle" | "hour" | "hours" | "h" | "hms" | "h:m:s" | "hh:mm:ss" | "\"h:m:s\"" | "hr" => Self::Hourangle,
            "arcmin" | "arcminute" | "arcminutes" | "'" | "′" => Self::Arcmin,
            "arcsec" | "arcsecond" | "arcseconds" | "asec" | "\"" | "″" | "''" => Self::Arcsec,
            "mas" | "milliarcsec" => Self::Mas,
            "rad" | "radian" | "radians" => Self::Rad,
            // Sexagesimal degrees say nothing that the text does not.
            "dms" | "d:m:s" | "dd:mm:ss" | "\"d:m:s\"" => Self::Deg,
            _ => return None,
        })
    }

    /// The unit at the end of a column name such as `size_arcsec` or `RA_deg`.
    pub fn from_name(name: &str) -> Option<Self> {
        let last = name.rsplit(['_', ' ', '-', '(', '[']).next()?.trim_end_matches([')', ']']);
        // A lone letter is no unit: `RA_d` may be anything.
        (last.len() > 1 && last.len() < name.len()).then(|| Self::parse(last)).flatten()
    }

    /// Degrees in one of it.
    pub fn degrees(self) -> f64 {
        match self {
            Self::Deg => 1.0,
            Self::Hourangle => 15.0,
            Self::Arcmin => 1.0 / 60.0,
            Self::Arcsec => 1.0 / 3600.0,
            Self::Mas => 1.0 / 3_600_000.0,
            Self::Rad => 180.0 / std::f64::consts::PI,
        }
    }

    /// An angle in degrees. Units that are whole fractions of a degree are divided by, which keeps round numbers round.
    pub fn to_degrees(self, value: f64) -> f64 {
        match self {
            Self::Arcmin => value / 60.0,
            Self::Arcsec => value / 3600.0,
            Self::Mas => value / 3_600_000.0,
            Self::Rad => value.to_degrees(),
            Self::Deg | Self::Hourangle => value * self.degrees(),
        }
    }

    /// An angle in arc seconds.
    pub fn to_arcsec(self, value: f64) -> f64 {
        match self {
            Self::Arcsec => value,
            Self::Mas => value / 1000.0,
            Self::Arcmin => value * 60.0,
            _ => self.to_degrees(value) * 3600.0,
        }
    }
}

/// Unit of a flux density, a brightness or a noise: janskys, or janskys per beam where the quantity is per beam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FluxUnit {
    /// Jy or Jy/beam.
    Jy,
    /// mJy or mJy/beam.
    #[serde(rename = "mJy")]
    MilliJy,
    /// µJy or µJy/beam.
    #[serde(rename = "uJy")]
    MicroJy,
}

impl FluxUnit {
    /// The unit that a table names, per beam or not.
    pub fn parse(text: &str) -> Option<Self> {
        let word: String = text.trim().trim_matches(['[', ']']).chars().filter(|c| !c.is_whitespace()).collect();
        let lower = word.to_lowercase();
        let suffixes = ["/beam", "/bm", ".beam-1", "*beam-1", "beam-1", "beam**-1", "beam^-1", "_beam"];
        let flux = suffixes.iter().find_map(|suffix| lower.strip_suffix(suffix)).unwrap_or(&lower);
        Some(match flux.trim_end_matches(['.', '*']) {
            "jy" | "jansky" => Self::Jy,
            // MJy would be a million: only the small m is a thousandth.
            "mjy" if word.starts_with('m') => Self::MilliJy,
            "ujy" | "µjy" | "μjy" | "microjy" => Self::MicroJy,
            _ => return None,
        })
    }

    /// The unit in a column name such as `peak_mjy` or `rms_jy_beam`.
    pub fn from_name(name: &str) -> Option<Self> {
        let short = name.trim_end_matches("_beam").trim_end_matches("/beam");
        short.rsplit(['_', ' ', '(', '[']).next().filter(|last| last.len() < short.len()).and_then(|last| {
            // Names are often all small letters, where `mjy` is no million.
            Self::parse(last.trim_end_matches([')', ']']))
        })
    }

    /// A flux in janskys.
    pub fn to_jy(self, value: f64) -> f64 {
        match self {
            Self::Jy => value,
            Self::MilliJy => value / 1e3,
            Self::MicroJy => value / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_their_spellings() {
        assert_eq!(AngleUnit::parse("[deg]"), Some(AngleUnit::Deg));
        assert_eq!(AngleUnit::from_name("size_arcsec"), Some(AngleUnit::Arcsec));
        assert_eq!(AngleUnit::from_name("RA_deg"), Some(AngleUnit::Deg));
        assert_eq!(AngleUnit::from_name("RA"), None);
        assert_eq!(AngleUnit::Arcmin.to_arcsec(1.5), 90.0);
        assert_eq!(AngleUnit::Hourangle.to_degrees(1.0), 15.0);
        assert_eq!(FluxUnit::parse("mJy/beam"), Some(FluxUnit::MilliJy));
        assert_eq!(FluxUnit::parse("Jy beam-1"), Some(FluxUnit::Jy));
        assert_eq!(FluxUnit::parse("JY/BEAM"), Some(FluxUnit::Jy));
        assert_eq!(FluxUnit::parse("MJy/sr"), None);
        assert_eq!(FluxUnit::parse("MJy"), None);
        assert_eq!(FluxUnit::from_name("rms_jy_beam"), Some(FluxUnit::Jy));
        assert_eq!(FluxUnit::from_name("peak_ujy"), Some(FluxUnit::MicroJy));
        assert_eq!(FluxUnit::from_name("peak_flux"), None);
    }
}
