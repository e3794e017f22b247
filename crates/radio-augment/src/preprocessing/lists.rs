//! Shifts and factors from a list, one number per channel.

use ndarray::Array3;

use crate::{
    BlankRule, RecipeError,
    row_order::{in_row_order, planes_mut},
};

/// `(v - mean) / sigma` with one mean and one sigma per channel.
///
/// # Errors
/// If there are not as many of both as channels.
/// # Source
/// reference-facts B4 (Standardizer).
pub fn standardize(
    channels: Array3<f32>,
    means: &[f64],
    sigmas: &[f64],
    blanks: BlankRule,
) -> Result<Array3<f32>, RecipeError> {
    let found = channels.dim().0;
    if let Some(list) = [means, sigmas].into_iter().find(|list| list.len() != found) {
        return Err(RecipeError::WrongChannels { step: "standardize", expected: list.len().to_string(), found });
    }
    Ok(per_channel(channels, blanks, |c, v| (v - means[c]) / sigmas[c]))
}

/// `v - offset` with one offset per channel.
///
/// # Errors
/// If there are not as many as channels.
/// # Source
/// reference-facts B4 (Shifter).
pub fn shift_by(channels: Array3<f32>, offsets: &[f64], blanks: BlankRule) -> Result<Array3<f32>, RecipeError> {
    let found = channels.dim().0;
    if offsets.len() != found {
        return Err(RecipeError::WrongChannels { step: "shift", expected: offsets.len().to_string(), found });
    }
    Ok(per_channel(channels, blanks, |c, v| v - offsets[c]))
}

/// `v * factor` with one factor per channel.
///
/// # Errors
/// If there are not as many as channels.
/// # Source
/// reference-facts B4 (Scaler).
pub fn scale_by(channels: Array3<f32>, factors: &[f64], blanks: BlankRule) -> Result<Array3<f32>, RecipeError> {
    let found = channels.dim().0;
    if factors.len() != found {
        return Err(RecipeError::WrongChannels { step: "scale", expected: factors.len().to_string(), found });
    }
    Ok(per_channel(channels, blanks, |c, v| v * factors[c]))
}

fn per_channel(channels: Array3<f32>, blanks: BlankRule, change: impl Fn(usize, f64) -> f64) -> Array3<f32> {
    let mut channels = in_row_order(channels);
    for (c, plane) in planes_mut(&mut channels).enumerate() {
        for v in plane.iter_mut().filter(|v| blanks.counts(**v)) {
            *v = change(c, f64::from(*v)) as f32;
        }
    }
    channels
}
