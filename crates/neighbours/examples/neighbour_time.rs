//! Processor seconds of an exact search, 20,000 rows of 512 features and 15 neighbours unless told: `rows columns k repeats`.
//!
//! Threads as in `RAYON_NUM_THREADS`. scikit-learn on the same machine: `benches/peers/neighbours_peer.py`.

use std::time::Instant;

use ndarray::Array2;
use neighbours::{Metric, NeighbourError, nearest_neighbours};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn processor_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn main() -> Result<(), NeighbourError> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let number = |place: usize, otherwise: usize| numbers.get(place).copied().unwrap_or(otherwise);
    let (rows, columns, k, repeats) = (number(0, 20_000), number(1, 512), number(2, 15), number(3, 3));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // Near enough to a Gaussian.
    let features =
        Array2::from_shape_simple_fn((rows, columns), || (0..4).map(|_| rng.random_range(-0.866_f32..0.866)).sum());
    for metric in [Metric::Euclidean, Metric::Cosine] {
        for _ in 0..repeats {
            let (wall, processor) = (Instant::now(), processor_seconds());
            let nearest = nearest_neighbours(features.view(), k, metric)?;
            let (processor, wall) = (processor_seconds() - processor, wall.elapsed().as_secs_f64());
            let sum: u64 = nearest.rows.iter().map(|&row| u64::from(row)).sum();
            println!("{metric:?} {rows} x {columns}, k = {k}: {processor:.2} s of processor, {wall:.2} s (sum {sum})");
        }
    }
    Ok(())
}
