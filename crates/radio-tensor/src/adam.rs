//! Adam with savable state (Kingma & Ba 2015), on f32 master weights.
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TensorError};
use crate::parameter::Parameter;

/// Numbers of Adam. The upstream defaults are Keras's: 0.9, 0.999, 1e-7, no decay (reference-facts D6).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// L2 penalty added to the gradient.
    pub weight_decay: f64,
}

/// Optimiser state: both moments of every parameter, and the number of steps taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Adam {
    config: AdamConfig,
    /// Steps taken.
    pub steps: u64,
    /// First moments, one vector per parameter, in its layout.
    pub first: Vec<Vec<f32>>,
    /// Second moments.
    pub second: Vec<Vec<f32>>,
}

impl Adam {
    /// Fresh state for these parameters.
    pub fn new<'a>(config: AdamConfig, parameters: impl IntoIterator<Item = &'a Parameter>) -> Self {
        let first: Vec<Vec<f32>> = parameters.into_iter().map(|p| vec![0.0; p.values.len()]).collect();
        Self { config, steps: 0, second: first.clone(), first }
    }

    /// One step down the gradients.
    ///
    /// # Errors
    /// If parameters or gradients differ in number or size from those the state was made for.
    pub fn step<'a>(
        &mut self,
        lr: f64,
        parameters: impl IntoIterator<Item = &'a mut Parameter>,
        gradients: &[Vec<f32>],
    ) -> Result<()> {
        let parameters: Vec<&mut Parameter> = parameters.into_iter().collect();
        let sizes: Vec<usize> = self.first.iter().map(Vec::len).collect();
        for found in
            [parameters.iter().map(|p| p.values.len()).collect::<Vec<_>>(), gradients.iter().map(Vec::len).collect()]
        {
            if found != sizes {
                return Err(TensorError::Shape {
                    what: "Adam".into(),
                    expected: format!("{} tensors as at creation", sizes.len()),
                    found,
                });
            }
        }
        self.steps += 1;
        let AdamConfig { beta1, beta2, epsilon, weight_decay } = self.config;
        let steps = self.steps.min(i32::MAX as u64) as i32;
        // Bias corrections folded into the step size, as PyTorch does (epsilon on the corrected root; Keras adds it
        // to the uncorrected one, which differs only where gradients are near epsilon).
        let root2 = (1.0 - beta2.powi(steps)).sqrt();
        let size = (lr / (1.0 - beta1.powi(steps))) as f32;
        let (b1, b2, root2, epsilon, decay) =
            (beta1 as f32, beta2 as f32, root2 as f32, epsilon as f32, weight_decay as f32);
        const CHUNK: usize = 1 << 14;
        for (((parameter, gradient), first), second) in
            parameters.into_iter().zip(gradients).zip(&mut self.first).zip(&mut self.second)
        {
            parameter
                .values
                .par_chunks_mut(CHUNK)
                .zip(gradient.par_chunks(CHUNK))
                .zip(first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)))
                .for_each(|((w, g), (m, v))| {
                    for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                        let g = g + decay * *w;
                        *m = b1 * *m + (1.0 - b1) * g;
                        *v = b2 * *v + (1.0 - b2) * g * g;
                        *w -= size * *m / (v.sqrt() / root2 + epsilon);
                    }
                });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERAS: AdamConfig = AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 };

    /// The first step moves every weight by the learning rate, against the gradient's sign.
    #[test]
    fn first_step_is_the_learning_rate() {
        let mut p = Parameter { name: "w".into(), shape: vec![3], values: vec![1.0, -2.0, 0.5] };
        let mut adam = Adam::new(KERAS, [&p]);
        adam.step(0.01, [&mut p], &[vec![0.3, -7.0, 1e-3]]).unwrap();
        for (got, want) in p.values.iter().zip([0.99, -1.99, 0.49]) {
            assert!((got - want).abs() < 2e-6, "{got} {want}");
        }
    }

    /// Ten steps against the formulas of the paper written out in f64.
    #[test]
    fn follows_the_paper() {
        let mut p = Parameter { name: "w".into(), shape: vec![1], values: vec![2.0] };
        let mut adam = Adam::new(AdamConfig { weight_decay: 0.1, ..KERAS }, [&p]);
        let (mut w, mut m, mut v) = (2.0f64, 0.0f64, 0.0f64);
        for t in 1..=10 {
            let g = (t as f64 * 0.7).sin();
            adam.step(0.05, [&mut p], &[vec![g as f32]]).unwrap();
            let g = g + 0.1 * w;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            w -= 0.05 * (m / (1.0 - 0.9f64.powi(t))) / ((v / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-7);
        }
        assert!((f64::from(p.values[0]) - w).abs() < 1e-5, "{} {w}", p.values[0]);
    }

    #[test]
    fn refuses_gradients_of_another_model() {
        let mut p = Parameter { name: "w".into(), shape: vec![3], values: vec![0.0; 3] };
        let mut adam = Adam::new(KERAS, [&p]);
        assert!(matches!(adam.step(0.1, [&mut p], &[vec![0.0; 2]]), Err(TensorError::Shape { .. })));
    }
}
