//! Our values in the JSON form that both sides compare: a missing number is null, an infinite one is a word.
use anyhow::{Result, bail};
use radio_io::data_list::RunLengths;
use radio_io::{ColumnData, Region, RegionFrame, Shape};
use serde_json::{Value, json};

/// A real number.
pub fn real(value: f64) -> Value {
    match value {
        _ if value.is_nan() => Value::Null,
        f64::INFINITY => json!("inf"),
        f64::NEG_INFINITY => json!("-inf"),
        _ => json!(value),
    }
}

/// The cells of a column.
pub fn cells(data: &ColumnData) -> Vec<Value> {
    let single = |value: &f32| real(f64::from(*value));
    match data {
        ColumnData::Bool(values) => values.iter().map(|value| json!(value)).collect(),
        ColumnData::Int(values) => values.iter().map(|value| json!(value)).collect(),
        ColumnData::Float(values) => values.iter().copied().map(real).collect(),
        ColumnData::Float32(values) => values.iter().map(single).collect(),
        ColumnData::Text(values) => values.iter().map(|value| json!(value)).collect(),
        ColumnData::Bools(arrays) => arrays.rows().map(|row| json!(row)).collect(),
        ColumnData::Ints(arrays) => arrays.rows().map(|row| json!(row)).collect(),
        ColumnData::Floats(arrays) => arrays.rows().map(|row| row.iter().copied().map(real).collect()).collect(),
        ColumnData::Floats32(arrays) => arrays.rows().map(|row| row.iter().map(single).collect()).collect(),
    }
}

/// A region the way `regions` has it: positions (degrees ICRS, or pixels from 0: column, row), then whole sizes (degrees or pixels), then the angle.
pub fn region(region: &Region) -> Result<Value> {
    let frame = if let RegionFrame::Sky(frame) = region.frame { Some(frame) } else { None };
    let place = |at: (f64, f64)| frame.map_or(at, |frame| frame.to_icrs(at));
    let size = |length: f64| if frame.is_some() { length / 3600.0 } else { length };
    let at = |at: &(f64, f64), more: &[f64]| {
        let (x, y) = place(*at);
        [&[x, y], more].concat()
    };
    let (shape, numbers) = match &region.shape {
        Shape::Point { at: centre } => ("point", at(centre, &[])),
        Shape::Text { at: centre } => ("text", at(centre, &[])),
        Shape::Line { from, to } => ("line", [at(from, &[]), at(to, &[])].concat()),
        Shape::Circle { centre, radius } => ("circle", at(centre, &[size(*radius)])),
        Shape::Ellipse { centre, semi_axes, angle_deg } => {
            ("ellipse", at(centre, &[2.0 * size(semi_axes.0), 2.0 * size(semi_axes.1), *angle_deg]))
        }
        Shape::Box { centre, sides, angle_deg } => {
            ("rectangle", at(centre, &[size(sides.0), size(sides.1), *angle_deg]))
        }
        Shape::Annulus { centre, inner, outer, .. } if inner.0 == inner.1 && outer.0 == outer.1 => {
            ("circleannulus", at(centre, &[size(inner.0), size(outer.0)]))
        }
        Shape::Annulus { centre, inner, outer, angle_deg } => {
            let sizes = [inner.0, outer.0, inner.1, outer.1].map(|length| 2.0 * size(length));
            ("ellipseannulus", at(centre, &[&sizes[..], &[*angle_deg]].concat()))
        }
        Shape::Polygon { corners } => ("polygon", corners.iter().flat_map(|corner| at(corner, &[])).collect()),
        other => bail!("{other:?} has no counterpart"),
    };
    Ok(json!({
        "shape": shape, "sky": frame.is_some(), "numbers": numbers, "include": region.include, "text": region.text, "tags": region.tags,
    }))
}

/// A mask: its pixels row by row, the compressed run lengths, the number of its pixels and its box.
pub fn mask(id: i64, runs: &RunLengths) -> Value {
    let pixels: Vec<u8> = runs.to_mask().iter().map(|pixel| u8::from(*pixel)).collect();
    let bbox = runs.bounding_box().map(|side| side as f64);
    json!({ "id": id, "mask": pixels, "counts": runs.encode(), "area": runs.area() as f64, "bbox": bbox })
}
