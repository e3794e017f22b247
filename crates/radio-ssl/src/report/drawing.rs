//! A figure as a short list of marks: described once, drawn twice, as SVG (`svg.rs`) and as PNG (`raster.rs`).
//!
//! Colours are names with a light and a dark value, so that the same SVG follows the reader's page.

/// Width of every figure in its own units.
pub(super) const WIDTH: f64 = 480.0;
/// Height of every figure.
pub(super) const HEIGHT: f64 = 330.0;

/// The colours of the figures: greys of the page, and Okabe & Ito's palette, safe for colour-blind readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Text,
    Quiet,
    Ground,
    Grid,
    Edge,
    Blue,
    Vermilion,
    Green,
    Purple,
    Orange,
    Sky,
    Grey,
    Slate,
}

impl Ink {
    pub(super) const ALL: [Ink; 13] = [
        Ink::Text,
        Ink::Quiet,
        Ink::Ground,
        Ink::Grid,
        Ink::Edge,
        Ink::Blue,
        Ink::Vermilion,
        Ink::Green,
        Ink::Purple,
        Ink::Orange,
        Ink::Sky,
        Ink::Grey,
        Ink::Slate,
    ];

    /// (name in the style sheet, colour on a light page, colour on a dark page).
    pub(super) fn look(self) -> (&'static str, [u8; 3], [u8; 3]) {
        match self {
            Ink::Text => ("text", [0x2b, 0x2f, 0x36], [0xdf, 0xe3, 0xe9]),
            Ink::Quiet => ("quiet", [0x6a, 0x71, 0x7c], [0x98, 0xa1, 0xad]),
            Ink::Ground => ("ground", [0xff, 0xff, 0xff], [0x14, 0x17, 0x1c]),
            Ink::Grid => ("grid", [0xe3, 0xe6, 0xea], [0x2b, 0x30, 0x38]),
            Ink::Edge => ("edge", [0x8b, 0x92, 0x9c], [0x6d, 0x76, 0x82]),
            Ink::Blue => ("blue", [0x00, 0x72, 0xb2], [0x4d, 0xb2, 0xf0]),
            Ink::Vermilion => ("vermilion", [0xd5, 0x5e, 0x00], [0xff, 0x8a, 0x4c]),
            Ink::Green => ("green", [0x00, 0x9e, 0x73], [0x34, 0xc7, 0x9a]),
            Ink::Purple => ("purple", [0xcc, 0x79, 0xa7], [0xe0, 0x9a, 0xc2]),
            Ink::Orange => ("orange", [0xe6, 0x9f, 0x00], [0xf0, 0xb4, 0x30]),
            Ink::Sky => ("sky", [0x3d, 0x9d, 0xd6], [0x56, 0xb4, 0xe9]),
            Ink::Grey => ("grey", [0x8a, 0x8f, 0x98], [0x9a, 0x9f, 0xa8]),
            Ink::Slate => ("slate", [0x55, 0x5a, 0x63], [0x7d, 0x84, 0x90]),
        }
    }
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pen {
    pub(super) ink: Ink,
    pub(super) width: f64,
    /// Lengths of strokes and gaps in turn; empty for a whole line.
    pub(super) dash: &'static [f64],
}

impl Pen {
    /// A curve to look at first.
    pub(super) const fn bold(ink: Ink) -> Pen {
        Pen { ink, width: 2.2, dash: &[] }
    }

    /// A thinner curve, whole or dashed.
    pub(super) const fn thin(ink: Ink, dash: &'static [f64]) -> Pen {
        Pen { ink, width: 1.3, dash }
    }

    /// Grid and frame.
    pub(super) const fn hair(ink: Ink) -> Pen {
        Pen { ink, width: 1.0, dash: &[] }
    }
}

/// Which end of a text its position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Size and weight of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lettering {
    Plain,
    /// Labels of axes.
    Quiet,
    /// Labels inside a panel, with a rim in the colour of the ground.
    Halo,
    /// The title.
    Head,
}

/// One mark, in units of the figure with the origin at the upper left.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    /// A line through the points, or the area inside them.
    Path {
        points: Vec<(f64, f64)>,
        closed: bool,
        /// Colour and opacity.
        fill: Option<(Ink, f64)>,
        pen: Option<Pen>,
    },
    Circle {
        centre: (f64, f64),
        radius: f64,
        fill: Ink,
        pen: Option<Pen>,
    },
    Text {
        /// Start, middle or end of the base line.
        at: (f64, f64),
        anchor: Anchor,
        lettering: Lettering,
        words: String,
    },
}

/// A figure: what it shows in one sentence, and its marks from back to front.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    pub(super) description: String,
    pub(super) marks: Vec<Mark>,
}

/// A polygon line.
pub(super) fn line(points: Vec<(f64, f64)>, pen: Pen) -> Mark {
    Mark::Path { points, closed: false, fill: None, pen: Some(pen) }
}

/// A rectangle from its corners.
pub(super) fn rectangle(
    (left, top): (f64, f64),
    (right, bottom): (f64, f64),
    fill: Option<(Ink, f64)>,
    pen: Option<Pen>,
) -> Mark {
    Mark::Path { points: vec![(left, top), (right, top), (right, bottom), (left, bottom)], closed: true, fill, pen }
}

/// One line of text.
pub(super) fn text(x: f64, y: f64, lettering: Lettering, anchor: Anchor, words: &str) -> Mark {
    Mark::Text { at: (x, y), anchor, lettering, words: words.to_owned() }
}
