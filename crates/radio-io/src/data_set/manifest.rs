//! The manifest: every cutout of a data set by name and place, and the mosaics that hold their pixels.

use std::{collections::HashSet, ops::AddAssign, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    frame_grid::{EdgePolicy, FrameId},
    wcs::Wcs,
};

use super::{
    keyed_order::address_of, mosaic_record::MosaicRecord, sky_neighbours::SkyCorners, source_centred::SourceSettings,
};

/// Frames that were not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// With a larger share of blank pixels than allowed.
    pub too_blank: usize,
    /// Whose finite pixels are all equal, such as a block of zeros outside the observed field.
    pub constant: usize,
}

impl AddAssign for LeftOut {
    fn add_assign(&mut self, other: Self) {
        self.too_blank += other.too_blank;
        self.constant += other.constant;
    }
}

/// A rectangle of pixels of a mosaic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// First row, from 0.
    pub row: u32,
    /// First column, from 0.
    pub col: u32,
    /// Rows.
    pub n_rows: u32,
    /// Columns.
    pub n_cols: u32,
}

impl Window {
    /// Position of its centre as (row, column).
    pub fn centre(&self) -> (f64, f64) {
        let middle = |start: u32, count: u32| f64::from(start) + (f64::from(count) - 1.0) / 2.0;
        (middle(self.row, self.n_rows), middle(self.col, self.n_cols))
    }

    /// Whether two windows of one mosaic share a pixel.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meet = |a: u32, n_a: u32, b: u32, n_b: u32| {
            u64::from(a) < u64::from(b) + u64::from(n_b) && u64::from(b) < u64::from(a) + u64::from(n_a)
        };
        meet(self.row, self.n_rows, other.row, other.n_rows) && meet(self.col, self.n_cols, other.col, other.n_cols)
    }
}

/// The catalogued source that a cutout is centred on.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceBox {
    /// Its name in the catalogue.
    pub id: String,
    /// Right ascension, degrees, J2000.
    pub ra_deg: f64,
    /// Declination, degrees, J2000.
    pub dec_deg: f64,
    /// Extent from east to west and from south to north, arc seconds.
    pub size_arcsec: (f64, f64),
}

/// Which part of a split a cutout belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// To learn from.
    Train,
    /// To choose settings with.
    Valid,
    /// To judge with.
    Test,
    /// Too near to a cutout of another part: used for none.
    Border,
}

impl Part {
    /// As it stands in a manifest.
    pub fn text(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
            Self::Border => "border",
        }
    }

    pub(crate) fn of_text(text: &str) -> Option<Self> {
        [Self::Train, Self::Valid, Self::Test, Self::Border].into_iter().find(|part| part.text() == text)
    }
}

/// One cutout.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestRow {
    /// Its name, unique in the manifest. For a blind cutout the text of its [`FrameId`], otherwise mosaic and source.
    pub id: String,
    /// Place of its mosaic in [`Manifest::mosaics`].
    pub mosaic: u32,
    /// Its pixels there.
    pub window: Window,
    /// Right ascension and declination of the window's centre, degrees, J2000; `None` without a usable sky.
    pub sky: Option<(f64, f64)>,
    /// Its labels, in the order they were given; empty if it was not labelled. None may be empty or hold `;`.
    pub labels: Vec<String>,
    /// Noise ([`crate::robust_rms`]), Jy/beam, as in [`crate::Cutout`].
    pub rms_jy_beam: f32,
    /// Share of pixels that are not finite, 0 to 1.
    pub blank_fraction: f32,
    /// Complexity by the measure that [`Manifest::complexity`] names; NaN if it was not measured.
    pub complexity: f32,
    /// The source it is centred on.
    pub source: Option<SourceBox>,
    /// Its part of a split.
    pub part: Option<Part>,
}

impl ManifestRow {
    /// The key of random streams: that of [`FrameId::address`] for blind cutouts, made the same way from other names.
    pub fn address(&self) -> u64 {
        self.id.parse::<FrameId>().map_or_else(|_| address_of(self.id.as_bytes()), |id| id.address())
    }
}

/// How the cutouts of a manifest were chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Cutting {
    /// A grid over every mosaic.
    Blind {
        /// Side of a frame, pixels.
        size: usize,
        /// Distance between neighbours, pixels.
        step: usize,
        /// What happens at the far borders.
        edge: EdgePolicy,
        /// Largest share of blank pixels that was kept.
        max_blank_fraction: f64,
    },
    /// Around the sources of a catalogue.
    SourceCentred(SourceSettings),
}

/// A data set. See [`crate::data_set`].
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Name of the survey.
    pub name: String,
    /// How it was cut.
    pub cutting: Cutting,
    /// What `complexity` is, in words; `None` if it was not measured.
    pub complexity: Option<String>,
    /// Frames that were not kept.
    pub left_out: LeftOut,
    /// What was done to the rows since, one line for each step (a split, a draw).
    pub history: Vec<String>,
    /// The mosaics, in the order of the survey.
    pub mosaics: Vec<MosaicRecord>,
    /// The cutouts.
    pub rows: Vec<ManifestRow>,
}

impl Manifest {
    /// How many cutouts there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The mosaic of row `index`.
    ///
    /// # Errors
    /// [`Error::NoSuchFrame`].
    pub fn mosaic_of(&self, index: usize) -> Result<&MosaicRecord, Error> {
        let refused = Error::NoSuchFrame { index, len: self.len() };
        let row = self.rows.get(index).ok_or(refused)?;
        // A manifest that was read or made here has no other numbers.
        self.mosaics.get(row.mosaic as usize).ok_or(Error::NoSuchFrame { index, len: self.len() })
    }

    /// The manifest of these rows only, in the order given; `step` says in words what was done and joins the history.
    ///
    /// # Errors
    /// [`Error::NoSuchFrame`].
    pub fn select(&self, indices: &[usize], step: &str) -> Result<Self, Error> {
        let row = |&index: &usize| self.rows.get(index).cloned().ok_or(Error::NoSuchFrame { index, len: self.len() });
        let rows = indices.iter().map(row).collect::<Result<_, _>>()?;
        let history = self.history.iter().cloned().chain([step.to_owned()]).collect();
        Ok(Self { rows, history, ..self.clone() })
    }

    /// The sky of every mosaic, without opening one.
    ///
    /// # Errors
    /// [`Error::Fits`] if recorded keywords describe no sky, which a manifest that was made here does not have.
    pub fn skies(&self) -> Result<Vec<Option<Wcs>>, Error> {
        self.mosaics.iter().map(MosaicRecord::wcs).collect()
    }

    /// Corners of every cutout on the sky: the outer corners of its corner pixels, (right ascension, declination) in degrees, in
    /// order around it; `None` where a corner shows no sky.
    ///
    /// # Errors
    /// Those of [`Manifest::skies`].
    pub fn corners(&self) -> Result<Vec<Option<SkyCorners>>, Error> {
        let skies = self.skies()?;
        let of_row = |row: &ManifestRow| {
            let wcs = skies.get(row.mosaic as usize)?.as_ref()?;
            let Window { row, col, n_rows, n_cols } = row.window;
            let (top, left) = (f64::from(row) - 0.5, f64::from(col) - 0.5);
            let (bottom, right) = (top + f64::from(n_rows), left + f64::from(n_cols));
            Some([wcs.sky(top, left)?, wcs.sky(top, right)?, wcs.sky(bottom, right)?, wcs.sky(bottom, left)?])
        };
        Ok(self.rows.iter().map(of_row).collect())
    }

    /// Makes sure that every row fits its mosaic and that names are unique; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::ManifestRow`] for the first row at fault.
    pub fn check(&self, path: &Path) -> Result<(), Error> {
        let mut seen = HashSet::with_capacity(self.len());
        for (number, row) in self.rows.iter().enumerate() {
            let refuse = |found: String, expected: String| {
                Err(Error::ManifestRow { path: path.into(), row: number, id: row.id.clone(), found, expected })
            };
            if row.id.is_empty() || !seen.insert(row.id.as_str()) {
                return refuse("a name that is empty or was used before".into(), "a name of its own".into());
            }
            let Some(mosaic) = self.mosaics.get(row.mosaic as usize) else {
                return refuse(format!("mosaic {}", row.mosaic), format!("less than {}", self.mosaics.len()));
            };
            let Window { row: first, col, n_rows, n_cols } = row.window;
            let inside =
                |start: u32, count: u32, length: u64| count > 0 && u64::from(start) + u64::from(count) <= length;
            if !inside(first, n_rows, mosaic.rows) || !inside(col, n_cols, mosaic.cols) {
                let found = format!("window of {n_rows} x {n_cols} at row {first}, column {col}");
                return refuse(
                    found,
                    format!("inside {} rows x {} columns of {}", mosaic.rows, mosaic.cols, mosaic.id),
                );
            }
            if !(0.0..=1.0).contains(&row.blank_fraction) {
                return refuse(format!("blank fraction {}", row.blank_fraction), "a share from 0 to 1".into());
            }
            if let Some(label) = row.labels.iter().find(|label| label.is_empty() || label.contains(';')) {
                return refuse(format!("label `{label}`"), "a label of at least one letter without `;`".into());
            }
        }
        Ok(())
    }
}
