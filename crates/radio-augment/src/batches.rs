//! The batches of one epoch, made one ahead by a background thread while the model works on the last.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use ndarray::Array4;

use crate::{LoaderError, SettingError, ViewLoader};

/// Finished batches that may wait; one more is in the making.
const WAITING: usize = 1;

type Batch = Result<Array4<f32>, LoaderError>;

/// Iterator over the batches of an epoch, see [`ViewLoader::batches`].
pub struct Batches {
    finished: Option<Receiver<Batch>>,
    worker: Option<JoinHandle<()>>,
    /// An error found before the thread was started.
    refused: Option<LoaderError>,
    /// Batches still to come.
    left: usize,
}

impl Batches {
    pub(crate) fn start(loader: Arc<ViewLoader>, epoch: u64, batch_size: usize, start_batch: usize) -> Self {
        let n = loader.source().len();
        if batch_size == 0 {
            let (found, expected) = ("0".to_string(), "1 or more".to_string());
            return Self::refused(SettingError { name: "batch_size", found, expected }.into());
        }
        if n < batch_size {
            return Self::refused(LoaderError::TooFewFrames { found: n, batch_size });
        }
        let left = (n / batch_size).saturating_sub(start_batch);
        let (sender, finished) = sync_channel(WAITING);
        let work = move || prepare(&loader, epoch, batch_size, start_batch, &sender);
        match std::thread::Builder::new().name("view-loader".into()).spawn(work) {
            Ok(worker) => Self { finished: Some(finished), worker: Some(worker), refused: None, left },
            Err(error) => Self::refused(LoaderError::Worker { reason: error.to_string() }),
        }
    }

    fn refused(error: LoaderError) -> Self {
        Self { finished: None, worker: None, refused: Some(error), left: 0 }
    }
}

fn prepare(loader: &ViewLoader, epoch: u64, batch_size: usize, start_batch: usize, sender: &SyncSender<Batch>) {
    let order = loader.epoch_order(epoch, loader.source().len());
    for frames in order.chunks_exact(batch_size).skip(start_batch) {
        let batch = loader.views(epoch, frames);
        let failed = batch.is_err();
        // Sending fails once the iterator was dropped: then nobody wants the rest.
        if sender.send(batch).is_err() || failed {
            return;
        }
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if let Some(error) = self.refused.take() {
            return Some(Err(error));
        }
        if self.left == 0 {
            return None;
        }
        let batch = self.finished.as_ref()?.recv().unwrap_or_else(|_| {
            // The thread ended without the batches it owes: it panicked.
            Err(LoaderError::Worker { reason: "it panicked".into() })
        });
        self.left = if batch.is_ok() { self.left - 1 } else { 0 };
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left.max(usize::from(self.refused.is_some()))))
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        // Without a receiver the thread's next send fails, and it ends after the batch it is at.
        self.finished = None;
        if let Some(worker) = self.worker.take() {
            let _ = worker.join(); // a panic was reported as an error by `next`
        }
    }
}
