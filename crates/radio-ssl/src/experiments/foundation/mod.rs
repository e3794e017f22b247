//! `cargo xtask foundation`: one encoder trained on every picture at hand, as a small file that other commands start from.
//!
//! Views are those of the recipe `native` (`encoders.rs`): the maps' own pixels, any angle, a little nearer or further. Every batch is of one origin
//! ([`Sampling::ByOrigin`]), for in a mixed batch a contrastive loss can tell negatives by where they came from.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use radio_augment::{FrameSource, Preparation, Sampling};
use radio_sim::{SimConfig, SkyName};
use radio_tensor::checkpoint::{Checkpoint, Loaded};
use serde::Serialize;
use ssl_simclr::SimClrConfig;

use super::encoders::{EncoderRecipe, by_name};
use super::pools::Pool;
use super::unit::key_of;
use crate::compute::CheckpointOptions;
use crate::model_card::{ModelCard, PROVENANCE_KEY, Provenance};
use crate::run_config::sha256_of;
use crate::simulation::TierName;
use crate::stages::{self, RunFolder, TrainingExtras};

mod mosaic_tiles;
mod origins;

use origins::AllOrigins;

/// Examples of the command.
pub const FOUNDATION_EXAMPLES: &str = "Examples:\n  \
    cargo xtask foundation --data DIR                          three small skies are simulated first\n  \
    cargo xtask foundation --data DIR --simulated emu/survey.toml,first/survey.toml --epochs 100\n  \
    cargo xtask foundation --data DIR --quick                  does every stage work? writes radio-ssl-r18-quick.safetensors\n\n\
    Run again after Ctrl-C or a kill, the same command continues and ends with the same file.";

/// What the training of the foundation checkpoint is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct FoundationOptions {
    /// Folder with the real data: mirabest/, first-frg/, mgcls/, mosaics/.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Survey files, manifests or folders of simulated skies [default: emu, smgps and first are simulated below --work].
    #[arg(long, value_name = "SURVEY,SURVEY", value_delimiter = ',')]
    pub simulated: Vec<PathBuf>,
    /// Size of the skies that are simulated.
    #[arg(long, value_enum, default_value = "tiny", conflicts_with = "simulated")]
    pub tier: TierName,
    /// Folder for the checkpoint and its card.
    #[arg(long, value_name = "DIR", default_value = "models")]
    pub out: PathBuf,
    /// Folder for the training and the simulated skies; what is there is not made again.
    #[arg(long, value_name = "DIR", default_value = "target/experiments")]
    pub work: PathBuf,
    /// Passes over the pictures.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub epochs: u64,
    /// Channels after the first convolution.
    #[arg(long, default_value_t = 64)]
    pub width: usize,
    /// Side of a view, pixels of the map; 16 more on each side are cut from it, for turns and shifts.
    #[arg(long, default_value_t = 64)]
    pub side: usize,
    /// Pictures a step.
    #[arg(long, default_value_t = 128)]
    pub batch: usize,
    /// Seed of weights, order, views and simulated skies.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A tiny network and few steps: does every stage work?
    #[arg(long)]
    pub quick: bool,
    /// When the training saves its state.
    #[command(flatten)]
    pub checkpoints: CheckpointOptions,
}

impl FoundationOptions {
    fn recipe(&self) -> Result<EncoderRecipe> {
        let (width, side, epochs, batch) = (self.width, self.side, self.epochs, self.batch);
        let native = by_name("native")?;
        let recipe = EncoderRecipe { pool: Pool::All, crop_px: side, side, width, epochs, batch, ..native };
        Ok(if self.quick { recipe.quick() } else { recipe })
    }

    /// The checkpoint's place.
    pub fn checkpoint(&self) -> PathBuf {
        self.out.join(if self.quick { "radio-ssl-r18-quick.safetensors" } else { "radio-ssl-r18.safetensors" })
    }

    /// Names and places of the simulated skies; those that are not there are made.
    fn skies(&self) -> Result<Vec<(String, PathBuf)>> {
        if !self.simulated.is_empty() {
            return Ok(self.simulated.iter().map(|path| (sky_name(path), path.clone())).collect());
        }
        let tier = radio_sim::Tier::from(self.tier);
        let mut skies = Vec::new();
        for sky in SkyName::ALL {
            let config = SimConfig::preset(sky, tier, self.seed);
            let name = format!("{} {}", sky.name(), tier.name());
            // Another sky of the same name (an other version of the simulator) is another folder.
            let key = key_of(&config)?;
            let folder = self.work.join("skies").join(format!("{}-{}", name.replace(' ', "-"), &key[..12]));
            if !folder.exists() {
                let parent = folder.parent().unwrap_or(&self.work);
                std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
                stages::simulate_into(&config, &[], &folder)?;
            }
            skies.push((name, folder));
        }
        Ok(skies)
    }

    /// The command that makes the file again; folders are the reader's own.
    fn command(&self) -> String {
        let Self { epochs, width, side, batch, seed, .. } = self;
        let skies = if self.simulated.is_empty() {
            format!("--tier {}", radio_sim::Tier::from(self.tier).name())
        } else {
            let names: Vec<String> = self.simulated.iter().map(|path| sky_name(path)).collect();
            format!("--simulated {}", names.join(","))
        };
        let numbers = format!("--epochs {epochs} --width {width} --side {side} --batch {batch} --seed {seed}");
        let quick = if self.quick { " --quick" } else { "" };
        format!("cargo xtask foundation --data DIR {skies} {numbers}{quick}")
    }
}

/// A sky by its folder, or by the name of its file if that says more than `survey.toml`.
fn sky_name(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    match (stem, path.parent().and_then(Path::file_name)) {
        (Some(stem), Some(folder)) if stem == "survey" => folder.to_string_lossy().into_owned(),
        (Some(stem), _) => stem,
        (None, _) => "sky".into(),
    }
}

/// What the training's checkpoint remembers of its pictures.
#[derive(Serialize)]
struct PoolRecord {
    sha256: String,
    pictures: BTreeMap<String, usize>,
}

/// Trains the checkpoint, or continues, and writes the small file with its card; returns its place.
///
/// # Errors
/// If data cannot be read, the training fails, the user interrupts, or a file cannot be written.
pub fn foundation(options: &FoundationOptions) -> Result<PathBuf> {
    crate::interrupt::listen();
    let recipe = options.recipe()?;
    let skies = options.skies()?;
    let AllOrigins { frames, origins } = origins::read(&options.data, &skies, recipe.frame_px(), recipe.batch)?;
    for origin in &origins {
        eprintln!("{}", origin.line());
        origin.remarks.iter().for_each(|remark| eprintln!("  {remark}"));
    }
    let config = SimClrConfig { sampling: Sampling::ByOrigin, ..recipe.config(options.seed, frames.len())? };
    let pictures = origins.iter().map(|origin| (origin.name.clone(), origin.pictures)).collect();
    let record = PoolRecord { sha256: frames.fingerprint(), pictures };
    let record = toml::to_string_pretty(&BTreeMap::from([("pool", record)]))?;
    let folder = options.work.join("foundation").join(&key_of(&(config.to_toml()?, &record))?[..16]);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let run = RunFolder::new(&folder);
    eprintln!("{} pictures, {} epochs, in {}", frames.len(), config.epochs, folder.display());
    let every = options.checkpoints.every();
    stages::train(&config, Arc::new(frames), &run, &record, every, &TrainingExtras::default())?;

    let trained = Checkpoint::read(&run.checkpoint())?;
    let losses: &[f32] = trained.checkpoint.tensors.get("log.loss").map_or(&[], |(_, losses)| losses);
    let provenance = Provenance {
        command: options.command(),
        steps: losses.len(),
        epoch_losses: epoch_losses(losses, config.epochs),
        origins,
        limits: limits(),
    };
    let place = options.checkpoint();
    std::fs::create_dir_all(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;
    publish(&trained, &provenance, recipe.crop_px == recipe.side, &place)?;
    eprintln!("{}: SHA-256 {}", place.display(), sha256_of(&place)?);
    Ok(place)
}

/// Writes the encoder of a training, without projector and log, in bf16, and its card before it.
///
/// `native`: whether its pictures were cut from larger ones and not shrunk; then those to come are cut alike ([`radio_augment::Recipe::native`]).
///
/// # Errors
/// If the training's checkpoint is damaged, or a file cannot be written.
pub fn publish(trained: &Loaded, provenance: &Provenance, native: bool, place: &Path) -> Result<()> {
    let mut config = SimClrConfig::from_toml(trained.text("simclr.toml")?)?;
    if let Preparation::Recipe(recipe) = &mut config.recipe {
        recipe.native |= native;
    }
    let mut slim = Checkpoint::default();
    slim.put_trunk(&trained.trunk(config.backbone)?);
    ensure!(!slim.tensors.is_empty(), "{}: no weights", trained.path.display());
    slim.text.insert("simclr.toml".into(), config.to_toml()?);
    for entry in ["frames", "run.toml"] {
        slim.text.insert(entry.into(), trained.text(entry)?.into());
    }
    slim.text.insert(PROVENANCE_KEY.into(), toml::to_string_pretty(provenance)?);
    ModelCard::of_checkpoint(&slim)?.write_beside(place)?;
    Ok(slim.write_bf16(place)?)
}

/// Mean loss of every epoch, four digits after the point.
fn epoch_losses(losses: &[f32], epochs: u64) -> Vec<f64> {
    let steps = (losses.len() / epochs.max(1) as usize).max(1);
    let mean = |losses: &[f32]| losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64;
    losses.chunks(steps).map(|losses| (mean(losses) * 1e4).round() / 1e4).collect()
}

fn limits() -> Vec<String> {
    [
        "Trained on labelled sets too, though without their labels: MiraBest, first-frg, MGCLS and, through them, Radio Galaxy \
         Zoo. A test on these sets is no test on unseen sky; use an encoder trained apart from the test's sky for that.",
        "MiraBest and first-frg show many objects twice, and fields of atca-scorpio and the projections of parkes overlap: as \
         negatives of each other these pairs push apart what is the same.",
        "Pictures of one origin have their own pixel size, noise and stretch; every batch is of one origin so that negatives \
         cannot be told by it, but small origins share batches, as the table says. What this is worth was not measured.",
        "The first-frg and MGCLS pictures are 8-bit and stretched or cut by their publishers: no flux can be had from them.",
        "Weights and running statistics are stored in bf16, rounded to eight binary digits.",
        "Non-commercial terms of VLA FIRST images rest on part of the training data; whether they bind a trained network is \
         for the user to judge.",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_by_epoch_and_names_of_skies() {
        assert_eq!(epoch_losses(&[3.0, 2.0, 1.0, 0.5], 2), [2.5, 0.75]);
        assert!(epoch_losses(&[], 2).is_empty());
        assert_eq!(sky_name(Path::new("skies/emu/survey.toml")), "emu");
        assert_eq!(sky_name(Path::new("skies/emu")), "emu");
        assert_eq!(sky_name(Path::new("skies/first.parquet")), "first");
    }
}
