//! Multinomial logistic regression with an L2 penalty: the linear probe.
use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::bowl::Bowl;
use super::minimise::minimise;
use super::row_space::RowSpace;
use super::standardise::Standardiser;
use crate::error::{ClassError, Result, check_labels};

/// No component of the gradient of the mean loss is larger at the end; coefficients are then good to some 1e-6.
const TOLERANCE: f64 = 1e-9;
/// Enough to tell one penalty from another: log losses are then good to some 1e-6.
const LOOSE_TOLERANCE: f64 = 1e-6;
/// A search that needs more has met classes that a plane separates, and next to no penalty.
const MOST_STEPS: usize = 3000;

/// A fitted linear classifier on standardised features.
///
/// # Source
/// The objective is scikit-learn's: `C * sum of log losses + |w|² / 2`, intercepts free of penalty; with two classes one plane
/// (binomial), with more one plane for each class (multinomial).
#[derive(Debug, Clone, PartialEq)]
pub struct Logistic {
    /// Mean and spread of the training rows.
    pub standardiser: Standardiser,
    /// Coefficients in standardised units, `[planes, features]`: one plane for two classes, else one a class.
    pub weights: Array2<f64>,
    /// Intercept of each plane.
    pub intercepts: Array1<f64>,
    /// Largest component of the gradient at the end, of the mean loss, along directions of curvature 1 or less.
    pub gradient: f64,
    /// Steps of the search.
    pub steps: usize,
    n_classes: usize,
}

impl Logistic {
    /// Fits to rows with labels from 0; `inverse_penalty` is scikit-learn's C.
    ///
    /// # Shapes
    /// `rows`: `[n, features]`; `labels`: `[n]`.
    /// # Errors
    /// With fewer than two classes, no row, a label out of range, a feature that is not finite, or a C not above 0.
    pub fn fit(rows: ArrayView2<f32>, labels: &[usize], n_classes: usize, inverse_penalty: f64) -> Result<Self> {
        Ok(Self::fits(rows, labels, n_classes, &[inverse_penalty], TOLERANCE)?.remove(0))
    }

    /// A fit for each of `inverse_penalties`, to choose one of them: what does not depend on them is made once, each search starts
    /// where the one before it ended, and ends at a gradient of 1e-6; [`Logistic::fit`] is a thousand times as exact.
    ///
    /// # Shapes
    /// `rows`: `[n, features]`; `labels`: `[n]`.
    /// # Errors
    /// As [`Logistic::fit`].
    pub fn fit_each(
        rows: ArrayView2<f32>,
        labels: &[usize],
        n_classes: usize,
        inverse_penalties: &[f64],
    ) -> Result<Vec<Self>> {
        Self::fits(rows, labels, n_classes, inverse_penalties, LOOSE_TOLERANCE)
    }

    fn fits(
        rows: ArrayView2<f32>,
        labels: &[usize],
        n_classes: usize,
        inverse_penalties: &[f64],
        tolerance: f64,
    ) -> Result<Vec<Self>> {
        check_labels(labels, rows.nrows(), n_classes)?;
        if n_classes < 2 {
            return Err(ClassError::TooFew { what: "classes".into(), needed: 2, found: n_classes });
        }
        if let Some(wrong) = inverse_penalties.iter().find(|c| !(**c > 0.0 && c.is_finite())) {
            let found = wrong.to_string();
            return Err(ClassError::Setting { name: "inverse_penalty", expected: "a finite number above 0", found });
        }
        let standardiser = Standardiser::fit(rows)?;
        let rows = standardiser.apply(rows)?;
        let planes = if n_classes == 2 { 1 } else { n_classes };
        let space = RowSpace::pays(rows.nrows(), rows.ncols()).then(|| RowSpace::of(&rows));
        let x = space.as_ref().map_or(&rows, |space| &space.coordinates);
        let (n, p) = x.dim();
        // Curvature of the log loss where every class is as likely.
        let curvature = if planes == 1 { 0.25 } else { 1.0 / n_classes as f64 };
        let products = x.t().dot(x) * (curvature / n as f64);
        let (mut weights, mut intercepts) = (Array2::zeros((planes, p)), Array1::zeros(planes));
        let mut fits = Vec::with_capacity(inverse_penalties.len());
        for &inverse_penalty in inverse_penalties {
            let penalty = 1.0 / (inverse_penalty * n as f64);
            let bowl = Bowl::of(&products, penalty, curvature);
            let objective = |place: &[f64], gradient: &mut [f64]| {
                let (weights, intercepts) = bowl.leave(place, planes);
                let mut residual = logits(x, &weights, &intercepts);
                let loss = loss_and_residual(&mut residual, labels) / n as f64;
                residual /= n as f64;
                let slope = weighted_sums(&residual, x) + &weights * penalty;
                bowl.slopes(&slope, &residual.sum_axis(Axis(0)), gradient);
                loss + 0.5 * penalty * weights.iter().map(|w| w * w).sum::<f64>()
            };
            let found = minimise(objective, bowl.enter(&weights, &intercepts), tolerance, MOST_STEPS);
            (weights, intercepts) = bowl.leave(&found.at, planes);
            let of_features = match &space {
                Some(space) => space.carried_back(&weights, &rows),
                None => weights.clone(),
            };
            fits.push(Self {
                standardiser: standardiser.clone(),
                weights: of_features,
                intercepts: intercepts.clone(),
                gradient: found.gradient,
                steps: found.steps,
                n_classes,
            });
        }
        Ok(fits)
    }

    /// Weights `[classes, features]` and offsets of the same classifier on rows that are not standardised, for a softmax.
    pub fn softmax_planes(&self) -> (Array2<f64>, Vec<f64>) {
        let (weights, offsets) = self.standardiser.carried_back(&self.weights, &self.intercepts.to_vec());
        if self.n_classes > 2 {
            return (weights, offsets);
        }
        let half = |class: usize| class as f64 - 0.5;
        let planes = Array2::from_shape_fn((2, weights.ncols()), |(class, column)| half(class) * weights[(0, column)]);
        (planes, vec![half(0) * offsets[0], half(1) * offsets[0]])
    }

    /// Probability of every class, `[n, classes]`; each row sums to 1.
    ///
    /// # Errors
    /// On another number of features, or one that is not finite.
    pub fn probabilities(&self, rows: ArrayView2<f32>) -> Result<Array2<f64>> {
        let scores = logits(&self.standardiser.apply(rows)?, &self.weights, &self.intercepts);
        let mut out = Array2::zeros((rows.nrows(), self.n_classes));
        for (mut out, scores) in out.rows_mut().into_iter().zip(scores.rows()) {
            if scores.len() == 1 {
                let p = sigmoid(scores[0]);
                (out[0], out[1]) = (sigmoid(-scores[0]), p);
            } else {
                let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                out.iter_mut().zip(scores).for_each(|(out, score)| *out = (score - highest).exp());
                let sum = out.sum();
                out /= sum;
            }
        }
        Ok(out)
    }
}

/// A few planes at once: row by row, for a product of matrices would copy all rows for each plane or two.
fn logits(x: &Array2<f64>, weights: &Array2<f64>, intercepts: &Array1<f64>) -> Array2<f64> {
    Array2::from_shape_fn((x.nrows(), weights.nrows()), |(row, plane)| {
        x.row(row).dot(&weights.row(plane)) + intercepts[plane]
    })
}

/// `residual^T x`: the rows of `x` weighted by a column of residuals and summed, for every plane.
fn weighted_sums(residual: &Array2<f64>, x: &Array2<f64>) -> Array2<f64> {
    let mut sums = Array2::zeros((residual.ncols(), x.ncols()));
    for (row, shares) in x.rows().into_iter().zip(residual.rows()) {
        sums.rows_mut().into_iter().zip(shares).for_each(|(mut sum, &share)| sum.scaled_add(share, &row));
    }
    sums
}

/// Turns logits into the gradient of the summed log loss with respect to them, and returns that loss.
fn loss_and_residual(logits: &mut Array2<f64>, labels: &[usize]) -> f64 {
    let mut loss = 0.0;
    for (mut row, &label) in logits.rows_mut().into_iter().zip(labels) {
        if row.len() == 1 {
            let z = if label == 1 { row[0] } else { -row[0] };
            loss += softplus(-z);
            row[0] = if label == 1 { -sigmoid(-z) } else { sigmoid(-z) };
        } else {
            let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let own = row[label] - highest;
            row.mapv_inplace(|v| (v - highest).exp());
            let sum = row.sum();
            loss += sum.ln() - own;
            row /= sum;
            row[label] -= 1.0;
        }
    }
    loss
}

/// 1 / (1 + exp(-z)), without overflow.
pub(crate) fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 { 1.0 / (1.0 + (-z).exp()) } else { z.exp() / (1.0 + z.exp()) }
}

/// ln(1 + exp(z)), without overflow.
pub(crate) fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    /// Whole numbers without a generator: rows of four columns, and labels in `k` classes.
    fn small(k: usize) -> (Array2<f32>, Vec<usize>) {
        let x = Array2::from_shape_fn((24, 4), |(i, j)| {
            (((7 * i * i + 3 * i * (j + 1) + 5 * j) % 19) * (j + 1) + 2 * j) as f32
        });
        let y = (0..24).map(|i| (3 * i + usize::from(x[(i, 0)] > 8.0) + usize::from(x[(i, 2)] > 20.0)) % k).collect();
        (x, y)
    }

    fn close<'a>(what: &str, ours: impl IntoIterator<Item = &'a f64>, theirs: &[f64]) {
        let ours: Vec<f64> = ours.into_iter().copied().collect();
        assert_eq!(ours.len(), theirs.len(), "{what}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-6, "{what}: {ours}, scikit-learn {theirs}");
        }
    }

    /// Coefficients and probabilities of scikit-learn 1.9.1 (StandardScaler, LogisticRegression with tol=1e-12).
    #[test]
    fn equals_scikit_learn() {
        let (x, y) = small(2);
        let two = Logistic::fit(x.view(), &y, 2, 0.1).unwrap();
        close("weights", &two.weights, &[-0.04011926, -0.18682477, -0.21408534, 0.09721698]);
        close("intercept", &two.intercepts, &[-0.17066336]);
        let p = two.probabilities(x.view()).unwrap();
        close("probabilities", [&p[(0, 0)], &p[(5, 1)], &p[(23, 0)]], &[0.47021558, 0.59555953, 0.52194845]);

        let (x, y) = small(3);
        let three = Logistic::fit(x.view(), &y, 3, 1.0).unwrap();
        let weights = [
            [-0.58327652, -0.73411511, -1.16851236, 0.01297042],
            [-0.36718421, 0.22406583, 0.46340826, -0.21927922],
            [0.95046073, 0.51004929, 0.7051041, 0.2063088],
        ];
        close("weights", &three.weights, weights.as_flattened());
        close("intercepts", &three.intercepts, &[-1.65000251, 1.27487797, 0.37512454]);
        let p = three.probabilities(x.view()).unwrap();
        close("probabilities", p.row(5).iter(), &[0.71227369, 0.28292511, 0.0048012]);
        assert!(three.gradient <= TOLERANCE);
    }

    /// More features than rows, classes that a plane separates, and a column without spread: the penalty still decides.
    #[test]
    fn wide_and_separable_tables_converge() {
        let x =
            Array2::from_shape_fn((30, 80), |(i, j)| if j == 5 { 3.0 } else { ((i * (j + 3) + j * j) % 23) as f32 });
        let y: Vec<usize> = (0..30).map(|i| i % 3).collect();
        for c in [0.01, 1.0, 100.0] {
            let fitted = Logistic::fit(x.view(), &y, 3, c).unwrap();
            assert!(fitted.gradient <= TOLERANCE, "C {c}: gradient {}", fitted.gradient);
            assert!(fitted.weights.column(5).iter().all(|&w| w == 0.0));
            assert!(fitted.weights.sum().abs() < 1e-6, "planes of a symmetric penalty sum to nothing");
        }
    }

    /// In the coordinates of few rows the least loss is that of all features: there the slope is zero in every one of them.
    #[test]
    fn the_slope_is_zero_in_every_feature() {
        for features in [40, 80, 200] {
            let x = Array2::from_shape_fn((30, features), |(i, j)| ((i * i * (j + 3) + j * j) % 23) as f32);
            let y: Vec<usize> = (0..30).map(|i| (i * i + i / 7) % 3).collect();
            for (classes, y) in [(3, y.clone()), (2, y.iter().map(|&label| label.min(1)).collect())] {
                let fitted = Logistic::fit(x.view(), &y, classes, 0.5).unwrap();
                let rows = fitted.standardiser.apply(x.view()).unwrap();
                let mut residual = rows.dot(&fitted.weights.t()) + &fitted.intercepts;
                loss_and_residual(&mut residual, &y);
                let slope = (residual.t().dot(&rows) * 0.5 + &fitted.weights) / 30.0;
                assert!(slope.iter().all(|v| v.abs() < 1e-8), "{features} features, {classes} classes");
                assert!(residual.sum_axis(Axis(0)).iter().all(|v| v.abs() < 1e-6));
            }
        }
    }

    #[test]
    fn planes_on_rows_as_they_are_give_the_same_probabilities() {
        let x = Array2::from_shape_fn((30, 5), |(i, j)| ((i * i * (j + 3) + j * j) % 23) as f32 * 10.0 + 500.0);
        for classes in [2, 3] {
            let y: Vec<usize> = (0..30).map(|i| (i * i + i / 7) % classes).collect();
            let fitted = Logistic::fit(x.view(), &y, classes, 0.5).unwrap();
            let (weights, offsets) = fitted.softmax_planes();
            let want = fitted.probabilities(x.view()).unwrap();
            for (row, want) in x.rows().into_iter().zip(want.rows()) {
                let logit = |class: usize| {
                    offsets[class] + row.iter().zip(weights.row(class)).map(|(x, w)| f64::from(*x) * w).sum::<f64>()
                };
                let sum: f64 = (0..classes).map(|class| (logit(class) - logit(0)).exp()).sum();
                let found = |class: usize| (logit(class) - logit(0)).exp() / sum;
                assert!((0..classes).all(|class| (found(class) - want[class]).abs() < 1e-9));
            }
        }
    }

    /// A common part a thousand times the rest, as untrained networks have it: the search must not take a thousand steps.
    #[test]
    fn features_that_are_nearly_the_same_need_few_steps() {
        let x = Array2::from_shape_fn((90, 60), |(i, j)| {
            let common = ((i * i * 31 + 7) % 101) as f32;
            common + 1e-3 * ((i * (j + 3) * 17 + j * j * i * i) % 89) as f32
        });
        let y: Vec<usize> = (0..90).map(|i| (i * i + i / 7) % 4).collect();
        for (c, fitted) in [0.01, 1.0].into_iter().zip(Logistic::fit_each(x.view(), &y, 4, &[0.01, 1.0]).unwrap()) {
            let alone = Logistic::fit(x.view(), &y, 4, c).unwrap();
            assert!(alone.gradient <= TOLERANCE && alone.steps < 60, "C {c}: {} steps", alone.steps);
            assert!(fitted.gradient <= LOOSE_TOLERANCE && fitted.steps < alone.steps, "C {c}: {} steps", fitted.steps);
            let (one, other) = (alone.probabilities(x.view()).unwrap(), fitted.probabilities(x.view()).unwrap());
            assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-4), "C {c}");
        }
    }

    #[test]
    fn bad_input_is_refused() {
        let x = array![[1.0f32], [2.0]];
        assert!(matches!(Logistic::fit(x.view(), &[0, 0], 1, 1.0), Err(ClassError::TooFew { .. })));
        assert!(matches!(Logistic::fit(x.view(), &[0, 2], 2, 1.0), Err(ClassError::UnknownClass { .. })));
        assert!(matches!(Logistic::fit(x.view(), &[0, 1], 2, 0.0), Err(ClassError::Setting { .. })));
        let empty = Array2::<f32>::zeros((0, 3));
        assert!(matches!(Logistic::fit(empty.view(), &[], 2, 1.0), Err(ClassError::TooFew { .. })));
    }
}
