//! The rows of a VOTable in a base64 stream: BINARY and BINARY2 (VOTable 1.4, sections 5.3 and 5.4), big-endian.

use super::field::{Datatype, Field, Refused, Size};
use crate::table::ColumnData;

/// Where a stream goes wrong: row from 1, the field if the row has one, and what was expected.
pub(super) struct BadRow<'a> {
    pub row: usize,
    pub field: Option<&'a str>,
    pub found: String,
    pub expected: String,
}

/// Reads all rows of a decoded stream. `has_null_flags` is what sets BINARY2 apart: each row begins with a bit per field.
pub(super) fn read_rows<'a>(
    bytes: &[u8],
    fields: &'a [Field],
    columns: &mut [ColumnData],
    has_null_flags: bool,
) -> Result<(), BadRow<'a>> {
    let mut stream = Stream { rest: bytes };
    let mut row = 0;
    while !stream.rest.is_empty() {
        row += 1;
        let before = stream.rest.len();
        let flags = if has_null_flags { fields.len().div_ceil(8) } else { 0 };
        let bad = |field: Option<&'a str>, (found, expected): Refused| BadRow {
            row,
            field,
            found,
            expected: expected.to_owned(),
        };
        let flags = stream.take(flags).map_err(|refused| bad(None, refused))?;
        for (number, (field, column)) in fields.iter().zip(columns.iter_mut()).enumerate() {
            let is_null = flags.get(number / 8).is_some_and(|byte| byte & (0x80 >> (number % 8)) != 0);
            stream.push(field, column, is_null).map_err(|refused| bad(Some(&field.name), refused))?;
        }
        if stream.rest.len() == before {
            return Err(bad(None, ("rows without a single byte".to_owned(), "fields that take room")));
        }
    }
    Ok(())
}

struct Stream<'a> {
    rest: &'a [u8],
}

impl<'a> Stream<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Refused> {
        let refused = || (format!("the stream ends: {} bytes left of {count}", self.rest.len()), "whole rows");
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(refused)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Number of elements of the next cell.
    fn length(&mut self, field: &Field) -> Result<usize, Refused> {
        match field.size {
            Size::One => Ok(1),
            Size::Fixed(length) => Ok(length),
            Size::Variable => {
                let count = self.take(4)?.first_chunk::<4>().map_or(0, |bytes| i32::from_be_bytes(*bytes));
                usize::try_from(count).map_err(|_| (format!("an array of {count} elements"), "at least 0"))
            }
        }
    }

    fn push(&mut self, field: &Field, column: &mut ColumnData, is_null: bool) -> Result<(), Refused> {
        let length = self.length(field)?;
        let size = match field.datatype {
            Datatype::Bit => length.div_ceil(8),
            datatype => {
                let overflow = || (format!("an array of {length} elements"), "one that fits into the stream");
                length.checked_mul(datatype.bytes()).ok_or_else(overflow)?
            }
        };
        let cell = self.take(size)?;
        match column {
            ColumnData::Text(values) if is_null => values.push(String::new()),
            ColumnData::Text(values) => values.push(text(cell, field.datatype)),
            ColumnData::Bool(values) => values.push(truths(cell, length, field)?.next().flatten().filter(|_| !is_null)),
            ColumnData::Int(values) => values.push(integers(cell, field).next().flatten().filter(|_| !is_null)),
            ColumnData::Float(values) if is_null => values.push(f64::NAN),
            ColumnData::Float(values) => values.push(doubles(cell).next().unwrap_or(f64::NAN)),
            ColumnData::Float32(values) if is_null => values.push(f32::NAN),
            ColumnData::Float32(values) => values.push(singles(cell).next().unwrap_or(f32::NAN)),
            ColumnData::Bools(arrays) if is_null => arrays.push([]),
            ColumnData::Bools(arrays) => arrays.push(truths(cell, length, field)?),
            ColumnData::Ints(arrays) if is_null => arrays.push([]),
            ColumnData::Ints(arrays) => arrays.push(integers(cell, field)),
            ColumnData::Floats(arrays) if is_null => arrays.push([]),
            ColumnData::Floats(arrays) => arrays.push(doubles(cell)),
            ColumnData::Floats32(arrays) if is_null => arrays.push([]),
            ColumnData::Floats32(arrays) => arrays.push(singles(cell)),
        }
        Ok(())
    }
}

/// Text ends at its first NUL; blanks that fill a fixed length are none of it.
fn text(cell: &[u8], datatype: Datatype) -> String {
    if datatype == Datatype::UnicodeChar {
        let units = cell.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair));
        let units: Vec<u16> = units.take_while(|&unit| unit != 0).collect();
        return String::from_utf16_lossy(&units);
    }
    let end = cell.iter().position(|&byte| byte == 0).unwrap_or(cell.len());
    let cell = &cell[..end];
    match std::str::from_utf8(cell) {
        Ok(text) => text.to_owned(),
        // Not allowed by the standard, but common: Latin-1.
        Err(_) => cell.iter().map(|&byte| char::from(byte)).collect(),
    }
}

fn truths<'a>(
    cell: &'a [u8],
    length: usize,
    field: &Field,
) -> Result<impl Iterator<Item = Option<bool>> + use<'a>, Refused> {
    let is_bit = field.datatype == Datatype::Bit;
    if !is_bit && let Some(odd) = cell.iter().find(|byte| !b"TtFf10? \0".contains(byte)) {
        return Err((format!("byte 0x{odd:02x}"), "T, F, 1, 0, ? or 0x00 for a truth value"));
    }
    let bit = move |number: usize| match cell {
        // The standard puts a single bit first in its byte, astropy in the middle.
        [byte] if length == 1 => Some(*byte != 0),
        _ => cell.get(number / 8).map(|byte| byte & (0x80 >> (number % 8)) != 0),
    };
    let letter = move |number: usize| match cell.get(number) {
        Some(b'T' | b't' | b'1') => Some(true),
        Some(b'F' | b'f' | b'0') => Some(false),
        _ => None,
    };
    Ok((0..length).map(move |number| if is_bit { bit(number) } else { letter(number) }))
}

fn integers(cell: &[u8], field: &Field) -> impl Iterator<Item = Option<i64>> {
    let width = field.datatype.bytes().max(1);
    let is_unsigned = field.datatype == Datatype::UnsignedByte;
    cell.chunks_exact(width).map(move |bytes| {
        let first = bytes.first().copied().unwrap_or(0);
        let start = if !is_unsigned && first & 0x80 != 0 { -1 } else { 0 };
        let value = bytes.iter().fold(start, |value: i64, &byte| (value << 8) | i64::from(byte));
        if field.is_null(value) { None } else { Some(value) }
    })
}

fn doubles(cell: &[u8]) -> impl Iterator<Item = f64> {
    cell.as_chunks::<8>().0.iter().map(|bytes| f64::from_be_bytes(*bytes))
}

fn singles(cell: &[u8]) -> impl Iterator<Item = f32> {
    cell.as_chunks::<4>().0.iter().map(|bytes| f32::from_be_bytes(*bytes))
}
