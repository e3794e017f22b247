//! Sorting the values of each feature into at most 255 bins of about equal population.
//!
//! Boosting then looks for cuts between bins instead of between values: a histogram of 255 entries per feature and
//! node replaces a sorted list. The bin edges follow the rules of LightGBM (Ke et al. 2017 and its documented
//! defaults), so that thresholds agree with it: equal-count bins closed greedily, edges half way between neighbouring
//! values, and a bin of its own for zero.

use ndarray::ArrayView2;
use rayon::prelude::*;

/// Values closer to zero than this count as zero.
const ZERO: f64 = 1e-35;
/// Fewest rows in a bin.
const MIN_DATA_IN_BIN: usize = 3;

/// Binned training rows.
pub(crate) struct BinnedFeatures {
    pub(crate) rows: usize,
    /// `[columns][rows]`: bin of each value, column after column.
    bins: Vec<u8>,
    /// Per column the upper edge of each bin, rising; the last is +∞. A value is in the first bin whose edge is not below it.
    pub(crate) upper_edges: Vec<Vec<f64>>,
}

impl BinnedFeatures {
    /// Bin every column of `features` (`[rows, columns]`, finite, at least one row).
    pub(crate) fn new(features: ArrayView2<f32>, max_bins: usize) -> Self {
        let (rows, columns) = features.dim();
        let mut bins = vec![0; rows * columns];
        let upper_edges = bins
            .par_chunks_mut(rows)
            .zip((0..columns).into_par_iter())
            .map(|(bins, column)| bin_column(features.column(column).iter().copied(), max_bins, bins))
            .collect();
        Self { rows, bins, upper_edges }
    }

    pub(crate) fn columns(&self) -> usize {
        self.upper_edges.len()
    }

    /// Bins of one column, one per row.
    pub(crate) fn column(&self, column: usize) -> &[u8] {
        &self.bins[column * self.rows..(column + 1) * self.rows]
    }
}

/// Upper edges of one column; the bin of each value goes to `bins`.
fn bin_column(values: impl Iterator<Item = f32>, max_bins: usize, bins: &mut [u8]) -> Vec<f64> {
    // One integer per row, value above and row number below: sorting it sorts the values and keeps their rows.
    let mut sorted: Vec<u64> =
        values.enumerate().map(|(row, value)| u64::from(ordered(value)) << 32 | row as u64).collect();
    sorted.sort_unstable();
    let value_of = |key: u64| f64::from(from_ordered((key >> 32) as u32));
    let mut distinct: Vec<(f64, usize)> = Vec::new();
    for &key in &sorted {
        match distinct.last_mut() {
            Some((value, count)) if *value == value_of(key) => *count += 1,
            _ => distinct.push((value_of(key), 1)),
        }
    }
    let edges = upper_edges(&distinct, max_bins);
    let mut bin = 0;
    for &key in &sorted {
        while value_of(key) > edges[bin] {
            bin += 1;
        }
        bins[(key & 0xffff_ffff) as usize] = bin as u8;
    }
    edges
}

/// Unsigned integers in the order of the values; -0 becomes +0.
fn ordered(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 0x8000_0000 } else { !bits }
}

fn from_ordered(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & 0x7fff_ffff } else { !key })
}

/// Edges for all values of a column: negative values, zero, positive values, each with its share of the bins.
fn upper_edges(distinct: &[(f64, usize)], max_bins: usize) -> Vec<f64> {
    let negative = &distinct[..distinct.partition_point(|value| value.0 <= -ZERO)];
    let positive = &distinct[distinct.partition_point(|value| value.0 <= ZERO)..];
    let count = |part: &[(f64, usize)]| part.iter().map(|value| value.1).sum::<usize>();
    let mut edges = Vec::new();
    if !negative.is_empty() {
        let share = count(negative) as f64 / (count(negative) + count(positive)) as f64;
        let room = ((share * (max_bins - 1) as f64) as usize).max(1);
        edges = equal_count_edges(negative, room);
        if let Some(last) = edges.last_mut() {
            *last = -ZERO;
        }
    }
    // One bin is zero's own.
    let room = (max_bins - 1).saturating_sub(edges.len());
    if positive.is_empty() || room == 0 {
        edges.push(f64::INFINITY);
    } else {
        edges.push(ZERO);
        edges.extend(equal_count_edges(positive, room));
    }
    edges
}

/// Close a bin as soon as it holds its share of the rows not yet binned; a value that alone exceeds a bin's share gets
/// one of its own. The last edge is +∞.
fn equal_count_edges(distinct: &[(f64, usize)], max_bins: usize) -> Vec<f64> {
    let total: usize = distinct.iter().map(|value| value.1).sum();
    let last = distinct.len() - 1;
    let mut edges: Vec<f64> = Vec::new();
    let mut in_bin = 0;
    if distinct.len() <= max_bins {
        for i in 0..last {
            in_bin += distinct[i].1;
            if in_bin >= MIN_DATA_IN_BIN {
                push_edge(&mut edges, distinct[i].0, distinct[i + 1].0);
                in_bin = 0;
            }
        }
    } else {
        let max_bins = max_bins.min(total / MIN_DATA_IN_BIN).max(1);
        let share = total as f64 / max_bins as f64;
        let heavy = |i: usize| distinct[i].1 as f64 >= share;
        let heavy_values = (0..=last).filter(|&i| heavy(i)).count();
        let mut rows_left = total - (0..=last).filter(|&i| heavy(i)).map(|i| distinct[i].1).sum::<usize>();
        let mut bins_left = max_bins - heavy_values.min(max_bins);
        let mut share = rows_left as f64 / bins_left as f64;
        let mut closed = 0;
        for i in 0..last {
            if !heavy(i) {
                rows_left -= distinct[i].1;
            }
            in_bin += distinct[i].1;
            let full = in_bin as f64 >= share;
            let next_is_heavy = heavy(i + 1) && in_bin as f64 >= (0.5 * share).max(1.0);
            if heavy(i) || full || next_is_heavy {
                push_edge(&mut edges, distinct[i].0, distinct[i + 1].0);
                closed += 1;
                if closed + 1 >= max_bins {
                    break;
                }
                in_bin = 0;
                if !heavy(i) {
                    bins_left = bins_left.saturating_sub(1);
                    share = rows_left as f64 / bins_left as f64;
                }
            }
        }
    }
    edges.push(f64::INFINITY);
    edges
}

/// An edge half way between two values, rounded up, so that the lower value stays below it.
fn push_edge(edges: &mut Vec<f64>, below: f64, above: f64) {
    let edge = ((below + above) / 2.0).next_up();
    if edges.last().is_none_or(|&last| edge > last) {
        edges.push(edge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn few_values_get_edges_half_way() {
        let values = Array2::from_shape_fn((40, 1), |(row, _)| [1.0, 2.0, 4.0, 8.0][row % 4]);
        let binned = BinnedFeatures::new(values.view(), 255);
        let edges = &binned.upper_edges[0];
        assert_eq!((edges[0], edges[4]), (ZERO, f64::INFINITY));
        for (edge, expected) in edges[1..4].iter().zip([1.5, 3.0, 6.0]) {
            assert!((edge - expected).abs() < 1e-12);
        }
        assert_eq!(binned.column(0)[..4], [1, 2, 3, 4]);
    }

    #[test]
    fn zero_has_its_own_bin() {
        let values = Array2::from_shape_fn((30, 1), |(row, _)| [-1.0, 0.0, -0.0, 1.0, 3.0][row % 5]);
        let binned = BinnedFeatures::new(values.view(), 255);
        assert_eq!(binned.column(0)[..5], [0, 1, 1, 2, 3]);
    }

    #[test]
    fn many_values_fill_bins_evenly() {
        let values =
            Array2::from_shape_fn(
                (5000, 2),
                |(row, column)| if column == 0 { row as f32 + 1.0 } else { 2500.0 - row as f32 - 0.5 },
            );
        let binned = BinnedFeatures::new(values.view(), 255);
        for column in 0..2 {
            let mut population = vec![0; binned.upper_edges[column].len()];
            for &bin in binned.column(column) {
                population[bin as usize] += 1;
            }
            assert!(population.len() > 250 && population.len() <= 255, "{}", population.len());
            assert!(
                population.iter().filter(|&&rows| rows > 0).all(|&rows| (10..=30).contains(&rows)),
                "{population:?}"
            );
        }
    }

    /// Lumpy values of both signs, with many zeros and very small numbers.
    #[test]
    fn bins_agree_with_a_linear_search() {
        for (rows, max_bins) in [(1, 255), (7, 255), (900, 16), (2000, 255), (2000, 2)] {
            let values = Array2::from_shape_fn((rows, 3), |(row, column)| {
                let hash = (row * 2_654_435_761 + column * 40_503) % 1009;
                [hash as f32 - 500.0, (hash % 7) as f32 - 3.0, if hash % 3 == 0 { 0.0 } else { hash as f32 * 1e-30 }]
                    [column]
            });
            let binned = BinnedFeatures::new(values.view(), max_bins);
            for column in 0..3 {
                let edges = &binned.upper_edges[column];
                assert!(edges.len() <= max_bins.max(3) && edges.windows(2).all(|pair| pair[0] < pair[1]));
                for row in 0..rows {
                    let value = f64::from(values[(row, column)]);
                    let expected = edges.iter().position(|&edge| value <= edge).unwrap();
                    assert_eq!(binned.column(column)[row] as usize, expected);
                }
            }
        }
    }
}
