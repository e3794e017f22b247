//! Forests of oblique cuts against what they are for, and against identities.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

use anomaly_iforest::{
    Contamination, ForestConfig, ForestError, HyperplaneConfig, HyperplaneForest, IsolationForest, MaxFeatures,
    MaxSamples,
};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn config(columns: usize) -> HyperplaneConfig {
    HyperplaneConfig { n_trees: 200, max_samples: MaxSamples::Auto, columns, seed: 3 }
}

fn axes() -> ForestConfig {
    ForestConfig {
        n_trees: 200,
        max_samples: MaxSamples::Auto,
        max_features: MaxFeatures::All,
        contamination: Contamination::Auto,
        bootstrap: false,
        seed: 3,
    }
}

/// Two round crowds at (0, 10) and (10, 0).
fn crowds() -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut near = |middle: f32| middle + (0..6).map(|_| rng.random_range(-0.5..0.5f32)).sum::<f32>();
    Array2::from_shape_fn((600, 2), |(row, column)| near(if (row % 2 == 0) == (column == 0) { 0.0 } else { 10.0 }))
}

#[test]
fn where_nothing_is_scores_are_high_without_the_ghosts_of_the_axes() {
    let crowds = crowds();
    let ghosts = ndarray::arr2(&[[0.0_f32, 0.0], [10.0, 10.0]]);
    let above = |scores: Vec<f64>, ghosts: Vec<f64>| ghosts[0].min(ghosts[1]) - scores.iter().sum::<f64>() / 600.0;
    let straight = IsolationForest::fit(crowds.view(), &axes()).unwrap();
    let straight = above(straight.scores(crowds.view()).unwrap(), straight.scores(ghosts.view()).unwrap());
    let oblique = HyperplaneForest::fit(crowds.view(), &config(2)).unwrap();
    let oblique = above(oblique.scores(crowds.view()).unwrap(), oblique.scores(ghosts.view()).unwrap());
    assert!(
        oblique > straight + 0.05,
        "ghosts are {oblique} above the crowd with oblique cuts, {straight} with straight ones"
    );
}

#[test]
fn cuts_of_one_column_are_the_forest_of_liu() {
    let crowds = crowds();
    let mean = |scores: Vec<f64>| scores.iter().sum::<f64>() / 600.0;
    let one = HyperplaneForest::fit(crowds.view(), &config(1)).unwrap();
    let straight = IsolationForest::fit(crowds.view(), &axes()).unwrap();
    let (one, straight) = (one.scores(crowds.view()).unwrap(), straight.scores(crowds.view()).unwrap());
    // Two forests of 200 trees differ by about this from seed to seed.
    assert!(one.iter().zip(&straight).all(|(a, b)| (a - b).abs() < 0.05));
    assert!((mean(one) - mean(straight)).abs() < 0.006);
}

#[test]
fn units_threads_and_columns_without_spread_do_not_matter() {
    let crowds = crowds();
    let scores = HyperplaneForest::fit(crowds.view(), &config(2)).unwrap().scores(crowds.view()).unwrap();
    // By powers of two, so that nothing is rounded.
    let scaled = Array2::from_shape_fn((600, 2), |at| crowds[at] * [1024.0, 1.0 / 64.0][at.1]);
    assert_eq!(HyperplaneForest::fit(scaled.view(), &config(2)).unwrap().scores(scaled.view()).unwrap(), scores);
    let padded = Array2::from_shape_fn((600, 3), |(row, column)| if column < 2 { crowds[(row, column)] } else { 7.0 });
    assert_eq!(HyperplaneForest::fit(padded.view(), &config(2)).unwrap().scores(padded.view()).unwrap(), scores);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let again =
            pool.install(|| HyperplaneForest::fit(crowds.view(), &config(2)).unwrap().scores(crowds.view()).unwrap());
        assert_eq!(again, scores, "{threads} threads");
    }
    let same = Array2::<f32>::from_elem((50, 4), 2.5);
    let forest = HyperplaneForest::fit(same.view(), &config(3)).unwrap();
    assert_eq!((forest.n_trees(), forest.samples_per_tree()), (200, 50));
    assert!(forest.scores(same.view()).unwrap().iter().all(|&score| score == 0.5));
}

#[test]
fn what_cannot_be_grown_is_a_typed_error() {
    let crowds = crowds();
    let fit =
        |features: &Array2<f32>, config: HyperplaneConfig| HyperplaneForest::fit(features.view(), &config).unwrap_err();
    assert!(matches!(fit(&crowds, config(3)), ForestError::BadSetting { name: "columns", .. }));
    assert!(matches!(fit(&crowds, config(0)), ForestError::BadSetting { name: "columns", .. }));
    let none = HyperplaneConfig { n_trees: 0, ..config(1) };
    assert!(matches!(fit(&crowds, none), ForestError::BadSetting { name: "n_trees", .. }));
    assert!(matches!(fit(&Array2::zeros((1, 2)), config(1)), ForestError::TooFewRows { .. }));
    let mut broken = crowds.clone();
    broken[(17, 1)] = f32::NAN;
    assert!(matches!(fit(&broken, config(1)), ForestError::NotFinite { row: 17, column: 1, .. }));
    let forest = HyperplaneForest::fit(crowds.view(), &config(2)).unwrap();
    assert!(matches!(forest.scores(broken.view()), Err(ForestError::NotFinite { row: 17, .. })));
    assert!(matches!(forest.scores(Array2::zeros((3, 5)).view()), Err(ForestError::WrongWidth { .. })));
}
