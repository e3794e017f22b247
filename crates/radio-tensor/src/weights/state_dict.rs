//! Named float tensors of a file, whatever precision they are stored in, and safetensors files as such.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors};

use super::{MOST_VALUES, format_error, read_file};
use crate::checkpoint::TEXT_KEY;
use crate::error::Result;

/// Float tensors of a file by PyTorch's names, and what else it says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateDict {
    /// The file.
    pub path: PathBuf,
    /// Shape and values, PyTorch's layouts.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// Text entries, if one of our checkpoints.
    pub text: BTreeMap<String, String>,
    /// The format, in words.
    pub origin: String,
}

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// 32 bits.
    F32,
    /// 64 bits.
    F64,
    /// IEEE half.
    F16,
    /// The upper half of an f32.
    Bf16,
}

impl Stored {
    /// Bytes of one value.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// One little-endian value, of exactly [`Stored::bytes`] bytes (else 0).
    pub fn decode(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::F64, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32,
            (Self::Bf16, &[a, b]) => f32::from_bits(u32::from(u16::from_le_bytes([a, b])) << 16),
            (Self::F16, &[a, b]) => half(u16::from_le_bytes([a, b])),
            _ => 0.0,
        }
    }
}

/// IEEE half precision, widened.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => mantissa * 2f32.powi(-24),
        31 if mantissa == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + mantissa) * 2f32.powi(exponent - 25),
    }
}

/// Reads a safetensors file; tensors of integers (counters) are left out.
///
/// # Errors
/// If it cannot be read, is damaged, or is too large.
pub fn read_safetensors(path: &Path) -> Result<StateDict> {
    let bytes = read_file(path)?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| format_error(path, e))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| format_error(path, e))?;
    let mut state = StateDict { path: path.to_path_buf(), origin: "safetensors".into(), ..StateDict::default() };
    if let Some(text) = metadata.metadata().as_ref().and_then(|texts| texts.get(TEXT_KEY)) {
        state.text =
            serde_json::from_str(text).map_err(|e| format_error(path, std::format!("entry {TEXT_KEY}: {e}")))?;
    }
    let mut total = 0;
    for (name, view) in file.tensors() {
        let stored = match view.dtype() {
            Dtype::F32 => Stored::F32,
            Dtype::F64 => Stored::F64,
            Dtype::F16 => Stored::F16,
            Dtype::BF16 => Stored::Bf16,
            _ => continue,
        };
        total += view.data().len() / stored.bytes();
        if total > MOST_VALUES {
            return Err(format_error(path, "more values than are accepted"));
        }
        let values = view.data().chunks_exact(stored.bytes()).map(|b| stored.decode(b)).collect();
        state.tensors.insert(name, (view.shape().to_vec(), values));
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of IEEE 754: 1, -2, the largest, the smallest normal and subnormal numbers.
    #[test]
    fn halves_widen_exactly() {
        for (bits, want) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 2f32.powi(-14)),
            (0x0001, 2f32.powi(-24)),
            (0x8000, -0.0),
            (0x7c00, f32::INFINITY),
            (0x3555, 0.333_251_95),
        ] {
            assert_eq!(half(bits).to_bits(), f32::to_bits(want), "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan());
        assert_eq!(Stored::Bf16.decode(&[0x80, 0x3f]), 1.0);
        assert_eq!(Stored::F64.decode(&0.5f64.to_le_bytes()), 0.5);
    }
}
