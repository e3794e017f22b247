//! The simpler descriptions every learned feature has to beat, on the same frames.
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use frame_features::{
    ComplexityConfig, FLUX_STATISTICS, PixelConfig, RingConfig, flux_statistics, gzip_complexity, pixel_row,
    ring_features,
};
use map_umap::{Components, MapError, Pca, PcaConfig, Scaling};
use ndarray::{Array2, ArrayView2, Axis};
use radio_augment::{Augmenter, FrameSource, Preparation, Recipe, ViewLoader};
use radio_io::FeatureTable;
use radio_tensor::trunk::Trunk;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use ssl_simclr::{Encoder, SimClrConfig};

use crate::frames::SurveyFrames;
use crate::interrupt::{self, Interrupted};
use crate::progress::Stage;
use crate::stages::{RunFolder, feature_table};

/// Principal components of the pixels that are kept.
const COMPONENTS: usize = 32;
/// Batches an untrained encoder sees, so that its batch norms know the data (no weight is changed).
const WARM_BATCHES: usize = 64;
/// Frames worked on between two looks at the keyboard.
const CHUNK: usize = 256;

/// A way to describe a frame without training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// The encoder with its first, random weights; batch-norm statistics of the data.
    RandomWeights,
    /// Mean, maximum, spread and m = 1, 2, 4 moments in rings, on the three stretched channels at full resolution.
    Rings,
    /// Noise, flux, islands, percentiles of S/N.
    FluxStatistics,
    /// Principal components of the stretched pixels, 32 × 32.
    PixelPca,
    /// Size of the compressed picture: one number, larger is stranger (Segal et al. 2023).
    GzipComplexity,
    /// Pixels of the largest island: one number, larger is stranger. The strongest single number on the simulated sky
    /// (docs/simulation-gates.md).
    LargestIsland,
}

impl Baseline {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 6] = [
        Self::RandomWeights,
        Self::Rings,
        Self::FluxStatistics,
        Self::PixelPca,
        Self::GzipComplexity,
        Self::LargestIsland,
    ];

    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::RandomWeights => "random weights",
            Self::Rings => "ring features",
            Self::FluxStatistics => "flux statistics",
            Self::PixelPca => "pixel PCA",
            Self::GzipComplexity => "gzip complexity",
            Self::LargestIsland => "largest island",
        }
    }

    /// Whether its single number is the anomaly score itself.
    pub fn is_score(self) -> bool {
        matches!(self, Self::GzipComplexity | Self::LargestIsland)
    }

    /// Its features for every frame, from the file in the run folder or computed.
    ///
    /// # Errors
    /// If a frame cannot be described, the table cannot be written, or the user interrupts.
    pub fn features(
        self,
        frames: &Arc<SurveyFrames>,
        config: &SimClrConfig,
        folder: &RunFolder,
    ) -> Result<Array2<f32>> {
        let path = folder.baseline(self.name());
        let ids: Vec<String> = frames.ids()?.iter().map(ToString::to_string).collect();
        if path.exists() {
            let table = FeatureTable::read_parquet(&path)?;
            if table.ids != ids {
                bail!(
                    "{} holds other frames than the survey: remove the run folder, or choose another --out",
                    path.display()
                );
            }
            return Ok(table.features);
        }
        let mut stage = Stage::start(self.name());
        let total = frames.len() as u64;
        let features = match self {
            Self::RandomWeights => {
                let encoder = untrained(frames, config)?;
                feature_table(frames.clone(), &encoder, |done| stage.at(done as u64, total, "frames"))?.features
            }
            _ => self.of_frames(frames, config, |done| stage.at(done as u64, total, "frames"))?,
        };
        let blank = vec![f64::NAN; ids.len()];
        let table = FeatureTable {
            ids,
            ra_deg: blank.clone(),
            dec_deg: blank.clone(),
            rms_jy_beam: vec![f32::NAN; blank.len()],
            blank_fraction: vec![0.0; blank.len()],
            features,
            metadata: Default::default(),
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        }
        table.write_parquet(&path)?;
        stage.end(&format!("{} features", table.features.ncols()));
        Ok(table.features)
    }

    fn of_frames(
        self,
        frames: &SurveyFrames,
        config: &SimClrConfig,
        mut progress: impl FnMut(usize),
    ) -> Result<Array2<f32>> {
        // Full resolution: the hand-made features need not shrink a frame to the encoder's input.
        let recipe: Preparation = match &config.recipe {
            Preparation::Recipe(recipe) => Recipe { size: frames.set().frame_size(), ..recipe.clone() }.into(),
            // A list has its own idea of the size.
            list => list.clone(),
        };
        let rings = RingConfig::sixteen_rings();
        let complexity = ComplexityConfig::two_scales();
        let pixels = PixelConfig::thirty_two();
        let describe = |i: usize| -> Result<Vec<f32>> {
            let cutout = frames.cutout(i)?.pixels;
            let channels = || recipe.channels(cutout.view());
            let describe = || -> Result<Vec<f32>> {
                Ok(match self {
                    Self::Rings => ring_features(channels()?.view(), &rings)?,
                    Self::FluxStatistics | Self::LargestIsland => flux_statistics(cutout.view())?,
                    Self::PixelPca => pixel_row(channels()?.view(), &pixels)?,
                    _ => gzip_complexity(channels()?.view(), &complexity)?,
                })
            };
            describe().with_context(|| {
                format!("{} of frame {}", self.name(), frames.id(i).map_or(String::new(), |id| id.to_string()))
            })
        };
        let mut rows: Vec<Vec<f32>> = Vec::with_capacity(frames.len());
        while rows.len() < frames.len() {
            let end = (rows.len() + CHUNK).min(frames.len());
            let chunk: Result<Vec<Vec<f32>>> = (rows.len()..end).into_par_iter().map(describe).collect();
            rows.extend(chunk?);
            progress(rows.len());
            if interrupt::requested() {
                bail!(Interrupted);
            }
        }
        let width = rows.first().map_or(0, Vec::len);
        let table = Array2::from_shape_vec((rows.len(), width), rows.concat()).context("rows of one length")?;
        Ok(match self {
            Self::PixelPca => pixel_components(table.view(), COMPONENTS)?,
            Self::GzipComplexity => table.select(Axis(1), &[0]),
            Self::LargestIsland => {
                let column = FLUX_STATISTICS.iter().position(|name| *name == "largest_island_px");
                table.select(Axis(1), &[column.context("a column of the largest island")?])
            }
            _ => table,
        })
    }
}

/// The leading `at_most` principal components of rows of pixels, fewer where the rows or their pixels are fewer.
///
/// # Errors
/// As [`Pca::fit`]: below two rows, or where all rows are equal.
pub(crate) fn pixel_components(rows: ArrayView2<f32>, at_most: usize) -> Result<Array2<f32>, MapError> {
    let k = at_most.min(rows.ncols()).min(rows.nrows().saturating_sub(1));
    Pca::fit(rows, &PcaConfig { components: Components::Count(k), scaling: Scaling::None })?.transform(rows)
}

/// The encoder as it was before its first step, with batch-norm statistics of the data.
fn untrained(frames: &Arc<SurveyFrames>, config: &SimClrConfig) -> Result<Encoder> {
    let mut trunk = Trunk::new(config.backbone, &mut ChaCha8Rng::seed_from_u64(config.seed))?;
    trunk.set_precision(config.precision);
    let loader = ViewLoader::new(frames.clone(), config.recipe.clone(), Augmenter { steps: Vec::new() }, config.seed);
    let order = loader.epoch_order(0, frames.len());
    for batch in order.chunks(config.batch_size).cycle().take(WARM_BATCHES) {
        let channels = loader.channels_batch(batch)?;
        let shape = channels.dim();
        let (values, _) = channels.into_raw_vec_and_offset();
        trunk.forward(&Tensor::from_vec(values, shape, &Device::Cpu)?)?;
    }
    Ok(Encoder::new(trunk, config.recipe.clone()))
}
