//! Sky positions as an astronomer writes them: `16h58m04.3s −42°12′05″`.

/// Right ascension and declination in sexagesimal form, to 0.1 s and 1″; `None` if either is not finite or the
/// declination is not on the sky.
///
/// Rounding is done once, on the whole number of tenths or arcseconds, so that `59.97s` carries into the minute.
pub fn sexagesimal(ra_deg: f64, dec_deg: f64) -> Option<String> {
    if !ra_deg.is_finite() || !(-90.0..=90.0).contains(&dec_deg) {
        return None;
    }
    let tenths_per_day = 24 * 3600 * 10;
    let tenths =
        ((ra_deg.rem_euclid(360.0) / 360.0 * f64::from(tenths_per_day)).round() as u32) % tenths_per_day as u32;
    let (hours, minutes, seconds) = (tenths / 36_000, tenths / 600 % 60, tenths % 600);
    let arcsec = (dec_deg.abs() * 3600.0).round() as u32;
    let sign = if dec_deg < 0.0 && arcsec > 0 { '\u{2212}' } else { '+' };
    let (degrees, arcmin, arcsec) = (arcsec / 3600, arcsec / 60 % 60, arcsec % 60);
    Some(format!(
        "{hours:02}h{minutes:02}m{:02}.{}s {sign}{degrees:02}°{arcmin:02}′{arcsec:02}″",
        seconds / 10,
        seconds % 10
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_positions() {
        // Sirius, and the Galactic Centre (Sgr A*), from their positions in hours and degrees.
        assert_eq!(sexagesimal(101.287_155, -16.716_116).unwrap(), "06h45m08.9s −16°42′58″");
        assert_eq!(sexagesimal(266.416_837, -29.007_810).unwrap(), "17h45m40.0s −29°00′28″");
    }

    #[test]
    fn rounding_carries_and_right_ascension_wraps() {
        assert_eq!(sexagesimal(359.999_999, 0.0).unwrap(), "00h00m00.0s +00°00′00″");
        assert_eq!(sexagesimal(-15.0, -0.999_99).unwrap(), "23h00m00.0s −01°00′00″");
        assert_eq!(sexagesimal(0.0, -0.000_01).unwrap(), "00h00m00.0s +00°00′00″");
        assert_eq!(sexagesimal(0.0, 90.0).unwrap(), "00h00m00.0s +90°00′00″");
    }

    #[test]
    fn positions_off_the_sky_have_no_text() {
        assert_eq!(sexagesimal(f64::NAN, 0.0), None);
        assert_eq!(sexagesimal(10.0, f64::NAN), None);
        assert_eq!(sexagesimal(10.0, 90.1), None);
    }
}
