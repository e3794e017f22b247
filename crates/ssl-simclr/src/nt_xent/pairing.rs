//! The order in which pairs of row blocks are worked on: rounds of disjoint pairs, as in a round-robin tournament.
//!
//! A tile of the symmetric matrix of similarities serves two row blocks at once. Within a round no block occurs
//! twice, so its tiles run in parallel on sums that are kept once; the rounds follow each other, so every sum has a
//! fixed order whatever the number of threads.

/// Rounds of pairs `(i, j)`, `i <= j`: first every block with itself, then every two blocks once.
pub(super) fn rounds(blocks: usize) -> impl Iterator<Item = Vec<(usize, usize)>> {
    let seats = blocks + blocks % 2; // with an odd number, who meets the empty seat rests
    let turning = seats.saturating_sub(1);
    let diagonal = (0..blocks).map(|i| (i, i)).collect();
    // The circle method: the last seat stays, the others turn by one each round.
    let others = (0..turning).map(move |round| {
        (0..seats / 2)
            .map(|k| {
                let a = if k == 0 { seats - 1 } else { (round + k) % turning };
                let b = (round + turning - k) % turning;
                (a.min(b), a.max(b))
            })
            .filter(|&(_, j)| j < blocks)
            .collect()
    });
    std::iter::once(diagonal).chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_pair_once_and_no_block_twice_in_a_round() {
        for blocks in 1..20 {
            let mut seen = BTreeSet::new();
            for round in rounds(blocks) {
                let mut busy = BTreeSet::new();
                for (i, j) in round {
                    assert!(i <= j && seen.insert((i, j)), "{blocks} blocks: ({i}, {j}) again");
                    assert!(busy.insert(i) && (i == j || busy.insert(j)), "{blocks} blocks: ({i}, {j}) overlaps");
                }
            }
            assert_eq!(seen.len(), blocks * (blocks + 1) / 2);
        }
    }
}
