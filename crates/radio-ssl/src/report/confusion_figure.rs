//! A confusion matrix as a figure: rows are true classes, shares of a row in percent, counts below.

use super::axes::{RIGHT, drawing, heading, short};
use super::drawing::{Anchor, Drawing, Ink, Lettering, Pen, rectangle, text};

/// Most classes that are drawn.
const MOST: usize = 12;

/// The figure; `counts[true][predicted]`. `None` if the matrix is not square, empty, or larger than twelve classes.
pub fn confusion_figure(title: &str, result: &str, classes: &[String], counts: &[Vec<u64>]) -> Option<Drawing> {
    let n = classes.len();
    if n == 0 || n > MOST || counts.len() != n || counts.iter().any(|row| row.len() != n) {
        return None;
    }
    let (left, top, bottom) = (112.0, 56.0, 306.0);
    let (width, height) = ((RIGHT - left) / n as f64, (bottom - top) / n as f64);
    let mut marks = heading(title, result);
    marks.push(text(
        (left + RIGHT) / 2.0,
        bottom + 18.0,
        Lettering::Quiet,
        Anchor::Middle,
        "predicted class (columns), true class (rows)",
    ));
    for (row, (name, counts)) in classes.iter().zip(counts).enumerate() {
        let all: u64 = counts.iter().sum();
        let y = top + row as f64 * height;
        marks.push(text(left - 8.0, y + height / 2.0 + 4.5, Lettering::Plain, Anchor::End, &short(name, 13)));
        let x = left + (row as f64 + 0.5) * width;
        marks.push(text(x, top - 7.0, Lettering::Quiet, Anchor::Middle, &short(name, (width / 7.4).max(3.0) as usize)));
        for (column, &count) in counts.iter().enumerate() {
            let share = if all > 0 { count as f64 / all as f64 } else { 0.0 };
            let x = left + column as f64 * width;
            let ink = if row == column { Ink::Blue } else { Ink::Vermilion };
            // At most 0.6: numbers stay readable on a light and on a dark page.
            let fill = (count > 0).then_some((ink, (0.04 + 0.56 * share).min(0.6)));
            marks.push(rectangle((x, y), (x + width, y + height), fill, Some(Pen::hair(Ink::Grid))));
            let middle = (x + width / 2.0, y + height / 2.0);
            marks.push(text(
                middle.0,
                middle.1 + 1.0,
                Lettering::Plain,
                Anchor::Middle,
                &format!("{:.1}", 100.0 * share),
            ));
            if n <= 8 {
                marks.push(text(middle.0, middle.1 + 15.0, Lettering::Quiet, Anchor::Middle, &count.to_string()));
            }
        }
    }
    marks.push(rectangle((left, top), (RIGHT, bottom), None, Some(Pen::hair(Ink::Edge))));
    Some(drawing(&format!("{title}: {result}. Rows are true classes, in percent of the row"), marks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::svg::{Style, svg};

    #[test]
    fn rows_are_normalised_and_counts_shown() {
        let classes = ["a".to_owned(), "b".to_owned()];
        let drawn = svg(&confusion_figure("c", "", &classes, &[vec![3, 1], vec![0, 0]]).unwrap(), Style::Inline);
        for part in ["75.0", "25.0", ">3<", ">1<"] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        assert!(!drawn.contains("NaN"));
        assert_eq!(confusion_figure("c", "", &classes, &[vec![1, 2]]), None);
        assert_eq!(confusion_figure("c", "", &[], &[]), None);
    }
}
