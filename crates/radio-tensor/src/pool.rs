//! Max pooling with a remembered argmax, and global average pooling, forward and backward.
use rayon::prelude::*;

use crate::batch_norm::{Affine, GradientSums, relu};
use crate::element::Element;
use crate::kernel::vectorised;
use crate::nhwc::Map;

/// A square max pool; pixels outside the image never win.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPool {
    /// Side of the window (at most 15, so that the winner's place fits a byte).
    pub kernel: usize,
    /// Step between output pixels.
    pub stride: usize,
    /// Rows and columns of padding (less than `kernel`).
    pub pad: usize,
}

impl MaxPool {
    /// Rows and columns of the output for an `h` × `w` input.
    pub fn output_size(&self, h: usize, w: usize) -> (usize, usize) {
        let side = |n: usize| (n + 2 * self.pad).checked_sub(self.kernel).map_or(0, |room| room / self.stride + 1);
        (side(h), side(w))
    }

    /// Pools `x` into `y`; `winners` receives, per output value, the place `row * kernel + column` of the
    /// maximum inside its window (the first in row order among equals, as PyTorch).
    pub fn forward<E: Element>(&self, x: &Map<E>, y: &mut Map<E>, winners: &mut Vec<u8>) {
        self.pool(x, None, y, winners);
    }

    /// As [`MaxPool::forward`] of `relu(x * scale + shift)`, which is never stored.
    pub fn forward_of_relu<E: Element>(&self, x: &Map<E>, line: &Affine, y: &mut Map<E>, winners: &mut Vec<u8>) {
        self.pool(x, Some(line), y, winners);
    }

    fn pool<E: Element>(&self, x: &Map<E>, line: Option<&Affine>, y: &mut Map<E>, winners: &mut Vec<u8>) {
        let (oh, ow, c) = (y.h, y.w, y.c);
        winners.resize(y.len(), 0);
        if y.is_empty() {
            return;
        }
        y.values_mut().par_chunks_mut(ow * c).zip(winners.par_chunks_mut(ow * c)).enumerate().for_each(
            |(index, (y, winners))| {
                let (image, row) = (index / oh, index % oh);
                let mut best = vec![0.0f32; c];
                for col in 0..ow {
                    let (y, winners) = (&mut y[col * c..][..c], &mut winners[col * c..][..c]);
                    best.fill(f32::NEG_INFINITY);
                    winners.fill(0);
                    for (place, pixel) in self.window(image, row, col, x) {
                        let x = &x.values()[pixel * c..][..c];
                        match line {
                            None => challenge(x, place, &mut best, winners),
                            Some(line) => challenge_relu(x, line, place, &mut best, winners),
                        }
                    }
                    y.iter_mut().zip(&best).for_each(|(y, best)| *y = E::narrow(*best));
                }
            },
        );
    }

    /// Sends every output gradient to the pixel that won; `dx` is overwritten.
    pub fn backward<E: Element>(&self, dy: &Map<E>, winners: &[u8], dx: &mut Map<E>) {
        let (h, line) = (dx.h, dx.w * dx.c);
        if dx.is_empty() {
            return;
        }
        dx.values_mut().par_chunks_mut(line).enumerate().for_each(|(index, dx)| {
            self.backward_row(dy, winners, (index / h, index % h), dx);
        });
    }

    /// Backward of [`MaxPool::forward_of_relu`] up to the batch norm: `dx` receives the gradient behind the batch norm,
    /// and the sums that batch norm's own backward needs come back.
    pub fn backward_to_norm<E: Element>(
        &self,
        dy: &Map<E>,
        winners: &[u8],
        (x, line, mean): (&Map<E>, &Affine, &[f32]),
        dx: &mut Map<E>,
    ) -> GradientSums {
        let (h, row) = (dx.h, dx.w * dx.c);
        if dx.is_empty() {
            return GradientSums::zeros(mean.len());
        }
        let sums: Vec<GradientSums> = dx
            .values_mut()
            .par_chunks_mut(row)
            .zip(x.values().par_chunks(row))
            .enumerate()
            .map(|(index, (dx, x))| {
                self.backward_row(dy, winners, (index / h, index % h), dx);
                mask_line(dx, x, line);
                let mut sums = GradientSums::zeros(mean.len());
                sums.add(x, dx, mean);
                sums
            })
            .collect();
        GradientSums::merged(&sums, mean.len())
    }

    /// Gradient of one input row: each pixel gathers from the windows that cover it.
    fn backward_row<E: Element>(&self, dy: &Map<E>, winners: &[u8], (image, row): (usize, usize), dx: &mut [E]) {
        let (oh, ow, c) = (dy.h, dy.w, dy.c);
        // Windows r with r * stride - pad <= position < r * stride - pad + kernel.
        let windows = |position: usize, count: usize| {
            let first = (position + self.pad + 1).saturating_sub(self.kernel).div_ceil(self.stride);
            first..((position + self.pad) / self.stride + 1).min(count)
        };
        let mut sum = vec![0.0f32; c];
        for (col, dx) in dx.chunks_exact_mut(c).enumerate() {
            sum.fill(0.0);
            for r in windows(row, oh) {
                for q in windows(col, ow) {
                    let place = (row + self.pad - r * self.stride) * self.kernel + col + self.pad - q * self.stride;
                    let at = ((image * oh + r) * ow + q) * c;
                    add_if_won(&dy.values()[at..][..c], &winners[at..][..c], place as u8, &mut sum);
                }
            }
            dx.iter_mut().zip(&sum).for_each(|(dx, sum)| *dx = E::narrow(*sum));
        }
    }

    /// Pixels of the window of one output pixel: (place in the window, pixel number in the batch).
    fn window<'a, E>(
        &'a self,
        image: usize,
        row: usize,
        col: usize,
        x: &'a Map<E>,
    ) -> impl Iterator<Item = (u8, usize)> + 'a {
        (0..self.kernel * self.kernel).filter_map(move |place| {
            let y = (row * self.stride + place / self.kernel).checked_sub(self.pad).filter(|&y| y < x.h)?;
            let column =
                (col * self.stride + place % self.kernel).checked_sub(self.pad).filter(|&column| column < x.w)?;
            Some((place as u8, (image * x.h + y) * x.w + column))
        })
    }
}

vectorised! {
    /// Lets the values of one pixel challenge the best so far.
    fn challenge<E>(x: &[E], place: u8, best: &mut [f32], winners: &mut [u8]) {
        for ((best, winner), value) in best.iter_mut().zip(winners).zip(x) {
            let value = value.widen();
            // NaN wins, so that a broken map is not hidden.
            let wins = value > *best || value.is_nan();
            *winner = if wins { place } else { *winner };
            *best = if wins { value } else { *best };
        }
    }
}

vectorised! {
    fn challenge_relu<E>(x: &[E], line: &Affine, place: u8, best: &mut [f32], winners: &mut [u8]) {
        for ((((best, winner), value), scale), shift) in
            best.iter_mut().zip(winners).zip(x).zip(&line.scale).zip(&line.shift)
        {
            let value = relu(value.widen() * scale + shift);
            let wins = value > *best || value.is_nan();
            *winner = if wins { place } else { *winner };
            *best = if wins { value } else { *best };
        }
    }
}

vectorised! {
    fn add_if_won<E>(dy: &[E], winners: &[u8], place: u8, sum: &mut [f32]) {
        for ((sum, dy), winner) in sum.iter_mut().zip(dy).zip(winners) {
            *sum += if *winner == place { dy.widen() } else { 0.0 };
        }
    }
}

vectorised! {
    /// The ReLU's mask, its input recomputed from the map before batch norm.
    fn mask_line<E>(dy: &mut [E], x: &[E], line: &Affine) {
        let c = line.scale.len();
        for (dy, x) in dy.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
            for (((dy, x), scale), shift) in dy.iter_mut().zip(x).zip(&line.scale).zip(&line.shift) {
                *dy = if x.widen() * scale + shift > 0.0 { *dy } else { E::zeroed() };
            }
        }
    }
}

/// Mean over all pixels of each image: `[n, h, w, c]` to `[n, c]`; zero where there is no pixel.
pub fn global_average<E: Element>(x: &Map<E>) -> Vec<f32> {
    let (plane, c) = (x.h * x.w, x.c);
    let mut features = vec![0.0; x.n * c];
    if x.is_empty() {
        return features;
    }
    for (features, image) in features.chunks_exact_mut(c).zip(x.values().chunks_exact(plane * c)) {
        for pixel in image.chunks_exact(c) {
            for (sum, value) in features.iter_mut().zip(pixel) {
                *sum += value.widen();
            }
        }
        features.iter_mut().for_each(|sum| *sum /= plane as f32);
    }
    features
}

/// Backward of [`global_average`]: `[n, c]` spread over `dx`, which is overwritten.
pub fn global_average_backward<E: Element>(gradient: &[f32], dx: &mut Map<E>) {
    let (plane, c) = (dx.h * dx.w, dx.c);
    if dx.is_empty() {
        return;
    }
    for (image, gradient) in dx.values_mut().chunks_exact_mut(plane * c).zip(gradient.chunks_exact(c)) {
        for pixel in image.chunks_exact_mut(c) {
            for (value, gradient) in pixel.iter_mut().zip(gradient) {
                *value = E::narrow(gradient / plane as f32);
            }
        }
    }
}
