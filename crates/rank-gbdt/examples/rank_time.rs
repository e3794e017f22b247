//! How long ranking takes: 5,800 rows x 512 features, 100 rounds, the paper's parameters; the median of seven runs.
//!
//! Threads as in `RAYON_NUM_THREADS`. The same shapes and parameters as the LightGBM measurement it is compared with.

use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rank_gbdt::{RankConfig, boost::boost};

fn main() -> Result<(), rank_gbdt::RankError> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    // The sum of four uniform numbers is near enough to a Gaussian one.
    let mut normal = || (0..4).map(|_| rng.random_range(-0.866_f32..0.866)).sum::<f32>();
    let features = ndarray::Array2::from_shape_fn((5800, 512), |_| normal());
    let weight = |column: usize| 1.5 - 0.1 * column as f32;
    let interesting: Vec<bool> = features
        .rows()
        .into_iter()
        .map(|row| (0..15).map(|column| weight(column) * row[column]).sum::<f32>() + normal() > 4.2)
        .collect();
    let mut seconds = Vec::new();
    for _ in 0..7 {
        let start = Instant::now();
        let booster = boost(features.view(), &interesting, None, &RankConfig::paper())?;
        seconds.push(start.elapsed().as_secs_f64());
        assert_eq!(booster.trees.len(), 100);
    }
    seconds.sort_by(f64::total_cmp);
    println!(
        "5800 x 512, 100 rounds, {} threads: median {:.3} s, fastest {:.3} s",
        rayon::current_num_threads(),
        seconds[3],
        seconds[0]
    );
    Ok(())
}
