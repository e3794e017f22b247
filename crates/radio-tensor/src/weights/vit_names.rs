//! A vision transformer by the names and shapes of its tensors: torchvision's, which are ours, and timm's.
use std::collections::BTreeMap;

use crate::trunk::Backbone;
use crate::vit::ViTConfig;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A name that every transformer of torchvision has.
pub const LANDMARK: &str = "encoder.layers.encoder_layer_0.ln_1.weight";
/// A name that every transformer of timm has.
pub const TIMM_LANDMARK: &str = "blocks.0.norm1.weight";
/// Width of a head in every common transformer: no tensor tells it.
const HEAD_WIDTH: usize = 64;

/// timm's names as torchvision's; others stay as they are. Both libraries keep the same values in the same order.
pub fn from_timm(own: Tensors) -> Tensors {
    if !own.contains_key(TIMM_LANDMARK) {
        return own;
    }
    own.into_iter().map(|(name, tensor)| (renamed(&name).unwrap_or(name), tensor)).collect()
}

fn renamed(name: &str) -> Option<String> {
    let whole = match name {
        "cls_token" => "class_token",
        "pos_embed" => "encoder.pos_embedding",
        "patch_embed.proj.weight" => "conv_proj.weight",
        "patch_embed.proj.bias" => "conv_proj.bias",
        "norm.weight" => "encoder.ln.weight",
        "norm.bias" => "encoder.ln.bias",
        _ => "",
    };
    if !whole.is_empty() {
        return Some(whole.into());
    }
    let (block, part) = name.strip_prefix("blocks.")?.split_once('.')?;
    let part = match part {
        "attn.qkv.weight" => "self_attention.in_proj_weight",
        "attn.qkv.bias" => "self_attention.in_proj_bias",
        "attn.proj.weight" => "self_attention.out_proj.weight",
        "attn.proj.bias" => "self_attention.out_proj.bias",
        "norm1.weight" => "ln_1.weight",
        "norm1.bias" => "ln_1.bias",
        "norm2.weight" => "ln_2.weight",
        "norm2.bias" => "ln_2.bias",
        "mlp.fc1.weight" => "mlp.0.weight",
        "mlp.fc1.bias" => "mlp.0.bias",
        "mlp.fc2.weight" => "mlp.3.weight",
        "mlp.fc2.bias" => "mlp.3.bias",
        other => other, // of a transformer with more parts: it keeps the start of its own kind and is refused as unexpected
    };
    Some(format!("encoder.layers.encoder_layer_{block}.{part}"))
}

/// Its sizes from the shapes; the number of heads, which no shape tells, from the record, else as usual.
pub fn config(own: &Tensors, record: Option<Backbone>) -> Result<ViTConfig, String> {
    let shape = |name: &str| own.get(name).map(|(shape, _)| &shape[..]).ok_or_else(|| format!("no tensor {name}"));
    let &[width, 3, patch, columns] = shape("conv_proj.weight")? else {
        return Err(format!(
            "conv_proj.weight: expected [width, 3, patch, patch], found {:?}",
            shape("conv_proj.weight")?
        ));
    };
    if patch != columns {
        return Err(format!("conv_proj.weight: expected square patches, found {patch} x {columns}"));
    }
    let positions = shape("encoder.pos_embedding")?;
    let side = match *positions {
        [1, tokens, _] if tokens >= 2 => (tokens - 1).isqrt(),
        _ => 0,
    };
    if side == 0 || side.checked_mul(side).map(|grid| grid + 1) != positions.get(1).copied() {
        return Err(format!("encoder.pos_embedding: expected [1, 1 + n², {width}], found {positions:?}"));
    }
    let hidden = shape("encoder.layers.encoder_layer_0.mlp.0.weight")?.first().copied().unwrap_or(0);
    let is_block = |block: &usize| own.contains_key(&format!("encoder.layers.encoder_layer_{block}.ln_1.weight"));
    let blocks = (0..).take_while(is_block).count();
    let heads = match record {
        Some(Backbone::ViT(config)) if config.width == width => config.heads,
        _ if width.is_multiple_of(HEAD_WIDTH) => width / HEAD_WIDTH,
        _ => {
            return Err(format!(
                "width {width}: expected a multiple of {HEAD_WIDTH}, the usual width of a head, which no tensor tells"
            ));
        }
    };
    let config = ViTConfig { size: side.saturating_mul(patch), patch, width, blocks, heads, hidden };
    config.check().map_err(|e| e.to_string())?;
    Ok(config)
}
