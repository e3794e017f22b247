//! Hold-out by sky position: whole blocks of sky, and no frame that shares a pixel with one of them.
//!
//! Half-overlapping frames put every sky point into about four frames; a random split would show the same
//! source on both sides (reference-facts I21).
use std::collections::{BTreeMap, BTreeSet};

use radio_io::FrameId;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Draws of blocks that are tried at most.
const DRAWS: u64 = 100;

/// How much is held out, in what pieces.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkySplit {
    /// Share of the sky blocks that is held out.
    pub fraction: f64,
    /// Side of a block in pixels.
    pub block_px: u32,
}

/// On which side of the split a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// To learn from.
    Train,
    /// To judge with.
    HeldOut,
    /// Shares pixels with a held-out frame: used for neither.
    Border,
}

impl SkySplit {
    /// The side of every frame. A frame belongs to the block of its centre.
    pub fn sides(&self, frames: &[FrameId], seed: u64) -> Vec<Side> {
        with_border(frames, &self.is_held(frames, seed))
    }

    /// Both ways round: the held-out frames of the one are those not held out of the other.
    pub fn halves(&self, frames: &[FrameId], seed: u64) -> [Vec<Side>; 2] {
        let held = self.is_held(frames, seed);
        let others: Vec<bool> = held.iter().map(|held| !held).collect();
        [with_border(frames, &held), with_border(frames, &others)]
    }

    /// Rows that are used, and whether each is held out: the first draw of blocks that leaves both kinds on both sides, or the
    /// last one tried. In a small survey a draw may hold no frame of a kind; the order of the draws is part of the seed.
    pub fn two_kinds(&self, frames: &[FrameId], is_positive: &[bool], seed: u64) -> (Vec<usize>, Vec<bool>) {
        let mut last = (Vec::new(), Vec::new());
        for draw in 0..DRAWS {
            let sides = self.sides(frames, seed.wrapping_add(draw << 32));
            let kept = (0..frames.len()).filter(|&i| sides[i] != Side::Border);
            last = kept.map(|i| (i, sides[i] == Side::HeldOut)).unzip();
            let has = |side: bool, kind: bool| {
                last.0.iter().zip(&last.1).any(|(i, held)| (*held, is_positive[*i]) == (side, kind))
            };
            if [(false, false), (false, true), (true, false), (true, true)].iter().all(|&(side, kind)| has(side, kind))
            {
                break;
            }
        }
        last
    }

    fn is_held(&self, frames: &[FrameId], seed: u64) -> Vec<bool> {
        let block = |id: &FrameId| {
            let centre = |start: u32| (start + id.size / 2) / self.block_px.max(1);
            (id.mosaic.clone(), centre(id.row), centre(id.col))
        };
        let mut blocks: Vec<_> = frames.iter().map(&block).collect::<BTreeSet<_>>().into_iter().collect();
        blocks.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let wanted = (self.fraction * blocks.len() as f64).round() as usize;
        // Two blocks are enough for a split; one block is none.
        let count = if blocks.len() < 2 || self.fraction <= 0.0 { 0 } else { wanted.clamp(1, blocks.len() - 1) };
        let held: BTreeSet<_> = blocks.into_iter().take(count).collect();
        frames.iter().map(|id| held.contains(&block(id))).collect()
    }
}

/// Mosaic and place in units of the frame's side.
fn coarse_cell(id: &FrameId) -> (&str, u32, u32) {
    (id.mosaic.as_str(), id.row / id.size.max(1), id.col / id.size.max(1))
}

/// Marks the frames that share a pixel with a held-out one.
fn with_border(frames: &[FrameId], is_held: &[bool]) -> Vec<Side> {
    // Frames overlap only with frames whose first pixel lies less than a side away: look those up by coarse cells.
    let mut held: BTreeMap<(&str, u32, u32), Vec<&FrameId>> = BTreeMap::new();
    for (id, _) in frames.iter().zip(is_held).filter(|(_, held)| **held) {
        held.entry(coarse_cell(id)).or_default().push(id);
    }
    let overlaps = |a: &FrameId, b: &FrameId| {
        let apart = |a0: u32, b0: u32| a0 + a.size <= b0 || b0 + b.size <= a0;
        !apart(a.row, b.row) && !apart(a.col, b.col)
    };
    let touches_held = |id: &FrameId| {
        let (mosaic, row, col) = coarse_cell(id);
        let near = |x: u32| x.saturating_sub(1)..=x + 1;
        near(row).any(|row| {
            near(col)
                .any(|col| held.get(&(mosaic, row, col)).is_some_and(|ids| ids.iter().any(|other| overlaps(id, other))))
        })
    };
    let side = |(id, held): (&FrameId, &bool)| match held {
        true => Side::HeldOut,
        false if touches_held(id) => Side::Border,
        false => Side::Train,
    };
    frames.iter().zip(is_held).map(side).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(side: u32) -> Vec<FrameId> {
        let at = |row, col| FrameId { mosaic: "m".into(), row: row * 128, col: col * 128, size: 256 };
        (0..side).flat_map(|row| (0..side).map(move |col| at(row, col))).collect()
    }

    #[test]
    fn no_training_frame_shares_a_pixel_with_a_held_out_one() {
        let frames = grid(31);
        let sides = SkySplit { fraction: 0.25, block_px: 1024 }.sides(&frames, 3);
        let of = |side| frames.iter().zip(&sides).filter(move |(_, s)| **s == side).map(|(f, _)| f);
        let (train, held) = (of(Side::Train).count(), of(Side::HeldOut).count());
        assert!(train > 400 && held > 100, "{train} {held}");
        for a in of(Side::Train) {
            for b in of(Side::HeldOut) {
                assert!(a.row.abs_diff(b.row) >= 256 || a.col.abs_diff(b.col) >= 256, "{a} {b}");
            }
        }
        assert!(of(Side::Border).count() > 0);
    }

    #[test]
    fn halves_are_each_others_complement() {
        let frames = grid(31);
        let [one, other] = SkySplit { fraction: 0.5, block_px: 1024 }.halves(&frames, 3);
        for (a, b) in one.iter().zip(&other) {
            assert_ne!(*a == Side::HeldOut, *b == Side::HeldOut);
        }
        let count = one.iter().filter(|side| **side == Side::HeldOut).count();
        assert!((380..580).contains(&count), "{count} of 961");
    }

    #[test]
    fn both_kinds_end_on_both_sides_where_a_draw_allows_it() {
        let frames = grid(31);
        // Positive frames in two corners only: most draws leave them all on one side.
        let positive: Vec<bool> =
            (0..961).map(|i| (i / 31 < 4 && i % 31 < 4) || (i / 31 > 26 && i % 31 > 26)).collect();
        let split = SkySplit { fraction: 0.2, block_px: 1024 };
        for seed in 0..20 {
            let (rows, held) = split.two_kinds(&frames, &positive, seed);
            for (side, kind) in [(false, false), (false, true), (true, false), (true, true)] {
                assert!(
                    rows.iter().zip(&held).any(|(&i, &h)| (h, positive[i]) == (side, kind)),
                    "{seed} {side} {kind}"
                );
            }
            assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
        }
        let (_, held) = split.two_kinds(&frames, &[false; 961], 1);
        assert!(held.contains(&true), "without positive frames the last draw is used");
    }

    #[test]
    fn the_seed_chooses_the_blocks() {
        let split = SkySplit { fraction: 0.3, block_px: 512 };
        let frames = grid(20);
        assert_eq!(split.sides(&frames, 1), split.sides(&frames, 1));
        assert_ne!(split.sides(&frames, 1), split.sides(&frames, 2));
    }
}
