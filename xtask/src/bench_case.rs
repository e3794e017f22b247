//! Our side of `bench-peers`: one case a process, one timing a request, as the Python peer does it.
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use radio_tensor::kernel::kernel_in_use;
use radio_tensor::resnet::{Depth, Precision, ResNet, ResNetConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use ssl_simclr::nt_xent::nt_xent_with_gradient;
use ssl_simclr::{Pretraining, SimClrConfig};

/// Width of the embedding NT-Xent is timed on.
const DIM: usize = 128;
/// Rounds before the first timing.
const WARM_UP: usize = 2;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A whole SimCLR step: forward, loss, backward, Adam.
    Step,
    /// Features of images.
    Embed,
    /// NT-Xent, forward and backward.
    NtXent,
}

/// One case, as both sides get it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What is timed.
    pub task: Task,
    /// Numbers it computes with.
    pub precision: Precision,
    /// Side of the images, pixels.
    pub side: usize,
    /// Pairs, or images to embed.
    pub count: usize,
    /// Rounds of one timing.
    pub repeats: usize,
    /// Threads.
    pub threads: usize,
}

impl Case {
    /// The case in words.
    pub fn words(&self) -> String {
        let precision = if self.precision == Precision::Bf16 { "bf16" } else { "f32" };
        let (side, count) = (self.side, self.count);
        match self.task {
            Task::Step => format!("SimCLR step, {precision}, {side} px, {count} pairs"),
            Task::Embed => format!("embedding, {precision}, {side} px, batch {count}"),
            Task::NtXent => format!("NT-Xent forward + backward, {precision}, {count} pairs, D = {DIM}"),
        }
    }

    /// What the items of a second are.
    pub fn unit(&self) -> &'static str {
        if self.task == Task::Embed { "images/s" } else { "pairs/s" }
    }
}

/// What a process says once it is warm.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ready {
    /// The task.
    pub ready: String,
    /// What computes.
    pub version: String,
}

/// One timing.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Timing {
    /// Of one round.
    pub seconds: f64,
    /// Largest resident memory of the process so far, where the system tells.
    pub peak_kib: Option<u64>,
}

/// Sets the case up, warms up, and answers every line of the input with a timing.
pub fn bench_case(case: &str) -> Result<()> {
    let case: Case = serde_json::from_str(case).context("the case is no JSON of a known case")?;
    rayon::ThreadPoolBuilder::new().num_threads(case.threads).build_global().context("threads")?;
    let mut round = set_up(&case)?;
    for _ in 0..WARM_UP {
        round()?;
    }
    let version = format!("radio-ssl {}, kernel {}", env!("CARGO_PKG_VERSION"), kernel_in_use().name());
    say(&Ready { ready: format!("{:?}", case.task), version })?;
    for line in std::io::stdin().lock().lines() {
        line.context("standard input")?;
        let start = Instant::now();
        for _ in 0..case.repeats {
            round()?;
        }
        say(&Timing { seconds: start.elapsed().as_secs_f64() / case.repeats as f64, peak_kib: peak_kib() })?;
    }
    Ok(())
}

fn say(line: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(line)?)?;
    Ok(out.flush()?)
}

fn set_up(case: &Case) -> Result<Box<dyn FnMut() -> Result<()>>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut images = |n: usize| -> Result<Tensor> {
        let pixels: Vec<f32> = (0..n * 3 * case.side * case.side).map(|_| rng.random()).collect();
        Ok(Tensor::from_vec(pixels, (n, 3, case.side, case.side), &Device::Cpu)?)
    };
    Ok(match case.task {
        Task::Step => {
            let views = images(2 * case.count)?;
            let config =
                SimClrConfig { precision: case.precision, ..SimClrConfig::laptop(1, case.side, case.count, 1) };
            let mut run = Pretraining::new(config, case.count)?;
            Box::new(move || {
                black_box(run.step(1e-3, |_| Ok(views.clone()))?);
                Ok(())
            })
        }
        Task::Embed => {
            let images = images(case.count)?;
            let config = ResNetConfig { depth: Depth::ResNet18, width: 64 };
            let mut trunk = ResNet::new(config, &mut ChaCha8Rng::seed_from_u64(1));
            trunk.set_precision(case.precision);
            Box::new(move || {
                black_box(trunk.embed(&images)?);
                Ok(())
            })
        }
        Task::NtXent => {
            let z: Vec<f32> = (0..2 * case.count * DIM).map(|_| rng.random_range(-1.0..1.0)).collect();
            Box::new(move || {
                black_box(nt_xent_with_gradient(black_box(&z), DIM, 0.1));
                Ok(())
            })
        }
    })
}

/// VmHWM of this process, KiB.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}
