//! A gallery as one picture for slides: rows of frames, each with rank, score and labels, framed in the colour of its
//! group.

use image::imageops::{FilterType, overlay, resize};
use image::{Rgb, RgbImage};

use super::axes::short;
use super::glyphs::{GLYPH_HEIGHT, GLYPH_WIDTH, draw_text, text_width};
use super::sky_tile::sky_tile;
use super::table::three_digits;
use super::{FrameGroup, Gallery, GalleryFrame};

/// Side of a frame on the sheet, pixels.
const SIDE: u32 = 176;
/// Width of the coloured frame around it.
const EDGE: u32 = 4;
const GAP: u32 = 14;
/// Room for the two lines under a frame.
const CAPTION: u32 = 44;
/// Room for the line that explains the colours.
const FOOT: u32 = 34;
const MARGIN: u32 = 18;
/// The first frames are the ones to look at; a larger sheet shows nothing any more on a slide.
const MOST_FRAMES: usize = 96;
const MOST_COLUMNS: u32 = 8;

const GROUND: Rgb<u8> = Rgb([0x12, 0x14, 0x18]);
const INK: Rgb<u8> = Rgb([0xf2, 0xf4, 0xf7]);
const QUIET: Rgb<u8> = Rgb([0xa9, 0xb1, 0xbc]);

/// The contact sheet of the first frames of a gallery (at most 96); `None` without frames.
pub fn contact_sheet(gallery: &Gallery) -> Option<RgbImage> {
    let frames = &gallery.frames[..gallery.frames.len().min(MOST_FRAMES)];
    if frames.is_empty() {
        return None;
    }
    let columns = columns(frames.len());
    let rows = (frames.len() as u32).div_ceil(columns);
    let (step_x, step_y) = (SIDE + 2 * EDGE + GAP, SIDE + 2 * EDGE + CAPTION);
    let mut sheet = RgbImage::from_pixel(2 * MARGIN + columns * step_x - GAP, MARGIN + rows * step_y + FOOT, GROUND);
    for (frame_idx, frame) in (0..).zip(frames) {
        let (left, top) = (MARGIN + frame_idx % columns * step_x, MARGIN + frame_idx / columns * step_y);
        draw_frame(&mut sheet, left, top, frame);
    }
    draw_groups(&mut sheet, MARGIN + rows * step_y, frames);
    Some(sheet)
}

/// Columns that make the sheet about half as wide again as it is high.
fn columns(frames: usize) -> u32 {
    ((1.8 * frames as f64).sqrt().ceil() as u32).min(frames as u32).clamp(1, MOST_COLUMNS)
}

/// One frame with its edge and its captions.
fn draw_frame(sheet: &mut RgbImage, left: u32, top: u32, frame: &GalleryFrame) {
    let edge = RgbImage::from_pixel(SIDE + 2 * EDGE, SIDE + 2 * EDGE, Rgb(frame.group.rgb()));
    overlay(sheet, &edge, i64::from(left), i64::from(top));
    let tile = sky_tile(frame.pixels.view(), SIDE as usize);
    // Frames that are not square keep their shape; the rest of the square shows the ground.
    let longest = tile.width().max(tile.height());
    let fit = |length: u32| (length * SIDE / longest).max(1);
    let (width, height) = (fit(tile.width()), fit(tile.height()));
    let tile = resize(&tile, width, height, FilterType::CatmullRom);
    let mut square = RgbImage::from_pixel(SIDE, SIDE, GROUND);
    overlay(&mut square, &tile, i64::from((SIDE - width) / 2), i64::from((SIDE - height) / 2));
    overlay(sheet, &square, i64::from(left + EDGE), i64::from(top + EDGE));

    let line = top + SIDE + 2 * EDGE + 6;
    let rank = format!("#{}", frame.rank);
    let score = three_digits(frame.score);
    draw_text(sheet, left, line, 2, INK, &rank);
    draw_text(sheet, left + SIDE + 2 * EDGE - text_width(&score, 2), line, 2, INK, &score);
    let labels = if frame.labels.is_empty() { frame.group.name().to_string() } else { frame.labels.join(" + ") };
    let room = (SIDE + 2 * EDGE) / (GLYPH_WIDTH + 1);
    draw_text(sheet, left, line + 2 * GLYPH_HEIGHT + 6, 1, QUIET, &short(&labels, room as usize));
}

/// What the edges mean, for the groups that occur.
fn draw_groups(sheet: &mut RgbImage, top: u32, frames: &[GalleryFrame]) {
    let mut left = MARGIN;
    for group in [FrameGroup::Peculiar, FrameGroup::Complex, FrameGroup::Ordinary, FrameGroup::Unlabelled] {
        if frames.iter().any(|frame| frame.group == group) {
            let swatch = RgbImage::from_pixel(14, 14, Rgb(group.rgb()));
            overlay(sheet, &swatch, i64::from(left), i64::from(top));
            draw_text(sheet, left + 20, top + 4, 1, QUIET, group.name());
            left += 20 + text_width(group.name(), 1) + 18;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example_report;
    use ndarray::Array2;

    #[test]
    fn each_frame_is_on_the_sheet_in_the_colour_of_its_group() {
        let gallery = &example_report().galleries[0];
        let sheet = contact_sheet(gallery).unwrap();
        for (frame_idx, frame) in (0..).zip(&gallery.frames) {
            let columns = columns(gallery.frames.len());
            let x = MARGIN + frame_idx % columns * (SIDE + 2 * EDGE + GAP);
            let y = MARGIN + frame_idx / columns * (SIDE + 2 * EDGE + CAPTION);
            assert_eq!(sheet.get_pixel(x, y).0, frame.group.rgb(), "frame {frame_idx}");
            assert_eq!(
                sheet.get_pixel(x + SIDE + 2 * EDGE - 1, y + SIDE + 2 * EDGE - 1).0,
                frame.group.rgb(),
                "frame {frame_idx}"
            );
        }
    }

    #[test]
    fn awkward_frames_are_drawn() {
        let frame = |pixels: Array2<f32>| GalleryFrame {
            id: "x".repeat(500),
            rank: usize::MAX,
            score: f64::NAN,
            labels: vec!["LABEL".repeat(100)],
            group: FrameGroup::Unlabelled,
            sky_deg: None,
            pixels,
        };
        let frames = vec![
            frame(Array2::zeros((0, 0))),
            frame(Array2::from_elem((3, 900), f32::NAN)),
            frame(Array2::zeros((1, 1))),
        ];
        assert!(contact_sheet(&Gallery { frames, ..Gallery::default() }).is_some());
        assert!(contact_sheet(&Gallery::default()).is_none());
    }

    #[test]
    fn the_sheet_is_limited() {
        let frame = example_report().galleries[0].frames[0].clone();
        let sheet = contact_sheet(&Gallery { frames: vec![frame; 200], ..Gallery::default() }).unwrap();
        assert_eq!(sheet.height(), MARGIN + 12 * (SIDE + 2 * EDGE + CAPTION) + FOOT);
    }
}
