//! Regions drawn on maps: DS9 (`.reg`) and CASA (CRTF) files, read and written, turned into pixels and masks.
//!
//! A file gives [`Region`]s, whose shape is in sky or image coordinates; on a mosaic or with a WCS they become [`PixelRegion`]s, which
//! know which pixels they hold. A pixel belongs to a region if its centre is inside.
//!
//! Reading order: [`Shape`], [`Region`], [`PixelRegion`]; then [`read_ds9`] and [`read_crtf`], which are lists of what the two formats
//! allow.

mod crtf_read;
mod crtf_write;
mod ds9_properties;
mod ds9_read;
mod ds9_write;
mod inside;
mod physical;
mod region;
mod text;
mod to_pixel;

pub use crtf_read::{parse_crtf, read_crtf};
pub use crtf_write::{crtf_text, write_crtf};
pub use ds9_read::{parse_ds9, read_ds9};
pub use ds9_write::{ds9_text, write_ds9};
pub use inside::{PixelRegion, mask_of};
pub use physical::PhysicalPixels;
pub use region::{Region, RegionFrame, RegionList, Shape, Skipped};
