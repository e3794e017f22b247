//! Angles and fluxes as catalogues write them: units, and the sexagesimal notation.

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

/// A sexagesimal angle: the number of whole units with fraction, and whether its letters say hours or degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sexagesimal {
    pub value: f64,
    pub unit: Option<AngleUnit>,
}

/// Reads `12:34:56.7`, `-12 34 56.7`, `12h34m56.7s`, `+12d34m56.7s`, `12°34′56.7″`; two parts are enough.
pub(super) fn parse_sexagesimal(text: &str) -> Option<Sexagesimal> {
    let text = text.trim();
    let (negative, unsigned) = match text.strip_prefix(['-', '−', '–']) {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let unit = match () {
        () if unsigned.contains(['h', 'H']) => Some(AngleUnit::Hourangle),
        () if unsigned.contains(['d', 'D', '°']) => Some(AngleUnit::Deg),
        () => None,
    };
    let is_mark = |character: char| !(character.is_ascii_digit() || character == '.');
    let allowed = |character: char| character.is_whitespace() || ":hHdDmMsS°'′\"″".contains(character);
    if unsigned.contains(|character| is_mark(character) && !allowed(character)) || unsigned.contains('-') {
        return None;
    }
    let parts: Vec<&str> = unsigned.split(is_mark).filter(|part| !part.is_empty()).collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let (last, whole) = parts.split_last()?;
    let mut value = 0.0;
    let mut scale = 1.0;
    for part in whole {
        value += f64::from(part.parse::<u32>().ok()?) / scale;
        scale *= 60.0;
    }
    value += last.parse::<f64>().ok()? / scale;
    // Minutes and seconds run to 60, which some programs print.
    let small = parts[1..].iter().all(|part| part.parse::<f64>().is_ok_and(|part| part <= 60.0));
    small.then_some(Sexagesimal { value: if negative { -value } else { value }, unit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sexagesimal_notations() {
        let degrees = |text: &str| parse_sexagesimal(text).map(|angle| angle.value);
        for text in ["12:34:56.7", "12 34 56.7", "12h34m56.7s", "12°34′56.7″", "+12d34m56.7s", "12h 34m 56.7s"] {
            let value = degrees(text).expect(text);
            assert!((value - 12.582416666666667).abs() < 1e-12, "{text}: {value}");
        }
        assert_eq!(degrees("-00:30:00"), Some(-0.5));
        assert_eq!(degrees("05:30"), Some(5.5));
        assert_eq!(parse_sexagesimal("1h30m").and_then(|angle| angle.unit), Some(AngleUnit::Hourangle));
        assert_eq!(parse_sexagesimal("1:30").and_then(|angle| angle.unit), None);
        for bad in ["", "12", "12:61:00", "12:x:00", "1:2:3:4", "12:-30:00", "NaN:1:1", "1.5:30:00", ":::"] {
            assert_eq!(degrees(bad), None, "{bad}");
        }
    }

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
