//! Every number a training with labels depends on.
use radio_augment::{Augmenter, Recipe};
use radio_tensor::adam::AdamConfig;
use radio_tensor::kernel::bf16_is_faster;
use radio_tensor::resnet::{Depth, Precision, ResNetConfig};
use radio_tensor::schedule::WarmupCosine;
use radio_tensor::trunk::Backbone;
use serde::{Deserialize, Serialize};

use super::loss::Loss;
use crate::error::{ClassError, Result};

/// One training of a classifier. There is no `Default`: a run states all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierConfig {
    /// Seed of weights, order and views.
    pub seed: u64,
    /// Images per step; all of them where there are fewer.
    pub batch_size: usize,
    /// Passes over the images. 0, with a head that starts at the linear probe, keeps that probe: nothing else is learned.
    pub epochs: u64,
    /// Epochs of linear warm-up before the cosine decay.
    pub warmup_epochs: u64,
    /// Learning rate at the end of the warm-up.
    pub peak_lr: f64,
    /// Learning rate at the end.
    pub floor_lr: f64,
    /// Whether the trunk stays as it is (on its stored batch-norm statistics) and the head alone learns.
    pub frozen: bool,
    /// What the head starts from.
    #[serde(default, skip_serializing_if = "HeadStart::is_random")]
    pub head: HeadStart,
    /// Whether batch norm keeps the trunk's stored statistics while the trunk learns, as constants. With few labels the statistics
    /// of a handful of images would take their place, and prediction relies on them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stored_statistics: bool,
    /// Numbers the trunk computes with.
    pub precision: Precision,
    /// What is minimised.
    pub loss: Loss,
    /// The trunk: a residual network, or a vision transformer (`kind = "vit"`).
    pub backbone: Backbone,
    /// The optimiser.
    pub adam: AdamConfig,
    /// Pre-processing of an image.
    pub recipe: Recipe,
    /// What makes a view of it.
    pub augmenter: Augmenter,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Where the head of a training starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadStart {
    /// Random weights (reference-facts E2).
    #[default]
    Random,
    /// The linear probe of the trunk's features on the training images: with few labels, the first gradients of a random head
    /// undo what the trunk has learned.
    ///
    /// # Source
    /// Kumar et al. 2022 (arXiv:2202.10054), "LP-FT".
    Probe,
}

impl HeadStart {
    fn is_random(&self) -> bool {
        *self == Self::Random
    }
}

/// With fewer images than this a training that starts from an encoder keeps its batch-norm statistics.
///
/// # Source
/// MiraBest, folds of sky, three seeds: accuracy with kept statistics and with those of the batches, 82.8 and 81.2 % with 53 labels,
/// 70.3 and 71.8 % with 11 (not to be told apart), 91.0 and 93.5 % with 532 (one seed).
pub const FEW_IMAGES: usize = 200;

impl ClassifierConfig {
    /// The same, starting from an encoder: the head at its linear probe, and with few images ([`FEW_IMAGES`]) its batch-norm
    /// statistics as constants. With a peak rate of 0 nothing is learned: the probe stays.
    #[must_use]
    pub fn from_encoder(self, images: usize) -> Self {
        let head = HeadStart::Probe;
        if self.peak_lr > 0.0 {
            return Self { head, stored_statistics: images < FEW_IMAGES, ..self };
        }
        Self { head, stored_statistics: true, epochs: 0, warmup_epochs: 0, floor_lr: 0.0, ..self }
    }

    /// The learning rates, of those listed, that a search from an encoder should try. Only with few images is 0 among them (the
    /// probe stays): with many, one more candidate is one more way for a search to be wrong (MiraBest, 532 labels: 93.0 with it,
    /// 93.8 % without).
    pub fn rates_from_encoder(listed: &[f64], images: usize) -> Vec<f64> {
        listed.iter().copied().filter(|&rate| rate > 0.0 || images < FEW_IMAGES).collect()
    }

    /// All layers trained for 150 epochs, flips and rotation (Riggi et al. 2024, section 3). Optimiser, batch and rate are not
    /// in the paper; they are its code's: Adam at a constant 1e-3, batches of 32.
    ///
    /// # Source
    /// Reference-facts E1, E2.
    pub fn paper(seed: u64) -> Self {
        Self {
            seed,
            batch_size: 32,
            epochs: 150,
            warmup_epochs: 0,
            peak_lr: 1e-3,
            floor_lr: 1e-3,
            frozen: false,
            head: HeadStart::Random,
            stored_statistics: false,
            precision: Precision::F32,
            loss: Loss::CrossEntropy,
            backbone: ResNetConfig { depth: Depth::ResNet18, width: 64 }.into(),
            adam: AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 },
            recipe: Recipe::paper(224),
            augmenter: Augmenter::cnn(),
        }
    }

    /// The paper's frozen backbone: 30 epochs of the head alone.
    pub fn paper_frozen(seed: u64) -> Self {
        Self { epochs: 30, frozen: true, ..Self::paper(seed) }
    }

    /// What short runs on a laptop use: `side`-pixel inputs, a tenth of the epochs as warm-up, then a cosine to 1e-6.
    pub fn laptop(seed: u64, side: usize, batch_size: usize, epochs: u64) -> Self {
        Self {
            batch_size,
            epochs,
            warmup_epochs: epochs / 10,
            floor_lr: 1e-6,
            recipe: Recipe::paper(side),
            ..Self::paper(seed)
        }
    }

    /// The same with the numbers this processor is fastest with: bf16 where its bf16 products are fast, f32 elsewhere.
    pub fn fastest_here(self) -> Self {
        let precision = if bf16_is_faster() { Precision::Bf16 } else { Precision::F32 };
        Self { precision, ..self }
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// On unknown keys, values out of range, or numbers that contradict each other.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|e| ClassError::Config(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// If a value has no TOML form (none has).
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|e| ClassError::Config(e.to_string()))
    }

    /// The limits of numbers and between them.
    ///
    /// # Errors
    /// With the rule that is broken.
    pub fn check(&self) -> Result<()> {
        self.recipe.check().map_err(|e| ClassError::Config(e.to_string()))?;
        self.augmenter.check().map_err(|e| ClassError::Config(e.to_string()))?;
        self.loss.check()?;
        self.backbone.check()?;
        let betas = [self.adam.beta1, self.adam.beta2];
        let rules: [(&'static str, &'static str, bool, String); 7] = [
            ("batch_size", "at least 1", self.batch_size >= 1, self.batch_size.to_string()),
            (
                "epochs",
                "at least 1, or a head that starts at the probe",
                self.epochs >= 1 || self.head == HeadStart::Probe,
                self.epochs.to_string(),
            ),
            (
                "warmup_epochs",
                "below epochs",
                self.warmup_epochs < self.epochs.max(1),
                format!("{} and {}", self.warmup_epochs, self.epochs),
            ),
            (
                "floor_lr and peak_lr",
                "0 <= floor_lr <= peak_lr, both finite",
                self.floor_lr >= 0.0 && self.floor_lr <= self.peak_lr && self.peak_lr.is_finite(),
                format!("{} and {}", self.floor_lr, self.peak_lr),
            ),
            (
                "recipe size",
                "a whole number of the backbone's patches",
                self.backbone.takes_side(self.recipe.size),
                format!("{} pixels for {}", self.recipe.size, self.backbone),
            ),
            ("recipe size", "at most 2048", self.recipe.size <= 2048, self.recipe.size.to_string()),
            (
                "adam",
                "0 <= beta < 1 and epsilon > 0",
                betas.iter().all(|beta| (0.0..1.0).contains(beta)) && self.adam.epsilon > 0.0,
                format!("{betas:?} and {}", self.adam.epsilon),
            ),
        ];
        match rules.into_iter().find(|(_, _, holds, _)| !holds) {
            Some((name, expected, _, found)) => Err(ClassError::Setting { name, expected, found }),
            None => Ok(()),
        }
    }

    /// Images of one step over `images`.
    pub fn batch(&self, images: usize) -> usize {
        self.batch_size.min(images).max(1)
    }

    /// Steps of one epoch over `images`; an incomplete last batch is left out.
    pub fn steps_per_epoch(&self, images: usize) -> u64 {
        (images / self.batch(images)) as u64
    }

    /// Learning rate over the whole run.
    pub fn schedule(&self, images: usize) -> WarmupCosine {
        let steps = self.steps_per_epoch(images);
        WarmupCosine {
            peak: self.peak_lr,
            floor: self.floor_lr,
            warmup_steps: steps * self.warmup_epochs,
            total_steps: steps * self.epochs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_round_trip_and_unknown_keys() {
        for config in [
            ClassifierConfig::paper(3),
            ClassifierConfig::paper_frozen(1),
            ClassifierConfig {
                loss: Loss::Focal { alpha: 0.25, gamma: 2.0 },
                ..ClassifierConfig::laptop(1, 96, 32, 25)
            },
        ] {
            let text = config.to_toml().unwrap();
            assert_eq!(ClassifierConfig::from_toml(&text).unwrap(), config);
            let error = ClassifierConfig::from_toml(&format!("epoch = 3\n{text}")).unwrap_err().to_string();
            assert!(error.contains("epoch"), "{error}");
        }
    }

    #[test]
    fn broken_rules_are_named() {
        let paper = ClassifierConfig::paper(1);
        for (name, broken) in [
            ("batch_size", ClassifierConfig { batch_size: 0, ..paper.clone() }),
            ("epochs", ClassifierConfig { epochs: 0, ..paper.clone() }),
            ("warmup_epochs", ClassifierConfig { warmup_epochs: 150, ..paper.clone() }),
            ("floor_lr", ClassifierConfig { floor_lr: 1.0, ..paper.clone() }),
            ("gamma", ClassifierConfig { loss: Loss::Focal { alpha: 0.5, gamma: -1.0 }, ..paper.clone() }),
        ] {
            let error = broken.check().unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
        assert_eq!((paper.batch(7), paper.steps_per_epoch(7), paper.steps_per_epoch(100)), (7, 1, 3));
    }
}
