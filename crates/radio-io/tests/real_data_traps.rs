//! The traps of the public maps and pictures, one by one: what is done about each, and what the doctor says of it.

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use radio_io::{
    Mosaic, SkyFrame,
    doctor::{Examination, Severity, examine},
    read_png, separation_arcsec,
};

type Outcome = Result<(), Box<dyn Error>>;

fn data(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    Ok(Path::new(&std::env::var("RADIO_SSL_DATA")?).join(name))
}

fn look(name: &str) -> Result<Examination, Box<dyn Error>> {
    Ok(examine(&data(name)?, |_| None)?)
}

/// A finding of that severity with these words.
fn says(report: &Examination, severity: Severity, words: &str) -> bool {
    report.findings.iter().any(|finding| finding.severity == severity && finding.to_string().contains(words))
}

fn fact<'a>(report: &'a Examination, name: &str) -> &'a str {
    report.facts.iter().find(|fact| fact.name == name).map_or("", |fact| fact.value.as_str())
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_traps_scorpio() -> Outcome {
    for name in ["ScorpioS17Field.fits", "ScorpioExtendedSourceField.fits"] {
        let report = look(&format!("mosaics/atca-scorpio/{name}"))?;
        // The parent's reference pixel: positions are computed as written, and doubted.
        assert!(says(&report, Severity::Warning, "CRPIX, byte"), "{report:?}");
        assert!(says(&report, Severity::Warning, "(row 3846.0, column 3427.0) lies outside the 1000 x 1000 image"));
        assert!(says(&report, Severity::Note, "EPOCH = 2000.0 stands in place of EQUINOX"));
        assert!(says(&report, Severity::Note, "CTYPE3 and CTYPE4 for axes that the image does not have (NAXIS = 2)"));
        assert_eq!(fact(&report, "sky"), "FK5 J2000, projection NCP, pixels of 1.5000\"");
        assert_eq!(report.count(Severity::Error), 0);
    }
    Ok(())
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_traps_westerbork_and_meerkat() -> Outcome {
    let report = look("mosaics/wsrt/3C236_original.fits")?;
    assert_eq!(fact(&report, "sky"), "FK4 B1950, projection NCP, pixels of 9.0000\"");
    assert_eq!(fact(&report, "pixels"), "512 rows x 512 columns, 0.00 % blank");
    for words in [
        "EPOCH = 1950.0 stands",
        "`01-JUL-8` is no date",
        "TELESCOP, byte 800: blank",
        "81 pixels (0.03 %) are exactly 0",
    ] {
        assert!(says(&report, Severity::Note, words), "{words}: {report:?}");
    }
    assert_eq!(report.count(Severity::Error) + report.count(Severity::Warning), 0, "{report:?}");
    let report = look("mosaics/meerkat/AbellS1063_inner.fits")?;
    assert!(says(&report, Severity::Note, "WCSAXES = 4, but NAXIS = 2"));
    assert_eq!(fact(&report, "sky"), "ICRS, projection SIN, pixels of 1.1000\"");
    Ok(())
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_traps_parkes() -> Outcome {
    // Grids about a pole or the origin: the reference pixel lies outside, and that is usual.
    for (name, sky) in [
        ("1904-66_SIN.fits", "FK5 J2000, projection SIN, pixels of 240.0000\""),
        ("1904-66_AIT.fits", "FK5 J2000, projection AIT, pixels of 240.0000\""),
    ] {
        let report = look(&format!("mosaics/parkes/{name}"))?;
        assert_eq!(fact(&report, "sky"), sky);
        assert!(says(&report, Severity::Note, "usual for a grid about a pole or the origin"), "{report:?}");
        assert_eq!(report.count(Severity::Warning), 0, "{report:?}");
    }
    // The same sky in another projection, and in Galactic coordinates with a CD matrix.
    let brightest = |name: &str| -> Result<(f64, f64), Box<dyn Error>> {
        let mosaic = Mosaic::open(&data(&format!("mosaics/parkes/{name}"))?)?;
        let pixels = mosaic.full()?;
        let best = pixels.indexed_iter().filter(|(_, value)| value.is_finite()).max_by(|a, b| a.1.total_cmp(b.1));
        let ((row, col), _) = best.ok_or("a pixel")?;
        Ok(mosaic.wcs()?.and_then(|wcs| wcs.sky(row as f64, col as f64)).ok_or("a sky")?)
    };
    let sin = brightest("1904-66_SIN.fits")?;
    for name in ["1904-66_AIT.fits", "1904-66_SIN.lb.fits"] {
        let apart = separation_arcsec(sin, brightest(name)?);
        assert!(apart < 360.0, "{name}: {apart} arc seconds, expected less than 1.5 pixels");
    }
    let galactic = look("mosaics/parkes/1904-66_SIN.lb.fits")?;
    assert!(
        fact(&galactic, "sky").starts_with("Galactic, projection SIN")
            && says(&galactic, Severity::Warning, "BUNIT: missing")
    );
    let cube = look("mosaics/parkes/1904-66_SIN_3d.fits")?;
    assert!(says(&cube, Severity::Note, "a cube") && says(&cube, Severity::Note, "only its first plane"), "{cube:?}");
    for (name, content) in [("rms", "a noise map"), ("bkg", "a background map")] {
        let report = look(&format!("mosaics/parkes/1904-66_SIN_{name}.fits"))?;
        assert_eq!(fact(&report, "content"), content);
        assert!(says(&report, Severity::Warning, "not a map of the sky"));
    }
    Ok(())
}

/// The same 20 x 20 pixels with two to five axes.
#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_traps_extra_axes() -> Outcome {
    let plain = Mosaic::open(&data("mosaics/parkes/small.fits")?)?.full()?;
    for axes in 3..6 {
        let name = format!("mosaics/parkes/small_{axes}D.fits");
        let mosaic = Mosaic::open(&data(&name)?)?;
        assert_eq!((mosaic.axes().len(), mosaic.full()?), (axes, plain.clone()));
        assert_eq!(fact(&look(&name)?, "pixels"), "20 rows x 20 columns, 0.00 % blank");
    }
    Ok(())
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_traps_pybdsf_and_synthetic() -> Outcome {
    let report = look("mosaics/pybdsf/ch0_I.fits")?;
    assert!(says(&report, Severity::Warning, "BUNIT: missing"));
    // A reference pixel in a corner is a reference pixel; STOKES before FREQ is dropped as the reverse is.
    let mosaic = Mosaic::open(&data("mosaics/pybdsf/ch0_I.fits")?)?;
    let wcs = mosaic.wcs()?.ok_or("a sky")?;
    assert_eq!((wcs.reference_pixel(), wcs.frame()), ((1.0, 1.0), SkyFrame::FK5_J2000));
    assert!(!report.findings.iter().any(|finding| finding.place.keyword.as_deref() == Some("CRPIX")), "{report:?}");
    let islands = look("mosaics/pybdsf/pyrank.fits")?;
    assert_eq!(fact(&islands, "content"), "whole numbers: a mask");
    assert!(says(&islands, Severity::Note, "whole numbers from -1 to 32"));
    let labels = Mosaic::open(&data("mosaics/pybdsf/pyrank.fits")?)?.window_i64(0, 0, 129, 129)?;
    assert_eq!((labels.iter().min(), labels.iter().max()), (Some(&-1), Some(&32)));
    let report = look("mosaics/synthetic/synthetic_test.fits")?;
    assert!(
        says(&report, Severity::Note, "east is to the right of north")
            && says(&report, Severity::Warning, "BUNIT: missing")
    );
    assert!(says(&look("mosaics/synthetic/synthetic_test_rms.fits")?, Severity::Warning, "every pixel is 5e-1"));
    assert!(says(&look("mosaics/synthetic/synthetic_test_bkg.fits")?, Severity::Error, "every pixel is 0"));
    Ok(())
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_traps_samples() -> Outcome {
    for name in ["galaxy0001", "sidelobe0001"] {
        let report = look(&format!("mosaics/samples/{name}.fits"))?;
        assert!(says(&report, Severity::Warning, "CTYPE1 is 'Jy/beam'"), "{report:?}");
        assert_eq!(fact(&report, "sky"), "none");
        assert_eq!(report.count(Severity::Error), 0);
    }
    let report = look("mosaics/samples/galaxy0002.fits")?;
    assert!(
        says(&report, Severity::Note, "BLANK = -1 is ignored")
            && says(&report, Severity::Note, "288 pixels (1.65 %) are blank")
    );
    Ok(())
}

/// TABs in comments everywhere, blank edges in three, a block of zeros in one; and a picture of zeros.
#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_traps_mirabest_and_first() -> Outcome {
    let (mut tabs, mut blanks, mut zeros, mut files) = (0, Vec::new(), Vec::new(), 0);
    for entry in std::fs::read_dir(data("mirabest/full")?)? {
        let path = entry?.path();
        let report = examine(&path, |_| None)?;
        assert_eq!(report.count(Severity::Error), 0, "{report:?}");
        files += 1;
        tabs += usize::from(says(&report, Severity::Note, "a TAB in the card"));
        let leading = |words: &str| {
            let found = report.findings.iter().find(|finding| finding.found.contains(words))?;
            found.found.split(' ').next()?.parse::<u64>().ok()
        };
        blanks.extend(leading("are blank"));
        zeros.extend(leading("are exactly 0"));
    }
    blanks.sort_unstable();
    assert_eq!((files, tabs, blanks, zeros), (120, 120, vec![69, 6600, 8345], vec![1663]));
    let name = "first-frg/images/22.446_0.776_3_Proctor_Tab1.png";
    assert!(says(&look(name)?, Severity::Error, "every pixel is 0"));
    assert!(read_png(&data(name)?)?.iter().all(|value| *value == 0.0));
    Ok(())
}
