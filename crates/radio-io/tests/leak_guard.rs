//! The leak guard between two sets: by pixels, by sky, by looks; and what it finds between two published sets.

mod made_manifest;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use made_manifest::{Test, manifest, mosaic, window};
use ndarray::{Array2, s};
use radio_io::{
    Card, Error, Manifest, Mosaic, MosaicPool, Survey, Wcs,
    data_set::{
        GuardEntry, HashFloor, LeakGuard, LeakReason, Looks, PictureHash, Watch, find_leaks, guard_entries,
        hash_cutouts,
    },
    read_png, write_image,
};

const BY_PLACE: LeakGuard = LeakGuard { radius_arcsec: 30.0, looks: None };

#[test]
fn each_way_of_being_the_same_is_found_and_named() -> Test {
    let (a, b) = (mosaic("a", 1024, (180.0, -30.0))?, mosaic("b", 1024, (180.2, -30.0))?);
    let first =
        manifest(vec![a.clone()], &[(0, window(0, 0, 100)), (0, window(600, 100, 100)), (0, window(900, 900, 40))])?;
    // Of the second set: shares a corner pixel; touches only; the middle of b seen by none; the west of b, which a sees.
    let windows =
        [(1, window(99, 99, 50)), (1, window(100, 0, 50)), (0, window(500, 500, 60)), (0, window(620, 430, 20))];
    let second = manifest(vec![b, a], &windows)?;
    let (one, other) = (guard_entries(&first, None)?, guard_entries(&second, None)?);
    let report = find_leaks(&one, &other, &BY_PLACE)?;
    let pairs: Vec<(usize, usize, &[LeakReason])> =
        report.pairs.iter().map(|pair| (pair.first, pair.second, pair.reasons.as_slice())).collect();
    assert_eq!(pairs, [(0, 0, &[LeakReason::SharedPixels][..]), (1, 3, &[LeakReason::OverlappingBoxes][..])]);
    assert_eq!((report.count(LeakReason::SharedPixels), report.count(LeakReason::NearCentres)), (1, 0));
    assert_eq!(report.leaked(), [0, 3]);
    // A point in a catalogue has no box: the radius finds it.
    let point = GuardEntry {
        id: "point".into(),
        sky: one[2].sky.map(|sky| (sky.0, sky.1 + 20.0 / 3600.0)),
        ..GuardEntry::default()
    };
    let report = find_leaks(&one, &[point], &BY_PLACE)?;
    assert_eq!(report.pairs.len(), 1);
    assert_eq!(report.pairs[0].reasons, [LeakReason::NearCentres]);
    assert!((report.pairs[0].separation_arcsec.ok_or("both are known")? - 20.0).abs() < 1e-6);
    // With itself, every cutout is found.
    assert_eq!(find_leaks(&one, &one, &BY_PLACE)?.leaked(), [0, 1, 2]);
    for guard in [
        LeakGuard { radius_arcsec: f64::NAN, ..BY_PLACE },
        LeakGuard { looks: Some(Looks { most_bits: 33, least_correlation: 0.9 }), ..BY_PLACE },
        LeakGuard { looks: Some(Looks { most_bits: 3, least_correlation: f64::NAN }), ..BY_PLACE },
    ] {
        assert!(matches!(find_leaks(&one, &one, &guard), Err(Error::DataSetSetting { .. })));
    }
    assert!(find_leaks(&[], &one, &BY_PLACE)?.pairs.is_empty());
    Ok(())
}

/// Two files with the same sky under other names, one of them mirrored and in other units: looks tell.
#[test]
fn copies_are_found_by_their_looks() -> Test {
    let folder = tempfile::tempdir()?;
    let mut state = 7_u64;
    let map = Array2::from_shape_simple_fn((192, 192), || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    });
    let mut mirrored = map.slice(s![.., ..;-1]).mapv(|value| 1e3 * value);
    mirrored.slice_mut(s![..48, ..48]).fill(0.0);
    mirrored[[0, 0]] = 1e-3;
    write_image(
        &folder.path().join("here.fits"),
        &map,
        &Wcs::north_up("TAN", (10.0, 0.0), (90.0, 90.0), 2.0)?.cards(),
    )?;
    write_image(&folder.path().join("there.fits"), &mirrored, &[Card::new("BUNIT", "mJy/beam", "")])?;
    let scan = |name: &str| -> Result<(Manifest, Vec<GuardEntry>), Box<dyn std::error::Error>> {
        let text = format!(
            "name = \"x\"\n[[mosaics]]\npath = \"{name}.fits\"\n[frames]\nsize = 48\nstep = 48\nedge = \"drop\"\nmax_blank_fraction = 0.3\n"
        );
        let survey = Survey::parse(&text, &folder.path().join("survey.toml"), |_| None)?;
        let manifest = Manifest::scan_blind(&survey, None, &Watch::default())?;
        let hashes = hash_cutouts(&manifest, &MosaicPool::new(&manifest, 1), HashFloor::Noise)?;
        assert!(guard_entries(&manifest, Some(&hashes[1..])).is_err());
        Ok((manifest.clone(), guard_entries(&manifest, Some(&hashes))?))
    };
    let ((here, first), (there, second)) = (scan("here")?, scan("there")?);
    assert_eq!((here.len(), there.len()), (16, 16), "one pixel keeps the blank corner from being constant");
    let report = find_leaks(
        &first,
        &second,
        &LeakGuard { radius_arcsec: 0.0, looks: Some(Looks { most_bits: 6, least_correlation: 0.9 }) },
    )?;
    // Column c of the one is column 3 - c of the other; the blank corner has no copy.
    let expected: Vec<(usize, usize)> =
        (0..16).map(|n| (n, n / 4 * 4 + 3 - n % 4)).filter(|pair| pair.1 != 0).collect();
    let found: Vec<(usize, usize)> = report.pairs.iter().map(|pair| (pair.first, pair.second)).collect();
    assert_eq!(found, expected);
    assert!(
        report.pairs.iter().all(|pair| pair.reasons == [LeakReason::AlikePictures] && pair.separation_arcsec.is_none())
    );
    Ok(())
}

type Listed = (String, (f64, f64));

/// Name and position of every row of a list.
fn list(path: &Path) -> Result<Vec<Listed>, Box<dyn std::error::Error>> {
    let mut reader = csv::Reader::from_path(path)?;
    let headers = reader.headers()?.clone();
    let column = |name: &str| headers.iter().position(|header| header == name).ok_or_else(|| format!("no {name}"));
    let (file, ra, dec) = (column("file")?, column("ra")?, column("dec")?);
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        rows.push((record[file].to_owned(), (record[ra].parse()?, record[dec].parse()?)));
    }
    Ok(rows)
}

/// The middle 150 pixels, which is what the other set shows.
fn middle(map: &Array2<f32>) -> Array2<f32> {
    let (rows, cols) = map.dim();
    let (top, left) = (rows.saturating_sub(150) / 2, cols.saturating_sub(150) / 2);
    map.slice(s![top..rows - top, left..cols - left]).to_owned()
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_two_published_sets_share_objects() -> Test {
    let data = PathBuf::from(std::env::var_os("RADIO_SSL_DATA").ok_or("RADIO_SSL_DATA is not set")?);
    let entries = |set: &str,
                   read: &dyn Fn(&str) -> Result<Array2<f32>, Error>|
     -> Result<Vec<GuardEntry>, Box<dyn std::error::Error>> {
        let mut entries = Vec::new();
        for (file, sky) in list(&data.join(set).join("labels.csv"))? {
            let hash = PictureHash::of(middle(&read(&file)?).view(), HashFloor::Sources);
            entries.push(GuardEntry { id: file, sky: Some(sky), hash, ..GuardEntry::default() });
        }
        Ok(entries)
    };
    let mirabest = entries("mirabest", &|file| Ok(Mosaic::open(&data.join("mirabest/cutouts").join(file))?.full()?))?;
    let frg = entries("first-frg", &|file| read_png(&data.join("first-frg/images").join(file)))?;
    assert_eq!((mirabest.len(), frg.len()), (1003, 2001));
    // Positions of one set are rounded to 0.001 degree.
    let by_place = find_leaks(&mirabest, &frg, &LeakGuard { radius_arcsec: 10.0, looks: None })?;
    let same: BTreeSet<(usize, usize)> = by_place.pairs.iter().map(|pair| (pair.first, pair.second)).collect();
    eprintln!("{} pairs within 10 arcsec, {} of the second set", same.len(), by_place.leaked().len());
    for (most_bits, least_correlation) in [(12, 0.95), (12, 0.99)] {
        let guard = LeakGuard { radius_arcsec: 0.0, looks: Some(Looks { most_bits, least_correlation }) };
        let alike = find_leaks(&mirabest, &frg, &guard)?;
        let alike = alike.pairs.iter().filter(|pair| pair.reasons.contains(&LeakReason::AlikePictures));
        let is_same = |pair: &&radio_io::data_set::LeakPair| same.contains(&(pair.first, pair.second));
        let (found, right) = (alike.clone().count(), alike.filter(is_same).count());
        eprintln!(
            "at most {most_bits} bits, correlation from {least_correlation}: {found} pairs, {right} of them at one place"
        );
        if (most_bits, least_correlation) == (12, 0.95) {
            assert!(right * 10 > same.len() * 8, "{right} of {} shared objects found by looks", same.len());
        }
    }
    assert!(same.len() >= 599, "599 rows name the other catalogue as their source: {}", same.len());
    Ok(())
}
