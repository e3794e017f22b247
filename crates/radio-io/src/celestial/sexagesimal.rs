//! Angles as people write them: `13:25:27.6`, `13h25m27.6s`, `-43d01m09s`, and source names `J132527.6-430109`.
//!
//! Numbers without a unit are degrees, as in every catalogue; what colons and blanks mean is the caller's to say.

use crate::error::Error;

/// What `12:30:00` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sexagesimal {
    /// Hours of right ascension.
    Hours,
    /// Degrees of arc.
    Degrees,
}

/// An angle in degrees, from `12:34:56.7`, `12 34 56.7`, `12h34m56.7s`, `12d34m56.7s`, `12°34'56.7"`, `12.5`, `12.5d` or `12.5deg`. Letters say
/// what they count; `colons` says what parts without letters count.
///
/// # Errors
/// [`Error::BadAngle`] for anything else, for minutes or seconds above 60 (60 itself is what rounding prints), and for what is not finite.
pub fn parse_angle(text: &str, colons: Sexagesimal) -> Result<f64, Error> {
    let sexagesimal = |(units, counts): (f64, Option<Sexagesimal>)| match counts.unwrap_or(colons) {
        Sexagesimal::Hours => units * 15.0,
        Sexagesimal::Degrees => units,
    };
    read_sexagesimal(text).map(sexagesimal).or_else(|| read_degrees(text)).ok_or_else(|| Error::BadAngle {
        found: shortened(text),
        expected: "an angle such as 12:34:56.7, 12h34m56.7s, -12d34m56s or 188.7",
    })
}

/// A piece of hostile text short enough for a message.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Longer text is no angle.
const LONGEST: usize = 100;

/// Reads an angle of two or three parts, or of one with its mark: the number of whole units with fraction, and what its marks say that it counts.
/// `None` for anything else, a plain number included.
pub(crate) fn read_sexagesimal(text: &str) -> Option<(f64, Option<Sexagesimal>)> {
    if text.len() > LONGEST {
        return None;
    }
    let (negative, mut rest) = sign(text.trim());
    let (mut numbers, mut marks) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let is_digit = |c: char| c.is_ascii_digit() || c == '.';
        let (number, behind) = rest.split_at(rest.find(|c| !is_digit(c)).unwrap_or(rest.len()));
        let is_last = behind.trim_start_matches(|c| !is_digit(c)).is_empty();
        // Only the last part has a fraction, and none has another sign.
        if number.is_empty() || numbers.len() == 3 || (number.contains('.') && !is_last) {
            return None;
        }
        numbers.push(number.parse::<f64>().ok()?);
        let behind = behind.trim_start();
        let mark = behind.chars().next().filter(|c| !is_digit(*c));
        let (mark, length) = match mark {
            // Two minute marks are how a plain keyboard writes seconds.
            Some('\'') if behind.starts_with("''") => ('s', 2),
            Some(c @ ('\'' | '′')) => ('m', c.len_utf8()),
            Some(c @ ('"' | '″')) => ('s', c.len_utf8()),
            Some(c @ '°') => ('d', c.len_utf8()),
            Some(c) => (c.to_ascii_lowercase(), c.len_utf8()),
            None => (':', 0),
        };
        marks.push(mark);
        rest = behind[length..].trim_start();
    }
    let counts = match marks[..] {
        [':', ':'] | [':', ':', ':'] => None,
        ['h'] | ['h', 'm' | ':'] | ['h', 'm', 's' | ':'] => Some(Sexagesimal::Hours),
        ['d'] | ['d', 'm' | ':'] | ['d', 'm', 's' | ':'] => Some(Sexagesimal::Degrees),
        _ => return None,
    };
    let (_, small) = numbers.split_first()?;
    if small.iter().any(|value| *value > 60.0) {
        return None;
    }
    let units = numbers.iter().rev().fold(0.0, |sum, value| sum / 60.0 + value);
    Some((if negative { -units } else { units }, counts)).filter(|(units, _)| units.is_finite())
}

/// A plain number, with or without `d`, `deg` or `°`.
fn read_degrees(text: &str) -> Option<f64> {
    if text.len() > LONGEST {
        return None;
    }
    let (negative, digits) = sign(text.trim());
    let digits = digits.strip_suffix("deg").or(digits.strip_suffix(['d', 'D', '°'])).unwrap_or(digits).trim_end();
    // Rust's parser would take a second sign, `inf` and `nan`.
    let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let value = digits.parse::<f64>().ok().filter(|value| starts && value.is_finite())?;
    Some(if negative { -value } else { value })
}

/// Whether there is a minus sign, typographic ones included, and what follows the sign.
fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix(['-', '−', '–']) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text.strip_prefix('+').unwrap_or(text).trim_start()),
    }
}

/// Right ascension as `13h25m27.62s`, `decimals` of the seconds rounded, in [0h, 24h).
pub fn format_hms(ra_deg: f64, decimals: usize) -> String {
    let [hours, minutes, seconds] = split(ra_deg.rem_euclid(360.0) / 15.0, decimals, false);
    let hours: u64 = hours.parse().unwrap_or(0) % 24;
    format!("{hours:02}h{minutes}m{seconds}s")
}

/// Declination as `-43d01m09.1s`, `decimals` of the seconds rounded.
pub fn format_dms(dec_deg: f64, decimals: usize) -> String {
    let [degrees, minutes, seconds] = split(dec_deg.abs(), decimals, false);
    let sign = if dec_deg.is_sign_negative() { '-' } else { '+' };
    format!("{sign}{degrees}d{minutes}m{seconds}s")
}

/// A source name of the form `J132527.6-430109`: the equatorial position, truncated (not rounded) as the IAU asks for, with `decimals`
/// of the seconds of right ascension and one fewer of those of declination.
pub fn j_name(ra_deg: f64, dec_deg: f64, decimals: usize) -> String {
    let ra = split(ra_deg.rem_euclid(360.0) / 15.0, decimals, true).concat();
    let dec = split(dec_deg.abs(), decimals.saturating_sub(1), true).concat();
    let sign = if dec_deg.is_sign_negative() { '-' } else { '+' };
    format!("J{ra}{sign}{dec}")
}

/// Right ascension and declination (degrees) of a name such as `J132527.6-430109`, `J1325-4301` or `EMU ES J132527-430109`: the
/// corner of the cell that the truncated digits name.
///
/// # Errors
/// [`Error::BadAngle`] if the text does not end in such a name.
pub fn parse_j_name(name: &str) -> Result<(f64, f64), Error> {
    let read = || {
        let (_, digits) = name.trim().rsplit_once('J')?;
        let sign_at = digits.find(['+', '-'])?;
        let (ra, dec) = digits.split_at(sign_at);
        let (hours, degrees) = (packed(ra)?, packed(&dec[1..])?);
        (hours < 24.0 && degrees <= 90.0).then(|| (hours * 15.0, if dec.starts_with('-') { -degrees } else { degrees }))
    };
    read().ok_or_else(|| Error::BadAngle {
        found: shortened(name),
        expected: "a name that ends in a position, such as J132527.6-430109",
    })
}

/// `HHMM`, `HHMMSS` or `HHMMSS.s` in its first unit; `HHMM.m` too.
fn packed(digits: &str) -> Option<f64> {
    let whole = digits.split('.').next()?.len();
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') || digits.len() > 30 {
        return None;
    }
    let two = |at: usize| digits.get(at..at + 2)?.parse::<f64>().ok();
    let rest = |at: usize| digits.get(at..)?.parse::<f64>().ok().filter(|value| *value < 60.0);
    match whole {
        4 => Some(two(0)? + rest(2)? / 60.0),
        6 => Some(two(0)? + (two(2).filter(|value| *value < 60.0)? + rest(4)? / 60.0) / 60.0),
        _ => None,
    }
}

/// Units, minutes and seconds of a positive angle, each with two digits before the point.
fn split(value: f64, decimals: usize, truncate: bool) -> [String; 3] {
    if !value.is_finite() {
        return [value.to_string(), String::new(), String::new()];
    }
    let decimals = decimals.min(9);
    let ticks_per_second = 10_u64.pow(decimals as u32);
    let exact = value * 3600.0 * ticks_per_second as f64;
    // A billionth of a tick of slack, so that 12.5 degrees are not truncated to 12d29m59.9s.
    let ticks = if truncate { (exact + (exact * 1e-15).max(1e-9)).floor() } else { exact.round() } as u64;
    let (seconds, fraction) = (ticks / ticks_per_second, ticks % ticks_per_second);
    let fraction = if decimals == 0 { String::new() } else { format!(".{fraction:0decimals$}") };
    [format!("{:02}", seconds / 3600), format!("{:02}", seconds / 60 % 60), format!("{:02}{fraction}", seconds % 60)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_is_read() {
        use Sexagesimal::{Degrees, Hours};
        for (text, colons, degrees) in [
            ("12:30:00", Hours, 187.5),
            ("12:30:00", Degrees, 12.5),
            ("12 30 00.0", Hours, 187.5),
            ("12h30m", Degrees, 187.5),
            ("12h30m00.00s", Degrees, 187.5),
            ("12h", Hours, 180.0),
            ("-00:30:00", Degrees, -0.5),
            ("-0d30m36s", Hours, -0.51),
            ("+12d30'0\"", Hours, 12.5),
            ("12°30′00″", Hours, 12.5),
            ("12d30", Hours, 12.5),
            ("187.5", Hours, 187.5),
            ("187.5deg", Hours, 187.5),
            ("187.5d", Hours, 187.5),
            (" -1.5e-1 ", Degrees, -0.15),
            ("12:30", Degrees, 12.5),
            ("12 : 30", Degrees, 12.5),
            ("12: 5: 6.0", Degrees, 12.085),
            ("12d30'00''", Hours, 12.5),
            ("−00 30 00", Degrees, -0.5),
            ("12:29:60.0", Degrees, 12.5),
            ("12h 30m 00s", Degrees, 187.5),
        ] {
            let got = parse_angle(text, colons).expect(text);
            assert!((got - degrees).abs() < 1e-12, "{text}: {got}");
        }
        for bad in [
            "",
            "-",
            "--5",
            "1:2:3:4",
            "12:61:00",
            "12:30:60.1",
            "1.5:30:00",
            "12:-30:00",
            "12:x:00",
            "NaN:1:1",
            "1:30m",
            "h",
            "ten",
            "12h30d",
            "nan",
            "inf",
            "1e400",
            "12::30",
            ":",
            "1d2d3",
            "+-1",
            "d",
            "é",
        ] {
            assert!(matches!(parse_angle(bad, Hours), Err(Error::BadAngle { .. })), "{bad:?} was read");
        }
        assert!(parse_angle(&"1".repeat(1_000_000), Hours).expect_err("too long").to_string().len() < 200);
    }

    #[test]
    fn rounding_carries_and_names_truncate() {
        assert_eq!(format_hms(359.999_999_9, 2), "00h00m00.00s");
        assert_eq!(format_hms(187.5, 0), "12h30m00s");
        assert_eq!(format_dms(-0.51, 1), "-00d30m36.0s");
        assert_eq!(format_dms(9.999_999_99, 2), "+10d00m00.00s");
        assert_eq!(j_name(201.365_063, -43.019_113, 1), "J132527.6-430108");
        assert_eq!(j_name(187.5, 12.5, 1), "J123000.0+123000");
        assert_eq!(j_name(187.499_999, 12.5, 1), "J122959.9+123000");
        let (ra, dec) = parse_j_name("EMU PD J132527.6-430108").expect("a name");
        assert!((ra - 201.365).abs() < 1e-9 && (dec + 43.018_888_888_9).abs() < 1e-9, "{ra} {dec}");
        assert_eq!(parse_j_name("J1230+1230").expect("short"), (187.5, 12.5));
        for bad in ["", "J", "J12+3", "NGC 5128", "J2500+1000", "J1260+1000", "J1200+9900", "J123+12", "J1é30+1230"] {
            assert!(parse_j_name(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_comes_back(ra in 0.0..360.0, dec in -90.0..=90.0) {
            let turn = |a: f64, b: f64| ((a - b + 180.0).rem_euclid(360.0) - 180.0).abs();
            let read = parse_angle(&format_hms(ra, 4), Sexagesimal::Degrees).expect("our own");
            prop_assert!(turn(read, ra) <= 0.50001 * 15.0 / 3600.0 * 1e-4);
            let read = parse_angle(&format_dms(dec, 3), Sexagesimal::Hours).expect("our own");
            prop_assert!((read - dec).abs() <= 0.50001e-3 / 3600.0);
            let (near_ra, near_dec) = parse_j_name(&j_name(ra, dec, 2)).expect("our own");
            prop_assert!((0.0..=0.01001 * 15.0 / 3600.0).contains(&(ra - near_ra + 1e-9)));
            prop_assert!((0.0..=0.1001 / 3600.0).contains(&(dec.abs() - near_dec.abs() + 1e-9)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = parse_angle(&text, Sexagesimal::Hours);
            let _ = parse_j_name(&text);
        }
    }
}
