//! NT-Xent, the contrastive loss, with its gradient; the 2N × 2N matrix of similarities is never held.
//!
//! The matrix is symmetric, so it is walked through in tiles of its upper half, twice: the first pass takes each tile into
//! the log-sum-exps of its rows and of its columns, the second one forms the tile again, turns it into weights and
//! adds what rows and columns give each other. Memory is O(N · D). Sums have a fixed order (`pairing.rs`), so the
//! result does not depend on the number of threads. The work on a tile is in `tile.rs`.
mod pairing;
mod product;
mod real;
mod tile;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use radio_tensor::DuringStep;
use rayon::prelude::*;

use crate::config::Temperature;
use crate::error::Result;
pub use real::Real;
use tile::{BLOCK, DIM_STEP, Kernels, LogSums, TILE};

/// Rows are divided by their norm, or by this where the norm is smaller.
pub const NORM_FLOOR: f64 = 1e-12;

/// NT-Xent: cross-entropy that asks each view to pick its partner among all other views.
///
/// # Shapes
/// - `z`: `[2N, D]`, f32 or f64: rows `0..N` are the first views, rows `N..2N` the second views of the
///   same cutouts in the same order. Rows need not be normalised.
/// - result: scalar, mean over the `2N` rows, in nats. Differentiable once. NaN if a value of `z` is NaN or infinite.
/// # Errors
/// If `z` is not of rank 2, or its first axis is odd or empty.
/// # Source
/// Chen et al. 2020 (arXiv:2002.05709), eq. 1 and algorithm 1; Riggi et al. 2024, eq. 1–3.
pub fn nt_xent(z: &Tensor, temperature: Temperature) -> Result<Tensor> {
    let op = NtXent { temperature: f64::from(temperature), gradient: Arc::default() };
    Ok(z.contiguous().and_then(|z| z.apply_op1(op)).during("NT-Xent")?)
}

/// Loss and its gradient with respect to `z`, `[2N, D]` row-major.
///
/// # Panics
/// If `z` is no multiple of `2 * dim` long.
pub fn nt_xent_with_gradient<T: Real>(z: &[T], dim: usize, temperature: f64) -> (f64, Vec<T>) {
    with_kernels(Kernels::of_trunk(), z, dim, temperature)
}

fn with_kernels<T: Real>(kernels: Kernels, z: &[T], dim: usize, temperature: f64) -> (f64, Vec<T>) {
    let rows = z.len() / dim.max(1);
    assert!(rows.is_multiple_of(2) && rows * dim == z.len(), "NT-Xent: {} values are no 2N x {dim}", z.len());
    let unit = UnitRows::new(z, dim);
    let factor = T::of(1.0 / temperature);
    let blocks = unit.rows.len();

    // Pass 1: per row, log-sum-exp over all other rows, and the partner's similarity.
    let terms: Vec<Mutex<RowTerms<T>>> = (0..blocks).map(|_| Mutex::new(RowTerms::new())).collect();
    for round in pairing::rounds(blocks) {
        round.into_par_iter().for_each(|(i, j)| {
            let mut tile = [T::ZERO; TILE];
            unit.similarities(kernels, i, j, factor, &mut tile);
            let mut own = lock(&terms[i]);
            tile::log_sum_rows(kernels, &tile, &mut own.log_sums);
            if i == j {
                for_partners(i, j, rows, |row, column| own.partner[row] = tile[row * BLOCK + column]);
            } else {
                let mut other = lock(&terms[j]);
                tile::log_sum_columns(kernels, &tile, &mut other.log_sums);
                for_partners(i, j, rows, |row, column| {
                    own.partner[row] = tile[row * BLOCK + column];
                    other.partner[column] = own.partner[row];
                });
            }
        });
    }
    let (mut loss, mut log_sums) = (0.0, vec![[T::ZERO; BLOCK]; blocks]);
    for row in 0..rows {
        let (block, place) = (row / BLOCK, row % BLOCK);
        let terms = lock(&terms[block]);
        let log_sum = terms.log_sums.of_row(place);
        loss += log_sum - terms.partner[place].wide();
        log_sums[block][place] = T::of(log_sum);
    }

    // Pass 2: with P the softmax over each row, d loss / d unit = (P + Pᵀ - 2 [partner]) · unit / (2N · temperature).
    let sums: Vec<Mutex<Vec<T>>> = (0..blocks).map(|_| Mutex::new(vec![T::ZERO; BLOCK * unit.width])).collect();
    for round in pairing::rounds(blocks) {
        round.into_par_iter().for_each(|(i, j)| {
            let mut tile = [T::ZERO; TILE];
            unit.similarities(kernels, i, j, factor, &mut tile);
            tile::softmax_both_ways(kernels, &mut tile, &log_sums[i], &log_sums[j]);
            for_partners(i, j, rows, |row, column| {
                tile[row * BLOCK + column] = tile[row * BLOCK + column] - T::of(2.0);
            });
            tile::add_to_rows(kernels, &tile, &unit.rows[j], &mut lock(&sums[i]));
            if i != j {
                tile::add_to_columns(kernels, &tile, &unit.rows[i], &mut lock(&sums[j]));
            }
        });
    }

    // Through the normalisation: what lies along the row itself is lost.
    let scale = 1.0 / (rows as f64 * temperature);
    let mut gradient = vec![T::ZERO; z.len()];
    gradient.par_chunks_mut(BLOCK * dim).enumerate().for_each(|(block, gradient)| {
        let sums = lock(&sums[block]);
        for (place, gradient) in gradient.chunks_exact_mut(dim).enumerate() {
            let norm = unit.norms[block * BLOCK + place];
            let unit = &unit.rows[block][place * unit.width..][..dim];
            let sum = &sums[place * (sums.len() / BLOCK)..][..dim];
            let along: f64 =
                if norm > NORM_FLOOR { sum.iter().zip(unit).map(|(g, u)| g.wide() * u.wide()).sum() } else { 0.0 };
            for ((gradient, g), u) in gradient.iter_mut().zip(sum).zip(unit) {
                *gradient = T::of((g.wide() - along * u.wide()) * scale / norm.max(NORM_FLOOR));
            }
        }
    });
    (loss / rows as f64, gradient)
}

/// The rows of `z` divided by their norms, in blocks filled up with zeros, plain and transposed.
struct UnitRows<T> {
    count: usize,
    /// Width of a row, with its zeros.
    width: usize,
    norms: Vec<f64>,
    /// Blocks `[BLOCK, width]`.
    rows: Vec<Vec<T>>,
    /// Blocks `[width, BLOCK]`.
    columns: Vec<Vec<T>>,
}

impl<T: Real> UnitRows<T> {
    fn new(z: &[T], dim: usize) -> Self {
        let width = dim.next_multiple_of(DIM_STEP);
        let norm = |row: &[T]| row.iter().map(|v| v.wide().powi(2)).sum::<f64>().sqrt();
        let norms: Vec<f64> = z.par_chunks_exact(dim).map(norm).collect();
        let (rows, columns) = z
            .par_chunks(BLOCK * dim)
            .enumerate()
            .map(|(block, z)| {
                let (mut rows, mut columns) = (vec![T::ZERO; BLOCK * width], vec![T::ZERO; BLOCK * width]);
                for (place, row) in z.chunks_exact(dim).enumerate() {
                    let norm = norms[block * BLOCK + place].max(NORM_FLOOR);
                    for (d, value) in row.iter().enumerate() {
                        let unit = T::of(value.wide() / norm);
                        rows[place * width + d] = unit;
                        columns[d * BLOCK + place] = unit;
                    }
                }
                (rows, columns)
            })
            .unzip();
        Self { count: norms.len(), width, norms, rows, columns }
    }

    /// Cosine similarity times `factor` of the rows of block `i` with those of block `j`; -inf where there is no row, and
    /// for a row with itself.
    fn similarities(&self, kernels: Kernels, i: usize, j: usize, factor: T, tile: &mut [T; TILE]) {
        tile::similarities(kernels, &self.columns[i], &self.columns[j], factor, tile);
        for row in 0..BLOCK {
            let line = &mut tile[row * BLOCK..][..BLOCK];
            if i == j {
                line[row] = T::LOWEST;
            }
            let there = if i * BLOCK + row < self.count { self.count.saturating_sub(j * BLOCK).min(BLOCK) } else { 0 };
            line[there..].fill(T::LOWEST);
        }
    }
}

/// What pass 1 finds for the rows of a block.
struct RowTerms<T> {
    log_sums: LogSums<T>,
    /// Similarity with the partner.
    partner: [T; BLOCK],
}

impl<T: Real> RowTerms<T> {
    fn new() -> Self {
        Self { log_sums: LogSums::new(), partner: [T::ZERO; BLOCK] }
    }
}

/// Calls `f(row, column)` for every place of tile `(i, j)` whose row and column are partners.
fn for_partners(i: usize, j: usize, rows: usize, mut f: impl FnMut(usize, usize)) {
    for place in 0..BLOCK.min(rows.saturating_sub(i * BLOCK)) {
        let partner = (i * BLOCK + place + rows / 2) % rows;
        if partner / BLOCK == j {
            f(place, partner % BLOCK);
        }
    }
}

/// No two tiles of a round share a block, so nobody ever waits here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
mod tests;
