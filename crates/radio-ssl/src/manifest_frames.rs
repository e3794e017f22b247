//! The cutouts of a manifest as training and embedding see them: pixels stay in the mosaics, few of which are open at a time.
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use ndarray::Array2;
use radio_augment::{FrameSource, Preparation};
use radio_io::data_set::Part;
use radio_io::{Manifest, MosaicPool};
use serde::Serialize;

use crate::dataset::of_part;
use crate::frame_check::{MosaicFacts, check_mosaics, refused_words};
use crate::frames::{Accepted, FrameRecord, NamedFrames, SurveyFrames, with_verdict};
use crate::report::{CheckVerdict, FrameCheck};
use crate::run_config::sha256_of;
use crate::stages::open_survey;

/// Cutouts of a manifest that the recipe accepts, of any sizes.
pub struct ManifestFrames {
    all: Arc<Pooled>,
    /// Rows of the manifest.
    kept: Vec<usize>,
    checks: Vec<FrameCheck>,
}

/// Every cutout of a manifest as a source, before the recipe is asked.
struct Pooled {
    manifest: Manifest,
    pool: MosaicPool,
}

impl FrameSource for Pooled {
    fn len(&self) -> usize {
        self.manifest.len()
    }

    fn address(&self, i: usize) -> u64 {
        self.manifest.rows[i].address()
    }

    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        Ok(self.pool.pixels(&self.manifest, i)?)
    }
}

impl ManifestFrames {
    /// Takes one part of a manifest, or all of it, and tries the recipe on every cutout.
    ///
    /// # Errors
    /// If the manifest has no such part, a mosaic is missing or changed, or no cutout remains.
    pub fn new(manifest: &Manifest, part: Option<Part>, recipe: &Preparation) -> Result<Arc<Self>> {
        let total = manifest.len();
        let manifest = of_part(manifest, part)?;
        let used = MosaicFacts::of_rows(&manifest);
        let mut checks = vec![part_check(&manifest, part, total)];
        checks.push(check("sizes", sizes(&manifest), CheckVerdict::Good));
        checks.extend(check_mosaics(&used));
        // A mosaic that is gone is no reason to leave its cutouts out quietly.
        for number in 0..manifest.mosaics.len() {
            if manifest.rows.iter().any(|row| row.mosaic as usize == number) {
                manifest.mosaics[number].check_file()?;
            }
        }
        let pool = MosaicPool::new(&manifest, MosaicPool::DEFAULT_CAPACITY);
        let all = Arc::new(Pooled { manifest, pool });
        let Accepted { kept, refused } = Accepted::of(all.clone(), recipe);
        let refused: Vec<(String, String)> =
            refused.into_iter().map(|(row, reason)| (all.manifest.rows[row].id.clone(), reason)).collect();
        let verdict = if refused.is_empty() { CheckVerdict::Good } else { CheckVerdict::LeftOut };
        checks.push(check("refused by the recipe", refused_words(&refused), verdict));
        checks.push(check("cutouts used", kept.len().to_string(), CheckVerdict::Good));
        ensure!(
            !kept.is_empty(),
            "data set {}: no cutout can be used ({})",
            all.manifest.name,
            with_verdict(&checks, CheckVerdict::LeftOut).join("; ")
        );
        Ok(Arc::new(Self { all, kept, checks }))
    }
}

fn check(what: &str, found: String, verdict: CheckVerdict) -> FrameCheck {
    FrameCheck { what: what.to_owned(), found, verdict }
}

/// Which part is used, in words.
fn part_check(manifest: &Manifest, part: Option<Part>, total: usize) -> FrameCheck {
    let used = manifest.len();
    let divided = manifest.rows.iter().any(|row| row.part.is_some());
    let (found, verdict) = match part {
        Some(part) => (format!("{}: {used} of {total} cutouts", part.text()), CheckVerdict::Good),
        None if divided => {
            let words = format!("all {used} cutouts, those of validation and test too; --part takes one part");
            (words, CheckVerdict::Look)
        }
        None => (format!("all {used} cutouts; the manifest is not divided into parts"), CheckVerdict::Good),
    };
    check("part", found, verdict)
}

/// Smallest and largest cutout, in words.
fn sizes(manifest: &Manifest) -> String {
    let side = |row: &radio_io::data_set::ManifestRow| (row.window.n_rows, row.window.n_cols);
    let least = manifest.rows.iter().map(side).min_by_key(|(rows, cols)| rows * cols);
    let most = manifest.rows.iter().map(side).max_by_key(|(rows, cols)| rows * cols);
    match (least, most) {
        (Some(least), Some(most)) if least == most => format!("{} × {} pixels", least.0, least.1),
        (Some(least), Some(most)) => {
            format!("from {} × {} to {} × {} pixels, resized by the recipe", least.0, least.1, most.0, most.1)
        }
        _ => "no cutout".to_owned(),
    }
}

impl FrameSource for ManifestFrames {
    fn len(&self) -> usize {
        self.kept.len()
    }

    fn address(&self, i: usize) -> u64 {
        self.all.address(self.kept[i])
    }

    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        self.all.pixels(self.kept[i])
    }
}

impl NamedFrames for ManifestFrames {
    /// From the manifest: nothing is read.
    fn record(&self, i: usize) -> Result<FrameRecord> {
        let row = &self.all.manifest.rows[self.kept[i]];
        let (sky, rms_jy_beam, blank_fraction) = (row.sky, row.rms_jy_beam, row.blank_fraction);
        Ok(FrameRecord { id: row.id.clone(), sky, rms_jy_beam, blank_fraction })
    }

    fn checks(&self) -> &[FrameCheck] {
        &self.checks
    }
}

/// What a checkpoint remembers of the manifest that it was trained on.
#[derive(Serialize)]
struct ManifestRecord<'a> {
    name: &'a str,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'static str>,
    history: &'a [String],
}

/// Whether this is the name of a manifest rather than of a survey file.
pub fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "parquet")
}

/// Opens the frames of a survey file or of a manifest, and says as TOML what they are, for the checkpoint.
///
/// # Errors
/// If the file or a mosaic cannot be used, no frame remains, or a part is asked of a survey, which has none.
pub fn open_frames(path: &Path, part: Option<Part>, recipe: &Preparation) -> Result<(Arc<dyn NamedFrames>, String)> {
    if is_manifest(path) {
        let manifest = Manifest::read(path)?;
        let record = ManifestRecord {
            name: &manifest.name,
            sha256: sha256_of(path)?,
            part: part.map(Part::text),
            history: &manifest.history,
        };
        let record = toml::to_string_pretty(&std::collections::BTreeMap::from([("manifest", record)]))?;
        return Ok((ManifestFrames::new(&manifest, part, recipe)?, record));
    }
    if part.is_some() {
        bail!(
            "--part: {} is a survey, expected a manifest that `radio-ssl dataset split` divided into parts",
            path.display()
        );
    }
    let survey = open_survey(path)?;
    Ok((SurveyFrames::open(&survey, recipe)?, toml::to_string_pretty(&survey)?))
}
