//! A start for the map: leading eigenvectors of the normalised neighbour graph, by Lanczos steps with restarts.
//!
//! The largest eigenvalue of `D^-1/2 W D^-1/2` belongs to a vector known beforehand; the next ones vary slowly along the
//! graph. Wu & Simon 2000 (SIAM J. Matrix Anal. Appl. 22, 602), thick restart, every vector orthogonalised twice.

use ndarray::{Array1, Array2, Axis, s};
use rand::Rng;
use rayon::prelude::*;

use crate::{eigen::symmetric_eigen, graph::Graph};

/// Vectors held at most, vectors kept at a restart beyond the wanted ones, restarts at most. The last round's vectors are
/// good enough to start from, converged or not.
const MOST_VECTORS: usize = 60;
const KEPT: usize = 18;
const MAX_RESTARTS: usize = 30;
/// Length of `A v - λ v` at which a vector is taken; the largest eigenvalue is 1.
const TOLERANCE: f64 = 1e-5;
/// Rows per parallel task of a product with the graph.
const ROWS_PER_TASK: usize = 1024;

/// The `k` eigenvectors after the first, as columns `[rows, k]`; the entry of largest magnitude of each is positive.
/// `None` for graphs too small to have them. The graph is in one part.
pub(crate) fn spectral_coordinates(graph: &Graph, k: usize, rng: &mut impl Rng) -> Option<Array2<f64>> {
    let n = graph.rows();
    if n < k + 2 {
        return None;
    }
    let degree: Vec<f64> = (0..n).map(|row| graph.edges(row).map(|(_, weight)| f64::from(weight)).sum()).collect();
    if degree.contains(&0.0) {
        return None;
    }
    let inverse_root: Vec<f64> = degree.iter().map(|degree| degree.sqrt().recip()).collect();
    let mut first: Array1<f64> = degree.iter().map(|degree| degree.sqrt()).collect();
    first /= first.dot(&first).sqrt();

    let width = MOST_VECTORS.max(3 * k).min(n - 1);
    // Row 0 is the known vector, to which all others are orthogonal; it takes no part in the projected problem.
    let mut basis = Array2::<f64>::zeros((width + 2, n));
    basis.row_mut(0).assign(&first);
    let mut projected = Array2::<f64>::zeros((width, width));
    random_direction(&mut basis, 1, rng);
    let mut have = 0; // vectors whose product with the graph is in `projected`; one more is in the basis
    for restart in 0..=MAX_RESTARTS {
        let mut beyond = 0.0;
        while have < width {
            let mut image = product(graph, &inverse_root, &basis.row(have + 1).to_owned());
            let mut along = Array1::zeros(have + 2);
            for _ in 0..2 {
                let known = basis.slice(s![..have + 2, ..]);
                let part = known.dot(&image);
                image -= &part.dot(&known);
                along += &part;
            }
            projected.slice_mut(s![..=have, have]).assign(&along.slice(s![1..]));
            projected.slice_mut(s![have, ..=have]).assign(&along.slice(s![1..]));
            beyond = image.dot(&image).sqrt();
            have += 1;
            if beyond > 1e-10 {
                image /= beyond;
                basis.row_mut(have + 1).assign(&image);
            } else {
                beyond = 0.0;
                if have + 1 < n {
                    random_direction(&mut basis, have + 1, rng);
                }
            }
        }
        let (values, mix) = symmetric_eigen(&projected);
        let done = (0..k).all(|i| beyond * mix[(i, width - 1)].abs() <= TOLERANCE);
        let keep = if done || restart == MAX_RESTARTS { k } else { (k + KEPT).min(width - 1).max(k) };
        let vectors = mix.slice(s![..keep, ..]).dot(&basis.slice(s![1..=width, ..]));
        if keep == k {
            return Some(with_signs(vectors).reversed_axes());
        }
        let next = basis.row(width + 1).to_owned();
        basis.slice_mut(s![1..=keep, ..]).assign(&vectors);
        basis.row_mut(keep + 1).assign(&next);
        projected.fill(0.0);
        for i in 0..keep {
            projected[(i, i)] = values[i];
        }
        have = keep;
    }
    None
}

/// `D^-1/2 W D^-1/2 v`; each row's sum is one thread's, in the order of its edges.
fn product(graph: &Graph, inverse_root: &[f64], vector: &Array1<f64>) -> Array1<f64> {
    let mut out = vec![0.0; vector.len()];
    out.par_chunks_mut(ROWS_PER_TASK).enumerate().for_each(|(task, out)| {
        for (row, out) in (task * ROWS_PER_TASK..).zip(out) {
            let sum: f64 = graph
                .edges(row)
                .map(|(column, weight)| f64::from(weight) * inverse_root[column] * vector[column])
                .sum();
            *out = inverse_root[row] * sum;
        }
    });
    out.into()
}

/// Puts a random unit vector, orthogonal to all rows before it, into a row of the basis.
fn random_direction(basis: &mut Array2<f64>, row: usize, rng: &mut impl Rng) {
    let (done, mut rest) = basis.view_mut().split_at(Axis(0), row);
    let mut vector = rest.row_mut(0);
    vector.map_inplace(|v| *v = rng.random::<f64>() - 0.5);
    for _ in 0..2 {
        let along = done.dot(&vector);
        vector -= &along.dot(&done);
        let length = vector.dot(&vector).sqrt();
        if length > 0.0 {
            vector /= length;
        }
    }
}

fn with_signs(mut vectors: Array2<f64>) -> Array2<f64> {
    for mut vector in vectors.outer_iter_mut() {
        let largest = vector.iter().fold(0.0f64, |found, &v| if v.abs() > found.abs() { v } else { found });
        vector *= 1.0_f64.copysign(largest);
    }
    vectors
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// A ring of `n` rows with `steps` ties to either side, of uneven weights.
    fn ring(n: usize, steps: usize) -> Graph {
        let weight = |a: usize, b: usize| 0.5 + 0.5 * (((a * b + a + b) % 7) as f32 / 7.0);
        let mut graph = Graph { starts: vec![0], columns: Vec::new(), weights: Vec::new() };
        for row in 0..n {
            let mut others: Vec<usize> = (1..=steps).flat_map(|s| [(row + s) % n, (row + n - s) % n]).collect();
            others.sort_unstable();
            others.dedup();
            for other in others {
                graph.columns.push(other as u32);
                graph.weights.push(weight(row.min(other), row.max(other)));
            }
            graph.starts.push(graph.columns.len());
        }
        graph
    }

    #[test]
    fn as_the_dense_solver() {
        for (n, steps) in [(400, 9), (90, 3), (12, 2), (5, 1)] {
            let graph = ring(n, steps);
            let mut dense = Array2::<f64>::zeros((n, n));
            let degree: Vec<f64> = (0..n).map(|row| graph.edges(row).map(|e| f64::from(e.1)).sum()).collect();
            for (row, column, weight) in graph.directed() {
                let (i, j) = (row as usize, column as usize);
                dense[(i, j)] = f64::from(weight) / (degree[i] * degree[j]).sqrt();
            }
            let (values, _) = symmetric_eigen(&dense);
            assert!((values[0] - 1.0).abs() < 1e-12);
            let ours = spectral_coordinates(&graph, 2, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
            for i in 0..2 {
                let vector = ours.column(i);
                let image = dense.dot(&vector);
                assert!((vector.dot(&image) - values[i + 1]).abs() < 1e-8, "n = {n}, {i}: {}", vector.dot(&image));
                let off = (&image - &(&vector * values[i + 1])).mapv(|v| v * v).sum().sqrt();
                assert!(off < 2e-5, "n = {n}, {i}: residual {off}");
            }
            assert!(ours.column(0).dot(&ours.column(1)).abs() < 1e-9);
        }
    }

    #[test]
    fn too_small_a_graph_has_none() {
        assert!(spectral_coordinates(&ring(3, 1), 2, &mut ChaCha8Rng::seed_from_u64(1)).is_none());
    }
}
