//! Settings of the ranking, with the paper's values.

use serde::{Deserialize, Serialize};

use crate::error::RankError;

/// Every number a ranking depends on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankConfig {
    /// At most this many trees.
    pub max_rounds: usize,
    /// Each leaf value is multiplied by this.
    pub learning_rate: f64,
    /// Splits from the root to a leaf, 1 to 5. (Up to there LightGBM's limit of 32 leaves never binds.)
    pub max_depth: usize,
    /// Fewest training rows in a leaf, estimated from its share of the second derivatives as LightGBM does.
    pub min_data_in_leaf: usize,
    /// Smallest sum of second derivatives in a leaf.
    pub min_sum_hessian: f64,
    /// L2 penalty on leaf values.
    pub lambda_l2: f64,
    /// Values of a feature are sorted into at most this many bins, 2 to 255.
    pub max_bins: usize,
    /// Stop when the hold-out log-loss has not improved for this many rounds.
    pub early_stopping_rounds: usize,
    /// Which importance orders the features.
    pub importance: Importance,
}

/// How the importance of a feature is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Importance {
    /// How often the feature splits a node (the default of the paper's code).
    Split,
    /// Sum of the gains of these splits.
    Gain,
}

impl RankConfig {
    /// Riggi et al. 2024, section 5.2, and for what it leaves open the defaults of the authors' code (reference-facts E5):
    /// depth 2, 20 rows in a leaf, rate 0.1, 100 rounds, early stopping after 10, 255 bins, importance by splits.
    pub fn paper() -> Self {
        Self {
            max_rounds: 100,
            learning_rate: 0.1,
            max_depth: 2,
            min_data_in_leaf: 20,
            min_sum_hessian: 1e-3,
            lambda_l2: 0.0,
            max_bins: 255,
            early_stopping_rounds: 10,
            importance: Importance::Split,
        }
    }

    /// # Errors
    /// [`RankError::BadSetting`] for the first number out of its range.
    pub fn check(&self) -> Result<(), RankError> {
        let rules: [(&'static str, bool, &'static str, String); 8] = [
            ("max_rounds", self.max_rounds >= 1, "at least 1", self.max_rounds.to_string()),
            (
                "learning_rate",
                self.learning_rate > 0.0 && self.learning_rate.is_finite(),
                "a finite number above 0",
                self.learning_rate.to_string(),
            ),
            ("max_depth", (1..=5).contains(&self.max_depth), "1 to 5", self.max_depth.to_string()),
            ("min_data_in_leaf", self.min_data_in_leaf >= 1, "at least 1", self.min_data_in_leaf.to_string()),
            (
                "min_sum_hessian",
                self.min_sum_hessian >= 0.0 && self.min_sum_hessian.is_finite(),
                "a finite number, at least 0",
                self.min_sum_hessian.to_string(),
            ),
            (
                "lambda_l2",
                self.lambda_l2 >= 0.0 && self.lambda_l2.is_finite(),
                "a finite number, at least 0",
                self.lambda_l2.to_string(),
            ),
            ("max_bins", (2..=255).contains(&self.max_bins), "2 to 255", self.max_bins.to_string()),
            (
                "early_stopping_rounds",
                self.early_stopping_rounds >= 1,
                "at least 1",
                self.early_stopping_rounds.to_string(),
            ),
        ];
        match rules.into_iter().find(|rule| !rule.1) {
            Some((name, _, expected, found)) => Err(RankError::BadSetting { name, expected, found }),
            None => Ok(()),
        }
    }
}
