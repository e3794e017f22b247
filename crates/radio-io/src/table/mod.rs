//! Tables of named, typed columns, and the file formats that astronomers keep them in.
//!
//! [`Table::read`] looks at the first bytes of a file and opens CSV and blank-separated text, VOTable, FITS tables and Parquet,
//! the first three also gzipped; [`Table::write`] goes by the extension. All formats give the same columns ([`ColumnData`]),
//! so what reads a catalogue need not know where it came from.
//!
//! No file can make a reader ask for more memory than a small multiple of its own size, or than the limits here say.

use std::{
    collections::{BTreeMap, HashSet},
    io::Read,
    path::{Path, PathBuf},
};

use crate::error::Error;

mod column;
mod fits_table;
mod parquet_table;
mod text;
mod text_layout;
mod value_kind;
mod votable;

pub use column::{Arrays, Column, ColumnData};
pub use text::{TextHeader, TextOptions};
pub use text_layout::Delimiter;

/// Most columns of a table.
pub const MOST_COLUMNS: usize = 65_536;
/// Most cells (rows times columns, and values of arrays) of a table whose size its file does not bound by itself.
pub const MOST_CELLS: usize = 1 << 30;
/// Most bytes that a gzipped table may have once inflated.
pub const MOST_INFLATED_BYTES: u64 = 4 << 30;

/// Columns of equal length.
///
/// ```
/// use radio_io::{Column, ColumnData, Table};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sources.xml");
/// let ra = Column::new("ra", ColumnData::Float(vec![83.63, 187.71])).with_unit("deg");
/// let table = Table::new(vec![Column::new("name", ColumnData::Text(vec!["3C 144".into(), "3C 274".into()])), ra])?;
/// table.write(&path)?;
/// assert_eq!(Table::read(&path)?.column("ra")?, table.column("ra")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The file it was read from, for messages; empty for a table made in memory.
    pub path: PathBuf,
    /// Name of the table within its file.
    pub name: Option<String>,
    /// The columns.
    pub columns: Vec<Column>,
    /// What else the file says: parameters of a VOTable, key-value pairs of a Parquet file.
    pub metadata: BTreeMap<String, String>,
}

/// Which table of a file that holds several.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TableChoice {
    /// The first that has rows; one without rows only if none has.
    #[default]
    First,
    /// By number, from 0: the nth TABLE of a VOTable, the nth header-data unit of a FITS file (0 is the primary one).
    Number(usize),
    /// By name: `ID` or `name` in a VOTable, EXTNAME in a FITS file.
    Name(String),
}

/// The file formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    VoTable,
    Fits,
    Parquet,
}

impl Table {
    /// A table made in memory.
    ///
    /// # Errors
    /// [`Error::TableColumns`] if the columns differ in length or two have one name.
    pub fn new(columns: Vec<Column>) -> Result<Self, Error> {
        let table = Self { columns, ..Self::default() };
        table.check()?;
        Ok(table)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// Names of the columns in order.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// The column of that name, if there is one; upper and lower case differ.
    pub fn get(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of that name.
    ///
    /// # Errors
    /// [`Error::NoColumn`].
    pub fn column(&self, name: &str) -> Result<&Column, Error> {
        let missing = || Error::NoColumn { path: self.path.clone(), column: name.to_owned(), columns: self.names() };
        self.get(name).ok_or_else(missing)
    }

    /// The numbers of a column, NaN where missing.
    ///
    /// # Errors
    /// [`Error::NoColumn`]; [`Error::ColumnKind`] if it holds no single numbers.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, Error> {
        let column = self.column(name)?;
        column.numbers().ok_or_else(|| self.wrong_kind(column, "one number per row"))
    }

    /// The texts of a column.
    ///
    /// # Errors
    /// [`Error::NoColumn`]; [`Error::ColumnKind`] if it holds no text.
    pub fn texts(&self, name: &str) -> Result<&[String], Error> {
        let column = self.column(name)?;
        column.texts().ok_or_else(|| self.wrong_kind(column, "text"))
    }

    fn wrong_kind(&self, column: &Column, expected: &str) -> Error {
        Error::ColumnKind {
            path: self.path.clone(),
            column: column.name.clone(),
            found: column.data.kind().to_owned(),
            expected: expected.to_owned(),
        }
    }

    /// Makes sure that all columns have one length and different names.
    ///
    /// # Errors
    /// [`Error::TableColumns`].
    pub fn check(&self) -> Result<(), Error> {
        let mut names = HashSet::new();
        for column in &self.columns {
            let wrong = |found: String, expected: String| {
                Err(Error::TableColumns { column: column.name.clone(), found, expected })
            };
            if column.len() != self.rows() {
                return wrong(format!("{} rows", column.len()), format!("{} as in the first column", self.rows()));
            }
            if !names.insert(&column.name) {
                return wrong("the name twice".to_owned(), "another name for each column".to_owned());
            }
        }
        Ok(())
    }

    /// Reads a table of any of the formats; of several tables in one file, the first that has rows.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::TableKind`] for a file of no known format; [`Error::TableContent`], [`Error::Parquet`] and
    /// [`Error::Fits`] for a damaged one.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::read_choice(path, &TableChoice::First)
    }

    /// Reads one of several tables of a file; formats that hold only one know [`TableChoice::First`] alone.
    ///
    /// # Errors
    /// Those of [`Table::read`]; [`Error::TableContent`] if there is no such table.
    pub fn read_choice(path: &Path, choice: &TableChoice) -> Result<Self, Error> {
        let bytes = read_bytes(path)?;
        Self::from_bytes(bytes, path, choice)
    }

    /// Like [`Table::read_choice`] for the contents of a file that is already in memory.
    ///
    /// # Errors
    /// Those of [`Table::read_choice`].
    pub fn from_bytes(bytes: Vec<u8>, path: &Path, choice: &TableChoice) -> Result<Self, Error> {
        let kind = kind_of_bytes(&bytes, path)?;
        if matches!(kind, Kind::Text | Kind::Parquet) && *choice != TableChoice::First {
            return Err(no_such_table(path, choice, "one table, without a number or name"));
        }
        match kind {
            Kind::Text => text::read_text(&bytes, path, &TextOptions::default()),
            Kind::VoTable => votable::read_votable(&bytes, path, choice),
            Kind::Fits => fits_table::read_fits(&bytes, path, choice),
            Kind::Parquet => parquet_table::read_parquet(bytes, path),
        }
    }

    /// Reads a text table with a given layout, where [`Table::read`] would guess wrong.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::TableContent`].
    pub fn read_text(path: &Path, options: &TextOptions) -> Result<Self, Error> {
        text::read_text(&read_bytes(path)?, path, options)
    }

    /// Writes the table, atomically, in the format of the extension: `.csv` and `.tsv`, `.dat` and `.txt` (blanks between the
    /// columns), `.vot`, `.votable` and `.xml`, `.fits` and `.fit`, `.parquet` and `.pq`.
    ///
    /// # Errors
    /// [`Error::TableKind`] for another extension; [`Error::TableColumns`]; [`Error::Io`], [`Error::Parquet`], [`Error::Fits`];
    /// [`Error::TableContent`] for a text that the format cannot hold.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        self.check()?;
        match extension(path).as_str() {
            "csv" => text::write_text(self, path, Delimiter::Comma),
            "tsv" => text::write_text(self, path, Delimiter::Tab),
            "dat" | "txt" => text::write_text(self, path, Delimiter::Blanks),
            "vot" | "votable" | "xml" => votable::write_votable(self, path),
            "fits" | "fit" => fits_table::write_fits(self, path),
            "parquet" | "pq" => parquet_table::write_parquet(self, path),
            other => Err(Error::TableKind { path: path.into(), found: format!("extension `{other}`") }),
        }
    }
}

/// What a reader says when a file has no table of that number or name.
fn no_such_table(path: &Path, choice: &TableChoice, has: &str) -> Error {
    let found = match choice {
        TableChoice::First => "no table".to_owned(),
        TableChoice::Number(number) => format!("table number {number} asked for"),
        TableChoice::Name(name) => format!("table `{name}` asked for"),
    };
    Error::TableContent { path: path.into(), place: "choice of table".to_owned(), found, expected: has.to_owned() }
}

/// Different names for all columns: a second `x` becomes `x_2`.
fn make_names_unique(columns: &mut [Column]) {
    let mut taken: HashSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    let mut seen = HashSet::new();
    for column in columns {
        if !seen.insert(column.name.clone()) {
            let free = (2_u64..).map(|number| format!("{}_{number}", column.name)).find(|name| !taken.contains(name));
            column.name = free.unwrap_or_default();
            taken.insert(column.name.clone());
            seen.insert(column.name.clone());
        }
    }
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// The contents of a file, inflated if it is gzipped.
fn read_bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let refused = |source| Error::Io { path: path.into(), source };
    let bytes = std::fs::read(path).map_err(refused)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut inflated = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(&bytes[..]).take(MOST_INFLATED_BYTES + 1);
    reader.read_to_end(&mut inflated).map_err(refused)?;
    if inflated.len() as u64 > MOST_INFLATED_BYTES {
        return Err(Error::TableContent {
            path: path.into(),
            place: "gzip".to_owned(),
            found: format!("more than {MOST_INFLATED_BYTES} bytes once inflated"),
            expected: "a smaller table, or one that is not gzipped".to_owned(),
        });
    }
    Ok(inflated)
}

fn kind_of_bytes(bytes: &[u8], path: &Path) -> Result<Kind, Error> {
    let refuse = |found: &str| Err(Error::TableKind { path: path.into(), found: found.to_owned() });
    let start = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let head = &start[..start.len().min(4096)];
    let has = |word: &[u8]| head.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    match start {
        [] => refuse("an empty file"),
        _ if bytes.starts_with(b"PAR1") => Ok(Kind::Parquet),
        _ if bytes.starts_with(b"SIMPLE  =") => Ok(Kind::Fits),
        _ if start.starts_with(b"<") && has(b"VOTABLE") => Ok(Kind::VoTable),
        _ if start.starts_with(b"<") => refuse("XML or HTML that is no VOTable"),
        _ if start.starts_with(b"{") && extension(path) == "json" => refuse("JSON (a data list?)"),
        _ if head.contains(&0) => refuse("binary contents of no known format"),
        // What is left of a file that was cut off in its first bytes would pass for a text table (found by fuzzing).
        _ if !matches!(written_as(path), None | Some(Kind::Text)) => {
            refuse(&format!("text in a file named .{}", extension(path)))
        }
        _ => Ok(Kind::Text),
    }
}

/// The format that a file of this extension is written in.
fn written_as(path: &Path) -> Option<Kind> {
    match extension(path).as_str() {
        "csv" | "tsv" | "dat" | "txt" => Some(Kind::Text),
        "vot" | "votable" | "xml" => Some(Kind::VoTable),
        "fits" | "fit" => Some(Kind::Fits),
        "parquet" | "pq" => Some(Kind::Parquet),
        _ => None,
    }
}
