//! A probe, and every row predicted by one that never saw its group.
use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::folds::Folds;
use super::knn::CosineKnn;
use super::logistic::Logistic;
use crate::error::{ClassError, Result, check_labels};

/// A simple classifier on frozen features.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Probe {
    /// The most common class of the training rows, whatever the features (the lower class of two).
    Majority,
    /// Majority of the nearest rows by cosine, features as they are.
    Knn {
        /// How many vote; 15 in the project's tables.
        neighbours: usize,
    },
    /// Logistic regression on standardised features.
    Logistic {
        /// scikit-learn's C; 0.1 in the project's tables.
        inverse_penalty: f64,
    },
}

impl Probe {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Knn { .. } => "knn",
            Self::Logistic { .. } => "logistic",
        }
    }

    /// Fits to `train` and predicts `test`.
    ///
    /// # Shapes
    /// `train`, `test`: `[rows, features]`; `labels`: one per training row.
    /// # Errors
    /// As [`CosineKnn::fit`] and [`Logistic::fit`].
    pub fn predict(
        self,
        train: ArrayView2<f32>,
        labels: &[usize],
        n_classes: usize,
        test: ArrayView2<f32>,
    ) -> Result<Predictions> {
        match self {
            Self::Majority => {
                check_labels(labels, train.nrows(), n_classes)?;
                let mut share = vec![0.0; n_classes];
                labels.iter().for_each(|&label| share[label] += 1.0 / labels.len() as f64);
                let class = highest(&share).unwrap_or(0);
                let probabilities = Array2::from_shape_fn((test.nrows(), n_classes), |(_, class)| share[class]);
                Ok(Predictions { class: vec![class; test.nrows()], probabilities })
            }
            Self::Knn { neighbours } => {
                let votes = CosineKnn::fit(train, labels, n_classes, neighbours)?.vote(test)?;
                Ok(Predictions { class: votes.class, probabilities: votes.share })
            }
            Self::Logistic { inverse_penalty } => {
                let fitted = Logistic::fit(train, labels, n_classes, inverse_penalty)?;
                Ok(Predictions::of(fitted.probabilities(test)?))
            }
        }
    }
}

/// The class and the probability of every class of some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Predicted class of each row.
    pub class: Vec<usize>,
    /// Probabilities, `[rows, classes]`.
    pub probabilities: Array2<f64>,
}

impl Predictions {
    /// The class of highest probability in each row, the lower of two equal ones.
    pub fn of(probabilities: Array2<f64>) -> Self {
        let class = probabilities.rows().into_iter().map(|row| highest(&row.to_vec()).unwrap_or(0)).collect();
        Self { class, probabilities }
    }
}

/// Place of the first largest value.
pub(crate) fn highest(values: &[f64]) -> Option<usize> {
    (0..values.len()).reduce(|best, place| if values[place] > values[best] { place } else { best })
}

/// Predicts every row that has a fold from the rows outside that fold.
///
/// `choose(fold, training rows)` may take a part of the training rows (see [`super::draws`]).
///
/// # Shapes
/// `features`: `[rows, columns]`; `labels`: one per row; the result has a row for every row of `folds`, those without a fold
/// being class 0 with probability 0 everywhere.
/// # Errors
/// As [`Probe::predict`]; if the lengths differ.
pub fn out_of_fold(
    probe: Probe,
    features: ArrayView2<f32>,
    labels: &[usize],
    n_classes: usize,
    folds: &Folds,
    mut choose: impl FnMut(usize, Vec<usize>) -> Result<Vec<usize>>,
) -> Result<Predictions> {
    check_labels(labels, features.nrows(), n_classes)?;
    if folds.of_rows().len() != labels.len() {
        return Err(ClassError::Length { what: "folds", expected: labels.len(), found: folds.of_rows().len() });
    }
    let mut class = vec![0; labels.len()];
    let mut probabilities = Array2::zeros((labels.len(), n_classes));
    for fold in 0..folds.len() {
        let (train, test) = (choose(fold, folds.train(fold))?, folds.test(fold));
        let known: Vec<usize> = train.iter().map(|&row| labels[row]).collect();
        let (train, tested) = (features.select(Axis(0), &train), features.select(Axis(0), &test));
        let found = probe.predict(train.view(), &known, n_classes, tested.view())?;
        for (place, &row) in test.iter().enumerate() {
            class[row] = found.class[place];
            probabilities.row_mut(row).assign(&found.probabilities.row(place));
        }
    }
    Ok(Predictions { class, probabilities })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features that are the row number tell nothing of other groups; a probe that saw a row's own group would know its label.
    #[test]
    fn no_row_is_predicted_by_its_own_group() {
        let groups: Vec<usize> = (0..60).map(|row| row / 3).collect();
        let labels: Vec<usize> = groups.iter().map(|group| (group * 7 + 3) % 11 % 2).collect();
        let features =
            Array2::from_shape_fn((60, 20), |(row, column)| if groups[row] == column { 1.0f32 } else { 0.0 });
        let folds = Folds::grouped(&labels, &groups, 4, 0).unwrap();
        let found = out_of_fold(Probe::Knn { neighbours: 1 }, features.view(), &labels, 2, &folds, |_, rows| Ok(rows));
        let found = found.unwrap().class;
        // All other rows are equally far, so the first training row decides: one answer for each fold.
        for fold in 0..4 {
            let answers: Vec<usize> = folds.test(fold).iter().map(|&row| found[row]).collect();
            assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "fold {fold}: {answers:?}");
        }
    }

    #[test]
    fn the_majority_takes_no_look() {
        let features = Array2::<f32>::zeros((5, 1));
        let labels = [1, 1, 0, 2, 1];
        let folds = Folds::fixed(&[false, false, false, true, true]).unwrap();
        let found = out_of_fold(Probe::Majority, features.view(), &labels, 3, &folds, |_, rows| Ok(rows)).unwrap();
        assert_eq!((found.class[3], found.class[4]), (1, 1));
        assert!((found.probabilities[(3, 1)] - 2.0 / 3.0).abs() < 1e-12 && found.probabilities[(0, 1)] == 0.0);
        let error = out_of_fold(Probe::Majority, features.view(), &[0; 4], 3, &folds, |_, rows| Ok(rows)).unwrap_err();
        assert!(matches!(error, ClassError::Length { .. }));
    }
}
