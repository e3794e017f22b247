//! How long a forest takes: 55,773 rows (the paper's EMU pilot frames), 200 trees; medians of five fits and scores.
//!
//! Threads as in `RAYON_NUM_THREADS`. Name cases as `columns:samples` (0 samples = automatic), e.g. `10:0 512:1115`.

use std::time::Instant;

use anomaly_iforest::{Contamination, ForestConfig, ForestError, IsolationForest, MaxFeatures, MaxSamples};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ROWS: usize = 55_773;

fn main() -> Result<(), ForestError> {
    let mut cases: Vec<String> = std::env::args().skip(1).collect();
    if cases.is_empty() {
        cases = ["10:0", "512:0", "10:1115", "512:1115", "10:55773"].map(String::from).to_vec();
    }
    for case in cases {
        let Some((Ok(columns), Ok(samples))) =
            case.split_once(':').map(|(c, s)| (c.parse::<usize>(), s.parse::<usize>()))
        else {
            eprintln!("{case}: expected columns:samples");
            continue;
        };
        let mut rng = ChaCha8Rng::seed_from_u64(columns as u64);
        // The sum of four uniform numbers is near enough to a Gaussian one.
        let features = ndarray::Array2::from_shape_simple_fn((ROWS, columns), || {
            (0..4).map(|_| rng.random_range(-0.866_f32..0.866)).sum()
        });
        let config = ForestConfig {
            n_trees: 200,
            max_samples: if samples == 0 { MaxSamples::Auto } else { MaxSamples::Count(samples) },
            max_features: MaxFeatures::All,
            contamination: Contamination::Auto,
            bootstrap: false,
            seed: 0,
        };
        let (mut fit_s, mut score_s) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let start = Instant::now();
            let forest = IsolationForest::fit(features.view(), &config)?;
            fit_s.push(start.elapsed().as_secs_f64());
            let start = Instant::now();
            forest.scores(features.view())?;
            score_s.push(start.elapsed().as_secs_f64());
        }
        fit_s.sort_by(f64::total_cmp);
        score_s.sort_by(f64::total_cmp);
        let threads = rayon::current_num_threads();
        println!(
            "{columns} columns, {samples} samples, {threads} threads: fit {:.4} s (fastest {:.4}), score {:.4} s (fastest {:.4})",
            fit_s[2], fit_s[0], score_s[2], score_s[0]
        );
    }
    Ok(())
}
