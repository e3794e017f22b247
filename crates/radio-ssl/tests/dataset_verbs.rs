//! The `radio-ssl` command on a small survey, as a user runs it: cutouts, dataset split, guard, draw and footprint, and training and
//! embedding from what they leave.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::path::Path;
use std::process::{Command, Output};

use ndarray::Array2;
use radio_io::data_set::Part;
use radio_io::{Card, FeatureTable, Manifest, Wcs, write_image};
use radio_tensor::checkpoint::Checkpoint;
use tempfile::TempDir;

/// A number in [0, 1) from a seed (splitmix64).
fn hash(seed: usize) -> f64 {
    let mut z = (seed as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

const SIDE: usize = 160;

/// Noise with 25 round sources of growing width, 2" pixels.
fn write_mosaic(path: &Path, sky: (f64, f64), seed: usize) {
    let pixels = Array2::from_shape_fn((SIDE, SIDE), |(row, col)| {
        let noise = (0..4).map(|k| hash(seed + 4 * (row * SIDE + col) + k)).sum::<f64>() - 2.0;
        let source = |n: usize| {
            let (y, x) = (16 + 32 * (n / 5), 16 + 32 * (n % 5));
            let radius2 = (row as f64 - y as f64).powi(2) + (col as f64 - x as f64).powi(2);
            (-radius2 / (4.0 + n as f64)).exp()
        };
        (3e-5 * noise + 1e-3 * (0..25).map(source).sum::<f64>()) as f32
    });
    let middle = (SIDE as f64 - 1.0) / 2.0;
    let mut cards = Wcs::north_up("SIN", sky, (middle, middle), 2.0).unwrap().cards();
    cards.push(Card::new("BUNIT", "Jy/beam", ""));
    write_image(path, &pixels, &cards).unwrap();
}

/// Two mosaics a degree apart, a survey of both, and a catalogue of the sources of the first, small and large ones.
fn survey() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_mosaic(&folder.path().join("north.fits"), (150.0, 2.5), 1);
    write_mosaic(&folder.path().join("south.fits"), (150.0, 1.5), 99);
    let text = "name = \"two fields\"\n[[mosaics]]\npath = \"north.fits\"\n[[mosaics]]\npath = \"south.fits\"\n\
                [frames]\nsize = 32\nstep = 16\nedge = \"drop\"\nmax_blank_fraction = 0.3\n";
    std::fs::write(folder.path().join("survey.toml"), text).unwrap();
    let middle = (SIDE as f64 - 1.0) / 2.0;
    let wcs = Wcs::north_up("SIN", (150.0, 2.5), (middle, middle), 2.0).unwrap();
    let mut list = String::from("id,ra,dec,size_arcsec,labels\n");
    for n in 0..25 {
        let (ra, dec) = wcs.sky(16.0 + 32.0 * (n / 5) as f64, 16.0 + 32.0 * (n % 5) as f64).unwrap();
        // Widths from 16 to 24 pixels.
        let label = if n % 5 == 0 { "2C" } else { "1C" };
        list.push_str(&format!("J{n},{ra},{dec},{},{label}\n", 20.0 + (n % 9) as f64));
    }
    std::fs::write(folder.path().join("sources.csv"), list).unwrap();
    folder
}

fn radio_ssl(folder: &TempDir, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_radio-ssl"))
        .current_dir(folder.path())
        .args(arguments.split_whitespace())
        .output()
        .unwrap()
}

/// What a command that succeeds prints on standard output, and then on standard error.
fn done(folder: &TempDir, arguments: &str) -> String {
    let output = radio_ssl(folder, arguments);
    let (said, refused) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments}: {said} {refused}");
    format!("{said}{refused}")
}

/// What a command that fails with exit code 1 says.
fn refused(folder: &TempDir, arguments: &str) -> String {
    let output = radio_ssl(folder, arguments);
    let (said, refused) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{arguments}: {said} {refused}");
    format!("{said}{refused}")
}

fn contains(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is missing in: {text}"));
}

fn manifest(folder: &TempDir, name: &str) -> Manifest {
    Manifest::read(&folder.path().join(name)).unwrap()
}

/// The survey with its manifests of frames and of sources.
fn with_manifests() -> TempDir {
    let folder = survey();
    done(&folder, "cutouts survey.toml --out frames.parquet");
    done(&folder, "cutouts survey.toml --catalogue sources.csv --out sources.parquet");
    folder
}

#[test]
fn a_split_has_parts_that_share_nothing() {
    let folder = with_manifests();
    let said = done(
        &folder,
        "dataset split frames.parquet --fractions 0.6,0.2,0.2 --block 0.03 --seed 2 --out parted.parquet",
    );
    contains(
        &said,
        &["part", "cutouts", "share", "train", "valid", "test", "border", "data set two fields", "parted.parquet"],
    );
    let (whole, parted) = (manifest(&folder, "frames.parquet"), manifest(&folder, "parted.parquet"));
    assert_eq!(parted.len(), whole.len());
    let count = |part| parted.rows.iter().filter(|row| row.part == Some(part)).count();
    let (train, valid, test) = (count(Part::Train), count(Part::Valid), count(Part::Test));
    assert!(train > valid && train > test && valid > 0 && test > 0, "{train} {valid} {test}");
    assert!(said.contains(&format!("train {train}")), "Table 1 counts them too: {said}");
    assert!(parted.history[0].contains("seed 2"), "{:?}", parted.history);
    for other in ["valid", "test"] {
        let said = done(
            &folder,
            &format!("dataset guard parted.parquet parted.parquet --first-part train --second-part {other}"),
        );
        contains(&said, &["0 pairs show the same"]);
    }
    contains(&done(&folder, "info parted.parquet"), &["parts: border", &format!("train {train}")]);
    // The same command writes the same bytes; another seed does not.
    let bytes = || std::fs::read(folder.path().join("again.parquet")).unwrap();
    done(&folder, "dataset split frames.parquet --fractions 0.6,0.2,0.2 --block 0.03 --seed 2 --out again.parquet");
    assert_eq!(bytes(), std::fs::read(folder.path().join("parted.parquet")).unwrap());
    done(&folder, "dataset split frames.parquet --fractions 0.6,0.2,0.2 --block 0.03 --seed 3 --out again.parquet");
    assert_ne!(bytes(), std::fs::read(folder.path().join("parted.parquet")).unwrap());
    let said = done(&folder, "dataset split frames.parquet --folds 2 --test-fold 1 --out fold.parquet");
    contains(&said, &["fold 1 of 2 for test"]);
    let folds = manifest(&folder, "fold.parquet");
    assert!(folds.rows.iter().all(|row| row.part != Some(Part::Valid)));

    for (arguments, parts) in [
        ("--fractions 0.5,0.5 --out x.parquet", &["--fractions has 2 numbers", "expected 3"][..]),
        ("--fractions 0,0,0 --out x.parquet", &["shares", "not all 0"]),
        ("--block 60 --out x.parquet", &["no cutout is left for part", "60", "--block"]),
        ("--block 0 --out x.parquet", &["block_deg is 0"]),
        ("--folds 3 --test-fold 3 --out x.parquet", &["--test-fold is 3", "which is 3"]),
        ("--out nowhere/x.parquet", &["--out nowhere/x.parquet", "cannot read or write"]),
    ] {
        contains(&refused(&folder, &format!("dataset split frames.parquet {arguments}")), parts);
    }
    contains(&refused(&folder, "dataset split sources.csv --out x.parquet"), &["sources.csv", "Parquet"]);
    assert!(!folder.path().join("x.parquet").exists());
    let usage = radio_ssl(&folder, "dataset split frames.parquet --folds 3 --out x.parquet");
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn leaks_are_found_named_and_dropped() {
    let folder = with_manifests();
    // Every source of the north lies on frames of it.
    let said = refused(&folder, "dataset guard sources.parquet frames.parquet");
    contains(
        &said,
        &[
            "share pixels of one mosaic",
            "north@J",
            "north_r00",
            "cutouts of frames.parquet show something of sources.parquet",
        ],
    );
    let json: serde_json::Value = {
        let output = radio_ssl(&folder, "dataset guard sources.parquet frames.parquet --json");
        assert_eq!(output.status.code(), Some(1));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let leaked: Vec<&str> = json["leaked"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert!(leaked.len() > 20 && leaked.iter().all(|id| id.starts_with("north")), "{leaked:?}");
    assert_eq!(json["second_cutouts"], manifest(&folder, "frames.parquet").len());
    let pair = &json["pairs"][0];
    assert!(pair["separation_arcsec"].is_f64() && pair["bits"].is_null(), "{pair}");
    assert!(pair["reasons"].as_array().unwrap().contains(&"shared-pixels".into()), "{pair}");

    let said = done(&folder, "dataset guard sources.parquet frames.parquet --drop-from-second clean.parquet");
    contains(&said, &["clean.parquet", "data set two fields"]);
    let (all, clean) = (manifest(&folder, "frames.parquet"), manifest(&folder, "clean.parquet"));
    assert_eq!(clean.len(), all.len() - leaked.len());
    assert!(clean.history[0].contains(&format!("dropped {} that share sky with sources.parquet", leaked.len())));
    contains(&done(&folder, "dataset guard sources.parquet clean.parquet"), &["0 pairs"]);
    // Half a degree of radius reaches the nearer edge of the south.
    contains(
        &refused(&folder, "dataset guard sources.parquet clean.parquet --radius 3550"),
        &["centres within the radius", "apart"],
    );

    // A copy of the north under another name, without a sky: only the pictures tell.
    let pixels = radio_io::Mosaic::open(&folder.path().join("north.fits")).unwrap().full().unwrap();
    write_image(&folder.path().join("copy.fits"), &pixels, &[Card::new("BUNIT", "Jy/beam", "")]).unwrap();
    let text = std::fs::read_to_string(folder.path().join("survey.toml")).unwrap();
    let copy = text.replace("[[mosaics]]\npath = \"south.fits\"\n", "").replace("north.fits", "copy.fits");
    std::fs::write(folder.path().join("copy.toml"), copy).unwrap();
    done(&folder, "cutouts copy.toml --out copy.parquet");
    contains(&done(&folder, "dataset guard frames.parquet copy.parquet"), &["0 pairs"]);
    let said = refused(&folder, "dataset guard frames.parquet copy.parquet --looks --correlation 0.95 --threads 1");
    contains(&said, &["look alike", "alike-pictures"]);
    let said = refused(&folder, "dataset guard copy.parquet copy.parquet --drop-from-second x.parquet");
    contains(&said, &["every cutout of copy.parquet", "nothing to write"]);
    let said = refused(&folder, "dataset guard frames.parquet copy.parquet --second-part test");
    contains(&said, &["no cutout of part test", "dataset split"]);
}

#[test]
fn draws_are_balanced() {
    let folder = with_manifests();
    let said = done(&folder, "dataset draw frames.parquet --count 30 --seed 5 --out drawn.parquet");
    contains(&said, &["complexity", "wanted", "drawn", "30 cutouts: drawn.parquet"]);
    let (all, drawn) = (manifest(&folder, "frames.parquet"), manifest(&folder, "drawn.parquet"));
    assert_eq!(drawn.len(), 30);
    // A third of the draw is from the most complex tenth.
    let mut complexity: Vec<f32> = all.rows.iter().map(|row| row.complexity).collect();
    complexity.sort_by(f32::total_cmp);
    let limit = complexity[(0.9 * complexity.len() as f64).ceil() as usize - 1];
    assert_eq!(drawn.rows.iter().filter(|row| row.complexity > limit).count(), 10);

    let said = done(&folder, "dataset draw sources.parquet --by label --count 10 --out even.parquet");
    contains(&said, &["class", "1C", "2C", "labels: 1C 5, 2C 5"]);
    let even = manifest(&folder, "even.parquet");
    assert_eq!(even.rows.iter().filter(|row| row.labels == ["2C"]).count(), 5);
    let said = done(&folder, "dataset draw sources.parquet --by label --count 30 --out even.parquet");
    contains(&said, &["labels: 1C 15, 2C 5"]);

    for (arguments, parts) in [
        ("frames.parquet --by label --count 4", &["labels", "on none of"][..]),
        ("frames.parquet --count 4 --quantiles 0.9,0.5", &["quantiles", "increasing"]),
        ("frames.parquet --count 4 --shares 1,1", &["shares", "one number"]),
        ("frames.parquet --count 4 --part train", &["no cutout of part train", "dataset split"]),
    ] {
        contains(&refused(&folder, &format!("dataset draw {arguments} --out x.parquet")), parts);
    }
    assert!(!folder.path().join("x.parquet").exists());
}

#[test]
fn footprints_cover_the_cutouts() {
    let folder = with_manifests();
    let said = done(&folder, "dataset footprint frames.parquet --order 14 --out moc.fits");
    // Two maps of 160 x 160 pixels of 2": 0.0158 square degrees.
    let area: f64 = said.split(" square").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!((area / 0.0158 - 1.0).abs() < 0.03, "{said}");
    assert_eq!(std::fs::metadata(folder.path().join("moc.fits")).unwrap().len() % 2880, 0);
    done(&folder, "dataset footprint frames.parquet --order 9 --out moc.json");
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("moc.json")).unwrap()).unwrap();
    assert!(json["9"].as_array().is_some_and(|cells| !cells.is_empty()), "{json}");
    contains(
        &refused(&folder, "dataset footprint frames.parquet --part test --out x.fits"),
        &["no cutout of part test"],
    );
    let usage = radio_ssl(&folder, "dataset footprint frames.parquet --order 19 --out x.fits");
    assert_eq!(usage.status.code(), Some(2));
    std::fs::remove_file(folder.path().join("north.fits")).unwrap();
    done(&folder, "dataset footprint frames.parquet --out moc.txt"); // no mosaic is opened
}

/// Cutouts of differing size around sources, one part of a manifest, and what the checkpoint remembers.
#[test]
fn an_encoder_is_trained_and_used_on_a_manifest() {
    let folder = with_manifests();
    let said = done(&folder, "pretrain sources.parquet --epochs 1 --batch-size 8 --side 32 --out run");
    contains(&said, &["part", "all 25 cutouts", "not divided", "sizes", "resized by the recipe", "cutouts used"]);
    let checkpoint = folder.path().join("run/checkpoint.safetensors");
    let file = Checkpoint::read(&checkpoint).unwrap();
    assert_eq!(file.text("frames").unwrap(), "25");
    contains(file.text("run.toml").unwrap(), &["[manifest]", "name = \"two fields\"", "sha256"]);
    let said = done(&folder, "embed sources.parquet --checkpoint run/checkpoint.safetensors --out features.parquet");
    contains(&said, &["25 frames, 512 features"]);
    let (table, cutouts) = (
        FeatureTable::read_parquet(&folder.path().join("features.parquet")).unwrap(),
        manifest(&folder, "sources.parquet"),
    );
    for (place, row) in cutouts.rows.iter().enumerate() {
        assert_eq!((&table.ids[place], Some((table.ra_deg[place], table.dec_deg[place]))), (&row.id, row.sky));
        assert_eq!((table.rms_jy_beam[place], table.blank_fraction[place]), (row.rms_jy_beam, row.blank_fraction));
    }

    // A manifest of frames gives what the survey gives, to the bit: names, places, noise and features.
    done(&folder, "embed survey.toml --checkpoint run/checkpoint.safetensors --out of-survey.parquet");
    done(&folder, "embed frames.parquet --checkpoint run/checkpoint.safetensors --out of-frames.parquet");
    let read = |name: &str| {
        let mut table = FeatureTable::read_parquet(&folder.path().join(name)).unwrap();
        assert!(
            table.metadata.remove("frames").is_some(),
            "the file says which frames; a survey and a manifest are two"
        );
        table
    };
    assert_eq!(read("of-survey.parquet"), read("of-frames.parquet"));

    done(&folder, "dataset split frames.parquet --fractions 0.5,0,0.5 --out parted.parquet");
    let train = manifest(&folder, "parted.parquet").rows.iter().filter(|row| row.part == Some(Part::Train)).count();
    let said = done(&folder, "pretrain parted.parquet --part train --epochs 1 --batch-size 16 --side 32 --out part");
    contains(&said, &[&format!("train: {train} of ")]);
    let file = Checkpoint::read(&folder.path().join("part/checkpoint.safetensors")).unwrap();
    assert_eq!(file.text("frames").unwrap(), train.to_string());
    contains(file.text("run.toml").unwrap(), &["part = \"train\"", "split by sky"]);
    // The same folder with all of it is another run.
    let said = refused(&folder, "pretrain parted.parquet --epochs 1 --batch-size 16 --side 32 --out part");
    contains(&said, &["is of another run", "those of validation and test too; --part takes one part"]);
    let embedded =
        done(&folder, "embed parted.parquet --part test --checkpoint part/checkpoint.safetensors --out test.csv");
    contains(&embedded, &["test: "]);

    contains(
        &refused(&folder, "pretrain parted.parquet --part valid --out x"),
        &["no cutout of part valid", "found train"],
    );
    contains(&refused(&folder, "pretrain survey.toml --part train --out x"), &["--part", "survey.toml is a survey"]);
    write_mosaic(&folder.path().join("south.fits"), (150.0, 1.5), 100);
    let said = refused(&folder, "pretrain frames.parquet --epochs 1 --side 32 --out x");
    contains(&said, &["south.fits", "fingerprint", "make the manifest again"]);
    std::fs::remove_file(folder.path().join("south.fits")).unwrap();
    contains(&refused(&folder, "pretrain frames.parquet --epochs 1 --side 32 --out x"), &["south.fits"]);
}

/// A second stage begins with the weights of the first, its curves are on disk, and no other start can pass for it.
#[test]
fn a_training_starts_from_other_weights() {
    let folder = with_manifests();
    let pretrain = |rest: &str| format!("pretrain sources.parquet --epochs 1 --batch-size 8 --side 32 {rest}");
    done(&folder, &pretrain("--out one"));
    let second = pretrain("--method byol --start-from one/checkpoint.safetensors --out two");
    done(&folder, &second);
    let file = Checkpoint::read(&folder.path().join("two/checkpoint.safetensors")).unwrap();
    assert!(file.checkpoint.text.contains_key("started-from.sha256"));
    contains(file.text("started-from.toml").unwrap(), &["batch_size = 8"]);
    let events = std::fs::read(folder.path().join("two/events/events.out.tfevents.0.radio-ssl")).unwrap();
    let losses = events.windows(10).filter(|bytes| bytes == b"train/loss").count();
    assert_eq!(losses, 25 / 8, "one loss a step");
    done(&folder, &second); // it is done, and stays so
    let other = pretrain("--method byol --out two");
    contains(&refused(&folder, &other), &["two/checkpoint.safetensors", "expected random weights", "--start-from"]);
    done(&folder, &pretrain("--seed 2 --out other"));
    let other = pretrain("--method byol --start-from other/checkpoint.safetensors --out two");
    contains(&refused(&folder, &other), &["started from", "choose another --out"]);
}

/// What the recipe cannot use is left out, and named.
#[test]
fn cutouts_that_the_recipe_refuses_are_named() {
    let folder = with_manifests();
    done(&folder, "pretrain sources.parquet --epochs 1 --batch-size 8 --side 32 --out run");
    // A frame with a single pixel that differs has no noise: every stretch of it is flat.
    let path = folder.path().join("north.fits");
    let mosaic = radio_io::Mosaic::open(&path).unwrap();
    let (mut pixels, cards) = (mosaic.full().unwrap(), mosaic.wcs().unwrap().unwrap().cards());
    drop(mosaic);
    pixels.slice_mut(ndarray::s![..48, ..48]).fill(0.0);
    pixels[[3, 3]] = 1e-9;
    write_image(&path, &pixels, &cards).unwrap();
    done(&folder, "cutouts survey.toml --out flat.parquet");
    let all = manifest(&folder, "flat.parquet").len();
    let said = done(&folder, "embed flat.parquet --checkpoint run/checkpoint.safetensors --out flat-features.parquet");
    contains(&said, &["left out", "refused by the recipe", "1: north_r00000_c00000_s32: "]);
    let table = FeatureTable::read_parquet(&folder.path().join("flat-features.parquet")).unwrap();
    assert_eq!(table.len(), all - 1);
    assert!(!table.ids.contains(&"north_r00000_c00000_s32".to_owned()));
}
