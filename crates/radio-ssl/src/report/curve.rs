//! The curves of the report as SVG: the pre-training loss, and recall and precision against the threshold.

use super::axes::{HEIGHT, Panel, RIGHT, Range, Style, TOP, drawable, figure, heading, legend_row, short, text};
use super::table::{percent, three_digits};
use super::{LossPoint, ScanPoint, Table4Report, Table4Row, ThresholdScan};

/// Most marks along a curve; longer runs are averaged in equal pieces.
const MOST_PIECES: usize = 160;

/// The pre-training loss with the learning rate under it; `None` without a drawable point.
///
/// Runs of more than 160 points are cut into pieces; the line is their mean, the band reaches from the smallest to
/// the largest value.
pub fn loss_svg(report: &Table4Report, style: Style) -> Option<String> {
    let points: Vec<LossPoint> =
        report.losses.iter().copied().filter(|p| drawable(p.epoch) && drawable(p.loss)).collect();
    let last = points.last()?;
    let dropped = report.losses.len() - points.len();
    let pieces: Vec<&[LossPoint]> = points.chunks(points.len().div_ceil(MOST_PIECES)).collect();
    let has_rate = points.iter().any(|p| drawable(p.lr) && p.lr != 0.0);
    let chance = report.chance_loss.filter(|chance| drawable(*chance));

    let epochs = Range::around(points.iter().map(|p| p.epoch))?;
    let losses = Range::around(points.iter().map(|p| p.loss).chain(chance))?.widened(0.04);
    let bottom = if has_rate { 208.0 } else { 284.0 };
    let panel = Panel { top: TOP, bottom, x: epochs, y: losses };
    let mut body = heading("Pre-training loss", &format!("last {}", three_digits(last.loss)));
    body.push_str(&panel.frame("NT-Xent / nats", if has_rate { None } else { Some("epoch") }, 5));
    if let Some(chance) = chance {
        body.push_str(&panel.segment("chance", (epochs.low, chance), (epochs.high, chance)));
    }
    let epoch_of = |piece: &[LossPoint]| mean(piece.iter().map(|p| p.epoch));
    if pieces.len() < points.len() {
        let highest = |piece: &[LossPoint]| piece.iter().map(|p| p.loss).fold(f64::MIN, f64::max);
        let lowest = |piece: &[LossPoint]| piece.iter().map(|p| p.loss).fold(f64::MAX, f64::min);
        let upper = pieces.iter().map(|piece| (epoch_of(piece), highest(piece)));
        let lower = pieces.iter().rev().map(|piece| (epoch_of(piece), lowest(piece)));
        body.push_str(&panel.area("band", upper.chain(lower)));
    }
    body.push_str(
        &panel.line("line loss", pieces.iter().map(|piece| (epoch_of(piece), mean(piece.iter().map(|p| p.loss))))),
    );
    let mut legend = vec![("line loss", if pieces.len() < points.len() { "mean, band: range" } else { "loss" })];
    if chance.is_some() {
        legend.push(("chance", "chance, ln(2N \u{2212} 1)"));
    }
    body.push_str(&legend_row(&legend));
    if has_rate {
        let rates = || points.iter().map(|p| p.lr).filter(|lr| drawable(*lr));
        let rate =
            Panel { top: 232.0, bottom: 284.0, x: epochs, y: Range::around(rates().chain([0.0]))?.widened(0.04) };
        body.push_str(&rate.frame("learning rate", Some("epoch"), 2));
        body.push_str(
            &rate
                .line("line thin rate", pieces.iter().map(|piece| (epoch_of(piece), mean(piece.iter().map(|p| p.lr))))),
        );
    }
    if dropped > 0 {
        body.push_str(&text(
            RIGHT,
            HEIGHT - 6.0,
            "quiet",
            "end",
            &format!("{dropped} values were not finite and are left out"),
        ));
    }
    Some(figure(&format!("Pre-training loss, last value {}", three_digits(last.loss)), &body, style))
}

/// Recall, precision and contamination against the threshold; `None` without a drawable point.
///
/// Filled marks show the row of this run, or where |R − P| is smallest if there is no row; hollow marks show the
/// paper's row.
pub fn scan_svg(report: &Table4Report, scan: &ThresholdScan, style: Style) -> Option<String> {
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
    let thresholds = Range::around(
        points
            .iter()
            .map(|p| p.threshold)
            .chain(if points.is_empty() { None } else { Some(marks) }.into_iter().flatten()),
    )?;
    let panel = Panel { top: TOP, bottom: 284.0, x: thresholds, y: Range { low: 0.0, high: 100.0 } };

    let summary = chosen
        .map(|(t, r, p)| format!("t = {}   R {} %   P {} %", three_digits(t), percent(r), percent(p)))
        .unwrap_or_default();
    let mut body = heading(&short(&scan.features, 24), &summary);
    body.push_str(&panel.frame("%", Some("threshold on the anomaly score"), 5));
    let curve = |value: fn(&ScanPoint) -> f64| points.iter().map(move |p| (p.threshold, 100.0 * value(p)));
    body.push_str(&panel.line("line thin complex", curve(|p| p.contamination_complex)));
    body.push_str(&panel.line("line thin ordinary", curve(|p| p.contamination_ordinary)));
    body.push_str(&panel.line("line recall", curve(|p| p.recall)));
    body.push_str(&panel.line("line precision", curve(|p| p.precision)));
    if let Some((threshold, recall, precision)) = chosen {
        body.push_str(&panel.segment("chosen", (threshold, 0.0), (threshold, 100.0)));
        body.push_str(&panel.dot("recall", 4.5, (threshold, 100.0 * recall)));
        body.push_str(&panel.dot("precision", 4.5, (threshold, 100.0 * precision)));
    }
    let mut legend = vec![
        ("line recall", "R"),
        ("line precision", "P"),
        ("line thin complex", "C complex"),
        ("line thin ordinary", "C ordinary"),
    ];
    if let Some((threshold, recall, precision)) = paper {
        body.push_str(&panel.dot("paper recall", 4.0, (threshold, 100.0 * recall)));
        body.push_str(&panel.dot("paper precision", 4.0, (threshold, 100.0 * precision)));
        legend.push(("paper recall", "paper"));
    }
    body.push_str(&legend_row(&legend));
    Some(figure(&format!("Recall and precision against the threshold, {}. {summary}", scan.features), &body, style))
}

/// Mean of the drawable values, NaN without any.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.filter(|v| drawable(*v)).fold((0.0, 0usize), |(sum, count), v| (sum + v, count + 1));
    if count == 0 { f64::NAN } else { sum / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example_report;

    fn assert_drawn(svg: &str) {
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }

    #[test]
    fn the_loss_survives_every_kind_of_input() {
        let point = |epoch: f64, loss: f64| LossPoint { epoch, loss, lr: 1e-3 };
        let with =
            |losses: Vec<LossPoint>| loss_svg(&Table4Report { losses, ..Table4Report::default() }, Style::Standalone);
        assert_eq!(with(vec![]), None);
        assert_eq!(with(vec![point(0.0, f64::NAN), point(f64::INFINITY, 1.0)]), None);
        let single = with(vec![point(1.0, 4.0)]).unwrap();
        assert_drawn(&single);
        assert!(single.contains("<circle class=\"loss\""), "{single}");
        assert_drawn(&with(vec![point(0.0, 1e300), point(0.0, -1e20), point(0.0, 1e20)]).unwrap());
        assert_drawn(&with(vec![point(1e-12, 0.0), point(2e-12, 0.0)]).unwrap());
        let long = with((0..10_000).map(|k| point(f64::from(k) / 100.0, f64::from(k % 7))).collect()).unwrap();
        assert_drawn(&long);
        assert!(long.contains("band") && long.len() < 20_000, "{}", long.len());
        assert!(with(vec![point(0.0, 1.0), point(1.0, f64::NAN)]).unwrap().contains("1 values were not finite"));
    }

    #[test]
    fn the_scan_marks_the_row_of_this_run_and_the_papers() {
        let report = example_report();
        let svg = scan_svg(&report, &report.scans[1], Style::Inline).unwrap();
        assert_drawn(&svg);
        assert!(svg.contains("R 61.9 %"), "{svg}");
        assert_eq!(svg.matches("class=\"paper ").count(), 3, "two marks and the legend: {svg}");
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
        let svg = scan_svg(&Table4Report::default(), &scan, Style::Standalone).unwrap();
        assert_drawn(&svg);
        assert!(svg.contains("t = 0.500") && svg.contains("R 62.0 %"), "{svg}");
    }

    #[test]
    fn a_scan_without_points_is_not_drawn() {
        let report = example_report();
        let scan = ThresholdScan { features: "top5".to_string(), points: vec![] };
        assert_eq!(scan_svg(&report, &scan, Style::Inline), None);
    }
}
