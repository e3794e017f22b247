//! The pre-processing of the paper, of its detector, of the older one and of the released models, each as its code does it.

use crate::{
    BlankRule,
    preprocessing::{BlankFill, Interpolation, Preprocessing, Transform, ZeroContrast},
};

impl Preprocessing {
    /// The SimCLR recipe of the paper in the order of its code, at `size` pixels (the paper: 224): the list that
    /// [`Recipe::paper`](crate::Recipe::paper) runs faster.
    ///
    /// # Source
    /// reference-facts B1, B3.
    #[must_use]
    pub fn paper(size: usize) -> Self {
        Self {
            max_blank_fraction: 0.3,
            blanks: BlankRule::Nan,
            steps: vec![
                Transform::Channels { count: 3 },
                clip(5.0, 30.0, Some(0)),
                zscale([0.0, 0.25, 0.4], ZeroContrast::LeaveAlone),
                Transform::Augment {},
                resize(size, Interpolation::Bilinear),
                Transform::MinMax { zeros_count: false },
            ],
        }
    }

    /// The paper's detector (caesar-mrcnn-tf2), which is not what the paper says: clipping comes before the channels are copied,
    /// so that all three are clipped, and its zscale takes the first contrast, 0, as 1 instead of leaving the channel alone.
    ///
    /// NaN pixels take the image's minimum, and zeros count as blank afterwards, as there. At `size` pixels; upstream's scaling
    /// of the detector's input follows elsewhere.
    ///
    /// # Source
    /// reference-facts B2, B3 (MR2, both traps).
    #[must_use]
    pub fn mask_rcnn_tf2(size: usize) -> Self {
        Self {
            max_blank_fraction: 1.0,
            blanks: BlankRule::ZeroIsBlank,
            steps: vec![
                Transform::FillBlanks { with: BlankFill::Minimum },
                clip(5.0, 30.0, Some(0)),
                Transform::Channels { count: 3 },
                zscale([0.0, 0.25, 0.4], ZeroContrast::AsOne),
                Transform::MinMax { zeros_count: false },
                Transform::Augment {},
                resize(size, Interpolation::Bilinear),
            ],
        }
    }

    /// The older detector (caesar-mrcnn): NaN to the image's minimum, zscale 0.25 in all three channels, MinMax, 8 bits.
    ///
    /// Values are whole numbers from 0 to 255; the size is the frame's, for that detector resizes by its own rule.
    ///
    /// # Source
    /// reference-facts B5 (MR1).
    #[must_use]
    pub fn mask_rcnn_tf1() -> Self {
        Self {
            max_blank_fraction: 1.0,
            blanks: BlankRule::Nan,
            steps: vec![
                Transform::FillBlanks { with: BlankFill::Minimum },
                Transform::Channels { count: 3 },
                zscale([0.25; 3], ZeroContrast::AsOne),
                Transform::MinMax { zeros_count: true },
                Transform::EightBit {},
                Transform::Augment {},
            ],
        }
    }

    /// What the released models' feature extraction does: one channel, one zscale (0.25), order-3 resize, MinMax over all pixels
    /// with the padding's zeros. It cannot feed the paper's three-channel models.
    ///
    /// `size` is 256 in the extraction macro and 224 in the library for similarity search.
    ///
    /// # Source
    /// reference-facts B5.
    #[must_use]
    pub fn released_model(size: usize) -> Self {
        Self {
            max_blank_fraction: 1.0,
            blanks: BlankRule::ZeroIsBlank,
            steps: vec![
                Transform::Zscale { contrasts: vec![0.25], zero_contrast: ZeroContrast::AsOne },
                Transform::Augment {},
                resize(size, Interpolation::CubicSpline),
                Transform::MinMax { zeros_count: true },
            ],
        }
    }

    /// Upstream's preset of three different channels (not the paper's): clip (0, 20) and (1, 20) with zscale 0.25, and histogram
    /// equalisation.
    ///
    /// The lower bound of 0 is 3 here, for that is how astropy reads it.
    ///
    /// # Source
    /// reference-facts B4 (Chan3), J2.
    #[must_use]
    pub fn chan3(size: usize) -> Self {
        Self {
            max_blank_fraction: 0.3,
            blanks: BlankRule::Nan,
            steps: vec![
                Transform::Channels { count: 3 },
                clip(3.0, 20.0, Some(0)),
                clip(1.0, 20.0, Some(1)),
                zscale([0.25, 0.25, 0.0], ZeroContrast::LeaveAlone),
                Transform::EqualizeHistogram { bins: 256, channel: Some(2) },
                Transform::Augment {},
                resize(size, Interpolation::Bilinear),
                Transform::MinMax { zeros_count: false },
            ],
        }
    }
}

fn clip(low: f64, up: f64, channel: Option<usize>) -> Transform {
    Transform::SigmaClip { low, up, rounds: 5, channel }
}

fn zscale(contrasts: [f64; 3], zero_contrast: ZeroContrast) -> Transform {
    Transform::Zscale { contrasts: contrasts.to_vec(), zero_contrast }
}

fn resize(size: usize, interpolation: Interpolation) -> Transform {
    Transform::Resize { size, upscale: true, antialias: false, interpolation }
}
