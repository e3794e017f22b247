//! Bicubic resizing by OpenCV's rule: how a crop, or a turned frame, gets its size back.

use ndarray::{Array2, ArrayView2};

use crate::{
    blank::{MaskedInterpolation, has_non_finite, renormalise},
    columns::{ColumnTaps, OVERHANG},
    scratch::Scratch,
    vectorise::vectorised,
};

const COEFFICIENT: f64 = -0.75;

/// Resizes an image `[H, W]` to `[rows, cols]`: bicubic with coefficient -0.75, half-pixel centres, the edge pixel repeated,
/// nothing clipped, so that values may over- and undershoot.
///
/// Non-finite pixels are blanks, as in [`resize_bilinear`](crate::resize_bilinear). An image without pixels gives NaN.
///
/// # Source
/// OpenCV's `INTER_CUBIC`; reference-facts C2.
#[must_use]
pub fn resize_bicubic(image: ArrayView2<f32>, rows: usize, cols: usize) -> Array2<f32> {
    let (height, width) = image.dim();
    let mut out = Array2::from_elem((rows, cols), f32::NAN);
    let image = image.as_standard_layout();
    if let (Some(source), Some(target)) = (image.as_slice(), out.as_slice_mut()) {
        let window = Window { top: 0, left: 0, rows: height, cols: width };
        WindowResize::new(window, (rows, cols)).run(source, width, target, &mut MaskedInterpolation::default());
    }
    out
}

/// A rectangle of a plane.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) top: usize,
    pub(crate) left: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

/// How a window becomes an image of another size: worked out once, done to every plane.
pub(crate) struct WindowResize {
    window: Window,
    to: (usize, usize),
    down: ColumnTaps<4>,
    across: ColumnTaps<4>,
}

impl WindowResize {
    /// `window` to `to` rows and columns.
    pub(crate) fn new(window: Window, to: (usize, usize)) -> Self {
        Self { window, to, down: axis_taps(window.rows, to.0), across: axis_taps(window.cols, to.1) }
    }

    /// Resizes the window of a plane whose rows are `width` long; pixels outside the window are not looked at.
    pub(crate) fn run(&self, source: &[f32], width: usize, out: &mut [f32], masked: &mut MaskedInterpolation) {
        let (window, to) = (self.window, self.to);
        if window.rows == 0 || window.cols == 0 || out.is_empty() {
            return;
        }
        let rows = Rows { source, width, window };
        if (window.rows, window.cols) == to {
            out.chunks_exact_mut(to.1).enumerate().for_each(|(i, out)| out.copy_from_slice(rows.get(i)));
            return;
        }
        if !(0..window.rows).any(|i| has_non_finite(rows.get(i))) {
            self.interpolate(&rows, out);
            return;
        }
        let in_rows = |plane: &[f32], out: &mut [f32]| {
            let whole = Window { top: 0, left: 0, ..window };
            self.interpolate(&Rows { source: plane, width: window.cols, window: whole }, out);
        };
        let mut cut_out = Scratch::new(window.rows * window.cols);
        cut_out.chunks_exact_mut(window.cols).enumerate().for_each(|(i, cut)| cut.copy_from_slice(rows.get(i)));
        let (_, weights) = masked.run(&cut_out, out, in_rows, in_rows);
        renormalise(out, weights);
    }

    fn interpolate(&self, rows: &Rows, out: &mut [f32]) {
        let cols = rows.window.cols;
        // Some rows in the first cache, each with two pixels more at either end.
        let stride = cols + 4 + OVERHANG;
        let mut strip = Scratch::filled(STRIP * stride, 0.0);
        for (n, out) in out.chunks_mut(STRIP * self.to.1).enumerate() {
            let in_strip = out.len() / self.to.1;
            for (i, blended) in strip.chunks_exact_mut(stride).take(in_strip).enumerate() {
                let (first, weights) = self.down.of(n * STRIP + i);
                let row = |k: usize| rows.get((first + k).saturating_sub(2).min(rows.window.rows - 1));
                blend_rows([row(0), row(1), row(2), row(3)], weights, &mut blended[2..cols + 2]);
                let (first, last) = (blended[2], blended[cols + 1]);
                blended[..2].fill(first);
                blended[cols + 2..cols + 4].fill(last);
            }
            self.across.blend_four(&strip, stride, out);
        }
    }
}

/// Rows blended before their columns are.
const STRIP: usize = 8;

/// The rows of a window.
struct Rows<'a> {
    source: &'a [f32],
    width: usize,
    window: Window,
}

impl Rows<'_> {
    fn get(&self, i: usize) -> &[f32] {
        &self.source[(self.window.top + i) * self.width + self.window.left..][..self.window.cols]
    }
}

/// The four pixels each of `to` output pixels is made of; the first is counted from two pixels before the image.
fn axis_taps(from: usize, to: usize) -> ColumnTaps<4> {
    let scale = from as f64 / to as f64;
    let place = |i: usize| (i as f64 + 0.5) * scale - 0.5;
    let before = |i: usize| place(i).floor().clamp(-1.0, from as f64 - 1.0);
    ColumnTaps::new(to, 4, |i| (before(i) + 1.0) as u32, |i| cubic_weights(place(i) - before(i)).map(|w| w as f32))
}

/// Weights of the pixels at distances `1 + x`, `x`, `1 - x`, `2 - x`.
fn cubic_weights(x: f64) -> [f64; 4] {
    let a = COEFFICIENT;
    let near = |d: f64| ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
    let far = |d: f64| ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a;
    [far(1.0 + x), near(x), near(1.0 - x), far(2.0 - x)]
}

vectorised! {
    fn blend_rows(rows: [&[f32]; 4], w: [f32; 4], out: &mut [f32]) {
        let n = out.len();
        let (a, b, c, d) = (&rows[0][..n], &rows[1][..n], &rows[2][..n], &rows[3][..n]);
        for i in 0..n {
            out[i] = (a[i] * w[0] + b[i] * w[1]) + (c[i] * w[2] + d[i] * w[3]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_meet_the_pixels() {
        assert_eq!(cubic_weights(0.0), [0.0, 1.0, 0.0, 0.0]);
        for x in [0.1, 0.5, 0.77] {
            assert!((cubic_weights(x).iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        let half = cubic_weights(0.5);
        assert!((half[0] + 0.09375).abs() < 1e-12 && (half[1] - 0.59375).abs() < 1e-12, "{half:?}");
    }
}
