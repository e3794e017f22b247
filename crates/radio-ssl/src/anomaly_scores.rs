//! From features to anomaly scores: the forests of Table 4, one per feature set.
use anomaly_iforest::grid::{Grid, GridPoint, best, grid_search};
use anomaly_iforest::{Contamination, ForestConfig, IsolationForest, MaxFeatures, MaxSamples};
use anyhow::Result;
use metrics::{FrameGroup, ThresholdRow, threshold_scan};
use ndarray::{Array2, Axis};

/// The anomaly score of every frame from one set of features, and the row of Table 4 it earns.
pub struct ScoredSet {
    /// Name of the set, as `top5` or `all 512`.
    pub name: String,
    /// Score of every frame, in (0, 1); higher is stranger.
    pub scores: Vec<f64>,
    /// The forest, in words.
    pub forest: String,
    /// The threshold scan over the labelled frames; empty without labels.
    pub scan: Vec<ThresholdRow>,
    /// Where recall and precision meet; `None` without labels.
    pub row: Option<ThresholdRow>,
    /// Whether the two curves cross at all (else the row is where they come closest).
    pub crosses: bool,
}

/// The paper's best forest (200 trees, 0.02 of the rows, contamination 0.001), with at least 256 rows a tree.
pub fn published_forest(seed: u64) -> ForestConfig {
    ForestConfig {
        n_trees: 200,
        max_samples: MaxSamples::FractionAtLeast { fraction: 0.02, at_least: 256 },
        max_features: MaxFeatures::All,
        contamination: Contamination::Fraction(0.001),
        bootstrap: false,
        seed,
    }
}

/// The columns `columns` of a feature table.
pub fn select(features: &Array2<f32>, columns: &[usize]) -> Array2<f32> {
    features.select(Axis(1), columns)
}

/// Scores without labels: one forest, no choice to make.
///
/// # Errors
/// If a feature is not finite, or there are too few rows.
pub fn score_unlabelled(name: &str, features: &Array2<f32>, forest: &ForestConfig) -> Result<ScoredSet> {
    let grown = IsolationForest::fit(features.view(), forest)?;
    let scores = grown.scores(features.view())?;
    let forest = describe(forest, grown.samples_per_tree());
    Ok(ScoredSet { name: name.to_owned(), scores, forest, scan: Vec::new(), row: None, crosses: false })
}

/// The paper's protocol: all forests of the grid are grown on all frames, and the one is kept whose recall and
/// precision of the labelled peculiar frames meet highest.
///
/// # Errors
/// If there is no peculiar frame, a feature is not finite, or there are too few rows.
pub fn score_labelled(
    name: &str,
    features: &Array2<f32>,
    groups: &[Option<FrameGroup>],
    grid: &Grid,
    seed: u64,
    progress: impl FnMut(usize, usize),
) -> Result<(ScoredSet, Vec<GridPoint>)> {
    let points = grid_search(features.view(), groups, grid, seed, progress)?;
    let Some(chosen) = best(&points).cloned() else { anyhow::bail!("the grid of forests is empty") };
    let scores = IsolationForest::fit(features.view(), &chosen.config)?.scores(features.view())?;
    let scan = threshold_scan(&scores, groups, grid.threshold_step)?;
    let set = ScoredSet {
        name: name.to_owned(),
        scores,
        forest: describe(&chosen.config, chosen.samples_per_tree),
        scan,
        row: Some(*chosen.crossing.row()),
        crosses: chosen.crossing.crosses(),
    };
    Ok((set, points))
}

/// A forest in words; `rows`: those of a tree.
pub fn describe(config: &ForestConfig, rows: usize) -> String {
    let fraction = match config.max_samples {
        MaxSamples::Fraction(fraction) | MaxSamples::FractionAtLeast { fraction, .. } => format!(" ({fraction})"),
        MaxSamples::Auto => " (auto)".to_owned(),
        _ => String::new(),
    };
    let columns = match config.max_features {
        MaxFeatures::All => "all features a tree".to_owned(),
        MaxFeatures::One => "one feature a tree".to_owned(),
        MaxFeatures::Count(count) => format!("{count} features a tree"),
    };
    format!("{} trees, {rows} rows{fraction}, {columns}", config.n_trees)
}
