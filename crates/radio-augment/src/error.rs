//! Why a cutout could not be turned into channels, and why a batch could not be made.

use std::error::Error;

/// A number of a recipe or an augmenter lies outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("setting `{name}`: expected {expected}, found {found}")]
pub struct SettingError {
    /// The setting.
    pub name: &'static str,
    /// Its value.
    pub found: String,
    /// The values it may have.
    pub expected: String,
}

/// Why the recipe cannot use a cutout.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// There is nothing to scale; leave the cutout out.
    #[error(
        "every one of the {pixels} pixels of the {rows} x {cols} cutout is blank: expected at least one that is not"
    )]
    AllBlank {
        /// Rows of the cutout.
        rows: usize,
        /// Columns of the cutout.
        cols: usize,
        /// Its pixels.
        pixels: usize,
    },
    /// Too much of the cutout lies outside the survey; leave it out or raise the limit.
    #[error("blank fraction: expected at most {limit}, found {found:.4}")]
    TooBlank {
        /// Share of non-finite pixels.
        found: f64,
        /// The recipe's `max_blank_fraction`.
        limit: f64,
    },
    /// MinMax would divide by zero; the cutout, or what augmentation left of it, has no structure in this channel.
    #[error("channel {channel} is flat: expected at least two different values, found {value} everywhere")]
    ConstantChannel {
        /// Which channel, from 0.
        channel: usize,
        /// The one value.
        value: f64,
    },
    /// A number of the recipe is out of range.
    #[error("recipe: {0}")]
    Setting(#[from] SettingError),
}

/// Why a batch of views could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// The pixels of a frame could not be read.
    #[error("frame {frame} (address {address}): cannot read its pixels")]
    Source {
        /// Index of the frame in its source.
        frame: usize,
        /// Its address.
        address: u64,
        /// The reason.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The recipe refused a frame.
    #[error("frame {frame} (address {address})")]
    Recipe {
        /// Index of the frame in its source.
        frame: usize,
        /// Its address.
        address: u64,
        /// The reason.
        source: RecipeError,
    },
    /// A list of frames names one that does not exist.
    #[error("no frame {frame}: expected an index below {len}")]
    NoSuchFrame {
        /// The index asked for.
        frame: usize,
        /// Number of frames in the source.
        len: usize,
    },
    /// An epoch would have no batch.
    #[error("fewer frames than a batch: expected at least {batch_size}, found {found}")]
    TooFewFrames {
        /// Frames in the source.
        found: usize,
        /// Frames of one batch.
        batch_size: usize,
    },
    /// A number of the recipe, the augmenter or the loader is out of range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The thread that prepares batches could not be started or ended early; a frame source that panics does this.
    #[error("the thread that prepares batches stopped: {reason}")]
    Worker {
        /// What is known.
        reason: String,
    },
}
