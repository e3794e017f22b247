//! Rows as the search reads them: exact values, and a centred `f32` copy whose products bound every distance.
//!
//! A matrix product in `f32` says how far apart two rows are up to a known error. It decides most pairs; the few it
//! leaves open are computed in `f64`. So the answer is that of `f64` at the price of `f32`.

use std::borrow::Cow;

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::{error::NeighbourError, metric::Metric};

/// Rows per parallel task while tables are prepared.
const ROWS_PER_TASK: usize = 256;
/// Beyond, the error bound of a product of `f32` rows stops being small.
const MOST_COLUMNS: usize = 1 << 19;

/// A checked table, row after row; borrowed when the caller's array already is in this order.
pub(crate) struct Table<'a> {
    values: Cow<'a, [f32]>,
    pub rows: usize,
    pub columns: usize,
    /// What rows are multiplied with before they are compared: 1, or 1 / length for the cosine.
    scale: Vec<f64>,
}

impl<'a> Table<'a> {
    /// # Errors
    /// [`NeighbourError::NoColumns`], [`NeighbourError::TooLarge`], [`NeighbourError::NotFinite`]; for the cosine
    /// [`NeighbourError::ZeroRow`].
    pub fn new(name: &'static str, features: ArrayView2<'a, f32>, metric: Metric) -> Result<Self, NeighbourError> {
        let (rows, columns) = features.dim();
        if columns == 0 {
            return Err(NeighbourError::NoColumns { table: name });
        }
        if rows >= u32::MAX as usize || columns > MOST_COLUMNS {
            return Err(NeighbourError::TooLarge { table: name, rows, columns });
        }
        let values = match features.to_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(features.iter().copied().collect()),
        };
        let bad = values.par_chunks(ROWS_PER_TASK * columns).enumerate().find_map_first(|(task, rows)| {
            Some(task * ROWS_PER_TASK * columns + rows.iter().position(|v| !v.is_finite())?)
        });
        if let Some(bad) = bad {
            let (row, column, found) = (bad / columns, bad % columns, values[bad]);
            return Err(NeighbourError::NotFinite { table: name, row, column, found });
        }
        let scale: Vec<f64> = match metric {
            Metric::Euclidean => vec![1.0; rows],
            Metric::Cosine => values.par_chunks(columns).map(|row| squared_length(row).sqrt().recip()).collect(),
        };
        if let Some(row) = scale.iter().position(|scale| scale.is_infinite()) {
            return Err(NeighbourError::ZeroRow { table: name, row });
        }
        Ok(Self { values, rows, columns, scale })
    }

    pub fn same_width(&self, reference: &Self) -> Result<(), NeighbourError> {
        let (expected, found) = (reference.columns, self.columns);
        if expected == found { Ok(()) } else { Err(NeighbourError::WrongWidth { expected, found }) }
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }
}

fn squared_length(row: &[f32]) -> f64 {
    row.iter().map(|&v| f64::from(v) * f64::from(v)).sum()
}

/// Where the `f32` copies of tables have their origin and what their unit is: shared by all tables that are compared.
pub(crate) struct Frame {
    centre: Vec<f64>,
    /// A power of two that brings the largest entry to 1, so that squares neither overflow nor vanish.
    unit: f64,
    /// Relative error of a squared distance from an `f32` product, in units of the two squared lengths together.
    error: f64,
    /// Absolute error beside the relative one: covers products below the smallest normal number.
    floor: f64,
}

impl Frame {
    /// The frame of a reference and of what is compared with it.
    pub fn new(reference: &Table, queries: Option<&Table>) -> Self {
        let columns = reference.columns;
        let mut centre = vec![0.0; columns];
        for row in 0..reference.rows {
            for (sum, &v) in centre.iter_mut().zip(reference.row(row)) {
                *sum += f64::from(v) * reference.scale[row];
            }
        }
        for sum in &mut centre {
            *sum /= reference.rows.max(1) as f64;
        }
        let largest = |table: &Table| {
            (0..table.rows)
                .into_par_iter()
                .map(|row| {
                    let offsets = table.row(row).iter().zip(&centre);
                    offsets.map(|(&v, c)| (f64::from(v) * table.scale[row] - c).abs()).fold(0.0, f64::max)
                })
                .reduce(|| 0.0, f64::max)
        };
        let largest = queries.map_or(0.0, largest).max(largest(reference));
        let unit = if largest > 0.0 { (-largest.log2().ceil()).exp2() } else { 1.0 };
        // d roundings of a sum of d products, and a dozen of centring, of squared lengths and of the comparison itself.
        let error = 1.05 * (columns + 16) as f64 * f64::from(f32::EPSILON) / 2.0;
        Self { centre, unit, error, floor: columns as f64 * (-120.0_f64).exp2() }
    }

    /// A squared distance in units of the products.
    pub fn scaled(&self, squared: f64) -> f64 {
        squared * self.unit * self.unit
    }
}

/// A table with its `f32` copy.
pub(crate) struct Points<'a> {
    pub table: &'a Table<'a>,
    /// `[rows, columns]`: centred, in units of the frame.
    pub copy: Vec<f32>,
    /// Squared length of each row of the copy.
    squared: Vec<f64>,
    /// What a row adds to the least squared distance, `(1 - error) * squared - floor`, for the comparison in `f32`: with products `p`, `least - 2 p` is never too large.
    pub least: Vec<f32>,
    /// What it adds to the largest one: `most - 2 p` is never too small.
    pub most: Vec<f32>,
    error: f64,
    floor: f64,
}

impl<'a> Points<'a> {
    pub fn new(table: &'a Table<'a>, frame: &Frame) -> Self {
        let mut copy = vec![0.0_f32; table.values.len()];
        copy.par_chunks_mut(table.columns).enumerate().for_each(|(row, copy)| {
            let scale = table.scale[row];
            for ((copy, &v), c) in copy.iter_mut().zip(table.row(row)).zip(&frame.centre) {
                *copy = ((f64::from(v) * scale - c) * frame.unit) as f32;
            }
        });
        let squared: Vec<f64> = copy.par_chunks(table.columns).map(squared_length).collect();
        let mut points =
            Self { table, copy, squared, least: Vec::new(), most: Vec::new(), error: frame.error, floor: frame.floor };
        points.least = (0..table.rows).map(|row| points.least_part(row) as f32).collect();
        points.most = (0..table.rows).map(|row| points.most_part(row) as f32).collect();
        points
    }

    fn least_part(&self, row: usize) -> f64 {
        (1.0 - self.error) * self.squared[row] - self.floor
    }

    fn most_part(&self, row: usize) -> f64 {
        (1.0 + self.error) * self.squared[row] + self.floor
    }

    /// The smallest squared distance, in units of the products, that agrees with the product of two copies.
    pub fn at_least(&self, row: usize, other: &Self, other_row: usize, product: f32) -> f64 {
        self.least_part(row) + other.least_part(other_row) - 2.0 * f64::from(product)
    }

    /// By how much the largest such squared distance exceeds the smallest.
    pub fn slack(&self, row: usize, other: &Self, other_row: usize) -> f64 {
        2.0 * self.error * (self.squared[row] + other.squared[other_row]) + 4.0 * self.floor
    }

    /// What `least - 2 p` of the other row must not exceed for a squared distance up to `limit` to be possible.
    pub fn limit_of_least(&self, row: usize, limit: f64) -> f32 {
        ((limit - self.least_part(row)) as f32).next_up()
    }

    /// What `most - 2 p` of the other row must be below for a squared distance below `limit` to be certain.
    pub fn limit_of_most(&self, row: usize, limit: f64) -> f32 {
        ((limit - self.most_part(row)) as f32).next_down()
    }

    /// Squared distance in `f64`, in the unit of the table: equal for both orders of the rows, 0 for equal rows.
    pub fn exact(&self, row: usize, other: &Self, other_row: usize) -> f64 {
        let (a, b) = (self.table.row(row), other.table.row(other_row));
        let (scale_a, scale_b) = (self.table.scale[row], other.table.scale[other_row]);
        // Eight sums at a time, in a fixed order.
        let mut sums = [0.0_f64; 8];
        let (mut eights_a, mut eights_b) = (a.chunks_exact(8), b.chunks_exact(8));
        for (a, b) in (&mut eights_a).zip(&mut eights_b) {
            for lane in 0..8 {
                let difference = f64::from(a[lane]) * scale_a - f64::from(b[lane]) * scale_b;
                sums[lane] += difference * difference;
            }
        }
        let mut rest = 0.0;
        for (&a, &b) in eights_a.remainder().iter().zip(eights_b.remainder()) {
            let difference = f64::from(a) * scale_a - f64::from(b) * scale_b;
            rest += difference * difference;
        }
        sums.iter().sum::<f64>() + rest
    }

    /// The copy of a row: centred, in units of the frame.
    pub fn copied(&self, row: usize) -> &[f32] {
        &self.copy[row * self.table.columns..(row + 1) * self.table.columns]
    }

    /// Squared distance of a copied row and one of this table, in `f32`: sixteen sums at a time, in a fixed order.
    pub fn near(&self, query: &[f32], row: u32) -> f32 {
        let other = self.copied(row as usize);
        let mut sums = [0.0_f32; 16];
        let (mut lanes_a, mut lanes_b) = (query.chunks_exact(16), other.chunks_exact(16));
        for (a, b) in (&mut lanes_a).zip(&mut lanes_b) {
            for lane in 0..16 {
                let difference = a[lane] - b[lane];
                sums[lane] += difference * difference;
            }
        }
        let rest = lanes_a.remainder().iter().zip(lanes_b.remainder());
        rest.fold(sums.iter().sum(), |sum, (a, b)| sum + (a - b) * (a - b))
    }
}
