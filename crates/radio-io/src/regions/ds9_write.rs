//! Writing DS9 region files.

use std::{fmt::Write as _, io::Write as _, path::Path};

use super::{
    region::{Region, RegionFrame, Shape},
    text::unwritable,
};
use crate::{celestial::frame::SkyFrame, error::Error};

/// The regions as a DS9 file, version 4.1. Every number has all its digits: sky positions, lengths and angles are read back bit for
/// bit, pixel positions to the last place of counting from 1.
///
/// # Errors
/// [`Error::Region`] for what DS9 cannot hold: another equinox than J2000 and B1950, numbers that are not finite, texts with line breaks or with every
/// kind of quote.
pub fn ds9_text(regions: &[Region]) -> Result<String, Error> {
    let mut text = String::from("# Region file format: DS9 version 4.1\n");
    let mut current = None;
    for (index, region) in regions.iter().enumerate() {
        let frame = match region.frame {
            RegionFrame::Image => "image",
            RegionFrame::Physical => "physical",
            RegionFrame::Sky(SkyFrame::Icrs) => "icrs",
            RegionFrame::Sky(SkyFrame::FK5_J2000) => "fk5",
            RegionFrame::Sky(SkyFrame::FK4_B1950) => "fk4",
            RegionFrame::Sky(SkyFrame::Galactic) => "galactic",
            RegionFrame::Sky(other) => {
                return Err(unwritable(
                    index,
                    &other.to_string(),
                    "image, ICRS, FK5 at J2000, FK4 at B1950 or Galactic",
                ));
            }
        };
        if current != Some(frame) {
            let _ = writeln!(text, "{frame}");
            current = Some(frame);
        }
        // A text shape stands in a comment, where no sign is read.
        if !region.include && !matches!(region.shape, Shape::Text { .. }) {
            text.push('-');
        }
        text.push_str(&shape_text(region, index)?);
        text.push_str(&properties_text(region, index)?);
        text.push('\n');
    }
    Ok(text)
}

/// Writes a DS9 region file, whole or not at all.
///
/// # Errors
/// Those of [`ds9_text`], and [`Error::Io`].
pub fn write_ds9(path: &Path, regions: &[Region]) -> Result<(), Error> {
    let text = ds9_text(regions)?;
    atomic_file::write_atomically(path, |file| file.write_all(text.as_bytes()))
        .map_err(|source| Error::Io { path: path.into(), source })
}

fn shape_text(region: &Region, index: usize) -> Result<String, Error> {
    let (offset, unit) = if matches!(region.frame, RegionFrame::Sky(_)) { (0.0, "\"") } else { (1.0, "") };
    let number = |value: f64| {
        if value.is_finite() {
            Ok(format!("{value:?}"))
        } else {
            Err(unwritable(index, &value.to_string(), "a finite number"))
        }
    };
    let place = |at: (f64, f64)| Ok::<_, Error>(format!("{},{}", number(at.0 + offset)?, number(at.1 + offset)?));
    let length = |value: f64| Ok::<_, Error>(format!("{}{unit}", number(value)?));
    let pair = |pair: (f64, f64)| Ok::<_, Error>(format!("{},{}", length(pair.0)?, length(pair.1)?));
    Ok(match &region.shape {
        Shape::Point { at } => format!("point({})", place(*at)?),
        Shape::Text { at } => format!("# text({})", place(*at)?),
        Shape::Line { from, to } => format!("line({},{})", place(*from)?, place(*to)?),
        Shape::Circle { centre, radius } => format!("circle({},{})", place(*centre)?, length(*radius)?),
        Shape::Ellipse { centre, semi_axes, angle_deg } => {
            format!("ellipse({},{},{})", place(*centre)?, pair(*semi_axes)?, number(*angle_deg)?)
        }
        Shape::Box { centre, sides, angle_deg } => {
            format!("box({},{},{})", place(*centre)?, pair(*sides)?, number(*angle_deg)?)
        }
        Shape::Annulus { centre, inner, outer, angle_deg }
            if inner.0 == inner.1 && outer.0 == outer.1 && *angle_deg == 0.0 =>
        {
            format!("annulus({},{},{})", place(*centre)?, length(inner.0)?, length(outer.0)?)
        }
        Shape::Annulus { centre, inner, outer, angle_deg } => {
            format!("ellipse({},{},{},{})", place(*centre)?, pair(*inner)?, pair(*outer)?, number(*angle_deg)?)
        }
        Shape::Polygon { corners } => {
            let corners: Vec<String> = corners.iter().map(|corner| place(*corner)).collect::<Result<_, _>>()?;
            format!("polygon({})", corners.join(","))
        }
    })
}

fn properties_text(region: &Region, index: usize) -> Result<String, Error> {
    let mut text = String::new();
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'#');
    if let Some(color) = &region.color {
        if !is_word(color) {
            return Err(unwritable(index, color, "a colour's name or #rrggbb"));
        }
        let _ = write!(text, " color={color}");
    }
    for (key, value) in
        region.text.iter().map(|value| ("text", value)).chain(region.tags.iter().map(|tag| ("tag", tag)))
    {
        let has = |mark: char| value.contains(mark);
        let (open, close) = match () {
            () if has('\n') || has('\r') => return Err(unwritable(index, value, "text without line breaks")),
            () if !has('}') => ('{', '}'),
            () if !has('"') => ('"', '"'),
            () if !has('\'') => ('\'', '\''),
            () => return Err(unwritable(index, value, "text that lacks one of } \" '")),
        };
        let _ = write!(text, " {key}={open}{value}{close}");
    }
    let mark = if text.is_empty() || matches!(region.shape, Shape::Text { .. }) { "" } else { " #" };
    Ok(format!("{mark}{text}"))
}
