//! A drawing as PNG for slides, in the colours of a light page, three pixels to a unit.
//!
//! Lines and letters are filled by tiny-skia; the letters come from a small part of DejaVu Sans (its licence is beside the font
//! file), because no system font can be relied on and the same report must give the same bytes.

use image::{Rgb, RgbImage};
use tiny_skia::{Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke, StrokeDash, Transform};
use ttf_parser::{Face, OutlineBuilder};

use super::drawing::{Anchor, Drawing, HEIGHT, Ink, Lettering, Mark, Pen, WIDTH};

/// Pixels to a unit of the drawing.
const SCALE: f32 = 3.0;
/// Letters of the page are 13 units high; DejaVu Sans runs wider than most, so it is set a little smaller.
const LETTER_SIZE: f32 = 11.8;
const HEAD_SIZE: f32 = 12.8;
/// Rim around letters on top of curves, and the thickening of a title.
const HALO_WIDTH: f32 = 5.0;
const HEAD_RIM: f32 = 0.5;

static FONT: &[u8] = include_bytes!("font/dejavu-sans-subset.ttf");

/// The drawing as a picture.
pub(super) fn picture(drawing: &Drawing) -> RgbImage {
    let (width, height) = ((WIDTH as f32 * SCALE) as u32, (HEIGHT as f32 * SCALE) as u32);
    let ground = Rgb(Ink::Ground.look().1);
    let mut picture = RgbImage::from_pixel(width, height, ground);
    // Neither fails: the size is a constant and the font is part of the program.
    let (Some(mut canvas), Ok(font)) = (Pixmap::new(width, height), Face::parse(FONT, 0)) else { return picture };
    canvas.fill(colour(Ink::Ground, 1.0));
    for mark in &drawing.marks {
        draw(&mut canvas, &font, mark);
    }
    for (to, from) in picture.pixels_mut().zip(canvas.pixels()) {
        // The ground is opaque, so colours are not multiplied by anything.
        *to = Rgb([from.red(), from.green(), from.blue()]);
    }
    picture
}

fn colour(ink: Ink, opacity: f64) -> Color {
    let [r, g, b] = ink.look().1;
    Color::from_rgba8(r, g, b, (255.0 * opacity).round() as u8)
}

fn paint(ink: Ink, opacity: f64) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(colour(ink, opacity));
    paint
}

fn fill_path(canvas: &mut Pixmap, path: &Path, ink: Ink, opacity: f64) {
    canvas.fill_path(path, &paint(ink, opacity), FillRule::Winding, Transform::from_scale(SCALE, SCALE), None);
}

fn stroke_path(canvas: &mut Pixmap, path: &Path, pen: Pen) {
    let dash = StrokeDash::new(pen.dash.iter().map(|length| *length as f32).collect(), 0.0);
    let stroke = Stroke {
        width: pen.width as f32,
        line_join: LineJoin::Round,
        line_cap: LineCap::Butt,
        dash: if pen.dash.is_empty() { None } else { dash },
        ..Stroke::default()
    };
    canvas.stroke_path(path, &paint(pen.ink, 1.0), &stroke, Transform::from_scale(SCALE, SCALE), None);
}

fn draw(canvas: &mut Pixmap, font: &Face, mark: &Mark) {
    match mark {
        Mark::Path { points, closed, fill, pen } => {
            let mut path = PathBuilder::new();
            for (k, (x, y)) in points.iter().enumerate() {
                match k {
                    0 => path.move_to(*x as f32, *y as f32),
                    _ => path.line_to(*x as f32, *y as f32),
                }
            }
            if *closed {
                path.close();
            }
            // A path without length draws nothing.
            let Some(path) = path.finish() else { return };
            if let Some((ink, opacity)) = fill {
                fill_path(canvas, &path, *ink, *opacity);
            }
            if let Some(pen) = pen {
                stroke_path(canvas, &path, *pen);
            }
        }
        Mark::Circle { centre: (x, y), radius, fill, pen } => {
            let Some(path) = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32) else { return };
            fill_path(canvas, &path, *fill, 1.0);
            if let Some(pen) = pen {
                stroke_path(canvas, &path, *pen);
            }
        }
        Mark::Text { at, anchor, lettering, words } => {
            let size = if *lettering == Lettering::Head { HEAD_SIZE } else { LETTER_SIZE };
            let Some(path) = letters(font, words, size, *at, *anchor) else { return };
            let rim = |ink, width: f32| Pen { ink, width: f64::from(width), dash: &[] };
            match lettering {
                Lettering::Plain => fill_path(canvas, &path, Ink::Text, 1.0),
                Lettering::Quiet => fill_path(canvas, &path, Ink::Quiet, 1.0),
                Lettering::Halo => {
                    stroke_path(canvas, &path, rim(Ink::Ground, HALO_WIDTH));
                    fill_path(canvas, &path, Ink::Quiet, 1.0);
                }
                Lettering::Head => {
                    stroke_path(canvas, &path, rim(Ink::Text, HEAD_RIM));
                    fill_path(canvas, &path, Ink::Text, 1.0);
                }
            }
        }
    }
}

/// The outlines of a line of text; `None` if it has none.
fn letters(font: &Face, words: &str, size: f32, (x, y): (f64, f64), anchor: Anchor) -> Option<Path> {
    let scale = size / f32::from(font.units_per_em());
    // A character the font does not have is shown as a question mark, never left out.
    let glyphs: Vec<_> = words
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .filter_map(|letter| font.glyph_index(letter).or_else(|| font.glyph_index('?')))
        .collect();
    let advance = |glyph| scale * f32::from(font.glyph_hor_advance(glyph).unwrap_or(0));
    let length: f32 = glyphs.iter().map(|glyph| advance(*glyph)).sum();
    let mut left = match anchor {
        Anchor::Start => x as f32,
        Anchor::Middle => x as f32 - 0.5 * length,
        Anchor::End => x as f32 - length,
    };
    let mut outline = Outline { path: PathBuilder::new(), scale, left, base: y as f32 };
    for glyph in glyphs {
        outline.left = left;
        font.outline_glyph(glyph, &mut outline);
        left += advance(glyph);
    }
    outline.path.finish()
}

/// Collects the outlines of glyphs, whose y axis points up.
struct Outline {
    path: PathBuilder,
    scale: f32,
    left: f32,
    base: f32,
}

impl Outline {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.left + self.scale * x, self.base - self.scale * y)
    }
}

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::drawing::{line, text};

    fn drawn(marks: Vec<Mark>) -> RgbImage {
        picture(&Drawing { description: String::new(), marks })
    }

    fn dark_box(picture: &RgbImage) -> Option<[u32; 4]> {
        let dark = picture.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] < 128);
        dark.fold(None, |found: Option<[u32; 4]>, (x, y, _)| {
            let [left, top, right, bottom] = found.unwrap_or([x, y, x, y]);
            Some([left.min(x), top.min(y), right.max(x), bottom.max(y)])
        })
    }

    #[test]
    fn the_font_has_every_character_of_the_figures() {
        let font = Face::parse(FONT, 0).unwrap();
        let needed = (' '..='~').chain("–−…″′°×·±≥\u{2003}".chars());
        needed.for_each(|letter| assert!(font.glyph_index(letter).is_some(), "{letter}"));
    }

    #[test]
    fn a_line_is_where_it_belongs() {
        let picture = drawn(vec![line(vec![(10.0, 20.0), (60.0, 20.0)], Pen::bold(Ink::Blue))]);
        assert_eq!(picture.dimensions(), (1440, 990));
        assert_eq!(picture.get_pixel(90, 60).0, Ink::Blue.look().1);
        assert_eq!(picture.get_pixel(90, 90).0, [255; 3]);
        assert_eq!(dark_box(&picture).map(|b| (b[0], b[2])), Some((30, 179)));
    }

    #[test]
    fn text_stands_on_its_base_line_and_ends_at_its_anchor() {
        let at = |anchor| drawn(vec![text(200.0, 100.0, Lettering::Plain, anchor, "HE")]);
        let [left, top, _, bottom] = dark_box(&at(Anchor::Start)).unwrap();
        assert!(
            (598..610).contains(&left) && (270..280).contains(&top) && (297..301).contains(&bottom),
            "{left} {top} {bottom}"
        );
        let [_, _, right, _] = dark_box(&at(Anchor::End)).unwrap();
        assert!((590..602).contains(&right), "{right}");
        let [left, _, right, _] = dark_box(&at(Anchor::Middle)).unwrap();
        assert!((left + right).abs_diff(1200) < 8, "{left} {right}");
        assert!(dark_box(&drawn(vec![text(9.0, 9.0, Lettering::Plain, Anchor::Start, " \u{0}")])).is_none());
        assert!(dark_box(&drawn(vec![text(9.0, 29.0, Lettering::Plain, Anchor::Start, "天")])).is_some());
    }

    #[test]
    fn degenerate_marks_draw_nothing() {
        let nowhere = |points| Mark::Path { points, closed: true, fill: Some((Ink::Blue, 1.0)), pen: None };
        assert!(dark_box(&drawn(vec![nowhere(vec![]), nowhere(vec![(5.0, 5.0)])])).is_none());
    }
}
