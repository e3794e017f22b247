//! Labels given to frames by eye: `frame,labels` in a CSV file, several labels separated by `;` or `|`.
//!
//! The ten labels and the three groups of Table 4 are those of reference-facts A5 and G3.

use std::{collections::HashMap, fmt, path::Path, path::PathBuf, str::FromStr};

use atomic_file::write_atomically;

use crate::{error::Error, frame_grid::FrameId, frame_set::FrameSet};

/// What can be said of a frame; several labels may hold at once (reference-facts A5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FrameLabel {
    /// Pure noise, typically at the border of the map.
    Background,
    /// Point-like, or less than ten beams across.
    Compact,
    /// More than ten beams across.
    Extended,
    /// With the look of a radio galaxy, of one island or several.
    RadioGalaxy,
    /// Small-scale, roundish diffuse emission.
    Diffuse,
    /// Diffuse emission of, say, half the frame.
    DiffuseLarge,
    /// A filament.
    Filament,
    /// Rings or rays round bright sources.
    Artefact,
    /// What the search is for.
    Peculiar,
    /// Residual pattern of the mosaicking.
    Mosaicking,
}

impl FrameLabel {
    /// All labels.
    pub const ALL: [Self; 10] = [
        Self::Background,
        Self::Compact,
        Self::Extended,
        Self::RadioGalaxy,
        Self::Diffuse,
        Self::DiffuseLarge,
        Self::Filament,
        Self::Artefact,
        Self::Peculiar,
        Self::Mosaicking,
    ];

    /// The word in files.
    pub fn text(self) -> &'static str {
        match self {
            Self::Background => "BACKGROUND",
            Self::Compact => "COMPACT",
            Self::Extended => "EXTENDED",
            Self::RadioGalaxy => "RADIO-GALAXY",
            Self::Diffuse => "DIFFUSE",
            Self::DiffuseLarge => "DIFFUSE-LARGE",
            Self::Filament => "FILAMENT",
            Self::Artefact => "ARTEFACT",
            Self::Peculiar => "PECULIAR",
            Self::Mosaicking => "MOSAICKING",
        }
    }
}

impl fmt::Display for FrameLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl FromStr for FrameLabel {
    type Err = ();

    /// The exact word; `Err(())` for any other text.
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|label| label.text() == text).ok_or(())
    }
}

/// The labels of some frames.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FrameLabels {
    /// Where they were read, for messages.
    pub path: PathBuf,
    /// One row per frame; the labels are never empty once read.
    pub rows: Vec<(FrameId, Vec<FrameLabel>)>,
}

const COLUMNS: [&str; 2] = ["frame", "labels"];

impl FrameLabels {
    /// Reads a label list. Other columns, and lines that begin with `#`, are passed over.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Columns`], [`Error::UnknownLabel`], [`Error::Row`] (a short row, text that is no frame name, a
    /// row without label, a frame named twice), [`Error::NoLabels`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let refused = |refused: csv::Error| Error::Io { path: path.into(), source: refused.into() };
        let found: Vec<String> = reader.headers().map_err(refused)?.iter().map(str::to_owned).collect();
        if found.iter().all(String::is_empty) {
            return Err(Error::NoLabels { path: path.into() });
        }
        let place = |name: &str| {
            let missing = || Error::Columns {
                path: path.into(),
                found: found.clone(),
                expected: COLUMNS.map(str::to_owned).to_vec(),
            };
            found.iter().position(|column| column == name).ok_or_else(missing)
        };
        let (frame_column, labels_column) = (place(COLUMNS[0])?, place(COLUMNS[1])?);
        let mut rows = Vec::new();
        let mut seen = HashMap::new();
        for record in reader.records() {
            let record = record.map_err(refused)?;
            let line = record.position().map_or(0, csv::Position::line);
            let wrong = |found: String, expected: &str| Error::Row {
                path: path.into(),
                line,
                found,
                expected: expected.to_owned(),
            };
            let cells = record.get(frame_column).zip(record.get(labels_column));
            let (frame, labels) = cells.filter(|_| record.len() == found.len()).ok_or_else(|| {
                wrong(format!("{} cells", record.len()), &format!("{} as in the header", found.len()))
            })?;
            let id: FrameId =
                frame.parse().map_err(|refused: Error| wrong(refused.to_string(), "a frame of this survey"))?;
            let labels = parse_labels(labels, path, line)?;
            if labels.is_empty() {
                return Err(wrong(format!("no label for {frame}"), "at least one, or no row"));
            }
            if let Some(first) = seen.insert(id.clone(), line) {
                return Err(wrong(format!("{frame} again"), &format!("one row per frame (the first is line {first})")));
            }
            rows.push((id, labels));
        }
        if rows.is_empty() {
            return Err(Error::NoLabels { path: path.into() });
        }
        Ok(Self { path: path.into(), rows })
    }

    /// Writes the list atomically, labels separated by `;`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let fill = |file: &mut atomic_file::AtomicFile| {
            let mut writer = csv::Writer::from_writer(file);
            writer.write_record(COLUMNS)?;
            for (id, labels) in &self.rows {
                let words: Vec<&str> = labels.iter().map(|label| label.text()).collect();
                writer.write_record([id.to_string(), words.join(";")])?;
            }
            writer.flush()
        };
        write_atomically(path, fill).map_err(|source| Error::Io { path: path.into(), source })
    }

    /// The labels of each frame of a set, in its order; `None` for frames without.
    ///
    /// # Errors
    /// [`Error::UnknownFrame`] if a label is for a frame that the set does not have: most likely the survey was cut
    /// differently when it was labelled.
    pub fn join(&self, frames: &FrameSet) -> Result<Vec<Option<Vec<FrameLabel>>>, Error> {
        let mut joined = vec![None; frames.len()];
        for (id, labels) in &self.rows {
            let unknown =
                || Error::UnknownFrame { path: self.path.clone(), frame: id.to_string(), frames: frames.len() };
            joined[frames.index_of(id).ok_or_else(unknown)?] = Some(labels.clone());
        }
        Ok(joined)
    }
}

fn parse_labels(cell: &str, path: &Path, line: u64) -> Result<Vec<FrameLabel>, Error> {
    let words = cell.split([';', '|']).map(str::trim).filter(|word| !word.is_empty());
    let parse = |word: &str| {
        word.parse::<FrameLabel>().map_err(|()| Error::UnknownLabel {
            path: path.into(),
            line,
            found: word.to_owned(),
            expected: FrameLabel::ALL.map(FrameLabel::text).join(", "),
        })
    };
    words.map(parse).collect()
}
