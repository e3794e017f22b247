//! A tile-compressed image: how it is tiled, and which tiles a window touches. From the bytes of a tile to its pixels: `tile/decode.rs`.

mod decode;

use std::{path::Path, sync::Arc};

use decode::Decoded;

use super::{
    algorithm::{Algorithm, read_dither},
    quantize::Dither,
    tile_cache::{DEFAULT_TILE_CACHE_BYTES, Scratch, TileCache},
    tile_table::{Column, TileTable},
};
use crate::{
    error::FitsError,
    hdu::{Hdu, Storage},
    header::Header,
    image_choice::ImagePlane,
    pixels::{Scaling, append_whole_numbers},
};

/// A number given for each tile, or once for all.
#[derive(Debug, Clone, Copy)]
struct PerTile {
    column: Option<Column>,
    keyword: Option<f64>,
}

impl PerTile {
    fn read(header: &Header, table: &TileTable, name: &str) -> Self {
        Self { column: table.column(name), keyword: header.float(name) }
    }

    fn of(&self, table: &TileTable, file: &[u8], tile: usize) -> Option<f64> {
        self.column.and_then(|column| table.number(file, tile, column)).or(self.keyword)
    }
}

/// How real pixels were made whole numbers.
#[derive(Debug, Clone, Copy)]
struct Quantization {
    scale: PerTile,
    zero: PerTile,
    dither: Dither,
}

/// The tiles of a compressed image.
#[derive(Debug)]
pub(crate) struct TiledImage {
    hdu: usize,
    /// Pixels of the image and of a tile along each axis.
    axes: Vec<usize>,
    tile: Vec<usize>,
    table: TileTable,
    compressed: Option<Column>,
    gzipped: Option<Column>,
    uncompressed: Option<Column>,
    algorithm: Algorithm,
    algorithm_name: String,
    storage: Storage,
    quantization: Option<Quantization>,
    blank: PerTile,
    cache: TileCache,
}

impl TiledImage {
    /// Reads how an image of `axes` is tiled; the file was checked to hold the data of `hdu`.
    pub fn read(hdu: &Hdu, axes: &[u64], storage: Storage, file: &[u8], path: &Path) -> Result<Self, FitsError> {
        let header = &hdu.header;
        let bad = |keyword: &str, expected: &str| FitsError::BadHeader {
            path: path.into(),
            hdu: hdu.number,
            keyword: keyword.to_owned(),
            found: header.describe(keyword),
            expected: expected.to_owned(),
        };
        let end = (hdu.data_start + hdu.data_bytes as usize).min(file.len());
        let table = TileTable::read(header, hdu.data_start, end);
        let table = table.map_err(|(keyword, expected)| bad(&keyword, expected))?;
        let mut tile = Vec::new();
        for (&length, number) in axes.iter().zip(1..) {
            let keyword = format!("ZTILE{number}");
            let default = if number == 1 { length as i64 } else { 1 };
            let pixels = if header.get(&keyword).is_some() { header.integer(&keyword) } else { Some(default) };
            let pixels = pixels.and_then(|pixels| u64::try_from(pixels).ok()).filter(|pixels| *pixels > 0);
            tile.push(pixels.ok_or_else(|| bad(&keyword, "a whole number of at least 1"))?.min(length) as usize);
        }
        let axes: Vec<usize> = axes.iter().map(|&length| length as usize).collect();
        let n_tiles: usize = axes.iter().zip(&tile).map(|(length, tile)| length.div_ceil(*tile)).product();
        if n_tiles > table.rows {
            return Err(bad("NAXIS2", &format!("a row for each of the {n_tiles} tiles")));
        }
        let algorithm = Algorithm::read(header).map_err(|(keyword, expected)| bad(&keyword, expected))?;
        let is_real = matches!(storage, Storage::F32 | Storage::F64);
        let (scale, zero) = (PerTile::read(header, &table, "ZSCALE"), PerTile::read(header, &table, "ZZERO"));
        let has_steps = scale.column.is_some() || scale.keyword.is_some();
        let quantization = if is_real && has_steps && header.text("ZQUANTIZ") != Some("NONE") {
            let dither = read_dither(header).map_err(|(keyword, expected)| bad(keyword, expected))?;
            Some(Quantization { scale, zero, dither })
        } else {
            None
        };
        Ok(Self {
            hdu: hdu.number,
            compressed: table.column("COMPRESSED_DATA"),
            gzipped: table.column("GZIP_COMPRESSED_DATA"),
            uncompressed: table.column("UNCOMPRESSED_DATA"),
            algorithm,
            algorithm_name: header.text("ZCMPTYPE").unwrap_or_default().to_owned(),
            storage,
            quantization,
            blank: PerTile::read(header, &table, "ZBLANK"),
            cache: TileCache::new(DEFAULT_TILE_CACHE_BYTES),
            axes,
            tile,
            table,
        })
    }

    pub fn set_cache_bytes(&self, most_bytes: usize) {
        self.cache.set_most_bytes(most_bytes);
    }

    /// Pixels `[n_rows, n_cols]` of a plane into `out`, which has that many; the window was checked.
    pub fn window(
        &self,
        file: &[u8],
        path: &Path,
        plane: &ImagePlane,
        (row, col, n_rows, n_cols): (usize, usize, usize, usize),
        scaling: Scaling,
        out: &mut [f32],
    ) -> Result<(), FitsError> {
        self.each_tile(plane, (row, col, n_rows, n_cols), |tile, part| {
            let pixels = match self.cache.get(tile) {
                Some(pixels) => pixels,
                None => self.decode(file, path, tile, &part.shape, scaling)?,
            };
            part.copy(&pixels, out, n_cols);
            Ok(())
        })
    }

    /// Whether the bytes of all tiles of a window can hold its pixels: asked before memory is reserved for a large window, so
    /// that a damaged header cannot ask for more than its file is worth.
    pub fn check_window(
        &self,
        file: &[u8],
        path: &Path,
        plane: &ImagePlane,
        window: (usize, usize, usize, usize),
    ) -> Result<(), FitsError> {
        self.each_tile(plane, window, |tile, part| {
            let n_pixels = part.shape.iter().product();
            self.stream(file, tile, n_pixels).map(|_| ()).map_err(|reason| self.fault(path, tile, reason))
        })
    }

    /// Whole numbers as they were before compression, without scaling.
    pub fn window_i64(
        &self,
        file: &[u8],
        path: &Path,
        plane: &ImagePlane,
        (row, col, n_rows, n_cols): (usize, usize, usize, usize),
        out: &mut [i64],
    ) -> Result<(), FitsError> {
        let (mut scratch, mut numbers) = (Scratch::default(), Vec::new());
        self.each_tile(plane, (row, col, n_rows, n_cols), |tile, part| {
            let n_pixels = part.shape.iter().product();
            let decoded = self.unpack(file, tile, &part.shape, n_pixels, &mut scratch);
            numbers.clear();
            match decoded.map_err(|reason| self.fault(path, tile, reason))? {
                Decoded::Whole => numbers.extend(scratch.whole.iter().map(|&value| i64::from(value))),
                Decoded::Wide => numbers.extend_from_slice(&scratch.wide),
                Decoded::Bytes(storage) => append_whole_numbers(&scratch.bytes, storage, &mut numbers),
            }
            part.copy(&numbers, out, n_cols);
            Ok(())
        })
    }

    /// Visits the tiles that a window of a plane touches.
    fn each_tile(
        &self,
        plane: &ImagePlane,
        (row, col, n_rows, n_cols): (usize, usize, usize, usize),
        mut visit: impl FnMut(usize, Part) -> Result<(), FitsError>,
    ) -> Result<(), FitsError> {
        if n_rows == 0 || n_cols == 0 {
            return Ok(());
        }
        let (row_axis, column_axis) = (plane.row_axis, plane.column_axis);
        let (tile_rows, tile_cols) = (self.tile[row_axis], self.tile[column_axis]);
        let mut place = vec![0; self.axes.len()];
        for &(axis, index) in &plane.fixed {
            place[axis] = index / self.tile[axis];
        }
        for tile_row in row / tile_rows..=(row + n_rows - 1) / tile_rows {
            for tile_col in col / tile_cols..=(col + n_cols - 1) / tile_cols {
                (place[row_axis], place[column_axis]) = (tile_row, tile_col);
                let shape: Vec<usize> = (0..place.len())
                    .map(|axis| self.tile[axis].min(self.axes[axis] - place[axis] * self.tile[axis]))
                    .collect();
                let step = |axis: usize| shape[..axis].iter().product::<usize>();
                let held: usize = plane.fixed.iter().map(|&(axis, index)| index % self.tile[axis] * step(axis)).sum();
                let (first_row, first_col) = (tile_row * tile_rows, tile_col * tile_cols);
                let (top, left) = (row.max(first_row), col.max(first_col));
                let (row_step, col_step) = (step(row_axis), step(column_axis));
                let part = Part {
                    tile_start: held + (top - first_row) * row_step + (left - first_col) * col_step,
                    row_step,
                    col_step,
                    out_start: (top - row) * n_cols + left - col,
                    rows: (row + n_rows).min(first_row + shape[row_axis]) - top,
                    cols: (col + n_cols).min(first_col + shape[column_axis]) - left,
                    shape,
                };
                // Tiles are numbered like pixels, the first axis fastest.
                let tile = (0..place.len())
                    .rev()
                    .fold(0, |number, axis| number * self.axes[axis].div_ceil(self.tile[axis]) + place[axis]);
                visit(tile, part)?;
            }
        }
        Ok(())
    }

    fn decode(
        &self,
        file: &[u8],
        path: &Path,
        tile: usize,
        shape: &[usize],
        scaling: Scaling,
    ) -> Result<Arc<Vec<f32>>, FitsError> {
        let (mut pixels, mut scratch) = self.cache.take_buffers();
        let decoded = self.physical(file, tile, shape, scaling, &mut scratch, &mut pixels);
        decoded.map_err(|reason| self.fault(path, tile, reason))?;
        Ok(self.cache.insert(tile, pixels, scratch))
    }

    fn fault(&self, path: &Path, tile: usize, reason: String) -> FitsError {
        FitsError::Tile { path: path.into(), hdu: self.hdu, tile, algorithm: self.algorithm_name.clone(), reason }
    }
}

/// The part of a tile that lies in a window; steps and starts in pixels.
struct Part {
    /// Pixels of the tile along each axis.
    shape: Vec<usize>,
    tile_start: usize,
    row_step: usize,
    col_step: usize,
    out_start: usize,
    rows: usize,
    cols: usize,
}

impl Part {
    fn copy<T: Copy>(&self, tile: &[T], out: &mut [T], out_cols: usize) {
        for row in 0..self.rows {
            let from = &tile[self.tile_start + row * self.row_step..];
            let to = &mut out[self.out_start + row * out_cols..][..self.cols];
            if self.col_step == 1 {
                to.copy_from_slice(&from[..self.cols]);
            } else {
                to.iter_mut().zip(from.iter().step_by(self.col_step)).for_each(|(to, from)| *to = *from);
            }
        }
    }
}
