//! Precision-recall and ROC curves with their areas, for scores that may tie.
//!
//! Rows with equal scores cannot be told apart, so they enter or leave a selection together: a curve has one
//! point per distinct score. Here a row is selected when its score is *at least* the threshold (the usual
//! convention of these curves); the threshold scan of [`crate::anomaly`] uses strictly above.

use serde::{Deserialize, Serialize};

use crate::error::MetricsError;

/// Precision and recall at every distinct score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecallCurve {
    /// Precision of the rows with score >= threshold, then a final 1.
    pub precision: Vec<f64>,
    /// Recall of the same rows, then a final 0.
    pub recall: Vec<f64>,
    /// Distinct scores, rising; one entry fewer than the other two.
    pub thresholds: Vec<f64>,
}

/// False and true positive rates at every distinct score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RocCurve {
    /// Selected negatives / negatives, rising from 0 to 1.
    pub false_positive_rate: Vec<f64>,
    /// Selected positives / positives, rising from 0 to 1.
    pub true_positive_rate: Vec<f64>,
    /// Falling thresholds; the first is infinite (nothing selected).
    pub thresholds: Vec<f64>,
}

/// Precision-recall curve; the order of the points is scikit-learn's (rising thresholds).
///
/// # Errors
/// If the slices differ in length or are empty, a score is not finite, or no row is positive.
pub fn precision_recall_curve(truth: &[bool], score: &[f64]) -> Result<PrecisionRecallCurve, MetricsError> {
    let steps = Steps::new(truth, score)?;
    steps.need_positives()?;
    let mut curve = PrecisionRecallCurve { precision: vec![1.0], recall: vec![0.0], thresholds: Vec::new() };
    for step in &steps.points {
        curve.precision.push(step.positives as f64 / step.selected as f64);
        curve.recall.push(step.positives as f64 / steps.positives as f64);
        curve.thresholds.push(step.threshold);
    }
    curve.precision.reverse();
    curve.recall.reverse();
    curve.thresholds.reverse();
    Ok(curve)
}

/// Average precision: the sum over thresholds of (gain in recall) x precision, without interpolation.
///
/// # Errors
/// As [`precision_recall_curve`].
pub fn average_precision(truth: &[bool], score: &[f64]) -> Result<f64, MetricsError> {
    let steps = Steps::new(truth, score)?;
    steps.need_positives()?;
    let mut before = 0;
    let mut area = 0.0;
    for step in &steps.points {
        area += (step.positives - before) as f64 * step.positives as f64 / step.selected as f64;
        before = step.positives;
    }
    Ok(area / steps.positives as f64)
}

/// ROC curve, one point per distinct score and the origin first.
///
/// # Errors
/// If the slices differ in length or are empty, a score is not finite, or one of the two classes is absent.
pub fn roc_curve(truth: &[bool], score: &[f64]) -> Result<RocCurve, MetricsError> {
    let steps = Steps::new(truth, score)?;
    steps.need_positives()?;
    steps.need_negatives()?;
    let mut curve =
        RocCurve { false_positive_rate: vec![0.0], true_positive_rate: vec![0.0], thresholds: vec![f64::INFINITY] };
    for step in &steps.points {
        curve.false_positive_rate.push((step.selected - step.positives) as f64 / steps.negatives as f64);
        curve.true_positive_rate.push(step.positives as f64 / steps.positives as f64);
        curve.thresholds.push(step.threshold);
    }
    Ok(curve)
}

/// Area under the ROC curve: the chance that a positive row scores above a negative one, ties counting half.
///
/// # Errors
/// As [`roc_curve`].
pub fn roc_auc(truth: &[bool], score: &[f64]) -> Result<f64, MetricsError> {
    let steps = Steps::new(truth, score)?;
    steps.need_positives()?;
    steps.need_negatives()?;
    // Twice the number of won comparisons, in integers: the area is then exact before the one division.
    let mut twice_won: u128 = 0;
    let (mut positives_before, mut negatives_before) = (0, 0);
    for step in &steps.points {
        let negatives = step.selected - step.positives;
        twice_won += (negatives - negatives_before) as u128 * (step.positives + positives_before) as u128;
        (positives_before, negatives_before) = (step.positives, negatives);
    }
    Ok(twice_won as f64 / 2.0 / (steps.positives as f64 * steps.negatives as f64))
}

/// Cumulative counts at one distinct score: rows with score >= threshold.
struct Step {
    threshold: f64,
    selected: usize,
    positives: usize,
}

/// Cumulative counts at every distinct score, highest score first.
struct Steps {
    points: Vec<Step>,
    positives: usize,
    negatives: usize,
}

impl Steps {
    fn new(truth: &[bool], score: &[f64]) -> Result<Self, MetricsError> {
        if truth.len() != score.len() {
            return Err(MetricsError::LengthMismatch { what: "score", expected: truth.len(), found: score.len() });
        }
        if truth.is_empty() {
            return Err(MetricsError::Empty { what: "score" });
        }
        if let Some(row) = score.iter().position(|value| !value.is_finite()) {
            return Err(MetricsError::BadScore { row, expected: "a finite number", found: score[row] });
        }
        let mut order: Vec<usize> = (0..score.len()).collect();
        order.sort_by(|&a, &b| score[b].total_cmp(&score[a]));
        let mut points: Vec<Step> = Vec::new();
        let mut positives = 0;
        for (rank, &row) in order.iter().enumerate() {
            positives += usize::from(truth[row]);
            let here = Step { threshold: score[row], selected: rank + 1, positives };
            match points.last_mut() {
                Some(last) if last.threshold == score[row] => *last = here,
                _ => points.push(here),
            }
        }
        Ok(Self { points, positives, negatives: truth.len() - positives })
    }

    fn need_positives(&self) -> Result<(), MetricsError> {
        self.need("positive", self.positives)
    }

    fn need_negatives(&self) -> Result<(), MetricsError> {
        self.need("negative", self.negatives)
    }

    fn need(&self, missing: &'static str, count: usize) -> Result<(), MetricsError> {
        if count > 0 { Ok(()) } else { Err(MetricsError::OneClass { missing, rows: self.positives + self.negatives }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_between_the_classes_is_one_point() {
        let truth = [true, false, true, false];
        let score = [0.9, 0.5, 0.5, 0.1];
        let curve = precision_recall_curve(&truth, &score).unwrap();
        assert_eq!(curve.thresholds, [0.1, 0.5, 0.9]);
        assert_eq!(curve.recall, [1.0, 1.0, 0.5, 0.0]);
        assert_eq!(curve.precision, [0.5, 2.0 / 3.0, 1.0, 1.0]);
        let roc = roc_curve(&truth, &score).unwrap();
        assert_eq!(roc.false_positive_rate, [0.0, 0.0, 0.5, 1.0]);
        assert_eq!(roc.true_positive_rate, [0.0, 0.5, 1.0, 1.0]);
        // Of four comparisons three are won and one is drawn.
        assert_eq!(roc_auc(&truth, &score).unwrap(), 0.875);
        assert!((average_precision(&truth, &score).unwrap() - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-15);
    }

    #[test]
    fn one_class_nan_and_length_are_typed_errors() {
        assert!(matches!(
            roc_auc(&[true, true], &[0.1, 0.2]),
            Err(MetricsError::OneClass { missing: "negative", rows: 2 })
        ));
        assert!(matches!(average_precision(&[false], &[0.1]), Err(MetricsError::OneClass { missing: "positive", .. })));
        assert!(matches!(roc_curve(&[true, false], &[0.1, f64::NAN]), Err(MetricsError::BadScore { row: 1, .. })));
        assert!(matches!(
            roc_curve(&[true], &[0.1, 0.2]),
            Err(MetricsError::LengthMismatch { expected: 1, found: 2, .. })
        ));
        assert!(matches!(roc_auc(&[], &[]), Err(MetricsError::Empty { .. })));
    }

    proptest::proptest! {
        /// The slow definition: count every pair.
        #[test]
        fn auc_counts_pairs(rows in proptest::collection::vec((proptest::bool::ANY, 0u8..6), 2..40)) {
            let truth: Vec<bool> = rows.iter().map(|row| row.0).collect();
            let score: Vec<f64> = rows.iter().map(|row| f64::from(row.1) / 7.0).collect();
            let positives = truth.iter().filter(|&&positive| positive).count();
            proptest::prop_assume!(positives > 0 && positives < truth.len());
            let mut won = 0.0;
            for i in 0..rows.len() {
                for j in 0..rows.len() {
                    if truth[i] && !truth[j] {
                        won += if score[i] > score[j] { 1.0 } else if score[i] == score[j] { 0.5 } else { 0.0 };
                    }
                }
            }
            let expected = won / (positives * (truth.len() - positives)) as f64;
            proptest::prop_assert!((roc_auc(&truth, &score).unwrap() - expected).abs() < 1e-12);
        }
    }
}
