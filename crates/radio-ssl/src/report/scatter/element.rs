//! The interactive picture of a map: points, colours and cutouts as JSON beside a script that draws them.

use serde::Serialize;

use super::super::page::{base64, escape};
use super::figure::{ink_of, scatter_figure};
use super::{Colouring, ScatterMap, colour_range};
use crate::report::drawing::Ink;
use crate::report::svg::{Style, svg};

/// Style sheet of the picture; it uses the colours of the page's.
pub const CSS: &str = include_str!("scatter.css");
/// What draws and listens; one for all pictures of a page, after the last of them.
pub const SCRIPT: &str = include_str!("scatter.js");
/// Steps of the colour map of numbers.
const STEPS: usize = 24;
/// Places are told in so many steps along the longer side.
const GRID: f64 = 10_000.0;

/// What the script reads.
#[derive(Serialize)]
struct Points<'a> {
    ids: &'a [String],
    x: Vec<i32>,
    y: Vec<i32>,
    background: Vec<i32>,
    /// Width and height of what is shown at first, in the unit of the places.
    extent: [i32; 2],
    colourings: Vec<Colours<'a>>,
    ramp: Vec<String>,
    /// Of points without a class or number, on a light and on a dark page.
    unknown: [String; 2],
    pictures: std::collections::BTreeMap<usize, String>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Colours<'a> {
    Classes { name: &'a str, classes: &'a [String], of: Vec<i32>, colours: Vec<[String; 2]> },
    Values { name: &'a str, low: f64, high: f64, values: Vec<Option<f64>> },
}

/// The picture as a piece of HTML; [`CSS`] and [`SCRIPT`] belong on the same page. Without a script the still picture is shown.
/// Empty for a map without points, or whose lists differ in length.
///
/// `takes_wheel`: the wheel zooms at once; else only after a click into the picture, so that a long page can be scrolled past it.
pub fn scatter_element(map: &ScatterMap, takes_wheel: bool) -> String {
    let Some((middle, extent)) = map.extent().filter(|_| map.is_whole()) else { return String::new() };
    let longest = extent[0].max(extent[1]);
    let step = |place: &[f32; 2], axis: usize| {
        let share = (f64::from(place[axis]) - middle[axis]) / longest;
        // The y axis of a canvas points down.
        (if axis == 0 { share } else { -share } * GRID).round() as i32
    };
    let points = Points {
        ids: &map.ids,
        x: map.places.iter().map(|place| step(place, 0)).collect(),
        y: map.places.iter().map(|place| step(place, 1)).collect(),
        background: map.background.iter().flat_map(|place| [step(place, 0), step(place, 1)]).collect(),
        extent: extent.map(|extent| (extent / longest * GRID).round() as i32),
        colourings: map.colourings.iter().filter_map(colours).collect(),
        ramp: ramp(),
        unknown: both(Ink::Grey),
        pictures: map
            .pictures
            .iter()
            .filter(|(row, _)| **row < map.ids.len())
            .map(|(row, png)| (*row, base64(png)))
            .collect(),
    };
    // Plain lists and texts always make JSON; a text must not end the script element.
    let json = serde_json::to_string(&points).unwrap_or_default().replace('<', "\\u003c");
    let still = scatter_figure(map, 0).map(|drawing| svg(&drawing, Style::Inline)).unwrap_or_default();
    let options: String =
        points.colourings.iter().map(|colours| format!("<option>{}</option>", escape(colours.name()))).collect();
    format!(
        "<div class=\"scatter\"{}>\n<script type=\"application/json\">{json}</script>\n<noscript>{still}</noscript>\n\
         <div class=\"scatter-view\"><canvas tabindex=\"0\" role=\"img\" aria-label=\"{}: {} points\"></canvas><div class=\"scatter-tip\" hidden></div>\
         <div class=\"scatter-zoom\"><button type=\"button\" title=\"zoom in\">+</button><button type=\"button\" title=\"zoom out\">−</button>\
         <button type=\"button\" title=\"show all\">⤢</button></div></div>\n\
         <div class=\"scatter-side\"><label>colour <select>{options}</select></label><div class=\"scatter-legend\"></div>\
         <div class=\"scatter-card\"><p>Point at a dot for its name, click for its cutout. Drag to move, wheel or + and − to zoom.</p></div></div>\n</div>\n",
        if takes_wheel { " data-wheel" } else { "" },
        escape(&map.title),
        map.ids.len(),
    )
}

impl Colours<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Classes { name, .. } | Self::Values { name, .. } => name,
        }
    }
}

fn colours(colouring: &Colouring) -> Option<Colours<'_>> {
    Some(match colouring {
        Colouring::Classes { name, classes, of } => Colours::Classes {
            name,
            classes,
            of: of.iter().map(|class| class.and_then(|class| i32::try_from(class).ok()).unwrap_or(-1)).collect(),
            colours: (0..classes.len()).map(|class| class_colour(&classes[class], class)).collect(),
        },
        Colouring::Values { name, values } => {
            let range = colour_range(values)?;
            let rounded = |v: &f64| v.is_finite().then(|| format!("{v:.4e}").parse().ok()).flatten();
            Colours::Values { name, low: range.low, high: range.high, values: values.iter().map(rounded).collect() }
        }
    })
}

/// Colour of a class on a light and on a dark page: the figures' palette, then hues around the circle.
fn class_colour(name: &str, class: usize) -> [String; 2] {
    match ink_of(name, class) {
        Some(ink) => both(ink),
        // The golden angle keeps neighbours apart.
        None => [45, 65].map(|light| format!("hsl({} 60% {light}%)", class * 137 % 360)),
    }
}

fn both(ink: Ink) -> [String; 2] {
    let (_, light, dark) = ink.look();
    [light, dark].map(|[r, g, b]| format!("#{r:02x}{g:02x}{b:02x}"))
}

/// Viridis, dark to light, without its darkest and lightest end: both pages show all of it.
fn ramp() -> Vec<String> {
    let colour = |step: usize| {
        let share = 0.08 + 0.84 * step as f64 / (STEPS - 1) as f64;
        let c = colorous::VIRIDIS.eval_continuous(share);
        format!("#{:02x}{:02x}{:02x}", c.r, c.g, c.b)
    };
    (0..STEPS).map(colour).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::example_scatter;
    use super::*;

    fn json(html: &str) -> serde_json::Value {
        let start = html.find("application/json\">").unwrap() + "application/json\">".len();
        let end = html[start..].find("</script>").unwrap() + start;
        serde_json::from_str(&html[start..end]).unwrap()
    }

    #[test]
    fn names_cannot_end_the_script_and_come_back_whole() {
        let map = example_scatter(40);
        let html = scatter_element(&map, false);
        assert_eq!(html.matches("</script>").count(), 1, "the element's own end");
        assert!(!html.contains("<b>") && html.contains("&lt;b&gt;") == html.contains("&lt;b"), "no mark-up from names");
        let points = json(&html);
        assert_eq!(points["ids"][7], map.ids[7]);
        assert_eq!(points["colourings"][0]["classes"][0], "<b>\"bent\"</b></script>");
        assert_eq!(points["colourings"][0]["of"][9], -1);
        assert_eq!(points["colourings"][1]["values"][3], serde_json::Value::Null);
        assert_eq!(points["pictures"].as_object().unwrap().len(), 5);
    }

    #[test]
    fn larger_values_are_further_right_and_higher() {
        let mut map = example_scatter(3);
        map.places = vec![[0.0, 0.0], [10.0, 0.0], [0.0, 5.0]];
        map.background.clear();
        let points = json(&scatter_element(&map, false));
        assert_eq!((points["x"][0].as_i64(), points["x"][1].as_i64()), (Some(-5000), Some(5000)));
        assert_eq!(
            (points["y"][0].as_i64(), points["y"][2].as_i64()),
            (Some(2500), Some(-2500)),
            "one scale for both axes"
        );
    }

    #[test]
    fn maps_that_cannot_be_shown_are_left_out() {
        assert_eq!(scatter_element(&ScatterMap::default(), false), "");
        let mut map = example_scatter(4);
        map.ids.pop();
        assert_eq!(scatter_element(&map, true), "", "a name is missing");
        let mut map = example_scatter(4);
        map.places = vec![[f32::NAN; 2]; 4];
        map.background.clear();
        assert_eq!(scatter_element(&map, true), "");
        map.places[0] = [3.0, 3.0];
        assert!(scatter_element(&map, true).contains("data-wheel"));
    }

    #[test]
    fn many_classes_have_many_colours() {
        let cells: Vec<String> = (0..30).map(|k| format!("class {k:02}")).collect();
        let Some(Colours::Classes { colours, .. }) = colours(&Colouring::classes("kind", &cells)).map(|c| match c {
            Colours::Classes { colours, .. } => Colours::Classes { name: "", classes: &[], of: vec![], colours },
            other => other,
        }) else {
            panic!("classes")
        };
        let different: std::collections::BTreeSet<_> = colours.iter().collect();
        assert_eq!(different.len(), 30);
    }
}
