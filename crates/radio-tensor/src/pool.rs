//! Max pooling with a remembered argmax, and global average pooling, forward and backward.
use rayon::prelude::*;

use crate::nhwc::Nhwc;

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
    pub fn forward(&self, x: &Nhwc, y: &mut Nhwc, winners: &mut Vec<u8>) {
        let (oh, ow, c) = (y.h, y.w, y.c);
        winners.clear();
        winners.resize(y.len(), 0);
        y.values_mut().par_chunks_mut(ow * c).zip(winners.par_chunks_mut(ow * c)).enumerate().for_each(
            |(line, (y, winners))| {
                let (image, row) = (line / oh, line % oh);
                for col in 0..ow {
                    let (y, winners) = (&mut y[col * c..][..c], &mut winners[col * c..][..c]);
                    y.fill(f32::NEG_INFINITY);
                    for (place, pixel) in self.window(image, row, col, x) {
                        for ((y, winner), value) in
                            y.iter_mut().zip(winners.iter_mut()).zip(&x.values()[pixel * c..][..c])
                        {
                            // NaN wins, so that a broken map is not hidden.
                            let wins = *value > *y || value.is_nan();
                            *winner = if wins { place } else { *winner };
                            *y = if wins { *value } else { *y };
                        }
                    }
                }
            },
        );
    }

    /// Sends every output gradient to the pixel that won; `dx` is overwritten.
    pub fn backward(&self, dy: &Nhwc, winners: &[u8], dx: &mut Nhwc) {
        let (oh, ow, c) = (dy.h, dy.w, dy.c);
        let (h, w) = (dx.h, dx.w);
        dx.values_mut().par_chunks_mut(h * w * c).enumerate().for_each(|(image, dx)| {
            dx.fill(0.0);
            for row in 0..oh {
                for col in 0..ow {
                    let start = ((image * oh + row) * ow + col) * c;
                    for channel in 0..c {
                        let place = usize::from(winners[start + channel]);
                        let y = row * self.stride + place / self.kernel - self.pad;
                        let x = col * self.stride + place % self.kernel - self.pad;
                        dx[(y * w + x) * c + channel] += dy.values()[start + channel];
                    }
                }
            }
        });
    }

    /// Pixels of the window of one output pixel: (place in the window, pixel number in the batch).
    fn window<'a>(
        &'a self,
        image: usize,
        row: usize,
        col: usize,
        x: &'a Nhwc,
    ) -> impl Iterator<Item = (u8, usize)> + 'a {
        (0..self.kernel * self.kernel).filter_map(move |place| {
            let y = (row * self.stride + place / self.kernel).checked_sub(self.pad).filter(|&y| y < x.h)?;
            let column =
                (col * self.stride + place % self.kernel).checked_sub(self.pad).filter(|&column| column < x.w)?;
            Some((place as u8, (image * x.h + y) * x.w + column))
        })
    }
}

/// Mean over all pixels of each image: `[n, h, w, c]` to `[n, c]`.
pub fn global_average(x: &Nhwc) -> Vec<f32> {
    let (plane, c) = (x.h * x.w, x.c);
    let mut features = vec![0.0; x.n * c];
    for (features, image) in features.chunks_exact_mut(c).zip(x.values().chunks_exact(plane * c)) {
        for pixel in image.chunks_exact(c) {
            for (sum, value) in features.iter_mut().zip(pixel) {
                *sum += value;
            }
        }
        features.iter_mut().for_each(|sum| *sum /= plane as f32);
    }
    features
}

/// Backward of [`global_average`]: `[n, c]` spread over `dx`, which is overwritten.
pub fn global_average_backward(gradient: &[f32], dx: &mut Nhwc) {
    let (plane, c) = (dx.h * dx.w, dx.c);
    for (image, gradient) in dx.values_mut().chunks_exact_mut(plane * c).zip(gradient.chunks_exact(c)) {
        for pixel in image.chunks_exact_mut(c) {
            for (value, gradient) in pixel.iter_mut().zip(gradient) {
                *value = gradient / plane as f32;
            }
        }
    }
}
