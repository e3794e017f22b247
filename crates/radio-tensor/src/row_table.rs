//! Where the input values of every output pixel begin: the table of row addresses that the tiles read through.
//!
//! Row `p` of a product is an output pixel. For every kernel tap (or kernel row) the table says where the input values
//! below that pixel begin; outside the image it points to zeros. The table is bounded by the map's buffer, not by the
//! sizes the map states: the tiles read it unchecked.
use std::marker::PhantomData;

use crate::conv2d::Conv2d;
use crate::element::Element;
use crate::nhwc::Map;
use crate::tile::RowTable;

/// Longest segment, in words: as many zeros as the padding row holds.
pub const LONGEST_SEGMENT: usize = 4096;

/// The row outside every image.
static ZEROS: [u32; LONGEST_SEGMENT] = [0; LONGEST_SEGMENT];

/// Output pixels `rows x cols` per image, and for each segment the input pixel of output pixel (0, 0).
pub struct Grid {
    /// Output rows.
    pub rows: usize,
    /// Output columns.
    pub cols: usize,
    /// Input pixels between two output pixels.
    pub step: usize,
    /// Row and column shift of each segment.
    pub shifts: Vec<(isize, isize)>,
}

/// Addresses of the rows of a task. From each of them on, the words of `inner` values can be read, in the map or in
/// zeros; only [`Grid::row_starts`] makes such a table.
#[derive(Clone, Copy)]
pub struct RowStarts<'a, E> {
    starts: &'a [*const u32],
    rows: usize,
    inner: usize,
    map: PhantomData<&'a Map<E>>,
}

impl<'a, E: Element> RowStarts<'a, E> {
    /// As the tiles take it.
    pub fn table(self) -> RowTable<'a> {
        RowTable { starts: self.starts, rows: self.rows }
    }

    /// The tables of the segments, one by one.
    pub fn segments(self) -> impl Iterator<Item = Self> {
        self.starts.chunks_exact(self.rows.max(1)).map(move |starts| Self { starts, ..self })
    }

    /// The values of the rows, two rows (f32: one) at a time.
    #[inline(always)]
    pub fn word_rows(self) -> impl Iterator<Item = (&'a [E], Option<&'a [E]>)> {
        // SAFETY: from every start on, `inner` values can be read while the map is borrowed, and starts are aligned for `E`.
        let row = move |start: *const u32| unsafe { std::slice::from_raw_parts(start.cast::<E>(), self.inner) };
        self.starts.chunks(E::PER_WORD).map(move |starts| (row(starts[0]), starts.get(1).map(|&start| row(start))))
    }
}

impl Grid {
    /// The forward pass of a convolution with an output of this size.
    pub fn forward(conv: &Conv2d, rows: usize, cols: usize) -> Self {
        let pad = conv.pad as isize;
        let columns = if conv.reads_rows() { 1 } else { conv.kernel };
        let shifts =
            (0..conv.kernel).flat_map(|r| (0..columns).map(move |c| (r as isize - pad, c as isize - pad))).collect();
        Self { rows, cols, step: conv.stride, shifts }
    }

    /// Where the words of `count` output pixels from `first` on begin, `[segments, count]`; zeros outside the images.
    ///
    /// An odd `inner` of bf16 ends in half a word: the other half is the value to the right, or the map's tail.
    ///
    /// # Panics
    /// If a row would end outside the map's buffer.
    pub fn row_starts<'a, E: Element>(
        &self,
        x: &'a Map<E>,
        inner: usize,
        first: usize,
        count: usize,
        starts: &'a mut Vec<*const u32>,
    ) -> RowStarts<'a, E> {
        assert!(inner <= LONGEST_SEGMENT, "a segment longer than the row of zeros");
        starts.clear();
        starts.resize(self.shifts.len() * count, ZEROS.as_ptr());
        let (values, buffer) = (x.values().len(), x.values_and_tail());
        let whole_words = inner.next_multiple_of(E::PER_WORD);
        let (step, end) = (self.step as isize, first + count);
        for (&(down, right), starts) in self.shifts.iter().zip(starts.chunks_exact_mut(count.max(1))) {
            // Output columns whose input column lies inside the image.
            let lo = steps_to(-right, step);
            let hi = steps_to(x.w as isize - right, step).min(self.cols);
            let mut pixel = first;
            while pixel < end {
                let (line, col) = (pixel / self.cols, pixel % self.cols);
                let (image, row) = (line / self.rows, line % self.rows);
                let run = (self.cols - col).min(end - pixel);
                let y = (row * self.step) as isize + down;
                let (from, to) = (lo.max(col), hi.min(col + run));
                if y >= 0 && (y as usize) < x.h && from < to {
                    let line = (image * x.h + y as usize) * x.w;
                    let input = line + ((from * self.step) as isize + right) as usize;
                    let last = (input + (to - 1 - from) * self.step) * x.c;
                    let inside = last + inner <= values && last + whole_words <= buffer.len();
                    assert!(inside, "row table outside its map"); // once a run
                    let base = buffer[input * x.c..].as_ptr();
                    let target = &mut starts[pixel - first + from - col..][..to - from];
                    for (i, start) in target.iter_mut().enumerate() {
                        *start = base.wrapping_add(i * self.step * x.c).cast();
                    }
                }
                pixel += run;
            }
        }
        RowStarts { starts, rows: count, inner, map: PhantomData }
    }
}

/// Steps of this length that reach a distance; none to one that is not positive.
fn steps_to(distance: isize, step: isize) -> usize {
    ((distance.max(0) + step - 1) / step) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_lie_in_the_map_or_in_zeros() {
        let conv = Conv2d { in_channels: 2, out_channels: 1, kernel: 3, stride: 2, pad: 1 };
        let mut x = Map::<f32>::zeros(2, 5, 4, 2);
        x.values_mut().iter_mut().enumerate().for_each(|(i, v)| *v = 1.0 + i as f32);
        let (rows, cols) = conv.output_size(5, 4);
        let grid = Grid::forward(&conv, rows, cols);
        let (first, count) = (3, 2 * rows * cols - 3);
        let mut starts = Vec::new();
        let table = grid.row_starts(&x, 2, first, count, &mut starts);
        let mut seen = 0;
        for (tap, segment) in table.segments().enumerate() {
            for (pixel, (row, none)) in segment.word_rows().enumerate() {
                assert!(none.is_none());
                let (image, at) = ((first + pixel) / (rows * cols), (first + pixel) % (rows * cols));
                let (r, c) = (2 * (at / cols) + tap / 3, 2 * (at % cols) + tap % 3);
                let outside = r == 0 || c == 0 || r > 5 || c > 4;
                let start = 1.0 + if outside { 0.0 } else { (((image * 5 + r - 1) * 4 + c - 1) * 2) as f32 };
                let want = if outside { [0.0, 0.0] } else { [start, start + 1.0] };
                assert_eq!(row, want, "tap {tap}, pixel {pixel}");
                seen += 1;
            }
        }
        assert_eq!(seen, 9 * count);
    }

    /// A map's sizes are public: one that was made wider than its buffer must not be read.
    #[test]
    #[should_panic]
    fn a_map_whose_sizes_exceed_its_buffer_is_refused() {
        let conv = Conv2d { in_channels: 1, out_channels: 1, kernel: 1, stride: 1, pad: 0 };
        let mut x = Map::<f32>::zeros(1, 1, 4, 1);
        x.w = 40;
        let _ = Grid::forward(&conv, 1, 40).row_starts(&x, 1, 0, 40, &mut Vec::new());
    }
}
