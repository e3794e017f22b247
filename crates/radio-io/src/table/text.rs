//! Text tables: CSV with any of the usual delimiters, and columns separated by blanks.
//!
//! The whole column decides its kind ([`super::value_kind`]). Lines that begin with `#` are comments, and the last of them
//! before the rows may be the header, as in the lists of source finders.

use std::{io::Write, path::Path};

use atomic_file::{AtomicFile, write_atomically};

use super::{
    Column, ColumnData, MOST_COLUMNS, Table, extension, make_names_unique,
    text_layout::{Delimiter, Names, find_delimiter, find_names, opening, split, split_blanks},
    value_kind::{Seen, push},
};
use crate::error::Error;

/// The layout of a text table; `None` and [`TextHeader::Guess`] look at its first lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextOptions {
    /// What separates the columns.
    pub delimiter: Option<Delimiter>,
    /// Where the names of the columns are.
    pub header: TextHeader,
}

/// Where the names of the columns are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TextHeader {
    /// In the last comment line, the first line, or nowhere: whatever fits.
    #[default]
    Guess,
    /// In the first line that is no comment.
    FirstLine,
    /// In the last comment line before the rows.
    Comment,
    /// Nowhere: the first line is a row, and these are the names (none: `col1`, `col2`, …).
    Nowhere(Vec<String>),
}

pub(super) fn read_text(bytes: &[u8], path: &Path, options: &TextOptions) -> Result<Table, Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|refused| {
        let good = &bytes[..refused.valid_up_to()];
        let byte = bytes.get(good.len()).copied().unwrap_or_default();
        let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count() as u64;
        content(path, line, None, format!("byte 0x{byte:02x}"), "UTF-8 text".to_owned())
    })?;
    let opening = opening(text);
    let delimiter = options.delimiter.unwrap_or_else(|| find_delimiter(&opening, &extension(path)));
    // Tools that found nothing write a header in a comment and no row.
    let is_bare = opening.lines.is_empty() && opening.comment.is_some() && delimiter == Delimiter::Blanks;
    let names = match options.header {
        TextHeader::Guess if is_bare => Names::Comment,
        TextHeader::Guess => find_names(&opening, delimiter),
        TextHeader::FirstLine => Names::FirstLine,
        TextHeader::Comment => Names::Comment,
        TextHeader::Nowhere(_) => Names::Nowhere,
    };
    let mut rows = Rows { path, text: &text[opening.start..], line: opening.lines_before, delimiter };
    if opening.lines.is_empty() && names != Names::Comment {
        return Err(content(path, 1, None, "no line but comments".to_owned(), "a header or a row".to_owned()));
    }
    let header: Vec<String> = match (names, &options.header) {
        (Names::Comment, _) => split(opening.comment.unwrap_or_default(), delimiter),
        (Names::FirstLine, _) => rows.take_first()?,
        (Names::Nowhere, TextHeader::Nowhere(names)) if !names.is_empty() => names.clone(),
        (Names::Nowhere, _) => (1..=rows.peek_length()).map(|number| format!("col{number}")).collect(),
    };
    if header.is_empty() || header.len() > MOST_COLUMNS {
        let found = format!("{} columns", header.len());
        return Err(content(path, rows.line.max(1), None, found, format!("1 to {MOST_COLUMNS}")));
    }
    // `ra, dec` in the header says that the blanks round the cells are none of their text.
    let is_padded = header.iter().any(|name| name.trim().len() != name.len());
    let columns = rows.columns(&header, is_padded)?;
    Ok(Table { path: path.into(), columns, ..Table::default() })
}

fn content(path: &Path, line: u64, column: Option<&str>, found: String, expected: String) -> Error {
    let place = column.map_or_else(|| format!("line {line}"), |column| format!("line {line}, column `{column}`"));
    Error::TableContent { path: path.into(), place, found, expected }
}

/// The part of the file with the rows.
struct Rows<'a> {
    path: &'a Path,
    text: &'a str,
    /// Lines before it.
    line: u64,
    delimiter: Delimiter,
}

impl Rows<'_> {
    /// Shows all rows in order, with the number of their line from 1.
    fn each(&self, mut visit: impl FnMut(u64, &csv::StringRecord) -> Result<(), Error>) -> Result<(), Error> {
        let mut record = csv::StringRecord::new();
        let Some(byte) = self.delimiter.byte() else {
            for (line, number) in self.text.lines().zip(self.line + 1..) {
                if !line.trim_start().starts_with('#') && !line.trim().is_empty() {
                    split_blanks(line, &mut record);
                    visit(number, &record)?;
                }
            }
            return Ok(());
        };
        let mut reader = self.reader(byte);
        let refused = |refused: csv::Error| Error::Io { path: self.path.into(), source: refused.into() };
        while reader.read_record(&mut record).map_err(refused)? {
            let number = self.line + record.position().map_or(0, csv::Position::line);
            self.check_quotes(&record, number)?;
            visit(number, &record)?;
        }
        Ok(())
    }

    fn reader(&self, delimiter: u8) -> csv::Reader<&[u8]> {
        csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .comment(Some(b'#'))
            .has_headers(false)
            .flexible(true)
            .from_reader(self.text.as_bytes())
    }

    /// A quote that is never closed swallows the rest of the file.
    fn check_quotes(&self, record: &csv::StringRecord, line: u64) -> Result<(), Error> {
        let last = record.get(record.len().saturating_sub(1)).unwrap_or_default();
        let swallowed = last.contains('\n') && self.text.ends_with(last);
        if swallowed {
            let found = "a quote that is never closed".to_owned();
            return Err(content(self.path, line, None, found, "a closing quote".to_owned()));
        }
        Ok(())
    }

    /// The first row, which is then no longer among the rows.
    fn take_first(&mut self) -> Result<Vec<String>, Error> {
        let (end, lines) = match self.delimiter.byte() {
            None => (self.text.find('\n').map_or(self.text.len(), |at| at + 1), 1),
            Some(byte) => {
                let mut reader = self.reader(byte);
                let mut record = csv::StringRecord::new();
                let refused = |refused: csv::Error| Error::Io { path: self.path.into(), source: refused.into() };
                reader.read_record(&mut record).map_err(refused)?;
                self.check_quotes(&record, self.line + 1)?;
                let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX).min(self.text.len());
                (end, reader.position().line().saturating_sub(1))
            }
        };
        let first = split(self.text[..end].trim_end_matches(['\r', '\n']), self.delimiter);
        self.text = &self.text[end..];
        self.line += lines;
        Ok(first)
    }

    fn peek_length(&self) -> usize {
        let first = self.text.lines().next().unwrap_or_default();
        split(first, self.delimiter).len()
    }

    /// Two passes: the first finds the kind of each column, the second reads the values.
    fn columns(&self, header: &[String], is_padded: bool) -> Result<Vec<Column>, Error> {
        let mut seen = vec![Seen::default(); header.len()];
        let mut n_rows = 0_usize;
        self.each(|line, record| {
            n_rows += 1;
            if record.len() != header.len() {
                let missing = header.get(record.len()).map(String::as_str);
                let found = format!("{} cells", record.len());
                return Err(content(self.path, line, missing, found, format!("{} as in the header", header.len())));
            }
            seen.iter_mut().zip(record).for_each(|(seen, cell)| seen.add(cell));
            Ok(())
        })?;
        let mut data: Vec<ColumnData> = seen.iter().map(|seen| seen.kind().column()).collect();
        data.iter_mut().for_each(|column| reserve(column, n_rows));
        self.each(|_, record| {
            for (column, cell) in data.iter_mut().zip(record) {
                push(column, if is_padded { cell.trim() } else { cell });
            }
            Ok(())
        })?;
        let named = header.iter().zip(data).map(|(name, data)| Column::new(name.trim(), data));
        let mut columns: Vec<Column> = named.collect();
        make_names_unique(&mut columns);
        Ok(columns)
    }
}

fn reserve(column: &mut ColumnData, rows: usize) {
    match column {
        ColumnData::Bool(values) => values.reserve_exact(rows),
        ColumnData::Int(values) => values.reserve_exact(rows),
        ColumnData::Float(values) => values.reserve_exact(rows),
        ColumnData::Text(values) => values.reserve_exact(rows),
        _ => {}
    }
}

pub(super) fn write_text(table: &Table, path: &Path, delimiter: Delimiter) -> Result<(), Error> {
    let fill = |file: &mut AtomicFile| match delimiter.byte() {
        Some(byte) => write_delimited(table, file, byte),
        None => write_blanks(table, file),
    };
    write_atomically(path, fill).map_err(|source| Error::Io { path: path.into(), source })
}

fn write_delimited(table: &Table, file: &mut AtomicFile, delimiter: u8) -> std::io::Result<()> {
    // A first cell that begins with # must be quoted, or it would be read as a comment.
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).comment(Some(b'#')).from_writer(file);
    writer.write_record(table.columns.iter().map(|column| &column.name))?;
    let mut cell = String::new();
    for row in 0..table.rows() {
        for column in &table.columns {
            cell.clear();
            column.write_cell(row, &mut cell);
            writer.write_field(&cell)?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()
}

fn write_blanks(table: &Table, file: &mut AtomicFile) -> std::io::Result<()> {
    write!(file, "#")?;
    for column in &table.columns {
        write!(file, " {}", blank_cell(&column.name))?;
    }
    writeln!(file)?;
    let mut cell = String::new();
    for row in 0..table.rows() {
        for (number, column) in table.columns.iter().enumerate() {
            cell.clear();
            column.write_cell(row, &mut cell);
            let separator = if number == 0 { "" } else { " " };
            write!(file, "{separator}{}", blank_cell(&cell))?;
        }
        writeln!(file)?;
    }
    Ok(())
}

/// A cell between blanks: quoted if empty or with blanks or quotes within. Line ends cannot be kept and become blanks.
fn blank_cell(cell: &str) -> std::borrow::Cow<'_, str> {
    let is_plain =
        !cell.is_empty() && !cell.starts_with('#') && !cell.contains(|c: char| c.is_whitespace() || c == '"');
    if is_plain {
        return cell.into();
    }
    format!("\"{}\"", cell.replace(['\n', '\r'], " ").replace('"', "\"\"")).into()
}
