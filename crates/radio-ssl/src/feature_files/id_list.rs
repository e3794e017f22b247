//! What an array of features does not say: the CSV file beside it with name, place, noise and blank share of each row.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ndarray::Array2;
use radio_io::FeatureTable;

use super::FeatureFileError;

/// The columns of the list.
const COLUMNS: [&str; 5] = ["id", "ra", "dec", "rms", "blank_fraction"];

/// The list that belongs to an array: `features.ids.csv` to `features.npy`.
pub fn id_list_path(array: &Path) -> PathBuf {
    array.with_extension("ids.csv")
}

/// Writes the list, atomically.
pub(super) fn write(table: &FeatureTable, path: &Path) -> Result<()> {
    let fill = |file: &mut atomic_file::AtomicFile| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(COLUMNS)?;
        for (row, id) in table.ids.iter().enumerate() {
            let place = [table.ra_deg[row].to_string(), table.dec_deg[row].to_string()];
            let quality = [table.rms_jy_beam[row].to_string(), table.blank_fraction[row].to_string()];
            writer.write_record([id.clone()].into_iter().chain(place).chain(quality))?;
        }
        writer.flush()
    };
    atomic_file::write_atomically(path, fill).with_context(|| format!("cannot write {}", path.display()))
}

/// An array with its list; without one, rows are named by their numbers.
pub(super) fn named(features: Array2<f32>, array: &Path) -> Result<FeatureTable> {
    let rows = features.nrows();
    let mut table = FeatureTable { features, ..FeatureTable::default() };
    let path = id_list_path(array);
    if !path.exists() {
        table.ids = (0..rows).map(|row| row.to_string()).collect();
        (table.ra_deg, table.dec_deg) = (vec![f64::NAN; rows], vec![f64::NAN; rows]);
        (table.rms_jy_beam, table.blank_fraction) = (vec![f32::NAN; rows], vec![f32::NAN; rows]);
        return Ok(table);
    }
    let wrong = |what: String, expected: String, found: String| FeatureFileError::IdList {
        path: path.clone(),
        what,
        expected,
        found,
    };
    let unreadable = || format!("cannot read {}", path.display());
    let mut reader = csv::Reader::from_path(&path).with_context(unreadable)?;
    let header = reader.headers().with_context(unreadable)?.clone();
    if !header.iter().eq(COLUMNS) {
        let found = header.iter().collect::<Vec<_>>().join(",");
        return Err(wrong("columns".into(), COLUMNS.join(","), found).into());
    }
    for record in reader.records() {
        let record = record.with_context(unreadable)?;
        let cell = |column: usize| {
            let text = record.get(column).unwrap_or_default();
            let line = record.position().map_or(0, csv::Position::line);
            let what = || format!("line {line}, column {}", COLUMNS[column]);
            text.parse::<f64>().map_err(|_| wrong(what(), "a number".into(), format!("`{text}`")))
        };
        table.ids.push(record.get(0).unwrap_or_default().to_owned());
        table.ra_deg.push(cell(1)?);
        table.dec_deg.push(cell(2)?);
        // The shortest digits of an `f32` read as `f64` and rounded are that `f32` again.
        table.rms_jy_beam.push(cell(3)? as f32);
        table.blank_fraction.push(cell(4)? as f32);
    }
    if table.ids.len() != rows {
        let expected = format!("{rows} as in {}", array.display());
        return Err(wrong("rows".into(), expected, table.ids.len().to_string()).into());
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_do_not_fit_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let array = folder.path().join("f.npy");
        let list = id_list_path(&array);
        assert_eq!(list, folder.path().join("f.ids.csv"));
        let features = Array2::zeros((2, 3));
        let table = named(features.clone(), &array).unwrap();
        assert_eq!((table.ids, table.ra_deg.len()), (vec!["0".to_owned(), "1".to_owned()], 2));
        for (text, word) in [
            ("id,ra,dec,rms,blank_fraction\na,1,2,3,0\n", "expected 2 as in"),
            ("id,ra,dec\na,1,2\n", "columns"),
            ("id,ra,dec,rms,blank_fraction\na,1,2,3,0\nb,1,x,3,0\n", "line 3, column dec"),
            ("id,ra,dec,rms,blank_fraction\na,1,2,3\n", "cannot read"),
        ] {
            std::fs::write(&list, text).unwrap();
            let error = format!("{:#}", named(features.clone(), &array).unwrap_err());
            assert!(error.contains(word) && error.contains("f.ids.csv"), "{error}");
        }
    }
}
