//! The forest: grow trees on random sub-samples, measure how early a row is alone, call the early ones strange.

use ndarray::ArrayView2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::config::ForestConfig;
use crate::error::ForestError;
use crate::grow::grow_tree;
use crate::score::scores;
use crate::table::Table;
use crate::tree::{Tree, TreeArrays};

/// A grown Isolation Forest.
#[derive(Debug, Clone, PartialEq)]
pub struct IsolationForest {
    pub(crate) trees: Vec<Tree>,
    pub(crate) n_features: usize,
    pub(crate) samples_per_tree: usize,
    pub(crate) offset: f64,
}

impl IsolationForest {
    /// Grow a forest.
    ///
    /// A column that is constant in the data is never split on; if all are, each tree is one leaf and every score 0.5.
    /// (scikit-learn also calls a spread below 1e-7 constant, which would depend on the unit; we do not.)
    /// Each tree draws from its own ChaCha8 stream (seed, tree), so the forest is the same for any number of threads.
    ///
    /// # Shapes
    /// - `features`: `[rows, columns]`, finite; any unit, no scaling needed.
    /// # Errors
    /// Fewer than two rows, no column, a value that is not finite (row and column named), or a setting out of range
    /// for this table.
    /// # Source
    /// Liu, Ting & Zhou 2008 (ICDM), algorithms 1 and 2; Riggi et al. 2024, section 5.2; reference-facts G1, G2.
    pub fn fit(features: ArrayView2<f32>, config: &ForestConfig) -> Result<Self, ForestError> {
        let table = Table::new(features)?;
        if table.rows() < 2 {
            return Err(ForestError::TooFewRows { expected: 2, found: table.rows() });
        }
        let (samples, columns) = config.resolve(table.rows(), table.columns())?;
        let varying = table.varying_columns()?;
        let trees = (0..config.n_trees)
            .into_par_iter()
            .map(|tree| {
                let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
                rng.set_stream(tree as u64);
                grow_tree(&table, &varying, samples, columns, config.bootstrap, &mut rng)
            })
            .collect();
        let mut forest = Self { trees, n_features: table.columns(), samples_per_tree: samples, offset: -0.5 };
        if let crate::Contamination::Fraction(_) = config.contamination {
            forest.offset = -config.contamination.cut(&scores(&forest.trees, &table)?)?;
        }
        Ok(forest)
    }

    /// A forest from trees grown elsewhere, e.g. by scikit-learn.
    ///
    /// - `n_features`: columns of the training table; `samples_per_tree`: rows each tree saw; `offset` as [`Self::offset`].
    /// # Errors
    /// No tree, fewer than two samples per tree, an offset that is not finite, or [`ForestError::BadTree`] for arrays that
    /// are no tree: children or features out of range, cycles, two parents, unreachable nodes.
    pub fn from_trees(
        trees: &[TreeArrays],
        n_features: usize,
        samples_per_tree: usize,
        offset: f64,
    ) -> Result<Self, ForestError> {
        let bad = |name, expected: &str, found: String| {
            Err(ForestError::BadSetting { name, expected: expected.into(), found })
        };
        if trees.is_empty() {
            return bad("trees", "at least 1", "0".into());
        }
        if n_features == 0 {
            return Err(ForestError::NoFeatures);
        }
        if samples_per_tree < 2 {
            return bad("samples_per_tree", "at least 2", samples_per_tree.to_string());
        }
        if !offset.is_finite() {
            return bad("offset", "a finite number", offset.to_string());
        }
        let trees = trees
            .iter()
            .enumerate()
            .map(|(index, arrays)| Tree::from_arrays(arrays, n_features, samples_per_tree, index))
            .collect::<Result<_, _>>()?;
        Ok(Self { trees, n_features, samples_per_tree, offset })
    }

    /// The trees as plain arrays, for other programs.
    pub fn to_trees(&self) -> Vec<TreeArrays> {
        self.trees.iter().map(Tree::to_arrays).collect()
    }

    /// Anomaly score per row, in (0, 1): 2^(-mean path length / c(samples per tree)). **Higher is stranger**; about 0.5
    /// for rows in no way special. scikit-learn's `score_samples` is its negative. Each row is scored by itself: a table that does
    /// not fit into memory can come in parts.
    ///
    /// # Shapes
    /// - `features`: `[rows, columns]` with the columns of the training table; no row gives an empty result.
    /// - result: one score per row, the same bits for any number of threads.
    /// # Errors
    /// If the number of columns differs from the training table or a value is not finite.
    /// # Source
    /// Liu, Ting & Zhou 2008, eq. 2.
    pub fn scores(&self, features: ArrayView2<f32>) -> Result<Vec<f64>, ForestError> {
        if features.ncols() != self.n_features {
            return Err(ForestError::WrongWidth { expected: self.n_features, found: features.ncols() });
        }
        scores(&self.trees, &Table::new(features)?)
    }

    /// Decision offset in scikit-learn's sign: a row is an outlier when -score < offset. -0.5 for automatic contamination.
    pub fn offset(&self) -> f64 {
        self.offset
    }

    /// Whether each score lies strictly above -offset.
    pub fn outliers(&self, scores: &[f64]) -> Vec<bool> {
        scores.iter().map(|score| -score < self.offset).collect()
    }

    /// Number of trees.
    pub fn n_trees(&self) -> usize {
        self.trees.len()
    }

    /// Columns of the training table.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Rows each tree saw.
    pub fn samples_per_tree(&self) -> usize {
        self.samples_per_tree
    }
}
