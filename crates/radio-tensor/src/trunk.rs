//! The encoder's trunk, whichever network it is: one interface for training loops, checkpoints and embedding.
use candle_core::Tensor;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TensorError};
use crate::parameter::Parameter;
use crate::resnet::{Depth, Gradients, InputScaling, Precision, Pyramid, ResNet, ResNetConfig, Running};
use crate::vit::{ViT, ViTConfig};

/// Widest residual network that is made on the word of a file.
const WIDEST: usize = 4096;

/// Which network, and its sizes.
///
/// In TOML a residual network is `depth` and `width`, as ever; a vision transformer says `kind = "vit"` and its own sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub enum Backbone {
    /// A residual network.
    ResNet(ResNetConfig),
    /// A vision transformer.
    ViT(ViTConfig),
}

/// How a [`Backbone`] is written: the keys of both kinds, of which each uses its own.
#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    depth: Option<Depth>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patch: Option<usize>,
    width: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blocks: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heads: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hidden: Option<usize>,
}

/// The value of `kind`.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    ResNet,
    ViT,
}

impl From<Backbone> for Table {
    fn from(backbone: Backbone) -> Self {
        match backbone {
            Backbone::ResNet(ResNetConfig { depth, width }) => Self { depth: Some(depth), width, ..Self::default() },
            Backbone::ViT(ViTConfig { size, patch, width, blocks, heads, hidden }) => Self {
                kind: Some(Kind::ViT),
                depth: None,
                size: Some(size),
                patch: Some(patch),
                width,
                blocks: Some(blocks),
                heads: Some(heads),
                hidden: Some(hidden),
            },
        }
    }
}

impl TryFrom<Table> for Backbone {
    type Error = String;

    fn try_from(table: Table) -> std::result::Result<Self, String> {
        let Table { kind, depth, size, patch, width, blocks, heads, hidden } = table;
        let of_vit = [("size", size), ("patch", patch), ("blocks", blocks), ("heads", heads), ("hidden", hidden)];
        if kind == Some(Kind::ViT) {
            if depth.is_some() {
                return Err("`depth` belongs to a residual network, not to kind `vit`".into());
            }
            let [size, patch, blocks, heads, hidden] =
                of_vit.map(|(name, value)| value.ok_or_else(|| format!("kind `vit` needs `{name}`")));
            return Ok(Self::ViT(ViTConfig {
                size: size?,
                patch: patch?,
                width,
                blocks: blocks?,
                heads: heads?,
                hidden: hidden?,
            }));
        }
        if let Some((name, _)) = of_vit.iter().find(|(_, value)| value.is_some()) {
            return Err(format!("`{name}` belongs to kind `vit`, which is not set"));
        }
        let depth = depth.ok_or("missing field `depth`")?;
        Ok(Self::ResNet(ResNetConfig { depth, width }))
    }
}

impl From<ResNetConfig> for Backbone {
    fn from(config: ResNetConfig) -> Self {
        Self::ResNet(config)
    }
}

impl From<ViTConfig> for Backbone {
    fn from(config: ViTConfig) -> Self {
        Self::ViT(config)
    }
}

impl Backbone {
    /// Number of features.
    pub fn features(&self) -> usize {
        match self {
            Self::ResNet(config) => config.features(),
            Self::ViT(config) => config.features(),
        }
    }

    /// The network's name: a residual network's depth, as `resnet18`, or `vit`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ResNet(config) => config.depth.name(),
            Self::ViT(_) => "vit",
        }
    }

    /// Channels behind the first convolution, or width of a token.
    pub fn width(&self) -> usize {
        match self {
            Self::ResNet(config) => config.width,
            Self::ViT(config) => config.width,
        }
    }

    /// Whether images of this side can go in: a transformer wants whole patches.
    pub fn takes_side(&self, side: usize) -> bool {
        match self {
            Self::ResNet(_) => side >= 1,
            Self::ViT(config) => side >= 1 && side.is_multiple_of(config.patch.max(1)),
        }
    }

    /// The limits of the sizes and between them.
    ///
    /// # Errors
    /// If one is out of range, or two do not fit.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::ResNet(config) if (1..=WIDEST).contains(&config.width) => Ok(()),
            Self::ResNet(config) => Err(TensorError::Shape {
                what: "backbone width".into(),
                expected: format!("1 to {WIDEST}"),
                found: vec![config.width],
            }),
            Self::ViT(config) => config.check(),
        }
    }
}

impl std::fmt::Display for Backbone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of width {}", self.name(), self.width())?;
        match self {
            Self::ResNet(_) => Ok(()),
            Self::ViT(ViTConfig { size, patch, blocks, heads, .. }) => {
                write!(f, ", {blocks} blocks, {heads} heads, {patch}-pixel patches of {size}-pixel images")
            }
        }
    }
}

/// A network of either kind, with the state of a training step under way. What its methods do is told at the networks' own.
pub enum Trunk {
    /// A residual network.
    ResNet(Box<ResNet>),
    /// A vision transformer.
    ViT(Box<ViT>),
}

impl From<ResNet> for Trunk {
    fn from(trunk: ResNet) -> Self {
        Self::ResNet(Box::new(trunk))
    }
}

impl From<ViT> for Trunk {
    fn from(trunk: ViT) -> Self {
        Self::ViT(Box::new(trunk))
    }
}

impl Trunk {
    /// A network at its random start.
    ///
    /// # Errors
    /// If sizes are out of range or do not fit ([`Backbone::check`]).
    pub fn new(backbone: Backbone, rng: &mut ChaCha8Rng) -> Result<Self> {
        backbone.check()?;
        Ok(match backbone {
            Backbone::ResNet(config) => ResNet::new(config, rng).into(),
            Backbone::ViT(config) => ViT::new(config, rng)?.into(),
        })
    }

    /// Which network, and its sizes.
    pub fn config(&self) -> Backbone {
        match self {
            Self::ResNet(trunk) => Backbone::ResNet(trunk.config()),
            Self::ViT(trunk) => Backbone::ViT(trunk.config()),
        }
    }

    /// All trainable tensors.
    pub fn parameters(&self) -> &[Parameter] {
        match self {
            Self::ResNet(trunk) => trunk.parameters(),
            Self::ViT(trunk) => trunk.parameters(),
        }
    }

    /// All trainable tensors, to be updated.
    pub fn parameters_mut(&mut self) -> &mut [Parameter] {
        match self {
            Self::ResNet(trunk) => trunk.parameters_mut(),
            Self::ViT(trunk) => trunk.parameters_mut(),
        }
    }

    /// Running statistics of every batch norm; a transformer has none.
    pub fn running(&self) -> &[Running] {
        match self {
            Self::ResNet(trunk) => trunk.running(),
            Self::ViT(_) => &[],
        }
    }

    /// Running statistics, to be loaded.
    pub fn running_mut(&mut self) -> &mut [Running] {
        match self {
            Self::ResNet(trunk) => trunk.running_mut(),
            Self::ViT(_) => &mut [],
        }
    }

    /// What the images, with values in [0, 1], are scaled by before the first layer.
    pub fn input_scaling(&self) -> Option<InputScaling> {
        match self {
            Self::ResNet(trunk) => trunk.input_scaling(),
            Self::ViT(trunk) => trunk.input_scaling(),
        }
    }

    /// Sets the scaling of the images.
    ///
    /// # Errors
    /// As [`ResNet::set_input_scaling`].
    pub fn set_input_scaling(&mut self, scaling: Option<InputScaling>) -> Result<()> {
        match self {
            Self::ResNet(trunk) => trunk.set_input_scaling(scaling),
            Self::ViT(trunk) => trunk.set_input_scaling(scaling),
        }
    }

    /// Precision of the products.
    pub fn precision(&self) -> Precision {
        match self {
            Self::ResNet(trunk) => trunk.precision(),
            Self::ViT(trunk) => trunk.precision(),
        }
    }

    /// As [`ResNet::set_stored_statistics`]; a transformer has no such statistics.
    pub fn set_stored_statistics(&mut self, stored: bool) {
        if let Self::ResNet(trunk) = self {
            trunk.set_stored_statistics(stored);
        }
    }

    /// Changes the precision; a training step under way is dropped.
    pub fn set_precision(&mut self, precision: Precision) {
        match self {
            Self::ResNet(trunk) => trunk.set_precision(precision),
            Self::ViT(trunk) => trunk.set_precision(precision),
        }
    }

    /// Training forward, `[n, 3, h, w]` to `[n, features]`; state is kept for [`Trunk::backward`].
    ///
    /// # Errors
    /// As [`ResNet::forward`] and [`ViT::forward`].
    pub fn forward(&mut self, images: &Tensor) -> Result<Tensor> {
        match self {
            Self::ResNet(trunk) => trunk.forward(images),
            Self::ViT(trunk) => trunk.forward(images),
        }
    }

    /// Gradients of all parameters for that of the last training forward's features.
    ///
    /// # Errors
    /// Without a training forward before it, or on another shape.
    pub fn backward(&mut self, gradient: &Tensor) -> Result<Gradients> {
        match self {
            Self::ResNet(trunk) => trunk.backward(gradient),
            Self::ViT(trunk) => trunk.backward(gradient),
        }
    }

    /// Evaluation forward, `[n, 3, h, w]` to `[n, features]`: nothing kept.
    ///
    /// # Errors
    /// As [`Trunk::forward`].
    pub fn embed(&self, images: &Tensor) -> Result<Tensor> {
        match self {
            Self::ResNet(trunk) => trunk.embed(images),
            Self::ViT(trunk) => trunk.embed(images),
        }
    }

    /// Takes batch-norm statistics anew ([`ResNet::recompute_running`]). A transformer has none: it asks for no batch, and returns 0.
    ///
    /// # Errors
    /// As [`ResNet::recompute_running`].
    pub fn recompute_running<E: From<TensorError>>(
        &mut self,
        batches: impl IntoIterator<Item = std::result::Result<Tensor, E>>,
    ) -> std::result::Result<usize, E> {
        match self {
            Self::ResNet(trunk) => trunk.recompute_running(batches),
            Self::ViT(_) => Ok(0),
        }
    }

    /// Four feature maps in evaluation mode ([`ResNet::pyramid`]).
    ///
    /// # Errors
    /// As [`ResNet::pyramid`]; a transformer has none.
    pub fn pyramid(&self, images: &Tensor) -> Result<Pyramid> {
        self.residual("feature maps")?.pyramid(images)
    }

    /// The residual network, for what only such a network can do.
    ///
    /// # Errors
    /// If it is a transformer.
    pub fn residual(&self, what: &'static str) -> Result<&ResNet> {
        match self {
            Self::ResNet(trunk) => Ok(trunk),
            Self::ViT(_) => Err(TensorError::ResidualOnly { what }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> std::result::Result<Backbone, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    /// A residual network is written as before there was another kind, and read with and without `kind`.
    #[test]
    fn both_kinds_are_written_and_read() {
        let resnet = Backbone::ResNet(ResNetConfig { depth: Depth::ResNet18, width: 64 });
        let text = r#"{"depth":"resnet18","width":64}"#;
        assert_eq!((serde_json::to_string(&resnet).unwrap().as_str(), read(text)), (text, Ok(resnet)));
        assert_eq!(read(r#"{"kind":"resnet","depth":"resnet18","width":64}"#), Ok(resnet));
        let vit = Backbone::ViT(ViTConfig::small(96, 8));
        let text = r#"{"kind":"vit","size":96,"patch":8,"width":384,"blocks":12,"heads":6,"hidden":1536}"#;
        assert_eq!((serde_json::to_string(&vit).unwrap().as_str(), read(text)), (text, Ok(vit)));
        assert_eq!(resnet.to_string(), "resnet18 of width 64");
        assert_eq!(vit.to_string(), "vit of width 384, 12 blocks, 6 heads, 8-pixel patches of 96-pixel images");
        assert!(vit.takes_side(64) && !vit.takes_side(100) && resnet.takes_side(100));
    }

    #[test]
    fn mixtures_are_refused_by_name() {
        for (json, word) in [
            (r#"{"width":64}"#, "depth"),
            (r#"{"depth":"resnet18"}"#, "width"),
            (r#"{"depth":"resnet18","width":64,"patch":8}"#, "patch"),
            (r#"{"depth":"resnet18","width":64,"stride":8}"#, "stride"),
            (r#"{"depth":"resnet19","width":64}"#, "resnet19"),
            (r#"{"kind":"cnn","width":64}"#, "cnn"),
            (r#"{"kind":"vit","size":96,"patch":8,"width":384,"blocks":12,"heads":6}"#, "hidden"),
            (r#"{"kind":"vit","depth":"resnet18","width":64}"#, "depth"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(word), "{json}: {error}");
        }
        let wide = Backbone::ResNet(ResNetConfig { depth: Depth::ResNet18, width: usize::MAX });
        assert!(wide.check().is_err());
    }
}
