//! An upright box on a frame, by its edges.

use ndarray::ArrayView2;

/// Edges in pixels from the frame's upper left corner: pixel `(r, c)` fills rows `r..r + 1` and columns `c..c + 1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelBox {
    /// First row.
    pub top: f64,
    /// First column.
    pub left: f64,
    /// End of the last row.
    pub bottom: f64,
    /// End of the last column.
    pub right: f64,
}

impl PixelBox {
    /// The box around the marked pixels of a mask; `None` if there is none.
    #[must_use]
    pub fn around(mask: ArrayView2<bool>) -> Option<Self> {
        let (mut rows, mut cols) = (None::<(usize, usize)>, None::<(usize, usize)>);
        let widen = |span: &mut Option<(usize, usize)>, i: usize| {
            *span = Some(span.map_or((i, i), |(low, high)| (low.min(i), high.max(i))));
        };
        for ((row, col), _) in mask.indexed_iter().filter(|(_, marked)| **marked) {
            widen(&mut rows, row);
            widen(&mut cols, col);
        }
        let ((top, bottom), (left, right)) = (rows?, cols?);
        Some(Self { top: top as f64, left: left as f64, bottom: bottom as f64 + 1.0, right: right as f64 + 1.0 })
    }

    /// The part inside a frame `[rows, cols]`; `None` if nothing is left.
    #[must_use]
    pub fn inside(&self, rows: usize, cols: usize) -> Option<Self> {
        let cut = Self {
            top: self.top.max(0.0),
            left: self.left.max(0.0),
            bottom: self.bottom.min(rows as f64),
            right: self.right.min(cols as f64),
        };
        (cut.bottom > cut.top && cut.right > cut.left).then_some(cut)
    }
}
