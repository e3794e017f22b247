//! Why a forest could not be grown, scored, read or written: one enum for the crate.

use std::{io, path::PathBuf};

/// Why a forest could not be grown, scored, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForestError {
    /// A forest needs rows to tell apart.
    #[error("features: expected at least {expected} rows, found {found}")]
    TooFewRows {
        /// Fewest rows accepted.
        expected: usize,
        /// Rows given.
        found: usize,
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
    /// The table to score has other columns than the forest was grown on.
    #[error("features: expected {expected} columns as in the forest, found {found}")]
    WrongWidth {
        /// Columns of the training table.
        expected: usize,
        /// Columns given.
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
    /// An imported or loaded tree that no forest can have.
    #[error("tree {tree}, node {node}: expected {expected}, found {found}")]
    BadTree {
        /// Tree, from 0.
        tree: usize,
        /// Node in that tree, from 0.
        node: usize,
        /// What is accepted.
        expected: String,
        /// What the tree says.
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
    /// The file is no saved forest.
    #[error("{path}: not a saved isolation forest", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// The file is a forest of another format version.
    #[error("{path}: expected format {expected:?}, found {found:?}", path = path.display())]
    WrongFormat {
        /// The file.
        path: PathBuf,
        /// The format this crate writes.
        expected: &'static str,
        /// The format of the file.
        found: String,
    },
    /// The file parses, but one of its trees is no tree; the cause says which.
    #[error("{path}: invalid forest", path = path.display())]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// Which tree and node.
        #[source]
        source: Box<ForestError>,
    },
    /// The threshold scan of a grid point failed.
    #[error("threshold scan of the forest's scores")]
    Metrics(#[from] metrics::MetricsError),
}
