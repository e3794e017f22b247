//! Where the pixels of a view come from, and the same for what was drawn on the frame: instance masks and boxes.
//!
//! Only steps that move pixels have a map; stretches, blurs and thresholds leave masks alone.
mod pixel_box;
mod pixel_map;
mod placement;
pub(crate) mod warp;

pub use pixel_box::PixelBox;
pub use pixel_map::PixelMap;
pub use placement::{Moved, Placement};
