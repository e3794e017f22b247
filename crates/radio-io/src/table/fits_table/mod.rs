//! Tables in FITS files: binary (BINTABLE) and text (TABLE) extensions (FITS standard 4.0, sections 7.2 and 7.3).

use std::path::Path;

use super::{Table, TableChoice, no_such_table};
use crate::{
    error::{Error, FitsError},
    hdu::{BLOCK_BYTES, Unit, read_header},
    header::Header,
};

mod ascii;
mod binary;
mod format;
mod write;

pub(super) use write::write_fits;

/// One table extension, its size checked against the file.
struct TableUnit<'a> {
    path: &'a Path,
    hdu: usize,
    header: &'a Header,
    /// Bytes of a row.
    width: usize,
    rows: usize,
    /// Everything behind the header: the rows, then the heap.
    data: &'a [u8],
}

impl TableUnit<'_> {
    fn bad(&self, keyword: &str, expected: &str) -> Error {
        Unit { header: self.header, hdu: self.hdu, path: self.path }.bad(keyword, expected).into()
    }

    /// TFIELDS.
    fn fields(&self) -> Result<usize, Error> {
        let fields = self.header.integer("TFIELDS").filter(|fields| (0..=999).contains(fields));
        fields.map(|fields| fields as usize).ok_or_else(|| self.bad("TFIELDS", "a whole number from 0 to 999"))
    }

    /// A keyword of one column, for instance `TUNIT3`.
    fn text(&self, keyword: &str, field: usize) -> Option<String> {
        self.header.text(&format!("{keyword}{field}")).map(str::to_owned)
    }

    fn name(&self, field: usize) -> String {
        self.text("TTYPE", field).unwrap_or_else(|| format!("col{field}"))
    }

    fn content(&self, row: usize, field: usize, found: String, expected: &str) -> Error {
        Error::TableContent {
            path: self.path.into(),
            place: format!("header {}, row {}, column `{}`", self.hdu, row + 1, self.name(field)),
            found,
            expected: expected.to_owned(),
        }
    }
}

/// Finds a table among the header-data units and reads it.
pub(super) fn read_fits(bytes: &[u8], path: &Path, choice: &TableChoice) -> Result<Table, Error> {
    let mut found: Option<Table> = None;
    let mut names = Vec::new();
    let (mut start, mut hdu) = (0, 0);
    loop {
        let (header, offset) = read_header(bytes, start, hdu, path)?;
        let unit = Unit { header: &header, hdu, path };
        let axes = unit.axes()?;
        let storage = unit.storage()?;
        let data_bytes = unit.data_bytes(storage, &axes)?;
        let end = (offset as u64).checked_add(data_bytes).ok_or_else(|| unit.too_large(storage, &axes))?;
        if end > bytes.len() as u64 {
            return Err(
                FitsError::Truncated { path: path.into(), hdu, expected: end, found: bytes.len() as u64 }.into()
            );
        }
        let kind = header.text("XTENSION").unwrap_or_default();
        let is_table = matches!(kind, "BINTABLE" | "A3DTABLE" | "TABLE") && header.logical("ZIMAGE") != Some(true);
        let name = header.text("EXTNAME").map(str::to_owned);
        let is_chosen = match choice {
            TableChoice::First => is_table && found.as_ref().is_none_or(|table| table.rows() == 0),
            TableChoice::Number(number) => *number == hdu,
            TableChoice::Name(wanted) => is_table && found.is_none() && name.as_ref() == Some(wanted),
        };
        if is_chosen && is_table {
            let &[width, rows] = &axes[..] else {
                return Err(unit.bad("NAXIS", "2 for a table").into());
            };
            if header.integer("BITPIX") != Some(8) {
                return Err(unit.bad("BITPIX", "8 for a table").into());
            }
            // Rows and widths are within the data, whose end is within the file, unless one of them is 0.
            let (Ok(width), Ok(rows)) = (usize::try_from(width), usize::try_from(rows)) else {
                return Err(unit.too_large(storage, &axes).into());
            };
            let data = &bytes[offset..end as usize];
            let table = TableUnit { path, hdu, header: &header, width, rows, data };
            let columns = if kind == "TABLE" { ascii::columns(&table)? } else { binary::columns(&table)? };
            let table = Table { path: path.into(), name: name.clone(), columns, ..Table::default() };
            if found.is_none() || table.rows() > 0 {
                found = Some(table);
            }
        }
        names.push(format!("{hdu} {}{}", kind, name.map(|name| format!(" {name}")).unwrap_or_default()));
        start = (end as usize).div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES);
        hdu += 1;
        if !bytes.get(start..).is_some_and(|rest| rest.starts_with(b"XTENSION")) {
            break;
        }
    }
    let has = format!("a table among the header-data units {names:?}");
    found.ok_or_else(|| no_such_table(path, choice, &has))
}
