//! Pairs of rows that are (nearly) the same: leaks between splits, double detections.

use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::{
    error::NeighbourError,
    metric::Metric,
    points::{Frame, Points, Table},
    tiles::{QUERIES, visit_tiles},
};

/// Two rows that lie close together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The smaller row number.
    pub first: u32,
    /// The larger row number.
    pub second: u32,
    /// Their distance.
    pub distance: f64,
}

/// All pairs of rows no further apart than `within`, by first and then second row; `within` 0 finds equal rows.
///
/// The same bits for any number of threads. At most `at_most` pairs: a thousand equal rows are half a million pairs.
///
/// # Errors
/// [`NeighbourError::TooManyPairs`]; [`NeighbourError::BadDistance`]; [`NeighbourError::NotFinite`]; for the cosine
/// [`NeighbourError::ZeroRow`].
pub fn near_duplicates(
    features: ArrayView2<f32>,
    metric: Metric,
    within: f64,
    at_most: usize,
) -> Result<Vec<Pair>, NeighbourError> {
    if !(within.is_finite() && within >= 0.0) {
        return Err(NeighbourError::BadDistance { found: within });
    }
    let table = Table::new("features", features, metric)?;
    let frame = Frame::new(&table, None);
    let points = Points::new(&table, &frame);
    let limit = frame.scaled(metric.squared(within));
    let found = AtomicUsize::new(0);
    let starts: Vec<usize> = (0..table.rows).step_by(QUERIES).collect();
    let blocks: Vec<Vec<Pair>> = starts
        .into_par_iter()
        .map(|first| {
            let mut pairs = Vec::new();
            let count = QUERIES.min(table.rows - first);
            visit_tiles(&points, first, count, &points, first, |start, width, products| {
                for (query, products) in products.chunks_exact(width).enumerate() {
                    let row = first + query;
                    let before = pairs.len();
                    collect(&points, row, start, products, limit, metric, within, &mut pairs);
                    let new = pairs.len() - before;
                    if found.fetch_add(new, Ordering::Relaxed) + new > at_most {
                        return false;
                    }
                }
                true
            });
            pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
            pairs
        })
        .collect();
    if found.into_inner() > at_most {
        return Err(NeighbourError::TooManyPairs { at_most, within });
    }
    Ok(blocks.concat())
}

/// Adds the rows after `row` that lie within the distance, from the products with rows from `start` on.
fn collect(
    points: &Points,
    row: usize,
    start: usize,
    products: &[f32],
    limit: f64,
    metric: Metric,
    within: f64,
    pairs: &mut Vec<Pair>,
) {
    let least_limit = points.limit_of_least(row, limit);
    for (place, (product, least)) in products.iter().zip(&points.least[start..]).enumerate() {
        let other = start + place;
        if least - 2.0 * product <= least_limit && other > row {
            let distance = metric.distance(points.exact(row, points, other));
            if distance <= within {
                pairs.push(Pair { first: row as u32, second: other as u32, distance });
            }
        }
    }
}
