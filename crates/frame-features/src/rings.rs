//! A cutout in concentric rings: a description that turning and mirroring the sky leaves alone.
//!
//! It is the simplest honest rival of a network trained to ignore orientation: brightness against radius, and how lopsided
//! (m = 1), two-sided (m = 2) or four-armed (m = 4) each ring is.

use ndarray::{ArrayView2, ArrayView3};
use serde::{Deserialize, Serialize};

use crate::error::{FeatureError, check_not_empty, check_setting, finite_f32};

/// Every number that [`ring_features`] depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RingConfig {
    /// Rings of equal width, 1 to 1024.
    pub rings: usize,
    /// Outer radius of the last ring in units of half the shorter side, above 0 and at most 16: 1 is the largest circle
    /// inside the cutout, √2 reaches the corners of a square. Pixels at or beyond it are not looked at.
    pub outer_radius: f64,
    /// Azimuthal orders m, each 1 to 16.
    pub orders: Vec<u32>,
    /// Whether azimuthal moments are taken of the deviation from the ring's mean. Otherwise a flat ring has moments by its
    /// pixel grid (m = 4) and by the place of its blanks (every m).
    pub subtract_ring_mean: bool,
}

impl RingConfig {
    /// Sixteen rings out to the inscribed circle, m = 1, 2 and 4 of the deviation from the ring's mean.
    #[must_use]
    pub fn sixteen_rings() -> Self {
        Self { rings: 16, outer_radius: 1.0, orders: vec![1, 2, 4], subtract_ring_mean: true }
    }

    fn check(&self) -> Result<(), FeatureError> {
        check_setting((1..=1024).contains(&self.rings), "rings", "1 to 1024", self.rings)?;
        let radius = self.outer_radius;
        check_setting(radius > 0.0 && radius <= 16.0, "outer_radius", "above 0 and at most 16", radius)?;
        check_setting(self.orders.iter().all(|m| (1..=16).contains(m)), "orders", "each 1 to 16", &self.orders)
    }
}

/// Names of the columns of [`ring_features`], for example `channel0_ring03_m2`.
#[must_use]
pub fn ring_feature_names(n_channels: usize, config: &RingConfig) -> Vec<String> {
    let mut quantities: Vec<String> = ["mean", "max", "spread"].map(String::from).to_vec();
    quantities.extend(config.orders.iter().map(|m| format!("m{m}")));
    let rings = (0..n_channels).flat_map(|channel| (0..config.rings).map(move |ring| (channel, ring)));
    rings
        .flat_map(|(channel, ring)| quantities.iter().map(move |name| format!("channel{channel}_ring{ring:02}_{name}")))
        .collect()
}

/// Describes stretched channels ring by ring about the centre of the cutout.
///
/// For every channel and ring, inside out, with the mean taken over the ring's pixels that are not blank: mean, maximum,
/// spread (standard deviation, N in the denominator), and `|mean(w exp(i m φ))|` for every order m, where `w` is the pixel
/// or its deviation from the ring's mean. All are in the unit of the channels. A pixel belongs to the ring that its middle
/// lies in; a radius on an edge counts outwards. A ring without pixels gives zeros.
///
/// The result is the same, up to rounding, for the four quarter turns and the mirror images of the cutout, also where it is
/// not square.
///
/// # Shapes
/// - `channels`: `[C, H, W]`, meant to be in `[0, 1]`; non-finite pixels are blank.
/// - result: `C * rings * (3 + orders.len())` values in the order of [`ring_feature_names`].
/// # Errors
/// [`FeatureError::Empty`], [`FeatureError::AllBlank`] for a channel without data, [`FeatureError::Setting`].
pub fn ring_features(channels: ArrayView3<f32>, config: &RingConfig) -> Result<Vec<f32>, FeatureError> {
    let (n_channels, rows, cols) = channels.dim();
    check_not_empty(n_channels, rows, cols)?;
    config.check()?;
    let rings = ring_pixels(rows, cols, config);
    let mut features = Vec::with_capacity(n_channels * config.rings * (3 + config.orders.len()));
    for (channel, plane) in channels.outer_iter().enumerate() {
        if !plane.iter().any(|v| v.is_finite()) {
            return Err(FeatureError::AllBlank { channel, rows, cols });
        }
        for ring in &rings {
            describe_ring(plane, ring, config, &mut features);
        }
    }
    Ok(features)
}

/// A pixel of a ring and the direction in which it is seen from the centre.
#[derive(Clone, Copy)]
struct RingPixel {
    row: u32,
    col: u32,
    cos: f64,
    sin: f64,
}

/// The pixels of every ring, in row order.
fn ring_pixels(rows: usize, cols: usize, config: &RingConfig) -> Vec<Vec<RingPixel>> {
    let mut rings = vec![Vec::new(); config.rings];
    let width = 0.5 * rows.min(cols) as f64 * config.outer_radius / config.rings as f64;
    // Offsets in half pixels are whole numbers: turned and mirrored pixels have the same radius to the last bit.
    let half_pixels = |place: usize, side: usize| 2.0 * place as f64 - (side as f64 - 1.0);
    for row in 0..rows {
        let y = half_pixels(row, rows);
        for col in 0..cols {
            let x = half_pixels(col, cols);
            let twice_radius = (x * x + y * y).sqrt();
            if let Some(ring) = rings.get_mut((0.5 * twice_radius / width) as usize) {
                // The centre has no direction; it pulls nowhere.
                let scale = if twice_radius > 0.0 { twice_radius.recip() } else { 0.0 };
                ring.push(RingPixel { row: row as u32, col: col as u32, cos: x * scale, sin: y * scale });
            }
        }
    }
    rings
}

fn describe_ring(plane: ArrayView2<f32>, ring: &[RingPixel], config: &RingConfig, features: &mut Vec<f32>) {
    let seen: Vec<(f64, RingPixel)> = ring
        .iter()
        .map(|pixel| (f64::from(plane[(pixel.row as usize, pixel.col as usize)]), *pixel))
        .filter(|(value, _)| value.is_finite())
        .collect();
    if seen.is_empty() {
        features.resize(features.len() + 3 + config.orders.len(), 0.0);
        return;
    }
    let n = seen.len() as f64;
    let mut max = f64::NEG_INFINITY;
    let mut sum = 0.0;
    for (value, _) in &seen {
        max = max.max(*value);
        sum += value;
    }
    let mean = sum / n;
    let base = if config.subtract_ring_mean { mean } else { 0.0 };

    let highest = config.orders.iter().copied().max().unwrap_or(0) as usize;
    let mut squares = 0.0;
    let mut moments = vec![(0.0, 0.0); highest];
    for (value, pixel) in &seen {
        squares += (value - mean) * (value - mean);
        let w = value - base;
        let (mut cos, mut sin) = (pixel.cos, pixel.sin);
        for moment in &mut moments {
            moment.0 += w * cos;
            moment.1 += w * sin;
            (cos, sin) = (cos * pixel.cos - sin * pixel.sin, cos * pixel.sin + sin * pixel.cos);
        }
    }
    features.extend([mean, max, (squares / n).sqrt()].map(finite_f32));
    features.extend(config.orders.iter().map(|&m| {
        let (re, im) = moments[m as usize - 1];
        finite_f32(re.hypot(im) / n)
    }));
}
