//! What counts as a blank pixel, and how interpolation treats one.
//!
//! Upstream replaces NaN by 0 at once, so that a real zero and a blank can no longer be told apart. Here a blank is NaN until
//! the recipe ends, unless parity with upstream is asked for.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::{compact::compact, scratch::Scratch, vectorise::vectorised};

/// Which pixels are blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlankRule {
    /// A blank is NaN and stays NaN until the recipe ends, where it becomes 0. A zero is data.
    ///
    /// Statistics leave blanks out. Interpolation (resize, crop) renormalises its weights over the pixels that are not blank
    /// and gives a blank where less than half of the weight is left; blur renormalises and leaves blanks blank; everything
    /// else passes them through.
    #[default]
    Nan,
    /// Upstream's rule: NaN becomes 0 first; later every 0 is left out of clipping, MinMax and percentiles, but enters the
    /// zscale samples, interpolation, blur and the mean of the colour jitter.
    ZeroIsBlank,
}

impl BlankRule {
    /// What a blank pixel holds.
    pub(crate) fn blank(self) -> f32 {
        match self {
            BlankRule::Nan => f32::NAN,
            BlankRule::ZeroIsBlank => 0.0,
        }
    }

    /// Whether a pixel is data.
    #[inline(always)]
    pub(crate) fn counts(self, v: f32) -> bool {
        v.is_finite() & ((self == BlankRule::Nan) | (v != 0.0))
    }

    /// The pixels of `plane` that count, and perhaps non-finite ones, which statistics pass over by themselves.
    pub(crate) fn counting_values(self, plane: &[f32]) -> CountingValues<'_> {
        match self {
            BlankRule::ZeroIsBlank if has_zero(plane) => CountingValues::Compacted(compact(plane, |v| v != 0.0)),
            _ => CountingValues::All(plane),
        }
    }
}

/// What [`BlankRule::counting_values`] found.
pub(crate) enum CountingValues<'a> {
    All(&'a [f32]),
    Compacted(Scratch),
}

impl Deref for CountingValues<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::All(plane) => plane,
            Self::Compacted(values) => values,
        }
    }
}

vectorised! {
    /// Whether a pixel is NaN or infinite.
    pub(crate) fn has_non_finite(plane: &[f32]) -> bool {
        plane.iter().fold(false, |found, v| found | !v.is_finite())
    }
}

vectorised! {
    fn has_zero(plane: &[f32]) -> bool {
        plane.iter().fold(false, |found, &v| found | (v == 0.0))
    }
}

vectorised! {
    /// How many pixels are NaN or infinite.
    pub(crate) fn count_non_finite(plane: &[f32]) -> usize {
        plane.iter().map(|v| usize::from(!v.is_finite())).sum()
    }
}

/// Interpolation of planes with blanks: values and weights (1, or 0 for a blank) are interpolated alike and divided.
///
/// The channels of a cutout have the same blanks, so the weights of one plane usually serve the next as well.
#[derive(Default)]
pub(crate) struct MaskedInterpolation {
    weights: Scratch,
    interpolated: Scratch,
}

impl MaskedInterpolation {
    /// Writes the interpolated plane to `out`, its values not yet divided, and returns the weights before and after.
    pub(crate) fn run(
        &mut self,
        plane: &[f32],
        out: &mut [f32],
        values: impl Fn(&[f32], &mut [f32]),
        weights: impl Fn(&[f32], &mut [f32]),
    ) -> (&[f32], &[f32]) {
        let (mut filled, mut weights_here) = (Scratch::copy_of(plane), Scratch::new(plane.len()));
        split_mask(&mut filled, &mut weights_here);
        values(&filled, out);
        if *self.weights != *weights_here || self.interpolated.len() != out.len() {
            self.interpolated = Scratch::new(out.len());
            weights(&weights_here, &mut self.interpolated);
            self.weights = weights_here;
        }
        (&self.weights, &self.interpolated)
    }
}

vectorised! {
    /// Sets blanks to 0 and writes every pixel's weight.
    fn split_mask(values: &mut [f32], weights: &mut [f32]) {
        for (value, weight) in values.iter_mut().zip(weights) {
            *weight = if value.is_finite() { 1.0 } else { 0.0 };
            *value = if value.is_finite() { *value } else { 0.0 };
        }
    }
}

vectorised! {
    /// Divides interpolated `values` by the interpolated `weights`; blank where less than half of the weight is left.
    ///
    /// Half is the share at which a pixel is more sky than gap, and keeps bicubic's negative lobes away from a division by 0.
    pub(crate) fn renormalise(values: &mut [f32], weights: &[f32]) {
        for (value, weight) in values.iter_mut().zip(weights) {
            let mean = *value / *weight;
            *value = if *weight >= 0.499_999 { mean } else { f32::NAN };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_finite_pixels_are_found_and_zeros_are_data() {
        let clean = vec![0.0, -1.0, f32::MIN_POSITIVE, -0.0, f32::MAX];
        assert!(!has_non_finite(&clean) && count_non_finite(&clean) == 0);
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 17, 99] {
                let mut plane = vec![1.0; 100];
                plane[place] = bad;
                assert!(has_non_finite(&plane) && count_non_finite(&plane) == 1);
            }
        }
        assert_eq!(BlankRule::Nan.counting_values(&clean).len(), 5);
        assert_eq!(BlankRule::ZeroIsBlank.counting_values(&clean).len(), 3);
    }
}
