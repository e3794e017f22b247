//! `reproduce-table4`: from a sky to the paper's Table 4 beside ours, top to bottom.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use metrics::{FrameGroup, THRESHOLD_STEP};
use radio_io::{FeatureTable, Survey};
use radio_tensor::checkpoint::Checkpoint;
use rank_gbdt::Ranking;
use ssl_simclr::SimClrConfig;

use crate::anomaly_scores::{ScoredSet, published_forest, score_labelled, score_unlabelled, select};
use crate::baselines::Baseline;
use crate::comparison::{Contender, compare};
use crate::frames::SurveyFrames;
use crate::held_out::Judge;
use crate::interrupt;
use crate::progress::{Stage, duration, peak_memory};
use crate::report::{
    self, BeamShape, Gallery, GalleryFrame, HeldOutRow, LossPoint, SIMULATED_SKY_NOTE, Table4Report, Table4Row,
    ThresholdScan,
};
use crate::run_config::{Preset, SkyConfig, Table4Config, sha256_of};
use crate::stages::{self, RunFolder};

/// Frames shown in a gallery.
const GALLERY_FRAMES: usize = 32;

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
    let mut config = Table4Config::preset(options.preset, options.seed);
    if let Some(path) = &options.survey {
        config = config.on_survey(stages::open_survey(path)?)?;
    }
    if let Some(path) = &options.checkpoint {
        config.checkpoint_sha256 = Some(sha256_of(path)?);
        let loaded = Checkpoint::read(path)?;
        config.simclr = SimClrConfig::from_toml(loaded.text("simclr.toml")?)?;
    }
    if !options.settings.is_empty() {
        config = config.with_settings(&options.settings)?;
    }
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
    for reason in frames.left_out() {
        eprintln!("  left out: {reason}");
    }
    timed("frames", start);

    let start = std::time::Instant::now();
    let checkpoint = match &options.checkpoint {
        Some(path) => path.clone(),
        None => {
            stages::train(&config.simclr, &frames, &folder, &config.to_toml()?, options.checkpoint_every)?;
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
    let report = assemble(&config, &survey, &frames, &checkpoint, &evaluation)?;
    let paths = report::write_report(&report, &folder.report())?;
    timed("report", start);
    let text = report::table4_text(&report) + "\n" + &report::held_out_text(&report.held_out);
    eprintln!("▸ report: {}", paths.page.display());
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
struct Evaluation {
    sets: Vec<ScoredSet>,
    held_out: Vec<HeldOutRow>,
    ranking: Option<Ranking>,
    left_out: Vec<String>,
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
    let ranking = match stages::rank(frames, table, &config.ranking, &config.hold_out, config.seed, folder) {
        Ok(ranking) => ranking,
        // Labels that allow no ranking (one kind of frame only, too little sky) still allow the score of all features.
        Err(error) => {
            let mut evaluation = without_labels(config, table, None)?;
            evaluation.left_out.insert(0, format!("Table 4: {error:#}"));
            return Ok(evaluation);
        }
    };
    if let Some(checkpoint) = own_checkpoint {
        stages::keep_ranking(&ranking, checkpoint)?;
    }
    let mut evaluation =
        Evaluation { sets: Vec::new(), held_out: Vec::new(), ranking: Some(ranking.clone()), left_out: Vec::new() };
    if !groups.contains(&Some(FrameGroup::Peculiar)) {
        evaluation.left_out.push("Table 4: no labelled frame is PECULIAR, so recall is undefined".into());
        return Ok(Evaluation { left_out: evaluation.left_out, ..without_labels(config, table, Some(ranking))? });
    }
    let mut stage = Stage::start("growing the forests");
    let all: Vec<usize> = (0..table.features.ncols()).collect();
    let top = config.top_k.iter().map(|&k| (format!("top{k}"), &ranking.order[..k.min(ranking.order.len())]));
    let sets: Vec<(String, &[usize])> = top.chain([(format!("all {}", all.len()), all.as_slice())]).collect();
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
    for baseline in Baseline::ALL {
        match baseline.features(frames, &config.simclr, folder) {
            Ok(features) => {
                contenders.push(Contender { name: baseline.name().into(), features, is_score: baseline.is_score() });
            }
            Err(error) if error.is::<interrupt::Interrupted>() => return Err(error),
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
    let mut evaluation = Evaluation { sets: Vec::new(), held_out: Vec::new(), left_out: Vec::new(), ranking: None };
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

/// Fills the report. Nothing in it depends on time, threads or the number of restarts.
fn assemble(
    config: &Table4Config,
    survey: &Survey,
    frames: &Arc<SurveyFrames>,
    checkpoint: &Path,
    evaluation: &Evaluation,
) -> Result<Table4Report> {
    let rows: Vec<Table4Row> = evaluation
        .sets
        .iter()
        .filter_map(|set| set.row.as_ref().map(|row| Table4Row::new(&set.name, row, &set.forest)))
        .collect();
    let judged = !rows.is_empty();
    let mut report = Table4Report {
        title: match (&config.sky, rows.is_empty()) {
            (SkyConfig::Simulated(_), _) => "Table 4 on a simulated survey".to_owned(),
            (SkyConfig::Survey(survey), false) => format!("Table 4 on {}", survey.name),
            (SkyConfig::Survey(survey), true) => format!("The strangest frames of {}", survey.name),
        },
        verdict_lines: verdict(evaluation),
        held_out: evaluation.held_out.clone(),
        survey_summary: survey_summary(survey, frames),
        published: if rows.is_empty() { Vec::new() } else { report::published_table4() },
        rows,
        scans: evaluation
            .sets
            .iter()
            .filter(|set| !set.scan.is_empty())
            .map(|set| ThresholdScan::new(&set.name, &set.scan))
            .collect(),
        left_out: frames.left_out().iter().cloned().chain(evaluation.left_out.iter().cloned()).collect(),
        provenance: provenance(config, evaluation)?,
        notes: notes(config, frames, judged),
        ..Table4Report::default()
    };
    if config.checkpoint_sha256.is_none() {
        let steps_per_epoch = config.simclr.steps_per_epoch(radio_augment::FrameSource::len(frames.as_ref()))?;
        let schedule = config.simclr.schedule(steps_per_epoch);
        let file = Checkpoint::read(checkpoint)?.checkpoint;
        let losses = file.tensors.get("log.loss").map_or(&[][..], |(_, values)| values);
        report.losses = (0u64..)
            .zip(losses)
            .map(|(step, loss)| LossPoint {
                epoch: (step + 1) as f64 / steps_per_epoch as f64,
                loss: f64::from(*loss),
                lr: schedule.lr(step),
            })
            .collect();
        report.chance_loss = Some((2.0 * config.simclr.batch_size as f64 - 1.0).ln());
    }
    for set in gallery_sets(evaluation) {
        report.galleries.push(gallery(set, frames)?);
    }
    Ok(report)
}

/// The best set with labels; every set without.
fn gallery_sets(evaluation: &Evaluation) -> Vec<&ScoredSet> {
    match best_set(evaluation) {
        Some(best) => vec![best],
        None => evaluation.sets.iter().collect(),
    }
}

fn best_set(evaluation: &Evaluation) -> Option<&ScoredSet> {
    let merit = |set: &&ScoredSet| set.row.map_or(f64::NEG_INFINITY, |row| row.f1());
    let labelled = evaluation.sets.iter().filter(|set| set.row.is_some());
    labelled.reduce(|best, set| if merit(&set) > merit(&best) { set } else { best })
}

fn verdict(evaluation: &Evaluation) -> Vec<String> {
    let Some((best, row)) = best_set(evaluation).and_then(|set| Some((set, set.row?))) else {
        return vec![
            "Frames ranked by how easily an isolation forest sets them apart; no labels, so nothing is judged.".into(),
        ];
    };
    let percent = |fraction: f64| format!("{:.1} %", 100.0 * fraction);
    let mut lines = vec![format!(
        "Recall {} and precision {} of peculiar frames where the two meet ({} features, threshold {:.3}); the paper's best row has 61.2 % and 63.0 %.",
        percent(row.recall),
        row.precision.map_or("undefined".into(), percent),
        best.name,
        row.threshold
    )];
    if let Some(ranking) = &evaluation.ranking {
        lines.push(format!(
            "The ranking tells frames with extended emission from the others with a weighted F1 of {} on the held-out sky that stopped its training; the paper gives 75.3 %.",
            percent(ranking.hold_out_f1_weighted)
        ));
    }
    if let Some(learned) = evaluation.held_out.first() {
        let strongest =
            evaluation.held_out[1..].iter().max_by(|a, b| a.average_precision.total_cmp(&b.average_precision));
        if let Some(strongest) = strongest {
            lines.push(format!(
                "On held-out sky: average precision of peculiar among complex frames {} against {} of the strongest baseline, {}: {}.",
                percent(learned.average_precision),
                percent(strongest.average_precision),
                strongest.name,
                strongest.verdict()
            ));
        }
    }
    let open: Vec<&str> =
        evaluation.sets.iter().filter(|set| set.row.is_some() && !set.crosses).map(|set| set.name.as_str()).collect();
    if !open.is_empty() {
        lines.push(format!("The curves of {} never cross: the row is where they come closest.", open.join(", ")));
    }
    lines
}

fn survey_summary(survey: &Survey, frames: &SurveyFrames) -> Vec<(String, String)> {
    let count = radio_augment::FrameSource::len(frames);
    let settings = &survey.frames;
    let mut lines = vec![
        ("survey".to_owned(), survey.name.clone()),
        ("mosaics".into(), frames.set().mosaics().len().to_string()),
        ("frames".into(), format!("{count} of {0} × {0} pixels, step {1}", settings.size, settings.step)),
    ];
    let sky = frames.set().mosaics().first();
    if let Some(beam) = sky.and_then(|mosaic| mosaic.beam) {
        lines.push(("beam".into(), format!("{:.1}″ × {:.1}″", beam.major_arcsec, beam.minor_arcsec)));
    }
    if frames.has_labels() {
        let groups = frames.groups();
        let of = |group| groups.iter().filter(|g| **g == Some(group)).count();
        let labelled = groups.iter().flatten().count();
        lines.push(("labelled frames".into(), labelled.to_string()));
        for (name, group) in
            [("peculiar", FrameGroup::Peculiar), ("complex", FrameGroup::Complex), ("ordinary", FrameGroup::Ordinary)]
        {
            let share = 100.0 * of(group) as f64 / labelled.max(1) as f64;
            lines.push((format!("{name} frames"), format!("{} ({share:.1} % of the labelled)", of(group))));
        }
    }
    lines
}

fn provenance(config: &Table4Config, evaluation: &Evaluation) -> Result<Vec<(String, String)>> {
    let SimClrConfig { batch_size, epochs, peak_lr, recipe, .. } = &config.simclr;
    let mut lines = vec![
        ("radio-ssl".to_owned(), config.version.clone()),
        ("preset".into(), config.preset.name().into()),
        ("seed".into(), config.seed.to_string()),
        ("input".into(), format!("3 × {0} × {0} pixels (the paper: 224)", recipe.size)),
    ];
    match &config.checkpoint_sha256 {
        Some(hash) => lines.push(("encoder".into(), format!("checkpoint with SHA-256 {hash}"))),
        None => lines.push((
            "pre-training".into(),
            format!("{epochs} epochs, batches of {batch_size} cutouts, Adam to {peak_lr} (the paper: 100, 128, 0.1)"),
        )),
    }
    if let Some(ranking) = &evaluation.ranking {
        let leading: Vec<String> = ranking.order.iter().take(15).map(ToString::to_string).collect();
        lines.push(("leading features".into(), leading.join(", ")));
    }
    lines.extend(config.inputs_sha256.iter().map(|(name, hash)| (format!("SHA-256 of {name}"), hash.clone())));
    if let SkyConfig::Simulated(sky) = &config.sky {
        lines.push(("simulator".into(), format!("version {}, fingerprint {}", sky.version, sky.fingerprint()?)));
    }
    lines.push(("every number".into(), "run.toml in the run folder".into()));
    Ok(lines)
}

fn notes(config: &Table4Config, frames: &SurveyFrames, judged: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if matches!(config.sky, SkyConfig::Simulated(_)) {
        notes.push(SIMULATED_SKY_NOTE.to_owned());
        notes.push(
            "Every peculiar object borrows flux, size and area from an ordinary twin (`matched`), so that single numbers hardly give it \
             away. Not measured on this sky: on the quarter tier, seeds 7 to 9, the AUC of flux, S/N, area and island count against matched \
             complex frames is 0.44 to 0.57 (docs/progress.md)."
                .into(),
        );
    }
    if config.preset == Preset::Smoke {
        notes.push("This is the smoke preset, on a small sky with five times too many peculiar objects: it shows that every stage works. Its figures mean nothing.".into());
    }
    if config.preset != Preset::Paper && config.checkpoint_sha256.is_none() {
        notes.push(format!(
            "Inputs are {} pixels wide and training is short, so that the run ends on a laptop; the paper trains 224-pixel inputs for 100 epochs on GPUs.",
            config.simclr.recipe.size
        ));
    }
    if judged {
        notes.push(format!(
            "In-sample, as in the paper: forest, grid and threshold (step {THRESHOLD_STEP}) are chosen on the frames they are judged on; only the held-out table is from sky that no choice has seen."
        ));
    }
    notes.extend(frames.remarks().iter().cloned());
    for mosaic in frames.set().mosaics() {
        notes.extend(mosaic.remarks.iter().map(|remark| format!("{}: {remark}", mosaic.id)));
    }
    notes
}

/// The top-scored frames of a set.
fn gallery(set: &ScoredSet, frames: &SurveyFrames) -> Result<Gallery> {
    let mut order: Vec<usize> = (0..set.scores.len()).collect();
    order.sort_by(|&a, &b| set.scores[b].total_cmp(&set.scores[a]).then(a.cmp(&b)));
    let groups = frames.groups();
    let mosaic = frames.set().mosaics().first();
    let mut shown = Vec::new();
    for (rank, &i) in order.iter().take(GALLERY_FRAMES).enumerate() {
        let cutout = frames.cutout(i)?;
        shown.push(GalleryFrame {
            id: cutout.id.to_string(),
            rank: rank + 1,
            score: set.scores[i],
            labels: frames.labels(i).unwrap_or_default().iter().map(|label| label.text().to_owned()).collect(),
            group: groups[i].into(),
            sky_deg: cutout.sky,
            pixels: cutout.pixels,
        });
    }
    Ok(Gallery {
        title: format!("Highest scores, {} features", set.name),
        caption: format!("Isolation forest: {}. Higher scores are stranger.", set.forest),
        pixel_arcsec: mosaic.and_then(|m| m.wcs.as_ref()).map(radio_io::Wcs::pixel_arcsec),
        beam: mosaic.and_then(|m| m.beam).map(|beam| BeamShape {
            major_arcsec: beam.major_arcsec,
            minor_arcsec: beam.minor_arcsec,
            position_angle_deg: beam.pa_deg,
        }),
        frames: shown,
    })
}
