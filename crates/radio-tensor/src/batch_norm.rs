//! Batch normalisation fused with residual addition and ReLU, forward and backward.
//!
//! Statistics are summed in blocks of fixed size, in f64 across blocks, so they do not depend on the
//! number of threads. The pre-normalisation map is kept and its normalised value recomputed in backward.
use rayon::prelude::*;

use crate::nhwc::Nhwc;

/// Added to the variance (torchvision's ResNet).
pub const EPSILON: f64 = 1e-5;
/// Weight of the newest batch in the running statistics (torchvision's ResNet).
pub const MOMENTUM: f64 = 0.1;
/// Pixels of one summation block.
const BLOCK_PIXELS: usize = 1024;
/// Pixels summed in f32 before they are added to an f64 sum.
const GROUP_PIXELS: usize = 32;

/// Per-channel mean and 1 / sqrt(variance + epsilon) of one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchStatistics {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// 1 / sqrt(variance + epsilon), the variance being the population's.
    pub inv_std: Vec<f32>,
    /// Unbiased variance, for the running statistics.
    pub unbiased_variance: Vec<f32>,
}

/// A per-channel straight line `x * scale + shift`: batch norm with its statistics folded in.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    /// Factor of each channel.
    pub scale: Vec<f32>,
    /// Offset of each channel.
    pub shift: Vec<f32>,
}

impl Affine {
    /// Training mode: the statistics of this batch.
    pub fn of_batch(statistics: &BatchStatistics, gamma: &[f32], beta: &[f32]) -> Self {
        let scale: Vec<f32> = gamma.iter().zip(&statistics.inv_std).map(|(g, s)| g * s).collect();
        let shift = beta.iter().zip(&statistics.mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Self { scale, shift }
    }

    /// Evaluation mode: the running statistics.
    pub fn of_running(mean: &[f32], variance: &[f32], gamma: &[f32], beta: &[f32]) -> Self {
        let scale: Vec<f32> = gamma
            .iter()
            .zip(variance)
            .map(|(g, v)| (f64::from(*g) / (f64::from(*v) + EPSILON).sqrt()) as f32)
            .collect();
        let shift = beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Self { scale, shift }
    }
}

/// Mean and spread of every channel over all pixels of the batch.
pub fn batch_statistics(x: &Nhwc) -> BatchStatistics {
    let (c, pixels) = (x.c, x.pixels() as f64);
    // Sums are taken about the first pixel, which keeps the difference of large squares small.
    let pivot = &x.values()[..c];
    let sums = block_sums(c, x.pixels(), 2, |first, count, sums| {
        let (sum, squares) = sums.split_at_mut(c);
        for pixel in x.values()[first * c..][..count * c].chunks_exact(c) {
            for (((sum, square), value), pivot) in sum.iter_mut().zip(squares.iter_mut()).zip(pixel).zip(pivot) {
                let d = value - pivot;
                *sum += d;
                *square += d * d;
            }
        }
    });
    let mut statistics = BatchStatistics {
        mean: Vec::with_capacity(c),
        inv_std: Vec::with_capacity(c),
        unbiased_variance: Vec::with_capacity(c),
    };
    for channel in 0..c {
        let offset = sums[channel] / pixels;
        let variance = (sums[c + channel] / pixels - offset * offset).max(0.0);
        statistics.mean.push((f64::from(pivot[channel]) + offset) as f32);
        statistics.inv_std.push((1.0 / (variance + EPSILON).sqrt()) as f32);
        statistics.unbiased_variance.push((variance * pixels / (pixels - 1.0).max(1.0)) as f32);
    }
    statistics
}

/// Moves running statistics towards those of a batch.
pub fn update_running(running_mean: &mut [f32], running_variance: &mut [f32], batch: &BatchStatistics) {
    let blend = |running: &mut f32, new: f32| {
        *running = ((1.0 - MOMENTUM) * f64::from(*running) + MOMENTUM * f64::from(new)) as f32
    };
    running_mean.iter_mut().zip(&batch.mean).for_each(|(running, &new)| blend(running, new));
    running_variance.iter_mut().zip(&batch.unbiased_variance).for_each(|(running, &new)| blend(running, new));
}

/// What is added before the ReLU.
pub enum Shortcut<'a> {
    /// Nothing.
    None,
    /// A map as it is.
    Identity(&'a Nhwc),
    /// A map with its own batch norm.
    Normalised(&'a Nhwc, &'a Affine),
}

/// `y = relu(x * scale + shift + shortcut)`, one pass over memory.
pub fn apply_relu(x: &Nhwc, affine: &Affine, shortcut: Shortcut, y: &mut Nhwc) {
    let c = x.c;
    y.values_mut().par_chunks_mut(BLOCK_PIXELS * c).enumerate().for_each(|(block, y)| {
        let range = block * BLOCK_PIXELS * c..block * BLOCK_PIXELS * c + y.len();
        let x = &x.values()[range.clone()];
        let line = || affine.scale.iter().zip(&affine.shift);
        match shortcut {
            Shortcut::None => {
                for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                    for ((y, x), (scale, shift)) in y.iter_mut().zip(x).zip(line()) {
                        *y = relu(x * scale + shift);
                    }
                }
            }
            Shortcut::Identity(other) => {
                let other = &other.values()[range];
                for ((y, x), other) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(other.chunks_exact(c)) {
                    for (((y, x), other), (scale, shift)) in y.iter_mut().zip(x).zip(other).zip(line()) {
                        *y = relu(x * scale + shift + other);
                    }
                }
            }
            Shortcut::Normalised(other, own) => {
                let other = &other.values()[range];
                for ((y, x), other) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(other.chunks_exact(c)) {
                    for ((((y, x), other), (scale, shift)), (own_scale, own_shift)) in
                        y.iter_mut().zip(x).zip(other).zip(line()).zip(own.scale.iter().zip(&own.shift))
                    {
                        *y = relu(x * scale + shift + (other * own_scale + own_shift));
                    }
                }
            }
        }
    });
}

/// ReLU that lets NaN through: a broken map must show.
#[inline(always)]
fn relu(value: f32) -> f32 {
    if value <= 0.0 { 0.0 } else { value }
}

/// Zeroes the gradient where the ReLU's output `y` was not positive (gradient 0 at 0, as PyTorch).
pub fn relu_backward(y: &Nhwc, dy: &mut Nhwc) {
    let block = BLOCK_PIXELS * y.c;
    dy.values_mut().par_chunks_mut(block).zip(y.values().par_chunks(block)).for_each(|(dy, y)| {
        for (dy, y) in dy.iter_mut().zip(y) {
            *dy = if *y > 0.0 { *dy } else { 0.0 };
        }
    });
}

/// As [`relu_backward`], with the ReLU's output recomputed from the map before batch norm.
pub fn relu_backward_recomputed(x: &Nhwc, affine: &Affine, dy: &mut Nhwc) {
    let c = x.c;
    let block = BLOCK_PIXELS * c;
    dy.values_mut().par_chunks_mut(block).zip(x.values().par_chunks(block)).for_each(|(dy, x)| {
        for (dy, x) in dy.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
            for (((dy, x), scale), shift) in dy.iter_mut().zip(x).zip(&affine.scale).zip(&affine.shift) {
                *dy = if x * scale + shift > 0.0 { *dy } else { 0.0 };
            }
        }
    });
}

/// Backward of batch norm in training mode, in place: `x` (the map before batch norm) becomes its gradient.
///
/// `dy` is the gradient of the normalised map; `dgamma` and `dbeta` are written.
pub fn backward(
    x: &mut Nhwc,
    statistics: &BatchStatistics,
    gamma: &[f32],
    dy: &Nhwc,
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let (c, pixels) = (x.c, x.pixels());
    let (mean, inv_std) = (&statistics.mean, &statistics.inv_std);
    let sums = block_sums(c, pixels, 2, |first, count, sums| {
        let (plain, weighted) = sums.split_at_mut(c);
        let range = first * c..(first + count) * c;
        for (x, dy) in x.values()[range.clone()].chunks_exact(c).zip(dy.values()[range].chunks_exact(c)) {
            for (((plain, weighted), (x, dy)), mean) in
                plain.iter_mut().zip(weighted.iter_mut()).zip(x.iter().zip(dy)).zip(mean)
            {
                *plain += dy;
                *weighted += dy * (x - mean);
            }
        }
    });
    let count = pixels as f64;
    // dx = gamma * inv_std * (dy - mean(dy) - x_hat * mean(dy * x_hat)) = a * dy + b * (x - mean) + k
    let mut lines: Vec<[f32; 3]> = Vec::with_capacity(c);
    for channel in 0..c {
        let s = f64::from(inv_std[channel]);
        let weighted = sums[c + channel] * s; // sum of dy * x_hat
        dbeta[channel] = sums[channel] as f32;
        dgamma[channel] = weighted as f32;
        let a = f64::from(gamma[channel]) * s;
        lines.push([a as f32, (-a * s * weighted / count) as f32, (-a * sums[channel] / count) as f32]);
    }
    let (a, b, k): (Vec<f32>, Vec<f32>, Vec<f32>) = (
        lines.iter().map(|l| l[0]).collect(),
        lines.iter().map(|l| l[1]).collect(),
        lines.iter().map(|l| l[2]).collect(),
    );
    let block = BLOCK_PIXELS * c;
    x.values_mut().par_chunks_mut(block).zip(dy.values().par_chunks(block)).for_each(|(x, dy)| {
        for (x, dy) in x.chunks_exact_mut(c).zip(dy.chunks_exact(c)) {
            for (((x, dy), mean), ((a, b), k)) in x.iter_mut().zip(dy).zip(mean).zip(a.iter().zip(&b).zip(&k)) {
                *x = a * dy + b * (*x - mean) + k;
            }
        }
    });
}

/// Per-channel sums over pixels: f32 within [`GROUP_PIXELS`], f64 above, blocks of fixed size in order.
///
/// `add(first, count, sums)` adds `count` pixels to `kinds * c` f32 sums.
fn block_sums(c: usize, pixels: usize, kinds: usize, add: impl Fn(usize, usize, &mut [f32]) + Sync) -> Vec<f64> {
    let blocks: Vec<Vec<f64>> = (0..pixels.div_ceil(BLOCK_PIXELS))
        .into_par_iter()
        .map(|block| {
            let mut total = vec![0.0f64; kinds * c];
            let mut group = vec![0.0f32; kinds * c];
            let end = ((block + 1) * BLOCK_PIXELS).min(pixels);
            for first in (block * BLOCK_PIXELS..end).step_by(GROUP_PIXELS) {
                group.fill(0.0);
                add(first, GROUP_PIXELS.min(end - first), &mut group);
                for (total, &group) in total.iter_mut().zip(&group) {
                    *total += f64::from(group);
                }
            }
            total
        })
        .collect();
    let mut sums = vec![0.0; kinds * c];
    for block in &blocks {
        for (sum, value) in sums.iter_mut().zip(block) {
            *sum += value;
        }
    }
    sums
}
