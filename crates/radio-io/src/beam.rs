//! The synthesised beam: without it, Jy/beam cannot be turned into a flux density.

use serde::{Deserialize, Serialize};

use crate::{card::CardValue, header::Header};

/// Size and orientation of the restoring beam, full widths at half maximum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beam {
    /// Major axis, arc seconds.
    pub major_arcsec: f64,
    /// Minor axis, arc seconds.
    pub minor_arcsec: f64,
    /// Position angle of the major axis, degrees from north through east.
    #[serde(default)]
    pub pa_deg: f64,
}

impl Beam {
    /// Whether both axes are finite and positive, the major one not the shorter, and the angle finite.
    pub fn is_valid(&self) -> bool {
        let Self { major_arcsec, minor_arcsec, pa_deg } = *self;
        minor_arcsec > 0.0 && major_arcsec >= minor_arcsec && major_arcsec.is_finite() && pa_deg.is_finite()
    }

    /// Solid angle of the Gaussian beam in square arc seconds, π/(4 ln 2) · major · minor.
    pub fn area_arcsec2(&self) -> f64 {
        std::f64::consts::PI / (4.0 * std::f64::consts::LN_2) * self.major_arcsec * self.minor_arcsec
    }

    /// The beam of a header, from the first of these that makes one; the last line written in the history counts.
    ///
    /// - BMAJ, BMIN and BPA in degrees (a missing BMIN means a round beam), or CLEANBMJ, CLEANBMN and CLEANBPA;
    /// - GIPSY's BMMAJ, BMMIN in arc seconds and BMPA;
    /// - the history of AIPS (`CLEAN BMAJ=  1.8E-03 BMIN= … BPA= …`, degrees unless a unit follows), of CASA
    ///   (`restoringbeam=['6.5arcsec', '5arcsec', '12deg']`, `major="6.5arcsec" … pa="12deg"`), of Miriad
    ///   (`gaussian beam fwhm of  6.5 by  5.0 arcsec`).
    pub fn from_header(header: &Header) -> Option<Self> {
        let from_cards = |names: [&str; 3], unit_arcsec: f64| {
            let major = header.float(names[0])?;
            let minor = header.float(names[1]).unwrap_or(major);
            let pa_deg = header.float(names[2]).unwrap_or(0.0);
            Some(Self { major_arcsec: major * unit_arcsec, minor_arcsec: minor * unit_arcsec, pa_deg })
                .filter(Self::is_valid)
        };
        from_cards(["BMAJ", "BMIN", "BPA"], 3600.0)
            .or_else(|| from_cards(["CLEANBMJ", "CLEANBMN", "CLEANBPA"], 3600.0))
            .or_else(|| from_cards(["BMMAJ", "BMMIN", "BMPA"], 1.0))
            .or_else(|| {
                history_lines(header).iter().rev().find_map(|line| Self::from_history(line).filter(Self::is_valid))
            })
    }

    fn from_history(line: &str) -> Option<Self> {
        let line = line.to_ascii_lowercase();
        let of_keys = |names: [&str; 3]| {
            let (major, unit) = value_of(&line, names[0])?;
            let minor = value_of(&line, names[1]).map_or((major, unit), |minor| minor);
            let pa_deg = value_of(&line, names[2]).map_or(0.0, |(value, unit)| unit.degrees(value, Angle::Degrees));
            Some(Self::from_sides((major, unit), minor, pa_deg))
        };
        // Where no unit is written, degrees are meant, as in the header.
        of_keys(["bmaj", "bmin", "bpa"]).or_else(|| Self::from_casa(&line)).or_else(|| {
            let (major, rest) = line.split_once("beam fwhm of")?.1.split_once("by")?;
            let (minor, rest) = leading_number(rest)?;
            let (major, unit) = (leading_number(major)?.0, Angle::of(rest));
            Some(Self::from_sides((major, unit), (minor, unit), 0.0))
        })
    }

    fn from_casa(line: &str) -> Option<Self> {
        if let Some((_, list)) = line.split_once("restoringbeam") {
            let list = list.trim_start().strip_prefix(['=', ':'])?;
            // Up to three quantities, quoted or in brackets; what follows them is another parameter.
            let end = if list.trim_start().starts_with('[') { list.find(']') } else { list.find(',') };
            let list = &list[..end.unwrap_or(list.len())];
            let sides: Vec<(f64, Angle)> = list
                .split(',')
                .filter_map(|side| leading_number(side))
                .map(|(value, rest)| (value, Angle::of(rest)))
                .collect();
            let major = *sides.first()?;
            let pa_deg = sides.get(2).map_or(0.0, |&(value, unit)| unit.degrees(value, Angle::Degrees));
            return Some(Self::from_sides(major, *sides.get(1).unwrap_or(&major), pa_deg));
        }
        let (major, minor) = (value_of(line, "major")?, value_of(line, "minor")?);
        let pa = value_of(line, "positionangle").or_else(|| value_of(line, "pa"));
        // A `major` without a unit may be anything.
        (major.1 != Angle::Unsaid).then(|| {
            let pa_deg = pa.map_or(0.0, |(value, unit)| unit.degrees(value, Angle::Degrees));
            Self::from_sides(major, minor, pa_deg)
        })
    }

    fn from_sides(major: (f64, Angle), minor: (f64, Angle), pa_deg: f64) -> Self {
        let arcsec = |(value, unit): (f64, Angle)| unit.degrees(value, Angle::Degrees) * 3600.0;
        Self { major_arcsec: arcsec(major), minor_arcsec: arcsec(minor), pa_deg }
    }
}

/// The unit of an angle in running text.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Angle {
    Degrees,
    ArcMinutes,
    ArcSeconds,
    Radians,
    Unsaid,
}

impl Angle {
    /// From what stands behind a number, in small letters.
    fn of(text: &str) -> Self {
        let text = text.trim_start();
        if text.starts_with("arcsec") || text.starts_with("asec") {
            Self::ArcSeconds
        } else if text.starts_with("arcmin") || text.starts_with("amin") {
            Self::ArcMinutes
        } else if text.starts_with("deg") {
            Self::Degrees
        } else if text.starts_with("rad") {
            Self::Radians
        } else {
            Self::Unsaid
        }
    }

    fn degrees(self, value: f64, unsaid: Self) -> f64 {
        match if self == Self::Unsaid { unsaid } else { self } {
            Self::ArcSeconds => value / 3600.0,
            Self::ArcMinutes => value / 60.0,
            Self::Radians => value.to_degrees(),
            Self::Degrees | Self::Unsaid => value,
        }
    }
}

/// The number and unit of `key=number unit` or `key: number unit`, perhaps quoted.
fn value_of(line: &str, key: &str) -> Option<(f64, Angle)> {
    line.match_indices(key).find_map(|(at, _)| {
        // Not the end of a longer word.
        let is_word = !line[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_');
        let after = line[at + key.len()..].trim_start_matches(['\'', '"', ' ']);
        let (value, rest) = leading_number(after.strip_prefix(['=', ':']).filter(|_| is_word)?)?;
        Some((value, Angle::of(rest)))
    })
}

/// A number behind blanks, quotes and brackets, and what follows it.
fn leading_number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_start_matches([' ', '\'', '"', '[', '(']);
    let length = text
        .find(|character: char| !matches!(character, '0'..='9' | '+' | '-' | '.' | 'e' | 'd'))
        .unwrap_or(text.len());
    // `5.4deg` and `3.e-3`: the longest start that is a number.
    let number = |end: usize| text[..end].replace('d', "e").parse::<f64>().ok().map(|value| (value, &text[end..]));
    (1..=length).rev().find_map(number)
}

/// The history, lines that were broken (CASA marks the rest with `>`) joined.
fn history_lines(header: &Header) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for card in header.cards().iter().filter(|card| card.keyword == "HISTORY") {
        let CardValue::Text(text) = &card.value else { continue };
        match (text.trim_start().strip_prefix('>'), lines.last_mut()) {
            (Some(rest), Some(line)) => line.push_str(rest),
            _ => lines.push(text.clone()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Card;

    #[test]
    fn a_beam_comes_from_cards_or_from_the_history() {
        let cards = [Card::new("BMAJ", 0.004, ""), Card::new("BMIN", 0.002, ""), Card::new("BPA", -30.0, "")];
        let beam = Beam::from_header(&Header::from_cards(&cards)).expect("has a beam");
        assert!((beam.major_arcsec - 14.4).abs() < 1e-12 && (beam.minor_arcsec - 7.2).abs() < 1e-12);
        assert_eq!(beam.pa_deg, -30.0);
        let history = [
            Card::history("AIPS   CLEAN BMAJ=  9.0000E-03 BMIN=  9.0000E-03 BPA=   0.00"),
            Card::history("AIPS   CLEAN BMAJ=  1.5000E-03 BMIN=  1.0000E-03 BPA=  12.00"),
        ];
        let beam = Beam::from_header(&Header::from_cards(&history)).expect("has a beam");
        assert!(
            (beam.major_arcsec - 5.4).abs() < 1e-9 && (beam.minor_arcsec - 3.6).abs() < 1e-9 && beam.pa_deg == 12.0
        );
    }

    #[test]
    fn numbers_that_make_no_beam_are_no_beam() {
        for (major, minor) in [(0.0, 0.0), (-1.0, -2.0), (1.0, 2.0)] {
            let cards = [Card::new("BMAJ", major, ""), Card::new("BMIN", minor, "")];
            assert_eq!(Beam::from_header(&Header::from_cards(&cards)), None);
        }
        assert_eq!(Beam::from_header(&Header::default()), None);
        // A Gaussian of 1" has 1.1331 square arc seconds.
        let round = Beam { major_arcsec: 1.0, minor_arcsec: 1.0, pa_deg: 0.0 };
        assert!((round.area_arcsec2() - 1.133_090_035).abs() < 1e-8);
    }

    #[test]
    fn histories_of_several_programs_name_the_beam() {
        for (lines, expected) in [
            (&["AIPS   CLEAN BMAJ=  1.8000E-03 BMIN=  1.5000E-03 BPA= -56.00"][..], Some((6.48, 5.4, -56.0))),
            (&["AIPS   CONVL BMAJ=  1.0D-03 BMIN=  1.0D-03"], Some((3.6, 3.6, 0.0))),
            (&["restored with BMAJ: 6.5 arcsec, BMIN: 5 arcsec, BPA: 12 deg"], Some((6.5, 5.0, 12.0))),
            (
                &["tclean( vis='a.ms', restoringbeam=['6.5arcsec', '5arcsec', '12deg'], niter=100 )"],
                Some((6.5, 5.0, 12.0)),
            ),
            (&["tclean( restoringbeam='0.1arcmin', niter=100 )"], Some((6.0, 6.0, 0.0))),
            (&["tclean( restoringbeam=['6.5arcsec',", ">'5arcsec'], niter=9)"], Some((6.5, 5.0, 0.0))),
            (&["tclean( restoringbeam='', niter=100 )"], None),
            (&["tclean( restoringbeam='common', niter=100 )"], None),
            (&["imsmooth(major=\"6.5arcsec\", minor=\"5arcsec\", pa=\"12deg\")"], Some((6.5, 5.0, 12.0))),
            (&["RESTOR: Using gaussian beam fwhm of   7.200 by   5.400 arcsec."], Some((7.2, 5.4, 0.0))),
            (&["the major axis is long", "CBMAJ=3", "BMAJ", "BMAJ=", "BMAJ=x", "major=3 minor=2"], None),
            (&["AIPS CLEAN BMAJ=  1E-03 BMIN=  1E-03 BPA= 0", "BMAJ= 2E-03 BMIN= 1E-03 BPA= 5"], Some((7.2, 3.6, 5.0))),
        ] {
            let cards: Vec<Card> = lines.iter().map(|line| Card::history(line)).collect();
            let beam = Beam::from_header(&Header::from_cards(&cards));
            let near = |beam: Beam, (major, minor, pa): (f64, f64, f64)| {
                (beam.major_arcsec - major).abs() < 1e-9
                    && (beam.minor_arcsec - minor).abs() < 1e-9
                    && beam.pa_deg == pa
            };
            let right = match (beam, expected) {
                (Some(beam), Some(expected)) => near(beam, expected),
                (beam, expected) => beam.is_none() && expected.is_none(),
            };
            assert!(right, "{lines:?}: {beam:?}");
        }
        let gipsy = [Card::new("BMMAJ", 48.0, ""), Card::new("BMMIN", 28.0, ""), Card::new("BMPA", 3.0, "")];
        let beam = Beam::from_header(&Header::from_cards(&gipsy));
        assert_eq!(beam, Some(Beam { major_arcsec: 48.0, minor_arcsec: 28.0, pa_deg: 3.0 }));
    }
}
