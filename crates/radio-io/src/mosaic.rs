//! A mosaic: a memory-mapped FITS image of which any window can be read, with its unit, beam and sky.
//!
//! [`Mosaic::open`] reads headers only; [`Mosaic::window`] touches the bytes of that window only. Pixels are `(row, col)` from
//! 0, row 0 being the first stored (usually the southernmost); they are physical values (BSCALE, BZERO and BLANK applied) in
//! the file's own unit, and NaN means blank.

use std::{
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
};

use memmap2::Mmap;
use ndarray::Array2;

use crate::{
    beam::Beam,
    error::FitsError,
    hdu::{ImageUnit, Storage, first_image},
    header::Header,
    pixels::{Scaling, append_pixels, append_whole_numbers},
    wcs::Wcs,
};

/// Anything windows of pixels can be read from: a FITS mosaic, or an array in memory.
pub trait PixelSource: Send + Sync {
    /// Number of rows.
    fn rows(&self) -> usize;

    /// Number of columns.
    fn cols(&self) -> usize;

    /// Pixels `[n_rows, n_cols]` from (`row`, `col`) on, counted from 0; NaN means blank.
    ///
    /// # Errors
    /// If the window does not lie inside the image.
    fn window(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> Result<Array2<f32>, FitsError>;

    /// Says that these rows are not needed for now, so that a mapped file may leave the memory; reading them again is allowed.
    fn release_rows(&self, _rows: Range<usize>) {}

    /// The file, for messages.
    fn path(&self) -> &Path {
        Path::new("(image in memory)")
    }
}

/// A FITS image on disk.
#[derive(Debug)]
pub struct Mosaic {
    path: PathBuf,
    map: Mmap,
    unit: ImageUnit,
    scaling: Scaling,
    remarks: Vec<String>,
}

impl Mosaic {
    /// Opens the first image of a FITS file. Axes of length 1 (frequency, Stokes) are dropped.
    ///
    /// # Errors
    /// [`FitsError::Io`] and [`FitsError::NotFits`]; [`FitsError::BadHeader`], [`FitsError::TooLarge`] and
    /// [`FitsError::Truncated`] if header and file do not fit; [`FitsError::NotAnImage`] for cubes and spectra,
    /// [`FitsError::NoImage`] for tables, [`FitsError::Compressed`] for tile-compressed images.
    pub fn open(path: &Path) -> Result<Self, FitsError> {
        let refused = |source| FitsError::Io { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(refused)?;
        // SAFETY: the map is private and read-only. Should another program shorten the file while it is mapped, reading
        // the lost part ends the process; mosaics are written once, and ours appear atomically.
        let map = unsafe { Mmap::map(&file) }.map_err(refused)?;
        let unit = first_image(&map, path)?;
        let (scaling, remarks) = scaling_of(&unit);
        Ok(Self { path: path.to_path_buf(), map, unit, scaling, remarks })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.unit.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.unit.cols
    }

    /// The header of the image.
    pub fn header(&self) -> &Header {
        &self.unit.header
    }

    /// NAXIS1, NAXIS2, … as in the header, those of length 1 included.
    pub fn axes(&self) -> &[u64] {
        &self.unit.axes
    }

    /// BITPIX.
    pub fn bitpix(&self) -> i64 {
        self.unit.storage.bitpix()
    }

    /// Number of the header-data unit that holds the image, 0 for the primary one.
    pub fn hdu(&self) -> usize {
        self.unit.hdu
    }

    /// BUNIT as written, for instance `Jy/beam` or `JY/BEAM`; many files have none.
    pub fn unit(&self) -> Option<&str> {
        self.unit.header.text("BUNIT")
    }

    /// The beam, if the header names one ([`Beam::from_header`]).
    pub fn beam(&self) -> Option<Beam> {
        Beam::from_header(&self.unit.header)
    }

    /// What of the header was passed over, in words: a BLANK of a float image, a BSCALE of 0.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The axes (from 0) of the header that count columns and rows.
    pub(crate) fn image_axes(&self) -> (usize, usize) {
        (self.unit.column_axis, self.unit.row_axis)
    }

    /// The relation between pixels and sky; `None` if the header describes no sky at all.
    ///
    /// # Errors
    /// [`FitsError::Wcs`] if it describes one that we cannot compute, such as 1950 coordinates.
    pub fn wcs(&self) -> Result<Option<Wcs>, FitsError> {
        Wcs::from_header(&self.unit.header, self.image_axes(), &self.path)
    }

    /// Size of a pixel in arc seconds (square root of its area); `None` if the header has no scale.
    pub fn pixel_arcsec(&self) -> Option<f64> {
        Wcs::pixel_arcsec_of(&self.unit.header, self.image_axes())
    }

    /// Pixels `[n_rows, n_cols]` from (`row`, `col`) on, counted from 0; NaN means blank. Infinite pixels stay infinite.
    ///
    /// # Errors
    /// [`FitsError::OutsideImage`] if the window does not lie inside the image.
    pub fn window(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> Result<Array2<f32>, FitsError> {
        let mut pixels = Vec::new();
        self.window_into(row, col, n_rows, n_cols, &mut pixels)?;
        Ok(as_array(n_rows, n_cols, pixels))
    }

    /// Like [`Mosaic::window`], into a buffer that is emptied first: no new memory per window.
    ///
    /// # Errors
    /// [`FitsError::OutsideImage`] if the window does not lie inside the image.
    pub fn window_into(
        &self,
        row: usize,
        col: usize,
        n_rows: usize,
        n_cols: usize,
        pixels: &mut Vec<f32>,
    ) -> Result<(), FitsError> {
        check_window(self, row, col, n_rows, n_cols)?;
        pixels.clear();
        pixels.reserve(n_rows * n_cols);
        for bytes in self.window_bytes(row, col, n_rows, n_cols) {
            append_pixels(bytes, self.unit.storage, self.scaling, pixels);
        }
        Ok(())
    }

    /// The whole image.
    ///
    /// # Errors
    /// None beyond those of [`Mosaic::window`].
    pub fn full(&self) -> Result<Array2<f32>, FitsError> {
        self.window(0, 0, self.rows(), self.cols())
    }

    /// Whole numbers exactly as stored, for masks and island maps (`f32` is exact up to 2^24 only).
    ///
    /// # Errors
    /// [`FitsError::OutsideImage`], and [`FitsError::NotIntegers`] if the file stores real or scaled numbers.
    pub fn window_i64(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> Result<Array2<i64>, FitsError> {
        check_window(self, row, col, n_rows, n_cols)?;
        let scaled = self.scaling.scale != 1.0 || self.scaling.zero != 0.0;
        if scaled || matches!(self.unit.storage, Storage::F32 | Storage::F64) {
            return Err(FitsError::NotIntegers { path: self.path.clone(), bitpix: self.bitpix() });
        }
        let mut numbers = Vec::with_capacity(n_rows * n_cols);
        for bytes in self.window_bytes(row, col, n_rows, n_cols) {
            append_whole_numbers(bytes, self.unit.storage, &mut numbers);
        }
        Ok(as_array(n_rows, n_cols, numbers))
    }

    /// The bytes of each row of a window that was checked: opening made sure that the file holds them.
    fn window_bytes(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> impl Iterator<Item = &[u8]> {
        let bytes = self.unit.storage.bytes();
        (row..row + n_rows).map(move |row| {
            let start = self.unit.offset + (row * self.unit.cols + col) * bytes;
            &self.map[start..start + n_cols * bytes]
        })
    }
}

impl PixelSource for Mosaic {
    fn rows(&self) -> usize {
        self.unit.rows
    }

    fn cols(&self) -> usize {
        self.unit.cols
    }

    fn window(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> Result<Array2<f32>, FitsError> {
        Mosaic::window(self, row, col, n_rows, n_cols)
    }

    #[cfg(unix)]
    fn release_rows(&self, rows: Range<usize>) {
        let row_bytes = self.unit.cols * self.unit.storage.bytes();
        let rows = rows.start.min(self.rows())..rows.end.min(self.rows());
        let (start, length) = (self.unit.offset + rows.start * row_bytes, rows.len() * row_bytes);
        // SAFETY: a shared read-only map: a page that was let go is read from the file again when it is next touched.
        // A refusal costs memory, not data.
        let _ = unsafe { self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, length) };
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl PixelSource for Array2<f32> {
    fn rows(&self) -> usize {
        self.nrows()
    }

    fn cols(&self) -> usize {
        self.ncols()
    }

    fn window(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> Result<Array2<f32>, FitsError> {
        check_window(self, row, col, n_rows, n_cols)?;
        Ok(self.slice(ndarray::s![row..row + n_rows, col..col + n_cols]).to_owned())
    }
}

/// `pixels` holds `n_rows · n_cols` values by construction; were it otherwise, the image would be empty rather than wrong.
fn as_array<T>(n_rows: usize, n_cols: usize, pixels: Vec<T>) -> Array2<T>
where
    T: Clone + Default,
{
    Array2::from_shape_vec((n_rows, n_cols), pixels).unwrap_or_default()
}

fn check_window(
    source: &(impl PixelSource + ?Sized),
    row: usize,
    col: usize,
    n_rows: usize,
    n_cols: usize,
) -> Result<(), FitsError> {
    let (rows, cols) = (source.rows(), source.cols());
    let fits = |start: usize, count: usize, length: usize| start.checked_add(count).is_some_and(|end| end <= length);
    if fits(row, n_rows, rows) && fits(col, n_cols, cols) {
        return Ok(());
    }
    Err(FitsError::OutsideImage { path: source.path().to_path_buf(), row, col, n_rows, n_cols, rows, cols })
}

/// BSCALE, BZERO and BLANK, and what had to be passed over.
fn scaling_of(unit: &ImageUnit) -> (Scaling, Vec<String>) {
    let header = &unit.header;
    let mut remarks = Vec::new();
    let mut scale = header.float("BSCALE").unwrap_or(1.0);
    if scale == 0.0 {
        remarks.push("BSCALE is 0, which would make all pixels equal: read as 1".to_owned());
        scale = 1.0;
    }
    let is_real = matches!(unit.storage, Storage::F32 | Storage::F64);
    let blank = header.integer("BLANK").filter(|_| !is_real);
    if is_real && header.get("BLANK").is_some() {
        remarks
            .push(format!("BLANK = {} is ignored: floating-point images mark blanks by NaN", header.describe("BLANK")));
    }
    if header.float("BMAJ").is_some() && Beam::from_header(header).is_none() {
        remarks.push(format!("BMAJ = {} and BMIN = {} make no beam", header.describe("BMAJ"), header.describe("BMIN")));
    }
    (Scaling { scale, zero: header.float("BZERO").unwrap_or(0.0), blank }, remarks)
}
