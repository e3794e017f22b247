//! A training's curves for TensorBoard, complete and without contradiction through any number of restarts.
use std::path::Path;
use std::time::SystemTime;

use radio_tensor::event_file::EventFile;

use crate::error::Result;
use crate::knn_monitor::KnnAccuracy;
use crate::pretrain::{Pretraining, StepReport};

const LOSS: &str = "train/loss";
const LR: &str = "train/learning_rate";
const EMBEDDING_STD: &str = "train/embedding_std";
const KNN: &str = "monitor/knn_accuracy";

/// The event file of a run.
pub struct TrainingEvents {
    file: EventFile,
}

impl TrainingEvents {
    /// Opens the file of a run (as `folder/`[`EVENT_FILE`](radio_tensor::event_file::EVENT_FILE)), new or after a restart; it
    /// then holds every step of the run, each once.
    ///
    /// What was written behind the step the run resumed from is cut off; what a kill kept from the file is written again from
    /// the run's own log.
    ///
    /// # Errors
    /// If the file cannot be read or written, or holds something else than events.
    pub fn open(path: &Path, run: &Pretraining) -> Result<Self> {
        let mut events = Self { file: EventFile::continue_after(path, run.steps())? };
        let (log, at) = (run.log(), SystemTime::now());
        let steps_per_epoch = run.steps_per_epoch();
        let schedule = run.config().schedule(steps_per_epoch);
        for step in events.file.last_step() + 1..=run.steps() {
            let place = (step - 1) as usize;
            let knn = log.knn.iter().find(|knn| knn.epoch * steps_per_epoch == step);
            if let (Some(&loss), Some(&std)) = (log.losses.get(place), log.embedding_stds.get(place)) {
                events.write(at, step, loss, schedule.lr(step - 1), std, knn.copied())?;
            }
        }
        events.file.flush()?;
        Ok(events)
    }

    /// Adds a step.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&mut self, now: &StepReport) -> Result<()> {
        self.write(SystemTime::now(), now.step, now.loss, now.lr, now.embedding_std, now.knn)
    }

    /// Brings everything to the file; worth doing beside every checkpoint.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        Ok(self.file.flush()?)
    }

    fn write(
        &mut self,
        at: SystemTime,
        step: u64,
        loss: f32,
        lr: f64,
        embedding_std: f32,
        knn: Option<KnnAccuracy>,
    ) -> Result<()> {
        let mut values = vec![(LOSS, loss), (LR, lr as f32)];
        // Checkpoints of older versions do not tell the spread.
        values.extend((!embedding_std.is_nan()).then_some((EMBEDDING_STD, embedding_std)));
        values.extend(knn.map(|knn| (KNN, knn.accuracy)));
        Ok(self.file.scalars(at, step, &values)?)
    }
}
