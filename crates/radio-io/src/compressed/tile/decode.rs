//! From the bytes of a tile to its pixels: the column that holds it, its compression undone, quantisation and scaling applied.

use super::{PerTile, TiledImage};
use crate::{
    compressed::{
        algorithm::{Algorithm, check_size},
        gzip, hcompress, plio,
        quantize::{Steps, dequantize},
        rice,
        tile_cache::Scratch,
    },
    hdu::Storage,
    pixels::{Scaling, append_whole_numbers, read_pixels},
};

/// Which column holds a tile.
#[derive(Debug, Clone, Copy)]
pub(super) enum Packing {
    /// COMPRESSED_DATA, by ZCMPTYPE.
    Compressed,
    /// GZIP_COMPRESSED_DATA.
    Gzipped,
    /// UNCOMPRESSED_DATA.
    Plain,
}

/// What a tile was decoded into; the numbers are in the scratch memory.
pub(super) enum Decoded {
    /// `Scratch::whole`.
    Whole,
    /// `Scratch::wide`.
    Wide,
    /// `Scratch::bytes`, big-endian numbers so stored.
    Bytes(Storage),
}

impl TiledImage {
    /// The physical pixels of a tile, NaN = blank, appended to `pixels`.
    pub(super) fn physical(
        &self,
        file: &[u8],
        tile: usize,
        shape: &[usize],
        scaling: Scaling,
        scratch: &mut Scratch,
        pixels: &mut Vec<f32>,
    ) -> Result<(), String> {
        let n_pixels = shape.iter().product();
        let decoded = self.unpack(file, tile, shape, n_pixels, scratch)?;
        let blank = self.blank.of(&self.table, file, tile);
        let is_real = matches!(decoded, Decoded::Bytes(Storage::F32 | Storage::F64));
        if let Some(quantization) = self.quantization.filter(|_| !is_real) {
            match decoded {
                Decoded::Whole => {}
                Decoded::Wide => {
                    scratch.whole.clear();
                    scratch.whole.extend(scratch.wide.iter().map(|&value| value as i32));
                }
                Decoded::Bytes(storage) => {
                    let (whole, wide) = (&mut scratch.whole, &mut scratch.wide);
                    wide.clear();
                    append_whole_numbers(&scratch.bytes, storage, wide);
                    whole.clear();
                    whole.extend(wide.iter().map(|&value| value as i32));
                }
            }
            let number = |parameter: PerTile, name: &str| {
                parameter.of(&self.table, file, tile).ok_or_else(|| format!("it has no {name}"))
            };
            let (scale, zero) = (number(quantization.scale, "ZSCALE")?, number(quantization.zero, "ZZERO")?);
            let steps = Steps { scale, zero, blank: blank.map(|blank| blank as i32) };
            dequantize(&scratch.whole, steps, quantization.dither, tile, pixels);
            if !scaling.is_identity() {
                let scale = |pixel: &mut f32| *pixel = (scaling.zero + scaling.scale * f64::from(*pixel)) as f32;
                pixels.iter_mut().for_each(scale);
            }
            return Ok(());
        }
        let scaling = Scaling { blank: scaling.blank.or(blank.map(|blank| blank as i64)), ..scaling };
        match decoded {
            Decoded::Whole => pixels.extend(scratch.whole.iter().map(|&value| scaling.physical(i64::from(value)))),
            Decoded::Wide => pixels.extend(scratch.wide.iter().map(|&value| scaling.physical(value))),
            Decoded::Bytes(storage) => {
                pixels.resize(n_pixels, 0.0);
                read_pixels(&scratch.bytes, storage, scaling, pixels);
            }
        }
        Ok(())
    }

    /// The bytes of a tile and how they are packed; checked that they can hold the pixels.
    pub(super) fn stream<'a>(
        &self,
        file: &'a [u8],
        tile: usize,
        n_pixels: usize,
    ) -> Result<(&'a [u8], Packing), String> {
        // Tiles that did not bear quantisation are kept as they were, zipped or not.
        let columns = [
            (self.compressed, Packing::Compressed),
            (self.gzipped, Packing::Gzipped),
            (self.uncompressed, Packing::Plain),
        ];
        for (column, packing) in columns {
            let Some(column) = column else { continue };
            if let Some(stream) = self.table.heap(file, tile, column)? {
                let algorithm = match packing {
                    Packing::Compressed => self.algorithm,
                    Packing::Gzipped => Algorithm::Gzip1,
                    Packing::Plain => Algorithm::None,
                };
                check_size(algorithm, stream.len(), n_pixels)?;
                return Ok((stream, packing));
            }
        }
        Err("it has no data in any column".to_owned())
    }

    /// Undoes the compression of a tile.
    pub(super) fn unpack(
        &self,
        file: &[u8],
        tile: usize,
        shape: &[usize],
        n_pixels: usize,
        scratch: &mut Scratch,
    ) -> Result<Decoded, String> {
        match self.stream(file, tile, n_pixels)? {
            (stream, Packing::Compressed) => self.unpack_by(self.algorithm, stream, shape, n_pixels, scratch),
            (stream, Packing::Gzipped) => self.unzip(stream, false, false, n_pixels, scratch),
            (stream, Packing::Plain) => self.take_bytes(stream, n_pixels, scratch),
        }
    }

    fn unpack_by(
        &self,
        algorithm: Algorithm,
        stream: &[u8],
        shape: &[usize],
        n_pixels: usize,
        scratch: &mut Scratch,
    ) -> Result<Decoded, String> {
        match algorithm {
            Algorithm::Rice { width, block } => {
                scratch.whole.resize(n_pixels, 0);
                rice::decode(stream, width, block, &mut scratch.whole)?;
                Ok(Decoded::Whole)
            }
            Algorithm::Plio => {
                scratch.whole.resize(n_pixels, 0);
                plio::decode(stream, &mut scratch.whole)?;
                Ok(Decoded::Whole)
            }
            Algorithm::Hcompress { smooth } => {
                scratch.wide.resize(n_pixels, 0);
                hcompress::decode(
                    stream,
                    smooth,
                    shape.iter().copied().find(|&length| length > 1).unwrap_or(1),
                    &mut scratch.wide,
                )?;
                Ok(Decoded::Wide)
            }
            Algorithm::Gzip1 | Algorithm::Gzip2 => {
                self.unzip(stream, algorithm == Algorithm::Gzip2, self.quantization.is_some(), n_pixels, scratch)
            }
            Algorithm::None => self.take_bytes(stream, n_pixels, scratch),
        }
    }

    fn unzip(
        &self,
        stream: &[u8],
        shuffled: bool,
        quantized: bool,
        n_pixels: usize,
        scratch: &mut Scratch,
    ) -> Result<Decoded, String> {
        let is_real = matches!(self.storage, Storage::F32 | Storage::F64) && !quantized;
        let own = [self.storage.bytes()];
        // Whole numbers may have been zipped wider or narrower than BITPIX says; how wide shows in how many bytes there are.
        let widths: &[usize] = match (is_real, quantized) {
            (true, _) => &own,
            (false, true) => &[4],
            (false, false) => &[8, 4, 2, 1],
        };
        let width = gzip::inflate(stream, shuffled, n_pixels, widths, &mut scratch.shuffled, &mut scratch.bytes)?;
        Ok(Decoded::Bytes(match (is_real, width) {
            (true, _) => self.storage,
            (false, 8) => Storage::I64,
            (false, 4) => Storage::I32,
            (false, 2) => Storage::I16,
            (false, _) => Storage::U8,
        }))
    }

    fn take_bytes(&self, stream: &[u8], n_pixels: usize, scratch: &mut Scratch) -> Result<Decoded, String> {
        let expected = n_pixels.saturating_mul(self.storage.bytes());
        if stream.len() != expected {
            return Err(format!("{} bytes of pixels, expected {expected}", stream.len()));
        }
        scratch.bytes.clear();
        scratch.bytes.extend_from_slice(stream);
        Ok(Decoded::Bytes(self.storage))
    }
}
