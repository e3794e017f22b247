//! NT-Xent, the contrastive loss, with its gradient; the 2N × 2N matrix of similarities is never held.
//!
//! Rows are worked on in blocks: a first pass finds every row's log-sum-exp, a second one forms the gradient of
//! a block from the similarities (recomputed) and the log-sum-exps of rows and columns. Memory is
//! O(N · (D + block)); blocks are independent, so the result does not depend on the number of threads.
use std::sync::{Arc, Mutex};

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use radio_tensor::DuringStep;
use rayon::prelude::*;

use crate::config::Temperature;
use crate::error::Result;

/// Rows are divided by their norm, or by this where the norm is smaller.
pub const NORM_FLOOR: f64 = 1e-12;
/// Rows worked on at once.
const BLOCK: usize = 64;

/// NT-Xent: cross-entropy that asks each view to pick its partner among all other views.
///
/// # Shapes
/// - `z`: `[2N, D]`, f32 or f64: rows `0..N` are the first views, rows `N..2N` the second views of the
///   same cutouts in the same order. Rows need not be normalised.
/// - result: scalar, mean over the `2N` rows, in nats. Differentiable once.
/// # Errors
/// If `z` is not of rank 2, or its first axis is odd or empty.
/// # Source
/// Chen et al. 2020 (arXiv:2002.05709), eq. 1 and algorithm 1; Riggi et al. 2024, eq. 1–3.
pub fn nt_xent(z: &Tensor, temperature: Temperature) -> Result<Tensor> {
    let op = NtXent { temperature: f64::from(temperature), gradient: Arc::default() };
    Ok(z.contiguous().and_then(|z| z.apply_op1(op)).during("NT-Xent")?)
}

/// f32 and f64, as far as the loss needs them.
pub trait Real: Copy + Send + Sync + 'static {
    /// Rounds from f64.
    fn of(value: f64) -> Self;
    /// Widens to f64.
    fn wide(self) -> f64;
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn wide(self) -> f64 {
        self
    }
}

/// Loss and its gradient with respect to `z`, `[2N, D]` row-major.
///
/// # Panics
/// If `z` is no multiple of `2 * dim` long.
pub fn nt_xent_with_gradient<T: Real>(z: &[T], dim: usize, temperature: f64) -> (f64, Vec<T>) {
    let rows = z.len() / dim.max(1);
    assert!(rows.is_multiple_of(2) && rows * dim == z.len(), "NT-Xent: {} values are no 2N x {dim}", z.len());
    let pair = |row: usize| (row + rows / 2) % rows;
    let norms: Vec<f64> =
        z.chunks_exact(dim).map(|row| row.iter().map(|v| v.wide().powi(2)).sum::<f64>().sqrt()).collect();
    let unit: Vec<T> = z
        .chunks_exact(dim)
        .zip(&norms)
        .flat_map(|(row, norm)| row.iter().map(move |v| T::of(v.wide() / norm.max(NORM_FLOOR))))
        .collect();

    // Pass 1: per row, log-sum-exp over all other rows, and the partner's similarity.
    let terms: Vec<(f64, f64)> = blocks(rows)
        .flat_map_iter(|(first, count)| {
            let similarity = similarities(&unit, dim, first, count, temperature);
            (0..count)
                .map(|k| {
                    let (row, line) = (first + k, &similarity[k * rows..][..rows]);
                    let others = || line.iter().enumerate().filter(|&(j, _)| j != row).map(|(_, s)| s.wide());
                    let largest = others().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = others().map(|s| (s - largest).exp()).sum();
                    (largest + sum.ln(), line[pair(row)].wide())
                })
                .collect::<Vec<_>>()
        })
        .collect();
    let loss = terms.iter().map(|(log_sum, partner)| log_sum - partner).sum::<f64>() / rows as f64;

    // Pass 2: with P the softmax over each row, d loss / d unit = (P + Pᵀ - 2 [partner]) · unit / (2N · temperature).
    let scale = 1.0 / (rows as f64 * temperature);
    let mut gradient = vec![T::of(0.0); z.len()];
    gradient.par_chunks_mut(BLOCK * dim).enumerate().for_each(|(block, gradient)| {
        let (first, count) = (block * BLOCK, gradient.len() / dim);
        let mut weights = similarities(&unit, dim, first, count, temperature);
        for k in 0..count {
            let row = first + k;
            for (j, (weight, (log_sum, _))) in weights[k * rows..][..rows].iter_mut().zip(&terms).enumerate() {
                let s = weight.wide();
                let partner = if j == pair(row) { 2.0 } else { 0.0 };
                *weight = if j == row {
                    T::of(0.0)
                } else {
                    T::of(((s - terms[row].0).exp() + (s - log_sum).exp() - partner) * scale)
                };
            }
        }
        product(&weights, &unit, count, dim, rows, dim, 1, gradient);
        // Through the normalisation: what lies along the row itself is lost.
        for (k, gradient) in gradient.chunks_exact_mut(dim).enumerate() {
            let row = first + k;
            let unit = &unit[row * dim..][..dim];
            let along: f64 = if norms[row] > NORM_FLOOR {
                gradient.iter().zip(unit).map(|(g, u)| g.wide() * u.wide()).sum()
            } else {
                0.0
            };
            for (g, u) in gradient.iter_mut().zip(unit) {
                *g = T::of((g.wide() - along * u.wide()) / norms[row].max(NORM_FLOOR));
            }
        }
    });
    (loss, gradient)
}

/// First row and row count of every block.
fn blocks(rows: usize) -> impl ParallelIterator<Item = (usize, usize)> + use<> {
    let count = rows.div_ceil(BLOCK);
    (0..count).into_par_iter().map(move |b| (b * BLOCK, BLOCK.min(rows - b * BLOCK)))
}

/// Cosine similarity over temperature of `count` rows from `first` on with all rows: `[count, rows]`.
fn similarities<T: Real>(unit: &[T], dim: usize, first: usize, count: usize, temperature: f64) -> Vec<T> {
    let rows = unit.len() / dim;
    let mut similarity = vec![T::of(0.0); count * rows];
    product(&unit[first * dim..], unit, count, rows, dim, 1, dim, &mut similarity);
    similarity.iter_mut().for_each(|s| *s = T::of(s.wide() / temperature));
    similarity
}

/// `out[m, n] = a[m, k] · b`, where element `(i, j)` of `b` lies at `i * row_stride + j * col_stride`.
fn product<T: Real>(
    a: &[T],
    b: &[T],
    m: usize,
    n: usize,
    k: usize,
    row_stride: usize,
    col_stride: usize,
    out: &mut [T],
) {
    assert!(a.len() >= m * k && out.len() == m * n && (k - 1) * row_stride + (n - 1) * col_stride < b.len());
    // SAFETY: the assertion proves that every element read or written lies inside its slice; `out` is exclusive.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.as_ptr(),
            1,
            k as isize,
            b.as_ptr(),
            col_stride as isize,
            row_stride as isize,
            T::of(0.0),
            T::of(1.0),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// The candle face of the loss: the gradient is formed with the loss and kept for `bwd`.
struct NtXent {
    temperature: f64,
    gradient: Arc<Mutex<Option<Gradient>>>,
}

enum Gradient {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl CustomOp1 for NtXent {
    fn name(&self) -> &'static str {
        "nt-xent"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, dim) = layout.shape().dims2()?;
        if rows == 0 || rows % 2 != 0 || dim == 0 {
            candle_core::bail!("z must be [2N, D], found [{rows}, {dim}]");
        }
        let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("z must be contiguous") };
        let (loss, gradient) = match storage {
            CpuStorage::F32(z) => {
                let (loss, gradient) = nt_xent_with_gradient(&z[start..end], dim, self.temperature);
                (CpuStorage::F32(vec![loss as f32]), Gradient::F32(gradient))
            }
            CpuStorage::F64(z) => {
                let (loss, gradient) = nt_xent_with_gradient(&z[start..end], dim, self.temperature);
                (CpuStorage::F64(vec![loss]), Gradient::F64(gradient))
            }
            _ => candle_core::bail!("z must be f32 or f64"),
        };
        if let Ok(mut slot) = self.gradient.lock() {
            *slot = Some(gradient);
        }
        Ok((loss, Shape::from(())))
    }

    fn bwd(&self, z: &Tensor, _loss: &Tensor, d_loss: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let kept = self.gradient.lock().ok().and_then(|mut slot| slot.take());
        let gradient = match kept {
            Some(Gradient::F32(values)) => Tensor::from_vec(values, z.shape(), z.device())?,
            Some(Gradient::F64(values)) => Tensor::from_vec(values, z.shape(), z.device())?,
            None => candle_core::bail!("NT-Xent: the gradient can be taken once"),
        };
        Ok(Some(gradient.broadcast_mul(d_loss)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    fn loss(z: &Tensor, t: f64) -> f64 {
        nt_xent(z, Temperature::try_from(t).unwrap()).unwrap().to_dtype(DType::F64).unwrap().to_scalar().unwrap()
    }

    /// Partners equal, other cutouts orthogonal: ln(1 + (2N - 2) exp(-1/T)).
    #[test]
    fn orthogonal_cutouts_give_the_closed_form() {
        for (n, t) in [(2usize, 0.1f64), (8, 0.5), (32, 1.0), (100, 0.2)] {
            let axes = (Tensor::eye(n, DType::F32, &Device::Cpu).unwrap() * 3.0).unwrap(); // length 3: normalising is its job
            let z = Tensor::cat(&[&axes, &axes], 0).unwrap();
            let expected = ((2 * n - 2) as f64 * (-1.0 / t).exp()).ln_1p();
            assert!((loss(&z, t) - expected).abs() < 1e-5, "N={n}, T={t}: {} vs {expected}", loss(&z, t));
        }
    }

    /// reference-facts J3.
    #[test]
    fn reference_values() {
        let z: Vec<f64> = (0..8)
            .flat_map(|a| (0..6).map(move |b| f64::from(1 + 6 * a + b).sin() + 0.1 * f64::from(3 * (6 * a + b)).cos()))
            .collect();
        let z = Tensor::from_vec(z, (8, 6), &Device::Cpu).unwrap();
        assert!((loss(&z, 0.1) - 6.247354319833).abs() < 1e-11);
        assert!((loss(&z, 0.5) - 2.500878002231).abs() < 1e-11);
    }

    /// Central differences in f64 for every entry, across a block border (2N = 70 > 64).
    #[test]
    fn gradient_by_finite_differences() {
        let (rows, dim, t) = (70, 5, 0.3);
        let z: Vec<f64> = (0..rows * dim).map(|i| ((i * i * 7 + 3 * i) as f64 * 0.37).sin()).collect();
        let var = Var::from_vec(z.clone(), (rows, dim), &Device::Cpu).unwrap();
        let loss = (nt_xent(var.as_tensor(), Temperature::try_from(t).unwrap()).unwrap() * 2.5).unwrap();
        let gradient = loss.backward().unwrap().get(&var).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for i in 0..z.len() {
            let at = |e: f64| {
                let mut z = z.clone();
                z[i] += e;
                nt_xent_with_gradient(&z, dim, t).0
            };
            let want = 2.5 * (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((gradient[i] - want).abs() < 1e-8, "{i}: {} vs {want}", gradient[i]);
        }
    }

    #[test]
    fn same_bits_on_any_number_of_threads() {
        let z: Vec<f32> = (0..600 * 16).map(|i| (i as f32 * 0.71).sin()).collect();
        let run = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| nt_xent_with_gradient(&z, 16, 0.1))
        };
        let one = run(1);
        assert!(one.1.iter().any(|&g| g != 0.0));
        assert!(one == run(2) && one == run(5));
    }

    #[test]
    fn wrong_shapes_are_errors() {
        let t = Temperature::try_from(0.1).unwrap();
        for shape in [vec![3, 4], vec![4], vec![0, 4]] {
            assert!(nt_xent(&Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap(), t).is_err());
        }
    }
}
