//! Experiments on real sets: `cargo xtask experiment NAME`. What pre-training is worth, with intervals and without leaks.
//!
//! Reading order: [`on_set`], every way to describe or train on one labelled set; [`encoders`], the table of encoders;
//! [`sets`] and [`pools`], what is looked at and trained on; [`probing`] and [`training`], the units of work; [`mod@unit`], how a
//! killed experiment continues; [`scoring`], intervals and paired differences; [`page`], what is written.
//!
//! Rules. Objects within 270" of each other are never on two sides of a fold. Hyperparameters are chosen inside the training
//! part of a fold. The feature set and probe that verdicts speak of ([`describe::Look::MAIN`]) and the recipe `native` were
//! chosen after a dozen trainings with one seed on the same sets, in another framework: they are the same on all three sets, but
//! figures on these sets are that much optimistic. A flat channel becomes a mask of the source; no picture is left out silently, and those without a pixel above 0
//! are named.
use std::path::PathBuf;

use anyhow::Result;

pub mod ablation;
mod bench;
pub mod claim;
pub mod describe;
pub mod encoders;
pub mod foundation;
pub mod held;
pub mod on_set;
pub mod page;
pub mod pools;
pub mod probing;
pub mod result;
pub mod scaling;
pub mod scoring;
pub mod sets;
pub mod training;
pub mod unit;
mod workshop;

pub use workshop::{ExperimentOptions, Trained, Workshop};

use encoders::EncoderRecipe;
use result::{Block, ExperimentResult};
use sets::SetName;

/// Examples of the command.
pub const EXAMPLES: &str = "Examples:\n  \
    cargo xtask experiment mirabest --data DIR --quick                    does every stage work? a minute\n  \
    cargo xtask experiment mirabest --data DIR --encoders mirabest        every way to use one encoder, three seeds\n  \
    cargo xtask experiment first-frg --data DIR --only rings,scratch      some of the methods\n  \
    cargo xtask experiment ablation --data DIR --seeds 1                  one number changed at a time\n\n\
    Ctrl-C stops between two units of work or two steps of a training; the same command continues, and ends with the same JSON.";

/// An experiment on real sets.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Experiment {
    /// MiraBest, confident FRI against FRII: hand-made features, random weights, encoders, trainings; 2, 10 and 100 % of labels.
    Mirabest(ExperimentOptions),
    /// first-frg, four classes: published splits and folds.
    FirstFrg(ExperimentOptions),
    /// Radio Galaxy Zoo, six classes, float pixels.
    Rgz(ExperimentOptions),
    /// Each augmenter off, temperature, learning rate and input side, by linear probe on MiraBest.
    Ablation(ExperimentOptions),
    /// Images, epochs, resolution and pool, by linear probe on MiraBest.
    Scaling(ExperimentOptions),
    /// Are fine-tuned or frozen features more than 20 points better than scratch below 10 % of labels? On each set.
    Claim(ExperimentOptions),
}

/// Runs an experiment and writes its page; returns the page's place.
///
/// # Errors
/// If data cannot be used, a training fails, the user interrupts, or a file cannot be written.
pub fn run(experiment: &Experiment) -> Result<PathBuf> {
    crate::interrupt::listen();
    let (result, options) = match experiment {
        Experiment::Mirabest(options) => (on_set::on_set(SetName::Mirabest, options)?, options),
        Experiment::FirstFrg(options) => (on_set::on_set(SetName::FirstFrg, options)?, options),
        Experiment::Rgz(options) => (on_set::on_set(SetName::Rgz, options)?, options),
        Experiment::Ablation(options) => (ablation::ablation(options)?, options),
        Experiment::Scaling(options) => (scaling::scaling(options)?, options),
        Experiment::Claim(options) => (claim::claim(options)?, options),
    };
    page::write(&result, &options.out)
}

/// The result of an experiment.
fn finished(
    name: &str,
    workshop: &Workshop,
    encoders: Vec<EncoderRecipe>,
    blocks: Vec<Block>,
    verdict: Vec<String>,
) -> ExperimentResult {
    let options = &workshop.options;
    let mut command = format!("cargo xtask experiment {name} --seeds {}", options.seeds);
    for (option, values) in [("--encoders", &options.encoders), ("--only", &options.only)] {
        if !values.is_empty() {
            command += &format!(" {option} {}", values.join(","));
        }
    }
    if options.quick {
        command += " --quick";
    }
    ExperimentResult {
        experiment: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").into(),
        command,
        quick: options.quick,
        seeds: options.seeds(),
        draws: options.draws(),
        resamples: options.resamples(),
        encoders,
        pools: workshop.pool_facts.clone(),
        blocks,
        verdict,
    }
}
