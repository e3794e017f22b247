//! Names, shapes and places of the transformer's tensors: torchvision's, in its order.
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::ViTConfig;
use crate::parameter::Parameter;

/// Places of the tensors before the first block.
pub(super) const CLASS: usize = 0;
pub(super) const PATCHES: Dense = Dense { weight: 1, offset: 2 };
pub(super) const POSITIONS: usize = 3;

/// Tensors before the first block, and of a block; a layer norm stands behind the last.
const FIRST: usize = 4;
const OF_BLOCK: usize = 12;

/// Standard deviation of class token and positions.
const SPREAD: f64 = 0.02;

/// Places of a dense layer's weight and offset.
#[derive(Clone, Copy)]
pub(super) struct Dense {
    pub weight: usize,
    pub offset: usize,
}

/// Places of a layer norm's scale and offset.
#[derive(Clone, Copy)]
pub(super) struct Norm {
    pub scale: usize,
    pub offset: usize,
}

/// Places of the layers of a block.
#[derive(Clone, Copy)]
pub(super) struct BlockPlaces {
    pub norm1: Norm,
    pub qkv: Dense,
    pub out: Dense,
    pub norm2: Norm,
    pub widening: Dense,
    pub narrowing: Dense,
}

impl BlockPlaces {
    pub fn of(block: usize) -> Self {
        let first = FIRST + block * OF_BLOCK;
        let dense = |at: usize| Dense { weight: first + at, offset: first + at + 1 };
        let norm = |at: usize| Norm { scale: first + at, offset: first + at + 1 };
        Self { norm1: norm(0), qkv: dense(2), out: dense(4), norm2: norm(6), widening: dense(8), narrowing: dense(10) }
    }
}

/// Place of the last layer norm.
pub(super) fn last_norm(config: &ViTConfig) -> Norm {
    let scale = FIRST + config.blocks * OF_BLOCK;
    Norm { scale, offset: scale + 1 }
}

/// Every tensor's name and shape, in order; nothing is allocated for their values.
pub(crate) fn shapes(config: &ViTConfig) -> impl Iterator<Item = (String, Vec<usize>)> {
    let ViTConfig { patch, width: d, blocks, hidden, .. } = *config;
    let tokens = config.side() * config.side() + 1;
    let first = [
        ("class_token", vec![1, 1, d]),
        ("conv_proj.weight", vec![d, 3, patch, patch]),
        ("conv_proj.bias", vec![d]),
        ("encoder.pos_embedding", vec![1, tokens, d]),
    ];
    let block = move |block: usize| {
        [
            ("ln_1.weight", vec![d]),
            ("ln_1.bias", vec![d]),
            ("self_attention.in_proj_weight", vec![3 * d, d]),
            ("self_attention.in_proj_bias", vec![3 * d]),
            ("self_attention.out_proj.weight", vec![d, d]),
            ("self_attention.out_proj.bias", vec![d]),
            ("ln_2.weight", vec![d]),
            ("ln_2.bias", vec![d]),
            ("mlp.0.weight", vec![hidden, d]),
            ("mlp.0.bias", vec![hidden]),
            ("mlp.3.weight", vec![d, hidden]),
            ("mlp.3.bias", vec![d]),
        ]
        .map(|(name, shape)| (format!("encoder.layers.encoder_layer_{block}.{name}"), shape))
    };
    let last = [("encoder.ln.weight", vec![d]), ("encoder.ln.bias", vec![d])];
    let named = |(name, shape): (&str, Vec<usize>)| (name.to_owned(), shape);
    first.map(named).into_iter().chain((0..blocks).flat_map(block)).chain(last.map(named))
}

/// The tensors as a new transformer has them.
pub(super) fn drawn(config: &ViTConfig, rng: &mut ChaCha8Rng) -> Vec<Parameter> {
    shapes(config).map(|(name, shape)| draw(name, shape, rng)).collect()
}

fn draw(name: String, shape: Vec<usize>, rng: &mut ChaCha8Rng) -> Parameter {
    match shape[..] {
        [out, input, rows, cols] => {
            // Fan-in scaling as of a dense layer on the pixels of a patch.
            let mut drawn = Parameter::he_uniform(name, [out, input, rows, cols], rng);
            drawn.values.iter_mut().for_each(|v| *v *= std::f32::consts::FRAC_1_SQRT_2);
            drawn
        }
        [out, input] => Parameter::glorot_uniform(name, [out, input], rng),
        [values] => {
            let is_scale = name.ends_with(".weight");
            Parameter::constant(name, vec![values], if is_scale { 1.0 } else { 0.0 })
        }
        _ => {
            let limit = SPREAD * 3f64.sqrt();
            let count = shape.iter().product();
            let values = (0..count).map(|_| (rng.random_range(-1.0..1.0) * limit) as f32).collect();
            Parameter { name, shape, values }
        }
    }
}
