//! Flux and noise statistics of a cutout: what a catalogue would say about a frame without looking at its shape.

use ndarray::ArrayView2;

use crate::{
    error::{FeatureError, check_not_empty, finite_f32},
    islands::island_sizes,
    noise::{clipped_noise, percentile_of_sorted},
};

/// Islands start at pixels above this S/N and grow to [`FLOOD_SNR`].
const SEED_SNR: f64 = 5.0;
const FLOOD_SNR: f64 = 2.5;
/// Percentiles of S/N, in the order of the last columns.
const PERCENTILES: [f64; 8] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.9];

/// Names of the columns of [`flux_statistics`].
pub const FLUX_STATISTICS: [&str; 17] = [
    "rms_jy_beam",
    "median_jy_beam",
    "max_snr",
    "sum_above_3_rms_jy_beam",
    "area_above_3_rms_px",
    "area_above_5_rms_px",
    "n_islands",
    "largest_island_px",
    "blank_fraction",
    "snr_p1",
    "snr_p5",
    "snr_p25",
    "snr_p50",
    "snr_p75",
    "snr_p95",
    "snr_p99",
    "snr_p99.9",
];

/// Flux and noise statistics of a cutout in Jy/beam, blank where not finite.
///
/// In the order of [`FLUX_STATISTICS`]:
/// - `rms_jy_beam` (Jy/beam): 1.4826 times the median absolute deviation, pixels beyond 3 rms clipped until none is left.
///   Where more than half of the pixels are equal: the root mean square deviation from the median instead.
/// - `median_jy_beam` (Jy/beam): median of the pixels left by the clipping. S/N below means (pixel - median) / rms.
/// - `max_snr`: S/N of the brightest pixel.
/// - `sum_above_3_rms_jy_beam` (Jy/beam, summed over pixels): sum of pixel - median where S/N > 3; divided by the beam area
///   in pixels it is a flux density in Jy.
/// - `area_above_3_rms_px`, `area_above_5_rms_px` (pixels): how many have S/N > 3 and > 5.
/// - `n_islands`, `largest_island_px` (pixels): 8-connected islands of pixels with S/N > 2.5 and at least one > 5.
/// - `blank_fraction`: share of the pixels that are blank, 0 to 1.
/// - `snr_p…`: percentiles of S/N.
///
/// A constant cutout (1 x 1 included) has rms 0; every S/N, sum and count is then 0.
/// # Errors
/// [`FeatureError::Empty`] and [`FeatureError::AllBlank`].
pub fn flux_statistics(cutout: ArrayView2<f32>) -> Result<Vec<f32>, FeatureError> {
    let (rows, cols) = cutout.dim();
    check_not_empty(1, rows, cols)?;
    let mut sorted: Vec<f32> = cutout.iter().copied().filter(|v| v.is_finite()).collect();
    if sorted.is_empty() {
        return Err(FeatureError::AllBlank { channel: 0, rows, cols });
    }
    sorted.sort_unstable_by(f32::total_cmp);
    let noise = clipped_noise(&sorted);
    let snr = |value: f64| if noise.rms > 0.0 { (value - noise.median) / noise.rms } else { 0.0 };

    // Bright pixels are the end of the sorted ones.
    let above = |level: f64| &sorted[sorted.partition_point(|&v| snr(f64::from(v)) <= level)..];
    let sum: f64 = above(3.0).iter().map(|&v| f64::from(v) - noise.median).sum();
    let significance = cutout.mapv(|v| if v.is_finite() { finite_f32(snr(f64::from(v))) } else { f32::NAN });
    let islands = island_sizes(significance.view(), SEED_SNR as f32, FLOOD_SNR as f32);

    let mut statistics = vec![
        noise.rms,
        noise.median,
        snr(percentile_of_sorted(&sorted, 100.0)),
        sum,
        above(3.0).len() as f64,
        above(5.0).len() as f64,
        islands.len() as f64,
        islands.iter().copied().max().unwrap_or(0) as f64,
        1.0 - sorted.len() as f64 / (rows * cols) as f64,
    ];
    statistics.extend(PERCENTILES.map(|percent| snr(percentile_of_sorted(&sorted, percent))));
    Ok(statistics.into_iter().map(finite_f32).collect())
}
