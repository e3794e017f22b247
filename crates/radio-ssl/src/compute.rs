//! Where the computing is done: threads and device, chosen once per process.
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Options every long command has.
#[derive(Debug, Clone, clap::Args)]
pub struct ComputeOptions {
    /// Threads [default: all cores]. Results do not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// What computes.
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    pub device: Device,
}

/// How often a training saves its state.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct CheckpointOptions {
    /// Seconds between two checkpoints of the training; a kill loses at most that much.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub checkpoint_every: u64,
}

impl CheckpointOptions {
    /// The time between two checkpoints.
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.checkpoint_every)
    }
}

/// A compute device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Device {
    /// The processor.
    Cpu,
    /// A CUDA GPU.
    Cuda,
}

/// Sets up threads and device. Call once, before any work.
///
/// # Errors
/// If the device is not available in this build, or threads were set up before.
pub fn use_compute(options: &ComputeOptions) -> Result<()> {
    if options.device == Device::Cuda {
        bail!("--device cuda: this build has no CUDA support; use --device cpu");
    }
    if let Some(threads) = options.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .context("--threads: the thread pool exists already")?;
    }
    Ok(())
}
