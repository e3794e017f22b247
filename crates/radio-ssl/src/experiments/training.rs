//! Trainings with labels as units: from scratch and from an encoder, the same views, steps and search for the learning rate.
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Result, bail};
use cls_morph::features::Turns;
use cls_morph::probes::folds::Folds;
use cls_morph::{ClassError, ClassifierConfig, FineTuning, fine_tune, one_class_each};
use radio_tensor::trunk::Trunk;
use serde::{Deserialize, Serialize};

use super::describe::{input_view, input_words};
use super::encoders::EncoderRecipe;
use super::probing::training_rows;
use super::sets::{LabelledSet, Split};
use super::unit::key_of;
use super::workshop::{Trained, Workshop};
use crate::interrupt::{self, Interrupted};
use crate::progress::Stage;

/// Passes over a whole training part; with fewer labels there are as many steps.
const EPOCHS: u64 = 25;
/// Steps at most, so that every experiment ends within an hour or so on two cores: 12 epochs of first-frg.
const MOST_STEPS: u64 = 600;
/// Fewer labels than this are not divided for a search: batch norm needs some pictures.
const FEWEST_SEARCHED: usize = 8;
/// Learning rates that a training from scratch is offered.
const SCRATCH_RATES: [f64; 3] = [3e-4, 1e-3, 3e-3];
/// And one from an encoder, whose head starts at the linear probe; at 0, tried with few labels, it stays there.
const TUNING_RATES: [f64; 4] = [0.0, 1e-5, 1e-4, 1e-3];

/// Where the weights come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// Nowhere; the input is that of a recipe.
    Scratch(EncoderRecipe),
    /// An encoder.
    Encoder(EncoderRecipe),
}

impl Start {
    /// The recipe.
    pub fn recipe(&self) -> &EncoderRecipe {
        match self {
            Self::Scratch(recipe) | Self::Encoder(recipe) => recipe,
        }
    }

    /// In tables.
    pub fn name(&self) -> String {
        match self {
            Self::Scratch(recipe) => format!("scratch ({})", input_words(recipe)),
            Self::Encoder(recipe) => format!("fine-tuned {}", recipe.name),
        }
    }

    /// The rates that are tried with so many labels.
    fn rates(&self, labels: usize) -> Vec<f64> {
        match self {
            Self::Scratch(_) => SCRATCH_RATES.to_vec(),
            Self::Encoder(_) => ClassifierConfig::rates_from_encoder(&TUNING_RATES, labels),
        }
    }

    /// With too few labels to put any aside, the middle of the rates above 0.
    fn rate_without_search(&self) -> f64 {
        match self {
            Self::Scratch(_) => SCRATCH_RATES[1],
            Self::Encoder(_) => TUNING_RATES[2],
        }
    }
}

/// What tells one training from another.
#[derive(Serialize)]
struct TrainingSettings<'a> {
    set: &'a str,
    start: Option<&'a str>,
    view: super::sets::View,
    config: String,
    train: &'a [usize],
    test: &'a [usize],
}

/// What a training found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrainingResult {
    /// Of the test rows, over the four quarter turns.
    probabilities: Vec<Vec<f32>>,
    last_loss: f32,
}

/// Predictions of a way to train: one run a seed.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedRuns {
    /// `[seeds][rows]`; rows without a fold are class 0.
    pub runs: Vec<Vec<usize>>,
    /// Learning rate of each fold.
    pub rates: Vec<f64>,
    /// Keys of the units.
    pub keys: Vec<String>,
}

/// Units that [`train`] takes, at most.
pub fn units(split: &Split, seeds: usize) -> usize {
    split.folds.len() * (TUNING_RATES.len() + seeds)
}

/// Trains in every fold with every seed and predicts the fold.
///
/// The learning rate of a fold is searched once, with the first seed, on a part of that fold's training rows: of equal
/// accuracy on the rest, the rate of least log loss. Seeds change weights, views and, below all labels, the draw of labels.
///
/// # Errors
/// If an encoder or picture cannot be used, a training diverges at every rate, or the user interrupts.
pub fn train(
    workshop: &mut Workshop,
    set: &LabelledSet,
    split: &Split,
    start: &Start,
    fraction: f64,
    seeds: &[u64],
) -> Result<TrainedRuns> {
    let mut found = TrainedRuns { runs: Vec::new(), rates: Vec::new(), keys: Vec::new() };
    for (number, &seed) in seeds.iter().enumerate() {
        let mut class = vec![0; set.labels.len()];
        for fold in 0..split.folds.len() {
            let rows = training_rows(set, split, fold, fraction, number as u64)?;
            let test = split.folds.test(fold);
            let encoder = match start {
                Start::Scratch(_) => None,
                Start::Encoder(recipe) if recipe.strict => {
                    Some(workshop.encoder(recipe, seed, Some((fold, &set.positions(&test))))?)
                }
                Start::Encoder(recipe) => Some(workshop.encoder(recipe, seed, None)?),
            };
            let steps = steps(split.folds.train(fold).len(), workshop.options.quick);
            let words = format!("{}, {} % of labels, fold {}", start.name(), 100.0 * fraction, fold + 1);
            let run = Run { set, start, encoder: encoder.as_ref(), steps, words };
            if number == 0 {
                found.rates.push(run.search(workshop, seed, &rows)?);
            }
            let words = format!("{}, seed {seed}", run.words);
            let (result, key) = run.once(workshop, "training", &words, seed, found.rates[fold], &rows, &test)?;
            for (&row, probabilities) in test.iter().zip(&result.probabilities) {
                class[row] = highest(probabilities);
            }
            found.keys.push(key);
        }
        found.runs.push(class);
    }
    Ok(found)
}

/// Steps of a training, whatever the share of labels.
fn steps(rows: usize, quick: bool) -> u64 {
    if quick { 6 } else { (EPOCHS * (rows / 32).max(1) as u64).min(MOST_STEPS) }
}

/// One fold's trainings.
struct Run<'a> {
    set: &'a LabelledSet,
    start: &'a Start,
    encoder: Option<&'a Trained>,
    steps: u64,
    words: String,
}

impl Run<'_> {
    /// The rate that does best on rows that are put aside.
    fn search(&self, workshop: &mut Workshop, seed: u64, rows: &[usize]) -> Result<f64> {
        let rates = self.start.rates(rows.len());
        let of = |values: &[usize]| rows.iter().map(|&row| values[row]).collect::<Vec<_>>();
        if rows.len() < FEWEST_SEARCHED {
            return Ok(self.start.rate_without_search());
        }
        let k = if rows.len() < 40 { 2 } else { 4 };
        let inner = match Folds::grouped(&of(&self.set.labels), &of(&self.set.groups), k, 0) {
            Err(ClassError::TooFew { .. }) => return Ok(self.start.rate_without_search()),
            inner => inner?,
        };
        let pick = |places: Vec<usize>| places.into_iter().map(|place| rows[place]).collect::<Vec<_>>();
        let (known, aside) = (pick(inner.train(0)), pick(inner.test(0)));
        let mut best: Option<(usize, f64, f64)> = None;
        for &rate in &rates {
            let words = format!("{}, rate {rate:e} tried", self.words);
            let (result, _) = match self.once(workshop, "search", &words, seed, rate, &known, &aside) {
                Err(error) if matches!(error.downcast_ref(), Some(ClassError::Diverged { .. })) => continue,
                outcome => outcome?,
            };
            let (mut right, mut loss) = (0, 0.0);
            for (&row, probabilities) in aside.iter().zip(&result.probabilities) {
                right += usize::from(highest(probabilities) == self.set.labels[row]);
                loss -= f64::from(probabilities[self.set.labels[row]].max(1e-6)).ln();
            }
            if best.is_none_or(|(most, least, _)| right > most || (right == most && loss < least)) {
                best = Some((right, loss, rate));
            }
        }
        match best {
            Some((_, _, rate)) => Ok(rate),
            None => bail!("{}: the training diverges at every rate of {rates:?}", self.words),
        }
    }

    /// One training and the probabilities of some rows.
    fn once(
        &self,
        workshop: &mut Workshop,
        kind: &'static str,
        words: &str,
        seed: u64,
        rate: f64,
        train: &[usize],
        test: &[usize],
    ) -> Result<(TrainingResult, String)> {
        let recipe = self.start.recipe();
        let view = input_view(self.set.name, recipe);
        let config = recipe.classifier(seed, train.len(), self.steps, rate, self.set.recipe_of(recipe, view));
        let config = if self.encoder.is_some() { config.from_encoder(train.len()) } else { config };
        let settings = TrainingSettings {
            set: &self.set.fingerprint,
            start: self.encoder.map(|encoder| encoder.key.as_str()),
            view,
            config: config.to_toml()?,
            train,
            test,
        };
        let key = key_of(&settings)?;
        let trunk = || self.encoder.map(Trained::trunk).transpose();
        let result = workshop
            .ledger
            .unit(kind, &settings, words, || train_and_predict(self.set, view, &config, trunk()?, train, test))?;
        Ok((result, key))
    }
}

fn train_and_predict(
    set: &LabelledSet,
    view: super::sets::View,
    config: &ClassifierConfig,
    trunk: Option<Trunk>,
    train: &[usize],
    test: &[usize],
) -> Result<TrainingResult> {
    let frames = set.frames(view);
    let known: Vec<usize> = train.iter().map(|&row| set.labels[row]).collect();
    let targets = one_class_each(&known, set.classes.len());
    let mut run = FineTuning::new(config.clone(), set.classes.clone(), targets, trunk)?;
    let mut stage = Stage::quiet();
    let complete = fine_tune(&mut run, Arc::new(frames.part(train)), |_, now| {
        stage.at(now.step, now.total_steps, &format!("loss {:.3}", now.loss));
        interrupt::flow()
    })?;
    if !complete {
        bail!(Interrupted);
    }
    stage.clear();
    let last_loss = run.losses().last().copied().unwrap_or(0.0);
    let go_on = |_| ControlFlow::Continue(());
    let found = run.into_classifier().predict(Arc::new(frames.part(test)), Turns::Four, 64, go_on)?;
    let probabilities = found.rows().into_iter().map(|row| row.iter().map(|&p| p as f32).collect()).collect();
    Ok(TrainingResult { probabilities, last_loss })
}

fn highest(values: &[f32]) -> usize {
    (0..values.len()).reduce(|best, place| if values[place] > values[best] { place } else { best }).unwrap_or(0)
}
