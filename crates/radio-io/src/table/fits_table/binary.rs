//! The columns of a binary table.

use super::{
    TableUnit,
    format::{Element, Format},
};
use crate::{
    error::Error,
    table::{Arrays, Column, ColumnData, make_names_unique},
};

/// Reads all columns that hold anything; those of zero width are left out.
pub(super) fn columns(table: &TableUnit<'_>) -> Result<Vec<Column>, Error> {
    let mut columns = Vec::new();
    let mut offset = 0_usize;
    for field in 1..=table.fields()? {
        let keyword = format!("TFORM{field}");
        let form = table.header.text(&keyword).and_then(Format::parse);
        let form = form.ok_or_else(|| table.bad(&keyword, "a column format such as 1J, 12A, E or 1PD(9)"))?;
        let end = form.bytes().and_then(|bytes| offset.checked_add(bytes)).filter(|&end| end <= table.width);
        let end =
            end.ok_or_else(|| table.bad(&keyword, &format!("columns within the {} bytes of a row", table.width)))?;
        if end > offset {
            let data = Cells { table, field, offset, width: end - offset }.read(form)?;
            let mut column = Column::new(table.name(field), data);
            column.unit = table.text("TUNIT", field);
            column.ucd = table.text("TUCD", field);
            column.description = table.text("TCOMM", field);
            columns.push(column);
        }
        offset = end;
    }
    make_names_unique(&mut columns);
    Ok(columns)
}

/// How stored whole numbers become values: TNULL, then `TZERO + TSCAL · value`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scaling {
    pub null: Option<i64>,
    pub scale: f64,
    pub zero: f64,
}

impl Scaling {
    pub fn of(table: &TableUnit<'_>, field: usize) -> Result<Self, Error> {
        let number = |keyword: &str, default: f64| {
            let keyword = format!("{keyword}{field}");
            match table.header.get(&keyword) {
                None => Ok(default),
                Some(_) => table.header.float(&keyword).ok_or_else(|| table.bad(&keyword, "a number")),
            }
        };
        let null = table.header.integer(&format!("TNULL{field}"));
        Ok(Self { null, scale: number("TSCAL", 1.0)?, zero: number("TZERO", 0.0)? })
    }

    pub fn is_none(self) -> bool {
        self.scale == 1.0 && self.zero == 0.0
    }

    pub fn apply(self, value: f64) -> f64 {
        self.zero + self.scale * value
    }

    /// The values of whole numbers shifted by a whole number, the way FITS stores unsigned ones; `None` if they are scaled.
    fn shifted(self, raw: &[i64]) -> Option<Vec<Option<i128>>> {
        // i128 holds the sum of any i64 and any such shift.
        let is_shift = self.scale == 1.0 && self.zero.fract() == 0.0 && self.zero.abs() < 1e30;
        let shift = self.zero as i128;
        let value = |&raw: &i64| if self.null == Some(raw) { None } else { Some(i128::from(raw) + shift) };
        is_shift.then(|| raw.iter().map(value).collect())
    }

    fn scaled(self, raw: &[i64]) -> Vec<f64> {
        let value = |&raw: &i64| if self.null == Some(raw) { f64::NAN } else { self.apply(raw as f64) };
        raw.iter().map(value).collect()
    }
}

/// The cells of one column.
struct Cells<'a> {
    table: &'a TableUnit<'a>,
    field: usize,
    offset: usize,
    width: usize,
}

impl<'a> Cells<'a> {
    /// The bytes of each row.
    fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (table, start, end) = (self.table, self.offset, self.offset + self.width);
        // `chunks_exact` gives `rows` rows: the size of the data was checked to hold them.
        table.data.chunks_exact(table.width).take(table.rows).map(move |row| &row[start..end])
    }

    fn read(&self, form: Format) -> Result<ColumnData, Error> {
        match form {
            Format::Fixed(element, count) => self.fixed(element, count),
            Format::Variable(element, is_long) => self.variable(element, is_long),
            Format::Nothing => Ok(ColumnData::Text(Vec::new())),
        }
    }

    fn fixed(&self, element: Element, count: usize) -> Result<ColumnData, Error> {
        let scaling = Scaling::of(self.table, self.field)?;
        let rows = || self.rows().map(|row| (row, count));
        Ok(match element {
            Element::Character => ColumnData::Text(self.rows().map(text).collect()),
            Element::Byte | Element::Short | Element::Int | Element::Long if count == 1 => {
                let raw: Vec<i64> = self.rows().flat_map(|row| integers(row, element)).collect();
                whole(&raw, scaling)
            }
            Element::Float if count == 1 && scaling.is_none() => {
                ColumnData::Float32(self.rows().flat_map(singles).collect())
            }
            Element::Float if count == 1 => {
                ColumnData::Float(self.rows().flat_map(singles).map(|value| scaling.apply(value.into())).collect())
            }
            Element::Double if count == 1 => {
                ColumnData::Float(self.rows().flat_map(doubles).map(|value| scale(value, scaling)).collect())
            }
            Element::Logical | Element::Bit if count == 1 => {
                let first = |(row, _)| truths(row, element, 1).next().flatten();
                ColumnData::Bool(rows().map(first).collect())
            }
            _ => arrays(rows(), element, scaling),
        })
    }

    fn variable(&self, element: Element, is_long: bool) -> Result<ColumnData, Error> {
        let scaling = Scaling::of(self.table, self.field)?;
        let table = self.table;
        let row_bytes = table.rows * table.width;
        let heap_start = match table.header.get("THEAP") {
            None => Some(row_bytes),
            Some(_) => table.header.integer("THEAP").and_then(|start| usize::try_from(start).ok()),
        };
        let heap = heap_start.filter(|&start| start >= row_bytes).and_then(|start| table.data.get(start..));
        let heap = heap.ok_or_else(|| table.bad("THEAP", "a byte behind the rows and within the data"))?;
        // Rows that share one place of the heap would make much out of little.
        let mut left = heap.len().saturating_mul(MOST_HEAP_USES);
        let mut cells = Vec::with_capacity(table.rows);
        for (row, descriptor) in self.rows().enumerate() {
            let numbers: Vec<i64> = integers(descriptor, if is_long { Element::Long } else { Element::Int }).collect();
            let &[count, start] = &numbers[..] else {
                return Err(table.content(row, self.field, "half a descriptor".to_owned(), "length and offset"));
            };
            let place = usize::try_from(count).ok().zip(usize::try_from(start).ok());
            let cell = place.and_then(|(count, start)| {
                let end = start.checked_add(element.bytes(count)?)?;
                // The offset of an empty array means nothing.
                if count == 0 { Some((&[][..], 0)) } else { Some((heap.get(start..end)?, count)) }
            });
            let cell = cell.filter(|(bytes, _)| bytes.len() <= left);
            let outside = || {
                let found = format!("{count} elements at byte {start} of the heap");
                table.content(row, self.field, found, &format!("an array within its {} bytes", heap.len()))
            };
            let cell = cell.ok_or_else(outside)?;
            left -= cell.0.len();
            cells.push(cell);
        }
        Ok(match element {
            Element::Character => ColumnData::Text(cells.iter().map(|(cell, _)| text(cell)).collect()),
            _ => arrays(cells.into_iter(), element, scaling),
        })
    }
}

/// How often, on average, rows may read the same bytes of the heap.
const MOST_HEAP_USES: usize = 8;

/// Unsigned numbers beyond 2^63 keep their digits as text.
fn whole(raw: &[i64], scaling: Scaling) -> ColumnData {
    if scaling.is_none() {
        let value = |&raw: &i64| if scaling.null == Some(raw) { None } else { Some(raw) };
        return ColumnData::Int(raw.iter().map(value).collect());
    }
    let Some(shifted) = scaling.shifted(raw) else {
        return ColumnData::Float(scaling.scaled(raw));
    };
    let fits = shifted.iter().flatten().all(|&value| i64::try_from(value).is_ok());
    if fits {
        ColumnData::Int(shifted.iter().map(|value| value.and_then(|value| i64::try_from(value).ok())).collect())
    } else {
        let digits = |value: &Option<i128>| value.map(|value| value.to_string()).unwrap_or_default();
        ColumnData::Text(shifted.iter().map(digits).collect())
    }
}

fn scale(value: f64, scaling: Scaling) -> f64 {
    if scaling.is_none() { value } else { scaling.apply(value) }
}

/// Arrays of `(bytes, count)` cells.
fn arrays<'a>(cells: impl Iterator<Item = (&'a [u8], usize)>, element: Element, scaling: Scaling) -> ColumnData {
    match element {
        Element::Logical | Element::Bit | Element::Character => {
            let mut arrays = Arrays::default();
            cells.for_each(|(cell, count)| arrays.push(truths(cell, element, count)));
            ColumnData::Bools(arrays)
        }
        Element::Byte | Element::Short | Element::Int | Element::Long => {
            let cells: Vec<&[u8]> = cells.map(|(cell, _)| cell).collect();
            let raw = |cell: &'a [u8]| integers(cell, element).collect::<Vec<i64>>();
            let narrow = |value: Option<i128>| match value {
                None => Some(None),
                Some(value) => i64::try_from(value).ok().map(Some),
            };
            let row = |cell: &&'a [u8]| -> Option<Vec<Option<i64>>> {
                scaling.shifted(&raw(cell))?.into_iter().map(narrow).collect()
            };
            match cells.iter().map(row).collect::<Option<Arrays<Option<i64>>>>() {
                Some(whole) => ColumnData::Ints(whole),
                None => ColumnData::Floats(cells.iter().map(|cell| scaling.scaled(&raw(cell))).collect()),
            }
        }
        Element::Float | Element::Complex if scaling.is_none() => {
            let mut arrays = Arrays::default();
            cells.for_each(|(cell, _)| arrays.push(singles(cell)));
            ColumnData::Floats32(arrays)
        }
        Element::Float | Element::Complex => {
            let mut arrays = Arrays::default();
            cells.for_each(|(cell, _)| arrays.push(singles(cell).map(|value| scaling.apply(value.into()))));
            ColumnData::Floats(arrays)
        }
        Element::Double | Element::DoubleComplex => {
            let mut arrays = Arrays::default();
            cells.for_each(|(cell, _)| arrays.push(doubles(cell).map(|value| scale(value, scaling))));
            ColumnData::Floats(arrays)
        }
    }
}

/// Text ends at its first NUL; blanks at its end mean nothing.
pub(super) fn text(cell: &[u8]) -> String {
    let end = cell.iter().position(|&byte| byte == 0).unwrap_or(cell.len());
    let cell = &cell[..end];
    let text = match std::str::from_utf8(cell) {
        Ok(text) => text.to_owned(),
        // Beyond ASCII the standard knows nothing; Latin-1 is what such files usually mean.
        Err(_) => cell.iter().map(|&byte| char::from(byte)).collect(),
    };
    text.trim_end_matches(' ').to_owned()
}

fn truths(cell: &[u8], element: Element, count: usize) -> impl Iterator<Item = Option<bool>> {
    (0..count).map(move |number| match element {
        Element::Bit => cell.get(number / 8).map(|byte| byte & (0x80 >> (number % 8)) != 0),
        _ => match cell.get(number) {
            Some(b'T') => Some(true),
            Some(b'F') => Some(false),
            _ => None,
        },
    })
}

/// Bytes are unsigned, all others signed.
fn integers(cell: &[u8], element: Element) -> impl Iterator<Item = i64> {
    let width = element.bytes(1).unwrap_or(1);
    cell.chunks_exact(width).map(move |bytes| match bytes {
        [byte] => i64::from(*byte),
        &[a, b] => i64::from(i16::from_be_bytes([a, b])),
        &[a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
        _ => bytes.first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes)),
    })
}

fn singles(cell: &[u8]) -> impl Iterator<Item = f32> {
    cell.as_chunks::<4>().0.iter().map(|bytes| f32::from_be_bytes(*bytes))
}

fn doubles(cell: &[u8]) -> impl Iterator<Item = f64> {
    cell.as_chunks::<8>().0.iter().map(|bytes| f64::from_be_bytes(*bytes))
}
