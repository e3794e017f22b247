//! One column of a table: its values, stored together, and what is known of them.
//!
//! Missing values: `None` among whole numbers and truth values, NaN among real numbers, the empty string among texts, an empty
//! array among arrays. That is all that CSV, FITS and VOTable can tell apart on their own, so every format gives the same table.

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name, unique in its table.
    pub name: String,
    /// The values, one per row.
    pub data: ColumnData,
    /// Unit as written in the file, for instance `deg` or `Jy/beam`.
    pub unit: Option<String>,
    /// One line on what the column is.
    pub description: Option<String>,
    /// Unified content descriptor, for instance `pos.eq.ra;meta.main`.
    pub ucd: Option<String>,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnData {
    /// Truth values.
    Bool(Vec<Option<bool>>),
    /// Whole numbers. Unsigned ones beyond 2^63 do not fit: a column that has any is [`ColumnData::Text`].
    Int(Vec<Option<i64>>),
    /// Real numbers; NaN where missing.
    Float(Vec<f64>),
    /// Real numbers of single precision; NaN where missing.
    Float32(Vec<f32>),
    /// Texts; empty where missing.
    Text(Vec<String>),
    /// An array of truth values per row.
    Bools(Arrays<Option<bool>>),
    /// An array of whole numbers per row.
    Ints(Arrays<Option<i64>>),
    /// An array of real numbers per row; complex numbers are pairs.
    Floats(Arrays<f64>),
    /// An array of single-precision numbers per row; complex numbers are pairs.
    Floats32(Arrays<f32>),
}

/// One array per row, of any lengths, stored end to end. Arrays of several axes are flattened in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrays<T> {
    values: Vec<T>,
    ends: Vec<usize>,
}

impl<T> Default for Arrays<T> {
    fn default() -> Self {
        Self { values: Vec::new(), ends: Vec::new() }
    }
}

impl<T> Arrays<T> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The array of one row; empty beyond the last row.
    pub fn row(&self, row: usize) -> &[T] {
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(row).and_then(|&end| self.values.get(start..end)).unwrap_or_default()
    }

    /// All rows in order.
    pub fn rows(&self) -> impl Iterator<Item = &[T]> {
        (0..self.len()).map(|row| self.row(row))
    }

    /// All values, one row after the other.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Appends a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = T>) {
        self.values.extend(row);
        self.ends.push(self.values.len());
    }

    /// The length that all rows share, if they do.
    pub fn shared_length(&self) -> Option<usize> {
        let first = self.row(0).len();
        (!self.is_empty() && self.rows().all(|row| row.len() == first)).then_some(first)
    }
}

impl<T> FromIterator<Vec<T>> for Arrays<T> {
    fn from_iter<I: IntoIterator<Item = Vec<T>>>(rows: I) -> Self {
        let mut arrays = Self::default();
        rows.into_iter().for_each(|row| arrays.push(row));
        arrays
    }
}

macro_rules! each_kind {
    ($data:expr, $values:ident => $result:expr) => {
        match $data {
            ColumnData::Bool($values) => $result,
            ColumnData::Int($values) => $result,
            ColumnData::Float($values) => $result,
            ColumnData::Float32($values) => $result,
            ColumnData::Text($values) => $result,
            ColumnData::Bools($values) => $result,
            ColumnData::Ints($values) => $result,
            ColumnData::Floats($values) => $result,
            ColumnData::Floats32($values) => $result,
        }
    };
}

impl ColumnData {
    /// Number of rows.
    pub fn len(&self) -> usize {
        each_kind!(self, values => values.len())
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the column holds, in words for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "truth values",
            Self::Int(_) => "whole numbers",
            Self::Float(_) => "real numbers",
            Self::Float32(_) => "single-precision numbers",
            Self::Text(_) => "text",
            Self::Bools(_) => "arrays of truth values",
            Self::Ints(_) => "arrays of whole numbers",
            Self::Floats(_) => "arrays of real numbers",
            Self::Floats32(_) => "arrays of single-precision numbers",
        }
    }
}

impl Column {
    /// A column without unit, description or descriptor.
    pub fn new(name: impl Into<String>, data: ColumnData) -> Self {
        Self { name: name.into(), data, unit: None, description: None, ucd: None }
    }

    /// The same with a unit.
    pub fn with_unit(self, unit: impl Into<String>) -> Self {
        Self { unit: Some(unit.into()), ..self }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The numbers of a column of whole or real numbers, NaN where missing; `None` for any other kind.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        match &self.data {
            ColumnData::Int(values) => {
                Some(values.iter().map(|value| value.map_or(f64::NAN, |value| value as f64)).collect())
            }
            ColumnData::Float(values) => Some(values.clone()),
            ColumnData::Float32(values) => Some(values.iter().map(|&value| f64::from(value)).collect()),
            _ => None,
        }
    }

    /// The whole numbers; `None` for any other kind.
    pub fn integers(&self) -> Option<&[Option<i64>]> {
        match &self.data {
            ColumnData::Int(values) => Some(values),
            _ => None,
        }
    }

    /// The texts; `None` for any other kind.
    pub fn texts(&self) -> Option<&[String]> {
        match &self.data {
            ColumnData::Text(values) => Some(values),
            _ => None,
        }
    }

    /// One value as text, as CSV files have it: empty where missing, the fewest digits that read back as the same number,
    /// arrays with `;` between their values.
    pub fn cell(&self, row: usize) -> String {
        let mut text = String::new();
        self.write_cell(row, &mut text);
        text
    }

    /// Appends [`Column::cell`] to a text.
    pub(crate) fn write_cell(&self, row: usize, to: &mut String) {
        match &self.data {
            ColumnData::Bool(values) => write_one(values.get(row).copied().flatten().map(truth_word), to),
            ColumnData::Int(values) => write_one(values.get(row).copied().flatten(), to),
            ColumnData::Float(values) => write_real(values.get(row), to),
            ColumnData::Float32(values) => write_real(values.get(row), to),
            ColumnData::Text(values) => to.push_str(values.get(row).map(String::as_str).unwrap_or_default()),
            ColumnData::Bools(values) => {
                write_many(values.row(row), to, |value, to| write_one(value.map(truth_word), to))
            }
            ColumnData::Ints(values) => write_many(values.row(row), to, |value, to| write_one(*value, to)),
            ColumnData::Floats(values) => write_many(values.row(row), to, |value, to| write_real(Some(value), to)),
            ColumnData::Floats32(values) => write_many(values.row(row), to, |value, to| write_real(Some(value), to)),
        }
    }
}

/// The spelling that astropy writes, and reads where it is asked to find truth values; `true` would be text to it.
fn truth_word(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

fn write_one<T: std::fmt::Display>(value: Option<T>, to: &mut String) {
    use std::fmt::Write;
    if let Some(value) = value {
        // Writing to a string cannot fail.
        let _ = write!(to, "{value}");
    }
}

/// With a point or an exponent, so that a column of real numbers that happen to be whole stays one.
fn write_real<T: std::fmt::Debug>(value: Option<&T>, to: &mut String) {
    use std::fmt::Write;
    if let Some(value) = value {
        let _ = write!(to, "{value:?}");
    }
}

fn write_many<T>(values: &[T], to: &mut String, write: impl Fn(&T, &mut String)) {
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            to.push(';');
        }
        write(value, to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_keep_their_rows_apart() {
        let arrays: Arrays<i32> = [vec![1, 2], vec![], vec![3]].into_iter().collect();
        assert_eq!((arrays.len(), arrays.row(0), arrays.row(1), arrays.row(2)), (3, &[1, 2][..], &[][..], &[3][..]));
        assert_eq!(arrays.row(3), &[] as &[i32]);
        assert_eq!(arrays.shared_length(), None);
        assert_eq!([vec![1, 2], vec![3, 4]].into_iter().collect::<Arrays<i32>>().shared_length(), Some(2));
        assert_eq!(Arrays::<i32>::default().shared_length(), None);
    }

    #[test]
    fn cells_read_back_as_the_same_value() {
        let column = Column::new("x", ColumnData::Float(vec![0.1 + 0.2, 1.0, -0.0, f64::NAN, 1e300]));
        let cells: Vec<String> = (0..6).map(|row| column.cell(row)).collect();
        assert_eq!(cells, ["0.30000000000000004", "1.0", "-0.0", "NaN", "1e300", ""]);
        let column = Column::new("n", ColumnData::Ints([vec![Some(1), None, Some(-3)]].into_iter().collect()));
        assert_eq!(column.cell(0), "1;;-3");
        let column = Column::new("b", ColumnData::Bool(vec![Some(true), Some(false), None]));
        assert_eq!([column.cell(0), column.cell(1), column.cell(2)], ["True", "False", ""]);
        let column = Column::new("b", ColumnData::Bools([vec![Some(true), None]].into_iter().collect()));
        assert_eq!(column.cell(0), "True;");
    }
}
