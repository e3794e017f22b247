//! A manifest as a Parquet file: one row per cutout, and the rest as TOML in the file's metadata.
//!
//! Columns, all required: `id` (text), `mosaic`, `row`, `col`, `n_rows`, `n_cols` (i32), `ra`, `dec` (degrees, f64; NaN unknown), `labels`
//! (text, `;` between them), `rms` (Jy/beam), `blank_fraction`, `complexity` (f32; NaN not measured), `part` (text; empty for none),
//! `source` (text; empty for none), `source_ra`, `source_dec` (degrees, f64), `source_width`, `source_height` (arc seconds, f64).
//! Metadata: `radio-ssl.manifest` is the version of this layout, `radio-ssl.manifest.toml` settings and mosaics,
//! `radio-ssl.version` the version of the code, `radio-ssl.manifest.digest` a hash of all that stands before the footer and of the
//! settings: a flipped bit is found before a number is believed. The same manifest gives the same bytes.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use atomic_file::AtomicFile;
use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
        reader::{FileReader, RowGroupReader, SerializedFileReader},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    feature_table::{read_column, write_column},
    parquet_file::unharmed,
};

use super::{
    keyed_order::Fnv,
    manifest::{Cutting, LeftOut, Manifest, ManifestRow, Part, SourceBox, Window},
    mosaic_record::MosaicRecord,
};

/// Version of the layout; another one is refused.
const LAYOUT: &str = "1";
const LAYOUT_KEY: &str = "radio-ssl.manifest";
const SETTINGS_KEY: &str = "radio-ssl.manifest.toml";
const VERSION_KEY: &str = "radio-ssl.version";
const DIGEST_KEY: &str = "radio-ssl.manifest.digest";

const ROWS_PER_GROUP: usize = 16_384;

const COLUMNS: [(&str, &str); 18] = [
    ("id", "binary"),
    ("mosaic", "int32"),
    ("row", "int32"),
    ("col", "int32"),
    ("n_rows", "int32"),
    ("n_cols", "int32"),
    ("ra", "double"),
    ("dec", "double"),
    ("labels", "binary"),
    ("rms", "float"),
    ("blank_fraction", "float"),
    ("complexity", "float"),
    ("part", "binary"),
    ("source", "binary"),
    ("source_ra", "double"),
    ("source_dec", "double"),
    ("source_width", "double"),
    ("source_height", "double"),
];

/// All of a manifest but its rows.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    complexity: Option<String>,
    #[serde(default)]
    history: Vec<String>,
    cutting: Cutting,
    left_out: LeftOut,
    #[serde(default)]
    mosaics: Vec<MosaicRecord>,
}

impl Manifest {
    /// Writes a Parquet file (Snappy), atomically. Mosaics in or below its folder are noted relative to it, so that the whole
    /// can be moved.
    ///
    /// # Errors
    /// [`Error::ManifestRow`], [`Error::Io`], [`Error::Parquet`].
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        self.check(path)?;
        let io_refused = |source| Error::Io { path: path.into(), source };
        let folder = std::path::absolute(path).map_err(io_refused)?.parent().map(Path::to_path_buf);
        let place = |mosaic: &MosaicRecord| {
            let absolute = std::path::absolute(&mosaic.path).map_err(io_refused)?;
            let below = folder.as_deref().and_then(|folder| absolute.strip_prefix(folder).ok());
            let path = below.map_or_else(|| absolute.clone(), PathBuf::from);
            Ok(MosaicRecord { path, ..mosaic.clone() })
        };
        let settings = Settings {
            name: self.name.clone(),
            complexity: self.complexity.clone(),
            history: self.history.clone(),
            cutting: self.cutting.clone(),
            left_out: self.left_out,
            mosaics: self.mosaics.iter().map(place).collect::<Result<_, Error>>()?,
        };
        let settings = toml::to_string(&settings)
            .map_err(|refused| Error::ManifestMetadata { path: path.into(), reason: refused.to_string() })?;
        let mut file = AtomicFile::create(path).map_err(io_refused)?;
        write_rows(&mut file, &self.rows, settings).map_err(|source| Error::Parquet { path: path.into(), source })?;
        file.commit().map_err(io_refused)
    }

    /// Reads a manifest and checks its rows. No mosaic is opened or looked for: [`Manifest::check_mosaics`] does that for all,
    /// and a [`crate::MosaicPool`] for each mosaic when it first opens it.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Parquet`] for a damaged or truncated file, [`Error::Columns`] for another kind of table,
    /// [`Error::ManifestMetadata`], [`Error::ManifestRow`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::Io { path: path.into(), source })?;
        let refused = |source| Error::Parquet { path: path.into(), source };
        let reader = unharmed(|| SerializedFileReader::new(file)).map_err(refused)?;
        let metadata = reader.metadata().file_metadata();
        let describe = |column: &parquet::schema::types::ColumnDescPtr| {
            let optional = if column.max_def_level() > 0 { " (optional)" } else { "" };
            format!("{} {}{optional}", column.name(), column.physical_type())
        };
        let found: Vec<String> = metadata.schema_descr().columns().iter().map(describe).collect();
        let physical = |kind: &str| if kind == "binary" { "BYTE_ARRAY".to_owned() } else { kind.to_uppercase() };
        let expected: Vec<String> = COLUMNS.iter().map(|(name, kind)| format!("{name} {}", physical(kind))).collect();
        if found != expected {
            return Err(Error::Columns { path: path.into(), found, expected });
        }
        let missing = |reason: String| Error::ManifestMetadata { path: path.into(), reason };
        let value = |key: &str| {
            let entry = metadata.key_value_metadata()?.iter().find(|entry| entry.key == key)?;
            entry.value.as_deref()
        };
        match value(LAYOUT_KEY) {
            Some(LAYOUT) => {}
            other => return Err(missing(format!("{LAYOUT_KEY} is {}, expected {LAYOUT}", other.unwrap_or("missing")))),
        }
        let settings = value(SETTINGS_KEY).ok_or_else(|| missing(format!("{SETTINGS_KEY} is missing")))?;
        let noted = value(DIGEST_KEY).ok_or_else(|| missing(format!("{DIGEST_KEY} is missing")))?;
        let found = digest_of(path, noted, settings).map_err(|source| Error::Io { path: path.into(), source })?;
        if found != noted {
            return Err(missing(format!(
                "{DIGEST_KEY} is {noted}, but the contents give {found}: the file is damaged"
            )));
        }
        let settings: Settings =
            toml::from_str(settings).map_err(|refused| missing(format!("{SETTINGS_KEY}: {}", refused.message())))?;
        let mut manifest = Self {
            name: settings.name,
            cutting: settings.cutting,
            complexity: settings.complexity,
            left_out: settings.left_out,
            history: settings.history,
            mosaics: settings.mosaics,
            rows: Vec::new(),
        };
        for number in 0..reader.num_row_groups() {
            let columns = unharmed(|| read_group(reader.get_row_group(number)?.as_ref())).map_err(refused)?;
            columns.append_to(&mut manifest.rows, path)?;
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        for mosaic in &mut manifest.mosaics {
            mosaic.path = folder.join(&mosaic.path);
        }
        manifest.check(path)?;
        Ok(manifest)
    }

    /// Looks at every mosaic file and makes sure that it is the one that was recorded.
    ///
    /// # Errors
    /// [`Error::Io`] for the first that is missing, [`Error::MosaicChanged`] for the first that differs.
    pub fn check_mosaics(&self) -> Result<(), Error> {
        self.mosaics.iter().try_for_each(MosaicRecord::check_file)
    }
}

fn write_rows(file: &mut AtomicFile, rows: &[ManifestRow], settings: String) -> Result<(), ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    let mut schema = "message manifest {\n".to_owned();
    for (name, kind) in COLUMNS {
        let annotation = if kind == "binary" { " (utf8)" } else { "" };
        schema.push_str(&format!("  required {kind} {name}{annotation};\n"));
    }
    schema.push('}');
    let file = Digesting { file, digest: Fnv::default(), length: 0 };
    let mut writer = SerializedFileWriter::new(file, Arc::new(parse_message_type(&schema)?), Arc::new(properties))?;
    for rows in rows.chunks(ROWS_PER_GROUP) {
        let mut group = writer.next_row_group()?;
        write_group(&mut group, rows)?;
        group.close()?;
    }
    // The writer holds nothing back once a group is closed; the footer is still to come.
    writer.flush()?;
    let pages = writer.inner();
    let digest = digest_text(pages.length, pages.digest, &settings);
    let version = format!("radio-io {}", env!("CARGO_PKG_VERSION"));
    let metadata =
        [(LAYOUT_KEY, LAYOUT.to_owned()), (SETTINGS_KEY, settings), (VERSION_KEY, version), (DIGEST_KEY, digest)];
    for (key, value) in metadata {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    writer.close().map(|_| ())
}

/// A file that hashes what is written to it.
struct Digesting<'a> {
    file: &'a mut AtomicFile,
    digest: Fnv,
    length: u64,
}

impl Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.add(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// How many bytes were hashed, and the hash of these and the settings.
fn digest_text(length: u64, mut pages: Fnv, settings: &str) -> String {
    pages.add(settings.as_bytes());
    format!("{length} {:016x}", pages.hash())
}

/// The digest of a file of which `noted` tells how many bytes to hash.
fn digest_of(path: &Path, noted: &str, settings: &str) -> io::Result<String> {
    let length: u64 = noted.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let (mut file, mut pages) = (File::open(path)?.take(length), Fnv::default());
    let (mut block, mut read) = (vec![0; 1 << 16], 0);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(digest_text(read, pages, settings)),
            count => {
                pages.add(&block[..count]);
                read += count as u64;
            }
        }
    }
}

fn write_group<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    rows: &[ManifestRow],
) -> Result<(), ParquetError> {
    let texts = |of: &dyn Fn(&ManifestRow) -> String| -> Vec<ByteArray> {
        rows.iter().map(|row| ByteArray::from(of(row).into_bytes())).collect()
    };
    // The bits of a u32 as an i32; a checked window is far from the sign.
    let wholes = |of: &dyn Fn(&ManifestRow) -> u32| -> Vec<i32> { rows.iter().map(|row| of(row) as i32).collect() };
    let reals = |of: &dyn Fn(&ManifestRow) -> f64| -> Vec<f64> { rows.iter().map(of).collect() };
    let floats = |of: &dyn Fn(&ManifestRow) -> f32| -> Vec<f32> { rows.iter().map(of).collect() };
    let source =
        |of: &'static dyn Fn(&SourceBox) -> f64| reals(&|row: &ManifestRow| row.source.as_ref().map_or(f64::NAN, of));
    write_column::<ByteArrayType, _>(group, &texts(&|row| row.id.clone()))?;
    write_column::<Int32Type, _>(group, &wholes(&|row| row.mosaic))?;
    write_column::<Int32Type, _>(group, &wholes(&|row| row.window.row))?;
    write_column::<Int32Type, _>(group, &wholes(&|row| row.window.col))?;
    write_column::<Int32Type, _>(group, &wholes(&|row| row.window.n_rows))?;
    write_column::<Int32Type, _>(group, &wholes(&|row| row.window.n_cols))?;
    write_column::<DoubleType, _>(group, &reals(&|row| row.sky.map_or(f64::NAN, |sky| sky.0)))?;
    write_column::<DoubleType, _>(group, &reals(&|row| row.sky.map_or(f64::NAN, |sky| sky.1)))?;
    write_column::<ByteArrayType, _>(group, &texts(&|row| row.labels.join(";")))?;
    write_column::<FloatType, _>(group, &floats(&|row| row.rms_jy_beam))?;
    write_column::<FloatType, _>(group, &floats(&|row| row.blank_fraction))?;
    write_column::<FloatType, _>(group, &floats(&|row| row.complexity))?;
    write_column::<ByteArrayType, _>(group, &texts(&|row| row.part.map_or("", Part::text).to_owned()))?;
    write_column::<ByteArrayType, _>(group, &texts(&|row| row.source.as_ref().map_or("", |s| &s.id).to_owned()))?;
    write_column::<DoubleType, _>(group, &source(&|source| source.ra_deg))?;
    write_column::<DoubleType, _>(group, &source(&|source| source.dec_deg))?;
    write_column::<DoubleType, _>(group, &source(&|source| source.size_arcsec.0))?;
    write_column::<DoubleType, _>(group, &source(&|source| source.size_arcsec.1))
}

/// The columns of one row group.
struct Columns {
    ids: Vec<ByteArray>,
    /// mosaic, row, col, n_rows, n_cols.
    wholes: [Vec<i32>; 5],
    sky: [Vec<f64>; 2],
    labels: Vec<ByteArray>,
    /// rms, blank_fraction, complexity.
    floats: [Vec<f32>; 3],
    parts: Vec<ByteArray>,
    sources: Vec<ByteArray>,
    /// source_ra, source_dec, source_width, source_height.
    boxes: [Vec<f64>; 4],
}

fn read_group(group: &dyn RowGroupReader) -> Result<Columns, ParquetError> {
    let whole = |column| read_column::<Int32Type>(group, column);
    let real = |column| read_column::<DoubleType>(group, column);
    let float = |column| read_column::<FloatType>(group, column);
    let text = |column| read_column::<ByteArrayType>(group, column);
    Ok(Columns {
        ids: text(0)?,
        wholes: [whole(1)?, whole(2)?, whole(3)?, whole(4)?, whole(5)?],
        sky: [real(6)?, real(7)?],
        labels: text(8)?,
        floats: [float(9)?, float(10)?, float(11)?],
        parts: text(12)?,
        sources: text(13)?,
        boxes: [real(14)?, real(15)?, real(16)?, real(17)?],
    })
}

impl Columns {
    /// All columns have one length: the reader of each made sure of that.
    fn append_to(&self, rows: &mut Vec<ManifestRow>, path: &Path) -> Result<(), Error> {
        let text = |bytes: &ByteArray| {
            let text = bytes.as_utf8().map_err(|source| Error::Parquet { path: path.into(), source })?;
            Ok::<_, Error>(text.to_owned())
        };
        for i in 0..self.ids.len() {
            let id = text(&self.ids[i])?;
            let number = rows.len();
            let refuse = |found: String, expected: &str| Error::ManifestRow {
                path: path.into(),
                row: number,
                id: id.clone(),
                found,
                expected: expected.into(),
            };
            let whole = |column: usize| {
                let value = self.wholes[column][i];
                u32::try_from(value)
                    .map_err(|_| refuse(format!("{} is {value}", COLUMNS[column + 1].0), "a number from 0"))
            };
            let part = match text(&self.parts[i])?.as_str() {
                "" => None,
                word => Some(
                    Part::of_text(word)
                        .ok_or_else(|| refuse(format!("part `{word}`"), "train, valid, test, border or nothing"))?,
                ),
            };
            let [ra_deg, dec_deg, width, height] = [0, 1, 2, 3].map(|column: usize| self.boxes[column][i]);
            let source = Some(text(&self.sources[i])?).filter(|id| !id.is_empty());
            let source = source.map(|id| SourceBox { id, ra_deg, dec_deg, size_arcsec: (width, height) });
            let sky = (self.sky[0][i], self.sky[1][i]);
            let labels = text(&self.labels[i])?;
            rows.push(ManifestRow {
                mosaic: whole(0)?,
                window: Window { row: whole(1)?, col: whole(2)?, n_rows: whole(3)?, n_cols: whole(4)? },
                sky: (sky.0.is_finite() && sky.1.is_finite()).then_some(sky),
                labels: labels.split(';').filter(|label| !label.is_empty()).map(str::to_owned).collect(),
                rms_jy_beam: self.floats[0][i],
                blank_fraction: self.floats[1][i],
                complexity: self.floats[2][i],
                source,
                part,
                id,
            });
        }
        Ok(())
    }
}
