//! The synthetic cutouts of the training tests.
use std::error::Error;

use ndarray::Array2;
use radio_augment::FrameSource;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Cutouts with noise and a few Gaussian sources each.
pub struct Sky(pub usize);

impl FrameSource for Sky {
    fn len(&self) -> usize {
        self.0
    }
    fn address(&self, i: usize) -> u64 {
        i as u64 * 17 + 5
    }
    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        let mut rng = ChaCha8Rng::seed_from_u64(i as u64);
        let sources: Vec<[f32; 4]> = (0..3)
            .map(|_| {
                [
                    rng.random_range(4.0..36.0),
                    rng.random_range(4.0..36.0),
                    rng.random_range(1.0..5.0),
                    rng.random_range(5.0..60.0),
                ]
            })
            .collect();
        Ok(Array2::from_shape_fn((40, 40), |(y, x)| {
            let light: f32 = sources
                .iter()
                .map(|s| s[3] * (-((y as f32 - s[0]).powi(2) + (x as f32 - s[1]).powi(2)) / (2.0 * s[2] * s[2])).exp())
                .sum();
            (light + rng.random_range(-1.0..1.0)) * 1e-5
        }))
    }
}
