//! A trained classifier: probabilities of images, averaged over turns if asked for.
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use ndarray::{Array2, Array4};
use radio_augment::{Augmenter, FrameSource, Recipe, ViewLoader};
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::trunk::Trunk;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::calibration::tempered;
use super::config::ClassifierConfig;
use super::fine_tune::{CLASSES_KEY, CONFIG_KEY};
use super::head::LinearHead;
use super::loss::Loss;
use crate::error::{ClassError, Result};
use crate::features::{Turns, features_array, images_tensor};

/// Text entry with the temperature of a calibrated classifier.
const TEMPERATURE_KEY: &str = "temperature";
/// And with the thresholds of one for several labels a row.
const THRESHOLDS_KEY: &str = "thresholds";

/// Trunk, head, the names of the classes, and the pre-processing they were trained on.
pub struct Classifier {
    /// The trunk.
    pub trunk: Trunk,
    /// The head.
    pub head: LinearHead,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Says what logits mean: one class a row, or several.
    pub loss: Loss,
    /// The pre-processing.
    pub recipe: Recipe,
    /// Probabilities are softened by it ([`super::calibration::fit_temperature`]); 1 where it was not calibrated.
    pub temperature: f64,
    /// With several labels a row: the probability from which a row has each class; 0.5 each where they were not chosen.
    pub thresholds: Vec<f64>,
}

impl Classifier {
    /// Reads a checkpoint written by [`super::fine_tune::fine_tune`] or by [`Classifier::checkpoint`].
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or holds no classifier.
    pub fn read(path: &Path) -> Result<Self> {
        let loaded = Checkpoint::read(path)?;
        let config = ClassifierConfig::from_toml(loaded.text(CONFIG_KEY)?)?;
        let broken = |e: &dyn std::fmt::Display| ClassError::Config(format!("{}: {CLASSES_KEY}: {e}", path.display()));
        let classes: Vec<String> = serde_json::from_str(loaded.text(CLASSES_KEY)?).map_err(|e| broken(&e))?;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut trunk = loaded.trunk(config.backbone)?;
        trunk.set_precision(config.precision);
        let mut head = LinearHead::new(config.backbone.features(), classes.len(), &mut rng);
        loaded.load_parameters(head.parameters_mut())?;
        let temperature = match loaded.checkpoint.text.get(TEMPERATURE_KEY) {
            None => 1.0,
            Some(text) => text.parse().ok().filter(|t: &f64| t.is_finite() && *t > 0.0).ok_or_else(|| {
                ClassError::Setting { name: "temperature", expected: "a finite number above 0", found: text.clone() }
            })?,
        };
        let thresholds = match loaded.checkpoint.text.get(THRESHOLDS_KEY) {
            None => vec![0.5; classes.len()],
            Some(text) => {
                let found = serde_json::from_str(text).ok().filter(|found: &Vec<f64>| {
                    found.len() == classes.len() && found.iter().all(|t| (0.0..=1.0).contains(t))
                });
                found.ok_or_else(|| {
                    let expected = "a number within [0, 1] for each class";
                    ClassError::Setting { name: "thresholds", expected, found: text.clone() }
                })?
            }
        };
        Ok(Self { trunk, head, classes, loss: config.loss, recipe: config.recipe, temperature, thresholds })
    }

    /// The classifier alone, without the state of its training; `config` is what it was trained with.
    ///
    /// # Errors
    /// If the configuration has no TOML form.
    pub fn checkpoint(&self, config: &ClassifierConfig) -> Result<Checkpoint> {
        let mut file = Checkpoint::default();
        file.put_trunk(&self.trunk);
        file.put_parameters(self.head.parameters());
        file.text.insert(CONFIG_KEY.into(), config.to_toml()?);
        let classes = serde_json::to_string(&self.classes).map_err(|e| ClassError::Config(e.to_string()))?;
        file.text.insert(CLASSES_KEY.into(), classes);
        file.text.insert(TEMPERATURE_KEY.into(), self.temperature.to_string());
        if self.thresholds.iter().any(|threshold| *threshold != 0.5) {
            let thresholds = serde_json::to_string(&self.thresholds).map_err(|e| ClassError::Config(e.to_string()))?;
            file.text.insert(THRESHOLDS_KEY.into(), thresholds);
        }
        Ok(file)
    }

    /// Probabilities of a batch of prepared images, `[n, classes]`; over several turns their mean.
    ///
    /// # Shapes
    /// `images`: `[n, 3, s, s]` in [0, 1].
    /// # Errors
    /// On another shape.
    pub fn probabilities(&self, images: &Array4<f32>, turns: Turns) -> Result<Array2<f64>> {
        let mut sum = Array2::zeros((images.dim().0, self.classes.len()));
        for turn in turns.each() {
            let features = self.trunk.embed(&images_tensor(crate::features::turned(images, turn)?)?)?;
            sum += &self.loss.probabilities(self.head.logits(features_array(&features)?.view()).view());
        }
        sum /= turns.each().count() as f64;
        Ok(if self.temperature == 1.0 { sum } else { tempered(sum.view(), self.temperature, self.loss) })
    }

    /// Probabilities of every image of the source, `[len, classes]`, in its order.
    ///
    /// `progress` is told the number of images done and may break; the result then ends there.
    ///
    /// # Errors
    /// If an image cannot be read or pre-processed.
    pub fn predict(
        &self,
        source: Arc<dyn FrameSource>,
        turns: Turns,
        batch_size: usize,
        mut progress: impl FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Array2<f64>> {
        let frames: Vec<usize> = (0..source.len()).collect();
        let loader = ViewLoader::new(source, self.recipe.clone(), Augmenter { steps: Vec::new() }, 0);
        let mut values = Vec::with_capacity(frames.len() * self.classes.len());
        let mut done = 0;
        for batch in frames.chunks(batch_size.max(1)) {
            values.extend(self.probabilities(&loader.channels_batch(batch)?, turns)?);
            done += batch.len();
            if progress(done).is_break() {
                break;
            }
        }
        let n = self.classes.len();
        Ok(Array2::from_shape_fn((done, n), |(row, class)| values[row * n + class]))
    }
}
