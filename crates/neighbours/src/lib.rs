//! Nearest neighbours of feature rows, exact or by a graph, near-duplicates, and neighbour ranks.
//!
//! A blocked matrix product in `f32` bounds every distance; the few pairs it leaves open are measured in `f64`. So the
//! answer is exact to `f64` rounding, never holds an `n × n` matrix, and has the same bits for any number of threads.
//! No model, no file and no label is known here: a table of numbers goes in.
//!
//! Where there are too many rows and queries for that, [`graph::near_in`] finds most of the neighbours by a walk through a graph (HNSW).
//!
//! Reading order: [`search::nearest_neighbours`], then [`duplicates::near_duplicates`], [`ranks::neighbour_ranks`] and [`graph::near_in`].
//! [`outlier`]: how strange a row is by its neighbours.
//!
//! ```
//! use neighbours::{Metric, near_duplicates, nearest_in, nearest_neighbours};
//! // Four rows on a line; the last two are the same.
//! let features = ndarray::arr2(&[[0.0_f32, 0.0], [1.0, 0.0], [5.0, 0.0], [5.0, 0.0]]);
//! let nearest = nearest_neighbours(features.view(), 2, Metric::Euclidean)?;
//! assert_eq!(nearest.rows.row(0).to_vec(), [1, 2]); // rows 2 and 3 are equally far: the smaller number
//! assert_eq!(nearest.distances.row(3).to_vec(), [0.0, 4.0]);
//!
//! let similar = nearest_in(ndarray::arr2(&[[0.9, 0.1]]).view(), features.view(), 1, Metric::Euclidean)?;
//! assert_eq!(similar.rows[(0, 0)], 1);
//!
//! let twins = near_duplicates(features.view(), Metric::Euclidean, 0.0, 100)?;
//! assert_eq!((twins.len(), twins[0].first, twins[0].second), (1, 2, 3));
//! # Ok::<(), neighbours::NeighbourError>(())
//! ```
pub mod duplicates;
pub mod error;
pub mod graph;
mod graph_walk;
pub mod metric;
pub mod outlier;
mod points;
pub mod ranks;
pub mod search;
mod tiles;

pub use duplicates::{Pair, near_duplicates};
pub use error::NeighbourError;
pub use graph::{GraphSettings, near_in, recall};
pub use metric::Metric;
pub use outlier::{local_outlier_factor, mean_distance};
pub use ranks::neighbour_ranks;
pub use search::{Neighbours, nearest_in, nearest_neighbours};
