//! All eigenvalues and eigenvectors of a symmetric matrix: for principal components, and inside the spectral start.
//!
//! Tridiagonal form by Householder reflections, then implicit QL steps (EISPACK's tred2 and tql2; Golub & Van Loan,
//! Matrix Computations, sections 8.3.1 and 8.3.3). One thread, fixed order: the same bits always. Jacobi rotations
//! would take ten times as long on 512 columns.

use ndarray::{Array2, Axis};

/// QL steps for one eigenvalue; two or three are the rule.
const MAX_STEPS: usize = 60;

/// Eigenvalues, descending, and their unit eigenvectors as rows.
pub(crate) fn symmetric_eigen(matrix: &Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let n = matrix.nrows();
    if n == 0 {
        return (Vec::new(), Array2::zeros((0, 0)));
    }
    // Row j of `vectors` is column j of the textbook's matrix: the inner loops then run along rows.
    let mut vectors = matrix.as_standard_layout().into_owned();
    let (mut diagonal, mut beside) = tridiagonal(&mut vectors);
    implicit_ql(&mut diagonal, &mut beside, &mut vectors);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| diagonal[j].total_cmp(&diagonal[i]));
    (order.iter().map(|&i| diagonal[i]).collect(), vectors.select(Axis(0), &order))
}

/// Turns a symmetric matrix into its transformation to tridiagonal form; returns diagonal and subdiagonal (from entry 1).
fn tridiagonal(v: &mut Array2<f64>) -> (Vec<f64>, Vec<f64>) {
    let n = v.nrows();
    let mut d: Vec<f64> = v.column(n - 1).to_vec();
    let mut e = vec![0.0; n];
    for i in (1..n).rev() {
        let scale: f64 = d[..i].iter().map(|x| x.abs()).sum();
        let mut h = 0.0;
        if scale == 0.0 {
            e[i] = d[i - 1];
            for j in 0..i {
                d[j] = v[(j, i - 1)];
                v[(j, i)] = 0.0;
                v[(i, j)] = 0.0;
            }
        } else {
            for x in &mut d[..i] {
                *x /= scale;
                h += *x * *x;
            }
            let f = d[i - 1];
            let g = if f > 0.0 { -h.sqrt() } else { h.sqrt() };
            e[i] = scale * g;
            h -= f * g;
            d[i - 1] = f - g;
            e[..i].fill(0.0);
            for j in 0..i {
                let f = d[j];
                v[(i, j)] = f;
                let mut g = e[j] + v[(j, j)] * f;
                let row = v.row(j);
                for k in j + 1..i {
                    g += row[k] * d[k];
                    e[k] += row[k] * f;
                }
                e[j] = g;
            }
            let mut f = 0.0;
            for j in 0..i {
                e[j] /= h;
                f += e[j] * d[j];
            }
            let half = f / (h + h);
            for j in 0..i {
                e[j] -= half * d[j];
            }
            for j in 0..i {
                let (f, g) = (d[j], e[j]);
                let mut row = v.row_mut(j);
                for k in j..i {
                    row[k] -= f * e[k] + g * d[k];
                }
                d[j] = row[i - 1];
                row[i] = 0.0;
            }
        }
        d[i] = h;
    }
    for i in 0..n - 1 {
        v[(i, n - 1)] = v[(i, i)];
        v[(i, i)] = 1.0;
        let h = d[i + 1];
        if h != 0.0 {
            let (mut upper, mut lower) = v.view_mut().split_at(Axis(0), i + 1);
            let mut reflector = lower.row_mut(0);
            for k in 0..=i {
                d[k] = reflector[k] / h;
            }
            for mut row in upper.outer_iter_mut() {
                let g: f64 = (0..=i).map(|k| reflector[k] * row[k]).sum();
                for k in 0..=i {
                    row[k] -= g * d[k];
                }
            }
            reflector.slice_mut(ndarray::s![..=i]).fill(0.0);
        } else {
            v.slice_mut(ndarray::s![i + 1, ..=i]).fill(0.0);
        }
    }
    for j in 0..n {
        d[j] = v[(j, n - 1)];
        v[(j, n - 1)] = 0.0;
    }
    v[(n - 1, n - 1)] = 1.0;
    (d, e)
}

/// Diagonalises a tridiagonal matrix (subdiagonal from entry 1) and turns the vectors along.
fn implicit_ql(d: &mut [f64], e: &mut [f64], v: &mut Array2<f64>) {
    let n = d.len();
    e.rotate_left(1);
    e[n - 1] = 0.0;
    let (mut shift, mut size) = (0.0, 0.0_f64);
    for l in 0..n {
        size = size.max(d[l].abs() + e[l].abs());
        let negligible = f64::EPSILON * size;
        let m = (l..n).find(|&m| e[m].abs() <= negligible).unwrap_or(n - 1);
        let mut steps = 0;
        while m > l && e[l].abs() > negligible && steps < MAX_STEPS {
            steps += 1;
            let g = d[l];
            let p = (d[l + 1] - g) / (2.0 * e[l]);
            let r = p.hypot(1.0).copysign(p);
            d[l] = e[l] / (p + r);
            d[l + 1] = e[l] * (p + r);
            let next = d[l + 1];
            let h = g - d[l];
            for x in &mut d[l + 2..] {
                *x -= h;
            }
            shift += h;
            let (mut p, mut c, mut c2, mut c3) = (d[m], 1.0, 1.0, 1.0);
            let (mut s, mut s2) = (0.0, 0.0);
            let e_next = e[l + 1];
            for i in (l..m).rev() {
                (c3, c2, s2) = (c2, c, s);
                let g = c * e[i];
                let h = c * p;
                let r = p.hypot(e[i]);
                e[i + 1] = s * r;
                s = e[i] / r;
                c = p / r;
                p = c * d[i] - s * g;
                d[i + 1] = h + s * (c * g + s * d[i]);
                let (mut upper, mut lower) = v.view_mut().split_at(Axis(0), i + 1);
                for (x, y) in upper.row_mut(i).into_iter().zip(lower.row_mut(0)) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
            }
            let p = -s * s2 * c3 * e_next * e[l] / next;
            e[l] = s * p;
            d[l] = c * p;
        }
        d[l] += shift;
        e[l] = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, arr2};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_matrix_known_on_paper() {
        let (values, vectors) = symmetric_eigen(&arr2(&[[2.0, 1.0], [1.0, 2.0]]));
        assert!((values[0] - 3.0).abs() < 1e-15 && (values[1] - 1.0).abs() < 1e-15, "{values:?}");
        assert!((vectors[(0, 0)] - vectors[(0, 1)]).abs() < 1e-15 && (vectors[(1, 0)] + vectors[(1, 1)]).abs() < 1e-15);
    }

    #[test]
    fn taken_apart_and_put_together() {
        for (n, rank) in [(1, 1), (2, 2), (3, 1), (30, 30), (70, 9), (40, 0)] {
            let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
            let rows = Array2::from_shape_simple_fn((rank, n), || rng.random::<f64>() - 0.5);
            let mut matrix = rows.t().dot(&rows);
            matrix.diag_mut().mapv_inplace(|v| v - 0.25); // indefinite, and equal eigenvalues below full rank
            let (values, vectors) = symmetric_eigen(&matrix);
            assert!(values.is_sorted_by(|x, y| x >= y));
            let identity = vectors.dot(&vectors.t()) - Array2::<f64>::eye(n);
            assert!(identity.iter().all(|d| d.abs() < 1e-13), "n = {n}");
            let again = vectors.t().dot(&Array2::from_diag(&Array1::from(values)).dot(&vectors));
            assert!((&again - &matrix).iter().all(|d| d.abs() < 1e-13), "n = {n}, rank {rank}");
        }
    }
}
