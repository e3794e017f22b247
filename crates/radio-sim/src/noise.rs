//! Receiver noise as a map shows it: correlated over about a beam, with a weak wide component.
//!
//! White noise keyed by the absolute pixel is convolved with a Gaussian of 0.8 beams; a second one, on a grid four times
//! coarser, with a Gaussian of four beams. A kernel of the full beam would make the noise too smooth: real maps follow the
//! dirty beam (specification section 2).

use crate::address::{Address, Layer};
use crate::config::SimConfig;
use crate::elementary::{ln_positive, sin_cos_turns};
use crate::gaussian::FWHM_PER_SIGMA;
use rand::RngCore;

/// Pixels that share one random stream.
const SEGMENT: i64 = 64;
/// Pixels between nodes of the wide component.
const COARSE: i64 = 4;

/// Unit-variance noise of a window, row-major, `rows * cols` values.
pub fn noise_window(config: &SimConfig, row: i64, col: i64, rows: usize, cols: usize) -> Vec<f32> {
    let noise = &config.noise;
    let sigma = noise.kernel_beams * config.beam_px() / FWHM_PER_SIGMA;
    let wide_sigma = noise.wide_kernel_beams * config.beam_px() / FWHM_PER_SIGMA / COARSE as f64;
    let mut out = smooth_noise(config.seed, Layer::Noise, sigma, row, col, rows, cols);
    let share = (1.0 - noise.wide_share).sqrt() as f32;
    if noise.wide_share == 0.0 {
        return out;
    }
    // Coarse nodes from one before the window to two after it: what a cubic needs.
    let (n_row, n_col) = (row.div_euclid(COARSE) - 1, col.div_euclid(COARSE) - 1);
    let node_rows = ((row + rows as i64 - 1).div_euclid(COARSE) + 2 - n_row + 1) as usize;
    let node_cols = ((col + cols as i64 - 1).div_euclid(COARSE) + 2 - n_col + 1) as usize;
    let nodes = smooth_noise(config.seed, Layer::WideNoise, wide_sigma, n_row, n_col, node_rows, node_cols);
    let wide = noise.wide_share.sqrt() as f32;
    let mut across = vec![0f32; node_rows * cols];
    for (i, line) in across.chunks_exact_mut(cols).enumerate() {
        let from = &nodes[i * node_cols..(i + 1) * node_cols];
        for (j, v) in line.iter_mut().enumerate() {
            let c = col + j as i64;
            let w = cubic_weights(c.rem_euclid(COARSE));
            let k = (c.div_euclid(COARSE) - 1 - n_col) as usize;
            *v = w[0] * from[k] + w[1] * from[k + 1] + w[2] * from[k + 2] + w[3] * from[k + 3];
        }
    }
    for (i, line) in out.chunks_exact_mut(cols).enumerate() {
        let r = row + i as i64;
        let w = cubic_weights(r.rem_euclid(COARSE));
        let k = (r.div_euclid(COARSE) - 1 - n_row) as usize;
        let lines: [&[f32]; 4] = std::array::from_fn(|m| &across[(k + m) * cols..(k + m + 1) * cols]);
        for (j, v) in line.iter_mut().enumerate() {
            let smooth = w[0] * lines[0][j] + w[1] * lines[1][j] + w[2] * lines[2][j] + w[3] * lines[3][j];
            *v = share * *v + wide * smooth;
        }
    }
    out
}

/// Weights of the cubic (Catmull-Rom) interpolation at `step` quarters between nodes 1 and 2 of four.
fn cubic_weights(step: i64) -> [f32; 4] {
    let t = step as f32 / COARSE as f32;
    let (t2, t3) = (t * t, t * t * t);
    [0.5 * (-t + 2.0 * t2 - t3), 0.5 * (2.0 - 5.0 * t2 + 3.0 * t3), 0.5 * (t + 4.0 * t2 - 3.0 * t3), 0.5 * (t3 - t2)]
}

/// White noise convolved with a Gaussian of `sigma` pixels, renormalised to unit variance.
fn smooth_noise(seed: u64, layer: Layer, sigma: f64, row: i64, col: i64, rows: usize, cols: usize) -> Vec<f32> {
    let half = (4.0 * sigma).floor().max(1.0) as usize;
    let taps: Vec<f64> = (0..=2 * half).map(|i| (-0.5 * ((i as f64 - half as f64) / sigma).powi(2)).exp()).collect();
    let norm = taps.iter().map(|t| t * t).sum::<f64>().sqrt();
    let taps: Vec<f32> = taps.iter().map(|t| (t / norm) as f32).collect();
    let (wide_cols, wide_rows) = (cols + 2 * half, rows + 2 * half);
    // Convolution along the rows, line by line, then along the columns.
    let mut white = vec![0f32; wide_cols];
    let mut across = vec![0f32; wide_rows * cols];
    for (i, line) in across.chunks_exact_mut(cols).enumerate() {
        white_line(seed, layer, row + i as i64 - half as i64, col - half as i64, &mut white);
        for (k, tap) in taps.iter().enumerate() {
            for (v, w) in line.iter_mut().zip(&white[k..k + cols]) {
                *v += tap * w;
            }
        }
    }
    let mut out = vec![0f32; rows * cols];
    for (i, line) in out.chunks_exact_mut(cols).enumerate() {
        for (k, tap) in taps.iter().enumerate() {
            for (v, w) in line.iter_mut().zip(&across[(i + k) * cols..(i + k + 1) * cols]) {
                *v += tap * w;
            }
        }
    }
    out
}

/// Standard normal numbers of one row from column `col` on.
fn white_line(seed: u64, layer: Layer, row: i64, col: i64, line: &mut [f32]) {
    const N: usize = SEGMENT as usize;
    let mut done = 0;
    let mut bytes = [0u8; 4 * N];
    while done < line.len() {
        let c = col + done as i64;
        let segment = c.div_euclid(SEGMENT);
        let skip = c.rem_euclid(SEGMENT) as usize;
        Address { seed, layer, y: row, x: segment, index: 0 }.rng().fill_bytes(&mut bytes);
        let mut uniform = [0u32; N];
        for (u, b) in uniform.iter_mut().zip(bytes.chunks_exact(4)) {
            *u = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        }
        let mut normal = [0f32; N];
        for i in 0..N / 2 {
            // 24 bits each; the half step keeps the logarithm away from 0.
            let u = ((uniform[i] >> 8) as i32 as f32 + 0.5) * (1.0 / 16_777_216.0);
            let turns = (uniform[N / 2 + i] >> 8) as i32 as f32 * (1.0 / 16_777_216.0);
            let radius = (-2.0 * ln_positive(u)).max(0.0).sqrt();
            let (s, c) = sin_cos_turns(turns);
            normal[i] = radius * c;
            normal[N / 2 + i] = radius * s;
        }
        let n = (N - skip).min(line.len() - done);
        line[done..done + n].copy_from_slice(&normal[skip..skip + n]);
        done += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;

    const N: usize = 1024;

    fn field(seed: u64) -> Vec<f32> {
        noise_window(&SimConfig::emu_pilot(Tier::Tiny, seed), 100, -300, N, N)
    }

    fn correlation(a: &[f32], b: &[f32]) -> f64 {
        let dot = |p: &[f32], q: &[f32]| p.iter().zip(q).map(|(u, v)| f64::from(*u) * f64::from(*v)).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    #[test]
    fn level_and_correlation_are_those_of_the_recipe() {
        let noise = field(1);
        let config = SimConfig::emu_pilot(Tier::Tiny, 1);
        let rms = (noise.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / (N * N) as f64).sqrt();
        assert!((rms - 1.0).abs() < 0.015, "rms {rms}");
        let (s, w) = (0.8 * config.beam_px() / FWHM_PER_SIGMA, 4.0 * config.beam_px() / FWHM_PER_SIGMA);
        for lag in 1..=6usize {
            let k = lag as f64;
            // A Gaussian kernel of sigma s gives an autocorrelation of sigma sqrt(2) s.
            let want = 0.95 * (-k * k / (4.0 * s * s)).exp() + 0.05 * (-k * k / (4.0 * w * w)).exp();
            let rows: Vec<f32> = noise[lag * N..].to_vec();
            let down = correlation(&noise[..(N - lag) * N], &rows);
            let (a, b): (Vec<f32>, Vec<f32>) =
                noise.chunks_exact(N).flat_map(|l| l[..N - lag].iter().copied().zip(l[lag..].iter().copied())).unzip();
            let along = correlation(&a, &b);
            assert!((down - want).abs() < 0.02 && (along - want).abs() < 0.02, "lag {lag}: {down} {along} vs {want}");
        }
    }

    /// Radial power in 20 bins against the transform of the two kernels, within 10 %; the wide one rules the first two bins.
    #[test]
    fn power_spectrum_is_that_of_the_recipe() {
        use std::f64::consts::PI;
        const BINS: usize = 20;
        // Above this the power is below a thousandth of its maximum.
        const HIGHEST: f64 = 0.16;
        let config = SimConfig::emu_pilot(Tier::Tiny, 1);
        let (s, w) = (0.8 * config.beam_px() / FWHM_PER_SIGMA, 4.0 * config.beam_px() / FWHM_PER_SIGMA);
        // Mean power over all frequencies is the variance, 1.
        let part = |share: f64, s: f64, k: f64| share * 4.0 * PI * s * s * (-4.0 * PI * PI * s * s * k * k).exp();
        let model = |k: f64| part(0.95, s, k) + part(0.05, w, k);
        // A taper, because the field is not periodic.
        let taper: Vec<f64> = (0..N).map(|i| (PI * (i as f64 + 0.5) / N as f64).sin().powi(2)).collect();
        let square = taper.iter().map(|t| t * t).sum::<f64>().powi(2);
        let (mut found, mut want) = ([0.0; BINS], [0.0; BINS]);
        for seed in 0..8 {
            // One transform holds two fields: their cross terms at k and -k cancel in a ring.
            let (a, b) = (field(2 * seed + 10), field(2 * seed + 11));
            let window = |i: usize| taper[i / N] * taper[i % N];
            let mut grid: Vec<(f32, f32)> = (0..N * N)
                .map(|i| ((window(i) * f64::from(a[i])) as f32, (window(i) * f64::from(b[i])) as f32))
                .collect();
            crate::array_pattern::transform_2d(&mut grid, N);
            for (i, (re, im)) in grid.into_iter().enumerate() {
                let frequency = |j: usize| if j < N / 2 { j as f64 } else { j as f64 - N as f64 } / N as f64;
                let k = frequency(i / N).hypot(frequency(i % N));
                if k > 0.0 && k < HIGHEST {
                    let bin = (k / HIGHEST * BINS as f64) as usize;
                    found[bin] += (f64::from(re).powi(2) + f64::from(im).powi(2)) / (2.0 * square);
                    want[bin] += model(k);
                }
            }
        }
        let ratios: Vec<f64> = found.iter().zip(&want).map(|(f, w)| f / w).collect();
        assert!(ratios.iter().all(|r| (0.9..1.1).contains(r)), "{ratios:.3?}");
        // Without the wide kernel the first bin would fall short by half.
        assert!(part(0.95, s, 0.004) < 0.5 * model(0.004));
    }

    #[test]
    fn seeds_share_nothing_and_windows_agree() {
        let (a, b) = (field(1), field(2));
        assert!(correlation(&a, &b).abs() < 4.0 / 25_000f64.sqrt());
        let config = SimConfig::emu_pilot(Tier::Tiny, 1);
        let part = noise_window(&config, 137, -259, 40, 70);
        for (i, line) in part.chunks_exact(70).enumerate() {
            assert_eq!(line, &a[(37 + i) * N + 41..(37 + i) * N + 111]);
        }
    }
}
