//! How good a ranking is: the positives it brings to the head of the list, beside chance and beside rival scores.
//!
//! Intervals are percentile bootstraps over groups of rows; differences between two scores are paired, both seeing the same
//! resamples. What ties is counted at its mean over all orders, so that no result depends on the order of rows.
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use metrics::bootstrap::{Interval, group_members, paired_difference, percentile_interval};
use metrics::curves::{average_precision, precision_recall_curve, roc_auc};
use radio_io::{Table, groups_within};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::name_join::{row_names, rows_by_name};
use crate::run_config::sha256_of;

/// Share of the resamples inside an interval.
const CONFIDENCE: f64 = 0.95;
/// Lengths of the head of the list.
const HEADS: [usize; 2] = [50, 100];

/// Options of `anomalies eval`.
#[derive(Debug, Clone, clap::Args)]
pub struct EvalOptions {
    /// Table with the scores: CSV, VOTable, FITS or Parquet; higher is stranger.
    #[arg(long, value_name = "FILE")]
    pub scores: PathBuf,
    /// Column of the scores.
    #[arg(long, value_name = "C", default_value = "score")]
    pub score_column: String,
    /// Table with the labels; joined by name. It may be the same file.
    #[arg(long, value_name = "FILE")]
    pub labels: PathBuf,
    /// Column of the labels; rows without one are left out.
    #[arg(long, value_name = "C", default_value = "group")]
    pub label_column: String,
    /// Labels that a good ranking brings to the head; all others are negative.
    #[arg(long, value_name = "V1,V2", value_delimiter = ',', default_value = "peculiar")]
    pub positive: Vec<String>,
    /// Column of names in both tables [default: the first of id, frame, file, name].
    #[arg(long, value_name = "C")]
    pub id_column: Option<String>,
    /// Columns of the table of labels as rival scores, higher being stranger; `-C` turns one around.
    #[arg(long, value_name = "C1,C2", value_delimiter = ',', allow_hyphen_values = true)]
    pub rivals: Vec<String>,
    /// Column of the table of labels whose values are groups that are drawn together [default: every row on its own].
    #[arg(long, value_name = "C", conflicts_with = "group_arcsec")]
    pub group_column: Option<String>,
    /// Rows within this angle (columns ra and dec of the labels, degrees) are one group, arc seconds.
    #[arg(long, value_name = "ARCSEC")]
    pub group_arcsec: Option<f64>,
    /// Resamples of an interval.
    #[arg(long, default_value_t = 1000)]
    pub resamples: usize,
    /// Seed of the resamples.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The result, JSON.
    #[arg(long, value_name = "JSON")]
    pub out: PathBuf,
}

/// The whole result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankingMarks {
    /// Version of radio-ssl.
    pub version: String,
    /// SHA-256 of the table of scores.
    pub scores_sha256: String,
    /// SHA-256 of the table of labels.
    pub labels_sha256: String,
    /// Column of the labels.
    pub label_column: String,
    /// Labels that count as positive.
    pub positive: Vec<String>,
    /// Rows with a label and a score.
    pub rows: usize,
    /// Positive ones among them.
    pub positives: usize,
    /// Groups that are drawn together.
    pub groups: usize,
    /// Rows of the labels that have no label.
    pub without_label: usize,
    /// Labelled rows without a score, or that the table of scores does not name.
    pub without_score: usize,
    /// Average precision of a random order: the share of positives.
    pub chance: f64,
    /// Resamples asked for.
    pub resamples: usize,
    /// Seed of the resamples.
    pub seed: u64,
    /// The ranking.
    pub score: ScoreMarks,
    /// Its rivals, in the order asked for.
    pub rivals: Vec<RivalMarks>,
}

/// One score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreMarks {
    /// Its column.
    pub name: String,
    /// Average precision.
    pub average_precision: f64,
    /// Its interval.
    pub interval: Interval,
    /// Area under the ROC curve.
    pub roc_auc: f64,
    /// Where recall and precision are closest.
    pub crossing: CrossingMarks,
    /// The head of the list.
    pub first: Vec<HeadMarks>,
}

/// Recall and precision at one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossingMarks {
    /// Scores of this and above are selected.
    pub threshold: f64,
    /// Positives selected of all positives.
    pub recall: f64,
    /// Positives selected of all selected.
    pub precision: f64,
    /// Rows selected.
    pub selected: usize,
}

/// The head of the list.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadMarks {
    /// Rows looked at.
    pub rows: usize,
    /// Positives among them; with ties the mean over all orders.
    pub positives: f64,
    /// Their share.
    pub precision: f64,
}

/// A rival, and the ranking against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RivalMarks {
    /// The rival's own marks.
    pub marks: ScoreMarks,
    /// Average precision of the ranking minus the rival's.
    pub difference: f64,
    /// Its interval, both on the same resamples.
    pub interval: Interval,
}

/// Scores the ranking, writes the result and prints it.
///
/// # Errors
/// As [`evaluate`]; if the result cannot be written.
pub fn eval(options: &EvalOptions) -> Result<()> {
    let marks = evaluate(options)?;
    let json = serde_json::to_string_pretty(&marks)?;
    atomic_file::write_atomically(&options.out, |file| std::io::Write::write_all(file, json.as_bytes()))
        .with_context(|| format!("cannot write {}", options.out.display()))?;
    print!("{}", marks.table());
    println!("{}", options.out.display());
    Ok(())
}

/// Everything that [`eval`] writes.
///
/// # Errors
/// If a table or a column cannot be used, no row has both label and score, or all rows are positive or none is.
pub fn evaluate(options: &EvalOptions) -> Result<RankingMarks> {
    let id_column = options.id_column.as_deref();
    let labels = Table::read(&options.labels)?;
    let scores = Table::read(&options.scores)?;
    let (label, names) = (labels.column(&options.label_column)?, row_names(&labels, id_column)?);
    rows_by_name(&labels, id_column)?; // each row once
    let score_of = rows_by_name(&scores, id_column)?;
    let score = scores.numbers(&options.score_column)?;

    // Rows of the table of labels, the truth and the score of each.
    let (mut rows, mut truth, mut ranked) = (Vec::new(), Vec::new(), Vec::new());
    let (mut without_label, mut without_score) = (0, 0);
    for (row, name) in names.iter().enumerate() {
        let cell = label.cell(row);
        if cell.is_empty() {
            without_label += 1;
            continue;
        }
        match score_of.get(name).map(|&place| score[place]).filter(|score| score.is_finite()) {
            Some(score) => {
                rows.push(row);
                truth.push(options.positive.iter().any(|positive| same_label(positive, &cell)));
                ranked.push(score);
            }
            None => without_score += 1,
        }
    }
    ensure!(!rows.is_empty(), "{}: no row has both a label and a score", options.labels.display());
    let positives = truth.iter().filter(|&&positive| positive).count();
    ensure!(
        positives > 0 && positives < rows.len(),
        "column `{}`: {positives} of {} rows are {}; expected some, and some others",
        options.label_column,
        rows.len(),
        options.positive.join(" or ")
    );

    let groups = groups(&labels, &rows, options)?;
    let members = group_members(&groups);
    let judge = Judge { truth: &truth, members: &members, options };
    let mut rivals = Vec::new();
    for name in &options.rivals {
        let (column, sign) = name.strip_prefix('-').map_or((name.as_str(), 1.0), |column| (column, -1.0));
        let all = labels.numbers(column)?;
        let values: Vec<f64> = rows.iter().map(|&row| sign * all[row]).collect();
        let missing = values.iter().filter(|value| !value.is_finite()).count();
        ensure!(missing == 0, "--rivals {name}: no number in {missing} of {} rows", rows.len());
        rivals.push(judge.rival(name, &values, &ranked)?);
    }
    Ok(RankingMarks {
        version: env!("CARGO_PKG_VERSION").into(),
        scores_sha256: sha256_of(&options.scores)?,
        labels_sha256: sha256_of(&options.labels)?,
        label_column: options.label_column.clone(),
        positive: options.positive.clone(),
        rows: rows.len(),
        positives,
        groups: members.len(),
        without_label,
        without_score,
        chance: positives as f64 / rows.len() as f64,
        resamples: options.resamples,
        seed: options.seed,
        score: judge.marks(&options.score_column, &ranked)?,
        rivals,
    })
}

/// Whether a label is the one asked for: as text, or as a number (`4` and `4.0`).
fn same_label(wanted: &str, found: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    wanted == found || number(wanted).is_some_and(|wanted| number(found) == Some(wanted))
}

/// Group of every row.
fn groups(labels: &Table, rows: &[usize], options: &EvalOptions) -> Result<Vec<usize>> {
    if let Some(name) = &options.group_column {
        let column = labels.column(name)?;
        let mut known = std::collections::HashMap::new();
        return Ok(rows
            .iter()
            .map(|&row| {
                let next = known.len();
                *known.entry(column.cell(row)).or_insert(next)
            })
            .collect());
    }
    match options.group_arcsec {
        Some(arcsec) => {
            ensure!(arcsec.is_finite() && arcsec >= 0.0, "--group-arcsec {arcsec}: expected an angle of 0 or more");
            let (ra, dec) = (labels.numbers("ra")?, labels.numbers("dec")?);
            Ok(groups_within(&rows.iter().map(|&row| (ra[row], dec[row])).collect::<Vec<_>>(), arcsec))
        }
        None => Ok((0..rows.len()).collect()),
    }
}

/// The truth, and how resamples are drawn.
struct Judge<'a> {
    truth: &'a [bool],
    members: &'a [Vec<usize>],
    options: &'a EvalOptions,
}

impl Judge<'_> {
    /// The same resamples for every score.
    fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.options.seed)
    }

    /// Average precision of a score on some rows; `None` without a positive one.
    fn average_precision(&self, scores: &[f64], rows: &[usize]) -> Option<f64> {
        let truth: Vec<bool> = rows.iter().map(|&row| self.truth[row]).collect();
        let scores: Vec<f64> = rows.iter().map(|&row| scores[row]).collect();
        average_precision(&truth, &scores).ok()
    }

    fn marks(&self, name: &str, scores: &[f64]) -> Result<ScoreMarks> {
        let resamples = self.options.resamples;
        let statistic = |rows: &[usize]| self.average_precision(scores, rows);
        Ok(ScoreMarks {
            name: name.to_owned(),
            average_precision: average_precision(self.truth, scores)?,
            interval: percentile_interval(self.members, resamples, CONFIDENCE, &mut self.rng(), statistic)?,
            roc_auc: roc_auc(self.truth, scores)?,
            crossing: crossing(self.truth, scores)?,
            first: HEADS.iter().map(|&rows| head(self.truth, scores, rows)).collect(),
        })
    }

    fn rival(&self, name: &str, rival: &[f64], ranked: &[f64]) -> Result<RivalMarks> {
        let marks = self.marks(name, rival)?;
        let interval = paired_difference(
            self.members,
            self.options.resamples,
            CONFIDENCE,
            &mut self.rng(),
            |rows| self.average_precision(ranked, rows),
            |rows| self.average_precision(rival, rows),
        )?;
        let difference = average_precision(self.truth, ranked)? - marks.average_precision;
        Ok(RivalMarks { marks, difference, interval })
    }
}

/// The threshold where recall and precision are closest; of equally close ones the one that selects fewest.
fn crossing(truth: &[bool], scores: &[f64]) -> Result<CrossingMarks> {
    let curve = precision_recall_curve(truth, scores)?;
    let apart = |place: usize| (curve.recall[place] - curve.precision[place]).abs();
    let found = (0..curve.thresholds.len())
        .filter(|&place| curve.recall[place] > 0.0)
        .rev()
        .reduce(|best, place| if apart(place) < apart(best) { place } else { best });
    let place = found.context("a score that selects a positive row")?;
    let threshold = curve.thresholds[place];
    let selected = scores.iter().filter(|&&score| score >= threshold).count();
    Ok(CrossingMarks { threshold, recall: curve.recall[place], precision: curve.precision[place], selected })
}

/// Positives among the `rows` highest scores (or all, if they are fewer); of a tie across the end its share.
fn head(truth: &[bool], scores: &[f64], rows: usize) -> HeadMarks {
    let rows = rows.min(scores.len());
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let (mut taken, mut positives) = (0, 0.0);
    for tie in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let room = tie.len().min(rows - taken);
        let hits = tie.iter().filter(|&&row| truth[row]).count();
        positives += hits as f64 * room as f64 / tie.len() as f64;
        taken += room;
    }
    HeadMarks { rows, positives, precision: positives / rows.max(1) as f64 }
}

impl RankingMarks {
    /// The table a reader wants first.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} rows, {} of them positive ({} {}), {} groups; left out: {} without a label, {} without a score\n\n",
            self.rows,
            self.positives,
            self.label_column,
            self.positive.join(" or "),
            self.groups,
            self.without_label,
            self.without_score
        );
        text += &format!(
            "{:<24} {:>7} {:>16} {:>7} {:>9} {:>10}  ranking minus this\n",
            "score", "AP", "95 %", "R = P", "first 50", "first 100"
        );
        let mut line = |marks: &ScoreMarks, over: String| {
            let interval = format!("{:.3} to {:.3}", marks.interval.low, marks.interval.high);
            let first = |place: usize| marks.first.get(place).map_or(f64::NAN, |head| head.positives);
            text += &format!(
                "{:<24} {:>7.3} {interval:>16} {:>7.3} {:>9.1} {:>10.1}  {over}\n",
                marks.name,
                marks.average_precision,
                (marks.crossing.recall + marks.crossing.precision) / 2.0,
                first(0),
                first(1)
            );
        };
        line(&self.score, String::new());
        for rival in &self.rivals {
            let Interval { low, high, .. } = rival.interval;
            line(&rival.marks, format!("{:+.3} ({low:+.3} to {high:+.3})", rival.difference));
        }
        let [few, many] = HEADS.map(|rows| self.chance * rows.min(self.rows) as f64);
        text + &format!(
            "{:<24} {:>7.3} {:>16} {:>7.3} {few:>9.1} {many:>10.1}\n",
            "chance", self.chance, "", self.chance
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_at_their_mean() {
        // Three rows tie for the last two places of the head: two thirds of their one positive.
        let truth = [true, false, true, false, false];
        let scores = [9.0, 5.0, 5.0, 5.0, 1.0];
        let found = head(&truth, &scores, 3);
        assert!((found.positives - (1.0 + 2.0 / 3.0)).abs() < 1e-12, "{found:?}");
        assert_eq!(head(&truth, &scores, 50), HeadMarks { rows: 5, positives: 2.0, precision: 0.4 });
    }

    #[test]
    fn the_crossing_selects_as_many_as_are_positive() {
        let truth = [true, false, true, false, false, true];
        let scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];
        let found = crossing(&truth, &scores).unwrap();
        assert_eq!((found.selected, found.threshold), (3, 0.7));
        assert!((found.recall - 2.0 / 3.0).abs() < 1e-12 && found.recall == found.precision);
    }

    #[test]
    fn labels_are_compared_as_numbers_too() {
        assert!(same_label("4", "4.0") && same_label("odd", "odd"));
        assert!(!same_label("4", "5") && !same_label("odd", "Odd") && !same_label("4", "four"));
    }
}
