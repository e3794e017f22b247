//! Images moved by an affine map: rotation, zoom and translation.

use ndarray::{Array3, ArrayView3};

use crate::{
    BlankRule,
    geometry::PixelMap,
    scratch::{Scratch, take_channels},
};

/// Turns channels `[C, H, W]` by `degrees` clockwise about the middle; bilinear, the size is kept.
///
/// What comes from outside the frame is blank: NaN, or 0 under [`BlankRule::ZeroIsBlank`]. Under [`BlankRule::Nan`] weights are
/// renormalised over the pixels that are there, and where less than half of the weight is left the result is blank; under
/// upstream's rule blanks and the outside enter as 0.
///
/// # Source
/// reference-facts C4 (rotation of imgaug: zero fill, about `((H - 1) / 2, (W - 1) / 2)`).
#[must_use]
pub fn rotate(channels: ArrayView3<f32>, degrees: f64, blanks: BlankRule) -> Array3<f32> {
    let (_, height, width) = channels.dim();
    warp(channels, &PixelMap::rotation(degrees, height, width), blanks)
}

/// Shows channels `[C, H, W]` `factor` times as large about the middle; bilinear, the size is kept.
///
/// Blanks and the outside are as in [`rotate`]. A factor below 1 is not smoothed first: meant for factors near 1.
#[must_use]
pub fn zoom(channels: ArrayView3<f32>, factor: f64, blanks: BlankRule) -> Array3<f32> {
    let (_, height, width) = channels.dim();
    warp(channels, &PixelMap::zoom(factor, height, width), blanks)
}

/// Moves channels `[C, H, W]` by whole pixels, down and to the right if positive; what comes in at the edge is blank.
///
/// # Source
/// reference-facts C4.
#[must_use]
pub fn translate(channels: ArrayView3<f32>, rows: i64, cols: i64, blanks: BlankRule) -> Array3<f32> {
    let (_, height, width) = channels.dim();
    let source = channels.as_standard_layout();
    let mut out = take_channels(channels.dim());
    out.fill(blanks.blank());
    let (Some(pixels), Some(target), true) = (source.as_slice(), out.as_slice_mut(), height * width > 0) else {
        return out;
    };
    // Rows and columns of the source that stay on the frame, and how far they go.
    let span = |shift: i64, side: usize| {
        let far = usize::try_from(shift.unsigned_abs()).unwrap_or(usize::MAX).min(side);
        if shift < 0 { (far, 0, side - far) } else { (0, far, side - far) }
    };
    let ((from_row, to_row, n_rows), (from_col, to_col, n_cols)) = (span(rows, height), span(cols, width));
    for (plane, out) in pixels.chunks_exact(height * width).zip(target.chunks_exact_mut(height * width)) {
        for row in 0..n_rows {
            let source = &plane[(from_row + row) * width + from_col..][..n_cols];
            out[(to_row + row) * width + to_col..][..n_cols].copy_from_slice(source);
        }
    }
    out
}

fn warp(channels: ArrayView3<f32>, map: &PixelMap, blanks: BlankRule) -> Array3<f32> {
    let (_, height, width) = channels.dim();
    let source = channels.as_standard_layout();
    let mut out = take_channels(channels.dim());
    if let (Some(source), Some(target), true) = (source.as_slice(), out.as_slice_mut(), height * width > 0) {
        let mut padded = Padded::new(height, width);
        for (plane, out) in source.chunks_exact(height * width).zip(target.chunks_exact_mut(height * width)) {
            padded.fill(plane, blanks);
            for (row, out) in out.chunks_exact_mut(width).enumerate() {
                for (col, out) in out.iter_mut().enumerate() {
                    let (y, x) = map.source(row as f64, col as f64);
                    *out = padded.at(y, x, blanks);
                }
            }
        }
    }
    out
}

/// A plane with one pixel of the outside around it, and every pixel's weight: 0 for what is not there.
struct Padded {
    height: usize,
    width: usize,
    values: Scratch,
    weights: Scratch,
}

impl Padded {
    fn new(height: usize, width: usize) -> Self {
        let len = (height + 2) * (width + 2);
        Self { height, width, values: Scratch::filled(len, 0.0), weights: Scratch::filled(len, 0.0) }
    }

    fn fill(&mut self, plane: &[f32], blanks: BlankRule) {
        if blanks == BlankRule::ZeroIsBlank {
            self.weights.fill(1.0);
        }
        for (row, pixels) in plane.chunks_exact(self.width).enumerate() {
            let start = (row + 1) * (self.width + 2) + 1;
            for (i, v) in pixels.iter().enumerate() {
                let there = v.is_finite();
                self.values[start + i] = if there { *v } else { 0.0 };
                if blanks == BlankRule::Nan {
                    self.weights[start + i] = f32::from(u8::from(there));
                }
            }
        }
    }

    fn at(&self, y: f64, x: f64, blanks: BlankRule) -> f32 {
        // Also false for NaN.
        let near = y > -1.0 && x > -1.0 && y < self.height as f64 && x < self.width as f64;
        if !near {
            return blanks.blank();
        }
        let (y, x) = (y + 1.0, x + 1.0);
        let (row, col) = (y as usize, x as usize);
        let (down, across) = ((y - row as f64) as f32, (x - col as f64) as f32);
        let place = row * (self.width + 2) + col;
        let blend = |plane: &[f32]| {
            let (upper, lower) = (&plane[place..place + 2], &plane[place + self.width + 2..][..2]);
            let upper = upper[0] + across * (upper[1] - upper[0]);
            let lower = lower[0] + across * (lower[1] - lower[0]);
            upper + down * (lower - upper)
        };
        let (value, weight) = (blend(&self.values), blend(&self.weights));
        if weight >= 0.499_999 { value / weight } else { blanks.blank() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarter_turns;

    #[test]
    fn a_rotation_by_90_degrees_is_a_quarter_turn() {
        let frame = Array3::from_shape_fn((2, 12, 12), |(c, y, x)| (c * 200 + y * 13 + x * x) as f32);
        for (degrees, turns) in [(0.0, 0), (90.0, 1), (180.0, 2), (-90.0, 3)] {
            let (got, want) = (rotate(frame.view(), degrees, BlankRule::Nan), quarter_turns(frame.view(), turns));
            assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-3), "{degrees}");
        }
    }

    /// Bilinear interpolation follows a ramp exactly: distances to the middle are divided by the factor.
    #[test]
    fn a_zoomed_ramp_is_flatter_about_the_same_middle() {
        let ramp = Array3::from_shape_fn((1, 9, 12), |(_, y, x)| (3 * y + x) as f32);
        assert_eq!(zoom(ramp.view(), 1.0, BlankRule::Nan), ramp);
        for factor in [1.5, 0.8] {
            let seen = zoom(ramp.view(), factor, BlankRule::Nan);
            let mut blank = 0;
            for ((_, y, x), got) in seen.indexed_iter() {
                let (from_y, from_x) = (4.0 + (y as f64 - 4.0) / factor, 5.5 + (x as f64 - 5.5) / factor);
                let inside = (0.0..=8.0).contains(&from_y) && (0.0..=11.0).contains(&from_x);
                blank += usize::from(got.is_nan());
                assert!(!inside || (f64::from(*got) - 3.0 * from_y - from_x).abs() < 1e-4, "{factor} {y} {x}: {got}");
            }
            assert_eq!(blank > 0, factor < 1.0, "{factor}: {blank}");
        }
        assert!(zoom(ramp.view(), f64::NAN, BlankRule::Nan).iter().all(|v| v.is_nan()));
    }

    #[test]
    fn a_shift_moves_whole_pixels_and_leaves_blanks() {
        let frame = Array3::from_shape_fn((1, 4, 5), |(_, y, x)| (1 + y * 5 + x) as f32);
        let moved = translate(frame.view(), 1, -2, BlankRule::ZeroIsBlank);
        let want =
            ndarray::array![[0., 0., 0., 0., 0.], [3., 4., 5., 0., 0.], [8., 9., 10., 0., 0.], [13., 14., 15., 0., 0.]];
        assert_eq!(moved.index_axis(ndarray::Axis(0), 0), want);
        assert!(translate(frame.view(), i64::MIN, i64::MAX, BlankRule::Nan).iter().all(|v| v.is_nan()));
        assert_eq!(translate(frame.view(), 0, 0, BlankRule::Nan), frame);
    }

    #[test]
    fn corners_from_outside_are_blank_and_a_constant_stays_one() {
        let frame = Array3::from_elem((1, 20, 20), 3.0f32);
        let turned = rotate(frame.view(), 45.0, BlankRule::Nan);
        assert!(turned[[0, 0, 0]].is_nan());
        let there = turned.iter().filter(|v| !v.is_nan()).count();
        assert!((320..350).contains(&there), "{there}"); // an octagon of 0.828 of the square, and the pixels it cuts in half
        assert!(turned.iter().all(|v| v.is_nan() || (v - 3.0).abs() < 1e-6));
        assert_eq!(rotate(frame.view(), 45.0, BlankRule::ZeroIsBlank)[[0, 0, 0]], 0.0);
    }
}
