//! Epochs whose every batch is of one origin, so that no negative of a contrastive loss can be told by where it came from.
//!
//! In a pool of several telescopes or publishers the origin of a picture can be read from its pixels (8-bit and cut, or float with
//! noise). If a batch is mixed, telling origins apart is an easy part of the contrastive task, and the encoder learns it.

use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Frames that share batches: those of one origin, or of several small ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginGroup {
    /// The origins, ascending.
    pub origins: Vec<u32>,
    /// Places of their frames, ascending.
    pub frames: Vec<usize>,
}

/// Who shares batches of `batch` frames.
///
/// An origin with at least a batch of frames is a group of its own. The smaller ones are joined into one; if that is still too small,
/// the smallest of the others joins it. So only if there are fewer frames than a batch is a group smaller than one.
#[must_use]
pub fn origin_groups(origins: &[u32], batch: usize) -> Vec<OriginGroup> {
    let mut frames_of = std::collections::BTreeMap::<u32, Vec<usize>>::new();
    for (place, &origin) in origins.iter().enumerate() {
        frames_of.entry(origin).or_default().push(place);
    }
    let (mut groups, small): (Vec<OriginGroup>, Vec<OriginGroup>) = frames_of
        .into_iter()
        .map(|(origin, frames)| OriginGroup { origins: vec![origin], frames })
        .partition(|group| group.frames.len() >= batch);
    let join = |mut all: OriginGroup, other: OriginGroup| {
        all.origins.extend(other.origins);
        all.frames.extend(other.frames);
        all.origins.sort_unstable();
        all.frames.sort_unstable();
        all
    };
    let Some(mut joined) = small.into_iter().reduce(join) else { return groups };
    if joined.frames.len() < batch
        && let Some((place, _)) = groups.iter().enumerate().min_by_key(|(_, group)| group.frames.len())
    {
        joined = join(joined, groups.remove(place));
    }
    groups.push(joined);
    groups
}

/// The order of an epoch in batches of one group each; always as many entries as `origins`.
///
/// There are `n / batch` whole batches. Each group has its share of them by number of frames, rounded down or up by one draw such
/// that the expected number is exactly its share (systematic sampling). Within a group the frames are shuffled and taken in turn; a
/// group rounded up begins again at its first, so some of its frames come twice in the epoch, never twice in a batch; a group rounded
/// down leaves some out, other ones in every epoch. What follows the last whole batch are frames that this epoch does not use.
pub(crate) fn by_origin(origins: &[u32], batch: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let n = origins.len();
    let mut groups = origin_groups(origins, batch);
    let n_batches = n.checked_div(batch).unwrap_or(0);
    let start: f64 = rng.random();
    let bound = |frames: usize| ((n_batches as f64 * frames as f64 / n as f64 + start).floor() as usize).min(n_batches);
    let mut before = 0;
    let mut batches: Vec<Vec<usize>> = Vec::with_capacity(n_batches);
    let mut rest: Vec<usize> = Vec::new();
    for group in &mut groups {
        group.frames.shuffle(rng);
        let upto = before + group.frames.len();
        let share = bound(upto) - bound(before);
        let turns = group.frames.iter().copied().cycle().take(share * batch).collect::<Vec<_>>();
        batches.extend(turns.chunks(batch.max(1)).map(<[usize]>::to_vec));
        rest.extend(group.frames.iter().skip(share * batch));
        before = upto;
    }
    batches.shuffle(rng);
    let mut order = batches.concat();
    order.extend(rest.into_iter().take(n - order.len()));
    order
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    fn order(origins: &[u32], batch: usize, seed: u64) -> Vec<usize> {
        by_origin(origins, batch, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    /// `sizes[k]` frames of origin `k`.
    fn origins(sizes: &[usize]) -> Vec<u32> {
        sizes.iter().enumerate().flat_map(|(origin, &size)| vec![origin as u32; size]).collect()
    }

    #[test]
    fn small_origins_are_joined_and_the_smallest_large_one_with_them_if_it_must_be() {
        let of = |sizes: &[usize]| {
            let groups = origin_groups(&origins(sizes), 10);
            groups.into_iter().map(|group| (group.origins, group.frames.len())).collect::<Vec<_>>()
        };
        assert_eq!(of(&[30, 10]), [(vec![0], 30), (vec![1], 10)]);
        assert_eq!(of(&[30, 6, 10, 5]), [(vec![0], 30), (vec![2], 10), (vec![1, 3], 11)]);
        assert_eq!(of(&[30, 6, 12]), [(vec![0], 30), (vec![1, 2], 18)]);
        assert_eq!(of(&[3, 2]), [(vec![0, 1], 5)]);
        assert_eq!(of(&[]), []);
    }

    /// Over many epochs a frame is used as often as any other: none is left out for good.
    #[test]
    fn every_frame_is_used_and_about_equally_often() {
        let origins = origins(&[47, 23, 5, 9]);
        let (batch, epochs) = (10, 2000);
        let mut used = vec![0; origins.len()];
        for seed in 0..epochs {
            order(&origins, batch, seed)[..80].iter().for_each(|&frame| used[frame] += 1);
        }
        // 80 of 84 frames in an epoch: 1905 of 2000, with a spread of 15 to 30 between the groups' draws.
        for (frame, &used) in used.iter().enumerate() {
            assert!((1780..2030).contains(&used), "frame {frame}: {used}");
        }
    }

    proptest! {
        #[test]
        fn batches_are_whole_of_one_group_and_without_repeats(
            sizes in prop::collection::vec(0usize..60, 0..6), batch in 1usize..20, seed in 0u64..1000,
        ) {
            let origins = origins(&sizes);
            let groups = origin_groups(&origins, batch);
            let all: BTreeSet<usize> = groups.iter().flat_map(|group| group.frames.iter().copied()).collect();
            prop_assert_eq!(all.len(), origins.len(), "every frame is in a group");
            let order = order(&origins, batch, seed);
            prop_assert_eq!(order.len(), origins.len());
            for frames in order.chunks_exact(batch) {
                prop_assert_eq!(frames.iter().collect::<HashSet<_>>().len(), batch);
                let of = groups.iter().filter(|group| frames.iter().any(|frame| group.frames.contains(frame))).count();
                prop_assert_eq!(of, 1);
            }
        }
    }
}
