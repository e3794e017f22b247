//! Classification metrics from a confusion matrix: precision, recall, F1, contamination per class and averaged.
//!
//! Everything is a ratio of integer counts, so the matrix is the only state. A ratio whose denominator
//! is zero counts as 0 (a class that is never predicted has precision 0 and contamination 1), the
//! convention of scikit-learn with `zero_division=0`.

use serde::{Deserialize, Serialize};

use crate::error::MetricsError;

/// Counts of (true class, predicted class).
///
/// # Shapes
/// `counts` is `[n_classes, n_classes]` in row-major order: rows are the true class, columns the prediction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfusionMatrix {
    n_classes: usize,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// Count label pairs. Labels count from 0.
    ///
    /// # Errors
    /// If the slices differ in length, are empty, or hold a label not below `n_classes`.
    pub fn from_labels(truth: &[usize], predicted: &[usize], n_classes: usize) -> Result<Self, MetricsError> {
        if truth.len() != predicted.len() {
            return Err(MetricsError::LengthMismatch {
                what: "predicted",
                expected: truth.len(),
                found: predicted.len(),
            });
        }
        if truth.is_empty() {
            return Err(MetricsError::Empty { what: "truth" });
        }
        let mut counts = vec![0; n_classes * n_classes];
        for (row, (&true_class, &predicted_class)) in truth.iter().zip(predicted).enumerate() {
            for (what, found) in [("truth", true_class), ("predicted", predicted_class)] {
                if found >= n_classes {
                    return Err(MetricsError::UnknownClass { what, row, found, n_classes });
                }
            }
            counts[true_class * n_classes + predicted_class] += 1;
        }
        Ok(Self { n_classes, counts })
    }

    /// Number of classes, the side of the matrix.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Rows of class `true_class` that were called `predicted_class`; `None` outside the matrix.
    pub fn count(&self, true_class: usize, predicted_class: usize) -> Option<u64> {
        let inside = true_class < self.n_classes && predicted_class < self.n_classes;
        inside.then(|| self.counts[true_class * self.n_classes + predicted_class])
    }

    /// The counts, `[n_classes, n_classes]` row-major, rows = true class.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Each row divided by its sum (a class without rows stays 0); same layout as [`Self::counts`].
    pub fn row_normalised(&self) -> Vec<f64> {
        self.counts
            .chunks(self.n_classes.max(1))
            .flat_map(|row| {
                let support = row.iter().sum();
                row.iter().map(move |&count| ratio(count, support))
            })
            .collect()
    }

    /// Share of rows on the diagonal.
    pub fn accuracy(&self) -> f64 {
        let right = (0..self.n_classes).map(|class| self.counts[class * self.n_classes + class]).sum();
        ratio(right, self.counts.iter().sum())
    }

    /// Plain mean of F1 over the classes that have rows or predictions: scikit-learn's macro F1, which a resample without a
    /// row of some class keeps defined. Equal to [`ClassificationReport::macro_average`] where every class is present.
    pub fn macro_f1_of_present(&self) -> f64 {
        let totals = (0..self.n_classes).map(|class| self.totals(class));
        let present = totals.filter(|&(_, predicted, support)| predicted + support > 0);
        let f1: Vec<f64> = present.map(|(hit, predicted, support)| ratio(2 * hit, predicted + support)).collect();
        if f1.is_empty() { 0.0 } else { f1.iter().sum::<f64>() / f1.len() as f64 }
    }

    /// (true positives, predicted, support) of one class.
    fn totals(&self, class: usize) -> (u64, u64, u64) {
        let n = self.n_classes;
        let predicted = (0..n).map(|row| self.counts[row * n + class]).sum();
        let support = self.counts[class * n..(class + 1) * n].iter().sum();
        (self.counts[class * n + class], predicted, support)
    }
}

/// Precision, recall, F1 and contamination, all in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// TP / (TP + FP), "reliability" in part of the literature.
    pub precision: f64,
    /// TP / (TP + FN), "completeness".
    pub recall: f64,
    /// Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).
    pub f1: f64,
    /// 1 - precision.
    pub contamination: f64,
}

impl Scores {
    pub(crate) fn from_counts(true_positive: u64, predicted: u64, support: u64) -> Self {
        let precision = ratio(true_positive, predicted);
        Self {
            precision,
            recall: ratio(true_positive, support),
            f1: ratio(2 * true_positive, predicted + support),
            contamination: 1.0 - precision,
        }
    }

    pub(crate) fn weighted_mean(scores: &[Self], weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let mean = |value: fn(&Self) -> f64| {
            let sum: f64 = scores.iter().zip(weights).map(|(score, weight)| value(score) * weight).sum();
            if total > 0.0 { sum / total } else { 0.0 }
        };
        let precision = mean(|score| score.precision);
        Self {
            precision,
            recall: mean(|score| score.recall),
            f1: mean(|score| score.f1),
            contamination: 1.0 - precision,
        }
    }
}

/// Every classification metric of one confusion matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassificationReport {
    /// One entry per class.
    pub per_class: Vec<Scores>,
    /// Rows of each true class.
    pub support: Vec<u64>,
    /// Plain mean over classes, classes without rows included.
    pub macro_average: Scores,
    /// Metrics of the summed counts; equals the accuracy when each row has one label.
    pub micro_average: Scores,
    /// Mean over classes weighted by support: the "overall" value of the paper's classification tables.
    pub weighted_average: Scores,
    /// Share of rows classified correctly.
    pub accuracy: f64,
}

/// Precision, recall, F1 and contamination per class and averaged three ways.
///
/// # Source
/// Riggi et al. 2024 (PASA 41 e085), section 3.2; reference-facts E3.
pub fn classification_report(matrix: &ConfusionMatrix) -> ClassificationReport {
    let totals: Vec<_> = (0..matrix.n_classes).map(|class| matrix.totals(class)).collect();
    let per_class: Vec<_> =
        totals.iter().map(|&(hit, predicted, support)| Scores::from_counts(hit, predicted, support)).collect();
    let support: Vec<u64> = totals.iter().map(|&(_, _, support)| support).collect();
    let summed = totals.iter().fold((0, 0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2));
    let by_support: Vec<f64> = support.iter().map(|&rows| rows as f64).collect();
    ClassificationReport {
        macro_average: Scores::weighted_mean(&per_class, &vec![1.0; per_class.len()]),
        micro_average: Scores::from_counts(summed.0, summed.1, summed.2),
        weighted_average: Scores::weighted_mean(&per_class, &by_support),
        accuracy: matrix.accuracy(),
        per_class,
        support,
    }
}

/// `part / whole`, 0 when there is no whole.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two of three "0" found, one "1" called "0", a class 2 without rows.
    fn small() -> ConfusionMatrix {
        ConfusionMatrix::from_labels(&[0, 0, 0, 1, 1], &[0, 0, 2, 0, 1], 3).unwrap()
    }

    #[test]
    fn rows_of_the_matrix_are_the_truth() {
        assert_eq!(small().counts(), [2, 0, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!((small().count(0, 2), small().count(2, 0), small().count(3, 0)), (Some(1), Some(0), None));
        assert_eq!(small().row_normalised()[..3], [2.0 / 3.0, 0.0, 1.0 / 3.0]);
        assert_eq!(small().row_normalised()[6..], [0.0; 3]);
    }

    #[test]
    fn hand_computed_scores() {
        let report = classification_report(&small());
        let zero = report.per_class[0];
        assert!((zero.precision - 2.0 / 3.0).abs() < 1e-15 && (zero.recall - 2.0 / 3.0).abs() < 1e-15);
        let one = report.per_class[1];
        assert_eq!((one.precision, one.recall, one.contamination), (1.0, 0.5, 0.0));
        assert!((one.f1 - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!((report.per_class[2].precision, report.per_class[2].contamination), (0.0, 1.0));
        assert_eq!(report.support, [3, 2, 0]);
        assert!((report.accuracy - 0.6).abs() < 1e-15 && (report.micro_average.f1 - 0.6).abs() < 1e-15);
        assert!((report.macro_average.recall - (2.0 / 3.0 + 0.5) / 3.0).abs() < 1e-15);
        assert!((report.weighted_average.recall - 0.6).abs() < 1e-15);
    }

    /// Class 2 has no rows but a prediction, so it counts; class 3 has neither, so it does not.
    #[test]
    fn absent_classes_do_not_lower_the_macro_f1() {
        let matrix = ConfusionMatrix::from_labels(&[0, 0, 0, 1, 1], &[0, 0, 2, 0, 1], 4).unwrap();
        assert!((matrix.macro_f1_of_present() - (2.0 / 3.0 + 2.0 / 3.0 + 0.0) / 3.0).abs() < 1e-15);
        assert!((classification_report(&matrix).macro_average.f1 - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn bad_labels_are_refused() {
        let refused =
            |truth: &[usize], predicted: &[usize]| ConfusionMatrix::from_labels(truth, predicted, 2).unwrap_err();
        assert_eq!(refused(&[0], &[0, 1]), MetricsError::LengthMismatch { what: "predicted", expected: 1, found: 2 });
        assert_eq!(refused(&[], &[]), MetricsError::Empty { what: "truth" });
        assert_eq!(
            refused(&[0, 2], &[0, 1]),
            MetricsError::UnknownClass { what: "truth", row: 1, found: 2, n_classes: 2 }
        );
    }
}
