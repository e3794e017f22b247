//! Figures of a comparison of methods: a score as bars with intervals, and against the labels.

use super::axes::{BOTTOM, LEFT, Panel, Range, drawable, drawing, heading, short};
use super::drawing::{Anchor, Drawing, Ink, Lettering, Pen, line, rectangle, text};

/// Colours of curves, rivals first.
const CURVES: [Ink; 6] = [Ink::Slate, Ink::Orange, Ink::Blue, Ink::Vermilion, Ink::Green, Ink::Purple];
/// Letters of a lane at most.
const LETTERS: usize = 52;

/// A method's score, or a difference of two.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it is.
    pub name: String,
    /// The score, 0 to 1.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Whether it is the hand-made rival.
    pub hand_made: bool,
}

/// A method's score with several shares or numbers of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelCurve {
    /// What it is.
    pub name: String,
    /// Labels in the unit of the axis, score from 0 to 1, lower and upper end, labels rising.
    pub points: Vec<(f64, f64, f64, f64)>,
}

/// One lane a method: its name, its interval as a line and its value as a dot. `score` names the number; with `zero` a line marks no
/// difference. `None` without a bar that can be drawn.
pub fn bars_figure(title: &str, result: &str, score: &str, zero: bool, bars: &[Bar]) -> Option<Drawing> {
    let is_drawn = |bar: &&Bar| [bar.value, bar.low, bar.high].into_iter().all(drawable);
    let bars: Vec<&Bar> = bars.iter().filter(is_drawn).collect();
    let ends = bars.iter().flat_map(|bar| [100.0 * bar.low, 100.0 * bar.high, 100.0 * bar.value]);
    let x = Range::around(ends.chain((zero && !bars.is_empty()).then_some(0.0)))?.widened(0.06);
    let panel = Panel { top: 34.0, bottom: BOTTOM, x, y: Range { low: 0.0, high: bars.len() as f64 } };
    let mut body = heading(title, result);
    body.extend(panel.x_ticks(true));
    body.push(panel.edge());
    body.push(panel.x_label(&format!("{score}, % (dot) and its 95 % interval (line)")));
    if zero {
        let pen = Pen { ink: Ink::Text, width: 1.2, dash: &[3.0, 3.0] };
        body.extend(panel.segment(pen, (0.0, panel.y.low), (0.0, panel.y.high)));
    }
    let height = (panel.bottom - panel.top) / bars.len() as f64;
    for (lane, bar) in bars.iter().enumerate() {
        let ink = if bar.hand_made { Ink::Vermilion } else { Ink::Blue };
        let top = panel.top + lane as f64 * height;
        let y = top + 0.82 * height;
        let at = |value: f64| panel.place((100.0 * value, 0.0)).map(|(x, _)| x);
        if let (Some(low), Some(middle), Some(high)) = (at(bar.low), at(bar.value), at(bar.high)) {
            body.push(line(vec![(low, y), (high, y)], Pen { ink, width: 2.2, dash: &[] }));
            body.push(rectangle((middle - 3.0, y - 3.5), (middle + 3.0, y + 3.5), Some((ink, 1.0)), None));
        }
        let words = format!("{:.1}  {}", 100.0 * bar.value, short(&bar.name, LETTERS));
        body.push(text(LEFT + 6.0, top + 0.52 * height, Lettering::Halo, Anchor::Start, &words));
    }
    Some(drawing(&format!("{title}: {score} of each method with its interval"), body))
}

/// What the axes of [`label_figure`] show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelAxes<'a> {
    /// What the curves are: `Accuracy`.
    pub score: &'a str,
    /// What it is drawn against: `share of the labels, %`.
    pub labels: &'a str,
}

/// A score against labels, on a logarithmic axis; `None` without a curve.
pub fn label_figure(axes: LabelAxes<'_>, result: &str, curves: &[LabelCurve]) -> Option<Drawing> {
    let curves = &curves[..curves.len().min(CURVES.len())];
    let all = || curves.iter().flat_map(|curve| curve.points.iter().copied()).filter(|point| point.0 > 0.0);
    let y = Range::around(all().flat_map(|point| [100.0 * point.2, 100.0 * point.3, 100.0 * point.1]))?.widened(0.03);
    let x = Range::around(all().map(|point| point.0.log10()))?.widened(0.06);
    let top = 34.0 + 17.0 * curves.len() as f64;
    let panel = Panel { top, bottom: BOTTOM, x, y };
    let mut body = heading(&format!("{} against labels", axes.score), result);
    let (numbers, grid) = panel.y_ticks(5);
    body.extend(grid);
    body.extend(numbers);
    body.push(panel.edge());
    body.push(panel.x_label(&format!("{} (logarithmic); bars: 95 % intervals", axes.labels)));
    body.push(panel.label("%"));
    let mut shares: Vec<f64> = all().map(|point| point.0).collect();
    shares.sort_by(f64::total_cmp);
    shares.dedup();
    for share in shares {
        let at = share.log10();
        body.extend(panel.segment(Pen::hair(Ink::Grid), (at, y.low), (at, y.high)));
        if let Some((place, _)) = panel.place((at, y.low)) {
            body.push(text(place, panel.bottom + 17.0, Lettering::Quiet, Anchor::Middle, &share.to_string()));
        }
    }
    let step = 0.012 * (x.high - x.low);
    for (place, (curve, ink)) in curves.iter().zip(CURVES).enumerate() {
        // Beside each other, so that intervals of one share do not hide each other.
        let aside = step * (place as f64 - (curves.len() as f64 - 1.0) / 2.0);
        let points: Vec<_> = curve.points.iter().filter(|p| p.0 > 0.0 && drawable(p.1)).collect();
        body.extend(panel.line(Pen::bold(ink), points.iter().map(|p| (p.0.log10() + aside, 100.0 * p.1))));
        for p in points {
            let at = p.0.log10() + aside;
            body.extend(panel.segment(Pen::thin(ink, &[]), (at, 100.0 * p.2), (at, 100.0 * p.3)));
            body.extend(panel.dot(ink, (at, 100.0 * p.1)));
        }
        let row = 40.0 + 17.0 * place as f64;
        body.push(line(vec![(LEFT, row - 4.0), (LEFT + 18.0, row - 4.0)], Pen::bold(ink)));
        body.push(text(LEFT + 23.0, row, Lettering::Plain, Anchor::Start, &short(&curve.name, 58)));
    }
    Some(drawing(&format!("{} of each method against the {}", axes.score, axes.labels), body))
}

#[cfg(test)]
mod tests {
    use super::super::drawing::Mark;
    use super::*;
    use crate::report::svg::{Style, svg};

    const AXES: LabelAxes<'static> = LabelAxes { score: "F1", labels: "share of the labels, %" };

    #[test]
    fn better_bars_lie_further_right_and_nothing_makes_no_figure() {
        let bar = |value: f64| Bar { name: "x".into(), value, low: value - 0.1, high: value + 0.05, hand_made: false };
        let drawing = bars_figure("t", "r", "F1", false, &[bar(0.5), bar(0.9)]).unwrap();
        let rectangles: Vec<f64> = drawing
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Path { points, fill: Some(_), .. } => Some(points[0].0),
                _ => None,
            })
            .collect();
        assert!(rectangles.len() == 2 && rectangles[1] > rectangles[0] + 50.0, "{rectangles:?}");
        let with_zero = svg(&bars_figure("t", "r", "F1", true, &[bar(0.5), bar(f64::NAN)]).unwrap(), Style::Inline);
        assert!(with_zero.contains("stroke-dasharray") && with_zero.contains(">0<") && !with_zero.contains("NaN"));
        assert!(bars_figure("t", "r", "F1", true, &[]).is_none() && label_figure(AXES, "r", &[]).is_none());
    }

    #[test]
    fn more_labels_are_further_right() {
        let points = vec![(2.0, 0.6, 0.5, 0.7), (100.0, 0.9, 0.85, 0.95), (0.0, 0.1, 0.1, 0.1)];
        let drawing = label_figure(AXES, "r", &[LabelCurve { name: "x".into(), points }]).unwrap();
        let dots: Vec<(f64, f64)> = drawing
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Circle { centre, .. } => Some(*centre),
                _ => None,
            })
            .collect();
        assert!(dots.len() == 2 && dots[1].0 > dots[0].0 + 200.0 && dots[1].1 < dots[0].1, "{dots:?}");
    }
}
