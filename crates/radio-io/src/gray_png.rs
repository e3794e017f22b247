//! Grey 8-bit PNG pictures: thumbnails out, and published image sets (8-bit cutouts) in.
//!
//! Row 0 of an array is the top row of the picture. FITS stores the southern row first, so flip a map before showing it.

use std::{io::Write, path::Path};

use image::{ExtendedColorType, ImageEncoder, ImageFormat, ImageReader, codecs::png::PngEncoder};
use ndarray::{Array2, ArrayRef2};

use atomic_file::write_atomically;

use crate::error::Error;

/// Writes a grey 8-bit picture `[rows, cols]`, atomically.
///
/// # Errors
/// [`Error::Io`], [`Error::Png`].
pub fn write_gray_png(path: &Path, pixels: &ArrayRef2<u8>) -> Result<(), Error> {
    let (rows, cols) = pixels.dim();
    let flat: Vec<u8> = pixels.iter().copied().collect();
    let mut encoded = Vec::new();
    // A side of more than 2^32 pixels is refused by the encoder, as the buffer then does not match.
    let (width, height) = (u32::try_from(cols).unwrap_or(u32::MAX), u32::try_from(rows).unwrap_or(u32::MAX));
    PngEncoder::new(&mut encoded)
        .write_image(&flat, width, height, ExtendedColorType::L8)
        .map_err(|source| Error::Png { path: path.into(), source })?;
    write_atomically(path, |file| file.write_all(&encoded)).map_err(|source| Error::Io { path: path.into(), source })
}

/// Reads a PNG picture as `[rows, cols]` grey values from 0 to 255; colour is turned into luminance, 16 bits into 8.
///
/// # Errors
/// [`Error::Io`], [`Error::Png`] for anything that is not a PNG.
pub fn read_png(path: &Path) -> Result<Array2<f32>, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.into(), source })?;
    let refused = |source| Error::Png { path: path.into(), source };
    let reader = ImageReader::with_format(std::io::Cursor::new(bytes), ImageFormat::Png);
    let gray = reader.decode().map_err(refused)?.into_luma8();
    let shape = (gray.height() as usize, gray.width() as usize);
    let values = gray.into_raw().into_iter().map(f32::from).collect();
    Ok(Array2::from_shape_vec(shape, values).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn pictures_survive_with_rows_as_rows() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("picture.png");
        let pixels: Array2<u8> = array![[0, 1, 2], [253, 254, 255]];
        write_gray_png(&path, &pixels)?;
        assert_eq!(read_png(&path)?, pixels.mapv(f32::from));
        write_gray_png(&path, &pixels.t())?;
        assert_eq!(read_png(&path)?, pixels.t().mapv(f32::from));
        std::fs::write(&path, b"\x89PNG, but")?;
        let refused = read_png(&path).expect_err("not a picture");
        assert!(matches!(refused, Error::Png { .. }) && refused.to_string().contains("picture.png"), "{refused}");
        assert!(matches!(read_png(&folder.path().join("none.png")), Err(Error::Io { .. })));
        Ok(())
    }
}
