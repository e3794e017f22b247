//! A region as a file has it.

use crate::celestial::frame::SkyFrame;

/// The outline of a region. Places and lengths have the units of their owner: in sky coordinates a place is (longitude, latitude) in
/// degrees and a length is in arc seconds; in image coordinates a place is (column, row) from 0 and a length is in pixels.
///
/// Angles are degrees of the region's own frame, counter-clockwise from the first axis to the `x` side of the shape as seen on a map with north up and east left.
/// On the sky, an angle of 0 lays the `x` side east-west, and the `x` axis of an angle θ has the position angle θ - 90.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Shape {
    /// A place without area.
    Point {
        /// Where.
        at: (f64, f64),
    },
    /// A text without area.
    Text {
        /// Where.
        at: (f64, f64),
    },
    /// A straight line without area.
    Line {
        /// One end.
        from: (f64, f64),
        /// The other end.
        to: (f64, f64),
    },
    /// A circle.
    Circle {
        /// Centre.
        centre: (f64, f64),
        /// Radius.
        radius: f64,
    },
    /// An ellipse.
    Ellipse {
        /// Centre.
        centre: (f64, f64),
        /// Half its length along its own x and y axes.
        semi_axes: (f64, f64),
        /// Turn of the x axis.
        angle_deg: f64,
    },
    /// A rectangle.
    Box {
        /// Centre.
        centre: (f64, f64),
        /// Full length along its own x and y axes.
        sides: (f64, f64),
        /// Turn of the x axis.
        angle_deg: f64,
    },
    /// What lies between two ellipses of one shape's centre and angle; between circles where the axes are equal.
    Annulus {
        /// Centre.
        centre: (f64, f64),
        /// Semi-axes of the hole.
        inner: (f64, f64),
        /// Semi-axes of the outline.
        outer: (f64, f64),
        /// Turn of the x axis.
        angle_deg: f64,
    },
    /// A polygon, closed by itself.
    Polygon {
        /// Its corners, at least three.
        corners: Vec<(f64, f64)>,
    },
}

/// The axes of a region's places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RegionFrame {
    /// Pixels of the image.
    Image,
    /// DS9's `physical`: pixels of the image from which this one was cut, by the keywords LTM and LTV ([`Region::on_mosaic`]). Without them
    /// it is [`RegionFrame::Image`].
    Physical,
    /// Longitude and latitude.
    Sky(SkyFrame),
}

/// One region of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Its outline.
    pub shape: Shape,
    /// The axes of its places.
    pub frame: RegionFrame,
    /// Whether its pixels are taken, or (`-` before the shape) left out.
    pub include: bool,
    /// DS9's `text`, CRTF's `label`.
    pub text: Option<String>,
    /// Name of its colour.
    pub color: Option<String>,
    /// DS9's `tag`s, by which regions are grouped.
    pub tags: Vec<String>,
}

impl Region {
    /// An included region without text, colour and tags.
    pub fn new(frame: RegionFrame, shape: Shape) -> Self {
        Self { shape, frame, include: true, text: None, color: None, tags: Vec::new() }
    }
}

/// What was read from a region file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RegionList {
    /// The regions, in the order of the file.
    pub regions: Vec<Region>,
    /// What is legal but has no place here.
    pub skipped: Vec<Skipped>,
}

/// A shape that was read over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Line, from 1.
    pub line: usize,
    /// What it is.
    pub what: String,
}
