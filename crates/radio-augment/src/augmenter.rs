//! The augmentation chains of the paper (Table 2): which steps, in which order, with which probability.

use ndarray::Array3;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    BlankRule, CropDraw, FlipDraw, JitterDraw, SettingError, blur_kernel_side, color_jitter, crop_resize, flip,
    gaussian_blur, quarter_turns_keeping_size, scratch::recycle, threshold_percentile,
};

/// A chain of random changes to an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "UncheckedAugmenter")]
pub struct Augmenter {
    /// Applied from first to last.
    pub steps: Vec<AugmentStep>,
}

/// One step of a chain: its parameters, and how often it happens. Ranges are `[low, high)`, drawn uniformly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum AugmentStep {
    /// A random crop brought back to the frame's size.
    CropResize {
        /// How often.
        probability: f64,
        /// Share of either side that is kept, within [0.001, 1].
        fraction: [f64; 2],
    },
    /// MinMax, then brightness, contrast, saturation and hue.
    ColorJitter {
        /// How often.
        probability: f64,
        /// Widths as the paper prints them; each is multiplied by `strength`.
        brightness: f64,
        /// As `brightness`.
        contrast: f64,
        /// As `brightness`.
        saturation: f64,
        /// As `brightness`, in turns.
        hue: f64,
        /// Factor on the four widths.
        strength: f64,
    },
    /// One of the two flips or none, never both: the authors' code.
    FlipEither {
        /// Probability of the left-right flip.
        horizontal: f64,
        /// Probability of the up-down flip.
        vertical: f64,
    },
    /// Left and right change places: with [`AugmentStep::FlipVertical`], the paper's text.
    FlipHorizontal {
        /// How often.
        probability: f64,
    },
    /// Top and bottom change places.
    FlipVertical {
        /// How often.
        probability: f64,
    },
    /// A turn by 90, 180 or 270 degrees, each as likely.
    QuarterTurn {
        /// How often.
        probability: f64,
    },
    /// Gaussian blur.
    Blur {
        /// How often.
        probability: f64,
        /// Standard deviation in pixels.
        sigma: [f64; 2],
    },
    /// Pixels below a random percentile become 0.
    Threshold {
        /// How often.
        probability: f64,
        /// In percent.
        percentile: [f64; 2],
    },
}

/// What one step does to one image, with every random number fixed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepDraw {
    /// Crop and resize back.
    CropResize(CropDraw),
    /// Colour jitter.
    ColorJitter(JitterDraw),
    /// One flip.
    Flip(FlipDraw),
    /// So many quarter turns clockwise.
    QuarterTurns(u32),
    /// Blur with this standard deviation in pixels.
    Blur(f64),
    /// Threshold at this percentile.
    Threshold(f64),
}

impl Augmenter {
    /// Table 2, for the blindly cut hulk sets (the authors' preset "simclr_v10").
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
                AugmentStep::FlipEither { horizontal: 1.0 / 3.0, vertical: 1.0 / 3.0 },
                AugmentStep::QuarterTurn { probability: 0.5 },
            ],
        }
    }

    /// Changes channels `[C, H, W]` at random; blanks are NaN and stay so.
    ///
    /// The size is kept. The same `rng` state gives the same bits on every machine and for any number of threads.
    #[must_use]
    pub fn apply(&self, channels: Array3<f32>, rng: &mut impl Rng) -> Array3<f32> {
        self.apply_with_blanks(channels, BlankRule::Nan, rng)
    }

    /// As [`Augmenter::apply`], with the rule that says what is blank.
    #[must_use]
    pub fn apply_with_blanks(&self, channels: Array3<f32>, blanks: BlankRule, rng: &mut impl Rng) -> Array3<f32> {
        let (_, rows, cols) = channels.dim();
        self.steps.iter().fold(channels, |channels, step| match step.draw(rows, cols, rng) {
            Some(draw) => draw.apply(channels, blanks),
            None => channels,
        })
    }

    /// Checks every number; a chain read from a file has been checked.
    ///
    /// # Errors
    /// The first number outside its range.
    pub fn check(&self) -> Result<(), SettingError> {
        self.steps.iter().try_for_each(AugmentStep::check)
    }
}

impl AugmentStep {
    /// Draws what this step does to one frame of `rows` x `cols`; `None` if it does nothing this time.
    pub fn draw(&self, rows: usize, cols: usize, rng: &mut impl Rng) -> Option<StepDraw> {
        match *self {
            Self::CropResize { probability, fraction } => {
                happens(probability, rng).then(|| StepDraw::CropResize(CropDraw::draw(fraction, rows, cols, rng)))
            }
            Self::ColorJitter { probability, brightness, contrast, saturation, hue, strength } => {
                let half_widths = JitterDraw {
                    brightness: brightness * strength,
                    contrast: contrast * strength,
                    saturation: saturation * strength,
                    hue: hue * strength,
                };
                happens(probability, rng).then(|| StepDraw::ColorJitter(JitterDraw::draw(&half_widths, rng)))
            }
            Self::FlipEither { horizontal, vertical } => {
                FlipDraw::draw_exclusive(horizontal, vertical, rng).map(StepDraw::Flip)
            }
            Self::FlipHorizontal { probability } => {
                happens(probability, rng).then_some(StepDraw::Flip(FlipDraw::Horizontal))
            }
            Self::FlipVertical { probability } => {
                happens(probability, rng).then_some(StepDraw::Flip(FlipDraw::Vertical))
            }
            Self::QuarterTurn { probability } => {
                happens(probability, rng).then(|| StepDraw::QuarterTurns(rng.random_range(1..=3u32)))
            }
            Self::Blur { probability, sigma } => happens(probability, rng).then(|| StepDraw::Blur(uniform(sigma, rng))),
            Self::Threshold { probability, percentile } => {
                happens(probability, rng).then(|| StepDraw::Threshold(uniform(percentile, rng)))
            }
        }
    }

    fn check(&self) -> Result<(), SettingError> {
        match *self {
            Self::CropResize { probability, fraction } => {
                in_range("crop-resize probability", probability, 0.0, 1.0)?;
                span("crop-resize fraction", fraction, 0.001, 1.0)
            }
            Self::ColorJitter { probability, brightness, contrast, saturation, hue, strength } => {
                in_range("color-jitter probability", probability, 0.0, 1.0)?;
                let widths =
                    [("brightness", brightness), ("contrast", contrast), ("saturation", saturation), ("hue", hue)];
                widths.into_iter().try_for_each(|(name, width)| in_range(name, width, 0.0, 1e6))?;
                in_range("strength", strength, 0.0, 1e6)
            }
            Self::FlipEither { horizontal, vertical } => {
                in_range("flip-either horizontal", horizontal, 0.0, 1.0)?;
                in_range("flip-either vertical", vertical, 0.0, 1.0)?;
                in_range("flip-either horizontal + vertical", horizontal + vertical, 0.0, 1.0)
            }
            Self::FlipHorizontal { probability } | Self::FlipVertical { probability } => {
                in_range("flip probability", probability, 0.0, 1.0)
            }
            Self::QuarterTurn { probability } => in_range("quarter-turn probability", probability, 0.0, 1.0),
            Self::Blur { probability, sigma } => {
                in_range("blur probability", probability, 0.0, 1.0)?;
                span("blur sigma", sigma, 0.001, 1000.0)
            }
            Self::Threshold { probability, percentile } => {
                in_range("threshold probability", probability, 0.0, 1.0)?;
                span("threshold percentile", percentile, 0.0, 100.0)
            }
        }
    }
}

impl StepDraw {
    /// Does to channels `[C, H, W]` what was drawn; the size is kept.
    #[must_use]
    pub fn apply(&self, channels: Array3<f32>, blanks: BlankRule) -> Array3<f32> {
        let changed = match *self {
            Self::ColorJitter(ref draw) => return color_jitter(channels, draw, blanks),
            Self::Flip(direction) => return flip(channels, direction),
            Self::Threshold(q) => return threshold_percentile(channels, q, blanks),
            Self::CropResize(crop) => crop_resize(channels.view(), crop),
            Self::QuarterTurns(turns) => quarter_turns_keeping_size(channels.view(), turns),
            Self::Blur(sigma) => gaussian_blur(channels.view(), sigma, blur_kernel_side(sigma)),
        };
        recycle(channels);
        changed
    }
}

fn happens(probability: f64, rng: &mut impl Rng) -> bool {
    rng.random::<f64>() < probability
}

fn uniform([low, high]: [f64; 2], rng: &mut impl Rng) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

pub(crate) fn in_range(name: &'static str, found: f64, low: f64, high: f64) -> Result<(), SettingError> {
    let inside = (low..=high).contains(&found);
    if inside {
        Ok(())
    } else {
        Err(SettingError { name, found: found.to_string(), expected: format!("{low} to {high}") })
    }
}

fn span(name: &'static str, [from, to]: [f64; 2], low: f64, high: f64) -> Result<(), SettingError> {
    in_range(name, from, low, high)?;
    in_range(name, to, from, high)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedAugmenter {
    steps: Vec<AugmentStep>,
}

impl TryFrom<UncheckedAugmenter> for Augmenter {
    type Error = SettingError;

    fn try_from(unchecked: UncheckedAugmenter) -> Result<Self, SettingError> {
        let augmenter = Self { steps: unchecked.steps };
        augmenter.check().map(|()| augmenter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn both_chains_survive_a_round_trip_and_wrong_numbers_are_named() {
        for augmenter in [Augmenter::hulk(), Augmenter::banner()] {
            augmenter.check().unwrap();
            let text = serde_json::to_string(&augmenter).unwrap();
            assert_eq!(serde_json::from_str::<Augmenter>(&text).unwrap(), augmenter);
        }
        for (bad, named) in [
            (r#"{"steps":[{"step":"blur","probability":1.5,"sigma":[1,3]}]}"#, "blur probability"),
            (r#"{"steps":[{"step":"blur","probability":0.5,"sigma":[3,1]}]}"#, "blur sigma"),
            (r#"{"steps":[{"step":"blur","probability":0.5,"sigma":[1,3],"side":3}]}"#, "side"),
            (r#"{"steps":[{"step":"crop-resize","probability":1,"fraction":[0.0,1.0]}]}"#, "fraction"),
            (r#"{"steps":[{"step":"flip-either","horizontal":0.8,"vertical":0.8}]}"#, "horizontal + vertical"),
            (r#"{"steps":[{"step":"solarise"}]}"#, "solarise"),
            (r#"{"steps":[],"order":1}"#, "order"),
        ] {
            let message = serde_json::from_str::<Augmenter>(bad).unwrap_err().to_string();
            assert!(message.contains(named), "{bad}: {message}");
        }
    }

    /// 20,000 draws: five standard deviations of a share are below 0.018.
    #[test]
    fn steps_happen_as_often_as_table_2_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let n = 20_000;
        let mut counts = [0usize; 8];
        for _ in 0..n {
            for step in &Augmenter::hulk().steps {
                let Some(draw) = step.draw(256, 256, &mut rng) else { continue };
                let slot = match draw {
                    StepDraw::CropResize(crop) => {
                        assert!((0.8..1.0).contains(&crop.fraction));
                        0
                    }
                    StepDraw::ColorJitter(jitter) => {
                        assert!(jitter.brightness.abs() <= 0.4 && (jitter.contrast - 1.0).abs() <= 0.4);
                        assert!((jitter.saturation - 1.0).abs() <= 0.4 && jitter.hue.abs() <= 0.1);
                        1
                    }
                    StepDraw::Flip(FlipDraw::Horizontal) => 2,
                    StepDraw::Flip(FlipDraw::Vertical) => 3,
                    StepDraw::QuarterTurns(turns) => {
                        assert!((1..=3).contains(&turns));
                        counts[7] += usize::from(turns == 2);
                        4
                    }
                    StepDraw::Blur(sigma) => {
                        assert!((1.0..3.0).contains(&sigma));
                        5
                    }
                    StepDraw::Threshold(q) => {
                        assert!((40.0..60.0).contains(&q));
                        6
                    }
                };
                counts[slot] += 1;
            }
        }
        let shares = counts.map(|count| count as f64 / n as f64);
        for (share, want) in shares.iter().zip([1.0, 0.8, 1.0 / 3.0, 1.0 / 3.0, 0.5, 0.1, 0.5, 1.0 / 6.0]) {
            assert!((share - want).abs() < 0.018, "{shares:?}");
        }
    }
}
