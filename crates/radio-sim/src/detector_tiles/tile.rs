//! One tile of a sky and the objects in it, as a detector is shown them.

use crate::address::CELL;
use crate::config::SimConfig;
use crate::error::SimError;
use crate::mask::Run;
use crate::sky::Sky;
use crate::spurious::{SpuriousIsland, spurious_islands};
use crate::truth::{ArtefactBoxes, DetectionClass, TrueObject, true_objects};
use std::collections::BTreeMap;

/// The five classes of a detector, with the numbers of the published scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileClass {
    /// An artefact.
    Spurious = 1,
    /// One island, like a point.
    Compact = 2,
    /// One island, larger than a point.
    Extended = 3,
    /// Several islands.
    ExtendedMultisland = 4,
    /// One island, drowned in artefacts.
    Flagged = 5,
}

impl TileClass {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Spurious, Self::Compact, Self::Extended, Self::ExtendedMultisland, Self::Flagged];

    /// Name in detection lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spurious => "spurious",
            Self::Compact => "compact",
            Self::Extended => "extended",
            Self::ExtendedMultisland => "extended-multisland",
            Self::Flagged => "flagged",
        }
    }

    /// Place in [`TileClass::ALL`].
    pub fn index(self) -> usize {
        self as usize - 1
    }
}

impl From<DetectionClass> for TileClass {
    fn from(class: DetectionClass) -> Self {
        match class {
            DetectionClass::Flagged => Self::Flagged,
            DetectionClass::ExtendedMultisland => Self::ExtendedMultisland,
            DetectionClass::Extended => Self::Extended,
            DetectionClass::Compact => Self::Compact,
        }
    }
}

/// An object of a tile; its mask is cut at the tile's border.
#[derive(Debug, Clone, PartialEq)]
pub struct TileObject {
    /// Class; a multi-island object of which one island is inside is [`TileClass::Extended`].
    pub class: TileClass,
    /// `S` or `A` (artefact) and the number in the truth table.
    pub name: String,
    /// Islands inside the tile.
    pub islands: usize,
    /// True S/N.
    pub snr: f64,
    /// Flux density, Jy; 0 for artefacts.
    pub flux: f64,
    /// Whether the mask reaches the border of the tile.
    pub border: bool,
    /// Whether an artefact lies within two beams of its box.
    pub near_artefact: bool,
    /// Between the catalogue and the detection limit: a detection on it counts neither way.
    pub ignore: bool,
    /// Mask in pixels of the tile.
    pub runs: Vec<Run>,
    /// Pixels of that mask.
    pub px: usize,
}

impl TileObject {
    /// First row, row after the last, first column, column after the last.
    pub fn bounds(&self) -> [i32; 4] {
        self.runs.iter().fold([i32::MAX, i32::MIN, i32::MAX, i32::MIN], |b, r| {
            [b[0].min(r.row), b[1].max(r.row + 1), b[2].min(r.first), b[3].max(r.end)]
        })
    }
}

/// A sky with its whole truth, ready to be cut into tiles.
#[derive(Debug, Clone)]
pub struct DetectorSky {
    /// The sky.
    pub sky: Sky,
    /// Its objects.
    pub objects: Vec<TrueObject>,
    /// Its artefacts.
    pub spurious: Vec<SpuriousIsland>,
    /// Objects (`Ok`) and artefacts (`Err`) by the cells their boxes touch.
    cells: BTreeMap<(i64, i64), Vec<Result<u32, u32>>>,
}

impl DetectorSky {
    /// Draws the sky and measures its truth.
    ///
    /// # Errors
    /// [`SimError::Config`] if the configuration contradicts itself.
    pub fn new(config: &SimConfig) -> Result<Self, SimError> {
        let sky = Sky::new(config)?;
        let objects = true_objects(&sky, &ArtefactBoxes::new(&sky));
        let spurious = spurious_islands(&sky, &objects);
        let mut cells: BTreeMap<(i64, i64), Vec<Result<u32, u32>>> = BTreeMap::new();
        let all = (0..).zip(&objects).map(|(i, o)| (Ok(i), o.mask.runs.as_slice()));
        for (number, runs) in all.chain((0..).zip(&spurious).map(|(i, o)| (Err(i), o.runs.as_slice()))) {
            let mut touched: Vec<(i64, i64)> = runs
                .iter()
                .flat_map(|r| {
                    let row = i64::from(r.row).div_euclid(CELL);
                    let columns = i64::from(r.first).div_euclid(CELL)..=i64::from(r.end - 1).div_euclid(CELL);
                    columns.map(move |col| (row, col))
                })
                .collect();
            touched.sort_unstable();
            touched.dedup();
            for cell in touched {
                cells.entry(cell).or_default().push(number);
            }
        }
        Ok(Self { sky, objects, spurious, cells })
    }

    /// The objects of a tile whose first pixel is `(row, col)`: artefacts first, then by number. Those with fewer pixels inside
    /// than a detection needs are left out.
    pub fn objects_in(&self, row: usize, col: usize, side: usize) -> Vec<TileObject> {
        let (r0, c0, n) = (row as i64, col as i64, side as i64);
        let mut found: Vec<Result<u32, u32>> = Vec::new();
        for y in r0.div_euclid(CELL)..=(r0 + n - 1).div_euclid(CELL) {
            for x in c0.div_euclid(CELL)..=(c0 + n - 1).div_euclid(CELL) {
                found.extend(self.cells.get(&(y, x)).into_iter().flatten());
            }
        }
        // Artefacts (Err) first.
        found.sort_unstable_by_key(|f| match f {
            Err(i) => (0, *i),
            Ok(i) => (1, *i),
        });
        found.dedup();
        let mut objects: Vec<TileObject> = found
            .into_iter()
            .filter_map(|number| match number {
                Err(i) => {
                    let o = &self.spurious[i as usize];
                    let name = format!("A{}", i + 1);
                    self.cut(&o.runs, TileClass::Spurious, name, o.snr, 0.0, false, row, col, side)
                }
                Ok(i) => {
                    let o = &self.objects[i as usize];
                    let name = format!("S{}", o.id);
                    self.cut(&o.mask.runs, o.class.into(), name, o.snr, o.flux, o.ignore(), row, col, side)
                }
            })
            .collect();
        let reach = (2.0 * self.sky.beam.fwhm).ceil() as i32;
        let artefacts: Vec<[i32; 4]> =
            objects.iter().filter(|o| o.class == TileClass::Spurious).map(TileObject::bounds).collect();
        for object in objects.iter_mut().filter(|o| o.class != TileClass::Spurious) {
            let b = object.bounds();
            let near = |a: &[i32; 4]| {
                a[0] <= b[1] + reach && b[0] <= a[1] + reach && a[2] <= b[3] + reach && b[2] <= a[3] + reach
            };
            object.near_artefact = artefacts.iter().any(near);
        }
        objects
    }

    /// Part of a mask inside a tile; `None` if that is too small.
    fn cut(
        &self,
        runs: &[Run],
        class: TileClass,
        name: String,
        snr: f64,
        flux: f64,
        ignore: bool,
        row: usize,
        col: usize,
        side: usize,
    ) -> Option<TileObject> {
        let (r0, c0, n) = (row as i32, col as i32, side as i32);
        let inside: Vec<Run> = runs
            .iter()
            .map(|r| Run { row: r.row - r0, first: (r.first - c0).max(0), end: (r.end - c0).min(n) })
            .filter(|r| r.row >= 0 && r.row < n && r.first < r.end)
            .collect();
        let px = inside.iter().map(|r| (r.end - r.first) as usize).sum();
        if px < self.sky.config.truth.least_px {
            return None;
        }
        let border = inside.iter().any(|r| r.row == 0 || r.row == n - 1 || r.first == 0 || r.end == n);
        let islands = count_islands(&inside);
        let class = if class == TileClass::ExtendedMultisland && islands == 1 { TileClass::Extended } else { class };
        Some(TileObject { class, name, islands, snr, flux, border, near_artefact: false, ignore, runs: inside, px })
    }
}

/// 8-connected parts of runs sorted by row.
fn count_islands(runs: &[Run]) -> usize {
    let mut parent: Vec<usize> = (0..runs.len()).collect();
    fn root(parent: &mut [usize], mut p: usize) -> usize {
        while parent[p] != p {
            parent[p] = parent[parent[p]];
            p = parent[p];
        }
        p
    }
    for (i, a) in runs.iter().enumerate() {
        for (j, b) in runs.iter().enumerate().skip(i + 1) {
            if b.row > a.row + 1 {
                break;
            }
            if b.row == a.row + 1 && b.first <= a.end && a.first <= b.end {
                let (p, q) = (root(&mut parent, i), root(&mut parent, j));
                parent[p.max(q)] = p.min(q);
            }
        }
    }
    (0..runs.len()).filter(|i| parent[*i] == *i).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn islands_touch_at_corners_and_join_below() {
        let run = |row, first, end| Run { row, first, end };
        assert_eq!(count_islands(&[run(0, 0, 2), run(0, 4, 6), run(1, 2, 4)]), 1, "a cup");
        assert_eq!(count_islands(&[run(0, 0, 2), run(1, 2, 3)]), 1, "a corner");
        assert_eq!(count_islands(&[run(0, 0, 2), run(1, 3, 4), run(3, 0, 9)]), 3);
        assert_eq!(count_islands(&[]), 0);
    }
}
