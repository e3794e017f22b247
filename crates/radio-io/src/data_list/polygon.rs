//! Polygons as masks, pixel for pixel as the COCO tools draw them.
//!
//! The outline is followed in steps of a fifth of a pixel; where it crosses the middle of a column, the pixels below change
//! between outside and inside.

use super::rle::{RunLengths, checked_pixels, wrong};
use crate::error::Error;

/// Steps per pixel along the outline.
const STEPS: f64 = 5.0;
/// Most crossings of one polygon.
const MOST_CROSSINGS: usize = 1 << 24;

/// The mask of one polygon `x0, y0, x1, y1, …` in pixels.
///
/// # Errors
/// [`Error::Mask`] for fewer than three corners, a number that is not finite or far outside the image, and an image or an
/// outline that is too large.
pub(super) fn polygon_mask(rows: usize, cols: usize, corners: &[f64]) -> Result<RunLengths, Error> {
    let pixels = checked_pixels(rows, cols)?;
    if corners.len() < 6 || !corners.len().is_multiple_of(2) {
        return Err(wrong(
            rows,
            cols,
            format!("a polygon of {} numbers", corners.len()),
            "three corners or more".to_owned(),
        ));
    }
    let far = (rows + cols) as f64;
    if let Some(odd) = corners.iter().find(|corner| corner.is_nan() || corner.abs() > 2.0 * far) {
        return Err(wrong(rows, cols, format!("a corner at {odd}"), "corners in or near the image".to_owned()));
    }
    let fine: Vec<[i64; 2]> =
        corners.as_chunks::<2>().0.iter().map(|[x, y]| [(STEPS * x + 0.5) as i64, (STEPS * y + 0.5) as i64]).collect();
    let mut crossings: Vec<usize> = Vec::new();
    let mut before: Option<[i64; 2]> = None;
    for (number, &from) in fine.iter().enumerate() {
        let to = fine[(number + 1) % fine.len()];
        for point in edge(from, to) {
            if let Some(before) = before {
                crossings.extend(crossing(before, point, rows, cols));
            }
            before = Some(point);
        }
        if crossings.len() > MOST_CROSSINGS {
            let found = format!("an outline of more than {MOST_CROSSINGS} crossings");
            return Err(wrong(rows, cols, found, "a simpler one".to_owned()));
        }
    }
    crossings.sort_unstable();
    crossings.push(pixels);
    // Inside between the 1st and the 2nd crossing, the 3rd and the 4th, and so on.
    let runs = crossings.as_chunks::<2>().0.iter().map(|&[start, end]| (start, end));
    Ok(RunLengths::from_runs(rows, cols, runs))
}

/// The points of an edge, in the order of its corners. The line is always drawn from the same end, so that two polygons that
/// share an edge share its points.
fn edge(from: [i64; 2], to: [i64; 2]) -> impl Iterator<Item = [i64; 2]> {
    let (dx, dy) = ((to[0] - from[0]).abs(), (to[1] - from[1]).abs());
    let is_flat = dx >= dy;
    let flip = if is_flat { from[0] > to[0] } else { from[1] > to[1] };
    let (start, end) = if flip { (to, from) } else { (from, to) };
    let slope = match (is_flat, dx, dy) {
        (_, 0, 0) => 0.0,
        (true, ..) => (end[1] - start[1]) as f64 / dx as f64,
        (false, ..) => (end[0] - start[0]) as f64 / dy as f64,
    };
    let length = dx.max(dy);
    (0..=length).map(move |step| {
        let step = if flip { length - step } else { step };
        if is_flat {
            [start[0] + step, (start[1] as f64 + slope * step as f64 + 0.5) as i64]
        } else {
            [(start[0] as f64 + slope * step as f64 + 0.5) as i64, start[1] + step]
        }
    })
}

/// The pixel (in column order) from which on a step over the middle of a column changes the mask.
fn crossing(before: [i64; 2], point: [i64; 2], rows: usize, cols: usize) -> Option<usize> {
    if point[0] == before[0] {
        return None;
    }
    let x = if point[0] < before[0] { point[0] } else { point[0] - 1 };
    let x = (x as f64 + 0.5) / STEPS - 0.5;
    if x.fract() != 0.0 || x < 0.0 || x > cols as f64 - 1.0 {
        return None;
    }
    let y = (point[1].min(before[1]) as f64 + 0.5) / STEPS - 0.5;
    let y = y.clamp(0.0, rows as f64).ceil();
    Some(x as usize * rows + y as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polygons_are_those_of_the_coco_tools() {
        // pycocotools 2.0.11: mask.frPyObjects([polygon], 12, 10), its text and area.
        let cases: [(&[f64], &str, usize); 6] = [
            (&[1.3, 1.2, 8.7, 2.5, 7.1, 9.6, 2.2, 6.4], "=1;5LO01O001OO2K=", 38),
            (&[0.0, 0.0, 9.0, 0.0, 9.0, 11.0, 0.0, 11.0], "0;1000000000000000<", 99),
            (&[-3.0, -2.0, 14.0, 5.0, 4.0, 15.0], "0663M2O0O01O000O2N1ON", 90),
            (&[2.5, 2.5, 6.5, 2.5, 6.5, 6.5, 2.5, 6.5], "W14800000Q1", 16),
            (&[5.0, 1.0, 6.0, 11.0, 4.0, 11.0, 8.0, 4.0, 1.0, 4.0], "k01:1O1MNO1M1304Nf0", 16),
            (&[3.1, 3.1, 3.2, 3.15, 3.05, 3.3], "h3", 0),
        ];
        for (corners, text, area) in cases {
            let mask = polygon_mask(12, 10, corners).expect("a polygon");
            assert_eq!((mask.encode().as_str(), mask.area()), (text, area), "{corners:?}");
        }
    }

    #[test]
    fn what_is_no_polygon_is_refused() {
        let square = [1.0, 1.0, 5.0, 1.0, 5.0, 5.0];
        assert!(polygon_mask(usize::MAX, 9, &square).is_err());
        for bad in [&square[..4], &square[..5], &[f64::NAN, 1.0, 5.0, 1.0, 5.0, 5.0], &[1e300, 1.0, 5.0, 1.0, 5.0, 5.0]]
        {
            assert!(matches!(polygon_mask(9, 9, bad), Err(Error::Mask { .. })), "{bad:?}");
        }
        // A corner twice is a corner once.
        let twice = polygon_mask(9, 9, &[1.0, 1.0, 1.0, 1.0, 5.0, 1.0, 5.0, 5.0]).expect("a polygon");
        assert_eq!(twice, polygon_mask(9, 9, &square).expect("a polygon"));
    }
}
