//! The simple descriptions that an encoder has to beat on labelled pictures.
use anyhow::{Context, Result, ensure};
use frame_features::{PixelConfig, RingConfig, brightness_statistics, pixel_row, ring_features};
use ndarray::{Array2, Axis, concatenate};
use radio_augment::{FrameSource, Recipe, middle_square};
use rayon::prelude::*;

use super::images::Pictures;
use crate::baselines::pixel_components;

/// Name of the feature set that all others are compared with.
pub const RINGS: &str = "ring features";
/// Principal components of the pixels.
const COMPONENTS: usize = 50;
/// Side of the channels that rings are laid on. On FIRST pictures of 96 pixels, 64 gives logistic regression 1 to 2 points more than
/// 96 (a ring is 2 pixels wide, and a pixel a little smoothed); nearest neighbours do not care.
const SIDE: usize = 64;

/// A name and a row of numbers for every picture.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSet {
    /// Name in tables.
    pub name: String,
    /// `[pictures, columns]`.
    pub rows: Array2<f32>,
}

/// Ring features, principal components and brightness statistics.
///
/// Rings and components are of the three channels, 64 pixels wide, of the whole frame that the recipe cuts for a network
/// ([`Recipe::frame_side`], margin included), or of the whole picture; brightness is of that frame itself. `name` is for errors.
///
/// # Errors
/// If a picture cannot be read or described.
pub fn hand_made(
    pictures: &dyn FrameSource,
    name: &(dyn Fn(usize) -> String + Sync),
    recipe: &Recipe,
) -> Result<Vec<FeatureSet>> {
    let pixels = |i: usize| -> Result<Array2<f32>> {
        let picture = pictures.pixels(i).map_err(anyhow::Error::from_boxed)?;
        Ok(recipe.frame_side().map_or_else(|| picture.clone(), |side| middle_square(picture.view(), side).to_owned()))
    };
    let recipe = Recipe { size: SIDE, margin: 0, native: false, ..recipe.clone() };
    let rings = table(pictures, name, |i| {
        let channels = recipe.channels(pixels(i)?.view())?;
        Ok(ring_features(channels.view(), &RingConfig::sixteen_rings())?)
    })?;
    let small = table(pictures, name, |i| {
        let channels = recipe.channels(pixels(i)?.view())?;
        Ok(pixel_row(channels.view(), &PixelConfig::thirty_two())?)
    })?;
    let brightness = table(pictures, name, |i| Ok(brightness_statistics(pixels(i)?.view())?))?;
    let components = pixel_components(small.view(), COMPONENTS)?;
    Ok(vec![
        FeatureSet { name: "brightness statistics".into(), rows: brightness },
        FeatureSet { name: "pixel PCA".into(), rows: components },
        FeatureSet { name: RINGS.into(), rows: rings },
    ])
}

/// Columns of the table of labels, each as its logarithm where all values are above 0.
///
/// # Errors
/// If a column is missing, holds no numbers, or lacks a value.
pub fn catalogue_columns(pictures: &Pictures, names: &[String]) -> Result<FeatureSet> {
    let mut rows = Array2::zeros((pictures.len(), names.len()));
    for (column, name) in names.iter().enumerate() {
        let all = pictures.table.numbers(name)?;
        let values: Vec<f64> = pictures.rows.iter().map(|&row| all[row]).collect();
        let missing = values.iter().position(|value| !value.is_finite());
        ensure!(missing.is_none(), "column `{name}`: no number for {}", pictures.list[missing.unwrap_or(0)].id);
        let logarithm = values.iter().all(|&value| value > 0.0);
        for (row, value) in values.into_iter().enumerate() {
            rows[(row, column)] = if logarithm { value.ln() } else { value } as f32;
        }
    }
    Ok(FeatureSet { name: format!("catalogue: {}", names.join(", ")), rows })
}

/// Two feature sets side by side, each of unit spread in all, so that neither rules the cosine.
///
/// # Errors
/// If they have different numbers of rows.
pub fn beside(one: &FeatureSet, other: &FeatureSet) -> Result<FeatureSet> {
    let scaled = |set: &FeatureSet| {
        let squares: f64 = set.rows.iter().map(|&v| f64::from(v).powi(2)).sum();
        let length = (squares / set.rows.nrows().max(1) as f64).sqrt().max(f64::MIN_POSITIVE);
        set.rows.mapv(|v| (f64::from(v) / length) as f32)
    };
    let rows = concatenate(Axis(1), &[scaled(one).view(), scaled(other).view()]).context("rows of one number")?;
    Ok(FeatureSet { name: format!("{} + rings", one.name), rows })
}

/// One row a picture, in order.
fn table(
    pictures: &dyn FrameSource,
    name: &(dyn Fn(usize) -> String + Sync),
    describe: impl Fn(usize) -> Result<Vec<f32>> + Sync,
) -> Result<Array2<f32>> {
    let rows: Vec<Vec<f32>> =
        (0..pictures.len()).into_par_iter().map(|i| describe(i).with_context(|| name(i))).collect::<Result<_>>()?;
    let width = rows.first().map_or(0, Vec::len);
    Array2::from_shape_vec((rows.len(), width), rows.concat()).context("rows of one length")
}
