//! How a text table is laid out: what separates its columns, where its header stands, where its rows begin.

use super::value_kind::is_number;

/// What separates the columns of a text table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `|`
    Bar,
    /// A TAB character.
    Tab,
    /// Any number of blanks; cells that contain some stand in double quotes.
    Blanks,
}

impl Delimiter {
    /// The byte; `None` for blanks.
    pub(super) fn byte(self) -> Option<u8> {
        match self {
            Self::Comma => Some(b','),
            Self::Semicolon => Some(b';'),
            Self::Bar => Some(b'|'),
            Self::Tab => Some(b'\t'),
            Self::Blanks => None,
        }
    }
}

/// The lines that tell the layout.
#[derive(Debug, Default)]
pub(super) struct Opening<'a> {
    /// The last comment line before the rows, without its `#`.
    pub comment: Option<&'a str>,
    /// The first lines that are neither empty nor comments.
    pub lines: Vec<&'a str>,
    /// Where the first of them begins: byte, and number of lines before it.
    pub start: usize,
    pub lines_before: u64,
}

/// Lines that are looked at.
const SAMPLE_LINES: usize = 20;

pub(super) fn opening(text: &str) -> Opening<'_> {
    let mut opening = Opening::default();
    let mut at = 0;
    for (number, line) in (0_u64..).zip(text.split_inclusive('\n')) {
        let bare = line.trim();
        if let Some(comment) = bare.strip_prefix('#') {
            // Only what stands above the rows can be their header; lines of dashes and empty ones cannot.
            if opening.lines.is_empty() && comment.chars().any(char::is_alphanumeric) {
                opening.comment = Some(comment.trim());
            }
        } else if !bare.is_empty() {
            if opening.lines.is_empty() {
                (opening.start, opening.lines_before) = (at, number);
            }
            opening.lines.push(line.trim_end_matches(['\n', '\r']));
            if opening.lines.len() == SAMPLE_LINES {
                break;
            }
        }
        at += line.len();
    }
    opening
}

/// The delimiter that cuts all sample lines into equally many cells, the more the better.
pub(super) fn find_delimiter(opening: &Opening<'_>, extension: &str) -> Delimiter {
    let first = opening.lines.first().copied().unwrap_or_default();
    let preferred = match extension {
        "csv" => Delimiter::Comma,
        "tsv" => Delimiter::Tab,
        _ => Delimiter::Blanks,
    };
    let candidates = [Delimiter::Tab, Delimiter::Comma, Delimiter::Semicolon, Delimiter::Bar];
    let even = |delimiter: Delimiter| {
        let cells = split(first, delimiter).len();
        let same = opening.lines.iter().all(|line| split(line, delimiter).len() == cells);
        (cells > 1 && same).then_some(cells)
    };
    if preferred != Delimiter::Blanks && even(preferred).is_some() {
        return preferred;
    }
    let most = candidates.into_iter().filter_map(|delimiter| Some((even(delimiter)?, delimiter)));
    if let Some((_, delimiter)) = most.reduce(|best, next| if next.0 > best.0 { next } else { best }) {
        return delimiter;
    }
    if even(Delimiter::Blanks).is_some() && preferred == Delimiter::Blanks {
        return Delimiter::Blanks;
    }
    // Uneven rows: name the delimiter anyway, so that the message is about the row that is wrong.
    let splits = |delimiter: &Delimiter| split(first, *delimiter).len() > 1;
    if preferred != Delimiter::Blanks {
        return candidates.into_iter().find(splits).unwrap_or(preferred);
    }
    candidates.into_iter().find(splits).unwrap_or(Delimiter::Blanks)
}

/// The cells of one line, a quoted cell counting as one.
pub(super) fn split(line: &str, delimiter: Delimiter) -> Vec<String> {
    let mut record = csv::StringRecord::new();
    match delimiter.byte() {
        None => split_blanks(line, &mut record),
        Some(byte) => {
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(byte)
                .has_headers(false)
                .flexible(true)
                .from_reader(line.as_bytes());
            // A line of text in memory gives no error.
            let _ = reader.read_record(&mut record);
        }
    }
    record.iter().map(str::to_owned).collect()
}

/// Cuts a line at its blanks; `"a ""b"" c"` is one cell.
pub(super) fn split_blanks(line: &str, record: &mut csv::StringRecord) {
    record.clear();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"')
            && let Some((cell, after)) = quoted_cell(quoted)
        {
            record.push_field(&cell);
            rest = after.trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        record.push_field(&rest[..end]);
        rest = rest[end..].trim_start();
    }
}

/// The cell up to its closing quote, which a blank or the end follows; `None` if there is none.
fn quoted_cell(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        cell.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                cell.push('"');
                rest = more;
            }
            None if after.is_empty() || after.starts_with(char::is_whitespace) => return Some((cell, after)),
            None => return None,
        }
    }
}

/// Where the names of the columns stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Comment,
    FirstLine,
    Nowhere,
}

/// A header has no number in it; a comment is the header if it has as many words as the rows have cells, and the first line
/// is itself a row.
pub(super) fn find_names(opening: &Opening<'_>, delimiter: Delimiter) -> Names {
    let row = |line: &str| split(line, delimiter);
    let has_number = |cells: &[String]| cells.iter().any(|cell| is_number(cell));
    let first = opening.lines.first().map(|line| row(line)).unwrap_or_default();
    let second = opening.lines.get(1).map(|line| row(line));
    let comment_fits = opening.comment.is_some_and(|comment| row(comment).len() == first.len());
    let first_is_row = has_number(&first) || second.as_deref().is_none_or(|second| !has_number(second));
    if comment_fits && first_is_row {
        Names::Comment
    } else if has_number(&first) {
        Names::Nowhere
    } else {
        Names::FirstLine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str) -> (Delimiter, Names) {
        let opening = opening(text);
        let delimiter = find_delimiter(&opening, "");
        (delimiter, find_names(&opening, delimiter))
    }

    #[test]
    fn layouts_are_told_apart() {
        assert_eq!(layout("ra,dec\n1,2\n"), (Delimiter::Comma, Names::FirstLine));
        assert_eq!(layout("# made by hand, 2020\nra,dec\n1,2\n"), (Delimiter::Comma, Names::FirstLine));
        assert_eq!(layout("# made by hand\n# ra,dec\n1,2\n"), (Delimiter::Comma, Names::Comment));
        assert_eq!(layout("# text\n\n# id ra dec\n\n  1  2.5   3\n"), (Delimiter::Blanks, Names::Comment));
        assert_eq!(layout("id ra dec\nx 2.5 3\n"), (Delimiter::Blanks, Names::FirstLine));
        assert_eq!(layout("1 2\n3 4\n"), (Delimiter::Blanks, Names::Nowhere));
        assert_eq!(layout("a;b\n1,5;2,5\n"), (Delimiter::Semicolon, Names::FirstLine));
        assert_eq!(layout("a\tb c\n1\td e\n"), (Delimiter::Tab, Names::FirstLine));
        assert_eq!(layout("# name class\nA B\nC D\n"), (Delimiter::Blanks, Names::Comment));
        assert_eq!(layout("name\nA\nB\n"), (Delimiter::Blanks, Names::FirstLine));
    }

    #[test]
    fn quotes_hold_blanks_together() {
        let mut record = csv::StringRecord::new();
        split_blanks(r#"  a "b c"  "say ""no""" "" 5" "open x"#, &mut record);
        let cells: Vec<&str> = record.iter().collect();
        assert_eq!(cells, ["a", "b c", "say \"no\"", "", "5\"", "\"open", "x"]);
    }
}
