//! Processor seconds and trustworthiness of a map, 5,000 rows of 512 features unless told: `rows columns repeats`.
//!
//! Threads as in `RAYON_NUM_THREADS`. umap-learn on the same machine: `benches/peers/umap_peer.py`.

use std::time::Instant;

use map_umap::{MapError, Umap, UmapConfig, trustworthiness};
use ndarray::Array2;
use neighbours::Metric;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn processor_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn main() -> Result<(), MapError> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let number = |place: usize, otherwise: usize| numbers.get(place).copied().unwrap_or(otherwise);
    let (rows, columns, repeats) = (number(0, 5_000), number(1, 512), number(2, 3));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // Eight overlapping clumps in 10 dimensions, seen through a random matrix, with noise.
    let mut gaussian = || (0..4).map(|_| rng.random_range(-0.866_f32..0.866)).sum::<f32>();
    let centres = Array2::from_shape_simple_fn((8, 10), || 1.5 * gaussian());
    let view = Array2::from_shape_simple_fn((10, columns), &mut gaussian);
    let inner = Array2::from_shape_fn((rows, 10), |(row, axis)| centres[(row % 8, axis)] + gaussian());
    let features = inner.dot(&view) + Array2::from_shape_simple_fn((rows, columns), || 0.3 * gaussian());
    for seed in 0..repeats as u64 {
        let (wall, processor) = (Instant::now(), processor_seconds());
        let map = Umap::fit(features.view(), &UmapConfig::published(seed))?;
        let (processor, wall) = (processor_seconds() - processor, wall.elapsed().as_secs_f64());
        let start = processor_seconds();
        map.transform(features.slice(ndarray::s![..rows.min(1000), ..]))?;
        let placing = processor_seconds() - start;
        let trust = trustworthiness(features.view(), map.embedding.view(), 15, Metric::Euclidean)?;
        println!(
            "{rows} x {columns}: {processor:.2} s of processor, {wall:.2} s; {} rows placed in {placing:.2} s of processor; \
             start {:?}; trustworthiness (15) {trust:.4}",
            rows.min(1000),
            map.start
        );
    }
    Ok(())
}
