//! Few rows of many features: the same problem in as many coordinates as there are independent rows.
use ndarray::{Array2, Axis};

/// A row whose distance from the span of those before is less than this share of the longest row is in that span, squared.
const SPAN: f64 = 1e-12;

/// Coordinates of rows in an orthonormal basis of what they span.
///
/// A penalised linear fit depends on its rows through their products alone, and its coefficients are a sum of rows; so it can be found
/// in the coordinates and carried back. Products of coordinates equal products of rows to rounding: the coordinates are the Cholesky
/// factor of the products, rows in the order of their distance from the span of those before.
pub(crate) struct RowSpace {
    /// `[rows, independent rows]`.
    pub coordinates: Array2<f64>,
    /// The independent rows, in the order they were found.
    basis: Vec<usize>,
}

impl RowSpace {
    /// Whether the coordinates are few enough to be worth it.
    pub fn pays(rows: usize, features: usize) -> bool {
        rows < features
    }

    /// Of the rows `[n, features]`.
    pub fn of(rows: &Array2<f64>) -> Self {
        let products = rows.dot(&rows.t());
        let n = products.nrows();
        let mut left: Vec<f64> = products.diag().to_vec();
        let longest = left.iter().copied().fold(0.0, f64::max);
        let (mut basis, mut columns, mut is_basis) = (Vec::new(), Vec::<Vec<f64>>::new(), vec![false; n]);
        while basis.len() < n {
            let furthest = (0..n).fold(0, |best, row| if left[row] > left[best] { row } else { best });
            if left[furthest] <= SPAN * longest {
                break;
            }
            let length = left[furthest].sqrt();
            let mut column: Vec<f64> = products.row(furthest).to_vec();
            for earlier in &columns {
                let share = earlier[furthest];
                column.iter_mut().zip(earlier).for_each(|(value, part)| *value -= share * part);
            }
            column.iter_mut().for_each(|value| *value /= length);
            for (row, value) in column.iter_mut().enumerate() {
                if is_basis[row] {
                    *value = 0.0;
                }
                left[row] -= *value * *value;
            }
            column[furthest] = length;
            left[furthest] = 0.0;
            is_basis[furthest] = true;
            basis.push(furthest);
            columns.push(column);
        }
        let coordinates = Array2::from_shape_fn((n, columns.len()), |(row, column)| columns[column][row]);
        Self { coordinates, basis }
    }

    /// Coefficients `[planes, features]` that give every row what `weights`, `[planes, coordinates]`, give its coordinates.
    pub fn carried_back(&self, weights: &Array2<f64>, rows: &Array2<f64>) -> Array2<f64> {
        let rank = self.basis.len();
        let triangle = self.coordinates.select(Axis(0), &self.basis); // lower triangular
        let mut shares = weights.clone();
        for mut share in shares.rows_mut() {
            for at in (0..rank).rev() {
                let known: f64 = (at + 1..rank).map(|later| triangle[(later, at)] * share[later]).sum();
                share[at] = (share[at] - known) / triangle[(at, at)];
            }
        }
        shares.dot(&rows.select(Axis(0), &self.basis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Array2<f64> {
        // Nine rows of forty features, two of them copies and one the sum of two others.
        let mut rows = Array2::from_shape_fn((9, 40), |(i, j)| {
            f64::from((i as u32 * 37 + j as u32 * 101 + 7) * 2_654_435 % 1009) - 504.0
        });
        let (second, sum) = (rows.row(2).to_owned(), &rows.row(0) + &rows.row(3));
        rows.row_mut(5).assign(&second);
        rows.row_mut(8).assign(&sum);
        rows
    }

    #[test]
    fn products_are_kept_and_only_independent_rows_count() {
        let rows = rows();
        let space = RowSpace::of(&rows);
        assert_eq!(space.coordinates.ncols(), 7);
        let (before, after) = (rows.dot(&rows.t()), space.coordinates.dot(&space.coordinates.t()));
        let largest = before.iter().fold(0.0f64, |most, v| most.max(v.abs()));
        assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-11 * largest));
    }

    #[test]
    fn coefficients_come_back_with_the_same_scores_and_length() {
        let rows = rows();
        let space = RowSpace::of(&rows);
        let weights = Array2::from_shape_fn((2, 7), |(plane, at)| (plane * 7 + at) as f64 / 5.0 - 1.0);
        let back = space.carried_back(&weights, &rows);
        let (there, here) = (space.coordinates.dot(&weights.t()), rows.dot(&back.t()));
        assert!(there.iter().zip(&here).all(|(a, b)| (a - b).abs() < 1e-8 * (1.0 + b.abs())));
        let length = |weights: &Array2<f64>| weights.iter().map(|w| w * w).sum::<f64>();
        assert!((length(&weights) - length(&back)).abs() < 1e-9 * length(&weights));
    }

    #[test]
    fn rows_of_nothing_have_no_coordinates() {
        assert_eq!(RowSpace::of(&Array2::zeros((3, 9))).coordinates.dim(), (3, 0));
    }
}
