//! Walking rows down all trees: the hot loop of scoring.
//!
//! Rows are taken in blocks small enough for the cache, and each tree walks the whole block before the next tree comes.
//! Inside, [`LANES`] rows walk side by side: one walk waits for memory at every step, eight independent ones keep the
//! processor busy. Their values lie interleaved, so that a lane is a constant offset and not one more register.

use rayon::prelude::*;

use crate::error::ForestError;
use crate::table::Table;
use crate::tree::Tree;

/// Rows that walk down a tree together.
const LANES: usize = 8;
/// Aim for a block of rows, bytes.
const BLOCK_BYTES: usize = 128 * 1024;

/// One column of [`LANES`] rows.
type Lanes = [f32; LANES];

/// Anomaly score of each row from the sum of its path lengths over the trees. Trees are added in order, so it does not depend on
/// the threads.
///
/// # Errors
/// If a value of the table is not finite.
/// # Source
/// Liu, Ting & Zhou 2008, eq. 2.
pub(crate) fn scores(trees: &[Tree], table: &Table) -> Result<Vec<f64>, ForestError> {
    let columns = table.columns();
    let block_rows = (BLOCK_BYTES / (4 * columns)).clamp(2 * LANES, 4096) / LANES * LANES;
    scores_of_blocks(table, trees.len(), block_rows, |interleaved: &mut Vec<Lanes>, values, sums| {
        interleave(values, columns, interleaved);
        for tree in trees {
            // Checked once per tree and block, so that the walk need not check every step.
            assert!(tree.columns_needed() <= columns, "trees are checked against the table's width when made");
            for (rows, sums) in interleaved.chunks_exact(columns).zip(sums.chunks_mut(LANES)) {
                let leaves = walk(tree, rows);
                for (sum, leaf) in sums.iter_mut().zip(leaves) {
                    *sum += tree.path_length()[leaf as usize];
                }
            }
        }
    })
}

/// The same for any kind of tree: `add_paths(workspace, values, sums)` adds the path lengths, in units of c(rows per tree), of a block
/// of rows over all trees. Each thread has a workspace of its own.
pub(crate) fn scores_of_blocks<W: Default>(
    table: &Table,
    n_trees: usize,
    block_rows: usize,
    add_paths: impl Fn(&mut W, &[f32], &mut [f64]) + Sync,
) -> Result<Vec<f64>, ForestError> {
    let mut scores = vec![0.0; table.rows()];
    let failures: Vec<ForestError> = scores
        .par_chunks_mut(block_rows)
        .zip(table.values().par_chunks(block_rows * table.columns()))
        .enumerate()
        .map_init(W::default, |workspace, (block, (scores, values))| {
            table.check_finite(block * block_rows, values)?;
            add_paths(workspace, values, scores);
            for score in scores {
                *score = (-*score / n_trees as f64).exp2();
            }
            Ok(())
        })
        .filter_map(Result::err)
        .collect();
    match failures.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(scores),
    }
}

/// Groups of [`LANES`] rows, `[groups][columns][LANES]`; rows that are missing in the last group are 0.
fn interleave(values: &[f32], columns: usize, interleaved: &mut Vec<Lanes>) {
    let groups = values.len().div_ceil(columns * LANES);
    interleaved.clear();
    interleaved.resize(groups * columns, [0.0; LANES]);
    for (group, rows) in interleaved.chunks_exact_mut(columns).zip(values.chunks(columns * LANES)) {
        for (lane, row) in rows.chunks_exact(columns).enumerate() {
            for (lanes, &value) in group.iter_mut().zip(row) {
                lanes[lane] = value;
            }
        }
    }
}

/// Leaves that a group of rows ends in. A leaf leads to itself: no value is above its infinite threshold.
fn walk(tree: &Tree, rows: &[Lanes]) -> [u32; LANES] {
    let nodes = tree.nodes();
    let mut at = [0_u32; LANES];
    for _ in 0..tree.steps() {
        for lane in 0..LANES {
            // SAFETY: a tree has a root, node 0, and by the invariants of `Tree` the children of every node are nodes.
            let node = unsafe { nodes.get_unchecked(at[lane] as usize) };
            // SAFETY: every feature is below `columns_needed`, which the caller compared with the width of `rows`.
            let value = unsafe { rows.get_unchecked(node.feature as usize) }[lane];
            at[lane] = node.left + u32::from(value > node.threshold);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaving_keeps_every_value_and_pads_with_zeros() {
        let values: Vec<f32> = (1..=33).map(|value| value as f32).collect();
        let mut interleaved = Vec::new();
        interleave(&values, 3, &mut interleaved);
        assert_eq!(interleaved.len(), 6);
        for (index, &value) in values.iter().enumerate() {
            let (row, column) = (index / 3, index % 3);
            assert_eq!(interleaved[row / LANES * 3 + column][row % LANES], value);
        }
        assert_eq!(interleaved[3][3..], [0.0; 5]);
    }
}
