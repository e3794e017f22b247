//! The check of the frames before training: what is blank, constant or refused, and whether the mosaics of a survey are alike.
use std::collections::BTreeSet;

use radio_io::data_set::MosaicRecord;
use radio_io::{Beam, FrameSet, Manifest, SurveyMosaic};

use crate::report::{CheckVerdict, FrameCheck};

/// What cutting and the recipe said of the frames.
pub(crate) struct FrameCounts {
    /// Largest share of blank pixels a frame may have.
    pub max_blank: f64,
    /// Side and step of the grid, pixels.
    pub size: usize,
    /// Distance between two frames, pixels.
    pub step: usize,
    /// The frames the recipe refuses ([`refused_words`]).
    pub refused: String,
    /// Whether there are any.
    pub any_refused: bool,
    /// Frames in use that hold blank pixels, and the largest share.
    pub with_blank: (usize, f64),
    /// Frames in use.
    pub kept: usize,
}

/// The lines of the table.
pub(crate) fn check_frames(set: &FrameSet, counts: &FrameCounts) -> Vec<FrameCheck> {
    let left = set.left_out();
    let cut = set.len() + left.too_blank + left.constant;
    let limit = 100.0 * counts.max_blank;
    let check = |what: &str, found: String, verdict| FrameCheck { what: what.to_owned(), found, verdict };
    let removed = |count: usize| if count > 0 { CheckVerdict::LeftOut } else { CheckVerdict::Good };
    let mosaics = set.mosaics().len();
    let mut checks = vec![
        check(
            "frames cut",
            format!(
                "{cut} of {0} × {0} pixels, step {1}, from {mosaics} mosaic{2}",
                counts.size,
                counts.step,
                if mosaics == 1 { "" } else { "s" }
            ),
            CheckVerdict::Good,
        ),
        check(
            "too blank",
            format!("{} with more than {limit:.0} % blank pixels", left.too_blank),
            removed(left.too_blank),
        ),
        check("constant", format!("{} whose pixels are all equal", left.constant), removed(left.constant)),
    ];
    checks.push(check("refused by the recipe", counts.refused.clone(), removed(usize::from(counts.any_refused))));
    let (count, most) = counts.with_blank;
    let blank = match count {
        0 => format!("{}, none with a blank pixel", counts.kept),
        _ => format!("{}, {count} of them with blank pixels, at most {:.1} %", counts.kept, 100.0 * most),
    };
    checks.push(check("frames used", blank, CheckVerdict::Good));
    checks.extend(check_mosaics(&set.mosaics().iter().map(MosaicFacts::from).collect::<Vec<_>>()));
    checks
}

/// Frames that the recipe refuses, in words: how many, and the first by name.
pub(crate) fn refused_words(refused: &[(String, String)]) -> String {
    match refused {
        [] => "0".to_owned(),
        [(id, reason)] => format!("1: {id}: {reason}"),
        [(id, reason), ..] => format!("{}, the first {id}: {reason}", refused.len()),
    }
}

/// What the mosaics of a set should have in common.
pub(crate) struct MosaicFacts<'a> {
    id: &'a str,
    pixel_arcsec: Option<f64>,
    beam: Option<Beam>,
    unit: Option<&'a str>,
}

impl<'a> From<&'a SurveyMosaic> for MosaicFacts<'a> {
    fn from(mosaic: &'a SurveyMosaic) -> Self {
        let pixel_arcsec = mosaic.wcs.as_ref().map(radio_io::Wcs::pixel_arcsec);
        Self { id: &mosaic.id, pixel_arcsec, beam: mosaic.beam, unit: mosaic.unit.as_deref() }
    }
}

impl<'a> From<&'a MosaicRecord> for MosaicFacts<'a> {
    fn from(mosaic: &'a MosaicRecord) -> Self {
        let MosaicRecord { id, pixel_arcsec, beam, unit, .. } = mosaic;
        Self { id, pixel_arcsec: *pixel_arcsec, beam: *beam, unit: unit.as_deref() }
    }
}

impl<'a> MosaicFacts<'a> {
    /// Of those mosaics of a manifest that have a cutout.
    pub(crate) fn of_rows(manifest: &'a Manifest) -> Vec<Self> {
        let used: BTreeSet<u32> = manifest.rows.iter().map(|row| row.mosaic).collect();
        used.into_iter().filter_map(|number| manifest.mosaics.get(number as usize)).map(Self::from).collect()
    }
}

/// Whether the mosaics are alike.
pub(crate) fn check_mosaics(mosaics: &[MosaicFacts<'_>]) -> [FrameCheck; 3] {
    let number = |value: Option<f64>| value.map_or("unknown".to_owned(), |value| format!("{value:.3}″"));
    let beam = |m: &MosaicFacts<'_>| {
        m.beam.map_or("unknown".to_owned(), |b| format!("{:.3}″ × {:.3}″", b.major_arcsec, b.minor_arcsec))
    };
    let axes = |m: &MosaicFacts<'_>| m.beam.map(|b| [b.major_arcsec, b.minor_arcsec]);
    [
        compared(mosaics, "pixel scale", |m| number(m.pixel_arcsec), |a, b| like(a.pixel_arcsec, b.pixel_arcsec)),
        compared(mosaics, "beam", beam, |a, b| match (axes(a), axes(b)) {
            (Some(a), Some(b)) => (0..2).all(|k| like(Some(a[k]), Some(b[k]))),
            (a, b) => a.is_none() && b.is_none(),
        }),
        compared(mosaics, "unit", |m| m.unit.unwrap_or("unknown").to_owned(), |a, b| a.unit == b.unit),
    ]
}

/// Equal to a hundredth, or both unknown.
fn like(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 0.01 * a.abs(),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// One property of all mosaics, against the first mosaic.
fn compared(
    mosaics: &[MosaicFacts<'_>],
    what: &str,
    words: impl Fn(&MosaicFacts<'_>) -> String,
    alike: impl Fn(&MosaicFacts<'_>, &MosaicFacts<'_>) -> bool,
) -> FrameCheck {
    let Some(first) = mosaics.first() else {
        return FrameCheck { what: what.to_owned(), found: "no mosaic".to_owned(), verdict: CheckVerdict::Good };
    };
    let others: Vec<&MosaicFacts<'_>> = mosaics.iter().filter(|mosaic| !alike(first, mosaic)).collect();
    let (found, verdict) = match others.as_slice() {
        [] if mosaics.len() == 1 => (words(first), CheckVerdict::Good),
        [] => (format!("{} in all {} mosaics", words(first), mosaics.len()), CheckVerdict::Good),
        [other, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more differ", rest.len()) };
            let found = format!("{} in {}, {} in {}{more}", words(first), first.id, words(other), other.id);
            (found + "; the encoder may learn which map a frame is from", CheckVerdict::Look)
        }
    };
    FrameCheck { what: what.to_owned(), found, verdict }
}

/// The table for a terminal.
pub fn check_text(checks: &[FrameCheck]) -> String {
    let width = checks.iter().map(|check| check.what.chars().count()).max().unwrap_or(0);
    let line = |check: &FrameCheck| format!("  {:8}  {:width$}  {}\n", check.verdict.name(), check.what, check.found);
    checks.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use radio_io::{Beam, FrameGrid};

    fn mosaic(id: &str, beam: Option<f64>) -> SurveyMosaic {
        // Left quarter blank, a constant block at the lower right, waves elsewhere.
        let pixels = Array2::from_shape_fn((64, 128), |(y, x)| match (y, x) {
            (_, ..32) => f32::NAN,
            (32.., 96..) => 1.0,
            _ => ((y * 31 + x * 17) as f32).sin(),
        });
        let beam = beam.map(|major_arcsec| Beam { major_arcsec, minor_arcsec: 5.0, pa_deg: 0.0 });
        SurveyMosaic { beam, unit: Some("Jy/beam".into()), ..SurveyMosaic::in_memory(id, pixels) }
    }

    fn checks(mosaics: Vec<SurveyMosaic>) -> Vec<FrameCheck> {
        let grid = FrameGrid { size: 32, step: 32, edge: radio_io::EdgePolicy::Drop };
        let set = FrameSet::scan(mosaics, &grid, 0.3).unwrap();
        let refused = refused_words(&[("a_r00000_c00032_s32".to_owned(), "flat".to_owned())]);
        let (any_refused, with_blank) = (true, (2, 0.125));
        let counts = FrameCounts { max_blank: 0.3, size: 32, step: 32, refused, any_refused, with_blank, kept: 9 };
        check_frames(&set, &counts)
    }

    #[test]
    fn blank_and_constant_frames_and_unlike_beams_are_told() {
        let all = checks(vec![mosaic("a", Some(10.0)), mosaic("b", Some(12.0)), mosaic("c", None)]);
        let line = |what: &str| all.iter().find(|check| check.what == what).unwrap().clone();
        assert_eq!(line("frames cut").found, "24 of 32 × 32 pixels, step 32, from 3 mosaics");
        assert_eq!(
            (line("too blank").found.as_str(), line("too blank").verdict),
            ("6 with more than 30 % blank pixels", CheckVerdict::LeftOut)
        );
        assert_eq!(
            (line("constant").found.as_str(), line("constant").verdict),
            ("3 whose pixels are all equal", CheckVerdict::LeftOut)
        );
        assert!(line("refused by the recipe").found.contains("flat"));
        assert_eq!(line("frames used").found, "9, 2 of them with blank pixels, at most 12.5 %");
        let beam = line("beam");
        assert!(
            beam.found.starts_with("10.000″ × 5.000″ in a, 12.000″ × 5.000″ in b and 1 more differ"),
            "{}",
            beam.found
        );
        assert_eq!(beam.verdict, CheckVerdict::Look);
        assert_eq!((line("unit").verdict, line("pixel scale").verdict), (CheckVerdict::Good, CheckVerdict::Good));
        let text = check_text(&all);
        assert!(text.lines().count() == all.len() && text.contains("look      beam"), "{text}");
    }

    #[test]
    fn equal_mosaics_need_no_look() {
        let all = checks(vec![mosaic("a", Some(10.0)), mosaic("b", Some(10.05))]);
        assert!(all.iter().all(|check| check.verdict != CheckVerdict::Look), "{all:?}");
        assert!(all.iter().any(|check| check.found == "10.000″ × 5.000″ in all 2 mosaics"), "{all:?}");
    }
}
