//! Region files of DS9 and CASA.

use std::{collections::BTreeMap, path::Path};

use super::{
    finding::{Examination, Place},
    image::frame_words,
    kind::FileKind,
    refusal::refusal,
};
use crate::regions::{RegionFrame, parse_crtf, parse_ds9};

/// Skipped shapes that are listed.
const MOST_FINDINGS: usize = 10;

/// Examines the text of a region file.
pub(super) fn examine_regions(report: &mut Examination, path: &Path, text: &str) {
    let read = if report.kind == FileKind::CasaRegions { parse_crtf(text, path) } else { parse_ds9(text, path) };
    let list = match read {
        Ok(list) => list,
        Err(refused) => return report.findings.push(refusal(&refused, path)),
    };
    report.fact("regions", list.regions.len());
    let mut frames: BTreeMap<String, usize> = BTreeMap::new();
    for region in &list.regions {
        let frame = match region.frame {
            RegionFrame::Image => "image".to_owned(),
            RegionFrame::Physical => "physical".to_owned(),
            RegionFrame::Sky(frame) => frame_words(frame),
        };
        *frames.entry(frame).or_default() += 1;
    }
    report
        .fact("frames", frames.iter().map(|(frame, count)| format!("{frame} {count}")).collect::<Vec<_>>().join(", "));
    if list.regions.is_empty() {
        report.warn(Place::default(), "no region", "check that it is the file that was meant");
    }
    for skipped in list.skipped.iter().take(MOST_FINDINGS) {
        let found = format!("{} is no area and was passed over", skipped.what);
        report.note(
            Place::line(skipped.line as u64),
            found,
            "draw a circle, box, ellipse or polygon if it should count",
        );
    }
    if list.skipped.len() > MOST_FINDINGS {
        report.note(
            Place::default(),
            format!("{} shapes were passed over", list.skipped.len()),
            "the first ten are named",
        );
    }
    if list.regions.iter().any(|region| matches!(region.frame, RegionFrame::Physical)) {
        let remedy = "they are read as pixels of the image; save them as `image`, `fk5` or `icrs` if the map was cut from a larger one";
        report.note(Place::default(), "regions in physical coordinates", remedy);
    }
}
