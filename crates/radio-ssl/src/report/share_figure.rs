//! A score against the number of labels, on a logarithmic axis: a line and a band for each start.

use super::axes::{LEFT, Panel, RIGHT, Range, drawable, drawing, heading};
use super::class_figures::{Bar, SERIES, key};
use super::drawing::{Anchor, Drawing, Ink, Lettering, Mark, Pen, text};

/// A start and its scores by number of labels.
pub type ShareLine = (String, Vec<(usize, Bar)>);

/// The figure; scores in percent. `None` without a point that can be drawn.
pub fn share_figure(title: &str, result: &str, lines: &[ShareLine]) -> Option<Drawing> {
    let is_drawn =
        |(labels, bar): &&(usize, Bar)| *labels > 0 && [bar.value, bar.low, bar.high].into_iter().all(drawable);
    let points = || lines.iter().flat_map(|(_, points)| points.iter().filter(is_drawn));
    let x = Range::around(points().map(|(labels, _)| (*labels as f64).log10()))?.widened(0.04);
    let y = Range::around(points().flat_map(|(_, bar)| [bar.low, bar.high]))?.widened(0.04);
    let panel = Panel { top: 62.0, bottom: 284.0, x, y };
    let mut marks = heading(title, result);
    marks.extend(key(&lines.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()));
    let (numbers, grid) = panel.y_ticks(5);
    marks.extend(grid);
    marks.extend(numbers);
    let mut labels: Vec<usize> = points().map(|(labels, _)| *labels).collect();
    labels.sort_unstable();
    labels.dedup();
    for count in labels {
        let at = (count as f64).log10();
        marks.extend(panel.segment(Pen::hair(Ink::Grid), (at, y.low), (at, y.high)));
        if let Some((x, _)) = panel.place((at, y.low)) {
            marks.push(text(x, panel.bottom + 17.0, Lettering::Quiet, Anchor::Middle, &count.to_string()));
        }
    }
    for (place, (_, points)) in lines.iter().enumerate() {
        let ink = SERIES.get(place).copied().unwrap_or(Ink::Text);
        let points: Vec<(f64, Bar)> =
            points.iter().filter(is_drawn).map(|(labels, bar)| ((*labels as f64).log10(), *bar)).collect();
        let upper = points.iter().map(|(x, bar)| (*x, bar.high));
        let lower = points.iter().rev().map(|(x, bar)| (*x, bar.low));
        marks.push(panel.area(ink, 0.16, upper.chain(lower)));
        marks.extend(panel.line(Pen::bold(ink), points.iter().map(|(x, bar)| (*x, bar.value))));
        let dots = points.iter().filter_map(|(x, bar)| panel.place((*x, bar.value)));
        marks.extend(dots.map(|centre| Mark::Circle { centre, radius: 3.5, fill: ink, pen: None }));
    }
    marks.push(panel.edge());
    marks.push(text((LEFT + RIGHT) / 2.0, panel.bottom + 36.0, Lettering::Quiet, Anchor::Middle, "training labels"));
    marks.push(panel.label("F1 / %"));
    Some(drawing(&format!("{title}. {result}"), marks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::svg::{Style, svg};

    #[test]
    fn lines_bands_and_numbers_of_labels_are_drawn() {
        let bar = |value: f64| Bar { value, low: value - 3.0, high: value + 3.0 };
        let lines = vec![
            ("pre-trained".to_owned(), vec![(36, bar(40.0)), (1764, bar(80.0))]),
            ("from scratch".to_owned(), vec![(36, bar(f64::NAN)), (1764, bar(82.0)), (0, bar(1.0))]),
        ];
        let drawn = svg(&share_figure("F1", "", &lines).unwrap(), Style::Inline);
        assert!(drawn.contains(">36<") && drawn.contains(">1764<") && !drawn.contains("NaN") && !drawn.contains(">0<"));
        assert_eq!(drawn.matches("fill-opacity").count(), 2);
        assert_eq!(share_figure("F1", "", &[]), None);
    }
}
