//! One isolation tree: the plain arrays in which trees are exchanged, and the compact nodes that are walked.
//!
//! Walking is the cost of scoring (200 trees x 8 to 16 steps per row), so the compact form is made for it: 12 bytes
//! a node, children side by side (right = left + 1), and leaves that lead back to themselves, so that a walk
//! has a fixed number of steps and no branch to mispredict. Features are `f32`; a threshold is therefore rounded
//! down to `f32`, which moves no value of that type to the other side.

use serde::{Deserialize, Serialize};

use crate::error::ForestError;
use crate::path_length::average_path_length;

/// A tree as parallel arrays, the layout in which scikit-learn exposes its trees. Node 0 is the root.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeArrays {
    /// Column of the split; ignored at a leaf.
    pub feature: Vec<i32>,
    /// A row goes left when its value is <= this; ignored at a leaf.
    pub threshold: Vec<f64>,
    /// Left child within the tree; -1 at a leaf.
    pub left: Vec<i32>,
    /// Right child within the tree; -1 at a leaf.
    pub right: Vec<i32>,
    /// Training rows that reached the node.
    pub n_node_samples: Vec<u32>,
}

/// One step of a walk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Node {
    /// Go left when value <= threshold; +∞ at a leaf.
    pub(crate) threshold: f32,
    /// Column; 0 at a leaf.
    pub(crate) feature: u32,
    /// Left child, right is the next one; the node itself at a leaf.
    pub(crate) left: u32,
}

/// A tree in walking order. Fields are private, since scoring relies on the invariants without checking (made by [`Tree::leaf`], [`Tree::split`] and [`Tree::from_arrays`]): every `left` of an
/// inner node and `left + 1` are inside `nodes` and above the node itself, a leaf's `left` is itself, every `feature`
/// is below the table's width, the three vectors have equal length, and `steps` edges reach every leaf.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// At a leaf: (its depth + c(rows that reached it)) / c(rows of the tree). 0 at inner nodes. In this unit a tree of one
    /// leaf gives exactly 1, and hence a score of exactly 1/2.
    path_length: Vec<f64>,
    n_node_samples: Vec<u32>,
    /// Edges from the root to the deepest leaf.
    steps: usize,
    /// c(rows of the tree), the unit of path lengths.
    unit: f64,
    /// One more than the largest feature.
    columns_needed: usize,
}

impl Tree {
    /// A tree of one leaf with `rows` rows, in a forest of `samples_per_tree` rows (at least 2).
    pub(crate) fn leaf(rows: usize, samples_per_tree: usize) -> Self {
        let unit = average_path_length(samples_per_tree);
        let mut tree = Self {
            nodes: Vec::new(),
            path_length: Vec::new(),
            n_node_samples: Vec::new(),
            steps: 0,
            unit,
            columns_needed: 1,
        };
        tree.push_leaf(rows, 0);
        tree
    }

    fn push_leaf(&mut self, rows: usize, depth: usize) {
        self.nodes.push(Node { threshold: f32::INFINITY, feature: 0, left: self.nodes.len() as u32 });
        self.path_length.push((depth as f64 + average_path_length(rows)) / self.unit);
        self.n_node_samples.push(rows as u32);
        self.steps = self.steps.max(depth);
    }

    /// Turn leaf `node` at `depth` into a split; its left child is returned, the right one follows it.
    pub(crate) fn split(&mut self, node: usize, depth: usize, feature: u32, threshold: f32, rows: [usize; 2]) -> usize {
        let left = self.nodes.len();
        self.columns_needed = self.columns_needed.max(feature as usize + 1);
        self.nodes[node] = Node { threshold, feature, left: left as u32 };
        self.path_length[node] = 0.0;
        self.push_leaf(rows[0], depth + 1);
        self.push_leaf(rows[1], depth + 1);
        left
    }

    /// The nodes; children of each are again indices into this slice, which is never empty.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Path length of each leaf.
    pub(crate) fn path_length(&self) -> &[f64] {
        &self.path_length
    }

    /// Edges from the root to the deepest leaf.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// Fewest columns of a table this tree can walk: every node's feature is below.
    pub(crate) fn columns_needed(&self) -> usize {
        self.columns_needed
    }

    fn is_leaf(&self, node: usize) -> bool {
        self.nodes[node].left as usize == node
    }

    /// Check foreign arrays and bring them into walking order.
    ///
    /// # Errors
    /// [`ForestError::BadTree`] for arrays of different length, no node, a child outside the tree, a node with two parents
    /// or one child, a cycle, an unreachable node, a feature outside `0..n_features`, or a NaN threshold.
    pub(crate) fn from_arrays(
        arrays: &TreeArrays,
        n_features: usize,
        samples_per_tree: usize,
        tree: usize,
    ) -> Result<Self, ForestError> {
        let count = arrays.left.len();
        let bad = |node: usize, expected: String, found: String| ForestError::BadTree { tree, node, expected, found };
        let lengths = [arrays.feature.len(), arrays.threshold.len(), arrays.right.len(), arrays.n_node_samples.len()];
        if count == 0 || lengths.iter().any(|&length| length != count) {
            return Err(bad(
                0,
                format!("five arrays of the same length, at least 1, as left ({count})"),
                format!("{lengths:?}"),
            ));
        }
        let mut ours = Self::leaf(arrays.n_node_samples[0] as usize, samples_per_tree);
        let mut seen = vec![false; count];
        seen[0] = true;
        // (their node, our node, depth)
        let mut open = vec![(0_usize, 0_usize, 0_usize)];
        while let Some((node, our_node, depth)) = open.pop() {
            let (left, right) = (arrays.left[node], arrays.right[node]);
            if left == -1 && right == -1 {
                continue;
            }
            let mut children = [0; 2];
            for (slot, child) in children.iter_mut().zip([left, right]) {
                *slot = usize::try_from(child).ok().filter(|&child| child < count).ok_or_else(|| {
                    bad(node, format!("children in 0..{count}, or -1 twice"), format!("{left} and {right}"))
                })?;
                if std::mem::replace(&mut seen[*slot], true) {
                    return Err(bad(node, "children that have no other parent".into(), format!("node {child} again")));
                }
            }
            let feature = usize::try_from(arrays.feature[node]).ok().filter(|&feature| feature < n_features);
            let Some(feature) = feature else {
                return Err(bad(node, format!("a feature in 0..{n_features}"), arrays.feature[node].to_string()));
            };
            let threshold = arrays.threshold[node];
            if threshold.is_nan() {
                return Err(bad(node, "a threshold".into(), "NaN".into()));
            }
            let rows = children.map(|child| arrays.n_node_samples[child] as usize);
            let our_left = ours.split(our_node, depth, feature as u32, round_down(threshold), rows);
            open.push((children[1], our_left + 1, depth + 1));
            open.push((children[0], our_left, depth + 1));
        }
        match seen.iter().position(|seen| !seen) {
            Some(node) => Err(bad(node, "a node that can be reached from the root".into(), "no parent".into())),
            None => Ok(ours),
        }
    }

    /// The inverse of [`Tree::from_arrays`], in our node order.
    pub(crate) fn to_arrays(&self) -> TreeArrays {
        let mut arrays = TreeArrays { n_node_samples: self.n_node_samples.clone(), ..TreeArrays::default() };
        for (index, node) in self.nodes.iter().enumerate() {
            let leaf = self.is_leaf(index);
            arrays.feature.push(if leaf { -1 } else { node.feature as i32 });
            // A leaf needs no threshold, and JSON has no infinity.
            arrays.threshold.push(if leaf { 0.0 } else { f64::from(node.threshold) });
            arrays.left.push(if leaf { -1 } else { node.left as i32 });
            arrays.right.push(if leaf { -1 } else { node.left as i32 + 1 });
        }
        arrays
    }
}

/// The largest `f32` not above `value`: for every `f32` x, x <= value exactly when x <= round_down(value).
pub(crate) fn round_down(value: f64) -> f32 {
    let nearest = value as f32;
    if f64::from(nearest) > value { nearest.next_down() } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root splits column 1 at 0.5; its right child splits column 0 at -1.
    fn arrays() -> TreeArrays {
        TreeArrays {
            feature: vec![1, -2, 0, -2, -2],
            threshold: vec![0.5, 0.0, -1.0, 0.0, 0.0],
            left: vec![1, -1, 3, -1, -1],
            right: vec![2, -1, 4, -1, -1],
            n_node_samples: vec![10, 3, 7, 5, 2],
        }
    }

    #[test]
    fn leaves_know_their_path_length() {
        let tree = Tree::from_arrays(&arrays(), 2, 3, 0).unwrap();
        assert_eq!(tree.steps, 2);
        let leaves: Vec<f64> = (0..5).filter(|&node| tree.is_leaf(node)).map(|node| tree.path_length[node]).collect();
        let unit = average_path_length(3);
        assert_eq!(leaves, [(1.0 + unit) / unit, (2.0 + average_path_length(5)) / unit, 3.0 / unit]);
        let again = Tree::from_arrays(&tree.to_arrays(), 2, 3, 0).unwrap();
        assert_eq!(again, tree);
    }

    #[test]
    fn no_tree_is_refused_by_name() {
        type Spoil = fn(&mut TreeArrays);
        let spoils: [(Spoil, &str); 9] = [
            (|t| t.left[2] = 9, "children in 0..5"),
            (|t| t.left[2] = -1, "children in 0..5"),
            (|t| t.left[2] = 0, "no other parent"),
            (|t| t.left[2] = 2, "no other parent"),
            (|t| t.right[0] = 1, "no other parent"),
            (|t| (t.left[2], t.right[2]) = (-1, -1), "reached from the root"),
            (|t| t.feature[0] = 2, "a feature in 0..2"),
            (|t| t.feature[2] = -1, "a feature in 0..2"),
            (|t| t.threshold[0] = f64::NAN, "a threshold"),
        ];
        for (spoil, word) in spoils {
            let mut spoilt = arrays();
            spoil(&mut spoilt);
            let error = Tree::from_arrays(&spoilt, 2, 10, 4).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("tree 4"), "{error}");
        }
        assert!(Tree::from_arrays(&TreeArrays::default(), 2, 10, 0).is_err());
        let mut short = arrays();
        short.threshold.pop();
        assert!(Tree::from_arrays(&short, 2, 10, 0).unwrap_err().to_string().contains("same length"));
    }

    proptest::proptest! {
        #[test]
        fn rounding_down_moves_no_value(x in proptest::num::f32::NORMAL, shift in -3_i8..=3) {
            let mut near = x;
            for _ in 0..shift.unsigned_abs() { near = if shift < 0 { near.next_down() } else { near.next_up() } }
            let threshold = (f64::from(x) + f64::from(near)) / 2.0;
            proptest::prop_assert_eq!(f64::from(x) <= threshold, x <= round_down(threshold));
            proptest::prop_assert_eq!(f64::from(near) <= threshold, near <= round_down(threshold));
        }
    }
}
