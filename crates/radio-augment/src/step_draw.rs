//! One step with every random number fixed: what it does to an image, and where it moves the pixels.

use ndarray::Array3;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    BlankRule, CropDraw, FlipDraw, JitterDraw, PixelMap, SourceRemoval, ZscaleFit,
    augment_step::uniform,
    blur_kernel_side, color_jitter, crop_resize,
    crop_resize::crop_window,
    flip, gaussian_blur, jitter_min_max, quarter_turns_keeping_size, rotate,
    row_order::{in_row_order, planes_mut},
    scratch::recycle,
    sigmoid_stretch,
    stretch::scale_to,
    threshold_percentile, translate, zoom,
};

/// What one step does to one image, with every random number fixed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum StepDraw {
    /// Crop and resize back.
    CropResize(CropDraw),
    /// Colour jitter.
    ColorJitter(JitterDraw),
    /// One flip.
    Flip(FlipDraw),
    /// So many quarter turns clockwise.
    QuarterTurns(u32),
    /// A turn by so many degrees clockwise.
    Rotate(f64),
    /// So many times as large about the middle.
    Zoom(f64),
    /// A shift by whole pixels.
    Translate {
        /// Down.
        rows: i64,
        /// To the right.
        cols: i64,
    },
    /// Blur with this standard deviation in pixels.
    Blur(f64),
    /// Threshold at this percentile.
    Threshold(f64),
    /// zscale with these contrasts.
    Zscale(ContrastDraw),
    /// MinMax, then the sigmoid.
    Sigmoid {
        /// Steepness.
        gain: f64,
        /// Where the result is a half.
        cutoff: f64,
    },
    /// Sources up to a size replaced by noise.
    RemoveSources {
        /// Larger sources stay.
        max_pixels: usize,
        /// Of the noise.
        seed: u64,
    },
}

/// The contrasts of one random zscale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ContrastDraw {
    /// One for all channels.
    Shared(f64),
    /// One each, uniform in a range.
    PerChannel {
        /// Low and high.
        range: [f64; 2],
        /// Of the stream the contrasts come from, channel after channel.
        seed: u64,
    },
}

impl StepDraw {
    /// Does to channels `[C, H, W]` what was drawn; the size is kept.
    #[must_use]
    pub fn apply(&self, channels: Array3<f32>, blanks: BlankRule) -> Array3<f32> {
        let changed = match *self {
            Self::ColorJitter(ref draw) => return color_jitter(channels, draw, blanks),
            Self::Flip(direction) => return flip(channels, direction),
            Self::Threshold(q) => return threshold_percentile(channels, q, blanks),
            Self::Zscale(contrasts) => return zscale(channels, contrasts, blanks),
            Self::Sigmoid { gain, cutoff } => {
                return sigmoid_stretch(jitter_min_max(channels, blanks), gain, cutoff, blanks);
            }
            Self::RemoveSources { max_pixels, seed } => {
                return SourceRemoval { max_pixels, ..SourceRemoval::upstream() }.apply(channels, blanks, seed);
            }
            Self::CropResize(crop) => crop_resize(channels.view(), crop),
            Self::QuarterTurns(turns) => quarter_turns_keeping_size(channels.view(), turns),
            Self::Rotate(degrees) => rotate(channels.view(), degrees, blanks),
            Self::Zoom(factor) => zoom(channels.view(), factor, blanks),
            Self::Translate { rows, cols } => translate(channels.view(), rows, cols, blanks),
            Self::Blur(sigma) => gaussian_blur(channels.view(), sigma, blur_kernel_side(sigma)),
        };
        recycle(channels);
        changed
    }

    /// Where the pixels of a frame `[rows, cols]` go; `None` if they stay where they are.
    #[must_use]
    pub fn pixel_map(&self, rows: usize, cols: usize) -> Option<PixelMap> {
        match *self {
            Self::CropResize(crop) => {
                let window = crop_window(crop, rows, cols);
                Some(PixelMap::enlarged_window(window.top, window.left, window.rows, window.cols, (rows, cols)))
            }
            Self::Flip(FlipDraw::Horizontal) => Some(PixelMap::flip_horizontal(cols)),
            Self::Flip(FlipDraw::Vertical) => Some(PixelMap::flip_vertical(rows)),
            Self::QuarterTurns(turns) => Some(PixelMap::quarter_turns(turns, rows, cols)),
            Self::Rotate(degrees) => Some(PixelMap::rotation(degrees, rows, cols)),
            Self::Zoom(factor) => Some(PixelMap::zoom(factor, rows, cols)),
            Self::Translate { rows, cols } => Some(PixelMap::translation(rows, cols)),
            Self::ColorJitter(_)
            | Self::Blur(_)
            | Self::Threshold(_)
            | Self::Zscale(_)
            | Self::Sigmoid { .. }
            | Self::RemoveSources { .. } => None,
        }
    }
}

/// zscale of every channel by its own limits; a channel without a finite pixel is left alone.
fn zscale(channels: Array3<f32>, contrasts: ContrastDraw, blanks: BlankRule) -> Array3<f32> {
    let mut channels = in_row_order(channels);
    let mut rng = match contrasts {
        ContrastDraw::PerChannel { seed, .. } => Some(ChaCha8Rng::seed_from_u64(seed)),
        ContrastDraw::Shared(_) => None,
    };
    for plane in planes_mut(&mut channels) {
        let contrast = match (contrasts, &mut rng) {
            (ContrastDraw::PerChannel { range, .. }, Some(rng)) => uniform(range, rng),
            (ContrastDraw::PerChannel { range, .. }, None) => range[0],
            (ContrastDraw::Shared(contrast), _) => contrast,
        };
        if let Some(fit) = ZscaleFit::new(plane) {
            scale_to(plane, fit.limits(contrast), blanks);
        }
    }
    channels
}
