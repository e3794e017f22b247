//! The training loop: views → trunk → projector → NT-Xent → gradients → Adam.
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use radio_augment::{FrameSource, ViewLoader};
use radio_tensor::DuringStep;
use radio_tensor::adam::Adam;
use radio_tensor::checkpoint::{Checkpoint, Loaded};
use radio_tensor::parameter::Parameter;
use radio_tensor::resnet::ResNet;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::config::SimClrConfig;
use crate::error::{Result, SimClrError};
use crate::gradient_cache::cached_gradients;
use crate::projector::Projector;

/// A pre-training run under way: all that a resumed process needs to continue to the same bits.
pub struct Pretraining {
    config: SimClrConfig,
    frames: usize,
    trunk: ResNet,
    projector: Projector,
    adam: Adam,
    losses: Vec<f32>,
    /// Configuration of the run whose weights this one started from, as TOML.
    origin: Option<String>,
}

/// Key of the checkpoint's entry with the configuration of the run whose weights this one started from.
pub const ORIGIN_KEY: &str = "started-from.toml";

/// One finished step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps done, this one included.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Epoch of this step, from 0.
    pub epoch: u64,
    /// NT-Xent of this step, in nats.
    pub loss: f32,
    /// Learning rate of this step.
    pub lr: f64,
}

/// Trains `run` to its end, from wherever it stands.
///
/// `report` is called after every step and may write a checkpoint ([`Pretraining::checkpoint`]); if it
/// breaks, training stops there. Returns whether the run is complete.
///
/// # Errors
/// If views cannot be made, or the loss stops being a finite number.
pub fn pretrain(
    run: &mut Pretraining,
    source: Arc<dyn FrameSource>,
    mut report: impl FnMut(&Pretraining, StepReport) -> ControlFlow<()>,
) -> Result<bool> {
    let config = run.config.clone();
    if source.len() != run.frames {
        let (expected, found) = (run.frames.to_string(), source.len().to_string());
        return Err(SimClrError::OtherRun { what: "number of cutouts", expected, found });
    }
    let steps_per_epoch = config.steps_per_epoch(run.frames)?;
    let schedule = config.schedule(steps_per_epoch);
    let loader = ViewLoader::new(source, config.recipe.clone(), config.augmenter.clone(), config.seed);
    let loader = Arc::new(loader.with_sampling(config.sampling));
    let (chunks, chunk) = (config.chunks(), config.batch_size / config.chunks());
    let mut step = run.adam.steps;
    while step < schedule.total_steps {
        let epoch = step / steps_per_epoch;
        let order = loader.epoch_order(epoch, run.frames);
        let mut batch = (step % steps_per_epoch) as usize;
        // Chunks come ahead of time from the loader's thread; those asked for again are made again, to the same bits.
        let mut fresh = loader.batches(epoch, chunk, batch * chunks).zip(batch * chunks..);
        while batch < steps_per_epoch as usize {
            let lr = schedule.lr(step);
            let mut next = 0;
            let loss = run.step(lr, |k| {
                let place = batch * chunks + k;
                let views = if k < next { None } else { fresh.next() };
                next = next.max(k + 1);
                match views {
                    Some((views, found)) if found == place => Tensor::from_vec_of(views?),
                    _ => Tensor::from_vec_of(loader.views(epoch, &order[place * chunk..][..chunk])?),
                }
            })?;
            if !loss.is_finite() {
                return Err(SimClrError::Diverged { step, epoch, loss, lr });
            }
            (step, batch) = (step + 1, batch + 1);
            let now = StepReport { step, total_steps: schedule.total_steps, epoch, loss, lr };
            if report(run, now).is_break() {
                return Ok(step == schedule.total_steps);
            }
        }
    }
    Ok(true)
}

impl Pretraining {
    /// A run at its first step, over `frames` cutouts.
    ///
    /// # Errors
    /// If the configuration contradicts itself, or there are fewer cutouts than a batch.
    pub fn new(config: SimClrConfig, frames: usize) -> Result<Self> {
        config.check()?;
        config.steps_per_epoch(frames)?;
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let mut trunk = ResNet::new(config.backbone, &mut rng);
        trunk.set_precision(config.precision);
        let projector = Projector::new(config.backbone.features(), config.projector, &mut rng);
        let adam = Adam::new(config.adam, trunk.parameters().iter().chain(projector.parameters()));
        Ok(Self { config, frames, trunk, projector, adam, losses: Vec::new(), origin: None })
    }

    /// A run at its first step that takes encoder and projector from the checkpoint of another: the second stage of a
    /// preset ([`crate::Preset::SmartHulkSmgps`]).
    ///
    /// Optimiser, schedule and log start anew. The earlier run's configuration stays in this run's checkpoints
    /// ([`ORIGIN_KEY`]).
    ///
    /// # Errors
    /// As [`Pretraining::new`]; if the file was not written by pre-training, is damaged, or holds a network or projector of
    /// other sizes.
    pub fn start_from(config: SimClrConfig, frames: usize, path: &Path) -> Result<Self> {
        let loaded = Checkpoint::read(path)?;
        let mut run = Self::new(config, frames)?;
        loaded.load_trunk(&mut run.trunk)?;
        loaded.load_parameters(run.projector.parameters_mut())?;
        run.origin = Some(loaded.text("simclr.toml")?.to_owned());
        Ok(run)
    }

    /// One optimiser step; returns the loss before it.
    ///
    /// `views(k)` gives the views of chunk `k` of the batch, `[2 * chunk, 3, s, s]`, and may be asked for a chunk twice
    /// ([`cached_gradients`]); without `chunk` in the configuration there is one chunk, the whole batch.
    ///
    /// # Errors
    /// If the views cannot be made or have another shape.
    pub fn step(&mut self, lr: f64, views: impl FnMut(usize) -> Result<Tensor>) -> Result<f32> {
        let Self { config, trunk, projector, adam, .. } = self;
        let contrast_all = |features: &Tensor| projector.contrast(features, config.temperature);
        let (contrast, mut gradients) = cached_gradients(trunk, config.chunks(), views, contrast_all)?;
        gradients.extend(contrast.gradients);
        let parameters = trunk.parameters_mut().iter_mut().chain(projector.parameters_mut());
        adam.step(lr, parameters, &gradients)?;
        self.losses.push(contrast.loss);
        Ok(contrast.loss)
    }

    /// The run's configuration.
    pub fn config(&self) -> &SimClrConfig {
        &self.config
    }

    /// The encoder as trained so far.
    pub fn trunk(&self) -> &ResNet {
        &self.trunk
    }

    /// The encoder, given away at the end.
    pub fn into_trunk(self) -> ResNet {
        self.trunk
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.adam.steps
    }

    /// Loss of every step so far, in nats.
    pub fn losses(&self) -> &[f32] {
        &self.losses
    }

    /// The whole state as a checkpoint; `text` adds entries (as the record of the surrounding run).
    ///
    /// # Errors
    /// If the configuration has no TOML form.
    pub fn checkpoint<'a>(&self, text: impl IntoIterator<Item = (&'a str, String)>) -> Result<Checkpoint> {
        let mut file = Checkpoint::default();
        file.put_trunk(&self.trunk);
        file.put_parameters(self.projector.parameters());
        file.put_adam(&self.adam, self.parameters());
        file.tensors.insert("log.loss".into(), (vec![self.losses.len()], self.losses.clone()));
        file.text.insert("simclr.toml".into(), self.config.to_toml()?);
        file.text.insert("frames".into(), self.frames.to_string());
        file.text.extend(self.origin.iter().map(|toml| (ORIGIN_KEY.to_owned(), toml.clone())));
        file.text.extend(text.into_iter().map(|(key, value)| (key.to_owned(), value)));
        Ok(file)
    }

    /// Continues from a checkpoint of the same configuration and number of cutouts.
    ///
    /// # Errors
    /// If the file belongs to another run, or is damaged.
    pub fn resume(config: SimClrConfig, frames: usize, path: &Path) -> Result<Self> {
        let loaded = Checkpoint::read(path)?;
        let mut run = Self::new(config, frames)?;
        let found = SimClrConfig::from_toml(loaded.text("simclr.toml")?)?;
        if found != run.config {
            return Err(SimClrError::OtherRun {
                what: "configuration",
                expected: run.config.to_toml()?,
                found: found.to_toml()?,
            });
        }
        let found = loaded.text("frames")?;
        if found != frames.to_string() {
            return Err(SimClrError::OtherRun {
                what: "number of cutouts",
                expected: frames.to_string(),
                found: found.into(),
            });
        }
        loaded.load_trunk(&mut run.trunk)?;
        loaded.load_parameters(run.projector.parameters_mut())?;
        let parameters = run.trunk.parameters().iter().chain(run.projector.parameters());
        loaded.load_adam(&mut run.adam, parameters)?;
        run.losses = run.read_losses(&loaded)?;
        run.origin = loaded.checkpoint.text.get(ORIGIN_KEY).cloned();
        Ok(run)
    }

    fn read_losses(&self, loaded: &Loaded) -> Result<Vec<f32>> {
        Ok(loaded.tensor("log.loss", &[self.adam.steps as usize])?.to_vec())
    }

    fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.trunk.parameters().iter().chain(self.projector.parameters())
    }
}

/// Moves a batch of channels from the loader into candle without a copy.
pub(crate) trait FromChannels: Sized {
    /// `[n, 3, s, s]`, row-major.
    fn from_vec_of(batch: ndarray::Array4<f32>) -> Result<Self>;
}

impl FromChannels for Tensor {
    fn from_vec_of(batch: ndarray::Array4<f32>) -> Result<Self> {
        let shape = batch.dim();
        let (values, _) = batch.as_standard_layout().into_owned().into_raw_vec_and_offset();
        Ok(Tensor::from_vec(values, shape, &Device::Cpu).during("views to candle")?)
    }
}
