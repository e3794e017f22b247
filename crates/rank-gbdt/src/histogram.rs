//! Histograms of derivatives per feature and bin, and the best cut they allow.

use rayon::prelude::*;

use crate::bins::BinnedFeatures;
use crate::config::RankConfig;

/// Bins per feature, room for 255 of them.
const WIDTH: usize = 256;
/// Features per parallel task.
const FEATURES_PER_TASK: usize = 8;

/// Gains below this share of a cut's saving are rounding: a pure node would otherwise be split on noise.
const ROUNDING: f64 = 1e-10;

/// First and second derivative of the loss, summed over `rows` rows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) gradient: f64,
    pub(crate) hessian: f64,
    pub(crate) rows: u32,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient + other.gradient,
            hessian: self.hessian + other.hessian,
            rows: self.rows + other.rows,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            hessian: self.hessian - other.hessian,
            rows: self.rows - other.rows,
        }
    }

    /// Twice the loss that the best leaf value saves: G² / (H + λ).
    pub(crate) fn saving(self, lambda_l2: f64) -> f64 {
        self.gradient * self.gradient / (self.hessian + lambda_l2)
    }
}

/// Histograms of all features over the rows of one node.
pub(crate) struct Histograms {
    /// `[columns][WIDTH]`.
    sums: Vec<Sums>,
}

/// A cut of one node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Split {
    pub(crate) gain: f64,
    pub(crate) feature: usize,
    /// Rows in this bin or below go left.
    pub(crate) bin: u8,
    pub(crate) left: Sums,
    pub(crate) right: Sums,
}

impl Histograms {
    /// Sum the derivatives (gradient, hessian) of `rows` into bins; each feature in row order, so threads change nothing.
    /// `done` are histograms of the same features that are no longer needed: their memory is used again, since
    /// asking the system for 3 MB at every node takes as long as the sums.
    pub(crate) fn new(features: &BinnedFeatures, rows: &[u32], derivatives: &[[f64; 2]], done: &mut Vec<Self>) -> Self {
        let mut sums = done.pop().map_or_else(|| vec![Sums::default(); features.columns() * WIDTH], |done| done.sums);
        // The derivatives of a node's rows, in their order: every feature reads them in sequence.
        let here: Vec<[f64; 2]> = rows.iter().map(|&row| derivatives[row as usize]).collect();
        let all_rows = rows.len() == features.rows;
        sums.par_chunks_mut(FEATURES_PER_TASK * WIDTH).enumerate().for_each(|(task, sums)| {
            for (offset, histogram) in sums.chunks_exact_mut(WIDTH).enumerate() {
                histogram.fill(Sums::default());
                let bins = features.column(task * FEATURES_PER_TASK + offset);
                if all_rows {
                    // `rows` is rising, hence 0, 1, 2, …
                    fill(histogram, bins.iter().copied(), &here);
                } else {
                    fill(histogram, rows.iter().map(|&row| bins[row as usize]), &here);
                }
            }
        });
        Self { sums }
    }

    /// Histograms of the rows of `self` that are not in `part`.
    pub(crate) fn without(mut self, part: &Self) -> Self {
        self.sums
            .par_chunks_mut(FEATURES_PER_TASK * WIDTH)
            .zip(part.sums.par_chunks(FEATURES_PER_TASK * WIDTH))
            .for_each(|(all, part)| {
                for (all, part) in all.iter_mut().zip(part) {
                    *all = all.minus(*part);
                }
            });
        self
    }

    /// The cut with the largest gain over all features; of equal ones the first feature and its highest cut. `None` if no
    /// allowed cut gains anything. `node` are the sums over the node's rows.
    pub(crate) fn best_split(&self, features: &BinnedFeatures, node: Sums, config: &RankConfig) -> Option<Split> {
        let of_features: Vec<Option<Split>> = self
            .sums
            .par_chunks(WIDTH)
            .with_min_len(FEATURES_PER_TASK)
            .enumerate()
            .map(|(feature, histogram)| {
                best_cut(&histogram[..features.upper_edges[feature].len()], feature, node, config)
            })
            .collect();
        of_features.into_iter().flatten().reduce(|best, split| if split.gain > best.gain { split } else { best })
    }
}

fn fill(histogram: &mut [Sums], bins: impl Iterator<Item = u8>, derivatives: &[[f64; 2]]) {
    for (bin, [gradient, hessian]) in bins.zip(derivatives) {
        let sums = &mut histogram[bin as usize];
        sums.gradient += gradient;
        sums.hessian += hessian;
        sums.rows += 1;
    }
}

/// Best cut of one feature, from the highest bin down.
///
/// For the limit on rows per leaf a side's rows are estimated, as in LightGBM: each bin counts for its share of the node's
/// hessian, rounded to whole rows. Where predictions are unsure a row then weighs more than one, where they are
/// certain less. Counting rows instead would change which cuts are allowed from the second round on, and the ranking
/// would no longer be the paper's.
fn best_cut(histogram: &[Sums], feature: usize, node: Sums, config: &RankConfig) -> Option<Split> {
    let before = node.saving(config.lambda_l2);
    let rows_per_hessian = f64::from(node.rows) / node.hessian;
    let min_rows = config.min_data_in_leaf as f64;
    let mut best: Option<Split> = None;
    let mut right = Sums::default();
    let mut right_rows = 0.0;
    for bin in (1..histogram.len()).rev() {
        if histogram[bin].rows == 0 {
            continue; // the same cut as the one above it
        }
        right = right.plus(histogram[bin]);
        right_rows += (histogram[bin].hessian * rows_per_hessian).round();
        if right_rows < min_rows || right.hessian < config.min_sum_hessian {
            continue;
        }
        let left = node.minus(right);
        if f64::from(node.rows) - right_rows < min_rows || left.hessian < config.min_sum_hessian {
            break;
        }
        let after = left.saving(config.lambda_l2) + right.saving(config.lambda_l2);
        let gain = after - before;
        if gain > best.map_or(ROUNDING * after, |best| best.gain) {
            best = Some(Split { gain, feature, bin: bin as u8 - 1, left, right });
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn example() -> (Array2<f32>, Vec<[f64; 2]>) {
        let values = Array2::from_shape_fn((200, 11), |(row, column)| {
            ((row * 31 + column * 17 + row * column) % 97) as f32 - 40.0
        });
        let derivatives = (0..200).map(|row| [f64::from(row % 13) - 6.0 + f64::from(row % 5), 0.25]).collect();
        (values, derivatives)
    }

    fn sums(rows: impl Iterator<Item = usize>, derivatives: &[[f64; 2]]) -> Sums {
        rows.fold(Sums::default(), |sum, row| {
            sum.plus(Sums { gradient: derivatives[row][0], hessian: derivatives[row][1], rows: 1 })
        })
    }

    /// The slow definition: try every threshold between bins on the raw values. With equal hessians estimated rows are rows.
    #[test]
    fn best_split_equals_exhaustive_search() {
        let (values, derivatives) = example();
        let features = BinnedFeatures::new(values.view(), 255);
        let config = RankConfig { min_data_in_leaf: 7, lambda_l2: 0.5, ..RankConfig::paper() };
        let rows: Vec<u32> = (0..200).filter(|row| row % 3 != 0).collect();
        let node = sums(rows.iter().map(|&row| row as usize), &derivatives);
        let found = Histograms::new(&features, &rows, &derivatives, &mut Vec::new())
            .best_split(&features, node, &config)
            .unwrap();
        let mut best = 0.0;
        for column in 0..11 {
            for edge in &features.upper_edges[column] {
                let goes_left = |&&row: &&u32| f64::from(values[(row as usize, column)]) <= *edge;
                let left = sums(rows.iter().filter(goes_left).map(|&row| row as usize), &derivatives);
                let right = node.minus(left);
                if left.rows >= 7 && right.rows >= 7 {
                    best = f64::max(best, left.saving(0.5) + right.saving(0.5) - node.saving(0.5));
                }
            }
        }
        assert!(best > 0.0 && (found.gain - best).abs() < 1e-9 * best, "{} vs {best}", found.gain);
        assert!(found.left.rows >= 7 && found.right.rows >= 7);
    }

    #[test]
    fn subtraction_gives_the_sibling() {
        let (values, derivatives) = example();
        let features = BinnedFeatures::new(values.view(), 255);
        let all: Vec<u32> = (0..200).collect();
        let (some, rest): (Vec<u32>, Vec<u32>) = all.iter().partition(|&&row| row % 4 == 1);
        let subtracted = Histograms::new(&features, &all, &derivatives, &mut Vec::new()).without(&Histograms::new(
            &features,
            &some,
            &derivatives,
            &mut Vec::new(),
        ));
        let direct = Histograms::new(&features, &rest, &derivatives, &mut Vec::new());
        for (a, b) in subtracted.sums.iter().zip(&direct.sums) {
            assert_eq!(a.rows, b.rows);
            assert!((a.gradient - b.gradient).abs() < 1e-9 && (a.hessian - b.hessian).abs() < 1e-9);
        }
    }

    /// Ten rows of hessian 1 and ninety of 0.1 make 19 units for 100 rows: the ten count for 53.
    #[test]
    fn rows_are_estimated_by_hessian() {
        let values = Array2::from_shape_fn((100, 1), |(row, _)| if row < 10 { 2.0 } else { 1.0 });
        let derivatives: Vec<[f64; 2]> = (0..100).map(|row| if row < 10 { [-1.0, 1.0] } else { [0.1, 0.1] }).collect();
        let features = BinnedFeatures::new(values.view(), 255);
        let histograms = Histograms::new(&features, &(0..100).collect::<Vec<_>>(), &derivatives, &mut Vec::new());
        let split = |min_data_in_leaf| {
            histograms.best_split(
                &features,
                sums(0..100, &derivatives),
                &RankConfig { min_data_in_leaf, ..RankConfig::paper() },
            )
        };
        assert_eq!(split(47).map(|split| (split.left.rows, split.right.rows)), Some((90, 10)));
        assert_eq!(split(48), None);
    }

    #[test]
    fn too_small_leaves_and_useless_cuts_are_refused() {
        let (values, derivatives) = example();
        let features = BinnedFeatures::new(values.view(), 255);
        let rows: Vec<u32> = (0..200).collect();
        let node = sums(0..200, &derivatives);
        let histograms = Histograms::new(&features, &rows, &derivatives, &mut Vec::new());
        let strict = RankConfig { min_data_in_leaf: 101, ..RankConfig::paper() };
        assert_eq!(histograms.best_split(&features, node, &strict), None);
        let heavy = RankConfig { min_sum_hessian: 1e6, ..RankConfig::paper() };
        assert_eq!(histograms.best_split(&features, node, &heavy), None);
        let flat = vec![[0.3, 0.7]; 200];
        let node = sums(0..200, &flat);
        assert_eq!(
            Histograms::new(&features, &rows, &flat, &mut Vec::new()).best_split(&features, node, &RankConfig::paper()),
            None
        );
    }
}
