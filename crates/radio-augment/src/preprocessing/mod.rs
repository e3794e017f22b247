//! Every transform of the authors' code that is not part of the paper's recipe, and lists of them.
//!
//! The functions take channels `[C, H, W]` and the [`BlankRule`](crate::BlankRule). Blank pixels stay blank unless a function
//! says otherwise; statistics are taken over pixels that are not.
mod background;
mod center;
mod cubic_spline;
mod channel_count;
mod channel_ratio;
mod equalize;
mod equalize_adaptive;
mod fill_blanks;
mod lists;
mod median_filter;
mod presets;
mod remove_sources;
mod scaling;
mod steps;
mod tone;
mod transform;
mod unit_square;

pub use background::{shift_and_clip, subtract_background};
pub use center::{blank_border, center_crop, shrink_mask};
pub use channel_count::set_channels;
pub use channel_ratio::channel_ratio;
pub use cubic_spline::resize_cubic_spline;
pub use equalize::equalize_histogram;
pub use fill_blanks::{BlankFill, fill_blanks};
pub use lists::{scale_by, shift_by, standardize};
pub use median_filter::median_filter;
pub use remove_sources::SourceRemoval;
pub use scaling::{max_scale, min_max_each, min_max_together, negatives_to_zero};
pub use steps::Preprocessing;
pub use tone::{log_stretch, sigmoid_stretch};
pub use transform::{Interpolation, Maximum, Transform, ZeroContrast};
pub use unit_square::{SquareResize, resize_into_square};
