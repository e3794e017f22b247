//! Any image of a file: by number, by name, and one plane of a cube.

use std::{error::Error, path::PathBuf};

use radio_io::{FitsError, HduKind, ImageChoice, Mosaic, PlanePosition, Window, Windows};

type Test = Result<(), Box<dyn Error>>;

/// A header and its data, each in whole blocks.
fn unit(lines: &[&str], data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines.iter().chain(&["END"]) {
        bytes.extend(format!("{line:<80}").as_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    bytes
}

/// An empty primary header, a cube with Stokes first, a table, and an image named RMS.
fn several(folder: &tempfile::TempDir) -> Result<PathBuf, Box<dyn Error>> {
    let numbers: Vec<u8> = (0..24_i16).flat_map(|number| (number * 10).to_be_bytes()).collect();
    let cube = [
        "XTENSION= 'IMAGE'",
        "BITPIX  = 16",
        "NAXIS   = 4",
        "NAXIS1  = 2",
        "NAXIS2  = 3",
        "NAXIS3  = 4",
        "NAXIS4  = 1",
        "CTYPE1  = 'STOKES'",
        "CRVAL1  = 1",
        "CDELT1  = 1",
        "CRPIX1  = 1",
        "CTYPE2  = 'RA---SIN'",
        "CTYPE3  = 'DEC--SIN'",
        "CTYPE4  = 'FREQ'",
        "BLANK   = 110",
    ];
    let table =
        ["XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 8", "NAXIS2  = 3", "EXTNAME = 'SOURCES'"];
    let rms = ["XTENSION= 'IMAGE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 2", "NAXIS2  = 1", "EXTNAME = 'RMS     '"];
    let file = [
        unit(&["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "EXTEND  = T"], &[]),
        unit(&cube, &numbers),
        unit(&table, &[0; 24]),
        unit(&rms, &[7, 9]),
    ];
    let path = folder.path().join("several.fits");
    std::fs::write(&path, file.concat())?;
    Ok(path)
}

#[test]
fn an_image_is_chosen_by_number_or_by_name() -> Test {
    let folder = tempfile::tempdir()?;
    let path = several(&folder)?;
    for choice in [ImageChoice::number(3), ImageChoice::named("rms")] {
        let mosaic = Mosaic::open_image(&path, &choice)?;
        assert_eq!((mosaic.hdu(), mosaic.full()?), (3, ndarray::array![[7.0, 9.0]]));
    }
    for (choice, parts) in [
        (ImageChoice::number(4), &["no header-data unit number 4", "0, 1, 2 (SOURCES), 3 (RMS)"][..]),
        (ImageChoice::named("BKG"), &["EXTNAME 'BKG'", "3 (RMS)"]),
        (ImageChoice::named("SOURCES"), &["header 2 holds no pixels", "BinaryTable"]),
        (ImageChoice::number(0), &["header 0 holds no pixels"]),
    ] {
        let refused = Mosaic::open_image(&path, &choice).expect_err("must be refused").to_string();
        assert!(parts.iter().all(|part| refused.contains(part)) && refused.contains("several.fits"), "{refused}");
    }
    Ok(())
}

#[test]
fn a_plane_of_a_cube_may_lie_along_any_axis() -> Test {
    let folder = tempfile::tempdir()?;
    let path = several(&folder)?;
    let refused = Mosaic::open(&path).expect_err("which Stokes?");
    assert!(matches!(refused, FitsError::NotAnImage { .. }) && refused.to_string().contains("STOKES (2)"), "{refused}");
    // Every second number of the file: columns are RA, rows are Dec.
    let q = Mosaic::open_image(&path, &ImageChoice::number(1).at("STOKES", PlanePosition::World(2.0)))?;
    assert_eq!((q.rows(), q.cols()), (4, 3));
    assert_eq!(q.window(2, 1, 2, 2)?, ndarray::array![[150.0, 170.0], [210.0, 230.0]]);
    assert!(q.window(1, 2, 1, 1)?[[0, 0]].is_nan(), "BLANK");
    assert_eq!(q.window_i64(1, 1, 1, 2)?, ndarray::array![[90, 110]]);
    let (mut pixels, mut blanks) = (Vec::new(), Vec::new());
    assert_eq!(q.window_and_blanks_into(1, 1, 1, 2, &mut pixels, &mut blanks)?, 1);
    assert_eq!((pixels[0], blanks), (90.0, vec![false, true]));
    let mut windows: Windows<_> = q.windows([(0, 0), (3, 2), (4, 0)], 1, 1);
    assert_eq!(windows.next_window().ok_or("first")??, Window { row: 0, col: 0, pixels: &[10.0] });
    assert_eq!(windows.next_window().ok_or("second")??, Window { row: 3, col: 2, pixels: &[230.0] });
    assert!(windows.next_window().ok_or("third")?.is_err() && windows.next_window().is_none());
    // Stokes against Dec at one RA.
    let cut = Mosaic::open_image(&path, &ImageChoice::number(1).at("RA", PlanePosition::Index(2)))?;
    assert_eq!(cut.full()?.row(0), ndarray::array![40.0, 50.0]);
    Ok(())
}

#[test]
fn the_list_goes_as_far_as_the_file_makes_sense() -> Test {
    let folder = tempfile::tempdir()?;
    let path = several(&folder)?;
    let list = Mosaic::hdus(&path)?;
    assert!(list.fault.is_none());
    let kinds: Vec<HduKind> = list.hdus.iter().map(|hdu| hdu.kind).collect();
    assert_eq!(kinds, [HduKind::Image, HduKind::Image, HduKind::BinaryTable, HduKind::Image]);
    let rms = &list.hdus[3];
    assert_eq!((rms.name.as_deref(), rms.bitpix, &rms.axes[..]), (Some("RMS"), 8, &[2, 1][..]));
    assert_eq!((rms.header_byte, rms.data_byte, rms.data_bytes), (5 * 2880, 6 * 2880, 2));
    let bytes = std::fs::read(&path)?;
    std::fs::write(&path, &bytes[..6 * 2880 + 1])?;
    let list = Mosaic::hdus(&path)?;
    assert_eq!(list.hdus.len(), 4);
    assert!(matches!(list.fault, Some(FitsError::Truncated { hdu: 3, .. })), "{:?}", list.fault);
    std::fs::write(&path, &bytes[..100])?;
    assert!(matches!(Mosaic::hdus(&path), Err(FitsError::BadHeader { hdu: 0, .. })));
    Ok(())
}
