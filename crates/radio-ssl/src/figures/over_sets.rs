//! Scores over the balanced sets, with intervals and paired differences.
//!
//! A score is the mean over sets (and seeds). Its interval comes from drawing anew, with replacement, the pieces of sky, the sets
//! and the seeds: cutouts of one piece of sky travel together, and a method that is lucky with one set or seed shows it. The same
//! draws serve all methods, so that of a difference only what differs remains.
use anyhow::{Result, ensure};
use metrics::bootstrap::group_members;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::labelled::Labelled;
use crate::intervals::Estimate;

/// Predictions of one method.
#[derive(Debug, Clone)]
pub struct Method {
    /// Name in tables.
    pub name: String,
    /// Predicted class of the test rows, by seed, then by set; a method without a seed has one.
    pub predicted: Vec<Vec<Vec<usize>>>,
}

/// One draw: how often each cutout, and which sets and seeds.
struct Draw {
    weight: Vec<f64>,
    sets: Vec<usize>,
    /// For any number of seeds: taken modulo that number.
    seeds: Vec<usize>,
}

/// Draws that all methods share.
pub struct OverSets<'a> {
    labelled: &'a Labelled,
    as_it_is: Draw,
    draws: Vec<Draw>,
}

impl<'a> OverSets<'a> {
    /// Draws `resamples` times. `seeds` is the largest number of seeds of a method.
    pub fn new(labelled: &'a Labelled, seeds: usize, resamples: usize, seed: u64) -> Self {
        let members = group_members(&labelled.groups);
        let (rows, sets, seeds) = (labelled.len(), labelled.sets.len(), seeds.max(1));
        let draw = |number: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(number as u64 + 1);
            let mut weight = vec![0.0; rows];
            for _ in 0..members.len() {
                members[rng.random_range(0..members.len())].iter().for_each(|&row| weight[row] += 1.0);
            }
            let mut anew = |n: usize| (0..n).map(|_| rng.random_range(0..n)).collect();
            Draw { weight, sets: anew(sets), seeds: anew(seeds) }
        };
        let as_it_is = Draw { weight: vec![1.0; rows], sets: (0..sets).collect(), seeds: (0..seeds).collect() };
        Self { labelled, as_it_is, draws: (0..resamples).into_par_iter().map(draw).collect() }
    }

    /// Mean over sets and seeds of the F1 of one class, or of the mean F1 of all classes (`None`); sets are balanced, so that this is
    /// the paper's weighted mean.
    ///
    /// # Errors
    /// If the method predicts other cutouts than the sets'.
    pub fn f1(&self, method: &Method, class: Option<usize>) -> Result<Estimate> {
        self.check(method)?;
        self.estimate(|draw| self.mean_f1(draw, method, class))
    }

    /// The difference of two methods in [`Self::f1`], first minus second.
    ///
    /// # Errors
    /// As [`Self::f1`].
    pub fn difference(&self, first: &Method, second: &Method, class: Option<usize>) -> Result<Estimate> {
        self.mean_difference(&[(first, second)], class)
    }

    /// The mean of several differences, as over shares of labels.
    ///
    /// # Errors
    /// As [`Self::f1`]; without a pair.
    pub fn mean_difference(&self, pairs: &[(&Method, &Method)], class: Option<usize>) -> Result<Estimate> {
        ensure!(!pairs.is_empty(), "no pair of methods to compare");
        pairs.iter().try_for_each(|(first, second)| self.check(first).and(self.check(second)))?;
        self.estimate(|draw| {
            let each = pairs
                .iter()
                .map(|(first, second)| Some(self.mean_f1(draw, first, class)? - self.mean_f1(draw, second, class)?));
            Some(each.sum::<Option<f64>>()? / pairs.len() as f64)
        })
    }

    /// Share of the cutouts of some classes that are taken for another class.
    ///
    /// # Errors
    /// As [`Self::f1`]; if there is no such class.
    pub fn misclassified(&self, method: &Method, classes: &[usize]) -> Result<Estimate> {
        self.check(method)?;
        self.estimate(|draw| {
            let counts = self.confusion(draw, method);
            let n = self.labelled.classes.len();
            let of = |class: usize| counts[class * n..(class + 1) * n].iter().sum::<f64>();
            let all: f64 = classes.iter().map(|&class| of(class)).sum();
            let right: f64 = classes.iter().map(|&class| counts[class * n + class]).sum();
            (all > 0.0).then(|| 1.0 - right / all)
        })
    }

    /// Counts over all sets and seeds, `[true class][predicted class]`.
    ///
    /// # Errors
    /// As [`Self::f1`].
    pub fn counts(&self, method: &Method) -> Result<Vec<Vec<u64>>> {
        self.check(method)?;
        let counts = self.confusion(&self.as_it_is, method);
        Ok(counts.chunks(self.labelled.classes.len()).map(|row| row.iter().map(|&n| n as u64).collect()).collect())
    }

    /// F1 of every set (mean over seeds), for the paper's error bar.
    ///
    /// # Errors
    /// As [`Self::f1`].
    pub fn by_set(&self, method: &Method) -> Result<Vec<f64>> {
        self.check(method)?;
        let one = |set: usize| {
            let scores = method.predicted.iter().filter_map(|sets| self.set_f1(&self.as_it_is, set, &sets[set], None));
            scores.sum::<f64>() / method.predicted.len() as f64
        };
        Ok((0..self.labelled.sets.len()).map(one).collect())
    }

    /// F1 of every seed (mean over sets).
    ///
    /// # Errors
    /// As [`Self::f1`].
    pub fn by_seed(&self, method: &Method) -> Result<Vec<f64>> {
        self.check(method)?;
        let sets = self.labelled.sets.len();
        let one = |predicted: &Vec<Vec<usize>>| {
            let scores = (0..sets).filter_map(|set| self.set_f1(&self.as_it_is, set, &predicted[set], None));
            scores.sum::<f64>() / sets as f64
        };
        Ok(method.predicted.iter().map(one).collect())
    }

    /// The interval of any mean over rows, drawn by pieces of sky alone: `values` has one number a cutout.
    ///
    /// # Errors
    /// If there is not one value for each cutout.
    pub fn mean_of_rows(&self, values: &[f64]) -> Result<Estimate> {
        ensure!(values.len() == self.labelled.len(), "{} values for {} cutouts", values.len(), self.labelled.len());
        self.estimate(|draw| {
            let weight: f64 = draw.weight.iter().sum();
            (weight > 0.0).then(|| draw.weight.iter().zip(values).map(|(w, v)| w * v).sum::<f64>() / weight)
        })
    }

    fn check(&self, method: &Method) -> Result<()> {
        let lengths: Vec<usize> = self.labelled.sets.iter().map(|set| set.test.len()).collect();
        let fits = |sets: &Vec<Vec<usize>>| sets.iter().map(Vec::len).eq(lengths.iter().copied());
        let in_range = method.predicted.iter().flatten().flatten().all(|&class| class < self.labelled.classes.len());
        ensure!(
            !method.predicted.is_empty() && method.predicted.iter().all(fits) && in_range,
            "{}: predictions of other sets or classes",
            method.name
        );
        Ok(())
    }

    fn estimate(&self, statistic: impl Fn(&Draw) -> Option<f64> + Sync) -> Result<Estimate> {
        let value = statistic(&self.as_it_is).unwrap_or(f64::NAN);
        let drawn: Vec<f64> = self.draws.par_iter().filter_map(&statistic).filter(|v| v.is_finite()).collect();
        ensure!(value.is_finite() && !drawn.is_empty(), "a score is undefined: a set without a cutout of the class");
        Ok(Estimate::of_draws(value, drawn))
    }

    fn mean_f1(&self, draw: &Draw, method: &Method, class: Option<usize>) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0usize);
        for seed in self.seeds(draw, method) {
            for &set in &draw.sets {
                sum += self.set_f1(draw, set, &method.predicted[seed][set], class)?;
                count += 1;
            }
        }
        (count > 0).then(|| sum / count as f64)
    }

    /// Seeds of a draw; a method with fewer seeds than another uses its own again.
    fn seeds(&self, draw: &Draw, method: &Method) -> Vec<usize> {
        match method.predicted.len() {
            1 => vec![0],
            n => draw.seeds.iter().map(|seed| seed % n).collect(),
        }
    }

    fn set_f1(&self, draw: &Draw, set: usize, predicted: &[usize], class: Option<usize>) -> Option<f64> {
        let n = self.labelled.classes.len();
        let mut counts = vec![0.0; n * n];
        self.count(draw, set, predicted, &mut counts);
        let f1 = |class: usize| {
            let hit = counts[class * n + class];
            let support: f64 = counts[class * n..(class + 1) * n].iter().sum();
            let found: f64 = (0..n).map(|truth| counts[truth * n + class]).sum();
            (support + found > 0.0).then(|| 2.0 * hit / (support + found))
        };
        match class {
            Some(class) => f1(class),
            None => {
                let present: Vec<f64> = (0..n).filter_map(f1).collect();
                (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
            }
        }
    }

    fn confusion(&self, draw: &Draw, method: &Method) -> Vec<f64> {
        let n = self.labelled.classes.len();
        let mut counts = vec![0.0; n * n];
        for seed in self.seeds(draw, method) {
            for &set in &draw.sets {
                self.count(draw, set, &method.predicted[seed][set], &mut counts);
            }
        }
        counts
    }

    fn count(&self, draw: &Draw, set: usize, predicted: &[usize], counts: &mut [f64]) {
        let n = self.labelled.classes.len();
        for (&row, &found) in self.labelled.sets[set].test.iter().zip(predicted) {
            counts[self.labelled.labels[row] * n + found] += draw.weight[row];
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use cls_morph::probes::draws::balanced_draws;

    use super::*;
    use crate::figures::labelled::{Labelled, NamedPictures};

    /// 400 cutouts of two classes, in pieces of sky of `piece`; no pixels.
    pub(in super::super) fn example(piece: usize, sets: usize) -> Labelled {
        let labels: Vec<usize> = (0..400).map(|i| i % 2).collect();
        let groups: Vec<usize> = (0..400).map(|i| i / piece).collect();
        let sets = balanced_draws(&labels, &groups, 100, 60, sets, 1).unwrap();
        let pictures = crate::classify::images::Pictures {
            list: Vec::new(),
            table: Default::default(),
            rows: Vec::new(),
            groups: Vec::new(),
            grouping: String::new(),
            crop: None,
        };
        Labelled {
            frames: Arc::new(NamedPictures(pictures)),
            labels,
            classes: vec!["a".into(), "b".into()],
            groups,
            sets,
            per_class: [100, 60],
            key: "example".into(),
            words: "numbers".into(),
        }
    }

    /// Wrong on every `period`-th cutout.
    pub(in super::super) fn wrong_every(labelled: &Labelled, period: usize, seeds: usize) -> Method {
        let predict =
            |row: &usize| if row.is_multiple_of(period) { 1 - labelled.labels[*row] } else { labelled.labels[*row] };
        let sets: Vec<Vec<usize>> = labelled.sets.iter().map(|set| set.test.iter().map(predict).collect()).collect();
        Method { name: format!("wrong every {period}"), predicted: vec![sets; seeds] }
    }

    #[test]
    fn scores_are_those_of_the_metrics_crate_and_differences_are_paired() -> Result<()> {
        let labelled = example(2, 5);
        let over = OverSets::new(&labelled, 1, 400, 7);
        let (good, poor) = (wrong_every(&labelled, 20, 1), wrong_every(&labelled, 5, 1));
        let mut expected = 0.0;
        for (set, predicted) in labelled.sets.iter().zip(&good.predicted[0]) {
            let truth: Vec<usize> = set.test.iter().map(|&row| labelled.labels[row]).collect();
            expected += metrics::ConfusionMatrix::from_labels(&truth, predicted, 2)?.macro_f1_of_present() / 5.0;
        }
        let own = over.f1(&good, None)?;
        assert!((own.value - expected).abs() < 1e-12 && own.low < expected && expected < own.high, "{own:?}");
        let mean = over.by_set(&good)?.iter().sum::<f64>() / 5.0;
        assert!((mean - expected).abs() < 1e-12);
        let classes = (over.f1(&good, Some(0))?.value + over.f1(&good, Some(1))?.value) / 2.0;
        assert!((classes - expected).abs() < 1e-12);
        let difference = over.difference(&good, &poor, None)?;
        assert!(difference.low > 0.05 && difference.high < 0.25, "{difference:?}");
        let same = over.difference(&good, &good, None)?;
        assert_eq!((same.value, same.low, same.high), (0.0, 0.0, 0.0));
        assert_eq!(over.f1(&good, None)?, OverSets::new(&labelled, 1, 400, 7).f1(&good, None)?);
        let counts = over.counts(&poor)?;
        assert_eq!(counts.iter().flatten().sum::<u64>(), 5 * 120);
        let wrong = counts[0][1] + counts[1][0];
        let share = over.misclassified(&poor, &[0, 1])?;
        assert!((share.value - wrong as f64 / 600.0).abs() < 1e-12);
        Ok(())
    }

    /// The same errors in larger pieces of sky leave more open.
    #[test]
    fn cutouts_of_one_piece_of_sky_travel_together() -> Result<()> {
        let wide = |piece: usize| -> Result<f64> {
            let labelled = example(piece, 1);
            let predict = |row: &usize| {
                if (row / 20).is_multiple_of(4) { 1 - labelled.labels[*row] } else { labelled.labels[*row] }
            };
            let sets = vec![labelled.sets[0].test.iter().map(predict).collect()];
            let method = Method { name: "m".into(), predicted: vec![sets] };
            let found = OverSets::new(&labelled, 1, 600, 3).f1(&method, None)?;
            Ok(found.high - found.low)
        };
        assert!(wide(20)? > 2.0 * wide(1)?, "{} {}", wide(20)?, wide(1)?);
        Ok(())
    }

    /// A seed that fails widens the interval, although the other two agree.
    #[test]
    fn seeds_are_drawn_too() -> Result<()> {
        let labelled = example(1, 2);
        let over = OverSets::new(&labelled, 3, 400, 3);
        let steady = wrong_every(&labelled, 10, 3);
        let mut shaky = steady.clone();
        shaky.predicted[2] = wrong_every(&labelled, 2, 1).predicted.remove(0);
        let width = |method: &Method| over.f1(method, None).map(|found| found.high - found.low);
        assert!(width(&shaky)? > 3.0 * width(&steady)?);
        assert_eq!(over.by_seed(&steady)?.len(), 3);
        Ok(())
    }

    #[test]
    fn predictions_of_other_sets_are_refused() {
        let labelled = example(1, 2);
        let over = OverSets::new(&labelled, 1, 10, 3);
        let mut method = wrong_every(&labelled, 10, 1);
        method.predicted[0][1].pop();
        assert!(over.f1(&method, None).is_err());
        let none = Method { name: "none".into(), predicted: Vec::new() };
        assert!(over.counts(&none).is_err());
        assert!(over.mean_difference(&[], None).is_err());
        assert!(over.mean_of_rows(&[1.0]).is_err());
    }
}
