//! Maps of feature tables: UMAP, principal components, and how far a map can be trusted.
//!
//! A table of numbers goes in, places on a plane come out; new rows find their place on a finished map. No image, no label
//! file and no drawing is known here. Neighbours are exact (crate `neighbours`), random numbers come from one seed, and
//! the layout is serial: equal seeds give equal bits for any number of threads.
//!
//! Reading order: [`umap::Umap::fit`], the method from top to bottom, then [`config::UmapConfig`], every number it depends
//! on; [`pca::Pca`] and [`trustworthiness()`] stand for themselves.
//!
//! ```
//! use map_umap::{Umap, UmapConfig, scatter, trustworthiness};
//! use neighbours::Metric;
//! // Sixty rows along a spiral in ten dimensions.
//! let features = ndarray::Array2::from_shape_fn((60, 10), |(row, column)| {
//!     let turn = row as f32 / 10.0;
//!     turn * (turn + column as f32).sin()
//! });
//! let config = UmapConfig { n_neighbours: 8, ..UmapConfig::published(42) };
//! let map = Umap::fit(features.view(), &config)?;
//! assert_eq!(map.embedding.dim(), (60, 2));
//! assert!(trustworthiness(features.view(), map.embedding.view(), 5, Metric::Euclidean)? > 0.9);
//!
//! let place = map.transform(features.slice(ndarray::s![7..8, ..]))?; // near the place of row 7
//! assert!((place[(0, 0)] - map.embedding[(7, 0)]).abs() < 2.0);
//!
//! let labels: Vec<&str> = (0..60).map(|row| if row < 30 { "inner" } else { "outer" }).collect();
//! assert_eq!(scatter(map.embedding.view(), &labels, 2000)?[0].label, "inner");
//! # Ok::<(), map_umap::MapError>(())
//! ```
pub mod config;
pub mod curve;
mod eigen;
pub mod error;
mod file;
mod graph;
mod layout;
pub mod pca;
mod power;
pub mod scaling;
pub mod scatter;
mod spectral;
pub mod trustworthiness;
pub mod umap;

pub use config::{Start, UmapConfig};
pub use curve::Similarity;
pub use error::MapError;
pub use pca::{Components, Pca, PcaConfig};
pub use scaling::{ColumnScale, Scaling};
pub use scatter::{ScatterGroup, scatter};
pub use trustworthiness::trustworthiness;
pub use umap::Umap;
