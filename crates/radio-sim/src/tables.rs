//! The lists and text files of a survey: labels, cutouts by class, `survey.toml`, `sim.toml`; the truth is in [`crate::truth_tables`].

use crate::config::SimConfig;
use crate::error::SimError;
use crate::frames::Frame;
use crate::rgz::RgzCutout;
use atomic_file::write_atomically;
use radio_io::{EdgePolicy, FrameLabels, FrameSettings, MosaicEntry, Survey, Wcs};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a table whose rows are already text.
fn write_table(path: &Path, header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<(), SimError> {
    let text = || -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(header)?;
        for row in rows {
            writer.write_record(&row)?;
        }
        writer.into_inner().map_err(|e| csv::Error::from(std::io::Error::other(e.to_string())))
    };
    let text = text().map_err(|source| SimError::Table { path: path.to_path_buf(), source })?;
    write_text(path, &text)
}

fn write_text(path: &Path, text: &[u8]) -> Result<(), SimError> {
    write_atomically(path, |file| file.write_all(text))
        .map_err(|source| SimError::Io { path: path.to_path_buf(), source })
}

/// Right ascension and declination as text; empty where the map shows no sky.
fn sky_text(wcs: &Wcs, row: f64, col: f64) -> [String; 2] {
    match wcs.sky(row, col) {
        Some((ra, dec)) => [format!("{ra:.6}"), format!("{dec:.6}")],
        None => [String::new(), String::new()],
    }
}

/// The balanced set of source-centred cutouts: object, class, train or test, centre (ra, dec, x, y from 0), size of the source
/// and side of the cutout in arcsec and pixels. Cutting them is for a reader of the map.
///
/// # Errors
/// [`SimError::Io`], [`SimError::Table`].
pub fn write_rgz_cutouts(config: &SimConfig, cutouts: &[RgzCutout], wcs: &Wcs, path: &Path) -> Result<(), SimError> {
    let header = ["object", "class", "set", "ra", "dec", "x", "y", "size_arcsec", "side_arcsec", "side_px"];
    let rows = cutouts.iter().map(|c| {
        let [ra, dec] = sky_text(wcs, c.centre.0, c.centre.1);
        vec![
            c.object.to_string(),
            c.class.name().to_owned(),
            c.part.name().to_owned(),
            ra,
            dec,
            format!("{:.1}", c.centre.1),
            format!("{:.1}", c.centre.0),
            format!("{:.2}", c.extent * config.pixel_arcsec),
            format!("{:.2}", c.side as f64 * config.pixel_arcsec),
            c.side.to_string(),
        ]
    });
    write_table(path, &header, rows)
}

/// The label list of the labelled frames, as an annotator would hand it over.
///
/// # Errors
/// [`SimError::Labels`].
pub fn write_labels(config: &SimConfig, frames: &[Frame], path: &Path) -> Result<(), SimError> {
    let rows = frames.iter().filter(|f| f.labelled).map(|f| (f.id(config), f.annotated.clone())).collect();
    FrameLabels { path: path.to_path_buf(), rows }
        .write(path)
        .map_err(|source| SimError::Labels { source: Box::new(source) })
}

/// `survey.toml` and `sim.toml`.
///
/// # Errors
/// [`SimError::Io`], [`SimError::ConfigWrite`].
pub fn write_survey(config: &SimConfig, fingerprint: &str, out: &Path) -> Result<(), SimError> {
    let survey = Survey {
        name: config.name.clone(),
        mosaics: vec![MosaicEntry::of_file(PathBuf::from("mosaic.fits"), &config.name)],
        frames: FrameSettings {
            size: config.frames.size,
            step: config.frames.step,
            edge: EdgePolicy::Drop,
            max_blank_fraction: config.frames.blank_limit,
        },
        labels: Some(PathBuf::from("labels.csv")),
    };
    let text = toml::to_string(&survey).map_err(|source| SimError::ConfigWrite { source })?;
    write_text(&out.join("survey.toml"), text.as_bytes())?;
    let text = format!("# Fingerprint of this configuration: {fingerprint}\n{}", config.to_toml()?);
    write_text(&out.join("sim.toml"), text.as_bytes())
}
