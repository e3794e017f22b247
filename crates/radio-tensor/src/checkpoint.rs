//! Checkpoints: one safetensors file with weights, optional optimiser state, and the run's TOML inside.
//!
//! Files are written beside their target, flushed to disk and renamed, so a killed process or a full
//! disk leaves the last good state. PyTorch reads them with `safetensors.torch.load_file`.
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

use atomic_file::write_atomically;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::adam::Adam;
use crate::element::{Bf16, Element};
use crate::error::{Result, TensorError};
use crate::parameter::{Parameter, from_torch_order, to_torch_order};
use crate::resnet::{Depth, InputScaling};
use crate::trunk::{Backbone, Trunk};
use crate::vit::shapes;
use crate::weights::state_dict::Stored;

/// Files larger than this are refused before they are mapped into memory.
const LARGEST: u64 = 8 << 30;

/// Key of the metadata entry that holds all texts, as a JSON object.
pub(crate) const TEXT_KEY: &str = "radio-ssl";

/// Key of the text entry that describes the trunk, an [`EncoderRecord`] as JSON.
pub const ENCODER_KEY: &str = "encoder.json";

/// What a trunk's tensors do not say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderRecord {
    /// Which network, and its shape.
    pub network: Backbone,
    /// What its images are scaled by, if by anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_scaling: Option<InputScaling>,
}

/// Named f32 tensors and text entries, as in the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checkpoint {
    /// Tensors by name: shape and values, torchvision's order.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// Text by key, as `run.toml` or `step`.
    pub text: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Adds the trunk's weights and running statistics under torchvision's names, and its record ([`ENCODER_KEY`]).
    pub fn put_trunk(&mut self, trunk: &Trunk) {
        let record = EncoderRecord { network: trunk.config(), input_scaling: trunk.input_scaling() };
        // A structure of numbers and names always has a JSON form.
        self.text.insert(ENCODER_KEY.into(), serde_json::to_string(&record).unwrap_or_default());
        self.put_parameters(trunk.parameters());
        for running in trunk.running() {
            let shape = vec![running.mean.len()];
            self.tensors.insert(format!("{}.running_mean", running.name), (shape.clone(), running.mean.clone()));
            self.tensors.insert(format!("{}.running_var", running.name), (shape, running.variance.clone()));
        }
    }

    /// Adds parameters under their names.
    pub fn put_parameters(&mut self, parameters: &[Parameter]) {
        for p in parameters {
            self.tensors.insert(p.name.clone(), (p.shape.clone(), p.to_torch()));
        }
    }

    /// Adds the optimiser's moments of these parameters (`optimizer.first.<name>`, `optimizer.second.<name>`).
    pub fn put_adam<'a>(&mut self, adam: &Adam, parameters: impl IntoIterator<Item = &'a Parameter>) {
        for ((p, first), second) in parameters.into_iter().zip(&adam.first).zip(&adam.second) {
            self.tensors
                .insert(format!("optimizer.first.{}", p.name), (p.shape.clone(), to_torch_order(&p.shape, first)));
            self.tensors
                .insert(format!("optimizer.second.{}", p.name), (p.shape.clone(), to_torch_order(&p.shape, second)));
        }
        self.text.insert("optimizer.steps".into(), adam.steps.to_string());
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// If the folder or the file cannot be written; the previous file then stays as it was.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.write_as(path, Dtype::F32, |values| bytemuck::cast_slice(values).to_vec())
    }

    /// As [`Checkpoint::write`], every value rounded to bf16.
    ///
    /// # Errors
    /// As [`Checkpoint::write`].
    pub fn write_bf16(&self, path: &Path) -> Result<()> {
        self.write_as(path, Dtype::BF16, |values| {
            let rounded: Vec<Bf16> = values.iter().map(|&v| Bf16::narrow(v)).collect();
            bytemuck::cast_slice(&rounded).to_vec()
        })
    }

    fn write_as(&self, path: &Path, dtype: Dtype, store: impl Fn(&[f32]) -> Vec<u8>) -> Result<()> {
        let io = |source| TensorError::CheckpointIo { action: "write", path: path.to_path_buf(), source };
        let stored: Vec<(&str, &[usize], Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, (shape, values))| (name.as_str(), shape.as_slice(), store(values)))
            .collect();
        let mut views = Vec::with_capacity(stored.len());
        for (name, shape, bytes) in &stored {
            let view = TensorView::new(dtype, shape.to_vec(), bytes).map_err(|e| self.format_error(path, e))?;
            views.push((*name, view));
        }
        // One entry that holds all texts: safetensors writes its map in random order, and equal runs give equal bytes.
        let text = serde_json::to_string(&self.text).map_err(|e| self.format_error(path, e))?;
        let text = HashMap::from([(TEXT_KEY.to_owned(), text)]);
        let bytes = safetensors::serialize(views, Some(text)).map_err(|e| self.format_error(path, e))?;
        write_atomically(path, |file| file.write_all(&bytes)).map_err(io)
    }

    fn format_error(&self, path: &Path, reason: impl std::fmt::Display) -> TensorError {
        TensorError::CheckpointFormat { path: path.to_path_buf(), reason: reason.to_string() }
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// If it cannot be read, is no safetensors file, or holds a tensor that is neither f32 nor bf16 (which is widened).
    pub fn read(path: &Path) -> Result<Loaded> {
        let io = |source| TensorError::CheckpointIo { action: "read", path: path.to_path_buf(), source };
        let format = |reason: String| TensorError::CheckpointFormat { path: path.to_path_buf(), reason };
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size > LARGEST {
            return Err(format(format!("{size} bytes, more than the {LARGEST} that are accepted")));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| format(e.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| format(e.to_string()))?;
        let mut checkpoint = Self::default();
        if let Some(text) = metadata.metadata().as_ref().and_then(|texts| texts.get(TEXT_KEY)) {
            checkpoint.text = serde_json::from_str(text).map_err(|e| format(std::format!("entry {TEXT_KEY}: {e}")))?;
        }
        for (name, view) in file.tensors() {
            let stored = match view.dtype() {
                Dtype::F32 => Some(Stored::F32),
                Dtype::BF16 => Some(Stored::Bf16),
                _ => None,
            };
            let Some(stored) = stored else {
                let found = format!("{:?} {:?}", view.dtype(), view.shape());
                return Err(TensorError::CheckpointTensor {
                    path: path.to_path_buf(),
                    name,
                    expected: "F32 or BF16".into(),
                    found,
                });
            };
            let values = view.data().chunks_exact(stored.bytes()).map(|b| stored.decode(b)).collect();
            checkpoint.tensors.insert(name, (view.shape().to_vec(), values));
        }
        Ok(Loaded { path: path.to_path_buf(), checkpoint })
    }
}

/// A checkpoint that was read, with the file it came from (for errors that name it).
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The file.
    pub path: PathBuf,
    /// Its contents.
    pub checkpoint: Checkpoint,
}

impl Loaded {
    /// A tensor of exactly this shape.
    ///
    /// # Errors
    /// If it is absent or has another shape; the message names file, tensor, expected and found.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<&[f32]> {
        let error = |found: String| TensorError::CheckpointTensor {
            path: self.path.clone(),
            name: name.into(),
            expected: format!("F32 {shape:?}"),
            found,
        };
        match self.checkpoint.tensors.get(name) {
            None => Err(error("no such tensor".into())),
            Some((found, _)) if found != shape => Err(error(format!("F32 {found:?}"))),
            Some((_, values)) => Ok(values),
        }
    }

    /// A text entry.
    ///
    /// # Errors
    /// If it is absent.
    pub fn text(&self, key: &str) -> Result<&str> {
        self.checkpoint.text.get(key).map(String::as_str).ok_or_else(|| TensorError::CheckpointFormat {
            path: self.path.clone(),
            reason: format!("no entry `{key}`: not written by radio-ssl"),
        })
    }

    /// Loads parameters by name.
    ///
    /// # Errors
    /// As [`Loaded::tensor`].
    pub fn load_parameters(&self, parameters: &mut [Parameter]) -> Result<()> {
        for p in parameters {
            let torch = self.tensor(&p.name, &p.shape)?.to_vec();
            p.set_from_torch(&torch)?;
        }
        Ok(())
    }

    /// The record of the trunk, which files written before there was one do not have.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn encoder(&self) -> Result<Option<EncoderRecord>> {
        let Some(text) = self.checkpoint.text.get(ENCODER_KEY) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|e| TensorError::CheckpointFormat {
            path: self.path.clone(),
            reason: format!("entry {ENCODER_KEY}: {e}"),
        })
    }

    /// The trunk of this kind and these sizes, with the file's weights.
    ///
    /// # Errors
    /// As [`Loaded::load_trunk`], or if sizes are out of range. Tensors are looked for before memory is taken for them: the sizes may
    /// be the word of a hostile file.
    pub fn trunk(&self, backbone: Backbone) -> Result<Trunk> {
        backbone.check()?;
        match &backbone {
            Backbone::ResNet(config) => {
                // The largest kind of tensor; no network has more than ten times as many weights.
                let stage = if config.depth == Depth::PreActResNet18 { "stage4_unit1_" } else { "layer4.0." };
                self.tensor(&format!("{stage}conv2.weight"), &[8 * config.width, 8 * config.width, 3, 3])?;
            }
            Backbone::ViT(config) => {
                for (name, shape) in shapes(config) {
                    self.tensor(&name, &shape)?;
                }
            }
        }
        let mut trunk = Trunk::new(backbone, &mut ChaCha8Rng::seed_from_u64(0))?;
        self.load_trunk(&mut trunk)?;
        Ok(trunk)
    }

    /// Loads the trunk's weights, running statistics and scaling of the images.
    ///
    /// # Errors
    /// As [`Loaded::tensor`], or if the file was written from a network of another kind or width.
    pub fn load_trunk(&self, trunk: &mut Trunk) -> Result<()> {
        let record = self.encoder()?;
        if let Some(record) = record.filter(|record| record.network != trunk.config()) {
            let (expected, found) = (trunk.config(), record.network);
            // Shapes come first where they say it: their message names the tensor.
            self.load_parameters(trunk.parameters_mut())?;
            return Err(TensorError::CheckpointFormat {
                path: self.path.clone(),
                reason: format!("expected the network {expected:?}, found {found:?}"),
            });
        }
        trunk.set_input_scaling(record.and_then(|record| record.input_scaling))?;
        self.load_parameters(trunk.parameters_mut())?;
        for running in trunk.running_mut() {
            let shape = [running.mean.len()];
            running.mean = self.tensor(&format!("{}.running_mean", running.name), &shape)?.to_vec();
            running.variance = self.tensor(&format!("{}.running_var", running.name), &shape)?.to_vec();
        }
        Ok(())
    }

    /// Loads the optimiser's moments for these parameters.
    ///
    /// # Errors
    /// As [`Loaded::tensor`], or if the step count is absent or no number.
    pub fn load_adam<'a>(&self, adam: &mut Adam, parameters: impl IntoIterator<Item = &'a Parameter>) -> Result<()> {
        for (index, p) in parameters.into_iter().enumerate() {
            adam.first[index] =
                from_torch_order(&p.shape, self.tensor(&format!("optimizer.first.{}", p.name), &p.shape)?);
            adam.second[index] =
                from_torch_order(&p.shape, self.tensor(&format!("optimizer.second.{}", p.name), &p.shape)?);
        }
        let steps = self.text("optimizer.steps")?;
        adam.steps = steps.parse().map_err(|_| TensorError::CheckpointFormat {
            path: self.path.clone(),
            reason: format!("optimizer.steps: expected a number, found {steps:?}"),
        })?;
        Ok(())
    }
}
