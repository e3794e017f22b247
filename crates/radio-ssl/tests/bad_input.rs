//! What a user gets who hands `reproduce-table4` something unusable: an error that names file, key, found and expected.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::path::{Path, PathBuf};
use std::time::Duration;

use ndarray::Array2;
use radio_io::{Card, write_image};
use radio_ssl::run_config::Preset;
use radio_ssl::table4::{Table4Options, reproduce_table4};
use tempfile::TempDir;

/// Noise with a few sources, so that the recipe accepts the frames.
fn write_mosaic(path: &Path, side: usize) {
    let value = |(y, x): (usize, usize)| {
        let noise = ((y * 31 + x * 17) as f32 * 0.7).sin() * 1e-5;
        let spot = |cy: f32, cx: f32| 1e-3 * (-((y as f32 - cy).powi(2) + (x as f32 - cx).powi(2)) / 18.0).exp();
        noise + spot(20.0, 30.0) + spot(70.0, 60.0) + spot(100.0, 20.0)
    };
    let pixels = Array2::from_shape_fn((side, side), value);
    write_image(path, &pixels, &[Card::new("BUNIT", "Jy/beam", "")]).unwrap();
}

/// A survey of one mosaic in frames of 32 pixels every 16, with more lines of TOML.
fn survey(folder: &TempDir, side: usize, extra: &str) -> PathBuf {
    write_mosaic(&folder.path().join("m.fits"), side);
    let path = folder.path().join("survey.toml");
    let frames = "[frames]\nsize = 32\nstep = 16\nedge = \"drop\"\nmax_blank_fraction = 0.3\n";
    std::fs::write(&path, format!("name = \"test\"\n{extra}\n[[mosaics]]\npath = \"m.fits\"\n{frames}")).unwrap();
    path
}

fn error_of(folder: &TempDir, survey: PathBuf) -> String {
    let options = Table4Options {
        settings: Vec::new(),
        preset: Preset::Smoke,
        seed: 1,
        survey: Some(survey),
        checkpoint: None,
        out: Some(folder.path().join("run")),
        checkpoint_every: Duration::from_secs(120),
    };
    match reproduce_table4(&options) {
        Ok(_) => panic!("the run succeeded"),
        Err(error) => format!("{error:#}"),
    }
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

#[test]
fn fewer_frames_than_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(&folder, 64, "");
    contains(&error_of(&folder, survey), &["batch_size is 32", "only 9 cutouts"]);
}

#[test]
fn mosaic_smaller_than_a_frame() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(&folder, 20, "");
    contains(&error_of(&folder, survey), &["m.fits", "20", "32"]);
}

#[test]
fn labels_named_but_empty() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(&folder, 128, "labels = \"labels.csv\"");
    std::fs::write(folder.path().join("labels.csv"), "frame,labels\n").unwrap();
    contains(&error_of(&folder, survey), &["labels.csv"]);
}

#[test]
fn wrong_csv_column() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(&folder, 128, "labels = \"labels.csv\"");
    std::fs::write(folder.path().join("labels.csv"), "frame,class\nm_r00000_c00000_s32,COMPACT\n").unwrap();
    contains(&error_of(&folder, survey), &["labels.csv", "labels", "class"]);
}

#[test]
fn label_for_an_unknown_frame() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(&folder, 128, "labels = \"labels.csv\"");
    std::fs::write(folder.path().join("labels.csv"), "frame,labels\nm_r00007_c00000_s32,COMPACT\n").unwrap();
    contains(&error_of(&folder, survey), &["labels.csv", "m_r00007_c00000_s32"]);
}

#[test]
fn unknown_toml_key_and_missing_variable() {
    let folder = tempfile::tempdir().unwrap();
    let survey_file = survey(&folder, 128, "labls = \"labels.csv\"");
    contains(&error_of(&folder, survey_file), &["survey.toml", "labls"]);
    let path = folder.path().join("survey.toml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("labls = \"labels.csv\"", "labels = \"${NOT_SET_ANYWHERE}/l.csv\"");
    std::fs::write(&path, text).unwrap();
    contains(&error_of(&folder, path), &["survey.toml", "NOT_SET_ANYWHERE"]);
}

#[test]
fn truncated_mosaic() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(&folder, 128, "");
    let path = folder.path().join("m.fits");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 2880]).unwrap();
    contains(&error_of(&folder, survey), &["m.fits", "bytes"]);
}

#[test]
fn all_nan_mosaic() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(&folder, 128, "");
    write_image(&folder.path().join("m.fits"), &Array2::from_elem((128, 128), f32::NAN), &[]).unwrap();
    contains(&error_of(&folder, survey), &["m.fits"]);
}

/// The same folder with other inputs: nothing of the old run is taken for the new one.
#[test]
fn a_changed_mosaic_is_another_run() {
    let folder = tempfile::tempdir().unwrap();
    let survey_file = survey(&folder, 64, "");
    contains(&error_of(&folder, survey_file.clone()), &["batch_size"]);
    write_mosaic(&folder.path().join("m.fits"), 66);
    contains(&error_of(&folder, survey_file), &["run.toml", "belongs to another run"]);
}

#[test]
fn a_checkpoint_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("c.safetensors");
    std::fs::write(&checkpoint, b"not a checkpoint").unwrap();
    let options = Table4Options {
        settings: Vec::new(),
        preset: Preset::Smoke,
        seed: 1,
        survey: Some(survey(&folder, 128, "")),
        checkpoint: Some(checkpoint),
        out: Some(folder.path().join("run")),
        checkpoint_every: Duration::from_secs(120),
    };
    let error = format!("{:#}", reproduce_table4(&options).err().unwrap());
    contains(&error, &["c.safetensors", "not a usable checkpoint"]);
}
