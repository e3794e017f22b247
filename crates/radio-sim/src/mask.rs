//! Truth of one object from its own noiseless image: mask, islands, peaks, holes.
//!
//! No source finder runs on the noisy map: what is true is computed from the object alone (specification section 6).

use crate::gaussian::{BeamShape, Gaussian, Stamp};
use crate::truth::TrueObject;
use ndarray::Array2;

/// Image of an object alone; its first pixel is `(row, col)` of the mosaic.
#[derive(Debug, Clone)]
pub struct ObjectImage {
    /// Row of the first pixel.
    pub row: i64,
    /// Column of the first pixel.
    pub col: i64,
    /// Brightness, Jy/beam.
    pub pixels: Array2<f32>,
}

/// Draws an object alone, over the whole area its stamps cover.
pub fn object_image(parts: &[Gaussian], beam: &BeamShape) -> ObjectImage {
    let stamps: Vec<Stamp> = parts.iter().map(|g| Stamp::new(g, beam)).collect();
    let bounds = stamps.iter().map(Stamp::bounds).fold((i64::MAX, i64::MIN, i64::MAX, i64::MIN), |a, b| {
        (a.0.min(b.0), a.1.max(b.1), a.2.min(b.2), a.3.max(b.3))
    });
    let rows = (bounds.1 - bounds.0 + 1).clamp(0, 8192) as usize;
    let cols = (bounds.3 - bounds.2 + 1).clamp(0, 8192) as usize;
    let mut pixels = Array2::zeros((rows, cols));
    let mut scratch = Vec::new();
    for stamp in &stamps {
        stamp.add_to(&mut pixels.view_mut(), bounds.0, bounds.2, &mut scratch);
    }
    ObjectImage { row: bounds.0, col: bounds.2, pixels }
}

/// A run of mask pixels in one row of the mosaic: `first..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Row.
    pub row: i32,
    /// First column.
    pub first: i32,
    /// Column after the last.
    pub end: i32,
}

/// What the image of an object says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectMask {
    /// The mask, row by row.
    pub runs: Vec<Run>,
    /// Pixels of the mask.
    pub px: usize,
    /// Greatest brightness, Jy/beam.
    pub peak: f64,
    /// 8-connected parts of the mask.
    pub islands: usize,
    /// Maxima that stand out: above 5 sigma, saddle to a higher one lower by 1.5 sigma and 5 %.
    pub peaks: usize,
    /// Maxima that an eye tells apart: saddle lower by 3 sigma and 15 %.
    pub clear_peaks: usize,
    /// Minor over major axis of the mask (second moments).
    pub axis_ratio: f64,
    /// Median brightness over the mask, Jy/beam.
    pub median: f64,
}

/// The mask where the image exceeds `mask_sigma * sigma` and what it contains; `None` if it is empty.
pub fn measure(image: &ObjectImage, sigma: f64, mask_sigma: f64) -> Option<ObjectMask> {
    let threshold = (mask_sigma * sigma) as f32;
    let (rows, cols) = image.pixels.dim();
    let mut runs = Vec::new();
    let mut inside = Vec::new();
    let (mut sx, mut sy, mut sxx, mut sxy, mut syy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (r, line) in image.pixels.outer_iter().enumerate() {
        let mut open = None;
        for (c, v) in line.iter().enumerate() {
            if *v >= threshold {
                inside.push((*v, (r * cols + c) as u32));
                let (x, y) = (c as f64, r as f64);
                (sx, sy, sxx, sxy, syy) = (sx + x, sy + y, sxx + x * x, sxy + x * y, syy + y * y);
                open.get_or_insert(c);
            } else if let Some(first) = open.take() {
                runs.push(run(image, r, first, c));
            }
        }
        if let Some(first) = open {
            runs.push(run(image, r, first, cols));
        }
    }
    if inside.is_empty() {
        return None;
    }
    inside.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let peak = f64::from(inside[0].0);
    let median = f64::from(inside[inside.len() / 2].0);
    let n = inside.len() as f64;
    // 1/12: a pixel has an extent of its own.
    let (xx, xy, yy) =
        (sxx / n - (sx / n).powi(2) + 1.0 / 12.0, sxy / n - sx * sy / (n * n), syy / n - (sy / n).powi(2) + 1.0 / 12.0);
    let (mean, spread) = (0.5 * (xx + yy), (0.25 * (xx - yy).powi(2) + xy * xy).sqrt());
    let axis_ratio = ((mean - spread).max(0.0) / (mean + spread)).sqrt();
    let maxima = flood(&inside, rows, cols, true);
    let floor = f64::from(threshold);
    let standing = |least_sigma: f64, share: f64| {
        maxima
            .iter()
            .filter(|m| {
                m.0 >= 5.0 * sigma && m.0 - m.1.unwrap_or(floor).max(floor) >= (least_sigma * sigma).max(share * m.0)
            })
            .count()
    };
    let islands = maxima.iter().filter(|m| m.1.is_none()).count();
    Some(ObjectMask {
        px: inside.len(),
        peak,
        islands,
        peaks: standing(1.5, 0.05).max(usize::from(peak >= 5.0 * sigma)),
        clear_peaks: standing(3.0, 0.15),
        axis_ratio,
        median,
        runs,
    })
}

fn run(image: &ObjectImage, r: usize, first: usize, end: usize) -> Run {
    Run {
        row: (image.row + r as i64) as i32,
        first: (image.col + first as i64) as i32,
        end: (image.col + end as i64) as i32,
    }
}

/// Holes of an image that an eye sees: minima whose rim is higher by 3 sigma and 15 % all round.
pub fn clear_holes(image: &ObjectImage, sigma: f64) -> usize {
    let (rows, cols) = image.pixels.dim();
    let mut all: Vec<(f32, u32)> = image.pixels.iter().enumerate().map(|(i, v)| (-*v, i as u32)).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    flood(&all, rows, cols, false)
        .iter()
        .filter_map(|(low, rim)| rim.map(|rim| (-low, -rim)))
        .filter(|(low, rim)| rim - low >= (3.0 * sigma).max(0.15 * rim) && *rim >= 5.0 * sigma)
        .count()
}

/// Maxima of a set of pixels sorted by falling value: `(height, saddle to a higher maximum)`; no saddle: an island of its own.
///
/// Pixels join the set from the highest down; where two growing parts meet, the lower maximum ends.
fn flood(sorted: &[(f32, u32)], rows: usize, cols: usize, diagonal: bool) -> Vec<(f64, Option<f64>)> {
    const NONE: u32 = u32::MAX;
    let mut part = vec![NONE; rows * cols];
    // Parts: parent (itself for a root) and index of the maximum.
    let mut parent: Vec<u32> = Vec::new();
    let mut maxima: Vec<(f64, Option<f64>)> = Vec::new();
    fn root(parent: &mut [u32], mut p: u32) -> u32 {
        while parent[p as usize] != p {
            parent[p as usize] = parent[parent[p as usize] as usize];
            p = parent[p as usize];
        }
        p
    }
    for (value, i) in sorted {
        let (r, c) = ((*i as usize / cols) as i64, (*i as usize % cols) as i64);
        let mut own = NONE;
        for (dr, dc) in [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)] {
            if !diagonal && dr != 0 && dc != 0 {
                continue;
            }
            let (rr, cc) = (r + dr, c + dc);
            if rr < 0 || cc < 0 || rr >= rows as i64 || cc >= cols as i64 {
                continue;
            }
            let p = part[rr as usize * cols + cc as usize];
            if p == NONE {
                continue;
            }
            let p = root(&mut parent, p);
            if own == NONE {
                own = p;
            } else if own != p {
                // Parts are numbered in the order of their maxima, so the smaller number is the higher maximum.
                let (high, low) = (own.min(p), own.max(p));
                maxima[low as usize].1 = Some(f64::from(*value));
                parent[low as usize] = high;
                own = high;
            }
        }
        if own == NONE {
            own = parent.len() as u32;
            parent.push(own);
            maxima.push((f64::from(*value), None));
        }
        part[*i as usize] = own;
    }
    maxima
}

/// Objects in the order in which they are drawn into a mask image: small ones lie on top of large ones.
pub(crate) fn mask_order(objects: &[TrueObject]) -> Vec<&TrueObject> {
    let mut order: Vec<&TrueObject> = objects.iter().collect();
    order.sort_by_key(|o| (std::cmp::Reverse(o.mask.px), o.id));
    order
}

/// Object ids of a strip, row-major.
pub(crate) fn mask_strip(order: &[&TrueObject], row: usize, rows: usize, side: usize) -> Vec<i32> {
    let mut strip = vec![0i32; rows * side];
    let (low, high) = (row as i32, (row + rows) as i32);
    for object in order {
        let runs = &object.mask.runs;
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else { continue };
        if last.row < low || first.row >= high {
            continue;
        }
        for run in runs.iter().filter(|r| r.row >= low && r.row < high) {
            let (a, b) = (run.first.clamp(0, side as i32) as usize, run.end.clamp(0, side as i32) as usize);
            let start = (run.row - low) as usize * side;
            strip[start + a..start + b].fill(object.id);
        }
    }
    strip
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beam() -> BeamShape {
        BeamShape::new(7.5, 7.5, 0.0)
    }

    #[test]
    fn a_point_covers_the_area_of_its_contour() {
        let sigma = 27e-6;
        for snr in [8.0, 30.0, 200.0] {
            let image = object_image(&[Gaussian::point(50.3, 20.6, snr * sigma)], &beam());
            let mask = measure(&image, sigma, 2.5).unwrap();
            // A_pt = pi theta^2 / (4 ln 2) ln(peak / threshold).
            let want = beam().area * (snr / 2.5f64).ln();
            assert!((mask.px as f64 / want - 1.0).abs() < 0.05, "{} vs {want}", mask.px);
            assert_eq!((mask.islands, mask.peaks), (1, 1));
            assert!(mask.runs.iter().any(|r| r.row == 21 && r.first < 50 && r.end > 50));
            assert!(mask.axis_ratio > 0.95);
        }
    }

    #[test]
    fn two_points_are_one_island_with_two_peaks_or_two_islands() {
        let sigma = 1e-3;
        let pair = |d: f64, second: f64| {
            let parts = [Gaussian::point(40.0, 40.0, 0.03), Gaussian::point(40.0 + d, 40.0, second)];
            measure(&object_image(&parts, &beam()), sigma, 2.5).unwrap()
        };
        let near = pair(11.0, 0.03);
        assert_eq!((near.islands, near.peaks, near.clear_peaks), (1, 2, 2));
        assert!(near.axis_ratio < 0.8);
        let far = pair(40.0, 0.02);
        assert_eq!((far.islands, far.peaks), (2, 2));
        let blended = pair(4.0, 0.03);
        assert_eq!((blended.islands, blended.peaks), (1, 1));
    }

    #[test]
    fn a_ring_has_a_hole_and_a_point_none() {
        let ring: Vec<Gaussian> = (0..60)
            .map(|i| {
                let a = f64::from(i) * std::f64::consts::TAU / 60.0;
                Gaussian::point(60.0 + 16.0 * a.cos(), 60.0 + 16.0 * a.sin(), 1e-3)
            })
            .collect();
        assert_eq!(clear_holes(&object_image(&ring, &beam()), 1e-4), 1);
        assert_eq!(clear_holes(&object_image(&ring, &beam()), 1e-2), 0, "drowned in noise");
        assert_eq!(clear_holes(&object_image(&[Gaussian::point(5.0, 5.0, 1.0)], &beam()), 1e-4), 0);
    }
}
