//! The pre-activation trunk against the network of image-classifiers (TensorFlow), and its Keras weight files.
//!
//! Needs the golden folder: `RADIO_SSL_GOLDEN=… cargo test -- --ignored`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use radio_tensor::TensorError;
use radio_tensor::parameter::to_torch_order;
use radio_tensor::resnet::{Depth, Precision, ResNet, ResNetConfig};
use radio_tensor::weights::{InputChoice, read_encoder, read_state_dict};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

type Values = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn folder() -> PathBuf {
    PathBuf::from(std::env::var("RADIO_SSL_GOLDEN").expect("set RADIO_SSL_GOLDEN"))
}

fn golden() -> (Values, serde_json::Value) {
    let bytes = std::fs::read(folder().join("resnet_preact.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = file.tensors().into_iter().map(|(name, view)| {
        let data = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        (name, (view.shape().to_vec(), data))
    });
    (values.collect(), serde_json::from_slice(&std::fs::read(folder().join("resnet_preact.json")).unwrap()).unwrap())
}

fn off(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
    got.iter().zip(want).fold(0f32, |m, (g, w)| m.max((g - w).abs())) / largest
}

/// Within 1e-4 of the largest entry, the golden set's bar.
fn close(what: &str, got: &[f32], want: &[f32]) {
    let off = off(got, want);
    assert!(off <= 1e-4, "{what}: off by {off} of the largest entry");
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The golden generator's hash: uniform in [0, 1).
fn unit_hash(tensor: u64, element: u64) -> f64 {
    let mut z = (tensor << 32).wrapping_add(element).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f64 / (1u64 << 24) as f64
}

fn images(side: usize) -> Tensor {
    let values: Vec<f32> = (0..2 * 3 * side * side).map(|i| unit_hash(1000, i as u64) as f32).collect();
    Tensor::from_vec(values, (2, 3, side, side), &Device::Cpu).unwrap()
}

/// Keras' name of a tensor of ours.
fn keras_name(ours: &str) -> String {
    let (layer, kind) = ours.rsplit_once('.').unwrap();
    let is_conv = ["conv", "sc"].iter().any(|part| layer.split('_').next_back().unwrap().starts_with(part));
    let kind = match kind {
        "weight" if is_conv => "kernel",
        "weight" => "gamma",
        "bias" => "beta",
        "running_mean" => "moving_mean",
        _ => "moving_variance",
    };
    format!("{layer}/{kind}")
}

/// A trunk with the hash's weights; `tensors` lists names and shapes in the order that the hash counts.
fn hashed_trunk(width: usize, tensors: &serde_json::Value, order: &[String]) -> ResNet {
    let config = ResNetConfig { depth: Depth::PreActResNet18, width };
    let mut trunk = ResNet::new(config, &mut ChaCha8Rng::seed_from_u64(0));
    let hashed = |ours: &str, shape: &[usize]| -> Vec<f32> {
        let name = keras_name(ours);
        let index = order.iter().position(|n| *n == name).unwrap_or_else(|| panic!("{name}")) as u64;
        let want: Vec<usize> = serde_json::from_value(tensors[&name].clone()).unwrap();
        assert_eq!(shape, want, "{name}");
        let count: usize = shape.iter().product();
        (0..count as u64)
            .map(|i| {
                let u = unit_hash(index, i);
                let value = match shape {
                    [out, ..] if shape.len() > 1 => (2.0 * u - 1.0) * (6.0 / (count / out) as f64).sqrt(),
                    _ if name.ends_with("beta") || name.ends_with("moving_mean") => u - 0.5,
                    _ => 0.5 + u,
                };
                value as f32
            })
            .collect()
    };
    for p in trunk.parameters_mut() {
        let torch = hashed(&p.name, &p.shape);
        p.set_from_torch(&torch).unwrap();
    }
    for running in trunk.running_mut() {
        let channels = [running.mean.len()];
        running.mean = hashed(&format!("{}.running_mean", running.name), &channels);
        running.variance = hashed(&format!("{}.running_var", running.name), &channels);
    }
    trunk
}

/// Keys of an object in the order of the file (`serde_json` sorts them).
fn keys_in_order(key: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder().join("resnet_preact.json")).unwrap();
    let object = &text[text.find(&format!("\"{key}\": {{")).unwrap()..];
    let object = &object[object.find('{').unwrap() + 1..object.find('}').unwrap()];
    object.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_pre_activation_resnet18_features_and_pyramid() {
    let (values, json) = golden();
    let order = keys_in_order("full_tensors");
    assert_eq!(order.len(), 96);
    let trunk = hashed_trunk(64, &json["full_tensors"], &order);
    for side in [64, 224] {
        let x = images(side);
        let (shape, want) = &values[&format!("full_{side}.features")];
        assert_eq!(*shape, [2, 512]);
        close(&format!("features at {side}"), &flat(&trunk.embed(&x).unwrap()), want);
        let maps = trunk.pyramid(&x).unwrap();
        for (map, name) in maps.iter().zip(["C2", "C3", "C4", "C5"]) {
            let tap = &json[format!("full_{side}")]["taps"][name];
            let shape: Vec<usize> = serde_json::from_value(tap["shape"].clone()).unwrap();
            assert_eq!(map.dims(), shape, "{name}");
            let all = flat(map);
            let norm = all.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            let want = tap["norm"].as_f64().unwrap();
            assert!((norm - want).abs() < 1e-5 * want, "{name}: norm {norm}, want {want}");
            if side == 64 {
                let (_, want) = &values[&format!("full_64.{name}")];
                close(name, &all[..want.len()], want);
            }
        }
    }
}

/// bf16 maps round to three digits; the features stay within a few hundredths of the largest.
#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_pre_activation_resnet18_in_bf16() {
    let (values, json) = golden();
    let mut trunk = hashed_trunk(64, &json["full_tensors"], &keys_in_order("full_tensors"));
    trunk.set_precision(Precision::Bf16);
    let off = off(&flat(&trunk.embed(&images(224)).unwrap()), &values["full_224.features"].1);
    assert!(off < 0.03, "{off}");
}

/// Both layouts of the weight file: every tensor exactly, and the features they give.
#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_keras_files_tensor_by_tensor() {
    let (values, json) = golden();
    let wanted = hashed_trunk(8, &json["tiny"]["tensors"], &keys_in_order("tensors"));
    for (name, (_, stored)) in values.iter().filter_map(|(n, v)| Some((n.strip_prefix("tiny.weight.")?, v))) {
        if let Some(p) = wanted.parameters().iter().find(|p| keras_name(&p.name) == name) {
            assert_eq!(&p.to_torch(), stored, "the hash itself: {name}");
        }
    }
    for file in ["encoder_tiny.h5", "backbone_tiny.h5"] {
        let imported = read_encoder(&folder().join(file), InputChoice::Recorded).unwrap();
        assert_eq!(imported.trunk.config(), wanted.config().into());
        assert!(imported.left_out.is_empty() && imported.prefix.is_empty(), "{:?}", imported.left_out);
        for (ours, want) in imported.trunk.parameters().iter().zip(wanted.parameters()) {
            assert_eq!(ours, want, "{file}: {}", want.name);
            assert_eq!(to_torch_order(&ours.shape, &ours.values), want.to_torch());
        }
        assert_eq!(imported.trunk.running(), wanted.running());
        close(file, &flat(&imported.trunk.embed(&images(64)).unwrap()), &values["tiny.features"].1);
        for (map, name) in imported.trunk.pyramid(&images(64)).unwrap().iter().zip(["C2", "C3", "C4", "C5"]) {
            close(name, &flat(map), &values[&format!("tiny.{name}")].1);
        }
    }
}

/// Cut off or with flipped bytes: an error or other values, never a panic, and never for long.
#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_keras_files_damaged() {
    let folder = folder();
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("damaged.h5");
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for file in ["encoder_tiny.h5", "backbone_tiny.h5"] {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let mut refused = 0;
        for round in 0..300 {
            let mut damaged = bytes.clone();
            if round % 3 == 0 {
                damaged.truncate(rng.random_range(0..bytes.len()));
            } else {
                for _ in 0..rng.random_range(1..40) {
                    // The structure lies mostly at the front.
                    let end = if rng.random_bool(0.7) { 16_384 } else { bytes.len() };
                    damaged[rng.random_range(0..end)] = rng.random();
                }
            }
            std::fs::write(&path, &damaged).unwrap();
            match read_encoder(&path, InputChoice::Recorded) {
                Ok(_) => {}
                Err(
                    TensorError::CheckpointFormat { .. }
                    | TensorError::CheckpointTensor { .. }
                    | TensorError::EncoderNames { .. },
                ) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(refused > 150, "{file}: {refused} of 300 refused");
    }
    assert!(read_state_dict(&folder.join("resnet.json")).is_err());
}
