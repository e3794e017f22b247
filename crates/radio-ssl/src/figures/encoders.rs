//! The pre-trained encoders: blind, source-centred and two-stage (the paper's hulk, banner and smart_hulk), at equal steps.
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use radio_augment::Augmenter;
use radio_tensor::checkpoint::Checkpoint;
use serde::{Deserialize, Serialize};
use ssl_simclr::SimClrConfig;

use super::pools::Pool;
use super::settings::FigureSettings;
use super::stage_store::StageStore;
use crate::stages::{RunFolder, TrainingExtras, encoder_fingerprint, train};

/// A pre-training has at least so many epochs, one in eight of them warm-up: all three then warm up over the same share of steps.
const FEWEST_EPOCHS: u64 = 8;

/// How an encoder was pre-trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pretrained {
    /// On blind frames.
    Blind,
    /// On source-centred cutouts.
    Centred,
    /// On blind frames for half of the steps, then on source-centred cutouts.
    TwoStage,
}

impl Pretrained {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Blind, Self::Centred, Self::TwoStage];

    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blind => "blind",
            Self::Centred => "source-centred",
            Self::TwoStage => "two-stage",
        }
    }

    /// Whether it needs blind frames.
    pub fn needs_blind(self) -> bool {
        self != Self::Centred
    }
}

/// What encoders learn from.
pub struct Pools {
    /// Blind frames, where there is a survey.
    pub blind: Option<Pool>,
    /// Source-centred cutouts.
    pub centred: Pool,
}

impl Pools {
    /// The encoders that can be trained here.
    pub fn encoders(&self) -> Vec<Pretrained> {
        Pretrained::ALL.into_iter().filter(|kind| self.blind.is_some() || !kind.needs_blind()).collect()
    }
}

/// A finished pre-training.
#[derive(Debug, Clone)]
pub struct TrainedEncoder {
    /// How.
    pub kind: Pretrained,
    /// Seed of weights, order and views.
    pub seed: u64,
    /// Its checkpoint.
    pub checkpoint: PathBuf,
    /// What tells it from another one.
    pub fingerprint: String,
    /// Optimiser steps, of all stages.
    pub steps: u64,
}

/// Epochs over so many frames, for about so many steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    batch: usize,
    frames: usize,
    epochs: u64,
    warmup_epochs: u64,
}

impl Plan {
    /// A large pool gives as many frames as at least eight epochs can take; half-overlapping frames show the same sky anyway.
    fn new(steps: u64, batch: usize, pool: usize) -> Self {
        let batch = batch.min(pool);
        let most = (pool / batch.max(1)) as u64;
        let per_epoch = (steps / FEWEST_EPOCHS).clamp(1, most.max(1));
        let epochs = ((steps as f64 / per_epoch as f64).round() as u64).max(1);
        let per_epoch = ((steps as f64 / epochs as f64).round() as u64).clamp(1, most.max(1));
        // Almost a batch more than is needed: so many may be refused by the recipe.
        let frames = ((per_epoch as usize + 1) * batch - 1).min(pool);
        Self { batch, frames, epochs, warmup_epochs: epochs / FEWEST_EPOCHS }
    }
}

/// Pre-trains an encoder, continues, or finds it done.
///
/// # Errors
/// If a pool is missing or too small, training fails, or the user interrupts.
pub fn pretrained(
    store: &StageStore,
    settings: &FigureSettings,
    pools: &Pools,
    kind: Pretrained,
    seed: u64,
    checkpoint_every: Duration,
) -> Result<TrainedEncoder> {
    let blind = || pools.blind.as_ref().with_context(|| format!("{}: there are no blind frames", kind.name()));
    let stages: Vec<(&Pool, Augmenter, u64)> = match kind {
        Pretrained::Blind => vec![(blind()?, Augmenter::hulk(), settings.steps)],
        Pretrained::Centred => vec![(&pools.centred, Augmenter::banner(), settings.steps)],
        Pretrained::TwoStage => {
            let first = settings.steps / 2;
            vec![(blind()?, Augmenter::hulk(), first), (&pools.centred, Augmenter::banner(), settings.steps - first)]
        }
    };
    let (mut start_from, mut origin, mut steps): (Option<PathBuf>, Option<String>, u64) = (None, None, 0);
    for (number, (pool, augmenter, wanted)) in stages.into_iter().enumerate() {
        let plan = Plan::new(wanted, settings.batch_size, pool.len());
        let config = config(settings, plan, augmenter, seed);
        config.check()?;
        let name = format!("encoder-{}-{}-seed{seed}", kind.name(), number + 1);
        let place = store.place(&name, &(config.to_toml()?, &pool.key, plan.frames, &origin))?;
        let folder = RunFolder::new(&place.folder);
        let done = folder.checkpoint();
        let extras = TrainingExtras { start_from: start_from.take(), ..TrainingExtras::default() };
        // The folder's name says what is in it: a finished training needs no cutouts.
        let frames = match done.exists() {
            true => trained_on(&done)?,
            false => {
                eprintln!("{}, seed {seed}, stage {}: {}", kind.name(), number + 1, pool.words);
                let frames = pool.frames(plan.frames, settings)?;
                let record = std::collections::BTreeMap::from([("words", &pool.words), ("key", &pool.key)]);
                let record = toml::to_string_pretty(&std::collections::BTreeMap::from([("pool", record)]))?;
                train(&config, frames.clone(), &folder, &record, checkpoint_every, &extras)?;
                frames.len()
            }
        };
        steps += config.steps_per_epoch(frames)? * config.epochs;
        origin = Some(encoder_fingerprint(&done)?);
        start_from = Some(done);
    }
    let checkpoint = start_from.context("a pre-training has a stage")?;
    let fingerprint = origin.unwrap_or_default();
    Ok(TrainedEncoder { kind, seed, checkpoint, fingerprint, steps })
}

/// Cutouts that a finished training saw.
fn trained_on(checkpoint: &Path) -> Result<usize> {
    let file = Checkpoint::read(checkpoint)?;
    file.text("frames")?.parse().with_context(|| format!("{}: entry frames", checkpoint.display()))
}

/// Table 3 with the laptop's learning rate, input, width and length.
fn config(settings: &FigureSettings, plan: Plan, augmenter: Augmenter, seed: u64) -> SimClrConfig {
    SimClrConfig {
        epochs: plan.epochs,
        warmup_epochs: plan.warmup_epochs,
        batch_size: plan.batch,
        precision: settings.precision,
        backbone: settings.network.into(),
        recipe: settings.recipe().into(),
        augmenter,
        ..SimClrConfig::laptop(seed, settings.side, plan.batch, plan.epochs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_have_about_the_steps_asked_for_and_warm_up_alike() {
        for (steps, batch, pool) in [(1200, 128, 47_089), (1200, 128, 4_200), (600, 128, 47_089), (600, 128, 4_200)] {
            let plan = Plan::new(steps, batch, pool);
            let per_epoch = (plan.frames / plan.batch) as u64;
            let made = per_epoch * plan.epochs;
            assert!(made.abs_diff(steps) * 50 <= steps, "{steps} steps over {pool}: {made}");
            assert!(plan.frames <= pool && plan.epochs >= 8);
            let warm_up = plan.warmup_epochs as f64 / plan.epochs as f64;
            assert!((warm_up - 0.125).abs() < 0.03, "{warm_up}");
        }
        assert_eq!(
            Plan::new(1200, 128, 47_089),
            Plan { batch: 128, frames: 151 * 128 - 1, epochs: 8, warmup_epochs: 1 }
        );
        let small = Plan::new(16, 128, 40);
        assert_eq!((small.batch, small.frames, small.epochs), (40, 40, 16));
    }
}
