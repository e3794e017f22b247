//! A map of cutouts as a figure: points coloured by class. Axes of such a map have no meaning, so none are numbered.

use super::axes::{LEFT, RIGHT, Range, drawable, drawing, heading};
use super::class_figures::{SERIES, key};
use super::drawing::{Drawing, Ink, Mark, Pen, rectangle};

/// The points of one class.
pub type ClassPoints = (String, Vec<[f32; 2]>);

/// A scatter figure; `result` stands at the right of the title. `None` without a point that can be drawn.
///
/// Points of different classes are drawn in turn, so that the last class does not hide the others.
pub fn map_figure(title: &str, result: &str, classes: &[ClassPoints]) -> Option<Drawing> {
    let points = || classes.iter().flat_map(|(_, points)| points);
    let x = Range::around(points().map(|p| f64::from(p[0])))?.widened(0.03);
    let y = Range::around(points().map(|p| f64::from(p[1])))?.widened(0.03);
    let (top, bottom) = (74.0, 320.0);
    let mut marks = heading(title, result);
    marks.extend(key(&classes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()));
    marks.push(rectangle((LEFT, top), (RIGHT, bottom), None, Some(Pen::hair(Ink::Edge))));
    let share = |v: f64, range: Range| (v - range.low) / (range.high - range.low);
    let most = classes.iter().map(|(_, points)| points.len()).max().unwrap_or(0);
    let radius = if points().count() > 1500 { 1.4 } else { 2.0 };
    for k in 0..most {
        for (class, (_, points)) in classes.iter().enumerate() {
            let Some(point) = points.get(k).map(|p| p.map(f64::from)).filter(|p| p.iter().all(|v| drawable(*v))) else {
                continue;
            };
            let centre = (LEFT + share(point[0], x) * (RIGHT - LEFT), bottom - share(point[1], y) * (bottom - top));
            let fill = SERIES.get(class).copied().unwrap_or(Ink::Text);
            marks.push(Mark::Circle { centre, radius, fill, pen: None });
        }
    }
    Some(drawing(&format!("{title}, {} points by class. {result}", points().count()), marks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::svg::{Style, svg};

    #[test]
    fn every_point_is_drawn_in_its_colour() {
        let classes = vec![
            ("1C-1P".to_owned(), vec![[0.0, 0.0], [1.0, f32::NAN]]),
            ("2C-2P".to_owned(), vec![[2.0, 3.0], [1.0, 1.0], [0.5, 2.0]]),
        ];
        let drawn = svg(&map_figure("map", "", &classes).unwrap(), Style::Standalone);
        assert_eq!(
            drawn.matches("class=\"f-blue\"").count(),
            1 + 1,
            "one in the key; a place that is not a number is left out"
        );
        assert_eq!(drawn.matches("class=\"f-vermilion\"").count(), 1 + 3);
        assert_eq!(map_figure("map", "", &[]), None);
    }
}
