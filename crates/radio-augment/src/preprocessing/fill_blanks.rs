//! A value for what is blank.

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::{
    BlankRule,
    min_max::extremes,
    row_order::{in_row_order, planes_mut},
};

/// What a blank becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlankFill {
    /// 0.
    Zero,
    /// The smallest pixel of its channel that is not blank.
    Minimum,
}

/// Gives every blank a value: it is data from here on. A channel without a pixel that is not blank stays blank.
///
/// # Source
/// reference-facts B2 (NaN to the image's minimum in both detectors), B4 (pad-to-min).
#[must_use]
pub fn fill_blanks(channels: Array3<f32>, with: BlankFill, blanks: BlankRule) -> Array3<f32> {
    let mut channels = in_row_order(channels);
    for plane in planes_mut(&mut channels) {
        let Some((low, _)) = extremes(plane, blanks) else { continue };
        let value = if with == BlankFill::Zero { 0.0 } else { low };
        plane.iter_mut().filter(|v| !blanks.counts(**v)).for_each(|v| *v = value);
    }
    channels
}
