//! The training loop: views → trunk → projector → NT-Xent (or BYOL) → gradients → Adam.
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use radio_augment::{FrameSource, ViewLoader};
use radio_tensor::DuringStep;
use radio_tensor::adam::Adam;
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::parameter::Parameter;
use radio_tensor::resnet::Gradients;
use radio_tensor::trunk::Trunk;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::byol::{Heads, Target};
use crate::config::{Method, SimClrConfig};
use crate::error::{Result, SimClrError};
use crate::gradient_cache::{cached_gradients, joined, with_second_look};
use crate::head::Contrast;
use crate::knn_monitor::{KnnAccuracy, KnnMonitor};
use crate::projector::Projector;
use crate::training_log::TrainingLog;

/// A pre-training run under way: all that a resumed process needs to continue to the same bits.
pub struct Pretraining {
    config: SimClrConfig,
    frames: usize,
    total_steps: u64,
    trunk: Trunk,
    head: Head,
    adam: Adam,
    log: TrainingLog,
    monitor: Option<KnnMonitor>,
    /// Configuration of the run whose weights this one started from, as TOML.
    origin: Option<String>,
}

/// What stands between the features and the loss.
enum Head {
    SimClr(Projector),
    Byol(Heads, Target),
}

impl Head {
    fn parameters(&self) -> &[Parameter] {
        match self {
            Self::SimClr(projector) => projector.parameters(),
            Self::Byol(heads, _) => heads.parameters(),
        }
    }

    fn parameters_mut(&mut self) -> &mut [Parameter] {
        match self {
            Self::SimClr(projector) => projector.parameters_mut(),
            Self::Byol(heads, _) => heads.parameters_mut(),
        }
    }
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
    /// Loss of this step: NT-Xent in nats, or BYOL's.
    pub loss: f32,
    /// Learning rate of this step.
    pub lr: f64,
    /// Spread of the embeddings, about 1 if healthy and 0 if collapsed ([`crate::head::embedding_std`]).
    pub embedding_std: f32,
    /// What the monitor found, if an epoch ended with this step and it looked.
    pub knn: Option<KnnAccuracy>,
}

/// What one optimiser step found, before it changed the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutcome {
    /// The loss.
    pub loss: f32,
    /// Spread of the embeddings.
    pub embedding_std: f32,
}

/// Trains `run` to its end, from wherever it stands.
///
/// `report` is called after every step and may write a checkpoint ([`Pretraining::checkpoint`]); if it
/// breaks, training stops there. Returns whether the run is complete.
///
/// # Errors
/// If views cannot be made, loss or gradient stops being finite, or the embeddings collapse ([`crate::config::CollapseStop`]).
/// What is not finite never reaches weights, optimiser or log: after such an error they stand as before the step. Running
/// statistics may be spoiled, so the run is gone on with from its last checkpoint.
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
    let loader = Arc::new(loader.with_sampling(config.sampling, config.batch_size));
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
            let StepOutcome { loss, embedding_std } = run.step(lr, |k| {
                let place = batch * chunks + k;
                let views = if k < next { None } else { fresh.next() };
                next = next.max(k + 1);
                match views {
                    Some((views, found)) if found == place => Tensor::from_vec_of(views?),
                    _ => Tensor::from_vec_of(loader.views(epoch, &order[place * chunk..][..chunk])?),
                }
            })?;
            run.check_spread(lr)?;
            (step, batch) = (step + 1, batch + 1);
            let knn = if batch == steps_per_epoch as usize { run.look(epoch + 1)? } else { None };
            let now = StepReport { step, total_steps: schedule.total_steps, epoch, loss, lr, embedding_std, knn };
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
        let total_steps = config.steps_per_epoch(frames)? * config.epochs;
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let mut trunk = Trunk::new(config.backbone, &mut rng)?;
        trunk.set_precision(config.precision);
        let features = config.backbone.features();
        let head = match (config.method, config.byol) {
            (Method::Byol, Some(byol)) => {
                let heads = Heads::new(features, config.projector, byol, &mut rng);
                let target = Target::of(&trunk, heads.projector());
                Head::Byol(heads, target)
            }
            _ => Head::SimClr(Projector::new(features, config.projector, &mut rng)),
        };
        let adam = Adam::new(config.adam, trunk.parameters().iter().chain(head.parameters()));
        let (log, monitor, origin) = (TrainingLog::default(), None, None);
        Ok(Self { config, frames, total_steps, trunk, head, adam, log, monitor, origin })
    }

    /// A run at its first step that takes encoder and projector from the checkpoint of another: the second stage of a
    /// preset ([`crate::Preset::SmartHulkSmgps`]).
    ///
    /// From a run of the other method, or a file without any of the projector, only the encoder is taken. Optimiser, schedule and log start anew, BYOL's target as a
    /// copy. The earlier run's configuration stays in this run's checkpoints ([`ORIGIN_KEY`]).
    ///
    /// # Errors
    /// As [`Pretraining::new`]; if the file was not written by pre-training, is damaged, or holds a network or projector of
    /// other sizes.
    pub fn start_from(config: SimClrConfig, frames: usize, path: &Path) -> Result<Self> {
        let loaded = Checkpoint::read(path)?;
        let mut run = Self::new(config, frames)?;
        let origin = loaded.text("simclr.toml")?;
        loaded.load_trunk(&mut run.trunk)?;
        // A published encoder is a file without its head.
        let has_head = run.head.parameters().iter().any(|p| loaded.checkpoint.tensors.contains_key(&p.name));
        if has_head && SimClrConfig::from_toml(origin)?.method == run.config.method {
            loaded.load_parameters(run.head.parameters_mut())?;
        }
        if let Head::Byol(heads, target) = &mut run.head {
            *target = Target::of(&run.trunk, heads.projector());
        }
        run.origin = Some(origin.to_owned());
        Ok(run)
    }

    /// Looks at labelled cutouts as the training goes on; a resumed run has to be told again. No bit of the run changes.
    pub fn set_monitor(&mut self, monitor: Option<KnnMonitor>) {
        self.monitor = monitor;
    }

    /// One optimiser step; returns what it found before it.
    ///
    /// `views(k)` gives the views of chunk `k` of the batch, `[2 * chunk, 3, s, s]`, and may be asked for a chunk twice
    /// ([`cached_gradients`]); without `chunk` in the configuration there is one chunk, the whole batch.
    ///
    /// # Errors
    /// If the views cannot be made or have another shape; if loss or gradient is not finite, and then nothing has changed but
    /// running statistics, the trunk's and those of BYOL's target.
    pub fn step(&mut self, lr: f64, views: impl FnMut(usize) -> Result<Tensor>) -> Result<StepOutcome> {
        let (mut contrast, mut gradients) = self.gradients(views)?;
        gradients.append(&mut contrast.gradients);
        self.check_finite(contrast.loss, &gradients, lr)?;
        let Self { config, trunk, head, adam, log, .. } = self;
        let step = adam.steps;
        adam.step(lr, trunk.parameters_mut().iter_mut().chain(head.parameters_mut()), &gradients)?;
        if let (Head::Byol(heads, target), Some(byol)) = (head, config.byol) {
            let online = trunk.parameters().iter().chain(heads.projector());
            target.follow(online, byol.momentum(step, self.total_steps));
        }
        log.losses.push(contrast.loss);
        log.embedding_stds.push(contrast.embedding_std);
        Ok(StepOutcome { loss: contrast.loss, embedding_std: contrast.embedding_std })
    }

    /// Loss and gradients of a batch; those of the trunk apart from the head's.
    pub(crate) fn gradients(&mut self, views: impl FnMut(usize) -> Result<Tensor>) -> Result<(Contrast, Gradients)> {
        let Self { config, trunk, head, .. } = self;
        match head {
            Head::SimClr(projector) => {
                let contrast = |features: &Tensor| projector.contrast(features, config.temperature);
                cached_gradients(trunk, config.chunks(), views, contrast)
            }
            Head::Byol(heads, Target { trunk: target, projector }) => with_second_look(
                trunk,
                config.chunks(),
                views,
                |trunk, views| target.features(trunk, views),
                |features, targets| heads.contrast(features, &projector.project(&joined(targets)?)?),
            ),
        }
    }

    fn check_finite(&self, loss: f32, gradients: &[Vec<f32>], lr: f64) -> Result<()> {
        let (step, epoch) = (self.adam.steps, self.epoch());
        if !loss.is_finite() {
            return Err(SimClrError::Diverged { step, epoch, loss, lr });
        }
        match self.parameters().zip(gradients).find(|(_, gradient)| !all_finite(gradient)) {
            Some((p, _)) => Err(SimClrError::NonFiniteGradient { parameter: p.name.clone(), step, epoch, loss, lr }),
            None => Ok(()),
        }
    }

    /// Whether the embeddings of the last steps still differ from each other.
    fn check_spread(&self, lr: f64) -> Result<()> {
        let limit = self.config.collapse.below;
        let steps = self.log.steps_below(limit);
        if steps < self.config.collapse.steps {
            return Ok(());
        }
        let advice = match self.config.method {
            Method::SimClr => "lower peak_lr, lengthen the warm-up, or raise the temperature",
            Method::Byol => "lower peak_lr, lengthen the warm-up, or raise target_momentum",
        };
        let found = self.log.embedding_stds.last().copied().unwrap_or(f32::NAN);
        let step = self.adam.steps.saturating_sub(1);
        let epoch = step / self.steps_per_epoch();
        Err(SimClrError::Collapsed { step, epoch, lr, found, limit, steps, advice })
    }

    /// What the monitor finds after `epoch` epochs, if there is one and it is its turn.
    fn look(&mut self, epoch: u64) -> Result<Option<KnnAccuracy>> {
        let Some(monitor) = &self.monitor else { return Ok(None) };
        let SimClrConfig { epochs, recipe, batch_size, .. } = &self.config;
        let found = monitor.after(epoch, *epochs, &self.trunk, recipe, *batch_size)?;
        self.log.knn.extend(found);
        Ok(found)
    }

    /// Steps of one epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        (self.total_steps / self.config.epochs.max(1)).max(1)
    }

    fn epoch(&self) -> u64 {
        self.adam.steps / self.steps_per_epoch()
    }

    /// The run's configuration.
    pub fn config(&self) -> &SimClrConfig {
        &self.config
    }

    /// The encoder as trained so far.
    pub fn trunk(&self) -> &Trunk {
        &self.trunk
    }

    /// The encoder, given away at the end.
    pub fn into_trunk(self) -> Trunk {
        self.trunk
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.adam.steps
    }

    /// Loss of every step so far.
    pub fn losses(&self) -> &[f32] {
        &self.log.losses
    }

    /// What the run remembers of its steps.
    pub fn log(&self) -> &TrainingLog {
        &self.log
    }

    /// Weights of the projector, and of BYOL's predictor behind them.
    pub fn head_parameters(&self) -> &[Parameter] {
        self.head.parameters()
    }

    /// BYOL's target network.
    pub fn target(&self) -> Option<&Target> {
        match &self.head {
            Head::SimClr(_) => None,
            Head::Byol(_, target) => Some(target),
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
        if let Some(target) = self.target() {
            target.put(&mut file);
        }
        file.put_adam(&self.adam, self.parameters());
        self.log.put(&mut file);
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
        loaded.load_parameters(run.head.parameters_mut())?;
        if let Head::Byol(_, target) = &mut run.head {
            target.load(&loaded)?;
        }
        let parameters = run.trunk.parameters().iter().chain(run.head.parameters());
        loaded.load_adam(&mut run.adam, parameters)?;
        run.log = TrainingLog::read(&loaded, run.adam.steps)?;
        run.origin = loaded.checkpoint.text.get(ORIGIN_KEY).cloned();
        Ok(run)
    }

    fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.trunk.parameters().iter().chain(self.head.parameters())
    }
}

/// Whether every value is finite: a product with 0 is 0, or else NaN. In blocks, for which the compiler has vectors.
fn all_finite(values: &[f32]) -> bool {
    const BLOCK: usize = 1 << 14;
    let finite = |block: &[f32]| {
        let mut lanes = [0f32; 16];
        for chunk in block.chunks(16) {
            lanes.iter_mut().zip(chunk).for_each(|(lane, v)| *lane += v * 0.0);
        }
        lanes.iter().all(|lane| *lane == 0.0)
    };
    values.par_chunks(BLOCK).all(finite)
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
#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProjectorConfig;
    use radio_tensor::resnet::{Depth, ResNetConfig};

    fn run() -> Pretraining {
        let config = SimClrConfig {
            batch_size: 2,
            epochs: 3,
            warmup_epochs: 1,
            backbone: ResNetConfig { depth: Depth::ResNet18, width: 2 }.into(),
            projector: ProjectorConfig { hidden: 4, output: 3 },
            ..SimClrConfig::paper(1)
        };
        Pretraining::new(config, 2).unwrap()
    }

    fn views(value: f32) -> Result<Tensor> {
        let pixels = (0..4 * 3 * 32 * 32).map(|i| value * (i as f32).sin().abs()).collect::<Vec<f32>>();
        Ok(Tensor::from_vec(pixels, (4, 3, 32, 32), &Device::Cpu).during("views")?)
    }

    #[test]
    fn one_value_that_is_not_finite_is_found_wherever_it_is() {
        for n in [1, 15, 16, 17, 1 << 14, (1 << 14) + 1, 40_000] {
            let mut values = vec![f32::MAX; n];
            assert!(all_finite(&values));
            for place in [0, n / 2, n - 1] {
                for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let whole = std::mem::replace(&mut values[place], broken);
                    assert!(!all_finite(&values), "{broken} at {place} of {n}");
                    values[place] = whole;
                }
            }
        }
        assert!(all_finite(&[]));
    }

    /// Neither a loss nor a gradient that is not finite reaches weights, optimiser or log.
    #[test]
    fn what_is_not_finite_stops_the_step_before_the_weights() {
        let mut run = run();
        run.step(1e-3, |_| views(1.0)).unwrap();
        let before: Vec<Parameter> = run.parameters().cloned().collect();
        let error = run.step(1e-3, |_| views(f32::NAN)).unwrap_err();
        assert!(matches!(error, SimClrError::Diverged { step: 1, epoch: 1, loss, .. } if loss.is_nan()), "{error}");
        assert!(run.parameters().eq(&before) && (run.steps(), run.losses().len()) == (1, 1));

        let mut gradients: Vec<Vec<f32>> = before.iter().map(|p| vec![0.5; p.values.len()]).collect();
        run.check_finite(1.0, &gradients, 1e-3).unwrap();
        let name = before[7].name.clone();
        gradients[7][1] = f32::INFINITY;
        let error = run.check_finite(1.0, &gradients, 1e-3).unwrap_err();
        assert!(
            matches!(&error, SimClrError::NonFiniteGradient { parameter, step: 1, .. } if *parameter == name),
            "{error}"
        );
        assert!(error.to_string().contains(&name) && error.to_string().contains("peak_lr"), "{error}");
    }
}
