//! A Parquet file as a table.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as PhysicalType},
    column::reader::get_typed_column_reader,
    data_type::{
        BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
    },
    errors::ParquetError,
    file::reader::{FileReader, RowGroupReader, SerializedFileReader},
    schema::types::{ColumnDescriptor, SchemaDescriptor},
};

use super::{COLUMNS_KEY, ColumnNotes, astropy_masks::apply_masks};
use crate::{
    error::Error,
    feature_table::check_chunk,
    parquet_file::unharmed,
    table::{Arrays, Column, ColumnData, MOST_CELLS, MOST_COLUMNS, Table, make_names_unique},
};

pub(in crate::table) fn read_parquet(bytes: Vec<u8>, path: &Path) -> Result<Table, Error> {
    let refused = |source| Error::Parquet { path: path.into(), source };
    // A few bytes can stand for any number of equal values; real files are far from this many per byte.
    let mut cells_left = MOST_CELLS.min(bytes.len().saturating_mul(MOST_CELLS_PER_BYTE).saturating_add(LEAST_CELLS));
    let reader = unharmed(|| SerializedFileReader::new(Bytes::from(bytes))).map_err(refused)?;
    let file = reader.metadata().file_metadata();
    let schema = file.schema_descr();
    let mut metadata: BTreeMap<String, String> = file
        .key_value_metadata()
        .into_iter()
        .flatten()
        .map(|entry| (entry.key.clone(), entry.value.clone().unwrap_or_default()))
        .collect();
    // These describe the columns of this file to other libraries; on another table they would be wrong.
    metadata.remove("ARROW:schema");
    metadata.remove("pandas");
    let notes: BTreeMap<String, ColumnNotes> =
        metadata.remove(COLUMNS_KEY).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let rows = checked_rows(&reader, schema, cells_left).map_err(refused)?;
    let mut columns = Vec::with_capacity(schema.num_columns());
    for number in 0..schema.num_columns() {
        check_compression(&reader, number).map_err(refused)?;
        let leaf = Leaf::of(schema, number).map_err(refused)?;
        let data = unharmed(|| leaf.read(&reader, &mut cells_left)).map_err(refused)?;
        // The levels of a damaged list can tell of fewer rows than the file.
        if data.len() != rows {
            let found = format!("column `{}` has {} rows, expected {rows}", leaf.name, data.len());
            return Err(refused(general(found)));
        }
        let mut column = Column::new(leaf.name.clone(), data);
        column.unit = leaf.time_unit();
        if let Some(notes) = notes.get(&leaf.name) {
            column.unit = notes.unit.clone();
            (column.description, column.ucd) = (notes.description.clone(), notes.ucd.clone());
        }
        columns.push(column);
    }
    apply_masks(&mut columns, &mut metadata);
    make_names_unique(&mut columns);
    Ok(Table { path: path.into(), name: None, columns, metadata })
}

type Reader = SerializedFileReader<Bytes>;

fn general(text: String) -> ParquetError {
    ParquetError::General(text)
}

/// Cells that a file of any size may have, and how many more for each of its bytes.
const LEAST_CELLS: usize = 1 << 25;
const MOST_CELLS_PER_BYTE: usize = 256;

/// The rows of all groups together, which must not be more than the table may have.
fn checked_rows(reader: &Reader, schema: &SchemaDescriptor, most_cells: usize) -> Result<usize, ParquetError> {
    let rows =
        reader.metadata().row_groups().iter().try_fold(0_u64, |rows, group| {
            u64::try_from(group.num_rows()).ok().and_then(|more| rows.checked_add(more))
        });
    let n_columns = schema.num_columns();
    let cells = rows.and_then(|rows| rows.checked_mul(n_columns.max(1) as u64));
    let is_sound = n_columns <= MOST_COLUMNS && cells.is_some_and(|cells| cells <= most_cells as u64);
    let sound_rows = rows.filter(|_| is_sound).and_then(|rows| usize::try_from(rows).ok());
    let found = || {
        general(format!(
            "{n_columns} columns of {rows:?} rows, expected at most {most_cells} cells in a file of this size"
        ))
    };
    sound_rows.ok_or_else(found)
}

/// Names the remedy, which the library's own words do not.
fn check_compression(reader: &Reader, number: usize) -> Result<(), ParquetError> {
    let known = |codec| matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_));
    let codecs = reader.metadata().row_groups().iter().filter_map(|group| group.columns().get(number));
    match codecs.map(|chunk| chunk.compression()).find(|codec| !known(*codec)) {
        None => Ok(()),
        Some(codec) => {
            let found = format!("column {number} is compressed with {codec}");
            Err(general(format!(
                "{found}, expected Snappy, gzip or none: write it again with `compression=\"snappy\"`"
            )))
        }
    }
}

/// One column of numbers or texts.
struct Leaf<'a> {
    number: usize,
    name: String,
    descriptor: &'a ColumnDescriptor,
    /// In a list: the definition level from which on there is an element.
    element_level: Option<i16>,
}

impl<'a> Leaf<'a> {
    fn of(schema: &'a SchemaDescriptor, number: usize) -> Result<Self, ParquetError> {
        let descriptor = schema.column(number);
        if descriptor.max_rep_level() > 1 {
            let path = descriptor.path().string();
            return Err(general(format!("column `{path}` holds lists of lists, expected single values or lists")));
        }
        let root = schema.get_column_root(number);
        let mut kind = root;
        let (mut level, mut element_level) = (0, None);
        let mut parts = descriptor.path().parts().iter();
        parts.next();
        loop {
            match kind.get_basic_info().repetition() {
                Repetition::OPTIONAL => level += 1,
                Repetition::REPEATED => {
                    level += 1;
                    element_level = Some(level);
                }
                Repetition::REQUIRED => {}
            }
            let Some(part) = parts.next() else { break };
            let inner = kind.get_fields().iter().find(|field| field.name() == part);
            let missing = || general(format!("schema has no `{part}`"));
            kind = inner.ok_or_else(missing)?;
        }
        // A list of plain values is known by the name of the list; a part of a structure by its whole path.
        let is_plain = root.is_primitive() || element_level.is_some() && leaves(root) == 1;
        let name = if is_plain { root.name().to_owned() } else { descriptor.path().string() };
        Ok(Self { number, name, descriptor: descriptor_of(schema, number), element_level })
    }

    /// Unit of a date or time, which is read as the number that is stored.
    fn time_unit(&self) -> Option<String> {
        let step = match self.descriptor.logical_type_ref()? {
            LogicalType::Date => "d",
            LogicalType::Timestamp(time) => step_of(time.unit),
            LogicalType::Time(time) => step_of(time.unit),
            _ => return None,
        };
        Some(step.to_owned())
    }

    fn is_unsigned(&self) -> bool {
        let converted = matches!(
            self.descriptor.converted_type(),
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
        );
        converted || matches!(self.descriptor.logical_type_ref(), Some(LogicalType::Integer(kind)) if !kind.is_signed)
    }

    fn read(&self, reader: &Reader, cells_left: &mut usize) -> Result<ColumnData, ParquetError> {
        let logical = self.descriptor.logical_type_ref();
        let is_decimal = matches!(logical, Some(LogicalType::Decimal { .. }))
            || self.descriptor.converted_type() == ConvertedType::DECIMAL;
        let physical = self.descriptor.physical_type();
        let refused = || {
            let found = logical.map_or_else(|| physical.to_string(), |logical| format!("{logical:?}"));
            let expected = "numbers, truth values or texts";
            Err(general(format!("column `{}` holds {found}, expected {expected}", self.name)))
        };
        if is_decimal {
            return refused();
        }
        Ok(match physical {
            PhysicalType::BOOLEAN => match self.gather::<BoolType, _>(reader, cells_left, Ok)? {
                Gathered::Single(values) => ColumnData::Bool(values),
                Gathered::Lists(arrays) => ColumnData::Bools(arrays),
            },
            PhysicalType::INT32 if self.is_unsigned() => {
                whole(self.gather::<Int32Type, _>(reader, cells_left, |value| Ok(i64::from(value as u32)))?)
            }
            PhysicalType::INT32 => {
                whole(self.gather::<Int32Type, _>(reader, cells_left, |value| Ok(i64::from(value)))?)
            }
            PhysicalType::INT64 if self.is_unsigned() => {
                self.unsigned(self.gather::<Int64Type, _>(reader, cells_left, |value| Ok(value as u64))?)?
            }
            PhysicalType::INT64 => whole(self.gather::<Int64Type, _>(reader, cells_left, Ok)?),
            PhysicalType::FLOAT => singles(self.gather::<FloatType, _>(reader, cells_left, Ok)?),
            PhysicalType::DOUBLE => match self.gather::<DoubleType, _>(reader, cells_left, Ok)? {
                Gathered::Single(values) => ColumnData::Float(or_nan(&values, f64::NAN)),
                Gathered::Lists(arrays) => ColumnData::Floats(arrays.rows().map(|row| or_nan(row, f64::NAN)).collect()),
            },
            PhysicalType::BYTE_ARRAY => {
                let text = |value: parquet::data_type::ByteArray| {
                    let not_text = |_| general(format!("column `{}` holds bytes that are no UTF-8 text", self.name));
                    String::from_utf8(value.data().to_vec()).map_err(not_text)
                };
                self.texts(self.gather::<ByteArrayType, _>(reader, cells_left, text)?)?
            }
            PhysicalType::FIXED_LEN_BYTE_ARRAY => match logical {
                Some(LogicalType::Float16) => {
                    let half = |value: parquet::data_type::FixedLenByteArray| match value.data() {
                        &[low, high] => Ok(half_to_f32(u16::from_le_bytes([low, high]))),
                        other => Err(general(format!("half-precision number of {} bytes", other.len()))),
                    };
                    singles(self.gather::<FixedLenByteArrayType, _>(reader, cells_left, half)?)
                }
                Some(LogicalType::Uuid) => {
                    let uuid = |value: parquet::data_type::FixedLenByteArray| Ok(uuid_text(value.data()));
                    self.texts(self.gather::<FixedLenByteArrayType, _>(reader, cells_left, uuid)?)?
                }
                _ => return refused(),
            },
            PhysicalType::INT96 => return refused(),
        })
    }

    fn texts(&self, gathered: Gathered<String>) -> Result<ColumnData, ParquetError> {
        match gathered {
            Gathered::Single(values) => {
                Ok(ColumnData::Text(values.into_iter().map(Option::unwrap_or_default).collect()))
            }
            Gathered::Lists(_) => {
                Err(general(format!("column `{}` holds lists of texts, expected one text per row", self.name)))
            }
        }
    }

    /// Numbers beyond 2^63 keep their digits as text.
    fn unsigned(&self, gathered: Gathered<u64>) -> Result<ColumnData, ParquetError> {
        let narrow = |value: &Option<u64>| value.map(i64::try_from).transpose();
        match gathered {
            Gathered::Single(values) => match values.iter().map(narrow).collect() {
                Ok(whole) => Ok(ColumnData::Int(whole)),
                Err(_) => {
                    let digits = |value: &Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
                    Ok(ColumnData::Text(values.iter().map(digits).collect()))
                }
            },
            Gathered::Lists(arrays) => {
                let rows = arrays.rows().map(|row| row.iter().map(narrow).collect::<Result<Vec<_>, _>>());
                let too_large = |_| general(format!("column `{}` holds lists of numbers beyond 2^63", self.name));
                rows.collect::<Result<Arrays<_>, _>>().map(ColumnData::Ints).map_err(too_large)
            }
        }
    }

    /// All values of the column.
    fn gather<T: DataType, V>(
        &self,
        reader: &Reader,
        cells_left: &mut usize,
        convert: impl Fn(T::T) -> Result<V, ParquetError>,
    ) -> Result<Gathered<V>, ParquetError> {
        let mut gathered = match self.element_level {
            None => Gathered::Single(Vec::new()),
            Some(_) => Gathered::Lists(Arrays::default()),
        };
        for number in 0..reader.num_row_groups() {
            let group = reader.get_row_group(number)?;
            self.gather_group::<T, V>(group.as_ref(), cells_left, &convert, &mut gathered)?;
        }
        Ok(gathered)
    }

    fn gather_group<T: DataType, V>(
        &self,
        group: &dyn RowGroupReader,
        cells_left: &mut usize,
        convert: &impl Fn(T::T) -> Result<V, ParquetError>,
        gathered: &mut Gathered<V>,
    ) -> Result<(), ParquetError> {
        let chunk = group.metadata().column(self.number);
        check_chunk(chunk, self.number)?;
        // `checked_rows` has looked at the number of rows, `check_chunk` at the sign of the number of values.
        let rows = group.metadata().num_rows() as usize;
        let cells = usize::try_from(chunk.num_values()).unwrap_or(usize::MAX);
        let is_sound = cells <= *cells_left && (self.element_level.is_some() || cells == rows);
        if !is_sound {
            let found = format!("column `{}` claims {cells} values in {rows} rows", self.name);
            return Err(general(format!(
                "{found}, expected one per row, and no more than a file of this size can have"
            )));
        }
        *cells_left -= cells;
        let (max_definition, max_repetition) = (self.descriptor.max_def_level(), self.descriptor.max_rep_level());
        let mut values = Vec::new();
        let (mut definition, mut repetition) = (Vec::new(), Vec::new());
        let mut column = get_typed_column_reader::<T>(group.get_column_reader(self.number)?);
        let mut read = 0;
        while read < rows {
            let definition = (max_definition > 0).then_some(&mut definition);
            let repetition = (max_repetition > 0).then_some(&mut repetition);
            let (records, _, levels) = column.read_records(rows - read, definition, repetition, &mut values)?;
            if records == 0 && levels == 0 {
                break;
            }
            read += records;
        }
        if read != rows {
            return Err(general(format!("column `{}` has {read} rows, expected {rows}", self.name)));
        }
        let mut values = values.into_iter();
        let missing = || general(format!("column `{}` has fewer values than its levels say", self.name));
        let mut take = |level: i16| -> Result<Option<V>, ParquetError> {
            if level < max_definition {
                return Ok(None);
            }
            values.next().ok_or_else(missing).and_then(convert).map(Some)
        };
        match (gathered, self.element_level) {
            (Gathered::Single(all), _) if max_definition == 0 => {
                for _ in 0..rows {
                    all.push(take(0)?);
                }
            }
            (Gathered::Single(all), _) => {
                for &level in &definition {
                    all.push(take(level)?);
                }
            }
            (Gathered::Lists(all), element_level) => {
                let element_level = element_level.unwrap_or(1);
                let mut row: Option<Vec<Option<V>>> = None;
                for (&level, &repeats) in definition.iter().zip(&repetition) {
                    if repeats == 0
                        && let Some(whole) = row.replace(Vec::new())
                    {
                        all.push(whole);
                    }
                    if level >= element_level
                        && let Some(row) = &mut row
                    {
                        row.push(take(level)?);
                    }
                }
                if let Some(last) = row {
                    all.push(last);
                }
            }
        }
        Ok(())
    }
}

fn step_of(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::MILLIS => "ms",
        TimeUnit::MICROS => "us",
        TimeUnit::NANOS => "ns",
    }
}

/// `SchemaDescriptor::column` hands out a counted reference; this borrows the same descriptor.
fn descriptor_of(schema: &SchemaDescriptor, number: usize) -> &ColumnDescriptor {
    &schema.columns()[number]
}

fn leaves(kind: &parquet::schema::types::Type) -> usize {
    if kind.is_primitive() { 1 } else { kind.get_fields().iter().map(|field| leaves(field)).sum() }
}

enum Gathered<V> {
    Single(Vec<Option<V>>),
    Lists(Arrays<Option<V>>),
}

fn whole(gathered: Gathered<i64>) -> ColumnData {
    match gathered {
        Gathered::Single(values) => ColumnData::Int(values),
        Gathered::Lists(arrays) => ColumnData::Ints(arrays),
    }
}

fn singles(gathered: Gathered<f32>) -> ColumnData {
    match gathered {
        Gathered::Single(values) => ColumnData::Float32(or_nan(&values, f32::NAN)),
        Gathered::Lists(arrays) => ColumnData::Floats32(arrays.rows().map(|row| or_nan(row, f32::NAN)).collect()),
    }
}

fn or_nan<T: Copy>(values: &[Option<T>], nan: T) -> Vec<T> {
    values.iter().map(|value| value.unwrap_or(nan)).collect()
}

/// Every half-precision number is a single-precision one.
fn half_to_f32(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

fn uuid_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (number, byte) in bytes.iter().enumerate() {
        if matches!(number, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
