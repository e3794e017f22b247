//! Weights: encoders written here are loaded by torchvision's networks and run by onnxruntime, theirs are read here, and features must agree.
//!
//! The Python sides are `xtask/interop/torch_weights.py` and `onnx_weights.py`. Beside `NAME.safetensors` (or any other form of weights) lies a file
//! with images and the features that the writer finds.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::resnet::{Depth, InputScaling, Precision, ResNet, ResNetConfig};
use radio_tensor::trunk::Trunk;
use radio_tensor::vit::ViTConfig;
use radio_tensor::weights::{InputChoice, export, onnx, read_encoder, state_dict};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::run_script;

/// Largest difference of a feature, as a share of the largest feature.
const TOLERANCE: f32 = 1e-4;
/// The same for weights that were rounded to bf16.
const HALF_TOLERANCE: f32 = 0.03;
/// Passes that move the running statistics away from 0 and 1, so that they matter.
const SETTLING: usize = 5;

/// Both directions, in folders below `work`.
pub fn check(python: &Path, work: &Path, seed: u64) -> Result<()> {
    let [ours, scaled, transformers, theirs] = ["ours", "scaled", "transformers", "theirs"].map(|name| work.join(name));
    for folder in [&ours, &scaled, &transformers, &theirs] {
        std::fs::create_dir(folder)?;
    }
    write(&ours, &scaled, seed)?;
    write_transformers(&transformers, seed)?;
    let (torch, runtime) = ("torch_weights.py", "onnx_weights.py");
    for (script, folder) in [(torch, &ours), (runtime, &ours), (runtime, &scaled), (torch, &transformers)] {
        report(&run_script(python, script, &["check", &super::text(folder)?])?)?;
    }
    run_script(python, torch, &["make", &super::text(&theirs)?])?;
    read(&theirs)
}

/// One line for each script: its libraries and what they found.
fn report(json: &str) -> Result<()> {
    let found: Value = serde_json::from_str(json).context("the Python side prints no JSON")?;
    let names = found["cases"].as_array().into_iter().flatten().filter_map(|case| case["case"].as_str());
    let libraries = ["torch", "torchvision", "onnx", "onnxruntime"];
    let versions = libraries.iter().filter_map(|name| Some(format!("{name} {}", found[name].as_str()?)));
    println!("{}: {}", versions.collect::<Vec<_>>().join(", "), names.collect::<Vec<_>>().join(", "));
    Ok(())
}

/// An encoder of every kind in the width that torchvision has, and a narrow one, as `.safetensors` and `.onnx`. A scaling of the images is inside
/// the graph but beside the tensors: that one is for onnxruntime alone.
fn write(folder: &Path, scaled: &Path, seed: u64) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let cases = Depth::ALL.map(|depth| (depth.name().to_owned(), ResNetConfig { depth, width: 64 }));
    let narrow = ("resnet18-narrow".to_owned(), ResNetConfig { depth: Depth::ResNet18, width: 16 });
    for (name, config) in cases.into_iter().chain([narrow]) {
        let mut trunk = Trunk::from(ResNet::new(config, &mut rng));
        let images = images(&mut rng, [2, 3, 75, 62])?;
        for _ in 0..SETTLING {
            trunk.forward(&images)?;
        }
        write_case(&trunk, &images, &folder.join(format!("{name}.case.safetensors")))?;
        let path = folder.join(format!("{name}.safetensors"));
        export::to_safetensors(&trunk, BTreeMap::new(), Precision::F32, &path)?;
        onnx::to_onnx(&trunk, &BTreeMap::new(), &folder.join(format!("{name}.onnx")))?;
    }
    let mut trunk = Trunk::from(ResNet::new(ResNetConfig { depth: Depth::ResNet18, width: 8 }, &mut rng));
    trunk.set_input_scaling(Some(InputScaling::IMAGENET))?;
    write_case(&trunk, &images(&mut rng, [1, 3, 40, 40])?, &scaled.join("imagenet.case.safetensors"))?;
    Ok(onnx::to_onnx(&trunk, &BTreeMap::new(), &scaled.join("imagenet.onnx"))?)
}

/// Vision transformers, which have no graph: with offsets and positions that matter.
fn write_transformers(folder: &Path, seed: u64) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for (name, config) in [("vit-small", ViTConfig::small(96, 16)), ("vit-tiny", ViTConfig::tiny(48, 8))] {
        let mut trunk = Trunk::new(config.into(), &mut rng)?;
        for p in trunk.parameters_mut() {
            p.values.iter_mut().for_each(|v| *v += rng.random_range(-0.05..0.05));
        }
        let images = images(&mut rng, [2, 3, config.size, config.size])?;
        write_case(&trunk, &images, &folder.join(format!("{name}.case.safetensors")))?;
        let path = folder.join(format!("{name}.safetensors"));
        export::to_safetensors(&trunk, BTreeMap::new(), Precision::F32, &path)?;
    }
    Ok(())
}

fn images(rng: &mut ChaCha8Rng, shape: [usize; 4]) -> Result<Tensor> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random()).collect();
    Ok(Tensor::from_vec(values, &shape, &Device::Cpu)?)
}

fn write_case(trunk: &Trunk, images: &Tensor, path: &Path) -> Result<()> {
    let mut file = Checkpoint::default();
    for (name, tensor) in [("images", images), ("features", &trunk.embed(images)?)] {
        file.tensors.insert(name.to_owned(), (tensor.dims().to_vec(), tensor.flatten_all()?.to_vec1()?));
    }
    Ok(file.write(path)?)
}

/// Reads what `torch_weights.py make` wrote.
fn read(folder: &Path) -> Result<()> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    let mut cases = 0;
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(weights) = name.strip_suffix(".expected.safetensors") else { continue };
        let expected = state_dict::read_safetensors(&path)?;
        let tensor = |name: &str| expected.tensors.get(name).with_context(|| format!("{}: no {name}", path.display()));
        let ((shape, images), (_, want)) = (tensor("images")?, tensor("features")?);
        let encoder = read_encoder(&folder.join(weights), InputChoice::Plain)?;
        let features = encoder.trunk.embed(&Tensor::from_slice(images, shape.as_slice(), &Device::Cpu)?)?;
        let got: Vec<f32> = features.flatten_all()?.to_vec1()?;
        ensure!(got.len() == want.len(), "{weights}: {} features found, expected {}", got.len(), want.len());
        let largest = want.iter().fold(0f32, |most, v| most.max(v.abs()));
        let off = got.iter().zip(want).fold(0f32, |most, (got, want)| most.max((got - want).abs())) / largest;
        let tolerance = if weights.contains("half") { HALF_TOLERANCE } else { TOLERANCE };
        let left_out = encoder.left_out.len();
        println!(
            "read here: {weights}, {off:.1e} of the largest feature off, prefix `{}`, {left_out} tensors left out",
            encoder.prefix
        );
        ensure!(
            off <= tolerance,
            "{weights}: features are off by {off:e} of the largest, expected at most {tolerance:e}"
        );
        cases += 1;
    }
    ensure!(cases > 0, "torch_weights.py made no files");
    Ok(())
}
