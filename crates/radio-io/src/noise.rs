//! The noise of a frame, measured so that sources in it hardly matter.

/// From the median absolute deviation to the standard deviation of a Gaussian, 1 / Φ⁻¹(3/4).
const GAUSSIAN_FROM_MAD: f64 = 1.482_602_218_505_602;

/// Rounds of clipping; real maps need two to four.
const MAX_ROUNDS: usize = 10;

/// Robust standard deviation of the finite pixels: 1.4826 times the median absolute deviation from their median, after pixels
/// further than 3 such deviations from the median were dropped, over and over until none is. Blank pixels do not count. NaN
/// without finite pixels, 0 where more than half of them are equal.
pub fn robust_rms<'a>(pixels: impl IntoIterator<Item = &'a f32>) -> f32 {
    let mut kept: Vec<f32> = pixels.into_iter().copied().filter(|pixel| pixel.is_finite()).collect();
    let mut deviations = Vec::with_capacity(kept.len());
    let mut rms = f64::NAN;
    for _ in 0..MAX_ROUNDS {
        let Some(centre) = median(&mut kept) else { break };
        deviations.clear();
        deviations.extend(kept.iter().map(|&pixel| (f64::from(pixel) - centre).abs() as f32));
        let Some(deviation) = median(&mut deviations) else { break };
        rms = GAUSSIAN_FROM_MAD * deviation;
        let before = kept.len();
        kept.retain(|&pixel| (f64::from(pixel) - centre).abs() <= 3.0 * rms);
        if kept.len() == before {
            break;
        }
    }
    rms as f32
}

/// Median of finite values, the mean of the middle two for an even count; reorders them.
fn median(values: &mut [f32]) -> Option<f64> {
    let count = values.len();
    if count == 0 {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(count / 2, f32::total_cmp);
    let upper = f64::from(*upper);
    if count % 2 == 1 {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f32::total_cmp)?;
    Some((f64::from(lower) + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_median_and_a_known_deviation() {
        assert_eq!(median(&mut [4.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 10.0]), Some(3.5));
        // Median 3, absolute deviations 2 1 0 1 97: their median is 1. Without the 100: median 2.5, deviations 1.5 .5 .5 1.5.
        let rms = robust_rms(&[1.0, 2.0, f32::NAN, 3.0, 4.0, 100.0]);
        assert!((rms - 1.482_602_2).abs() < 1e-6, "{rms}");
        assert!(robust_rms(&[f32::NAN, f32::INFINITY]).is_nan());
        assert_eq!(robust_rms(&[0.0, 0.0, 0.0, 5.0]), 0.0);
    }

    /// Quantiles of the normal distribution stand for noise; one pixel in fifty is a bright source.
    #[test]
    fn sources_hardly_matter() {
        // Sums of twelve equidistributed numbers are near enough to normal; splitmix-like steps make them.
        let mut state = 1_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut pixels: Vec<f32> =
            (0..20_000).map(|_| ((0..12).map(|_| uniform()).sum::<f64>() - 6.0) as f32 * 30e-6).collect();
        let quiet = robust_rms(&pixels);
        assert!((quiet / 30e-6 - 1.0).abs() < 0.03, "{quiet}");
        pixels.iter_mut().step_by(50).for_each(|pixel| *pixel += 1.0);
        let with_sources = robust_rms(&pixels);
        assert!((with_sources / quiet - 1.0).abs() < 0.03, "{with_sources} vs {quiet}");
    }
}
