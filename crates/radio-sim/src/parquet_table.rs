//! Parquet files of plain columns: the binary form of the truth tables.
//!
//! Snappy-compressed, every column required, written atomically; rows and columns in the order given, so the same survey has
//! the same file.

use crate::error::SimError;
use atomic_file::AtomicFile;
use parquet::basic::Compression;
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::path::Path;
use std::sync::Arc;

/// Rows of a row group.
const ROWS_PER_GROUP: usize = 65_536;

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Whole numbers.
    Int(Vec<i32>),
    /// Real numbers; NaN where unknown.
    Float(Vec<f64>),
    /// Yes or no.
    Flag(Vec<bool>),
    /// Text.
    Text(Vec<String>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Int(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Flag(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    fn type_text(&self) -> (&'static str, &'static str) {
        match self {
            Self::Int(_) => ("int32", ""),
            Self::Float(_) => ("double", ""),
            Self::Flag(_) => ("boolean", ""),
            Self::Text(_) => ("binary", " (utf8)"),
        }
    }
}

/// Writes columns of equal length under their names, with `(key, value)` notes in the file's metadata.
///
/// # Errors
/// [`SimError::Parquet`] if the columns differ in length or a name is no word, [`SimError::Io`].
pub fn write_columns(path: &Path, columns: &[(&str, Column)], notes: &[(&str, String)]) -> Result<(), SimError> {
    let refused = |source| SimError::Parquet { path: path.to_path_buf(), source };
    let io_refused = |source| SimError::Io { path: path.to_path_buf(), source };
    let mut file = AtomicFile::create(path).map_err(io_refused)?;
    write_to(&mut file, columns, notes).map_err(refused)?;
    file.commit().map_err(io_refused)
}

fn write_to(file: &mut AtomicFile, columns: &[(&str, Column)], notes: &[(&str, String)]) -> Result<(), ParquetError> {
    let rows = columns.first().map_or(0, |(_, c)| c.len());
    if let Some((name, column)) = columns.iter().find(|(_, c)| c.len() != rows) {
        return Err(ParquetError::General(format!("column {name} has {} rows, expected {rows}", column.len())));
    }
    let mut schema = "message truth {\n".to_owned();
    for (name, column) in columns {
        let (kind, annotation) = column.type_text();
        schema.push_str(&format!("  required {kind} {name}{annotation};\n"));
    }
    schema.push('}');
    let metadata = notes.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_key_value_metadata(Some(metadata))
        .build();
    let mut writer = SerializedFileWriter::new(file, Arc::new(parse_message_type(&schema)?), Arc::new(properties))?;
    for start in (0..rows).step_by(ROWS_PER_GROUP) {
        let range = start..rows.min(start + ROWS_PER_GROUP);
        let mut group = writer.next_row_group()?;
        for (_, column) in columns {
            match column {
                Column::Int(v) => write_chunk::<Int32Type, _>(&mut group, &v[range.clone()])?,
                Column::Float(v) => write_chunk::<DoubleType, _>(&mut group, &v[range.clone()])?,
                Column::Flag(v) => write_chunk::<BoolType, _>(&mut group, &v[range.clone()])?,
                Column::Text(v) => {
                    let text: Vec<ByteArray> = v[range.clone()].iter().map(|t| ByteArray::from(t.as_str())).collect();
                    write_chunk::<ByteArrayType, _>(&mut group, &text)?;
                }
            }
        }
        group.close()?;
    }
    writer.close().map(|_| ())
}

fn write_chunk<T, W>(group: &mut SerializedRowGroupWriter<'_, W>, values: &[T::T]) -> Result<(), ParquetError>
where
    T: DataType,
    W: std::io::Write + Send,
{
    let missing = || ParquetError::General("the schema has fewer columns than the table".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    let typed: &mut ColumnWriterImpl<'_, T> = column.typed::<T>();
    typed.write_batch(values, None, None)?;
    column.close()
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    #[test]
    fn columns_come_back_over_several_row_groups_and_uneven_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let n = ROWS_PER_GROUP + 3;
        let columns = [
            ("id", Column::Int((0..n as i32).collect())),
            ("x", Column::Float((0..n).map(|i| i as f64 / 7.0).collect())),
            ("odd", Column::Flag((0..n).map(|i| i % 2 == 1).collect())),
            ("kind", Column::Text((0..n).map(|i| format!("k{}", i % 5)).collect())),
        ];
        write_columns(&path, &columns, &[("sky", "test".into())]).unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 2);
        let mut rows = 0;
        for (i, row) in reader.get_row_iter(None).unwrap().enumerate().step_by(997) {
            let row = row.unwrap();
            assert_eq!(row.get_int(0).unwrap(), i as i32);
            assert_eq!(row.get_double(1).unwrap(), i as f64 / 7.0);
            assert_eq!(row.get_bool(2).unwrap(), i % 2 == 1);
            assert_eq!(row.get_string(3).unwrap(), &format!("k{}", i % 5));
            rows += 1;
        }
        assert!(rows > 60);
        let uneven = [("a", Column::Int(vec![1])), ("b", Column::Int(vec![]))];
        let other = folder.path().join("u.parquet");
        assert!(matches!(write_columns(&other, &uneven, &[]), Err(SimError::Parquet { .. })));
        assert!(!other.exists());
    }
}
