//! The whole survey on disk: map, mask, tables, labels and the files that describe them.
//!
//! [`simulate`] is the main path: sky, truth, map in strips, frames, tables.

use crate::artefact::Artefacts;
use crate::config::SimConfig;
use crate::error::SimError;
use crate::frames::{Frame, PatchCounts, annotate, true_frames};
use crate::mask::{mask_order, mask_strip};
use crate::rgz::balanced_cutouts;
use crate::shapes::Kind;
use crate::sky::Sky;
use crate::spurious::{SpuriousFinder, SpuriousIsland};
use crate::tables::{write_labels, write_rgz_cutouts, write_survey};
use crate::truth::{ArtefactBoxes, DetectionClass, TrueObject, true_objects};
use crate::truth_images::{TruthImage, TruthImages};
use crate::truth_tables::{self, write_table};
use metrics::FrameGroup;
use ndarray::Array2;
use radio_io::{Card, FitsError, FrameLabel, Header, ImageWriter, Wcs};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Rows of a strip and columns of a tile, pixels; the bits do not depend on them.
const STRIP_ROWS: usize = 512;
const TILE_COLS: usize = 1024;
/// Every so many pixels, along rows and columns, one is kept to measure the rms.
const SAMPLE: usize = 8;

/// How far a simulation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: &'static str,
    /// Steps done in this stage.
    pub done: usize,
    /// Steps of this stage.
    pub total: usize,
}

/// What was written and what it holds.
#[derive(Debug, Clone)]
pub struct SimulatedSurvey {
    /// The folder.
    pub folder: PathBuf,
    /// `survey.toml`, for [`radio_io::Survey::load`].
    pub survey: PathBuf,
    /// `mosaic.fits`, Jy/beam.
    pub mosaic: PathBuf,
    /// `mask.fits`, object ids.
    pub mask: PathBuf,
    /// `objects.parquet`; `objects.vot` holds the same.
    pub objects: PathBuf,
    /// `spurious.parquet`: islands of the artefacts; also `.vot`.
    pub spurious: PathBuf,
    /// `frames.parquet`; also `.vot`.
    pub frames: PathBuf,
    /// `labels.csv`.
    pub labels: PathBuf,
    /// Figures for the report.
    pub summary: SurveySummary,
}

/// Figures of a simulated survey.
#[derive(Debug, Clone, PartialEq)]
pub struct SurveySummary {
    /// Fingerprint of the configuration.
    pub fingerprint: String,
    /// Area of the mosaic without blank pixels, square degrees.
    pub area_deg2: f64,
    /// Frames that are not too blank.
    pub frames: usize,
    /// Frames with an annotator's labels.
    pub labelled: usize,
    /// True labels: frames per label.
    pub label_counts: Vec<(FrameLabel, usize)>,
    /// Annotated labels among the labelled frames.
    pub labelled_counts: Vec<(FrameLabel, usize)>,
    /// Labelled frames that are peculiar, complex, ordinary.
    pub groups: [usize; 3],
    /// Objects in the table, per kind.
    pub kinds: Vec<(Kind, usize)>,
    /// Detectable objects per detection class.
    pub classes: Vec<(DetectionClass, usize)>,
    /// Islands of the artefacts that a finder would take for sources.
    pub spurious: usize,
    /// Share of the peculiar objects that were forced into their limits.
    pub forced_share: f64,
    /// Share of the peculiar objects that an eye can recognise.
    pub recognisable_share: f64,
    /// Clipped rms of the finished map, Jy/beam.
    pub rms: f64,
    /// Median of the finished map, Jy/beam.
    pub median: f64,
}

/// Simulates a survey and writes it into the folder `out`, which is made if missing.
///
/// Same configuration, same bits: neither threads nor progress matter.
///
/// # Errors
/// [`SimError::Config`] for a configuration that contradicts itself; otherwise what the operating system refused.
pub fn simulate(
    config: &SimConfig,
    out: &Path,
    progress: impl Fn(Progress) + Sync,
) -> Result<SimulatedSurvey, SimError> {
    simulate_with(config, &[], out, progress)
}

/// [`simulate`] with images beside the map.
///
/// # Errors
/// Those of [`simulate`].
pub fn simulate_with(
    config: &SimConfig,
    images: &[TruthImage],
    out: &Path,
    progress: impl Fn(Progress) + Sync,
) -> Result<SimulatedSurvey, SimError> {
    let step = |stage, done, total| progress(Progress { stage, done, total });
    let fingerprint = config.fingerprint()?;
    std::fs::create_dir_all(out).map_err(|source| SimError::Io { path: out.to_path_buf(), source })?;
    step("sky", 0, 1);
    let mut sky = Sky::new(config)?;
    step("sky", 1, 1);
    step("truth", 0, 1);
    let boxes = ArtefactBoxes::new(&sky);
    let objects = true_objects(&sky, &boxes);
    step("truth", 1, 1);
    let wcs = survey_wcs(config)?;
    let mut patches = PatchCounts::new(config);
    let paths = |name: &str| out.join(name);
    let (sample, spurious) =
        write_maps(&sky, &objects, images, &wcs, &fingerprint, &mut patches, out, |done, total| {
            step("map", done, total)
        })?;
    step("tables", 0, 1);
    let mut frames = true_frames(&sky, &objects, &patches);
    annotate(config, &mut frames);
    let summary = summarise(config, fingerprint.clone(), &objects, spurious.len(), &frames, &patches, &sample);
    // The tables of a large sky take their place.
    drop(sample);
    sky.artefacts = Artefacts::new(config, &[], 0..0);
    write_table(&truth_tables::objects_table(&sky, &objects, &wcs)?, out)?;
    write_table(&truth_tables::components_table(&objects, config)?, out)?;
    write_table(&truth_tables::frames_table(config, &frames, &wcs)?, out)?;
    write_table(&truth_tables::spurious_table(&sky, &spurious, &wcs)?, out)?;
    truth_tables::write_masks(config, &objects, out)?;
    truth_tables::write_spurious_masks(config, &spurious, out)?;
    write_labels(config, &frames, &paths("labels.csv"))?;
    write_survey(config, &fingerprint, out)?;
    let cutouts = balanced_cutouts(config, &objects);
    if config.rgz.is_some() {
        write_rgz_cutouts(config, &cutouts, &wcs, &paths("rgz_cutouts.csv"))?;
    }
    step("tables", 1, 1);
    Ok(SimulatedSurvey {
        folder: out.to_path_buf(),
        survey: paths("survey.toml"),
        mosaic: paths("mosaic.fits"),
        mask: paths("mask.fits"),
        objects: paths("objects.parquet"),
        spurious: paths("spurious.parquet"),
        frames: paths("frames.parquet"),
        labels: paths("labels.csv"),
        summary,
    })
}

/// The sky coordinates of the mosaic: SIN projection, centre of the map at the centre of the survey.
///
/// # Errors
/// [`SimError::Map`] if the position is no place on the sky.
pub fn survey_wcs(config: &SimConfig) -> Result<Wcs, SimError> {
    let middle = (config.side as f64 - 1.0) / 2.0;
    if let Some(galactic) = &config.galactic {
        return galactic_wcs(config, galactic.centre_longitude_deg, middle);
    }
    Wcs::north_up("SIN", (config.centre_ra_deg, config.centre_dec_deg), (middle, middle), config.pixel_arcsec)
        .map_err(|source| SimError::Map { source })
}

/// Galactic coordinates: the plane runs along the middle row.
fn galactic_wcs(config: &SimConfig, longitude: f64, middle: f64) -> Result<Wcs, SimError> {
    let step = config.pixel_arcsec / 3600.0;
    let mut cards = vec![Card::new("CTYPE1", "GLON-SIN", ""), Card::new("CTYPE2", "GLAT-SIN", "")];
    let numbers = [
        ("CRPIX1", middle + 1.0),
        ("CRPIX2", middle + 1.0),
        ("CRVAL1", longitude),
        ("CRVAL2", 0.0),
        ("CDELT1", -step),
        ("CDELT2", step),
    ];
    cards.extend(numbers.map(|(keyword, value)| Card::new(keyword, value, "")));
    let path = Path::new("mosaic.fits");
    let wcs = Wcs::from_header(&Header::from_cards(&cards), (0, 1), path).map_err(|source| SimError::Map { source })?;
    wcs.ok_or_else(|| SimError::Map {
        source: FitsError::Wcs {
            path: path.into(),
            keyword: "CTYPE1".to_owned(),
            found: "GLON-SIN".to_owned(),
            reason: "these cards describe no sky".to_owned(),
        },
    })
}

/// Writes map and mask strip by strip, counts blank and artefact pixels, and returns a sample of the pixels and the islands of
/// the artefacts.
fn write_maps(
    sky: &Sky,
    objects: &[TrueObject],
    images: &[TruthImage],
    wcs: &Wcs,
    fingerprint: &str,
    patches: &mut PatchCounts,
    out: &Path,
    step: impl Fn(usize, usize),
) -> Result<(Vec<f32>, Vec<SpuriousIsland>), SimError> {
    let config = &sky.config;
    let side = config.side;
    let refused = |source| SimError::Map { source };
    let mut cards = wcs.cards();
    cards.push(Card::new("OBJECT", config.name.as_str(), "simulated survey"));
    cards.push(Card::history(&format!(
        "radio-sim generator version {}, seed {}, configuration {fingerprint}",
        config.version, config.seed
    )));
    let mut map_cards = cards.clone();
    map_cards.push(Card::new("BUNIT", "Jy/beam", ""));
    map_cards.push(Card::new("BMAJ", config.beam_arcsec / 3600.0, "degrees"));
    map_cards.push(Card::new("BMIN", config.beam_arcsec / 3600.0, "degrees"));
    map_cards.push(Card::new("BPA", 0.0, "degrees"));
    map_cards.push(Card::new("RESTFRQ", config.frequency_mhz * 1e6, "Hz"));
    let mut map_file = ImageWriter::<f32>::create(&out.join("mosaic.fits"), side, side, &map_cards).map_err(refused)?;
    let mut mask_file = ImageWriter::<i32>::create(&out.join("mask.fits"), side, side, &cards).map_err(refused)?;
    let mut images = TruthImages::create(sky, images, &cards, out)?;
    let order = mask_order(objects);
    let strips = side.div_ceil(STRIP_ROWS);
    let mut sample = Vec::new();
    let mut spurious = SpuriousFinder::new(&config.truth);
    for strip in 0..strips {
        let row = strip * STRIP_ROWS;
        let rows = STRIP_ROWS.min(side - row);
        let columns: Vec<usize> = (0..side).step_by(TILE_COLS).collect();
        let tiles: Vec<(usize, Array2<f32>, Array2<f32>)> = columns
            .into_par_iter()
            .map(|col| {
                let (map, artefacts) = sky.map_and_artefacts(row as i64, col as i64, rows, TILE_COLS.min(side - col));
                (col, map, artefacts)
            })
            .collect();
        let mask = mask_strip(&order, row, rows, side);
        let (mut line, mut artefact_line) = (vec![0f32; side], vec![0f32; side]);
        let mut sigma = vec![0f32; side];
        for r in 0..rows {
            let mask_line = &mask[r * side..(r + 1) * side];
            sky.rms.sigma_row((row + r) as i64, 0, &mut sigma);
            for (col, map, artefacts) in &tiles {
                for (j, (v, a)) in map.row(r).iter().zip(artefacts.row(r)).enumerate() {
                    let c = col + j;
                    (line[c], artefact_line[c]) = (*v, *a);
                    let patch = patches.index(row + r, c);
                    if v.is_nan() {
                        patches.blank[patch] += 1;
                    } else if a.abs() >= 3.0 * sigma[c] && mask_line[c] == 0 {
                        patches.artefact[patch] += 1;
                    }
                }
            }
            spurious.add_row(row + r, &artefact_line, &sigma, mask_line);
            if (row + r).is_multiple_of(SAMPLE) {
                sample.extend(line.iter().step_by(SAMPLE).filter(|v| v.is_finite()));
            }
            map_file.write_rows(&line).map_err(refused)?;
            mask_file.write_rows(mask_line).map_err(refused)?;
            images.write_row(row + r, &sigma, &artefact_line)?;
        }
        step(strip + 1, strips);
    }
    map_file.finish().map_err(refused)?;
    mask_file.finish().map_err(refused)?;
    images.finish()?;
    Ok((sample, spurious.finish()))
}

fn summarise(
    config: &SimConfig,
    fingerprint: String,
    objects: &[TrueObject],
    spurious: usize,
    frames: &[Frame],
    patches: &PatchCounts,
    sample: &[f32],
) -> SurveySummary {
    let per_label = |of: &dyn Fn(&Frame) -> &Vec<FrameLabel>, labelled: bool| {
        FrameLabel::ALL
            .map(|l| (l, frames.iter().filter(|f| (f.labelled || !labelled) && of(f).contains(&l)).count()))
            .to_vec()
    };
    let labelled: Vec<&Frame> = frames.iter().filter(|f| f.labelled).collect();
    let mut groups = [0; 3];
    for frame in &labelled {
        let labels: Vec<&str> = frame.annotated.iter().map(|label| label.text()).collect();
        if let Some(group) = FrameGroup::from_labels(&labels) {
            groups[group as usize] += 1;
        }
    }
    let odd: Vec<&TrueObject> = objects.iter().filter(|o| o.kind.is_peculiar()).collect();
    let share = |n: usize| if odd.is_empty() { 0.0 } else { n as f64 / odd.len() as f64 };
    let blank: f64 = patches.blank.iter().map(|n| f64::from(*n)).sum();
    let classes = [
        DetectionClass::Flagged,
        DetectionClass::ExtendedMultisland,
        DetectionClass::Extended,
        DetectionClass::Compact,
    ];
    let mut sorted = sample.to_vec();
    sorted.sort_by(f32::total_cmp);
    let quantile = |q: f64| sorted.get((q * sorted.len() as f64) as usize).map_or(f64::NAN, |v| f64::from(*v));
    SurveySummary {
        fingerprint,
        area_deg2: config.area_deg2() * (1.0 - blank / (config.side * config.side) as f64),
        frames: frames.len(),
        labelled: labelled.len(),
        label_counts: per_label(&|f| &f.labels, false),
        labelled_counts: per_label(&|f| &f.annotated, true),
        groups,
        kinds: Kind::ALL.iter().map(|k| (*k, objects.iter().filter(|o| o.kind == *k).count())).collect(),
        classes: classes
            .iter()
            .map(|c| (*c, objects.iter().filter(|o| o.detectable && o.class == *c).count()))
            .collect(),
        spurious,
        forced_share: share(odd.iter().filter(|o| o.forced).count()),
        recognisable_share: share(odd.iter().filter(|o| o.recognisable).count()),
        rms: f64::from(radio_io::robust_rms(sample)),
        median: quantile(0.5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;
    use crate::sky::render_window;
    use radio_io::{FrameLabels, FrameSet, Mosaic, Survey, Table};

    /// The whole tiny survey through the reader that the rest of the workspace uses.
    #[test]
    fn a_survey_on_disk_is_what_radio_io_reads() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let config = SimConfig::emu_pilot(Tier::Tiny, 3);
        let made = simulate(&config, folder.path(), |_| {})?;
        let survey = Survey::load(&made.survey, |_| None)?;
        let frames = FrameSet::of_survey(&survey)?;
        assert_eq!(frames.len(), made.summary.frames);
        let labels = FrameLabels::read(&made.labels)?;
        let joined = labels.join(&frames)?;
        assert_eq!(joined.iter().flatten().count(), made.summary.labelled);
        let mosaic = Mosaic::open(&made.mosaic)?;
        let sky = Sky::new(&config)?;
        let (window, own) = (mosaic.window(400, 900, 70, 300)?, render_window(&sky, 400, 900, 70, 300));
        assert!(window.iter().zip(&own).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert_eq!(mosaic.unit(), Some("Jy/beam"));
        // The mask holds the peak of every bright compact object.
        let mask = Mosaic::open(&made.mask)?.full()?;
        let objects = Table::read(&made.objects)?;
        let rows = objects.texts("det_class")?.iter().filter(|class| *class == "COMPACT").count();
        assert!(rows > 700, "{rows}");
        // VOTable and Parquet hold the same columns, bit by bit, with units and descriptors.
        for name in ["objects", "components", "frames", "spurious"] {
            let [a, b] = ["parquet", "vot"].map(|kind| Table::read(&folder.path().join(format!("{name}.{kind}"))));
            let (a, b) = (a?, b?);
            assert!(a.rows() > 10 && a.rows() == b.rows(), "{name}: {} rows", a.rows());
            for (a, b) in a.columns.iter().zip(&b.columns) {
                assert_eq!((&a.name, &a.unit, &a.ucd), (&b.name, &b.unit, &b.ucd));
                assert!((0..a.len()).all(|row| a.cell(row) == b.cell(row)), "{name}: {}", a.name);
            }
            assert_eq!((&a.metadata["seed"], &b.metadata["seed"]), (&"3".to_owned(), &"3".to_owned()));
        }
        assert_eq!(objects.column("s_total")?.unit.as_deref(), Some("Jy"));
        assert_eq!(objects.column("ra")?.ucd.as_deref(), Some("pos.eq.ra;meta.main"));
        // The table tells where an object is: its position on the sky leads back to its pixel.
        let at = |name: &str| objects.numbers(name).map(|v| v[7]);
        let (row, col) = survey_wcs(&config)?.pixel(at("ra")?, at("dec")?).unwrap();
        assert!((row - at("y")?).hypot(col - at("x")?) < 1e-6);
        let ids: std::collections::BTreeSet<i64> = mask.iter().map(|v| *v as i64).collect();
        assert!(ids.len() > 700 && ids.contains(&0), "{}", ids.len());
        let again = tempfile::tempdir()?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        pool.install(|| simulate(&config, again.path(), |_| {}))?;
        for name in [
            "mosaic.fits",
            "mask.fits",
            "labels.csv",
            "survey.toml",
            "sim.toml",
            "objects.parquet",
            "objects.vot",
            "components.vot",
            "frames.vot",
            "spurious.vot",
            "masks.parquet",
            "spurious_masks.parquet",
        ] {
            assert!(
                std::fs::read(folder.path().join(name))? == std::fs::read(again.path().join(name))?,
                "{name} differs"
            );
        }
        Ok(())
    }
}
