//! Which tiles are drawn: so many that the classes come in the published shares, train and test from different sky.
//!
//! Greedy: the class that is furthest below its share is due next; of several tiles round objects of that class, the one is
//! taken that brings all shares closest to what is asked.

use super::TileSettings;
use super::tile::{DetectorSky, TileClass, TileObject};
use crate::address::{Address, Layer};
use crate::config::SimConfig;
use crate::rgz::Use;
use rand::Rng;
use std::collections::BTreeSet;

/// A tile: sky, first row and column, what is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    /// Number of the sky.
    pub sky: usize,
    /// First row.
    pub row: usize,
    /// First column.
    pub col: usize,
    /// Its objects, artefacts first.
    pub objects: Vec<TileObject>,
}

/// An object round which a tile may be drawn.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    sky: usize,
    row: i64,
    col: i64,
}

/// Objects per class that count in a list of tiles.
pub fn class_counts(tiles: &[Tile]) -> [usize; 5] {
    let mut counts = [0; 5];
    for object in tiles.iter().flat_map(|t| &t.objects).filter(|o| !o.ignore) {
        counts[object.class.index()] += 1;
    }
    counts
}

/// Draws the tiles of one half; fewer than asked if the skies do not hold enough.
pub fn draw_tiles(skies: &[DetectorSky], settings: &TileSettings, part: Use) -> Vec<Tile> {
    let (wanted, shares) = match part {
        Use::Train => (settings.train, settings.train_shares),
        Use::Test => (settings.test, settings.test_shares),
    };
    let total: f64 = shares.iter().sum();
    let shares = shares.map(|s| s / total);
    let mut pools = anchors(skies, settings, part);
    let mut rng = Address { seed: settings.seed, layer: Layer::DetectorTiles, y: part as i64, x: -1, index: 0 }.rng();
    let (mut tiles, mut counts): (Vec<Tile>, [f64; 5]) = (Vec::new(), [0.0; 5]);
    let mut drawn = BTreeSet::new();
    while tiles.len() < wanted {
        let sum: f64 = counts.iter().sum();
        let lack = |c: usize| shares[c] - counts[c] / sum.max(1.0);
        let due =
            (0..5).filter(|c| !pools[*c].is_empty() && shares[*c] > 0.0).max_by(|a, b| lack(*a).total_cmp(&lack(*b)));
        let Some(class) = due else { break };
        let pool = &mut pools[class];
        let mut best: Option<(f64, Tile)> = None;
        let mut others = Vec::new();
        let mut best_anchor = None;
        for _ in 0..settings.choices.min(pool.len()) {
            let anchor = pool.swap_remove(rng.random_range(0..pool.len()));
            let Some(tile) = tile_round(skies, settings, anchor, &mut rng) else { continue };
            // In the corner of a block two objects may lead to one tile.
            if drawn.contains(&(tile.sky, tile.row, tile.col)) {
                continue;
            }
            let mut after = counts;
            tile.objects.iter().filter(|o| !o.ignore).for_each(|o| after[o.class.index()] += 1.0);
            if after == counts {
                continue;
            }
            let sum: f64 = after.iter().sum();
            // Relative to the share, so that a rare class weighs as much as a common one.
            let off: f64 = (0..5).map(|c| (after[c] / sum - shares[c]).powi(2) / shares[c].max(1e-3)).sum();
            if best.as_ref().is_none_or(|(so_far, _)| off < *so_far) {
                others.extend(best_anchor.replace(anchor));
                best = Some((off, tile));
            } else {
                others.push(anchor);
            }
        }
        pools[class].extend(others);
        if let Some((_, tile)) = best {
            tile.objects.iter().filter(|o| !o.ignore).for_each(|o| counts[o.class.index()] += 1.0);
            drawn.insert((tile.sky, tile.row, tile.col));
            tiles.push(tile);
        }
    }
    tiles
}

/// Whether a block of sky belongs to the test half.
fn is_test(config: &SimConfig, settings: &TileSettings, block: (i64, i64)) -> bool {
    let address =
        Address { seed: config.seed ^ settings.seed, layer: Layer::DetectorTiles, y: block.0, x: block.1, index: 1 };
    address.rng().random::<f64>() < settings.test_share
}

/// Objects and artefacts of one half of the sky, by class.
fn anchors(skies: &[DetectorSky], settings: &TileSettings, part: Use) -> [Vec<Anchor>; 5] {
    let mut pools: [Vec<Anchor>; 5] = Default::default();
    let block = settings.block as i64;
    for (number, sky) in skies.iter().enumerate() {
        let config = &sky.sky.config;
        let side = config.side as i64;
        let mut add = |class: TileClass, row: i64, col: i64| {
            let inside = row >= 0 && col >= 0 && row < side && col < side;
            let test = is_test(config, settings, (row.div_euclid(block), col.div_euclid(block)));
            if inside && test == (part == Use::Test) {
                pools[class.index()].push(Anchor { sky: number, row, col });
            }
        };
        for island in &sky.spurious {
            add(TileClass::Spurious, island.place[0] as i64, island.place[1] as i64);
        }
        for object in sky.objects.iter().filter(|o| o.detectable) {
            add(object.class.into(), object.y.round() as i64, object.x.round() as i64);
        }
    }
    pools
}

/// A tile round an anchor, at most `jitter` pixels off its middle and inside the anchor's block; `None` if it is blank somewhere.
fn tile_round(skies: &[DetectorSky], settings: &TileSettings, anchor: Anchor, rng: &mut impl Rng) -> Option<Tile> {
    let (side, block) = (settings.side as i64, settings.block as i64);
    let sky = &skies[anchor.sky];
    let whole = sky.sky.config.side as i64;
    let mut first = |at: i64| {
        let off = rng.random_range(-(settings.jitter as i64)..=settings.jitter as i64);
        let low = at.div_euclid(block) * block;
        let high = (low + block).min(whole) - side;
        (high >= low).then(|| (at + off - side / 2).clamp(low, high))
    };
    let (row, col) = (first(anchor.row)?, first(anchor.col)?);
    let steps = [0, side / 2, side - 1];
    let seen = steps.iter().all(|i| steps.iter().all(|j| sky.sky.rms.sigma(row + i, col + j).is_some()));
    let (row, col) = (row as usize, col as usize);
    seen.then(|| Tile { sky: anchor.sky, row, col, objects: sky.objects_in(row, col, settings.side) })
}
