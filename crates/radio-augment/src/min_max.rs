//! MinMax: one channel to [0, 1] over the pixels that count.

use crate::{BlankRule, Limits, vectorise::vectorised};

/// Scales a channel in place so that its smallest pixel becomes 0 and its largest 1, and returns the two; `None` if every pixel
/// is blank.
///
/// Blanks keep their mark (NaN, or 0 under [`BlankRule::ZeroIsBlank`]). A flat channel (`low == high`) becomes 0 everywhere: the
/// caller decides whether that is an error.
///
/// # Source
/// reference-facts B4 (MinMax).
pub fn min_max(channel: &mut [f32], blanks: BlankRule) -> Option<Limits> {
    let (low, high) = extremes(channel, blanks)?;
    match blanks {
        BlankRule::Nan => to_unit_range(channel, low, high - low),
        BlankRule::ZeroIsBlank => to_unit_range_but_zeros(channel, low, high - low),
    }
    Some(Limits { low: f64::from(low), high: f64::from(high) })
}

/// Smallest and largest pixel that counts.
pub(crate) fn extremes(channel: &[f32], blanks: BlankRule) -> Option<(f32, f32)> {
    let (low, high) = extremes_where(channel, blanks == BlankRule::Nan);
    (low <= high).then_some((low, high))
}

const LANES: usize = 16;

vectorised! {
    fn extremes_where(channel: &[f32], zero_counts: bool) -> (f32, f32) {
        let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        let mut see = |lane: usize, v: f32| {
            let counts = v.is_finite() & (zero_counts | (v != 0.0));
            let (small, large) = (if counts { v } else { f32::INFINITY }, if counts { v } else { f32::NEG_INFINITY });
            low[lane] = if small < low[lane] { small } else { low[lane] };
            high[lane] = if large > high[lane] { large } else { high[lane] };
        };
        let chunks = channel.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for lane in 0..LANES {
                see(lane, chunk[lane]);
            }
        }
        for (lane, &v) in rest.iter().enumerate() {
            see(lane, v);
        }
        (low.into_iter().fold(f32::INFINITY, f32::min), high.into_iter().fold(f32::NEG_INFINITY, f32::max))
    }
}

vectorised! {
    fn to_unit_range(channel: &mut [f32], low: f32, width: f32) {
        // A flat channel: v - low is 0 everywhere, and 0 / 1 keeps it so.
        let width = if width > 0.0 { width } else { 1.0 };
        for v in channel.iter_mut() {
            *v = (*v - low) / width;
        }
    }
}

vectorised! {
    fn to_unit_range_but_zeros(channel: &mut [f32], low: f32, width: f32) {
        let width = if width > 0.0 { width } else { 1.0 };
        for v in channel.iter_mut() {
            let scaled = (*v - low) / width;
            *v = if *v == 0.0 { 0.0 } else { scaled };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_keep_their_mark_and_do_not_set_the_range() {
        let mut channel = [f32::NAN, 0.0, 2.0, 4.0];
        assert_eq!(min_max(&mut channel, BlankRule::Nan), Some(Limits { low: 0.0, high: 4.0 }));
        assert!(channel[0].is_nan() && channel[1..] == [0.0, 0.5, 1.0]);
        let mut channel = [0.0, 1.0, 2.0, 3.0];
        assert_eq!(min_max(&mut channel, BlankRule::ZeroIsBlank), Some(Limits { low: 1.0, high: 3.0 }));
        assert_eq!(channel, [0.0, 0.0, 0.5, 1.0]);
    }

    #[test]
    fn all_blank_is_none_and_flat_becomes_zero() {
        assert_eq!(min_max(&mut [f32::NAN; 40], BlankRule::Nan), None);
        assert_eq!(min_max(&mut [0.0; 40], BlankRule::ZeroIsBlank), None);
        let mut flat = [3.0f32; 40];
        assert_eq!(min_max(&mut flat, BlankRule::Nan), Some(Limits { low: 3.0, high: 3.0 }));
        assert_eq!(flat, [0.0; 40]);
    }
}
