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

    /// The beam of a header: BMAJ, BMIN and BPA in degrees (a missing BMIN means a round beam), or else the last line that
    /// AIPS left in the history (`CLEAN BMAJ= … BMIN= … BPA= …`). `None` if there is neither, or the numbers make no beam.
    pub fn from_header(header: &Header) -> Option<Self> {
        let from_cards = header.float("BMAJ").map(|major| {
            let minor = header.float("BMIN").unwrap_or(major);
            Self::from_degrees(major, minor, header.float("BPA").unwrap_or(0.0))
        });
        // From its end: the last beam written is the one that counts.
        let history = header.cards().iter().rev().filter(|card| card.keyword == "HISTORY");
        from_cards.filter(Self::is_valid).or_else(|| {
            let mut beams = history.filter_map(|card| match &card.value {
                CardValue::Text(text) => Self::from_aips_history(text).filter(Self::is_valid),
                _ => None,
            });
            beams.next()
        })
    }

    fn from_aips_history(line: &str) -> Option<Self> {
        let number = |key: &str| {
            let after = line.split_once(key)?.1.trim_start();
            after.split_whitespace().next()?.parse::<f64>().ok()
        };
        Some(Self::from_degrees(number("BMAJ=")?, number("BMIN=")?, number("BPA=").unwrap_or(0.0)))
    }

    fn from_degrees(major: f64, minor: f64, pa_deg: f64) -> Self {
        Self { major_arcsec: major * 3600.0, minor_arcsec: minor * 3600.0, pa_deg }
    }
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
}
