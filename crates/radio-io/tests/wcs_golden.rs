//! Pixels to sky and back against astropy, on ten headers (`wcs.json` of the golden values).

use std::{error::Error, path::Path};

use radio_io::{Card, CardValue, Header, Position, SkyFrame, Wcs};
use serde_json::Value;

/// The header of a case as it would stand in a file.
fn header(case: &Value) -> Result<Header, Box<dyn Error>> {
    let mut raw = Vec::new();
    for (keyword, value) in case["header"].as_object().ok_or("no header")? {
        let value = match value {
            Value::String(text) => CardValue::Text(text.clone()),
            Value::Number(number) if number.is_i64() => CardValue::Integer(number.as_i64().ok_or("not whole")?),
            _ => CardValue::Float(value.as_f64().ok_or("no number")?),
        };
        raw.extend(Card::new(keyword, value, "").format()?);
    }
    Ok(Header::from_raw(raw))
}

fn pairs(value: &Value) -> Vec<Option<(f64, f64)>> {
    let pair = |entry: &Value| Some((entry[0].as_f64()?, entry[1].as_f64()?));
    value.as_array().map(|entries| entries.iter().map(pair).collect()).unwrap_or_default()
}

/// Difference of two longitudes as an angle on the sky would show it.
fn apart(got: (f64, f64), want: (f64, f64)) -> f64 {
    let lon = (got.0 - want.0 + 180.0).rem_euclid(360.0) - 180.0;
    (lon * want.1.to_radians().cos()).abs().max((got.1 - want.1).abs())
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_wcs_agrees_with_astropy() -> Result<(), Box<dyn Error>> {
    let folder = std::env::var("RADIO_SSL_GOLDEN")?;
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(Path::new(&folder).join("wcs.json"))?)?;
    let cases = golden["cases"].as_object().ok_or("no cases")?;
    assert_eq!(cases.len(), 10, "the golden file has ten headers");
    for (name, case) in cases {
        let wcs =
            Wcs::from_header(&header(case)?, (0, 1), Path::new(name))?.ok_or_else(|| format!("{name}: no sky"))?;
        let (pixels, sky) = (pairs(&case["pixel_xy"]), pairs(&case["sky_degrees"]));
        assert_eq!((pixels.len(), sky.len()), (20, 20), "{name}");
        let scale = case["pixel_scale_degrees"].as_f64().ok_or("no scale")? * 3600.0;
        assert!(
            (wcs.pixel_arcsec() / scale - 1.0).abs() < 1e-9,
            "{name}: {} arcsec, astropy {scale}",
            wcs.pixel_arcsec()
        );
        let (mut worst_sky, mut worst_pixel) = (0.0_f64, 0.0_f64);
        for (pixel, sky) in pixels.iter().zip(&sky) {
            let (x, y) = pixel.ok_or("a pixel is a number")?;
            match (wcs.native(y, x), sky) {
                (Some(got), Some(want)) => {
                    worst_sky = worst_sky.max(apart(got, *want));
                    let (row, col) = wcs.pixel_of_native(want.0, want.1).ok_or("not on the map")?;
                    worst_pixel = worst_pixel.max((row - y).abs()).max((col - x).abs());
                }
                (None, None) => {}
                (got, want) => panic!("{name} at {x}, {y}: {got:?}, astropy {want:?}"),
            }
        }
        assert!(worst_sky < 1e-9 && worst_pixel < 1e-7, "{name}: {worst_sky:e} degrees, {worst_pixel:e} pixels");
        check_equatorial(name, case, &wcs, &pixels)?;
    }
    Ok(())
}

/// ICRS and Galactic positions, from one and from many at once.
fn check_equatorial(name: &str, case: &Value, wcs: &Wcs, pixels: &[Option<(f64, f64)>]) -> Result<(), Box<dyn Error>> {
    if !name.starts_with("synthetic") {
        return Ok(());
    }
    let (icrs, galactic) = (pairs(&case["icrs_degrees"]), pairs(&case["galactic_degrees"]));
    assert_eq!((icrs.len(), galactic.len()), (20, 20), "{name}");
    assert_eq!(wcs.frame() == SkyFrame::Galactic, name.contains("galactic"), "{name}");
    assert_eq!(wcs.frame() == SkyFrame::FK5_J2000, case["header"]["RADESYS"] == "FK5", "{name}");
    for ((pixel, want), want_galactic) in pixels.iter().zip(icrs).zip(galactic) {
        let ((x, y), Some(want), Some(want_galactic)) = (pixel.ok_or("a pixel is a number")?, want, want_galactic)
        else {
            continue;
        };
        let got = wcs.sky(y, x).ok_or("no sky")?;
        assert!(apart(got, want) < 1e-9, "{name} at {x}, {y}: {got:?}, astropy {want:?}");
        let got = wcs.galactic(y, x).ok_or("no sky")?;
        assert!(apart(got, want_galactic) < 1e-9, "{name} at {x}, {y}: {got:?}, astropy {want_galactic:?} (Galactic)");
        assert_eq!(wcs.positions(SkyFrame::Galactic, &[(y, x)])[0], Some(got));
        let back = [
            wcs.pixel(want.0, want.1),
            wcs.pixel_of(Position::galactic(want_galactic.0, want_galactic.1)),
            wcs.pixels(SkyFrame::Galactic, &[want_galactic])[0],
        ];
        for place in back {
            let (row, col) = place.ok_or("not on the map")?;
            assert!((row - y).abs() < 1e-7 && (col - x).abs() < 1e-7, "{name}: {row} {col} for {y} {x}");
        }
    }
    Ok(())
}
