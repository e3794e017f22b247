//! `bench-pipeline`: pairs a second from a FITS mosaic to updated weights, and where the time goes.
//!
//! The rate is that of the real training loop, whose loader works ahead of the model; beside it stands the step alone on views that are
//! ready. The shares come from the same batches taken through one stage after the other, each on all threads.
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{Device, Tensor};
use ndarray::Array2;
use radio_augment::{FrameSource, Preparation, ViewLoader, recycle};
use radio_sim::{SimConfig, Tier};
use radio_ssl::frames::SurveyFrames;
use radio_ssl::stages::{open_survey, simulate_into};
use radio_tensor::adam::Adam;
use radio_tensor::kernel::kernel_in_use;
use radio_tensor::resnet::Precision;
use rayon::prelude::*;
use ssl_simclr::{Pretraining, SimClrConfig, pretrain};

use crate::bench_page::{Watch, circumstances, ensure_quiet, median, ticks_of, write_between};

/// Options of the command.
#[derive(clap::Args)]
pub struct BenchPipeline {
    /// Side of the views, pairs of a batch, precision; may be given several times.
    #[arg(long = "case", value_name = "SIDE:PAIRS:PRECISION", value_parser = parse_case,
          default_values = ["224:16:bf16", "224:16:f32", "96:64:bf16", "96:64:f32"])]
    cases: Vec<PipelineCase>,
    /// Batches a timing takes.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(3..))]
    batches: u16,
    /// Timings of loop and bare step, in turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(3..))]
    alternations: u16,
    /// Threads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Print the table and leave the page alone.
    #[arg(long)]
    dry: bool,
    /// The page the table goes to.
    #[arg(long, default_value = "docs/benchmarks.md", value_name = "FILE")]
    page: PathBuf,
}

/// One way to train.
#[derive(Debug, Clone, Copy)]
struct PipelineCase {
    side: usize,
    pairs: usize,
    precision: Precision,
}

fn parse_case(text: &str) -> Result<PipelineCase, String> {
    let wrong = || format!("`{text}` is not like 224:16:bf16");
    let mut parts = text.split(':');
    let mut number = |least: usize| {
        let value = parts.next().and_then(|part| part.parse::<usize>().ok());
        value.filter(|value| (least..=4096).contains(value)).ok_or_else(wrong)
    };
    let (side, pairs) = (number(32)?, number(2)?);
    let precision = match (parts.next(), parts.next()) {
        (Some("bf16"), None) => Precision::Bf16,
        (Some("f32"), None) => Precision::F32,
        _ => return Err(wrong()),
    };
    Ok(PipelineCase { side, pairs, precision })
}

/// Stages of a step, in order.
const STAGES: [&str; 5] = [
    "read and decode FITS windows",
    "channels recipe (stretch)",
    "augmentation, resize (two views)",
    "forward, NT-Xent, backward",
    "Adam",
];

/// Simulates the demo sky, trains on it, and writes the table.
pub fn bench_pipeline(options: &BenchPipeline) -> Result<()> {
    let threads = usize::from(options.threads);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("threads")?;
    let (batches, alternations) = (usize::from(options.batches), usize::from(options.alternations));
    let folder = tempfile::tempdir().context("a folder for the sky")?;
    let sky = folder.path().join("sky");
    simulate_into(&SimConfig::emu_pilot(Tier::Demo, 1), &[], &sky)?;
    let used = || ticks_of(std::process::id()).unwrap_or(0);
    let watch = Watch::start(used());
    let mut text = format!(
        "| views | FITS to weights | bare step | ratio (range) | {} |\n|---|---|---|---|{}\n",
        STAGES.join(" | "),
        "---|".repeat(STAGES.len())
    );
    let mut frames_of_sky = 0;
    for &PipelineCase { side, pairs, precision } in &options.cases {
        let config = SimClrConfig { precision, ..SimClrConfig::laptop(1, side, pairs, 1) };
        let frames = SurveyFrames::open(&open_survey(&sky.join("survey.toml"))?, &config.recipe)?;
        ensure!(frames.len() >= (batches + 1) * pairs, "{} frames are too few for {batches} batches", frames.len());
        frames_of_sky = frames.len();
        let (mut rates, mut bares, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let mut shares: [Vec<f64>; 5] = Default::default();
        for _ in 0..alternations {
            let rate = training_rate(&config, &frames, batches)?;
            let stages = stage_times(&config, &frames, batches)?;
            let whole: f64 = stages.iter().sum();
            let bare = pairs as f64 / (stages[3] + stages[4]);
            rates.push(rate);
            bares.push(bare);
            ratios.push(rate / bare);
            shares.iter_mut().zip(stages).for_each(|(share, stage)| share.push(100.0 * stage / whole));
        }
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        let _ = write!(
            text,
            "| {side} px, {pairs} pairs, {} | {:.1} pairs/s | {:.1} pairs/s | **{:.2}** ({least:.2}–{most:.2}) |",
            precision.name(),
            median(&rates),
            median(&bares),
            median(&ratios)
        );
        for share in &shares {
            let _ = write!(text, " {:.1} % |", median(share));
        }
        text.push('\n');
    }
    let others = watch.others(used());
    let _ = writeln!(
        text,
        "\nRate of the real training loop, whose loader works ahead of the model on the same threads, beside the step alone on views \
         that are ready (asked of the ratio: 0.93), in the second epoch: the first works out each frame's limits, once for a run. Shares are of the stages taken one after the other. Demo sky of {frames_of_sky} \
         frames of 256 px, medians of {alternations} alternations of {batches} batches, kernel {}. Other processes took {:.0} % of \
         the processor. {}",
        kernel_in_use().name(),
        100.0 * others,
        circumstances(threads, &[format!("radio-ssl {}", env!("CARGO_PKG_VERSION"))])
    );
    println!("{text}");
    if options.dry {
        return Ok(());
    }
    ensure_quiet(others, &options.page)?;
    write_between(&options.page, "bench-pipeline", "From FITS to updated weights", &text)
}

/// The leading frames of a sky, so that an epoch is as long as a timing.
struct LeadingFrames {
    frames: Arc<SurveyFrames>,
    len: usize,
}

impl FrameSource for LeadingFrames {
    fn len(&self) -> usize {
        self.len
    }

    fn address(&self, i: usize) -> u64 {
        self.frames.address(i)
    }

    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn std::error::Error + Send + Sync>> {
        self.frames.pixels(i)
    }
}

/// Pairs a second of the training loop in its second epoch, the first step of it left out: in the first epoch the loader works out,
/// once for a run, what each frame's stretch needs.
fn training_rate(config: &SimClrConfig, frames: &Arc<SurveyFrames>, batches: usize) -> Result<f64> {
    let config = SimClrConfig { epochs: 2, ..config.clone() };
    let len = (batches + 1) * config.batch_size;
    let source = LeadingFrames { frames: frames.clone(), len };
    let mut run = Pretraining::new(config.clone(), len)?;
    let mut ends = Vec::new();
    pretrain(&mut run, Arc::new(source), |_, step| {
        if step.epoch == 1 {
            ends.push(Instant::now());
        }
        ControlFlow::Continue(())
    })?;
    let seconds = match (ends.first(), ends.last()) {
        (Some(first), Some(last)) => (*last - *first).as_secs_f64(),
        _ => f64::NAN,
    };
    Ok(((ends.len() - 1) * config.batch_size) as f64 / seconds)
}

/// Seconds a batch of every stage, in the mean.
fn stage_times(config: &SimClrConfig, frames: &Arc<SurveyFrames>, batches: usize) -> Result<[f64; 5]> {
    let len = (batches + 1) * config.batch_size;
    let source: Arc<dyn FrameSource> = Arc::new(LeadingFrames { frames: frames.clone(), len });
    let loader = ViewLoader::new(source.clone(), config.recipe.clone(), config.augmenter.clone(), config.seed);
    let Preparation::Recipe(recipe) = &config.recipe else {
        bail!("the stages are those of a recipe, not of a list of steps")
    };
    let mut run = Pretraining::new(config.clone(), source.len())?;
    let mut weights = run.trunk().parameters().to_vec();
    let gradients: Vec<Vec<f32>> = weights.iter().map(|p| vec![1e-3; p.values.len()]).collect();
    let mut adam = Adam::new(config.adam, weights.iter());
    let mut seconds: [Vec<f64>; 5] = Default::default();
    // As in the loop: one epoch to warm everything up, and the first batch of the second.
    let both: Vec<usize> = (0..2).flat_map(|epoch| loader.epoch_order(epoch, len)).collect();
    for (batch, places) in both.chunks_exact(config.batch_size).enumerate() {
        let clock = Instant::now();
        let pixels = places.par_iter().map(|&i| source.pixels(i)).collect::<Result<Vec<_>, _>>();
        let pixels = pixels.map_err(|error| anyhow::anyhow!("{error}"))?;
        let read = clock.elapsed().as_secs_f64();
        let limits = pixels.par_iter().map(|cutout| recipe.limits(cutout.view())).collect::<Result<Vec<_>, _>>()?;
        let clock = Instant::now();
        pixels.par_iter().zip(&limits).for_each(|(cutout, limits)| recycle(recipe.stretch(cutout.view(), limits)));
        let stretched = clock.elapsed().as_secs_f64();
        // The loader does all three, once it knows the frames' limits: what is left is augmentation with its resize.
        let clock = Instant::now();
        let views = loader.views(u64::from(batch > batches), places)?;
        let augmentation = (clock.elapsed().as_secs_f64() - read - stretched).max(0.0);
        let shape = views.dim();
        let views = Tensor::from_vec(views.into_raw_vec_and_offset().0, shape, &Device::Cpu)?;
        let clock = Instant::now();
        run.step(1e-3, |_| Ok(views.clone()))?;
        let step = clock.elapsed().as_secs_f64();
        let clock = Instant::now();
        adam.step(1e-3, weights.iter_mut(), &gradients)?;
        let update = clock.elapsed().as_secs_f64();
        if batch > batches + 1 {
            for (all, one) in seconds.iter_mut().zip([read, stretched, augmentation, step - update, update]) {
                all.push(one);
            }
        }
    }
    Ok(seconds.map(|all| all.iter().sum::<f64>() / all.len() as f64))
}
