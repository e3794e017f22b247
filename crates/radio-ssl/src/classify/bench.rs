//! The pictures of a comparison, the rules, and the methods scored so far.
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Result, bail};
use cls_morph::classifier::confident_errors::confident_errors;
use cls_morph::classifier::config::ClassifierConfig;
use cls_morph::features::Turns;
use cls_morph::probes::draws::label_fraction;
use cls_morph::probes::folds::Folds;
use cls_morph::probes::probe::{Predictions, Probe, out_of_fold};
use cls_morph::probes::score::{Resampling, Truth, compare, score};
use cls_morph::{FineTuning, fine_tune, one_class_each};
use metrics::bootstrap::mean_and_error;
use metrics::calibration::{expected_calibration_error, reliability};
use ndarray::{Array2, Axis};
use radio_tensor::trunk::Trunk;

use super::baselines::{FeatureSet, RINGS};
use super::eval::EvalOptions;
use super::images::Pictures;
use super::marks::{MethodMarks, SureError};
use crate::interrupt::{self, Interrupted};
use crate::progress::Stage;

/// Intervals of confidence in the calibration error.
const BINS: usize = 10;
/// Sure errors that are kept of each method.
const SURE_ERRORS: usize = 12;

/// The pictures, the rules, and the methods scored so far.
pub(super) struct Bench<'a> {
    pictures: &'a Arc<Pictures>,
    labels: &'a [usize],
    classes: &'a [String],
    pub(super) folds: Folds,
    /// Places of the pictures that are predicted.
    pub(super) predicted: Vec<usize>,
    pub(super) resampling: Resampling,
    options: &'a EvalOptions,
    pub(super) methods: Vec<MethodMarks>,
    /// Predictions of ring features with logistic regression, for each share of labels.
    rings: Vec<(f64, Vec<usize>)>,
    /// The most accurate method with all labels, and its probabilities of the predicted pictures.
    pub(super) best: Option<Best>,
}

/// The predictions behind the gallery of errors.
pub(super) struct Best {
    pub(super) name: String,
    accuracy: f64,
    pub(super) probabilities: Array2<f64>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        pictures: &'a Arc<Pictures>,
        labels: &'a [usize],
        classes: &'a [String],
        folds: Folds,
        options: &'a EvalOptions,
    ) -> Self {
        let resampling = Resampling { resamples: options.resamples, ..Resampling::thousand(options.seed) };
        let predicted = folds.predicted();
        Self {
            pictures,
            labels,
            classes,
            folds,
            predicted,
            resampling,
            options,
            methods: Vec::new(),
            rings: Vec::new(),
            best: None,
        }
    }

    /// kNN and logistic regression with all labels, logistic regression with fewer.
    pub(super) fn all_probes(&mut self, set: &FeatureSet) -> Result<()> {
        let logistic = Probe::Logistic { inverse_penalty: self.options.inverse_penalty };
        self.probe(set, logistic, 1.0)?;
        self.probe(set, Probe::Knn { neighbours: self.options.neighbours }, 1.0)?;
        for &fraction in &self.options.label_fraction {
            self.probe(set, logistic, fraction)?;
        }
        Ok(())
    }

    pub(super) fn probe(&mut self, set: &FeatureSet, probe: Probe, fraction: f64) -> Result<()> {
        if interrupt::requested() {
            bail!(Interrupted);
        }
        let draw = |number: u64| {
            out_of_fold(probe, set.rows.view(), self.labels, self.classes.len(), &self.folds, |fold, rows| {
                if fraction >= 1.0 {
                    return Ok(rows);
                }
                label_fraction(&rows, self.labels, fraction, self.draw_seed(number, fold))
            })
        };
        let first = draw(0)?;
        let mut draws = None;
        if fraction < 1.0 && self.options.draws > 1 {
            let mut accuracies = vec![self.accuracy(&first.class, &self.predicted)];
            for number in 1..self.options.draws as u64 {
                accuracies.push(self.accuracy(&draw(number)?.class, &self.predicted));
            }
            draws = Some(mean_and_error(&accuracies)?);
        }
        let columns = set.rows.ncols();
        self.add(&set.name, columns, Some(probe), probe.name(), fraction, &first, draws)
    }

    fn draw_seed(&self, number: u64, fold: usize) -> u64 {
        self.options.seed.wrapping_add(1000 * number + fold as u64)
    }

    fn accuracy(&self, predicted: &[usize], rows: &[usize]) -> f64 {
        let right = rows.iter().filter(|&&row| predicted[row] == self.labels[row]).count();
        right as f64 / rows.len().max(1) as f64
    }

    /// Scores predictions of all pictures (those without a fold are not looked at).
    fn add(
        &mut self,
        features: &str,
        columns: usize,
        probe: Option<Probe>,
        method: &str,
        fraction: f64,
        predictions: &Predictions,
        draws: Option<(f64, f64)>,
    ) -> Result<()> {
        let predicted = &predictions.class;
        let of = |values: &[usize]| self.predicted.iter().map(|&row| values[row]).collect::<Vec<_>>();
        let (labels, groups, found) = (of(self.labels), of(&self.pictures.groups), of(predicted));
        let truth = Truth { labels: &labels, groups: &groups, n_classes: self.classes.len() };
        let reference = self.rings.iter().find(|(of_rings, _)| *of_rings == fraction).map(|(_, found)| found);
        let over_rings = reference.map(|rings| compare(truth, &found, rings, &self.resampling)).transpose()?;
        let probabilities = predictions.probabilities.select(Axis(0), &self.predicted);
        let sure: Vec<f64> =
            found.iter().enumerate().map(|(row, &class)| probabilities[(row, class)].min(1.0)).collect();
        let right: Vec<bool> = found.iter().zip(&labels).map(|(found, label)| found == label).collect();
        let name = |class: usize| self.classes[class].clone();
        let sure_errors =
            confident_errors(probabilities.view(), &labels, SURE_ERRORS)?.into_iter().map(|error| SureError {
                picture: self.pictures.list[self.predicted[error.row]].id.clone(),
                label: name(error.truth),
                predicted: name(error.predicted),
                probability: error.probability,
            });
        let fold_accuracy =
            (0..self.folds.len()).map(|fold| self.accuracy(predicted, &self.folds.test(fold))).collect();
        let marks = score(truth, &found, &self.resampling)?;
        if fraction >= 1.0 && self.best.as_ref().is_none_or(|best| marks.accuracy > best.accuracy) {
            self.best = Some(Best { name: format!("{features}, {method}"), accuracy: marks.accuracy, probabilities });
        }
        self.methods.push(MethodMarks {
            features: features.to_owned(),
            columns,
            probe,
            method: method.to_owned(),
            label_fraction: fraction,
            score: marks,
            fold_accuracy,
            calibration_error: expected_calibration_error(&reliability(&sure, &right, BINS)?),
            sure_errors: sure_errors.collect(),
            draws,
            over_rings,
        });
        if features == RINGS && matches!(probe, Some(Probe::Logistic { .. })) {
            self.rings.push((fraction, found));
        }
        Ok(())
    }

    /// A network trained anew in every fold, with all labels and with each share of them.
    pub(super) fn trained(
        &mut self,
        name: &str,
        config: &ClassifierConfig,
        start: impl Fn() -> Result<Option<Trunk>>,
    ) -> Result<()> {
        let fractions: Vec<f64> = std::iter::once(1.0).chain(self.options.label_fraction.iter().copied()).collect();
        for fraction in fractions {
            let probabilities = Array2::zeros((self.labels.len(), self.classes.len()));
            let mut all = Predictions { class: vec![0; self.labels.len()], probabilities };
            for fold in 0..self.folds.len() {
                let (mut train, test) = (self.folds.train(fold), self.folds.test(fold));
                let mut config = ClassifierConfig { seed: config.seed.wrapping_add(fold as u64), ..config.clone() };
                if fraction < 1.0 {
                    train = label_fraction(&train, self.labels, fraction, self.draw_seed(0, fold))?;
                    // Fewer labels are seen more often, at most ten times as often: about the same number of steps.
                    config.epochs = (config.epochs as f64 * (1.0 / fraction).min(10.0)).round() as u64;
                    config.warmup_epochs = config.epochs / 10;
                }
                let trunk = start()?;
                if trunk.is_some() {
                    config = config.from_encoder(train.len());
                }
                let found = self.train_and_predict(name, fold, &config, trunk, &train, &test)?;
                for (place, &row) in test.iter().enumerate() {
                    all.class[row] = found.class[place];
                    all.probabilities.row_mut(row).assign(&found.probabilities.row(place));
                }
            }
            self.add(name, config.backbone.features(), None, "trained", fraction, &all, None)?;
        }
        Ok(())
    }

    fn train_and_predict(
        &self,
        name: &str,
        fold: usize,
        config: &ClassifierConfig,
        trunk: Option<Trunk>,
        train: &[usize],
        test: &[usize],
    ) -> Result<Predictions> {
        let known: Vec<usize> = train.iter().map(|&row| self.labels[row]).collect();
        let mut run =
            FineTuning::new(config.clone(), self.classes.to_vec(), one_class_each(&known, self.classes.len()), trunk)?;
        let mut stage = Stage::start("training");
        let complete = fine_tune(&mut run, Arc::new(self.pictures.part(train)), |_, now| {
            let note =
                format!("{name}, fold {}, epoch {}/{}, loss {:.3}", fold + 1, now.epoch + 1, config.epochs, now.loss);
            stage.at(now.step, now.total_steps, &note);
            interrupt::flow()
        })?;
        if !complete {
            bail!(Interrupted);
        }
        stage.end(&format!("{name}, fold {}", fold + 1));
        let classifier = run.into_classifier();
        let images = Arc::new(self.pictures.part(test));
        let go_on = |_| ControlFlow::Continue(());
        let probabilities = classifier.predict(images, Turns::Four, config.batch_size, go_on)?;
        let found = Predictions::of(probabilities);
        let right = found.class.iter().zip(test).filter(|(class, row)| **class == self.labels[**row]).count();
        eprintln!("  {name}, fold {}: {:.1} %", fold + 1, 100.0 * right as f64 / test.len().max(1) as f64);
        Ok(found)
    }
}
