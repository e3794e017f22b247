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
    /// A file with weights lacks layers of the network it otherwise holds, or has other ones.
    #[error("{path}: {network}: missing {missing}; unexpected {unexpected}", path = path.display())]
    EncoderNames {
        /// The file.
        path: PathBuf,
        /// The network its names belong to.
        network: &'static str,
        /// Tensors the network needs.
        missing: Names,
        /// Tensors of layers the network does not have.
        unexpected: Names,
    },
    /// Something that only a residual network can do was asked of a vision transformer.
    #[error("{what}: expected a residual network, found a vision transformer")]
    ResidualOnly {
        /// What was asked for.
        what: &'static str,
    },
    /// Weights that came with a scaling of the images that cannot be applied.
    #[error("input scaling: expected finite numbers and divisors above 0, found {found:?}")]
    InputScaling {
        /// The scaling.
        found: crate::resnet::InputScaling,
    },
}

/// Names in a message: the first few, and how many more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl From<Vec<String>> for Names {
    fn from(names: Vec<String>) -> Self {
        Self(names)
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 8;
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        let shown: Vec<&str> = self.0.iter().map(String::as_str).take(SHOWN).collect();
        write!(f, "{} ({}", self.0.len(), shown.join(", "))?;
        f.write_str(if self.0.len() > SHOWN { ", …)" } else { ")" })
    }
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
