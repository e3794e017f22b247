//! Instance annotations in the layout of COCO: images, annotations (box, mask as polygons or run lengths), categories.
//!
//! Keys beyond those of COCO are kept and written back. Boxes are `x, y, width, height` in pixels, x being the column.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    json::{read_json, write_json},
    polygon::polygon_mask,
    rle::RunLengths,
};
use crate::error::Error;

/// A whole file. Invariant once read: numbers are unique, and every annotation has its image and its category.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CocoSet {
    /// Where it was read, for messages.
    #[serde(skip)]
    pub path: PathBuf,
    /// The images.
    pub images: Vec<CocoImage>,
    /// The objects.
    #[serde(default)]
    pub annotations: Vec<CocoAnnotation>,
    /// The classes.
    #[serde(default)]
    pub categories: Vec<CocoCategory>,
    /// Everything else: `info`, `licenses`, …
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CocoImage {
    /// Its number.
    pub id: i64,
    /// Its file; what a relative path is relative to, the format does not say.
    pub file_name: PathBuf,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CocoAnnotation {
    /// Its number.
    pub id: i64,
    /// Its image.
    pub image_id: i64,
    /// Its class.
    pub category_id: i64,
    /// Box: column, row, width, height, pixels.
    pub bbox: [f64; 4],
    /// Pixels of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<f64>,
    /// 1 if it stands for a crowd of objects.
    #[serde(default)]
    pub iscrowd: u8,
    /// Its outline or mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<Segmentation>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CocoCategory {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Segmentation {
    /// Polygons `x0, y0, x1, y1, …`, whose union is the mask.
    Polygons(Vec<Vec<f64>>),
    /// Runs, column by column.
    Runs {
        /// Rows and columns.
        size: [usize; 2],
        /// Their lengths.
        counts: Counts,
    },
}

/// Lengths of runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Counts {
    /// As numbers, background first.
    Plain(Vec<u32>),
    /// As the compressed text of the COCO tools.
    Compressed(String),
}

impl Segmentation {
    /// A mask in compressed form.
    pub fn compressed(runs: &RunLengths) -> Self {
        Self::Runs { size: [runs.rows(), runs.cols()], counts: Counts::Compressed(runs.encode()) }
    }

    /// The mask on an image of that size.
    ///
    /// # Errors
    /// [`Error::Mask`].
    pub fn runs(&self, rows: usize, cols: usize) -> Result<RunLengths, Error> {
        match self {
            Self::Polygons(polygons) => {
                let mut whole: Option<RunLengths> = None;
                for polygon in polygons {
                    let mask = polygon_mask(rows, cols, polygon)?;
                    whole = Some(match whole {
                        None => mask,
                        Some(whole) => whole.union(&mask)?,
                    });
                }
                whole.ok_or_else(|| super::rle::wrong(rows, cols, "no polygon".to_owned(), "at least one".to_owned()))
            }
            Self::Runs { size, .. } if *size != [rows, cols] => Err(super::rle::wrong(
                rows,
                cols,
                format!("runs of an image of {size:?}"),
                "the size of the image".to_owned(),
            )),
            Self::Runs { counts: Counts::Plain(counts), .. } => RunLengths::new(rows, cols, counts.clone()),
            Self::Runs { counts: Counts::Compressed(text), .. } => RunLengths::decode(rows, cols, text),
        }
    }
}

impl CocoSet {
    /// Reads a file. Masks are not unpacked: see [`CocoSet::mask`].
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Json`]; [`Error::ListEntry`] for a number used twice, an annotation of an unknown image or
    /// category, and a box that is not finite or of negative size.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let set = Self { path: path.into(), ..read_json(path)? };
        set.check()?;
        Ok(set)
    }

    /// Writes the file, atomically.
    ///
    /// # Errors
    /// [`Error::ListEntry`] as for [`CocoSet::read`], [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        self.check()?;
        write_json(self, path)
    }

    fn wrong(&self, entry: String, key: &str, found: impl fmt::Display, expected: &str) -> Error {
        Error::ListEntry {
            path: self.path.clone(),
            entry,
            key: key.into(),
            found: found.to_string(),
            expected: expected.to_owned(),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let unique = |kind: &str, ids: &mut dyn Iterator<Item = i64>| {
            let mut seen = HashSet::new();
            for id in ids {
                if !seen.insert(id) {
                    return Err(self.wrong(format!("{kind} {id}"), "id", "used twice", "a number of its own"));
                }
            }
            Ok(seen)
        };
        let images = unique("image", &mut self.images.iter().map(|image| image.id))?;
        let categories = unique("category", &mut self.categories.iter().map(|category| category.id))?;
        unique("annotation", &mut self.annotations.iter().map(|annotation| annotation.id))?;
        for annotation in &self.annotations {
            let entry = || format!("annotation {}", annotation.id);
            if !images.contains(&annotation.image_id) {
                return Err(self.wrong(entry(), "image_id", annotation.image_id, "the number of an image"));
            }
            if !categories.contains(&annotation.category_id) {
                return Err(self.wrong(entry(), "category_id", annotation.category_id, "the number of a category"));
            }
            let [.., width, height] = annotation.bbox;
            let is_box = annotation.bbox.iter().all(|value| value.is_finite()) && width >= 0.0 && height >= 0.0;
            if !is_box {
                let found = format!("{:?}", annotation.bbox);
                return Err(self.wrong(entry(), "bbox", found, "x, y, width and height, the last two at least 0"));
            }
        }
        Ok(())
    }

    /// The image of that number.
    pub fn image(&self, id: i64) -> Option<&CocoImage> {
        self.images.iter().find(|image| image.id == id)
    }

    /// The class of that number.
    pub fn category(&self, id: i64) -> Option<&CocoCategory> {
        self.categories.iter().find(|category| category.id == id)
    }

    /// The annotations of each image, in the order of the images.
    pub fn by_image(&self) -> Vec<(&CocoImage, Vec<&CocoAnnotation>)> {
        let mut of: HashMap<i64, Vec<&CocoAnnotation>> = HashMap::new();
        for annotation in &self.annotations {
            of.entry(annotation.image_id).or_default().push(annotation);
        }
        self.images.iter().map(|image| (image, of.remove(&image.id).unwrap_or_default())).collect()
    }

    /// The mask of an object; `None` if the file has only its box.
    ///
    /// # Errors
    /// [`Error::ListEntry`] for a mask that cannot be drawn on its image.
    pub fn mask(&self, annotation: &CocoAnnotation) -> Result<Option<RunLengths>, Error> {
        let entry = || format!("annotation {}", annotation.id);
        let unknown = || self.wrong(entry(), "image_id", annotation.image_id, "the number of an image");
        let image = self.image(annotation.image_id).ok_or_else(unknown)?;
        let Some(segmentation) = &annotation.segmentation else {
            return Ok(None);
        };
        // Polygons are often left empty where there is only a box.
        if matches!(segmentation, Segmentation::Polygons(polygons) if polygons.is_empty()) {
            return Ok(None);
        }
        let runs = segmentation.runs(image.height, image.width);
        runs.map(Some).map_err(|refused| self.wrong(entry(), "segmentation", refused, "a mask of its image"))
    }
}
