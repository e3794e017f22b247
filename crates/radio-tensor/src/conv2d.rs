//! 2-D convolution on NHWC maps: forward, backward-data, backward-weight.
//!
//! A convolution is one matrix product: rows are output pixels, columns output channels, and the inner
//! axis runs over kernel row, kernel column and input channel. The left matrix ("patches") is never built whole: a
//! task gathers the patches of a few hundred pixels, multiplies, and throws them away. Task sizes
//! depend on the shape alone, so results do not depend on the number of threads.
//!
//! This is the portable way, and the reference of the others: [`Conv2d::forward_on`] and its two backward passes
//! (`conv_route`) take a kernel and a precision and read maps without patches where the processor allows it.
use std::cell::RefCell;

use rayon::prelude::*;

pub use crate::conv_route::ConvWeights;
use crate::element::Element;
use crate::matmul::{Strided, matmul};
use crate::nhwc::{Map, Nhwc};

/// Output pixels of one task at most: patches stay within the shared cache.
const TASK_PIXELS: usize = 512;
/// Pixel partitions of a weight gradient, each summed on its own and then in order.
const WEIGHT_PARTITIONS: usize = 8;

thread_local! {
    /// The patches of the task in work on this thread.
    static PATCHES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Shape of a square-kernel convolution without bias (batch norm follows every one of them).
///
/// Weights are `[kernel, kernel, in_channels, out_channels]`, output channels contiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Input channels.
    pub in_channels: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between output pixels.
    pub stride: usize,
    /// Zero rows and columns round the input.
    pub pad: usize,
}

impl Conv2d {
    /// Rows and columns of the output for an `h` × `w` input.
    pub fn output_size(&self, h: usize, w: usize) -> (usize, usize) {
        let side = |n: usize| (n + 2 * self.pad).checked_sub(self.kernel).map_or(0, |room| room / self.stride + 1);
        (side(h), side(w))
    }

    /// Number of weights.
    pub fn weights(&self) -> usize {
        self.patch() * self.out_channels
    }

    /// Length of one patch: kernel rows × kernel columns × input channels.
    fn patch(&self) -> usize {
        self.kernel * self.kernel * self.in_channels
    }

    /// The check of every pass: `x` is an input of this convolution, `y` its output, and there are `weights` weights.
    pub(crate) fn assert_shapes<E: Element>(&self, x: &Map<E>, y: &Map<E>, weights: usize) {
        assert_eq!((x.c, y.c), (self.in_channels, self.out_channels), "channels of {self:?}");
        assert_eq!(x.n, y.n, "images of {self:?}");
        assert_eq!((y.h, y.w), self.output_size(x.h, x.w), "output of {self:?} for {} x {} pixels", x.h, x.w);
        assert_eq!(weights, self.weights(), "weights of {self:?}");
    }

    /// Whether a whole kernel row is one run of input values: nothing round the image is read.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn reads_rows(&self) -> bool {
        self.pad == 0
    }

    /// Input values that lie side by side below an output pixel.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn segment_values(&self) -> usize {
        if self.reads_rows() { self.kernel * self.in_channels } else { self.in_channels }
    }

    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.pad == 0
    }

    /// `y = x * weight` (added to `y` with `accumulate`).
    ///
    /// # Shapes
    /// `x`: `[n, h, w, in]`; `y`: `[n, oh, ow, out]` with [`Conv2d::output_size`].
    /// # Panics
    /// On other shapes: a bug of the caller.
    pub fn forward(&self, x: &Nhwc, weight: &[f32], y: &mut Nhwc, accumulate: bool) {
        self.assert_shapes(x, y, weight.len());
        if x.is_empty() || y.is_empty() {
            return sum_of_nothing(y, accumulate);
        }
        let (patch, out) = (self.patch(), self.out_channels);
        let task = task_pixels(y.pixels());
        let (oh, ow) = (y.h, y.w);
        let weight = Strided::rows(weight, out);
        y.values_mut().par_chunks_mut(task * out).enumerate().for_each(|(index, y)| {
            let (first, count) = (index * task, y.len() / out);
            self.with_patches(x, (oh, ow), first, count, |patches| {
                matmul(count, out, patch, Strided::rows(patches, patch), weight, y, accumulate);
            });
        });
    }

    /// Gradient with respect to the input, added to `dx` with `accumulate`.
    ///
    /// # Shapes
    /// `dy`: `[n, oh, ow, out]`; `dx`: `[n, h, w, in]`.
    /// # Panics
    /// On other shapes: a bug of the caller.
    pub fn backward_data(&self, dy: &Nhwc, weight: &[f32], dx: &mut Nhwc, accumulate: bool) {
        self.assert_shapes(dx, dy, weight.len());
        if dx.is_empty() || dy.is_empty() {
            return sum_of_nothing(dx, accumulate);
        }
        if self.stride == 1 && self.pad < self.kernel {
            // Stride 1: again a convolution, of dy with the kernel turned by 180 degrees and transposed.
            let turned = Conv2d {
                in_channels: self.out_channels,
                out_channels: self.in_channels,
                pad: self.kernel - 1 - self.pad,
                ..*self
            };
            turned.forward(dy, &self.turned_weight(weight), dx, accumulate);
            return;
        }
        let (patch, out) = (self.patch(), self.out_channels);
        let (h, w, c) = (dx.h, dx.w, dx.c);
        let (out_image, out_cols, in_image) = (dy.h * dy.w, dy.w, h * w * c);
        // Overlapping patches are summed, so a task owns whole images.
        let images = (TASK_PIXELS / out_image.max(1)).max(1);
        let turned = Strided::rows(weight, out).transposed();
        dx.values_mut().par_chunks_mut(images * in_image).enumerate().for_each(|(index, dx)| {
            if !accumulate {
                dx.fill(0.0);
            }
            let dy_task = &dy.values()[index * images * out_image * out..];
            for (image, dx) in dx.chunks_exact_mut(in_image).enumerate() {
                for first in (0..out_image).step_by(TASK_PIXELS) {
                    let count = TASK_PIXELS.min(out_image - first);
                    let dy = &dy_task[(image * out_image + first) * out..][..count * out];
                    PATCHES.with_borrow_mut(|patches| {
                        patches.resize((count * patch).max(patches.len()), 0.0);
                        matmul(count, patch, out, Strided::rows(dy, out), turned, patches, false);
                        for (row, patch_values) in patches.chunks_exact(patch).take(count).enumerate() {
                            let pixel = first + row;
                            self.add_patch(patch_values, (pixel / out_cols, pixel % out_cols), (h, w), dx);
                        }
                    });
                }
            }
        });
    }

    /// Gradient with respect to the weights, written to `dw`.
    ///
    /// # Shapes
    /// `x`: `[n, h, w, in]`; `dy`: `[n, oh, ow, out]`; `dw`: as the weights.
    /// # Panics
    /// On other shapes: a bug of the caller.
    pub fn backward_weight(&self, x: &Nhwc, dy: &Nhwc, dw: &mut [f32]) {
        self.assert_shapes(x, dy, dw.len());
        if x.is_empty() || dy.is_empty() {
            return dw.fill(0.0);
        }
        let (patch, out) = (self.patch(), self.out_channels);
        let pixels = dy.pixels();
        let share = pixels.div_ceil(WEIGHT_PARTITIONS).max(1);
        let partials: Vec<Vec<f32>> = (0..WEIGHT_PARTITIONS)
            .into_par_iter()
            .filter(|part| part * share < pixels)
            .map(|part| {
                let mut partial = vec![0.0; patch * out];
                let end = ((part + 1) * share).min(pixels);
                for first in (part * share..end).step_by(TASK_PIXELS) {
                    let count = TASK_PIXELS.min(end - first);
                    let dy_task = &dy.values()[first * out..][..count * out];
                    self.with_patches(x, (dy.h, dy.w), first, count, |patches| {
                        let patches = Strided::rows(patches, patch).transposed();
                        matmul(patch, out, count, patches, Strided::rows(dy_task, out), &mut partial, true);
                    });
                }
                partial
            })
            .collect();
        dw.par_chunks_mut(1 << 14).enumerate().for_each(|(chunk, dw)| {
            dw.fill(0.0);
            for partial in &partials {
                for (sum, value) in dw.iter_mut().zip(&partial[chunk << 14..]) {
                    *sum += value;
                }
            }
        });
    }

    /// Gathers the patches of `count` output pixels from `first` on and hands them to `work`.
    fn with_patches(&self, x: &Nhwc, out_size: (usize, usize), first: usize, count: usize, work: impl FnOnce(&[f32])) {
        if self.is_pointwise() {
            return work(&x.values()[first * x.c..][..count * x.c]);
        }
        PATCHES.with_borrow_mut(|patches| {
            let patch = self.patch();
            patches.resize((count * patch).max(patches.len()), 0.0);
            for (row, target) in patches.chunks_exact_mut(patch).take(count).enumerate() {
                self.gather_patch(x, out_size, first + row, target);
            }
            work(&patches[..count * patch]);
        });
    }

    /// Copies the patch below output pixel `pixel` (counted over the batch); outside the image it is zero.
    fn gather_patch(&self, x: &Nhwc, (oh, ow): (usize, usize), pixel: usize, target: &mut [f32]) {
        let (image, row, col) = (pixel / (oh * ow), pixel / ow % oh, pixel % ow);
        let run = self.kernel * x.c;
        let left = (col * self.stride) as isize - self.pad as isize;
        let (lo, hi) = clip_run(left, self.kernel, x.w);
        for (kernel_row, target) in target.chunks_exact_mut(run).enumerate() {
            let y = (row * self.stride + kernel_row) as isize - self.pad as isize;
            if y < 0 || y >= x.h as isize || lo >= hi {
                target.fill(0.0);
                continue;
            }
            let line = (image * x.h + y as usize) * x.w;
            let start = (line as isize + left + lo as isize) as usize * x.c;
            target[..lo * x.c].fill(0.0);
            target[lo * x.c..hi * x.c].copy_from_slice(&x.values()[start..][..(hi - lo) * x.c]);
            target[hi * x.c..].fill(0.0);
        }
    }

    /// Adds a patch gradient back to the pixels of one image it was gathered from.
    fn add_patch(&self, patch: &[f32], (row, col): (usize, usize), (h, w): (usize, usize), image: &mut [f32]) {
        let c = self.in_channels;
        let left = (col * self.stride) as isize - self.pad as isize;
        let (lo, hi) = clip_run(left, self.kernel, w);
        for (kernel_row, source) in patch.chunks_exact(self.kernel * c).enumerate() {
            let y = (row * self.stride + kernel_row) as isize - self.pad as isize;
            if y < 0 || y >= h as isize || lo >= hi {
                continue;
            }
            let start = ((y as usize * w) as isize + left + lo as isize) as usize * c;
            for (sum, value) in image[start..][..(hi - lo) * c].iter_mut().zip(&source[lo * c..hi * c]) {
                *sum += value;
            }
        }
    }

    /// `[k, k, in, out]` to `[k, k, out, in]` with both kernel axes reversed.
    fn turned_weight(&self, weight: &[f32]) -> Vec<f32> {
        let (taps, i, o) = (self.kernel * self.kernel, self.in_channels, self.out_channels);
        let mut turned = vec![0.0; weight.len()];
        turned.par_chunks_exact_mut(i * o).enumerate().for_each(|(tap, turned)| {
            let source = &weight[(taps - 1 - tap) * i * o..][..i * o];
            for (input, row) in source.chunks_exact(o).enumerate() {
                for (output, &value) in row.iter().enumerate() {
                    turned[output * i + input] = value;
                }
            }
        });
        turned
    }
}

/// A product over no value: zero, or what was there.
pub(crate) fn sum_of_nothing<E: Element>(map: &mut Map<E>, accumulate: bool) {
    if !accumulate {
        map.values_mut().fill(E::zeroed());
    }
}

/// Pixels per task: an even number of nearly equal tasks, none above [`TASK_PIXELS`].
fn task_pixels(pixels: usize) -> usize {
    let tasks = 2 * pixels.div_ceil(2 * TASK_PIXELS).max(1);
    pixels.div_ceil(tasks).max(1)
}

/// Part of a run of `length` columns starting at `left` that lies inside `0..width`, as offsets into the run.
fn clip_run(left: isize, length: usize, width: usize) -> (usize, usize) {
    let lo = (-left).max(0) as usize;
    let hi = (width as isize - left).clamp(0, length as isize) as usize;
    (lo.min(length), hi)
}
