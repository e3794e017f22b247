//! Hold-out by sky position: whole blocks of sky, and no frame that shares a pixel with one of them.
//!
//! Half-overlapping frames put every sky point into about four frames; a random split would show the same
//! source on both sides (reference-facts I21).
use std::collections::BTreeSet;

use radio_io::FrameId;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

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
        let block = |id: &FrameId| {
            let centre = |start: u32| (start + id.size / 2) / self.block_px.max(1);
            (id.mosaic.clone(), centre(id.row), centre(id.col))
        };
        let mut blocks: Vec<_> = frames.iter().map(&block).collect::<BTreeSet<_>>().into_iter().collect();
        blocks.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let count = (self.fraction * blocks.len() as f64).round().clamp(0.0, blocks.len() as f64) as usize;
        let held: BTreeSet<_> = blocks.into_iter().take(count).collect();
        let is_held: Vec<bool> = frames.iter().map(|id| held.contains(&block(id))).collect();
        let held_frames: Vec<&FrameId> = frames.iter().zip(&is_held).filter(|(_, held)| **held).map(|(id, _)| id).collect();
        let overlaps = |a: &FrameId, b: &FrameId| {
            let apart = |a0: u32, b0: u32| a0 + a.size <= b0 || b0 + b.size <= a0;
            a.mosaic == b.mosaic && !apart(a.row, b.row) && !apart(a.col, b.col)
        };
        frames
            .iter()
            .zip(is_held)
            .map(|(id, held)| match held {
                true => Side::HeldOut,
                false if held_frames.iter().any(|other| overlaps(id, other)) => Side::Border,
                false => Side::Train,
            })
            .collect()
    }
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
    fn the_seed_chooses_the_blocks() {
        let split = SkySplit { fraction: 0.3, block_px: 512 };
        let frames = grid(20);
        assert_eq!(split.sides(&frames, 1), split.sides(&frames, 1));
        assert_ne!(split.sides(&frames, 1), split.sides(&frames, 2));
    }
}
