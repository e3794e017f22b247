//! Where the computing is done: threads and device, chosen once per process.
use std::time::Duration;

use radio_tensor::kernel::{KERNEL_VARIABLE, kernel_in_use, kernel_request};

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

/// Why threads or device could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComputeError {
    /// The device is not part of this build.
    #[error("--device {device}: this build has no support for it: use --device cpu, or leave the option out")]
    NoSuchDevice {
        /// The device as the user names it.
        device: &'static str,
    },
    /// Threads are set up once per process.
    #[error("--threads {threads}: the thread pool cannot be made")]
    Threads {
        /// The number asked for.
        threads: u16,
        /// Why.
        source: rayon::ThreadPoolBuildError,
    },
}

/// Sets up threads and device, and says so on the terminal where `RADIO_SSL_KERNEL` asks for what there is not. Call once, before any work.
///
/// # Errors
/// [`ComputeError`] if the device is not available in this build, or threads were set up before.
pub fn use_compute(options: &ComputeOptions) -> Result<(), ComputeError> {
    if options.device == Device::Cuda {
        return Err(ComputeError::NoSuchDevice { device: "cuda" });
    }
    if let Some(threads) = options.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .map_err(|source| ComputeError::Threads { threads, source })?;
    }
    if let Some(request) = kernel_request().filter(|request| request != kernel_in_use().name()) {
        eprintln!("{KERNEL_VARIABLE}={request}: no such kernel here; using {}", kernel_in_use().name());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_that_is_not_there_is_a_typed_error_that_says_what_to_do() {
        let error = use_compute(&ComputeOptions { threads: None, device: Device::Cuda }).unwrap_err();
        assert!(matches!(error, ComputeError::NoSuchDevice { device: "cuda" }));
        let words = error.to_string();
        assert!(words.contains("--device cuda") && words.contains("use --device cpu"), "{words}");
    }
}
