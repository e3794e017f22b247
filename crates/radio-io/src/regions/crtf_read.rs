//! CASA region text files (CRTF, version 0).
//!
//! The grammar is that of the CASA manual ("Region File Format"): one `shape [[x, y], …], key=value, …` a line, `global` lines, `+`, `-` and `ann`
//! before a shape. Pixels count from 0, as here. An `ellipse` is given by its major and minor semi-axes and the position angle of the
//! major one, which is the y axis of our [`Shape::Ellipse`]. A `box` by its corners becomes one by its centre and sides.
//! Ranges of frequency and polarisation are not areas, and are passed over.

use std::path::Path;

use super::{
    region::{Region, RegionFrame, RegionList, Shape, Skipped},
    text::{self, Place},
};
use crate::{celestial::frame::SkyFrame, error::Error};

/// Reads a CASA region text file.
///
/// # Errors
/// [`Error::Io`], and those of [`parse_crtf`].
pub fn read_crtf(path: &Path) -> Result<RegionList, Error> {
    parse_crtf(&text::read(path)?, path)
}

/// Reads the text of a CASA region file; `path` is for messages.
///
/// # Errors
/// [`Error::Region`] with the line: a first line other than `#CRTF…`, words that are no shape, numbers and units that cannot be read, sky
/// positions without `coord`.
pub fn parse_crtf(text: &str, path: &Path) -> Result<RegionList, Error> {
    let mut list = RegionList::default();
    let mut global = Keys::default();
    let mut lines = text.lines().enumerate().map(|(number, line)| (Place { path, line: number + 1 }, line.trim()));
    match lines.by_ref().find(|(_, line)| !line.is_empty()) {
        Some((_, line)) if line.starts_with("#CRTF") => {}
        Some((place, line)) => return Err(place.refuse(line, "a first line that begins with #CRTF")),
        None => return Err(Place { path, line: 1 }.refuse("", "a first line that begins with #CRTF")),
    }
    for (place, line) in lines {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.get(..6) {
            Some(word) if word.eq_ignore_ascii_case("global") => global.read(&line[6..], place)?,
            _ => read_line(line, &global, place, &mut list)?,
        }
    }
    Ok(list)
}

/// What a `global` line sets and a region may override.
#[derive(Debug, Clone, Default)]
struct Keys {
    coord: Option<SkyFrame>,
    color: Option<String>,
    label: Option<String>,
}

impl Keys {
    /// `key=value, key=[a, b], key='a, b'`.
    fn read(&mut self, text: &str, place: Place<'_>) -> Result<(), Error> {
        for part in split_outside(text) {
            let Some((key, value)) = part.split_once('=') else { continue };
            let value = unquoted(value);
            match key.trim().to_ascii_lowercase().as_str() {
                "coord" => self.coord = Some(frame_of(value, place)?),
                "color" => self.color = Some(place.property(value)?).filter(|color| !color.is_empty()),
                "label" => self.label = Some(place.property(value)?),
                _ => {}
            }
        }
        Ok(())
    }
}

fn frame_of(name: &str, place: Place<'_>) -> Result<SkyFrame, Error> {
    match name.to_ascii_uppercase().as_str() {
        "J2000" | "FK5" => Ok(SkyFrame::FK5_J2000),
        "ICRS" => Ok(SkyFrame::Icrs),
        "B1950" | "B1950_VLA" | "FK4" => Ok(SkyFrame::FK4_B1950),
        "GALACTIC" => Ok(SkyFrame::Galactic),
        "SUPERGAL" => Ok(SkyFrame::Supergalactic),
        _ => Err(place.refuse(name, "coord J2000, ICRS, B1950, GALACTIC or SUPERGAL")),
    }
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

/// The parts of a list between commas that stand in no brackets and no quotes. A quote opens only where a value begins: after a
/// number it is a unit.
fn split_outside(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    let mut before = ',';
    for (at, letter) in text.char_indices() {
        match quote {
            Some(open) => {
                if letter == open {
                    quote = None;
                }
            }
            None => match letter {
                '"' | '\'' if matches!(before, ',' | '=' | '[') => quote = Some(letter),
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    parts.push(text[start..at].trim());
                    start = at + 1;
                }
                _ => {}
            },
        }
        if !letter.is_whitespace() {
            before = letter;
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// The inside of `[…]`.
fn bracketed<'a>(text: &'a str, place: Place<'_>) -> Result<&'a str, Error> {
    let inner = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.ok_or_else(|| place.refuse(text, "brackets `[…]`"))
}

fn read_line(line: &str, global: &Keys, place: Place<'_>, list: &mut RegionList) -> Result<(), Error> {
    let (include, rest) = match line.as_bytes()[0] {
        b'-' => (false, line[1..].trim_start()),
        b'+' => (true, line[1..].trim_start()),
        _ => (true, line),
    };
    let rest = match rest.get(..4) {
        Some(word) if word.eq_ignore_ascii_case("ann ") => rest[4..].trim_start(),
        _ => rest,
    };
    let open = rest.find('[').ok_or_else(|| place.refuse(line, "a shape and its places in brackets"))?;
    let name = rest[..open].trim().to_ascii_lowercase();
    // The shape's own brackets are the first part of the line's list; what follows are keys.
    let parts = split_outside(&rest[open..]);
    let arguments = split_outside(bracketed(parts[0], place)?);
    let mut keys = global.clone();
    keys.read(&rest[open + parts[0].len()..], place)?;
    if name == "vector" {
        list.skipped.push(Skipped { line: place.line, what: "vector is no area".to_owned() });
        return Ok(());
    }
    let mut measures = Measures { place, coord: keys.coord, is_sky: None };
    let mut text = keys.label;
    let shape = read_shape(&name, &arguments, &mut measures, &mut text, line)?;
    let frame = match (measures.is_sky, keys.coord) {
        (Some(true), Some(frame)) => RegionFrame::Sky(frame),
        _ => RegionFrame::Image,
    };
    list.regions.push(Region { shape, frame, include, text, color: keys.color, tags: Vec::new() });
    Ok(())
}

fn read_shape(
    name: &str,
    arguments: &[&str],
    measures: &mut Measures<'_>,
    text: &mut Option<String>,
    line: &str,
) -> Result<Shape, Error> {
    let place = measures.place;
    Ok(match (name, arguments) {
        ("circle", [centre, radius]) => {
            Shape::Circle { centre: measures.position(centre)?, radius: measures.length(radius)? }
        }
        ("annulus", [centre, radii]) => {
            let (centre, (inner, outer)) = (measures.position(centre)?, measures.lengths(radii)?);
            Shape::Annulus { centre, inner: (inner, inner), outer: (outer, outer), angle_deg: 0.0 }
        }
        ("ellipse", [centre, axes, angle]) => {
            let (centre, (major, minor)) = (measures.position(centre)?, measures.lengths(axes)?);
            Shape::Ellipse { centre, semi_axes: (minor, major), angle_deg: angle_of(angle, place)? }
        }
        ("centerbox", [centre, sides]) => {
            Shape::Box { centre: measures.position(centre)?, sides: measures.lengths(sides)?, angle_deg: 0.0 }
        }
        ("rotbox", [centre, sides, angle]) => {
            let (centre, sides) = (measures.position(centre)?, measures.lengths(sides)?);
            Shape::Box { centre, sides, angle_deg: angle_of(angle, place)? }
        }
        ("box", [one, other]) => {
            between(measures.position(one)?, measures.position(other)?, measures.is_sky == Some(true))
        }
        ("poly", corners) if corners.len() >= 3 => Shape::Polygon {
            corners: corners.iter().map(|corner| measures.position(corner)).collect::<Result<_, _>>()?,
        },
        ("line", [from, to]) => Shape::Line { from: measures.position(from)?, to: measures.position(to)? },
        ("symbol", [at, _mark]) => Shape::Point { at: measures.position(at)? },
        ("text", [at, words]) => {
            *text = Some(place.property(unquoted(words))?);
            Shape::Text { at: measures.position(at)? }
        }
        (
            "circle" | "annulus" | "ellipse" | "centerbox" | "rotbox" | "box" | "poly" | "line" | "symbol" | "text",
            _,
        ) => {
            return Err(place.refuse(line, &format!("the places and lengths of a {name}")));
        }
        _ => return Err(place.refuse(line, "a CRTF shape or `global`")),
    })
}

/// The box with two opposite corners; on the sky its sides are measured through its middle.
fn between(one: (f64, f64), other: (f64, f64), is_sky: bool) -> Shape {
    let mut width = other.0 - one.0;
    if is_sky {
        width = (width + 180.0).rem_euclid(360.0) - 180.0;
    }
    let centre = (one.0 + width / 2.0, (one.1 + other.1) / 2.0);
    let unit = if is_sky { (centre.1.to_radians().cos() * 3600.0, 3600.0) } else { (1.0, 1.0) };
    Shape::Box { centre, sides: (width.abs() * unit.0, (other.1 - one.1).abs() * unit.1), angle_deg: 0.0 }
}

fn angle_of(text: &str, place: Place<'_>) -> Result<f64, Error> {
    if let Some(degrees) = text.strip_suffix("deg") {
        return place.number(degrees);
    }
    match text.strip_suffix("rad") {
        Some(radians) => Ok(place.number(radians)?.to_degrees()),
        None => Err(place.refuse(text, "an angle in deg or rad")),
    }
}

/// Reads places and lengths, and finds out whether they are on the sky.
struct Measures<'a> {
    place: Place<'a>,
    coord: Option<SkyFrame>,
    is_sky: Option<bool>,
}

impl Measures<'_> {
    /// `[x, y]`
    fn position(&mut self, text: &str) -> Result<(f64, f64), Error> {
        let parts = split_outside(bracketed(text, self.place)?);
        let [x, y] = parts[..] else { return Err(self.place.refuse(text, "two coordinates")) };
        Ok((self.coordinate(x, true)?, self.coordinate(y, false)?))
    }

    fn coordinate(&mut self, text: &str, is_longitude: bool) -> Result<f64, Error> {
        let pixels = text.strip_suffix("pix");
        if *self.is_sky.get_or_insert(pixels.is_none()) != pixels.is_none() {
            return Err(self.place.refuse(text, "places all in pix, or all on the sky"));
        }
        if let Some(pixels) = pixels {
            return self.place.number(pixels);
        }
        let Some(frame) = self.coord else {
            return Err(self.place.refuse(text, "coord=… (here or in a global line), or a place in pix"));
        };
        // CASA's own form of degrees, minutes and seconds: -43.01.09.2.
        if text.bytes().filter(|byte| *byte == b'.').count() >= 2 && !text.contains(':') {
            let angle = text.replacen('.', ":", 2);
            // Its first part counts degrees even in a right ascension.
            return self.place.sky(&angle, is_longitude, SkyFrame::Galactic);
        }
        self.place.sky(text, is_longitude, frame)
    }

    /// `[a, b]`
    fn lengths(&self, text: &str) -> Result<(f64, f64), Error> {
        let parts = split_outside(bracketed(text, self.place)?);
        let [a, b] = parts[..] else { return Err(self.place.refuse(text, "two lengths")) };
        Ok((self.length(a)?, self.length(b)?))
    }

    /// Arc seconds on the sky, pixels in an image.
    fn length(&self, text: &str) -> Result<f64, Error> {
        let is_sky = self.is_sky == Some(true);
        let units = [
            ("pix", 1.0, false),
            ("arcsec", 1.0, true),
            ("arcmin", 60.0, true),
            ("deg", 3600.0, true),
            ("rad", 1.0_f64.to_degrees() * 3600.0, true),
            ("\"", 1.0, true),
            ("'", 60.0, true),
        ];
        for (unit, factor, on_sky) in units {
            if let Some(digits) = text.strip_suffix(unit).filter(|_| on_sky == is_sky) {
                return Ok(self.place.length(digits)? * factor);
            }
        }
        let expected = if is_sky { "a length in arcsec, arcmin, deg, rad, \" or '" } else { "a length in pix" };
        Err(self.place.refuse(text, expected))
    }
}
