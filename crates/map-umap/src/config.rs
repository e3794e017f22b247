//! Every number a map depends on.

use neighbours::Metric;
use serde::{Deserialize, Serialize};

use crate::{
    error::{MapError, check},
    scaling::Scaling,
};

/// Where the points of a map start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// Leading eigenvectors of the normalised neighbour graph. Where the graph has several parts they only tell the parts
    /// apart, and principal components are taken instead; [`crate::Umap::start`] says so.
    Spectral,
    /// Principal components of the (scaled) features.
    Pca,
    /// Uniform random positions.
    Random,
}

/// Every number a map depends on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UmapConfig {
    /// Rows of a neighbourhood, the row itself included, as umap-learn counts.
    pub n_neighbours: usize,
    /// Axes of the map.
    pub n_components: usize,
    /// Distance on the map below which points count as fully similar.
    pub min_dist: f64,
    /// Scale of distances on the map; together with `min_dist` how clumped it looks.
    pub spread: f64,
    /// How far apart two rows are.
    pub metric: Metric,
    /// What is done to each column first.
    pub scaling: Scaling,
    /// Passes over the edges; absent: 500 up to 10,000 rows, 200 beyond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_epochs: Option<usize>,
    /// First step size; it falls linearly to 0.
    pub learning_rate: f64,
    /// Random points that push for each neighbour that pulls.
    pub negative_samples: usize,
    /// Weight of the push.
    pub repulsion: f64,
    /// Only with labels: 0 ignores them, 1 cuts every tie between labels.
    pub label_weight: f64,
    /// Where the points start from.
    pub start: Start,
    /// Seed of the one random stream.
    pub seed: u64,
}

impl UmapConfig {
    /// The authors' settings: 15 neighbours, minimal distance 0.1, two axes, Euclidean, spectral start; what they do not
    /// state is umap-learn's default (their seed is 42).
    #[must_use]
    pub fn published(seed: u64) -> Self {
        Self {
            n_neighbours: 15,
            n_components: 2,
            min_dist: 0.1,
            spread: 1.0,
            metric: Metric::Euclidean,
            scaling: Scaling::None,
            n_epochs: None,
            learning_rate: 1.0,
            negative_samples: 5,
            repulsion: 1.0,
            label_weight: 0.5,
            start: Start::Spectral,
            seed,
        }
    }

    /// # Errors
    /// [`MapError::BadSetting`] with the first setting outside its range.
    pub fn check(&self) -> Result<(), MapError> {
        check((2..=1 << 15).contains(&self.n_neighbours), "n_neighbours", "2 to 32768", self.n_neighbours)?;
        check((1..=256).contains(&self.n_components), "n_components", "1 to 256", self.n_components)?;
        let positive = |value: f64| value.is_finite() && value > 0.0;
        check(positive(self.spread) && self.spread <= 1e6, "spread", "a positive number up to 1e6", self.spread)?;
        let min_dist = self.min_dist >= 0.0 && self.min_dist <= self.spread;
        check(min_dist, "min_dist", "0 up to the spread", self.min_dist)?;
        if let Some(epochs) = self.n_epochs {
            check((1..=1_000_000).contains(&epochs), "n_epochs", "1 to 1000000", epochs)?;
        }
        check(positive(self.learning_rate), "learning_rate", "a positive number", self.learning_rate)?;
        check(self.negative_samples <= 1000, "negative_samples", "0 to 1000", self.negative_samples)?;
        check(self.repulsion.is_finite() && self.repulsion >= 0.0, "repulsion", "0 or more", self.repulsion)?;
        check((0.0..=1.0).contains(&self.label_weight), "label_weight", "0 to 1", self.label_weight)
    }

    pub(crate) fn epochs(&self, rows: usize) -> usize {
        self.n_epochs.unwrap_or(if rows <= 10_000 { 500 } else { 200 })
    }
}
