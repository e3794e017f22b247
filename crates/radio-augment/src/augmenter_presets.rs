//! The chains the authors used, by the names they have in their code.

use crate::{AugmentStep, Augmenter};

/// Half a turn's range: what upstream calls rotation.
const ANY_WAY_UP: [f64; 2] = [-90.0, 90.0];

impl Augmenter {
    /// Table 2, for the blindly cut hulk sets (the authors' preset "simclr_v10").
    ///
    /// # Source
    /// reference-facts C1.
    #[must_use]
    pub fn hulk() -> Self {
        let mut augmenter = Self::banner();
        augmenter.steps.push(AugmentStep::Blur { probability: 0.1, sigma: [1.0, 3.0] });
        augmenter.steps.push(AugmentStep::Threshold { probability: 0.5, percentile: [40.0, 60.0] });
        augmenter
    }

    /// For the source-centred banner sets (the authors' preset "simclr_v9"): neither blur nor thresholding.
    ///
    /// The paper says only that thresholding is left out; its code drops the blur as well.
    ///
    /// # Source
    /// reference-facts C1.
    #[must_use]
    pub fn banner() -> Self {
        Self {
            steps: vec![
                AugmentStep::CropResize { probability: 1.0, fraction: [0.8, 1.0] },
                AugmentStep::ColorJitter {
                    probability: 0.8,
                    brightness: 0.8,
                    contrast: 0.8,
                    saturation: 0.8,
                    hue: 0.2,
                    strength: 0.5,
                },
                one_flip_or_none(),
                AugmentStep::QuarterTurn { probability: 0.5 },
            ],
        }
    }

    /// Ours for source-centred cutouts: a flip in two of three cases, any angle, a quarter smaller to a third larger, brightness
    /// and contrast.
    ///
    /// Neither hue nor saturation, which mix three stretches of one map; no shift: the source is in the middle of every cutout.
    /// Give the recipe a [margin](crate::Recipe::margin), so that turns bring in sky and no blank corners.
    ///
    /// # Source
    /// Ablation by linear probe, `docs/results/ablation.md`: without brightness and contrast 3 points less, without shifts up to 6
    /// more; flips, angles, zoom, blur and thresholds cannot be told apart.
    #[must_use]
    pub fn centred() -> Self {
        Self {
            steps: vec![
                one_flip_or_none(),
                AugmentStep::Rotate { probability: 1.0, degrees: [-180.0, 180.0] },
                AugmentStep::Zoom { probability: 1.0, factor: [0.75, 1.35] },
                AugmentStep::ColorJitter {
                    probability: 0.8,
                    brightness: 0.8,
                    contrast: 0.8,
                    saturation: 0.0,
                    hue: 0.0,
                    strength: 0.5,
                },
            ],
        }
    }

    /// For the classifier ("cnn") and the autoencoder ("cae"): a flip in two of three cases, then any rotation.
    ///
    /// The paper says "rotation and flipping" and no more.
    ///
    /// # Source
    /// reference-facts C4.
    #[must_use]
    pub fn cnn() -> Self {
        Self { steps: vec![one_flip_or_none(), rotation()] }
    }

    /// Mask R-CNN "v1": none, one or two of both flips, any rotation, and a shift by up to 0.3 of the side, in random order.
    ///
    /// # Source
    /// reference-facts C4.
    #[must_use]
    pub fn mask_rcnn_v1() -> Self {
        let steps = vec![
            AugmentStep::FlipHorizontal { probability: 1.0 },
            AugmentStep::FlipVertical { probability: 1.0 },
            rotation(),
            AugmentStep::Translate { probability: 1.0, fraction: [-0.3, 0.3] },
        ];
        Self { steps: vec![AugmentStep::SomeOf { count: [0, 2], steps }] }
    }

    /// Mask R-CNN "v2": a flip in two of three cases, then any rotation.
    ///
    /// # Source
    /// reference-facts C4.
    #[must_use]
    pub fn mask_rcnn_v2() -> Self {
        Self::cnn()
    }

    /// Mask R-CNN "v3" with the contrasts of the code, 0.25 to 0.5: zscale, a flip in two of three cases, a quarter turn in half.
    ///
    /// Upstream applies the zscale to the masks as well; here masks follow a [`Placement`](crate::Placement) and no stretch.
    ///
    /// # Source
    /// reference-facts C4.
    #[must_use]
    pub fn mask_rcnn_v3() -> Self {
        Self::zscale_flip_turn([0.25, 0.5])
    }

    /// As [`Augmenter::mask_rcnn_v3`] with the contrasts the paper prints, 0.25 to 0.4.
    #[must_use]
    pub fn mask_rcnn_v3_paper() -> Self {
        Self::zscale_flip_turn([0.25, 0.4])
    }

    /// For BYOL: blur in one of ten, a crop of 0.7 to 1, zscale with contrast 0.1 to 0.5, a flip in two of three, any rotation.
    ///
    /// The width of the blur is not on record; it is Table 2's.
    ///
    /// # Source
    /// reference-facts C4.
    #[must_use]
    pub fn byol() -> Self {
        Self {
            steps: vec![
                AugmentStep::Blur { probability: 0.1, sigma: [1.0, 3.0] },
                AugmentStep::CropResize { probability: 1.0, fraction: [0.7, 1.0] },
                AugmentStep::Zscale { probability: 1.0, contrast: [0.1, 0.5], per_channel: false },
                one_flip_or_none(),
                rotation(),
            ],
        }
    }

    /// Every chain above, by name.
    #[must_use]
    pub fn presets() -> [(&'static str, Self); 9] {
        [
            ("simclr_v10", Self::hulk()),
            ("simclr_v9", Self::banner()),
            ("cnn", Self::cnn()),
            ("cae", Self::cnn()),
            ("mask_rcnn_v1", Self::mask_rcnn_v1()),
            ("mask_rcnn_v2", Self::mask_rcnn_v2()),
            ("mask_rcnn_v3", Self::mask_rcnn_v3()),
            ("mask_rcnn_v3_paper", Self::mask_rcnn_v3_paper()),
            ("byol", Self::byol()),
        ]
    }

    fn zscale_flip_turn(contrast: [f64; 2]) -> Self {
        Self {
            steps: vec![
                AugmentStep::Zscale { probability: 1.0, contrast, per_channel: false },
                one_flip_or_none(),
                AugmentStep::QuarterTurn { probability: 0.5 },
            ],
        }
    }
}

fn one_flip_or_none() -> AugmentStep {
    AugmentStep::FlipEither { horizontal: 1.0 / 3.0, vertical: 1.0 / 3.0 }
}

fn rotation() -> AugmentStep {
    AugmentStep::Rotate { probability: 1.0, degrees: ANY_WAY_UP }
}
