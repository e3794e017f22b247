//! Footprints as Multi-Order Coverage maps (MOC, an IVOA standard): which HEALPix cells of the sky a mosaic or a list of frames covers.
//!
//! A cell of the chosen order belongs to a footprint if its centre falls on a pixel that counts. So the area of a footprint is right on the
//! average, and a map smaller than a cell may miss every centre: then the cell of its own centre is taken. Positions are ICRS. Files are
//! written for Aladin and mocpy to read; sets are joined and compared here.

use std::{io::Write as _, path::Path};

use moc::{
    deser::{fits::ranges_to_fits_ivoa, json::to_json_aladin},
    moc::{RangeMOCIntoIterator, RangeMOCIterator, range::RangeMOC},
    qty::Hpx,
};

use super::{Direction, angle_between, direction, unit};
use crate::{
    data_set::{Manifest, Window},
    error::Error,
    mosaic::PixelSource,
    wcs::Wcs,
};

/// Finest order (cells of 0.8 arc seconds).
const FINEST: u8 = 18;
/// Most cells that are looked at for one footprint.
const MOST_CELLS: f64 = 2e7;
/// Rows of a mosaic that are read at a time.
const BAND: usize = 256;

/// A part of the sky.
#[derive(Debug, Clone, PartialEq)]
pub struct Coverage {
    moc: RangeMOC<u64, Hpx<u64>>,
}

impl Coverage {
    /// The cells whose centres fall on pixels of an image for which `counts(row, col)` says so.
    ///
    /// # Errors
    /// [`Error::Coverage`] for an order above 18, or one that makes too many cells for this map.
    pub fn of_pixels(
        wcs: &Wcs,
        (rows, cols): (usize, usize),
        order: u8,
        counts: impl Fn(usize, usize) -> bool,
    ) -> Result<Self, Error> {
        let cells = cells_on(wcs, (0.0, 0.0), (rows, cols), order)?;
        Ok(Self::of_cells(order, cells.into_iter().filter(|cell| counts(cell.row, cell.col)).map(|cell| cell.hash)))
    }

    /// The cells whose centres fall on pixels of a mosaic that are not blank. Pixels are read in bands of rows.
    ///
    /// # Errors
    /// As [`Coverage::of_pixels`], and what reading gives.
    pub fn of_mosaic(pixels: &dyn PixelSource, wcs: &Wcs, order: u8) -> Result<Self, Error> {
        let mut cells = cells_on(wcs, (0.0, 0.0), (pixels.rows(), pixels.cols()), order)?;
        cells.sort_unstable_by_key(|cell| (cell.row, cell.col));
        let mut kept = Vec::new();
        for band in cells.chunk_by(|a, b| a.row / BAND == b.row / BAND) {
            let (first, last) = (band[0].row, band[band.len() - 1].row);
            let window = pixels.window(first, 0, last - first + 1, pixels.cols())?;
            kept.extend(
                band.iter().filter(|cell| window[(cell.row - first, cell.col)].is_finite()).map(|cell| cell.hash),
            );
        }
        Ok(Self::of_cells(order, kept.into_iter()))
    }

    /// The cells whose centres fall on frames of one map.
    ///
    /// # Errors
    /// As [`Coverage::of_pixels`].
    pub fn of_frames(wcs: &Wcs, frames: impl IntoIterator<Item = Window>, order: u8) -> Result<Self, Error> {
        let mut all = Vec::new();
        for window in frames {
            let (origin, shape) =
                ((f64::from(window.row), f64::from(window.col)), (window.n_rows as usize, window.n_cols as usize));
            all.extend(cells_on(wcs, origin, shape, order)?.into_iter().map(|cell| cell.hash));
            // Overlapping frames bring the same cells again and again.
            if all.len() as f64 > MOST_CELLS {
                all.sort_unstable();
                all.dedup();
                if all.len() as f64 > MOST_CELLS / 2.0 {
                    let reason = format!("order {order} makes too many cells for these frames: choose a lower order");
                    return Err(refuse(Path::new("(footprint)"), &reason));
                }
            }
        }
        Ok(Self::of_cells(order, all.into_iter()))
    }

    /// What the cutouts of a data set cover, blank pixels included, and how many cutouts have no place on the sky. Nothing is
    /// opened.
    ///
    /// # Errors
    /// As [`Coverage::of_pixels`], and those of [`Manifest::skies`].
    pub fn of_manifest(manifest: &Manifest, order: u8) -> Result<(Self, usize), Error> {
        let (mut all, mut without) = (Self::of_cells(order.min(FINEST), [].into_iter()), 0);
        for (number, sky) in manifest.skies()?.into_iter().enumerate() {
            let windows = manifest.rows.iter().filter(|row| row.mosaic as usize == number).map(|row| row.window);
            match sky {
                Some(wcs) => all = all.union(&Self::of_frames(&wcs, windows, order)?),
                None => without += windows.count(),
            }
        }
        Ok((all, without))
    }

    fn of_cells(order: u8, cells: impl Iterator<Item = u64>) -> Self {
        let mut cells: Vec<u64> = cells.collect();
        cells.sort_unstable();
        cells.dedup();
        Self { moc: RangeMOC::from_fixed_depth_cells(order, cells.into_iter(), None) }
    }

    /// The order of its cells and their numbers in the nested scheme, increasing.
    pub fn cells(&self) -> (u8, Vec<u64>) {
        (self.moc.depth_max(), self.moc.flatten_to_fixed_depth_cells().collect())
    }

    /// Share of the sphere.
    pub fn sky_fraction(&self) -> f64 {
        self.moc.coverage_percentage()
    }

    /// Whether nothing is covered.
    pub fn is_empty(&self) -> bool {
        self.moc.is_empty()
    }

    /// Whether the cell of a position (ICRS, degrees) is covered.
    pub fn contains(&self, ra_deg: f64, dec_deg: f64) -> bool {
        let legal = ra_deg.is_finite() && dec_deg.abs() <= 90.0;
        legal && self.moc.contains_val(&cdshealpix::nested::hash(29, ra_deg.to_radians(), dec_deg.to_radians()))
    }

    /// What either covers.
    pub fn union(&self, other: &Self) -> Self {
        Self { moc: self.moc.or(&other.moc) }
    }

    /// What both cover.
    pub fn intersection(&self, other: &Self) -> Self {
        Self { moc: self.moc.and(&other.moc) }
    }

    /// The ASCII form: `5/ 8 10-12 6/ 100 …`.
    ///
    /// # Errors
    /// [`Error::Coverage`] if the library refuses.
    pub fn to_ascii(&self) -> Result<String, Error> {
        self.moc.to_ascii().map_err(|refused| refuse(Path::new("(footprint)"), &refused.to_string()))
    }

    /// Aladin's JSON form: cells by order.
    ///
    /// # Errors
    /// [`Error::Coverage`] if the library refuses.
    pub fn to_json(&self) -> Result<String, Error> {
        let mut json = Vec::new();
        to_json_aladin((&self.moc).into_range_moc_iter().cells(), &Some(80), "", &mut json)
            .map_err(|refused| refuse(Path::new("(footprint)"), &refused.to_string()))?;
        Ok(String::from_utf8_lossy(&json).into_owned())
    }

    /// Writes a footprint: FITS for `.fits`, JSON for `.json`, else ASCII; whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Coverage`] if the library refuses.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let bytes = match extension.as_deref() {
            Some("fits") => {
                let mut fits = Vec::new();
                ranges_to_fits_ivoa((&self.moc).into_range_moc_iter(), None, None, &mut fits)
                    .map_err(|refused| refuse(path, &refused.to_string()))?;
                fits
            }
            Some("json") => self.to_json()?.into_bytes(),
            _ => self.to_ascii()?.into_bytes(),
        };
        atomic_file::write_atomically(path, |file| file.write_all(&bytes))
            .map_err(|source| Error::Io { path: path.into(), source })
    }
}

fn refuse(path: &Path, reason: &str) -> Error {
    Error::Coverage { path: path.into(), reason: reason.to_owned() }
}

/// A cell and the pixel that holds its centre, counted from the first of the window.
struct Cell {
    row: usize,
    col: usize,
    hash: u64,
}

/// Cells of an order whose centres fall on a window of a map, found from the twelve base cells downwards.
fn cells_on(wcs: &Wcs, origin: (f64, f64), (rows, cols): (usize, usize), order: u8) -> Result<Vec<Cell>, Error> {
    if order > FINEST {
        return Err(refuse(Path::new("(footprint)"), &format!("order {order} found, expected at most {FINEST}")));
    }
    if rows == 0 || cols == 0 {
        return Ok(Vec::new());
    }
    let Some(cap) = Cap::around(wcs, origin, (rows, cols)) else { return Ok(Vec::new()) };
    let count = 12.0 * 4.0_f64.powi(order.into()) * (1.0 - cap.radius.cos()) / 2.0;
    if count > MOST_CELLS {
        let reason = format!(
            "order {order} makes about {count:.0} cells, expected at most {MOST_CELLS:.0}: choose a lower order"
        );
        return Err(refuse(Path::new("(footprint)"), &reason));
    }
    let on = |ra: f64, dec: f64| {
        let (row, col) = wcs.pixel(ra, dec)?;
        let (row, col) = ((row - origin.0).round(), (col - origin.1).round());
        let inside = (0.0..rows as f64).contains(&row) && (0.0..cols as f64).contains(&col);
        inside.then_some((row as usize, col as usize))
    };
    let mut found = Vec::new();
    let mut open: Vec<(u8, u64)> = (0..12).map(|hash| (0, hash)).collect();
    while let Some((depth, hash)) = open.pop() {
        let (lon, lat) = cdshealpix::nested::center(depth, hash);
        let (ra, dec) = (lon.to_degrees(), lat.to_degrees());
        // No corner of a cell is further from its centre: 0.84 radians at order 0, 1.07 / 2^order in the limit.
        let reach = 1.1 / f64::from(1_u32 << depth);
        if angle_between(direction(ra, dec), cap.centre) > cap.radius + reach {
            continue;
        }
        if depth < order {
            open.extend((0..4).map(|child| (depth + 1, 4 * hash + child)));
        } else if let Some((row, col)) = on(ra, dec) {
            found.push(Cell { row, col, hash });
        }
    }
    if found.is_empty() {
        let (row, col) = ((rows - 1) / 2, (cols - 1) / 2);
        if let Some((ra, dec)) = wcs.sky(origin.0 + row as f64, origin.1 + col as f64) {
            let hash = cdshealpix::nested::hash(order, ra.to_radians(), dec.to_radians());
            found.push(Cell { row, col, hash });
        }
    }
    Ok(found)
}

/// A circle on the sky that holds a map, radius in radians.
struct Cap {
    centre: Direction,
    radius: f64,
}

impl Cap {
    /// From a grid of 33 by 33 places; where some show no sky, the whole sphere. `None` if none shows any.
    fn around(wcs: &Wcs, origin: (f64, f64), (rows, cols): (usize, usize)) -> Option<Self> {
        const STEPS: usize = 32;
        let place = |k: usize, length: usize| k as f64 / STEPS as f64 * length as f64 - 0.5;
        let grid: Vec<Option<Direction>> = (0..=STEPS)
            .flat_map(|i| (0..=STEPS).map(move |j| (i, j)))
            .map(|(i, j)| wcs.sky(origin.0 + place(i, rows), origin.1 + place(j, cols)))
            .map(|sky| sky.map(|(ra, dec)| direction(ra, dec)))
            .collect();
        let seen: Vec<Direction> = grid.iter().flatten().copied().collect();
        let sum: Direction = std::array::from_fn(|k| seen.iter().map(|direction| direction[k]).sum());
        let length = super::dot(sum, sum).sqrt();
        if seen.is_empty() {
            return None;
        }
        let whole = Self { centre: [0.0, 0.0, 1.0], radius: std::f64::consts::PI };
        if seen.len() < grid.len() || length < 1e-3 * seen.len() as f64 {
            return Some(whole);
        }
        let centre = unit(sum);
        let farthest = seen.iter().map(|there| angle_between(centre, *there)).fold(0.0, f64::max);
        // Between the places the map may bulge, by no more than the widest step.
        let widest = seen
            .chunks_exact(STEPS + 1)
            .flat_map(|line| line.windows(2).map(|pair| angle_between(pair[0], pair[1])))
            .chain((0..STEPS * (STEPS + 1)).map(|at| angle_between(seen[at], seen[at + STEPS + 1])))
            .fold(0.0, f64::max);
        Some(Self { centre, radius: (farthest + widest).min(std::f64::consts::PI) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn map() -> Wcs {
        Wcs::north_up("SIN", (201.4, -43.0), (149.5, 199.5), 30.0).expect("legal")
    }

    fn footprint(order: u8) -> Coverage {
        Coverage::of_pixels(&map(), (300, 400), order, |_, _| true).expect("coarse enough")
    }

    #[test]
    fn area_and_contents_are_those_of_the_map() {
        let coverage = footprint(11);
        let area = map().window_sr(0..300, 0..400) / (4.0 * std::f64::consts::PI);
        // 10,000 cells: the border leaves about one in a hundred.
        assert!((coverage.sky_fraction() / area - 1.0).abs() < 0.01, "{} {area}", coverage.sky_fraction());
        assert!(
            coverage.contains(201.4, -43.0) && !coverage.contains(201.4, 43.0) && !coverage.contains(f64::NAN, 0.0)
        );
        let half = Coverage::of_pixels(&map(), (300, 400), 11, |row, _| row < 150).expect("coarse enough");
        let rest = Coverage::of_pixels(&map(), (300, 400), 11, |row, _| row >= 150).expect("coarse enough");
        assert_eq!(half.union(&rest), coverage);
        let (order, cells) = coverage.cells();
        assert!(order == 11 && cells.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(cells.len() as f64 / (12.0 * 4.0_f64.powi(11)), coverage.sky_fraction());
        assert!(half.intersection(&rest).is_empty());
        assert_eq!(half.intersection(&coverage), half);
        let frames =
            [(0, 0), (0, 200), (100, 0), (100, 200)].map(|(row, col)| Window { row, col, n_rows: 200, n_cols: 200 });
        assert_eq!(Coverage::of_frames(&map(), frames, 11).expect("coarse enough"), coverage);
        let strips = [(0, 0), (0, 100)].map(|(row, col)| Window { row, col, n_rows: 300, n_cols: 300 });
        assert_eq!(Coverage::of_frames(&map(), strips, 11).expect("coarse enough"), coverage);
        let frame = Window { row: 0, col: 0, n_rows: 150, n_cols: 400 };
        assert_eq!(Coverage::of_frames(&map(), [frame], 11).expect("coarse enough"), half, "rows are no columns");
    }

    /// Cells found by trying all of the sky with astropy 8.0.2 and cdshealpix (Python), sets made by mocpy 0.21.0.
    #[test]
    fn cells_are_those_of_mocpy() {
        let ascii = footprint(6).to_ascii().expect("text");
        let words: Vec<&str> = ascii.split_whitespace().collect();
        assert_eq!(words.join(" "), "5/10815 6/43255 43259 43432 43434 43601 43603-43606");
        let same = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 1e-14, "{got} {want}");
        same(footprint(9).sky_fraction(), 0.000_201_225_280_761_718_75);
        same(footprint(11).sky_fraction(), 0.000_201_662_381_490_071_65);
        let half = Coverage::of_pixels(&map(), (300, 400), 9, |row, _| row < 150).expect("coarse enough");
        same(half.sky_fraction(), 0.000_104_586_283_365_885_43);
    }

    #[test]
    fn blank_pixels_are_left_out() {
        let mut pixels = Array2::<f32>::zeros((300, 400));
        pixels.slice_mut(ndarray::s![150.., ..]).fill(f32::NAN);
        let half = Coverage::of_pixels(&map(), (300, 400), 11, |row, _| row < 150).expect("coarse enough");
        assert_eq!(Coverage::of_mosaic(&pixels, &map(), 11).expect("in memory"), half);
    }

    #[test]
    fn the_ends_of_the_range() {
        let tiny = Coverage::of_pixels(&map(), (300, 400), 3, |_, _| true).expect("coarse");
        assert!(tiny.contains(201.4, -43.0), "smaller than a cell: the cell of its centre");
        assert!(Coverage::of_pixels(&map(), (0, 0), 8, |_, _| true).expect("empty").is_empty());
        assert!(matches!(Coverage::of_pixels(&map(), (300, 400), 19, |_, _| true), Err(Error::Coverage { .. })));
        let refused = Coverage::of_pixels(&map(), (300, 400), 18, |_, _| true).expect_err("too many cells");
        assert!(refused.to_string().contains("lower order"), "{refused}");
        let whole = Wcs::north_up("AIT", (0.0, 0.0), (90.0, 180.0), 3600.0).expect("legal");
        let sky = Coverage::of_pixels(&whole, (181, 361), 5, |_, _| true).expect("coarse");
        assert!(sky.sky_fraction() > 0.97, "{}", sky.sky_fraction());
    }

    #[test]
    fn files_are_read_back() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let coverage = footprint(9);
        let path = folder.path().join("footprint.fits");
        coverage.write(&path)?;
        assert_eq!(RangeMOC::<u64, Hpx<u64>>::from_fits_file(&path)?, coverage.moc);
        assert_eq!(std::fs::metadata(&path)?.len() % 2880, 0);
        coverage.write(&folder.path().join("footprint.json"))?;
        let json: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(folder.path().join("footprint.json"))?)?;
        assert!(json["9"].as_array().is_some_and(|cells| !cells.is_empty()), "{json}");
        coverage.write(&folder.path().join("footprint.txt"))?;
        assert_eq!(std::fs::read_to_string(folder.path().join("footprint.txt"))?, coverage.to_ascii()?);
        Ok(())
    }
}
