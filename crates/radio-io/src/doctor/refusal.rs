//! An error of a reader as a finding: its place taken out of it, and a remedy added.

use std::path::Path;

use super::finding::{Finding, Place, Severity};
use crate::error::{Error, FitsError};

/// The finding for a file that a reader refused.
pub(super) fn refusal(error: &Error, file: &Path) -> Finding {
    let (place, remedy) = match error {
        Error::Fits(error) => return fits_refusal(error, file),
        Error::Io { .. } => (Place::default(), "check that it exists, and the right to read it"),
        Error::SurveySyntax { line, .. } => {
            (Place::line(*line as u64), "correct the line; `name`, `[[mosaics]]` and `[frames]` are needed")
        }
        Error::UnknownKey { line, key, .. } => {
            (Place::line(*line as u64).keyword(key), "correct the spelling, or take the key out")
        }
        Error::SurveyValue { key, .. } => (Place::key(key), "correct the value"),
        Error::MissingVariable { name, .. } => {
            (Place::key(name), "set the environment variable, or write the path out")
        }
        Error::NoMosaics { .. } => (Place::key("[[mosaics]]"), "name at least one mosaic by its path"),
        Error::DuplicateMosaic { .. } | Error::BadMosaicId { .. } => {
            (Place::key("id"), "give each mosaic a short `id` of its own")
        }
        Error::Columns { .. } => (Place::line(1), "name the columns in the first line"),
        Error::Row { line, .. } | Error::UnknownLabel { line, .. } => (Place::line(*line), "correct the line"),
        Error::TableContent { place, .. } => {
            (Place::entry(place.clone()), "correct the place, or write the table again")
        }
        Error::CatalogueSetting { key, .. } => {
            (Place::key(key), "say which columns and units are meant when the catalogue is read")
        }
        Error::NoColumn { column, .. } | Error::ColumnKind { column, .. } | Error::TableColumns { column, .. } => {
            (Place::key(column), "correct the column")
        }
        Error::CatalogueRow { row, column, .. } => {
            (Place { row: Some(*row as u64), ..Place::key(column) }, "correct the row, or take it out")
        }
        Error::Json { line, .. } => (Place::line(*line as u64), "correct the JSON there"),
        Error::ListEntry { entry, key, .. } => (Place::entry(entry.clone()).keyword(key), "correct the entry"),
        Error::Region { line, .. } => (Place::line(*line as u64), "correct the line, or save the regions again"),
        Error::Png { .. } => (Place::default(), "make or download the picture again"),
        Error::Parquet { .. } => (Place::default(), "the file is damaged or cut off: write or download it again"),
        Error::ManifestMetadata { .. } => (Place::default(), "make the manifest again (`radio-ssl cutouts`)"),
        Error::ManifestRow { row, .. } => {
            (Place { row: Some(*row as u64 + 1), ..Place::default() }, "make the manifest again (`radio-ssl cutouts`)")
        }
        Error::MosaicImage { key, .. } => {
            (Place::key(key), "choose a header-data unit and planes that the file has, or leave the key out")
        }
        Error::MosaicChanged { .. } => (Place::default(), "make the manifest again, or restore the mosaic"),
        Error::NoLabels { .. } => (Place::default(), "add a row, or leave the `labels` key out"),
        Error::TableKind { .. } => {
            (Place::default(), "nothing here can read it: check that it is the file that was meant")
        }
        _ => (Place::default(), "correct it as said"),
    };
    finding(place, without_path(error, file), remedy)
}

/// The same for the FITS part.
pub(super) fn fits_refusal(error: &FitsError, file: &Path) -> Finding {
    let again = "the file is incomplete: copy or download it again";
    let (place, remedy) = match error {
        FitsError::Truncated { hdu, found, .. } => (Place::hdu(*hdu).byte(*found), again),
        FitsError::BadHeader { hdu, keyword, .. } if keyword == "END" => (Place::hdu(*hdu).keyword(keyword), again),
        FitsError::BadHeader { hdu, keyword, .. } => (Place::hdu(*hdu).keyword(keyword), "correct the keyword"),
        FitsError::TooLarge { hdu, .. } => (Place::hdu(*hdu).keyword("NAXIS"), "correct the lengths of the axes"),
        FitsError::NotFits { .. } => (Place::default().byte(0), "check that it is the file that was meant"),
        FitsError::Gzip { .. } => {
            (Place::default(), "the gzip stream is damaged or cut off: copy or download it again")
        }
        FitsError::InflatedTooLarge { hdu, .. } => {
            (Place::hdu(*hdu).keyword("NAXIS"), "inflate it with gunzip, and look again")
        }
        FitsError::Tile { hdu, .. } => {
            (Place::hdu(*hdu), "the compressed data are damaged: copy the file again, or compress the map again")
        }
        FitsError::NotAnImage { .. } => (Place::key("NAXIS"), "choose a plane, or cut the map out"),
        FitsError::Shortened { found, .. } => (Place::default().byte(*found), "wait until the other program is done"),
        FitsError::Wcs { keyword, .. } => (Place::key(keyword), "pixel work is possible, positions are not"),
        FitsError::NoImage { .. } => (Place::default(), "check that it is the file that was meant"),
        FitsError::Io { .. } => (Place::default(), "check that it exists, and the right to read it"),
        _ => (Place::default(), "correct it as said"),
    };
    finding(place, without_path(error, file), remedy)
}

fn finding(place: Place, found: String, remedy: &str) -> Finding {
    // The place stands before the words already.
    let prefixes = [place.line.map(|line| format!("line {line}: ")), place.hdu.map(|hdu| format!("header {hdu}: "))];
    let prefix = prefixes.into_iter().flatten().find(|prefix| found.starts_with(prefix.as_str()));
    let found = prefix.and_then(|prefix| found.strip_prefix(&prefix).map(str::to_owned)).unwrap_or(found);
    Finding { severity: Severity::Error, place, found, remedy: remedy.to_owned() }
}

/// The message with its causes, without the file that the report names anyway.
fn without_path(error: &dyn std::error::Error, file: &Path) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    let name = file.display().to_string();
    match text.strip_prefix(&name).and_then(|rest| rest.strip_prefix([':', ','])) {
        Some(rest) => rest.trim_start().to_owned(),
        None => text,
    }
}
