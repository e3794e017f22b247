//! Frames in memory: read once, shared by every training and feature table of an experiment.
use std::error::Error;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use ndarray::Array2;
use radio_augment::{Augmenter, FlatRule, FrameSource, LoaderError, Recipe, RecipeError, ViewLoader, middle_square};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::frames::{FrameRecord, NamedFrames};
use crate::report::FrameCheck;
use crate::run_config::hexadecimal;

/// One frame.
struct Held {
    id: String,
    address: u64,
    origin: u32,
    sky: Option<(f64, f64)>,
    pixels: Array2<f32>,
}

/// Frames in memory, or some of them.
#[derive(Clone)]
pub struct HeldFrames {
    all: Arc<Vec<Held>>,
    rows: Vec<usize>,
    /// Only the middle square of this side.
    middle: Option<usize>,
}

/// What is special about the frames of a source under a recipe.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameFacts {
    /// Frames.
    pub frames: usize,
    /// Frames with a channel in which every pixel that counts has one value: zscale found two equal limits. Such a channel
    /// becomes a mask of the source.
    pub with_flat_channel: usize,
    /// Frames without a pixel above 0, by name; they are used, as zeros.
    pub all_zero: Vec<String>,
    /// Frames that cannot be used, by name, with the reason.
    pub unusable: Vec<(String, String)>,
}

impl HeldFrames {
    /// Reads `len` frames, the middle `crop` pixels of each; `name(i)` is the name and the place on the sky.
    ///
    /// # Errors
    /// If a frame cannot be read.
    pub fn read(
        source: &dyn FrameSource,
        crop: Option<usize>,
        name: impl Fn(usize) -> (String, Option<(f64, f64)>) + Sync,
    ) -> Result<Self> {
        let read = |i: usize| -> Result<Held> {
            let (id, sky) = name(i);
            let pixels = source.pixels(i).map_err(|error| anyhow!("{id}: {error}"))?;
            let pixels = crop.map_or_else(|| pixels.clone(), |side| middle_square(pixels.view(), side).to_owned());
            Ok(Held { id, address: source.address(i), origin: source.origin(i), sky, pixels })
        };
        let all: Vec<Held> = (0..source.len()).into_par_iter().map(read).collect::<Result<_>>()?;
        Ok(Self::whole(all))
    }

    /// These frames and then those of another source.
    pub fn and(self, other: Self) -> Self {
        Self::whole(self.own(None).chain(other.own(None)).collect())
    }

    /// The frames of several sources one after the other; the origin of each is the place of its source.
    pub fn of_origins(sources: Vec<Self>) -> Self {
        let own = |(place, source): (usize, &Self)| source.own(Some(place as u32)).collect::<Vec<_>>();
        Self::whole(sources.iter().enumerate().flat_map(own).collect())
    }

    fn whole(all: Vec<Held>) -> Self {
        let rows = (0..all.len()).collect();
        Self { all: Arc::new(all), rows, middle: None }
    }

    /// Copies of the frames, of this origin or their own.
    fn own(&self, origin: Option<u32>) -> impl Iterator<Item = Held> {
        self.rows.iter().map(move |&row| {
            let held = &self.all[row];
            let pixels = self
                .middle
                .map_or_else(|| held.pixels.clone(), |side| middle_square(held.pixels.view(), side).to_owned());
            let origin = origin.unwrap_or(held.origin);
            Held { id: held.id.clone(), address: held.address, origin, sky: held.sky, pixels }
        })
    }

    /// Some of the frames, in the order of `places`.
    pub fn part(&self, places: &[usize]) -> Self {
        Self { rows: places.iter().map(|&place| self.rows[place]).collect(), ..self.clone() }
    }

    /// The same frames, only their middle squares of this side.
    pub fn middle(&self, side: usize) -> Self {
        Self { middle: Some(side), ..self.clone() }
    }

    /// Name of a frame.
    pub fn id(&self, i: usize) -> &str {
        &self.all[self.rows[i]].id
    }

    /// Place of a frame on the sky, degrees.
    pub fn sky(&self, i: usize) -> Option<(f64, f64)> {
        self.all[self.rows[i]].sky
    }

    /// SHA-256 of names, places and pixels.
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for i in 0..self.len() {
            let held = &self.all[self.rows[i]];
            hasher.update(held.id.as_bytes());
            hasher.update(held.address.to_le_bytes());
            let pixels = self
                .middle
                .map_or_else(|| held.pixels.clone(), |side| middle_square(held.pixels.view(), side).to_owned());
            hasher.update((pixels.nrows() as u64).to_le_bytes());
            let bytes: Vec<u8> = pixels.iter().flat_map(|v| v.to_le_bytes()).collect();
            hasher.update(&bytes);
        }
        hexadecimal(&hasher.finalize())
    }

    /// What the recipe makes of the frames; nothing is left out here.
    pub fn facts(&self, recipe: &Recipe) -> FrameFacts {
        let source: Arc<dyn FrameSource> = Arc::new(self.clone());
        let refused = |flat| {
            let recipe = Recipe { flat, ..recipe.clone() };
            ViewLoader::new(source.clone(), recipe, Augmenter { steps: Vec::new() }, 0).refused_frames()
        };
        let unusable = refused(FlatRule::Mask);
        let is_flat = |error: &LoaderError| match error {
            LoaderError::Recipe { source, .. } => {
                matches!(source, RecipeError::ConstantChannel { .. } | RecipeError::AllBlank { .. })
            }
            _ => false,
        };
        let counted =
            |(place, error): &&(usize, LoaderError)| is_flat(error) && unusable.iter().all(|(other, _)| other != place);
        let zero = |&i: &usize| self.all[self.rows[i]].pixels.iter().all(|v| v.is_nan() || *v == 0.0);
        FrameFacts {
            frames: self.len(),
            with_flat_channel: refused(FlatRule::Refuse).iter().filter(counted).count(),
            all_zero: (0..self.len()).filter(zero).map(|i| self.id(i).to_owned()).collect(),
            unusable: unusable
                .iter()
                .map(|(place, error)| {
                    let cause = Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
                    (self.id(*place).to_owned(), cause)
                })
                .collect(),
        }
    }
}

impl FrameSource for HeldFrames {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn address(&self, i: usize) -> u64 {
        self.all[self.rows[i]].address
    }

    fn origin(&self, i: usize) -> u32 {
        self.all[self.rows[i]].origin
    }

    fn pixels(&self, i: usize) -> std::result::Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        let pixels = &self.all[self.rows[i]].pixels;
        Ok(self.middle.map_or_else(|| pixels.clone(), |side| middle_square(pixels.view(), side).to_owned()))
    }
}

impl NamedFrames for HeldFrames {
    /// Noise is not looked at here: it is not a number.
    fn record(&self, i: usize) -> Result<FrameRecord> {
        let held = &self.all[self.rows[i]];
        let blank = held.pixels.iter().filter(|v| !v.is_finite()).count();
        let blank_fraction = blank as f32 / held.pixels.len().max(1) as f32;
        Ok(FrameRecord { id: held.id.clone(), sky: held.sky, rms_jy_beam: f32::NAN, blank_fraction })
    }

    fn checks(&self) -> &[FrameCheck] {
        &[]
    }
}
