//! Named weights in the kernels' layout, and their torchvision shape at the door to files.
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::error::{Result, TensorError};

/// One trainable tensor: f32 master weights.
///
/// Convolution weights are kept as the kernels read them, `[row, column, in, out]`; [`Parameter::to_torch`]
/// and [`Parameter::set_from_torch`] speak torchvision's `[out, in, row, column]`. Others have one layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// torchvision's name, as `layer1.0.conv1.weight`.
    pub name: String,
    /// torchvision's shape.
    pub shape: Vec<usize>,
    /// Values in the kernels' layout.
    pub values: Vec<f32>,
}

impl Parameter {
    /// All entries equal (batch-norm scales and offsets).
    pub fn constant(name: String, shape: Vec<usize>, value: f32) -> Self {
        let values = vec![value; shape.iter().product()];
        Self { name, shape, values }
    }

    /// A convolution weight from a normal distribution of variance 2 / fan-out (He et al. 2015, as torchvision's ResNet).
    pub fn kaiming_normal(name: String, [out, input, rows, cols]: [usize; 4], rng: &mut ChaCha8Rng) -> Self {
        let spread = (2.0 / (out * rows * cols) as f64).sqrt();
        let values = (0..out * input * rows * cols).map(|_| (standard_normal(rng) * spread) as f32).collect();
        Self { name, shape: vec![out, input, rows, cols], values }
    }

    /// A convolution weight, uniform within ±sqrt(6 / fan-in) (He et al. 2015, as Keras' `he_uniform`).
    pub fn he_uniform(name: String, [out, input, rows, cols]: [usize; 4], rng: &mut ChaCha8Rng) -> Self {
        let limit = (6.0 / (input * rows * cols) as f64).sqrt();
        let values = (0..out * input * rows * cols).map(|_| (rng.random_range(-1.0..1.0) * limit) as f32).collect();
        Self { name, shape: vec![out, input, rows, cols], values }
    }

    /// A dense weight `[out, in]`, uniform within ±sqrt(6 / (in + out)) (Glorot & Bengio 2010; the projector's Keras default).
    pub fn glorot_uniform(name: String, [out, input]: [usize; 2], rng: &mut ChaCha8Rng) -> Self {
        let limit = (6.0 / (input + out) as f64).sqrt();
        let values = (0..out * input).map(|_| (rng.random_range(-1.0..1.0) * limit) as f32).collect();
        Self { name, shape: vec![out, input], values }
    }

    /// The values in torchvision's order.
    pub fn to_torch(&self) -> Vec<f32> {
        to_torch_order(&self.shape, &self.values)
    }

    /// Replaces the values by those of a torchvision tensor.
    ///
    /// # Errors
    /// If the number of values differs.
    pub fn set_from_torch(&mut self, torch: &[f32]) -> Result<()> {
        if torch.len() != self.values.len() {
            return Err(TensorError::Shape {
                what: self.name.clone(),
                expected: format!("{:?}", self.shape),
                found: vec![torch.len()],
            });
        }
        self.values = from_torch_order(&self.shape, torch);
        Ok(())
    }
}

/// `[row, column, in, out]` to `[out, in, row, column]` for four axes; a copy otherwise.
pub fn to_torch_order(shape: &[usize], kernel: &[f32]) -> Vec<f32> {
    let &[o, i, rows, cols] = shape else {
        return kernel.to_vec();
    };
    let mut torch = vec![0.0; kernel.len()];
    for (tap, block) in kernel.chunks_exact((i * o).max(1)).enumerate() {
        for (position, &value) in block.iter().enumerate() {
            torch[((position % o) * i + position / o) * rows * cols + tap] = value;
        }
    }
    torch
}

/// Inverse of [`to_torch_order`].
pub fn from_torch_order(shape: &[usize], torch: &[f32]) -> Vec<f32> {
    let &[o, i, rows, cols] = shape else {
        return torch.to_vec();
    };
    let mut kernel = vec![0.0; torch.len()];
    for (tap, block) in kernel.chunks_exact_mut((i * o).max(1)).enumerate() {
        for (position, value) in block.iter_mut().enumerate() {
            *value = torch[((position % o) * i + position / o) * rows * cols + tap];
        }
    }
    kernel
}

/// Box–Muller from the given generator (one of the two values is dropped, so that calls are independent).
fn standard_normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn torch_order_and_back() {
        let shape = vec![4, 3, 2, 5];
        let kernel: Vec<f32> = (0..120).map(|i| i as f32).collect();
        let torch = to_torch_order(&shape, &kernel);
        // out 2, in 1, row 1, column 3
        assert_eq!(torch[((2 * 3 + 1) * 2 + 1) * 5 + 3], kernel[((5 + 3) * 3 + 1) * 4 + 2]);
        assert_eq!(from_torch_order(&shape, &torch), kernel);
    }

    #[test]
    fn kaiming_spread_and_seed() {
        let draw = |seed| Parameter::kaiming_normal("w".into(), [64, 32, 3, 3], &mut ChaCha8Rng::seed_from_u64(seed));
        let w = draw(1);
        let n = w.values.len() as f64;
        let mean = w.values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = w.values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 0.002 && (variance / (2.0 / 576.0) - 1.0).abs() < 0.03, "{mean} {variance}");
        assert_eq!(w, draw(1));
        assert_ne!(w, draw(2));
    }
}
