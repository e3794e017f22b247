//! Gradient boosting of shallow trees on the binary log-loss: the whole method, top to bottom.

use ndarray::{ArrayView1, ArrayView2};

use crate::bins::BinnedFeatures;
use crate::config::RankConfig;
use crate::error::RankError;
use crate::histogram::{Histograms, Split, Sums};

/// A boosted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Booster {
    /// Log-odds of the training rows, the prediction before any tree.
    pub base: f64,
    /// The trees that are kept, in order.
    pub trees: Vec<BoostTree>,
    /// Hold-out log-loss after each round that was run, in nats per row; longer than `trees` after early stopping, empty
    /// without hold-out rows.
    pub hold_out_log_loss: Vec<f64>,
    columns: usize,
}

/// One tree; node 0 is the root.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BoostTree {
    /// Nodes; children come after their parent.
    pub nodes: Vec<BoostNode>,
}

/// A node of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BoostNode {
    /// Rows with value <= threshold go left.
    Split {
        /// Column.
        feature: usize,
        /// Upper edge of the last bin that goes left.
        threshold: f64,
        /// G_l² / H_l + G_r² / H_r - G² / H.
        gain: f64,
        /// Left child.
        left: usize,
        /// Right child.
        right: usize,
    },
    /// Added to the log-odds, learning rate included.
    Leaf {
        /// Log-odds.
        value: f64,
        /// Training rows in it.
        rows: usize,
    },
}

impl BoostTree {
    fn log_odds(&self, row: ArrayView1<f32>) -> f64 {
        let mut at = 0;
        loop {
            match self.nodes[at] {
                BoostNode::Leaf { value, .. } => return value,
                BoostNode::Split { feature, threshold, left, right, .. } => {
                    at = if f64::from(row[feature]) <= threshold { left } else { right };
                }
            }
        }
    }
}

/// Train on `features` and `interesting`, stopping early on the hold-out rows if there are any.
///
/// Each round: first and second derivatives of the log-loss at the current prediction, one tree of at most
/// `max_depth` levels that saves most of its second-order expansion, its leaf values -G / (H + λ) times the learning
/// rate added to the prediction. Training ends after `max_rounds`, when no cut gains anything, or when the hold-out
/// log-loss has not improved for `early_stopping_rounds`; then only the trees up to the best round are kept.
/// Nothing is random, and the result is the same for any number of threads.
///
/// # Shapes
/// - `features`: `[rows, columns]`, finite. `interesting`: one per row.
/// - `hold_out`: features `[held-out rows, columns]` and their labels.
/// # Errors
/// Settings out of range, lengths that differ, no column, a value that is not finite, training rows of one class, or
/// fewer than two leaves' worth of them.
/// # Source
/// Friedman 2001; Ke et al. 2017 (LightGBM), with its defaults; reference-facts E5.
pub fn boost(
    features: ArrayView2<f32>,
    interesting: &[bool],
    hold_out: Option<(ArrayView2<f32>, &[bool])>,
    config: &RankConfig,
) -> Result<Booster, RankError> {
    config.check()?;
    check_table(features, interesting)?;
    if let Some((features, interesting)) = hold_out {
        check_table(features, interesting)?;
    }
    let rows = interesting.len();
    let positives = interesting.iter().filter(|&&interesting| interesting).count();
    if positives == 0 || positives == rows {
        return Err(RankError::OneClass { part: "training", interesting: positives, rows });
    }
    let fewest = 2 * config.min_data_in_leaf;
    if rows < fewest {
        return Err(RankError::TooFewRows { part: "training", expected: fewest, found: rows });
    }
    let binned = BinnedFeatures::new(features, config.max_bins);
    let share = positives as f64 / rows as f64;
    let mut booster = Booster {
        base: (share / (1.0 - share)).ln(),
        trees: Vec::new(),
        hold_out_log_loss: Vec::new(),
        columns: features.ncols(),
    };
    let mut log_odds = vec![booster.base; rows];
    let mut derivatives = vec![[0.0; 2]; rows];
    let mut hold_out_log_odds = vec![booster.base; hold_out.map_or(0, |(_, labels)| labels.len())];
    let mut best = (0, f64::INFINITY);
    let mut done = Vec::new();
    for round in 1..=config.max_rounds {
        for ((derivative, &log_odds), &interesting) in derivatives.iter_mut().zip(&log_odds).zip(interesting) {
            let probability = sigmoid(log_odds);
            *derivative = [probability - f64::from(u8::from(interesting)), probability * (1.0 - probability)];
        }
        let Some(tree) = grow_tree(&binned, &derivatives, &mut log_odds, config, &mut done) else { break };
        booster.trees.push(tree);
        if let (Some((features, labels)), Some(tree)) = (hold_out, booster.trees.last()) {
            for (log_odds, row) in hold_out_log_odds.iter_mut().zip(features.rows()) {
                *log_odds += tree.log_odds(row);
            }
            let loss = log_loss(&hold_out_log_odds, labels);
            booster.hold_out_log_loss.push(loss);
            if loss < best.1 {
                best = (round, loss);
            } else if round - best.0 >= config.early_stopping_rounds {
                break;
            }
        }
    }
    if hold_out.is_some() {
        booster.trees.truncate(best.0);
    }
    Ok(booster)
}

/// Mean binary log-loss in nats, from log-odds.
pub(crate) fn log_loss(log_odds: &[f64], interesting: &[bool]) -> f64 {
    // ln(1 + exp(-m)) with m the margin, written so that neither branch overflows.
    let row = |(&log_odds, &interesting): (&f64, &bool)| {
        let margin = if interesting { log_odds } else { -log_odds };
        (-margin).max(0.0) + (-margin.abs()).exp().ln_1p()
    };
    log_odds.iter().zip(interesting).map(row).sum::<f64>() / interesting.len() as f64
}

fn sigmoid(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

fn check_table(features: ArrayView2<f32>, interesting: &[bool]) -> Result<(), RankError> {
    if features.nrows() != interesting.len() {
        return Err(RankError::LengthMismatch {
            what: "interesting",
            expected: features.nrows(),
            found: interesting.len(),
        });
    }
    if features.ncols() == 0 {
        return Err(RankError::NoFeatures);
    }
    match features.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), &found)) => Err(RankError::NotFinite { row, column, found }),
        None => Ok(()),
    }
}

/// A node whose rows are known and which may still be split.
struct OpenNode {
    node: usize,
    depth: usize,
    rows: Vec<u32>,
    sums: Sums,
    histograms: Histograms,
}

/// Grow one tree and add its leaf values to the rows' log-odds; `None` if not even the root can be split.
/// `done` holds histograms whose memory may be used again.
fn grow_tree(
    features: &BinnedFeatures,
    derivatives: &[[f64; 2]],
    log_odds: &mut [f64],
    config: &RankConfig,
    done: &mut Vec<Histograms>,
) -> Option<BoostTree> {
    let rows: Vec<u32> = (0..features.rows as u32).collect();
    let sums =
        derivatives.iter().fold(Sums { rows: features.rows as u32, ..Sums::default() }, |sum, [gradient, hessian]| {
            Sums { gradient: sum.gradient + gradient, hessian: sum.hessian + hessian, ..sum }
        });
    let histograms = Histograms::new(features, &rows, derivatives, done);
    let mut tree = BoostTree { nodes: vec![leaf(sums, config)] };
    let mut leaves: Vec<(usize, Vec<u32>)> = Vec::new();
    let mut open = vec![OpenNode { node: 0, depth: 0, rows, sums, histograms }];
    while let Some(parent) = open.pop() {
        let Some(split) = parent.histograms.best_split(features, parent.sums, config) else {
            leaves.push((parent.node, parent.rows));
            done.push(parent.histograms);
            continue;
        };
        let bins = features.column(split.feature);
        let (left_rows, right_rows): (Vec<u32>, Vec<u32>) =
            parent.rows.iter().partition(|&&row| bins[row as usize] <= split.bin);
        let left = tree.nodes.len();
        tree.nodes[parent.node] = split_node(features, &split, left);
        tree.nodes.push(leaf(split.left, config));
        tree.nodes.push(leaf(split.right, config));
        let depth = parent.depth + 1;
        if depth == config.max_depth {
            leaves.push((left, left_rows));
            leaves.push((left + 1, right_rows));
            done.push(parent.histograms);
            continue;
        }
        // Only the smaller child is summed; the larger one is the parent without it.
        let left_is_smaller = left_rows.len() <= right_rows.len();
        let smaller =
            Histograms::new(features, if left_is_smaller { &left_rows } else { &right_rows }, derivatives, done);
        let larger = parent.histograms.without(&smaller);
        let (left_histograms, right_histograms) = if left_is_smaller { (smaller, larger) } else { (larger, smaller) };
        open.push(OpenNode {
            node: left + 1,
            depth,
            rows: right_rows,
            sums: split.right,
            histograms: right_histograms,
        });
        open.push(OpenNode { node: left, depth, rows: left_rows, sums: split.left, histograms: left_histograms });
    }
    if tree.nodes.len() == 1 {
        return None;
    }
    for (node, rows) in leaves {
        if let BoostNode::Leaf { value, .. } = tree.nodes[node] {
            for row in rows {
                log_odds[row as usize] += value;
            }
        }
    }
    Some(tree)
}

fn split_node(features: &BinnedFeatures, split: &Split, left: usize) -> BoostNode {
    let threshold = features.upper_edges[split.feature][split.bin as usize];
    BoostNode::Split { feature: split.feature, threshold, gain: split.gain, left, right: left + 1 }
}

fn leaf(sums: Sums, config: &RankConfig) -> BoostNode {
    let value = -config.learning_rate * sums.gradient / (sums.hessian + config.lambda_l2);
    BoostNode::Leaf { value, rows: sums.rows as usize }
}

impl Booster {
    /// Probability of being interesting, one per row.
    ///
    /// # Errors
    /// If the number of columns differs from the training table.
    pub fn probabilities(&self, features: ArrayView2<f32>) -> Result<Vec<f64>, RankError> {
        if features.ncols() != self.columns {
            return Err(RankError::LengthMismatch {
                what: "columns of features",
                expected: self.columns,
                found: features.ncols(),
            });
        }
        let probability = |row| sigmoid(self.base + self.trees.iter().map(|tree| tree.log_odds(row)).sum::<f64>());
        Ok(features.rows().into_iter().map(probability).collect())
    }

    /// How often each feature splits a node of the kept trees.
    pub fn split_importance(&self) -> Vec<u32> {
        let mut importance = vec![0; self.columns];
        self.for_each_split(|feature, _| importance[feature] += 1);
        importance
    }

    /// Sum of the gains of these splits.
    pub fn gain_importance(&self) -> Vec<f64> {
        let mut importance = vec![0.0; self.columns];
        self.for_each_split(|feature, gain| importance[feature] += gain);
        importance
    }

    fn for_each_split(&self, mut visit: impl FnMut(usize, f64)) {
        for node in self.trees.iter().flat_map(|tree| &tree.nodes) {
            if let BoostNode::Split { feature, gain, .. } = *node {
                visit(feature, gain);
            }
        }
    }
}
