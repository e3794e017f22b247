//! The place of given rows in the order of nearness: what trustworthiness and continuity of a map are made of.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use crate::{
    error::NeighbourError,
    metric::Metric,
    points::{Frame, Points, Table},
    tiles::{QUERIES, visit_tiles},
};

/// Products counted together; where the count leaves one open, each is looked at alone.
const LANES: usize = 64;

/// For every row the rank of the listed rows among all other rows: 1 is the nearest, ties go to the smaller row number.
///
/// # Shapes
/// - `features`: `[n, columns]`; `of`: `[n, k]`, row numbers; result: `[n, k]`.
/// # Errors
/// [`NeighbourError::WrongLength`], [`NeighbourError::BadRow`]; [`NeighbourError::NotFinite`]; for the cosine
/// [`NeighbourError::ZeroRow`].
pub fn neighbour_ranks(
    features: ArrayView2<f32>,
    of: ArrayView2<u32>,
    metric: Metric,
) -> Result<Array2<u32>, NeighbourError> {
    let table = Table::new("features", features, metric)?;
    if of.nrows() != table.rows {
        return Err(NeighbourError::WrongLength { expected: table.rows, found: of.nrows() });
    }
    for ((row, _), &found) in of.indexed_iter() {
        if found as usize >= table.rows || found as usize == row {
            return Err(NeighbourError::BadRow { row, rows: table.rows, found });
        }
    }
    let frame = Frame::new(&table, None);
    let points = Points::new(&table, &frame);
    let mut ranks = Array2::<u32>::ones(of.dim());
    let blocks: Vec<_> = ranks.axis_chunks_iter_mut(Axis(0), QUERIES).enumerate().collect();
    blocks.into_par_iter().for_each(|(block, mut ranks)| {
        let (first, count) = (block * QUERIES, ranks.nrows());
        let listed: Vec<Vec<Listed>> = (0..count)
            .map(|query| {
                of.row(first + query).iter().map(|&row| Listed::new(&points, &frame, first + query, row)).collect()
            })
            .collect();
        visit_tiles(&points, first, count, &points, 0, |start, width, products| {
            for (query, products) in products.chunks_exact(width).enumerate() {
                for (listed, rank) in listed[query].iter().zip(ranks.row_mut(query)) {
                    *rank += listed.nearer(&points, first + query, start, products);
                }
            }
            true
        });
    });
    Ok(ranks)
}

/// A row whose rank is asked, and the limits that tell nearer rows from further ones.
struct Listed {
    row: u32,
    squared: f64,
    certainly_below: f32,
    possibly_up_to: f32,
}

impl Listed {
    fn new(points: &Points, frame: &Frame, query: usize, row: u32) -> Self {
        let squared = points.exact(query, points, row as usize);
        let scaled = frame.scaled(squared);
        let (certainly_below, possibly_up_to) =
            (points.limit_of_most(query, scaled), points.limit_of_least(query, scaled));
        Self { row, squared, certainly_below, possibly_up_to }
    }

    /// How many rows from `start` on are nearer to the query than the listed one.
    fn nearer(&self, points: &Points, query: usize, start: usize, products: &[f32]) -> u32 {
        let (least, most) = (&points.least[start..], &points.most[start..]);
        let mut nearer = 0;
        for (chunk, products) in products.chunks(LANES).enumerate() {
            let places = chunk * LANES..chunk * LANES + products.len();
            let (least, most) = (&least[places.clone()], &most[places.clone()]);
            let (mut certain, mut possible) = (0, 0);
            for ((p, least), most) in products.iter().zip(least).zip(most) {
                certain += u32::from(most - 2.0 * p < self.certainly_below);
                possible += u32::from(least - 2.0 * p <= self.possibly_up_to);
            }
            if certain != possible || (start + places.start..start + places.end).contains(&query) {
                certain = (0..products.len())
                    .filter(|&place| {
                        let row = start + places.start + place;
                        row != query
                            && least[place] - 2.0 * products[place] <= self.possibly_up_to
                            && (points.exact(query, points, row), row as u32) < (self.squared, self.row)
                    })
                    .count() as u32;
            }
            nearer += certain;
        }
        nearer
    }
}
