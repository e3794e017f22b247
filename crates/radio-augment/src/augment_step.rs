//! One step of an augmentation chain: its parameters, and how its random numbers are drawn.

use rand::{Rng, seq::SliceRandom};
use serde::{Deserialize, Serialize};

use crate::{ContrastDraw, CropDraw, FlipDraw, JitterDraw, SettingError, StepDraw};

/// Steps a group has at most.
pub(crate) const GROUP_LIMIT: usize = 16;
/// Groups within groups at most.
const DEPTH_LIMIT: usize = 4;

/// One step of a chain: its parameters, and how often it happens. Ranges are `[low, high)`, drawn uniformly.
///
/// # Source
/// reference-facts C1 to C4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum AugmentStep {
    /// A random crop brought back to the frame's size (C2).
    CropResize {
        /// How often.
        probability: f64,
        /// Share of either side that is kept, within [0.001, 1].
        fraction: [f64; 2],
    },
    /// MinMax, then brightness, contrast, saturation and hue (C3).
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
    /// One of the two flips or none, never both: the authors' code (C1).
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
    /// A turn by any angle; the corners that come in are blank (C4).
    Rotate {
        /// How often.
        probability: f64,
        /// Clockwise.
        degrees: [f64; 2],
    },
    /// Larger or smaller about the middle, the frame keeps its size; what comes in is blank.
    Zoom {
        /// How often.
        probability: f64,
        /// Above 1 enlarges; within [0.01, 100].
        factor: [f64; 2],
    },
    /// A shift by whole pixels; what comes in is blank (C4).
    Translate {
        /// How often.
        probability: f64,
        /// Share of each side, drawn separately for rows and columns, within [-1, 1]; rounded to whole pixels.
        fraction: [f64; 2],
    },
    /// Gaussian blur (C2).
    Blur {
        /// How often.
        probability: f64,
        /// Standard deviation in pixels.
        sigma: [f64; 2],
    },
    /// Pixels below a random percentile become 0 (C3).
    Threshold {
        /// How often.
        probability: f64,
        /// In percent.
        percentile: [f64; 2],
    },
    /// zscale of every channel with a random contrast (C3, ZScaleAugmenter).
    Zscale {
        /// How often.
        probability: f64,
        /// Above 0.
        contrast: [f64; 2],
        /// Whether every channel has a contrast of its own.
        per_channel: bool,
    },
    /// MinMax of every channel, then `1 / (1 + exp(gain (cutoff - v)))` (C3, SigmoidStretch).
    Sigmoid {
        /// How often.
        probability: f64,
        /// Steepness.
        gain: [f64; 2],
        /// Where the result is a half.
        cutoff: f64,
    },
    /// Compact sources are replaced by noise (C3, SourceRemover), see [`SourceRemoval`](crate::SourceRemoval).
    RemoveSources {
        /// How often.
        probability: f64,
        /// Larger sources stay, pixels.
        max_pixels: [f64; 2],
    },
    /// One step of the list, each as likely; the step's own probability decides whether it then happens.
    OneOf {
        /// How often any.
        probability: f64,
        /// At most 16.
        steps: Vec<AugmentStep>,
    },
    /// A random number of different steps of the list, in random order.
    SomeOf {
        /// Smallest and largest number, each as likely as those between.
        count: [usize; 2],
        /// At most 16.
        steps: Vec<AugmentStep>,
    },
}

impl AugmentStep {
    /// Draws what this step does to one frame of `rows` x `cols`: nothing, one change, or for a group several.
    #[must_use]
    pub fn draw(&self, rows: usize, cols: usize, rng: &mut impl Rng) -> Vec<StepDraw> {
        let mut draws = Vec::new();
        self.each_draw(rows, cols, rng, &mut |draw| draws.push(draw));
        draws
    }

    /// As [`AugmentStep::draw`], without a list.
    pub(crate) fn each_draw(&self, rows: usize, cols: usize, rng: &mut impl Rng, see: &mut impl FnMut(StepDraw)) {
        if let Self::OneOf { steps, .. } | Self::SomeOf { steps, .. } = self {
            let mut order: [usize; GROUP_LIMIT] = std::array::from_fn(|i| i);
            let order = &mut order[..steps.len().min(GROUP_LIMIT)];
            let count = self.draw_count(order.len(), rng);
            let (chosen, _) = order.partial_shuffle(rng, count);
            chosen.iter().for_each(|&i| steps[i].each_draw(rows, cols, rng, see));
        } else if let Some(draw) = self.draw_single(rows, cols, rng) {
            see(draw);
        }
    }

    /// How many of a group's `n` steps are taken this time.
    fn draw_count(&self, n: usize, rng: &mut impl Rng) -> usize {
        match *self {
            Self::OneOf { probability, .. } => usize::from(n > 0 && happens(probability, rng)),
            Self::SomeOf { count: [fewest, most], .. } => {
                let most = most.min(n);
                rng.random_range(fewest.min(most) as u64..=most as u64) as usize
            }
            _ => 0,
        }
    }

    fn draw_single(&self, rows: usize, cols: usize, rng: &mut impl Rng) -> Option<StepDraw> {
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
            Self::Rotate { probability, degrees } => {
                happens(probability, rng).then(|| StepDraw::Rotate(uniform(degrees, rng)))
            }
            Self::Zoom { probability, factor } => {
                happens(probability, rng).then(|| StepDraw::Zoom(uniform(factor, rng)))
            }
            Self::Translate { probability, fraction } => happens(probability, rng).then(|| {
                let mut shift = |side: usize| (uniform(fraction, rng) * side as f64).round() as i64;
                StepDraw::Translate { rows: shift(rows), cols: shift(cols) }
            }),
            Self::Blur { probability, sigma } => happens(probability, rng).then(|| StepDraw::Blur(uniform(sigma, rng))),
            Self::Threshold { probability, percentile } => {
                happens(probability, rng).then(|| StepDraw::Threshold(uniform(percentile, rng)))
            }
            Self::Zscale { probability, contrast, per_channel } => happens(probability, rng).then(|| {
                StepDraw::Zscale(if per_channel {
                    ContrastDraw::PerChannel { range: contrast, seed: rng.random() }
                } else {
                    ContrastDraw::Shared(uniform(contrast, rng))
                })
            }),
            Self::Sigmoid { probability, gain, cutoff } => {
                happens(probability, rng).then(|| StepDraw::Sigmoid { gain: uniform(gain, rng), cutoff })
            }
            Self::RemoveSources { probability, max_pixels } => happens(probability, rng)
                .then(|| StepDraw::RemoveSources { max_pixels: uniform(max_pixels, rng) as usize, seed: rng.random() }),
            Self::OneOf { .. } | Self::SomeOf { .. } => None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), SettingError> {
        self.check_within(DEPTH_LIMIT)
    }

    fn check_within(&self, depth: usize) -> Result<(), SettingError> {
        let group = |steps: &[AugmentStep]| {
            in_range("steps of a group", steps.len() as f64, 1.0, GROUP_LIMIT as f64)?;
            if depth == 0 {
                let (found, expected) = ("deeper".into(), format!("groups within groups, {DEPTH_LIMIT} deep at most"));
                return Err(SettingError { name: "steps of a group", found, expected });
            }
            steps.iter().try_for_each(|step| step.check_within(depth - 1))
        };
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
            Self::Rotate { probability, degrees } => {
                in_range("rotate probability", probability, 0.0, 1.0)?;
                span("rotate degrees", degrees, -360.0, 360.0)
            }
            Self::Zoom { probability, factor } => {
                in_range("zoom probability", probability, 0.0, 1.0)?;
                span("zoom factor", factor, 0.01, 100.0)
            }
            Self::Translate { probability, fraction } => {
                in_range("translate probability", probability, 0.0, 1.0)?;
                span("translate fraction", fraction, -1.0, 1.0)
            }
            Self::Blur { probability, sigma } => {
                in_range("blur probability", probability, 0.0, 1.0)?;
                span("blur sigma", sigma, 0.001, 1000.0)
            }
            Self::Threshold { probability, percentile } => {
                in_range("threshold probability", probability, 0.0, 1.0)?;
                span("threshold percentile", percentile, 0.0, 100.0)
            }
            Self::Zscale { probability, contrast, .. } => {
                in_range("zscale probability", probability, 0.0, 1.0)?;
                span("zscale contrast", contrast, 1e-6, 1e6)
            }
            Self::Sigmoid { probability, gain, cutoff } => {
                in_range("sigmoid probability", probability, 0.0, 1.0)?;
                span("sigmoid gain", gain, -1e6, 1e6)?;
                in_range("sigmoid cutoff", cutoff, -1e6, 1e6)
            }
            Self::RemoveSources { probability, max_pixels } => {
                in_range("remove-sources probability", probability, 0.0, 1.0)?;
                span("remove-sources max-pixels", max_pixels, 1.0, 1e9)
            }
            Self::OneOf { probability, ref steps } => {
                in_range("one-of probability", probability, 0.0, 1.0)?;
                group(steps)
            }
            Self::SomeOf { count: [fewest, most], ref steps } => {
                group(steps)?;
                in_range("some-of count", most as f64, 0.0, steps.len() as f64)?;
                in_range("some-of count", fewest as f64, 0.0, most as f64)
            }
        }
    }
}

fn happens(probability: f64, rng: &mut impl Rng) -> bool {
    rng.random::<f64>() < probability
}

pub(crate) fn uniform([low, high]: [f64; 2], rng: &mut impl Rng) -> f64 {
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

pub(crate) fn span(name: &'static str, [from, to]: [f64; 2], low: f64, high: f64) -> Result<(), SettingError> {
    in_range(name, from, low, high)?;
    in_range(name, to, from, high)
}
