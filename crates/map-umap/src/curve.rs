//! The two numbers of UMAP's low-dimensional similarity, fitted to the wanted spacing of points.

/// Points at which the curves are compared.
const POINTS: usize = 300;
const MAX_ROUNDS: usize = 500;

/// Similarity `1 / (1 + a d^(2 b))` of two points at distance `d` on the map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// See above.
    pub a: f64,
    /// See above.
    pub b: f64,
}

/// Least squares (Levenberg-Marquardt) against 1 up to `min_dist` and `exp(-(d - min_dist) / spread)` beyond, on 300 points
/// from 0 to three spreads, from a = b = 1, as umap-learn does. `None` if the settings allow no fit.
pub(crate) fn fit_similarity(min_dist: f64, spread: f64) -> Option<Similarity> {
    let samples: Vec<(f64, f64)> = (1..POINTS)
        .map(|i| {
            let d = 3.0 * spread * i as f64 / (POINTS - 1) as f64;
            (d, if d < min_dist { 1.0 } else { (-(d - min_dist) / spread).exp() })
        })
        .collect();
    let error = |a: f64, b: f64| -> f64 {
        samples.iter().map(|&(d, y)| ((1.0 + a * d.powf(2.0 * b)).recip() - y).powi(2)).sum()
    };
    let (mut a, mut b, mut damping) = (1.0, 1.0, 1e-3);
    let mut now = error(a, b);
    for _ in 0..MAX_ROUNDS {
        let (mut aa, mut ab, mut bb, mut ra, mut rb) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for &(d, y) in &samples {
            let power = d.powf(2.0 * b);
            let f = (1.0 + a * power).recip();
            let (da, db) = (-power * f * f, -2.0 * a * d.ln() * power * f * f);
            aa += da * da;
            ab += da * db;
            bb += db * db;
            ra += da * (y - f);
            rb += db * (y - f);
        }
        let (daa, dbb) = (aa * (1.0 + damping), bb * (1.0 + damping));
        let determinant = daa * dbb - ab * ab;
        let (step_a, step_b) = ((ra * dbb - rb * ab) / determinant, (rb * daa - ra * ab) / determinant);
        let next = error(a + step_a, b + step_b);
        if next <= now && a + step_a > 0.0 && b + step_b > 0.0 {
            (a, b, now) = (a + step_a, b + step_b, next);
            damping = (damping / 10.0).max(1e-15);
            if step_a.abs() <= 1e-12 * a && step_b.abs() <= 1e-12 * b {
                break;
            }
        } else {
            damping *= 10.0;
            if damping > 1e15 {
                break;
            }
        }
    }
    (a.is_finite() && b.is_finite() && now.is_finite()).then_some(Similarity { a, b })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `find_ab_params` of umap-learn 0.5.12, whose fit ends at 1e-8 of the sum of squares.
    #[test]
    fn as_umap_learn() {
        for (min_dist, spread, a, b) in [
            (0.1, 1.0, 1.576_943_460_269_765_2, 0.895_060_877_851_573_3),
            (0.001, 1.0, 1.929_073_395_935_085, 0.791_504_533_427_439_3),
            (0.5, 1.0, 0.583_030_020_341_442_5, 1.334_166_992_431_491_4),
            (0.99, 1.0, 0.119_305_299_924_078_73, 1.916_390_416_880_251_7),
            (0.1, 2.0, 0.544_660_539_941_866_3, 0.842_055_426_834_179_1),
        ] {
            let ours = fit_similarity(min_dist, spread).unwrap();
            assert!((ours.a - a).abs() < 5e-6 && (ours.b - b).abs() < 5e-6, "{min_dist}, {spread}: {ours:?}");
        }
    }
}
