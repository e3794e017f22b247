//! One header card: keyword, value and comment; read through fitsrs, written by us.

use fitsrs::card::{Card as ParsedCard, Value as ParsedValue};

use crate::error::FitsError;

/// Length of a card in bytes.
pub const CARD_BYTES: usize = 80;

/// A header card.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Up to eight of `A-Z 0-9 - _`; `COMMENT` and `HISTORY` hold running text.
    pub keyword: String,
    /// The value.
    pub value: CardValue,
    /// What follows the slash; shortened where the card is full.
    pub comment: String,
}

/// The value of a card.
#[derive(Debug, Clone, PartialEq)]
pub enum CardValue {
    /// A whole number.
    Integer(i64),
    /// A real number.
    Float(f64),
    /// `T` or `F`.
    Logical(bool),
    /// A string; longer ones than a card holds are continued (`CONTINUE`).
    Text(String),
    /// No value, or one that could not be read.
    Undefined,
}

impl From<i64> for CardValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for CardValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for CardValue {
    fn from(value: bool) -> Self {
        Self::Logical(value)
    }
}

impl From<&str> for CardValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for CardValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl Card {
    /// A card with a value, for instance `Card::new("BMAJ", 0.004, "beam, degrees")`.
    pub fn new(keyword: &str, value: impl Into<CardValue>, comment: &str) -> Self {
        Self { keyword: keyword.to_owned(), value: value.into(), comment: comment.to_owned() }
    }

    /// A line of processing history.
    pub fn history(text: &str) -> Self {
        Self::new("HISTORY", text, "")
    }

    /// A line of running text.
    pub fn remark(text: &str) -> Self {
        Self::new("COMMENT", text, "")
    }

    /// Whether the card holds running text rather than a value.
    pub fn is_commentary(&self) -> bool {
        matches!(self.keyword.as_str(), "COMMENT" | "HISTORY" | "")
    }

    /// Reads one card. Whatever cannot be understood becomes a card with [`CardValue::Undefined`], as old files are full of
    /// small sins (TAB characters among them) that must not keep their pixels from us.
    pub fn parse(raw: &[u8; CARD_BYTES]) -> Self {
        if has_lone_quote(raw) {
            return Self::unreadable(raw);
        }
        let (keyword, value) = match ParsedCard::try_from(raw) {
            Ok(ParsedCard::Value { name, value } | ParsedCard::Hierarch { name, value }) => (name, value),
            Ok(ParsedCard::Comment(text)) => {
                let keyword = if raw.starts_with(b"COMMENT ") { "COMMENT" } else { "" };
                return Self::new(keyword, text, "");
            }
            Ok(ParsedCard::History(text)) => return Self::new("HISTORY", text, ""),
            Ok(ParsedCard::Space) => return Self::new("", "", ""),
            Ok(ParsedCard::End) => return Self::new("END", CardValue::Undefined, ""),
            Ok(ParsedCard::Continuation { string, comment }) => {
                let text = string.unwrap_or_default();
                return Self::new("CONTINUE", text, &comment.unwrap_or_default());
            }
            Ok(ParsedCard::Xtension { .. }) => {
                let text = String::from_utf8_lossy(&raw[10..]);
                let name = text.split('\'').nth(1).unwrap_or_default().trim();
                return Self::new("XTENSION", name, "");
            }
            Ok(ParsedCard::Undefined(_)) | Err(_) => return Self::unreadable(raw),
        };
        match value {
            ParsedValue::Integer { value, comment } => Self::new(&keyword, value, comment_of(&comment)),
            ParsedValue::Float { value, comment } => Self::new(&keyword, value, comment_of(&comment)),
            ParsedValue::Logical { value, comment } => Self::new(&keyword, value, comment_of(&comment)),
            ParsedValue::String { value, comment } => Self::new(&keyword, value.trim_end(), comment_of(&comment)),
            ParsedValue::Undefined | ParsedValue::Invalid(_) => Self::new(&keyword, CardValue::Undefined, ""),
        }
    }

    fn unreadable(raw: &[u8; CARD_BYTES]) -> Self {
        let keyword = String::from_utf8_lossy(&raw[..8]);
        Self::new(keyword.trim(), CardValue::Undefined, String::from_utf8_lossy(&raw[8..]).trim())
    }

    /// The card as it stands in a file; a long string gives several.
    ///
    /// # Errors
    /// A keyword outside `A-Z 0-9 - _` or longer than eight, and a number that is not finite: FITS has no way to write them.
    pub fn format(&self) -> Result<Vec<[u8; CARD_BYTES]>, FitsError> {
        let refuse = |reason: &str| FitsError::BadCard { keyword: self.keyword.clone(), reason: reason.to_owned() };
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if self.keyword.len() > 8 || !self.keyword.bytes().all(allowed) {
            return Err(refuse("a keyword has at most eight characters of A-Z, 0-9, - and _"));
        }
        if self.is_commentary() {
            let text = match &self.value {
                CardValue::Text(text) => printable(text),
                _ => return Err(refuse("running text expected")),
            };
            let chunks: Vec<&[u8]> = if text.is_empty() { vec![b""] } else { text.as_bytes().chunks(72).collect() };
            return Ok(chunks.iter().map(|chunk| padded(format!("{:8}", self.keyword).as_bytes(), chunk)).collect());
        }
        let value = match &self.value {
            CardValue::Integer(value) => format!("{value:>20}"),
            CardValue::Float(value) if !value.is_finite() => return Err(refuse("only finite numbers can be written")),
            CardValue::Float(value) => format!("{:>20}", real(*value)),
            CardValue::Logical(value) => format!("{:>20}", if *value { "T" } else { "F" }),
            CardValue::Text(text) => return Ok(self.format_text(&printable(text))),
            CardValue::Undefined => " ".repeat(20),
        };
        Ok(vec![self.line(&value)])
    }

    fn format_text(&self, text: &str) -> Vec<[u8; CARD_BYTES]> {
        // 68 characters fit between the quotes of one card, a quote inside counting twice; `&` announces more.
        let mut pieces = vec![String::new()];
        let mut room = 67;
        for character in text.chars() {
            let cost = if character == '\'' { 2 } else { 1 };
            if cost > room {
                pieces.push(String::new());
                room = 67;
            }
            room -= cost;
            if let Some(piece) = pieces.last_mut() {
                piece.push(character);
                if character == '\'' {
                    piece.push('\'');
                }
            }
        }
        let last = pieces.len() - 1;
        let quoted = |index: usize, piece: &str| match (index == last, index) {
            (true, 0) => format!("'{piece:<8}'"),
            (true, _) => format!("'{piece}'"),
            (false, _) => format!("'{piece}&'"),
        };
        let mut lines = vec![self.line(&format!("{:<20}", quoted(0, &pieces[0])))];
        for (index, piece) in pieces.iter().enumerate().skip(1) {
            lines.push(padded(b"CONTINUE  ", quoted(index, piece).as_bytes()));
        }
        lines
    }

    fn line(&self, value: &str) -> [u8; CARD_BYTES] {
        let mut text = format!("{:<8}= {value}", self.keyword);
        if !self.comment.is_empty() && text.len() + 4 < CARD_BYTES {
            text.push_str(" / ");
            text.push_str(&printable(&self.comment));
        }
        padded(b"", text.as_bytes())
    }
}

fn comment_of(comment: &Option<String>) -> &str {
    comment.as_deref().unwrap_or_default().trim()
}

/// Shortest text that reads back as the same number, with the point that tells a real from a whole number.
fn real(value: f64) -> String {
    let plain = format!("{value:?}").to_uppercase();
    match plain.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        _ => plain,
    }
}

/// FITS headers hold printable ASCII only.
fn printable(text: &str) -> String {
    let one = |character: char| match character {
        ' '..='~' => character,
        '\t' | '\n' | '\r' => ' ',
        _ => '?',
    };
    text.chars().map(one).collect()
}

/// `start` and `rest`, cut or filled with blanks to one card.
pub(crate) fn padded(start: &[u8], rest: &[u8]) -> [u8; CARD_BYTES] {
    let mut line = [b' '; CARD_BYTES];
    for (to, from) in line.iter_mut().zip(start.iter().chain(rest)) {
        *to = *from;
    }
    line
}

/// A value that is one single quote makes fitsrs 0.4.1 cut a string beyond its end, and panic.
fn has_lone_quote(raw: &[u8; CARD_BYTES]) -> bool {
    let quotes = raw[8..].iter().filter(|&&byte| byte == b'\'').count();
    if quotes != 1 {
        return false;
    }
    let is_quote = |value: &[u8]| value.trim_ascii() == b"'";
    let after_equals = raw[8..].iter().position(|&byte| byte == b'=').map(|at| &raw[8 + at + 1..]);
    is_quote(&raw[10..]) || is_quote(&raw[8..]) || after_equals.is_some_and(is_quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(card: &Card) -> Card {
        let lines = card.format().expect("the card is legal");
        assert_eq!(lines.len(), 1, "{card:?}");
        Card::parse(&lines[0])
    }

    #[test]
    fn cards_survive_writing_and_reading() {
        for card in [
            Card::new("NAXIS1", 512_i64, "columns"),
            Card::new("CRVAL1", 255.449637133, "degrees"),
            Card::new("CDELT1", -1.0e-300 / 3.0, ""),
            Card::new("BSCALE", 1.0, ""),
            Card::new("BIG", 4.0e22, "no point in Rust's text"),
            Card::new("SIMPLE", true, "a standard file"),
            Card::new("BUNIT", "Jy/beam", "it's a 'unit'"),
            Card::new("OBSERVER", "O'Neil / it's", "quotes and a slash"),
        ] {
            // fitsrs keeps doubled quotes inside strings as one.
            assert_eq!(round_trip(&card), card);
        }
    }

    #[test]
    fn a_value_starts_in_column_11_and_ends_in_column_30() {
        let line = Card::new("BITPIX", -32_i64, "pixels").format().expect("legal")[0];
        assert_eq!(&line[..42], b"BITPIX  =                  -32 / pixels   ");
        let line = Card::new("TELESCOP", "ATCA", "").format().expect("legal")[0];
        assert_eq!(&line[..22], b"TELESCOP= 'ATCA    '  ");
    }

    #[test]
    fn what_fits_cannot_hold_is_refused() {
        for card in [Card::new("crval1", 1.0, ""), Card::new("TOOLONGKEY", 1.0, ""), Card::new("RMS", f64::NAN, "")] {
            let refused = card.format().expect_err("must be refused").to_string();
            assert!(refused.contains(&card.keyword), "{refused}");
        }
    }

    #[test]
    fn a_lone_quote_and_odd_bytes_are_no_reason_to_panic() {
        for text in
            ["OBJECT  = '", "CONTINUE  '", "XTENSION= '", "HIERARCH ESO TEL = '", "HIERARCH = '", "A\t\tB   = 1"]
        {
            let card = Card::parse(&padded(b"", text.as_bytes()));
            assert_eq!(card.value, CardValue::Undefined, "{text}");
        }
        let tabs = Card::parse(&padded(b"COMMENT ", b"a\tb"));
        assert_eq!(tabs.keyword, "COMMENT");
        assert!(Card::parse(&[0xff; CARD_BYTES]).value == CardValue::Undefined);
    }

    #[test]
    fn commentary_is_broken_into_lines() {
        let lines = Card::history(&"x".repeat(100)).format().expect("legal");
        assert_eq!(lines.len(), 2);
        assert_eq!(&lines[1][..37], format!("HISTORY {} ", "x".repeat(28)).as_bytes());
    }
}
