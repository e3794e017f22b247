//! `survey.toml`: which mosaics a survey has, how they are cut, and where its labels are.
//!
//! ```toml
//! name = "scorpio"
//! labels = "labels.csv"                # optional
//!
//! [[mosaics]]
//! path = "${RADIO_SSL_DATA}/mosaics/atca-scorpio/ScorpioS17Field.fits"
//! id = "s17"                           # optional: the file's name
//! beam = { major_arcsec = 6.5, minor_arcsec = 6.5, pa_deg = 0.0 }   # optional: the header's
//! hdu = "SCI"                          # optional, or a number from 0: the first image
//! planes = ["STOKES=I", "FREQ[3]"]     # of a cube: where to hold its other axes
//!
//! [frames]
//! size = 128
//! step = 64
//! edge = "drop"                        # or "shift"
//! max_blank_fraction = 0.3
//! ```
//!
//! A file name with `*` or `?` stands for every file of its folder that matches, in the order of their names.
//! Relative paths are relative to the survey file. `${NAME}` in a path is asked of the caller, as a library must not read the
//! environment.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    beam::Beam,
    error::Error,
    frame_grid::{EdgePolicy, FrameGrid, is_mosaic_id},
    image_choice::{HduChoice, ImageChoice, PlaneChoice},
};

/// A survey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survey {
    /// Name, for reports.
    pub name: String,
    /// Its mosaics; never empty once loaded.
    #[serde(default)]
    pub mosaics: Vec<MosaicEntry>,
    /// How they are cut.
    pub frames: FrameSettings,
    /// Label list ([`crate::FrameLabels`]); a survey without this key has no labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
}

/// One mosaic of a survey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MosaicEntry {
    /// The FITS file. In a survey file `*` and `?` in its name stand for all that match; once loaded every entry is one file.
    pub path: PathBuf,
    /// Short name, part of every frame's name; if missing, the file's stem and what is chosen of it. Always present once loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Beam, where the header has none or a wrong one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beam: Option<Beam>,
    /// The header-data unit.
    #[serde(default, skip_serializing_if = "HduChoice::is_first_image")]
    pub hdu: HduChoice,
    /// The plane of a cube.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planes: Vec<PlaneChoice>,
}

impl MosaicEntry {
    /// The first image of a file, with the beam of its header.
    pub fn of_file(path: PathBuf, id: &str) -> Self {
        Self { path, id: Some(id.to_owned()), beam: None, hdu: HduChoice::FirstImage, planes: Vec::new() }
    }

    /// Which image of the file is meant.
    pub fn image(&self) -> ImageChoice {
        ImageChoice { hdu: self.hdu.clone(), planes: self.planes.clone() }
    }
}

/// How mosaics are cut into frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameSettings {
    /// Side of a frame, pixels.
    pub size: usize,
    /// Distance between neighbours, pixels.
    pub step: usize,
    /// What happens at the far borders.
    pub edge: EdgePolicy,
    /// Frames with a larger share of blank (not finite) pixels are left out; 0.3 upstream (reference-facts B2).
    pub max_blank_fraction: f64,
}

impl FrameSettings {
    /// The grid alone.
    pub fn grid(&self) -> FrameGrid {
        FrameGrid { size: self.size, step: self.step, edge: self.edge }
    }
}

impl Survey {
    /// Reads a survey file. `lookup` gives the value of a variable, for instance `|name| std::env::var(name).ok()`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::SurveySyntax`] and [`Error::UnknownKey`] with the line; [`Error::MissingVariable`],
    /// [`Error::NoMosaics`], [`Error::SurveyValue`], [`Error::BadMosaicId`] and [`Error::DuplicateMosaic`].
    pub fn load(path: &Path, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
        Self::parse(&text, path, lookup)
    }

    /// Like [`Survey::load`] for text that is already in memory and would stand in the file `path`.
    ///
    /// # Errors
    /// Those of [`Survey::load`].
    pub fn parse(text: &str, path: &Path, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let mut survey: Self = toml::from_str(text).map_err(|refused| syntax_error(text, path, &refused))?;
        if survey.mosaics.is_empty() {
            return Err(Error::NoMosaics { path: path.to_path_buf() });
        }
        let resolve = |written: &Path| resolve(written, path, &lookup);
        for mosaic in &mut survey.mosaics {
            mosaic.path = resolve(&mosaic.path)?;
        }
        survey.mosaics = files_meant(std::mem::take(&mut survey.mosaics), path)?;
        for mosaic in &mut survey.mosaics {
            let id = mosaic.id.take().unwrap_or_else(|| id_of(mosaic));
            if !is_mosaic_id(&id) {
                return Err(Error::BadMosaicId { found: id });
            }
            mosaic.id = Some(id);
        }
        survey.labels = survey.labels.as_deref().map(resolve).transpose()?;
        survey.check(path)?;
        Ok(survey)
    }

    fn check(&self, path: &Path) -> Result<(), Error> {
        let refuse = |key: &str, found: String, expected: &'static str| {
            Err(Error::SurveyValue { path: path.to_path_buf(), key: key.to_owned(), found, expected })
        };
        let FrameSettings { size, step, max_blank_fraction, .. } = self.frames;
        for (key, value) in [("frames.size", size), ("frames.step", step)] {
            if value == 0 || u32::try_from(value).is_err() {
                return refuse(key, value.to_string(), "a whole number of pixels, at least 1");
            }
        }
        if !(0.0..=1.0).contains(&max_blank_fraction) {
            return refuse("frames.max_blank_fraction", max_blank_fraction.to_string(), "a share from 0 to 1");
        }
        let mut seen: HashMap<&str, &Path> = HashMap::new();
        for mosaic in &self.mosaics {
            let id = mosaic.id.as_deref().unwrap_or_default();
            if let Some(first) = seen.insert(id, &mosaic.path) {
                return Err(Error::DuplicateMosaic {
                    id: id.to_owned(),
                    first: first.into(),
                    second: mosaic.path.clone(),
                });
            }
            if let Some(beam) = mosaic.beam.filter(|beam| !beam.is_valid()) {
                let found = format!("{} x {} arcsec, {} degrees", beam.major_arcsec, beam.minor_arcsec, beam.pa_deg);
                return refuse(&format!("beam of mosaic {id}"), found, "positive axes, the major one not the shorter");
            }
        }
        Ok(())
    }
}

/// The same entries, each with a pattern in its file name replaced by one for every file that matches.
fn files_meant(written: Vec<MosaicEntry>, survey: &Path) -> Result<Vec<MosaicEntry>, Error> {
    let refuse = |key: &str, found: String, expected: &'static str| Error::SurveyValue {
        path: survey.to_path_buf(),
        key: key.to_owned(),
        found,
        expected,
    };
    let mut files = Vec::new();
    for entry in written {
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.contains(['*', '?']) {
            files.push(entry);
            continue;
        }
        let shown = entry.path.display().to_string();
        if let Some(id) = &entry.id {
            return Err(refuse("mosaics.id", format!("{id}, beside the pattern {shown}"), "one file for one id"));
        }
        let pattern = glob::Pattern::new(&name)
            .map_err(|wrong| refuse("mosaics.path", format!("{shown} ({})", wrong.msg), "a pattern of * and ?"))?;
        let folder = entry.path.parent().unwrap_or(Path::new(""));
        let io = |source| Error::Io { path: folder.to_path_buf(), source };
        // A hidden file, as one that is being copied, is not meant by `*`.
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
        let mut found = Vec::new();
        for file in std::fs::read_dir(folder).map_err(io)? {
            let file = file.map_err(io)?;
            if pattern.matches_with(&file.file_name().to_string_lossy(), options) {
                found.push(file.path());
            }
        }
        if found.is_empty() {
            return Err(refuse("mosaics.path", shown, "a pattern that some file matches"));
        }
        found.sort();
        files.extend(found.into_iter().map(|path| MosaicEntry { path, ..entry.clone() }));
    }
    Ok(files)
}

/// The stem of the file name and what is chosen of the file, as `cube_RMS_FREQ-3`, with everything that frame names cannot hold
/// turned into `-`: two planes of one file have frames of different names.
fn id_of(mosaic: &MosaicEntry) -> String {
    let mut id = mosaic.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match &mosaic.hdu {
        HduChoice::FirstImage => {}
        HduChoice::Number(number) => id.push_str(&format!("_hdu{number}")),
        HduChoice::Name(name) => id.push_str(&format!("_{name}")),
    }
    mosaic.planes.iter().for_each(|plane| id.push_str(&format!("_{}", plane.to_string().trim_end_matches(']'))));
    let allowed =
        |character: char| if character.is_ascii_alphanumeric() || ".-_+".contains(character) { character } else { '-' };
    id.chars().map(allowed).collect()
}

/// Puts in the variables, and the folder of the survey file before relative paths.
fn resolve(written: &Path, survey: &Path, lookup: &impl Fn(&str) -> Option<String>) -> Result<PathBuf, Error> {
    let text = written.to_string_lossy();
    let mut expanded = String::new();
    let mut rest = text.as_ref();
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}').unwrap_or((after, ""));
        let missing = || Error::MissingVariable { path: survey.into(), name: name.to_owned(), text: text.to_string() };
        expanded.push_str(before);
        expanded.push_str(&lookup(name).ok_or_else(missing)?);
        rest = behind;
    }
    expanded.push_str(rest);
    // Joining an absolute path gives that path.
    Ok(survey.parent().unwrap_or(Path::new("")).join(expanded))
}

fn syntax_error(text: &str, path: &Path, refused: &toml::de::Error) -> Error {
    let before = refused.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = 1 + before.matches('\n').count();
    let path = path.to_path_buf();
    // serde words an unknown key as: unknown field `stepp`, expected one of `size`, `step`
    let unknown = refused.message().strip_prefix("unknown field `").and_then(|rest| rest.split_once("`, expected "));
    match unknown {
        Some((key, expected)) => Error::UnknownKey { path, line, key: key.to_owned(), expected: expected.to_owned() },
        None => Error::SurveySyntax { path, line, reason: refused.message().to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
name = "two"
labels = "labels.csv"
[[mosaics]]
path = "${DATA}/deep/S17 field.fits"
[[mosaics]]
path = "maps/b.fits"
id = "north"
beam = { major_arcsec = 15.0, minor_arcsec = 12.0, pa_deg = 30.0 }
[frames]
size = 256
step = 128
edge = "shift"
max_blank_fraction = 0.3
"#;

    fn parse(text: &str) -> Result<Survey, Error> {
        let lookup = |name: &str| (name == "DATA").then(|| "/survey/data".to_owned());
        Survey::parse(text, Path::new("/home/me/two.toml"), lookup)
    }

    #[test]
    fn paths_are_found_and_ids_made() {
        let survey = parse(TEXT).expect("a good survey");
        assert_eq!(survey.mosaics[0].path, Path::new("/survey/data/deep/S17 field.fits"));
        assert_eq!(survey.mosaics[0].id.as_deref(), Some("S17-field"));
        assert_eq!(survey.mosaics[1].path, Path::new("/home/me/maps/b.fits"));
        assert_eq!(survey.mosaics[1].id.as_deref(), Some("north"));
        assert_eq!(survey.labels.as_deref(), Some(Path::new("/home/me/labels.csv")));
        assert_eq!(survey.frames.grid(), FrameGrid { size: 256, step: 128, edge: EdgePolicy::Shift });
        let again = toml::to_string(&survey).expect("can be written");
        assert_eq!(parse(&again).expect("own text"), survey);
    }

    #[test]
    fn an_image_of_a_file_is_chosen_by_unit_and_plane() {
        let chosen = "path = \"maps/b.fits\"\nhdu = \"RMS\"\nplanes = [\"STOKES=Q\", \"FREQ[3]\"]";
        let text = TEXT.replace("path = \"maps/b.fits\"\nid = \"north\"", chosen);
        let survey = parse(&text).expect("a good survey");
        assert_eq!(survey.mosaics[0].image(), ImageChoice::default());
        let image = survey.mosaics[1].image();
        assert_eq!(image.to_string(), "header-data unit EXTNAME 'RMS', STOKES=Q, FREQ[3]");
        assert_eq!(survey.mosaics[1].id.as_deref(), Some("b_RMS_STOKES-Q_FREQ-3"));
        assert_eq!(parse(&toml::to_string(&survey).expect("can be written")).expect("own text"), survey);
        // The same file twice, by planes alone: no id is needed.
        let twice = text.replace("[frames]", "[[mosaics]]\npath = \"maps/b.fits\"\nhdu = 2\n[frames]");
        let ids: Vec<_> = parse(&twice).expect("a good survey").mosaics.into_iter().filter_map(|m| m.id).collect();
        assert_eq!(ids, ["S17-field", "b_RMS_STOKES-Q_FREQ-3", "b_hdu2"]);
        for (from, to, parts) in [
            ("hdu = \"RMS\"", "hdu = -1", &["two.toml, line 8", "-1", "0 is the primary one"][..]),
            ("hdu = \"RMS\"", "hdu = 1.5", &["line 8", "1.5", "EXTNAME"]),
            ("hdu = \"RMS\"", "hdu = \"\"", &["line 8", "EXTNAME"]),
            ("FREQ[3]", "FREQ 3", &["line 9", "FREQ 3", "expected the form FREQ[3]"]),
            ("[\"STOKES=Q\", \"FREQ[3]\"]", "\"STOKES=Q\"", &["line 9", "STOKES=Q", "sequence"]),
            ("planes =", "plane =", &["line 9", "`plane`", "`planes`"]),
        ] {
            let refused = parse(&text.replace(from, to)).expect_err(to).to_string();
            assert!(parts.iter().all(|part| refused.contains(part)), "{to}: {refused}");
        }
    }

    #[test]
    fn a_pattern_stands_for_every_file_that_matches() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b2.fits", "b1.fits", ".b3.fits", "b1.txt", "c.fits"] {
            std::fs::write(folder.path().join(name), "").expect("can be written");
        }
        let read = |entry: &str| {
            let start = TEXT.find("[[").unwrap_or(0);
            let text =
                format!("{}[[mosaics]]\n{entry}\n{}", &TEXT[..start], &TEXT[TEXT.find("[frames").unwrap_or(0)..]);
            Survey::parse(&text, &folder.path().join("many.toml"), |_| None)
        };
        let survey = read("path = \"b?.fits\"\nhdu = 1").expect("a good survey");
        let files: Vec<_> = survey.mosaics.iter().filter_map(|m| m.path.file_name()?.to_str()).collect();
        let ids: Vec<_> = survey.mosaics.iter().filter_map(|m| m.id.as_deref()).collect();
        assert_eq!((files, ids), (vec!["b1.fits", "b2.fits"], vec!["b1_hdu1", "b2_hdu1"]));
        assert_eq!(read("path = \"*.fits\"").expect("a good survey").mosaics.len(), 3);
        for (entry, parts) in [
            ("path = \"z*.fits\"", ["mosaics.path", "z*.fits", "some file matches"]),
            ("path = \"b*.fits\"\nid = \"b\"", ["mosaics.id", "b*.fits", "one file"]),
            ("path = \"b[*.fits\"", ["mosaics.path", "b[*.fits", "a pattern"]),
            ("path = \"nowhere/*.fits\"", ["cannot read", "nowhere", ""]),
        ] {
            let refused = read(entry).expect_err(entry).to_string();
            assert!(parts.iter().all(|part| refused.contains(part)), "{entry}: {refused}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        type Check = fn(&Error) -> bool;
        let cases: [(&str, &str, Check, &[&str]); 10] = [
            (
                "step = 128",
                "stepp = 128",
                |e| matches!(e, Error::UnknownKey { line: 12, .. }),
                &["two.toml, line 12", "`stepp`", "`step`"],
            ),
            ("id = ", "ident = ", |e| matches!(e, Error::UnknownKey { .. }), &["`ident`", "`id`"]),
            ("pa_deg", "pa", |e| matches!(e, Error::UnknownKey { .. }), &["`pa`", "`pa_deg`"]),
            ("\"shift\"", "\"wrap\"", |e| matches!(e, Error::SurveySyntax { line: 13, .. }), &["wrap", "shift"]),
            ("size = 256\n", "", |e| matches!(e, Error::SurveySyntax { .. }), &["size"]),
            (
                "${DATA}",
                "${NOWHERE}",
                |e| matches!(e, Error::MissingVariable { .. }),
                &["two.toml", "variable NOWHERE", "S17"],
            ),
            ("size = 256", "size = 0", |e| matches!(e, Error::SurveyValue { .. }), &["frames.size is 0", "at least 1"]),
            ("0.3", "1.3", |e| matches!(e, Error::SurveyValue { .. }), &["max_blank_fraction is 1.3", "from 0 to 1"]),
            (
                "\"north\"",
                "\"S17-field\"",
                |e| matches!(e, Error::DuplicateMosaic { .. }),
                &["S17-field", "b.fits", "S17 field.fits"],
            ),
            ("\"north\"", "\"a/b\"", |e| matches!(e, Error::BadMosaicId { .. }), &["a/b"]),
        ];
        for (from, to, is_right, parts) in cases {
            assert!(TEXT.contains(from), "the case {from} is not about this text");
            let refused = parse(&TEXT.replace(from, to)).expect_err(to);
            assert!(is_right(&refused), "{to}: {refused:?}");
            for part in parts {
                assert!(refused.to_string().contains(part), "{to}: `{refused}` lacks `{part}`");
            }
        }
        let (start, end) = (TEXT.find("[[").unwrap_or(0), TEXT.find("[frames").unwrap_or(0));
        let refused = parse(&format!("{}{}", &TEXT[..start], &TEXT[end..])).expect_err("no mosaic");
        assert!(matches!(refused, Error::NoMosaics { .. }) && refused.to_string().contains("two.toml"), "{refused}");
    }
}
