//! `radio-ssl similar`: neighbours and pairs on tables whose answer is known on paper; what is refused.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::path::Path;
use std::process::Command;

use ndarray::Array2;
use radio_io::FeatureTable;
use radio_ssl::feature_files::{FeatureFormat, shard_path};

/// Rows on a circle, one degree apart, named by their angles; their places on the sky are as many degrees of right ascension.
fn circle(degrees: impl Iterator<Item = usize>, length: f32, encoder: &str) -> FeatureTable {
    let degrees: Vec<usize> = degrees.collect();
    let angle = |row: usize| (degrees[row] as f32).to_radians();
    let rows = degrees.len();
    FeatureTable {
        ids: degrees.iter().map(|degree| format!("d{degree}")).collect(),
        ra_deg: degrees.iter().map(|&degree| if degree == 0 { f64::NAN } else { degree as f64 }).collect(),
        dec_deg: vec![0.0; rows],
        rms_jy_beam: vec![1.0; rows],
        blank_fraction: vec![0.0; rows],
        features: Array2::from_shape_fn((rows, 2), |(row, col)| {
            length * if col == 0 { angle(row).cos() } else { angle(row).sin() }
        }),
        metadata: [("encoder".to_owned(), encoder.to_owned())].into(),
    }
}

/// Whether it succeeded, and all it said.
fn similar(folder: &Path, words: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_radio-ssl"))
        .current_dir(folder)
        .arg("similar")
        .args(words.split_whitespace())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}

/// The lines of the output.
fn lines(folder: &Path, words: &str) -> (String, Vec<String>) {
    let (success, said) = similar(folder, &format!("{words} --out out.csv"));
    assert!(success, "{words}: {said}");
    let text = std::fs::read_to_string(folder.join("out.csv")).unwrap();
    (said, text.lines().map(str::to_owned).collect())
}

#[test]
fn neighbours_on_a_circle() {
    let folder = tempfile::tempdir().unwrap();
    let whole = circle(0..90, 3.0, "e");
    whole.write_parquet(&folder.path().join("f.parquet")).unwrap();
    for (number, degrees) in [(0, 0..40), (1, 40..80), (2, 80..90)] {
        let path = shard_path(&folder.path().join("shards.npy"), number, 3);
        FeatureFormat::Npy.write(&circle(degrees, 3.0, "e"), &path).unwrap();
    }
    let (said, near) = lines(folder.path(), "f.parquet --id d40 --top 3");
    assert!(
        said.contains("1 queries, 3 neighbours each among 90 rows of 2 features (cosine, exact): out.csv"),
        "{said}"
    );
    assert_eq!(near[0], "query,rank,id,row,distance,ra_deg,dec_deg,separation_arcsec");
    // 1 - cos 1° = 1.523e-4, 1 - cos 2° = 6.092e-4; one degree of right ascension on the equator is 3600".
    let cells: Vec<Vec<&str>> = near[1..].iter().map(|line| line.split(',').collect()).collect();
    let mut nearest = [cells[0][2], cells[1][2]];
    nearest.sort_unstable();
    assert_eq!(nearest, ["d39", "d41"]);
    for (cells, (distance, separation)) in
        cells.iter().zip([(1.523e-4, 3600.0), (1.523e-4, 3600.0), (6.092e-4, 7200.0)])
    {
        assert_eq!((cells[0], cells[3]), ("d40", &cells[2][1..]));
        let number = |cell: usize| cells[cell].parse::<f64>().unwrap();
        assert!((number(4) - distance).abs() < 1e-7 && (number(7) - separation).abs() < 0.01, "{cells:?}");
    }
    // Shards under the name of their set, by a pattern, by a row; a place that is unknown stays empty.
    let (_, expected) = lines(folder.path(), "f.parquet --row 1 --row 89 --top 4 --metric euclidean");
    for features in ["shards.npy", "shards-*.npy"] {
        let (_, found) = lines(folder.path(), &format!("{features} --id d1 --row 89 --top 4 --metric euclidean"));
        assert_eq!(found, expected, "{features}");
    }
    assert_eq!(expected.len(), 9);
    assert!(expected.iter().any(|line| line.contains(",d0,0,") && line.ends_with(",,0,")), "{expected:?}");
    // The graph finds the same, and says how it did.
    let (_, exact) = lines(folder.path(), "f.parquet --all --top 5 --method exact --metric euclidean");
    let (said, graph) = lines(folder.path(), "f.parquet --all --top 5 --method hnsw --metric euclidean --threads 1");
    assert!(said.contains("by a graph, which found 100.00 % of the true neighbours of 90 queries"), "{said}");
    assert_eq!((graph.len(), &graph), (451, &exact));
    // Another table: a row of the same name is a neighbour like any other.
    circle(50..53, 6.0, "e").write_csv(&folder.path().join("new.csv")).unwrap();
    let (_, near) = lines(folder.path(), "f.parquet --features-of new.csv --top 1");
    let ids: Vec<&str> = near[1..].iter().map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(ids, ["d50", "d51", "d52"]);
}

#[test]
fn pairs_that_are_nearly_the_same() {
    let folder = tempfile::tempdir().unwrap();
    circle([10, 20, 21, 50, 10].into_iter(), 2.0, "e").write_parquet(&folder.path().join("f.parquet")).unwrap();
    let (said, pairs) = lines(folder.path(), "f.parquet --duplicates --threshold 0.001");
    assert!(said.contains("2 pairs within 0.001 (cosine), 4 of 5 rows are in one"), "{said}");
    assert_eq!(pairs[0], "first,second,first_row,second_row,distance,separation_arcsec");
    assert_eq!(pairs[1], "d10,d10,0,4,0,0.000");
    assert!(pairs[2].starts_with("d20,d21,1,2,0.000152") && pairs[2].ends_with(",3600.000"), "{}", pairs[2]);
    let (_, pairs) = lines(folder.path(), "f.parquet --duplicates --threshold 0 --metric euclidean");
    assert_eq!(pairs.len(), 2);
    // Both rows of one name are asked about, and each has the other for a neighbour.
    let (_, near) = lines(folder.path(), "f.parquet --id d10 --top 1");
    assert_eq!(near[1..], ["d10,1,d10,4,0,10,0,0.000", "d10,1,d10,0,0,10,0,0.000"]);
}

#[test]
fn what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    circle(0..20, 1.0, "e").write_parquet(&path("f.parquet")).unwrap();
    circle(0..20, 1.0, "other").write_parquet(&path("other.parquet")).unwrap();
    let mut zero = circle(0..20, 1.0, "e");
    zero.features.row_mut(3).fill(0.0);
    zero.write_parquet(&path("zero.parquet")).unwrap();
    let mut nan = circle(0..20, 1.0, "e");
    nan.features[(4, 1)] = f32::NAN;
    nan.write_parquet(&path("nan.parquet")).unwrap();
    let bytes = std::fs::read(path("f.parquet")).unwrap();
    std::fs::write(path("cut.parquet"), &bytes[..bytes.len() / 2]).unwrap();
    for (words, part) in [
        ("f.parquet", "--id <ID>|--row <N>"),
        ("f.parquet --id d99", "--id d99: no row is called so; the first is called d0"),
        ("f.parquet --row 20", "--row 20: expected less than 20"),
        ("f.parquet --row 1 --top 20", "--top 20: expected at most 19"),
        ("f.parquet --row 1 --top 0", "--top"),
        ("f.parquet --row 1 --all", "cannot be used with"),
        ("f.parquet --duplicates", "--threshold"),
        ("f.parquet --duplicates --threshold -1", "expected a finite distance of 0 or more, found -1"),
        ("f.parquet --duplicates --threshold NaN", "expected a finite distance"),
        ("f.parquet --features-of other.parquet", "other.parquet: made by another encoder"),
        ("none.parquet --row 1", "none.parquet: no such file"),
        ("cut.parquet --row 1", "cut.parquet"),
        ("zero.parquet --row 1", "only zeros in row 3"),
        ("nan.parquet --row 1", "found NaN in row 4, column 1"),
    ] {
        let (success, said) = similar(folder.path(), &format!("{words} --out out.csv"));
        assert!(!success && said.contains(part), "{words}: {said}");
        assert!(!path("out.csv").exists());
    }
    // Rows of zeros have no direction, but a place.
    lines(folder.path(), "zero.parquet --row 1 --metric euclidean");
}
