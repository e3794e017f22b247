//! The two ways a cutout becomes a channel: clipped to bounds, or mapped from zscale limits to [0, 1].

use crate::{BlankRule, Limits, vectorise::vectorised};

/// Sets pixels beyond the bounds to the bounds; blanks are NaN afterwards, or 0 if that is the rule.
pub(crate) fn clip_to(plane: &mut [f32], bounds: Limits, blanks: BlankRule) {
    clip_plane(plane, bounds.low as f32, bounds.high as f32, blanks == BlankRule::Nan);
}

/// `(v - low) / (high - low)`, cut to `[0, 1]`; undivided if the limits are equal, as in astropy. Blanks as in [`clip_to`].
pub(crate) fn scale_to(plane: &mut [f32], limits: Limits, blanks: BlankRule) {
    let width = if limits.width() > 0.0 { limits.width() as f32 } else { 1.0 };
    scale_plane(plane, limits.low as f32, width, blanks == BlankRule::Nan);
}

vectorised! {
    fn clip_plane(plane: &mut [f32], low: f32, high: f32, nan_is_blank: bool) {
        let blank = if nan_is_blank { f32::NAN } else { 0.0 };
        for v in plane.iter_mut() {
            let raised = if *v < low { low } else { *v };
            let cut = if raised > high { high } else { raised };
            let counts = v.is_finite() & (nan_is_blank | (*v != 0.0));
            *v = if counts { cut } else { blank };
        }
    }
}

vectorised! {
    fn scale_plane(plane: &mut [f32], low: f32, width: f32, nan_is_blank: bool) {
        let blank = if nan_is_blank { f32::NAN } else { 0.0 };
        for v in plane.iter_mut() {
            let scaled = (*v - low) / width;
            let raised = if scaled < 0.0 { 0.0 } else { scaled };
            let cut = if raised > 1.0 { 1.0 } else { raised };
            let counts = v.is_finite() & (nan_is_blank | (*v != 0.0));
            *v = if counts { cut } else { blank };
        }
    }
}
