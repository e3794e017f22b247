//! Pictures in a folder and a table that says what they show.
use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ndarray::Array2;
use radio_augment::{FrameSource, middle_square};
use radio_io::{Mosaic, Table, groups_within, read_png};

/// Boxes smaller than this are enlarged to it, pixels.
const SMALLEST_BOX: usize = 12;

/// Where pictures and labels are.
#[derive(Debug, Clone, clap::Args)]
pub struct ImageOptions {
    /// Folder that the file names of the table are relative to.
    #[arg(long, value_name = "DIR")]
    pub images: PathBuf,
    /// Table with a row for every picture: CSV, VOTable, FITS or Parquet.
    #[arg(long, value_name = "FILE")]
    pub labels: PathBuf,
    /// Column with the file names.
    #[arg(long, value_name = "C", default_value = "file")]
    pub file_column: String,
    /// Keep rows where a column has one of these values; may be repeated.
    #[arg(long, value_name = "COLUMN=V1,V2")]
    pub keep: Vec<String>,
    /// Keep the first row of each value of this column: a source that is listed twice counts once.
    #[arg(long, value_name = "C")]
    pub unique: Option<String>,
    /// Columns with the middle (column and row, from 0) and the side in pixels of a square in the picture.
    #[arg(long = "box", value_name = "X,Y,SIDE")]
    pub boxed: Option<String>,
    /// Side of the square in units of the column; what lies outside the picture is blank.
    #[arg(long, default_value_t = 1.5, requires = "boxed")]
    pub box_factor: f64,
    /// Use the middle square of this side, in pixels of the picture, as the whole input [default: what the encoder was trained on:
    /// the whole picture, or its middle at native resolution].
    #[arg(long, value_name = "PIXELS", conflicts_with = "boxed")]
    pub crop: Option<usize>,
    /// Column with the right ascension of an object, degrees.
    #[arg(long, value_name = "C", default_value = "ra")]
    pub ra_column: String,
    /// Column with its declination, degrees.
    #[arg(long, value_name = "C", default_value = "dec")]
    pub dec_column: String,
    /// Objects within this angle are one group, and groups are never torn, arc seconds.
    #[arg(long, default_value_t = 270.0)]
    pub group_arcsec: f64,
    /// Column whose values are the groups, in place of positions.
    #[arg(long, value_name = "C")]
    pub group_column: Option<String>,
}

impl ImageOptions {
    /// Whether the options say which part of a picture is used.
    pub fn names_a_square(&self) -> bool {
        self.crop.is_some() || self.boxed.is_some()
    }

    /// Whole pictures by the column `file`, each a group of its own.
    pub fn of_files(images: PathBuf, labels: PathBuf) -> Self {
        Self {
            images,
            labels,
            file_column: "file".into(),
            keep: Vec::new(),
            unique: None,
            boxed: None,
            box_factor: 1.0,
            crop: None,
            ra_column: "ra".into(),
            dec_column: "dec".into(),
            group_arcsec: 0.0,
            group_column: None,
        }
    }
}

/// One picture.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The file.
    pub path: PathBuf,
    /// Its name in the table.
    pub id: String,
    /// Middle (column, row) and side of the square that is used; the whole picture without it.
    pub square: Option<[f64; 3]>,
}

impl Picture {
    /// Whether the file is a PNG, whose first row is the top one; that of a FITS image is the southernmost.
    pub fn is_png(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
    }
}

/// Pictures, the rows of the table they come from, and how they are grouped.
#[derive(Debug, Clone)]
pub struct Pictures {
    /// The pictures in use.
    pub list: Vec<Picture>,
    /// The table.
    pub table: Table,
    /// Row of each picture in the table.
    pub rows: Vec<usize>,
    /// Group of each picture.
    pub groups: Vec<usize>,
    /// What a group is, in words.
    pub grouping: String,
    /// Middle square in pixels.
    pub crop: Option<usize>,
}

impl Pictures {
    /// Reads the table and finds the pictures; no pixel is read.
    ///
    /// # Errors
    /// If the table lacks a column, an option is malformed, a name leaves the folder, or no row is left.
    pub fn open(options: &ImageOptions) -> Result<Self> {
        let table = Table::read(&options.labels)?;
        let mut rows: Vec<usize> = (0..table.rows()).collect();
        for keep in &options.keep {
            let (column, values) = keep
                .split_once('=')
                .with_context(|| format!("--keep {keep}: expected COLUMN=VALUE or COLUMN=VALUE,VALUE"))?;
            let (column, values) = (table.column(column)?, values.split(',').collect::<Vec<_>>());
            rows.retain(|&row| values.contains(&column.cell(row).as_str()));
        }
        if let Some(unique) = &options.unique {
            let column = table.column(unique)?;
            let mut seen = std::collections::HashSet::new();
            rows.retain(|&row| seen.insert(column.cell(row)));
        }
        ensure!(!rows.is_empty(), "{}: no row is left after --keep", options.labels.display());
        let squares = match &options.boxed {
            None => None,
            Some(names) => {
                let columns: Vec<Vec<f64>> =
                    names.split(',').map(|name| table.numbers(name)).collect::<std::result::Result<_, _>>()?;
                ensure!(columns.len() == 3, "--box {names}: expected three columns, X,Y,SIDE");
                Some(columns)
            }
        };
        let files = table.column(&options.file_column)?;
        let mut list = Vec::with_capacity(rows.len());
        for &row in &rows {
            let id = files.cell(row);
            let relative = Path::new(&id);
            if id.is_empty() || relative.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
                bail!("{}: row {row}: expected a file name inside the folder, found `{id}`", options.labels.display());
            }
            let square = squares.as_ref().map(|c| [c[0][row], c[1][row], c[2][row] * options.box_factor]);
            list.push(Picture { path: options.images.join(relative), id, square });
        }
        let (groups, grouping) = groups(&table, &rows, options)?;
        Ok(Self { list, table, rows, groups, grouping, crop: options.crop })
    }

    /// Class of every picture by a column of the table, and the names of the classes in alphabetical order.
    ///
    /// # Errors
    /// If there is no such column, a picture has no label, or fewer than two classes are left.
    pub fn labels(&self, column: &str) -> Result<(Vec<usize>, Vec<String>)> {
        let column = self.table.column(column)?;
        let cells: Vec<String> = self.rows.iter().map(|&row| column.cell(row)).collect();
        if let Some(place) = cells.iter().position(String::is_empty) {
            bail!("{}: no `{}`: label it, or leave it out with --keep", self.list[place].id, column.name);
        }
        let classes: Vec<String> = cells.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        ensure!(classes.len() >= 2, "column `{}`: expected two classes or more, found {classes:?}", column.name);
        ensure!(classes.len() <= 1000, "column `{}`: {} different values: not classes", column.name, classes.len());
        let labels = cells.iter().map(|cell| classes.binary_search(cell).unwrap_or(0)).collect();
        Ok((labels, classes))
    }

    /// The classes of every picture, `[pictures, classes]`, where a cell holds several names apart by `;`, or none; and the
    /// names in alphabetical order.
    ///
    /// # Errors
    /// If there is no such column, or no picture has a label.
    pub fn label_sets(&self, column: &str) -> Result<(Array2<bool>, Vec<String>)> {
        let column = self.table.column(column)?;
        let sets: Vec<BTreeSet<String>> = self.rows.iter().map(|&row| names_of(&column.cell(row))).collect();
        let classes: Vec<String> = sets.iter().flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        ensure!(!classes.is_empty(), "column `{}`: no picture has a label", column.name);
        ensure!(classes.len() <= 1000, "column `{}`: {} different names: not classes", column.name, classes.len());
        let has = |(row, class): (usize, usize)| sets[row].contains(&classes[class]);
        Ok((Array2::from_shape_fn((sets.len(), classes.len()), has), classes))
    }

    /// Leaves pictures out, by place.
    pub fn without(&mut self, places: &[usize]) {
        let keep = |place: &usize| !places.contains(place);
        let kept: Vec<usize> = (0..self.list.len()).filter(keep).collect();
        self.list = kept.iter().map(|&place| self.list[place].clone()).collect();
        self.rows = kept.iter().map(|&place| self.rows[place]).collect();
        self.groups = kept.iter().map(|&place| self.groups[place]).collect();
    }

    /// Some of the pictures, in the order of `places`.
    pub fn part(&self, places: &[usize]) -> Self {
        let of = |values: &[usize]| places.iter().map(|&place| values[place]).collect();
        Self {
            list: places.iter().map(|&place| self.list[place].clone()).collect(),
            rows: of(&self.rows),
            groups: of(&self.groups),
            ..self.clone()
        }
    }
}

/// The names in a cell of several, apart by `;`.
fn names_of(cell: &str) -> BTreeSet<String> {
    cell.split(';').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The group of every row, and what it is in words.
fn groups(table: &Table, rows: &[usize], options: &ImageOptions) -> Result<(Vec<usize>, String)> {
    if let Some(name) = &options.group_column {
        let column = table.column(name)?;
        let mut known = std::collections::HashMap::new();
        let number = |row: &usize| {
            let next = known.len();
            *known.entry(column.cell(*row)).or_insert(next)
        };
        return Ok((rows.iter().map(number).collect(), format!("pictures with the same `{name}`")));
    }
    match (table.numbers(&options.ra_column), table.numbers(&options.dec_column)) {
        (Ok(ra), Ok(dec)) => {
            let positions: Vec<(f64, f64)> = rows.iter().map(|&row| (ra[row], dec[row])).collect();
            let words = format!("objects within {}\" of each other on the sky", options.group_arcsec);
            Ok((groups_within(&positions, options.group_arcsec), words))
        }
        _ => {
            let words = format!(
                "every picture on its own: no columns `{}` and `{}`, so pictures of one object may be on two sides",
                options.ra_column, options.dec_column
            );
            Ok(((0..rows.len()).collect(), words))
        }
    }
}

impl FrameSource for Pictures {
    fn len(&self) -> usize {
        self.list.len()
    }

    /// A hash of name and square (FNV-1a): whatever else is in the table, a picture has the same views.
    fn address(&self, i: usize) -> u64 {
        let picture = &self.list[i];
        let square = picture.square.map(|square| square.map(f64::to_bits)).unwrap_or_default();
        let bytes = picture.id.bytes().chain(square.into_iter().flat_map(u64::to_le_bytes));
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    fn pixels(&self, i: usize) -> std::result::Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        let picture = &self.list[i];
        let pixels = if picture.is_png() { read_png(&picture.path)? } else { Mosaic::open(&picture.path)?.full()? };
        Ok(match (picture.square, self.crop) {
            (Some([x, y, side]), _) => square_of(&pixels, x, y, side),
            (None, Some(side)) => middle_square(pixels.view(), side).to_owned(),
            (None, None) => pixels,
        })
    }
}

/// A square about a pixel; NaN outside the picture.
fn square_of(pixels: &Array2<f32>, x: f64, y: f64, side: f64) -> Array2<f32> {
    // A square of more than twice the picture is blank but for its middle: no table decides how much memory is taken.
    let most = 2 * pixels.nrows().max(pixels.ncols());
    let side =
        if side.is_finite() { (side.round() as usize).clamp(SMALLEST_BOX, most.max(SMALLEST_BOX)) } else { most };
    let corner = |middle: f64| (middle - side as f64 / 2.0).round() as i64;
    let (top, left) = (corner(y), corner(x));
    Array2::from_shape_fn((side, side), |(row, col)| {
        let place = (usize::try_from(top.saturating_add(row as i64)), usize::try_from(left.saturating_add(col as i64)));
        match place {
            (Ok(row), Ok(col)) => pixels.get((row, col)).copied().unwrap_or(f32::NAN),
            _ => f32::NAN,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        images: ImageOptions,
    }

    fn options(folder: &Path, more: &[&str]) -> ImageOptions {
        let (images, labels) = (folder.display().to_string(), folder.join("l.csv").display().to_string());
        let line = ["x", "--images", &images, "--labels", &labels].into_iter().chain(more.iter().copied());
        Line::parse_from(line).images
    }

    #[test]
    fn rows_are_kept_grouped_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let picture = Array2::from_shape_fn((20, 30), |(row, col)| (row * 10 + col % 10) as u8);
        radio_io::write_gray_png(&folder.path().join("a.png"), &picture).unwrap();
        let table = "file,class,ra,dec,x,y,side,id\na.png,FRI,10.0,5.0,3,4,8,1\na.png,FRII,10.01,5.0,12,9,10,2\n\
            a.png,other,80.0,5.0,1,1,4,2\na.png,FRI,80.0,-5.0,1,1,4,3\n";
        std::fs::write(folder.path().join("l.csv"), table).unwrap();
        let pictures = Pictures::open(&options(folder.path(), &["--keep", "class=FRI,FRII", "--crop", "6"])).unwrap();
        assert_eq!(pictures.groups, [0, 0, 1], "36 arc seconds apart are one group");
        assert_eq!(pictures.labels("class").unwrap(), (vec![0, 1, 0], vec!["FRI".to_owned(), "FRII".to_owned()]));
        assert_eq!(pictures.pixels(0).unwrap(), picture.mapv(f32::from).slice(ndarray::s![7..13, 12..18]));
        let names = |found: &[&str]| found.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
        assert_eq!(names_of(" a; b;;a "), names(&["a", "b"]));
        assert!(names_of(" ; ").is_empty());
        let (sets, classes) = pictures.label_sets("class").unwrap();
        assert_eq!((sets, classes.len()), (ndarray::array![[true, false], [false, true], [true, false]], 2));
        let unique = Pictures::open(&options(folder.path(), &["--unique", "id", "--group-column", "id"])).unwrap();
        assert_eq!((unique.rows.clone(), unique.groups.clone()), (vec![0, 1, 3], vec![0, 1, 2]));

        let boxed = options(folder.path(), &["--box", "x,y,side", "--box-factor", "2", "--ra-column", "none"]);
        let boxed = Pictures::open(&boxed).unwrap();
        assert!(boxed.grouping.contains("every picture on its own"), "{}", boxed.grouping);
        let pixels = boxed.pixels(1).unwrap();
        assert_eq!((pixels.dim(), pixels[(1, 0)]), ((20, 20), picture[(0, 2)] as f32));
        assert!(pixels[(0, 0)].is_nan(), "a row above the picture");
        assert_ne!(boxed.address(0), boxed.address(1));
    }

    #[test]
    fn malformed_tables_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("l.csv"), "file,class\n../a.png,FRI\n").unwrap();
        let words = |more: &[&str]| Pictures::open(&options(folder.path(), more)).unwrap_err().to_string();
        assert!(words(&[]).contains("inside the folder"));
        assert!(words(&["--keep", "class"]).contains("COLUMN=VALUE"));
        assert!(words(&["--keep", "class=x"]).contains("no row is left"));
        assert!(words(&["--file-column", "name"]).contains("name"));
        assert!(square_of(&Array2::zeros((4, 4)), f64::NAN, 1e300, 1e300).dim().0 <= 12);
    }
}
