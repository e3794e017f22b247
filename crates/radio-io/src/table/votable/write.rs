//! A table as VOTable 1.4 with TABLEDATA: text that every tool reads and a person can, too.

use std::{
    fmt::Write as _,
    io::{self, Write},
    path::Path,
};

use atomic_file::{AtomicFile, write_atomically};
use quick_xml::escape::escape;

use crate::{
    error::Error,
    table::{Column, ColumnData, Table},
};

pub(in crate::table) fn write_votable(table: &Table, path: &Path) -> Result<(), Error> {
    check_characters(table, path)?;
    let fill = |file: &mut AtomicFile| write_document(table, file);
    write_atomically(path, fill).map_err(|source| Error::Io { path: path.into(), source })
}

/// XML 1.0 has no way to write control characters other than TAB and line ends.
fn check_characters(table: &Table, path: &Path) -> Result<(), Error> {
    let is_odd = |character: char| matches!(character, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    let refuse = |place: String, text: &str| {
        Err(Error::TableContent {
            path: path.into(),
            place,
            found: format!("`{}`", text.escape_debug()),
            expected: "no control characters, which XML cannot hold".to_owned(),
        })
    };
    for column in &table.columns {
        let head = [Some(&column.name), column.unit.as_ref(), column.description.as_ref(), column.ucd.as_ref()];
        if let Some(text) = head.into_iter().flatten().find(|text| text.contains(is_odd)) {
            return refuse(format!("column `{}`", column.name.escape_debug()), text);
        }
        let texts = column.texts().unwrap_or_default();
        if let Some((row, text)) = texts.iter().enumerate().find(|(_, text)| text.contains(is_odd)) {
            return refuse(format!("row {}, column `{}`", row + 1, column.name), text);
        }
    }
    let pairs = table.metadata.iter().flat_map(|(key, value)| [key, value]);
    match pairs.chain(table.name.as_ref()).find(|text| text.contains(is_odd)) {
        Some(text) => refuse("metadata".to_owned(), text),
        None => Ok(()),
    }
}

fn write_document(table: &Table, file: &mut AtomicFile) -> io::Result<()> {
    writeln!(file, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(file, r#"<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">"#)?;
    writeln!(file, r#"<RESOURCE type="results">"#)?;
    let name = table.name.as_ref().map(|name| format!(" name=\"{}\"", attribute(name))).unwrap_or_default();
    for (key, value) in &table.metadata {
        // What a COOSYS element said comes back as metadata of that name.
        writeln!(file, r#"<INFO name="{}" value="{}"/>"#, attribute(key), attribute(value))?;
    }
    writeln!(file, r#"<TABLE{name} nrows="{}">"#, table.rows())?;
    for column in &table.columns {
        file.write_all(field(column).as_bytes())?;
    }
    writeln!(file, "<DATA><TABLEDATA>")?;
    let nulls: Vec<i64> = table.columns.iter().map(|column| array_null(column).unwrap_or_default()).collect();
    let mut line = String::new();
    for row in 0..table.rows() {
        line.clear();
        line.push_str("<TR>");
        for (column, null) in table.columns.iter().zip(&nulls) {
            line.push_str("<TD>");
            write_cell(column, row, *null, &mut line);
            line.push_str("</TD>");
        }
        line.push_str("</TR>\n");
        file.write_all(line.as_bytes())?;
    }
    writeln!(file, "</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>")
}

/// Line ends within an attribute would be read as blanks.
fn attribute(text: &str) -> String {
    escape(text).replace('\n', "&#10;").replace('\r', "&#13;").replace('\t', "&#9;")
}

fn field(column: &Column) -> String {
    let ascii = |texts: &[String]| texts.iter().all(|text| text.is_ascii());
    let kind = match &column.data {
        ColumnData::Bool(_) => r#"datatype="boolean""#.to_owned(),
        ColumnData::Int(_) => r#"datatype="long""#.to_owned(),
        ColumnData::Float(_) => r#"datatype="double""#.to_owned(),
        ColumnData::Float32(_) => r#"datatype="float""#.to_owned(),
        ColumnData::Text(texts) if ascii(texts) => array_kind("char", None),
        ColumnData::Text(_) => array_kind("unicodeChar", None),
        ColumnData::Bools(arrays) => array_kind("boolean", arrays.shared_length()),
        ColumnData::Ints(arrays) => array_kind("long", arrays.shared_length()),
        ColumnData::Floats(arrays) => array_kind("double", arrays.shared_length()),
        ColumnData::Floats32(arrays) => array_kind("float", arrays.shared_length()),
    };
    let mut text = format!(r#"<FIELD name="{}" {kind}"#, attribute(&column.name));
    for (key, value) in [("unit", &column.unit), ("ucd", &column.ucd)] {
        if let Some(value) = value {
            let _ = write!(text, r#" {key}="{}""#, attribute(value));
        }
    }
    text.push('>');
    if let Some(description) = &column.description {
        let _ = write!(text, "<DESCRIPTION>{}</DESCRIPTION>", escape(description));
    }
    if let Some(null) = array_null(column) {
        let _ = write!(text, r#"<VALUES null="{null}"/>"#);
    }
    text.push_str("</FIELD>\n");
    text
}

/// Arrays of one length are said to be so: other tools make plain matrices of them. One of a single value would come back as that value.
fn array_kind(kind: &str, length: Option<usize>) -> String {
    let length = length.filter(|&length| length > 1).map_or_else(|| "*".to_owned(), |length| length.to_string());
    format!(r#"datatype="{kind}" arraysize="{length}""#)
}

/// Within an array of whole numbers nothing but a number can stand for a missing one: the smallest that is not used.
fn array_null(column: &Column) -> Option<i64> {
    let ColumnData::Ints(arrays) = &column.data else {
        return None;
    };
    let values = arrays.values();
    let has_missing = values.contains(&None);
    has_missing.then(|| (i64::MIN..).find(|null| !values.contains(&Some(*null))).unwrap_or(i64::MIN))
}

fn write_cell(column: &Column, row: usize, null: i64, to: &mut String) {
    match &column.data {
        ColumnData::Text(texts) => to.push_str(&escape(&texts[row]).replace('\r', "&#13;")),
        ColumnData::Float(values) => write_real(values[row], f64::is_infinite, to),
        ColumnData::Float32(values) => write_real(values[row], f32::is_infinite, to),
        ColumnData::Bools(arrays) => spaced(arrays.row(row), to, |value, to| {
            to.push_str(truth(*value));
        }),
        ColumnData::Ints(arrays) => {
            spaced(arrays.row(row), to, |value, to| {
                let _ = write!(to, "{}", value.unwrap_or(null));
            });
        }
        ColumnData::Floats(arrays) => spaced(arrays.row(row), to, |value, to| write_real(*value, f64::is_infinite, to)),
        ColumnData::Floats32(arrays) => {
            spaced(arrays.row(row), to, |value, to| write_real(*value, f32::is_infinite, to));
        }
        ColumnData::Bool(values) => to.push_str(truth(values[row])),
        ColumnData::Int(_) => column.write_cell(row, to),
    }
}

fn truth(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "T",
        Some(false) => "F",
        None => "?",
    }
}

fn spaced<T>(values: &[T], to: &mut String, write: impl Fn(&T, &mut String)) {
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            to.push(' ');
        }
        write(value, to);
    }
}

/// Fewest digits that read back as the same number; VOTable spells infinity `+Inf` and `-Inf`.
fn write_real<T: std::fmt::Debug + Copy + PartialOrd + Default>(value: T, is_infinite: fn(T) -> bool, to: &mut String) {
    if is_infinite(value) {
        to.push_str(if value > T::default() { "+Inf" } else { "-Inf" });
    } else {
        let _ = write!(to, "{value:?}");
    }
}
