//! The local rms: footprints of overlapping primary beams, large-scale scatter, seams, and the ragged blank border.
//!
//! A footprint is a grid of beams, rows shifted by half a pitch. Where few beams overlap the noise rises; beyond a limit the
//! map is blank. Footprints meet along straight seams, where noise and zero level step.

use crate::address::{Address, Layer};
use crate::config::SimConfig;
use crate::draw::{normal, uniform};
use std::f64::consts::{LN_2, TAU};

/// Pixels between nodes of the rms grid.
const NODE: i64 = 64;
/// Waves of the large-scale scatter.
const WAVES: usize = 32;
/// Width over which a seam's step rises, pixels.
const SEAM_RISE_PX: f64 = 6.0;

/// A straight piece of border between two footprints.
#[derive(Debug, Clone, PartialEq)]
pub struct Seam {
    /// Whether the seam runs along a column (between left and right footprints).
    pub vertical: bool,
    /// Column (vertical) or row (horizontal) of the seam, pixels.
    pub at: f64,
    /// First and last pixel along it.
    pub span: (f64, f64),
    /// Factor on the noise on the noisy side.
    pub noise_step: f64,
    /// Step of the zero level on the other side, in sigma.
    pub level_step: f64,
    /// Which side is noisy: +1 the higher pixels, -1 the lower.
    pub noisy_side: f64,
    /// Half width of a narrow line of offset, pixels, and its sign; 0 for none.
    pub line: (f64, f64),
}

/// Thermal noise of the map as a function of place, and the seams.
#[derive(Debug, Clone)]
pub struct RmsField {
    first: i64,
    columns: usize,
    /// Noise over that of the middle of the coverage, without scatter.
    depth: Vec<f32>,
    /// The same with large-scale scatter, in Jy/beam.
    sigma: Vec<f32>,
    blank_above: f32,
    fade: f64,
    thermal: f64,
    /// All seams that cross the mosaic.
    pub seams: Vec<Seam>,
}

impl RmsField {
    /// Computes the grid of nodes that covers the mosaic.
    pub fn new(config: &SimConfig) -> Self {
        let c = &config.coverage;
        let deg = config.pixel_arcsec / 3600.0;
        let middle = (config.side as f64 - 1.0) / 2.0;
        let beams = primary_beams(config);
        let first = -1i64;
        let columns = config.side.div_ceil(NODE as usize) + 3;
        let reach2 = (2.5 * c.primary_beam_deg).powi(2);
        let mut depth = vec![f32::INFINITY; columns * columns];
        for (i, line) in depth.chunks_exact_mut(columns).enumerate() {
            let y = (((first + i as i64) * NODE) as f64 - middle) * deg;
            let near: Vec<&(f64, f64)> = beams.iter().filter(|b| (b.0 - y).powi(2) < reach2).collect();
            for (j, v) in line.iter_mut().enumerate() {
                let x = (((first + j as i64) * NODE) as f64 - middle) * deg;
                let sum: f64 = near
                    .iter()
                    .map(|b| (b.0 - y).powi(2) + (b.1 - x).powi(2))
                    .filter(|d2| *d2 < reach2)
                    // Squared response of a Gaussian primary beam.
                    .map(|d2| (-8.0 * LN_2 * d2 / c.primary_beam_deg.powi(2)).exp())
                    .sum();
                *v = (1.0 / sum.sqrt()) as f32;
            }
        }
        let mut inner: Vec<f32> = depth.clone();
        inner.sort_by(f32::total_cmp);
        let least = inner[0];
        let inner = &inner[..inner.partition_point(|v| *v < 1.1 * least).max(1)];
        let norm = inner[inner.len() / 2];
        let mut rng = Address { seed: config.seed, layer: Layer::RmsField, y: 0, x: 0, index: 0 }.rng();
        // A Gaussian field of correlation length L is a sum of waves with normal wave numbers of scatter 1/L.
        let k = deg / config.noise.rms_scale_deg;
        let waves: Vec<[f64; 3]> =
            (0..WAVES).map(|_| [normal(&mut rng) * k, normal(&mut rng) * k, uniform(&mut rng, 0.0, TAU)]).collect();
        let thermal = config.noise.thermal_ujy * 1e-6;
        let mut sigma = vec![0f32; depth.len()];
        for (n, v) in depth.iter_mut().enumerate() {
            // Far outside the coverage any large finite number serves: it is blank there.
            *v = (*v / norm).min(1e3);
            let (y, x) =
                (((first + (n / columns) as i64) * NODE) as f64, ((first + (n % columns) as i64) * NODE) as f64);
            let u: f64 =
                waves.iter().map(|w| (w[0] * y + w[1] * x + w[2]).cos()).sum::<f64>() * (2.0 / WAVES as f64).sqrt();
            sigma[n] = (thermal * f64::from(*v) * (config.noise.rms_scatter * u).exp()) as f32;
        }
        let seams = seams(config);
        let fade = c.seam_fade_px;
        Self { first, columns, depth, sigma, blank_above: c.blank_above as f32, fade, thermal, seams }
    }

    /// Bilinear value of a node grid at a pixel.
    fn at(&self, grid: &[f32], row: i64, col: i64) -> f32 {
        // Places outside the mosaic take the nearest node.
        let last = self.columns as i64 - 2;
        let i = (row.div_euclid(NODE) - self.first).clamp(0, last) as usize;
        let j = (col.div_euclid(NODE) - self.first).clamp(0, last) as usize;
        let (ty, tx) = (row.rem_euclid(NODE) as f32 / NODE as f32, col.rem_euclid(NODE) as f32 / NODE as f32);
        let n = i * self.columns + j;
        let low = grid[n] + tx * (grid[n + 1] - grid[n]);
        let high = grid[n + self.columns] + tx * (grid[n + self.columns + 1] - grid[n + self.columns]);
        low + ty * (high - low)
    }

    /// Thermal noise at a pixel, Jy/beam; `None` where the map is blank.
    pub fn sigma(&self, row: i64, col: i64) -> Option<f32> {
        (self.at(&self.depth, row, col) <= self.blank_above)
            .then(|| self.at(&self.sigma, row, col) * self.seam_noise(row, col))
    }

    /// Thermal noise of a row of pixels; NaN where blank.
    pub fn sigma_row(&self, row: i64, col: i64, out: &mut [f32]) {
        for (j, v) in out.iter_mut().enumerate() {
            let c = col + j as i64;
            *v = if self.at(&self.depth, row, c) <= self.blank_above { self.at(&self.sigma, row, c) } else { f32::NAN };
        }
        for seam in &self.seams {
            if seam.touches(row, col, out.len() as i64, 4.0 * self.fade) {
                for (j, v) in out.iter_mut().enumerate() {
                    *v *= seam.noise_factor(row, col + j as i64, self.fade);
                }
            }
        }
    }

    /// Offset of the zero level that seams add to a row of pixels, Jy/beam; nothing is done to rows without one.
    pub fn add_levels(&self, row: i64, col: i64, out: &mut [f32]) {
        for seam in &self.seams {
            if seam.touches(row, col, out.len() as i64, 4.0 * self.fade) {
                for (j, v) in out.iter_mut().enumerate() {
                    *v += self.thermal as f32 * seam.level(row, col + j as i64, self.fade);
                }
            }
        }
    }

    fn seam_noise(&self, row: i64, col: i64) -> f32 {
        self.seams
            .iter()
            .filter(|s| s.touches(row, col, 1, 4.0 * self.fade))
            .fold(1.0, |f, s| f * s.noise_factor(row, col, self.fade))
    }
}

impl Seam {
    /// Place across and along the seam.
    fn across_along(&self, row: i64, col: i64) -> (f64, f64) {
        if self.vertical { (col as f64 - self.at, row as f64) } else { (row as f64 - self.at, col as f64) }
    }

    /// Whether a piece of a row lies within `reach` of the seam.
    fn touches(&self, row: i64, col: i64, n: i64, reach: f64) -> bool {
        let (a, l0) = self.across_along(row, col);
        if self.vertical {
            l0 >= self.span.0 && l0 < self.span.1 && a <= reach && a + n as f64 >= -reach
        } else {
            a.abs() <= reach && l0 < self.span.1 && l0 + n as f64 >= self.span.0
        }
    }

    /// How much of a step is felt: rises over a few pixels on one side, fades away from the seam.
    fn strength(&self, side: f64, across: f64, fade: f64) -> f64 {
        let d = side * across;
        let rise = (d / SEAM_RISE_PX + 0.5).clamp(0.0, 1.0);
        rise * (-(d / fade).powi(2)).exp()
    }

    fn inside(&self, along: f64) -> bool {
        along >= self.span.0 && along < self.span.1
    }

    fn noise_factor(&self, row: i64, col: i64, fade: f64) -> f32 {
        let (across, along) = self.across_along(row, col);
        if !self.inside(along) || across.abs() > 4.0 * fade {
            return 1.0;
        }
        (1.0 + (self.noise_step - 1.0) * self.strength(self.noisy_side, across, fade)) as f32
    }

    /// Zero level in thermal sigma.
    fn level(&self, row: i64, col: i64, fade: f64) -> f32 {
        let (across, along) = self.across_along(row, col);
        if !self.inside(along) || across.abs() > 4.0 * fade {
            return 0.0;
        }
        let line = if across.abs() < self.line.0 { self.line.1 } else { 0.0 };
        (self.level_step * self.strength(-self.noisy_side, across, fade) + line) as f32
    }

    /// Whether the steps are strong enough for the label MOSAICKING.
    pub fn visible(&self) -> bool {
        self.noise_step >= 1.25 || self.level_step.abs() >= 0.5
    }

    /// Length of the seam inside a frame, pixels.
    pub fn length_inside(&self, row: usize, col: usize, size: usize) -> f64 {
        let (a0, l0) = if self.vertical { (col as f64, row as f64) } else { (row as f64, col as f64) };
        let size = size as f64;
        if self.at < a0 || self.at >= a0 + size {
            return 0.0;
        }
        ((l0 + size).min(self.span.1) - l0.max(self.span.0)).max(0.0)
    }
}

/// Width and height of a footprint, degrees.
fn footprint_size(config: &SimConfig) -> (f64, f64) {
    let c = &config.coverage;
    let n = c.beams_per_side as f64;
    (n * c.pitch_deg, n * c.pitch_deg * 3f64.sqrt() / 2.0)
}

/// Centre of a footprint `(rows, columns)`, degrees from the centre of the mosaic.
fn footprint_centre(config: &SimConfig, i: usize, j: usize) -> (f64, f64) {
    let c = &config.coverage;
    let (width, height) = footprint_size(config);
    (
        c.offset_rows_deg + (i as f64 - (c.footprint_rows as f64 - 1.0) / 2.0) * height,
        c.offset_columns_deg + (j as f64 - (c.footprint_columns as f64 - 1.0) / 2.0) * width,
    )
}

/// Number of the footprint that a pixel belongs to, from 1, row by row; beyond the coverage that of the nearest one.
pub fn footprint_number(config: &SimConfig, row: f64, col: f64) -> i16 {
    let c = &config.coverage;
    let deg = config.pixel_arcsec / 3600.0;
    let middle = (config.side as f64 - 1.0) / 2.0;
    let (width, height) = footprint_size(config);
    let (y0, x0) = footprint_centre(config, 0, 0);
    let place = |at: f64, first: f64, step: f64, n: usize| {
        (((at - middle) * deg - first) / step).round().clamp(0.0, n as f64 - 1.0) as usize
    };
    let i = place(row, y0, height, c.footprint_rows);
    let j = place(col, x0, width, c.footprint_columns);
    i16::try_from(i * c.footprint_columns + j + 1).unwrap_or(i16::MAX)
}

/// Galactic latitude of a row of pixels and half the height of a strip, degrees.
///
/// Every row of footprints is a strip of the survey with the plane in its middle.
pub fn latitude_deg(config: &SimConfig, row: f64) -> (f64, f64) {
    let y = (row - (config.side as f64 - 1.0) / 2.0) * config.pixel_arcsec / 3600.0;
    let height = footprint_size(config).1;
    let from_centre = y - footprint_centre(config, 0, 0).0;
    (from_centre - height * (from_centre / height).round(), 0.5 * height)
}

/// Pointing centres `(rows, columns)`, degrees from the centre of the mosaic.
fn primary_beams(config: &SimConfig) -> Vec<(f64, f64)> {
    let c = &config.coverage;
    let mid = (c.beams_per_side as f64 - 1.0) / 2.0;
    let mut beams = Vec::new();
    for i in 0..c.footprint_rows {
        for j in 0..c.footprint_columns {
            let (y0, x0) = footprint_centre(config, i, j);
            for r in 0..c.beams_per_side {
                let shift = if r % 2 == 0 { -0.25 } else { 0.25 };
                for k in 0..c.beams_per_side {
                    let y = y0 + (r as f64 - mid) * c.pitch_deg * 3f64.sqrt() / 2.0;
                    beams.push((y, x0 + (k as f64 - mid + shift) * c.pitch_deg));
                }
            }
        }
    }
    beams
}

/// Seams between neighbouring footprints, each piece with its own draw.
fn seams(config: &SimConfig) -> Vec<Seam> {
    let c = &config.coverage;
    let px = 3600.0 / config.pixel_arcsec;
    let middle = (config.side as f64 - 1.0) / 2.0;
    let (width, height) = footprint_size(config);
    let mut seams = Vec::new();
    for i in 0..c.footprint_rows {
        for j in 0..c.footprint_columns {
            let (y, x) = footprint_centre(config, i, j);
            for (vertical, exists) in [(true, j + 1 < c.footprint_columns), (false, i + 1 < c.footprint_rows)] {
                if !exists {
                    continue;
                }
                let address = Address {
                    seed: config.seed,
                    layer: Layer::Seams,
                    y: i as i64,
                    x: j as i64,
                    index: u32::from(vertical),
                };
                let mut rng = address.rng();
                let (at, mid, half) =
                    if vertical { (x + width / 2.0, y, height / 2.0) } else { (y + height / 2.0, x, width / 2.0) };
                let noise_step = uniform(&mut rng, c.seam_noise_step[0], c.seam_noise_step[1]);
                let sign = |u: f64| if u < 0.5 { -1.0 } else { 1.0 };
                let level_step =
                    uniform(&mut rng, c.seam_level_step[0], c.seam_level_step[1]) * sign(uniform(&mut rng, 0.0, 1.0));
                let noisy_side = sign(uniform(&mut rng, 0.0, 1.0));
                let has_line = uniform(&mut rng, 0.0, 1.0) < c.seam_line_share;
                let line_width = uniform(&mut rng, 1.0, 2.0);
                let line = if has_line { (line_width, sign(uniform(&mut rng, 0.0, 1.0))) } else { (0.0, 0.0) };
                let seam = Seam {
                    vertical,
                    at: middle + at * px,
                    span: (middle + (mid - half) * px, middle + (mid + half) * px),
                    noise_step,
                    level_step,
                    noisy_side,
                    line,
                };
                let side = config.side as f64;
                if seam.at > -side && seam.at < 2.0 * side && seam.span.1 > 0.0 && seam.span.0 < side {
                    seams.push(seam);
                }
            }
        }
    }
    seams
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;

    fn one_footprint() -> SimConfig {
        let mut config = SimConfig::emu_pilot(Tier::Demo, 1);
        config.coverage.footprint_rows = 1;
        config.coverage.footprint_columns = 1;
        (config.coverage.offset_rows_deg, config.coverage.offset_columns_deg) = (0.0, 0.0);
        config.noise.rms_scatter = 0.0;
        config.side = 16_384;
        config
    }

    /// Depth of one footprint at distances from its centre, and the areas below two limits (prototype values).
    #[test]
    fn one_footprint_has_the_known_depth() {
        let config = one_footprint();
        let field = RmsField::new(&config);
        let px = 3600.0 / config.pixel_arcsec;
        let mid = 8192.0;
        let depth = |deg: f64| {
            let around: f64 = (0..36)
                .map(|k| {
                    let a = f64::from(k) * TAU / 36.0;
                    f64::from(field.at(
                        &field.depth,
                        (mid + deg * px * a.sin()) as i64,
                        (mid + deg * px * a.cos()) as i64,
                    ))
                })
                .sum();
            around / 36.0
        };
        assert!((depth(0.3) - 1.0).abs() < 0.03, "{}", depth(0.3));
        assert!(depth(2.5) > 1.1 && depth(2.5) < 1.5, "{}", depth(2.5));
        assert!(depth(3.0) > 1.5 && depth(3.0) < 2.6, "{}", depth(3.0));
        let node = (NODE as f64 / px).powi(2);
        let area = |r: f32| field.depth.iter().filter(|v| **v < r).count() as f64 * node;
        assert!((area(2.0) / 30.8 - 1.0).abs() < 0.1, "{}", area(2.0));
        assert!((area(10.0) / 48.7 - 1.0).abs() < 0.1, "{}", area(10.0));
        assert_eq!(field.sigma(0, 0), None);
    }

    #[test]
    fn a_row_equals_its_pixels_and_a_seam_steps() {
        let config = SimConfig::emu_pilot(Tier::Tiny, 3);
        let field = RmsField::new(&config);
        let seam = &field.seams[0];
        assert!(seam.vertical);
        let at = seam.at as i64;
        let mut line = vec![0f32; 200];
        field.sigma_row(1000, at - 100, &mut line);
        for (j, v) in line.iter().enumerate() {
            let alone = field.sigma(1000, at - 100 + j as i64).unwrap();
            assert!((v / alone - 1.0).abs() < 1e-6);
        }
        let ratio = f64::from(line[110] / line[90]);
        let want = if seam.noisy_side > 0.0 { seam.noise_step } else { 1.0 / seam.noise_step };
        assert!((ratio / want - 1.0).abs() < 0.03, "{ratio} vs {want}");
        assert!((seam.length_inside(900, at as usize - 50, 256) - 256.0).abs() < 1e-9);
        assert_eq!(seam.length_inside(900, at as usize + 50, 256), 0.0);
    }
}
