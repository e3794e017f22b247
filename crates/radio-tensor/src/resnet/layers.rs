//! The layers of a trunk as places in its lists of parameters, statistics and prepared weights, and their order in each variant.
use rand_chacha::ChaCha8Rng;

use super::{BlockKind, ResNetConfig, Running};
use crate::conv2d::Conv2d;
use crate::parameter::Parameter;

/// A convolution: its shape, its weight's place among the parameters, and its own among the convolutions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolution {
    pub shape: Conv2d,
    pub weight: usize,
    pub place: usize,
}

/// A batch norm: places of scale and offset (the offset follows the scale), and of its running statistics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Norm {
    pub gamma: usize,
    pub beta: usize,
    pub running: usize,
}

/// A convolution and the batch norm behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConvNorm {
    pub conv: Convolution,
    pub norm: Norm,
}

/// Batch norm of the images, which has an offset and no scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct InputNorm {
    pub beta: usize,
    pub running: usize,
}

/// Convolutions each with batch norm (two 3×3, or 1×1, 3×3, 1×1), a shortcut, and a ReLU behind the sum.
pub(super) struct Block {
    pub layers: Vec<ConvNorm>,
    pub downsample: Option<ConvNorm>,
    /// Whether it is the first of stage 2, 3 or 4: its input is a tap of the pyramid.
    pub starts_stage: bool,
}

/// torchvision's order: batch norm behind every convolution.
pub(super) struct PostActivation {
    pub stem: ConvNorm,
    pub blocks: Vec<Block>,
}

/// Two 3×3 convolutions with batch norm and ReLU before each; nothing behind the sum.
pub(super) struct Unit {
    pub first: Norm,
    /// The first convolution and the batch norm before the second.
    pub conv1: ConvNorm,
    pub conv2: Convolution,
    /// 1×1 convolution of the first ReLU's output; without it the shortcut is the unit's input.
    pub shortcut: Option<Convolution>,
    /// Whether it is the first of stage 2, 3 or 4: its first ReLU is a tap of the pyramid.
    pub starts_stage: bool,
}

/// Batch norm and ReLU before every convolution, and once at the end (reference-facts D4 (a)).
pub(super) struct PreActivation {
    pub input: InputNorm,
    pub stem: ConvNorm,
    pub units: Vec<Unit>,
    pub last: Norm,
}

/// The layers of a trunk.
pub(super) enum Layers {
    Post(PostActivation),
    Pre(PreActivation),
}

/// Collects parameters in the order of the variant's own library.
pub(super) struct Builder<'a> {
    pub parameters: Vec<Parameter>,
    pub running: Vec<Running>,
    pub convolutions: Vec<Convolution>,
    he_uniform: bool,
    rng: &'a mut ChaCha8Rng,
}

impl<'a> Builder<'a> {
    pub fn new(config: ResNetConfig, rng: &'a mut ChaCha8Rng) -> Self {
        let he_uniform = config.depth.block() == BlockKind::PreActivation;
        Self { parameters: Vec::new(), running: Vec::new(), convolutions: Vec::new(), he_uniform, rng }
    }

    /// All layers of a trunk.
    pub fn layers(&mut self, config: ResNetConfig) -> Layers {
        match config.depth.block() {
            BlockKind::Basic | BlockKind::Bottleneck => Layers::Post(self.post_activation(config)),
            BlockKind::PreActivation => Layers::Pre(self.pre_activation(config)),
        }
    }

    fn post_activation(&mut self, config: ResNetConfig) -> PostActivation {
        let stem = self.conv_norm("conv1", "bn1", stem(config.width));
        let kind = config.depth.block();
        let mut blocks = Vec::new();
        let mut channels = config.width;
        for (stage, &count) in config.depth.blocks().iter().enumerate() {
            for index in 0..count {
                let width = config.width << stage;
                let out = width * kind.expansion();
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let name = format!("layer{}.{index}", stage + 1);
                // torchvision's bottleneck strides in its 3×3 convolution ("V1.5").
                let shapes = match kind {
                    BlockKind::Bottleneck => {
                        vec![conv(channels, width, 1, 1), conv(width, width, 3, stride), conv(width, out, 1, 1)]
                    }
                    _ => vec![conv(channels, out, 3, stride), conv(out, out, 3, 1)],
                };
                let layers = shapes
                    .into_iter()
                    .enumerate()
                    .map(|(i, shape)| {
                        self.conv_norm(&format!("{name}.conv{}", i + 1), &format!("{name}.bn{}", i + 1), shape)
                    })
                    .collect();
                let downsample = (stride != 1 || channels != out).then(|| {
                    let (own, norm) = (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
                    self.conv_norm(&own, &norm, conv(channels, out, 1, stride))
                });
                blocks.push(Block { layers, downsample, starts_stage: stage > 0 && index == 0 });
                channels = out;
            }
        }
        PostActivation { stem, blocks }
    }

    fn pre_activation(&mut self, config: ResNetConfig) -> PreActivation {
        let beta = self.parameters.len();
        self.parameters.push(Parameter::constant("bn_data.bias".into(), vec![3], 0.0));
        let input = InputNorm { beta, running: self.statistics("bn_data", 3) };
        let stem = self.conv_norm("conv0", "bn0", stem(config.width));
        let mut units = Vec::new();
        let mut channels = config.width;
        for (stage, &count) in config.depth.blocks().iter().enumerate() {
            for index in 0..count {
                let out = config.width << stage;
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let name = format!("stage{}_unit{}", stage + 1, index + 1);
                let first = self.norm(&format!("{name}_bn1"), channels);
                let shortcut =
                    (index == 0).then(|| self.convolution(&format!("{name}_sc"), conv(channels, out, 1, stride)));
                let conv1 =
                    self.conv_norm(&format!("{name}_conv1"), &format!("{name}_bn2"), conv(channels, out, 3, stride));
                let conv2 = self.convolution(&format!("{name}_conv2"), conv(out, out, 3, 1));
                units.push(Unit { first, conv1, conv2, shortcut, starts_stage: stage > 0 && index == 0 });
                channels = out;
            }
        }
        PreActivation { input, stem, units, last: self.norm("bn1", channels) }
    }

    fn conv_norm(&mut self, conv_name: &str, norm_name: &str, shape: Conv2d) -> ConvNorm {
        ConvNorm { conv: self.convolution(conv_name, shape), norm: self.norm(norm_name, shape.out_channels) }
    }

    fn convolution(&mut self, name: &str, shape: Conv2d) -> Convolution {
        let (name, sizes) =
            (format!("{name}.weight"), [shape.out_channels, shape.in_channels, shape.kernel, shape.kernel]);
        let layer = Convolution { shape, weight: self.parameters.len(), place: self.convolutions.len() };
        self.parameters.push(if self.he_uniform {
            Parameter::he_uniform(name, sizes, self.rng)
        } else {
            Parameter::kaiming_normal(name, sizes, self.rng)
        });
        self.convolutions.push(layer);
        layer
    }

    fn norm(&mut self, name: &str, channels: usize) -> Norm {
        let gamma = self.parameters.len();
        self.parameters.push(Parameter::constant(format!("{name}.weight"), vec![channels], 1.0));
        self.parameters.push(Parameter::constant(format!("{name}.bias"), vec![channels], 0.0));
        Norm { gamma, beta: gamma + 1, running: self.statistics(name, channels) }
    }

    fn statistics(&mut self, name: &str, channels: usize) -> usize {
        let (mean, variance) = (vec![0.0; channels], vec![1.0; channels]);
        self.running.push(Running { name: name.to_owned(), mean, variance });
        self.running.len() - 1
    }
}

/// The 7×7 convolution of the images, which are padded when they are loaded, so that a kernel row is one run of values.
fn stem(width: usize) -> Conv2d {
    Conv2d { in_channels: 3, out_channels: width, kernel: 7, stride: 2, pad: 0 }
}

fn conv(in_channels: usize, out_channels: usize, kernel: usize, stride: usize) -> Conv2d {
    Conv2d { in_channels, out_channels, kernel, stride, pad: kernel / 2 }
}
