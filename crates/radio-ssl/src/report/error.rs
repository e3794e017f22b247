//! Why a report could not be written.

use std::io;
use std::path::PathBuf;

/// Errors of [`super::write_report`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A folder or file of the report could not be created, written or moved into place.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A picture could not be encoded; with frames of a sensible size this is a lack of memory.
    #[error("cannot encode a PNG of {width} x {height} pixels")]
    Png {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// What the encoder said.
        source: image::ImageError,
    },
}
