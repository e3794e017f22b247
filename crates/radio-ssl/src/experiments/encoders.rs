//! The encoders that experiments pre-train, one line of a table each. Add one here and every experiment knows it.
use anyhow::{Context, Result};
use cls_morph::ClassifierConfig;
use radio_augment::{AugmentStep, Augmenter, Recipe};
use radio_tensor::resnet::{Depth, ResNetConfig};
use serde::{Deserialize, Serialize};
use ssl_simclr::byol::ByolConfig;
use ssl_simclr::config::Temperature;
use ssl_simclr::{Method, SimClrConfig};

use super::pools::Pool;

/// How an encoder is pre-trained, but for its seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderRecipe {
    /// Name in tables and on the command line.
    pub name: String,
    /// SimCLR or BYOL.
    pub method: Method,
    /// What it sees.
    pub pool: Pool,
    /// Share of the pool.
    pub share: f64,
    /// Whether there is one encoder for each test fold, whose pool has nothing within 270" of that fold.
    pub strict: bool,
    /// Middle square of each picture that a view shows, pixels of 1.8".
    pub crop_px: usize,
    /// Pixels around it that turns and shifts bring in ([`Recipe::margin`]).
    pub margin: usize,
    /// Side of the input; equal to `crop_px` at native resolution.
    pub side: usize,
    /// Channels after the first convolution of the ResNet-18.
    pub width: usize,
    /// Passes over the pool.
    pub epochs: u64,
    /// Pictures a step.
    pub batch: usize,
    /// Learning rate at its peak; warm-up is a tenth of the epochs, then a cosine to 1e-6.
    pub lr: f64,
    /// Softmax temperature of NT-Xent.
    pub temperature: f64,
    /// What makes views.
    pub augmenter: Augmenter,
}

/// The base of the ablation, from which `native` was chosen.
pub const ABLATED: &str = "native-shifted";

/// The table. The first one is the base of scaling curves and the claim.
///
/// `native`: every picture at the survey's own resolution, not shrunk; any angle, with sky around the view so that none leaves
/// blank corners; a quarter smaller to a third larger; always in the middle, as the sources of these sets are. `native-shifted`
/// has shifts of up to 4 pixels besides: the ablation starts there, and is better without. `mirabest` and `simclr` are the settings whose figures
/// other stacks gave (the middle 96 pixels shrunk to 64).
pub fn table() -> Vec<EncoderRecipe> {
    let native = EncoderRecipe {
        name: "native".into(),
        method: Method::SimClr,
        pool: Pool::Union,
        share: 1.0,
        strict: false,
        crop_px: 64,
        margin: 16,
        side: 64,
        width: 32,
        epochs: 60,
        batch: 128,
        lr: 1e-3,
        temperature: 0.1,
        augmenter: Augmenter::centred(),
    };
    let base = EncoderRecipe {
        name: "mirabest".into(),
        method: Method::SimClr,
        pool: Pool::Mirabest,
        share: 1.0,
        strict: false,
        crop_px: 96,
        margin: 0,
        side: 64,
        width: 32,
        epochs: 40,
        batch: 128,
        lr: 1e-3,
        temperature: 0.1,
        augmenter: any_angle(),
    };
    vec![
        native.clone(),
        EncoderRecipe { name: "native-byol".into(), method: Method::Byol, ..native.clone() },
        EncoderRecipe { name: "native-strict".into(), strict: true, ..native.clone() },
        EncoderRecipe { name: "native-simulated".into(), pool: Pool::Simulated, ..native.clone() },
        EncoderRecipe { name: ABLATED.into(), augmenter: with_shifts(), ..native },
        base.clone(),
        EncoderRecipe { name: "mirabest-byol".into(), method: Method::Byol, ..base.clone() },
        EncoderRecipe { name: "mirabest-strict".into(), strict: true, ..base.clone() },
        EncoderRecipe { name: "simclr".into(), pool: Pool::All, epochs: 32, augmenter: Augmenter::hulk(), ..base },
    ]
}

/// The recipe of a name.
///
/// # Errors
/// With the names there are.
pub fn by_name(name: &str) -> Result<EncoderRecipe> {
    let table = table();
    let names = table.iter().map(|recipe| recipe.name.clone()).collect::<Vec<_>>().join(", ");
    let found = table.into_iter().find(|recipe| recipe.name == name);
    found.with_context(|| format!("no encoder recipe `{name}`; there are {names}"))
}

/// Table 2 without hue, saturation and blur, any angle in place of quarter turns.
fn any_angle() -> Augmenter {
    Augmenter {
        steps: vec![
            AugmentStep::CropResize { probability: 1.0, fraction: [0.8, 1.0] },
            AugmentStep::ColorJitter {
                probability: 0.8,
                brightness: 0.8,
                contrast: 0.8,
                saturation: 0.0,
                hue: 0.0,
                strength: 0.5,
            },
            either_flip(),
            AugmentStep::Rotate { probability: 1.0, degrees: [-180.0, 180.0] },
            AugmentStep::Threshold { probability: 0.5, percentile: [40.0, 60.0] },
        ],
    }
}

/// [`Augmenter::centred`] with shifts of a few pixels after the flip.
fn with_shifts() -> Augmenter {
    let mut augmenter = Augmenter::centred();
    augmenter.steps.insert(1, shift());
    augmenter
}

fn shift() -> AugmentStep {
    AugmentStep::Translate { probability: 1.0, fraction: [-0.04, 0.04] }
}

fn turns() -> Vec<AugmentStep> {
    vec![either_flip(), shift(), AugmentStep::Rotate { probability: 1.0, degrees: [-180.0, 180.0] }]
}

/// What trainings with labels see, from scratch and from an encoder alike: any angle, flips, and a little closer or, where there
/// is a margin, a little aside.
pub fn supervised(margin: usize) -> Augmenter {
    if margin > 0 {
        return Augmenter { steps: turns() };
    }
    Augmenter {
        steps: vec![
            AugmentStep::CropResize { probability: 1.0, fraction: [0.8, 1.0] },
            either_flip(),
            AugmentStep::Rotate { probability: 1.0, degrees: [-180.0, 180.0] },
        ],
    }
}

fn either_flip() -> AugmentStep {
    AugmentStep::FlipEither { horizontal: 1.0 / 3.0, vertical: 1.0 / 3.0 }
}

impl EncoderRecipe {
    /// The network.
    pub fn network(&self) -> ResNetConfig {
        ResNetConfig { depth: Depth::ResNet18, width: self.width }
    }

    /// Pre-processing of its pool.
    pub fn recipe(&self) -> Recipe {
        self.pool.recipe(&Recipe { margin: self.margin, ..Recipe::paper(self.side) })
    }

    /// Side of the squares that are cut from the pictures, margin included, pixels.
    pub fn frame_px(&self) -> usize {
        self.crop_px + 2 * self.margin
    }

    /// Every number of a training over `frames` pictures; a small pool has a smaller batch.
    ///
    /// # Errors
    /// If a number is out of range.
    pub fn config(&self, seed: u64, frames: usize) -> Result<SimClrConfig> {
        let laptop = SimClrConfig::laptop(seed, self.side, self.batch.min(frames.max(2)), self.epochs);
        let warmup_epochs = (self.epochs / 10).max(1).min(self.epochs.saturating_sub(1));
        let mut config = SimClrConfig {
            warmup_epochs,
            peak_lr: self.lr,
            floor_lr: laptop.floor_lr.min(self.lr),
            temperature: Temperature::try_from(self.temperature)?,
            backbone: self.network().into(),
            recipe: self.recipe().into(),
            augmenter: self.augmenter.clone(),
            ..laptop
        };
        if self.method == Method::Byol {
            // The momentum of a short training; 0.996 is for a thousand epochs.
            let byol = ByolConfig { predictor_hidden: 512, target_momentum: 0.99, final_momentum: 1.0 };
            config = config.with_byol(byol);
        }
        let config = config.fastest_here();
        config.check()?;
        Ok(config)
    }

    /// What is left of it in a quick look: does every stage work?
    pub fn quick(&self) -> Self {
        let (side, width) = (self.side.min(32), self.width.min(8));
        Self { side, width, epochs: 2, batch: self.batch.min(16), share: self.share.min(0.2), ..self.clone() }
    }

    /// Numbers of a training with labels on the same input, `steps` long over `rows` pictures.
    pub fn classifier(&self, seed: u64, rows: usize, steps: u64, lr: f64, recipe: Recipe) -> ClassifierConfig {
        let batch_size = 32.min(rows.max(1));
        let epochs = steps.div_ceil((rows / batch_size).max(1) as u64).max(1);
        let laptop = ClassifierConfig::laptop(seed, self.side, batch_size, epochs);
        ClassifierConfig {
            peak_lr: lr,
            floor_lr: laptop.floor_lr.min(lr),
            backbone: self.network().into(),
            augmenter: supervised(recipe.margin),
            recipe,
            ..laptop
        }
        .fastest_here()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_is_valid_and_has_a_name_of_its_own() {
        let table = table();
        for recipe in &table {
            for recipe in [recipe.clone(), recipe.quick()] {
                let config = recipe.config(1, 1003).unwrap();
                assert_eq!((config.epochs, config.input_size()), (recipe.epochs, recipe.side), "{}", recipe.name);
                recipe.classifier(1, 5, 40, 1e-3, recipe.recipe()).check().unwrap();
            }
            assert_eq!(table.iter().filter(|other| other.name == recipe.name).count(), 1);
            assert_eq!(by_name(&recipe.name).unwrap(), *recipe);
        }
        assert!(by_name("none").unwrap_err().to_string().contains("mirabest-byol"));
        let few = table[0].classifier(1, 11, 400, 1e-3, table[0].recipe());
        assert_eq!((few.batch_size, few.epochs), (11, 400), "few labels: as many steps, smaller batches");
        assert_eq!(table[0].classifier(1, 532, 400, 1e-3, table[0].recipe()).epochs, 25);
    }
}
