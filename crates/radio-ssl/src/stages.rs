//! The stages of a run. Each leaves its result as a file in the run folder, written atomically; a stage whose
//! file is there is not run again, and training continues from its last checkpoint. So the same command, run
//! again after a kill, ends with the same bits.
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use radio_io::{FeatureTable, Survey};
use radio_sim::{SimConfig, TruthImage};
use radio_tensor::checkpoint::Checkpoint;
use rank_gbdt::{RankConfig, Ranking, rank_features};
use sha2::{Digest, Sha256};
use ssl_simclr::{Encoder, KnnMonitor, Pretraining, SimClrConfig, TrainingEvents, pretrain};

use crate::frames::{NamedFrames, SurveyFrames};
use crate::interrupt::{self, Interrupted};
use crate::model_card::ModelCard;
use crate::progress::Stage;
use crate::run_config::hexadecimal;
use crate::sky_split::SkySplit;

/// Cutouts embedded at once.
const EMBED_BATCH: usize = 64;

/// The files of a run folder.
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// The run folder at this place.
    pub fn new(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The simulated sky: mosaic, truth, labels, `survey.toml`.
    pub fn sky(&self) -> PathBuf {
        self.0.join("sky")
    }

    /// State of a training run under way, to resume from; gone once it is complete.
    pub fn training(&self) -> PathBuf {
        self.0.join("training.safetensors")
    }

    /// The trained encoder and projector, with configuration, losses and ranking inside.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint.safetensors")
    }

    /// Features of all frames.
    pub fn features(&self) -> PathBuf {
        self.0.join("features.parquet")
    }

    /// Features of a baseline.
    pub fn baseline(&self, name: &str) -> PathBuf {
        self.0.join("baselines").join(format!("{}.parquet", name.replace(' ', "-")))
    }

    /// The ranking of the features.
    pub fn ranking(&self) -> PathBuf {
        self.0.join("ranking.json")
    }

    /// Anomaly scores of all frames.
    pub fn scores(&self) -> PathBuf {
        self.0.join("scores.csv")
    }

    /// The report.
    pub fn report(&self) -> PathBuf {
        self.0.join("report")
    }
}

/// Simulates the sky of a run, unless it is there.
///
/// # Errors
/// As [`simulate_into`].
pub fn simulate(config: &SimConfig, folder: &RunFolder) -> Result<Survey> {
    let sky = folder.sky();
    if !sky.exists() {
        simulate_into(config, &[], &sky)?;
    }
    open_survey(&sky.join("survey.toml"))
}

/// Simulates a survey into a new folder, which appears under its name only when it is complete.
///
/// # Errors
/// If the folder exists or cannot be written.
pub fn simulate_into(config: &SimConfig, images: &[TruthImage], out: &Path) -> Result<()> {
    if out.exists() {
        bail!("{} exists: choose another folder, or remove it", out.display());
    }
    let stage = Mutex::new(Stage::start("simulating the sky"));
    // Without a slash at the end, so that the folder in work stands beside the finished one.
    let mut partial = out.components().as_path().as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if partial.exists() {
        std::fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
    }
    std::fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    let made = radio_sim::simulate_with(config, images, &partial, |now| {
        if let Ok(mut stage) = stage.lock() {
            stage.at(now.done as u64, now.total as u64, now.stage);
        }
    })?;
    if interrupt::requested() {
        bail!(Interrupted);
    }
    std::fs::rename(&partial, out).with_context(|| format!("cannot rename {}", partial.display()))?;
    if let Ok(stage) = stage.into_inner() {
        stage.end(&format!("{:.1} square degrees", made.summary.area_deg2));
    }
    Ok(())
}

/// Reads a survey file, with `${NAME}` taken from the environment.
///
/// # Errors
/// If it cannot be read or names an unset variable.
pub fn open_survey(path: &Path) -> Result<Survey> {
    Ok(Survey::load(path, |name| std::env::var(name).ok())?)
}

/// Key of the checkpoint's entry with the fingerprint of the file whose weights a training started from.
const START_KEY: &str = "started-from.sha256";

/// What a training may have besides its configuration.
#[derive(Clone, Default)]
pub struct TrainingExtras {
    /// Weights to start from: a checkpoint of pre-training.
    pub start_from: Option<PathBuf>,
    /// TensorBoard's event file.
    pub events: Option<PathBuf>,
    /// Labelled cutouts to look at; changes no bit of the weights.
    pub monitor: Option<KnnMonitor>,
}

/// Pre-trains an encoder, or continues, or finds it done.
///
/// # Errors
/// If training fails, the state cannot be written, or the user interrupts.
pub fn train(
    config: &SimClrConfig,
    frames: Arc<dyn NamedFrames>,
    folder: &RunFolder,
    run_toml: &str,
    checkpoint_every: Duration,
    extras: &TrainingExtras,
) -> Result<()> {
    let done = folder.checkpoint();
    let state = folder.training();
    let origin = extras.start_from.as_deref().map(encoder_fingerprint).transpose()?;
    let records = || {
        let origin = origin.iter().map(|origin| (START_KEY, origin.clone()));
        origin.chain([("run.toml", run_toml.to_owned())]).collect::<Vec<_>>()
    };
    let same_start = |path: &Path| {
        let found = Checkpoint::read(path)?.checkpoint.text.get(START_KEY).cloned();
        if found != origin {
            let words = |origin: &Option<String>| origin.clone().unwrap_or_else(|| "random weights".into());
            bail!(
                "{}: the training there started from {}, expected {} (--start-from); choose another --out, or remove that file",
                path.display(),
                words(&found),
                words(&origin)
            );
        }
        Ok(())
    };
    if done.exists() {
        same_start(&done)?;
        let file = Checkpoint::read(&done)?;
        let expected =
            [("simclr.toml", config.to_toml()?), ("frames", frames.len().to_string()), ("run.toml", run_toml.into())];
        for (entry, expected) in expected {
            if file.text(entry)? != expected {
                bail!("{}: entry {entry} is of another run; choose another --out, or remove that file", done.display());
            }
        }
        return remove_if_there(&state);
    }
    let mut stage = Stage::start("pre-training");
    let mut run = if state.exists() {
        same_start(&state)?;
        let run = Pretraining::resume(config.clone(), frames.len(), &state)?;
        eprintln!("  continuing after step {}", run.steps());
        run
    } else if let Some(weights) = &extras.start_from {
        Pretraining::start_from(config.clone(), frames.len(), weights)?
    } else {
        Pretraining::new(config.clone(), frames.len())?
    };
    run.set_monitor(extras.monitor.clone());
    let mut events = extras.events.as_ref().map(|path| TrainingEvents::open(path, &run)).transpose()?;
    let mut saved = Instant::now();
    let mut trouble = None;
    let complete = pretrain(&mut run, frames, |run, now| {
        let note = format!("epoch {}/{}  loss {:.3}", now.epoch + 1, config.epochs, now.loss);
        stage.at(now.step, now.total_steps, &note);
        if let Some(knn) = now.knn {
            stage.say(&format!(
                "  epoch {}: nearest neighbours {:.1} %, loss {:.3}",
                knn.epoch,
                100.0 * knn.accuracy,
                now.loss
            ));
        }
        let mut written = events.as_mut().map_or(Ok(()), |events| events.add(&now));
        if interrupt::requested() || saved.elapsed() > checkpoint_every {
            let state = || run.checkpoint(records()).and_then(|file| Ok(file.write(&state)?));
            written = written.and_then(|()| state());
            written = written.and_then(|()| events.as_mut().map_or(Ok(()), TrainingEvents::flush));
            saved = Instant::now();
        }
        if let Err(error) = written {
            trouble = Some(error);
            return ControlFlow::Break(());
        }
        interrupt::flow()
    })?;
    if let Some(error) = trouble {
        return Err(error).context("pre-training stopped because its state cannot be saved");
    }
    events.as_mut().map_or(Ok(()), TrainingEvents::flush)?;
    if !complete {
        bail!(Interrupted);
    }
    let mut file = run.checkpoint(records())?;
    file.tensors.retain(|name, _| !name.starts_with("optimizer."));
    ModelCard::of_checkpoint(&file)?.write_beside(&done)?; // before the checkpoint, which ends the stage
    file.write(&done)?;
    remove_if_there(&state)?;
    stage.end(&format!("loss {:.3} after {} steps", run.losses().last().copied().unwrap_or(f32::NAN), run.steps()));
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// What tells one encoder from another: SHA-256 over the names and values of its weights and running statistics.
///
/// # Errors
/// If the checkpoint cannot be read.
pub fn encoder_fingerprint(checkpoint: &Path) -> Result<String> {
    let file = Checkpoint::read(checkpoint)?.checkpoint;
    let mut hasher = Sha256::new();
    for (name, (_, values)) in &file.tensors {
        if ["projector.", "predictor.", "optimizer.", "log."].iter().all(|prefix| !name.starts_with(prefix)) {
            hasher.update(name.as_bytes());
            values.iter().for_each(|value| hasher.update(value.to_le_bytes()));
        }
    }
    Ok(hexadecimal(&hasher.finalize()))
}

/// Key of the encoder's fingerprint in a feature table.
pub const ENCODER_KEY: &str = "encoder";

/// Features of all frames, from the file or from the encoder.
///
/// # Errors
/// If the checkpoint or a frame cannot be read, the table cannot be written, or the user interrupts.
pub fn embed(frames: &Arc<SurveyFrames>, checkpoint: &Path, folder: &RunFolder) -> Result<FeatureTable> {
    let path = folder.features();
    if path.exists() {
        let table = FeatureTable::read_parquet(&path)?;
        let ids: Vec<String> = frames.ids()?.iter().map(ToString::to_string).collect();
        if table.ids != ids {
            bail!(
                "{} holds other frames than the survey: remove the run folder, or choose another --out",
                path.display()
            );
        }
        if table.metadata.get(ENCODER_KEY) != Some(&encoder_fingerprint(checkpoint)?) {
            bail!(
                "{} was made by another encoder than {}: remove that file, or choose another --out",
                path.display(),
                checkpoint.display()
            );
        }
        return Ok(table);
    }
    let mut stage = Stage::start("embedding");
    let encoder = Encoder::read(checkpoint)?;
    let mut table = feature_table(frames.clone(), &encoder, |done| {
        stage.at(done as u64, radio_augment::FrameSource::len(frames.as_ref()) as u64, "frames");
    })?;
    table.metadata.insert(ENCODER_KEY.into(), encoder_fingerprint(checkpoint)?);
    table.write_parquet(&path)?;
    stage.end(&format!("{} frames, {} features", table.len(), encoder.features()));
    Ok(table)
}

/// Features of all frames with their place, noise and blank share.
///
/// # Errors
/// If a frame cannot be read, or the user interrupts.
pub fn feature_table(
    frames: Arc<dyn NamedFrames>,
    encoder: &Encoder,
    mut progress: impl FnMut(usize),
) -> Result<FeatureTable> {
    let features = encoder.embed(frames.clone(), EMBED_BATCH, |done| {
        progress(done);
        interrupt::flow()
    })?;
    if features.nrows() < frames.len() {
        bail!(Interrupted);
    }
    let mut table = FeatureTable {
        ids: Vec::new(),
        ra_deg: Vec::new(),
        dec_deg: Vec::new(),
        rms_jy_beam: Vec::new(),
        blank_fraction: Vec::new(),
        features,
        metadata: Default::default(),
    };
    for i in 0..frames.len() {
        let record = frames.record(i)?;
        let (ra, dec) = record.sky.unwrap_or((f64::NAN, f64::NAN));
        table.ids.push(record.id);
        table.ra_deg.push(ra);
        table.dec_deg.push(dec);
        table.rms_jy_beam.push(record.rms_jy_beam);
        table.blank_fraction.push(record.blank_fraction);
    }
    Ok(table)
}

/// Ranks the features by how well they tell frames with extended emission from the rest (reference-facts E5).
///
/// Interesting: labelled EXTENDED, DIFFUSE or DIFFUSE-LARGE; the others: every other labelled frame.
///
/// # Errors
/// If the labels do not allow it (one kind of frame only), or the ranking file cannot be read or written.
pub fn rank(
    frames: &SurveyFrames,
    table: &FeatureTable,
    config: &RankConfig,
    split: &SkySplit,
    seed: u64,
    folder: &RunFolder,
) -> Result<Ranking> {
    let path = folder.ranking();
    if path.exists() {
        let ranking = Ranking::load(&path)?;
        if ranking.order.len() != table.features.ncols() {
            let (expected, found) = (table.features.ncols(), ranking.order.len());
            bail!(
                "{}: expected {expected} features, found {found}: remove the run folder, or choose another --out",
                path.display()
            );
        }
        return Ok(ranking);
    }
    let stage = Stage::start("ranking the features");
    let is_interesting = frames.interesting();
    let ids = frames.ids()?;
    let rows: Vec<usize> = (0..table.len()).filter(|&i| frames.labels(i).is_some()).collect();
    let ids: Vec<_> = rows.iter().map(|&i| ids[i].clone()).collect();
    let kinds: Vec<bool> = rows.iter().map(|&i| is_interesting[i]).collect();
    let (kept, held) = split.two_kinds(&ids, &kinds, seed);
    let labelled: Vec<usize> = kept.iter().map(|&k| rows[k]).collect();
    let interesting: Vec<bool> = kept.iter().map(|&k| kinds[k]).collect();
    let features = table.features.select(ndarray::Axis(0), &labelled);
    let ranking = rank_features(features.view(), &interesting, &held, config)?;
    ranking.save(&path)?;
    stage.end(&format!("{} rounds, F1 {:.1} % held out", ranking.rounds, 100.0 * ranking.hold_out_f1_weighted));
    Ok(ranking)
}

/// Puts the ranking into the checkpoint, so that it travels with the encoder.
///
/// # Errors
/// If the checkpoint cannot be read or written.
pub fn keep_ranking(ranking: &Ranking, checkpoint: &Path) -> Result<()> {
    let mut file = Checkpoint::read(checkpoint)?.checkpoint;
    let text = serde_json::to_string(ranking)?;
    if file.text.get("ranking.json") != Some(&text) {
        file.text.insert("ranking.json".into(), text);
        file.write(checkpoint)?;
    }
    Ok(())
}

/// The ranking inside a checkpoint, if it has one.
///
/// # Errors
/// If the checkpoint cannot be read, or its ranking is damaged.
pub fn kept_ranking(checkpoint: &Path) -> Result<Option<Ranking>> {
    let file = Checkpoint::read(checkpoint)?.checkpoint;
    let Some(text) = file.text.get("ranking.json") else { return Ok(None) };
    let ranking: Ranking =
        serde_json::from_str(text).with_context(|| format!("{}: entry ranking.json", checkpoint.display()))?;
    ranking.check(checkpoint)?;
    Ok(Some(ranking))
}
