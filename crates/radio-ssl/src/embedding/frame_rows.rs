//! Some consecutive frames of a set, as a set of their own: what one shard holds.
use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use ndarray::Array2;
use radio_augment::FrameSource;

use crate::frames::{FrameRecord, NamedFrames};
use crate::report::FrameCheck;

/// Frames `rows` of a set; the range lies inside it.
pub(super) struct FrameRows {
    all: Arc<dyn NamedFrames>,
    rows: Range<usize>,
}

impl FrameRows {
    pub(super) fn new(all: Arc<dyn NamedFrames>, rows: Range<usize>) -> Self {
        let end = rows.end.min(all.len());
        Self { all, rows: rows.start.min(end)..end }
    }
}

impl FrameSource for FrameRows {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn address(&self, i: usize) -> u64 {
        self.all.address(self.rows.start + i)
    }

    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        self.all.pixels(self.rows.start + i)
    }
}

impl NamedFrames for FrameRows {
    fn record(&self, i: usize) -> Result<FrameRecord> {
        self.all.record(self.rows.start + i)
    }

    fn checks(&self) -> &[FrameCheck] {
        self.all.checks()
    }
}
