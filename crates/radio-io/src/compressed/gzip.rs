//! GZIP_1 and GZIP_2: the bytes of a tile through gzip, in the second case sorted by significance (FITS standard 4.0, section
//! 10.4.2).

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

/// Inflates a tile of `n_pixels` into big-endian numbers; the result is one of `widths` bytes a pixel.
///
/// # Errors
/// A broken stream, or one that gives another number of bytes.
pub(crate) fn inflate(
    stream: &[u8],
    shuffled: bool,
    n_pixels: usize,
    widths: &[usize],
    scratch: &mut Vec<u8>,
    bytes: &mut Vec<u8>,
) -> Result<usize, String> {
    let most = widths.iter().max().copied().unwrap_or(0).saturating_mul(n_pixels);
    let target = if shuffled { &mut *scratch } else { &mut *bytes };
    target.clear();
    // One byte more than can be right tells of a stream that goes on.
    let read = MultiGzDecoder::new(stream).take(most as u64 + 1).read_to_end(target);
    read.map_err(|refused| refused.to_string())?;
    let found = target.len();
    let width = widths.iter().copied().find(|width| width.checked_mul(n_pixels) == Some(found));
    let width = width.ok_or_else(|| format!("{found} bytes inflated, expected {most} for {n_pixels} pixels"))?;
    if shuffled {
        bytes.clear();
        bytes.resize(found, 0);
        for (plane, part) in scratch.chunks_exact(n_pixels.max(1)).enumerate() {
            for (pixel, byte) in bytes.chunks_exact_mut(width).zip(part) {
                pixel[plane] = *byte;
            }
        }
    }
    Ok(width)
}
