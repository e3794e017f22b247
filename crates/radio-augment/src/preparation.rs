//! What a loader does to cutouts: the paper's recipe, or a list of steps.

use ndarray::{Array3, ArrayView2};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{Augmenter, Preprocessing, Recipe, RecipeError, SettingError};

/// A recipe or a list of steps; a configuration file shows which by its keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected every key of a recipe (`size`, `order`, …), or `max_blank_fraction`, `blanks` and valid `steps`"
)]
pub enum Preparation {
    /// The fast way, for what the paper does.
    Recipe(Recipe),
    /// Any order of any steps.
    Steps(Preprocessing),
}

impl From<Recipe> for Preparation {
    fn from(recipe: Recipe) -> Self {
        Self::Recipe(recipe)
    }
}

impl From<Preprocessing> for Preparation {
    fn from(steps: Preprocessing) -> Self {
        Self::Steps(steps)
    }
}

impl Preparation {
    /// Channels, rows and columns of every result.
    ///
    /// # Errors
    /// A setting out of range; a list after which results may differ in shape.
    pub fn output_shape(&self) -> Result<(usize, usize, usize), SettingError> {
        match self {
            Self::Recipe(recipe) => recipe.check().map(|()| (3, recipe.size, recipe.size)),
            Self::Steps(steps) => steps.check().and_then(|()| steps.output_shape()),
        }
    }

    /// Channels of a cutout `[H, W]` (NaN blank), finite; no augmentation.
    ///
    /// # Errors
    /// As [`Recipe::channels`] and [`Preprocessing::channels`].
    pub fn channels(&self, cutout: ArrayView2<f32>) -> Result<Array3<f32>, RecipeError> {
        match self {
            Self::Recipe(recipe) => recipe.channels(cutout),
            Self::Steps(steps) => steps.channels(cutout),
        }
    }

    /// One view of channels that are ready for the augmenter.
    pub(crate) fn view(
        &self,
        ready: Array3<f32>,
        augmenter: &Augmenter,
        rng: &mut impl Rng,
    ) -> Result<Array3<f32>, RecipeError> {
        match self {
            Self::Recipe(recipe) => recipe.view(ready, augmenter, rng),
            Self::Steps(steps) => steps.finish(augmenter.apply_with_blanks(ready, steps.blanks, rng)),
        }
    }

    /// The result without augmentation.
    pub(crate) fn finish(&self, ready: Array3<f32>) -> Result<Array3<f32>, RecipeError> {
        match self {
            Self::Recipe(recipe) => recipe.finish(ready),
            Self::Steps(steps) => steps.finish(ready),
        }
    }
}
