//! Weights in and out: prefixes, wrong networks, hostile files, round trips.
//!
//! `fixtures/keras_simclr.h5`: a whole SimCLR model of width 1 as Keras 2 lays it out, written with h5py 3.16 (`libver="latest"`).
//! Tensor i of a group holds (7 e + 13 i) mod 32 - 16 over 16 for element e; scales and variances are its size plus 0.5.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use proptest::prelude::*;
use radio_tensor::TensorError;
use radio_tensor::checkpoint::{Checkpoint, ENCODER_KEY};
use radio_tensor::resnet::{Depth, InputScaling, Precision, ResNetConfig};
use radio_tensor::trunk::{Backbone, Trunk};
use radio_tensor::vit::ViTConfig;
use radio_tensor::weights::{ImportedEncoder, InputChoice, WeightFormat, export, onnx, read_encoder, read_state_dict};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keras_simclr.h5");

fn trunk(depth: Depth, width: usize) -> Trunk {
    let mut trunk = Trunk::new(ResNetConfig { depth, width }.into(), &mut ChaCha8Rng::seed_from_u64(3)).unwrap();
    trunk.forward(&images()).unwrap(); // running statistics other than 0 and 1
    trunk
}

fn images() -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let values: Vec<f32> = (0..2 * 3 * 48 * 48).map(|_| rng.random()).collect();
    Tensor::from_vec(values, (2, 3, 48, 48), &Device::Cpu).unwrap()
}

fn features(trunk: &Trunk) -> Vec<f32> {
    trunk.embed(&images()).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn tensors(trunk: &Trunk) -> Checkpoint {
    let mut file = Checkpoint::default();
    file.put_trunk(trunk);
    file.text.clear();
    file
}

fn renamed(file: &Checkpoint, rename: impl Fn(&str) -> String) -> Checkpoint {
    let tensors = file.tensors.iter().map(|(name, tensor)| (rename(name), tensor.clone())).collect();
    Checkpoint { tensors, text: BTreeMap::new() }
}

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place(name: &str) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    Place { _folder: folder, path }
}

fn read(path: &Path) -> Result<ImportedEncoder, TensorError> {
    read_encoder(path, InputChoice::Recorded)
}

fn refused(path: &Path) -> String {
    match read(path) {
        Ok(_) => panic!("accepted {}", path.display()),
        Err(error) => error.to_string(),
    }
}

/// Every network, through every prefix people use.
#[test]
fn prefixes_are_found() {
    let place = place("encoder.safetensors");
    for (depth, prefix) in [
        (Depth::ResNet18, ""),
        (Depth::ResNet18, "module."),
        (Depth::ResNet34, "state_dict.backbone."),
        (Depth::ResNet50, "module.encoder."),
        (Depth::PreActResNet18, "online_encoder.net."),
    ] {
        let model = trunk(depth, 2);
        let mut file = renamed(&tensors(&model), |name| format!("{prefix}{name}"));
        if !prefix.is_empty() {
            // A momentum copy and a projector stand beside it.
            let copy = renamed(&tensors(&trunk(depth, 4)), |name| format!("momentum_{prefix}{name}"));
            file.tensors.extend(copy.tensors);
            file.tensors.insert("projector.0.weight".into(), (vec![2, 2], vec![0.0; 4]));
        }
        file.write(&place.path).unwrap();
        let encoder = read(&place.path).unwrap();
        assert_eq!((encoder.trunk.config(), encoder.prefix.as_str()), (model.config(), prefix));
        assert_eq!(features(&encoder.trunk), features(&model), "{depth:?}");
        assert_eq!(encoder.left_out.is_empty(), prefix.is_empty());
        assert_eq!(encoder.trunk.input_scaling(), None);
    }
}

/// lightly's backbones are a `Sequential` whose layers have numbers.
#[test]
fn numbered_layers_are_named() {
    let place = place("encoder.safetensors");
    let model = trunk(Depth::ResNet18, 2);
    let number = |name: &str| {
        let pairs = [
            ("conv1.", "0."),
            ("bn1.", "1."),
            ("layer1.", "4."),
            ("layer2.", "5."),
            ("layer3.", "6."),
            ("layer4.", "7."),
        ];
        let (layer, number) = pairs.into_iter().find(|(layer, _)| name.starts_with(layer)).unwrap();
        format!("backbone.{number}{}", &name[layer.len()..])
    };
    renamed(&tensors(&model), number).write(&place.path).unwrap();
    assert_eq!(features(&read(&place.path).unwrap().trunk), features(&model));
}

#[test]
fn other_networks_are_refused_in_words() {
    let place = place("other.safetensors");
    let write = |change: &dyn Fn(&mut Checkpoint)| {
        let mut file = tensors(&trunk(Depth::ResNet18, 2));
        change(&mut file);
        file.write(&place.path).unwrap();
        refused(&place.path)
    };
    let message = write(&|file| {
        file.tensors.insert("conv1.weight".into(), (vec![2, 3, 3, 3], vec![0.0; 54]));
    });
    assert!(
        message.contains("conv1.weight") && message.contains("[2, 3, 3, 3]") && message.contains("32-pixel"),
        "{message}"
    );
    let message = write(&|file| {
        file.tensors.remove("layer3.1.bn2.running_var");
        file.tensors.remove("bn1.weight");
    });
    assert!(message.contains("missing 2 (bn1.weight, layer3.1.bn2.running_var)"), "{message}");
    let message = write(&|file| {
        file.tensors.insert("layer2.0.se.weight".into(), (vec![1], vec![0.0]));
    });
    assert!(message.contains("unexpected 1 (layer2.0.se.weight)"), "{message}");
    let message = write(&|file| {
        file.tensors.insert("layer4.0.conv2.weight".into(), (vec![16, 16, 1, 9], vec![0.0; 2304]));
    });
    assert!(message.contains("layer4.0.conv2.weight") && message.contains("[16, 16, 1, 9]"), "{message}");
    for (name, value) in [("bn1.running_var", -1.0), ("layer1.0.conv1.weight", f32::NAN), ("bn1.bias", f32::INFINITY)] {
        let message = write(&|file| file.tensors.get_mut(name).unwrap().1[0] = value);
        assert!(message.contains(name) && message.contains("finite"), "{message}");
    }
    let message = write(&|file| file.tensors.retain(|name, _| !name.contains("layer1.0.conv1")));
    assert!(message.contains("no network we know"), "{message}");
    let message = write(&|file| {
        let two = renamed(file, |name| format!("student.{name}"));
        file.tensors.extend(two.tensors);
    });
    assert!(message.contains("several encoders") && message.contains("student."), "{message}");
    // Bottlenecks, but too many of them.
    let mut file = tensors(&trunk(Depth::ResNet50, 1));
    file.tensors.insert("layer3.6.conv1.weight".into(), (vec![1], vec![0.0]));
    file.write(&place.path).unwrap();
    assert!(refused(&place.path).contains("ResNet-50"));
}

/// A classifier of 1,000 classes says ImageNet; what the user says counts more; a record counts where nobody says anything.
#[test]
fn the_scaling_of_the_images_travels_with_the_weights() {
    let place = place("imagenet.safetensors");
    let model = trunk(Depth::ResNet18, 2);
    let mut file = tensors(&model);
    file.tensors.insert("fc.weight".into(), (vec![1000, 16], vec![0.0; 16_000]));
    file.tensors.insert("fc.bias".into(), (vec![1000], vec![0.0; 1000]));
    file.write(&place.path).unwrap();
    let encoder = read(&place.path).unwrap();
    assert_eq!(encoder.trunk.input_scaling(), Some(InputScaling::IMAGENET));
    assert_eq!(encoder.left_out, ["fc.bias", "fc.weight"]);
    assert!(encoder.remarks[0].contains("ImageNet"));
    assert_eq!(read_encoder(&place.path, InputChoice::Plain).unwrap().trunk.input_scaling(), None);

    export::to_safetensors(&encoder.trunk, BTreeMap::new(), Precision::F32, &place.path).unwrap();
    let again = read(&place.path).unwrap();
    assert_eq!(again.trunk.input_scaling(), Some(InputScaling::IMAGENET));
    assert_eq!(features(&again.trunk), features(&encoder.trunk));
    assert_ne!(features(&again.trunk), features(&model));
    // The usual way of loading a checkpoint takes it too, and a trunk that was scaled is not when the file says nothing.
    let mut loaded = trunk(Depth::ResNet18, 2);
    Checkpoint::read(&place.path).unwrap().load_trunk(&mut loaded).unwrap();
    assert_eq!(features(&loaded), features(&encoder.trunk));
    tensors(&model).write(&place.path).unwrap();
    Checkpoint::read(&place.path).unwrap().load_trunk(&mut loaded).unwrap();
    assert_eq!(loaded.input_scaling(), None);

    let mut file = tensors(&model);
    for (record, wanted) in [
        ("{", "encoder.json"),
        (r#"{"network":{"depth":"resnet34","width":2}}"#, "expected the network"),
        (
            r#"{"network":{"depth":"resnet18","width":2},"input_scaling":{"scale":1,"mean":[0,0,0],"std":[1,0,1]}}"#,
            "above 0",
        ),
        (r#"{"network":{"depth":"resnet18","width":2},"more":1}"#, "more"),
    ] {
        file.text.insert(ENCODER_KEY.into(), record.into());
        file.write(&place.path).unwrap();
        let message = refused(&place.path);
        assert!(message.contains(wanted), "{record}: {message}");
    }
}

/// The names of timm as torchvision's.
fn as_timm(name: &str) -> String {
    let mut name = name.replace("encoder.layers.encoder_layer_", "blocks.");
    for (ours, theirs) in [
        ("class_token", "cls_token"),
        ("encoder.pos_embedding", "pos_embed"),
        ("conv_proj.", "patch_embed.proj."),
        ("encoder.ln.", "norm."),
        ("ln_1.", "norm1."),
        ("ln_2.", "norm2."),
        ("self_attention.in_proj_", "attn.qkv."),
        ("self_attention.out_proj.", "attn.proj."),
        ("mlp.0.", "mlp.fc1."),
        ("mlp.3.", "mlp.fc2."),
    ] {
        name = name.replace(ours, theirs);
    }
    name
}

fn vit(config: ViTConfig) -> Trunk {
    Trunk::new(config.into(), &mut ChaCha8Rng::seed_from_u64(3)).unwrap()
}

/// Transformers under both libraries' names. Without our record the heads are 64 wide, as everywhere.
#[test]
fn transformers_come_back_under_both_names() {
    let place = place("vit.safetensors");
    let model = vit(ViTConfig { size: 48, patch: 16, width: 128, blocks: 2, heads: 2, hidden: 64 });
    let file = tensors(&model);
    let mut timm = renamed(&file, |name| format!("module.{}", as_timm(name)));
    assert!(timm.tensors.contains_key("module.blocks.1.attn.qkv.weight"));
    timm.tensors.insert("module.head.weight".into(), (vec![1000, 128], vec![0.0; 128_000]));
    for (file, left_out, scaling) in [(&file, 0, None), (&timm, 1, Some(InputScaling::IMAGENET))] {
        file.write(&place.path).unwrap();
        let encoder = read(&place.path).unwrap();
        assert_eq!((encoder.trunk.config(), encoder.left_out.len()), (model.config(), left_out));
        assert_eq!((encoder.trunk.parameters(), encoder.trunk.input_scaling()), (model.parameters(), scaling));
    }
    // With our record, heads of any width.
    let narrow = vit(ViTConfig { size: 48, patch: 8, width: 12, blocks: 1, heads: 3, hidden: 20 });
    export::to_safetensors(&narrow, BTreeMap::new(), Precision::F32, &place.path).unwrap();
    assert_eq!(features(&read(&place.path).unwrap().trunk), features(&narrow));
    let error = onnx::to_onnx(&narrow, &BTreeMap::new(), &place.path).unwrap_err();
    assert!(matches!(error, TensorError::ResidualOnly { .. }), "{error}");

    let write = |change: &dyn Fn(&mut Checkpoint)| {
        let mut file = tensors(&model);
        change(&mut file);
        file.write(&place.path).unwrap();
        refused(&place.path)
    };
    let message = write(&|file| drop(file.tensors.remove("encoder.layers.encoder_layer_1.mlp.0.bias")));
    assert!(message.contains("missing 1 (encoder.layers.encoder_layer_1.mlp.0.bias)"), "{message}");
    let scale = "encoder.layers.encoder_layer_1.ls1.gamma";
    let message = write(&|file| drop(file.tensors.insert(scale.into(), (vec![128], vec![1.0; 128]))));
    assert!(message.contains(scale), "{message}");
    let message = write(&|file| drop(file.tensors.insert("norm_pre.weight".into(), (vec![128], vec![1.0; 128]))));
    assert!(message.contains("unexpected 1 (norm_pre.weight)"), "{message}");
    for (name, shape, words) in [
        ("encoder.pos_embedding", vec![1, 9, 128], "1 + n"),
        ("conv_proj.weight", vec![128, 3, 16, 8], "square"),
        ("conv_proj.weight", vec![128, 3, 0, 0], "patch divides size"),
        ("encoder.layers.encoder_layer_0.mlp.0.weight", vec![4096, 0], "mlp.0.weight"),
        ("encoder.layers.encoder_layer_1.ln_2.bias", vec![127], "[127]"),
    ] {
        let count = shape.iter().product();
        let message = write(&|file| drop(file.tensors.insert(name.into(), (shape.clone(), vec![0.0; count]))));
        assert!(message.contains(words), "{name} {shape:?}: {message}");
    }
    let odd = tensors(&vit(ViTConfig { size: 48, patch: 16, width: 96, blocks: 1, heads: 3, hidden: 64 }));
    odd.write(&place.path).unwrap();
    assert!(refused(&place.path).contains("width 96"), "{}", refused(&place.path));
}

/// Exported names are PyTorch's and nothing else is inside; both precisions come back; equal encoders give equal bytes.
#[test]
fn exports_come_back() {
    let place = place("out.safetensors");
    for depth in Depth::ALL {
        let model = trunk(depth, 2);
        for precision in [Precision::F32, Precision::Bf16] {
            export::to_safetensors(&model, BTreeMap::new(), precision, &place.path).unwrap();
            let bytes = std::fs::read(&place.path).unwrap();
            let encoder = read(&place.path).unwrap();
            assert!(encoder.left_out.is_empty() && encoder.head.is_empty());
            let rounded = features(&encoder.trunk);
            if precision == Precision::F32 {
                assert_eq!(rounded, features(&model));
            } else {
                let largest = features(&model).iter().fold(0f32, |m, v| m.max(v.abs()));
                let off = rounded.iter().zip(features(&model)).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(off > 0.0 && off < 0.1 * largest, "{depth:?}: {off} of {largest}");
            }
            export::to_safetensors(&model, BTreeMap::new(), precision, &place.path).unwrap();
            assert!(std::fs::read(&place.path).unwrap() == bytes);
        }
    }
    let onnx_path = place.path.with_extension("onnx");
    onnx::to_onnx(&trunk(Depth::ResNet18, 2), &BTreeMap::new(), &onnx_path).unwrap();
    let bytes = std::fs::read(&onnx_path).unwrap();
    for wanted in ["layer4.1.bn2.running_var", "BatchNormalization", "features", "images", "ReduceMean"] {
        assert!(bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes()), "{wanted}");
    }
    assert!(onnx::to_onnx(&trunk(Depth::ResNet18, 1), &BTreeMap::new(), Path::new("/nowhere/x.onnx")).is_err());
}

/// The nested layout, the head, and a value of each kind of tensor in its place.
#[test]
fn a_whole_keras_model() {
    assert_eq!(WeightFormat::of_file(Path::new(FIXTURE)).unwrap(), WeightFormat::KerasHdf5);
    let encoder = read(Path::new(FIXTURE)).unwrap();
    assert_eq!(encoder.trunk.config(), Backbone::ResNet(ResNetConfig { depth: Depth::PreActResNet18, width: 1 }));
    let shapes: Vec<(&str, &[usize])> =
        encoder.head.iter().map(|(name, (shape, _))| (name.as_str(), &shape[..])).collect();
    assert_eq!(
        shapes,
        [
            ("projector.0.bias", &[4][..]),
            ("projector.0.weight", &[4, 8]),
            ("projector.2.bias", &[2]),
            ("projector.2.weight", &[2, 4]),
        ]
    );
    assert!(encoder.remarks.iter().any(|remark| remark.contains("moving averages")));
    let value = |tensor: usize, element: usize| ((7 * element + 13 * tensor) % 32) as f32 / 16.0 - 1.0;
    let by_name = |name: &str| encoder.trunk.parameters().iter().find(|p| p.name == name).unwrap().to_torch();
    // conv0 is the second tensor; Keras' (row 2, column 3, in 1, out 0) is PyTorch's (0, 1, 2, 3).
    assert_eq!(by_name("conv0.weight")[(7 + 2) * 7 + 3], value(1, (2 * 7 + 3) * 3 + 1));
    assert_eq!(by_name("bn_data.bias")[2], value(0, 2));
    assert_eq!(by_name("bn0.weight")[0], value(2, 0).abs() + 0.5);
    assert_eq!(encoder.head["projector.0.weight"].1[8 + 3], value(0, 3 * 4 + 1));
    assert!(features(&encoder.trunk).iter().all(|v| v.is_finite()));
}

/// The last bytes belong to no tensor, but a file without them is a file cut off (found by `cargo xtask fuzz`).
#[test]
fn a_keras_file_that_lacks_its_last_bytes_is_refused() {
    let place = place("cut.h5");
    let bytes = std::fs::read(FIXTURE).unwrap();
    for cut in [1, 3, 10] {
        std::fs::write(&place.path, &bytes[..bytes.len() - cut]).unwrap();
        assert!(refused(&place.path).contains("ends early: it needs 57009 bytes"), "{}", refused(&place.path));
    }
}

type Entry<'a> = (&'a str, &'a [usize], &'a [f32]);

/// The pickle of a PyTorch checkpoint, by hand; tensors share `storages` storages.
fn program(entries: &[Entry], storages: usize) -> Vec<u8> {
    let mut program = b"\x80\x02}(".to_vec();
    let text = |program: &mut Vec<u8>, text: &str| {
        program.push(b'X');
        program.extend((text.len() as u32).to_le_bytes());
        program.extend(text.as_bytes());
    };
    let number = |program: &mut Vec<u8>, value: usize| {
        program.push(b'J');
        program.extend((value as u32).to_le_bytes());
    };
    text(&mut program, "state_dict");
    program.extend(b"}(");
    for (key, (name, shape, _)) in entries.iter().enumerate() {
        text(&mut program, name);
        program.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut program, "storage");
        program.extend(b"ctorch\nFloatStorage\n");
        text(&mut program, &(key % storages).to_string());
        text(&mut program, "cpu");
        number(&mut program, shape.iter().product());
        program.extend(b"tQ");
        number(&mut program, 0);
        program.push(b'(');
        shape.iter().for_each(|&axis| number(&mut program, axis));
        program.extend(b"t(");
        let strides = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product());
        strides.for_each(|stride: usize| number(&mut program, stride));
        program.extend(b"t\x89}tR");
    }
    program.extend(b"uu.");
    program
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A PyTorch file: a zip archive.
fn pth(entries: &[Entry]) -> Vec<u8> {
    sharing_pth(entries, entries.len())
}

fn sharing_pth(entries: &[Entry], storages: usize) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut put = |name: &str, bytes: &[u8]| {
        archive.start_file(format!("archive/{name}"), options).unwrap();
        archive.write_all(bytes).unwrap();
    };
    put("data.pkl", &program(entries, storages));
    for (key, (_, _, values)) in entries.iter().take(storages).enumerate() {
        put(&format!("data/{key}"), &little_endian(values));
    }
    archive.finish().unwrap().into_inner()
}

/// The same as PyTorch wrote it before 1.6: five pickles and the storages in a row.
fn old_pth(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    bytes.extend(program(entries, entries.len()));
    bytes.extend(b"\x80\x02](");
    for key in 0..entries.len() {
        let key = key.to_string();
        bytes.extend([b'X', key.len() as u8, 0, 0, 0]);
        bytes.extend(key.as_bytes());
    }
    bytes.extend(b"e.");
    for (_, _, values) in entries {
        bytes.extend((values.len() as u64).to_le_bytes());
        bytes.extend(little_endian(values));
    }
    bytes
}

fn entries(file: &Checkpoint) -> Vec<Entry<'_>> {
    file.tensors.iter().map(|(name, (shape, values))| (name.as_str(), &shape[..], &values[..])).collect()
}

#[test]
fn a_pytorch_file() {
    let place = place("model.pth");
    let model = trunk(Depth::ResNet18, 2);
    let file = tensors(&model);
    for (bytes, origin) in [(pth(&entries(&file)), "PyTorch zip"), (old_pth(&entries(&file)), "PyTorch, before 1.6")] {
        std::fs::write(&place.path, bytes).unwrap();
        let encoder = read(&place.path).unwrap();
        assert_eq!((encoder.origin.as_str(), encoder.prefix.as_str()), (origin, "state_dict."));
        assert_eq!(features(&encoder.trunk), features(&model));
    }
    // A view larger than its storage; a storage that is not there; a file of the old form; an empty archive.
    std::fs::write(&place.path, pth(&[("x", &[3, 2], &[0.0; 5])])).unwrap();
    assert!(refused(&place.path).contains("holds 5 values"), "{}", refused(&place.path));
    std::fs::write(&place.path, b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.").unwrap();
    assert!(refused(&place.path).contains("ends early"));
    let empty = zip::ZipWriter::new(std::io::Cursor::new(Vec::new())).finish().unwrap().into_inner();
    std::fs::write(&place.path, &empty).unwrap();
    assert!(refused(&place.path).contains("first bytes"));
}

/// Files that torch 2.15.0 wrote (`fixtures/make_torch.py`): all types, views into a shared storage, and what is no tensor.
#[test]
fn files_of_pytorch_itself() {
    let value = |number: usize| (number % 41) as f32 / 8.0 - 2.5;
    for file in ["tiny.pth", "tiny_old.pth"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
        let state = read_state_dict(&path).unwrap();
        let names: Vec<&str> = state.tensors.keys().map(|name| name.strip_prefix("state_dict.").unwrap()).collect();
        assert_eq!(
            names,
            ["bn1.running_var", "bn1.weight", "brain", "conv1.weight", "half", "part", "turned", "whole"],
            "{file}"
        );
        let tensor = |name: &str| state.tensors[&format!("state_dict.{name}")].clone();
        for (name, shape) in [
            ("conv1.weight", &[2, 3, 3, 3][..]),
            ("bn1.weight", &[2]),
            ("bn1.running_var", &[2]),
            ("half", &[5]),
            ("brain", &[5]),
        ] {
            let expected: Vec<f32> = (0..shape.iter().product()).map(value).collect();
            assert_eq!(tensor(name), (shape.to_vec(), expected), "{file}: {name}");
        }
        let turned = (0..6).flat_map(|col| (0..4).map(move |row| value(row * 6 + col))).collect();
        assert_eq!(tensor("turned"), (vec![6, 4], turned), "{file}");
        let part = [1, 2].into_iter().flat_map(|row| (2..5).map(move |col| value(row * 6 + col))).collect();
        assert_eq!(tensor("part"), (vec![2, 3], part), "{file}");
    }
}

/// A storage may have several views, but a small file does not become a large network.
#[test]
fn shared_storages_are_limited() {
    let place = place("shared.pth");
    let values = vec![0.5; 10_000];
    let names: Vec<String> = (0..60).map(|number| format!("t{number}")).collect();
    let entries: Vec<Entry> = names.iter().map(|name| (name.as_str(), &[10_000][..], &values[..])).collect();
    std::fs::write(&place.path, sharing_pth(&entries[..20], 1)).unwrap();
    assert_eq!(read_state_dict(&place.path).unwrap().tensors.len(), 20);
    std::fs::write(&place.path, sharing_pth(&entries, 1)).unwrap();
    assert!(refused(&place.path).contains("more values than are accepted"));
}

#[test]
fn unknown_files_are_refused() {
    let place = place("x.h5");
    assert!(matches!(read(&place.path), Err(TensorError::CheckpointIo { action: "read", .. })));
    for bytes in [&b""[..], b"P", b"hello, world", b"\x89HDF\r\n\x1a\n", b"\xff\xff\xff\xff\xff\xff\xff\x7f{"] {
        std::fs::write(&place.path, bytes).unwrap();
        assert!(matches!(read(&place.path), Err(TensorError::CheckpointFormat { .. })), "{bytes:?}");
    }
}

/// Valid files with bytes changed or cut off.
fn damaged(bytes: &[u8], cut: Option<usize>, changes: &[(usize, u8)]) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    for &(place, value) in changes {
        let place = place % damaged.len();
        damaged[place] = value;
    }
    if let Some(cut) = cut {
        damaged.truncate(cut % damaged.len());
    }
    damaged
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is broken, the answer is an encoder or one of the errors for files.
    #[test]
    fn damaged_files_never_panic(
        format in 0usize..4, cut in prop::option::weighted(0.3, any::<usize>()), near in prop::bool::weighted(0.6),
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..24),
    ) {
        let config = ResNetConfig { depth: Depth::ResNet18, width: 1 };
        let small = tensors(&Trunk::new(config.into(), &mut ChaCha8Rng::seed_from_u64(0)).unwrap());
        let bytes = match format {
            0 => std::fs::read(FIXTURE).unwrap(),
            1 => pth(&entries(&small)),
            2 => old_pth(&entries(&small)),
            _ => {
                let place = place("x.safetensors");
                small.write(&place.path).unwrap();
                std::fs::read(&place.path).unwrap()
            }
        };
        // Most of the structure stands at one end or the other.
        let changes: Vec<(usize, u8)> = changes
            .into_iter()
            .map(|(at, value)| match (near, format) {
                (true, 1) => (bytes.len() - 1 - at % 4096, value),
                (true, _) => (at % 4096, value),
                _ => (at, value),
            })
            .collect();
        let place = place("damaged");
        std::fs::write(&place.path, damaged(&bytes, cut, &changes)).unwrap();
        let expected = |error: &TensorError| {
            matches!(
                error,
                TensorError::CheckpointFormat { .. }
                    | TensorError::CheckpointTensor { .. }
                    | TensorError::EncoderNames { .. }
                    | TensorError::InputScaling { .. }
            )
        };
        if let Err(error) = read(&place.path) {
            prop_assert!(expected(&error), "{error:?}");
        }
        if let Err(error) = read_state_dict(&place.path) {
            prop_assert!(expected(&error), "{error:?}");
        }
    }
}
