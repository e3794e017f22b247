//! How long one step takes, and how much memory, for a batch that goes through the trunk in chunks.
//!
//! `cargo run -p ssl-simclr --example chunk_memory -- PAIRS CHUNK SIDE`
use std::error::Error;
use std::time::Instant;

use candle_core::{Device, Tensor};
use radio_tensor::DuringStep;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ssl_simclr::{Pretraining, SimClrConfig};

fn main() -> Result<(), Box<dyn Error>> {
    let number = |place: usize, default: usize| std::env::args().nth(place).map_or(Ok(default), |a| a.parse());
    let (pairs, chunk, side) = (number(1, 128)?, number(2, 32)?, number(3, 96)?);
    let config = SimClrConfig { chunk: Some(chunk), ..SimClrConfig::laptop(1, side, pairs, 1) };
    let mut run = Pretraining::new(config, pairs)?;
    let start = Instant::now();
    let outcome = run.step(1e-3, |chunk_idx| {
        // As the loader does it: made when asked for, the same each time, and not kept.
        let mut rng = ChaCha8Rng::seed_from_u64(chunk_idx as u64);
        let pixels: Vec<f32> = (0..2 * chunk * 3 * side * side).map(|_| rng.random()).collect();
        Ok(Tensor::from_vec(pixels, (2 * chunk, 3, side, side), &Device::Cpu).during("views")?)
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: not told").to_owned();
    println!("{pairs} pairs in chunks of {chunk}, {side} px: loss {:.4}, {seconds:.2} s, {peak}", outcome.loss);
    Ok(())
}
