//! Error patterns of a synthetic array: what calibration errors leave round a bright source.
//!
//! Antennas with phase errors see a point source as a point plus rings, rays and speckle. A bank of such patterns is made
//! once: grid the visibility errors on the uv plane, weight, transform (specification section 5a).

use crate::address::{Address, Layer};
use crate::config::{ArrayConfig, ArrayLayout, SimConfig};
use crate::draw::{lognormal, normal, uniform};
use crate::gaussian::FWHM_PER_SIGMA;
use rand::Rng;
use rayon::prelude::*;
use std::f64::consts::{PI, TAU};

/// Metres per second.
const LIGHT: f64 = 299_792_458.0;
/// Steps of a track across the sky, and steps that share one scan.
const TIME_STEPS: usize = 120;
const SCAN_STEPS: usize = 12;
/// Latitude of the array, degrees.
const LATITUDE: f64 = -26.7;

/// A square pattern in units of the source's peak; the source sits at pixel `(side / 2, side / 2)`.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Rows and columns.
    pub side: usize,
    /// Row-major values.
    pub values: Vec<f32>,
}

/// All patterns of the bank, made in parallel.
pub fn pattern_bank(config: &SimConfig) -> Vec<Pattern> {
    (0..config.artefacts.bank).into_par_iter().map(|i| pattern(config, i)).collect()
}

fn pattern(config: &SimConfig, number: usize) -> Pattern {
    let a = &config.artefacts;
    let n = a.pattern_px;
    let mut rng = Address { seed: config.seed, layer: Layer::PatternBank, y: number as i64, x: 0, index: 0 }.rng();
    let rng = &mut rng;
    let default = ArrayConfig {
        layout: ArrayLayout::Askap36,
        latitude_deg: LATITUDE,
        snapshots: [0, 0],
        channels: vec![1.0],
        peak_exponent: 1.0,
    };
    let array = a.array.as_ref().unwrap_or(&default);
    let antennas = antennas(rng, array);
    let constant = a.scale * lognormal(rng, a.constant_error_rad, 0.25);
    let per_scan = a.scale * lognormal(rng, a.scan_error_rad, 0.3);
    let unclean = (a.scale * uniform(rng, 0.0, a.unclean_share)).min(0.2);
    let hours = hour_angles(rng, array);
    let scan_steps = if array.snapshots[1] == 0 { SCAN_STEPS } else { 1 };
    let scans = hours.len() / scan_steps;
    let fixed: Vec<f64> = antennas.iter().map(|_| constant * normal(rng)).collect();
    // One antenna in twenty has one scan that is ten times worse.
    let errors: Vec<Vec<f64>> = antennas
        .iter()
        .zip(&fixed)
        .map(|(_, f)| {
            let bad = if rng.random::<f64>() < 0.05 { rng.random_range(0..scans) } else { scans };
            (0..scans).map(|s| f + per_scan * normal(rng) * if s == bad { 10.0 } else { 1.0 }).collect()
        })
        .collect();
    // Wavelengths per uv cell: one over the field of view.
    let cell = 1.0 / (n as f64 * config.pixel_arcsec / 206_264.806);
    let metres_to_cells = 1e6 * config.frequency_mhz / LIGHT / cell;
    let (sin_dec, cos_dec) = config.centre_dec_deg.to_radians().sin_cos();
    let mut samples = Vec::new();
    let mut density = vec![0u16; n * n];
    for (t, channel) in (0..hours.len()).flat_map(|t| array.channels.iter().map(move |c| (t, *c))) {
        let (sh, ch) = hours[t].sin_cos();
        for i in 0..antennas.len() {
            for j in 0..i {
                let b: [f64; 3] =
                    std::array::from_fn(|k| (antennas[i][k] - antennas[j][k]) * metres_to_cells * channel);
                let u = b[0] * sh + b[1] * ch;
                let v = -b[0] * sin_dec * ch + b[1] * sin_dec * sh + b[2] * cos_dec;
                let (u, v) = (u.round() as i64, v.round() as i64);
                if u.abs() >= n as i64 / 2 || v.abs() >= n as i64 / 2 {
                    continue;
                }
                let error = errors[i][t / scan_steps] - errors[j][t / scan_steps];
                for (u, v, error) in [(u, v, error), (-u, -v, -error)] {
                    let at = v.rem_euclid(n as i64) as usize * n + u.rem_euclid(n as i64) as usize;
                    density[at] = density[at].saturating_add(1);
                    samples.push((at, u, v, error));
                }
            }
        }
    }
    let beam_sigma = config.beam_px() / FWHM_PER_SIGMA;
    let gauss =
        |u: i64, v: i64| (-2.0 * PI * PI * beam_sigma * beam_sigma * ((u * u + v * v) as f64) / (n * n) as f64).exp();
    // Error and weight are both Hermitian, so both images are real: one transform holds the two.
    let mut grid = vec![(0f32, 0f32); n * n];
    let mut sum = 0.0;
    for (at, u, v, error) in samples {
        let w = f64::from(density[at]).powf(-0.6) * gauss(u, v);
        sum += w;
        let (s, c) = error.sin_cos();
        // w (e^{i error} - 1) + i w
        grid[at].0 += (w * (c - 1.0)) as f32;
        grid[at].1 += (w * (s + 1.0)) as f32;
    }
    transform_2d(&mut grid, n);
    let half = n / 2;
    let mut values = vec![0f32; n * n];
    for r in 0..n {
        for c in 0..n {
            let (error, dirty) = grid[r * n + c];
            let (dy, dx) = (((r + half) % n) as f64 - half as f64, ((c + half) % n) as f64 - half as f64);
            let clean = (-0.5 * (dx * dx + dy * dy) / (beam_sigma * beam_sigma)).exp();
            let value = f64::from(error) / sum + unclean * (f64::from(dirty) / sum - clean);
            // The last third fades out, so that no edge shows.
            let radius = dx.hypot(dy) / half as f64;
            let fade = (0.5 * PI * ((radius - 0.66) / 0.33).clamp(0.0, 1.0)).cos().powi(2);
            let reach = dx.hypot(dy) * config.pixel_arcsec / a.reach_arcsec;
            values[((r + half) % n) * n + (c + half) % n] = (value * fade * (1.0 + reach * reach).powf(-1.5)) as f32;
        }
    }
    Pattern { side: n, values }
}

/// Hour angles of the steps, radians: one long track, or a few short looks.
fn hour_angles(rng: &mut impl Rng, array: &ArrayConfig) -> Vec<f64> {
    if array.snapshots[1] == 0 {
        return (0..TIME_STEPS).map(|t| (-75.0 + 150.0 * (t as f64 + 0.5) / TIME_STEPS as f64).to_radians()).collect();
    }
    let looks = rng.random_range(array.snapshots[0]..=array.snapshots[1]);
    (0..looks).map(|_| uniform(rng, -45.0, 45.0).to_radians()).collect()
}

/// Equatorial coordinates (metres) of the antennas.
fn antennas(rng: &mut impl Rng, array: &ArrayConfig) -> Vec<[f64; 3]> {
    let (sl, cl) = array.latitude_deg.to_radians().sin_cos();
    let mut scattered = |n: usize, core: usize, spread: f64, far: [f64; 2]| -> Vec<(f64, f64)> {
        (0..n)
            .map(|i| {
                if i < core {
                    (spread * normal(rng), spread * normal(rng))
                } else {
                    let (r, a) = (uniform(rng, far[0], far[1]), uniform(rng, 0.0, TAU));
                    (r * a.cos(), r * a.sin())
                }
            })
            .collect()
    };
    let places = match array.layout {
        ArrayLayout::Askap36 => scattered(36, 30, 450.0, [1800.0, 3000.0]),
        ArrayLayout::MeerKat64 => scattered(64, 48, 300.0, [600.0, 4000.0]),
        ArrayLayout::VlaY27 => (0..27)
            .map(|i| {
                // Arms at azimuths 5 degrees off north, and 120 degrees apart.
                let r = 6_400.0 * ((i % 9 + 1) as f64 / 9.0).powf(1.7);
                let (s, c) = (-5.0 + 120.0 * (i / 9) as f64).to_radians().sin_cos();
                (r * s, r * c)
            })
            .collect(),
    };
    places.into_iter().map(|(east, north)| [-sl * north, east, cl * north]).collect()
}

/// Two-dimensional transform `sum_uv F e^{+2 pi i (ux + vy) / n}`, in place; `n` is a power of two.
pub(crate) fn transform_2d(grid: &mut [(f32, f32)], n: usize) {
    let turns: Vec<(f32, f32)> = (0..n / 2)
        .map(|k| {
            let (s, c) = (TAU * k as f64 / n as f64).sin_cos();
            (c as f32, s as f32)
        })
        .collect();
    for _ in 0..2 {
        for line in grid.chunks_exact_mut(n) {
            transform(line, &turns);
        }
        transpose(grid, n);
    }
}

fn transpose(grid: &mut [(f32, f32)], n: usize) {
    const B: usize = 16;
    for r0 in (0..n).step_by(B) {
        for c0 in (r0..n).step_by(B) {
            for r in r0..r0 + B {
                for c in c0.max(r + 1)..c0 + B {
                    grid.swap(r * n + c, c * n + r);
                }
            }
        }
    }
}

/// Radix-2 transform of one line.
fn transform(line: &mut [(f32, f32)], turns: &[(f32, f32)]) {
    let n = line.len();
    let bits = n.trailing_zeros();
    for i in 0..n {
        let j = i.reverse_bits() >> (usize::BITS - bits);
        if i < j {
            line.swap(i, j);
        }
    }
    let mut half = 1;
    while half < n {
        let stride = n / (2 * half);
        for block in line.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                let (wr, wi) = turns[k * stride];
                let t = (b.0 * wr - b.1 * wi, b.0 * wi + b.1 * wr);
                *b = (a.0 - t.0, a.1 - t.1);
                *a = (a.0 + t.0, a.1 + t.1);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;

    #[test]
    fn the_transform_is_the_sum_it_claims_to_be() {
        let n = 32;
        let mut rng = Address { seed: 1, layer: Layer::PatternBank, y: 0, x: 0, index: 0 }.rng();
        let input: Vec<(f32, f32)> = (0..n * n).map(|_| (normal(&mut rng) as f32, normal(&mut rng) as f32)).collect();
        let mut output = input.clone();
        transform_2d(&mut output, n);
        for (y, x) in [(0, 0), (3, 17), (31, 2)] {
            let (mut re, mut im) = (0.0, 0.0);
            for v in 0..n {
                for u in 0..n {
                    let (s, c) = (TAU * ((u * x + v * y) % n) as f64 / n as f64).sin_cos();
                    let (a, b) = input[v * n + u];
                    re += f64::from(a) * c - f64::from(b) * s;
                    im += f64::from(a) * s + f64::from(b) * c;
                }
            }
            let got = output[y * n + x];
            assert!(
                (f64::from(got.0) - re).abs() < 1e-3 && (f64::from(got.1) - im).abs() < 1e-3,
                "{got:?} vs {re} {im}"
            );
        }
    }

    /// Rms of the pattern in rings: a per mille or so near the source, falling outwards.
    #[test]
    fn a_pattern_fades_outwards() {
        let mut config = SimConfig::emu_pilot(Tier::Demo, 1);
        config.artefacts.constant_error_rad = 0.15;
        config.artefacts.scan_error_rad = 0.0;
        config.artefacts.unclean_share = 0.0;
        let p = pattern(&config, 0);
        let ring = |low: f64, high: f64| {
            let (mut sum, mut n) = (0f64, 0f64);
            for (i, v) in p.values.iter().enumerate() {
                let (dy, dx) = ((i / p.side) as f64 - 512.0, (i % p.side) as f64 - 512.0);
                let r = 2.0 * dx.hypot(dy);
                if r >= low && r < high {
                    sum += f64::from(*v).powi(2);
                    n += 1.0;
                }
            }
            100.0 * (sum / n).sqrt()
        };
        let (near, middle, far) = (ring(30.0, 60.0), ring(60.0, 120.0), ring(120.0, 240.0));
        println!("rms in percent of the peak: {near:.3} {middle:.3} {far:.3}");
        assert!(near > middle && middle > far && (0.1..1.0).contains(&near) && far < 0.1, "{near} {middle} {far}");
    }
}
