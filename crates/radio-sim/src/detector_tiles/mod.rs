//! Detector tiles over several skies: images, one mask per object, detection lists, in the published shares of five classes.
//!
//! [`write_detector_tiles`] is the main path. Layout of each half (`train`, `test`): `NAME.json` per tile (the *caesar* form;
//! paths are relative to the folder), `filelist.txt` with their names, `images/NAME.fits`, `masks/NAME_OBJECT.fits`, on request
//! `labels/NAME.fits` (one label image: 1, 2, ... in the order of the list), and `coco.json`. `filelist.txt` is written last: a
//! half without it is not complete.

pub mod caesar;
pub mod coco;
pub mod draw;
pub mod rectangle;
pub mod tile;

use crate::config::{ArrayLayout, SimConfig};
use crate::error::SimError;
use crate::rgz::Use;
use crate::sky::render_window;
use crate::survey::{Progress, survey_wcs};
use atomic_file::write_atomically;
use caesar::{CaesarImage, caesar_object};
use coco::coco_file;
use draw::{Tile, class_counts, draw_tiles};
use ndarray::Array2;
use radio_io::{Card, robust_rms, write_image};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use tile::DetectorSky;

/// How many tiles, how large, in which shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TileSettings {
    /// Seed of the draw.
    pub seed: u64,
    /// Side of a tile, pixels.
    pub side: usize,
    /// Largest distance of the chosen object from the middle, pixels along rows and columns.
    pub jitter: usize,
    /// Side of the sky blocks that are training or test sky as a whole, pixels.
    pub block: usize,
    /// Share of the blocks that are test sky.
    pub test_share: f64,
    /// Training tiles.
    pub train: usize,
    /// Test tiles.
    pub test: usize,
    /// Shares of SPURIOUS, COMPACT, EXTENDED, EXTENDED-MULTISLAND, FLAGGED among the objects of the training tiles.
    pub train_shares: [f64; 5],
    /// The same of the test tiles.
    pub test_shares: [f64; 5],
    /// Tiles of which the best is taken at each step.
    pub choices: usize,
    /// Whether a label image of each tile is written too.
    pub label_images: bool,
}

impl TileSettings {
    /// The published numbers: 3245 training and 5110 test tiles of 132 pixels.
    ///
    /// # Source
    /// Riggi et al. 2023; reference-facts A4.
    pub fn published(seed: u64) -> Self {
        Self {
            seed,
            side: 132,
            jitter: 40,
            block: 1024,
            test_share: 0.4,
            train: 3245,
            test: 5110,
            train_shares: [14.4, 53.6, 20.1, 10.3, 1.7],
            test_shares: [6.6, 80.0, 8.5, 4.1, 0.8],
            choices: 16,
            label_images: false,
        }
    }

    /// Checks the limits between the numbers.
    ///
    /// # Errors
    /// [`SimError::Config`] naming the first key that is out of range.
    pub fn check(&self) -> Result<(), SimError> {
        let refuse = |key, found: String, expected| Err(SimError::Config { key, found, expected });
        if !(16..=2048).contains(&self.side) || self.block < self.side || 2 * self.jitter >= self.side {
            let found = format!("side {}, block {}, jitter {}", self.side, self.block, self.jitter);
            return refuse("tiles.side", found, "16 to 2048, at most the block, more than twice the jitter");
        }
        if !(0.0..=1.0).contains(&self.test_share) || self.choices == 0 {
            return refuse("tiles.test_share", self.test_share.to_string(), "0 to 1, and at least one choice");
        }
        for shares in [&self.train_shares, &self.test_shares] {
            if !shares.iter().all(|s| *s >= 0.0 && s.is_finite()) || shares.iter().sum::<f64>() <= 0.0 {
                return refuse("tiles.train_shares", format!("{shares:?}"), "shares >= 0, not all 0");
            }
        }
        Ok(())
    }
}

/// What was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileSummary {
    /// Training and test tiles.
    pub tiles: [usize; 2],
    /// Objects of the training and of the test tiles per class.
    pub objects: [[usize; 5]; 2],
}

/// Draws tiles over the skies of `configs` and writes both halves into `out`.
///
/// # Errors
/// [`SimError::Config`] for settings or a sky that contradict themselves; otherwise what the operating system refused.
pub fn write_detector_tiles(
    configs: &[SimConfig],
    settings: &TileSettings,
    out: &Path,
    progress: impl Fn(Progress) + Sync,
) -> Result<TileSummary, SimError> {
    settings.check()?;
    let mut skies = Vec::new();
    for (done, config) in configs.iter().enumerate() {
        progress(Progress { stage: "skies", done, total: configs.len() });
        skies.push(DetectorSky::new(config)?);
    }
    progress(Progress { stage: "skies", done: configs.len(), total: configs.len() });
    let mut summary = TileSummary { tiles: [0; 2], objects: [[0; 5]; 2] };
    for (half, part) in [Use::Train, Use::Test].into_iter().enumerate() {
        let tiles = draw_tiles(&skies, settings, part);
        summary.tiles[half] = tiles.len();
        summary.objects[half] = class_counts(&tiles);
        write_half(&skies, settings, &tiles, &out.join(part.name()), part, &progress)?;
    }
    Ok(summary)
}

fn write_half(
    skies: &[DetectorSky],
    settings: &TileSettings,
    tiles: &[Tile],
    folder: &Path,
    part: Use,
    progress: &(impl Fn(Progress) + Sync),
) -> Result<(), SimError> {
    let mut folders = vec!["images", "masks"];
    if settings.label_images {
        folders.push("labels");
    }
    for name in folders {
        let path = folder.join(name);
        std::fs::create_dir_all(&path).map_err(|source| SimError::Io { path, source })?;
    }
    let names: Vec<String> = tiles
        .iter()
        .map(|t| {
            format!("{}_s{}_{:05}_{:05}", skies[t.sky].sky.config.name, skies[t.sky].sky.config.seed, t.row, t.col)
        })
        .collect();
    let done = AtomicUsize::new(0);
    tiles.par_iter().zip(&names).try_for_each(|(tile, name)| {
        write_tile(&skies[tile.sky], settings, tile, name, folder)?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(Progress { stage: part.name(), done, total: tiles.len() });
        Ok(())
    })?;
    let images: Vec<String> = names.iter().map(|n| format!("images/{n}.fits")).collect();
    let description = format!("simulated radio tiles, {} half", part.name());
    write_json(&folder.join("coco.json"), &coco_file(tiles, &images, settings.side, description))?;
    let list: String = names.iter().map(|n| format!("{n}.json\n")).collect();
    let path = folder.join("filelist.txt");
    write_atomically(&path, |file| file.write_all(list.as_bytes())).map_err(|source| SimError::Io { path, source })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), SimError> {
    let text = serde_json::to_vec(value).map_err(|source| SimError::Json { path: path.to_path_buf(), source })?;
    write_atomically(path, |file| file.write_all(&text))
        .map_err(|source| SimError::Io { path: path.to_path_buf(), source })
}

fn write_tile(
    sky: &DetectorSky,
    settings: &TileSettings,
    tile: &Tile,
    name: &str,
    folder: &Path,
) -> Result<(), SimError> {
    let config = &sky.sky.config;
    let side = settings.side;
    let refused = |source| SimError::Map { source };
    let pixels = render_window(&sky.sky, tile.row, tile.col, side, side);
    let mut cards = survey_wcs(config)?.shifted(tile.row as f64, tile.col as f64).cards();
    let mask_cards = cards.clone();
    let beam = config.beam_arcsec / 3600.0;
    cards.push(Card::new("BUNIT", "Jy/beam", ""));
    cards.push(Card::new("BMAJ", beam, "degrees"));
    cards.push(Card::new("BMIN", beam, "degrees"));
    cards.push(Card::new("BPA", 0.0, "degrees"));
    cards.push(Card::new("RESTFRQ", config.frequency_mhz * 1e6, "Hz"));
    cards.push(Card::new("OBJECT", name, "tile of a simulated survey"));
    let image = format!("images/{name}.fits");
    write_image(&folder.join(&image), &pixels, &cards).map_err(refused)?;
    let mut objs = Vec::new();
    let mut labels = Array2::<i16>::zeros((side, side));
    for object in tile.objects.iter().filter(|o| !o.ignore) {
        let mask_path = format!("masks/{name}_{}.fits", object.name);
        let mut mask = Array2::<u8>::zeros((side, side));
        for run in &object.runs {
            for col in run.first..run.end {
                mask[[run.row as usize, col as usize]] = 1;
                labels[[run.row as usize, col as usize]] = objs.len() as i16 + 1;
            }
        }
        write_image(&folder.join(&mask_path), &mask, &mask_cards).map_err(refused)?;
        objs.push(caesar_object(object, mask_path, config.beam_px(), sky.sky.beam.area, side));
    }
    if settings.label_images {
        write_image(&folder.join(format!("labels/{name}.fits")), &labels, &mask_cards).map_err(refused)?;
    }
    let mut sorted: Vec<f32> = pixels.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f32::total_cmp);
    let list = CaesarImage {
        img: image,
        telescope: telescope(config).to_owned(),
        bkg: sorted.get(sorted.len() / 2).map_or(0.0, |v| f64::from(*v)),
        rms: f64::from(robust_rms(&sorted)),
        bmaj: config.beam_arcsec,
        bmin: config.beam_arcsec,
        dx: config.pixel_arcsec,
        dy: config.pixel_arcsec,
        nx: side,
        ny: side,
        objs,
    };
    write_json(&folder.join(format!("{name}.json")), &list)
}

/// The telescope that a sky resembles.
fn telescope(config: &SimConfig) -> &'static str {
    match config.artefacts.array.as_ref().map(|a| a.layout) {
        Some(ArrayLayout::MeerKat64) => "MeerKAT",
        Some(ArrayLayout::VlaY27) => "VLA",
        _ => "ASKAP",
    }
}
