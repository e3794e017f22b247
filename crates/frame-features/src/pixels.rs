//! A cutout as one short row of pixels: what principal components are taken of.

use ndarray::{Array2, ArrayView3};
use serde::{Deserialize, Serialize};

use crate::{
    area_average::area_average,
    error::{FeatureError, check_not_empty, check_setting},
};

/// Every number that [`pixel_row`] depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelConfig {
    /// Side in pixels of the shrunken channels, 1 to 1024.
    pub side: usize,
    /// Whether the four quarter turns of the shrunken channel are averaged: turning the cutout then changes nothing, at the
    /// price of everything lopsided or two-sided (m = 1 and 2 cancel).
    pub average_turns: bool,
}

impl PixelConfig {
    /// 32 x 32 pixels as they lie on the sky.
    #[must_use]
    pub fn thirty_two() -> Self {
        Self { side: 32, average_turns: false }
    }
}

/// The channels, each averaged over areas to `side` x `side` pixels, as one row: channel by channel, row by row.
///
/// In the unit of the channels; blank where everything covered is blank, which becomes 0 (the recipe's own value of a
/// blank) before turns are averaged. A cutout that is not square is squeezed.
///
/// # Shapes
/// - `channels`: `[C, H, W]`; non-finite pixels are blank.
/// - result: `C * side * side` values.
/// # Errors
/// [`FeatureError::Empty`], [`FeatureError::AllBlank`] for a channel without data, [`FeatureError::Setting`].
pub fn pixel_row(channels: ArrayView3<f32>, config: &PixelConfig) -> Result<Vec<f32>, FeatureError> {
    let (n_channels, rows, cols) = channels.dim();
    check_not_empty(n_channels, rows, cols)?;
    check_setting((1..=1024).contains(&config.side), "side", "1 to 1024", config.side)?;
    let mut row = Vec::with_capacity(n_channels * config.side * config.side);
    for (channel, plane) in channels.outer_iter().enumerate() {
        let mut small = area_average(plane, config.side);
        if small.iter().all(|v| v.is_nan()) {
            return Err(FeatureError::AllBlank { channel, rows, cols });
        }
        small.mapv_inplace(|v| if v.is_nan() { 0.0 } else { v });
        row.extend(if config.average_turns { mean_of_quarter_turns(&small) } else { small });
    }
    Ok(row)
}

fn mean_of_quarter_turns(square: &Array2<f32>) -> Array2<f32> {
    let last = square.nrows() - 1;
    Array2::from_shape_fn(square.dim(), |(y, x)| {
        let turned = [(y, x), (x, last - y), (last - y, last - x), (last - x, y)];
        (turned.iter().map(|&place| f64::from(square[place])).sum::<f64>() / 4.0) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, arr3};

    #[test]
    fn channels_then_rows_then_columns_and_blanks_are_zero() {
        let channels = arr3(&[[[1.0, 2.0], [3.0, f32::NAN]], [[5.0, 6.0], [7.0, 8.0]]]);
        let mut config = PixelConfig { side: 2, average_turns: false };
        assert_eq!(pixel_row(channels.view(), &config).unwrap(), [1.0, 2.0, 3.0, 0.0, 5.0, 6.0, 7.0, 8.0]);
        config.average_turns = true;
        assert_eq!(pixel_row(channels.view(), &config).unwrap(), [1.5, 1.5, 1.5, 1.5, 6.5, 6.5, 6.5, 6.5]);
        // Three by three: corners share a mean, edges another, the middle keeps its own.
        let grid = Array3::from_shape_fn((1, 3, 3), |(_, y, x)| {
            [[1.0, 10.0, 2.0], [20.0, 99.0, 30.0], [3.0, 40.0, 6.0]][y][x]
        });
        config.side = 3;
        assert_eq!(pixel_row(grid.view(), &config).unwrap(), [3.0, 25.0, 3.0, 25.0, 99.0, 25.0, 3.0, 25.0, 3.0]);
    }
}
