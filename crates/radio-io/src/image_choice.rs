//! Which image of a file is meant: the header-data unit, and in a cube the plane.
//!
//! Radio images have two to five axes, most of them of length 1. Those are dropped. Where more than two are longer, the file
//! is refused until a plane is chosen by the name of its axis: guessing would quietly take Stokes I for Q, or one channel
//! for all.
//!
//! In files a header-data unit is a number or an EXTNAME, a plane is text: `hdu = "RMS"`, `planes = ["STOKES=Q", "FREQ[3]"]`.

use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{error::FitsError, header::Header};

/// Which image of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImageChoice {
    /// The header-data unit.
    pub hdu: HduChoice,
    /// Where to hold the axes that are neither columns nor rows; those of length 1 need none.
    pub planes: Vec<PlaneChoice>,
}

/// Which header-data unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum HduChoice {
    /// The first one that holds pixels.
    #[default]
    FirstImage,
    /// By number, 0 being the primary one.
    Number(usize),
    /// By EXTNAME, whatever the case.
    Name(String),
}

impl fmt::Display for HduChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstImage => write!(f, "the first image"),
            Self::Number(number) => write!(f, "number {number}"),
            Self::Name(name) => write!(f, "EXTNAME '{name}'"),
        }
    }
}

impl HduChoice {
    /// Whether nothing was chosen: such a key is left out of files.
    pub fn is_first_image(&self) -> bool {
        *self == Self::FirstImage
    }
}

impl Serialize for HduChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::FirstImage => serializer.serialize_none(),
            Self::Number(number) => number.serialize(serializer),
            Self::Name(name) => name.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for HduChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrName)
    }
}

/// Reads a header-data unit, and says of anything else what was expected.
struct NumberOrName;

impl de::Visitor<'_> for NumberOrName {
    type Value = HduChoice;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number of a header-data unit (0 is the primary one) or its EXTNAME")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<HduChoice, E> {
        let refused = |_| E::invalid_value(de::Unexpected::Signed(number), &self);
        usize::try_from(number).map(HduChoice::Number).map_err(refused)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<HduChoice, E> {
        let refused = |_| E::invalid_value(de::Unexpected::Unsigned(number), &self);
        usize::try_from(number).map(HduChoice::Number).map_err(refused)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<HduChoice, E> {
        match name.trim() {
            "" => Err(E::invalid_value(de::Unexpected::Str(name), &self)),
            name => Ok(HduChoice::Name(name.to_owned())),
        }
    }
}

/// One plane of one axis. As text `FREQ[3]` (by number from 0), `FREQ=1.4E9` (by world value) or `STOKES=Q`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlaneChoice {
    /// Name of the axis: CTYPE, or what stands before its first `-` (`FREQ` for `FREQ-LSR`), or `NAXIS3`.
    pub axis: String,
    /// The place along it.
    pub at: PlanePosition,
}

/// A place along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PlanePosition {
    /// Counted from 0.
    Index(usize),
    /// In the axis' own unit (Hz, m/s, the Stokes number); the nearest plane, which must lie within half a step.
    World(f64),
}

/// The Stokes parameters and their numbers (FITS standard 4.0, table 29).
const STOKES: [(&str, f64); 12] = [
    ("I", 1.0),
    ("Q", 2.0),
    ("U", 3.0),
    ("V", 4.0),
    ("RR", -1.0),
    ("LL", -2.0),
    ("RL", -3.0),
    ("LR", -4.0),
    ("XX", -5.0),
    ("YY", -6.0),
    ("XY", -7.0),
    ("YX", -8.0),
];

impl FromStr for PlaneChoice {
    type Err = FitsError;

    fn from_str(text: &str) -> Result<Self, FitsError> {
        let refused = || FitsError::BadPlaneChoice { found: text.to_owned() };
        let choice = |axis: &str, at| Self { axis: axis.trim().to_owned(), at };
        if let Some((axis, index)) = text.trim().strip_suffix(']').and_then(|text| text.split_once('[')) {
            return Ok(choice(axis, PlanePosition::Index(index.trim().parse().map_err(|_| refused())?)));
        }
        let (axis, value) = text.split_once('=').ok_or_else(refused)?;
        let value = value.trim();
        let stokes = STOKES.iter().find(|(name, _)| axis.trim().eq_ignore_ascii_case("STOKES") && *name == value);
        let world =
            stokes.map(|(_, number)| *number).or_else(|| value.parse().ok().filter(|value: &f64| value.is_finite()));
        Ok(choice(axis, PlanePosition::World(world.ok_or_else(refused)?)))
    }
}

impl TryFrom<String> for PlaneChoice {
    type Error = FitsError;

    fn try_from(text: String) -> Result<Self, FitsError> {
        text.parse()
    }
}

impl From<PlaneChoice> for String {
    fn from(plane: PlaneChoice) -> Self {
        plane.to_string()
    }
}

/// As [`PlaneChoice::from_str`] reads it.
impl fmt::Display for PlaneChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stokes = |value: f64| STOKES.iter().find(|(_, number)| *number == value).map(|(name, _)| *name);
        let axis = &self.axis;
        match self.at {
            PlanePosition::Index(index) => write!(f, "{axis}[{index}]"),
            PlanePosition::World(value) => match stokes(value).filter(|_| axis.eq_ignore_ascii_case("STOKES")) {
                Some(name) => write!(f, "{axis}={name}"),
                None => write!(f, "{axis}={value}"),
            },
        }
    }
}

/// In words, as `EXTNAME 'RMS', FREQ[3]`; nothing for the first image of a file without a choice of planes.
impl fmt::Display for ImageChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hdu = Some(&self.hdu).filter(|hdu| !hdu.is_first_image()).map(|hdu| format!("header-data unit {hdu}"));
        let parts: Vec<String> = hdu.into_iter().chain(self.planes.iter().map(PlaneChoice::to_string)).collect();
        f.write_str(&parts.join(", "))
    }
}

impl ImageChoice {
    /// A header-data unit by number, 0 being the primary one.
    pub fn number(hdu: usize) -> Self {
        Self { hdu: HduChoice::Number(hdu), planes: Vec::new() }
    }

    /// A header-data unit by EXTNAME.
    pub fn named(extname: &str) -> Self {
        Self { hdu: HduChoice::Name(extname.to_owned()), planes: Vec::new() }
    }

    /// The same with an axis held at a plane, for instance `.at("FREQ", PlanePosition::Index(3))`.
    pub fn at(mut self, axis: &str, at: PlanePosition) -> Self {
        self.planes.push(PlaneChoice { axis: axis.to_owned(), at });
        self
    }

    /// Which axes of an image count columns and rows, and where the others are held.
    pub(crate) fn plane_of(&self, header: &Header, axes: &[u64], path: &Path) -> Result<ImagePlane, FitsError> {
        let refused =
            || FitsError::NotAnImage { path: path.into(), axes: axes.to_vec(), names: describe(header, axes) };
        if axes.len() < 2 || axes.contains(&0) {
            return Err(refused());
        }
        let mut fixed = Vec::new();
        for plane in &self.planes {
            let bad = |reason: String| FitsError::Plane {
                path: path.into(),
                axis: plane.axis.clone(),
                reason,
                names: describe(header, axes),
            };
            let axis = (0..axes.len()).find(|&axis| is_called(header, axis, &plane.axis));
            let axis = axis.ok_or_else(|| bad("no axis has this name".to_owned()))?;
            if fixed.iter().any(|&(chosen, _)| chosen == axis) {
                return Err(bad("it was chosen twice".to_owned()));
            }
            fixed.push((axis, index_along(header, axis, axes[axis], plane.at).map_err(bad)?));
        }
        let is_free = |axis: &usize| !fixed.iter().any(|&(chosen, _)| chosen == *axis);
        let long: Vec<usize> = (0..axes.len()).filter(|&axis| axes[axis] > 1).filter(is_free).collect();
        let (column_axis, row_axis) = match long[..] {
            // One row, one column or one pixel: the first two axes, where nothing else was said.
            [] | [0 | 1] if is_free(&0) && is_free(&1) => (0, 1),
            [column_axis, row_axis] => (column_axis, row_axis),
            _ => return Err(refused()),
        };
        let others = (0..axes.len()).filter(|&axis| axis != column_axis && axis != row_axis);
        let index = |axis| fixed.iter().find(|&&(chosen, _)| chosen == axis).map_or(0, |&(_, index)| index);
        Ok(ImagePlane { column_axis, row_axis, fixed: others.map(|axis| (axis, index(axis))).collect() })
    }
}

/// One plane of an image of any number of axes; axes are counted from 0.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ImagePlane {
    pub column_axis: usize,
    pub row_axis: usize,
    /// All other axes, and the plane of each.
    pub fixed: Vec<(usize, usize)>,
}

impl ImagePlane {
    /// The places of this plane on all axes that are longer than 1: the same for every way of choosing it.
    pub(crate) fn choices(&self, header: &Header, axes: &[u64]) -> Vec<PlaneChoice> {
        let choice = |&(axis, index): &(usize, usize)| {
            let number = format!("NAXIS{}", axis + 1);
            let ctype = header.text(&format!("CTYPE{}", axis + 1)).unwrap_or_default();
            let short = ctype.split('-').next().unwrap_or_default().trim();
            // A name that another axis answers to first would choose that one.
            let is_own = (0..axes.len()).find(|&axis| is_called(header, axis, short)) == Some(axis);
            let name = if is_own && !short.contains(['[', '=']) { short.to_owned() } else { number };
            PlaneChoice { axis: name, at: PlanePosition::Index(index) }
        };
        self.fixed.iter().filter(|(axis, _)| axes[*axis] > 1).map(choice).collect()
    }
}

fn is_called(header: &Header, axis: usize, name: &str) -> bool {
    let number = axis + 1;
    let ctype = header.text(&format!("CTYPE{number}")).unwrap_or_default();
    let short = ctype.split('-').next().unwrap_or_default();
    let same = |own: &str| !own.is_empty() && own.eq_ignore_ascii_case(name);
    same(ctype) || same(short) || same(&format!("NAXIS{number}"))
}

fn index_along(header: &Header, axis: usize, length: u64, at: PlanePosition) -> Result<usize, String> {
    let number = axis + 1;
    let index = match at {
        PlanePosition::Index(index) => index as f64,
        PlanePosition::World(value) => {
            let keyword = |name: &str| header.float(&format!("{name}{number}"));
            let step = keyword("CDELT").or_else(|| header.float(&format!("CD{number}_{number}")));
            let step = step.filter(|step| *step != 0.0).or((length == 1).then_some(1.0));
            let (Some(start), Some(step)) = (keyword("CRVAL"), step) else {
                return Err(format!("CRVAL{number} or CDELT{number} is missing: choose by number"));
            };
            let exact = (value - start) / step + keyword("CRPIX").unwrap_or(0.0) - 1.0;
            exact.round()
        }
    };
    if (0.0..length as f64).contains(&index) {
        return Ok(index as usize);
    }
    Err(match at {
        PlanePosition::Index(index) => format!("plane {index} asked for, expected less than {length}"),
        PlanePosition::World(value) => format!("{value} lies outside its {length} planes"),
    })
}

/// The axes with their names, as in `RA---SIN (192), FREQ (3)`.
fn describe(header: &Header, axes: &[u64]) -> String {
    let name = |axis: usize| match header.text(&format!("CTYPE{axis}")) {
        Some(ctype) => ctype.to_owned(),
        None => format!("NAXIS{axis}"),
    };
    let all: Vec<String> = axes.iter().zip(1..).map(|(length, axis)| format!("{} ({length})", name(axis))).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Card;

    fn cube() -> Header {
        let cards = [
            Card::new("CTYPE1", "RA---SIN", ""),
            Card::new("CTYPE2", "DEC--SIN", ""),
            Card::new("CTYPE3", "FREQ-LSR", ""),
            Card::new("CRVAL3", 1.4e9, ""),
            Card::new("CDELT3", 1e6, ""),
            Card::new("CRPIX3", 2.0, ""),
            Card::new("CTYPE4", "STOKES", ""),
            Card::new("CRVAL4", 1.0, ""),
            Card::new("CDELT4", 1.0, ""),
            Card::new("CRPIX4", 1.0, ""),
        ];
        Header::from_cards(&cards)
    }

    fn plane(texts: &[&str], axes: &[u64]) -> Result<ImagePlane, FitsError> {
        let planes: Result<Vec<PlaneChoice>, FitsError> = texts.iter().map(|text| text.parse()).collect();
        ImageChoice { hdu: HduChoice::FirstImage, planes: planes? }.plane_of(&cube(), axes, Path::new("cube.fits"))
    }

    #[test]
    fn a_plane_is_chosen_by_number_by_value_and_by_stokes_name() {
        let axes = [8, 9, 5, 4];
        let fixed = |texts: &[&str]| plane(texts, &axes).expect("a plane").fixed;
        assert_eq!(fixed(&["FREQ[3]", "STOKES=Q"]), [(2, 3), (3, 1)]);
        assert_eq!(fixed(&["stokes[0]", "FREQ-LSR=1.3994e9"]), [(2, 0), (3, 0)]);
        assert_eq!(fixed(&["NAXIS3[4]", "STOKES=4"]), [(2, 4), (3, 3)]);
        // Columns and rows may be any two axes: here position against frequency.
        let cut = plane(&["DEC[2]", "STOKES=I"], &axes).expect("a plane");
        assert_eq!((cut.column_axis, cut.row_axis, cut.fixed), (0, 2, vec![(1, 2), (3, 0)]));
        assert_eq!(plane(&[], &[8, 9, 1, 1]).expect("an image").fixed, [(2, 0), (3, 0)]);
    }

    #[test]
    fn text_and_choice_are_one() {
        for text in ["FREQ[3]", "FREQ=1400000000", "STOKES=Q", "STOKES=-8.5", "STOKES=YX", "NAXIS3[4]"] {
            let plane: PlaneChoice = text.parse().expect("a plane");
            assert_eq!(plane.to_string(), text);
        }
        let image = ImageChoice { planes: vec!["FREQ[3]".parse().expect("a plane")], ..ImageChoice::named("RMS") };
        assert_eq!(image.to_string(), "header-data unit EXTNAME 'RMS', FREQ[3]");
        assert_eq!(ImageChoice::default().to_string(), "");
    }

    #[test]
    fn every_way_to_choose_a_plane_is_noted_alike() {
        let axes = [8, 9, 5, 4];
        let noted = |texts: &[&str], axes: &[u64]| {
            let choices = plane(texts, axes).expect("a plane").choices(&cube(), axes);
            choices.iter().map(PlaneChoice::to_string).collect::<Vec<_>>()
        };
        for texts in [["FREQ[3]", "STOKES=Q"], ["STOKES[1]", "NAXIS3[3]"], ["freq-lsr=1.402e9", "stokes=2"]] {
            assert_eq!(noted(&texts, &axes), ["FREQ[3]", "STOKES[1]"], "{texts:?}");
        }
        assert_eq!(noted(&["FREQ[3]"], &[8, 9, 5, 1]), ["FREQ[3]"]);
        assert!(noted(&["STOKES=I"], &[8, 9, 1, 1]).is_empty(), "an axis of length 1 leaves no choice");
    }

    #[test]
    fn a_choice_that_cannot_be_made_names_the_axes() {
        for (texts, parts) in [
            (&[][..], &["RA---SIN (8), DEC--SIN (9), FREQ-LSR (5), STOKES (4)", "[8, 9, 5, 4]"][..]),
            (&["FREQ[3]"], &["STOKES (4)"]),
            (&["VELO[0]", "STOKES=I"], &["VELO", "no axis has this name", "FREQ-LSR (5)"]),
            (&["FREQ[5]", "STOKES=I"], &["plane 5 asked for, expected less than 5"]),
            (&["FREQ=1.5e9", "STOKES=I"], &["1500000000 lies outside its 5 planes"]),
            (&["FREQ[1]", "FREQ[1]"], &["chosen twice"]),
            (&["STOKES=P"], &["STOKES=P", "FREQ[3]"]),
            (&["FREQ"], &["FREQ[3]"]),
        ] {
            let refused = plane(texts, &[8, 9, 5, 4]).expect_err("must be refused").to_string();
            assert!(parts.iter().all(|part| refused.contains(part)), "{refused}");
        }
    }
}
