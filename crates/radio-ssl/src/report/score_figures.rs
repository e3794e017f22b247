//! What the anomaly score does to the groups: after the paper's Fig. 12, left and right, and the score's distribution by group.

use super::axes::{BOTTOM, Key, LEFT, Panel, RIGHT, Range, TOP, drawable, drawing, heading, legend_row};
use super::curve::{CHOSEN, told_apart};
use super::drawing::{Anchor, Drawing, Ink, Lettering, Mark, Pen, text};
use super::table::three_digits;
use super::{FrameGroup, ScoredFrames, Table4Report, ThresholdScan};

const GROUPS: [FrameGroup; 4] =
    [FrameGroup::Peculiar, FrameGroup::Complex, FrameGroup::Ordinary, FrameGroup::Unlabelled];
/// Colours of the feature sets, in the order of Table 4.
const SETS: [Ink; 4] = [Ink::Blue, Ink::Vermilion, Ink::Green, Ink::Purple];
/// Steps of the threshold in the right panel, as in the scan of Table 4.
const STEPS: usize = 200;
/// Bins of a distribution.
const BINS: usize = 40;

/// Colour of a group in every figure.
pub(super) fn ink(group: FrameGroup) -> Ink {
    match group {
        FrameGroup::Peculiar => Ink::Orange,
        FrameGroup::Complex => Ink::Sky,
        FrameGroup::Ordinary => Ink::Grey,
        FrameGroup::Unlabelled => Ink::Slate,
    }
}

/// Recall and precision against the threshold for the feature sets of Table 4 (after the paper's Fig. 12, left); `None`
/// without a scan.
///
/// Filled marks are the rows of this run, hollow ones the paper's, both at their precision.
pub fn recall_precision_figure(report: &Table4Report) -> Option<Drawing> {
    let is_published = |scan: &&ThresholdScan| report.published.iter().any(|row| row.features == scan.features);
    let mut scans: Vec<&ThresholdScan> = report.scans.iter().filter(is_published).collect();
    if scans.is_empty() {
        scans = report.scans.iter().collect();
    }
    scans.truncate(SETS.len());
    let point_of = |rows: &[super::Table4Row], features: &str| {
        let row = rows.iter().find(|row| row.features == features)?;
        (drawable(row.threshold) && drawable(row.precision)).then_some((row.threshold, 100.0 * row.precision))
    };
    let papers = scans.iter().filter_map(|scan| point_of(&report.published, &scan.features)).map(|point| point.0);
    let ends = scans.iter().filter_map(|scan| told_apart(&scan.points)).flat_map(|range| [range.low, range.high]);
    let thresholds = Range::around(ends.chain(papers))?.widened(0.02);
    let panel = Panel { top: TOP, bottom: BOTTOM, x: thresholds, y: Range { low: 0.0, high: 100.0 } };

    let mut body = heading("Recall and precision", "R solid, P dashed");
    body.extend(panel.frame("%", Some("threshold on the anomaly score"), 5));
    let mut legend = Vec::new();
    let mut marks = Vec::new();
    for (scan, ink) in scans.iter().zip(SETS) {
        let (recall, precision) = (Pen { ink, width: 2.0, dash: &[] }, Pen { ink, width: 1.6, dash: &[5.0, 3.0] });
        let seen = || scan.points.iter().filter(|p| thresholds.holds(p.threshold));
        body.extend(panel.line(precision, seen().map(|p| (p.threshold, 100.0 * p.precision))));
        body.extend(panel.line(recall, seen().map(|p| (p.threshold, 100.0 * p.recall))));
        marks.extend(point_of(&report.published, &scan.features).and_then(|point| panel.ring(ink, point)));
        marks.extend(point_of(&report.rows, &scan.features).and_then(|point| panel.dot(ink, point)));
        legend.push((Key::Line(recall), scan.features.as_str()));
    }
    if marks.iter().any(|mark| matches!(mark, Mark::Circle { fill: Ink::Ground, .. })) {
        legend.push((Key::Ring(Ink::Edge), "paper"));
    }
    body.extend(marks);
    body.extend(legend_row(&legend));
    Some(drawing("Recall and precision of peculiar frames against the threshold, for each feature set", body))
}

/// Which frames lie above the threshold: shares of the groups among all selected frames, the unlabelled ones being a group of their own
/// (after the paper's Fig. 12, right); `None` without labelled frames.
pub fn selection_figure(scored: &ScoredFrames) -> Option<Drawing> {
    let frames: Vec<(f64, FrameGroup)> = scored.scores.iter().copied().filter(|frame| drawable(frame.0)).collect();
    let groups: Vec<FrameGroup> = GROUPS.into_iter().filter(|g| frames.iter().any(|frame| frame.1 == *g)).collect();
    if groups.iter().all(|group| *group == FrameGroup::Unlabelled) {
        return None;
    }
    let thresholds: Vec<f64> = (0..=STEPS).map(|k| k as f64 / STEPS as f64).collect();
    let selected = |threshold: f64, group: Option<FrameGroup>| {
        frames.iter().filter(|f| f.0 > threshold && group.is_none_or(|group| group == f.1)).count() as f64
    };
    let all: Vec<f64> = thresholds.iter().map(|threshold| selected(*threshold, None)).collect();
    // From the last threshold that selects everything to the first that selects nothing.
    let first = all.iter().rposition(|count| *count == all[0]).unwrap_or(0);
    let shown: Vec<usize> = (first..all.len()).filter(|k| all[*k] > 0.0).collect();
    let range = Range::around(shown.iter().map(|k| thresholds[*k]).chain(scored.threshold))?;
    let panel = Panel { top: TOP, bottom: BOTTOM, x: range, y: Range { low: 0.0, high: 100.0 } };

    let mut body = heading("What lies above the threshold", &scored.features);
    body.extend(panel.frame("% of all selected frames", Some("threshold on the anomaly score"), 5));
    let mut legend = Vec::new();
    for group in groups {
        let pen = match group {
            FrameGroup::Unlabelled => Pen { ink: ink(group), width: 1.6, dash: &[4.0, 3.0] },
            _ => Pen::bold(ink(group)),
        };
        let share = |k: usize| 100.0 * selected(thresholds[k], Some(group)) / all[k];
        body.extend(panel.line(pen, shown.iter().map(|k| (thresholds[*k], share(*k)))));
        legend.push((Key::Line(pen), group.name()));
    }
    body.extend(scored.threshold.and_then(|t| panel.segment(CHOSEN, (t, 0.0), (t, 100.0))));
    body.extend(legend_row(&legend));
    Some(drawing(&format!("Shares of the groups among the selected frames, {}", scored.features), body))
}

/// Distribution of the anomaly score in each group, one lane a group, each scaled to its own peak; `None` without a score.
pub fn distribution_figure(scored: &ScoredFrames) -> Option<Drawing> {
    let finite = scored.scores.iter().map(|frame| frame.0).filter(|score| drawable(*score));
    let x = Range::around(finite.chain(scored.threshold))?.widened(0.02);
    let of_group = |group: FrameGroup| -> Vec<f64> {
        let mut scores: Vec<f64> =
            scored.scores.iter().filter(|f| f.1 == group && drawable(f.0)).map(|f| f.0).collect();
        scores.sort_by(f64::total_cmp);
        scores
    };
    let groups: Vec<(FrameGroup, Vec<f64>)> =
        GROUPS.into_iter().map(|group| (group, of_group(group))).filter(|(_, scores)| !scores.is_empty()).collect();
    if groups.is_empty() {
        return None;
    }
    let result =
        scored.threshold.map_or(scored.features.clone(), |t| format!("{}   t = {}", scored.features, three_digits(t)));
    let mut body = heading("Anomaly score by group", &result);
    let top = 34.0;
    let gap = 8.0;
    let height = (BOTTOM - top + gap) / groups.len() as f64 - gap;
    for (lane, (group, scores)) in groups.iter().enumerate() {
        let lane_top = top + lane as f64 * (height + gap);
        let counts = histogram(scores, x);
        let peak = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
        let panel = Panel { top: lane_top, bottom: lane_top + height, x, y: Range { low: 0.0, high: 1.12 * peak } };
        let last = lane + 1 == groups.len();
        body.extend(panel.x_ticks(last));
        body.push(panel.area(ink(*group), 0.35, staircase(&counts, x)));
        body.extend(panel.line(Pen { ink: ink(*group), width: 1.6, dash: &[] }, staircase(&counts, x)));
        body.push(panel.edge());
        let median = scores[scores.len() / 2];
        body.extend(panel.segment(
            Pen { ink: ink(*group), width: 2.4, dash: &[] },
            (median, 0.0),
            (median, 1.12 * peak),
        ));
        body.extend(scored.threshold.and_then(|t| panel.segment(CHOSEN, (t, 0.0), (t, 1.12 * peak))));
        let at = if median - x.low > 0.5 * (x.high - x.low) {
            (LEFT + 8.0, Anchor::Start)
        } else {
            (RIGHT - 8.0, Anchor::End)
        };
        let words = format!("{} {}, median {}", scores.len(), group.name(), three_digits(median));
        body.push(text(at.0, lane_top + 17.0, Lettering::Halo, at.1, &words));
        if last {
            body.push(panel.x_label("anomaly score"));
        }
    }
    Some(drawing(&format!("Distribution of the anomaly score by group, {}", scored.features), body))
}

/// Numbers in each of [`BINS`] equal bins.
fn histogram(scores: &[f64], x: Range) -> Vec<usize> {
    let mut counts = vec![0; BINS];
    for score in scores {
        let bin = ((score - x.low) / (x.high - x.low) * BINS as f64) as usize;
        counts[bin.min(BINS - 1)] += 1;
    }
    counts
}

/// The outline of a histogram, from zero to zero.
fn staircase(counts: &[usize], x: Range) -> impl Iterator<Item = (f64, f64)> {
    let edge = move |bin: usize| x.low + (x.high - x.low) * bin as f64 / BINS as f64;
    let steps = counts.iter().enumerate().flat_map(move |(bin, count)| [(edge(bin), *count), (edge(bin + 1), *count)]);
    let points: Vec<(f64, f64)> = steps.map(|(x, count)| (x, count as f64)).collect();
    [(x.low, 0.0)].into_iter().chain(points).chain([(x.high, 0.0)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example_report;

    fn texts(drawing: &Drawing) -> Vec<String> {
        drawing
            .marks
            .iter()
            .filter_map(|m| if let Mark::Text { words, .. } = m { Some(words.clone()) } else { None })
            .collect()
    }

    #[test]
    fn all_published_sets_share_one_figure() {
        let mut report = example_report();
        let figure = recall_precision_figure(&report).unwrap();
        for name in ["top2", "top5", "top10", "top15", "paper"] {
            assert!(texts(&figure).iter().any(|words| words == name), "{name}");
        }
        let dots = figure.marks.iter().filter(|m| matches!(m, Mark::Circle { radius, .. } if *radius == 4.5)).count();
        assert_eq!(dots, 4);
        report.scans.clear();
        assert_eq!(recall_precision_figure(&report), None);
    }

    /// Four frames, one of each group, scores rising from ordinary to peculiar: at the top only the peculiar one is left.
    #[test]
    fn shares_are_of_all_selected_frames() {
        let scores = vec![
            (0.9, FrameGroup::Peculiar),
            (0.7, FrameGroup::Complex),
            (0.5, FrameGroup::Unlabelled),
            (0.3, FrameGroup::Ordinary),
        ];
        let scored = ScoredFrames { features: "top5".into(), threshold: Some(0.6), scores };
        let figure = selection_figure(&scored).unwrap();
        let curve = |ink: Ink| {
            let line = figure.marks.iter().find_map(|mark| match mark {
                Mark::Path { points, pen: Some(pen), .. } if pen.ink == ink && points.len() > 9 => Some(points.clone()),
                _ => None,
            });
            let line = line.unwrap();
            (line[0].1, line[line.len() - 1].1)
        };
        let height = |percent: f64| BOTTOM - percent / 100.0 * (BOTTOM - TOP);
        assert_eq!(curve(Ink::Orange), (height(25.0), height(100.0)));
        assert_eq!(curve(Ink::Grey), (height(25.0), height(0.0)));
        let unlabelled = ScoredFrames { scores: vec![(0.4, FrameGroup::Unlabelled); 3], ..scored };
        assert_eq!(selection_figure(&unlabelled), None);
        assert!(distribution_figure(&unlabelled).is_some());
    }

    #[test]
    fn every_group_has_its_lane_and_bins_count_every_score() {
        let x = Range { low: 0.0, high: 1.0 };
        assert_eq!(histogram(&[0.0, 0.012, 0.5, 1.0], x).iter().sum::<usize>(), 4);
        assert_eq!((histogram(&[0.0, 0.012], x)[0], histogram(&[1.0], x)[BINS - 1]), (2, 1));
        let figure = distribution_figure(example_report().scored.as_ref().unwrap()).unwrap();
        for group in GROUPS {
            assert!(texts(&figure).iter().any(|words| words.contains(group.name())), "{}", group.name());
        }
    }

    #[test]
    fn scores_that_are_no_numbers_are_left_out() {
        let scores =
            vec![(f64::NAN, FrameGroup::Peculiar), (0.5, FrameGroup::Complex), (f64::INFINITY, FrameGroup::Ordinary)];
        let scored = ScoredFrames { features: "top5".into(), threshold: Some(f64::NAN), scores };
        assert!(distribution_figure(&scored).is_some() && selection_figure(&scored).is_some());
        let nothing = ScoredFrames { scores: vec![(f64::NAN, FrameGroup::Peculiar)], ..scored };
        assert_eq!((distribution_figure(&nothing), selection_figure(&nothing)), (None, None));
        assert_eq!(distribution_figure(&ScoredFrames { scores: vec![], threshold: Some(0.5), ..nothing }), None);
    }
}
