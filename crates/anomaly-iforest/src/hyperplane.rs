//! The forest with oblique cuts: each splits a random combination of columns, not one.
//!
//! Cuts along one column favour rows that lie beside a crowd along an axis, wherever the crowd really is: two crowds at (0, 1) and
//! (1, 0) leave low scores at (0, 0) and (1, 1), where nothing is. Oblique cuts do not know the axes.
use ndarray::ArrayView2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::MaxSamples;
use crate::error::ForestError;
use crate::path_length::average_path_length;
use crate::score::scores_of_blocks;
use crate::table::Table;

/// Rows scored by a task.
const ROWS_PER_TASK: usize = 256;

/// Every number a forest of oblique cuts depends on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HyperplaneConfig {
    /// Number of trees.
    pub n_trees: usize,
    /// Rows each tree sees, drawn without replacement.
    pub max_samples: MaxSamples,
    /// Columns a cut combines; fewer where fewer vary. 2 is enough to be rid of the axes, all of them is the extended forest in full.
    pub columns: usize,
    /// Seed of the run; tree t draws from its own stream (seed, t).
    pub seed: u64,
}

/// An Isolation Forest whose cuts combine columns.
///
/// # Source
/// Hariri, Carrasco Kind & Brunner 2019 (IEEE TKDE, arXiv:1811.02141). There the weights of a cut are normal numbers in the units of
/// the columns; here each is divided by the spread of its column at the node, so that units do not matter, and the place of the cut
/// is uniform over the values that occur there, so that both sides get a row.
#[derive(Debug, Clone, PartialEq)]
pub struct HyperplaneForest {
    trees: Vec<ObliqueTree>,
    n_features: usize,
    samples_per_tree: usize,
}

/// A node: go left where the weighted sum of its terms is at most the threshold.
#[derive(Debug, Clone, PartialEq)]
struct Node {
    threshold: f32,
    /// Left child, the right one follows; 0 at a leaf, for the root is nobody's child.
    left: u32,
    /// Terms of the sum, as a range of the tree's.
    terms: (u32, u32),
    /// At a leaf: (its depth + c(rows that reached it)) / c(rows of the tree).
    path_length: f64,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct ObliqueTree {
    nodes: Vec<Node>,
    /// Column and weight.
    terms: Vec<(u32, f32)>,
}

impl HyperplaneForest {
    /// Grow a forest; the same for any number of threads.
    ///
    /// # Shapes
    /// - `features`: `[rows, columns]`, finite; any unit, no scaling needed.
    /// # Errors
    /// Fewer than two rows, no column, a value that is not finite, or a setting out of range for this table.
    pub fn fit(features: ArrayView2<f32>, config: &HyperplaneConfig) -> Result<Self, ForestError> {
        let table = Table::new(features)?;
        if table.rows() < 2 {
            return Err(ForestError::TooFewRows { expected: 2, found: table.rows() });
        }
        let samples = config.max_samples.resolve(table.rows())?;
        for (name, found, most) in
            [("n_trees", config.n_trees, usize::MAX), ("columns", config.columns, table.columns())]
        {
            if found == 0 || found > most {
                let expected =
                    if most == usize::MAX { "at least 1".into() } else { format!("1 to the {most} of the table") };
                return Err(ForestError::BadSetting { name, expected, found: found.to_string() });
            }
        }
        let varying = table.varying_columns()?;
        let varying: Vec<u32> = (0..table.columns() as u32).filter(|&column| varying[column as usize]).collect();
        let trees = (0..config.n_trees)
            .into_par_iter()
            .map(|tree| {
                let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
                rng.set_stream(tree as u64);
                grow(&table, varying.clone(), samples, config.columns, &mut rng)
            })
            .collect();
        Ok(Self { trees, n_features: table.columns(), samples_per_tree: samples })
    }

    /// Anomaly score per row, in (0, 1), as of [`crate::IsolationForest::scores`]. **Higher is stranger.**
    ///
    /// # Shapes
    /// - `features`: `[rows, columns]` with the columns of the training table; result: one score per row, the same bits for any
    ///   number of threads.
    /// # Errors
    /// If the number of columns differs from the training table or a value is not finite.
    pub fn scores(&self, features: ArrayView2<f32>) -> Result<Vec<f64>, ForestError> {
        if features.ncols() != self.n_features {
            return Err(ForestError::WrongWidth { expected: self.n_features, found: features.ncols() });
        }
        let table = Table::new(features)?;
        scores_of_blocks(&table, self.trees.len(), ROWS_PER_TASK, |(), values, sums| {
            // A tree walks all rows of the task before the next one comes: it stays in the cache.
            for tree in &self.trees {
                for (sum, row) in sums.iter_mut().zip(values.chunks_exact(self.n_features)) {
                    *sum += tree.path_length(row);
                }
            }
        })
    }

    /// Number of trees.
    pub fn n_trees(&self) -> usize {
        self.trees.len()
    }

    /// Rows each tree saw.
    pub fn samples_per_tree(&self) -> usize {
        self.samples_per_tree
    }
}

impl ObliqueTree {
    fn path_length(&self, row: &[f32]) -> f64 {
        let mut node = &self.nodes[0];
        while node.left > 0 {
            let terms = &self.terms[node.terms.0 as usize..node.terms.1 as usize];
            let right = combined(terms, |column| row[column as usize]) > node.threshold;
            node = &self.nodes[node.left as usize + usize::from(right)];
        }
        node.path_length
    }
}

/// The weighted sum, always in the same order: growing and scoring agree to the bit.
fn combined(terms: &[(u32, f32)], value: impl Fn(u32) -> f32) -> f32 {
    terms.iter().fold(0.0, |sum, &(column, weight)| sum + weight * value(column))
}

fn grow(table: &Table, mut columns: Vec<u32>, samples: usize, of_a_cut: usize, rng: &mut ChaCha8Rng) -> ObliqueTree {
    let mut rows: Vec<u32> =
        rand::seq::index::sample(rng, table.rows(), samples).into_iter().map(|row| row as u32).collect();
    rows.sort_unstable();
    let unit = average_path_length(samples);
    let depth_limit = samples.next_power_of_two().trailing_zeros() as usize;
    let leaf = |rows: usize, depth: usize| Node {
        threshold: 0.0,
        left: 0,
        terms: (0, 0),
        path_length: (depth as f64 + average_path_length(rows)) / unit,
    };
    let mut tree = ObliqueTree { nodes: vec![leaf(samples, 0)], terms: Vec::new() };
    // (node, its rows as a range of `rows`, depth)
    let mut open = vec![(0, 0, samples, 0)];
    while let Some((node, start, end, depth)) = open.pop() {
        if end - start < 2 || depth >= depth_limit {
            continue;
        }
        let here = &mut rows[start..end];
        let first = tree.terms.len();
        draw_terms(table, here, &mut columns, of_a_cut, &mut tree.terms, rng);
        let sum = |row: u32| combined(&tree.terms[first..], |column| table.value(row, column));
        let range = here
            .iter()
            .map(|&row| sum(row))
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let is_cut = range.0 < range.1 && range.0.is_finite() && range.1.is_finite();
        if !is_cut {
            // All rows are equal, or differ less than their sums are rounded.
            tree.terms.truncate(first);
            continue;
        }
        let threshold = draw_threshold(range, rng);
        let (left, right): (Vec<u32>, Vec<u32>) = here.iter().partition(|&&row| sum(row) <= threshold);
        let middle = start + left.len();
        here[..left.len()].copy_from_slice(&left);
        here[left.len()..].copy_from_slice(&right);
        let child = tree.nodes.len();
        let terms = (first as u32, tree.terms.len() as u32);
        tree.nodes[node] = Node { threshold, left: child as u32, terms, path_length: 0.0 };
        tree.nodes.push(leaf(left.len(), depth + 1));
        tree.nodes.push(leaf(right.len(), depth + 1));
        open.push((child + 1, middle, end, depth + 1));
        open.push((child, start, middle, depth + 1));
    }
    tree
}

/// Columns that vary over `rows`, uniform among those, with a normal number over the column's spread as weight.
fn draw_terms(
    table: &Table,
    rows: &[u32],
    columns: &mut [u32],
    most: usize,
    terms: &mut Vec<(u32, f32)>,
    rng: &mut ChaCha8Rng,
) {
    let mut missing = most;
    for drawn in 0..columns.len() {
        let next = rng.random_range(drawn..columns.len());
        columns.swap(drawn, next);
        let values = rows.iter().map(|&row| table.value(row, columns[drawn]));
        let (low, high) =
            values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low < high {
            let normal: f64 = StandardNormal.sample(rng);
            terms.push((columns[drawn], (normal / (f64::from(high) - f64::from(low))) as f32));
            missing -= 1;
            if missing == 0 {
                return;
            }
        }
    }
}

/// Uniform in [low, high), so that both sides get a row.
fn draw_threshold((low, high): (f32, f32), rng: &mut ChaCha8Rng) -> f32 {
    let threshold = (f64::from(low) + (f64::from(high) - f64::from(low)) * rng.random::<f64>()) as f32;
    if threshold < high { threshold } else { low }
}
