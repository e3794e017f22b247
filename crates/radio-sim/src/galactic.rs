//! The Milky Way: its diffuse emission as a random field, and how its objects crowd towards the plane (specification
//! section 5c).
//!
//! The field is Gaussian with a steep power spectrum, cut where an interferometer sees nothing (so that emission sits in
//! negative bowls), drawn out into filaments, and strongest in the plane. It lives on a coarse grid of nodes that is made once
//! for the whole survey; pixels are interpolated, so they do not depend on windows.

use crate::address::{Address, CELL, Layer};
use crate::array_pattern::transform_2d;
use crate::config::{GalacticConfig, SimConfig};
use crate::coverage::latitude_deg;
use crate::draw::{lognormal, normal, uniform};
use crate::gaussian::BeamShape;
use crate::shapes::Kind;
use ndarray::ArrayViewMut2;
use rand::Rng;
use std::f64::consts::TAU;

/// Waves of the field that says where the plane is bright.
const WAVES: usize = 32;
/// Scale of that field, degrees.
const REGION_DEG: f64 = 1.5;
/// Least side of the grid on which the field is made: structure larger than a small mosaic must fit.
const LEAST_GRID: usize = 512;
/// Nodes kept before and after the mosaic.
const EDGE: i64 = 2;

/// How much denser than on average a layer is in a cell: 1 for what is not Galactic.
pub fn latitude_factor(config: &SimConfig, layer: Layer, cell: (i64, i64)) -> f64 {
    let crowded = matches!(layer, Layer::Shells | Layer::HiiRegions | Layer::Bubbles | Layer::Filaments);
    let Some(galactic) = config.galactic.as_ref().filter(|_| crowded) else { return 1.0 };
    let (latitude, half) = latitude_deg(config, ((cell.0 * CELL) + CELL / 2) as f64);
    let height = galactic.scale_height_deg;
    let mean = height / half * (1.0 - (-half / height).exp());
    (-latitude.abs() / height).exp() / mean
}

/// Kind, flux (Jy) and size (pixels) of an object of a Galactic layer; `None` for other layers.
///
/// Fluxes follow from a mean brightness over the filled area, stated for a beam of 8 arcsec (our choice).
pub fn rare_galactic(rng: &mut impl Rng, config: &SimConfig, layer: Layer) -> Option<(Kind, f64, f64)> {
    let g = config.galactic.as_ref()?;
    let (kind, [least, most], brightness, dex, filling) = match layer {
        Layer::Shells => (Kind::Shell, g.shells_arcsec, 8e-5, 0.35, 0.35),
        Layer::HiiRegions => (Kind::HiiRegion, g.hii_arcsec, 2.0e-4, 0.45, 0.25),
        Layer::Bubbles => (Kind::Bubble, g.bubbles_arcsec, 1.5e-4, 0.40, 0.5),
        _ => return None,
    };
    // Small ones are far more common: sizes fall as their inverse square root.
    let u = rng.random::<f64>();
    let size = (least.powf(-0.5) + u * (most.powf(-0.5) - least.powf(-0.5))).powi(-2) / config.pixel_arcsec;
    let beam = BeamShape::new(config.beam_px(), config.beam_px(), 0.0);
    let factor = (config.beam_arcsec / 8.0).powi(2);
    let beams = (filling * size * size / beam.area).max(1.0);
    Some((kind, lognormal(rng, brightness, dex) * factor * beams, size))
}

/// Diffuse emission at nodes of a coarse grid, Jy/beam.
#[derive(Debug, Clone)]
pub struct GalacticField {
    step: i64,
    columns: usize,
    values: Vec<f32>,
}

impl GalacticField {
    /// Makes the field of a survey; `None` if its configuration has no Galactic part.
    pub fn new(config: &SimConfig) -> Option<Self> {
        let g = config.galactic.as_ref()?;
        let inside = config.side.div_ceil(g.grid_px);
        let n = inside.next_power_of_two().max(LEAST_GRID);
        let grid = cloud_grid(config, g, n);
        let columns = inside + 2 * EDGE as usize + 2;
        let deg = config.pixel_arcsec / 3600.0;
        let mut rng = Address { seed: config.seed, layer: Layer::GalacticField, y: -1, x: 0, index: 0 }.rng();
        let k = deg / REGION_DEG;
        let waves: Vec<[f64; 3]> =
            (0..WAVES).map(|_| [normal(&mut rng) * k, normal(&mut rng) * k, uniform(&mut rng, 0.0, TAU)]).collect();
        let [least, most] = g.field_rms_ujy;
        let mut values = Vec::with_capacity(columns * columns);
        for (i, j) in (0..columns).flat_map(|i| (0..columns).map(move |j| (i as i64 - EDGE, j as i64 - EDGE))) {
            let (y, x) = ((i * g.grid_px as i64) as f64, (j * g.grid_px as i64) as f64);
            let u: f64 =
                waves.iter().map(|w| (w[0] * y + w[1] * x + w[2]).cos()).sum::<f64>() * (2.0 / WAVES as f64).sqrt();
            // The share of a normal variable below u, to three decimals: regions are faint or bright alike often.
            let share = 1.0 / (1.0 + (-1.702 * u).exp());
            let (latitude, _) = latitude_deg(config, y);
            let rms = 1e-6 * least * (most / least).powf(share) * (-latitude.abs() / g.scale_height_deg).exp();
            let at = i.rem_euclid(n as i64) as usize * n + j.rem_euclid(n as i64) as usize;
            values.push((rms * f64::from(grid[at])) as f32);
        }
        Some(Self { step: g.grid_px as i64, columns, values })
    }

    /// Adds the field to a window whose first pixel is `(row, col)`.
    pub fn add_to(&self, window: &mut ArrayViewMut2<f32>, row: i64, col: i64) {
        let cols = window.ncols();
        // Places outside the mosaic take the nearest nodes.
        let node = |v: i64| (v.div_euclid(self.step) - 1 + EDGE).clamp(0, self.columns as i64 - 4) as usize;
        let (first, last) = (node(col), node(col + cols as i64 - 1) + 4);
        let mut across = vec![0f32; last - first];
        for (i, mut line) in window.outer_iter_mut().enumerate() {
            let r = row + i as i64;
            let w = cubic(r.rem_euclid(self.step) as f32 / self.step as f32);
            let k = node(r);
            for (j, v) in across.iter_mut().enumerate() {
                let at = |m: usize| self.values[(k + m) * self.columns + first + j];
                *v = w[0] * at(0) + w[1] * at(1) + w[2] * at(2) + w[3] * at(3);
            }
            for (j, pixel) in line.iter_mut().enumerate() {
                let c = col + j as i64;
                let w = cubic(c.rem_euclid(self.step) as f32 / self.step as f32);
                let from = &across[node(c) - first..];
                *pixel += w[0] * from[0] + w[1] * from[1] + w[2] * from[2] + w[3] * from[3];
            }
        }
    }
}

/// Weights of the cubic (Catmull-Rom) interpolation at `t` between nodes 1 and 2 of four.
fn cubic(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [0.5 * (-t + 2.0 * t2 - t3), 0.5 * (2.0 - 5.0 * t2 + 3.0 * t3), 0.5 * (t + 4.0 * t2 - 3.0 * t3), 0.5 * (t3 - t2)]
}

/// The field on `n` x `n` nodes (periodic), of unit variance.
fn cloud_grid(config: &SimConfig, g: &GalacticConfig, n: usize) -> Vec<f32> {
    let mut grid = Vec::with_capacity(n * n);
    for y in 0..n {
        let mut rng = Address { seed: config.seed, layer: Layer::GalacticField, y: y as i64, x: 0, index: 0 }.rng();
        grid.extend((0..n).map(|_| (normal(&mut rng) as f32, normal(&mut rng) as f32)));
    }
    // One transform filters two fields, the real and the imaginary one; the filter is real and even.
    transform_2d(&mut grid, n);
    let node = g.grid_px as f64 * config.pixel_arcsec;
    let largest = 60.0 * g.largest_scale_arcmin / node;
    let frequency = |i: usize| if i < n / 2 { i as f64 } else { i as f64 - n as f64 } / n as f64;
    for (at, v) in grid.iter_mut().enumerate() {
        let k2 = frequency(at / n).powi(2) + frequency(at % n).powi(2);
        let seen = 1.0 - (-0.5 * k2 * largest * largest).exp();
        let factor = if k2 > 0.0 { (seen * k2.powf(-0.25 * g.field_slope)) as f32 } else { 0.0 };
        *v = (factor * v.0, factor * v.1);
    }
    transform_2d(&mut grid, n);
    let rms = |of: fn(&(f32, f32)) -> f32| {
        (grid.iter().map(|v| f64::from(of(v)).powi(2)).sum::<f64>() / (n * n) as f64).sqrt().max(1e-30) as f32
    };
    let (first, second) = (rms(|v| v.0), rms(|v| v.1));
    // Bright where the second field is near 0: along lines.
    let mut field: Vec<f32> = grid
        .iter()
        .map(|(a, b)| a / first * (g.filament_contrast as f32 * (1.0 - 1.5 * (b / second).abs())).exp())
        .collect();
    let norm = (field.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / (n * n) as f64).sqrt().max(1e-30) as f32;
    field.iter_mut().for_each(|v| *v /= norm);
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;
    use ndarray::{Array2, s};

    /// Slope of the power spectrum between 1.5 and 8 arcmin, and nothing on scales the array does not see.
    #[test]
    fn the_field_has_the_slope_and_no_large_scales() {
        let mut config = SimConfig::smgps(Tier::Tiny, 1);
        let g = config.galactic.as_mut().unwrap();
        g.filament_contrast = 0.0;
        let g = g.clone();
        let n = 512;
        let mut grid: Vec<(f32, f32)> = cloud_grid(&config, &g, n).iter().map(|v| (*v, 0.0)).collect();
        let variance = grid.iter().map(|v| f64::from(v.0).powi(2)).sum::<f64>() / (n * n) as f64;
        assert!((variance - 1.0).abs() < 1e-4);
        transform_2d(&mut grid, n);
        // Mean power of rings round a frequency, cycles per grid.
        let power = |low: f64, high: f64| {
            let (mut sum, mut count) = (0f64, 0f64);
            for (at, v) in grid.iter().enumerate() {
                let f = |i: usize| if i < n / 2 { i as f64 } else { i as f64 - n as f64 };
                let k = f(at / n).hypot(f(at % n));
                if k >= low && k < high {
                    sum += f64::from(v.0).powi(2) + f64::from(v.1).powi(2);
                    count += 1.0;
                }
            }
            sum / count
        };
        // 512 nodes of 24 arcsec are 205 arcmin.
        let slope = (power(100.0, 110.0) / power(33.0, 37.0)).log10() / (105f64 / 35.0).log10();
        assert!((slope + 2.9).abs() < 0.2, "slope {slope}");
        // The power law alone would make this ratio 106; the array sees little above 15 arcmin.
        assert!(power(2.0, 4.0) < 0.5 * power(13.0, 17.0));
    }

    #[test]
    fn windows_join_and_the_plane_is_brightest() {
        let config = SimConfig::smgps(Tier::Tiny, 2);
        let field = GalacticField::new(&config).unwrap();
        let mut whole = Array2::<f32>::zeros((2048, 512));
        field.add_to(&mut whole.view_mut(), 0, 300);
        let mut part = Array2::<f32>::zeros((101, 77));
        field.add_to(&mut part.view_mut(), 555, 333);
        assert_eq!(part, whole.slice(s![555..656, 33..110]));
        let rms = |v: ndarray::ArrayView2<f32>| {
            (v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / v.len() as f64).sqrt()
        };
        let all = rms(whole.view());
        assert!((1e-6..4e-5).contains(&all), "{all}");
        assert!(GalacticField::new(&SimConfig::emu_pilot(Tier::Tiny, 2)).is_none());
        // Objects crowd towards the plane, and on average over a strip nothing changes.
        let factor = |row: i64| latitude_factor(&config, Layer::HiiRegions, (row, 0));
        let (latitude, half) = latitude_deg(&config, 1024.0);
        assert!(latitude.abs() < 0.2 && factor(4) > 2.0 && factor(4) > factor(0));
        let cells = (2.0 * half / (256.0 * 1.5 / 3600.0)).round() as i64;
        let mean = (0..cells).map(|k| factor(4 - cells / 2 + k)).sum::<f64>() / cells as f64;
        assert!((mean - 1.0).abs() < 0.1, "{mean}");
        assert_eq!(latitude_factor(&config, Layer::Discs, (4, 0)), 1.0);
    }
}
