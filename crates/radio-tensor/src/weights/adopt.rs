//! From names and shapes to a trunk: which network a file holds, under which prefix, and whether all of it is there.
use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::format_error;
use super::state_dict::StateDict;
use super::vit_names;
use crate::checkpoint::{Checkpoint, ENCODER_KEY, EncoderRecord, Loaded};
use crate::error::{Result, TensorError};
use crate::resnet::{Depth, InputScaling, ResNet, ResNetConfig, Running};
use crate::trunk::{Backbone, Trunk};
use crate::vit::shapes as vit_shapes;

/// What scaling of the images the weights expect.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum InputChoice {
    /// What the file records; else ImageNet's if it classifies ImageNet's 1,000 classes; else none.
    #[default]
    Recorded,
    /// None: values in [0, 1] as they are.
    Plain,
    /// This one.
    Scaled(InputScaling),
}

/// An encoder from a file.
pub struct ImportedEncoder {
    /// The network, ready to embed.
    pub trunk: Trunk,
    /// The file's format, in words.
    pub origin: String,
    /// What stood before the names, as `module.backbone.`.
    pub prefix: String,
    /// A projection head, under our projector's names (`projector.0.weight`, …); empty without one.
    pub head: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// Records of the training (`log.*`), if one of our checkpoints.
    pub log: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// Tensors of the file that are not part of the encoder or head: classifiers, optimiser state, other networks.
    pub left_out: Vec<String>,
    /// Text entries, if one of our checkpoints.
    pub text: BTreeMap<String, String>,
    /// What a user should know.
    pub remarks: Vec<String>,
}

impl ImportedEncoder {
    /// The encoder and its head as a checkpoint of ours; texts are kept.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut file = Checkpoint { tensors: self.head.clone(), text: self.text.clone() };
        file.put_trunk(&self.trunk);
        file
    }
}

/// Names that every trunk of a kind has, and by which its prefix is found.
const LANDMARKS: [&str; 4] =
    ["layer1.0.conv1.weight", "stage1_unit1_conv1.weight", vit_names::LANDMARK, vit_names::TIMM_LANDMARK];
/// The same in a `Sequential` of torchvision's layers without their names (lightly's backbones).
const SEQUENTIAL_LANDMARK: &str = "4.0.conv1.weight";
/// Parts of a prefix that say that this is the slowly moving copy of an encoder.
const COPIES: [&str; 8] = ["momentum", "target", "ema", "teacher", "encoder_k", "key", "average", "shadow"];

/// Builds the trunk of a state dict.
///
/// # Errors
/// If there is no known network, more than one, a tensor is missing, unexpected, of another shape or not finite.
pub fn adopt(state: StateDict, input: InputChoice) -> Result<ImportedEncoder> {
    let (prefix, sequential) = find_prefix(&state)?;
    let StateDict { path, tensors, text, origin } = state;
    let mut own = BTreeMap::new();
    let mut left_out = Vec::new();
    let (mut head, mut log) = (BTreeMap::new(), BTreeMap::new());
    for (name, tensor) in tensors {
        // Beside the encoder stand, in our checkpoints, the projector, the losses and the optimiser's state.
        let inner = name.strip_prefix(prefix.as_str()).filter(|inner| !inner.starts_with("optimizer."));
        if prefix.is_empty() && name.starts_with("projector.") {
            head.insert(name, tensor);
        } else if prefix.is_empty() && name.starts_with("log.") {
            log.insert(name, tensor);
        } else if let Some(inner) = inner {
            own.insert(if sequential { named_layer(inner) } else { inner.to_owned() }, tensor);
        } else {
            left_out.push(name);
        }
    }
    let is_imagenet = ["fc.weight", "heads.head.weight", "head.weight"]
        .iter()
        .any(|name| own.get(*name).is_some_and(|(shape, _)| shape.first() == Some(&1000)));
    let own = vit_names::from_timm(own);
    let config = network(&own, &text).map_err(|reason| format_error(&path, reason))?;
    // A transformer takes its memory only when all its tensors are there.
    let made = match config {
        Backbone::ResNet(config) => Some(ResNet::new(config, &mut ChaCha8Rng::seed_from_u64(0))),
        Backbone::ViT(_) => None,
    };
    let expected: BTreeSet<String> = match (&config, &made) {
        (Backbone::ViT(config), _) => vit_shapes(config).map(|(name, _)| name).collect(),
        (_, made) => made.iter().flat_map(names).collect(),
    };
    let missing: Vec<String> = expected.iter().filter(|name| !own.contains_key(*name)).cloned().collect();
    let mut unexpected = Vec::new();
    for (name, (_, values)) in own.iter().filter(|(name, _)| !expected.contains(*name)) {
        // The images' batch norm has no scale; PyTorch's layer always has one, which then must do nothing.
        if name == "bn_data.weight" && values.iter().all(|&v| v == 1.0) {
            continue;
        }
        if is_trunk_layer(name, config) {
            unexpected.push(format!("{prefix}{name}"));
        } else {
            left_out.push(format!("{prefix}{name}"));
        }
    }
    if !missing.is_empty() || !unexpected.is_empty() {
        let network = config.name();
        return Err(TensorError::EncoderNames {
            path,
            network,
            missing: missing.into(),
            unexpected: unexpected.into(),
        });
    }
    for name in &expected {
        let (shape, values) = &own[name];
        let sound = |v: &f32| v.is_finite() && !(name.ends_with("running_var") && *v < 0.0);
        if let Some(bad) = values.iter().find(|v| !sound(v)) {
            return Err(TensorError::CheckpointTensor {
                path,
                name: format!("{prefix}{name}"),
                expected: "finite values, variances not below 0".into(),
                found: format!("{bad} in {shape:?}"),
            });
        }
    }
    let loaded = Loaded { path: path.clone(), checkpoint: Checkpoint { tensors: own, text: text.clone() } };
    let mut trunk = match made {
        Some(made) => {
            let mut trunk = made.into();
            loaded.load_trunk(&mut trunk)?;
            trunk
        }
        None => loaded.trunk(config)?,
    };
    let mut remarks = Vec::new();
    let recorded = loaded.encoder()?.is_some();
    match input {
        InputChoice::Plain => trunk.set_input_scaling(None)?,
        InputChoice::Scaled(scaling) => trunk.set_input_scaling(Some(scaling))?,
        InputChoice::Recorded if recorded => {}
        InputChoice::Recorded if is_imagenet => {
            trunk.set_input_scaling(Some(InputScaling::IMAGENET))?;
            remarks.push("1,000 classes: images are scaled by ImageNet's mean and spread".into());
        }
        InputChoice::Recorded => {}
    }
    if config.name() == Depth::PreActResNet18.name() && origin.contains("Keras") {
        remarks.push(
            "the published training ran one image at a time through batch norm; features use the moving averages"
                .into(),
        );
    }
    left_out.sort();
    Ok(ImportedEncoder { trunk, origin, prefix, head, log, left_out, text, remarks })
}

/// Every tensor of a residual network.
fn names(trunk: &ResNet) -> impl Iterator<Item = String> {
    let statistics = |running: &Running| ["running_mean", "running_var"].map(|kind| format!("{}.{kind}", running.name));
    trunk.parameters().iter().map(|p| p.name.clone()).chain(trunk.running().iter().flat_map(statistics))
}

/// The prefix of the one encoder in the file, and whether its layers are numbered.
fn find_prefix(state: &StateDict) -> Result<(String, bool)> {
    let ends = |landmark: &str| -> Vec<String> {
        let mut prefixes: Vec<String> = state
            .tensors
            .keys()
            .filter(|name| !name.starts_with("optimizer."))
            .filter_map(|name| name.strip_suffix(landmark))
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            .map(str::to_owned)
            .collect();
        prefixes.dedup();
        prefixes
    };
    let named: Vec<String> = LANDMARKS.iter().flat_map(|landmark| ends(landmark)).collect();
    let (found, sequential) = if named.is_empty() { (ends(SEQUENTIAL_LANDMARK), true) } else { (named, false) };
    let is_copy = |prefix: &str| {
        let prefix = prefix.to_lowercase();
        COPIES.iter().any(|copy| prefix.contains(copy))
    };
    let originals: Vec<&String> = found.iter().filter(|prefix| !is_copy(prefix)).collect();
    let chosen = match (&originals[..], &found[..]) {
        ([one], _) => one,
        ([], [one]) => one,
        ([], []) => {
            let first: Vec<&str> = state.tensors.keys().map(String::as_str).take(5).collect();
            let reason = format!(
                "no network we know: no tensor ends in {}; {} float tensors, first {first:?}",
                LANDMARKS.join(", "),
                state.tensors.len()
            );
            return Err(format_error(&state.path, reason));
        }
        _ => {
            let reason = format!("several encoders, under {found:?}: leave one of them in the file");
            return Err(format_error(&state.path, reason));
        }
    };
    Ok((chosen.clone(), sequential))
}

/// `Sequential(*resnet.children())`'s numbers back to torchvision's names.
fn named_layer(name: &str) -> String {
    let (number, rest) = name.split_once('.').unwrap_or((name, ""));
    let layer = match number {
        "0" => "conv1",
        "1" => "bn1",
        "4" => "layer1",
        "5" => "layer2",
        "6" => "layer3",
        "7" => "layer4",
        other => other,
    };
    format!("{layer}.{rest}")
}

/// Whether a name belongs to a layer of the trunk rather than to what stands behind it.
fn is_trunk_layer(name: &str, network: Backbone) -> bool {
    let starts: &[&str] = match network {
        Backbone::ResNet(_) => &["conv", "bn", "layer", "stage"],
        // Parts that some transformers have besides: without them the features would be others.
        Backbone::ViT(_) => &["conv_proj", "encoder.", "patch_embed.", "norm_pre", "reg_token", "dist_token"],
    };
    starts.iter().any(|start| name.starts_with(start))
}

/// The network by names and shapes.
fn network(
    own: &BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    text: &BTreeMap<String, String>,
) -> std::result::Result<Backbone, String> {
    if own.contains_key(vit_names::LANDMARK) {
        let record = text.get(ENCODER_KEY).and_then(|text| serde_json::from_str::<EncoderRecord>(text).ok());
        return vit_names::config(own, record.map(|record| record.network)).map(Backbone::ViT);
    }
    let pre_activation = own.contains_key(LANDMARKS[1]);
    let first = if pre_activation { "conv0.weight" } else { "conv1.weight" };
    let Some((shape, _)) = own.get(first) else { return Err(format!("no tensor {first}")) };
    let &[width @ 1..=4096, 3, 7, 7] = &shape[..] else {
        return Err(format!(
            "{first}: expected [width, 3, 7, 7], found {shape:?} (a 3x3 first convolution is the network for 32-pixel images)"
        ));
    };
    let has = |name: &str| own.contains_key(name);
    let depth = if pre_activation {
        Depth::PreActResNet18
    } else if has("layer1.0.conv3.weight") {
        if !has("layer3.5.conv1.weight") || has("layer3.6.conv1.weight") {
            return Err("bottlenecks, but not 3, 4, 6, 3 of them: expected ResNet-50".into());
        }
        Depth::ResNet50
    } else if has("layer1.2.conv1.weight") {
        Depth::ResNet34
    } else {
        Depth::ResNet18
    };
    Ok(ResNetConfig { depth, width }.into())
}
