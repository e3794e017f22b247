//! Pre-processing and augmentation of radio cutouts, and a parallel loader of views for contrastive learning.
//!
//! A cutout (`[H, W]`, Jy/beam, NaN where there is no data) becomes three channels in `[0, 1]` by a [`Recipe`], a pure
//! function; an [`Augmenter`] makes random views of it from an `rng` that is passed in; a [`ViewLoader`] does both for whole
//! batches, on all cores, with the same bits for any number of them. Other orders of other transforms are lists of steps
//! ([`Preprocessing`]); masks and boxes follow a view by its [`Placement`]. No file format and no model is known here.
//!
//! Reading order: [`Recipe`], the stages from top to bottom; [`Augmenter`], the paper's Table 2; [`ViewLoader`];
//! [`Transform`], the other steps; [`geometry`]; then the building blocks, one a file. "reference-facts" in the docs is the project's digest of the paper (Riggi et al. 2024, PASA 41,
//! e085) and of the authors' code.
//!
//! ```
//! use ndarray::Array2;
//! use radio_augment::{Augmenter, Recipe, view_rng};
//!
//! // A source on a slope, and a strip outside the survey.
//! let mut cutout = Array2::from_shape_fn((64, 64), |(y, x)| {
//!     1e-3 * (-((y as f32 - 30.0).powi(2) + (x as f32 - 20.0).powi(2)) / 18.0).exp() + 1e-6 * (x as f32 + (y % 7) as f32)
//! });
//! cutout.column_mut(63).fill(f32::NAN);
//!
//! let recipe = Recipe::paper(48);
//! let channels = recipe.channels(cutout.view())?;
//! assert_eq!(channels.dim(), (3, 48, 48));
//!
//! let stretched = recipe.stretch(cutout.view(), &recipe.limits(cutout.view())?);
//! let view = recipe.view(stretched, &Augmenter::hulk(), &mut view_rng(1, 0, 42, 0))?;
//! assert!(view.iter().all(|v| (0.0..=1.0).contains(v)));
//! # Ok::<(), radio_augment::RecipeError>(())
//! ```

// The three main concepts.
mod augment_step;
mod augmenter;
mod augmenter_presets;
mod batches;
mod error;
pub mod geometry;
mod loader;
mod origin_order;
mod preparation;
pub mod preprocessing;
mod recipe;
mod step_draw;
mod view_rng;
// Building blocks of the recipe.
mod blank;
mod limits;
mod min_max;
mod percentile;
mod resize_bilinear;
mod sigma_clip;
mod stretch;
mod zscale;
// Building blocks of the augmenters.
mod color_jitter;
mod crop_resize;
mod flip;
mod gaussian_blur;
mod quarter_turn;
mod resize_bicubic;
mod threshold;
// What makes them fast.
mod columns;
mod compact;
mod order_statistics;
mod row_order;
mod scratch;
mod vectorise;

pub use augment_step::AugmentStep;
pub use augmenter::Augmenter;
pub use batches::Batches;
pub use blank::BlankRule;
pub use color_jitter::{
    JitterDraw, add_brightness, clip_to_unit, color_jitter, jitter_min_max, scale_contrast, scale_saturation, shift_hue,
};
pub use crop_resize::{CropDraw, crop_resize};
pub use error::{LoaderError, RecipeError, SettingError};
pub use flip::{FlipDraw, flip};
pub use gaussian_blur::{blur_kernel_side, gaussian_blur};
pub use geometry::{
    Moved, PixelBox, PixelMap, Placement,
    warp::{rotate, translate, zoom},
};
pub use limits::Limits;
pub use loader::{FrameSource, ViewLoader};
pub use min_max::min_max;
pub use origin_order::{OriginGroup, origin_groups};
pub use percentile::percentile;
pub use preparation::Preparation;
pub use preprocessing::{Preprocessing, SourceRemoval, Transform, sigmoid_stretch};
pub use quarter_turn::{quarter_turns, quarter_turns_keeping_size};
pub use recipe::{FlatRule, Recipe, StageOrder, StretchLimits, middle_square};
pub use resize_bicubic::resize_bicubic;
pub use resize_bilinear::{Edge, fit_into_square, resize_bilinear};
pub use scratch::{copy_of_channels, recycle};
pub use sigma_clip::{ClippedStatistics, sigma_clip_bounds, sigma_clipped_statistics};
pub use step_draw::{ContrastDraw, StepDraw};
pub use threshold::threshold_percentile;
pub use view_rng::{Sampling, epoch_order, view_rng};
pub use zscale::{ZscaleFit, zscale_limits};
