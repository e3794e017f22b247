//! What a chain of augmenters did to the places of pixels, applied to masks, label images and boxes.

use ndarray::{Array2, ArrayView2};

use crate::geometry::{PixelBox, PixelMap};

/// The geometric steps of one view, in order; filled by [`Augmenter::apply_placed`](crate::Augmenter::apply_placed).
///
/// The steps are kept one by one, not multiplied: what one of them pushes over the edge does not come back with the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    rows: usize,
    cols: usize,
    maps: Vec<PixelMap>,
}

/// Objects that are still on the frame, and those that are not.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved<T> {
    /// Index in the list given, and the object where it is now.
    pub kept: Vec<(usize, T)>,
    /// Indices of the objects that lie outside entirely.
    pub dropped: Vec<usize>,
}

impl<T> Moved<T> {
    fn sort(objects: impl Iterator<Item = Option<T>>) -> Self {
        let mut moved = Self { kept: Vec::new(), dropped: Vec::new() };
        for (index, object) in objects.enumerate() {
            match object {
                Some(object) => moved.kept.push((index, object)),
                None => moved.dropped.push(index),
            }
        }
        moved
    }
}

impl Placement {
    /// Frames `[rows, cols]` whose pixels have not moved.
    #[must_use]
    pub fn unmoved(rows: usize, cols: usize) -> Self {
        Self { rows, cols, maps: Vec::new() }
    }

    /// Forgets all steps; for frames `[rows, cols]` from here on.
    pub fn reset(&mut self, rows: usize, cols: usize) {
        (self.rows, self.cols) = (rows, cols);
        self.maps.clear();
    }

    /// One more step after those there are.
    pub fn push(&mut self, map: PixelMap) {
        self.maps.push(map);
    }

    /// The place in the frame that the view shows at `(row, col)`; `None` if that was outside before any of the steps.
    #[must_use]
    pub fn source(&self, row: f64, col: f64) -> Option<(f64, f64)> {
        let inside = |place: f64, side: usize| place >= -0.5 && place < side as f64 - 0.5;
        self.maps.iter().rev().try_fold((row, col), |(row, col), map| {
            let (row, col) = map.source(row, col);
            (inside(row, self.rows) && inside(col, self.cols)).then_some((row, col))
        })
    }

    /// The place in the view at which the frame's `(row, col)` is seen; it may lie outside.
    #[must_use]
    pub fn target(&self, row: f64, col: f64) -> (f64, f64) {
        self.maps.iter().fold((row, col), |(row, col), map| map.target(row, col))
    }

    /// Moves an image of labels `[rows, cols]`, a mask (`bool`) among them: every pixel takes the label of the nearest pixel of
    /// the frame, and what was outside takes `T::default()`. Exact for flips, shifts and quarter turns of square frames.
    ///
    /// An image of another size than the frame's is read as if it had that size: pixels it has not are `T::default()`.
    #[must_use]
    pub fn labels<T: Copy + Default>(&self, labels: ArrayView2<T>) -> Array2<T> {
        Array2::from_shape_fn((self.rows, self.cols), |(row, col)| {
            // Half a pixel further down rounds to the nearest: an exact tie goes to the larger index.
            let nearest = |place: f64| (place + 0.5).floor().max(0.0) as usize;
            let source = self.source(row as f64, col as f64);
            source.and_then(|(y, x)| labels.get((nearest(y), nearest(x))).copied()).unwrap_or_default()
        })
    }

    /// Moves instance masks `[rows, cols]` and puts a new box around each; masks without a pixel left are dropped.
    #[must_use]
    pub fn masks<'a>(&self, masks: impl IntoIterator<Item = ArrayView2<'a, bool>>) -> Moved<(Array2<bool>, PixelBox)> {
        Moved::sort(masks.into_iter().map(|mask| {
            let moved = self.labels(mask);
            let around = PixelBox::around(moved.view())?;
            Some((moved, around))
        }))
    }

    /// Moves boxes that have no mask: the upright box around the four moved corners, cut at the edge after every step.
    ///
    /// After a rotation that is larger than the object; where there is a mask, use [`Placement::masks`].
    #[must_use]
    pub fn boxes(&self, boxes: &[PixelBox]) -> Moved<PixelBox> {
        Moved::sort(boxes.iter().map(|frame| {
            let start = frame.inside(self.rows, self.cols)?;
            self.maps.iter().try_fold(start, |at, map| map.hull(&at).inside(self.rows, self.cols))
        }))
    }
}
