//! Shrinking a plane by averaging over areas: every output pixel is the mean of what it covers, blanks left out.

use ndarray::{Array2, ArrayView2};

/// Mean of the pixels that each pixel of a `side` x `side` grid covers, parts of pixels counted by their area.
///
/// Whole blocks where the sides divide; the two axes are scaled each on its own, so a cutout that is not square is squeezed.
/// A larger grid repeats pixels. Blank (NaN) only where everything covered is blank. `plane` and `side` are not empty.
pub(crate) fn area_average(plane: ArrayView2<f32>, side: usize) -> Array2<f32> {
    let (rows, cols) = plane.dim();
    let (row_cover, col_cover) = (cover(rows, side), cover(cols, side));
    let mut average = Array2::from_elem((side, side), f32::NAN);
    let mut sums = vec![(0.0f64, 0.0f64); cols];
    for (mut line, covered_rows) in average.outer_iter_mut().zip(&row_cover) {
        sums.fill((0.0, 0.0));
        for &(row, weight) in covered_rows {
            for (sum, &value) in sums.iter_mut().zip(plane.row(row)) {
                if value.is_finite() {
                    sum.0 += weight * f64::from(value);
                    sum.1 += weight;
                }
            }
        }
        for (mean, covered_cols) in line.iter_mut().zip(&col_cover) {
            let (mut sum, mut area) = (0.0, 0.0);
            for &(col, weight) in covered_cols {
                sum += weight * sums[col].0;
                area += weight * sums[col].1;
            }
            if area > 0.0 {
                *mean = (sum / area) as f32;
            }
        }
    }
    average
}

/// For each of `n_out` equal intervals of an axis of `n_in` pixels: the pixels it covers and how much of each.
fn cover(n_in: usize, n_out: usize) -> Vec<Vec<(usize, f64)>> {
    // In units of 1 / n_out pixel everything is a whole number: no sliver of a pixel is covered by rounding.
    let interval = |out: usize| {
        let (start, end) = (out * n_in, (out + 1) * n_in);
        let pixels = start / n_out..end.div_ceil(n_out);
        let part = |pixel: usize| end.min((pixel + 1) * n_out) - start.max(pixel * n_out);
        pixels.map(|pixel| (pixel, part(pixel) as f64 / n_out as f64)).collect()
    };
    (0..n_out).map(interval).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    #[test]
    fn blocks_parts_and_blanks() {
        let plane = arr2(&[[1.0, 3.0, 10.0, f32::NAN], [5.0, 7.0, 20.0, 60.0], [0.0; 4], [f32::NAN; 4]]);
        assert_eq!(area_average(plane.view(), 2), arr2(&[[4.0, 30.0], [0.0, 0.0]]));
        // Three pixels on two: the middle one is shared. Rows and columns must not be swapped.
        let strip = arr2(&[[1.0, 4.0, 10.0]]);
        assert_eq!(area_average(strip.view(), 2), arr2(&[[2.0, 8.0], [2.0, 8.0]]));
        assert_eq!(area_average(strip.t(), 2), arr2(&[[2.0, 2.0], [8.0, 8.0]]));
        assert_eq!(area_average(strip.view(), 1), arr2(&[[5.0]]));
        // Upwards pixels repeat; all blank stays blank.
        assert_eq!(area_average(arr2(&[[1.0, 2.0]]).view(), 4).row(3).to_vec(), [1.0, 1.0, 2.0, 2.0]);
        assert!(area_average(arr2(&[[f32::NAN]]).view(), 3).iter().all(|v| v.is_nan()));
    }
}
