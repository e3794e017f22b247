//! The `key=value` part of a DS9 line: colour, text, tags, include; what else is there concerns drawing.

use super::text::Place;
use crate::error::Error;

/// What a `global` line sets and a region may override.
#[derive(Debug, Clone, Default)]
pub(super) struct Properties {
    pub color: Option<String>,
    pub text: Option<String>,
    pub tags: Vec<String>,
    pub include: Option<bool>,
}

/// Reads `color=red text={a name} tag={x} tag={y} include=1 width=2 …` over what is already there.
pub(super) fn read(text: &str, place: Place<'_>, properties: &mut Properties) -> Result<(), Error> {
    for (key, value) in pairs(text) {
        match key.to_ascii_lowercase().as_str() {
            "color" | "colour" => properties.color = Some(place.property(value)?).filter(|color| !color.is_empty()),
            "text" => properties.text = Some(place.property(value)?),
            "tag" => properties.tags.push(place.property(value)?),
            "include" => properties.include = Some(value.trim() != "0"),
            _ => {}
        }
    }
    Ok(())
}

/// `key=value` pairs; a value is `{…}`, `"…"`, `'…'` or a word. Words without `=` belong to the pair before, and are passed over.
fn pairs(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(equals) = rest.find('=') {
        let before = rest[..equals].trim_end();
        let key = before.rsplit(char::is_whitespace).next().unwrap_or(before);
        let value = rest[equals + 1..].trim_start();
        let (value, after) = match value.chars().next() {
            Some('{') => until(&value[1..], '}'),
            Some(quote @ ('"' | '\'')) => until(&value[1..], quote),
            _ => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        found.push((key, value));
        rest = after;
    }
    found
}

/// The text before a mark and that after it; all of it where the mark is missing.
fn until(text: &str, mark: char) -> (&str, &str) {
    text.split_once(mark).unwrap_or((text, ""))
}
