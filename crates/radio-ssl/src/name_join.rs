//! Tables that are about the same rows, joined by the rows' names.
use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use radio_io::Table;

/// Names that a column of names usually has.
const NAME_COLUMNS: [&str; 4] = ["id", "frame", "file", "name"];

/// Names of the rows of a table, in order: of `column`, or of the first of `id`, `frame`, `file` and `name`.
///
/// # Errors
/// If there is no such column.
pub fn row_names(table: &Table, column: Option<&str>) -> Result<Vec<String>> {
    let names = match column {
        Some(name) => table.column(name)?,
        None => NAME_COLUMNS.iter().find_map(|name| table.get(name)).with_context(|| {
            format!(
                "{}: no column of names ({}): name it with --id-column",
                table.path.display(),
                NAME_COLUMNS.join(", ")
            )
        })?,
    };
    Ok((0..table.rows()).map(|row| names.cell(row)).collect())
}

/// Row of every name.
///
/// # Errors
/// If there is no column of names, or a name occurs twice.
pub fn rows_by_name(table: &Table, column: Option<&str>) -> Result<HashMap<String, usize>> {
    let mut row_of = HashMap::with_capacity(table.rows());
    for (row, name) in row_names(table, column)?.into_iter().enumerate() {
        if let Some(first) = row_of.insert(name.clone(), row) {
            bail!("{}: rows {first} and {row} are both about `{name}`", table.path.display());
        }
    }
    Ok(row_of)
}
