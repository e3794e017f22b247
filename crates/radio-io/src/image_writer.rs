//! Writing FITS images: whole ones, and row by row for mosaics that do not fit into memory.
//!
//! A file appears under its name only once it is complete and on the disk, with CHECKSUM and DATASUM.

use std::{
    io::{Seek, SeekFrom, Write},
    marker::PhantomData,
    path::{Path, PathBuf},
};

use ndarray::ArrayRef2;

use atomic_file::AtomicFile;

use crate::{
    card::{CARD_BYTES, Card, padded},
    checksum::{WordSum, checksum_cards, seal},
    error::FitsError,
    hdu::BLOCK_BYTES,
};

/// A number that FITS can store as a pixel.
pub trait FitsPixel: Copy + sealed::Sealed {
    /// BITPIX.
    const BITPIX: i64;
    /// Appends the big-endian bytes.
    fn append_to(self, bytes: &mut Vec<u8>);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! fits_pixel {
    ($($number:ty => $bitpix:literal),*) => {$(
        impl sealed::Sealed for $number {}
        impl FitsPixel for $number {
            const BITPIX: i64 = $bitpix;
            fn append_to(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_be_bytes());
            }
        }
    )*};
}

fits_pixel!(u8 => 8, i16 => 16, i32 => 32, i64 => 64, f32 => -32, f64 => -64);

/// Keywords that describe how an image is stored: the writer sets them, and a cutout must not inherit them.
pub(crate) fn is_structural(keyword: &str) -> bool {
    let fixed = [
        "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "GROUPS", "PCOUNT", "GCOUNT", "BSCALE", "BZERO", "BLANK",
        "DATAMAX", "DATAMIN", "CHECKSUM", "DATASUM", "EXTNAME", "EXTVER", "EXTLEVEL", "INHERIT", "END",
    ];
    let is_axis = keyword.strip_prefix("NAXIS").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    fixed.contains(&keyword) || is_axis
}

/// A FITS image that is being written, row by row.
#[derive(Debug)]
pub struct ImageWriter<T: FitsPixel> {
    path: PathBuf,
    file: AtomicFile,
    /// The header's lines less those of the checksums, which are written when the data are known.
    header: Vec<[u8; CARD_BYTES]>,
    sum: WordSum,
    buffer: Vec<u8>,
    expected: u64,
    written: u64,
    pixel: PhantomData<T>,
}

impl<T: FitsPixel> ImageWriter<T> {
    /// Begins an image of `rows` x `cols` pixels with the given cards; those that describe the storage (BITPIX, NAXISn,
    /// BSCALE, …) are the writer's and are passed over.
    ///
    /// # Errors
    /// [`FitsError::Io`] if the folder cannot be written to, [`FitsError::BadCard`] for a card that FITS cannot hold.
    pub fn create(path: &Path, rows: usize, cols: usize, cards: &[Card]) -> Result<Self, FitsError> {
        let lines = format_cards(cards.iter().filter(|card| !is_structural(&card.keyword)))?;
        Self::create_raw(path, &[cols as u64, rows as u64], &lines)
    }

    /// Like [`ImageWriter::create`] with any axes (of which all but two have length 1) and ready-made lines.
    pub(crate) fn create_raw(path: &Path, axes: &[u64], lines: &[[u8; CARD_BYTES]]) -> Result<Self, FitsError> {
        let mut header = format_cards(&structure::<T>(axes))?;
        header.extend_from_slice(lines);
        let refused = |source| FitsError::Io { path: path.to_path_buf(), source };
        let mut file = AtomicFile::create(path).map_err(refused)?;
        file.write_all(&with_checksum(&header, WordSum::default())?).map_err(refused)?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            header,
            sum: WordSum::default(),
            buffer: Vec::new(),
            expected: axes.iter().product(),
            written: 0,
            pixel: PhantomData,
        })
    }

    /// Appends pixels in row order: one row, several, or any part of them.
    ///
    /// # Errors
    /// [`FitsError::PixelCount`] if these are more than announced, [`FitsError::Io`].
    pub fn write_rows(&mut self, pixels: &[T]) -> Result<(), FitsError> {
        let written = self.written + pixels.len() as u64;
        if written > self.expected {
            return Err(FitsError::PixelCount { path: self.path.clone(), expected: self.expected, found: written });
        }
        for chunk in pixels.chunks(1 << 14) {
            self.buffer.clear();
            for &pixel in chunk {
                pixel.append_to(&mut self.buffer);
            }
            self.sum.add(&self.buffer);
            self.file.write_all(&self.buffer).map_err(|source| FitsError::Io { path: self.path.clone(), source })?;
        }
        self.written = written;
        Ok(())
    }

    /// Fills the last block, brings the file to the disk and gives it its name.
    ///
    /// # Errors
    /// [`FitsError::PixelCount`] if pixels are missing (no file appears then), [`FitsError::Io`].
    pub fn finish(mut self) -> Result<(), FitsError> {
        if self.written != self.expected {
            return Err(FitsError::PixelCount { path: self.path, expected: self.expected, found: self.written });
        }
        let bytes = self.written as usize * (T::BITPIX.unsigned_abs() as usize / 8);
        let filling = vec![0; bytes.next_multiple_of(BLOCK_BYTES) - bytes];
        let path = self.path;
        let refused = |source| FitsError::Io { path: path.clone(), source };
        self.file.write_all(&filling).map_err(refused)?;
        // So that the sum ends with a whole word.
        self.sum.add(&filling);
        let header = with_checksum(&self.header, self.sum)?;
        self.file.seek(SeekFrom::Start(0)).map_err(refused)?;
        self.file.write_all(&header).map_err(refused)?;
        self.file.commit().map_err(refused)
    }
}

/// A header in whole blocks, closed by the checksums and END.
fn with_checksum(lines: &[[u8; CARD_BYTES]], data: WordSum) -> Result<Vec<u8>, FitsError> {
    let mut bytes = lines.concat();
    bytes.extend(format_cards(&checksum_cards(data.value()))?.concat());
    bytes.extend(padded(b"END", b""));
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), b' ');
    seal(&mut bytes, data);
    Ok(bytes)
}

/// Writes an image `[rows, cols]` of `f32` (NaN = blank), `i32` or another FITS pixel type.
///
/// # Errors
/// [`FitsError::Io`], [`FitsError::BadCard`].
pub fn write_image<T: FitsPixel>(path: &Path, pixels: &ArrayRef2<T>, cards: &[Card]) -> Result<(), FitsError> {
    let (rows, cols) = pixels.dim();
    let mut writer = ImageWriter::create(path, rows, cols, cards)?;
    write_all_rows(&mut writer, pixels)?;
    writer.finish()
}

/// Writes a mask or an island map `[rows, cols]` in the narrowest of 8, 16 and 32 bits that holds all its numbers (8 bits are
/// without sign); returns BITPIX.
///
/// # Errors
/// [`FitsError::Io`], [`FitsError::BadCard`].
pub fn write_mask(path: &Path, mask: &ArrayRef2<i32>, cards: &[Card]) -> Result<i64, FitsError> {
    let (least, most) = mask.iter().fold((0, 0), |(least, most), &value| (value.min(least), value.max(most)));
    if least >= 0 && most <= i32::from(u8::MAX) {
        write_image(path, &mask.mapv(|value| value as u8), cards)?;
        Ok(u8::BITPIX)
    } else if least >= i32::from(i16::MIN) && most <= i32::from(i16::MAX) {
        write_image(path, &mask.mapv(|value| value as i16), cards)?;
        Ok(i16::BITPIX)
    } else {
        write_image(path, mask, cards)?;
        Ok(i32::BITPIX)
    }
}

pub(crate) fn write_all_rows<T: FitsPixel>(
    writer: &mut ImageWriter<T>,
    pixels: &ArrayRef2<T>,
) -> Result<(), FitsError> {
    for row in pixels.rows() {
        match row.as_slice() {
            Some(row) => writer.write_rows(row)?,
            None => writer.write_rows(&row.to_vec())?,
        }
    }
    Ok(())
}

fn structure<T: FitsPixel>(axes: &[u64]) -> Vec<Card> {
    let mut cards = vec![
        Card::new("SIMPLE", true, "FITS standard 4.0"),
        Card::new("BITPIX", T::BITPIX, "bits per pixel, negative for real numbers"),
        Card::new("NAXIS", axes.len() as i64, ""),
    ];
    cards.extend(axes.iter().zip(1..).map(|(&length, axis)| Card::new(&format!("NAXIS{axis}"), length as i64, "")));
    cards
}

pub(crate) fn format_cards<'a>(cards: impl IntoIterator<Item = &'a Card>) -> Result<Vec<[u8; CARD_BYTES]>, FitsError> {
    let mut lines = Vec::new();
    for card in cards {
        lines.extend(card.format()?);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array, s};

    use super::*;
    use crate::mosaic::Mosaic;

    #[test]
    fn what_is_written_is_read_back_rows_and_columns_in_place() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("map.fits");
        let mut pixels = Array2::from_shape_fn((3, 5), |(row, col)| (10 * row + col) as f32);
        pixels[[1, 4]] = f32::NAN;
        write_image(&path, &pixels, &[Card::new("BUNIT", "Jy/beam", ""), Card::new("BSCALE", 7.0, "not ours")])?;
        assert_eq!(std::fs::metadata(&path)?.len(), 2 * BLOCK_BYTES as u64);
        let mosaic = Mosaic::open(&path)?;
        assert_eq!((mosaic.rows(), mosaic.cols(), mosaic.unit(), mosaic.bitpix()), (3, 5, Some("Jy/beam"), -32));
        let read = mosaic.full()?;
        assert!(read[[1, 4]].is_nan() && read[[2, 3]] == 23.0 && read[[0, 1]] == 1.0);
        assert_eq!(mosaic.window(1, 2, 2, 2)?, array![[12.0, 13.0], [22.0, 23.0]]);
        // A view with its axes swapped has no contiguous rows.
        write_image(&path, &pixels.slice(s![..2, ..2]).reversed_axes(), &[])?;
        assert_eq!(Mosaic::open(&path)?.full()?, array![[0.0, 10.0], [1.0, 11.0]]);
        Ok(())
    }

    #[test]
    fn masks_keep_their_whole_numbers() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("mask.fits");
        for (last, bitpix) in
            [([0, 255], 8), ([-1, 255], 16), ([0, 32_767], 16), ([-40_000, 1], 32), ([i32::MIN, i32::MAX], 32)]
        {
            let mask: Array2<i32> = array![[0, 1], last];
            assert_eq!(write_mask(&path, &mask, &[])?, bitpix);
            let mosaic = Mosaic::open(&path)?;
            assert_eq!((mosaic.window_i64(0, 0, 2, 2)?, mosaic.bitpix()), (mask.mapv(i64::from), bitpix));
        }
        Ok(())
    }

    #[test]
    fn a_row_too_few_or_too_many_leaves_no_file() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("map.fits");
        let mut writer = ImageWriter::<f32>::create(&path, 2, 3, &[])?;
        writer.write_rows(&[0.0; 3])?;
        let refused = writer.finish().expect_err("one row is missing");
        assert!(matches!(refused, FitsError::PixelCount { expected: 6, found: 3, .. }), "{refused}");
        let mut writer = ImageWriter::create(&path, 2, 3, &[])?;
        let refused = writer.write_rows(&[0.0_f32; 7]).expect_err("one pixel too many");
        assert!(refused.to_string().contains("7 pixels written, expected 6"), "{refused}");
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 0);
        Ok(())
    }
}
