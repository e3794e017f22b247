//! `radio-ssl classify`: labelled pictures in, marks of an encoder, a classifier, or a catalogue with probabilities out.
//!
//! [`images`] reads pictures and labels; [`eval`] scores an encoder beside the simple ways; [`train`] makes a classifier and
//! [`predict`] uses it; [`error_gallery`] shows the surest errors of each, [`class_maps`] where it looked; [`held_out`] judges it on pictures put aside. The methods are in `cls-morph`.
use anyhow::Result;

use crate::compute::{ComputeOptions, use_compute};

pub mod baselines;
mod bench;
pub mod class_maps;
pub mod error_gallery;
pub mod eval;
pub mod held_out;
pub mod images;
pub mod marks;
pub mod predict;
pub mod train;

const EXAMPLES: &str = "Examples:\n  \
    radio-ssl classify eval --checkpoint run/checkpoint.safetensors --images cutouts --labels labels.csv \\\n      \
    --label-column class --keep class=FRI,FRII --folds 5 --out marks.json\n  \
    radio-ssl classify train --checkpoint run/checkpoint.safetensors --images cutouts --labels labels.csv \\\n      \
    --label-column class --epochs 25 --out classifier\n  \
    radio-ssl classify predict --classifier classifier/classifier.safetensors --images new --out catalogue.csv\n  \
    radio-ssl classify maps --classifier classifier/classifier.safetensors --images new --out where.html\n\n\
    Pictures are FITS images or PNG files. The surest errors are shown, by class, in a page beside the result (errors.html). Objects within 270\" of each other are never on two sides of a split, where the\n\
    table of labels has positions (--ra-column, --dec-column).";

/// What to do with labelled pictures.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ClassifyVerb {
    /// Score an encoder on labelled pictures: kNN and logistic regression on frozen features, beside the simple ways.
    Eval(Box<eval::EvalOptions>),
    /// Train a classifier from an encoder, or from scratch. Continues where it was stopped.
    Train(Box<train::TrainOptions>),
    /// Classify pictures: a catalogue with probabilities.
    Predict(Box<predict::PredictOptions>),
    /// Show where a classifier looked: Grad-CAM, and what covering a part of a picture changes.
    Maps(Box<class_maps::MapOptions>),
}

/// Options of the verb.
#[derive(Debug, clap::Args)]
pub struct ClassifyCommand {
    #[command(subcommand)]
    verb: ClassifyVerb,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// Does it.
///
/// # Errors
/// If pictures, labels or a checkpoint cannot be used, or a result not be written.
pub fn run(command: &ClassifyCommand) -> Result<()> {
    use_compute(&command.compute)?;
    match &command.verb {
        ClassifyVerb::Eval(options) => eval::eval(options),
        ClassifyVerb::Train(options) => train::train(options),
        ClassifyVerb::Predict(options) => predict::predict(options),
        ClassifyVerb::Maps(options) => class_maps::class_maps(options),
    }
}
