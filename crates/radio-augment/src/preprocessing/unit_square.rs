//! A frame fitted into a square, its shape kept: the resizer of the authors' code with all its options.

use ndarray::Array3;

use crate::{
    BlankRule, Edge, RecipeError,
    blank::MaskedInterpolation,
    fit_into_square, gaussian_blur,
    min_max::extremes,
    preprocessing::{Interpolation, cubic_spline::resize_plane_spline},
    resize_bicubic::{Window, WindowResize},
    resize_bilinear::resize_plane,
    row_order::{in_row_order, planes_mut},
    scratch::{Scratch, recycle, take_channels},
};

/// How a frame is fitted into a square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SquareResize {
    /// Rows and columns of the result.
    pub size: usize,
    /// Whether a smaller frame is enlarged.
    pub upscale: bool,
    /// Whether a larger frame is first blurred by `(factor - 1) / 2` pixels.
    pub antialias: bool,
    /// Between the pixels.
    pub interpolation: Interpolation,
}

/// Fits channels `[C, H, W]` into `[C, size, size]`: resized with their shape kept ([`fit_into_square`]), cut to the range of
/// the input, and surrounded by blanks, one more row and column below and to the right if they are odd out.
///
/// A frame that is not resized is only surrounded. Under [`BlankRule::ZeroIsBlank`] the outside of the frame counts as 0 in
/// bilinear interpolation.
///
/// # Errors
/// If there is no pixel.
/// # Source
/// reference-facts B4 (Resizer), B5 (order 3); anti-aliasing as scikit-image's `resize`. Upstream's pad-to-min is
/// [`fill_blanks`](crate::preprocessing::fill_blanks) afterwards.
pub fn resize_into_square(
    channels: Array3<f32>,
    resize: &SquareResize,
    blanks: BlankRule,
) -> Result<Array3<f32>, RecipeError> {
    let (n_channels, rows, cols) = channels.dim();
    if channels.is_empty() {
        return Err(RecipeError::AllBlank { rows, cols, pixels: 0 });
    }
    let size = resize.size;
    let to = fit_into_square(rows, cols, size, resize.upscale);
    let mut channels = in_row_order(channels);
    let factor = rows.max(cols) as f64 / to.0.max(to.1) as f64;
    let sigma = 0.5 * (factor - 1.0);
    if resize.antialias && sigma > 0.0 {
        let blurred = gaussian_blur(channels.view(), sigma, 2 * (4.0 * sigma + 0.5) as usize + 1);
        recycle(std::mem::replace(&mut channels, blurred));
    }
    let mut out = take_channels((n_channels, size, size));
    let (mut masked, mut resized) = (MaskedInterpolation::default(), Scratch::<f32>::new(to.0 * to.1));
    let (top, left) = ((size - to.0) / 2, (size - to.1) / 2);
    let edge = if blanks == BlankRule::ZeroIsBlank { Edge::Zero } else { Edge::Repeat };
    for (plane, out) in planes_mut(&mut channels).zip(planes_mut(&mut out)) {
        if to == (rows, cols) {
            resized.copy_from_slice(plane);
        } else {
            match resize.interpolation {
                Interpolation::Bilinear => resize_plane(plane, (rows, cols), &mut resized, to, edge, &mut masked),
                Interpolation::Bicubic => {
                    let whole = Window { top: 0, left: 0, rows, cols };
                    WindowResize::new(whole, to).run(plane, cols, &mut resized, &mut masked);
                }
                Interpolation::CubicSpline => resize_plane_spline(plane, (rows, cols), &mut resized, to, &mut masked),
            }
            if resize.interpolation != Interpolation::Bilinear {
                cut_to_range(plane, &mut resized);
            }
        }
        out.fill(blanks.blank());
        for (row, pixels) in resized.chunks_exact(to.1).enumerate() {
            out[(top + row) * size + left..][..to.1].copy_from_slice(pixels);
        }
    }
    recycle(channels);
    Ok(out)
}

fn cut_to_range(plane: &[f32], resized: &mut [f32]) {
    if let Some((low, high)) = extremes(plane, BlankRule::Nan) {
        resized.iter_mut().for_each(|v| *v = v.clamp(low, high));
    }
}
