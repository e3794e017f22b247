//! The linear head: features to one logit a class, with its gradient.
use ndarray::{Array2, ArrayView2, Axis};
use radio_tensor::parameter::Parameter;
use rand_chacha::ChaCha8Rng;

use super::loss::Loss;

/// Weights `[classes, features]` and offsets `[classes]`, under torchvision's names `fc.weight` and `fc.bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearHead {
    parameters: [Parameter; 2],
}

/// The loss of one batch and its gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadGradient {
    /// Mean loss.
    pub loss: f64,
    /// With respect to the features, `[n, features]`.
    pub features: Array2<f32>,
    /// With respect to weights and offsets.
    pub parameters: Vec<Vec<f32>>,
}

impl LinearHead {
    /// Glorot-uniform weights, zero offsets (Keras's defaults, reference-facts E2).
    pub fn new(features: usize, classes: usize, rng: &mut ChaCha8Rng) -> Self {
        let weight = Parameter::glorot_uniform("fc.weight".into(), [classes, features], rng);
        Self { parameters: [weight, Parameter::constant("fc.bias".into(), vec![classes], 0.0)] }
    }

    /// From weights `[classes, features]` and an offset of each class.
    pub fn of_planes(weights: &Array2<f64>, offsets: &[f64]) -> Self {
        let (classes, features) = weights.dim();
        let mut weight = Parameter::constant("fc.weight".into(), vec![classes, features], 0.0);
        weight.values.iter_mut().zip(weights).for_each(|(to, from)| *to = *from as f32);
        let mut bias = Parameter::constant("fc.bias".into(), vec![classes], 0.0);
        bias.values.iter_mut().zip(offsets).for_each(|(to, from)| *to = *from as f32);
        Self { parameters: [weight, bias] }
    }

    /// Weights and offsets.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Weights and offsets, to be updated.
    pub fn parameters_mut(&mut self) -> &mut [Parameter] {
        &mut self.parameters
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.parameters[1].values.len()
    }

    /// Weights of one class, one a feature.
    pub fn weights_of(&self, class: usize) -> &[f32] {
        let features = self.features();
        self.parameters[0].values.get(class * features..(class + 1) * features).unwrap_or_default()
    }

    fn features(&self) -> usize {
        self.parameters[0].values.len() / self.classes().max(1)
    }

    fn weights(&self) -> Array2<f64> {
        let (classes, features) = (self.classes(), self.features());
        Array2::from_shape_fn((classes, features), |(k, j)| f64::from(self.parameters[0].values[k * features + j]))
    }

    /// Logits `[n, classes]` of features `[n, features]`, summed in f64.
    pub fn logits(&self, features: ArrayView2<f32>) -> Array2<f64> {
        let mut logits = features.mapv(f64::from).dot(&self.weights().t());
        for mut row in logits.rows_mut() {
            row.iter_mut().zip(&self.parameters[1].values).for_each(|(logit, b)| *logit += f64::from(*b));
        }
        logits
    }

    /// Loss of a batch and its gradients.
    ///
    /// # Shapes
    /// `features`: `[n, features]`; `targets`: `[n, classes]`.
    pub fn gradient(&self, features: ArrayView2<f32>, targets: ArrayView2<bool>, loss: Loss) -> HeadGradient {
        let (loss, d_logits) = loss.mean(self.logits(features).view(), targets);
        let d_weights = d_logits.t().dot(&features.mapv(f64::from));
        HeadGradient {
            loss,
            features: d_logits.dot(&self.weights()).mapv(|v| v as f32),
            parameters: vec![
                d_weights.iter().map(|&v| v as f32).collect(),
                d_logits.sum_axis(Axis(0)).iter().map(|&v| v as f32).collect(),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    /// Every weight, offset and feature by central differences.
    #[test]
    fn gradients_by_finite_differences() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut head = LinearHead::new(7, 3, &mut rng);
        head.parameters[1].values = vec![0.3, -0.2, 0.1];
        let features = Array2::from_shape_fn((5, 7), |_| rng.random_range(-1.0f32..1.0));
        let targets = Array2::from_shape_fn((5, 3), |(row, class)| row % 3 == class);
        for loss in [Loss::CrossEntropy, Loss::Focal { alpha: 0.25, gamma: 2.0 }] {
            let found = head.gradient(features.view(), targets.view(), loss);
            let at = |head: &LinearHead, features: &Array2<f32>| {
                loss.mean(head.logits(features.view()).view(), targets.view()).0
            };
            let check = |what: String, found: f32, up: f64, down: f64| {
                let expected = (up - down) / 2e-2;
                assert!((f64::from(found) - expected).abs() < 2e-4, "{loss:?} {what}: {found}, difference {expected}");
            };
            for place in 0..2 {
                for i in 0..head.parameters[place].values.len() {
                    let moved = |step: f32| {
                        let mut moved = head.clone();
                        moved.parameters[place].values[i] += step;
                        at(&moved, &features)
                    };
                    check(format!("parameter {place}, {i}"), found.parameters[place][i], moved(1e-2), moved(-1e-2));
                }
            }
            for (place, &slope) in found.features.indexed_iter() {
                let moved = |step: f32| {
                    let mut moved = features.clone();
                    moved[place] += step;
                    at(&head, &moved)
                };
                check(format!("feature {place:?}"), slope, moved(1e-2), moved(-1e-2));
            }
        }
    }
}
