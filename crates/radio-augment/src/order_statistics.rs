//! The k-th smallest of many pixels without sorting them: medians and percentiles are most of the recipe's cost.
//!
//! A sample of about a thousand values brackets the wanted rank; one pass counts what lies below the bracket and
//! collects what lies inside (about a tenth), and the exact answer is selected there. If the sample misled us, the whole set is
//! selected from instead: the answer is always exact. Non-finite values are passed over everywhere.

use crate::{blank::count_non_finite, compact::compact_within, scratch::Scratch, vectorise::vectorised};

/// Sets up to this size are selected from directly.
const SMALL: usize = 4096;
const SAMPLE: usize = 1024;

/// Order statistics of the finite values of a fixed set; ranks count from 0.
pub(crate) struct OrderStatistics<'a> {
    values: &'a [f32],
    n_finite: usize,
    /// In any order; empty for small sets.
    sample: Scratch,
    /// Every value of one closed interval, in any order.
    bracket: Scratch,
    /// How many values lie below the bracket.
    below: usize,
}

impl<'a> OrderStatistics<'a> {
    pub(crate) fn new(values: &'a [f32]) -> Self {
        let n_finite = values.len() - count_non_finite(values);
        let mut order = Self { values, n_finite, sample: Scratch::default(), bracket: Scratch::default(), below: 0 };
        if n_finite <= SMALL {
            order.bracket_everything();
        } else {
            let stride = values.len() / SAMPLE;
            // The place inside each stride varies, so that the sample does not fall on the columns of an image.
            let places = (0..SAMPLE).map(|i| i * stride + (i.wrapping_mul(0x9E37_79B9) >> 7) % stride);
            order.sample = Scratch::collect(places.map(|place| values[place]).filter(|v| v.is_finite()), SAMPLE);
        }
        order
    }

    /// How many values are finite.
    pub(crate) fn n_finite(&self) -> usize {
        self.n_finite
    }

    /// The values of rank `rank` and of the next rank (the same again for the last rank).
    ///
    /// `rank` must be below [`OrderStatistics::n_finite`].
    pub(crate) fn pair(&mut self, rank: usize) -> (f32, f32) {
        let next = (rank + 1).min(self.n_finite - 1);
        if !(self.holds(rank) && self.holds(next)) {
            self.bracket_rank(rank);
        }
        if !(self.holds(rank) && self.holds(next)) {
            self.bracket_everything();
        }
        let (_, &mut value, above) = self.bracket.select_nth_unstable_by(rank - self.below, f32::total_cmp);
        let following = if next == rank { value } else { above.iter().copied().fold(f32::INFINITY, f32::min) };
        (value, following)
    }

    /// Median of the values whose ranks are `first..first + count`, `count > 0`.
    pub(crate) fn median_of_ranks(&mut self, first: usize, count: usize) -> f64 {
        let (lower, upper) = self.pair(first + (count - 1) / 2);
        if count % 2 == 1 { f64::from(lower) } else { 0.5 * (f64::from(lower) + f64::from(upper)) }
    }

    fn holds(&self, rank: usize) -> bool {
        rank >= self.below && rank - self.below < self.bracket.len()
    }

    fn bracket_everything(&mut self) {
        self.bracket = compact_within(self.values, f32::MIN, f32::MAX);
        self.below = 0;
    }

    fn bracket_rank(&mut self, rank: usize) {
        let n = self.sample.len();
        if n == 0 {
            // Every sampled place was blank.
            return self.bracket_everything();
        }
        let place = rank * n / self.n_finite;
        // Three standard deviations of the rank that the median of n random values has.
        let half_width = (1.5 * (n as f64).sqrt()) as usize;
        let mut of_rank = |rank: usize| *self.sample.select_nth_unstable_by(rank, f32::total_cmp).1;
        let low = place.checked_sub(half_width).map_or(f32::MIN, &mut of_rank);
        let high = if place + half_width < n { of_rank(place + half_width) } else { f32::MAX };
        self.below = count_below(self.values, low);
        self.bracket = compact_within(self.values, low, high);
    }
}

vectorised! {
    /// How many finite values are below `bound`.
    fn count_below(values: &[f32], bound: f32) -> usize {
        let count = |chunk: &[f32]| chunk.iter().map(|&v| u32::from((v < bound) & (v >= f32::MIN))).sum::<u32>();
        values.chunks(1 << 16).map(|chunk| count(chunk) as usize).sum()
    }
}
