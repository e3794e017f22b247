//! What reading and writing FITS files can give.

use std::{io, path::PathBuf};

/// Why a FITS file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitsError {
    /// The operating system refused.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file does not begin as FITS files do.
    #[error("{}: not a FITS file: it begins with {found}, expected `SIMPLE  =`", path.display())]
    NotFits {
        /// The file.
        path: PathBuf,
        /// Its first bytes, or what they look like.
        found: String,
    },
    /// A mandatory keyword is missing or makes no sense.
    #[error("{}: header {hdu}: {keyword} is {found}, expected {expected}", path.display())]
    BadHeader {
        /// The file.
        path: PathBuf,
        /// Number of the header, 0 for the primary one.
        hdu: usize,
        /// The keyword.
        keyword: String,
        /// Its value as read.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The file is shorter than its headers say.
    #[error("{}: the file ends early: header {hdu} needs {expected} bytes, found {found}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Number of the header whose data are cut, 0 for the primary one.
        hdu: usize,
        /// Bytes that the file must have.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// The axes multiply to more than a file can hold.
    #[error("{}: header {hdu}: axes {axes:?} of BITPIX {bitpix} overflow a file size", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Number of the header, 0 for the primary one.
        hdu: usize,
        /// NAXIS1, NAXIS2, …
        axes: Vec<u64>,
        /// BITPIX.
        bitpix: i64,
    },
    /// More than two axes are longer than 1 (frequency, Stokes) and no plane was chosen; or fewer than two axes.
    #[error("{}: need a 2-D image once axes of length 1 are dropped, found axes {axes:?}: {names}; of a cube, choose a plane such as FREQ[3] or STOKES=I", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// NAXIS1, NAXIS2, …
        axes: Vec<u64>,
        /// The names of the axes with their lengths.
        names: String,
    },
    /// There are headers, but none has an image.
    #[error("{}: none of its {hdus} header-data units is an image", path.display())]
    NoImage {
        /// The file.
        path: PathBuf,
        /// How many were looked at.
        hdus: usize,
    },
    /// A plane that the image does not have.
    #[error("{}: plane of axis {axis}: {reason}; axes are {names}", path.display())]
    Plane {
        /// The file.
        path: PathBuf,
        /// The axis, as asked for.
        axis: String,
        /// Why it cannot be chosen.
        reason: String,
        /// The names of the axes with their lengths.
        names: String,
    },
    /// Text that chooses no plane.
    #[error("plane `{found}`: expected the form FREQ[3] (by number from 0), FREQ=1.4E9 (by value) or STOKES=I")]
    BadPlaneChoice {
        /// The text.
        found: String,
    },
    /// There is no header-data unit of that number or name.
    #[error("{}: no header-data unit {wanted}, found {found}", path.display())]
    NoSuchHdu {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
        /// Numbers and names of those that are there.
        found: String,
    },
    /// The header-data unit that was asked for holds no image.
    #[error("{}: header {hdu} holds no pixels (it is of kind {kind}), expected an image", path.display())]
    NoPixels {
        /// The file.
        path: PathBuf,
        /// Number of the header.
        hdu: usize,
        /// What it is.
        kind: String,
    },
    /// A compressed tile that cannot be decoded.
    #[error("{}: header {hdu}, tile {tile} ({algorithm}): {reason}", path.display())]
    Tile {
        /// The file.
        path: PathBuf,
        /// Number of the header.
        hdu: usize,
        /// Row of the table of tiles, from 0.
        tile: usize,
        /// ZCMPTYPE.
        algorithm: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was shortened by another program after it was opened.
    #[error("{}: the file was shortened while in use: it had {expected} bytes, now {found}", path.display())]
    Shortened {
        /// The file.
        path: PathBuf,
        /// Bytes when it was opened.
        expected: u64,
        /// Bytes now.
        found: u64,
    },
    /// A gzip stream that cannot be inflated.
    #[error("{}: cannot inflate: {reason}", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A gzip file whose FITS headers announce more than it can hold, or than may be inflated.
    #[error("{}: header {hdu} announces {found} bytes, expected at most {expected} from this gzip file", path.display())]
    InflatedTooLarge {
        /// The file.
        path: PathBuf,
        /// Number of the header, 0 for the primary one.
        hdu: usize,
        /// Bytes that would be accepted.
        expected: u64,
        /// Bytes announced.
        found: u64,
    },
    /// A window does not lie inside the image.
    #[error("{}: window of {n_rows} x {n_cols} at row {row}, column {col} does not fit in {rows} rows x {cols} columns", path.display())]
    OutsideImage {
        /// The file.
        path: PathBuf,
        /// First row asked for, from 0.
        row: usize,
        /// First column asked for, from 0.
        col: usize,
        /// Rows asked for.
        n_rows: usize,
        /// Columns asked for.
        n_cols: usize,
        /// Rows of the image.
        rows: usize,
        /// Columns of the image.
        cols: usize,
    },
    /// Whole numbers were asked of an image that stores real ones.
    #[error("{}: BITPIX is {bitpix}, expected 8, 16, 32 or 64 without scaling to read whole numbers", path.display())]
    NotIntegers {
        /// The file.
        path: PathBuf,
        /// BITPIX.
        bitpix: i64,
    },
    /// The header describes a sky we cannot compute.
    #[error("{}: {keyword} is {found}: {reason}", path.display())]
    Wcs {
        /// The file.
        path: PathBuf,
        /// The keyword at fault.
        keyword: String,
        /// Its value.
        found: String,
        /// Why it cannot be used, and what to do.
        reason: String,
    },
    /// A header card that FITS cannot hold.
    #[error("card {keyword}: {reason}")]
    BadCard {
        /// The keyword.
        keyword: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A writer was given fewer or more pixels than it announced.
    #[error("{}: {found} pixels written, expected {expected}", path.display())]
    PixelCount {
        /// The file that was being written.
        path: PathBuf,
        /// Pixels announced.
        expected: u64,
        /// Pixels given.
        found: u64,
    },
}
