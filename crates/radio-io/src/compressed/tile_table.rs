//! The columns of a table of compressed tiles, and the bytes behind their descriptors.

use crate::header::Header;

/// Width of one row's share of a column, and the type of its elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Column {
    /// Bytes from the start of a row.
    offset: usize,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    /// A count and a place in the heap, 32 (P) or 64 bits (Q) each, of elements so many bytes wide.
    Heap {
        wide: bool,
        element_bytes: usize,
    },
    /// A single number.
    I16,
    I32,
    I64,
    F32,
    F64,
    U8,
    Other,
}

/// Where a table lies in its file; all ranges were checked to be inside of it.
#[derive(Debug)]
pub(crate) struct TileTable {
    pub rows: usize,
    data_start: usize,
    row_bytes: usize,
    heap_start: usize,
    end: usize,
    columns: Vec<(String, Column)>,
}

impl TileTable {
    /// Reads the columns of the table whose data begin at `data_start` and end at `end`.
    ///
    /// # Errors
    /// The keyword at fault and what was expected of it.
    pub fn read(header: &Header, data_start: usize, end: usize) -> Result<Self, (String, &'static str)> {
        let number = |keyword: &str| header.integer(keyword).and_then(|value| usize::try_from(value).ok());
        let need = |keyword: &str| number(keyword).ok_or_else(|| (keyword.to_owned(), "a whole number of at least 0"));
        let (row_bytes, rows) = (need("NAXIS1")?, need("NAXIS2")?);
        let fields = need("TFIELDS")?;
        if fields > 999 {
            return Err(("TFIELDS".to_owned(), "at most 999"));
        }
        let (mut columns, mut offset) = (Vec::new(), 0_usize);
        for field in 1..=fields {
            let keyword = format!("TFORM{field}");
            let form = header.text(&keyword).and_then(parse_form);
            let (form, bytes) = form.ok_or_else(|| (keyword.clone(), "a column format such as 1PB(100) or 1D"))?;
            let name = header.text(&format!("TTYPE{field}")).unwrap_or_default().to_owned();
            columns.push((name, Column { offset, form }));
            offset = offset.saturating_add(bytes);
        }
        if offset > row_bytes {
            return Err(("NAXIS1".to_owned(), "at least the bytes of all columns"));
        }
        let table_bytes = row_bytes.checked_mul(rows).filter(|bytes| data_start.saturating_add(*bytes) <= end);
        let table_bytes = table_bytes.ok_or_else(|| ("NAXIS2".to_owned(), "rows that lie inside the data"))?;
        let heap = number("THEAP").unwrap_or(table_bytes);
        let heap_start = data_start.checked_add(heap).filter(|start| *start <= end && heap >= table_bytes);
        let heap_start =
            heap_start.ok_or_else(|| ("THEAP".to_owned(), "a place behind the rows and inside the data"))?;
        Ok(Self { rows, data_start, row_bytes, heap_start, end, columns })
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<Column> {
        self.columns.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, column)| *column)
    }

    /// The bytes that a row's descriptor points to; `None` where it is empty.
    ///
    /// # Errors
    /// A descriptor that points out of the heap, or a column that holds none.
    pub fn heap<'a>(&self, file: &'a [u8], row: usize, column: Column) -> Result<Option<&'a [u8]>, String> {
        let Form::Heap { wide, element_bytes } = column.form else {
            return Err("its column holds no variable-length arrays".to_owned());
        };
        let descriptor = &file[self.place(row, column)..];
        let [count, start] = if wide {
            [0, 8].map(|at| be_bytes(descriptor, at).map(i64::from_be_bytes))
        } else {
            [0, 4].map(|at| be_bytes(descriptor, at).map(|raw| i64::from(i32::from_be_bytes(raw))))
        };
        let places =
            (count.and_then(|count| usize::try_from(count).ok()), start.and_then(|start| usize::try_from(start).ok()));
        let (Some(count), Some(start)) = places else {
            return Err(format!("its descriptor is {count:?} elements at {start:?}"));
        };
        if count == 0 {
            return Ok(None);
        }
        let range = self.heap_start.checked_add(start).and_then(|from| {
            let to = from.checked_add(count.checked_mul(element_bytes)?)?;
            (to <= self.end).then_some(from..to)
        });
        let outside = || {
            format!("{count} elements at byte {start} reach beyond the heap of {} bytes", self.end - self.heap_start)
        };
        range.map(|range| Some(&file[range])).ok_or_else(outside)
    }

    /// The number in a row of a column.
    pub fn number(&self, file: &[u8], row: usize, column: Column) -> Option<f64> {
        let at = self.place(row, column);
        Some(match column.form {
            Form::U8 => f64::from(*file.get(at)?),
            Form::I16 => f64::from(i16::from_be_bytes(be_bytes(file, at)?)),
            Form::I32 => f64::from(i32::from_be_bytes(be_bytes(file, at)?)),
            Form::I64 => i64::from_be_bytes(be_bytes(file, at)?) as f64,
            Form::F32 => f64::from(f32::from_be_bytes(be_bytes(file, at)?)),
            Form::F64 => f64::from_be_bytes(be_bytes(file, at)?),
            Form::Heap { .. } | Form::Other => return None,
        })
    }

    fn place(&self, row: usize, column: Column) -> usize {
        self.data_start + row * self.row_bytes + column.offset
    }
}

fn be_bytes<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// TFORM: a repeat count, a letter, and for arrays in the heap the letter of their elements.
fn parse_form(text: &str) -> Option<(Form, usize)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let repeat: usize = if digits == 0 { 1 } else { text[..digits].parse().ok()? };
    let mut letters = text[digits..].chars();
    let letter = letters.next()?;
    let width = |letter: char| {
        Some(match letter {
            'L' | 'B' | 'A' => 1,
            'I' => 2,
            'J' | 'E' => 4,
            'K' | 'D' | 'C' => 8,
            'M' => 16,
            _ => return None,
        })
    };
    let single = |form| if repeat == 1 { form } else { Form::Other };
    Some(match letter {
        'X' => (Form::Other, repeat.div_ceil(8)),
        'P' | 'Q' => {
            let wide = letter == 'Q';
            let bytes = if wide { 16 } else { 8 };
            let form = Form::Heap { wide, element_bytes: width(letters.next()?)? };
            (single(form), repeat.checked_mul(bytes)?)
        }
        'B' => (single(Form::U8), repeat),
        'I' => (single(Form::I16), repeat.checked_mul(2)?),
        'J' => (single(Form::I32), repeat.checked_mul(4)?),
        'K' => (single(Form::I64), repeat.checked_mul(8)?),
        'E' => (single(Form::F32), repeat.checked_mul(4)?),
        'D' => (single(Form::F64), repeat.checked_mul(8)?),
        letter => (Form::Other, repeat.checked_mul(width(letter)?)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_formats_have_the_widths_of_the_standard() {
        for (text, bytes) in
            [("1PB(1034)", 8), ("QJ", 16), ("1D", 8), ("E", 4), ("12A", 12), ("9X", 2), ("3M", 48), ("0J", 0)]
        {
            assert_eq!(parse_form(text).map(|(_, bytes)| bytes), Some(bytes), "{text}");
        }
        assert_eq!(parse_form("PI").map(|(form, _)| form), Some(Form::Heap { wide: false, element_bytes: 2 }));
        for text in ["", "7", "1P", "1PZ", "Y", "99999999999999999999J"] {
            assert_eq!(parse_form(text), None, "{text}");
        }
    }
}
