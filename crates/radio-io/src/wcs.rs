//! Where a pixel lies on the sky: world coordinates of an image.
//!
//! The keywords are read in `wcs/keywords.rs` and `wcs/scale.rs`, geometry is the (private) file projection.rs, frames are those of
//! [`crate::celestial::frame`]. Positions are degrees; [`Wcs::sky`] and [`Wcs::pixel`] speak ICRS whatever the header's own frame is (FK5 and
//! FK4 are precessed, Galactic, supergalactic and ecliptic axes turned). Distortions (SIP, TPV) are in `wcs/distortion.rs`. What cannot be computed
//! truly is refused with a reason.
//!
//! FITS counts pixels from 1 and puts x first. Those two conventions live in this file and its folder: the outside sees
//! `(row, col)` from 0.

mod area;
mod distortion;
mod keywords;
mod sanity;
mod scale;

use std::path::Path;

use distortion::Distortion;
pub use keywords::{alternates, no_sky_reason};
pub use sanity::{Finding, header_findings};

use crate::{
    card::Card,
    celestial::{
        Direction, direction,
        frame::{Axes, Position, SkyFrame},
        lon_lat,
    },
    error::FitsError,
    header::Header,
    projection::Projection,
};

/// The relation between pixels and sky of one image.
#[derive(Debug, Clone)]
pub struct Wcs {
    frame: SkyFrame,
    /// `frame`, made ready.
    axes: Axes,
    /// Three letters, as in CTYPE.
    code: String,
    projection: Projection,
    pv: Vec<(u32, f64)>,
    distortion: Option<Distortion>,
    /// CRPIX of columns and rows, FITS counting.
    reference_pixel: (f64, f64),
    /// Degrees of (longitude, latitude) side per (column, row) step.
    matrix: [[f64; 2]; 2],
    remarks: Vec<String>,
}

impl Wcs {
    /// Reads the primary description; `image_axes` are the header's axes (from 0) that count columns and rows. `None` if the header
    /// describes no sky (no CTYPE, or one that names no longitude and latitude): [`no_sky_reason`] says why.
    ///
    /// # Errors
    /// [`FitsError::Wcs`] for coordinates that cannot be computed truly: apparent places, distortions other than SIP and
    /// TPV, unknown projections and units, a missing or singular scale.
    pub fn from_header(header: &Header, image_axes: (usize, usize), path: &Path) -> Result<Option<Self>, FitsError> {
        keywords::read(header, image_axes, None, path)
    }

    /// As [`Wcs::from_header`], for one of the alternate descriptions `A` to `Z` (CTYPE1A, CRPIX1A, …); [`alternates`] lists
    /// those that a header has.
    ///
    /// # Errors
    /// As [`Wcs::from_header`], and for a letter outside `A` to `Z`.
    pub fn from_header_alternate(
        header: &Header,
        image_axes: (usize, usize),
        version: char,
        path: &Path,
    ) -> Result<Option<Self>, FitsError> {
        keywords::read(header, image_axes, Some(version), path)
    }

    /// A map in ICRS with square pixels, north up and east to the left: what a simulator writes.
    /// `code` is `SIN` or `TAN`; the position (`ra_deg`, `dec_deg`) falls on (`row`, `col`), which may lie between pixels.
    ///
    /// # Errors
    /// [`FitsError::Wcs`] if `code` is unknown or the numbers describe no map.
    pub fn north_up(
        code: &str,
        (ra_deg, dec_deg): (f64, f64),
        (row, col): (f64, f64),
        pixel_arcsec: f64,
    ) -> Result<Self, FitsError> {
        let mut cards =
            vec![Card::new("CTYPE1", format!("RA---{code}"), ""), Card::new("CTYPE2", format!("DEC--{code}"), "")];
        let numbers = [
            ("CRPIX1", col + 1.0),
            ("CRPIX2", row + 1.0),
            ("CRVAL1", ra_deg),
            ("CRVAL2", dec_deg),
            ("CDELT1", -pixel_arcsec / 3600.0),
            ("CDELT2", pixel_arcsec / 3600.0),
        ];
        cards.extend(numbers.map(|(keyword, value)| Card::new(keyword, value, "")));
        let path = Path::new("(header in memory)");
        let wcs = Self::from_header(&Header::from_cards(&cards), (0, 1), path)?;
        wcs.ok_or_else(|| FitsError::Wcs {
            path: path.into(),
            keyword: "CTYPE1".to_owned(),
            found: format!("RA---{code}"),
            reason: "a projection has a three-letter code".to_owned(),
        })
    }

    /// Right ascension and declination (degrees, ICRS) of a pixel position; `None` where the map shows no sky. The centre
    /// of the first pixel is (0, 0).
    pub fn sky(&self, row: f64, col: f64) -> Option<(f64, f64)> {
        self.own_direction(row, col).map(|own| lon_lat(self.axes.icrs(own)))
    }

    /// Galactic longitude and latitude (degrees) of a pixel position.
    pub fn galactic(&self, row: f64, col: f64) -> Option<(f64, f64)> {
        self.positions(SkyFrame::Galactic, &[(row, col)]).pop()?
    }

    /// Longitude and latitude (degrees) of a pixel position in the header's own [`Wcs::frame`].
    pub fn native(&self, row: f64, col: f64) -> Option<(f64, f64)> {
        self.own_direction(row, col).map(lon_lat)
    }

    /// As [`Wcs::native`], with the frame.
    pub fn position(&self, row: f64, col: f64) -> Option<Position> {
        let (lon_deg, lat_deg) = self.native(row, col)?;
        Some(Position { frame: self.frame, lon_deg, lat_deg })
    }

    /// Longitudes and latitudes (degrees) in `frame` of many pixel positions (row, col).
    pub fn positions(&self, frame: SkyFrame, pixels: &[(f64, f64)]) -> Vec<Option<(f64, f64)>> {
        if frame == self.frame {
            return pixels.iter().map(|&(row, col)| self.native(row, col)).collect();
        }
        let axes = Axes::of(frame);
        let there = |own: Direction| lon_lat(axes.own(self.axes.icrs(own)));
        pixels.iter().map(|&(row, col)| self.own_direction(row, col).map(there)).collect()
    }

    /// Pixel position (`row`, `col`) of a right ascension and declination (degrees, ICRS); `None` if the map does not show it.
    pub fn pixel(&self, ra_deg: f64, dec_deg: f64) -> Option<(f64, f64)> {
        self.pixel_of_own(self.axes.own(direction(ra_deg, dec_deg)))
    }

    /// Pixel position (`row`, `col`) of a longitude and latitude (degrees) in the header's own [`Wcs::frame`].
    pub fn pixel_of_native(&self, lon_deg: f64, lat_deg: f64) -> Option<(f64, f64)> {
        self.pixel_of_own(direction(lon_deg, lat_deg))
    }

    /// Pixel position (`row`, `col`) of a position in any frame.
    pub fn pixel_of(&self, position: Position) -> Option<(f64, f64)> {
        let own = position.in_frame(self.frame);
        self.pixel_of_native(own.lon_deg, own.lat_deg)
    }

    /// Pixel positions (row, col) of many longitudes and latitudes (degrees) in `frame`.
    pub fn pixels(&self, frame: SkyFrame, positions: &[(f64, f64)]) -> Vec<Option<(f64, f64)>> {
        if frame == self.frame {
            return positions.iter().map(|&(lon, lat)| self.pixel_of_native(lon, lat)).collect();
        }
        let axes = Axes::of(frame);
        let own = |lon, lat| self.axes.own(axes.icrs(direction(lon, lat)));
        positions.iter().map(|&(lon, lat)| self.pixel_of_own(own(lon, lat))).collect()
    }

    /// The same sky for a cutout whose pixel (0, 0) is pixel (`row`, `col`) of this image.
    pub fn shifted(&self, row: f64, col: f64) -> Self {
        let (x, y) = self.reference_pixel;
        Self { reference_pixel: (x - col, y - row), ..self.clone() }
    }

    /// The reference pixel (CRPIX) as (row, col), counted from 0; it may lie outside the image.
    pub fn reference_pixel(&self) -> (f64, f64) {
        (self.reference_pixel.1 - 1.0, self.reference_pixel.0 - 1.0)
    }

    /// The header's own axes.
    pub fn frame(&self) -> SkyFrame {
        self.frame
    }

    /// The projection, as in CTYPE: `SIN`, `TAN`, `NCP`, …
    pub fn projection(&self) -> &str {
        &self.code
    }

    /// Size of a pixel in arc seconds: the square root of its area at the reference point.
    pub fn pixel_arcsec(&self) -> f64 {
        scale::determinant(self.matrix).abs().sqrt() * 3600.0
    }

    /// What of the header was taken with a grain of salt, in words.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The cards that describe this sky in a two-dimensional image.
    pub fn cards(&self) -> Vec<Card> {
        let (lon, lat) = match self.frame {
            SkyFrame::Galactic => ("GLON", "GLAT"),
            SkyFrame::Supergalactic => ("SLON", "SLAT"),
            SkyFrame::Ecliptic { .. } => ("ELON", "ELAT"),
            _ => ("RA--", "DEC-"),
        };
        let [[a, b], [c, d]] = self.matrix;
        let mark = if let Some(Distortion::Sip(_)) = self.distortion { "-SIP" } else { "" };
        let mut cards = vec![
            Card::new("CTYPE1", format!("{lon}-{}{mark}", self.code), ""),
            Card::new("CTYPE2", format!("{lat}-{}{mark}", self.code), ""),
            Card::new("CUNIT1", "deg", ""),
            Card::new("CUNIT2", "deg", ""),
            Card::new("CRPIX1", self.reference_pixel.0, "reference pixel, counted from 1"),
            Card::new("CRPIX2", self.reference_pixel.1, ""),
            Card::new("CRVAL1", self.projection.reference.0, "degrees"),
            Card::new("CRVAL2", self.projection.reference.1, "degrees"),
        ];
        if b == 0.0 && c == 0.0 {
            cards.extend([Card::new("CDELT1", a, "degrees per pixel"), Card::new("CDELT2", d, "")]);
        } else {
            let matrix = [("CD1_1", a), ("CD1_2", b), ("CD2_1", c), ("CD2_2", d)];
            cards.extend(matrix.map(|(keyword, value)| Card::new(keyword, value, "degrees per pixel")));
        }
        cards.push(Card::new("LONPOLE", self.projection.lonpole_deg, ""));
        cards.push(Card::new("LATPOLE", self.projection.latpole_deg, ""));
        cards.extend(self.pv.iter().map(|(m, value)| Card::new(&format!("PV2_{m}"), *value, "")));
        if let Some(Distortion::Sip(warp) | Distortion::Tpv(warp)) = &self.distortion {
            cards.extend(warp.cards.iter().cloned());
        }
        let (system, equinox) = match self.frame {
            SkyFrame::Icrs => ("ICRS", None),
            SkyFrame::Fk5 { equinox } | SkyFrame::Ecliptic { equinox } => ("FK5", Some(equinox)),
            SkyFrame::Fk4 { equinox } => ("FK4", Some(equinox)),
            SkyFrame::Fk4NoE { equinox } => ("FK4-NO-E", Some(equinox)),
            SkyFrame::Galactic | SkyFrame::Supergalactic => return cards,
        };
        cards.push(Card::new("RADESYS", system, ""));
        cards.extend(equinox.map(|year| Card::new("EQUINOX", year, "")));
        cards
    }

    fn own_direction(&self, row: f64, col: f64) -> Option<Direction> {
        let step = (col + 1.0 - self.reference_pixel.0, row + 1.0 - self.reference_pixel.1);
        let (dx, dy) = if let Some(Distortion::Sip(warp)) = &self.distortion { warp.apply(step) } else { step };
        let [[a, b], [c, d]] = self.matrix;
        let flat = (a * dx + b * dy, c * dx + d * dy);
        let (x, y) = if let Some(Distortion::Tpv(warp)) = &self.distortion { warp.apply(flat) } else { flat };
        // Far outside the image a polynomial overflows.
        (self.distortion.is_none() || x.is_finite() && y.is_finite()).then(|| self.projection.sky(x, y))?
    }

    fn pixel_of_own(&self, own: Direction) -> Option<(f64, f64)> {
        let flat = self.projection.flat(own)?;
        let (x, y) = if let Some(Distortion::Tpv(warp)) = &self.distortion { warp.invert(flat)? } else { flat };
        let [[a, b], [c, d]] = self.matrix;
        let determinant = scale::determinant(self.matrix);
        let step = ((d * x - b * y) / determinant, (a * y - c * x) / determinant);
        let (dx, dy) = if let Some(Distortion::Sip(warp)) = &self.distortion { warp.invert(step)? } else { step };
        Some((dy + self.reference_pixel.1 - 1.0, dx + self.reference_pixel.0 - 1.0))
    }

    /// Pixel size from the scale keywords alone, for headers that name no sky axes.
    pub(crate) fn pixel_arcsec_of(header: &Header, image_axes: (usize, usize)) -> Option<f64> {
        let axes = (image_axes.0 + 1, image_axes.1 + 1);
        let matrix = scale::read(header, "", axes, axes, (1.0, 1.0), &mut Vec::new()).ok()??;
        Some(scale::determinant(matrix).abs().sqrt() * 3600.0).filter(|size| *size > 0.0 && size.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wcs(cards: &[(&str, f64)]) -> Wcs {
        let mut all = vec![Card::new("CTYPE1", "RA---TAN", ""), Card::new("CTYPE2", "DEC--TAN", "")];
        all.extend(cards.iter().map(|(keyword, value)| Card::new(keyword, *value, "")));
        let read = Wcs::from_header(&Header::from_cards(&all), (0, 1), Path::new("test"));
        read.expect("legal").expect("has a sky")
    }

    /// Calabretta & Greisen 2002, eqs. 186 to 189: x = CDELT1 cos ρ p1 - CDELT2 sin ρ p2, y = CDELT1 sin ρ p1 + CDELT2 cos ρ p2,
    /// so that with east to the left the columns run ρ west of north.
    #[test]
    fn three_ways_to_write_the_scale_agree() {
        let (a, b, angle) = (-2.0e-3, 3.0e-3, 25.0_f64);
        let (s, c) = angle.to_radians().sin_cos();
        let turned = wcs(&[("CDELT1", a), ("CDELT2", b), ("CROTA2", angle)]);
        let cd = wcs(&[("CD1_1", a * c), ("CD1_2", -b * s), ("CD2_1", a * s), ("CD2_2", b * c)]);
        let pc = [("PC1_1", c), ("PC1_2", -s * b / a), ("PC2_1", s * a / b), ("PC2_2", c)];
        let pc = wcs(&[&[("CDELT1", a), ("CDELT2", b)][..], &pc].concat());
        for (other, name) in [(&cd, "CD"), (&pc, "PC")] {
            for (mine, theirs) in turned.matrix.iter().flatten().zip(other.matrix.iter().flatten()) {
                assert!((mine - theirs).abs() < 1e-18, "{name}: {:?} {:?}", turned.matrix, other.matrix);
            }
        }
        // A step along a column goes north and, here, west of the reference point at (0, 0).
        let (ra, dec) = turned.sky(99.0, -1.0).expect("on the map");
        assert!(ra > 359.0 && dec > 0.0, "{ra} {dec}");
        assert!((turned.pixel_arcsec() - 3600.0 * 6.0_f64.sqrt() * 1e-3).abs() < 1e-9);
        let partial = wcs(&[("CDELT1", a), ("CDELT2", b), ("PC1_2", 0.5)]);
        assert_eq!(partial.matrix, [[a, 0.5 * a], [0.0, b]], "missing PC entries are those of the unit matrix");
    }

    /// Declination first is legal, and so are axes of length 1 between those of the image.
    #[test]
    fn the_order_of_the_axes_is_the_headers() {
        let usual = Wcs::north_up("TAN", (30.0, 40.0), (4.0, 7.0), 5.0).expect("legal");
        let text = [("CTYPE1", "DEC--TAN"), ("CTYPE2", "STOKES"), ("CTYPE3", "RA---TAN")];
        let step = 5.0 / 3600.0;
        let numbers =
            [("CRVAL1", 40.0), ("CRVAL3", 30.0), ("CDELT1", step), ("CDELT3", -step), ("CRPIX1", 5.0), ("CRPIX3", 8.0)];
        let mut cards: Vec<Card> = text.iter().map(|(keyword, value)| Card::new(keyword, *value, "")).collect();
        cards.extend(numbers.iter().map(|(keyword, value)| Card::new(keyword, *value, "")));
        let turned = Wcs::from_header(&Header::from_cards(&cards), (0, 2), Path::new("test"));
        let turned = turned.expect("legal").expect("has a sky");
        // Its columns count declination, so (row, col) change places.
        assert_eq!(turned.sky(2.0, 11.0), usual.sky(11.0, 2.0));
        let (row, col) = turned.pixel(30.001, 40.002).expect("on the map");
        let (usual_row, usual_col) = usual.pixel(30.001, 40.002).expect("on the map");
        assert!((row - usual_col).abs() < 1e-9 && (col - usual_row).abs() < 1e-9);
    }

    /// What [`Wcs::cards`] writes is the same sky, also for Galactic, slanted and turned maps.
    #[test]
    fn cards_describe_the_same_sky() {
        for frame in [
            ("RA---SIN", "DEC--SIN"),
            ("GLON-SIN", "GLAT-SIN"),
            ("GLON-CAR", "GLAT-CAR"),
            ("SLON-TAN", "SLAT-TAN"),
            ("ELON-ZEA", "ELAT-ZEA"),
        ] {
            let mut cards = vec![Card::new("CTYPE1", frame.0, ""), Card::new("CTYPE2", frame.1, "")];
            let numbers = [
                ("CRVAL1", 350.0),
                ("CRVAL2", -20.0),
                ("CRPIX1", 3.0),
                ("CRPIX2", 9.0),
                ("CD1_1", -0.01),
                ("CD1_2", 0.002),
            ];
            let more = [("CD2_1", 0.001), ("CD2_2", 0.011), ("PV2_1", 0.1), ("PV2_2", -0.3), ("LONPOLE", 170.0)];
            cards.extend(numbers.iter().chain(&more).map(|(keyword, value)| Card::new(keyword, *value, "")));
            let read = |cards: &[Card]| Wcs::from_header(&Header::from_cards(cards), (0, 1), Path::new("test"));
            let first = read(&cards).expect("legal").expect("has a sky");
            let again = read(&first.cards()).expect("legal").expect("has a sky");
            assert_eq!(first.sky(20.0, -30.0), again.sky(20.0, -30.0), "{frame:?}");
            assert!(first.sky(20.0, -30.0).is_some() && first.sky(20.0, -30.0) != first.sky(-30.0, 20.0));
        }
    }
}
