//! The frames of a survey that are worth looking at: which were kept, which were left out and why, and their pixels.
//!
//! A [`FrameSet`] holds places, not pixels: frame `i` is read when it is asked for, from any thread. It keeps all its mosaics
//! open and lives in memory only; a [`crate::data_set::Manifest`] is the file for hundreds of mosaics. Both are made by one scan.

use std::{collections::HashMap, path::Path, sync::Arc};

use ndarray::Array2;

use crate::{
    beam::Beam,
    cutout::Cutout,
    data_set::{LeftOut, Watch, scan_grid},
    error::{Error, FitsError},
    frame_grid::{FrameGrid, FrameId, is_mosaic_id},
    image_choice::ImageChoice,
    mosaic::{Mosaic, PixelSource},
    survey::{MosaicEntry, Survey},
    wcs::Wcs,
};

/// A mosaic that takes part in a survey.
#[derive(Clone)]
pub struct SurveyMosaic {
    /// Its short name.
    pub id: String,
    /// Its pixels.
    pub pixels: Arc<dyn PixelSource>,
    /// Which image of its file it is ([`Mosaic::choice`]).
    pub image: ImageChoice,
    /// Its sky, where there is a usable one.
    pub wcs: Option<Wcs>,
    /// Its beam: the survey file's, or else the header's.
    pub beam: Option<Beam>,
    /// BUNIT.
    pub unit: Option<String>,
    /// What of the header was passed over, in words; among it the reason why there is no sky.
    pub remarks: Vec<String>,
}

impl std::fmt::Debug for SurveyMosaic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mosaic {} ({} x {})", self.id, self.pixels.rows(), self.pixels.cols())
    }
}

impl SurveyMosaic {
    /// Opens a mosaic of a survey. A sky that cannot be computed (apparent places, for instance) is no reason not to cut the
    /// mosaic: it becomes a remark.
    ///
    /// # Errors
    /// Those of [`Mosaic::open_image`], and [`Error::MosaicImage`] for those that another `hdu` or `planes` would cure.
    pub fn open(entry: &MosaicEntry) -> Result<Self, Error> {
        let mosaic = open_chosen(entry)?;
        let mut remarks = mosaic.remarks().to_vec();
        let wcs = mosaic.wcs().unwrap_or_else(|refused| {
            remarks.push(refused.to_string());
            None
        });
        if let Some((row, col)) = wcs.as_ref().map(Wcs::reference_pixel) {
            let (rows, cols) = (mosaic.rows(), mosaic.cols());
            let outside = |place: f64, length: usize| !(-0.5..length as f64 - 0.5).contains(&place);
            if outside(row, rows) || outside(col, cols) {
                remarks.push(format!(
                    "the reference pixel (row {row:.1}, column {col:.1}) lies outside the {rows} x {cols} map: if the header was copied \
                     from a larger map, sky positions are wrong"
                ));
            }
        }
        let id = entry.id.clone().unwrap_or_default();
        let beam = entry.beam.or_else(|| mosaic.beam());
        let unit = mosaic.unit().map(str::to_owned);
        Ok(Self { id, image: mosaic.choice(), pixels: Arc::new(mosaic), wcs, beam, unit, remarks })
    }

    /// An image in memory, in Jy/beam, without a sky.
    pub fn in_memory(id: &str, pixels: Array2<f32>) -> Self {
        let (image, pixels) = (ImageChoice::default(), Arc::new(pixels));
        Self { id: id.to_owned(), image, pixels, wcs: None, beam: None, unit: None, remarks: Vec::new() }
    }
}

/// Opens the image that an entry of a survey file chooses; where there is none, says which of its keys is at fault.
pub(crate) fn open_chosen(entry: &MosaicEntry) -> Result<Mosaic, Error> {
    Mosaic::open_image(&entry.path, &entry.image()).map_err(|source| {
        let planes: Vec<String> = entry.planes.iter().map(|plane| format!("\"{plane}\"")).collect();
        let planes = if planes.is_empty() { "missing".to_owned() } else { format!("[{}]", planes.join(", ")) };
        let (key, found) = match &source {
            FitsError::NoSuchHdu { .. } | FitsError::NoPixels { .. } => ("hdu", entry.hdu.to_string()),
            FitsError::Plane { .. } => ("planes", planes),
            // Of a spectrum no plane can be chosen.
            FitsError::NotAnImage { axes, .. } if axes.iter().filter(|axis| **axis > 1).count() > 2 => {
                ("planes", planes)
            }
            _ => return source.into(),
        };
        let mosaic = entry.id.clone().unwrap_or_default();
        Error::MosaicImage { path: entry.path.clone(), mosaic, key, found, source: Box::new(source) }
    })
}

/// The kept frames of one or more mosaics, in the order of the mosaics and of [`crate::frame_grid()`].
#[derive(Debug, Clone)]
pub struct FrameSet {
    mosaics: Vec<SurveyMosaic>,
    size: usize,
    frames: Vec<Frame>,
    index: HashMap<FrameId, usize>,
    left_out: LeftOut,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    mosaic: usize,
    row: usize,
    col: usize,
}

impl FrameSet {
    /// Opens the mosaics of a survey and cuts them as it says.
    ///
    /// # Errors
    /// Those of [`SurveyMosaic::open`] and [`FrameSet::scan`].
    pub fn of_survey(survey: &Survey) -> Result<Self, Error> {
        let mosaics: Result<Vec<SurveyMosaic>, Error> = survey.mosaics.iter().map(SurveyMosaic::open).collect();
        Self::scan(mosaics?, &survey.frames.grid(), survey.frames.max_blank_fraction)
    }

    /// Looks at every frame of the grid once, in parallel, and keeps those with at most `max_blank_fraction` blank pixels and at least two
    /// different values. The set may come out empty: [`FrameSet::left_out`] then says why.
    ///
    /// # Errors
    /// [`Error::BadGrid`], [`Error::SmallerThanFrame`], [`Error::AllBlank`], [`Error::BadMosaicId`], [`Error::DuplicateMosaic`].
    pub fn scan(mosaics: Vec<SurveyMosaic>, grid: &FrameGrid, max_blank_fraction: f64) -> Result<Self, Error> {
        let &FrameGrid { size, step, .. } = grid;
        if size == 0 || step == 0 {
            return Err(Error::BadGrid { size, step });
        }
        check_ids(mosaics.iter().map(|mosaic| (mosaic.id.as_str(), mosaic.pixels.path())))?;
        let (mut frames, mut left_out) = (Vec::new(), LeftOut::default());
        for (number, mosaic) in mosaics.iter().enumerate() {
            let nothing = |_: &Array2<f32>, _| ();
            let scan =
                scan_grid(mosaic.pixels.as_ref(), grid, max_blank_fraction, &nothing, &Watch::default(), |_| ())?;
            frames.extend(scan.kept.iter().map(|(at, ())| Frame { mosaic: number, row: at.row, col: at.col }));
            left_out += scan.left_out;
        }
        let mut set = Self { mosaics, size, frames, index: HashMap::new(), left_out };
        set.index = (0..set.len()).map(|index| (set.name(&set.frames[index]), index)).collect();
        Ok(set)
    }

    /// How many frames were kept.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether none was kept.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Side of a frame, pixels.
    pub fn frame_size(&self) -> usize {
        self.size
    }

    /// The mosaics.
    pub fn mosaics(&self) -> &[SurveyMosaic] {
        &self.mosaics
    }

    /// Frames that were not kept, and why.
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Name of frame `index`.
    ///
    /// # Errors
    /// [`Error::NoSuchFrame`].
    pub fn id(&self, index: usize) -> Result<FrameId, Error> {
        self.frame(index).map(|frame| self.name(frame))
    }

    /// Names of all frames, in order.
    pub fn ids(&self) -> Vec<FrameId> {
        self.frames.iter().map(|frame| self.name(frame)).collect()
    }

    /// Number of the frame with that name, if it was kept.
    pub fn index_of(&self, id: &FrameId) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// Centre of frame `index` on the sky: right ascension and declination, degrees, J2000; `None` without a usable sky.
    ///
    /// # Errors
    /// [`Error::NoSuchFrame`].
    pub fn sky(&self, index: usize) -> Result<Option<(f64, f64)>, Error> {
        let frame = self.frame(index)?;
        let half = (self.size as f64 - 1.0) / 2.0;
        let wcs = self.mosaics[frame.mosaic].wcs.as_ref();
        Ok(wcs.and_then(|wcs| wcs.sky(frame.row as f64 + half, frame.col as f64 + half)))
    }

    /// Pixels `[size, size]` of frame `index`; NaN means blank.
    ///
    /// # Errors
    /// [`Error::NoSuchFrame`], and those of [`PixelSource::window`].
    pub fn pixels(&self, index: usize) -> Result<Array2<f32>, Error> {
        let frame = self.frame(index)?;
        Ok(self.mosaics[frame.mosaic].pixels.window(frame.row, frame.col, self.size, self.size)?)
    }

    /// Frame `index` with its noise, blank fraction and place on the sky.
    ///
    /// # Errors
    /// Those of [`FrameSet::pixels`].
    pub fn cutout(&self, index: usize) -> Result<Cutout, Error> {
        let frame = self.frame(index)?;
        let unit = self.mosaics[frame.mosaic].unit.as_deref();
        Ok(Cutout::new(self.name(frame), self.pixels(index)?, unit, self.sky(index)?))
    }

    fn frame(&self, index: usize) -> Result<&Frame, Error> {
        self.frames.get(index).ok_or(Error::NoSuchFrame { index, len: self.frames.len() })
    }

    fn name(&self, frame: &Frame) -> FrameId {
        // Images of more than 2^32 rows do not exist; the survey file refuses such frames.
        let [row, col, size] = [frame.row, frame.col, self.size].map(|value| u32::try_from(value).unwrap_or(u32::MAX));
        FrameId { mosaic: self.mosaics[frame.mosaic].id.clone(), row, col, size }
    }
}

/// Makes sure that ids can be parts of names, and that no two are the same.
pub(crate) fn check_ids<'a>(mosaics: impl IntoIterator<Item = (&'a str, &'a Path)>) -> Result<(), Error> {
    let mut seen: HashMap<&str, &Path> = HashMap::new();
    for (id, path) in mosaics {
        if !is_mosaic_id(id) {
            return Err(Error::BadMosaicId { found: id.to_owned() });
        }
        if let Some(first) = seen.insert(id, path) {
            return Err(Error::DuplicateMosaic { id: id.to_owned(), first: first.into(), second: path.into() });
        }
    }
    Ok(())
}
