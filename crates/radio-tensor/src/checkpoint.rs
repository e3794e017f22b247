//! Checkpoints: one safetensors file with weights, optional optimiser state, and the run's TOML inside.
//!
//! Files are written beside their target, flushed to disk and renamed, so a killed process or a full
//! disk leaves the last good state. PyTorch reads them with `safetensors.torch.load_file`.
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

use atomic_file::write_atomically;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::adam::Adam;
use crate::error::{Result, TensorError};
use crate::parameter::{Parameter, from_torch_order, to_torch_order};
use crate::resnet::ResNet;

/// Files larger than this are refused before they are mapped into memory.
const LARGEST: u64 = 8 << 30;

/// Key of the metadata entry that holds all texts, as a JSON object.
const TEXT_KEY: &str = "radio-ssl";

/// Named f32 tensors and text entries, as in the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checkpoint {
    /// Tensors by name: shape and values, torchvision's order.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// Text by key, as `run.toml` or `step`.
    pub text: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Adds the trunk's weights and running statistics under torchvision's names.
    pub fn put_trunk(&mut self, trunk: &ResNet) {
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
        let io = |source| TensorError::CheckpointIo { action: "write", path: path.to_path_buf(), source };
        let mut views = Vec::with_capacity(self.tensors.len());
        for (name, (shape, values)) in &self.tensors {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values))
                .map_err(|e| self.format_error(path, e))?;
            views.push((name.as_str(), view));
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
    /// If it cannot be read, is no safetensors file, or holds a tensor that is not f32.
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
            if view.dtype() != Dtype::F32 {
                let found = format!("{:?} {:?}", view.dtype(), view.shape());
                return Err(TensorError::CheckpointTensor {
                    path: path.to_path_buf(),
                    name,
                    expected: "F32".into(),
                    found,
                });
            }
            let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
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

    /// Loads the trunk's weights and running statistics.
    ///
    /// # Errors
    /// As [`Loaded::tensor`].
    pub fn load_trunk(&self, trunk: &mut ResNet) -> Result<()> {
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
