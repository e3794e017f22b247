//! `reproduce-table4`: from a sky to the paper's Table 4 beside ours, top to bottom.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use metrics::FrameGroup;
use radio_io::FeatureTable;
use radio_tensor::checkpoint::Checkpoint;
use rank_gbdt::Ranking;
use ssl_simclr::SimClrConfig;

use crate::anomaly_scores::{ScoredSet, published_forest, score_labelled, score_unlabelled, select};
use crate::comparison::{Contender, compare};
use crate::frame_check::check_text;
use crate::frames::{NamedFrames, SurveyFrames};
use crate::held_out::Judge;
use crate::interrupt;
use crate::progress::{Stage, duration, peak_memory};
use crate::ranking_quality::{UnseenF1, unseen_f1};
use crate::report::{self, HeldOutRow};
use crate::run_config::{Preset, SkyConfig, Table4Config, sha256_of};
use crate::run_report::run_report;
use crate::sky_objects::sky_objects;
use crate::stages::{self, RunFolder};

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Table4Options {
    /// How much is run.
    pub preset: Preset,
    /// Seed of everything.
    pub seed: u64,
    /// A survey file; without it the sky is simulated.
    pub survey: Option<PathBuf>,
    /// A checkpoint whose encoder and ranking are used instead of training.
    pub checkpoint: Option<PathBuf>,
    /// The run folder; `runs/table4-…` without it.
    pub out: Option<PathBuf>,
    /// Single numbers in place of the preset's ([`Table4Config::with_settings`]).
    pub settings: Vec<String>,
    /// Time between two checkpoints of the training; changes no bit.
    pub checkpoint_every: Duration,
}

impl Table4Options {
    /// Every number of the run that these options ask for.
    ///
    /// # Errors
    /// If survey or checkpoint cannot be read, or a setting does not fit.
    pub fn config(&self) -> Result<Table4Config> {
        let mut config = Table4Config::preset(self.preset, self.seed);
        if let Some(path) = &self.survey {
            config = config.on_survey(stages::open_survey(path)?)?;
        }
        if let Some(path) = &self.checkpoint {
            config.checkpoint_sha256 = Some(sha256_of(path)?);
            let loaded = Checkpoint::read(path)?;
            config.simclr = SimClrConfig::from_toml(loaded.text("simclr.toml")?)?;
        }
        if !self.settings.is_empty() {
            let simclr = config.simclr.clone();
            config = config.with_settings(&self.settings)?;
            if self.checkpoint.is_some() && config.simclr != simclr {
                bail!("--set simclr…: the encoder and its input come from --checkpoint; leave one of the two out");
            }
        }
        Ok(config)
    }
}

/// What a run leaves.
pub struct Table4Outcome {
    /// The run folder.
    pub folder: RunFolder,
    /// The table as text, empty for a survey without labels.
    pub text: String,
    /// Wall time of each stage that ran, in seconds.
    pub times: Vec<(String, f64)>,
}

/// Runs, or continues, or finds done: sky → frames → SimCLR → features → ranking → forests → report.
///
/// # Errors
/// If an input is unusable, an output cannot be written, or the user interrupts.
pub fn reproduce_table4(options: &Table4Options) -> Result<Table4Outcome> {
    interrupt::listen();
    let config = options.config()?;
    let folder = RunFolder::new(&options.out.clone().unwrap_or_else(|| default_folder(&config)));
    config.claim_folder(folder.path())?;
    let mut times = Vec::new();
    let mut timed =
        |name: &str, start: std::time::Instant| times.push((name.to_owned(), start.elapsed().as_secs_f64()));

    let start = std::time::Instant::now();
    let survey = match &config.sky {
        SkyConfig::Simulated(sky) => stages::simulate(sky, &folder)?,
        SkyConfig::Survey(survey) => survey.clone(),
    };
    timed("sky", start);

    let start = std::time::Instant::now();
    let stage = Stage::start("looking at the frames");
    let frames = SurveyFrames::open(&survey, &config.simclr.recipe)?;
    stage.end(&format!("{} frames", radio_augment::FrameSource::len(frames.as_ref())));
    eprint!("{}", check_text(frames.checks()));
    timed("frames", start);

    let start = std::time::Instant::now();
    let checkpoint = match &options.checkpoint {
        Some(path) => path.clone(),
        None => {
            let extras = stages::TrainingExtras::default();
            stages::train(
                &config.simclr,
                frames.clone(),
                &folder,
                &config.to_toml()?,
                options.checkpoint_every,
                &extras,
            )?;
            folder.checkpoint()
        }
    };
    timed("pre-training", start);

    let start = std::time::Instant::now();
    let table = stages::embed(&frames, &checkpoint, &folder)?;
    timed("embedding", start);

    let start = std::time::Instant::now();
    let evaluation = if frames.has_labels() {
        with_labels(&config, &frames, &table, &folder, options.checkpoint.is_none().then_some(&checkpoint))?
    } else {
        without_labels(&config, &table, stages::kept_ranking(&checkpoint)?)?
    };
    write_scores(&folder.scores(), &frames, &table, &evaluation.sets)?;
    timed("ranking and forests", start);

    let start = std::time::Instant::now();
    let stage = Stage::start("writing the report");
    let report = run_report(&config, &survey, &frames, &checkpoint, &table, &evaluation)?;
    let paths = report::write_report(&report, &folder.report())?;
    stage.end(&paths.page.display().to_string());
    timed("report", start);
    let text = report::report_text(&report);
    Ok(Table4Outcome { folder, text, times })
}

/// Wall time of each stage and the peak memory, in words.
pub fn resources(times: &[(String, f64)]) -> String {
    let total: f64 = times.iter().map(|(_, seconds)| seconds).sum();
    let stages: Vec<String> = times.iter().map(|(name, seconds)| format!("{name} {}", duration(*seconds))).collect();
    let memory = peak_memory().map_or(String::new(), |bytes| format!("; peak memory {:.2} GB", bytes as f64 / 1e9));
    format!("{} in all ({}){memory}", duration(total), stages.join(", "))
}

fn default_folder(config: &Table4Config) -> PathBuf {
    let sky = match &config.sky {
        SkyConfig::Simulated(_) => config.preset.name().to_owned(),
        SkyConfig::Survey(survey) => format!("{}-{}", survey.name, config.preset.name()),
    };
    Path::new("runs").join(format!("table4-{sky}-seed{}", config.seed))
}

/// Scores of every feature set, and what could not be computed.
pub(crate) struct Evaluation {
    pub(crate) sets: Vec<ScoredSet>,
    pub(crate) held_out: Vec<HeldOutRow>,
    pub(crate) ranking: Option<Ranking>,
    pub(crate) unseen: Option<UnseenF1>,
    pub(crate) left_out: Vec<String>,
}

impl Evaluation {
    fn empty() -> Self {
        Self { sets: Vec::new(), held_out: Vec::new(), ranking: None, unseen: None, left_out: Vec::new() }
    }
}

/// Ranking, then for each top-k the grid of forests, judged with the labels.
fn with_labels(
    config: &Table4Config,
    frames: &Arc<SurveyFrames>,
    table: &FeatureTable,
    folder: &RunFolder,
    own_checkpoint: Option<&PathBuf>,
) -> Result<Evaluation> {
    let groups = frames.groups();
    let mut evaluation = Evaluation::empty();
    match stages::rank(frames, table, &config.ranking, &config.hold_out, config.seed, folder) {
        Ok(ranking) => {
            if let Some(checkpoint) = own_checkpoint {
                stages::keep_ranking(&ranking, checkpoint)?;
            }
            judge_ranking(config, frames, table, &ranking, &mut evaluation)?;
            evaluation.ranking = Some(ranking);
        }
        // Labels that allow no ranking (one kind of frame only, too little sky) still allow the score of all features.
        Err(error) if is_of_the_labels(&error) => {
            evaluation.left_out.push(format!("a ranking of the features: {error:#}"))
        }
        Err(error) => return Err(error),
    }
    if !groups.contains(&Some(FrameGroup::Peculiar)) {
        evaluation.left_out.push("Table 4: no labelled frame is PECULIAR, so recall is undefined".into());
        let Evaluation { left_out, unseen, ranking, .. } = evaluation;
        let mut unjudged = without_labels(config, table, ranking)?;
        unjudged.left_out.splice(0..0, left_out);
        return Ok(Evaluation { unseen, ..unjudged });
    }
    let mut stage = Stage::start("growing the forests");
    let columns = table.features.ncols();
    let all: Vec<usize> = (0..columns).collect();
    let order = evaluation.ranking.as_ref().map_or(Vec::new(), |ranking| ranking.order.clone());
    let top = config.top_k.iter().filter(|k| **k <= order.len()).map(|&k| (format!("top{k}"), &order[..k]));
    let sets: Vec<(String, &[usize])> = top.chain([(format!("all {columns}"), all.as_slice())]).collect();
    for (place, (name, columns)) in sets.iter().enumerate() {
        let features = select(&table.features, columns);
        let (set, _) = score_labelled(name, &features, &groups, &config.forests, config.seed, |done, total| {
            stage.at((place * total + done) as u64, (sets.len() * total) as u64, name);
        })?;
        evaluation.sets.push(set);
        if interrupt::requested() {
            bail!(interrupt::Interrupted);
        }
    }
    stage.end("");
    held_out_rows(config, frames, table, folder, &mut evaluation)?;
    Ok(evaluation)
}

/// What the reader should know of a ranking: where its order ends, and how well it does on unseen sky.
fn judge_ranking(
    config: &Table4Config,
    frames: &SurveyFrames,
    table: &FeatureTable,
    ranking: &Ranking,
    evaluation: &mut Evaluation,
) -> Result<()> {
    let columns = table.features.ncols();
    let used = ranking.split.iter().filter(|splits| **splits > 0).count();
    let names = |keep: &dyn Fn(usize) -> bool| -> Vec<String> {
        config.top_k.iter().filter(|k| keep(**k)).map(|k| format!("top{k}")).collect()
    };
    let (too_large, unordered) = (names(&|k| k > columns), names(&|k| k > used && k <= columns));
    if !too_large.is_empty() {
        evaluation.left_out.push(format!("{}: the encoder has {columns} features only", too_large.join(", ")));
    }
    if !unordered.is_empty() {
        evaluation.left_out.push(format!(
            "an order for all of {}: the trees of the ranking split on {used} features only; the others follow by index",
            unordered.join(", ")
        ));
    }
    let ids = frames.ids()?;
    let kinds: Vec<Option<bool>> =
        frames.interesting().into_iter().enumerate().map(|(i, kind)| frames.labels(i).map(|_| kind)).collect();
    match unseen_f1(config, &ids, &kinds, &sky_objects(&ids, &frames.groups()), &table.features) {
        Ok(unseen) => evaluation.unseen = Some(unseen),
        Err(error) => evaluation.left_out.push(format!("the ranking's F1 on unseen sky: {error:#}")),
    }
    Ok(())
}

/// Whether labels are to blame, and not a file: the run then goes on without a ranking.
fn is_of_the_labels(error: &anyhow::Error) -> bool {
    use rank_gbdt::RankError::{NothingSeparates, OneClass, TooFewRows};
    matches!(error.downcast_ref(), Some(TooFewRows { .. } | OneClass { .. } | NothingSeparates { .. }))
}

/// Whether a file could not be read or written: then the run stops, and its last good state stands.
fn is_of_a_file(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let of_table = cause.downcast_ref::<radio_io::Error>();
        cause.is::<std::io::Error>()
            || matches!(of_table, Some(radio_io::Error::Io { .. } | radio_io::Error::Parquet { .. }))
    })
}

/// The second column of Table 4: everything chosen on one half of the sky, judged on the other, beside the baselines.
fn held_out_rows(
    config: &Table4Config,
    frames: &Arc<SurveyFrames>,
    table: &FeatureTable,
    folder: &RunFolder,
    evaluation: &mut Evaluation,
) -> Result<()> {
    let Some(judge) = Judge::new(config, frames.ids()?, frames.groups(), frames.interesting()) else {
        let reason =
            "the held-out table: no deal of sky blocks leaves peculiar, extended and other frames on both halves";
        evaluation.left_out.push(reason.into());
        return Ok(());
    };
    if let Some((one, other)) = frames.overlapping_mosaics()? {
        evaluation.left_out.push(format!(
            "the held-out table: mosaics {one} and {other} show the same sky, and halves are dealt within a mosaic"
        ));
        return Ok(());
    }
    let mut contenders = vec![Contender { name: "SimCLR".into(), features: table.features.clone(), is_score: false }];
    for &baseline in &config.baselines {
        match baseline.features(frames, &config.simclr, folder) {
            Ok(features) => {
                contenders.push(Contender { name: baseline.name().into(), features, is_score: baseline.is_score() });
            }
            Err(error) if error.is::<interrupt::Interrupted>() || is_of_a_file(&error) => return Err(error),
            Err(error) => evaluation.left_out.push(format!("baseline {}: {error:#}", baseline.name())),
        }
    }
    let mut stage = Stage::start("judging on held-out sky");
    let total = contenders.len() as u64;
    let (rows, failures) = compare(&judge, &contenders, config.seed, |done, name| stage.at(done as u64, total, name))?;
    evaluation.held_out = rows;
    evaluation.left_out.extend(failures.into_iter().map(|failure| format!("the held-out table: {failure}")));
    stage.end("");
    Ok(())
}

/// Without labels there is nothing to judge: the paper's best forest on all features, and on the leading ones of a ranking.
fn without_labels(config: &Table4Config, table: &FeatureTable, ranking: Option<Ranking>) -> Result<Evaluation> {
    let stage = Stage::start("growing the forests");
    let forest = published_forest(config.seed);
    let mut evaluation = Evaluation::empty();
    let columns = table.features.ncols();
    evaluation.sets.push(score_unlabelled(&format!("all {columns}"), &table.features, &forest)?);
    match &ranking {
        Some(ranking) if ranking.order.len() == columns => {
            let k = config.top_k.iter().copied().max().unwrap_or(15).min(columns);
            let features = select(&table.features, &ranking.order[..k]);
            evaluation.sets.push(score_unlabelled(&format!("top{k}"), &features, &forest)?);
        }
        Some(ranking) => evaluation.left_out.push(format!(
            "the ranking saved with the checkpoint is of {} features, the encoder has {columns}",
            ranking.order.len()
        )),
        None => evaluation.left_out.push(
            "a ranking: the survey has no labels and the checkpoint brings none; only the score of all features is shown"
                .into(),
        ),
    }
    evaluation.ranking = ranking;
    stage.end("");
    Ok(evaluation)
}

/// One line per frame: identity, place, labels, and every score.
fn write_scores(path: &Path, frames: &SurveyFrames, table: &FeatureTable, sets: &[ScoredSet]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = sets.iter().map(|set| format!("score_{}", set.name.replace(' ', "")));
    let header: Vec<String> =
        ["frame", "ra_deg", "dec_deg", "rms_jy_beam", "blank_fraction", "labels", "group"].map(String::from).into();
    writer.write_record(header.into_iter().chain(names))?;
    let groups = frames.groups();
    for (i, id) in table.ids.iter().enumerate() {
        let labels: Vec<&str> = frames.labels(i).unwrap_or_default().iter().map(|label| label.text()).collect();
        let group = report::FrameGroup::from(groups[i]).name();
        let mut record = vec![
            id.clone(),
            table.ra_deg[i].to_string(),
            table.dec_deg[i].to_string(),
            table.rms_jy_beam[i].to_string(),
            table.blank_fraction[i].to_string(),
            labels.join(";"),
            group.to_owned(),
        ];
        record.extend(sets.iter().map(|set| format!("{:.6}", set.scores[i])));
        writer.write_record(record)?;
    }
    let bytes = writer.into_inner().context("scores.csv")?;
    atomic_file::write_atomically(path, |file| std::io::Write::write_all(file, &bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}
