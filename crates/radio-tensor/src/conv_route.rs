//! Which way a convolution takes: tiles on the map itself, or patches and `gemm`; bf16 directly or by way of f32.
//!
//! Every way sums the same products of the same rounded operands in f32. They differ in the order of addition, in bf16
//! evaluation (only the tiles apply batch norm before the sum is rounded), and on unusual values: bf16 dot products take
//! subnormal numbers as zero, and read half a word too far where a segment has an odd number of values (the kernel rows
//! of the stem). The half is multiplied by zero, so an infinity or a NaN there also spoils its left neighbour, the output
//! pixel whose kernel row ends just before it. No NaN is lost, and none comes from finite values.
//! The AMX tiles multiply a few weights that do not belong to a sum by zero: one that is infinite makes more NaN of its channel.
use std::any::Any;

use crate::batch_norm::{self, Affine, Moments, Shortcut};
use crate::conv2d::{Conv2d, sum_of_nothing};
use crate::element::Element;
use crate::kernel::Kernel;
use crate::nhwc::{Map, Nhwc};

#[cfg(target_arch = "x86_64")]
use crate::{
    indirect, indirect::Output, indirect_weight, packed_weights::PackedWeights, row_table::Grid,
    row_table::LONGEST_SEGMENT, tile::Tiles,
};

/// The way of one convolution in one precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// Tiles of this precision.
    #[cfg(target_arch = "x86_64")]
    Tiles(Tiles),
    /// bf16 widened to f32, the result rounded.
    Widened,
    /// f32 patches and `gemm`.
    Gemm,
}

/// Weights of one convolution, prepared for its forward pass with one kernel in one precision.
pub struct ConvWeights {
    conv: Conv2d,
    per_word: usize,
    values: Prepared,
}

enum Prepared {
    #[cfg(target_arch = "x86_64")]
    Packed(PackedWeights),
    Widened(Box<ConvWeights>),
    Plain(Vec<f32>),
}

impl Conv2d {
    fn route<E: Element>(&self, kernel: Kernel) -> Route {
        assert!(kernel.is_available(), "{kernel:?} on a processor without it: a bug of the caller");
        #[cfg(target_arch = "x86_64")]
        {
            let fits = |values: usize| (1..=LONGEST_SEGMENT).contains(&values);
            let short = fits(self.segment_values()) && fits(self.out_channels);
            // Words of two channels; only a whole kernel row may end in half a word (the image's three channels).
            let even = self.out_channels.is_multiple_of(2) && (self.in_channels.is_multiple_of(2) || self.reads_rows());
            if let Some(tiles) = Tiles::of::<E>(kernel).filter(|_| short && (even || E::PER_WORD == 1)) {
                return Route::Tiles(tiles);
            }
        }
        if E::PER_WORD == 2 { Route::Widened } else { Route::Gemm }
    }

    /// Weights for [`Conv2d::forward_on`], rounded to `E`.
    ///
    /// # Panics
    /// If the processor lacks the kernel, or on another number of weights.
    pub fn prepare<E: Element>(&self, kernel: Kernel, weight: &[f32]) -> ConvWeights {
        assert_eq!(weight.len(), self.weights(), "weights of {self:?}");
        let values = match self.route::<E>(kernel) {
            #[cfg(target_arch = "x86_64")]
            Route::Tiles(tiles) => Prepared::Packed(PackedWeights::forward::<E>(tiles, self, weight)),
            Route::Widened => Prepared::Widened(Box::new(self.prepare::<f32>(kernel, &rounded::<E>(weight)))),
            Route::Gemm => Prepared::Plain(weight.to_vec()),
        };
        ConvWeights { conv: *self, per_word: E::PER_WORD, values }
    }

    /// `y = x * weights`.
    ///
    /// # Shapes
    /// As [`Conv2d::forward`]; `weights` from [`Conv2d::prepare`] of this convolution and precision.
    /// # Panics
    /// On other shapes, or weights of another convolution or precision: a bug of the caller.
    pub fn forward_on<E: Element>(&self, x: &Map<E>, weights: &ConvWeights, y: &mut Map<E>) {
        self.assert_fit(x, weights, y);
        if x.is_empty() || y.is_empty() {
            return sum_of_nothing(y, false);
        }
        match &weights.values {
            #[cfg(target_arch = "x86_64")]
            Prepared::Packed(packed) => {
                indirect::product(x, &Grid::forward(self, y.h, y.w), packed, y, Output::Stored);
            }
            Prepared::Widened(weights) => {
                let mut wide = Nhwc::zeros(y.n, y.h, y.w, y.c);
                self.forward_on(&x.converted(), weights, &mut wide);
                y.copy_rounded(&wide);
            }
            Prepared::Plain(weights) => {
                if let (Some(x), Some(y)) = (as_f32(x), as_f32_mut(y)) {
                    self.forward(x, weights, y, false);
                }
            }
        }
    }

    /// [`Conv2d::forward_on`], and the moments of the channels of `y`.
    ///
    /// # Panics
    /// As [`Conv2d::forward_on`].
    pub fn forward_with_moments_on<E: Element>(&self, x: &Map<E>, weights: &ConvWeights, y: &mut Map<E>) -> Moments {
        #[cfg(target_arch = "x86_64")]
        if let (Prepared::Packed(packed), false) = (&weights.values, x.is_empty() || y.is_empty()) {
            self.assert_fit(x, weights, y);
            return indirect::product_with_moments(x, &Grid::forward(self, y.h, y.w), packed, y);
        }
        self.forward_on(x, weights, y);
        batch_norm::moments(y)
    }

    /// The check of the forward passes.
    fn assert_fit<E: Element>(&self, x: &Map<E>, weights: &ConvWeights, y: &Map<E>) {
        assert_eq!(weights.per_word, E::PER_WORD, "weights of another precision");
        assert_eq!(weights.conv, *self, "weights of another convolution");
        self.assert_shapes(x, y, self.weights());
    }

    /// `y = relu(x * weights * scale + shift + shortcut)`: convolution, batch norm in evaluation and ReLU, in one
    /// pass where the kernel can.
    ///
    /// # Shapes
    /// As [`Conv2d::forward_on`]; the shortcut is of the shape of `y`.
    /// # Panics
    /// As [`Conv2d::forward_on`].
    pub fn forward_relu_on<E: Element>(
        &self,
        x: &Map<E>,
        weights: &ConvWeights,
        line: &Affine,
        shortcut: Shortcut<E>,
        y: &mut Map<E>,
    ) {
        self.assert_fit(x, weights, y);
        let (other, own) = match shortcut {
            Shortcut::None => (None, None),
            Shortcut::Identity(other) => (Some(other), None),
            Shortcut::Normalised(other, own) => (Some(other), Some(own)),
        };
        for line in std::iter::once(line).chain(own) {
            assert_eq!((line.scale.len(), line.shift.len()), (y.c, y.c), "batch norm of {self:?}");
        }
        if let Some(other) = other {
            assert_eq!((other.n, other.h, other.w, other.c), (y.n, y.h, y.w, y.c), "shortcut of {self:?}");
        }
        #[cfg(target_arch = "x86_64")]
        if let (Prepared::Packed(packed), false) = (&weights.values, x.is_empty() || y.is_empty()) {
            let output = Output::Relu { line, shortcut: other.map(Map::values), own };
            return indirect::product(x, &Grid::forward(self, y.h, y.w), packed, y, output);
        }
        let mut sums = Map::zeros(y.n, y.h, y.w, y.c);
        self.forward_on(x, weights, &mut sums);
        batch_norm::apply_relu(&sums, line, shortcut, y);
    }

    /// [`Conv2d::backward_data`] with a chosen kernel and precision; the weights are rounded to `E`.
    ///
    /// # Panics
    /// If the processor lacks the kernel, or on other shapes: a bug of the caller.
    pub fn backward_data_on<E: Element>(
        &self,
        kernel: Kernel,
        dy: &Map<E>,
        weight: &[f32],
        dx: &mut Map<E>,
        accumulate: bool,
    ) {
        self.assert_shapes(dx, dy, weight.len());
        if dx.is_empty() || dy.is_empty() {
            return sum_of_nothing(dx, accumulate);
        }
        match self.route::<E>(kernel) {
            #[cfg(target_arch = "x86_64")]
            Route::Tiles(tiles) => {
                let (phases, taps) = indirect::phases(self, dx.h, dx.w);
                let packed = PackedWeights::backward::<E>(tiles, self, weight, &taps);
                match &phases[..] {
                    [only] if self.stride == 1 => {
                        let output = if accumulate { Output::Added } else { Output::Stored };
                        indirect::product(dy, only.grid(), &packed, dx, output);
                    }
                    _ => indirect::phased_product(dy, self.stride, &phases, &packed, dx, accumulate),
                }
            }
            Route::Widened => {
                let mut wide: Nhwc = dx.converted();
                self.backward_data_on(kernel, &dy.converted(), &rounded::<E>(weight), &mut wide, accumulate);
                dx.copy_rounded(&wide);
            }
            Route::Gemm => {
                if let (Some(dy), Some(dx)) = (as_f32(dy), as_f32_mut(dx)) {
                    self.backward_data(dy, weight, dx, accumulate);
                }
            }
        }
    }

    /// [`Conv2d::backward_weight`] with a chosen kernel and precision; the gradient is f32.
    ///
    /// # Panics
    /// If the processor lacks the kernel, or on other shapes: a bug of the caller.
    pub fn backward_weight_on<E: Element>(&self, kernel: Kernel, x: &Map<E>, dy: &Map<E>, dw: &mut [f32]) {
        self.assert_shapes(x, dy, dw.len());
        if x.is_empty() || dy.is_empty() {
            return dw.fill(0.0);
        }
        match self.route::<E>(kernel) {
            #[cfg(target_arch = "x86_64")]
            Route::Tiles(tiles) => indirect_weight::weight_gradient(tiles, self, x, dy, dw),
            Route::Widened => self.backward_weight_on::<f32>(kernel, &x.converted(), &dy.converted(), dw),
            Route::Gemm => {
                if let (Some(x), Some(dy)) = (as_f32(x), as_f32(dy)) {
                    self.backward_weight(x, dy, dw);
                }
            }
        }
    }
}

/// The map itself where `E` is f32.
fn as_f32<E: Element>(map: &Map<E>) -> Option<&Nhwc> {
    (map as &dyn Any).downcast_ref()
}

fn as_f32_mut<E: Element>(map: &mut Map<E>) -> Option<&mut Nhwc> {
    (map as &mut dyn Any).downcast_mut()
}

fn rounded<E: Element>(values: &[f32]) -> Vec<f32> {
    values.iter().map(|&v| E::narrow(v).widen()).collect()
}
