//! What an examination says: facts, and findings with their place and a remedy.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::kind::FileKind;

/// How much a finding matters. The order is that of a report: errors first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file, or a part of it, cannot be used as it is.
    Error,
    /// It can be used, but results may be wrong.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// Where in a file; all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Place {
    /// Header-data unit of a FITS file, 0 for the primary one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hdu: Option<usize>,
    /// Keyword, key or column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
    /// Byte from 0; in a gzipped file, of what is inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
    /// Line of a text file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Row of a table, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The entry of a list, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
}

impl Place {
    pub(super) fn hdu(hdu: usize) -> Self {
        Self { hdu: Some(hdu), ..Self::default() }
    }

    pub(super) fn line(line: u64) -> Self {
        Self { line: Some(line), ..Self::default() }
    }

    pub(super) fn key(keyword: &str) -> Self {
        Self::default().keyword(keyword)
    }

    pub(super) fn entry(entry: impl Into<String>) -> Self {
        Self { entry: Some(entry.into()), ..Self::default() }
    }

    pub(super) fn keyword(self, keyword: &str) -> Self {
        Self { keyword: Some(keyword.to_owned()), ..self }
    }

    pub(super) fn byte(self, byte: u64) -> Self {
        Self { byte: Some(byte), ..self }
    }
}

/// The parts that are known, with commas; `file` if none is.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.hdu.map(|hdu| format!("header {hdu}")),
            self.entry.clone(),
            self.line.map(|line| format!("line {line}")),
            self.row.map(|row| format!("row {row}")),
            self.keyword.clone(),
            self.byte.map(|byte| format!("byte {byte}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "file".to_owned() } else { parts.join(", ") }.as_str())
    }
}

/// Something that the owner of a file should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What is so.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}; {}", self.severity, self.place, self.found, self.remedy)
    }
}

/// A property of a file, for instance `beam`: `6.50" x 6.50"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// Its value in words.
    pub value: String,
}

/// What [`examine`](super::examine) found out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Examination {
    /// The file.
    pub path: PathBuf,
    /// What it is, by its contents.
    pub kind: FileKind,
    /// Its properties, in the order of the file.
    pub facts: Vec<Fact>,
    /// What is to be said about it, errors first.
    pub findings: Vec<Finding>,
}

impl Examination {
    /// How many findings have that severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    pub(super) fn fact(&mut self, name: impl Into<String>, value: impl fmt::Display) {
        self.facts.push(Fact { name: name.into(), value: value.to_string() });
    }

    pub(super) fn add(
        &mut self,
        severity: Severity,
        place: Place,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.push(Finding { severity, place, found: found.into(), remedy: remedy.into() });
    }

    pub(super) fn error(&mut self, place: Place, found: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Error, place, found, remedy);
    }

    pub(super) fn warn(&mut self, place: Place, found: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Warning, place, found, remedy);
    }

    pub(super) fn note(&mut self, place: Place, found: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Note, place, found, remedy);
    }
}
