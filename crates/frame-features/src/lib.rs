//! Descriptions of one radio cutout made by hand: the baselines that every learned feature has to beat.
//!
//! A cutout (`[H, W]`, Jy/beam, NaN where there is no data) or its stretched channels (`[C, H, W]` in `[0, 1]`) become a
//! short vector of finite numbers with named columns. Everything is a pure function of the pixels and a configuration. No
//! model, no file format, no tensor library.
//!
//! Reading order: [`ring_features`], brightness and asymmetry in rings; [`flux_statistics`], noise, flux and islands;
//! [`brightness_statistics`], nine numbers of any picture; [`gzip_complexity`], how badly the picture compresses; [`pixel_row`], a small picture as one row.
//! "reference-facts" is the project's digest of the paper (Riggi et al. 2024, PASA 41, e085) and of the authors' code.
//!
//! ```
//! use frame_features::{RingConfig, flux_statistics, ring_feature_names, ring_features};
//! use ndarray::{Array2, Axis};
//!
//! // A source in the middle, 32 pixels from every side, on a faint slope.
//! let cutout = Array2::from_shape_fn((64, 64), |(y, x)| {
//!     let r2 = (y as f32 - 31.5).powi(2) + (x as f32 - 31.5).powi(2);
//!     (-r2 / 18.0).exp() + 1e-3 * (x as f32 + (y % 7) as f32)
//! });
//!
//! let config = RingConfig::sixteen_rings();
//! let rings = ring_features(cutout.view().insert_axis(Axis(0)), &config)?;
//! assert_eq!(rings.len(), ring_feature_names(1, &config).len());
//! assert!(rings[0] > 10.0 * rings[6 * 15], "the mean of the innermost and of the outermost ring");
//!
//! let statistics = flux_statistics(cutout.view())?;
//! assert_eq!(statistics[6], 1.0, "one island");
//! # Ok::<(), frame_features::FeatureError>(())
//! ```

// Descriptions.
mod brightness;
mod complexity;
mod flux;
mod pixels;
mod rings;
// What they are made of.
mod area_average;
mod error;
mod islands;
mod median_filter;
mod noise;

pub use brightness::{BRIGHTNESS_STATISTICS, brightness_statistics};
pub use complexity::{ComplexityConfig, complexity_names, gzip_complexity};
pub use error::FeatureError;
pub use flux::{FLUX_STATISTICS, flux_statistics};
pub use islands::island_sizes;
pub use pixels::{PixelConfig, pixel_row};
pub use rings::{RingConfig, ring_feature_names, ring_features};
