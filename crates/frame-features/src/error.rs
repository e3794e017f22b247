//! Why a cutout could not be described: one enum for the crate, one variant per remedy.

/// Why a description could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// A cutout without pixels has no description; leave it out.
    #[error("cutout: expected at least one channel, row and column, found {channels} x {rows} x {cols}")]
    Empty {
        /// Channels (1 for a plain cutout).
        channels: usize,
        /// Rows of the cutout.
        rows: usize,
        /// Columns of the cutout.
        cols: usize,
    },
    /// A cutout without data has no description; leave it out.
    #[error("channel {channel}: every pixel of the {rows} x {cols} cutout is blank, expected at least one that is not")]
    AllBlank {
        /// Which channel, from 0 (0 for a plain cutout).
        channel: usize,
        /// Rows of the cutout.
        rows: usize,
        /// Columns of the cutout.
        cols: usize,
    },
    /// A number of a configuration is out of range.
    #[error("setting `{name}`: expected {expected}, found {found}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// The values it may have.
        expected: String,
        /// Its value.
        found: String,
    },
}

/// Fails where there is no pixel to look at.
pub(crate) fn check_not_empty(channels: usize, rows: usize, cols: usize) -> Result<(), FeatureError> {
    if channels * rows * cols == 0 { Err(FeatureError::Empty { channels, rows, cols }) } else { Ok(()) }
}

/// Fails with the name, the range and the value of a setting unless `holds`.
pub(crate) fn check_setting(
    holds: bool,
    name: &'static str,
    expected: impl Into<String>,
    found: impl std::fmt::Debug,
) -> Result<(), FeatureError> {
    if holds {
        Ok(())
    } else {
        Err(FeatureError::Setting { name, expected: expected.into(), found: format!("{found:?}") })
    }
}

/// Rounds to `f32`, the far ends of the range standing for everything beyond them: features are always finite.
pub(crate) fn finite_f32(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}
