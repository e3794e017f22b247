//! Turning a frame by multiples of 90 degrees, clockwise, exactly.

use ndarray::{Array3, ArrayView3};

use crate::{
    blank::MaskedInterpolation,
    resize_bicubic::{Window, resize_window},
    scratch::{recycle, take_channels},
};

/// Turns channels `[C, H, W]` clockwise by `turns` x 90 degrees; an odd number of turns gives `[C, W, H]`.
#[must_use]
pub fn quarter_turns(channels: ArrayView3<f32>, turns: u32) -> Array3<f32> {
    let (n_channels, height, width) = channels.dim();
    let source = channels.as_standard_layout();
    let odd = turns % 2 == 1;
    let mut out = take_channels(if odd { (n_channels, width, height) } else { (n_channels, height, width) });
    if let (Some(source), Some(target), true) = (source.as_slice(), out.as_slice_mut(), height * width > 0) {
        for (plane, out) in source.chunks_exact(height * width).zip(target.chunks_exact_mut(height * width)) {
            match turns % 4 {
                0 => out.copy_from_slice(plane),
                2 => out.iter_mut().zip(plane.iter().rev()).for_each(|(out, v)| *out = *v),
                turns => transpose(plane, height, width, turns == 1, out),
            }
        }
    }
    out
}

/// As [`quarter_turns`], but the result has the frame's former size: a frame that is not square is resized back (bicubic) and
/// so distorted, as upstream.
///
/// # Source
/// reference-facts C2.
#[must_use]
pub fn quarter_turns_keeping_size(channels: ArrayView3<f32>, turns: u32) -> Array3<f32> {
    let (n_channels, height, width) = channels.dim();
    let turned = quarter_turns(channels, turns);
    if turned.dim() == (n_channels, height, width) {
        return turned;
    }
    let (mut out, mut masked) = (take_channels((n_channels, height, width)), MaskedInterpolation::default());
    let window = Window { top: 0, left: 0, rows: width, cols: height };
    if let (Some(source), Some(target), true) = (turned.as_slice(), out.as_slice_mut(), height * width > 0) {
        for (plane, out) in source.chunks_exact(height * width).zip(target.chunks_exact_mut(height * width)) {
            resize_window(plane, height, window, out, (height, width), &mut masked);
        }
    }
    recycle(turned);
    out
}

/// Tiles of this side keep both images in the first cache.
const TILE: usize = 16;

/// Output row r is column r of the plane, read upwards (clockwise), or column `width - 1 - r` read downwards.
fn transpose(plane: &[f32], height: usize, width: usize, clockwise: bool, out: &mut [f32]) {
    for first_row in (0..width).step_by(TILE) {
        for first_col in (0..height).step_by(TILE) {
            for r in first_row..(first_row + TILE).min(width) {
                let row = &mut out[r * height..(r + 1) * height];
                for c in first_col..(first_col + TILE).min(height) {
                    row[c] =
                        if clockwise { plane[(height - 1 - c) * width + r] } else { plane[c * width + width - 1 - r] };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_quarter_turn_is_clockwise() {
        let frame = array![[[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]];
        assert_eq!(quarter_turns(frame.view(), 1), array![[[4.0, 1.0], [5.0, 2.0], [6.0, 3.0]]]);
        assert_eq!(quarter_turns(frame.view(), 2), array![[[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]]]);
        assert_eq!(quarter_turns(frame.view(), 3), array![[[3.0, 6.0], [2.0, 5.0], [1.0, 4.0]]]);
        assert_eq!(quarter_turns(frame.view(), 4), frame);
        assert_eq!(quarter_turns_keeping_size(frame.view(), 1).dim(), frame.dim());
    }
}
