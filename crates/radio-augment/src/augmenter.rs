//! The augmentation chains: which steps, in which order, with which probability; and the chains the authors used.

use ndarray::Array3;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{AugmentStep, BlankRule, Placement, SettingError, StepDraw};

/// A chain of random changes to an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "UncheckedAugmenter")]
pub struct Augmenter {
    /// Applied from first to last.
    pub steps: Vec<AugmentStep>,
}

impl Augmenter {
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
        self.run(channels, blanks, rng, &mut |_| ())
    }

    /// As [`Augmenter::apply_with_blanks`], and writes to `placement` where the pixels went, for masks and boxes.
    ///
    /// The view is the same as without: stretches touch the image alone, geometry is drawn once for both.
    #[must_use]
    pub fn apply_placed(
        &self,
        channels: Array3<f32>,
        blanks: BlankRule,
        rng: &mut impl Rng,
        placement: &mut Placement,
    ) -> Array3<f32> {
        let (_, rows, cols) = channels.dim();
        placement.reset(rows, cols);
        self.run(channels, blanks, rng, &mut |draw| {
            if let Some(map) = draw.pixel_map(rows, cols) {
                placement.push(map);
            }
        })
    }

    fn run(
        &self,
        channels: Array3<f32>,
        blanks: BlankRule,
        rng: &mut impl Rng,
        note: &mut impl FnMut(&StepDraw),
    ) -> Array3<f32> {
        let (_, rows, cols) = channels.dim();
        let mut changed = channels;
        for step in &self.steps {
            step.each_draw(rows, cols, rng, &mut |draw| {
                note(&draw);
                changed = draw.apply(std::mem::take(&mut changed), blanks);
            });
        }
        changed
    }

    /// Checks every number; a chain read from a file has been checked.
    ///
    /// # Errors
    /// The first number outside its range.
    pub fn check(&self) -> Result<(), SettingError> {
        self.steps.iter().try_for_each(AugmentStep::check)
    }
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
    use crate::FlipDraw;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn both_chains_survive_a_round_trip_and_wrong_numbers_are_named() {
        for (_, augmenter) in Augmenter::presets() {
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
            (r#"{"steps":[{"step":"rotate","probability":1,"degrees":[-500,90]}]}"#, "rotate degrees"),
            (r#"{"steps":[{"step":"zoom","probability":1,"factor":[0,1]}]}"#, "zoom factor"),
            (r#"{"steps":[{"step":"zscale","probability":1,"contrast":[0,1],"per-channel":true}]}"#, "zscale contrast"),
            (r#"{"steps":[{"step":"one-of","probability":1,"steps":[]}]}"#, "steps of a group"),
            (
                r#"{"steps":[{"step":"some-of","count":[0,2],"steps":[{"step":"quarter-turn","probability":1}]}]}"#,
                "some-of count",
            ),
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
                let drawn = step.draw(256, 256, &mut rng);
                assert!(drawn.len() <= 1);
                let Some(draw) = drawn.into_iter().next() else { continue };
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
                    other => panic!("{other:?} is not in Table 2"),
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
