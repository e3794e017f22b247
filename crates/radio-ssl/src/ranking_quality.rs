//! How well the model behind the ranking does on sky that it has not seen at all.
//!
//! The ranking's own F1 is of the held-out sky that stopped its training, so it is a little too good. Here the sky is dealt to two
//! halves: a model is trained and stopped inside the one and judged on the other, then the roles change.
use anyhow::{Context, Result, bail};
use metrics::classification::{ConfusionMatrix, classification_report};
use ndarray::{Array2, Axis};
use radio_io::FrameId;
use rank_gbdt::boost::boost;

use crate::intervals::interval;
use crate::run_config::Table4Config;
use crate::sky_objects::members_of;
use crate::sky_split::{Side, SkySplit};

/// Draws of sky blocks until both halves hold both kinds of frames.
const DRAWS: u64 = 100;

/// The result on unseen sky.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnseenF1 {
    /// F1 averaged over both kinds by their frames, both halves together.
    pub weighted: f64,
    /// Its 95 % interval, bootstrapped over objects.
    pub interval: (f64, f64),
    /// Frames judged.
    pub frames: usize,
}

/// Judges the model of the ranking on unseen sky. `interesting[i]` is `None` for a frame without labels; `objects` are those of
/// [`crate::sky_objects::sky_objects`]; `features` has one row a frame.
///
/// # Errors
/// If no deal of the sky leaves both kinds of frames in every part, or nothing separates them.
pub fn unseen_f1(
    config: &Table4Config,
    ids: &[FrameId],
    interesting: &[Option<bool>],
    objects: &[usize],
    features: &Array2<f32>,
) -> Result<UnseenF1> {
    let rows: Vec<usize> = (0..ids.len()).filter(|&i| interesting[i].is_some()).collect();
    let kind = |i: usize| interesting[i] == Some(true);
    let has_both = |part: &[usize]| part.iter().any(|&i| kind(i)) && part.iter().any(|&i| !kind(i));
    let labelled: Vec<FrameId> = rows.iter().map(|&i| ids[i].clone()).collect();
    let split = SkySplit { fraction: 0.5, block_px: config.half_block_px };
    let halves = (0..DRAWS)
        .map(|draw| split.halves(&labelled, config.seed.wrapping_add(draw << 32)))
        .find(|halves| {
            let parts = halves.iter().flat_map(|sides| [Side::Train, Side::HeldOut].map(|side| of(&rows, sides, side)));
            parts.into_iter().all(|part| has_both(&part))
        })
        .context("no deal of sky blocks leaves extended and other frames on both halves")?;

    let mut predicted = vec![None; ids.len()];
    for sides in &halves {
        let (train, judged) = (of(&rows, sides, Side::Train), of(&rows, sides, Side::HeldOut));
        let of_train: Vec<FrameId> = train.iter().map(|&i| ids[i].clone()).collect();
        let kinds: Vec<bool> = train.iter().map(|&i| kind(i)).collect();
        let (used, held) = config.hold_out.two_kinds(&of_train, &kinds, config.seed);
        let part = |side: bool| -> Vec<usize> {
            used.iter().zip(&held).filter(|(_, held)| **held == side).map(|(&k, _)| train[k]).collect()
        };
        let (fit, stop) = (part(false), part(true));
        if !has_both(&fit) || !has_both(&stop) {
            bail!("no deal of sky blocks leaves extended and other frames to stop the training with");
        }
        let table =
            |part: &[usize]| (features.select(Axis(0), part), part.iter().map(|&i| kind(i)).collect::<Vec<_>>());
        let ((fit, fit_kinds), (stop, stop_kinds)) = (table(&fit), table(&stop));
        let model = boost(fit.view(), &fit_kinds, Some((stop.view(), &stop_kinds)), &config.ranking)?;
        let probabilities = model.probabilities(features.select(Axis(0), &judged).view())?;
        judged.iter().zip(probabilities).for_each(|(&i, probability)| predicted[i] = Some(probability > 0.5));
    }
    let members = members_of(objects, |i| predicted[i].is_some());
    let judged = members.concat();
    let f1 = |rows: &[usize]| weighted_f1(rows.iter().map(|&i| (kind(i), predicted[i] == Some(true))));
    Ok(UnseenF1 {
        weighted: f1(&judged).context("no frame was judged")?,
        interval: interval(&members, config.seed, f1).unwrap_or((f64::NAN, f64::NAN)),
        frames: judged.len(),
    })
}

/// The rows on one side.
fn of(rows: &[usize], sides: &[Side], side: Side) -> Vec<usize> {
    rows.iter().zip(sides).filter(|(_, s)| **s == side).map(|(row, _)| *row).collect()
}

/// F1 averaged over both classes by support, from (truth, prediction).
fn weighted_f1(pairs: impl Iterator<Item = (bool, bool)>) -> Option<f64> {
    let (truth, predicted): (Vec<usize>, Vec<usize>) = pairs.map(|(t, p)| (usize::from(t), usize::from(p))).unzip();
    let matrix = ConfusionMatrix::from_labels(&truth, &predicted, 2).ok()?;
    let f1 = classification_report(&matrix).weighted_average.f1;
    f1.is_finite().then_some(f1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_config::Preset;

    /// 26 × 26 half-overlapping frames, a third of them interesting by a hash of their place.
    fn sky() -> (Vec<FrameId>, Vec<Option<bool>>) {
        let at = |row: u32, col: u32| FrameId { mosaic: "m".into(), row: row * 128, col: col * 128, size: 256 };
        let ids: Vec<FrameId> = (0..26).flat_map(|row| (0..26).map(move |col| at(row, col))).collect();
        let kinds = (0..ids.len()).map(|i| (i % 17 != 0).then_some(hash(i).is_multiple_of(3))).collect();
        (ids, kinds)
    }

    fn hash(i: usize) -> usize {
        i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
    }

    fn table(kinds: &[Option<bool>], signal: f32) -> Array2<f32> {
        let noise = |row: usize, col: usize| (hash(7 * row + col + 1) % 1000) as f32 / 1000.0;
        Array2::from_shape_fn((kinds.len(), 5), |(row, col)| {
            noise(row, col) + if col == 2 && kinds[row] == Some(true) { signal } else { 0.0 }
        })
    }

    #[test]
    fn a_signal_is_found_on_unseen_sky_and_noise_is_not() {
        let config = Table4Config::preset(Preset::Smoke, 3);
        let (ids, kinds) = sky();
        let objects: Vec<usize> = (0..ids.len()).collect();
        let found = unseen_f1(&config, &ids, &kinds, &objects, &table(&kinds, 1.2)).unwrap();
        assert!(found.weighted > 0.95 && found.frames > 300, "{found:?}");
        assert!(found.interval.0 <= found.weighted && found.weighted <= found.interval.1, "{found:?}");
        // Without a signal the model calls everything ordinary, at best: 2/3 of the frames, F1 0.8 of that class.
        match unseen_f1(&config, &ids, &kinds, &objects, &table(&kinds, 0.0)) {
            Ok(noise) => assert!(noise.weighted < 0.65, "{noise:?}"),
            Err(error) => assert!(error.to_string().contains("separates"), "{error}"),
        }
    }

    #[test]
    fn one_kind_of_frame_is_an_error_in_words() {
        let config = Table4Config::preset(Preset::Smoke, 3);
        let (ids, kinds) = sky();
        let one_kind: Vec<_> = kinds.iter().map(|kind| kind.map(|_| false)).collect();
        let objects: Vec<usize> = (0..ids.len()).collect();
        let error = unseen_f1(&config, &ids, &one_kind, &objects, &table(&kinds, 1.0)).unwrap_err();
        assert!(error.to_string().contains("both halves"), "{error}");
    }
}
