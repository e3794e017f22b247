//! Labels of pictures, one or several each, and what pictures that were put aside say of a classifier.
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use cls_morph::classifier::calibration::fit_temperature;
use cls_morph::classifier::loss::Loss;
use cls_morph::features::Turns;
use cls_morph::probes::multi_label::best_thresholds;
use cls_morph::probes::probe::Predictions;
use cls_morph::probes::score::{Resampling, Truth, score};
use cls_morph::{Classifier, one_class_each};
use metrics::calibration::{expected_calibration_error, reliability};
use metrics::multi_label::multi_label_report;
use ndarray::{Array2, ArrayView2, Zip};

use super::error_gallery::{Judged, write_error_gallery};
use super::images::Pictures;

/// Intervals of confidence in the check of the calibration.
const BINS: usize = 10;

/// The classes of pictures.
pub struct Labels {
    /// Names.
    pub classes: Vec<String>,
    /// `[pictures, classes]`.
    pub targets: Array2<bool>,
    /// The first class of each; with several labels a picture, one number more for those without.
    pub first: Vec<usize>,
}

impl Labels {
    /// From a column of the table; whether a picture has one class or several is the loss's to say.
    ///
    /// # Errors
    /// As [`Pictures::labels`] and [`Pictures::label_sets`].
    pub fn read(pictures: &Pictures, column: &str, loss: Loss) -> Result<Self> {
        if loss == Loss::CrossEntropy {
            let (first, classes) = pictures.labels(column)?;
            return Ok(Self { targets: one_class_each(&first, classes.len()), classes, first });
        }
        let (targets, classes) = pictures.label_sets(column)?;
        let first_of = |row: ndarray::ArrayView1<bool>| row.iter().position(|&has| has).unwrap_or(classes.len());
        let first = targets.rows().into_iter().map(first_of).collect();
        Ok(Self { classes, targets, first })
    }
}

/// Pictures that a classifier was not trained on.
pub struct HeldOut<'a> {
    /// All pictures.
    pub pictures: &'a Pictures,
    /// Which of them.
    pub places: &'a [usize],
    /// Pictures at once.
    pub batch_size: usize,
    /// Of the resamples.
    pub seed: u64,
    /// What is needed to make the page again; name and value.
    pub facts: Vec<(String, String)>,
}

impl HeldOut<'_> {
    /// Calibrates the classifier by these pictures, and says in words how well it does on them.
    ///
    /// One class a picture: a temperature, and a page of the surest errors. Several: a threshold for each class.
    ///
    /// # Shapes
    /// `truth`: `[places, classes]`.
    /// # Errors
    /// If a picture cannot be used or the page not be written.
    pub fn judge(&self, classifier: &mut Classifier, truth: ArrayView2<bool>, page: &Path) -> Result<String> {
        if classifier.loss == Loss::CrossEntropy {
            let labels: Vec<usize> =
                truth.rows().into_iter().map(|row| row.iter().position(|&is| is).unwrap_or(0)).collect();
            return self.judge_one_each(classifier, &labels, page);
        }
        let probabilities = self.predict(classifier)?;
        let chosen = best_thresholds(probabilities.view(), truth)?;
        let mut words = format!(
            "held out: {} pictures ({})\n{}",
            self.places.len(),
            self.pictures.grouping,
            several_words(&classifier.classes, truth, probabilities.view(), &classifier.thresholds)?
        );
        words += "\nthresholds of highest F1 on these pictures, kept with the classifier:";
        for (name, threshold) in classifier.classes.iter().zip(&chosen) {
            write!(words, " {name} {threshold:.2}")?;
        }
        classifier.thresholds = chosen;
        Ok(words)
    }

    fn predict(&self, classifier: &Classifier) -> Result<Array2<f64>> {
        let images = Arc::new(self.pictures.part(self.places));
        Ok(classifier.predict(images, Turns::Four, self.batch_size, |_| ControlFlow::Continue(()))?)
    }

    fn judge_one_each(&self, classifier: &mut Classifier, truth: &[usize], page: &Path) -> Result<String> {
        let raw = self.predict(classifier)?;
        classifier.temperature = fit_temperature(raw.view(), truth)?;
        let mended = self.predict(classifier)?;
        write_error_gallery(
            &Judged {
                pictures: self.pictures,
                places: self.places,
                labels: truth,
                classes: &classifier.classes,
                probabilities: mended.view(),
                method: "pictures held out from training".into(),
                facts: self.facts.clone(),
            },
            page,
        )?;
        let found = Predictions::of(raw.clone()).class;
        let groups: Vec<usize> = self.places.iter().map(|&row| self.pictures.groups[row]).collect();
        let truth_rows = Truth { labels: truth, groups: &groups, n_classes: classifier.classes.len() };
        let marks = score(truth_rows, &found, &Resampling::thousand(self.seed))?;
        let interval = marks.accuracy_interval;
        let right: Vec<bool> = found.iter().zip(truth).map(|(found, truth)| found == truth).collect();
        let error = |p: &Array2<f64>| -> Result<f64> {
            let sure: Vec<f64> =
                p.rows().into_iter().map(|row| row.iter().copied().fold(0.0, f64::max).min(1.0)).collect();
            Ok(100.0 * expected_calibration_error(&reliability(&sure, &right, BINS)?))
        };
        Ok(format!(
            "held out: {} pictures ({}), accuracy {:.1} % ({:.1} to {:.1}), macro F1 {:.1} %\nsurest errors: {}\n\
             temperature {:.2}: expected calibration error {:.1} %, {:.1} % after it on the same pictures",
            self.places.len(),
            self.pictures.grouping,
            100.0 * marks.accuracy,
            100.0 * interval.low,
            100.0 * interval.high,
            100.0 * marks.macro_f1,
            page.display(),
            classifier.temperature,
            error(&raw)?,
            error(&mended)?
        ))
    }
}

/// Which classes each row has at these thresholds.
pub fn classes_at(probabilities: ArrayView2<f64>, thresholds: &[f64]) -> Array2<bool> {
    Array2::from_shape_fn(probabilities.dim(), |(row, class)| probabilities[(row, class)] >= thresholds[class])
}

/// Precision, recall and F1 of every class, and the means, one line each.
///
/// # Errors
/// If the shapes differ or there is no row.
pub fn several_words(
    classes: &[String],
    truth: ArrayView2<bool>,
    probabilities: ArrayView2<f64>,
    thresholds: &[f64],
) -> Result<String> {
    let flat = |values: ArrayView2<bool>| values.iter().copied().collect::<Vec<_>>();
    let called = classes_at(probabilities, thresholds);
    let report = multi_label_report(&flat(truth), &flat(called.view()), classes.len())?;
    let wide = classes.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    let mut words = format!("  {:wide$}  rows  threshold  precision  recall     F1  (%)\n", "class");
    for (class, scores) in report.per_class.iter().enumerate() {
        writeln!(
            words,
            "  {:wide$}  {:4}  {:9.2}  {:9.1}  {:6.1}  {:5.1}",
            classes[class],
            report.support[class],
            thresholds[class],
            100.0 * scores.precision,
            100.0 * scores.recall,
            100.0 * scores.f1
        )?;
    }
    let agreeing = Zip::from(truth).and(&called).fold(0usize, |sum, a, b| sum + usize::from(a == b));
    write!(
        words,
        "  macro F1 {:.1} %, micro F1 {:.1} %, Jaccard {:.1} %, sets exactly right {:.1} %, answers right {:.1} %",
        100.0 * report.macro_average.f1,
        100.0 * report.micro_average.f1,
        100.0 * report.jaccard,
        100.0 * report.exact,
        100.0 * agreeing as f64 / truth.len() as f64
    )?;
    Ok(words)
}
