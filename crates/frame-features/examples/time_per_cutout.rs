//! What one description costs on one thread: `cargo run --example time_per_cutout`.

use std::{error::Error, hint::black_box, time::Instant};

use frame_features::{
    ComplexityConfig, PixelConfig, RingConfig, flux_statistics, gzip_complexity, pixel_row, ring_features,
};
use ndarray::{Array3, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const REPEATS: u32 = 40;

fn time<T, E>(name: &str, what: impl Fn() -> Result<T, E>) -> Result<(), E> {
    black_box(what()?);
    let start = Instant::now();
    for _ in 0..REPEATS {
        black_box(what()?);
    }
    println!("{name}: {:.2} ms", 1e3 * start.elapsed().as_secs_f64() / f64::from(REPEATS));
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for side in [64, 128, 256] {
        // Three channels of noise with a source in the middle; the first stands for the cutout too.
        let channels = Array3::from_shape_fn((3, side, side), |(_, y, x)| {
            let r2 = (y as f32 - 0.5 * side as f32).powi(2) + (x as f32 - 0.4 * side as f32).powi(2);
            (0.8 * (-r2 / 50.0).exp() + 0.1 * (rng.random::<f32>() + rng.random::<f32>())).min(1.0)
        });
        let cutout = channels.index_axis(Axis(0), 0);
        println!("3 channels of {side} x {side} pixels");
        time("  ring_features", || ring_features(channels.view(), &RingConfig::sixteen_rings()))?;
        time("  flux_statistics (one plane)", || flux_statistics(cutout))?;
        time("  gzip_complexity", || gzip_complexity(channels.view(), &ComplexityConfig::two_scales()))?;
        time("  pixel_row", || pixel_row(channels.view(), &PixelConfig::thirty_two()))?;
    }
    Ok(())
}
