//! What an experiment writes: every figure of its page as JSON.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::encoders::EncoderRecipe;
use super::held::FrameFacts;
use super::scoring::Judged;
use super::sets::{LabelledSet, Split};
use crate::intervals::Estimate;

/// A whole experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentResult {
    /// Its name.
    pub experiment: String,
    /// Version of radio-ssl.
    pub version: String,
    /// The command that makes it again.
    pub command: String,
    /// Whether it was a quick look, whose figures mean nothing.
    pub quick: bool,
    /// Seeds of networks.
    pub seeds: Vec<u64>,
    /// Draws of labels for each seed where not all labels are used.
    pub draws: u64,
    /// Resamples of an interval.
    pub resamples: usize,
    /// The encoders.
    pub encoders: Vec<EncoderRecipe>,
    /// The pools they were trained on.
    pub pools: BTreeMap<String, FrameFacts>,
    /// One block of rows for each set and split.
    pub blocks: Vec<Block>,
    /// What came out, in words.
    pub verdict: Vec<String>,
}

/// The rows of one split of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Heading.
    pub title: String,
    /// Set.
    pub set: String,
    /// Split.
    pub split: String,
    /// Names and numbers of the classes.
    pub classes: Vec<(String, usize)>,
    /// Pictures, and how many of them are predicted.
    pub pictures: (usize, usize),
    /// Pieces of sky.
    pub groups: usize,
    /// Test pictures of a published split that share a piece of sky with a training picture.
    pub shared: Option<usize>,
    /// What the recipe made of the pictures.
    pub facts: FrameFacts,
    /// Every method.
    pub rows: Vec<Row>,
    /// Paired differences.
    pub differences: Vec<Difference>,
    /// Figures of others for the same set.
    pub marks: Vec<Mark>,
}

/// One method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What describes a picture, or what was trained.
    pub name: String,
    /// What predicts.
    pub method: String,
    /// Share of the labels.
    pub fraction: f64,
    /// Numbers a picture.
    pub columns: usize,
    /// Accuracy, the mean of the runs.
    pub accuracy: Estimate,
    /// Macro F1, the mean of the runs.
    pub macro_f1: Estimate,
    /// Standard deviation of the accuracy over runs.
    pub spread: Option<f64>,
    /// Accuracy of every run: draws within seeds.
    pub of_runs: Vec<f64>,
    /// Learning rate of each fold, for trainings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<f64>,
    /// Units that hold the predictions.
    pub units: Vec<String>,
}

impl Row {
    /// `rings, logistic` and so on.
    pub fn words(&self) -> String {
        let mut words = format!("{}, {}", self.name, self.method);
        if self.fraction < 1.0 {
            words += &format!(", {} % of labels", 100.0 * self.fraction);
        }
        words
    }

    pub(super) fn new(name: String, method: &str, fraction: f64, columns: usize, judged: &Judged) -> Self {
        Self {
            name,
            method: method.to_owned(),
            fraction,
            columns,
            accuracy: judged.accuracy(),
            macro_f1: judged.macro_f1(),
            spread: judged.spread(),
            of_runs: judged.of_runs.clone(),
            rates: Vec::new(),
            units: Vec::new(),
        }
    }
}

/// One method minus another, on the same resamples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The first.
    pub first: String,
    /// The second.
    pub second: String,
    /// Share of the labels.
    pub fraction: f64,
    /// Of the accuracy.
    pub accuracy: Estimate,
    /// Of the macro F1.
    pub macro_f1: Estimate,
}

/// A figure of others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Whose, of what.
    pub name: String,
    /// Accuracy, as printed.
    pub accuracy: Option<f64>,
    /// Macro F1, as printed.
    pub macro_f1: Option<f64>,
    /// Share of the labels.
    pub fraction: f64,
}

impl Block {
    /// `mirabest, folds`.
    pub fn short_title(&self) -> String {
        format!("{}, {}", self.set, self.split)
    }

    pub(super) fn new(set: &LabelledSet, split: &Split) -> Self {
        let count = |class: usize| set.labels.iter().filter(|&&label| label == class).count();
        let groups: std::collections::BTreeSet<usize> = set.groups.iter().copied().collect();
        let split_words = match split.name {
            "official" => "published test split".to_owned(),
            "cv" => "published cross-validation test".to_owned(),
            _ => format!("{} folds of whole pieces of sky", split.folds.len()),
        };
        Self {
            title: format!("{}: {split_words}", set.name.words()),
            set: set.name.name().into(),
            split: split.name.into(),
            classes: set.classes.iter().enumerate().map(|(class, name)| (name.clone(), count(class))).collect(),
            pictures: (set.labels.len(), split.folds.predicted().len()),
            groups: groups.len(),
            shared: set.shared.iter().find(|(name, _)| *name == split.name).map(|(_, shared)| *shared),
            facts: set.facts.clone(),
            rows: Vec::new(),
            differences: Vec::new(),
            marks: marks(set, split),
        }
    }
}

/// Figures of others: the same experiments in PyTorch and scikit-learn on the same pictures, and published ones.
fn marks(set: &LabelledSet, split: &Split) -> Vec<Mark> {
    let mark = |name: &str, fraction: f64, accuracy: f64, macro_f1: f64| Mark {
        name: name.to_owned(),
        accuracy: (accuracy > 0.0).then_some(accuracy / 100.0),
        macro_f1: (macro_f1 > 0.0).then_some(macro_f1 / 100.0),
        fraction,
    };
    match (set.name.name(), split.name) {
        ("mirabest", _) => vec![
            mark("PyTorch: SimCLR probe, mixed pool", 1.0, 77.0, 77.0),
            mark("PyTorch: SimCLR probe, MiraBest pool", 1.0, 82.6, 0.0),
            mark("scikit-learn: ring features, kNN", 1.0, 88.0, 87.9),
            mark("PyTorch: supervised from scratch", 1.0, 89.2, 89.1),
            mark("PyTorch: fine-tuned SimCLR", 1.0, 88.3, 0.0),
            mark("scikit-learn: ring features, logistic", 0.1, 76.6, 0.0),
            mark("PyTorch: supervised from scratch", 0.1, 72.5, 72.4),
            mark("PyTorch: fine-tuned SimCLR", 0.1, 75.2, 75.2),
            mark("published: SimCLR, frozen", 1.0, 91.0, 0.0),
            mark("published: BYOL, frozen", 1.0, 89.6, 0.0),
            mark("published: fine-tuned, lowest of 95 to 98", 1.0, 95.0, 0.0),
        ],
        ("first-frg", "official") => vec![
            mark("PyTorch: SimCLR probe, mixed pool", 1.0, 71.5, 71.3),
            mark("scikit-learn: ring features, logistic", 1.0, 75.5, 75.5),
            mark("PyTorch: supervised from scratch, 12 epochs", 1.0, 73.0, 73.0),
        ],
        ("first-frg", "cv") => vec![
            mark("PyTorch: SimCLR probe, mixed pool", 1.0, 74.9, 74.1),
            mark("scikit-learn: ring features, logistic", 1.0, 75.5, 74.8),
        ],
        ("rgz", _) => vec![
            mark("PyTorch: SimCLR probe, mixed pool", 1.0, 71.1, 56.8),
            mark("scikit-learn: ring features, logistic", 1.0, 76.4, 65.7),
        ],
        _ => Vec::new(),
    }
}
