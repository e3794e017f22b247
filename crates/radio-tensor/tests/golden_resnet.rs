//! The trunk against torchvision's ResNet-18, with values frozen by the golden generator.
//!
//! Needs the golden folder: `RADIO_SSL_GOLDEN=… cargo test -- --ignored`.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::{Device, Tensor};
use radio_tensor::checkpoint::{Checkpoint, Loaded};
use radio_tensor::resnet::{Depth, ResNet, ResNetConfig};
use radio_tensor::trunk::Trunk;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

type Values = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn golden() -> (Values, serde_json::Value) {
    let folder = PathBuf::from(std::env::var("RADIO_SSL_GOLDEN").expect("set RADIO_SSL_GOLDEN"));
    let bytes = std::fs::read(folder.join("resnet.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut values = Values::new();
    for (name, view) in file.tensors() {
        if view.dtype() == safetensors::Dtype::F32 {
            let data = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            values.insert(name, (view.shape().to_vec(), data));
        }
    }
    (values, serde_json::from_slice(&std::fs::read(folder.join("resnet.json")).unwrap()).unwrap())
}

/// Within 1e-4 of the largest entry, the golden set's bar.
fn close(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = got.iter().zip(want).fold(0f32, |m, (g, w)| m.max((g - w).abs()));
    assert!(worst <= 1e-4 * largest && largest > 0.0, "{what}: off by {worst}, largest entry {largest}");
}

fn tensor((shape, values): &(Vec<usize>, Vec<f32>)) -> Tensor {
    Tensor::from_slice(values, shape.as_slice(), &Device::Cpu).unwrap()
}

/// The dense layer of the golden network, and the loss mean(out²): output, d features, d weight, d bias, loss.
fn dense(features: &Tensor, weight: &Tensor, bias: &Tensor) -> (Tensor, Tensor, Tensor, Tensor, f32) {
    let out = features.matmul(&weight.t().unwrap()).unwrap().broadcast_add(bias).unwrap();
    let loss = out.sqr().unwrap().mean_all().unwrap().to_scalar().unwrap();
    let d_out = (&out * (2.0 / out.elem_count() as f64)).unwrap();
    let d_features = d_out.matmul(weight).unwrap();
    let d_weight = d_out.t().unwrap().matmul(features).unwrap();
    let d_bias = d_out.sum(0).unwrap();
    (out, d_features, d_weight, d_bias, loss)
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn trunk(width: usize) -> ResNet {
    ResNet::new(ResNetConfig { depth: Depth::ResNet18, width }, &mut ChaCha8Rng::seed_from_u64(0))
}

fn norm_of(trunk: &ResNet, gradients: &[Vec<f32>], name: &str) -> f64 {
    let place = trunk.parameters().iter().position(|p| p.name == name).unwrap_or_else(|| panic!("no parameter {name}"));
    gradients[place].iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt()
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_slim_resnet_in_both_modes_with_all_gradients() {
    let (values, json) = golden();
    let mut file = Checkpoint::default();
    for (name, value) in &values {
        if let Some(name) = name.strip_prefix("slim.weight.") {
            file.tensors.insert(name.into(), value.clone());
        }
    }
    let file = Loaded { path: "resnet.safetensors".into(), checkpoint: file };
    let mut loaded = Trunk::from(trunk(16));
    file.load_trunk(&mut loaded).unwrap();
    let Trunk::ResNet(mut trunk) = loaded else { panic!("another network") };
    let (weight, bias) = (tensor(&values["slim.weight.fc.weight"]), tensor(&values["slim.weight.fc.bias"]));
    let images = tensor(&values["slim.input"]);

    let evaluated = trunk.embed(&images).unwrap();
    close("eval output", &flat(&dense(&evaluated, &weight, &bias).0), &values["slim.eval_output"].1);

    let features = trunk.forward(&images).unwrap();
    let (out, d_features, d_weight, d_bias, loss) = dense(&features, &weight, &bias);
    close("train output", &flat(&out), &values["slim.train_output"].1);
    assert!((f64::from(loss) - json["slim"]["train_loss"].as_f64().unwrap()).abs() < 1e-5);
    for running in trunk.running() {
        close(&running.name, &running.mean, &values[&format!("slim.after_train.{}.running_mean", running.name)].1);
        close(&running.name, &running.variance, &values[&format!("slim.after_train.{}.running_var", running.name)].1);
    }
    let (gradients, d_images) = trunk.backward_to_images(&d_features).unwrap();
    close("image gradient", &flat(&d_images), &values["slim.input_grad"].1);
    close("fc.weight", &flat(&d_weight), &values["slim.grad.fc.weight"].1);
    close("fc.bias", &flat(&d_bias), &values["slim.grad.fc.bias"].1);
    let mut whole = 0;
    for (parameter, gradient) in trunk.parameters().iter().zip(&gradients) {
        if let Some((_, want)) = values.get(&format!("slim.grad.{}", parameter.name)) {
            close(&parameter.name, &radio_tensor::parameter::to_torch_order(&parameter.shape, gradient), want);
            whole += 1;
        }
        let want = json["slim"]["grad_norms"][&parameter.name].as_f64().unwrap();
        let got = norm_of(&trunk, &gradients, &parameter.name);
        assert!((got - want).abs() <= 1e-4 * want, "{}: gradient norm {got}, torch {want}", parameter.name);
    }
    assert_eq!(whole, 5, "stored gradients of the trunk");
}

/// The golden generator's hash: uniform in [0, 1).
fn unit_hash(tensor: u64, element: u64) -> f64 {
    let mut z = (tensor << 32).wrapping_add(element).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f64 / (1u64 << 24) as f64
}

fn hashed(name: &str, index: u64, shape: &[usize]) -> Vec<f32> {
    let count: usize = shape.iter().product();
    (0..count as u64)
        .map(|i| {
            let u = unit_hash(index, i);
            let value = if shape.len() > 1 {
                (2.0 * u - 1.0) * (6.0 / (count / shape[0]) as f64).sqrt()
            } else if name.ends_with("bias") || name.ends_with("running_mean") {
                u - 0.5
            } else {
                0.5 + u
            };
            value as f32
        })
        .collect()
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_full_resnet18_at_224_pixels() {
    let (values, json) = golden();
    let mut trunk = trunk(64);
    let names: Vec<String> =
        json["full"]["floating_tensors"].as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned()).collect();
    let index = |name: &str| names.iter().position(|n| n == name).unwrap_or_else(|| panic!("{name}")) as u64;
    for p in trunk.parameters_mut() {
        let torch = hashed(&p.name, index(&p.name), &p.shape);
        p.set_from_torch(&torch).unwrap();
    }
    for running in trunk.running_mut() {
        for (kind, target) in [("running_mean", &mut running.mean), ("running_var", &mut running.variance)] {
            let name = format!("{}.{kind}", running.name);
            *target = hashed(&name, index(&name), &[target.len()]);
        }
    }
    let fc =
        |name: &str, shape: &[usize]| Tensor::from_vec(hashed(name, index(name), shape), shape, &Device::Cpu).unwrap();
    let (weight, bias) = (fc("fc.weight", &[1000, 512]), fc("fc.bias", &[1000]));
    let input: Vec<f32> = (0..2 * 3 * 224 * 224).map(|i| unit_hash(1000, i) as f32).collect();
    let images = Tensor::from_vec(input, (2, 3, 224, 224), &Device::Cpu).unwrap();

    close(
        "eval output",
        &flat(&dense(&trunk.embed(&images).unwrap(), &weight, &bias).0),
        &values["full.eval_output"].1,
    );
    let features = trunk.forward(&images).unwrap();
    let (out, d_features, _, _, loss) = dense(&features, &weight, &bias);
    close("train output", &flat(&out), &values["full.train_output"].1);
    assert!((f64::from(loss) - json["full"]["train_loss"].as_f64().unwrap()).abs() < 2e-5);
    let gradients = trunk.backward(&d_features).unwrap();
    let norms = json["full"]["grad_norms"].as_object().unwrap();
    let largest = norms.values().fold(0.0, |m: f64, n| m.max(n.as_f64().unwrap()));
    for parameter in trunk.parameters() {
        let want = json["full"]["grad_norms"][&parameter.name].as_f64().unwrap();
        let got = norm_of(&trunk, &gradients, &parameter.name);
        // Within 1e-4 of the largest entry of the list; each norm on its own within 1e-3 (single precision on both
        // sides, through 20 batch norms of two images).
        assert!(
            (got - want).abs() <= (1e-4 * largest).min(1e-3 * want),
            "{}: gradient norm {got}, torch {want}",
            parameter.name
        );
    }
}
