//! Names and numbers of the classes of objects, as caesar's options give them: `{"compact": 2, "extended": 3}`.

use std::collections::BTreeMap;

use crate::error::Error;

/// Names of classes and their numbers; `background` is always 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassDictionary {
    ids: BTreeMap<String, u32>,
}

impl ClassDictionary {
    /// The five classes of the paper (reference-facts A4): spurious 1, compact 2, extended 3, extended-multisland 4, flagged 5.
    pub fn paper() -> Self {
        let names = ["background", "spurious", "compact", "extended", "extended-multisland", "flagged"];
        Self { ids: (0..).zip(names).map(|(id, name)| (name.to_owned(), id)).collect() }
    }

    /// Reads a dictionary from JSON text; `background` is added where it is missing.
    ///
    /// # Errors
    /// [`Error::ClassDictionary`] for text that is no such dictionary, an empty name, two classes of one number, a `background`
    /// that is not 0, or another class that is.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |found: String, expected: &str| Error::ClassDictionary { found, expected: expected.to_owned() };
        let mut ids: BTreeMap<String, u32> = serde_json::from_str(text)
            .map_err(|refused| wrong(refused.to_string(), "JSON such as {\"compact\": 1, \"extended\": 2}"))?;
        ids.entry("background".to_owned()).or_insert(0);
        let mut names: BTreeMap<u32, &str> = BTreeMap::new();
        for (name, &id) in &ids {
            if name.trim().is_empty() {
                return Err(wrong("an empty name".to_owned(), "a name for each class"));
            }
            if let Some(other) = names.insert(id, name) {
                return Err(wrong(
                    format!("number {id} for `{other}` and `{name}`"),
                    "a number of its own for each class",
                ));
            }
        }
        if ids.get("background") != Some(&0) {
            return Err(wrong(format!("background: {:?}", ids.get("background")), "0"));
        }
        Ok(Self { ids })
    }

    /// The number of a class.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    /// The name of a number.
    pub fn name(&self, id: u32) -> Option<&str> {
        self.ids.iter().find(|(_, known)| **known == id).map(|(name, _)| name.as_str())
    }

    /// All classes in the order of their numbers, `background` first.
    pub fn classes(&self) -> Vec<(u32, &str)> {
        let mut classes: Vec<(u32, &str)> = self.ids.iter().map(|(name, id)| (*id, name.as_str())).collect();
        classes.sort_unstable();
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_of_the_authors_are_read() {
        let text = r#"{"spurious":1,"compact":2,"extended":3,"extended-multisland":4,"flagged":5}"#;
        assert_eq!(ClassDictionary::parse(text).expect("the paper's"), ClassDictionary::paper());
        let old = ClassDictionary::parse(r#"{"sidelobe":1,"source":2,"galaxy":3}"#).expect("the old one");
        assert_eq!((old.id("galaxy"), old.name(0), old.id("compact")), (Some(3), Some("background"), None));
        assert_eq!(old.classes()[1], (1, "sidelobe"));
        for bad in ["", "[]", r#"{"a":-1}"#, r#"{"a":1,"b":1}"#, r#"{"a":0}"#, r#"{"background":1}"#, r#"{" ":1}"#] {
            assert!(matches!(ClassDictionary::parse(bad), Err(Error::ClassDictionary { .. })), "{bad}");
        }
    }
}
