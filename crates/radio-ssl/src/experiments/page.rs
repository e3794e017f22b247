//! The page of an experiment: Markdown with figures beside it, and every number as JSON.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::held::FrameFacts;
use super::result::{Block, ExperimentResult, Row};
use super::unit::write_text;
use crate::report::method_figures::{Bar, LabelAxes, LabelCurve, bars_figure, label_figure};
use crate::report::{drawing::Drawing, write_figure};

/// Bars of a figure at most.
const BARS: usize = 10;
/// Curves of a figure at most.
const CURVES: usize = 6;
/// Of them, trainings and rings.
const MOST_KEPT: usize = 4;

/// Writes `NAME.md`, `NAME.json` and the figures into a folder, which is made if it does not exist; returns the page's place.
///
/// # Errors
/// If a file cannot be written.
pub fn write(result: &ExperimentResult, folder: &Path) -> Result<PathBuf> {
    let name = &result.experiment;
    let page = folder.join(format!("{name}.md"));
    let mut figures = Vec::new();
    for block in &result.blocks {
        let stem = format!("{name}-{}-{}", block.set, block.split);
        for (end, words, drawing) in drawings(block) {
            let stem = format!("{stem}-{end}");
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            write_figure(&drawing, folder, &stem)?;
            figures.push((block.title.clone(), words, format!("{stem}.svg")));
        }
    }
    write_text(&folder.join(format!("{name}.json")), &serde_json::to_string_pretty(result)?)?;
    write_text(&page, &markdown(result, &figures))?;
    Ok(page)
}

fn drawings(block: &Block) -> Vec<(&'static str, &'static str, Drawing)> {
    let bars = bars_figure("All labels", &block.short_title(), "accuracy", false, &bars(block))
        .map(|d| ("bars", "Accuracy, all labels", d));
    let axes = LabelAxes { score: "Accuracy", labels: "share of the labels, %" };
    let curves =
        label_figure(axes, &block.short_title(), &curves(block)).map(|d| ("labels", "Accuracy against labels", d));
    bars.into_iter().chain(curves).collect()
}

/// For each name its best method with all labels, best name first; rings are always among them.
fn bars(block: &Block) -> Vec<Bar> {
    let mut rows: Vec<&Row> = Vec::new();
    for row in block.rows.iter().filter(|row| row.fraction >= 1.0) {
        match rows.iter_mut().find(|other| other.name == row.name) {
            Some(other) if row.accuracy.value > other.accuracy.value => *other = row,
            Some(_) => {}
            None => rows.push(row),
        }
    }
    rows.sort_by(|a, b| b.accuracy.value.total_cmp(&a.accuracy.value));
    if let Some(place) = rows.iter().position(|row| is_hand_made(row)).filter(|place| *place >= BARS) {
        let rings = rows.remove(place);
        rows.insert(BARS - 1, rings);
    }
    rows.truncate(BARS);
    let bar = |row: &&Row| Bar {
        name: figure_name(&format!("{}, {}", row.name, row.method)),
        value: row.accuracy.value,
        low: row.accuracy.low,
        high: row.accuracy.high,
        hand_made: is_hand_made(row),
    };
    rows.iter().map(bar).collect()
}

fn is_hand_made(row: &Row) -> bool {
    row.name == crate::classify::baselines::RINGS
}

/// For each name with several shares of labels its best method (by the mean over shares), best first.
fn curves(block: &Block) -> Vec<LabelCurve> {
    let mut curves: Vec<(f64, LabelCurve)> = Vec::new();
    for first in block.rows.iter().filter(|row| row.fraction >= 1.0) {
        let same = |row: &&Row| row.name == first.name && row.method == first.method;
        let mut points: Vec<(f64, f64, f64, f64)> = block
            .rows
            .iter()
            .filter(same)
            .map(|row| (100.0 * row.fraction, row.accuracy.value, row.accuracy.low, row.accuracy.high))
            .collect();
        if points.len() < 2 {
            continue;
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mean = points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
        let curve = LabelCurve { name: first.name.clone(), points };
        match curves.iter_mut().find(|(_, other)| other.name == curve.name) {
            Some(other) if mean > other.0 => *other = (mean, curve),
            Some(_) => {}
            None => curves.push((mean, curve)),
        }
    }
    curves.sort_by(|a, b| b.0.total_cmp(&a.0));
    // Trainings, and rings, which the others are measured by, are always among them.
    let is_kept = |name: &str| {
        let starts = ["scratch", "fine-tuned"];
        name == crate::classify::baselines::RINGS || starts.iter().any(|start| name.starts_with(start))
    };
    let (kept, others): (Vec<_>, Vec<_>) = curves.into_iter().partition(|(_, curve)| is_kept(&curve.name));
    let kept: Vec<_> = kept.into_iter().take(MOST_KEPT).collect();
    let room = CURVES - kept.len();
    let named = |(_, curve): (f64, LabelCurve)| LabelCurve { name: figure_name(&curve.name), ..curve };
    kept.into_iter().chain(others.into_iter().take(room)).map(named).collect()
}

/// A name as a figure has room for it.
fn figure_name(name: &str) -> String {
    name.replace("BN anew, every stage", "BN, stages").replace("random weights", "random").replace(", trained", "")
}

fn markdown(result: &ExperimentResult, figures: &[(String, &str, String)]) -> String {
    let mut text = format!("# Experiment `{}`\n\n", result.experiment);
    if result.quick {
        text += "**A quick look: tiny networks, few steps. The figures mean nothing.**\n\n";
    }
    text += &format!("`{}`\n\n", result.command);
    text += "## What came out\n\n";
    for line in &result.verdict {
        text += &format!("- {line}\n");
    }
    text += &format!(
        "\n## How to read the tables\n\nAccuracy and macro F1 in percent, the mean over runs, with 95 % intervals from {} resamples of whole \
         pieces of sky (objects within 270\" of each other). Intervals hold the choice of objects; the spread over runs (seeds {}, and {} draws \
         of labels for each where not all are used) is a column of its own. Differences are paired: both methods see every resample. `1 turn`, \
         `4 turns`, `8 turns`: features averaged over turns (8: and mirror images); `BN anew`: batch-norm statistics taken from the labelled \
         pictures, without labels; `every stage`: mean and maximum over the map of each residual stage; `scales`: middle squares of 32, 64 and 96 \
         pixels, not shrunk. Verdicts speak of `8 turns, BN anew, every stage` with C chosen inside the training part, the same on \
         every set, chosen after a dozen trainings with one seed on these sets.\n",
        result.resamples,
        result.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
        result.draws
    );
    for block in &result.blocks {
        text += &block_text(block, figures);
    }
    text += "\n## Encoders\n\n| name | method | pool | pixels | input | width | epochs | batch | learning rate | temperature |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for r in &result.encoders {
        let pool = match (r.share < 1.0, r.strict) {
            (true, _) => format!("{} % of {}", 100.0 * r.share, r.pool.name()),
            (_, true) => format!("{}, without the sky of the test fold", r.pool.name()),
            _ => r.pool.name().to_owned(),
        };
        text += &format!(
            "| {} | {} | {pool} | {} | {} | {} | {} | {} | {:e} | {} |\n",
            r.name,
            r.method.name(),
            if r.margin > 0 { format!("{} in {}", r.crop_px, r.frame_px()) } else { r.crop_px.to_string() },
            r.side,
            r.width,
            r.epochs,
            r.batch,
            r.lr,
            r.temperature
        );
    }
    for (pool, facts) in &result.pools {
        text += &format!("\nPool {pool}: {}\n", facts_text(facts));
    }
    text
}

fn facts_text(facts: &FrameFacts) -> String {
    let zero = match facts.all_zero.len() {
        0 => "none is all zeros".to_owned(),
        n => format!("{n} all zeros and used as such: {}", facts.all_zero.join(", ")),
    };
    format!(
        "{} pictures; {} have a channel in which every pixel that counts has one value (zscale found two equal limits), which becomes a mask \
         of the source; {zero}; {} cannot be used.",
        facts.frames,
        facts.with_flat_channel,
        facts.unusable.len()
    )
}

fn block_text(block: &Block, figures: &[(String, &str, String)]) -> String {
    let classes: Vec<String> = block.classes.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let mut text = format!(
        "\n## {}\n\n{} pictures ({}), {} predicted, {} pieces of sky. {}\n",
        block.title,
        block.pictures.0,
        classes.join(", "),
        block.pictures.1,
        block.groups,
        facts_text(&block.facts)
    );
    if let Some(shared) = block.shared {
        text += &format!(
            "{shared} of the test pictures of this published split have a training picture within 270\" (or share a chain of such neighbours).\n"
        );
    }
    for (_, words, file) in figures.iter().filter(|(title, ..)| *title == block.title) {
        text += &format!("\n![{words}]({file})\n");
    }
    let mut shares: Vec<f64> = block.rows.iter().map(|row| row.fraction).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    shares.dedup();
    for share in shares {
        text += &format!(
            "\n### {} % of the labels\n\n| features, method | columns | accuracy | macro F1 | spread over runs | runs |\n| --- | --- | --- | --- | --- | --- |\n",
            100.0 * share
        );
        let mut rows: Vec<&Row> = block.rows.iter().filter(|row| row.fraction == share).collect();
        rows.sort_by(|a, b| b.accuracy.value.total_cmp(&a.accuracy.value));
        for row in rows {
            text += &format!(
                "| {}, {} | {} | {} | {} | {} | {} |\n",
                row.name,
                row.method,
                row.columns,
                row.accuracy.percent(false),
                row.macro_f1.percent(false),
                row.spread.map_or_else(String::new, |spread| format!("{:.1}", 100.0 * spread)),
                row.of_runs.len()
            );
        }
        for mark in block.marks.iter().filter(|mark| mark.fraction == share) {
            let percent = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{:.1}", 100.0 * value));
            text += &format!("| *{}* | | {} | {} | | |\n", mark.name, percent(mark.accuracy), percent(mark.macro_f1));
        }
    }
    if !block.differences.is_empty() {
        text += "\n### Differences, first minus second, percentage points\n\n| first | second | accuracy | macro F1 |\n| --- | --- | --- | --- |\n";
        for d in &block.differences {
            let (accuracy, macro_f1) = (d.accuracy.percent(true), d.macro_f1.percent(true));
            text += &format!("| {} | {} | {accuracy} | {macro_f1} |\n", d.first, d.second);
        }
    }
    text
}
