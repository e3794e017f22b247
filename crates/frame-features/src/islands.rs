//! Islands: connected pixels above a flood level with a seed among them, as source finders cut them out.

use ndarray::ArrayView2;

/// Sizes in pixels of the 8-connected islands of pixels above `flood` that hold at least one pixel above `seed`, in the order
/// in which their first seed comes in the rows of the cutout. Both levels are exclusive; a seed counts as flooded. NaN is
/// above nothing.
#[must_use]
pub fn island_sizes(significance: ArrayView2<f32>, seed: f32, flood: f32) -> Vec<usize> {
    let (rows, cols) = significance.dim();
    let mut visited = vec![false; rows * cols];
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut sizes = Vec::new();
    for ((row, col), &value) in significance.indexed_iter() {
        let is_seed = value > seed; // NaN is none
        if !is_seed || visited[row * cols + col] {
            continue;
        }
        visited[row * cols + col] = true;
        open.push((row, col));
        let mut size = 0;
        while let Some((row, col)) = open.pop() {
            size += 1;
            for y in row.saturating_sub(1)..=(row + 1).min(rows - 1) {
                for x in col.saturating_sub(1)..=(col + 1).min(cols - 1) {
                    let value = significance[(y, x)];
                    if !visited[y * cols + x] && (value > flood || value > seed) {
                        visited[y * cols + x] = true;
                        open.push((y, x));
                    }
                }
            }
        }
        sizes.push(size);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, arr2};
    use proptest::prelude::*;

    #[test]
    fn corners_touch_and_floods_without_a_seed_are_no_islands() {
        let map = arr2(&[
            [9.0, 0.0, 0.0, 3.0, 3.0], // the pair on the right has no seed
            [0.0, 3.0, 0.0, 0.0, 0.0], // touches the 9 by a corner
            [0.0, 0.0, f32::NAN, 0.0, 0.0],
            [6.0, 0.0, 0.0, 3.0, 0.0], // the 6 stands alone; 3 and 7 are one
            [0.0, 0.0, 0.0, 0.0, 7.0],
        ]);
        assert_eq!(island_sizes(map.view(), 5.0, 2.5), [2, 1, 2]);
        assert_eq!(island_sizes(map.view(), 9.0, 2.5), [0usize; 0], "a seed lies above its level, not on it");
        // Its eastern neighbour would wrap around into the next row if rows were mistaken for one long line.
        let wrap = arr2(&[[0.0, 9.0], [9.0, 0.0], [0.0, 0.0], [9.0, 9.0]]);
        assert_eq!(island_sizes(wrap.view(), 5.0, 2.5), [2, 2]);
    }

    /// Every pixel takes the smallest label around it until nothing changes.
    fn slow_sizes(map: &Array2<f32>, seed: f32, flood: f32) -> Vec<usize> {
        let (rows, cols) = map.dim();
        let near = |a: usize, b: usize| a.abs_diff(b) <= 1;
        let pixels: Vec<(usize, usize)> =
            (0..rows * cols).map(|i| (i / cols, i % cols)).filter(|&p| map[p] > flood).collect();
        let mut label: Vec<usize> = (0..pixels.len()).collect();
        loop {
            let before = label.clone();
            for a in 0..pixels.len() {
                for b in 0..pixels.len() {
                    if near(pixels[a].0, pixels[b].0) && near(pixels[a].1, pixels[b].1) {
                        label[a] = label[a].min(label[b]);
                    }
                }
            }
            if before == label {
                break;
            }
        }
        let seeded = |l: &usize| (0..pixels.len()).any(|i| label[i] == *l && map[pixels[i]] > seed);
        let size = |l: usize| label.iter().filter(|&&m| m == l).count();
        (0..pixels.len()).filter(seeded).map(size).collect()
    }

    proptest! {
        #[test]
        fn sizes_are_those_of_the_slow_version(rows in 1usize..9, cols in 1usize..9, seed in any::<u64>()) {
            let mut state = seed;
            let map = Array2::from_shape_fn((rows, cols), |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                [0.0, 1.0, 3.0, 6.0, 0.0][(state >> 40) as usize % 5]
            });
            let (mut fast, mut slow) = (island_sizes(map.view(), 5.0, 2.5), slow_sizes(&map, 5.0, 2.5));
            fast.sort_unstable();
            slow.sort_unstable();
            prop_assert_eq!(fast, slow);
        }
    }
}
