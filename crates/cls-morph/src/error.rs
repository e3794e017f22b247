//! What can go wrong in probing, training and predicting: one variant per remedy.
use metrics::MetricsError;
use radio_augment::{LoaderError, RecipeError};
use radio_tensor::TensorError;

/// Errors of probes and classifiers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassError {
    /// The trunk, the optimiser or a checkpoint refused.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// Images could not be made.
    #[error(transparent)]
    Loader(#[from] LoaderError),
    /// The recipe refused an image.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A metric could not be computed.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Two things that belong together differ in length.
    #[error("{what}: expected {expected}, found {found}")]
    Length {
        /// What has the wrong length.
        what: &'static str,
        /// Entries it should have.
        expected: usize,
        /// Entries it has.
        found: usize,
    },
    /// A label without a class.
    #[error("label of row {row}: expected a class below {n_classes}, found {found}")]
    UnknownClass {
        /// The row.
        row: usize,
        /// Its label.
        found: usize,
        /// Number of classes.
        n_classes: usize,
    },
    /// A feature that is not a number says nothing; leave its row out.
    #[error("feature {column} of row {row}: expected a finite number, found {found}")]
    NotFinite {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The value.
        found: f64,
    },
    /// There is not enough of something.
    #[error("{what}: expected at least {needed}, found {found}")]
    TooFew {
        /// What is missing.
        what: String,
        /// How many are needed.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// A number outside its range.
    #[error("{name}: expected {expected}, found {found}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is accepted.
        expected: &'static str,
        /// Its value.
        found: String,
    },
    /// The configuration text is not valid TOML, or has unknown keys or values.
    #[error("classifier configuration: {0}")]
    Config(String),
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
    /// A checkpoint of another run was offered for resuming, or an encoder that does not fit.
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

/// Result with [`ClassError`].
pub type Result<T> = std::result::Result<T, ClassError>;

/// Every label below the number of classes, one for each of `rows` rows.
pub(crate) fn check_labels(labels: &[usize], rows: usize, n_classes: usize) -> Result<()> {
    if labels.len() != rows {
        return Err(ClassError::Length { what: "labels", expected: rows, found: labels.len() });
    }
    match labels.iter().position(|&label| label >= n_classes) {
        Some(row) => Err(ClassError::UnknownClass { row, found: labels[row], n_classes }),
        None => Ok(()),
    }
}
