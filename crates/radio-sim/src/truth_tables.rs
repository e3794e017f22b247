//! The truth as Parquet: `objects`, `components`, `frames`, `masks` and `spurious_masks`.
//!
//! The columns of the CSV tables in full precision, and what those frozen files lack: component/peak classes and the masks of
//! all objects as runs of pixels.

use crate::config::SimConfig;
use crate::error::SimError;
use crate::frames::Frame;
use crate::mask::Run;
use crate::parquet_table::{Column, write_columns};
use crate::sky::Sky;
use crate::spurious::SpuriousIsland;
use crate::truth::TrueObject;
use radio_io::{FrameLabel, Wcs};
use std::path::Path;

fn float<T>(list: &[T], of: impl Fn(&T) -> f64) -> Column {
    Column::Float(list.iter().map(of).collect())
}

fn int<T>(list: &[T], of: impl Fn(&T) -> usize) -> Column {
    Column::Int(list.iter().map(|t| i32::try_from(of(t)).unwrap_or(i32::MAX)).collect())
}

fn flag<T>(list: &[T], of: impl Fn(&T) -> bool) -> Column {
    Column::Flag(list.iter().map(of).collect())
}

fn text<T>(list: &[T], of: impl Fn(&T) -> String) -> Column {
    Column::Text(list.iter().map(of).collect())
}

fn notes(config: &SimConfig) -> Result<Vec<(&'static str, String)>, SimError> {
    Ok(vec![
        ("survey", config.name.clone()),
        ("seed", config.seed.to_string()),
        ("generator_version", config.version.to_string()),
        ("configuration", config.fingerprint()?),
    ])
}

/// Position angle, degrees from north through east (Galactic north where the map is Galactic).
fn position_angle(angle: f64) -> f64 {
    // East is to the left: a direction (dx, dy) has the position angle atan2(-dx, dy).
    (-angle.cos()).atan2(angle.sin()).to_degrees().rem_euclid(180.0)
}

/// `objects.parquet`. Fluxes in Jy, brightness in Jy/beam, sizes in arcsec, x and y in pixels from 0, angles in degrees. RGZ
/// columns hold 0 and an empty class where the sky does not count components.
///
/// # Errors
/// [`SimError::Io`], [`SimError::Parquet`].
pub fn write_objects(sky: &Sky, objects: &[TrueObject], wcs: &Wcs, path: &Path) -> Result<(), SimError> {
    let px = sky.config.pixel_arcsec;
    let place: Vec<(f64, f64)> = objects.iter().map(|o| wcs.sky(o.y, o.x).unwrap_or((f64::NAN, f64::NAN))).collect();
    let columns = [
        ("id", Column::Int(objects.iter().map(|o| o.id).collect())),
        ("layer", text(objects, |o| format!("{:?}", o.layer).to_lowercase())),
        ("kind", text(objects, |o| o.kind.name().to_owned())),
        ("peculiar", flag(objects, |o| o.kind.is_peculiar())),
        ("ra", float(&place, |p| p.0)),
        ("dec", float(&place, |p| p.1)),
        ("x", float(objects, |o| o.x)),
        ("y", float(objects, |o| o.y)),
        ("s_total", float(objects, |o| o.flux)),
        ("las", float(objects, |o| o.size * px)),
        ("pa", float(objects, |o| position_angle(o.angle))),
        ("s_peak_true", float(objects, |o| o.mask.peak)),
        ("snr_true", float(objects, |o| o.snr)),
        ("sigma_loc", float(objects, |o| o.sigma)),
        ("mask_px", int(objects, |o| o.mask.px)),
        ("mask_beams", float(objects, |o| o.mask.px as f64 / sky.beam.area)),
        ("n_islands", int(objects, |o| o.mask.islands)),
        ("n_peaks", int(objects, |o| o.mask.peaks)),
        ("det_class", text(objects, |o| o.class.name().to_owned())),
        ("rgz_components", int(objects, |o| o.rgz.map_or(0, |r| r.components))),
        ("rgz_peaks", int(objects, |o| o.rgz.map_or(0, |r| r.peaks))),
        ("rgz_size", float(objects, |o| o.rgz.map_or(f64::NAN, |r| r.extent() * px))),
        ("rgz_class", text(objects, |o| o.rgz.and_then(|r| r.class()).map_or("", |c| c.name()).to_owned())),
        ("ignore", flag(objects, TrueObject::ignore)),
        ("detectable", flag(objects, |o| o.detectable)),
        ("artefact_ratio", float(objects, |o| o.artefact_ratio)),
        ("forced", flag(objects, |o| o.forced)),
        ("recognisable", flag(objects, |o| o.recognisable)),
        ("twin_id", int(objects, |o| o.twin as usize)),
    ];
    write_columns(path, &columns, &notes(&sky.config)?)
}

/// `components.parquet`: the Gaussians of every object whose centre lies on the map, points included.
///
/// # Errors
/// [`SimError::Io`], [`SimError::Parquet`].
pub fn write_components(objects: &[TrueObject], config: &SimConfig, path: &Path) -> Result<(), SimError> {
    let side = config.side as f64;
    let inside = |o: &&TrueObject| o.x >= 0.0 && o.y >= 0.0 && o.x < side && o.y < side;
    let parts: Vec<_> = objects.iter().filter(inside).flat_map(|o| o.parts.iter().map(|g| (o.id, *g))).collect();
    let columns = [
        ("id", Column::Int(parts.iter().map(|p| p.0).collect())),
        ("x", float(&parts, |p| p.1.x)),
        ("y", float(&parts, |p| p.1.y)),
        ("flux", float(&parts, |p| p.1.flux)),
        ("sigma_major", float(&parts, |p| p.1.s1)),
        ("sigma_minor", float(&parts, |p| p.1.s2)),
        ("angle", float(&parts, |p| p.1.angle)),
    ];
    write_columns(path, &columns, &notes(config)?)
}

/// `frames.parquet`; lists are joined by `;`.
///
/// # Errors
/// [`SimError::Io`], [`SimError::Parquet`].
pub fn write_frames(config: &SimConfig, frames: &[Frame], wcs: &Wcs, path: &Path) -> Result<(), SimError> {
    let half = (config.frames.size as f64 - 1.0) / 2.0;
    let middle = |f: &Frame| wcs.sky(f.row as f64 + half, f.col as f64 + half).unwrap_or((f64::NAN, f64::NAN));
    let join = |labels: &[FrameLabel]| labels.iter().map(|l| l.text()).collect::<Vec<_>>().join(";");
    let columns = [
        ("frame", text(frames, |f| f.id(config).to_string())),
        ("row", int(frames, |f| f.row)),
        ("column", int(frames, |f| f.col)),
        ("ra", float(frames, |f| middle(f).0)),
        ("dec", float(frames, |f| middle(f).1)),
        ("labels", text(frames, |f| join(&f.labels))),
        ("annotated", text(frames, |f| join(&f.annotated))),
        ("labelled", flag(frames, |f| f.labelled)),
        ("nan_fraction", float(frames, |f| f.nan_fraction)),
        ("rms_median", float(frames, |f| f.rms)),
        ("n_detectable", int(frames, |f| f.n_detectable)),
        ("sum_flux", float(frames, |f| f.sum_flux)),
        ("max_snr", float(frames, |f| f.max_snr)),
        ("peculiar_objects", text(frames, |f| f.peculiar.iter().map(i32::to_string).collect::<Vec<_>>().join(";"))),
        ("has_twin", flag(frames, |f| f.has_twin)),
        ("block", text(frames, |f| format!("{}-{}", f.block.0, f.block.1))),
    ];
    write_columns(path, &columns, &notes(config)?)
}

/// Runs of pixels `first..end` of numbered masks, cut at the border of the map.
fn write_runs<'a>(
    config: &SimConfig,
    masks: impl Iterator<Item = (i32, &'a [Run])>,
    path: &Path,
) -> Result<(), SimError> {
    let side = config.side as i32;
    let (mut id, mut row, mut first, mut end) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (number, runs) in masks {
        for run in runs.iter().filter(|r| r.row >= 0 && r.row < side && r.end > 0 && r.first < side) {
            id.push(number);
            row.push(run.row);
            first.push(run.first.max(0));
            end.push(run.end.min(side));
        }
    }
    let columns = [
        ("id", Column::Int(id)),
        ("row", Column::Int(row)),
        ("first_column", Column::Int(first)),
        ("end_column", Column::Int(end)),
    ];
    write_columns(path, &columns, &notes(config)?)
}

/// `masks.parquet`: the mask of every object of the table, overlapping ones in full (in `mask.fits` the smaller one wins).
///
/// # Errors
/// [`SimError::Io`], [`SimError::Parquet`].
pub fn write_masks(config: &SimConfig, objects: &[TrueObject], path: &Path) -> Result<(), SimError> {
    write_runs(config, objects.iter().map(|o| (o.id, o.mask.runs.as_slice())), path)
}

/// `spurious_masks.parquet`: the islands of `spurious.csv`, by their number there.
///
/// # Errors
/// [`SimError::Io`], [`SimError::Parquet`].
pub fn write_spurious_masks(config: &SimConfig, islands: &[SpuriousIsland], path: &Path) -> Result<(), SimError> {
    write_runs(config, (1..).zip(islands).map(|(id, i)| (id, i.runs.as_slice())), path)
}
