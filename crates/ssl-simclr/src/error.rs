//! What can go wrong in pre-training and embedding.
use radio_augment::LoaderError;
use radio_tensor::TensorError;

/// Errors of pre-training and embedding.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimClrError {
    /// The trunk, the optimiser or a checkpoint refused.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// Views could not be made.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// The configuration text is not valid TOML, or has unknown keys or values.
    #[error("pre-training configuration: {0}")]
    Config(String),
    /// Two numbers of the configuration contradict each other.
    #[error("pre-training configuration: {rule}: found {found}")]
    Contradiction {
        /// What must hold.
        rule: &'static str,
        /// The offending values.
        found: String,
    },
    /// The batch has more cutouts than the data set.
    #[error("batch_size is {batch_size}, but there are only {frames} cutouts: lower batch_size or cut more frames")]
    TooFewFrames {
        /// Cutouts per step.
        batch_size: usize,
        /// Cutouts there are.
        frames: usize,
    },
    /// A batch was offered in chunks that do not fit together.
    #[error("chunk {chunk} has {found} views, expected an even number, {expected} as in the first chunk")]
    Chunk {
        /// Which chunk, from 0.
        chunk: usize,
        /// Views of the first chunk.
        expected: usize,
        /// Views of this one.
        found: usize,
    },
    /// The loss stopped being a number.
    #[error(
        "the loss is {loss} at step {step} (epoch {epoch}, learning rate {lr:e}): lower peak_lr or lengthen the warm-up"
    )]
    Diverged {
        /// Optimiser step, from 0.
        step: u64,
        /// Epoch, from 0.
        epoch: u64,
        /// The loss.
        loss: f32,
        /// Learning rate of that step.
        lr: f64,
    },
    /// The gradient stopped being a number while the loss still was one.
    #[error(
        "the gradient of {parameter} is not finite at step {step} (epoch {epoch}, loss {loss}, learning rate {lr:e}): lower peak_lr or lengthen the warm-up"
    )]
    NonFiniteGradient {
        /// The first parameter it happened to.
        parameter: String,
        /// Optimiser step, from 0.
        step: u64,
        /// Epoch, from 0.
        epoch: u64,
        /// The loss.
        loss: f32,
        /// Learning rate of that step.
        lr: f64,
    },
    /// All cutouts have come to the same embedding.
    #[error(
        "the embeddings have collapsed: at step {step} (epoch {epoch}, learning rate {lr:e}) their std times the root of their width is {found:.2e}, and it was below {limit} for {steps} steps (about 1 is healthy): {advice}"
    )]
    Collapsed {
        /// Optimiser step, from 0.
        step: u64,
        /// Epoch, from 0.
        epoch: u64,
        /// Learning rate of that step.
        lr: f64,
        /// The spread of the last step ([`crate::head::embedding_std`]).
        found: f32,
        /// The spread below which a step counts.
        limit: f64,
        /// Steps in a row that counted.
        steps: u64,
        /// What to change.
        advice: &'static str,
    },
    /// Cutouts and labels of the monitor do not belong together.
    #[error("the monitor has {frames} cutouts and {labels} labels: give one label for each cutout")]
    MonitorLabels {
        /// Cutouts, or rows of features.
        frames: usize,
        /// Labels.
        labels: usize,
    },
    /// A checkpoint of another run was offered for resuming.
    #[error("the checkpoint belongs to another run: {what}: expected {expected}, found {found}")]
    OtherRun {
        /// What differs.
        what: &'static str,
        /// This run's value.
        expected: String,
        /// The checkpoint's value.
        found: String,
    },
}

/// Result with [`SimClrError`].
pub type Result<T> = std::result::Result<T, SimClrError>;
