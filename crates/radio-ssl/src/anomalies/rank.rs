//! Ranks the frames of a feature table by the published isolation forest, one of oblique cuts, or by their neighbours.
use std::path::Path;

use anomaly_iforest::{HyperplaneConfig, HyperplaneForest, IsolationForest};
use anyhow::{Context, Result, bail};
use ndarray::Array2;
use neighbours::{Metric, local_outlier_factor, mean_distance, nearest_neighbours};

use crate::anomaly_scores::{describe, published_forest, select};
use crate::feature_files::read_features;
use crate::stages;

/// Features that an oblique cut combines: the fewest that leave the directions of the axes.
const CUT_COLUMNS: usize = 2;

/// What makes a frame strange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Method {
    /// Random cuts separate it early: the paper's isolation forest
    #[default]
    Forest,
    /// Random oblique cuts of two features each separate it early: blind to the directions of the axes (Hariri et al. 2019)
    Oblique,
    /// It lies in a sparser place than its neighbours do: local outlier factor (Breunig et al. 2000)
    Lof,
    /// Its neighbours are far: their mean distance
    Knn,
}

/// A method and its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// The published forest, grown on the frames themselves; saved if a file is named.
    Forest { seed: u64, save: Option<&'a Path> },
    /// A forest of a file.
    Saved(&'a Path),
    /// A forest of oblique cuts with the trees and rows of the published one.
    Oblique { seed: u64 },
    /// Local outlier factor with so many neighbours.
    Lof(usize),
    /// Mean distance to so many neighbours.
    Knn(usize),
}

impl Way<'_> {
    /// Score of every row, higher is stranger, and the way in words.
    fn scores(&self, features: &Array2<f32>) -> Result<(Vec<f64>, String)> {
        let nearest = |k| nearest_neighbours(features.view(), k, Metric::Euclidean);
        Ok(match *self {
            Self::Forest { seed, save } => {
                let config = published_forest(seed);
                let forest = IsolationForest::fit(features.view(), &config)?;
                if let Some(path) = save {
                    forest.save(path)?;
                }
                (forest.scores(features.view())?, describe(&config, forest.samples_per_tree()))
            }
            Self::Saved(path) => {
                let forest = IsolationForest::load(path)?;
                let scores = forest.scores(features.view()).with_context(|| path.display().to_string())?;
                (
                    scores,
                    format!("{}: {} trees, {} rows each", path.display(), forest.n_trees(), forest.samples_per_tree()),
                )
            }
            Self::Oblique { seed } => {
                let published = published_forest(seed);
                let columns = CUT_COLUMNS.min(features.ncols());
                let config =
                    HyperplaneConfig { n_trees: published.n_trees, max_samples: published.max_samples, columns, seed };
                let forest = HyperplaneForest::fit(features.view(), &config)?;
                let words =
                    format!("{}; oblique cuts of {columns} features", describe(&published, forest.samples_per_tree()));
                (forest.scores(features.view())?, words)
            }
            Self::Lof(k) => (local_outlier_factor(&nearest(k)?), format!("local outlier factor, {k} neighbours")),
            Self::Knn(k) => (mean_distance(&nearest(k)?), format!("mean distance to {k} neighbours")),
        })
    }
}

/// Writes the scores, highest first; `leading`: a checkpoint and how many of its leading features are used.
pub(super) fn rank(features: &Path, leading: Option<(&Path, usize)>, way: &Way, out: &Path) -> Result<()> {
    let table = read_features(&[features.to_path_buf()])?;
    let mut columns: Vec<usize> = (0..table.features.ncols()).collect();
    if let Some((checkpoint, top)) = leading {
        let Some(ranking) = stages::kept_ranking(checkpoint)? else {
            bail!("{}: no ranking inside; leave out --checkpoint and --top", checkpoint.display());
        };
        if ranking.order.len() != columns.len() {
            let (expected, found) = (ranking.order.len(), columns.len());
            bail!("{}: expected {expected} features, as in the ranking, found {found}", features.display());
        }
        let encoder = stages::encoder_fingerprint(checkpoint)?;
        if table.metadata.get(stages::ENCODER_KEY) != Some(&encoder) {
            let (table, checkpoint) = (features.display(), checkpoint.display());
            bail!("{table} was not made with the encoder of {checkpoint}, so its ranking means nothing here");
        }
        columns = ranking.order.into_iter().take(top).collect();
    }
    let (scores, words) = way.scores(&select(&table.features, &columns))?;
    let mut order: Vec<usize> = (0..table.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let mut text = String::from("frame,ra_deg,dec_deg,score\n");
    for i in order {
        let (ra, dec) = (table.ra_deg[i], table.dec_deg[i]);
        text.push_str(&format!("{},{ra},{dec},{:.6}\n", table.ids[i], scores[i]));
    }
    atomic_file::write_atomically(out, |file| std::io::Write::write_all(file, text.as_bytes()))
        .with_context(|| format!("cannot write {}", out.display()))?;
    println!("{} frames ranked ({}): {}", table.len(), words, out.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_puts_the_stranger_first() {
        let features = Array2::from_shape_fn((60, 3), |(row, column)| match row {
            59 => 9.0,
            _ => ((row * (7 + column)) % 59) as f32 / 59.0,
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("forest.json");
        let grown = Way::Forest { seed: 1, save: Some(&file) };
        for way in [grown, Way::Saved(&file), Way::Oblique { seed: 1 }, Way::Lof(5), Way::Knn(5)] {
            let (scores, words) = way.scores(&features).unwrap();
            assert!(scores[..59].iter().all(|score| score < &scores[59]), "{words}");
        }
        assert_eq!(grown.scores(&features).unwrap().0, Way::Saved(&file).scores(&features).unwrap().0);
        let error = Way::Saved(&file).scores(&select(&features, &[0, 1])).unwrap_err();
        assert!(format!("{error:#}").contains("expected 3 columns"), "{error:#}");
        let error = Way::Lof(60).scores(&features).unwrap_err();
        assert!(error.to_string().contains("1 to 59"), "{error}");
    }
}
