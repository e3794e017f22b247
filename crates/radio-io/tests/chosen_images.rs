//! Surveys whose mosaics are planes of a cube and extensions of one file: frames, manifest, pool, cutouts, and what is said of a
//! choice that the file does not have.

use std::{error::Error as StdError, path::Path};

use radio_io::{
    Error, FrameSet, HduChoice, Manifest, MosaicPool, Survey, SurveyMosaic,
    data_set::{
        BoxShape, CatalogueSource, Coverage, LeakGuard, LeakReason, SkySplit, SourceSettings, Watch, find_leaks,
        guard_entries, split_by_sky,
    },
    doctor, separation_arcsec,
};

type Test = Result<(), Box<dyn StdError>>;

const SIDE: usize = 24;

/// A header and its data, each in whole blocks.
fn unit(lines: &[String], data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines.iter().map(String::as_str).chain(["END"]) {
        bytes.extend(format!("{line:<80}").as_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    bytes
}

/// The pixel of a plane: no two planes are alike, and none is constant.
fn pixel(plane: usize, row: usize, col: usize) -> f32 {
    (1000 * plane + (row * 31 + col * 17) % 101) as f32
}

fn planes(numbers: std::ops::Range<usize>) -> Vec<u8> {
    let of_plane = |plane| (0..SIDE * SIDE).flat_map(move |at| pixel(plane, at / SIDE, at % SIDE).to_be_bytes());
    numbers.flat_map(of_plane).collect()
}

/// `cube.fits` of three channels and two Stokes parameters, and `several.fits` with the images SCI, RMS (another field) and a
/// table behind an empty primary header.
fn write_files(folder: &Path) -> Test {
    let sky = |dec: f64| {
        let middle = (SIDE as f64 + 1.0) / 2.0;
        let text = format!(
            "CTYPE1  = 'RA---SIN'|CRVAL1  = 201.4|CDELT1  = -0.001|CRPIX1  = {middle}|CTYPE2  = 'DEC--SIN'|CRVAL2  = {dec}|\
             CDELT2  = 0.001|CRPIX2  = {middle}|BUNIT   = 'Jy/beam'"
        );
        text.split('|').map(str::to_owned).collect::<Vec<_>>()
    };
    let header = |first: &str, axes: &[usize], more: Vec<String>| {
        let mut lines = vec![first.to_owned(), "BITPIX  = -32".to_owned(), format!("NAXIS   = {}", axes.len())];
        lines.extend(axes.iter().enumerate().map(|(n, length)| format!("NAXIS{}  = {length}", n + 1)));
        lines.extend(more);
        lines
    };
    let mut more = sky(-43.0);
    for card in ["CTYPE3  = 'FREQ'", "CRVAL3  = 1.4E9", "CDELT3  = 1E6", "CRPIX3  = 1", "CTYPE4  = 'STOKES'"] {
        more.push(card.to_owned());
    }
    more.extend(["CRVAL4  = 1", "CDELT4  = 1", "CRPIX4  = 1"].map(str::to_owned));
    let cube = header("SIMPLE  = T", &[SIDE, SIDE, 3, 2], more);
    std::fs::write(folder.join("cube.fits"), unit(&cube, &planes(0..6)))?;
    let named = |name: &str, dec: f64| {
        let lines = [vec![format!("EXTNAME = '{name}'")], sky(dec)].concat();
        header("XTENSION= 'IMAGE'", &[SIDE, SIDE], lines)
    };
    let table =
        ["XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 8", "NAXIS2  = 3", "EXTNAME = 'LIST'"];
    let file = [
        unit(&["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "EXTEND  = T"].map(str::to_owned), &[]),
        unit(&named("SCI", -43.0), &planes(6..7)),
        unit(&named("RMS", -50.0), &planes(7..8)),
        unit(&table.map(str::to_owned), &[0; 24]),
    ];
    Ok(std::fs::write(folder.join("several.fits"), file.concat())?)
}

/// A survey of these images, each the lines of one `[[mosaics]]`.
fn survey(folder: &Path, images: &[&str]) -> Result<Survey, Error> {
    let mosaics: String = images.iter().map(|lines| format!("[[mosaics]]\n{lines}\n")).collect();
    let frames = "[frames]\nsize = 8\nstep = 8\nedge = \"drop\"\nmax_blank_fraction = 0.3\n";
    let text = format!("name = \"chosen\"\n{mosaics}{frames}");
    let path = folder.join("survey.toml");
    std::fs::write(&path, &text).map_err(|source| Error::Io { path: path.clone(), source })?;
    Survey::load(&path, |_| None)
}

const IMAGES: [&str; 4] = [
    "path = \"cube.fits\"\nplanes = [\"FREQ[2]\", \"STOKES=Q\"]",
    "path = \"cube.fits\"\nplanes = [\"STOKES=I\", \"FREQ=1.401e9\"]",
    "path = \"several.fits\"",
    "path = \"several.fits\"\nhdu = \"rms\"",
];

/// The plane of each of [`IMAGES`], as `pixel` counts them.
const PLANES: [usize; 4] = [5, 1, 6, 7];

#[test]
fn frames_manifest_and_pool_show_the_chosen_image() -> Test {
    let folder = tempfile::tempdir()?;
    write_files(folder.path())?;
    let survey = survey(folder.path(), &IMAGES)?;
    let set = FrameSet::of_survey(&survey)?;
    let made = Manifest::scan_blind(&survey, None, &Watch::default())?;
    made.write(&folder.path().join("frames.parquet"))?;
    let manifest = Manifest::read(&folder.path().join("frames.parquet"))?;
    assert_eq!(manifest.mosaics, made.mosaics);
    assert_eq!((set.len(), manifest.len()), (36, 36));
    let ids: Vec<&str> = manifest.mosaics.iter().map(|mosaic| mosaic.id.as_str()).collect();
    assert_eq!(ids, ["cube_FREQ-2_STOKES-Q", "cube_STOKES-I_FREQ-1401000000", "several", "several_rms"]);
    let images: Vec<String> = manifest.mosaics.iter().map(|mosaic| mosaic.image().to_string()).collect();
    // Noted in one way, however they were chosen; what needs no choice is not noted.
    assert_eq!(images, ["FREQ[2], STOKES[1]", "FREQ[1], STOKES[0]", "", "header-data unit number 2"]);
    let pool = MosaicPool::new(&manifest, 2);
    for (index, row) in manifest.rows.iter().enumerate() {
        let plane = PLANES[row.mosaic as usize];
        let (top, left) = (row.window.row as usize, row.window.col as usize);
        let wanted = ndarray::Array2::from_shape_fn((8, 8), |(r, c)| pixel(plane, top + r, left + c));
        assert_eq!(pool.pixels(&manifest, index)?, wanted, "{}", row.id);
        assert_eq!(set.cutout(index)?.pixels, wanted, "{}", row.id);
        assert_eq!(set.id(index)?.to_string(), row.id);
    }
    let mut addresses: Vec<u64> = manifest.rows.iter().map(|row| row.address()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 36, "planes of one file draw their own random numbers");
    Ok(())
}

#[test]
fn cutouts_around_sources_come_from_the_chosen_plane() -> Test {
    let folder = tempfile::tempdir()?;
    write_files(folder.path())?;
    let survey = survey(folder.path(), &IMAGES[..1])?;
    let (ra, dec) = (201.4, -43.0);
    let source =
        CatalogueSource { id: "J1".into(), ra_deg: ra, dec_deg: dec, size_arcsec: (30.0, 30.0), labels: vec![] };
    let settings = SourceSettings {
        factor: 1.5,
        shape: BoxShape::Square,
        min_side_px: 4,
        coverage: Coverage::Best,
        max_blank_fraction: 0.3,
    };
    let (manifest, left_out) = Manifest::source_centred(&survey, &[source], &settings, None, &Watch::default())?;
    assert!(left_out.is_empty());
    let pool = MosaicPool::new(&manifest, 1);
    let (row, pixels) = (&manifest.rows[0], pool.pixels(&manifest, 0)?);
    assert_eq!(pixels[[0, 0]], pixel(5, row.window.row as usize, row.window.col as usize));
    assert!(separation_arcsec(row.sky.ok_or("no sky")?, (ra, dec)) < 5.0);
    Ok(())
}

/// Planes of one cube show the same sky; extensions of one file need not.
#[test]
fn leaks_between_images_of_one_file() -> Test {
    let folder = tempfile::tempdir()?;
    write_files(folder.path())?;
    let manifest = |image: &str| -> Result<Manifest, Box<dyn StdError>> {
        Ok(Manifest::scan_blind(&survey(folder.path(), &[image])?, None, &Watch::default())?)
    };
    let leaks = |one: &str, other: &str| -> Result<usize, Box<dyn StdError>> {
        let (one, other) = (guard_entries(&manifest(one)?, None)?, guard_entries(&manifest(other)?, None)?);
        let report = find_leaks(&one, &other, &LeakGuard { radius_arcsec: 0.0, looks: None })?;
        Ok(report.count(LeakReason::SharedPixels))
    };
    assert_eq!(leaks(IMAGES[0], IMAGES[1])?, 9, "each frame of one plane against that of the other");
    assert_eq!(leaks(IMAGES[2], "path = \"several.fits\"\nhdu = 1")?, 9, "the first image by number is the same image");
    assert_eq!(leaks(IMAGES[2], IMAGES[3])?, 0, "SCI and RMS here are other fields");
    let both = Manifest::scan_blind(&survey(folder.path(), &IMAGES[..2])?, None, &Watch::default())?;
    let parts =
        split_by_sky(&both, &SkySplit { shares: [1.0, 0.0, 1.0], block_deg: 0.012, guard_arcsec: 0.0, seed: 3 })?;
    assert_eq!(parts[..9], parts[9..], "one place on the sky is in one part, in every plane");
    Ok(())
}

#[test]
fn a_choice_that_the_file_does_not_have_is_named() -> Test {
    let folder = tempfile::tempdir()?;
    write_files(folder.path())?;
    for (lines, key, parts) in [
        ("path = \"cube.fits\"", "planes", &["cube.fits", "mosaic cube", "missing", "FREQ (3), STOKES (2)"][..]),
        ("path = \"cube.fits\"\nplanes = [\"FREQ[1]\"]", "planes", &["[\"FREQ[1]\"]", "STOKES (2)"]),
        ("path = \"cube.fits\"\nplanes = [\"VELO[1]\", \"STOKES=I\"]", "planes", &["VELO", "no axis has this name"]),
        ("path = \"cube.fits\"\nplanes = [\"FREQ[3]\", \"STOKES=I\"]", "planes", &["plane 3 asked for", "less than 3"]),
        ("path = \"several.fits\"\nhdu = \"BKG\"", "hdu", &["several.fits", "'BKG'", "1 (SCI), 2 (RMS), 3 (LIST)"]),
        ("path = \"several.fits\"\nhdu = 7\nid = \"x\"", "hdu", &["mosaic x", "number 7", "2 (RMS)"]),
        ("path = \"several.fits\"\nhdu = \"list\"", "hdu", &["header 3 holds no pixels", "BinaryTable"]),
    ] {
        let survey = survey(folder.path(), &[lines])?;
        let refused = SurveyMosaic::open(&survey.mosaics[0]).expect_err(lines);
        assert!(matches!(&refused, Error::MosaicImage { key: named, .. } if *named == key), "{lines}: {refused:?}");
        let words = format!("{refused}: {}", StdError::source(&refused).ok_or("a source")?);
        assert!(parts.iter().all(|part| words.contains(part)), "{lines}: {words}");
        assert!(words.contains(&format!("`{key}`")), "{words}");
        let report = doctor::examine(&folder.path().join("survey.toml"), |_| None)?;
        let finding = report.findings.iter().find(|finding| finding.place.keyword.as_deref() == Some(key));
        let finding = finding.ok_or_else(|| format!("{lines}: doctor says {:?}", report.findings))?;
        assert!(finding.place.entry.as_deref().is_some_and(|entry| entry.starts_with("mosaic ")), "{finding:?}");
        assert!(parts[1..].iter().all(|part| finding.found.contains(part)), "{lines}: {}", finding.found);
    }
    // Two entries of one id are still refused, whatever they choose.
    let twice = IMAGES.map(|lines| format!("{lines}\nid = \"same\""));
    let refused = survey(folder.path(), &[&twice[0], &twice[1]]).expect_err("one id");
    assert!(matches!(refused, Error::DuplicateMosaic { .. }), "{refused}");
    Ok(())
}

/// Manifests from before these keys note neither; their mosaics are the first image of their files.
#[test]
fn a_record_without_the_keys_is_read() -> Test {
    let folder = tempfile::tempdir()?;
    write_files(folder.path())?;
    let manifest = Manifest::scan_blind(&survey(folder.path(), &IMAGES[2..])?, None, &Watch::default())?;
    let [old, new] = [0, 1].map(|n| toml::to_string(&manifest.mosaics[n]));
    let (old, new) = (old?, new?);
    assert!(!old.contains("hdu") && !old.contains("planes"), "{old}");
    assert!(new.contains("hdu = 2"), "{new}");
    let record: radio_io::data_set::MosaicRecord = toml::from_str(&old)?;
    assert_eq!((&record, record.hdu.clone()), (&manifest.mosaics[0], HduChoice::FirstImage));
    Ok(())
}
