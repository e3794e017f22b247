//! What both region formats share: errors with a line, numbers with units, limits on hostile text.

use std::path::{Path, PathBuf};

use crate::{
    celestial::{
        frame::SkyFrame,
        sexagesimal::{Sexagesimal, parse_angle},
    },
    error::Error,
};

/// Longest label, colour or tag that is kept, bytes: a `global` line or a shape with many rings would otherwise multiply it.
const LONGEST_PROPERTY: usize = 4096;
/// Most rings of one annulus.
pub(super) const MOST_RINGS: usize = 64;
/// Largest region file, bytes.
const LARGEST_FILE: u64 = 1 << 30;

/// A line of a file, for messages.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub path: &'a Path,
    pub line: usize,
}

impl Place<'_> {
    pub fn refuse(self, found: &str, expected: &str) -> Error {
        let mut short: String = found.trim().chars().take(60).collect();
        if short.len() < found.trim().len() {
            short.push('…');
        }
        Error::Region {
            path: self.path.into(),
            line: self.line,
            found: format!("`{short}`"),
            expected: expected.to_owned(),
        }
    }

    /// A label, colour or tag of bearable length.
    pub fn property(self, value: &str) -> Result<String, Error> {
        if value.len() > LONGEST_PROPERTY {
            return Err(self.refuse(value, &format!("at most {LONGEST_PROPERTY} bytes of text")));
        }
        Ok(value.to_owned())
    }

    /// A finite number.
    pub fn number(self, text: &str) -> Result<f64, Error> {
        let text = text.trim();
        // Rust's parser also takes `inf`, `nan` and `infinity`.
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        let value: Option<f64> = if plain && text.len() < 400 { text.parse().ok() } else { None };
        value.filter(|value| value.is_finite()).ok_or_else(|| self.refuse(text, "a number"))
    }

    /// A finite number that is not negative.
    pub fn length(self, text: &str) -> Result<f64, Error> {
        let value = self.number(text)?;
        if value < 0.0 { Err(self.refuse(text, "a length of 0 or more")) } else { Ok(value) }
    }

    /// Longitude or latitude in degrees; colons of a right ascension count hours.
    pub fn sky(self, text: &str, is_longitude: bool, frame: SkyFrame) -> Result<f64, Error> {
        let colons = if is_longitude && frame.is_equatorial() { Sexagesimal::Hours } else { Sexagesimal::Degrees };
        let degrees = match text.strip_suffix("rad").or_else(|| text.strip_suffix('r')) {
            Some(radians) => self.number(radians)?.to_degrees(),
            None => parse_angle(text, colons).map_err(|_| self.refuse(text, "a longitude or latitude"))?,
        };
        let limit = if is_longitude { 360.0 } else { 90.0 };
        if degrees.abs() > limit {
            return Err(self.refuse(text, "a longitude within 360 degrees and a latitude within 90"));
        }
        Ok(degrees)
    }
}

/// The text of a region file.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::Io { path: path.to_path_buf(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > LARGEST_FILE {
        return Err(Place { path, line: 1 }.refuse(&format!("{length} bytes"), "a region file of at most 1 GiB"));
    }
    // Labels may be Latin-1; what is not UTF-8 is no reason not to read the shapes.
    Ok(String::from_utf8_lossy(&std::fs::read(path).map_err(failed)?).into_owned())
}

/// An error about the region at `index` of a list that is to be written.
pub(super) fn unwritable(index: usize, found: &str, expected: &str) -> Error {
    let path = PathBuf::from(format!("(region {index} to be written)"));
    Place { path: &path, line: index + 1 }.refuse(found, expected)
}
