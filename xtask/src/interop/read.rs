//! The files of the Python side, read here.
use std::path::Path;

use anomaly_iforest::IsolationForest;
use anyhow::{Context, Result, bail};
use ndarray::Array2;
use radio_io::data_list::CocoSet;
use radio_io::regions::{read_crtf, read_ds9};
use radio_io::{ChecksumState, ColumnData, ImageChoice, Mosaic, Table, verify_checksums};
use serde_json::{Value, json};

use super::describe;
use super::same;

/// Reads every file that `expected` names and compares every value.
pub fn read(folder: &Path, expected: &Value) -> Result<()> {
    for (group, check) in [
        ("images", check_image as fn(&Path, &Value) -> Result<()>),
        ("tables", check_table),
        ("regions", check_regions),
        ("coco", check_coco),
        ("forests", check_forest),
    ] {
        let files = list(expected, group)?;
        for want in files {
            let name = text(want, "file")?;
            check(&folder.join(name), want).with_context(|| name.to_owned())?;
        }
        println!("read here: {} files of group {group}", files.len());
    }
    Ok(())
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value]> {
    value[key].as_array().map(Vec::as_slice).with_context(|| format!("expected.json lacks the list {key}"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("expected.json lacks the text {key}"))
}

fn check_image(path: &Path, want: &Value) -> Result<()> {
    let hdu = want["hdu"].as_u64().context("expected.json lacks the number hdu")? as usize;
    let mosaic = Mosaic::open_image(path, &ImageChoice::number(hdu))?;
    let (rows, cols) = (mosaic.rows(), mosaic.cols());
    same::exact("shape", &json!([rows, cols]), &want["shape"])?;
    let pixels: Value = mosaic.full()?.iter().map(|pixel| describe::real(f64::from(*pixel))).collect();
    same::exact("pixels", &pixels, &want["pixels"])?;
    if let Some(numbers) = want.get("numbers") {
        same::exact("whole numbers", &mosaic.window_i64(0, 0, rows, cols)?.iter().copied().collect(), numbers)?;
    }
    let wcs = mosaic.wcs()?;
    for point in list(want, "sky")? {
        let (pixel, wanted) = (same::numbers(&point[0], "pixel")?, same::numbers(&point[1], "sky")?);
        let place = format!("sky of pixel {pixel:?}");
        let found = wcs.as_ref().and_then(|wcs| wcs.native(pixel[0], pixel[1])).with_context(|| place.clone())?;
        same::position(&place, found, (wanted[0], wanted[1]))?;
    }
    // Which files carry sums is the other side's affair; those that do must be good.
    let is_wrong = |state: &ChecksumState| matches!(state, ChecksumState::Wrong { .. });
    let bad = verify_checksums(path)?.into_iter().find(|unit| is_wrong(&unit.whole) || is_wrong(&unit.data));
    bad.map_or(Ok(()), |unit| bail!("checksums: {unit:?}"))
}

fn check_forest(path: &Path, want: &Value) -> Result<()> {
    let forest = IsolationForest::load(path)?;
    let rows = list(want, "rows")?.iter().map(|row| same::numbers(row, "rows")).collect::<Result<Vec<_>>>()?;
    let values: Vec<f32> = rows.iter().flatten().map(|&value| value as f32).collect();
    let scores = forest.scores(Array2::from_shape_vec((rows.len(), forest.n_features()), values)?.view())?;
    let wanted = same::numbers(&want["scores"], "scores")?;
    let worst = scores.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if scores.len() != wanted.len() || worst > 1e-12 {
        bail!("{} scores differ from the {} wanted ones by up to {worst:e}", scores.len(), wanted.len());
    }
    same::exact("outliers", &json!(forest.outliers(&scores)), &want["outliers"])
}

fn check_table(path: &Path, want: &Value) -> Result<()> {
    let table = Table::read(path)?;
    let wanted = list(want, "columns")?;
    same::exact("columns", &json!(table.names()), &wanted.iter().map(|column| column[0].clone()).collect())?;
    for (column, wanted) in table.columns.iter().zip(wanted) {
        let place = format!("column {}", column.name);
        let mut wanted = wanted[1].clone();
        if matches!(column.data, ColumnData::Text(_)) {
            // A text column knows no missing cell, only an empty one.
            wanted
                .as_array_mut()
                .into_iter()
                .flatten()
                .filter(|cell| cell.is_null())
                .for_each(|cell| *cell = json!(""));
        }
        same::exact(&place, &describe::cells(&column.data).into(), &wanted)?;
        if let Some(unit) = want["units"].get(&column.name) {
            same::exact(&format!("{place}: unit"), &json!(column.unit), unit)?;
        }
    }
    Ok(())
}

fn check_regions(path: &Path, want: &Value) -> Result<()> {
    let found = match text(want, "kind")? {
        "ds9" => read_ds9(path)?,
        _ => read_crtf(path)?,
    };
    let wanted = list(want, "regions")?;
    if found.regions.len() != wanted.len() || !found.skipped.is_empty() {
        bail!("{} regions read, {:?} not, expected {}", found.regions.len(), found.skipped, wanted.len());
    }
    for (number, (region, wanted)) in found.regions.iter().zip(wanted).enumerate() {
        let found = describe::region(region)?;
        for key in ["shape", "sky", "include", "text", "tags"] {
            same::exact(&format!("region {number}: {key}"), &found[key], &wanted[key])?;
        }
        let place = format!("region {number}, {}", found["shape"]);
        same::close(&place, &found["numbers"], &wanted["numbers"], found["sky"] == json!(true))?;
    }
    Ok(())
}

fn check_coco(path: &Path, want: &Value) -> Result<()> {
    let set = CocoSet::read(path)?;
    let wanted = list(want, "annotations")?;
    if set.annotations.len() != wanted.len() {
        bail!("{} annotations, expected {}", set.annotations.len(), wanted.len());
    }
    for (annotation, wanted) in set.annotations.iter().zip(wanted) {
        let place = format!("annotation {}", annotation.id);
        let runs = set.mask(annotation)?.with_context(|| place.clone())?;
        let found = describe::mask(annotation.id, &runs);
        for key in ["id", "mask", "counts", "area", "bbox"] {
            same::exact(&format!("{place}: {key}"), &found[key], &wanted[key])?;
        }
        same::exact(&format!("{place}: area as written"), &json!(annotation.area), &wanted["area"])?;
        same::exact(&format!("{place}: bbox as written"), &json!(annotation.bbox), &wanted["bbox"])?;
    }
    Ok(())
}
