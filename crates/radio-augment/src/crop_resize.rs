//! Random crop, brought back to the frame's size: the first augmenter of Table 2.

use ndarray::{Array3, ArrayView3};
use rand::Rng;

use crate::{
    blank::MaskedInterpolation,
    resize_bicubic::{Window, WindowResize},
    scratch::take_channels,
};

/// Where a crop lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CropDraw {
    /// Share of either side that is kept; the crop has `ceil(fraction * side)` rows and columns.
    pub fraction: f64,
    /// First row of the crop.
    pub top: usize,
    /// First column of the crop.
    pub left: usize,
}

impl CropDraw {
    /// One fraction for both sides, uniform in `[low, high)`; the place uniform over all that fit a frame `[rows, cols]`.
    pub fn draw(fraction: [f64; 2], rows: usize, cols: usize, rng: &mut impl Rng) -> Self {
        let fraction = fraction[0] + (fraction[1] - fraction[0]) * rng.random::<f64>();
        let mut place = |side: usize| rng.random_range(0..=(side - crop_side(fraction, side)) as u64) as usize;
        Self { fraction, top: place(rows), left: place(cols) }
    }
}

/// Cuts the crop out of channels `[C, H, W]` and resizes it back to `[C, H, W]`, bicubic.
///
/// A crop that would hang over the frame is moved back into it.
///
/// # Source
/// reference-facts C2; rows and columns are not swapped, as they are upstream for frames that are not square.
#[must_use]
pub fn crop_resize(channels: ArrayView3<f32>, crop: CropDraw) -> Array3<f32> {
    let (_, height, width) = channels.dim();
    let resize = WindowResize::new(crop_window(crop, height, width), (height, width));
    let (mut out, mut masked) = (take_channels(channels.dim()), MaskedInterpolation::default());
    let channels = channels.as_standard_layout();
    if let (Some(source), Some(target), true) = (channels.as_slice(), out.as_slice_mut(), height * width > 0) {
        for (plane, out) in source.chunks_exact(height * width).zip(target.chunks_exact_mut(height * width)) {
            resize.run(plane, width, out, &mut masked);
        }
    }
    out
}

/// The crop as a window of a frame `[height, width]`, moved back into it if needed.
pub(crate) fn crop_window(crop: CropDraw, height: usize, width: usize) -> Window {
    let (rows, cols) = (crop_side(crop.fraction, height), crop_side(crop.fraction, width));
    Window { top: crop.top.min(height - rows), left: crop.left.min(width - cols), rows, cols }
}

fn crop_side(fraction: f64, side: usize) -> usize {
    ((fraction * side as f64).ceil() as usize).clamp(side.min(1), side)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_whole_frame_is_untouched_and_wild_draws_stay_inside() {
        let frame = Array3::from_shape_fn((3, 5, 4), |(c, y, x)| (c * 100 + y * 10 + x) as f32);
        assert_eq!(crop_resize(frame.view(), CropDraw { fraction: 1.0, top: 9, left: 9 }), frame);
        for fraction in [f64::NAN, -1.0, 0.0, 7.0] {
            let out = crop_resize(frame.view(), CropDraw { fraction, top: 99, left: 99 });
            assert!(out.iter().all(|v| v.is_finite()));
        }
        assert_eq!(
            crop_resize(Array3::zeros((3, 0, 0)).view(), CropDraw { fraction: 0.9, top: 0, left: 0 }).dim(),
            (3, 0, 0)
        );
    }

    #[test]
    fn places_reach_both_ends() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let draws: Vec<CropDraw> = (0..500).map(|_| CropDraw::draw([0.8, 0.8], 10, 20, &mut rng)).collect();
        let most = |f: fn(&CropDraw) -> usize| draws.iter().map(f).max().unwrap();
        assert_eq!((most(|d| d.top), most(|d| d.left)), (2, 4));
        assert!(draws.iter().any(|d| d.top == 0 && d.left == 4));
    }
}
