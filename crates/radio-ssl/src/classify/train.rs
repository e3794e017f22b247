//! Makes a classifier of labelled pictures, from an encoder or from scratch; continues where it was stopped.
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use cls_morph::classifier::config::ClassifierConfig;
use cls_morph::classifier::loss::Loss;
use cls_morph::probes::folds::Folds;
use cls_morph::{FineTuning, fine_tune};
use ndarray::Axis;
use radio_augment::{FlatRule, FrameSource, Recipe};
use radio_tensor::weights::{InputChoice, read_encoder};

use super::eval::encoder_recipe;
use super::held_out::{HeldOut, Labels};
use super::images::{ImageOptions, Pictures};
use crate::compute::CheckpointOptions;
use crate::interrupt::{self, Interrupted};
use crate::progress::Stage;

/// The paper's loss where pictures may have several classes (reference-facts E2).
const PAPER_FOCAL: Loss = Loss::Focal { alpha: 0.25, gamma: 2.0 };

/// Options of `classify train`.
#[derive(Debug, Clone, clap::Args)]
pub struct TrainOptions {
    /// Pictures and labels.
    #[command(flatten)]
    pub images: ImageOptions,
    /// Column with the class of each picture.
    #[arg(long, value_name = "C")]
    pub label_column: String,
    /// A picture may have several classes, apart by `;` in the column, or none: focal loss, and a threshold for each class.
    #[arg(long)]
    pub several: bool,
    /// The encoder to start from, with the head at its linear probe; without it from scratch.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Every number of the training as TOML, in place of the options below.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Train the head alone.
    #[arg(long)]
    pub frozen: bool,
    /// Passes over the pictures.
    #[arg(long, default_value_t = 25)]
    pub epochs: u64,
    /// Pictures per step.
    #[arg(long, default_value_t = 32)]
    pub batch_size: usize,
    /// Learning rate at the end of the warm-up.
    #[arg(long, default_value_t = 5e-4)]
    pub lr: f64,
    /// Side of the input, pixels [default: the encoder's own, else 96].
    #[arg(long, value_name = "PIXELS")]
    pub side: Option<usize>,
    /// Seed of weights, order and views.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: u64,
    /// Keep one fold of so many aside: it calibrates the probabilities, and tells the accuracy. 0 trains on all.
    #[arg(long, value_name = "K", default_value_t = 5)]
    pub hold_out: usize,
    /// Folder for the classifier; made if it does not exist.
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// When the state is saved.
    #[command(flatten)]
    pub checkpoints: CheckpointOptions,
}

/// Trains, calibrates, and writes `classifier.safetensors`.
///
/// # Errors
/// If pictures, labels or the encoder cannot be used, the user interrupts, or a file cannot be written.
pub fn train(options: &TrainOptions) -> Result<()> {
    let encoder = options.checkpoint.as_deref().map(|path| read_encoder(path, InputChoice::Recorded)).transpose()?;
    let own = encoder.as_ref().map(|encoder| encoder_recipe(encoder, &options.images)).transpose()?.flatten();
    let config = match &options.config {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            ClassifierConfig::from_toml(&text).with_context(|| path.display().to_string())?
        }
        None => {
            let side = options.side.or(own.as_ref().map(|recipe| recipe.size)).unwrap_or(96);
            let laptop = ClassifierConfig::laptop(options.seed, side, options.batch_size, options.epochs);
            let recipe = own.unwrap_or_else(|| laptop.recipe.clone());
            ClassifierConfig {
                frozen: options.frozen,
                peak_lr: options.lr,
                floor_lr: options.lr.min(laptop.floor_lr),
                loss: if options.several { PAPER_FOCAL } else { laptop.loss },
                backbone: encoder.as_ref().map_or(laptop.backbone, |encoder| encoder.trunk.config()),
                recipe: Recipe { size: side, flat: FlatRule::Mask, ..recipe },
                ..laptop
            }
            .fastest_here()
        }
    };
    config.check()?;
    ensure!(
        !options.several || config.loss != Loss::CrossEntropy,
        "--several: the loss of the configuration is cross-entropy, for one class a picture; expected focal"
    );
    let pictures = Pictures::open(&options.images)?;
    let labels = Labels::read(&pictures, &options.label_column, config.loss)?;
    let all: Vec<usize> = (0..pictures.len()).collect();
    let (known, aside) = match options.hold_out {
        0 => (all, Vec::new()),
        k => {
            let folds = Folds::grouped(&labels.first, &pictures.groups, k, options.seed)?;
            (folds.train(0), folds.test(0))
        }
    };
    let config = match (&options.config, &encoder) {
        (None, Some(_)) => config.from_encoder(known.len()),
        _ => config,
    };
    std::fs::create_dir_all(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;
    let (targets, classes) = (labels.targets.select(Axis(0), &known), labels.classes.clone());
    let state = options.out.join("training.safetensors");
    let mut run = if state.exists() {
        let run = FineTuning::resume(config.clone(), classes.clone(), targets, &state)?;
        eprintln!("continuing after step {}", run.steps());
        run
    } else {
        FineTuning::new(config.clone(), classes.clone(), targets, encoder.map(|encoder| encoder.trunk))?
    };
    let mut stage = Stage::start("training");
    let (mut saved, mut trouble) = (Instant::now(), None);
    let complete = fine_tune(&mut run, Arc::new(pictures.part(&known)), |run, now| {
        let note = format!("epoch {}/{}  loss {:.3}", now.epoch + 1, config.epochs, now.loss);
        stage.at(now.step, now.total_steps, &note);
        if interrupt::requested() || saved.elapsed() > options.checkpoints.every() {
            let written = run.checkpoint([]).and_then(|file| Ok(file.write(&state)?));
            saved = Instant::now();
            if let Err(error) = written {
                trouble = Some(error);
                return ControlFlow::Break(());
            }
        }
        interrupt::flow()
    })?;
    if let Some(error) = trouble {
        return Err(error).context("training stopped because its state cannot be saved");
    }
    if !complete {
        bail!(Interrupted);
    }
    stage.end(&format!("loss {:.3}", run.losses().last().copied().unwrap_or(f32::NAN)));

    let mut classifier = run.into_classifier();
    if !aside.is_empty() {
        let held_out = HeldOut {
            pictures: &pictures,
            places: &aside,
            batch_size: config.batch_size,
            seed: config.seed,
            facts: vec![
                ("radio-ssl".into(), env!("CARGO_PKG_VERSION").into()),
                ("labels".into(), format!("{}, column {}", options.images.labels.display(), options.label_column)),
                ("seed".into(), config.seed.to_string()),
            ],
        };
        let truth = labels.targets.select(Axis(0), &aside);
        println!("{}", held_out.judge(&mut classifier, truth.view(), &options.out.join("errors.html"))?);
    }
    let out = options.out.join("classifier.safetensors");
    classifier.checkpoint(&config)?.write(&out)?;
    match std::fs::remove_file(&state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", state.display()));
        }
        _ => {}
    }
    println!("{}", out.display());
    Ok(())
}
