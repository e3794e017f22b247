//! Tables in FITS files: binary (BINTABLE) and text (TABLE) extensions (FITS standard 4.0, sections 7.2 and 7.3).

use std::path::Path;

use super::{Table, TableChoice, no_such_table};
use crate::{
    error::Error,
    hdu::{Hdu, HduKind, Storage, Unit, walk},
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
    walk(bytes, path, |hdu| {
        let is_table = matches!(hdu.kind(), HduKind::BinaryTable | HduKind::TextTable);
        let name = hdu.header.text("EXTNAME");
        let is_chosen = match choice {
            TableChoice::First => is_table && found.as_ref().is_none_or(|table| table.rows() == 0),
            TableChoice::Number(number) => is_table && *number == hdu.number,
            TableChoice::Name(wanted) => is_table && found.is_none() && name == Some(wanted),
        };
        if is_chosen {
            let table = read_unit(hdu, bytes, path)?;
            if found.is_none() || table.rows() > 0 {
                found = Some(table);
            }
        }
        let kind = hdu.header.text("XTENSION").unwrap_or_default();
        names.push(format!("{} {kind}{}", hdu.number, name.map(|name| format!(" {name}")).unwrap_or_default()));
        Ok::<_, Error>(None::<()>)
    })?;
    let has = format!("a table among the header-data units {names:?}");
    found.ok_or_else(|| no_such_table(path, choice, &has))
}

fn read_unit(hdu: &Hdu, bytes: &[u8], path: &Path) -> Result<Table, Error> {
    hdu.check_end(bytes, path)?;
    let unit = Unit { header: &hdu.header, hdu: hdu.number, path };
    let &[width, rows] = &hdu.axes[..] else {
        return Err(unit.bad("NAXIS", "2 for a table").into());
    };
    if hdu.storage != Storage::U8 {
        return Err(unit.bad("BITPIX", "8 for a table").into());
    }
    // Rows and widths are within the data, whose end is within the file, unless one of them is 0.
    let (Ok(width), Ok(rows)) = (usize::try_from(width), usize::try_from(rows)) else {
        return Err(unit.too_large(hdu.storage, &hdu.axes).into());
    };
    let data = &bytes[hdu.data_start..][..hdu.data_bytes as usize];
    let table = TableUnit { path, hdu: hdu.number, header: &hdu.header, width, rows, data };
    let columns = if hdu.kind() == HduKind::TextTable { ascii::columns(&table)? } else { binary::columns(&table)? };
    let name = hdu.header.text("EXTNAME").map(str::to_owned);
    Ok(Table { path: path.into(), name, columns, ..Table::default() })
}
