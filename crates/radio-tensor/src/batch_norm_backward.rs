//! Backward of batch norm, with the ReLU's mask and both reductions in one read.
use rayon::prelude::*;

use crate::batch_norm::{BLOCK_PIXELS, BatchStatistics, GROUP_PIXELS};
use crate::element::Element;
use crate::kernel::vectorised;
use crate::nhwc::Map;

/// Zeroes the gradient where the ReLU's output `y` was not positive (gradient 0 at 0, as PyTorch).
pub fn relu_backward<E: Element>(y: &Map<E>, dy: &mut Map<E>) {
    let block = BLOCK_PIXELS * y.c.max(1);
    dy.values_mut().par_chunks_mut(block).zip(y.values().par_chunks(block)).for_each(|(dy, y)| mask(dy, y));
}

/// Per channel, the sum of the gradient, and of the gradient times the distance from the mean; f64.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientSums {
    plain: Vec<f64>,
    weighted: Vec<f64>,
}

impl GradientSums {
    /// No pixel yet.
    pub fn zeros(c: usize) -> Self {
        Self { plain: vec![0.0; c], weighted: vec![0.0; c] }
    }

    /// Adds pixels: `x` before batch norm, `dy` the gradient behind it; f32 within a group of pixels.
    pub fn add<E: Element>(&mut self, x: &[E], dy: &[E], mean: &[f32]) {
        let c = mean.len();
        let (mut plain, mut weighted) = (vec![0.0f32; c], vec![0.0f32; c]);
        for (x, dy) in x.chunks(GROUP_PIXELS * c).zip(dy.chunks(GROUP_PIXELS * c)) {
            plain.fill(0.0);
            weighted.fill(0.0);
            add_gradients(x, dy, mean, &mut plain, &mut weighted);
            self.plain.iter_mut().zip(&plain).for_each(|(total, sum)| *total += f64::from(*sum));
            self.weighted.iter_mut().zip(&weighted).for_each(|(total, sum)| *total += f64::from(*sum));
        }
    }

    /// The sums of all blocks, added in order.
    pub fn merged(blocks: &[Self], c: usize) -> Self {
        let mut total = Self::zeros(c);
        for block in blocks {
            total.plain.iter_mut().zip(&block.plain).for_each(|(total, sum)| *total += sum);
            total.weighted.iter_mut().zip(&block.weighted).for_each(|(total, sum)| *total += sum);
        }
        total
    }
}

/// Backward of batch norm in training mode, in place: `x` (the map before batch norm) becomes its gradient.
///
/// `dy` is the gradient of the normalised map; `dgamma` and `dbeta` are written.
pub fn backward<E: Element>(
    x: &mut Map<E>,
    statistics: &BatchStatistics,
    gamma: &[f32],
    dy: &Map<E>,
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let c = x.c;
    let block = BLOCK_PIXELS * c.max(1);
    let sums: Vec<GradientSums> = x
        .values()
        .par_chunks(block)
        .zip(dy.values().par_chunks(block))
        .map(|(x, dy)| {
            let mut sums = GradientSums::zeros(c);
            sums.add(x, dy, &statistics.mean);
            sums
        })
        .collect();
    backward_from_sums(x, statistics, gamma, dy, &GradientSums::merged(&sums, c), dgamma, dbeta);
}

/// [`relu_backward`] (`y` is the ReLU's output; `dy` is masked in place) and [`backward`], in one read less.
pub fn masked_backward<E: Element>(
    x: &mut Map<E>,
    statistics: &BatchStatistics,
    gamma: &[f32],
    y: &Map<E>,
    dy: &mut Map<E>,
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let c = x.c;
    let block = BLOCK_PIXELS * c.max(1);
    let sums: Vec<GradientSums> = dy
        .values_mut()
        .par_chunks_mut(block)
        .zip(x.values().par_chunks(block))
        .zip(y.values().par_chunks(block))
        .map(|((dy, x), y)| {
            let mut sums = GradientSums::zeros(c);
            let group = GROUP_PIXELS * c;
            for ((dy, x), y) in dy.chunks_mut(group).zip(x.chunks(group)).zip(y.chunks(group)) {
                mask(dy, y);
                sums.add(x, dy, &statistics.mean);
            }
            sums
        })
        .collect();
    backward_from_sums(x, statistics, gamma, dy, &GradientSums::merged(&sums, c), dgamma, dbeta);
}

/// The second half of [`backward`], from sums that another pass has made.
pub fn backward_from_sums<E: Element>(
    x: &mut Map<E>,
    statistics: &BatchStatistics,
    gamma: &[f32],
    dy: &Map<E>,
    sums: &GradientSums,
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let (c, count) = (x.c, x.pixels() as f64);
    let mut line = Line { mean: &statistics.mean, a: vec![0.0; c], b: vec![0.0; c], k: vec![0.0; c] };
    // dx = gamma * inv_std * (dy - mean(dy) - x_hat * mean(dy * x_hat)) = a * dy + b * (x - mean) + k; of constants a * dy.
    for channel in 0..c {
        let s = f64::from(statistics.inv_std[channel]);
        let weighted = sums.weighted[channel] * s; // sum of dy * x_hat
        dbeta[channel] = sums.plain[channel] as f32;
        dgamma[channel] = weighted as f32;
        let a = f64::from(gamma[channel]) * s;
        line.a[channel] = a as f32;
        if statistics.fixed {
            continue;
        }
        line.b[channel] = (-a * s * weighted / count) as f32;
        line.k[channel] = (-a * sums.plain[channel] / count) as f32;
    }
    let block = BLOCK_PIXELS * c.max(1);
    x.values_mut().par_chunks_mut(block).zip(dy.values().par_chunks(block)).for_each(|(x, dy)| apply(x, dy, &line));
}

/// `dx = a * dy + b * (x - mean) + k`, per channel.
struct Line<'a> {
    mean: &'a [f32],
    a: Vec<f32>,
    b: Vec<f32>,
    k: Vec<f32>,
}

vectorised! {
    fn mask<E>(dy: &mut [E], y: &[E]) {
        for (dy, y) in dy.iter_mut().zip(y) {
            *dy = if y.widen() > 0.0 { *dy } else { E::zeroed() };
        }
    }
}

vectorised! {
    fn add_gradients<E>(x: &[E], dy: &[E], mean: &[f32], plain: &mut [f32], weighted: &mut [f32]) {
        let c = mean.len();
        for (x, dy) in x.chunks_exact(c).zip(dy.chunks_exact(c)) {
            for ((((plain, weighted), x), dy), mean) in
                plain.iter_mut().zip(weighted.iter_mut()).zip(x).zip(dy).zip(mean)
            {
                let dy = dy.widen();
                *plain += dy;
                *weighted += dy * (x.widen() - mean);
            }
        }
    }
}

vectorised! {
    fn apply<E>(x: &mut [E], dy: &[E], line: &Line) {
        let c = line.mean.len();
        for (x, dy) in x.chunks_exact_mut(c).zip(dy.chunks_exact(c)) {
            for (((((x, dy), mean), a), b), k) in
                x.iter_mut().zip(dy).zip(line.mean).zip(&line.a).zip(&line.b).zip(&line.k)
            {
                *x = E::narrow(a * dy.widen() + b * (x.widen() - mean) + k);
            }
        }
    }
}
