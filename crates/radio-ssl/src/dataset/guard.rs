//! `dataset guard`: does one set show what another one shows?
use std::path::PathBuf;

use anyhow::{Result, bail};
use radio_io::data_set::{
    GuardEntry, HashFloor, LeakGuard, LeakReason, LeakReport, Looks, find_leaks, guard_entries, hash_cutouts,
};
use radio_io::{Manifest, MosaicPool};
use serde_json::json;

use super::summary::summary;
use super::{PartName, of_part, read, write};
use crate::compute::{ComputeOptions, use_compute};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    radio-ssl dataset guard train.parquet test.parquet\n  \
    radio-ssl dataset guard parted.parquet parted.parquet --first-part train --second-part test\n  \
    radio-ssl dataset guard train.parquet test.parquet --radius 30 --looks --drop-from-second clean.parquet\n  \
    radio-ssl dataset guard train.parquet test.parquet --json > leaks.json\n\n\
    Cutouts are the same if they share pixels of one mosaic, if their boxes on the sky overlap, if their centres lie within\n\
    --radius, or, with --looks, if their pictures look alike in any of eight orientations.\n\n\
    Exit codes: 0 nothing is shared, or it was dropped; 1 something is, or an error; 2 wrong usage.";

/// Pairs that are named on the terminal.
const NAMED: usize = 10;

/// Options of `dataset guard`.
#[derive(Debug, Clone, clap::Args)]
pub struct GuardOptions {
    /// A manifest, for instance of training.
    first: PathBuf,
    /// Another one, for instance of the test; the same one with parts to compare.
    second: PathBuf,
    /// Only this part of the first.
    #[arg(long, value_enum)]
    first_part: Option<PartName>,
    /// Only this part of the second.
    #[arg(long, value_enum)]
    second_part: Option<PartName>,
    /// Centres at most so far apart show the same source, arc seconds.
    #[arg(long, value_name = "ARCSEC", default_value_t = 0.0)]
    radius: f64,
    /// Compare pictures too: reads every cutout.
    #[arg(long)]
    looks: bool,
    /// Most bits of 64 in which hashes of pictures that look alike may differ.
    #[arg(long, value_name = "N", default_value_t = 8, requires = "looks")]
    bits: u32,
    /// Least correlation of pictures that look alike.
    #[arg(long, value_name = "R", default_value_t = 0.8, requires = "looks")]
    correlation: f64,
    /// Compare only what stands out of the noise, for sets whose faint pixels were cut away.
    #[arg(long, requires = "looks")]
    sources_only: bool,
    /// Print JSON: every pair with its reasons.
    #[arg(long)]
    json: bool,
    /// Write the second set less what the first shows (`.parquet`).
    #[arg(long, value_name = "FILE")]
    drop_from_second: Option<PathBuf>,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// Compares, prints, and writes what is left.
///
/// # Errors
/// If a manifest or mosaic cannot be read, or the sets share something that was not dropped.
pub(super) fn guard(options: &GuardOptions, print: &mut dyn FnMut(&str)) -> Result<()> {
    use_compute(&options.compute)?;
    let one = of_part(&read(&options.first)?, options.first_part.map(Into::into))?;
    let other = of_part(&read(&options.second)?, options.second_part.map(Into::into))?;
    let looks = Looks { most_bits: options.bits, least_correlation: options.correlation };
    let guard = LeakGuard { radius_arcsec: options.radius, looks: options.looks.then_some(looks) };
    let (first, second) = (entries(&one, options)?, entries(&other, options)?);
    let report = find_leaks(&first, &second, &guard)?;
    print(&match options.json {
        true => as_json(&report, &first, &second)?,
        false => in_words(&report, &first, &second),
    });
    let leaked = report.leaked();
    if let Some(out) = &options.drop_from_second {
        let kept: Vec<usize> = (0..other.len()).filter(|place| leaked.binary_search(place).is_err()).collect();
        if kept.is_empty() {
            bail!("every cutout of {} shows something of {}: nothing to write", name(options, 1), name(options, 0));
        }
        let (what, radius, dropped) = (name(options, 0), options.radius, leaked.len());
        let with_looks = if options.looks { " or look alike" } else { "" };
        let step = format!(
            "dropped {dropped} that share sky with {what}, lie within {radius} arcsec of its cutouts{with_looks}"
        );
        let clean = other.select(&kept, &step)?;
        write(&clean, out)?;
        if !options.json {
            print(&summary(&clean, out));
        }
        return Ok(());
    }
    if leaked.is_empty() {
        return Ok(());
    }
    bail!(
        "{} of {} cutouts of {} show something of {}; --drop-from-second FILE writes the others",
        leaked.len(),
        second.len(),
        name(options, 1),
        name(options, 0)
    );
}

/// A set as the user named it, without its folder.
fn name(options: &GuardOptions, which: usize) -> String {
    let (path, part) = [(&options.first, options.first_part), (&options.second, options.second_part)][which];
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let part = part.map(|part| format!(" ({})", radio_io::data_set::Part::from(part).text()));
    format!("{file}{}", part.unwrap_or_default())
}

fn entries(manifest: &Manifest, options: &GuardOptions) -> Result<Vec<GuardEntry>> {
    if !options.looks {
        return Ok(guard_entries(manifest, None)?);
    }
    let floor = if options.sources_only { HashFloor::Sources } else { HashFloor::Noise };
    let pool = MosaicPool::new(manifest, MosaicPool::DEFAULT_CAPACITY);
    Ok(guard_entries(manifest, Some(&hash_cutouts(manifest, &pool, floor)?))?)
}

const REASONS: [(LeakReason, &str, &str); 4] = [
    (LeakReason::SharedPixels, "shared-pixels", "share pixels of one mosaic"),
    (LeakReason::OverlappingBoxes, "overlapping-boxes", "overlap on the sky, across mosaics"),
    (LeakReason::NearCentres, "near-centres", "have centres within the radius"),
    (LeakReason::AlikePictures, "alike-pictures", "look alike"),
];

fn in_words(report: &LeakReport, first: &[GuardEntry], second: &[GuardEntry]) -> String {
    let mut text =
        format!("{} and {} cutouts, {} pairs show the same\n", first.len(), second.len(), report.pairs.len());
    for (reason, _, words) in REASONS {
        let count = report.count(reason);
        if count > 0 {
            text.push_str(&format!("  {count} {words}\n"));
        }
    }
    for pair in report.pairs.iter().take(NAMED) {
        let why: Vec<&str> = REASONS.iter().filter(|r| pair.reasons.contains(&r.0)).map(|r| r.1).collect();
        let apart = pair.separation_arcsec.map_or(String::new(), |apart| format!(", {apart:.1}\" apart"));
        text.push_str(&format!(
            "    {} and {}: {}{apart}\n",
            first[pair.first].id,
            second[pair.second].id,
            why.join(", ")
        ));
    }
    if report.pairs.len() > NAMED {
        text.push_str(&format!("    … and {} more (--json names all)\n", report.pairs.len() - NAMED));
    }
    text
}

fn as_json(report: &LeakReport, first: &[GuardEntry], second: &[GuardEntry]) -> Result<String> {
    let pairs = report.pairs.iter().map(|pair| {
        let why: Vec<&str> = REASONS.iter().filter(|r| pair.reasons.contains(&r.0)).map(|r| r.1).collect();
        json!({
            "first": first[pair.first].id,
            "second": second[pair.second].id,
            "reasons": why,
            "separation_arcsec": pair.separation_arcsec,
            "bits": pair.looks.map(|looks| looks.0),
            "correlation": pair.looks.map(|looks| looks.1),
        })
    });
    let leaked: Vec<&str> = report.leaked().into_iter().map(|place| second[place].id.as_str()).collect();
    let value = json!({
        "first_cutouts": first.len(),
        "second_cutouts": second.len(),
        "leaked": leaked,
        "pairs": pairs.collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}
