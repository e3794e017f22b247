//! Temperature scaling: one number that makes probabilities mean what they say, without changing an answer.
use ndarray::{Array2, ArrayView2};

use super::loss::Loss;
use crate::error::{ClassError, Result, check_labels};
use crate::probes::minimise::minimise;

/// Probabilities below this are taken for it: a probe may say 0, whose logarithm would decide everything.
const SMALLEST: f64 = 1e-6;
/// The temperature stays within 1 / this and this.
const MOST: f64 = 100.0;

/// The temperature that makes the truth most probable. Fit it on rows that neither trained the classifier nor judge it.
///
/// # Shapes
/// `probabilities`: `[rows, classes]`, each row a distribution; `labels`: one a row.
/// # Errors
/// Without a row, if lengths differ, or a probability is not in 0..=1.
/// # Source
/// Guo et al. 2017 (arXiv:1706.04599), section 4.2.
pub fn fit_temperature(probabilities: ArrayView2<f64>, labels: &[usize]) -> Result<f64> {
    check_labels(labels, probabilities.nrows(), probabilities.ncols())?;
    if labels.is_empty() {
        return Err(ClassError::TooFew { what: "rows to calibrate on".into(), needed: 1, found: 0 });
    }
    if let Some(((row, column), &found)) = probabilities.indexed_iter().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
        return Err(ClassError::NotFinite { row, column, found });
    }
    let logs = probabilities.mapv(|p| p.max(SMALLEST).ln());
    // In u = ln(1 / T) there is no limit to step over; the loss is convex in 1 / T.
    let objective = |place: &[f64], gradient: &mut [f64]| {
        let sharpness = place[0].exp();
        let (mut loss, mut slope) = (0.0, 0.0);
        for (logs, &label) in logs.rows().into_iter().zip(labels) {
            let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = logs.iter().map(|z| (sharpness * (z - highest)).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mean = weights.iter().zip(logs).map(|(w, z)| w * (z - highest)).sum::<f64>() / total;
            let own = logs[label] - highest;
            loss += total.ln() - sharpness * own;
            slope += mean - own;
        }
        gradient[0] = slope * sharpness / labels.len() as f64;
        loss / labels.len() as f64
    };
    let found = minimise(objective, vec![0.0], 1e-10, 200);
    Ok((-found.at[0]).exp().clamp(1.0 / MOST, MOST))
}

/// Probabilities at another temperature: softmax of their logarithms divided by it (for several labels a row, the sigmoid of
/// their log odds). 1 leaves them alone; above 1 they are softer.
pub fn tempered(probabilities: ArrayView2<f64>, temperature: f64, loss: Loss) -> Array2<f64> {
    match loss {
        Loss::CrossEntropy => {
            let logits = probabilities.mapv(|p| p.max(SMALLEST).ln() / temperature);
            loss.probabilities(logits.view())
        }
        Loss::Focal { .. } => {
            let odds = probabilities.mapv(|p| {
                let p = p.clamp(SMALLEST, 1.0 - SMALLEST);
                (p / (1.0 - p)).ln() / temperature
            });
            loss.probabilities(odds.view())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::calibration::{expected_calibration_error, reliability};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Probabilities that are right, made too sure by a temperature of 0.4: its inverse is found again.
    #[test]
    fn a_planted_temperature_is_found_and_mends_the_calibration() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let honest = Array2::from_shape_fn((4000, 3), |_| rng.random_range(-2.0f64..2.0));
        let honest = Loss::CrossEntropy.probabilities(honest.view());
        let labels: Vec<usize> = honest
            .rows()
            .into_iter()
            .map(|row| {
                let draw: f64 = rng.random();
                if draw < row[0] { 0 } else { 1 + usize::from(draw >= row[0] + row[1]) }
            })
            .collect();
        let sure = tempered(honest.view(), 0.4, Loss::CrossEntropy);
        let temperature = fit_temperature(sure.view(), &labels).unwrap();
        assert!((temperature - 2.5).abs() < 0.15, "{temperature}");
        let error = |p: &Array2<f64>| {
            let found = crate::probes::probe::Predictions::of(p.clone());
            let confidence: Vec<f64> = (0..4000).map(|row| p[(row, found.class[row])]).collect();
            let right: Vec<bool> = found.class.iter().zip(&labels).map(|(a, b)| a == b).collect();
            expected_calibration_error(&reliability(&confidence, &right, 15).unwrap())
        };
        let mended = tempered(sure.view(), temperature, Loss::CrossEntropy);
        assert!(error(&sure) > 0.12 && error(&mended) < 0.03, "{} {}", error(&sure), error(&mended));
    }

    #[test]
    fn limits_and_bad_input() {
        // Always right: as sure as allowed. Always wrong: as unsure.
        let p = ndarray::array![[0.6, 0.4], [0.4, 0.6]];
        assert!((1.0 / MOST..0.1).contains(&fit_temperature(p.view(), &[0, 1]).unwrap()));
        assert!((10.0..=MOST).contains(&fit_temperature(p.view(), &[1, 0]).unwrap()));
        assert!(matches!(fit_temperature(p.view(), &[0]), Err(ClassError::Length { .. })));
        assert!(matches!(fit_temperature(p.view(), &[0, 2]), Err(ClassError::UnknownClass { .. })));
        assert!(fit_temperature(ndarray::array![[f64::NAN, 1.0]].view(), &[0]).is_err());
        let softer = tempered(p.view(), 1.0, Loss::Focal { alpha: 0.5, gamma: 0.0 });
        assert!((softer[(0, 0)] - 0.6).abs() < 1e-12);
    }
}
