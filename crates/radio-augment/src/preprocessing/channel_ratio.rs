//! Ratios of channels: spectral information without the flux scale.

use ndarray::Array3;

use crate::{
    BlankRule, RecipeError,
    row_order::{in_row_order, planes_mut},
    scratch::{Scratch, recycle, take_channels},
};

/// Divides every other channel by channel `reference`, pixel by pixel.
///
/// A pixel that is blank in either, or whose reference is 0, is blank. With `log` the result is `log10` and blank where the
/// ratio is not positive. `trim` cuts the result to a range (upstream: -6 to 6). With `drop_reference` the reference is left out
/// of the result, otherwise it stays as it was.
///
/// # Errors
/// If there is no channel `reference`, or it would be dropped as the only one.
/// # Source
/// reference-facts B4 (ChanDivider).
pub fn channel_ratio(
    channels: Array3<f32>,
    reference: usize,
    log: bool,
    trim: Option<[f64; 2]>,
    drop_reference: bool,
    blanks: BlankRule,
) -> Result<Array3<f32>, RecipeError> {
    let (found, rows, cols) = channels.dim();
    let needed = (reference + 1).max(1 + usize::from(drop_reference));
    if found < needed {
        return Err(RecipeError::WrongChannels { step: "channel-ratio", expected: format!("{needed} or more"), found });
    }
    let mut channels = in_row_order(channels);
    let below = planes_mut(&mut channels).nth(reference).map(|plane| Scratch::copy_of(plane)).unwrap_or_default();
    for (_, plane) in planes_mut(&mut channels).enumerate().filter(|(c, _)| *c != reference) {
        for (v, below) in plane.iter_mut().zip(below.iter()) {
            let ratio = f64::from(*v) / f64::from(*below);
            let value = if log { ratio.log10() } else { ratio };
            let counts = blanks.counts(*v) & blanks.counts(*below) & value.is_finite();
            let cut = trim.map_or(value, |[low, high]| value.clamp(low, high));
            *v = if counts { cut as f32 } else { blanks.blank() };
        }
    }
    if !drop_reference {
        return Ok(channels);
    }
    let mut out = take_channels((found - 1, rows, cols));
    let others = channels.outer_iter().enumerate().filter(|(c, _)| *c != reference);
    others.zip(out.outer_iter_mut()).for_each(|((_, from), mut to)| to.assign(&from));
    recycle(channels);
    Ok(out)
}
