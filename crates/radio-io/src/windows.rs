//! Many windows of one mosaic, one after the other in one buffer.

use crate::{error::FitsError, mosaic::Mosaic};

impl Mosaic {
    /// Windows `[n_rows, n_cols]` at the given corners (row, column), one after the other in one buffer.
    pub fn windows<I>(&self, corners: I, n_rows: usize, n_cols: usize) -> Windows<'_, I::IntoIter>
    where
        I: IntoIterator<Item = (usize, usize)>,
    {
        Windows { mosaic: self, corners: corners.into_iter(), n_rows, n_cols, pixels: Vec::new() }
    }
}

/// A window that was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window<'a> {
    /// Its first row, from 0.
    pub row: usize,
    /// Its first column, from 0.
    pub col: usize,
    /// Its pixels in row order; NaN means blank.
    pub pixels: &'a [f32],
}

/// Windows of a mosaic, each in the buffer of the one before.
#[derive(Debug)]
pub struct Windows<'a, I> {
    mosaic: &'a Mosaic,
    corners: I,
    n_rows: usize,
    n_cols: usize,
    pixels: Vec<f32>,
}

impl<I: Iterator<Item = (usize, usize)>> Windows<'_, I> {
    /// The next window; `None` after the last corner.
    ///
    /// # Errors
    /// Those of [`Mosaic::window`].
    pub fn next_window(&mut self) -> Option<Result<Window<'_>, FitsError>> {
        let (row, col) = self.corners.next()?;
        let read = self.mosaic.window_into(row, col, self.n_rows, self.n_cols, &mut self.pixels);
        Some(read.map(|()| Window { row, col, pixels: &self.pixels }))
    }
}
