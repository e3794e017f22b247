//! Tile-compressed images (FITS standard 4.0, section 10): a window is decoded tile by tile, and nothing but its tiles.
//!
//! [`TiledImage`] is the table of tiles; one file each for the algorithms, the dequantisation of floats and the cache of
//! decoded tiles. Every allocation is bounded by the size of a tile, which is checked against what the algorithm can make of
//! the bytes that are there; every fault names the tile and the algorithm.

mod algorithm;
mod gzip;
mod hcompress;
mod plio;
mod quantize;
mod restored_header;
mod rice;
mod tile;
mod tile_cache;
mod tile_table;

pub(crate) use restored_header::restored_header;
pub(crate) use tile::TiledImage;
pub use tile_cache::DEFAULT_TILE_CACHE_BYTES;
