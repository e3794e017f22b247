//! The paper's Table 4: the printed rows, the counts behind them, and a check that our scan finds them again.
//!
//! With 428 peculiar frames each printed row has exactly one integer solution, so the counts are known although
//! the scores are not. From the counts we build a table of (score, group) pairs whose selection at the printed
//! threshold is the published one. The real scan then has to find that threshold and that row by itself:
//! the acceptance test of the whole metrics chain, without any survey data.

use serde::Serialize;

use crate::anomaly::{Crossing, FrameGroup, THRESHOLD_STEP, ThresholdRow, crossing, threshold_scan};
use crate::error::MetricsError;

/// Peculiar frames among the labelled frames of the paper's EMU pilot sample.
pub const PUBLISHED_PECULIAR: usize = 428;

/// F1 of the model behind the paper's feature ranking, as printed (75.3 %); which average it is, is not stated.
///
/// Source: Riggi et al. 2024, section 5.2; reference-facts E5.
pub const PUBLISHED_RANKING_F1: f64 = 0.753;

/// One row of Table 4 as printed: threshold, and percentages to one decimal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PublishedRow {
    /// Which features the forest saw: the best 2, 5, 10 or 15 of the ranking.
    pub features: &'static str,
    /// Number of these features.
    pub n_features: usize,
    /// Threshold on the anomaly score.
    pub threshold: f64,
    /// Recall of peculiar frames, %.
    pub recall_percent: f64,
    /// Precision for peculiar frames, %.
    pub precision_percent: f64,
    /// Precision when complex frames count as hits, %.
    pub precision_with_complex_percent: f64,
    /// Share of complex frames among the selected, %.
    pub contamination_complex_percent: f64,
    /// Share of ordinary frames among the selected, %.
    pub contamination_ordinary_percent: f64,
}

/// Table 4 of Riggi et al. 2024 (PASA 41 e085).
pub const PUBLISHED_TABLE4: [PublishedRow; 4] = [
    published_row("top2", 2, 0.700, [55.6, 59.8, 93.5, 33.7, 6.5]),
    published_row("top5", 5, 0.750, [61.2, 63.0, 93.0, 30.0, 7.0]),
    published_row("top10", 10, 0.725, [59.1, 58.7, 97.4, 38.7, 2.6]),
    published_row("top15", 15, 0.660, [57.7, 58.7, 95.5, 36.8, 4.5]),
];

const fn published_row(features: &'static str, n_features: usize, threshold: f64, percent: [f64; 5]) -> PublishedRow {
    PublishedRow {
        features,
        n_features,
        threshold,
        recall_percent: percent[0],
        precision_percent: percent[1],
        precision_with_complex_percent: percent[2],
        contamination_complex_percent: percent[3],
        contamination_ordinary_percent: percent[4],
    }
}

/// Selected frames behind one printed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PublishedCounts {
    /// Selected peculiar frames, out of [`PUBLISHED_PECULIAR`].
    pub peculiar: usize,
    /// Selected complex frames.
    pub complex: usize,
    /// Selected ordinary frames.
    pub ordinary: usize,
}

impl PublishedCounts {
    /// All selected labelled frames.
    pub fn selected(&self) -> usize {
        self.peculiar + self.complex + self.ordinary
    }
}

/// The counts behind [`PUBLISHED_TABLE4`], row by row (reference-facts G3).
pub fn published_counts() -> [PublishedCounts; 4] {
    [(238, 134, 26), (262, 125, 29), (253, 167, 11), (247, 155, 19)]
        .map(|(peculiar, complex, ordinary)| PublishedCounts { peculiar, complex, ordinary })
}

/// Scores and groups of made-up frames; see [`published_frames`].
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedFrames {
    /// Anomaly score per frame.
    pub scores: Vec<f64>,
    /// Group per frame; unlabelled frames are `None`.
    pub groups: Vec<Option<FrameGroup>>,
}

/// A survey whose selection above `threshold` has exactly `counts`, with |recall - precision| smallest there.
///
/// The selected frames are spread evenly, in a constant mixture, over 0.1 above the threshold: any higher threshold
/// loses about 20 of them per step, which drives precision above recall. Just below the threshold lie 100 more
/// frames, mostly ordinary, which drives recall above precision; further down the remaining peculiar frames (428 in
/// all) and the rest of 5,800 labelled frames. Every seventh frame has an unlabelled twin with the same score,
/// which a correct scan does not count.
pub fn published_frames(threshold: f64, counts: &PublishedCounts) -> PublishedFrames {
    let mut frames = PublishedFrames { scores: Vec::new(), groups: Vec::new() };
    frames.spread(threshold, threshold + 0.1, [counts.peculiar, counts.complex, counts.ordinary]);
    let left = PUBLISHED_PECULIAR.saturating_sub(counts.peculiar);
    let near = left.min(10);
    frames.spread(threshold - THRESHOLD_STEP, threshold, [near, 20, 70]);
    let rest = 5_800_usize.saturating_sub(frames.groups.len() + (left - near));
    frames.spread(threshold - 0.3, threshold - THRESHOLD_STEP, [left - near, rest / 10, rest - rest / 10]);
    for row in (0..frames.scores.len()).step_by(7) {
        frames.scores.push(frames.scores[row]);
        frames.groups.push(None);
    }
    frames
}

impl PublishedFrames {
    /// Place frames evenly in the open interval (low, high), the groups interleaved in proportion to their counts.
    fn spread(&mut self, low: f64, high: f64, counts: [usize; 3]) {
        let total: usize = counts.iter().sum();
        let groups = [FrameGroup::Peculiar, FrameGroup::Complex, FrameGroup::Ordinary];
        let mut placed = [0; 3];
        for i in 0..total {
            // The group that lags most behind its share of the first i + 1 places.
            let lag = |group: usize| counts[group] as i64 * (i as i64 + 1) - placed[group] as i64 * total as i64;
            let next =
                (0..3).filter(|&group| placed[group] < counts[group]).max_by_key(|&group| lag(group)).unwrap_or(0);
            placed[next] += 1;
            self.scores.push(low + (high - low) * (i as f64 + 0.5) / total as f64);
            self.groups.push(Some(groups[next]));
        }
    }
}

/// One printed number that our scan does not reproduce.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PublishedDifference {
    /// Column of Table 4.
    pub column: &'static str,
    /// As printed in the paper.
    pub printed: f64,
    /// As found, unrounded; `None` when nothing was selected.
    pub found: Option<f64>,
}

/// Outcome of one row of the check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PublishedCheck {
    /// The row as printed.
    pub printed: PublishedRow,
    /// The row our scan chose.
    pub found: ThresholdRow,
    /// Columns that differ in a printed digit; empty = reproduced.
    pub differences: Vec<PublishedDifference>,
}

/// Compare a row of our scan with a printed row: same threshold, and every percentage rounds to the printed decimal.
pub fn compare_with_published(printed: &PublishedRow, found: &ThresholdRow) -> Vec<PublishedDifference> {
    let percent = |fraction: Option<f64>| fraction.map(|fraction| 100.0 * fraction);
    let columns = [
        ("threshold", printed.threshold, Some(found.threshold), 1e-9),
        ("recall %", printed.recall_percent, percent(Some(found.recall)), 0.05),
        ("precision %", printed.precision_percent, percent(found.precision), 0.05),
        (
            "precision with complex %",
            printed.precision_with_complex_percent,
            percent(found.precision_with_complex),
            0.05,
        ),
        ("contamination complex %", printed.contamination_complex_percent, percent(found.contamination_complex), 0.05),
        (
            "contamination ordinary %",
            printed.contamination_ordinary_percent,
            percent(found.contamination_ordinary),
            0.05,
        ),
    ];
    columns
        .into_iter()
        // 1e-9: a value in the middle between two decimals may be printed either way.
        .filter(|(_, printed, found, tolerance)| found.is_none_or(|found| (found - printed).abs() > tolerance + 1e-9))
        .map(|(column, printed, found, _)| PublishedDifference { column, printed, found })
        .collect()
}

/// Build the frames for `counts` and let the real scan find threshold and row.
///
/// # Errors
/// As [`threshold_scan`] and [`crossing`], for counts that make no sense (no peculiar frame at all).
pub fn check_published_row(printed: &PublishedRow, counts: &PublishedCounts) -> Result<PublishedCheck, MetricsError> {
    let frames = published_frames(printed.threshold, counts);
    let scan = threshold_scan(&frames.scores, &frames.groups, THRESHOLD_STEP)?;
    let (Crossing::At(found) | Crossing::Never(found)) = crossing(&scan)?;
    Ok(PublishedCheck { printed: *printed, found, differences: compare_with_published(printed, &found) })
}

/// All four rows of Table 4 through the real scan.
///
/// # Errors
/// None for the published counts; the signature passes on what the scan may say.
pub fn check_published() -> Result<Vec<PublishedCheck>, MetricsError> {
    PUBLISHED_TABLE4
        .iter()
        .zip(published_counts())
        .map(|(printed, counts)| check_published_row(printed, &counts))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_rows_are_found_to_every_printed_digit() {
        let checks = check_published().unwrap();
        assert_eq!(checks.len(), 4);
        for (check, counts) in checks.iter().zip(published_counts()) {
            assert_eq!(check.differences, [], "{}", check.printed.features);
            let found = check.found;
            assert_eq!(found.threshold, check.printed.threshold);
            assert_eq!(
                (found.peculiar, found.complex, found.ordinary),
                (counts.peculiar, counts.complex, counts.ordinary)
            );
        }
        assert_eq!(published_counts().map(|counts| counts.selected()), [398, 416, 431, 421]);
    }

    #[test]
    fn the_minimum_is_unique_and_the_curves_cross() {
        for (printed, counts) in PUBLISHED_TABLE4.iter().zip(published_counts()) {
            let frames = published_frames(printed.threshold, &counts);
            assert_eq!(
                frames.groups.iter().filter(|group| **group == Some(FrameGroup::Peculiar)).count(),
                PUBLISHED_PECULIAR
            );
            let scan = threshold_scan(&frames.scores, &frames.groups, THRESHOLD_STEP).unwrap();
            assert!(crossing(&scan).unwrap().crosses());
            let distance = |row: &ThresholdRow| (row.recall - row.precision.unwrap()).abs();
            let at = scan.iter().find(|row| row.threshold == printed.threshold).unwrap();
            for row in scan.iter().filter(|row| row.peculiar > 0 && row.threshold != printed.threshold) {
                assert!(distance(row) > distance(at), "{}: {} is as good", printed.features, row.threshold);
            }
        }
    }

    #[test]
    fn one_frame_more_or_less_fails() {
        for (printed, counts) in PUBLISHED_TABLE4.iter().zip(published_counts()) {
            for change in [-1_isize, 1] {
                for field in 0..3 {
                    let mut wrong = counts;
                    let count = [&mut wrong.peculiar, &mut wrong.complex, &mut wrong.ordinary][field]
                        .checked_add_signed(change)
                        .unwrap();
                    *[&mut wrong.peculiar, &mut wrong.complex, &mut wrong.ordinary][field] = count;
                    let check = check_published_row(printed, &wrong).unwrap();
                    assert!(!check.differences.is_empty(), "{} accepts {wrong:?}", printed.features);
                }
            }
        }
    }

    #[test]
    fn a_shifted_threshold_fails() {
        let (printed, counts) = (PUBLISHED_TABLE4[0], published_counts()[0]);
        let frames = published_frames(printed.threshold + 0.005, &counts);
        let scan = threshold_scan(&frames.scores, &frames.groups, THRESHOLD_STEP).unwrap();
        let differences = compare_with_published(&printed, crossing(&scan).unwrap().row());
        assert_eq!(differences.iter().map(|difference| difference.column).collect::<Vec<_>>(), ["threshold"]);
    }
}
