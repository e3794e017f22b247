//! Growing one isolation tree: random rows, then random columns and random thresholds until rows are alone.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::table::Table;
use crate::tree::{Tree, round_down};

/// Grow a tree on `samples` rows and `columns` columns of the table, drawn here.
///
/// A node picks one of its tree's columns that are not constant in it, each with the same chance, and a threshold
/// uniform between the smallest and the largest value there. It stays a leaf when it holds one row, when every column is
/// constant, or at depth ceil(log2(samples)).
///
/// # Source
/// Liu, Ting & Zhou 2008, algorithm 2; columns per tree as in scikit-learn (reference-facts G2).
pub(crate) fn grow_tree(
    table: &Table,
    varying: &[bool],
    samples: usize,
    columns: usize,
    bootstrap: bool,
    rng: &mut ChaCha8Rng,
) -> Tree {
    let mut rows = draw_rows(table.rows(), samples, bootstrap, rng);
    // Columns that are constant over the whole table are drawn with the others but never split on.
    let mut features: Vec<u32> =
        draw(table.columns(), columns, rng).into_iter().filter(|&column| varying[column as usize]).collect();
    let depth_limit = samples.next_power_of_two().trailing_zeros() as usize;
    let mut tree = Tree::leaf(samples, samples);
    let mut scratch = Vec::with_capacity(samples);
    // (node, its rows as a range of `rows`, depth)
    let mut open = vec![(0, 0, samples, 0)];
    while let Some((node, start, end, depth)) = open.pop() {
        if end - start < 2 || depth >= depth_limit {
            continue;
        }
        let here = &mut rows[start..end];
        let Some((feature, low, high)) = pick_feature(table, here, &mut features, rng) else { continue };
        let threshold = draw_threshold(low, high, rng);
        let left_rows = partition(table, here, feature, threshold, &mut scratch);
        let middle = start + left_rows;
        let left = tree.split(node, depth, feature, threshold, [left_rows, end - middle]);
        open.push((left + 1, middle, end, depth + 1));
        open.push((left, start, middle, depth + 1));
    }
    tree
}

/// `samples` row numbers, rising where drawn without replacement: early nodes then read the table front to back.
fn draw_rows(rows: usize, samples: usize, bootstrap: bool, rng: &mut ChaCha8Rng) -> Vec<u32> {
    if bootstrap {
        let mut drawn: Vec<u32> = (0..samples).map(|_| rng.random_range(0..rows as u32)).collect();
        drawn.sort_unstable();
        drawn
    } else {
        draw(rows, samples, rng)
    }
}

/// `amount` different numbers below `length`, rising.
fn draw(length: usize, amount: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    if amount == length {
        return (0..length as u32).collect();
    }
    let mut drawn: Vec<u32> =
        rand::seq::index::sample(rng, length, amount).into_iter().map(|index| index as u32).collect();
    drawn.sort_unstable();
    drawn
}

/// A column that varies over `rows`, uniform among those, with its range; `None` if there is none.
fn pick_feature(table: &Table, rows: &[u32], features: &mut [u32], rng: &mut ChaCha8Rng) -> Option<(u32, f32, f32)> {
    // A Fisher-Yates shuffle that stops at the first column that varies: each of these is equally likely to come first.
    for drawn in 0..features.len() {
        let next = rng.random_range(drawn as u32..features.len() as u32) as usize;
        features.swap(drawn, next);
        let (low, high) = range(table, rows, features[drawn]);
        if low < high {
            return Some((features[drawn], low, high));
        }
    }
    None
}

fn range(table: &Table, rows: &[u32], feature: u32) -> (f32, f32) {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for &row in rows {
        let value = table.value(row, feature);
        low = if value < low { value } else { low };
        high = if value > high { value } else { high };
    }
    (low, high)
}

/// Uniform in [low, high), so that both sides get a row.
fn draw_threshold(low: f32, high: f32, rng: &mut ChaCha8Rng) -> f32 {
    let (low64, high64) = (f64::from(low), f64::from(high));
    let threshold = round_down(low64 + (high64 - low64) * rng.random::<f64>());
    if threshold < high { threshold } else { low }
}

/// Bring rows with value <= threshold to the front, both parts in their old order; returns how many.
fn partition(table: &Table, rows: &mut [u32], feature: u32, threshold: f32, right: &mut Vec<u32>) -> usize {
    right.clear();
    right.resize(rows.len(), 0);
    let (mut left_rows, mut right_rows) = (0, 0);
    for i in 0..rows.len() {
        let row = rows[i];
        let goes_left = table.value(row, feature) <= threshold;
        // Write to both sides and advance one: no branch on a coin toss.
        rows[left_rows] = row;
        right[right_rows] = row;
        left_rows += usize::from(goes_left);
        right_rows += usize::from(!goes_left);
    }
    rows[left_rows..].copy_from_slice(&right[..right_rows]);
    left_rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use rand::SeedableRng;

    fn grow(values: &Array2<f32>, samples: usize, columns: usize, seed: u64) -> Tree {
        let table = Table::new(values.view()).unwrap();
        grow_tree(
            &table,
            &table.varying_columns().unwrap(),
            samples,
            columns,
            false,
            &mut ChaCha8Rng::seed_from_u64(seed),
        )
    }

    #[test]
    fn leaves_share_out_the_rows_within_the_depth_limit() {
        let values = Array2::from_shape_fn((300, 3), |(row, column)| ((row * 37 + column * 11) % 101) as f32);
        for samples in [2, 3, 100, 128, 129, 300] {
            let tree = grow(&values, samples, 3, 5);
            let arrays = tree.to_arrays();
            let in_leaves: u32 = (0..arrays.left.len())
                .filter(|&node| arrays.left[node] == -1)
                .map(|node| arrays.n_node_samples[node])
                .sum();
            assert_eq!(in_leaves as usize, samples);
            assert!(tree.steps() <= (samples as f64).log2().ceil() as usize);
            for node in (0..arrays.left.len()).filter(|&node| arrays.left[node] >= 0) {
                let [left, right] =
                    [arrays.left[node], arrays.right[node]].map(|child| arrays.n_node_samples[child as usize]);
                assert!(left > 0 && right > 0 && left + right == arrays.n_node_samples[node]);
            }
        }
    }

    #[test]
    fn constant_columns_are_never_split_on() {
        let values = Array2::from_shape_fn((50, 4), |(row, column)| if column == 2 { row as f32 } else { 7.0 });
        let tree = grow(&values, 50, 4, 1);
        assert!(tree.nodes().len() > 1);
        assert!(tree.to_arrays().feature.iter().all(|&feature| feature == 2 || feature == -1));
    }

    /// The root's column is uniform among those that vary, and its threshold uniform over the range.
    #[test]
    fn root_splits_have_the_distribution_of_the_paper() {
        let values = Array2::from_shape_fn((64, 3), |(row, column)| row as f32 * [1.0, 0.0, 100.0][column]);
        let (mut of_last, mut mean) = (0, 0.0);
        for seed in 0..2000 {
            let root = grow(&values, 64, 3, seed).nodes()[0];
            of_last += usize::from(root.feature == 2);
            mean += f64::from(root.threshold) / [63.0, 1.0, 6300.0][root.feature as usize] / 2000.0;
        }
        // Four standard errors: sqrt(500) = 22 of 2000, and 1 / sqrt(12 * 2000) = 0.0065.
        assert!((of_last as f64 - 1000.0).abs() < 90.0, "{of_last}");
        assert!((mean - 0.5).abs() < 0.026, "{mean}");
    }

    #[test]
    fn neighbouring_floats_still_part() {
        let low = 1.0_f32;
        for seed in 0..100 {
            let threshold = draw_threshold(low, low.next_up(), &mut ChaCha8Rng::seed_from_u64(seed));
            assert_eq!(threshold, low);
        }
    }
}
