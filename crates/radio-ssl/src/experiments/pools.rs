//! Unlabelled pictures to pre-train on, at native resolution.
//!
//! Zero is blank wherever first-frg is in a pool: its publishers cut every picture at 3 sigma. Float pictures hold no exact
//! zeros, so the rule does not touch them. In a mixed pool the origin of a picture can be read from its pixels (8-bit and cut, or
//! float with noise), and a contrastive loss may learn that instead of shapes; results name the pool of every encoder.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use radio_augment::{Augmenter, BlankRule, FlatRule, FrameSource, Preparation, Recipe};
use radio_io::separation_arcsec;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::held::{FrameFacts, HeldFrames};
use super::sets::{GROUP_ARCSEC, first_frg_options, mgcls_options, mirabest_options};
use crate::classify::images::{ImageOptions, Pictures};
use crate::frames::with_verdict;
use crate::manifest_frames::open_frames;
use crate::report::CheckVerdict;

/// Unlabelled pictures by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// Every MiraBest cutout, whatever its label: 1,003.
    Mirabest,
    /// Every first-frg picture: 2,001, one of them all zeros.
    FirstFrg,
    /// Both.
    Union,
    /// Every MGCLS picture: 1,860.
    Mgcls,
    /// MiraBest, first-frg, and the 1,860 of MGCLS, stretched by their publishers and zoomed to their source.
    All,
    /// Cutouts of a simulated survey or manifest, given by `--simulated`.
    Simulated,
}

impl Pool {
    /// As in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mirabest => "mirabest",
            Self::FirstFrg => "first-frg",
            Self::Union => "union",
            Self::Mgcls => "mgcls",
            Self::All => "all",
            Self::Simulated => "simulated",
        }
    }

    /// What is blank in it.
    pub fn blanks(self) -> BlankRule {
        match self {
            Self::Mirabest | Self::Simulated => BlankRule::Nan,
            Self::FirstFrg | Self::Union | Self::Mgcls | Self::All => BlankRule::ZeroIsBlank,
        }
    }

    /// A recipe with the rules of this pool.
    pub fn recipe(self, recipe: &Recipe) -> Recipe {
        Recipe { blanks: self.blanks(), flat: FlatRule::Mask, ..recipe.clone() }
    }
}

/// Where pools are read from.
#[derive(Debug, Clone)]
pub struct PoolSources {
    /// The data folder.
    pub data: PathBuf,
    /// Survey file or manifest of simulated cutouts.
    pub simulated: Option<PathBuf>,
}

impl PoolSources {
    /// The middle `crop` pixels of every picture of a pool.
    ///
    /// # Errors
    /// If a picture cannot be read or used: none is left out.
    pub fn read(&self, pool: Pool, crop: usize) -> Result<(HeldFrames, FrameFacts)> {
        let of = |options: ImageOptions| -> Result<HeldFrames> { read_pictures(&options, crop) };
        let frames = match pool {
            Pool::Mirabest => of(mirabest_options(&self.data))?,
            Pool::FirstFrg => of(first_frg_options(&self.data))?,
            Pool::Union => of(mirabest_options(&self.data))?.and(of(first_frg_options(&self.data))?),
            Pool::Mgcls => of(mgcls_options(&self.data))?,
            Pool::All => {
                let first = of(mirabest_options(&self.data))?.and(of(first_frg_options(&self.data))?);
                first.and(of(mgcls_options(&self.data))?)
            }
            Pool::Simulated => {
                let path = self.simulated.as_ref().context("pool simulated: name its cutouts with --simulated")?;
                read_simulated(path, crop)?.0
            }
        };
        let facts = frames.facts(&pool.recipe(&Recipe::paper(crop)));
        ensure!(
            facts.unusable.is_empty(),
            "pool {}: pictures that cannot be used: {:?}",
            pool.name(),
            &facts.unusable[..facts.unusable.len().min(5)]
        );
        Ok((frames, facts))
    }
}

fn read_pictures(options: &ImageOptions, crop: usize) -> Result<HeldFrames> {
    let pictures = Pictures::open(options)?;
    let places = match (pictures.table.numbers("ra"), pictures.table.numbers("dec")) {
        (Ok(ra), Ok(dec)) => Some((ra, dec)),
        _ => None,
    };
    HeldFrames::read(&pictures, Some(crop), |i| {
        let row = pictures.rows[i];
        (pictures.list[i].id.clone(), places.as_ref().map(|(ra, dec)| (ra[row], dec[row])))
    })
}

/// Cutouts of a survey or manifest, and what was left out; a folder stands for the `survey.toml` in it.
pub(super) fn read_simulated(path: &Path, crop: usize) -> Result<(HeldFrames, Vec<String>)> {
    let path = if path.is_dir() { path.join("survey.toml") } else { path.to_path_buf() };
    let recipe = Preparation::Recipe(Pool::Simulated.recipe(&Recipe::paper(crop)));
    let (frames, _) = open_frames(&path, None, &recipe)?;
    let names: Vec<String> = (0..frames.len()).map(|i| Ok(frames.record(i)?.id)).collect::<Result<_>>()?;
    // Simulated places are not on the real sky: no object is near them.
    let held = HeldFrames::read(frames.as_ref(), Some(crop), |i| (names[i].clone(), None))?;
    Ok((held, with_verdict(frames.checks(), CheckVerdict::LeftOut)))
}

/// The frames further than 270" from every one of `places`: a pool that never saw the sky of a test fold.
pub fn strict(frames: &HeldFrames, places: &[(f64, f64)]) -> HeldFrames {
    let far = |&i: &usize| {
        frames.sky(i).is_none_or(|sky| places.iter().all(|&place| separation_arcsec(sky, place) > GROUP_ARCSEC))
    };
    let kept: Vec<usize> = (0..frames.len()).filter(far).collect();
    frames.part(&kept)
}

/// A share of the frames, drawn once: a smaller share is part of a larger one.
///
/// # Errors
/// If the share is not above 0 and at most 1.
pub fn share(frames: &HeldFrames, share: f64) -> Result<HeldFrames> {
    if !(share > 0.0 && share <= 1.0) {
        bail!("share of a pool: expected above 0 and at most 1, found {share}");
    }
    let mut order: Vec<usize> = (0..frames.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    order.truncate(((frames.len() as f64 * share).round() as usize).max(1));
    order.sort_unstable();
    Ok(frames.part(&order))
}

/// A chain without one of its steps.
pub fn without_step(augmenter: &Augmenter, place: usize) -> Augmenter {
    let mut steps = augmenter.steps.clone();
    if place < steps.len() {
        steps.remove(place);
    }
    Augmenter { steps }
}
