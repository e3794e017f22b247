//! The still picture of a map, for slides and for pages without a script.

use super::{Colouring, ScatterMap};
use crate::report::axes::{LEFT, RIGHT, TOP, drawing, heading, short};
use crate::report::drawing::{Anchor, Drawing, HEIGHT, Ink, Lettering, Mark, Pen, rectangle, text};
use crate::report::{FrameGroup, score_figures};

/// Most points: more are not told apart at this size, and the file stays small.
const MOST_POINTS: usize = 4_000;
/// Colours of classes, in alphabetical order of their names.
const CLASSES: [Ink; 6] = [Ink::Blue, Ink::Vermilion, Ink::Green, Ink::Purple, Ink::Orange, Ink::Text];
/// Colours of fifths of a number, low to high.
const FIFTHS: [Ink; 5] = [Ink::Slate, Ink::Blue, Ink::Green, Ink::Orange, Ink::Vermilion];
/// Room left around the points, as a share of the panel.
const ROOM: f64 = 0.04;
/// Name of points that are in no class.
const UNKNOWN: &str = "not known";

/// Colour of a class: groups of frames have theirs, other classes go by number. `None` beyond the palette.
pub(super) fn ink_of(name: &str, class: usize) -> Option<Ink> {
    let group = [FrameGroup::Peculiar, FrameGroup::Complex, FrameGroup::Ordinary, FrameGroup::Unlabelled];
    match group.into_iter().find(|group| group.name() == name) {
        Some(group) => Some(score_figures::ink(group)),
        None => CLASSES.get(class).copied(),
    }
}

/// The map, coloured by one of its colourings; without one in a single colour. `None` without a point.
///
/// Of more than 4,000 points every so manyth is drawn.
pub fn scatter_figure(map: &ScatterMap, colouring: usize) -> Option<Drawing> {
    let (middle, extent) = map.extent().filter(|_| map.is_whole())?;
    let (groups, of) = groups(map.colourings.get(colouring), map.ids.len());
    let names: Vec<&str> = of.iter().map(|&group| groups[group].0.as_str()).collect();
    let places = ndarray::Array2::from_shape_fn((map.places.len(), 2), |(row, axis)| map.places[row][axis]);
    let drawn = map_umap::scatter(places.view(), &names, MOST_POINTS).ok()?;

    let legend = legend(&groups);
    let top = TOP_EDGE + ROW * legend.len().saturating_sub(1) as f64;
    let unit = (1.0 - 2.0 * ROOM) * ((BOTTOM - top) / extent[1]).min((RIGHT - LEFT) / extent[0]);
    let centre = ((LEFT + RIGHT) / 2.0, (top + BOTTOM) / 2.0);
    let at = |place: &[f32; 2]| {
        let place = place.map(f64::from);
        (centre.0 + unit * (place[0] - middle[0]), centre.1 - unit * (place[1] - middle[1]))
    };
    let radius = if map.ids.len() > 1_500 { 1.3 } else { 2.0 };
    let dot = |place: &[f32; 2], fill: Ink| {
        let centre = at(place);
        (centre.0.is_finite() && centre.1.is_finite()).then_some(Mark::Circle { centre, radius, fill, pen: None })
    };

    let name = map.colourings.get(colouring).map_or("", Colouring::name);
    let mut marks = heading(&short(&map.title, 34), &short(name, 24));
    marks.push(rectangle((LEFT, top), (RIGHT, BOTTOM), None, Some(Pen::hair(Ink::Edge))));
    let thin = (map.background.len() / MOST_POINTS).max(1);
    marks.extend(map.background.iter().step_by(thin).filter_map(|place| dot(place, Ink::Grid)));
    // Classes in turn, not one on top of the other: the nth points of all, then the next.
    let mut of_group: Vec<(Ink, std::slice::Iter<[f32; 2]>)> = Vec::new();
    for group in &drawn {
        let ink = groups.iter().find(|(name, _)| *name == group.label).map_or(Ink::Grey, |found| found.1);
        of_group.push((ink, group.points.iter()));
    }
    let most = drawn.iter().map(|group| group.points.len()).max().unwrap_or(0);
    for turn in 1..=most {
        for ((ink, points), group) in of_group.iter_mut().zip(&drawn) {
            // Small groups are spread over the turns, so that they are neither all below nor all above.
            let due = (turn * group.points.len()).div_ceil(most) - ((turn - 1) * group.points.len()).div_ceil(most);
            marks.extend(points.by_ref().take(due).filter_map(|place| dot(place, *ink)));
        }
    }
    marks.extend(legend.into_iter().flatten());
    Some(drawing(&format!("{}, coloured by {name}", map.title), marks))
}

/// Upper edge: the panel has no label above it but the legend.
const TOP_EDGE: f64 = TOP - 4.0;
/// Lower edge: no numbers stand below, for the axes mean nothing.
const BOTTOM: f64 = HEIGHT - 14.0;

/// Names and colours of the groups of points, and the group of every point.
fn groups(colouring: Option<&Colouring>, points: usize) -> (Vec<(String, Ink)>, Vec<usize>) {
    match colouring {
        None => (vec![(String::new(), Ink::Blue)], vec![0; points]),
        Some(Colouring::Classes { classes, of, .. }) => {
            let mut groups: Vec<(String, Ink)> = classes
                .iter()
                .enumerate()
                .map(|(class, name)| (name.clone(), ink_of(name, class).unwrap_or(Ink::Slate)))
                .collect();
            groups.push((UNKNOWN.into(), Ink::Grey));
            (groups, of.iter().map(|class| class.unwrap_or(classes.len()).min(classes.len())).collect())
        }
        Some(Colouring::Values { values, .. }) => {
            let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
            finite.sort_by(f64::total_cmp);
            let bound = |fifth: usize| finite.get(finite.len() * fifth / 5).or(finite.last()).copied();
            let bounds: Vec<f64> = (1..5).filter_map(bound).collect();
            let mut groups: Vec<(String, Ink)> = bounds
                .iter()
                .enumerate()
                .map(|(fifth, bound)| (format!("< {}", brief(*bound)), FIFTHS[fifth]))
                .collect();
            groups.extend(bounds.last().map(|_| ("more".to_owned(), FIFTHS[4])));
            groups.push((UNKNOWN.into(), Ink::Grey));
            let unknown = groups.len() - 1;
            let of =
                |v: &f64| if v.is_finite() { bounds.iter().filter(|bound| *v >= **bound).count() } else { unknown };
            (groups, values.iter().map(of).collect())
        }
    }
}

/// Three digits that count: noise is 2e-5, scores are 0.5.
fn brief(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size > 0.0 && size < 1e-2 => format!("{value:.1e}"),
        _ if size >= 1e5 => format!("{value:.1e}"),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// Distance of two rows of the legend.
const ROW: f64 = 17.0;
/// Rows of the legend at most.
const MOST_ROWS: usize = 2;

/// A dot and a name for every group, in rows under the heading; what does not fit is left out.
fn legend(groups: &[(String, Ink)]) -> Vec<Vec<Mark>> {
    let mut rows: Vec<Vec<Mark>> = Vec::new();
    let mut x = f64::INFINITY;
    for (name, ink) in groups.iter().filter(|(name, _)| !name.is_empty() && name != UNKNOWN) {
        let name = short(name, 18);
        let width = 14.0 + 7.2 * name.chars().count() as f64;
        if x + width > RIGHT {
            if rows.len() == MOST_ROWS {
                break;
            }
            rows.push(Vec::new());
            x = LEFT;
        }
        let y = 41.0 + ROW * (rows.len() - 1) as f64;
        if let Some(row) = rows.last_mut() {
            row.push(Mark::Circle { centre: (x + 5.0, y), radius: 4.5, fill: *ink, pen: None });
            row.push(text(x + 14.0, y + 4.5, Lettering::Plain, Anchor::Start, &name));
        }
        x += width + 14.0;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::tests::example_scatter;
    use super::*;

    fn dots(drawing: &Drawing) -> Vec<(f64, f64)> {
        let of = |mark: &Mark| match mark {
            Mark::Circle { centre, radius, .. } if *radius < 3.0 => Some(*centre),
            _ => None,
        };
        drawing.marks.iter().filter_map(of).collect()
    }

    #[test]
    fn every_point_is_inside_the_panel() {
        let map = example_scatter(300);
        for colouring in 0..3 {
            let drawing = scatter_figure(&map, colouring).unwrap();
            let dots = dots(&drawing);
            assert_eq!(dots.len(), 302, "the background too");
            assert!(dots.iter().all(|(x, y)| (LEFT..=RIGHT).contains(x) && (TOP_EDGE..=BOTTOM).contains(y)));
        }
        assert_eq!(scatter_figure(&ScatterMap::default(), 0), None);
    }

    #[test]
    fn many_points_are_thinned_and_no_class_is_lost() {
        let map = example_scatter(9_000);
        let drawing = scatter_figure(&map, 0).unwrap();
        assert_eq!(dots(&drawing).len(), MOST_POINTS + 2);
        for ink in [Ink::Blue, Ink::Vermilion, Ink::Green, Ink::Grey] {
            let of = |mark: &&Mark| matches!(mark, Mark::Circle { fill, radius, .. } if *fill == ink && *radius < 3.0);
            assert!(drawing.marks.iter().filter(of).count() > 100, "{ink:?}");
        }
    }

    #[test]
    fn six_classes_have_six_colours_and_a_name_each() {
        let six = |name: &str| -> Vec<(String, Ink)> {
            (0..6).map(|class| (format!("{name}{class}"), ink_of("", class).unwrap())).collect()
        };
        for (name, rows) in [("1C-P", 1), ("edge-darkened", 2)] {
            let legend = legend(&six(name));
            assert_eq!(legend.len(), rows, "{name}");
            let names = legend.iter().flatten().filter(|mark| matches!(mark, Mark::Text { .. })).count();
            assert!(names == 6 || rows == 2 && names >= 4, "{name}: {names}");
        }
        let inks: Vec<Ink> = six("").into_iter().map(|(_, ink)| ink).collect();
        assert!((0..6).all(|a| (0..a).all(|b| inks[a] != inks[b])));
    }

    #[test]
    fn fifths_of_a_number_are_of_one_size() {
        let values: Vec<f64> = (0..100).map(f64::from).chain([f64::NAN]).collect();
        let (groups, of) = groups(Some(&Colouring::Values { name: "v".into(), values }), 101);
        let count = |group: usize| of.iter().filter(|&&g| g == group).count();
        assert_eq!((0..6).map(count).collect::<Vec<_>>(), [20, 20, 20, 20, 20, 1]);
        assert_eq!((groups[0].0.as_str(), groups[5].0.as_str()), ("< 20.0", UNKNOWN));
    }
}
