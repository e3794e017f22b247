//! The presets: every number of the three skies, and where each comes from (specification section 1).
//!
//! `smgps` and `first` start from the EMU-like sky and say what differs.

use crate::config::{
    Annotator, ArrayConfig, ArrayLayout, ArtefactConfig, CountsConfig, CoverageConfig, ExtraDoubles, FrameConfig,
    GENERATOR_VERSION, GalacticConfig, NoiseConfig, PeculiarConfig, PopulationConfig, RgzConfig, SimConfig, SkyName,
    Tier, TruthConfig,
};

/// Rows and columns of footprints, and offset of their centre from that of the mosaic along rows and columns, degrees.
type Footprints = (usize, usize, f64, f64);

impl SimConfig {
    /// The numbers of a sky.
    pub fn preset(sky: SkyName, tier: Tier, seed: u64) -> Self {
        match sky {
            SkyName::Emu => Self::emu_pilot(tier, seed),
            SkyName::Smgps => Self::smgps(tier, seed),
            SkyName::First => Self::first(tier, seed),
        }
    }

    /// A survey like the EMU pilot: 944 MHz, 2 arcsec pixels, 15 arcsec beam, about 27 uJy/beam.
    pub fn emu_pilot(tier: Tier, seed: u64) -> Self {
        let (footprint_rows, footprint_columns, offset_rows_deg, offset_columns_deg) = match tier {
            Tier::Tiny => (1, 2, 0.2, -0.25),
            Tier::Demo => (2, 2, -3.5, -0.9),
            Tier::Quarter => (2, 2, -1.6, -1.2),
            Tier::Paper => (4, 4, -1.5, -1.2),
        };
        Self {
            version: GENERATOR_VERSION,
            name: format!("sim-emu-{}", tier.name()),
            seed,
            tier,
            side: tier.side(),
            pixel_arcsec: 2.0,
            beam_arcsec: 15.0,
            frequency_mhz: 944.0,
            centre_ra_deg: 315.0,
            centre_dec_deg: -55.0,
            noise: NoiseConfig {
                thermal_ujy: 23.0,
                kernel_beams: 0.8,
                wide_share: 0.05,
                wide_kernel_beams: 4.0,
                rms_scatter: 0.05,
                rms_scale_deg: 1.0,
            },
            coverage: CoverageConfig {
                primary_beam_deg: 1.65,
                pitch_deg: 0.9,
                beams_per_side: 6,
                footprint_rows,
                footprint_columns,
                offset_rows_deg,
                offset_columns_deg,
                blank_above: 10.0,
                seam_noise_step: [1.2, 1.6],
                seam_level_step: [0.3, 0.8],
                seam_fade_px: 400.0,
                seam_line_share: 0.1,
            },
            counts: CountsConfig { spectral_index: -0.7, faintest_ujy: 10.0 },
            population: PopulationConfig {
                agn_half_mjy: 0.15,
                agn_slope: 1.2,
                agn_size_arcsec: 2.0,
                agn_size_slope: 0.30,
                agn_size_exponent: 0.62,
                agn_tail_share: 0.04,
                agn_tail_mjy: 2.0,
                agn_tail_arcsec: [60.0, 440.0],
                agn_largest_arcsec: 480.0,
                star_forming_size_arcsec: 1.0,
                pairs: 0.05,
                point_below_beams: 0.3,
                resolved_arcsec: 15.0,
                agn_classes: [0.557, 0.144, 0.237, 0.062],
                agn_single_largest_arcsec: 60.0,
                bent: [0.25, 0.10],
                discs_per_deg2: 0.8,
                clusters_per_deg2: 0.6,
                large_diffuse_per_deg2: 0.04,
                filaments_per_deg2: 0.05,
            },
            peculiar: PeculiarConfig {
                per_deg2: 1.35,
                weights: [0.24, 0.45, 0.42, 0.08, 0.39, 0.04, 0.21],
                matched: true,
                twin_least_arcsec: 52.0,
                twin_snr: [8.0, 300.0],
                twin_least_beams: 6.0,
                attempts: 50,
            },
            artefacts: ArtefactConfig {
                scale: 0.8,
                faintest_mjy: 30.0,
                bank: if tier == Tier::Tiny { 0 } else { 24 },
                pattern_px: 1024,
                constant_error_rad: 0.06,
                scan_error_rad: 0.03,
                reach_arcsec: 120.0,
                unclean_share: 0.02,
                stripes_per_deg2: 0.15,
                bowls: false,
                array: None,
            },
            truth: TruthConfig {
                mask_sigma: 2.5,
                detect_sigma: 5.0,
                catalogue_sigma: 3.0,
                least_px: 5,
                merge_beams: 1.2,
            },
            frames: FrameConfig {
                size: 256,
                step: 128,
                blank_limit: 0.30,
                peculiar_share: 0.074,
                block: 1024,
                peculiar_limit: 428,
                annotator: Annotator::Human,
            },
            galactic: None,
            rgz: None,
        }
    }

    /// A survey like the MeerKAT Galactic plane survey: 1284 MHz, 1.5 arcsec pixels, 8 arcsec beam, 10-20 uJy/beam, with
    /// diffuse Galactic emission, remnants, HII regions and bubbles. Rows are Galactic latitude.
    ///
    /// # Source
    /// Goedhart et al. 2024 (noise, beam), Mutale et al. 2026 (counts), Bordiu et al. 2025 (33 extended sources per deg2); how
    /// these are shared out among kinds, sizes and brightness is our choice.
    pub fn smgps(tier: Tier, seed: u64) -> Self {
        let (footprint_rows, footprint_columns, offset_rows_deg, offset_columns_deg): Footprints = match tier {
            Tier::Tiny => (1, 2, 0.1, -0.15),
            Tier::Demo => (2, 2, -1.0, -0.5),
            Tier::Quarter => (3, 3, -0.7, -0.5),
            Tier::Paper => (6, 5, -0.9, -0.6),
        };
        let base = Self::emu_pilot(tier, seed);
        Self {
            name: format!("sim-smgps-{}", tier.name()),
            pixel_arcsec: 1.5,
            beam_arcsec: 8.0,
            frequency_mhz: 1284.0,
            // l = 332, b = 0.
            centre_ra_deg: 243.496_884,
            centre_dec_deg: -51.067_599,
            noise: NoiseConfig { thermal_ujy: 14.0, ..base.noise },
            coverage: CoverageConfig {
                // 1.09 lambda / D of a 13.5 m dish.
                primary_beam_deg: 1.08,
                pitch_deg: 0.5,
                footprint_rows,
                footprint_columns,
                offset_rows_deg,
                offset_columns_deg,
                seam_noise_step: [1.05, 1.4],
                ..base.coverage
            },
            population: PopulationConfig {
                resolved_arcsec: 8.0,
                agn_single_largest_arcsec: 32.0,
                filaments_per_deg2: 1.0,
                large_diffuse_per_deg2: 0.2,
                ..base.population
            },
            // The same number of beams as in the EMU-like sky.
            peculiar: PeculiarConfig { twin_least_arcsec: 27.7, ..base.peculiar },
            artefacts: ArtefactConfig {
                faintest_mjy: 15.0,
                bank: if tier == Tier::Tiny { 4 } else { 24 },
                pattern_px: if tier == Tier::Tiny { 512 } else { 1024 },
                bowls: true,
                array: Some(ArrayConfig {
                    layout: ArrayLayout::MeerKat64,
                    latitude_deg: -30.7,
                    snapshots: [0, 0],
                    channels: vec![1.0],
                    peak_exponent: 0.8,
                }),
                ..base.artefacts
            },
            galactic: Some(GalacticConfig {
                centre_longitude_deg: 332.0,
                scale_height_deg: 0.5,
                field_rms_ujy: [4.0, 40.0],
                field_slope: 2.9,
                largest_scale_arcmin: 15.0,
                filament_contrast: 1.0,
                grid_px: 16,
                shells_per_deg2: 0.6,
                shells_arcsec: [120.0, 1200.0],
                hii_per_deg2: 6.0,
                hii_arcsec: [20.0, 900.0],
                bubbles_per_deg2: 3.5,
                bubbles_arcsec: [20.0, 180.0],
            }),
            ..base
        }
    }

    /// A survey like VLA FIRST: 1400 MHz, 1.8 arcsec pixels, 5.4 arcsec beam, 145 uJy/beam, with the rays and stripes of short
    /// looks, and cutouts by Radio Galaxy Zoo class.
    ///
    /// # Source
    /// Becker, White & Helfand 1995 and White et al. 1997 (beam, noise, counts); correlation of the noise measured on real
    /// cutouts; median sizes of the classes measured on the Radio Galaxy Zoo catalogue.
    pub fn first(tier: Tier, seed: u64) -> Self {
        let (footprint_rows, footprint_columns, offset_rows_deg, offset_columns_deg): Footprints = match tier {
            Tier::Tiny => (1, 2, 0.1, -0.15),
            Tier::Demo => (3, 3, 0.2, -0.4),
            Tier::Quarter => (5, 5, 0.3, -0.5),
            Tier::Paper => (9, 8, 0.3, -0.5),
        };
        let base = Self::emu_pilot(tier, seed);
        Self {
            name: format!("sim-first-{}", tier.name()),
            pixel_arcsec: 1.8,
            beam_arcsec: 5.4,
            frequency_mhz: 1400.0,
            centre_ra_deg: 180.0,
            centre_dec_deg: 30.0,
            // Between the pointings the noise is a fifth higher than at their centres, 145 in the middle.
            noise: NoiseConfig { thermal_ujy: 128.0, kernel_beams: 0.7, wide_share: 0.20, ..base.noise },
            coverage: CoverageConfig {
                primary_beam_deg: 0.5,
                // A hexagonal grid of 26 arcmin.
                pitch_deg: 0.433,
                footprint_rows,
                footprint_columns,
                offset_rows_deg,
                offset_columns_deg,
                seam_noise_step: [1.0, 1.15],
                seam_level_step: [0.0, 0.1],
                seam_line_share: 0.0,
                ..base.coverage
            },
            population: PopulationConfig {
                resolved_arcsec: 5.4,
                agn_single_largest_arcsec: 20.0,
                // More doubles of 12 to 100 arcsec than giants: the sizes of the classes that are counted.
                agn_tail_share: 0.08,
                agn_tail_mjy: 1.5,
                agn_tail_arcsec: [12.0, 100.0],
                ..base.population
            },
            peculiar: PeculiarConfig { per_deg2: 0.3, twin_least_arcsec: 18.7, ..base.peculiar },
            artefacts: ArtefactConfig {
                scale: 0.65,
                faintest_mjy: 5.0,
                bank: if tier == Tier::Tiny { 6 } else { 24 },
                pattern_px: if tier == Tier::Tiny { 512 } else { 1024 },
                constant_error_rad: 0.03,
                scan_error_rad: 0.03,
                // Close to the source: strong errors that reach far make more islands than the survey has.
                reach_arcsec: 60.0,
                stripes_per_deg2: 2.0,
                array: Some(ArrayConfig {
                    layout: ArrayLayout::VlaY27,
                    latitude_deg: 34.08,
                    snapshots: [1, 3],
                    channels: vec![0.975, 1.025],
                    peak_exponent: 0.6,
                }),
                ..base.artefacts
            },
            frames: FrameConfig { size: 150, step: 75, ..base.frames },
            rgz: Some(RgzConfig {
                contour_sigma: 4.0,
                least_snr: 10.0,
                median_arcsec: [17.0, 31.0, 46.0, 26.0, 37.0, 47.0],
                cutout_factor: 1.5,
                per_class: [1000, 600],
                extra: Some(ExtraDoubles {
                    per_deg2: [0.0, 5.0, 6.5, 8.0, 15.0, 8.5],
                    snr: [12.0, 40.0],
                    arcsec: [6.0, 24.0, 36.0, 13.0, 22.0, 35.0],
                    size_dex: 0.12,
                }),
            }),
            ..base
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_survives_toml() {
        for sky in SkyName::ALL {
            for tier in [Tier::Tiny, Tier::Demo, Tier::Quarter, Tier::Paper] {
                let config = SimConfig::preset(sky, tier, 7);
                config.check().unwrap();
                assert_eq!(SimConfig::from_toml(&config.to_toml().unwrap()).unwrap(), config);
                assert!(config.name.contains(sky.name()) && config.side == tier.side());
            }
        }
    }

    /// The fingerprints that the frozen sky has had since it was frozen.
    #[test]
    fn the_frozen_sky_keeps_its_fingerprints() {
        for (seed, want) in [(1, "be5965eaec899803"), (2, "3d9c0186b281a386"), (9, "5dc9c710214e5d5b")] {
            assert_eq!(SimConfig::emu_pilot(Tier::Quarter, seed).fingerprint().unwrap(), want);
        }
    }
}
