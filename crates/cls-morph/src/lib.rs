//! Morphology of radio sources: what an encoder knows of it, and classifiers made of one.
//!
//! Pre-training is met in a checkpoint, not in its code. Two ways lead from an encoder to classes:
//!
//! - **Probes** ([`probes`]) on frozen features, a table `[rows, features]` with a label and a group (a piece of sky) for
//!   every row. Features come from a trunk ([`features::extract`]: turns averaged, several scales, batch norm that knows the
//!   images) or from anywhere else, as hand-made rings. Every row is predicted from other groups
//!   ([`probes::folds`]), scored with intervals over groups ([`probes::score`]).
//! - **Classifiers** ([`classifier`]): the trunk with a linear head, trained from a checkpoint or from scratch
//!   ([`classifier::fine_tune`]), one class an image or several; prediction over turns, calibration, class maps.
//!
//! ```
//! use cls_morph::probes::{folds::Folds, probe::{Probe, out_of_fold}, score::{Resampling, Truth, compare, score}};
//! use ndarray::Array2;
//!
//! // Sixty objects, two to a group; the first feature tells the classes apart, the second does not.
//! let labels: Vec<usize> = (0..60).map(|row| row / 2 % 2).collect();
//! let groups: Vec<usize> = (0..60).map(|row| row / 2).collect();
//! let features = Array2::from_shape_fn((60, 2), |(row, column)| match column {
//!     0 => labels[row] as f32 + 0.1 * (row % 7) as f32,
//!     _ => (row % 5) as f32,
//! });
//!
//! let folds = Folds::grouped(&labels, &groups, 5, 1)?; // no group is in two folds
//! let probe = |probe| out_of_fold(probe, features.view(), &labels, 2, &folds, |_, rows| Ok(rows));
//! let linear = probe(Probe::Logistic { inverse_penalty: 0.1 })?;
//! let majority = probe(Probe::Majority)?;
//!
//! let truth = Truth { labels: &labels, groups: &groups, n_classes: 2 };
//! let resampling = Resampling { resamples: 200, confidence: 0.95, seed: 1 };
//! assert_eq!(score(truth, &linear.class, &resampling)?.accuracy, 1.0);
//! let gain = compare(truth, &linear.class, &majority.class, &resampling)?;
//! assert!(gain.accuracy_interval.low > 0.2);
//! # Ok::<(), cls_morph::ClassError>(())
//! ```
//!
//! Reading order: [`probes::probe`], [`probes::logistic`]; [`features`]; [`classifier::fine_tune`], the training loop, then
//! [`classifier::config`], every number it depends on. "reference-facts" in the docs is the project's digest of the paper
//! (Riggi et al. 2024, PASA 41, e085) and of the authors' code.
pub mod classifier;
pub mod features;
pub mod probes;

mod error;
pub use classifier::config::ClassifierConfig;
pub use classifier::fine_tune::{FineTuning, StepReport, fine_tune, one_class_each};
pub use classifier::predict::Classifier;
pub use error::{ClassError, Result};
