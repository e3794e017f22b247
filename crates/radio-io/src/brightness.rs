//! Units of brightness, as headers spell them, and from one to another.
//!
//! What differs between Jy/beam, Jy/pixel and Jy/sr is the solid angle that shares the flux: the beam, the pixel, a steradian.

use crate::beam::Beam;

/// The flux in one unit of solid angle, or a temperature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrightnessUnit {
    /// Jansky per synthesised beam.
    JyPerBeam,
    /// Jansky per pixel, as models and clean components have it.
    JyPerPixel,
    /// Jansky per steradian.
    JyPerSteradian,
    /// Jansky per square arc second.
    JyPerArcsec2,
    /// Jansky, without a solid angle.
    Jy,
    /// Brightness temperature.
    Kelvin,
}

/// A unit with its prefix: a pixel of value 1 is `scale` of `unit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Brightness {
    /// The unit without prefix.
    pub unit: BrightnessUnit,
    /// 1e-3 for mJy/beam, and so on.
    pub scale: f64,
}

/// A steradian in square arc seconds.
const STERADIAN_ARCSEC2: f64 = {
    let arcsec_per_radian = 180.0 * 3600.0 / std::f64::consts::PI;
    arcsec_per_radian * arcsec_per_radian
};

impl Brightness {
    /// Reads a BUNIT: `Jy/beam`, `JY/BEAM`, `Jy beam-1`, `Jy/bm`, `JY PER BEAM`, `mJy/beam`, `uJy/beam`, `Jy/pixel`, `MJy/sr`,
    /// `Jy arcsec-2`, `K`, `mK`, …
    ///
    /// `None` for anything else, and for `MJY/BEAM`: software without small letters means milli, and the letter says mega.
    pub fn parse(bunit: &str) -> Option<Self> {
        let compact: String = bunit.chars().filter(|character| !character.is_whitespace()).collect();
        let lower = compact.to_lowercase();
        let temperature = ["k", "kelvin", "kelvins"].iter().find_map(|name| lower.strip_suffix(name).map(str::len));
        if let Some(scale) = temperature.and_then(|end| prefix(compact.get(..end)?)) {
            return Some(Self { unit: BrightnessUnit::Kelvin, scale });
        }
        // Longest first; the text before is the prefix, the text behind the solid angle.
        let (start, name) =
            ["janskys", "jansky", "jy"].iter().find_map(|name| lower.find(name).map(|at| (at, *name)))?;
        let scale = prefix(compact.get(..start)?)?;
        let unit = per_solid_angle(lower.get(start + name.len()..)?)?;
        let capitals = compact.get(start..start + 2) == Some("JY");
        let unclear = capitals && scale == 1e6 && unit != BrightnessUnit::JyPerSteradian;
        (!unclear).then_some(Self { unit, scale })
    }

    /// By what pixels are multiplied to be in `unit`; a pixel covers `pixel_area_arcsec2`.
    ///
    /// `None` where a beam is needed and not given, and between a temperature or a plain flux and anything else.
    ///
    /// # Source
    /// The solid angle of a Gaussian beam is π · major · minor / (4 ln 2), with full widths at half maximum.
    pub fn factor_to(self, unit: BrightnessUnit, beam: Option<&Beam>, pixel_area_arcsec2: f64) -> Option<f64> {
        if self.unit == unit {
            return Some(self.scale);
        }
        let area = |unit: BrightnessUnit| {
            let area = match unit {
                BrightnessUnit::JyPerBeam => beam?.area_arcsec2(),
                BrightnessUnit::JyPerPixel => pixel_area_arcsec2,
                BrightnessUnit::JyPerSteradian => STERADIAN_ARCSEC2,
                BrightnessUnit::JyPerArcsec2 => 1.0,
                BrightnessUnit::Jy | BrightnessUnit::Kelvin => return None,
            };
            (area.is_finite() && area > 0.0).then_some(area)
        };
        Some(self.scale * area(unit)? / area(self.unit)?)
    }
}

fn prefix(text: &str) -> Option<f64> {
    Some(match text {
        "" => 1.0,
        "m" | "milli" | "Milli" => 1e-3,
        "u" | "µ" | "μ" | "micro" | "Micro" => 1e-6,
        "n" | "nano" => 1e-9,
        "k" => 1e3,
        "M" => 1e6,
        _ => return None,
    })
}

/// What stands behind `Jy`, in small letters and without blanks.
fn per_solid_angle(text: &str) -> Option<BrightnessUnit> {
    if text.is_empty() {
        return Some(BrightnessUnit::Jy);
    }
    // Either a division, or a power of -1 (-2 for arc seconds).
    let divided = text.strip_prefix('/').or_else(|| text.strip_prefix("per"));
    let bare = |text: &str| text.trim_matches(['(', ')', '.', '*', '^']).to_owned();
    let (name, powers) = match divided {
        Some(name) => (bare(name), ["", "2"]),
        None => (bare(text), ["-1", "-2"]),
    };
    let is = |stem: &str, power: &str| {
        name.strip_prefix(stem).is_some_and(|rest| rest.trim_matches(['(', ')', '*', '^']) == power)
    };
    let [linear, square] = powers;
    let any = |stems: &[&str], power: &str| stems.iter().any(|stem| is(stem, power));
    if any(&["beam", "bm", "b"], linear) {
        Some(BrightnessUnit::JyPerBeam)
    } else if any(&["pixel", "pix", "px"], linear) {
        Some(BrightnessUnit::JyPerPixel)
    } else if any(&["sr", "ster", "steradian"], linear) {
        Some(BrightnessUnit::JyPerSteradian)
    } else if any(&["arcsec", "as"], square) || any(&["sqarcsec"], linear) {
        Some(BrightnessUnit::JyPerArcsec2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BrightnessUnit::*;

    #[test]
    fn units_are_read_in_the_spellings_of_real_files() {
        for (text, unit, scale) in [
            ("Jy/beam", JyPerBeam, 1.0),
            ("JY/BEAM", JyPerBeam, 1.0),
            (" Jy / Beam ", JyPerBeam, 1.0),
            ("Jy beam-1", JyPerBeam, 1.0),
            ("Jy beam^-1", JyPerBeam, 1.0),
            ("Jy.beam**(-1)", JyPerBeam, 1.0),
            ("JY PER BEAM", JyPerBeam, 1.0),
            ("Jy/bm", JyPerBeam, 1.0),
            ("Jansky/beam", JyPerBeam, 1.0),
            ("mJy/beam", JyPerBeam, 1e-3),
            ("uJy/beam", JyPerBeam, 1e-6),
            ("µJy beam-1", JyPerBeam, 1e-6),
            ("nJy/beam", JyPerBeam, 1e-9),
            ("JY/PIXEL", JyPerPixel, 1.0),
            ("mJy/pix", JyPerPixel, 1e-3),
            ("MJy/sr", JyPerSteradian, 1e6),
            ("MJY/SR", JyPerSteradian, 1e6),
            ("Jy sr-1", JyPerSteradian, 1.0),
            ("Jy/arcsec2", JyPerArcsec2, 1.0),
            ("mJy arcsec-2", JyPerArcsec2, 1e-3),
            ("Jy/arcsec**2", JyPerArcsec2, 1.0),
            ("Jy", Jy, 1.0),
            ("K", Kelvin, 1.0),
            ("KELVIN", Kelvin, 1.0),
            ("mK", Kelvin, 1e-3),
        ] {
            assert_eq!(Brightness::parse(text), Some(Brightness { unit, scale }), "{text}");
        }
        for text in
            ["", "MJY/BEAM", "count", "Jy beam", "Jy/beam2", "Jy km/s", "W/m2", "J/beam", "pK", "Jy/arcsec", "ß"]
        {
            assert_eq!(Brightness::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_source_has_one_flux_in_whatever_unit() -> Result<(), Box<dyn std::error::Error>> {
        let beam = Beam { major_arcsec: 12.0, minor_arcsec: 8.0, pa_deg: 30.0 };
        let milli = Brightness { unit: JyPerBeam, scale: 1e-3 };
        // 2" pixels: the beam has 1.1331 * 96 / 4 of them.
        let per_pixel = milli.factor_to(JyPerPixel, Some(&beam), 4.0).ok_or("a factor")?;
        assert!((per_pixel * 27.194_160_8 - 1e-3).abs() < 1e-11, "{per_pixel}");
        let back =
            Brightness { unit: JyPerPixel, scale: 1.0 }.factor_to(JyPerBeam, Some(&beam), 4.0).ok_or("a factor")?;
        assert!((per_pixel * back - 1e-3).abs() < 1e-15);
        // One steradian has 4.2545e10 square arc seconds.
        let per_arcsec2 =
            Brightness { unit: JyPerSteradian, scale: 1.0 }.factor_to(JyPerArcsec2, None, 4.0).ok_or("a factor")?;
        assert!((per_arcsec2 - 2.350_443_05e-11).abs() < 1e-18);
        assert_eq!(milli.factor_to(JyPerBeam, None, f64::NAN), Some(1e-3));
        assert_eq!(milli.factor_to(JyPerPixel, None, 4.0), None);
        assert_eq!(milli.factor_to(JyPerPixel, Some(&beam), 0.0), None);
        assert_eq!(Brightness { unit: Kelvin, scale: 1.0 }.factor_to(JyPerBeam, Some(&beam), 4.0), None);
        Ok(())
    }
}
