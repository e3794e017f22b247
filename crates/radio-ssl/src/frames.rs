//! The frames of a run: what the survey holds, what the recipe accepts, and what was left out and why.
use std::error::Error;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use metrics::FrameGroup;
use ndarray::Array2;
use radio_augment::{Augmenter, FrameSource, Recipe, ViewLoader};
use radio_io::{Cutout, FrameId, FrameLabel, FrameLabels, FrameSet, Survey, SurveyMosaic, separation_arcsec};

/// Frames that can be trained on, with their labels where there are any.
pub struct SurveyFrames {
    set: FrameSet,
    /// Places in `set` of the frames the recipe accepts.
    kept: Vec<usize>,
    labels: Option<Vec<Option<Vec<FrameLabel>>>>,
    left_out: Vec<String>,
    remarks: Vec<String>,
}

impl SurveyFrames {
    /// Cuts a survey, tries the recipe on every frame, and joins the labels.
    ///
    /// # Errors
    /// If a mosaic or the labels cannot be used, or no frame remains.
    pub fn open(survey: &Survey, recipe: &Recipe) -> Result<Arc<Self>> {
        let set = FrameSet::of_survey(survey).with_context(|| format!("survey {}", survey.name))?;
        let mut left_out = Vec::new();
        let counts = set.left_out();
        if counts.too_blank > 0 {
            let limit = 100.0 * survey.frames.max_blank_fraction;
            left_out.push(format!("{} frames with more than {limit:.0} % blank pixels", counts.too_blank));
        }
        if counts.constant > 0 {
            left_out.push(format!("{} frames whose pixels are all equal", counts.constant));
        }
        let labels = match &survey.labels {
            Some(path) => Some(FrameLabels::read(path)?.join(&set)?),
            None => None,
        };
        let mut frames = Self { kept: (0..set.len()).collect(), remarks: unlike_mosaics(&set), set, labels, left_out };
        let refused = ViewLoader::new(Arc::new(frames.places()), recipe.clone(), Augmenter { steps: Vec::new() }, 0)
            .refused_frames();
        for (place, reason) in refused.iter().take(5) {
            frames.left_out.push(format!("{}: {reason}", frames.set.id(*place)?));
        }
        if refused.len() > 5 {
            frames.left_out.push(format!("{} frames more that the recipe refuses", refused.len() - 5));
        }
        let refused: std::collections::HashSet<usize> = refused.into_iter().map(|(place, _)| place).collect();
        frames.kept.retain(|place| !refused.contains(place));
        ensure!(
            !frames.kept.is_empty(),
            "survey {}: no frame can be used ({})",
            survey.name,
            frames.left_out.join("; ")
        );
        Ok(Arc::new(frames))
    }

    /// All frames of the set, before the recipe was asked.
    fn places(&self) -> Places {
        Places(self.set.clone())
    }

    /// Frames left out, in words.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// What a reader should know of the mosaics, in words.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
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

/// Mosaics of one survey that differ in pixel scale or beam: their frames do not look alike for reasons that are no sky.
fn unlike_mosaics(set: &FrameSet) -> Vec<String> {
    let mut remarks = Vec::new();
    let Some(first) = set.mosaics().first() else { return remarks };
    let pixel = |m: &SurveyMosaic| m.wcs.as_ref().map(radio_io::Wcs::pixel_arcsec);
    let beam = |m: &SurveyMosaic| m.beam.map(|beam| beam.major_arcsec);
    let differ = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() > 0.01 * a.abs(),
        (a, b) => a.is_some() != b.is_some(),
    };
    let words = |value: Option<f64>| value.map_or("unknown".to_owned(), |value| format!("{value:.3}\""));
    for other in &set.mosaics()[1..] {
        for (what, a, b) in [("pixels", pixel(first), pixel(other)), ("beams", beam(first), beam(other))] {
            if differ(a, b) {
                let (a, b) = (words(a), words(b));
                remarks.push(format!(
                    "{what} differ: {} has {a}, {} has {b}; the encoder may learn which map a frame is from",
                    first.id, other.id
                ));
            }
        }
    }
    remarks
}

/// A whole frame set as a source.
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
