//! The leak guard: does one set show what another one shows?
//!
//! Asked of training and test sets before anything is believed. Cutouts overlap half, mosaics overlap at their borders, and
//! published sets share objects, so sameness is looked for in four ways: shared pixels of one mosaic, overlapping boxes on the
//! sky, centres within a radius, and pictures that look alike ([`PictureHash`]), for sets without positions.

use rayon::prelude::*;

use crate::error::Error;

use super::{
    manifest::{Manifest, Window},
    mosaic_pool::MosaicPool,
    picture_hash::{HashFloor, PictureHash},
    sky_neighbours::{Place, SkyCorners, links_between},
};

/// What counts as the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeakGuard {
    /// Centres at most so far apart show the same object, arc seconds.
    pub radius_arcsec: f64,
    /// Which pictures look alike; `None` compares no pictures.
    pub looks: Option<Looks>,
}

/// When two pictures look alike: both must hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Looks {
    /// Most bits of 64 in which their hashes differ; 8 finds copies with some other noise.
    pub most_bits: u32,
    /// Least correlation of the reduced pictures. Noise of two places is uncorrelated, so 0.8 is safe with
    /// [`super::HashFloor::Noise`]; thresholded pictures of one source each need 0.95 or more, and remain doubtful.
    pub least_correlation: f64,
}

/// One cutout or picture, as far as it is known. What is `None` is not compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GuardEntry {
    /// Its name.
    pub id: String,
    /// Right ascension and declination of its centre, degrees, J2000.
    pub sky: Option<(f64, f64)>,
    /// Its corners on the sky in order around it, degrees.
    pub corners: Option<SkyCorners>,
    /// The mosaic ([`super::MosaicRecord::pixel_grid`]) and its pixels there.
    pub window: Option<((u64, String), Window)>,
    /// What it looks like.
    pub hash: Option<PictureHash>,
}

/// Why two entries count as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeakReason {
    /// They share pixels of one mosaic, or of two planes of one cube.
    SharedPixels,
    /// Their boxes on the sky overlap, across mosaics.
    OverlappingBoxes,
    /// Their centres lie within the radius.
    NearCentres,
    /// They look alike.
    AlikePictures,
}

/// An entry of the first set and one of the second that show the same.
#[derive(Debug, Clone, PartialEq)]
pub struct LeakPair {
    /// Place in the first set.
    pub first: usize,
    /// Place in the second set.
    pub second: usize,
    /// Every reason, sorted; at least one.
    pub reasons: Vec<LeakReason>,
    /// Distance of the centres, arc seconds; `None` if one is unknown.
    pub separation_arcsec: Option<f64>,
    /// Bits in which the hashes differ and correlation of the reduced pictures; `None` if one has none.
    pub looks: Option<(u32, f64)>,
}

/// All pairs, sorted by their places in the first and the second set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeakReport {
    /// The pairs.
    pub pairs: Vec<LeakPair>,
}

impl LeakReport {
    /// How many pairs have that reason, perhaps among others.
    pub fn count(&self, reason: LeakReason) -> usize {
        self.pairs.iter().filter(|pair| pair.reasons.contains(&reason)).count()
    }

    /// Entries of the second set that show something of the first, sorted: what to drop from it.
    pub fn leaked(&self) -> Vec<usize> {
        let mut places: Vec<usize> = self.pairs.iter().map(|pair| pair.second).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// Compares two sets.
///
/// Hashes are compared all with all (a few nanoseconds a pair), places by cells.
///
/// # Errors
/// [`Error::DataSetSetting`] if the radius is negative or not a number, the number of bits above 32 (unrelated pictures are
/// about 24 bits apart), or the correlation not a number.
pub fn find_leaks(first: &[GuardEntry], second: &[GuardEntry], guard: &LeakGuard) -> Result<LeakReport, Error> {
    let LeakGuard { radius_arcsec, looks } = *guard;
    if !(0.0..=648_000.0).contains(&radius_arcsec) {
        let found = radius_arcsec.to_string();
        return Err(Error::DataSetSetting { key: "radius_arcsec", found, expected: "from 0 to half the sky" });
    }
    if let Some(Looks { most_bits, least_correlation }) = looks {
        if most_bits > 32 {
            return Err(Error::DataSetSetting { key: "most_bits", found: most_bits.to_string(), expected: "0 to 32" });
        }
        if !(-1.0..=1.0).contains(&least_correlation) {
            let found = least_correlation.to_string();
            return Err(Error::DataSetSetting { key: "least_correlation", found, expected: "from -1 to 1" });
        }
    }
    // Files get numbers, the same in both sets.
    let mut files = std::collections::HashMap::new();
    let mut places = |entries: &[GuardEntry]| -> Vec<Place> {
        let mut place = |entry: &GuardEntry| {
            let window = entry.window.as_ref().map(|(file, window)| {
                let next = files.len();
                (*files.entry(file.clone()).or_insert(next), *window)
            });
            Place { sky: entry.sky, corners: entry.corners, window }
        };
        entries.iter().map(&mut place).collect()
    };
    let (first_places, second_places) = (places(first), places(second));
    let mut pairs = std::collections::BTreeMap::new();
    for link in links_between(&first_places, &second_places, radius_arcsec) {
        let reasons = [
            (link.pixels, LeakReason::SharedPixels),
            (link.boxes, LeakReason::OverlappingBoxes),
            (link.near, LeakReason::NearCentres),
        ];
        let reasons: Vec<LeakReason> = reasons.into_iter().filter(|(is_so, _)| *is_so).map(|(_, why)| why).collect();
        pairs.insert((link.first, link.second), reasons);
    }
    for (a, b) in alike(first, second, looks) {
        pairs.entry((a, b)).or_default().push(LeakReason::AlikePictures);
    }
    let pair = |((a, b), reasons): ((usize, usize), Vec<LeakReason>)| LeakPair {
        first: a,
        second: b,
        reasons,
        separation_arcsec: first[a].sky.zip(second[b].sky).map(|(a, b)| crate::separation_arcsec(a, b)),
        looks: first[a].hash.as_ref().zip(second[b].hash.as_ref()).map(|(a, b)| (a.distance(b), a.correlation(b))),
    };
    Ok(LeakReport { pairs: pairs.into_iter().map(pair).collect() })
}

/// Pairs that look alike, sorted.
fn alike(first: &[GuardEntry], second: &[GuardEntry], looks: Option<Looks>) -> Vec<(usize, usize)> {
    let Some(Looks { most_bits, least_correlation }) = looks else { return Vec::new() };
    let of_one = |(a, entry): (usize, &GuardEntry)| -> Vec<(usize, usize)> {
        let Some(hash) = &entry.hash else { return Vec::new() };
        let is_alike =
            |other: &PictureHash| hash.distance(other) <= most_bits && hash.correlation(other) >= least_correlation;
        let others = second.iter().enumerate().filter(|(_, other)| other.hash.as_ref().is_some_and(is_alike));
        others.map(|(b, _)| (a, b)).collect()
    };
    first.par_iter().enumerate().flat_map_iter(of_one).collect()
}

/// The cutouts of a manifest, with hashes from [`hash_cutouts`] or without.
///
/// # Errors
/// Those of [`Manifest::corners`], and [`Error::DataSetSetting`] if there are hashes but not one for each cutout.
pub fn guard_entries(manifest: &Manifest, hashes: Option<&[Option<PictureHash>]>) -> Result<Vec<GuardEntry>, Error> {
    if let Some(hashes) = hashes.filter(|hashes| hashes.len() != manifest.len()) {
        let found = format!("{} for {} cutouts", hashes.len(), manifest.len());
        return Err(Error::DataSetSetting { key: "hashes", found, expected: "one for each cutout" });
    }
    let corners = manifest.corners()?;
    let entries = manifest.rows.iter().zip(corners).enumerate().map(|(number, (row, corners))| {
        let file = manifest.mosaics.get(row.mosaic as usize).map(super::MosaicRecord::pixel_grid);
        GuardEntry {
            id: row.id.clone(),
            sky: row.sky,
            corners,
            window: file.map(|file| (file, row.window)),
            hash: hashes.and_then(|hashes| hashes[number].clone()),
        }
    });
    Ok(entries.collect())
}

/// Hashes every cutout of a manifest, in parallel; `None` for those that show nothing.
///
/// # Errors
/// Those of [`MosaicPool::pixels`].
pub fn hash_cutouts(
    manifest: &Manifest,
    pool: &MosaicPool,
    floor: HashFloor,
) -> Result<Vec<Option<PictureHash>>, Error> {
    let hash = |index| Ok(PictureHash::of(pool.pixels(manifest, index)?.view(), floor));
    (0..manifest.len()).into_par_iter().map(hash).collect()
}
