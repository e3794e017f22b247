//! Options of the figures' commands, and every number that follows from them.
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use radio_augment::{BlankRule, FlatRule, Recipe};
use radio_sim::Tier;
use radio_tensor::kernel::bf16_is_faster;
use radio_tensor::resnet::{Depth, Precision, ResNetConfig};
use serde::Serialize;

use crate::compute::{CheckpointOptions, ComputeOptions};
use crate::simulation::TierName;

/// Examples of the commands.
pub const FIGURE_EXAMPLES: &str = "Examples:\n  \
    cargo xtask reproduce-fig5                                      a simulated FIRST-like sky; figures 4 to 7 share its stages\n  \
    cargo xtask reproduce-fig7 --quick                              does every stage work? under 2 minutes\n  \
    cargo xtask reproduce-fig5 --tier paper --steps 20000           1,000 + 600 cutouts of each class, as published\n  \
    cargo xtask reproduce-fig5 --imagenet resnet18-f37072fd.pth     with ImageNet weights as a rival\n  \
    cargo xtask reproduce-fig6 --survey survey.toml --catalogue sources.csv   real maps, and sources with sizes and classes\n  \
    cargo xtask reproduce-fig7 --images cutouts --labels labels.csv --label-column class   real pictures: no blind frames\n\n\
    Pages: OUT/fig4.html to fig7.html and views.html, each with .md, .json and its figures. Ctrl-C is safe: the same command continues.";

/// Seeds of the experiment on views, unless others are asked for.
const VIEWS_SEEDS: [u64; 3] = [1, 2, 3];
/// A `tiny` sky holds enough doubles with so many times as many of them.
const QUICK_CROWDING: f64 = 4.0;

/// Options shared by all figures.
#[derive(Debug, Clone, clap::Args)]
pub struct FigureOptions {
    /// Size of the simulated skies: the sets are scaled to what they hold (demo about 110 cutouts of each class, quarter 450, paper 1,600).
    #[arg(long, value_enum, default_value = "quarter")]
    pub tier: TierName,
    /// Maps of your own: blind frames to learn from; with --catalogue or --images also what is classified.
    #[arg(long, value_name = "FILE")]
    pub survey: Option<PathBuf>,
    /// Sources on the survey's maps with position, size and class.
    #[arg(long, value_name = "FILE", requires = "survey", conflicts_with = "images")]
    pub catalogue: Option<PathBuf>,
    /// Folder of labelled pictures (FITS, PNG).
    #[arg(long, value_name = "DIR", requires = "labels")]
    pub images: Option<PathBuf>,
    /// Table with a row for every picture.
    #[arg(long, value_name = "FILE", requires = "images")]
    pub labels: Option<PathBuf>,
    /// Column of --labels with the class.
    #[arg(long, value_name = "C", default_value = "class")]
    pub label_column: String,
    /// Keep rows of --labels where a column has one of these values; may be repeated.
    #[arg(long, value_name = "COLUMN=V1,V2", requires = "labels")]
    pub keep: Vec<String>,
    /// In --images a value of 0 is no data (pictures that were cut at a noise level).
    #[arg(long, requires = "images")]
    pub zero_is_blank: bool,
    /// ImageNet weights of a ResNet-18 (.pth, .safetensors, .h5), as a rival; their own scaling of the input is applied.
    #[arg(long, value_name = "FILE")]
    pub imagenet: Option<PathBuf>,
    /// Side of the encoder's input, pixels [default: 64].
    #[arg(long, value_name = "PIXELS")]
    pub side: Option<usize>,
    /// Channels after the first convolution; the paper's network has 64 [default: 32].
    #[arg(long)]
    pub width: Option<usize>,
    /// Optimiser steps of every pre-training; one of two stages takes half of them in each [default: 1200].
    #[arg(long)]
    pub steps: Option<u64>,
    /// Cutouts per step [default: 128].
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Steps of every training with labels (figure 7) [default: 400].
    #[arg(long)]
    pub fine_tune_steps: Option<u64>,
    /// Seeds of encoders [default: 1; of the experiment on views 1,2,3].
    #[arg(long, value_name = "S1,S2", value_delimiter = ',')]
    pub seeds: Vec<u64>,
    /// Balanced train and test sets [default: 5].
    #[arg(long)]
    pub sets: Option<usize>,
    /// Seed of the simulated skies and of the sets.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64 / 2))]
    pub sky_seed: u64,
    /// Batch norm keeps the statistics of pre-training, as in the paper; without it they are taken anew from the labelled cutouts.
    #[arg(long)]
    pub stored_batch_norm: bool,
    /// A small sky and a few steps: does every stage work? Says nothing about the method.
    #[arg(long, conflicts_with_all = ["survey", "images"])]
    pub quick: bool,
    /// Folder of pages and stages; figures that share it share their stages.
    #[arg(long, value_name = "FOLDER", default_value = "runs/figures")]
    pub out: PathBuf,
    /// How often a pre-training saves its state.
    #[command(flatten)]
    pub checkpoints: CheckpointOptions,
    /// Threads and device.
    #[command(flatten)]
    pub compute: ComputeOptions,
}

/// What is classified, and on which maps is learnt.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataChoice {
    /// Two simulated skies like FIRST: one to learn from, another to classify on.
    Simulated {
        /// Size of each.
        tier: Tier,
        /// Seed of the sky that is classified; the other has another one.
        seed: u64,
        /// The published densities of doubles and triples times this.
        crowding: f64,
    },
    /// Maps, and a catalogue of sources with sizes and classes.
    Survey {
        /// The survey file.
        survey: PathBuf,
        /// The sources.
        catalogue: PathBuf,
    },
    /// Labelled pictures; blind frames only from a survey beside them.
    Pictures {
        /// Folder.
        images: PathBuf,
        /// Table.
        labels: PathBuf,
        /// Column of the class.
        column: String,
        /// Rows that are kept.
        keep: Vec<String>,
        /// Maps for blind frames.
        survey: Option<PathBuf>,
    },
}

/// Every number of the figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FigureSettings {
    /// What is classified.
    pub data: DataChoice,
    /// Seed of the sets and of what is drawn from pools.
    pub draw_seed: u64,
    /// Balanced train and test sets.
    pub sets: usize,
    /// Largest number of training and test cutouts of a class in a set; the paper's, scaled down to what there is.
    pub per_class: [usize; 2],
    /// Cutouts within this angle are on one side of a set, arc seconds.
    pub group_arcsec: f64,
    /// Seeds of encoders.
    pub seeds: Vec<u64>,
    /// What is blank in every cutout.
    pub blanks: BlankRule,
    /// The encoder.
    pub network: ResNetConfig,
    /// Its input, pixels.
    pub side: usize,
    /// Numbers it computes with.
    pub precision: Precision,
    /// Optimiser steps of every pre-training.
    pub steps: u64,
    /// Cutouts per step.
    pub batch_size: usize,
    /// Batch-norm statistics are taken anew from the labelled cutouts.
    pub recompute_batch_norm: bool,
    /// ImageNet weights.
    pub imagenet: Option<PathBuf>,
    /// scikit-learn's C of the linear head.
    pub inverse_penalty: f64,
    /// Training with labels.
    pub fine_tuning: FineTuningSettings,
    /// Resamples of an interval.
    pub resamples: usize,
}

/// Numbers of the trainings with labels (figure 7): the same for both starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FineTuningSettings {
    /// Optimiser steps, however many labels there are.
    pub steps: u64,
    /// Cutouts per step; all of them where there are fewer.
    pub batch_size: usize,
    /// Learning rates that are tried from scratch, for each share of labels.
    pub rates: Vec<f64>,
    /// As many from an encoder, whose head starts at the linear probe, and, with few labels, 0: it stays there.
    pub encoder_rates: Vec<f64>,
    /// Shares of the training labels, rising.
    pub shares: Vec<f64>,
}

impl FigureOptions {
    /// Every number; the seeds of the experiment on views are its own.
    ///
    /// # Errors
    /// If options contradict each other.
    pub fn settings(&self, views: bool) -> Result<FigureSettings> {
        let data = match (&self.images, &self.labels, &self.survey, &self.catalogue) {
            (Some(images), Some(labels), survey, _) => DataChoice::Pictures {
                images: images.clone(),
                labels: labels.clone(),
                column: self.label_column.clone(),
                keep: self.keep.clone(),
                survey: survey.clone(),
            },
            (_, _, Some(survey), Some(catalogue)) => {
                DataChoice::Survey { survey: survey.clone(), catalogue: catalogue.clone() }
            }
            (_, _, Some(survey), None) => {
                bail!(
                    "--survey {}: say what is classified, with --catalogue or --images and --labels",
                    survey.display()
                )
            }
            _ => {
                let (tier, crowding) = if self.quick { (Tier::Tiny, QUICK_CROWDING) } else { (self.tier.into(), 1.0) };
                DataChoice::Simulated { tier, seed: self.sky_seed, crowding }
            }
        };
        let or = |quick: u64, full: u64| if self.quick { quick } else { full };
        let count =
            |given: Option<usize>, quick: usize, full: usize| given.unwrap_or(if self.quick { quick } else { full });
        let mut seeds = self.seeds.clone();
        if seeds.is_empty() {
            seeds = if views { VIEWS_SEEDS[..if self.quick { 2 } else { 3 }].to_vec() } else { vec![1] };
        }
        let (side, width) = (count(self.side, 32, 64), count(self.width, 8, 32));
        let settings = FigureSettings {
            data,
            draw_seed: self.sky_seed,
            sets: count(self.sets, 2, 5),
            per_class: [1000, 600],
            group_arcsec: 270.0,
            seeds,
            blanks: if self.zero_is_blank { BlankRule::ZeroIsBlank } else { BlankRule::Nan },
            network: ResNetConfig { depth: Depth::ResNet18, width },
            side,
            precision: if bf16_is_faster() { Precision::Bf16 } else { Precision::F32 },
            steps: self.steps.unwrap_or(or(16, 1200)),
            batch_size: count(self.batch_size, 16, 128),
            recompute_batch_norm: !self.stored_batch_norm,
            imagenet: self.imagenet.clone(),
            inverse_penalty: 0.1,
            fine_tuning: FineTuningSettings {
                steps: self.fine_tune_steps.unwrap_or(or(8, 400)),
                batch_size: 32,
                rates: if self.quick { vec![1e-3] } else { vec![2e-4, 1e-3, 4e-3] },
                encoder_rates: if self.quick { vec![1e-4] } else { vec![0.0, 1e-5, 1e-4, 1e-3] },
                shares: if self.quick { vec![0.05, 1.0] } else { vec![0.02, 0.05, 0.1, 0.2, 0.5, 1.0] },
            },
            resamples: 1000,
        };
        settings.check()?;
        Ok(settings)
    }
}

impl FigureSettings {
    /// Limits that no type holds.
    fn check(&self) -> Result<()> {
        ensure!(self.sets >= 1, "--sets: at least 1, found 0");
        ensure!(self.steps >= 2, "--steps: at least 2, found {}", self.steps);
        ensure!(self.batch_size >= 2, "--batch-size: at least 2, found {}", self.batch_size);
        ensure!(self.fine_tuning.steps >= 1, "--fine-tune-steps: at least 1, found 0");
        ensure!((1..=4096).contains(&self.network.width), "--width: 1 to 4096, found {}", self.network.width);
        ensure!((1..=2048).contains(&self.side), "--side: 1 to 2048 pixels, found {}", self.side);
        let mut seeds = self.seeds.clone();
        seeds.sort_unstable();
        seeds.dedup();
        ensure!(seeds.len() == self.seeds.len(), "--seeds: a seed is named twice: {:?}", self.seeds);
        ensure!(seeds.iter().all(|&seed| seed <= i64::MAX as u64), "--seeds: at most {}", i64::MAX);
        Ok(())
    }

    /// The pre-processing of every cutout; a channel that comes out flat becomes a mask of the source.
    pub fn recipe(&self) -> Recipe {
        Recipe { flat: FlatRule::Mask, blanks: self.blanks, ..Recipe::paper(self.side) }
    }

    /// Whether everything is simulated.
    pub fn is_simulated(&self) -> bool {
        matches!(self.data, DataChoice::Simulated { .. })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: FigureOptions,
    }

    pub(in super::super) fn options(line: &str) -> Result<FigureOptions> {
        Ok(Line::try_parse_from(format!("figure {line}").split_whitespace())?.options)
    }

    #[test]
    fn defaults_are_the_laptop_run_and_quick_is_small() -> Result<()> {
        let full = options("")?.settings(false)?;
        assert_eq!((full.steps, full.sets, full.side, full.network.width, full.seeds.len()), (1200, 5, 64, 32, 1));
        assert_eq!(full.fine_tuning.shares, [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]);
        assert_eq!(options("")?.settings(true)?.seeds, [1, 2, 3]);
        let quick = options("--quick --steps 20")?.settings(false)?;
        assert_eq!((quick.steps, quick.sets), (20, 2));
        assert!(matches!(quick.data, DataChoice::Simulated { tier: Tier::Tiny, .. }));
        Ok(())
    }

    #[test]
    fn contradictions_are_named() {
        for (line, part) in [
            ("--survey s.toml", "--catalogue"),
            ("--catalogue c.csv", "--survey"),
            ("--images x", "--labels"),
            ("--seeds 1,1", "named twice"),
            ("--steps 1", "--steps"),
            ("--width 0", "--width"),
            ("--sets 0", "--sets"),
        ] {
            let found = options(line).and_then(|options| options.settings(false)).expect_err(line);
            assert!(format!("{found:#}").contains(part), "{line}: {found:#}");
        }
    }
}
