//! The address of every random number: what makes a pixel independent of tile size and thread count.
//!
//! A draw belongs to a place on the sky and to a layer of the simulation, never to a thread or to the order of work. The
//! address *is* the 256-bit ChaCha key, so two addresses share no number.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Side of a cell, the unit of sky that owns its sources, in pixels.
pub const CELL: i64 = 256;

/// What a random stream is for. The numbers are part of the format: never renumber, only append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Layer {
    /// Beam-scale pixel noise, keyed by row and 64-pixel segment.
    Noise = 1,
    /// Wide noise component, keyed by the coarse grid.
    WideNoise = 2,
    /// Large-scale changes of the local rms.
    RmsField = 3,
    /// Fluxes, positions and sizes of the source counts.
    Sources = 4,
    /// Shapes of resolved sources.
    Shape = 5,
    /// Discs of nearby galaxies.
    Discs = 6,
    /// Cluster halos and relics.
    Clusters = 7,
    /// Large diffuse emission.
    LargeDiffuse = 8,
    /// Filaments.
    Filaments = 9,
    /// Peculiar objects.
    Peculiar = 10,
    /// The ordinary objects from which peculiar ones borrow flux and size.
    Twin = 11,
    /// Artefacts of a bright source.
    Artefact = 12,
    /// Bank of error patterns of the synthetic array.
    PatternBank = 13,
    /// Stripes.
    Stripes = 14,
    /// Seams between survey footprints.
    Seams = 15,
    /// Order in which sky blocks are labelled.
    Blocks = 16,
    /// Mistakes of the annotator.
    Annotator = 17,
    /// Negative bowls.
    Bowls = 18,
    /// Supernova remnants.
    Shells = 19,
    /// HII regions.
    HiiRegions = 20,
    /// Bubbles.
    Bubbles = 21,
    /// Diffuse Galactic emission.
    GalacticField = 22,
    /// Draw of cutouts by Radio Galaxy Zoo class.
    RgzDraw = 23,
    /// Draw of detector tiles.
    DetectorTiles = 24,
    /// Extra doubles of a sky whose classes are counted.
    Doubles = 25,
}

/// Address of one random stream: run seed, layer, place and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Seed of the survey.
    pub seed: u64,
    /// Purpose of the stream.
    pub layer: Layer,
    /// Row of the place, in units the layer chooses (cells, pixels, grid nodes).
    pub y: i64,
    /// Column of the place.
    pub x: i64,
    /// Which stream of that place.
    pub index: u32,
}

impl Address {
    /// The generator at this address; the same address always gives the same stream.
    pub fn rng(self) -> ChaCha8Rng {
        let mut key = [0u8; 32];
        key[0..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&self.y.to_le_bytes());
        key[16..24].copy_from_slice(&self.x.to_le_bytes());
        key[24..28].copy_from_slice(&(self.layer as u32).to_le_bytes());
        key[28..32].copy_from_slice(&self.index.to_le_bytes());
        ChaCha8Rng::from_seed(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngCore;

    #[test]
    fn each_field_of_the_address_changes_the_stream() {
        let base = Address { seed: 1, layer: Layer::Noise, y: 2, x: 3, index: 4 };
        let first = |a: Address| a.rng().next_u64();
        let others = [
            Address { seed: 2, ..base },
            Address { layer: Layer::Sources, ..base },
            Address { y: 3, ..base },
            Address { x: 2, ..base },
            Address { y: 3, x: 2, ..base },
            Address { index: 5, ..base },
        ];
        assert_eq!(first(base), first(base));
        for (i, other) in others.into_iter().enumerate() {
            assert_ne!(first(base), first(other), "address {i}");
        }
    }
}
