//! Radio survey data: FITS mosaics, sky coordinates, beams, cutouts, labels, tables, catalogues, data lists, survey files.
//!
//! Pixels come out as they are: physical values in the file's unit, NaN for blank, never rescaled. No model and no random
//! number lives here. Pixels are `(row, col)` from 0, row 0 being the first stored.
//!
//! ```
//! use radio_io::{Card, EdgePolicy, FrameGrid, FrameSet, MosaicEntry, SurveyMosaic, Wcs, write_image, write_mask};
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("field.fits");
//! // A made-up map of 2" pixels ...
//! let map = ndarray::Array2::from_shape_fn((64, 96), |(row, col)| (row * col) as f32 * 1e-6);
//! write_image(&path, &map, &Wcs::north_up("SIN", (201.4, -43.0), (31.5, 47.5), 2.0)?.cards())?;
//! // ... and its frames of 32 pixels, half overlapping, less those with over 30 % blanks.
//! let entry = MosaicEntry::of_file(path, "field");
//! let grid = FrameGrid { size: 32, step: 16, edge: EdgePolicy::Shift };
//! let frames = FrameSet::scan(vec![SurveyMosaic::open(&entry)?], &grid, 0.3)?;
//! let cutout = frames.cutout(4)?;
//! assert_eq!(cutout.id.to_string(), "field_r00000_c00064_s32");
//! assert!(cutout.sky.is_some() && cutout.pixels.dim() == (32, 32));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading order: [`mosaic::Mosaic`], which reads windows of a FITS file; [`frame_grid`](mod@frame_grid) and [`frame_set::FrameSet`], which
//! cut a survey; [`survey::Survey`], the file that describes one; then [`frame_labels`] and [`feature_table`]. [`wcs::Wcs`]
//! tells where a pixel lies on the sky, [`celestial`] joins frames, matches positions and measures areas, [`regions`] reads and writes DS9 and
//! CASA regions. [`table::Table`] opens tables of any format, [`catalogue::Catalogue`] makes sources of them, [`data_list`] reads the lists of
//! other tools, and [`data_set`] makes manifests of cutouts. [`doctor::examine`] says of any of these files what is wrong with it.

pub mod beam;
pub mod brightness;
pub mod card;
pub mod catalogue;
pub mod celestial;
pub mod checksum;
mod compressed;
pub mod cutout;
pub mod data_list;
pub mod data_set;
pub mod doctor;
pub mod error;
pub mod feature_table;
pub mod feature_text;
mod file_bytes;
pub mod frame_grid;
pub mod frame_labels;
pub mod frame_set;
pub mod gray_png;
pub mod hdu;
pub mod header;
pub mod image_choice;
pub mod image_writer;
pub mod mosaic;
pub mod noise;
mod parquet_file;
mod pixels;
mod projection;
pub mod regions;
pub mod survey;
pub mod table;
pub mod wcs;
pub mod windows;

pub use beam::Beam;
pub use brightness::{Brightness, BrightnessUnit};
pub use card::{Card, CardValue};
pub use catalogue::{Catalogue, CatalogueColumns, Source};
pub use celestial::{
    frame::{Position, SkyFrame},
    neighbours::{SkyTree, groups_within, nearest, pairs_within},
    separation_arcsec,
};
pub use checksum::{ChecksumState, HduChecksum, verify_checksums};
pub use compressed::DEFAULT_TILE_CACHE_BYTES;
pub use cutout::{Cutout, write_cutout, write_over_cutout};
pub use data_set::{LeftOut, Manifest, MosaicPool};
pub use error::{Error, FitsError};
pub use feature_table::FeatureTable;
pub use frame_grid::{EdgePolicy, FrameGrid, FrameId, FramePosition, frame_grid};
pub use frame_labels::{FrameLabel, FrameLabels};
pub use frame_set::{FrameSet, SurveyMosaic};
pub use gray_png::{read_png, write_gray_png};
pub use hdu::{HduKind, HduList, HduSummary};
pub use header::Header;
pub use image_choice::{HduChoice, ImageChoice, PlaneChoice, PlanePosition};
pub use image_writer::{FitsPixel, ImageWriter, write_image, write_mask};
pub use mosaic::{Mosaic, PixelSource};
pub use noise::robust_rms;
pub use regions::{PixelRegion, Region, RegionFrame, Shape};
pub use survey::{FrameSettings, MosaicEntry, Survey};
pub use table::{Arrays, Column, ColumnData, Table, TableChoice};
pub use wcs::Wcs;
pub use windows::{Window, Windows};
