//! Accuracy and macro F1 of several runs with intervals over pieces of sky, and paired differences.
//!
//! Every method of a split is scored on the same resamples, so the difference of two is taken resample by resample: what the
//! choice of objects does to both cancels. Runs (seeds, draws of labels) are averaged within a resample; their spread is beside.
use anyhow::{Context, Result};
use metrics::ConfusionMatrix;
use metrics::bootstrap::{group_members, mean_and_error};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::intervals::Estimate;

/// The objects that are predicted, and the resamples of them that every method shares.
pub struct Jury {
    labels: Vec<usize>,
    n_classes: usize,
    /// Rows of all pictures that are predicted.
    predicted: Vec<usize>,
    resamples: Vec<Vec<usize>>,
}

/// A method's figures on the whole and on every resample.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    accuracy: (f64, Vec<f64>),
    macro_f1: (f64, Vec<f64>),
    /// Accuracy of each run.
    pub of_runs: Vec<f64>,
}

impl Jury {
    /// Draws the resamples: whole groups, as many as there are.
    pub fn new(
        labels: &[usize],
        groups: &[usize],
        n_classes: usize,
        predicted: Vec<usize>,
        resamples: usize,
        seed: u64,
    ) -> Self {
        let of = |values: &[usize]| predicted.iter().map(|&row| values[row]).collect::<Vec<_>>();
        let (labels, members) = (of(labels), group_members(&of(groups)));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = || {
            let drawn = (0..members.len()).flat_map(|_| members[rng.random_range(0..members.len())].iter().copied());
            drawn.collect::<Vec<usize>>()
        };
        let resamples = if members.is_empty() { Vec::new() } else { (0..resamples).map(|_| draw()).collect() };
        Self { labels, n_classes, predicted, resamples }
    }

    /// Scores runs, `[runs][pictures]`.
    ///
    /// # Errors
    /// If there is no run, or a run has another number of pictures.
    pub fn judge(&self, runs: &[Vec<usize>]) -> Result<Judged> {
        let runs: Vec<Vec<usize>> = runs
            .iter()
            .map(|run| {
                self.predicted.iter().map(|&row| run.get(row).copied().context("a run of too few rows")).collect()
            })
            .collect::<Result<_>>()?;
        let all: Vec<usize> = (0..self.labels.len()).collect();
        let of_rows = |rows: &Vec<usize>| -> Result<(f64, f64)> {
            let (mut accuracy, mut macro_f1) = (0.0, 0.0);
            let truth: Vec<usize> = rows.iter().map(|&row| self.labels[row]).collect();
            for run in &runs {
                let found: Vec<usize> = rows.iter().map(|&row| run[row]).collect();
                let matrix = ConfusionMatrix::from_labels(&truth, &found, self.n_classes)?;
                accuracy += matrix.accuracy() / runs.len() as f64;
                macro_f1 += matrix.macro_f1_of_present() / runs.len() as f64;
            }
            Ok((accuracy, macro_f1))
        };
        let whole = of_rows(&all)?;
        let drawn: Vec<(f64, f64)> = self.resamples.par_iter().map(of_rows).collect::<Result<_>>()?;
        let right = |run: &Vec<usize>| run.iter().zip(&self.labels).filter(|(found, label)| found == label).count();
        Ok(Judged {
            accuracy: (whole.0, drawn.iter().map(|d| d.0).collect()),
            macro_f1: (whole.1, drawn.iter().map(|d| d.1).collect()),
            of_runs: runs.iter().map(|run| right(run) as f64 / self.labels.len().max(1) as f64).collect(),
        })
    }
}

impl Judged {
    /// Accuracy.
    pub fn accuracy(&self) -> Estimate {
        Estimate::of_draws(self.accuracy.0, self.accuracy.1.clone())
    }

    /// Mean F1 of the classes.
    pub fn macro_f1(&self) -> Estimate {
        Estimate::of_draws(self.macro_f1.0, self.macro_f1.1.clone())
    }

    /// Standard deviation of the accuracy over runs; none with one run.
    pub fn spread(&self) -> Option<f64> {
        let n = self.of_runs.len();
        let (_, error) = mean_and_error(&self.of_runs).ok()?;
        (n > 1).then(|| error * (n as f64).sqrt())
    }

    /// This one's accuracy minus another's, on the same resamples.
    pub fn minus(&self, other: &Self) -> Estimate {
        difference(&self.accuracy, &other.accuracy)
    }

    /// The same of macro F1.
    pub fn macro_f1_minus(&self, other: &Self) -> Estimate {
        difference(&self.macro_f1, &other.macro_f1)
    }
}

fn difference(one: &(f64, Vec<f64>), other: &(f64, Vec<f64>)) -> Estimate {
    Estimate::of_draws(one.0 - other.0, one.1.iter().zip(&other.1).map(|(a, b)| a - b).collect())
}

#[cfg(test)]
mod tests {
    use cls_morph::probes::score::{Resampling, Truth, compare, score};

    use super::*;
    use crate::intervals::Standing;

    /// Labels, groups of two, a good and a poor method.
    fn case() -> (Vec<usize>, Vec<usize>, Vec<usize>, Vec<usize>) {
        let labels: Vec<usize> = (0..60).map(|row| row / 2 % 3).collect();
        let groups = (0..60).map(|row| row / 2).collect();
        let wrong = |every: usize| -> Vec<usize> {
            (0..60).map(|row| if row % every == 0 { (labels[row] + 1) % 3 } else { labels[row] }).collect()
        };
        (labels.clone(), groups, wrong(7), wrong(3))
    }

    #[test]
    fn one_run_scores_as_the_crate_of_probes_does() {
        let (labels, groups, good, poor) = case();
        let truth = Truth { labels: &labels, groups: &groups, n_classes: 3 };
        let resampling = Resampling { resamples: 200, confidence: 0.95, seed: 5 };
        let (expected, over) =
            (score(truth, &good, &resampling).unwrap(), compare(truth, &good, &poor, &resampling).unwrap());
        let jury = Jury::new(&labels, &groups, 3, (0..60).collect(), 200, 5);
        let (good, poor) = (jury.judge(&[good]).unwrap(), jury.judge(&[poor]).unwrap());
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(good.accuracy().low, expected.accuracy_interval.low);
        close(good.macro_f1().high, expected.macro_f1_interval.high);
        close(good.minus(&poor).low, over.accuracy_interval.low);
        close(good.minus(&poor).value, over.accuracy);
        close(good.macro_f1_minus(&poor).high, over.macro_f1_interval.high);
        assert_eq!(good.minus(&poor).against(0.0), Standing::Above);
        assert_eq!(poor.minus(&good).against(0.0), Standing::Below);
        assert_eq!(good.minus(&good).against(0.0), Standing::CannotTell);
        assert_eq!(good.spread(), None);
    }

    #[test]
    fn runs_are_averaged_and_rows_without_a_fold_are_not_looked_at() {
        let (labels, groups, good, poor) = case();
        let jury = Jury::new(&labels, &groups, 3, (0..30).collect(), 50, 1);
        let both = jury.judge(&[good.clone(), poor.clone()]).unwrap();
        let mean = (jury.judge(std::slice::from_ref(&good)).unwrap().accuracy().value
            + jury.judge(&[poor]).unwrap().accuracy().value)
            / 2.0;
        assert!((both.accuracy().value - mean).abs() < 1e-12 && both.spread().unwrap() > 0.0);
        let mut other = good.clone();
        other[40] = (other[40] + 1) % 3;
        assert_eq!(jury.judge(&[other]).unwrap(), jury.judge(&[good]).unwrap());
        assert!(jury.judge(&[vec![0; 3]]).is_err());
    }
}
