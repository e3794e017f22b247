//! Isolation Forest: rows that random cuts separate early are strange. With grid search against labelled frames.
//!
//! The algorithm and its conventions are scikit-learn's (scores, offsets, sample sizes), and trees grown there can be
//! scored here. No image and no model is known to this crate: a table of numbers goes in, a score per row comes
//! out, **higher is stranger**. Equal seeds give equal bits for any number of threads.
//!
//! Reading order: [`forest::IsolationForest::fit`], then [`grid::grid_search`]; [`hyperplane`] is the forest with oblique cuts.
//!
//! ```
//! use anomaly_iforest::{Contamination, ForestConfig, IsolationForest, MaxFeatures, MaxSamples};
//! // Nine rows on a line and one far away.
//! let features = ndarray::Array2::from_shape_fn((10, 1), |(row, _)| if row < 9 { row as f32 } else { 100.0 });
//! let config = ForestConfig {
//!     n_trees: 100,
//!     max_samples: MaxSamples::Auto,
//!     max_features: MaxFeatures::All,
//!     contamination: Contamination::Fraction(0.1),
//!     bootstrap: false,
//!     seed: 1,
//! };
//! let forest = IsolationForest::fit(features.view(), &config)?;
//! let scores = forest.scores(features.view())?;
//! assert!(scores[9] > 0.7 && scores[4] < 0.5);
//! assert_eq!(forest.outliers(&scores).iter().filter(|&&outlier| outlier).count(), 1);
//! # Ok::<(), anomaly_iforest::ForestError>(())
//! ```
pub mod config;
pub mod error;
mod file;
pub mod forest;
pub mod grid;
mod grow;
pub mod hyperplane;
pub mod path_length;
mod score;
mod table;
mod tree;

pub use config::{Contamination, ForestConfig, MaxFeatures, MaxSamples};
pub use error::ForestError;
pub use forest::IsolationForest;
pub use grid::{Grid, GridPoint, best, grid_search};
pub use hyperplane::{HyperplaneConfig, HyperplaneForest};
pub use path_length::average_path_length;
pub use tree::TreeArrays;
