//! Decoded tiles that windows are likely to ask for again.
//!
//! Half-overlapping windows touch most tiles several times; each should be decoded once. The size is bounded in bytes, the
//! oldest tile that was not asked for again goes first, and any number of threads may use the cache.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Most bytes of decoded tiles that a mosaic keeps, unless told otherwise; one tile is always kept. Enough for two rows of
/// tiles of a mosaic of 16,384 columns, tiles of 256 rows or fewer.
pub const DEFAULT_TILE_CACHE_BYTES: usize = 32 << 20;

/// Memory that decoding needs besides its result, used again for the next tile.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub whole: Vec<i32>,
    pub wide: Vec<i64>,
    pub bytes: Vec<u8>,
    pub shuffled: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct TileCache(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    most_bytes: usize,
    bytes: usize,
    tiles: HashMap<usize, Tile>,
    /// In the order in which they will be looked at for removal.
    queue: VecDeque<usize>,
    /// Buffers of tiles that are gone and of decodings that are over.
    pixels: Vec<Vec<f32>>,
    scratch: Vec<Scratch>,
}

#[derive(Debug)]
struct Tile {
    pixels: Arc<Vec<f32>>,
    /// Asked for since it was last looked at.
    used: bool,
}

impl TileCache {
    pub fn new(most_bytes: usize) -> Self {
        let (tiles, queue) = (HashMap::new(), VecDeque::new());
        Self(Mutex::new(Kept { most_bytes, bytes: 0, tiles, queue, pixels: Vec::new(), scratch: Vec::new() }))
    }

    /// The cache is consistent between any two of its statements, so a panic elsewhere does not spoil it.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_most_bytes(&self, most_bytes: usize) {
        let mut kept = self.kept();
        kept.most_bytes = most_bytes;
        kept.shrink();
    }

    pub fn get(&self, tile: usize) -> Option<Arc<Vec<f32>>> {
        let mut kept = self.kept();
        let tile = kept.tiles.get_mut(&tile)?;
        tile.used = true;
        Some(tile.pixels.clone())
    }

    /// Empty buffers to decode into.
    pub fn take_buffers(&self) -> (Vec<f32>, Scratch) {
        let mut kept = self.kept();
        let mut pixels = kept.pixels.pop().unwrap_or_default();
        pixels.clear();
        (pixels, kept.scratch.pop().unwrap_or_default())
    }

    /// Keeps a tile, and the scratch memory for the next one.
    pub fn insert(&self, tile: usize, pixels: Vec<f32>, scratch: Scratch) -> Arc<Vec<f32>> {
        let pixels = Arc::new(pixels);
        let mut kept = self.kept();
        kept.scratch.push(scratch);
        // Another thread may have been faster.
        if !kept.tiles.contains_key(&tile) {
            kept.bytes += size_of_val(pixels.as_slice());
            kept.tiles.insert(tile, Tile { pixels: pixels.clone(), used: false });
            kept.queue.push_back(tile);
            kept.shrink();
        }
        pixels
    }
}

impl Kept {
    fn shrink(&mut self) {
        while self.bytes > self.most_bytes && self.tiles.len() > 1 {
            let Some(oldest) = self.queue.pop_front() else { return };
            if let Some(tile) = self.tiles.get_mut(&oldest).filter(|tile| tile.used) {
                tile.used = false;
                self.queue.push_back(oldest);
                continue;
            }
            if let Some(tile) = self.tiles.remove(&oldest) {
                self.bytes -= size_of_val(tile.pixels.as_slice());
                // One spare buffer is enough: it goes into the next tile.
                self.pixels.extend(Arc::try_unwrap(tile.pixels).ok().filter(|_| self.pixels.is_empty()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_kept_and_tiles_in_use_stay_longer() {
        let cache = TileCache::new(3 * 400);
        let put = |tile: usize| cache.insert(tile, vec![tile as f32; 100], Scratch::default());
        (0..3).for_each(|tile| drop(put(tile)));
        assert!(cache.get(0).is_some(), "asked for again");
        put(3);
        let present: Vec<usize> = (0..4).filter(|&tile| cache.kept().tiles.contains_key(&tile)).collect();
        assert_eq!((present, cache.kept().bytes), (vec![0, 2, 3], 1200));
        put(3);
        assert_eq!(cache.kept().bytes, 1200, "a tile counts once");
        // A tile larger than the cache is kept alone.
        let large = cache.insert(9, vec![1.0; 5000], Scratch::default());
        assert_eq!((cache.kept().tiles.len(), large.len()), (1, 5000));
        cache.set_most_bytes(0);
        assert!(cache.get(9).is_some());
    }
}
