//! Probes on feature tables as units: predictions of every row by a probe that never saw its group.
use anyhow::Result;
use cls_morph::ClassError;
use cls_morph::probes::draws::label_fraction;
use cls_morph::probes::folds::Folds;
use cls_morph::probes::logistic::Logistic;
use cls_morph::probes::probe::Probe;
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::describe::{Describe, Describer, Tables};
use super::sets::{LabelledSet, Split};
use super::unit::key_of;
use super::workshop::Workshop;

/// Neighbours that vote.
const NEIGHBOURS: usize = 15;
/// The fixed C.
const FIXED_C: f64 = 0.1;
/// What C is chosen from.
const CHOICES: [f64; 4] = [1e-3, 1e-2, 1e-1, 1.0];
/// Folds of the training part that choose it.
const INNER_FOLDS: usize = 4;

/// A probe of the experiments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probing {
    /// The majority class.
    Majority,
    /// 15 nearest by cosine.
    Knn,
    /// Logistic regression, C = 0.1.
    Fixed,
    /// Logistic regression, C of least log loss over four folds of the training part; 0.1 where there are too few groups.
    Chosen,
}

impl Probing {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::Knn => "kNN",
            Self::Fixed => "logistic",
            Self::Chosen => "logistic, C chosen",
        }
    }

    fn with(self, table: &Array2<f32>, set: &LabelledSet, train: &[usize]) -> cls_morph::Result<Probe> {
        let inverse_penalty = match self {
            Self::Majority => return Ok(Probe::Majority),
            Self::Knn => return Ok(Probe::Knn { neighbours: NEIGHBOURS }),
            Self::Fixed => FIXED_C,
            Self::Chosen => choose(table, set, train)?,
        };
        Ok(Probe::Logistic { inverse_penalty })
    }
}

/// The C of least log loss over inner folds of whole groups; of equal ones the smaller.
fn choose(table: &Array2<f32>, set: &LabelledSet, train: &[usize]) -> cls_morph::Result<f64> {
    let of = |values: &[usize]| train.iter().map(|&row| values[row]).collect::<Vec<_>>();
    let (labels, groups) = (of(&set.labels), of(&set.groups));
    let inner = match Folds::grouped(&labels, &groups, INNER_FOLDS, 0) {
        Err(ClassError::TooFew { .. }) => return Ok(FIXED_C),
        inner => inner?,
    };
    let rows = table.select(Axis(0), train);
    let mut losses = [0.0; CHOICES.len()];
    for fold in 0..inner.len() {
        let (known, asked) = (inner.train(fold), inner.test(fold));
        let known_labels: Vec<usize> = known.iter().map(|&row| labels[row]).collect();
        let (known, tested) = (rows.select(Axis(0), &known), rows.select(Axis(0), &asked));
        let fits = Logistic::fit_each(known.view(), &known_labels, set.classes.len(), &CHOICES)?;
        for (loss, fit) in losses.iter_mut().zip(fits) {
            let found = fit.probabilities(tested.view())?;
            for (place, &row) in asked.iter().enumerate() {
                *loss -= found[(place, labels[row])].max(1e-12).ln();
            }
        }
    }
    let mut best = (f64::INFINITY, FIXED_C);
    for (loss, inverse_penalty) in losses.into_iter().zip(CHOICES) {
        if loss < best.0 {
            best = (loss, inverse_penalty);
        }
    }
    Ok(best.1)
}

/// Predictions of all rows by one draw of labels; rows without a fold are class 0.
fn draw(
    probing: Probing,
    tables: &Tables,
    set: &LabelledSet,
    split: &Split,
    fraction: f64,
    number: u64,
) -> cls_morph::Result<Vec<usize>> {
    let of_fold = |fold: usize| -> cls_morph::Result<(Vec<usize>, Vec<usize>)> {
        let table = &tables[fold.min(tables.len() - 1)];
        let train = training_rows(set, split, fold, fraction, number)?;
        let test = split.folds.test(fold);
        let known: Vec<usize> = train.iter().map(|&row| set.labels[row]).collect();
        let probe = probing.with(table, set, &train)?;
        let (train, tested) = (table.select(Axis(0), &train), table.select(Axis(0), &test));
        Ok((test, probe.predict(train.view(), &known, set.classes.len(), tested.view())?.class))
    };
    let found: Vec<_> = (0..split.folds.len()).into_par_iter().map(of_fold).collect::<cls_morph::Result<_>>()?;
    let mut class = vec![0; set.labels.len()];
    for (test, of_test) in found {
        test.into_iter().zip(of_test).for_each(|(row, found)| class[row] = found);
    }
    Ok(class)
}

/// The rows that a method may learn from in a fold: all of them, or a draw. The same for every method.
///
/// # Errors
/// If the share is out of range.
pub fn training_rows(
    set: &LabelledSet,
    split: &Split,
    fold: usize,
    fraction: f64,
    number: u64,
) -> cls_morph::Result<Vec<usize>> {
    let train = split.folds.train(fold);
    if fraction >= 1.0 {
        return Ok(train);
    }
    label_fraction(&train, &set.labels, fraction, 1000 * number + fold as u64)
}

/// What a probe found: the predictions of every draw, and where they are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// `[draws][rows]`; rows without a fold are class 0.
    pub runs: Vec<Vec<usize>>,
    /// Key of the unit.
    pub key: String,
    /// Columns of the table.
    pub columns: usize,
}

/// What tells one probe from another.
#[derive(Serialize)]
struct ProbeSettings<'a> {
    set: &'a str,
    split: &'a str,
    features: serde_json::Value,
    probing: Probing,
    fraction: f64,
    draws: u64,
}

/// What a unit keeps.
#[derive(Serialize, Deserialize)]
struct ProbeResult {
    columns: usize,
    runs: Vec<Vec<usize>>,
}

/// One probe on one description with one seed, as a unit.
///
/// # Errors
/// If features cannot be made, the probe refuses them, or the user interrupts.
pub fn probe(
    workshop: &mut Workshop,
    describer: &mut Describer,
    set: &LabelledSet,
    split: &Split,
    describe: &Describe,
    probing: Probing,
    fraction: f64,
    seed: u64,
) -> Result<Probed> {
    let features = describer.settings(workshop, describe, split, seed)?;
    let draws = if fraction < 1.0 { workshop.options.draws() } else { 1 };
    let settings = ProbeSettings { set: &set.fingerprint, split: split.name, features, probing, fraction, draws };
    let words = format!("{}, {}, {} % of labels", describe.name(), probing.name(), 100.0 * fraction);
    let key = key_of(&settings)?;
    let ProbeResult { columns, runs } = match workshop.ledger.find("probe", &settings)? {
        Some(found) => found,
        None => {
            let start = workshop.ledger.begin()?;
            let tables = describer.tables(workshop, describe, split, seed)?;
            let runs = (0..draws)
                .map(|number| draw(probing, &tables, set, split, fraction, number))
                .collect::<cls_morph::Result<Vec<_>>>()?;
            let made = ProbeResult { columns: tables[0].ncols(), runs };
            workshop.ledger.keep("probe", &settings, &words, start, &made)?
        }
    };
    Ok(Probed { runs, key, columns })
}
