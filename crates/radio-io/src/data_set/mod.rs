//! Data sets of cutouts: a manifest says where the cutouts lie, the pixels stay in the mosaics.
//!
//! A [`Manifest`] is one row per cutout (name, mosaic, window, sky, labels, noise, blank fraction, complexity, source, part)
//! and the list of its mosaics, in one Parquet file. It is made blindly ([`Manifest::scan_blind`], the paper's *hulk* sets) or
//! around catalogued sources ([`Manifest::source_centred`], its *banner* sets); a [`MosaicPool`] reads its pixels with a bounded
//! number of open files.
//!
//! What is then done with one: [`table1`] describes it as the paper's Table 1 does; [`split_by_sky`] and [`sky_folds`] divide it so
//! that no part sees the sky of another; [`find_leaks`] checks any two sets against each other; [`curate`] draws a subset in
//! which ordinary and complex cutouts are balanced, [`draw_classes`] one with equally many of each class.
//!
//! ```
//! use radio_io::{Card, Manifest, MosaicPool, Survey, Wcs, data_set::{SkySplit, Watch, split_by_sky}, write_image};
//! # let folder = tempfile::tempdir()?;
//! let map = ndarray::Array2::from_shape_fn((64, 96), |(row, col)| ((row * 7 + col * 13) % 11) as f32 * 1e-6);
//! write_image(&folder.path().join("field.fits"), &map, &Wcs::north_up("SIN", (201.4, -43.0), (31.5, 47.5), 2.0)?.cards())?;
//! let text = "name = \"one field\"\n[[mosaics]]\npath = \"field.fits\"\n\
//!             [frames]\nsize = 32\nstep = 16\nedge = \"shift\"\nmax_blank_fraction = 0.3";
//! let survey = Survey::parse(text, &folder.path().join("survey.toml"), |_| None)?;
//! let manifest = Manifest::scan_blind(&survey, None, &Watch::default())?;
//! manifest.write(&folder.path().join("frames.parquet"))?;
//!
//! let manifest = Manifest::read(&folder.path().join("frames.parquet"))?;
//! assert_eq!((manifest.len(), manifest.rows[4].id.as_str()), (15, "field_r00000_c00064_s32"));
//! let pool = MosaicPool::new(&manifest, MosaicPool::DEFAULT_CAPACITY);
//! assert_eq!(pool.pixels(&manifest, 4)?.dim(), (32, 32));
//! let split = SkySplit { shares: [0.5, 0.0, 0.5], block_deg: 0.01, guard_arcsec: 0.0, seed: 1 };
//! let parted = split_by_sky(&manifest, &split)?;
//! # assert_eq!(parted.len(), 15);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blind;
mod class_draw;
mod curation;
mod keyed_order;
mod leak_guard;
mod manifest;
mod manifest_file;
mod mosaic_pool;
mod mosaic_record;
mod picture_hash;
mod sky_neighbours;
mod sky_split;
mod source_centred;
mod strip_scan;
mod table1;

pub use blind::ComplexityMeasure;
pub use class_draw::{DrawnClass, DrawnClasses, draw_classes};
pub use curation::{Curated, CuratedBin, Curation, curate};
pub use leak_guard::{
    GuardEntry, LeakGuard, LeakPair, LeakReason, LeakReport, Looks, find_leaks, guard_entries, hash_cutouts,
};
pub use manifest::{Cutting, LeftOut, Manifest, ManifestRow, Part, SourceBox, Window};
pub use mosaic_pool::MosaicPool;
pub use mosaic_record::{MosaicRecord, WcsValue};
pub use picture_hash::{HashFloor, PictureHash};
pub use sky_neighbours::SkyCorners;
pub use sky_split::{SkyFolds, SkySplit, sky_folds, split_by_sky};
pub use source_centred::{BoxShape, CatalogueSource, Coverage, LeftOutSource, SourceSettings, WhyLeftOut};
pub use strip_scan::Watch;
pub use table1::{MosaicLine, SizeRange, Table1, table1};

pub(crate) use keyed_order::address_of;
pub(crate) use strip_scan::scan_grid;
