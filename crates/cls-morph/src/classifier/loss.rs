//! Losses of a linear head on logits, with their gradients, in f64: cross-entropy for one label a row, focal for several.
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::error::{ClassError, Result};
use crate::probes::logistic::{sigmoid, softplus};

/// What a classifier minimises.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Loss {
    /// Softmax and log loss: every row has one class.
    CrossEntropy,
    /// Sigmoid and focal loss: a row may have several classes, or none.
    Focal {
        /// Weight of a class a row has; 0.25 in the paper's code.
        alpha: f64,
        /// How fast easy answers lose weight; 2 in the paper's code, 0 is log loss.
        gamma: f64,
    },
}

impl Loss {
    /// Checks the numbers.
    ///
    /// # Errors
    /// With the setting that is out of range.
    pub fn check(self) -> Result<()> {
        match self {
            Self::CrossEntropy => Ok(()),
            Self::Focal { alpha, gamma } => Focal { alpha, gamma }.check(),
        }
    }

    /// Mean loss over rows (focal: over rows and classes) and its gradient.
    ///
    /// # Shapes
    /// `logits`: `[n, classes]`; `targets`: `[n, classes]`, 1 for what a row is and 0 else; gradient: as `logits`.
    pub fn mean(self, logits: ArrayView2<f64>, targets: ArrayView2<bool>) -> (f64, Array2<f64>) {
        let (n, classes) = logits.dim();
        let mut gradient = Array2::zeros((n, classes));
        let mut sum = 0.0;
        for ((logits, targets), mut gradient) in logits.rows().into_iter().zip(targets.rows()).zip(gradient.rows_mut())
        {
            match self {
                Self::CrossEntropy => {
                    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let total: f64 = logits.iter().map(|z| (z - highest).exp()).sum();
                    for (class, g) in gradient.iter_mut().enumerate() {
                        let log_p = logits[class] - highest - total.ln();
                        let wanted = f64::from(u8::from(targets[class]));
                        sum -= wanted * log_p;
                        *g = (log_p.exp() - wanted) / n as f64;
                    }
                }
                Self::Focal { alpha, gamma } => {
                    for (class, g) in gradient.iter_mut().enumerate() {
                        let (loss, slope) = Focal { alpha, gamma }.of_logit(logits[class], targets[class]);
                        sum += loss / classes as f64;
                        *g = slope / (n * classes) as f64;
                    }
                }
            }
        }
        (sum / n.max(1) as f64, gradient)
    }

    /// Probabilities of logits: softmax, or a sigmoid of each for several labels.
    pub fn probabilities(self, logits: ArrayView2<f64>) -> Array2<f64> {
        let mut out = logits.to_owned();
        match self {
            Self::Focal { .. } => out.mapv_inplace(sigmoid),
            Self::CrossEntropy => {
                for mut row in out.rows_mut() {
                    let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    row.mapv_inplace(|z| (z - highest).exp());
                    let sum = row.sum();
                    row /= sum;
                }
            }
        }
        out
    }
}

/// The two numbers of the focal loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Focal {
    /// Weight of a class a row has, in 0..=1; the others weigh `1 - alpha`.
    pub alpha: f64,
    /// Power of `1 - p`, 0 to 10.
    pub gamma: f64,
}

impl Focal {
    /// Checks both numbers.
    ///
    /// # Errors
    /// With the one that is out of range.
    pub fn check(self) -> Result<()> {
        let wrong = |name, expected, found: f64| Err(ClassError::Setting { name, expected, found: found.to_string() });
        match self {
            Self { alpha, .. } if !(0.0..=1.0).contains(&alpha) => wrong("alpha", "0 to 1", alpha),
            Self { gamma, .. } if !(0.0..=10.0).contains(&gamma) => wrong("gamma", "0 to 10", gamma),
            _ => Ok(()),
        }
    }

    /// Loss of one answer and its slope: `-w (1 - p)^gamma ln p` with `p` the probability given to the truth.
    pub fn of_logit(self, logit: f64, wanted: bool) -> (f64, f64) {
        let (sign, weight) = if wanted { (1.0, self.alpha) } else { (-1.0, 1.0 - self.alpha) };
        let z = sign * logit;
        let (log_p, rest) = (-softplus(-z), sigmoid(-z));
        let focus = rest.powf(self.gamma);
        let slope = focus * (self.gamma * sigmoid(z) * log_p - rest);
        (-weight * focus * log_p, sign * weight * slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn gradients_by_finite_differences() {
        let logits = array![[0.3, -1.2, 2.0], [30.0, -5.0, 0.1], [-0.7, 0.0, -40.0]];
        let one = array![[false, true, false], [true, false, false], [false, false, true]];
        let several = array![[true, true, false], [false, false, false], [true, false, true]];
        for (loss, targets) in [
            (Loss::CrossEntropy, &one),
            (Loss::Focal { alpha: 0.25, gamma: 2.0 }, &several),
            (Loss::Focal { alpha: 0.7, gamma: 0.0 }, &several),
        ] {
            let (_, gradient) = loss.mean(logits.view(), targets.view());
            for (place, &found) in gradient.indexed_iter() {
                let at = |step: f64| {
                    let mut moved = logits.clone();
                    moved[place] += step;
                    loss.mean(moved.view(), targets.view()).0
                };
                let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!(
                    (found - expected).abs() < 1e-7 * (1.0 + expected.abs()),
                    "{loss:?} {place:?} {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn closed_forms() {
        let (loss, _) = Loss::CrossEntropy.mean(array![[0.0, 0.0, 0.0]].view(), array![[false, true, false]].view());
        assert!((loss - 3f64.ln()).abs() < 1e-12);
        // p = 1/2 everywhere: w (1/2)^2 ln 2.
        let focal = Loss::Focal { alpha: 0.25, gamma: 2.0 };
        let (loss, _) = focal.mean(array![[0.0, 0.0]].view(), array![[true, false]].view());
        assert!((loss - 0.5 * (0.25 + 0.75) * 0.25 * 2f64.ln()).abs() < 1e-12);
        let (huge, gradient) = focal.mean(array![[1e4, -1e4]].view(), array![[false, true]].view());
        assert!(huge.is_finite() && gradient.iter().all(|g| g.is_finite()));
        assert!(Loss::Focal { alpha: 2.0, gamma: 1.0 }.check().is_err());
    }
}
