//! Features of the labelled cutouts: of every encoder, of one with its first weights, and the simple ways.
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use cls_morph::features::{Extraction, Layers, Scale, Turns, extract};
use ndarray::Array2;
use radio_augment::FrameSource;
use radio_io::FeatureTable;
use radio_tensor::trunk::Trunk;
use radio_tensor::weights::{InputChoice, read_encoder};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::encoders::TrainedEncoder;
use super::labelled::Labelled;
use super::settings::FigureSettings;
use super::stage_store::{Place, StageStore};
use crate::classify::baselines::{RINGS, hand_made};
use crate::interrupt::{self, Interrupted};
use crate::progress::Stage;
use crate::run_config::sha256_of;

/// The file of a feature stage.
const FILE: &str = "features.parquet";
/// Cutouts that go through a network at once.
const BATCH: usize = 64;

/// A way to describe a cutout.
#[derive(Debug, Clone)]
pub enum Describer {
    /// A network with its first weights.
    RandomWeights {
        /// Their seed.
        seed: u64,
    },
    /// A network trained on everyday pictures.
    ImageNet {
        /// The file.
        file: PathBuf,
    },
    /// A pre-trained encoder.
    Pretrained(TrainedEncoder),
    /// Brightness in rings.
    Rings,
    /// Principal components of the pixels.
    Pixels,
}

impl Describer {
    /// Name in tables and figures.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RandomWeights { .. } => "random weights",
            Self::ImageNet { .. } => "ImageNet",
            Self::Pretrained(encoder) => encoder.kind.name(),
            Self::Rings => RINGS,
            Self::Pixels => "pixel PCA",
        }
    }

    /// What tells it from another one.
    fn identity(&self) -> Result<String> {
        Ok(match self {
            Self::RandomWeights { seed } => format!("random {seed}"),
            Self::ImageNet { file } => sha256_of(file)?,
            Self::Pretrained(encoder) => encoder.fingerprint.clone(),
            Self::Rings | Self::Pixels => self.name().to_owned(),
        })
    }
}

/// Features of all labelled cutouts.
pub struct Frozen {
    /// Name of what made them.
    pub name: &'static str,
    /// `[cutouts, features]`.
    pub rows: Array2<f32>,
    /// What they depend on.
    pub key: String,
}

/// Features from their file, or made now.
///
/// # Errors
/// If weights or cutouts cannot be read, or the user interrupts.
pub fn frozen(
    store: &StageStore,
    settings: &FigureSettings,
    labelled: &Labelled,
    describer: &Describer,
) -> Result<Frozen> {
    let name = describer.name();
    let place = place_of(store, settings, labelled, describer)?;
    let file = place.folder.join(FILE);
    if !file.exists() {
        match describer {
            Describer::Rings | Describer::Pixels => simple(store, settings, labelled)?,
            _ => {
                let mut trunk = trunk_of(describer, settings)?;
                trunk.set_precision(settings.precision);
                let rows = of_network(&mut trunk, settings, labelled, &extraction(settings, describer), name)?;
                table(labelled, rows)?.write_parquet(&file)?;
            }
        }
    }
    let rows = FeatureTable::read_parquet(&file)?.features;
    anyhow::ensure!(rows.nrows() == labelled.len(), "{}: other cutouts; remove that folder", file.display());
    Ok(Frozen { name, rows, key: place.key })
}

/// How a network describes cutouts.
fn extraction(settings: &FigureSettings, describer: &Describer) -> Extraction {
    // First weights have no statistics: theirs are always taken from the cutouts.
    let first = matches!(describer, Describer::RandomWeights { .. });
    Extraction {
        scales: vec![Scale { crop: None, size: settings.side }],
        layers: Layers::Last,
        turns: Turns::Four,
        recompute_batch_norm: settings.recompute_batch_norm || first,
        batch_size: BATCH,
    }
}

fn place_of(
    store: &StageStore,
    settings: &FigureSettings,
    labelled: &Labelled,
    describer: &Describer,
) -> Result<Place> {
    let name = format!("features-{}", describer.name().replace(' ', "-"));
    let what = (describer.identity()?, &labelled.key, settings.recipe());
    match describer {
        Describer::Rings | Describer::Pixels => store.place(&name, &(what, settings.draw_seed)),
        _ => store.place(&name, &(what, extraction(settings, describer), settings.network, settings.precision)),
    }
}

fn trunk_of(describer: &Describer, settings: &FigureSettings) -> Result<Trunk> {
    Ok(match describer {
        Describer::ImageNet { file } => read_encoder(file, InputChoice::Recorded)?.trunk,
        Describer::Pretrained(encoder) => read_encoder(&encoder.checkpoint, InputChoice::Recorded)?.trunk,
        Describer::RandomWeights { seed } => {
            Trunk::new(settings.network.into(), &mut ChaCha8Rng::seed_from_u64(*seed))?
        }
        Describer::Rings | Describer::Pixels => anyhow::bail!("{}: no network", describer.name()),
    })
}

fn of_network(
    trunk: &mut Trunk,
    settings: &FigureSettings,
    labelled: &Labelled,
    extraction: &Extraction,
    name: &str,
) -> Result<Array2<f32>> {
    let mut stage = Stage::start("features");
    let source: Arc<dyn FrameSource> = labelled.part(&(0..labelled.len()).collect::<Vec<_>>());
    let rows = extract(trunk, &source, &settings.recipe(), extraction, |done| {
        stage.at(done as u64, labelled.len() as u64, name);
        interrupt::flow()
    })?;
    stage.end(name);
    Ok(rows.ok_or(Interrupted)?)
}

/// The simple ways, both at once; their recipe is the encoders'.
fn simple(store: &StageStore, settings: &FigureSettings, labelled: &Labelled) -> Result<()> {
    let stage = Stage::start("simple descriptions");
    let of_row = |i: usize| labelled.frames.record(i).map_or_else(|_| i.to_string(), |record| record.id);
    let source = labelled.part(&(0..labelled.len()).collect::<Vec<_>>());
    let sets = hand_made(source.as_ref(), &of_row, &settings.recipe())?;
    for describer in [Describer::Rings, Describer::Pixels] {
        let name = describer.name();
        let set = sets.iter().find(|set| set.name == name).with_context(|| format!("{name}: no such description"))?;
        let file = place_of(store, settings, labelled, &describer)?.folder.join(FILE);
        table(labelled, set.rows.clone())?.write_parquet(&file)?;
    }
    stage.end("rings, pixels");
    Ok(())
}

fn table(labelled: &Labelled, features: Array2<f32>) -> Result<FeatureTable> {
    let records: Vec<_> = (0..labelled.len()).map(|i| labelled.frames.record(i)).collect::<Result<_>>()?;
    let sky: Vec<(f64, f64)> = records.iter().map(|record| record.sky.unwrap_or((f64::NAN, f64::NAN))).collect();
    Ok(FeatureTable {
        ra_deg: sky.iter().map(|place| place.0).collect(),
        dec_deg: sky.iter().map(|place| place.1).collect(),
        rms_jy_beam: records.iter().map(|record| record.rms_jy_beam).collect(),
        blank_fraction: records.iter().map(|record| record.blank_fraction).collect(),
        ids: records.into_iter().map(|record| record.id).collect(),
        features,
        metadata: Default::default(),
    })
}
