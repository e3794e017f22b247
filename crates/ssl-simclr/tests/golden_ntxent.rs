//! NT-Xent against PyTorch: loss and gradient of every stored case, in both precisions.
//!
//! Needs the golden folder: `RADIO_SSL_GOLDEN=… cargo test -- --ignored`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};
use ssl_simclr::nt_xent::nt_xent_with_gradient;

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_ntxent_all_cases() {
    let folder = PathBuf::from(std::env::var("RADIO_SSL_GOLDEN").expect("set RADIO_SSL_GOLDEN"));
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("ntxent.json")).unwrap()).unwrap();
    let bytes = std::fs::read(folder.join("ntxent.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let read = |name: &str| -> Vec<f64> {
        let view = file.tensor(name).unwrap_or_else(|_| panic!("no tensor {name} in {:?}", file.names()));
        assert_eq!(view.dtype(), Dtype::F64, "{name}");
        view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let cases = json["cases"].as_object().unwrap();
    assert_eq!(cases.len(), 18);
    for (name, case) in cases {
        let (input, temperature) = name.split_once(".tau_").unwrap();
        let temperature: f64 = temperature.parse().unwrap();
        let dim = case["dim"].as_u64().unwrap() as usize;
        let z = read(&format!("{input}.z"));
        let (want_loss, want) = (case["loss"].as_f64().unwrap(), read(&format!("{name}.grad")));
        let zero: Vec<usize> =
            json["zero_rows"][input].as_array().into_iter().flatten().map(|r| r.as_u64().unwrap() as usize).collect();
        let kept = |i: &usize| !zero.contains(&(i / dim));
        let largest = (0..want.len()).filter(kept).fold(0f64, |m, i| m.max(want[i].abs()));

        let (loss, gradient) = nt_xent_with_gradient(&z, dim, temperature);
        assert!((loss - want_loss).abs() <= 1e-10 * want_loss.abs().max(1.0), "{name}: loss {loss}, torch {want_loss}");
        assert!(gradient.iter().all(|g| g.is_finite()), "{name}");
        for i in (0..want.len()).filter(kept) {
            assert!(
                (gradient[i] - want[i]).abs() <= 1e-10 * largest.max(1.0),
                "{name}[{i}]: {} vs {}",
                gradient[i],
                want[i]
            );
        }
        // Where the true gradient vanishes (all rows equal), rounding is measured against 0.01 instead.
        let narrow: Vec<f32> = z.iter().map(|&v| v as f32).collect();
        let (loss, gradient) = nt_xent_with_gradient(&narrow, dim, temperature);
        assert!(
            (loss - want_loss).abs() <= 1e-5 * want_loss.abs().max(1.0),
            "{name}: f32 loss {loss}, torch {want_loss}"
        );
        for i in (0..want.len()).filter(kept) {
            assert!(
                (f64::from(gradient[i]) - want[i]).abs() <= 1e-5 * largest.max(1e-2),
                "{name}[{i}] in f32: {} vs {}",
                gradient[i],
                want[i]
            );
        }
    }
}
