//! Every number of a simulated survey, readable from and written to TOML, checked when it is read; [`crate::presets`] states them.
//!
//! A configuration that came from [`SimConfig::from_toml`] or a preset has been checked. `version` names the generator: any
//! change that alters a pixel gets a new version, and results of both are kept.

mod limits;

use crate::error::SimError;
use serde::{Deserialize, Serialize};

/// Version of the generator. Raised by every change that alters a pixel or a label.
pub const GENERATOR_VERSION: u32 = 2;

/// The real survey that a simulated one resembles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkyName {
    /// EMU pilot: 944 MHz, 2 arcsec pixels, 15 arcsec beam.
    Emu,
    /// MeerKAT Galactic plane survey: 1284 MHz, 1.5 arcsec pixels, 8 arcsec beam.
    Smgps,
    /// VLA FIRST: 1400 MHz, 1.8 arcsec pixels, 5.4 arcsec beam.
    First,
}

impl SkyName {
    /// All skies.
    pub const ALL: [Self; 3] = [Self::Emu, Self::Smgps, Self::First];

    /// Short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Emu => "emu",
            Self::Smgps => "smgps",
            Self::First => "first",
        }
    }
}

/// Size of a survey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// 2048 x 2048 pixels, 225 frames: for tests.
    Tiny,
    /// 8192 x 8192 pixels, 3,969 frames: for a laptop.
    Demo,
    /// 16384 x 16384 pixels, 16,129 frames: about the published label counts.
    Quarter,
    /// 32768 x 32768 pixels, 65,025 frames: about the published frame count.
    Paper,
}

impl Tier {
    /// Side of the mosaic in pixels.
    pub fn side(self) -> usize {
        match self {
            Self::Tiny => 2_048,
            Self::Demo => 8_192,
            Self::Quarter => 16_384,
            Self::Paper => 32_768,
        }
    }

    /// Name as written in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Demo => "demo",
            Self::Quarter => "quarter",
            Self::Paper => "paper",
        }
    }
}

/// All numbers of a simulated survey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimConfig {
    /// Version of the generator that the numbers belong to ([`GENERATOR_VERSION`]).
    pub version: u32,
    /// Name of the survey, also the mosaic id in frame ids: letters, digits and `-`.
    pub name: String,
    /// Seed of every random number.
    pub seed: u64,
    /// The tier the numbers come from.
    pub tier: Tier,
    /// Rows and columns of the mosaic.
    pub side: usize,
    /// Pixel size, arcsec.
    pub pixel_arcsec: f64,
    /// FWHM of the round restoring beam, arcsec.
    pub beam_arcsec: f64,
    /// Observing frequency, MHz.
    pub frequency_mhz: f64,
    /// Right ascension of the centre of the mosaic, degrees.
    pub centre_ra_deg: f64,
    /// Declination of the centre of the mosaic, degrees.
    pub centre_dec_deg: f64,
    /// Noise.
    pub noise: NoiseConfig,
    /// Primary beams and footprints.
    pub coverage: CoverageConfig,
    /// Source counts.
    pub counts: CountsConfig,
    /// Who the sources are and how large.
    pub population: PopulationConfig,
    /// Peculiar objects.
    pub peculiar: PeculiarConfig,
    /// Artefacts.
    pub artefacts: ArtefactConfig,
    /// Object masks and detection.
    pub truth: TruthConfig,
    /// Frames and their labels.
    pub frames: FrameConfig,
    /// Galactic emission; none away from the plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub galactic: Option<GalacticConfig>,
    /// Source-centred cutouts by Radio Galaxy Zoo class; none where nobody counts components and peaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rgz: Option<RgzConfig>,
}

/// Noise of the map (specification section 2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseConfig {
    /// Thermal noise in the middle of the coverage, uJy/beam.
    pub thermal_ujy: f64,
    /// FWHM of the main noise kernel, in beams.
    pub kernel_beams: f64,
    /// Share of the variance in the wide kernel.
    pub wide_share: f64,
    /// FWHM of the wide kernel, in beams.
    pub wide_kernel_beams: f64,
    /// Scatter of ln(rms) on large scales.
    pub rms_scatter: f64,
    /// Scale of that scatter, degrees.
    pub rms_scale_deg: f64,
}

/// Footprints of overlapping primary beams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoverageConfig {
    /// FWHM of a primary beam, degrees.
    pub primary_beam_deg: f64,
    /// Distance of neighbouring beams in a row, degrees.
    pub pitch_deg: f64,
    /// Beams per row and rows per footprint.
    pub beams_per_side: usize,
    /// Rows of footprints.
    pub footprint_rows: usize,
    /// Columns of footprints.
    pub footprint_columns: usize,
    /// Centre of the coverage minus centre of the mosaic, degrees along the rows axis (north).
    pub offset_rows_deg: f64,
    /// The same along the columns axis.
    pub offset_columns_deg: f64,
    /// Pixels are blank where the rms exceeds this multiple of the central one.
    pub blank_above: f64,
    /// Least and greatest noise step across a seam.
    pub seam_noise_step: [f64; 2],
    /// Least and greatest step of the zero level across a seam, in sigma.
    pub seam_level_step: [f64; 2],
    /// Distance over which a seam's steps fade, pixels.
    pub seam_fade_px: f64,
    /// Share of seams with a narrow line of offset.
    pub seam_line_share: f64,
}

/// Source counts (specification section 3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountsConfig {
    /// Exponent of `S ~ nu^alpha` that moves the 1.4 GHz counts to the survey.
    pub spectral_index: f64,
    /// Faintest source drawn, uJy at the survey frequency.
    pub faintest_ujy: f64,
}

/// Sizes and kinds of ordinary sources (specification section 3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PopulationConfig {
    /// 1.4 GHz flux at which half of the sources are AGN, mJy.
    pub agn_half_mjy: f64,
    /// Steepness of that change.
    pub agn_slope: f64,
    /// Median size of an AGN of 1 mJy at 1.4 GHz, arcsec.
    pub agn_size_arcsec: f64,
    /// Growth of the median size with flux.
    pub agn_size_slope: f64,
    /// Exponent of the size distribution.
    pub agn_size_exponent: f64,
    /// Share of bright AGN drawn from the far tail of sizes.
    pub agn_tail_share: f64,
    /// Faintest flux of that tail, mJy.
    pub agn_tail_mjy: f64,
    /// Sizes of that tail, arcsec.
    pub agn_tail_arcsec: [f64; 2],
    /// Largest AGN, arcsec.
    pub agn_largest_arcsec: f64,
    /// Median size of a star-forming galaxy of 1 mJy, arcsec.
    pub star_forming_size_arcsec: f64,
    /// Share of sources with a close neighbour.
    pub pairs: f64,
    /// Sources below this size, in beams, are points.
    pub point_below_beams: f64,
    /// AGN of at least this size, arcsec, get a morphology.
    pub resolved_arcsec: f64,
    /// Shares of FR-II, FR-x, single and FR-I among resolved AGN.
    pub agn_classes: [f64; 4],
    /// Largest AGN that may be a single peak, arcsec.
    pub agn_single_largest_arcsec: f64,
    /// Share of bent sources among FR-I, and among FR-II and FR-x.
    pub bent: [f64; 2],
    /// Discs of nearby galaxies per square degree.
    pub discs_per_deg2: f64,
    /// Cluster halos and relics per square degree.
    pub clusters_per_deg2: f64,
    /// Large diffuse objects per square degree.
    pub large_diffuse_per_deg2: f64,
    /// Filaments per square degree.
    pub filaments_per_deg2: f64,
}

/// Peculiar objects (specification section 4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeculiarConfig {
    /// Peculiar objects per square degree.
    pub per_deg2: f64,
    /// Weights of circles, ring pairs, X and Z, double-doubles, multi-bends, one-sided, one-offs in the draw. Size limits and
    /// recognisability turn some kinds down more often: of what is drawn about 18, 2, 23, 16, 16, 9 and 11 % remain.
    pub weights: [f64; 7],
    /// Whether sizes equal those of the twins; `false` makes them 1.8 times larger.
    pub matched: bool,
    /// Smallest twin, arcsec.
    pub twin_least_arcsec: f64,
    /// Least and greatest true peak S/N of a twin.
    pub twin_snr: [f64; 2],
    /// Smallest mask of a twin, beams.
    pub twin_least_beams: f64,
    /// Twins tried before the flux is forced into the limits.
    pub attempts: usize,
}

/// Artefacts (specification section 5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtefactConfig {
    /// Multiplies all errors of the array.
    pub scale: f64,
    /// Faintest source with artefacts, mJy.
    pub faintest_mjy: f64,
    /// Patterns of the synthetic array; 0 takes the cheap closed form instead.
    pub bank: usize,
    /// Side of a pattern, pixels (a power of two).
    pub pattern_px: usize,
    /// Median phase error per antenna, radians.
    pub constant_error_rad: f64,
    /// Median phase error per scan, radians.
    pub scan_error_rad: f64,
    /// Distance at which the errors have fallen to 35 %, arcsec: calibration removes what lies farther out.
    pub reach_arcsec: f64,
    /// Largest share of the dirty beam left around a source.
    pub unclean_share: f64,
    /// Stripes per square degree.
    pub stripes_per_deg2: f64,
    /// Whether extended emission sits in negative bowls.
    pub bowls: bool,
    /// The array whose errors the bank shows; without it 36 ASKAP-like antennas that follow the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<ArrayConfig>,
}

/// Where the antennas of the synthetic array stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArrayLayout {
    /// 30 antennas with a scatter of 450 m, 6 at 1.8 to 3 km.
    Askap36,
    /// 48 antennas with a scatter of 300 m, 16 at 0.6 to 4 km.
    MeerKat64,
    /// Three straight arms of 9 antennas, up to 6.4 km, distances growing as the 1.7th power.
    VlaY27,
}

/// The synthetic array of the error patterns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayConfig {
    /// Antennas.
    pub layout: ArrayLayout,
    /// Latitude of the array, degrees.
    pub latitude_deg: f64,
    /// Least and greatest number of short looks at the source; `[0, 0]` for one long track.
    pub snapshots: [u32; 2],
    /// Observed frequencies over that of the map.
    pub channels: Vec<f64>,
    /// Errors grow with the peak to this power (through that of 100 mJy/beam): brighter sources calibrate themselves better.
    pub peak_exponent: f64,
}

/// Emission of the Milky Way (specification section 5c) and its compact denizens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GalacticConfig {
    /// Galactic longitude of the centre of the mosaic, degrees; its latitude is 0.
    pub centre_longitude_deg: f64,
    /// Scale height of everything Galactic, degrees. Each row of footprints is a strip centred on the plane.
    pub scale_height_deg: f64,
    /// Least and greatest rms of the cloud field in the plane, uJy/beam.
    pub field_rms_ujy: [f64; 2],
    /// Slope of its power spectrum, `P(k) ~ k^-slope`.
    pub field_slope: f64,
    /// Scale above which the interferometer sees nothing, arcmin.
    pub largest_scale_arcmin: f64,
    /// How strongly the field is drawn out into filaments: scatter of ln(brightness).
    pub filament_contrast: f64,
    /// Pixels between nodes of the field.
    pub grid_px: usize,
    /// Supernova remnants per square degree.
    pub shells_per_deg2: f64,
    /// Their sizes, arcsec.
    pub shells_arcsec: [f64; 2],
    /// HII regions per square degree.
    pub hii_per_deg2: f64,
    /// Their sizes, arcsec.
    pub hii_arcsec: [f64; 2],
    /// Bubbles (round HII regions, planetary nebulae, shells of stars) per square degree.
    pub bubbles_per_deg2: f64,
    /// Their sizes, arcsec.
    pub bubbles_arcsec: [f64; 2],
}

/// Source-centred cutouts by component/peak class (specification section 6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RgzConfig {
    /// Lowest contour of a component, local sigma.
    pub contour_sigma: f64,
    /// Least true S/N of a source that is shown.
    pub least_snr: f64,
    /// Median size of each class, arcsec: 1C-1P, 1C-2P, 1C-3P, 2C-2P, 2C-3P, 3C-3P.
    pub median_arcsec: [f64; 6],
    /// Side of a cutout over the size of the source.
    pub cutout_factor: f64,
    /// Cutouts per class for training and for testing, where the sky holds that many.
    pub per_class: [usize; 2],
    /// Doubles and triples on top of the source counts; without them few sources have three peaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<ExtraDoubles>,
}

/// Doubles and triples that are added so that a balanced set of cutouts is not as small as its rarest class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraDoubles {
    /// Sources per square degree that aim at each class, in the order of `median_arcsec`.
    pub per_deg2: [f64; 6],
    /// Least and greatest S/N of their brightest peak where the noise is lowest.
    pub snr: [f64; 2],
    /// Median distance of their outer peaks, arcsec; the contours reach about two beams farther.
    pub arcsec: [f64; 6],
    /// Scatter of that distance, dex.
    pub size_dex: f64,
}

/// Object masks and detection (specification section 6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthConfig {
    /// Threshold of a mask, local sigma.
    pub mask_sigma: f64,
    /// Peak needed to be detectable, local sigma.
    pub detect_sigma: f64,
    /// Peak below which an object is left out of the tables, local sigma.
    pub catalogue_sigma: f64,
    /// Pixels needed to be detectable.
    pub least_px: usize,
    /// Beam-like objects closer than this many beams become one.
    pub merge_beams: f64,
}

/// Who labels the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Annotator {
    /// The labels are the truth.
    Truth,
    /// The labels have the gaps and mistakes of a human eye.
    Human,
}

/// Frames and their labels (specification section 6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameConfig {
    /// Side of a frame, pixels.
    pub size: usize,
    /// Step between frames, pixels.
    pub step: usize,
    /// Frames with a larger share of blank pixels are dropped.
    pub blank_limit: f64,
    /// Share of PECULIAR among labelled frames.
    pub peculiar_share: f64,
    /// Side of the sky blocks that are labelled as a whole, pixels.
    pub block: usize,
    /// Largest number of labelled PECULIAR frames.
    pub peculiar_limit: usize,
    /// Who labels.
    pub annotator: Annotator,
}

impl SimConfig {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// If the text is no TOML, misses or adds a key, or holds numbers that contradict each other.
    pub fn from_toml(text: &str) -> Result<Self, SimError> {
        let config: Self = toml::from_str(text).map_err(|source| SimError::ConfigText { source: Box::new(source) })?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// If a number cannot be written as TOML (a seed above 2^63).
    pub fn to_toml(&self) -> Result<String, SimError> {
        toml::to_string(self).map_err(|source| SimError::ConfigWrite { source })
    }

    /// A stable 64-bit fingerprint (FNV-1a of the TOML text), as 16 hexadecimal digits.
    ///
    /// # Errors
    /// As [`SimConfig::to_toml`].
    pub fn fingerprint(&self) -> Result<String, SimError> {
        let hash = self
            .to_toml()?
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        Ok(format!("{hash:016x}"))
    }

    /// Beam FWHM in pixels.
    pub fn beam_px(&self) -> f64 {
        self.beam_arcsec / self.pixel_arcsec
    }

    /// Area of the whole mosaic, square degrees.
    pub fn area_deg2(&self) -> f64 {
        (self.side as f64 * self.pixel_arcsec / 3600.0).powi(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_survives_toml_and_unknown_keys_do_not() {
        let config = SimConfig::emu_pilot(Tier::Demo, 7);
        let text = config.to_toml().unwrap();
        assert_eq!(SimConfig::from_toml(&text).unwrap(), config);
        assert!(matches!(SimConfig::from_toml(&format!("colour = 1\n{text}")), Err(SimError::ConfigText { .. })));
        let other = SimConfig::emu_pilot(Tier::Demo, 8);
        assert_ne!(config.fingerprint().unwrap(), other.fingerprint().unwrap());
    }
}
