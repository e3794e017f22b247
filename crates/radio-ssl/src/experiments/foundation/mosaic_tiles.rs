//! Pictures from FITS maps: tiles beside each other at the map's own pixels, those with something in them.
use std::error::Error;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ndarray::Array2;
use radio_augment::FrameSource;
use radio_io::{FitsError, Mosaic, robust_rms};
use sha2::{Digest, Sha256};

use crate::experiments::held::HeldFrames;

/// A tile needs a pixel so many times its noise above its median.
const LEAST_PEAK: f32 = 5.0;
/// And at most this share of blank pixels.
const MOST_BLANK: f64 = 0.1;
/// Words in names of maps that show no sky: noise, background, residual, ranks of islands.
const PRODUCTS: [&str; 6] = ["rms", "bkg", "resid", "pyrank", "noise", "mask"];

/// Tiles of the maps of one folder.
pub struct MosaicTiles {
    tiles: Vec<(String, Array2<f32>)>,
    /// What was left out and why, a line for each map.
    pub remarks: Vec<String>,
}

impl FrameSource for MosaicTiles {
    fn len(&self) -> usize {
        self.tiles.len()
    }

    /// From the name of the file and the corner of the tile.
    fn address(&self, i: usize) -> u64 {
        Sha256::digest(self.tiles[i].0.as_bytes()).iter().take(8).fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    }

    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        Ok(self.tiles[i].1.clone())
    }
}

impl MosaicTiles {
    /// The tiles of every `.fits` file in a folder (not those below it), in order of names; `side` pixels, without overlap, the
    /// grid in the middle of the map.
    ///
    /// Left out, with a remark: tables, cubes, maps of whole numbers (masks), products of source finders (by name), maps smaller
    /// than a tile; tiles without a pixel five times their noise above their median, and those more than a tenth blank.
    ///
    /// # Errors
    /// If the folder cannot be listed, or a file cannot be read or is damaged.
    pub fn of_folder(folder: &Path, side: usize) -> Result<Self> {
        let mut found = Self { tiles: Vec::new(), remarks: Vec::new() };
        for path in fits_files(folder)? {
            found.add(&path, side)?;
        }
        Ok(found)
    }

    fn add(&mut self, path: &Path, side: usize) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let words = name.to_lowercase();
        if words.split(|c: char| !c.is_alphanumeric()).any(|word| PRODUCTS.contains(&word)) {
            self.remarks.push(format!("{name}: product of a source finder, left out"));
            return Ok(());
        }
        let map = match Mosaic::open(path) {
            Err(error @ (FitsError::NotAnImage { .. } | FitsError::NoImage { .. } | FitsError::NoPixels { .. })) => {
                // The message without the place of the file.
                let error = error.to_string().replace(&path.display().to_string(), &name);
                self.remarks.push(format!("left out, {error}"));
                return Ok(());
            }
            map => map?,
        };
        let (rows, cols) = (map.rows(), map.cols());
        if map.bitpix() > 0 {
            self.remarks.push(format!("{name}: whole numbers, left out"));
            return Ok(());
        }
        if rows < side || cols < side {
            self.remarks.push(format!("{name}: {rows} x {cols} pixels, smaller than a tile, left out"));
            return Ok(());
        }
        let (mut kept, mut empty, mut blank) = (0, 0, 0);
        for row in (rows % side / 2..=rows - side).step_by(side) {
            for col in (cols % side / 2..=cols - side).step_by(side) {
                let pixels = map.window(row, col, side, side)?;
                let n_blank = pixels.iter().filter(|pixel| !pixel.is_finite()).count();
                if n_blank as f64 > MOST_BLANK * pixels.len() as f64 {
                    blank += 1;
                } else if peak_over_noise(&pixels) > LEAST_PEAK {
                    kept += 1;
                    self.tiles.push((format!("{name}[{row},{col}]"), pixels));
                } else {
                    empty += 1;
                }
            }
        }
        self.remarks.push(format!("{name}: {kept} tiles; left out {empty} without a source and {blank} blank ones"));
        Ok(())
    }

    /// The tiles in memory.
    ///
    /// # Errors
    /// None in fact: they are in memory already.
    pub fn held(&self) -> Result<HeldFrames> {
        HeldFrames::read(self, None, |i| (self.tiles[i].0.clone(), None))
    }
}

/// `.fits` files of a folder, in order of names.
fn fits_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot list {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.is_file() && path.extension().is_some_and(|extension| extension == "fits") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Highest pixel above the median, in units of the noise; 0 if there is no noise to compare with.
fn peak_over_noise(pixels: &Array2<f32>) -> f32 {
    let mut finite: Vec<f32> = pixels.iter().copied().filter(|pixel| pixel.is_finite()).collect();
    if finite.is_empty() {
        return 0.0;
    }
    let rms = robust_rms(&finite);
    let middle = finite.len() / 2;
    let (_, &mut median, above) = finite.select_nth_unstable_by(middle, f32::total_cmp);
    let peak = above.iter().copied().fold(median, f32::max);
    if rms > 0.0 { (peak - median) / rms } else { 0.0 }
}
