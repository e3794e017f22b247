//! What a new manifest holds, in words: counts of each part and class, then the paper's Table 1.
use std::collections::BTreeMap;
use std::path::Path;

use radio_io::Manifest;
use radio_io::data_set::{Part, table1};

/// Cutouts of each part, in the order train, valid, test, border; those without a part are not counted.
pub(super) fn part_counts(manifest: &Manifest) -> Vec<(&'static str, usize)> {
    let mut counts: BTreeMap<Part, usize> = BTreeMap::new();
    manifest.rows.iter().filter_map(|row| row.part).for_each(|part| *counts.entry(part).or_default() += 1);
    counts.into_iter().map(|(part, count)| (part.text(), count)).collect()
}

/// The table of parts and classes, and Table 1.
pub(super) fn summary(manifest: &Manifest, path: &Path) -> String {
    format!("{}{}{} cutouts: {}\n", parts_by_class(manifest), table1(manifest), manifest.len(), path.display())
}

/// One line for each part: how many cutouts, which share, and how many of each label. Nothing for a set without parts.
pub(super) fn parts_by_class(manifest: &Manifest) -> String {
    let counts = part_counts(manifest);
    if counts.is_empty() {
        return String::new();
    }
    let mut labels: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for row in &manifest.rows {
        for label in &row.labels {
            let part = row.part.map_or("", Part::text);
            *labels.entry(label).or_default().entry(part).or_default() += 1;
        }
    }
    let head = ["part", "cutouts", "share"].into_iter().chain(labels.keys().copied()).map(str::to_owned);
    let mut lines: Vec<Vec<String>> = vec![head.collect()];
    for (part, count) in counts {
        let share = format!("{:.1} %", 100.0 * count as f64 / manifest.len() as f64);
        let classes = labels.values().map(|of| of.get(part).copied().unwrap_or(0).to_string());
        lines.push([part.to_owned(), count.to_string(), share].into_iter().chain(classes).collect());
    }
    aligned(&lines)
}

/// Columns of one width, the first flush left, the others flush right.
pub(super) fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text.push_str(&format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end()));
    }
    text
}
