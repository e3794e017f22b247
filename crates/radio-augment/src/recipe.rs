//! The pre-processing recipe: one radio cutout to three channels in [0, 1]. A pure function, no random number in sight.

use ndarray::{Array3, ArrayView2, s};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    Augmenter, BlankRule, Edge, Limits, RecipeError, SettingError, ZscaleFit,
    augment_step::in_range,
    blank::{MaskedInterpolation, count_non_finite},
    fit_into_square, min_max,
    min_max::extremes,
    resize_bilinear::resize_plane,
    row_order::{in_row_order, planes_mut},
    scratch::{Scratch, recycle, take_channels},
    sigma_clip_bounds,
    stretch::{clip_to, scale_to},
    vectorise::vectorised,
};

/// Where augmentation stands among the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageOrder {
    /// The authors' code: clip and zscale, augment at native size, resize, MinMax.
    #[default]
    PaperCode,
    /// The paper's text: clip and zscale, MinMax, resize, augment.
    Paper,
}

/// What becomes of a channel in which every pixel that counts has one value, so that MinMax would divide by zero.
///
/// Published 8-bit pictures are so: where 99 of 100 pixels are 0, zscale finds two equal limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlatRule {
    /// The cutout is refused ([`RecipeError::ConstantChannel`]).
    #[default]
    Refuse,
    /// The channel becomes 1 on pixels that are neither blank nor 0, and 0 elsewhere: a mask of the source. A cutout of nothing
    /// but zeros becomes zeros; one of nothing but NaN is still refused. An augmentation that leaves a channel flat is kept.
    Mask,
}

impl FlatRule {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Every number of the pre-processing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Rows and columns of the result, pixels.
    pub size: usize,
    /// Whether a frame smaller than `size` is enlarged; otherwise it is surrounded by zeros.
    pub upscale: bool,
    /// Clipping reaches this many standard deviations below the median.
    pub sigma_low: f64,
    /// And this many above.
    pub sigma_up: f64,
    /// Rounds of clipping at most.
    pub clip_rounds: usize,
    /// zscale contrast of each channel; 0 means that the channel is sigma-clipped instead.
    pub zscale_contrasts: [f64; 3],
    /// A cutout with a larger share of blank (non-finite) pixels is refused.
    pub max_blank_fraction: f64,
    /// Where augmentation stands.
    pub order: StageOrder,
    /// What counts as blank.
    pub blanks: BlankRule,
    /// What becomes of a flat channel.
    #[serde(default, skip_serializing_if = "FlatRule::is_default")]
    pub flat: FlatRule,
    /// Pixels cut off every edge of the augmented frame: where a turn by any angle or a shift brings in sky instead of blanks.
    /// Only in the stage order of the authors' code; 0 in the paper.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub margin: usize,
    /// Whether only the middle `size + 2 * margin` pixels of a cutout are used, at their own resolution: nothing shrinks, what
    /// lies further out is not seen, and it counts neither for the stretch nor as blank. A smaller cutout is used whole.
    #[serde(default, skip_serializing_if = "is_false")]
    pub native: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(margin: &usize) -> bool {
    *margin == 0
}

/// What the recipe has to know of a cutout before it can stretch it: the expensive part, small and worth keeping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StretchLimits {
    /// Bounds of the sigma clipping, Jy/beam.
    pub clip: Limits,
    /// zscale limits of each channel, Jy/beam; `None` for a channel that is only clipped.
    pub zscale: [Option<Limits>; 3],
}

impl Recipe {
    /// The recipe of the paper for a result of `size` x `size` pixels (the paper: 224).
    ///
    /// Clipping 5 sigma below and 30 above the median; zscale contrasts 0.25 and 0.4 in the second and third channel; at most
    /// 30 % blank; the stage order of the authors' code; blanks are NaN. Small frames are enlarged, as the paper's text says;
    /// its code surrounds them by zeros unless told otherwise.
    ///
    /// # Source
    /// reference-facts B1 to B4, section I.
    #[must_use]
    pub fn paper(size: usize) -> Self {
        Self {
            size,
            upscale: true,
            sigma_low: 5.0,
            sigma_up: 30.0,
            clip_rounds: 5,
            zscale_contrasts: [0.0, 0.25, 0.4],
            max_blank_fraction: 0.3,
            order: StageOrder::PaperCode,
            blanks: BlankRule::Nan,
            flat: FlatRule::Refuse,
            margin: 0,
            native: false,
        }
    }

    /// Channels `[3, size, size]` of a cutout `[H, W]` (Jy/beam, NaN blank), finite and in `[0, 1]`; no augmentation.
    ///
    /// # Errors
    /// As [`Recipe::limits`] and [`Recipe::finish`].
    pub fn channels(&self, cutout: ArrayView2<f32>) -> Result<Array3<f32>, RecipeError> {
        let limits = self.limits(cutout)?;
        self.finish(self.stretch(cutout, &limits))
    }

    /// One augmented view `[3, size, size]` of a cutout stretched by [`Recipe::stretch`], finite and in `[0, 1]`.
    ///
    /// Augments before or after [`Recipe::finish`] as [`Recipe::order`] says. In the paper's order blanks are 0 by then, and
    /// what overshoots `[0, 1]` is cut off at the end.
    ///
    /// # Errors
    /// As [`Recipe::finish`].
    pub fn view(
        &self,
        stretched: Array3<f32>,
        augmenter: &Augmenter,
        rng: &mut impl Rng,
    ) -> Result<Array3<f32>, RecipeError> {
        match self.order {
            StageOrder::PaperCode => self.finish(augmenter.apply_with_blanks(stretched, self.blanks, rng)),
            StageOrder::Paper => {
                let mut view = in_row_order(augmenter.apply_with_blanks(self.finish(stretched)?, self.blanks, rng));
                planes_mut(&mut view).for_each(cut_to_unit);
                Ok(view)
            }
        }
    }

    /// The statistics of a cutout `[H, W]` (Jy/beam, NaN blank) that the stretch needs.
    ///
    /// # Errors
    /// All pixels blank, or more of them than `max_blank_fraction`; a setting out of range.
    pub fn limits(&self, cutout: ArrayView2<f32>) -> Result<StretchLimits, RecipeError> {
        self.check()?;
        let cutout = self.seen(cutout);
        let (rows, cols) = cutout.dim();
        let all_blank = RecipeError::AllBlank { rows, cols, pixels: rows * cols };
        let cutout = cutout.as_standard_layout();
        let pixels = cutout.as_slice().unwrap_or_default();
        let n_blank = count_non_finite(pixels);
        if n_blank == pixels.len() {
            return Err(all_blank);
        }
        let found = n_blank as f64 / pixels.len() as f64;
        if found > self.max_blank_fraction {
            return Err(RecipeError::TooBlank { found, limit: self.max_blank_fraction });
        }
        let good = self.blanks.counting_values(pixels);
        let clip = match sigma_clip_bounds(&good, self.sigma_low, self.sigma_up, self.clip_rounds) {
            Some(clip) => clip,
            None if self.flat == FlatRule::Mask => Limits { low: 0.0, high: 0.0 },
            None => return Err(all_blank), // upstream's rule, and all that is finite is zero
        };
        // Upstream samples zeros, and what was NaN is zero by then; we sample the pixels that are there.
        let fit = match self.blanks {
            BlankRule::ZeroIsBlank if n_blank > 0 => ZscaleFit::new(&zero_filled(pixels)),
            _ => ZscaleFit::new(pixels),
        };
        let fit = fit.ok_or(all_blank)?;
        let zscale = self.zscale_contrasts.map(|contrast| (contrast > 0.0).then(|| fit.limits(contrast)));
        Ok(StretchLimits { clip, zscale })
    }

    /// Side of the middle square that is used of a larger cutout, pixels, if this recipe is [`Recipe::native`].
    #[must_use]
    pub fn frame_side(&self) -> Option<usize> {
        self.native.then_some(self.size + 2 * self.margin)
    }

    fn seen<'a>(&self, cutout: ArrayView2<'a, f32>) -> ArrayView2<'a, f32> {
        match self.frame_side() {
            Some(side) => middle_square(cutout, side),
            None => cutout,
        }
    }

    /// Channels `[3, H, W]` at native size: clipped (Jy/beam) or zscaled (`[0, 1]`), each from the cutout itself.
    ///
    /// Blanks are NaN, or 0 under [`BlankRule::ZeroIsBlank`].
    #[must_use]
    pub fn stretch(&self, cutout: ArrayView2<f32>, limits: &StretchLimits) -> Array3<f32> {
        let cutout = self.seen(cutout);
        let (rows, cols) = cutout.dim();
        let cutout = cutout.as_standard_layout();
        let pixels = cutout.as_slice().unwrap_or_default();
        let mut channels = take_channels((3, rows, cols));
        for (plane, zscale) in planes_mut(&mut channels).zip(&limits.zscale) {
            plane.copy_from_slice(pixels);
            match zscale {
                Some(zscale) => scale_to(plane, *zscale, self.blanks),
                None => clip_to(plane, limits.clip, self.blanks),
            }
        }
        channels
    }

    /// Resizes stretched (and perhaps augmented) channels `[3, H, W]` to `[3, size, size]` and scales each to `[0, 1]`; the result is finite, blanks are 0.
    ///
    /// The shape of a frame that is not square is kept, zeros fill the rest. In the paper's order the scaling comes first.
    ///
    /// # Errors
    /// A channel all blank, or flat; a frame that is nothing but margin; a setting out of range.
    pub fn finish(&self, channels: Array3<f32>) -> Result<Array3<f32>, RecipeError> {
        self.check()?;
        let (n_channels, rows, cols) = channels.dim();
        if channels.is_empty() {
            return Err(RecipeError::AllBlank { rows, cols, pixels: 0 });
        }
        let mut channels = in_row_order(self.within_margin(channels)?);
        let (_, rows, cols) = channels.dim();
        let mut out = take_channels((n_channels, self.size, self.size));
        let mut masked = MaskedInterpolation::default();
        for (channel, (plane, out)) in planes_mut(&mut channels).zip(planes_mut(&mut out)).enumerate() {
            self.finish_plane(plane, (rows, cols), channel, &mut masked, out)?;
        }
        recycle(channels);
        Ok(out)
    }

    fn within_margin(&self, channels: Array3<f32>) -> Result<Array3<f32>, RecipeError> {
        let ((_, rows, cols), margin) = (channels.dim(), self.margin);
        if rows.min(cols) <= 2 * margin {
            return Err(RecipeError::WithinMargin { margin, rows, cols });
        }
        Ok(channels.slice_move(s![.., margin..rows - margin, margin..cols - margin]))
    }

    fn finish_plane(
        &self,
        plane: &mut [f32],
        from: (usize, usize),
        channel: usize,
        masked: &mut MaskedInterpolation,
        out: &mut [f32],
    ) -> Result<(), RecipeError> {
        let to = fit_into_square(from.0, from.1, self.size, self.upscale);
        let edge = if self.blanks == BlankRule::ZeroIsBlank { Edge::Zero } else { Edge::Repeat };
        let resized = &mut out[..to.0 * to.1];
        if self.order == StageOrder::Paper {
            self.to_unit_range(plane, channel, from)?;
        }
        resize_plane(plane, from, resized, to, edge, masked);
        if self.order == StageOrder::PaperCode {
            self.to_unit_range(resized, channel, from)?;
        }
        cut_to_unit(resized);
        surround_with_zeros(out, to, self.size);
        Ok(())
    }

    fn to_unit_range(
        &self,
        plane: &mut [f32],
        channel: usize,
        (rows, cols): (usize, usize),
    ) -> Result<(), RecipeError> {
        if self.flat == FlatRule::Mask && extremes(plane, self.blanks).is_none_or(|(low, high)| low == high) {
            plane.iter_mut().for_each(|v| *v = if v.is_finite() && *v != 0.0 { 1.0 } else { *v });
            return Ok(());
        }
        match min_max(plane, self.blanks) {
            None => Err(RecipeError::AllBlank { rows, cols, pixels: rows * cols }),
            Some(limits) if limits.low == limits.high => {
                Err(RecipeError::ConstantChannel { channel, value: limits.low })
            }
            Some(_) => Ok(()),
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// The first number outside its range.
    pub fn check(&self) -> Result<(), SettingError> {
        in_range("size", self.size as f64, 1.0, 65536.0)?;
        in_range("sigma_low", self.sigma_low, 0.0, 1e6)?;
        in_range("sigma_up", self.sigma_up, 0.0, 1e6)?;
        in_range("clip_rounds", self.clip_rounds as f64, 1.0, 1e6)?;
        in_range("max_blank_fraction", self.max_blank_fraction, 0.0, 1.0)?;
        in_range("margin", self.margin as f64, 0.0, if self.order == StageOrder::PaperCode { 32768.0 } else { 0.0 })?;
        self.zscale_contrasts.iter().try_for_each(|contrast| in_range("zscale_contrasts", *contrast, 0.0, 1e6))
    }
}

/// The middle `side` pixels along each axis, or all of a shorter one.
#[must_use]
pub fn middle_square(picture: ArrayView2<'_, f32>, side: usize) -> ArrayView2<'_, f32> {
    let (rows, cols) = (side.min(picture.nrows()), side.min(picture.ncols()));
    let (top, left) = ((picture.nrows() - rows) / 2, (picture.ncols() - cols) / 2);
    picture.slice_move(s![top..top + rows, left..left + cols])
}

/// Moves an image `[rows, cols]` from the start of a square plane to its middle; zeros fill the rest.
fn surround_with_zeros(plane: &mut [f32], (rows, cols): (usize, usize), size: usize) {
    if (rows, cols) == (size, size) {
        return;
    }
    let (top, left) = ((size - rows) / 2, (size - cols) / 2);
    plane[rows * cols..].fill(0.0);
    // From the last row up, so that no row is overwritten before it has moved.
    for row in (0..rows).rev() {
        let target = (top + row) * size + left;
        plane.copy_within(row * cols..(row + 1) * cols, target);
        let moved = row * cols..((row + 1) * cols).min(target);
        plane[moved].fill(0.0);
    }
}

fn zero_filled(pixels: &[f32]) -> Scratch {
    Scratch::from_fn(pixels.len(), |i| if pixels[i].is_finite() { pixels[i] } else { 0.0 })
}

vectorised! {
    /// Cuts to `[0, 1]`; NaN becomes 0.
    fn cut_to_unit(plane: &mut [f32]) {
        for v in plane.iter_mut() {
            let positive = if *v > 0.0 { *v } else { 0.0 };
            *v = if positive < 1.0 { positive } else { 1.0 };
        }
    }
}
