//! Gaussian blur with a short kernel and a mirrored border: one of Table 2's augmenters.

use ndarray::{Array3, ArrayView3};

use crate::{
    blank::{MaskedInterpolation, has_non_finite},
    scratch::{Scratch, take_channels},
    vectorise::vectorised,
};

/// Side of the kernel for a blur of `sigma` pixels, odd, at least 5.
///
/// # Source
/// reference-facts C2: `3.3 sigma` (from sigma 3 on `2.9 sigma`), at least 5, rounded down, plus 1 if even.
#[must_use]
pub fn blur_kernel_side(sigma: f64) -> usize {
    let side = ((if sigma < 3.0 { 3.3 } else { 2.9 }) * sigma).max(5.0) as usize;
    side + 1 - side % 2
}

/// Blurs channels `[C, H, W]` by a Gaussian of `sigma` pixels, cut off at a kernel of `side` x `side` pixels.
///
/// Weights `exp(-d^2 / 2 sigma^2)` divided by their sum; the border mirrors the image without repeating the edge pixel
/// (reflect101). An even `side` counts as one more; a `sigma` that is not positive leaves the image alone. Blanks (non-finite) stay blank and lend nothing to
/// their neighbours.
///
/// # Source
/// OpenCV's `GaussianBlur`; reference-facts C2.
#[must_use]
pub fn gaussian_blur(channels: ArrayView3<f32>, sigma: f64, side: usize) -> Array3<f32> {
    let (_, height, width) = channels.dim();
    let source = channels.as_standard_layout();
    if !(sigma > 0.0 && sigma.is_finite()) {
        return source.into_owned();
    }
    let kernel = kernel(sigma, side);
    let (mut out, mut masked) = (take_channels(channels.dim()), MaskedInterpolation::default());
    if let (Some(source), Some(target), true) = (source.as_slice(), out.as_slice_mut(), height * width > 0) {
        for (plane, out) in source.chunks_exact(height * width).zip(target.chunks_exact_mut(height * width)) {
            blur_plane(plane, height, width, &kernel, out, &mut masked);
        }
    }
    out
}

fn kernel(sigma: f64, side: usize) -> Scratch {
    let radius = (side / 2) as f64;
    let weight = |i: usize| (-(i as f64 - radius).powi(2) / (2.0 * sigma * sigma)).exp();
    let len = 2 * (side / 2) + 1;
    let sum: f64 = (0..len).map(weight).sum();
    Scratch::from_fn(len, |i| (weight(i) / sum) as f32)
}

fn blur_plane(
    plane: &[f32],
    height: usize,
    width: usize,
    kernel: &[f32],
    out: &mut [f32],
    masked: &mut MaskedInterpolation,
) {
    if !has_non_finite(plane) {
        convolve(plane, height, width, kernel, out);
        return;
    }
    let blur = |plane: &[f32], out: &mut [f32]| convolve(plane, height, width, kernel, out);
    let (weights, blurred_weights) = masked.run(plane, out, blur, blur);
    for ((out, blurred_weight), weight) in out.iter_mut().zip(blurred_weights).zip(weights) {
        *out = if *weight > 0.0 { *out / blurred_weight } else { f32::NAN };
    }
}

fn convolve(plane: &[f32], height: usize, width: usize, kernel: &[f32], out: &mut [f32]) {
    let radius = kernel.len() / 2;
    // One row with the mirrored pixels at either end.
    let mut padded = Scratch::new(width + 2 * radius);
    for (r, out) in out.chunks_exact_mut(width).enumerate() {
        let middle = &mut padded[radius..radius + width];
        middle.fill(0.0);
        for (k, &weight) in kernel.iter().enumerate() {
            let row = mirrored(r as i64 + k as i64 - radius as i64, height);
            add_scaled(&plane[row * width..][..width], weight, middle);
        }
        for i in 0..radius {
            padded[i] = padded[radius + mirrored(i as i64 - radius as i64, width)];
            padded[radius + width + i] = padded[radius + mirrored((width + i) as i64, width)];
        }
        out.fill(0.0);
        for (k, &weight) in kernel.iter().enumerate() {
            add_scaled(&padded[k..k + width], weight, out);
        }
    }
}

/// The pixel that stands for index `i` outside `0..n`: mirrored about the edge pixel, as often as needed.
fn mirrored(i: i64, n: usize) -> usize {
    let last = n as i64 - 1;
    if last == 0 {
        return 0;
    }
    let folded = i.rem_euclid(2 * last);
    folded.min(2 * last - folded) as usize
}

vectorised! {
    fn add_scaled(row: &[f32], weight: f32, sum: &mut [f32]) {
        for (sum, v) in sum.iter_mut().zip(row) {
            *sum += weight * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_sides_and_mirrored_indices() {
        assert_eq!([1.0, 1.7, 2.5, 3.0].map(blur_kernel_side), [5, 5, 9, 9]);
        let mirror: Vec<usize> = (-3..7).map(|i| mirrored(i, 4)).collect();
        assert_eq!(mirror, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert_eq!((mirrored(-7, 1), mirrored(-1, 2), mirrored(2, 2)), (0, 1, 0));
    }

    #[test]
    fn a_constant_with_a_hole_stays_constant_with_the_hole() {
        let mut frame = Array3::from_elem((1, 9, 7), 2.0f32);
        frame[[0, 4, 3]] = f32::NAN;
        let blurred = gaussian_blur(frame.view(), 1.5, 5);
        assert!(blurred[[0, 4, 3]].is_nan());
        assert_eq!(blurred.iter().filter(|v| (**v - 2.0).abs() < 1e-6).count(), 62);
    }
}
