//! Features of cutouts from a trained encoder.
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;
use ndarray::Array2;
use radio_augment::{Augmenter, FrameSource, Preparation, ViewLoader};
use radio_tensor::DuringStep;
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::trunk::Trunk;

use crate::config::SimClrConfig;
use crate::error::{Result, SimClrError};
use crate::pretrain::FromChannels;

/// An encoder with the pre-processing it was trained on.
pub struct Encoder {
    trunk: Trunk,
    recipe: Preparation,
}

impl Encoder {
    /// Pairs a trunk with its pre-processing, a recipe or a list of transforms.
    pub fn new(trunk: impl Into<Trunk>, recipe: impl Into<Preparation>) -> Self {
        Self { trunk: trunk.into(), recipe: recipe.into() }
    }

    /// Reads a checkpoint written by pre-training, or converted weights with a recipe (`recipe.toml`) inside.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or is neither.
    pub fn read(path: &Path) -> Result<Self> {
        let loaded = Checkpoint::read(path)?;
        let recipe = loaded.text("recipe.toml");
        if let (Err(_), Ok(recipe), Some(record)) = (loaded.text("simclr.toml"), recipe, loaded.encoder()?) {
            let recipe: Preparation = toml::from_str(recipe).map_err(|e| SimClrError::Config(e.to_string()))?;
            recipe.output_shape().map_err(|e| SimClrError::Config(e.to_string()))?;
            return Ok(Self { trunk: loaded.trunk(record.network)?, recipe });
        }
        let config = SimClrConfig::from_toml(loaded.text("simclr.toml")?)?;
        let mut trunk = loaded.trunk(config.backbone)?;
        trunk.set_precision(config.precision);
        Ok(Self { trunk, recipe: config.recipe })
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.trunk.config().features()
    }

    /// The pre-processing the encoder expects.
    pub fn recipe(&self) -> &Preparation {
        &self.recipe
    }

    /// Shows whole cutouts, shrunk to the input, to an encoder whose recipe is native ([`radio_augment::Recipe::native`]).
    #[must_use]
    pub fn of_whole_cutouts(mut self) -> Self {
        if let Preparation::Recipe(recipe) = &mut self.recipe
            && recipe.native
        {
            (recipe.native, recipe.margin) = (false, 0);
        }
        self
    }

    /// Features of every cutout of the source, without augmentation: `[len, features]`, in the source's order.
    ///
    /// `progress` is told the number of cutouts done and may break; the result then ends there.
    ///
    /// # Errors
    /// If a cutout cannot be read or pre-processed.
    pub fn embed(
        &self,
        source: Arc<dyn FrameSource>,
        batch_size: usize,
        progress: impl FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Array2<f32>> {
        embed_frames(&self.trunk, &self.recipe, source, batch_size, progress)
    }
}

/// [`Encoder::embed`] for a trunk that stays where it is.
pub(crate) fn embed_frames(
    trunk: &Trunk,
    recipe: &Preparation,
    source: Arc<dyn FrameSource>,
    batch_size: usize,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Array2<f32>> {
    let frames: Vec<usize> = (0..source.len()).collect();
    let loader = ViewLoader::new(source, recipe.clone(), Augmenter { steps: Vec::new() }, 0);
    let width = trunk.config().features();
    let mut values = Vec::with_capacity(frames.len() * width);
    let mut done = 0;
    for batch in frames.chunks(batch_size.max(1)) {
        let channels = Tensor::from_vec_of(loader.channels_batch(batch)?)?;
        let features = trunk.embed(&channels)?;
        values.extend(features.flatten_all().and_then(|f| f.to_vec1::<f32>()).during("features")?);
        done += batch.len();
        if progress(done).is_break() {
            break;
        }
    }
    Ok(Array2::from_shape_fn((done, width), |(row, col)| values[row * width + col]))
}
