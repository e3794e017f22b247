//! Files of weights as targets of the fuzzer: Keras' HDF5, PyTorch's two forms, safetensors, and our checkpoints.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use radio_tensor::adam::{Adam, AdamConfig};
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::resnet::{Depth, Precision, ResNetConfig};
use radio_tensor::trunk::{Backbone, Trunk};
use radio_tensor::vit::ViTConfig;
use radio_tensor::weights::{InputChoice, adopt, export, read_state_dict};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::targets::Target;

/// Made by Keras' and PyTorch's own writers: the fixtures of radio-tensor's tests.
const KERAS: &[u8] = include_bytes!("../../../crates/radio-tensor/tests/fixtures/keras_simclr.h5");
const TORCH: &[u8] = include_bytes!("../../../crates/radio-tensor/tests/fixtures/tiny.pth");
const OLD_TORCH: &[u8] = include_bytes!("../../../crates/radio-tensor/tests/fixtures/tiny_old.pth");

const ADAM: AdamConfig = AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 };
const NETWORK: Backbone = Backbone::ResNet(ResNetConfig { depth: Depth::ResNet18, width: 1 });
const TRANSFORMER: Backbone = Backbone::ViT(ViTConfig { size: 16, patch: 8, width: 4, blocks: 1, heads: 2, hidden: 4 });

/// The targets; good files are made below `work`.
pub fn weight_targets(work: &Path) -> Result<Vec<Target>> {
    let path = work.join("good.safetensors");
    let trunk = network(NETWORK)?;
    let mut exported = Vec::new();
    for precision in [Precision::F32, Precision::Bf16] {
        export::to_safetensors(&trunk, BTreeMap::new(), precision, &path)?;
        exported.push(std::fs::read(&path)?);
    }
    export::to_safetensors(&network(TRANSFORMER)?, BTreeMap::new(), Precision::F32, &path)?;
    exported.push(std::fs::read(&path)?);
    let mut checkpoint = Checkpoint::default();
    checkpoint.put_trunk(&trunk);
    checkpoint.put_adam(&Adam::new(ADAM, trunk.parameters()), trunk.parameters());
    checkpoint.write(&path)?;
    let weights = |name, extension, seeds: Vec<Vec<u8>>| Target {
        name,
        extension,
        seeds,
        read: read_weights,
        // Every byte of these files belongs to a tensor or to a list that ends the file.
        needs: <[u8]>::len,
    };
    Ok(vec![
        weights("Keras HDF5", "h5", vec![KERAS.to_vec()]),
        weights("PyTorch zip", "pth", vec![TORCH.to_vec()]),
        weights("PyTorch before 1.6", "pth", vec![OLD_TORCH.to_vec()]),
        weights("safetensors", "safetensors", exported),
        Target {
            name: "checkpoint",
            extension: "safetensors",
            seeds: vec![std::fs::read(&path)?],
            read: read_checkpoint,
            needs: <[u8]>::len,
        },
    ])
}

fn network(backbone: Backbone) -> Result<Trunk> {
    Ok(Trunk::new(backbone, &mut ChaCha8Rng::seed_from_u64(1))?)
}

fn read_weights(path: &Path) -> Result<(), String> {
    let state = read_state_dict(path).map_err(|e| e.to_string())?;
    // Tensors need not make a network; trying must not fail badly.
    let _ = adopt::adopt(state, InputChoice::Recorded);
    Ok(())
}

fn read_checkpoint(path: &Path) -> Result<(), String> {
    let loaded = Checkpoint::read(path).map_err(|e| e.to_string())?;
    let mut trunk = network(NETWORK).map_err(|e| e.to_string())?;
    let _ = loaded.load_trunk(&mut trunk);
    if let Ok(Some(record)) = loaded.encoder() {
        let _ = loaded.trunk(record.network);
    }
    let mut adam = Adam::new(ADAM, trunk.parameters());
    let _ = loaded.load_adam(&mut adam, trunk.parameters());
    Ok(())
}
