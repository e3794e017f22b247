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
    advance: impl FnMut(usize),
) -> Result<GridScan<M>, Error> {
    scan_in_strips(pixels, grid, max_blank_fraction, measure, watch, advance, STRIP_BYTES)
}

fn scan_in_strips<M: Send>(
    pixels: &dyn PixelSource,
    grid: &FrameGrid,
    max_blank_fraction: f64,
    measure: &(dyn Fn(&Array2<f32>, f64) -> M + Sync),
    watch: &Watch<'_>,
    mut advance: impl FnMut(usize),
    strip_bytes: usize,
) -> Result<GridScan<M>, Error> {
    let positions = positions_of(pixels, grid)?;
    let mut scan = GridScan { kept: Vec::new(), left_out: LeftOut::default() };
    let mut has_value = false;
    let mut strip = Strip { source: pixels, first: 0, pieces: VecDeque::new() };
    let row_bytes = pixels.cols().max(1) * size_of::<f32>();
    let strip_rows = (strip_bytes / row_bytes).max(grid.size);
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::frame_grid::EdgePolicy;

    /// A map that counts how often each of its rows was read and let go.
    struct Counting {
        map: Array2<f32>,
        read: Mutex<Vec<usize>>,
        released: Mutex<Vec<usize>>,
    }

    impl PixelSource for Counting {
        fn rows(&self) -> usize {
            self.map.nrows()
        }

        fn cols(&self) -> usize {
            self.map.ncols()
        }

        fn window(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> Result<Array2<f32>, FitsError> {
            (row..row + n_rows).for_each(|row| self.read.lock().expect("no panic")[row] += 1);
            PixelSource::window(&self.map, row, col, n_rows, n_cols)
        }

        fn release_rows(&self, rows: Range<usize>) {
            let mut released = self.released.lock().expect("no panic");
            rows.filter(|row| *row < self.map.nrows()).for_each(|row| released[row] += 1);
        }
    }

    fn counting(rows: usize, cols: usize) -> Counting {
        let mut map = Array2::from_shape_fn((rows, cols), |(row, col)| ((row * 31 + col * 17) % 101) as f32);
        map.slice_mut(ndarray::s![rows / 3..rows / 2, ..cols / 2]).fill(f32::NAN);
        map.slice_mut(ndarray::s![rows / 2..2 * rows / 3, cols / 4..]).fill(2.5);
        Counting { map, read: Mutex::new(vec![0; rows]), released: Mutex::new(vec![0; rows]) }
    }

    #[test]
    fn strips_give_what_single_windows_give_and_read_every_row_once() -> Result<(), Error> {
        for (rows, cols, size, step, edge) in [
            (900, 40, 32, 16, EdgePolicy::Shift),
            (901, 33, 20, 20, EdgePolicy::Drop),
            (700, 30, 30, 7, EdgePolicy::Shift),
            (40, 300, 40, 40, EdgePolicy::Shift),
            (530, 20, 6, 200, EdgePolicy::Shift),
        ] {
            let grid = FrameGrid { size, step, edge };
            let plain = counting(rows, cols).map;
            let (mut expected, mut out) = (Vec::new(), LeftOut::default());
            for at in frame_grid(rows, cols, &grid) {
                let frame = plain.slice(ndarray::s![at.row..at.row + size, at.col..at.col + size]).to_owned();
                match look(&frame, 0.3) {
                    (Verdict::Keep, blank) => {
                        let sum: f64 = frame.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v)).sum();
                        expected.push((at, (sum, blank)));
                    }
                    (Verdict::Constant, _) => out.constant += 1,
                    _ => out.too_blank += 1,
                }
            }
            for strip_bytes in [0, 300 * cols * 4, 1 << 30] {
                let source = counting(rows, cols);
                let measure = |frame: &Array2<f32>, blank| {
                    (frame.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v)).sum::<f64>(), blank)
                };
                let mut looked = 0;
                let advance = |count| looked += count;
                let scan = scan_in_strips(&source, &grid, 0.3, &measure, &Watch::default(), advance, strip_bytes)?;
                assert_eq!((&scan.kept, scan.left_out), (&expected, out), "{rows} x {cols}, {strip_bytes}");
                assert_eq!(looked, frame_grid(rows, cols, &grid).len());
                let read = source.read.into_inner().expect("no panic");
                assert!(read.iter().all(|count| *count <= 1), "a row was read again: {read:?}");
                assert_eq!(read, source.released.into_inner().expect("no panic"));
            }
        }
        Ok(())
    }

    #[test]
    fn a_scan_can_be_stopped() {
        let stop = AtomicBool::new(true);
        let watch = Watch { cancelled: Some(&stop), progress: None };
        let grid = FrameGrid { size: 8, step: 8, edge: EdgePolicy::Drop };
        let scan = scan_grid(&counting(64, 64), &grid, 0.3, &|_, _| (), &watch, |_| ());
        assert!(matches!(scan.err(), Some(Error::Cancelled)));
    }
}
