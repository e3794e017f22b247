//! One step of a list of transforms, as a configuration file spells it.

use ndarray::Array3;
use serde::{Deserialize, Serialize};

use crate::{
    BlankRule, RecipeError, SettingError, ZscaleFit,
    augment_step::{in_range, span},
    preprocessing::{
        BlankFill, SourceRemoval, SquareResize, blank_border, center_crop, channel_ratio,
        equalize_adaptive::{AdaptiveSettings, equalize_adaptive},
        equalize_histogram, fill_blanks, log_stretch, max_scale, median_filter, min_max_each, min_max_together,
        negatives_to_zero, resize_into_square, scale_by, set_channels, shift_and_clip, shift_by, shrink_mask,
        sigmoid_stretch, standardize, subtract_background,
    },
    row_order::{in_row_order, planes_mut},
    sigma_clip_bounds,
    stretch::{clip_to, scale_to},
    threshold_percentile,
};

/// What happens to channels `[C, H, W]` in one step. Blanks stay blank where nothing else is said.
///
/// # Source
/// reference-facts B4, whose names stand in brackets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Transform {
    /// Copies of the last channel fill up to `count`, or the last ones are dropped (ChanResizer).
    Channels {
        /// Channels afterwards.
        count: usize,
    },
    /// The middle `size x size` pixels (CenterCropper).
    CenterCrop {
        /// Pixels.
        size: usize,
    },
    /// Pixels beyond the bounds of iterative clipping about the median take the bounds' values (SigmaClipper).
    SigmaClip {
        /// Standard deviations below the median. Upstream's 0 reads as 3, for astropy takes it so.
        low: f64,
        /// Above it.
        up: f64,
        /// At most (upstream: 5).
        rounds: usize,
        /// Only this channel; without it every channel, each by its own bounds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<usize>,
    },
    /// Clipped mean + sigma standard deviations come off, negatives become 0 (SigmaClipShifter).
    ClipShift {
        /// Of the clipping and of the shift (upstream: 1).
        sigma: f64,
    },
    /// The clipped mean comes off (BkgSubtractor).
    SubtractBackground {
        /// Of the clipping (upstream: 3).
        sigma: f64,
        /// Only pixels outside a centred box of this share of each side are looked at (upstream: 0.7).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outside_box: Option<f64>,
    },
    /// zscale to `[0, 1]`, one contrast per channel (ZScale).
    Zscale {
        /// As many as there are channels.
        contrasts: Vec<f64>,
        /// What a contrast of 0 or below means.
        zero_contrast: ZeroContrast,
    },
    /// Each channel to `[0, 1]` (MinMax).
    MinMax {
        /// Under the rule that zeros are blank: whether they take part all the same (the released models, B5).
        zeros_count: bool,
    },
    /// All channels to `[0, 1]` by their common extremes (AbsMinMax).
    MinMaxTogether {},
    /// Division by a maximum (MaxScaler, AbsMaxScaler, ChanMaxScaler).
    MaxScale {
        /// Whose.
        maximum: Maximum,
    },
    /// Fitted into a square, the rest blank (Resizer); for pad-to-min a `fill-blanks` afterwards.
    Resize {
        /// Pixels.
        size: usize,
        /// Whether smaller frames are enlarged.
        upscale: bool,
        /// Whether larger ones are blurred first.
        antialias: bool,
        /// Between the pixels.
        interpolation: Interpolation,
    },
    /// Base-10 logarithm (LogStretcher).
    Log {
        /// `(log + 6) / 12`, cut below at 0.
        normalise: bool,
    },
    /// `1 / (1 + exp(gain (cutoff - v)))`; put a `min-max` before it (SigmoidStretch).
    Sigmoid {
        /// Steepness (upstream: 10).
        gain: f64,
        /// Where the result is a half (upstream: 0.5).
        cutoff: f64,
    },
    /// Pixels below a percentile of their channel become 0 (PercentileThresholder).
    Threshold {
        /// In percent (upstream: 50).
        percentile: f64,
    },
    /// Histogram equalisation (HistEqualizer).
    EqualizeHistogram {
        /// Of the histogram (upstream: 256).
        bins: usize,
        /// Only this channel; without it every channel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<usize>,
    },
    /// Contrast-limited adaptive histogram equalisation to `[0, 1]` (HistEqualizer, adaptive): scikit-image's `equalize_adapthist`. Pixels are
    /// expected from 0 to 1; blanks take part as 0 and stay blank.
    EqualizeAdaptive {
        /// Largest share of a region's pixels in one bin of its histogram, 0 for none (upstream: 0.03).
        clip_limit: f64,
        /// Of a histogram (upstream: 256).
        bins: usize,
        /// Rows and columns of a region; without it an eighth of the image each, as upstream.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kernel: Option<[usize; 2]>,
        /// Only this channel; without it every channel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<usize>,
    },
    /// Everything outside a centred box becomes blank (BorderMasker).
    BlankBorder {
        /// Share of each side that is kept (upstream: 0.7).
        fraction: f64,
    },
    /// Pixels near a blank become blank (MaskShrinker).
    ShrinkMask {
        /// Of the elliptic neighbourhood (upstream: 5).
        side: usize,
    },
    /// Blanks become data (B2, pad-to-min).
    FillBlanks {
        /// With what.
        with: BlankFill,
    },
    /// Median of the neighbourhood (MedianFilterer).
    Median {
        /// Of the square neighbourhood, odd (upstream: 3).
        side: usize,
    },
    /// Channels divided by a reference channel (ChanDivider).
    ChannelRatio {
        /// The channel below the line, from 0.
        reference: usize,
        /// `log10` of the ratio.
        log: bool,
        /// The result is cut to this range (upstream: -6 to 6).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trim: Option<[f64; 2]>,
        /// Whether the reference is left out afterwards.
        drop_reference: bool,
    },
    /// `(v - mean) / sigma` with a list of each (Standardizer).
    Standardize {
        /// One per channel.
        means: Vec<f64>,
        /// One per channel, above 0.
        sigmas: Vec<f64>,
    },
    /// `v - offset` (Shifter).
    Shift {
        /// One per channel.
        offsets: Vec<f64>,
    },
    /// `v * factor` (Scaler).
    Scale {
        /// One per channel.
        factors: Vec<f64>,
    },
    /// Channels with negative pixels are lifted so that the smallest is 0 (NegativeDataFixer).
    NegativesToZero {},
    /// Compact sources replaced by noise (SourceRemover).
    RemoveSources {
        /// Which and how.
        settings: SourceRemoval,
        /// Of the noise.
        seed: u64,
    },
    /// `floor(255 v)`: what 8-bit images hold (B5, MR1).
    EightBit {},
    /// The place of the augmenter when views are made; nothing otherwise.
    Augment {},
}

/// What a zscale contrast of 0 or below means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroContrast {
    /// The channel is left alone: the SimCLR code.
    LeaveAlone,
    /// The slope is not divided, which is a contrast of 1: astropy, and so the detector's code.
    AsOne,
}

/// Whose maximum an image is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Maximum {
    /// Each channel's own (MaxScaler).
    #[serde(rename = "each")]
    OfEach,
    /// That of all channels (AbsMaxScaler).
    #[serde(rename = "all")]
    OfAll {
        /// Looked for inside a centred box of this share of each side only (upstream: 0.5).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inside: Option<f64>,
    },
    /// That of one channel (ChanMaxScaler).
    #[serde(rename = "channel")]
    OfChannel {
        /// From 0.
        channel: usize,
    },
}

/// How a resize finds values between pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolation {
    /// Between the two nearest of each axis.
    Bilinear,
    /// OpenCV's cubic, coefficient -0.75.
    Bicubic,
    /// A cubic spline through the pixels: order 3 of scikit-image (B5).
    CubicSpline,
}

impl Transform {
    /// Does this step to channels `[C, H, W]`; [`Transform::Augment`] does nothing.
    ///
    /// # Errors
    /// See [`RecipeError`]: no pixel or no structure left, another number of channels than the step has numbers for.
    pub fn apply(&self, channels: Array3<f32>, blanks: BlankRule) -> Result<Array3<f32>, RecipeError> {
        Ok(match *self {
            Self::Channels { count } => set_channels(channels, count),
            Self::CenterCrop { size } => center_crop(channels, size)?,
            Self::SigmaClip { low, up, rounds, channel } => on_planes(channels, "sigma-clip", channel, |plane| {
                if let Some(bounds) = sigma_clip_bounds(&blanks.counting_values(plane), low, up, rounds) {
                    clip_to(plane, bounds, blanks);
                }
            })?,
            Self::ClipShift { sigma } => shift_and_clip(channels, sigma, blanks),
            Self::SubtractBackground { sigma, outside_box } => {
                subtract_background(channels, sigma, outside_box, blanks)
            }
            Self::Zscale { ref contrasts, zero_contrast } => zscale(channels, contrasts, zero_contrast, blanks)?,
            Self::MinMax { zeros_count } => min_max_each(channels, zeros_count, blanks)?,
            Self::MinMaxTogether {} => min_max_together(channels, blanks)?,
            Self::MaxScale { maximum } => max_scale(channels, maximum, blanks)?,
            Self::Resize { size, upscale, antialias, interpolation } => {
                resize_into_square(channels, &SquareResize { size, upscale, antialias, interpolation }, blanks)?
            }
            Self::Log { normalise } => log_stretch(channels, normalise, blanks),
            Self::Sigmoid { gain, cutoff } => sigmoid_stretch(channels, gain, cutoff, blanks),
            Self::Threshold { percentile } => threshold_percentile(channels, percentile, blanks),
            Self::EqualizeHistogram { bins, channel } => {
                on_planes(channels, "equalize-histogram", channel, |plane| equalize_histogram(plane, bins, blanks))?
            }
            Self::EqualizeAdaptive { clip_limit, bins, kernel, channel } => {
                let (_, rows, cols) = channels.dim();
                let kernel = kernel.map_or(((rows / 8).max(1), (cols / 8).max(1)), |[rows, cols]| (rows, cols));
                let settings = AdaptiveSettings { clip_limit, bins, kernel };
                let (mut number, mut refused) = (channel.unwrap_or(0), None);
                let channels = on_planes(channels, "equalize-adaptive", channel, |plane| {
                    let outcome = equalize_adaptive(plane, cols, &settings, number, blanks);
                    refused = refused.take().or(outcome.err());
                    number += 1;
                })?;
                refused.map_or(Ok(channels), Err)?
            }
            Self::BlankBorder { fraction } => blank_border(channels, fraction, blanks),
            Self::ShrinkMask { side } => shrink_mask(channels, side, blanks),
            Self::FillBlanks { with } => fill_blanks(channels, with, blanks),
            Self::Median { side } => median_filter(channels, side, blanks),
            Self::ChannelRatio { reference, log, trim, drop_reference } => {
                channel_ratio(channels, reference, log, trim, drop_reference, blanks)?
            }
            Self::Standardize { ref means, ref sigmas } => standardize(channels, means, sigmas, blanks)?,
            Self::Shift { ref offsets } => shift_by(channels, offsets, blanks)?,
            Self::Scale { ref factors } => scale_by(channels, factors, blanks)?,
            Self::NegativesToZero {} => negatives_to_zero(channels, blanks),
            Self::RemoveSources { ref settings, seed } => settings.apply(channels, blanks, seed),
            Self::EightBit {} => channels.mapv_into(|v| (255.0 * v).floor().clamp(0.0, 255.0)),
            Self::Augment {} => channels,
        })
    }

    /// Checks every number.
    pub(crate) fn check(&self) -> Result<(), SettingError> {
        let side = |name, side: usize| in_range(name, side as f64, 1.0, 65536.0);
        let finite = |name, numbers: &[f64]| {
            in_range(name, numbers.len() as f64, 1.0, 4096.0)?;
            numbers.iter().try_for_each(|v| in_range(name, *v, f64::MIN, f64::MAX))
        };
        match *self {
            Self::Channels { count } => in_range("channels count", count as f64, 1.0, 4096.0),
            Self::CenterCrop { size } => side("center-crop size", size),
            Self::SigmaClip { low, up, rounds, .. } => {
                in_range("sigma-clip low", low, 0.0, 1e6)?;
                in_range("sigma-clip up", up, 0.0, 1e6)?;
                in_range("sigma-clip rounds", rounds as f64, 1.0, 1e6)
            }
            Self::ClipShift { sigma } => in_range("clip-shift sigma", sigma, 0.0, 1e6),
            Self::SubtractBackground { sigma, outside_box } => {
                in_range("subtract-background sigma", sigma, 0.0, 1e6)?;
                in_range("subtract-background outside-box", outside_box.unwrap_or(0.0), 0.0, 1.0)
            }
            Self::Zscale { ref contrasts, .. } => {
                finite("zscale contrasts", contrasts)?;
                contrasts.iter().try_for_each(|v| in_range("zscale contrasts", *v, -1e6, 1e6))
            }
            Self::MaxScale { maximum: Maximum::OfAll { inside: Some(inside) } } => {
                in_range("max-scale inside", inside, 0.0, 1.0)
            }
            Self::Resize { size, .. } => side("resize size", size),
            Self::Sigmoid { gain, cutoff } => {
                in_range("sigmoid gain", gain, -1e6, 1e6)?;
                in_range("sigmoid cutoff", cutoff, -1e6, 1e6)
            }
            Self::Threshold { percentile } => in_range("threshold percentile", percentile, 0.0, 100.0),
            Self::EqualizeHistogram { bins, .. } => in_range("equalize-histogram bins", bins as f64, 2.0, 65536.0),
            Self::EqualizeAdaptive { clip_limit, bins, kernel, .. } => {
                in_range("equalize-adaptive clip-limit", clip_limit, 0.0, 1.0)?;
                in_range("equalize-adaptive bins", bins as f64, 2.0, 16384.0)?;
                let sides = kernel.into_iter().flatten();
                sides.into_iter().try_for_each(|side| in_range("equalize-adaptive kernel", side as f64, 1.0, 4096.0))
            }
            Self::BlankBorder { fraction } => in_range("blank-border fraction", fraction, 0.0, 1.0),
            Self::ShrinkMask { side } => in_range("shrink-mask side", side as f64, 1.0, 1024.0),
            Self::Median { side } => in_range("median side", side as f64, 1.0, 255.0),
            Self::ChannelRatio { trim: Some(trim), .. } => span("channel-ratio trim", trim, -1e6, 1e6),
            Self::Standardize { ref means, ref sigmas } => {
                finite("standardize means", means)?;
                finite("standardize sigmas", sigmas)?;
                sigmas.iter().try_for_each(|v| in_range("standardize sigmas", *v, f64::MIN_POSITIVE, f64::MAX))
            }
            Self::Shift { ref offsets } => finite("shift offsets", offsets),
            Self::Scale { ref factors } => finite("scale factors", factors),
            Self::RemoveSources { ref settings, .. } => settings.check(),
            Self::MinMax { .. }
            | Self::MinMaxTogether {}
            | Self::MaxScale { .. }
            | Self::Log { .. }
            | Self::FillBlanks { .. }
            | Self::ChannelRatio { .. }
            | Self::NegativesToZero {}
            | Self::EightBit {}
            | Self::Augment {} => Ok(()),
        }
    }
}

/// Changes one channel, or all of them.
fn on_planes(
    channels: Array3<f32>,
    step: &'static str,
    channel: Option<usize>,
    mut change: impl FnMut(&mut [f32]),
) -> Result<Array3<f32>, RecipeError> {
    let found = channels.dim().0;
    let mut channels = in_row_order(channels);
    match channel {
        None => planes_mut(&mut channels).for_each(change),
        Some(channel) if channel < found => planes_mut(&mut channels).skip(channel).take(1).for_each(&mut change),
        Some(channel) => {
            return Err(RecipeError::WrongChannels { step, expected: format!("{} or more", channel + 1), found });
        }
    }
    Ok(channels)
}

fn zscale(
    channels: Array3<f32>,
    contrasts: &[f64],
    zero_contrast: ZeroContrast,
    blanks: BlankRule,
) -> Result<Array3<f32>, RecipeError> {
    let found = channels.dim().0;
    if contrasts.len() != found {
        return Err(RecipeError::WrongChannels { step: "zscale", expected: contrasts.len().to_string(), found });
    }
    let mut channels = in_row_order(channels);
    for (plane, &contrast) in planes_mut(&mut channels).zip(contrasts) {
        if contrast <= 0.0 && zero_contrast == ZeroContrast::LeaveAlone {
            continue;
        }
        if let Some(fit) = ZscaleFit::new(plane) {
            scale_to(plane, fit.limits(contrast), blanks);
        }
    }
    Ok(channels)
}
