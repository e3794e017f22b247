//! Comparison with scikit-learn's forest, frozen in `iforest.*` of the golden folder.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop at the first surprise

use anomaly_iforest::{
    Contamination, ForestConfig, IsolationForest, MaxFeatures, MaxSamples, TreeArrays, average_path_length,
};
use ndarray::Array2;
use safetensors::SafeTensors;
use serde_json::Value;

struct Golden {
    bytes: Vec<u8>,
    notes: Value,
}

impl Golden {
    fn read() -> Self {
        let folder = std::env::var("RADIO_SSL_GOLDEN").expect("set RADIO_SSL_GOLDEN to the folder of golden values");
        let read = |name: &str| std::fs::read(std::path::Path::new(&folder).join(name)).unwrap();
        Self { bytes: read("iforest.safetensors"), notes: serde_json::from_slice(&read("iforest.json")).unwrap() }
    }

    fn tensor<const N: usize, T>(&self, name: &str, from: fn([u8; N]) -> T) -> Vec<T> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        tensors.tensor(name).unwrap().data().chunks_exact(N).map(|bytes| from(bytes.try_into().unwrap())).collect()
    }

    fn features(&self, columns: usize) -> Array2<f32> {
        let values = self.tensor(&format!("features_{columns}.x"), f32::from_le_bytes);
        Array2::from_shape_vec((values.len() / columns, columns), values).unwrap()
    }

    fn number(&self, case: &str, field: &str) -> f64 {
        self.notes[case][field].as_f64().unwrap()
    }
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_average_path_length() {
    let golden = Golden::read();
    let list = |name: &str| golden.notes["average_path_length"][name].as_array().unwrap().clone();
    assert_eq!(list("n").len(), 15);
    for (n, c) in list("n").iter().zip(list("c")) {
        let ours = average_path_length(n.as_u64().unwrap() as usize);
        assert!((ours - c.as_f64().unwrap()).abs() < 1e-12, "c({n})");
    }
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_exported_forest() {
    let golden = Golden::read();
    let ints = |name: &str| golden.tensor(&format!("forest.{name}"), i32::from_le_bytes);
    let offsets = golden.tensor("forest.offsets", i64::from_le_bytes);
    let (feature, left, right, samples) = (ints("feature"), ints("left"), ints("right"), ints("n_node_samples"));
    let threshold = golden.tensor("forest.threshold", f64::from_le_bytes);
    let trees: Vec<TreeArrays> = offsets
        .windows(2)
        .map(|pair| {
            let nodes = pair[0] as usize..pair[1] as usize;
            TreeArrays {
                feature: feature[nodes.clone()].to_vec(),
                threshold: threshold[nodes.clone()].to_vec(),
                left: left[nodes.clone()].to_vec(),
                right: right[nodes.clone()].to_vec(),
                n_node_samples: samples[nodes].iter().map(|&rows| rows as u32).collect(),
            }
        })
        .collect();
    assert_eq!(trees.len(), 50);
    let forest = IsolationForest::from_trees(&trees, 5, 256, golden.number("forest", "offset")).unwrap();
    let scores = forest.scores(golden.features(5).view()).unwrap();
    let expected = golden.tensor("forest.score", f64::from_le_bytes);
    assert_eq!((scores.len(), expected.len()), (2000, 2000));
    let worst = scores.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst <= 1e-12, "scores differ by up to {worst:e}");
    let is_outlier = golden.tensor("forest.is_outlier_at_contamination_0.01", u8::from_le_bytes);
    assert_eq!(forest.outliers(&scores), is_outlier.iter().map(|&flag| flag == 1).collect::<Vec<_>>());
    let cut = Contamination::Fraction(0.01).cut(&scores).unwrap();
    assert!((-cut - forest.offset()).abs() < 1e-12, "offset {}, scikit-learn {}", -cut, forest.offset());
}

/// Ranks from 0; ties (there are hardly any) in row order.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for (rank, row) in order.into_iter().enumerate() {
        ranks[row] = rank as f64;
    }
    ranks
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let product =
        |x: &[f64], mx: f64, y: &[f64], my: f64| x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>();
    product(a, mean_a, b, mean_b) / (product(a, mean_a, a, mean_a) * product(b, mean_b, b, mean_b)).sqrt()
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_distribution_of_own_forests() {
    let golden = Golden::read();
    for columns in [2, 5, 10] {
        let features = golden.features(columns);
        let truth: Vec<bool> = golden
            .tensor(&format!("features_{columns}.label"), u8::from_le_bytes)
            .iter()
            .map(|&label| label == 1)
            .collect();
        for (name, max_samples) in
            [("auto", MaxSamples::Auto), ("0.02", MaxSamples::Fraction(0.02)), ("1.0", MaxSamples::Fraction(1.0))]
        {
            let case = format!("features_{columns}.max_samples_{name}");
            let stored = golden.tensor(&format!("{case}.mean_score"), f64::from_le_bytes);
            let mut auc = 0.0;
            for seed in 0..20 {
                let config = ForestConfig {
                    n_trees: 200,
                    max_samples,
                    max_features: MaxFeatures::All,
                    contamination: Contamination::Auto,
                    bootstrap: false,
                    seed,
                };
                let scores = IsolationForest::fit(features.view(), &config).unwrap().scores(features.view()).unwrap();
                auc += metrics::curves::roc_auc(&truth, &scores).unwrap() / 20.0;
                let mean = scores.iter().sum::<f64>() / scores.len() as f64;
                let off = (mean - golden.number(&case, "mean_score")).abs() / golden.number(&case, "mean_score_std");
                assert!(off < 4.0, "{case}, seed {seed}: mean score {mean}, {off} standard deviations off");
                let together = correlation(&ranks(&scores), &ranks(&stored));
                assert!(
                    together >= golden.number(&case, "rank_correlation_min"),
                    "{case}, seed {seed}: rank correlation {together}"
                );
            }
            // Both means are over 20 seeds; the stated tolerance is four standard errors.
            let standard_error = golden.number(&case, "auc_std") / 20_f64.sqrt();
            let off = (auc - golden.number(&case, "auc_mean")) / standard_error;
            println!("{case}: AUC {auc:.5}, {off:+.2} standard errors");
            assert!(off.abs() < 4.0, "{case}: AUC {auc}, {off} standard errors off");
        }
    }
}
