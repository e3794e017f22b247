//! Principal components of a feature table: the linear rival of the map, and its start where the graph falls apart.

use ndarray::{Array1, Array2, ArrayView2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    eigen::symmetric_eigen,
    error::{MapError, check},
    scaling::{ColumnScale, Scaling},
};

/// Rows that are centred and multiplied at a time.
const ROWS_PER_BLOCK: usize = 512;
/// Columns of the product per parallel task.
const COLUMNS_PER_PANEL: usize = 64;
/// Largest matrix whose eigenvectors are sought, 8 GB in `f64` with its vectors.
const LARGEST_SIDE: usize = 1 << 14;

/// How many components are kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Components {
    /// This many.
    Count(usize),
    /// As few as hold more than this fraction of the variance, in (0, 1).
    Variance(f64),
}

/// Every number that principal components depend on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcaConfig {
    /// How many components are kept.
    pub components: Components,
    /// What is done to each column first.
    pub scaling: Scaling,
}

/// Principal components, fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// The scale of the columns.
    pub scale: ColumnScale,
    /// `[columns]`: mean of the scaled rows.
    pub mean: Array1<f64>,
    /// `[k, columns]`: unit vectors, orthogonal to each other, in descending order of variance. The entry of largest
    /// magnitude is positive (scikit-learn's convention).
    pub components: Array2<f64>,
    /// `[k]`: variance along each (n - 1 in the denominator).
    pub variances: Vec<f64>,
    /// Variance along all directions together.
    pub total_variance: f64,
}

impl Pca {
    /// Fits components. Sums run in `f64` in a fixed order: the number of threads changes no bit.
    ///
    /// # Shapes
    /// - `features`: `[n, columns]`.
    /// # Errors
    /// [`MapError::TooFewRows`] below two rows; [`MapError::Constant`] without any variance; [`MapError::NotFinite`];
    /// [`MapError::BadSetting`] for a number of components above `min(n - 1, columns)` or a fraction outside (0, 1).
    pub fn fit(features: ArrayView2<f32>, config: &PcaConfig) -> Result<Self, MapError> {
        if features.nrows() < 2 {
            return Err(MapError::TooFewRows { expected: 2, found: features.nrows() });
        }
        let scale = ColumnScale::fit(features, config.scaling)?;
        let rows = scale.apply(features)?;
        let (n, p) = rows.dim();
        let most = (n - 1).min(p);
        match config.components {
            Components::Count(k) => {
                check((1..=most).contains(&k), "components", &format!("1 to {most} for {n} rows of {p} columns"), k)?;
            }
            Components::Variance(part) => {
                check(part > 0.0 && part < 1.0, "components", "a fraction of the variance between 0 and 1", part)?;
            }
        }
        let side = n.min(p);
        check(side <= LARGEST_SIDE, "features", &format!("at most {LARGEST_SIDE} rows or columns"), side)?;
        let mean = column_means(rows.view());
        // With more columns than rows, from the products of rows with each other.
        let wide = (p > n).then(|| rows.mapv(f64::from) - &mean);
        let (mut variances, vectors) = match &wide {
            None => symmetric_eigen(&covariance(rows.view(), &mean)),
            Some(centred) => symmetric_eigen(&row_products(centred)),
        };
        // Beyond n - 1 there is no variance; rounding may leave a trace of either sign.
        variances.iter_mut().enumerate().for_each(|(i, v)| *v = if i < most { v.max(0.0) } else { 0.0 });
        let total_variance: f64 = variances.iter().sum();
        if total_variance <= 0.0 {
            return Err(MapError::Constant { rows: n });
        }
        let k = match config.components {
            Components::Count(k) => k,
            Components::Variance(part) => holding(&variances, part * total_variance).min(most),
        };
        variances.truncate(k);
        let vectors = vectors.slice_move(s![..k, ..]);
        let mut components = match &wide {
            None => vectors,
            Some(centred) => along_columns(centred, &vectors, variances[0]),
        };
        for mut component in components.outer_iter_mut() {
            let largest = component.iter().fold(0.0f64, |found, &v| if v.abs() > found.abs() { v } else { found });
            component *= 1.0_f64.copysign(largest);
        }
        Ok(Self { scale, mean, components, variances, total_variance })
    }

    /// Part of the variance along each component.
    #[must_use]
    pub fn variance_fractions(&self) -> Vec<f64> {
        self.variances.iter().map(|variance| variance / self.total_variance).collect()
    }

    /// Coordinates of rows along the components, not whitened.
    ///
    /// # Shapes
    /// - `features`: `[m, columns]`; result: `[m, k]`.
    /// # Errors
    /// [`MapError::WrongWidth`] and [`MapError::NotFinite`].
    pub fn transform(&self, features: ArrayView2<f32>) -> Result<Array2<f32>, MapError> {
        let rows = self.scale.apply(features)?;
        let mut coordinates = Array2::zeros((rows.nrows(), self.components.nrows()));
        let lines: Vec<_> = coordinates.outer_iter_mut().zip(rows.outer_iter()).collect();
        lines.into_par_iter().for_each(|(mut line, row)| {
            let centred = row.mapv(f64::from) - &self.mean;
            for (coordinate, component) in line.iter_mut().zip(self.components.outer_iter()) {
                *coordinate = component.dot(&centred) as f32;
            }
        });
        Ok(coordinates)
    }
}

/// How many of the variances together exceed a sum.
fn holding(variances: &[f64], sum: f64) -> usize {
    let mut so_far = 0.0;
    let before = variances.iter().take_while(|&&variance| {
        so_far += variance;
        so_far <= sum
    });
    before.count() + 1
}

fn column_means(rows: ArrayView2<f32>) -> Array1<f64> {
    let mut sums = Array1::<f64>::zeros(rows.ncols());
    for row in rows.outer_iter() {
        sums.zip_mut_with(&row, |sum, &v| *sum += f64::from(v));
    }
    sums / rows.nrows() as f64
}

/// `[columns, columns]`. Each panel of columns is one task's, and takes the blocks of rows in their order.
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

/// Products of centred rows with each other, `[n, n]`, over n - 1.
fn row_products(centred: &Array2<f64>) -> Array2<f64> {
    let n = centred.nrows();
    let mut products = Array2::zeros((n, n));
    let panels: Vec<_> = products.axis_chunks_iter_mut(Axis(0), COLUMNS_PER_PANEL).enumerate().collect();
    panels.into_par_iter().for_each(|(panel, mut out)| {
        let first = panel * COLUMNS_PER_PANEL;
        let left = centred.slice(s![first..first + out.nrows(), ..]);
        general_mat_mul(1.0 / (n - 1) as f64, &left, &centred.t(), 0.0, &mut out);
    });
    products
}

/// Components `[k, columns]` from the first `k` vectors along rows, `[k, n]`.
fn along_columns(centred: &Array2<f64>, along_rows: &Array2<f64>, largest_variance: f64) -> Array2<f64> {
    let mut components = along_rows.dot(centred);
    let negligible = 1e-7 * (largest_variance.max(0.0) * (centred.nrows() - 1) as f64).sqrt();
    // Where the variance vanishes so does the product; Gram-Schmidt keeps what is left orthogonal.
    for i in 0..components.nrows() {
        let (done, mut rest) = components.view_mut().split_at(Axis(0), i);
        let (done, mut row) = (done.view(), rest.row_mut(0));
        if row.dot(&row).sqrt() <= negligible {
            fill_orthogonal(&mut row, done);
            continue;
        }
        for earlier in done.outer_iter() {
            let along = row.dot(&earlier);
            row.scaled_add(-along, &earlier);
        }
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    components
}

/// A unit vector orthogonal to earlier ones: what is left of the first axis that is not (nearly) among them.
fn fill_orthogonal(row: &mut ndarray::ArrayViewMut1<f64>, done: ArrayView2<f64>) {
    for axis in 0..row.len() {
        row.fill(0.0);
        row[axis] = 1.0;
        for _ in 0..2 {
            for earlier in done.outer_iter() {
                let along = row.dot(&earlier);
                row.scaled_add(-along, &earlier);
            }
        }
        let length = row.dot(row).sqrt();
        // Of p axes the average one keeps (p - earlier) / p of its squared length.
        if length * length >= 0.5 * (row.len() - done.nrows()) as f64 / row.len() as f64 {
            *row /= length;
            return;
        }
    }
}
