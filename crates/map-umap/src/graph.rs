//! The fuzzy neighbour graph: how strongly each row belongs to the neighbourhood of each other one.
//!
//! McInnes, Healy & Melville 2018 (arXiv:1802.03426), section 3 and appendix C; conventions of umap-learn 0.5.

use neighbours::Neighbours;

/// Halvings in the search for a bandwidth, and the error of the sum at which it ends.
const HALVINGS: usize = 64;
const TOLERANCE: f64 = 1e-5;
/// Bandwidths are at least this part of the mean distance.
const SMALLEST_BANDWIDTH: f64 = 1e-3;

/// A symmetric weighted graph, by rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Graph {
    /// Where the edges of each row begin; one more than rows.
    pub starts: Vec<usize>,
    /// The other end of each edge, ascending within a row.
    pub columns: Vec<u32>,
    /// Weight in (0, 1].
    pub weights: Vec<f32>,
}

impl Graph {
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn edges(&self, row: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let range = self.starts[row]..self.starts[row + 1];
        self.columns[range.clone()].iter().map(|&column| column as usize).zip(self.weights[range].iter().copied())
    }

    /// All edges, each from both ends: row, column, weight.
    pub fn directed(&self) -> Vec<(u32, u32, f32)> {
        (0..self.rows())
            .flat_map(|row| self.edges(row).map(move |(column, weight)| (row as u32, column as u32, weight)))
            .collect()
    }

    /// Without the edges that would not be drawn once in so many epochs.
    pub fn pruned(self, epochs: usize) -> Self {
        let largest = self.weights.iter().copied().fold(0.0, f32::max);
        let smallest = largest / epochs as f32;
        let kept = self.directed().into_iter().filter(|edge| edge.2 >= smallest);
        Self::from_sorted(self.rows(), kept)
    }

    fn from_sorted(rows: usize, edges: impl Iterator<Item = (u32, u32, f32)>) -> Self {
        let (mut starts, mut columns, mut weights) = (vec![0; rows + 1], Vec::new(), Vec::new());
        for (row, column, weight) in edges {
            starts[row as usize + 1] += 1;
            columns.push(column);
            weights.push(weight);
        }
        for row in 0..rows {
            starts[row + 1] += starts[row];
        }
        Self { starts, columns, weights }
    }

    /// The part of the graph each row is in, numbered from 0 in row order, and how many there are.
    pub fn parts(&self) -> (Vec<u32>, u32) {
        let mut part = vec![u32::MAX; self.rows()];
        let mut parts = 0;
        let mut to_visit = Vec::new();
        for first in 0..self.rows() {
            if part[first] != u32::MAX {
                continue;
            }
            part[first] = parts;
            to_visit.push(first);
            while let Some(row) = to_visit.pop() {
                for (column, _) in self.edges(row) {
                    if part[column] == u32::MAX {
                        part[column] = parts;
                        to_visit.push(column);
                    }
                }
            }
            parts += 1;
        }
        (part, parts)
    }
}

/// The bandwidth at which the memberships of a neighbourhood of `n_neighbours` sum to `log2(n_neighbours)`, counted from
/// `offset`, the distance of the nearest other row that is not at distance 0. At least a thousandth of the `mean` distance of
/// the neighbourhood, or of that of the whole table where all neighbours are at distance 0.
pub(crate) fn bandwidth(distances: &[f32], n_neighbours: usize, offset: f64, mean: f64, mean_of_all: f64) -> f64 {
    let target = (n_neighbours as f64).log2();
    let (mut low, mut high, mut width) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..HALVINGS {
        let sum: f64 = distances
            .iter()
            .map(|&distance| {
                let beyond = f64::from(distance) - offset;
                if beyond > 0.0 { (-beyond / width).exp() } else { 1.0 }
            })
            .sum();
        if (sum - target).abs() < TOLERANCE {
            break;
        }
        if sum > target {
            high = width;
            width = f64::midpoint(low, high);
        } else {
            low = width;
            width = if high.is_infinite() { width * 2.0 } else { f64::midpoint(low, high) };
        }
    }
    width.max(SMALLEST_BANDWIDTH * if offset > 0.0 { mean } else { mean_of_all })
}

/// How strongly a row at a distance belongs to a neighbourhood.
pub(crate) fn membership(distance: f32, offset: f64, width: f64) -> f32 {
    let beyond = f64::from(distance) - offset;
    if beyond <= 0.0 || width == 0.0 { 1.0 } else { (-beyond / width).exp() as f32 }
}

/// The graph of a table from the neighbours of its rows (a row itself not among them): memberships, and their fuzzy union.
pub(crate) fn fuzzy_graph(neighbours: &Neighbours) -> Graph {
    let (rows, others) = neighbours.rows.dim();
    let n_neighbours = others + 1;
    let sum = |distances: &[f32]| distances.iter().map(|&d| f64::from(d)).sum::<f64>();
    let distances: Vec<Vec<f32>> = neighbours.distances.outer_iter().map(|row| row.to_vec()).collect();
    let mean_of_all = distances.iter().map(|row| sum(row)).sum::<f64>() / (rows * n_neighbours) as f64;
    let mut edges = Vec::with_capacity(rows * others);
    for (row, distances) in distances.iter().enumerate() {
        let offset = distances.iter().copied().find(|&distance| distance > 0.0).map_or(0.0, f64::from);
        let mean = sum(distances) / n_neighbours as f64;
        let width = bandwidth(distances, n_neighbours, offset, mean, mean_of_all);
        for (&column, &distance) in neighbours.rows.row(row).iter().zip(distances) {
            edges.push((row as u32, column, membership(distance, offset, width)));
        }
    }
    union(rows, edges)
}

/// `a + b - a b` of each edge's weights in the two directions.
fn union(rows: usize, edges: Vec<(u32, u32, f32)>) -> Graph {
    let mut both: Vec<(u32, u32, f32, f32)> = Vec::with_capacity(2 * edges.len());
    for (row, column, weight) in edges {
        both.push((row, column, weight, 0.0));
        both.push((column, row, 0.0, weight));
    }
    both.sort_unstable_by_key(|edge| (edge.0, edge.1));
    let merged = both.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).filter_map(|same| {
        let (there, back) = same.iter().fold((0.0, 0.0), |(there, back), edge| (there + edge.2, back + edge.3));
        let weight = there + back - there * back;
        (weight > 0.0).then_some((same[0].0, same[0].1, weight))
    });
    Graph::from_sorted(rows, merged)
}

/// Weakens the ties of rows with different labels (and, less, of rows without one); then each row's strongest tie is 1 again.
///
/// umap-learn's intersection with a categorical target.
pub(crate) fn with_labels(graph: &Graph, labels: &[Option<u32>], label_weight: f64) -> Graph {
    let apart = if label_weight < 1.0 { (-2.5 / (1.0 - label_weight)).exp() } else { 0.0 };
    let unknown = (-1.0_f64).exp();
    let mut edges = graph.directed();
    let mut strongest = vec![0.0_f32; graph.rows()];
    for (row, column, weight) in &mut edges {
        let factor = match (labels[*row as usize], labels[*column as usize]) {
            (Some(one), Some(other)) if one == other => 1.0,
            (Some(_), Some(_)) => apart,
            _ => unknown,
        };
        *weight *= factor as f32;
        strongest[*row as usize] = strongest[*row as usize].max(*weight);
    }
    for (row, _, weight) in &mut edges {
        if *weight > 0.0 {
            *weight /= strongest[*row as usize];
        }
    }
    union(graph.rows(), edges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, arr2};
    use neighbours::{Metric, nearest_neighbours};

    #[test]
    fn memberships_sum_to_the_logarithm() {
        let distances = [0.5, 0.7, 0.9, 1.4, 1.5, 2.0, 2.2];
        let width = bandwidth(&distances, 8, 0.5, 1.0, 1.0);
        let sum: f32 = distances.iter().map(|&distance| membership(distance, 0.5, width)).sum();
        assert!((sum - 3.0).abs() < 2e-5, "{sum}");
    }

    #[test]
    fn three_rows_on_paper() {
        // Two neighbourhoods of 2 rows: each row's nearest is a full member, so weights are 1, and 2 -> 1 is one-way.
        let features = arr2(&[[0.0_f32], [1.0], [3.0]]);
        let graph = fuzzy_graph(&nearest_neighbours(features.view(), 1, Metric::Euclidean).unwrap());
        assert_eq!(graph.directed(), [(0, 1, 1.0), (1, 0, 1.0), (1, 2, 1.0), (2, 1, 1.0)]);
        assert_eq!(graph.parts(), (vec![0; 3], 1));
    }

    #[test]
    fn the_union_is_symmetric_and_labels_cut() {
        let features = Array2::from_shape_fn((40, 3), |(i, j)| ((7 * i * i + 3 * j * i) % 31) as f32);
        let graph = fuzzy_graph(&nearest_neighbours(features.view(), 6, Metric::Euclidean).unwrap());
        let directed = graph.directed();
        for &(row, column, weight) in &directed {
            assert!(directed.contains(&(column, row, weight)) && weight > 0.0 && weight <= 1.0);
        }
        let labels: Vec<Option<u32>> = (0..40).map(|row| Some(row % 2)).collect();
        let cut = with_labels(&graph, &labels, 1.0);
        assert!(cut.parts().1 >= 2);
        assert!(cut.directed().iter().all(|&(row, column, _)| row % 2 == column % 2));
        assert_eq!(with_labels(&graph, &[None; 40], 0.5).rows(), 40);
        for row in 0..40 {
            assert!(cut.edges(row).all(|(_, weight)| weight <= 1.0));
        }
    }

    #[test]
    fn weak_edges_go() {
        let graph = Graph { starts: vec![0, 1, 3, 4], columns: vec![1, 0, 2, 1], weights: vec![1.0, 1.0, 0.01, 0.01] };
        assert_eq!(graph.clone().pruned(100), graph);
        let pruned = graph.pruned(99);
        assert_eq!((pruned.starts.clone(), pruned.parts().1), (vec![0, 1, 2, 2], 2));
    }
}
