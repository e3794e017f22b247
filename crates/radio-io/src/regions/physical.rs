//! DS9's and IRAF's `physical` coordinates: the pixels of the image from which this one was cut.

use super::to_pixel::Local;
use crate::header::Header;

/// From physical to image coordinates: `pixel = LTM · physical + LTV`, both counted from 1, column first (IRAF's logical and physical
/// coordinates, which DS9 follows). Places here are (column, row) from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhysicalPixels {
    /// LTM.
    matrix: [[f64; 2]; 2],
    /// LTV.
    shift: (f64, f64),
}

impl PhysicalPixels {
    /// The LTM and LTV keywords of the axes (from 0) that count columns and rows; `None` without any of them, and for a matrix without
    /// inverse. What is missing of them is that of no change.
    pub fn from_header(header: &Header, image_axes: (usize, usize)) -> Option<Self> {
        let (first, second) = (image_axes.0 + 1, image_axes.1 + 1);
        let entry = |i: usize, j: usize| header.float(&format!("LTM{i}_{j}"));
        let vector = |i: usize| header.float(&format!("LTV{i}"));
        let entries = [entry(first, first), entry(first, second), entry(second, first), entry(second, second)];
        let present = entries.iter().chain(&[vector(first), vector(second)]).any(Option::is_some);
        let [a, b, c, d] = entries;
        let matrix = [[a.unwrap_or(1.0), b.unwrap_or(0.0)], [c.unwrap_or(0.0), d.unwrap_or(1.0)]];
        let determinant = matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0];
        let shift = (vector(first).unwrap_or(0.0), vector(second).unwrap_or(0.0));
        (present && determinant.is_normal()).then_some(Self { matrix, shift })
    }

    /// Image (column, row) of a physical one.
    pub fn to_image(&self, physical: (f64, f64)) -> (f64, f64) {
        let (x, y) = self.turned((physical.0 + 1.0, physical.1 + 1.0));
        (x + self.shift.0 - 1.0, y + self.shift.1 - 1.0)
    }

    /// The linear part, with the x axis of physical coordinates in the place of west.
    pub(super) fn local(&self, centre: (f64, f64)) -> Local {
        Local { centre: self.to_image(centre), east: self.turned((-1.0, 0.0)), north: self.turned((0.0, 1.0)) }
    }

    fn turned(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let [[a, b], [c, d]] = self.matrix;
        (a * x + b * y, c * x + d * y)
    }
}
