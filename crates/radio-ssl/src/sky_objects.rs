//! What is drawn in a bootstrap: objects, not frames. About four frames show each point of the sky, so frames are not independent.
use std::collections::BTreeMap;

use metrics::FrameGroup;
use metrics::bootstrap::group_members;
use radio_io::FrameId;

/// For every frame the number of its object: overlapping peculiar frames are one object, the others go by blocks of four frame
/// sides. Numbers are places of frames, not consecutive.
pub fn sky_objects(ids: &[FrameId], groups: &[Option<FrameGroup>]) -> Vec<usize> {
    let is_peculiar = |i: &usize| groups[*i] == Some(FrameGroup::Peculiar);
    let peculiar: Vec<usize> = (0..ids.len()).filter(is_peculiar).collect();
    let mut parent: Vec<usize> = (0..ids.len()).collect();
    for (n, &a) in peculiar.iter().enumerate() {
        for &b in &peculiar[..n] {
            let (one, other) = (&ids[a], &ids[b]);
            let near = |x: u32, y: u32| x.abs_diff(y) < one.size;
            if one.mosaic == other.mosaic && near(one.row, other.row) && near(one.col, other.col) {
                let (a, b) = (root(&mut parent, a), root(&mut parent, b));
                parent[a.max(b)] = a.min(b);
            }
        }
    }
    let mut blocks: BTreeMap<(&str, u32, u32), usize> = BTreeMap::new();
    (0..ids.len())
        .map(|i| {
            if is_peculiar(&i) {
                return root(&mut parent, i);
            }
            let id = &ids[i];
            let side = id.size.saturating_mul(4).max(1);
            *blocks.entry((&id.mosaic, id.row / side, id.col / side)).or_insert(i)
        })
        .collect()
}

/// The frames of each object that `keep` accepts; objects without one are left out.
pub fn members_of(objects: &[usize], keep: impl Fn(usize) -> bool) -> Vec<Vec<usize>> {
    let kept = |rows: Vec<usize>| rows.into_iter().filter(|&i| keep(i)).collect::<Vec<_>>();
    group_members(objects).into_iter().map(kept).filter(|rows| !rows.is_empty()).collect()
}

fn root(parent: &mut [usize], mut i: usize) -> usize {
    while parent[i] != i {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    i
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_peculiar_frames_are_one_object_and_others_go_by_blocks() {
        let at = |row: u32, col: u32| FrameId { mosaic: "m".into(), row, col, size: 256 };
        let ids = [at(0, 0), at(128, 128), at(256, 256), at(0, 512), at(0, 128), at(0, 1024), at(512, 0)];
        let (peculiar, complex) = (Some(FrameGroup::Peculiar), Some(FrameGroup::Complex));
        let groups = [peculiar, peculiar, peculiar, peculiar, complex, complex, None];
        let objects = sky_objects(&ids, &groups);
        assert_eq!(objects[..4], [0, 0, 0, 3], "a chain of overlaps is one object");
        assert_eq!(objects[4..], [4, 5, 4]);
        assert_eq!(members_of(&objects, |i| groups[i].is_some()), vec![vec![0, 1, 2], vec![3], vec![4], vec![5]]);
        let elsewhere = [at(0, 0), FrameId { mosaic: "n".into(), ..at(0, 0) }];
        assert_eq!(sky_objects(&elsewhere, &[peculiar, peculiar]), [0, 1]);
    }
}
