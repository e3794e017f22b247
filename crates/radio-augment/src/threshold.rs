//! Percentile thresholding: pixels below a random percentile vanish. The last augmenter of Table 2.

use ndarray::Array3;

use crate::{
    BlankRule, percentile,
    row_order::{in_row_order, planes_mut},
    vectorise::vectorised,
};

/// Sets to 0, in every channel of `[C, H, W]`, the pixels strictly below that channel's `q`-th percentile.
///
/// The others keep their value: nothing is binarised or shifted. The percentile is taken over the pixels that count; one `q`
/// serves all channels. Under [`BlankRule::Nan`] blanks stay NaN and the zeros written here are data, as in the paper's order;
/// upstream's later MinMax leaves them out ([`BlankRule::ZeroIsBlank`]).
///
/// # Source
/// reference-facts C3 (the authors' code: one q per image, one value per channel).
#[must_use]
pub fn threshold_percentile(channels: Array3<f32>, q: f64, blanks: BlankRule) -> Array3<f32> {
    let mut channels = in_row_order(channels);
    planes_mut(&mut channels).for_each(|plane| threshold_plane(plane, q, blanks));
    channels
}

fn threshold_plane(plane: &mut [f32], q: f64, blanks: BlankRule) {
    if let Some(cut) = percentile(&blanks.counting_values(plane), q) {
        // The smallest f32 that is not below the cut, so that comparing in f32 decides as comparing in f64 would.
        let rounded = cut as f32;
        let cut = if f64::from(rounded) < cut { rounded.next_up() } else { rounded };
        zero_below(plane, cut);
    }
}

vectorised! {
    fn zero_below(plane: &mut [f32], cut: f32) {
        for v in plane.iter_mut() {
            *v = if *v < cut { 0.0 } else { *v };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn strictly_lower_pixels_vanish_per_channel() {
        let frame = array![[[1.0f32, 2.0, 3.0, 4.0, 5.0]], [[50.0, 40.0, 30.0, 20.0, f32::NAN]]];
        let out = threshold_percentile(frame, 50.0, BlankRule::Nan); // cuts 3 and 35
        assert_eq!(out.index_axis(ndarray::Axis(0), 0), array![[0.0, 0.0, 3.0, 4.0, 5.0]]);
        assert_eq!(out.iter().skip(5).take(4).copied().collect::<Vec<_>>(), [50.0, 40.0, 0.0, 0.0]);
        assert!(out[[1, 0, 4]].is_nan());
    }

    #[test]
    fn the_blank_rule_decides_whether_zeros_have_a_rank() {
        let frame = array![[[0.0f32, 0.0, 0.0, 1.0, 2.0, 3.0]]];
        assert_eq!(threshold_percentile(frame.clone(), 50.0, BlankRule::Nan), frame); // cut 0.5
        assert_eq!(threshold_percentile(frame, 50.0, BlankRule::ZeroIsBlank), array![[[0.0, 0.0, 0.0, 0.0, 2.0, 3.0]]]);
    }
}
