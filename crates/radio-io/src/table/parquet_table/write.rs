//! A table as a Parquet file (Snappy).

use std::{collections::BTreeMap, io::Write, path::Path, sync::Arc};

use atomic_file::AtomicFile;
use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as PhysicalType},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{Type, TypePtr},
};

use super::{COLUMNS_KEY, ColumnNotes};
use crate::{
    error::Error,
    table::{Arrays, Column, ColumnData, Table},
};

/// Rows of one row group.
const ROWS_PER_GROUP: usize = 1 << 17;

pub(in crate::table) fn write_parquet(table: &Table, path: &Path) -> Result<(), Error> {
    let io_refused = |source| Error::Io { path: path.into(), source };
    let mut file = AtomicFile::create(path).map_err(io_refused)?;
    write_to(table, &mut file).map_err(|source| Error::Parquet { path: path.into(), source })?;
    file.commit().map_err(io_refused)
}

fn write_to(table: &Table, file: &mut AtomicFile) -> Result<(), ParquetError> {
    let mut pairs: Vec<KeyValue> =
        table.metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    if let Some(notes) = notes(table) {
        pairs.push(KeyValue::new(COLUMNS_KEY.to_owned(), notes));
    }
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(pairs).filter(|pairs| !pairs.is_empty()))
        .build();
    let fields: Vec<TypePtr> =
        table.columns.iter().map(|column| field(column).map(Arc::new)).collect::<Result<_, _>>()?;
    let schema = Type::group_type_builder("table").with_fields(fields).build()?;
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
    for start in (0..table.rows()).step_by(ROWS_PER_GROUP) {
        let end = table.rows().min(start + ROWS_PER_GROUP);
        let mut group = writer.next_row_group()?;
        for column in &table.columns {
            write_column(&mut group, &column.data, start, end)?;
        }
        group.close()?;
    }
    writer.close().map(|_| ())
}

fn notes(table: &Table) -> Option<String> {
    let known = |column: &&Column| column.unit.is_some() || column.description.is_some() || column.ucd.is_some();
    let notes: BTreeMap<&str, ColumnNotes> = table
        .columns
        .iter()
        .filter(known)
        .map(|column| {
            let (unit, description, ucd) = (column.unit.clone(), column.description.clone(), column.ucd.clone());
            (column.name.as_str(), ColumnNotes { unit, description, ucd })
        })
        .collect();
    if notes.is_empty() { None } else { serde_json::to_string(&notes).ok() }
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let primitive = |name: &str, kind: PhysicalType, repetition: Repetition| {
        let text = (kind == PhysicalType::BYTE_ARRAY).then_some(LogicalType::String);
        Type::primitive_type_builder(name, kind).with_repetition(repetition).with_logical_type(text).build()
    };
    let list = |kind: PhysicalType| {
        let element = Arc::new(primitive("element", kind, Repetition::OPTIONAL)?);
        let repeated = Type::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![element])
            .build()?;
        Type::group_type_builder(&column.name)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::List))
            .with_fields(vec![Arc::new(repeated)])
            .build()
    };
    let single = |kind: PhysicalType, repetition: Repetition| primitive(&column.name, kind, repetition);
    match &column.data {
        ColumnData::Bool(_) => single(PhysicalType::BOOLEAN, Repetition::OPTIONAL),
        ColumnData::Int(_) => single(PhysicalType::INT64, Repetition::OPTIONAL),
        ColumnData::Float(_) => single(PhysicalType::DOUBLE, Repetition::REQUIRED),
        ColumnData::Float32(_) => single(PhysicalType::FLOAT, Repetition::REQUIRED),
        ColumnData::Text(_) => single(PhysicalType::BYTE_ARRAY, Repetition::REQUIRED),
        ColumnData::Bools(_) => list(PhysicalType::BOOLEAN),
        ColumnData::Ints(_) => list(PhysicalType::INT64),
        ColumnData::Floats(_) => list(PhysicalType::DOUBLE),
        ColumnData::Floats32(_) => list(PhysicalType::FLOAT),
    }
}

fn write_column<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    data: &ColumnData,
    start: usize,
    end: usize,
) -> Result<(), ParquetError> {
    let rows = start..end;
    match data {
        ColumnData::Bool(values) => write_optional::<BoolType, _>(group, &values[rows]),
        ColumnData::Int(values) => write_optional::<Int64Type, _>(group, &values[rows]),
        ColumnData::Float(values) => write_values::<DoubleType, _>(group, &values[rows], None, None),
        ColumnData::Float32(values) => write_values::<FloatType, _>(group, &values[rows], None, None),
        ColumnData::Text(texts) => {
            let texts: Vec<ByteArray> = texts[rows].iter().map(|text| ByteArray::from(text.as_str())).collect();
            write_values::<ByteArrayType, _>(group, &texts, None, None)
        }
        ColumnData::Bools(arrays) => write_lists::<BoolType, _, _>(group, arrays, rows, |value| *value),
        ColumnData::Ints(arrays) => write_lists::<Int64Type, _, _>(group, arrays, rows, |value| *value),
        ColumnData::Floats(arrays) => write_lists::<DoubleType, _, _>(group, arrays, rows, |value| Some(*value)),
        ColumnData::Floats32(arrays) => write_lists::<FloatType, _, _>(group, arrays, rows, |value| Some(*value)),
    }
}

fn write_optional<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[Option<T::T>],
) -> Result<(), ParquetError> {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present: Vec<T::T> = values.iter().flatten().cloned().collect();
    write_values::<T, W>(group, &present, Some(&levels), None)
}

/// Levels of a list: definition 1 empty, 2 an element that is missing, 3 one that is there; repetition 1 goes on.
fn write_lists<T: DataType, V, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    arrays: &Arrays<V>,
    rows: std::ops::Range<usize>,
    value: impl Fn(&V) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let row = arrays.row(row);
        if row.is_empty() {
            definition.push(1);
            repetition.push(0);
        }
        for (number, element) in row.iter().enumerate() {
            let element = value(element);
            definition.push(if element.is_some() { 3 } else { 2 });
            repetition.push(i16::from(number > 0));
            values.extend(element);
        }
    }
    write_values::<T, W>(group, &values, Some(&definition), Some(&repetition))
}

fn write_values<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    definition: Option<&[i16]>,
    repetition: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has fewer columns than the table".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, definition, repetition)?;
    column.close()
}
