//! What "near" means.

use serde::{Deserialize, Serialize};

/// How far apart two rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Square root of the sum of squared differences.
    Euclidean,
    /// One minus the cosine of the angle between the rows: 0 for the same direction, 2 for opposite ones. Rows of zeros
    /// are refused.
    Cosine,
}

impl Metric {
    /// The distance of two rows from the squared distance that the search works with. For the cosine that one is taken
    /// between rows of length 1 and is twice the distance; so equal directions are at distance 0 exactly.
    pub(crate) fn distance(self, squared: f64) -> f64 {
        match self {
            Self::Euclidean => squared.sqrt(),
            Self::Cosine => squared / 2.0,
        }
    }

    /// The squared distance of the search that belongs to a distance, and a little more.
    pub(crate) fn squared(self, distance: f64) -> f64 {
        let squared = match self {
            Self::Euclidean => distance * distance,
            Self::Cosine => 2.0 * distance,
        };
        squared * (1.0 + 1e-12)
    }
}
