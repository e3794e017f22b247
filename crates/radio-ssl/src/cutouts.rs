//! Data sets as files: the frames of a survey, or cutouts around catalogued sources, as a manifest.
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use frame_features::{ComplexityConfig, gzip_complexity};
use ndarray::{ArrayView2, Axis};
use radio_io::data_set::{CatalogueSource, ComplexityMeasure, LeftOutSource, SourceSettings, Watch, WhyLeftOut};
use radio_io::{Catalogue, CatalogueColumns, Manifest, Survey};

use crate::interrupt::{self, Interrupted};
use crate::progress::Stage;

/// Size of the gzip stream of the cutout as an 8-bit picture of 128 pixels; NaN where it cannot be measured.
fn gzip_bytes(pixels: ArrayView2<'_, f32>) -> f64 {
    let config = ComplexityConfig { sides: vec![128], ..ComplexityConfig::two_scales() };
    gzip_complexity(pixels.insert_axis(Axis(0)), &config)
        .ok()
        .and_then(|sizes| sizes.first().copied())
        .map_or(f64::NAN, f64::from)
}

/// The complexity of `frame-features`; it is handed to radio-io because crates of one layer do not know each other.
const GZIP: ComplexityMeasure<'_> =
    ComplexityMeasure { name: "gzip bytes of 128 x 128 grey levels, thresholded at the median", of: &gzip_bytes };

/// A manifest of every frame of the survey's grid, with noise, blanks and gzip complexity.
///
/// # Errors
/// If a mosaic cannot be read, or [`Interrupted`].
pub fn blind(survey: &Survey) -> Result<Manifest> {
    watched("cut frames", |watch| Manifest::scan_blind(survey, Some(GZIP), watch))
}

/// A manifest of cutouts around the sources of a catalogue, and the sources that have none.
///
/// # Errors
/// If the catalogue or a mosaic cannot be read, or [`Interrupted`].
pub fn around_sources(
    survey: &Survey,
    sources: &[CatalogueSource],
    settings: &SourceSettings,
) -> Result<(Manifest, Vec<LeftOutSource>)> {
    watched("cut sources", |watch| Manifest::source_centred(survey, sources, settings, Some(GZIP), watch))
}

/// Runs a scan with a bar, and stops it when the user asks.
pub(crate) fn watched<T>(name: &'static str, scan: impl FnOnce(&Watch<'_>) -> Result<T, radio_io::Error>) -> Result<T> {
    let stage = Mutex::new(Stage::start(name));
    let cancelled = AtomicBool::new(false);
    let progress = |done, total| {
        cancelled.store(interrupt::requested(), Ordering::Relaxed);
        stage.lock().unwrap_or_else(PoisonError::into_inner).at(done, total, "");
    };
    let made = match scan(&Watch { progress: Some(&progress), cancelled: Some(&cancelled) }) {
        Err(radio_io::Error::Cancelled) => return Err(Interrupted.into()),
        made => made?,
    };
    stage.into_inner().unwrap_or_else(PoisonError::into_inner).end("");
    Ok(made)
}

/// Reads the sources of a catalogue in CSV, VOTable, FITS or Parquet. `columns` is a TOML file that names its columns
/// ([`CatalogueColumns`]); without it they are guessed.
///
/// # Errors
/// If the file cannot be read, has no position or no size, or a row makes no sense; with the place.
pub fn read_sources(path: &Path, columns: Option<&Path>) -> Result<Vec<CatalogueSource>> {
    let read_columns = |file: &Path| -> Result<CatalogueColumns> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        toml::from_str(&text).with_context(|| file.display().to_string())
    };
    let columns = columns.map(read_columns).transpose()?;
    let catalogue = Catalogue::read(path, columns.as_ref())?;
    ensure!(!catalogue.sources.is_empty(), "{}: the catalogue holds no source, expected at least one", path.display());
    ensure!(
        catalogue.columns.size.is_some(),
        "{}: no column holds the size of the sources; name one with --columns (size = {{ column = \"LAS\", unit = \"arcsec\" }})",
        path.display()
    );
    Ok(catalogue.sources.iter().map(CatalogueSource::from).collect())
}

/// Sources without a cutout, in words: how many for each reason, and one of them.
pub fn left_out_words(left_out: &[LeftOutSource]) -> Vec<String> {
    let reasons = [
        (WhyLeftOut::BadNumbers, "with no usable position or size"),
        (WhyLeftOut::OffTheMaps, "on none of the mosaics"),
        (WhyLeftOut::OverTheBorder, "whose box hangs over a border"),
        (WhyLeftOut::TooBlank, "with too many blank pixels"),
        (WhyLeftOut::Constant, "without two different pixels"),
    ];
    let words = |(why, words): (WhyLeftOut, &str)| {
        let mut sources = left_out.iter().filter(|source| source.why == why);
        let count = sources.clone().count();
        sources.next().map(|first| format!("{count} {words}, for instance {}", first.id))
    };
    reasons.into_iter().filter_map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catalogues_are_read_and_mistakes_named() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (path, columns) = (folder.path().join("sources.csv"), folder.path().join("columns.toml"));
        let read = |text: &str, columns: Option<&Path>| {
            std::fs::write(&path, text).expect("can be written");
            read_sources(&path, columns)
        };
        let text = "# a list\nname,dec,ra,size_arcsec,id,labels\nx,-30.5,201.25,40,J1,FR-I; bent\ny,-31,202,50,J2,\n";
        let sources = read(text, None)?;
        assert_eq!((sources[0].id.as_str(), sources[0].ra_deg, sources[0].dec_deg), ("J1", 201.25, -30.5));
        assert_eq!((sources[0].size_arcsec, sources[1].size_arcsec), ((40.0, 40.0), (50.0, 50.0)));
        assert_eq!(sources[0].labels, ["FR-I", "bent"]);
        assert!(sources[1].labels.is_empty());
        std::fs::write(
            &columns,
            "id = \"n\"\nposition = { ra = \"a\", dec = \"d\" }\nsize = { column = \"s\", unit = \"arcmin\" }\n",
        )?;
        assert_eq!(read("n,a,d,s\nq,1,2,3\n", Some(&columns))?[0].size_arcsec, (180.0, 180.0));
        for (text, parts) in [
            ("id,ra,size_arcsec\na,1,2\n", ["dec", "size_arcsec"]),
            ("id,ra,dec,size_arcsec\na,1,2,3\nb,1,99,3\n", ["row 2", "99"]),
            ("id,ra,dec\na,1,2\n", ["--columns", "size"]),
            ("id,ra,dec,size_arcsec\n", ["holds no source", "at least one"]),
        ] {
            let refused = format!("{:#}", read(text, None).unwrap_err());
            assert!(parts.iter().chain(&["sources.csv"]).all(|part| refused.contains(part)), "{refused}");
        }
        Ok(())
    }

    #[test]
    fn reasons_are_counted() {
        let source = |id: &str, why| LeftOutSource { id: id.into(), why };
        let left_out =
            [source("a", WhyLeftOut::TooBlank), source("b", WhyLeftOut::OffTheMaps), source("c", WhyLeftOut::TooBlank)];
        let words = left_out_words(&left_out);
        assert_eq!(words, ["1 on none of the mosaics, for instance b", "2 with too many blank pixels, for instance a"]);
    }
}
