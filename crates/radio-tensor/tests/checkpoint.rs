//! Checkpoints: round trips, and damaged files.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

use candle_core::{DType, Device, Tensor};
use radio_tensor::TensorError;
use radio_tensor::adam::{Adam, AdamConfig};
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::resnet::{Depth, ResNetConfig};
use radio_tensor::trunk::Trunk;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const ADAM: AdamConfig = AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 };

fn trunk(seed: u64, width: usize) -> Trunk {
    let config = ResNetConfig { depth: Depth::ResNet18, width };
    Trunk::new(config.into(), &mut ChaCha8Rng::seed_from_u64(seed)).unwrap()
}

fn images() -> Tensor {
    Tensor::arange(0f32, (4 * 3 * 40 * 40) as f32, &Device::Cpu)
        .unwrap()
        .sin()
        .unwrap()
        .reshape((4, 3, 40, 40))
        .unwrap()
}

fn step(trunk: &mut Trunk, adam: &mut Adam) {
    let features = trunk.forward(&images()).unwrap();
    let gradients = trunk.backward(&features).unwrap();
    adam.step(1e-2, trunk.parameters_mut(), &gradients).unwrap();
}

fn bits(trunk: &Trunk) -> Vec<f32> {
    trunk.embed(&images()).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Three steps in one go equal two steps, a file, and one step: to the bit.
#[test]
fn a_resumed_run_continues_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut model = trunk(1, 4);
    let mut adam = Adam::new(ADAM, model.parameters());
    step(&mut model, &mut adam);
    step(&mut model, &mut adam);
    let mut file = Checkpoint::default();
    file.put_trunk(&model);
    file.put_adam(&adam, model.parameters());
    for key in ["a", "b", "c", "d"] {
        file.text.insert(key.into(), key.into());
    }
    file.text.insert("run.toml".into(), "seed = 1\n".into());
    file.write(&path).unwrap();
    step(&mut model, &mut adam);

    let loaded = Checkpoint::read(&path).unwrap();
    assert_eq!(loaded.text("run.toml").unwrap(), "seed = 1\n");
    let mut resumed = trunk(2, 4);
    let mut state = Adam::new(ADAM, resumed.parameters());
    loaded.load_trunk(&mut resumed).unwrap();
    loaded.load_adam(&mut state, resumed.parameters()).unwrap();
    step(&mut resumed, &mut state);
    assert_eq!(bits(&model), bits(&resumed));
    assert_eq!(adam, state);
    assert_eq!(model.running(), resumed.running());
    let again = folder.path().join("again.safetensors");
    loaded.checkpoint.write(&again).unwrap();
    assert!(std::fs::read(&again).unwrap() == std::fs::read(&path).unwrap(), "equal contents, equal bytes");
    std::fs::remove_file(&again).unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1, "no temporary file stays behind: {names:?}");
}

#[test]
fn damaged_and_foreign_files_are_typed_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.safetensors");
    assert!(matches!(Checkpoint::read(&path), Err(TensorError::CheckpointIo { action: "read", .. })));
    let mut file = Checkpoint::default();
    file.put_trunk(&trunk(1, 4));
    file.write(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for keep in [0, 4, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..keep]).unwrap();
        let error = Checkpoint::read(&path).unwrap_err();
        assert!(matches!(error, TensorError::CheckpointFormat { .. }), "{keep} bytes: {error}");
    }
    std::fs::write(&path, &bytes).unwrap();
    let loaded = Checkpoint::read(&path).unwrap();
    let error = loaded.load_trunk(&mut trunk(1, 8)).unwrap_err().to_string();
    assert!(
        error.contains("conv1.weight") && error.contains("[8, 3, 7, 7]") && error.contains("[4, 3, 7, 7]"),
        "{error}"
    );
    let mut adam = Adam::new(ADAM, trunk(1, 4).parameters());
    let error = loaded.load_adam(&mut adam, trunk(1, 4).parameters()).unwrap_err().to_string();
    assert!(error.contains("optimizer.first.conv1.weight") && error.contains("no such tensor"), "{error}");
    assert!(loaded.text("run.toml").is_err());
}

#[test]
fn an_unwritable_folder_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent").join("c.safetensors");
    let error = Checkpoint::default().write(&path).unwrap_err();
    assert!(matches!(error, TensorError::CheckpointIo { action: "write", .. }), "{error}");
}

#[test]
fn other_types_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f64.safetensors");
    let map = std::collections::HashMap::from([("x", Tensor::zeros(3, DType::F64, &Device::Cpu).unwrap())]);
    candle_core::safetensors::save(&map, &path).unwrap();
    let error = Checkpoint::read(&path).unwrap_err().to_string();
    assert!(error.contains("tensor x") && error.contains("F64"), "{error}");
}
