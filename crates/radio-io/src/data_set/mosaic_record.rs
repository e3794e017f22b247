//! What a manifest remembers of a mosaic: enough to find it, to know it again, and to compute its sky without opening it.
//!
//! A mosaic is known by its length and a fingerprint of samples of its bytes, not by its time of change: a copy is the same
//! mosaic, and manifests made on two machines have the same bytes.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    beam::Beam,
    card::{Card, CardValue},
    error::Error,
    frame_set::SurveyMosaic,
    header::Header,
    image_choice::{HduChoice, ImageChoice, PlaneChoice},
    mosaic::PixelSource,
    survey::MosaicEntry,
    wcs::Wcs,
};

use super::keyed_order::address_of;

/// Bytes at both ends of a file that are sampled whole: headers of images and compressed tables lie there.
const ENDS: u64 = 64 * 1024;

/// Blocks between the ends that are sampled.
const BLOCKS: u64 = 62;

/// Bytes of such a block.
const BLOCK: u64 = 4096;

/// One mosaic of a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MosaicRecord {
    /// Its short name.
    pub id: String,
    /// The file. In a manifest file below its folder, the path is relative to that folder.
    pub path: PathBuf,
    /// The header-data unit by number, unless it is the first image of the file.
    #[serde(default, skip_serializing_if = "HduChoice::is_first_image")]
    pub hdu: HduChoice,
    /// The plane: a place on every further axis that is longer than 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planes: Vec<PlaneChoice>,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// Fingerprint of the file: its length, its ends and blocks in between. A change elsewhere may go unnoticed.
    pub fingerprint: String,
    /// Rows.
    pub rows: u64,
    /// Columns.
    pub cols: u64,
    /// BUNIT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Size of a pixel, arc seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel_arcsec: Option<f64>,
    /// The beam.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beam: Option<Beam>,
    /// Keywords of its sky as [`Wcs::cards`] gives them; empty without a usable sky.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub wcs: BTreeMap<String, WcsValue>,
}

/// Value of a keyword.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WcsValue {
    /// A number.
    Number(f64),
    /// A word.
    Text(String),
}

impl MosaicRecord {
    /// Opens a mosaic of a survey and notes what is needed.
    ///
    /// # Errors
    /// Those of [`SurveyMosaic::open`], and [`Error::Io`].
    pub fn open(entry: &MosaicEntry) -> Result<(Self, SurveyMosaic), Error> {
        let mosaic = SurveyMosaic::open(entry)?;
        let (bytes, fingerprint) = fingerprint(&entry.path)?;
        let record = Self {
            id: mosaic.id.clone(),
            path: entry.path.clone(),
            hdu: mosaic.image.hdu.clone(),
            planes: mosaic.image.planes.clone(),
            bytes,
            fingerprint,
            rows: mosaic.pixels.rows() as u64,
            cols: mosaic.pixels.cols() as u64,
            unit: mosaic.unit.clone(),
            pixel_arcsec: mosaic.wcs.as_ref().map(Wcs::pixel_arcsec),
            beam: mosaic.beam,
            wcs: mosaic.wcs.as_ref().map(keywords_of).unwrap_or_default(),
        };
        Ok((record, mosaic))
    }

    /// Which image of the file it is.
    pub fn image(&self) -> ImageChoice {
        ImageChoice { hdu: self.hdu.clone(), planes: self.planes.clone() }
    }

    /// What windows of this mosaic share with those of others: length and fingerprint of the file, and the header-data unit where
    /// it is not the first image. Planes of a cube show the same sky, so their windows count as those of one mosaic.
    pub fn pixel_grid(&self) -> (u64, String) {
        let hdu = match &self.hdu {
            HduChoice::FirstImage => String::new(),
            other => format!(", {other}"),
        };
        (self.bytes, format!("{}{hdu}", self.fingerprint))
    }

    /// Its sky.
    ///
    /// # Errors
    /// [`Error::Fits`] if the keywords describe none.
    pub fn wcs(&self) -> Result<Option<Wcs>, Error> {
        let card = |(keyword, value): (&String, &WcsValue)| match value {
            WcsValue::Number(number) => Card::new(keyword, *number, ""),
            WcsValue::Text(text) => Card::new(keyword, text.as_str(), ""),
        };
        let cards: Vec<Card> = self.wcs.iter().map(card).collect();
        Ok(Wcs::from_header(&Header::from_cards(&cards), (0, 1), &self.path)?)
    }

    /// Makes sure that the file is still the one that was recorded.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::MosaicChanged`] if it is another one.
    pub fn check_file(&self) -> Result<(), Error> {
        let (bytes, fingerprint) = fingerprint(&self.path)?;
        if bytes != self.bytes {
            return Err(self.changed("length in bytes", bytes.to_string(), self.bytes.to_string()));
        }
        if fingerprint != self.fingerprint {
            return Err(self.changed("fingerprint", fingerprint, self.fingerprint.clone()));
        }
        Ok(())
    }

    /// Makes sure that an opened mosaic has the recorded shape.
    pub(crate) fn check_shape(&self, mosaic: &dyn PixelSource) -> Result<(), Error> {
        let (rows, cols) = (mosaic.rows() as u64, mosaic.cols() as u64);
        if (rows, cols) == (self.rows, self.cols) {
            return Ok(());
        }
        Err(self.changed("shape", format!("{rows} x {cols}"), format!("{} x {}", self.rows, self.cols)))
    }

    fn changed(&self, what: &'static str, found: String, expected: String) -> Error {
        Error::MosaicChanged { path: self.path.clone(), what, found, expected }
    }
}

fn keywords_of(wcs: &Wcs) -> BTreeMap<String, WcsValue> {
    let value = |card: Card| {
        let value = match card.value {
            CardValue::Float(number) => WcsValue::Number(number),
            CardValue::Integer(number) => WcsValue::Number(number as f64),
            CardValue::Text(text) => WcsValue::Text(text),
            CardValue::Logical(_) | CardValue::Undefined => return None,
        };
        Some((card.keyword, value))
    };
    wcs.cards().into_iter().filter_map(value).collect()
}

/// Length and fingerprint of a file.
fn fingerprint(path: &Path) -> Result<(u64, String), Error> {
    let sample = || -> std::io::Result<(u64, u64)> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut sampled = length.to_le_bytes().to_vec();
        let mut take = |start: u64, count: u64| -> std::io::Result<()> {
            file.seek(SeekFrom::Start(start))?;
            (&mut file).take(count).read_to_end(&mut sampled).map(|_| ())
        };
        if length <= 2 * ENDS + BLOCKS * BLOCK {
            take(0, length)?;
        } else {
            take(0, ENDS)?;
            let between = length - 2 * ENDS;
            for block in 0..BLOCKS {
                take(ENDS + between / BLOCKS * block, BLOCK)?;
            }
            take(length - ENDS, ENDS)?;
        }
        Ok((length, address_of(&sampled)))
    };
    let (length, hash) = sample().map_err(|source| Error::Io { path: path.into(), source })?;
    Ok((length, format!("{hash:016x}")))
}
