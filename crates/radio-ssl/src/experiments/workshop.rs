//! What the experiments share: options, pools and encoders, each made once.
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use radio_augment::FrameSource;
use radio_tensor::trunk::Trunk;
use radio_tensor::weights::{InputChoice, read_encoder};
use serde::Serialize;

use super::encoders::{ABLATED, EncoderRecipe, by_name, table};
use super::held::{FrameFacts, HeldFrames};
use super::pools::{Pool, PoolSources, share, strict};
use super::unit::{Ledger, key_of};
use crate::compute::CheckpointOptions;
use crate::stages::{self, RunFolder, TrainingExtras};

/// Options of every experiment.
#[derive(Debug, Clone, clap::Args)]
pub struct ExperimentOptions {
    /// Folder with the real data: mirabest/, first-frg/, rgz/, mgcls/.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Folder for the page, its JSON and its figures.
    #[arg(long, value_name = "DIR", default_value = "docs/results")]
    pub out: PathBuf,
    /// Folder for encoders and units of work; what is there is not made again.
    #[arg(long, value_name = "DIR", default_value = "target/experiments")]
    pub work: PathBuf,
    /// Number of seeds of networks.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// Encoders of the table, the first one as base [default: all; one for ablation (native-shifted), scaling and claim (native)].
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub encoders: Vec<String>,
    /// Only methods, variants or sets whose name contains one of these.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Survey file, manifest (`.parquet`) or folder of a simulated sky, for encoders of the pool `simulated`.
    #[arg(long, value_name = "PATH")]
    pub simulated: Option<PathBuf>,
    /// Tiny networks and few steps: does every stage work?
    #[arg(long)]
    pub quick: bool,
    /// Resamples of an interval.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    pub resamples: u64,
    /// When a training saves its state.
    #[command(flatten)]
    pub checkpoints: CheckpointOptions,
    /// Stop after so many units (tests of resuming).
    #[arg(long, hide = true)]
    pub stop_after: Option<usize>,
}

impl ExperimentOptions {
    /// Whether a name is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }

    /// The encoders asked for, or all, or the base alone.
    ///
    /// # Errors
    /// If there is no recipe of a name.
    pub fn recipes(&self, all: bool) -> Result<Vec<EncoderRecipe>> {
        let recipes = match (self.encoders.is_empty(), all) {
            (false, _) => self.encoders.iter().map(|name| by_name(name)).collect::<Result<Vec<_>>>()?,
            (true, true) => table(),
            (true, false) => table().into_iter().take(1).collect(),
        };
        Ok(recipes.iter().map(|recipe| if self.quick { recipe.quick() } else { recipe.clone() }).collect())
    }

    /// The base recipe.
    ///
    /// # Errors
    /// As [`ExperimentOptions::recipes`].
    pub fn base(&self) -> Result<EncoderRecipe> {
        self.recipes(false)?.into_iter().next().context("no encoder recipe")
    }

    /// The base of the ablation.
    pub fn ablated(&self) -> Vec<String> {
        if self.encoders.is_empty() { vec![ABLATED.into()] } else { self.encoders.clone() }
    }

    /// Seeds of networks.
    pub fn seeds(&self) -> Vec<u64> {
        (1..=if self.quick { self.seeds.min(1) } else { self.seeds }).collect()
    }

    /// Draws of labels where not all are used.
    pub fn draws(&self) -> u64 {
        if self.quick { 2 } else { 5 }
    }

    /// Resamples.
    pub fn resamples(&self) -> usize {
        if self.quick { 100 } else { self.resamples as usize }
    }
}

/// A trained encoder.
#[derive(Debug, Clone)]
pub struct Trained {
    /// Its settings and pool in one key.
    pub key: String,
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// Pictures it was trained on.
    pub frames: usize,
}

/// Pools, encoders and units of an experiment.
pub struct Workshop {
    /// The options.
    pub options: ExperimentOptions,
    /// The units.
    pub ledger: Ledger,
    sources: PoolSources,
    pools: HashMap<(Pool, usize), HeldFrames>,
    /// What was found in the pools that were used.
    pub pool_facts: BTreeMap<String, FrameFacts>,
    trained: HashMap<String, Trained>,
}

/// What tells one training of an encoder from another.
#[derive(Serialize)]
struct EncoderSettings {
    config: String,
    pool: String,
    frames: usize,
}

/// What a checkpoint remembers of the pictures it was trained on.
#[derive(Serialize)]
struct PoolRecord {
    pool: Pool,
    crop_px: usize,
    sha256: String,
}

impl Workshop {
    /// An empty one.
    pub fn new(options: &ExperimentOptions) -> Self {
        let mut ledger = Ledger::new(&options.work);
        ledger.stop_after(options.stop_after);
        Self {
            options: options.clone(),
            ledger,
            sources: PoolSources { data: options.data.clone(), simulated: options.simulated.clone() },
            pools: HashMap::new(),
            pool_facts: BTreeMap::new(),
            trained: HashMap::new(),
        }
    }

    fn pool(&mut self, pool: Pool, crop: usize) -> Result<HeldFrames> {
        if let Some(frames) = self.pools.get(&(pool, crop)) {
            return Ok(frames.clone());
        }
        let (frames, facts) = self.sources.read(pool, crop)?;
        let words =
            |names: &[String]| if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        eprintln!(
            "pool {}: {} pictures; {} with a flat channel, which becomes a mask; {} all zero{}",
            pool.name(),
            facts.frames,
            facts.with_flat_channel,
            facts.all_zero.len(),
            words(&facts.all_zero)
        );
        self.pool_facts.insert(pool.name().into(), facts);
        self.pools.insert((pool, crop), frames.clone());
        Ok(frames)
    }

    /// The encoder of a recipe and seed, trained if it is not there; `away` is the sky it must not see.
    ///
    /// # Errors
    /// If the pool cannot be read, training fails, or the user interrupts.
    pub fn encoder(
        &mut self,
        recipe: &EncoderRecipe,
        seed: u64,
        away: Option<(usize, &[(f64, f64)])>,
    ) -> Result<Trained> {
        let short = key_of(&(recipe, seed, away.map(|(fold, _)| fold), away.map(|(_, places)| places)))?;
        if let Some(trained) = self.trained.get(&short) {
            return Ok(trained.clone());
        }
        let mut frames = self.pool(recipe.pool, recipe.frame_px())?;
        if let Some((_, places)) = away {
            let before = frames.len();
            frames = strict(&frames, places);
            ensure!(frames.len() >= 2, "{}: a strict pool of {} pictures", recipe.name, frames.len());
            eprintln!("pool {}: {} of {before} pictures are far from the test fold", recipe.pool.name(), frames.len());
        }
        if recipe.share < 1.0 {
            frames = share(&frames, recipe.share)?;
        }
        let config = recipe.config(seed, frames.len())?;
        let settings = EncoderSettings { config: config.to_toml()?, pool: frames.fingerprint(), frames: frames.len() };
        let key = key_of(&settings)?;
        let folder = self.options.work.join("encoders").join(&key[..16]);
        let run = RunFolder::new(&folder);
        let every: Duration = self.options.checkpoints.every();
        // What the checkpoint remembers of its data; not the recipe's name, for variants of one name may be the same training.
        let record = PoolRecord { pool: recipe.pool, crop_px: recipe.crop_px, sha256: settings.pool.clone() };
        let record = toml::to_string_pretty(&BTreeMap::from([("pool", record)]))?;
        let n_frames = frames.len();
        let frames = Arc::new(frames);
        let train = || -> Result<()> {
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            stages::train(&config, frames.clone(), &run, &record, every, &TrainingExtras::default())
        };
        let fold = away.map_or_else(String::new, |(fold, _)| format!(", without fold {}", fold + 1));
        let words = format!("encoder {}, seed {seed}{fold}", recipe.name);
        self.ledger.unit("encoder", &settings, &words, || {
            eprintln!("{words}: {} pictures, {} epochs", frames.len(), config.epochs);
            train()?;
            stages::encoder_fingerprint(&run.checkpoint())
        })?;
        if !run.checkpoint().exists() {
            train()?; // the folder was removed, the unit was not
        }
        let trained = Trained { key, checkpoint: run.checkpoint(), frames: n_frames };
        self.trained.insert(short, trained.clone());
        Ok(trained)
    }
}

impl Trained {
    /// The network.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn trunk(&self) -> Result<Trunk> {
        Ok(read_encoder(&self.checkpoint, InputChoice::Recorded)?.trunk)
    }
}
