//! The ResNet-18/34 trunk (torchvision's post-activation variant) as one unit with explicit forward and backward.
//!
//! candle meets the trunk at three places only: an image batch comes in, features go out, and the
//! features' gradient comes back. Between them everything is NHWC maps and the kernels of this crate. A training
//! forward keeps what its backward needs; the backward consumes it.
use std::sync::OnceLock;

use candle_core::Tensor;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::conv2d::{Conv2d, ConvWeights};
use crate::element::Bf16;
use crate::error::{Result, TensorError};
use crate::kernel::{Kernel, kernel_in_use};
use crate::nhwc::Workspace;
use crate::parameter::Parameter;

mod pass;
use pass::Saved;

/// Which residual network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Blocks 2, 2, 2, 2.
    ResNet18,
    /// Blocks 3, 4, 6, 3.
    ResNet34,
}

/// Shape of the trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// Number of blocks.
    pub depth: Depth,
    /// Channels after the first convolution, at least 1; 64 in the paper. The features have 8 times as many.
    pub width: usize,
}

impl ResNetConfig {
    /// Number of features, 512 at width 64.
    pub fn features(&self) -> usize {
        8 * self.width
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

/// A convolution and the batch norm behind it.
///
/// `weight`, `gamma` and `beta` are places in the parameter list; `layer` is the place among the convolutions, and so in
/// the lists of running statistics and of prepared weights.
struct ConvNorm {
    conv: Conv2d,
    weight: usize,
    gamma: usize,
    beta: usize,
    layer: usize,
}

/// Running statistics of one batch norm.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// torchvision's name of the layer, as `layer1.0.bn1`.
    pub name: String,
    /// Running mean of each channel.
    pub mean: Vec<f32>,
    /// Running (unbiased) variance of each channel.
    pub variance: Vec<f32>,
}

/// Two 3×3 convolutions and a shortcut.
struct Block {
    first: ConvNorm,
    second: ConvNorm,
    downsample: Option<ConvNorm>,
}

/// What a training forward left, in the precision it ran in.
enum AnySaved {
    F32(Saved<f32>),
    Bf16(Saved<Bf16>),
}

/// The trunk: parameters, running statistics, and the state of a training step under way.
pub struct ResNet {
    config: ResNetConfig,
    stem: ConvNorm,
    blocks: Vec<Block>,
    parameters: Vec<Parameter>,
    running: Vec<Running>,
    precision: Precision,
    kernel: Kernel,
    workspace: Workspace,
    /// Convolution weights as the kernel reads them; emptied whenever parameters may change.
    weights: OnceLock<Vec<ConvWeights>>,
    saved: Option<AnySaved>,
}

/// Gradients of all parameters, in the order and layout of [`ResNet::parameters`].
pub type Gradients = Vec<Vec<f32>>;

impl ResNet {
    /// A trunk with He-normal convolutions (fan-out), scales 1 and offsets 0, as torchvision starts.
    pub fn new(config: ResNetConfig, rng: &mut ChaCha8Rng) -> Self {
        let mut build = Builder { parameters: Vec::new(), running: Vec::new(), rng };
        let stem = build.conv_norm(
            "conv1",
            "bn1",
            // The images are padded when they are loaded, so that a kernel row is one run of values.
            Conv2d { in_channels: 3, out_channels: config.width, kernel: 7, stride: 2, pad: 0 },
        );
        let counts = match config.depth {
            Depth::ResNet18 => [2, 2, 2, 2],
            Depth::ResNet34 => [3, 4, 6, 3],
        };
        let mut blocks = Vec::new();
        let mut channels = config.width;
        for (stage, &count) in counts.iter().enumerate() {
            for index in 0..count {
                let out = config.width << stage;
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                blocks.push(build.block(&format!("layer{}.{index}", stage + 1), channels, out, stride));
                channels = out;
            }
        }
        let Builder { parameters, running, .. } = build;
        Self {
            config,
            stem,
            blocks,
            parameters,
            running,
            precision: Precision::F32,
            kernel: kernel_in_use(),
            workspace: Workspace::default(),
            weights: OnceLock::new(),
            saved: None,
        }
    }

    /// Shape of the trunk.
    pub fn config(&self) -> ResNetConfig {
        self.config
    }

    /// All trainable tensors, torchvision's order.
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
    /// `images`: `[n, 3, h, w]`, f32 on the CPU; result: `[n, 8 * width]`.
    /// # Errors
    /// On another shape, without an image or a pixel, or of a trunk of width 0.
    pub fn forward(&mut self, images: &Tensor) -> Result<Tensor> {
        match self.saved.take() {
            Some(AnySaved::F32(saved)) => self.recycle(saved),
            Some(AnySaved::Bf16(saved)) => self.recycle(saved),
            None => {}
        }
        let (features, saved) = match self.precision {
            Precision::F32 => {
                let (features, saved) = self.forward_in::<f32>(images)?;
                (features, AnySaved::F32(saved))
            }
            Precision::Bf16 => {
                let (features, saved) = self.forward_in::<Bf16>(images)?;
                (features, AnySaved::Bf16(saved))
            }
        };
        self.saved = Some(saved);
        Ok(features)
    }

    /// Backward of the last training forward.
    ///
    /// # Shapes
    /// `gradient`: `[n, 8 * width]`, the loss's gradient with respect to the features.
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
    /// `images`: `[n, 3, h, w]`; result: `[n, 8 * width]`.
    /// # Errors
    /// As [`ResNet::forward`].
    pub fn embed(&self, images: &Tensor) -> Result<Tensor> {
        match self.precision {
            Precision::F32 => self.embed_in::<f32>(images),
            Precision::Bf16 => self.embed_in::<Bf16>(images),
        }
    }
}

/// Collects parameters in torchvision's order.
struct Builder<'a> {
    parameters: Vec<Parameter>,
    running: Vec<Running>,
    rng: &'a mut ChaCha8Rng,
}

impl Builder<'_> {
    fn conv_norm(&mut self, conv_name: &str, norm_name: &str, conv: Conv2d) -> ConvNorm {
        let place = self.parameters.len();
        let (channels, side) = (conv.out_channels, conv.kernel);
        self.parameters.push(Parameter::kaiming_normal(
            format!("{conv_name}.weight"),
            [channels, conv.in_channels, side, side],
            self.rng,
        ));
        self.parameters.push(Parameter::constant(format!("{norm_name}.weight"), vec![channels], 1.0));
        self.parameters.push(Parameter::constant(format!("{norm_name}.bias"), vec![channels], 0.0));
        self.running.push(Running {
            name: norm_name.to_owned(),
            mean: vec![0.0; channels],
            variance: vec![1.0; channels],
        });
        ConvNorm { conv, weight: place, gamma: place + 1, beta: place + 2, layer: self.running.len() - 1 }
    }

    fn block(&mut self, name: &str, input: usize, out: usize, stride: usize) -> Block {
        let conv =
            |in_channels, kernel, stride| Conv2d { in_channels, out_channels: out, kernel, stride, pad: kernel / 2 };
        let first = self.conv_norm(&format!("{name}.conv1"), &format!("{name}.bn1"), conv(input, 3, stride));
        let second = self.conv_norm(&format!("{name}.conv2"), &format!("{name}.bn2"), conv(out, 3, 1));
        let downsample = (stride != 1 || input != out).then(|| {
            self.conv_norm(&format!("{name}.downsample.0"), &format!("{name}.downsample.1"), conv(input, 1, stride))
        });
        Block { first, second, downsample }
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
