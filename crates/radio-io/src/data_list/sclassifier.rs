//! The data list of sclassifier (reference-facts A6): JSON with one record per source, naming the images of its channels.
//!
//! Keys that are not known here are kept and written back, so that a list can pass through without loss.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json::{nan_as_null, parse_json, write_json};
use crate::error::Error;

/// The key under which the records stand unless the user says otherwise.
pub const DEFAULT_KEY: &str = "data";

/// A list. Invariant once read: all records have as many files, and as many features where they have any.
#[derive(Debug, Clone, PartialEq)]
pub struct DataList {
    /// Where it was read, for messages.
    pub path: PathBuf,
    /// The key of the records, usually [`DEFAULT_KEY`].
    pub key: String,
    /// The records in order.
    pub records: Vec<DataRecord>,
    /// All other keys of the file.
    pub other: Map<String, Value>,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// One image per channel.
    pub filepaths: Vec<PathBuf>,
    /// Name.
    pub sname: String,
    /// Number of its class; several in multi-label lists. 0 and -1 mean unknown or mixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<OneOrMany<i64>>,
    /// Name of its class, or several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<OneOrMany<String>>,
    /// Per channel, whether it may be normalised: 0 or 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalizable: Option<Vec<u8>>,
    /// Which of several augmenters is for this record; 0 if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmenter_index: Option<usize>,
    /// Representation; NaN is written as `null`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "nan_as_null")]
    pub feats: Option<Vec<f64>>,
    /// All other keys: `is_outlier`, `outlier_score`, `clust_id`, `clust_prob`, …
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A value, or an array of them: both forms are in use and are written back as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// A single value.
    One(T),
    /// An array.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// All values.
    pub fn all(&self) -> &[T] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

impl DataRecord {
    /// Numbers of its classes.
    pub fn ids(&self) -> &[i64] {
        self.id.as_ref().map(OneOrMany::all).unwrap_or_default()
    }

    /// Names of its classes.
    pub fn labels(&self) -> &[String] {
        self.label.as_ref().map(OneOrMany::all).unwrap_or_default()
    }

    /// Whether training leaves it out by default: no class number, or none but 0 (unknown) and -1 (mixed).
    pub fn is_unknown(&self) -> bool {
        self.ids().iter().all(|id| matches!(id, 0 | -1))
    }

    /// Its files; relative ones against the folder where the program would have run.
    pub fn files(&self, working_directory: &Path) -> Vec<PathBuf> {
        self.filepaths.iter().map(|path| working_directory.join(path)).collect()
    }

    /// Another number of the record, for instance `outlier_score`; `None` if there is none of that name.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.other.get(key).and_then(Value::as_f64)
    }
}

impl DataList {
    /// Reads a list whose records stand under `key` ([`DEFAULT_KEY`]).
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Json`]; [`Error::ListEntry`] if the key is missing, a record is not of the right form, has no
    /// file or no name, or differs from the first in its number of files or features.
    pub fn read(path: &Path, key: &str) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
        Self::parse(&text, path, key)
    }

    /// Like [`DataList::read`] for text that is already in memory and would stand in the file `path`.
    ///
    /// # Errors
    /// Those of [`DataList::read`].
    pub fn parse(text: &str, path: &Path, key: &str) -> Result<Self, Error> {
        let mut other: Map<String, Value> = parse_json(text, path)?;
        let wrong = |entry: String, key: &str, found: String, expected: &str| Error::ListEntry {
            path: path.into(),
            entry,
            key: key.into(),
            found,
            expected: expected.to_owned(),
        };
        let records = match other.remove(key) {
            Some(Value::Array(records)) => records,
            Some(_) => return Err(wrong("top level".to_owned(), key, "no array".to_owned(), "an array of records")),
            None => {
                let keys: Vec<&String> = other.keys().collect();
                return Err(wrong(
                    "top level".to_owned(),
                    key,
                    format!("missing; keys are {keys:?}"),
                    "an array of records",
                ));
            }
        };
        let mut list =
            Self { path: path.into(), key: key.to_owned(), records: Vec::with_capacity(records.len()), other };
        for (number, record) in records.into_iter().enumerate() {
            let name = record.get("sname").and_then(Value::as_str).unwrap_or_default().to_owned();
            let record = serde_json::from_value(record).map_err(|refused| {
                let entry = format!("record {number} `{name}`");
                wrong(entry, "a value", refused.to_string(), "a record of sclassifier")
            })?;
            list.records.push(record);
        }
        list.check()?;
        Ok(list)
    }

    /// Writes the list, atomically.
    ///
    /// # Errors
    /// [`Error::ListEntry`] as for [`DataList::read`], [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        self.check()?;
        let mut whole = self.other.clone();
        let records = serde_json::to_value(&self.records);
        let refused = |refused: serde_json::Error| Error::Io { path: path.into(), source: refused.into() };
        whole.insert(self.key.clone(), records.map_err(refused)?);
        write_json(&whole, path)
    }

    /// Files per record; 0 for an empty list.
    pub fn channels(&self) -> usize {
        self.records.first().map_or(0, |record| record.filepaths.len())
    }

    fn check(&self) -> Result<(), Error> {
        let channels = self.channels();
        let features = self.records.iter().find_map(|record| record.feats.as_ref()).map(Vec::len);
        for (number, record) in self.records.iter().enumerate() {
            let wrong = |key: &str, found: String, expected: String| {
                let entry = format!("record {number} `{}`", record.sname);
                Err(Error::ListEntry { path: self.path.clone(), entry, key: key.into(), found, expected })
            };
            let files = record.filepaths.len();
            if files == 0 {
                return wrong("filepaths", "empty".to_owned(), "at least one file".to_owned());
            }
            if files != channels {
                return wrong("filepaths", format!("{files} files"), format!("{channels} as in the first record"));
            }
            if record.sname.trim().is_empty() {
                return wrong("sname", "empty".to_owned(), "a name".to_owned());
            }
            let flags = record.normalizable.as_deref();
            if flags.is_some_and(|flags| flags.len() != channels || flags.iter().any(|flag| *flag > 1)) {
                return wrong("normalizable", format!("{flags:?}"), format!("{channels} times 0 or 1"));
            }
            if let (Some(feats), Some(expected)) = (&record.feats, features)
                && feats.len() != expected
            {
                return wrong(
                    "feats",
                    format!("{} numbers", feats.len()),
                    format!("{expected} as in the first record"),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = r#"{
  "data": [
    {"filepaths": ["a/x.fits", "a/y.fits"], "sname": "x", "id": 3, "label": "3C-3P", "normalizable": [1, 0], "feats": [0.1, NaN]},
    {"filepaths": ["/b/x.fits", "/b/y.fits"], "sname": "y", "id": [0, -1], "label": ["A", "B"], "augmenter_index": 1,
     "outlier_score": 0.75, "is_outlier": 0, "note": {"deep": [1, null]}}
  ],
  "made_by": "hand"
}"#;

    fn parse(text: &str) -> Result<DataList, Error> {
        DataList::parse(text, Path::new("list.json"), DEFAULT_KEY)
    }

    #[test]
    fn every_key_is_read_and_kept() -> Result<(), Box<dyn std::error::Error>> {
        let list = parse(TEXT)?;
        let [x, y] = &list.records[..] else { panic!("two records") };
        assert_eq!((x.ids(), x.labels(), x.is_unknown()), (&[3][..], &["3C-3P".to_owned()][..], false));
        assert!(x.feats.as_ref().is_some_and(|feats| feats[0] == 0.1 && feats[1].is_nan()));
        assert_eq!((y.ids(), y.labels().len(), y.is_unknown()), (&[0, -1][..], 2, true));
        assert_eq!((y.number("outlier_score"), y.number("note"), y.augmenter_index), (Some(0.75), None, Some(1)));
        assert_eq!(x.files(Path::new("/lists"))[0], Path::new("/lists/a/x.fits"));
        assert_eq!(y.files(Path::new("/work"))[0], Path::new("/b/x.fits"));
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("again.json");
        list.write(&path)?;
        let again = DataList::read(&path, DEFAULT_KEY)?;
        // NaN is not equal to itself; its text is.
        assert_eq!(format!("{:?}", again.records), format!("{:?}", list.records));
        assert_eq!(again.other, list.other);
        Ok(())
    }

    #[test]
    fn mistakes_are_named() {
        for (from, to, key, part) in [
            ("\"data\"", "\"datum\"", "data", "datum"),
            ("[\"a/x.fits\", \"a/y.fits\"]", "[]", "filepaths", "record 0 `x`"),
            ("[\"/b/x.fits\", \"/b/y.fits\"]", "[\"/b/x.fits\"]", "filepaths", "record 1 `y`"),
            ("\"sname\": \"y\"", "\"sname\": \" \"", "sname", "record 1"),
            ("[1, 0]", "[1, 2]", "normalizable", "0 or 1"),
            ("\"id\": 3", "\"id\": \"3\"", "a value", "record 0 `x`"),
        ] {
            assert!(TEXT.contains(from), "{from}");
            let refused = parse(&TEXT.replacen(from, to, 1)).expect_err(to);
            assert!(matches!(&refused, Error::ListEntry { key: found, .. } if **found == *key), "{to}: {refused}");
            assert!(refused.to_string().contains(part), "{refused}");
        }
        assert!(matches!(parse("{\"data\": [}"), Err(Error::Json { line: 1, column: 11, .. })));
        assert!(matches!(parse(&TEXT[..200]), Err(Error::Json { .. })));
    }

    proptest! {
        #[test]
        fn lists_survive_writing(
            names in prop::collection::vec("[ -~é]{1,9}[a-z]", 0..5),
            ids in prop::collection::vec(any::<i64>(), 5),
            feats in prop::collection::vec(prop::num::f64::NORMAL, 3),
            many in any::<bool>(),
        ) {
            let record = |(number, name): (usize, &String)| DataRecord {
                filepaths: vec![name.into()],
                sname: name.clone(),
                id: Some(if many { OneOrMany::Many(ids.clone()) } else { OneOrMany::One(ids[number]) }),
                label: None,
                normalizable: None,
                augmenter_index: None,
                feats: Some(feats.clone()),
                other: Map::new(),
            };
            let records = names.iter().enumerate().map(record).collect();
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("list.json");
            let list = DataList { path: path.clone(), key: "rows".to_owned(), records, other: Map::new() };
            list.write(&path).expect("can be written");
            prop_assert_eq!(DataList::read(&path, "rows").expect("own list"), list);
        }

        #[test]
        fn any_damage_is_an_error_or_a_list(at in 0_usize..TEXT.len(), byte in 32_u8..127) {
            let mut bytes = TEXT.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = parse(&String::from_utf8_lossy(&bytes));
        }
    }
}
