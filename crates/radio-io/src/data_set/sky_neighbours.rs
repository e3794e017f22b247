//! Which cutouts show the same sky: by shared pixels of one mosaic, by overlapping boxes on the sky, by distance.
//!
//! Candidates come from cells (of space for directions, of pixels for windows), so the work grows with the number of true
//! neighbours and not with the square of the set.

use std::collections::{BTreeMap, HashMap};

use crate::celestial::{Direction, direction, separation_arcsec};

use super::manifest::Window;

/// Corners of a picture on the sky in order around it: (right ascension, declination), degrees, J2000.
pub type SkyCorners = [(f64, f64); 4];

/// Where a picture lies, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Place {
    /// Centre, degrees.
    pub(crate) sky: Option<(f64, f64)>,
    /// Its corners in order around it, degrees.
    pub(crate) corners: Option<SkyCorners>,
    /// A number for the mosaic, and its pixels there.
    pub(crate) window: Option<(usize, Window)>,
}

/// Two places that show the same sky, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Link {
    pub(crate) first: usize,
    pub(crate) second: usize,
    /// They share a pixel.
    pub(crate) pixels: bool,
    /// Their boxes on the sky overlap.
    pub(crate) boxes: bool,
    /// Their centres lie within the radius.
    pub(crate) near: bool,
    /// Distance of the centres, arc seconds; NaN if one is unknown.
    pub(crate) separation_arcsec: f64,
}

/// All links between two lists, sorted by (first, second).
pub(crate) fn links_between(first: &[Place], second: &[Place], radius_arcsec: f64) -> Vec<Link> {
    links(first, second, radius_arcsec, |_, _| true)
}

/// All links within a list, each once with first < second, sorted.
pub(crate) fn links_within(places: &[Place], radius_arcsec: f64) -> Vec<Link> {
    links(places, places, radius_arcsec, |a, b| a < b)
}

fn links(first: &[Place], second: &[Place], radius_arcsec: f64, wanted: impl Fn(usize, usize) -> bool) -> Vec<Link> {
    let mut found = BTreeMap::new();
    let mut consider = |a: usize, b: usize| {
        if wanted(a, b) && !found.contains_key(&(a, b)) {
            let link = link(a, b, &first[a], &second[b], radius_arcsec);
            if link.pixels || link.boxes || link.near {
                found.insert((a, b), link);
            }
        }
    };
    // Overlapping boxes lie at most the sum of the largest half diagonals apart; 1 % for boxes that are no plane rectangles.
    let farthest = |places: &[Place]| places.iter().map(half_diagonal_arcsec).fold(0.0, f64::max);
    let reach = radius_arcsec.max(1.01 * (farthest(first) + farthest(second)));
    let cells = SkyCells::new(second.iter().map(|place| place.sky), reach);
    for (a, place) in first.iter().enumerate() {
        place.sky.into_iter().for_each(|sky| cells.near(sky, |b| consider(a, b)));
    }
    let windows = WindowCells::new(first, second);
    for (a, place) in first.iter().enumerate() {
        place.window.into_iter().for_each(|window| windows.near(window, |b| consider(a, b)));
    }
    found.into_values().collect()
}

fn link(first: usize, second: usize, a: &Place, b: &Place, radius_arcsec: f64) -> Link {
    let separation = match (a.sky, b.sky) {
        (Some(a), Some(b)) => separation_arcsec(a, b),
        _ => f64::NAN,
    };
    let same_mosaic = matches!((a.window, b.window), (Some((a, _)), Some((b, _))) if a == b);
    let pixels = match (a.window, b.window) {
        (Some((_, a)), Some((_, b))) if same_mosaic => a.overlaps(&b),
        _ => false,
    };
    // Within one mosaic the pixels tell exactly.
    let boxes = match (a.sky, a.corners, b.corners) {
        (Some(centre), Some(a), Some(b)) if !same_mosaic => boxes_overlap(centre, &a, &b),
        _ => false,
    };
    Link { first, second, pixels, boxes, near: separation <= radius_arcsec, separation_arcsec: separation }
}

fn half_diagonal_arcsec(place: &Place) -> f64 {
    let (Some(centre), Some(corners)) = (place.sky, place.corners) else { return 0.0 };
    corners.iter().map(|&corner| separation_arcsec(centre, corner)).fold(0.0, f64::max)
}

/// Whether two convex boxes overlap, by separating axes in the plane that touches the sky at `centre`.
fn boxes_overlap(centre: (f64, f64), a: &[(f64, f64); 4], b: &[(f64, f64); 4]) -> bool {
    let flat = |corners: &[(f64, f64); 4]| {
        let mut points = [(0.0, 0.0); 4];
        for (point, corner) in points.iter_mut().zip(corners) {
            *point = gnomonic(centre, *corner)?;
        }
        Some(points)
    };
    // A corner a quarter of the sky away: no overlap with a box here.
    let (Some(a), Some(b)) = (flat(a), flat(b)) else { return false };
    let edges = |points: &[(f64, f64); 4]| {
        let points = *points;
        (0..4).map(move |i| {
            let (from, to) = (points[i], points[(i + 1) % 4]);
            (to.1 - from.1, from.0 - to.0)
        })
    };
    let span = |points: &[(f64, f64); 4], axis: (f64, f64)| {
        let along = points.map(|point| point.0 * axis.0 + point.1 * axis.1);
        let least = along.iter().copied().fold(f64::INFINITY, f64::min);
        (least, along.into_iter().fold(f64::NEG_INFINITY, f64::max))
    };
    edges(&a).chain(edges(&b)).all(|axis| {
        let ((a_from, a_to), (b_from, b_to)) = (span(&a, axis), span(&b, axis));
        // Boxes that only touch do not overlap, whatever the last digits say.
        let slack = 1e-6 * (a_to - a_from).min(b_to - b_from);
        a_from + slack < b_to && b_from + slack < a_to
    })
}

/// Position in the tangent plane at `centre`; `None` from a quarter of the sky away on.
fn gnomonic(centre: (f64, f64), position: (f64, f64)) -> Option<(f64, f64)> {
    let (sin_lat, cos_lat) = centre.1.to_radians().sin_cos();
    let (sin_lon, cos_lon) = centre.0.to_radians().sin_cos();
    let [x, y, z] = direction(position.0, position.1);
    let towards = cos_lat * cos_lon * x + cos_lat * sin_lon * y + sin_lat * z;
    let east = -sin_lon * x + cos_lon * y;
    let north = -sin_lat * cos_lon * x - sin_lat * sin_lon * y + cos_lat * z;
    (towards > 1e-3).then(|| (east / towards, north / towards))
}

/// Directions in cubes whose edge is the chord of the radius: all neighbours lie in the 27 cubes around.
struct SkyCells {
    edge: f64,
    cells: HashMap<[i64; 3], Vec<usize>>,
}

impl SkyCells {
    fn new(places: impl Iterator<Item = Option<(f64, f64)>>, radius_arcsec: f64) -> Self {
        let half = (radius_arcsec / 3600.0).to_radians().clamp(0.0, std::f64::consts::PI) / 2.0;
        // A hair more than the chord, and never so small that cells could not be counted.
        let edge = (2.0 * half.sin() * (1.0 + 1e-9)).max(1e-9);
        let mut cells: HashMap<[i64; 3], Vec<usize>> = HashMap::new();
        for (index, sky) in places.enumerate() {
            if let Some((ra, dec)) = sky {
                cells.entry(cell(direction(ra, dec), edge)).or_default().push(index);
            }
        }
        Self { edge, cells }
    }

    fn near(&self, sky: (f64, f64), mut visit: impl FnMut(usize)) {
        let [x, y, z] = cell(direction(sky.0, sky.1), self.edge);
        for key in around(x).flat_map(|x| around(y).flat_map(move |y| around(z).map(move |z| [x, y, z]))) {
            self.cells.get(&key).into_iter().flatten().for_each(|&index| visit(index));
        }
    }
}

fn cell(direction: Direction, edge: f64) -> [i64; 3] {
    direction.map(|component| (component / edge).floor() as i64)
}

fn around(cell: i64) -> std::ops::RangeInclusive<i64> {
    cell - 1..=cell + 1
}

/// Windows of each mosaic in cells of the longest side: overlapping windows begin in neighbouring cells.
struct WindowCells {
    side: i64,
    cells: HashMap<(usize, i64, i64), Vec<usize>>,
}

impl WindowCells {
    fn new(first: &[Place], second: &[Place]) -> Self {
        let sides = first.iter().chain(second).filter_map(|place| place.window).map(|(_, w)| w.n_rows.max(w.n_cols));
        let side = i64::from(sides.max().unwrap_or(1).max(1));
        let mut cells: HashMap<(usize, i64, i64), Vec<usize>> = HashMap::new();
        for (index, place) in second.iter().enumerate() {
            if let Some((mosaic, window)) = place.window {
                let key = (mosaic, i64::from(window.row) / side, i64::from(window.col) / side);
                cells.entry(key).or_default().push(index);
            }
        }
        Self { side, cells }
    }

    fn near(&self, (mosaic, window): (usize, Window), mut visit: impl FnMut(usize)) {
        let (row, col) = (i64::from(window.row) / self.side, i64::from(window.col) / self.side);
        for key in around(row).flat_map(|row| around(col).map(move |col| (mosaic, row, col))) {
            self.cells.get(&key).into_iter().flatten().for_each(|&index| visit(index));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    fn square(ra: f64, dec: f64, side_arcsec: f64) -> Place {
        let half = side_arcsec / 7200.0;
        let corner = |x: f64, y: f64| (ra + x * half / dec.to_radians().cos(), dec + y * half);
        let corners = [corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)];
        Place { sky: Some((ra, dec)), corners: Some(corners), window: None }
    }

    /// Everything against everything, which is what the cells save.
    fn slow(first: &[Place], second: &[Place], radius: f64) -> Vec<Link> {
        let pairs = (0..first.len()).flat_map(|a| (0..second.len()).map(move |b| (a, b)));
        let links = pairs.map(|(a, b)| link(a, b, &first[a], &second[b], radius));
        links.filter(|link| link.pixels || link.boxes || link.near).collect()
    }

    fn same(a: &[Link], b: &[Link]) -> bool {
        // NaN separations are equal here.
        format!("{a:?}") == format!("{b:?}")
    }

    #[test]
    fn boxes_that_touch_do_not_overlap_and_the_seam_of_the_sky_is_no_border() {
        let (a, b) = (square(10.0, 0.0, 60.0), square(10.0 + 60.0 / 3600.0, 0.0, 60.0));
        assert!(links_between(from_ref(&a), &[b], 0.0).is_empty());
        let c = square(10.0 + 59.0 / 3600.0, 0.0, 60.0);
        let found = links_between(&[a], &[c], 0.0);
        assert!(found.len() == 1 && found[0].boxes && !found[0].near && !found[0].pixels, "{found:?}");
        assert!((found[0].separation_arcsec - 59.0).abs() < 1e-6);
        let (east, west) = (square(0.001, -60.0, 30.0), square(359.999, -60.0, 30.0));
        assert!(links_between(from_ref(&east), from_ref(&west), 0.0)[0].boxes, "7.2 arc seconds / 2 apart");
        assert!(links_between(&[east], &[west], 4.0)[0].near);
        // A box of 100" turned by 45 degrees beside one that is not: corner to side, decided by the turned axes.
        let half = 50.0 * 2.0_f64.sqrt() / 3600.0;
        let turned = |ra: f64, dec: f64| Place {
            sky: Some((ra, dec)),
            corners: Some([(ra - half, dec), (ra, dec - half), (ra + half, dec), (ra, dec + half)]),
            window: None,
        };
        let corner_to_corner = turned((50.0 + 60.0) / 3600.0, (50.0 + 60.0) / 3600.0);
        assert!(links_between(&[square(0.0, 0.0, 100.0)], &[corner_to_corner], 0.0).is_empty());
        let side_to_corner = turned((50.0 + 60.0) / 3600.0, 0.0);
        assert_eq!(links_between(&[square(0.0, 0.0, 100.0)], &[side_to_corner], 0.0).len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn cells_find_what_the_slow_way_finds(
            spots in proptest::collection::vec((0.0..360.0_f64, 0.0..1.0_f64, 0.0..1.0_f64, 1.0..900.0_f64), 1..60),
            pole in 0..3_usize,
            radius in 0.0..400.0_f64,
            split in 0..60_usize,
        ) {
            // Crowded: around the pole, across the seam, or at middle declinations.
            let places: Vec<Place> = spots.iter().enumerate().map(|(n, &(lon, x, y, side))| {
                let (ra, dec) = match pole {
                    0 => (lon, 89.5 + 0.4 * y),
                    1 => ((x - 0.5).rem_euclid(360.0), y - 0.5),
                    _ => (120.0 + x, -70.0 + y),
                };
                let mut place = square(ra, dec, side);
                if n % 3 == 0 {
                    let side = 1 + (side / 9.0) as u32;
                    let window = Window { row: (x * 400.0) as u32, col: (y * 400.0) as u32, n_rows: side, n_cols: 1 + side / 2 };
                    place.window = Some((n % 2, window));
                }
                if n % 7 == 0 {
                    (place.sky, place.corners) = (None, None);
                }
                place
            }).collect();
            let (a, b) = places.split_at(split.min(places.len()));
            proptest::prop_assert!(same(&links_between(a, b, radius), &slow(a, b, radius)));
            let once: Vec<Link> = slow(&places, &places, radius).into_iter().filter(|l| l.first < l.second).collect();
            proptest::prop_assert!(same(&links_within(&places, radius), &once));
        }
    }
}
