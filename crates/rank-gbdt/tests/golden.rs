//! Comparison with LightGBM, frozen in `ranking_and_umap.*` of the golden folder.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop at the first surprise

use ndarray::Array2;
use rank_gbdt::RankConfig;
use rank_gbdt::boost::{BoostNode, Booster, boost};
use safetensors::SafeTensors;

struct Golden {
    bytes: Vec<u8>,
    notes: serde_json::Value,
}

impl Golden {
    fn read() -> Self {
        let folder = std::env::var("RADIO_SSL_GOLDEN").expect("set RADIO_SSL_GOLDEN to the folder of golden values");
        let path = |name: &str| std::path::Path::new(&folder).join(name);
        let notes: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path("ranking_and_umap.json")).unwrap()).unwrap();
        Self { bytes: std::fs::read(path("ranking_and_umap.safetensors")).unwrap(), notes: notes["lightgbm"].clone() }
    }

    fn bytes_of(&self, name: &str) -> Vec<u8> {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(name).unwrap().data().to_vec()
    }

    fn f64s(&self, name: &str) -> Vec<f64> {
        self.bytes_of(name).chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    fn features(&self) -> Array2<f32> {
        let values = self
            .bytes_of("lightgbm.x")
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        Array2::from_shape_vec((1500, 40), values).unwrap()
    }

    fn boost(&self, rounds: usize) -> Booster {
        let interesting: Vec<bool> = self.bytes_of("lightgbm.y").iter().map(|&label| label == 1).collect();
        let config = RankConfig { max_rounds: rounds, ..RankConfig::paper() };
        boost(self.features().view(), &interesting, None, &config).unwrap()
    }
}

fn order(importance: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..importance.len()).collect();
    order.sort_by(|&a, &b| importance[b].total_cmp(&importance[a]));
    order
}

/// Walk both trees together.
fn compare(ours: &Booster, at: usize, theirs: &serde_json::Value) -> usize {
    match ours.trees[0].nodes[at] {
        BoostNode::Split { feature, threshold, gain, left, right } => {
            assert_eq!(feature as u64, theirs["split_feature"].as_u64().unwrap());
            let expected = theirs["threshold"].as_f64().unwrap();
            assert!(
                (threshold - expected).abs() <= 1e-12 * expected.abs(),
                "threshold {threshold}, LightGBM {expected}"
            );
            let expected = theirs["split_gain"].as_f64().unwrap();
            assert!((gain - expected).abs() <= 1e-5 * expected, "gain {gain}, LightGBM {expected}");
            1 + compare(ours, left, &theirs["left_child"]) + compare(ours, right, &theirs["right_child"])
        }
        BoostNode::Leaf { value, rows } => {
            assert_eq!(rows as u64, theirs["leaf_count"].as_u64().unwrap());
            // LightGBM adds the prediction before any tree to the first one.
            let expected = theirs["leaf_value"].as_f64().unwrap();
            assert!((ours.base + value - expected).abs() <= 1e-6, "leaf {}, LightGBM {expected}", ours.base + value);
            1
        }
    }
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_first_tree() {
    let golden = Golden::read();
    assert_eq!(compare(&golden.boost(1), 0, &golden.notes["first_tree"]), 7);
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_importance_and_probability() {
    let golden = Golden::read();
    for rounds in [10, 100] {
        let ours = golden.boost(rounds);
        assert_eq!(ours.trees.len(), rounds);
        let probabilities = ours.probabilities(golden.features().view()).unwrap();
        let theirs = golden.f64s(&format!("lightgbm.rounds_{rounds}.probability"));
        let worst = probabilities.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let gain = ours.gain_importance();
        let expected = golden.f64s(&format!("lightgbm.rounds_{rounds}.gain"));
        let shift =
            gain.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / expected.iter().sum::<f64>();
        assert!(worst < 1e-7, "{rounds} rounds: a probability differs by {worst:e}");
        // LightGBM keeps gains and gradients in f32.
        assert!(shift < 2e-6, "{rounds} rounds: a gain differs by {shift:e} of their sum");
        let splits: Vec<f64> = ours.split_importance().into_iter().map(f64::from).collect();
        let bytes = golden.bytes_of(&format!("lightgbm.rounds_{rounds}.split"));
        let expected: Vec<f64> =
            bytes.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap()) as f64).collect();
        assert_eq!(splits, expected, "{rounds} rounds");
    }
    let mut first: Vec<usize> = order(&golden.boost(100).gain_importance())[..6].to_vec();
    let mut signal: Vec<usize> =
        golden.notes["signal_features"].as_array().unwrap().iter().map(|f| f.as_u64().unwrap() as usize).collect();
    first.sort_unstable();
    signal.sort_unstable();
    assert_eq!(first, signal);
}
