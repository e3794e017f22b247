//! Contrast-limited adaptive histogram equalisation (CLAHE): each pixel by the histograms of the four regions around it.
//!
//! Zuiderveld 1994 (Graphics Gems IV, p. 474), with the conventions of scikit-image's `equalize_adapthist`: every rounding is where it has
//! one, so that the result is the same to the last bit of its 16,384 grey levels.

use crate::{BlankRule, RecipeError, scratch::Scratch};

/// Grey levels that an image is reduced to.
const LEVELS: u32 = 1 << 14;

/// What [`equalize_adaptive`] is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AdaptiveSettings {
    /// Largest share of a region's pixels in one bin; what is above is spread over the others. 0 sets no limit.
    pub clip_limit: f64,
    /// Bins of a histogram.
    pub bins: usize,
    /// Rows and columns of a region.
    pub kernel: (usize, usize),
}

/// Equalises a channel of `cols` columns to `[0, 1]`.
///
/// Pixels are expected from -1 to 1, negative ones counting as 0. Blanks take part as 0, for that is what they hold in the authors' code, and
/// stay blank.
///
/// # Errors
/// [`RecipeError::OutsideUnitRange`] for pixels beyond -1 and 1: put a `min-max` before it.
///
/// # Source
/// reference-facts B4 (HistEqualizer, adaptive); scikit-image 0.26.0.
pub(crate) fn equalize_adaptive(
    plane: &mut [f32],
    cols: usize,
    settings: &AdaptiveSettings,
    channel: usize,
    blanks: BlankRule,
) -> Result<(), RecipeError> {
    let rows = plane.len().checked_div(cols).unwrap_or(0);
    if rows == 0 {
        return Ok(());
    }
    if let Some(found) = plane.iter().copied().find(|v| v.is_finite() && v.abs() > 1.0) {
        return Err(RecipeError::OutsideUnitRange { step: "equalize-adaptive", channel, found });
    }
    let bins = settings.bins.clamp(1, LEVELS as usize);
    let binned = bins_of(plane, bins, blanks);
    let grid = Grid::new((rows, cols), settings.kernel);
    let maps = grid.maps(&binned, bins, settings.clip_limit);
    let mut equalized = Scratch::new(plane.len());
    for row in 0..rows {
        let (above, below, down) = grid.along_rows.neighbours(row);
        for col in 0..cols {
            let (left, right, across) = grid.along_cols.neighbours(col);
            let bin = binned[row * cols + col] as usize;
            let level = |region_row: usize, region_col: usize, weight: f64| {
                let map = (region_row * grid.along_cols.regions + region_col) * bins;
                (f64::from(maps[map + bin]) * weight) as f32
            };
            let corners = level(above, left, (1.0 - across) * (1.0 - down))
                + level(above, right, across * (1.0 - down))
                + level(below, left, (1.0 - across) * down)
                + level(below, right, across * down);
            equalized[row * cols + col] = corners.trunc();
        }
    }
    let (low, high) = equalized.iter().fold((f32::INFINITY, 0.0_f32), |(low, high), &v| (low.min(v), high.max(v)));
    for (v, &level) in plane.iter_mut().zip(equalized.iter()) {
        if blanks.counts(*v) {
            *v = if low < high { (level - low) / (high - low) } else { level.min(1.0) };
        }
    }
    Ok(())
}

/// The bin of each pixel, from 16-bit numbers of what lies between 0 and 1, stretched over all grey levels.
fn bins_of(plane: &[f32], bins: usize, blanks: BlankRule) -> Scratch<u32> {
    let mut levels = Scratch::new(plane.len());
    let (mut low, mut high) = (u32::MAX, 0);
    for (level, &v) in levels.iter_mut().zip(plane) {
        *level = if blanks.counts(v) { (v * 65535.0).round_ties_even().clamp(0.0, 65535.0) as u32 } else { 0 };
        (low, high) = (low.min(*level), high.max(*level));
    }
    let (base, span, top) = (f64::from(low), f64::from(high) - f64::from(low), f64::from(LEVELS - 1));
    let width = 1 + LEVELS / bins as u32;
    for level in levels.iter_mut() {
        let stretched = if span > 0.0 { (f64::from(*level) - base) / span * top } else { base.min(top) };
        *level = stretched.round_ties_even() as u32 / width;
    }
    levels
}

/// The regions along one axis.
struct Axis {
    pixels: usize,
    kernel: usize,
    regions: usize,
}

impl Axis {
    fn new(pixels: usize, kernel: usize) -> Self {
        let kernel = kernel.max(1);
        Self { pixels, kernel, regions: pixels.div_ceil(kernel) }
    }

    /// The regions whose middles are before and behind a pixel, and how far it is from one to the other.
    fn neighbours(&self, pixel: usize) -> (usize, usize, f64) {
        let shifted = pixel + self.kernel / 2;
        let (block, place) = (shifted / self.kernel, shifted % self.kernel);
        (block.saturating_sub(1), block.min(self.regions - 1), place as f64 / self.kernel as f64)
    }

    /// The pixel that stands for one behind the edge: a mirror on the last.
    fn reflected(&self, pixel: usize) -> usize {
        if self.pixels == 1 {
            return 0;
        }
        let turned = pixel % (2 * (self.pixels - 1));
        turned.min(2 * (self.pixels - 1) - turned)
    }
}

struct Grid {
    along_rows: Axis,
    along_cols: Axis,
}

impl Grid {
    fn new((rows, cols): (usize, usize), kernel: (usize, usize)) -> Self {
        Self { along_rows: Axis::new(rows, kernel.0), along_cols: Axis::new(cols, kernel.1) }
    }

    /// For every region, row by row, the grey level of each bin.
    fn maps(&self, binned: &[u32], bins: usize, clip_limit: f64) -> Scratch<u32> {
        let (along_rows, along_cols) = (&self.along_rows, &self.along_cols);
        let members = along_rows.kernel * along_cols.kernel;
        let limit = if clip_limit > 0.0 { (clip_limit * members as f64).max(1.0) as i64 } else { members as i64 };
        let mut maps = Scratch::new(along_rows.regions * along_cols.regions * bins);
        let mut histogram = Scratch::<i64>::new(bins);
        for (region, map) in maps.chunks_exact_mut(bins).enumerate() {
            let (region_row, region_col) = (region / along_cols.regions, region % along_cols.regions);
            histogram.fill(0);
            for down in 0..along_rows.kernel {
                let row = along_rows.reflected(region_row * along_rows.kernel + down);
                for across in 0..along_cols.kernel {
                    let col = along_cols.reflected(region_col * along_cols.kernel + across);
                    histogram[binned[row * along_cols.pixels + col] as usize] += 1;
                }
            }
            clip(&mut histogram, limit);
            let top = f64::from(LEVELS - 1);
            let mut sum = 0;
            for (level, &count) in map.iter_mut().zip(histogram.iter()) {
                sum += count;
                *level = (sum as f64 * (top / members as f64)).min(top) as u32;
            }
        }
        maps
    }
}

/// Cuts bins at `limit` and spreads what was above over those below, evenly as far as whole numbers go.
fn clip(histogram: &mut [i64], limit: i64) {
    let bins = histogram.len();
    let mut excess: i64 = histogram.iter().map(|&count| (count - limit).max(0)).sum();
    histogram.iter_mut().for_each(|count| *count = (*count).min(limit));
    let each = excess / bins as i64;
    let upper = limit - each;
    for count in histogram.iter_mut().filter(|count| **count < upper) {
        *count += each;
        excess -= each;
    }
    // Bins that were lifted just now may be among these.
    for count in histogram.iter_mut().filter(|count| (upper..limit).contains(*count)) {
        excess -= limit - *count;
        *count = limit;
    }
    while excess > 0 {
        let before = excess;
        for first in 0..bins {
            let open = histogram.iter().filter(|count| **count < limit).count() as i64;
            let step = (open / excess).max(1) as usize;
            for count in histogram.iter_mut().skip(first).step_by(step).filter(|count| **count < limit) {
                *count += 1;
                excess -= 1;
            }
            if excess <= 0 {
                break;
            }
        }
        if excess == before {
            break;
        }
    }
}
