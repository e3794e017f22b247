//! Histogram equalisation: pixel values replaced by their rank, as far as a histogram knows it.

use crate::{BlankRule, min_max::extremes, scratch::Scratch};

/// Replaces every pixel of a channel by the share of pixels up to it, from a histogram of `bins` bins, linear between the bins' middles.
///
/// Only pixels that are not blank are counted and changed; a flat channel becomes 1.
///
/// # Source
/// reference-facts B4 (HistEqualizer); scikit-image's `equalize_hist` (256 bins) of those pixels.
pub fn equalize_histogram(plane: &mut [f32], bins: usize, blanks: BlankRule) {
    let bins = bins.max(1);
    if let Some((low, high)) = extremes(plane, blanks) {
        let (low, high) = (f64::from(low), f64::from(high));
        // NumPy's histogram of a single value is half a unit wide to either side.
        let (low, high) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
        let per_unit = bins as f64 / (high - low);
        let mut cumulative = Scratch::filled(bins, 0u32);
        for v in plane.iter().filter(|v| blanks.counts(**v)) {
            let bin = ((f64::from(*v) - low) * per_unit) as usize;
            cumulative[bin.min(bins - 1)] += 1;
        }
        for bin in 1..bins {
            cumulative[bin] += cumulative[bin - 1];
        }
        let total = f64::from(cumulative[bins - 1]);
        let share = |bin: usize| f64::from(cumulative[bin]) / total;
        for v in plane.iter_mut().filter(|v| blanks.counts(**v)) {
            let place = ((f64::from(*v) - low) * per_unit - 0.5).clamp(0.0, (bins - 1) as f64);
            let bin = (place as usize).min(bins.saturating_sub(2));
            let next = (bin + 1).min(bins - 1);
            *v = (share(bin) + (share(next) - share(bin)) * (place - bin as f64)) as f32;
        }
    }
}
