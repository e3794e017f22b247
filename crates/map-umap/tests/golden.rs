//! Comparison with umap-learn and scikit-learn, frozen in `ranking_and_umap.*` of the golden folder.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop at the first surprise

use map_umap::{Components, Pca, PcaConfig, Scaling, Start, Umap, UmapConfig, trustworthiness};
use ndarray::Array2;
use neighbours::Metric;
use safetensors::SafeTensors;
use serde_json::Value;

struct Golden {
    features: Array2<f32>,
    embedding: Array2<f32>,
    notes: Value,
}

impl Golden {
    fn read() -> Self {
        let folder = std::env::var("RADIO_SSL_GOLDEN").expect("set RADIO_SSL_GOLDEN to the folder of golden values");
        let read = |name: &str| std::fs::read(std::path::Path::new(&folder).join(name)).unwrap();
        let bytes = read("ranking_and_umap.safetensors");
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let table = |name: &str, columns: usize| {
            let data = tensors.tensor(name).unwrap().data().to_vec();
            let values: Vec<f32> = data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            Array2::from_shape_vec((values.len() / columns, columns), values).unwrap()
        };
        let notes: Value = serde_json::from_slice(&read("ranking_and_umap.json")).unwrap();
        Self {
            features: table("umap.x", 15),
            embedding: table("umap.embedding_seed_0", 2),
            notes: notes["umap"].clone(),
        }
    }

    fn trust(&self, map: &Array2<f32>, k: usize) -> f64 {
        trustworthiness(self.features.view(), map.view(), k, Metric::Euclidean).unwrap()
    }
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_trustworthiness_is_that_of_scikit_learn() {
    let golden = Golden::read();
    assert_eq!(golden.features.dim(), (1000, 15));
    let pca = PcaConfig { components: Components::Count(2), scaling: Scaling::None };
    let plane = Pca::fit(golden.features.view(), &pca).unwrap().transform(golden.features.view()).unwrap();
    for k in [5, 15, 30] {
        let stored = |case: &Value| case[k.to_string()].as_f64().unwrap();
        let theirs = stored(&golden.notes["trustworthiness_by_seed"][0]);
        // Their map is stored in f32, as it was measured.
        assert!((golden.trust(&golden.embedding, k) - theirs).abs() < 1e-9, "k = {k}");
        // Coordinates of principal components are f32 here and there, from sums of another order: a rank may change.
        let ours = golden.trust(&plane, k);
        assert!((ours - stored(&golden.notes["pca_2d"])).abs() < 1e-5, "k = {k}: {ours}");
    }
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_maps_are_as_trustworthy_as_umap_learns() {
    let golden = Golden::read();
    for start in [Start::Spectral, Start::Random] {
        for seed in 0..5 {
            let config = UmapConfig { start, ..UmapConfig::published(seed) };
            let map = Umap::fit(golden.features.view(), &config).unwrap();
            for k in [5, 15, 30] {
                let worst = golden.notes["worst"][k.to_string()].as_f64().unwrap();
                let ours = golden.trust(&map.embedding, k);
                println!("start {:?}, seed {seed}, k = {k}: {ours:.5}, umap-learn's worst {worst:.5}", map.start);
                assert!(
                    ours >= worst - 0.01,
                    "start {:?}, seed {seed}, k = {k}: {ours}, bar {worst} less 0.01",
                    map.start
                );
            }
        }
    }
}
