//! Distorted maps: SIP in front of TAN and SIN, and TPV. Expected positions were made with astropy 8.0.2 (`WCS(header)`, `all_pix2world`; its
//! `all_world2pix` with a tolerance of 1e-12 gives the pixels back).

#![allow(clippy::expect_used)] // a test may stop at the first surprise

use std::path::Path;

use proptest::prelude::*;
use radio_io::{Card, CardValue, Header, SkyFrame, Wcs, separation_arcsec};

/// Columns and rows of the checked pixels, counted from 0, some of them outside the 1,024 x 1,024 image.
const PIXELS: [(f64, f64); 5] = [(0.0, 0.0), (511.5, 511.5), (1023.0, 17.25), (300.75, 1000.5), (-200.0, 1500.0)];

const SIP: [(&str, f64); 14] = [
    ("A_ORDER", 3.0),
    ("B_ORDER", 4.0),
    ("A_2_0", 2.3e-5),
    ("A_1_1", -1.1e-5),
    ("A_0_2", 4e-6),
    ("A_3_0", -3.1e-9),
    ("A_1_2", 2.2e-9),
    ("A_0_1", 1e-3),
    ("B_2_0", -7e-6),
    ("B_1_1", 1.9e-5),
    ("B_0_2", -1.3e-5),
    ("B_0_3", 5e-9),
    ("B_2_2", 1.5e-12),
    ("B_0_0", 0.25),
];

const TPV: [(&str, f64); 17] = [
    ("PV1_0", 1e-4),
    ("PV1_1", 1.0007),
    ("PV1_2", -3e-4),
    ("PV1_3", 2e-4),
    ("PV1_4", 1.1e-3),
    ("PV1_7", -6e-4),
    ("PV1_11", 3e-4),
    ("PV1_17", 1e-5),
    ("PV1_39", 2e-6),
    ("PV2_1", 0.9991),
    ("PV2_2", 5e-4),
    ("PV2_5", -8e-4),
    ("PV2_6", 4e-4),
    ("PV2_10", 7e-4),
    ("PV2_23", -1e-4),
    ("PV2_38", 1e-5),
    ("PV2_12", 3e-4),
];

fn read(cards: &[Card]) -> Wcs {
    Wcs::from_header(&Header::from_cards(cards), (0, 1), Path::new("test")).expect("legal").expect("has a sky")
}

fn map(projection: &str, distortion: &[(&str, f64)]) -> Wcs {
    let mut cards = vec![
        Card::new("CTYPE1", format!("RA---{projection}"), ""),
        Card::new("CTYPE2", format!("DEC--{projection}"), ""),
        Card::new("RADESYS", "ICRS", ""),
    ];
    let numbers = [
        ("CRPIX1", 500.25),
        ("CRPIX2", 520.5),
        ("CRVAL1", 201.365),
        ("CRVAL2", -43.019),
        ("CD1_1", -6e-4),
        ("CD1_2", 1e-4),
        ("CD2_1", 1.2e-4),
        ("CD2_2", 5.5e-4),
    ];
    cards.extend(numbers.iter().chain(distortion).map(|&(keyword, value)| {
        let value: CardValue = if keyword.ends_with("ORDER") { (value as i64).into() } else { value.into() };
        Card::new(keyword, value, "")
    }));
    read(&cards)
}

#[test]
fn positions_agree_with_astropy_both_ways() {
    let sip = [
        (201.70256243874337, -43.364082428558405),
        (201.35388865041924, -43.02179440964168),
        (200.85541906065805, -43.235871425326785),
        (201.58953173872516, -42.78001035312962),
        (202.0457591948738, -42.57164916981162),
    ];
    let cases = [
        ("TAN-SIP", &SIP[..], sip),
        // Without the mark other programs apply the polynomials too.
        ("TAN", &SIP, sip),
        (
            "SIN-SIP",
            &SIP,
            [
                (201.70257172797804, -43.36409185752687),
                (201.35388865029432, -43.02179440967309),
                (200.85540462338048, -43.235877515934334),
                (201.58953460609732, -42.780007286470905),
                (202.04580548578437, -42.57161839228501),
            ],
        ),
        (
            "TPV",
            &TPV,
            [
                (201.70631258026188, -43.36358197535816),
                (201.35398495181414, -43.02193090276485),
                (200.8650252916474, -43.23133174959503),
                (201.59311967846085, -42.77819504608581),
                (202.06875290978604, -42.56162925206608),
            ],
        ),
    ];
    for (projection, distortion, expected) in cases {
        let wcs = map(projection, distortion);
        for ((col, row), sky) in PIXELS.into_iter().zip(expected) {
            let got = wcs.sky(row, col).expect("on the map");
            // 3.6e-6 arc seconds are 1e-9 degrees.
            assert!(separation_arcsec(got, sky) < 3.6e-6, "{projection}: {got:?}, astropy {sky:?}");
            let (row2, col2) = wcs.pixel(sky.0, sky.1).expect("on the map");
            // 1e-9 degrees are 2e-6 pixels here.
            assert!((row2 - row).abs() < 1e-7 && (col2 - col).abs() < 1e-7, "{projection}: {row} {col}: {row2} {col2}");
        }
        assert_eq!(wcs.remarks().len(), usize::from(projection == "TAN"), "{:?}", wcs.remarks());
        // What is written is the same sky, for a cutout too.
        let (again, cutout) = (read(&wcs.cards()), read(&wcs.shifted(20.0, 300.0).cards()));
        assert_eq!(again.sky(17.0, 400.0), wcs.sky(17.0, 400.0));
        assert_eq!(cutout.sky(17.0, 40.0), wcs.sky(37.0, 340.0));
    }
}

/// A map of ecliptic axes is the same sky as an equatorial one, once its frame is undone.
#[test]
fn ecliptic_axes_are_turned() {
    let numbers =
        [("CRVAL1", 10.5), ("CRVAL2", -43.25), ("CRPIX1", 8.0), ("CRPIX2", 5.0), ("CDELT1", -0.01), ("CDELT2", 0.01)];
    let map = |more: &[Card]| {
        let mut cards = vec![Card::new("CTYPE1", "ELON-TAN", ""), Card::new("CTYPE2", "ELAT-TAN", "")];
        cards.extend(numbers.map(|(keyword, value)| Card::new(keyword, value, "")));
        cards.extend_from_slice(more);
        read(&cards)
    };
    // astropy 8.0.2, BarycentricMeanEcliptic(equinox).icrs.
    for (more, equinox, icrs) in [
        (&[][..], 2000.0, (28.837573859856022, -35.15876895418156)),
        (&[Card::new("EQUINOX", 1985.5, "")], 1985.5, (28.997038754566532, -35.08719820910418)),
    ] {
        let wcs = map(more);
        assert_eq!(wcs.frame(), SkyFrame::Ecliptic { equinox });
        assert!(separation_arcsec(wcs.sky(4.0, 7.0).expect("on the map"), icrs) < 3.6e-6);
        let (row, col) = wcs.pixel(icrs.0, icrs.1).expect("on the map");
        assert!((row - 4.0).abs() < 1e-7 && (col - 7.0).abs() < 1e-7);
        let again = read(&wcs.cards());
        assert_eq!((again.frame(), again.sky(1.0, 2.0)), (wcs.frame(), wcs.sky(1.0, 2.0)));
    }
}

proptest! {
    /// Hostile polynomials give a position, or none, but neither NaN nor an endless search.
    #[test]
    fn any_polynomial_gives_a_position_or_none(
        factors in proptest::collection::vec(prop_oneof![-1e-3..1e-3, Just(1e300), Just(-1e10)], 4),
        (row, col) in (-1e6..1e6_f64, -1e6..1e6_f64),
    ) {
        let sip = [("A_ORDER", 2.0), ("B_ORDER", 9.0), ("A_2_0", factors[0]), ("A_1_1", factors[1]), ("B_0_2", factors[2]), ("B_4_5", factors[3])];
        let tpv = [("PV1_1", factors[0]), ("PV1_39", factors[1]), ("PV2_1", factors[2]), ("PV2_10", factors[3])];
        for wcs in [map("TAN-SIP", &sip), map("TPV", &tpv)] {
            if let Some((ra, dec)) = wcs.sky(row, col) {
                prop_assert!(ra.is_finite() && dec.is_finite());
            }
            if let Some((row, col)) = wcs.pixel(201.4, -43.1) {
                prop_assert!(row.is_finite() && col.is_finite());
            }
        }
    }
}
