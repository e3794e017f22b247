//! Axes of a figure: ranges, round ticks, curves, a legend, all as marks of a [`Drawing`].
//!
//! Drawn here rather than with a plotting library because the same picture must follow the reader's light or dark
//! page, and its PNG must be the same to the last bit on every machine.

use super::drawing::{Anchor, Drawing, Ink, Lettering, Mark, Pen, line, rectangle, text};

/// Edges of the panels, left and right.
pub(super) const LEFT: f64 = 56.0;
pub(super) const RIGHT: f64 = 464.0;
/// Lower edge of a panel, above its numbers and its label.
pub(super) const BOTTOM: f64 = 284.0;
/// Upper edge of a panel, below the heading and the legend.
pub(super) const TOP: f64 = 58.0;
/// Beyond this a number is taken as diverged and left out: the axis could not show it beside the others.
const DIVERGED: f64 = 1e30;
/// Whether a value can be drawn.
pub(super) fn drawable(value: f64) -> bool {
    value.abs() < DIVERGED
}

/// A closed interval of an axis, `low < high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Range {
    /// The smallest range that holds the drawable values; a single value gets room on both sides. `None` without a
    /// value.
    pub(super) fn around(values: impl Iterator<Item = f64>) -> Option<Range> {
        let (low, high) =
            values.filter(|v| drawable(*v)).fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            return None;
        }
        let room = 0.5 * low.abs().max(high.abs()).clamp(1e-3, 1.0);
        let too_close = high - low <= 1e-9 * low.abs().max(high.abs()).max(1e-6);
        Some(if too_close { Range { low: low - room, high: high + room } } else { Range { low, high } })
    }

    /// Whether a value lies inside.
    pub(super) fn holds(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Wider by a share of its length on both sides.
    pub(super) fn widened(self, share: f64) -> Range {
        let room = share * (self.high - self.low);
        Range { low: self.low - room, high: self.high + room }
    }

    /// Round positions (1, 2 or 5 times a power of ten apart), about `wanted` of them, with their distance.
    fn ticks(self, wanted: usize) -> (Vec<f64>, f64) {
        let raw = (self.high - self.low) / wanted.max(1) as f64;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|m| m * power)
            .into_iter()
            .find(|step| *step >= raw * 0.999)
            .unwrap_or(10.0 * power);
        let first = (self.low / step - 1e-6).ceil();
        let ticks =
            (0..=2 * wanted).map(|k| (first + k as f64) * step).take_while(|tick| *tick <= self.high + 1e-6 * step);
        (ticks.collect(), step)
    }
}

/// The label of a tick with as many digits as the distance to the next needs.
fn tick_label(tick: f64, step: f64) -> String {
    let tick = if tick.abs() < 1e-6 * step { 0.0 } else { tick };
    let digits = (-step.log10().floor()).max(0.0);
    if tick != 0.0 && (digits > 3.0 || tick.abs() >= 1e5) {
        format!("{tick:.0e}")
    } else {
        format!("{tick:.*}", digits.min(3.0) as usize)
    }
}

/// A pair of axes at a place of the figure.
pub(super) struct Panel {
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) x: Range,
    pub(super) y: Range,
}

impl Panel {
    /// Position in the figure; values outside the axes are moved onto the edge. `None` if a number cannot be drawn.
    pub(super) fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let share = |v: f64, range: Range| ((v - range.low) / (range.high - range.low)).clamp(0.0, 1.0);
        let (across, up) = (share(x, self.x), share(y, self.y));
        let (x_place, y_place) = (LEFT + across * (RIGHT - LEFT), self.bottom - up * (self.bottom - self.top));
        (drawable(x) && drawable(y)).then_some((x_place, y_place))
    }

    /// Grid, frame, ticks and labels; a mere unit stands over its numbers. Without `x_label` the x axis has no numbers (another panel
    /// follows).
    pub(super) fn frame(&self, y_label: &str, x_label: Option<&str>, y_ticks: usize) -> Vec<Mark> {
        let (numbers, mut marks) = self.y_ticks(y_ticks);
        marks.extend(numbers);
        marks.extend(self.x_ticks(x_label.is_some()));
        marks.push(self.edge());
        marks.push(match y_label {
            "%" => text(LEFT - 7.0, self.top - 12.0, Lettering::Quiet, Anchor::End, y_label),
            _ => self.label(y_label),
        });
        marks.extend(x_label.map(|label| self.x_label(label)));
        marks
    }

    /// Numbers at round places of the y axis, and their lines of the grid.
    pub(super) fn y_ticks(&self, wanted: usize) -> (Vec<Mark>, Vec<Mark>) {
        let (ticks, step) = self.y.ticks(wanted);
        let (mut numbers, mut grid) = (Vec::new(), Vec::new());
        for tick in ticks {
            grid.extend(self.segment(Pen::hair(Ink::Grid), (self.x.low, tick), (self.x.high, tick)));
            if let Some((_, y)) = self.place((self.x.low, tick)) {
                numbers.push(text(LEFT - 7.0, y + 4.5, Lettering::Quiet, Anchor::End, &tick_label(tick, step)));
            }
        }
        (numbers, grid)
    }

    /// Lines of the grid at round places of the x axis, with their numbers if wanted.
    pub(super) fn x_ticks(&self, numbers: bool) -> Vec<Mark> {
        let mut marks = Vec::new();
        let (ticks, step) = self.x.ticks(6);
        for tick in ticks {
            marks.extend(self.segment(Pen::hair(Ink::Grid), (tick, self.y.low), (tick, self.y.high)));
            if let (true, Some((x, _))) = (numbers, self.place((tick, self.y.low))) {
                let label = tick_label(tick, step);
                marks.push(text(x, self.bottom + 17.0, Lettering::Quiet, Anchor::Middle, &label));
            }
        }
        marks
    }

    /// The line around the panel.
    pub(super) fn edge(&self) -> Mark {
        rectangle((LEFT, self.top), (RIGHT, self.bottom), None, Some(Pen::hair(Ink::Edge)))
    }

    /// What is shown, in the upper left corner of the panel.
    pub(super) fn label(&self, words: &str) -> Mark {
        text(LEFT + 8.0, self.top + 16.0, Lettering::Halo, Anchor::Start, words)
    }

    /// The name of the x axis under its numbers.
    pub(super) fn x_label(&self, words: &str) -> Mark {
        text((LEFT + RIGHT) / 2.0, self.bottom + 36.0, Lettering::Quiet, Anchor::Middle, words)
    }

    /// A straight line between two points.
    pub(super) fn segment(&self, pen: Pen, from: (f64, f64), to: (f64, f64)) -> Option<Mark> {
        Some(line(vec![self.place(from)?, self.place(to)?], pen))
    }

    /// A curve through the points, broken where a value is undefined; a point alone becomes a dot.
    pub(super) fn line(&self, pen: Pen, points: impl Iterator<Item = (f64, f64)>) -> Vec<Mark> {
        let placed: Vec<Option<(f64, f64)>> = points.map(|point| self.place(point)).collect();
        let mut marks = Vec::new();
        for piece in placed.split(Option::is_none) {
            let piece: Vec<(f64, f64)> = piece.iter().copied().flatten().collect();
            match piece.as_slice() {
                [] => {}
                [centre] => marks.push(Mark::Circle { centre: *centre, radius: 3.0, fill: pen.ink, pen: None }),
                _ => marks.push(line(piece, pen)),
            }
        }
        marks
    }

    /// A filled outline.
    pub(super) fn area(&self, ink: Ink, opacity: f64, points: impl Iterator<Item = (f64, f64)>) -> Mark {
        let points = points.filter_map(|point| self.place(point)).collect();
        Mark::Path { points, closed: true, fill: Some((ink, opacity)), pen: None }
    }

    /// A filled mark.
    pub(super) fn dot(&self, ink: Ink, point: (f64, f64)) -> Option<Mark> {
        Some(Mark::Circle { centre: self.place(point)?, radius: 4.5, fill: ink, pen: None })
    }

    /// A hollow mark: a value of the paper.
    pub(super) fn ring(&self, ink: Ink, point: (f64, f64)) -> Option<Mark> {
        Some(ring(ink, self.place(point)?))
    }
}

fn ring(ink: Ink, centre: (f64, f64)) -> Mark {
    Mark::Circle { centre, radius: 4.0, fill: Ink::Ground, pen: Some(Pen { ink, width: 1.8, dash: &[] }) }
}

/// Title at the left, result at the right.
pub(super) fn heading(title: &str, result: &str) -> Vec<Mark> {
    let result = result.replace("   ", "\u{2003}");
    vec![
        text(LEFT, 20.0, Lettering::Head, Anchor::Start, title),
        text(RIGHT, 20.0, Lettering::Plain, Anchor::End, &result),
    ]
}

/// What a legend shows beside a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Key {
    Line(Pen),
    /// A hollow mark.
    Ring(Ink),
}

/// The legend under the heading: a piece of each curve and its name.
pub(super) fn legend_row(entries: &[(Key, &str)]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut x = LEFT;
    for (key, name) in entries {
        marks.push(match key {
            Key::Line(pen) => line(vec![(x, 41.0), (x + 18.0, 41.0)], *pen),
            Key::Ring(ink) => ring(*ink, (x + 9.0, 41.0)),
        });
        marks.push(text(x + 23.0, 45.5, Lettering::Plain, Anchor::Start, name));
        x += 23.0 + 7.2 * name.chars().count() as f64 + 14.0;
    }
    marks
}

/// A finished figure; labels with a rim come last, so that no curve runs through them.
pub(super) fn drawing(description: &str, marks: Vec<Mark>) -> Drawing {
    let is_label = |mark: &Mark| matches!(mark, Mark::Text { lettering: Lettering::Halo, .. });
    let (labels, mut marks): (Vec<Mark>, Vec<Mark>) = marks.into_iter().partition(is_label);
    marks.extend(labels);
    Drawing { description: description.replace("   ", " "), marks }
}

/// At most `most` characters, with an ellipsis for the rest.
pub(super) fn short(words: &str, most: usize) -> String {
    if words.chars().count() <= most {
        words.to_string()
    } else {
        words.chars().take(most.saturating_sub(1)).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let (ticks, step) = Range { low: 0.03, high: 0.97 }.ticks(5);
        assert_eq!((ticks.len(), step), (4, 0.2));
        assert!((ticks[0] - 0.2).abs() < 1e-12 && (ticks[3] - 0.8).abs() < 1e-12);
        assert_eq!(tick_label(0.2, 0.2), "0.2");
        assert_eq!(tick_label(-1e-17, 0.2), "0.0");
        assert_eq!(tick_label(0.0005, 0.0005), "5e-4");
        assert_eq!(tick_label(250.0, 50.0), "250");
    }

    #[test]
    fn larger_values_are_higher_and_later_ones_further_right() {
        let panel =
            Panel { top: 0.0, bottom: 100.0, x: Range { low: 0.0, high: 1.0 }, y: Range { low: 0.0, high: 1.0 } };
        assert_eq!(panel.place((0.0, 1.0)), Some((LEFT, 0.0)));
        assert_eq!(panel.place((1.0, 0.0)), Some((RIGHT, 100.0)));
        assert_eq!(panel.place((0.5, f64::NAN)), None);
    }

    #[test]
    fn a_curve_is_broken_at_undefined_values() {
        let panel =
            Panel { top: 0.0, bottom: 100.0, x: Range { low: 0.0, high: 4.0 }, y: Range { low: 0.0, high: 1.0 } };
        let points = [(0.0, 0.1), (1.0, 0.2), (2.0, f64::NAN), (3.0, 0.4)];
        let marks = panel.line(Pen::bold(Ink::Blue), points.into_iter());
        assert!(matches!(marks.as_slice(), [Mark::Path { .. }, Mark::Circle { .. }]), "{marks:?}");
    }
}
