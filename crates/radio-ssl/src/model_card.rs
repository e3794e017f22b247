//! The model card of an encoder: what it is, what it was trained on and how, and what it is not for; JSON and Markdown.
//!
//! A pure function of a checkpoint's metadata, so that a card can be made again from the file at any time.
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use radio_augment::Preparation;
use radio_tensor::checkpoint::{Checkpoint, ENCODER_KEY, EncoderRecord};
use radio_tensor::resnet::InputScaling;
use radio_tensor::trunk::Backbone;
use radio_tensor::vit::ViTConfig;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ssl_simclr::SimClrConfig;

use crate::run_config::hexadecimal;

/// Text entry that says where converted weights came from, an [`Origin`] as JSON.
pub const ORIGIN_KEY: &str = "origin.json";
/// Text entry with the recipe of an encoder that was not trained here, as TOML.
pub const RECIPE_KEY: &str = "recipe.toml";

/// Text entry of a published checkpoint, a [`Provenance`] as TOML.
pub const PROVENANCE_KEY: &str = "provenance.toml";

/// What stands in the card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Version of this form.
    pub card: u32,
    /// The network, as `resnet18` or `vit`.
    pub network: String,
    /// Channels after the first convolution; of a transformer, width of a token.
    pub width: usize,
    /// All sizes of a transformer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transformer: Option<ViTConfig>,
    /// Features of an image.
    pub features: usize,
    /// Trainable numbers of the encoder.
    pub parameters: usize,
    /// What goes in.
    pub input: CardInput,
    /// How it was trained, if here.
    pub training: Option<CardTraining>,
    /// How a published checkpoint was made, from what and on what terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Where it came from, if from elsewhere.
    pub origin: Option<Origin>,
    /// Version of radio-ssl that wrote the card.
    pub version: String,
    /// Terms of use.
    pub licence: String,
    /// What it cannot do, or was not tested for.
    pub limits: Vec<String>,
}

/// What an encoder is fed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardInput {
    /// Values of each pixel.
    pub channels: usize,
    /// Side of the images it was trained on, pixels; other sizes work.
    pub side: Option<usize>,
    /// From a cutout to channels in [0, 1].
    pub recipe: Option<Preparation>,
    /// What the channels are scaled by inside the encoder.
    pub scaling: Option<InputScaling>,
}

/// How an encoder was trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardTraining {
    /// The method.
    pub method: String,
    /// Cutouts without labels.
    pub frames: Option<usize>,
    /// SHA-256 of what the run's record says of its data: generator and seed, or files with their own SHA-256.
    pub data_fingerprint: Option<String>,
    /// SHA-256 of each file that was read, if recorded.
    pub data_sha256: BTreeMap<String, String>,
    /// Seed of weights, order and views.
    pub seed: u64,
    /// Passes over the cutouts.
    pub epochs: u64,
    /// Optimiser steps.
    pub steps: usize,
    /// Cutouts per step.
    pub batch_size: usize,
    /// Learning rate at the end of the warm-up.
    pub peak_lr: f64,
    /// Loss of the first and of the last step, of a published file mean of the first and of the last epoch; nats.
    pub loss: Option<(f32, f32)>,
    /// Numbers it was computed with.
    pub precision: String,
}

/// How a published checkpoint was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The command that makes it again.
    pub command: String,
    /// Optimiser steps.
    pub steps: usize,
    /// Mean loss of every epoch, nats.
    pub epoch_losses: Vec<f64>,
    /// What it cannot do, or was not tested for.
    pub limits: Vec<String>,
    /// Where its pictures came from.
    pub origins: Vec<DataOrigin>,
}

/// Training pictures of one origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataOrigin {
    /// Its name, as the folder of the data.
    pub name: String,
    /// Pictures that were trained on.
    pub pictures: usize,
    /// Other origins in the same batches.
    pub shares_batches_with: Vec<String>,
    /// Terms of use, in our words.
    pub terms: String,
    /// What was left out and what is special.
    pub remarks: Vec<String>,
}

impl Provenance {
    /// Command and a table of the data.
    fn to_markdown(&self) -> String {
        let mut text = format!("\n## Made by\n\n```sh\n{}\n```\n\n## Data\n\n", self.command);
        text.push_str("| origin | pictures | terms | batches | remarks |\n| --- | ---: | --- | --- | --- |\n");
        for origin in &self.origins {
            let with = match origin.shares_batches_with.as_slice() {
                [] => "of its own".into(),
                others => format!("with {}", others.join(", ")),
            };
            let cells = [&origin.name, &origin.pictures.to_string(), &origin.terms, &with, &origin.remarks.join("; ")];
            let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text
    }
}

impl DataOrigin {
    /// Name, count and company in one line.
    pub fn line(&self) -> String {
        let with = match self.shares_batches_with.as_slice() {
            [] => "batches of its own".into(),
            others => format!("shares batches with {}", others.join(", ")),
        };
        format!("{}: {} pictures, {with}", self.name, self.pictures)
    }
}

/// Where weights came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Name of the file.
    pub file: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Its format.
    pub format: String,
    /// What stood before the names.
    pub prefix: String,
    /// Tensors that were not taken.
    pub left_out: usize,
    /// What the reader remarked.
    pub remarks: Vec<String>,
}

impl ModelCard {
    /// The card of a checkpoint's encoder.
    ///
    /// # Errors
    /// If the file has no record of its encoder, or a damaged entry.
    pub fn of_checkpoint(file: &Checkpoint) -> Result<Self> {
        let entry = |key: &str| file.text.get(key).map(String::as_str);
        let simclr = entry("simclr.toml").map(SimClrConfig::from_toml).transpose().context("entry simclr.toml")?;
        let record: Option<EncoderRecord> =
            entry(ENCODER_KEY).map(serde_json::from_str).transpose().context("entry encoder.json")?;
        let network = record
            .map(|record| record.network)
            .or(simclr.as_ref().map(|config| config.backbone))
            .context("no entry encoder.json and none simclr.toml: not an encoder of radio-ssl")?;
        let origin: Option<Origin> =
            entry(ORIGIN_KEY).map(serde_json::from_str).transpose().context("entry origin.json")?;
        let recipe = match &simclr {
            Some(config) => Some(config.recipe.clone()),
            None => entry(RECIPE_KEY).map(toml::from_str).transpose().context("entry recipe.toml")?,
        };
        let training = simclr.map(|config| training(&config, file)).transpose()?;
        let parameters = file
            .tensors
            .iter()
            .filter(|(name, _)| {
                ["projector.", "predictor.", "optimizer.", "log."].iter().all(|other| !name.starts_with(other))
            })
            .filter(|(name, _)| !name.ends_with("running_mean") && !name.ends_with("running_var"))
            .filter(|(name, _)| *name != "bn_data.weight")
            .map(|(_, (_, values))| values.len())
            .sum();
        let licence = match (&training, &origin) {
            (Some(_), None) => "MIT OR Apache-2.0; the terms of the training data come on top",
            _ => "that of the source of the weights, which this file does not know",
        };
        let mut limits = limits(training.is_some(), file);
        let provenance: Option<Provenance> =
            entry(PROVENANCE_KEY).map(toml::from_str).transpose().context("entry provenance.toml")?;
        limits.extend(provenance.iter().flat_map(|provenance| provenance.limits.clone()));
        Ok(Self {
            card: 1,
            network: network.name().into(),
            width: network.width(),
            transformer: match network {
                Backbone::ViT(config) => Some(config),
                Backbone::ResNet(_) => None,
            },
            features: network.features(),
            parameters,
            input: CardInput {
                channels: 3,
                side: recipe.as_ref().and_then(|r: &Preparation| r.output_shape().ok()).map(|(_, rows, _)| rows),
                recipe,
                scaling: record.and_then(|record| record.input_scaling),
            },
            training: training.map(|training| with_steps(training, provenance.as_ref())),
            provenance,
            origin,
            version: env!("CARGO_PKG_VERSION").into(),
            licence: licence.into(),
            limits,
        })
    }

    /// The card as JSON, the same bytes for the same card.
    ///
    /// # Errors
    /// If a number has no JSON form (a loss that is not finite becomes null instead).
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The card as Markdown.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# Model card: {} of width {}\n\n", self.network, self.width);
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "| {name} | {} |", value.replace('|', "\\|").replace('\n', " "));
        };
        line("what", "value".into());
        line("---", "---".into());
        line("features", self.features.to_string());
        line("parameters", self.parameters.to_string());
        if let Some(ViTConfig { size, patch, blocks, heads, hidden, .. }) = self.transformer {
            line("transformer", format!("{blocks} blocks of {heads} heads, {hidden} hidden; {patch}-pixel patches"));
            line(
                "positions",
                format!("learnt for {size} × {size} pixels, interpolated for other multiples of {patch}"),
            );
        }
        let side = self.input.side.map_or("any size".into(), |side| format!("{side} × {side} pixels"));
        line("input", format!("{} channels in [0, 1], {side}", self.input.channels));
        match &self.input.recipe {
            Some(Preparation::Recipe(recipe)) => {
                let contrasts = recipe.zscale_contrasts;
                let clip = (recipe.sigma_low, recipe.sigma_up);
                line(
                    "recipe",
                    format!("sigma clip {} below and {} above, zscale contrasts {contrasts:?}", clip.0, clip.1),
                );
                if let Some(side) = recipe.frame_side() {
                    let margin = recipe.margin;
                    line(
                        "resolution",
                        format!(
                            "the image's own, nothing shrinks: of a larger image the middle {side} × {side} pixels, and of those \
                             {margin} on each side are only for turns while it is trained"
                        ),
                    );
                }
            }
            Some(Preparation::Steps(list)) => line("recipe", format!("a list of {} transforms", list.steps.len())),
            None => {}
        }
        if let Some(scaling) = &self.input.scaling {
            line("scaling", format!("× {}, mean {:?}, std {:?}", scaling.scale, scaling.mean, scaling.std));
        }
        if let Some(run) = &self.training {
            line("method", run.method.clone());
            line("cutouts", run.frames.map_or("not recorded".into(), |frames| frames.to_string()));
            line("data", run.data_fingerprint.clone().unwrap_or_else(|| "not recorded".into()));
            for (name, hash) in &run.data_sha256 {
                line(&format!("SHA-256 of {name}"), hash.clone());
            }
            line("seed", run.seed.to_string());
            line("epochs, steps", format!("{}, {} of {} cutouts", run.epochs, run.steps, run.batch_size));
            line("peak learning rate", run.peak_lr.to_string());
            if let Some((first, last)) = run.loss {
                let what = if self.provenance.is_some() { "epoch, mean" } else { "step" };
                line(&format!("loss, first and last {what}"), format!("{first:.4} and {last:.4} nats"));
            }
            line("precision", run.precision.clone());
        }
        if let Some(origin) = &self.origin {
            line("from", format!("{} ({}), SHA-256 {}", origin.file, origin.format, origin.sha256));
            line("left out", format!("{} tensors; prefix `{}`", origin.left_out, origin.prefix));
            for remark in &origin.remarks {
                line("remark", remark.clone());
            }
        }
        line("radio-ssl", self.version.clone());
        line("licence", self.licence.clone());
        if let Some(provenance) = &self.provenance {
            text.push_str(&provenance.to_markdown());
        }
        text.push_str("\n## Limits\n\n");
        for limit in &self.limits {
            let _ = writeln!(text, "- {limit}");
        }
        text
    }

    /// Writes `NAME.card.json` and `NAME.card.md` beside `NAME.ext`; returns their paths.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_beside(&self, file: &Path) -> Result<[PathBuf; 2]> {
        let paths = [file.with_extension("card.json"), file.with_extension("card.md")];
        for (path, text) in paths.iter().zip([self.to_json()?, self.to_markdown()]) {
            atomic_file::write_atomically(path, |file| std::io::Write::write_all(file, text.as_bytes()))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(paths)
    }
}

/// A published file has no log: steps and losses are those of its provenance, by epoch.
fn with_steps(training: CardTraining, provenance: Option<&Provenance>) -> CardTraining {
    let Some(Provenance { steps, epoch_losses, .. }) = provenance else { return training };
    let loss = epoch_losses.first().zip(epoch_losses.last());
    CardTraining { steps: *steps, loss: loss.map(|(&first, &last)| (first as f32, last as f32)), ..training }
}

fn training(config: &SimClrConfig, file: &Checkpoint) -> Result<CardTraining> {
    let losses: &[f32] = file.tensors.get("log.loss").map_or(&[], |(_, losses)| losses);
    let loss = losses.first().zip(losses.last()).map(|(&first, &last)| (first, last));
    let mut data_sha256 = BTreeMap::new();
    let mut data_fingerprint = None;
    if let Some(text) = file.text.get("run.toml") {
        let run: toml::Table = toml::from_str(text).context("entry run.toml")?;
        // Of a whole run only what describes its data; a bare survey describes nothing else.
        let described = match run.get("sky") {
            Some(sky) => toml::to_string(&BTreeMap::from([("sky", Some(sky)), ("files", run.get("inputs_sha256"))]))?,
            None => text.clone(),
        };
        data_fingerprint = Some(hexadecimal(&Sha256::digest(described.as_bytes())));
        if let Some(files) = run.get("inputs_sha256").and_then(|files| files.as_table()) {
            let text = |value: &toml::Value| value.as_str().map(str::to_owned);
            data_sha256 = files.iter().filter_map(|(name, hash)| Some((name.clone(), text(hash)?))).collect();
        }
    }
    Ok(CardTraining {
        method: match config.byol {
            Some(byol) => format!("BYOL, target momentum {} to {}", byol.target_momentum, byol.final_momentum),
            None => format!("SimCLR, NT-Xent at temperature {}", f64::from(config.temperature)),
        },
        frames: file.text.get("frames").and_then(|frames| frames.parse().ok()),
        data_fingerprint,
        data_sha256,
        seed: config.seed,
        epochs: config.epochs,
        steps: losses.len(),
        batch_size: config.batch_size,
        peak_lr: config.peak_lr,
        loss,
        precision: config.precision.name().into(),
    })
}

fn limits(trained_here: bool, file: &Checkpoint) -> Vec<String> {
    let mut limits = vec![
        "Features describe a frame as a whole; they are no source catalogue and no measurement.".to_owned(),
        "Images must pass the recipe above: other stretches give other features.".to_owned(),
        "The contrastive loss is no measure of quality; judge the features by a task of your own.".to_owned(),
    ];
    if !trained_here {
        limits.push("Not trained by radio-ssl: nothing is known here of its data and training.".to_owned());
    }
    let run: Option<toml::Table> = file.text.get("run.toml").and_then(|text| toml::from_str(text).ok());
    if run.as_ref().and_then(|run| run.get("sky")).is_some_and(|sky| sky.get("simulated").is_some()) {
        limits.push("Trained on a simulated sky only.".to_owned());
    }
    limits
}

#[cfg(test)]
mod tests {
    use radio_tensor::resnet::{Depth, ResNetConfig};
    use radio_tensor::trunk::Trunk;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn trunk(backbone: Backbone) -> Trunk {
        Trunk::new(backbone, &mut ChaCha8Rng::seed_from_u64(1)).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        checkpoint_of(ResNetConfig { depth: Depth::ResNet18, width: 4 }.into())
    }

    fn checkpoint_of(backbone: Backbone) -> Checkpoint {
        let mut file = Checkpoint::default();
        file.put_trunk(&trunk(backbone));
        let config = SimClrConfig { backbone, ..SimClrConfig::laptop(7, 96, 16, 3) };
        file.text.insert("simclr.toml".into(), config.to_toml().unwrap());
        file.text.insert("frames".into(), "225".into());
        let run = "seed = 7\n[inputs_sha256]\nmosaic = \"ab12\"\n[sky.simulated]\nside = 2048\n";
        file.text.insert("run.toml".into(), run.into());
        file.tensors.insert("log.loss".into(), (vec![3], vec![3.5, 3.0, 2.5]));
        file.tensors.insert("projector.0.bias".into(), (vec![2], vec![0.0; 2]));
        file
    }

    #[test]
    fn a_card_says_what_the_checkpoint_says() {
        let file = checkpoint();
        let card = ModelCard::of_checkpoint(&file).unwrap();
        // ResNet-18 has 11,176,512 parameters at width 64 without its classifier; counted here for width 4.
        let trunk = trunk(ResNetConfig { depth: Depth::ResNet18, width: 4 }.into());
        assert!(!card.to_json().unwrap().contains("transformer"));
        assert_eq!(card.parameters, trunk.parameters().iter().map(|p| p.values.len()).sum::<usize>());
        assert_eq!((card.network.as_str(), card.features, card.input.side), ("resnet18", 32, Some(96)));
        let run = card.training.clone().unwrap();
        assert_eq!((run.frames, run.seed, run.epochs, run.steps, run.loss), (Some(225), 7, 3, 3, Some((3.5, 2.5))));
        assert_eq!(run.data_sha256["mosaic"], "ab12");
        assert!(card.limits.iter().any(|limit| limit.contains("simulated")));
        let text = card.to_markdown();
        for wanted in ["| seed | 7 |", "3.5000 and 2.5000", "MIT OR Apache-2.0", "96 × 96", "## Limits"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        let again: ModelCard = serde_json::from_str(&card.to_json().unwrap()).unwrap();
        assert_eq!(again, card);
        let folder = tempfile::tempdir().unwrap();
        let [json, markdown] = card.write_beside(&folder.path().join("checkpoint.safetensors")).unwrap();
        assert_eq!(std::fs::read_to_string(json).unwrap(), card.to_json().unwrap());
        assert!(markdown.ends_with("checkpoint.card.md"));
    }

    #[test]
    fn the_card_of_a_transformer_tells_its_sizes() {
        let config = ViTConfig { size: 96, patch: 16, width: 12, blocks: 2, heads: 3, hidden: 24 };
        let card = ModelCard::of_checkpoint(&checkpoint_of(config.into())).unwrap();
        assert_eq!((card.network.as_str(), card.width, card.features, card.transformer), ("vit", 12, 12, Some(config)));
        let counted: usize = trunk(config.into()).parameters().iter().map(|p| p.values.len()).sum();
        assert_eq!(card.parameters, counted);
        let again: ModelCard = serde_json::from_str(&card.to_json().unwrap()).unwrap();
        assert_eq!(again, card);
        let text = card.to_markdown();
        assert!(text.contains("2 blocks of 3 heads") && text.contains("16-pixel patches"), "{text}");
    }

    /// The fingerprint follows the data and nothing else of the run.
    #[test]
    fn the_fingerprint_is_that_of_the_data() {
        let of = |change: &dyn Fn(&str) -> String| {
            let mut file = checkpoint();
            let run = change(&file.text["run.toml"]);
            file.text.insert("run.toml".into(), run);
            ModelCard::of_checkpoint(&file).unwrap().training.unwrap().data_fingerprint.unwrap()
        };
        let plain = of(&|run| run.to_owned());
        assert_eq!(plain, of(&|run| run.replace("seed = 7", "seed = 8")));
        assert_ne!(plain, of(&|run| run.replace("2048", "4096")));
        assert_ne!(plain, of(&|run| run.replace("ab12", "ab13")));
    }

    #[test]
    fn what_is_no_encoder_has_no_card() {
        let error = ModelCard::of_checkpoint(&Checkpoint::default()).unwrap_err().to_string();
        assert!(error.contains("encoder.json"), "{error}");
    }
}
