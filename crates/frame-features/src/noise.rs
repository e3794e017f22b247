//! Median and noise of a cutout from its sorted pixels, measured so that sources in it hardly matter.

/// From the median absolute deviation to the standard deviation of a Gaussian, 1 / Φ⁻¹(3/4).
const GAUSSIAN_FROM_MAD: f64 = 1.482_602_218_505_602;

/// Pixels further than this from the median, in units of the rms, are clipped.
const CLIP: f64 = 3.0;

/// Rounds of clipping; real maps need two to four.
const MAX_ROUNDS: usize = 10;

/// The empty sky of a cutout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Noise {
    /// Median of the pixels left by the clipping, in the unit of the pixels.
    pub median: f64,
    /// 1.4826 times the median absolute deviation of the pixels left by the clipping.
    pub rms: f64,
}

/// Noise of ascending finite pixels; at least one.
///
/// Pixels further than 3 rms from the median are dropped, over and over until none is. Where more than half of the pixels
/// are equal the deviation vanishes, and the root mean square deviation of all pixels from their median stands in for it;
/// it is 0 only for a constant cutout.
pub(crate) fn clipped_noise(sorted: &[f32]) -> Noise {
    let mut kept = sorted;
    let mut noise = Noise { median: median_of_sorted(kept), rms: 0.0 };
    for _ in 0..MAX_ROUNDS {
        let median = median_of_sorted(kept);
        let rms = GAUSSIAN_FROM_MAD * median_deviation(kept, median);
        if rms == 0.0 {
            break;
        }
        noise = Noise { median, rms };
        let first = kept.partition_point(|&v| f64::from(v) < median - CLIP * rms);
        let end = kept.partition_point(|&v| f64::from(v) <= median + CLIP * rms);
        if end - first == kept.len() {
            break;
        }
        kept = &kept[first..end];
    }
    if noise.rms == 0.0 {
        let squares: f64 = sorted.iter().map(|&v| (f64::from(v) - noise.median).powi(2)).sum();
        noise.rms = (squares / sorted.len() as f64).sqrt();
    }
    noise
}

/// Percentile (0 to 100) of ascending values, linear between ranks as in `numpy.percentile`; at least one value.
pub(crate) fn percentile_of_sorted(sorted: &[f32], percent: f64) -> f64 {
    let place = percent / 100.0 * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let (low, high) = (f64::from(sorted[below]), f64::from(sorted[above]));
    low + (high - low) * (place - place.floor())
}

fn median_of_sorted(sorted: &[f32]) -> f64 {
    percentile_of_sorted(sorted, 50.0)
}

/// Median of `|v - centre|`: walks outwards from the centre and takes the nearer neighbour until half of the values are passed.
fn median_deviation(sorted: &[f32], centre: f64) -> f64 {
    let n = sorted.len();
    let mut above = sorted.partition_point(|&v| f64::from(v) < centre);
    let mut below = above;
    let (mut previous, mut nearest) = (0.0, 0.0);
    for _ in 0..n / 2 + 1 {
        previous = nearest;
        let left = if below > 0 { centre - f64::from(sorted[below - 1]) } else { f64::INFINITY };
        let right = if above < n { f64::from(sorted[above]) - centre } else { f64::INFINITY };
        nearest = left.min(right);
        if left < right {
            below -= 1;
        } else {
            above += 1;
        }
    }
    if n % 2 == 1 { nearest } else { 0.5 * (previous + nearest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// The slow, obvious version: sorts the deviations.
    fn slow_median_deviation(values: &[f32], centre: f64) -> f64 {
        let mut deviations: Vec<f64> = values.iter().map(|&v| (f64::from(v) - centre).abs()).collect();
        deviations.sort_by(f64::total_cmp);
        let n = deviations.len();
        0.5 * (deviations[(n - 1) / 2] + deviations[n / 2])
    }

    #[test]
    fn walking_outwards_finds_the_median_deviation() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for n in 1..200 {
            // Every other set has many ties.
            let mut values: Vec<f32> =
                (0..n).map(|_| if n % 2 == 0 { rng.random() } else { rng.random_range(0..7) as f32 }).collect();
            values.sort_by(f32::total_cmp);
            let centre = median_of_sorted(&values);
            let (fast, slow) = (median_deviation(&values, centre), slow_median_deviation(&values, centre));
            assert_eq!(fast, slow, "n = {n}");
        }
    }

    #[test]
    fn clipping_drops_the_source() {
        // Median 3, absolute deviations 2 1 0 1 97: their median is 1. Without the 100: median 2.5, deviations 1.5 .5 .5 1.5.
        let noise = clipped_noise(&[1.0, 2.0, 3.0, 4.0, 100.0]);
        assert_eq!(noise.median, 2.5);
        assert!((noise.rms - GAUSSIAN_FROM_MAD).abs() < 1e-12, "{noise:?}");
    }

    #[test]
    fn mostly_equal_pixels_fall_back_to_the_root_mean_square() {
        assert_eq!(clipped_noise(&[0.0, 0.0, 0.0, 4.0]), Noise { median: 0.0, rms: 2.0 });
        assert_eq!(clipped_noise(&[7.0; 5]), Noise { median: 7.0, rms: 0.0 });
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        // numpy.percentile([1, 2, 4, 8], [0, 25, 50, 90, 100]) = 1, 1.75, 3, 6.8, 8
        for (percent, expected) in [(0.0, 1.0), (25.0, 1.75), (50.0, 3.0), (90.0, 6.8), (100.0, 8.0)] {
            let found = percentile_of_sorted(&[1.0, 2.0, 4.0, 8.0], percent);
            assert!((found - expected).abs() < 1e-12, "{percent}: {found}");
        }
    }
}
