//! What a file is, by its first and last bytes; the extension is not asked.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use serde::Serialize;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileKind {
    /// FITS images and tables.
    Fits,
    /// The same, gzipped.
    FitsGz,
    /// A PNG picture.
    Png,
    /// A table in CSV, blank-separated text, VOTable or Parquet.
    Table,
    /// A manifest of cutouts.
    Manifest,
    /// `survey.toml`.
    Survey,
    /// The data list of sclassifier.
    DataList,
    /// The detection list of caesar.
    DetectionList,
    /// Annotations of COCO.
    Coco,
    /// DS9 regions.
    Ds9Regions,
    /// CASA regions.
    CasaRegions,
    /// JSON of another form.
    Json,
    /// TOML of another form.
    Toml,
    /// None of these.
    Unknown,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fits => "FITS",
            Self::FitsGz => "gzipped FITS",
            Self::Png => "PNG picture",
            Self::Table => "table",
            Self::Manifest => "manifest",
            Self::Survey => "survey file",
            Self::DataList => "sclassifier data list",
            Self::DetectionList => "caesar detection list",
            Self::Coco => "COCO annotations",
            Self::Ds9Regions => "DS9 regions",
            Self::CasaRegions => "CASA regions",
            Self::Json => "JSON",
            Self::Toml => "TOML",
            Self::Unknown => "unknown",
        })
    }
}

/// Bytes looked at, at either end.
const HEAD: u64 = 1 << 16;

/// What the bytes say, without parsing text.
pub(super) enum Sniffed {
    Kind(FileKind),
    /// A text that begins with an opening brace.
    Braces,
    /// Some other text.
    Text,
    /// Nothing is in it.
    Empty,
}

/// Looks at the ends of a file.
pub(super) fn sniff(path: &Path) -> io::Result<Sniffed> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    (&mut file).take(HEAD).read_to_end(&mut head)?;
    let is_gzip = head.starts_with(&[0x1f, 0x8b]);
    if is_gzip {
        let mut inside = Vec::new();
        // What is broken later on, the reader will say.
        let _ = flate2::read::MultiGzDecoder::new(&head[..]).take(HEAD).read_to_end(&mut inside);
        head = inside;
    }
    let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).trim_ascii_start();
    let has = |word: &[u8]| head.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    Ok(Sniffed::Kind(match start {
        [] if is_gzip => FileKind::FitsGz,
        [] => return Ok(Sniffed::Empty),
        _ if head.starts_with(b"SIMPLE  =") => {
            if is_gzip {
                FileKind::FitsGz
            } else {
                FileKind::Fits
            }
        }
        _ if head.starts_with(b"\x89PNG") => FileKind::Png,
        _ if head.starts_with(b"PAR1") => {
            let mut tail = Vec::new();
            file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(HEAD)))?;
            file.take(HEAD).read_to_end(&mut tail)?;
            let word = b"radio-ssl.manifest";
            if tail.windows(word.len()).any(|window| window == word) { FileKind::Manifest } else { FileKind::Table }
        }
        _ if start.starts_with(b"<") && has(b"VOTABLE") => FileKind::Table,
        _ if head.contains(&0) || start.starts_with(b"<") => FileKind::Unknown,
        _ if is_gzip => FileKind::Table,
        _ if start.starts_with(b"#CRTF") => FileKind::CasaRegions,
        _ if start.starts_with(b"{") => return Ok(Sniffed::Braces),
        _ => return Ok(Sniffed::Text),
    }))
}

/// Which kind of text this is.
pub(super) fn kind_of_text(text: &str) -> FileKind {
    let is_ds9_header = text.trim_start_matches('\u{feff}').trim_start().starts_with("# Region file format: DS9");
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    if is_ds9_header || lines().next().is_some_and(is_ds9_line) {
        return FileKind::Ds9Regions;
    }
    let is_survey_line = |line: &str| ["[[mosaics]]", "[frames]"].contains(&line) || line.starts_with("frames = {");
    if lines().any(is_survey_line) {
        return FileKind::Survey;
    }
    if lines().next().is_some() && toml::from_str::<toml::Table>(text).is_ok_and(|table| !table.is_empty()) {
        return FileKind::Toml;
    }
    if lines().next().is_some_and(is_detection_line) {
        return FileKind::DetectionList;
    }
    FileKind::Table
}

/// `global …`, a frame alone, or a shape with its brackets.
fn is_ds9_line(line: &str) -> bool {
    const FRAMES: [&str; 11] =
        ["image", "physical", "fk4", "fk5", "icrs", "j2000", "b1950", "galactic", "ecliptic", "wcs", "linear"];
    const SHAPES: [&str; 9] = ["circle", "ellipse", "box", "polygon", "point", "annulus", "panda", "line", "text"];
    let lower = line.to_ascii_lowercase();
    let first = lower.split(';').next().unwrap_or_default().trim();
    let word = first.trim_start_matches(['+', '-']).split('(').next().unwrap_or_default().trim();
    first.starts_with("global ") && first.contains('=')
        || FRAMES.contains(&first)
        || first.contains('(') && SHAPES.contains(&word)
}

/// A JSON file, or an image with its mask and its class.
fn is_detection_line(line: &str) -> bool {
    let cells: Vec<&str> = line.split(',').map(str::trim).collect();
    let ends = |cell: &str, with: &str| cell.len() > with.len() && cell.to_ascii_lowercase().ends_with(with);
    match cells[..] {
        [file] => ends(file, ".json"),
        [image, mask, _] => ends(image, ".fits") && ends(mask, ".fits"),
        _ => false,
    }
}
