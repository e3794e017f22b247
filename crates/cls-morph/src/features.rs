//! Features of images from a frozen trunk: averaged over turns, at several scales, with batch norm that knows the images.
use std::error::Error;
use std::ops::ControlFlow;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use ndarray::{Array2, Array4, Axis, concatenate, s};
use radio_augment::{Augmenter, FrameSource, Recipe, ViewLoader, epoch_order, middle_square, quarter_turns};
use radio_tensor::DuringStep;
use radio_tensor::trunk::{Backbone, Trunk};
use serde::{Deserialize, Serialize};

use crate::error::{ClassError, Result};

/// How an image is shown to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turns {
    /// As it lies on the sky.
    One,
    /// In all four quarter turns, whose results are averaged.
    Four,
    /// In the four quarter turns of the image and of its mirror image, averaged.
    Dihedral,
}

impl Turns {
    /// The turns, in quarters; from 4 on those of the mirror image.
    pub fn each(self) -> impl Iterator<Item = u32> {
        0..match self {
            Self::One => 1,
            Self::Four => 4,
            Self::Dihedral => 8,
        }
    }
}

/// What of a trunk is taken as features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layers {
    /// The mean over the last map: what the trunk was trained to give.
    #[default]
    Last,
    /// Mean, then maximum, over the map of each of the four residual stages, side by side: `2 * (1 + 2 + 4 + 8)` times the
    /// channels of the first stage. Early stages see few pixels and know little of the loss of the pre-training.
    EveryStage,
}

impl Layers {
    /// Numbers an image; a transformer has no residual stages, and its last map alone can be asked for.
    pub fn features(self, network: &Backbone) -> usize {
        match (self, network) {
            (Self::EveryStage, Backbone::ResNet(network)) => {
                (0..4).map(|stage| 2 * network.stage_channels(stage)).sum()
            }
            _ => network.features(),
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A piece of every image at one resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The middle square of this side, in pixels of the image; without it the whole image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Side of the network's input. Equal to `crop`, the image keeps its own resolution: nothing shrinks.
    pub size: usize,
}

impl Scale {
    /// The middle `side` pixels as they are.
    pub fn native(side: usize) -> Self {
        Self { crop: Some(side), size: side }
    }
}

/// The middle of the images of another source.
pub struct MiddleOf {
    /// Where the images come from.
    pub source: Arc<dyn FrameSource>,
    /// Side of the square; images that are smaller along an axis are whole along it.
    pub side: usize,
}

impl FrameSource for MiddleOf {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn address(&self, i: usize) -> u64 {
        self.source.address(i)
    }

    fn pixels(&self, i: usize) -> std::result::Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        Ok(middle_square(self.source.pixels(i)?.view(), self.side).to_owned())
    }
}

/// Numbers of an extraction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extraction {
    /// One block of features for each, side by side.
    pub scales: Vec<Scale>,
    /// Turns averaged over.
    pub turns: Turns,
    /// What of the trunk is taken.
    #[serde(default, skip_serializing_if = "Layers::is_default")]
    pub layers: Layers,
    /// Whether batch-norm statistics are first taken anew from these images, at each scale.
    pub recompute_batch_norm: bool,
    /// Images at once. With `recompute_batch_norm` the statistics depend on it a little.
    pub batch_size: usize,
}

/// Features of every image, `[len, scales * features]`, in the source's order.
///
/// `recipe` pre-processes; its size gives way to each scale's. The trunk's own statistics are put back at the end. `progress`
/// is told the number of images done, of `len * scales`.
///
/// # Errors
/// If an image cannot be read or pre-processed, `progress` breaks, or a setting is out of range.
pub fn extract(
    trunk: &mut Trunk,
    source: &Arc<dyn FrameSource>,
    recipe: &Recipe,
    extraction: &Extraction,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Array2<f32>>> {
    if extraction.batch_size == 0 || extraction.scales.is_empty() {
        let what = if extraction.scales.is_empty() { "scales" } else { "batch_size" };
        return Err(ClassError::TooFew { what: what.into(), needed: 1, found: 0 });
    }
    let kept = trunk.running().to_vec();
    let mut blocks = Vec::with_capacity(extraction.scales.len());
    let mut outcome = Ok(());
    for (place, scale) in extraction.scales.iter().enumerate() {
        let before = place * source.len();
        let found = extract_scale(trunk, source, recipe, extraction, *scale, |done| progress(before + done));
        trunk.running_mut().clone_from_slice(&kept);
        match found {
            Ok(Some(block)) => blocks.push(block),
            Ok(None) => return Ok(None),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    outcome?;
    let views: Vec<_> = blocks.iter().map(|block| block.view()).collect();
    let lengths = |_| ClassError::Length { what: "features", expected: source.len(), found: 0 };
    Ok(Some(concatenate(Axis(1), &views).map_err(lengths)?))
}

fn extract_scale(
    trunk: &mut Trunk,
    source: &Arc<dyn FrameSource>,
    recipe: &Recipe,
    extraction: &Extraction,
    scale: Scale,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Array2<f32>>> {
    let images: Arc<dyn FrameSource> = match scale.crop {
        Some(side) => Arc::new(MiddleOf { source: source.clone(), side }),
        None => source.clone(),
    };
    let recipe = Recipe { size: scale.size, ..recipe.clone() };
    let loader = ViewLoader::new(images, recipe, Augmenter { steps: Vec::new() }, 0);
    if extraction.recompute_batch_norm {
        recompute_batch_norm(trunk, &loader, extraction.batch_size)?;
    }
    let frames: Vec<usize> = (0..source.len()).collect();
    let mut rows = Array2::zeros((frames.len(), extraction.layers.features(&trunk.config())));
    let mut done = 0;
    for batch in frames.chunks(extraction.batch_size) {
        let found = embed_turned(trunk, &loader.channels_batch(batch)?, extraction.turns, extraction.layers)?;
        rows.slice_mut(s![done..done + batch.len(), ..]).assign(&found);
        done += batch.len();
        if progress(done).is_break() {
            return Ok(None);
        }
    }
    Ok(Some(rows))
}

/// Takes the trunk's batch-norm statistics anew from the images of a loader, in a fixed random order, so that a batch holds
/// images of every kind ([`Trunk::recompute_running`]).
///
/// # Errors
/// If an image cannot be read or pre-processed.
pub fn recompute_batch_norm(trunk: &mut Trunk, loader: &ViewLoader, batch_size: usize) -> Result<()> {
    let order = epoch_order(0, 0, loader.source().len(), Default::default());
    trunk
        .recompute_running(batches_of(&order, batch_size).map(|batch| images_tensor(loader.channels_batch(batch)?)))?;
    Ok(())
}

/// Batches of about `batch_size`, none of fewer than half of it unless it is the only one: a batch of one image has no spread.
fn batches_of(order: &[usize], batch_size: usize) -> impl Iterator<Item = &[usize]> {
    let batches = ((order.len() as f64 / batch_size.max(1) as f64).round() as usize).max(1);
    order.chunks(order.len().div_ceil(batches).max(1))
}

/// Features of prepared images, averaged over turns: `[n, features]`.
///
/// # Shapes
/// `images`: `[n, 3, s, s]` in [0, 1].
/// # Errors
/// On another shape.
pub fn embed_turned(trunk: &Trunk, images: &Array4<f32>, turns: Turns, layers: Layers) -> Result<Array2<f32>> {
    let mut sum = Array2::<f32>::zeros((images.dim().0, layers.features(&trunk.config())));
    for turn in turns.each() {
        let images = images_tensor(turned(images, turn)?)?;
        sum += &match layers {
            Layers::Last => features_array(&trunk.embed(&images)?)?,
            Layers::EveryStage => pooled_stages(trunk, &images)?,
        };
    }
    Ok(sum / turns.each().count() as f32)
}

/// Mean and maximum over the map of each stage, side by side: `[n, features]`.
fn pooled_stages(trunk: &Trunk, images: &Tensor) -> Result<Array2<f32>> {
    let mut pooled = Vec::new();
    for map in trunk.pyramid(images)? {
        let (n, channels, height, width) = map.dims4().during("shape of a stage")?;
        let values: Vec<f32> = map.flatten_all().and_then(|map| map.to_vec1()).during("a stage from candle")?;
        let pixels = (height * width).max(1);
        let of = |row: usize, channel: usize| &values[(row * channels + channel) * pixels..][..pixels];
        let mean =
            |(row, channel)| (of(row, channel).iter().map(|&v| f64::from(v)).sum::<f64>() / pixels as f64) as f32;
        let most = |(row, channel)| of(row, channel).iter().copied().fold(f32::NEG_INFINITY, f32::max);
        pooled.push(Array2::from_shape_fn((n, channels), mean));
        pooled.push(Array2::from_shape_fn((n, channels), most));
    }
    let views: Vec<_> = pooled.iter().map(|block| block.view()).collect();
    let lengths = |_| ClassError::Length { what: "features", expected: views.len(), found: 0 };
    concatenate(Axis(1), &views).map_err(lengths)
}

/// Every image of a batch turned clockwise by so many quarters; from 4 on its left and right change places first.
pub(crate) fn turned(images: &Array4<f32>, quarters: u32) -> Result<Array4<f32>> {
    if quarters == 0 {
        return Ok(images.clone());
    }
    let mirrored = if quarters < 4 { images.view() } else { images.slice(s![.., .., .., ..;-1]) };
    let turned: Vec<_> = mirrored.outer_iter().map(|image| quarter_turns(image, quarters % 4)).collect();
    let views: Vec<_> = turned.iter().map(|image| image.view()).collect();
    let lengths = |_| ClassError::Length { what: "images", expected: images.dim().0, found: 0 };
    ndarray::stack(Axis(0), &views).map_err(lengths)
}

/// A batch as candle's tensor.
pub(crate) fn images_tensor(images: Array4<f32>) -> Result<Tensor> {
    let shape = images.dim();
    let (values, _) = images.as_standard_layout().into_owned().into_raw_vec_and_offset();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu).during("images to candle")?)
}

/// Features `[n, features]` out of candle.
pub(crate) fn features_array(features: &Tensor) -> Result<Array2<f32>> {
    let (n, width) = features.dims2().during("shape of features")?;
    let values: Vec<f32> = features.flatten_all().and_then(|f| f.to_vec1()).during("features from candle")?;
    Ok(Array2::from_shape_fn((n, width), |(row, column)| values[row * width + column]))
}
