//! A figure with axes as SVG: ranges, round ticks, curves, marks, a legend.
//!
//! Drawn here rather than with a plotting library because the same picture must follow the reader's light or dark
//! page: every colour is a CSS class (`plot.css`), given once by the page or carried inside a file that stands alone.
//! Text stays text; the numbers can be copied.

use super::page::escape;

/// The classes of every figure, for a light and a dark page.
pub(super) const PLOT_CSS: &str = include_str!("plot.css");

/// Where a figure will be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A file of its own, with its style sheet and a ground.
    Standalone,
    /// Part of the page, which carries the style sheet.
    Inline,
}

const WIDTH: f64 = 480.0;
pub(super) const HEIGHT: f64 = 330.0;
const LEFT: f64 = 56.0;
pub(super) const RIGHT: f64 = 464.0;
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
    fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let share = |v: f64, range: Range| ((v - range.low) / (range.high - range.low)).clamp(0.0, 1.0);
        let (across, up) = (share(x, self.x), share(y, self.y));
        let (x_place, y_place) = (LEFT + across * (RIGHT - LEFT), self.bottom - up * (self.bottom - self.top));
        (drawable(x) && drawable(y)).then_some((x_place, y_place))
    }

    /// Grid, frame, ticks and labels. Without `x_label` the x axis has no numbers (another panel follows).
    pub(super) fn frame(&self, y_label: &str, x_label: Option<&str>, y_ticks: usize) -> String {
        let mut svg = String::new();
        let (ticks, step) = self.y.ticks(y_ticks);
        for tick in ticks {
            svg.push_str(&self.segment("grid", (self.x.low, tick), (self.x.high, tick)));
            if let Some((_, y)) = self.place((self.x.low, tick)) {
                svg.push_str(&text(LEFT - 7.0, y + 4.5, "quiet", "end", &tick_label(tick, step)));
            }
        }
        let (ticks, step) = self.x.ticks(6);
        for tick in ticks {
            svg.push_str(&self.segment("grid", (tick, self.y.low), (tick, self.y.high)));
            if let (Some(_), Some((x, _))) = (x_label, self.place((tick, self.y.low))) {
                svg.push_str(&text(x, self.bottom + 17.0, "quiet", "middle", &tick_label(tick, step)));
            }
        }
        let (width, height) = (RIGHT - LEFT, self.bottom - self.top);
        svg.push_str(&format!(
            "<rect class=\"frame\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>\n",
            self.top
        ));
        svg.push_str(&text(LEFT + 8.0, self.top + 16.0, "quiet halo", "start", y_label));
        if let Some(x_label) = x_label {
            svg.push_str(&text((LEFT + RIGHT) / 2.0, self.bottom + 36.0, "quiet", "middle", x_label));
        }
        svg
    }

    /// A straight line between two points.
    pub(super) fn segment(&self, class: &str, from: (f64, f64), to: (f64, f64)) -> String {
        match (self.place(from), self.place(to)) {
            (Some((x1, y1)), Some((x2, y2))) => {
                format!("<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>\n")
            }
            _ => String::new(),
        }
    }

    /// A curve through the points, broken where a value is undefined; a point alone becomes a dot.
    pub(super) fn line(&self, class: &str, points: impl Iterator<Item = (f64, f64)>) -> String {
        let placed: Vec<Option<(f64, f64)>> = points.map(|point| self.place(point)).collect();
        let mut svg = String::new();
        for piece in placed.split(Option::is_none) {
            let piece: Vec<(f64, f64)> = piece.iter().copied().flatten().collect();
            match piece.as_slice() {
                [] => {}
                [(x, y)] => svg.push_str(&format!(
                    "<circle class=\"{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>\n",
                    class.replace("line ", "")
                )),
                _ => svg.push_str(&format!("<path class=\"{class}\" d=\"{}\"/>\n", path(&piece))),
            }
        }
        svg
    }

    /// A filled outline.
    pub(super) fn area(&self, class: &str, points: impl Iterator<Item = (f64, f64)>) -> String {
        let placed: Vec<(f64, f64)> = points.filter_map(|point| self.place(point)).collect();
        format!("<path class=\"{class}\" d=\"{}Z\"/>\n", path(&placed))
    }

    /// A mark.
    pub(super) fn dot(&self, class: &str, radius: f64, point: (f64, f64)) -> String {
        self.place(point)
            .map(|(x, y)| format!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>\n"))
            .unwrap_or_default()
    }
}

/// The `d` of a path through the points, to a tenth of a unit.
fn path(points: &[(f64, f64)]) -> String {
    let corner = |(k, (x, y)): (usize, &(f64, f64))| format!("{}{x:.1} {y:.1}", if k == 0 { "M" } else { "L" });
    points.iter().enumerate().map(corner).collect()
}

/// One line of text.
pub(super) fn text(x: f64, y: f64, class: &str, anchor: &str, words: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n", escape(words))
}

/// Title at the left, result at the right.
pub(super) fn heading(title: &str, result: &str) -> String {
    let result = result.replace("   ", "\u{2003}");
    text(LEFT, 20.0, "head", "start", title) + &text(RIGHT, 20.0, "", "end", &result)
}

/// The legend under the heading: a piece of each curve and its name.
pub(super) fn legend_row(entries: &[(&str, &str)]) -> String {
    let mut svg = String::new();
    let mut x = LEFT;
    for (class, name) in entries {
        if class.starts_with("paper") {
            svg.push_str(&format!("<circle class=\"{class}\" cx=\"{:.1}\" cy=\"41\" r=\"4\"/>\n", x + 9.0));
        } else {
            svg.push_str(&format!("<path class=\"{class}\" d=\"M{x:.1} 41h18\"/>\n"));
        }
        svg.push_str(&text(x + 23.0, 45.5, "", "start", name));
        x += 23.0 + 7.2 * name.chars().count() as f64 + 14.0;
    }
    svg
}

/// At most `most` characters, with an ellipsis for the rest.
pub(super) fn short(words: &str, most: usize) -> String {
    if words.chars().count() <= most {
        words.to_string()
    } else {
        words.chars().take(most.saturating_sub(1)).chain(['…']).collect()
    }
}

/// The SVG element around a body.
pub(super) fn figure(description: &str, body: &str, style: Style) -> String {
    let (head, ground) = match style {
        Style::Inline => (String::new(), String::new()),
        Style::Standalone => (
            format!("<style>\n{PLOT_CSS}</style>\n"),
            format!("<rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"),
        ),
    };
    let description = escape(&description.replace("   ", " "));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{description}\">\n\
         {head}{ground}{body}</svg>\n"
    )
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
        let svg = panel.line("line recall", points.into_iter());
        assert_eq!((svg.matches("<path").count(), svg.matches("<circle").count()), (1, 1), "{svg}");
    }
}
