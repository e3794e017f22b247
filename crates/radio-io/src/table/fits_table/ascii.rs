//! The columns of a text table: numbers and words in fixed places of each row.

use super::{TableUnit, binary::Scaling, binary::text};
use crate::{
    error::Error,
    table::{Column, ColumnData, make_names_unique},
};

pub(super) fn columns(table: &TableUnit<'_>) -> Result<Vec<Column>, Error> {
    let mut columns = Vec::new();
    for field in 1..=table.fields()? {
        let (keyword, place) = (format!("TFORM{field}"), format!("TBCOL{field}"));
        let form = table.header.text(&keyword).and_then(parse);
        let (kind, width) = form.ok_or_else(|| table.bad(&keyword, "Aw, Iw, Fw.d, Ew.d or Dw.d"))?;
        let start = table.header.integer(&place).and_then(|column| usize::try_from(column).ok()?.checked_sub(1));
        let end = start.and_then(|start| start.checked_add(width)).filter(|&end| end <= table.width);
        let (Some(start), Some(end)) = (start, end) else {
            return Err(table.bad(&place, &format!("a column within the {} characters of a row", table.width)));
        };
        if width == 0 {
            continue;
        }
        let null = table.text("TNULL", field);
        let scaling = Scaling::of(table, field)?;
        let cells = table.data.chunks_exact(table.width).take(table.rows).map(|row| text(&row[start..end]));
        let number = |(row, cell): (usize, String)| -> Result<Option<String>, Error> {
            let word = cell.trim();
            let is_missing = word.is_empty() || null.as_deref().is_some_and(|null| null.trim() == word);
            let word = word.replace(['D', 'd'], "E");
            let is_number = is_missing || word.parse::<f64>().is_ok();
            let wrong = || table.content(row, field, format!("`{cell}`"), "a number");
            is_number.then_some(Some(word).filter(|_| !is_missing)).ok_or_else(wrong)
        };
        let data = match kind {
            'A' => ColumnData::Text(cells.collect()),
            'I' if scaling.is_none() => {
                let mut values = Vec::with_capacity(table.rows);
                for (row, cell) in cells.enumerate() {
                    let wrong = || table.content(row, field, format!("`{cell}`"), "a whole number");
                    let value = number((row, cell.clone()))?.map(|word| word.parse::<i64>().map_err(|_| wrong()));
                    values.push(value.transpose()?);
                }
                ColumnData::Int(values)
            }
            _ => {
                let value = |word: Option<String>| word.and_then(|word| word.parse().ok()).unwrap_or(f64::NAN);
                let scaled = |value: f64| if scaling.is_none() { value } else { scaling.apply(value) };
                let values = cells.enumerate().map(|cell| Ok(scaled(value(number(cell)?))));
                ColumnData::Float(values.collect::<Result<_, Error>>()?)
            }
        };
        let mut column = Column::new(table.name(field), data);
        column.unit = table.text("TUNIT", field);
        columns.push(column);
    }
    make_names_unique(&mut columns);
    Ok(columns)
}

/// Kind and width of a column.
fn parse(form: &str) -> Option<(char, usize)> {
    let kind = form.chars().next().filter(|kind| "AIFED".contains(*kind))?;
    let width = form[1..].split('.').next()?;
    Some((kind, width.trim().parse().ok()?))
}
