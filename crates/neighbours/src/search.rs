//! The k nearest rows of every row: products decide most pairs, `f64` the rest.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::{
    error::NeighbourError,
    metric::Metric,
    points::{Frame, Points, Table},
    tiles::{QUERIES, visit_tiles},
};

/// Products looked at together; only where one of them is small enough is each looked at alone.
const LANES: usize = 32;
/// Candidates a query collects beyond twice the wanted number before it thins them out.
const SPARE: usize = 64;

/// The nearest rows of each query.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// `[queries, k]`: row numbers, nearest first; of two rows at the same distance the smaller number comes first.
    pub rows: Array2<u32>,
    /// `[queries, k]`: their distances, ascending.
    pub distances: Array2<f32>,
}

/// The `k` nearest other rows of every row.
///
/// Distances are those of `f64` sums, rounded once at the end; they decide the order before they are rounded. The result
/// has the same bits for any number of threads. Memory beyond input and output: one copy of the table and a block a thread.
///
/// # Shapes
/// - `features`: `[n, columns]`; result: `[n, k]`. A row is no neighbour of its own, a second row of equal values is.
/// # Errors
/// [`NeighbourError::BadCount`] unless `1 <= k < n`; [`NeighbourError::NotFinite`]; for the cosine
/// [`NeighbourError::ZeroRow`].
pub fn nearest_neighbours(features: ArrayView2<f32>, k: usize, metric: Metric) -> Result<Neighbours, NeighbourError> {
    let table = Table::new("features", features, metric)?;
    check_count(k, table.rows, table.rows.saturating_sub(1))?;
    let frame = Frame::new(&table, None);
    let points = Points::new(&table, &frame);
    Ok(search(&points, &points, &frame, k, metric, true))
}

/// The `k` nearest rows of a reference table for every query.
///
/// As [`nearest_neighbours`], but a query that equals a row of the reference has that row as its neighbour.
///
/// # Shapes
/// - `queries`: `[m, columns]`, `reference`: `[n, columns]`; result: `[m, k]`, row numbers of the reference.
/// # Errors
/// [`NeighbourError::BadCount`] unless `1 <= k <= n`; [`NeighbourError::WrongWidth`]; [`NeighbourError::NotFinite`]; for
/// the cosine [`NeighbourError::ZeroRow`].
pub fn nearest_in(
    queries: ArrayView2<f32>,
    reference: ArrayView2<f32>,
    k: usize,
    metric: Metric,
) -> Result<Neighbours, NeighbourError> {
    let reference = Table::new("reference", reference, metric)?;
    let queries = Table::new("queries", queries, metric)?;
    queries.same_width(&reference)?;
    check_count(k, reference.rows, reference.rows)?;
    let frame = Frame::new(&reference, Some(&queries));
    let (queries, reference) = (Points::new(&queries, &frame), Points::new(&reference, &frame));
    Ok(search(&queries, &reference, &frame, k, metric, false))
}

pub(crate) fn check_count(k: usize, rows: usize, most: usize) -> Result<(), NeighbourError> {
    if (1..=most).contains(&k) { Ok(()) } else { Err(NeighbourError::BadCount { k, rows, most }) }
}

fn search(
    queries: &Points,
    reference: &Points,
    frame: &Frame,
    k: usize,
    metric: Metric,
    same_table: bool,
) -> Neighbours {
    let n_queries = queries.table.rows;
    let mut rows = Array2::<u32>::zeros((n_queries, k));
    let mut distances = Array2::<f32>::zeros((n_queries, k));
    let blocks: Vec<_> = rows
        .axis_chunks_iter_mut(ndarray::Axis(0), QUERIES)
        .zip(distances.axis_chunks_iter_mut(ndarray::Axis(0), QUERIES))
        .enumerate()
        .collect();
    blocks.into_par_iter().for_each(|(block, (mut rows, mut distances))| {
        let (first, count) = (block * QUERIES, rows.nrows());
        let mut nearest: Vec<Nearest> = (0..count)
            .map(|query| {
                let row = first + query;
                Nearest {
                    queries,
                    reference,
                    frame,
                    row,
                    k,
                    itself: same_table.then_some(row),
                    limit: f64::INFINITY,
                    pending: Vec::new(),
                    found: Vec::new(),
                }
            })
            .collect();
        visit_tiles(queries, first, count, reference, 0, |start, width, products| {
            for (nearest, products) in nearest.iter_mut().zip(products.chunks_exact(width)) {
                nearest.scan(start, products);
            }
            true
        });
        for (query, nearest) in nearest.into_iter().enumerate() {
            for (place, (squared, row)) in nearest.finish().into_iter().enumerate() {
                rows[(query, place)] = row;
                distances[(query, place)] = metric.distance(squared) as f32;
            }
        }
    });
    Neighbours { rows, distances }
}

/// The nearest rows of one query among those seen so far, and those that may be nearer.
struct Nearest<'a> {
    queries: &'a Points<'a>,
    reference: &'a Points<'a>,
    frame: &'a Frame,
    row: usize,
    k: usize,
    /// The reference row that is the query itself.
    itself: Option<usize>,
    /// The k-th smallest distance is at most this, squared and in units of the products.
    limit: f64,
    /// Rows not yet measured in `f64`: least squared distance that the product allows, and row.
    pending: Vec<(f64, u32)>,
    /// The nearest of the measured rows: squared distance in the unit of the table, and row; ascending, at most k.
    found: Vec<(f64, u32)>,
}

impl Nearest<'_> {
    /// Looks at the products of the query with reference rows from `start` on.
    fn scan(&mut self, start: usize, products: &[f32]) {
        let least = &self.reference.least[start..start + products.len()];
        let mut limit = self.queries.limit_of_least(self.row, self.limit);
        for (chunk, (products, least)) in products.chunks(LANES).zip(least.chunks(LANES)).enumerate() {
            let near = products.iter().zip(least).fold(false, |near, (p, least)| near | (least - 2.0 * p <= limit));
            if near {
                for (place, product) in products.iter().enumerate() {
                    if least[place] - 2.0 * product <= limit {
                        self.consider(start + chunk * LANES + place, *product);
                    }
                }
                limit = self.queries.limit_of_least(self.row, self.limit);
            }
        }
    }

    fn consider(&mut self, row: usize, product: f32) {
        let at_least = self.queries.at_least(self.row, self.reference, row, product);
        if at_least > self.limit || self.itself == Some(row) {
            return;
        }
        // At the distance of the last one found, the smaller row number wins.
        if self.found.len() == self.k
            && let Some(&(squared, last)) = self.found.last()
            && at_least >= self.frame.scaled(squared)
            && row as u32 > last
        {
            return;
        }
        self.pending.push((at_least, row as u32));
        if self.pending.len() >= 2 * self.k + SPARE {
            self.thin_out();
        }
    }

    /// Drops what cannot be among the k nearest any more; measures, if too many remain.
    fn thin_out(&mut self) {
        let slack = |row: u32| self.queries.slack(self.row, self.reference, row as usize);
        let mut at_most: Vec<f64> = self.pending.iter().map(|&(at_least, row)| at_least + slack(row)).collect();
        let (_, kth, _) = at_most.select_nth_unstable_by(self.k - 1, f64::total_cmp);
        self.limit = self.limit.min(*kth);
        self.pending.retain(|&(at_least, _)| at_least <= self.limit);
        if self.pending.len() >= self.k + SPARE {
            self.measure();
        }
    }

    /// Measures the pending rows in `f64` and keeps the k nearest.
    fn measure(&mut self) {
        let measured =
            self.pending.drain(..).map(|(_, row)| (self.queries.exact(self.row, self.reference, row as usize), row));
        self.found.extend(measured);
        self.found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.found.truncate(self.k);
        if self.found.len() == self.k
            && let Some(&(squared, _)) = self.found.last()
        {
            self.limit = self.limit.min(self.frame.scaled(squared));
        }
    }

    fn finish(mut self) -> Vec<(f64, u32)> {
        self.measure();
        self.found
    }
}
