//! What `classify eval` writes: every number of the comparison as JSON, and a table for the terminal.
use cls_morph::features::Extraction;
use cls_morph::probes::probe::Probe;
use cls_morph::probes::score::{ClassScore, Comparison, Resampling};
use radio_augment::Recipe;
use serde::{Deserialize, Serialize};

/// The whole result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    /// Version of radio-ssl.
    pub version: String,
    /// What was scored on.
    pub data: DataMarks,
    /// Number of folds; 1 for a published split.
    pub folds: usize,
    /// Seed of folds and draws.
    pub seed: u64,
    /// How intervals were drawn.
    pub resampling: Resampling,
    /// The encoder: file and network; absent without one.
    pub encoder: Option<EncoderMarks>,
    /// Every method.
    pub methods: Vec<MethodMarks>,
}

/// What was scored on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataMarks {
    /// The table.
    pub labels: String,
    /// Its column.
    pub label_column: String,
    /// Names and numbers of pictures of the classes.
    pub classes: Vec<(String, usize)>,
    /// Pictures in use.
    pub pictures: usize,
    /// Pictures that are predicted (all of them but for a published split).
    pub predicted: usize,
    /// Groups that are never torn.
    pub groups: usize,
    /// What a group is, in words.
    pub grouping: String,
    /// Pictures with a channel in which every pixel that counts has one value, and what became of it.
    pub flat: FlatMarks,
    /// Pictures that could not be used, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// Flat channels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlatMarks {
    /// Pictures with at least one.
    pub pictures: usize,
    /// What became of them.
    pub fallback: String,
}

/// The encoder that was scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderMarks {
    /// The file.
    pub file: String,
    /// What it is, in words.
    pub network: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The pre-processing in use.
    pub recipe: Recipe,
    /// How features were taken; turns and batch norm vary by method.
    pub extraction: Extraction,
}

/// One method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodMarks {
    /// What describes a picture.
    pub features: String,
    /// Numbers a picture.
    pub columns: usize,
    /// What predicts; absent for a trained network.
    pub probe: Option<Probe>,
    /// Its name.
    pub method: String,
    /// Share of the labels of each training part.
    pub label_fraction: f64,
    /// Accuracy and macro F1 with intervals.
    pub score: ClassScore,
    /// Accuracy of every fold.
    pub fold_accuracy: Vec<f64>,
    /// Expected calibration error of the out-of-fold probabilities, ten intervals of confidence.
    pub calibration_error: f64,
    /// The surest wrong predictions, surest first.
    pub sure_errors: Vec<SureError>,
    /// Mean accuracy over draws of labels and its error, where labels are drawn; the score is then of the first draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draws: Option<(f64, f64)>,
    /// This method minus ring features with logistic regression, on the same resamples and share of labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_rings: Option<Comparison>,
}

/// A picture that was called something else with a high probability: the network's error, or the label's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SureError {
    /// The picture, as named in the table.
    pub picture: String,
    /// Its label.
    pub label: String,
    /// What was predicted.
    pub predicted: String,
    /// Probability of what was predicted.
    pub probability: f64,
}

impl Marks {
    /// The table a reader wants first.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} pictures, {} classes, {} groups ({}), {} fold(s)\n",
            self.data.pictures,
            self.data.classes.len(),
            self.data.groups,
            self.data.grouping,
            self.folds
        );
        if self.data.flat.pictures > 0 {
            text += &format!("{} pictures with a flat channel: {}\n", self.data.flat.pictures, self.data.flat.fallback);
        }
        if !self.data.left_out.is_empty() {
            text += &format!("{} pictures left out (see the JSON)\n", self.data.left_out.len());
        }
        text += &format!(
            "\n{:<58} {:>9} {:>15} {:>9} {:>15}  over rings, accuracy\n",
            "features, method", "accuracy", "95 %", "macro F1", "95 %"
        );
        let percent = |value: f64| format!("{:.1}", 100.0 * value);
        for method in &self.methods {
            let score = &method.score;
            let range = |low: f64, high: f64| format!("{} to {}", percent(low), percent(high));
            let mut name = format!("{}, {}", method.features, method.method);
            if method.label_fraction < 1.0 {
                name += &format!(", {} % of labels", percent(method.label_fraction));
            }
            let accuracy = match method.draws {
                Some((mean, _)) => percent(mean),
                None => percent(score.accuracy),
            };
            let interval = match method.draws {
                Some((_, error)) => format!("error {}", percent(error)),
                None => range(score.accuracy_interval.low, score.accuracy_interval.high),
            };
            let macro_f1 = percent(score.macro_f1);
            let f1_interval = range(score.macro_f1_interval.low, score.macro_f1_interval.high);
            let over = method.over_rings.map_or(String::new(), |c| {
                let interval = c.accuracy_interval;
                format!("{:+.1} ({:+.1} to {:+.1})", 100.0 * c.accuracy, 100.0 * interval.low, 100.0 * interval.high)
            });
            text += &format!("{name:<58} {accuracy:>9} {interval:>15} {macro_f1:>9} {f1_interval:>15}  {over}\n");
        }
        text
    }
}
