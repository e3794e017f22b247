//! Ranking features by how much they help to tell interesting frames from the others.

use std::io::Write;
use std::path::Path;

use metrics::classification::{ConfusionMatrix, classification_report};
use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::boost::boost;
use crate::config::{Importance, RankConfig};
use crate::error::RankError;

/// Features in order of importance, with how good the model behind it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// All features, most important first: by the configured importance, then by the other one, then by index.
    pub order: Vec<usize>,
    /// Sum of split gains per feature (by index, not by rank).
    pub gain: Vec<f64>,
    /// Number of splits per feature (by index, not by rank).
    pub split: Vec<u32>,
    /// Rounds kept: those up to the smallest hold-out log-loss.
    pub rounds: usize,
    /// Binary log-loss of the hold-out rows after these rounds, nats per row.
    pub hold_out_log_loss: f64,
    /// F1 of the hold-out rows averaged over both classes by support (the average of the paper's code). The same rows chose the
    /// number of rounds, so it is a little too good.
    pub hold_out_f1_weighted: f64,
    /// F1 of the interesting class alone, hold-out rows.
    pub hold_out_f1: f64,
}

/// Rank all features.
///
/// # Shapes
/// - `features`: `[rows, columns]`, finite.
/// - `interesting`: one per row; in the paper EXTENDED, DIFFUSE or DIFFUSE-LARGE against all other labelled frames.
/// - `hold_out`: one per row, `true` = kept from training and used to stop it. Choose by sky position: overlapping frames show
///   the same objects, and a random choice would leak.
/// # Errors
/// Settings out of range, lengths that differ, no column, a value that is not finite, a part (training, hold-out) that is
/// empty or of one class, training rows for fewer than two leaves, or no feature that separates anything.
/// # Source
/// Riggi et al. 2024, section 5.2; reference-facts E5, I14.
pub fn rank_features(
    features: ArrayView2<f32>,
    interesting: &[bool],
    hold_out: &[bool],
    config: &RankConfig,
) -> Result<Ranking, RankError> {
    let rows = features.nrows();
    for (what, found) in [("interesting", interesting.len()), ("hold_out", hold_out.len())] {
        if found != rows {
            return Err(RankError::LengthMismatch { what, expected: rows, found });
        }
    }
    // Checked here, before rows are re-numbered by the selection below.
    if let Some(((row, column), &found)) = features.indexed_iter().find(|(_, value)| !value.is_finite()) {
        return Err(RankError::NotFinite { row, column, found });
    }
    let part = |held: bool| {
        let rows: Vec<usize> = (0..rows).filter(|&row| hold_out[row] == held).collect();
        let labels: Vec<bool> = rows.iter().map(|&row| interesting[row]).collect();
        (features.select(Axis(0), &rows), labels)
    };
    let (train_features, train_labels) = part(false);
    let (held_features, held_labels) = part(true);
    for (part, labels) in [("training", &train_labels), ("hold-out", &held_labels)] {
        let positives = labels.iter().filter(|&&label| label).count();
        if labels.is_empty() {
            return Err(RankError::TooFewRows { part, expected: 1, found: 0 });
        }
        if positives == 0 || positives == labels.len() {
            return Err(RankError::OneClass { part, interesting: positives, rows: labels.len() });
        }
    }
    let booster = boost(train_features.view(), &train_labels, Some((held_features.view(), &held_labels)), config)?;
    let rounds = booster.trees.len();
    if rounds == 0 {
        return Err(RankError::NothingSeparates { columns: features.ncols() });
    }
    let probabilities = booster.probabilities(held_features.view())?;
    let (hold_out_f1_weighted, hold_out_f1) = f1_scores(&held_labels, &probabilities);
    let (gain, split) = (booster.gain_importance(), booster.split_importance());
    Ok(Ranking {
        order: order(&gain, &split, config.importance),
        gain,
        split,
        rounds,
        hold_out_log_loss: booster.hold_out_log_loss[rounds - 1],
        hold_out_f1_weighted,
        hold_out_f1,
    })
}

/// (weighted over both classes, of the interesting class), calling a row interesting above probability 1/2.
fn f1_scores(interesting: &[bool], probabilities: &[f64]) -> (f64, f64) {
    let truth: Vec<usize> = interesting.iter().map(|&label| usize::from(label)).collect();
    let predicted: Vec<usize> = probabilities.iter().map(|&probability| usize::from(probability > 0.5)).collect();
    match ConfusionMatrix::from_labels(&truth, &predicted, 2) {
        Ok(matrix) => {
            let report = classification_report(&matrix);
            (report.weighted_average.f1, report.per_class[1].f1)
        }
        // Labels are 0 or 1 and the lengths equal; an empty hold-out was refused above.
        Err(_) => (0.0, 0.0),
    }
}

fn order(gain: &[f64], split: &[u32], importance: Importance) -> Vec<usize> {
    let mut order: Vec<usize> = (0..gain.len()).collect();
    order.sort_by(|&a, &b| {
        let (by_gain, by_split) = (gain[b].total_cmp(&gain[a]), split[b].cmp(&split[a]));
        match importance {
            Importance::Split => by_split.then(by_gain),
            Importance::Gain => by_gain.then(by_split),
        }
    });
    order
}

impl Ranking {
    /// The `k` most important features, most important first; all of them if there are fewer.
    pub fn top(&self, k: usize) -> &[usize] {
        &self.order[..k.min(self.order.len())]
    }

    /// Write the ranking as JSON. A reader sees the old file or the whole new one, never a part.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), RankError> {
        let io = |source| RankError::Io { path: path.to_path_buf(), source };
        let text = serde_json::to_vec_pretty(self).map_err(|error| io(error.into()))?;
        atomic_file::write_atomically(path, |file| file.write_all(&text)).map_err(io)
    }

    /// Read a ranking written by [`Self::save`].
    ///
    /// # Errors
    /// If the file cannot be read, is no ranking, or its order does not name each of its features once.
    pub fn load(path: &Path) -> Result<Self, RankError> {
        let text = std::fs::read(path).map_err(|source| RankError::Io { path: path.to_path_buf(), source })?;
        let ranking: Self =
            serde_json::from_slice(&text).map_err(|source| RankError::Format { path: path.to_path_buf(), source })?;
        ranking.check(path)?;
        Ok(ranking)
    }

    /// Whether the order names each feature once and the importances fit it; `path` is the file it came from, for the message.
    ///
    /// # Errors
    /// [`RankError::BadFile`].
    pub fn check(&self, path: &Path) -> Result<(), RankError> {
        let columns = self.order.len();
        let bad = |field, expected: String, found: String| {
            Err(RankError::BadFile { path: path.to_path_buf(), field, expected, found })
        };
        for (field, found) in [("gain", self.gain.len()), ("split", self.split.len())] {
            if found != columns {
                return bad(field, format!("{columns} entries as in order"), found.to_string());
            }
        }
        let mut seen = vec![false; columns];
        for &feature in &self.order {
            if feature >= columns || std::mem::replace(&mut seen[feature], true) {
                return bad("order", format!("each of 0..{columns} once"), format!("{feature}, out of range or twice"));
            }
        }
        Ok(())
    }
}
