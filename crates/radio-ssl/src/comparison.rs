//! Learned features against the baselines, on sky that no choice has seen, with paired intervals.
use anyhow::{Context, Result, bail};
use ndarray::Array2;

use crate::held_out::Judge;
use crate::interrupt::{self, Interrupted};
use crate::intervals::{interval, selection_intervals};
use crate::report::HeldOutRow;
use crate::sky_objects::members_of;

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
    let members = members_of(&judge.objects(), |i| judge.groups()[i].is_some());
    let undefined = (f64::NAN, f64::NAN);
    let interval =
        |statistic: &dyn Fn(&[usize]) -> Option<f64>| interval(&members, seed, statistic).unwrap_or(undefined);
    let everything: Vec<usize> = members.concat();
    let (_, first) = judged.first().context("nothing to compare")?;
    let mut rows = Vec::new();
    for (place, (contender, held_out)) in judged.iter().enumerate() {
        let among = |rows: &[usize]| judge.precision_among_complex(&held_out.scores, rows);
        let labelled = if contender.is_score {
            vec![f64::NAN; judge.groups().len()]
        } else {
            judge.with_labels(&contender.features)
        };
        let among_with_labels = |rows: &[usize]| {
            rows.iter()
                .all(|&i| labelled[i].is_finite())
                .then(|| judge.precision_among_complex(&labelled, rows))
                .flatten()
        };
        let [recall, precision] = selection_intervals(&members, seed, judge.groups(), &held_out.selected);
        let difference = |rows: &[usize]| Some(judge.precision_among_complex(&first.scores, rows)? - among(rows)?);
        rows.push(HeldOutRow {
            name: contender.name.clone(),
            threshold: held_out.row.threshold,
            selected: held_out.row.selected,
            peculiar: held_out.row.peculiar,
            complex: held_out.row.complex,
            ordinary: held_out.row.ordinary,
            recall: held_out.row.recall,
            recall_interval: recall.unwrap_or(undefined),
            precision: held_out.row.precision.unwrap_or(f64::NAN),
            precision_interval: precision.unwrap_or(undefined),
            contamination_ordinary: held_out.row.contamination_ordinary.unwrap_or(f64::NAN),
            average_precision: among(&everything).unwrap_or(f64::NAN),
            average_precision_interval: interval(&among),
            difference: match place {
                0 => None,
                _ => Some((difference(&everything).unwrap_or(f64::NAN), interval(&difference))),
            },
            with_labels: among_with_labels(&everything).unwrap_or(f64::NAN),
            with_labels_interval: if contender.is_score { (f64::NAN, f64::NAN) } else { interval(&among_with_labels) },
            choices: held_out.choices.join("; "),
        });
    }
    Ok((rows, failures))
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
