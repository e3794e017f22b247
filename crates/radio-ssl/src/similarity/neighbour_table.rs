//! The neighbours as a CSV file: query, rank from 1, name and row of the neighbour, distance, place, separation on the sky.
use std::path::Path;

use anyhow::{Context, Result};
use neighbours::Neighbours;
use radio_io::{FeatureTable, separation_arcsec};

use super::Questions;

const COLUMNS: [&str; 8] = ["query", "rank", "id", "row", "distance", "ra_deg", "dec_deg", "separation_arcsec"];

/// Writes the `top` nearest of each question, atomically. A question that is a row is left out of its own neighbours.
pub(super) fn write(
    table: &FeatureTable,
    questions: &Questions,
    found: &Neighbours,
    top: usize,
    out: &Path,
) -> Result<()> {
    let fill = |file: &mut atomic_file::AtomicFile| {
        let mut writer = csv::Writer::from_writer(file);
        writer.write_record(COLUMNS)?;
        for question in 0..questions.len() {
            let (name, place, own) = questions.record(question, table);
            let near = found.rows.row(question).into_iter().zip(found.distances.row(question));
            // Where more rows than were asked for are equal to the question, it need not be among them: the last one goes.
            let others = near.filter(|(row, _)| own != Some(**row as usize)).take(top);
            for (rank, (&row, distance)) in (1..).zip(others) {
                let row = row as usize;
                let there = (table.ra_deg[row], table.dec_deg[row]);
                writer.write_record([
                    name,
                    &format!("{rank}"),
                    &table.ids[row],
                    &format!("{row}"),
                    &format!("{distance}"),
                    &known(there.0),
                    &known(there.1),
                    &known_separation(place, there),
                ])?;
            }
        }
        writer.flush()
    };
    atomic_file::write_atomically(out, fill).with_context(|| format!("cannot write {}", out.display()))
}

/// A number; nothing where it is unknown.
fn known(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

/// Separation of two places in arc seconds to a thousandth; nothing where one is unknown.
pub(super) fn known_separation(a: (f64, f64), b: (f64, f64)) -> String {
    let separation = separation_arcsec(a, b);
    if separation.is_finite() { format!("{separation:.3}") } else { String::new() }
}
