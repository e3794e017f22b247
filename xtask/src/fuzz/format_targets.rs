//! Tables, data lists, regions, manifests and compressed images as targets of the fuzzer.
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use radio_io::data_list::{ClassDictionary, CocoSet, DataList, DetectionList, DetectionOptions};
use radio_io::data_set::Watch;
use radio_io::regions::{RegionList, read_crtf, read_ds9};
use radio_io::{Arrays, Catalogue, Column, ColumnData, HduKind, Manifest, Mosaic, Survey, Table, Wcs, write_image};

use crate::targets::{Target, may_end_anywhere, read_image};

/// The targets; good files are made below `work`.
pub fn format_targets(work: &Path) -> Result<Vec<Target>> {
    let table = |extension| table_file(work, extension);
    let text_target = |name, extension, seeds: &[&str], read| Target {
        name,
        extension,
        seeds: seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect(),
        read,
        needs: may_end_anywhere,
    };
    let to_last_block = |bytes: &[u8]| bytes.len().saturating_sub(2880);
    let votable = table("vot")?;
    // What the good lists of caesar name.
    for name in ["a.json", "b.json"] {
        std::fs::write(work.join(name), CAESAR)?;
    }
    Ok(vec![
        Target {
            name: "compressed FITS image",
            extension: "fits",
            seeds: compressed_images(work)?,
            read: read_image,
            needs: to_last_block,
        },
        Target {
            name: "gzipped FITS",
            extension: "fits.gz",
            seeds: gzipped(work)?,
            read: read_image,
            needs: <[u8]>::len,
        },
        Target {
            name: "FITS table",
            extension: "fits",
            seeds: vec![table("fits")?],
            read: read_table,
            needs: to_last_block,
        },
        Target {
            name: "VOTable",
            extension: "vot",
            seeds: vec![votable, BINARY2.into()],
            read: read_table,
            needs: |bytes| 1 + bytes.iter().rposition(|byte| *byte == b'>').unwrap_or(0),
        },
        Target { name: "CSV", extension: "csv", seeds: vec![table("csv")?], read: read_table, needs: may_end_anywhere },
        Target {
            name: "Parquet table",
            extension: "parquet",
            seeds: vec![table("parquet")?],
            read: read_table,
            needs: <[u8]>::len,
        },
        text_target(
            "blank-separated table",
            "dat",
            &["# name ra dec flux\na 10.5 -3.25 1e-3\nb 11 -4 nan\n"],
            read_table,
        ),
        Target {
            name: "manifest",
            extension: "parquet",
            seeds: vec![manifest(work)?],
            read: |path| Manifest::read(path).map(drop).map_err(|e| e.to_string()),
            needs: <[u8]>::len,
        },
        text_target("DS9 regions", "reg", &[DS9], |path| use_regions(read_ds9(path))),
        text_target("CRTF regions", "crtf", &[CRTF], |path| use_regions(read_crtf(path))),
        Target { needs: to_last_brace, ..text_target("sclassifier list", "json", &[SCLASSIFIER], read_sclassifier) },
        Target { needs: to_last_brace, ..text_target("caesar image", "json", &[CAESAR], read_caesar_image) },
        text_target("caesar list", "txt", &["a.json\nb.json\n", "a.fits,m.fits,compact\n"], read_caesar_list),
        Target { needs: to_last_brace, ..text_target("COCO", "json", &[COCO], read_coco) },
    ])
}

fn to_last_brace(bytes: &[u8]) -> usize {
    1 + bytes.iter().rposition(|byte| *byte == b'}').unwrap_or(0)
}

fn read_table(path: &Path) -> Result<(), String> {
    let table = Table::read(path).map_err(|e| e.to_string())?;
    // What was read must hold together: anything else is a finding, not a refusal.
    if let Err(inconsistent) = table.check() {
        panic!("read, but inconsistent: {inconsistent}");
    }
    // A table need not be a catalogue; making one of it must not fail badly.
    let _ = Catalogue::from_table(&table, None);
    Ok(())
}

fn use_regions(regions: Result<RegionList, radio_io::Error>) -> Result<(), String> {
    let regions = regions.map_err(|e| e.to_string())?;
    let wcs = Wcs::north_up("SIN", (201.4, -43.0), (31.5, 47.5), 2.0).map_err(|e| e.to_string())?;
    for region in regions.regions.iter().take(50) {
        if let Some(pixels) = region.to_pixel(&wcs).or_else(|| region.in_image()) {
            let _ = (pixels.mask(64, 96), pixels.area(), pixels.contains(3.0, 4.0));
        }
    }
    Ok(())
}

fn read_sclassifier(path: &Path) -> Result<(), String> {
    DataList::read(path, "data").map(drop).map_err(|e| e.to_string())
}

fn options(path: &Path) -> DetectionOptions {
    DetectionOptions {
        classes: ClassDictionary::paper(),
        skip_classes: Vec::new(),
        require_any: Vec::new(),
        working_directory: path.parent().map(PathBuf::from).unwrap_or_default(),
    }
}

fn read_caesar_list(path: &Path) -> Result<(), String> {
    DetectionList::read(path, &options(path)).map(drop).map_err(|e| e.to_string())
}

/// The damaged file is one image's; the list that names it is good.
fn read_caesar_image(path: &Path) -> Result<(), String> {
    let list = path.with_extension("list");
    std::fs::write(&list, format!("{}\n", path.display())).map_err(|e| e.to_string())?;
    read_caesar_list(&list)
}

fn read_coco(path: &Path) -> Result<(), String> {
    let set = CocoSet::read(path).map_err(|e| e.to_string())?;
    for annotation in set.annotations.iter().take(20) {
        let runs = set.mask(annotation).map_err(|e| e.to_string())?;
        if let Some(runs) = runs.filter(|runs| runs.rows().saturating_mul(runs.cols()) < 1 << 20) {
            let _ = (runs.area(), runs.bounding_box(), runs.to_mask());
        }
    }
    Ok(())
}

/// Every compressed image of the tests' fixture, each behind an empty primary header.
fn compressed_images(work: &Path) -> Result<Vec<Vec<u8>>> {
    let fixture =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/radio-io/tests/fixtures/compressed.fits.gz"));
    let packed = std::fs::read(fixture).with_context(|| fixture.display().to_string())?;
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut bytes)?;
    let path = work.join("all.fits");
    std::fs::write(&path, &bytes)?;
    let list = Mosaic::hdus(&path)?;
    let primary = &bytes[..list.hdus.first().context("an empty fixture")?.data_byte as usize];
    let mut seeds = Vec::new();
    for hdu in list.hdus.iter().filter(|hdu| hdu.kind == HduKind::CompressedImage) {
        let end = (hdu.data_byte + hdu.data_bytes).next_multiple_of(2880) as usize;
        let seed = [primary, &bytes[hdu.header_byte as usize..end.min(bytes.len())]].concat();
        // Cubes are refused without a choice of the plane.
        std::fs::write(&path, &seed)?;
        if Mosaic::open(&path).is_ok() {
            seeds.push(seed);
        }
    }
    Ok(seeds)
}

fn gzipped(work: &Path) -> Result<Vec<Vec<u8>>> {
    let path = work.join("plain.fits");
    write_image(&path, &ndarray::Array2::from_shape_fn((20, 30), |(row, col)| (row + col) as f32), &[])?;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, &std::fs::read(&path)?)?;
    Ok(vec![packed.finish()?])
}

fn table_file(work: &Path, extension: &str) -> Result<Vec<u8>> {
    let mut arrays = Arrays::default();
    arrays.push([1.5, 2.5]);
    arrays.push([f64::NAN]);
    arrays.push([]);
    let mut columns = vec![
        Column::new("name", ColumnData::Text(vec!["J1 <a>".into(), String::new(), "b \"c\"".into()])),
        Column::new("ra", ColumnData::Float(vec![201.4, 0.0, 359.9])).with_unit("deg"),
        Column::new("dec", ColumnData::Float(vec![-43.0, 90.0, f64::NAN])).with_unit("deg"),
        Column::new("n", ColumnData::Int(vec![Some(3), None, Some(-7)])),
        Column::new("good", ColumnData::Bool(vec![Some(true), Some(false), None])),
        Column::new("flux", ColumnData::Float32(vec![1e-3, f32::NAN, 2.0])).with_unit("Jy"),
    ];
    if extension != "csv" {
        columns.push(Column::new("spectrum", ColumnData::Floats(arrays)));
    }
    let path = work.join("table").with_extension(extension);
    Table::new(columns)?.write(&path)?;
    Ok(std::fs::read(&path)?)
}

fn manifest(work: &Path) -> Result<Vec<u8>> {
    let field = work.join("field.fits");
    let map = ndarray::Array2::from_shape_fn((64, 96), |(row, col)| ((row * 7 + col * 13) % 11) as f32 * 1e-6);
    write_image(&field, &map, &Wcs::north_up("SIN", (201.4, -43.0), (31.5, 47.5), 2.0)?.cards())?;
    let text = "name = \"one\"\n[[mosaics]]\npath = \"field.fits\"\n[frames]\nsize = 32\nstep = 16\nedge = \"shift\"\nmax_blank_fraction = 0.3";
    let survey = Survey::parse(text, &work.join("survey.toml"), |_| None)?;
    let path = work.join("manifest.parquet");
    Manifest::scan_blind(&survey, None, &Watch::default())?.write(&path)?;
    Ok(std::fs::read(&path)?)
}

const BINARY2: &str = r#"<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE nrows="2">
<FIELD name="id" datatype="int"/><FIELD name="ra" datatype="double" unit="deg"/><FIELD name="s" datatype="char" arraysize="*"/>
<DATA><BINARY2><STREAM encoding="base64">AAAAAAFAWQAAAAAAAAAAAAJhYoAAAAACQDkAAAAAAAAAAAAA</STREAM></BINARY2></DATA></TABLE></RESOURCE></VOTABLE>
"#;

const DS9: &str = "# Region file format: DS9 version 4.1\nglobal color=green\nicrs\ncircle(201.4,-43.01,30\") # text={a} tag={b}\n\
    ellipse(13:25:36.0,-43:06:00,60\",20\",30)\n-box(201.3,-43.2,1',2',15)\npolygon(201.1,-43.0,201.2,-43.0,201.2,-43.1)\n\
    annulus(201.4,-43.3,10\",20\")\nimage;circle 31 41 10;point(3,4) # point=x\ngalactic\nline(309.5,19.4,309.6,19.5)\n";

const CRTF: &str = "#CRTFv0 CASA Region Text Format version 0\nglobal coord=ICRS, color=blue\n\
    circle[[201.4deg, -43.01deg], 30arcsec], label='a'\nellipse[[13h25m36.0s, -43d06m00s], [20arcsec, 60arcsec], 30deg]\n\
    -rotbox[[201.3deg, -43.2deg], [1arcmin, 2arcmin], 15deg]\npoly[[201.1deg, -43.0deg], [201.2deg, -43.0deg], [201.2deg, -43.1deg]]\n\
    annulus[[201.4deg, -43.3deg], [10arcsec, 20arcsec]]\ncircle[[100pix, 50pix], 7pix]\n";

const SCLASSIFIER: &str = r#"{"data": [{"filepaths": ["a.fits", "b.fits"], "sname": "J1", "id": 3, "label": "FR-II", "feats": [0.5, -1e-3]},
 {"filepaths": ["c.fits", "d.fits"], "sname": "J2", "id": [1, 2], "label": ["A", "B"], "normalizable": [1, 0], "augmenter_index": 0}]}
"#;

const CAESAR: &str = r#"{"img": "a.fits", "telescope": "VLA", "bkg": 0.0, "rms": 1e-4, "bmaj": 6.4, "bmin": 5.4, "dx": 1.8, "dy": 1.8, "nx": 132, "ny": 132,
 "objs": [{"mask": "m.fits", "class": "extended", "name": "S1", "nislands": 2, "sidelobe-mixed": 0, "sidelobe-near": 0, "border": 0, "snr": 12.5}]}
"#;

const COCO: &str = r#"{"images": [{"id": 1, "file_name": "a.fits", "width": 23, "height": 17}], "categories": [{"id": 1, "name": "compact"}],
 "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 5, "bbox": [0, 0, 1, 5], "segmentation": {"size": [17, 23], "counts": [0, 5, 386]}},
 {"id": 2, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 90, "bbox": [2, 3, 13, 9], "segmentation": [[2.0, 3.0, 15.5, 4.0, 14.0, 12.5, 3.0, 11.0]]}]}
"#;
