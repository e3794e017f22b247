//! What the words of a text table are: the narrowest kind of value that holds every cell of a column.
//!
//! Nothing is lost by it: whole numbers beyond 64 bits, and words such as `007` whose zeros would disappear, keep their column
//! text unless it also holds real numbers.

use super::column::ColumnData;

/// Words that stand for a missing value in columns of numbers and truth values, in lower case.
const NULL_WORDS: [&str; 11] = ["null", "na", "n/a", "none", "--", "---", "-", "...", "…", "masked", "<na>"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CellKind {
    Empty,
    NullWord,
    Integer,
    /// A whole number that is not what its digits show: padded with zeros, or beyond 64 bits.
    Digits,
    Real,
    Bool,
    Text,
}

/// What the cells of a column were so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    integers: bool,
    digits: bool,
    reals: bool,
    bools: bool,
    texts: bool,
}

/// The kind of a whole column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Bool,
    Int,
    Float,
    Text,
}

impl Seen {
    /// Takes note of one cell.
    pub fn add(&mut self, cell: &str) {
        if self.texts {
            return;
        }
        match kind_of(cell.trim()) {
            CellKind::Empty | CellKind::NullWord => {}
            CellKind::Integer => self.integers = true,
            CellKind::Digits => self.digits = true,
            CellKind::Real => self.reals = true,
            CellKind::Bool => self.bools = true,
            CellKind::Text => self.texts = true,
        }
    }

    /// The narrowest kind for all of them.
    pub fn kind(self) -> ValueKind {
        let numbers = self.integers || self.digits || self.reals;
        match self {
            Self { texts: true, .. } => ValueKind::Text,
            Self { bools: true, .. } if numbers => ValueKind::Text,
            Self { bools: true, .. } => ValueKind::Bool,
            Self { reals: true, .. } => ValueKind::Float,
            Self { digits: true, .. } => ValueKind::Text,
            Self { integers: true, .. } => ValueKind::Int,
            _ => ValueKind::Text,
        }
    }
}

impl ValueKind {
    /// An empty column of this kind.
    pub fn column(self) -> ColumnData {
        match self {
            Self::Bool => ColumnData::Bool(Vec::new()),
            Self::Int => ColumnData::Int(Vec::new()),
            Self::Float => ColumnData::Float(Vec::new()),
            Self::Text => ColumnData::Text(Vec::new()),
        }
    }
}

/// Whether a cell is a number, as no column name is.
pub(super) fn is_number(cell: &str) -> bool {
    matches!(kind_of(cell.trim()), CellKind::Integer | CellKind::Digits) || is_finite_real(cell.trim())
}

/// `nan` and `inf` may be names, 1.5 may not.
fn is_finite_real(cell: &str) -> bool {
    cell.parse::<f64>().is_ok_and(f64::is_finite)
}

fn kind_of(cell: &str) -> CellKind {
    let Some(first) = cell.bytes().next() else {
        return CellKind::Empty;
    };
    if first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.') {
        let digits = cell.strip_prefix(['+', '-']).unwrap_or(cell);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let padded = digits.len() > 1 && digits.starts_with('0');
            return match cell.parse::<i64>() {
                // The sign of -0 needs a real number.
                Ok(0) if first == b'-' && !padded => CellKind::Real,
                Ok(_) if !padded => CellKind::Integer,
                _ => CellKind::Digits,
            };
        }
    }
    // Words that begin with none of these are no numbers for Rust either; asking saves a slow parse of every word.
    if matches!(first, b'0'..=b'9' | b'+' | b'-' | b'.' | b'n' | b'N' | b'i' | b'I') && cell.parse::<f64>().is_ok() {
        return CellKind::Real;
    }
    if cell.eq_ignore_ascii_case("true") || cell.eq_ignore_ascii_case("false") {
        return CellKind::Bool;
    }
    if is_null_word(cell) { CellKind::NullWord } else { CellKind::Text }
}

fn is_null_word(cell: &str) -> bool {
    cell.len() <= 6 && NULL_WORDS.iter().any(|word| word.eq_ignore_ascii_case(cell))
}

/// Appends a cell to a column whose kind [`Seen`] found; whatever is no value of that kind is missing.
pub(super) fn push(column: &mut ColumnData, cell: &str) {
    match column {
        ColumnData::Bool(values) => values.push(match cell.trim() {
            cell if cell.eq_ignore_ascii_case("true") => Some(true),
            cell if cell.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }),
        ColumnData::Int(values) => values.push(cell.trim().parse().ok()),
        ColumnData::Float(values) => values.push(cell.trim().parse().unwrap_or(f64::NAN)),
        ColumnData::Text(values) => values.push(cell.to_owned()),
        // No other kind is made from words.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(cells: &[&str]) -> ValueKind {
        let mut seen = Seen::default();
        cells.iter().for_each(|cell| seen.add(cell));
        seen.kind()
    }

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        assert_eq!(kind(&["1", "-2", "+3", "", "NA"]), ValueKind::Int);
        assert_eq!(kind(&["1", "2.5", "--"]), ValueKind::Float);
        assert_eq!(kind(&["nan", "inf", "-Infinity", "1e-7", ".5", "5."]), ValueKind::Float);
        assert_eq!(kind(&["1", "x"]), ValueKind::Text);
        assert_eq!(kind(&["True", "false", "null"]), ValueKind::Bool);
        assert_eq!(kind(&["true", "1"]), ValueKind::Text);
        assert_eq!(kind(&["", "NA"]), ValueKind::Text);
        assert_eq!(kind(&["-0", "1"]), ValueKind::Float);
        assert_eq!(kind(&["12:30:00.5", "-10:00:00"]), ValueKind::Text);
        assert_eq!(kind(&["0x10"]), ValueKind::Text);
    }

    #[test]
    fn digits_that_a_number_would_lose_stay_text() {
        assert_eq!(kind(&["007", "12"]), ValueKind::Text);
        assert_eq!(kind(&["9223372036854775807"]), ValueKind::Int);
        assert_eq!(kind(&["9223372036854775808"]), ValueKind::Text);
        assert_eq!(kind(&["05.30", "11", "03"]), ValueKind::Float);
    }
}
