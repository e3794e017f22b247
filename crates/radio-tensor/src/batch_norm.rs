//! Batch normalisation fused with residual addition and ReLU: statistics and forward.
//!
//! Statistics are summed in blocks of fixed size, in f64 across groups of pixels, so they do not depend on the
//! number of threads. The pre-normalisation map is kept and its normalised value recomputed in backward
//! (`batch_norm_backward`, re-exported here).
use rayon::prelude::*;

pub use crate::batch_norm_backward::{GradientSums, backward, backward_from_sums, masked_backward, relu_backward};
use crate::element::Element;
use crate::kernel::vectorised;
use crate::nhwc::Map;

/// Added to the variance (torchvision's ResNet).
pub const EPSILON: f64 = 1e-5;
/// Weight of the newest batch in the running statistics (torchvision's ResNet).
pub const MOMENTUM: f64 = 0.1;
/// Pixels of one block, the unit of work of a thread.
pub(crate) const BLOCK_PIXELS: usize = 256;
/// Pixels summed in f32 before they are added to an f64 sum.
pub(crate) const GROUP_PIXELS: usize = 32;

/// Per-channel mean and 1 / sqrt(variance + epsilon) that a training step normalises with.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchStatistics {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// 1 / sqrt(variance + epsilon), the variance being the population's.
    pub inv_std: Vec<f32>,
    /// Unbiased variance, for the running statistics.
    pub unbiased_variance: Vec<f32>,
    /// Whether they are constants and not of this batch: then no gradient flows through them.
    pub fixed: bool,
}

impl BatchStatistics {
    /// Running statistics as constants; `epsilon` is added to the variance.
    pub fn of_running(mean: &[f32], variance: &[f32], epsilon: f64) -> Self {
        let inv_std = variance.iter().map(|v| (1.0 / (f64::from(*v) + epsilon).sqrt()) as f32).collect();
        Self { mean: mean.to_vec(), inv_std, unbiased_variance: variance.to_vec(), fixed: true }
    }
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

    /// Evaluation mode: the running statistics; `epsilon` is added to the variance.
    pub fn of_running(mean: &[f32], variance: &[f32], gamma: &[f32], beta: &[f32], epsilon: f64) -> Self {
        let scale: Vec<f32> = gamma
            .iter()
            .zip(variance)
            .map(|(g, v)| (f64::from(*g) / (f64::from(*v) + epsilon).sqrt()) as f32)
            .collect();
        let shift = beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Self { scale, shift }
    }
}

/// Number, sum and sum of squares of the values of every channel, f64.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    pixels: usize,
    sums: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    /// Of pixels of `c` channels each.
    pub fn of<E: Element>(values: &[E], c: usize) -> Self {
        // f32 sums are taken about the first pixel, which keeps the difference of large squares small.
        let pivot: Vec<f32> = values[..c].iter().map(|v| v.widen()).collect();
        let mut total = Self { pixels: values.len() / c, sums: vec![0.0; c], squares: vec![0.0; c] };
        let (mut sums, mut squares) = (vec![0.0f32; c], vec![0.0f32; c]);
        for group in values.chunks(GROUP_PIXELS * c) {
            sums.fill(0.0);
            squares.fill(0.0);
            add_moments(group, &pivot, &mut sums, &mut squares);
            let pixels = (group.len() / c) as f64;
            for (channel, &pivot) in pivot.iter().enumerate() {
                let (pivot, sum) = (f64::from(pivot), f64::from(sums[channel]));
                total.sums[channel] += sum + pixels * pivot;
                total.squares[channel] += f64::from(squares[channel]) + pivot * (2.0 * sum + pixels * pivot);
            }
        }
        total
    }

    /// The moments of all parts together, added in order.
    pub fn merged(parts: &[Self], c: usize) -> Self {
        let mut total = Self { pixels: 0, sums: vec![0.0; c], squares: vec![0.0; c] };
        for part in parts {
            total.pixels += part.pixels;
            total.sums.iter_mut().zip(&part.sums).for_each(|(total, sum)| *total += sum);
            total.squares.iter_mut().zip(&part.squares).for_each(|(total, sum)| *total += sum);
        }
        total
    }

    /// Mean and spread, with torchvision's [`EPSILON`].
    pub fn statistics(&self) -> BatchStatistics {
        self.statistics_with(EPSILON)
    }

    /// Mean and spread; `epsilon` is added to the variance under the root.
    pub fn statistics_with(&self, epsilon: f64) -> BatchStatistics {
        let pixels = self.pixels as f64;
        let mut statistics = BatchStatistics {
            mean: Vec::with_capacity(self.sums.len()),
            inv_std: Vec::with_capacity(self.sums.len()),
            unbiased_variance: Vec::with_capacity(self.sums.len()),
            fixed: false,
        };
        for (sum, squares) in self.sums.iter().zip(&self.squares) {
            let mean = sum / pixels;
            // Rounding may leave a little less than nothing. `max` would turn a NaN into zero: a broken map must show.
            let variance = squares / pixels - mean * mean;
            let variance = if variance <= 0.0 { 0.0 } else { variance };
            statistics.mean.push(mean as f32);
            statistics.inv_std.push((1.0 / (variance + epsilon).sqrt()) as f32);
            statistics.unbiased_variance.push((variance * pixels / (pixels - 1.0).max(1.0)) as f32);
        }
        statistics
    }
}

vectorised! {
    fn add_moments<E>(values: &[E], pivot: &[f32], sums: &mut [f32], squares: &mut [f32]) {
        for pixel in values.chunks_exact(pivot.len()) {
            for (((sum, square), value), pivot) in sums.iter_mut().zip(squares.iter_mut()).zip(pixel).zip(pivot) {
                let d = value.widen() - pivot;
                *sum += d;
                *square += d * d;
            }
        }
    }
}

/// Moments of every channel over all pixels of the batch.
pub fn moments<E: Element>(x: &Map<E>) -> Moments {
    let blocks: Vec<Moments> =
        x.values().par_chunks(BLOCK_PIXELS * x.c.max(1)).map(|block| Moments::of(block, x.c)).collect();
    Moments::merged(&blocks, x.c)
}

/// Mean and spread of every channel over all pixels of the batch.
pub fn batch_statistics<E: Element>(x: &Map<E>) -> BatchStatistics {
    moments(x).statistics()
}

/// Moves running statistics towards those of a batch, which has the weight `momentum`.
pub fn update_running(running_mean: &mut [f32], running_variance: &mut [f32], batch: &BatchStatistics, momentum: f64) {
    let blend = |running: &mut f32, new: f32| {
        *running = ((1.0 - momentum) * f64::from(*running) + momentum * f64::from(new)) as f32
    };
    running_mean.iter_mut().zip(&batch.mean).for_each(|(running, &new)| blend(running, new));
    running_variance.iter_mut().zip(&batch.unbiased_variance).for_each(|(running, &new)| blend(running, new));
}

/// What is added before the ReLU.
pub enum Shortcut<'a, E> {
    /// Nothing.
    None,
    /// A map as it is.
    Identity(&'a Map<E>),
    /// A map with its own batch norm.
    Normalised(&'a Map<E>, &'a Affine),
}

/// `y = relu(x * scale + shift + shortcut)`, one pass over memory.
pub fn apply_relu<E: Element>(x: &Map<E>, affine: &Affine, shortcut: Shortcut<E>, y: &mut Map<E>) {
    let block = BLOCK_PIXELS * x.c.max(1);
    y.values_mut().par_chunks_mut(block).zip(x.values().par_chunks(block)).enumerate().for_each(|(index, (y, x))| {
        let same = index * block..index * block + y.len();
        match shortcut {
            Shortcut::None => relu_line(y, x, affine),
            Shortcut::Identity(other) => relu_sum(y, x, affine, &other.values()[same]),
            Shortcut::Normalised(other, own) => relu_two_lines(y, x, affine, &other.values()[same], own),
        }
    });
}

vectorised! {
    fn relu_line<E>(y: &mut [E], x: &[E], affine: &Affine) {
        let c = affine.scale.len();
        for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
            for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(&affine.scale).zip(&affine.shift) {
                *y = E::narrow(relu(x.widen() * scale + shift));
            }
        }
    }
}

vectorised! {
    fn relu_sum<E>(y: &mut [E], x: &[E], affine: &Affine, other: &[E]) {
        let c = affine.scale.len();
        for ((y, x), other) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(other.chunks_exact(c)) {
            for ((((y, x), other), scale), shift) in
                y.iter_mut().zip(x).zip(other).zip(&affine.scale).zip(&affine.shift)
            {
                *y = E::narrow(relu(x.widen() * scale + shift + other.widen()));
            }
        }
    }
}

vectorised! {
    fn relu_two_lines<E>(y: &mut [E], x: &[E], affine: &Affine, other: &[E], own: &Affine) {
        let c = affine.scale.len();
        for ((y, x), other) in y.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(other.chunks_exact(c)) {
            for (((((y, x), other), (scale, shift)), own_scale), own_shift) in y
                .iter_mut()
                .zip(x)
                .zip(other)
                .zip(affine.scale.iter().zip(&affine.shift))
                .zip(&own.scale)
                .zip(&own.shift)
            {
                *y = E::narrow(relu(x.widen() * scale + shift + (other.widen() * own_scale + own_shift)));
            }
        }
    }
}

/// ReLU that lets NaN through: a broken map must show.
#[inline(always)]
pub(crate) fn relu(value: f32) -> f32 {
    if value <= 0.0 { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel with an infinite or undefined value has no spread, wherever the value lies; its neighbours have one.
    #[test]
    fn broken_values_show_in_the_statistics() {
        for broken in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            for pixel in [0, 1, 40, 299] {
                let mut x = Map::<f32>::zeros(1, 3, 100, 3);
                x.values_mut().iter_mut().enumerate().for_each(|(i, v)| *v = (i % 7) as f32);
                x.values_mut()[pixel * 3 + 1] = broken;
                let statistics = batch_statistics(&x);
                for values in [&statistics.inv_std, &statistics.unbiased_variance] {
                    assert!(values[1].is_nan(), "{broken} at pixel {pixel}: {values:?}");
                    assert!(values[0].is_finite() && values[2].is_finite(), "{broken} at pixel {pixel}: {values:?}");
                }
            }
        }
        let mut flat = Map::<f32>::zeros(1, 3, 100, 1);
        flat.values_mut().fill(0.1);
        assert_eq!(batch_statistics(&flat).unbiased_variance, [0.0]);
    }
}
