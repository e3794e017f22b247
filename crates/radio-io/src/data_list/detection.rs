//! Detection lists of caesar (reference-facts A8): images with objects, each with its mask and class.
//!
//! Two forms are read: a list of JSON files, one per image, and lines `image.fits,mask.fits,label`, one per object. What the
//! rules of the format leave out (an object of unknown class, an image whose mask is missing) is told in
//! [`DetectionList::skipped`].

use std::{
    fmt,
    path::{Path, PathBuf},
};

use ndarray::Array2;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{class_dictionary::ClassDictionary, json::read_json};
use crate::{error::Error, mosaic::Mosaic};

/// How a list is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectionOptions {
    /// The classes and their numbers.
    pub classes: ClassDictionary,
    /// Objects of these classes are left out.
    pub skip_classes: Vec<String>,
    /// Images without an object of any of these classes are left out; empty: all images are taken.
    pub require_any: Vec<String>,
    /// What relative paths of the list, and of JSON files that it names by relative paths, are relative to.
    pub working_directory: PathBuf,
}

/// The images of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionList {
    /// The list.
    pub path: PathBuf,
    /// Its images, each with an object at least.
    pub images: Vec<DetectionImage>,
    /// What was left out, in order.
    pub skipped: Vec<Skipped>,
}

/// An image with its objects.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionImage {
    /// The FITS file.
    pub file: PathBuf,
    /// Name of the telescope.
    pub telescope: Option<String>,
    /// Background, in the unit of the image.
    pub background: Option<f64>,
    /// Noise, in the unit of the image.
    pub rms: Option<f64>,
    /// Axes of the beam, arc seconds: major, minor.
    pub beam_arcsec: Option<[f64; 2]>,
    /// Size of a pixel, arc seconds: along columns, along rows.
    pub pixel_arcsec: Option<[f64; 2]>,
    /// Columns and rows.
    pub size: Option<[usize; 2]>,
    /// Its objects.
    pub objects: Vec<DetectionObject>,
    /// All other keys.
    pub other: Map<String, Value>,
}

/// An object of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionObject {
    /// The FITS file of its mask, of the size of the image; pixels that are not zero belong to the object.
    pub mask: PathBuf,
    /// Its class, after the rewriting rules.
    pub class: String,
    /// Number of the class.
    pub class_id: u32,
    /// Its class as written.
    pub written_class: String,
    /// Its name.
    pub name: Option<String>,
    /// Number of islands.
    pub islands: u64,
    /// Whether side lobes run into it.
    pub sidelobe_mixed: bool,
    /// Whether side lobes are near.
    pub sidelobe_near: bool,
    /// Whether it touches the border of the image.
    pub border: bool,
    /// Signal-to-noise ratio.
    pub snr: Option<f64>,
    /// Its larger and smaller size, in beams.
    pub size_beams: [Option<f64>; 2],
    /// All other keys: `Stot`, `bbox_x`, `npix`, …
    pub other: Map<String, Value>,
}

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The image.
    pub image: PathBuf,
    /// Name or number of the object; `None` for the whole image.
    pub object: Option<String>,
    /// Why.
    pub reason: SkipReason,
}

/// Why something was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// The class dictionary does not have its class.
    UnknownClass(String),
    /// Its class is among [`DetectionOptions::skip_classes`].
    UnwantedClass(String),
    /// A mask file does not exist; the whole image is left out.
    MissingMask(PathBuf),
    /// No object is left.
    NoObjects,
    /// None of [`DetectionOptions::require_any`] is among its objects.
    NoRequiredClass,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.image.display())?;
        if let Some(object) = &self.object {
            write!(f, ", object {object}")?;
        }
        match &self.reason {
            SkipReason::UnknownClass(class) => write!(f, ": class `{class}` is not in the class dictionary"),
            SkipReason::UnwantedClass(class) => write!(f, ": objects of class `{class}` are left out"),
            SkipReason::MissingMask(mask) => write!(f, ": no mask {}", mask.display()),
            SkipReason::NoObjects => write!(f, ": no object is left"),
            SkipReason::NoRequiredClass => write!(f, ": no object of a required class"),
        }
    }
}

/// The JSON of one image.
#[derive(Debug, Deserialize)]
struct ImageFile {
    img: PathBuf,
    telescope: Option<String>,
    bkg: Option<f64>,
    rms: Option<f64>,
    bmaj: Option<f64>,
    bmin: Option<f64>,
    dx: Option<f64>,
    dy: Option<f64>,
    nx: Option<usize>,
    ny: Option<usize>,
    #[serde(default)]
    objs: Vec<ObjectEntry>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct ObjectEntry {
    mask: PathBuf,
    class: String,
    name: Option<String>,
    #[serde(default = "one")]
    nislands: u64,
    #[serde(default, rename = "sidelobe-mixed", deserialize_with = "flag")]
    sidelobe_mixed: bool,
    #[serde(default, rename = "sidelobe-near", deserialize_with = "flag")]
    sidelobe_near: bool,
    #[serde(default, deserialize_with = "flag")]
    border: bool,
    snr: Option<f64>,
    maxsize_beam: Option<f64>,
    minsize_beam: Option<f64>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

fn one() -> u64 {
    1
}

/// 0 or 1, or a truth value.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(flag) => Ok(flag),
        Value::Null => Ok(false),
        Value::Number(number) if number.as_f64() == Some(0.0) => Ok(false),
        Value::Number(number) if number.as_f64() == Some(1.0) => Ok(true),
        other => Err(serde::de::Error::custom(format!("{other} for a flag, expected 0 or 1"))),
    }
}

/// The class of an object after the rewriting rules: an extended source of several islands is `extended-multisland`, and
/// whatever side lobes run into is `flagged`.
pub fn rewritten_class(class: &str, islands: u64, sidelobe_mixed: bool) -> &str {
    match class {
        _ if sidelobe_mixed => "flagged",
        "extended" if islands > 1 => "extended-multisland",
        other => other,
    }
}

impl DetectionList {
    /// Reads a list of JSON files, or of lines `image,mask,label` if its first line has two commas. Empty lines and lines
    /// that begin with `#` are passed over.
    ///
    /// # Errors
    /// [`Error::Io`] if the list or one of its JSON files cannot be read; [`Error::Json`] for a JSON file of another form;
    /// [`Error::Row`] for a line that has neither one nor three cells, or another number than the first.
    pub fn read(path: &Path, options: &DetectionOptions) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let lines: Vec<(u64, &str)> = (1_u64..)
            .zip(text.lines().map(str::trim))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .collect();
        let cells = |line: &str| line.split(',').count();
        let width = lines.first().map_or(1, |(_, line)| cells(line));
        let odd = lines.iter().find(|(_, line)| width != 1 && width != 3 || width == 3 && cells(line) != 3);
        if let Some((number, line)) = odd {
            return Err(Error::Row {
                path: path.into(),
                line: *number,
                found: format!("{} cells", cells(line)),
                expected: "the path of a JSON file, or `image,mask,label`, on every line".to_owned(),
            });
        }
        let mut list = Self { path: path.into(), images: Vec::new(), skipped: Vec::new() };
        if width == 3 {
            for (image, entries) in images_of_lines(&lines, options) {
                list.add(ImageFile::bare(image), entries, options);
            }
        } else {
            for (_, line) in lines {
                list.add_json(Path::new(line), options)?;
            }
        }
        Ok(list)
    }

    fn add_json(&mut self, written: &Path, options: &DetectionOptions) -> Result<(), Error> {
        let path = options.working_directory.join(written);
        let mut image: ImageFile = read_json(&path)?;
        // A JSON file named by an absolute path names its own files from where it stands.
        let folder = match path.parent() {
            Some(folder) if written.is_absolute() => folder,
            _ => options.working_directory.as_path(),
        };
        image.img = folder.join(&image.img);
        let mut objects = std::mem::take(&mut image.objs);
        objects.iter_mut().for_each(|object| object.mask = folder.join(&object.mask));
        self.add(image, objects, options);
        Ok(())
    }

    /// Applies the rules to one image.
    fn add(&mut self, image: ImageFile, entries: Vec<ObjectEntry>, options: &DetectionOptions) {
        let mut objects = Vec::new();
        for (number, entry) in entries.into_iter().enumerate() {
            let mut skip = |object: Option<String>, reason: SkipReason| {
                self.skipped.push(Skipped { image: image.img.clone(), object, reason });
            };
            if !entry.mask.exists() {
                skip(None, SkipReason::MissingMask(entry.mask));
                return;
            }
            let name = || Some(entry.name.clone().unwrap_or_else(|| number.to_string()));
            let class = rewritten_class(&entry.class, entry.nislands, entry.sidelobe_mixed).to_owned();
            let Some(class_id) = options.classes.id(&class) else {
                skip(name(), SkipReason::UnknownClass(class));
                continue;
            };
            if options.skip_classes.contains(&class) {
                skip(name(), SkipReason::UnwantedClass(class));
                continue;
            }
            objects.push(DetectionObject {
                mask: entry.mask,
                class,
                class_id,
                written_class: entry.class,
                name: entry.name,
                islands: entry.nislands,
                sidelobe_mixed: entry.sidelobe_mixed,
                sidelobe_near: entry.sidelobe_near,
                border: entry.border,
                snr: entry.snr,
                size_beams: [entry.maxsize_beam, entry.minsize_beam],
                other: entry.other,
            });
        }
        let has_required = options.require_any.is_empty()
            || objects.iter().any(|object: &DetectionObject| options.require_any.contains(&object.class));
        let reason = match objects.is_empty() {
            true => Some(SkipReason::NoObjects),
            false if !has_required => Some(SkipReason::NoRequiredClass),
            false => None,
        };
        if let Some(reason) = reason {
            self.skipped.push(Skipped { image: image.img, object: None, reason });
            return;
        }
        let pair = |first: Option<f64>, second: Option<f64>| Some([first?, second?]);
        self.images.push(DetectionImage {
            file: image.img,
            telescope: image.telescope,
            background: image.bkg,
            rms: image.rms,
            beam_arcsec: pair(image.bmaj, image.bmin),
            pixel_arcsec: pair(image.dx, image.dy),
            size: image.nx.zip(image.ny).map(|(nx, ny)| [nx, ny]),
            objects,
            other: image.other,
        });
    }
}

impl ImageFile {
    /// An image of which nothing but its file is known.
    fn bare(img: PathBuf) -> Self {
        Self {
            img,
            telescope: None,
            bkg: None,
            rms: None,
            bmaj: None,
            bmin: None,
            dx: None,
            dy: None,
            nx: None,
            ny: None,
            objs: Vec::new(),
            other: Map::new(),
        }
    }
}

/// The objects of lines `image,mask,label`, put together by image in the order of its first line.
fn images_of_lines(lines: &[(u64, &str)], options: &DetectionOptions) -> Vec<(PathBuf, Vec<ObjectEntry>)> {
    let mut images: Vec<(PathBuf, Vec<ObjectEntry>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (_, line) in lines {
        let mut cells = line.split(',').map(str::trim);
        let mut next = || cells.next().unwrap_or_default();
        let (image, mask, class) = (next(), next(), next());
        let image = options.working_directory.join(image);
        let place = *places.entry(image.clone()).or_insert(images.len());
        if place == images.len() {
            images.push((image, Vec::new()));
        }
        images[place].1.push(ObjectEntry {
            mask: options.working_directory.join(mask),
            class: class.to_owned(),
            name: None,
            nislands: 1,
            sidelobe_mixed: false,
            sidelobe_near: false,
            border: false,
            snr: None,
            maxsize_beam: None,
            minsize_beam: None,
            other: Map::new(),
        });
    }
    images
}

impl DetectionObject {
    /// Reads its mask `[rows, cols]`: true where the file is neither zero nor blank.
    ///
    /// # Errors
    /// [`Error::Fits`] if the file cannot be read; [`Error::Mask`] if it is not of the size of the image, where that is given.
    pub fn read_mask(&self, rows_cols: Option<(usize, usize)>) -> Result<Array2<bool>, Error> {
        let mosaic = Mosaic::open(&self.mask)?;
        if let Some((rows, cols)) = rows_cols
            && (mosaic.rows(), mosaic.cols()) != (rows, cols)
        {
            let found = format!("{} of {} rows x {} columns", self.mask.display(), mosaic.rows(), mosaic.cols());
            return Err(Error::Mask { rows, cols, found, expected: "the size of the image".to_owned() });
        }
        Ok(mosaic.full()?.mapv(|pixel| pixel != 0.0 && !pixel.is_nan()))
    }
}
