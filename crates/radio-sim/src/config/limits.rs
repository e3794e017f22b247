//! Which configurations make a sky: the limits of every number and between them.
use super::{ExtraDoubles, GENERATOR_VERSION, SimConfig};
use crate::error::SimError;

impl SimConfig {
    /// Checks the limits between the numbers.
    ///
    /// # Errors
    /// [`SimError::Config`] naming the first key that is out of range.
    pub fn check(&self) -> Result<(), SimError> {
        let refuse =
            |key: &'static str, found: String, expected: &'static str| Err(SimError::Config { key, found, expected });
        if self.version != GENERATOR_VERSION {
            return refuse("version", self.version.to_string(), "the version of this generator, 2");
        }
        if self.name.is_empty() || !self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return refuse("name", self.name.clone(), "letters, digits and -");
        }
        if self.seed > i64::MAX as u64 {
            return refuse("seed", self.seed.to_string(), "at most 2^63 - 1, the largest integer of TOML");
        }
        if self.side < self.frames.size || self.side > 65_536 {
            return refuse("side", self.side.to_string(), "at least one frame and at most 65536 pixels");
        }
        if self.frames.size == 0 || self.frames.step == 0 || self.frames.block == 0 {
            return refuse("frames", format!("{:?}", self.frames), "size, step and block above 0");
        }
        let beam_px = self.beam_arcsec / self.pixel_arcsec;
        if !(self.pixel_arcsec > 0.0 && (2.0..=16.0).contains(&beam_px)) {
            return refuse("beam_arcsec", format!("{beam_px} pixels"), "a beam of 2 to 16 pixels");
        }
        if !(self.noise.thermal_ujy >= 0.0 && (0.0..1.0).contains(&self.noise.wide_share)) {
            return refuse("noise", format!("{:?}", self.noise), "thermal noise >= 0, wide share in [0, 1)");
        }
        if !(0.2..=1.5).contains(&self.noise.kernel_beams) || !(1.0..=8.0).contains(&self.noise.wide_kernel_beams) {
            return refuse("noise", format!("{:?}", self.noise), "kernels of 0.2-1.5 and 1-8 beams");
        }
        if !(self.counts.faintest_ujy >= 1.0 && self.counts.faintest_ujy <= 1e6) {
            return refuse("counts.faintest_ujy", self.counts.faintest_ujy.to_string(), "1 to 1e6");
        }
        if !(self.frequency_mhz > 0.0 && self.frequency_mhz.is_finite()) {
            return refuse("frequency_mhz", self.frequency_mhz.to_string(), "above 0");
        }
        let share_is_valid = self.frames.peculiar_share > 0.0 && self.frames.peculiar_share < 1.0;
        if !((0.0..=1.0).contains(&self.frames.blank_limit) && share_is_valid) {
            return refuse("frames", format!("{:?}", self.frames), "blank limit in [0, 1], peculiar share in (0, 1)");
        }
        if self.artefacts.bank > 0
            && (!self.artefacts.pattern_px.is_power_of_two() || !(128..=2048).contains(&self.artefacts.pattern_px))
        {
            return refuse(
                "artefacts.pattern_px",
                self.artefacts.pattern_px.to_string(),
                "a power of two from 128 to 2048",
            );
        }
        if self.peculiar.weights.iter().any(|w| *w < 0.0) || self.peculiar.weights.iter().sum::<f64>() <= 0.0 {
            return refuse("peculiar.weights", format!("{:?}", self.peculiar.weights), "weights >= 0, not all 0");
        }
        let densities = [self.peculiar.per_deg2, self.peculiar.twin_least_arcsec];
        if densities.iter().any(|value| !(0.0..=1e4).contains(value)) {
            return refuse("peculiar", format!("{:?}", self.peculiar), "density and smallest twin from 0 to 10000");
        }
        // Twins are drawn until one is large enough: there must be such ordinary objects.
        let largest = self.population.agn_largest_arcsec.max(self.population.agn_tail_arcsec[1]);
        if self.peculiar.twin_least_arcsec >= largest {
            let found = self.peculiar.twin_least_arcsec.to_string();
            return refuse("peculiar.twin_least_arcsec", found, "below the size of the largest ordinary object");
        }
        self.check_optional()
    }

    /// Checks the parts that only some skies have.
    fn check_optional(&self) -> Result<(), SimError> {
        let refuse =
            |key: &'static str, found: String, expected: &'static str| Err(SimError::Config { key, found, expected });
        let rising = |v: &[f64; 2]| v[0] > 0.0 && v[0] < v[1] && v[1] <= 1e5;
        if let Some(g) = &self.galactic {
            if !(-360.0..=360.0).contains(&g.centre_longitude_deg) {
                let found = g.centre_longitude_deg.to_string();
                return refuse("galactic.centre_longitude_deg", found, "-360 to 360");
            }
            if !g.grid_px.is_power_of_two() || !(4..=64).contains(&g.grid_px) {
                return refuse("galactic.grid_px", g.grid_px.to_string(), "a power of two from 4 to 64");
            }
            let sizes = [&g.field_rms_ujy, &g.shells_arcsec, &g.hii_arcsec, &g.bubbles_arcsec];
            if !sizes.into_iter().all(rising) {
                return refuse("galactic", format!("{g:?}"), "ranges that rise, above 0");
            }
            let scales = [g.scale_height_deg, g.largest_scale_arcmin, g.field_slope];
            if !scales.iter().all(|v| *v > 0.0 && *v <= 1e3) || !(0.0..=2.0).contains(&g.filament_contrast) {
                return refuse("galactic", format!("{g:?}"), "scales and slope above 0, contrast from 0 to 2");
            }
            if ![g.shells_per_deg2, g.hii_per_deg2, g.bubbles_per_deg2].iter().all(|v| (0.0..=1e4).contains(v)) {
                return refuse("galactic", format!("{g:?}"), "densities from 0 to 10000");
            }
        }
        if let Some(r) = &self.rgz {
            let positive = [r.contour_sigma, r.least_snr].into_iter().chain(r.median_arcsec);
            if !positive.into_iter().all(|v| v > 0.0 && v <= 1e6) || !(1.0..=10.0).contains(&r.cutout_factor) {
                return refuse("rgz", format!("{r:?}"), "thresholds and sizes above 0, cutouts of 1 to 10 sizes");
            }
            let fits = |e: &ExtraDoubles| {
                let total: f64 = e.per_deg2.iter().sum();
                let densities = e.per_deg2.iter().all(|d| *d >= 0.0) && (0.0..=1e4).contains(&total);
                let sizes = e.arcsec.iter().all(|v| *v > 0.0 && *v <= 1e3);
                densities && sizes && rising(&e.snr) && e.snr[0] >= 5.0 && (0.0..=1.0).contains(&e.size_dex)
            };
            if !r.extra.as_ref().is_none_or(fits) {
                let found = format!("{:?}", r.extra);
                return refuse(
                    "rgz.extra",
                    found,
                    "0 to 10000 per deg2, S/N of at least 5, rising, scatter of 0 to 1 dex",
                );
            }
        }
        if let Some(a) = &self.artefacts.array {
            if a.snapshots[0] > a.snapshots[1] || a.snapshots[1] > 100 || (a.snapshots[0] == 0) != (a.snapshots[1] == 0)
            {
                return refuse(
                    "artefacts.array.snapshots",
                    format!("{:?}", a.snapshots),
                    "[0, 0], or 1 to 100, rising",
                );
            }
            let near_one = |v: &f64| (0.5..=2.0).contains(v);
            if a.channels.is_empty() || a.channels.len() > 64 || !a.channels.iter().all(near_one) {
                return refuse("artefacts.array.channels", format!("{:?}", a.channels), "1 to 64 factors of 0.5 to 2");
            }
            if !(0.1..=1.0).contains(&a.peak_exponent) {
                return refuse("artefacts.array.peak_exponent", a.peak_exponent.to_string(), "0.1 to 1");
            }
            if !(-90.0..=90.0).contains(&a.latitude_deg) {
                return refuse("artefacts.array.latitude_deg", a.latitude_deg.to_string(), "-90 to 90");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;

    #[test]
    fn contradictions_are_refused() {
        let good = SimConfig::emu_pilot(Tier::Tiny, 1);
        good.check().unwrap();
        let bad = [
            SimConfig { side: 100, ..good.clone() },
            SimConfig { version: 0, ..good.clone() },
            SimConfig { name: "a b".into(), ..good.clone() },
            SimConfig { beam_arcsec: f64::NAN, ..good.clone() },
            SimConfig { seed: u64::MAX, ..good.clone() },
        ];
        for config in bad {
            assert!(matches!(config.check(), Err(SimError::Config { .. })), "{config:?}");
        }
    }
}
