//! The artefact image: rings and rays round bright sources, and stripes.
//!
//! It is kept apart from the sky until the end, because it decides what counts as an artefact in the truth.

use crate::address::{Address, CELL, Layer};
use crate::array_pattern::{Pattern, pattern_bank};
use crate::config::SimConfig;
use crate::draw::{lognormal, poisson, uniform};
use crate::elementary::{exp_negative, sin_cos_turns};
use crate::gaussian::FWHM_PER_SIGMA;
use ndarray::ArrayViewMut2;
use rand::Rng;
use std::f64::consts::{PI, TAU};

/// Radius of the closed-form pattern, pixels.
const CLOSED_FORM_REACH: f64 = 300.0;

/// Peak at which errors are as strong as the patterns say, Jy/beam, whatever their exponent.
const PIVOT: f64 = 0.1;

/// A compact bright source, the origin of artefacts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrightSource {
    /// Column, pixels.
    pub x: f64,
    /// Row, pixels.
    pub y: f64,
    /// Peak brightness, Jy/beam.
    pub peak: f64,
    /// Cell of the object it belongs to.
    pub cell: (i64, i64),
    /// Layer and number of that object.
    pub origin: (u32, u32),
}

/// Errors round one source.
#[derive(Debug, Clone)]
struct Halo {
    source: BrightSource,
    /// Pattern of the bank, turned by an angle `(sin, cos)` and scaled.
    pattern: usize,
    turn: (f64, f64),
    factor: f64,
    /// Distance, pixels, beyond which the pattern is too faint to matter.
    reach: f64,
    /// Closed form: rings by radius (four entries per pixel), and rays `(sin, cos, strength)`.
    rings: Vec<f32>,
    rays: Vec<(f32, f32, f32)>,
}

/// A plane wave under a Gaussian envelope.
#[derive(Debug, Clone, Copy)]
struct Stripe {
    x: f64,
    y: f64,
    amplitude: f64,
    wave: (f64, f64),
    phase: f64,
    sigma: f64,
}

/// All artefacts of a survey.
#[derive(Debug, Clone)]
pub struct Artefacts {
    halos: Vec<Halo>,
    stripes: Vec<Stripe>,
    bank: Vec<Pattern>,
}

impl Artefacts {
    /// Draws the errors of every bright source and the stripes of every cell in `cells` (rows and columns alike).
    pub fn new(config: &SimConfig, sources: &[BrightSource], cells: std::ops::Range<i64>) -> Self {
        let bank = if sources.is_empty() { Vec::new() } else { pattern_bank(config) };
        let halos = sources.iter().map(|s| halo(config, s)).collect();
        let cell_area = (CELL as f64 * config.pixel_arcsec / 3600.0).powi(2);
        let mut stripes = Vec::new();
        for cell in cells.clone().flat_map(|y| cells.clone().map(move |x| (y, x))) {
            let mut rng = Address { seed: config.seed, layer: Layer::Stripes, y: cell.0, x: cell.1, index: 0 }.rng();
            for _ in 0..poisson(&mut rng, config.artefacts.stripes_per_deg2 * cell_area) {
                let (x, y, angle) = crate::population::place_in_cell(&mut rng, cell);
                let wave = 1.0 / (config.beam_px() * uniform(&mut rng, 2.0, 12.0));
                stripes.push(Stripe {
                    x,
                    y,
                    amplitude: config.artefacts.scale * config.noise.thermal_ujy * 1e-6 * uniform(&mut rng, 0.3, 1.5),
                    wave: (wave * angle.cos(), wave * angle.sin()),
                    phase: uniform(&mut rng, 0.0, 1.0),
                    sigma: 60.0 * uniform(&mut rng, 3.0, 20.0) / config.pixel_arcsec / FWHM_PER_SIGMA,
                });
            }
        }
        Self { halos, stripes, bank }
    }

    /// Adds the artefacts to a window whose first pixel is `(row, col)`.
    pub fn add_to(&self, window: &mut ArrayViewMut2<f32>, row: i64, col: i64) {
        for halo in &self.halos {
            match self.bank.get(halo.pattern) {
                Some(pattern) => add_pattern(halo, pattern, window, row, col),
                None => add_closed_form(halo, window, row, col),
            }
        }
        for stripe in &self.stripes {
            add_stripe(stripe, window, row, col);
        }
    }
}

fn halo(config: &SimConfig, source: &BrightSource) -> Halo {
    let address = Address {
        seed: config.seed,
        layer: Layer::Artefact,
        y: source.cell.0,
        x: source.cell.1,
        index: source.origin.0 << 20 | source.origin.1,
    };
    let mut rng = address.rng();
    let turn = uniform(&mut rng, 0.0, TAU).sin_cos();
    let felt = match &config.artefacts.array {
        Some(array) => PIVOT * (source.peak / PIVOT).powf(array.peak_exponent),
        None => source.peak,
    };
    let factor = felt * lognormal(&mut rng, 1.0, 0.1);
    if config.artefacts.bank > 0 {
        let pattern = rng.random_range(0..config.artefacts.bank);
        // Where 0.2 % of the peak, times the fading of the bank, has fallen to 1 uJy/beam.
        let fading = (config.artefacts.scale.max(1e-3) * factor * 2e-3 / 1e-6).max(2.0).powf(2.0 / 3.0);
        let reach = (config.artefacts.reach_arcsec / config.pixel_arcsec) * (fading - 1.0).sqrt();
        return Halo { source: *source, pattern, turn, factor, reach, rings: Vec::new(), rays: Vec::new() };
    }
    let strength = 0.4 * config.artefacts.scale * lognormal(&mut rng, 1.0, 0.25);
    let (phase, beam) = (uniform(&mut rng, 0.0, TAU), config.beam_px());
    let rings = (0..=4 * CLOSED_FORM_REACH as usize)
        .map(|i| {
            let r = i as f64 / 4.0;
            // Within 1.5 beams the source itself; outwards the pattern fades to nothing at the reach.
            let fade =
                ((r / beam - 1.5) * 2.0).clamp(0.0, 1.0) * (0.5 * PI * (r / CLOSED_FORM_REACH).min(1.0)).cos().powi(2);
            (0.006 * strength * (TAU * r / beam + phase).cos() * (r / (2.0 * beam)).max(0.5).powf(-0.8) * fade) as f32
        })
        .collect();
    let rays = (0..rng.random_range(2..=5u32))
        .map(|_| {
            let (s, c) = uniform(&mut rng, 0.0, PI).sin_cos();
            let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
            (s as f32, c as f32, (0.003 * strength * sign) as f32)
        })
        .collect();
    Halo { source: *source, pattern: usize::MAX, turn, factor, reach: CLOSED_FORM_REACH, rings, rays }
}

/// Part of the window within `reach` of a centre: first and end rows and columns, or `None`.
fn overlap(window: &ArrayViewMut2<f32>, row: i64, col: i64, y: f64, x: f64, reach: f64) -> Option<[i64; 4]> {
    let r0 = ((y - reach).ceil() as i64).max(row);
    let r1 = ((y + reach).floor() as i64 + 1).min(row + window.nrows() as i64);
    let c0 = ((x - reach).ceil() as i64).max(col);
    let c1 = ((x + reach).floor() as i64 + 1).min(col + window.ncols() as i64);
    (r0 < r1 && c0 < c1).then_some([r0, r1, c0, c1])
}

fn add_pattern(halo: &Halo, pattern: &Pattern, window: &mut ArrayViewMut2<f32>, row: i64, col: i64) {
    let half = (pattern.side / 2) as f64;
    let reach = (half - 2.0).min(halo.reach);
    let (x, y) = (halo.source.x, halo.source.y);
    let Some([r0, r1, c0, c1]) = overlap(window, row, col, y, x, reach) else { return };
    let (s, c) = halo.turn;
    let factor = halo.factor as f32;
    for r in r0..r1 {
        let dy = r as f64 - y;
        // Only the chord of the circle: the pattern is 0 outside.
        let chord = (reach * reach - dy * dy).max(0.0).sqrt();
        let first = c0.max((x - chord).ceil() as i64);
        let end = c1.min((x + chord).floor() as i64 + 1);
        let Some(line) = window.row_mut((r - row) as usize).into_slice() else { return };
        for at in first..end {
            let dx = at as f64 - x;
            let (px, py) = ((dx * c - dy * s + half) as f32, (dx * s + dy * c + half) as f32);
            let (i, j) = (py as usize, px as usize);
            let (ty, tx) = (py - i as f32, px - j as f32);
            let n = i * pattern.side + j;
            let v = &pattern.values;
            let low = v[n] + tx * (v[n + 1] - v[n]);
            let high = v[n + pattern.side] + tx * (v[n + pattern.side + 1] - v[n + pattern.side]);
            line[(at - col) as usize] += factor * (low + ty * (high - low));
        }
    }
}

fn add_closed_form(halo: &Halo, window: &mut ArrayViewMut2<f32>, row: i64, col: i64) {
    let (x, y) = (halo.source.x, halo.source.y);
    let Some([r0, r1, c0, c1]) = overlap(window, row, col, y, x, CLOSED_FORM_REACH) else { return };
    let factor = halo.factor as f32;
    for r in r0..r1 {
        let dy = (r as f64 - y) as f32;
        for c in c0..c1 {
            let dx = (c as f64 - x) as f32;
            let radius = (dx * dx + dy * dy).sqrt();
            let at = (4.0 * radius) as usize;
            let Some(ring) = halo.rings.get(at) else { continue };
            let mut value = *ring;
            if radius > 12.0 {
                let fade = 1.0 - radius / CLOSED_FORM_REACH as f32;
                for (s, c, strength) in &halo.rays {
                    let off = (dx * s - dy * c) / (2.0 + 0.02 * radius);
                    value += strength * fade * exp_negative(-0.5 * off * off);
                }
            }
            window[[(r - row) as usize, (c - col) as usize]] += factor * value;
        }
    }
}

fn add_stripe(stripe: &Stripe, window: &mut ArrayViewMut2<f32>, row: i64, col: i64) {
    let reach = 3.5 * stripe.sigma;
    let Some([r0, r1, c0, c1]) = overlap(window, row, col, stripe.y, stripe.x, reach) else { return };
    let k = (-0.5 / (stripe.sigma * stripe.sigma)) as f32;
    for r in r0..r1 {
        let dy = r as f64 - stripe.y;
        for c in c0..c1 {
            let dx = c as f64 - stripe.x;
            let turns = stripe.wave.0 * dx + stripe.wave.1 * dy + stripe.phase;
            let (_, cosine) = sin_cos_turns((turns - turns.floor()) as f32);
            let envelope = exp_negative(k * (dx * dx + dy * dy) as f32);
            window[[(r - row) as usize, (c - col) as usize]] += stripe.amplitude as f32 * cosine * envelope;
        }
    }
}
