//! Iterative sigma clipping about the median: the bounds of the first channel.

use crate::{Limits, order_statistics::OrderStatistics, vectorise::vectorised};

/// Bounds of the last round of sigma clipping over the finite values among `values`; `None` if there is none.
///
/// Each round takes the median and the population standard deviation of the values kept so far, puts the bounds at
/// `median - sigma_low * std` and `median + sigma_up * std`, and drops what lies outside. It ends when nothing was dropped, or
/// after `max_rounds` rounds (at least one). Values exactly on a bound stay.
///
/// # Source
/// reference-facts B4 (SigmaClipper); equal to astropy's `sigma_clip` with `cenfunc="median"`.
#[must_use]
pub fn sigma_clip_bounds(values: &[f32], sigma_low: f64, sigma_up: f64, max_rounds: usize) -> Option<Limits> {
    clip(&mut OrderStatistics::new(values), values, sigma_low, sigma_up, max_rounds).map(|clipped| clipped.bounds)
}

/// What is left of some values after sigma clipping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClippedStatistics {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
    /// Population standard deviation.
    pub std: f64,
    /// How many values.
    pub count: usize,
}

/// Statistics of the finite values among `values` after clipping at `sigma` standard deviations about the median; `None` if no
/// value is finite.
///
/// # Source
/// Equal to astropy's `sigma_clipped_stats` with `cenfunc="median"` and `maxiters = max_rounds`.
#[must_use]
pub fn sigma_clipped_statistics(values: &[f32], sigma: f64, max_rounds: usize) -> Option<ClippedStatistics> {
    let mut order = OrderStatistics::new(values);
    let Clipped { left, centre, .. } = clip(&mut order, values, sigma, sigma, max_rounds)?;
    Some(ClippedStatistics {
        mean: centre + left.first / left.count as f64,
        median: order.median_of_ranks(left.below, left.count),
        std: left.standard_deviation(),
        count: left.count,
    })
}

struct Clipped {
    bounds: Limits,
    left: Moments,
    centre: f64,
}

fn clip(
    order: &mut OrderStatistics,
    values: &[f32],
    sigma_low: f64,
    sigma_up: f64,
    max_rounds: usize,
) -> Option<Clipped> {
    if order.n_finite() == 0 {
        return None;
    }
    let mut kept = Limits { low: f32::MIN.into(), high: f32::MAX.into() };
    let centre = order.median_of_ranks(0, order.n_finite());
    let mut inside = moments_within(values, kept, centre);
    for round in 1.. {
        // What clipping drops are the two ends of the sorted values, so the kept ones are a run of ranks.
        let median = order.median_of_ranks(inside.below, inside.count);
        let std = inside.standard_deviation();
        let bounds = Limits { low: median - sigma_low * std, high: median + sigma_up * std };
        kept = Limits { low: kept.low.max(bounds.low), high: kept.high.min(bounds.high) };
        let next = moments_within(values, kept, centre);
        if next.count == inside.count || next.count == 0 || round >= max_rounds {
            let left = if next.count == 0 { inside } else { next };
            return Some(Clipped { bounds, left, centre });
        }
        inside = next;
    }
    None
}

/// Count and shifted moments of the finite values inside two bounds.
#[derive(Clone, Copy)]
struct Moments {
    below: usize,
    count: usize,
    /// Sum of `value - centre`.
    first: f64,
    /// Sum of `(value - centre)^2`.
    second: f64,
}

impl Moments {
    fn standard_deviation(&self) -> f64 {
        let n = self.count as f64;
        let mean = self.first / n;
        (self.second / n - mean * mean).max(0.0).sqrt()
    }
}

/// Lanes of the sums: fixed, so that every vector width adds in the same order.
const LANES: usize = 16;

vectorised! {
    fn moments_within(values: &[f32], kept: Limits, centre: f64) -> Moments {
        let (mut below, mut count) = ([0u32; LANES], [0u32; LANES]);
        let (mut first, mut second) = ([0.0f64; LANES], [0.0f64; LANES]);
        let chunks = values.chunks_exact(LANES);
        let rest = chunks.remainder();
        let mut add = |lane: usize, value: f32| {
            let v = f64::from(value);
            let inside = (v >= kept.low) & (v <= kept.high);
            let offset = if inside { v - centre } else { 0.0 };
            below[lane] += u32::from((v < kept.low) & (value >= f32::MIN));
            count[lane] += u32::from(inside);
            first[lane] += offset;
            second[lane] += offset * offset;
        };
        for chunk in chunks {
            for lane in 0..LANES {
                add(lane, chunk[lane]);
            }
        }
        for (lane, &value) in rest.iter().enumerate() {
            add(lane, value);
        }
        Moments {
            below: below.iter().map(|&n| n as usize).sum(),
            count: count.iter().map(|&n| n as usize).sum(),
            first: first.iter().sum(),
            second: second.iter().sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_image_has_bounds_of_no_width() {
        assert_eq!(sigma_clip_bounds(&[], 5.0, 30.0, 5), None);
        assert_eq!(sigma_clip_bounds(&[f32::NAN, f32::INFINITY], 5.0, 30.0, 5), None);
        let bounds = sigma_clip_bounds(&[0.25; 5000], 5.0, 30.0, 5).unwrap();
        assert_eq!((bounds.low, bounds.high), (0.25, 0.25));
    }

    /// Nine values -1, 0, 1 and one outlier: the first round drops it, the second stands on the nine.
    #[test]
    fn the_outlier_leaves_the_second_round() {
        let values = [-1.0f32, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0, 100.0];
        let std = (6.0f64 / 9.0).sqrt();
        let bounds = sigma_clip_bounds(&values, 2.0, 2.5, 5).unwrap();
        assert!((bounds.low + 2.0 * std).abs() < 1e-12 && (bounds.high - 2.5 * std).abs() < 1e-12, "{bounds:?}");
        let one_round = sigma_clip_bounds(&values, 2.0, 2.5, 1).unwrap();
        assert!(one_round.high > 70.0, "{one_round:?}");
    }
}
