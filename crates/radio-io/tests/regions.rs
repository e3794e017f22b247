//! Region files of both kinds: what is read, what becomes of it on a map, round trips, bad and hostile text.

#![allow(clippy::expect_used)] // a test may stop at the first surprise

use std::path::Path;

use proptest::prelude::*;
use radio_io::{
    Card, Error, Header, Mosaic, Region, RegionFrame, Shape, SkyFrame, Wcs,
    regions::{RegionList, crtf_text, ds9_text, mask_of, parse_crtf, parse_ds9, read_ds9, write_crtf, write_ds9},
    write_image,
};

const DS9: &str = r##"# Region file format: DS9 version 4.1
global color=green dashlist=8 3 width=1 font="helvetica 10 normal roman" select=1
fk5
circle(150.2,-35.5,120")
ellipse(10:00:30.0,-35:28:12,2',60",30)
-box(150.15,-35.45,100",0.05,20) # color=red text={a; box} tag={x}
annulus(150.25,-35.52,30",90")
polygon(150.1,-35.4,150.3,-35.42,150.2,-35.6)
icrs;circle(150.3,-35.4,0.02); galactic;ellipse(268.0,15.48,80",40",75) # color=blue
fk4;circle(149.7,-35.3,100")
image;box(60,40,20,10,15)
"##;

const CRTF: &str = r##"#CRTFv0 CASA Region Text Format version 0
global coord=J2000, color=green
circle [[150.2deg, -35.5deg], 120arcsec]
ellipse [[10h00m30.0s, -35d28m12s], [120arcsec, 60arcsec], 30deg]
-rotbox [[150.15deg, -35.45deg], [100arcsec, 180arcsec], 20deg], color=red, label='a, box'
annulus [[10:01:00, -35.31.12.0], [30arcsec, 90arcsec]]
poly [[150.1deg, -35.4deg], [150.3deg, -35.42deg], [150.2deg, -35.6deg]]
centerbox [[59pix, 39pix], [20pix, 10pix]]
"##;

fn ds9(text: &str) -> Result<RegionList, Error> {
    parse_ds9(text, Path::new("test.reg"))
}

fn crtf(text: &str) -> Result<RegionList, Error> {
    parse_crtf(text, Path::new("test.crtf"))
}

fn map(changes: &[(&str, f64)]) -> Wcs {
    let mut cards = vec![Card::new("CTYPE1", "RA---SIN", ""), Card::new("CTYPE2", "DEC--SIN", "")];
    let numbers = [
        ("CRVAL1", 150.2),
        ("CRVAL2", -35.5),
        ("CRPIX1", 60.0),
        ("CRPIX2", 40.0),
        ("CDELT1", -0.004),
        ("CDELT2", 0.004),
    ];
    cards.push(Card::new("RADESYS", "ICRS", ""));
    let kept = numbers.iter().filter(|(keyword, _)| changes.iter().all(|(changed, _)| changed != keyword));
    cards.extend(kept.chain(changes).map(|(keyword, value)| Card::new(keyword, *value, "")));
    Wcs::from_header(&Header::from_cards(&cards), (0, 1), Path::new("map")).expect("legal").expect("has a sky")
}

/// Pixels inside, and the sums of their columns and rows, by astropy regions 0.12 and astropy 8.0.2
/// (`region.to_pixel(wcs).to_mask(mode='center')`) for an 80 x 120 map: plain, turned by CROTA2 = 25, mirrored, with pixels that are not square.
/// The Galactic ellipse was given to it in ICRS, its angle turned by the position angle of Galactic north: it counts angles from the map's north,
/// DS9 and we from that of the region's own frame.
#[test]
fn masks_of_sky_regions_agree_with_astropy_regions() {
    let maps = [map(&[]), map(&[("CROTA2", 25.0)]), map(&[("CDELT1", 0.004)]), map(&[("CDELT2", 0.005)])];
    type Sums = (usize, usize, usize);
    let expected: [(&str, [&[Sums]; 4]); 2] = [
        (
            "DS9",
            [
                &[
                    (221, 13039, 8619),
                    (107, 7945, 4968),
                    (87, 6020, 4477),
                    (108, 5272, 3673),
                    (967, 57011, 44144),
                    (76, 2935, 4864),
                    (50, 3462, 1281),
                    (154, 7787, 4417),
                    (201, 11859, 7839),
                ],
                &[
                    (221, 13039, 8619),
                    (109, 7597, 5697),
                    (90, 5670, 4905),
                    (112, 5813, 3384),
                    (970, 54539, 43667),
                    (75, 2237, 3988),
                    (48, 3554, 1490),
                    (151, 8410, 3964),
                    (201, 11859, 7839),
                ],
                &[
                    (221, 13039, 8619),
                    (107, 4681, 4968),
                    (87, 4246, 4477),
                    (108, 7472, 3673),
                    (967, 57095, 44144),
                    (76, 6033, 4864),
                    (50, 2438, 1281),
                    (154, 10385, 4417),
                    (201, 11859, 7839),
                ],
                &[
                    (177, 10443, 6903),
                    (90, 6677, 4041),
                    (69, 4778, 3378),
                    (89, 4355, 3115),
                    (776, 45741, 34337),
                    (61, 2353, 3599),
                    (39, 2697, 1104),
                    (119, 6015, 3652),
                    (201, 11859, 7839),
                ],
            ],
        ),
        (
            "CRTF",
            [
                &[
                    (221, 13039, 8619),
                    (109, 8091, 5064),
                    (87, 6020, 4477),
                    (108, 5272, 3673),
                    (967, 57011, 44144),
                    (171, 10089, 6669),
                ],
                &[
                    (221, 13039, 8619),
                    (110, 7657, 5746),
                    (90, 5670, 4905),
                    (112, 5813, 3384),
                    (970, 54539, 43667),
                    (171, 10089, 6669),
                ],
                &[
                    (221, 13039, 8619),
                    (109, 4771, 5064),
                    (87, 4246, 4477),
                    (108, 7472, 3673),
                    (967, 57095, 44144),
                    (171, 10089, 6669),
                ],
                &[
                    (177, 10443, 6903),
                    (86, 6381, 3864),
                    (69, 4778, 3378),
                    (89, 4355, 3115),
                    (776, 45741, 34337),
                    (171, 10089, 6669),
                ],
            ],
        ),
    ];
    let lists = [ds9(DS9).expect("legal"), crtf(CRTF).expect("legal")];
    for ((format, expected), list) in expected.iter().zip(&lists) {
        for (number, (map, expected)) in maps.iter().zip(expected).enumerate() {
            assert_eq!(list.regions.len(), expected.len(), "{format}");
            for (region, want) in list.regions.iter().zip(*expected) {
                let pixels = region.to_pixel(map).expect("on the map");
                let mask = pixels.mask(80, 120);
                let inside = || mask.indexed_iter().filter(|(_, inside)| **inside).map(|(place, _)| place);
                let got = (inside().count(), inside().map(|(_, col)| col).sum(), inside().map(|(row, _)| row).sum());
                // On the map with oblong pixels astropy keeps a circle a circle, and a box a box; ours are what the sky shows.
                let is_round = matches!(region.shape, Shape::Circle { .. } | Shape::Annulus { .. } | Shape::Box { .. });
                if number == 3 && is_round && matches!(region.frame, RegionFrame::Sky(_)) {
                    assert!(
                        got.0.abs_diff(want.0) <= 8,
                        "{format}, map {number}: {got:?}, astropy {want:?}: {region:?}"
                    );
                } else {
                    assert_eq!(got, *want, "{format}, map {number}: {region:?}");
                }
            }
        }
    }
}

#[test]
fn ds9_properties_and_frames() {
    let list = ds9(DS9).expect("legal");
    let boxed = &list.regions[2];
    assert!(!boxed.include && boxed.frame == RegionFrame::Sky(SkyFrame::FK5_J2000));
    assert_eq!(
        (boxed.text.as_deref(), boxed.color.as_deref(), &boxed.tags[..]),
        (Some("a; box"), Some("red"), &["x".to_owned()][..])
    );
    assert_eq!(boxed.shape, Shape::Box { centre: (150.15, -35.45), sides: (100.0, 180.0), angle_deg: 20.0 });
    assert_eq!(list.regions[0].color.as_deref(), Some("green"), "from the global line");
    assert_eq!(list.regions[6].color.as_deref(), Some("blue"));
    assert_eq!(list.regions[7].frame, RegionFrame::Sky(SkyFrame::FK4_B1950));
    // Pixels count from 1 in the file.
    assert_eq!(list.regions[8].shape, Shape::Box { centre: (59.0, 39.0), sides: (20.0, 10.0), angle_deg: 15.0 });
    let odd = "image; circle 10 20 3 ; +point(1,1)#color=#ff0000 text='it\"s'\n# text(4,5) text={hello; you} tag={t}\n\
               annulus(9,9,1,2,3) || # include=0\nj2000;line(1r,0.5r,10h0m0s,-1d30m0s)\n# vector(1,2,3,4)\n# a comment; circle(\n\
               fk5;panda(1,2,0,90,4,1\",2\",1)\nphysical;ellipse(5p,5i,1,2,3,4,45r)";
    let list = ds9(odd).expect("legal");
    assert_eq!(list.regions.len(), 7, "{list:?}");
    assert_eq!(list.regions[0].shape, Shape::Circle { centre: (9.0, 19.0), radius: 3.0 });
    assert_eq!((list.regions[1].color.as_deref(), list.regions[1].text.as_deref()), (Some("#ff0000"), Some("it\"s")));
    assert_eq!(
        (list.regions[2].text.as_deref(), &list.regions[2].tags[..]),
        (Some("hello; you"), &["t".to_owned()][..])
    );
    assert!(list.regions[3..5].iter().all(|ring| !ring.include), "a ring for each pair of radii");
    let Shape::Line { from, to } = list.regions[5].shape else { panic!("{list:?}") };
    assert_eq!((from, to), ((1.0_f64.to_degrees(), 0.5_f64.to_degrees()), (150.0, -1.5)));
    assert!(matches!(list.regions[6].shape, Shape::Annulus { inner: (1.0, 2.0), outer: (3.0, 4.0), .. }));
    assert_eq!(list.skipped.iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [5, 7]);
}

#[test]
fn crtf_units_and_corners() {
    let list = crtf(
        "#CRTFv0\n\nglobal coord=galactic\nann box [[359.9deg, -1deg], [0.1deg, 1deg]], range=[1GHz, 2GHz], corr=[I, Q]\n\
         + symbol [[0.1rad, 30'], .], coord=icrs\nvector [[1pix, 2pix], [3pix, 4pix]]\n\
         text [[1pix, 2pix], \"it's, [well]\"]\ncircle[[10deg, 20deg], 2'], label=\"x\"\nline [[1pix,2pix],[3pix,4pix]]",
    );
    // 30' is no form of a latitude in CRTF.
    assert!(list.is_err());
    let list = crtf(
        "#CRTFv0\n\nglobal coord=galactic\nann box [[359.9deg, -1deg], [0.1deg, 1deg]], range=[1GHz, 2GHz], corr=[I, Q]\n\
         + symbol [[0.1rad, 0.5deg], .], coord=icrs\nvector [[1pix, 2pix], [3pix, 4pix]]\n\
         text [[1pix, 2pix], \"it's, [well]\"]\ncircle[[10deg, 20deg], 2'], label=\"x\"\nline [[1pix,2pix],[3pix,4pix]]",
    )
    .expect("legal");
    let Shape::Box { centre, sides, .. } = list.regions[0].shape else { panic!("{list:?}") };
    assert!(
        (centre.0 - 360.0).abs() < 1e-9 && (sides.0 - 720.0).abs() < 1e-6 && (sides.1 - 7200.0).abs() < 1e-9,
        "across longitude 0"
    );
    assert_eq!(list.regions[1].frame, RegionFrame::Sky(SkyFrame::Icrs));
    assert_eq!(list.regions[2].text.as_deref(), Some("it's, [well]"));
    assert_eq!(list.regions[2].frame, RegionFrame::Image, "pix beats a global coord");
    assert_eq!(list.regions[3].shape, Shape::Circle { centre: (10.0, 20.0), radius: 120.0 });
    assert_eq!((list.regions.len(), list.skipped.len()), (5, 1));
}

/// Each with its line and what was expected.
#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    for (text, parts) in [
        ("image\ncircle(1,2)", &["test.reg, line 2", "`circle(1,2)`", "a radius"][..]),
        ("fk5\n\ncircle(10,20,5p)", &["line 3", "`5p`", "angular lengths"]),
        ("image\ncircle(1,2,3\")", &["pixels about image"]),
        ("fk5;circle(10,91,5\")", &["`91`", "within 90"]),
        ("fk5;circle(ten,9,5\")", &["`ten`", "longitude"]),
        ("fk5;circle(10,9,-5\")", &["0 or more"]),
        ("fk5;circle(10,9,inf\")", &["a number"]),
        ("fk5;circle(10,9,1e999\")", &["a number"]),
        ("image;circle(1,2,3", &["parenthesis"]),
        ("image;polygon(1,2,3,4,5)", &["three pairs"]),
        ("ecliptic\ncircle(1,2,3)", &["`ecliptic`", "galactic"]),
        ("image;blob(1,2,3)", &["`blob(1,2,3)`", "a DS9 shape"]),
        ("image;ellipse(1,2,3,4,5,6,7,é)", &["`é`"]),
    ] {
        let refused = ds9(text).err().unwrap_or_else(|| panic!("`{text}` was read")).to_string();
        for part in parts {
            assert!(refused.contains(part), "`{refused}` lacks `{part}`");
        }
    }
    for (text, part) in [
        ("", "begins with #CRTF"),
        ("circle [[1pix, 2pix], 3pix]", "begins with #CRTF"),
        ("#CRTF\ncircle [[1deg, 2deg], 3arcsec]", "coord="),
        ("#CRTF\ncircle [[1pix, 2deg], 3pix]", "all in pix"),
        ("#CRTF\ncircle [[1pix, 2pix], 3arcsec]", "in pix"),
        ("#CRTF\ncircle [[1pix, 2pix], 3]", "in pix"),
        ("#CRTF\ncircle [[1deg, 2deg], 3], coord=J2000", "arcsec"),
        ("#CRTF\ncircle [[1deg, 2deg], 3deg], coord=AZEL", "`AZEL`"),
        ("#CRTF\npoly [[1pix, 2pix], [3pix, 4pix]]", "places and lengths of a poly"),
        ("#CRTF\ncircle [[1pix, 2pix, 3pix], 3pix]", "two coordinates"),
        ("#CRTF\ncircle 1pix, 2pix", "brackets"),
        ("#CRTF\nblob [[1pix, 2pix], 3pix]", "a CRTF shape"),
        ("#CRTF\nellipse [[1pix, 2pix], [3pix, 3pix], 4]", "deg or rad"),
        ("#CRTF\ncircle [[1pix, 2pix], 3pix", "brackets"),
    ] {
        let refused = crtf(text).err().unwrap_or_else(|| panic!("`{text}` was read")).to_string();
        assert!(refused.contains(part) && refused.contains("test.crtf, line"), "`{refused}` lacks `{part}`");
    }
    let long = format!("image;circle(1,2,3) # text={{{}}}", "x".repeat(5000));
    assert!(ds9(&long).expect_err("too long").to_string().len() < 300);
    assert!(matches!(read_ds9(Path::new("/nowhere/at/all.reg")), Err(Error::Io { .. })));
}

#[test]
fn what_a_format_cannot_hold_is_not_written() {
    let at = (10.0, 20.0);
    let sky = |frame| Region::new(RegionFrame::Sky(frame), Shape::Point { at });
    let ring = Shape::Annulus { centre: at, inner: (1.0, 2.0), outer: (2.0, 4.0), angle_deg: 0.0 };
    let named = |text: &str| Region { text: Some(text.to_owned()), ..sky(SkyFrame::Icrs) };
    for region in [
        sky(SkyFrame::Fk5 { equinox: 1985.0 }),
        Region::new(RegionFrame::Image, Shape::Circle { centre: (f64::NAN, 0.0), radius: 1.0 }),
        named("two\nlines"),
        named("} \" '"),
        Region { color: Some("red text={x}".to_owned()), ..sky(SkyFrame::Icrs) },
    ] {
        assert!(ds9_text(std::slice::from_ref(&region)).is_err(), "{region:?}");
        assert!(crtf_text(std::slice::from_ref(&region)).is_err(), "{region:?}");
    }
    assert!(ds9_text(&[sky(SkyFrame::Supergalactic)]).is_err() && crtf_text(&[sky(SkyFrame::Supergalactic)]).is_ok());
    let ring = Region::new(RegionFrame::Image, ring);
    assert!(ds9_text(std::slice::from_ref(&ring)).is_ok() && crtf_text(&[ring]).is_err());
}

/// `physical` is what the image was before it was cut and binned: pixel = LTM physical + LTV, counted from 1.
#[test]
fn physical_regions_follow_the_history_of_the_image() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let mosaic = |cards: &[(&str, f64)]| -> Result<Mosaic, Box<dyn std::error::Error>> {
        let path = folder.path().join("map.fits");
        let cards: Vec<Card> = cards.iter().map(|(keyword, value)| Card::new(keyword, *value, "")).collect();
        write_image(&path, &ndarray::Array2::<f32>::zeros((60, 70)), &cards)?;
        Ok(Mosaic::open(&path)?)
    };
    let regions =
        ds9("physical\ncircle(101,61,8)\nbox(101,61,20,8,30)\nimage\ncircle(5,6,7)\nfk5;circle(10,20,5\")")?.regions;
    let shape =
        |mosaic: &Mosaic, number: usize| regions[number].on_mosaic(mosaic).map(|found| found.map(|found| found.shape));
    let cut = mosaic(&[("LTV1", -80.0), ("LTV2", -30.0)])?;
    assert_eq!(shape(&cut, 0)?, Some(Shape::Circle { centre: (20.0, 30.0), radius: 8.0 }));
    // Binned by two: physical 1.5, between the first two pixels, is pixel 1.
    let binned = [("LTM1_1", 0.5), ("LTM2_2", 0.5), ("LTV1", 0.25), ("LTV2", 0.25)];
    assert_eq!(shape(&mosaic(&binned)?, 0)?, Some(Shape::Circle { centre: (49.75, 29.75), radius: 4.0 }));
    let Some(Shape::Box { centre, sides, angle_deg }) = shape(&mosaic(&binned)?, 1)? else { panic!("a box") };
    assert_eq!(centre, (49.75, 29.75));
    assert!((sides.0 - 10.0).abs() < 1e-12 && (sides.1 - 4.0).abs() < 1e-12 && (angle_deg - 30.0).abs() < 1e-12);
    // Mirrored: what leant to the left leans to the right.
    let mirrored = mosaic(&[("LTM1_1", -1.0), ("LTV1", 120.0)])?;
    let Some(Shape::Box { centre, angle_deg, .. }) = shape(&mirrored, 1)? else { panic!("a box") };
    assert_eq!(centre, (18.0, 60.0));
    assert!((angle_deg - 150.0).abs() < 1e-12, "{angle_deg}");
    // Without a history, or with one that cannot be undone, it is the image.
    for plain in [mosaic(&[])?, mosaic(&[("LTM1_1", 0.0)])?] {
        assert_eq!(shape(&plain, 0)?, Some(Shape::Circle { centre: (100.0, 60.0), radius: 8.0 }));
    }
    assert_eq!(shape(&cut, 2)?, Some(Shape::Circle { centre: (4.0, 5.0), radius: 7.0 }));
    assert_eq!(shape(&cut, 3)?, None, "the map has no sky");
    Ok(())
}

#[test]
fn files_are_written_and_read() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let regions = ds9(DS9)?.regions;
    let path = folder.path().join("a.reg");
    write_ds9(&path, &regions)?;
    assert_eq!(read_ds9(&path)?.regions, regions);
    let path = folder.path().join("a.crtf");
    write_crtf(&path, &regions)?;
    let again = radio_io::regions::read_crtf(&path)?.regions;
    assert_eq!(again.len(), regions.len());
    assert_eq!(again[2].shape, regions[2].shape);
    // Excluded boxes are holes.
    let pixels: Vec<_> = regions.iter().filter_map(|region| region.to_pixel(&map(&[]))).collect();
    let (with, without) = (mask_of(&pixels, 80, 120), mask_of(&pixels[..2], 80, 120));
    assert!(with.iter().filter(|inside| **inside).count() > without.iter().filter(|inside| **inside).count());
    Ok(())
}

fn place() -> impl Strategy<Value = (f64, f64)> {
    (0.0..360.0, -90.0..90.0)
}

fn region() -> impl Strategy<Value = Region> {
    let size = || 0.0..1e4;
    let shape = prop_oneof![
        place().prop_map(|at| Shape::Point { at }),
        (place(), place()).prop_map(|(from, to)| Shape::Line { from, to }),
        (place(), size()).prop_map(|(centre, radius)| Shape::Circle { centre, radius }),
        (place(), (size(), size()), -360.0..360.0).prop_map(|(centre, semi_axes, angle_deg)| Shape::Ellipse {
            centre,
            semi_axes,
            angle_deg
        }),
        (place(), (size(), size()), -360.0..360.0).prop_map(|(centre, sides, angle_deg)| Shape::Box {
            centre,
            sides,
            angle_deg
        }),
        (place(), size(), size()).prop_map(|(centre, a, b)| Shape::Annulus {
            centre,
            inner: (a, a),
            outer: (b, b),
            angle_deg: 0.0
        }),
        proptest::collection::vec(place(), 3..9).prop_map(|corners| Shape::Polygon { corners }),
    ];
    let frame = prop_oneof![
        Just(SkyFrame::Icrs),
        Just(SkyFrame::FK5_J2000),
        Just(SkyFrame::FK4_B1950),
        Just(SkyFrame::Galactic)
    ]
    .prop_map(RegionFrame::Sky);
    let text = proptest::option::of("[a-zA-Z0-9 ;#,=+{(|é-]{1,12}");
    (shape, frame, any::<bool>(), text, proptest::option::of("[a-z]{1,8}"))
        .prop_map(|(shape, frame, include, text, color)| Region { include, text, color, ..Region::new(frame, shape) })
}

proptest! {
    /// Sky regions come back bit for bit.
    #[test]
    fn regions_come_back_from_both_formats(regions in proptest::collection::vec(region(), 0..6)) {
        prop_assert_eq!(&ds9(&ds9_text(&regions).expect("can be written")).expect("our own").regions, &regions);
        prop_assert_eq!(&crtf(&crtf_text(&regions).expect("can be written")).expect("our own").regions, &regions);
    }

    /// Image regions come back to the last digit of counting from 1.
    #[test]
    fn image_regions_come_back(col in -1e4..1e4, row in -1e4..1e4, radius in 0.0..1e4) {
        let regions = [Region::new(RegionFrame::Image, Shape::Circle { centre: (col, row), radius })];
        let again = ds9(&ds9_text(&regions).expect("can be written")).expect("our own").regions;
        let Shape::Circle { centre, radius: same } = again[0].shape else { panic!("{again:?}") };
        prop_assert!((centre.0 - col).abs() < 1e-11 && (centre.1 - row).abs() < 1e-11 && same == radius);
        prop_assert_eq!(&crtf(&crtf_text(&regions).expect("can be written")).expect("our own").regions[..], &regions[..]);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}", cut in 0..600_usize, put in "[-+;#(){}\\[\\],=\"'a-z0-9. ]{0,4}") {
        let _ = ds9(&text);
        let _ = crtf(&format!("#CRTF\n{text}"));
        for (base, reader) in [(DS9, ds9 as fn(&str) -> _), (CRTF, crtf)] {
            let at = cut.min(base.len());
            let _ = reader(&format!("{}{put}{}", &base[..at], &base[at..]));
            let _ = reader(&base[..at]);
        }
    }
}
