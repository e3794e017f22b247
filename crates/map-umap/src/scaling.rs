//! What is done to each column first, so that no column rules the distances by its unit alone.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::MapError;

/// What is done to each column before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Columns stay as they are.
    None,
    /// Smallest value to 0, largest to 1. A constant column becomes 0.
    MinMax,
    /// Median to 0, distance between the quartiles to 1. Where the quartiles meet the column is only shifted.
    Robust,
}

/// Columns scaled as on the rows of a fit: `(value - offset) * factor`.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnScale {
    /// One a column.
    pub offset: Vec<f64>,
    /// One a column, not 0.
    pub factor: Vec<f64>,
}

impl ColumnScale {
    /// The scale of a table, scikit-learn's `MinMaxScaler` and `RobustScaler`.
    ///
    /// # Errors
    /// [`MapError::NoColumns`], [`MapError::NotFinite`]; [`MapError::TooFewRows`] without rows.
    pub fn fit(features: ArrayView2<f32>, scaling: Scaling) -> Result<Self, MapError> {
        check_table(features)?;
        if features.nrows() == 0 {
            return Err(MapError::TooFewRows { expected: 1, found: 0 });
        }
        let columns: Vec<(f64, f64)> = (0..features.ncols())
            .into_par_iter()
            .map(|column| {
                let mut values: Vec<f32> = features.column(column).to_vec();
                let (offset, range) = match scaling {
                    Scaling::None => return (0.0, 1.0),
                    Scaling::MinMax => {
                        let smallest = values.iter().copied().fold(f32::INFINITY, f32::min);
                        let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                        (f64::from(smallest), f64::from(largest) - f64::from(smallest))
                    }
                    Scaling::Robust => {
                        values.sort_unstable_by(f32::total_cmp);
                        (quantile(&values, 0.5), quantile(&values, 0.75) - quantile(&values, 0.25))
                    }
                };
                (offset, if range > 0.0 { range.recip() } else { 1.0 })
            })
            .collect();
        let (offset, factor) = columns.into_iter().unzip();
        Ok(Self { offset, factor })
    }

    /// Other rows on this scale.
    ///
    /// # Errors
    /// [`MapError::WrongWidth`], [`MapError::NotFinite`]; so too where a scaled value leaves the range of `f32`.
    pub fn apply(&self, features: ArrayView2<f32>) -> Result<Array2<f32>, MapError> {
        let (expected, found) = (self.offset.len(), features.ncols());
        if expected != found {
            return Err(MapError::WrongWidth { expected, found });
        }
        check_table(features)?;
        let mut scaled = Array2::zeros(features.dim());
        for (mut scaled, row) in scaled.outer_iter_mut().zip(features.outer_iter()) {
            for (column, (scaled, &value)) in scaled.iter_mut().zip(row).enumerate() {
                *scaled = ((f64::from(value) - self.offset[column]) * self.factor[column]) as f32;
            }
        }
        check_table(scaled.view())?;
        Ok(scaled)
    }
}

/// # Errors
/// [`MapError::NoColumns`], [`MapError::NotFinite`].
pub(crate) fn check_table(features: ArrayView2<f32>) -> Result<(), MapError> {
    if features.ncols() == 0 {
        return Err(MapError::NoColumns);
    }
    match features.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), &found)) => Err(MapError::NotFinite { row, column, found }),
        None => Ok(()),
    }
}

/// Quantile of sorted values, linear between neighbours.
fn quantile(sorted: &[f32], fraction: f64) -> f64 {
    let place = fraction * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    f64::from(below) + (f64::from(above) - f64::from(below)) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    #[test]
    fn columns_on_paper() {
        let features = arr2(&[[0.0, 5.0, 1.0], [1.0, 5.0, 2.0], [4.0, 5.0, 4.0], [2.0, 5.0, 8.0]]);
        let min_max = ColumnScale::fit(features.view(), Scaling::MinMax).unwrap();
        let scaled = min_max.apply(features.view()).unwrap();
        assert_eq!(scaled.column(0).to_vec(), [0.0, 0.25, 1.0, 0.5]);
        assert_eq!(scaled.column(1).to_vec(), [0.0; 4]);
        // Quartiles of 1, 2, 4, 8: 1.75, 3, 5.
        let robust = ColumnScale::fit(features.view(), Scaling::Robust).unwrap();
        assert_eq!((robust.offset[2], robust.factor[2].recip()), (3.0, 3.25));
        assert_eq!((robust.offset[1], robust.factor[1]), (5.0, 1.0));
        assert_eq!(ColumnScale::fit(features.view(), Scaling::None).unwrap().apply(features.view()).unwrap(), features);
    }

    #[test]
    fn what_overflows_is_refused() {
        let features = arr2(&[[0.0_f32], [1e-38]]);
        let scale = ColumnScale::fit(features.view(), Scaling::MinMax).unwrap();
        let error = scale.apply(arr2(&[[f32::MAX]]).view()).unwrap_err();
        assert!(matches!(error, MapError::NotFinite { row: 0, column: 0, .. }), "{error}");
    }
}
