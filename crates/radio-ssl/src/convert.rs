//! Encoders from one file format to another: `radio-ssl convert weights`.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use radio_augment::Recipe;
use radio_tensor::resnet::InputScaling;
use radio_tensor::weights::{ImportedEncoder, InputChoice, export, onnx, read_encoder};

use crate::model_card::{ModelCard, ORIGIN_KEY, Origin, RECIPE_KEY};
use crate::run_config::sha256_of;

/// How the images of an encoder from elsewhere are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum InputName {
    /// As the file says: our record, or ImageNet's scaling for a classifier of 1,000 classes, else none.
    Recorded,
    /// Values in [0, 1] as they are.
    Plain,
    /// ImageNet's mean and spread.
    Imagenet,
}

/// What `convert weights` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct ConvertOptions {
    /// Scaling of the images.
    #[arg(long, value_enum, default_value_t = InputName::Recorded)]
    pub input: InputName,
    /// Numbers of a `.safetensors` file: `f32`, or `bf16` at half the size.
    #[arg(long, default_value = "f32", value_parser = ["f32", "bf16"])]
    pub precision: String,
    /// Side of the images that `radio-ssl embed` makes for an encoder that was not trained here, pixels.
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u64).range(16..=2048))]
    pub side: u64,
    /// Keeps a projection head (`projector.*`) in a `.safetensors` file; PyTorch then loads it with `strict=False`.
    #[arg(long)]
    pub with_head: bool,
}

/// Reads an encoder and writes it as `.safetensors` or `.onnx`, with its model card beside it; says what was done.
///
/// # Errors
/// If the input holds no encoder we know, or the output cannot be written or has another extension.
pub fn convert_weights(from: &Path, to: &Path, options: &ConvertOptions) -> Result<Vec<String>> {
    let extension = to.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if !["safetensors", "onnx"].contains(&extension) {
        bail!("{}: expected a name that ends in .safetensors or .onnx", to.display());
    }
    let input = match options.input {
        InputName::Recorded => InputChoice::Recorded,
        InputName::Plain => InputChoice::Plain,
        InputName::Imagenet => InputChoice::Scaled(InputScaling::IMAGENET),
    };
    let encoder = read_encoder(from, input)?;
    let mut file = export::encoder_file(&encoder.trunk, texts(&encoder, from, options.side as usize)?);
    let mut described = file.clone(); // the card also tells the losses, which no exported file carries
    described.tensors.extend(encoder.log.clone());
    let card = ModelCard::of_checkpoint(&described)?;
    if extension == "onnx" {
        let properties = BTreeMap::from([("model_card".to_owned(), card.to_json()?)]);
        onnx::to_onnx(&encoder.trunk, &properties, to)?;
    } else {
        if options.with_head {
            file.tensors.extend(encoder.head.clone());
        }
        match options.precision.as_str() {
            "bf16" => file.write_bf16(to)?,
            _ => file.write(to)?,
        }
    }
    card.write_beside(to)?;
    Ok(said(&encoder, to, options))
}

/// The text entries of the converted file: those of the original, and where it came from.
fn texts(encoder: &ImportedEncoder, from: &Path, side: usize) -> Result<BTreeMap<String, String>> {
    let mut text = encoder.text.clone();
    if !text.contains_key("simclr.toml") && !text.contains_key(RECIPE_KEY) {
        text.insert(RECIPE_KEY.into(), toml::to_string_pretty(&Recipe::paper(side))?);
    }
    if !text.contains_key("simclr.toml") && !text.contains_key(ORIGIN_KEY) {
        let origin = Origin {
            file: from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            sha256: sha256_of(from)?,
            format: encoder.origin.clone(),
            prefix: encoder.prefix.clone(),
            left_out: encoder.left_out.len(),
            remarks: encoder.remarks.clone(),
        };
        text.insert(ORIGIN_KEY.into(), serde_json::to_string(&origin).context("origin")?);
    }
    Ok(text)
}

fn said(encoder: &ImportedEncoder, to: &Path, options: &ConvertOptions) -> Vec<String> {
    let config = encoder.trunk.config();
    let mut lines = vec![format!(
        "{config}, {} features, from {}{}",
        config.features(),
        encoder.origin,
        if encoder.prefix.is_empty() { String::new() } else { format!(" under `{}`", encoder.prefix) }
    )];
    if let Some(scaling) = encoder.trunk.input_scaling() {
        lines.push(format!("images are scaled: mean {:?}, std {:?}", scaling.mean, scaling.std));
    }
    lines.extend(encoder.remarks.iter().cloned());
    if !encoder.head.is_empty() && !options.with_head {
        lines.push("projection head left out (--with-head keeps it)".into());
    }
    if !encoder.left_out.is_empty() {
        let first: Vec<&str> = encoder.left_out.iter().take(5).map(String::as_str).collect();
        let more = if encoder.left_out.len() > first.len() { ", …" } else { "" };
        lines.push(format!("{} tensors left out: {}{more}", encoder.left_out.len(), first.join(", ")));
    }
    lines.push(to.display().to_string());
    lines
}
