//! The middle of a frame, and the edge of what is not blank.

use std::ops::Range;

use ndarray::Array3;

use crate::{
    BlankRule, RecipeError,
    row_order::{in_row_order, planes_mut},
    scratch::{Scratch, recycle, take_channels},
};

/// The middle `fraction` of a side, whole pixels: `floor(fraction * side)` of them, one more after than before if they are odd out.
pub(crate) fn centred_box(side: usize, fraction: f64) -> Range<usize> {
    let kept = ((fraction * side as f64) as usize).min(side);
    let first = (side - kept) / 2;
    first..first + kept
}

/// Blanks everything outside a centred box of `fraction` of each side.
///
/// # Source
/// reference-facts B4 (BorderMasker).
#[must_use]
pub fn blank_border(channels: Array3<f32>, fraction: f64, blanks: BlankRule) -> Array3<f32> {
    let (_, height, width) = channels.dim();
    let (rows, cols) = (centred_box(height, fraction), centred_box(width, fraction));
    let mut channels = in_row_order(channels);
    for plane in planes_mut(&mut channels) {
        for (row, pixels) in plane.chunks_exact_mut(width).enumerate() {
            let kept = if rows.contains(&row) { cols.clone() } else { 0..0 };
            pixels[..kept.start].fill(blanks.blank());
            pixels[kept.end..].fill(blanks.blank());
        }
    }
    channels
}

/// Cuts out the middle `size x size` pixels.
///
/// # Errors
/// If the frame is smaller.
/// # Source
/// reference-facts B4 (CenterCropper).
pub fn center_crop(channels: Array3<f32>, size: usize) -> Result<Array3<f32>, RecipeError> {
    let (n_channels, rows, cols) = channels.dim();
    if rows < size || cols < size {
        return Err(RecipeError::TooSmall { size, rows, cols });
    }
    let (top, left) = ((rows - size) / 2, (cols - size) / 2);
    let mut cropped = take_channels((n_channels, size, size));
    cropped.assign(&channels.slice(ndarray::s![.., top..top + size, left..left + size]));
    recycle(channels);
    Ok(cropped)
}

/// Blanks the pixels whose neighbourhood, an ellipse of `side x side` pixels, holds a blank: the good area shrinks.
///
/// The outside of the frame does not count as blank. An even `side` counts as one more.
///
/// # Source
/// reference-facts B4 (MaskShrinker); OpenCV's `erode` with its `MORPH_ELLIPSE` kernel.
#[must_use]
pub fn shrink_mask(channels: Array3<f32>, side: usize, blanks: BlankRule) -> Array3<f32> {
    let (_, height, width) = channels.dim();
    let radius = (side / 2) as i64;
    let mut channels = in_row_order(channels);
    for plane in planes_mut(&mut channels) {
        let good = Scratch::from_fn(plane.len(), |i| blanks.counts(plane[i]));
        for place in (0..plane.len()).filter(|place| !good[*place]) {
            let (row, col) = ((place / width) as i64, (place % width) as i64);
            for dy in -radius..=radius {
                let reach = ellipse_reach(dy, radius);
                let y = row + dy;
                if (0..height as i64).contains(&y) {
                    let from = (col - reach).max(0) as usize;
                    let to = (col + reach + 1).min(width as i64) as usize;
                    plane[y as usize * width..][from..to].fill(blanks.blank());
                }
            }
        }
    }
    channels
}

/// How far the ellipse reaches to either side, `dy` rows from its middle.
fn ellipse_reach(dy: i64, radius: i64) -> i64 {
    let r = radius as f64;
    if radius == 0 { 0 } else { (r * ((r * r - (dy * dy) as f64) / (r * r)).sqrt()).round_ties_even() as i64 }
}
