//! Masks as lengths of runs, the way COCO stores them: column by column, background first.
//!
//! The compressed text form is the one of the COCO tools: each length, from the third on less the one two before it, in
//! groups of five bits with a sign, one printable character per group.

use ndarray::{Array2, ArrayRef2};

use crate::error::Error;

/// Most pixels of an image whose masks are unpacked.
pub const MOST_PIXELS: usize = 1 << 30;

/// A mask. Invariant: the lengths add up to `rows · cols`, which is at most [`MOST_PIXELS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLengths {
    rows: usize,
    cols: usize,
    counts: Vec<u32>,
}

impl RunLengths {
    /// From the lengths of runs, which alternate between background (first) and object.
    ///
    /// # Errors
    /// [`Error::Mask`] if they do not add up to the pixels of the image, or the image has more than [`MOST_PIXELS`].
    pub fn new(rows: usize, cols: usize, counts: Vec<u32>) -> Result<Self, Error> {
        let pixels = checked_pixels(rows, cols)?;
        let sum = counts.iter().try_fold(0_usize, |sum, &count| sum.checked_add(count as usize));
        // An image without pixels may come without runs.
        if sum != Some(pixels) {
            let found = sum.map_or("runs beyond any size".to_owned(), |sum| format!("runs over {sum} pixels"));
            return Err(wrong(rows, cols, found, format!("{pixels} pixels")));
        }
        Ok(Self { rows, cols, counts })
    }

    /// From the compressed text of the COCO tools.
    ///
    /// # Errors
    /// [`Error::Mask`] for characters outside `0` to `o`, a length that is cut off, negative or too large, and lengths that
    /// do not fill the image.
    pub fn decode(rows: usize, cols: usize, text: &str) -> Result<Self, Error> {
        let mut counts: Vec<u32> = Vec::new();
        let (mut value, mut shift) = (0_i64, 0_u32);
        for byte in text.bytes() {
            let bits = byte.checked_sub(48).filter(|bits| *bits < 64 && shift < 60);
            let odd = || {
                wrong(
                    rows,
                    cols,
                    format!("`{}` in run-length text", byte.escape_ascii()),
                    "characters 0 to o".to_owned(),
                )
            };
            let bits = i64::from(bits.ok_or_else(odd)?);
            value |= (bits & 0x1f) << shift;
            shift += 5;
            if bits & 0x20 != 0 {
                continue;
            }
            if bits & 0x10 != 0 {
                value |= -1 << shift;
            }
            let before = if counts.len() > 2 { i64::from(counts[counts.len() - 2]) } else { 0 };
            let count = value.checked_add(before).and_then(|count| u32::try_from(count).ok());
            let bad = || wrong(rows, cols, format!("a run of length {value} + {before}"), "at least 0".to_owned());
            counts.push(count.ok_or_else(bad)?);
            (value, shift) = (0, 0);
        }
        if shift != 0 {
            let found = "run-length text that ends within a number".to_owned();
            return Err(wrong(rows, cols, found, "whole numbers".to_owned()));
        }
        Self::new(rows, cols, counts)
    }

    /// The compressed text of the COCO tools.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        for (number, &count) in self.counts.iter().enumerate() {
            let before = if number > 2 { i64::from(self.counts[number - 2]) } else { 0 };
            let mut value = i64::from(count) - before;
            loop {
                let bits = (value & 0x1f) as u8;
                value >>= 5;
                let is_last = value == if bits & 0x10 == 0 { 0 } else { -1 };
                text.push(char::from(48 + bits + if is_last { 0 } else { 0x20 }));
                if is_last {
                    break;
                }
            }
        }
        text
    }

    /// From a mask `[rows, cols]`.
    ///
    /// # Errors
    /// [`Error::Mask`] for more than [`MOST_PIXELS`].
    pub fn from_mask(mask: &ArrayRef2<bool>) -> Result<Self, Error> {
        let (rows, cols) = mask.dim();
        checked_pixels(rows, cols)?;
        let mut counts = Vec::new();
        let (mut run, mut inside) = (0, false);
        for &pixel in mask.columns().into_iter().flatten() {
            if pixel != inside {
                counts.push(run);
                (run, inside) = (0, pixel);
            }
            run += 1;
        }
        counts.push(run);
        Ok(Self { rows, cols, counts })
    }

    /// The mask `[rows, cols]`.
    pub fn to_mask(&self) -> Array2<bool> {
        let mut mask = Array2::from_elem((self.cols, self.rows), false);
        if let Some(pixels) = mask.as_slice_mut() {
            for (start, end) in self.object_runs() {
                pixels[start..end].fill(true);
            }
        }
        mask.reversed_axes()
    }

    /// Rows of the image.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the image.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The lengths, background first.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Pixels of the object.
    pub fn area(&self) -> usize {
        self.object_runs().map(|(start, end)| end - start).sum()
    }

    /// The smallest box round the object: column, row, width, height; all 0 if there is no object.
    pub fn bounding_box(&self) -> [usize; 4] {
        let mut bounds: Option<[usize; 4]> = None;
        for (start, end) in self.object_runs().filter(|(start, end)| start < end) {
            let (first_col, last_col) = (start / self.rows, (end - 1) / self.rows);
            // A run into the next column reaches the last row of one and the first row of the other.
            let (first_row, last_row) =
                if first_col == last_col { (start % self.rows, (end - 1) % self.rows) } else { (0, self.rows - 1) };
            let [col0, row0, col1, row1] = bounds.unwrap_or([first_col, first_row, last_col, last_row]);
            bounds = Some([col0.min(first_col), row0.min(first_row), col1.max(last_col), row1.max(last_row)]);
        }
        bounds.map_or([0; 4], |[col0, row0, col1, row1]| [col0, row0, col1 - col0 + 1, row1 - row0 + 1])
    }

    /// The mask that is set where either is.
    ///
    /// # Errors
    /// [`Error::Mask`] if the images differ in size.
    pub fn union(&self, other: &Self) -> Result<Self, Error> {
        if (self.rows, self.cols) != (other.rows, other.cols) {
            let found = format!("another of {} rows x {} columns", other.rows, other.cols);
            return Err(wrong(self.rows, self.cols, found, "one size".to_owned()));
        }
        let mut runs: Vec<(usize, usize)> = self.object_runs().chain(other.object_runs()).collect();
        runs.sort_unstable();
        Ok(Self::from_runs(self.rows, self.cols, runs))
    }

    /// From sorted `(start, end)` runs of the object, which may touch and overlap, within an image of a checked size.
    pub(super) fn from_runs(rows: usize, cols: usize, runs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (start, end) in runs.into_iter().filter(|(start, end)| start < end) {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        let mut counts = Vec::with_capacity(2 * merged.len() + 1);
        let mut at = 0;
        for (start, end) in merged {
            counts.push((start - at) as u32);
            counts.push((end - start) as u32);
            at = end;
        }
        if at < rows * cols || counts.is_empty() {
            counts.push((rows * cols - at) as u32);
        }
        Self { rows, cols, counts }
    }

    /// First pixel of each run of the object, and the one behind its last, in column order.
    fn object_runs(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut at = 0;
        self.counts.iter().enumerate().filter_map(move |(number, &count)| {
            let start = at;
            at += count as usize;
            (number % 2 == 1).then_some((start, at))
        })
    }
}

/// Pixels of an image that is not too large.
pub(super) fn checked_pixels(rows: usize, cols: usize) -> Result<usize, Error> {
    let pixels = rows.checked_mul(cols).filter(|&pixels| pixels <= MOST_PIXELS);
    pixels.ok_or_else(|| wrong(rows, cols, "an image of that size".to_owned(), format!("at most {MOST_PIXELS} pixels")))
}

pub(super) fn wrong(rows: usize, cols: usize, found: String, expected: String) -> Error {
    Error::Mask { rows, cols, found, expected }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(rows: usize, cols: usize, pixels: &[u8]) -> Array2<bool> {
        Array2::from_shape_fn((rows, cols), |(row, col)| pixels[row * cols + col] != 0)
    }

    #[test]
    fn what_the_coco_tools_say() {
        // pycocotools 2.0.11: mask.encode, area, toBbox of this mask.
        let pixels = mask(4, 5, &[0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1]);
        let runs = RunLengths::from_mask(&pixels).expect("small");
        assert_eq!(runs.counts(), [4, 3, 1, 1, 1, 1, 3, 1, 2, 3]);
        assert_eq!((runs.area(), runs.bounding_box()), (9, [1, 0, 4, 4]));
        assert_eq!(runs.encode(), "431N0020O2");
        assert_eq!(RunLengths::decode(4, 5, "431N0020O2").expect("its own text"), runs);
        assert_eq!(runs.to_mask(), pixels);
    }

    #[test]
    fn bad_codes_are_refused() {
        for (rows, cols, text) in
            [(2, 2, "5"), (2, 2, "3"), (2, 2, "T"), (2, 2, "4\u{7f}"), (2, 2, "O5"), (1, 1, "PPPPPPPPPPPPPPPP0")]
        {
            assert!(matches!(RunLengths::decode(rows, cols, text), Err(Error::Mask { .. })), "{text}");
        }
        assert!(RunLengths::new(usize::MAX, 2, vec![]).is_err());
        assert!(RunLengths::new(1 << 20, 1 << 20, vec![]).is_err());
        assert_eq!(RunLengths::new(2, 2, vec![4]).expect("empty").bounding_box(), [0; 4]);
    }

    proptest! {
        #[test]
        fn codes_keep_every_pixel(rows in 1_usize..9, cols in 1_usize..9, bits in any::<u64>()) {
            let pixels = Array2::from_shape_fn((rows, cols), |(row, col)| bits >> (row * cols + col) & 1 == 1);
            let runs = RunLengths::from_mask(&pixels).expect("small");
            prop_assert_eq!(&runs.to_mask(), &pixels);
            prop_assert_eq!(&RunLengths::decode(rows, cols, &runs.encode()).expect("own text"), &runs);
            prop_assert_eq!(&RunLengths::new(rows, cols, runs.counts().to_vec()).expect("own counts"), &runs);
            prop_assert_eq!(runs.area(), pixels.iter().filter(|&&pixel| pixel).count());
            let set = |axis: fn((usize, usize)) -> usize| pixels.indexed_iter().filter(|(_, pixel)| **pixel).map(move |(at, _)| axis(at)).collect::<Vec<_>>();
            let (set_rows, set_cols) = (set(|at| at.0), set(|at| at.1));
            let extent = |set: &[usize]| set.iter().min().zip(set.iter().max()).map_or((0, 0), |(low, high)| (*low, high - low + 1));
            let ((row, height), (col, width)) = (extent(&set_rows), extent(&set_cols));
            prop_assert_eq!(runs.bounding_box(), [col, row, width, height]);
        }

        #[test]
        fn a_union_is_an_or(bits in any::<(u32, u32)>()) {
            let mask = |bits: u32| Array2::from_shape_fn((4, 8), |(row, col)| bits >> (row * 8 + col) & 1 == 1);
            let (a, b) = (RunLengths::from_mask(&mask(bits.0)).expect("small"), RunLengths::from_mask(&mask(bits.1)).expect("small"));
            let union = a.union(&b).expect("one size");
            prop_assert_eq!(union.to_mask(), mask(bits.0 | bits.1));
            prop_assert_eq!(union.area(), (bits.0 | bits.1).count_ones() as usize);
        }

        #[test]
        fn any_text_is_a_mask_or_an_error(text in "[0-o]{0,24}") {
            let _ = RunLengths::decode(5, 7, &text);
        }
    }
}
