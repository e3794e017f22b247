//! Whether probabilities mean what they say: reliability table and expected calibration error.
//!
//! Of the rows that a classifier gives 80 %, eighty in a hundred should be right.

use serde::{Deserialize, Serialize};

use crate::error::MetricsError;

/// One interval of confidence and the rows in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Smallest confidence of the interval, exclusive (the first also holds 0).
    pub low: f64,
    /// Largest, inclusive.
    pub high: f64,
    /// Rows in it.
    pub rows: u64,
    /// Their mean confidence; 0 without rows.
    pub mean_confidence: f64,
    /// Share of them that is right; 0 without rows.
    pub accuracy: f64,
}

/// Rows by confidence, in `bins` intervals of equal width from 0 to 1.
///
/// # Shapes
/// `confidence`: probability of the predicted class of each row, in 0..=1; `right`: whether the prediction is the truth.
/// # Errors
/// If the slices differ in length, are empty, `bins` is 0, or a confidence is not in 0..=1.
/// # Source
/// Guo et al. 2017 (arXiv:1706.04599), section 2.
pub fn reliability(confidence: &[f64], right: &[bool], bins: usize) -> Result<Vec<ReliabilityBin>, MetricsError> {
    if confidence.len() != right.len() {
        let (expected, found) = (confidence.len(), right.len());
        return Err(MetricsError::LengthMismatch { what: "right", expected, found });
    }
    if confidence.is_empty() {
        return Err(MetricsError::Empty { what: "confidence" });
    }
    if bins == 0 {
        return Err(MetricsError::OutOfRange { name: "bins", expected: "at least 1", found: 0.0 });
    }
    let edge = |bin: usize| bin as f64 / bins as f64;
    let mut sums = vec![(0u64, 0.0f64, 0u64); bins];
    for (row, (&found, &right)) in confidence.iter().zip(right).enumerate() {
        if !(0.0..=1.0).contains(&found) {
            return Err(MetricsError::BadScore { row, expected: "a probability from 0 to 1", found });
        }
        let bin = ((found * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        let sum = &mut sums[bin];
        *sum = (sum.0 + 1, sum.1 + found, sum.2 + u64::from(right));
    }
    let bin = |(place, (rows, confidence, right)): (usize, (u64, f64, u64))| {
        let share = |sum: f64| if rows == 0 { 0.0 } else { sum / rows as f64 };
        ReliabilityBin {
            low: edge(place),
            high: edge(place + 1),
            rows,
            mean_confidence: share(confidence),
            accuracy: share(right as f64),
        }
    };
    Ok(sums.into_iter().enumerate().map(bin).collect())
}

/// Mean distance between confidence and accuracy, every interval weighted by its rows.
///
/// # Source
/// Guo et al. 2017 (arXiv:1706.04599), eq. 3.
pub fn expected_calibration_error(table: &[ReliabilityBin]) -> f64 {
    let rows: u64 = table.iter().map(|bin| bin.rows).sum();
    let distance = |bin: &ReliabilityBin| bin.rows as f64 * (bin.accuracy - bin.mean_confidence).abs();
    table.iter().map(distance).sum::<f64>() / rows.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four rows at 0.9 of which two are right, six at 0.5 of which three are: (4 * 0.4 + 6 * 0) / 10.
    #[test]
    fn closed_form() {
        let confidence = [0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5];
        let right = [true, true, false, false, true, true, true, false, false, false];
        let table = reliability(&confidence, &right, 10).unwrap();
        assert_eq!((table[8].rows, table[4].rows, table.len()), (4, 6, 10), "{table:?}");
        assert_eq!((table[8].accuracy, table[4].accuracy), (0.5, 0.5));
        assert!((expected_calibration_error(&table) - 0.16).abs() < 1e-12);
        // Both ends belong somewhere.
        let table = reliability(&[0.0, 1.0], &[false, true], 4).unwrap();
        assert_eq!((table[0].rows, table[3].rows), (1, 1));
        assert_eq!(expected_calibration_error(&table), 0.0);
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(matches!(reliability(&[], &[], 3), Err(MetricsError::Empty { .. })));
        assert!(matches!(reliability(&[0.1], &[], 3), Err(MetricsError::LengthMismatch { .. })));
        assert!(matches!(reliability(&[0.1], &[true], 0), Err(MetricsError::OutOfRange { .. })));
        for wrong in [f64::NAN, -0.1, 1.1] {
            assert!(matches!(reliability(&[wrong], &[true], 3), Err(MetricsError::BadScore { row: 0, .. })));
        }
    }
}
