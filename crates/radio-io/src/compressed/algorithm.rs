//! Which algorithm packed the tiles, with its parameters, and how many pixels it can have packed into so many bytes.

use super::{
    quantize::Dither,
    rice::{self, Width},
};
use crate::header::Header;

/// Most pixels of a tile whose bytes alone do not say how many there can be.
const MOST_PIXELS_OF_A_TILE: usize = 1 << 24;

/// ZCMPTYPE with its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rice { width: Width, block: usize },
    Gzip1,
    Gzip2,
    Hcompress { smooth: bool },
    Plio,
    None,
}

/// Whether a stream of that length can hold the pixels of a tile, before memory is reserved for them.
pub(crate) fn check_size(algorithm: Algorithm, stream_bytes: usize, n_pixels: usize) -> Result<(), String> {
    let most = match algorithm {
        Algorithm::Rice { width, block } => {
            let fewest = rice::fewest_bytes(n_pixels, width, block);
            return if fewest <= stream_bytes {
                Ok(())
            } else {
                Err(format!("{stream_bytes} bytes for {n_pixels} pixels, expected at least {fewest}"))
            };
        }
        // Deflate packs 1032 bytes into one; a pixel has at least one byte.
        Algorithm::Gzip1 | Algorithm::Gzip2 => stream_bytes.saturating_mul(1032),
        // One word stands for up to 4095 pixels.
        Algorithm::Plio => stream_bytes.div_ceil(2).saturating_mul(4095),
        Algorithm::Hcompress { .. } => MOST_PIXELS_OF_A_TILE.max(stream_bytes.saturating_mul(1024)),
        Algorithm::None => stream_bytes,
    };
    if n_pixels > most {
        return Err(format!("{stream_bytes} bytes for {n_pixels} pixels, expected at most {most} pixels"));
    }
    Ok(())
}

impl Algorithm {
    /// ZCMPTYPE and the parameters ZNAMEn, ZVALn.
    pub fn read(header: &Header) -> Result<Self, (String, &'static str)> {
        let parameter = |name: &str| {
            let named = |number: &usize| header.text(&format!("ZNAME{number}")) == Some(name);
            (1..=99).find(named).map(|number| format!("ZVAL{number}"))
        };
        let whole = |name: &str, default: i64, expected: &'static str| match parameter(name) {
            Some(keyword) => header.integer(&keyword).map(|value| (value, keyword.clone())).ok_or((keyword, expected)),
            None => Ok((default, name.to_owned())),
        };
        Ok(match header.text("ZCMPTYPE").unwrap_or_default() {
            "RICE_1" | "RICE_ONE" => {
                let (block, keyword) = whole("BLOCKSIZE", 32, "16 or 32")?;
                let block = usize::try_from(block).ok().filter(|block| (1..=1 << 16).contains(block));
                let block = block.ok_or((keyword, "16 or 32"))?;
                let (bytes, keyword) = whole("BYTEPIX", 4, "1, 2 or 4")?;
                let width = match bytes {
                    1 => Width::One,
                    2 => Width::Two,
                    4 => Width::Four,
                    _ => return Err((keyword, "1, 2 or 4")),
                };
                Self::Rice { width, block }
            }
            "GZIP_1" => Self::Gzip1,
            "GZIP_2" => Self::Gzip2,
            "HCOMPRESS_1" => Self::Hcompress { smooth: whole("SMOOTH", 0, "0 or 1")?.0 != 0 },
            "PLIO_1" => Self::Plio,
            "NOCOMPRESS" => Self::None,
            _ => {
                let known = "RICE_1, GZIP_1, GZIP_2, HCOMPRESS_1, PLIO_1 or NOCOMPRESS";
                return Err(("ZCMPTYPE".to_owned(), known));
            }
        })
    }
}

/// ZQUANTIZ and ZDITHER0.
pub(crate) fn read_dither(header: &Header) -> Result<Dither, (&'static str, &'static str)> {
    let seed = || header.integer("ZDITHER0").ok_or(("ZDITHER0", "a whole number from 1 to 10000"));
    match header.text("ZQUANTIZ") {
        None | Some("NO_DITHER") => Ok(Dither::None),
        Some("SUBTRACTIVE_DITHER_1") => Ok(Dither::Subtractive { seed: seed()? }),
        Some("SUBTRACTIVE_DITHER_2") => Ok(Dither::SubtractiveKeepingZeros { seed: seed()? }),
        Some(_) => Err(("ZQUANTIZ", "NONE, NO_DITHER, SUBTRACTIVE_DITHER_1 or SUBTRACTIVE_DITHER_2")),
    }
}
