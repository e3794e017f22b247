//! Pixels of a manifest's cutouts with a bounded number of open mosaics.
//!
//! A manifest may name ten thousand files: none is opened before one of its cutouts is asked for, and the one not used for the
//! longest time is closed when the pool is full.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use ndarray::Array2;

use crate::{error::Error, mosaic::Mosaic};

use super::{
    manifest::{Manifest, Window},
    mosaic_record::MosaicRecord,
};

/// Open mosaics, at most `capacity` of them; a thread that is reading keeps its own open a little longer. Shared by any number
/// of threads.
#[derive(Debug)]
pub struct MosaicPool {
    records: Vec<MosaicRecord>,
    /// Whether the file was compared with its record; once is enough.
    is_checked: Vec<AtomicBool>,
    capacity: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    mosaics: HashMap<usize, (Arc<Mosaic>, u64)>,
    /// Counts uses: the mosaic with the smallest number was not used for the longest time.
    clock: u64,
}

impl MosaicPool {
    /// Mosaics that are kept open unless something else is asked for.
    pub const DEFAULT_CAPACITY: usize = 64;

    /// A pool for the mosaics of a manifest; nothing is opened. A capacity of 0 counts as 1.
    pub fn new(manifest: &Manifest, capacity: usize) -> Self {
        Self {
            records: manifest.mosaics.clone(),
            is_checked: manifest.mosaics.iter().map(|_| AtomicBool::new(false)).collect(),
            capacity: capacity.max(1),
            open: Mutex::default(),
        }
    }

    /// How many mosaics are open.
    pub fn open_count(&self) -> usize {
        self.lock().mosaics.len()
    }

    /// Mosaic `index` of the manifest, opened if it was not. When it is opened for the first time, its file is compared with
    /// the manifest.
    ///
    /// # Errors
    /// [`Error::NoSuchFrame`], [`Error::MosaicChanged`], [`Error::Io`], and those of [`Mosaic::open_image`].
    pub fn mosaic(&self, index: usize) -> Result<Arc<Mosaic>, Error> {
        let missing = Error::NoSuchFrame { index, len: self.records.len() };
        let (Some(record), Some(is_checked)) = (self.records.get(index), self.is_checked.get(index)) else {
            return Err(missing);
        };
        if let Some(mosaic) = self.lock().used(index) {
            return Ok(mosaic);
        }
        // Opened without the lock, so that others go on; should two threads open the same file, one map is dropped.
        if !is_checked.load(Ordering::Relaxed) {
            record.check_file()?;
        }
        let mosaic = Arc::new(Mosaic::open_image(&record.path, &record.image())?);
        record.check_shape(mosaic.as_ref())?;
        is_checked.store(true, Ordering::Relaxed);
        let mut open = self.lock();
        if let Some(mosaic) = open.used(index) {
            return Ok(mosaic);
        }
        while open.mosaics.len() >= self.capacity {
            let oldest = open.mosaics.iter().min_by_key(|(_, (_, used))| *used).map(|(index, _)| *index);
            oldest.map(|oldest| open.mosaics.remove(&oldest));
        }
        open.clock += 1;
        let clock = open.clock;
        open.mosaics.insert(index, (Arc::clone(&mosaic), clock));
        Ok(mosaic)
    }

    /// Pixels `[n_rows, n_cols]` of row `index` of `manifest`, which must be the one of this pool or a selection of it; NaN means
    /// blank.
    ///
    /// # Errors
    /// [`Error::NoSuchFrame`], and those of [`MosaicPool::mosaic`].
    pub fn pixels(&self, manifest: &Manifest, index: usize) -> Result<Array2<f32>, Error> {
        let row = manifest.rows.get(index).ok_or(Error::NoSuchFrame { index, len: manifest.len() })?;
        let Window { row: first, col, n_rows, n_cols } = row.window;
        let mosaic = self.mosaic(row.mosaic as usize)?;
        Ok(mosaic.window(first as usize, col as usize, n_rows as usize, n_cols as usize)?)
    }

    /// A thread that panicked while it held the lock left the map whole: only `Arc`s are moved under it.
    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn used(&mut self, index: usize) -> Option<Arc<Mosaic>> {
        self.clock += 1;
        let clock = self.clock;
        let (mosaic, used) = self.mosaics.get_mut(&index)?;
        *used = clock;
        Some(Arc::clone(mosaic))
    }
}
