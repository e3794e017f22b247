//! The zscale stretch of IRAF, with astropy's defaults: the second and third channel.

use crate::{Limits, blank::count_non_finite, compact::compact_within, scratch::Scratch};

const SAMPLES: usize = 1000;
const MIN_PIXELS: usize = 5;
const MAX_REJECT: f64 = 0.5;
const REJECT_SIGMA: f64 = 2.5;
const ROUNDS: usize = 5;

/// The line fitted to an image's sorted samples, from which the limits for any contrast follow.
///
/// The fit is the expensive part and does not depend on the contrast, so a recipe with two contrasts fits once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ZscaleFit {
    smallest: f64,
    largest: f64,
    median: f64,
    n_samples: usize,
    /// Slope of value against rank; `None` if too few samples survived the rejection.
    slope: Option<f64>,
}

/// zscale limits of an image in row order; `None` if no pixel is finite.
///
/// Non-finite pixels are dropped, zeros stay. A `contrast` of 0 or below leaves the slope undivided, as in astropy (which is not
/// the same as leaving the image alone: the recipe does that itself).
///
/// # Source
/// reference-facts B4 (ZScale); equal to astropy's `ZScaleInterval`.
#[must_use]
pub fn zscale_limits(pixels: &[f32], contrast: f64) -> Option<Limits> {
    ZscaleFit::new(pixels).map(|fit| fit.limits(contrast))
}

impl ZscaleFit {
    /// Samples the finite pixels of an image in row order and fits the line; `None` if no pixel is finite.
    #[must_use]
    pub fn new(pixels: &[f32]) -> Option<Self> {
        let samples = sorted_samples(pixels);
        let n = samples.len();
        let (smallest, largest) = (*samples.first()?, *samples.last()?);
        let median = 0.5 * (samples[(n - 1) / 2] + samples[n / 2]);
        Some(Self { smallest, largest, median, n_samples: n, slope: fit_slope(&samples) })
    }

    /// The limits for one contrast.
    #[must_use]
    pub fn limits(&self, contrast: f64) -> Limits {
        let Some(slope) = self.slope else {
            return Limits { low: self.smallest, high: self.largest };
        };
        let slope = if contrast > 0.0 { slope / contrast } else { slope };
        let centre = (self.n_samples - 1) / 2;
        Limits {
            low: self.smallest.max(self.median - (centre as f64 - 1.0) * slope),
            high: self.largest.min(self.median + (self.n_samples - centre) as f64 * slope),
        }
    }
}

/// Every k-th finite pixel in row order, the first thousand of them, sorted.
fn sorted_samples(pixels: &[f32]) -> Scratch<f64> {
    let n_blank = count_non_finite(pixels);
    let stride = ((pixels.len() - n_blank) / SAMPLES).max(1);
    let mut samples = if n_blank == 0 {
        Scratch::collect(pixels.iter().step_by(stride).copied(), SAMPLES)
    } else {
        Scratch::collect(compact_within(pixels, f32::MIN, f32::MAX).iter().step_by(stride).copied(), SAMPLES)
    };
    samples.sort_unstable_by(f32::total_cmp);
    Scratch::from_fn(samples.len(), |i| f64::from(samples[i]))
}

/// Slope of the last line fitted while rejecting outliers; `None` if fewer than half of the samples (or five) are left.
fn fit_slope(samples: &[f64]) -> Option<f64> {
    let n = samples.len();
    let min_good = MIN_PIXELS.max((n as f64 * MAX_REJECT) as usize);
    let grow = 1.max((n as f64 * 0.01) as usize);
    let mut rejected = Scratch::filled(n, false);
    let (mut good, mut last_good) = (n, n + 1);
    let mut slope = 0.0;
    for _ in 0..ROUNDS {
        if good >= last_good || good < min_good {
            break;
        }
        let line = fit_line(samples, &rejected);
        slope = line.slope;
        reject_outliers(samples, &line, &mut rejected);
        rejected = dilate(&rejected, grow);
        last_good = good;
        good = rejected.iter().filter(|bad| !**bad).count();
    }
    (good >= min_good).then_some(slope)
}

struct Line {
    slope: f64,
    mean_rank: f64,
    mean_value: f64,
}

impl Line {
    fn residual(&self, rank: usize, value: f64) -> f64 {
        (value - self.mean_value) - self.slope * (rank as f64 - self.mean_rank)
    }
}

/// Least squares of value against rank over the samples not rejected (at least five).
fn fit_line(samples: &[f64], rejected: &[bool]) -> Line {
    let kept = || samples.iter().enumerate().zip(rejected).filter(|(_, bad)| !**bad).map(|(sample, _)| sample);
    let n = kept().count() as f64;
    let mean_rank = kept().map(|(rank, _)| rank as f64).sum::<f64>() / n;
    let mean_value = kept().map(|(_, value)| *value).sum::<f64>() / n;
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (rank, value) in kept() {
        let x = rank as f64 - mean_rank;
        covariance += x * (value - mean_value);
        variance += x * x;
    }
    Line { slope: covariance / variance, mean_rank, mean_value }
}

fn reject_outliers(samples: &[f64], line: &Line, rejected: &mut [bool]) {
    let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for (rank, &value) in samples.iter().enumerate().filter(|(rank, _)| !rejected[*rank]) {
        let r = line.residual(rank, value);
        (n, sum, squares) = (n + 1.0, sum + r, squares + r * r);
    }
    let mean = sum / n;
    let threshold = REJECT_SIGMA * (squares / n - mean * mean).max(0.0).sqrt();
    for (rank, &value) in samples.iter().enumerate() {
        rejected[rank] |= line.residual(rank, value).abs() > threshold;
    }
}

/// Widens the flags by a centred window of `width` ranks; an even window reaches one further down than up.
fn dilate(flags: &[bool], width: usize) -> Scratch<bool> {
    let (before, after) = (width / 2, width - width / 2 - 1);
    let mut wide = Scratch::filled(flags.len(), false);
    for (rank, _) in flags.iter().enumerate().filter(|(_, flag)| **flag) {
        // The window of output i covers i - before ..= i + after, so flag j reaches j - after ..= j + before.
        wide[rank.saturating_sub(after)..(rank + before + 1).min(flags.len())].fill(true);
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_finite_is_none_and_few_pixels_give_their_range() {
        assert_eq!(zscale_limits(&[f32::NAN; 9], 0.25), None);
        assert_eq!(zscale_limits(&[], 0.25), None);
        assert_eq!(zscale_limits(&[2.0, 1.0, f32::INFINITY], 0.25), Some(Limits { low: 1.0, high: 2.0 }));
    }

    /// A ramp of 101 values has slope 1, median 50 and centre rank 50: contrast 2 halves the slope.
    #[test]
    fn a_ramp_gives_the_closed_form() {
        let ramp: Vec<f32> = (0..101).map(|i| i as f32).collect();
        let limits = zscale_limits(&ramp, 2.0).unwrap();
        assert!(
            (limits.low - (50.0 - 49.0 * 0.5)).abs() < 1e-9 && (limits.high - (50.0 + 51.0 * 0.5)).abs() < 1e-9,
            "{limits:?}"
        );
    }

    #[test]
    fn an_even_window_reaches_one_further_down() {
        let mut flags = vec![false; 9];
        flags[4] = true;
        let wide: Vec<usize> = dilate(&flags, 4).iter().enumerate().filter(|(_, f)| **f).map(|(i, _)| i).collect();
        assert_eq!(wide, [3, 4, 5, 6]); // outputs 3..=6 see index 4 in their window i - 2 ..= i + 1
    }
}
