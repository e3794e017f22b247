//! Mirroring a frame left-right and up-down, exactly.

use ndarray::Array3;
use rand::Rng;

use crate::row_order::{in_row_order, planes_mut};

/// Which way a frame is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlipDraw {
    /// Left and right change places.
    Horizontal,
    /// Top and bottom change places.
    Vertical,
}

impl FlipDraw {
    /// One of the two or none, never both: horizontal with probability `horizontal`, vertical with `vertical`.
    ///
    /// # Source
    /// reference-facts C1: the authors' code draws exclusive thirds, where the paper prints two separate probabilities of 0.33.
    pub fn draw_exclusive(horizontal: f64, vertical: f64, rng: &mut impl Rng) -> Option<Self> {
        let u = rng.random::<f64>();
        if u < horizontal {
            Some(FlipDraw::Horizontal)
        } else if u < horizontal + vertical {
            Some(FlipDraw::Vertical)
        } else {
            None
        }
    }
}

/// Mirrors channels `[C, H, W]`.
#[must_use]
pub fn flip(channels: Array3<f32>, direction: FlipDraw) -> Array3<f32> {
    let width = channels.dim().2;
    let mut channels = in_row_order(channels);
    planes_mut(&mut channels).for_each(|plane| match direction {
        FlipDraw::Horizontal => plane.chunks_exact_mut(width).for_each(<[f32]>::reverse),
        FlipDraw::Vertical => turn_over(plane, width),
    });
    channels
}

fn turn_over(plane: &mut [f32], width: usize) {
    let (upper, lower) = plane.split_at_mut(plane.len() / width / 2 * width);
    for (a, b) in upper.chunks_exact_mut(width).zip(lower.rchunks_exact_mut(width)) {
        a.swap_with_slice(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn each_flip_mirrors_its_own_axis() {
        let frame = array![[[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]]];
        assert_eq!(flip(frame.clone(), FlipDraw::Horizontal), array![[[2.0, 1.0], [4.0, 3.0], [6.0, 5.0]]]);
        assert_eq!(flip(frame.clone(), FlipDraw::Vertical), array![[[5.0, 6.0], [3.0, 4.0], [1.0, 2.0]]]);
        let turned = frame.clone().reversed_axes();
        assert_eq!(
            flip(turned.clone(), FlipDraw::Vertical),
            flip(turned.as_standard_layout().to_owned(), FlipDraw::Vertical)
        );
    }
}
