//! SPURIOUS islands: artefacts bright enough that a source finder would take them for sources (specification section 6).
//!
//! An island of the artefact image alone, at or above the mask threshold of the thermal noise with a pixel at the detection
//! threshold, as large as a detectable object and hardly covered by one. Rows are added from the top of the map to the bottom,
//! so the islands do not depend on strips or tiles.

use crate::config::TruthConfig;
use crate::mask::{Run, mask_order, mask_strip};
use crate::sky::Sky;
use crate::truth::TrueObject;

/// Rows that are looked at together.
const STRIP_ROWS: usize = 256;
/// Largest share of an island that may lie under the masks of objects.
const OBJECT_SHARE: f64 = 0.2;

/// An island of the artefact image.
#[derive(Debug, Clone, PartialEq)]
pub struct SpuriousIsland {
    /// Row and column of its brightest pixel.
    pub place: [usize; 2],
    /// Brightness there, Jy/beam.
    pub peak: f64,
    /// Its greatest ratio to the thermal noise.
    pub snr: f64,
    /// Pixels.
    pub px: usize,
    /// First row, row after the last, first column, column after the last.
    pub bounds: [usize; 4],
    /// Share of its pixels under object masks.
    pub object_share: f64,
    /// The mask, row by row.
    pub runs: Vec<Run>,
}

/// Collects the islands row by row.
#[derive(Debug, Clone)]
pub struct SpuriousFinder {
    limits: TruthConfig,
    /// What is known of each part, and the part it was joined to (itself if none).
    parts: Vec<(SpuriousIsland, usize)>,
    /// Row that was added last, and its runs: first column, column after the last, part.
    last: (usize, Vec<(usize, usize, usize)>),
    /// All runs, each with its part.
    runs: Vec<(u32, Run)>,
}

impl SpuriousFinder {
    /// A finder with the thresholds of the masks: `mask_sigma`, `detect_sigma`, `least_px`.
    pub fn new(limits: &TruthConfig) -> Self {
        Self { limits: limits.clone(), parts: Vec::new(), last: (0, Vec::new()), runs: Vec::new() }
    }

    /// Adds a row, below all that were added before: artefacts and thermal noise (Jy/beam, NaN where the map is blank), object
    /// ids (0 for none), all of one length.
    pub fn add_row(&mut self, row: usize, artefacts: &[f32], sigma: &[f32], objects: &[i32]) {
        let above = self.limits.mask_sigma as f32;
        let (last_row, last) = std::mem::take(&mut self.last);
        let last = if last_row + 1 == row { last } else { Vec::new() };
        let mut runs = Vec::new();
        let mut col = 0;
        while col < artefacts.len() {
            // A blank pixel has noise NaN and is above nothing.
            let bright = |c: usize| artefacts[c] > 0.0 && artefacts[c] >= above * sigma[c];
            if !bright(col) {
                col += 1;
                continue;
            }
            let first = col;
            let mut island = SpuriousIsland {
                place: [row, first],
                peak: 0.0,
                snr: 0.0,
                px: 0,
                bounds: [row, row + 1, first, first],
                object_share: 0.0,
                runs: Vec::new(),
            };
            while col < artefacts.len() && bright(col) {
                let value = f64::from(artefacts[col]);
                if value > island.peak {
                    (island.peak, island.place) = (value, [row, col]);
                }
                island.snr = island.snr.max(value / f64::from(sigma[col]));
                island.px += 1;
                // A count until the end.
                island.object_share += f64::from(u8::from(objects[col] != 0));
                col += 1;
            }
            island.bounds[3] = col;
            let part = self.parts.len();
            self.parts.push((island, part));
            self.runs.push((part as u32, Run { row: row as i32, first: first as i32, end: col as i32 }));
            // 8-connected: runs that touch at a corner belong together.
            for &(start, end, other) in last.iter().filter(|(start, end, _)| *start <= col && first <= *end) {
                debug_assert!(start < end);
                let (a, b) = (self.root(part), self.root(other));
                self.parts[a.max(b)].1 = a.min(b);
            }
            runs.push((first, col, part));
        }
        self.last = (row, runs);
    }

    fn root(&mut self, mut part: usize) -> usize {
        while self.parts[part].1 != part {
            let up = self.parts[part].1;
            self.parts[part].1 = self.parts[up].1;
            part = up;
        }
        part
    }

    /// The islands that count, by the row of their first pixel, then its column.
    pub fn finish(mut self) -> Vec<SpuriousIsland> {
        // A part is joined to an earlier one only, so that the sums run from the end to the front.
        for part in (0..self.parts.len()).rev() {
            let root = self.root(part);
            if root == part {
                continue;
            }
            let from = self.parts[part].0.clone();
            let into = &mut self.parts[root].0;
            if (from.peak, into.place) > (into.peak, from.place) {
                (into.peak, into.place) = (from.peak, from.place);
            }
            into.snr = into.snr.max(from.snr);
            into.px += from.px;
            into.object_share += from.object_share;
            let (a, b) = (into.bounds, from.bounds);
            into.bounds = [a[0].min(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].max(b[3])];
        }
        // Which parts are islands that count, and their numbers among those.
        let limits = &self.limits;
        let mut numbers = vec![None; self.parts.len()];
        let mut found: Vec<SpuriousIsland> = Vec::new();
        for (part, (island, root)) in self.parts.iter().enumerate() {
            let share = island.object_share / island.px as f64;
            let counts = island.snr >= limits.detect_sigma && island.px >= limits.least_px && share < OBJECT_SHARE;
            if part == *root && counts {
                numbers[part] = Some(found.len());
                found.push(SpuriousIsland { object_share: share, ..island.clone() });
            }
        }
        for (part, run) in std::mem::take(&mut self.runs) {
            let root = self.root(part as usize);
            if let Some(number) = numbers[root] {
                found[number].runs.push(run);
            }
        }
        found
    }
}

/// The islands of a whole sky, without a map: what [`crate::simulate`] writes.
pub fn spurious_islands(sky: &Sky, objects: &[TrueObject]) -> Vec<SpuriousIsland> {
    let side = sky.config.side;
    let order = mask_order(objects);
    let mut finder = SpuriousFinder::new(&sky.config.truth);
    let mut sigma = vec![0f32; side];
    for row in (0..side).step_by(STRIP_ROWS) {
        let rows = STRIP_ROWS.min(side - row);
        let artefacts = sky.artefact_window(row as i64, 0, rows, side);
        let mask = mask_strip(&order, row, rows, side);
        for (r, line) in artefacts.outer_iter().enumerate() {
            sky.rms.sigma_row((row + r) as i64, 0, &mut sigma);
            if let Some(line) = line.as_slice() {
                finder.add_row(row + r, line, &sigma, &mask[r * side..(r + 1) * side]);
            }
        }
    }
    finder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SimConfig, Tier};

    /// Islands of a picture in units of the noise; `o` marks a pixel of 3 sigma under an object.
    fn islands(rows: &[&str]) -> Vec<SpuriousIsland> {
        let mut finder = SpuriousFinder::new(&SimConfig::emu_pilot(Tier::Tiny, 1).truth);
        for (row, text) in rows.iter().enumerate() {
            let value = |c: char| match c {
                'o' => 3.0,
                'b' => 9.0,
                '-' => -9.0,
                _ => c.to_digit(10).map_or(0.0, |d| d as f32),
            };
            let artefacts: Vec<f32> = text.chars().map(|c| value(c) * 2e-5).collect();
            let sigma: Vec<f32> = text.chars().map(|c| if c == 'b' { f32::NAN } else { 2e-5 }).collect();
            let objects: Vec<i32> = text.chars().map(|c| i32::from(c == 'o')).collect();
            finder.add_row(row, &artefacts, &sigma, &objects);
        }
        finder.finish()
    }

    #[test]
    fn a_cup_whose_arms_meet_below_is_one_island() {
        let found = islands(&["3..3.", "3..6.", "3..3.", ".33..", "....."]);
        assert_eq!(found.len(), 1);
        let island = &found[0];
        assert_eq!((island.px, island.place, island.bounds), (8, [1, 3], [0, 4, 0, 4]));
        assert!((island.peak - 1.2e-4).abs() < 1e-9 && (island.snr - 6.0).abs() < 1e-4, "{island:?}");
    }

    #[test]
    fn small_faint_negative_covered_and_blank_ones_do_not_count() {
        assert_eq!(islands(&["666.."]).len(), 0, "too small");
        assert_eq!(islands(&["44444444"]).len(), 0, "no pixel of 5 sigma");
        assert_eq!(islands(&["--------"]).len(), 0, "negative");
        assert_eq!(islands(&["bbbbbbbb"]).len(), 0, "blank");
        assert_eq!(islands(&["6333oo"]).len(), 0, "a third under an object");
        assert_eq!(islands(&["66333", ".....", "33366"]).len(), 2, "two");
        let found = islands(&["63333o"]);
        assert!(found.len() == 1 && (found[0].object_share - 1.0 / 6.0).abs() < 1e-12);
    }
}
