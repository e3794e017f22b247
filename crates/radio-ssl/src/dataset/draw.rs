//! `dataset draw`: a balanced subset of a manifest.
use std::path::PathBuf;

use anyhow::Result;
use radio_io::data_set::{Curation, curate, draw_classes};

use super::summary::{aligned, summary};
use super::{PartName, of_part, read, write};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    radio-ssl dataset draw frames.parquet --count 2000 --out drawn.parquet\n  \
    radio-ssl dataset draw frames.parquet --count 2000 --quantiles 0.5,0.9,0.99 --shares 1,1,1,1 --out drawn.parquet\n  \
    radio-ssl dataset draw parted.parquet --part train --by label --count 600 --out balanced.parquet\n\n\
    By complexity: cutouts are put into bins by the quantiles of their complexity, and each bin gives its share. Complexity grows\n\
    with noise and artefacts too: what is drawn is unusual, not yet interesting. By label: equally many of each class; a cutout of\n\
    several labels counts for the rarest. Bins and classes that are too small give all they have, and nothing is drawn twice.";

/// What a draw is balanced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Balance {
    /// Ordinary and complex cutouts, without labels.
    Complexity,
    /// Classes.
    Label,
}

/// Options of `dataset draw`.
#[derive(Debug, Clone, clap::Args)]
pub struct DrawOptions {
    /// The manifest.
    manifest: PathBuf,
    /// How many cutouts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// What the draw is balanced by.
    #[arg(long, value_enum, default_value_t = Balance::Complexity)]
    by: Balance,
    /// Quantiles of complexity between the bins.
    #[arg(long, value_name = "Q,…", value_delimiter = ',', default_value = "0.5,0.9")]
    quantiles: Vec<f64>,
    /// Share of each bin, one more than there are quantiles [default: equal].
    #[arg(long, value_name = "S,…", value_delimiter = ',')]
    shares: Option<Vec<f64>>,
    /// Only from this part of a split.
    #[arg(long, value_enum)]
    part: Option<PartName>,
    /// Chooses which cutouts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The manifest of what was drawn (`.parquet`).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Draws, writes, and returns the summary.
///
/// # Errors
/// If the manifest cannot be read or written, has no labels or no complexity, or an option is out of range.
pub(super) fn draw(options: &DrawOptions) -> Result<String> {
    let manifest = of_part(&read(&options.manifest)?, options.part.map(Into::into))?;
    let count = usize::try_from(options.count)?;
    let words = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let (drawn, mut lines) = match options.by {
        Balance::Complexity => {
            let quantiles = options.quantiles.clone();
            let shares = options.shares.clone().unwrap_or_else(|| vec![1.0; quantiles.len() + 1]);
            let draw = curate(&manifest, &Curation { quantiles, shares, count, seed: options.seed })?;
            let mut lines = vec![words(&["complexity", "found", "wanted", "drawn"])];
            lines.extend(draw.bins.iter().map(|bin| {
                let (from, to) = bin.complexity;
                let range = format!("{from:.0} to {to:.0}");
                vec![range, bin.found.to_string(), bin.wanted.to_string(), bin.drawn.to_string()]
            }));
            (draw.manifest, lines)
        }
        Balance::Label => {
            let draw = draw_classes(&manifest, count, options.seed)?;
            let mut lines = vec![words(&["class", "found", "wanted", "drawn"])];
            lines.extend(draw.classes.iter().map(|class| {
                vec![class.label.clone(), class.found.to_string(), class.wanted.to_string(), class.drawn.to_string()]
            }));
            if draw.unlabelled > 0 {
                lines.push(words(&["(no label)", &draw.unlabelled.to_string(), "0", "0"]));
            }
            (draw.manifest, lines)
        }
    };
    lines.push(words(&["all", &manifest.len().to_string(), &count.to_string(), &drawn.len().to_string()]));
    write(&drawn, &options.out)?;
    Ok(format!("{}{}", aligned(&lines), summary(&drawn, &options.out)))
}
