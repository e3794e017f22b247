//! The training loop with labels: views → trunk → head → loss → gradients → Adam.
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use ndarray::{Array2, Axis};
use radio_augment::{FrameSource, ViewLoader};
use radio_tensor::DuringStep;
use radio_tensor::adam::Adam;
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::parameter::Parameter;
use radio_tensor::trunk::Trunk;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::config::{ClassifierConfig, HeadStart};
use super::head::LinearHead;
use super::loss::{Focal, Loss};
use super::predict::Classifier;
use crate::error::{ClassError, Result};
use crate::features::{Layers, Turns, embed_turned, features_array, images_tensor};
use crate::probes::logistic::Logistic;
use crate::probes::multi_label::MultiLabelHead;

/// Inverse penalty of the probe that a head starts from, on standardised features.
const PROBE_C: f64 = 0.1;
/// Images at once while it is fitted.
const PROBED_AT_ONCE: usize = 64;

/// Text entry of a checkpoint with its [`ClassifierConfig`].
pub(super) const CONFIG_KEY: &str = "classifier.toml";
/// Text entry with the names of the classes, as JSON.
pub(super) const CLASSES_KEY: &str = "classes.json";
/// Text entry with the digest of what is being learnt.
const TARGETS_KEY: &str = "targets";

/// A training under way: all that a resumed process needs to continue to the same bits.
pub struct FineTuning {
    config: ClassifierConfig,
    classes: Vec<String>,
    targets: Array2<bool>,
    trunk: Trunk,
    head: LinearHead,
    adam: Adam,
    losses: Vec<f32>,
}

/// One finished step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps done, this one included.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Epoch of this step, from 0.
    pub epoch: u64,
    /// Loss of this step, in nats.
    pub loss: f32,
    /// Learning rate of this step.
    pub lr: f64,
}

/// Trains `run` to its end, from wherever it stands.
///
/// `report` is called after every step and may write a checkpoint ([`FineTuning::checkpoint`]); if it breaks, training stops
/// there. Returns whether the run is complete.
///
/// # Errors
/// If views cannot be made, or the loss stops being a finite number.
pub fn fine_tune(
    run: &mut FineTuning,
    source: Arc<dyn FrameSource>,
    mut report: impl FnMut(&FineTuning, StepReport) -> ControlFlow<()>,
) -> Result<bool> {
    let images = run.targets.nrows();
    if source.len() != images {
        let (expected, found) = (images.to_string(), source.len().to_string());
        return Err(ClassError::OtherRun { what: "number of images", expected, found });
    }
    let (batch, steps_per_epoch) = (run.config.batch(images), run.config.steps_per_epoch(images));
    let schedule = run.config.schedule(images);
    let loader = ViewLoader::new(source, run.config.recipe.clone(), run.config.augmenter.clone(), run.config.seed);
    let mut step = run.adam.steps;
    if step == 0 && run.config.head == HeadStart::Probe {
        run.start_at_probe(&loader)?;
    }
    while step < schedule.total_steps {
        let epoch = step / steps_per_epoch;
        let order = loader.epoch_order(epoch, images);
        for chosen in order.chunks_exact(batch).skip((step % steps_per_epoch) as usize) {
            let views = images_tensor(loader.single_views(epoch, chosen)?)?;
            let lr = schedule.lr(step);
            let loss = run.step(lr, &views, chosen)?;
            if !loss.is_finite() {
                return Err(ClassError::Diverged { step, epoch, loss, lr });
            }
            step += 1;
            let now = StepReport { step, total_steps: schedule.total_steps, epoch, loss, lr };
            if report(run, now).is_break() {
                return Ok(step == schedule.total_steps);
            }
        }
    }
    Ok(true)
}

/// Targets of rows with one class each, `[rows, classes]`.
pub fn one_class_each(labels: &[usize], n_classes: usize) -> Array2<bool> {
    Array2::from_shape_fn((labels.len(), n_classes), |(row, class)| labels[row] == class)
}

impl FineTuning {
    /// A run at its first step; without `trunk`, from scratch.
    ///
    /// # Shapes
    /// `targets`: `[images, classes]`, in the order of the source ([`one_class_each`]).
    /// # Errors
    /// If the configuration contradicts itself, the trunk is another one, there are fewer than two classes (one for several
    /// labels a row) or no image, or an image has not exactly one class where it must.
    pub fn new(
        config: ClassifierConfig,
        classes: Vec<String>,
        targets: Array2<bool>,
        trunk: Option<Trunk>,
    ) -> Result<Self> {
        config.check()?;
        if targets.ncols() != classes.len() {
            return Err(ClassError::Length { what: "classes", expected: targets.ncols(), found: classes.len() });
        }
        let needed = if config.loss == Loss::CrossEntropy { 2 } else { 1 };
        for (what, needed, found) in [("classes", needed, classes.len()), ("images", 1, targets.nrows())] {
            if found < needed {
                return Err(ClassError::TooFew { what: what.into(), needed, found });
            }
        }
        let count = |row: usize| targets.row(row).iter().filter(|&&is| is).count();
        let wrong = (0..targets.nrows()).find(|&row| config.loss == Loss::CrossEntropy && count(row) != 1);
        if let Some(row) = wrong {
            return Err(ClassError::Length { what: "classes of an image", expected: 1, found: count(row) });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let scratch = Trunk::new(config.backbone, &mut rng)?;
        let mut trunk = trunk.unwrap_or(scratch);
        if trunk.config() != config.backbone {
            let (expected, found) = (config.backbone.to_string(), trunk.config().to_string());
            return Err(ClassError::OtherRun { what: "network", expected, found });
        }
        trunk.set_precision(config.precision);
        trunk.set_stored_statistics(config.stored_statistics);
        let head = LinearHead::new(config.backbone.features(), classes.len(), &mut rng);
        let adam = Adam::new(config.adam, trained(&config, &trunk, &head));
        Ok(Self { config, classes, targets, trunk, head, adam, losses: Vec::new() })
    }

    /// The head that classifies the images best by the trunk's features as they are (mean over the quarter turns).
    fn start_at_probe(&mut self, loader: &ViewLoader) -> Result<()> {
        let mut rows = Array2::zeros((self.targets.nrows(), self.config.backbone.features()));
        let images: Vec<usize> = (0..rows.nrows()).collect();
        for batch in images.chunks(PROBED_AT_ONCE) {
            let found = embed_turned(&self.trunk, &loader.channels_batch(batch)?, Turns::Four, Layers::Last)?;
            rows.slice_mut(ndarray::s![batch[0]..batch[0] + batch.len(), ..]).assign(&found);
        }
        let (weights, offsets) = match self.config.loss {
            Loss::CrossEntropy => {
                let label = |row: ndarray::ArrayView1<bool>| row.iter().position(|&is| is).unwrap_or(0);
                let labels: Vec<usize> = self.targets.rows().into_iter().map(label).collect();
                Logistic::fit(rows.view(), &labels, self.classes.len(), PROBE_C)?.softmax_planes()
            }
            Loss::Focal { alpha, gamma } => {
                MultiLabelHead::fit(rows.view(), self.targets.view(), Focal { alpha, gamma }, PROBE_C)?.planes()
            }
        };
        self.head = LinearHead::of_planes(&weights, &offsets);
        Ok(())
    }

    /// One optimiser step on views of the images at `rows`; returns the loss before it.
    ///
    /// # Shapes
    /// `views`: `[rows.len(), 3, s, s]`.
    /// # Errors
    /// On another shape.
    pub fn step(&mut self, lr: f64, views: &Tensor, rows: &[usize]) -> Result<f32> {
        let features = if self.config.frozen { self.trunk.embed(views)? } else { self.trunk.forward(views)? };
        let targets = self.targets.select(Axis(0), rows);
        let found = self.head.gradient(features_array(&features)?.view(), targets.view(), self.config.loss);
        let mut gradients = Vec::new();
        if !self.config.frozen {
            let shape = found.features.dim();
            let values: Vec<f32> = found.features.iter().copied().collect();
            let d_features = Tensor::from_vec(values, shape, &Device::Cpu).during("gradient of the features")?;
            gradients = self.trunk.backward(&d_features)?;
        }
        gradients.extend(found.parameters);
        let head = self.head.parameters_mut().iter_mut();
        if self.config.frozen {
            self.adam.step(lr, head, &gradients)?;
        } else {
            self.adam.step(lr, self.trunk.parameters_mut().iter_mut().chain(head), &gradients)?;
        }
        self.losses.push(found.loss as f32);
        Ok(found.loss as f32)
    }

    /// The run's configuration.
    pub fn config(&self) -> &ClassifierConfig {
        &self.config
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.adam.steps
    }

    /// Loss of every step so far, in nats.
    pub fn losses(&self) -> &[f32] {
        &self.losses
    }

    /// The classifier as trained so far, given away at the end.
    pub fn into_classifier(self) -> Classifier {
        let classes = self.classes.len();
        Classifier {
            trunk: self.trunk,
            head: self.head,
            classes: self.classes,
            loss: self.config.loss,
            recipe: self.config.recipe,
            temperature: 1.0,
            thresholds: vec![0.5; classes],
        }
    }

    /// The whole state as a checkpoint; `text` adds entries (as the record of the surrounding run).
    ///
    /// # Errors
    /// If the configuration has no TOML form.
    pub fn checkpoint<'a>(&self, text: impl IntoIterator<Item = (&'a str, String)>) -> Result<Checkpoint> {
        let mut file = Checkpoint::default();
        file.put_trunk(&self.trunk);
        file.put_parameters(self.head.parameters());
        file.put_adam(&self.adam, trained(&self.config, &self.trunk, &self.head));
        file.tensors.insert("log.loss".into(), (vec![self.losses.len()], self.losses.clone()));
        file.text.insert(CONFIG_KEY.into(), self.config.to_toml()?);
        file.text.insert(CLASSES_KEY.into(), names_as_json(&self.classes)?);
        file.text.insert(TARGETS_KEY.into(), digest(&self.targets));
        file.text.extend(text.into_iter().map(|(key, value)| (key.to_owned(), value)));
        Ok(file)
    }

    /// Continues from a checkpoint of the same configuration, classes and targets.
    ///
    /// # Errors
    /// If the file belongs to another run, or is damaged.
    pub fn resume(config: ClassifierConfig, classes: Vec<String>, targets: Array2<bool>, path: &Path) -> Result<Self> {
        let loaded = Checkpoint::read(path)?;
        let mut run = Self::new(config, classes, targets, None)?;
        let expected = [
            ("configuration", CONFIG_KEY, run.config.to_toml()?),
            ("classes", CLASSES_KEY, names_as_json(&run.classes)?),
            ("labels", TARGETS_KEY, digest(&run.targets)),
        ];
        for (what, key, expected) in expected {
            let found = loaded.text(key)?.to_owned();
            if found != expected {
                return Err(ClassError::OtherRun { what, expected, found });
            }
        }
        loaded.load_trunk(&mut run.trunk)?;
        loaded.load_parameters(run.head.parameters_mut())?;
        loaded.load_adam(&mut run.adam, trained(&run.config, &run.trunk, &run.head))?;
        run.losses = loaded.tensor("log.loss", &[run.adam.steps as usize])?.to_vec();
        Ok(run)
    }
}

/// The parameters that learn, trunk first.
fn trained<'a>(
    config: &ClassifierConfig,
    trunk: &'a Trunk,
    head: &'a LinearHead,
) -> impl Iterator<Item = &'a Parameter> {
    let trunk = if config.frozen { &[] } else { trunk.parameters() };
    trunk.iter().chain(head.parameters())
}

fn names_as_json(classes: &[String]) -> Result<String> {
    serde_json::to_string(classes).map_err(|e| ClassError::Config(e.to_string()))
}

/// Number of images and a hash of their classes (FNV-1a): other labels are another run.
fn digest(targets: &Array2<bool>) -> String {
    let hash = targets
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, &is| (hash ^ u64::from(is)).wrapping_mul(0x0100_0000_01b3));
    format!("{} images, {hash:016x}", targets.nrows())
}
