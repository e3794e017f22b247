//! Weights in and out: encoders of other libraries become a [`Trunk`](crate::trunk::Trunk), and ours become files that others read.
//!
//! In ([`read_encoder`]): our checkpoints and any `.safetensors` with torchvision's names ([`state_dict`]), PyTorch's
//! `.pth` ([`torch_file`], [`pickle`]: nothing in a pickle is ever executed), and Keras' HDF5 weight files ([`keras`]). Layers are matched by name,
//! never by order; every shape is checked; what is missing or left over is listed ([`adopt`]).
//!
//! Out: [`export::to_safetensors`] for `load_state_dict`, [`onnx::to_onnx`] for everything else.
//!
//! Files come from elsewhere and may be hostile: sizes are limited before memory is taken, and a panic inside a reader that
//! is not ours becomes an error.
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::error::{Result, TensorError};

pub mod adopt;
pub mod export;
pub mod keras;
pub mod onnx;
pub mod pickle;
pub mod state_dict;
pub mod torch_file;
mod vit_names;

pub use adopt::{ImportedEncoder, InputChoice};
use state_dict::StateDict;

/// Files larger than this are refused before they are read.
pub(crate) const LARGEST_FILE: u64 = 4 << 30;
/// Values of all tensors of a file together, at most.
pub(crate) const MOST_VALUES: usize = 1 << 29;

/// A file format that holds weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightFormat {
    /// safetensors: our checkpoints, and PyTorch's.
    Safetensors,
    /// PyTorch's `.pth` / `.pt` / `.ckpt`: a pickle and its storages, in a zip archive or (before 1.6) in a row.
    Torch,
    /// Keras' HDF5 (`.h5`).
    KerasHdf5,
}

impl WeightFormat {
    /// Recognised by the first bytes, whatever the file is called.
    ///
    /// # Errors
    /// If the file cannot be read, or is none of the three.
    pub fn of_file(path: &Path) -> Result<Self> {
        let io = |source| TensorError::CheckpointIo { action: "read", path: path.to_path_buf(), source };
        let mut head = Vec::new();
        std::fs::File::open(path).map_err(io)?.take(9).read_to_end(&mut head).map_err(io)?;
        match &head[..] {
            [0x89, b'H', b'D', b'F', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Self::KerasHdf5),
            [b'P', b'K', 3, 4, ..] => Ok(Self::Torch),
            [_, _, _, _, _, _, _, _, b'{'] => Ok(Self::Safetensors),
            [0x80, _, 0x8a, 0x0a, ..] => Ok(Self::Torch), // the long number old files begin with
            _ => Err(format_error(path, "expected safetensors, a PyTorch zip file or HDF5 by its first bytes")),
        }
    }
}

/// Reads an encoder from any of the formats.
///
/// # Errors
/// If the file cannot be read, is damaged, holds no network we know, or one with other shapes.
pub fn read_encoder(path: &Path, input: InputChoice) -> Result<ImportedEncoder> {
    adopt::adopt(read_state_dict(path)?, input)
}

/// All float tensors of a file under PyTorch's names and in its layouts.
///
/// # Errors
/// If the file cannot be read or is damaged.
pub fn read_state_dict(path: &Path) -> Result<StateDict> {
    match WeightFormat::of_file(path)? {
        WeightFormat::Safetensors => state_dict::read_safetensors(path),
        WeightFormat::Torch => torch_file::read(path),
        WeightFormat::KerasHdf5 => keras::read(path),
    }
}

/// The whole file, unless it is too large.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    let io = |source| TensorError::CheckpointIo { action: "read", path: path.to_path_buf(), source };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > LARGEST_FILE {
        return Err(format_error(path, format!("{size} bytes, more than the {LARGEST_FILE} that are accepted")));
    }
    std::fs::read(path).map_err(io)
}

fn format_error(path: &Path, reason: impl std::fmt::Display) -> TensorError {
    TensorError::CheckpointFormat { path: path.to_path_buf(), reason: reason.to_string() }
}

/// Number of values of a shape, unless it is absurd.
fn values_of(shape: &[usize]) -> Option<usize> {
    let count = shape.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis))?;
    (count <= MOST_VALUES && shape.len() <= 8).then_some(count)
}

/// Runs a reader that is not ours; its panics become errors.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(format_error(path, "damaged: its reader gave up")))
}
