//! A FITS header: its cards in order, and the value of each keyword.

use std::collections::HashMap;

use crate::card::{CARD_BYTES, Card, CardValue};

/// The cards of one header, as read.
#[derive(Debug, Clone, Default)]
pub struct Header {
    raw: Vec<[u8; CARD_BYTES]>,
    cards: Vec<Card>,
    // First card of each keyword: the standard forbids repetition, and where it happens the first is the program's own.
    index: HashMap<String, usize>,
}

impl Header {
    /// Reads the cards of a header, without its END card. Continued strings are joined.
    pub fn from_raw(raw: Vec<[u8; CARD_BYTES]>) -> Self {
        let mut cards: Vec<Card> = Vec::with_capacity(raw.len());
        let mut open: Option<usize> = None;
        for line in &raw {
            let card = Card::parse(line);
            if let (Some(at), "CONTINUE", CardValue::Text(more)) = (open, card.keyword.as_str(), &card.value) {
                if let CardValue::Text(text) = &mut cards[at].value {
                    text.pop();
                    text.push_str(more);
                    open = text.ends_with('&').then_some(at);
                }
                continue;
            }
            open = is_continued(&card).then_some(cards.len());
            cards.push(card);
        }
        Self { raw, index: index_of(&cards), cards }
    }

    /// The header of a file yet to be written, from cards.
    pub fn from_cards(cards: &[Card]) -> Self {
        Self { raw: Vec::new(), cards: cards.to_vec(), index: index_of(cards) }
    }

    /// The cards in the order of the file, continued strings joined.
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// The 80-byte lines as they stand in the file, without the END card.
    pub fn raw_cards(&self) -> &[[u8; CARD_BYTES]] {
        &self.raw
    }

    /// The first card of that keyword.
    pub fn get(&self, keyword: &str) -> Option<&Card> {
        self.index.get(keyword).map(|&at| &self.cards[at])
    }

    /// A number, whole or real; `None` if the keyword is missing, has no number, or one that is not finite.
    pub fn float(&self, keyword: &str) -> Option<f64> {
        match self.get(keyword)?.value {
            CardValue::Float(value) => Some(value).filter(|value| value.is_finite()),
            CardValue::Integer(value) => Some(value as f64),
            _ => None,
        }
    }

    /// A whole number, also when written as `2.` or `2.0E0`.
    pub fn integer(&self, keyword: &str) -> Option<i64> {
        match self.get(keyword)?.value {
            CardValue::Integer(value) => Some(value),
            // Beyond 2^53 a real number no longer says which whole number is meant.
            CardValue::Float(value) if value.fract() == 0.0 && value.abs() < 9.0e15 => Some(value as i64),
            _ => None,
        }
    }

    /// A string without trailing blanks; `None` if missing, blank, or not a string.
    pub fn text(&self, keyword: &str) -> Option<&str> {
        match &self.get(keyword)?.value {
            CardValue::Text(text) => Some(text.trim()).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// `T` or `F`.
    pub fn logical(&self, keyword: &str) -> Option<bool> {
        match self.get(keyword)?.value {
            CardValue::Logical(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a keyword as one would write it in an error message.
    pub fn describe(&self, keyword: &str) -> String {
        match self.get(keyword).map(|card| (&card.value, &card.comment)) {
            None => "missing".to_owned(),
            Some((CardValue::Integer(value), _)) => value.to_string(),
            Some((CardValue::Float(value), _)) => format!("{value:?}"),
            Some((CardValue::Logical(value), _)) => if *value { "T" } else { "F" }.to_owned(),
            Some((CardValue::Text(text), _)) => format!("'{text}'"),
            Some((CardValue::Undefined, _)) => "unreadable".to_owned(),
        }
    }
}

/// Whether the string of a card goes on in the next one.
fn is_continued(card: &Card) -> bool {
    matches!(&card.value, CardValue::Text(text) if text.ends_with('&')) && !card.is_commentary()
}

fn index_of(cards: &[Card]) -> HashMap<String, usize> {
    let mut index = HashMap::new();
    for (at, card) in cards.iter().enumerate().filter(|(_, card)| !card.is_commentary()) {
        index.entry(card.keyword.clone()).or_insert(at);
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::padded;

    fn header(lines: &[&str]) -> Header {
        Header::from_raw(lines.iter().map(|line| padded(b"", line.as_bytes())).collect())
    }

    #[test]
    fn long_strings_are_joined_and_the_first_of_two_cards_counts() {
        let long = "a path / with it's quotes ".repeat(9);
        let raw = Card::new("ORIGFILE", long.as_str(), "").format().expect("legal");
        assert!(raw.len() > 3);
        let joined = Header::from_raw(raw);
        assert_eq!(joined.text("ORIGFILE"), Some(long.trim()));
        assert_eq!(joined.cards().len(), 1);
        let twice = header(&["CRVAL1  = 1.0", "CRVAL1  = 2.0"]);
        assert_eq!(twice.float("CRVAL1"), Some(1.0));
    }

    #[test]
    fn numbers_come_in_several_spellings() {
        let odd = header(&["NAXIS   = 2.", "EPOCH   = 2.0D3", "BLANK   = -1", "BMAJ    = 'none'", "NAXIS1  = 1.0E19"]);
        assert_eq!(odd.integer("NAXIS"), Some(2));
        assert_eq!(odd.float("EPOCH"), Some(2000.0));
        assert_eq!(odd.float("BLANK"), Some(-1.0));
        assert_eq!(odd.float("BMAJ"), None);
        assert_eq!(odd.integer("NAXIS1"), None);
        assert_eq!((odd.describe("BMAJ"), odd.describe("BMIN")), ("'none'".to_owned(), "missing".to_owned()));
    }
}
