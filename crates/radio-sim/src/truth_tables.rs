//! The truth as tables of typed columns with units and descriptors: `objects`, `components`, `frames`, `spurious` and the masks.
//!
//! Each but the masks is written twice, as Parquet and as VOTable, from the same columns ([`write_table`]); both hold every digit.

use crate::config::SimConfig;
use crate::error::SimError;
use crate::frames::Frame;
use crate::mask::Run;
use crate::sky::Sky;
use crate::spurious::SpuriousIsland;
use crate::truth::TrueObject;
use radio_io::{Column, ColumnData, FrameLabel, Table, Wcs};
use std::path::Path;

/// What a column is in: unit, unified content descriptor, words; empty where there is none.
type Meaning = [&'static str; 3];

const RA: Meaning = ["deg", "pos.eq.ra;meta.main", "right ascension (ICRS)"];
const DEC: Meaning = ["deg", "pos.eq.dec;meta.main", "declination (ICRS)"];
const X: Meaning = ["pix", "pos.cartesian.x;instr.det", "column, the centre of the first pixel is 0"];
const Y: Meaning = ["pix", "pos.cartesian.y;instr.det", "row, the centre of the first pixel is 0"];

fn column(name: &str, [unit, ucd, description]: Meaning, data: ColumnData) -> Column {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Column { unit: given(unit), ucd: given(ucd), description: given(description), ..Column::new(name, data) }
}

fn float<T>(name: &str, meaning: Meaning, list: &[T], of: impl Fn(&T) -> f64) -> Column {
    column(name, meaning, ColumnData::Float(list.iter().map(of).collect()))
}

fn int<T>(name: &str, meaning: Meaning, list: &[T], of: impl Fn(&T) -> usize) -> Column {
    column(name, meaning, ColumnData::Int(list.iter().map(|t| i64::try_from(of(t)).ok()).collect()))
}

fn flag<T>(name: &str, meaning: Meaning, list: &[T], of: impl Fn(&T) -> bool) -> Column {
    column(name, meaning, ColumnData::Bool(list.iter().map(|t| Some(of(t))).collect()))
}

fn text<T>(name: &str, meaning: Meaning, list: &[T], of: impl Fn(&T) -> String) -> Column {
    column(name, meaning, ColumnData::Text(list.iter().map(of).collect()))
}

fn table(name: &str, config: &SimConfig, columns: Vec<Column>) -> Result<Table, SimError> {
    let notes = [
        ("survey", config.name.clone()),
        ("seed", config.seed.to_string()),
        ("generator_version", config.version.to_string()),
        ("configuration", config.fingerprint()?),
    ];
    let metadata = notes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(Table { name: Some(name.to_owned()), columns, metadata, ..Table::default() })
}

/// Writes a table into `folder` under its own name, as `.parquet` and `.vot`.
///
/// # Errors
/// [`SimError::Truth`].
pub fn write_table(table: &Table, folder: &Path) -> Result<(), SimError> {
    let name = table.name.as_deref().unwrap_or("table");
    for extension in ["parquet", "vot"] {
        let refused = |source| SimError::Truth { source: Box::new(source) };
        table.write(&folder.join(format!("{name}.{extension}"))).map_err(refused)?;
    }
    Ok(())
}

/// Position angle, degrees from north through east (Galactic north where the map is Galactic).
fn position_angle(angle: f64) -> f64 {
    // East is to the left: a direction (dx, dy) has the position angle atan2(-dx, dy).
    (-angle.cos()).atan2(angle.sin()).to_degrees().rem_euclid(180.0)
}

/// Right ascension and declination of places `(row, column)`; NaN where the map shows no sky.
fn sky_places<T>(wcs: &Wcs, list: &[T], place: impl Fn(&T) -> (f64, f64)) -> Vec<(f64, f64)> {
    let on_sky = |t: &T| {
        let (row, col) = place(t);
        wcs.sky(row, col).unwrap_or((f64::NAN, f64::NAN))
    };
    list.iter().map(on_sky).collect()
}

/// `objects`: one row per object above the catalogue limit. RGZ columns hold 0, NaN and an empty class where the sky does not
/// count components.
///
/// # Errors
/// [`SimError::ConfigWrite`].
pub fn objects_table(sky: &Sky, objects: &[TrueObject], wcs: &Wcs) -> Result<Table, SimError> {
    let px = sky.config.pixel_arcsec;
    let place = sky_places(wcs, objects, |o| (o.y, o.x));
    let o = objects;
    let columns = vec![
        int("id", ["", "meta.id;meta.main", "number in mask.fits and in the other tables"], o, |o| o.id as usize),
        text("layer", ["", "", "layer of the sky it was drawn in"], o, |o| format!("{:?}", o.layer).to_lowercase()),
        text("kind", ["", "src.morph.type", "what it is"], o, |o| o.kind.name().to_owned()),
        flag("peculiar", ["", "meta.code", "whether its kind is peculiar"], o, |o| o.kind.is_peculiar()),
        float("ra", RA, &place, |p| p.0),
        float("dec", DEC, &place, |p| p.1),
        float("x", X, o, |o| o.x),
        float("y", Y, o, |o| o.y),
        float("s_total", ["Jy", "phot.flux.density;em.radio", "flux density"], o, |o| o.flux),
        float("las", ["arcsec", "phys.angSize", "largest angular size"], o, |o| o.size * px),
        float("pa", ["deg", "pos.posAng", "angle from north through east, of the map's frame"], o, |o| {
            position_angle(o.angle)
        }),
        float("s_peak_true", ["Jy/beam", "phot.flux.density;stat.max", "peak of its image without noise"], o, |o| {
            o.mask.peak
        }),
        float("snr_true", ["", "stat.snr", "that peak over sigma_loc"], o, |o| o.snr),
        float("sigma_loc", ["Jy/beam", "instr.det.noise", "noise, confusion and artefacts at its place"], o, |o| {
            o.sigma
        }),
        int("mask_px", ["pix", "phys.area", "pixels of its mask"], o, |o| o.mask.px),
        float("mask_beams", ["beam", "phys.area", "the same in beams"], o, |o| o.mask.px as f64 / sky.beam.area),
        int("n_islands", ["", "meta.number", "8-connected parts of the mask"], o, |o| o.mask.islands),
        int("n_peaks", ["", "meta.number", "maxima that stand out"], o, |o| o.mask.peaks),
        text("det_class", ["", "src.class", "class for a detector"], o, |o| o.class.name().to_owned()),
        int("rgz_components", ["", "meta.number", "islands above the lowest contour"], o, |o| {
            o.rgz.map_or(0, |r| r.components)
        }),
        int("rgz_peaks", ["", "meta.number", "peaks above 5 sigma"], o, |o| o.rgz.map_or(0, |r| r.peaks)),
        float("rgz_size", ["arcsec", "phys.angSize", "diagonal of the box round the contours"], o, |o| {
            o.rgz.map_or(f64::NAN, |r| r.extent() * px)
        }),
        text("rgz_class", ["", "src.class", "components and peaks, if one of the six classes"], o, |o| {
            o.rgz.and_then(|r| r.class()).map_or("", |c| c.name()).to_owned()
        }),
        flag("ignore", ["", "meta.code", "too faint: a detection on it counts neither way"], o, TrueObject::ignore),
        flag("detectable", ["", "meta.code", "expected to be found"], o, |o| o.detectable),
        float("artefact_ratio", ["", "stat.value", "median artefact over median brightness"], o, |o| o.artefact_ratio),
        flag("forced", ["", "meta.code", "peculiar, and forced into its limits"], o, |o| o.forced),
        flag("recognisable", ["", "meta.code", "peculiar, and an eye can tell"], o, |o| o.recognisable),
        int("twin_id", ["", "meta.id", "twin whose flux and size it borrows; 0 for none"], o, |o| o.twin as usize),
    ];
    table("objects", &sky.config, columns)
}

/// `components`: the Gaussians of every object whose centre lies on the map, points included.
///
/// # Errors
/// [`SimError::ConfigWrite`].
pub fn components_table(objects: &[TrueObject], config: &SimConfig) -> Result<Table, SimError> {
    let side = config.side as f64;
    let inside = |o: &&TrueObject| o.x >= 0.0 && o.y >= 0.0 && o.x < side && o.y < side;
    let parts: Vec<_> = objects.iter().filter(inside).flat_map(|o| o.parts.iter().map(|g| (o.id, g))).collect();
    let p = &parts;
    let columns = vec![
        int("id", ["", "meta.id", "object it belongs to"], p, |p| p.0 as usize),
        float("x", X, p, |p| p.1.x),
        float("y", Y, p, |p| p.1.y),
        float("flux", ["Jy", "phot.flux.density;em.radio", "flux density"], p, |p| p.1.flux),
        float("sigma_major", ["pix", "phys.angSize.smajAxis", "standard deviation, major axis, no beam"], p, |p| {
            p.1.s1
        }),
        float("sigma_minor", ["pix", "phys.angSize.sminAxis", "standard deviation, minor axis, no beam"], p, |p| {
            p.1.s2
        }),
        float("angle", ["rad", "pos.posAng", "major axis, from columns towards rows"], p, |p| p.1.angle),
    ];
    table("components", config, columns)
}

/// `frames`: `labels` is the truth, `annotated` what the annotator says, whether or not the frame is labelled; lists are joined
/// by `;`.
///
/// # Errors
/// [`SimError::ConfigWrite`].
pub fn frames_table(config: &SimConfig, frames: &[Frame], wcs: &Wcs) -> Result<Table, SimError> {
    let half = (config.frames.size as f64 - 1.0) / 2.0;
    let place = sky_places(wcs, frames, |f| (f.row as f64 + half, f.col as f64 + half));
    let join = |labels: &[FrameLabel]| labels.iter().map(|l| l.text()).collect::<Vec<_>>().join(";");
    let f = frames;
    let columns = vec![
        text("frame", ["", "meta.id;meta.main", "mosaic, row, column and size"], f, |f| f.id(config).to_string()),
        int("row", ["pix", "", "first row"], f, |f| f.row),
        int("column", ["pix", "", "first column"], f, |f| f.col),
        float("ra", RA, &place, |p| p.0),
        float("dec", DEC, &place, |p| p.1),
        text("labels", ["", "meta.code.class", "true labels"], f, |f| join(&f.labels)),
        text("annotated", ["", "meta.code.class", "labels of the annotator"], f, |f| join(&f.annotated)),
        flag("labelled", ["", "meta.code", "whether it is in labels.csv"], f, |f| f.labelled),
        float("nan_fraction", ["", "stat.value", "share of blank pixels"], f, |f| f.nan_fraction),
        float("rms_median", ["Jy/beam", "instr.det.noise;stat.median", "true noise with confusion"], f, |f| f.rms),
        int("n_detectable", ["", "meta.number", "detectable objects that count"], f, |f| f.n_detectable),
        float("sum_flux", ["Jy", "phot.flux.density;em.radio", "their flux density"], f, |f| f.sum_flux),
        float("max_snr", ["", "stat.snr;stat.max", "greatest true S/N among them"], f, |f| f.max_snr),
        text("peculiar_objects", ["", "meta.id", "objects that make it PECULIAR"], f, |f| {
            f.peculiar.iter().map(i32::to_string).collect::<Vec<_>>().join(";")
        }),
        flag("has_twin", ["", "meta.code", "holds an ordinary object that could be a twin"], f, |f| f.has_twin),
        text("block", ["", "meta.id", "sky block, row and column"], f, |f| format!("{}-{}", f.block.0, f.block.1)),
    ];
    table("frames", config, columns)
}

/// `spurious`: the islands of the artefacts that a finder would take for sources.
///
/// # Errors
/// [`SimError::ConfigWrite`].
pub fn spurious_table(sky: &Sky, islands: &[SpuriousIsland], wcs: &Wcs) -> Result<Table, SimError> {
    let place = sky_places(wcs, islands, |i| (i.place[0] as f64, i.place[1] as f64));
    let numbers: Vec<usize> = (1..=islands.len()).collect();
    let i = islands;
    let bound = |name: &str, words: &'static str, at: usize| int(name, ["pix", "", words], i, |i| i.bounds[at]);
    let columns = vec![
        int("id", ["", "meta.id;meta.main", "number in spurious_masks"], &numbers, |n| *n),
        float("ra", RA, &place, |p| p.0),
        float("dec", DEC, &place, |p| p.1),
        int("x", X, i, |i| i.place[1]),
        int("y", Y, i, |i| i.place[0]),
        float("peak", ["Jy/beam", "phot.flux.density;stat.max", "brightest pixel"], i, |i| i.peak),
        float("snr", ["", "stat.snr", "greatest ratio to the thermal noise"], i, |i| i.snr),
        int("px", ["pix", "phys.area", "pixels"], i, |i| i.px),
        float("beams", ["beam", "phys.area", "the same in beams"], i, |i| i.px as f64 / sky.beam.area),
        bound("first_row", "first row", 0),
        bound("end_row", "row after the last", 1),
        bound("first_column", "first column", 2),
        bound("end_column", "column after the last", 3),
        float("object_share", ["", "stat.value", "share of the pixels under object masks"], i, |i| i.object_share),
    ];
    table("spurious", &sky.config, columns)
}

/// Runs of pixels of numbered masks, cut at the border of the map; Parquet only.
fn write_runs<'a>(
    name: &str,
    config: &SimConfig,
    masks: impl Iterator<Item = (i32, &'a [Run])>,
    folder: &Path,
) -> Result<(), SimError> {
    let side = config.side as i32;
    let mut runs = Vec::new();
    for (number, mask) in masks {
        let inside = mask.iter().filter(|r| r.row >= 0 && r.row < side && r.end > 0 && r.first < side);
        runs.extend(inside.map(|r| (number, Run { row: r.row, first: r.first.max(0), end: r.end.min(side) })));
    }
    let whole = |name: &str, words: &'static str, of: fn(&(i32, Run)) -> i32| {
        int(name, ["pix", "", words], &runs, |r| of(r) as usize)
    };
    let columns = vec![
        int("id", ["", "meta.id", "whose mask"], &runs, |r| r.0 as usize),
        whole("row", "row", |r| r.1.row),
        whole("first_column", "first column", |r| r.1.first),
        whole("end_column", "column after the last", |r| r.1.end),
    ];
    let path = folder.join(format!("{name}.parquet"));
    table(name, config, columns)?.write(&path).map_err(|source| SimError::Truth { source: Box::new(source) })
}

/// `masks.parquet`: the mask of every object of the table, overlapping ones in full (in `mask.fits` the smaller one wins).
///
/// # Errors
/// [`SimError::Truth`].
pub fn write_masks(config: &SimConfig, objects: &[TrueObject], folder: &Path) -> Result<(), SimError> {
    write_runs("masks", config, objects.iter().map(|o| (o.id, o.mask.runs.as_slice())), folder)
}

/// `spurious_masks.parquet`: the islands of `spurious`, by their number there.
///
/// # Errors
/// [`SimError::Truth`].
pub fn write_spurious_masks(config: &SimConfig, islands: &[SpuriousIsland], folder: &Path) -> Result<(), SimError> {
    write_runs("spurious_masks", config, (1..).zip(islands).map(|(id, i)| (id, i.runs.as_slice())), folder)
}
