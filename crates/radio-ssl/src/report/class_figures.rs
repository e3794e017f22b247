//! Figures of classifications: values with intervals by name, and by class and method.

use super::axes::{LEFT, RIGHT, Range, drawable, drawing, heading, short};
use super::drawing::{Anchor, Drawing, Ink, Lettering, Mark, Pen, line, rectangle, text};

/// Colours of methods and classes, in order; black once they are used up.
pub(super) const SERIES: [Ink; 8] =
    [Ink::Blue, Ink::Vermilion, Ink::Green, Ink::Orange, Ink::Purple, Ink::Sky, Ink::Grey, Ink::Slate];

/// Left edge of the plot where names stand beside it, for short and for long names.
const NAMED_LEFT: (f64, f64) = (130.0, 238.0);
/// Width of a letter.
const LETTER: f64 = 6.9;
/// Most rows of a figure, so that their names do not touch.
const MOST_ROWS: usize = 14;

/// A value with its interval, in any unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// The value.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Values by name, one below the other; the first at the top. With `zero` a line marks no difference. `None` without a row that can
/// be drawn.
pub fn named_bars(title: &str, unit: &str, rows: &[(String, Bar)], zero: bool) -> Option<Drawing> {
    let rows: Vec<&(String, Bar)> = rows
        .iter()
        .filter(|(_, bar)| [bar.value, bar.low, bar.high].into_iter().all(drawable))
        .take(MOST_ROWS)
        .collect();
    let ends = rows.iter().flat_map(|(_, bar)| [bar.low, bar.high, bar.value]);
    let range = Range::around(ends.chain(zero.then_some(0.0)))?.widened(0.06);
    let longest = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let left = (20.0 + LETTER * longest as f64).clamp(NAMED_LEFT.0, NAMED_LEFT.1);
    let across = |value: f64| left + (value - range.low) / (range.high - range.low) * (RIGHT - left);
    let (top, bottom) = (40.0, 284.0);
    let mut marks = heading(title, "");
    for tick in ticks(range) {
        let x = across(tick);
        marks.push(line(vec![(x, top), (x, bottom)], Pen::hair(Ink::Grid)));
        marks.push(text(x, bottom + 17.0, Lettering::Quiet, Anchor::Middle, &number(tick)));
    }
    if zero {
        let pen = Pen { ink: Ink::Text, width: 1.2, dash: &[3.0, 3.0] };
        marks.push(line(vec![(across(0.0), top), (across(0.0), bottom)], pen));
    }
    marks.push(rectangle((left, top), (RIGHT, bottom), None, Some(Pen::hair(Ink::Edge))));
    marks.push(text((left + RIGHT) / 2.0, bottom + 36.0, Lettering::Quiet, Anchor::Middle, unit));
    let first = top + 10.0; // room for the number of the first row
    let step = (bottom - first) / rows.len() as f64;
    for (place, (name, bar)) in rows.iter().enumerate() {
        let y = first + (place as f64 + 0.5) * step;
        let ink = SERIES.get(place).copied().unwrap_or(Ink::Text);
        marks.push(text(left - 8.0, y + 4.5, Lettering::Plain, Anchor::End, &short(name, 31)));
        marks.push(line(vec![(across(bar.low), y), (across(bar.high), y)], Pen::bold(ink)));
        marks.push(Mark::Circle { centre: (across(bar.value), y), radius: 4.5, fill: ink, pen: None });
        let words = format!("{:.1}", bar.value);
        marks.push(text(across(bar.value), y - 9.0, Lettering::Halo, Anchor::Middle, &words));
    }
    let words: Vec<String> = rows.iter().map(|(name, bar)| format!("{name} {:.1}", bar.value)).collect();
    Some(drawing(&format!("{title}: {} ({unit})", words.join(", ")), marks))
}

/// Values of several methods by class: `values[method][class]`. `None` without a method or class that can be drawn.
pub fn bars_by_class(
    title: &str,
    unit: &str,
    classes: &[String],
    methods: &[String],
    values: &[Vec<Bar>],
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
pub(super) fn key(names: &[String]) -> Vec<Mark> {
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
pub(super) fn ticks(range: Range) -> Vec<f64> {
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

    fn bar(value: f64) -> Bar {
        Bar { value, low: value - 1.0, high: value + 2.0 }
    }

    #[test]
    fn values_are_drawn_and_what_is_undefined_is_left_out() {
        let rows = vec![("blind".to_owned(), bar(71.2)), ("nothing".to_owned(), bar(f64::NAN))];
        let drawn = svg(&named_bars("F1", "%", &rows, true).unwrap(), Style::Standalone);
        assert!(
            drawn.contains("71.2") && drawn.contains("blind") && !drawn.contains("nothing") && !drawn.contains("NaN")
        );
        assert_eq!(named_bars("F1", "%", &rows[1..], false), None);
        let values = vec![vec![bar(50.0), bar(60.0)], vec![bar(70.0)]];
        let (classes, methods) = (["1C-1P".to_owned(), "all".to_owned()], ["a".to_owned(), "b".to_owned()]);
        let drawn = svg(&bars_by_class("F1", "%", &classes, &methods, &values).unwrap(), Style::Inline);
        assert_eq!(drawn.matches("<circle").count(), 2 + 3, "two in the key, three values");
        assert_eq!(bars_by_class("F1", "%", &[], &[], &[]), None);
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(Range { low: -3.0, high: 12.0 }), [0.0, 5.0, 10.0]);
        assert_eq!(number(-0.0), "0");
        assert_eq!(number(2.5), "2.5");
    }
}
