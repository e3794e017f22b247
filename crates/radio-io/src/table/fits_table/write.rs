//! A table as a FITS file: an empty primary unit and one binary table.
//!
//! FITS pads text with blanks, so blanks at the end of a text are lost; metadata beyond the columns are not written.

use std::{io::Write, path::Path};

use atomic_file::AtomicFile;

use crate::{
    card::{Card, padded},
    error::{Error, FitsError},
    hdu::BLOCK_BYTES,
    image_writer::format_cards,
    table::{Arrays, Column, ColumnData, Table},
};

pub(in crate::table) fn write_fits(table: &Table, path: &Path) -> Result<(), Error> {
    if table.columns.len() > 999 {
        return Err(content(path, "table", format!("{} columns", table.columns.len()), "at most 999"));
    }
    let layouts: Vec<Layout> = table.columns.iter().map(|column| layout(column, path)).collect::<Result<_, _>>()?;
    let heap_bytes: usize = layouts.iter().map(|layout| layout.heap_bytes).sum();
    if i32::try_from(heap_bytes).is_err() {
        return Err(content(
            path,
            "table",
            format!("{heap_bytes} bytes of arrays of uneven length"),
            "less than 2 GiB",
        ));
    }
    let row_bytes: usize = layouts.iter().map(|layout| layout.row_bytes).sum();
    let refused = |source| Error::Fits(FitsError::Io { path: path.into(), source });
    let mut file = AtomicFile::create(path).map_err(refused)?;
    for cards in [primary(), extension(table, &layouts, row_bytes, heap_bytes)] {
        file.write_all(&header(&cards)?).map_err(refused)?;
    }
    let (mut heap, mut row_buffer) = (Vec::with_capacity(heap_bytes), Vec::with_capacity(row_bytes));
    for row in 0..table.rows() {
        row_buffer.clear();
        for (column, layout) in table.columns.iter().zip(&layouts) {
            append(column, row, layout, &mut row_buffer, &mut heap);
        }
        file.write_all(&row_buffer).map_err(refused)?;
    }
    let data_bytes = row_bytes * table.rows() + heap.len();
    heap.resize(heap.len() + data_bytes.next_multiple_of(BLOCK_BYTES) - data_bytes, 0);
    file.write_all(&heap).map_err(refused)?;
    file.commit().map_err(refused)
}

fn content(path: &Path, place: &str, found: String, expected: &str) -> Error {
    Error::TableContent { path: path.into(), place: place.to_owned(), found, expected: expected.to_owned() }
}

/// How a column is stored.
struct Layout {
    form: String,
    row_bytes: usize,
    /// Elements per row, where all rows have as many; else the arrays lie in the heap.
    count: Option<usize>,
    heap_bytes: usize,
    /// What stands for missing whole numbers.
    null: Option<i64>,
}

fn layout(column: &Column, path: &Path) -> Result<Layout, Error> {
    let single = |letter: char, bytes: usize, null| Layout {
        form: format!("1{letter}"),
        row_bytes: bytes,
        count: Some(1),
        heap_bytes: 0,
        null,
    };
    Ok(match &column.data {
        ColumnData::Bool(_) => single('L', 1, None),
        ColumnData::Int(values) => single('K', 8, unused(values)),
        ColumnData::Float(_) => single('D', 8, None),
        ColumnData::Float32(_) => single('E', 4, None),
        ColumnData::Text(texts) => {
            let is_odd = |text: &&String| !text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            if let Some(text) = texts.iter().find(is_odd) {
                let found = format!("`{}`", text.escape_debug());
                return Err(content(
                    path,
                    &format!("column `{}`", column.name),
                    found,
                    "printable ASCII, as FITS needs",
                ));
            }
            let width = texts.iter().map(String::len).max().unwrap_or(0).max(1);
            Layout { form: format!("{width}A"), row_bytes: width, count: Some(width), heap_bytes: 0, null: None }
        }
        ColumnData::Bools(arrays) => array_layout(arrays, 'L', 1, None),
        ColumnData::Ints(arrays) => array_layout(arrays, 'K', 8, unused(arrays.values())),
        ColumnData::Floats(arrays) => array_layout(arrays, 'D', 8, None),
        ColumnData::Floats32(arrays) => array_layout(arrays, 'E', 4, None),
    })
}

fn array_layout<T>(arrays: &Arrays<T>, letter: char, bytes: usize, null: Option<i64>) -> Layout {
    // An array of one element would come back as a single value, one of none not at all.
    match arrays.shared_length().filter(|&length| length > 1) {
        Some(count) => Layout {
            form: format!("{count}{letter}"),
            row_bytes: count * bytes,
            count: Some(count),
            heap_bytes: 0,
            null,
        },
        None => {
            let longest = arrays.rows().map(<[T]>::len).max().unwrap_or(0);
            let form = format!("1P{letter}({longest})");
            Layout { form, row_bytes: 8, count: None, heap_bytes: arrays.values().len() * bytes, null }
        }
    }
}

/// The smallest whole number that the values do not contain, where some are missing.
fn unused(values: &[Option<i64>]) -> Option<i64> {
    let is_missing = values.contains(&None);
    is_missing.then(|| (i64::MIN..).find(|null| !values.contains(&Some(*null))).unwrap_or(i64::MIN))
}

fn primary() -> Vec<Card> {
    vec![
        Card::new("SIMPLE", true, "conforms to FITS standard"),
        Card::new("BITPIX", 8_i64, ""),
        Card::new("NAXIS", 0_i64, ""),
        Card::new("EXTEND", true, ""),
    ]
}

fn extension(table: &Table, layouts: &[Layout], row_bytes: usize, heap_bytes: usize) -> Vec<Card> {
    let mut cards = vec![
        Card::new("XTENSION", "BINTABLE", "binary table"),
        Card::new("BITPIX", 8_i64, ""),
        Card::new("NAXIS", 2_i64, ""),
        Card::new("NAXIS1", row_bytes as i64, "bytes of a row"),
        Card::new("NAXIS2", table.rows() as i64, "rows"),
        Card::new("PCOUNT", heap_bytes as i64, "bytes of the heap"),
        Card::new("GCOUNT", 1_i64, ""),
        Card::new("TFIELDS", table.columns.len() as i64, "columns"),
    ];
    if let Some(name) = &table.name {
        cards.push(Card::new("EXTNAME", name.as_str(), ""));
    }
    for (number, (column, layout)) in (1..).zip(table.columns.iter().zip(layouts)) {
        let mut add = |keyword: &str, text: &str| cards.push(Card::new(&format!("{keyword}{number}"), text, ""));
        add("TTYPE", &column.name);
        add("TFORM", &layout.form);
        for (keyword, text) in [("TUNIT", &column.unit), ("TUCD", &column.ucd), ("TCOMM", &column.description)] {
            if let Some(text) = text {
                add(keyword, text);
            }
        }
        if let Some(null) = layout.null {
            cards.push(Card::new(&format!("TNULL{number}"), null, ""));
        }
    }
    cards
}

fn header(cards: &[Card]) -> Result<Vec<u8>, FitsError> {
    let mut lines = format_cards(cards)?;
    lines.push(padded(b"END", b""));
    let mut bytes = lines.concat();
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), b' ');
    Ok(bytes)
}

fn append(column: &Column, row: usize, layout: &Layout, to: &mut Vec<u8>, heap: &mut Vec<u8>) {
    let letter = |value: Option<bool>| match value {
        Some(true) => b'T',
        Some(false) => b'F',
        None => 0,
    };
    let whole = |value: Option<i64>| value.or(layout.null).unwrap_or_default().to_be_bytes();
    match &column.data {
        ColumnData::Bool(values) => to.push(letter(values[row])),
        ColumnData::Int(values) => to.extend(whole(values[row])),
        ColumnData::Float(values) => to.extend(values[row].to_be_bytes()),
        ColumnData::Float32(values) => to.extend(values[row].to_be_bytes()),
        ColumnData::Text(texts) => {
            let end = to.len() + layout.row_bytes;
            to.extend(texts[row].bytes());
            to.resize(end, b' ');
        }
        ColumnData::Bools(arrays) => array(arrays.row(row), layout, to, heap, |value| [letter(*value)]),
        ColumnData::Ints(arrays) => array(arrays.row(row), layout, to, heap, |value| whole(*value)),
        ColumnData::Floats(arrays) => array(arrays.row(row), layout, to, heap, |value| value.to_be_bytes()),
        ColumnData::Floats32(arrays) => array(arrays.row(row), layout, to, heap, |value| value.to_be_bytes()),
    }
}

fn array<T, const N: usize>(
    values: &[T],
    layout: &Layout,
    to: &mut Vec<u8>,
    heap: &mut Vec<u8>,
    bytes: impl Fn(&T) -> [u8; N],
) {
    if layout.count.is_some() {
        to.extend(values.iter().flat_map(&bytes));
    } else {
        // The whole heap is below 2 GiB, so both numbers fit.
        to.extend((values.len() as i32).to_be_bytes());
        to.extend((heap.len() as i32).to_be_bytes());
        heap.extend(values.iter().flat_map(&bytes));
    }
}
