//! What a graph costs and finds beside the exact search, 50,000 rows of 512 features and 10 neighbours unless told: `rows columns hidden`.
//!
//! Features as encoders make them: `hidden` numbers (20) explain all columns. Processor seconds of building, and of a thousand queries either way.

use std::time::Instant;

use ndarray::{Array2, s};
use neighbours::{GraphSettings, Metric, NeighbourError, near_in, nearest_in, recall};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const QUERIES: usize = 1000;

fn processor_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn timed<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let (wall, processor) = (Instant::now(), processor_seconds());
    let result = work();
    println!("{name}: {:.2} s of processor, {:.2} s", processor_seconds() - processor, wall.elapsed().as_secs_f64());
    result
}

fn main() -> Result<(), NeighbourError> {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let number = |place: usize, otherwise: usize| numbers.get(place).copied().unwrap_or(otherwise);
    let (rows, columns, hidden) = (number(0, 50_000), number(1, 512), number(2, 20));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut normal = || (0..4).map(|_| rng.random_range(-0.866_f32..0.866)).sum::<f32>();
    let mixing = Array2::from_shape_simple_fn((hidden, columns), &mut normal);
    let all = Array2::from_shape_simple_fn((rows + QUERIES, hidden), &mut normal).dot(&mixing);
    let all = all.mapv(|value| value.max(0.0));
    let (queries, reference) = (all.slice(s![rows.., ..]), all.slice(s![..rows, ..]));
    let (settings, metric) = (GraphSettings::with_seed(1), Metric::Cosine);
    println!("{rows} x {columns}, {hidden} hidden numbers, k = 10");
    timed("graph, 1 query", || near_in(queries.slice(s![..1, ..]), reference, 10, metric, &settings))?;
    let found = timed("graph, 1000 queries", || near_in(queries, reference, 10, metric, &settings))?;
    timed("exact, 1 query", || nearest_in(queries.slice(s![..1, ..]), reference, 10, metric))?;
    let truth = timed("exact, 1000 queries", || nearest_in(queries, reference, 10, metric))?;
    println!("recall {:.4}", recall(&found, &truth));
    Ok(())
}
