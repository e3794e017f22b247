//! A cutout: one frame of a mosaic with what is known about it, and how to write one as FITS.

use std::path::Path;

use ndarray::{Array2, ArrayRef2};

use crate::{
    brightness::{Brightness, BrightnessUnit},
    card::{CARD_BYTES, Card},
    error::FitsError,
    frame_grid::FrameId,
    header::Header,
    image_writer::{FitsPixel, ImageWriter, format_cards, is_structural, write_all_rows},
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

/// How many Jy/beam one of these units is; 1 for any unit that is not a fraction of Jy/beam.
pub(crate) fn jy_per_beam(unit: &str) -> f32 {
    match Brightness::parse(unit) {
        Some(Brightness { unit: BrightnessUnit::JyPerBeam, scale }) => scale as f32,
        _ => 1.0,
    }
}

/// Writes a part of a mosaic as a FITS image of its own: pixels as physical `f32`, under the header that
/// [`write_over_cutout`] gives.
///
/// # Errors
/// [`FitsError::OutsideImage`], [`FitsError::Io`], [`FitsError::BadCard`], and those of reading.
pub fn write_cutout(
    path: &Path,
    mosaic: &Mosaic,
    corner: (usize, usize),
    (n_rows, n_cols): (usize, usize),
    extra: &[Card],
) -> Result<(), FitsError> {
    let pixels = mosaic.window(corner.0, corner.1, n_rows, n_cols)?;
    write_over_cutout(path, mosaic, corner, &pixels, extra)
}

/// Writes an image that covers a part of a mosaic pixel by pixel, such as a mask: the mosaic's header with the reference pixel of
/// each of its coordinate systems moved, all axes kept, and where it comes from (ORIGFILE, ORIGHDU, ORIGROW, ORIGCOL, a line
/// of HISTORY). `extra` cards are added before those; they replace cards of the mosaic with the same keyword.
///
/// # Errors
/// [`FitsError::Io`], [`FitsError::BadCard`].
pub fn write_over_cutout<T: FitsPixel>(
    path: &Path,
    mosaic: &Mosaic,
    (row, col): (usize, usize),
    pixels: &ArrayRef2<T>,
    extra: &[Card],
) -> Result<(), FitsError> {
    let (n_rows, n_cols) = pixels.dim();
    let moved = moved_reference(mosaic, row, col);
    let origin = mosaic.path().file_name().unwrap_or_default().to_string_lossy();
    let (last_row, last_col) = ((row + n_rows).saturating_sub(1), (col + n_cols).saturating_sub(1));
    let version = env!("CARGO_PKG_VERSION");
    let provenance = [
        Card::new("ORIGFILE", origin.as_ref(), "cut from"),
        Card::new("ORIGHDU", mosaic.hdu() as i64, "its header-data unit, 0 is the primary one"),
        Card::new("ORIGROW", row as i64, "first row there, from 0"),
        Card::new("ORIGCOL", col as i64, "first column there, from 0"),
        Card::history(&format!(
            "radio-io {version}: cut from {origin}, rows {row} to {last_row}, columns {col} to {last_col} (from 0)"
        )),
    ];
    let ours: Vec<&Card> =
        moved.iter().chain(extra).chain(&provenance).filter(|card| !is_structural(&card.keyword)).collect();
    let mut lines = inherited(mosaic.header(), &ours);
    lines.extend(format_cards(ours)?);
    let (column_axis, row_axis) = mosaic.image_axes();
    let mut axes = vec![1; mosaic.axes().len()];
    (axes[column_axis], axes[row_axis]) = (n_cols as u64, n_rows as u64);
    let mut writer = ImageWriter::<T>::create_raw(path, &axes, &lines)?;
    write_all_rows(&mut writer, pixels)?;
    writer.finish()
}

/// CRPIX of all axes and of all coordinate systems (CRPIX1, CRPIX1A to CRPIX1Z), and IRAF's LTV, as they are in the cutout.
fn moved_reference(mosaic: &Mosaic, row: usize, col: usize) -> Vec<Card> {
    let plane = mosaic.plane();
    let starts = [(plane.column_axis, col), (plane.row_axis, row)].into_iter().chain(plane.fixed.iter().copied());
    let header = mosaic.header();
    let mut moved = Vec::new();
    for (axis, start) in starts {
        let number = axis + 1;
        let held_at_0 = plane.fixed.contains(&(axis, 0));
        for system in std::iter::once(String::new()).chain(('A'..='Z').map(String::from)) {
            let keyword = format!("CRPIX{number}{system}");
            // A header without CRPIX means 0, but one without any coordinates should not get some.
            let implied = || header.get(&format!("CTYPE{number}{system}")).map(|_| 0.0);
            let before = header.float(&keyword).or_else(implied).filter(|_| !held_at_0);
            moved.extend(before.map(|before| Card::new(&keyword, before - start as f64, "moved with the cutout")));
        }
        // LTV is where the first pixel of the parent's parent lies.
        let keyword = format!("LTV{number}");
        let before = header.float(&keyword).filter(|_| !held_at_0);
        moved.extend(before.map(|before| Card::new(&keyword, before - start as f64, "moved with the cutout")));
    }
    moved
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
    use crate::{
        card::CardValue,
        celestial::separation_arcsec,
        image_choice::{ImageChoice, PlanePosition},
        image_writer::write_image,
        wcs::Wcs,
    };

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

    #[test]
    fn all_coordinate_systems_move_also_from_a_plane_of_a_cube() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let (whole, part) = (folder.path().join("cube.fits"), folder.path().join("part.fits"));
        let cards = [
            Card::new("CTYPE1", "RA---SIN", ""),
            Card::new("CRPIX1", 10.0, ""),
            Card::new("CTYPE2", "DEC--SIN", ""),
            Card::new("CTYPE3", "FREQ", ""),
            Card::new("CRPIX3", 2.0, ""),
            Card::new("CTYPE4", "STOKES", ""),
            Card::new("CRPIX4", 1.0, ""),
            Card::new("CTYPE1A", "GLON-SIN", ""),
            Card::new("CRPIX1A", 11.5, ""),
            Card::new("CRPIX2Z", -3.0, ""),
            Card::new("LTV1", -100.0, ""),
        ];
        let lines = format_cards(&cards)?;
        let mut writer = ImageWriter::<f32>::create_raw(&whole, &[6, 5, 4, 1], &lines)?;
        writer.write_rows(&(0..120).map(|value| value as f32).collect::<Vec<_>>())?;
        writer.finish()?;
        let choice = ImageChoice::default().at("FREQ", PlanePosition::Index(3));
        let mosaic = Mosaic::open_image(&whole, &choice)?;
        write_cutout(&part, &mosaic, (2, 1), (3, 4), &[])?;
        let cutout = Mosaic::open(&part)?;
        assert_eq!((cutout.axes(), cutout.full()?[[0, 0]]), (&[4, 3, 1, 1][..], 90.0 + 13.0));
        for (keyword, moved) in [
            ("CRPIX1", 9.0),
            ("CRPIX2", -2.0),
            ("CRPIX3", -1.0),
            ("CRPIX4", 1.0),
            ("CRPIX1A", 10.5),
            ("CRPIX2Z", -5.0),
            ("LTV1", -101.0),
        ] {
            assert_eq!(cutout.header().float(keyword), Some(moved), "{keyword}");
        }
        assert!(cutout.header().get("CRPIX2A").is_none() && cutout.header().get("CRPIX1B").is_none());
        let history = cutout.header().cards().iter().find(|card| card.keyword == "HISTORY").ok_or("a history")?;
        let CardValue::Text(text) = &history.value else { return Err("text".into()) };
        assert!(text.contains("cube.fits, rows 2 to 4, columns 1 to 4"), "{text}");
        // A mask lies on the same sky.
        write_over_cutout(&part, &mosaic, (2, 1), &array![[1_u8, 0], [0, 2]], &[Card::new("BUNIT", "", "")])?;
        let mask = Mosaic::open(&part)?;
        assert_eq!((mask.bitpix(), mask.header().float("CRPIX1"), mask.unit()), (8, Some(9.0), None));
        Ok(())
    }

    #[test]
    fn a_cutout_of_a_compressed_map_is_a_plain_image() -> Result<(), Box<dyn std::error::Error>> {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/compressed.fits.gz");
        let choice = ImageChoice::named("RICE_CUBE").at("FREQ", PlanePosition::Index(2));
        let mosaic = Mosaic::open_image(&fixture, &choice)?;
        let folder = tempfile::tempdir()?;
        let part = folder.path().join("part.fits");
        write_cutout(&part, &mosaic, (3, 4), (5, 6), &[])?;
        let cutout = Mosaic::open(&part)?;
        assert_eq!(cutout.full()?, mosaic.window(3, 4, 5, 6)?);
        let header = cutout.header();
        assert_eq!((cutout.bitpix(), header.float("CRPIX3"), header.float("CRVAL3")), (-32, Some(-1.0), Some(1.4e9)));
        assert_eq!((header.text("ORIGFILE"), header.integer("ORIGHDU")), (Some("compressed.fits.gz"), Some(35)));
        for keyword in ["ZIMAGE", "TFIELDS", "TTYPE1", "ZCMPTYPE", "XTENSION", "EXTNAME"] {
            assert!(header.get(keyword).is_none(), "{keyword} came along");
        }
        Ok(())
    }
}
