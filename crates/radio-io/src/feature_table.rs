//! The feature table: one row per cutout with its name, place, noise and representation.
//!
//! Parquet is the exchange format between stages; CSV and the older tools' text layout are in [`crate::feature_text`].
//! Columns: `id` (text), `ra`, `dec` (degrees, f64), `rms` (Jy/beam, f32), `blank_fraction` (f32), `f000`, `f001`, … (f32).

use std::{collections::BTreeMap, fs::File, path::Path, sync::Arc};

use ndarray::Array2;
use parquet::{
    basic::Compression,
    column::{reader::get_typed_column_reader, writer::ColumnWriterImpl},
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType},
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, KeyValue},
        properties::{EnabledStatistics, WriterProperties},
        reader::{FileReader, RowGroupReader, SerializedFileReader},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};

use atomic_file::AtomicFile;

use crate::{error::Error, parquet_file::read_parquet_file};

/// Columns before the features.
pub(crate) const FIXED_COLUMNS: [&str; 5] = ["id", "ra", "dec", "rms", "blank_fraction"];

/// Rows that are written, and held in memory by a reader, at a time.
const ROWS_PER_GROUP: usize = 16_384;

/// Representations of cutouts. All columns have the same length N.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeatureTable {
    /// Names, usually of frames ([`crate::FrameId`]).
    pub ids: Vec<String>,
    /// Right ascension of the centre, degrees, J2000; NaN if unknown.
    pub ra_deg: Vec<f64>,
    /// Declination of the centre, degrees, J2000; NaN if unknown.
    pub dec_deg: Vec<f64>,
    /// Noise, Jy/beam.
    pub rms_jy_beam: Vec<f32>,
    /// Share of blank pixels.
    pub blank_fraction: Vec<f32>,
    /// Features `[N, F]`.
    pub features: Array2<f32>,
    /// What else is to be remembered (run, weights, data), kept in the Parquet file's metadata.
    pub metadata: BTreeMap<String, String>,
}

impl FeatureTable {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Names of all columns in order.
    pub fn columns(&self) -> Vec<String> {
        column_names(self.features.ncols())
    }

    /// Makes sure that all columns have the same length.
    ///
    /// # Errors
    /// [`Error::TableShape`] naming the first column that differs.
    pub fn check(&self) -> Result<(), Error> {
        let expected = self.ids.len();
        let columns = [
            ("ra", self.ra_deg.len()),
            ("dec", self.dec_deg.len()),
            ("rms", self.rms_jy_beam.len()),
            ("blank_fraction", self.blank_fraction.len()),
            ("features", self.features.nrows()),
        ];
        match columns.into_iter().find(|(_, found)| *found != expected) {
            Some((column, found)) => Err(Error::TableShape { column, found, expected }),
            None => Ok(()),
        }
    }

    /// Writes a Parquet file (Snappy), atomically.
    ///
    /// # Errors
    /// [`Error::TableShape`], [`Error::Io`], [`Error::Parquet`].
    pub fn write_parquet(&self, path: &Path) -> Result<(), Error> {
        self.check()?;
        let io_refused = |source| Error::Io { path: path.into(), source };
        let mut file = AtomicFile::create(path).map_err(io_refused)?;
        self.write_parquet_to(&mut file).map_err(|source| Error::Parquet { path: path.into(), source })?;
        file.commit().map_err(io_refused)
    }

    fn write_parquet_to(&self, file: &mut AtomicFile) -> Result<(), ParquetError> {
        let metadata = self.metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            // Real numbers hardly repeat: dictionaries and statistics would cost time and buy nothing.
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_key_value_metadata(Some(metadata))
            .build();
        let schema = Arc::new(parse_message_type(&message_type(self.features.ncols()))?);
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        for start in (0..self.len()).step_by(ROWS_PER_GROUP) {
            let rows = start..self.len().min(start + ROWS_PER_GROUP);
            let mut group = writer.next_row_group()?;
            let names: Vec<ByteArray> = self.ids[rows.clone()].iter().map(|id| ByteArray::from(id.as_str())).collect();
            write_column::<ByteArrayType, _>(&mut group, &names)?;
            write_column::<DoubleType, _>(&mut group, &self.ra_deg[rows.clone()])?;
            write_column::<DoubleType, _>(&mut group, &self.dec_deg[rows.clone()])?;
            write_column::<FloatType, _>(&mut group, &self.rms_jy_beam[rows.clone()])?;
            write_column::<FloatType, _>(&mut group, &self.blank_fraction[rows.clone()])?;
            for feature in self.features.columns() {
                write_column::<FloatType, _>(&mut group, &feature.slice(ndarray::s![rows.clone()]).to_vec())?;
            }
            group.close()?;
        }
        writer.close().map(|_| ())
    }

    /// Reads a Parquet file written by [`FeatureTable::write_parquet`], or by any tool with the same columns.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Parquet`], and [`Error::Columns`] if names, order or types differ.
    pub fn read_parquet(path: &Path) -> Result<Self, Error> {
        read_parquet_file(path, |reader| {
            let schema = reader.metadata().file_metadata().schema_descr();
            let describe = |column: &parquet::schema::types::ColumnDescPtr| {
                let optional = if column.max_def_level() > 0 { " (optional)" } else { "" };
                format!("{} {}{optional}", column.name(), column.physical_type())
            };
            let found: Vec<String> = schema.columns().iter().map(describe).collect();
            let n_features = found.len().saturating_sub(FIXED_COLUMNS.len());
            let expected = typed_column_names(n_features);
            if found != expected {
                return Err(Error::Columns { path: path.into(), found, expected });
            }
            let refused = |source| Error::Parquet { path: path.into(), source };
            let mut table = read_groups(reader, n_features).map_err(refused)?;
            let metadata = reader.metadata().file_metadata().key_value_metadata();
            table.metadata = metadata
                .into_iter()
                .flatten()
                .map(|entry| (entry.key.clone(), entry.value.clone().unwrap_or_default()))
                .collect();
            Ok(table)
        })
    }
}

pub(crate) fn column_names(n_features: usize) -> Vec<String> {
    let features = (0..n_features).map(|feature| format!("f{feature:03}"));
    FIXED_COLUMNS.map(str::to_owned).into_iter().chain(features).collect()
}

fn typed_column_names(n_features: usize) -> Vec<String> {
    let types = ["BYTE_ARRAY", "DOUBLE", "DOUBLE", "FLOAT", "FLOAT"].into_iter().chain(std::iter::repeat("FLOAT"));
    column_names(n_features).iter().zip(types).map(|(name, kind)| format!("{name} {kind}")).collect()
}

fn message_type(n_features: usize) -> String {
    let types = ["binary", "double", "double", "float", "float"].into_iter().chain(std::iter::repeat("float"));
    let mut text = "message features {\n".to_owned();
    for (name, kind) in column_names(n_features).iter().zip(types) {
        let annotation = if kind == "binary" { " (utf8)" } else { "" };
        text.push_str(&format!("  required {kind} {name}{annotation};\n"));
    }
    text.push('}');
    text
}

pub(crate) fn write_column<T, W>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
) -> Result<(), ParquetError>
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

fn read_groups(reader: &SerializedFileReader<File>, n_features: usize) -> Result<FeatureTable, ParquetError> {
    let mut table = FeatureTable::default();
    let mut by_feature: Vec<Vec<f32>> = vec![Vec::new(); n_features];
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number)?;
        let group = group.as_ref();
        for name in read_column::<ByteArrayType>(group, 0)? {
            table.ids.push(name.as_utf8()?.to_owned());
        }
        table.ra_deg.extend(read_column::<DoubleType>(group, 1)?);
        table.dec_deg.extend(read_column::<DoubleType>(group, 2)?);
        table.rms_jy_beam.extend(read_column::<FloatType>(group, 3)?);
        table.blank_fraction.extend(read_column::<FloatType>(group, 4)?);
        for (feature, values) in by_feature.iter_mut().enumerate() {
            values.extend(read_column::<FloatType>(group, FIXED_COLUMNS.len() + feature)?);
        }
    }
    let mut features = Array2::zeros((table.ids.len(), n_features));
    for (mut to, from) in features.columns_mut().into_iter().zip(&by_feature) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
    table.features = features;
    Ok(table)
}

pub(crate) fn read_column<T: DataType>(group: &dyn RowGroupReader, column: usize) -> Result<Vec<T::T>, ParquetError> {
    let rows =
        usize::try_from(group.metadata().num_rows()).map_err(|refused| ParquetError::General(refused.to_string()))?;
    let chunk = group.metadata().column(column);
    check_chunk(chunk, column)?;
    // The reader makes room for what the file claims before it reads a value: do not believe more than a group can hold.
    if rows > MOST_GROUP_ROWS || usize::try_from(chunk.num_values()) != Ok(rows) {
        let found = chunk.num_values();
        return Err(ParquetError::General(format!(
            "column {column}: expected {rows} values, at most {MOST_GROUP_ROWS} in a group, found {found}"
        )));
    }
    let mut values = Vec::new();
    let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column)?);
    let (read, _, _) = reader.read_records(rows, None, None, &mut values)?;
    if read != rows {
        return Err(ParquetError::General(format!("column {column} has {read} rows, expected {rows}")));
    }
    Ok(values)
}

/// Most rows of one row group that are believed; our own groups are far smaller.
const MOST_GROUP_ROWS: usize = 1 << 24;

/// The library panics on the negative offsets and lengths that damaged files have.
pub(crate) fn check_chunk(chunk: &ColumnChunkMetaData, column: usize) -> Result<(), ParquetError> {
    let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
    let numbers = [start, chunk.data_page_offset(), chunk.compressed_size(), chunk.num_values()];
    let sound = numbers.iter().all(|&number| number >= 0) && start.checked_add(chunk.compressed_size()).is_some();
    sound
        .then_some(())
        .ok_or_else(|| ParquetError::General(format!("column {column}: impossible place {numbers:?} in the file")))
}
