//! The feature table as the forest reads it: rows in sequence, every value checked once.

use std::borrow::Cow;

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::error::ForestError;

/// Rows per parallel task when the whole table is read.
const ROWS_PER_TASK: usize = 1024;

/// Features `[rows, columns]`, row after row; borrowed when the caller's array already is in this order.
pub(crate) struct Table<'a> {
    values: Cow<'a, [f32]>,
    rows: usize,
    columns: usize,
}

impl<'a> Table<'a> {
    /// # Errors
    /// If there is no column, or more rows or columns than 32 bits count.
    pub(crate) fn new(features: ArrayView2<'a, f32>) -> Result<Self, ForestError> {
        let (rows, columns) = features.dim();
        if columns == 0 {
            return Err(ForestError::NoFeatures);
        }
        if rows > i32::MAX as usize || columns > i32::MAX as usize {
            return Err(ForestError::BadSetting {
                name: "features",
                expected: "fewer than 2^31 rows and columns".into(),
                found: format!("{rows} x {columns}"),
            });
        }
        let values = match features.to_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(features.iter().copied().collect()),
        };
        Ok(Self { values, rows, columns })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(crate) fn value(&self, row: u32, column: u32) -> f32 {
        self.values[row as usize * self.columns + column as usize]
    }

    /// The first value that is not finite, as an error with its place, among rows `first_row..` held in `block`.
    pub(crate) fn check_finite(&self, first_row: usize, block: &[f32]) -> Result<(), ForestError> {
        // x * 0 is 0 for a finite x and NaN otherwise, and adding zeros vectorises; the place is looked up only on failure.
        let mut zeros = [0.0_f32; 32];
        let mut chunks = block.chunks_exact(32);
        for chunk in &mut chunks {
            for (zero, value) in zeros.iter_mut().zip(chunk) {
                *zero += value * 0.0;
            }
        }
        let finite = zeros.iter().all(|&zero| zero == 0.0) && chunks.remainder().iter().all(|value| value.is_finite());
        let place = if finite { None } else { block.iter().position(|value| !value.is_finite()) };
        match place {
            Some(index) => Err(ForestError::NotFinite {
                row: first_row + index / self.columns,
                column: index % self.columns,
                found: block[index],
            }),
            None => Ok(()),
        }
    }

    /// Which columns hold at least two different values.
    ///
    /// # Errors
    /// If a value is not finite; the first one in row order is named.
    pub(crate) fn varying_columns(&self) -> Result<Vec<bool>, ForestError> {
        let first = &self.values[..self.columns.min(self.values.len())];
        let blocks: Vec<Result<Vec<bool>, ForestError>> = self
            .values
            .par_chunks(ROWS_PER_TASK * self.columns)
            .enumerate()
            .map(|(task, block)| {
                self.check_finite(task * ROWS_PER_TASK, block)?;
                let mut varying = vec![false; self.columns];
                for row in block.chunks_exact(self.columns) {
                    for ((varies, value), first) in varying.iter_mut().zip(row).zip(first) {
                        *varies |= value != first;
                    }
                }
                Ok(varying)
            })
            .collect();
        let mut varying = vec![false; self.columns];
        for block in blocks {
            for (varies, here) in varying.iter_mut().zip(block?) {
                *varies |= here;
            }
        }
        Ok(varying)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn any_memory_order_reads_the_same() {
        let values = Array2::from_shape_fn((5, 3), |(row, column)| (10 * row + column) as f32);
        let flipped = values.t().to_owned();
        for view in [values.view(), flipped.t()] {
            let table = Table::new(view).unwrap();
            assert_eq!((table.rows(), table.columns(), table.value(4, 1)), (5, 3, 41.0));
        }
    }

    #[test]
    fn the_first_bad_value_is_named() {
        let mut values = Array2::<f32>::zeros((3000, 7));
        values[(2999, 0)] = f32::INFINITY;
        values[(2100, 3)] = f32::NAN;
        let error = Table::new(values.view()).unwrap().varying_columns().unwrap_err();
        assert!(matches!(error, ForestError::NotFinite { row: 2100, column: 3, .. }), "{error}");
        values[(2100, 3)] = 1.0;
        let error = Table::new(values.view()).unwrap().varying_columns().unwrap_err();
        assert!(matches!(error, ForestError::NotFinite { row: 2999, column: 0, .. }), "{error}");
        values[(2999, 0)] = 0.0;
        assert_eq!(
            Table::new(values.view()).unwrap().varying_columns().unwrap(),
            [false, false, false, true, false, false, false]
        );
    }
}
