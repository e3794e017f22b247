//! How much sky a pixel or a window covers.

use std::ops::Range;

use super::Wcs;
use crate::celestial::{Direction, solid_angle::signed_sr};

impl Wcs {
    /// Solid angle of one pixel, steradians; `None` where a corner shows no sky.
    pub fn pixel_sr(&self, row: usize, col: usize) -> Option<f64> {
        let quad = self.quad(&(row..row + 1), &(col..col + 1))?;
        Some(signed_sr(&quad).abs())
    }

    /// Solid angle of a window, steradians; pixels of which a corner shows no sky count nothing. The sum over up to 128 × 128 blocks whose
    /// common sides cancel, so that only the outer border is taken as a chain of great circles.
    pub fn window_sr(&self, rows: Range<usize>, cols: Range<usize>) -> f64 {
        self.blocks_sr(&rows, &cols, 128)
    }

    fn blocks_sr(&self, rows: &Range<usize>, cols: &Range<usize>, pieces: usize) -> f64 {
        let mut sum = 0.0;
        for block_rows in split(rows, pieces) {
            for block_cols in split(cols, pieces) {
                sum += match self.quad(&block_rows, &block_cols) {
                    Some(quad) => signed_sr(&quad).abs(),
                    None if block_rows.len() * block_cols.len() == 1 => 0.0,
                    None => self.blocks_sr(&block_rows, &block_cols, 2),
                };
            }
        }
        sum
    }

    /// The corners of a block, on the outer edges of its pixels.
    fn quad(&self, rows: &Range<usize>, cols: &Range<usize>) -> Option<[Direction; 4]> {
        let (top, bottom) = (rows.start as f64 - 0.5, rows.end as f64 - 0.5);
        let (left, right) = (cols.start as f64 - 0.5, cols.end as f64 - 0.5);
        let corner = |row, col| self.own_direction(row, col);
        Some([corner(top, left)?, corner(top, right)?, corner(bottom, right)?, corner(bottom, left)?])
    }
}

fn split(range: &Range<usize>, pieces: usize) -> impl Iterator<Item = Range<usize>> {
    let (start, end) = (range.start, range.end);
    let step = end.saturating_sub(start).div_ceil(pieces).max(1);
    (start..end).step_by(step).map(move |from| from..(from + step).min(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{card::Card, header::Header};
    use std::{f64::consts::PI, path::Path};

    fn wcs(code: &str, reference: (f64, f64), pixel: (f64, f64), step: f64) -> Wcs {
        let mut cards =
            vec![Card::new("CTYPE1", format!("RA---{code}"), ""), Card::new("CTYPE2", format!("DEC--{code}"), "")];
        let numbers = [
            ("CRVAL1", reference.0),
            ("CRVAL2", reference.1),
            ("CRPIX1", pixel.1 + 1.0),
            ("CRPIX2", pixel.0 + 1.0),
            ("CDELT1", -step),
            ("CDELT2", step),
        ];
        cards.extend(numbers.map(|(keyword, value)| Card::new(keyword, value, "")));
        Wcs::from_header(&Header::from_cards(&cards), (0, 1), Path::new("test")).expect("legal").expect("a sky")
    }

    #[test]
    fn equal_area_maps_have_pixels_of_equal_area() {
        let step = 0.05_f64;
        let expected = step.to_radians().powi(2);
        for (code, centre) in [("ZEA", (30.0, -50.0)), ("CEA", (30.0, 0.0)), ("SFL", (30.0, 0.0))] {
            let map = wcs(code, centre, (500.0, 500.0), step);
            for (row, col) in [(500, 500), (0, 0), (999, 300)] {
                let area = map.pixel_sr(row, col).expect("on the map");
                // The sides of a pixel are no great circles; that is of the order of its size squared.
                assert!((area / expected - 1.0).abs() < 1e-5, "{code} {row} {col}: {}", area / expected);
            }
            let window = map.window_sr(100..700, 200..900);
            assert!((window / (expected * 420_000.0) - 1.0).abs() < 1e-5, "{code}: {}", window / expected / 420_000.0);
        }
    }

    /// A window is the sum of its pixels, also where the map ends; a whole hemisphere is 2π less the jagged border.
    #[test]
    fn a_window_is_the_sum_of_its_pixels() {
        let map = wcs("SIN", (10.0, -30.0), (20.0, 20.0), 2.0);
        let pixels: f64 =
            (0..41).flat_map(|row| (0..41).map(move |col| (row, col))).filter_map(|(r, c)| map.pixel_sr(r, c)).sum();
        // Blocks of one pixel: the same pixels.
        assert!((map.window_sr(0..41, 0..41) - pixels).abs() < 1e-12);
        let fine = wcs("SIN", (10.0, -30.0), (600.0, 600.0), 0.1);
        let hemisphere = fine.window_sr(0..1201, 0..1201);
        assert!((hemisphere / (2.0 * PI) - 1.0).abs() < 0.1 && hemisphere < 2.0 * PI, "{hemisphere}");
        let whole = wcs("CAR", (180.0, 0.0), (89.5, 179.5), 1.0);
        assert!(
            (whole.window_sr(0..180, 0..360) / (4.0 * PI) - 1.0).abs() < 1e-4,
            "{}",
            whole.window_sr(0..180, 0..360)
        );
        assert_eq!(map.window_sr(5..5, 0..9), 0.0);
    }
}
