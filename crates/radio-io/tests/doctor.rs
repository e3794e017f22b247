//! What the doctor says of made files: every kind, and every ailment with its place and remedy.

#[allow(dead_code)] // other tests use the rest
mod made_manifest;

use std::path::{Path, PathBuf};

use made_manifest::{Test, manifest, window};
use ndarray::Array2;
use radio_io::{
    Card, ImageWriter, MosaicEntry, Table, Wcs,
    data_set::MosaicRecord,
    doctor::{Examination, FileKind, Severity, examine},
    write_gray_png, write_image, write_mask,
};

fn look(path: &Path) -> Examination {
    let report = examine(path, |_| None).unwrap_or_else(|refused| panic!("{}: {refused}", path.display()));
    assert!(report.findings.is_sorted_by_key(|finding| finding.severity), "{report:?}");
    assert!(
        report.findings.iter().all(|finding| !finding.found.is_empty() && !finding.remedy.is_empty()),
        "{report:?}"
    );
    report
}

/// All findings in words.
fn words(report: &Examination) -> String {
    report.findings.iter().map(|finding| format!("{finding}\n")).collect()
}

fn fact<'a>(report: &'a Examination, name: &str) -> &'a str {
    report.facts.iter().find(|fact| fact.name == name).map_or("", |fact| fact.value.as_str())
}

/// Something like noise.
fn rough(row: usize, col: usize) -> f32 {
    let wave = ((row as f64 * 12.9898 + col as f64 * 78.233).sin() * 43_758.545_3).rem_euclid(1.0);
    (wave as f32 - 0.5) * 1e-3
}

fn cards() -> Result<Vec<Card>, Box<dyn std::error::Error>> {
    let mut cards = Wcs::north_up("SIN", (201.4, -43.0), (31.5, 39.5), 2.0)?.cards();
    cards.extend([Card::new("BMAJ", 0.003, ""), Card::new("BMIN", 0.002, ""), Card::new("BUNIT", "Jy/beam", "")]);
    Ok(cards)
}

fn map_of(
    name: &Path,
    value: impl Fn(usize, usize) -> f32,
    change: impl Fn(&mut Vec<Card>),
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let mut cards = cards()?;
    change(&mut cards);
    write_image(name, &Array2::from_shape_fn((64, 80), |(row, col)| value(row, col)), &cards)?;
    Ok(name.to_path_buf())
}

#[test]
fn a_good_map_has_facts_and_no_findings() -> Test {
    let folder = tempfile::tempdir()?;
    let path = map_of(&folder.path().join("good.fits"), rough, |_| ())?;
    let report = look(&path);
    assert_eq!((report.kind, words(&report).as_str()), (FileKind::Fits, ""));
    assert_eq!(fact(&report, "header 0"), "image of 80 x 64, BITPIX -32");
    assert_eq!(fact(&report, "pixels"), "64 rows x 80 columns, 0.00 % blank");
    assert_eq!((fact(&report, "unit"), fact(&report, "checksum 0")), ("Jy/beam", "right"));
    assert_eq!(fact(&report, "beam"), "10.80\" x 7.20\", 0.0 degrees");
    assert_eq!(fact(&report, "sky"), "ICRS, projection SIN, pixels of 2.0000\"");
    Ok(())
}

/// The pixels and the header, one ailment at a time.
#[test]
fn ailments_of_maps_are_found() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("map.fits");
    type Pixel = fn(usize, usize) -> f32;
    let pixel_cases: [(&str, Pixel, Severity, &str); 9] = [
        ("blank", |_, _| f32::NAN, Severity::Error, "all 5120 pixels are blank"),
        ("zero", |_, _| 0.0, Severity::Error, "every pixel is 0"),
        ("constant", |_, _| 0.25, Severity::Warning, "every pixel is 2.5e-1"),
        (
            "noise",
            |row, col| 1e-4 * (1.0 + (row as f32 / 40.0).sin() + col as f32 / 800.0),
            Severity::Warning,
            "a noise map",
        ),
        (
            "background",
            |row, col| 1e-4 * ((row as f32 / 20.0).sin() + (col as f32 / 25.0).cos()),
            Severity::Warning,
            "a background map",
        ),
        (
            "infinite",
            |row, col| if (row, col) == (3, 4) { f32::INFINITY } else { rough(row, col) },
            Severity::Warning,
            "1 pixels are infinite",
        ),
        (
            "edge",
            |row, col| if col < 8 { f32::NAN } else { rough(row, col) },
            Severity::Note,
            "512 pixels (10.00 %) are blank; values lie in rows 0 to 63, columns 8 to 79, 100.0 %",
        ),
        (
            "zeros",
            |row, col| if row < 8 && col < 8 { 0.0 } else { rough(row, col) },
            Severity::Warning,
            "64 pixels (1.25 %) are exactly 0",
        ),
        (
            "mask",
            |row, col| ((row / 9) * (col / 9)) as f32 - 1.0,
            Severity::Note,
            "whole numbers from -1 to 55: a mask",
        ),
    ];
    for (name, value, severity, expected) in pixel_cases {
        let report = look(&map_of(&path, value, |_| ())?);
        let found = report.findings.iter().find(|finding| finding.found.contains(expected));
        assert_eq!(found.map(|finding| finding.severity), Some(severity), "{name}: {}", words(&report));
        assert_eq!(report.findings.len(), 1, "{name}: {}", words(&report));
    }
    type Change = fn(&mut Vec<Card>);
    let header_cases: [(Change, Severity, &str); 10] = [
        (|cards| cards.retain(|card| card.keyword != "BUNIT"), Severity::Warning, "header 0, BUNIT: missing"),
        (|cards| set(cards, Card::new("BUNIT", "furlong", "")), Severity::Warning, "`furlong` is no unit"),
        (|cards| cards.retain(|card| !card.keyword.starts_with("BM")), Severity::Warning, "header 0, BMAJ: no beam"),
        (
            |cards| {
                set(cards, Card::new("BMAJ", 10.8 / 3600.0 / 3600.0, ""));
                set(cards, Card::new("BMIN", 10.8 / 3600.0 / 3600.0, ""))
            },
            Severity::Warning,
            "the minor axis of the beam is 0.002 pixels",
        ),
        (
            |cards| {
                set(cards, Card::new("BMAJ", 10.8, ""));
                set(cards, Card::new("BMIN", 10.8, ""))
            },
            Severity::Warning,
            "the beam is 19440 pixels wide, more than the map",
        ),
        (
            |cards| set(cards, Card::new("CRPIX1", 3428.0, "")),
            Severity::Warning,
            "column 3427.0) lies outside the 64 x 80 image",
        ),
        (
            |cards| cards.push(Card::new("EPOCH", 2000.0, "")),
            Severity::Note,
            "EPOCH = 2000.0 stands in place of EQUINOX",
        ),
        (
            |cards| cards.push(Card::new("CTYPE3", "FREQ-LSR", "")),
            Severity::Note,
            "CTYPE3 for axes that the image does not have (NAXIS = 2)",
        ),
        (|cards| cards.push(Card::new("DATE-OBS", "01-JUL-8", "")), Severity::Note, "`01-JUL-8` is no date"),
        (|cards| cards.push(Card::new("TELESCOP", "", "")), Severity::Note, "TELESCOP, byte"),
    ];
    for (change, severity, expected) in header_cases {
        let report = look(&map_of(&path, rough, change)?);
        let found = report.findings.iter().find(|finding| finding.to_string().contains(expected));
        assert_eq!(found.map(|finding| finding.severity), Some(severity), "{expected}: {}", words(&report));
    }
    Ok(())
}

fn set(cards: &mut Vec<Card>, card: Card) {
    cards.retain(|present| present.keyword != card.keyword);
    cards.push(card);
}

#[test]
fn truncation_checksums_and_bad_headers_have_their_byte() -> Test {
    let folder = tempfile::tempdir()?;
    let path = map_of(&folder.path().join("map.fits"), rough, |_| ())?;
    let bytes = std::fs::read(&path)?;
    let data = bytes.len() - (64_usize * 80 * 4).div_ceil(2880) * 2880;
    std::fs::write(&path, &bytes[..data + 1000])?;
    let report = look(&path);
    assert_eq!((report.count(Severity::Error), report.findings[0].place.byte), (1, Some(data as u64 + 1000)));
    let expected = format!("needs {} bytes, found {}", data + 64 * 80 * 4, data + 1000);
    assert!(words(&report).contains(&expected) && words(&report).contains("download it again"), "{}", words(&report));
    // A bit of a pixel.
    let mut changed = bytes.clone();
    changed[data + 77] ^= 1;
    std::fs::write(&path, &changed)?;
    let report = look(&path);
    let finding = &report.findings[0];
    assert_eq!(
        (finding.severity, finding.place.keyword.as_deref(), finding.place.byte),
        (Severity::Error, Some("DATASUM"), Some(data as u64))
    );
    // A keyword changed by hand.
    let at = bytes.windows(7).position(|window| window == b"Jy/beam").ok_or("BUNIT")?;
    let mut changed = bytes.clone();
    changed[at] = b'j';
    std::fs::write(&path, &changed)?;
    assert!(
        words(&look(&path))
            .contains("warning: header 0, CHECKSUM: the sum of header and data is wrong, that of the data right")
    );
    // A TAB, a card without sense, no END, and something behind the end.
    let card = bytes.windows(5).position(|window| window == b"BUNIT").ok_or("BUNIT")?;
    let mut changed = bytes.clone();
    changed[card + 40] = b'\t';
    std::fs::write(&path, &changed)?;
    assert!(
        words(&look(&path)).contains(&format!("BUNIT, byte {}: a TAB in the card", card + 40)),
        "{}",
        words(&look(&path))
    );
    let mut changed = bytes.clone();
    changed[card..card + 30].copy_from_slice(b"BLANK   =                   -1");
    std::fs::write(&path, &changed)?;
    let expected = format!("note: header 0, BLANK, byte {card}: BLANK = -1 is ignored");
    assert!(words(&look(&path)).contains(&expected), "{}", words(&look(&path)));
    let naxis = bytes.windows(8).position(|window| window == b"NAXIS1  ").ok_or("NAXIS1")?;
    let mut changed = bytes.clone();
    changed[naxis + 10..naxis + 30].copy_from_slice(b"                  -7");
    std::fs::write(&path, &changed)?;
    assert!(words(&look(&path)).contains("error: header 0, NAXIS1"), "{}", words(&look(&path)));
    std::fs::write(&path, &bytes[..400])?;
    assert!(words(&look(&path)).contains("END"), "{}", words(&look(&path)));
    let mut longer = bytes.clone();
    longer.extend([0_u8; 2880]);
    std::fs::write(&path, &longer)?;
    assert!(words(&look(&path)).contains(&format!("byte {}: 2880 bytes behind the last", bytes.len())));
    Ok(())
}

#[test]
fn large_maps_are_read_in_strips() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("wide.fits");
    let (rows, cols) = (300, 70_000);
    let mut writer = ImageWriter::<f32>::create(&path, rows, cols, &cards()?)?;
    for row in 0..rows {
        let line: Vec<f32> = (0..cols).map(|col| if col == 69_999 { f32::NAN } else { rough(row, col) }).collect();
        writer.write_rows(&line)?;
    }
    writer.finish()?;
    let report = look(&path);
    assert!(
        words(&report).contains("300 pixels (0.00 %) are blank; values lie in rows 0 to 299, columns 0 to 69998"),
        "{}",
        words(&report)
    );
    assert!(!words(&report).contains("map, not a map of the sky"));
    Ok(())
}

#[test]
fn compressed_and_gzipped_files_are_looked_at_unit_by_unit() -> Test {
    let report = look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/compressed.fits.gz"));
    assert_eq!((report.kind, fact(&report, "header-data units")), (FileKind::FitsGz, "37"));
    assert!(report.facts.iter().any(|fact| fact.value.contains("tiles in RICE_1")), "{:?}", report.facts);
    assert_eq!(fact(&report, "checksum 36"), "right");
    assert_eq!(report.count(Severity::Error), 0, "{}", words(&report));
    Ok(())
}

#[test]
fn pictures() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("picture.txt"); // the contents count
    write_gray_png(&path, &Array2::from_shape_fn((40, 30), |(row, col)| (row * col % 256) as u8))?;
    let report = look(&path);
    assert_eq!(
        (report.kind, fact(&report, "picture")),
        (FileKind::Png, "40 rows x 30 columns, 1 channel(s) of 8 bits")
    );
    assert_eq!(report.count(Severity::Error), 0);
    for (value, expected) in [(0, "every pixel is 0"), (7, "every pixel is 7 to 7")] {
        write_gray_png(&path, &Array2::from_elem((40, 30), value))?;
        assert!(words(&look(&path)).contains(expected), "{}", words(&look(&path)));
        assert_eq!(look(&path).count(Severity::Error), 1);
    }
    let rgb = image::RgbImage::from_fn(20, 20, |x, y| image::Rgb([(x * y) as u8, 9, (x + y) as u8]));
    rgb.save_with_format(&path, image::ImageFormat::Png)?;
    assert!(words(&look(&path)).contains("warning: file: every pixel of channel 1 is 9"), "{}", words(&look(&path)));
    let bytes = std::fs::read(&path)?;
    std::fs::write(&path, &bytes[..bytes.len() / 2])?;
    assert_eq!(look(&path).count(Severity::Error), 1);
    Ok(())
}

#[test]
fn tables_labels_and_manifests() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("sources.csv");
    std::fs::write(&path, "id,ra,dec\na,10.0,-20.0\nb,11.0,20.0\n")?;
    let report = look(&path);
    assert_eq!((report.kind, fact(&report, "table")), (FileKind::Table, "2 rows, 3 columns: id, ra, dec"));
    assert_eq!((fact(&report, "sources"), words(&report).as_str()), ("2", ""));
    for name in ["sources.xml", "sources.fits", "sources.parquet"] {
        let path = folder.path().join(name);
        Table::read(&folder.path().join("sources.csv"))?.write(&path)?;
        let report = look(&path);
        assert_eq!((fact(&report, "sources"), report.count(Severity::Error)), ("2", 0), "{name}: {}", words(&report));
    }
    std::fs::write(&path, "id,ra,dec\na,10.0,-20.0\nb,11.0,-91.0\n")?;
    let report = look(&path);
    assert_eq!(
        (report.findings[0].place.row, report.findings[0].place.keyword.as_deref()),
        (Some(2), Some("dec")),
        "{}",
        words(&report)
    );
    std::fs::write(&path, "id,flux\na,10.0\n")?;
    assert!(words(&look(&path)).contains("note: file: no columns of positions"));
    std::fs::write(&path, "frame,labels\na_r00128_c00256_s256,COMPACT\n")?;
    assert_eq!(fact(&look(&path), "labelled frames"), "1", "{}", words(&look(&path)));
    std::fs::write(&path, "frame,labels\na_r00128_c00256_s256,NONSENSE\n")?;
    assert_eq!(look(&path).findings[0].place.line, Some(2), "{}", words(&look(&path)));

    let map = map_of(&folder.path().join("map.fits"), rough, |_| ())?;
    let entry = MosaicEntry::of_file(map.clone(), "map");
    let path = folder.path().join("cutouts.parquet");
    manifest(vec![MosaicRecord::open(&entry)?.0], &[(0, window(0, 0, 32))])?.write(&path)?;
    let report = look(&path);
    assert_eq!((report.kind, fact(&report, "cutouts"), words(&report).as_str()), (FileKind::Manifest, "1", ""));
    map_of(&map, |row, col| rough(col, row), |_| ())?;
    assert!(words(&look(&path)).contains("error: mosaic map: "), "{}", words(&look(&path)));
    std::fs::remove_file(&map)?;
    assert!(words(&look(&path)).contains("error: mosaic map: cannot read"), "{}", words(&look(&path)));
    let mut bytes = std::fs::read(&path)?;
    bytes[40] ^= 1;
    std::fs::write(&path, &bytes)?;
    assert_eq!(look(&path).count(Severity::Error), 1);
    Ok(())
}

#[test]
fn survey_files() -> Test {
    let folder = tempfile::tempdir()?;
    map_of(&folder.path().join("map.fits"), rough, |_| ())?;
    let path = folder.path().join("survey.toml");
    let text = "name = \"s\"\n[[mosaics]]\npath = \"map.fits\"\n[frames]\nsize = 32\nstep = 16\nedge = \"drop\"\nmax_blank_fraction = 0.3\n";
    std::fs::write(&path, text)?;
    let report = look(&path);
    assert_eq!(
        (report.kind, fact(&report, "frames"), words(&report).as_str()),
        (FileKind::Survey, "32 x 32 pixels every 16", "")
    );
    for (from, to, expected) in [
        ("step", "stepp", "error: line 6, stepp: unknown key `stepp`"),
        ("map.fits", "none.fits", "error: mosaic none: cannot read"),
        ("map.fits", "${MAPS}/map.fits", "MAPS"),
        ("size = 32", "size = 128", "64 x 80 pixels, less than one frame of 128"),
        ("step = 16", "step = 64", "parts of the map are in no frame"),
        ("name = \"s\"\n", "name = \"s\"\nlabels = \"no.csv\"\n", "labels"),
    ] {
        let changed = text.replacen(from, to, 1);
        std::fs::write(&path, if from == "step" { text.replace("step =", "stepp =") } else { changed })?;
        let report = look(&path);
        assert!(words(&report).contains(expected), "{to}: {}", words(&report));
    }
    std::fs::write(&path, "[encoder]\nside = 96\n")?;
    assert_eq!(look(&path).kind, FileKind::Toml);
    Ok(())
}

#[test]
fn lists_and_regions() -> Test {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    map_of(&at("a.fits"), rough, |_| ())?;
    std::fs::write(
        at("list"),
        r#"{"data": [{"filepaths": ["a.fits"], "sname": "A", "id": 1, "label": "1C-1P"}, {"filepaths": ["b.fits"], "sname": "B", "id": 0}]}"#,
    )?;
    let report = look(&at("list"));
    assert_eq!(
        (report.kind, fact(&report, "records"), fact(&report, "classes")),
        (FileKind::DataList, "2 under `data`, 1 file(s) each", "1C-1P 1")
    );
    let text = words(&report);
    assert!(
        text.contains("warning: B, filepaths: 1 file(s) do not exist")
            && text.contains("note: id: 1 records are of no class"),
        "{text}"
    );

    write_mask(&at("m.fits"), &Array2::from_shape_fn((64, 80), |(row, _)| i32::from(row > 40)), &[])?;
    let object = |mask: &str, class: &str| format!(r#"{{"mask": "{mask}", "class": "{class}"}}"#);
    let image = |objects: &str| format!(r#"{{"img": "a.fits", "objs": [{objects}]}}"#);
    std::fs::write(at("good.json"), image(&object("m.fits", "compact")))?;
    std::fs::write(at("bad.json"), image(&object("none.fits", "compact")))?;
    std::fs::write(at("filelist.dat"), "good.json\nbad.json\n")?;
    let report = look(&at("filelist.dat"));
    assert_eq!(
        (report.kind, fact(&report, "images"), fact(&report, "objects")),
        (FileKind::DetectionList, "1", "compact 1"),
        "{}",
        words(&report)
    );
    assert!(words(&report).contains("no mask"), "{}", words(&report));
    assert!(words(&look(&at("good.json"))).contains("one image of a caesar list"));

    let coco = r#"{"images": [{"id": 1, "file_name": "a.fits", "width": 80, "height": 64}], "categories": [{"id": 1, "name": "compact"}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "segmentation": {"size": [64, 80], "counts": [5120]}}]}"#;
    std::fs::write(at("coco"), coco)?;
    let report = look(&at("coco"));
    assert_eq!(
        (report.kind, fact(&report, "classes"), report.count(Severity::Error)),
        (FileKind::Coco, "compact 1", 0),
        "{}",
        words(&report)
    );
    std::fs::write(at("coco"), coco.replace("5120", "51"))?;
    assert!(words(&look(&at("coco"))).contains("error: annotation 5, segmentation"), "{}", words(&look(&at("coco"))));
    std::fs::write(at("coco"), &coco[..100])?;
    assert_eq!((look(&at("coco")).kind, look(&at("coco")).count(Severity::Error)), (FileKind::Json, 1));

    std::fs::write(
        at("a.reg"),
        "# Region file format: DS9 version 4.1\nfk5\ncircle(10,20,5\")\n# vector(10,20,5\",0)\n",
    )?;
    let report = look(&at("a.reg"));
    assert_eq!(
        (report.kind, fact(&report, "regions"), fact(&report, "frames")),
        (FileKind::Ds9Regions, "1", "FK5 J2000 1")
    );
    assert!(words(&report).contains("note: line 4: vector"), "{}", words(&report));
    std::fs::write(at("a.reg"), "fk5\nblob(10,20,5\")\n")?;
    assert_eq!(look(&at("a.reg")).findings[0].place.line, Some(2), "{}", words(&look(&at("a.reg"))));
    std::fs::write(at("a.crtf"), "#CRTFv0\ncircle [[10deg, 20deg], 5arcsec], coord=J2000\n")?;
    let report = look(&at("a.crtf"));
    assert_eq!((report.kind, fact(&report, "regions"), words(&report).as_str()), (FileKind::CasaRegions, "1", ""));
    Ok(())
}

#[test]
fn what_is_nothing_is_said_to_be_nothing() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("map.fits");
    for (bytes, expected) in [
        (&b""[..], "the file is empty"),
        (b"\x00\x01\x02binary", "no known format"),
        (b"<html><body>404</body></html>", "no known format"),
        (b"{\"a\": ", "line 1"),
        (b"\x1f\x8bnothing", ""),
        (b"caf\xe9,b\n1,2\n", "byte 3: not UTF-8"),
    ] {
        std::fs::write(&path, bytes)?;
        let report = look(&path);
        assert!(
            report.count(Severity::Error) >= 1 && words(&report).contains(expected),
            "{expected}: {}",
            words(&report)
        );
    }
    assert!(examine(&folder.path().join("none"), |_| None).is_err());
    Ok(())
}
