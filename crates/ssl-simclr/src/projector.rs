//! The projector: dense, ReLU, dense, in candle; the loss sees its output, the features lie before it.
use candle_core::{Tensor, Var};
use radio_tensor::DuringStep;
use radio_tensor::parameter::Parameter;
use rand_chacha::ChaCha8Rng;

use crate::config::{ProjectorConfig, Temperature};
use crate::error::Result;
pub use crate::head::Contrast;
use crate::head::{differentiate, leaves};
use crate::nt_xent::nt_xent;

/// Weights of the projector; names as PyTorch's `Sequential(Linear, ReLU, Linear)` under `projector`.
#[derive(Debug, Clone, PartialEq)]
pub struct Projector {
    parameters: [Parameter; 4],
}

impl Projector {
    /// Glorot-uniform weights, zero offsets (Keras's defaults, reference-facts D5).
    pub fn new(features: usize, config: ProjectorConfig, rng: &mut ChaCha8Rng) -> Self {
        let ProjectorConfig { hidden, output } = config;
        Self {
            parameters: [
                Parameter::glorot_uniform("projector.0.weight".into(), [hidden, features], rng),
                Parameter::constant("projector.0.bias".into(), vec![hidden], 0.0),
                Parameter::glorot_uniform("projector.2.weight".into(), [output, hidden], rng),
                Parameter::constant("projector.2.bias".into(), vec![output], 0.0),
            ],
        }
    }

    /// Weights and offsets, in order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Weights and offsets, to be updated.
    pub fn parameters_mut(&mut self) -> &mut [Parameter] {
        &mut self.parameters
    }

    /// Projects the features of 2N views and contrasts them.
    ///
    /// # Shapes
    /// `features`: `[2N, features]`, first views, then second views.
    /// # Errors
    /// On another shape.
    pub fn contrast(&self, features: &Tensor, temperature: Temperature) -> Result<Contrast> {
        let variables = leaves(&self.parameters).during("projector weights")?;
        // The trunk's features are a leaf of candle's graph; their gradient goes back to the trunk.
        let leaf = Var::from_tensor(features).during("features as a leaf")?;
        let z = project(leaf.as_tensor(), &variables).during("projector")?;
        differentiate(&nt_xent(&z, temperature)?, &z, &leaf, &variables)
    }
}

fn project(features: &Tensor, variables: &[Var]) -> candle_core::Result<Tensor> {
    let dense = |x: &Tensor, place: usize| x.matmul(&variables[place].t()?)?.broadcast_add(&variables[place + 1]);
    let hidden = dense(features, 0)?;
    // ReLU as a product with its mask: candle's own has gradient 1 at 0.
    let mask = hidden.gt(0.0)?.to_dtype(hidden.dtype())?;
    dense(&(hidden * mask)?, 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use rand::{Rng, SeedableRng};

    /// Every gradient along its own direction, by central differences.
    #[test]
    fn gradients_by_finite_differences() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut projector = Projector::new(12, ProjectorConfig { hidden: 10, output: 6 }, &mut rng);
        for p in projector.parameters_mut() {
            p.values.iter_mut().for_each(|v| *v += rng.random_range(-0.2..0.2));
        }
        let features: Vec<f32> = (0..16 * 12).map(|_| rng.random_range(-1.0..1.0)).collect();
        let t = Temperature::try_from(0.5).unwrap();
        let tensor = |values: &[f32]| Tensor::from_slice(values, (16, 12), &Device::Cpu).unwrap();
        let contrast = projector.contrast(&tensor(&features), t).unwrap();
        let check = |what: &str, direction: &[f32], at: &dyn Fn(&[f32]) -> f32| {
            let norm = direction.iter().map(|d| d * d).sum::<f32>().sqrt();
            let scaled = |step: f32| direction.iter().map(|d| d * step / norm).collect::<Vec<f32>>();
            let got = (at(&scaled(1e-2)) - at(&scaled(-1e-2))) / 2e-2;
            assert!((got - norm).abs() < 0.02 * norm && norm > 1e-4, "{what}: difference {got}, gradient {norm}");
        };
        for place in 0..4 {
            check(&projector.parameters[place].name, &contrast.gradients[place], &|nudge| {
                let mut moved = projector.clone();
                moved.parameters[place].values.iter_mut().zip(nudge).for_each(|(v, n)| *v += n);
                moved.contrast(&tensor(&features), t).unwrap().loss
            });
        }
        let d_features: Vec<f32> = contrast.d_features.flatten_all().unwrap().to_vec1().unwrap();
        check("features", &d_features, &|nudge| {
            let moved: Vec<f32> = features.iter().zip(nudge).map(|(f, n)| f + n).collect();
            projector.contrast(&tensor(&moved), t).unwrap().loss
        });
    }
}
