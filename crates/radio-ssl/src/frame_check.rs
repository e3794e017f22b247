//! The check of the frames before training: what is blank, constant or refused, and whether the mosaics of a survey are alike.
use radio_io::{FrameSet, SurveyMosaic};

use crate::report::{CheckVerdict, FrameCheck};

/// What cutting and the recipe said of the frames.
pub(crate) struct FrameCounts<'a> {
    /// Largest share of blank pixels a frame may have.
    pub max_blank: f64,
    /// Side and step of the grid, pixels.
    pub size: usize,
    /// Distance between two frames, pixels.
    pub step: usize,
    /// Names of the frames the recipe refuses, with the reason.
    pub refused: &'a [(String, String)],
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
    let refused = match counts.refused {
        [] => "0".to_owned(),
        [(id, reason)] => format!("1: {id}: {reason}"),
        [(id, reason), ..] => format!("{}, the first {id}: {reason}", counts.refused.len()),
    };
    checks.push(check("refused by the recipe", refused, removed(counts.refused.len())));
    let (count, most) = counts.with_blank;
    let blank = match count {
        0 => format!("{}, none with a blank pixel", counts.kept),
        _ => format!("{}, {count} of them with blank pixels, at most {:.1} %", counts.kept, 100.0 * most),
    };
    checks.push(check("frames used", blank, CheckVerdict::Good));
    let number = |value: Option<f64>| value.map_or("unknown".to_owned(), |value| format!("{value:.3}″"));
    let beam = |m: &SurveyMosaic| {
        m.beam.map_or("unknown".to_owned(), |b| format!("{:.3}″ × {:.3}″", b.major_arcsec, b.minor_arcsec))
    };
    let pixel = |m: &SurveyMosaic| m.wcs.as_ref().map(radio_io::Wcs::pixel_arcsec);
    let axes = |m: &SurveyMosaic| m.beam.map(|b| [b.major_arcsec, b.minor_arcsec]);
    let unit = |m: &SurveyMosaic| m.unit.clone().unwrap_or_else(|| "unknown".to_owned());
    checks.push(compared(set, "pixel scale", |m| number(pixel(m)), |a, b| like(pixel(a), pixel(b))));
    checks.push(compared(set, "beam", beam, |a, b| match (axes(a), axes(b)) {
        (Some(a), Some(b)) => (0..2).all(|k| like(Some(a[k]), Some(b[k]))),
        (a, b) => a.is_none() && b.is_none(),
    }));
    checks.push(compared(set, "unit", unit, |a, b| a.unit == b.unit));
    checks
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
    set: &FrameSet,
    what: &str,
    words: impl Fn(&SurveyMosaic) -> String,
    alike: impl Fn(&SurveyMosaic, &SurveyMosaic) -> bool,
) -> FrameCheck {
    let Some(first) = set.mosaics().first() else {
        return FrameCheck { what: what.to_owned(), found: "no mosaic".to_owned(), verdict: CheckVerdict::Good };
    };
    let others: Vec<&SurveyMosaic> = set.mosaics().iter().filter(|mosaic| !alike(first, mosaic)).collect();
    let (found, verdict) = match others.as_slice() {
        [] if set.mosaics().len() == 1 => (words(first), CheckVerdict::Good),
        [] => (format!("{} in all {} mosaics", words(first), set.mosaics().len()), CheckVerdict::Good),
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
        let refused = [("a_r00000_c00032_s32".to_owned(), "flat".to_owned())];
        let counts =
            FrameCounts { max_blank: 0.3, size: 32, step: 32, refused: &refused, with_blank: (2, 0.125), kept: 9 };
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
