//! Every FITS file of the public test data opens, or gives the error that is expected of it.

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use radio_io::{FitsError, FrameSet, LeftOut, Mosaic, Survey};

fn fits_files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(fits_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "fits") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn data() -> Result<PathBuf, Box<dyn Error>> {
    Ok(PathBuf::from(std::env::var("RADIO_SSL_DATA")?))
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_opens_or_says_why_not() -> Result<(), Box<dyn Error>> {
    let mosaics = fits_files(&data()?.join("mosaics"))?;
    let originals = fits_files(&data()?.join("mirabest/full"))?;
    assert_eq!((mosaics.len(), originals.len()), (27, 120), "the data folder is not the one this test knows");
    let mut images = 0;
    for path in mosaics.iter().chain(&originals) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match Mosaic::open(path) {
            Ok(mosaic) => {
                images += 1;
                let pixels = mosaic.full()?;
                assert_eq!(pixels.dim(), (mosaic.rows(), mosaic.cols()), "{name}");
                assert!(pixels.iter().any(|pixel| pixel.is_finite()), "{name}: nothing finite");
                match mosaic.wcs() {
                    Ok(Some(wcs)) => {
                        let pixel_arcsec = mosaic.pixel_arcsec().ok_or("a sky has a scale")?;
                        assert!((wcs.pixel_arcsec() / pixel_arcsec - 1.0).abs() < 1e-9, "{name}");
                        let (row, col) = (mosaic.rows() as f64 / 3.0, mosaic.cols() as f64 / 4.0);
                        let (ra, dec) = wcs.sky(row, col).ok_or_else(|| format!("{name}: no sky"))?;
                        let (row2, col2) = wcs.pixel(ra, dec).ok_or_else(|| format!("{name}: off the map"))?;
                        assert!((row - row2).abs() < 1e-7 && (col - col2).abs() < 1e-7, "{name}: {row2} {col2}");
                    }
                    Ok(None) => assert!(
                        ["galaxy0001.fits", "galaxy0002.fits", "sidelobe0001.fits"].contains(&name.as_str()),
                        "{name}"
                    ),
                    Err(refused) => {
                        assert_eq!(name, "3C236_original.fits", "{refused}");
                        assert!(refused.to_string().contains("EPOCH is 1950.0"), "{refused}");
                    }
                }
            }
            Err(FitsError::NotAnImage { axes, .. }) => {
                assert_eq!((name.as_str(), axes), ("1904-66_SIN_3d.fits", vec![192, 192, 3]))
            }
            Err(FitsError::NoImage { .. }) => {
                assert!(["1904_comp.fits", "sources_srl.fits"].contains(&name.as_str()), "{name}")
            }
            Err(other) => return Err(format!("{name}: {other}").into()),
        }
    }
    assert_eq!(images, 144);
    Ok(())
}

/// Counts and values of `stats.csv`, which were made by another program.
#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_has_the_published_statistics() -> Result<(), Box<dyn Error>> {
    let folder = data()?.join("mosaics");
    let mut reader = csv::Reader::from_path(folder.join("stats.csv"))?;
    let header = reader.headers()?.clone();
    let mut compared = 0;
    for record in reader.records() {
        let record = record?;
        let cell = |name: &str| {
            header.iter().position(|column| column == name).and_then(|at| record.get(at)).unwrap_or_default()
        };
        let (name, shape) = (cell("file"), cell("shape_xyz"));
        if cell("kind") != "image" || shape.split('x').filter(|length| *length != "1").count() != 2 {
            continue;
        }
        let mosaic = Mosaic::open(&folder.join(name))?;
        let pixels = mosaic.full()?;
        let shape: Vec<usize> = shape.split('x').filter_map(|length| length.parse().ok()).collect();
        assert_eq!((mosaic.cols(), mosaic.rows()), (shape[0], shape[1]), "{name}");
        let n_nan = pixels.iter().filter(|pixel| pixel.is_nan()).count();
        let n_zero = pixels.iter().filter(|pixel| **pixel == 0.0).count();
        assert_eq!((n_nan as f64, n_zero as f64), (cell("n_nan").parse()?, cell("n_zero").parse()?), "{name}");
        let finite = || pixels.iter().copied().filter(|pixel| pixel.is_finite());
        let near = |got: f64, column: &str, tolerance: f64| -> Result<(), Box<dyn Error>> {
            let want: f64 = cell(column).parse()?;
            // Printed to six digits.
            assert!((got - want).abs() <= tolerance * want.abs().max(1e-30), "{name}: {column} {got}, expected {want}");
            Ok(())
        };
        near(finite().fold(f32::INFINITY, f32::min).into(), "vmin", 1e-4)?;
        near(finite().fold(f32::NEG_INFINITY, f32::max).into(), "vmax", 1e-4)?;
        near(radio_io::robust_rms(&pixels).into(), "rms_mad", 1e-3)?;
        if !cell("bmaj_arcsec").is_empty() {
            let beam = mosaic.beam().ok_or_else(|| format!("{name}: no beam"))?;
            near(beam.major_arcsec, "bmaj_arcsec", 1e-3)?;
            near(beam.minor_arcsec, "bmin_arcsec", 1e-3)?;
        }
        if !cell("pixel_arcsec").is_empty() {
            near(mosaic.pixel_arcsec().ok_or("no pixel size")?, "pixel_arcsec", 1e-3)?;
        }
        assert_eq!(mosaic.unit().unwrap_or_default(), cell("bunit"), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 24, "images of two axes in stats.csv");
    Ok(())
}

/// The two Scorpio fields overlap: rows 0-198, columns 299-999 of one are rows 801-999, columns 0-700 of the other.
#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_fields_overlap_where_they_should() -> Result<(), Box<dyn Error>> {
    let folder = data()?.join("mosaics/atca-scorpio");
    let extended = Mosaic::open(&folder.join("ScorpioExtendedSourceField.fits"))?;
    let s17 = Mosaic::open(&folder.join("ScorpioS17Field.fits"))?;
    assert_eq!(extended.window(0, 299, 199, 701)?, s17.window(801, 0, 199, 701)?);
    assert_ne!(extended.window(0, 298, 199, 701)?, s17.window(801, 0, 199, 701)?);
    Ok(())
}

/// 14 x 14 frames of 128 pixels from each of the two Scorpio fields.
#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_gives_the_expected_frames() -> Result<(), Box<dyn Error>> {
    let text = r#"
        name = "scorpio"
        frames = { size = 128, step = 64, edge = "drop", max_blank_fraction = 0.3 }
        [[mosaics]]
        path = "${RADIO_SSL_DATA}/mosaics/atca-scorpio/ScorpioS17Field.fits"
        [[mosaics]]
        path = "${RADIO_SSL_DATA}/mosaics/atca-scorpio/ScorpioExtendedSourceField.fits"
    "#;
    let survey = Survey::parse(text, Path::new("scorpio.toml"), |name| std::env::var(name).ok())?;
    let frames = FrameSet::of_survey(&survey)?;
    assert_eq!((frames.len(), frames.left_out()), (392, LeftOut::default()));
    let cutout = frames.cutout(391)?;
    assert_eq!(cutout.id.to_string(), "ScorpioExtendedSourceField_r00832_c00832_s128");
    assert!((5e-5..5e-4).contains(&cutout.rms_jy_beam), "{} Jy/beam", cutout.rms_jy_beam);
    assert_eq!(frames.mosaics()[0].beam.map(|beam| (beam.major_arcsec * 10.0).round()), Some(65.0));
    Ok(())
}
