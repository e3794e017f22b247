//! Turning a frame by multiples of 90 degrees, clockwise, exactly.

use ndarray::{Array3, ArrayView3};

use crate::{
    blank::MaskedInterpolation,
    resize_bicubic::{Window, WindowResize},
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
    let resize = WindowResize::new(Window { top: 0, left: 0, rows: width, cols: height }, (height, width));
    if let (Some(source), Some(target), true) = (turned.as_slice(), out.as_slice_mut(), height * width > 0) {
        for (plane, out) in source.chunks_exact(height * width).zip(target.chunks_exact_mut(height * width)) {
            resize.run(plane, height, out, &mut masked);
        }
    }
    recycle(turned);
    out
}

/// Tiles of this side keep both images in the first cache.
const TILE: usize = 16;

/// Output row r is column r of the plane, read upwards (clockwise), or column `width - 1 - r` read downwards.
fn transpose(plane: &[f32], height: usize, width: usize, clockwise: bool, out: &mut [f32]) {
    let source = |r: usize, c: usize| {
        if clockwise { plane[(height - 1 - c) * width + r] } else { plane[c * width + width - 1 - r] }
    };
    for first_row in (0..width).step_by(TILE) {
        let rows = first_row..(first_row + TILE).min(width);
        for first_col in (0..height).step_by(TILE) {
            let cols = first_col..(first_col + TILE).min(height);
            if rows.len() < TILE || cols.len() < TILE {
                for (r, c) in rows.clone().flat_map(|r| cols.clone().map(move |c| (r, c))) {
                    out[r * height + c] = source(r, c);
                }
                continue;
            }
            for r in rows.clone().step_by(4) {
                for c in cols.clone().step_by(4) {
                    // The four pixels of the plane that output column c + k takes for rows r to r + 3.
                    let column = |k: usize| -> [f32; 4] {
                        if clockwise {
                            let from = (height - 1 - c - k) * width + r;
                            std::array::from_fn(|i| plane[from..from + 4][i])
                        } else {
                            let from = (c + k) * width + width - 4 - r;
                            std::array::from_fn(|i| plane[from..from + 4][3 - i])
                        }
                    };
                    let block = [column(0), column(1), column(2), column(3)];
                    for i in 0..4 {
                        let to = (r + i) * height + c;
                        out[to..to + 4].copy_from_slice(&[block[0][i], block[1][i], block[2][i], block[3][i]]);
                    }
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

    /// Sizes below, at and between multiples of a tile.
    #[test]
    fn every_pixel_goes_where_a_turn_takes_it() {
        for (height, width) in [(1, 5), (16, 16), (17, 40), (33, 15), (64, 47)] {
            let frame = Array3::from_shape_fn((2, height, width), |(c, y, x)| (c * 10_000 + y * 100 + x) as f32);
            let clockwise = quarter_turns(frame.view(), 1);
            let back = quarter_turns(frame.view(), 3);
            for ((c, y, x), v) in frame.indexed_iter() {
                assert_eq!(clockwise[[c, x, height - 1 - y]], *v);
                assert_eq!(back[[c, width - 1 - x, y]], *v);
            }
        }
    }
}
