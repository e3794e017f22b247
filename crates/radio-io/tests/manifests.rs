//! Blind manifests: what is in them, how they live as files, and what happens to damaged ones.

use std::{
    error::Error as StdError,
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use ndarray::Array2;
use radio_io::{
    Card, Error, FeatureTable, FrameId, FrameSet, Manifest, MosaicPool, Survey, Wcs,
    data_set::{ComplexityMeasure, Cutting, LeftOut, Part, SourceBox, Watch},
    write_image,
};

type Test = Result<(), Box<dyn StdError>>;

/// A map of 300 rows or more with a blank corner and a block of one value.
fn map(rows: usize, cols: usize, seed: usize) -> Array2<f32> {
    let mut map = Array2::from_shape_fn((rows, cols), |(row, col)| {
        (((row * 7919 + col * 104_729 + seed * 31) % 1009) as f32 - 504.0) * 1e-3
    });
    map.slice_mut(ndarray::s![..rows / 4, ..cols / 3]).fill(f32::NAN);
    map.slice_mut(ndarray::s![rows - 60.., ..40]).fill(0.25);
    map
}

/// Two mosaics that differ in size, unit and sky, and one without a sky.
fn survey(folder: &Path) -> Result<Survey, Box<dyn StdError>> {
    let mut first = Wcs::north_up("SIN", (201.4, -43.0), (150.0, 50.0), 2.0)?.cards();
    first.push(Card::new("BUNIT", "mJy/beam", ""));
    first.push(Card::new("BMAJ", 0.004, ""));
    write_image(&folder.join("a.fits"), &map(310, 100, 1), &first)?;
    // Turned by 30 degrees, Galactic, with one axis shorter than the other.
    let (sin, cos) = 30f64.to_radians().sin_cos();
    let second = [
        Card::new("CTYPE1", "GLON-TAN", ""),
        Card::new("CTYPE2", "GLAT-TAN", ""),
        Card::new("CRPIX1", 33.3, ""),
        Card::new("CRPIX2", 70.7, ""),
        Card::new("CRVAL1", 340.123_456_789, ""),
        Card::new("CRVAL2", -1.1, ""),
        Card::new("CD1_1", -4e-4 * cos, ""),
        Card::new("CD1_2", 5e-4 * sin, ""),
        Card::new("CD2_1", 4e-4 * sin, ""),
        Card::new("CD2_2", 5e-4 * cos, ""),
    ];
    write_image(&folder.join("b.fits"), &map(130, 90, 2), &second)?;
    write_image(&folder.join("c.fits"), &map(80, 80, 3), &[])?;
    let text = "name = \"three\"\n[[mosaics]]\npath = \"a.fits\"\n[[mosaics]]\npath = \"b.fits\"\nid = \"second\"\n\
                [[mosaics]]\npath = \"c.fits\"\n[frames]\nsize = 32\nstep = 16\nedge = \"shift\"\nmax_blank_fraction = 0.3\n";
    Ok(Survey::parse(text, &folder.join("survey.toml"), |_| None)?)
}

const MEAN_SQUARE: ComplexityMeasure<'_> = ComplexityMeasure {
    name: "mean square",
    of: &|pixels| pixels.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v).powi(2)).sum::<f64>(),
};

fn manifest(folder: &Path) -> Result<Manifest, Box<dyn StdError>> {
    Ok(Manifest::scan_blind(&survey(folder)?, Some(MEAN_SQUARE), &Watch::default())?)
}

#[test]
fn a_blind_manifest_holds_the_frames_of_a_frame_set() -> Test {
    let folder = tempfile::tempdir()?;
    let manifest = manifest(folder.path())?;
    let set = FrameSet::of_survey(&survey(folder.path())?)?;
    assert!(manifest.len() > 100 && manifest.left_out.too_blank > 10 && manifest.left_out.constant > 3);
    assert_eq!(manifest.left_out, set.left_out());
    assert_eq!(
        manifest.rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>(),
        set.ids().iter().map(FrameId::to_string).collect::<Vec<_>>()
    );
    let pool = MosaicPool::new(&manifest, 2);
    for (index, row) in manifest.rows.iter().enumerate() {
        let cutout = set.cutout(index)?;
        assert_eq!(row.rms_jy_beam.to_bits(), cutout.rms_jy_beam.to_bits(), "{}", row.id);
        assert_eq!((row.blank_fraction, row.sky), (cutout.blank_fraction, cutout.sky));
        assert_eq!(row.address(), cutout.id.address());
        assert_eq!(row.complexity, (MEAN_SQUARE.of)(cutout.pixels.view()) as f32);
        let pixels = pool.pixels(&manifest, index)?;
        assert_eq!(pixels.mapv(f32::to_bits), cutout.pixels.mapv(f32::to_bits), "{}", row.id);
        assert_eq!(manifest.mosaic_of(index)?.id, cutout.id.mosaic);
    }
    assert!(pool.open_count() <= 2);
    assert!(matches!(pool.pixels(&manifest, manifest.len()), Err(Error::NoSuchFrame { .. })));
    assert_eq!(manifest.mosaics[0].unit.as_deref(), Some("mJy/beam"));
    assert_eq!(manifest.mosaics[0].beam.map(|beam| beam.major_arcsec), Some(0.004 * 3600.0));
    assert!(manifest.rows.iter().any(|row| row.sky.is_none()), "the third mosaic has no sky");
    Ok(())
}

#[test]
fn the_number_of_threads_changes_nothing() -> Test {
    let folder = tempfile::tempdir()?;
    let survey = survey(folder.path())?;
    let mut files = Vec::new();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let manifest = pool.install(|| Manifest::scan_blind(&survey, Some(MEAN_SQUARE), &Watch::default()))?;
        let path = folder.path().join("frames.parquet");
        manifest.write(&path)?;
        files.push(fs::read(path)?);
    }
    assert!(files[0].len() > 1000 && files.iter().all(|bytes| *bytes == files[0]));
    Ok(())
}

#[test]
fn progress_is_reported_and_a_scan_stops_when_asked() -> Test {
    let folder = tempfile::tempdir()?;
    let survey = survey(folder.path())?;
    let seen = Mutex::new(Vec::new());
    let stop = AtomicBool::new(false);
    let note = |done, total| seen.lock().expect("no panic").push((done, total));
    let manifest = Manifest::scan_blind(&survey, None, &Watch { progress: Some(&note), cancelled: Some(&stop) })?;
    let looked = (manifest.len() + manifest.left_out.too_blank + manifest.left_out.constant) as u64;
    let seen = seen.into_inner()?;
    assert_eq!((seen.first(), seen.last()), (Some(&(0, looked)), Some(&(looked, looked))));
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "{seen:?}");
    assert!(manifest.rows.iter().all(|row| row.complexity.is_nan()) && manifest.complexity.is_none());
    let stop_soon = |done, _| stop.store(done > 0, Ordering::Relaxed);
    let stopped = Manifest::scan_blind(&survey, None, &Watch { progress: Some(&stop_soon), cancelled: Some(&stop) });
    assert!(matches!(stopped, Err(Error::Cancelled)));
    Ok(())
}

#[test]
fn a_manifest_survives_its_file_and_moves_with_its_folder() -> Test {
    let folder = tempfile::tempdir()?;
    let before = folder.path().join("before");
    fs::create_dir_all(&before)?;
    let mut manifest = manifest(&before)?;
    manifest.rows[0].labels = vec!["DIFFUSE".into(), "ring, with a comma".into()];
    manifest.rows[1].part = Some(Part::Valid);
    manifest.rows[2].source =
        Some(SourceBox { id: "ORC 1".into(), ra_deg: 1.5, dec_deg: -60.25, size_arcsec: (80.0, 70.5) });
    manifest.history.push("labels \"by hand\"".into());
    let path = before.join("frames.parquet");
    manifest.write(&path)?;
    let bytes = fs::read(&path)?;
    let read = Manifest::read(&path)?;
    // NaN is not equal to itself, but looks the same.
    assert_eq!(format!("{read:?}"), format!("{manifest:?}"));
    assert!(matches!(read.cutting, Cutting::Blind { size: 32, step: 16, .. }));
    assert_eq!(read.complexity.as_deref(), Some("mean square"));
    read.write(&path)?;
    assert_eq!(fs::read(&path)?, bytes, "read and written again, a manifest has the same bytes");
    let after = folder.path().join("after");
    fs::rename(&before, &after)?;
    let moved = Manifest::read(&after.join("frames.parquet"))?;
    assert_eq!(moved.mosaics[1].path, after.join("b.fits"));
    moved.check_mosaics()?;
    assert_eq!(MosaicPool::new(&moved, 1).pixels(&moved, 7)?.dim(), (32, 32));
    // Mosaics elsewhere are noted with their whole path.
    let elsewhere = tempfile::tempdir()?;
    moved.write(&elsewhere.path().join("frames.parquet"))?;
    Manifest::read(&elsewhere.path().join("frames.parquet"))?.check_mosaics()?;
    Ok(())
}

#[test]
fn the_sky_is_known_without_the_mosaics() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("frames.parquet");
    manifest(folder.path())?.write(&path)?;
    let set = FrameSet::of_survey(&survey(folder.path())?)?;
    for name in ["a.fits", "b.fits", "c.fits"] {
        fs::remove_file(folder.path().join(name))?;
    }
    let manifest = Manifest::read(&path)?;
    let skies = manifest.skies()?;
    for (recorded, mosaic) in skies.iter().zip(set.mosaics()) {
        assert_eq!(recorded.is_some(), mosaic.wcs.is_some());
        for (row, col) in [(0.0, 0.0), (77.25, 13.5), (129.0, -3.0)] {
            let sky = |wcs: &Option<Wcs>| wcs.as_ref().and_then(|wcs| wcs.sky(row, col));
            assert_eq!(sky(recorded), sky(&mosaic.wcs), "{}", mosaic.id);
        }
    }
    let corners = manifest.corners()?;
    let wcs = skies[0].as_ref().ok_or("has a sky")?;
    let row = &manifest.rows[0];
    let (top, left) = (f64::from(row.window.row), f64::from(row.window.col));
    let corner = corners[0].ok_or("has corners")?[2];
    assert_eq!(Some(corner), wcs.sky(top + 31.5, left + 31.5));
    assert!(corners.last().is_some_and(Option::is_none));
    Ok(())
}

#[test]
fn mosaics_that_are_not_the_recorded_ones_are_named() -> Test {
    let folder = tempfile::tempdir()?;
    let manifest = manifest(folder.path())?;
    manifest.check_mosaics()?;
    let refused = |expected: &[&str]| -> Test {
        let index = manifest.rows.iter().position(|row| row.mosaic == 1).ok_or("has rows of it")?;
        let pooled = MosaicPool::new(&manifest, 4).pixels(&manifest, index).err().ok_or("must be refused")?;
        let checked = manifest.check_mosaics().err().ok_or("must be refused")?;
        for refused in [pooled, checked] {
            assert!(matches!(refused, Error::MosaicChanged { .. } | Error::Io { .. }), "{refused:?}");
            for part in expected.iter().chain(&["b.fits"]) {
                assert!(refused.to_string().contains(part), "`{refused}` lacks `{part}`");
            }
        }
        Ok(())
    };
    let path = folder.path().join("b.fits");
    let good = fs::read(&path)?;
    let mut other = good.clone();
    other[5000] ^= 1;
    fs::write(&path, &other)?;
    refused(&["fingerprint"])?;
    other.truncate(good.len() - 2880);
    fs::write(&path, &other)?;
    refused(&["length in bytes", &(good.len() - 2880).to_string(), &good.len().to_string()])?;
    fs::remove_file(&path)?;
    refused(&["cannot read"])?;
    fs::write(&path, &good)?;
    manifest.check_mosaics()?;
    Ok(())
}

#[test]
fn files_that_are_no_manifests_are_refused() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("frames.parquet");
    assert!(matches!(Manifest::read(&path), Err(Error::Io { .. })));
    let table = FeatureTable { features: Array2::zeros((0, 3)), ..FeatureTable::default() };
    table.write_parquet(&path)?;
    let refused = Manifest::read(&path).err().ok_or("a feature table")?;
    assert!(matches!(refused, Error::Columns { .. }) && refused.to_string().contains("n_rows INT32"), "{refused}");
    let manifest = manifest(folder.path())?;
    manifest.write(&path)?;
    let bytes = fs::read(&path)?;
    for length in (0..bytes.len()).step_by(bytes.len() / 40) {
        fs::write(&path, &bytes[..length])?;
        let refused = Manifest::read(&path).err().ok_or("cut short")?;
        assert!(
            matches!(refused, Error::Parquet { .. }) && refused.to_string().contains("frames.parquet"),
            "{refused}"
        );
    }
    // Another layout, and settings of the future.
    let replaced = |from: &[u8], to: &[u8]| -> Result<Error, Box<dyn StdError>> {
        assert_eq!(from.len(), to.len());
        let mut changed = bytes.clone();
        let start = changed.windows(from.len()).rposition(|window| window == from).ok_or("is in the file")?;
        changed[start..start + to.len()].copy_from_slice(to);
        fs::write(&path, changed)?;
        Manifest::read(&path).err().ok_or_else(|| "must be refused".into())
    };
    let refused = replaced(b"max_blank_fraction", b"max_blink_fraction")?;
    assert!(matches!(refused, Error::ManifestMetadata { .. }) && refused.to_string().contains("damaged"), "{refused}");
    let refused = replaced(b"radio-ssl.manifest.toml", b"radio-ssl.manifest.tomb")?;
    assert!(refused.to_string().contains("radio-ssl.manifest.toml is missing"), "{refused}");
    let mut layout = b"radio-ssl.manifest\x18\x011".to_vec();
    let refused = replaced(&layout.clone(), {
        *layout.last_mut().ok_or("is not empty")? = b'2';
        &layout
    })?;
    assert!(refused.to_string().contains("is 2, expected 1"), "{refused}");
    Ok(())
}

#[test]
fn rows_that_make_no_sense_are_refused() -> Test {
    let folder = tempfile::tempdir()?;
    let good = manifest(folder.path())?;
    let path = folder.path().join("frames.parquet");
    type Change = fn(&mut Manifest);
    let cases: [(Change, &[&str]); 7] = [
        (|m| m.rows[5].id = m.rows[4].id.clone(), &["row 5", "used before"]),
        (|m| m.rows[5].id.clear(), &["row 5", "empty"]),
        (|m| m.rows[3].mosaic = 3, &["row 3", "mosaic 3", "less than 3"]),
        (|m| m.rows[0].window.row = 279, &["32 x 32 at row 279", "310 rows x 100 columns of a"]),
        (|m| m.rows[0].window.n_cols = 0, &["32 x 0"]),
        (|m| m.rows[0].blank_fraction = f32::NAN, &["blank fraction NaN"]),
        (|m| m.rows[0].labels = vec!["a;b".into()], &["`a;b`", "without `;`"]),
    ];
    for (change, parts) in cases {
        let mut bad = good.clone();
        change(&mut bad);
        let refused = bad.write(&path).err().ok_or("must be refused")?;
        assert!(matches!(refused, Error::ManifestRow { .. }) && !path.exists());
        for part in parts.iter().chain(&["frames.parquet"]) {
            assert!(refused.to_string().contains(part), "`{refused}` lacks `{part}`");
        }
    }
    let empty = good.select(&[], "nothing")?;
    empty.write(&path)?;
    assert_eq!(Manifest::read(&path)?.len(), 0);
    assert!(matches!(good.select(&[good.len()], ""), Err(Error::NoSuchFrame { .. })));
    Ok(())
}

/// Whatever single bytes are changed: an error or a manifest that passes its own check, no panic.
#[test]
fn damaged_manifests_do_no_harm() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("frames.parquet");
    manifest(folder.path())?.write(&path)?;
    let bytes = fs::read(&path)?;
    let mut refused = 0;
    let mut state = 1_u64;
    for _ in 0..500 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut damaged = bytes.clone();
        // Half of them in the footer, where the lengths and places are.
        let reach = if state & (1 << 20) == 0 { bytes.len() } else { bytes.len().min(6000) };
        let place = bytes.len() - 1 - (state >> 33) as usize % reach;
        damaged[place] ^= 1 << (state >> 8 & 7);
        fs::write(&path, damaged)?;
        match Manifest::read(&path) {
            Ok(manifest) => manifest.check(&path)?,
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 400, "{refused} of 500: the digest covers all but the footer");
    Ok(())
}

#[test]
fn missing_and_small_mosaics_are_found_before_the_work() -> Test {
    let folder = tempfile::tempdir()?;
    let mut survey = survey(folder.path())?;
    survey.frames.size = 100;
    let looked = AtomicBool::new(false);
    let note = |_, _| looked.store(true, Ordering::Relaxed);
    let watch = Watch { progress: Some(&note), cancelled: None };
    let refused = Manifest::scan_blind(&survey, None, &watch).err().ok_or("too small")?;
    assert!(matches!(refused, Error::SmallerThanFrame { .. }) && refused.to_string().contains("b.fits"), "{refused}");
    survey.frames.size = 32;
    fs::remove_file(folder.path().join("c.fits"))?;
    let refused = Manifest::scan_blind(&survey, None, &watch).err().ok_or("missing")?;
    assert!(refused.to_string().contains("c.fits"), "{refused}");
    assert!(!looked.load(Ordering::Relaxed));
    assert_eq!(LeftOut::default(), LeftOut { too_blank: 0, constant: 0 });
    Ok(())
}

#[test]
fn the_label_list_of_a_survey_is_joined() -> Test {
    let folder = tempfile::tempdir()?;
    let mut survey = survey(folder.path())?;
    let path = folder.path().join("labels.csv");
    fs::write(&path, "frame,labels\na_r00096_c00016_s32,PECULIAR;EXTENDED\n")?;
    survey.labels = Some(path.clone());
    let manifest = Manifest::scan_blind(&survey, None, &Watch::default())?;
    let labelled: Vec<_> = manifest.rows.iter().filter(|row| !row.labels.is_empty()).collect();
    assert_eq!((labelled.len(), labelled[0].id.as_str()), (1, "a_r00096_c00016_s32"));
    assert_eq!(labelled[0].labels, ["PECULIAR", "EXTENDED"]);
    fs::write(&path, "frame,labels\na_r00097_c00016_s32,PECULIAR\n")?;
    let refused = Manifest::scan_blind(&survey, None, &Watch::default()).err().ok_or("no such frame")?;
    assert!(matches!(&refused, Error::UnknownFrame { frame, .. } if frame == "a_r00097_c00016_s32"), "{refused}");
    Ok(())
}
