//! Why a map could not be made, read or written: one enum for the crate.

use std::{io, path::PathBuf};

use neighbours::NeighbourError;

/// Why a map could not be made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// A neighbourhood needs as many rows as it has members, components need variance between rows.
    #[error("features: expected at least {expected} rows, found {found}")]
    TooFewRows {
        /// Fewest rows accepted.
        expected: usize,
        /// Rows given.
        found: usize,
    },
    /// A table without columns.
    #[error("features: expected at least one column, found none")]
    NoColumns,
    /// NaN and infinity have no place on a map.
    #[error("features: expected a finite value, found {found} in row {row}, column {column}")]
    NotFinite {
        /// Row of the first such value, from 0.
        row: usize,
        /// Its column, from 0.
        column: usize,
        /// The value.
        found: f32,
    },
    /// All rows are equal: there is nothing to map.
    #[error("features: expected rows that differ, found {rows} equal ones")]
    Constant {
        /// Rows given.
        rows: usize,
    },
    /// New rows have other columns than those of the fit.
    #[error("features: expected {expected} columns as in the fit, found {found}")]
    WrongWidth {
        /// Columns of the fit.
        expected: usize,
        /// Columns given.
        found: usize,
    },
    /// Two lists about the same rows have different lengths.
    #[error("{name}: expected {expected} entries, one a row, found {found}")]
    WrongLength {
        /// Which list.
        name: &'static str,
        /// Rows.
        expected: usize,
        /// Entries given.
        found: usize,
    },
    /// A supervised map needs labels to follow.
    #[error("labels: expected at least {expected} labelled rows, found {found}")]
    TooFewLabels {
        /// Fewest accepted.
        expected: usize,
        /// Labelled rows given.
        found: usize,
    },
    /// A setting outside its range, for this table.
    #[error("{name}: expected {expected}, found {found}")]
    BadSetting {
        /// Name of the setting.
        name: &'static str,
        /// What is accepted.
        expected: String,
        /// The value found.
        found: String,
    },
    /// The search for neighbours failed.
    #[error("search for neighbours")]
    Neighbours(#[from] NeighbourError),
    /// A file could not be read or written.
    #[error("cannot access {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no map that this crate wrote.
    #[error("{path}: {what}: expected {expected}, found {found}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The part of the file.
        what: String,
        /// What is accepted.
        expected: String,
        /// What the file says.
        found: String,
    },
}

/// A setting that fails its check, as an error.
pub(crate) fn check(
    holds: bool,
    name: &'static str,
    expected: &str,
    found: impl std::fmt::Display,
) -> Result<(), MapError> {
    if holds { Ok(()) } else { Err(MapError::BadSetting { name, expected: expected.into(), found: found.to_string() }) }
}
