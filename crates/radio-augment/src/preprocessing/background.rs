//! Background levels: the two ways of taking one away.

use ndarray::Array3;

use crate::{
    BlankRule,
    preprocessing::center::centred_box,
    row_order::{in_row_order, planes_mut},
    scratch::Scratch,
    sigma_clipped_statistics,
};

/// Rounds of clipping, astropy's default in `sigma_clipped_stats`.
const ROUNDS: usize = 5;

/// Takes `mean + sigma * std` of the clipped pixels (clipped at `sigma`) off every channel; what is negative then becomes 0.
///
/// Under [`BlankRule::ZeroIsBlank`] these zeros are blank from here on, as upstream.
///
/// # Source
/// reference-facts B4 (SigmaClipShifter).
#[must_use]
pub fn shift_and_clip(channels: Array3<f32>, sigma: f64, blanks: BlankRule) -> Array3<f32> {
    let mut channels = in_row_order(channels);
    for plane in planes_mut(&mut channels) {
        let Some(level) = sigma_clipped_statistics(&blanks.counting_values(plane), sigma, ROUNDS) else { continue };
        let shift = level.mean + sigma * level.std;
        for v in plane.iter_mut().filter(|v| blanks.counts(**v)) {
            *v = (f64::from(*v) - shift).max(0.0) as f32;
        }
    }
    channels
}

/// Takes the clipped mean off every channel.
///
/// With `outside_box` the mean is that of the pixels outside a centred box of this fraction of each side.
///
/// # Source
/// reference-facts B4 (BkgSubtractor).
#[must_use]
pub fn subtract_background(
    channels: Array3<f32>,
    sigma: f64,
    outside_box: Option<f64>,
    blanks: BlankRule,
) -> Array3<f32> {
    let (_, height, width) = channels.dim();
    let mut channels = in_row_order(channels);
    for plane in planes_mut(&mut channels) {
        let level = match outside_box {
            None => sigma_clipped_statistics(&blanks.counting_values(plane), sigma, ROUNDS),
            Some(fraction) => {
                let (rows, cols) = (centred_box(height, fraction), centred_box(width, fraction));
                let outside = plane.iter().enumerate().filter(|(i, v)| {
                    let inside = rows.contains(&(i / width)) && cols.contains(&(i % width));
                    !inside && blanks.counts(**v)
                });
                let border = Scratch::collect(outside.map(|(_, v)| *v), plane.len());
                sigma_clipped_statistics(&border, sigma, ROUNDS)
            }
        };
        let Some(level) = level else { continue };
        for v in plane.iter_mut().filter(|v| blanks.counts(**v)) {
            *v = (f64::from(*v) - level.mean) as f32;
        }
    }
    channels
}
