//! The readers under test, each with good files of its format.
use std::path::Path;

use anyhow::Result;
use radio_io::{Card, FeatureTable, FrameLabels, Mosaic, Survey, Wcs, write_image};

use crate::format_targets::format_targets;
use crate::weight_targets::weight_targets;

/// A reader and good files for it.
pub struct Target {
    /// Name of the reader.
    pub name: &'static str,
    /// Ending of its files.
    pub extension: &'static str,
    /// Good files.
    pub seeds: Vec<Vec<u8>>,
    /// Reads a file to its end; the words of a refusal otherwise.
    pub read: fn(&Path) -> Result<(), String>,
    /// How many bytes of a good file a reader cannot do without: a shorter one must be refused.
    pub needs: fn(&[u8]) -> usize,
}

/// Any shorter file may still be a good one, as with lines of text.
pub fn may_end_anywhere(_: &[u8]) -> usize {
    0
}

/// All targets; good files are made below `work`.
pub fn targets(work: &Path) -> Result<Vec<Target>> {
    let mut targets = vec![
        Target {
            name: "FITS image",
            extension: "fits",
            seeds: fits_images(work)?,
            read: read_image,
            needs: |bytes| bytes.len().saturating_sub(2880),
        },
        Target {
            name: "survey.toml",
            extension: "toml",
            seeds: vec![SURVEY.into(), SURVEY.replace("id = \"s17\"", "").into_bytes()],
            read: |path| Survey::load(path, |_| Some("/data".to_owned())).map(drop).map_err(|e| e.to_string()),
            needs: may_end_anywhere,
        },
        Target {
            name: "frame labels",
            extension: "csv",
            seeds: vec![LABELS.into()],
            read: |path| FrameLabels::read(path).map(drop).map_err(|e| e.to_string()),
            needs: may_end_anywhere,
        },
        Target {
            name: "feature table CSV",
            extension: "csv",
            seeds: vec![feature_file(work, "csv", |table, path| Ok(table.write_csv(path)?))?],
            read: |path| FeatureTable::read_csv(path).map(drop).map_err(|e| e.to_string()),
            needs: may_end_anywhere,
        },
        Target {
            name: "feature table Parquet",
            extension: "parquet",
            seeds: vec![feature_file(work, "parquet", |table, path| Ok(table.write_parquet(path)?))?],
            read: |path| FeatureTable::read_parquet(path).map(drop).map_err(|e| e.to_string()),
            needs: <[u8]>::len,
        },
        Target {
            name: "feature table ASCII",
            extension: "dat",
            seeds: vec![feature_file(work, "dat", |table, path| Ok(table.write_ascii(path, &[1, 2, 3])?))?],
            read: |path| FeatureTable::read_ascii(path).map(drop).map_err(|e| e.to_string()),
            needs: may_end_anywhere,
        },
    ];
    targets.extend(format_targets(work)?);
    targets.extend(weight_targets(work)?);
    Ok(targets)
}

const SURVEY: &str = r#"name = "scorpio"
labels = "labels.csv"
[[mosaics]]
path = "${DATA}/maps/S17.fits"
id = "s17"
beam = { major_arcsec = 6.5, minor_arcsec = 6.5, pa_deg = 0.0 }
[frames]
size = 128
step = 64
edge = "drop"
max_blank_fraction = 0.3
"#;

const LABELS: &str = "frame,labels\nfield_r00000_c00064_s32,COMPACT;EXTENDED\nfield_r00016_c00064_s32,PECULIAR\nfield_r00032_c00064_s32,ARTEFACT\n";

/// What a reader of windows does: headers, sky, beam, and a few windows.
pub fn read_image(path: &Path) -> Result<(), String> {
    let words = |error: radio_io::FitsError| error.to_string();
    let mosaic = Mosaic::open(path).map_err(words)?;
    if let Ok(Some(wcs)) = mosaic.wcs()
        && let Some((ra, dec)) = wcs.sky(1.0, 2.0)
    {
        let _ = wcs.pixel(ra, dec);
    }
    let _ = (mosaic.beam(), mosaic.pixel_arcsec(), mosaic.unit());
    let (rows, cols) = (mosaic.rows().min(64), mosaic.cols().min(64));
    mosaic.window(0, 0, rows, cols).map_err(words)?;
    let (row, col) = (mosaic.rows() - rows, mosaic.cols() - cols);
    mosaic.window(row, col, rows, cols).map_err(words)?;
    Ok(())
}

fn fits_images(work: &Path) -> Result<Vec<Vec<u8>>> {
    let path = work.join("good.fits");
    let mut seeds = Vec::new();
    let map = ndarray::Array2::from_shape_fn((31, 47), |(row, col)| (row * 47 + col) as f32 * 1e-5);
    for projection in ["SIN", "TAN", "CAR", "ZEA"] {
        let mut cards = Wcs::north_up(projection, (201.4, -43.0), (15.0, 23.0), 2.0)?.cards();
        cards.extend(
            [("BMAJ", 8.0), ("BMIN", 7.0), ("BPA", 20.0)].map(|(name, value)| Card::new(name, value / 3600.0, "")),
        );
        write_image(&path, &map, &cards)?;
        seeds.push(std::fs::read(&path)?);
    }
    write_image(&path, &map.mapv(|value| (value * 1e5) as i16), &[])?;
    seeds.push(std::fs::read(&path)?);
    Ok(seeds)
}

fn feature_file(work: &Path, extension: &str, write: impl Fn(&FeatureTable, &Path) -> Result<()>) -> Result<Vec<u8>> {
    let path = work.join("good").with_extension(extension);
    let ids: Vec<String> = (0..3).map(|row| format!("field_r{row:05}_c00064_s32")).collect();
    let table = FeatureTable {
        ids,
        ra_deg: vec![201.4, f64::NAN, 0.0],
        dec_deg: vec![-43.0, f64::NAN, 90.0],
        rms_jy_beam: vec![3e-5, 2e-5, f32::NAN],
        blank_fraction: vec![0.0, 0.25, 0.1],
        features: ndarray::Array2::from_shape_fn((3, 4), |(row, col)| row as f32 - 0.5 * col as f32),
        ..FeatureTable::default()
    };
    write(&table, &path)?;
    Ok(std::fs::read(&path)?)
}
