//! What windows of pixels can be read from: frames are cut from a file and from an array in memory by the same code.

use std::{ops::Range, path::Path};

use ndarray::Array2;

use crate::error::FitsError;

/// Anything windows of pixels can be read from: a FITS mosaic, or an array in memory.
pub trait PixelSource: Send + Sync {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// Number of columns.
    fn cols(&self) -> usize;

    /// Pixels `[n_rows, n_cols]` from (`row`, `col`) on, counted from 0; NaN means blank.
    ///
    /// # Errors
    /// If the window does not lie inside the image, or cannot be read.
    fn window(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> Result<Array2<f32>, FitsError>;

    /// Says that these rows are not needed for now, so that a mapped file may leave the memory; reading them again is allowed.
    fn release_rows(&self, _rows: Range<usize>) {}

    /// Like [`PixelSource::window`], into a buffer that takes the window's size, in row order.
    ///
    /// # Errors
    /// Those of [`PixelSource::window`].
    fn window_into(
        &self,
        row: usize,
        col: usize,
        n_rows: usize,
        n_cols: usize,
        pixels: &mut Vec<f32>,
    ) -> Result<(), FitsError> {
        let window = self.window(row, col, n_rows, n_cols)?;
        pixels.clear();
        pixels.extend(window);
        Ok(())
    }

    /// The file, for messages.
    fn path(&self) -> &Path {
        Path::new("(image in memory)")
    }
}

impl PixelSource for Array2<f32> {
    fn rows(&self) -> usize {
        self.nrows()
    }

    fn cols(&self) -> usize {
        self.ncols()
    }

    fn window(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> Result<Array2<f32>, FitsError> {
        check_window(self, row, col, n_rows, n_cols)?;
        Ok(self.slice(ndarray::s![row..row + n_rows, col..col + n_cols]).to_owned())
    }
}

/// A window that begins or ends outside the image is an error that names both.
pub(super) fn check_window(
    source: &(impl PixelSource + ?Sized),
    row: usize,
    col: usize,
    n_rows: usize,
    n_cols: usize,
) -> Result<(), FitsError> {
    let (rows, cols) = (source.rows(), source.cols());
    let fits = |start: usize, count: usize, length: usize| start.checked_add(count).is_some_and(|end| end <= length);
    if fits(row, n_rows, rows) && fits(col, n_cols, cols) {
        return Ok(());
    }
    Err(FitsError::OutsideImage { path: source.path().to_path_buf(), row, col, n_rows, n_cols, rows, cols })
}
