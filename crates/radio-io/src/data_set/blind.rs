//! Blind data sets, the paper's *hulk*: a window slid over every mosaic, and nothing chosen by eye (reference-facts A1).

use std::{collections::HashMap, path::Path};

use ndarray::{Array2, ArrayView2};

use crate::{
    cutout::jy_per_beam,
    error::Error,
    frame_grid::FrameId,
    frame_labels::FrameLabels,
    frame_set::{SurveyMosaic, check_ids},
    noise::robust_rms,
    survey::{MosaicEntry, Survey},
};

use super::{
    manifest::{Cutting, LeftOut, Manifest, ManifestRow, Window},
    mosaic_record::MosaicRecord,
    strip_scan::{Watch, positions_of, scan_grid},
};

/// How complexity is measured. It comes from the caller: this crate reads surveys, and which description of a picture counts as
/// complex is no business of a reader (the gzip complexity lives in `frame-features`, a crate beside this one).
#[derive(Clone, Copy)]
pub struct ComplexityMeasure<'a> {
    /// What it is, in words; goes into the manifest.
    pub name: &'a str,
    /// From pixels `[rows, cols]` with at least two different finite values, NaN where blank, to a number that is larger for
    /// more complex pictures. Called from several threads.
    pub of: &'a (dyn Fn(ArrayView2<'_, f32>) -> f64 + Sync),
}

/// What one look at the pixels of a cutout gives.
pub(super) struct Measured {
    pub(super) rms_jy_beam: f32,
    pub(super) blank_fraction: f32,
    pub(super) complexity: f32,
}

impl Measured {
    pub(super) fn new(
        pixels: &Array2<f32>,
        blank: f64,
        to_jy_beam: f32,
        complexity: Option<ComplexityMeasure<'_>>,
    ) -> Self {
        Self {
            rms_jy_beam: robust_rms(pixels) * to_jy_beam,
            blank_fraction: blank as f32,
            complexity: complexity.map_or(f32::NAN, |measure| (measure.of)(pixels.view()) as f32),
        }
    }
}

impl Manifest {
    /// Cuts every mosaic of a survey as it says and measures noise, blanks and complexity of each kept frame in one pass; its
    /// label list, if it names one, is joined. The frames and their order are those of [`crate::FrameSet::of_survey`].
    ///
    /// All headers are read first, so that a missing file is found before hours of work. Memory does not grow with the mosaics,
    /// only with the number of frames; the result does not depend on the number of threads.
    ///
    /// # Errors
    /// Those of [`crate::FrameSet::of_survey`] and [`FrameLabels::read`]; [`Error::UnknownFrame`] for a label of a frame that was
    /// not kept; [`Error::Io`], and [`Error::Cancelled`].
    pub fn scan_blind(
        survey: &Survey,
        complexity: Option<ComplexityMeasure<'_>>,
        watch: &Watch<'_>,
    ) -> Result<Self, Error> {
        let grid = survey.frames.grid();
        let max_blank_fraction = survey.frames.max_blank_fraction;
        let (mut mosaics, mut total) = (Vec::with_capacity(survey.mosaics.len()), 0);
        for entry in &survey.mosaics {
            watch.check()?;
            let (record, mosaic) = MosaicRecord::open(entry)?;
            total += positions_of(mosaic.pixels.as_ref(), &grid)?.len() as u64;
            mosaics.push(record);
        }
        check_ids(mosaics.iter().map(|mosaic| (mosaic.id.as_str(), mosaic.path.as_path())))?;
        watch.report(0, total);
        let (mut rows, mut left_out, mut done) = (Vec::new(), LeftOut::default(), 0);
        for (number, entry) in survey.mosaics.iter().enumerate() {
            let mosaic = SurveyMosaic::open(entry)?;
            let to_jy_beam = mosaic.unit.as_deref().map_or(1.0, jy_per_beam);
            let measure = |pixels: &Array2<f32>, blank| Measured::new(pixels, blank, to_jy_beam, complexity);
            let pixels = mosaic.pixels.as_ref();
            let scan = scan_grid(pixels, &grid, max_blank_fraction, &measure, watch, |frames| {
                done += frames as u64;
                watch.report(done, total);
            })?;
            left_out += scan.left_out;
            rows.extend(scan.kept.into_iter().map(|(position, measured)| {
                // The survey file refuses larger numbers.
                let [row, col, size] =
                    [position.row, position.col, grid.size].map(|value| u32::try_from(value).unwrap_or(u32::MAX));
                let window = Window { row, col, n_rows: size, n_cols: size };
                let (middle_row, middle_col) = window.centre();
                ManifestRow {
                    id: FrameId { mosaic: mosaic.id.clone(), row, col, size }.to_string(),
                    mosaic: number as u32,
                    window,
                    sky: mosaic.wcs.as_ref().and_then(|wcs| wcs.sky(middle_row, middle_col)),
                    labels: Vec::new(),
                    rms_jy_beam: measured.rms_jy_beam,
                    blank_fraction: measured.blank_fraction,
                    complexity: measured.complexity,
                    source: None,
                    part: None,
                }
            }));
        }
        if let Some(path) = &survey.labels {
            label(&mut rows, path)?;
        }
        Ok(Self {
            name: survey.name.clone(),
            cutting: Cutting::Blind { size: grid.size, step: grid.step, edge: grid.edge, max_blank_fraction },
            complexity: complexity.map(|measure| measure.name.to_owned()),
            left_out,
            history: Vec::new(),
            mosaics,
            rows,
        })
    }
}

/// Joins a label list.
fn label(rows: &mut [ManifestRow], path: &Path) -> Result<(), Error> {
    let places: HashMap<String, usize> = rows.iter().enumerate().map(|(place, row)| (row.id.clone(), place)).collect();
    for (id, labels) in FrameLabels::read(path)?.rows {
        let frame = id.to_string();
        let Some(&place) = places.get(&frame) else {
            return Err(Error::UnknownFrame { path: path.into(), frame, frames: rows.len() });
        };
        rows[place].labels = labels.iter().map(|label| label.text().to_owned()).collect();
    }
    Ok(())
}

/// Records of the mosaics of a survey, whose files are closed again.
pub(super) fn records(entries: &[MosaicEntry], watch: &Watch<'_>) -> Result<Vec<MosaicRecord>, Error> {
    let mut records = Vec::with_capacity(entries.len());
    for entry in entries {
        watch.check()?;
        records.push(MosaicRecord::open(entry)?.0);
    }
    check_ids(records.iter().map(|mosaic| (mosaic.id.as_str(), mosaic.path.as_path())))?;
    Ok(records)
}
