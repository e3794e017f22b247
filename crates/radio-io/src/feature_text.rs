//! The feature table as text: CSV for people and spreadsheets, and the blank-separated layout of older tools.
//!
//! Numbers are written with the fewest digits that read back as the same number; unknown ones as `NaN`.

use std::{io::Write, path::Path, str::FromStr};

use ndarray::Array2;

use atomic_file::{AtomicFile, write_atomically};

use crate::{
    error::Error,
    feature_table::{FIXED_COLUMNS, FeatureTable, column_names},
};

impl FeatureTable {
    /// Writes a CSV file with the columns of the Parquet one, atomically. The metadata are not part of it.
    ///
    /// # Errors
    /// [`Error::TableShape`], [`Error::Io`].
    pub fn write_csv(&self, path: &Path) -> Result<(), Error> {
        self.check()?;
        let fill = |file: &mut AtomicFile| {
            let mut writer = csv::Writer::from_writer(file);
            writer.write_record(self.columns())?;
            for (row, id) in self.ids.iter().enumerate() {
                let place = [self.ra_deg[row].to_string(), self.dec_deg[row].to_string()];
                let quality = [self.rms_jy_beam[row].to_string(), self.blank_fraction[row].to_string()];
                let features = self.features.row(row);
                let cells =
                    [id.clone()].into_iter().chain(place).chain(quality).chain(features.iter().map(f32::to_string));
                writer.write_record(cells)?;
            }
            writer.flush()
        };
        write_atomically(path, fill).map_err(|source| Error::Io { path: path.into(), source })
    }

    /// Reads a CSV file with the columns of [`FeatureTable::write_csv`].
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Columns`] if names or order differ; [`Error::Row`] for a row of another length or a cell that
    /// is no number.
    pub fn read_csv(path: &Path) -> Result<Self, Error> {
        let refused = |refused: csv::Error| Error::Io { path: path.into(), source: refused.into() };
        let mut reader =
            csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_path(path).map_err(refused)?;
        let found: Vec<String> = reader.headers().map_err(refused)?.iter().map(str::to_owned).collect();
        let expected = column_names(found.len().saturating_sub(FIXED_COLUMNS.len()));
        if found != expected {
            return Err(Error::Columns { path: path.into(), found, expected });
        }
        let mut table = Self::default();
        let mut features = Vec::new();
        for record in reader.records() {
            let record = record.map_err(refused)?;
            let line = record.position().map_or(0, csv::Position::line);
            let row = Row { path, line, cells: record.iter().collect() };
            row.check_length(expected.len())?;
            table.ids.push(row.cells[0].to_owned());
            table.ra_deg.push(row.number(1)?);
            table.dec_deg.push(row.number(2)?);
            table.rms_jy_beam.push(row.number(3)?);
            table.blank_fraction.push(row.number(4)?);
            for cell in FIXED_COLUMNS.len()..expected.len() {
                features.push(row.number(cell)?);
            }
        }
        table.features = shaped(table.ids.len(), expected.len() - FIXED_COLUMNS.len(), features);
        Ok(table)
    }

    /// Writes the text layout of the paper's tools (reference-facts A7): `# sname z1 … zN id`, then name, features and class
    /// number of each row. `class_ids` may be empty, which writes 0 (unknown).
    ///
    /// # Errors
    /// [`Error::TableShape`], also if `class_ids` is neither empty nor one per row; [`Error::Io`].
    pub fn write_ascii(&self, path: &Path, class_ids: &[i64]) -> Result<(), Error> {
        self.check()?;
        if !class_ids.is_empty() && class_ids.len() != self.len() {
            return Err(Error::TableShape { column: "class id", found: class_ids.len(), expected: self.len() });
        }
        let fill = |file: &mut AtomicFile| {
            write!(file, "# sname")?;
            for feature in 1..=self.features.ncols() {
                write!(file, " z{feature}")?;
            }
            writeln!(file, " id")?;
            for (row, id) in self.ids.iter().enumerate() {
                // A blank within a name would shift every column of its row.
                write!(file, "{}", id.replace(char::is_whitespace, "_"))?;
                for value in self.features.row(row) {
                    write!(file, " {value}")?;
                }
                writeln!(file, " {}", class_ids.get(row).copied().unwrap_or(0))?;
            }
            Ok(())
        };
        write_atomically(path, fill).map_err(|source| Error::Io { path: path.into(), source })
    }

    /// Reads the text layout of the paper's tools; returns the table (place and noise unknown, NaN) and the class numbers.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Columns`] for a header that does not run from `sname` to `id`; [`Error::Row`].
    pub fn read_ascii(path: &Path) -> Result<(Self, Vec<i64>), Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
        let mut lines = text.lines().zip(1_u64..).filter(|(line, _)| !line.trim().is_empty());
        let header = lines.next().map(|(line, _)| line).unwrap_or_default();
        let found: Vec<String> = header.trim_start_matches('#').split_whitespace().map(str::to_owned).collect();
        let is_header = header.starts_with('#') && found.len() >= 2;
        if !is_header
            || found.first().is_none_or(|name| name != "sname")
            || found.last().is_none_or(|name| name != "id")
        {
            let expected = ["sname", "z1", "…", "zN", "id"].map(str::to_owned).to_vec();
            return Err(Error::Columns { path: path.into(), found, expected });
        }
        let (mut table, mut features, mut class_ids) = (Self::default(), Vec::new(), Vec::new());
        for (line, number) in lines {
            let row = Row { path, line: number, cells: line.split_whitespace().collect() };
            row.check_length(found.len())?;
            table.ids.push(row.cells[0].to_owned());
            for cell in 1..found.len() - 1 {
                features.push(row.number(cell)?);
            }
            class_ids.push(row.number(found.len() - 1)?);
        }
        let n_rows = table.ids.len();
        table.features = shaped(n_rows, found.len() - 2, features);
        (table.ra_deg, table.dec_deg) = (vec![f64::NAN; n_rows], vec![f64::NAN; n_rows]);
        (table.rms_jy_beam, table.blank_fraction) = (vec![f32::NAN; n_rows], vec![f32::NAN; n_rows]);
        Ok((table, class_ids))
    }
}

/// Every row was checked to have its `cols` numbers.
fn shaped(rows: usize, cols: usize, numbers: Vec<f32>) -> Array2<f32> {
    Array2::from_shape_vec((rows, cols), numbers).unwrap_or_default()
}

struct Row<'a> {
    path: &'a Path,
    line: u64,
    cells: Vec<&'a str>,
}

impl Row<'_> {
    fn wrong(&self, found: String, expected: String) -> Error {
        Error::Row { path: self.path.into(), line: self.line, found, expected }
    }

    fn check_length(&self, expected: usize) -> Result<(), Error> {
        if self.cells.len() == expected {
            return Ok(());
        }
        Err(self.wrong(format!("{} cells", self.cells.len()), format!("{expected} as in the header")))
    }

    fn number<T: FromStr>(&self, cell: usize) -> Result<T, Error> {
        let text = self.cells[cell];
        text.parse().map_err(|_| self.wrong(format!("`{text}` in column {}", cell + 1), "a number".to_owned()))
    }
}
