//! The 3 x 3 median filter of an 8-bit image: specks of noise go, edges stay.

use ndarray::Array2;

/// Median of every pixel and its eight neighbours; the image is continued by its border pixels.
pub(crate) fn median_filter_3x3(image: &Array2<u8>) -> Array2<u8> {
    let (rows, cols) = image.dim();
    Array2::from_shape_fn((rows, cols), |(row, col)| {
        let ys = [row.saturating_sub(1), row, (row + 1).min(rows - 1)];
        let xs = [col.saturating_sub(1), col, (col + 1).min(cols - 1)];
        median_of_nine(ys.map(|y| xs.map(|x| image[(y, x)])))
    })
}

/// The median of nine is the median of (the largest of the three minima, the median of the three medians, the smallest of
/// the three maxima) once every row of three is sorted.
fn median_of_nine(rows: [[u8; 3]; 3]) -> u8 {
    let [a, b, c] = rows.map(sort_three);
    let [_, _, low] = sort_three([a[0], b[0], c[0]]);
    let [_, middle, _] = sort_three([a[1], b[1], c[1]]);
    let [high, _, _] = sort_three([a[2], b[2], c[2]]);
    sort_three([low, middle, high])[1]
}

fn sort_three([a, b, c]: [u8; 3]) -> [u8; 3] {
    let (a, b) = (a.min(b), a.max(b));
    let (b, c) = (b.min(c), b.max(c));
    [a.min(b), a.max(b), c]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn nine_values_are_sorted_in_the_middle() {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        for _ in 0..5000 {
            let nine: [[u8; 3]; 3] = std::array::from_fn(|_| std::array::from_fn(|_| rng.random_range(0..12)));
            let mut sorted = nine.concat();
            sorted.sort_unstable();
            assert_eq!(median_of_nine(nine), sorted[4], "{nine:?}");
        }
    }

    #[test]
    fn specks_go_and_edges_stay() {
        let speck = arr2(&[[0, 0, 0, 0], [0, 9, 0, 0], [0, 0, 0, 0]]);
        assert_eq!(median_filter_3x3(&speck).sum(), 0);
        let edge = arr2(&[[0, 0, 7, 7], [0, 0, 7, 7]]);
        assert_eq!(median_filter_3x3(&edge), edge);
        assert_eq!(median_filter_3x3(&arr2(&[[5]])), arr2(&[[5]]));
    }
}
