//! DS9 region files (version 4 and the older SAOimage style): shapes, frames, `global` lines, properties.
//!
//! The grammar is that of the DS9 manual ("Regions"). Pixels count from 1 there and from 0 here. Shapes that describe a measurement
//! rather than an area (vector, ruler, projection, pandas) are reported as skipped; words that are no shape are errors.

use std::{borrow::Cow, path::Path};

use super::{
    ds9_properties::{self, Properties},
    region::{Region, RegionFrame, RegionList, Shape, Skipped},
    text::{self, MOST_RINGS, Place},
};
use crate::{celestial::frame::SkyFrame, error::Error};

/// Reads a DS9 region file.
///
/// # Errors
/// [`Error::Io`], and those of [`parse_ds9`].
pub fn read_ds9(path: &Path) -> Result<RegionList, Error> {
    parse_ds9(&text::read(path)?, path)
}

/// Reads the text of a DS9 region file; `path` is for messages.
///
/// # Errors
/// [`Error::Region`] with the line, for words that are no shape, frames that are not supported, numbers that cannot be read, and
/// sizes whose unit does not go with their frame.
pub fn parse_ds9(text: &str, path: &Path) -> Result<RegionList, Error> {
    let mut list = RegionList::default();
    let mut global = Properties::default();
    // DS9's own default.
    let mut frame = RegionFrame::Physical;
    for (number, line) in text.lines().enumerate() {
        let place = Place { path, line: number + 1 };
        let Some(line) = without_comment(line) else { continue };
        for (shape, properties) in statements(&line) {
            let word = shape.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
            if word.is_empty() {
                continue;
            }
            if word == "global" {
                ds9_properties::read(&shape[6..], place, &mut global)?;
                global.tags.clear();
                global.text = None;
                continue;
            }
            if let Some(named) = frame_of(shape.trim(), place)? {
                frame = named;
                continue;
            }
            let mut own = global.clone();
            ds9_properties::read(properties, place, &mut own)?;
            read_shape(shape, frame, &own, place, &mut list)?;
        }
    }
    Ok(list)
}

/// A line without its comment; `None` if it is one. Some shapes are hidden in comments, for old programs to pass over.
fn without_comment(line: &str) -> Option<Cow<'_, str>> {
    let line = line.trim();
    let Some(comment) = line.strip_prefix('#') else { return Some(line.into()) };
    let comment = comment.trim_start();
    let name: String = comment.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    let hidden = ["text", "vector", "ruler", "projection", "segment", "compass"].contains(&name.as_str());
    // Their properties follow without a mark.
    (hidden && comment[name.len()..].trim_start().starts_with('(')).then(|| comment.replacen(')', ") #", 1).into())
}

/// The statements of a line, divided by `;`, each as what stands before and after its `#`. Braces and quotes hold only after the
/// `#`: before it, quotes are units.
fn statements(line: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let (mut start, mut hash, mut closing) = (0, None, None);
    let is_global = |start: usize| line[start..].trim_start().to_ascii_lowercase().starts_with("global");
    let mut global = is_global(0);
    for (at, letter) in line.char_indices() {
        match (closing, letter) {
            (Some(mark), _) if letter == mark => closing = None,
            (Some(_), _) => {}
            (None, '#') if hash.is_none() && !global => hash = Some(at),
            (None, '{') if hash.is_some() || global => closing = Some('}'),
            (None, '"' | '\'') if hash.is_some() || global => closing = Some(letter),
            (None, ';') => {
                found.push(split_at(line, start, hash, at));
                (start, hash) = (at + 1, None);
                global = is_global(start);
            }
            _ => {}
        }
    }
    found.push(split_at(line, start, hash, line.len()));
    found
}

fn split_at(line: &str, start: usize, hash: Option<usize>, end: usize) -> (&str, &str) {
    let hash = hash.unwrap_or(end);
    (line[start..hash].trim(), line[hash..end].trim_start_matches('#'))
}

fn frame_of(word: &str, place: Place<'_>) -> Result<Option<RegionFrame>, Error> {
    Ok(Some(match word.to_ascii_lowercase().as_str() {
        "image" => RegionFrame::Image,
        "physical" => RegionFrame::Physical,
        "icrs" => RegionFrame::Sky(SkyFrame::Icrs),
        "fk5" | "j2000" => RegionFrame::Sky(SkyFrame::FK5_J2000),
        "fk4" | "b1950" => RegionFrame::Sky(SkyFrame::FK4_B1950),
        "galactic" => RegionFrame::Sky(SkyFrame::Galactic),
        "ecliptic" | "linear" | "detector" | "amplifier" | "wcs" => {
            return Err(place.refuse(word, "coordinates image, physical, icrs, fk5, fk4 or galactic"));
        }
        _ => return Ok(None),
    }))
}

fn read_shape(
    text: &str,
    frame: RegionFrame,
    properties: &Properties,
    place: Place<'_>,
    list: &mut RegionList,
) -> Result<(), Error> {
    let text = text.trim_end_matches(|letter: char| letter == '|' || letter.is_whitespace());
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'-') => (Some(false), &text[1..]),
        Some(b'+') => (Some(true), &text[1..]),
        _ => (None, text),
    };
    let rest = rest.trim_start();
    let name_end = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
    let name = rest[..name_end].to_ascii_lowercase();
    let arguments = rest[name_end..].trim();
    let arguments = match arguments.strip_prefix('(') {
        Some(inner) => inner.split_once(')').ok_or_else(|| place.refuse(text, "a closing parenthesis"))?.0,
        None => arguments,
    };
    let arguments: Vec<&str> = arguments
        .split(|letter: char| letter == ',' || letter.is_whitespace())
        .filter(|part| !part.is_empty())
        .collect();
    let measures = Measures { frame, place };
    let Some(shapes) = shapes(&name, &arguments, &measures, text)? else {
        list.skipped.push(Skipped { line: place.line, what: format!("{name} is no area") });
        return Ok(());
    };
    for shape in shapes {
        list.regions.push(Region {
            shape,
            frame,
            include: sign.or(properties.include).unwrap_or(true),
            text: properties.text.clone(),
            color: properties.color.clone(),
            tags: properties.tags.clone(),
        });
    }
    Ok(())
}

/// The shapes of one command (an annulus may have many rings); `None` for what is no area.
fn shapes(name: &str, arguments: &[&str], measures: &Measures<'_>, text: &str) -> Result<Option<Vec<Shape>>, Error> {
    let count = arguments.len();
    let wrong = |expected: &str| Err(measures.place.refuse(text, expected));
    let shape = match name {
        "point" | "text" if count == 2 => {
            let at = measures.position(&arguments[..2])?;
            if name == "point" { Shape::Point { at } } else { Shape::Text { at } }
        }
        "line" if count == 4 => {
            Shape::Line { from: measures.position(&arguments[..2])?, to: measures.position(&arguments[2..])? }
        }
        "circle" if count == 3 => {
            Shape::Circle { centre: measures.position(&arguments[..2])?, radius: measures.length(arguments[2])? }
        }
        "polygon" if count >= 6 && count.is_multiple_of(2) => Shape::Polygon {
            corners: arguments.chunks_exact(2).map(|pair| measures.position(pair)).collect::<Result<_, _>>()?,
        },
        "annulus" if (4..=MOST_RINGS + 3).contains(&count) => {
            let centre = measures.position(&arguments[..2])?;
            let radii: Vec<f64> =
                arguments[2..].iter().map(|radius| measures.length(radius)).collect::<Result<_, _>>()?;
            let ring = |pair: &[f64]| {
                let (inner, outer) = ((pair[0], pair[0]), (pair[1], pair[1]));
                Shape::Annulus { centre, inner, outer, angle_deg: 0.0 }
            };
            return Ok(Some(radii.windows(2).map(ring).collect()));
        }
        "ellipse" | "box" | "rotbox" if (4..=2 * MOST_RINGS + 5).contains(&count) => {
            let centre = measures.position(&arguments[..2])?;
            let (sizes, angle) = match count % 2 {
                0 => (&arguments[2..], 0.0),
                _ => (&arguments[2..count - 1], measures.angle(arguments[count - 1])?),
            };
            let pair = |pair: &[&str]| Ok::<_, Error>((measures.length(pair[0])?, measures.length(pair[1])?));
            let sizes: Vec<(f64, f64)> = sizes.chunks_exact(2).map(pair).collect::<Result<_, _>>()?;
            match (name, &sizes[..]) {
                ("ellipse", &[semi_axes]) => Shape::Ellipse { centre, semi_axes, angle_deg: angle },
                ("ellipse", many) => {
                    let ring = |pair: &[(f64, f64)]| Shape::Annulus {
                        centre,
                        inner: pair[0],
                        outer: pair[1],
                        angle_deg: angle,
                    };
                    return Ok(Some(many.windows(2).map(ring).collect()));
                }
                (_, &[sides]) => Shape::Box { centre, sides, angle_deg: angle },
                _ => return Ok(None),
            }
        }
        "vector" | "ruler" | "compass" | "projection" | "segment" | "panda" | "epanda" | "bpanda" | "cpanda"
        | "composite" => return Ok(None),
        "point" | "text" => return wrong("two coordinates"),
        "line" => return wrong("four coordinates"),
        "circle" => return wrong("two coordinates and a radius"),
        "polygon" => return wrong("at least three pairs of coordinates"),
        "annulus" => return wrong("two coordinates and 2 to 65 radii"),
        "ellipse" | "box" | "rotbox" => return wrong("two coordinates, one to 65 pairs of lengths, and an angle"),
        _ => return wrong("a DS9 shape, a coordinate system or `global`"),
    };
    Ok(Some(vec![shape]))
}

/// How positions, lengths and angles of a frame are read.
struct Measures<'a> {
    frame: RegionFrame,
    place: Place<'a>,
}

impl Measures<'_> {
    fn position(&self, pair: &[&str]) -> Result<(f64, f64), Error> {
        match self.frame {
            RegionFrame::Sky(frame) => {
                Ok((self.place.sky(pair[0], true, frame)?, self.place.sky(pair[1], false, frame)?))
            }
            RegionFrame::Image | RegionFrame::Physical => {
                let pixel = |text: &str| Ok::<_, Error>(self.place.number(text.trim_end_matches(['p', 'i']))? - 1.0);
                Ok((pixel(pair[0])?, pixel(pair[1])?))
            }
        }
    }

    /// Arc seconds on the sky, pixels in an image.
    fn length(&self, text: &str) -> Result<f64, Error> {
        let (digits, unit) = match text.char_indices().last() {
            Some((at, unit @ ('"' | '\'' | 'd' | 'r' | 'p' | 'i'))) => (&text[..at], Some(unit)),
            _ => (text, None),
        };
        let value = self.place.length(digits)?;
        match (self.frame, unit) {
            (RegionFrame::Image | RegionFrame::Physical, None | Some('p' | 'i')) => Ok(value),
            (RegionFrame::Sky(_), Some('"')) => Ok(value),
            (RegionFrame::Sky(_), Some('\'')) => Ok(value * 60.0),
            (RegionFrame::Sky(_), Some('d') | None) => Ok(value * 3600.0),
            (RegionFrame::Sky(_), Some('r')) => Ok(value.to_degrees() * 3600.0),
            _ => Err(self.place.refuse(text, "angular lengths about sky positions, pixels about image positions")),
        }
    }

    fn angle(&self, text: &str) -> Result<f64, Error> {
        match text.strip_suffix('r') {
            Some(radians) => Ok(self.place.number(radians)?.to_degrees()),
            None => self.place.number(text.trim_end_matches('d')),
        }
    }
}
