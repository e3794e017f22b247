//! One geometric step as an affine map of pixel coordinates.

use std::f64::consts::PI;

use crate::geometry::PixelBox;

/// From a place in the result to the place in the frame it shows; pixel centres have whole coordinates `(row, col)`.
///
/// Frame and result have the same size, for every augmenter keeps it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelMap {
    /// `row = r[0] * row' + r[1] * col' + r[2]` of a place `(row', col')` in the result.
    row: [f64; 3],
    /// The same for the column.
    col: [f64; 3],
}

impl PixelMap {
    /// Every pixel stays.
    pub const IDENTITY: Self = Self { row: [1.0, 0.0, 0.0], col: [0.0, 1.0, 0.0] };

    /// Left and right change places in frames of `cols` columns.
    #[must_use]
    pub fn flip_horizontal(cols: usize) -> Self {
        Self { col: [0.0, -1.0, cols as f64 - 1.0], ..Self::IDENTITY }
    }

    /// Top and bottom change places in frames of `rows` rows.
    #[must_use]
    pub fn flip_vertical(rows: usize) -> Self {
        Self { row: [-1.0, 0.0, rows as f64 - 1.0], ..Self::IDENTITY }
    }

    /// `turns` quarter turns clockwise of a frame `[rows, cols]`, brought back to its size as
    /// [`quarter_turns_keeping_size`](crate::quarter_turns_keeping_size) does.
    #[must_use]
    pub fn quarter_turns(turns: u32, rows: usize, cols: usize) -> Self {
        let (last_row, last_col) = (rows as f64 - 1.0, cols as f64 - 1.0);
        // Resized place to place in the turned frame, which has `cols` rows; 1 for a square.
        let (down, across) = (cols as f64 / rows as f64, rows as f64 / cols as f64);
        let (row_shift, col_shift) = (0.5 * down - 0.5, 0.5 * across - 0.5);
        match turns % 4 {
            0 => Self::IDENTITY,
            1 => Self { row: [0.0, -across, last_row - col_shift], col: [down, 0.0, row_shift] },
            2 => Self { row: [-1.0, 0.0, last_row], col: [0.0, -1.0, last_col] },
            _ => Self { row: [0.0, across, col_shift], col: [-down, 0.0, last_col - row_shift] },
        }
    }

    /// A turn by `degrees` clockwise about the middle of a frame `[rows, cols]`, size and scale kept.
    #[must_use]
    pub fn rotation(degrees: f64, rows: usize, cols: usize) -> Self {
        let (sin, cos) = (degrees * PI / 180.0).sin_cos();
        let (y, x) = (0.5 * (rows as f64 - 1.0), 0.5 * (cols as f64 - 1.0));
        Self { row: [cos, -sin, y - cos * y + sin * x], col: [sin, cos, x - sin * y - cos * x] }
    }

    /// `factor` times as large about the middle of a frame `[rows, cols]`, which keeps its size.
    #[must_use]
    pub fn zoom(factor: f64, rows: usize, cols: usize) -> Self {
        let (y, x, step) = (0.5 * (rows as f64 - 1.0), 0.5 * (cols as f64 - 1.0), factor.recip());
        Self { row: [step, 0.0, y - step * y], col: [0.0, step, x - step * x] }
    }

    /// A shift by whole pixels, down and to the right if positive.
    #[must_use]
    pub fn translation(rows: i64, cols: i64) -> Self {
        Self { row: [1.0, 0.0, -(rows as f64)], col: [0.0, 1.0, -(cols as f64)] }
    }

    /// The window at `(top, left)` of `rows x cols` pixels enlarged to `to.0 x to.1`.
    #[must_use]
    pub fn enlarged_window(top: usize, left: usize, rows: usize, cols: usize, to: (usize, usize)) -> Self {
        let (down, across) = (rows as f64 / to.0 as f64, cols as f64 / to.1 as f64);
        Self { row: [down, 0.0, 0.5 * down - 0.5 + top as f64], col: [0.0, across, 0.5 * across - 0.5 + left as f64] }
    }

    /// The place in the frame that the result shows at `(row, col)`.
    #[must_use]
    pub fn source(&self, row: f64, col: f64) -> (f64, f64) {
        let at = |m: &[f64; 3]| m[0] * row + m[1] * col + m[2];
        (at(&self.row), at(&self.col))
    }

    /// The place in the result at which the frame's `(row, col)` is seen.
    #[must_use]
    pub fn target(&self, row: f64, col: f64) -> (f64, f64) {
        let ([a, b, e], [c, d, f]) = (self.row, self.col);
        let (y, x, det) = (row - e, col - f, a * d - b * c);
        ((d * y - b * x) / det, (a * x - c * y) / det)
    }

    /// The upright box around a box of the frame as the result shows it; not yet cut at the edge.
    #[must_use]
    pub fn hull(&self, frame: &PixelBox) -> PixelBox {
        let corners = [
            (frame.top, frame.left),
            (frame.top, frame.right),
            (frame.bottom, frame.left),
            (frame.bottom, frame.right),
        ];
        // Box edges lie half a pixel before the centre of the pixel they start.
        let moved = corners.map(|(y, x)| self.target(y - 0.5, x - 0.5));
        let over = |pick: fn(&(f64, f64)) -> f64, fold: fn(f64, f64) -> f64| {
            moved.iter().map(pick).reduce(fold).unwrap_or_default() + 0.5
        };
        PixelBox {
            top: over(|p| p.0, f64::min),
            left: over(|p| p.1, f64::min),
            bottom: over(|p| p.0, f64::max),
            right: over(|p| p.1, f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps() -> Vec<PixelMap> {
        let turns =
            (0..4).flat_map(|turns| [PixelMap::quarter_turns(turns, 8, 8), PixelMap::quarter_turns(turns, 6, 10)]);
        let others = [
            PixelMap::flip_horizontal(7),
            PixelMap::flip_vertical(5),
            PixelMap::rotation(33.0, 9, 12),
            PixelMap::zoom(0.7, 9, 12),
            PixelMap::translation(-3, 4),
            PixelMap::enlarged_window(2, 1, 8, 9, (10, 12)),
        ];
        turns.chain(others).collect()
    }

    #[test]
    fn target_undoes_source() {
        for map in maps() {
            for (row, col) in [(0.0, 0.0), (3.0, 4.5), (-2.0, 7.0)] {
                let (y, x) = map.source(row, col);
                let back = map.target(y, x);
                assert!((back.0 - row).abs() + (back.1 - col).abs() < 1e-9, "{map:?}: {back:?}");
            }
        }
    }

    /// The edges of the window become the edges of the frame: half a pixel is not lost.
    #[test]
    fn an_enlarged_window_fills_the_frame() {
        let map = PixelMap::enlarged_window(2, 1, 8, 9, (16, 27));
        let hull = map.hull(&PixelBox { top: 2.0, left: 1.0, bottom: 10.0, right: 10.0 });
        let off = hull.top.abs() + hull.left.abs() + (hull.bottom - 16.0).abs() + (hull.right - 27.0).abs();
        assert!(off < 1e-9, "{hull:?}");
        let (row, col) = map.source(0.0, 0.0);
        assert!((row - 1.75).abs() < 1e-12 && (col - 2.0 / 3.0).abs() < 1e-12, "({row}, {col})");
    }

    /// Clockwise, as a quarter turn: the pixel right of the middle goes below it.
    #[test]
    fn a_rotation_by_90_degrees_is_a_quarter_turn() {
        let (turn, rotation) = (PixelMap::quarter_turns(1, 9, 9), PixelMap::rotation(90.0, 9, 9));
        assert_eq!(turn.target(4.0, 5.0), (5.0, 4.0));
        let (y, x) = rotation.target(4.0, 5.0);
        assert!((y - 5.0).abs() + (x - 4.0).abs() < 1e-12);
        // A frame that is not square: the whole frame stays the whole frame.
        let whole = PixelBox { top: 0.0, left: 0.0, bottom: 6.0, right: 10.0 };
        for turns in 0..4 {
            let hull = PixelMap::quarter_turns(turns, 6, 10).hull(&whole);
            let off = (hull.top.abs() + hull.left.abs()) + (hull.bottom - 6.0).abs() + (hull.right - 10.0).abs();
            assert!(off < 1e-9, "{turns}: {hull:?}");
        }
    }
}
