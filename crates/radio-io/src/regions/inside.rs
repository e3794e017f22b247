//! Regions in pixels: which pixels are inside, bounds, area, masks.

use std::ops::Range;

use ndarray::Array2;

use super::Shape;

/// A region of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelRegion {
    /// Its outline, in (column, row) from 0 and pixels.
    pub shape: Shape,
    /// Whether its pixels are taken, or left out.
    pub include: bool,
}

/// A turned frame about a centre: from (column, row) to the shape's own x and y.
struct Own {
    centre: (f64, f64),
    sine: f64,
    cosine: f64,
}

impl Own {
    fn of(centre: (f64, f64), angle_deg: f64) -> Self {
        let (sine, cosine) = angle_deg.to_radians().sin_cos();
        Self { centre, sine, cosine }
    }

    fn place(&self, col: f64, row: f64) -> (f64, f64) {
        let (dx, dy) = (col - self.centre.0, row - self.centre.1);
        (self.cosine * dx + self.sine * dy, self.cosine * dy - self.sine * dx)
    }
}

fn in_ellipse((x, y): (f64, f64), (a, b): (f64, f64)) -> bool {
    a > 0.0 && b > 0.0 && (x / a).powi(2) + (y / b).powi(2) < 1.0
}

impl PixelRegion {
    /// Whether a pixel position lies inside. Places without area hold nothing; an outline itself is outside, except that a polygon keeps
    /// its left and upper sides, so that polygons side by side share no pixel.
    pub fn contains(&self, row: f64, col: f64) -> bool {
        match &self.shape {
            Shape::Point { .. } | Shape::Text { .. } | Shape::Line { .. } => false,
            &Shape::Circle { centre, radius } => (col - centre.0).hypot(row - centre.1) < radius,
            &Shape::Ellipse { centre, semi_axes, angle_deg } => {
                in_ellipse(Own::of(centre, angle_deg).place(col, row), semi_axes)
            }
            &Shape::Box { centre, sides, angle_deg } => {
                let (x, y) = Own::of(centre, angle_deg).place(col, row);
                x.abs() < sides.0 / 2.0 && y.abs() < sides.1 / 2.0
            }
            &Shape::Annulus { centre, inner, outer, angle_deg } => {
                let place = Own::of(centre, angle_deg).place(col, row);
                in_ellipse(place, outer) && !in_ellipse(place, inner)
            }
            Shape::Polygon { corners } => {
                sides(corners).filter(|side| crossing(*side, row).is_some_and(|at| at <= col)).count() % 2 == 1
            }
        }
    }

    /// Area in pixels. A polygon that crosses itself counts its parts with their sense of rotation.
    pub fn area(&self) -> f64 {
        let ellipse = |(a, b): (f64, f64)| std::f64::consts::PI * a.max(0.0) * b.max(0.0);
        match &self.shape {
            Shape::Point { .. } | Shape::Text { .. } | Shape::Line { .. } => 0.0,
            &Shape::Circle { radius, .. } => ellipse((radius, radius)),
            &Shape::Ellipse { semi_axes, .. } => ellipse(semi_axes),
            &Shape::Box { sides, .. } => sides.0.max(0.0) * sides.1.max(0.0),
            &Shape::Annulus { inner, outer, .. } => (ellipse(outer) - ellipse(inner)).max(0.0),
            Shape::Polygon { corners } => {
                // About the first corner: far from the origin the products would swallow a small polygon.
                let Some(&(x0, y0)) = corners.first() else { return 0.0 };
                let twice: f64 =
                    sides(corners).map(|((ax, ay), (bx, by))| (ax - x0) * (by - y0) - (bx - x0) * (ay - y0)).sum();
                twice.abs() / 2.0
            }
        }
    }

    /// Smallest and largest (column, row) of the outline; `None` if it is not finite.
    pub fn extent(&self) -> Option<((f64, f64), (f64, f64))> {
        let about =
            |centre: (f64, f64), (w, h): (f64, f64)| vec![(centre.0 - w, centre.1 - h), (centre.0 + w, centre.1 + h)];
        let ellipse = |centre, (a, b): (f64, f64), angle: f64| {
            let (s, c) = angle.to_radians().sin_cos();
            about(centre, ((a * c).hypot(b * s), (a * s).hypot(b * c)))
        };
        let places = match &self.shape {
            &Shape::Point { at } | &Shape::Text { at } => vec![at],
            &Shape::Line { from, to } => vec![from, to],
            &Shape::Circle { centre, radius } => about(centre, (radius, radius)),
            &Shape::Ellipse { centre, semi_axes, angle_deg } => ellipse(centre, semi_axes, angle_deg),
            &Shape::Annulus { centre, outer, angle_deg, .. } => ellipse(centre, outer, angle_deg),
            &Shape::Box { centre, sides: (w, h), angle_deg } => {
                let (s, c) = angle_deg.to_radians().sin_cos();
                about(centre, (((w * c).abs() + (h * s).abs()) / 2.0, ((w * s).abs() + (h * c).abs()) / 2.0))
            }
            Shape::Polygon { corners } => corners.clone(),
        };
        if places.is_empty() || places.iter().any(|(x, y)| !(x.is_finite() && y.is_finite())) {
            return None;
        }
        let fold = |pick: fn(f64, f64) -> f64, start: f64| {
            places.iter().fold((start, start), |so_far, place| (pick(so_far.0, place.0), pick(so_far.1, place.1)))
        };
        Some((fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY)))
    }

    /// Rows and columns of an image whose pixel centres may be inside; empty ranges if none can.
    pub fn bounds(&self, rows: usize, cols: usize) -> (Range<usize>, Range<usize>) {
        let Some((low, high)) = self.extent() else { return (0..0, 0..0) };
        // Casting to whole numbers saturates, so that regions far away give empty ranges.
        let range = |low: f64, high: f64, length: usize| {
            let start = (low.ceil().max(0.0) as usize).min(length);
            let end = if high < 0.0 { 0 } else { (high.floor() as usize).saturating_add(1).min(length) };
            start..end.max(start)
        };
        (range(low.1, high.1, rows), range(low.0, high.0, cols))
    }

    /// `true` for the pixels whose centre is inside; rows and columns of the image.
    pub fn mask(&self, rows: usize, cols: usize) -> Array2<bool> {
        let mut mask = Array2::from_elem((rows, cols), false);
        self.paint(&mut mask, true);
        mask
    }

    fn paint(&self, mask: &mut Array2<bool>, value: bool) {
        let (rows, cols) = self.bounds(mask.nrows(), mask.ncols());
        if let Shape::Polygon { corners } = &self.shape {
            // Row by row between crossings: a coastline of a thousand corners costs no more per pixel than a square.
            for row in rows {
                let mut crossings: Vec<f64> = sides(corners).filter_map(|side| crossing(side, row as f64)).collect();
                crossings.sort_unstable_by(f64::total_cmp);
                for pair in crossings.chunks_exact(2) {
                    let first = (pair[0].ceil().max(0.0) as usize).max(cols.start);
                    let end = (pair[1].ceil().max(0.0) as usize).min(cols.end);
                    (first..end).for_each(|col| mask[(row, col)] = value);
                }
            }
            return;
        }
        for row in rows {
            for col in cols.clone() {
                if self.contains(row as f64, col as f64) {
                    mask[(row, col)] = value;
                }
            }
        }
    }
}

/// One mask of many regions: a pixel is taken if it is in an included region (or there is none) and in no excluded one.
pub fn mask_of(regions: &[PixelRegion], rows: usize, cols: usize) -> Array2<bool> {
    let all = !regions.iter().any(|region| region.include);
    let mut mask = Array2::from_elem((rows, cols), all);
    for region in regions.iter().filter(|region| region.include) {
        region.paint(&mut mask, true);
    }
    for region in regions.iter().filter(|region| !region.include) {
        region.paint(&mut mask, false);
    }
    mask
}

type Side = ((f64, f64), (f64, f64));

fn sides(corners: &[(f64, f64)]) -> impl Iterator<Item = Side> + '_ {
    let next = corners.iter().cycle().skip(1);
    corners.iter().copied().zip(next.copied())
}

/// Column at which a side crosses a row; a side holds its upper end and not its lower, so that every corner counts once.
fn crossing((a, b): Side, row: f64) -> Option<f64> {
    ((a.1 <= row) != (b.1 <= row)).then(|| a.0 + (row - a.1) * (b.0 - a.0) / (b.1 - a.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region(shape: Shape) -> PixelRegion {
        PixelRegion { shape, include: true }
    }

    fn count(region: &PixelRegion) -> usize {
        region.mask(60, 80).iter().filter(|inside| **inside).count()
    }

    /// Counts, areas and sums of (column, row) over the mask, made with astropy regions 0.12 (`to_mask(mode='center')`).
    #[test]
    fn masks_agree_with_astropy_regions() {
        let polygon = vec![(10.2, 5.1), (60.7, 12.3), (50.4, 55.8), (33.3, 20.9), (12.6, 40.2)];
        for (shape, pixels, area, col_sum, row_sum) in [
            (Shape::Circle { centre: (30.3, 20.7), radius: 7.6 }, 179, 181.45839167134645, 5414, 3715),
            (
                Shape::Ellipse { centre: (40.2, 30.9), semi_axes: (20.3, 6.4), angle_deg: 33.0 },
                408,
                408.155717554386,
                16377,
                12611,
            ),
            (Shape::Box { centre: (40.2, 30.9), sides: (20.3, 8.4), angle_deg: -25.0 }, 170, 170.52, 6827, 5255),
            (
                Shape::Annulus { centre: (35.1, 25.4), inner: (4.2, 4.2), outer: (11.7, 11.7), angle_deg: 0.0 },
                373,
                374.6349239405828,
                13080,
                9454,
            ),
            (
                Shape::Annulus { centre: (35.1, 25.4), inner: (4.2, 2.1), outer: (16.8, 8.4), angle_deg: 70.0 },
                415,
                415.6327080699296,
                14543,
                10518,
            ),
            (Shape::Polygon { corners: polygon }, 1250, 1253.895, 44601, 28765),
        ] {
            let region = region(shape);
            let mask = region.mask(60, 80);
            let inside = || mask.indexed_iter().filter(|(_, inside)| **inside).map(|(place, _)| place);
            assert_eq!(inside().count(), pixels, "{region:?}");
            assert_eq!(inside().map(|(_, col)| col).sum::<usize>(), col_sum, "{region:?}");
            assert_eq!(inside().map(|(row, _)| row).sum::<usize>(), row_sum, "{region:?}");
            assert!((region.area() - area).abs() < 1e-9, "{region:?}: {}", region.area());
        }
    }

    #[test]
    fn odd_regions_are_empty_and_cheap() {
        for shape in [
            Shape::Point { at: (3.0, 3.0) },
            Shape::Line { from: (0.0, 0.0), to: (9.0, 9.0) },
            Shape::Circle { centre: (f64::NAN, 3.0), radius: 4.0 },
            Shape::Circle { centre: (3.0, 3.0), radius: 0.0 },
            Shape::Circle { centre: (1e300, 3.0), radius: 4.0 },
            Shape::Ellipse { centre: (3.0, 3.0), semi_axes: (0.0, 5.0), angle_deg: 0.0 },
            Shape::Polygon { corners: vec![] },
            Shape::Polygon { corners: vec![(1.0, 1.0), (5.0, 1.0)] },
        ] {
            assert_eq!(count(&region(shape)), 0);
        }
        let huge = region(Shape::Circle { centre: (0.0, 0.0), radius: 1e200 });
        assert_eq!(huge.bounds(60, 80), (0..60, 0..80));
        assert_eq!(count(&region(Shape::Box { centre: (2.0, 2.0), sides: (2.2, 2.2), angle_deg: 0.0 })), 9);
    }

    #[test]
    fn excluded_regions_are_cut_out() {
        let ring = |include, radius| PixelRegion { shape: Shape::Circle { centre: (20.0, 20.0), radius }, include };
        let annulus = mask_of(&[ring(false, 5.0), ring(true, 10.0)], 60, 80);
        assert!(annulus[(20, 28)] && !annulus[(20, 22)] && !annulus[(20, 40)]);
        let rest = mask_of(&[ring(false, 5.0)], 60, 80);
        assert!(rest[(20, 40)] && !rest[(20, 22)], "only excluded regions: all the rest");
    }

    fn shape() -> impl Strategy<Value = Shape> {
        let place = || (-10.0..90.0, -10.0..70.0);
        prop_oneof![
            (place(), 0.0..40.0).prop_map(|(centre, radius)| Shape::Circle { centre, radius }),
            (place(), (0.1..40.0, 0.1..40.0), -400.0..400.0)
                .prop_map(|(centre, semi_axes, angle_deg)| Shape::Ellipse { centre, semi_axes, angle_deg }),
            (place(), (0.1..40.0, 0.1..40.0), -400.0..400.0).prop_map(|(centre, sides, angle_deg)| Shape::Box {
                centre,
                sides,
                angle_deg
            }),
            // Whole numbers put corners on pixel centres.
            proptest::collection::vec((0..20_i32, 0..20_i32), 3..9).prop_map(|corners| Shape::Polygon {
                corners: corners.into_iter().map(|(x, y)| (f64::from(x), f64::from(y))).collect()
            }),
        ]
    }

    proptest! {
        #[test]
        fn the_mask_is_what_contains_says(shape in shape()) {
            let region = region(shape);
            let mask = region.mask(60, 80);
            for ((row, col), inside) in mask.indexed_iter() {
                prop_assert_eq!(*inside, region.contains(row as f64, col as f64), "{} {}", row, col);
            }
        }
    }
}
