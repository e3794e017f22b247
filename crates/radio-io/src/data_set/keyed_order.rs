//! Choices that look random and depend on a seed and a name only, never on the order of a list.
//!
//! Ranking names by a keyed hash draws a subset of them: the same seed picks the same cutouts whatever stands before them in the
//! manifest, and adding a mosaic does not reshuffle the others. This crate holds no random generator.

/// FNV-1a of bytes that come in pieces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub(crate) fn add<'a>(&mut self, bytes: impl IntoIterator<Item = &'a u8>) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The hash so far, through the mixing steps of splitmix64, as FNV's low bits are weak.
    pub(crate) fn hash(self) -> u64 {
        mixed(self.0)
    }
}

/// The hash of some bytes.
pub(crate) fn address_of(bytes: &[u8]) -> u64 {
    let mut fnv = Fnv::default();
    fnv.add(bytes);
    fnv.hash()
}

/// A number that belongs to a seed and a name.
pub(crate) fn keyed(seed: u64, name: &str) -> u64 {
    mixed(address_of(name.as_bytes()) ^ mixed(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

/// At most `count` of these places, chosen by a seed and the name of each.
pub(crate) fn drawn<'a>(seed: u64, places: &[usize], name: impl Fn(usize) -> &'a str, count: usize) -> Vec<usize> {
    let mut order: Vec<(u64, usize)> = places.iter().map(|&place| (keyed(seed, name(place)), place)).collect();
    order.sort_unstable();
    order.into_iter().take(count).map(|(_, place)| place).collect()
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_seeds_are_told_apart_and_spread_evenly() {
        assert_ne!(keyed(1, "a"), keyed(2, "a"));
        assert_ne!(keyed(1, "a"), keyed(1, "b"));
        let below = (0..10_000).filter(|n| keyed(7, &format!("frame_{n}")) < u64::MAX / 4).count();
        assert!((2_370..2_630).contains(&below), "{below} of 10,000 in the lowest quarter");
        let alike =
            (0..10_000).filter(|n| (keyed(1, &format!("f{n}")) ^ keyed(2, &format!("f{n}"))).count_ones() < 16).count();
        assert!(alike < 5, "{alike}: two seeds give unrelated numbers");
    }
}
