//! A pair of pixel values, lower and upper: what clipping, zscale and MinMax are all about.

/// Two pixel values in the image's unit (Jy/beam for a cutout), `low <= high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The lower value.
    pub low: f64,
    /// The upper value.
    pub high: f64,
}

impl Limits {
    /// `high - low`.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.high - self.low
    }
}
