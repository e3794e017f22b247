//! A mosaic: a FITS image on disk of which any window can be read, with its unit, beam and sky.
//!
//! [`Mosaic::open`] reads headers only; [`Mosaic::window`] touches the bytes of that window only, or decodes the tiles it touches
//! where the image is compressed. A `.fits.gz` is inflated once, into a temporary file. Pixels are `(row, col)` from
//! 0, row 0 being the first stored (usually the southernmost); they are physical values (BSCALE, BZERO and BLANK applied) in
//! the file's own unit, and NaN means blank.

mod pixel_source;

use std::{
    borrow::Cow,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use ndarray::Array2;
pub use pixel_source::PixelSource;
use pixel_source::check_window;

use crate::{
    beam::Beam,
    brightness::Brightness,
    error::FitsError,
    file_bytes::FileBytes,
    hdu::{HduList, ImageUnit, PixelLayout, Storage, find_image, list_hdus},
    header::Header,
    image_choice::{HduChoice, ImageChoice, ImagePlane},
    pixels::{Scaling, append_whole_numbers, mark_blanks, prefetch, read_pixels, read_with_blanks},
    wcs::Wcs,
};

/// A FITS image on disk.
#[derive(Debug)]
pub struct Mosaic {
    path: PathBuf,
    file: Arc<FileBytes>,
    unit: ImageUnit,
    scaling: Scaling,
    remarks: Vec<String>,
}

impl Mosaic {
    /// Opens the first image of a FITS file, plain, tile-compressed or within a `.fits.gz`. Axes of length 1 (frequency,
    /// Stokes) are dropped.
    ///
    /// # Errors
    /// Those of [`Mosaic::open_image`].
    pub fn open(path: &Path) -> Result<Self, FitsError> {
        Self::open_image(path, &ImageChoice::default())
    }

    /// Opens the chosen image of a FITS file.
    ///
    /// # Errors
    /// [`FitsError::Io`] and [`FitsError::NotFits`]; [`FitsError::Gzip`] and [`FitsError::InflatedTooLarge`];
    /// [`FitsError::BadHeader`], [`FitsError::TooLarge`] and [`FitsError::Truncated`] if header and file do not fit;
    /// [`FitsError::NotAnImage`] for spectra, and for cubes of which no plane was chosen; [`FitsError::Plane`] for a choice
    /// that cannot be made; [`FitsError::NoSuchHdu`], [`FitsError::NoPixels`] and [`FitsError::NoImage`].
    pub fn open_image(path: &Path, choice: &ImageChoice) -> Result<Self, FitsError> {
        Self::open_in(Arc::new(FileBytes::open(path)?), path, choice)
    }

    /// The same for a file that is mapped already: a `.fits.gz` need not be inflated for each of its images.
    pub(crate) fn open_in(file: Arc<FileBytes>, path: &Path, choice: &ImageChoice) -> Result<Self, FitsError> {
        let unit = find_image(&file, path, choice)?;
        let (scaling, remarks) = scaling_of(&unit);
        Ok(Self { path: path.to_path_buf(), file, unit, scaling, remarks })
    }

    /// The header-data units of a file, as far as they make sense.
    ///
    /// # Errors
    /// [`FitsError::Io`], [`FitsError::NotFits`], [`FitsError::Gzip`], and a primary header without sense.
    pub fn hdus(path: &Path) -> Result<HduList, FitsError> {
        list_hdus(&FileBytes::open(path)?, path)
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

    /// Whether the image is compressed in tiles.
    pub fn is_compressed(&self) -> bool {
        matches!(self.unit.layout, PixelLayout::Tiled(_))
    }

    /// How many bytes of decoded tiles a compressed image keeps
    /// ([`DEFAULT_TILE_CACHE_BYTES`](crate::DEFAULT_TILE_CACHE_BYTES) unless set); one tile is always kept.
    pub fn set_tile_cache_bytes(&self, most_bytes: usize) {
        if let PixelLayout::Tiled(tiles) = &self.unit.layout {
            tiles.set_cache_bytes(most_bytes);
        }
    }

    /// Number of the header-data unit that holds the image, 0 for the primary one.
    pub fn hdu(&self) -> usize {
        self.unit.hdu
    }

    /// The choice that opens this image again, the same however it was chosen: the number of its unit unless it is the first image
    /// of the file, and its place along every axis that is longer than 1.
    pub fn choice(&self) -> ImageChoice {
        let hdu = if self.unit.is_first { HduChoice::FirstImage } else { HduChoice::Number(self.unit.hdu) };
        ImageChoice { hdu, planes: self.unit.plane.choices(&self.unit.header, &self.unit.axes) }
    }

    /// BUNIT as written, for instance `Jy/beam` or `JY/BEAM`; many files have none.
    pub fn unit(&self) -> Option<&str> {
        self.unit.header.text("BUNIT")
    }

    /// The unit of the pixels, if BUNIT is one that we know ([`Brightness::parse`]).
    pub fn brightness(&self) -> Option<Brightness> {
        self.unit().and_then(Brightness::parse)
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
        (self.unit.plane.column_axis, self.unit.plane.row_axis)
    }

    pub(crate) fn plane(&self) -> &ImagePlane {
        &self.unit.plane
    }

    /// The relation between pixels and sky; `None` if the header describes no sky at all.
    ///
    /// # Errors
    /// [`FitsError::Wcs`] if it describes one that we cannot compute, such as one with an unknown projection.
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
    /// [`FitsError::OutsideImage`] if the window does not lie inside the image, [`FitsError::Tile`] for a compressed tile that
    /// cannot be decoded, [`FitsError::Shortened`] if another program shortened the file.
    pub fn window(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> Result<Array2<f32>, FitsError> {
        let mut pixels = Vec::new();
        self.window_into(row, col, n_rows, n_cols, &mut pixels)?;
        Ok(as_array(n_rows, n_cols, pixels))
    }

    /// Like [`Mosaic::window`], into a buffer that takes the window's size: no new memory per window.
    ///
    /// # Errors
    /// Those of [`Mosaic::window`].
    pub fn window_into(
        &self,
        row: usize,
        col: usize,
        n_rows: usize,
        n_cols: usize,
        pixels: &mut Vec<f32>,
    ) -> Result<(), FitsError> {
        self.read_window((row, col, n_rows, n_cols), pixels, None).map(|_| ())
    }

    /// Like [`Mosaic::window_into`], with a mask of the pixels that are not finite; returns how many those are.
    ///
    /// # Errors
    /// Those of [`Mosaic::window`].
    pub fn window_and_blanks_into(
        &self,
        row: usize,
        col: usize,
        n_rows: usize,
        n_cols: usize,
        pixels: &mut Vec<f32>,
        blanks: &mut Vec<bool>,
    ) -> Result<usize, FitsError> {
        self.read_window((row, col, n_rows, n_cols), pixels, Some(blanks))
    }

    /// Fills `pixels` and, where they are asked for, `blanks`; returns how many pixels are blank, or 0 if not asked.
    fn read_window(
        &self,
        (row, col, n_rows, n_cols): (usize, usize, usize, usize),
        pixels: &mut Vec<f32>,
        blanks: Option<&mut Vec<bool>>,
    ) -> Result<usize, FitsError> {
        check_window(self, row, col, n_rows, n_cols)?;
        self.file.check_length()?;
        self.check_memory((row, col, n_rows, n_cols))?;
        // Nothing is written here when the buffers have had this size before.
        let n_pixels = n_rows * n_cols;
        pixels.resize(n_pixels, 0.0);
        let blanks = blanks.map(|blanks| {
            blanks.resize(n_pixels, false);
            blanks.as_mut_slice()
        });
        if n_pixels == 0 {
            return Ok(0);
        }
        match &self.unit.layout {
            PixelLayout::Plain { .. } => Ok(self.read_rows((row, col, n_rows, n_cols), pixels, blanks)),
            PixelLayout::Tiled(tiles) => {
                let window = (row, col, n_rows, n_cols);
                tiles.window(&self.file, &self.path, &self.unit.plane, window, self.scaling, pixels)?;
                Ok(blanks.map_or(0, |blanks| mark_blanks(pixels, blanks)))
            }
        }
    }

    /// Pixels that are not compressed were found in the file; how many a compressed image has is only said by its header.
    fn check_memory(&self, window: (usize, usize, usize, usize)) -> Result<(), FitsError> {
        const LARGE: usize = 1 << 22;
        match &self.unit.layout {
            PixelLayout::Tiled(tiles) if window.2 * window.3 > LARGE => {
                tiles.check_window(&self.file, &self.path, &self.unit.plane, window)
            }
            _ => Ok(()),
        }
    }

    /// [`Mosaic::read_window`] of an image that is not compressed.
    fn read_rows(
        &self,
        (row, col, n_rows, n_cols): (usize, usize, usize, usize),
        pixels: &mut [f32],
        mut blanks: Option<&mut [bool]>,
    ) -> usize {
        // Far enough for memory to answer, and few enough lines to stay in the innermost cache.
        const ROWS_AHEAD: usize = 8;
        const MOST_BYTES_AHEAD: usize = 2048;
        let (storage, scaling) = (self.unit.storage, self.scaling);
        let mut count = 0;
        for (index, pixels) in pixels.chunks_exact_mut(n_cols).enumerate() {
            let row = row + index;
            if index + ROWS_AHEAD < n_rows {
                let ahead = self.row_bytes(row + ROWS_AHEAD, col, n_cols);
                prefetch(&ahead[..ahead.len().min(MOST_BYTES_AHEAD)]);
            }
            let bytes = self.gathered_bytes(row, col, n_cols);
            match &mut blanks {
                Some(blanks) => {
                    let blanks = &mut blanks[index * n_cols..][..n_cols];
                    count += read_with_blanks(&bytes, storage, scaling, pixels, blanks);
                }
                None => read_pixels(&bytes, storage, scaling, pixels),
            }
        }
        count
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
        self.file.check_length()?;
        self.check_memory((row, col, n_rows, n_cols))?;
        let mut numbers = Vec::with_capacity(n_rows * n_cols);
        match &self.unit.layout {
            PixelLayout::Plain { .. } => {
                for row in row..row + n_rows {
                    append_whole_numbers(&self.gathered_bytes(row, col, n_cols), self.unit.storage, &mut numbers);
                }
            }
            PixelLayout::Tiled(tiles) => {
                numbers.resize(n_rows * n_cols, 0);
                let window = (row, col, n_rows, n_cols);
                tiles.window_i64(&self.file, &self.path, &self.unit.plane, window, &mut numbers)?;
            }
        }
        Ok(as_array(n_rows, n_cols, numbers))
    }

    /// The bytes of a part of a row that lies in the image: opening made sure that the file holds them. Columns that are not
    /// neighbours in the file give those between them, too.
    #[inline]
    fn row_bytes(&self, row: usize, col: usize, n_cols: usize) -> &[u8] {
        let PixelLayout::Plain { offset, col_step, row_step } = self.unit.layout else { return &[] };
        let bytes = self.unit.storage.bytes();
        let start = offset + (row * row_step + col * col_step) * bytes;
        let length = n_cols.checked_sub(1).map_or(0, |last| last * col_step + 1) * bytes;
        &self.file[start..start + length]
    }

    /// The same, columns side by side.
    #[inline]
    fn gathered_bytes(&self, row: usize, col: usize, n_cols: usize) -> Cow<'_, [u8]> {
        let all = self.row_bytes(row, col, n_cols);
        match self.unit.layout {
            PixelLayout::Plain { col_step, .. } if col_step > 1 => {
                let bytes = self.unit.storage.bytes();
                Cow::Owned(all.chunks(bytes).step_by(col_step).flatten().copied().collect())
            }
            _ => Cow::Borrowed(all),
        }
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
        let rows = rows.start.min(self.rows())..rows.end.min(self.rows());
        match self.unit.layout {
            PixelLayout::Plain { offset, row_step, .. } => {
                let row_bytes = row_step * self.unit.storage.bytes();
                self.file.release(offset + rows.start * row_bytes, rows.len() * row_bytes);
            }
            // Which bytes hold these rows, only the table of tiles knows; all are read again as cheaply.
            PixelLayout::Tiled(_) => self.file.release(0, self.file.len()),
        }
    }

    fn window_into(
        &self,
        row: usize,
        col: usize,
        n_rows: usize,
        n_cols: usize,
        pixels: &mut Vec<f32>,
    ) -> Result<(), FitsError> {
        Mosaic::window_into(self, row, col, n_rows, n_cols, pixels)
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// `pixels` holds `n_rows · n_cols` values by construction; were it otherwise, the image would be empty rather than wrong.
fn as_array<T>(n_rows: usize, n_cols: usize, pixels: Vec<T>) -> Array2<T>
where
    T: Clone + Default,
{
    Array2::from_shape_vec((n_rows, n_cols), pixels).unwrap_or_default()
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
