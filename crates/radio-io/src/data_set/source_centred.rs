//! Source-centred data sets, the paper's *banner*: a box around every catalogued source, 1.5 times as large as the source
//! (reference-facts A1), so cutouts differ in size.

use std::collections::HashSet;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::Source,
    cutout::{blank_fraction, jy_per_beam},
    error::Error,
    frame_set::SurveyMosaic,
    survey::Survey,
    wcs::Wcs,
};

use super::{
    blind::{ComplexityMeasure, Measured, records},
    manifest::{Cutting, LeftOut, Manifest, ManifestRow, SourceBox, Window},
    strip_scan::Watch,
};

/// A source of a catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogueSource {
    /// Its name; whatever file names cannot hold becomes `-` in names of cutouts.
    pub id: String,
    /// Right ascension of the middle of its box, degrees, J2000.
    pub ra_deg: f64,
    /// Declination of the middle of its box, degrees, J2000.
    pub dec_deg: f64,
    /// Extent of its box from east to west and from south to north, arc seconds; twice the same where only one is known.
    pub size_arcsec: (f64, f64),
    /// Its labels.
    pub labels: Vec<String>,
}

impl From<&Source> for CatalogueSource {
    /// A source of a catalogue, as wide as it is high; one without a size has none here either, and gets no cutout.
    fn from(source: &Source) -> Self {
        let size = source.size_arcsec.unwrap_or(f64::NAN);
        Self {
            id: source.id.clone(),
            ra_deg: source.ra_deg,
            dec_deg: source.dec_deg,
            size_arcsec: (size, size),
            labels: source.labels.clone(),
        }
    }
}

/// The shape of the box around a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxShape {
    /// As wide as high, from the larger extent: the paper's.
    Square,
    /// Each side from its own extent; on a map that is not north up, the box around the turned one.
    Rectangle,
}

/// What to do with a source that lies on several mosaics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coverage {
    /// A cutout of each.
    Every,
    /// One cutout, from the mosaic with the fewest blanks in the box; among equals the one where the box is farthest from the
    /// border.
    Best,
}

/// How cutouts are made around sources.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// Size of the box in units of the source; 1.5 in the paper.
    pub factor: f64,
    /// Its shape.
    pub shape: BoxShape,
    /// Smallest side of a cutout, pixels.
    pub min_side_px: u32,
    /// Which mosaics are used.
    pub coverage: Coverage,
    /// Cutouts with a larger share of blanks are left out.
    pub max_blank_fraction: f64,
}

impl SourceSettings {
    fn check(&self) -> Result<(), Error> {
        let refuse = |key, found: String, expected| Err(Error::DataSetSetting { key, found, expected });
        if !(self.factor > 0.0 && self.factor <= 1e3) {
            return refuse("factor", self.factor.to_string(), "more than 0 and at most 1000");
        }
        if self.min_side_px == 0 {
            return refuse("min_side_px", "0".into(), "at least 1");
        }
        if !(0.0..=1.0).contains(&self.max_blank_fraction) {
            return refuse("max_blank_fraction", self.max_blank_fraction.to_string(), "a share from 0 to 1");
        }
        Ok(())
    }
}

/// Why a source has no cutout. Where several mosaics refuse it for different reasons, the last of these that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhyLeftOut {
    /// Position or size is not a finite number, or the size is not positive.
    BadNumbers,
    /// It lies on none of the mosaics.
    OffTheMaps,
    /// Its box hangs over the border of the mosaic.
    OverTheBorder,
    /// Too many blank pixels.
    TooBlank,
    /// All its finite pixels are equal.
    Constant,
}

/// A source without a cutout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOutSource {
    /// Its name.
    pub id: String,
    /// Why.
    pub why: WhyLeftOut,
}

impl Manifest {
    /// A cutout around every source, in the order of the catalogue, and the sources that have none. The survey gives the
    /// mosaics; its frame settings are not used.
    ///
    /// # Errors
    /// [`Error::DataSetSetting`], [`Error::DuplicateSource`], [`Error::Cancelled`], [`Error::Io`], and those of
    /// [`SurveyMosaic::open`].
    pub fn source_centred(
        survey: &Survey,
        sources: &[CatalogueSource],
        settings: &SourceSettings,
        complexity: Option<ComplexityMeasure<'_>>,
        watch: &Watch<'_>,
    ) -> Result<(Self, Vec<LeftOutSource>), Error> {
        settings.check()?;
        let mut seen = HashSet::new();
        if let Some(twice) = sources.iter().find(|source| !seen.insert(safe_name(&source.id))) {
            return Err(Error::DuplicateSource { id: twice.id.clone() });
        }
        let mosaics = records(&survey.mosaics, watch)?;
        let total = (sources.len() * survey.mosaics.len()) as u64;
        let mut found: Vec<Found> = sources.iter().map(Found::new).collect();
        for (number, entry) in survey.mosaics.iter().enumerate() {
            watch.report((number * sources.len()) as u64, total);
            let mosaic = SurveyMosaic::open(entry)?;
            let Some(wcs) = &mosaic.wcs else { continue };
            let step: Result<(), Error> = found.par_iter_mut().zip(sources).try_for_each(|(found, source)| {
                watch.check()?;
                if found.why == WhyLeftOut::BadNumbers {
                    return Ok(());
                }
                match cut(source, number as u32, &mosaic, wcs, settings, complexity)? {
                    Ok(cutout) => found.add(cutout, settings.coverage),
                    Err(why) => found.why = found.why.max(why),
                }
                Ok(())
            });
            step?;
        }
        watch.report(total, total);
        let (mut rows, mut left_out) = (Vec::new(), Vec::new());
        for (found, source) in found.into_iter().zip(sources) {
            if found.cutouts.is_empty() {
                left_out.push(LeftOutSource { id: source.id.clone(), why: found.why });
            }
            rows.extend(found.cutouts.into_iter().map(|cutout| cutout.row));
        }
        let count = |why| left_out.iter().filter(|source| source.why == why).count();
        let manifest = Self {
            name: survey.name.clone(),
            cutting: Cutting::SourceCentred(*settings),
            complexity: complexity.map(|measure| measure.name.to_owned()),
            left_out: LeftOut { too_blank: count(WhyLeftOut::TooBlank), constant: count(WhyLeftOut::Constant) },
            history: Vec::new(),
            mosaics,
            rows,
        };
        Ok((manifest, left_out))
    }
}

/// What came of one source so far.
struct Found {
    cutouts: Vec<SourceCutout>,
    why: WhyLeftOut,
}

struct SourceCutout {
    row: ManifestRow,
    /// Pixels between the box and the nearest border of the mosaic.
    from_border: u64,
}

impl Found {
    fn new(source: &CatalogueSource) -> Self {
        let (width, height) = source.size_arcsec;
        let is_good = [width, height].iter().all(|size| size.is_finite() && *size > 0.0)
            && source.ra_deg.is_finite()
            && source.dec_deg.abs() <= 90.0;
        Self { cutouts: Vec::new(), why: if is_good { WhyLeftOut::OffTheMaps } else { WhyLeftOut::BadNumbers } }
    }

    fn add(&mut self, cutout: SourceCutout, coverage: Coverage) {
        if coverage == Coverage::Best
            && let Some(best) = self.cutouts.first_mut()
        {
            let rank = |c: &SourceCutout| (c.row.blank_fraction, -(c.from_border as f64));
            if rank(&cutout) < rank(best) {
                *best = cutout;
            }
            return;
        }
        self.cutouts.push(cutout);
    }
}

fn cut(
    source: &CatalogueSource,
    number: u32,
    mosaic: &SurveyMosaic,
    wcs: &Wcs,
    settings: &SourceSettings,
    complexity: Option<ComplexityMeasure<'_>>,
) -> Result<Result<SourceCutout, WhyLeftOut>, Error> {
    let (rows, cols) = (mosaic.pixels.rows(), mosaic.pixels.cols());
    let Some(((row, col), (height, width))) = box_of(source, wcs, settings) else {
        return Ok(Err(WhyLeftOut::OffTheMaps));
    };
    let is_on = |place: f64, length: usize| (-0.5..length as f64 - 0.5).contains(&place);
    if !is_on(row, rows) || !is_on(col, cols) {
        return Ok(Err(WhyLeftOut::OffTheMaps));
    }
    let (Some((first_row, n_rows)), Some((first_col, n_cols))) =
        (along(row, height, settings.min_side_px, rows), along(col, width, settings.min_side_px, cols))
    else {
        return Ok(Err(WhyLeftOut::OverTheBorder));
    };
    let window = Window { row: first_row, col: first_col, n_rows, n_cols };
    let [first_row, first_col, n_rows, n_cols] = [first_row, first_col, n_rows, n_cols].map(|value| value as usize);
    let pixels = mosaic.pixels.window(first_row, first_col, n_rows, n_cols)?;
    mosaic.pixels.release_rows(first_row..first_row + n_rows);
    let blank = blank_fraction(&pixels);
    let mut finite = pixels.iter().filter(|pixel| pixel.is_finite());
    match finite.next() {
        Some(_) if blank > settings.max_blank_fraction => return Ok(Err(WhyLeftOut::TooBlank)),
        None => return Ok(Err(WhyLeftOut::TooBlank)),
        Some(first) if finite.all(|pixel| pixel == first) => return Ok(Err(WhyLeftOut::Constant)),
        Some(_) => {}
    }
    let measured = Measured::new(&pixels, blank, mosaic.unit.as_deref().map_or(1.0, jy_per_beam), complexity);
    let from_border = [first_row, first_col, rows - first_row - n_rows, cols - first_col - n_cols];
    let (middle_row, middle_col) = window.centre();
    let row = ManifestRow {
        id: format!("{}@{}", mosaic.id, safe_name(&source.id)),
        mosaic: number,
        window,
        sky: wcs.sky(middle_row, middle_col),
        labels: source.labels.clone(),
        rms_jy_beam: measured.rms_jy_beam,
        blank_fraction: measured.blank_fraction,
        complexity: measured.complexity,
        source: Some(SourceBox {
            id: source.id.clone(),
            ra_deg: source.ra_deg,
            dec_deg: source.dec_deg,
            size_arcsec: source.size_arcsec,
        }),
        part: None,
    };
    Ok(Ok(SourceCutout { row, from_border: from_border.into_iter().min().unwrap_or(0) as u64 }))
}

/// Centre (row, column) and extent (rows, columns) of the box in pixels; `None` where the map does not show the source.
fn box_of(source: &CatalogueSource, wcs: &Wcs, settings: &SourceSettings) -> Option<((f64, f64), (f64, f64))> {
    let (ra, dec) = (source.ra_deg, source.dec_deg);
    let (row, col) = wcs.pixel(ra, dec)?;
    // One arc second to the east and one to the north (to the south near the pole), in pixels.
    let arcsec = 1.0 / 3600.0;
    let (east_row, east_col) = wcs.pixel(ra + arcsec / dec.to_radians().cos().max(1e-6), dec)?;
    let (north_row, north_col) = wcs.pixel(ra, if dec > 0.0 { dec - arcsec } else { dec + arcsec })?;
    let east = (east_row - row, east_col - col);
    let north = (north_row - row, north_col - col);
    let (width, height) = (source.size_arcsec.0 * settings.factor, source.size_arcsec.1 * settings.factor);
    let extent = match settings.shape {
        BoxShape::Square => {
            let px_per_arcsec = (east.0 * north.1 - east.1 * north.0).abs().sqrt();
            let side = width.max(height) * px_per_arcsec;
            (side, side)
        }
        BoxShape::Rectangle => (
            east.0.abs() * width + north.0.abs() * height, //
            east.1.abs() * width + north.1.abs() * height,
        ),
    };
    Some(((row, col), extent))
}

/// First pixel and number of pixels along one axis; `None` if they do not lie inside.
fn along(centre: f64, extent: f64, min_side: u32, length: usize) -> Option<(u32, u32)> {
    // A whole number of pixels stays one, though scale and direction of north vary a little over the map.
    let count = (extent - 0.05).ceil().max(f64::from(min_side));
    let first = (centre - (count - 1.0) / 2.0).round();
    let is_inside = first >= 0.0 && first + count <= length as f64 && count <= f64::from(u32::MAX);
    is_inside.then_some((first as u32, count as u32))
}

/// A name that may stand in a file name.
fn safe_name(id: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || ".-_+".contains(c) { c } else { '-' };
    id.chars().map(allowed).collect()
}
