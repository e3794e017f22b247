//! The grid of the paper: which forest finds peculiar frames best, judged where recall and precision meet.

use metrics::{Crossing, FrameGroup, crossing, threshold_scan};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::config::{Contamination, ForestConfig, MaxFeatures, MaxSamples};
use crate::error::ForestError;
use crate::forest::IsolationForest;

/// Settings to try: every combination of the three lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Trees of every forest.
    pub n_trees: usize,
    /// Contaminations; they move the offset, not the scores.
    pub contamination: Vec<Contamination>,
    /// Rows per tree.
    pub max_samples: Vec<MaxSamples>,
    /// Columns per tree.
    pub max_features: Vec<MaxFeatures>,
    /// Draw rows with replacement.
    pub bootstrap: bool,
    /// Step of the threshold scan.
    pub threshold_step: f64,
}

/// Fractions of the paper's grid over `max_samples`.
pub const PUBLISHED_FRACTIONS: [f64; 14] = [0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

impl Grid {
    /// The grid of Riggi et al. 2024, section 5.2 (reference-facts G1): 4 contaminations x 15 sample sizes, 200 trees.
    /// The paper leaves open whether a tree sees all columns or one, so both are tried. A fraction means at least
    /// `at_least` rows (0 for the paper's rule; 256 for surveys of a few hundred frames, where 0.02 would be 7 rows).
    pub fn published(at_least: usize) -> Self {
        let sample_size = |&fraction: &f64| match at_least {
            0 => MaxSamples::Fraction(fraction),
            at_least => MaxSamples::FractionAtLeast { fraction, at_least },
        };
        Self {
            n_trees: 200,
            contamination: std::iter::once(Contamination::Auto)
                .chain([0.001, 0.01, 0.1].map(Contamination::Fraction))
                .collect(),
            max_samples: std::iter::once(MaxSamples::Auto).chain(PUBLISHED_FRACTIONS.iter().map(sample_size)).collect(),
            max_features: vec![MaxFeatures::All, MaxFeatures::One],
            bootstrap: false,
            threshold_step: metrics::THRESHOLD_STEP,
        }
    }
}

/// One forest of the grid and how well it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GridPoint {
    /// Settings of the forest.
    pub config: ForestConfig,
    /// Rows per tree these settings mean for the table at hand.
    pub samples_per_tree: usize,
    /// Where recall and precision of the peculiar frames meet.
    pub crossing: Crossing,
    /// Score above which the contamination calls a row an outlier (-offset).
    pub outlier_cut: f64,
    /// Rows above that, labelled or not.
    pub n_outliers: usize,
}

impl GridPoint {
    /// Precision + recall at the crossing, in 0..=2: what [`best`] compares.
    pub fn merit(&self) -> f64 {
        let row = self.crossing.row();
        row.recall + row.precision.unwrap_or(0.0)
    }
}

/// Grow and score a forest for every (max_samples, max_features) of the grid, and judge each contamination with its scores.
///
/// # Shapes
/// - `features`: `[rows, columns]`; the forest is grown on all rows, labelled or not, and reads no label.
/// - `groups`: one entry per row, `None` = unlabelled; used only to judge.
/// - `progress`: called with (forests done, forests in all) after each one.
/// - result: in the order max_features, max_samples, contamination (last fastest).
/// # Errors
/// As [`IsolationForest::fit`] and [`metrics::threshold_scan`] (no peculiar frame, wrong length, bad step).
pub fn grid_search(
    features: ArrayView2<f32>,
    groups: &[Option<FrameGroup>],
    grid: &Grid,
    seed: u64,
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<GridPoint>, ForestError> {
    let forests = grid.max_features.len() * grid.max_samples.len();
    let mut points = Vec::with_capacity(forests * grid.contamination.len());
    for &max_features in &grid.max_features {
        for &max_samples in &grid.max_samples {
            let config = ForestConfig {
                n_trees: grid.n_trees,
                max_samples,
                max_features,
                contamination: Contamination::Auto,
                bootstrap: grid.bootstrap,
                seed,
            };
            let forest = IsolationForest::fit(features, &config)?;
            let scores = forest.scores(features)?;
            let crossing = crossing(&threshold_scan(&scores, groups, grid.threshold_step)?)?;
            for &contamination in &grid.contamination {
                let outlier_cut = contamination.cut(&scores)?;
                points.push(GridPoint {
                    config: ForestConfig { contamination, ..config },
                    samples_per_tree: forest.samples_per_tree(),
                    crossing,
                    outlier_cut,
                    n_outliers: scores.iter().filter(|&&score| score > outlier_cut).count(),
                });
            }
            progress(points.len() / grid.contamination.len().max(1), forests);
        }
    }
    Ok(points)
}

/// The best point: curves that cross before curves that do not, then the largest precision + recall, then the first in
/// grid order. Contamination changes neither, so among its values the first of the grid is returned.
pub fn best(points: &[GridPoint]) -> Option<&GridPoint> {
    points.iter().reduce(|best, point| {
        let rank = |point: &GridPoint| (point.crossing.crosses(), point.merit());
        if rank(point) > rank(best) { point } else { best }
    })
}
