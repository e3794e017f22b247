//! Forests on made-up tables: a slow obvious oracle, threads, files, grids, and bad input.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop at the first surprise

use anomaly_iforest::{
    Contamination, ForestConfig, ForestError, Grid, IsolationForest, MaxFeatures, MaxSamples, TreeArrays,
    average_path_length, best, grid_search,
};
use metrics::FrameGroup;
use ndarray::{Array2, s};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CONFIG: ForestConfig = ForestConfig {
    n_trees: 60,
    max_samples: MaxSamples::Auto,
    max_features: MaxFeatures::All,
    contamination: Contamination::Auto,
    bootstrap: false,
    seed: 7,
};

/// `rows` inside a cube of side 1, every 50th row (from 0) at a distance of 3 to 4 in every column.
fn table(rows: usize, columns: usize) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(columns as u64);
    Array2::from_shape_fn((rows, columns), |(row, _)| rng.random::<f32>() + if row % 50 == 0 { 3.0 } else { 0.0 })
}

/// The definition, one row and one tree at a time.
fn slow_scores(forest: &IsolationForest, features: &Array2<f32>) -> Vec<f64> {
    let path_length = |tree: &TreeArrays, row: usize| {
        let (mut node, mut depth) = (0, 0);
        while tree.left[node] >= 0 {
            let goes_left = f64::from(features[(row, tree.feature[node] as usize)]) <= tree.threshold[node];
            node = if goes_left { tree.left[node] } else { tree.right[node] } as usize;
            depth += 1;
        }
        f64::from(depth) + average_path_length(tree.n_node_samples[node] as usize)
    };
    let trees = forest.to_trees();
    let unit = trees.len() as f64 * average_path_length(forest.samples_per_tree());
    (0..features.nrows())
        .map(|row| 2_f64.powf(-trees.iter().map(|tree| path_length(tree, row)).sum::<f64>() / unit))
        .collect()
}

#[test]
fn scores_equal_the_slow_definition() {
    // Row counts around the lane width and the block size, widths from one column to wider than a block.
    for (rows, columns) in [(2, 1), (9, 3), (515, 2), (1000, 40), (67, 1500)] {
        let features = table(rows, columns);
        for max_samples in [MaxSamples::Auto, MaxSamples::Fraction(1.0)] {
            let forest = IsolationForest::fit(features.view(), &ForestConfig { max_samples, ..CONFIG }).unwrap();
            let scores = forest.scores(features.view()).unwrap();
            assert_eq!(scores.len(), rows);
            for (row, (fast, slow)) in scores.iter().zip(slow_scores(&forest, &features)).enumerate() {
                assert!((fast - slow).abs() < 1e-13, "{rows} x {columns}, row {row}: {fast} vs {slow}");
            }
        }
    }
}

#[test]
fn planted_rows_score_highest() {
    let features = table(1000, 6);
    for bootstrap in [false, true] {
        for max_features in [MaxFeatures::All, MaxFeatures::One, MaxFeatures::Count(3)] {
            let config =
                ForestConfig { bootstrap, max_features, contamination: Contamination::Fraction(0.02), ..CONFIG };
            let forest = IsolationForest::fit(features.view(), &config).unwrap();
            let scores = forest.scores(features.view()).unwrap();
            assert!(scores.iter().all(|score| (0.0..1.0).contains(score)));
            let outliers: Vec<usize> =
                forest.outliers(&scores).iter().enumerate().filter(|row| *row.1).map(|row| row.0).collect();
            assert_eq!(outliers, (0..1000).step_by(50).collect::<Vec<_>>(), "{config:?}");
        }
    }
}

#[test]
fn one_feature_per_tree_uses_one_feature_per_tree() {
    let features = table(400, 10);
    for (max_features, most) in [(MaxFeatures::One, 1), (MaxFeatures::Count(4), 4), (MaxFeatures::All, 10)] {
        let forest = IsolationForest::fit(features.view(), &ForestConfig { max_features, ..CONFIG }).unwrap();
        let used = |tree: &TreeArrays| {
            tree.feature.iter().filter(|&&f| f >= 0).collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!(forest.to_trees().iter().map(used).max(), Some(most));
    }
}

#[test]
fn threads_change_no_bit_and_seeds_do() {
    let features = table(3000, 12);
    let run = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let config = ForestConfig { seed, contamination: Contamination::Fraction(0.1), ..CONFIG };
            let forest = IsolationForest::fit(features.view(), &config).unwrap();
            let scores = forest.scores(features.view()).unwrap();
            (forest, scores)
        })
    };
    let one = run(1, 7);
    assert_eq!(one, run(2, 7));
    assert_eq!(one, run(5, 7));
    assert_ne!(one.1, run(1, 8).1);
    // Any memory order of the same table.
    let transposed = features.t().as_standard_layout().into_owned();
    assert_eq!(one.0.scores(transposed.t()).unwrap(), one.1);
    let every_third = features.slice(s![..;3, ..]);
    assert_eq!(one.0.scores(every_third).unwrap(), one.1.iter().copied().step_by(3).collect::<Vec<_>>());
}

#[test]
fn a_table_in_parts_scores_the_same_bits() {
    let features = table(5000, 7);
    let forest = IsolationForest::fit(features.view(), &CONFIG).unwrap();
    let parts: Vec<f64> = [s![..1, ..], s![1..1230, ..], s![1230.., ..]]
        .into_iter()
        .flat_map(|part| forest.scores(features.slice(part)).unwrap())
        .collect();
    assert_eq!(parts, forest.scores(features.view()).unwrap());
}

#[test]
fn equal_rows_score_one_half() {
    let features = Array2::<f32>::ones((300, 3));
    let forest = IsolationForest::fit(features.view(), &CONFIG).unwrap();
    assert_eq!(forest.scores(features.view()).unwrap(), vec![0.5; 300]);
    assert_eq!(forest.outliers(&[0.5, 0.51]), [false, true]);
}

#[test]
fn a_saved_forest_scores_the_same_bits() {
    let features = table(700, 4);
    let config = ForestConfig { contamination: Contamination::Fraction(0.03), ..CONFIG };
    let forest = IsolationForest::fit(features.view(), &config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forest.json");
    forest.save(&path).unwrap();
    let loaded = IsolationForest::load(&path).unwrap();
    assert_eq!(loaded.scores(features.view()).unwrap(), forest.scores(features.view()).unwrap());
    assert_eq!(loaded.offset(), forest.offset());
    assert!(matches!(forest.save(&folder.path().join("no/forest.json")), Err(ForestError::Io { .. })));
    assert!(matches!(IsolationForest::load(&folder.path().join("absent.json")), Err(ForestError::Io { .. })));
    let spoil = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        let spoilt = folder.path().join("spoilt.json");
        std::fs::write(&spoilt, text.replacen(from, to, 1)).unwrap();
        IsolationForest::load(&spoilt).unwrap_err()
    };
    assert!(
        matches!(spoil("isolation-forest/1", "isolation-forest/9"), ForestError::WrongFormat { found, .. } if found.ends_with("/9"))
    );
    assert!(matches!(spoil("\"n_features\":4", "\"n_features\":1"), ForestError::InvalidFile { .. }));
    assert!(matches!(spoil("\"left\":[1,", "\"left\":[0,"), ForestError::InvalidFile { .. }));
    assert!(matches!(spoil("\"offset\"", "\"shift\""), ForestError::Format { .. }));
    assert!(matches!(spoil("}", ""), ForestError::Format { .. }));
}

#[test]
fn bad_input_is_refused_by_name() {
    let features = table(100, 4);
    let refuse =
        |features: &Array2<f32>, config: ForestConfig| IsolationForest::fit(features.view(), &config).unwrap_err();
    assert!(matches!(refuse(&table(0, 4), CONFIG), ForestError::TooFewRows { expected: 2, found: 0 }));
    assert!(matches!(refuse(&table(1, 4), CONFIG), ForestError::TooFewRows { expected: 2, found: 1 }));
    assert!(matches!(refuse(&table(5, 0), CONFIG), ForestError::NoFeatures));
    let mut blank = features.clone();
    blank[(42, 3)] = f32::NAN;
    assert!(matches!(refuse(&blank, CONFIG), ForestError::NotFinite { row: 42, column: 3, .. }));
    let too_many = ForestConfig { max_features: MaxFeatures::Count(5), ..CONFIG };
    assert!(matches!(refuse(&features, too_many), ForestError::BadSetting { name: "max_features", .. }));
    let too_large = ForestConfig { max_samples: MaxSamples::Fraction(1.5), ..CONFIG };
    assert!(matches!(refuse(&features, too_large), ForestError::BadSetting { name: "max_samples", .. }));
    let too_small = ForestConfig { max_samples: MaxSamples::Fraction(0.001), ..CONFIG };
    assert!(matches!(refuse(&features, too_small), ForestError::BadSetting { name: "max_samples", .. }));
    let too_dirty = ForestConfig { contamination: Contamination::Fraction(0.7), ..CONFIG };
    assert!(matches!(refuse(&features, too_dirty), ForestError::BadSetting { name: "contamination", .. }));
    assert!(matches!(
        refuse(&features, ForestConfig { n_trees: 0, ..CONFIG }),
        ForestError::BadSetting { name: "n_trees", .. }
    ));
    let forest = IsolationForest::fit(features.view(), &CONFIG).unwrap();
    assert!(matches!(forest.scores(table(5, 3).view()), Err(ForestError::WrongWidth { expected: 4, found: 3 })));
    assert!(matches!(forest.scores(blank.view()), Err(ForestError::NotFinite { row: 42, column: 3, .. })));
    assert_eq!(forest.scores(table(0, 4).view()).unwrap(), [0.0; 0]);
    assert!(IsolationForest::from_trees(&[], 4, 256, -0.5).is_err());
    assert!(IsolationForest::from_trees(&forest.to_trees(), 4, 1, -0.5).is_err());
    assert!(IsolationForest::from_trees(&forest.to_trees(), 4, 256, f64::NAN).is_err());
}

fn groups(rows: usize) -> Vec<Option<FrameGroup>> {
    let group = |row| match row {
        row if row % 50 == 0 => Some(FrameGroup::Peculiar),
        row if row % 10 == 1 => None,
        row if row % 10 == 2 => Some(FrameGroup::Complex),
        _ => Some(FrameGroup::Ordinary),
    };
    (0..rows).map(group).collect()
}

#[test]
fn the_grid_is_the_papers_and_its_best_point_is_the_largest() {
    let grid = Grid::published(256);
    assert_eq!(
        (grid.contamination.len(), grid.max_samples.len(), grid.max_features.len(), grid.n_trees),
        (4, 15, 2, 200)
    );
    let features = table(600, 3);
    let small = Grid { n_trees: 20, ..grid };
    let mut calls = Vec::new();
    let points = grid_search(features.view(), &groups(600), &small, 3, |done, all| calls.push((done, all))).unwrap();
    assert_eq!(points.len(), 120);
    assert_eq!(calls, (1..=30).map(|done| (done, 30)).collect::<Vec<_>>());
    assert!(points.iter().all(|point| point.samples_per_tree >= 256));
    let winner = best(&points).unwrap();
    assert!(winner.crossing.row().recall > 0.9, "{winner:?}");
    assert!(points.iter().all(|point| point.merit() <= winner.merit() || !point.crossing.crosses()));
    // Contamination moves the cut and nothing else.
    let of_first: Vec<usize> = points[..4].iter().map(|point| point.n_outliers).collect();
    assert_eq!(of_first[1..], [1, 6, 60]);
    assert!(points[..4].iter().all(|point| point.crossing == points[0].crossing));
    // The point is what a forest grown alone with these settings gives.
    let alone = IsolationForest::fit(features.view(), &winner.config).unwrap().scores(features.view()).unwrap();
    let scan = metrics::threshold_scan(&alone, &groups(600), small.threshold_step).unwrap();
    assert_eq!(metrics::crossing(&scan).unwrap(), winner.crossing);
}

#[test]
fn a_grid_without_peculiar_frames_is_an_error() {
    let features = table(600, 3);
    let ordinary = vec![Some(FrameGroup::Ordinary); 600];
    let grid = Grid { n_trees: 5, ..Grid::published(256) };
    assert!(matches!(grid_search(features.view(), &ordinary, &grid, 0, |_, _| ()), Err(ForestError::Metrics(_))));
    assert!(matches!(grid_search(features.view(), &ordinary[1..], &grid, 0, |_, _| ()), Err(ForestError::Metrics(_))));
    assert_eq!(best(&[]), None);
}

#[test]
fn settings_read_well_in_a_file() {
    let config = ForestConfig { max_samples: MaxSamples::FractionAtLeast { fraction: 0.02, at_least: 256 }, ..CONFIG };
    let text = serde_json::to_string(&config).unwrap();
    assert!(text.contains(r#""max_features":"all""#) && text.contains(r#""contamination":"auto""#), "{text}");
    assert_eq!(serde_json::from_str::<ForestConfig>(&text).unwrap(), config);
    assert!(serde_json::from_str::<ForestConfig>(&text.replace("bootstrap", "bagging")).is_err());
}
