//! Why features could not be ranked: one enum for the crate.

use std::{io, path::PathBuf};

/// Why features could not be ranked, or a ranking not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RankError {
    /// Labels and flags come one per row.
    #[error("{what}: expected {expected} entries, one per row, found {found}")]
    LengthMismatch {
        /// Which slice.
        what: &'static str,
        /// Rows of the table.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// A part of the rows that has nothing in it.
    #[error("{part} rows: expected at least {expected}, found {found}")]
    TooFewRows {
        /// `training` or `hold-out`.
        part: &'static str,
        /// Fewest rows accepted.
        expected: usize,
        /// Rows found.
        found: usize,
    },
    /// Nothing to tell apart.
    #[error("{part} rows: expected interesting and other rows, found {interesting} interesting of {rows}")]
    OneClass {
        /// `training` or `hold-out`.
        part: &'static str,
        /// Interesting rows.
        interesting: usize,
        /// All rows of this part.
        rows: usize,
    },
    /// A table without columns.
    #[error("features: expected at least one column, found none")]
    NoFeatures,
    /// NaN and infinity lie on no side of a threshold.
    #[error("features: expected a finite value, found {found} in row {row}, column {column}")]
    NotFinite {
        /// Row of the first such value, from 0.
        row: usize,
        /// Its column, from 0.
        column: usize,
        /// The value.
        found: f32,
    },
    /// No feature has a cut that helps, so there is no order among them.
    #[error("features: expected a column that separates the training rows, found none among {columns}")]
    NothingSeparates {
        /// Number of columns.
        columns: usize,
    },
    /// A setting outside its range.
    #[error("{name}: expected {expected}, found {found}")]
    BadSetting {
        /// Name of the setting.
        name: &'static str,
        /// What is accepted.
        expected: &'static str,
        /// The value found.
        found: String,
    },
    /// A file could not be read or written.
    #[error("cannot access {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no saved ranking.
    #[error("{path}: not a saved ranking", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// The file parses, but its order is not one of its features.
    #[error("{path}: {field}: expected {expected}, found {found}", path = path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// Field of the ranking.
        field: &'static str,
        /// What is accepted.
        expected: String,
        /// What the file says.
        found: String,
    },
}
