//! Principal components of small pictures: the linear rival of a learned embedding.

use ndarray::{Array1, Array2, ArrayView2, Axis, linalg::general_mat_mul, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    eigen::leading_eigen,
    error::{FeatureError, check_setting, finite_f32},
};

/// Rows that are centred and multiplied at a time.
const ROWS_PER_BLOCK: usize = 512;
/// Columns of the covariance per parallel task.
const COLUMNS_PER_PANEL: usize = 64;

/// The leading principal components of a table of pixel rows.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelPca {
    /// `[P]`: mean of the rows of the fit.
    pub mean: Array1<f64>,
    /// `[k, P]`: unit vectors, orthogonal to each other, in descending order of variance. The entry of largest magnitude is
    /// positive, so that signs do not depend on the start. A direction without variance is an arbitrary one.
    pub components: Array2<f64>,
    /// `[k]`: variance of the rows along each component (N - 1 in the denominator), descending.
    pub variances: Vec<f64>,
    /// Variance along all P directions together.
    pub total_variance: f64,
    /// How well the components are converged: largest `|C v - λ v|` in units of the largest variance, 1e-9 or below unless
    /// the spectrum is so flat that the iteration ran out.
    pub residual: f64,
}

/// Names of the columns of [`PixelPca::transform`]: `pca00`, `pca01`, …
#[must_use]
pub fn pca_names(k: usize) -> Vec<String> {
    (0..k).map(|i| format!("pca{i:02}")).collect()
}

impl PixelPca {
    /// Fits `k` components. Sums run in `f64` in a fixed order: the number of threads changes no bit.
    ///
    /// # Shapes
    /// - `rows`: `[N, P]`, one cutout a row, for example of [`crate::pixel_row`].
    /// # Errors
    /// [`FeatureError::Setting`] unless `1 <= k <= min(N - 1, P)`; [`FeatureError::NotFinite`].
    pub fn fit(rows: ArrayView2<f32>, k: usize, seed: u64) -> Result<Self, FeatureError> {
        let (n, p) = rows.dim();
        let most = n.saturating_sub(1).min(p);
        let expected = || format!("1 to {most} components for {n} rows of {p} pixels");
        check_setting((1..=most).contains(&k), "k", expected(), k)?;
        if let Some(((row, column), &found)) = rows.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(FeatureError::NotFinite { row, column, found });
        }
        let mean = column_means(rows);
        let covariance = covariance(rows, &mean);
        let total_variance = covariance.diag().sum();
        let mut eigen = leading_eigen(&covariance, k, &mut ChaCha8Rng::seed_from_u64(seed));
        for mut component in eigen.vectors.outer_iter_mut() {
            let largest = component.iter().fold(0.0f64, |found, &v| if v.abs() > found.abs() { v } else { found });
            component *= largest.signum();
        }
        // Rounding may leave a vanishing variance below 0.
        let variances = eigen.values.iter().map(|v| v.max(0.0)).collect();
        Ok(Self { mean, components: eigen.vectors, variances, total_variance, residual: eigen.residual })
    }

    /// Coordinates of rows along the components, in the unit of the pixels, not whitened.
    ///
    /// # Shapes
    /// - `rows`: `[M, P]`; result: `[M, k]`, columns named by [`pca_names`].
    /// # Errors
    /// [`FeatureError::RowLength`] and [`FeatureError::NotFinite`].
    pub fn transform(&self, rows: ArrayView2<f32>) -> Result<Array2<f32>, FeatureError> {
        if rows.ncols() != self.mean.len() {
            return Err(FeatureError::RowLength { expected: self.mean.len(), found: rows.ncols() });
        }
        if let Some(((row, column), &found)) = rows.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(FeatureError::NotFinite { row, column, found });
        }
        let mut coordinates = Array2::zeros((rows.nrows(), self.components.nrows()));
        let lines: Vec<_> = coordinates.outer_iter_mut().zip(rows.outer_iter()).collect();
        lines.into_par_iter().for_each(|(mut line, row)| {
            let centred = row.mapv(f64::from) - &self.mean;
            for (coordinate, component) in line.iter_mut().zip(self.components.outer_iter()) {
                *coordinate = finite_f32(component.dot(&centred));
            }
        });
        Ok(coordinates)
    }
}

fn column_means(rows: ArrayView2<f32>) -> Array1<f64> {
    let mut sums = Array1::<f64>::zeros(rows.ncols());
    for row in rows.outer_iter() {
        sums.zip_mut_with(&row, |sum, &v| *sum += f64::from(v));
    }
    sums / rows.nrows() as f64
}

/// `[P, P]`: covariance of the columns, N - 1 in the denominator.
///
/// Each panel of columns is one task's, and takes the blocks of rows in their order.
fn covariance(rows: ArrayView2<f32>, mean: &Array1<f64>) -> Array2<f64> {
    let p = rows.ncols();
    let mut panels: Vec<(usize, Array2<f64>)> = (0..p)
        .step_by(COLUMNS_PER_PANEL)
        .map(|first| (first, Array2::zeros((COLUMNS_PER_PANEL.min(p - first), p - first))))
        .collect();
    for block in rows.axis_chunks_iter(Axis(0), ROWS_PER_BLOCK) {
        let centred = block.mapv(f64::from) - mean;
        panels.par_iter_mut().for_each(|(first, panel)| {
            let left = centred.slice(s![.., *first..*first + panel.nrows()]);
            general_mat_mul(1.0, &left.t(), &centred.slice(s![.., *first..]), 1.0, panel);
        });
    }
    let mut covariance = Array2::zeros((p, p));
    let scale = 1.0 / (rows.nrows() - 1) as f64;
    for (first, panel) in panels {
        for ((i, j), sum) in panel.indexed_iter() {
            covariance[(first + i, first + j)] = sum * scale;
            covariance[(first + j, first + i)] = sum * scale;
        }
    }
    covariance
}
