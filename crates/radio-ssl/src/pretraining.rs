//! The verb `pretrain`: which numbers a training has, on which frames, from which weights.
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use radio_augment::{Preparation, Recipe};
use radio_tensor::event_file::EVENT_FILE;
use ssl_simclr::byol::ByolConfig;
use ssl_simclr::{Method, Preset, Settings, SimClrConfig};

use crate::compute::{CheckpointOptions, ComputeOptions, use_compute};
use crate::dataset::PartName;
use crate::frame_check::check_text;
use crate::manifest_frames::open_frames;
use crate::monitor::MonitorOptions;
use crate::stages::{self, RunFolder, TrainingExtras};

/// Examples of the verb.
pub const PRETRAIN_EXAMPLES: &str = "Examples:\n  \
    radio-ssl pretrain survey.toml --out run                                    10 epochs at 96 pixels\n  \
    radio-ssl pretrain sources.parquet --method byol --epochs 50 --out run      BYOL in place of SimCLR\n  \
    radio-ssl pretrain frames.parquet --preset hulk_emupilot --out run          a model of the paper, laptop settings\n  \
    radio-ssl pretrain frames.parquet --preset smart_hulk_smgps --out one       its first stage, then its second:\n  \
    radio-ssl pretrain sources.parquet --preset smart_hulk_smgps --stage 2 --start-from one/checkpoint.safetensors --out two\n  \
    radio-ssl pretrain survey.toml --monitor-images cutouts --monitor-labels labels.csv --monitor-column class --out run\n  \
    radio-ssl pretrain survey.toml --show-config > simclr.toml                  every number, for --config\n\n\
    Ctrl-C stops cleanly; the same command continues. Loss, learning rate, spread of the embeddings and\n\
    what the monitor finds are in OUT/events for TensorBoard. The monitor: how often the 15 nearest neighbours of a labelled\n\
    picture agree with its label. The loss does not tell that. Training never sees a label.";

/// How an encoder learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum MethodName {
    /// Contrast within the batch (Chen et al. 2020), the paper's.
    Simclr,
    /// Bootstrap without negatives (Grill et al. 2020).
    Byol,
}

/// Options of the verb.
#[derive(Debug, clap::Args)]
pub struct PretrainOptions {
    /// The survey file, or a manifest (`.parquet`), whose cutouts may differ in size.
    survey: PathBuf,
    /// Only this part of a manifest [default: all of it].
    #[arg(long, value_enum)]
    part: Option<PartName>,
    /// Every number of the training as TOML, in place of all the following.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["preset", "method", "epochs", "batch_size", "side", "seed"])]
    config: Option<PathBuf>,
    /// A model of the paper: hulk_smgps, banner_smgps, hulk_emupilot, banner_emupilot or smart_hulk_smgps.
    #[arg(long, value_name = "NAME")]
    preset: Option<Preset>,
    /// `paper`: every published number; `default`: what trains on a laptop.
    #[arg(long, value_name = "NAME", default_value_t = Settings::Default, requires = "preset")]
    settings: Settings,
    /// Stage of the preset, where it has two.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "preset")]
    stage: usize,
    /// How it learns [default: simclr].
    #[arg(long, value_enum)]
    method: Option<MethodName>,
    /// Passes over the frames [default: 10, or the preset's].
    #[arg(long)]
    epochs: Option<u64>,
    /// Cutouts per step [default: 64, or the preset's].
    #[arg(long)]
    batch_size: Option<usize>,
    /// Side of the encoder's input in pixels [default: 96, or the preset's].
    #[arg(long)]
    side: Option<usize>,
    /// Seed of weights, order and views [default: 1].
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Start from the weights of this checkpoint.
    #[arg(long, value_name = "FILE")]
    start_from: Option<PathBuf>,
    #[command(flatten)]
    monitor: MonitorOptions,
    /// Folder for the checkpoint; made if it does not exist.
    #[arg(long, value_name = "FOLDER", required_unless_present = "show_config")]
    out: Option<PathBuf>,
    /// Print every number of the training as TOML, and train nothing.
    #[arg(long)]
    show_config: bool,
    #[command(flatten)]
    checkpoints: CheckpointOptions,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// Trains an encoder, or continues.
///
/// # Errors
/// If the options contradict each other, frames cannot be used, or training fails.
pub fn pretrain(options: &PretrainOptions) -> Result<()> {
    use_compute(&options.compute)?;
    let config = config_of(options)?;
    if options.show_config {
        print!("{}", config.to_toml()?);
        return Ok(());
    }
    let (frames, run) = open_frames(&options.survey, options.part.map(Into::into), &config.recipe)?;
    eprint!("{}", check_text(frames.checks()));
    let out = options.out.as_ref().context("--out is missing")?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let folder = RunFolder::new(out);
    let extras = TrainingExtras {
        start_from: options.start_from.clone(),
        events: Some(out.join("events").join(EVENT_FILE)),
        monitor: options.monitor.monitor(&config.recipe)?,
    };
    stages::train(&config, Arc::clone(&frames), &folder, &run, options.checkpoints.every(), &extras)?;
    println!("{}", folder.checkpoint().display());
    Ok(())
}

/// The numbers that the options ask for.
fn config_of(options: &PretrainOptions) -> Result<SimClrConfig> {
    if let Some(path) = &options.config {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        return SimClrConfig::from_toml(&text).with_context(|| path.display().to_string());
    }
    let seed = options.seed.unwrap_or(1);
    let mut config = match options.preset {
        Some(preset) => {
            let mut stages = SimClrConfig::preset(preset, options.settings, seed);
            if !(1..=stages.len()).contains(&options.stage) {
                bail!("--stage {}: {preset} has stages 1 to {}", options.stage, stages.len());
            }
            if options.stage > 1 && options.start_from.is_none() {
                bail!(
                    "--stage {} of {preset} starts from the weights of the stage before: name them with --start-from",
                    options.stage
                );
            }
            stages.swap_remove(options.stage - 1).config
        }
        None => SimClrConfig::laptop(seed, 96, 64, options.epochs.unwrap_or(10)),
    };
    if let Some(epochs) = options.epochs {
        config.epochs = epochs;
        config.warmup_epochs = config.warmup_epochs.min(epochs.saturating_sub(1));
    }
    config.batch_size = options.batch_size.unwrap_or(config.batch_size);
    if let (Some(side), Preparation::Recipe(recipe)) = (options.side, &config.recipe) {
        config.recipe = Recipe { size: side, ..recipe.clone() }.into();
    }
    match options.method {
        Some(MethodName::Byol) => config = config.with_byol(ByolConfig::grill()),
        Some(MethodName::Simclr) => config.method = Method::SimClr,
        None => {}
    }
    config.check()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: PretrainOptions,
    }

    fn config(line: &str) -> Result<SimClrConfig> {
        config_of(&Line::try_parse_from(format!("pretrain survey.toml --out run {line}").split_whitespace())?.options)
    }

    #[test]
    fn options_change_the_numbers_they_name_and_no_others() -> Result<()> {
        assert_eq!(config("")?, SimClrConfig::laptop(1, 96, 64, 10));
        assert_eq!(config("--epochs 3 --batch-size 16 --side 64 --seed 7")?, SimClrConfig::laptop(7, 64, 16, 3));
        assert_eq!(config("--method byol")?.method.name(), "byol");
        let stages = SimClrConfig::preset(Preset::SmartHulkSmgps, Settings::Paper, 1);
        let line = "--preset smart_hulk_smgps --settings paper";
        assert_eq!(config(line)?, stages[0].config);
        assert_eq!(config(&format!("{line} --stage 2 --start-from one.safetensors"))?, stages[1].config);
        let short = config("--preset hulk_emupilot --epochs 1")?;
        assert_eq!((short.epochs, short.warmup_epochs, short.batch_size), (1, 0, 128));
        Ok(())
    }

    #[test]
    fn contradictions_are_named() {
        for (line, part) in [
            ("--preset hulk", "hulk_smgps"),
            ("--preset hulk_smgps --stage 2", "stages 1 to 1"),
            ("--preset smart_hulk_smgps --stage 2", "--start-from"),
            ("--config a.toml --epochs 3", "--epochs"),
            ("--stage 2", "--preset"),
            ("--monitor-images cutouts", "--monitor-labels"),
            ("--monitor-column class", "--monitor-images"),
            ("--batch-size 1", "batch_size"),
        ] {
            let refused = format!("{:#}", config(line).expect_err(line));
            assert!(refused.contains(part), "{line}: {refused}");
        }
    }
}
