//! The k nearest neighbours by cosine: what lies together, without any fit.
use ndarray::{Array2, ArrayView2};

use crate::error::{ClassError, Result, check_labels};

/// Training rows of length 1 and their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct CosineKnn {
    directions: Array2<f32>,
    labels: Vec<usize>,
    n_classes: usize,
    neighbours: usize,
}

/// What the neighbours of each row say.
#[derive(Debug, Clone, PartialEq)]
pub struct Votes {
    /// The class with most votes of each row.
    pub class: Vec<usize>,
    /// Share of the votes, `[rows, classes]`.
    pub share: Array2<f64>,
}

impl CosineKnn {
    /// Keeps the training rows; with fewer rows than `neighbours` all of them vote.
    ///
    /// # Errors
    /// Without a row or a neighbour, with a label out of range or a feature that is not finite.
    pub fn fit(rows: ArrayView2<f32>, labels: &[usize], n_classes: usize, neighbours: usize) -> Result<Self> {
        check_labels(labels, rows.nrows(), n_classes)?;
        if rows.nrows() == 0 || neighbours == 0 {
            let what = if neighbours == 0 { "neighbours" } else { "training rows" };
            return Err(ClassError::TooFew { what: what.into(), needed: 1, found: 0 });
        }
        Ok(Self { directions: directions(rows)?, labels: labels.to_vec(), n_classes, neighbours })
    }

    /// The majority among the nearest training rows.
    ///
    /// Of two training rows equally near, the first counts as nearer. Of classes with equally many votes, the one whose nearest
    /// member is nearest wins.
    ///
    /// # Errors
    /// On another number of features, or one that is not finite.
    pub fn vote(&self, rows: ArrayView2<f32>) -> Result<Votes> {
        if rows.ncols() != self.directions.ncols() {
            return Err(ClassError::Length {
                what: "features",
                expected: self.directions.ncols(),
                found: rows.ncols(),
            });
        }
        let cosines = directions(rows)?.dot(&self.directions.t());
        let mut share = Array2::zeros((rows.nrows(), self.n_classes));
        let mut class = Vec::with_capacity(rows.nrows());
        let mut order: Vec<usize> = Vec::with_capacity(self.labels.len());
        for (cosines, mut share) in cosines.rows().into_iter().zip(share.rows_mut()) {
            let nearer = |a: &usize, b: &usize| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b));
            order.clear();
            order.extend(0..self.labels.len());
            let k = self.neighbours.min(order.len());
            if k < order.len() {
                order.select_nth_unstable_by(k - 1, nearer);
                order.truncate(k);
            }
            order.sort_unstable_by(nearer);
            order.iter().for_each(|&row| share[self.labels[row]] += 1.0);
            let most = share.iter().copied().fold(0.0, f64::max);
            let first = order.iter().map(|&row| self.labels[row]).find(|&label| share[label] == most);
            class.push(first.unwrap_or(0));
            share /= k as f64;
        }
        Ok(Votes { class, share })
    }
}

/// Rows divided by their length; a row of zeros stays.
fn directions(rows: ArrayView2<f32>) -> Result<Array2<f32>> {
    let mut out = rows.to_owned();
    for (row, mut values) in out.rows_mut().into_iter().enumerate() {
        let squares: f64 = values.iter().map(|&v| f64::from(v).powi(2)).sum();
        if !squares.is_finite() {
            let column = values.iter().position(|v| !v.is_finite()).unwrap_or(0);
            return Err(ClassError::NotFinite { row, column, found: f64::from(values[column]) });
        }
        let length = squares.sqrt();
        if length > 0.0 {
            values.mapv_inplace(|v| (f64::from(v) / length) as f32);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn length_does_not_count_and_ties_go_to_the_nearest() {
        let train = array![[1.0f32, 0.0], [5.0, 0.5], [0.0, 1.0], [0.1, 2.0]];
        let knn = CosineKnn::fit(train.view(), &[0, 0, 1, 1], 2, 2).unwrap();
        let votes = knn.vote(array![[100.0f32, 1.0], [0.01, 0.1]].view()).unwrap();
        assert_eq!(votes.class, [0, 1]);
        // All four vote: two against two, and the nearest decides.
        let knn = CosineKnn::fit(train.view(), &[0, 1, 1, 0], 2, 9).unwrap();
        let votes = knn.vote(array![[1.0f32, 0.01], [1.0, 0.09]].view()).unwrap();
        assert_eq!((votes.class, votes.share[(0, 0)]), (vec![0, 1], 0.5));
        // Two training rows equally near: the first.
        let knn = CosineKnn::fit(array![[2.0f32, 0.0], [1.0, 0.0]].view(), &[1, 0], 2, 1).unwrap();
        assert_eq!(knn.vote(array![[1.0f32, 1.0]].view()).unwrap().class, [1]);
    }

    #[test]
    fn bad_input_is_refused() {
        let two = array![[1.0f32, 0.0], [0.0, 1.0]];
        assert!(matches!(CosineKnn::fit(two.view(), &[0], 2, 1), Err(ClassError::Length { .. })));
        assert!(matches!(CosineKnn::fit(two.view(), &[0, 2], 2, 1), Err(ClassError::UnknownClass { row: 1, .. })));
        assert!(matches!(CosineKnn::fit(two.view(), &[0, 1], 2, 0), Err(ClassError::TooFew { .. })));
        let knn = CosineKnn::fit(two.view(), &[0, 1], 2, 1).unwrap();
        assert!(matches!(knn.vote(array![[f32::NAN, 1.0]].view()), Err(ClassError::NotFinite { row: 0, .. })));
        assert!(matches!(knn.vote(array![[1.0f32]].view()), Err(ClassError::Length { .. })));
    }
}
