//! The frames of one simulated sky as the gates see them: pixels for the features, truth for groups and objects.
use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use frame_features::{ComplexityConfig, flux_statistics, gzip_complexity};
use metrics::FrameGroup;
use ndarray::{Axis, s};
use radio_augment::Recipe;
use radio_io::{FrameLabel, Mosaic, Table};
use radio_sim::map_figures::{MapFigures, map_figures};
use radio_sim::sky::Sky;
use radio_sim::truth::{ArtefactBoxes, TrueObject, true_objects};
use radio_sim::{SimConfig, simulate};
use rayon::prelude::*;

/// Numbers a frame is described with.
pub const N: usize = 8;
/// Names of the columns of [`GateFrame::features`]: the five of the design, then other scores of complexity: the baseline of
/// Table 4, how far the picture compresses beyond its grey levels (more structure is larger), and the largest island.
pub const FEATURES: [&str; N] = [
    "flux above 3 sigma",
    "max S/N",
    "area above 3 sigma",
    "islands",
    "gzip, zscaled frame",
    "gzip, clipped frame",
    "structure, zscaled frame",
    "largest island",
];
/// How many of them are the single features of the design.
pub const SINGLE: usize = 5;

/// What a frame is, by the annotator's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// PECULIAR.
    Peculiar,
    /// Complex, and it holds at least 70 % of an ordinary object that could be the twin of a peculiar one.
    Matched,
    /// Complex otherwise.
    Complex,
    /// Neither.
    Ordinary,
}

/// One frame.
#[derive(Debug, Clone)]
pub struct GateFrame {
    /// First row and column, pixels.
    pub place: [usize; 2],
    /// Sky block of 1024 pixels.
    pub block: usize,
    /// Whether the annotator's label of it is in the label list.
    pub labelled: bool,
    /// What it is.
    pub group: Group,
    /// True labels.
    pub labels: Vec<FrameLabel>,
    /// In the order of [`FEATURES`].
    pub features: [f64; N],
    /// Mean of the features over the up to four frames that border on it; NaN without any.
    pub neighbours: [f64; N],
    /// Median thermal rms by the truth, Jy/beam.
    pub rms: f64,
    /// Share of blank pixels.
    pub blank: f64,
    /// Objects that make it PECULIAR, or the possible twins in it: id, and rows and columns of its mask's centre from the
    /// centre of the frame.
    pub objects: Vec<(i32, [f64; 2])>,
}

/// What the gates need of one sky.
pub struct SkyFrames {
    /// Fingerprint of its configuration.
    pub fingerprint: String,
    /// Frames that are not too blank, in rows.
    pub frames: Vec<GateFrame>,
    /// The map as a whole.
    pub figures: MapFigures,
}

/// What the survey's table says of a frame.
struct FrameRow {
    row: usize,
    column: usize,
    labels: String,
    annotated: String,
    labelled: bool,
    nan_fraction: f64,
    rms_median: f64,
    block: String,
}

fn frame_rows(path: &Path) -> Result<Vec<FrameRow>> {
    let table = Table::read(path)?;
    let [row, column, nan, rms] = ["row", "column", "nan_fraction", "rms_median"].map(|name| table.numbers(name));
    let (row, column, nan, rms) = (row?, column?, nan?, rms?);
    let [labels, annotated, block] = ["labels", "annotated", "block"].map(|name| table.texts(name));
    let (labels, annotated, block) = (labels?, annotated?, block?);
    let labelled = table.column("labelled")?;
    let rows = (0..table.rows()).map(|i| FrameRow {
        row: row[i] as usize,
        column: column[i] as usize,
        labels: labels[i].clone(),
        annotated: annotated[i].clone(),
        labelled: labelled.cell(i) == "True",
        nan_fraction: nan[i],
        rms_median: rms[i],
        block: block[i].clone(),
    });
    Ok(rows.collect())
}

/// Simulates the sky into `folder`, unless it is there already, and describes all its frames.
pub fn describe_sky(config: &SimConfig, folder: &Path) -> Result<SkyFrames> {
    let fingerprint = config.fingerprint()?;
    // sim.toml is the last file of a simulation: where it is right, the others are whole.
    let stated = format!("# Fingerprint of this configuration: {fingerprint}\n{}", config.to_toml()?);
    if std::fs::read_to_string(folder.join("sim.toml")).ok().as_deref() != Some(&stated) {
        simulate(config, folder, |_| {})?;
    }
    let path = folder.join("frames.parquet");
    let rows = frame_rows(&path)?;
    ensure!(!rows.is_empty(), "{} holds no frame", path.display());

    let sky = Sky::new(config)?;
    let boxes = ArtefactBoxes::new(&sky);
    let objects = true_objects(&sky, &boxes);
    let mut odd: HashMap<[usize; 2], Vec<(i32, [f64; 2])>> = HashMap::new();
    let mut twins = odd.clone();
    for object in objects.iter().filter(|object| object.detectable) {
        let peculiar = object.kind.is_peculiar();
        if peculiar && is_odd(object, &sky) || !peculiar && could_be_twin(object, &sky) {
            let list = if peculiar { &mut odd } else { &mut twins };
            for (place, offset) in frames_holding(object, config) {
                list.entry(place).or_default().push((object.id, offset));
            }
        }
    }

    let mosaic = Mosaic::open(&folder.join("mosaic.fits"))?;
    let size = config.frames.size;
    // Full resolution, as the complexity baseline of Table 4.
    let recipe = Recipe::paper(size);
    let complexity = ComplexityConfig::two_scales();
    let mut frames: Vec<GateFrame> = rows
        .par_iter()
        .map(|row| -> Result<GateFrame> {
            let place = [row.row, row.column];
            let cutout = mosaic.window(row.row, row.column, size, size)?;
            let flux = flux_statistics(cutout.view())?;
            let limits = recipe.limits(cutout.view())?;
            let channels = recipe.finish(recipe.stretch(cutout.view(), &limits))?;
            let gzip = |channel: usize| {
                let plane = channels.slice(s![channel, .., ..]);
                gzip_complexity(plane.insert_axis(Axis(0)), &complexity)
            };
            // Bytes and bytes over those expected without structure, at 128 and at 64 pixels.
            let (clipped, zscaled) = (gzip(0)?, gzip(1)?);
            let [bytes, clipped_bytes, structure] = [zscaled[0], clipped[0], -zscaled[3]].map(f64::from);
            // Columns of FLUX_STATISTICS: maximum 2, flux 3 and area 4 above 3 rms, islands 6, the largest 7.
            let [top, sum, area, islands, largest] = [2, 3, 4, 6, 7].map(|column| f64::from(flux[column]));
            let annotated: Vec<&str> = row.annotated.split(';').collect();
            let possible = twins.get(&place).cloned().unwrap_or_default();
            let (group, objects) = match FrameGroup::from_labels(&annotated) {
                Some(FrameGroup::Peculiar) => (Group::Peculiar, odd.get(&place).cloned().unwrap_or(possible)),
                Some(FrameGroup::Complex) if !possible.is_empty() => (Group::Matched, possible),
                Some(FrameGroup::Complex) => (Group::Complex, Vec::new()),
                _ => (Group::Ordinary, Vec::new()),
            };
            let block = row.block.split_once('-').and_then(|(r, c)| Some((r.parse().ok()?, c.parse().ok()?)));
            let (r, c): (usize, usize) = block.with_context(|| format!("sky block `{}`", row.block))?;
            Ok(GateFrame {
                place,
                block: r * 1000 + c,
                labelled: row.labelled,
                group,
                labels: FrameLabel::ALL.into_iter().filter(|l| row.labels.split(';').any(|t| t == l.text())).collect(),
                features: [sum, top, area, islands, bytes, clipped_bytes, structure, largest],
                neighbours: [f64::NAN; N],
                rms: row.rms_median,
                blank: row.nan_fraction,
                objects,
            })
        })
        .collect::<Result<_>>()?;
    look_around(&mut frames, size);
    let figures = map_figures(&sky, &boxes, &mosaic)?;
    Ok(SkyFrames { fingerprint, frames, figures })
}

/// Whether a peculiar object can make a frame PECULIAR (section 6 of the specification).
fn is_odd(object: &TrueObject, sky: &Sky) -> bool {
    object.recognisable && object.snr >= 8.0 && object.mask.px as f64 >= 6.0 * sky.beam.area
}

/// Whether an ordinary object is within the limits of twins.
fn could_be_twin(object: &TrueObject, sky: &Sky) -> bool {
    let limits = &sky.config.peculiar;
    object.size * sky.config.pixel_arcsec >= limits.twin_least_arcsec
        && (limits.twin_snr[0]..=limits.twin_snr[1]).contains(&object.snr)
        && object.mask.px as f64 >= limits.twin_least_beams * sky.beam.area
}

/// Frames that hold at least 70 % of an object's mask, and where in them its centre lies.
fn frames_holding(object: &TrueObject, config: &SimConfig) -> Vec<([usize; 2], [f64; 2])> {
    let (size, step) = (config.frames.size as i64, config.frames.step as i64);
    let per_side = (config.side as i64 - size) / step + 1;
    let runs = || object.mask.runs.iter().map(|run| [run.row, run.first, run.end].map(i64::from));
    let mut centre = [0.0; 2];
    for [row, first, end] in runs() {
        centre[0] += (row * (end - first)) as f64 / object.mask.px as f64;
        centre[1] += ((first + end - 1) * (end - first)) as f64 / 2.0 / object.mask.px as f64;
    }
    // A frame with 70 % of the mask need not hold its centre, but cannot be farther than its own size.
    let near = |at: f64| {
        let at = at as i64;
        ((at - 2 * size) / step).max(0)..=((at + size) / step).min(per_side - 1)
    };
    let mut found = Vec::new();
    for row in near(centre[0]).map(|i| i * step) {
        for col in near(centre[1]).map(|i| i * step) {
            let inside: i64 = runs()
                .filter(|run| (row..row + size).contains(&run[0]))
                .map(|[_, first, end]| (end.min(col + size) - first.max(col)).max(0))
                .sum();
            if inside as f64 >= 0.7 * object.mask.px as f64 {
                let middle = (size as f64 - 1.0) / 2.0;
                found.push((
                    [row as usize, col as usize],
                    [centre[0] - row as f64 - middle, centre[1] - col as f64 - middle],
                ));
            }
        }
    }
    found
}

/// Fills in the features of the bordering frames.
fn look_around(frames: &mut [GateFrame], size: usize) {
    let at: HashMap<[usize; 2], [f64; N]> = frames.iter().map(|frame| (frame.place, frame.features)).collect();
    for frame in frames {
        let [r, c] = frame.place;
        let around = [
            (r.checked_sub(size), Some(c)),
            (Some(r + size), Some(c)),
            (Some(r), c.checked_sub(size)),
            (Some(r), Some(c + size)),
        ];
        let found: Vec<&[f64; N]> = around.into_iter().filter_map(|(r, c)| at.get(&[r?, c?])).collect();
        frame.neighbours = std::array::from_fn(|k| found.iter().map(|f| f[k]).sum::<f64>() / found.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use radio_sim::Tier;

    /// The truth that the gates work out anew is the one in the survey's own table.
    #[test]
    fn groups_and_objects_are_those_of_the_survey() {
        let mut config = SimConfig::emu_pilot(Tier::Tiny, 8);
        config.peculiar.per_deg2 = 12.0;
        let folder = tempfile::tempdir().unwrap();
        let described = describe_sky(&config, folder.path()).unwrap();
        let mut with_twin = 0;
        let mut peculiar = 0;
        let table = Table::read(&folder.path().join("frames.parquet")).unwrap();
        let cell = |name: &str, row: usize| table.column(name).unwrap().cell(row);
        assert_eq!(table.rows(), described.frames.len());
        for (i, frame) in described.frames.iter().enumerate() {
            assert_eq!([cell("row", i), cell("column", i)], frame.place.map(|v| v.to_string()));
            match frame.group {
                Group::Matched => assert_eq!(cell("has_twin", i), "True"),
                Group::Complex => assert_eq!(cell("has_twin", i), "False"),
                Group::Peculiar if !cell("peculiar_objects", i).is_empty() => {
                    let ids: Vec<String> = frame.objects.iter().map(|(id, _)| id.to_string()).collect();
                    assert_eq!(ids.join(";"), cell("peculiar_objects", i));
                    peculiar += 1;
                }
                _ => {}
            }
            with_twin += usize::from(frame.group == Group::Matched);
            assert!(frame.objects.iter().all(|(_, offset)| offset.iter().all(|d| d.abs() < 256.0)));
        }
        assert!(with_twin > 5 && peculiar > 15, "{with_twin} {peculiar}");
        // A second look reads the same files.
        let before = std::fs::metadata(folder.path().join("mosaic.fits")).unwrap().modified().unwrap();
        let again = describe_sky(&config, folder.path()).unwrap();
        assert_eq!(again.frames.len(), described.frames.len());
        assert_eq!(std::fs::metadata(folder.path().join("mosaic.fits")).unwrap().modified().unwrap(), before);
    }
}
