//! The residual trunk as one unit with explicit forward and backward: torchvision's ResNet-18/34/50 and the
//! pre-activation ResNet-18 of the paper's released encoders.
//!
//! candle meets the trunk at three places only: an image batch comes in, features go out, and the
//! features' gradient comes back. Between them everything is NHWC maps and the kernels of this crate. A training
//! forward keeps what its backward needs; the backward consumes it. For detectors the same passes end at four feature
//! maps instead ([`ResNet::pyramid`]).
use std::sync::OnceLock;

use candle_core::Tensor;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::batch_norm;
use crate::conv2d::ConvWeights;
use crate::element::Bf16;
use crate::error::{Result, TensorError};
use crate::kernel::{Kernel, kernel_in_use};
use crate::nhwc::Workspace;
use crate::parameter::Parameter;

mod input_scaling;
mod layers;
mod norm_statistics;
mod pass;
mod post_activation;
mod pre_activation;
mod pyramid;

pub use input_scaling::InputScaling;
use layers::{Builder, Convolution, Layers};
use pass::Saved;
pub use pyramid::Pyramid;

/// Which residual network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Blocks 2, 2, 2, 2.
    ResNet18,
    /// Blocks 3, 4, 6, 3.
    ResNet34,
    /// Bottlenecks 3, 4, 6, 3, with the stride in the 3×3 convolution ("V1.5").
    ResNet50,
    /// Units 2, 2, 2, 2 with batch norm and ReLU before each convolution, and a batch norm of the images: the network of
    /// image-classifiers, and so of the released encoders (reference-facts D4 (a)).
    PreActResNet18,
}

/// The residual block of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Two 3×3 convolutions, ReLU behind the sum.
    Basic,
    /// 1×1, 3×3, 1×1 convolutions, four times the channels behind the last, ReLU behind the sum.
    Bottleneck,
    /// Two 3×3 convolutions with batch norm and ReLU before each, nothing behind the sum.
    PreActivation,
}

impl BlockKind {
    /// Output channels of a block for one of its 3×3 convolution.
    pub fn expansion(self) -> usize {
        if self == Self::Bottleneck { 4 } else { 1 }
    }
}

impl Depth {
    /// Every network.
    pub const ALL: [Self; 4] = [Self::ResNet18, Self::ResNet34, Self::ResNet50, Self::PreActResNet18];

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
            Self::PreActResNet18 => "preactresnet18",
        }
    }

    /// Its kind of block.
    pub fn block(self) -> BlockKind {
        match self {
            Self::ResNet18 | Self::ResNet34 => BlockKind::Basic,
            Self::ResNet50 => BlockKind::Bottleneck,
            Self::PreActResNet18 => BlockKind::PreActivation,
        }
    }

    /// Blocks of each stage.
    pub fn blocks(self) -> [usize; 4] {
        match self {
            Self::ResNet18 | Self::PreActResNet18 => [2, 2, 2, 2],
            Self::ResNet34 | Self::ResNet50 => [3, 4, 6, 3],
        }
    }

    /// Constants of its batch norms: those of the library its weights come from.
    pub fn norm(self) -> NormConstants {
        match self.block() {
            BlockKind::PreActivation => NormConstants { epsilon: 2e-5, momentum: 0.01 },
            _ => NormConstants { epsilon: batch_norm::EPSILON, momentum: batch_norm::MOMENTUM },
        }
    }
}

/// Constants of batch norm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormConstants {
    /// Added to the variance.
    pub epsilon: f64,
    /// Weight of the newest batch in the running statistics (Keras counts the other way round: 0.99 there is 0.01 here).
    pub momentum: f64,
}

/// Shape of the trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// Number of blocks.
    pub depth: Depth,
    /// Channels after the first convolution, at least 1; 64 in the paper. The features have 8 times as many, 32 times
    /// with bottlenecks.
    pub width: usize,
}

impl ResNetConfig {
    /// Number of features, 512 at width 64 (2,048 with bottlenecks).
    pub fn features(&self) -> usize {
        self.stage_channels(3)
    }

    /// Channels behind stage 0 to 3.
    pub fn stage_channels(&self, stage: usize) -> usize {
        (self.width << stage) * self.depth.block().expansion()
    }
}

/// Numbers the trunk computes with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32 maps and products.
    #[default]
    F32,
    /// bf16 maps and products, summed in f32; weights, their gradients and all statistics stay f32.
    Bf16,
}

impl Precision {
    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Running statistics of one batch norm.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// torchvision's name of the layer, as `layer1.0.bn1` (pre-activation: Keras', as `stage1_unit1_bn1`).
    pub name: String,
    /// Running mean of each channel.
    pub mean: Vec<f32>,
    /// Running (unbiased) variance of each channel.
    pub variance: Vec<f32>,
}

/// What a training forward left, in the precision it ran in.
enum AnySaved {
    F32(Saved<f32>),
    Bf16(Saved<Bf16>),
}

/// The trunk: parameters, running statistics, and the state of a training step under way.
pub struct ResNet {
    config: ResNetConfig,
    layers: Layers,
    convolutions: Vec<Convolution>,
    parameters: Vec<Parameter>,
    running: Vec<Running>,
    input_scaling: Option<InputScaling>,
    precision: Precision,
    kernel: Kernel,
    workspace: Workspace,
    /// Convolution weights as the kernel reads them; emptied whenever parameters may change.
    weights: OnceLock<Vec<ConvWeights>>,
    saved: Option<AnySaved>,
    /// Weight of the newest batch in the running statistics, in place of the network's.
    momentum: Option<f64>,
    /// Whether training normalises with the running statistics and leaves them as they are.
    stored_statistics: bool,
}

/// Gradients of all parameters, in the order and layout of [`ResNet::parameters`].
pub type Gradients = Vec<Vec<f32>>;

impl ResNet {
    /// A trunk as its library starts it: scales 1, offsets 0, convolutions He-normal by fan-out (torchvision) or He-uniform
    /// by fan-in (the pre-activation network).
    pub fn new(config: ResNetConfig, rng: &mut ChaCha8Rng) -> Self {
        let mut build = Builder::new(config, rng);
        let layers = build.layers(config);
        let Builder { parameters, running, convolutions, .. } = build;
        Self {
            config,
            layers,
            convolutions,
            parameters,
            running,
            input_scaling: None,
            precision: Precision::F32,
            kernel: kernel_in_use(),
            workspace: Workspace::default(),
            weights: OnceLock::new(),
            saved: None,
            momentum: None,
            stored_statistics: false,
        }
    }

    /// Shape of the trunk.
    pub fn config(&self) -> ResNetConfig {
        self.config
    }

    /// All trainable tensors, in the order of the library the network comes from.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// All trainable tensors, to be updated.
    pub fn parameters_mut(&mut self) -> &mut [Parameter] {
        self.weights = OnceLock::new();
        &mut self.parameters
    }

    /// Running statistics of every batch norm.
    pub fn running(&self) -> &[Running] {
        &self.running
    }

    /// Running statistics, to be loaded.
    pub fn running_mut(&mut self) -> &mut [Running] {
        &mut self.running
    }

    /// What the images, with values in [0, 1], are scaled by before the first layer; nothing for most trunks.
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

    /// Whether training normalises with the running statistics as constants, and leaves them as they are, in place of those of
    /// each batch (torchvision's `FrozenBatchNorm2d`, but scale and offset learn). For few images, whose statistics say little.
    pub fn set_stored_statistics(&mut self, stored: bool) {
        self.saved = None;
        self.stored_statistics = stored;
    }

    /// Precision of maps and convolution operands.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Changes the precision; a training step under way is dropped. Parameters, gradients and statistics stay f32.
    pub fn set_precision(&mut self, precision: Precision) {
        self.forget(precision != self.precision);
        self.precision = precision;
    }

    /// The kernel the trunk computes with.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Replaces the process's kernel ([`kernel_in_use`]) for this trunk; a training step under way is dropped.
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

    /// Training forward: batch statistics, running statistics updated, state kept for [`ResNet::backward`].
    ///
    /// # Shapes
    /// `images`: `[n, 3, h, w]`, f32 on the CPU; result: `[n, features]` ([`ResNetConfig::features`]).
    /// # Errors
    /// On another shape, without an image or a pixel, or of a trunk of width 0.
    pub fn forward(&mut self, images: &Tensor) -> Result<Tensor> {
        self.train(images)?;
        match &self.saved {
            Some(AnySaved::F32(saved)) => self.features_of(saved),
            Some(AnySaved::Bf16(saved)) => self.features_of(saved),
            None => Err(TensorError::NoSavedState("ResNet")),
        }
    }

    /// The training pass up to the last map.
    fn train(&mut self, images: &Tensor) -> Result<()> {
        match self.saved.take() {
            Some(AnySaved::F32(saved)) => self.recycle(saved),
            Some(AnySaved::Bf16(saved)) => self.recycle(saved),
            None => {}
        }
        self.saved = Some(match self.precision {
            Precision::F32 => AnySaved::F32(self.train_in::<f32>(images)?),
            Precision::Bf16 => AnySaved::Bf16(self.train_in::<Bf16>(images)?),
        });
        Ok(())
    }

    /// Backward of the last training forward.
    ///
    /// # Shapes
    /// `gradient`: `[n, features]`, the loss's gradient with respect to the features.
    /// # Errors
    /// Without a training forward before it, or on another shape.
    pub fn backward(&mut self, gradient: &Tensor) -> Result<Gradients> {
        Ok(self.backward_to(gradient, false)?.0)
    }

    /// As [`ResNet::backward`], and also the gradient with respect to the images, `[n, 3, h, w]`.
    ///
    /// # Errors
    /// As [`ResNet::backward`].
    pub fn backward_to_images(&mut self, gradient: &Tensor) -> Result<(Gradients, Tensor)> {
        let (gradients, images) = self.backward_to(gradient, true)?;
        Ok((gradients, images.ok_or(TensorError::NoSavedState("ResNet"))?))
    }

    fn backward_to(&mut self, gradient: &Tensor, to_images: bool) -> Result<(Gradients, Option<Tensor>)> {
        match self.saved.take().ok_or(TensorError::NoSavedState("ResNet"))? {
            AnySaved::F32(saved) => self.backward_in(saved, gradient, to_images),
            AnySaved::Bf16(saved) => self.backward_in(saved, gradient, to_images),
        }
    }

    /// Evaluation forward: running statistics, nothing kept.
    ///
    /// # Shapes
    /// `images`: `[n, 3, h, w]`; result: `[n, features]`.
    /// # Errors
    /// As [`ResNet::forward`].
    pub fn embed(&self, images: &Tensor) -> Result<Tensor> {
        match self.precision {
            Precision::F32 => self.embed_in::<f32>(images),
            Precision::Bf16 => self.embed_in::<Bf16>(images),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use rand::SeedableRng;

    use crate::error::DuringStep;

    fn images() -> Result<Tensor> {
        Tensor::ones((1, 3, 64, 64), DType::F32, &Device::Cpu).during("test images")
    }

    fn trunk(width: usize) -> ResNet {
        ResNet::new(ResNetConfig { depth: Depth::ResNet18, width }, &mut ChaCha8Rng::seed_from_u64(1))
    }

    /// Maps of one precision are of no use to the other: they would lie idle, gigabytes of them.
    #[test]
    fn a_change_of_precision_or_kernel_frees_the_workspace() -> Result<()> {
        let images = images()?;
        let mut trunk = trunk(2);
        trunk.embed(&images)?;
        trunk.set_precision(Precision::F32);
        assert!(!trunk.workspace.is_empty(), "the same precision: nothing changes");
        trunk.set_precision(Precision::Bf16);
        assert!(trunk.workspace.is_empty());
        trunk.set_kernel(Kernel::Portable)?;
        trunk.embed(&images)?;
        for kernel in Kernel::ALL.into_iter().filter(|k| k.is_available() && *k != Kernel::Portable) {
            assert!(!trunk.workspace.is_empty());
            trunk.set_kernel(kernel)?;
            assert!(trunk.workspace.is_empty());
            trunk.embed(&images)?;
        }
        Ok(())
    }

    #[test]
    fn a_trunk_of_width_zero_is_an_error() -> Result<()> {
        let images = images()?;
        assert!(matches!(trunk(0).embed(&images), Err(TensorError::Shape { .. })));
        assert!(matches!(trunk(0).forward(&images), Err(TensorError::Shape { .. })));
        Ok(())
    }
}
