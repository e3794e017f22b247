//! One FIELD of a VOTable: what its cells hold, and how they are written as text.

use crate::table::{Arrays, Column, ColumnData};

/// The data types of VOTable 1.4, section 2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Datatype {
    Boolean,
    Bit,
    UnsignedByte,
    Short,
    Int,
    Long,
    Char,
    UnicodeChar,
    Float,
    Double,
    FloatComplex,
    DoubleComplex,
}

impl Datatype {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "boolean" => Self::Boolean,
            "bit" => Self::Bit,
            "unsignedByte" => Self::UnsignedByte,
            "short" => Self::Short,
            "int" => Self::Int,
            "long" => Self::Long,
            "char" => Self::Char,
            "unicodeChar" => Self::UnicodeChar,
            "float" => Self::Float,
            "double" => Self::Double,
            "floatComplex" => Self::FloatComplex,
            "doubleComplex" => Self::DoubleComplex,
            _ => return None,
        })
    }

    /// Bytes of one element in a binary stream; bits are packed and have none of their own.
    pub fn bytes(self) -> usize {
        match self {
            Self::Bit => 0,
            Self::Boolean | Self::UnsignedByte | Self::Char => 1,
            Self::Short | Self::UnicodeChar => 2,
            Self::Int | Self::Float => 4,
            Self::Long | Self::Double | Self::FloatComplex => 8,
            Self::DoubleComplex => 16,
        }
    }

    pub fn is_text(self) -> bool {
        matches!(self, Self::Char | Self::UnicodeChar)
    }

    pub fn is_complex(self) -> bool {
        matches!(self, Self::FloatComplex | Self::DoubleComplex)
    }
}

/// How many elements a cell has: `arraysize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    One,
    Fixed(usize),
    Variable,
}

impl Size {
    /// `None` for text that is no arraysize.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
            return Some(Self::One);
        };
        let is_variable = text.ends_with('*');
        let fixed = text.trim_end_matches('*').trim_end_matches('x');
        let mut product = 1_usize;
        for axis in fixed.split('x').filter(|_| !fixed.is_empty()) {
            product = product.checked_mul(axis.trim().parse().ok()?)?;
        }
        Some(if is_variable { Self::Variable } else { Self::Fixed(product) })
    }
}

/// A FIELD element.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub name: String,
    pub datatype: Datatype,
    pub size: Size,
    pub unit: Option<String>,
    pub ucd: Option<String>,
    pub description: Option<String>,
    /// What stands for a missing value: VALUES null="…".
    pub null: Option<String>,
}

/// What was found and what was expected.
pub(super) type Refused = (String, &'static str);

impl Field {
    /// A single value per row; a `char` without arraysize and text of any length are one text.
    fn is_scalar(&self) -> bool {
        self.datatype.is_text() || self.size == Size::One && !self.datatype.is_complex()
    }

    /// An empty column of the right kind.
    pub fn column(&self) -> ColumnData {
        match (self.datatype, self.is_scalar()) {
            (Datatype::Char | Datatype::UnicodeChar, _) => ColumnData::Text(Vec::new()),
            (Datatype::Boolean | Datatype::Bit, true) => ColumnData::Bool(Vec::new()),
            (Datatype::Boolean | Datatype::Bit, false) => ColumnData::Bools(Arrays::default()),
            (Datatype::Float, true) => ColumnData::Float32(Vec::new()),
            (Datatype::Float | Datatype::FloatComplex, _) => ColumnData::Floats32(Arrays::default()),
            (Datatype::Double, true) => ColumnData::Float(Vec::new()),
            (Datatype::Double | Datatype::DoubleComplex, _) => ColumnData::Floats(Arrays::default()),
            (_, true) => ColumnData::Int(Vec::new()),
            (_, false) => ColumnData::Ints(Arrays::default()),
        }
    }

    /// The finished column.
    pub fn finish(self, data: ColumnData) -> Column {
        Column { name: self.name, data, unit: self.unit, description: self.description, ucd: self.ucd }
    }

    /// Whether a whole number stands for a missing one.
    pub fn is_null(&self, value: i64) -> bool {
        self.null.as_deref().is_some_and(|null| parse_integer(null.trim()) == Some(value))
    }

    /// Appends the text of a TD element.
    pub fn push_text(&self, column: &mut ColumnData, text: &str) -> Result<(), Refused> {
        let word = text.trim();
        match column {
            // An empty element is missing; blanks are text.
            ColumnData::Text(values) => values.push(text.to_owned()),
            ColumnData::Bool(values) => values.push(truth(word)?),
            ColumnData::Int(values) => values.push(self.integer(word)?),
            ColumnData::Float(values) => values.push(real(word, self.null.as_deref())?),
            ColumnData::Float32(values) => values.push(real(word, self.null.as_deref())?),
            ColumnData::Bools(arrays) => {
                let row: Vec<Option<bool>> = match self.datatype {
                    // Bits may stand together, truth values as words or letters apart.
                    Datatype::Bit => {
                        let digits = word.chars().filter(|character| !character.is_whitespace());
                        digits.map(|digit| truth(digit.encode_utf8(&mut [0; 4]))).collect::<Result<_, _>>()?
                    }
                    _ => word.split_whitespace().map(truth).collect::<Result<_, _>>()?,
                };
                self.check_length(row.len())?;
                arrays.push(row);
            }
            ColumnData::Ints(arrays) => {
                let row: Vec<Option<i64>> =
                    word.split_whitespace().map(|word| self.integer(word)).collect::<Result<_, _>>()?;
                self.check_length(row.len())?;
                arrays.push(row);
            }
            ColumnData::Floats(arrays) => {
                let row: Vec<f64> = word.split_whitespace().map(|word| real(word, None)).collect::<Result<_, _>>()?;
                self.check_length(row.len())?;
                arrays.push(row);
            }
            ColumnData::Floats32(arrays) => {
                let row: Vec<f32> = word.split_whitespace().map(|word| real(word, None)).collect::<Result<_, _>>()?;
                self.check_length(row.len())?;
                arrays.push(row);
            }
        }
        Ok(())
    }

    /// A cell is empty, or has as many numbers as its field says.
    fn check_length(&self, found: usize) -> Result<(), Refused> {
        let parts = if self.datatype.is_complex() { 2 } else { 1 };
        let sound = match self.size {
            Size::One => found == parts,
            Size::Fixed(length) => Some(found) == length.checked_mul(parts),
            Size::Variable => found.is_multiple_of(parts),
        };
        let refused = || (format!("{found} numbers"), "as many as `arraysize` says");
        (sound || found == 0).then_some(()).ok_or_else(refused)
    }

    fn integer(&self, word: &str) -> Result<Option<i64>, Refused> {
        if word.is_empty() || self.null.as_deref().is_some_and(|null| null.trim() == word) {
            return Ok(None);
        }
        let refused = || (format!("`{word}`"), "a whole number of at most 64 bits");
        let value = parse_integer(word).ok_or_else(refused)?;
        Ok(if self.is_null(value) { None } else { Some(value) })
    }
}

fn parse_integer(word: &str) -> Option<i64> {
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn truth(word: &str) -> Result<Option<bool>, Refused> {
    match word {
        "" | "?" => Ok(None),
        "1" | "T" | "t" => Ok(Some(true)),
        "0" | "F" | "f" => Ok(Some(false)),
        _ if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
        _ if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
        _ => Err((format!("`{word}`"), "T, F, 1, 0, true, false or ?")),
    }
}

trait Real: std::str::FromStr {
    const NAN: Self;
}

impl Real for f32 {
    const NAN: Self = f32::NAN;
}

impl Real for f64 {
    const NAN: Self = f64::NAN;
}

fn real<T: Real>(word: &str, null: Option<&str>) -> Result<T, Refused> {
    if word.is_empty() || null.is_some_and(|null| null.trim() == word) {
        return Ok(T::NAN);
    }
    word.parse().map_err(|_| (format!("`{word}`"), "a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_sizes() {
        assert_eq!(Size::parse(None), Some(Size::One));
        assert_eq!(Size::parse(Some("*")), Some(Size::Variable));
        assert_eq!(Size::parse(Some("12")), Some(Size::Fixed(12)));
        assert_eq!(Size::parse(Some("12*")), Some(Size::Variable));
        assert_eq!(Size::parse(Some("2x3")), Some(Size::Fixed(6)));
        assert_eq!(Size::parse(Some("64x*")), Some(Size::Variable));
        assert_eq!(Size::parse(Some("-1")), None);
        assert_eq!(Size::parse(Some("99999999999x99999999999")), None);
    }
}
