//! Everything that can go wrong in this crate, with the file, the keyword, what was found and what was expected.
//!
//! Two enums, because they have two audiences: [`FitsError`] is what reading pixels can give, and travels with every
//! [`crate::PixelSource`]; [`Error`] is the crate's, and contains it.

mod fits;

use std::{io, path::PathBuf};

pub use fits::FitsError;

/// Why a survey, a label list, a table or a picture could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A FITS file.
    #[error(transparent)]
    Fits(#[from] FitsError),
    /// The operating system refused.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Not TOML, a missing key, or a value of the wrong kind.
    #[error("{}, line {line}: {reason}", path.display())]
    SurveySyntax {
        /// The survey file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What the TOML reader said.
        reason: String,
    },
    /// A key that no survey file has: most likely a slip of the pen.
    #[error("{}, line {line}: unknown key `{key}`, expected {expected}", path.display())]
    UnknownKey {
        /// The survey file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// Keys that are known there.
        expected: String,
    },
    /// A number of the survey file is out of range.
    #[error("{}: {key} is {found}, expected {expected}", path.display())]
    SurveyValue {
        /// The survey file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// `${NAME}` in a survey file, and nobody knows NAME.
    #[error("{}: `{text}` needs the variable {name}, which is not set", path.display())]
    MissingVariable {
        /// The survey file.
        path: PathBuf,
        /// The variable.
        name: String,
        /// Where it stands.
        text: String,
    },
    /// A survey without mosaics.
    #[error("{}: no [[mosaics]] entry, expected at least one", path.display())]
    NoMosaics {
        /// The survey file.
        path: PathBuf,
    },
    /// Two mosaics of a survey would give the same frame names.
    #[error("mosaic id `{id}` is used by both {} and {}; give one of them another `id`", first.display(), second.display())]
    DuplicateMosaic {
        /// The id.
        id: String,
        /// The first file.
        first: PathBuf,
        /// The second file.
        second: PathBuf,
    },
    /// A mosaic id that could not be part of a file name.
    #[error("mosaic id `{found}`: expected letters, digits, `.`, `-`, `_` or `+`, and at least one of them")]
    BadMosaicId {
        /// The id.
        found: String,
    },
    /// Frames cannot be cut from something smaller than one.
    #[error("{}: {rows} rows x {cols} columns found, expected at least one frame of {size} x {size} pixels", path.display())]
    SmallerThanFrame {
        /// The mosaic.
        path: PathBuf,
        /// Its rows.
        rows: usize,
        /// Its columns.
        cols: usize,
        /// Side of a frame.
        size: usize,
    },
    /// Not one pixel of the mosaic is finite.
    #[error("{}: all {pixels} pixels are blank, expected at least one finite value", path.display())]
    AllBlank {
        /// The mosaic.
        path: PathBuf,
        /// How many pixels it has.
        pixels: u64,
    },
    /// A step so small that the frames would fill the memory.
    #[error("{path}: frames.step {step} makes about {count} frames, expected at most {most}: enlarge the step", path = path.display())]
    TooManyFrames {
        /// The mosaic.
        path: PathBuf,
        /// About how many frames the grid has.
        count: u128,
        /// The limit.
        most: u128,
        /// Distance between neighbours, pixels.
        step: usize,
    },
    /// A grid that cannot be laid.
    #[error("frame grid: size {size}, step {step}, expected both at least 1")]
    BadGrid {
        /// Side of a frame, pixels.
        size: usize,
        /// Distance between neighbours, pixels.
        step: usize,
    },
    /// There is no frame of that number.
    #[error("frame {index} asked for, expected less than {len}")]
    NoSuchFrame {
        /// The number.
        index: usize,
        /// How many there are.
        len: usize,
    },
    /// Text that is no frame name.
    #[error("`{found}` is no frame name, expected the form mosaic_r00128_c00256_s256")]
    BadFrameId {
        /// The text.
        found: String,
    },
    /// A text table that is not what it should be.
    #[error("{}: columns {found:?}, expected {expected:?}", path.display())]
    Columns {
        /// The table.
        path: PathBuf,
        /// Columns found.
        found: Vec<String>,
        /// Columns needed.
        expected: Vec<String>,
    },
    /// One row of a text table has the wrong length, or a cell cannot be read.
    #[error("{}, line {line}: {found}, expected {expected}", path.display())]
    Row {
        /// The table.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A label that the list of labels does not have.
    #[error("{}, line {line}: unknown label `{found}`, expected one of {expected}", path.display())]
    UnknownLabel {
        /// The label file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// The word.
        found: String,
        /// All labels.
        expected: String,
    },
    /// A label for a frame that the survey does not have.
    #[error("{}: label for frame {frame}, which is not among the {frames} frames cut from this survey (mosaic id, position or size differ, or it was left out)", path.display())]
    UnknownFrame {
        /// The label file.
        path: PathBuf,
        /// The frame.
        frame: String,
        /// How many frames there are.
        frames: usize,
    },
    /// A label file without a single label.
    #[error("{}: the label file holds no label, expected at least one row; leave out the `labels` key if there are none", path.display())]
    NoLabels {
        /// The label file.
        path: PathBuf,
    },
    /// The columns of a feature table differ in length.
    #[error("feature table: {column} has {found} rows, expected {expected}")]
    TableShape {
        /// The column.
        column: &'static str,
        /// Its length.
        found: usize,
        /// Length of `ids`.
        expected: usize,
    },
    /// The Parquet library refused.
    #[error("{}: not a Parquet table that can be read or written", path.display())]
    Parquet {
        /// The table.
        path: PathBuf,
        /// What it said.
        source: parquet::errors::ParquetError,
    },
    /// A table file whose contents are not what its format asks for.
    #[error("{}, {place}: {found}, expected {expected}", path.display())]
    TableContent {
        /// The table file.
        path: PathBuf,
        /// Line, row, column, keyword or element.
        place: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// Nothing in the file's first bytes or its extension says which table format it has.
    #[error("{}: {found}, expected a table in CSV or blank-separated text, VOTable, FITS or Parquet (.csv, .tsv, .txt, .dat, .srl, .vot, .xml, .fits, .parquet)", path.display())]
    TableKind {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// A table without the column that was asked for.
    #[error("{}: no column `{column}`, expected one of {columns:?}", path.display())]
    NoColumn {
        /// The table file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// Its columns.
        columns: Vec<String>,
    },
    /// A column that holds another kind of value than the one needed.
    #[error("{}: column `{column}` holds {found}, expected {expected}", path.display())]
    ColumnKind {
        /// The table file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it holds.
        found: String,
        /// What is needed.
        expected: String,
    },
    /// The columns of a table differ in length, or share a name.
    #[error("table column `{column}`: {found}, expected {expected}")]
    TableColumns {
        /// The column.
        column: String,
        /// What is wrong with it.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A setting of how a catalogue is read that its table cannot satisfy.
    #[error("{}: {key}: {found}, expected {expected}", path.display())]
    CatalogueSetting {
        /// The table file.
        path: PathBuf,
        /// Key of [`crate::CatalogueColumns`].
        key: String,
        /// What was found.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A source that cannot be: a position out of range, a number missing, a name used twice.
    #[error("{}, row {row}, column `{column}`: {found}, expected {expected}", path.display())]
    CatalogueRow {
        /// The table file.
        path: PathBuf,
        /// Row, from 1, header lines not counted.
        row: usize,
        /// The column.
        column: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// Not JSON, or JSON of another form.
    #[error("{}, line {line}, column {column}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the JSON reader said.
        reason: String,
    },
    /// An entry of a data list that makes no sense.
    #[error("{}, {entry}: {key} is {found}, expected {expected}", path.display())]
    ListEntry {
        /// The list.
        path: PathBuf,
        /// Which entry: its number, name or id.
        entry: String,
        /// The key at fault.
        key: Box<str>,
        /// Its value.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A class dictionary that cannot be used.
    #[error("class dictionary: {found}, expected {expected}")]
    ClassDictionary {
        /// What was found.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A mask of another size than its image, or a run-length code that does not fill it.
    #[error("mask of {rows} rows x {cols} columns: {found}, expected {expected}")]
    Mask {
        /// Rows of the image.
        rows: usize,
        /// Columns of the image.
        cols: usize,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// Text that is no angle, or no name made of one.
    #[error("`{found}` is no angle, expected {expected}")]
    BadAngle {
        /// The text.
        found: String,
        /// What is read.
        expected: &'static str,
    },
    /// A region file that is not what its format asks for.
    #[error("{}, line {line}: {found}, expected {expected}", path.display())]
    Region {
        /// The region file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A sky coverage (MOC) that cannot be made, read or written.
    #[cfg(feature = "moc")]
    #[error("{}: {reason}", path.display())]
    Coverage {
        /// The file, or the mosaic.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The picture could not be read or written.
    #[error("{}: not an 8-bit PNG that can be read or written", path.display())]
    Png {
        /// The picture.
        path: PathBuf,
        /// What the decoder said.
        source: image::ImageError,
    },
    // Data sets.
    /// A manifest without the metadata that make one, or with some that cannot be understood.
    #[error("{}: not a manifest of this version: {reason}", path.display())]
    ManifestMetadata {
        /// The manifest.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// A row of a manifest that makes no sense.
    #[error("{}: row {row} ({id}): {found}, expected {expected}", path.display())]
    ManifestRow {
        /// The manifest.
        path: PathBuf,
        /// Row, from 0.
        row: usize,
        /// Its name.
        id: String,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A mosaic is not the one that the manifest was made of.
    #[error("{}: {what} is {found}, expected {expected} as when the manifest was made; make the manifest again or restore the file", path.display())]
    MosaicChanged {
        /// The mosaic.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What the file has now.
        found: String,
        /// What the manifest says.
        expected: String,
    },
    /// Two sources of a catalogue have the same name, or names that differ in punctuation only.
    #[error("source `{id}` occurs twice in the catalogue, expected one name for each source")]
    DuplicateSource {
        /// The name.
        id: String,
    },
    /// A number of a split, a guard or a draw is out of range.
    #[error("{key} is {found}, expected {expected}")]
    DataSetSetting {
        /// The number.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// What a survey file chooses of a mosaic file is not there.
    #[error("{}: mosaic {mosaic}: `{key}` is {found}, which chooses no image", path.display())]
    MosaicImage {
        /// The mosaic file.
        path: PathBuf,
        /// Id of the mosaic.
        mosaic: String,
        /// The key of the survey file.
        key: &'static str,
        /// Its value.
        found: String,
        /// What is there; boxed, as it would make every result of this crate larger.
        source: Box<FitsError>,
    },
    /// Complexity was asked for, and a cutout has none.
    #[error(
        "cutout {id} has no complexity, expected one for every cutout; make the manifest with a complexity measure"
    )]
    NoComplexity {
        /// The cutout.
        id: String,
    },
    /// The caller asked to stop.
    #[error("stopped on request")]
    Cancelled,
}
