//! What can go wrong on the compute floor, one variant per remedy.
use std::path::PathBuf;

/// Errors of kernels, layers, optimisers and checkpoints.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// A tensor of the wrong shape reached a layer.
    #[error("{what}: expected shape {expected}, found {found:?}")]
    Shape {
        /// The layer or argument.
        what: String,
        /// The shape it takes, in words.
        expected: String,
        /// The shape it got.
        found: Vec<usize>,
    },
    /// `backward` was called without a training `forward` before it.
    #[error("{0}: backward needs a training forward first")]
    NoSavedState(&'static str),
    /// A kernel was asked for that this processor cannot run.
    #[error("kernel {0}: this processor lacks the instructions")]
    KernelUnavailable(&'static str),
    /// candle refused an operation; `step` says which.
    #[error("{step}")]
    Candle {
        /// The step that called candle.
        step: &'static str,
        /// candle's reason.
        source: candle_core::Error,
    },
    /// A checkpoint file could not be read or written.
    #[error("cannot {action} checkpoint {path}", path = path.display())]
    CheckpointIo {
        /// `read` or `write`.
        action: &'static str,
        /// The checkpoint file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A checkpoint file is not a safetensors file, or is damaged.
    #[error("{path}: not a usable checkpoint: {reason}", path = path.display())]
    CheckpointFormat {
        /// The checkpoint file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint lacks a tensor, or holds it in another shape.
    #[error("{path}: tensor {name}: expected {expected}, found {found}", path = path.display())]
    CheckpointTensor {
        /// The checkpoint file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// Expected shape and type.
        expected: String,
        /// What the file holds.
        found: String,
    },
    /// Weights that came with a scaling of the images that cannot be applied.
    #[error("input scaling: expected finite numbers and divisors above 0, found {found:?}")]
    InputScaling {
        /// The scaling.
        found: crate::resnet::InputScaling,
    },
}

/// Result with [`TensorError`].
pub type Result<T> = std::result::Result<T, TensorError>;

/// Names the step in which candle failed.
pub trait DuringStep<T> {
    /// Wraps candle's error together with the step it came from.
    ///
    /// # Errors
    /// The wrapped candle error.
    fn during(self, step: &'static str) -> Result<T>;
}

impl<T> DuringStep<T> for candle_core::Result<T> {
    fn during(self, step: &'static str) -> Result<T> {
        self.map_err(|source| TensorError::Candle { step, source })
    }
}
