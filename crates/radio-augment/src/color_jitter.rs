//! Colour jitter: brightness, contrast, saturation and hue of the three channels, in this order, clipped at the end.
//!
//! The stages are public one by one, for tests and for other recipes; [`color_jitter`] runs them all in one pass.

use ndarray::Array3;
use rand::Rng;

use crate::{
    BlankRule, min_max,
    min_max::extremes,
    row_order::{in_row_order, planes_mut},
    vectorise::vectorised,
};

/// The four numbers of one jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JitterDraw {
    /// Added to every pixel.
    pub brightness: f64,
    /// Factor on the distance from the channel's mean.
    pub contrast: f64,
    /// Factor on the saturation.
    pub saturation: f64,
    /// Shift of the hue, in turns.
    pub hue: f64,
}

impl JitterDraw {
    /// Brightness and hue uniform in ± their half-width, contrast and saturation uniform in 1 ± theirs.
    pub fn draw(half_widths: &JitterDraw, rng: &mut impl Rng) -> Self {
        let mut within = |half_width: f64| half_width * (2.0 * rng.random::<f64>() - 1.0);
        Self {
            brightness: within(half_widths.brightness),
            contrast: 1.0 + within(half_widths.contrast),
            saturation: 1.0 + within(half_widths.saturation),
            hue: within(half_widths.hue),
        }
    }
}

/// Jitters channels `[C, H, W]`: MinMax per channel, then brightness, contrast, and, for three channels, saturation and hue;
/// clipped to `[0, 1]` at the end.
///
/// A channel's mean is taken over all its pixels; under [`BlankRule::Nan`] over those that are not blank, and blanks stay
/// blank. Under [`BlankRule::ZeroIsBlank`] blanks are 0 after the MinMax and take part from there on, as upstream. A flat
/// channel becomes 0 before the brightness; a channel without a pixel that counts is left alone.
///
/// # Source
/// reference-facts C3.
#[must_use]
pub fn color_jitter(channels: Array3<f32>, draw: &JitterDraw, blanks: BlankRule) -> Array3<f32> {
    let mut channels = in_row_order(channels);
    let (n_channels, height, width) = channels.dim();
    let plane_len = height * width;
    let Some(pixels) = channels.as_slice_mut().filter(|pixels| !pixels.is_empty()) else {
        return channels;
    };
    if n_channels == 3 {
        let (red, rest) = pixels.split_at_mut(plane_len);
        let (green, blue) = rest.split_at_mut(plane_len);
        let tones = [&mut *red, &mut *green, &mut *blue].map(|plane| Tone::after_min_max(plane, draw, blanks));
        jitter_three(red, green, blue, tones, draw.saturation as f32, turns(draw.hue));
    } else {
        for plane in pixels.chunks_exact_mut(plane_len) {
            let tone = Tone::after_min_max(plane, draw, blanks);
            jitter_one(plane, tone);
        }
    }
    channels
}

/// First stage: each channel to `[0, 1]`, see [`min_max`].
#[must_use]
pub fn jitter_min_max(channels: Array3<f32>, blanks: BlankRule) -> Array3<f32> {
    let mut channels = in_row_order(channels);
    for plane in planes_mut(&mut channels) {
        let _ = min_max(plane, blanks); // a flat or blank channel is 0 or blank from here on
    }
    channels
}

/// Second stage: adds `shift` to every pixel.
#[must_use]
pub fn add_brightness(channels: Array3<f32>, shift: f64) -> Array3<f32> {
    let shift = shift as f32;
    channels.mapv_into(|v| v + shift)
}

/// Third stage: scales every channel about its mean over the pixels that are not NaN.
#[must_use]
pub fn scale_contrast(mut channels: Array3<f32>, factor: f64) -> Array3<f32> {
    for mut channel in channels.outer_iter_mut() {
        let (sum, n) =
            channel.iter().filter(|v| v.is_finite()).fold((0.0, 0usize), |(sum, n), v| (sum + f64::from(*v), n + 1));
        let mean = sum / n.max(1) as f64;
        channel.mapv_inplace(|v| ((f64::from(v) - mean) * factor + mean) as f32);
    }
    channels
}

/// Fourth stage: multiplies the saturation of three channels, clipped to `[0, 1]`.
///
/// Values may lie outside `[0, 1]`: saturation `(max - min) / max` above 1 is cut, a negative maximum makes the pixel grey.
/// Pixels with a blank in any channel are left alone, and so are images without three channels.
#[must_use]
pub fn scale_saturation(channels: Array3<f32>, factor: f64) -> Array3<f32> {
    map_pixels(channels, |pixel| saturate(pixel, factor as f32))
}

/// Fifth stage: shifts the hue of three channels by `shift` turns; blanks as in [`scale_saturation`].
#[must_use]
pub fn shift_hue(channels: Array3<f32>, shift: f64) -> Array3<f32> {
    map_pixels(channels, |pixel| rotate_hue(pixel, turns(shift)))
}

/// Last stage: cuts every pixel to `[0, 1]`; NaN stays NaN.
#[must_use]
pub fn clip_to_unit(channels: Array3<f32>) -> Array3<f32> {
    channels.mapv_into(|v| v.clamp(0.0, 1.0))
}

fn map_pixels(mut channels: Array3<f32>, change: impl Fn([f32; 3]) -> [f32; 3]) -> Array3<f32> {
    let (n_channels, height, width) = channels.dim();
    if n_channels == 3 {
        for y in 0..height {
            for x in 0..width {
                let pixel = change([channels[[0, y, x]], channels[[1, y, x]], channels[[2, y, x]]]);
                (0..3).for_each(|c| channels[[c, y, x]] = pixel[c]);
            }
        }
    }
    channels
}

/// Brightness and contrast of one channel that is scaled to `[0, 1]`: `v * factor + offset`.
#[derive(Clone, Copy)]
struct Tone {
    factor: f32,
    offset: f32,
}

impl Tone {
    /// Scales the plane to `[0, 1]`, and works out what comes next. A plane without a pixel that counts is left alone.
    fn after_min_max(plane: &mut [f32], draw: &JitterDraw, blanks: BlankRule) -> Self {
        let Some((low, high)) = extremes(plane, blanks) else {
            return Self { factor: 1.0, offset: 0.0 };
        };
        let width = if high > low { high - low } else { 1.0 };
        let (sum, n) = scale_and_sum(plane, low, width, blanks == BlankRule::ZeroIsBlank);
        // Brightness moves pixel and mean alike, so contrast acts about the mean before it.
        let mean = sum / n.max(1) as f64;
        let offset = mean - mean * draw.contrast + draw.brightness;
        Self { factor: draw.contrast as f32, offset: offset as f32 }
    }

    #[inline(always)]
    fn apply(self, v: f32) -> f32 {
        v * self.factor + self.offset
    }
}

const LANES: usize = 16;

vectorised! {
    /// `(v - low) / width`, in place, and the sum and the number of what is finite. Under `zero_stays` zeros are blank: they stay 0.
    fn scale_and_sum(plane: &mut [f32], low: f32, width: f32, zero_stays: bool) -> (f64, usize) {
        let (mut sums, mut counts) = ([0.0f64; LANES], [0u32; LANES]);
        let mut add = |lane: usize, v: &mut f32| {
            let counts_here = v.is_finite();
            let scaled = (*v - low) / width;
            let scaled = if zero_stays & (*v == 0.0) { 0.0 } else { scaled };
            *v = scaled;
            sums[lane] += f64::from(if counts_here { scaled } else { 0.0 });
            counts[lane] += u32::from(counts_here);
        };
        let mut chunks = plane.chunks_exact_mut(LANES);
        for chunk in &mut chunks {
            for lane in 0..LANES {
                add(lane, &mut chunk[lane]);
            }
        }
        for (lane, v) in chunks.into_remainder().iter_mut().enumerate() {
            add(lane, v);
        }
        (sums.iter().sum(), counts.iter().map(|&n| n as usize).sum())
    }
}

vectorised! {
    fn jitter_one(plane: &mut [f32], tone: Tone) {
        for v in plane.iter_mut() {
            *v = tone.apply(*v).clamp(0.0, 1.0);
        }
    }
}

vectorised! {
    fn jitter_three(red: &mut [f32], green: &mut [f32], blue: &mut [f32], tones: [Tone; 3], saturation: f32, hue: f32) {
        for ((r, g), b) in red.iter_mut().zip(green.iter_mut()).zip(blue.iter_mut()) {
            let toned = [tones[0].apply(*r), tones[1].apply(*g), tones[2].apply(*b)];
            let pixel = rotate_hue(saturate(toned, saturation), hue);
            *r = pixel[0].clamp(0.0, 1.0);
            *g = pixel[1].clamp(0.0, 1.0);
            *b = pixel[2].clamp(0.0, 1.0);
        }
    }
}

/// Hue shift in sixths of a turn, within `[0, 6)`.
fn turns(shift: f64) -> f32 {
    (shift.rem_euclid(1.0) * 6.0) as f32
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[inline(always)]
fn has_nan([r, g, b]: [f32; 3]) -> bool {
    (r + g + b).is_nan()
}

/// With V the maximum and S = (V - min) / V, every channel lies at `V - V S f` with f fixed by the hue alone: scaling S moves all
/// channels towards or away from V by one ratio.
#[inline(always)]
fn saturate(pixel: [f32; 3], factor: f32) -> [f32; 3] {
    let [r, g, b] = pixel;
    let value = larger(larger(r, g), b);
    let chroma = value - smaller(smaller(r, g), b);
    // S is cut at 1, where the ratio is V / chroma; V <= 0 has S <= 0 or no colour at all: grey.
    let at_most = larger(value, 0.0) / larger(chroma, f32::MIN_POSITIVE);
    let ratio = smaller(factor, at_most);
    let skip = has_nan(pixel) | (chroma <= 0.0);
    pixel.map(|v| if skip { v } else { value - (value - v) * ratio })
}

/// Shifts the hue by `shift` sixths of a turn, `0 <= shift < 6`.
#[inline(always)]
fn rotate_hue(pixel: [f32; 3], shift: f32) -> [f32; 3] {
    let [r, g, b] = pixel;
    let value = larger(larger(r, g), b);
    let chroma = value - smaller(smaller(r, g), b);
    let (sector, difference) = if b == value {
        (4.0, r - g)
    } else if g == value {
        (2.0, b - r)
    } else {
        (0.0, g - b)
    };
    // From -1 to 5 before the shift, so below 11 after it.
    let hue = sector + difference / larger(chroma, f32::MIN_POSITIVE) + shift;
    let hue = if hue >= 6.0 { hue - 6.0 } else { hue };
    let hue = if hue < 0.0 { hue + 6.0 } else { hue };
    let skip = has_nan(pixel) | (chroma <= 0.0);
    // Distance of the hue from each primary's opposite, as a share of the way down from the maximum.
    let down = [2.0 - (hue - 3.0).abs(), (hue - 2.0).abs() - 1.0, (hue - 4.0).abs() - 1.0];
    let turned = down.map(|d| value - chroma * larger(smaller(d, 1.0), 0.0));
    if skip { pixel } else { turned }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_a_turn_moves_red_to_green_to_blue() {
        for (from, to) in
            [([1.0, 0.2, 0.2], [0.2, 1.0, 0.2]), ([0.2, 1.0, 0.2], [0.2, 0.2, 1.0]), ([0.3, 0.1, 0.9], [0.9, 0.3, 0.1])]
        {
            let got = rotate_hue(from, turns(1.0 / 3.0));
            assert!(got.iter().zip(to).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{from:?}: {got:?} vs {to:?}");
        }
        let back = rotate_hue(rotate_hue([0.7, 0.4, 0.5], turns(0.4)), turns(-0.4));
        assert!(back.iter().zip([0.7, 0.4, 0.5]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{back:?}");
    }

    #[test]
    fn saturation_is_cut_at_one_and_grey_and_blank_pixels_stay() {
        assert_eq!(saturate([1.0, 0.5, 0.75], 4.0), [1.0, 0.0, 0.5]);
        assert_eq!(saturate([1.0, 0.5, 0.75], 0.0), [1.0, 1.0, 1.0]);
        assert_eq!(saturate([-0.1, -0.2, -0.3], 1.3), [-0.1, -0.1, -0.1]);
        assert_eq!(saturate([0.4; 3], 1.3), [0.4; 3]);
        assert_eq!(rotate_hue([0.4; 3], 1.0), [0.4; 3]);
        let blank = saturate([f32::NAN, 0.5, 0.25], 1.3);
        assert!(blank[0].is_nan() && blank[1..] == [0.5, 0.25]);
    }
}
