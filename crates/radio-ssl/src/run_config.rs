//! One run, one TOML: every number that `reproduce-table4` depends on, and the presets that state them.
use std::collections::BTreeMap;
use std::path::Path;

use anomaly_iforest::grid::Grid;
use anyhow::{Context, Result, bail};
use radio_io::Survey;
use radio_sim::{SimConfig, Tier};
use radio_tensor::resnet::Precision;
use rank_gbdt::RankConfig;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ssl_simclr::SimClrConfig;

use crate::baselines::Baseline;
use crate::sky_split::SkySplit;

/// Epochs of the `quick` preset where the processor multiplies bf16 pairs.
const QUICK_EPOCHS: u64 = 28;

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

/// What the boosting that ranks the features learns to tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankTarget {
    /// Frames with extended or diffuse emission from the other labelled frames (the paper; reference-facts E5).
    #[default]
    Extended,
    /// Peculiar frames from complex ones: what the held-out table asks for. Held-out table only.
    Peculiar,
}

/// Everything a run of `reproduce-table4` depends on. Threads and device are not here: they change no bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table4Config {
    /// The preset the numbers came from.
    pub preset: Preset,
    /// Seed of everything.
    pub seed: u64,
    /// Version of radio-ssl.
    pub version: String,
    /// SHA-256 of every file the run reads: mosaics, labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs_sha256: BTreeMap<String, String>,
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
    /// What the held-out table's ranking learns to tell; the in-sample ranking is always the paper's.
    #[serde(default)]
    pub held_out_ranking: RankTarget,
    /// What the learned features are compared with.
    pub baselines: Vec<Baseline>,
    /// The forests that are tried.
    pub forests: Grid,
}

impl Table4Config {
    /// The numbers of a preset, on a simulated sky.
    pub fn preset(preset: Preset, seed: u64) -> Self {
        let (tier, simclr) = match preset {
            Preset::Smoke => (Tier::Tiny, SimClrConfig::laptop(seed, 64, 32, 2).fastest_here()),
            Preset::Quick => (Tier::Demo, SimClrConfig::laptop(seed, 96, 64, QUICK_EPOCHS).fastest_here()),
            Preset::Standard => (Tier::Quarter, SimClrConfig::laptop(seed, 96, 64, 10).fastest_here()),
            Preset::Paper => (Tier::Paper, SimClrConfig::paper(seed)),
        };
        let mut simclr = simclr;
        if preset == Preset::Quick && simclr.precision == Precision::F32 {
            // Half the speed, half the epochs: 20 minutes on two cores all the same.
            simclr.epochs = QUICK_EPOCHS / 2;
        }
        let mut sky = SimConfig::emu_pilot(tier, seed);
        if preset == Preset::Smoke {
            // Large enough to be dealt to two halves, and so full of oddities that each half has its share.
            sky.side = 3072;
            sky.peculiar.per_deg2 *= 5.0;
        }
        Self {
            preset,
            seed,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            inputs_sha256: BTreeMap::new(),
            checkpoint_sha256: None,
            top_k: vec![2, 5, 10, 15],
            sky: SkyConfig::Simulated(Box::new(sky)),
            simclr,
            half_block_px: if preset == Preset::Smoke { 1024 } else { 2048 },
            hold_out: SkySplit { fraction: 0.2, block_px: if preset == Preset::Smoke { 512 } else { 1024 } },
            ranking: RankConfig::paper(),
            held_out_ranking: RankTarget::default(),
            baselines: Baseline::ALL.to_vec(),
            // Below the paper's 55,773 frames its best fraction, 0.02, would leave a tree a handful of rows.
            forests: Grid::published(if preset == Preset::Paper { 0 } else { 256 }),
        }
    }

    /// The same on mosaics from disk; blocks of sky grow and shrink with the frames.
    ///
    /// # Errors
    /// If a mosaic or the label list cannot be read.
    pub fn on_survey(mut self, survey: Survey) -> Result<Self> {
        for mosaic in &survey.mosaics {
            self.inputs_sha256.insert(mosaic.id.clone().unwrap_or_default(), sha256_of(&mosaic.path)?);
        }
        if let Some(labels) = &survey.labels {
            self.inputs_sha256.insert("labels".into(), sha256_of(labels)?);
        }
        let side = u32::try_from(survey.frames.size).unwrap_or(u32::MAX);
        self.hold_out.block_px = side.saturating_mul(4);
        self.half_block_px = side.saturating_mul(8);
        if self.preset != Preset::Paper {
            self.forests = Grid::published(256);
        }
        self.sky = SkyConfig::Survey(survey);
        Ok(self)
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// If a value has no TOML form (none has).
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).context("writing run.toml")
    }

    /// Replaces single numbers: each setting is `path=value`, the path as in `run.toml` (`simclr.peak_lr=3e-4`,
    /// `simclr.augmenter.steps.0.probability=0.5` for the first of a list), the value as TOML spells it (a bare word counts
    /// as text).
    ///
    /// # Errors
    /// If a setting is not of that form, names nothing there is, or has a value of the wrong kind.
    pub fn with_settings(self, settings: &[String]) -> Result<Self> {
        let mut tree: toml::Value = toml::from_str(&self.to_toml()?).context("run.toml")?;
        for setting in settings {
            let (path, value) = setting
                .split_once('=')
                .with_context(|| format!("--set {setting}: expected path=value, as simclr.peak_lr=3e-4"))?;
            let (parents, last) = path.trim().rsplit_once('.').unwrap_or(("", path.trim()));
            let mut place = &mut tree;
            for key in parents.split('.').filter(|key| !key.is_empty()) {
                let inner = match place {
                    toml::Value::Array(list) => key.parse().ok().and_then(|place: usize| list.get_mut(place)),
                    other => other.get_mut(key),
                };
                place = inner.with_context(|| format!("--set {setting}: run.toml has no {key} there"))?;
            }
            let table = place.as_table_mut().with_context(|| format!("--set {setting}: {parents} is no table"))?;
            let value = match toml::from_str::<toml::Table>(&format!("value = {value}")) {
                Ok(mut parsed) => parsed.remove("value").unwrap_or_else(|| value.into()),
                Err(_) => value.into(),
            };
            table.insert(last.to_owned(), value);
        }
        let config: Self = toml::from_str(&toml::to_string(&tree).context("run.toml")?)
            .with_context(|| format!("--set {}", settings.join(" --set ")))?;
        config.simclr.check().with_context(|| format!("--set {}", settings.join(" --set ")))?;
        Ok(config)
    }

    /// Makes the run folder and its `run.toml`, or checks that it belongs to this run; sweeps up what a killed run left half written.
    ///
    /// # Errors
    /// If the folder cannot be written, holds files of something else, or holds another run: the first differing line is named.
    pub fn claim_folder(&self, folder: &Path) -> Result<()> {
        let path = folder.join("run.toml");
        let ours = self.to_toml()?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let mut others = Vec::new();
        for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(atomic_file::TEMPORARY_PREFIX) {
                std::fs::remove_file(entry.path())
                    .with_context(|| format!("cannot remove {}", entry.path().display()))?;
            } else {
                others.push(name);
            }
        }
        if !path.exists() {
            if let Some(other) = others.first() {
                bail!(
                    "{} holds {other} but no run.toml, so its files are of something else: choose another --out, or empty that folder",
                    folder.display()
                );
            }
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

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// If it cannot be read.
pub fn sha256_of(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let count =
            std::io::Read::read(&mut file, &mut block).with_context(|| format!("cannot read {}", path.display()))?;
        if count == 0 {
            break;
        }
        hasher.update(&block[..count]);
    }
    Ok(hexadecimal(&hasher.finalize()))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
    fn single_numbers_are_replaced_and_wrong_ones_refused() {
        let set = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
            Table4Config::preset(Preset::Quick, 4).with_settings(&settings)
        };
        let config = set(&["simclr.peak_lr=3e-4", "simclr.recipe.size=64", "simclr.epochs=3"]).unwrap();
        assert_eq!((config.simclr.peak_lr, config.simclr.input_size(), config.simclr.epochs), (3e-4, 64, 3));
        let config = set(&["simclr.augmenter.steps.0.fraction=[0.3, 1.0]", "baselines=[\"rings\"]"]).unwrap();
        assert!(config.to_toml().unwrap().contains("0.3,"), "{}", config.to_toml().unwrap());
        assert_eq!(config.baselines, [Baseline::Rings]);
        assert_eq!(set(&[]).unwrap(), Table4Config::preset(Preset::Quick, 4));
        for wrong in [
            "peak_lr",
            "simclr.nothing=1",
            "simclr.nothing.at=1",
            "simclr.epochs=soon",
            "simclr.epochs=0",
            "simclr.augmenter.steps.9.probability=1",
        ] {
            let error = format!("{:#}", set(&[wrong]).unwrap_err());
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn foreign_files_are_refused_and_leftovers_swept_up() {
        let folder = tempfile::tempdir().unwrap();
        let config = Table4Config::preset(Preset::Smoke, 4);
        std::fs::write(folder.path().join(".writing-abc"), "half").unwrap();
        config.claim_folder(folder.path()).unwrap();
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["run.toml"]);
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("checkpoint.safetensors"), "x").unwrap();
        let error = config.claim_folder(other.path()).unwrap_err().to_string();
        assert!(error.contains("checkpoint.safetensors") && error.contains("run.toml"), "{error}");
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
