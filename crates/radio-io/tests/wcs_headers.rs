//! Headers as they come: old frames, old spellings of the scale, other units, alternates. Expected positions of pixels (x, y) = (3, 5) and
//! (110, 70.5), counted from 0, were made with astropy 8.0.2 (`WCS(header)`, `wcs_pix2world`, `SkyCoord(...).icrs`).

#![allow(clippy::expect_used)] // a test may stop at the first surprise

use std::path::Path;

use proptest::prelude::*;
use radio_io::{Card, CardValue, Header, Mosaic, SkyFrame, Wcs, separation_arcsec, wcs};

type Pair = (f64, f64);

/// The base header with some cards changed or (given as undefined) taken out.
fn header(changes: &[(&str, CardValue)]) -> Header {
    let mut cards: Vec<(&str, CardValue)> = vec![("CTYPE1", "RA---SIN".into()), ("CTYPE2", "DEC--SIN".into())];
    let numbers =
        [("CRVAL1", 150.2), ("CRVAL2", -35.5), ("CRPIX1", 60.0), ("CRPIX2", 40.0), ("CDELT1", -0.01), ("CDELT2", 0.01)];
    cards.extend(numbers.map(|(keyword, value)| (keyword, value.into())));
    for (keyword, value) in changes {
        cards.retain(|(present, _)| present != keyword);
        cards.push((keyword, value.clone()));
    }
    let cards: Vec<Card> = cards.into_iter().map(|(keyword, value)| Card::new(keyword, value, "")).collect();
    Header::from_cards(&cards)
}

fn wcs_of(changes: &[(&str, CardValue)]) -> Wcs {
    let read = Wcs::from_header(&header(changes), (0, 1), Path::new("test"));
    read.expect("legal").expect("has a sky")
}

/// Native positions to 1e-9 degrees, ICRS to `icrs_arcsec`.
fn check(name: &str, wcs: &Wcs, expected: [(Pair, Pair); 2], icrs_arcsec: f64) {
    for ((row, col), (native, icrs)) in [(5.0, 3.0), (70.5, 110.0)].into_iter().zip(expected) {
        let got = wcs.native(row, col).expect("on the map");
        assert!(separation_arcsec(got, native) < 3.6e-6, "{name}: {got:?}, astropy {native:?}");
        let got = wcs.sky(row, col).expect("on the map");
        assert!(separation_arcsec(got, icrs) < icrs_arcsec, "{name}: {got:?}, astropy {icrs:?} (ICRS)");
        let (row2, col2) = wcs.pixel(icrs.0, icrs.1).expect("on the map");
        assert!((row2 - row).abs() < 1e-6 && (col2 - col).abs() < 1e-6, "{name}: {row2} {col2} for {row} {col}");
    }
}

#[test]
fn old_frames_are_precessed() {
    let sin = [(150.890_798_889_531_62, -35.838_041_553_786_894), (149.575_990_964_385_7, -35.183_385_639_727_4)];
    let with = |icrs: [Pair; 2]| [(sin[0], icrs[0]), (sin[1], icrs[1])];
    let fk4 = [(151.433_963_675_526_12, -36.081_953_722_738_51), (150.117_542_593_355_2, -35.424_148_783_879_33)];
    for changes in [&[("RADESYS", "FK4".into())][..], &[("EPOCH", 1950.0.into())], &[("EQUINOX", "B1950.0".into())]] {
        let wcs = wcs_of(changes);
        assert_eq!(wcs.frame(), SkyFrame::FK4_B1950);
        check("FK4", &wcs, with(fk4), 3.6e-6);
    }
    let ncp = wcs_of(&[
        ("CTYPE1", "RA---NCP".into()),
        ("CTYPE2", "DEC--NCP".into()),
        ("EPOCH", 1950.0.into()),
        ("CRVAL2", 35.2.into()),
    ]);
    let expected = [
        ((150.882_423_898_785_93, 34.852_720_345_637_35), (151.615_847_039_297_56, 34.608_689_061_979_36)),
        ((149.573_470_716_659_56, 35.508_983_020_402_42), (150.313_112_625_606_9, 35.268_066_797_194_67)),
    ];
    check("NCP, EPOCH 1950", &ncp, expected, 3.6e-6);
    let no_e = [(151.434_039_639_217_84, -36.081_917_894_704_77), (150.117_619_951_258_3, -35.424_114_514_647_705)];
    check("FK4-NO-E", &wcs_of(&[("RADESYS", "FK4-NO-E".into()), ("EQUINOX", 1950.0.into())]), with(no_e), 3.6e-6);
    let fk5 = wcs_of(&[("RADESYS", "FK5".into()), ("EQUINOX", 1975.0.into())]);
    let j1975 = [(151.162_251_760_827_84, -35.959_804_716_230_22), (149.846_647_561_242, -35.303_569_141_425_086)];
    check("FK5 J1975", &fk5, with(j1975), 3.6e-6);
    assert!(fk5.remarks()[0].contains("FK4 is meant"), "{:?}", fk5.remarks());
    let slon = wcs_of(&[("CTYPE1", "SLON-TAN".into()), ("CTYPE2", "SLAT-TAN".into())]);
    let expected = [
        ((150.890_753_542_343_36, -35.838_019_586_304_14), (160.434_809_112_617, -36.860_991_071_478_09)),
        ((149.576_024_980_196_48, -35.183_403_054_167_684), (161.392_098_239_610_25, -35.871_228_761_499_445)),
    ];
    check("supergalactic", &slon, expected, 3.6e-6);
    // What is written is read as the same sky.
    for wcs in [ncp, fk5, slon] {
        let again = Wcs::from_header(&Header::from_cards(&wcs.cards()), (0, 1), Path::new("again"));
        let again = again.expect("legal").expect("has a sky");
        assert_eq!((again.frame(), again.sky(9.0, 8.0)), (wcs.frame(), wcs.sky(9.0, 8.0)));
    }
}

#[test]
fn old_spellings_of_the_scale_are_read() {
    let icrs = |native: [Pair; 2]| [(native[0], native[0]), (native[1], native[1])];
    let text = |value: &str| CardValue::Text(value.to_owned());
    for (name, changes, native) in [
        (
            "CROTA2",
            vec![("CROTA2", CardValue::Float(30.0)), ("CDELT2", 0.02.into())],
            [(151.217_263_750_517_16, -35.804_645_794_400_51), (149.273_896_894_110_1, -35.205_851_476_635_35)],
        ),
        (
            "CROTA1 alone",
            vec![("CROTA1", CardValue::Float(30.0)), ("CDELT2", 0.02.into())],
            [(151.217_263_750_517_16, -35.804_645_794_400_51), (149.273_896_894_110_1, -35.205_851_476_635_35)],
        ),
        (
            "latitude first, turned",
            vec![
                ("CTYPE1", text("DEC--SIN")),
                ("CTYPE2", text("RA---SIN")),
                ("CRVAL1", CardValue::Float(-35.5)),
                ("CRVAL2", 150.2.into()),
                ("CDELT1", 0.02.into()),
                ("CDELT2", (-0.01).into()),
                ("CROTA1", 30.0.into()),
            ],
            [(151.260_202_062_457_1, -36.295_383_198_212_47), (149.247_002_940_392_15, -34.770_353_836_764_905)],
        ),
        (
            "PC001001",
            vec![
                ("PC001001", CardValue::Float(0.8)),
                ("PC001002", (-0.3).into()),
                ("PC002001", 0.3.into()),
                ("PC002002", 0.9.into()),
            ],
            [(150.627_538_543_655_42, -35.973_255_737_802_37), (149.816_989_726_403_48, -35.062_887_273_271_05)],
        ),
        (
            "CD001001",
            vec![
                ("CD001001", CardValue::Float(-0.01)),
                ("CD001002", 0.002.into()),
                ("CD002001", 0.001.into()),
                ("CD002002", 0.011.into()),
            ],
            [(150.807_606_340_555_2, -35.928_489_063_033_16), (149.653_628_511_513_92, -35.101_259_124_489_71)],
        ),
        (
            "arcsec",
            vec![
                ("CUNIT1", text("arcsec")),
                ("CUNIT2", text("arcsec")),
                ("CRVAL1", CardValue::Float(150.2 * 3600.0)),
                ("CRVAL2", (-35.5 * 3600.0).into()),
                ("CDELT1", (-36.0).into()),
                ("CDELT2", 36.0.into()),
            ],
            [(150.890_798_889_531_62, -35.838_041_553_786_894), (149.575_990_964_385_7, -35.183_385_639_727_4)],
        ),
        (
            "rad",
            vec![
                ("CUNIT1", text("rad")),
                ("CUNIT2", text("rad")),
                ("CRVAL1", CardValue::Float(2.6)),
                ("CRVAL2", (-0.6).into()),
                ("CDELT1", (-0.0002).into()),
                ("CDELT2", 0.0002.into()),
            ],
            [(149.750_197_035_621_7, -34.764_611_857_377_886), (148.263_954_584_941_79, -34.014_471_463_177_91)],
        ),
        (
            "GLS",
            vec![("CTYPE1", text("RA---GLS")), ("CTYPE2", text("DEC--GLS"))],
            [(150.890_799_207_47, -35.84), (149.575_990_904_998_5, -35.185)],
        ),
        (
            "CDELT1 positive",
            vec![("CDELT1", CardValue::Float(0.01))],
            [(149.509_201_110_468_35, -35.838_041_553_786_894), (150.824_009_035_614_27, -35.183_385_639_727_4)],
        ),
    ] {
        check(name, &wcs_of(&changes), icrs(native), 3.6e-6);
    }
    assert!(wcs_of(&[("CROTA1", 30.0.into())]).remarks()[0].contains("CROTA1"));
}

#[test]
fn alternate_descriptions_can_be_chosen() {
    let header = header(&[
        ("CTYPE1B", "GLON-CAR".into()),
        ("CTYPE2B", "GLAT-CAR".into()),
        ("CRVAL1B", 331.5.into()),
        ("CRVAL2B", (-1.25).into()),
        ("CRPIX1B", 20.0.into()),
        ("CRPIX2B", 30.0.into()),
        ("CD1_1B", (-0.02).into()),
        ("CD2_2B", 0.02.into()),
        ("CD1_2B", 0.001.into()),
        ("LONPOLEB", 175.0.into()),
    ]);
    assert_eq!(wcs::alternates(&header), ['B']);
    let path = Path::new("test");
    let wcs = Wcs::from_header_alternate(&header, (0, 1), 'B', path).expect("legal").expect("has a sky");
    let expected = [
        ((331.797_040_703_662, -1.729_417_271_169_836_8), (245.207_869_978_523_52, -52.449_927_843_756_44)),
        ((329.720_056_245_764_4, -0.422_793_008_552_854_34), (241.235_588_374_419_4, -52.922_138_258_786_18)),
    ];
    check("alternate B", &wcs, expected, 3.6e-6);
    assert!(Wcs::from_header_alternate(&header, (0, 1), 'C', path).expect("legal").is_none());
    assert!(Wcs::from_header_alternate(&header, (0, 1), '1', path).is_err());
    let primary = Wcs::from_header(&header, (0, 1), path).expect("legal").expect("has a sky");
    assert_eq!(primary.frame(), SkyFrame::Icrs);
}

/// Each oddity is found by name, and an ordinary header has none.
#[test]
fn sanity_tells_what_is_odd() {
    let about = |changes: &[(&str, CardValue)], rows, cols| -> String {
        let found = wcs::header_findings(&header(changes), (0, 1), (rows, cols), Path::new("map.fits"));
        found.iter().map(|finding| format!("{finding}\n")).collect()
    };
    assert_eq!(about(&[], 80, 120), "");
    for (changes, words) in [
        (&[("CRPIX1", 3428.0.into())][..], "CRPIX: the reference pixel (row 39.0, column 3427.0) lies outside"),
        (&[("CDELT1", (-1e-12).into()), ("CDELT2", 1e-12.into())], "hardly a radio map"),
        (&[("CDELT2", 0.02.into())], "36.0000 x 72.0000 arcsec"),
        (&[("CDELT1", 0.01.into())], "mirrored"),
        (&[("CROTA2", 30.0.into())], "north is 30.00 degrees to the left of up"),
        (&[("CROTA2", (-30.0).into())], "north is 30.00 degrees to the right of up"),
        (&[("PC1_2", 0.5.into())], "sheared"),
        (&[("CDELT1", (-2.0).into()), ("CDELT2", 2.0.into())], "of the border shows no sky in projection SIN"),
        (&[("CTYPE1", "Jy/beam".into())], "CTYPE1 is 'Jy/beam'"),
        (&[("CTYPE1", "Jy/beam".into())], "a pixel is 36.0000 arcsec"),
        (&[("CDELT1", CardValue::Undefined)], "without it the size of a pixel is unknown"),
        (&[("EPOCH", 0.0.into())], "no year"),
        (&[("CTYPE1A", "LINEAR".into())], "alternate coordinates A"),
    ] {
        let text = about(changes, 80, 120);
        assert!(text.contains(words), "`{text}` lacks `{words}`");
    }
}

/// The traps of the real maps: a parent's reference pixel, 1950 coordinates, no sky, a mirrored map, a map that hangs over its projection.
#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_headers_are_found_odd_where_they_are() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(&std::env::var("RADIO_SSL_DATA")?).join("mosaics");
    for (file, frame, words) in [
        ("atca-scorpio/ScorpioS17Field.fits", Some(SkyFrame::FK5_J2000), "(row 3846.0, column 3427.0) lies outside"),
        ("wsrt/3C236_original.fits", Some(SkyFrame::FK4_B1950), ""),
        ("synthetic/synthetic_test.fits", Some(SkyFrame::Icrs), "mirrored"),
        ("samples/galaxy0001.fits", None, "'Jy/beam'"),
        ("parkes/1904-66_SIN.fits", Some(SkyFrame::FK5_J2000), "lies outside"),
    ] {
        let path = folder.join(file);
        let mosaic = Mosaic::open(&path)?;
        let found = mosaic.wcs()?;
        assert_eq!(found.map(|wcs| wcs.frame()), frame, "{file}");
        let text: String = wcs::header_findings(mosaic.header(), (0, 1), (mosaic.rows(), mosaic.cols()), &path)
            .iter()
            .map(|finding| format!("{finding}\n"))
            .collect();
        assert!(text.contains(words) && text.is_empty() == words.is_empty(), "{file}: {text}");
    }
    // 3C 236's core, RA 10h06m01.7s, Dec +34d54m10s (J2000): the brightest pixel of a 1950 map, to half a pixel of 9 arc seconds.
    let mosaic = Mosaic::open(&folder.join("wsrt/3C236_original.fits"))?;
    let pixels = mosaic.window(0, 0, mosaic.rows(), mosaic.cols())?;
    let brightest = pixels.indexed_iter().filter(|(_, value)| value.is_finite()).max_by(|a, b| a.1.total_cmp(b.1));
    let ((row, col), _) = brightest.ok_or("a pixel")?;
    let sky = mosaic.wcs()?.and_then(|wcs| wcs.sky(row as f64, col as f64)).ok_or("a sky")?;
    assert!(separation_arcsec(sky, (151.507_08, 34.902_78)) < 9.0, "{sky:?}");
    Ok(())
}

proptest! {
    /// Whatever the frame, projection and matrix: pixel to sky to pixel, alone and in lists.
    #[test]
    fn pixels_come_back(
        code in proptest::sample::select(vec!["SIN", "TAN", "NCP", "ARC", "ZEA", "STG", "CAR", "SFL", "AIT", "CEA", "MER"]),
        family in 0..7_usize,
        (lon, lat) in (0.0..360.0_f64, 5.0..80.0_f64),
        (row, col) in (-500.0..500.0_f64, -500.0..500.0_f64),
        (angle, stretch, step) in (0.0..360.0_f64, 0.5..2.0_f64, 1e-5..5e-3_f64),
    ) {
        // The cylinders are only laid about the equator here.
        let lat = if ["CAR", "SFL", "AIT", "CEA", "MER"].contains(&code) { 0.0 } else { lat };
        let (s, c) = angle.to_radians().sin_cos();
        let axes = [("RA--", "DEC-"), ("RA--", "DEC-"), ("RA--", "DEC-"), ("RA--", "DEC-"), ("GLON", "GLAT"), ("SLON", "SLAT"), ("ELON", "ELAT")][family];
        let system = ["ICRS", "FK5", "FK4", "FK4-NO-E", "ICRS", "ICRS", "FK5"][family];
        let wcs = wcs_of(&[
            ("CTYPE1", format!("{}-{code}", axes.0).into()),
            ("CTYPE2", format!("{}-{code}", axes.1).into()),
            ("RADESYS", system.into()),
            ("CRVAL1", lon.into()),
            ("CRVAL2", lat.into()),
            ("CD1_1", (-step * c).into()),
            ("CD1_2", (step * stretch * s).into()),
            ("CD2_1", (step * s).into()),
            ("CD2_2", (step * stretch * c).into()),
        ]);
        let sky = wcs.sky(row, col).expect("within five degrees");
        let (row2, col2) = wcs.pixel(sky.0, sky.1).expect("visible");
        // A pixel may be 0.02 arc seconds: some 1e-12 degrees of it. NCP loses a factor 1 / sin(declination) towards the equator.
        let lost = if code == "NCP" { 1.0 / lat.to_radians().sin() } else { 1.0 };
        let slack = 1e-7_f64.max(5e-12 * lost / (step * stretch.min(1.0)));
        prop_assert!((row - row2).abs() < slack && (col - col2).abs() < slack, "{code}: {row} {col} came back as {row2} {col2}");
        for frame in [SkyFrame::Icrs, SkyFrame::FK4_B1950, SkyFrame::Galactic] {
            let place = wcs.positions(frame, &[(row, col)])[0].expect("as above");
            prop_assert!(separation_arcsec(frame.to_icrs(place), sky) < 1e-7);
            let (row3, col3) = wcs.pixels(frame, &[place])[0].expect("visible");
            prop_assert!((row - row3).abs() < 10.0 * slack && (col - col3).abs() < 10.0 * slack);
        }
    }
}
