//! `map` from a feature table to its page, on two clumps of made-up rows with a picture each.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use clap::Parser;
use ndarray::Array2;
use radio_io::{FeatureTable, Table, write_gray_png};
use radio_ssl::map::{MapOptions, map};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: MapOptions,
}

const ROWS: usize = 60;

/// Even rows are one clump, odd rows the other, in eight columns.
fn table(rows: usize) -> FeatureTable {
    let wave = |row: usize, column: usize| ((row * 13 + column * 7) as f32 * 0.71).sin();
    FeatureTable {
        ids: (0..rows).map(|row| format!("p{row:02}")).collect(),
        ra_deg: vec![f64::NAN; rows],
        dec_deg: vec![f64::NAN; rows],
        rms_jy_beam: (0..rows).map(|row| 1e-5 * (1 + row) as f32).collect(),
        blank_fraction: vec![0.0; rows],
        features: Array2::from_shape_fn((rows, 8), |(row, column)| wave(row, column) + (row % 2 * 20) as f32),
        metadata: Default::default(),
    }
}

fn make(folder: &Path) {
    table(ROWS).write_parquet(&folder.join("features.parquet")).unwrap();
    let mut labels = "frame,kind,score\n".to_owned();
    for row in 0..ROWS {
        if row != 5 {
            labels += &format!("p{row:02},{},{}\n", ["even", "odd"][row % 2], row as f64 / 100.0);
        }
        let picture = Array2::from_elem((12, 12), (3 * row) as u8);
        write_gray_png(&folder.join(format!("p{row:02}.png")), &picture).unwrap();
    }
    std::fs::write(folder.join("labels.csv"), labels).unwrap();
}

fn run(folder: &Path, words: &str) -> anyhow::Result<()> {
    let at = |word: &str| match word.strip_prefix('@') {
        Some(name) => folder.join(name).display().to_string(),
        None => word.to_owned(),
    };
    map(&Line::try_parse_from(std::iter::once("x".to_owned()).chain(words.split_whitespace().map(at)))?.options)
}

#[test]
fn a_table_becomes_a_page_a_figure_and_coordinates() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let asked = "@features.parquet --labels @labels.csv --label-column kind --colour-by rms,score --images @ --pictures 10 --out @map";
    run(folder.path(), asked).unwrap();
    let found = Table::read(&folder.path().join("map/map.csv")).unwrap();
    assert_eq!(found.names(), ["id", "x", "y", "kind", "rms", "score"]);
    assert_eq!((found.rows(), found.column("kind").unwrap().cell(5)), (ROWS, String::new()));
    // The clumps are far apart in the table: on the map no point is nearer to the other's middle.
    let (x, y) = (found.numbers("x").unwrap(), found.numbers("y").unwrap());
    let middle = |odd: usize| {
        let of = |axis: &[f64]| axis.iter().skip(odd).step_by(2).sum::<f64>() / (ROWS / 2) as f64;
        (of(&x), of(&y))
    };
    for row in 0..ROWS {
        let to = |(mx, my): (f64, f64)| (x[row] - mx).hypot(y[row] - my);
        assert!(to(middle(row % 2)) < to(middle(1 - row % 2)), "row {row}");
    }
    let page = std::fs::read_to_string(folder.path().join("map/map.html")).unwrap();
    assert_eq!(page.matches("\"iVBOR").count(), 10, "ten pictures inside");
    for fetched in ["<link", "src=\"http", "@import", "fetch("] {
        assert!(!page.contains(fetched), "{fetched}");
    }
    assert!(page.contains("trustworthiness") && page.contains("59 of 60"));
    let numbers: toml::Table = std::fs::read_to_string(folder.path().join("map/map.toml")).unwrap().parse().unwrap();
    assert_eq!(numbers["umap"]["n_neighbours"].as_integer(), Some(15));
    let figure = image::open(folder.path().join("map/map.png")).unwrap();
    assert!(figure.width() > 1000);

    let first = std::fs::read(folder.path().join("map/map.html")).unwrap();
    run(folder.path(), asked).unwrap();
    assert_eq!(std::fs::read(folder.path().join("map/map.html")).unwrap(), first, "the same table, the same page");
}

#[test]
fn new_rows_find_their_place_on_a_kept_map() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    run(folder.path(), "@features.parquet --pca 4 --save @kept.safetensors --table parquet --out @one").unwrap();
    run(folder.path(), "@features.parquet --model @kept.safetensors --table parquet --out @two").unwrap();
    let read = |name: &str| Table::read(&folder.path().join(name).join("map.parquet")).unwrap();
    let (one, two) = (read("one"), read("two"));
    for row in 0..ROWS {
        let apart = |axis: &str| one.numbers(axis).unwrap()[row] - two.numbers(axis).unwrap()[row];
        assert!(apart("x").hypot(apart("y")) < 2.0, "row {row} is near its own place");
    }
    let page = std::fs::read_to_string(folder.path().join("two/map.html")).unwrap();
    assert!(page.contains("drawn pale") && !page.contains("\"background\":[]"));
}

#[test]
fn what_cannot_be_mapped_is_named() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    let refused = |words: &str| format!("{:#}", run(folder.path(), words).unwrap_err());
    assert!(refused("@features.parquet --colour-by score --out @m").contains("--labels"));
    assert!(refused("@features.parquet --pca 8 --out @m").contains("fewer components"));
    assert!(refused("@features.parquet --model @none.safetensors --out @m").contains("none.safetensors"));
    let missing = refused("@features.txt --out @m");
    assert!(missing.contains("no such file of features"), "{missing}");
    assert!(refused("@features.parquet --supervised --out @m").contains("--label-column"));
    assert!(refused("@features.parquet --images @nowhere --out @m").contains("no row has a picture"));
    table(9).write_parquet(&folder.path().join("few.parquet")).unwrap();
    assert!(refused("@few.parquet --out @m").contains("15 rows, found 9"));
    let mut holes = table(ROWS);
    holes.features[(3, 2)] = f32::NAN;
    holes.write_parquet(&folder.path().join("holes.parquet")).unwrap();
    assert!(refused("@holes.parquet --out @m").contains("row 3, column 2"));
}
