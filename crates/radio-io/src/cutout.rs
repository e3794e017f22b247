//! A cutout: one frame of a mosaic with what is known about it, and how to write one as FITS.

use std::path::Path;

use ndarray::Array2;

use crate::{
    card::{CARD_BYTES, Card},
    error::FitsError,
    frame_grid::FrameId,
    header::Header,
    image_writer::{ImageWriter, format_cards, is_structural, write_all_rows},
    mosaic::Mosaic,
    noise::robust_rms,
};

/// One frame with its pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Cutout {
    /// Its name.
    pub id: FrameId,
    /// Pixels `[size, size]`, physical values in the mosaic's unit; NaN means blank.
    pub pixels: Array2<f32>,
    /// Share of pixels that are not finite, 0 to 1.
    pub blank_fraction: f32,
    /// Noise ([`robust_rms`]) in Jy/beam; in the mosaic's own unit where that is neither Jy/beam nor a fraction of it.
    pub rms_jy_beam: f32,
    /// Right ascension and declination of the centre, degrees, J2000; `None` if the mosaic has no usable sky.
    pub sky: Option<(f64, f64)>,
}

impl Cutout {
    /// Measures the pixels of a frame. `unit` is the mosaic's BUNIT.
    pub fn new(id: FrameId, pixels: Array2<f32>, unit: Option<&str>, sky: Option<(f64, f64)>) -> Self {
        let rms_jy_beam = robust_rms(&pixels) * unit.map_or(1.0, jy_per_beam);
        Self { id, blank_fraction: blank_fraction(&pixels) as f32, pixels, rms_jy_beam, sky }
    }
}

/// Share of pixels that are not finite; 1 for an image without pixels.
pub fn blank_fraction(pixels: &Array2<f32>) -> f64 {
    let blank = pixels.iter().filter(|pixel| !pixel.is_finite()).count();
    if pixels.is_empty() { 1.0 } else { blank as f64 / pixels.len() as f64 }
}

/// How many Jy/beam one of these units is; 1 for any unit that is not a fraction of Jy/beam. A capital M (as in `MJY/BEAM`,
/// written by software that knows no small letters) is left alone: it may mean mega.
pub(crate) fn jy_per_beam(unit: &str) -> f32 {
    let compact: String = unit.chars().filter(|character| !character.is_whitespace()).collect();
    let scale = match compact.chars().next() {
        Some('m') => 1e-3,
        Some('u' | 'µ' | 'μ') => 1e-6,
        Some('n') => 1e-9,
        _ => return 1.0,
    };
    let rest = compact.chars().skip(1).collect::<String>().to_lowercase();
    if rest.starts_with("jy/b") || rest.starts_with("jybeam-1") { scale } else { 1.0 }
}

/// Writes a part of a mosaic as a FITS image of its own: pixels as physical `f32`, the mosaic's header with the reference
/// pixel moved, axes of length 1 kept, and where it comes from (ORIGFILE, ORIGROW, ORIGCOL). `extra` cards are added before
/// those; they replace cards of the mosaic with the same keyword.
///
/// # Errors
/// [`FitsError::OutsideImage`], [`FitsError::Io`], [`FitsError::BadCard`].
pub fn write_cutout(
    path: &Path,
    mosaic: &Mosaic,
    (row, col): (usize, usize),
    (n_rows, n_cols): (usize, usize),
    extra: &[Card],
) -> Result<(), FitsError> {
    let pixels = mosaic.window(row, col, n_rows, n_cols)?;
    let (column_axis, row_axis) = mosaic.image_axes();
    let mut moved: Vec<Card> = Vec::new();
    for (axis, shift) in [(column_axis + 1, col), (row_axis + 1, row)] {
        let keyword = format!("CRPIX{axis}");
        // A header without CRPIX means 0, but one without any coordinates should not get some.
        let before = mosaic.header().float(&keyword).or(mosaic.header().get(&format!("CTYPE{axis}")).map(|_| 0.0));
        moved.extend(before.map(|before| Card::new(&keyword, before - shift as f64, "moved with the cutout")));
    }
    let origin = mosaic.path().file_name().unwrap_or_default().to_string_lossy();
    let provenance = [
        Card::new("ORIGFILE", origin.as_ref(), "cut from"),
        Card::new("ORIGROW", row as i64, "first row there, from 0"),
        Card::new("ORIGCOL", col as i64, "first column there, from 0"),
    ];
    let ours: Vec<&Card> =
        moved.iter().chain(extra).chain(&provenance).filter(|card| !is_structural(&card.keyword)).collect();
    let mut lines = inherited(mosaic.header(), &ours);
    lines.extend(format_cards(ours)?);
    let mut axes = vec![1; mosaic.axes().len()];
    (axes[column_axis], axes[row_axis]) = (n_cols as u64, n_rows as u64);
    let mut writer = ImageWriter::<f32>::create_raw(path, &axes, &lines)?;
    write_all_rows(&mut writer, &pixels)?;
    writer.finish()
}

/// The lines of a header as they stand, less those that describe the storage and those that are given anew; bytes that the
/// standard forbids (TAB characters are common) become blanks.
fn inherited(header: &Header, replaced: &[&Card]) -> Vec<[u8; CARD_BYTES]> {
    let mut lines = Vec::new();
    let mut keep = true;
    for line in header.raw_cards() {
        let keyword = String::from_utf8_lossy(&line[..8]).trim().to_owned();
        // A continuation goes with the card before it.
        if keyword != "CONTINUE" {
            let is_replaced = replaced.iter().any(|card| card.keyword == keyword && !card.is_commentary());
            keep = !is_structural(&keyword) && !is_replaced;
        }
        if keep {
            lines.push(line.map(|byte| if (b' '..=b'~').contains(&byte) { byte } else { b' ' }));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::{celestial::separation_arcsec, image_writer::write_image, wcs::Wcs};

    #[test]
    fn a_cutout_keeps_its_place_on_the_sky() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let (whole, part) = (folder.path().join("whole.fits"), folder.path().join("part.fits"));
        let pixels = Array2::from_shape_fn((40, 60), |(row, col)| (100 * row + col) as f32);
        let mut cards = Wcs::north_up("SIN", (201.4, -43.0), (20.0, 30.0), 2.0)?.cards();
        cards.extend([Card::new("BUNIT", "Jy/beam", ""), Card::new("OBJECT", "old", ""), Card::history("a\tline")]);
        write_image(&whole, &pixels, &cards)?;
        let mosaic = Mosaic::open(&whole)?;
        write_cutout(&part, &mosaic, (11, 7), (5, 9), &[Card::new("OBJECT", "new", "")])?;
        let cutout = Mosaic::open(&part)?;
        assert_eq!(cutout.full()?, pixels.slice(ndarray::s![11..16, 7..16]));
        let sky =
            |mosaic: &Mosaic, row, col| mosaic.wcs().ok().flatten().and_then(|wcs| wcs.sky(row, col)).ok_or("no sky");
        let apart = separation_arcsec(sky(&cutout, 3.0, 8.0)?, sky(&mosaic, 14.0, 15.0)?);
        assert!(apart < 1e-8, "{apart} arcsec");
        assert_eq!((cutout.header().text("OBJECT"), cutout.unit()), (Some("new"), Some("Jy/beam")));
        assert_eq!((cutout.header().integer("ORIGROW"), cutout.header().integer("ORIGCOL")), (Some(11), Some(7)));
        assert_eq!(cutout.header().text("ORIGFILE"), Some("whole.fits"));
        let shifted = mosaic.wcs()?.ok_or("no sky")?.shifted(11.0, 7.0);
        assert_eq!(shifted.sky(3.0, 8.0), Some(sky(&cutout, 3.0, 8.0)?));
        Ok(())
    }

    #[test]
    fn blanks_and_units_are_accounted_for() {
        let id = FrameId { mosaic: "m".to_owned(), row: 0, col: 0, size: 2 };
        let pixels = array![[1.0, 2.0], [3.0, f32::NAN]];
        let cutout = Cutout::new(id, pixels, Some("mJy/beam"), None);
        assert_eq!(cutout.blank_fraction, 0.25);
        assert!((cutout.rms_jy_beam - 1.482_602_2e-3).abs() < 1e-8);
        let units = [
            ("JY/BEAM", 1.0),
            ("Jy/beam", 1.0),
            ("uJy beam-1", 1e-6),
            ("MJY/SR", 1.0),
            ("mK", 1.0),
            ("", 1.0),
            ("mJy / Beam", 1e-3),
        ];
        for (unit, scale) in units {
            assert_eq!(jy_per_beam(unit), scale, "{unit}");
        }
    }
}
