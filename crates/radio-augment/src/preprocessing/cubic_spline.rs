//! Resizing by a cubic B-spline through the pixels: what scikit-image and SciPy call order 3.

use ndarray::{Array2, ArrayView2};

use crate::{
    blank::{MaskedInterpolation, has_non_finite, renormalise},
    scratch::Scratch,
};

/// Resizes an image `[H, W]` to `[rows, cols]` on half-pixel centres; the outside mirrors the image about its edge pixels.
///
/// Nothing is clipped. Non-finite pixels are blanks, as in [`resize_bilinear`](crate::resize_bilinear).
///
/// # Source
/// SciPy's `zoom(order=3, mode="mirror", grid_mode=True)`, which scikit-image's `resize(order=3)` calls.
#[must_use]
pub fn resize_cubic_spline(image: ArrayView2<f32>, rows: usize, cols: usize) -> Array2<f32> {
    let from = image.dim();
    let mut out = Array2::from_elem((rows, cols), f32::NAN);
    let image = image.as_standard_layout();
    if let (Some(source), Some(target)) = (image.as_slice(), out.as_slice_mut()) {
        resize_plane_spline(source, from, target, (rows, cols), &mut MaskedInterpolation::default());
    }
    out
}

pub(crate) fn resize_plane_spline(
    source: &[f32],
    from: (usize, usize),
    out: &mut [f32],
    to: (usize, usize),
    masked: &mut MaskedInterpolation,
) {
    if source.is_empty() || out.is_empty() {
        return;
    }
    if !has_non_finite(source) {
        interpolate(source, from, out, to);
        return;
    }
    let spline = |plane: &[f32], out: &mut [f32]| interpolate(plane, from, out, to);
    let (_, weights) = masked.run(source, out, spline, spline);
    renormalise(out, weights);
}

fn interpolate(source: &[f32], (height, width): (usize, usize), out: &mut [f32], (rows, cols): (usize, usize)) {
    let mut coefficients = Scratch::from_fn(source.len(), |i| f64::from(source[i]));
    coefficients.chunks_exact_mut(width).for_each(|row| filter(row, 1, width));
    for col in 0..width {
        filter(&mut coefficients[col..], width, height);
    }
    let mut blended = Scratch::<f64>::new(width);
    for (i, out) in out.chunks_exact_mut(cols).enumerate() {
        let (first, weights) = taps(i, height, rows);
        blended.fill(0.0);
        for (k, weight) in weights.iter().enumerate() {
            let row = mirrored(first + k as i64, height);
            let row = &coefficients[row * width..][..width];
            blended.iter_mut().zip(row).for_each(|(sum, c)| *sum += weight * c);
        }
        for (j, out) in out.iter_mut().enumerate() {
            let (first, weights) = taps(j, width, cols);
            let term = |k: usize| weights[k] * blended[mirrored(first + k as i64, width)];
            *out = ((term(0) + term(1)) + (term(2) + term(3))) as f32;
        }
    }
}

/// First of the four coefficients of output `i` and their weights.
fn taps(i: usize, from: usize, to: usize) -> (i64, [f64; 4]) {
    let place = (i as f64 + 0.5) * (from as f64 / to as f64) - 0.5;
    let before = place.floor();
    let (t, u) = (place - before, 1.0 - (place - before));
    let near = |d: f64| (4.0 - 6.0 * d * d + 3.0 * d * d * d) / 6.0;
    (before as i64 - 1, [u * u * u / 6.0, near(t), near(u), t * t * t / 6.0])
}

/// Turns `n` values, `stride` apart, into the coefficients of the spline through them.
fn filter(line: &mut [f64], stride: usize, n: usize) {
    if n < 2 {
        return;
    }
    let pole = 3f64.sqrt() - 2.0;
    let gain = 6.0;
    let at = |i: usize| i * stride;
    let far = pole.powi(n as i32 - 1);
    let mut sum = line[at(0)] + far * line[at(n - 1)];
    let mut power = pole;
    for i in 1..n - 1 {
        sum += power * (line[at(i)] + far * line[at(n - 1 - i)]);
        power *= pole;
    }
    line[at(0)] = gain * sum / (1.0 - far * far);
    for i in 1..n {
        line[at(i)] = gain * line[at(i)] + pole * line[at(i - 1)];
    }
    line[at(n - 1)] = (pole * line[at(n - 2)] + line[at(n - 1)]) * pole / (pole * pole - 1.0);
    for i in (0..n - 1).rev() {
        line[at(i)] = pole * (line[at(i + 1)] - line[at(i)]);
    }
}

/// The pixel that stands for index `i` outside `0..n`: mirrored about the edge pixel.
fn mirrored(i: i64, n: usize) -> usize {
    let last = n as i64 - 1;
    if last == 0 {
        return 0;
    }
    let folded = i.rem_euclid(2 * last);
    folded.min(2 * last - folded) as usize
}
