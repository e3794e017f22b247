//! A list of transforms: pre-processing in any order, beside the paper's [`Recipe`](crate::Recipe).

use ndarray::{Array3, ArrayView2, ArrayView3, Axis};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    Augmenter, BlankRule, Placement, RecipeError, SettingError, augment_step::in_range, blank::count_non_finite,
    preprocessing::Transform, row_order::planes_mut, scratch::take_channels,
};

/// Steps from first to last, and what holds for all of them.
///
/// Slower than [`Recipe`](crate::Recipe), which keeps the statistics of a cutout and is the same as [`Preprocessing::paper`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Unchecked")]
pub struct Preprocessing {
    /// An image with a larger share of non-finite pixels in one of its channels is refused.
    pub max_blank_fraction: f64,
    /// What counts as blank. Under [`BlankRule::Nan`] blanks become 0 at the very end.
    pub blanks: BlankRule,
    /// Applied in this order.
    pub steps: Vec<Transform>,
}

impl Preprocessing {
    /// All steps on a cutout `[H, W]` (NaN blank), which is the only channel at first; no augmentation. The result is finite.
    ///
    /// # Errors
    /// As [`Preprocessing::cube`].
    pub fn channels(&self, cutout: ArrayView2<f32>) -> Result<Array3<f32>, RecipeError> {
        self.cube(cutout.insert_axis(Axis(0)))
    }

    /// All steps on channels `[C, H, W]` that are there already; no augmentation. The result is finite.
    ///
    /// # Errors
    /// Too many blanks; whatever a step refuses; under [`BlankRule::ZeroIsBlank`] pixels that are not finite at the end.
    pub fn cube(&self, cube: ArrayView3<f32>) -> Result<Array3<f32>, RecipeError> {
        self.finish(self.start(cube)?)
    }

    /// One augmented view of a cutout `[H, W]`; the augmenter runs at the [`Transform::Augment`] step, or after the last.
    ///
    /// Only pixel positions the augmenter changed are in `placement`: what a crop or resize among the steps does to them is not.
    /// For several views of a cutout, [`Preprocessing::start`] once and [`Preprocessing::finish`] each.
    ///
    /// # Errors
    /// As [`Preprocessing::cube`].
    pub fn view(
        &self,
        cutout: ArrayView2<f32>,
        augmenter: &Augmenter,
        rng: &mut impl Rng,
        placement: &mut Placement,
    ) -> Result<Array3<f32>, RecipeError> {
        let ready = self.start(cutout.insert_axis(Axis(0)))?;
        self.finish(augmenter.apply_placed(ready, self.blanks, rng, placement))
    }

    /// The steps before the augmenter, on channels `[C, H, W]`.
    ///
    /// # Errors
    /// As [`Preprocessing::cube`].
    pub fn start(&self, cube: ArrayView3<f32>) -> Result<Array3<f32>, RecipeError> {
        self.check()?;
        let (before, _) = self.steps.split_at(self.augment_place());
        before.iter().try_fold(self.open(cube)?, |channels, step| step.apply(channels, self.blanks))
    }

    /// The steps after the augmenter; the result is finite.
    ///
    /// # Errors
    /// As [`Preprocessing::cube`].
    pub fn finish(&self, channels: Array3<f32>) -> Result<Array3<f32>, RecipeError> {
        let (_, after) = self.steps.split_at(self.augment_place());
        self.close(after.iter().try_fold(channels, |channels, step| step.apply(channels, self.blanks))?)
    }

    fn augment_place(&self) -> usize {
        self.steps.iter().position(|step| *step == Transform::Augment {}).unwrap_or(self.steps.len())
    }

    /// Channels, rows and columns of the result for every cutout `[H, W]`.
    ///
    /// # Errors
    /// If no `resize` or `center-crop` fixes the size, so that results follow the cutout's.
    pub fn output_shape(&self) -> Result<(usize, usize, usize), SettingError> {
        let (mut channels, mut side) = (1, None);
        for step in &self.steps {
            match *step {
                Transform::Channels { count } => channels = count,
                Transform::ChannelRatio { drop_reference: true, .. } => channels -= usize::from(channels > 0),
                Transform::Resize { size, .. } | Transform::CenterCrop { size } => side = Some(size),
                _ => {}
            }
        }
        let expected = || "a `resize` or `center-crop` among them".into();
        let side = side.ok_or_else(|| SettingError { name: "steps", found: "neither".into(), expected: expected() })?;
        Ok((channels, side, side))
    }

    /// A copy in row order whose blanks hold what the rule says.
    fn open(&self, cube: ArrayView3<f32>) -> Result<Array3<f32>, RecipeError> {
        let (_, rows, cols) = cube.dim();
        let pixels = rows * cols;
        let mut channels = take_channels(cube.dim());
        channels.assign(&cube);
        if channels.is_empty() {
            return Err(RecipeError::AllBlank { rows, cols, pixels: 0 });
        }
        for plane in planes_mut(&mut channels) {
            let n_blank = count_non_finite(plane);
            if n_blank == pixels {
                return Err(RecipeError::AllBlank { rows, cols, pixels });
            }
            let found = n_blank as f64 / pixels as f64;
            if found > self.max_blank_fraction {
                return Err(RecipeError::TooBlank { found, limit: self.max_blank_fraction });
            }
            plane.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = self.blanks.blank());
        }
        Ok(channels)
    }

    fn close(&self, mut channels: Array3<f32>) -> Result<Array3<f32>, RecipeError> {
        for (channel, plane) in planes_mut(&mut channels).enumerate() {
            match (count_non_finite(plane), self.blanks) {
                (0, _) => {}
                (_, BlankRule::Nan) => plane.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = 0.0),
                (pixels, BlankRule::ZeroIsBlank) => return Err(RecipeError::NotFinite { channel, pixels }),
            }
        }
        Ok(channels)
    }

    /// Checks every number; a list read from a file has been checked.
    ///
    /// # Errors
    /// The first number outside its range; more than one [`Transform::Augment`].
    pub fn check(&self) -> Result<(), SettingError> {
        in_range("max_blank_fraction", self.max_blank_fraction, 0.0, 1.0)?;
        let places = self.steps.iter().filter(|step| **step == Transform::Augment {}).count();
        in_range("`augment` steps", places as f64, 0.0, 1.0)?;
        self.steps.iter().try_for_each(Transform::check)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    max_blank_fraction: f64,
    blanks: BlankRule,
    steps: Vec<Transform>,
}

impl TryFrom<Unchecked> for Preprocessing {
    type Error = SettingError;

    fn try_from(unchecked: Unchecked) -> Result<Self, SettingError> {
        let Unchecked { max_blank_fraction, blanks, steps } = unchecked;
        let preprocessing = Self { max_blank_fraction, blanks, steps };
        preprocessing.check().map(|()| preprocessing)
    }
}
