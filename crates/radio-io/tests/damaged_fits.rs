//! Whatever happens to the bytes of a FITS file, reading it ends in pixels or in an error, never in a panic.

use ndarray::Array2;
use proptest::prelude::*;
use radio_io::{Card, CardValue, Header, Mosaic, Wcs, write_image};

/// A small map with every kind of card that reading looks at.
fn small_map(path: &std::path::Path) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut cards = Wcs::north_up("SIN", (201.4, -43.0), (3.0, 4.0), 2.0)?.cards();
    cards.extend([
        Card::new("BMAJ", 0.004, "degrees"),
        Card::new("BMIN", 0.003, ""),
        Card::new("BUNIT", "Jy/beam", ""),
        Card::new("EQUINOX", 2000.0, ""),
        Card::new("LONGTEXT", "it's long, ".repeat(12), ""),
        Card::history("AIPS   CLEAN BMAJ=  1.5000E-03 BMIN=  1.0000E-03 BPA=  12.00"),
    ]);
    write_image(path, &Array2::from_shape_fn((7, 9), |(row, col)| (row * col) as f32), &cards)?;
    Ok(std::fs::read(path)?)
}

/// Uses everything a header can break.
fn use_it(path: &std::path::Path) {
    let Ok(mosaic) = Mosaic::open(path) else { return };
    let _ = (mosaic.beam(), mosaic.unit(), mosaic.pixel_arcsec(), mosaic.remarks().len());
    if let Ok(Some(wcs)) = mosaic.wcs() {
        let _ =
            (wcs.sky(0.0, 0.0), wcs.sky(1e9, -1e9), wcs.pixel(201.4, -43.0), wcs.pixel(0.0, 90.0), wcs.pixel_arcsec());
    }
    let (rows, cols) = (mosaic.rows(), mosaic.cols());
    let window = mosaic.window(rows / 2, cols / 2, rows - rows / 2, cols - cols / 2);
    assert_eq!(window.map(|pixels| pixels.dim()).ok(), Some((rows - rows / 2, cols - cols / 2)));
    let target = path.with_extension("cutout");
    let _ = radio_io::write_cutout(&target, &mosaic, (0, 0), (1, 1), &[]);
}

/// Bytes that mean something in a header come up more often than chance would have it.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), proptest::sample::select(b"'&/=.-+ETD0129 \t".to_vec())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes_do_not_panic(changes in prop::collection::vec((0..2880_usize, byte()), 1..12), keep in 0..5761_usize, cut in any::<bool>()) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("map.fits");
        let mut bytes = small_map(&path).expect("a good map");
        prop_assert_eq!(bytes.len(), 5760);
        for (at, value) in changes {
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(keep);
        }
        std::fs::write(&path, bytes).expect("written");
        use_it(&path);
    }

    #[test]
    fn any_value_may_stand_behind_any_keyword(value in "[ -~]{0,30}", which in 0..14_usize) {
        let keywords = [
            "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "BSCALE", "BLANK", "CTYPE1", "CTYPE2", "CRPIX1", "CRVAL2", "CDELT1", "LONPOLE", "EQUINOX", "BMAJ",
        ];
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("map.fits");
        let mut bytes = small_map(&path).expect("a good map");
        let keyword = keywords[which];
        let line = format!("{:<80}", format!("{keyword:<8}= {value}"));
        let at = (0..36).find(|card| bytes[card * 80..].starts_with(format!("{keyword:<8}=").as_bytes())).unwrap_or(35) * 80;
        bytes[at..at + 80].copy_from_slice(line.as_bytes());
        std::fs::write(&path, bytes).expect("written");
        use_it(&path);
    }

    #[test]
    fn cards_of_any_text_and_number_survive(text in "[ -~]{0,150}", number in any::<f64>(), whole in any::<i64>()) {
        let mut cards = vec![Card::new("TEXT", text.trim_end(), "a comment"), Card::new("WHOLE", whole, "")];
        if number.is_finite() {
            cards.push(Card::new("NUMBER", number, "another"));
        }
        let mut raw = Vec::new();
        for card in &cards {
            raw.extend(card.format().expect("legal"));
        }
        let header = Header::from_raw(raw);
        prop_assert_eq!(header.integer("WHOLE"), Some(whole));
        if number.is_finite() {
            prop_assert_eq!(header.float("NUMBER"), Some(number));
        }
        let read = header.get("TEXT").map(|card| card.value.clone());
        prop_assert_eq!(read, Some(CardValue::Text(text.trim_end().to_owned())));
    }

    #[test]
    fn a_header_without_any_sense_has_no_sky_or_a_reason(lon in -1e3..1e3_f64, lat in -1e2..1e2_f64, lonpole in -1e3..1e3_f64, scale in -2.0..2.0_f64, which in 0..11_usize) {
        let code = ["SIN", "TAN", "NCP", "ZEA", "ARC", "STG", "CAR", "CEA", "MER", "SFL", "AIT"][which];
        let cards = [
            Card::new("CTYPE1", format!("GLON-{code}"), ""), Card::new("CTYPE2", format!("GLAT-{code}"), ""),
            Card::new("CRVAL1", lon, ""), Card::new("CRVAL2", lat, ""), Card::new("LONPOLE", lonpole, ""),
            Card::new("CDELT1", -scale, ""), Card::new("CDELT2", scale, ""),
        ];
        if let Ok(Some(wcs)) = Wcs::from_header(&Header::from_cards(&cards), (0, 1), std::path::Path::new("any")) {
            // An NCP map folds over at the equator, and close to the fold digits are lost; no array makes such maps.
            let folds = code == "NCP" && lat.abs() < 10.0;
            // Where a pixel has a place on the sky, that place has this pixel (near the reference point, where maps are one-to-one).
            if let Some((ra, dec)) = wcs.sky(-0.7, -0.4) {
                let Some((row, col)) = wcs.pixel(ra, dec) else {
                    prop_assert!(folds, "{ra}, {dec} is not on its own map");
                    return Ok(());
                };
                let tolerance = 1e-9 / scale.abs();
                prop_assert!(folds || (row + 0.7).abs() < tolerance && (col + 0.4).abs() < tolerance, "{} {}", row, col);
            }
        }
    }
}
