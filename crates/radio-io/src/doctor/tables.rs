//! Tables and catalogues in any format, and manifests.

use std::path::Path;

use super::{
    finding::{Examination, Place},
    refusal::refusal,
};
use crate::{
    catalogue::{Catalogue, CatalogueColumns, PositionColumns},
    data_set::Manifest,
    frame_labels::FrameLabels,
    table::Table,
};

/// Column names that are listed.
const MOST_NAMES: usize = 12;
/// Findings of one sort that are listed.
const MOST_FINDINGS: usize = 10;

/// Examines a table by itself in a file; a list of labels is one.
pub(super) fn examine_table(report: &mut Examination, path: &Path) {
    match Table::read(path) {
        Ok(table) if table.names() == ["frame", "labels"] => match FrameLabels::read(path) {
            Ok(labels) => report.fact("labelled frames", labels.rows.len()),
            Err(refused) => report.findings.push(refusal(&refused, path)),
        },
        Ok(table) => describe_table(report, &table, Place::default()),
        Err(refused) => report.findings.push(refusal(&refused, path)),
    }
}

/// Facts of a table, and whether it makes a catalogue.
pub(super) fn describe_table(report: &mut Examination, table: &Table, place: Place) {
    let names = table.names();
    let more = names.len().saturating_sub(MOST_NAMES);
    let mut listed = names.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 {
        listed.push_str(&format!(" and {more} more"));
    }
    report.fact("table", format!("{} rows, {} columns: {listed}", table.rows(), names.len()));
    if table.rows() == 0 {
        report.warn(place.clone(), "no row", "check how the table was made");
    }
    let Some(columns) = CatalogueColumns::guess(table) else {
        let remedy = "if it is a catalogue of sources, say which columns hold their positions; otherwise nothing";
        return report.note(place, "no columns of positions that are known here", remedy);
    };
    report.fact("positions", position_words(&columns.position));
    match Catalogue::from_table(table, Some(&columns)) {
        Ok(catalogue) => {
            report.fact("sources", catalogue.sources.len());
            for (row, name) in catalogue.left_out.iter().take(MOST_FINDINGS) {
                let place = Place { row: Some(*row as u64), ..place.clone() };
                report.note(place, format!("`{name}` again"), "the first of that name is taken");
            }
        }
        Err(refused) => {
            let mut finding = refusal(&refused, &table.path);
            finding.place.hdu = place.hdu;
            report.findings.push(finding);
        }
    }
}

fn position_words(position: &PositionColumns) -> String {
    match position {
        PositionColumns::Equatorial { ra, dec, .. } => format!("{ra}, {dec} (ICRS or FK5 J2000)"),
        PositionColumns::Galactic { l, b, .. } => format!("{l}, {b} (Galactic)"),
    }
}

/// Examines a manifest and the mosaics that it names.
pub(super) fn examine_manifest(report: &mut Examination, path: &Path) {
    let manifest = match Manifest::read(path) {
        Ok(manifest) => manifest,
        Err(refused) => return report.findings.push(refusal(&refused, path)),
    };
    report.fact("name", &manifest.name);
    report.fact("cutouts", manifest.len());
    report.fact("mosaics", manifest.mosaics.len());
    if manifest.is_empty() {
        report.warn(Place::default(), "no cutout", "check the catalogue, the size of a frame and max_blank_fraction");
    }
    let mut bad = 0;
    for mosaic in &manifest.mosaics {
        let Err(refused) = mosaic.check_file() else { continue };
        bad += 1;
        if bad <= MOST_FINDINGS {
            let mut finding = refusal(&refused, path);
            finding.place = Place::entry(format!("mosaic {}", mosaic.id));
            report.findings.push(finding);
        }
    }
    if bad > MOST_FINDINGS {
        let found = format!("{bad} mosaics are missing or changed");
        report.error(Place::default(), found, "restore them, or make the manifest again");
    }
    let unknown = manifest.rows.iter().filter(|row| row.sky.is_none()).count();
    if unknown > 0 {
        let found = format!("{unknown} cutouts have no position");
        report.note(Place::key("ra"), found, "splits by sky and leak guards cannot place them");
    }
}
