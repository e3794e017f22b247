//! Celestial frames: ICRS, FK5, FK4, Galactic, supergalactic, and the way from one to another.
//!
//! Every frame knows its way to ICRS, so that any two are joined through it. The steps are those that astropy takes: the frame bias of FK5
//! (USNO Circular 179), the precession of IAU 2006 between FK5 equinoxes, and for FK4 the E-terms of aberration (Explanatory Supplement
//! 1992), Newcomb's precession and the matrix of Murray 1989 (A&A 218, 325). A position without proper motion is taken as
//! observed at its equinox.

use std::fmt;

use super::{Direction, Rotation, about_x, about_y, about_z, direction, dot, lon_lat, plus, times, turned, unit};

/// The axes in which a longitude and a latitude are measured.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum SkyFrame {
    /// Right ascension and declination, International Celestial Reference System.
    Icrs,
    /// Right ascension and declination, FK5, mean equinox of that Julian year.
    Fk5 {
        /// Julian year, 2000 for J2000.
        equinox: f64,
    },
    /// Right ascension and declination, FK4 with its E-terms of aberration, mean equinox of that Besselian year.
    Fk4 {
        /// Besselian year, 1950 for B1950.
        equinox: f64,
    },
    /// As [`SkyFrame::Fk4`], the E-terms taken out.
    Fk4NoE {
        /// Besselian year.
        equinox: f64,
    },
    /// Galactic longitude and latitude (1958 system as carried to J2000).
    Galactic,
    /// Supergalactic longitude and latitude.
    Supergalactic,
    /// Ecliptic longitude and latitude, mean ecliptic and equinox of that Julian year, as seen from the centre of the solar system.
    Ecliptic {
        /// Julian year, 2000 for J2000.
        equinox: f64,
    },
}

impl SkyFrame {
    /// FK5 at J2000.
    pub const FK5_J2000: Self = Self::Fk5 { equinox: 2000.0 };
    /// FK4 at B1950.
    pub const FK4_B1950: Self = Self::Fk4 { equinox: 1950.0 };

    /// Whether the axes are right ascension and declination.
    pub fn is_equatorial(self) -> bool {
        !matches!(self, Self::Galactic | Self::Supergalactic | Self::Ecliptic { .. })
    }

    /// ICRS position of a (longitude, latitude) in this frame, degrees.
    pub fn to_icrs(self, position: (f64, f64)) -> (f64, f64) {
        lon_lat(Axes::of(self).icrs(direction(position.0, position.1)))
    }

    /// (longitude, latitude) in this frame of an ICRS position, degrees.
    pub fn from_icrs(self, position: (f64, f64)) -> (f64, f64) {
        lon_lat(Axes::of(self).own(direction(position.0, position.1)))
    }

    /// (longitude, latitude) in `target` of positions in this frame, degrees. A position that is not finite stays so.
    pub fn convert(self, target: Self, positions: &[(f64, f64)]) -> Vec<(f64, f64)> {
        if self == target {
            return positions.to_vec();
        }
        let (from, to) = (Axes::of(self), Axes::of(target));
        positions.iter().map(|&(lon, lat)| lon_lat(to.own(from.icrs(direction(lon, lat))))).collect()
    }
}

impl fmt::Display for SkyFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Icrs => write!(f, "ICRS"),
            Self::Fk5 { equinox } => write!(f, "FK5 (J{equinox:?})"),
            Self::Fk4 { equinox } => write!(f, "FK4 (B{equinox:?})"),
            Self::Fk4NoE { equinox } => write!(f, "FK4 without E-terms (B{equinox:?})"),
            Self::Galactic => write!(f, "Galactic"),
            Self::Supergalactic => write!(f, "supergalactic"),
            Self::Ecliptic { equinox } => write!(f, "ecliptic (J{equinox:?})"),
        }
    }
}

/// A position that knows its frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// The axes.
    pub frame: SkyFrame,
    /// Longitude or right ascension, degrees.
    pub lon_deg: f64,
    /// Latitude or declination, degrees.
    pub lat_deg: f64,
}

impl Position {
    /// A right ascension and declination in ICRS, degrees.
    pub fn icrs(ra_deg: f64, dec_deg: f64) -> Self {
        Self { frame: SkyFrame::Icrs, lon_deg: ra_deg, lat_deg: dec_deg }
    }

    /// A Galactic longitude and latitude, degrees.
    pub fn galactic(lon_deg: f64, lat_deg: f64) -> Self {
        Self { frame: SkyFrame::Galactic, lon_deg, lat_deg }
    }

    /// The same place in another frame.
    pub fn in_frame(self, frame: SkyFrame) -> Self {
        if frame == self.frame {
            return self;
        }
        let there = Axes::of(self.frame).icrs(direction(self.lon_deg, self.lat_deg));
        let (lon_deg, lat_deg) = lon_lat(Axes::of(frame).own(there));
        Self { frame, lon_deg, lat_deg }
    }

    /// Great-circle distance, arc seconds.
    pub fn separation_arcsec(self, other: Self) -> f64 {
        let other = other.in_frame(self.frame);
        super::separation_arcsec((self.lon_deg, self.lat_deg), (other.lon_deg, other.lat_deg))
    }
}

/// A frame made ready for many positions: the matrix to ICRS and, for FK4, the E-terms that come off first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axes {
    to_icrs: Rotation,
    from_icrs: Rotation,
    e_terms: Option<Direction>,
}

impl Axes {
    pub fn of(frame: SkyFrame) -> Self {
        let e_terms = match frame {
            SkyFrame::Fk4 { equinox } => Some(e_terms(equinox)),
            _ => None,
        };
        let from_icrs = match frame {
            SkyFrame::Icrs => about_z(0.0),
            SkyFrame::Fk5 { equinox } => times(precession(equinox), fk5_from_icrs()),
            SkyFrame::Galactic => galactic_from_icrs(),
            SkyFrame::Supergalactic => times(supergalactic_from_galactic(), galactic_from_icrs()),
            SkyFrame::Ecliptic { equinox } => ecliptic_from_icrs(equinox),
            SkyFrame::Fk4 { equinox } | SkyFrame::Fk4NoE { equinox } => {
                // Murray's matrix turns with time and is a rotation to 1e-9 only: both ways share one exact inverse.
                let to_icrs = times(transposed(fk5_from_icrs()), fk5_from_fk4(equinox));
                return Self { to_icrs, from_icrs: inverse(to_icrs), e_terms };
            }
        };
        Self { to_icrs: transposed(from_icrs), from_icrs, e_terms }
    }

    /// ICRS direction of one in these axes.
    pub fn icrs(&self, own: Direction) -> Direction {
        let bare = match self.e_terms {
            Some(e) => unit(plus(plus(own, -1.0, e), dot(e, own), own)),
            None => own,
        };
        turned(&self.to_icrs, bare)
    }

    /// Direction in these axes of an ICRS one.
    pub fn own(&self, icrs: Direction) -> Direction {
        let bare = turned(&self.from_icrs, icrs);
        let Some(e) = self.e_terms else { return bare };
        let bare = unit(bare);
        // Each round gains four digits: the E-terms are 3e-4.
        let mut own = bare;
        for _ in 0..6 {
            let longer = plus(bare, 1.0, e).map(|part| part / (1.0 + dot(e, own)));
            own = longer;
        }
        unit(own)
    }
}

fn transposed(r: Rotation) -> Rotation {
    std::array::from_fn(|row| std::array::from_fn(|col| r[col][row]))
}

/// Inverse by cofactors.
fn inverse(r: Rotation) -> Rotation {
    let columns = transposed(r);
    let [a, b, c] = columns;
    let volume = dot(a, super::cross(b, c));
    [super::cross(b, c), super::cross(c, a), super::cross(a, b)].map(|row| row.map(|part| part / volume))
}

/// FK5 at J2000 seen from ICRS: offsets of 19.9, 9.1 and -22.9 milliarcseconds (USNO Circular 179).
fn fk5_from_icrs() -> Rotation {
    let mas = 1.0 / 3_600_000.0;
    times(about_x(19.9 * mas), times(about_y(9.1 * mas), about_z(-22.9 * mas)))
}

/// From J2000 to the mean equinox of a Julian year (Capitaine et al. 2003, A&A 412, 567, eqs. 40 and 41; IAU 2006).
fn precession(equinox: f64) -> Rotation {
    if equinox == 2000.0 {
        return about_z(0.0);
    }
    let t = (equinox - 2000.0) / 100.0;
    let series = |terms: [f64; 6]| terms.iter().rev().fold(0.0, |sum, term| sum * t + term) / 3600.0;
    let zeta = series([2.650545, 2306.083227, 0.2988499, 0.01801828, -5.971e-6, -3.173e-7]);
    let z = series([-2.650545, 2306.077181, 1.0927348, 0.01826837, -28.596e-6, -2.904e-7]);
    let theta = series([0.0, 2004.191903, -0.4294934, -0.04182264, -7.089e-6, -1.274e-7]);
    times(about_z(-z), times(about_y(theta), about_z(-zeta)))
}

/// The Galactic axes (Blaauw et al. 1960 as carried to J2000: north pole at RA 192.8594812065348, Dec 27.12825118085622 in FK5,
/// ascending node at 32.9319185680026) seen from ICRS.
fn galactic_from_icrs() -> Rotation {
    let from_fk5 = times(
        about_z(180.0 - 122.931_918_568_002_6),
        times(about_y(90.0 - 27.128_251_180_856_22), about_z(192.859_481_206_534_8)),
    );
    times(from_fk5, fk5_from_icrs())
}

/// North supergalactic pole at l = 47.37, b = 6.32 (de Vaucouleurs et al. 1976).
fn supergalactic_from_galactic() -> Rotation {
    times(about_z(90.0), times(about_y(90.0 - 6.32), about_z(47.37)))
}

/// Mean ecliptic and equinox of a Julian year seen from ICRS (IAU 2006: Hilton et al. 2006, Celest. Mech. 94, 351, the Fukushima-Williams angles
/// with the frame bias; the obliquity drops out).
fn ecliptic_from_icrs(equinox: f64) -> Rotation {
    let t = (equinox - 2000.0) / 100.0;
    let series = |terms: [f64; 6]| terms.iter().rev().fold(0.0, |sum, term| sum * t + term) / 3600.0;
    let gamma = series([-0.052928, 10.556378, 0.4932044, -0.00031238, -2.788e-6, 2.60e-8]);
    let phi = series([84381.412819, -46.811016, 0.0511268, 0.00053289, -0.440e-6, -1.76e-8]);
    let psi = series([-0.041775, 5038.481484, 1.5584175, -0.00018522, -26.452e-6, -1.48e-8]);
    times(about_z(-psi), times(about_x(phi), about_z(gamma)))
}

/// Julian date of a Besselian year.
fn besselian_jd(year: f64) -> f64 {
    2_415_020.313_52 + (year - 1900.0) * 365.242_198_781
}

const JD_B1950: f64 = 2_433_282.423_459_05;

/// E-terms of aberration at an equinox, radians (Explanatory Supplement 1992, eqs. 3.53-1 and following).
fn e_terms(equinox: f64) -> Direction {
    let t = (besselian_jd(equinox) - JD_B1950) / 36525.0;
    let eccentricity = (-0.000_000_126 * t - 0.000_041_93) * t + 0.016_730_11;
    let perigee = (((0.012 * t + 1.65) * t + 6190.67) * t + 1_015_489.951) / 3600.0;
    // Mean obliquity of IAU 1980.
    let c = (besselian_jd(equinox) - 2_451_545.0) / 36525.0;
    let obliquity = (84381.448 - (46.8150 + (0.00059 - 0.001_813 * c) * c) * c) / 3600.0;
    let size = 0.005_693_2_f64.to_radians() * eccentricity;
    let ((sin_g, cos_g), (sin_o, cos_o)) = (perigee.to_radians().sin_cos(), obliquity.to_radians().sin_cos());
    [size * sin_g, -size * cos_g * cos_o, -size * cos_g * sin_o]
}

/// Newcomb's precession between Besselian years (Explanatory Supplement 1992, table 3.214).
fn besselian_precession(from: f64, to: f64) -> Rotation {
    let t = (from - 1850.0) / 1000.0;
    let dt = (to - 1850.0) / 1000.0 - t;
    let first = (0.060 * t + 139.720) * t + 23_035.545;
    let zeta = ((17.995 * dt - 0.27 * t + 30.240) * dt + first) * dt / 3600.0;
    let z = ((18.325 * dt + 109.480 + 0.39 * t) * dt + first) * dt / 3600.0;
    let theta = ((-41.8 * dt - 0.37 * t - 42.65) * dt + (-0.37 * t - 85.29) * t + 20_051.12) * dt / 3600.0;
    times(about_z(-z), times(about_y(theta), about_z(-zeta)))
}

/// FK4 without E-terms at a Besselian year, to FK5 at J2000 (Murray 1989, eqs. 28 and 29).
fn fk5_from_fk4(equinox: f64) -> Rotation {
    const TO_J2000: Rotation = [
        [0.999_925_679_495_687_7, -0.011_181_483_220_466_2, -0.004_859_003_815_359_2],
        [0.011_181_483_239_171_7, 0.999_937_484_893_313_5, -0.000_027_162_594_714_2],
        [0.004_859_003_772_314_3, -0.000_027_170_293_744_0, 0.999_988_194_602_374_2],
    ];
    const PER_CENTURY: Rotation = [
        [-0.002_645_526_2e-6, -1.153_991_868_9e-6, 2.111_134_619_0e-6],
        [1.154_062_816_1e-6, -0.012_904_299_7e-6, 0.023_602_147_8e-6],
        [-2.111_297_904_8e-6, -0.005_602_444_8e-6, 0.010_258_773_4e-6],
    ];
    let centuries = (besselian_jd(equinox) - 2_451_545.0) / 36525.0 + 0.5;
    let matrix = std::array::from_fn(|row| std::array::from_fn(|k| TO_J2000[row][k] + PER_CENTURY[row][k] * centuries));
    times(matrix, besselian_precession(equinox, 1950.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::celestial::separation_arcsec;

    const FRAMES: [SkyFrame; 9] = [
        SkyFrame::FK5_J2000,
        SkyFrame::Fk5 { equinox: 1985.5 },
        SkyFrame::FK4_B1950,
        SkyFrame::Fk4 { equinox: 1975.0 },
        SkyFrame::Fk4NoE { equinox: 1950.0 },
        SkyFrame::Galactic,
        SkyFrame::Supergalactic,
        SkyFrame::Ecliptic { equinox: 2000.0 },
        SkyFrame::Ecliptic { equinox: 1985.5 },
    ];

    /// ICRS of five positions in each of [`FRAMES`], made with astropy 8.0.2 (`SkyCoord(lon, lat, frame=...).icrs`; ecliptic:
    /// `BarycentricMeanEcliptic`).
    #[test]
    fn positions_agree_with_astropy() {
        let own = [(10.5, -43.25), (150.0, 35.0), (359.9, 89.5), (266.4, -28.9), (83.0, 0.1)];
        let icrs = [
            [
                (10.499999185165473, -43.25000147809215),
                (149.99999610593525, 35.00000495300859),
                (359.8993607280137, 89.49999746254778),
                (266.3999920546286, -28.900005358149453),
                (82.99999363333393, 0.10000517851593767),
            ],
            [
                (10.671826077150584, -43.170648707593905),
                (150.21388972001444, 34.93001768071538),
                (0.08376760600281839, 89.58072434877703),
                (266.6302373082102, -28.90491132884057),
                (83.18589976993114, 0.1097122916401725),
            ],
            [
                (11.091846838460771, -42.97645237192124),
                (150.7365404464672, 34.75805591201372),
                (0.8207468284631685, 89.77830563950873),
                (267.19426374083724, -28.915564600418584),
                (83.6411331386649, 0.13239570177637602),
            ],
            [
                (10.796390504105435, -43.11312797167488),
                (150.36880074043214, 34.87927816933152),
                (0.2460476335892936, 89.63910422291359),
                (266.79734470018775, -28.908267824606625),
                (83.32069284437001, 0.11659007615011174),
            ],
            [
                (11.091845338865218, -42.97652317949158),
                (150.73661623817574, 34.75800821244181),
                (0.8160939424223231, 89.7783987615807),
                (267.19415883098446, -28.915560405681806),
                (83.64122331534433, 0.1323873865858874),
            ],
            [
                (318.5193695631449, -34.04140630000005),
                (128.36880093681407, 65.60549820548674),
                (193.32933311700688, 26.854917986519556),
                (91.00906049918333, -57.826343059617216),
                (311.33105088546284, 43.09769755489535),
            ],
            [
                (90.49143717216906, 29.252391230446104),
                (238.4180212022308, -16.290476011001246),
                (283.9867653057392, 16.156077833268046),
                (38.32856913542833, -33.56431702641082),
                (183.7247572289314, 32.07964345028536),
            ],
            [
                (28.837573859856022, -35.15876895418156),
                (168.2448559157474, 43.564126311997796),
                (271.25675524171834, 66.55481478865555),
                (264.84558687001686, -52.274888323226975),
                (82.37177651399118, 23.354112585369084),
            ],
            [
                (28.997038754566532, -35.08719820910418),
                (168.44785759808053, 43.48544733424789),
                (271.256327014268, 66.55470001539562),
                (265.135102820011, -52.28381564236281),
                (82.59199702447154, 23.366543674140626),
            ],
        ];
        for (frame, expected) in FRAMES.into_iter().zip(icrs) {
            for (position, want) in own.into_iter().zip(expected) {
                let got = frame.to_icrs(position);
                // 4e-6 arc seconds are 1e-9 degrees.
                assert!(separation_arcsec(got, want) < 4e-6, "{frame} {position:?}: {got:?}, astropy {want:?}");
                let back = frame.from_icrs(got);
                assert!(separation_arcsec(back, position) < 1e-8, "{frame}: {position:?} came back as {back:?}");
            }
        }
    }

    #[test]
    fn frames_meet_through_each_other() {
        let position = Position { frame: SkyFrame::FK4_B1950, lon_deg: 262.610_5, lat_deg: -28.915 };
        let galactic = position.in_frame(SkyFrame::Galactic);
        assert!(galactic.separation_arcsec(position) < 1e-8);
        let list = SkyFrame::FK4_B1950.convert(SkyFrame::Galactic, &[(262.610_5, -28.915), (f64::NAN, 0.0)]);
        assert_eq!(list[0], (galactic.lon_deg, galactic.lat_deg));
        assert!(list[1].0.is_nan());
        // By definition the Galactic pole is at RA 12h49m, Dec +27.4 in FK4 of B1950 (without E-terms), to the 0.1" of the transfer.
        let pole = Position::galactic(0.0, 90.0).in_frame(SkyFrame::Fk4NoE { equinox: 1950.0 });
        assert!(separation_arcsec((pole.lon_deg, pole.lat_deg), (192.25, 27.4)) < 0.5, "{pole:?}");
    }
}
