//! One pass over the pixels of a map in bounded memory: what is blank, what stands out, and of which sort the map is.

use ndarray::ArrayView2;

use crate::{error::FitsError, mosaic::Mosaic, mosaic::PixelSource, noise::robust_rms};

/// Pixels that are read in one go: a multiple of common tile heights wide maps apart.
const STRIP_ROWS: usize = 256;
/// Most columns of one read.
const STRIP_COLS: usize = 1 << 16;
/// About how many pixels are kept for the median and the noise.
const SAMPLE: usize = 1 << 20;
/// Neighbours of a noise or background map differ by less than this share of its spread. Maps with a beam of 3 to 10 pixels have
/// 0.1 to 0.6, noise and background maps of source finders 0.02 to 0.03 (beams of 15 pixels and pure noise give 0.075).
const SMOOTH: f64 = 0.05;

/// What kind of map pixels make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapSort {
    /// No finite pixel.
    Blank,
    /// One value.
    Constant,
    /// Whole numbers.
    Mask,
    /// Positive and smooth.
    Noise,
    /// Smooth.
    Background,
    /// Anything else.
    Sky,
}

/// Counts and moments of all pixels, and a sample of them.
#[derive(Debug)]
pub(super) struct PixelSurvey {
    pub rows: usize,
    pub cols: usize,
    pub nan: u64,
    pub infinite: u64,
    pub zero: u64,
    pub whole: u64,
    pub min: f32,
    pub max: f32,
    /// First and last row and column with a finite pixel.
    pub finite_rows: Option<(usize, usize)>,
    pub finite_cols: Option<(usize, usize)>,
    sample: Vec<f32>,
    steps: Vec<f32>,
    stride: u64,
}

impl PixelSurvey {
    /// Reads every pixel of a mosaic once; `None` if there are more than that.
    pub fn of_at_most(mosaic: &Mosaic, most_pixels: u64) -> Result<Option<Self>, FitsError> {
        let (rows, cols) = (mosaic.rows(), mosaic.cols());
        if (rows as u64).saturating_mul(cols as u64) > most_pixels {
            return Ok(None);
        }
        let mut survey = Self::new(rows, cols);
        let strip_rows = STRIP_ROWS.min((1 << 24) / cols.clamp(1, STRIP_COLS)).max(1);
        let mut pixels = Vec::new();
        for row in (0..rows).step_by(strip_rows) {
            let n_rows = strip_rows.min(rows - row);
            for col in (0..cols).step_by(STRIP_COLS) {
                let n_cols = STRIP_COLS.min(cols - col);
                mosaic.window_into(row, col, n_rows, n_cols, &mut pixels)?;
                if let Ok(strip) = ArrayView2::from_shape((n_rows, n_cols), &pixels) {
                    survey.add(row, col, strip);
                }
            }
            mosaic.release_rows(row..row + n_rows);
        }
        Ok(Some(survey))
    }

    fn new(rows: usize, cols: usize) -> Self {
        let mut stride = (rows as u64).saturating_mul(cols as u64).div_ceil(SAMPLE as u64).max(1);
        // A stride that shares a factor with the width would see some columns only.
        while gcd(stride, cols as u64) > 1 {
            stride += 1;
        }
        Self {
            rows,
            cols,
            nan: 0,
            infinite: 0,
            zero: 0,
            whole: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            finite_rows: None,
            finite_cols: None,
            sample: Vec::new(),
            steps: Vec::new(),
            stride,
        }
    }

    fn add(&mut self, first_row: usize, first_col: usize, strip: ArrayView2<'_, f32>) {
        let widen = |range: &mut Option<(usize, usize)>, at: usize| {
            let (low, high) = range.unwrap_or((at, at));
            *range = Some((low.min(at), high.max(at)));
        };
        for (line, pixels) in strip.rows().into_iter().enumerate() {
            let row = first_row + line;
            let mut next: Option<f32> = None;
            let start = row as u64 * self.cols as u64 + first_col as u64;
            // From the right, so that each pixel knows its neighbour.
            for (at, &pixel) in pixels.iter().enumerate().rev() {
                let neighbour = next.replace(pixel);
                if !pixel.is_finite() {
                    if pixel.is_nan() {
                        self.nan += 1
                    } else {
                        self.infinite += 1
                    }
                    continue;
                }
                self.zero += u64::from(pixel == 0.0);
                self.whole += u64::from(pixel.fract() == 0.0);
                self.min = self.min.min(pixel);
                self.max = self.max.max(pixel);
                widen(&mut self.finite_cols, first_col + at);
                widen(&mut self.finite_rows, row);
                if (start + at as u64).is_multiple_of(self.stride) {
                    self.sample.push(pixel);
                    self.steps.extend(neighbour.filter(|next| next.is_finite()).map(|next| (next - pixel).abs()));
                }
            }
        }
    }

    pub fn pixels(&self) -> u64 {
        self.rows as u64 * self.cols as u64
    }

    pub fn finite(&self) -> u64 {
        self.pixels() - self.nan - self.infinite
    }

    /// Robust noise of the sample.
    pub fn rms(&self) -> f32 {
        robust_rms(&self.sample)
    }

    /// How the map looks.
    pub fn sort(&self) -> MapSort {
        if self.finite() == 0 {
            return MapSort::Blank;
        }
        if self.min == self.max {
            return MapSort::Constant;
        }
        if self.whole == self.finite() {
            return MapSort::Mask;
        }
        let mut sample = self.sample.clone();
        let mut steps = self.steps.clone();
        let (Some(low), Some(median), Some(high), Some(step)) = (
            quantile(&mut sample, 0.05),
            quantile(&mut sample, 0.5),
            quantile(&mut sample, 0.95),
            quantile(&mut steps, 0.5),
        ) else {
            return MapSort::Sky;
        };
        let mut off: Vec<f32> = sample.iter().map(|pixel| (pixel - median as f32).abs()).collect();
        let spread = 1.4826 * quantile(&mut off, 0.5).unwrap_or(0.0);
        // Noise maps interpolated from boxes may have the same value over most of the map, or small steps.
        let is_smooth = sample.len() >= 64 && step <= SMOOTH * spread.max(0.5 * (high - low));
        match is_smooth {
            true if self.min > 0.0 && f64::from(self.max) < 30.0 * median && high - low < 2.0 * median => {
                MapSort::Noise
            }
            true if f64::from(self.max) - high < 3.0 * (high - low) => MapSort::Background,
            _ => MapSort::Sky,
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The value below which that share lies.
fn quantile(values: &mut [f32], share: f64) -> Option<f64> {
    let at = ((values.len().checked_sub(1)?) as f64 * share).round() as usize;
    let (_, value, _) = values.select_nth_unstable_by(at, f32::total_cmp);
    Some(f64::from(*value))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn survey(rows: usize, cols: usize, value: impl Fn(f64, f64) -> f64) -> PixelSurvey {
        let map = Array2::from_shape_fn((rows, cols), |(row, col)| value(row as f64, col as f64) as f32);
        let mut survey = PixelSurvey::new(rows, cols);
        // In pieces, as a large map comes.
        let split = rows / 3;
        survey.add(0, 0, map.slice(ndarray::s![..split, ..]));
        survey.add(split, 0, map.slice(ndarray::s![split.., ..]));
        survey
    }

    /// Something like noise, without a generator.
    fn rough(row: f64, col: f64) -> f64 {
        ((row * 12.9898 + col * 78.233).sin() * 43758.5453).rem_euclid(1.0) - 0.5
    }

    #[test]
    fn maps_are_told_apart() {
        assert_eq!(survey(40, 50, |_, _| f64::NAN).sort(), MapSort::Blank);
        assert_eq!(survey(40, 50, |_, _| 0.5).sort(), MapSort::Constant);
        assert_eq!(survey(40, 50, |row, col| ((row / 9.0).floor() * (col / 9.0).floor()) - 1.0).sort(), MapSort::Mask);
        assert_eq!(
            survey(80, 90, |row, col| 1e-4 * (1.0 + (row / 60.0).sin().abs() + col / 900.0)).sort(),
            MapSort::Noise
        );
        assert_eq!(
            survey(80, 90, |row, col| 1e-4 * ((row / 30.0).sin() + (col / 40.0).cos())).sort(),
            MapSort::Background
        );
        assert_eq!(survey(80, 90, rough).sort(), MapSort::Sky);
        // All above zero, but rough.
        assert_eq!(survey(80, 90, |row, col| 5.0 + rough(row, col)).sort(), MapSort::Sky);
    }

    #[test]
    fn counts_are_exact_and_do_not_depend_on_strips() {
        let odd = survey(30, 20, |row, col| match (row as usize, col as usize) {
            (0..3, _) | (_, 19) => f64::NAN,
            (5, 5) => f64::INFINITY,
            (6, 0..10) => 0.0,
            _ => 0.25 + row,
        });
        assert_eq!((odd.nan, odd.infinite, odd.zero), (3 * 20 + 27, 1, 10));
        assert_eq!((odd.finite_rows, odd.finite_cols), (Some((3, 29)), Some((0, 18))));
        assert_eq!((odd.min, odd.max, odd.finite()), (0.0, 29.25, 600 - 88));
    }
}
