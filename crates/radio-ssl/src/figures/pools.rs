//! Where encoders learn: blind frames of a survey, and cutouts round its sources; of a simulated sky that is never classified.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use radio_io::data_set::{BoxShape, CatalogueSource, Coverage, SourceSettings};
use radio_io::{ColumnData, Manifest, Survey, Table};
use radio_sim::{SimConfig, Tier};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::labelled::SomeFrames;
use super::settings::{DataChoice, FigureSettings};
use super::stage_store::StageStore;
use crate::cutouts::{around_sources, read_sources, watched};
use crate::frames::NamedFrames;
use crate::manifest_frames::ManifestFrames;
use crate::run_config::sha256_of;
use crate::stages::{open_survey, simulate_into};

/// The sky that is learnt from has the seed of the classified one plus this: they share nothing.
const LEARNING_SEED: u64 = 1 << 32;
/// Sources fainter than this are not catalogued: true peak over the noise, as for the classified ones.
const LEAST_SNR: f64 = 10.0;
/// Smallest side of a source-centred cutout, pixels.
const SMALLEST_SIDE: u32 = 12;

/// A simulated sky.
#[derive(Debug, Clone)]
pub struct SimulatedSky {
    /// Its folder, with `survey.toml` and the truth.
    pub folder: PathBuf,
    /// What it depends on.
    pub key: String,
}

/// The classified sky, or the one that is learnt from.
///
/// # Errors
/// If it cannot be written, or the user interrupts.
pub fn sky(store: &StageStore, tier: Tier, seed: u64, crowding: f64, classified: bool) -> Result<SimulatedSky> {
    let mut config = SimConfig::first(tier, if classified { seed } else { seed.wrapping_add(LEARNING_SEED) });
    if let Some(rgz) = &mut config.rgz {
        // More than the sets take: whole pieces of sky go to one half, which leaves some of them over.
        rgz.per_class = [1250, 750];
        if let Some(extra) = &mut rgz.extra {
            extra.per_deg2.iter_mut().for_each(|density| *density *= crowding);
        }
    }
    let place = store.place("sky", &config.to_toml()?)?;
    let folder = place.folder.join("sky");
    if !folder.exists() {
        simulate_into(&config, &[], &folder)?;
    }
    Ok(SimulatedSky { folder, key: place.key })
}

/// The shape of source-centred cutouts: squares of 1.5 times the size of the source.
pub fn source_settings(max_blank_fraction: f64) -> SourceSettings {
    SourceSettings {
        factor: 1.5,
        shape: BoxShape::Square,
        min_side_px: SMALLEST_SIDE,
        coverage: Coverage::Best,
        max_blank_fraction,
    }
}

/// A set of cutouts that an encoder learns from, in an order that the seed of the draw chose: a smaller pool is the beginning of it.
pub struct Pool {
    cutouts: Cutouts,
    /// What it depends on.
    pub key: String,
    /// What it is, in words.
    pub words: String,
}

enum Cutouts {
    OnMaps(Box<Manifest>),
    Pictures(SomeFrames),
}

impl Pool {
    fn of_manifest(path: &Path, words: &str, seed: u64) -> Result<Self> {
        let manifest = Manifest::read(path)?;
        ensure!(!manifest.is_empty(), "{}: no cutout to learn from", path.display());
        let words = format!("{words}: {}", manifest.len());
        let manifest = manifest.select(&shuffled(manifest.len(), seed), "shuffled")?;
        Ok(Self { cutouts: Cutouts::OnMaps(Box::new(manifest)), key: format!("{} {seed}", sha256_of(path)?), words })
    }

    /// Labelled pictures as a pool; their labels are not read.
    pub fn of_pictures(pictures: Arc<dyn NamedFrames>, key: &str, words: String, seed: u64) -> Self {
        let rows = shuffled(pictures.len(), seed);
        let cutouts = Cutouts::Pictures(SomeFrames { source: pictures, rows });
        Self { cutouts, key: format!("{key} {seed}"), words }
    }

    /// Cutouts there are.
    pub fn len(&self) -> usize {
        match &self.cutouts {
            Cutouts::OnMaps(manifest) => manifest.len(),
            Cutouts::Pictures(pictures) => pictures.rows.len(),
        }
    }

    /// Whether there is none (never).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `count` cutouts; of those on maps the ones that the recipe refuses are left out.
    ///
    /// # Errors
    /// If a mosaic is missing or changed, or none can be used.
    pub fn frames(&self, count: usize, settings: &FigureSettings) -> Result<Arc<dyn NamedFrames>> {
        let count = count.min(self.len());
        Ok(match &self.cutouts {
            Cutouts::OnMaps(manifest) => {
                let rows: Vec<usize> = (0..count).collect();
                let part = manifest.select(&rows, &format!("took the first {count}"))?;
                ManifestFrames::new(&part, None, &settings.recipe().into())?
            }
            Cutouts::Pictures(SomeFrames { source, rows }) => {
                Arc::new(SomeFrames { source: Arc::clone(source), rows: rows[..count].to_vec() })
            }
        })
    }
}

fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order
}

/// Blind frames to learn from; `None` where there is no survey.
///
/// # Errors
/// If the sky or the maps cannot be used.
pub fn blind_pool(store: &StageStore, settings: &FigureSettings) -> Result<Option<Pool>> {
    let (survey, key, words) = match &settings.data {
        DataChoice::Simulated { tier, seed, crowding } => {
            let sky = sky(store, *tier, *seed, *crowding, false)?;
            (open_survey(&sky.folder.join("survey.toml"))?, sky.key, "blind frames of another simulated sky")
        }
        DataChoice::Survey { survey, .. } | DataChoice::Pictures { survey: Some(survey), .. } => {
            (open_survey(survey)?, survey_key(survey)?, "blind frames of the survey")
        }
        DataChoice::Pictures { survey: None, .. } => return Ok(None),
    };
    let place = store.place("blind-frames", &(&key, &survey.frames))?;
    let path = place.folder.join("frames.parquet");
    if !path.exists() {
        watched("cut frames", |watch| Manifest::scan_blind(&survey, None, watch))?.write(&path)?;
    }
    Pool::of_manifest(&path, words, settings.draw_seed).map(Some)
}

/// Source-centred cutouts to learn from; `None` for pictures, which are their own pool.
///
/// # Errors
/// If the sky, the catalogue or the maps cannot be used.
pub fn centred_pool(store: &StageStore, settings: &FigureSettings) -> Result<Option<Pool>> {
    let (survey, sources, key, words) = match &settings.data {
        DataChoice::Simulated { tier, seed, crowding } => {
            let sky = sky(store, *tier, *seed, *crowding, false)?;
            let survey = open_survey(&sky.folder.join("survey.toml"))?;
            let sources = extended_sources(&sky.folder.join("objects.parquet"))?;
            (survey, sources, sky.key, "cutouts round extended sources of another simulated sky")
        }
        DataChoice::Survey { survey, catalogue } => {
            let key = format!("{} {}", survey_key(survey)?, sha256_of(catalogue)?);
            (open_survey(survey)?, read_sources(catalogue, None)?, key, "cutouts round the catalogue's sources")
        }
        DataChoice::Pictures { .. } => return Ok(None),
    };
    let path = cutouts(store, "centred-cutouts", &survey, &sources, &key)?;
    Pool::of_manifest(&path, words, settings.draw_seed).map(Some)
}

/// The manifest of cutouts round sources, made if it is not there.
///
/// # Errors
/// If a map cannot be read, or the user interrupts.
pub fn cutouts(
    store: &StageStore,
    name: &str,
    survey: &Survey,
    sources: &[CatalogueSource],
    key: &str,
) -> Result<PathBuf> {
    let shape = source_settings(survey.frames.max_blank_fraction);
    let place = store.place(name, &(key, shape))?;
    let path = place.folder.join("cutouts.parquet");
    if !path.exists() {
        let (manifest, _) = around_sources(survey, sources, &shape)?;
        manifest.write(&path)?;
    }
    Ok(path)
}

/// What a survey file and its maps are: the file's hash, and sizes and times of the maps.
pub fn survey_key(path: &Path) -> Result<String> {
    let mut key = sha256_of(path)?;
    for mosaic in &open_survey(path)?.mosaics {
        let facts = std::fs::metadata(&mosaic.path).with_context(|| mosaic.path.display().to_string())?;
        key.push_str(&format!(" {} {} {:?}", mosaic.path.display(), facts.len(), facts.modified().ok()));
    }
    Ok(key)
}

/// Detectable sources of two or more components or peaks, or extended ones, from the truth of a simulated sky.
///
/// # Errors
/// If the table cannot be read.
fn extended_sources(objects: &Path) -> Result<Vec<CatalogueSource>> {
    let table = Table::read(objects)?;
    let (ra, dec, size) = (table.numbers("ra")?, table.numbers("dec")?, table.numbers("rgz_size")?);
    let (snr, peaks) = (table.numbers("snr_true")?, table.numbers("rgz_peaks")?);
    let (kinds, ids) = (table.texts("det_class")?, table.column("id")?);
    let detectable = table.column("detectable")?;
    let is_source = |row: &usize| {
        let row = *row;
        matches!(&detectable.data, ColumnData::Bool(values) if values[row] == Some(true))
            && snr[row] >= LEAST_SNR
            && size[row] > 0.0
            && (peaks[row] >= 2.0 || kinds[row].starts_with("EXTENDED"))
    };
    let source = |row: usize| CatalogueSource {
        id: ids.cell(row),
        ra_deg: ra[row],
        dec_deg: dec[row],
        size_arcsec: (size[row], size[row]),
        labels: Vec::new(),
    };
    let found: Vec<CatalogueSource> = (0..table.rows()).filter(is_source).map(source).collect();
    ensure!(!found.is_empty(), "{}: no extended source on this sky", objects.display());
    Ok(found)
}
