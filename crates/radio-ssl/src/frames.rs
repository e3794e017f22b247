//! The frames of a run: what a survey or a manifest holds, what the recipe accepts, and what was left out and why
//! ([`crate::frame_check`]). Training and embedding see [`NamedFrames`]; Table 4 needs the grid of a survey, [`SurveyFrames`].
use std::error::Error;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use metrics::FrameGroup;
use ndarray::Array2;
use radio_augment::{Augmenter, FrameSource, Preparation, ViewLoader};
use radio_io::{Cutout, FrameId, FrameLabel, FrameLabels, FrameSet, Survey, separation_arcsec};
use rayon::prelude::*;

use crate::frame_check::{FrameCounts, check_frames, refused_words};
use crate::report::{CheckVerdict, FrameCheck};

/// Frames that a recipe accepts, wherever they come from: what training and embedding need.
pub trait NamedFrames: FrameSource {
    /// Name, place, noise and blank share of frame `i`.
    ///
    /// # Errors
    /// If its pixels are needed for that and cannot be read.
    fn record(&self, i: usize) -> Result<FrameRecord>;

    /// What was looked at before the frames were used, what was found, and what came of it.
    fn checks(&self) -> &[FrameCheck];
}

/// What a feature table says of a frame beside its features.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameRecord {
    /// Its name.
    pub id: String,
    /// Right ascension and declination of its centre, degrees, J2000.
    pub sky: Option<(f64, f64)>,
    /// Noise, Jy/beam.
    pub rms_jy_beam: f32,
    /// Share of blank pixels, 0 to 1.
    pub blank_fraction: f32,
}

/// Frames by their places in a source: those that a recipe accepts, and the others with the reason.
pub(crate) struct Accepted {
    pub(crate) kept: Vec<usize>,
    pub(crate) refused: Vec<(usize, String)>,
}

impl Accepted {
    /// Tries the recipe on every frame.
    pub(crate) fn of(source: Arc<dyn FrameSource>, recipe: &Preparation) -> Self {
        let count = source.len();
        let loader = ViewLoader::new(source, recipe.clone(), Augmenter { steps: Vec::new() }, 0);
        let refused: Vec<(usize, String)> =
            loader.refused_frames().into_iter().map(|(place, reason)| (place, reason_of(&reason))).collect();
        let places: std::collections::HashSet<usize> = refused.iter().map(|(place, _)| *place).collect();
        Self { kept: (0..count).filter(|place| !places.contains(place)).collect(), refused }
    }
}

/// The lines of these verdicts, in words.
pub(crate) fn with_verdict(checks: &[FrameCheck], verdict: CheckVerdict) -> Vec<String> {
    let of_verdict = checks.iter().filter(|check| check.verdict == verdict);
    of_verdict.map(|check| format!("{}: {}", check.what, check.found)).collect()
}

/// Frames that can be trained on, with their labels where there are any.
pub struct SurveyFrames {
    set: FrameSet,
    /// Places in `set` of the frames the recipe accepts.
    kept: Vec<usize>,
    labels: Option<Vec<Option<Vec<FrameLabel>>>>,
    checks: Vec<FrameCheck>,
}

impl SurveyFrames {
    /// Cuts a survey, tries the recipe on every frame, and joins the labels.
    ///
    /// # Errors
    /// If a mosaic or the labels cannot be used, or no frame remains.
    pub fn open(survey: &Survey, recipe: &Preparation) -> Result<Arc<Self>> {
        let set = FrameSet::of_survey(survey).with_context(|| format!("survey {}", survey.name))?;
        let labels = match &survey.labels {
            Some(path) => Some(FrameLabels::read(path)?.join(&set)?),
            None => None,
        };
        let Accepted { kept, refused } = Accepted::of(Arc::new(Places(set.clone())), recipe);
        let mut frames = Self { kept, set, labels, checks: Vec::new() };
        let named = refused.into_iter().map(|(place, reason)| Ok((frames.set.id(place)?.to_string(), reason)));
        let refused: Vec<(String, String)> = named.collect::<Result<_>>()?;
        let counts = FrameCounts {
            max_blank: survey.frames.max_blank_fraction,
            size: survey.frames.size,
            step: survey.frames.step,
            refused: refused_words(&refused),
            any_refused: !refused.is_empty(),
            with_blank: frames.with_blank()?,
            kept: frames.kept.len(),
        };
        frames.checks = check_frames(&frames.set, &counts);
        ensure!(
            !frames.kept.is_empty(),
            "survey {}: no frame can be used ({})",
            survey.name,
            frames.left_out().join("; ")
        );
        Ok(Arc::new(frames))
    }

    /// How many of the frames in use hold blank pixels, and the largest share.
    fn with_blank(&self) -> Result<(usize, f64)> {
        let share = |&place: &usize| -> Result<f64> {
            let pixels = self.set.pixels(place)?;
            let blank = pixels.iter().filter(|value| !value.is_finite()).count();
            Ok(blank as f64 / pixels.len().max(1) as f64)
        };
        let shares: Vec<f64> = self.kept.par_iter().map(share).collect::<Result<_>>()?;
        let most = shares.iter().copied().fold(0.0, f64::max);
        Ok((shares.iter().filter(|share| **share > 0.0).count(), most))
    }

    /// Frames left out, in words.
    pub fn left_out(&self) -> Vec<String> {
        with_verdict(&self.checks, CheckVerdict::LeftOut)
    }

    /// What a reader should know of the mosaics, in words.
    pub fn remarks(&self) -> Vec<String> {
        with_verdict(&self.checks, CheckVerdict::Look)
    }

    /// Two mosaics with frames that show the same sky, if there are any.
    ///
    /// # Errors
    /// None for the frames of this set.
    pub fn overlapping_mosaics(&self) -> Result<Option<(String, String)>> {
        let mut places = Vec::new();
        for i in 0..self.kept.len() {
            let id = self.id(i)?;
            let mosaic = self.set.mosaics().iter().find(|mosaic| mosaic.id == id.mosaic);
            let side = mosaic.and_then(|m| m.wcs.as_ref()).map(|wcs| wcs.pixel_arcsec() * f64::from(id.size));
            if let (Some(sky), Some(side)) = (self.set.sky(self.kept[i])?, side) {
                places.push((sky, side * std::f64::consts::SQRT_2, id.mosaic));
            }
        }
        // Sorted by declination, only neighbours within a frame's diagonal can overlap.
        places.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
        let widest = places.iter().fold(0.0f64, |widest, place| widest.max(place.1));
        for (n, (sky, reach, mosaic)) in places.iter().enumerate() {
            let near = places[n + 1..].iter().take_while(|other| (other.0.1 - sky.1) * 3600.0 <= widest);
            for (other, other_reach, other_mosaic) in near {
                let reach = 0.5 * (reach + other_reach);
                if other_mosaic != mosaic && separation_arcsec(*sky, *other) < reach {
                    return Ok(Some((mosaic.clone(), other_mosaic.clone())));
                }
            }
        }
        Ok(None)
    }

    /// The mosaics behind the frames.
    pub fn set(&self) -> &FrameSet {
        &self.set
    }

    /// Name of frame `i`.
    ///
    /// # Errors
    /// If there is no such frame.
    pub fn id(&self, i: usize) -> Result<FrameId> {
        Ok(self.set.id(self.kept[i])?)
    }

    /// Names of all frames.
    ///
    /// # Errors
    /// None for the frames of this set.
    pub fn ids(&self) -> Result<Vec<FrameId>> {
        (0..self.len()).map(|i| self.id(i)).collect()
    }

    /// Pixels, noise, blank fraction and sky position of frame `i`.
    ///
    /// # Errors
    /// If its pixels cannot be read.
    pub fn cutout(&self, i: usize) -> Result<Cutout> {
        Ok(self.set.cutout(self.kept[i])?)
    }

    /// Labels of frame `i`; `None` if it was not labelled.
    pub fn labels(&self, i: usize) -> Option<&[FrameLabel]> {
        self.labels.as_ref()?[self.kept[i]].as_deref()
    }

    /// Whether the survey names labels at all.
    pub fn has_labels(&self) -> bool {
        self.labels.is_some()
    }

    /// Whether each frame is labelled EXTENDED, DIFFUSE or DIFFUSE-LARGE: what the ranking learns to tell (reference-facts E5).
    pub fn interesting(&self) -> Vec<bool> {
        let extended = [FrameLabel::Extended, FrameLabel::Diffuse, FrameLabel::DiffuseLarge];
        let is_interesting = |i| self.labels(i).unwrap_or_default().iter().any(|label| extended.contains(label));
        (0..self.kept.len()).map(is_interesting).collect()
    }

    /// Group of every frame in Table 4; `None` if it was not labelled.
    pub fn groups(&self) -> Vec<Option<FrameGroup>> {
        let group = |labels: &[FrameLabel]| {
            FrameGroup::from_labels(&labels.iter().map(|label| label.text()).collect::<Vec<_>>())
        };
        (0..self.len()).map(|i| self.labels(i).and_then(group)).collect()
    }
}

impl FrameSource for SurveyFrames {
    fn len(&self) -> usize {
        self.kept.len()
    }

    fn address(&self, i: usize) -> u64 {
        self.set.id(self.kept[i]).map_or(0, |id| id.address())
    }

    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        Ok(self.set.pixels(self.kept[i])?)
    }
}

impl NamedFrames for SurveyFrames {
    fn record(&self, i: usize) -> Result<FrameRecord> {
        let Cutout { id, sky, rms_jy_beam, blank_fraction, .. } = self.cutout(i)?;
        Ok(FrameRecord { id: id.to_string(), sky, rms_jy_beam, blank_fraction })
    }

    fn checks(&self) -> &[FrameCheck] {
        &self.checks
    }
}

/// An error with all its causes.
fn reason_of(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(&format!(": {error}"));
        cause = error.source();
    }
    words
}

/// A whole frame set as a source, before the recipe is asked.
struct Places(FrameSet);

impl FrameSource for Places {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn address(&self, i: usize) -> u64 {
        self.0.id(i).map_or(0, |id| id.address())
    }

    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        Ok(self.0.pixels(i)?)
    }
}
