//! Bad FITS files give the right error, which names the file, what was found and what was expected.

use std::{error::Error, path::PathBuf};

use ndarray::Array2;
use radio_io::{Card, FitsError, Mosaic, PixelSource, write_image};

type Test = Result<(), Box<dyn Error>>;

/// A file of 80-byte header lines, filled to whole blocks, followed by `data`.
fn fits(lines: &[&str], data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines.iter().chain(&["END"]) {
        bytes.extend(format!("{line:<80}").as_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes.extend(data);
    bytes
}

fn image(lines: &[&str], data: &[u8]) -> Vec<u8> {
    fits(&[&["SIMPLE  = T", "BITPIX  = -32"], lines].concat(), data)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Result<Self, Box<dyn Error>> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Box<dyn Error>> {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }
}

/// Opens a file that must be refused; the message has to name it and contain all `parts`.
fn refusal(name: &str, bytes: &[u8], parts: &[&str]) -> Result<FitsError, Box<dyn Error>> {
    let path = Folder::new()?;
    let path = (path.file(name, bytes)?, path);
    let refused = Mosaic::open(&path.0).err().ok_or_else(|| format!("{name} was opened"))?;
    let message = refused.to_string();
    for part in parts.iter().chain(&[name]) {
        assert!(message.contains(part), "`{message}` lacks `{part}`");
    }
    Ok(refused)
}

#[test]
fn a_truncated_file_says_how_many_bytes_are_missing() -> Test {
    let whole = image(&["NAXIS   = 2", "NAXIS1  = 10", "NAXIS2  = 20"], &[0; 800]);
    let cut = refusal("short.fits", &whole[..whole.len() - 1], &["needs 3680 bytes", "found 3679"])?;
    assert!(matches!(cut, FitsError::Truncated { expected: 3680, found: 3679, hdu: 0, .. }), "{cut:?}");
    let folder = Folder::new()?;
    let mosaic = Mosaic::open(&folder.file("whole.fits", &whole)?)?;
    assert_eq!((mosaic.rows(), mosaic.cols()), (20, 10), "the last block need not be filled");
    let in_header = refusal("header.fits", &whole[..240], &["END is missing", "expected a card END"])?;
    assert!(matches!(in_header, FitsError::BadHeader { .. }), "{in_header:?}");
    Ok(())
}

#[test]
fn absurd_axes_are_refused_before_anything_is_reserved() -> Test {
    let huge = image(&["NAXIS   = 2", "NAXIS1  = 4000000000000000000", "NAXIS2  = 1"], &[]);
    let refused = refusal("huge.fits", &huge, &["[4000000000000000000, 1]", "BITPIX -32"])?;
    assert!(matches!(refused, FitsError::TooLarge { bitpix: -32, .. }), "{refused:?}");
    // 2^32 squared wraps around to exactly 0 in 64 bits.
    let wraps = image(&["NAXIS   = 2", "NAXIS1  = 4294967296", "NAXIS2  = 4294967296"], &[0; 2880]);
    assert!(matches!(refusal("wraps.fits", &wraps, &["4294967296"])?, FitsError::TooLarge { .. }));
    let large = image(&["NAXIS   = 2", "NAXIS1  = 1000000000", "NAXIS2  = 100"], &[0; 2880]);
    let refused = refusal("large.fits", &large, &["needs 400000002880 bytes", "found 5760"])?;
    assert!(matches!(refused, FitsError::Truncated { .. }), "{refused:?}");
    for (lines, parts) in [
        (&["NAXIS   = 2", "NAXIS1  = -5", "NAXIS2  = 1"][..], &["NAXIS1 is -5", "at least 0"][..]),
        (&["NAXIS   = 2", "NAXIS1  = 5"], &["NAXIS2 is missing"]),
        (&["NAXIS   = 4000000000000000000"], &["NAXIS is 4000000000000000000", "0 to 999"]),
        (&["NAXIS   = 'two'"], &["NAXIS is 'two'"]),
        (&["NAXIS   = 2", "NAXIS1  = 1.0E19", "NAXIS2  = 1"], &["NAXIS1 is 1e19"]),
    ] {
        assert!(matches!(refusal("axes.fits", &image(lines, &[0; 2880]), parts)?, FitsError::BadHeader { .. }));
    }
    let bitpix = fits(&["SIMPLE  = T", "BITPIX  = 12", "NAXIS   = 0"], &[]);
    let refused = refusal("bitpix.fits", &bitpix, &["BITPIX is 12", "expected 8, 16, 32, 64, -32 or -64"])?;
    assert!(matches!(refused, FitsError::BadHeader { .. }));
    Ok(())
}

#[test]
fn cubes_are_refused_and_axes_of_length_one_dropped() -> Test {
    let cube = image(&["NAXIS   = 3", "NAXIS1  = 4", "NAXIS2  = 5", "NAXIS3  = 3"], &[0; 240]);
    let refused = refusal("cube.fits", &cube, &["2-D image", "[4, 5, 3]"])?;
    assert!(matches!(&refused, FitsError::NotAnImage { axes, .. } if *axes == [4, 5, 3]), "{refused:?}");
    let spectrum = image(&["NAXIS   = 1", "NAXIS1  = 4"], &[0; 16]);
    assert!(matches!(refusal("spectrum.fits", &spectrum, &["[4]"])?, FitsError::NotAnImage { .. }));
    let groups = image(&["NAXIS   = 2", "NAXIS1  = 0", "NAXIS2  = 5"], &[]);
    assert!(matches!(refusal("groups.fits", &groups, &["[0, 5]"])?, FitsError::NotAnImage { .. }));
    let folder = Folder::new()?;
    let numbers: Vec<u8> = (0..20_u8).flat_map(|value| f32::from(value).to_be_bytes()).collect();
    for (axes, (rows, cols)) in [
        (&["NAXIS   = 5", "NAXIS1  = 4", "NAXIS2  = 5", "NAXIS3  = 1", "NAXIS4  = 1", "NAXIS5  = 1"][..], (5, 4)),
        (&["NAXIS   = 4", "NAXIS1  = 1", "NAXIS2  = 4", "NAXIS3  = 1", "NAXIS4  = 5"], (5, 4)),
        (&["NAXIS   = 2", "NAXIS1  = 20", "NAXIS2  = 1"], (1, 20)),
        (&["NAXIS   = 3", "NAXIS1  = 1", "NAXIS2  = 20", "NAXIS3  = 1"], (20, 1)),
    ] {
        let mosaic = Mosaic::open(&folder.file("thin.fits", &image(axes, &numbers))?)?;
        assert_eq!((mosaic.rows(), mosaic.cols()), (rows, cols), "{axes:?}");
        assert_eq!(mosaic.full()?[[rows - 1, 0]], (20 - cols) as f32, "{axes:?}");
    }
    Ok(())
}

#[test]
fn what_is_no_fits_image_is_called_so() -> Test {
    assert!(matches!(refusal("empty.fits", &[], &["empty", "SIMPLE"])?, FitsError::NotFits { .. }));
    assert!(matches!(refusal("text.fits", b"frame,labels\n", &["frame,lab", "SIMPLE"])?, FitsError::NotFits { .. }));
    assert!(matches!(refusal("map.fits.gz", b"\x1f\x8b\x08\0", &["cannot inflate"])?, FitsError::Gzip { .. }));
    let missing = Mosaic::open(std::path::Path::new("/nowhere/map.fits")).err().ok_or("opened")?;
    assert!(matches!(&missing, FitsError::Io { .. }) && missing.to_string().contains("/nowhere/map.fits"));
    let primary = fits(&["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "EXTEND  = T"], &[]);
    let table = [
        "XTENSION= 'BINTABLE'",
        "BITPIX  = 8",
        "NAXIS   = 2",
        "NAXIS1  = 8",
        "NAXIS2  = 3",
        "PCOUNT  = 0",
        "GCOUNT  = 1",
    ];
    let mut only_table = [primary.clone(), fits(&table, &[0; 24])].concat();
    assert!(matches!(refusal("table.fits", &only_table, &["none of its 2"])?, FitsError::NoImage { hdus: 2, .. }));
    let compressed = [&table[..], &["ZIMAGE  = T", "ZCMPTYPE= 'RICE_1'"]].concat();
    let compressed = [primary, fits(&compressed, &[0; 24])].concat();
    let refused = refusal("rice.fits", &compressed, &["header 1", "BITPIX is missing"]);
    assert!(matches!(refused?, FitsError::BadHeader { hdu: 1, .. }));
    // An image behind the table is found.
    only_table.resize(only_table.len().next_multiple_of(2880), 0);
    only_table.extend(fits(
        &["XTENSION= 'IMAGE'", "BITPIX  = 16", "NAXIS   = 2", "NAXIS1  = 2", "NAXIS2  = 1"],
        &[0, 7, 0, 9],
    ));
    let folder = Folder::new()?;
    let mosaic = Mosaic::open(&folder.file("image.fits", &only_table)?)?;
    assert_eq!((mosaic.hdu(), mosaic.full()?), (2, ndarray::array![[7.0, 9.0]]));
    let cut = refusal("cut.fits", &only_table[..only_table.len() - 1], &["header 2"])?;
    assert!(matches!(cut, FitsError::Truncated { hdu: 2, .. }));
    Ok(())
}

#[test]
fn scaling_and_blanks_follow_the_header() -> Test {
    let folder = Folder::new()?;
    let size = ["NAXIS   = 2", "NAXIS1  = 3", "NAXIS2  = 1"];
    let head = |bitpix: &'static str, more: &[&'static str]| [&["SIMPLE  = T", bitpix], &size[..], more].concat();
    let unsigned = head("BITPIX  = 16", &["BZERO   = 32768", "BSCALE  = 1.0", "BLANK   = -32768", "BUNIT   = 'count'"]);
    let mosaic = Mosaic::open(&folder.file("u16.fits", &fits(&unsigned, &[0x80, 0, 0x80, 1, 0x7f, 0xff]))?)?;
    let pixels = mosaic.full()?;
    assert!(pixels[[0, 0]].is_nan() && pixels[[0, 1]] == 1.0 && pixels[[0, 2]] == 65535.0);
    assert!(mosaic.remarks().is_empty() && mosaic.unit() == Some("count"));
    let refused = mosaic.window_i64(0, 0, 1, 3).err().ok_or("scaled numbers are not as stored")?;
    assert!(matches!(refused, FitsError::NotIntegers { bitpix: 16, .. }) && refused.to_string().contains("u16.fits"));
    let float = head("BITPIX  = -32", &["BLANK   = -1"]);
    let values: Vec<u8> = [-1.0_f32, f32::NAN, 2.0].iter().flat_map(|value| value.to_be_bytes()).collect();
    let mosaic = Mosaic::open(&folder.file("float.fits", &fits(&float, &values))?)?;
    let pixels = mosaic.full()?;
    assert!(pixels[[0, 0]] == -1.0 && pixels[[0, 1]].is_nan() && pixels[[0, 2]] == 2.0);
    assert!(mosaic.remarks()[0].contains("BLANK = -1 is ignored"), "{:?}", mosaic.remarks());
    // TAB characters in comments and after values, a lone quote, no BUNIT: all seen in real files.
    let odd = head("BITPIX  = 8", &["COMMENT\ta\tb", "OBJECT  = '", "EPOCH   = 2000.0 /\tyear", "BMAJ    = 0.0015"]);
    let mosaic = Mosaic::open(&folder.file("odd.fits", &fits(&odd, &[1, 2, 3]))?)?;
    assert_eq!((mosaic.full()?, mosaic.unit()), (ndarray::array![[1.0, 2.0, 3.0]], None));
    assert!((mosaic.beam().ok_or("no beam")?.minor_arcsec - 5.4).abs() < 1e-9, "a missing BMIN means round");
    assert_eq!(mosaic.header().float("EPOCH"), Some(2000.0));
    Ok(())
}

#[test]
fn windows_must_lie_inside() -> Test {
    let folder = Folder::new()?;
    let path = folder.0.path().join("map.fits");
    let pixels = Array2::from_shape_fn((6, 4), |(row, col)| (10 * row + col) as f32);
    write_image(&path, &pixels, &[])?;
    let mosaic = Mosaic::open(&path)?;
    let sources: [&dyn PixelSource; 2] = [&mosaic, &pixels];
    for source in sources {
        assert_eq!(source.window(4, 1, 2, 3)?, pixels.slice(ndarray::s![4..6, 1..4]));
        assert_eq!(source.window(6, 4, 0, 0)?.len(), 0);
        for (row, col, n_rows, n_cols) in
            [(5, 0, 2, 1), (0, 2, 1, 3), (7, 0, 0, 0), (usize::MAX, 0, 1, 1), (0, 1, 1, usize::MAX)]
        {
            let refused = source.window(row, col, n_rows, n_cols).err().ok_or("outside")?;
            assert!(matches!(refused, FitsError::OutsideImage { rows: 6, cols: 4, .. }), "{refused:?}");
            assert!(refused.to_string().contains("6 rows x 4 columns"), "{refused}");
        }
    }
    Ok(())
}

#[test]
fn a_sky_that_cannot_be_computed_is_refused_with_its_reason() -> Test {
    let folder = Folder::new()?;
    let path = folder.0.path().join("sky.fits");
    let sky = |changes: &[(&'static str, radio_io::CardValue)]| -> Result<Mosaic, Box<dyn Error>> {
        let text = |value: &str| radio_io::CardValue::from(value);
        let mut cards = vec![
            ("CTYPE1", text("RA---SIN")),
            ("CTYPE2", text("DEC--SIN")),
            ("CRPIX1", 2.0.into()),
            ("CRPIX2", 2.0.into()),
            ("CRVAL1", 10.0.into()),
            ("CRVAL2", (-30.0).into()),
            ("CDELT1", (-0.001).into()),
            ("CDELT2", 0.001.into()),
        ];
        for (keyword, value) in changes {
            cards.retain(|(present, _)| present != keyword);
            cards.push((keyword, value.clone()));
        }
        let cards: Vec<Card> = cards.into_iter().map(|(keyword, value)| Card::new(keyword, value, "")).collect();
        write_image(&path, &Array2::<f32>::zeros((3, 3)), &cards)?;
        Ok(Mosaic::open(&path)?)
    };
    let (row, col) = sky(&[])?.wcs()?.ok_or("has a sky")?.pixel(10.0, -30.0).ok_or("visible")?;
    assert!((row - 1.0).abs() < 1e-9 && (col - 1.0).abs() < 1e-9);
    for (changes, parts) in [
        (&[("RADESYS", "GAPPT".into())][..], &["RADESYS is 'GAPPT'", "FK5", "reproject"][..]),
        (&[("EQUINOX", 1.0.into())], &["EQUINOX is 1.0", "1800"]),
        (&[("EPOCH", "about 1950".into())], &["EPOCH is 'about 1950'", "a year"]),
        (&[("A_ORDER", 2.into())], &["B_ORDER is", "needs both polynomials"]),
        (&[("A_ORDER", 10.into()), ("B_ORDER", 2.into())], &["A_ORDER is 10", "0 to 9"]),
        (&[("A_ORDER", 1.into()), ("A_1_0", 0.1.into())], &["A_1_0 is 0.1", "CRPIX and CD"]),
        (&[("CPDIS1", "LOOKUP".into())], &["CPDIS1 is 'LOOKUP'", "SIP and TPV"]),
        (&[("CTYPE1", "RA---TNX".into()), ("CTYPE2", "DEC--TNX".into())], &["TNX", "distortions"]),
        (&[("CROTA1", 10.0.into()), ("CROTA2", 0.0.into())], &["CROTA1 is 10.0", "delete one"]),
        (&[("CTYPE1", "HLON-SIN".into()), ("CTYPE2", "HLAT-SIN".into())], &["CTYPE1 is 'HLON-SIN'", "GLON/GLAT"]),
        (
            &[("CTYPE1", "ELON-SIN".into()), ("CTYPE2", "ELAT-SIN".into()), ("RADESYS", "FK4".into())],
            &["RADESYS is 'FK4'", "ecliptic"],
        ),
        (&[("CTYPE1", "RA---XYZ".into()), ("CTYPE2", "DEC--XYZ".into())], &["'RA---XYZ'", "XYZ is not supported"]),
        (&[("CTYPE2", "DEC--TAN".into())], &["different projections"]),
        (&[("CTYPE1", "RA---TAN-TPD".into()), ("CTYPE2", "DEC--TAN-TPD".into())], &["SIP and TPV"]),
        (&[("CDELT1", 0.0.into())], &["CDELT1 is 0", "without area"]),
        (&[("CRVAL2", 91.0.into())], &["CRVAL2 is 91.0"]),
        (&[("CUNIT1", "furlong".into())], &["CUNIT1 is 'furlong'", "arcsec"]),
    ] {
        let refused = sky(changes)?.wcs().err().ok_or_else(|| format!("{changes:?} was accepted"))?;
        assert!(matches!(refused, FitsError::Wcs { .. }), "{refused:?}");
        for part in parts.iter().chain(&["sky.fits"]) {
            assert!(refused.to_string().contains(part), "`{refused}` lacks `{part}`");
        }
    }
    for ctype in ["RA", "", "Jy/beam", "RA-SIN", "LINEAR  ", "RA---é", "--------"] {
        let mosaic = sky(&[("CTYPE1", ctype.into())])?;
        assert!(mosaic.wcs()?.is_none(), "{ctype} names no sky");
        let reason = radio_io::wcs::no_sky_reason(mosaic.header(), (0, 1)).ok_or("a reason")?;
        assert!(reason.contains("CTYPE1") && (!ctype.is_ascii() || reason.contains(ctype.trim())), "{reason}");
        assert!((mosaic.pixel_arcsec().ok_or("has a scale")? - 3.6).abs() < 1e-9);
    }
    // Galactic axes with an equatorial RADESYS are legal, and stay Galactic.
    let galactic = sky(&[("CTYPE1", "GLON-SIN".into()), ("CTYPE2", "GLAT-SIN".into()), ("RADESYS", "FK5".into())])?;
    assert_eq!(galactic.wcs()?.ok_or("has a sky")?.frame(), radio_io::SkyFrame::Galactic);
    Ok(())
}
