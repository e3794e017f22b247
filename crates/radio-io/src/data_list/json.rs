//! JSON files with errors that name file, line and column, and with the `NaN` and `Infinity` that Python writes into them.

use std::{io::Write, path::Path};

use atomic_file::{AtomicFile, write_atomically};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
    parse_json(&text, path)
}

pub(super) fn parse_json<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let refused = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(refused) => refused,
    };
    // JSON has no word for what is not finite; null is read as NaN where a number may be missing.
    if let Some(plain) = without_nan(text)
        && let Ok(value) = serde_json::from_str(&plain)
    {
        return Ok(value);
    }
    let (line, column) = (refused.line(), refused.column());
    Err(Error::Json { path: path.into(), line, column, reason: refused.to_string() })
}

/// The text with `null` for `NaN`, `Infinity` and `-Infinity` outside strings; `None` if there are none.
fn without_nan(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while !rest.is_empty() {
        if let Some(string) = rest.strip_prefix('"') {
            let mut escaped = false;
            let is_end = |byte: u8| {
                let end = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                end
            };
            let length = string.bytes().position(is_end).map_or(rest.len(), |at| at + 2);
            plain.push_str(&rest[..length]);
            rest = &rest[length..];
        } else if let Some(after) = ["NaN", "-Infinity", "Infinity"].iter().find_map(|word| rest.strip_prefix(word)) {
            plain.push_str("null");
            (rest, found) = (after, true);
        } else {
            let length = rest.chars().next().map_or(1, char::len_utf8);
            plain.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    found.then_some(plain)
}

pub(super) fn write_json<T: Serialize>(value: &T, path: &Path) -> Result<(), Error> {
    let fill = |file: &mut AtomicFile| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        writeln!(file)
    };
    write_atomically(path, fill).map_err(|source| Error::Io { path: path.into(), source })
}

/// Numbers where `null` means NaN, both ways.
pub(super) mod nan_as_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(values: &Option<Vec<f64>>, serializer: S) -> Result<S::Ok, S::Error> {
        let finite = |values: &Vec<f64>| {
            values.iter().map(|value| Some(*value).filter(|value| value.is_finite())).collect::<Vec<_>>()
        };
        values.as_ref().map(finite).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<f64>>, D::Error> {
        let values = Option::<Vec<Option<f64>>>::deserialize(deserializer)?;
        Ok(values.map(|values| values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_python_are_read_outside_strings_only() {
        let path = Path::new("list.json");
        let read: Vec<serde_json::Value> =
            parse_json(r#"[NaN, "NaN \" Infinity", -Infinity, 1.5, "é"]"#, path).expect("a list");
        assert_eq!(serde_json::to_string(&read).expect("text"), r#"[null,"NaN \" Infinity",null,1.5,"é"]"#);
        let refused = parse_json::<Vec<f64>>("[1.0,\n  oops]", path).expect_err("no number");
        assert!(matches!(refused, Error::Json { line: 2, column: 3, .. }), "{refused}");
        assert!(parse_json::<Vec<f64>>("\"NaN", path).is_err());
    }
}
