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
    /// A step asks for another number of channels; put a `channels` step before it, or give as many numbers as there are.
    #[error("step `{step}`: expected {expected} channels, found {found}")]
    WrongChannels {
        /// Which step.
        step: &'static str,
        /// What the step's numbers are for.
        expected: String,
        /// Channels at that point.
        found: usize,
    },
    /// The image cannot be divided by this maximum.
    #[error("step `{step}`, channel {channel}: expected a maximum above 0, found {found}")]
    NotPositive {
        /// Which step.
        step: &'static str,
        /// Which channel, from 0.
        channel: usize,
        /// Its largest pixel.
        found: f64,
    },
    /// The step takes pixels of a fixed range; put a `min-max` before it.
    #[error("step `{step}`, channel {channel}: expected pixels from -1 to 1, found {found}; put a `min-max` before it")]
    OutsideUnitRange {
        /// Which step.
        step: &'static str,
        /// Which channel, from 0.
        channel: usize,
        /// The first pixel outside.
        found: f32,
    },
    /// Nothing to crop from; leave the image out or crop less.
    #[error("step `center-crop`: expected at least {size} x {size} pixels, found {rows} x {cols}")]
    TooSmall {
        /// Side of the crop.
        size: usize,
        /// Rows of the image.
        rows: usize,
        /// Its columns.
        cols: usize,
    },
    /// The frame is nothing but margin; cut larger frames or take a smaller margin.
    #[error("margin: expected a frame of more than {} pixels a side, found {rows} x {cols}", 2 * margin)]
    WithinMargin {
        /// Pixels cut off every edge.
        margin: usize,
        /// Rows of the frame.
        rows: usize,
        /// Its columns.
        cols: usize,
    },
    /// Under the rule that blanks are 0 no pixel may be NaN or infinite at the end: upstream leaves such an image out.
    #[error("channel {channel}: {pixels} pixels are not finite after the last step: expected none")]
    NotFinite {
        /// Which channel, from 0.
        channel: usize,
        /// How many.
        pixels: usize,
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
