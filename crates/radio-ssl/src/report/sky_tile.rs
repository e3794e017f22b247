//! One frame as a picture: a robust stretch, then the inferno colour map, north up.
//!
//! The stretch follows the idea of zscale, the display range comes from the bulk of the pixels and not from the
//! brightest one, and then bends the bright end with an asinh so that a bright core and a faint halo are visible
//! together. It is for the eye only; no number is taken from it.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use ndarray::{Array2, ArrayView2};

use super::ReportError;

/// Colour of a blank (not finite) pixel: a grey that the colour map does not contain.
pub const BLANK: Rgb<u8> = Rgb([0x5c, 0x61, 0x6b]);
/// Steps of brightness; 64 are enough for the eye and halve the PNG.
const STEPS: f32 = 63.0;

/// How the pixel values of one frame become brightness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// Shown black: one and a half rms below the median.
    low: f32,
    /// Shown brightest: the 99.7th percentile, at least eight rms above the median.
    high: f32,
    /// Where the stretch turns from linear to logarithmic: four rms.
    bend: f32,
}

impl Stretch {
    /// The stretch of a frame; its rms is 1.4826 times the median absolute deviation. `None` without a finite pixel.
    pub fn of(pixels: ArrayView2<'_, f32>) -> Option<Stretch> {
        let mut finite: Vec<f32> = pixels.iter().copied().filter(|v| v.is_finite()).collect();
        if finite.is_empty() {
            return None;
        }
        finite.sort_by(f32::total_cmp);
        let at = |sorted: &[f32], share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
        let median = at(&finite, 0.5);
        let mut deviations: Vec<f32> = finite.iter().map(|v| (v - median).abs()).collect();
        deviations.sort_by(f32::total_cmp);
        let rms = 1.4826 * at(&deviations, 0.5);
        if rms > 0.0 {
            let (low, high) = (median - 1.5 * rms, at(&finite, 0.997).max(median + 8.0 * rms));
            return Some(Stretch { low, high, bend: 4.0 * rms });
        }
        // A frame with more than half of its pixels equal has no rms: show all of what is there.
        let (low, high) = (finite[0], finite[finite.len() - 1]);
        Some(Stretch { low, high, bend: (high - low) / 4.0 })
    }

    /// Brightness 0..=1 of a pixel value; 0 where the frame is flat or its values overflow.
    pub fn brightness(&self, value: f32) -> f32 {
        let bent = |value: f32| ((value - self.low) / self.bend).max(0.0).asinh();
        let share = bent(value) / bent(self.high);
        if share.is_finite() { share.min(1.0) } else { 0.0 }
    }
}

/// The frame as a picture of at most `most` pixels on a side, north up: row 0 of the frame is the bottom line of the
/// picture.
///
/// Larger frames are averaged in square blocks of which blank pixels are left out. A frame without pixels gives one
/// blank pixel.
pub fn sky_tile(pixels: ArrayView2<'_, f32>, most: usize) -> RgbImage {
    let (height, width) = pixels.dim();
    if height == 0 || width == 0 {
        return RgbImage::from_pixel(1, 1, BLANK);
    }
    let block = height.max(width).div_ceil(most.max(1)).max(1);
    let averaged = block_mean(pixels, block);
    let stretch = Stretch::of(averaged.view());
    let (rows, columns) = averaged.dim();
    RgbImage::from_fn(columns as u32, rows as u32, |x, y| {
        let value = averaged[[rows - 1 - y as usize, x as usize]];
        match stretch {
            Some(stretch) if value.is_finite() => {
                let brightness = (stretch.brightness(value) * STEPS).round() / STEPS;
                let colour = colorous::INFERNO.eval_continuous(f64::from(brightness));
                Rgb([colour.r, colour.g, colour.b])
            }
            _ => BLANK,
        }
    })
}

/// Means of `block` x `block` pixels, blank pixels left out; the last row and column of blocks may be cut.
fn block_mean(pixels: ArrayView2<'_, f32>, block: usize) -> Array2<f32> {
    if block == 1 {
        return pixels.to_owned();
    }
    let (height, width) = pixels.dim();
    Array2::from_shape_fn((height.div_ceil(block), width.div_ceil(block)), |(row, col)| {
        let (bottom, left) = (row * block, col * block);
        let window = pixels.slice(ndarray::s![bottom..(bottom + block).min(height), left..(left + block).min(width)]);
        let (sum, count) =
            window.iter().filter(|v| v.is_finite()).fold((0.0, 0), |(sum, count), v| (sum + f64::from(*v), count + 1));
        if count == 0 { f32::NAN } else { (sum / f64::from(count)) as f32 }
    })
}

/// The picture as the bytes of a PNG file.
///
/// # Errors
/// [`ReportError::Png`] if the encoder refuses.
pub fn encode_png(picture: &RgbImage) -> Result<Vec<u8>, ReportError> {
    let (width, height) = picture.dimensions();
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::NoFilter);
    let encoded = encoder.write_image(picture.as_raw(), width, height, ExtendedColorType::Rgb8);
    encoded.map_err(|source| ReportError::Png { width, height, source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise of rms 1 (a fixed sawtooth) with one source of peak 100 in the north-east (top left): high row, low
    /// column.
    fn frame(height: usize, width: usize) -> Array2<f32> {
        let mut pixels =
            Array2::from_shape_fn((height, width), |(row, col)| ((row * 7 + col * 13) % 11) as f32 / 3.0 - 1.67);
        pixels[[height - 3, 2]] = 100.0;
        pixels
    }

    fn brightness(pixel: &Rgb<u8>) -> u32 {
        pixel.0.iter().map(|c| u32::from(*c)).sum()
    }

    #[test]
    fn north_is_up_and_axes_are_not_swapped() {
        let tile = sky_tile(frame(40, 60).view(), 64);
        assert_eq!(tile.dimensions(), (60, 40));
        let brightest = tile.enumerate_pixels().max_by_key(|(_, _, pixel)| brightness(pixel)).unwrap();
        assert_eq!((brightest.0, brightest.1), (2, 2));
    }

    #[test]
    fn one_bright_pixel_does_not_set_the_range() {
        let stretch = Stretch::of(frame(40, 60).view()).unwrap();
        assert!((-2.5..-1.0).contains(&stretch.low) && stretch.high < 15.0, "{stretch:?}");
        assert_eq!(
            (stretch.brightness(-9.0), stretch.brightness(stretch.low), stretch.brightness(100.0)),
            (0.0, 0.0, 1.0)
        );
        let noise = stretch.brightness(0.0);
        assert!((0.1..0.35).contains(&noise), "the noise is dark but visible: {noise}");
    }

    #[test]
    fn faint_emission_is_visible_beside_a_bright_source() {
        // A tenth of the frame at 1000 rms, as a bright core: a halo of 10 rms is still well above the noise.
        let mut pixels = frame(40, 60);
        pixels.slice_mut(ndarray::s![0..4, ..]).fill(1000.0);
        let stretch = Stretch::of(pixels.view()).unwrap();
        let (noise, halo, core) = (stretch.brightness(0.0), stretch.brightness(10.0), stretch.brightness(1000.0));
        assert!(core == 1.0 && halo > 0.2 && halo > 2.5 * noise, "{noise} {halo} {core}");
    }

    #[test]
    fn blank_pixels_are_grey_and_do_not_count() {
        let mut pixels = frame(8, 8);
        pixels[[0, 0]] = f32::NAN;
        pixels[[0, 1]] = f32::INFINITY;
        let tile = sky_tile(pixels.view(), 64);
        assert_eq!((tile.get_pixel(0, 7), tile.get_pixel(1, 7)), (&BLANK, &BLANK));
        assert!(tile.pixels().filter(|pixel| **pixel == BLANK).count() == 2);
        let blank = sky_tile(Array2::from_elem((4, 4), f32::NAN).view(), 64);
        assert!(blank.pixels().all(|pixel| *pixel == BLANK));
    }

    #[test]
    fn odd_frames_do_not_panic() {
        assert_eq!(sky_tile(Array2::zeros((0, 5)).view(), 64).dimensions(), (1, 1));
        assert_eq!(sky_tile(Array2::zeros((1, 1)).view(), 64).dimensions(), (1, 1));
        assert_eq!(sky_tile(Array2::from_elem((3, 3), 7.0).view(), 64).dimensions(), (3, 3));
        sky_tile(ndarray::arr2(&[[f32::MIN, f32::MAX], [0.0, 1.0]]).view(), 64);
        assert_eq!(sky_tile(Array2::zeros((5, 5)).view(), 0).dimensions(), (1, 1));
    }

    #[test]
    fn large_frames_are_averaged_and_small_ones_kept() {
        assert_eq!(sky_tile(Array2::zeros((256, 255)).view(), 128).dimensions(), (128, 128));
        assert_eq!(sky_tile(Array2::zeros((128, 100)).view(), 128).dimensions(), (100, 128));
        let means = block_mean(ndarray::arr2(&[[1.0, 3.0, 5.0], [f32::NAN, 5.0, 7.0]]).view(), 2);
        assert_eq!(means, ndarray::arr2(&[[3.0, 6.0]]));
    }

    #[test]
    fn the_png_is_read_back_to_the_same_picture() {
        let tile = sky_tile(frame(9, 12).view(), 64);
        let bytes = encode_png(&tile).unwrap();
        let back = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(back, tile);
    }
}
