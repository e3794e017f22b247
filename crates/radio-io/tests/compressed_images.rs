//! Tile-compressed images against what astropy decodes (fixtures/make_compressed.py), and damaged ones against panics.

use std::{error::Error, io::Read, path::PathBuf};

use flate2::{Crc, read::GzDecoder};
use ndarray::Array2;
use proptest::prelude::*;
use radio_io::{FitsError, HduKind, ImageChoice, Mosaic, PlanePosition};
use serde_json::Value;

type Test = Result<(), Box<dyn Error>>;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn crc32(pixels: impl IntoIterator<Item = f32>) -> u32 {
    let mut crc = Crc::new();
    for pixel in pixels {
        crc.update(&(if pixel.is_nan() { f32::NAN } else { pixel }).to_be_bytes());
    }
    crc.sum()
}

/// Name, CRC-32 and shape of an image.
type Expected = (String, u32, Vec<usize>);

fn expected() -> Result<Vec<Expected>, Box<dyn Error>> {
    let all: Value = serde_json::from_reader(std::fs::File::open(fixture("compressed.json"))?)?;
    let all = all.as_object().ok_or("no object")?;
    let number = |value: &Value| value.as_u64().ok_or("no number");
    let mut cases = Vec::new();
    for (name, case) in all {
        let shape: Result<Vec<usize>, _> = case["shape"]
            .as_array()
            .ok_or("no shape")?
            .iter()
            .map(|length| number(length).map(|length| length as usize))
            .collect();
        cases.push((name.clone(), number(&case["crc32"])? as u32, shape?));
    }
    assert_eq!(cases.len(), 36, "the fixture is not the one this test knows");
    Ok(cases)
}

fn open(name: &str) -> Result<Mosaic, FitsError> {
    Mosaic::open_image(&fixture("compressed.fits.gz"), &ImageChoice::named(name))
}

#[test]
fn every_algorithm_gives_the_pixels_that_astropy_gives() -> Test {
    for (name, crc, shape) in expected()? {
        let pixels: Vec<f32> = if let [planes, rows, cols] = shape[..] {
            let mut cube = Vec::new();
            for plane in 0..planes {
                let choice = ImageChoice::named(&name).at("FREQ", PlanePosition::Index(plane));
                let mosaic = Mosaic::open_image(&fixture("compressed.fits.gz"), &choice)?;
                assert_eq!((mosaic.rows(), mosaic.cols()), (rows, cols));
                cube.extend(mosaic.full()?);
            }
            cube
        } else {
            let mosaic = open(&name)?;
            assert_eq!(vec![mosaic.rows(), mosaic.cols()], shape, "{name}");
            assert!(mosaic.is_compressed());
            mosaic.full()?.into_iter().collect()
        };
        assert_eq!(crc32(pixels.iter().copied()), crc, "{name}: {:?}", &pixels[..12]);
    }
    Ok(())
}

/// The formula of make_compressed.py.
fn formula(row: usize, col: usize) -> i64 {
    let (row, col) = (row as i64, col as i64);
    row * 7 + col * col * 3 + row * col % 11 * 5 - 600
}

#[test]
fn whole_numbers_come_back_exactly() -> Test {
    let formula = Array2::from_shape_fn((21, 29), |(row, col)| formula(row, col));
    for (name, expected) in [
        ("RICE_1_U8", formula.mapv(|value| value & 255)),
        ("RICE_1_I16", formula.clone()),
        ("RICE_ROWS", formula.clone()),
        ("RICE_WHOLE", formula.mapv(|value| value * 60_000)),
        ("GZIP_1_U8", formula.mapv(|value| value & 255)),
        ("GZIP_2_I16", formula.clone()),
        ("GZIP_2_I32", formula.mapv(|value| value * 60_000)),
        ("GZIP_1_I64", formula.mapv(|value| value << 33)),
        ("NOCOMPRESS_I16", formula.clone()),
        ("HCOMPRESS_I16", formula.clone()),
        ("HCOMPRESS_I32", formula.mapv(|value| value * 60_000)),
    ] {
        assert_eq!(open(name)?.window_i64(0, 0, 21, 29)?, expected, "{name}");
    }
    let scaled = open("RICE_U16")?;
    assert_eq!(scaled.full()?, formula.mapv(|value| (value + 40_000) as f32));
    assert!(matches!(scaled.window_i64(0, 0, 1, 1), Err(FitsError::NotIntegers { bitpix: 16, .. })));
    Ok(())
}

#[test]
fn a_window_is_that_part_of_the_whole_whatever_the_tiles() -> Test {
    for name in ["RICE_1_I16", "RICE_ROWS", "RICE_WHOLE", "HCOMPRESS_SCALED", "RICE_1_DITHER1"] {
        let (mosaic, fresh) = (open(name)?, open(name)?);
        // So small that tiles are thrown out all the time.
        mosaic.set_tile_cache_bytes(1000);
        let whole = fresh.full()?;
        for (row, col, n_rows, n_cols) in
            [(0, 0, 21, 29), (15, 7, 2, 2), (16, 8, 5, 8), (20, 28, 1, 1), (5, 3, 15, 24), (9, 9, 0, 3)]
        {
            let part = whole.slice(ndarray::s![row..row + n_rows, col..col + n_cols]);
            let same = |window: &Array2<f32>| window.iter().zip(&part).all(|(a, b)| a.to_bits() == b.to_bits());
            let window = mosaic.window(row, col, n_rows, n_cols)?;
            assert!(window.dim() == part.dim() && same(&window), "{name} {row} {col}");
        }
        assert!(matches!(mosaic.window(0, 0, 22, 1), Err(FitsError::OutsideImage { .. })));
    }
    Ok(())
}

#[test]
fn the_header_is_that_of_the_image_and_the_list_tells_of_the_compression() -> Test {
    let mosaic = open("RICE_BLANK")?;
    assert_eq!((mosaic.bitpix(), mosaic.axes(), mosaic.hdu()), (16, &[29, 21][..], 36));
    assert_eq!(mosaic.header().float("BSCALE"), Some(0.5));
    for keyword in ["TFIELDS", "TTYPE1", "ZIMAGE", "ZCMPTYPE", "ZTILE1", "ZNAXIS", "PCOUNT"] {
        let gone = mosaic.header().get(keyword).is_none() || keyword == "PCOUNT";
        assert!(gone, "{keyword} is still there");
    }
    assert!(mosaic.window(18, 25, 1, 1)?[[0, 0]].is_nan());
    let list = Mosaic::hdus(&fixture("compressed.fits.gz"))?;
    assert!(list.fault.is_none() && list.hdus.len() == 37);
    let steep = list.hdus.iter().find(|hdu| hdu.name.as_deref() == Some("RICE_STEEP")).ok_or("is there")?;
    assert_eq!((steep.kind, steep.bitpix, &steep.axes[..]), (HduKind::CompressedImage, -32, &[29, 21][..]));
    assert_eq!((steep.compression.as_deref(), steep.data_byte % 2880), (Some("RICE_1"), 0));
    // The first image of the file is the first compressed one: the primary header holds none.
    assert_eq!(Mosaic::open(&fixture("compressed.fits.gz"))?.hdu(), 1);
    Ok(())
}

/// Name of a unit, and its header and data as a range of bytes.
type Unit = (String, std::ops::Range<usize>);

/// The fixture, inflated, and its units.
fn inflated() -> Result<(Vec<u8>, Vec<Unit>), Box<dyn Error>> {
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(fixture("compressed.fits.gz"))?).read_to_end(&mut bytes)?;
    let list = Mosaic::hdus(&fixture("compressed.fits.gz"))?;
    let range = |hdu: &radio_io::HduSummary| hdu.header_byte as usize..(hdu.data_byte + hdu.data_bytes) as usize;
    let units = list.hdus.iter().map(|hdu| (hdu.name.clone().unwrap_or_default(), range(hdu))).collect();
    Ok((bytes, units))
}

/// One unit as a file of its own, behind an empty primary header.
fn alone(bytes: &[u8], unit: &std::ops::Range<usize>) -> Vec<u8> {
    let mut file = bytes[..2880].to_vec();
    file.extend(&bytes[unit.clone()]);
    file
}

#[test]
fn a_broken_tile_is_named_with_its_algorithm() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("broken.fits");
    let (bytes, units) = inflated()?;
    let (_, unit) = units.iter().find(|(name, _)| name == "GZIP_1_I16").ok_or("is there")?;
    let data = Mosaic::hdus(&fixture("compressed.fits.gz"))?;
    let data = data.hdus.iter().find(|hdu| hdu.name.as_deref() == Some("GZIP_1_I16")).ok_or("is there")?;
    let start = 2880 + (data.data_byte - data.header_byte) as usize;
    let mut file = alone(&bytes, unit);
    // The descriptor of tile 1: its place in the heap.
    file[start + 8 + 4..start + 16].copy_from_slice(&0x7fff_0000_u32.to_be_bytes());
    std::fs::write(&path, &file)?;
    let refused = Mosaic::open(&path)?.full().expect_err("out of the heap");
    assert!(
        matches!(&refused, FitsError::Tile { hdu: 1, tile: 1, algorithm, .. } if algorithm == "GZIP_1"),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("beyond the heap"), "{refused}");
    // Other tiles can still be read.
    assert_eq!(Mosaic::open(&path)?.window(0, 0, 16, 8)?.len(), 128);
    // More pixels than the bytes can hold are refused before memory is reserved.
    let mut file = alone(&bytes, unit);
    for (keyword, value) in [
        ("ZNAXIS1 ", 2_000_000_000_u64),
        ("ZNAXIS2 ", 2_000_000_000),
        ("ZTILE1  ", 2_000_000_000),
        ("ZTILE2  ", 2_000_000_000),
    ] {
        let at = file.chunks(80).position(|line| line.starts_with(keyword.as_bytes())).ok_or("is there")? * 80;
        file[at..at + 80].copy_from_slice(format!("{:<80}", format!("{keyword}= {value}")).as_bytes());
    }
    std::fs::write(&path, &file)?;
    let mosaic = Mosaic::open(&path)?;
    assert!(matches!(mosaic.full(), Err(FitsError::Tile { tile: 0, .. })), "no memory is asked for the whole");
    let refused = mosaic.window(0, 0, 1, 1).expect_err("one tile of 4e18 pixels");
    assert!(
        matches!(&refused, FitsError::Tile { tile: 0, .. }) && refused.to_string().contains("at most"),
        "{refused}"
    );
    Ok(())
}

fn use_it(path: &std::path::Path) {
    let Ok(mosaic) = Mosaic::open(path) else { return };
    let (rows, cols) = (mosaic.rows(), mosaic.cols());
    let (n_rows, n_cols) = (rows.min(50), cols.min(50));
    for (row, col) in [(0, 0), (rows - n_rows, cols - n_cols)] {
        if let Ok(pixels) = mosaic.window(row, col, n_rows, n_cols) {
            assert_eq!(pixels.dim(), (n_rows, n_cols));
        }
        let _ = mosaic.window_i64(row, col, n_rows, n_cols);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_streams_end_in_pixels_or_in_an_error(
        which in 1..37_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        keep in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        in_header in prop::bool::weighted(0.2),
    ) {
        let (bytes, units) = inflated().expect("the fixture");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("damaged.fits");
        let mut file = alone(&bytes, &units[which].1);
        let data = (2880..file.len()).step_by(2880).find(|&at| file[at - 2880..at].as_chunks::<80>().0.iter().any(|line| line.starts_with(b"END     ")) && at > 2880);
        let data = data.unwrap_or(2880);
        for (at, value) in changes {
            let (from, to) = if in_header { (2880, data) } else { (data, file.len()) };
            let at = from + at.index(to - from);
            file[at] = value;
        }
        if let Some(keep) = keep {
            file.truncate(keep.index(file.len()));
        }
        std::fs::write(&path, &file).expect("written");
        use_it(&path);
    }
}
