//! The rows a classifier got wrong while it was sure: often the label is wrong (Fig. A.1 of the paper).
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::error::{Result, check_labels};
use crate::probes::probe::highest;

/// A wrong prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfidentError {
    /// The row.
    pub row: usize,
    /// Its label.
    pub truth: usize,
    /// What was predicted.
    pub predicted: usize,
    /// Probability of what was predicted.
    pub probability: f64,
    /// Probability of the label.
    pub of_truth: f64,
}

/// The `most` wrong predictions of highest probability, surest first, equal ones in the order of rows.
///
/// # Shapes
/// `probabilities`: `[rows, classes]`; `labels`: one a row.
/// # Errors
/// If the lengths differ or a label is out of range.
pub fn confident_errors(probabilities: ArrayView2<f64>, labels: &[usize], most: usize) -> Result<Vec<ConfidentError>> {
    check_labels(labels, probabilities.nrows(), probabilities.ncols())?;
    let of_row = |(row, &truth): (usize, &usize)| {
        let p = probabilities.row(row);
        let predicted = highest(&p.to_vec())?;
        let error = ConfidentError { row, truth, predicted, probability: p[predicted], of_truth: p[truth] };
        (predicted != truth).then_some(error)
    };
    let mut errors: Vec<ConfidentError> = labels.iter().enumerate().filter_map(of_row).collect();
    errors.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.row.cmp(&b.row)));
    errors.truncate(most);
    Ok(errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_surest_error_comes_first() {
        let p = array![[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.3, 0.7]];
        let found = confident_errors(p.view(), &[0, 1, 0, 0], 2).unwrap();
        assert_eq!(found.iter().map(|e| (e.row, e.predicted)).collect::<Vec<_>>(), [(2, 1), (1, 0)]);
        assert_eq!((found[0].probability, found[0].of_truth), (0.8, 0.2));
        assert!(confident_errors(p.view(), &[0], 2).is_err());
    }
}
