//! What a run remembers of every step, from its first one, through any number of restarts.
use radio_tensor::checkpoint::{Checkpoint, Loaded};

use crate::error::Result;
use crate::knn_monitor::KnnAccuracy;

const LOSS: &str = "log.loss";
const EMBEDDING_STD: &str = "log.embedding_std";
const KNN_EPOCH: &str = "log.knn_epoch";
const KNN_ACCURACY: &str = "log.knn_accuracy";

/// The log of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrainingLog {
    /// Loss of every step.
    pub losses: Vec<f32>,
    /// Spread of the embeddings at every step ([`crate::head::embedding_std`]); NaN for steps of files that do not tell it.
    pub embedding_stds: Vec<f32>,
    /// What the monitor found.
    pub knn: Vec<KnnAccuracy>,
}

impl TrainingLog {
    /// Steps up to now, the last one included, whose embeddings were closer together than `limit`.
    pub fn steps_below(&self, limit: f64) -> u64 {
        self.embedding_stds.iter().rev().take_while(|&&std| f64::from(std) < limit).count() as u64
    }

    /// Adds the log to a checkpoint.
    pub fn put(&self, file: &mut Checkpoint) {
        let mut put = |name: &str, values: Vec<f32>| file.tensors.insert(name.into(), (vec![values.len()], values));
        put(LOSS, self.losses.clone());
        put(EMBEDDING_STD, self.embedding_stds.clone());
        if !self.knn.is_empty() {
            put(KNN_EPOCH, self.knn.iter().map(|point| point.epoch as f32).collect());
            put(KNN_ACCURACY, self.knn.iter().map(|point| point.accuracy).collect());
        }
    }

    /// Reads the log of the first `steps` steps.
    ///
    /// # Errors
    /// If it is damaged, or of another number of steps.
    pub fn read(file: &Loaded, steps: u64) -> Result<Self> {
        // First of all: memory follows what the file holds, not the number of steps it claims.
        let shape = [usize::try_from(steps).unwrap_or(usize::MAX)];
        let losses = file.tensor(LOSS, &shape)?.to_vec();
        let has = |name: &str| file.checkpoint.tensors.get(name).map(|(_, values)| values.len());
        let embedding_stds = match has(EMBEDDING_STD) {
            Some(_) => file.tensor(EMBEDDING_STD, &shape)?.to_vec(),
            None => vec![f32::NAN; shape[0]],
        };
        let mut knn = Vec::new();
        if let Some(points) = has(KNN_EPOCH) {
            let epochs = file.tensor(KNN_EPOCH, &[points])?;
            let accuracies = file.tensor(KNN_ACCURACY, &[points])?;
            knn.extend(
                epochs.iter().zip(accuracies).map(|(&epoch, &accuracy)| KnnAccuracy { epoch: epoch as u64, accuracy }),
            );
        }
        Ok(Self { losses, embedding_stds, knn })
    }
}
