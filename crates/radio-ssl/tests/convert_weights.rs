//! `convert weights`: from every format to every format, with a card beside it, and what it refuses.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::path::Path;

use radio_ssl::convert::{ConvertOptions, InputName, convert_weights};
use radio_ssl::model_card::ModelCard;
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::resnet::{Depth, InputScaling, ResNetConfig};
use radio_tensor::trunk::{Backbone, Trunk};
use radio_tensor::vit::ViTConfig;
use radio_tensor::weights::{InputChoice, read_encoder};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use ssl_simclr::{Encoder, SimClrConfig};

/// A whole SimCLR model of width 1 as Keras writes it (radio-tensor/tests/weights.rs).
const KERAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../radio-tensor/tests/fixtures/keras_simclr.h5");

fn options() -> ConvertOptions {
    ConvertOptions { input: InputName::Recorded, precision: "f32".into(), side: 64, with_head: false }
}

fn checkpoint(path: &Path) -> Trunk {
    checkpoint_of(ResNetConfig { depth: Depth::ResNet18, width: 4 }.into(), path)
}

fn checkpoint_of(backbone: Backbone, path: &Path) -> Trunk {
    let trunk = Trunk::new(backbone, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
    let mut file = Checkpoint::default();
    file.put_trunk(&trunk);
    let config = SimClrConfig { backbone, ..SimClrConfig::laptop(7, 96, 16, 3) };
    file.text.insert("simclr.toml".into(), config.to_toml().unwrap());
    file.text.insert("frames".into(), "225".into());
    file.tensors.insert("log.loss".into(), (vec![2], vec![3.5, 2.5]));
    file.tensors.insert("projector.0.bias".into(), (vec![2], vec![0.0; 2]));
    file.write(path).unwrap();
    trunk
}

fn card(path: &Path) -> ModelCard {
    serde_json::from_str(&std::fs::read_to_string(path.with_extension("card.json")).unwrap()).unwrap()
}

#[test]
fn our_checkpoint_becomes_what_pytorch_loads() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("checkpoint.safetensors"), folder.path().join("encoder.safetensors"));
    let trunk = checkpoint(&from);
    let said = convert_weights(&from, &to, &options()).unwrap().join("\n");
    assert!(said.contains("resnet18 of width 4, 32 features") && said.contains("--with-head"), "{said}");
    let file = Checkpoint::read(&to).unwrap().checkpoint;
    // torchvision's state dict without the classifier and the counters: 60 weights and scales, 40 statistics.
    assert_eq!(file.tensors.len(), 100);
    assert!(file.tensors.keys().all(|name| ["conv1.", "bn1.", "layer"].iter().any(|start| name.starts_with(start))));
    assert_eq!(read_encoder(&to, InputChoice::Recorded).unwrap().trunk.parameters(), trunk.parameters());
    let told = card(&to);
    let run = told.training.unwrap();
    assert_eq!((run.seed, run.frames, run.steps, run.loss), (7, Some(225), 2, Some((3.5, 2.5))));
    assert!(std::fs::read_to_string(to.with_extension("card.md")).unwrap().starts_with("# Model card: resnet18"));
    assert_eq!(Encoder::read(&to).unwrap().recipe().output_shape().unwrap(), (3, 96, 96));

    let half = folder.path().join("half.safetensors");
    convert_weights(&from, &half, &ConvertOptions { precision: "bf16".into(), with_head: true, ..options() }).unwrap();
    assert_eq!(Checkpoint::read(&half).unwrap().checkpoint.tensors.len(), 101);
    assert!(std::fs::metadata(&half).unwrap().len() < std::fs::metadata(&to).unwrap().len() * 6 / 10);
    let graph = folder.path().join("encoder.onnx");
    convert_weights(&from, &graph, &options()).unwrap();
    assert_eq!(card(&graph).features, 32);
    assert!(std::fs::metadata(&graph).unwrap().len() > 100_000);
}

/// A transformer of ours, as PyTorch loads it; there is no graph of one yet.
#[test]
fn a_transformer_is_converted() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("checkpoint.safetensors"), folder.path().join("encoder.safetensors"));
    let config = ViTConfig { size: 96, patch: 16, width: 12, blocks: 2, heads: 3, hidden: 24 };
    let trunk = checkpoint_of(config.into(), &from);
    let said = convert_weights(&from, &to, &options()).unwrap().join("\n");
    assert!(said.contains("vit of width 12, 2 blocks, 3 heads") && said.contains("12 features"), "{said}");
    let file = Checkpoint::read(&to).unwrap().checkpoint;
    assert_eq!(file.tensors.len(), 4 + 2 * 12 + 2);
    assert_eq!(read_encoder(&to, InputChoice::Recorded).unwrap().trunk.parameters(), trunk.parameters());
    assert_eq!(card(&to).transformer, Some(config));
    assert_eq!(Encoder::read(&to).unwrap().features(), 12);
    let error = convert_weights(&from, &folder.path().join("encoder.onnx"), &options()).unwrap_err();
    assert!(format!("{error:#}").contains("ONNX graph: expected a residual network"), "{error:#}");
    assert!(!folder.path().join("encoder.onnx").exists());
}

/// An encoder that was trained elsewhere can embed: its recipe and its scaling come along.
#[test]
fn a_keras_model_becomes_an_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("keras.safetensors");
    convert_weights(Path::new(KERAS), &to, &ConvertOptions { input: InputName::Imagenet, ..options() }).unwrap();
    let encoder = Encoder::read(&to).unwrap();
    assert_eq!((encoder.features(), encoder.recipe().output_shape().unwrap().1), (8, 64));
    let told = card(&to);
    assert_eq!((told.network.as_str(), told.input.scaling), ("preactresnet18", Some(InputScaling::IMAGENET)));
    let origin = told.origin.unwrap();
    assert_eq!(
        (origin.file.as_str(), origin.format.as_str(), origin.sha256.len()),
        ("keras_simclr.h5", "Keras HDF5", 64)
    );
    assert!(told.training.is_none() && told.licence.contains("source"));
    // Converted again, it still knows where it came from.
    let again = folder.path().join("again.safetensors");
    convert_weights(&to, &again, &options()).unwrap();
    assert_eq!(card(&again).origin.unwrap().file, "keras_simclr.h5");
    assert_eq!(card(&again).input.scaling, Some(InputScaling::IMAGENET));
}

#[test]
fn what_cannot_be_converted() {
    let folder = tempfile::tempdir().unwrap();
    let error = |from: &Path, to: &str| {
        format!("{:#}", convert_weights(from, &folder.path().join(to), &options()).unwrap_err())
    };
    let text = error(Path::new(KERAS), "out.h5");
    assert!(text.contains("out.h5") && text.contains(".safetensors or .onnx"), "{text}");
    let text = error(&folder.path().join("absent.h5"), "out.onnx");
    assert!(text.contains("absent.h5"), "{text}");
    let not = folder.path().join("not.pth");
    std::fs::write(&not, "hello, world").unwrap();
    let text = error(&not, "out.onnx");
    assert!(text.contains("not.pth") && text.contains("first bytes"), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was written");
}
