//! One pass over a mosaic of any size: strips of rows are read once, its frames judged and measured in parallel.
//!
//! Memory is bounded by the strip, not by the mosaic: a mapped file is told to let go of the rows that were read. Results come
//! in the order of the grid whatever the number of threads.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
};

use ndarray::Array2;
use rayon::prelude::*;

use crate::{
    cutout::blank_fraction,
    error::{Error, FitsError},
    frame_grid::{FrameGrid, FramePosition, frame_grid},
    mosaic::PixelSource,
};

use super::manifest::LeftOut;

/// Most frames of one mosaic: more would be a step of a few pixels on a large map, and fill the memory.
const MOST_FRAMES: u128 = 10_000_000;

/// Pixels that are held at a time, in bytes, unless one row of frames needs more.
const STRIP_BYTES: usize = 128 << 20;

/// Rows that are read in one go: a multiple of common tile heights, so that a compressed tile is decoded once.
const PIECE_ROWS: usize = 256;

/// How a long scan speaks with its caller.
#[derive(Clone, Copy, Default)]
pub struct Watch<'a> {
    /// Called with (frames looked at, frames in all) now and then.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
    /// Set to true by another thread to stop: [`Error::Cancelled`].
    pub cancelled: Option<&'a AtomicBool>,
}

impl Watch<'_> {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let stop = self.cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed));
        if stop { Err(Error::Cancelled) } else { Ok(()) }
    }

    pub(crate) fn report(&self, done: u64, total: u64) {
        if let Some(progress) = self.progress {
            progress(done, total);
        }
    }
}

/// The frames of one mosaic that were kept, each with what was measured.
pub(crate) struct GridScan<M> {
    pub(crate) kept: Vec<(FramePosition, M)>,
    pub(crate) left_out: LeftOut,
}

/// The places of all frames of a mosaic.
///
/// # Errors
/// [`Error::BadGrid`], [`Error::TooManyFrames`], [`Error::SmallerThanFrame`].
pub(crate) fn positions_of(pixels: &dyn PixelSource, grid: &FrameGrid) -> Result<Vec<FramePosition>, Error> {
    let &FrameGrid { size, step, .. } = grid;
    if size == 0 || step == 0 {
        return Err(Error::BadGrid { size, step });
    }
    let (rows, cols) = (pixels.rows(), pixels.cols());
    let along = |length: usize| (length.saturating_sub(size) / step + 2) as u128;
    let count = along(rows) * along(cols);
    if count > MOST_FRAMES {
        return Err(Error::TooManyFrames { path: pixels.path().into(), count, most: MOST_FRAMES, step });
    }
    let positions = frame_grid(rows, cols, grid);
    if positions.is_empty() {
        return Err(Error::SmallerThanFrame { path: pixels.path().into(), rows, cols, size });
    }
    Ok(positions)
}

/// Looks at every frame once; those with at most `max_blank_fraction` blanks and at least two different values are kept and
/// measured with `measure(pixels, blank fraction)`. `advance` hears how many frames were looked at since its last call.
///
/// # Errors
/// Those of [`positions_of`] and of reading; [`Error::AllBlank`] for a mosaic without a finite pixel; [`Error::Cancelled`].
pub(crate) fn scan_grid<M: Send>(
    pixels: &dyn PixelSource,
    grid: &FrameGrid,
    max_blank_fraction: f64,
    measure: &(dyn Fn(&Array2<f32>, f64) -> M + Sync),
    watch: &Watch<'_>,
    mut advance: impl FnMut(usize),
) -> Result<GridScan<M>, Error> {
    let positions = positions_of(pixels, grid)?;
    let mut scan = GridScan { kept: Vec::new(), left_out: LeftOut::default() };
    let mut has_value = false;
    let mut strip = Strip { source: pixels, first: 0, pieces: VecDeque::new() };
    let row_bytes = pixels.cols().max(1) * size_of::<f32>();
    let strip_rows = (STRIP_BYTES / row_bytes).max(grid.size);
    let mut rest = positions.as_slice();
    while let Some(first) = rest.first() {
        let count = rest.partition_point(|position| position.row + grid.size <= first.row + strip_rows);
        let (batch, behind) = rest.split_at(count.max(1));
        rest = behind;
        let last_row = batch.last().unwrap_or(first).row;
        watch.check()?;
        strip.hold(first.row..last_row + grid.size)?;
        let looks = batch.par_iter().map(|&position| {
            watch.check()?;
            let frame = strip.frame(position, grid.size);
            let (verdict, blank) = look(&frame, max_blank_fraction);
            let measured = matches!(verdict, Verdict::Keep).then(|| measure(&frame, blank));
            Ok((verdict, measured))
        });
        let looks: Vec<(Verdict, Option<M>)> = looks.collect::<Result<_, Error>>()?;
        for (&position, (verdict, measured)) in batch.iter().zip(looks) {
            has_value |= !matches!(verdict, Verdict::NoValue);
            match verdict {
                Verdict::Keep => scan.kept.extend(measured.map(|measured| (position, measured))),
                Verdict::NoValue | Verdict::TooBlank => scan.left_out.too_blank += 1,
                Verdict::Constant => scan.left_out.constant += 1,
            }
        }
        advance(batch.len());
    }
    if !has_value && is_all_blank(pixels)? {
        let count = pixels.rows() as u64 * pixels.cols() as u64;
        return Err(Error::AllBlank { path: pixels.path().into(), pixels: count });
    }
    Ok(scan)
}

/// Rows of a mosaic in memory, in pieces.
struct Strip<'a> {
    source: &'a dyn PixelSource,
    /// Number of the first piece held; piece `n` begins at row `n · PIECE_ROWS`.
    first: usize,
    pieces: VecDeque<Array2<f32>>,
}

impl Strip<'_> {
    /// Makes sure that these rows are held, and lets go of those before them.
    fn hold(&mut self, rows: Range<usize>) -> Result<(), FitsError> {
        let wanted = rows.start / PIECE_ROWS..rows.end.div_ceil(PIECE_ROWS);
        while self.first < wanted.start && self.pieces.pop_front().is_some() {
            self.first += 1;
        }
        self.first = if self.pieces.is_empty() { wanted.start } else { self.first };
        let missing = self.first + self.pieces.len()..wanted.end;
        let (height, width) = (self.source.rows(), self.source.cols());
        let source = self.source;
        let read = |piece: usize| {
            let start = piece * PIECE_ROWS;
            source.window(start, 0, PIECE_ROWS.min(height - start), width)
        };
        let pieces: Vec<Array2<f32>> = missing.clone().into_par_iter().map(read).collect::<Result<_, _>>()?;
        source.release_rows(missing.start * PIECE_ROWS..missing.end * PIECE_ROWS);
        self.pieces.extend(pieces);
        Ok(())
    }

    /// The pixels of a frame whose rows are held.
    fn frame(&self, position: FramePosition, size: usize) -> Array2<f32> {
        let mut pixels = Vec::with_capacity(size * size);
        for row in position.row..position.row + size {
            let piece = &self.pieces[row / PIECE_ROWS - self.first];
            pixels.extend(piece.slice(ndarray::s![row % PIECE_ROWS, position.col..position.col + size]));
        }
        Array2::from_shape_vec((size, size), pixels).unwrap_or_default()
    }
}

enum Verdict {
    Keep,
    /// Not one finite pixel.
    NoValue,
    TooBlank,
    Constant,
}

fn look(frame: &Array2<f32>, max_blank_fraction: f64) -> (Verdict, f64) {
    let blank = blank_fraction(frame);
    let mut finite = frame.iter().filter(|pixel| pixel.is_finite());
    let verdict = match finite.next() {
        None => Verdict::NoValue,
        Some(_) if blank > max_blank_fraction => Verdict::TooBlank,
        Some(first) if finite.all(|pixel| pixel == first) => Verdict::Constant,
        Some(_) => Verdict::Keep,
    };
    (verdict, blank)
}

/// Frames need not cover a mosaic, so before it is called blank its rows are looked at.
fn is_all_blank(pixels: &dyn PixelSource) -> Result<bool, Error> {
    for row in 0..pixels.rows() {
        let has_value = pixels.window(row, 0, 1, pixels.cols())?.iter().any(|pixel| pixel.is_finite());
        pixels.release_rows(row..row + 1);
        if has_value {
            return Ok(false);
        }
    }
    Ok(true)
}
