//! Cutouts of some of the points, small enough to travel inside a page.
use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ndarray::Array2;
use radio_io::{FrameSet, Manifest, Mosaic, MosaicPool, read_png};
use rayon::prelude::*;

use crate::manifest_frames::is_manifest;
use crate::progress::Stage;
use crate::report::sky_tile::{encode_png, sky_tile};
use crate::stages::open_survey;

/// Endings that a name may lack.
const ENDINGS: [&str; 4] = ["", ".png", ".fits", ".fits.gz"];

/// Where cutouts come from, and how many there may be.
#[derive(Debug, Clone, clap::Args)]
pub struct PictureOptions {
    /// The survey file or manifest that the rows were embedded from: a click on a point shows its cutout.
    #[arg(long, value_name = "FILE", conflicts_with = "images")]
    pub survey: Option<PathBuf>,
    /// Folder with a FITS or PNG picture for each row, named as the row.
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// Most cutouts in the page; of more rows every so manyth has one.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    pub pictures: u32,
    /// Largest side of a cutout in the page, pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=256))]
    pub picture_side: u32,
}

/// The cutouts.
pub struct Pictures {
    /// PNG file by row.
    pub png: BTreeMap<usize, Vec<u8>>,
    /// Where they are from; `None` if nowhere.
    pub source: Option<String>,
}

/// Cutouts of at most so many of the rows, evenly chosen.
///
/// # Errors
/// If the source cannot be opened, or no row has a picture in it.
pub fn pictures(options: &PictureOptions, ids: &[String]) -> Result<Pictures> {
    let (side, most) = (options.picture_side as usize, options.pictures as usize);
    let source = options.survey.as_ref().or(options.images.as_ref());
    let Some(source) = source.filter(|_| most > 0) else { return Ok(Pictures { png: BTreeMap::new(), source: None }) };
    let chosen = evenly(ids.len(), most);
    let png = match (&options.images, is_manifest(source)) {
        (Some(folder), _) => tiles(&chosen, side, |row| picture_of(folder, &ids[row]))?,
        (None, true) => {
            let manifest = Manifest::read(source)?;
            let places: HashMap<&str, usize> =
                manifest.rows.iter().enumerate().map(|(place, row)| (row.id.as_str(), place)).collect();
            let pool = MosaicPool::new(&manifest, MosaicPool::DEFAULT_CAPACITY);
            tiles(&chosen, side, |row| {
                let place = places.get(ids[row].as_str()).with_context(|| format!("no cutout `{}`", ids[row]))?;
                Ok(pool.pixels(&manifest, *place)?)
            })?
        }
        (None, false) => {
            let set = FrameSet::of_survey(&open_survey(source)?)?;
            let places: HashMap<String, usize> =
                set.ids().into_iter().enumerate().map(|(place, id)| (id.to_string(), place)).collect();
            tiles(&chosen, side, |row| {
                let place = places.get(&ids[row]).with_context(|| format!("no frame `{}`", ids[row]))?;
                Ok(set.pixels(*place)?)
            })?
        }
    };
    let mut missing = png.iter().filter_map(|(_, tile)| tile.as_ref().err());
    if let Some(first) = missing.next() {
        let without = 1 + missing.count();
        ensure!(without < chosen.len(), "{}: no row has a picture; the first: {first:#}", source.display());
        eprintln!("{without} of {} cutouts are missing; the first: {first:#}", chosen.len());
    }
    let png = png.into_iter().filter_map(|(row, tile)| Some((row, tile.ok()?))).collect();
    let source = source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Pictures { png, source: Some(source) })
}

/// At most `most` of `n` rows, from first to last.
pub(crate) fn evenly(n: usize, most: usize) -> Vec<usize> {
    let shown = n.min(most);
    (0..shown).map(|place| (place as u128 * n as u128 / shown as u128) as usize).collect()
}

type Tile = Result<Vec<u8>>;

/// The rows' cutouts as PNG files; what cannot be read is an error of its own.
fn tiles(
    rows: &[usize],
    side: usize,
    pixels: impl Fn(usize) -> Result<Array2<f32>> + Sync,
) -> Result<Vec<(usize, Tile)>> {
    let stage = Stage::start("cutouts for the page");
    let tile = |row: usize| Ok(encode_png(&sky_tile(pixels(row)?.view(), side))?);
    let tiles = rows.par_iter().map(|&row| (row, tile(row))).collect();
    stage.end("");
    Ok(tiles)
}

/// Pixels of a picture in a folder, the lowest row first as in a FITS file.
fn picture_of(folder: &Path, id: &str) -> Result<Array2<f32>> {
    let inside = !id.is_empty() && Path::new(id).components().all(|part| matches!(part, Component::Normal(_)));
    ensure!(inside, "expected a file name inside the folder, found `{id}`");
    let candidates = ENDINGS.map(|ending| folder.join(format!("{id}{ending}")));
    let path = candidates.iter().find(|path| path.is_file()).with_context(|| format!("no picture `{id}`"))?;
    south_first(path)
}

/// Pixels of a FITS or PNG picture, the lowest row first: PNG files begin at the top.
///
/// # Errors
/// If the file is no such picture.
pub(crate) fn south_first(path: &Path) -> Result<Array2<f32>> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
        return Ok(read_png(path)?.slice_move(ndarray::s![..;-1, ..]));
    }
    Ok(Mosaic::open(path)?.full()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_evenly() {
        assert_eq!(evenly(10, 4), [0, 2, 5, 7]);
        assert_eq!(evenly(3, 9), [0, 1, 2]);
        assert!(evenly(5, 0).is_empty() && evenly(0, 5).is_empty());
    }

    #[test]
    fn pictures_are_found_by_name_and_never_outside_the_folder() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let picture = Array2::from_shape_fn((6, 5), |(row, _)| if row == 0 { 200u8 } else { (row % 3) as u8 });
        radio_io::write_gray_png(&folder.path().join("a.png"), &picture)?;
        assert_eq!(picture_of(folder.path(), "a")?[(5, 0)], 200.0, "the top row of a PNG is the northernmost");
        for name in ["", "../a", "/a", "b"] {
            assert!(picture_of(folder.path(), name).is_err(), "{name}");
        }
        let options = |most| PictureOptions {
            survey: None,
            images: Some(folder.path().to_path_buf()),
            pictures: most,
            picture_side: 16,
        };
        let found = pictures(&options(9), &["b".into(), "a".into()])?;
        assert_eq!((found.png.keys().copied().collect::<Vec<_>>(), found.source.is_some()), (vec![1], true));
        assert!(pictures(&options(9), &["b".into()]).is_err(), "no picture at all");
        assert!(pictures(&options(0), &["a".into()])?.png.is_empty());
        Ok(())
    }
}
