//! A linear head for rows with several labels: one question per class, focal loss, and the threshold of each answer.
use ndarray::{Array2, ArrayView2};

use super::logistic::sigmoid;
use super::minimise::minimise;
use super::standardise::Standardiser;
use crate::classifier::loss::Focal;
use crate::error::{ClassError, Result};

/// See [`super::logistic`].
const TOLERANCE: f64 = 1e-7;
const MOST_STEPS: usize = 2000;

/// A fitted head on standardised features.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiLabelHead {
    standardiser: Standardiser,
    /// Coefficients in standardised units, `[classes, features]`.
    pub weights: Array2<f64>,
    /// Intercept of each class.
    pub intercepts: Vec<f64>,
}

impl MultiLabelHead {
    /// Fits every class on its own; `inverse_penalty` as in [`super::logistic::Logistic::fit`].
    ///
    /// # Shapes
    /// `rows`: `[n, features]`; `labels`: `[n, classes]`, whether the row has the class.
    /// # Errors
    /// Without a row or a class, if the lengths differ, a feature is not finite, or a setting is out of range.
    /// # Source
    /// Lin et al. 2017 (arXiv:1708.02002), as the paper's code uses it (reference-facts E2).
    pub fn fit(rows: ArrayView2<f32>, labels: ArrayView2<bool>, focal: Focal, inverse_penalty: f64) -> Result<Self> {
        focal.check()?;
        if labels.nrows() != rows.nrows() {
            return Err(ClassError::Length { what: "labels", expected: rows.nrows(), found: labels.nrows() });
        }
        if !(inverse_penalty > 0.0 && inverse_penalty.is_finite()) {
            let found = inverse_penalty.to_string();
            return Err(ClassError::Setting { name: "inverse_penalty", expected: "a finite number above 0", found });
        }
        let standardiser = Standardiser::fit(rows)?;
        let x = standardiser.apply(rows)?;
        let (n, p) = x.dim();
        let penalty = 1.0 / (inverse_penalty * n as f64);
        let mut weights = Array2::zeros((labels.ncols(), p));
        let mut intercepts = Vec::with_capacity(labels.ncols());
        for (class, wanted) in labels.columns().into_iter().enumerate() {
            let objective = |place: &[f64], gradient: &mut [f64]| {
                let (w, b) = place.split_at(p);
                gradient.iter_mut().zip(w).for_each(|(g, w)| *g = penalty * w);
                gradient[p] = 0.0;
                let mut loss = 0.5 * penalty * w.iter().map(|w| w * w).sum::<f64>();
                for (row, &wanted) in x.rows().into_iter().zip(wanted) {
                    let logit = b[0] + row.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
                    let (own, slope) = focal.of_logit(logit, wanted);
                    loss += own / n as f64;
                    let slope = slope / n as f64;
                    gradient.iter_mut().zip(row).for_each(|(g, x)| *g += slope * x);
                    gradient[p] += slope;
                }
                loss
            };
            let found = minimise(objective, vec![0.0; p + 1], TOLERANCE, MOST_STEPS);
            weights.row_mut(class).iter_mut().zip(&found.at).for_each(|(w, found)| *w = *found);
            intercepts.push(found.at[p]);
        }
        Ok(Self { standardiser, weights, intercepts })
    }

    /// Weights `[classes, features]` and offsets of the same head on rows that are not standardised.
    pub fn planes(&self) -> (Array2<f64>, Vec<f64>) {
        self.standardiser.carried_back(&self.weights, &self.intercepts)
    }

    /// Probability of every class, `[n, classes]`; rows need not sum to 1.
    ///
    /// # Errors
    /// On another number of features, or one that is not finite.
    pub fn probabilities(&self, rows: ArrayView2<f32>) -> Result<Array2<f64>> {
        let mut scores = self.standardiser.apply(rows)?.dot(&self.weights.t());
        for mut row in scores.rows_mut() {
            row.iter_mut().zip(&self.intercepts).for_each(|(score, b)| *score = sigmoid(*score + b));
        }
        Ok(scores)
    }
}

/// The threshold of each class with the highest F1 on these rows (which must not be those the head was fitted on, nor those it
/// is judged by): halfway between two neighbouring probabilities, the higher of equally good ones; 0.5 for a class without a row.
///
/// # Shapes
/// `probabilities` and `labels`: `[rows, classes]`.
/// # Errors
/// If the shapes differ or a probability is NaN.
pub fn best_thresholds(probabilities: ArrayView2<f64>, labels: ArrayView2<bool>) -> Result<Vec<f64>> {
    if probabilities.dim() != labels.dim() {
        let (expected, found) = (probabilities.len(), labels.len());
        return Err(ClassError::Length { what: "labels", expected, found });
    }
    if let Some(((row, column), value)) = probabilities.indexed_iter().find(|(_, p)| p.is_nan()) {
        return Err(ClassError::NotFinite { row, column, found: *value });
    }
    let best = |(probabilities, labels): (ndarray::ArrayView1<f64>, ndarray::ArrayView1<bool>)| {
        let positives = labels.iter().filter(|&&label| label).count();
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
        let (mut hits, mut best) = (0usize, (0.0, 0.5));
        for (place, &row) in order.iter().enumerate() {
            hits += usize::from(labels[row]);
            let next = order.get(place + 1).map(|&row| probabilities[row]);
            if next == Some(probabilities[row]) {
                continue; // no threshold lies between equal probabilities
            }
            let f1 = 2.0 * hits as f64 / (place + 1 + positives) as f64;
            if f1 > best.0 {
                best = (f1, 0.5 * (probabilities[row] + next.unwrap_or(0.0)));
            }
        }
        best.1
    };
    Ok(probabilities.columns().into_iter().zip(labels.columns()).map(best).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn questions_are_answered_one_by_one() {
        // Class 0: the first feature is high; class 1: the second is low; class 2 is never there.
        let rows = Array2::from_shape_fn((80, 3), |(row, column)| ((row * (column * 3 + 5)) % 17) as f32 - 8.0);
        let labels = Array2::from_shape_fn((80, 3), |(row, class)| match class {
            0 => rows[(row, 0)] > 2.5,
            1 => rows[(row, 1)] < -1.5,
            _ => false,
        });
        let focal = Focal { alpha: 0.25, gamma: 2.0 };
        let head = MultiLabelHead::fit(rows.view(), labels.view(), focal, 10.0).unwrap();
        let p = head.probabilities(rows.view()).unwrap();
        let thresholds = best_thresholds(p.view(), labels.view()).unwrap();
        let called = Array2::from_shape_fn((80, 3), |(row, class)| p[(row, class)] > thresholds[class]);
        let report =
            metrics::multi_label::multi_label_report(labels.as_slice().unwrap(), called.as_slice().unwrap(), 3)
                .unwrap();
        assert!(report.per_class[0].f1 > 0.99 && report.per_class[1].f1 > 0.99, "{report:?}");
        assert!(report.support[0] > 10 && report.jaccard > 0.99 && thresholds[2] == 0.5);
    }

    /// Without focusing and with equal weights the loss is half the log loss, so the head is logistic regression.
    #[test]
    fn without_focusing_it_is_logistic_regression() {
        let rows = Array2::from_shape_fn((60, 2), |(row, column)| ((row * (column * 4 + 7)) % 13) as f32);
        let labels: Vec<usize> = (0..60).map(|row| usize::from(rows[(row, 0)] + ((row % 5) as f32) > 8.0)).collect();
        let wanted = Array2::from_shape_fn((60, 1), |(row, _)| labels[row] == 1);
        let head = MultiLabelHead::fit(rows.view(), wanted.view(), Focal { alpha: 0.5, gamma: 0.0 }, 2.0).unwrap();
        let logistic = super::super::logistic::Logistic::fit(rows.view(), &labels, 2, 1.0).unwrap();
        for (ours, theirs) in head.weights.iter().zip(&logistic.weights) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
        }
    }

    #[test]
    fn thresholds_by_hand() {
        let p = array![[0.9], [0.8], [0.3], [0.3], [0.1]];
        let labels = array![[true], [false], [true], [true], [false]];
        // All of the first four: 3 of 4 right, F1 = 6 / 7; only above 0.3's equals.
        assert!((best_thresholds(p.view(), labels.view()).unwrap()[0] - 0.2).abs() < 1e-12);
        assert!(best_thresholds(p.view(), array![[true]].view()).is_err());
        assert!(best_thresholds(array![[f64::NAN]].view(), array![[true]].view()).is_err());
    }
}
