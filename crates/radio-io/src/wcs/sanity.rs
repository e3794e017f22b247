//! Does a header's sky make sense for its image? Findings in words, each with what to do.
//!
//! Nothing here is an error: a map may be mirrored, turned or cut from a larger one. But each of these has been the cause of a
//! catalogue with wrong positions.

use std::{fmt, path::Path};

use super::{Wcs, alternates, no_sky_reason, scale::determinant};
use crate::header::Header;

/// Something about a header that its owner should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The keyword it is about.
    pub keyword: String,
    /// What is so.
    pub found: String,
    /// What to do about it, or what it means.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.keyword, self.found, self.remedy)
    }
}

fn finding(keyword: &str, found: String, remedy: &str) -> Finding {
    Finding { keyword: keyword.to_owned(), found, remedy: remedy.to_owned() }
}

/// What there is to say about the sky of a header for an image of that size; also why there is none, or why it is refused.
pub fn header_findings(
    header: &Header,
    image_axes: (usize, usize),
    (rows, cols): (usize, usize),
    path: &Path,
) -> Vec<Finding> {
    let ctype = format!("CTYPE{}", image_axes.0 + 1);
    let mut findings = match Wcs::from_header(header, image_axes, path) {
        Ok(Some(wcs)) => wcs.sanity(rows, cols),
        Ok(None) => {
            let reason = no_sky_reason(header, image_axes).unwrap_or_default();
            vec![finding(&ctype, reason, "pixel work is possible; add a WCS for positions, regions and catalogues")]
        }
        Err(refused) => vec![finding(&ctype, refused.to_string(), "pixel work is possible, positions are not")],
    };
    if let Some(pixel) = Wcs::pixel_arcsec_of(header, image_axes)
        && matches!(Wcs::from_header(header, image_axes, path), Ok(None))
    {
        findings.push(finding("CDELT", format!("a pixel is {pixel:.4} arcsec"), "the scale is known without the sky"));
    }
    for version in alternates(header) {
        let remedy = "only the primary one is used unless another is asked for";
        findings.push(finding(&format!("CTYPE1{version}"), format!("alternate coordinates {version}"), remedy));
    }
    findings
}

impl Wcs {
    /// What is odd about this sky for an image of that size, in words; empty if nothing is.
    pub fn sanity(&self, rows: usize, cols: usize) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        let mut note = |keyword: &str, found: String, remedy: &str| findings.push(finding(keyword, found, remedy));
        for remark in &self.remarks {
            note("WCS", remark.clone(), "check it against a known source");
        }
        let (row, col) = self.reference_pixel();
        let outside = |place: f64, length: usize| !(-0.5..length as f64 - 0.5).contains(&place);
        if outside(row, rows) || outside(col, cols) {
            note(
                "CRPIX",
                format!("the reference pixel (row {row:.1}, column {col:.1}) lies outside the {rows} x {cols} image"),
                "if the header was copied unchanged from a larger map, every position is wrong: compare a source with a catalogue, or cut again",
            );
        }
        let pixel = self.pixel_arcsec();
        if !(1e-3..=7200.0).contains(&pixel) {
            note("CDELT", format!("a pixel is {pixel:.3e} arcsec"), "hardly a radio map: check CDELT, CD and CUNIT");
        }
        let [[a, b], [c, d]] = self.matrix;
        let (along_columns, along_rows) = (a.hypot(c), b.hypot(d));
        if (along_columns / along_rows - 1.0).abs() > 1e-3 {
            let sizes = format!("pixels are {:.4} x {:.4} arcsec", along_columns * 3600.0, along_rows * 3600.0);
            note("CDELT", sizes, "they are not square: lengths in pixels depend on direction");
        }
        let skew = (a * b + c * d) / (along_columns * along_rows);
        if skew.abs() > 1e-3 {
            let angle = skew.clamp(-1.0, 1.0).acos().to_degrees();
            note("CD", format!("rows and columns meet at {angle:.2} degrees"), "the map is sheared");
        }
        let mirrored = determinant(self.matrix) > 0.0;
        if mirrored {
            note(
                "CDELT",
                "east is to the right of north".to_owned(),
                "the map is mirrored, as seen from outside the sky",
            );
        }
        // The step in (column, row) that goes north.
        let (north_col, north_row) = (-b / determinant(self.matrix), a / determinant(self.matrix));
        let turn = north_col.atan2(north_row).to_degrees();
        if turn.abs() > 0.01 {
            let side = if turn > 0.0 { "right" } else { "left" };
            note("CROTA", format!("north is {:.2} degrees to the {side} of up", turn.abs()), "the map is turned");
        }
        let share = self.border_off_the_sky(rows, cols);
        if share > 0.0 {
            note(
                "CTYPE",
                format!("{:.0} % of the border shows no sky in projection {}", share * 100.0, self.code),
                "the map reaches beyond the edge of its projection: if it should not, CDELT or CRPIX is wrong",
            );
        }
        findings
    }

    /// Share of 256 places along the border that lie off the projection.
    fn border_off_the_sky(&self, rows: usize, cols: usize) -> f64 {
        let (height, width) = (rows as f64, cols as f64);
        let places = (0..64).map(|k| f64::from(k) / 63.0);
        let border = places.flat_map(|t| {
            let (row, col) = (t * height - 0.5, t * width - 0.5);
            [(row, -0.5), (row, width - 0.5), (-0.5, col), (height - 0.5, col)]
        });
        border.filter(|&(row, col)| self.native(row, col).is_none()).count() as f64 / 256.0
    }
}
