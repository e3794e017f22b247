//! The curves of the report: the pre-training loss, and recall and precision against the threshold.

use super::axes::{BOTTOM, Key, Panel, RIGHT, Range, TOP, drawable, drawing, heading, legend_row, short};
use super::drawing::{Anchor, Drawing, HEIGHT, Ink, Lettering, Pen, text};
use super::table::{percent, three_digits};
use super::{LossPoint, ScanPoint, Table4Report, Table4Row, ThresholdScan};

/// Recall and precision, and the two contaminations.
const RECALL: Pen = Pen::bold(Ink::Blue);
const PRECISION: Pen = Pen::bold(Ink::Vermilion);
const COMPLEX: Pen = Pen::thin(Ink::Sky, &[5.0, 3.0]);
const ORDINARY: Pen = Pen::thin(Ink::Grey, &[2.0, 3.0]);
/// The chosen threshold.
pub(super) const CHOSEN: Pen = Pen { ink: Ink::Text, width: 1.2, dash: &[3.0, 3.0] };
const CHANCE: Pen = Pen { ink: Ink::Grey, width: 1.2, dash: &[6.0, 4.0] };
const RATE: Pen = Pen::thin(Ink::Green, &[]);

/// Most marks along a curve; longer runs are averaged in equal pieces.
const MOST_PIECES: usize = 160;

/// The pre-training loss with the learning rate under it; `None` without a drawable point.
///
/// Runs of more than 160 points are cut into pieces; the line is their mean, the band reaches from the smallest to
/// the largest value.
pub fn loss_figure(report: &Table4Report) -> Option<Drawing> {
    let points: Vec<LossPoint> =
        report.losses.iter().copied().filter(|p| drawable(p.epoch) && drawable(p.loss)).collect();
    let last = points.last()?;
    let dropped = report.losses.len() - points.len();
    let pieces: Vec<&[LossPoint]> = points.chunks(points.len().div_ceil(MOST_PIECES)).collect();
    let has_rate = points.iter().any(|p| drawable(p.lr) && p.lr != 0.0);
    let chance = report.chance_loss.filter(|chance| drawable(*chance));

    let epochs = Range::around(points.iter().map(|p| p.epoch))?;
    let losses = Range::around(points.iter().map(|p| p.loss).chain(chance))?.widened(0.04);
    let bottom = if has_rate { 208.0 } else { BOTTOM };
    let panel = Panel { top: TOP, bottom, x: epochs, y: losses };
    let mut body = heading("Pre-training loss", &format!("last {}", three_digits(last.loss)));
    body.extend(panel.frame("NT-Xent / nats", if has_rate { None } else { Some("epoch") }, 5));
    if let Some(chance) = chance {
        body.extend(panel.segment(CHANCE, (epochs.low, chance), (epochs.high, chance)));
    }
    let epoch_of = |piece: &[LossPoint]| mean(piece.iter().map(|p| p.epoch));
    if pieces.len() < points.len() {
        let highest = |piece: &[LossPoint]| piece.iter().map(|p| p.loss).fold(f64::MIN, f64::max);
        let lowest = |piece: &[LossPoint]| piece.iter().map(|p| p.loss).fold(f64::MAX, f64::min);
        let upper = pieces.iter().map(|piece| (epoch_of(piece), highest(piece)));
        let lower = pieces.iter().rev().map(|piece| (epoch_of(piece), lowest(piece)));
        body.push(panel.area(Ink::Blue, 0.18, upper.chain(lower)));
    }
    body.extend(panel.line(RECALL, pieces.iter().map(|piece| (epoch_of(piece), mean(piece.iter().map(|p| p.loss))))));
    let mut legend = vec![(Key::Line(RECALL), if pieces.len() < points.len() { "mean, band: range" } else { "loss" })];
    if chance.is_some() {
        legend.push((Key::Line(CHANCE), "chance, ln(2N \u{2212} 1)"));
    }
    body.extend(legend_row(&legend));
    if has_rate {
        let rates = || points.iter().map(|p| p.lr).filter(|lr| drawable(*lr));
        let rate =
            Panel { top: 232.0, bottom: BOTTOM, x: epochs, y: Range::around(rates().chain([0.0]))?.widened(0.04) };
        body.extend(rate.frame("learning rate", Some("epoch"), 2));
        body.extend(rate.line(RATE, pieces.iter().map(|piece| (epoch_of(piece), mean(piece.iter().map(|p| p.lr))))));
    }
    if dropped > 0 {
        body.push(text(
            RIGHT,
            HEIGHT - 6.0,
            Lettering::Quiet,
            Anchor::End,
            &format!("{dropped} values were not finite and are left out"),
        ));
    }
    Some(drawing(&format!("Pre-training loss, last value {}", three_digits(last.loss)), body))
}

/// Recall, precision and contamination against the threshold; `None` without a drawable point.
///
/// Filled marks show the row of this run, or where |R − P| is smallest if there is no row; hollow marks show the
/// paper's row.
pub fn scan_figure(report: &Table4Report, scan: &ThresholdScan) -> Option<Drawing> {
    let points: Vec<_> =
        scan.points.iter().filter(|p| drawable(p.threshold) && (drawable(p.recall) || drawable(p.precision))).collect();
    let row_of = |rows: &[Table4Row]| {
        let row = rows.iter().find(|row| row.features == scan.features && drawable(row.threshold));
        row.map(|row| (row.threshold, row.recall, row.precision))
    };
    let chosen = row_of(&report.rows).or_else(|| {
        let crossing = points.iter().min_by(|a, b| {
            let gap = |p: &ScanPoint| {
                if drawable(p.recall - p.precision) { (p.recall - p.precision).abs() } else { f64::MAX }
            };
            gap(a).total_cmp(&gap(b))
        });
        crossing.map(|p| (p.threshold, p.recall, p.precision))
    });
    let paper = row_of(&report.published);
    let marks = chosen.iter().chain(&paper).map(|mark| mark.0);
    let told_apart = told_apart(&scan.points)?;
    let thresholds = Range::around([told_apart.low, told_apart.high].into_iter().chain(marks))?.widened(0.02);
    let points: Vec<_> = points.into_iter().filter(|p| thresholds.holds(p.threshold)).collect();
    let panel = Panel { top: TOP, bottom: BOTTOM, x: thresholds, y: Range { low: 0.0, high: 100.0 } };

    let summary = chosen
        .map(|(t, r, p)| format!("t = {}   R {} %   P {} %", three_digits(t), percent(r), percent(p)))
        .unwrap_or_default();
    let mut body = heading(&short(&scan.features, 24), &summary);
    body.extend(panel.frame("%", Some("threshold on the anomaly score"), 5));
    let curve = |value: fn(&ScanPoint) -> f64| points.iter().map(move |p| (p.threshold, 100.0 * value(p)));
    body.extend(panel.line(COMPLEX, curve(|p| p.contamination_complex)));
    body.extend(panel.line(ORDINARY, curve(|p| p.contamination_ordinary)));
    body.extend(panel.line(RECALL, curve(|p| p.recall)));
    body.extend(panel.line(PRECISION, curve(|p| p.precision)));
    if let Some((threshold, recall, precision)) = chosen {
        body.extend(panel.segment(CHOSEN, (threshold, 0.0), (threshold, 100.0)));
        body.extend(panel.dot(Ink::Blue, (threshold, 100.0 * recall)));
        body.extend(panel.dot(Ink::Vermilion, (threshold, 100.0 * precision)));
    }
    let mut legend = vec![
        (Key::Line(RECALL), "R"),
        (Key::Line(PRECISION), "P"),
        (Key::Line(COMPLEX), "C complex"),
        (Key::Line(ORDINARY), "C ordinary"),
    ];
    if let Some((threshold, recall, precision)) = paper {
        body.extend(panel.ring(Ink::Blue, (threshold, 100.0 * recall)));
        body.extend(panel.ring(Ink::Vermilion, (threshold, 100.0 * precision)));
        legend.push((Key::Ring(Ink::Blue), "paper"));
    }
    body.extend(legend_row(&legend));
    Some(drawing(&format!("Recall and precision against the threshold, {}. {summary}", scan.features), body))
}

/// From the last threshold that selects every peculiar frame to the first that selects none: outside there is nothing to see. `None`
/// without a point.
pub(super) fn told_apart(points: &[ScanPoint]) -> Option<Range> {
    let drawn: Vec<&ScanPoint> = points.iter().filter(|p| drawable(p.threshold) && drawable(p.recall)).collect();
    let first = drawn.iter().rposition(|p| p.recall >= 1.0).unwrap_or(0);
    let last = drawn.iter().position(|p| p.recall <= 0.0).unwrap_or(drawn.len().saturating_sub(1));
    Range::around([drawn.get(first)?.threshold, drawn.get(last)?.threshold].into_iter())
}

/// Mean of the drawable values, NaN without any.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.filter(|v| drawable(*v)).fold((0.0, 0usize), |(sum, count), v| (sum + v, count + 1));
    if count == 0 { f64::NAN } else { sum / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::svg::{Style, svg};
    use crate::report::tests::example_report;

    fn drawn(drawing: Drawing) -> String {
        svg(&drawing, Style::Standalone)
    }

    fn assert_drawn(svg: &str) {
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }

    #[test]
    fn the_loss_survives_every_kind_of_input() {
        let point = |epoch: f64, loss: f64| LossPoint { epoch, loss, lr: 1e-3 };
        let with = |losses: Vec<LossPoint>| loss_figure(&Table4Report { losses, ..Table4Report::default() }).map(drawn);
        assert_eq!(with(vec![]), None);
        assert_eq!(with(vec![point(0.0, f64::NAN), point(f64::INFINITY, 1.0)]), None);
        let single = with(vec![point(1.0, 4.0)]).unwrap();
        assert_drawn(&single);
        assert!(single.contains("<circle class=\"f-blue\""), "{single}");
        assert_drawn(&with(vec![point(0.0, 1e300), point(0.0, -1e20), point(0.0, 1e20)]).unwrap());
        assert_drawn(&with(vec![point(1e-12, 0.0), point(2e-12, 0.0)]).unwrap());
        let long = with((0..10_000).map(|k| point(f64::from(k) / 100.0, f64::from(k % 7))).collect()).unwrap();
        assert_drawn(&long);
        assert!(long.contains("fill-opacity") && long.len() < 20_000, "{}", long.len());
        assert!(with(vec![point(0.0, 1.0), point(1.0, f64::NAN)]).unwrap().contains("1 values were not finite"));
    }

    #[test]
    fn the_scan_marks_the_row_of_this_run_and_the_papers() {
        let report = example_report();
        let svg = svg(&scan_figure(&report, &report.scans[1]).unwrap(), Style::Inline);
        assert_drawn(&svg);
        assert!(svg.contains("R 61.9 %"), "{svg}");
        assert_eq!(svg.matches("class=\"f-ground s-").count(), 3, "two marks and the legend: {svg}");
        assert!(!svg.contains("<style>"));
    }

    #[test]
    fn without_a_row_the_crossing_is_marked() {
        let point = |threshold: f64, recall: f64, precision: f64| ScanPoint {
            threshold,
            recall,
            precision,
            contamination_complex: 0.1,
            contamination_ordinary: f64::NAN,
        };
        let points = vec![point(0.4, 1.0, 0.1), point(0.5, 0.62, 0.6), point(0.6, 0.2, 0.9), point(0.7, 0.0, f64::NAN)];
        let scan = ThresholdScan { features: "top5".to_string(), points };
        let svg = drawn(scan_figure(&Table4Report::default(), &scan).unwrap());
        assert_drawn(&svg);
        assert!(svg.contains("t = 0.500") && svg.contains("R 62.0 %"), "{svg}");
    }

    #[test]
    fn a_scan_without_points_is_not_drawn() {
        let report = example_report();
        let scan = ThresholdScan { features: "top5".to_string(), points: vec![] };
        assert_eq!(scan_figure(&report, &scan), None);
    }
}
