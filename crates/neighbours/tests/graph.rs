//! The graph search against the exact one, and where graphs are known to fail: equal rows, clumps, few rows.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

use ndarray::{Array2, Axis, s};
use neighbours::{GraphSettings, Metric, NeighbourError, near_in, nearest_in, recall};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows as an encoder makes them: many columns that a dozen hidden numbers explain, in clumps.
fn features(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || (0..4).map(|_| rng.random_range(-0.866_f32..0.866)).sum::<f32>();
    let mixing = Array2::from_shape_simple_fn((12, columns), &mut normal);
    let centres = Array2::from_shape_simple_fn((20, 12), || 2.0 * normal());
    let mut hidden = Array2::from_shape_simple_fn((rows, 12), &mut normal);
    for (row, mut hidden) in hidden.outer_iter_mut().enumerate() {
        hidden += &centres.row(row % 20);
    }
    hidden.dot(&mixing).mapv(|value| value.max(0.0))
}

#[test]
fn nearly_all_true_neighbours_are_found() {
    let all = features(6000, 64, 1);
    let (queries, reference) = (all.slice(s![..500, ..]), all.slice(s![500.., ..]));
    for metric in [Metric::Euclidean, Metric::Cosine] {
        let truth = nearest_in(queries, reference, 10, metric).unwrap();
        let found = near_in(queries, reference, 10, metric, &GraphSettings::with_seed(1)).unwrap();
        let share = recall(&found, &truth);
        assert!(share >= 0.98, "{metric:?}: recall {share}");
        for query in (0..500).step_by(50) {
            let (rows, distances) = (found.rows.row(query), found.distances.row(query));
            // What is found is true: the distances are those of the rows, ascending, and no row stands twice.
            let exact = nearest_in(
                queries.slice(s![query..query + 1, ..]),
                reference.select(Axis(0), &[rows[0] as usize]).view(),
                1,
                metric,
            );
            assert_eq!(exact.unwrap().distances[(0, 0)], distances[0]);
            assert!(distances.iter().is_sorted());
            assert!(rows.iter().all(|row| rows.iter().filter(|other| *other == row).count() == 1));
        }
        // Fewer links and a narrow search find less, or the settings would do nothing.
        let poor = GraphSettings { links: 2, build_width: 2, search_width: 10, seed: 1 };
        let poor = recall(&near_in(queries, reference, 10, metric, &poor).unwrap(), &truth);
        assert!(poor < share - 0.05, "{metric:?}: {poor} with the poorest settings");
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let reference = features(3000, 24, 2);
    let of = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let settings = GraphSettings { links: 4, build_width: 8, search_width: 8, seed };
        pool.install(|| near_in(reference.view(), reference.view(), 8, Metric::Cosine, &settings).unwrap())
    };
    let one = of(1, 7);
    assert_eq!(one, of(2, 7));
    assert_eq!(one, of(5, 7));
    assert_ne!(one, of(1, 8), "the seed does nothing");
}

/// A thousand equal rows in a larger table: links among them alone would cut them off from the rest.
#[test]
fn equal_rows_do_not_cut_the_graph() {
    let mut reference = features(3000, 16, 3);
    let twin = reference.row(0).to_owned();
    reference.rows_mut().into_iter().skip(5).step_by(3).for_each(|mut row| row.assign(&twin));
    let queries = features(200, 16, 4);
    let truth = nearest_in(queries.view(), reference.view(), 10, Metric::Euclidean).unwrap();
    let found = near_in(queries.view(), reference.view(), 10, Metric::Euclidean, &GraphSettings::with_seed(3)).unwrap();
    let share = recall(&found, &truth);
    assert!(share >= 0.98, "recall {share}");
    // Nothing but equal rows.
    let same = Array2::from_elem((300, 4), 1.5);
    let found = near_in(same.view(), same.view(), 300, Metric::Euclidean, &GraphSettings::with_seed(3)).unwrap();
    let mut rows = found.rows.row(17).to_vec();
    rows.sort_unstable();
    assert_eq!(rows, (0..300).collect::<Vec<_>>());
}

/// Clumps far apart: a walk must be able to leave the one it begins in.
#[test]
fn clumps_far_apart() {
    let mut reference = features(4000, 16, 5);
    for (row, mut values) in reference.rows_mut().into_iter().enumerate() {
        values[row % 7] += 1e4;
    }
    let queries = reference.slice(s![..;41, ..]).to_owned();
    let truth = nearest_in(queries.view(), reference.view(), 10, Metric::Euclidean).unwrap();
    let found = near_in(queries.view(), reference.view(), 10, Metric::Euclidean, &GraphSettings::with_seed(5)).unwrap();
    let share = recall(&found, &truth);
    assert!(share >= 0.95, "recall {share}");
}

#[test]
fn bad_input_is_named() {
    let reference = features(30, 4, 6);
    let of = |k, settings| near_in(reference.view(), reference.view(), k, Metric::Euclidean, &settings).unwrap_err();
    let good = GraphSettings::with_seed(1);
    assert!(matches!(of(31, good), NeighbourError::BadCount { k: 31, .. }));
    assert!(matches!(of(0, good), NeighbourError::BadCount { k: 0, .. }));
    let bad = of(1, GraphSettings { links: 1, ..good });
    assert!(matches!(bad, NeighbourError::BadSetting { name: "links", found: 1, .. }));
    let bad = of(1, GraphSettings { build_width: 3, ..good });
    assert!(matches!(bad, NeighbourError::BadSetting { name: "build_width", .. }));
    let bad = of(1, GraphSettings { search_width: usize::MAX, ..good });
    assert!(matches!(bad, NeighbourError::BadSetting { name: "search_width", .. }));
    let mut nan = reference.clone();
    nan[(3, 2)] = f32::NAN;
    let error = near_in(nan.view(), reference.view(), 1, Metric::Euclidean, &good).unwrap_err();
    assert!(matches!(error, NeighbourError::NotFinite { table: "queries", row: 3, column: 2, .. }));
    let none = Array2::zeros((0, 4));
    assert_eq!(near_in(none.view(), reference.view(), 2, Metric::Euclidean, &good).unwrap().rows.dim(), (0, 2));
    assert!(near_in(reference.view(), none.view(), 1, Metric::Euclidean, &good).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// A search as wide as a small table is the exact one, ties included.
    #[test]
    fn wide_searches_are_exact(rows in 1usize..60, columns in 1usize..5, seed in 0u64..1000, grid in any::<bool>()) {
        let mut reference = features(rows, columns, seed);
        if grid {
            // Many equal rows and equal distances.
            reference.mapv_inplace(f32::round);
        }
        let k = 1 + seed as usize % rows;
        let settings = GraphSettings { links: 16, build_width: 64, search_width: 64, seed };
        let found = near_in(reference.view(), reference.view(), k, Metric::Euclidean, &settings).unwrap();
        let truth = nearest_in(reference.view(), reference.view(), k, Metric::Euclidean).unwrap();
        prop_assert_eq!(found, truth);
    }
}
