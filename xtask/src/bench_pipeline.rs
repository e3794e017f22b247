//! `bench-pipeline`: pairs a second from a FITS mosaic to updated weights, and where the time goes.
//!
//! The rate is that of the real training loop, whose loader works ahead of the model. The shares come from the same
//! batches taken through one stage after the other, each on all threads.
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use radio_augment::{FrameSource, ViewLoader};
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
    /// Pairs of a batch.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(2..))]
    pairs: u16,
    /// Side of the views, pixels.
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u16).range(32..))]
    side: u16,
    /// Batches that are timed.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(3..))]
    batches: u16,
    /// Threads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Compute in bf16.
    #[arg(long)]
    bf16: bool,
    /// Print the table and leave the page alone.
    #[arg(long)]
    dry: bool,
    /// The page the table goes to.
    #[arg(long, default_value = "docs/benchmarks.md", value_name = "FILE")]
    page: PathBuf,
}

/// Stages of a step, in order.
const STAGES: [&str; 5] = [
    "read and decode FITS windows",
    "channels recipe (limits, stretch, resize)",
    "augmentation (two views)",
    "forward, NT-Xent, backward",
    "Adam",
];

/// Simulates the demo sky, trains on it, and writes the table.
pub fn bench_pipeline(options: &BenchPipeline) -> Result<()> {
    let threads = usize::from(options.threads);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("threads")?;
    let (pairs, side, batches) = (usize::from(options.pairs), usize::from(options.side), usize::from(options.batches));
    let precision = if options.bf16 { Precision::Bf16 } else { Precision::F32 };
    let config = SimClrConfig { precision, ..SimClrConfig::laptop(1, side, pairs, 1) };
    let folder = tempfile::tempdir().context("a folder for the sky")?;
    let sky = folder.path().join("sky");
    simulate_into(&SimConfig::emu_pilot(Tier::Demo, 1), &sky)?;
    let frames = SurveyFrames::open(&open_survey(&sky.join("survey.toml"))?, &config.recipe)?;
    ensure!(frames.len() >= (batches + 1) * pairs, "{} frames are too few for {batches} batches", frames.len());

    let used = || ticks_of(std::process::id()).unwrap_or(0);
    let watch = Watch::start(used());
    let rate = training_rate(&config, &frames, batches)?;
    let stages = stage_times(&config, &frames, batches)?;
    let others = watch.others(used());
    let whole: f64 = stages.iter().sum();
    let mut text = String::from("| stage | ms a batch | share |\n|---|---|---|\n");
    for (stage, seconds) in STAGES.iter().zip(stages) {
        let _ = writeln!(text, "| {stage} | {:.1} | {:.1} % |", 1e3 * seconds, 100.0 * seconds / whole);
    }
    let _ = writeln!(
        text,
        "\n**{rate:.1} pairs/s** from FITS to updated weights: {side} px, {pairs} pairs a batch, {}, kernel {}, demo sky of \
         {} frames; rate of the training loop, shares of the stages one after the other, medians of {batches} batches. Other \
         processes took {:.0} % of the processor. {}",
        if options.bf16 { "bf16" } else { "f32" },
        kernel_in_use().name(),
        frames.len(),
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

/// Pairs a second of the training loop, its first step left out.
fn training_rate(config: &SimClrConfig, frames: &Arc<SurveyFrames>, batches: usize) -> Result<f64> {
    let source: Arc<dyn FrameSource> = frames.clone();
    let mut run = Pretraining::new(config.clone(), source.len())?;
    let mut ends = Vec::new();
    pretrain(&mut run, source, |_, _| {
        ends.push(Instant::now());
        if ends.len() > batches { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let seconds = match (ends.first(), ends.last()) {
        (Some(first), Some(last)) => (*last - *first).as_secs_f64(),
        _ => f64::NAN,
    };
    Ok(((ends.len() - 1) * config.batch_size) as f64 / seconds)
}

/// Seconds a batch of every stage.
fn stage_times(config: &SimClrConfig, frames: &Arc<SurveyFrames>, batches: usize) -> Result<[f64; 5]> {
    let source: Arc<dyn FrameSource> = frames.clone();
    let loader = ViewLoader::new(source.clone(), config.recipe.clone(), config.augmenter.clone(), config.seed);
    let order = loader.epoch_order(1, source.len());
    let mut run = Pretraining::new(config.clone(), source.len())?;
    let mut weights = run.trunk().parameters().to_vec();
    let gradients: Vec<Vec<f32>> = weights.iter().map(|p| vec![1e-3; p.values.len()]).collect();
    let mut adam = Adam::new(config.adam, weights.iter());
    let mut seconds: [Vec<f64>; 5] = Default::default();
    for (batch, places) in order.chunks_exact(config.batch_size).take(batches + 1).enumerate() {
        let clock = Instant::now();
        let pixels = places.par_iter().map(|&i| source.pixels(i)).collect::<Result<Vec<_>, _>>();
        let pixels = pixels.map_err(|error| anyhow::anyhow!("{error}"))?;
        let read = clock.elapsed().as_secs_f64();
        let clock = Instant::now();
        let channels =
            pixels.par_iter().map(|cutout| config.recipe.channels(cutout.view())).collect::<Result<Vec<_>, _>>();
        drop(channels?);
        let recipe = clock.elapsed().as_secs_f64();
        // The loader does all three, for frames it has not seen: what is left is augmentation.
        let clock = Instant::now();
        let views = loader.views(1, places)?;
        let augmentation = (clock.elapsed().as_secs_f64() - read - recipe).max(0.0);
        let shape = views.dim();
        let views = Tensor::from_vec(views.into_raw_vec_and_offset().0, shape, &Device::Cpu)?;
        let clock = Instant::now();
        run.step(1e-3, |_| Ok(views.clone()))?;
        let step = clock.elapsed().as_secs_f64();
        let clock = Instant::now();
        adam.step(1e-3, weights.iter_mut(), &gradients)?;
        let update = clock.elapsed().as_secs_f64();
        // The first batch warms everything up.
        if batch > 0 {
            for (all, one) in seconds.iter_mut().zip([read, recipe, augmentation, step - update, update]) {
                all.push(one);
            }
        }
    }
    Ok(seconds.map(|all| median(&all)))
}
