//! `survey.toml`: its keys, and whether the files that it names can be opened and cut.

use std::path::Path;

use super::{
    finding::{Examination, Place},
    refusal::refusal,
};
use crate::{frame_labels::FrameLabels, frame_set::open_chosen, survey::Survey};

/// Examines a survey file; its mosaics are opened, their pixels not read.
pub(super) fn examine_survey(
    report: &mut Examination,
    path: &Path,
    text: &str,
    lookup: impl Fn(&str) -> Option<String>,
) {
    let survey = match Survey::parse(text, path, lookup) {
        Ok(survey) => survey,
        Err(refused) => return report.findings.push(refusal(&refused, path)),
    };
    report.fact("name", &survey.name);
    report.fact("mosaics", survey.mosaics.len());
    let (size, step) = (survey.frames.size, survey.frames.step);
    report.fact("frames", format!("{size} x {size} pixels every {step}"));
    if step > size {
        let found = format!("{step} is more than the size of a frame, {size}");
        report.warn(Place::key("frames.step"), found, "parts of the map are in no frame: take at most the size");
    }
    for entry in &survey.mosaics {
        let id = entry.id.clone().unwrap_or_default();
        let place = || Place::entry(format!("mosaic {id}"));
        let mosaic = match open_chosen(entry) {
            Ok(mosaic) => mosaic,
            Err(refused) => {
                let mut finding = refusal(&refused, path);
                finding.place.entry = place().entry;
                report.findings.push(finding);
                continue;
            }
        };
        let (rows, cols) = (mosaic.rows(), mosaic.cols());
        if rows.min(cols) < size {
            let found = format!("{rows} x {cols} pixels, less than one frame of {size}");
            report.error(place(), found, "make frames.size smaller, or take the mosaic out");
        }
        if entry.beam.is_none() && mosaic.beam().is_none() {
            report.note(
                place().keyword("beam"),
                "no beam, here or in the header",
                "add beam = { major_arcsec = …, minor_arcsec = … }",
            );
        }
    }
    if let Some(labels) = &survey.labels {
        match FrameLabels::read(labels) {
            Ok(list) => report.fact("labelled frames", list.rows.len()),
            Err(refused) => {
                let mut finding = refusal(&refused, path);
                finding.place.keyword = Some("labels".to_owned());
                report.findings.push(finding);
            }
        }
    }
}
