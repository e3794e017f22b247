//! The search against the slow, obvious version: all distances in `f64`, sorted.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop at the first surprise

use ndarray::{Array2, ArrayView2};
use neighbours::{Metric, NeighbourError, near_duplicates, nearest_in, nearest_neighbours, neighbour_ranks};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn distance(a: &[f32], b: &[f32], metric: Metric) -> f64 {
    let wide = |row: &[f32]| row.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let unit = |row: Vec<f64>| {
        let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter().map(|v| v / length).collect::<Vec<_>>()
    };
    let squared = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    match metric {
        Metric::Euclidean => squared(&wide(a), &wide(b)).sqrt(),
        Metric::Cosine => squared(&unit(wide(a)), &unit(wide(b))) / 2.0,
    }
}

/// All rows of the reference by distance from a query, then by number.
fn sorted(query: &[f32], reference: ArrayView2<f32>, metric: Metric, itself: Option<usize>) -> Vec<(f64, u32)> {
    let mut all: Vec<(f64, u32)> = reference
        .outer_iter()
        .enumerate()
        .filter(|&(row, _)| itself != Some(row))
        .map(|(row, values)| (distance(query, &values.to_vec(), metric), row as u32))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all
}

fn gaussian(rows: usize, columns: usize, offset: f32, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((rows, columns), || {
        offset + (0..4).map(|_| rng.random_range(-0.866_f32..0.866)).sum::<f32>()
    })
}

fn check(features: ArrayView2<f32>, k: usize, metric: Metric) {
    let ours = nearest_neighbours(features, k, metric).unwrap();
    let ranks = neighbour_ranks(features, ours.rows.view(), metric).unwrap();
    for row in 0..features.nrows() {
        let all = sorted(&features.row(row).to_vec(), features, metric, Some(row));
        for place in 0..k {
            let (far, number) = all[place];
            assert_eq!(ours.rows[(row, place)], number, "row {row}, place {place}, {metric:?}");
            assert!((f64::from(ours.distances[(row, place)]) - far).abs() <= 1e-7 * far + 1e-15, "row {row}: {far}");
            assert_eq!(ranks[(row, place)], place as u32 + 1, "row {row}, place {place}, {metric:?}");
        }
    }
}

#[test]
fn as_sorting_all_distances() {
    for (rows, columns, k, offset) in [(700, 17, 5, 0.0), (300, 512, 15, 0.0), (530, 40, 20, 1e4), (60, 3, 59, 0.0)] {
        let features = gaussian(rows, columns, offset, rows as u64);
        check(features.view(), k, Metric::Euclidean);
        if offset == 0.0 {
            check(features.view(), k, Metric::Cosine);
        }
    }
}

#[test]
fn sizes_near_the_ends_of_single_precision() {
    let plain = gaussian(200, 8, 0.0, 3);
    let expected = nearest_neighbours(plain.view(), 6, Metric::Euclidean).unwrap();
    for power in [100, -100] {
        let factor = (power as f32).exp2();
        let scaled = nearest_neighbours((&plain * factor).view(), 6, Metric::Euclidean).unwrap();
        assert_eq!(scaled.rows, expected.rows, "2^{power}");
        assert_eq!(scaled.distances, &expected.distances * factor);
    }
    // Two clumps of utterly different size: the small one must keep its order.
    let mut mixed = plain.clone();
    mixed.rows_mut().into_iter().take(100).for_each(|mut row| row *= 1e-25);
    check(mixed.view(), 6, Metric::Euclidean);
    mixed.fill(f32::MAX);
    mixed[(3, 2)] = -f32::MAX;
    let far = nearest_neighbours(mixed.view(), 1, Metric::Euclidean).unwrap();
    assert_eq!((far.rows[(0, 0)], far.rows[(5, 0)], far.rows[(3, 0)]), (1, 0, 0));
}

#[test]
fn queries_in_a_reference() {
    let reference = gaussian(1300, 24, 0.5, 4);
    let mut queries = gaussian(300, 24, 0.5, 5);
    queries.row_mut(7).assign(&reference.row(1100));
    for metric in [Metric::Euclidean, Metric::Cosine] {
        let ours = nearest_in(queries.view(), reference.view(), 9, metric).unwrap();
        for row in 0..queries.nrows() {
            let all = sorted(&queries.row(row).to_vec(), reference.view(), metric, None);
            let expected: Vec<u32> = all[..9].iter().map(|&(_, number)| number).collect();
            assert_eq!(ours.rows.row(row).to_vec(), expected, "row {row}");
        }
        assert_eq!((ours.rows[(7, 0)], ours.distances[(7, 0)]), (1100, 0.0));
    }
}

#[test]
fn any_number_of_threads_and_any_memory_order() {
    let features = gaussian(900, 33, 2.0, 6);
    let transposed = features.t().to_owned();
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| nearest_neighbours(transposed.t(), 12, Metric::Cosine).unwrap())
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(7));
    assert_eq!(one, nearest_neighbours(features.view(), 12, Metric::Cosine).unwrap());
}

#[test]
fn many_equal_rows() {
    // 1,500 blank frames among 500 others: the nearest of a blank are the blanks of smallest number.
    let mut features = gaussian(2000, 10, 3.0, 7);
    for row in 0..1500 {
        features.row_mut(row).fill(0.25);
    }
    let ours = nearest_neighbours(features.view(), 4, Metric::Euclidean).unwrap();
    assert_eq!(ours.rows.row(0).to_vec(), [1, 2, 3, 4]);
    assert_eq!(ours.rows.row(1400).to_vec(), [0, 1, 2, 3]);
    assert_eq!(ours.distances.row(1400).to_vec(), [0.0; 4]);
    assert!(ours.rows.row(1700).iter().all(|&row| row >= 1500));
    let error = near_duplicates(features.view(), Metric::Euclidean, 0.0, 1000).unwrap_err();
    assert!(matches!(error, NeighbourError::TooManyPairs { at_most: 1000, .. }), "{error}");
    let pairs = near_duplicates(features.slice(ndarray::s![1400..1600, ..]), Metric::Euclidean, 0.0, 10_000).unwrap();
    assert_eq!(pairs.len(), 100 * 99 / 2);
}

#[test]
fn bad_input() {
    let good = gaussian(5, 3, 0.0, 8);
    let count = |k| nearest_neighbours(good.view(), k, Metric::Euclidean).map(|_| ());
    assert!(matches!(count(5), Err(NeighbourError::BadCount { k: 5, rows: 5, most: 4 })));
    assert!(matches!(count(0), Err(NeighbourError::BadCount { .. })));
    assert!(count(4).is_ok());
    let empty = Array2::<f32>::zeros((0, 3));
    let nothing = nearest_neighbours(empty.view(), 1, Metric::Euclidean);
    assert!(matches!(nothing, Err(NeighbourError::BadCount { .. })));
    assert_eq!(nearest_in(empty.view(), good.view(), 2, Metric::Euclidean).unwrap().rows.dim(), (0, 2));
    let flat = Array2::<f32>::zeros((4, 0));
    assert!(matches!(nearest_neighbours(flat.view(), 1, Metric::Euclidean), Err(NeighbourError::NoColumns { .. })));
    for value in [f32::NAN, f32::INFINITY] {
        let mut bad = good.clone();
        bad[(4, 1)] = value;
        let error = nearest_neighbours(bad.view(), 1, Metric::Euclidean).unwrap_err();
        assert!(matches!(error, NeighbourError::NotFinite { row: 4, column: 1, .. }), "{error}");
        let error = nearest_in(bad.view(), good.view(), 1, Metric::Euclidean).unwrap_err();
        assert!(matches!(error, NeighbourError::NotFinite { table: "queries", row: 4, .. }), "{error}");
    }
    let mut zero = good.clone();
    zero.row_mut(2).fill(0.0);
    assert!(matches!(nearest_neighbours(zero.view(), 1, Metric::Cosine), Err(NeighbourError::ZeroRow { row: 2, .. })));
    assert!(nearest_neighbours(zero.view(), 1, Metric::Euclidean).is_ok());
    let narrow = gaussian(5, 2, 0.0, 9);
    let error = nearest_in(narrow.view(), good.view(), 1, Metric::Euclidean).unwrap_err();
    assert!(matches!(error, NeighbourError::WrongWidth { expected: 3, found: 2 }));
    for within in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            near_duplicates(good.view(), Metric::Euclidean, within, 9),
            Err(NeighbourError::BadDistance { .. })
        ));
    }
    let ranks = |of: Array2<u32>| neighbour_ranks(good.view(), of.view(), Metric::Euclidean);
    assert!(matches!(ranks(Array2::from_elem((4, 1), 0)), Err(NeighbourError::WrongLength { expected: 5, found: 4 })));
    assert!(matches!(ranks(Array2::from_elem((5, 1), 0)), Err(NeighbourError::BadRow { row: 0, found: 0, .. })));
    assert!(matches!(ranks(Array2::from_elem((5, 1), 5)), Err(NeighbourError::BadRow { row: 0, found: 5, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Small whole numbers: distances tie all the time, and the oracle has no rounding.
    #[test]
    fn ties_go_to_the_smaller_number(
        rows in 2_usize..90, columns in 1_usize..5, levels in 1_i32..4, k in 1_usize..20, seed in any::<u64>()
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let features = Array2::from_shape_simple_fn((rows, columns), || rng.random_range(-levels..=levels) as f32);
        check(features.view(), k.min(rows - 1), Metric::Euclidean);
    }

    #[test]
    fn pairs_are_those_within(rows in 1_usize..80, seed in any::<u64>(), within in 0.0_f64..2.0) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let features = Array2::from_shape_simple_fn((rows, 2), || rng.random_range(-9_i32..=9) as f32 * 0.25);
        let pairs = near_duplicates(features.view(), Metric::Euclidean, within, 10_000).unwrap();
        let mut expected = Vec::new();
        for first in 0..rows {
            for second in first + 1..rows {
                let apart = distance(&features.row(first).to_vec(), &features.row(second).to_vec(), Metric::Euclidean);
                if apart <= within {
                    expected.push((first as u32, second as u32, apart));
                }
            }
        }
        let ours: Vec<_> = pairs.iter().map(|pair| (pair.first, pair.second, pair.distance)).collect();
        prop_assert_eq!(ours, expected);
    }

    /// Ranks of arbitrary rows, not only of the nearest.
    #[test]
    fn ranks_are_places_in_the_sorted_list(rows in 3_usize..70, levels in 1_i32..30, seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let features = Array2::from_shape_simple_fn((rows, 3), || rng.random_range(-levels..=levels) as f32);
        let of = Array2::from_shape_fn((rows, 2), |(row, _)| ((row + rng.random_range(1..rows)) % rows) as u32);
        let ranks = neighbour_ranks(features.view(), of.view(), Metric::Euclidean).unwrap();
        for row in 0..rows {
            let all = sorted(&features.row(row).to_vec(), features.view(), Metric::Euclidean, Some(row));
            for place in 0..2 {
                let expected = all.iter().position(|&(_, number)| number == of[(row, place)]).unwrap() as u32 + 1;
                prop_assert_eq!(ranks[(row, place)], expected);
            }
        }
    }
}

#[test]
fn metric_is_written_in_small_letters() {
    assert_eq!(serde_json::to_string(&Metric::Cosine).unwrap(), "\"cosine\"");
    assert!(serde_json::from_str::<Metric>("\"manhattan\"").is_err());
}
