//! Bilinear resizing on half-pixel centres, without anti-aliasing, and the rule that fits a frame into a square.

use ndarray::{Array2, ArrayView2};

use crate::{
    blank::{MaskedInterpolation, has_non_finite, renormalise},
    columns::{ColumnTaps, OVERHANG},
    scratch::Scratch,
    vectorise::vectorised,
};

/// What lies outside the image when a pixel half in, half out is interpolated (only when enlarging).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The edge pixel again: OpenCV, torch.
    Repeat,
    /// Zero: upstream, whose 0 is a blank.
    Zero,
}

/// Resizes an image `[H, W]` to `[rows, cols]`.
///
/// Output pixel i looks at `(i + 0.5) * H / rows - 0.5` and interpolates between the two nearest pixels of each axis; no
/// smoothing when shrinking. Non-finite pixels are blanks: weights are renormalised over the others, and where less than half
/// of the weight is left the result is NaN. An image without pixels gives NaN.
///
/// # Source
/// reference-facts B4 (Resizer).
#[must_use]
pub fn resize_bilinear(image: ArrayView2<f32>, rows: usize, cols: usize, edge: Edge) -> Array2<f32> {
    let (height, width) = image.dim();
    let mut out = Array2::from_elem((rows, cols), f32::NAN);
    let image = image.as_standard_layout();
    if let (Some(source), Some(target)) = (image.as_slice(), out.as_slice_mut()) {
        resize_plane(source, (height, width), target, (rows, cols), edge, &mut MaskedInterpolation::default());
    }
    out
}

/// Rows and columns of a frame `[height, width]` once it is fitted into `size` x `size`, its shape kept.
///
/// A frame larger than `size` shrinks until its longer side is `size`; a smaller one grows likewise if `upscale`, else it stays.
///
/// # Source
/// reference-facts B4 (Resizer); halves round to even.
#[must_use]
pub fn fit_into_square(height: usize, width: usize, size: usize, upscale: bool) -> (usize, usize) {
    let longest = height.max(width);
    if longest == 0 || (longest <= size && !upscale) {
        return (height, width);
    }
    let scale = size as f64 / longest as f64;
    let fit = |side: usize| ((side as f64 * scale).round_ties_even() as usize).clamp(1, size.max(1));
    (fit(height), fit(width))
}

/// As [`resize_bilinear`], on planes in row order.
pub(crate) fn resize_plane(
    source: &[f32],
    from: (usize, usize),
    out: &mut [f32],
    to: (usize, usize),
    edge: Edge,
    masked: &mut MaskedInterpolation,
) {
    if source.is_empty() || out.is_empty() {
        return;
    }
    if from == to {
        out.copy_from_slice(source);
        return;
    }
    let (down, across) = (Axis::new(from.0, to.0), Axis::new(from.1, to.1).columns());
    if !has_non_finite(source) {
        interpolate(source, from, &down, &across, edge, out);
        return;
    }
    // A blank is renormalised away, the outside of the image is not: its weight counts whatever its value is.
    let (_, weights) = masked.run(
        source,
        out,
        |values, out| interpolate(values, from, &down, &across, edge, out),
        |weights, out| interpolate(weights, from, &down, &across, Edge::Repeat, out),
    );
    renormalise(out, weights);
}

/// For every output position the pixel before it (-1 for the outside, stored with 1 added) and the share of the next one.
struct Axis {
    before: Scratch<u32>,
    share: Scratch,
}

impl Axis {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let place = |i: usize| (i as f64 + 0.5) * scale - 0.5;
        let before = |i: usize| (place(i).floor() as i64).clamp(-1, from as i64 - 1);
        Self {
            before: Scratch::from_fn(to, |i| (before(i) + 1) as u32),
            share: Scratch::from_fn(to, |i| (place(i) - before(i) as f64) as f32),
        }
    }

    fn columns(&self) -> ColumnTaps<1> {
        ColumnTaps::new(self.before.len(), 2, |i| self.before[i], |i| [self.share[i]])
    }
}

fn interpolate(
    source: &[f32],
    (height, width): (usize, usize),
    down: &Axis,
    across: &ColumnTaps<1>,
    edge: Edge,
    out: &mut [f32],
) {
    let outside = Scratch::filled(width, 0.0);
    let row = |padded: usize| match padded {
        1.. if padded <= height => &source[(padded - 1) * width..padded * width],
        _ if edge == Edge::Zero => &outside[..],
        0 => &source[..width],
        _ => &source[(height - 1) * width..],
    };
    // One row with a pixel more at either end.
    let mut blended = Scratch::filled(width + 2 + OVERHANG, 0.0);
    for ((&before, &share), out) in down.before.iter().zip(down.share.iter()).zip(out.chunks_exact_mut(across.len())) {
        blend_rows(row(before as usize), row(before as usize + 1), share, &mut blended[1..=width]);
        if edge == Edge::Repeat {
            (blended[0], blended[width + 1]) = (blended[1], blended[width]);
        }
        across.blend_two(&blended, out);
    }
}

vectorised! {
    fn blend_rows(upper: &[f32], lower: &[f32], share: f32, out: &mut [f32]) {
        for ((out, &a), &b) in out.iter_mut().zip(upper).zip(lower) {
            // In this form equal neighbours give exactly their value, so a saturated plateau stays one.
            *out = a + share * (b - a);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn fitting_follows_the_longer_side() {
        assert_eq!(fit_into_square(256, 256, 224, false), (224, 224));
        assert_eq!(fit_into_square(100, 50, 224, false), (100, 50));
        assert_eq!(fit_into_square(100, 50, 224, true), (224, 112));
        assert_eq!(fit_into_square(300, 200, 224, true), (224, 149));
        assert_eq!(fit_into_square(1, 4000, 224, false), (1, 224));
        assert_eq!(fit_into_square(0, 0, 224, true), (0, 0));
    }

    #[test]
    fn enlarging_shows_the_edge_rule() {
        let image = array![[4.0f32, 8.0]];
        assert_eq!(resize_bilinear(image.view(), 1, 4, Edge::Repeat), array![[4.0, 5.0, 7.0, 8.0]]);
        assert_eq!(resize_bilinear(image.view(), 1, 4, Edge::Zero), array![[3.0, 5.0, 7.0, 6.0]]);
    }

    #[test]
    fn a_blank_neither_spreads_nor_pulls() {
        let image = array![[f32::NAN, 2.0, 2.0, 2.0, 2.0, 2.0]];
        let out = resize_bilinear(image.view(), 1, 4, Edge::Repeat); // places 0.25, 1.75, 3.25, 4.75
        assert!(out[[0, 0]].is_nan() && out.iter().skip(1).all(|v| *v == 2.0), "{out}");
    }
}
