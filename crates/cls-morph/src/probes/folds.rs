//! Who is predicted from whom: folds that keep a group of rows (one piece of sky) together and every class in every fold.
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{ClassError, Result, check_labels};

/// A fold for every row that is to be predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    of_row: Vec<Option<usize>>,
    n_folds: usize,
}

impl Folds {
    /// `k` folds of whole groups with the classes spread evenly.
    ///
    /// Groups are shuffled, those whose classes are least even come first, and each goes to the fold that leaves the classes'
    /// shares over the folds most even; of equally good folds, to the smallest.
    ///
    /// # Shapes
    /// `labels`, `groups`: one per row; group numbers are arbitrary.
    /// # Errors
    /// With fewer than two folds, fewer groups than folds, or labels and groups of different length.
    /// # Source
    /// The method of scikit-learn's `StratifiedGroupKFold`; folds are equal in kind, not in their random order.
    pub fn grouped(labels: &[usize], groups: &[usize], k: usize, seed: u64) -> Result<Self> {
        let n_classes = labels.iter().max().map_or(0, |most| most + 1);
        check_labels(labels, groups.len(), n_classes)?;
        let mut members = metrics::bootstrap::group_members(groups);
        if k < 2 || members.len() < k {
            let (what, needed, found) =
                if k < 2 { ("folds", 2, k) } else { ("groups of objects, one for each fold", k, members.len()) };
            return Err(ClassError::TooFew { what: what.into(), needed, found });
        }
        members.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let counts_of = |rows: &[usize]| {
            let mut counts = vec![0.0; n_classes];
            rows.iter().for_each(|&row| counts[labels[row]] += 1.0);
            counts
        };
        let mut counted: Vec<(Vec<usize>, Vec<f64>)> =
            members.into_iter().map(|rows| (counts_of(&rows), rows)).map(|(counts, rows)| (rows, counts)).collect();
        counted.sort_by(|a, b| deviation(&b.1).total_cmp(&deviation(&a.1)));
        let all = counts_of(&(0..labels.len()).collect::<Vec<_>>());
        let mut filled = vec![vec![0.0; n_classes]; k];
        let mut of_row = vec![None; labels.len()];
        for (rows, counts) in counted {
            let unevenness = |fold: usize| {
                let share = |class: usize, other: usize| {
                    let own = if other == fold { counts[class] } else { 0.0 };
                    (filled[other][class] + own) / all[class].max(1.0)
                };
                (0..n_classes).map(|class| deviation(&(0..k).map(|o| share(class, o)).collect::<Vec<_>>())).sum::<f64>()
            };
            let size = |fold: usize| filled[fold].iter().sum::<f64>();
            // Equal up to rounding is equal: the order of a sum must not decide.
            let rank = |fold: usize| ((unevenness(fold) * 1e9).round(), size(fold));
            let best = (0..k).min_by(|&a, &b| {
                let (a, b) = (rank(a), rank(b));
                a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
            });
            let fold = best.unwrap_or(0);
            filled[fold].iter_mut().zip(&counts).for_each(|(filled, count)| *filled += count);
            rows.into_iter().for_each(|row| of_row[row] = Some(fold));
        }
        Ok(Self { of_row, n_folds: k })
    }

    /// One fold, as a published split: rows marked `true` are predicted from all others.
    ///
    /// # Errors
    /// If no row is marked, or all are.
    pub fn fixed(test: &[bool]) -> Result<Self> {
        let marked = test.iter().filter(|&&test| test).count();
        for (what, found) in [("test rows", marked), ("training rows", test.len() - marked)] {
            if found == 0 {
                return Err(ClassError::TooFew { what: what.into(), needed: 1, found });
            }
        }
        Ok(Self { of_row: test.iter().map(|&test| test.then_some(0)).collect(), n_folds: 1 })
    }

    /// Number of folds.
    pub fn len(&self) -> usize {
        self.n_folds
    }

    /// Whether there is none (never).
    pub fn is_empty(&self) -> bool {
        self.n_folds == 0
    }

    /// Fold of every row; `None` for rows that are only ever trained on.
    pub fn of_rows(&self) -> &[Option<usize>] {
        &self.of_row
    }

    /// Rows predicted in this fold, in order.
    pub fn test(&self, fold: usize) -> Vec<usize> {
        (0..self.of_row.len()).filter(|&row| self.of_row[row] == Some(fold)).collect()
    }

    /// Rows trained on in this fold, in order.
    pub fn train(&self, fold: usize) -> Vec<usize> {
        (0..self.of_row.len()).filter(|&row| self.of_row[row] != Some(fold)).collect()
    }

    /// Rows that are predicted in some fold, in order.
    pub fn predicted(&self) -> Vec<usize> {
        (0..self.of_row.len()).filter(|&row| self.of_row[row].is_some()).collect()
    }
}

/// Standard deviation, N in the denominator.
fn deviation(values: &[f64]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn classes_are_spread_and_the_seed_decides() {
        let labels: Vec<usize> = (0..300).map(|row| usize::from(row % 10 == 0) + usize::from(row % 30 == 0)).collect();
        let groups: Vec<usize> = (0..300).map(|row| row / 2 * 7).collect();
        let folds = Folds::grouped(&labels, &groups, 5, 1).unwrap();
        for fold in 0..5 {
            let of = |class| folds.test(fold).iter().filter(|&&row| labels[row] == class).count();
            assert_eq!((of(2), of(1)), (2, 4), "fold {fold}");
            assert!((52..=56).contains(&of(0)), "fold {fold}: {}", of(0));
        }
        assert_eq!(folds, Folds::grouped(&labels, &groups, 5, 1).unwrap());
        assert_ne!(folds, Folds::grouped(&labels, &groups, 5, 2).unwrap());
    }

    #[test]
    fn a_published_split_and_bad_input() {
        let folds = Folds::fixed(&[false, true, false]).unwrap();
        assert_eq!((folds.train(0), folds.test(0), folds.predicted()), (vec![0, 2], vec![1], vec![1]));
        assert!(matches!(Folds::fixed(&[true]), Err(ClassError::TooFew { .. })));
        assert!(matches!(Folds::grouped(&[0, 1], &[0, 0], 2, 0), Err(ClassError::TooFew { needed: 2, found: 1, .. })));
        assert!(matches!(Folds::grouped(&[0, 1], &[0, 1], 1, 0), Err(ClassError::TooFew { .. })));
        assert!(matches!(Folds::grouped(&[0, 1], &[0], 2, 0), Err(ClassError::Length { .. })));
        assert!(matches!(Folds::grouped(&[], &[], 2, 0), Err(ClassError::TooFew { .. })));
    }

    proptest! {
        #[test]
        fn a_group_is_never_torn(rows in prop::collection::vec((0usize..4, 0usize..25), 30..120), k in 2usize..5, seed in 0u64..9) {
            let (labels, groups): (Vec<usize>, Vec<usize>) = rows.into_iter().unzip();
            prop_assume!(metrics::bootstrap::group_members(&groups).len() >= k);
            let folds = Folds::grouped(&labels, &groups, k, seed).unwrap();
            for (row, group) in groups.iter().enumerate() {
                for (other, other_group) in groups.iter().enumerate() {
                    prop_assert!(group != other_group || folds.of_rows()[row] == folds.of_rows()[other]);
                }
            }
            let all: usize = (0..k).map(|fold| folds.test(fold).len()).sum();
            prop_assert_eq!(all, labels.len());
        }
    }
}
