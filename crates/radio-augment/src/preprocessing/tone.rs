//! Curves over pixel values: logarithm and sigmoid.

use ndarray::Array3;

use crate::{
    BlankRule,
    row_order::{in_row_order, planes_mut},
};

/// `log10` of positive pixels; the others take the smallest logarithm of their channel.
///
/// With `normalise` the result is `(log10 v + 6) / 12`, cut below at 0. Blanks stay blank under [`BlankRule::Nan`]; under
/// [`BlankRule::ZeroIsBlank`] a 0 is one of the others, as upstream. A channel without a positive pixel becomes blank.
///
/// # Source
/// reference-facts B4 (LogStretcher).
#[must_use]
pub fn log_stretch(channels: Array3<f32>, normalise: bool, blanks: BlankRule) -> Array3<f32> {
    let mut channels = in_row_order(channels);
    let curve = |v: f32| {
        let log = f64::from(v).log10();
        if normalise { ((log + 6.0) / 12.0).max(0.0) as f32 } else { log as f32 }
    };
    for plane in planes_mut(&mut channels) {
        let positive = plane.iter().copied().filter(|v| v.is_finite() && *v > 0.0);
        let smallest = positive.reduce(f32::min).map_or(blanks.blank(), curve);
        for v in plane.iter_mut() {
            *v = match *v {
                v if v.is_finite() && v > 0.0 => curve(v),
                v if v.is_finite() => smallest,
                _ => blanks.blank(),
            };
        }
    }
    channels
}

/// `1 / (1 + exp(gain * (cutoff - v)))`, for channels that lie in `[0, 1]`.
///
/// # Source
/// reference-facts C3 (SigmoidStretch: gain 10 to 30, cutoff 0.5); scikit-image's `adjust_sigmoid`.
#[must_use]
pub fn sigmoid_stretch(channels: Array3<f32>, gain: f64, cutoff: f64, blanks: BlankRule) -> Array3<f32> {
    let mut channels = in_row_order(channels);
    for v in channels.iter_mut().filter(|v| blanks.counts(**v)) {
        *v = (1.0 / (1.0 + (gain * (cutoff - f64::from(*v))).exp())) as f32;
    }
    channels
}
