//! How well the features tell labelled cutouts apart while they are being learnt: leave-one-out nearest neighbours.
//!
//! The loss is no measure of that: it falls while a probe stands still. The monitor reads labels, the training does not: it
//! sees the encoder in evaluation mode and changes no bit of the run.
use std::ops::ControlFlow;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use ndarray::ArrayView2;
use radio_augment::{FrameSource, Preparation};
use radio_tensor::DuringStep;
use radio_tensor::trunk::Trunk;
use rayon::prelude::*;

use crate::embed::embed_frames;
use crate::error::{Result, SimClrError};

/// Neighbours that vote.
pub const NEIGHBOURS: usize = 15;
/// Rows whose similarities to all others are held at once.
const BLOCK: usize = 256;

/// Labelled cutouts to look at every few epochs.
#[derive(Clone)]
pub struct KnnMonitor {
    source: Arc<dyn FrameSource>,
    labels: Vec<usize>,
    every: u64,
}

/// What the monitor found after an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnnAccuracy {
    /// Epochs done.
    pub epoch: u64,
    /// Share of the cutouts whose class wins the vote of their [`NEIGHBOURS`] nearest, from 0 to 1.
    pub accuracy: f32,
}

impl KnnMonitor {
    /// Looks at these cutouts after every `every` epochs, and after the last. `labels[i]` is the class of cutout `i`.
    ///
    /// # Errors
    /// If there are not as many labels as cutouts, fewer than two cutouts, or `every` is 0.
    pub fn new(source: Arc<dyn FrameSource>, labels: Vec<usize>, every: u64) -> Result<Self> {
        if labels.len() != source.len() {
            return Err(SimClrError::MonitorLabels { frames: source.len(), labels: labels.len() });
        }
        let rules = [
            ("the monitor has 2 cutouts or more", labels.len() >= 2, labels.len().to_string()),
            ("the monitor looks every 1 or more epochs", every >= 1, every.to_string()),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((rule, _, found)) => Err(SimClrError::Contradiction { rule, found }),
            None => Ok(Self { source, labels, every }),
        }
    }

    /// What it finds after `epoch` of `epochs` epochs, if it is to look then.
    pub(crate) fn after(
        &self,
        epoch: u64,
        epochs: u64,
        trunk: &Trunk,
        recipe: &Preparation,
        batch_size: usize,
    ) -> Result<Option<KnnAccuracy>> {
        if !epoch.is_multiple_of(self.every) && epoch != epochs {
            return Ok(None);
        }
        let features =
            embed_frames(trunk, recipe, Arc::clone(&self.source), batch_size, |_| ControlFlow::Continue(()))?;
        let accuracy = leave_one_out_accuracy(features.view(), &self.labels, NEIGHBOURS)?;
        Ok(Some(KnnAccuracy { epoch, accuracy }))
    }
}

/// Share of the rows whose label wins the vote of the `k` most similar other rows (cosine), from 0 to 1.
///
/// Of equally similar rows the one with the lower index is nearer; of classes with equally many votes the one of the
/// nearest neighbour wins. Rows of zeros are similar to none. NaN without a row.
///
/// # Shapes
/// - `features`: `[n, d]`; `labels`: `n`.
/// # Errors
/// If there are not as many labels as rows.
pub fn leave_one_out_accuracy(features: ArrayView2<f32>, labels: &[usize], k: usize) -> Result<f32> {
    let (rows, width) = features.dim();
    if labels.len() != rows {
        return Err(SimClrError::MonitorLabels { frames: rows, labels: labels.len() });
    }
    let mut unit = Vec::with_capacity(rows * width);
    for row in features.rows() {
        let norm = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
        let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        unit.extend(row.iter().map(|v| (f64::from(*v) * scale) as f32));
    }
    let unit = Tensor::from_vec(unit, (rows, width), &Device::Cpu).during("features of the monitor")?;
    let mut right = 0;
    for start in (0..rows).step_by(BLOCK) {
        let block = BLOCK.min(rows - start);
        let similarities = unit.narrow(0, start, block).and_then(|block| block.matmul(&unit.t()?)?.to_vec2::<f32>());
        let similarities = similarities.during("similarities of the monitor")?;
        let hits: Vec<bool> = similarities
            .par_iter()
            .enumerate()
            .map(|(place, similar)| vote(similar, labels, start + place, k) == Some(labels[start + place]))
            .collect();
        right += hits.into_iter().filter(|&hit| hit).count();
    }
    Ok((right as f64 / rows as f64) as f32)
}

/// The class that wins among the `k` rows nearest to row `own`, which has no vote.
fn vote(similar: &[f32], labels: &[usize], own: usize, k: usize) -> Option<usize> {
    let mut others: Vec<usize> = (0..similar.len()).filter(|&row| row != own).collect();
    let nearer = |a: &usize, b: &usize| similar[*b].total_cmp(&similar[*a]).then(a.cmp(b));
    if others.len() > k && k > 0 {
        others.select_nth_unstable_by(k - 1, nearer);
    }
    others.truncate(k);
    others.sort_unstable_by(nearer);
    let votes = |label: usize| others.iter().filter(|&&row| labels[row] == label).count();
    // Strictly more votes replace the winner so far, so the nearest wins a tie.
    others.iter().map(|&row| labels[row]).fold(None, |winner: Option<usize>, label| match winner {
        Some(winner) if votes(winner) >= votes(label) => Some(winner),
        _ => Some(label),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// On a circle: two clusters are found whatever the lengths, a row among strangers is not, and no row votes for itself.
    #[test]
    fn clusters_on_a_circle() {
        let at = |degrees: f32, length: f32| [length * degrees.to_radians().cos(), length * degrees.to_radians().sin()];
        let rows = [at(0., 1.), at(3., 9.), at(6., 0.1), at(90., 2.), at(93., 1.), at(96., 5.), at(4., 3.)];
        let features = Array2::from_shape_fn((7, 2), |(row, column)| rows[row][column]);
        let found = |labels: &[usize], k| leave_one_out_accuracy(features.view(), labels, k).unwrap();
        assert_eq!(found(&[0, 0, 0, 1, 1, 1, 1], 1), 4.0 / 7.0); // row 6 is at 4°, the nearest to rows 1 and 2
        assert_eq!(found(&[0, 0, 0, 1, 1, 1, 0], 2), 1.0);
        assert_eq!(found(&[0, 1, 2, 3, 4, 5, 6], 3), 0.0, "every row alone in its class");
        assert!(leave_one_out_accuracy(features.view(), &[0; 6], 1).is_err());
        assert!(leave_one_out_accuracy(Array2::zeros((0, 2)).view(), &[], 1).unwrap().is_nan());
    }

    /// Two votes each: the class of the nearest wins.
    #[test]
    fn the_nearest_breaks_a_tie() {
        let similar = [0.0, 0.5, 0.9, 0.8, 0.7];
        assert_eq!(vote(&similar, &[9, 1, 2, 1, 2], 0, 4), Some(2));
        assert_eq!(vote(&similar, &[9, 1, 1, 2, 2], 0, 4), Some(1));
        assert_eq!(vote(&similar, &[9, 1, 1, 2, 2], 0, 3), Some(2));
        assert_eq!(vote(&similar[..1], &[9], 0, 3), None);
        assert_eq!(vote(&[0.3; 5], &[7, 8, 9, 9, 9], 2, 1), Some(7), "equally similar: the lower index");
    }

    /// Against all distances sorted, in f64, on more rows than a block holds.
    #[test]
    fn equals_the_obvious_version() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (n, d) = (BLOCK + 61, 7);
        let labels: Vec<usize> = (0..n).map(|i| i % 3).collect();
        let features = Array2::from_shape_fn((n, d), |(row, column)| {
            rng.random_range(-1.0f32..1.0) + if column == row % 3 { 0.7 } else { 0.0 }
        });
        let similarity = |a: usize, b: usize| {
            let dot = |a: usize, b: usize| -> f64 {
                features.row(a).iter().zip(features.row(b)).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
            };
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let right = (0..n).filter(|&own| {
            let mut others: Vec<usize> = (0..n).filter(|&row| row != own).collect();
            others.sort_by(|&a, &b| similarity(own, b).total_cmp(&similarity(own, a)));
            let mut votes = [0; 3];
            others[..NEIGHBOURS].iter().for_each(|&row| votes[labels[row]] += 1);
            let most = *votes.iter().max().unwrap();
            let winner = others[..NEIGHBOURS].iter().map(|&row| labels[row]).find(|&label| votes[label] == most);
            winner == Some(labels[own])
        });
        let want = right.count() as f32 / n as f32;
        let got = leave_one_out_accuracy(features.view(), &labels, NEIGHBOURS).unwrap();
        assert!(want > 0.4 && want < 0.95, "{want}");
        assert!((got - want).abs() < 1e-6, "{got} {want}");
    }

    #[test]
    fn flat_features_say_nothing() {
        let zeros = array![[0f32, 0.], [0., 0.], [0., 0.]];
        assert_eq!(leave_one_out_accuracy(zeros.view(), &[1, 1, 2], 1).unwrap(), 2.0 / 3.0); // all by index
    }
}
