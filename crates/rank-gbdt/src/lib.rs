//! Ranking of features by depth-2 gradient boosting with early stopping.
//!
//! Which of 512 learned features matter for telling interesting frames from ordinary ones? A small histogram booster
//! with LightGBM's rules answers by counting which features its trees split on. It is ours because the candidate
//! dependency (`forust-ml` 0.8.0) has no minimum number of rows per leaf, which the paper sets to 20. Nothing is random here,
//! and the result is the same for any number of threads. No image and no model is known to this crate.
//!
//! Reading order: [`ranking::rank_features`], then [`boost::boost`], the method.
//!
//! ```
//! use rank_gbdt::{RankConfig, rank_features};
//! // Feature 1 decides, feature 0 is noise; every fourth row is held out.
//! let noise = |row: usize| (row * 7919 % 1000) as f32;
//! let features = ndarray::Array2::from_shape_fn((400, 2), |(row, column)| if column == 1 { row as f32 } else { noise(row) });
//! let interesting: Vec<bool> = (0..400).map(|row| row >= 300).collect();
//! let hold_out: Vec<bool> = (0..400).map(|row| row % 4 == 0).collect();
//! let ranking = rank_features(features.view(), &interesting, &hold_out, &RankConfig::paper())?;
//! assert_eq!(ranking.top(1), [1]);
//! assert!(ranking.hold_out_f1 > 0.95);
//! # Ok::<(), rank_gbdt::RankError>(())
//! ```
mod bins;
pub mod boost;
pub mod config;
pub mod error;
mod histogram;
pub mod ranking;

pub use config::{Importance, RankConfig};
pub use error::RankError;
pub use ranking::{Ranking, rank_features};
