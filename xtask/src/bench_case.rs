//! Our side of `bench-peers`: one case a process, one timing a request, as the Python peer does it.
use std::hint::black_box;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use radio_tensor::kernel::kernel_in_use;
use radio_tensor::resnet::{Depth, Precision, ResNet, ResNetConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use ssl_simclr::nt_xent::nt_xent_with_gradient;
use ssl_simclr::{Pretraining, SimClrConfig};

use crate::bench_sides::answer_timings;

/// Width of the embedding NT-Xent is timed on.
const DIM: usize = 128;

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

/// Sets the case up, warms up, and answers every line of the input with a timing.
pub fn bench_case(case: &str) -> Result<()> {
    let case: Case = serde_json::from_str(case).context("the case is no JSON of a known case")?;
    rayon::ThreadPoolBuilder::new().num_threads(case.threads).build_global().context("threads")?;
    let version = format!("radio-ssl {}, kernel {}", env!("CARGO_PKG_VERSION"), kernel_in_use().name());
    answer_timings(&format!("{:?}", case.task), &version, case.repeats, set_up(&case)?)
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
