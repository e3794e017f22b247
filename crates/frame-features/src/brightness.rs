//! Nine numbers of the pixels alone: what a picture tells without its shape.

use ndarray::ArrayView2;

use crate::error::{FeatureError, check_not_empty, finite_f32};
use crate::noise::percentile_of_sorted;

/// Names of the columns of [`brightness_statistics`].
pub const BRIGHTNESS_STATISTICS: [&str; 9] =
    ["mean", "spread", "p50", "p90", "p99", "maximum", "positive_fraction", "step_rows", "step_cols"];

/// Mean, standard deviation, three percentiles, maximum, the share of pixels above 0, and the mean step from one pixel to the next
/// down the rows and along the columns. Works on any picture, floats or 8-bit, without a noise level.
///
/// # Shapes
/// `cutout`: `[H, W]` in any unit; non-finite pixels are blank, and so are steps to or from one. Result: as
/// [`BRIGHTNESS_STATISTICS`].
/// # Errors
/// [`FeatureError::Empty`], [`FeatureError::AllBlank`].
pub fn brightness_statistics(cutout: ArrayView2<f32>) -> Result<Vec<f32>, FeatureError> {
    let (rows, cols) = cutout.dim();
    check_not_empty(1, rows, cols)?;
    let mut sorted: Vec<f32> = cutout.iter().copied().filter(|v| v.is_finite()).collect();
    if sorted.is_empty() {
        return Err(FeatureError::AllBlank { channel: 0, rows, cols });
    }
    let n = sorted.len() as f64;
    let mean = sorted.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = sorted.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    let positive = sorted.iter().filter(|&&v| v > 0.0).count() as f64 / n;
    sorted.sort_by(f32::total_cmp);
    let step = |down: usize, along: usize| {
        let mut sum = (0.0, 0.0);
        for row in 0..rows.saturating_sub(down) {
            for col in 0..cols.saturating_sub(along) {
                let difference = f64::from(cutout[(row + down, col + along)]) - f64::from(cutout[(row, col)]);
                if difference.is_finite() {
                    sum = (sum.0 + difference.abs(), sum.1 + 1.0);
                }
            }
        }
        if sum.1 > 0.0 { sum.0 / sum.1 } else { 0.0 }
    };
    let percentile = |percent: f64| percentile_of_sorted(&sorted, percent);
    let values = [
        mean,
        variance.sqrt(),
        percentile(50.0),
        percentile(90.0),
        percentile(99.0),
        percentile(100.0),
        positive,
        step(1, 0),
        step(0, 1),
    ];
    Ok(values.map(finite_f32).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    #[test]
    fn by_hand() {
        let found = brightness_statistics(arr2(&[[0.0, 2.0], [4.0, f32::NAN], [2.0, 2.0]]).view()).unwrap();
        assert_eq!((found[0], found[2], found[5], found[6]), (2.0, 2.0, 4.0, 0.8));
        assert!((found[1] - 1.6f32.sqrt()).abs() < 1e-6);
        // Down: |4-0|, |2-4|; to and from the blank nothing. Along: |2-0|, |2-2|.
        assert_eq!((found[7], found[8]), (3.0, 1.0));
        assert!(matches!(brightness_statistics(arr2(&[[f32::NAN]]).view()), Err(FeatureError::AllBlank { .. })));
        assert_eq!(brightness_statistics(arr2(&[[3.0]]).view()).unwrap()[7..], [0.0, 0.0]);
    }
}
