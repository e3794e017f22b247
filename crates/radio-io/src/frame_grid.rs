//! Blind cutting: where the frames of a mosaic lie, and the name each of them keeps for ever.
//!
//! A frame is identified by (mosaic id, row, column, size). Its random draws elsewhere are keyed by that name, never by its
//! place in a list or by a thread.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{data_set::address_of, error::Error};

/// What to do where the last frame would hang over the border of the mosaic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgePolicy {
    /// Whole frames of the grid only; a strip narrower than a step may stay unseen.
    Drop,
    /// One more frame, flush with the border, so that every pixel is seen.
    Shift,
}

/// A grid of square frames. The paper slides 256 pixels by 128 (reference-facts A1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameGrid {
    /// Side of a frame, pixels.
    pub size: usize,
    /// Distance between neighbours along rows and columns, pixels.
    pub step: usize,
    /// What happens at the far borders.
    pub edge: EdgePolicy,
}

/// First row and column of a frame, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FramePosition {
    /// First row.
    pub row: usize,
    /// First column.
    pub col: usize,
}

/// The frames of a mosaic of `rows` x `cols` pixels, row by row. All lie inside; there is none if the mosaic is smaller than
/// a frame, or size or step is 0.
pub fn frame_grid(rows: usize, cols: usize, grid: &FrameGrid) -> Vec<FramePosition> {
    let columns = starts(cols, grid);
    let along = |row| columns.iter().map(move |&col| FramePosition { row, col });
    starts(rows, grid).into_iter().flat_map(along).collect()
}

fn starts(length: usize, grid: &FrameGrid) -> Vec<usize> {
    let &FrameGrid { size, step, edge } = grid;
    if size == 0 || step == 0 || length < size {
        return Vec::new();
    }
    let last = length - size;
    let mut starts: Vec<usize> = (0..=last).step_by(step).collect();
    if edge == EdgePolicy::Shift && !last.is_multiple_of(step) {
        starts.push(last);
    }
    starts
}

/// The name of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameId {
    /// Id of the mosaic: letters, digits, `.`, `-`, `_` and `+`.
    pub mosaic: String,
    /// First row, counted from 0.
    pub row: u32,
    /// First column, counted from 0.
    pub col: u32,
    /// Side, pixels.
    pub size: u32,
}

impl FrameId {
    /// A number that belongs to this name on every machine and in every version of this crate: the key of random streams.
    /// FNV-1a over the mosaic id and the three numbers, mixed.
    pub fn address(&self) -> u64 {
        let numbers = [self.row, self.col, self.size].map(u32::to_le_bytes);
        let bytes: Vec<u8> = self.mosaic.bytes().chain([0]).chain(numbers.into_iter().flatten()).collect();
        address_of(&bytes)
    }
}

impl fmt::Display for FrameId {
    /// `mosaic_r00128_c00256_s256`: sorts by place, and is safe as part of a file name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}_r{:05}_c{:05}_s{}", self.mosaic, self.row, self.col, self.size);
        f.pad(&text)
    }
}

impl FromStr for FrameId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // From the end, as the id of the mosaic may hold anything up to there.
        let parse = || {
            let (rest, size) = split_number(text, "_s")?;
            let (rest, col) = split_number(rest, "_c")?;
            let (mosaic, row) = split_number(rest, "_r")?;
            is_mosaic_id(mosaic).then(|| Self { mosaic: mosaic.to_owned(), row, col, size })
        };
        parse().ok_or_else(|| Error::BadFrameId { found: text.to_owned() })
    }
}

fn split_number<'a>(text: &'a str, mark: &str) -> Option<(&'a str, u32)> {
    let (rest, digits) = text.rsplit_once(mark)?;
    // `parse` alone would take a sign.
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some((rest, number))
}

/// Whether a mosaic id can be part of file names and of frame names.
pub(crate) fn is_mosaic_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(row: usize, col: usize) -> FramePosition {
        FramePosition { row, col }
    }

    #[test]
    fn frames_go_row_by_row_and_stay_inside() {
        let grid = FrameGrid { size: 4, step: 2, edge: EdgePolicy::Drop };
        assert_eq!(frame_grid(5, 9, &grid), [at(0, 0), at(0, 2), at(0, 4)]);
        let grid = FrameGrid { edge: EdgePolicy::Shift, ..grid };
        let shifted = frame_grid(5, 9, &grid);
        assert_eq!(shifted, [at(0, 0), at(0, 2), at(0, 4), at(0, 5), at(1, 0), at(1, 2), at(1, 4), at(1, 5)]);
        assert!(frame_grid(8, 8, &grid).iter().all(|frame| frame.row + 4 <= 8 && frame.col + 4 <= 8));
        assert_eq!(frame_grid(8, 8, &grid).len(), 9, "nothing to shift where the grid ends at the border");
    }

    #[test]
    fn degenerate_grids_are_empty() {
        let grid = FrameGrid { size: 4, step: 2, edge: EdgePolicy::Shift };
        assert_eq!(frame_grid(4, 4, &grid), [at(0, 0)]);
        assert!(frame_grid(3, 100, &grid).is_empty());
        assert!(frame_grid(0, 0, &grid).is_empty());
        assert!(frame_grid(9, 9, &FrameGrid { step: 0, ..grid }).is_empty());
        assert!(frame_grid(9, 9, &FrameGrid { size: 0, ..grid }).is_empty());
    }

    #[test]
    fn names_survive_text() {
        for mosaic in ["emu", "a_r1_c2_s3", "SB-9287.T0+1"] {
            let id = FrameId { mosaic: mosaic.to_owned(), row: 128, col: 123_456, size: 256 };
            assert_eq!(id.to_string(), format!("{mosaic}_r00128_c123456_s256"));
            assert_eq!(id.to_string().parse::<FrameId>().expect("own text"), id);
        }
        for text in [
            "",
            "emu",
            "emu_r1_c2",
            "_r1_c2_s3",
            "emu_r1_c2_s+3",
            "emu_r1_c2_s",
            "e mu_r1_c2_s3",
            "emu_c1_r2_s3",
            "emu_r1_c2_s4294967296",
        ] {
            let refused = text.parse::<FrameId>().expect_err("no frame name").to_string();
            assert!(refused.contains(&format!("`{text}`")), "{refused}");
        }
    }

    #[test]
    fn addresses_are_fixed_for_ever_and_tell_frames_apart() {
        let id = |mosaic: &str, row, col, size| FrameId { mosaic: mosaic.to_owned(), row, col, size }.address();
        // Were this number to change, no old run could be repeated.
        assert_eq!(id("emu", 128, 256, 256), ADDRESS);
        let some = [
            id("emu", 0, 1, 256),
            id("emu", 1, 0, 256),
            id("emv", 1, 0, 256),
            id("emu", 1, 0, 128),
            id("em", 1, 0, 256),
        ];
        let distinct: std::collections::HashSet<u64> = some.into_iter().collect();
        assert_eq!(distinct.len(), some.len());
    }

    const ADDRESS: u64 = 0xad2bbbea47a747ad;
}
