//! What features depend on, as fingerprints: two runs with the same origin give the same bits.
use std::path::Path;

use anyhow::Result;
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::kernel::kernel_in_use;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::frames::NamedFrames;
use crate::manifest_frames::is_manifest;
use crate::run_config::{hexadecimal, sha256_of};
use crate::stages::{encoder_fingerprint, open_survey};

/// Entries of a checkpoint that say how its weights are used: precision, pre-processing, scaling.
const SETTINGS: [&str; 3] = ["simclr.toml", "recipe.toml", radio_tensor::checkpoint::ENCODER_KEY];

/// What a run's features come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Origin {
    /// The encoder's weights, SHA-256.
    pub encoder: String,
    /// How they are used, SHA-256.
    pub settings: String,
    /// The frames: their places, the pixels behind them, and what is made of them, SHA-256. Not where the files lie.
    pub frames: String,
    /// The kernel that computes: others round otherwise.
    pub kernel: String,
}

impl Origin {
    /// The origin of a run over `frames`, which were opened from `survey`; `record` is what [`open_frames`] says of them, and
    /// `whole` whether an encoder of native resolution is shown all of them.
    ///
    /// [`open_frames`]: crate::manifest_frames::open_frames
    pub(super) fn of(
        checkpoint: &Path,
        whole: bool,
        survey: &Path,
        frames: &dyn NamedFrames,
        record: &str,
    ) -> Result<Self> {
        let file = Checkpoint::read(checkpoint)?.checkpoint;
        let mut settings = Sha256::new();
        for text in SETTINGS.iter().filter_map(|name| file.text.get(*name)) {
            settings.update((text.len() as u64).to_le_bytes());
            settings.update(text);
        }
        if whole {
            settings.update("whole frames");
        }
        Ok(Self {
            encoder: encoder_fingerprint(checkpoint)?,
            settings: hexadecimal(&settings.finalize()),
            frames: frames_fingerprint(survey, frames, record)?,
            kernel: kernel_in_use().name().to_owned(),
        })
    }

    /// The first thing in which two origins differ: what it is, and what it is here and there.
    pub(super) fn difference<'a>(&'a self, other: &'a Self) -> Option<(&'static str, &'a str, &'a str)> {
        [
            ("the encoder's weights", &self.encoder, &other.encoder),
            ("the encoder's settings", &self.settings, &other.settings),
            ("the frames", &self.frames, &other.frames),
            ("the kernel", &self.kernel, &other.kernel),
        ]
        .into_iter()
        .find_map(|(what, here, there)| (here != there).then_some((what, here.as_str(), there.as_str())))
    }
}

fn frames_fingerprint(path: &Path, frames: &dyn NamedFrames, record: &str) -> Result<String> {
    let mut hasher = Sha256::new();
    if is_manifest(path) {
        // Holds the manifest's own fingerprint, and the manifest those of its mosaics, which were checked when it was opened.
        hasher.update(record);
    } else {
        let mut survey = open_survey(path)?;
        survey.labels = None;
        for mosaic in &mut survey.mosaics {
            hasher.update(sha256_of(&mosaic.path)?);
            mosaic.path = mosaic.path.file_name().unwrap_or_default().into();
        }
        hasher.update(toml::to_string(&survey)?);
    }
    (0..frames.len()).for_each(|frame| hasher.update(frames.address(frame).to_le_bytes()));
    Ok(hexadecimal(&hasher.finalize()))
}
