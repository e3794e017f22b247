//! What can go wrong while a survey is simulated.

use std::path::PathBuf;

/// Why a survey could not be simulated or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A number of the configuration is out of range.
    #[error("sim.toml: `{key}` is {found}, expected {expected}")]
    Config {
        /// The key at fault.
        key: &'static str,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// The text is no valid configuration.
    #[error("sim.toml: the text is no configuration of a simulated survey")]
    ConfigText {
        /// What the TOML reader says.
        source: Box<toml::de::Error>,
    },
    /// The configuration cannot be written.
    #[error("sim.toml: the configuration cannot be written as TOML")]
    ConfigWrite {
        /// What the TOML writer says.
        source: toml::ser::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A table could not be put into text.
    #[error("cannot write the table {path}", path = path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: csv::Error,
    },
    /// A FITS file could not be written; the cause names the file.
    #[error("cannot write a map of the survey")]
    Map {
        /// The cause.
        source: radio_io::FitsError,
    },
    /// A truth table could not be written; the cause names the file.
    #[error("cannot write a truth table of the survey")]
    Truth {
        /// The cause.
        source: Box<radio_io::Error>,
    },
    /// A JSON file could not be written.
    #[error("cannot write {path} as JSON", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// The label list could not be written; the cause names the file.
    #[error("cannot write the labels of the survey")]
    Labels {
        /// The cause.
        source: Box<radio_io::Error>,
    },
}
