//! The vision transformer (Dosovitskiy et al. 2021) as one unit with explicit forward and backward, beside the residual networks.
//!
//! It is our own because the transformer of candle's libraries (0.11.1) cannot be trained: its layer norm and its softmax over the last
//! axis have no backward and cut the graph without a word. Written on candle's other operations it learns, but every one of them
//! is single-threaded and kept for the backward. Here the products run on the convolution kernels of this crate, in f32 or bf16,
//! and what is cheap to make again (layer norms, attention shares, GELU) is made again.
//!
//! Layers, names and shapes are those of torchvision's `VisionTransformer`: class token, learnt positions, layer norm before
//! attention and before the two dense layers with GELU, no dropout. The features are the class token behind the last layer norm.
use std::sync::OnceLock;

use candle_core::Tensor;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::conv2d::ConvWeights;
use crate::element::Bf16;
use crate::error::{Result, TensorError};
use crate::kernel::{Kernel, kernel_in_use};
use crate::nhwc::Workspace;
use crate::parameter::Parameter;
use crate::resnet::{Gradients, InputScaling, Precision};

mod attention;
mod block;
mod dense;
mod embedding;
mod gelu;
mod layer_norm;
mod parameters;
mod pass;
mod positions;
#[cfg(test)]
mod tests;

pub(crate) use parameters::shapes;
use pass::Saved;

/// Largest width, hidden width and side.
const WIDEST: usize = 4096;
/// Most blocks.
const DEEPEST: usize = 256;
/// Most weights: a billion bytes of them twice over; ViT-L has 304 million.
const MOST_WEIGHTS: usize = 1 << 29;

/// Shape of the transformer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViTConfig {
    /// Rows and columns of the images that the learnt positions belong to, pixels: a multiple of `patch`. At other sizes the positions are
    /// interpolated.
    pub size: usize,
    /// Rows and columns of a patch, pixels.
    pub patch: usize,
    /// Width of a token, and number of features: a multiple of `heads`.
    pub width: usize,
    /// Blocks.
    pub blocks: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Width of the hidden layer of a block.
    pub hidden: usize,
}

impl ViTConfig {
    /// ViT-S (Touvron et al. 2021, DeiT-S): 384 features, 12 blocks, 6 heads; 22 million weights.
    pub fn small(size: usize, patch: usize) -> Self {
        Self { size, patch, width: 384, blocks: 12, heads: 6, hidden: 1536 }
    }

    /// A small one for laptops and tests: 96 features, 4 blocks, 3 heads; half a million weights.
    pub fn tiny(size: usize, patch: usize) -> Self {
        Self { size, patch, width: 96, blocks: 4, heads: 3, hidden: 384 }
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.width
    }

    /// Patches along a side of the images the positions belong to.
    fn side(&self) -> usize {
        self.size / self.patch.max(1)
    }

    /// The limits of the sizes and between them.
    ///
    /// # Errors
    /// If a size is 0 or too large, or two do not divide.
    pub fn check(&self) -> Result<()> {
        let Self { size, patch, width, blocks, heads, hidden } = *self;
        let divides = |part: usize, whole: usize| part >= 1 && whole.is_multiple_of(part);
        let sizes = [size, patch, width, heads, hidden].iter().all(|n| (1..=WIDEST).contains(n));
        let fits = sizes && (1..=DEEPEST).contains(&blocks) && divides(patch, size) && divides(heads, width);
        if fits && self.weights() <= MOST_WEIGHTS {
            return Ok(());
        }
        Err(TensorError::Shape {
            what: "vision transformer [size, patch, width, blocks, heads, hidden]".into(),
            expected: format!(
                "patch divides size, heads divides width, 1 to {WIDEST} each, 1 to {DEEPEST} blocks, {MOST_WEIGHTS} weights at most"
            ),
            found: vec![size, patch, width, blocks, heads, hidden],
        })
    }

    /// Number of weights, of sizes within the limits.
    fn weights(&self) -> usize {
        shapes(self).map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }
}

/// What a training forward left, in the precision it ran in.
enum AnySaved {
    F32(Saved<f32>),
    Bf16(Saved<Bf16>),
}

/// The transformer: parameters, and the state of a training step under way.
pub struct ViT {
    config: ViTConfig,
    parameters: Vec<Parameter>,
    input_scaling: Option<InputScaling>,
    precision: Precision,
    kernel: Kernel,
    workspace: Workspace,
    /// Weights of the dense layers as the kernel reads them; emptied whenever parameters may change.
    weights: OnceLock<Vec<ConvWeights>>,
    saved: Option<AnySaved>,
}

impl ViT {
    /// Random weights: Glorot-uniform, the patch projection uniform by fan-in, class token and positions with a standard deviation of 0.02;
    /// scales 1, offsets 0.
    ///
    /// torchvision starts the same layers a little differently: class token 0, tiny offsets of the hidden layers, and the output of
    /// the attention uniform within `1 / sqrt(width)`.
    ///
    /// # Errors
    /// If sizes do not fit each other ([`ViTConfig::check`]).
    pub fn new(config: ViTConfig, rng: &mut ChaCha8Rng) -> Result<Self> {
        config.check()?;
        Ok(Self {
            config,
            parameters: parameters::drawn(&config, rng),
            input_scaling: None,
            precision: Precision::F32,
            kernel: kernel_in_use(),
            workspace: Workspace::default(),
            weights: OnceLock::new(),
            saved: None,
        })
    }

    /// Shape of the transformer.
    pub fn config(&self) -> ViTConfig {
        self.config
    }

    /// All trainable tensors, in torchvision's order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// All trainable tensors, to be updated.
    pub fn parameters_mut(&mut self) -> &mut [Parameter] {
        self.weights = OnceLock::new();
        &mut self.parameters
    }

    /// What the images, with values in [0, 1], are scaled by before the first layer.
    pub fn input_scaling(&self) -> Option<InputScaling> {
        self.input_scaling
    }

    /// Sets the scaling of the images, which belongs to weights that came from elsewhere.
    ///
    /// # Errors
    /// If a number is not finite, or a divisor not above zero.
    pub fn set_input_scaling(&mut self, scaling: Option<InputScaling>) -> Result<()> {
        if let Some(scaling) = scaling.filter(|scaling| !scaling.is_valid()) {
            return Err(TensorError::InputScaling { found: scaling });
        }
        self.input_scaling = scaling;
        Ok(())
    }

    /// Precision of the operands of the dense layers and of what they give.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Changes the precision; a training step under way is dropped. Parameters, gradients, the sum of all blocks ("residual stream"), layer norms
    /// and attention stay f32.
    pub fn set_precision(&mut self, precision: Precision) {
        self.forget(precision != self.precision);
        self.precision = precision;
    }

    /// The kernel of the dense layers.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Replaces the process's kernel ([`kernel_in_use`]); a training step under way is dropped.
    ///
    /// # Errors
    /// If the processor lacks it.
    pub fn set_kernel(&mut self, kernel: Kernel) -> Result<()> {
        if !kernel.is_available() {
            return Err(TensorError::KernelUnavailable(kernel.name()));
        }
        self.forget(kernel != self.kernel);
        self.kernel = kernel;
        Ok(())
    }

    /// Drops the step under way, and what another precision or kernel has no use for.
    fn forget(&mut self, changed: bool) {
        self.saved = None;
        if changed {
            self.weights = OnceLock::new();
            self.workspace = Workspace::default();
        }
    }

    /// Training forward; state is kept for [`ViT::backward`].
    ///
    /// # Shapes
    /// `images`: `[n, 3, h, w]`, f32 on the CPU, `h` and `w` multiples of the patch; result: `[n, features]`.
    /// # Errors
    /// On another shape, or without an image.
    pub fn forward(&mut self, images: &Tensor) -> Result<Tensor> {
        match self.saved.take() {
            Some(AnySaved::F32(saved)) => saved.give(&self.workspace),
            Some(AnySaved::Bf16(saved)) => saved.give(&self.workspace),
            None => {}
        }
        let (saved, features) = match self.precision {
            Precision::F32 => {
                let (saved, features) = self.train_in::<f32>(images)?;
                (AnySaved::F32(saved), features)
            }
            Precision::Bf16 => {
                let (saved, features) = self.train_in::<Bf16>(images)?;
                (AnySaved::Bf16(saved), features)
            }
        };
        self.saved = Some(saved);
        Ok(features)
    }

    /// Gradients of all parameters, in their order and layout.
    ///
    /// # Shapes
    /// `gradient`: `[n, features]`, the loss's gradient with respect to the features of the last forward.
    /// # Errors
    /// Without a training forward before it, or on another shape.
    pub fn backward(&mut self, gradient: &Tensor) -> Result<Gradients> {
        match self.saved.take().ok_or(TensorError::NoSavedState("ViT"))? {
            AnySaved::F32(saved) => self.backward_in(saved, gradient),
            AnySaved::Bf16(saved) => self.backward_in(saved, gradient),
        }
    }

    /// Evaluation forward: nothing kept.
    ///
    /// # Errors
    /// As [`ViT::forward`].
    pub fn embed(&self, images: &Tensor) -> Result<Tensor> {
        match self.precision {
            Precision::F32 => self.embed_in::<f32>(images),
            Precision::Bf16 => self.embed_in::<Bf16>(images),
        }
    }
}
