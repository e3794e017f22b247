//! Our side of the checks against PyTorch and onnxruntime (`xtask/interop/*.py`).
//!
//! `interop_weights write FOLDER` writes an encoder of every kind as `.safetensors` and `.onnx`, with images and our features;
//! `interop_weights check FOLDER` reads what `torch_weights.py make` wrote and compares features.
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use candle_core::{Device, Tensor};
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::resnet::{Depth, InputScaling, Precision, ResNet, ResNetConfig};
use radio_tensor::weights::{InputChoice, export, onnx, read_encoder, state_dict};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    match (arguments.get(1).map(String::as_str), arguments.get(2)) {
        (Some("write"), Some(folder)) => write(Path::new(folder)),
        (Some("check"), Some(folder)) => check(Path::new(folder)),
        _ => Err("usage: interop_weights write|check FOLDER".into()),
    }
}

fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let cases = Depth::ALL.map(|depth| (depth.name().to_owned(), ResNetConfig { depth, width: 64 }));
    let narrow = ("resnet18-narrow".to_owned(), ResNetConfig { depth: Depth::ResNet18, width: 16 });
    for (name, config) in cases.into_iter().chain([narrow]) {
        let mut trunk = ResNet::new(config, &mut rng);
        let shape = (2, 3, 75, 62);
        let values: Vec<f32> = (0..2 * 3 * 75 * 62).map(|_| rng.random()).collect();
        let images = Tensor::from_vec(values.clone(), shape, &Device::Cpu)?;
        for _ in 0..20 {
            trunk.forward(&images)?; // the running statistics move away from 0 and 1
        }
        let mut file = Checkpoint::default();
        file.tensors.insert("images".into(), (vec![2, 3, 75, 62], values));
        let features = trunk.embed(&images)?;
        file.tensors.insert("features".into(), (features.dims().to_vec(), features.flatten_all()?.to_vec1()?));
        file.write(&folder.join(format!("{name}.case.safetensors")))?;
        let path = folder.join(format!("{name}.safetensors"));
        export::to_safetensors(&trunk, BTreeMap::new(), Precision::F32, &path)?;
        onnx::to_onnx(&trunk, &BTreeMap::new(), &folder.join(format!("{name}.onnx")))?;
    }
    // A scaling is inside the graph, and beside the tensors: for onnxruntime alone.
    let scaled = folder.join("scaled");
    std::fs::create_dir_all(&scaled)?;
    let mut trunk = ResNet::new(ResNetConfig { depth: Depth::ResNet18, width: 8 }, &mut rng);
    trunk.set_input_scaling(Some(InputScaling::IMAGENET))?;
    let values: Vec<f32> = (0..3 * 40 * 40).map(|_| rng.random()).collect();
    let features = trunk.embed(&Tensor::from_vec(values.clone(), (1, 3, 40, 40), &Device::Cpu)?)?;
    let mut file = Checkpoint::default();
    file.tensors.insert("images".into(), (vec![1, 3, 40, 40], values));
    file.tensors.insert("features".into(), (features.dims().to_vec(), features.flatten_all()?.to_vec1()?));
    file.write(&scaled.join("imagenet.case.safetensors"))?;
    Ok(onnx::to_onnx(&trunk, &BTreeMap::new(), &scaled.join("imagenet.onnx"))?)
}

fn check(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut worst = 0f32;
    let mut cases = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        let Some(weights) = name.strip_suffix(".expected.safetensors") else { continue };
        let expected = state_dict::read_safetensors(&path)?;
        let (shape, images) = &expected.tensors["images"];
        let encoder = read_encoder(&folder.join(weights), InputChoice::Plain)?;
        let features = encoder.trunk.embed(&Tensor::from_slice(images, shape.as_slice(), &Device::Cpu)?)?;
        let (_, want) = &expected.tensors["features"];
        let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
        let got: Vec<f32> = features.flatten_all()?.to_vec1()?;
        let off = got.iter().zip(want).fold(0f32, |m, (g, w)| m.max((g - w).abs())) / largest;
        // Weights that were rounded to bf16 give features rounded as much.
        let tolerance = if weights.contains("half") { 0.03 } else { 1e-4 };
        println!(
            "{weights}: {off:.1e} of the largest, prefix `{}`, {} left out",
            encoder.prefix,
            encoder.left_out.len()
        );
        worst = worst.max(off / tolerance);
        cases += 1;
    }
    if cases == 0 || worst > 1.0 {
        return Err(format!("{cases} cases, the worst {worst} times its tolerance").into());
    }
    Ok(())
}
