//! Which positions of two lists lie close together: nearest neighbour, all pairs within a radius, groups.
//!
//! Positions become unit vectors in a k-d tree of three dimensions: poles and longitude 0 are places like any other, a query takes
//! about log n steps however unevenly the sky is filled, and any number of positions may coincide. Results have one order, whatever the
//! order of the search: by distance, then by index. Positions that are not finite match nothing.

use std::collections::BTreeMap;

use super::{Direction, direction};

/// A match of one position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its index in the list that was searched.
    pub index: usize,
    /// Great-circle distance.
    pub separation_arcsec: f64,
}

/// Two positions within the radius.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Index in the first list.
    pub first: usize,
    /// Index in the second list.
    pub second: usize,
    /// Great-circle distance.
    pub separation_arcsec: f64,
}

/// For each of `positions`, the nearest of `others` within `radius_arcsec` (which may be infinite); of equally near ones the first.
/// All are (longitude, latitude) in degrees.
pub fn nearest(positions: &[(f64, f64)], others: &[(f64, f64)], radius_arcsec: f64) -> Vec<Option<Neighbour>> {
    let tree = SkyTree::new(others);
    positions.iter().map(|&position| tree.nearest(position, radius_arcsec)).collect()
}

/// Every pair within `radius_arcsec`, ordered by the first index, then distance, then the second index.
pub fn pairs_within(first: &[(f64, f64)], second: &[(f64, f64)], radius_arcsec: f64) -> Vec<Pair> {
    let tree = SkyTree::new(second);
    let mut pairs = Vec::new();
    for (index, &position) in first.iter().enumerate() {
        pairs.extend(tree.within(position, radius_arcsec).into_iter().map(|found| Pair {
            first: index,
            second: found.index,
            separation_arcsec: found.separation_arcsec,
        }));
    }
    pairs
}

/// Groups of positions that are joined by steps of at most `radius_arcsec` ("friends of friends"): the group of each position, numbered
/// from 0 by first appearance. Positions that are not finite are alone.
pub fn groups_within(positions: &[(f64, f64)], radius_arcsec: f64) -> Vec<usize> {
    let tree = SkyTree::new(positions);
    let mut parent: Vec<usize> = (0..positions.len()).collect();
    fn root(parent: &mut [usize], mut at: usize) -> usize {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    }
    for (index, &position) in positions.iter().enumerate() {
        tree.each_within(position, radius_arcsec, &mut |found, _| {
            if found > index {
                let (a, b) = (root(&mut parent, index), root(&mut parent, found));
                // The smaller index stays the root, so that the numbering below needs no second pass.
                let (low, high) = (a.min(b), a.max(b));
                parent[high] = low;
            }
        });
    }
    let mut numbers = BTreeMap::new();
    (0..positions.len())
        .map(|index| {
            let next = numbers.len();
            *numbers.entry(root(&mut parent, index)).or_insert(next)
        })
        .collect()
}

/// Positions on the sky, ready to be searched.
#[derive(Debug, Clone)]
pub struct SkyTree {
    /// Balanced: the middle of every range splits it along the axis of its depth.
    points: Vec<(Direction, usize)>,
}

/// Ranges this short are searched one by one.
const LEAF: usize = 8;

impl SkyTree {
    /// From (longitude, latitude) in degrees.
    pub fn new(positions: &[(f64, f64)]) -> Self {
        let finite = positions.iter().enumerate().filter(|(_, (lon, lat))| lon.is_finite() && lat.is_finite());
        let mut points: Vec<_> = finite.map(|(index, &(lon, lat))| (direction(lon, lat), index)).collect();
        sort_into_tree(&mut points, 0);
        Self { points }
    }

    /// The nearest position within `radius_arcsec`; of equally near ones that with the smallest index.
    pub fn nearest(&self, position: (f64, f64), radius_arcsec: f64) -> Option<Neighbour> {
        let mut best: Option<(f64, usize)> = None;
        let mut limit = chord_squared(radius_arcsec)?;
        search(&self.points, 0, direction(position.0, position.1), &mut limit, &mut |index, squared, limit| {
            if best.is_none_or(|best| (squared, index) < best) {
                best = Some((squared, index));
                *limit = squared;
            }
        });
        best.map(|(squared, index)| Neighbour { index, separation_arcsec: arcsec_of_chord(squared) })
    }

    /// All positions within `radius_arcsec`, nearest first.
    pub fn within(&self, position: (f64, f64), radius_arcsec: f64) -> Vec<Neighbour> {
        let mut found = Vec::new();
        self.each_within(position, radius_arcsec, &mut |index, squared| found.push((squared, index)));
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let neighbour = |(squared, index)| Neighbour { index, separation_arcsec: arcsec_of_chord(squared) };
        found.into_iter().map(neighbour).collect()
    }

    /// Calls `found` with the index and squared chord of every position within the radius, in no particular order.
    fn each_within(&self, position: (f64, f64), radius_arcsec: f64, found: &mut impl FnMut(usize, f64)) {
        let Some(mut limit) = chord_squared(radius_arcsec) else { return };
        search(&self.points, 0, direction(position.0, position.1), &mut limit, &mut |index, squared, _| {
            found(index, squared);
        });
    }
}

fn sort_into_tree(points: &mut [(Direction, usize)], depth: usize) {
    if points.len() <= LEAF {
        return;
    }
    let (middle, axis) = (points.len() / 2, depth % 3);
    points.select_nth_unstable_by(middle, |a, b| a.0[axis].total_cmp(&b.0[axis]).then(a.1.cmp(&b.1)));
    let (below, above) = points.split_at_mut(middle);
    sort_into_tree(below, depth + 1);
    sort_into_tree(&mut above[1..], depth + 1);
}

/// Visits every point within `limit` (squared chord), the nearer half of each range first; `visit` may lower the limit.
fn search(
    points: &[(Direction, usize)],
    depth: usize,
    at: Direction,
    limit: &mut f64,
    visit: &mut impl FnMut(usize, f64, &mut f64),
) {
    let mut look = |point: &(Direction, usize), limit: &mut f64| {
        let squared = (0..3).map(|k| (point.0[k] - at[k]).powi(2)).sum::<f64>();
        // Not finite: never at most the limit.
        if squared <= *limit {
            visit(point.1, squared, limit);
        }
    };
    if points.len() <= LEAF {
        points.iter().for_each(|point| look(point, limit));
        return;
    }
    let (middle, axis) = (points.len() / 2, depth % 3);
    let (below, above) = points.split_at(middle);
    let apart = at[axis] - above[0].0[axis];
    look(&above[0], limit);
    let (near, far) = if apart < 0.0 { (below, &above[1..]) } else { (&above[1..], below) };
    search(near, depth + 1, at, limit, visit);
    if apart * apart <= *limit {
        search(far, depth + 1, at, limit, visit);
    }
}

/// Squared chord of an angle; `None` for an angle below 0 or not a number. Half the sphere and more is everything.
fn chord_squared(arcsec: f64) -> Option<f64> {
    let angle = (arcsec / 3600.0).to_radians();
    (angle >= 0.0).then(|| if angle >= std::f64::consts::PI { 4.1 } else { 4.0 * (angle / 2.0).sin().powi(2) })
}

fn arcsec_of_chord(squared: f64) -> f64 {
    (2.0 * (squared.sqrt() / 2.0).min(1.0).asin()).to_degrees() * 3600.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celestial::{offset::offset, separation_arcsec};
    use proptest::prelude::*;

    fn all_pairs(first: &[(f64, f64)], second: &[(f64, f64)], radius: f64) -> Vec<(usize, usize)> {
        let each = (0..first.len()).flat_map(|i| (0..second.len()).map(move |j| (i, j)));
        each.filter(|&(i, j)| separation_arcsec(first[i], second[j]) <= radius).collect()
    }

    #[test]
    fn poles_wrap_and_copies() {
        let list = [(0.0, 89.999), (180.0, 89.999), (359.9999, 10.0), (0.0001, 10.0), (50.0, -90.0), (230.0, -90.0)];
        let found = nearest(&[(90.0, 90.0), (359.99999, 10.0), (0.0, -90.0)], &list, 10.0);
        let indices: Vec<usize> = found.iter().map(|found| found.map_or(99, |found| found.index)).collect();
        assert_eq!(indices, [0, 2, 4]);
        assert_eq!(nearest(&[(7.0, 8.0)], &[(9.0, 9.0), (7.0, 8.001), (7.0, 8.001)], 60.0)[0].expect("near").index, 1);
        assert!((found[0].expect("near").separation_arcsec - 3.6).abs() < 1e-8);
        assert_eq!(pairs_within(&[(0.0, 10.0)], &list, 10.0).len(), 2);
        assert_eq!(groups_within(&list, 10.0), [0, 0, 1, 1, 2, 2]);
        // Ten thousand copies of one position: many crates' trees do not take that.
        let copies = vec![(10.0, 10.0); 10_000];
        assert_eq!(nearest(&[(10.0, 10.0)], &copies, 0.0)[0].expect("there").index, 0);
        assert!(groups_within(&copies[..500], 1.0).iter().all(|group| *group == 0));
    }

    #[test]
    fn what_is_not_a_position_matches_nothing() {
        let list = [(f64::NAN, 0.0), (1.0, 1.0), (2.0, f64::INFINITY)];
        assert_eq!(nearest(&list, &list, f64::INFINITY).iter().flatten().count(), 1);
        assert_eq!(groups_within(&list, 1e9), [0, 1, 2]);
        assert!(nearest(&[(1.0, 1.0)], &[], 1.0)[0].is_none() && nearest(&[], &list, 1.0).is_empty());
        for radius in [-1.0, f64::NAN] {
            assert!(pairs_within(&list, &list, radius).is_empty());
        }
        assert_eq!(nearest(&[(0.0, -90.0)], &[(0.0, 90.0)], f64::INFINITY)[0].expect("far").index, 0);
    }

    /// A chain of steps is one group though its ends are far apart.
    #[test]
    fn friends_of_friends() {
        let chain: Vec<(f64, f64)> = (0..50).map(|k| offset((0.0, 0.0), 9.0 * f64::from(k), 45.0)).collect();
        assert!(groups_within(&chain, 10.0).iter().all(|group| *group == 0));
        assert_eq!(groups_within(&chain, 8.0), (0..50).collect::<Vec<_>>());
    }

    fn sky() -> impl Strategy<Value = Vec<(f64, f64)>> {
        // Few distinct values, so that poles, wraps and ties do occur.
        let lon = prop_oneof![Just(0.0), Just(359.999), 0.0..360.0, 10.0..10.01];
        let lat = prop_oneof![Just(90.0), Just(-90.0), -90.0..90.0, 20.0..20.01];
        proptest::collection::vec((lon, lat), 0..60)
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_trying_all_finds(first in sky(), second in sky(), radius in prop_oneof![Just(20.0), Just(3600.0), Just(2e5)]) {
            let mut got: Vec<_> = pairs_within(&first, &second, radius).iter().map(|pair| (pair.first, pair.second)).collect();
            got.sort_unstable();
            prop_assert_eq!(got, all_pairs(&first, &second, radius));
            for (position, found) in first.iter().zip(nearest(&first, &second, f64::INFINITY)) {
                let best = second.iter().map(|other| separation_arcsec(*position, *other)).min_by(f64::total_cmp);
                // The chord keeps 2e-11 arc seconds nearby, and far less near the antipode, where 1 - sin is flat.
                let slack = |arcsec: f64| if arcsec < 6e5 { 1e-8 } else { 5e-2 };
                match (found, best) {
                    (Some(found), Some(best)) => prop_assert!((found.separation_arcsec - best).abs() < slack(best)),
                    (found, best) => prop_assert!(found.is_none() && best.is_none()),
                }
            }
        }
    }
}
