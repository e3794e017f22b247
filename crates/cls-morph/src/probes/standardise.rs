//! Features with mean 0 and spread 1, by the statistics of the training rows alone.
use ndarray::{Array2, ArrayView2, Axis};

use crate::error::{ClassError, Result};

/// Mean and spread of every column of the rows it was fitted on.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardiser {
    /// Mean of each column.
    pub mean: Vec<f64>,
    /// Standard deviation (N in the denominator) of each column; 1 where a column is constant, as scikit-learn does.
    pub spread: Vec<f64>,
}

impl Standardiser {
    /// Takes the statistics of these rows.
    ///
    /// # Errors
    /// Without a row, or with a value that is not finite.
    pub fn fit(rows: ArrayView2<f32>) -> Result<Self> {
        if rows.nrows() == 0 {
            return Err(ClassError::TooFew { what: "training rows".into(), needed: 1, found: 0 });
        }
        if let Some(((row, column), value)) = rows.indexed_iter().find(|(_, value)| !value.is_finite()) {
            return Err(ClassError::NotFinite { row, column, found: f64::from(*value) });
        }
        let n = rows.nrows() as f64;
        let mut mean = Vec::with_capacity(rows.ncols());
        let mut spread = Vec::with_capacity(rows.ncols());
        for column in rows.axis_iter(Axis(1)) {
            let middle = column.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let variance = column.iter().map(|&v| (f64::from(v) - middle).powi(2)).sum::<f64>() / n;
            // What rounding leaves of a constant column is no spread.
            let flat = variance.sqrt() <= 1e-12 * middle.abs().max(f64::MIN_POSITIVE);
            mean.push(middle);
            spread.push(if flat { 1.0 } else { variance.sqrt() });
        }
        Ok(Self { mean, spread })
    }

    /// Planes on standardised rows as planes on the rows themselves: weights `[planes, features]` and intercepts.
    pub(crate) fn carried_back(&self, weights: &Array2<f64>, intercepts: &[f64]) -> (Array2<f64>, Vec<f64>) {
        let own =
            Array2::from_shape_fn(weights.dim(), |(plane, column)| weights[(plane, column)] / self.spread[column]);
        let shift = |plane: usize| own.row(plane).iter().zip(&self.mean).map(|(w, mean)| w * mean).sum::<f64>();
        let intercepts = intercepts.iter().enumerate().map(|(plane, b)| b - shift(plane)).collect();
        (own, intercepts)
    }

    /// The rows in units of the training rows' spread.
    ///
    /// # Errors
    /// If the number of columns differs, or a value is not finite.
    pub fn apply(&self, rows: ArrayView2<f32>) -> Result<Array2<f64>> {
        if rows.ncols() != self.mean.len() {
            return Err(ClassError::Length { what: "features", expected: self.mean.len(), found: rows.ncols() });
        }
        let mut out = Array2::zeros(rows.dim());
        for ((row, column), value) in rows.indexed_iter() {
            if !value.is_finite() {
                return Err(ClassError::NotFinite { row, column, found: f64::from(*value) });
            }
            out[(row, column)] = (f64::from(*value) - self.mean[column]) / self.spread[column];
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn by_hand() {
        let rows = array![[1.0f32, 5.0, 0.1], [3.0, 5.0, 0.1], [5.0, 5.0, 0.1]];
        let fitted = Standardiser::fit(rows.view()).unwrap();
        assert_eq!((fitted.mean[0], fitted.spread[1], fitted.spread[2]), (3.0, 1.0, 1.0));
        let z = fitted.apply(array![[3.0f32, 6.0, 0.1]].view()).unwrap();
        assert!(z[(0, 0)].abs() < 1e-12 && (z[(0, 1)] - 1.0).abs() < 1e-12 && z[(0, 2)].abs() < 1e-7);
        assert!((fitted.spread[0] - (8.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!(matches!(Standardiser::fit(array![[f32::NAN]].view()), Err(ClassError::NotFinite { row: 0, .. })));
        assert!(matches!(fitted.apply(array![[1.0f32]].view()), Err(ClassError::Length { .. })));
        assert!(matches!(Standardiser::fit(Array2::zeros((0, 3)).view()), Err(ClassError::TooFew { .. })));
    }
}
