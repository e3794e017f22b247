//! A drawing as SVG: text stays text, and every colour is a class, given once by the page or carried inside a file that stands
//! alone, so that the figure follows the reader's light or dark page.

use super::drawing::{Anchor, Drawing, HEIGHT, Ink, Lettering, Mark, Pen, WIDTH};
use super::page::escape;

/// Where a figure will be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A file of its own, with its style sheet and a ground.
    Standalone,
    /// Part of the page, which carries the style sheet.
    Inline,
}

/// The style sheet of every figure, for a light and a dark page.
pub(super) fn plot_css() -> String {
    let rule = |ink: Ink, dark: bool| {
        let (name, on_light, on_dark) = ink.look();
        let [r, g, b] = if dark { on_dark } else { on_light };
        let colour = format!("#{r:02x}{g:02x}{b:02x}");
        format!(".plot .s-{name}{{stroke:{colour}}}\n.plot .f-{name}{{fill:{colour}}}\n")
    };
    let rules = |dark: bool| Ink::ALL.into_iter().map(|ink| rule(ink, dark)).collect::<String>();
    format!(
        ".plot{{font:13px/1 system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif}}\n\
         .plot path,.plot circle{{fill:none;stroke:none;stroke-linejoin:round;stroke-linecap:butt}}\n\
         .plot .head{{font-weight:650;font-size:14px}}\n\
         .plot .halo{{paint-order:stroke;stroke-width:5px;stroke-linejoin:round}}\n\
         {}@media screen and (prefers-color-scheme:dark){{\n{}}}\n",
        rules(false),
        rules(true)
    )
}

/// The drawing as an SVG element.
pub(super) fn svg(drawing: &Drawing, style: Style) -> String {
    let head = match style {
        Style::Inline => String::new(),
        Style::Standalone => {
            format!("<style>\n{}</style>\n<path class=\"f-ground\" d=\"M0 0H{WIDTH}V{HEIGHT}H0Z\"/>\n", plot_css())
        }
    };
    let marks: String = drawing.marks.iter().map(element).collect();
    let description = escape(&drawing.description);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{description}\">\n\
         {head}{marks}</svg>\n"
    )
}

/// Attributes of fill and line.
fn paint(fill: Option<(Ink, f64)>, pen: Option<Pen>) -> String {
    let mut classes = Vec::new();
    let mut attributes = String::new();
    if let Some((ink, opacity)) = fill {
        classes.push(format!("f-{}", ink.look().0));
        if opacity < 1.0 {
            attributes.push_str(&format!(" fill-opacity=\"{opacity}\""));
        }
    }
    if let Some(pen) = pen {
        classes.push(format!("s-{}", pen.ink.look().0));
        attributes.push_str(&format!(" stroke-width=\"{}\"", pen.width));
        if !pen.dash.is_empty() {
            let dash: Vec<String> = pen.dash.iter().map(ToString::to_string).collect();
            attributes.push_str(&format!(" stroke-dasharray=\"{}\"", dash.join(" ")));
        }
    }
    format!("class=\"{}\"{attributes}", classes.join(" "))
}

fn element(mark: &Mark) -> String {
    match mark {
        Mark::Path { points, closed, fill, pen } => {
            let corner = |(k, (x, y)): (usize, &(f64, f64))| format!("{}{x:.1} {y:.1}", if k == 0 { "M" } else { "L" });
            let path: String = points.iter().enumerate().map(corner).collect();
            format!("<path {} d=\"{path}{}\"/>\n", paint(*fill, *pen), if *closed { "Z" } else { "" })
        }
        Mark::Circle { centre: (x, y), radius, fill, pen } => {
            format!("<circle {} cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>\n", paint(Some((*fill, 1.0)), *pen))
        }
        Mark::Text { at: (x, y), anchor, lettering, words } => {
            let class = match lettering {
                Lettering::Plain => "f-text",
                Lettering::Quiet => "f-quiet",
                Lettering::Halo => "f-quiet halo s-ground",
                Lettering::Head => "f-text head",
            };
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            format!(
                "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
                escape(words)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_has_a_rule_for_light_and_dark() {
        let css = plot_css();
        for ink in Ink::ALL {
            let (name, _, _) = ink.look();
            assert_eq!(css.matches(&format!(".s-{name}{{")).count(), 2, "{name}");
            assert_eq!(css.matches(&format!(".f-{name}{{")).count(), 2, "{name}");
        }
    }
}
