//! Where the pictures of the foundation checkpoint come from, how many each origin gives, and on what terms.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use radio_augment::{FrameSource, Recipe, origin_groups};

use super::mosaic_tiles::MosaicTiles;
use crate::experiments::held::HeldFrames;
use crate::experiments::pools::{Pool, PoolSources, read_simulated};
use crate::model_card::DataOrigin;

/// Pictures of one origin.
struct Origin {
    name: String,
    terms: &'static str,
    frames: HeldFrames,
    remarks: Vec<String>,
}

const FIRST: &str = "VLA FIRST images, copyright of the University of California: free for scholarly, educational and private \
    non-commercial use; commercial use only with the leave of the owner";

/// Terms of a folder of the data, in our words.
fn terms(folder: &str) -> &'static str {
    match folder {
        "mirabest" => FIRST,
        "first-frg" => {
            "collection: MIT (F. Griese); pictures: VLA FIRST images, free for non-commercial use only, as those of mirabest"
        }
        "mgcls" => "collection: BSD 3-clause (M. Lochner); pictures: MeerKAT (SARAO), to be cited",
        "mosaics/atca-scorpio" => {
            "collection: GPL 3, stated to be for research; maps: SCORPIO survey, ATCA, to be cited"
        }
        "mosaics/meerkat" => "collection: MIT (A. G. Willis); maps: MeerKAT (SARAO), to be cited",
        "mosaics/wsrt" => "collection: MIT (A. G. Willis); map: Westerbork (ASTRON), to be cited",
        "mosaics/parkes" | "mosaics/synthetic" => "collection: Academic Free License 3.0 (P. Hancock)",
        "mosaics/pybdsf" => "collection: GPL 3 (PyBDSF)",
        "mosaics/samples" => {
            "collection: GPL 3 (sample files of caesar-mrcnn and caesar-yolo); one map is of VLA FIRST, non-commercial use only"
        }
        _ => "not known here: see the notices of the data",
    }
}

/// Every picture, with its origin, and what there is to say about each origin.
pub struct AllOrigins {
    /// The pictures; their origin is the place in `origins`.
    pub frames: HeldFrames,
    /// The origins.
    pub origins: Vec<DataOrigin>,
}

/// Reads the data folder and simulated skies: the middle `side` pixels of every picture, tiles of `side` pixels of every map.
///
/// Radio Galaxy Zoo's cutouts and `mirabest/full` are boxes in, and wider views of, the same pictures, and are not read again.
///
/// # Errors
/// If a picture cannot be read, or there is none of an origin. Pictures that the recipe cannot use are counted and named.
pub fn read(data: &Path, simulated: &[(String, PathBuf)], side: usize, batch: usize) -> Result<AllOrigins> {
    let sources = PoolSources { data: data.to_path_buf(), simulated: None };
    let mut found = Vec::new();
    for pool in [Pool::Mirabest, Pool::FirstFrg, Pool::Mgcls] {
        let (frames, facts) = sources.read(pool, side)?;
        let mut remarks = Vec::new();
        if !facts.all_zero.is_empty() {
            remarks.push(format!("all zero, used as such: {}", facts.all_zero.join(", ")));
        }
        found.push(Origin { name: pool.name().into(), terms: terms(pool.name()), frames, remarks });
    }
    found.extend(of_mosaics(&data.join("mosaics"), side)?);
    for (name, path) in simulated {
        let (frames, remarks) = read_simulated(path, side)?;
        let terms = "made by radio-ssl, no terms";
        found.push(Origin { name: format!("simulated {name}"), terms, frames, remarks });
    }
    let recipe = Pool::All.recipe(&Recipe::paper(side));
    for origin in &mut found {
        leave_out_unusable(origin, &recipe);
        ensure!(!origin.frames.is_empty(), "{}: no picture can be used", origin.name);
    }
    let numbers = |found: &[Origin]| {
        let of = |(number, origin): (usize, &Origin)| vec![number as u32; origin.frames.len()];
        found.iter().enumerate().flat_map(of).collect::<Vec<u32>>()
    };
    let groups = origin_groups(&numbers(&found), batch);
    let names: Vec<String> = found.iter().map(|origin| origin.name.clone()).collect();
    let with = |number: usize| {
        let group = groups.iter().find(|group| group.origins.contains(&(number as u32)));
        let others = group.iter().flat_map(|group| &group.origins).map(|&other| other as usize);
        others.filter(|&other| other != number).map(|other| names[other].clone()).collect::<Vec<_>>()
    };
    let origins = found
        .iter()
        .enumerate()
        .map(|(number, origin)| DataOrigin {
            name: origin.name.clone(),
            pictures: origin.frames.len(),
            shares_batches_with: with(number),
            terms: origin.terms.into(),
            remarks: origin.remarks.clone(),
        })
        .collect();
    let frames = HeldFrames::of_origins(found.into_iter().map(|origin| origin.frames).collect());
    Ok(AllOrigins { frames, origins })
}

/// One origin for each folder of maps, in order of names.
fn of_mosaics(folder: &Path, side: usize) -> Result<Vec<Origin>> {
    let cannot = || format!("cannot list {}", folder.display());
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    let mut found = Vec::new();
    for path in folders {
        let name = format!("mosaics/{}", path.file_name().unwrap_or_default().to_string_lossy());
        let tiles = MosaicTiles::of_folder(&path, side)?;
        if tiles.is_empty() {
            eprintln!("{name}: no tile can be used ({})", tiles.remarks.join("; "));
            continue;
        }
        let (terms, frames) = (terms(&name), tiles.held()?);
        found.push(Origin { name, terms, frames, remarks: tiles.remarks });
    }
    Ok(found)
}

/// What the recipe cannot use goes, and the remarks say so.
fn leave_out_unusable(origin: &mut Origin, recipe: &Recipe) {
    let unusable = origin.frames.facts(recipe).unusable;
    if unusable.is_empty() {
        return;
    }
    let is_usable = |&i: &usize| unusable.iter().all(|(id, _)| id != origin.frames.id(i));
    let kept: Vec<usize> = (0..origin.frames.len()).filter(is_usable).collect();
    let names: Vec<String> = unusable.iter().map(|(id, reason)| format!("{id} ({reason})")).collect();
    let few = names[..names.len().min(5)].join(", ");
    origin.remarks.push(format!("left out, cannot be used: {}, such as {few}", origin.frames.len() - kept.len()));
    origin.frames = origin.frames.part(&kept);
}
