//! Metrics of rows that may have several labels, or none.

use serde::{Deserialize, Serialize};

use crate::classification::Scores;
use crate::error::MetricsError;

/// Every multi-label metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiLabelReport {
    /// One entry per class, each class taken as a question of its own.
    pub per_class: Vec<Scores>,
    /// Rows that have each class.
    pub support: Vec<u64>,
    /// Plain mean over classes.
    pub macro_average: Scores,
    /// Metrics of the summed counts.
    pub micro_average: Scores,
    /// Mean over rows of |labels shared| / |labels of either|; a row with none on both sides counts 1. The paper's code
    /// calls it Hamming score.
    pub jaccard: f64,
    /// Share of rows whose set of labels is exactly right.
    pub exact: f64,
}

/// Compares sets of labels.
///
/// # Shapes
/// `truth` and `predicted`: `[rows, n_classes]` row-major, whether the row has the class.
/// # Errors
/// If the slices differ in length, are empty, or are no whole number of rows.
/// # Source
/// Reference-facts E3.
pub fn multi_label_report(
    truth: &[bool],
    predicted: &[bool],
    n_classes: usize,
) -> Result<MultiLabelReport, MetricsError> {
    if truth.len() != predicted.len() {
        let (expected, found) = (truth.len(), predicted.len());
        return Err(MetricsError::LengthMismatch { what: "predicted", expected, found });
    }
    if truth.is_empty() || n_classes == 0 {
        return Err(MetricsError::Empty { what: "truth" });
    }
    let rows = truth.len() / n_classes;
    if rows * n_classes != truth.len() {
        return Err(MetricsError::LengthMismatch {
            what: "truth",
            expected: (rows + 1) * n_classes,
            found: truth.len(),
        });
    }
    let mut counts = vec![(0u64, 0u64, 0u64); n_classes];
    let (mut jaccard, mut exact) = (0.0, 0u64);
    for (truth, predicted) in truth.chunks(n_classes).zip(predicted.chunks(n_classes)) {
        let (mut shared, mut either) = (0u32, 0u32);
        for ((count, &truth), &predicted) in counts.iter_mut().zip(truth).zip(predicted) {
            let hit = truth && predicted;
            *count = (count.0 + u64::from(hit), count.1 + u64::from(predicted), count.2 + u64::from(truth));
            shared += u32::from(hit);
            either += u32::from(truth || predicted);
        }
        jaccard += if either == 0 { 1.0 } else { f64::from(shared) / f64::from(either) };
        exact += u64::from(shared == either);
    }
    let per_class: Vec<Scores> =
        counts.iter().map(|&(hit, called, has)| Scores::from_counts(hit, called, has)).collect();
    let sum = counts.iter().fold((0, 0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2));
    Ok(MultiLabelReport {
        macro_average: Scores::weighted_mean(&per_class, &vec![1.0; n_classes]),
        micro_average: Scores::from_counts(sum.0, sum.1, sum.2),
        support: counts.iter().map(|count| count.2).collect(),
        per_class,
        jaccard: jaccard / rows as f64,
        exact: exact as f64 / rows as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let truth = [true, true, false, false, true, false, false, false, false];
        let predicted = [true, false, false, true, true, true, false, false, false];
        let report = multi_label_report(&truth, &predicted, 3).unwrap();
        assert_eq!(report.support, [1, 2, 0]);
        assert_eq!((report.per_class[0].precision, report.per_class[0].recall), (0.5, 1.0));
        assert_eq!((report.per_class[1].precision, report.per_class[1].recall), (1.0, 0.5));
        assert!((report.jaccard - (0.5 + 1.0 / 3.0 + 1.0) / 3.0).abs() < 1e-15);
        assert!((report.exact - 1.0 / 3.0).abs() < 1e-15);
        assert!((report.micro_average.precision - 0.5).abs() < 1e-15, "2 of 4 calls");
        assert!((report.micro_average.recall - 2.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn bad_shapes_are_refused() {
        assert!(matches!(multi_label_report(&[], &[], 2), Err(MetricsError::Empty { .. })));
        assert!(matches!(multi_label_report(&[true], &[], 1), Err(MetricsError::LengthMismatch { .. })));
        assert!(matches!(multi_label_report(&[true; 3], &[true; 3], 2), Err(MetricsError::LengthMismatch { .. })));
    }
}
