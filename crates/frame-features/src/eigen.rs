//! Eigenvectors of symmetric matrices: all of a small one by Jacobi rotations, the leading ones of a large one by subspace
//! iteration. Everything runs in a fixed order, whatever the number of threads.

use ndarray::{Array2, Axis, linalg::general_mat_mul};
use rand::Rng;
use rayon::prelude::*;

/// Sweeps of Jacobi rotations; convergence is quadratic and takes about eight.
const MAX_SWEEPS: usize = 60;
/// Products with the matrix between two solutions of the projected problem.
const PRODUCTS_PER_ROUND: usize = 4;
const MAX_ROUNDS: usize = 100;
/// Residual, in units of the largest eigenvalue, at which the iteration ends.
const TOLERANCE: f64 = 1e-9;
/// Vectors carried along beyond twice the wanted number: the more, the faster the last wanted one converges.
const EXTRA_VECTORS: usize = 16;
/// Vectors per parallel task.
const VECTORS_PER_TASK: usize = 16;

/// Eigenvalues, descending, and their unit eigenvectors as rows.
pub(crate) struct Eigen {
    pub values: Vec<f64>,
    pub vectors: Array2<f64>,
    /// Largest `|A v - λ v|` among the pairs, in units of the largest eigenvalue.
    pub residual: f64,
}

/// All eigenvalues, descending, and eigenvectors (rows) of a symmetric matrix, by cyclic Jacobi rotations.
///
/// Golub & Van Loan, Matrix Computations, section 8.5.
pub(crate) fn jacobi_eigen(mut a: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let n = a.nrows();
    let mut vectors = Array2::<f64>::eye(n);
    let negligible = 0.01 * f64::EPSILON * a.iter().map(|v| v * v).sum::<f64>().sqrt();
    for _ in 0..MAX_SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let (app, aqq, apq) = (a[(p, p)], a[(q, q)], a[(p, q)]);
                if apq.abs() <= negligible {
                    continue;
                }
                rotated = true;
                let tau = (aqq - app) / (2.0 * apq);
                let t = tau.signum() / (tau.abs() + tau.hypot(1.0));
                let cos = t.hypot(1.0).recip();
                let sin = t * cos;
                rotate_rows(&mut a, p, q, cos, sin);
                // By symmetry the columns are the rows; only the four crossings differ.
                for r in 0..n {
                    a[(r, p)] = a[(p, r)];
                    a[(r, q)] = a[(q, r)];
                }
                (a[(p, p)], a[(q, q)]) = (app - t * apq, aqq + t * apq);
                (a[(p, q)], a[(q, p)]) = (0.0, 0.0);
                rotate_rows(&mut vectors, p, q, cos, sin);
            }
        }
        if !rotated {
            break;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[(j, j)].total_cmp(&a[(i, i)]));
    (order.iter().map(|&i| a[(i, i)]).collect(), vectors.select(Axis(0), &order))
}

fn rotate_rows(matrix: &mut Array2<f64>, p: usize, q: usize, cos: f64, sin: f64) {
    let (mut upper, mut lower) = matrix.view_mut().split_at(Axis(0), q);
    let (row_p, row_q) = (upper.row_mut(p), lower.row_mut(0));
    for (x, y) in row_p.into_iter().zip(row_q) {
        (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
    }
}

/// The `k` largest eigenvalues and their eigenvectors of a symmetric positive semidefinite matrix, `1 <= k <= n`.
///
/// Subspace iteration with Rayleigh-Ritz projection (Saad, Numerical Methods for Large Eigenvalue Problems, section 5.2)
/// from a random start. Ends at a residual of 1e-9 of the largest eigenvalue or after 400 products, and says which residual
/// was reached. Directions without variance are filled with arbitrary orthogonal ones.
pub(crate) fn leading_eigen(a: &Array2<f64>, k: usize, rng: &mut impl Rng) -> Eigen {
    let n = a.nrows();
    let width = n.min(2 * k + EXTRA_VECTORS);
    let mut basis = Array2::from_shape_simple_fn((width, n), || rng.random::<f64>() - 0.5);
    let mut round = 0;
    loop {
        for _ in 1..PRODUCTS_PER_ROUND {
            orthonormalise(&mut basis, rng);
            basis = times(&basis, a);
        }
        orthonormalise(&mut basis, rng);
        let image = times(&basis, a);
        let (values, mix) = jacobi_eigen(symmetrised(image.dot(&basis.t())));
        let vectors = mix.dot(&basis);
        let image = mix.dot(&image);
        round += 1;
        let residual = residual(&vectors, &image, &values[..k]);
        if residual <= TOLERANCE || round == MAX_ROUNDS {
            let keep: Vec<usize> = (0..k).collect();
            return Eigen { values: values[..k].to_vec(), vectors: vectors.select(Axis(0), &keep), residual };
        }
        basis = image;
    }
}

/// Largest `|A v - λ v|` of the first pairs in units of the largest eigenvalue; 0 for the zero matrix.
fn residual(vectors: &Array2<f64>, image: &Array2<f64>, values: &[f64]) -> f64 {
    let length = |i: usize| {
        let pairs = vectors.row(i).into_iter().zip(image.row(i));
        pairs.map(|(v, av)| (av - values[i] * v).powi(2)).sum::<f64>().sqrt()
    };
    let largest = (0..values.len()).map(length).fold(0.0, f64::max);
    if largest == 0.0 { 0.0 } else { largest / values[0].abs().max(f64::MIN_POSITIVE) }
}

/// `basis · a`, some rows per task.
fn times(basis: &Array2<f64>, a: &Array2<f64>) -> Array2<f64> {
    let mut product = Array2::zeros(basis.dim());
    let parts: Vec<_> = product
        .axis_chunks_iter_mut(Axis(0), VECTORS_PER_TASK)
        .zip(basis.axis_chunks_iter(Axis(0), VECTORS_PER_TASK))
        .collect();
    parts.into_par_iter().for_each(|(mut out, rows)| general_mat_mul(1.0, &rows, a, 0.0, &mut out));
    product
}

fn symmetrised(matrix: Array2<f64>) -> Array2<f64> {
    0.5 * (&matrix + &matrix.t())
}

/// Makes rows orthonormal, in order (Gram-Schmidt, twice); a row that the earlier ones span is replaced by a random one.
fn orthonormalise(rows: &mut Array2<f64>, rng: &mut impl Rng) {
    for i in 0..rows.nrows() {
        let (done, mut rest) = rows.view_mut().split_at(Axis(0), i);
        let mut row = rest.row_mut(0);
        loop {
            let before = row.dot(&row).sqrt();
            for _ in 0..2 {
                for earlier in done.outer_iter() {
                    let along = row.dot(&earlier);
                    row.scaled_add(-along, &earlier);
                }
            }
            let after = row.dot(&row).sqrt();
            if after > 1e-10 * before && after.is_normal() {
                row /= after;
                // A tiny remainder is mostly rounding; at unit length a last pass makes it orthogonal again.
                for earlier in done.outer_iter() {
                    let along = row.dot(&earlier);
                    row.scaled_add(-along, &earlier);
                }
                row /= row.dot(&row).sqrt();
                break;
            }
            row.map_inplace(|v| *v = rng.random::<f64>() - 0.5);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, arr2};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn random_covariance(n: usize, rank: usize, seed: u64) -> Array2<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let rows = Array2::from_shape_fn((rank, n), |(i, _)| (rng.random::<f64>() - 0.5) / (1.0 + i as f64));
        rows.t().dot(&rows)
    }

    fn assert_identity(product: &Array2<f64>, tolerance: f64) {
        for ((i, j), &v) in product.indexed_iter() {
            assert!((v - f64::from(u8::from(i == j))).abs() < tolerance, "{i} {j}: {v}");
        }
    }

    #[test]
    fn a_matrix_known_on_paper() {
        // Eigenvalues 3 along (1, 1) and 1 along (1, -1).
        let (values, vectors) = jacobi_eigen(arr2(&[[2.0, 1.0], [1.0, 2.0]]));
        assert!((values[0] - 3.0).abs() < 1e-15 && (values[1] - 1.0).abs() < 1e-15, "{values:?}");
        assert!((vectors[(0, 0)] - vectors[(0, 1)]).abs() < 1e-15 && (vectors[(1, 0)] + vectors[(1, 1)]).abs() < 1e-15);
    }

    #[test]
    fn jacobi_takes_a_matrix_apart_and_puts_it_together() {
        for n in [1, 2, 5, 30] {
            let a = random_covariance(n, n + 3, n as u64) - Array2::<f64>::eye(n) * 0.01; // indefinite too
            let (values, vectors) = jacobi_eigen(a.clone());
            assert!(values.is_sorted_by(|x, y| x >= y));
            assert_identity(&vectors.dot(&vectors.t()), 1e-13);
            let again = vectors.t().dot(&(Array2::from_diag(&Array1::from(values)).dot(&vectors)));
            assert!((&again - &a).iter().all(|d| d.abs() < 1e-13), "n = {n}");
        }
    }

    #[test]
    fn subspace_iteration_finds_what_jacobi_finds() {
        let a = random_covariance(90, 200, 5);
        let (values, vectors) = jacobi_eigen(a.clone());
        let leading = leading_eigen(&a, 6, &mut ChaCha8Rng::seed_from_u64(1)); // 28 of 90 vectors are carried along
        assert!(leading.residual <= TOLERANCE, "{}", leading.residual);
        for i in 0..6 {
            assert!((leading.values[i] / values[i] - 1.0).abs() < 1e-12);
            let cosine = leading.vectors.row(i).dot(&vectors.row(i)).abs();
            assert!((cosine - 1.0).abs() < 1e-9, "{i}: {cosine}");
        }
    }

    #[test]
    fn vectors_stay_orthonormal_where_the_rank_ends() {
        for rank in [0, 1, 3] {
            let a = random_covariance(70, rank, 8);
            let leading = leading_eigen(&a, 10, &mut ChaCha8Rng::seed_from_u64(2));
            assert_identity(&leading.vectors.dot(&leading.vectors.t()), 1e-12);
            assert!(leading.values[rank..].iter().all(|v| v.abs() <= 1e-14), "{:?}", leading.values);
        }
    }
}
