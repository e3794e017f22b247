//! Complexity of a picture as the size of its compressed file: the cheap anomaly score of Segal et al.
//!
//! An empty or simple sky compresses well; filaments, lobes and rings do not. The recipe follows reference-facts D8: resize,
//! 8 bit, threshold at the 50th percentile, 3-pixel median filter, gzip. (Segal et al. 2019, PASP 131, 108007; 2023, MNRAS
//! 521, 1429.)

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use ndarray::{Array2, ArrayView2, ArrayView3};
use serde::{Deserialize, Serialize};

use crate::{
    area_average::area_average,
    error::{FeatureError, check_not_empty, check_setting},
    median_filter::median_filter_3x3,
};

/// Compression level, the default of gzip. Sizes belong to it and to flate2's default encoder, miniz_oxide. A crate elsewhere in
/// the build that turns on another backend of flate2 changes them (a test pins them).
const LEVEL: u32 = 6;

/// Every number that [`gzip_complexity`] depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComplexityConfig {
    /// Sides in pixels of the pictures that are compressed, each 1 to 4096; one scale each.
    pub sides: Vec<usize>,
    /// Grey levels below this percentile (0 to 100) of the picture become black.
    pub threshold_percentile: f64,
}

impl ComplexityConfig {
    /// Pictures of 128 and 64 pixels, threshold at the median.
    #[must_use]
    pub fn two_scales() -> Self {
        Self { sides: vec![128, 64], threshold_percentile: 50.0 }
    }

    fn check(&self) -> Result<(), FeatureError> {
        check_setting(self.sides.iter().all(|side| (1..=4096).contains(side)), "sides", "each 1 to 4096", &self.sides)?;
        let percent = self.threshold_percentile;
        check_setting((0.0..=100.0).contains(&percent), "threshold_percentile", "0 to 100", percent)
    }
}

/// Names of the columns of [`gzip_complexity`], for example `channel0_gzip128_bytes` and `channel0_gzip128_relative`.
#[must_use]
pub fn complexity_names(n_channels: usize, config: &ComplexityConfig) -> Vec<String> {
    let scales = (0..n_channels).flat_map(|channel| config.sides.iter().map(move |side| (channel, side)));
    scales
        .flat_map(|(channel, side)| ["bytes", "relative"].map(|name| format!("channel{channel}_gzip{side}_{name}")))
        .collect()
}

/// Compressed size of every channel at every scale.
///
/// For each channel and side two values: the size of the gzip stream in bytes, and that size divided by the one expected of
/// the same pixels without any spatial structure (the stream of a black picture plus N times the entropy of the grey
/// levels): about 1 for noise and for a constant picture, below 1 where shapes repeat or fill areas.
///
/// The picture: averaged over areas to `side` x `side` pixels (a cutout that is not square is squeezed), its minimum and
/// maximum scaled to grey levels 0 and 255 whatever the unit, levels below the percentile set to 0, blanks 0, then the 3 x 3
/// median filter. A constant channel is black: the smallest size there is, and 1. gzip reads row by row, so the sizes of a
/// turned cutout are only similar.
///
/// # Shapes
/// - `channels`: `[C, H, W]`; non-finite pixels are blank. A plain cutout is a stack of one: `cutout.insert_axis(Axis(0))`.
/// - result: `C * sides.len() * 2` values in the order of [`complexity_names`].
/// # Errors
/// [`FeatureError::Empty`], [`FeatureError::AllBlank`] for a channel without data, [`FeatureError::Setting`].
pub fn gzip_complexity(channels: ArrayView3<f32>, config: &ComplexityConfig) -> Result<Vec<f32>, FeatureError> {
    let (n_channels, rows, cols) = channels.dim();
    check_not_empty(n_channels, rows, cols)?;
    config.check()?;
    let black_sizes: Vec<usize> = config.sides.iter().map(|side| gzip_size(&vec![0; side * side])).collect();
    let mut sizes = Vec::with_capacity(n_channels * config.sides.len() * 2);
    for (channel, plane) in channels.outer_iter().enumerate() {
        if !plane.iter().any(|v| v.is_finite()) {
            return Err(FeatureError::AllBlank { channel, rows, cols });
        }
        for (&side, &black) in config.sides.iter().zip(&black_sizes) {
            let pixels =
                median_filter_3x3(&grey_levels(plane, side, config.threshold_percentile)).into_raw_vec_and_offset().0;
            let size = gzip_size(&pixels) as f64;
            let without_structure = black as f64 + entropy_bits(&pixels) / 8.0;
            sizes.extend([size as f32, (size / without_structure) as f32]);
        }
    }
    Ok(sizes)
}

/// The thresholded 8-bit picture of a plane with at least one pixel that is not blank.
fn grey_levels(plane: ArrayView2<f32>, side: usize, threshold_percentile: f64) -> Array2<u8> {
    let small = area_average(plane, side);
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in small.iter().copied().filter(|v| v.is_finite()).map(f64::from) {
        (low, high) = (low.min(value), high.max(value));
    }
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    let level = |value: f32| ((f64::from(value) - low) * scale).round() as u8;
    let mut seen: Vec<u8> = small.iter().filter(|v| v.is_finite()).map(|&v| level(v)).collect();
    let place = threshold_percentile / 100.0 * (seen.len() - 1) as f64;
    // Between two ranks the percentile lies between their levels: a level is below it exactly if below the upper one.
    let (_, &mut threshold, _) = seen.select_nth_unstable(place.ceil() as usize);
    small.mapv(|value| if value.is_finite() && level(value) >= threshold { level(value) } else { 0 })
}

/// Bytes of the gzip stream: 10 of header and 8 of trailer included, no file name and no time.
#[expect(clippy::expect_used, reason = "writing into a Vec does not fail")]
fn gzip_size(pixels: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Vec::with_capacity(pixels.len()), Compression::new(LEVEL));
    encoder.write_all(pixels).expect("a Vec takes every byte");
    encoder.finish().expect("a Vec takes every byte").len()
}

/// Entropy of the histogram of `pixels` times their number, in bits.
fn entropy_bits(pixels: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for &pixel in pixels {
        counts[pixel as usize] += 1;
    }
    let n = pixels.len() as f64;
    counts.iter().filter(|&&count| count > 0).map(|&count| f64::from(count) * (n / f64::from(count)).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, arr2};

    #[test]
    fn grey_levels_are_scaled_then_thresholded_and_blanks_are_black() {
        let plane = arr2(&[[-1.0, 0.0], [f32::NAN, 1.0]]);
        assert_eq!(grey_levels(plane.view(), 2, 50.0), arr2(&[[0, 128], [0, 255]]));
        assert_eq!(grey_levels(plane.view(), 2, 100.0), arr2(&[[0, 0], [0, 255]]));
        assert_eq!(grey_levels(arr2(&[[3.0f32]]).view(), 3, 50.0).sum(), 0);
    }

    #[test]
    fn entropy_of_known_histograms() {
        assert_eq!(entropy_bits(&[7; 100]), 0.0);
        assert_eq!(entropy_bits(&[0, 0, 9, 9]), 4.0);
        assert_eq!(entropy_bits(&[1, 2, 3, 4, 5, 6, 7, 8]), 24.0);
    }

    /// Sizes are features, so they must not drift with the encoder: a change here changes every complexity ever computed.
    #[test]
    fn sizes_of_the_encoder_are_pinned() {
        let black = gzip_size(&[0; 64 * 64]);
        let ramp = gzip_size(&(0..64 * 64).map(|i| (i / 64 + i % 64) as u8).collect::<Vec<_>>());
        let mixed =
            gzip_size(&(0..64u32 * 64).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>());
        assert_eq!([black, ramp, mixed], [38, 240, 1497]);
        let config = ComplexityConfig { sides: vec![64], threshold_percentile: 50.0 };
        let constant = gzip_complexity(Array3::from_elem((1, 9, 5), 0.3).view(), &config).unwrap();
        assert_eq!(constant, [black as f32, 1.0]);
    }

    /// A bright pixel in many a 4 x 4: as good as a black picture once the median filter has passed; a 2 x 3 patch stays.
    #[test]
    fn specks_do_not_count_as_structure() {
        let config = ComplexityConfig { sides: vec![32], threshold_percentile: 50.0 };
        let bytes = |sky: &Array3<f32>| gzip_complexity(sky.view(), &config).unwrap()[0];
        let black = bytes(&Array3::zeros((1, 32, 32)));
        let mut sky =
            Array3::from_shape_fn((1, 32, 32), |(_, y, x)| f32::from(y % 4 == 1 && x % 4 == 1 && (x * y / 7) % 3 != 0));
        assert!(sky.sum() > 20.0);
        assert_eq!(bytes(&sky), black);
        sky.slice_mut(ndarray::s![0, 10..12, 20..23]).fill(1.0);
        assert!(bytes(&sky) > black);
    }
}
