//! Learned features against the baselines, on sky that no choice has seen, with paired intervals.
use anyhow::{Context, Result, bail};
use metrics::FrameGroup;
use metrics::bootstrap::{Interval, group_members, percentile_interval};
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::held_out::{HeldOut, Judge};
use crate::interrupt::{self, Interrupted};
use crate::report::HeldOutRow;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 1000;
/// Share of the resamples inside an interval.
const CONFIDENCE: f64 = 0.95;

/// A description of all frames.
pub struct Contender {
    /// Name in tables.
    pub name: String,
    /// `[frames, features]`.
    pub features: Array2<f32>,
    /// Whether the single feature is the anomaly score itself.
    pub is_score: bool,
}

/// Judges every contender; the first is compared with each of the others. Contenders that cannot be judged are named with
/// the reason.
///
/// Intervals are percentile bootstraps over objects (overlapping peculiar frames are one object, the others go by blocks of
/// sky), with the same resamples for all contenders.
///
/// # Errors
/// If a feature is not finite, or there are too few rows.
pub fn compare(
    judge: &Judge,
    contenders: &[Contender],
    seed: u64,
    mut progress: impl FnMut(usize, &str),
) -> Result<(Vec<HeldOutRow>, Vec<String>)> {
    let (mut judged, mut failures) = (Vec::new(), Vec::new());
    for (place, contender) in contenders.iter().enumerate() {
        progress(place, &contender.name);
        if interrupt::requested() {
            bail!(Interrupted);
        }
        let held_out = if contender.is_score {
            judge.held_out_score(contender.features.column(0))
        } else {
            judge.held_out(&contender.features)
        };
        match held_out {
            Ok(held_out) => judged.push((contender, held_out)),
            Err(error) if place == 0 => {
                // Without the learned features there is nothing to compare with.
                return Ok((Vec::new(), vec![format!("{}: {error:#}", contender.name)]));
            }
            Err(error) => failures.push(format!("{}: {error:#}", contender.name)),
        }
    }
    let members = labelled_members(judge);
    let interval = |statistic: &dyn Fn(&[usize]) -> Option<f64>| -> Result<Interval> {
        Ok(percentile_interval(&members, RESAMPLES, CONFIDENCE, &mut ChaCha8Rng::seed_from_u64(seed), statistic)?)
    };
    let everything: Vec<usize> = members.concat();
    let (_, first) = judged.first().context("nothing to compare")?;
    let mut rows = Vec::new();
    for (place, (contender, held_out)) in judged.iter().enumerate() {
        let among = |rows: &[usize]| judge.precision_among_complex(&held_out.scores, rows);
        let ends = |interval: Interval| (interval.low, interval.high);
        let difference = |rows: &[usize]| Some(judge.precision_among_complex(&first.scores, rows)? - among(rows)?);
        rows.push(HeldOutRow {
            name: contender.name.clone(),
            threshold: held_out.row.threshold,
            selected: held_out.row.selected,
            peculiar: held_out.row.peculiar,
            complex: held_out.row.complex,
            ordinary: held_out.row.ordinary,
            recall: held_out.row.recall,
            recall_interval: ends(interval(&|rows| {
                share(judge, held_out, rows, |group, selected| (group == FrameGroup::Peculiar).then_some(selected))
            })?),
            precision: held_out.row.precision.unwrap_or(f64::NAN),
            precision_interval: interval(&|rows| {
                share(judge, held_out, rows, |group, selected| selected.then_some(group == FrameGroup::Peculiar))
            })
            .map_or((f64::NAN, f64::NAN), ends),
            contamination_ordinary: held_out.row.contamination_ordinary.unwrap_or(f64::NAN),
            average_precision: among(&everything).unwrap_or(f64::NAN),
            average_precision_interval: ends(interval(&among)?),
            difference: match place {
                0 => None,
                _ => Some((difference(&everything).unwrap_or(f64::NAN), ends(interval(&difference)?))),
            },
            choices: held_out.choices.join("; "),
        });
    }
    Ok((rows, failures))
}

/// Labelled frames by object.
fn labelled_members(judge: &Judge) -> Vec<Vec<usize>> {
    let is_labelled = |i: &usize| judge.groups()[*i].is_some();
    let members = group_members(&judge.objects());
    members
        .into_iter()
        .map(|rows| rows.into_iter().filter(is_labelled).collect::<Vec<_>>())
        .filter(|rows| !rows.is_empty())
        .collect()
}

/// Share of `true` among the rows for which `count` says anything, from group and selection.
fn share(
    judge: &Judge,
    held_out: &HeldOut,
    rows: &[usize],
    count: impl Fn(FrameGroup, bool) -> Option<bool>,
) -> Option<f64> {
    let (mut hits, mut all) = (0usize, 0usize);
    for &i in rows {
        if let Some(hit) = judge.groups()[i].and_then(|group| count(group, held_out.selected[i])) {
            hits += usize::from(hit);
            all += 1;
        }
    }
    (all > 0).then(|| hits as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held_out::tests::{config, features, sky};

    fn contender(name: &str, features: Array2<f32>) -> Contender {
        Contender { name: name.into(), features, is_score: false }
    }

    #[test]
    fn the_better_is_called_better_and_equals_cannot_be_told() {
        let config = config();
        let judge = sky(&config);
        let (strong, weak, same) = (features(&judge, 5.0, 1), features(&judge, 0.5, 2), features(&judge, 5.0, 1));
        let run = |contenders: &[Contender]| compare(&judge, contenders, 3, |_, _| ()).unwrap();
        let (rows, failures) =
            run(&[contender("strong", strong.clone()), contender("weak", weak.clone()), contender("same", same)]);
        assert!(failures.is_empty());
        let verdicts: Vec<&str> = rows.iter().map(HeldOutRow::verdict).collect();
        assert_eq!(verdicts, ["", "learned is better", "cannot tell"]);
        assert_eq!(rows[2].difference, Some((0.0, (0.0, 0.0))), "paired resamples of equal scores differ by nothing");
        for row in &rows {
            assert!(row.recall_interval.0 <= row.recall && row.recall <= row.recall_interval.1, "{row:?}");
            assert!(row.average_precision_interval.0 <= row.average_precision, "{row:?}");
        }
        let (rows, _) = run(&[contender("weak", weak), contender("strong", strong)]);
        assert_eq!(rows[1].verdict(), "learned is worse");
    }

    #[test]
    fn a_contender_that_cannot_be_judged_is_named() {
        let config = config();
        let judge = sky(&config);
        let good = features(&judge, 5.0, 1);
        let bad = good.mapv(|_| f32::NAN);
        let (rows, failures) =
            compare(&judge, &[contender("good", good), contender("bad", bad)], 3, |_, _| ()).unwrap();
        assert_eq!(rows.len(), 1);
        assert!(failures.len() == 1 && failures[0].starts_with("bad: "), "{failures:?}");
    }
}
