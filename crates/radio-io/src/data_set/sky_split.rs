//! Division of a data set by the sky, so that no part sees what another part sees.
//!
//! Half-overlapping frames put every point of the sky into about four of them, and mosaics overlap: a random split would show
//! one source on both sides. Here blocks of sky are divided, not frames. Frames that overlap each other but no others form a
//! group that is kept whole if it is no larger than a block, as around catalogued sources; where overlaps run on without
//! end, as in a blind set, frames at the border between two parts are used for none.

use std::collections::{BTreeMap, HashMap};

use crate::{celestial::separation_arcsec, error::Error};

use super::{
    keyed_order::keyed,
    manifest::{Manifest, Part},
    sky_neighbours::{Link, Place, links_within},
};

/// How a data set is divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SkySplit {
    /// Shares of the cutouts for training, validation and test; any positive sum. A share of 0 leaves that part empty.
    pub shares: [f64; 3],
    /// Side of a block of sky, degrees. Several frame sides, or much is lost at borders.
    pub block_deg: f64,
    /// Cutouts whose centres are at most so far apart, or that overlap, never end in two parts; arc seconds.
    pub guard_arcsec: f64,
    /// Chooses which blocks go where.
    pub seed: u64,
}

/// A division into `k` folds of sky.
#[derive(Debug, Clone, PartialEq)]
pub struct SkyFolds {
    /// The fold of every cutout, 0 to k − 1.
    pub fold: Vec<u32>,
    links: Vec<Link>,
}

/// Part of every cutout. Border frames are taken from training before validation, and from validation before test. The blocks,
/// in an order that the seed chooses, go to the part that lacks most; cutouts without a known sky go by mosaic.
///
/// # Errors
/// [`Error::DataSetSetting`], and those of [`Manifest::corners`].
pub fn split_by_sky(manifest: &Manifest, split: &SkySplit) -> Result<Vec<Part>, Error> {
    if split.shares.iter().any(|share| !(*share >= 0.0 && share.is_finite())) || split.shares.iter().sum::<f64>() <= 0.0
    {
        let found = format!("{:?}", split.shares);
        return Err(Error::DataSetSetting { key: "shares", found, expected: "numbers from 0, not all 0" });
    }
    let (places, links) = places_and_links(manifest, split.block_deg, split.guard_arcsec)?;
    let blocks = blocks(manifest, &places, &links, split.block_deg);
    let parts = [Part::Train, Part::Valid, Part::Test];
    let mut chosen: Vec<Part> = dealt(&blocks, &split.shares, split.seed).into_iter().map(|n| parts[n]).collect();
    let divided = chosen.clone();
    for link in links.iter().filter(|link| divided[link.first] != divided[link.second]) {
        let (a, b) = (divided[link.first], divided[link.second]);
        chosen[if a < b { link.first } else { link.second }] = Part::Border;
    }
    Ok(chosen)
}

/// Divides into `k` folds of nearly equal size.
///
/// # Errors
/// [`Error::DataSetSetting`] if `k` is below 2, and those of [`split_by_sky`].
pub fn sky_folds(manifest: &Manifest, k: u32, block_deg: f64, guard_arcsec: f64, seed: u64) -> Result<SkyFolds, Error> {
    if k < 2 {
        return Err(Error::DataSetSetting { key: "folds", found: k.to_string(), expected: "at least 2" });
    }
    let (places, links) = places_and_links(manifest, block_deg, guard_arcsec)?;
    let blocks = blocks(manifest, &places, &links, block_deg);
    let fold = dealt(&blocks, &vec![1.0; k as usize], seed).into_iter().map(|fold| fold as u32).collect();
    Ok(SkyFolds { fold, links })
}

impl SkyFolds {
    /// Part of every cutout when fold `test` is the test set: the rest is for training, less what lies at its border.
    pub fn parts(&self, test: u32) -> Vec<Part> {
        let is_test = |place: usize| self.fold[place] == test;
        let side = |&fold: &u32| if fold == test { Part::Test } else { Part::Train };
        let mut parts: Vec<Part> = self.fold.iter().map(side).collect();
        for link in self.links.iter().filter(|link| is_test(link.first) != is_test(link.second)) {
            parts[if is_test(link.first) { link.second } else { link.first }] = Part::Border;
        }
        parts
    }
}

impl Manifest {
    /// The same manifest with a part for every row; `step` says in words how they were chosen and joins the history.
    ///
    /// # Errors
    /// [`Error::DataSetSetting`] if there is not one part for each row.
    pub fn with_parts(&self, parts: &[Part], step: &str) -> Result<Self, Error> {
        if parts.len() != self.len() {
            let found = format!("{} for {} cutouts", parts.len(), self.len());
            return Err(Error::DataSetSetting { key: "parts", found, expected: "one for each cutout" });
        }
        let mut parted = self.clone();
        parted.rows.iter_mut().zip(parts).for_each(|(row, part)| row.part = Some(*part));
        parted.history.push(step.to_owned());
        Ok(parted)
    }
}

fn places_and_links(manifest: &Manifest, block_deg: f64, guard_arcsec: f64) -> Result<(Vec<Place>, Vec<Link>), Error> {
    let refuse = |key, found: f64, expected| Err(Error::DataSetSetting { key, found: found.to_string(), expected });
    if !(block_deg > 1e-4 && block_deg <= 90.0) {
        return refuse("block_deg", block_deg, "more than 0.0001 and at most 90 degrees");
    }
    if !(0.0..=36_000.0).contains(&guard_arcsec) {
        return refuse("guard_arcsec", guard_arcsec, "from 0 to 36,000 (10 degrees)");
    }
    // The same file twice in one manifest is one mosaic here, and so are the planes of a cube.
    let mut first_of = HashMap::new();
    let of_mosaic = manifest.mosaics.iter().enumerate();
    let files: Vec<usize> =
        of_mosaic.map(|(number, mosaic)| *first_of.entry(mosaic.pixel_grid()).or_insert(number)).collect();
    let place = |(row, corners): (&super::ManifestRow, _)| Place {
        sky: row.sky,
        corners,
        window: files.get(row.mosaic as usize).map(|file| (*file, row.window)),
    };
    let places: Vec<Place> = manifest.rows.iter().zip(manifest.corners()?).map(place).collect();
    let links = links_within(&places, guard_arcsec);
    Ok((places, links))
}

/// A block of sky: a cell of a band of declination, or a mosaic without a sky.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Block {
    Sky { band: i64, cell: i64 },
    Mosaic(u32),
}

impl Block {
    fn name(&self) -> String {
        match self {
            Self::Sky { band, cell } => format!("sky {band} {cell}"),
            Self::Mosaic(number) => format!("mosaic {number}"),
        }
    }
}

/// The block of every cutout: that of its centre, or for a group that is no larger than a block that of its first member.
fn blocks(manifest: &Manifest, places: &[Place], links: &[Link], block_deg: f64) -> Vec<Block> {
    let own = |(row, place): (&super::ManifestRow, &Place)| {
        place.sky.map_or(Block::Mosaic(row.mosaic), |(ra, dec)| {
            let band = ((dec + 90.0) / block_deg).floor() as i64;
            let middle = ((band as f64 + 0.5) * block_deg - 90.0).min(90.0);
            // Whole cells around the sky, so that none is cut by the seam.
            let cells = (360.0 * middle.to_radians().cos().max(0.0) / block_deg).round().max(1.0);
            Block::Sky { band, cell: (ra / 360.0 * cells).floor() as i64 }
        })
    };
    let mut blocks: Vec<Block> = manifest.rows.iter().zip(places).map(own).collect();
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, group) in groups_of(places.len(), links).into_iter().enumerate() {
        groups.entry(group).or_default().push(place);
    }
    for (first, members) in groups {
        let centre = places[first].sky;
        let is_small = members.iter().all(|&member| match (centre, places[member].sky) {
            (Some(centre), Some(sky)) => separation_arcsec(centre, sky) <= block_deg * 1800.0,
            _ => false,
        });
        if is_small {
            let block = blocks[first].clone();
            members.into_iter().for_each(|member| blocks[member] = block.clone());
        }
    }
    blocks
}

/// The smallest place that each one is linked to, directly or through others.
fn groups_of(count: usize, links: &[Link]) -> Vec<usize> {
    fn root(parent: &mut [usize], mut place: usize) -> usize {
        while parent[place] != place {
            parent[place] = parent[parent[place]];
            place = parent[place];
        }
        place
    }
    let mut parent: Vec<usize> = (0..count).collect();
    for link in links {
        let (a, b) = (root(&mut parent, link.first), root(&mut parent, link.second));
        parent[a.max(b)] = a.min(b);
    }
    (0..count).map(|place| root(&mut parent, place)).collect()
}

/// Deals blocks to parts: in an order that the seed chooses, each block to the part that lacks most of its share.
fn dealt(blocks: &[Block], shares: &[f64], seed: u64) -> Vec<usize> {
    let mut sizes: BTreeMap<&Block, usize> = BTreeMap::new();
    blocks.iter().for_each(|block| *sizes.entry(block).or_default() += 1);
    let mut order: Vec<(u64, &Block, usize)> =
        sizes.into_iter().map(|(block, size)| (keyed(seed, &block.name()), block, size)).collect();
    order.sort();
    let total: f64 = shares.iter().sum();
    let mut lacks: Vec<f64> = shares.iter().map(|share| share / total * blocks.len() as f64).collect();
    let mut part_of = BTreeMap::new();
    for (_, block, size) in order {
        let wanted = (0..shares.len()).filter(|part| shares[*part] > 0.0);
        // The first of equals.
        let part = wanted.reduce(|best, part| if lacks[part] > lacks[best] { part } else { best }).unwrap_or(0);
        lacks[part] -= size as f64;
        part_of.insert(block, part);
    }
    blocks.iter().map(|block| part_of[block]).collect()
}
