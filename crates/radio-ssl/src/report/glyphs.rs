//! Capital letters, figures and a few signs, five by seven pixels each, for the captions of the contact sheet.
//!
//! A picture that leaves the page must carry its own captions, and a font file would be a hundred times its size.

use image::{Rgb, RgbImage};

/// Width of a glyph in pixels before scaling; one more is left free between two.
pub(super) const GLYPH_WIDTH: u32 = 5;
/// Height of a glyph in pixels before scaling.
pub(super) const GLYPH_HEIGHT: u32 = 7;

/// Seven rows from the top, the five low bits of each are pixels, the highest of them is the left one. Unknown
/// characters are a blank.
fn glyph(character: char) -> [u8; 7] {
    match character.to_ascii_uppercase() {
        '0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        '1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        '2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        '3' => [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110],
        '4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        '6' => [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        '7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b00100, 0b01000, 0b01000],
        '8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        '9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
        'A' => [0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001],
        'B' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10001, 0b10001, 0b11110],
        'C' => [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110],
        'D' => [0b11110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11110],
        'E' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111],
        'F' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b10000],
        'G' => [0b01110, 0b10001, 0b10000, 0b10111, 0b10001, 0b10001, 0b01110],
        'H' => [0b10001, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001],
        'I' => [0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        'J' => [0b00111, 0b00010, 0b00010, 0b00010, 0b00010, 0b10010, 0b01100],
        'K' => [0b10001, 0b10010, 0b10100, 0b11000, 0b10100, 0b10010, 0b10001],
        'L' => [0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111],
        'M' => [0b10001, 0b11011, 0b10101, 0b10101, 0b10001, 0b10001, 0b10001],
        'N' => [0b10001, 0b11001, 0b10101, 0b10101, 0b10011, 0b10001, 0b10001],
        'O' => [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'P' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10000, 0b10000, 0b10000],
        'Q' => [0b01110, 0b10001, 0b10001, 0b10001, 0b10101, 0b10010, 0b01101],
        'R' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001],
        'S' => [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110],
        'T' => [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100],
        'U' => [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        'V' => [0b10001, 0b10001, 0b10001, 0b10001, 0b01010, 0b01010, 0b00100],
        'W' => [0b10001, 0b10001, 0b10001, 0b10101, 0b10101, 0b11011, 0b10001],
        'X' => [0b10001, 0b01010, 0b00100, 0b00100, 0b00100, 0b01010, 0b10001],
        'Y' => [0b10001, 0b10001, 0b01010, 0b00100, 0b00100, 0b00100, 0b00100],
        'Z' => [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b10000, 0b11111],
        '#' => [0b01010, 0b01010, 0b11111, 0b01010, 0b11111, 0b01010, 0b01010],
        '.' => [0, 0, 0, 0, 0, 0b01100, 0b01100],
        ',' => [0, 0, 0, 0, 0b01100, 0b00100, 0b01000],
        '-' | '–' | '\u{2212}' => [0, 0, 0, 0b01110, 0, 0, 0],
        '+' => [0, 0b00100, 0b00100, 0b11111, 0b00100, 0b00100, 0],
        '_' => [0, 0, 0, 0, 0, 0, 0b11111],
        '/' => [0b00001, 0b00010, 0b00010, 0b00100, 0b01000, 0b01000, 0b10000],
        '…' => [0, 0, 0, 0, 0, 0, 0b10101],
        _ => [0; 7],
    }
}

/// Width of a line of text in pixels at a scale.
pub(super) fn text_width(words: &str, scale: u32) -> u32 {
    (words.chars().count() as u32 * (GLYPH_WIDTH + 1)).saturating_sub(1) * scale
}

/// Draws a line of text with its upper left corner at `(left, top)`; what lies outside the picture is cut off.
pub(super) fn draw_text(picture: &mut RgbImage, left: u32, top: u32, scale: u32, colour: Rgb<u8>, words: &str) {
    for (character_idx, character) in words.chars().enumerate() {
        let glyph_left = left + character_idx as u32 * (GLYPH_WIDTH + 1) * scale;
        for (row, bits) in glyph(character).into_iter().enumerate() {
            for col in (0..GLYPH_WIDTH).filter(|col| bits >> (GLYPH_WIDTH - 1 - col) & 1 == 1) {
                for (dy, dx) in (0..scale).flat_map(|dy| (0..scale).map(move |dx| (dy, dx))) {
                    let (x, y) = (glyph_left + col * scale + dx, top + row as u32 * scale + dy);
                    if x < picture.width() && y < picture.height() {
                        picture.put_pixel(x, y, colour);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_caption_character_has_its_own_shape() {
        let characters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ#.,-+_/";
        let shapes: BTreeSet<[u8; 7]> = characters.chars().map(glyph).collect();
        assert_eq!(shapes.len(), characters.len());
        assert!(shapes.iter().all(|shape| shape.iter().all(|row| *row < 32) && *shape != [0; 7]));
    }

    #[test]
    fn text_reads_from_left_to_right_and_from_the_top() {
        let mut picture = RgbImage::new(12, 8);
        draw_text(&mut picture, 0, 0, 1, Rgb([255; 3]), "L1");
        let lit = |x, y| picture.get_pixel(x, y).0[0] == 255;
        assert!(lit(0, 0) && lit(4, 6) && !lit(4, 0), "an L has its foot at the lower right");
        assert!(lit(8, 0) && lit(7, 6), "the 1 comes second");
        assert_eq!(text_width("L1", 2), 22);
    }

    #[test]
    fn text_that_does_not_fit_is_cut() {
        let mut picture = RgbImage::new(3, 3);
        draw_text(&mut picture, 2, 2, 3, Rgb([255; 3]), "ABC é\u{1f600}");
        assert_eq!(text_width("", 3), 0);
    }
}
