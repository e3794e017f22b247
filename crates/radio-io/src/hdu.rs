//! From the bytes of a file to its first image: the walk over header-data units, with every length checked.
//!
//! fitsrs reads the cards; the walk is ours, because fitsrs says nothing when a file is shorter than its header, lets the
//! product of absurd axes wrap around, and panics on some damaged headers.

use std::path::Path;

use crate::{card::CARD_BYTES, error::FitsError, header::Header};

/// FITS files come in blocks of this many bytes.
pub const BLOCK_BYTES: usize = 2880;

/// Where the pixels of an image are and how they are stored.
#[derive(Debug, Clone)]
pub(crate) struct ImageUnit {
    pub header: Header,
    /// Number of the header-data unit, 0 for the primary one.
    pub hdu: usize,
    /// NAXIS1, NAXIS2, …, those of length 1 included.
    pub axes: Vec<u64>,
    /// Which of `axes` (from 0) count columns and rows.
    pub column_axis: usize,
    pub row_axis: usize,
    pub rows: usize,
    pub cols: usize,
    pub storage: Storage,
    /// Byte at which the pixels begin.
    pub offset: usize,
}

/// How a pixel is stored: BITPIX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    U8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl Storage {
    fn from_bitpix(bitpix: i64) -> Option<Self> {
        Some(match bitpix {
            8 => Self::U8,
            16 => Self::I16,
            32 => Self::I32,
            64 => Self::I64,
            -32 => Self::F32,
            -64 => Self::F64,
            _ => return None,
        })
    }

    pub fn bitpix(self) -> i64 {
        match self {
            Self::U8 => 8,
            Self::I16 => 16,
            Self::I32 => 32,
            Self::I64 => 64,
            Self::F32 => -32,
            Self::F64 => -64,
        }
    }

    pub fn bytes(self) -> usize {
        self.bitpix().unsigned_abs() as usize / 8
    }
}

/// Finds the first image of a file.
///
/// # Errors
/// Anything that is not FITS, a header that makes no sense, a file shorter than a header says, a compressed image, an image
/// that is not two-dimensional, no image at all.
pub(crate) fn first_image(bytes: &[u8], path: &Path) -> Result<ImageUnit, FitsError> {
    if !bytes.starts_with(b"SIMPLE  =") {
        return Err(FitsError::NotFits { path: path.into(), found: describe_start(bytes) });
    }
    let mut start = 0;
    let mut hdu = 0;
    loop {
        let (header, offset) = read_header(bytes, start, hdu, path)?;
        let unit = Unit { header: &header, hdu, path };
        let is_image = hdu == 0 || header.text("XTENSION").is_some_and(|kind| kind == "IMAGE" || kind == "IUEIMAGE");
        let storage = unit.storage()?;
        let axes = unit.axes()?;
        let data_bytes = unit.data_bytes(storage, &axes)?;
        if header.logical("ZIMAGE") == Some(true) {
            return Err(FitsError::Compressed { path: path.into(), hdu });
        }
        let has_pixels = is_image && !axes.is_empty();
        // Say that a cube is a cube even when it is cut short.
        let shape = if has_pixels { Some(unit.image_axes(&axes)?) } else { None };
        let end = (offset as u64).checked_add(data_bytes);
        let end = end.ok_or_else(|| unit.too_large(storage, &axes))?;
        if end > bytes.len() as u64 {
            return Err(FitsError::Truncated { path: path.into(), hdu, expected: end, found: bytes.len() as u64 });
        }
        if let Some((column_axis, row_axis)) = shape {
            let (rows, cols) = (axes[row_axis] as usize, axes[column_axis] as usize);
            return Ok(ImageUnit { header, hdu, axes, column_axis, row_axis, rows, cols, storage, offset });
        }
        // `end` is within the file, so it fits; a last block may lack its padding.
        start = (end as usize).div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES);
        hdu += 1;
        if !bytes.get(start..).is_some_and(|rest| rest.starts_with(b"XTENSION")) {
            return Err(FitsError::NoImage { path: path.into(), hdus: hdu });
        }
    }
}

fn describe_start(bytes: &[u8]) -> String {
    match bytes {
        [] => "nothing (the file is empty)".to_owned(),
        [0x1f, 0x8b, ..] => "a gzip signature (decompress it first)".to_owned(),
        _ => format!("`{}`", String::from_utf8_lossy(&bytes[..bytes.len().min(9)]).escape_debug()),
    }
}

/// The header that begins at `start`, and the byte where its data begin.
fn read_header(bytes: &[u8], start: usize, hdu: usize, path: &Path) -> Result<(Header, usize), FitsError> {
    let lines = bytes[start..].as_chunks::<CARD_BYTES>().0;
    let Some(n_cards) = lines.iter().position(|line| line.starts_with(b"END     ") || line[..] == *END_ALONE) else {
        return Err(FitsError::BadHeader {
            path: path.into(),
            hdu,
            keyword: "END".to_owned(),
            found: "missing".to_owned(),
            expected: format!("a card END after the {} cards of the file", lines.len()),
        });
    };
    let header = Header::from_raw(lines[..n_cards].to_vec());
    let end = start + (n_cards + 1) * CARD_BYTES;
    Ok((header, end.div_ceil(BLOCK_BYTES) * BLOCK_BYTES))
}

const END_ALONE: &[u8; CARD_BYTES] = &{
    let mut line = [0; CARD_BYTES];
    (line[0], line[1], line[2]) = (b'E', b'N', b'D');
    line
};

/// The structural keywords of one header.
struct Unit<'a> {
    header: &'a Header,
    hdu: usize,
    path: &'a Path,
}

impl Unit<'_> {
    fn bad(&self, keyword: &str, expected: &str) -> FitsError {
        FitsError::BadHeader {
            path: self.path.into(),
            hdu: self.hdu,
            keyword: keyword.to_owned(),
            found: self.header.describe(keyword),
            expected: expected.to_owned(),
        }
    }

    fn storage(&self) -> Result<Storage, FitsError> {
        let bitpix = self.header.integer("BITPIX").and_then(Storage::from_bitpix);
        bitpix.ok_or_else(|| self.bad("BITPIX", "8, 16, 32, 64, -32 or -64"))
    }

    fn axes(&self) -> Result<Vec<u64>, FitsError> {
        let naxis = self.header.integer("NAXIS").filter(|naxis| (0..=999).contains(naxis));
        let naxis = naxis.ok_or_else(|| self.bad("NAXIS", "a whole number from 0 to 999"))?;
        let length = |axis: i64| {
            let keyword = format!("NAXIS{axis}");
            let length = self.header.integer(&keyword).and_then(|length| u64::try_from(length).ok());
            length.ok_or_else(|| self.bad(&keyword, "a whole number of at least 0"))
        };
        (1..=naxis).map(length).collect()
    }

    fn too_large(&self, storage: Storage, axes: &[u64]) -> FitsError {
        FitsError::TooLarge { path: self.path.into(), hdu: self.hdu, axes: axes.to_vec(), bitpix: storage.bitpix() }
    }

    /// |BITPIX| / 8 · GCOUNT · (PCOUNT + Π NAXISn): FITS standard 4.0, eq. 2. The first two are 1 and 0 in a primary image.
    fn data_bytes(&self, storage: Storage, axes: &[u64]) -> Result<u64, FitsError> {
        if axes.is_empty() {
            return Ok(0);
        }
        let count = |keyword: &str, default: u64| match self.header.get(keyword) {
            Some(_) if self.hdu > 0 => {
                let count = self.header.integer(keyword).and_then(|count| u64::try_from(count).ok());
                count.ok_or_else(|| self.bad(keyword, "a whole number of at least 0"))
            }
            _ => Ok(default),
        };
        let (groups, parameters) = (count("GCOUNT", 1)?, count("PCOUNT", 0)?);
        let bytes = axes
            .iter()
            .try_fold(1_u64, |product, &length| product.checked_mul(length))
            .and_then(|pixels| pixels.checked_add(parameters))
            .and_then(|pixels| pixels.checked_mul(groups))
            .and_then(|pixels| pixels.checked_mul(storage.bytes() as u64))
            // Operating systems count the bytes of a file in signed 64-bit numbers.
            .filter(|&bytes| bytes <= i64::MAX as u64);
        bytes.ok_or_else(|| self.too_large(storage, axes))
    }

    /// The two axes (from 0) that count columns and rows: those longer than 1, or the first two where fewer are.
    fn image_axes(&self, axes: &[u64]) -> Result<(usize, usize), FitsError> {
        let refused = || FitsError::NotAnImage { path: self.path.into(), axes: axes.to_vec() };
        if axes.len() < 2 || axes.contains(&0) {
            return Err(refused());
        }
        let long: Vec<usize> = (0..axes.len()).filter(|&axis| axes[axis] > 1).collect();
        match long[..] {
            [] | [0 | 1] => Ok((0, 1)),
            [column_axis, row_axis] => Ok((column_axis, row_axis)),
            _ => Err(refused()),
        }
    }
}
