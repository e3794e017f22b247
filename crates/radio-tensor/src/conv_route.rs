//! Which way a convolution takes: tiles on the map itself, or patches and `gemm`; bf16 directly or by way of f32.
//!
//! Every way computes the same sums of the same rounded operands in f32; they differ in the order of addition.
use std::any::Any;

use crate::batch_norm::{self, Affine, Moments, Shortcut};
use crate::conv2d::Conv2d;
use crate::element::Element;
use crate::kernel::Kernel;
use crate::nhwc::{Map, Nhwc};

#[cfg(target_arch = "x86_64")]
use crate::{indirect, indirect::Output, indirect_weight, packed_weights::PackedWeights};

/// The way of one convolution in one precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// The tiles of this precision.
    #[cfg(target_arch = "x86_64")]
    Tiles,
    /// bf16 widened to f32, the result rounded.
    Widened,
    /// f32 patches and `gemm`.
    Gemm,
}

/// Weights of one convolution, prepared for its forward pass with one kernel in one precision.
pub struct ConvWeights {
    kernel: Kernel,
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
            let short = self.segment_values().max(self.out_channels) <= indirect::LONGEST_SEGMENT;
            if E::PER_WORD == 1 && kernel >= Kernel::Avx512 && short {
                return Route::Tiles;
            }
            // Words of two channels; only a whole kernel row may end in half a word (the image's three channels).
            let even = self.out_channels.is_multiple_of(2) && (self.in_channels.is_multiple_of(2) || self.reads_rows());
            if E::PER_WORD == 2 && kernel >= Kernel::Avx512Bf16 && short && even {
                return Route::Tiles;
            }
        }
        if E::PER_WORD == 2 { Route::Widened } else { Route::Gemm }
    }

    /// Weights for [`Conv2d::forward_on`], rounded to `E`.
    ///
    /// # Panics
    /// If the processor lacks the kernel.
    pub fn prepare<E: Element>(&self, kernel: Kernel, weight: &[f32]) -> ConvWeights {
        let values = match self.route::<E>(kernel) {
            #[cfg(target_arch = "x86_64")]
            Route::Tiles => Prepared::Packed(PackedWeights::forward::<E>(self, weight)),
            Route::Widened => Prepared::Widened(Box::new(self.prepare::<f32>(kernel, &rounded::<E>(weight)))),
            Route::Gemm => Prepared::Plain(weight.to_vec()),
        };
        ConvWeights { kernel, per_word: E::PER_WORD, values }
    }

    /// `y = x * weights`, and the moments of the channels of `y` if asked for.
    ///
    /// # Shapes
    /// As [`Conv2d::forward`]; `weights` from [`Conv2d::prepare`] of this convolution and precision.
    pub fn forward_on<E: Element>(
        &self,
        x: &Map<E>,
        weights: &ConvWeights,
        y: &mut Map<E>,
        with_moments: bool,
    ) -> Moments {
        assert_eq!(weights.per_word, E::PER_WORD, "weights of another precision");
        match &weights.values {
            #[cfg(target_arch = "x86_64")]
            Prepared::Packed(packed) => {
                assert_eq!(self.route::<E>(weights.kernel), Route::Tiles);
                let grid = indirect::Grid::forward(self, y.h, y.w);
                return indirect::product(x, &grid, packed, y, Output::Stored, with_moments);
            }
            Prepared::Widened(weights) => {
                let mut wide = Nhwc::zeros(y.n, y.h, y.w, y.c);
                self.forward_on(&x.converted(), weights, &mut wide, false);
                y.copy_rounded(&wide);
            }
            Prepared::Plain(weights) => {
                if let (Some(x), Some(y)) = (as_f32(x), as_f32_mut(y)) {
                    self.forward(x, weights, y, false);
                }
            }
        }
        if with_moments { batch_norm::moments(y) } else { Moments::default() }
    }

    /// `y = relu(x * weights * scale + shift + shortcut)`: convolution, batch norm in evaluation and ReLU, in one
    /// pass where the kernel can.
    ///
    /// # Shapes
    /// As [`Conv2d::forward_on`]; the shortcut is of the shape of `y`.
    pub fn forward_relu_on<E: Element>(
        &self,
        x: &Map<E>,
        weights: &ConvWeights,
        line: &Affine,
        shortcut: Shortcut<E>,
        y: &mut Map<E>,
    ) {
        #[cfg(target_arch = "x86_64")]
        if let Prepared::Packed(packed) = &weights.values {
            assert_eq!(weights.per_word, E::PER_WORD, "weights of another precision");
            assert_eq!(self.route::<E>(weights.kernel), Route::Tiles);
            let (shortcut, own) = match shortcut {
                Shortcut::None => (None, None),
                Shortcut::Identity(other) => (Some(other.values()), None),
                Shortcut::Normalised(other, own) => (Some(other.values()), Some(own)),
            };
            let grid = indirect::Grid::forward(self, y.h, y.w);
            indirect::product(x, &grid, packed, y, Output::Relu { line, shortcut, own }, false);
            return;
        }
        let mut sums = Map::zeros(y.n, y.h, y.w, y.c);
        self.forward_on(x, weights, &mut sums, false);
        batch_norm::apply_relu(&sums, line, shortcut, y);
    }

    /// [`Conv2d::backward_data`] with a chosen kernel and precision; the weights are rounded to `E`.
    ///
    /// # Panics
    /// If the processor lacks the kernel.
    pub fn backward_data_on<E: Element>(
        &self,
        kernel: Kernel,
        dy: &Map<E>,
        weight: &[f32],
        dx: &mut Map<E>,
        accumulate: bool,
    ) {
        match self.route::<E>(kernel) {
            #[cfg(target_arch = "x86_64")]
            Route::Tiles => {
                let (phases, taps) = indirect::phases(self, dx.h, dx.w);
                let packed = PackedWeights::backward::<E>(self, weight, &taps);
                match &phases[..] {
                    [only] if self.stride == 1 => {
                        let output = if accumulate { Output::Added } else { Output::Stored };
                        indirect::product(dy, only.grid(), &packed, dx, output, false);
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
    /// If the processor lacks the kernel.
    pub fn backward_weight_on<E: Element>(&self, kernel: Kernel, x: &Map<E>, dy: &Map<E>, dw: &mut [f32]) {
        match self.route::<E>(kernel) {
            #[cfg(target_arch = "x86_64")]
            Route::Tiles => indirect_weight::weight_gradient(self, x, dy, dw),
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
