//! From the numbers of a figure to its page: statements beside verdicts, tables of scores, files.
use std::path::PathBuf;

use anyhow::Result;
use metrics::bootstrap::mean_and_error;
use serde::Serialize;

use super::claims::{Claim, points, summary};
use super::experiment::{Experiment, SECTION};
use super::over_sets::{Method, OverSets};
use crate::classify::baselines::RINGS;
use crate::intervals::Estimate;
use crate::report::Drawing;
use crate::report::figure_page::{FigurePage, PageTable, write_figure_page};
use crate::report::method_figures::Bar;

/// What a figure found.
pub struct Found<T> {
    /// Name of the files: `fig5`.
    pub stem: &'static str,
    /// Headline.
    pub title: &'static str,
    /// A sentence with the main number.
    pub result: String,
    /// The paper's statements.
    pub claims: Vec<Claim>,
    /// Further remarks.
    pub notes: Vec<String>,
    /// Figures.
    pub figures: Vec<Drawing>,
    /// Tables.
    pub tables: Vec<PageTable>,
    /// Everything as numbers.
    pub data: T,
}

/// What stands in `STEM.json`.
#[derive(Serialize)]
struct Record<'a, T> {
    version: &'static str,
    settings: &'a super::settings::FigureSettings,
    data: &'a str,
    classes: &'a [String],
    per_class: [usize; 2],
    claims: &'a [Claim],
    found: &'a T,
}

/// Writes the page and returns what to print: verdicts, tables and the page's place.
///
/// # Errors
/// If a file cannot be written.
pub fn write_page<T: Serialize>(
    experiment: &Experiment,
    folder: &std::path::Path,
    command: &str,
    found: Found<T>,
) -> Result<String> {
    let record = Record {
        version: env!("CARGO_PKG_VERSION"),
        settings: &experiment.settings,
        data: &experiment.labelled.key,
        classes: &experiment.labelled.classes,
        per_class: experiment.labelled.per_class,
        claims: &found.claims,
        found: &found.data,
    };
    let mut tables = vec![claims_table(&found.claims)];
    tables.extend(found.tables);
    let page = FigurePage {
        stem: found.stem.into(),
        eyebrow: format!("radio-ssl · classification · {SECTION}"),
        title: found.title.into(),
        verdict_lines: vec![summary(&found.claims), found.result],
        facts: experiment.facts(),
        notes: experiment.notes().into_iter().chain(found.notes).collect(),
        figures: found.figures,
        tables: tables.into_iter().filter(|table| !table.rows.is_empty()).collect(),
        provenance: experiment.provenance(command)?,
    };
    let paths = write_figure_page(&page, &serde_json::to_vec_pretty(&record)?, folder)?;
    Ok(text(&page, &paths))
}

/// The page for a terminal.
fn text(page: &FigurePage, paths: &[PathBuf]) -> String {
    let mut text = format!("{}\n{}\n", page.title, page.verdict_lines.join("\n"));
    for table in &page.tables {
        text.push_str(&format!("\n{}\n", table.heading));
        if table.prose {
            table.rows.iter().for_each(|row| text.push_str(&format!("  {}: {} — {}\n", row[0], row[1], row[2])));
            continue;
        }
        let width = |column: usize| {
            let cells = table.rows.iter().map(|row| &row[column]).chain([&table.columns[column]]);
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        for row in std::iter::once(&table.columns).chain(&table.rows) {
            let cells: Vec<String> =
                row.iter().enumerate().map(|(column, cell)| format!("{cell:<0$}", width(column))).collect();
            text.push_str(&format!("  {}\n", cells.join("  ").trim_end()));
        }
    }
    paths.first().map_or(text.clone(), |path| format!("{text}\n{}", path.display()))
}

fn claims_table(claims: &[Claim]) -> PageTable {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    PageTable {
        heading: "The paper's statements".into(),
        caption: "A verdict follows from the interval alone: a statement must hold, or fail, on all of it.".into(),
        columns: words(&["verdict", "the paper", "here", "how it was read", "source"]),
        rows: claims
            .iter()
            .map(|claim| words(&[claim.verdict.words(), &claim.paper, &claim.ours, &claim.reading, claim.source]))
            .collect(),
        prose: true,
    }
}

/// A table of F1 over all classes: mean, interval, the paper's error bar.
///
/// # Errors
/// If a method predicts other sets.
pub fn overall_table(over: &OverSets, methods: &[Method]) -> Result<PageTable> {
    let mut rows = Vec::new();
    for method in methods {
        let by_set = over.by_set(method)?;
        let (_, error) = mean_and_error(&by_set)?;
        let error = if error.is_finite() { format!("± {:.1}", 100.0 * error) } else { "–".into() };
        rows.push(vec![method.name.clone(), points(over.f1(method, None)?), error]);
    }
    Ok(PageTable {
        heading: "F1 over all classes".into(),
        caption: "Mean over sets; in the last column the paper's error, the standard error over sets.".into(),
        columns: ["features", "F1 (95 %)", "over sets"].map(str::to_owned).to_vec(),
        rows,
        prose: false,
    })
}

/// A table of differences.
pub fn difference_table(heading: &str, caption: &str, differences: &[(String, Estimate)]) -> PageTable {
    PageTable {
        heading: heading.into(),
        caption: caption.into(),
        columns: ["difference", "points (95 %)"].map(str::to_owned).to_vec(),
        rows: differences.iter().map(|(name, found)| vec![name.clone(), points(*found)]).collect(),
        prose: false,
    }
}

/// A score, or a difference of two, as a bar.
pub fn bar((name, found): &(String, Estimate)) -> Bar {
    let Estimate { value, low, high } = *found;
    Bar { name: name.clone(), value, low, high, hand_made: name == RINGS }
}

/// The method of that name.
pub fn named<'a>(methods: &'a [Method], name: &str) -> Option<&'a Method> {
    methods.iter().find(|method| method.name == name)
}
