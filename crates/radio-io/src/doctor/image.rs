//! One image of a FITS file: plane, unit, beam, sky and pixels.

use std::{path::Path, sync::Arc};

use super::{
    finding::{Examination, Place, Severity},
    pixel_survey::{MapSort, PixelSurvey},
    refusal::fits_refusal,
};
use crate::{
    beam::Beam,
    card::CARD_BYTES,
    celestial::frame::SkyFrame,
    error::FitsError,
    file_bytes::FileBytes,
    hdu::HduSummary,
    header::Header,
    image_choice::{ImageChoice, PlanePosition},
    mosaic::Mosaic,
    wcs::{self, header_findings},
};

/// Most pixels that are read; a compressed tile of zeros may stand for any number of them.
const MOST_PIXELS: u64 = 1 << 36;

/// Examines the image of one header-data unit.
pub(super) fn examine_image(report: &mut Examination, file: &Arc<FileBytes>, path: &Path, summary: &HduSummary) {
    let hdu = summary.number;
    let place = || Place::hdu(hdu);
    let open = |choice: &ImageChoice| Mosaic::open_in(Arc::clone(file), path, choice);
    let mosaic = match open(&ImageChoice::number(hdu)) {
        Err(FitsError::NotAnImage { names, axes, .. }) => {
            let long: Vec<usize> = (2..axes.len()).filter(|&axis| axes[axis] > 1).collect();
            let first_plane = long.iter().fold(ImageChoice::number(hdu), |choice, axis| {
                choice.at(&format!("NAXIS{}", axis + 1), PlanePosition::Index(0))
            });
            if long.is_empty() || axes.iter().take(2).any(|length| *length < 2) {
                let found = format!("axes {axes:?} are no map: {names}");
                return report.warn(
                    place().keyword("NAXIS"),
                    found,
                    "a spectrum or a single row cannot be cut into frames",
                );
            }
            let found = format!("a cube: {names}; only its first plane was looked at");
            let remedy = "choose a plane by name where it is opened, such as FREQ[3] or STOKES=I";
            report.note(place().keyword("NAXIS"), found, remedy);
            open(&first_plane)
        }
        opened => opened,
    };
    let mosaic = match mosaic {
        Ok(mosaic) => mosaic,
        Err(refused) => {
            let mut finding = fits_refusal(&refused, path);
            finding.place.hdu = Some(hdu);
            return report.findings.push(finding);
        }
    };
    for remark in mosaic.remarks() {
        let keyword = remark.split(' ').next().unwrap_or_default();
        report.note(card_place(mosaic.header(), summary, keyword), remark.clone(), "take the card out, or correct it");
    }
    let pixels = match PixelSurvey::of_at_most(&mosaic, MOST_PIXELS) {
        Ok(Some(pixels)) => pixels,
        Ok(None) => {
            let found = format!("{} x {} pixels", mosaic.rows(), mosaic.cols());
            return report.warn(place().keyword("NAXIS"), found, "too many to look at each of them");
        }
        Err(refused) => {
            let mut finding = fits_refusal(&refused, path);
            finding.place.hdu = Some(hdu);
            return report.findings.push(finding);
        }
    };
    let sort = pixels.sort();
    examine_pixels(report, &pixels, sort, &mosaic, hdu);
    let is_mask = sort == MapSort::Mask;
    if !is_mask {
        examine_unit(report, &mosaic, hdu);
        examine_beam(report, &mosaic, hdu);
    }
    examine_sky(report, &mosaic, summary, path);
}

fn examine_sky(report: &mut Examination, mosaic: &Mosaic, summary: &HduSummary, path: &Path) {
    match mosaic.wcs() {
        Ok(Some(wcs)) => {
            let (frame, code, pixel) = (frame_words(wcs.frame()), wcs.projection().to_owned(), wcs.pixel_arcsec());
            report.fact("sky", format!("{frame}, projection {code}, pixels of {pixel:.4}\""));
        }
        _ => report.fact("sky", "none"),
    }
    let header = mosaic.header();
    let axes = mosaic.image_axes();
    let reference = |axis: usize| header.float(&format!("CRVAL{}", axis + 1)).unwrap_or(f64::NAN);
    // All-sky grids are laid about a pole or the origin, far from most of their maps.
    let (lon, lat) = (reference(axes.0), reference(axes.1));
    let is_natural = lat.abs() == 90.0 || lat == 0.0 && lon == 0.0;
    for finding in header_findings(header, axes, (mosaic.rows(), mosaic.cols()), path) {
        let wcs::Finding { keyword, found, remedy } = finding;
        let is_wrong = match keyword.as_str() {
            "CRPIX" => !is_natural,
            "WCS" => true,
            "CDELT" => found.contains("hardly"),
            _ => keyword.starts_with("CTYPE") && !found.starts_with("alternate"),
        };
        let severity = if is_wrong { Severity::Warning } else { Severity::Note };
        let remedy = if keyword == "CRPIX" && is_natural {
            "usual for a grid about a pole or the origin of its coordinates; all the same, compare a source with a catalogue".to_owned()
        } else {
            remedy
        };
        let place = card_place(header, summary, &keyword);
        report.add(severity, place, found, remedy);
    }
}

/// The keyword, or the first that begins so (`CRPIX1` for `CRPIX`), with the byte of its card.
fn card_place(header: &Header, summary: &HduSummary, keyword: &str) -> Place {
    let place = Place::hdu(summary.number);
    let starts = |card: &[u8; CARD_BYTES]| card.starts_with(keyword.as_bytes());
    match header.raw_cards().iter().position(starts) {
        // The cards of a compressed image are restored ones, which stand elsewhere in the file.
        Some(at) if summary.compression.is_none() => {
            place.keyword(keyword).byte(summary.header_byte + (at * CARD_BYTES) as u64)
        }
        _ => place.keyword(keyword),
    }
}

/// A frame as astronomers write it.
pub(super) fn frame_words(frame: SkyFrame) -> String {
    match frame {
        SkyFrame::Icrs => "ICRS".to_owned(),
        SkyFrame::Fk5 { equinox } => format!("FK5 J{equinox}"),
        SkyFrame::Fk4 { equinox } => format!("FK4 B{equinox}"),
        SkyFrame::Fk4NoE { equinox } => format!("FK4-NO-E B{equinox}"),
        SkyFrame::Galactic => "Galactic".to_owned(),
        SkyFrame::Supergalactic => "supergalactic".to_owned(),
        SkyFrame::Ecliptic { equinox } => format!("ecliptic J{equinox}"),
    }
}

fn examine_unit(report: &mut Examination, mosaic: &Mosaic, hdu: usize) {
    let place = Place::hdu(hdu).keyword("BUNIT");
    match (mosaic.unit().map(str::trim).filter(|unit| !unit.is_empty()), mosaic.brightness()) {
        (Some(unit), Some(_)) => report.fact("unit", unit),
        (Some(unit), None) => {
            let found = format!("`{unit}` is no unit of brightness that is known here");
            report.warn(
                place,
                found,
                "pixels are used as they are, fluxes are not computed; correct it to Jy/beam or the like",
            );
        }
        (None, _) => {
            report.warn(
                place,
                "missing",
                "pixels are used as they are; add the unit, mostly Jy/beam, if fluxes matter",
            );
        }
    }
}

fn examine_beam(report: &mut Examination, mosaic: &Mosaic, hdu: usize) {
    let place = || Place::hdu(hdu).keyword("BMAJ");
    let Some(beam) = mosaic.beam() else {
        let remedy = "name it in the survey file: beam = { major_arcsec = …, minor_arcsec = … }; without it no flux density is known";
        return report.warn(place(), "no beam, neither in keywords nor in the history", remedy);
    };
    let Beam { major_arcsec, minor_arcsec, pa_deg } = beam;
    report.fact("beam", format!("{major_arcsec:.2}\" x {minor_arcsec:.2}\", {pa_deg:.1} degrees"));
    let Some(pixel) = mosaic.pixel_arcsec().filter(|pixel| *pixel > 0.0) else { return };
    let (minor, major) = (minor_arcsec / pixel, major_arcsec / pixel);
    if minor < 2.0 {
        let found = format!("the minor axis of the beam is {minor:.3} pixels");
        report.warn(
            place(),
            found,
            "a beam below two pixels is not sampled: check that BMAJ and BMIN are in degrees, and CDELT",
        );
    }
    if major > mosaic.rows().max(mosaic.cols()) as f64 {
        let found = format!("the beam is {major:.0} pixels wide, more than the map");
        report.warn(place(), found, "check that BMAJ is in degrees, and CDELT");
    }
}

fn examine_pixels(report: &mut Examination, pixels: &PixelSurvey, sort: MapSort, mosaic: &Mosaic, hdu: usize) {
    let place = || Place::hdu(hdu);
    let share = |count: u64| 100.0 * count as f64 / pixels.pixels().max(1) as f64;
    report.fact("pixels", format!("{} rows x {} columns, {:.2} % blank", pixels.rows, pixels.cols, share(pixels.nan)));
    if sort != MapSort::Blank {
        report.fact("values", format!("{:.6e} to {:.6e}, robust rms {:.4e}", pixels.min, pixels.max, pixels.rms()));
    }
    let is_real = mosaic.bitpix() < 0;
    match sort {
        MapSort::Blank => {
            let found = format!("all {} pixels are blank", pixels.pixels());
            report.error(
                place(),
                found,
                "nothing can be cut from it: take it out of the survey, or make the map again",
            );
        }
        MapSort::Constant if pixels.min == 0.0 && is_real => {
            report.error(
                place(),
                "every pixel is 0",
                "there is no picture in it: take it out of the survey, or make the map again",
            );
        }
        MapSort::Constant => {
            let found = format!("every pixel is {:e}", pixels.min);
            report.warn(place(), found, "no map of the sky: a noise or background map of one value, or an empty mask");
        }
        MapSort::Mask => {
            report.fact("content", "whole numbers: a mask");
            let found = format!(
                "whole numbers from {} to {}: a mask or a map of islands, not brightness",
                pixels.min, pixels.max
            );
            report.note(place(), found, "use it as a mask; do not cut frames from it");
        }
        MapSort::Noise => {
            report.fact("content", "a noise map");
            report.warn(
                place(),
                "no pixel is negative and neighbours hardly differ: a noise map, not a map of the sky",
                "do not cut frames from it",
            );
        }
        MapSort::Background => {
            report.fact("content", "a background map");
            report.warn(
                place(),
                "neighbours hardly differ: a background map, not a map of the sky",
                "do not cut frames from it",
            );
        }
        MapSort::Sky => {}
    }
    if pixels.infinite > 0 {
        let found = format!("{} pixels are infinite", pixels.infinite);
        report.warn(place(), found, "they count as blank in frames; write NaN in their place");
    }
    if is_real && matches!(sort, MapSort::Sky | MapSort::Background | MapSort::Noise) && pixels.zero > 0 {
        let found = format!("{} pixels ({:.2} %) are exactly 0", pixels.zero, share(pixels.zero));
        let remedy =
            "if zero stands for blank, write NaN in its place: blocks of zeros look like structure to an encoder";
        // A handful may be chance or single flagged pixels.
        let severity = if share(pixels.zero) >= 0.5 { Severity::Warning } else { Severity::Note };
        report.add(severity, place(), found, remedy);
    }
    if let (Some((first_row, last_row)), Some((first_col, last_col))) = (pixels.finite_rows, pixels.finite_cols)
        && pixels.nan > 0
    {
        let inner = (last_row - first_row + 1) as u64 * (last_col - first_col + 1) as u64;
        let found = format!(
            "{} pixels ({:.2} %) are blank; values lie in rows {first_row} to {last_row}, columns {first_col} to {last_col}, {:.1} % of which are filled",
            pixels.nan,
            share(pixels.nan),
            100.0 * pixels.finite() as f64 / inner.max(1) as f64
        );
        let severity = if share(pixels.nan) > 50.0 { Severity::Warning } else { Severity::Note };
        report.add(severity, place(), found, "frames with too many blanks are left out (max_blank_fraction)");
    }
}
