//! Classification, ranking and anomaly metrics on plain slices: no tensor, no model, no file.
//!
//! Every number here can be checked with a pencil. Where a convention is possible (ties, empty selections,
//! classes without rows) the item's documentation states the one taken.
//!
//! Reading order: [`anomaly`], the threshold scan behind the paper's Table 4, then [`published`], the table as
//! printed and the check that the scan finds it again; then [`classification`], [`multi_label`], [`calibration`], [`curves`] and [`bootstrap`].
//!
//! ```
//! use metrics::{FrameGroup, crossing, threshold_scan};
//! let scores = [0.8, 0.6, 0.7, 0.3];
//! let groups = [Some(FrameGroup::Peculiar), Some(FrameGroup::Peculiar), Some(FrameGroup::Ordinary), None];
//! let rows = threshold_scan(&scores, &groups, 0.05)?;
//! let meeting = crossing(&rows)?;
//! assert_eq!((meeting.row().selected, meeting.row().recall), (2, 0.5));
//! # Ok::<(), metrics::MetricsError>(())
//! ```
pub mod anomaly;
pub mod bootstrap;
pub mod calibration;
pub mod classification;
pub mod curves;
pub mod error;
pub mod multi_label;
pub mod published;

pub use anomaly::{Crossing, FrameGroup, THRESHOLD_STEP, ThresholdRow, crossing, threshold_scan};
pub use classification::{ClassificationReport, ConfusionMatrix, Scores, classification_report};
pub use error::MetricsError;
pub use published::{PUBLISHED_TABLE4, PublishedCounts, PublishedRow, check_published, published_counts};
