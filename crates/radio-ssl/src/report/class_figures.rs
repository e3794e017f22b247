//! The figure of a classification: values with intervals by class and method.

use super::axes::{LEFT, RIGHT, Range, drawable, drawing, heading, short};
use super::drawing::{Anchor, Drawing, Ink, Lettering, Mark, Pen, line, rectangle, text};
use crate::intervals::Estimate;

/// Colours of methods and classes, in order; black once they are used up.
const SERIES: [Ink; 8] =
    [Ink::Blue, Ink::Vermilion, Ink::Green, Ink::Orange, Ink::Purple, Ink::Sky, Ink::Grey, Ink::Slate];

/// Values of several methods by class, in the unit of the axis: `values[method][class]`. `None` without a method or class that can be drawn.
pub fn bars_by_class(
    title: &str,
    unit: &str,
    classes: &[String],
    methods: &[String],
    values: &[Vec<Estimate>],
) -> Option<Drawing> {
    let all = values.iter().flatten().flat_map(|bar| [bar.low, bar.high, bar.value]);
    let range = Range::around(all)?.widened(0.04);
    let (top, bottom) = (80.0, 284.0);
    let up = |value: f64| bottom - (value - range.low) / (range.high - range.low) * (bottom - top);
    let mut marks = heading(title, "");
    marks.extend(key(methods));
    for tick in ticks(range) {
        marks.push(line(vec![(LEFT, up(tick)), (RIGHT, up(tick))], Pen::hair(Ink::Grid)));
        marks.push(text(LEFT - 7.0, up(tick) + 4.5, Lettering::Quiet, Anchor::End, &number(tick)));
    }
    marks.push(rectangle((LEFT, top), (RIGHT, bottom), None, Some(Pen::hair(Ink::Edge))));
    let step = (RIGHT - LEFT) / classes.len().max(1) as f64;
    let most = (step / 7.4).max(4.0) as usize;
    for (class, name) in classes.iter().enumerate() {
        let left = LEFT + class as f64 * step;
        if class > 0 {
            marks.push(line(vec![(left, top), (left, bottom)], Pen::hair(Ink::Grid)));
        }
        marks.push(text(left + step / 2.0, bottom + 17.0, Lettering::Quiet, Anchor::Middle, &short(name, most)));
        for (method, bars) in values.iter().enumerate() {
            let Some(bar) = bars.get(class).filter(|bar| [bar.value, bar.low, bar.high].into_iter().all(drawable))
            else {
                continue;
            };
            let x = left + step * (method as f64 + 1.0) / (values.len() as f64 + 1.0);
            let ink = SERIES.get(method).copied().unwrap_or(Ink::Text);
            marks.push(line(vec![(x, up(bar.low)), (x, up(bar.high))], Pen::thin(ink, &[])));
            marks.push(Mark::Circle { centre: (x, up(bar.value)), radius: 3.2, fill: ink, pen: None });
        }
    }
    marks.push(text((LEFT + RIGHT) / 2.0, bottom + 36.0, Lettering::Quiet, Anchor::Middle, unit));
    Some(drawing(&format!("{title}, {unit}, by class for {}", methods.join(", ")), marks))
}

/// Names beside dots of their colours, in two rows under the heading.
fn key(names: &[String]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let (mut x, mut y) = (LEFT, 41.0);
    for (place, name) in names.iter().enumerate() {
        let name = short(name, 18);
        let width = 12.0 + 7.4 * name.chars().count() as f64 + 12.0;
        if x + width > RIGHT + 12.0 && x > LEFT {
            (x, y) = (LEFT, y + 19.0);
        }
        let ink = SERIES.get(place).copied().unwrap_or(Ink::Text);
        marks.push(Mark::Circle { centre: (x + 5.0, y), radius: 4.5, fill: ink, pen: None });
        marks.push(text(x + 14.0, y + 4.5, Lettering::Plain, Anchor::Start, &name));
        x += width;
    }
    marks
}

/// About five round numbers inside a range.
fn ticks(range: Range) -> Vec<f64> {
    let raw = (range.high - range.low) / 5.0;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= raw * 0.999).unwrap_or(raw);
    let first = (range.low / step).ceil();
    (0..12).map(|k| (first + f64::from(k)) * step).take_while(|tick| *tick <= range.high).collect()
}

/// A tick's number; -0 is 0.
fn number(tick: f64) -> String {
    let tick = if tick.abs() < 1e-9 { 0.0 } else { tick };
    if (tick - tick.round()).abs() < 1e-6 { format!("{tick:.0}") } else { format!("{tick:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::svg::{Style, svg};

    fn bar(value: f64) -> Estimate {
        Estimate { value, low: value - 1.0, high: value + 2.0 }
    }

    #[test]
    fn values_are_drawn_and_what_is_undefined_is_left_out() {
        let values = vec![vec![bar(50.0), bar(60.0)], vec![bar(70.0), bar(f64::NAN)]];
        let (classes, methods) = (["1C-1P".to_owned(), "all".to_owned()], ["a".to_owned(), "b".to_owned()]);
        let drawn = svg(&bars_by_class("F1", "%", &classes, &methods, &values).unwrap(), Style::Inline);
        assert_eq!(drawn.matches("<circle").count(), 2 + 3, "two in the key, three values");
        assert!(!drawn.contains("NaN"));
        assert_eq!(bars_by_class("F1", "%", &[], &[], &[]), None);
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(Range { low: -3.0, high: 12.0 }), [0.0, 5.0, 10.0]);
        assert_eq!(number(-0.0), "0");
        assert_eq!(number(2.5), "2.5");
    }
}
