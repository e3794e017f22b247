//! Writing CASA region text files.

use std::{fmt::Write as _, io::Write as _, path::Path};

use super::{
    region::{Region, RegionFrame, Shape},
    text::unwritable,
};
use crate::{celestial::frame::SkyFrame, error::Error};

/// The regions as a CRTF file, every number with all its digits. Tags are left out: CRTF has none.
///
/// # Errors
/// [`Error::Region`] for what CRTF cannot hold: elliptical rings, other equinoxes than J2000 and B1950, numbers that are not finite, texts
/// with line breaks or with both kinds of quote.
pub fn crtf_text(regions: &[Region]) -> Result<String, Error> {
    let mut text = String::from("#CRTFv0 CASA Region Text Format version 0\n");
    for (index, region) in regions.iter().enumerate() {
        if !region.include {
            text.push('-');
        }
        text.push_str(&shape_text(region, index)?);
        let coord = match region.frame {
            RegionFrame::Image | RegionFrame::Physical => None,
            RegionFrame::Sky(SkyFrame::Icrs) => Some("ICRS"),
            RegionFrame::Sky(SkyFrame::FK5_J2000) => Some("J2000"),
            RegionFrame::Sky(SkyFrame::FK4_B1950) => Some("B1950"),
            RegionFrame::Sky(SkyFrame::Galactic) => Some("GALACTIC"),
            RegionFrame::Sky(SkyFrame::Supergalactic) => Some("SUPERGAL"),
            RegionFrame::Sky(other) => {
                return Err(unwritable(
                    index,
                    &other.to_string(),
                    "ICRS, FK5 at J2000, FK4 at B1950, Galactic or supergalactic",
                ));
            }
        };
        if let Some(coord) = coord {
            let _ = write!(text, ", coord={coord}");
        }
        if let Some(color) = &region.color {
            if !color.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'#') {
                return Err(unwritable(index, color, "a colour's name or #rrggbb"));
            }
            let _ = write!(text, ", color={color}");
        }
        if let Some(label) = region.text.as_ref().filter(|_| !matches!(region.shape, Shape::Text { .. })) {
            let _ = write!(text, ", label={}", quoted(label, index)?);
        }
        text.push('\n');
    }
    Ok(text)
}

/// Writes a CASA region text file, whole or not at all.
///
/// # Errors
/// Those of [`crtf_text`], and [`Error::Io`].
pub fn write_crtf(path: &Path, regions: &[Region]) -> Result<(), Error> {
    let text = crtf_text(regions)?;
    atomic_file::write_atomically(path, |file| file.write_all(text.as_bytes()))
        .map_err(|source| Error::Io { path: path.into(), source })
}

fn quoted(text: &str, index: usize) -> Result<String, Error> {
    let quote = ['\'', '"'].into_iter().find(|quote| !text.contains(*quote) && !text.contains(['\n', '\r']));
    let quote = quote.ok_or_else(|| unwritable(index, text, "text in one line that lacks ' or \""))?;
    Ok(format!("{quote}{text}{quote}"))
}

fn shape_text(region: &Region, index: usize) -> Result<String, Error> {
    let (at_unit, unit) = if matches!(region.frame, RegionFrame::Sky(_)) { ("deg", "arcsec") } else { ("pix", "pix") };
    let number = |value: f64, unit: &str| {
        let finite = value.is_finite().then(|| format!("{value:?}{unit}"));
        finite.ok_or_else(|| unwritable(index, &value.to_string(), "a finite number"))
    };
    let place = |at: (f64, f64)| Ok::<_, Error>(format!("[{}, {}]", number(at.0, at_unit)?, number(at.1, at_unit)?));
    let pair = |pair: (f64, f64)| Ok::<_, Error>(format!("[{}, {}]", number(pair.0, unit)?, number(pair.1, unit)?));
    Ok(match &region.shape {
        Shape::Point { at } => format!("symbol [{}, .]", place(*at)?),
        Shape::Text { at } => {
            format!("text [{}, {}]", place(*at)?, quoted(region.text.as_deref().unwrap_or_default(), index)?)
        }
        Shape::Line { from, to } => format!("line [{}, {}]", place(*from)?, place(*to)?),
        Shape::Circle { centre, radius } => format!("circle [{}, {}]", place(*centre)?, number(*radius, unit)?),
        Shape::Ellipse { centre, semi_axes: (minor, major), angle_deg } => {
            format!("ellipse [{}, {}, {}]", place(*centre)?, pair((*major, *minor))?, number(*angle_deg, "deg")?)
        }
        Shape::Box { centre, sides, angle_deg } => {
            format!("rotbox [{}, {}, {}]", place(*centre)?, pair(*sides)?, number(*angle_deg, "deg")?)
        }
        Shape::Annulus { centre, inner, outer, .. } if inner.0 == inner.1 && outer.0 == outer.1 => {
            format!("annulus [{}, {}]", place(*centre)?, pair((inner.0, outer.0))?)
        }
        Shape::Annulus { .. } => return Err(unwritable(index, "an elliptical ring", "a round one")),
        Shape::Polygon { corners } => {
            let corners: Vec<String> = corners.iter().map(|corner| place(*corner)).collect::<Result<_, _>>()?;
            format!("poly [{}]", corners.join(", "))
        }
    })
}
