//! The ResNet-18/34 trunk (torchvision's post-activation variant) as one unit with explicit forward and backward.
//!
//! candle meets the trunk at three places only: an image batch comes in, features go out, and the
//! features' gradient comes back. Between them everything is NHWC maps and the kernels of this crate. A training
//! forward keeps what its backward needs; the backward consumes it.
use candle_core::{DType, Device, Tensor};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::batch_norm::{self, Affine, BatchStatistics, Shortcut};
use crate::conv2d::Conv2d;
use crate::error::{DuringStep, Result, TensorError};
use crate::nhwc::{Nhwc, Workspace};
use crate::parameter::Parameter;
use crate::pool::{MaxPool, global_average, global_average_backward};

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
    /// Channels after the first convolution; 64 in the paper. The features have 8 times as many.
    pub width: usize,
}

impl ResNetConfig {
    /// Number of features, 512 at width 64.
    pub fn features(&self) -> usize {
        8 * self.width
    }
}

const STEM_POOL: MaxPool = MaxPool { kernel: 3, stride: 2, pad: 1 };

/// A convolution and the batch norm behind it; the numbers are places in the parameter list.
struct ConvNorm {
    conv: Conv2d,
    weight: usize,
    gamma: usize,
    beta: usize,
    running: usize,
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

/// A convolution's output before batch norm, with the statistics of its batch.
struct Normalised {
    map: Nhwc,
    statistics: BatchStatistics,
    affine: Affine,
}

struct SavedBlock {
    input: Nhwc,
    first: Normalised,
    middle: Nhwc,
    second: Normalised,
    downsample: Option<Normalised>,
}

/// What a training forward leaves for its backward.
struct Saved {
    images: Nhwc,
    stem: Normalised,
    winners: Vec<u8>,
    blocks: Vec<SavedBlock>,
    output: Nhwc,
}

/// The trunk: parameters, running statistics, and the state of a training step under way.
pub struct ResNet {
    config: ResNetConfig,
    stem: ConvNorm,
    blocks: Vec<Block>,
    parameters: Vec<Parameter>,
    running: Vec<Running>,
    workspace: Workspace,
    saved: Option<Saved>,
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
            Conv2d { in_channels: 3, out_channels: config.width, kernel: 7, stride: 2, pad: 3 },
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
        Self { config, stem, blocks, parameters, running, workspace: Workspace::default(), saved: None }
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

    /// Training forward: batch statistics, running statistics updated, state kept for [`ResNet::backward`].
    ///
    /// # Shapes
    /// `images`: `[n, 3, h, w]`, f32 on the CPU; result: `[n, 8 * width]`.
    /// # Errors
    /// On another shape, or an image so small that a map would have no pixel.
    pub fn forward(&mut self, images: &Tensor) -> Result<Tensor> {
        if let Some(saved) = self.saved.take() {
            self.recycle(saved);
        }
        let images = self.load_images(images)?;
        let mut updates = Vec::with_capacity(self.running.len());
        let stem = self.convolve(&self.stem, &images, &mut updates);
        let mut activated = self.workspace.take(stem.map.n, stem.map.h, stem.map.w, stem.map.c);
        batch_norm::apply_relu(&stem.map, &stem.affine, Shortcut::None, &mut activated);
        let mut winners = Vec::new();
        let mut x = self.pool(&activated, &mut winners);
        self.workspace.give(activated);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let first = self.convolve(&block.first, &x, &mut updates);
            let mut middle = self.workspace.take(first.map.n, first.map.h, first.map.w, first.map.c);
            batch_norm::apply_relu(&first.map, &first.affine, Shortcut::None, &mut middle);
            let second = self.convolve(&block.second, &middle, &mut updates);
            let downsample = block.downsample.as_ref().map(|layer| self.convolve(layer, &x, &mut updates));
            let mut y = self.workspace.take(second.map.n, second.map.h, second.map.w, second.map.c);
            let shortcut = match &downsample {
                Some(own) => Shortcut::Normalised(&own.map, &own.affine),
                None => Shortcut::Identity(&x),
            };
            batch_norm::apply_relu(&second.map, &second.affine, shortcut, &mut y);
            blocks.push(SavedBlock { input: std::mem::replace(&mut x, y), first, middle, second, downsample });
        }
        for (place, statistics) in updates {
            let running = &mut self.running[place];
            batch_norm::update_running(&mut running.mean, &mut running.variance, &statistics);
        }
        let features = self.features_tensor(global_average(&x), x.n)?;
        self.saved = Some(Saved { images, stem, winners, blocks, output: x });
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
        let dx = images.ok_or(TensorError::NoSavedState("ResNet"))?;
        let images = Tensor::from_vec(dx.to_nchw(), (dx.n, dx.c, dx.h, dx.w), &Device::Cpu).during("image gradient")?;
        Ok((gradients, images))
    }

    fn backward_to(&mut self, gradient: &Tensor, to_images: bool) -> Result<(Gradients, Option<Nhwc>)> {
        let Saved { images, mut stem, winners, blocks, output } =
            self.saved.take().ok_or(TensorError::NoSavedState("ResNet"))?;
        let gradient = flat_f32(gradient, &[output.n, output.c], "feature gradient")?;
        let mut gradients: Gradients = self.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
        let mut dy = self.workspace.take(output.n, output.h, output.w, output.c);
        global_average_backward(&gradient, &mut dy);
        let mut y = output;
        for (block, saved) in self.blocks.iter().zip(blocks).rev() {
            let SavedBlock { input, mut first, middle, mut second, downsample } = saved;
            batch_norm::relu_backward(&y, &mut dy);
            self.workspace.give(y);
            self.norm_backward(&block.second, &mut second, &dy, &mut gradients);
            let mut d_middle = self.workspace.take(middle.n, middle.h, middle.w, middle.c);
            self.conv_backward(&block.second, &middle, &second.map, Some((&mut d_middle, false)), &mut gradients);
            batch_norm::relu_backward(&middle, &mut d_middle);
            self.norm_backward(&block.first, &mut first, &d_middle, &mut gradients);
            // The input feeds both the first convolution and the shortcut: their gradients add.
            let mut dx = match (&block.downsample, downsample) {
                (Some(layer), Some(mut own)) => {
                    self.norm_backward(layer, &mut own, &dy, &mut gradients);
                    let mut dx = self.workspace.take(input.n, input.h, input.w, input.c);
                    self.conv_backward(layer, &input, &own.map, Some((&mut dx, false)), &mut gradients);
                    self.workspace.give(own.map);
                    self.workspace.give(dy);
                    dx
                }
                _ => dy,
            };
            self.conv_backward(&block.first, &input, &first.map, Some((&mut dx, true)), &mut gradients);
            for map in [first.map, middle, second.map, d_middle] {
                self.workspace.give(map);
            }
            dy = dx;
            y = input;
        }
        self.workspace.give(y);
        let mut d_activated = self.workspace.take(stem.map.n, stem.map.h, stem.map.w, stem.map.c);
        STEM_POOL.backward(&dy, &winners, &mut d_activated);
        self.workspace.give(dy);
        batch_norm::relu_backward_recomputed(&stem.map, &stem.affine, &mut d_activated);
        self.norm_backward(&self.stem, &mut stem, &d_activated, &mut gradients);
        self.workspace.give(d_activated);
        let mut d_images = to_images.then(|| Nhwc::zeros(images.n, images.h, images.w, images.c));
        self.conv_backward(&self.stem, &images, &stem.map, d_images.as_mut().map(|dx| (dx, false)), &mut gradients);
        self.workspace.give(stem.map);
        self.workspace.give(images);
        Ok((gradients, d_images))
    }

    /// Evaluation forward: running statistics, nothing kept.
    ///
    /// # Shapes
    /// `images`: `[n, 3, h, w]`; result: `[n, 8 * width]`.
    /// # Errors
    /// As [`ResNet::forward`].
    pub fn embed(&self, images: &Tensor) -> Result<Tensor> {
        let images = self.load_images(images)?;
        let stem = self.convolve_running(&self.stem, &images);
        self.workspace.give(images);
        let mut activated = self.workspace.take(stem.n, stem.h, stem.w, stem.c);
        batch_norm::apply_relu(&stem, &self.running_affine(&self.stem), Shortcut::None, &mut activated);
        let mut x = self.pool(&activated, &mut Vec::new());
        self.workspace.give(activated);
        self.workspace.give(stem);
        for block in &self.blocks {
            let first = self.convolve_running(&block.first, &x);
            let mut middle = self.workspace.take(first.n, first.h, first.w, first.c);
            batch_norm::apply_relu(&first, &self.running_affine(&block.first), Shortcut::None, &mut middle);
            let second = self.convolve_running(&block.second, &middle);
            let mut y = self.workspace.take(second.n, second.h, second.w, second.c);
            let own =
                block.downsample.as_ref().map(|layer| (self.convolve_running(layer, &x), self.running_affine(layer)));
            let shortcut = match &own {
                Some((map, affine)) => Shortcut::Normalised(map, affine),
                None => Shortcut::Identity(&x),
            };
            batch_norm::apply_relu(&second, &self.running_affine(&block.second), shortcut, &mut y);
            for map in [first, middle, second].into_iter().chain(own.map(|(map, _)| map)) {
                self.workspace.give(map);
            }
            self.workspace.give(std::mem::replace(&mut x, y));
        }
        let features = self.features_tensor(global_average(&x), x.n)?;
        self.workspace.give(x);
        Ok(features)
    }

    fn features_tensor(&self, features: Vec<f32>, n: usize) -> Result<Tensor> {
        Tensor::from_vec(features, (n, self.config.features()), &Device::Cpu).during("features to candle")
    }

    fn load_images(&self, images: &Tensor) -> Result<Nhwc> {
        let dims = images.dims();
        let &[n, 3, h, w] = dims else {
            return Err(TensorError::Shape {
                what: "ResNet images".into(),
                expected: "[n, 3, h, w]".into(),
                found: dims.to_vec(),
            });
        };
        if n == 0 || h == 0 || w == 0 {
            return Err(TensorError::Shape {
                what: "ResNet images".into(),
                expected: "no empty axis".into(),
                found: dims.to_vec(),
            });
        }
        let mut map = self.workspace.take(n, h, w, 3);
        map.copy_from_nchw(&flat_f32(images, dims, "ResNet images")?);
        Ok(map)
    }

    /// Convolution in training mode, with the statistics of this batch.
    fn convolve(&self, layer: &ConvNorm, x: &Nhwc, updates: &mut Vec<(usize, BatchStatistics)>) -> Normalised {
        let map = self.convolve_running(layer, x);
        let statistics = batch_norm::batch_statistics(&map);
        let affine =
            Affine::of_batch(&statistics, &self.parameters[layer.gamma].values, &self.parameters[layer.beta].values);
        updates.push((layer.running, statistics.clone()));
        Normalised { map, statistics, affine }
    }

    fn convolve_running(&self, layer: &ConvNorm, x: &Nhwc) -> Nhwc {
        let (h, w) = layer.conv.output_size(x.h, x.w);
        let mut y = self.workspace.take(x.n, h, w, layer.conv.out_channels);
        layer.conv.forward(x, &self.parameters[layer.weight].values, &mut y, false);
        y
    }

    fn running_affine(&self, layer: &ConvNorm) -> Affine {
        let running = &self.running[layer.running];
        Affine::of_running(
            &running.mean,
            &running.variance,
            &self.parameters[layer.gamma].values,
            &self.parameters[layer.beta].values,
        )
    }

    fn pool(&self, activated: &Nhwc, winners: &mut Vec<u8>) -> Nhwc {
        let (h, w) = STEM_POOL.output_size(activated.h, activated.w);
        let mut pooled = self.workspace.take(activated.n, h, w, activated.c);
        STEM_POOL.forward(activated, &mut pooled, winners);
        pooled
    }

    /// Batch norm's backward; the saved map turns into its own gradient.
    fn norm_backward(&self, layer: &ConvNorm, saved: &mut Normalised, dy: &Nhwc, gradients: &mut Gradients) {
        let (mut dgamma, mut dbeta) =
            (std::mem::take(&mut gradients[layer.gamma]), std::mem::take(&mut gradients[layer.beta]));
        let gamma = &self.parameters[layer.gamma].values;
        batch_norm::backward(&mut saved.map, &saved.statistics, gamma, dy, &mut dgamma, &mut dbeta);
        gradients[layer.gamma] = dgamma;
        gradients[layer.beta] = dbeta;
    }

    /// Convolution's backward: weights always, input where asked for (`true`: added to what is there).
    fn conv_backward(
        &self,
        layer: &ConvNorm,
        x: &Nhwc,
        dz: &Nhwc,
        dx: Option<(&mut Nhwc, bool)>,
        gradients: &mut Gradients,
    ) {
        layer.conv.backward_weight(x, dz, &mut gradients[layer.weight]);
        if let Some((dx, accumulate)) = dx {
            layer.conv.backward_data(dz, &self.parameters[layer.weight].values, dx, accumulate);
        }
    }

    fn recycle(&self, saved: Saved) {
        let Saved { images, stem, blocks, output, .. } = saved;
        for map in [images, stem.map, output] {
            self.workspace.give(map);
        }
        for block in blocks {
            for map in [block.input, block.first.map, block.middle, block.second.map]
                .into_iter()
                .chain(block.downsample.map(|d| d.map))
            {
                self.workspace.give(map);
            }
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
        ConvNorm { conv, weight: place, gamma: place + 1, beta: place + 2, running: self.running.len() - 1 }
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

/// A candle tensor's values, checked for shape.
fn flat_f32(tensor: &Tensor, shape: &[usize], what: &'static str) -> Result<Vec<f32>> {
    if tensor.dims() != shape {
        return Err(TensorError::Shape {
            what: what.into(),
            expected: format!("{shape:?}"),
            found: tensor.dims().to_vec(),
        });
    }
    tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all()).and_then(|t| t.to_vec1()).during(what)
}
