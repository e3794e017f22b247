//! From what a run computed to what its report shows: rows with intervals, verdict, figures, provenance, galleries.
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use metrics::published::PUBLISHED_RANKING_F1;
use metrics::{FrameGroup, THRESHOLD_STEP};
use radio_io::{FeatureTable, Survey};
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::kernel::kernel_in_use;
use rank_gbdt::{Importance, Ranking};
use ssl_simclr::SimClrConfig;

use crate::anomaly_scores::ScoredSet;
use crate::frames::{NamedFrames, SurveyFrames};
use crate::intervals::selection_intervals;
use crate::ranking_quality::UnseenF1;
use crate::report::{
    self, BeamShape, Gallery, GalleryFrame, LossPoint, RankingSummary, SIMULATED_SKY_NOTE, ScoredFrames, Table4Report,
    Table4Row, ThresholdScan,
};
use crate::run_config::{Preset, SkyConfig, Table4Config};
use crate::run_map::run_map;
use crate::sky_objects::{members_of, sky_objects};
use crate::table4::Evaluation;

/// Frames shown in a gallery.
const GALLERY_FRAMES: usize = 32;

/// Fills the report. Nothing in it depends on time, threads or the number of restarts.
///
/// # Errors
/// If the checkpoint or a frame of the gallery cannot be read.
pub(crate) fn run_report(
    config: &Table4Config,
    survey: &Survey,
    frames: &Arc<SurveyFrames>,
    checkpoint: &Path,
    table: &FeatureTable,
    evaluation: &Evaluation,
) -> Result<Table4Report> {
    let groups = frames.groups();
    let members = members_of(&sky_objects(&frames.ids()?, &groups), |i| groups[i].is_some());
    let with_intervals = |set: &ScoredSet| {
        let row = set.row.as_ref()?;
        let selected: Vec<bool> = set.scores.iter().map(|score| *score > row.threshold).collect();
        let [recall_interval, precision_interval] = selection_intervals(&members, config.seed, &groups, &selected);
        Some(Table4Row { recall_interval, precision_interval, ..Table4Row::new(&set.name, row, &set.forest) })
    };
    let rows: Vec<Table4Row> = evaluation.sets.iter().filter_map(with_intervals).collect();
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
        left_out: frames.left_out().into_iter().chain(evaluation.left_out.iter().cloned()).collect(),
        ranking: evaluation.ranking.as_ref().map(|ranking| ranking_summary(config, ranking, evaluation.unseen)),
        scored: best_set(evaluation).or_else(|| evaluation.sets.last()).map(|set| ScoredFrames {
            features: set.name.clone(),
            threshold: set.row.map(|row| row.threshold),
            scores: set.scores.iter().copied().zip(groups.iter().map(|group| (*group).into())).collect(),
        }),
        checks: frames.checks().to_vec(),
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
    let order = evaluation.ranking.as_ref().map_or(&[][..], |ranking| &ranking.order);
    let set = best_set(evaluation).or_else(|| evaluation.sets.last());
    match run_map(table, order, frames, set)? {
        Ok(map) => report.map = Some(map),
        Err(why) => report.left_out.push(format!("the map of the frames: {why}")),
    }
    for set in gallery_sets(evaluation) {
        report.galleries.push(gallery(set, frames)?);
    }
    Ok(report)
}

/// The leading features with their share of the importance that ordered them.
fn ranking_summary(config: &Table4Config, ranking: &Ranking, unseen: Option<UnseenF1>) -> RankingSummary {
    let (measure, importance): (&str, Vec<f64>) = match config.ranking.importance {
        Importance::Split => ("splits", ranking.split.iter().map(|&splits| f64::from(splits)).collect()),
        Importance::Gain => ("gain", ranking.gain.clone()),
    };
    let all: f64 = importance.iter().sum();
    let most = config.top_k.iter().copied().max().unwrap_or(15);
    let share = |&feature: &usize| (feature, importance.get(feature).copied().unwrap_or(0.0) / all);
    RankingSummary {
        leading: ranking.order.iter().take(most).map(share).collect(),
        measure: measure.to_owned(),
        features: ranking.order.len(),
        top_k: config.top_k.clone(),
        rounds: ranking.rounds,
        stopping_f1: ranking.hold_out_f1_weighted,
        unseen_f1: unseen.map(|unseen| (unseen.weighted, unseen.interval, unseen.frames)),
        published_f1: PUBLISHED_RANKING_F1,
    }
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
            "The ranking tells frames with extended emission from the others with a weighted F1 of {} on the held-out sky that stopped its training, {}the paper gives 75.3 %.",
            percent(ranking.hold_out_f1_weighted),
            evaluation
                .unseen
                .map_or(String::new(), |unseen| format!("and of {} on sky that nothing of it saw; ", percent(unseen.weighted)))
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
    let SimClrConfig { batch_size, epochs, peak_lr, .. } = &config.simclr;
    let mut lines = vec![
        ("radio-ssl".to_owned(), config.version.clone()),
        ("preset".into(), config.preset.name().into()),
        ("seed".into(), config.seed.to_string()),
        ("input".into(), format!("3 × {0} × {0} pixels (the paper: 224)", config.simclr.input_size())),
        (
            "encoder computes in".into(),
            format!("{}, kernel {}", config.simclr.precision.name(), kernel_in_use().name()),
        ),
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
            "Every peculiar object borrows flux, size and area from an ordinary twin (matched), so that single numbers hardly give it \
             away. Not measured on this sky: on six skies of the quarter tier the AUC of flux, S/N, area, islands and gzip against matched \
             complex frames is 0.47 to 0.53 on the mean (docs/simulation-gates.md)."
                .into(),
        );
    }
    if config.preset == Preset::Smoke {
        notes.push("This is the smoke preset, on a small sky with five times too many peculiar objects: it shows that every stage works. Its figures mean nothing.".into());
    }
    if config.preset != Preset::Paper && config.checkpoint_sha256.is_none() {
        notes.push(format!(
            "Inputs are {} pixels wide and training is short, so that the run ends on a laptop; the paper trains 224-pixel inputs for 100 epochs on GPUs.",
            config.simclr.input_size()
        ));
    }
    if judged {
        notes.push(format!(
            "In-sample, as in the paper: forest, grid and threshold (step {THRESHOLD_STEP}) are chosen on the frames they are judged on; only the held-out table is from sky that no choice has seen."
        ));
    }
    notes.extend(frames.remarks());
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
