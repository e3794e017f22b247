//! From the bytes of a file to one of its images: the walk over header-data units, with every length checked.
//!
//! fitsrs reads the cards; the walk is ours, because fitsrs says nothing when a file is shorter than its header, lets the
//! product of absurd axes wrap around, and panics on some damaged headers.

use std::path::Path;

use crate::{
    card::CARD_BYTES,
    compressed::{TiledImage, restored_header},
    error::FitsError,
    header::Header,
    image_choice::{HduChoice, ImageChoice, ImagePlane},
};

/// FITS files come in blocks of this many bytes.
pub const BLOCK_BYTES: usize = 2880;

/// Where the pixels of an image are and how they are stored.
#[derive(Debug)]
pub(crate) struct ImageUnit {
    /// Of a compressed image: the header it had before.
    pub header: Header,
    /// Number of the header-data unit, 0 for the primary one.
    pub hdu: usize,
    /// Whether no unit before it holds pixels.
    pub is_first: bool,
    /// NAXIS1, NAXIS2, …, those of length 1 included.
    pub axes: Vec<u64>,
    /// Which axes count columns and rows, and where the others are held.
    pub plane: ImagePlane,
    pub rows: usize,
    pub cols: usize,
    pub storage: Storage,
    pub layout: PixelLayout,
}

/// How the pixels lie in the file.
#[derive(Debug)]
pub(crate) enum PixelLayout {
    /// Byte of pixel (0, 0), and pixels from one column and from one row to the next.
    Plain { offset: usize, col_step: usize, row_step: usize },
    /// Compressed in tiles.
    Tiled(Box<TiledImage>),
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
    pub fn from_bitpix(bitpix: i64) -> Option<Self> {
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

/// One header-data unit of a file, as its header describes it.
#[derive(Debug)]
pub(crate) struct Hdu {
    pub number: usize,
    pub header: Header,
    /// Bytes at which header and data begin.
    pub start: usize,
    pub data_start: usize,
    /// Bytes of data without the filling of the last block.
    pub data_bytes: u64,
    pub storage: Storage,
    pub axes: Vec<u64>,
}

impl Hdu {
    /// Reads the header at `start`. The data may reach beyond the end of the file ([`Hdu::check_end`]).
    fn read(bytes: &[u8], start: usize, number: usize, path: &Path) -> Result<Self, FitsError> {
        let (header, data_start) = read_header(bytes, start, number, path)?;
        let unit = Unit { header: &header, hdu: number, path };
        let (storage, axes) = (unit.storage()?, unit.axes()?);
        let data_bytes = unit.data_bytes(storage, &axes)?;
        Ok(Self { number, start, data_start, data_bytes, storage, axes, header })
    }

    /// Whether the file holds the data.
    pub fn check_end(&self, bytes: &[u8], path: &Path) -> Result<(), FitsError> {
        let expected = (self.data_start as u64).saturating_add(self.data_bytes);
        if expected > bytes.len() as u64 {
            let found = bytes.len() as u64;
            return Err(FitsError::Truncated { path: path.into(), hdu: self.number, expected, found });
        }
        Ok(())
    }

    /// The unit behind this one, whose data were checked to be there; `None` at the end of the file.
    fn next(&self, bytes: &[u8], path: &Path) -> Option<Result<Self, FitsError>> {
        let end = self.data_start.saturating_add(self.data_bytes as usize);
        let start = end.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES);
        let follows = bytes.get(start..).is_some_and(|rest| rest.starts_with(b"XTENSION"));
        follows.then(|| Self::read(bytes, start, self.number + 1, path))
    }

    pub fn kind(&self) -> HduKind {
        if self.header.logical("ZIMAGE") == Some(true) {
            return HduKind::CompressedImage;
        }
        match self.header.text("XTENSION") {
            _ if self.number == 0 => HduKind::Image,
            Some("IMAGE" | "IUEIMAGE") => HduKind::Image,
            Some("BINTABLE" | "A3DTABLE") => HduKind::BinaryTable,
            Some("TABLE") => HduKind::TextTable,
            _ => HduKind::Other,
        }
    }

    pub fn summary(&self) -> HduSummary {
        let kind = self.kind();
        let compressed = kind == HduKind::CompressedImage;
        let restored = || restored_header(&self.header);
        let axes = if compressed {
            let header = restored();
            let naxis = header.integer("NAXIS").unwrap_or(0).clamp(0, 999);
            (1..=naxis).filter_map(|axis| header.integer(&format!("NAXIS{axis}"))?.try_into().ok()).collect()
        } else {
            self.axes.clone()
        };
        HduSummary {
            number: self.number,
            name: self.header.text("EXTNAME").map(str::to_owned),
            kind,
            bitpix: if compressed { self.header.integer("ZBITPIX").unwrap_or(0) } else { self.storage.bitpix() },
            axes,
            compression: self.header.text("ZCMPTYPE").filter(|_| compressed).map(str::to_owned),
            header_byte: self.start as u64,
            data_byte: self.data_start as u64,
            data_bytes: self.data_bytes,
        }
    }
}

/// What a header-data unit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HduKind {
    /// Pixels, or a primary header without any.
    Image,
    /// Pixels compressed in tiles (ZIMAGE = T).
    CompressedImage,
    /// BINTABLE.
    BinaryTable,
    /// TABLE.
    TextTable,
    /// Something else.
    Other,
}

/// One header-data unit of a file, in short.
#[derive(Debug, Clone, PartialEq)]
pub struct HduSummary {
    /// Its number, 0 for the primary one.
    pub number: usize,
    /// EXTNAME.
    pub name: Option<String>,
    /// What it holds.
    pub kind: HduKind,
    /// NAXIS1, NAXIS2, …; of a compressed image those of the image.
    pub axes: Vec<u64>,
    /// BITPIX; of a compressed image that of the image.
    pub bitpix: i64,
    /// ZCMPTYPE of a compressed image.
    pub compression: Option<String>,
    /// Byte at which the header begins; in a `.fits.gz`, of the inflated file.
    pub header_byte: u64,
    /// Byte at which the data begin.
    pub data_byte: u64,
    /// Bytes of data, without the filling of the last block.
    pub data_bytes: u64,
}

/// The header-data units of a file, as far as they could be read.
#[derive(Debug)]
pub struct HduList {
    /// In the order of the file.
    pub hdus: Vec<HduSummary>,
    /// Why the walk ended before the end of the file: a header without sense, or data that are cut off.
    pub fault: Option<FitsError>,
}

/// Walks over all units of a file.
pub(crate) fn list_hdus(bytes: &[u8], path: &Path) -> Result<HduList, FitsError> {
    let mut list = HduList { hdus: Vec::new(), fault: None };
    list.fault = walk(bytes, path, |hdu| {
        list.hdus.push(hdu.summary());
        Ok(None::<()>)
    })
    .err();
    match list.fault {
        Some(fault) if list.hdus.is_empty() => Err(fault),
        fault => Ok(HduList { fault, ..list }),
    }
}

/// Visits the units in order until `visit` gives something; checks of each that the file holds its data.
pub(crate) fn walk<T, E: From<FitsError>>(
    bytes: &[u8],
    path: &Path,
    mut visit: impl FnMut(&Hdu) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    if !bytes.starts_with(b"SIMPLE  =") {
        return Err(FitsError::NotFits { path: path.into(), found: describe_start(bytes) }.into());
    }
    let mut hdu = Hdu::read(bytes, 0, 0, path)?;
    loop {
        if let Some(found) = visit(&hdu)? {
            return Ok(Some(found));
        }
        hdu.check_end(bytes, path)?;
        match hdu.next(bytes, path) {
            Some(next) => hdu = next?,
            None => return Ok(None),
        }
    }
}

/// Finds the chosen image of a file.
///
/// # Errors
/// Anything that is not FITS, a header that makes no sense, a file shorter than a header says, an image of more than two
/// axes without a choice of the plane, no such image.
pub(crate) fn find_image(bytes: &[u8], path: &Path, choice: &ImageChoice) -> Result<ImageUnit, FitsError> {
    let (mut seen, mut images) = (Vec::new(), 0);
    let found = walk(bytes, path, |hdu| {
        seen.push(hdu.header.text("EXTNAME").map_or(hdu.number.to_string(), |name| format!("{} ({name})", hdu.number)));
        let holds_pixels = match hdu.kind() {
            HduKind::Image => !hdu.axes.is_empty(),
            HduKind::CompressedImage => true,
            _ => false,
        };
        images += usize::from(holds_pixels);
        let wanted = match &choice.hdu {
            HduChoice::FirstImage => holds_pixels,
            HduChoice::Number(number) => hdu.number == *number,
            HduChoice::Name(name) => hdu.header.text("EXTNAME").is_some_and(|own| own.eq_ignore_ascii_case(name)),
        };
        match (wanted, holds_pixels) {
            (true, true) => image_of(hdu, images == 1, bytes, path, choice).map(Some),
            (true, false) => {
                let (hdu, kind) = (hdu.number, format!("{:?}", hdu.kind()));
                Err(FitsError::NoPixels { path: path.into(), hdu, kind })
            }
            (false, _) => Ok(None),
        }
    })?;
    found.ok_or_else(|| match &choice.hdu {
        HduChoice::FirstImage => FitsError::NoImage { path: path.into(), hdus: seen.len() },
        wanted => FitsError::NoSuchHdu { path: path.into(), wanted: wanted.to_string(), found: seen.join(", ") },
    })
}

fn image_of(
    hdu: &Hdu,
    is_first: bool,
    bytes: &[u8],
    path: &Path,
    choice: &ImageChoice,
) -> Result<ImageUnit, FitsError> {
    let compressed = hdu.kind() == HduKind::CompressedImage;
    let header = if compressed { restored_header(&hdu.header) } else { hdu.header.clone() };
    let unit = Unit { header: &header, hdu: hdu.number, path };
    let (storage, axes) = (unit.storage()?, unit.axes()?);
    // The product must not overflow, compressed or not.
    unit.data_bytes(storage, &axes)?;
    // Say that a cube is a cube even when it is cut short.
    let plane = choice.plane_of(&header, &axes, path)?;
    hdu.check_end(bytes, path)?;
    let (rows, cols) = (axes[plane.row_axis] as usize, axes[plane.column_axis] as usize);
    let layout = if compressed {
        PixelLayout::Tiled(Box::new(TiledImage::read(hdu, &axes, storage, bytes, path)?))
    } else {
        // The whole image lies in the file, so these products fit.
        let step = |axis: usize| axes[..axis].iter().product::<u64>() as usize;
        let first: usize = plane.fixed.iter().map(|&(axis, index)| step(axis) * index).sum();
        let offset = hdu.data_start + first * storage.bytes();
        PixelLayout::Plain { offset, col_step: step(plane.column_axis), row_step: step(plane.row_axis) }
    };
    Ok(ImageUnit { hdu: hdu.number, is_first, axes, plane, rows, cols, storage, layout, header })
}

/// Bytes of data that the header of unit number `hdu` announces; `None` while its END is not there yet.
pub(crate) fn declared_bytes(header: &[u8], hdu: usize, path: &Path) -> Result<Option<u64>, FitsError> {
    let ends = |line: &[u8; CARD_BYTES]| line.starts_with(b"END     ") || line[..] == *END_ALONE;
    // Only the last block can have brought the END.
    let last = &header[header.len().saturating_sub(BLOCK_BYTES)..];
    if !last.as_chunks::<CARD_BYTES>().0.iter().any(ends) {
        return Ok(None);
    }
    Ok(Some(Hdu::read(header, 0, hdu, path)?.data_bytes))
}

pub(crate) fn describe_start(bytes: &[u8]) -> String {
    match bytes {
        [] => "nothing (the file is empty)".to_owned(),
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
pub(crate) struct Unit<'a> {
    pub header: &'a Header,
    pub hdu: usize,
    pub path: &'a Path,
}

impl Unit<'_> {
    pub fn bad(&self, keyword: &str, expected: &str) -> FitsError {
        FitsError::BadHeader {
            path: self.path.into(),
            hdu: self.hdu,
            keyword: keyword.to_owned(),
            found: self.header.describe(keyword),
            expected: expected.to_owned(),
        }
    }

    pub fn storage(&self) -> Result<Storage, FitsError> {
        let bitpix = self.header.integer("BITPIX").and_then(Storage::from_bitpix);
        bitpix.ok_or_else(|| self.bad("BITPIX", "8, 16, 32, 64, -32 or -64"))
    }

    pub fn axes(&self) -> Result<Vec<u64>, FitsError> {
        let naxis = self.header.integer("NAXIS").filter(|naxis| (0..=999).contains(naxis));
        let naxis = naxis.ok_or_else(|| self.bad("NAXIS", "a whole number from 0 to 999"))?;
        let length = |axis: i64| {
            let keyword = format!("NAXIS{axis}");
            let length = self.header.integer(&keyword).and_then(|length| u64::try_from(length).ok());
            length.ok_or_else(|| self.bad(&keyword, "a whole number of at least 0"))
        };
        (1..=naxis).map(length).collect()
    }

    pub fn too_large(&self, storage: Storage, axes: &[u64]) -> FitsError {
        FitsError::TooLarge { path: self.path.into(), hdu: self.hdu, axes: axes.to_vec(), bitpix: storage.bitpix() }
    }

    /// |BITPIX| / 8 · GCOUNT · (PCOUNT + Π NAXISn): FITS standard 4.0, eq. 2. The first two are 1 and 0 in a primary image.
    pub fn data_bytes(&self, storage: Storage, axes: &[u64]) -> Result<u64, FitsError> {
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
}
