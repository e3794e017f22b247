//! Files of ours from seeded random values, and what they hold.
use std::path::Path;

use anyhow::{Context, Result};
use ndarray::{Array2, s};
use radio_io::celestial::coverage::Coverage;
use radio_io::celestial::frame::SkyFrame;
use radio_io::data_list::coco::{CocoAnnotation, CocoCategory, CocoImage, Counts, Segmentation};
use radio_io::data_list::{CocoSet, RunLengths};
use radio_io::regions::{write_crtf, write_ds9};
use radio_io::{
    Arrays, Card, Column, ColumnData, FitsPixel, Header, Mosaic, Region, RegionFrame, Shape, Table, Wcs, write_cutout,
    write_image, write_mask,
};
use radio_sim::survey::survey_wcs;
use radio_sim::truth::{ArtefactBoxes, true_objects};
use radio_sim::truth_tables::{components_table, objects_table};
use radio_sim::{SimConfig, Sky, Tier};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::describe;

const ROWS: usize = 11;
const COLS: usize = 17;
/// Rows of a table.
const SOURCES: usize = 7;

/// Writes every kind of file into a folder; returns what is to be found in them.
pub fn write(folder: &Path, seed: u64) -> Result<Value> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let images = images(folder, &mut rng)?;
    let tables = [tables(folder, &mut rng)?, truth_tables(folder)?].concat();
    Ok(json!({
        "images": images,
        "tables": tables,
        "regions": regions(folder, &mut rng)?,
        "coco": [coco(folder, &mut rng)?],
        "mocs": mocs(folder, &mut rng)?,
    }))
}

/// Footprints of maps with random blanks, near the equator, across the seam of the sky and at a pole, in each form.
fn mocs(folder: &Path, rng: &mut ChaCha8Rng) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for (name, sky, order) in [("sky", (201.4, -3.0), 9), ("seam", (0.01, -43.0), 11), ("pole", (80.0, 89.8), 10)] {
        let wcs = Wcs::north_up("SIN", sky, (59.5, 79.5), 20.0)?;
        let blank = Array2::from_shape_fn((12, 16), |_| rng.random_range(0..3) == 0);
        let coverage = Coverage::of_pixels(&wcs, (120, 160), order, |row, col| !blank[[row / 10, col / 10]])?;
        let (order, cells) = coverage.cells();
        for kind in ["fits", "json", "txt"] {
            let file = format!("{name}.moc.{kind}");
            coverage.write(&folder.join(&file))?;
            let fraction = describe::real(coverage.sky_fraction());
            all.push(json!({ "file": file, "kind": kind, "order": order, "cells": cells, "sky_fraction": fraction }));
        }
    }
    Ok(all)
}

/// One image of each pixel type and one of each kind of sky; a cutout, and masks.
fn images(folder: &Path, rng: &mut ChaCha8Rng) -> Result<Vec<Value>> {
    let sin = Wcs::north_up("SIN", (201.4, -43.0), (4.5, 8.25), 2.0)?;
    let tan = Wcs::north_up("TAN", (0.001, 61.0), (-40.0, 8.0), 10.0)?;
    let mut all = vec![
        image(folder, "u8.fits", &random(|| rng.random::<u8>()), &sin, |value| json!(value))?,
        image(folder, "i16.fits", &random(|| rng.random::<i16>()), &tan, |value| json!(value))?,
        image(folder, "i32.fits", &random(|| rng.random::<i32>()), &turned("GLON-CAR", "GLAT-CAR", None)?, |value| {
            json!(value)
        })?,
        image(
            folder,
            "i64.fits",
            &random(|| rng.random::<i64>()),
            &turned("RA---ZEA", "DEC--ZEA", Some(1950.0))?,
            |value| json!(value),
        )?,
        // All bits at random: every exponent, NaN among them.
        image(
            folder,
            "f64.fits",
            &random(|| f64::from_bits(rng.random())),
            &turned("RA---TAN", "DEC--TAN", Some(2000.0))?,
            describe::real,
        )?,
    ];
    let single = |value: f32| describe::real(f64::from(value));
    let mut pixels = random(|| f32::from_bits(rng.random()));
    (pixels[[4, 6]], pixels[[5, 7]], pixels[[5, 8]]) = (f32::NAN, f32::NEG_INFINITY, -0.0);
    all.push(image(folder, "f32.fits", &pixels, &sin, single)?);
    let ((row, col), (n_rows, n_cols)) = ((3, 5), (6, 7));
    let mosaic = Mosaic::open(&folder.join("f32.fits"))?;
    write_cutout(&folder.join("cutout.fits"), &mosaic, (row, col), (n_rows, n_cols), &[])?;
    let part = pixels.slice(s![row..row + n_rows, col..col + n_cols]).to_owned();
    // The sky is that of the parent, further on by the corner.
    all.push(expected("cutout.fits", -32, &part, (row, col), &sin, single)?);
    for (name, most) in [("mask-8.fits", 2), ("mask-16.fits", 30_000), ("mask-32.fits", i32::MAX)] {
        let mask = random(|| rng.random_range(0..most) - most / 300);
        let bitpix = write_mask(&folder.join(name), &mask, &sin.cards())?;
        all.push(expected(name, bitpix, &mask, (0, 0), &sin, |value| json!(value))?);
    }
    Ok(all)
}

fn random<T>(mut value: impl FnMut() -> T) -> Array2<T> {
    Array2::from_shape_simple_fn((ROWS, COLS), &mut value)
}

/// A map with its axes turned, equatorial of some equinox or Galactic.
fn turned(lon: &str, lat: &str, equinox: Option<f64>) -> Result<Wcs> {
    let numbers = [
        ("CRPIX1", 3.0),
        ("CRPIX2", 8.5),
        ("CRVAL1", 305.25),
        ("CRVAL2", if equinox.is_none() { 0.0 } else { -7.125 }),
        ("CD1_1", -1.5e-3),
        ("CD1_2", 0.5e-3),
        ("CD2_1", 0.4e-3),
        ("CD2_2", 1.6e-3),
    ];
    let mut cards = vec![Card::new("CTYPE1", lon, ""), Card::new("CTYPE2", lat, "")];
    cards.extend(
        numbers.into_iter().chain(equinox.map(|year| ("EQUINOX", year))).map(|(key, value)| Card::new(key, value, "")),
    );
    let wcs = Wcs::from_header(&Header::from_cards(&cards), (0, 1), Path::new("(in memory)"))?;
    wcs.context("a map with a sky")
}

fn image<T: FitsPixel>(
    folder: &Path,
    name: &str,
    pixels: &Array2<T>,
    wcs: &Wcs,
    json: impl Fn(T) -> Value,
) -> Result<Value> {
    write_image(&folder.join(name), pixels, &wcs.cards())?;
    expected(name, T::BITPIX, pixels, (0, 0), wcs, json)
}

/// What the image holds whose first pixel is the one at `corner` of the map.
fn expected<T: Copy>(
    name: &str,
    bitpix: i64,
    pixels: &Array2<T>,
    corner: (usize, usize),
    wcs: &Wcs,
    json: impl Fn(T) -> Value,
) -> Result<Value> {
    let (rows, cols) = pixels.dim();
    let mut sky = Vec::new();
    for (row, col) in [(0, 0), (0, cols - 1), (rows / 2, cols / 3), (rows - 1, 1)] {
        let (lon, lat) = wcs.native((corner.0 + row) as f64, (corner.1 + col) as f64).context("a pixel without sky")?;
        sky.push(json!([[row, col], [lon, lat]]));
    }
    let values: Vec<Value> = pixels.iter().map(|pixel| json(*pixel)).collect();
    Ok(json!({ "file": name, "bitpix": bitpix, "shape": [rows, cols], "pixels": values, "sky": sky }))
}

/// The same table in every format, less what a format cannot hold.
fn tables(folder: &Path, rng: &mut ChaCha8Rng) -> Result<Vec<Value>> {
    let texts = |texts: [&str; SOURCES]| ColumnData::Text(texts.map(str::to_owned).to_vec());
    let mut reals: Vec<f64> = (0..SOURCES).map(|_| f64::from_bits(rng.random())).collect();
    (reals[1], reals[3]) = (f64::NAN, -0.0);
    let mut singles: Vec<f32> = (0..SOURCES).map(|_| rng.random::<f32>() * 1e-30).collect();
    singles[2] = f32::NAN;
    let whole = |rng: &mut ChaCha8Rng| (0..SOURCES).map(|row| (row != 4).then(|| rng.random())).collect();
    let truth: Vec<Option<bool>> = (0..SOURCES).map(|_| Some(rng.random())).collect();
    let ascii = Column::new("name", texts(["J1234-56", "a b", "", "x,y", "<&>", "say \"so\"", "last"]));
    let any = Column::new("note", texts(["β Pictoris", "a;b", "", "1.5", "é", "ünter \"x\", y", "日本"]));
    let plain = [
        ascii,
        Column::new("count", ColumnData::Int(whole(rng))),
        Column::new("flux", ColumnData::Float(reals)).with_unit("mJy"),
        Column::new("good", ColumnData::Bool(truth)),
    ];
    let single = Column::new("rms", ColumnData::Float32(singles)).with_unit("Jy");
    let missing = Column::new(
        "known",
        ColumnData::Bool((0..SOURCES).map(|row| [Some(true), None, Some(false)][row % 3]).collect()),
    );
    let even: Arrays<f64> = (0..SOURCES).map(|_| (0..3).map(|_| rng.random::<f64>()).collect::<Vec<_>>()).collect();
    let uneven: Arrays<Option<i64>> =
        (0..SOURCES).map(|row| (0..row % 4).map(|_| Some(rng.random::<i64>())).collect::<Vec<_>>()).collect();
    let pairs: Arrays<f32> = (0..SOURCES).map(|_| vec![rng.random::<f32>(), rng.random::<f32>()]).collect();
    let arrays = [
        Column::new("spectrum", ColumnData::Floats(even)).with_unit("deg"),
        Column::new("pair", ColumnData::Floats32(pairs)),
        Column::new("channels", ColumnData::Ints(uneven)),
    ];
    // Text knows no single precision and no arrays; FITS has ASCII only, and astropy takes its missing truth values for false.
    let rich = [&plain[..], std::slice::from_ref(&single), &arrays].concat();
    let all = [&rich[..], &[any.clone(), missing.clone()]].concat();
    vec![
        table(folder, "table.csv", "csv", [&plain[..], &[any]].concat()),
        table(folder, "table.fits", "fits", rich),
        table(folder, "table.vot", "votable", all.clone()),
        table(folder, "table.parquet", "parquet", all),
    ]
    .into_iter()
    .collect()
}

/// The truth of a small simulated sky, in the forms a survey is written in.
fn truth_tables(folder: &Path) -> Result<Vec<Value>> {
    let mut config = SimConfig::first(Tier::Tiny, 1);
    config.side = 1024;
    config.artefacts.bank = 0;
    let sky = Sky::new(&config)?;
    let objects = true_objects(&sky, &ArtefactBoxes::new(&sky));
    let wcs = survey_wcs(&config)?;
    let tables = [objects_table(&sky, &objects, &wcs)?, components_table(&objects, &config)?];
    tables
        .into_iter()
        .flat_map(|table| {
            [("vot", "votable"), ("parquet", "parquet")].map(|(extension, kind)| (table.clone(), extension, kind))
        })
        .map(|(table, extension, kind)| {
            let name = format!("truth-{}.{extension}", table.name.as_deref().unwrap_or_default());
            written(folder, &name, kind, &table)
        })
        .collect()
}

fn table(folder: &Path, name: &str, kind: &str, columns: Vec<Column>) -> Result<Value> {
    written(folder, name, kind, &Table::new(columns)?)
}

fn written(folder: &Path, name: &str, kind: &str, table: &Table) -> Result<Value> {
    table.write(&folder.join(name))?;
    let cells: Vec<Value> =
        table.columns.iter().map(|column| json!([column.name, describe::cells(&column.data)])).collect();
    // CSV has no units, and Parquet none that other programs know.
    let has_units = matches!(kind, "fits" | "votable");
    let units = table
        .columns
        .iter()
        .filter(|_| has_units)
        .filter_map(|column| Some((column.name.clone(), json!(column.unit.as_ref()?))));
    Ok(json!({ "file": name, "kind": kind, "columns": cells, "units": units.collect::<serde_json::Map<_, _>>() }))
}

/// Every shape in pixels and in every frame that DS9 and CASA share.
fn regions(folder: &Path, rng: &mut ChaCha8Rng) -> Result<Vec<Value>> {
    let frames = [
        RegionFrame::Sky(SkyFrame::Icrs),
        RegionFrame::Sky(SkyFrame::FK5_J2000),
        RegionFrame::Sky(SkyFrame::FK4_B1950),
        RegionFrame::Sky(SkyFrame::Galactic),
        RegionFrame::Image,
    ];
    let mut both = Vec::new();
    let mut rings = Vec::new();
    for frame in frames {
        let mut at = || (rng.random_range(10.0..350.0), rng.random_range(-80.0..80.0));
        let (centre, from, to) = (at(), at(), at());
        let corners = (0..5).map(|_| at()).collect();
        let mut size = || rng.random_range(0.5..100.0);
        let (inner, semi_axes, sides, angle_deg) = (size(), (size(), size()), (size(), size()), size());
        let outer = inner + size();
        both.extend(
            [
                Shape::Point { at: centre },
                Shape::Line { from, to },
                Shape::Circle { centre, radius: inner },
                Shape::Ellipse { centre, semi_axes, angle_deg },
                Shape::Box { centre, sides, angle_deg },
                Shape::Annulus { centre, inner: (inner, inner), outer: (outer, outer), angle_deg: 0.0 },
                Shape::Polygon { corners },
            ]
            .map(|shape| Region::new(frame, shape)),
        );
        both.push(Region { text: Some("a b".to_owned()), ..Region::new(frame, Shape::Text { at: from }) });
        // `regions` ends a label of CRTF at the first quote, comma or bracket, whatever it is quoted with.
        let noted = Region::new(frame, Shape::Circle { centre: to, radius: outer });
        both.push(Region { include: false, text: Some("3C 273".to_owned()), color: Some("red".to_owned()), ..noted });
        let ring =
            Shape::Annulus { centre, inner: semi_axes, outer: (semi_axes.0 + outer, semi_axes.1 + outer), angle_deg };
        rings.push(Region { tags: vec!["one".to_owned(), "two 2".to_owned()], ..Region::new(frame, ring) });
    }
    // CASA knows neither elliptical rings nor tags.
    let more = [&both[..], &rings].concat();
    write_ds9(&folder.join("regions.reg"), &more)?;
    write_crtf(&folder.join("regions.crtf"), &both)?;
    let expected = |file: &str, kind: &str, regions: &[Region]| {
        let described: Vec<Value> = regions.iter().map(describe::region).collect::<Result<_>>()?;
        anyhow::Ok(json!({ "file": file, "kind": kind, "regions": described }))
    };
    Ok(vec![expected("regions.reg", "ds9", &more)?, expected("regions.crtf", "crtf", &both)?])
}

/// Masks as run lengths of both forms, and as polygons.
fn coco(folder: &Path, rng: &mut ChaCha8Rng) -> Result<Value> {
    let mut segmentations = Vec::new();
    for share in [0.0, 0.02, 0.3, 0.7, 1.0] {
        let runs = RunLengths::from_mask(&random(|| rng.random_bool(share)))?;
        let counts = Counts::Plain(runs.counts().to_vec());
        segmentations.push(Segmentation::compressed(&runs));
        segmentations.push(Segmentation::Runs { size: [ROWS, COLS], counts });
    }
    for corners in 3..9 {
        let mut side = |length: usize| rng.random_range(0.0..length as f64);
        segmentations.push(Segmentation::Polygons(vec![(0..corners).flat_map(|_| [side(COLS), side(ROWS)]).collect()]));
    }
    let (mut annotations, mut wanted) = (Vec::new(), Vec::new());
    for (id, segmentation) in (1..).zip(segmentations) {
        let runs = segmentation.runs(ROWS, COLS)?;
        wanted.push(describe::mask(id, &runs));
        annotations.push(CocoAnnotation {
            id,
            image_id: 5,
            category_id: 2,
            bbox: runs.bounding_box().map(|side| side as f64),
            area: Some(runs.area() as f64),
            iscrowd: 0,
            segmentation: Some(segmentation),
            other: serde_json::Map::new(),
        });
    }
    let image =
        CocoImage { id: 5, file_name: "u8.fits".into(), width: COLS, height: ROWS, other: serde_json::Map::new() };
    let category = CocoCategory { id: 2, name: "compact".to_owned(), other: serde_json::Map::new() };
    let set = CocoSet { images: vec![image], annotations, categories: vec![category], ..CocoSet::default() };
    set.write(&folder.join("coco.json"))?;
    Ok(json!({ "file": "coco.json", "annotations": wanted }))
}
