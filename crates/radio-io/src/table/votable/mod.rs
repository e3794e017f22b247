//! VOTable (IVOA recommendation 1.4, and the earlier versions): TABLEDATA, BINARY and BINARY2 in; TABLEDATA out.
//!
//! Nothing outside the file is ever fetched: entities beyond the five of XML, streams with an `href` and document types are
//! refused or passed over.

use std::path::Path;

use base64::Engine as _;
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

use super::{ColumnData, MOST_COLUMNS, Table, TableChoice, make_names_unique, no_such_table};
use crate::error::Error;

mod binary;
mod field;
mod write;

use field::{Datatype, Field, Size};
pub(super) use write::write_votable;

pub(super) fn read_votable(bytes: &[u8], path: &Path, choice: &TableChoice) -> Result<Table, Error> {
    let latin;
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) if declares_latin(bytes) => {
            latin = bytes.iter().map(|&byte| char::from(byte)).collect::<String>();
            &latin
        }
        Err(refused) => {
            let byte = bytes.get(refused.valid_up_to()).copied().unwrap_or_default();
            let place = format!("byte {}", refused.valid_up_to());
            return Err(content(path, place, format!("0x{byte:02x}"), "UTF-8 text"));
        }
    };
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    Document { path, text, reader, choice, fields: Vec::new(), tables: Vec::new(), found: None }.read()
}

fn declares_latin(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_lowercase();
    head.starts_with("<?xml") && ["iso-8859-1", "latin-1", "latin1"].iter().any(|name| head.contains(name))
}

fn content(path: &Path, place: String, found: String, expected: &str) -> Error {
    Error::TableContent { path: path.into(), place, found, expected: expected.to_owned() }
}

/// A document that is being read from top to bottom.
struct Document<'a> {
    path: &'a Path,
    text: &'a str,
    reader: Reader<&'a [u8]>,
    choice: &'a TableChoice,
    /// Of the TABLE that is open.
    fields: Vec<Field>,
    /// ID and name of all tables so far.
    tables: Vec<[Option<String>; 2]>,
    found: Option<Table>,
}

/// What the elements under way are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Field,
    Table,
    Elsewhere,
}

impl<'a> Document<'a> {
    fn line(&self) -> usize {
        let at = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX).min(self.text.len());
        1 + self.text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count()
    }

    fn bad(&self, found: impl Into<String>, expected: &str) -> Error {
        content(self.path, format!("line {}", self.line()), found.into(), expected)
    }

    fn next(&mut self) -> Result<Event<'a>, Error> {
        self.reader.read_event().map_err(|refused| self.bad(refused.to_string(), "well-formed XML"))
    }

    fn read(mut self) -> Result<Table, Error> {
        let mut metadata = std::collections::BTreeMap::new();
        let mut inside = Inside::Elsewhere;
        let mut depth = 0_usize;
        loop {
            let event = self.next()?;
            match &event {
                Event::Start(element) => {
                    depth += 1;
                    let name = element.local_name();
                    let name: &str = name.as_ref();
                    match name {
                        "TABLE" => {
                            inside = Inside::Table;
                            self.fields.clear();
                            self.tables.push([self.attribute(element, "ID")?, self.attribute(element, "name")?]);
                        }
                        "FIELD" => {
                            inside = Inside::Field;
                            let field = self.field(element)?;
                            self.fields.push(field);
                        }
                        "VALUES" if inside == Inside::Field => {
                            let null = self.attribute(element, "null")?;
                            if let Some(field) = self.fields.last_mut() {
                                field.null = null.or(field.null.take());
                            }
                        }
                        "DESCRIPTION" if inside == Inside::Field => {
                            depth -= 1;
                            let text = self.text_until_end()?;
                            if let Some(field) = self.fields.last_mut() {
                                field.description = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
                            }
                        }
                        "INFO" | "PARAM" => {
                            let key = self.attribute(element, "name")?.unwrap_or_default();
                            let value = self.attribute(element, "value")?.unwrap_or_default();
                            if (key.as_str(), value.as_str()) == ("QUERY_STATUS", "ERROR") {
                                let text = self.text_until_end()?;
                                return Err(self.bad(format!("the query failed: {}", text.trim()), "a table"));
                            }
                            metadata.insert(key, value);
                        }
                        "COOSYS" => {
                            if let Some(system) = self.attribute(element, "system")? {
                                metadata.insert("COOSYS".to_owned(), system);
                            }
                        }
                        "DATA" if !self.is_wanted() => {
                            depth -= 1;
                            self.skip(element)?;
                        }
                        "TABLEDATA" => {
                            depth -= 1;
                            self.table_data()?;
                        }
                        "BINARY" | "BINARY2" => {
                            depth -= 1;
                            self.stream(name == "BINARY2")?;
                        }
                        "FITS" => return Err(self.bad("a FITS table within", "TABLEDATA, BINARY or BINARY2")),
                        _ => {}
                    }
                }
                Event::End(element) => {
                    depth = depth.saturating_sub(1);
                    let name = element.local_name();
                    match name.as_ref() {
                        "FIELD" => inside = Inside::Table,
                        "TABLE" => {
                            inside = Inside::Elsewhere;
                            if self.is_wanted() && self.found.is_none() {
                                // A table without DATA.
                                let columns = self.fields.iter().map(Field::column).collect();
                                self.keep(columns);
                            }
                        }
                        _ => {}
                    }
                }
                Event::GeneralRef(entity) => {
                    self.resolve(entity)?;
                }
                Event::Eof if depth > 0 => {
                    return Err(self.bad(format!("the file ends within {depth} open elements"), "the whole document"));
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let has = format!("one of the {} of this file: {:?}", self.tables.len(), self.tables);
        let missing = || no_such_table(self.path, self.choice, &has);
        let mut table = self.found.ok_or_else(missing)?;
        table.metadata = metadata;
        Ok(table)
    }

    /// Whether the TABLE that is open is the one to read.
    fn is_wanted(&self) -> bool {
        match self.choice {
            TableChoice::First => self.found.as_ref().is_none_or(|table| table.rows() == 0),
            TableChoice::Number(number) => self.found.is_none() && self.tables.len() == number + 1,
            TableChoice::Name(name) => {
                let names = self.tables.last();
                self.found.is_none() && names.is_some_and(|names| names.iter().flatten().any(|known| known == name))
            }
        }
    }

    fn keep(&mut self, data: Vec<ColumnData>) {
        let rows = data.first().map_or(0, ColumnData::len);
        if self.found.is_some() && rows == 0 {
            return;
        }
        let [id, name] = self.tables.last().cloned().unwrap_or_default();
        let mut columns: Vec<_> =
            self.fields.iter().cloned().zip(data).map(|(field, data)| field.finish(data)).collect();
        make_names_unique(&mut columns);
        self.found = Some(Table { path: self.path.into(), name: name.or(id), columns, ..Table::default() });
    }

    fn attribute(&self, element: &BytesStart<'_>, name: &str) -> Result<Option<String>, Error> {
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|refused| self.bad(refused.to_string(), "an XML attribute"))?;
            let key = attribute.key.local_name();
            let key: &str = key.as_ref();
            if key == name {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                let value = value.map_err(|refused| self.bad(refused.to_string(), "an XML attribute"))?;
                return Ok(Some(value.into_owned()));
            }
        }
        Ok(None)
    }

    fn field(&self, element: &BytesStart<'_>) -> Result<Field, Error> {
        if self.fields.len() == MOST_COLUMNS {
            return Err(self.bad(format!("more than {MOST_COLUMNS} fields"), "fewer"));
        }
        let id = self.attribute(element, "ID")?;
        let name = self.attribute(element, "name")?.or(id).unwrap_or_else(|| format!("col{}", self.fields.len() + 1));
        let datatype = self.attribute(element, "datatype")?.unwrap_or_default();
        let array_size = self.attribute(element, "arraysize")?;
        let unknown = || self.bad(format!("field `{name}` of datatype `{datatype}`"), "a datatype of VOTable");
        let parsed = Datatype::parse(&datatype).ok_or_else(unknown)?;
        let bad_size = || {
            let found = format!("field `{name}` of arraysize `{}`", array_size.as_deref().unwrap_or_default());
            self.bad(found, "a length such as 8, 2x3 or *")
        };
        let size = Size::parse(array_size.as_deref()).ok_or_else(bad_size)?;
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Field {
            datatype: parsed,
            size,
            unit: some(self.attribute(element, "unit")?),
            ucd: some(self.attribute(element, "ucd")?),
            description: None,
            null: None,
            name,
        })
    }

    fn skip(&mut self, element: &BytesStart<'_>) -> Result<(), Error> {
        let skipped = self.reader.read_to_end(element.name()).map(|_| ());
        skipped.map_err(|refused| self.bad(refused.to_string(), "well-formed XML"))
    }

    fn resolve(&self, entity: &quick_xml::events::BytesRef<'_>) -> Result<char, Error> {
        let unknown = || self.bad(format!("the entity &{};", &**entity), "&lt; &gt; &amp; &quot; &apos; or a number");
        match &**entity {
            "lt" => Ok('<'),
            "gt" => Ok('>'),
            "amp" => Ok('&'),
            "quot" => Ok('"'),
            "apos" => Ok('\''),
            _ => entity.resolve_char_ref().ok().flatten().ok_or_else(unknown),
        }
    }

    /// The text of the element that has just begun, up to its end; elements within are an error.
    fn text_until_end(&mut self) -> Result<String, Error> {
        let mut text = String::new();
        loop {
            match self.next()? {
                Event::Text(piece) => text.push_str(&piece.xml10_content()),
                Event::CData(piece) => text.push_str(&piece.xml10_content()),
                Event::GeneralRef(entity) => text.push(self.resolve(&entity)?),
                Event::End(_) => return Ok(text),
                Event::Start(_) => return Err(self.bad("an element", "text")),
                Event::Eof => return Err(self.bad("the end of the file", "the end of the element")),
                _ => {}
            }
        }
    }

    fn table_data(&mut self) -> Result<(), Error> {
        let mut columns: Vec<ColumnData> = self.fields.iter().map(Field::column).collect();
        loop {
            match self.next()? {
                Event::Start(element) if AsRef::<str>::as_ref(&element.local_name()) == "TR" => {
                    self.table_row(&mut columns)?
                }
                Event::Start(_) => return Err(self.bad("an element that is no TR", "a row")),
                Event::End(_) => break,
                Event::Eof => return Err(self.bad("the end of the file", "</TABLEDATA>")),
                _ => {}
            }
        }
        self.keep(columns);
        Ok(())
    }

    fn table_row(&mut self, columns: &mut [ColumnData]) -> Result<(), Error> {
        let mut cells = 0;
        loop {
            match self.next()? {
                Event::Start(element) if AsRef::<str>::as_ref(&element.local_name()) == "TD" => {
                    if self.attribute(&element, "encoding")?.is_some() {
                        return Err(self.bad("an encoded TD", "plain text"));
                    }
                    let text = self.text_until_end()?;
                    let Some((field, column)) = self.fields.get(cells).zip(columns.get_mut(cells)) else {
                        return Err(self.bad("a row of more cells", &format!("{} as there are fields", columns.len())));
                    };
                    field.push_text(column, &text).map_err(|(found, expected)| {
                        let place = format!("line {}, column `{}`", self.line(), field.name);
                        content(self.path, place, found, expected)
                    })?;
                    cells += 1;
                }
                Event::Start(_) => return Err(self.bad("an element that is no TD", "a cell")),
                Event::End(_) if cells == columns.len() => return Ok(()),
                Event::End(_) => {
                    let found = format!("a row of {cells} cells");
                    return Err(self.bad(found, &format!("{} as there are fields", columns.len())));
                }
                Event::Eof => return Err(self.bad("the end of the file", "</TR>")),
                _ => {}
            }
        }
    }

    /// BINARY or BINARY2: one STREAM of base64.
    fn stream(&mut self, has_null_flags: bool) -> Result<(), Error> {
        let mut columns: Vec<ColumnData> = self.fields.iter().map(Field::column).collect();
        loop {
            match self.next()? {
                Event::Start(element) if AsRef::<str>::as_ref(&element.local_name()) == "STREAM" => {
                    if let Some(href) = self.attribute(&element, "href")? {
                        return Err(self.bad(format!("a stream in another file, `{href}`"), "one within the document"));
                    }
                    let encoding = self.attribute(&element, "encoding")?.unwrap_or_default();
                    if encoding != "base64" {
                        return Err(self.bad(format!("a stream of encoding `{encoding}`"), "base64"));
                    }
                    let mut text = self.text_until_end()?.into_bytes();
                    text.retain(|byte| !byte.is_ascii_whitespace());
                    let decoded = PLAIN_OR_PADDED.decode(&text);
                    drop(text);
                    let decoded = decoded.map_err(|refused| self.bad(refused.to_string(), "base64"))?;
                    binary::read_rows(&decoded, &self.fields, &mut columns, has_null_flags).map_err(|bad| {
                        let column = bad.field.map(|field| format!(", column `{field}`")).unwrap_or_default();
                        content(self.path, format!("row {}{column}", bad.row), bad.found, &bad.expected)
                    })?;
                }
                Event::Start(_) => return Err(self.bad("an element that is no STREAM", "a stream")),
                Event::End(_) => break,
                Event::Eof => return Err(self.bad("the end of the file", "the end of the stream")),
                _ => {}
            }
        }
        self.keep(columns);
        Ok(())
    }
}

/// Base64 whose last characters may lack their `=`.
const PLAIN_OR_PADDED: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);
