//! What is wrong with a file, where, and what to do about it: `radio-ssl doctor`.
//!
//! [`examine`] recognises every file that this crate reads by its contents and reports facts and findings. It never refuses a damaged
//! file: what a reader says becomes a finding. Maps are read once, in strips; tables and lists as a whole.

mod finding;
mod fits_file;
mod fits_header;
mod image;
mod kind;
mod lists;
mod pixel_survey;
mod png;
mod refusal;
mod regions;
mod survey_file;
mod tables;

use std::{fs::File, io::Read, path::Path};

pub use finding::{Examination, Fact, Finding, Place, Severity};
pub use kind::FileKind;

use crate::error::Error;
use kind::{Sniffed, kind_of_text, sniff};

/// Largest table, list or text that is examined: these are held in memory as a whole.
pub const MOST_TEXT_BYTES: u64 = 1 << 30;

/// Examines a file. `lookup` gives the value of a variable `${NAME}` in a survey file.
///
/// ```
/// use radio_io::doctor::{FileKind, Severity, examine};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("map.fits");
/// radio_io::write_image(&path, &ndarray::Array2::<f32>::zeros((64, 64)), &[])?;
/// let report = examine(&path, |_| None)?;
/// assert_eq!(report.kind, FileKind::Fits);
/// assert_eq!(report.findings[0].severity, Severity::Error);
/// assert_eq!(report.findings[0].found, "every pixel is 0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be opened or its first bytes cannot be read; nothing else.
pub fn examine(path: &Path, lookup: impl Fn(&str) -> Option<String>) -> Result<Examination, Error> {
    let refused = |source| Error::Io { path: path.into(), source };
    let sniffed = sniff(path).map_err(refused)?;
    let length = std::fs::metadata(path).map_err(refused)?.len();
    let mut report =
        Examination { path: path.into(), kind: FileKind::Unknown, facts: Vec::new(), findings: Vec::new() };
    report.fact("bytes", length);
    report.kind = match sniffed {
        Sniffed::Kind(kind) => kind,
        Sniffed::Empty if length == 0 => {
            report.error(Place::default().byte(0), "the file is empty", "copy or make it again");
            return Ok(report);
        }
        Sniffed::Braces | Sniffed::Text | Sniffed::Empty => FileKind::Table,
    };
    let is_picture = matches!(report.kind, FileKind::Fits | FileKind::FitsGz);
    if length > MOST_TEXT_BYTES && !is_picture {
        let found = format!("{length} bytes, expected at most {MOST_TEXT_BYTES}");
        report.warn(Place::default(), found, "too large to be looked at as a whole; split it");
        return Ok(report);
    }
    match (sniffed, report.kind) {
        (Sniffed::Kind(_), FileKind::Fits | FileKind::FitsGz) => fits_file::examine_fits(&mut report, path),
        (Sniffed::Kind(_), FileKind::Png) => png::examine_png(&mut report, path),
        (Sniffed::Kind(_), FileKind::Manifest) => tables::examine_manifest(&mut report, path),
        (Sniffed::Kind(_), FileKind::Table) => tables::examine_table(&mut report, path),
        (Sniffed::Kind(FileKind::Unknown), _) => {
            let remedy = "nothing here can read it: check that it is the file that was meant, and whole";
            report.error(Place::default().byte(0), "contents of no known format", remedy);
        }
        (sniffed, _) => match text_of(path) {
            Ok(text) => examine_text(&mut report, path, &text, matches!(sniffed, Sniffed::Braces), lookup),
            Err(Some(byte)) => {
                report.error(
                    Place::default().byte(byte),
                    "not UTF-8 text",
                    "save it as UTF-8, or check that it is the file that was meant",
                );
            }
            Err(None) => report.error(Place::default(), "cannot be read", "check the right to read it"),
        },
    }
    report.findings.sort_by_key(|finding| finding.severity);
    Ok(report)
}

fn examine_text(
    report: &mut Examination,
    path: &Path,
    text: &str,
    is_json: bool,
    lookup: impl Fn(&str) -> Option<String>,
) {
    if is_json {
        return lists::examine_json(report, path, text);
    }
    let is_crtf = text.trim_start_matches('\u{feff}').trim_start().starts_with("#CRTF");
    report.kind = if is_crtf { FileKind::CasaRegions } else { kind_of_text(text) };
    match report.kind {
        FileKind::CasaRegions | FileKind::Ds9Regions => regions::examine_regions(report, path, text),
        FileKind::Survey => survey_file::examine_survey(report, path, text, lookup),
        FileKind::DetectionList => lists::examine_detection_list(report, path),
        FileKind::Toml => {
            report.note(
                Place::default(),
                "TOML without [[mosaics]] and [frames]",
                "a survey file needs both; other settings are not looked at",
            );
        }
        _ => tables::examine_table(report, path),
    }
}

/// A file as text; the byte that is none, if it was read at all.
fn text_of(path: &Path) -> Result<String, Option<u64>> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(|_| None)?;
    String::from_utf8(bytes).map_err(|refused| Some(refused.utf8_error().valid_up_to() as u64))
}
