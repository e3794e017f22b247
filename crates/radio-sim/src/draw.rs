//! Random draws from the few distributions the specification uses.
//!
//! Written out here, rather than taken from a crate, so that a survey keeps its bits when dependencies move on.

use rand::Rng;
use std::f64::consts::TAU;

/// Uniform number in `[low, high)`.
pub fn uniform(rng: &mut impl Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// Number whose logarithm is uniform between those of `low` and `high` (both positive).
pub fn log_uniform(rng: &mut impl Rng, low: f64, high: f64) -> f64 {
    uniform(rng, low.ln(), high.ln()).exp()
}

/// Standard normal number (Box-Muller, the cosine branch).
pub fn normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}

/// Lognormal number with the given median and scatter in dex.
pub fn lognormal(rng: &mut impl Rng, median: f64, dex: f64) -> f64 {
    median * 10f64.powf(dex * normal(rng))
}

/// Poisson number; sums of small Poisson numbers, so any mean is exact.
pub fn poisson(rng: &mut impl Rng, mean: f64) -> usize {
    let mut left = mean.max(0.0);
    let mut count = 0;
    while left > 0.0 {
        let part = left.min(30.0);
        left -= part;
        let limit = (-part).exp();
        let mut product = rng.random::<f64>();
        while product > limit {
            count += 1;
            product *= rng.random::<f64>();
        }
    }
    count
}

/// Beta(1.5, 3) by rejection: where the lobe emission of an FR-II lies, counted back from the hot spot.
pub fn beta_lobe(rng: &mut impl Rng) -> f64 {
    loop {
        let t = rng.random::<f64>();
        // The density t^0.5 (1-t)^2 peaks at t = 0.2 with 0.2863.
        if rng.random::<f64>() * 0.2863 < t.sqrt() * (1.0 - t) * (1.0 - t) {
            return t;
        }
    }
}

/// Index drawn with the given weights (not all zero).
pub fn weighted(rng: &mut impl Rng, weights: &[f64]) -> usize {
    let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
    for (i, w) in weights.iter().enumerate() {
        left -= w;
        if left < 0.0 {
            return i;
        }
    }
    weights.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, Layer};

    fn moments(n: usize, mut f: impl FnMut() -> f64) -> (f64, f64) {
        let v: Vec<f64> = (0..n).map(|_| f()).collect();
        let mean = v.iter().sum::<f64>() / n as f64;
        (mean, v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64)
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut rng = Address { seed: 5, layer: Layer::Sources, y: 0, x: 0, index: 0 }.rng();
        let n = 40_000;
        let (mean, var) = moments(n, || poisson(&mut rng, 319.0) as f64);
        assert!((mean - 319.0).abs() < 0.5 && (var / 319.0 - 1.0).abs() < 0.03, "poisson {mean} {var}");
        let (mean, var) = moments(n, || normal(&mut rng));
        assert!(mean.abs() < 0.02 && (var - 1.0).abs() < 0.03, "normal {mean} {var}");
        // Beta(a, b): mean a/(a+b), variance ab/((a+b)^2 (a+b+1)).
        let (mean, var) = moments(n, || beta_lobe(&mut rng));
        assert!((mean - 1.0 / 3.0).abs() < 0.005 && (var - 4.5 / (20.25 * 5.5)).abs() < 0.002, "beta {mean} {var}");
        let (mean, _) = moments(n, || weighted(&mut rng, &[1.0, 0.0, 3.0]) as f64);
        assert!((mean - 1.5).abs() < 0.02, "weighted {mean}");
        let (mean, _) = moments(n, || lognormal(&mut rng, 2.0, 0.3).log10());
        assert!((mean - 2f64.log10()).abs() < 0.01, "lognormal {mean}");
    }
}
