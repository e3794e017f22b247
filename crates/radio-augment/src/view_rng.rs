//! One random stream per view, and the order of an epoch: nothing here depends on threads or on what ran before.

use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::origin_order::by_origin;

/// The random stream of one view of one frame in one epoch.
///
/// The four numbers are the 256-bit key of the stream, so two views never share one.
#[must_use]
pub fn view_rng(seed: u64, epoch: u64, frame_address: u64, view: u64) -> ChaCha8Rng {
    keyed([seed, epoch, frame_address, view], 0)
}

/// How an epoch takes its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// Every frame once, in random order.
    #[default]
    Shuffle,
    /// Every frame drawn anew from all of them, as upstream: some come twice, about 37 % not at all.
    WithReplacement,
    /// Every batch of one origin ([`FrameSource::origin`](crate::FrameSource::origin)), small origins joined
    /// ([`origin_groups`](crate::origin_groups)); each origin has its share of the batches.
    ByOrigin,
}

/// The order in which epoch `epoch` takes frames `0..n`; always `n` entries. All are taken to be of one origin.
#[must_use]
pub fn epoch_order(seed: u64, epoch: u64, n: usize, sampling: Sampling) -> Vec<usize> {
    let mut rng = keyed([seed, epoch, 0, 0], 1);
    match sampling {
        Sampling::Shuffle | Sampling::ByOrigin => {
            let mut order: Vec<usize> = (0..n).collect();
            order.shuffle(&mut rng);
            order
        }
        Sampling::WithReplacement => (0..n).map(|_| rng.random_range(0..n as u64) as usize).collect(),
    }
}

/// The order of an epoch over frames of these origins in batches of `batch`; always as many entries as `origins`.
pub(crate) fn origin_epoch_order(seed: u64, epoch: u64, origins: &[u32], batch: usize) -> Vec<usize> {
    by_origin(origins, batch, &mut keyed([seed, epoch, 0, 0], 1))
}

/// Stream 0 belongs to views, stream 1 to the order of an epoch.
fn keyed(key: [u64; 4], stream: u64) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    for (bytes, number) in bytes.chunks_exact_mut(8).zip(key) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(bytes);
    rng.set_stream(stream);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_part_of_the_key_matters() {
        let first = |a, b, c, d| view_rng(a, b, c, d).random::<u64>();
        let values: HashSet<u64> = [
            first(1, 2, 3, 4),
            first(0, 2, 3, 4),
            first(1, 0, 3, 4),
            first(1, 2, 0, 4),
            first(1, 2, 3, 0),
            first(4, 3, 2, 1),
        ]
        .into();
        assert_eq!(values.len(), 6);
        assert_eq!(first(1, 2, 3, 4), first(1, 2, 3, 4));
    }

    #[test]
    fn a_shuffle_holds_every_frame_once_and_a_draw_does_not() {
        let order = epoch_order(7, 0, 1000, Sampling::Shuffle);
        assert_ne!(order, epoch_order(7, 1, 1000, Sampling::Shuffle));
        assert_ne!(order, epoch_order(8, 0, 1000, Sampling::Shuffle));
        assert_ne!(order, (0..1000).collect::<Vec<_>>());
        assert_eq!(order.iter().collect::<HashSet<_>>().len(), 1000);
        let drawn: HashSet<usize> = epoch_order(7, 0, 1000, Sampling::WithReplacement).into_iter().collect();
        assert!((580..680).contains(&drawn.len()), "{}", drawn.len()); // 632 expected
        assert!(epoch_order(7, 0, 0, Sampling::WithReplacement).is_empty());
    }
}
