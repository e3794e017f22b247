//! TFORMn: what a column of a binary table holds.

/// What one element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Logical,
    Bit,
    Byte,
    Short,
    Int,
    Long,
    Character,
    Float,
    Double,
    Complex,
    DoubleComplex,
}

impl Element {
    fn parse(letter: char) -> Option<Self> {
        Some(match letter {
            'L' => Self::Logical,
            'X' => Self::Bit,
            'B' => Self::Byte,
            'I' => Self::Short,
            'J' => Self::Int,
            'K' => Self::Long,
            'A' => Self::Character,
            'E' => Self::Float,
            'D' => Self::Double,
            'C' => Self::Complex,
            'M' => Self::DoubleComplex,
            _ => return None,
        })
    }

    /// Bytes of `count` elements.
    pub fn bytes(self, count: usize) -> Option<usize> {
        let each = match self {
            Self::Bit => return Some(count.div_ceil(8)),
            Self::Logical | Self::Byte | Self::Character => 1,
            Self::Short => 2,
            Self::Int | Self::Float => 4,
            Self::Long | Self::Double | Self::Complex => 8,
            Self::DoubleComplex => 16,
        };
        count.checked_mul(each)
    }
}

/// A parsed TFORM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// So many elements in the row itself.
    Fixed(Element, usize),
    /// A descriptor of an array in the heap: length and offset of 32 bits (P), or of 64 (Q, `true`).
    Variable(Element, bool),
    /// `0PJ` and the like: nothing at all.
    Nothing,
}

impl Format {
    /// `None` for text that is no TFORM.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
        let count: usize = if digits == 0 { 1 } else { text[..digits].parse().ok()? };
        let mut letters = text[digits..].chars();
        match letters.next()? {
            letter @ ('P' | 'Q') => match count {
                0 => Some(Self::Nothing),
                1 => Some(Self::Variable(Element::parse(letters.next()?)?, letter == 'Q')),
                _ => None,
            },
            letter => Some(Self::Fixed(Element::parse(letter)?, count)),
        }
    }

    /// Bytes in the row.
    pub fn bytes(self) -> Option<usize> {
        match self {
            Self::Fixed(element, count) => element.bytes(count),
            Self::Variable(_, is_long) => Some(if is_long { 16 } else { 8 }),
            Self::Nothing => Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        assert_eq!(Format::parse("E"), Some(Format::Fixed(Element::Float, 1)));
        assert_eq!(Format::parse("12A "), Some(Format::Fixed(Element::Character, 12)));
        assert_eq!(Format::parse("30A10"), Some(Format::Fixed(Element::Character, 30)));
        assert_eq!(Format::parse("1PE(50)"), Some(Format::Variable(Element::Float, false)));
        assert_eq!(Format::parse("QD"), Some(Format::Variable(Element::Double, true)));
        assert_eq!(Format::parse("11X").and_then(Format::bytes), Some(2));
        assert_eq!(Format::parse("99999999999999999999D"), None);
        assert_eq!(Format::parse("9223372036854775807M").map(Format::bytes), Some(None));
        for odd in ["", "3", "2PE", "1P", "5Z", "é"] {
            assert_eq!(Format::parse(odd), None, "{odd}");
        }
    }
}
