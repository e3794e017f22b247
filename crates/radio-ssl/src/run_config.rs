//! One run, one TOML: every number that `reproduce-table4` depends on, and the presets that state them.
use std::path::Path;

use anomaly_iforest::grid::Grid;
use anyhow::{Context, Result, bail};
use radio_io::Survey;
use radio_sim::{SimConfig, Tier};
use rank_gbdt::RankConfig;
use serde::{Deserialize, Serialize};
use ssl_simclr::SimClrConfig;

use crate::sky_split::SkySplit;

/// How much of the experiment is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Under 3 minutes: does every stage work? Its figures mean nothing.
    Smoke,
    /// At most 20 minutes on two cores: 3,969 simulated frames, inputs of 96 pixels.
    Quick,
    /// At most 75 minutes on two cores: 16,129 simulated frames, inputs of 96 pixels; resumes.
    Standard,
    /// The published size: 65,025 simulated frames, inputs of 224 pixels, 100 epochs, Adam at 0.1. Days on a CPU; resumes.
    Paper,
}

impl Preset {
    /// The preset's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Paper => "paper",
        }
    }
}

/// Where the sky comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SkyConfig {
    /// A simulated survey, made by the run itself.
    Simulated(Box<SimConfig>),
    /// Mosaics on disk.
    Survey(Survey),
}

/// Everything a run of `reproduce-table4` depends on. Threads and device are not here: they change no bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table4Config {
    /// The preset the numbers came from.
    pub preset: Preset,
    /// Seed of everything.
    pub seed: u64,
    /// SHA-256 of the checkpoint whose encoder and ranking are used; without it the run trains its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_sha256: Option<String>,
    /// Sizes of the feature sets of Table 4.
    pub top_k: Vec<usize>,
    /// The sky.
    pub sky: SkyConfig,
    /// Pre-training (unused with a checkpoint).
    pub simclr: SimClrConfig,
    /// Side of the blocks of sky that are dealt to the two halves of the held-out column, pixels.
    pub half_block_px: u32,
    /// What the ranking holds out.
    pub hold_out: SkySplit,
    /// The ranking.
    pub ranking: RankConfig,
    /// The forests that are tried.
    pub forests: Grid,
}

impl Table4Config {
    /// The numbers of a preset, on a simulated sky.
    pub fn preset(preset: Preset, seed: u64) -> Self {
        let (tier, simclr) = match preset {
            Preset::Smoke => (Tier::Tiny, SimClrConfig::laptop(seed, 64, 32, 2)),
            Preset::Quick => (Tier::Demo, SimClrConfig::laptop(seed, 96, 64, 12)),
            Preset::Standard => (Tier::Quarter, SimClrConfig::laptop(seed, 96, 64, 10)),
            Preset::Paper => (Tier::Paper, SimClrConfig::paper(seed)),
        };
        let mut sky = SimConfig::emu_pilot(tier, seed);
        if preset == Preset::Smoke {
            // Large enough to be dealt to two halves, and so full of oddities that each half has its share.
            sky.side = 3072;
            sky.peculiar.per_deg2 *= 5.0;
        }
        Self {
            preset,
            seed,
            checkpoint_sha256: None,
            top_k: vec![2, 5, 10, 15],
            sky: SkyConfig::Simulated(Box::new(sky)),
            simclr,
            half_block_px: if preset == Preset::Smoke { 1024 } else { 2048 },
            hold_out: SkySplit { fraction: 0.2, block_px: if preset == Preset::Smoke { 512 } else { 1024 } },
            ranking: RankConfig::paper(),
            // Below the paper's 55,773 frames its best fraction, 0.02, would leave a tree a handful of rows.
            forests: Grid::published(if preset == Preset::Paper { 0 } else { 256 }),
        }
    }

    /// The same on mosaics from disk.
    #[must_use]
    pub fn on_survey(mut self, survey: Survey) -> Self {
        self.sky = SkyConfig::Survey(survey);
        self.forests = Grid::published(256);
        self
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// If a value has no TOML form (none has).
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).context("writing run.toml")
    }

    /// Makes the run folder and its `run.toml`, or checks that it belongs to this run.
    ///
    /// # Errors
    /// If the folder cannot be written, or holds another run: its file and the first differing line are named.
    pub fn claim_folder(&self, folder: &Path) -> Result<()> {
        let path = folder.join("run.toml");
        let ours = self.to_toml()?;
        if !path.exists() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
            return atomic_file::write_atomically(&path, |file| std::io::Write::write_all(file, ours.as_bytes()))
                .with_context(|| format!("cannot write {}", path.display()));
        }
        let theirs = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if ours == theirs {
            return Ok(());
        }
        let (ours, theirs) = ours
            .lines()
            .zip(theirs.lines())
            .find(|(a, b)| a != b)
            .unwrap_or(("(the shorter file)", "(the longer file)"));
        bail!(
            "{} belongs to another run: expected `{ours}`, found `{theirs}`; choose another --out, or remove that folder",
            path.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_survive_toml_and_are_valid() {
        for preset in [Preset::Smoke, Preset::Quick, Preset::Standard, Preset::Paper] {
            let config = Table4Config::preset(preset, 4);
            config.simclr.check().unwrap();
            let text = config.to_toml().unwrap();
            assert_eq!(toml::from_str::<Table4Config>(&text).unwrap(), config, "{text}");
            assert!(toml::from_str::<Table4Config>(&format!("extra = 1\n{text}")).is_err());
        }
    }

    #[test]
    fn a_folder_of_another_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let config = Table4Config::preset(Preset::Smoke, 4);
        config.claim_folder(folder.path()).unwrap();
        config.claim_folder(folder.path()).unwrap();
        let error = Table4Config::preset(Preset::Smoke, 5).claim_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains("run.toml") && error.contains("seed = 5") && error.contains("seed = 4"), "{error}");
    }
}
