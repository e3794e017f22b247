//! Pairs of rows that are nearly the same, as a CSV file: the same object cut twice, overlapping frames, damaged tiles.
use std::path::Path;

use anyhow::{Context, Result};
use neighbours::near_duplicates;
use radio_io::FeatureTable;

use super::MetricName;
use super::neighbour_table::known_separation;
use crate::progress::Stage;

/// A list longer than this helps nobody.
const MOST_PAIRS: usize = 1_000_000;

const COLUMNS: [&str; 6] = ["first", "second", "first_row", "second_row", "distance", "separation_arcsec"];

/// Writes all pairs within a distance, by rows, atomically, and returns what to print.
pub(super) fn write_twins(table: &FeatureTable, metric: MetricName, threshold: f64, out: &Path) -> Result<String> {
    let stage = Stage::start("comparing all pairs");
    let pairs = near_duplicates(table.features.view(), metric.metric(), threshold, MOST_PAIRS)
        .with_context(|| format!("--threshold {threshold} --metric {}", metric.text()))?;
    let fill = |file: &mut atomic_file::AtomicFile| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(COLUMNS)?;
        for pair in &pairs {
            let (first, second) = (pair.first as usize, pair.second as usize);
            let place = |row: usize| (table.ra_deg[row], table.dec_deg[row]);
            writer.write_record([
                &table.ids[first],
                &table.ids[second],
                &first.to_string(),
                &second.to_string(),
                &(pair.distance as f32).to_string(),
                &known_separation(place(first), place(second)),
            ])?;
        }
        writer.flush()
    };
    atomic_file::write_atomically(out, fill).with_context(|| format!("cannot write {}", out.display()))?;
    let mut in_pairs: Vec<u32> = pairs.iter().flat_map(|pair| [pair.first, pair.second]).collect();
    in_pairs.sort_unstable();
    in_pairs.dedup();
    stage.end("");
    Ok(format!(
        "{} pairs within {threshold} ({}), {} of {} rows are in one: {}\n",
        pairs.len(),
        metric.text(),
        in_pairs.len(),
        table.len(),
        out.display()
    ))
}
