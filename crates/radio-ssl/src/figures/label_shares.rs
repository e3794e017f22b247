//! Trainings with ever fewer labels, from a pre-trained encoder and from scratch, everything else equal: steps, augmentation,
//! pre-processing, and the search for a learning rate. It sees the training half of its own set alone: the sets share cutouts, so
//! a rate found with another set's labels would have seen test cutouts of this one.
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Result, bail};
use cls_morph::ClassError;
use cls_morph::classifier::config::ClassifierConfig;
use cls_morph::features::Turns;
use cls_morph::probes::draws::label_fraction;
use cls_morph::probes::probe::Predictions;
use cls_morph::{FineTuning, fine_tune, one_class_each};
use radio_tensor::trunk::Trunk;
use radio_tensor::weights::{InputChoice, read_encoder};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::encoders::TrainedEncoder;
use super::labelled::Labelled;
use super::settings::FigureSettings;
use super::stage_store::StageStore;
use crate::interrupt::{self, Interrupted};
use crate::progress::Stage;

/// Fewest labels of a class of which some are put aside to choose a learning rate; with fewer the next larger share's rate is taken.
const FEWEST_TO_SEARCH: usize = 8;
/// Share of the labels that is put aside.
const PUT_ASIDE: f64 = 0.25;
/// Test cutouts that are predicted at once.
const BATCH: usize = 64;

/// Where a training begins.
#[derive(Debug, Clone)]
pub enum Start {
    /// Random weights.
    Scratch,
    /// A pre-trained encoder.
    From(TrainedEncoder),
}

impl Start {
    /// Name in tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Scratch => "from scratch",
            Self::From(_) => "pre-trained",
        }
    }

    fn trunk(&self) -> Result<Option<Trunk>> {
        let read = |path: &Path| Ok(Some(read_encoder(path, InputChoice::Recorded)?.trunk));
        match self {
            Self::Scratch => Ok(None),
            Self::From(encoder) => read(&encoder.checkpoint),
        }
    }

    fn rates<'a>(&self, settings: &'a FigureSettings) -> &'a [f64] {
        match self {
            Self::Scratch => &settings.fine_tuning.rates,
            Self::From(_) => &settings.fine_tuning.encoder_rates,
        }
    }

    fn config(&self, settings: &FigureSettings, seed: u64, rate: f64, labels: usize) -> ClassifierConfig {
        let config = config(settings, seed, rate, labels);
        match self {
            Self::Scratch => config,
            Self::From(_) => config.from_encoder(labels),
        }
    }

    fn identity(&self) -> &str {
        match self {
            Self::Scratch => "scratch",
            Self::From(encoder) => &encoder.fingerprint,
        }
    }
}

/// A learning rate that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TriedRate {
    /// The rate at the end of the warm-up.
    pub rate: f64,
    /// Accuracy on the labels put aside.
    pub accuracy: f64,
}

/// Predictions with one share of the labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShareResult {
    /// The share.
    pub share: f64,
    /// Labels of the first set.
    pub labels: usize,
    /// The rate that was chosen in every set.
    pub rates: Vec<f64>,
    /// What they were chosen from; empty where a rate was taken over from the next larger share of the same set.
    pub tried: Vec<Vec<TriedRate>>,
    /// Predicted class of the test rows of every set.
    pub predicted: Vec<Vec<usize>>,
}

/// Trains with every share of the labels, on every set, from one start; `seed` is that of weights, order and views. From the largest
/// share down: small shares take over its learning rate.
///
/// # Errors
/// If a training fails, or the user interrupts.
pub fn label_shares(
    store: &StageStore,
    settings: &FigureSettings,
    labelled: &Labelled,
    start: &Start,
    seed: u64,
) -> Result<Vec<ShareResult>> {
    over_shares(settings, start.rates(settings), labelled, start.name(), seed, |seed, rate, learn, predict| {
        training(store, settings, labelled, start, seed, rate, learn, predict)
    })
}

/// The same with any way to train: `train(seed, rate, learn, predict)` gives the classes of the rows `predict`.
fn over_shares(
    settings: &FigureSettings,
    rates: &[f64],
    labelled: &Labelled,
    name: &str,
    seed: u64,
    mut train: impl FnMut(u64, f64, &[usize], &[usize]) -> Result<Vec<usize>>,
) -> Result<Vec<ShareResult>> {
    let mut results: Vec<ShareResult> = Vec::new();
    let shares: Vec<f64> = settings.fine_tuning.shares.iter().rev().copied().collect();
    let tasks = (shares.len() * labelled.sets.len()) as u64;
    let mut stage = Stage::start("training with labels");
    for (number, share) in shares.into_iter().enumerate() {
        let mut found = ShareResult { share, labels: 0, rates: Vec::new(), tried: Vec::new(), predicted: Vec::new() };
        for (set, draw) in labelled.sets.iter().enumerate() {
            let note = format!("{name}, {:.0} % of the labels, set {}", 100.0 * share, set + 1);
            stage.at((number * labelled.sets.len() + set) as u64, tasks, &note);
            // Sets of one seed are not those of the next.
            let seed = 1000 * seed + set as u64;
            let rows = label_fraction(&draw.train, &labelled.labels, share, seed)?;
            let offered = ClassifierConfig::rates_from_encoder(rates, rows.len());
            let tried = match put_aside(&rows, labelled, seed) {
                Some((learn, judge)) => search(&offered, labelled, &judge, |rate| train(seed, rate, &learn, &judge))?,
                None => Vec::new(),
            };
            let larger = results.last().and_then(|larger| larger.rates.get(set).copied());
            let rate = best(&tried).or(larger).unwrap_or_else(|| middle(rates));
            found.predicted.push(train(seed, rate, &rows, &draw.test)?);
            found.rates.push(rate);
            found.tried.push(tried);
            if set == 0 {
                found.labels = rows.len();
            }
        }
        results.push(found);
    }
    stage.end(name);
    results.reverse();
    Ok(results)
}

/// Tries every rate on the labels put aside; one at which the training diverges is left out.
fn search(
    rates: &[f64],
    labelled: &Labelled,
    judge: &[usize],
    mut train: impl FnMut(f64) -> Result<Vec<usize>>,
) -> Result<Vec<TriedRate>> {
    let mut tried = Vec::new();
    for &rate in rates {
        let found = match train(rate) {
            Err(error) if matches!(error.downcast_ref(), Some(ClassError::Diverged { .. })) => continue,
            found => found?,
        };
        let right = found.iter().zip(judge).filter(|(class, row)| **class == labelled.labels[**row]).count();
        tried.push(TriedRate { rate, accuracy: right as f64 / judge.len() as f64 });
    }
    if tried.is_empty() {
        bail!("the training diverges at every learning rate of {rates:?}");
    }
    Ok(tried)
}

/// The rate of highest accuracy, the smaller of two equal ones.
fn best(tried: &[TriedRate]) -> Option<f64> {
    let better = |a: &TriedRate, b: &TriedRate| a.accuracy.total_cmp(&b.accuracy).then(b.rate.total_cmp(&a.rate));
    tried.iter().copied().max_by(better).map(|tried| tried.rate)
}

fn middle(rates: &[f64]) -> f64 {
    rates.get(rates.len() / 2).copied().unwrap_or(1e-3)
}

/// Divides labels into some to learn from and some to judge a rate by, on different pieces of sky; `None` with too few of a class.
fn put_aside(rows: &[usize], labelled: &Labelled, seed: u64) -> Option<(Vec<usize>, Vec<usize>)> {
    let count = |class: usize| rows.iter().filter(|&&row| labelled.labels[row] == class).count();
    if (0..labelled.classes.len()).map(count).min()? < FEWEST_TO_SEARCH {
        return None;
    }
    let mut groups: Vec<usize> = rows.iter().map(|&row| labelled.groups[row]).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let wanted = (PUT_ASIDE * rows.len() as f64).round() as usize;
    let mut aside = std::collections::HashSet::new();
    let mut size = 0;
    for group in groups {
        if size >= wanted {
            break;
        }
        size += rows.iter().filter(|&&row| labelled.groups[row] == group).count();
        aside.insert(group);
    }
    let (judge, learn): (Vec<usize>, Vec<usize>) = rows.iter().partition(|&&row| aside.contains(&labelled.groups[row]));
    (!judge.is_empty() && learn.len() >= labelled.classes.len()).then_some((learn, judge))
}

/// What a training depends on.
#[derive(Serialize)]
struct TrainingKey<'a> {
    config: String,
    start: &'a str,
    labelled: &'a str,
    learn: &'a [usize],
    predict: &'a [usize],
}

/// One training, and the classes it predicts; from its file if it was done before.
fn training(
    store: &StageStore,
    settings: &FigureSettings,
    labelled: &Labelled,
    start: &Start,
    seed: u64,
    rate: f64,
    learn: &[usize],
    predict: &[usize],
) -> Result<Vec<usize>> {
    let config = start.config(settings, seed, rate, learn.len());
    let key =
        TrainingKey { config: config.to_toml()?, start: start.identity(), labelled: &labelled.key, learn, predict };
    store.result("training-with-labels", &key, || {
        let known: Vec<usize> = learn.iter().map(|&row| labelled.labels[row]).collect();
        let targets = one_class_each(&known, labelled.classes.len());
        let mut run = FineTuning::new(config, labelled.classes.clone(), targets, start.trunk()?)?;
        if !fine_tune(&mut run, labelled.part(learn), |_, _| interrupt::flow())? {
            bail!(Interrupted);
        }
        let classifier = run.into_classifier();
        let probabilities =
            classifier.predict(labelled.part(predict), Turns::Four, BATCH, |_| ControlFlow::Continue(()))?;
        Ok(Predictions::of(probabilities).class)
    })
}

/// So many epochs that the steps come out alike, whatever the number of labels; a tenth of them warm-up.
fn config(settings: &FigureSettings, seed: u64, rate: f64, labels: usize) -> ClassifierConfig {
    let batch = settings.fine_tuning.batch_size;
    let mut config = ClassifierConfig {
        peak_lr: rate,
        backbone: settings.network.into(),
        precision: settings.precision,
        recipe: settings.recipe(),
        ..ClassifierConfig::laptop(seed, settings.side, batch, 1)
    };
    let per_epoch = config.steps_per_epoch(labels).max(1);
    config.epochs = ((settings.fine_tuning.steps as f64 / per_epoch as f64).round() as u64).max(1);
    config.warmup_epochs = ((config.epochs + 5) / 10).min(config.epochs - 1);
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::over_sets::tests::example;
    use crate::figures::settings::tests::options;

    #[test]
    fn steps_are_alike_for_any_number_of_labels() -> Result<()> {
        let settings = options("")?.settings(false)?;
        for labels in [7, 36, 100, 1764] {
            let config = config(&settings, 1, 1e-3, labels);
            let steps = config.steps_per_epoch(labels) * config.epochs;
            assert!(steps.abs_diff(400) <= config.steps_per_epoch(labels) / 2, "{labels}: {steps}");
            config.check()?;
        }
        Ok(())
    }

    #[test]
    fn labels_put_aside_are_of_other_sky_and_never_of_the_test() {
        let labelled = example(4, 1);
        let (learn, judge) = put_aside(&labelled.sets[0].train, &labelled, 3).unwrap();
        assert_eq!(learn.len() + judge.len(), labelled.sets[0].train.len());
        assert!((40..=60).contains(&judge.len()), "{}", judge.len());
        for row in &judge {
            assert!(learn.iter().all(|other| labelled.groups[*other] != labelled.groups[*row]));
            assert!(!labelled.sets[0].test.contains(row));
        }
        assert!(put_aside(&labelled.sets[0].train[..8], &labelled, 3).is_none(), "too few to put any aside");
    }

    #[test]
    fn a_set_learns_and_searches_on_its_own_training_half() -> Result<()> {
        let settings = options("")?.settings(false)?;
        let labelled = example(4, 3);
        let mut searched = 0;
        let found =
            over_shares(&settings, &settings.fine_tuning.rates, &labelled, "fake", 5, |seed, rate, learn, predict| {
                let set = &labelled.sets[(seed - 5000) as usize];
                assert!(learn.iter().all(|row| set.train.contains(row)), "labels of another set");
                let is_search = predict != set.test.as_slice();
                if is_search {
                    searched += 1;
                    assert!(
                        predict.iter().all(|row| set.train.contains(row)),
                        "a rate is judged on rows of another set"
                    );
                    if rate > 3e-3 {
                        return Err(ClassError::Diverged { step: 1, epoch: 1, loss: f32::NAN, lr: rate }.into());
                    }
                }
                // The middle rate is right, the small one wrong.
                let wrong = usize::from(rate < 5e-4);
                Ok(predict.iter().map(|&row| (labelled.labels[row] + wrong) % 2).collect())
            })?;
        assert_eq!(found.len(), 6);
        for share in &found {
            assert_eq!(share.rates, [1e-3; 3], "the best that does not diverge, or the next larger share's");
            assert_eq!(share.predicted.len(), 3);
        }
        assert_eq!((found[5].tried[2].len(), found[0].tried[0].len()), (2, 0), "two labels a class: taken over");
        assert!(searched > 3 * 3, "every set searches: {searched}");
        let all = over_shares(&settings, &settings.fine_tuning.rates, &labelled, "fake", 5, |_, lr, _, _| {
            Err(ClassError::Diverged { step: 1, epoch: 1, loss: f32::NAN, lr }.into())
        });
        assert!(all.unwrap_err().to_string().contains("every learning rate"));
        Ok(())
    }

    #[test]
    fn the_best_rate_wins_and_the_smaller_of_equals() {
        let tried = |list: &[(f64, f64)]| {
            best(&list.iter().map(|&(rate, accuracy)| TriedRate { rate, accuracy }).collect::<Vec<_>>())
        };
        assert_eq!(tried(&[(1e-4, 0.5), (1e-3, 0.7), (4e-3, 0.6)]), Some(1e-3));
        assert_eq!(tried(&[(1e-3, 0.7), (4e-3, 0.7)]), Some(1e-3));
        assert_eq!(tried(&[]), None);
        assert_eq!(middle(&[2e-4, 1e-3, 4e-3]), 1e-3);
    }
}
