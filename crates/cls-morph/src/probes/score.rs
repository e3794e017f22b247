//! How good predictions are, with intervals over groups of objects, and whether one method is better than another.
use metrics::bootstrap::{Interval, group_members, paired_difference, percentile_interval};
use metrics::{ConfusionMatrix, classification_report};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{ClassError, Result, check_labels};

/// How intervals are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resampling {
    /// Resamples; 1,000 in the project's tables.
    pub resamples: usize,
    /// Share inside, 0.95 in the tables.
    pub confidence: f64,
    /// Seed.
    pub seed: u64,
}

impl Resampling {
    /// 1,000 resamples, 95 %.
    pub fn thousand(seed: u64) -> Self {
        Self { resamples: 1000, confidence: 0.95, seed }
    }

    fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }
}

/// Accuracy, macro F1 and what lies behind them. Intervals hold the spread from the choice of objects, not from seeds of a
/// training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Rows.
    pub rows: usize,
    /// Groups of rows, the unit that is drawn.
    pub groups: usize,
    /// Share of rows classified correctly.
    pub accuracy: f64,
    /// Its interval.
    pub accuracy_interval: Interval,
    /// Mean F1 of the classes.
    pub macro_f1: f64,
    /// Its interval.
    pub macro_f1_interval: Interval,
    /// F1 of each class.
    pub per_class_f1: Vec<f64>,
    /// Counts, rows = truth.
    pub confusion: Vec<Vec<u64>>,
}

/// The truth about some rows: what predictions are scored against.
#[derive(Debug, Clone, Copy)]
pub struct Truth<'a> {
    /// Class of each row.
    pub labels: &'a [usize],
    /// Group of each row.
    pub groups: &'a [usize],
    /// Number of classes.
    pub n_classes: usize,
}

impl Truth<'_> {
    fn check(&self, predicted: &[usize]) -> Result<()> {
        check_labels(self.labels, predicted.len(), self.n_classes)?;
        check_labels(predicted, predicted.len(), self.n_classes)?;
        if self.groups.len() != predicted.len() {
            return Err(ClassError::Length { what: "groups", expected: predicted.len(), found: self.groups.len() });
        }
        Ok(())
    }

    fn accuracy(&self, predicted: &[usize], rows: &[usize]) -> Option<f64> {
        let right = rows.iter().filter(|&&row| predicted[row] == self.labels[row]).count();
        (!rows.is_empty()).then(|| right as f64 / rows.len() as f64)
    }

    fn macro_f1(&self, predicted: &[usize], rows: &[usize]) -> Option<f64> {
        let of = |labels: &[usize]| rows.iter().map(|&row| labels[row]).collect::<Vec<_>>();
        let matrix = ConfusionMatrix::from_labels(&of(self.labels), &of(predicted), self.n_classes).ok()?;
        Some(matrix.macro_f1_of_present())
    }
}

/// Scores one method.
///
/// # Errors
/// If the lengths differ, a class is out of range, or there is no row.
pub fn score(truth: Truth, predicted: &[usize], resampling: &Resampling) -> Result<ClassScore> {
    truth.check(predicted)?;
    let matrix = ConfusionMatrix::from_labels(truth.labels, predicted, truth.n_classes)?;
    let report = classification_report(&matrix);
    let members = group_members(truth.groups);
    let interval = |statistic: &dyn Fn(&[usize]) -> Option<f64>| {
        percentile_interval(&members, resampling.resamples, resampling.confidence, &mut resampling.rng(), statistic)
    };
    Ok(ClassScore {
        rows: predicted.len(),
        groups: members.len(),
        accuracy: report.accuracy,
        accuracy_interval: interval(&|rows| truth.accuracy(predicted, rows))?,
        macro_f1: matrix.macro_f1_of_present(),
        macro_f1_interval: interval(&|rows| truth.macro_f1(predicted, rows))?,
        per_class_f1: report.per_class.iter().map(|scores| scores.f1).collect(),
        confusion: matrix.counts().chunks(truth.n_classes.max(1)).map(<[u64]>::to_vec).collect(),
    })
}

/// By how much the first method is better than the second on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Difference in accuracy, first minus second.
    pub accuracy: f64,
    /// Its interval: without 0 inside, the difference is not chance in the choice of objects.
    pub accuracy_interval: Interval,
    /// Difference in macro F1.
    pub macro_f1: f64,
    /// Its interval.
    pub macro_f1_interval: Interval,
}

/// Compares two methods, both on every resample.
///
/// # Errors
/// As [`score`].
pub fn compare(truth: Truth, first: &[usize], second: &[usize], resampling: &Resampling) -> Result<Comparison> {
    truth.check(first)?;
    truth.check(second)?;
    let members = group_members(truth.groups);
    let all: Vec<usize> = (0..first.len()).collect();
    type Statistic<'a> = dyn Fn(&[usize], &[usize]) -> Option<f64> + 'a;
    let difference = |statistic: &Statistic| -> Result<(f64, Interval)> {
        let empty = ClassError::TooFew { what: "rows".into(), needed: 1, found: 0 };
        let whole = statistic(first, &all).zip(statistic(second, &all)).map(|(a, b)| a - b).ok_or(empty)?;
        let (resamples, confidence) = (resampling.resamples, resampling.confidence);
        let interval = paired_difference(
            &members,
            resamples,
            confidence,
            &mut resampling.rng(),
            |rows| statistic(first, rows),
            |rows| statistic(second, rows),
        )?;
        Ok((whole, interval))
    };
    let (accuracy, accuracy_interval) = difference(&|predicted, rows| truth.accuracy(predicted, rows))?;
    let (macro_f1, macro_f1_interval) = difference(&|predicted, rows| truth.macro_f1(predicted, rows))?;
    Ok(Comparison { accuracy, accuracy_interval, macro_f1, macro_f1_interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_is_right_more_often_is_better_and_the_interval_says_so() {
        let labels: Vec<usize> = (0..400).map(|row| row % 2).collect();
        let groups: Vec<usize> = (0..400).collect();
        let wrong_every =
            |n: usize| labels.iter().enumerate().map(move |(row, l)| if row % n == 0 { 1 - l } else { *l });
        let (good, poor): (Vec<usize>, Vec<usize>) = (wrong_every(20).collect(), wrong_every(4).collect());
        let truth = Truth { labels: &labels, groups: &groups, n_classes: 2 };
        let resampling = Resampling { resamples: 400, confidence: 0.95, seed: 2 };
        let own = score(truth, &good, &resampling).unwrap();
        assert_eq!((own.accuracy, own.rows, own.groups), (0.95, 400, 400));
        assert!(own.accuracy_interval.low < 0.95 && own.accuracy_interval.high > 0.95);
        assert_eq!(own.confusion[0].iter().sum::<u64>(), 200);
        let difference = compare(truth, &good, &poor, &resampling).unwrap();
        assert!((difference.accuracy - 0.2).abs() < 1e-12);
        assert!(difference.accuracy_interval.low > 0.15 && difference.macro_f1_interval.low > 0.1, "{difference:?}");
        let same = compare(truth, &good, &good, &resampling).unwrap();
        assert_eq!((same.accuracy_interval.low, same.accuracy_interval.high), (0.0, 0.0));
        assert_eq!(own, score(truth, &good, &resampling).unwrap());
    }

    #[test]
    fn lengths_and_classes_are_checked() {
        let truth = Truth { labels: &[0, 1], groups: &[0, 1], n_classes: 2 };
        let resampling = Resampling::thousand(0);
        assert!(matches!(score(truth, &[0], &resampling), Err(ClassError::Length { .. })));
        assert!(matches!(score(truth, &[0, 2], &resampling), Err(ClassError::UnknownClass { .. })));
        let torn = Truth { groups: &[0], ..truth };
        assert!(matches!(compare(torn, &[0, 1], &[0, 1], &resampling), Err(ClassError::Length { what: "groups", .. })));
    }
}
