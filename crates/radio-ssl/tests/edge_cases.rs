//! Whole runs on skies that lack something: each gives a report that says what is missing, or a clear error; never a panic, and never
//! a number that is none in a table.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

mod tiny_sky;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use radio_ssl::frames::{NamedFrames, SurveyFrames};
use radio_ssl::report::CheckVerdict;
use radio_ssl::stages;
use radio_ssl::table4::reproduce_table4;
use radio_tensor::checkpoint::Checkpoint;
use ssl_simclr::SimClrConfig;
use tempfile::TempDir;
use tiny_sky::{Kind, contains, files, kind, labels, options, pixels, run, survey, with_checkpoint, write_mosaic};

/// An encoder of 16 features, trained once for all tests.
fn encoder() -> &'static Path {
    static TRAINED: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = TRAINED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let survey = survey(folder.path(), |_| Some("COMPACT"));
        let (outcome, _) = run(&options(survey, folder.path().join("run"), 2));
        let path = outcome.folder.checkpoint();
        (folder, path)
    });
    path
}

/// The page of a run on the tiny sky with these labels, and its text.
fn page_with(labels_of: impl Fn(usize) -> Option<&'static str>) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(folder.path(), labels_of);
    let (outcome, page) = run(&with_checkpoint(options(survey, folder.path().join("run"), 2), encoder()));
    (page, outcome.text)
}

#[test]
fn a_sky_with_everything_has_every_section_and_the_same_bytes_again() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(folder.path(), |frame| if frame % 19 == 0 { None } else { labels(kind(frame)) });
    let options = options(survey, folder.path().join("run"), 2);
    let (outcome, page) = run(&options);
    let sections = [
        "<h2>Table 4</h2>",
        "<h2>The anomaly score</h2>",
        "<h2>On held-out sky, beside the baselines</h2>",
        "<h2>Feature ranking</h2>",
        "<h2>Pre-training</h2>",
        "<h2>Frames checked before training</h2>",
        "<h2>Provenance</h2>",
    ];
    contains(&page, &sections);
    contains(&outcome.text, &["top15", "all 16", "weighted F1", "seed", "SimCLR", "gzip complexity"]);
    let csv = std::fs::read_to_string(outcome.folder.report().join("table4.csv")).unwrap();
    let ours = csv.lines().filter(|line| line.contains("this run"));
    for line in ours {
        let fields: Vec<f64> = line.split(',').skip(2).take(7).map(|field| field.parse().unwrap()).collect();
        let [_, recall, low, high, precision, p_low, p_high] = fields[..] else { panic!("{line}") };
        assert!(low <= recall && recall <= high && low < high, "{line}");
        assert!(p_low <= precision && precision <= p_high, "{line}");
    }
    let before = files(outcome.folder.path());
    run(&options);
    assert!(before == files(outcome.folder.path()), "the second run changed a file");
}

#[test]
fn no_peculiar_frame() {
    let (page, text) =
        page_with(|frame| labels(if kind(frame) == Kind::Peculiar { Kind::Complex } else { kind(frame) }));
    contains(&page, &["no labelled frame is PECULIAR", "Feature ranking", "Highest scores"]);
    assert!(!page.contains("<h2>Table 4</h2>") && text.is_empty(), "{text}");
}

/// Nothing to rank by either: what is ranked is extended emission.
#[test]
fn no_complex_frame() {
    let (page, text) =
        page_with(|frame| labels(if kind(frame) == Kind::Complex { Kind::Ordinary } else { kind(frame) }));
    contains(&page, &["<h2>Table 4</h2>", "a ranking of the features:", "the held-out table:"]);
    contains(&text, &["all 16"]);
    assert!(!text.contains("top2      this run"), "{text}");
}

#[test]
fn no_ordinary_frame() {
    let (page, text) =
        page_with(|frame| labels(if kind(frame) == Kind::Ordinary { Kind::Complex } else { kind(frame) }));
    contains(&page, &["<h2>Table 4</h2>", "On held-out sky"]);
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("this run")).collect();
    assert!(ours.len() >= 5 && ours[..5].iter().all(|line| line.ends_with("+ 0")), "{text}");
}

#[test]
fn only_ordinary_frames_and_no_label_at_all() {
    let (page, text) = page_with(|_| labels(Kind::Ordinary));
    contains(&page, &["a ranking of the features:", "no labelled frame is PECULIAR"]);
    assert!(text.is_empty(), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let path = survey(folder.path(), labels_of_none);
    let text = std::fs::read_to_string(&path).unwrap().replace("labels = \"labels.csv\"\n", "");
    std::fs::write(&path, text).unwrap();
    let (_, page) = run(&with_checkpoint(options(path, folder.path().join("run"), 2), encoder()));
    contains(&page, &["ranking without labels", "no labels, so nothing is judged"]);
}

fn labels_of_none(_: usize) -> Option<&'static str> {
    None
}

/// One peculiar frame among many: recall is 1 while it is selected, precision below 1 unless it is the strangest of all.
#[test]
fn curves_that_never_cross() {
    let boring = (0..256).find(|frame| kind(*frame) == Kind::Ordinary).unwrap();
    let (page, text) = page_with(|frame| match kind(frame) {
        _ if frame == boring => Some("PECULIAR"),
        Kind::Peculiar => None,
        other => labels(other),
    });
    contains(&page, &["never cross", "the held-out table:"]);
    contains(&text, &["this run"]);
}

#[test]
fn every_frame_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(folder.path(), |frame| labels(kind(frame)));
    // A third and more of every frame is blank.
    let mut blank = pixels(0);
    blank.indexed_iter_mut().filter(|((row, _), _)| row % 32 < 12).for_each(|(_, value)| *value = f32::NAN);
    write_mosaic(&folder.path().join("m.fits"), &blank, 0.004);
    std::fs::write(folder.path().join("labels.csv"), "frame,labels\n").unwrap();
    let text = std::fs::read_to_string(&survey).unwrap().replace("labels = \"labels.csv\"\n", "");
    std::fs::write(&survey, text).unwrap();
    let error = reproduce_table4(&options(survey, folder.path().join("run"), 2)).err().unwrap();
    contains(&format!("{error:#}"), &["no frame can be used", "256 with more than 30 % blank pixels"]);
}

#[test]
fn more_features_wanted_than_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(folder.path(), |frame| labels(kind(frame)));
    let (outcome, page) = run(&options(survey, folder.path().join("run"), 1));
    contains(&page, &["top10, top15: the encoder has 8 features only"]);
    contains(&outcome.text, &["all 8"]);
    let ours: Vec<&str> = outcome.text.lines().filter(|line| line.contains("this run  ")).collect();
    assert!(ours.iter().all(|line| !line.starts_with("top10") && !line.starts_with("top15")), "{ours:?}");
}

/// What is left out, and why, of two mosaics of one survey with different beams, one with a blank corner and a constant patch.
#[test]
fn a_planted_survey_is_seen_through() {
    let folder = tempfile::tempdir().unwrap();
    let path = survey(folder.path(), labels_of_none);
    let text = std::fs::read_to_string(&path).unwrap().replace("labels = \"labels.csv\"\n", "");
    let second = "[[mosaics]]\npath = \"n.fits\"\n\n[frames]";
    std::fs::write(&path, text.replace("[frames]", second)).unwrap();
    let mut planted = pixels(99);
    for ((row, col), value) in planted.indexed_iter_mut() {
        match (row / 32, col / 32) {
            (0..2, 0..3) => *value = f32::NAN,
            (5, 5..9) => *value = 0.0,
            (9, 9) if row % 32 < 4 => *value = f32::NAN,
            _ => {}
        }
    }
    write_mosaic(&folder.path().join("n.fits"), &planted, 0.005);
    let recipe = SimClrConfig::laptop(1, 32, 8, 1).recipe;
    let frames = SurveyFrames::open(&stages::open_survey(&path).unwrap(), &recipe).unwrap();
    let line = |what: &str| frames.checks().iter().find(|check| check.what == what).unwrap();
    assert_eq!(line("too blank").found, "6 with more than 30 % blank pixels");
    assert_eq!(line("constant").found, "4 whose pixels are all equal");
    assert_eq!((line("too blank").verdict, line("constant").verdict), (CheckVerdict::LeftOut, CheckVerdict::LeftOut));
    assert_eq!(line("frames used").found, "502, 1 of them with blank pixels, at most 12.5 %");
    assert_eq!(line("beam").verdict, CheckVerdict::Look);
    contains(&line("beam").found, &["14.400″ × 14.400″ in m", "18.000″ × 18.000″ in n"]);
    let (_, page) = run(&with_checkpoint(options(path, folder.path().join("run"), 2), encoder()));
    contains(&page, &["Frames checked before training", "18.000″ × 18.000″ in n", "4 whose pixels are all equal"]);
}

/// The error of a run with this checkpoint.
fn error_with(checkpoint: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(folder.path(), |frame| labels(kind(frame)));
    let options = with_checkpoint(options(survey, folder.path().join("run"), 2), checkpoint);
    let error = reproduce_table4(&options).err().unwrap_or_else(|| panic!("the run succeeded"));
    format!("{error:#}")
}

#[test]
fn checkpoints_that_do_not_hold_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.safetensors");
    let bytes = std::fs::read(encoder()).unwrap();
    for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        contains(&error_with(&path), &["c.safetensors", "not a usable checkpoint"]);
    }
    let said = |from: &str, to: &str| {
        let mut file = Checkpoint::read(encoder()).unwrap().checkpoint;
        let text = file.text["simclr.toml"].replace(from, to);
        assert_ne!(text, file.text["simclr.toml"]);
        file.text.insert("simclr.toml".into(), text);
        file.write(&path).unwrap();
        error_with(&path)
    };
    contains(&said("width = 2", "width = 3"), &["c.safetensors", "layer4.0.conv2.weight", "expected"]);
    contains(&said("resnet18", "resnet34"), &["c.safetensors", "layer1.2.conv1.weight", "no such tensor"]);
    contains(&said("size = 32", "sise = 32"), &["sise"]);
}

#[test]
fn another_encoder_is_another_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = survey(folder.path(), |frame| labels(kind(frame)));
    let first = options(path, folder.path().join("run"), 2);
    run(&first);
    // The same folder with an encoder of another input size.
    let mut file = Checkpoint::read(encoder()).unwrap().checkpoint;
    let text = file.text["simclr.toml"].replace("size = 32", "size = 48");
    file.text.insert("simclr.toml".into(), text);
    let other = folder.path().join("other.safetensors");
    file.write(&other).unwrap();
    let error = reproduce_table4(&with_checkpoint(first.clone(), &other)).err().unwrap();
    contains(&format!("{error:#}"), &["belongs to another run"]);
    // In a folder of its own it works: an encoder brings its input size with it.
    let mut own = with_checkpoint(first.clone(), &other);
    own.out = Some(folder.path().join("own"));
    let (_, page) = run(&own);
    contains(&page, &["3 × 48 × 48 pixels"]);
    own.settings.push("simclr.recipe.size=32".into());
    own.out = Some(folder.path().join("set"));
    contains(&format!("{:#}", reproduce_table4(&own).err().unwrap()), &["--set", "--checkpoint"]);
    // Features of another encoder under the name of this one.
    std::fs::copy(folder.path().join("own/features.parquet"), folder.path().join("run/features.parquet")).unwrap();
    std::fs::remove_file(folder.path().join("run/ranking.json")).unwrap();
    let error = reproduce_table4(&first).err();
    // Only the input size differs here, not a weight: the fingerprint is of the weights, and the table is taken.
    assert!(error.is_none());
    let swapped = folder.path().join("run/checkpoint.safetensors");
    let mut file = Checkpoint::read(&swapped).unwrap().checkpoint;
    file.tensors.get_mut("bn1.weight").unwrap().1[0] += 1.0;
    file.write(&swapped).unwrap();
    let error = reproduce_table4(&first).err().unwrap();
    contains(&format!("{error:#}"), &["features.parquet", "another encoder"]);
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(folder.path(), |frame| labels(kind(frame)));
    std::fs::write(folder.path().join("occupied"), "x").unwrap();
    let error = reproduce_table4(&options(survey, folder.path().join("occupied/run"), 2)).err().unwrap();
    contains(&format!("{error:#}"), &["cannot make the folder", "occupied/run"]);
}
