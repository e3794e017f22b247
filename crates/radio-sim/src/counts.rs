//! Radio source counts: how many sources of each flux density the sky holds.
//!
//! Counts are stated at 1.4 GHz as `E(S) = S^2.5 dN/dS` in Jy^1.5/sr and scaled with `S ~ nu^alpha`. The table inverts their
//! integral, so that a uniform number becomes a flux.

use crate::config::CountsConfig;
use rand::Rng;

/// Square degrees in a steradian.
const DEG2_PER_SR: f64 = 3_282.806_350_011_744;
/// Logarithmic steps of the inverse table.
const STEPS: usize = 2_000;
/// Brightest flux of the counts at 1.4 GHz, Jy.
const BRIGHTEST: f64 = 20.0;

/// Euclidean-normalised counts at 1.4 GHz, Jy^1.5/sr, for a flux density in Jy.
///
/// # Source
/// 0.1 mJy - 1 Jy: Hopkins et al. 2003, AJ 125 465. Below: slope of Matthews et al. 2021 at the level of Condon et al. 2012.
/// Above 1 Jy: our own power law, because the polynomial falls too fast there.
pub fn euclidean_counts(flux: f64) -> f64 {
    if flux < 1e-5 {
        1.30 * (flux / 1e-5)
    } else if flux < 1e-4 {
        3.89 * (flux / 1e-4).powf(0.476)
    } else if flux < 1.0 {
        let y = (flux * 1e3).log10();
        let powers = [0.859, 0.508, 0.376, -0.049, -0.121, 0.057, -0.008];
        10f64.powf(powers.iter().rev().fold(0.0, |sum, a| sum * y + a))
    } else {
        459.0 * flux.powf(-0.35)
    }
}

/// Inverse cumulative counts at the frequency of the survey.
#[derive(Debug, Clone)]
pub struct CountTable {
    /// Flux densities at the survey frequency, Jy, rising.
    flux: Vec<f64>,
    /// Sources per square degree brighter than each of them, falling to 0.
    above: Vec<f64>,
    /// Survey flux over 1.4 GHz flux.
    factor: f64,
}

impl CountTable {
    /// Integrates the counts from the faintest flux of the configuration up to 20 Jy.
    pub fn new(config: &CountsConfig, frequency_mhz: f64) -> Self {
        let factor = (frequency_mhz / 1400.0).powf(config.spectral_index);
        let (low, high) = ((config.faintest_ujy * 1e-6 / factor).ln(), BRIGHTEST.ln());
        let step = (high - low) / STEPS as f64;
        let edges: Vec<f64> = (0..=STEPS).map(|i| (low + step * i as f64).exp()).collect();
        let mut above = vec![0.0; STEPS + 1];
        for i in (0..STEPS).rev() {
            // n(S) dS = E S^-1.5 dlnS, midpoint rule in ln S.
            let middle = (edges[i] * edges[i + 1]).sqrt();
            above[i] = above[i + 1] + euclidean_counts(middle) * middle.powf(-1.5) * step / DEG2_PER_SR;
        }
        Self { flux: edges.iter().map(|s| s * factor).collect(), above, factor }
    }

    /// Sources per square degree brighter than `flux` (Jy, survey frequency).
    pub fn density_above(&self, flux: f64) -> f64 {
        let i = self.flux.partition_point(|s| *s < flux);
        if i == 0 {
            return self.above[0];
        }
        if i > STEPS {
            return 0.0;
        }
        let t = (flux / self.flux[i - 1]).ln() / (self.flux[i] / self.flux[i - 1]).ln();
        self.above[i - 1] + t * (self.above[i] - self.above[i - 1])
    }

    /// Sources per square degree in the whole table.
    pub fn density(&self) -> f64 {
        self.above[0]
    }

    /// Flux with `density` sources per square degree above it.
    fn flux_at_density(&self, density: f64) -> f64 {
        let i = self.above.partition_point(|n| *n > density).clamp(1, STEPS);
        let t = (self.above[i - 1] - density) / (self.above[i - 1] - self.above[i]);
        self.flux[i - 1] * (self.flux[i] / self.flux[i - 1]).powf(t.clamp(0.0, 1.0))
    }

    /// A flux drawn from the counts, Jy at the survey frequency.
    pub fn draw(&self, rng: &mut impl Rng) -> f64 {
        self.flux_at_density(self.above[0] * rng.random::<f64>())
    }

    /// A flux drawn from the part of the counts above `faintest`.
    pub fn draw_above(&self, rng: &mut impl Rng, faintest: f64) -> f64 {
        self.flux_at_density(self.density_above(faintest) * rng.random::<f64>())
    }

    /// Flux at 1.4 GHz of a survey flux, Jy.
    pub fn at_1400(&self, flux: f64) -> f64 {
        flux / self.factor
    }

    /// Integral of `S^power n(S)` per square degree over sources fainter than `brightest` (Jy).
    pub fn moment_below(&self, power: f64, brightest: f64) -> f64 {
        (0..STEPS)
            .filter(|i| self.flux[*i] < brightest)
            .map(|i| (self.above[i] - self.above[i + 1]) * (self.flux[i] * self.flux[i + 1]).sqrt().powf(power))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, Layer};

    fn table(mhz: f64) -> CountTable {
        CountTable::new(&CountsConfig { spectral_index: -0.7, faintest_ujy: 10.0 }, mhz)
    }

    /// Published check values: sources per square degree above a flux.
    #[test]
    fn integral_counts_match_the_check_values() {
        let emu = table(944.0);
        for (ujy, want) in
            [(10.0, 15_760.0), (50.0, 2_945.0), (135.0, 953.0), (500.0, 209.0), (1e3, 111.0), (1e4, 20.5), (1e5, 2.7)]
        {
            let got = emu.density_above(ujy * 1e-6);
            assert!((got / want - 1.0).abs() < 0.02, "{ujy} uJy: {got} vs {want}");
        }
        let first = table(1400.0);
        assert!((first.density_above(1e-3) / 88.6 - 1.0).abs() < 0.01);
        assert!((first.density_above(1e-2) / 16.7 - 1.0).abs() < 0.01);
    }

    /// Histogram of 200,000 draws in 8 logarithmic bins against the table: chi squared below its 99.9 % point.
    #[test]
    fn draws_follow_the_counts() {
        let emu = table(944.0);
        let mut rng = Address { seed: 3, layer: Layer::Sources, y: 0, x: 0, index: 0 }.rng();
        let edges: Vec<f64> = (0..=8).map(|i| 1e-5 * 10f64.powf(0.5 * f64::from(i))).collect();
        let n = 200_000;
        let mut seen = [0f64; 8];
        for _ in 0..n {
            let s = emu.draw(&mut rng);
            if let Some(k) = (0..8).rev().find(|k| s >= edges[*k]) {
                seen[k] += 1.0;
            }
        }
        let chi2: f64 = (0..8)
            .map(|k| {
                let top = if k == 7 { 0.0 } else { emu.density_above(edges[k + 1]) };
                let want = f64::from(n) * (emu.density_above(edges[k]) - top) / emu.density();
                (seen[k] - want).powi(2) / want
            })
            .sum();
        assert!(chi2 < 24.3, "chi2 {chi2} for 7 degrees of freedom");
        assert!((0..1000).all(|_| emu.draw_above(&mut rng, 1e-3) >= 1e-3 * 0.999));
    }
}
