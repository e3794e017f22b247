//! Scaling by extremes, per channel or over all of them.

use ndarray::Array3;

use crate::{
    BlankRule, RecipeError, min_max,
    min_max::extremes,
    preprocessing::{Maximum, center::centred_box},
    row_order::{in_row_order, planes_mut},
};

/// Every channel to `[0, 1]` by its own extremes, see [`min_max`].
///
/// With `zeros_count` zeros take part under [`BlankRule::ZeroIsBlank`], too, and are scaled: the released models' way.
///
/// # Errors
/// A channel all blank, or flat.
/// # Source
/// reference-facts B4 (MinMax), B5.
pub fn min_max_each(channels: Array3<f32>, zeros_count: bool, blanks: BlankRule) -> Result<Array3<f32>, RecipeError> {
    let (_, rows, cols) = channels.dim();
    let mut channels = in_row_order(channels);
    let rule = if zeros_count { BlankRule::Nan } else { blanks };
    for (channel, plane) in planes_mut(&mut channels).enumerate() {
        match min_max(plane, rule) {
            None => return Err(RecipeError::AllBlank { rows, cols, pixels: rows * cols }),
            Some(limits) if limits.low == limits.high => {
                return Err(RecipeError::ConstantChannel { channel, value: limits.low });
            }
            Some(_) => {}
        }
    }
    Ok(channels)
}

/// All channels by one minimum and one maximum, those of all of them.
///
/// # Errors
/// All channels blank, or all flat at one value.
/// # Source
/// reference-facts B4 (AbsMinMax).
pub fn min_max_together(channels: Array3<f32>, blanks: BlankRule) -> Result<Array3<f32>, RecipeError> {
    let (n_channels, rows, cols) = channels.dim();
    let mut channels = in_row_order(channels);
    let all_blank = RecipeError::AllBlank { rows, cols, pixels: n_channels * rows * cols };
    let (low, high) = extremes(channels.as_slice().unwrap_or_default(), blanks).ok_or(all_blank)?;
    if low == high {
        return Err(RecipeError::ConstantChannel { channel: 0, value: low.into() });
    }
    for v in channels.iter_mut().filter(|v| blanks.counts(**v)) {
        *v = (*v - low) / (high - low);
    }
    Ok(channels)
}

/// Divides by a maximum: each channel's own, that of all, or that of one channel.
///
/// # Errors
/// All pixels of a channel blank; a maximum that is not above 0 ([`Maximum::OfChannel`] asks it of every channel, as upstream);
/// no such channel.
/// # Source
/// reference-facts B4 (MaxScaler, AbsMaxScaler, ChanMaxScaler).
pub fn max_scale(channels: Array3<f32>, maximum: Maximum, blanks: BlankRule) -> Result<Array3<f32>, RecipeError> {
    const STEP: &str = "max-scale";
    let (n_channels, rows, cols) = channels.dim();
    let mut channels = in_row_order(channels);
    let largest = |plane: &[f32]| {
        let all_blank = RecipeError::AllBlank { rows, cols, pixels: rows * cols };
        extremes(plane, blanks).map(|(_, high)| high).ok_or(all_blank)
    };
    let positive = |channel: usize, found: f32| {
        if found > 0.0 { Ok(found) } else { Err(RecipeError::NotPositive { step: STEP, channel, found: found.into() }) }
    };
    let divide = |plane: &mut [f32], by: f32| plane.iter_mut().for_each(|v| *v /= by);
    match maximum {
        Maximum::OfEach => {
            for (channel, plane) in planes_mut(&mut channels).enumerate() {
                let by = positive(channel, largest(plane)?)?;
                divide(plane, by);
            }
        }
        Maximum::OfAll { inside } => {
            let (box_rows, box_cols) =
                (centred_box(rows, inside.unwrap_or(1.0)), centred_box(cols, inside.unwrap_or(1.0)));
            let mut by = f32::NEG_INFINITY;
            for plane in planes_mut(&mut channels) {
                for row in plane.chunks_exact(cols).skip(box_rows.start).take(box_rows.len()) {
                    by = by.max(extremes(&row[box_cols.clone()], blanks).map_or(f32::NEG_INFINITY, |(_, high)| high));
                }
            }
            if by == f32::NEG_INFINITY {
                return Err(RecipeError::AllBlank { rows, cols, pixels: n_channels * rows * cols });
            }
            let by = positive(0, by)?;
            planes_mut(&mut channels).for_each(|plane| divide(plane, by));
        }
        Maximum::OfChannel { channel } => {
            if channel >= n_channels {
                let expected = format!("{} or more", channel + 1);
                return Err(RecipeError::WrongChannels { step: STEP, expected, found: n_channels });
            }
            let mut by = 1.0;
            for (c, plane) in planes_mut(&mut channels).enumerate() {
                let high = positive(c, largest(plane)?)?;
                by = if c == channel { high } else { by };
            }
            planes_mut(&mut channels).for_each(|plane| divide(plane, by));
        }
    }
    Ok(channels)
}

/// Lifts every channel that has a negative pixel so that its smallest becomes 0.
///
/// Under [`BlankRule::ZeroIsBlank`] that pixel is blank from here on, as upstream.
///
/// # Source
/// reference-facts B4 (NegativeDataFixer).
#[must_use]
pub fn negatives_to_zero(channels: Array3<f32>, blanks: BlankRule) -> Array3<f32> {
    let mut channels = in_row_order(channels);
    for plane in planes_mut(&mut channels) {
        if let Some((low, _)) = extremes(plane, blanks).filter(|(low, _)| *low < 0.0) {
            plane.iter_mut().filter(|v| blanks.counts(**v)).for_each(|v| *v -= low);
        }
    }
    channels
}
