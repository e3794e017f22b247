//! Principal components against scikit-learn 1.9.1, and on paper.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop at the first surprise

use map_umap::{Components, MapError, Pca, PcaConfig, Scaling, trustworthiness};
use ndarray::{Array2, arr2, concatenate, s};
use neighbours::Metric;
use proptest::prelude::*;

fn table() -> Array2<f32> {
    Array2::from_shape_fn((12, 5), |(i, j)| ((7 * i * i + 3 * i * j + 5 * j) % 23) as f32 * (1 + j) as f32 / 4.0)
}

fn config(components: Components, scaling: Scaling) -> PcaConfig {
    PcaConfig { components, scaling }
}

fn assert_close<'a>(ours: impl IntoIterator<Item = &'a f64>, expected: &[f64], tolerance: f64) {
    let ours: Vec<f64> = ours.into_iter().copied().collect();
    assert_eq!(ours.len(), expected.len());
    for (a, b) in ours.iter().zip(expected) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{ours:?}, scikit-learn {expected:?}");
    }
}

#[test]
fn as_scikit_learn() {
    let pca = Pca::fit(table().view(), &config(Components::Count(3), Scaling::None)).unwrap();
    assert_close(&pca.variances, &[76.77044397419296, 57.833880830771406, 23.91959980011992], 1e-12);
    assert_close(&pca.variance_fractions(), &[0.448435908446855, 0.337822572682689, 0.139720534502285], 1e-12);
    let components = [
        [0.007174445129568, 0.148617978284582, 0.133207560936576, 0.089522752418003, 0.975757473133831],
        [0.039894239078917, -0.117346910939476, 0.422331148270435, 0.889642765830148, -0.121697586615084],
        [0.107842408766744, 0.214999428803809, 0.87359954192335, -0.406986286634931, -0.115461090103304],
    ];
    assert_close(&pca.components, components.as_flattened(), 1e-12);
    let places = pca.transform(table().slice(s![..2, ..])).unwrap().mapv(f64::from);
    let expected = [
        10.65718254392366,
        3.12291285258253,
        -3.081093486671622,
        4.90832437470382,
        -6.180501823490628,
        -4.943159234774867,
    ];
    assert_close(&places, &expected, 1e-6);
}

#[test]
fn as_many_as_hold_the_variance() {
    let pca = Pca::fit(table().view(), &config(Components::Variance(0.9), Scaling::MinMax)).unwrap();
    assert_close(&pca.variances, &[0.164144898649317, 0.160292884714686, 0.097332121873774, 0.077785880238405], 1e-6);
    let first = [0.431432954255735, 0.062354231792031, 0.702882421302193, 0.494732212769085, 0.266784360922386];
    assert_close(pca.components.row(0), &first, 1e-5);
    let sums = [0.298085915379072, 0.589176602096116, 0.765931011665164, 0.907189591768643];
    for (kept, sum) in (1..).zip(sums) {
        let some = Pca::fit(table().view(), &config(Components::Variance(sum - 1e-4), Scaling::MinMax)).unwrap();
        assert_eq!(some.variances.len(), kept);
        let more = Pca::fit(table().view(), &config(Components::Variance(sum + 1e-4), Scaling::MinMax)).unwrap();
        assert_eq!(more.variances.len(), kept + 1);
    }
}

#[test]
fn more_columns_than_rows() {
    let x = table().slice(s![..4, ..]).to_owned();
    let turned = x.slice(s![.., ..;-1]).to_owned();
    let wide = concatenate![ndarray::Axis(1), x, &x * &x, &turned - &x * 2.0];
    let pca = Pca::fit(wide.view(), &config(Components::Count(3), Scaling::None)).unwrap();
    assert_close(&pca.variances, &[93787.96621825534, 13854.446362702569, 5816.157080500373], 1e-12);
    let expected = [
        [-0.004246092229574, -0.003352853441089, -0.009079791542262, -0.0018277266869],
        [0.007450886209567, -0.019555552781141, 0.055427135954545, 0.004988197538844],
        [-0.011143381321441, -0.011831163875872, 0.015814960742532, 0.041997811857401],
    ];
    assert_close(pca.components.slice(s![.., ..4]), expected.as_flattened(), 1e-12);
}

#[test]
fn rows_on_a_line_have_one_component() {
    // A wide and a tall table of rank one: variance along one direction only, the rest arbitrary but orthonormal.
    for (rows, columns) in [(6, 40), (40, 6)] {
        let features =
            Array2::from_shape_fn((rows, columns), |(i, j)| (i as f32) * if j % 2 == 0 { 1.0 } else { -2.0 });
        let pca = Pca::fit(features.view(), &config(Components::Count(4), Scaling::None)).unwrap();
        assert!((pca.variance_fractions()[0] - 1.0).abs() < 1e-12);
        let products = pca.components.dot(&pca.components.t());
        for ((i, j), &v) in products.indexed_iter() {
            assert!((v - f64::from(u8::from(i == j))).abs() < 1e-9, "{i} {j}: {v}");
        }
        assert_eq!(
            Pca::fit(features.view(), &config(Components::Variance(0.9), Scaling::None)).unwrap().variances.len(),
            1
        );
    }
}

#[test]
fn bad_input() {
    let fit = |features: Array2<f32>, components| Pca::fit(features.view(), &config(components, Scaling::MinMax));
    for components in [
        Components::Count(0),
        Components::Count(6),
        Components::Variance(0.0),
        Components::Variance(1.0),
        Components::Variance(f64::NAN),
    ] {
        assert!(matches!(fit(table(), components), Err(MapError::BadSetting { name: "components", .. })));
    }
    assert!(matches!(
        fit(Array2::zeros((1, 3)), Components::Count(1)),
        Err(MapError::TooFewRows { expected: 2, found: 1 })
    ));
    assert!(matches!(fit(Array2::ones((7, 3)), Components::Count(1)), Err(MapError::Constant { rows: 7 })));
    assert!(matches!(fit(Array2::ones((7, 0)), Components::Count(1)), Err(MapError::NoColumns)));
    let mut bad = table();
    bad[(3, 1)] = f32::NAN;
    assert!(matches!(fit(bad.clone(), Components::Count(1)), Err(MapError::NotFinite { row: 3, column: 1, .. })));
    let pca = fit(table(), Components::Count(2)).unwrap();
    assert!(matches!(pca.transform(bad.view()), Err(MapError::NotFinite { .. })));
    assert!(matches!(pca.transform(bad.slice(s![.., ..4])), Err(MapError::WrongWidth { expected: 5, found: 4 })));
}

#[test]
fn saved_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pca.safetensors");
    let pca = Pca::fit(table().view(), &config(Components::Variance(0.7), Scaling::Robust)).unwrap();
    pca.save(&path).unwrap();
    assert_eq!(Pca::load(&path).unwrap(), pca);
    let first = std::fs::read(&path).unwrap();
    pca.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first, "equal components, equal bytes");
}

#[test]
fn config_refuses_what_it_does_not_know() {
    let good: PcaConfig = toml::from_str("components = { variance = 0.9 }\nscaling = \"min_max\"").unwrap();
    assert_eq!(good, config(Components::Variance(0.9), Scaling::MinMax));
    assert!(toml::from_str::<PcaConfig>("components = { count = 2 }\nscaling = \"none\"\nwhiten = true").is_err());
}

/// scikit-learn 1.9.1, `sklearn.manifold.trustworthiness`.
#[test]
fn trustworthiness_as_scikit_learn() {
    let map = Array2::from_shape_fn((12, 2), |(i, axis)| {
        if axis == 0 { ((5 * i * i) % 17) as f32 } else { ((3 * i) % 7) as f32 + i as f32 / 10.0 }
    });
    let cases = [
        (table(), Metric::Euclidean, [0.5166666666666666, 0.5158730158730159, 0.42500000000000004]),
        (table() + 1.0, Metric::Cosine, [0.5333333333333333, 0.41666666666666674, 0.44166666666666665]),
    ];
    for (features, metric, expected) in cases {
        for (k, expected) in [1, 3, 5].into_iter().zip(expected) {
            let ours = trustworthiness(features.view(), map.view(), k, metric).unwrap();
            assert!((ours - expected).abs() < 1e-12, "{metric:?}, k = {k}: {ours}, scikit-learn {expected}");
        }
        assert_eq!(trustworthiness(features.view(), features.view(), 3, Metric::Euclidean).unwrap(), 1.0);
        for k in [0, 6] {
            let error = trustworthiness(features.view(), map.view(), k, metric).unwrap_err();
            assert!(matches!(error, MapError::BadSetting { name: "k", .. }), "{error}");
        }
    }
    let short = arr2(&[[0.0_f32]]);
    assert!(matches!(
        trustworthiness(table().view(), short.view(), 3, Metric::Euclidean),
        Err(MapError::WrongLength { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// All components together keep every distance.
    #[test]
    fn a_turn_keeps_distances(rows in 3_usize..20, columns in 1_usize..20, seed in any::<u32>()) {
        let features = Array2::from_shape_fn((rows, columns), |(i, j)| {
            ((i * 31 + j * 17 + seed as usize % 1000) * 7919 % 101) as f32 / 10.0
        });
        let all = (rows - 1).min(columns);
        let Ok(pca) = Pca::fit(features.view(), &config(Components::Count(all), Scaling::None)) else { return Ok(()) };
        let places = pca.transform(features.view()).unwrap();
        for i in 0..rows {
            let apart = |table: &Array2<f32>| (&table.row(i) - &table.row(0)).mapv(|v| v * v).sum();
            prop_assert!((apart(&features) - apart(&places)).abs() <= 1e-3 * (1.0 + apart(&features)));
        }
    }
}
