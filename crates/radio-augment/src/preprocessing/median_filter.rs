//! The median of every pixel's neighbourhood.

use ndarray::Array3;

use crate::{
    BlankRule,
    row_order::{in_row_order, planes_mut},
    scratch::Scratch,
};

/// Replaces every pixel by the median of the `side x side` pixels around it, mirrored at the edge (the edge pixel repeated).
///
/// An even `side` counts as one more. Under [`BlankRule::Nan`] blanks are left out and stay blank; an even number of pixels then
/// has the upper of its two middle ones. Under [`BlankRule::ZeroIsBlank`] every zero enters, and blanks become 0 again.
///
/// # Source
/// reference-facts B4 (MedianFilterer); SciPy's `median_filter(mode="reflect")`.
#[must_use]
pub fn median_filter(channels: Array3<f32>, side: usize, blanks: BlankRule) -> Array3<f32> {
    let (_, height, width) = channels.dim();
    let radius = (side / 2) as i64;
    let across = 2 * radius as usize + 1;
    let mut channels = in_row_order(channels);
    let mut window = Scratch::<f32>::new(across * across);
    for plane in planes_mut(&mut channels) {
        let source = Scratch::copy_of(plane);
        for (place, out) in plane.iter_mut().enumerate().filter(|(place, _)| blanks.counts(source[*place])) {
            let (row, col) = ((place / width) as i64, (place % width) as i64);
            let mut n = 0;
            for y in (row - radius..=row + radius).map(|y| reflected(y, height)) {
                for x in (col - radius..=col + radius).map(|x| reflected(x, width)) {
                    let v = source[y * width + x];
                    if v.is_finite() {
                        window[n] = v;
                        n += 1;
                    }
                }
            }
            *out = *window[..n].select_nth_unstable_by(n / 2, f32::total_cmp).1;
        }
    }
    channels
}

/// The pixel that stands for index `i` outside `0..n`: mirrored about the edge of the edge pixel, as often as needed.
fn reflected(i: i64, n: usize) -> usize {
    let folded = i.rem_euclid(2 * n as i64);
    folded.min(2 * n as i64 - 1 - folded) as usize
}
