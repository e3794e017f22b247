//! A survey small enough for a test: 256 frames of 32 pixels, one object each, labelled as a test wants.
#![allow(dead_code, clippy::unwrap_used)] // each test uses its part; a failed set-up is a failed test

use std::path::{Path, PathBuf};
use std::time::Duration;

use ndarray::Array2;
use radio_io::{Card, write_image};
use radio_ssl::run_config::Preset;
use radio_ssl::table4::{Table4Options, Table4Outcome, reproduce_table4};

/// Frames along a side of the mosaic.
pub const ACROSS: usize = 16;
const FRAME: usize = 32;

/// What is drawn in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Peculiar,
    Complex,
    Ordinary,
}

/// A number in [0, 1) from a seed (splitmix64).
pub fn hash(seed: usize) -> f64 {
    let mut z = (seed as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// A seventh peculiar, a quarter complex, at random.
pub fn kind(frame: usize) -> Kind {
    match hash(1000 + frame) {
        h if h < 0.15 => Kind::Peculiar,
        h if h < 0.4 => Kind::Complex,
        _ => Kind::Ordinary,
    }
}

/// Labels of a frame as the label list spells them.
pub fn labels(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Peculiar => "PECULIAR",
        Kind::Complex => "EXTENDED",
        Kind::Ordinary => "COMPACT",
    })
}

/// Noise with an object in every frame: a ring, a bar, or a point.
pub fn pixels(seed: usize) -> Array2<f32> {
    let side = ACROSS * FRAME;
    Array2::from_shape_fn((side, side), |(row, col)| {
        let frame = row / FRAME * ACROSS + col / FRAME;
        let place = |axis: usize| 10.0 + 12.0 * hash(seed + 7 * frame + axis);
        let (y, x) = ((row % FRAME) as f64 - place(0), (col % FRAME) as f64 - place(1));
        let radius = x.hypot(y);
        let shape = match kind(frame) {
            Kind::Peculiar => (-(radius - 6.0).powi(2) / 3.0).exp(),
            Kind::Complex => (-x * x / 4.0 - y * y / 60.0).exp(),
            Kind::Ordinary => (-radius * radius / 4.0).exp(),
        };
        let noise = (0..4).map(|k| hash(seed + 4 * (row * side + col) + k)).sum::<f64>() - 2.0;
        (1e-3 * shape * (0.5 + hash(frame)) + 3e-5 * noise) as f32
    })
}

/// Writes a mosaic with a beam.
pub fn write_mosaic(path: &Path, pixels: &Array2<f32>, beam_deg: f64) {
    let cards = [
        Card::new("BUNIT", "Jy/beam", ""),
        Card::new("BMAJ", beam_deg, ""),
        Card::new("BMIN", beam_deg, ""),
        Card::new("BPA", 0.0, ""),
    ];
    write_image(path, pixels, &cards).unwrap();
}

/// A survey of one mosaic; `labels_of` names the labels of every frame, `None` for a frame without.
pub fn survey(folder: &Path, labels_of: impl Fn(usize) -> Option<&'static str>) -> PathBuf {
    write_mosaic(&folder.join("m.fits"), &pixels(0), 0.004);
    let mut list = String::from("frame,labels\n");
    for frame in 0..ACROSS * ACROSS {
        if let Some(labels) = labels_of(frame) {
            let (row, col) = (frame / ACROSS * FRAME, frame % ACROSS * FRAME);
            list.push_str(&format!("m_r{row:05}_c{col:05}_s{FRAME},{labels}\n"));
        }
    }
    std::fs::write(folder.join("labels.csv"), list).unwrap();
    let path = folder.join("survey.toml");
    let text = "name = \"tiny\"\nlabels = \"labels.csv\"\n\n[[mosaics]]\npath = \"m.fits\"\n\n[frames]\nsize = 32\nstep = 32\n\
                edge = \"drop\"\nmax_blank_fraction = 0.3\n";
    std::fs::write(&path, text).unwrap();
    path
}

/// A run of a second or two: an encoder of 8 · `width` features, few trees, one forest.
pub fn options(survey: PathBuf, out: PathBuf, width: usize) -> Table4Options {
    let settings = [
        "simclr.recipe.size=32".to_owned(),
        format!("simclr.backbone.width={width}"),
        "simclr.projector.hidden=16".to_owned(),
        "simclr.projector.output=8".to_owned(),
        "simclr.epochs=2".to_owned(),
        "forests.n_trees=30".to_owned(),
        "forests.max_samples=[\"auto\"]".to_owned(),
        "forests.max_features=[\"all\"]".to_owned(),
    ];
    Table4Options {
        preset: Preset::Smoke,
        seed: 1,
        survey: Some(survey),
        checkpoint: None,
        out: Some(out),
        settings: settings.into(),
        checkpoint_every: Duration::from_secs(3600),
    }
}

/// The same with a finished encoder.
pub fn with_checkpoint(options: Table4Options, checkpoint: &Path) -> Table4Options {
    let of_forests = options.settings.into_iter().filter(|setting| setting.starts_with("forests.")).collect();
    Table4Options { checkpoint: Some(checkpoint.to_path_buf()), settings: of_forests, ..options }
}

/// Runs, and reads the page; no table may hold a number that is none.
pub fn run(options: &Table4Options) -> (Table4Outcome, String) {
    let outcome = reproduce_table4(options).unwrap_or_else(|error| panic!("{error:#}"));
    let report = outcome.folder.report();
    for entry in std::fs::read_dir(&report).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension != "png" && extension != "html") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("NaN") && !text.contains("inf,"), "{}: {text}", path.display());
        }
    }
    let page = std::fs::read_to_string(report.join("index.html")).unwrap();
    // Without the pictures, whose letters may spell anything: those of the map are in one list.
    let (before, map) = page.split_once("\"pictures\":{").unwrap_or((&page, ""));
    let page = before.to_owned() + map.split_once('}').map_or("", |pieces| pieces.1);
    let mut parts = page.split("base64,");
    let mut markup = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| markup.push_str(part.split_once("\"/>").map_or(part, |pieces| pieces.1)));
    assert!(!markup.contains("NaN"));
    (outcome, markup)
}

/// Every file below a folder with its bytes.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

pub fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        let shown: Vec<&str> =
            text.lines().filter(|line| !line.starts_with(['<', '.', '@']) || line.starts_with("<li>")).collect();
        assert!(text.contains(part), "`{part}` is missing in: {}", shown.join("\n"));
    }
}
