//! What several test files need: the golden folder, comparisons, and a noise image without a random generator.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)] // each test file uses its part; a missing file fails the test

use std::{fs, path::PathBuf};

use ndarray::{Array2, Array3};
use serde_json::Value;

/// One pair `NAME.json`, `NAME.safetensors` of the golden folder.
pub struct Golden {
    pub notes: Value,
    bytes: Vec<u8>,
}

impl Golden {
    pub fn open(name: &str) -> Self {
        let folder =
            std::env::var("RADIO_SSL_GOLDEN").expect("this test needs RADIO_SSL_GOLDEN, the folder of golden values");
        let path = PathBuf::from(folder).join(name);
        let notes = fs::read_to_string(path.with_extension("json")).unwrap();
        let bytes = fs::read(path.with_extension("safetensors")).unwrap();
        Self { notes: serde_json::from_str(&notes).unwrap(), bytes }
    }

    pub fn names(&self) -> Vec<String> {
        let tensors = safetensors::SafeTensors::deserialize(&self.bytes).unwrap();
        tensors.names().into_iter().map(String::from).collect()
    }

    fn tensor(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let tensors = safetensors::SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap_or_else(|_| panic!("no golden tensor {name}"));
        assert_eq!(tensor.dtype(), safetensors::Dtype::F32, "{name}");
        let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        (tensor.shape().to_vec(), values)
    }

    pub fn image(&self, name: &str) -> Array2<f32> {
        let (shape, values) = self.tensor(name);
        Array2::from_shape_vec((shape[0], shape[1]), values).unwrap()
    }

    pub fn channels(&self, name: &str) -> Array3<f32> {
        let (shape, values) = self.tensor(name);
        Array3::from_shape_vec((shape[0], shape[1], shape[2]), values).unwrap()
    }
}

pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Largest difference of two lists; NaN must meet NaN.
pub fn largest_difference<'a>(got: impl IntoIterator<Item = &'a f32>, want: impl IntoIterator<Item = &'a f32>) -> f64 {
    let (mut got, mut want) = (got.into_iter(), want.into_iter());
    let mut largest = 0.0f64;
    loop {
        match (got.next(), want.next()) {
            (None, None) => return largest,
            (Some(a), Some(b)) if a.is_nan() && b.is_nan() => {}
            (Some(a), Some(b)) => {
                let difference = (f64::from(*a) - f64::from(*b)).abs();
                largest = if difference.is_nan() { f64::INFINITY } else { largest.max(difference) };
            }
            _ => panic!("lengths differ"),
        }
    }
}

pub fn largest_entry<'a>(values: impl IntoIterator<Item = &'a f32>) -> f64 {
    values.into_iter().fold(0.0, |largest, v| largest.max(f64::from(v.abs())))
}

/// The test image of reference-facts J1, `side` x `side` (256 there), with its NaN.
pub fn reference_image(side: usize) -> Array2<f32> {
    Array2::from_shape_fn((side, side), |(y, x)| {
        let index = (y * side + x) as u64;
        let noise: f64 = (0..4).map(|k| splitmix(4 * index + k + 1)).sum::<f64>() - 2.0;
        let (dx, dy) = (x as f64 - 140.0 * side as f64 / 256.0, y as f64 - 90.0 * side as f64 / 256.0);
        let value = 3e-5 * noise + 2e-3 * (-(dx * dx + dy * dy) / 32.0).exp();
        match (y * 256 / side, x * 256 / side) {
            (0..20, _) => 0.0,
            (200, 200) => f32::NAN,
            _ => value as f32,
        }
    })
}

/// splitmix64's finaliser as a number in [0, 1).
pub fn splitmix(i: u64) -> f64 {
    let mut z = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}
