//! Data sets as files: the frames of a survey, or cutouts around catalogued sources, as a manifest.
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use frame_features::{ComplexityConfig, gzip_complexity};
use ndarray::{ArrayView2, Axis};
use radio_io::data_set::{CatalogueSource, ComplexityMeasure, LeftOutSource, SourceSettings, Watch, WhyLeftOut};
use radio_io::{Manifest, Survey};

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
fn watched<T>(name: &'static str, scan: impl FnOnce(&Watch<'_>) -> Result<T, radio_io::Error>) -> Result<T> {
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

/// Reads a catalogue in CSV: columns `id`, `ra`, `dec` (degrees, J2000), `size_arcsec` (the larger extent, or east to west), if there
/// is one `height_arcsec` (south to north), and if there is one `labels` (`;` between them). Other columns are passed over.
///
/// # Errors
/// If the file cannot be read, a column is missing, or a number is none; with the line.
pub fn read_sources(path: &Path) -> Result<Vec<CatalogueSource>> {
    let place = || path.display().to_string();
    let mut reader =
        csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_path(path).with_context(place)?;
    let headers = reader.headers().with_context(place)?.clone();
    let find = |name: &str| headers.iter().position(|header| header == name);
    let need = |name: &str| {
        let found = headers.iter().collect::<Vec<_>>().join(", ");
        find(name).with_context(|| format!("{}: no column `{name}`, found {found}", path.display()))
    };
    let (id, ra, dec, size) = (need("id")?, need("ra")?, need("dec")?, need("size_arcsec")?);
    let (height, labels) = (find("height_arcsec"), find("labels"));
    let mut sources = Vec::new();
    for record in reader.records() {
        let record = record.with_context(place)?;
        let line = record.position().map_or(0, csv::Position::line);
        let number = |column: usize| -> Result<f64> {
            let text = &record[column];
            text.parse().with_context(|| format!("{}, line {line}: `{text}` is no number", path.display()))
        };
        let width = number(size)?;
        let words = labels.map(|column| record[column].split(';').map(str::trim)).into_iter().flatten();
        sources.push(CatalogueSource {
            id: record[id].to_owned(),
            ra_deg: number(ra)?,
            dec_deg: number(dec)?,
            size_arcsec: (width, height.map_or(Ok(width), number)?),
            labels: words.filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        });
    }
    Ok(sources)
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
        let path = folder.path().join("sources.csv");
        let read = |text: &str| {
            std::fs::write(&path, text).expect("can be written");
            read_sources(&path)
        };
        let text = "# a list\nname,dec,ra,size_arcsec,id,labels\nx, -30.5 ,201.25,40,J1,FR-I; bent\ny,-31,202,50,J2,\n";
        let sources = read(text)?;
        assert_eq!((sources[0].id.as_str(), sources[0].ra_deg, sources[0].dec_deg), ("J1", 201.25, -30.5));
        assert_eq!((sources[0].size_arcsec, sources[1].size_arcsec), ((40.0, 40.0), (50.0, 50.0)));
        assert_eq!(sources[0].labels, ["FR-I", "bent"]);
        assert!(sources[1].labels.is_empty());
        assert_eq!(read("id,ra,dec,size_arcsec,height_arcsec\na,1,2,30,20\n")?[0].size_arcsec, (30.0, 20.0));
        for (text, parts) in [
            ("id,ra,size_arcsec\na,1,2\n", ["`dec`", "id, ra, size_arcsec"]),
            ("id,ra,dec,size_arcsec\na,1,2,3\nb,1,x,3\n", ["line 3", "`x`"]),
        ] {
            let refused = format!("{:#}", read(text).unwrap_err());
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
