//! A simulated map without a file: the window interface of a mosaic on a sky.
//!
//! Windows are made when asked for, with the bits the file would have, so a survey can be cut into frames without disk.

use crate::sky::{Sky, render_window};
use ndarray::Array2;
use radio_io::{FitsError, PixelSource};

impl PixelSource for Sky {
    fn rows(&self) -> usize {
        self.config.side
    }

    fn cols(&self) -> usize {
        self.config.side
    }

    fn window(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> Result<Array2<f32>, FitsError> {
        let side = self.config.side;
        let fits = |from: usize, n: usize| from.checked_add(n).is_some_and(|end| end <= side);
        if !fits(row, n_rows) || !fits(col, n_cols) {
            let path = self.path().to_path_buf();
            return Err(FitsError::OutsideImage { path, row, col, n_rows, n_cols, rows: side, cols: side });
        }
        Ok(render_window(self, row, col, n_rows, n_cols))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SimConfig, Tier};

    #[test]
    fn windows_inside_are_the_map_and_others_are_refused() {
        let sky = Sky::new(&SimConfig::emu_pilot(Tier::Tiny, 1)).unwrap();
        let window = sky.window(2047, 5, 1, 9).unwrap();
        assert_eq!(window, render_window(&sky, 2047, 5, 1, 9));
        for (row, col, n, m) in [(2048, 0, 1, 1), (0, 2040, 1, 9), (usize::MAX, 0, 2, 1)] {
            assert!(matches!(sky.window(row, col, n, m), Err(FitsError::OutsideImage { .. })), "{row} {col} {n} {m}");
        }
        assert_eq!(sky.window(0, 0, 0, 4).unwrap().len(), 0);
    }
}
