//! `radio-ssl dataset`: what is done with a manifest before anything is trained on it. Divide it by the sky, make sure that two
//! sets share nothing, draw a balanced subset, say which sky it covers. Each verb reads manifests, opens mosaics only to compare
//! pictures, and leaves a new file; the manifest's history says what was done.
mod draw;
mod footprint;
mod guard;
mod split;
mod summary;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use radio_io::Manifest;
use radio_io::data_set::Part;

pub use draw::DrawOptions;
pub use footprint::FootprintOptions;
pub use guard::GuardOptions;
pub use split::SplitOptions;

/// What to do with a manifest.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum DatasetVerb {
    /// Divide a manifest into training, validation and test by the sky, so that no part sees what another part sees.
    #[command(after_help = split::EXAMPLES)]
    Split(SplitOptions),
    /// Find what two manifests share: pixels, sky, nearby sources, and pictures that look alike.
    #[command(after_help = guard::EXAMPLES)]
    Guard(GuardOptions),
    /// Draw cutouts, balanced by complexity or by class.
    #[command(after_help = draw::EXAMPLES)]
    Draw(DrawOptions),
    /// Write which sky the cutouts cover, as a MOC for Aladin or mocpy.
    #[command(after_help = footprint::EXAMPLES)]
    Footprint(FootprintOptions),
}

/// Does it, and returns what to print.
///
/// # Errors
/// If a file cannot be read or written or an option does not fit; of `guard` also if the sets share something.
pub fn run(verb: &DatasetVerb, print: &mut dyn FnMut(&str)) -> Result<()> {
    match verb {
        DatasetVerb::Split(options) => print(&split::split(options)?),
        DatasetVerb::Guard(options) => guard::guard(options, print)?,
        DatasetVerb::Draw(options) => print(&draw::draw(options)?),
        DatasetVerb::Footprint(options) => print(&footprint::footprint(options)?),
    }
    Ok(())
}

/// A part of a split as an option names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PartName {
    /// To learn from.
    Train,
    /// To choose settings with.
    Valid,
    /// To judge with.
    Test,
}

impl From<PartName> for Part {
    fn from(name: PartName) -> Self {
        match name {
            PartName::Train => Self::Train,
            PartName::Valid => Self::Valid,
            PartName::Test => Self::Test,
        }
    }
}

/// The cutouts of one part; all of them without one.
///
/// # Errors
/// If no cutout is of that part; the message says which parts there are.
pub fn of_part(manifest: &Manifest, part: Option<Part>) -> Result<Manifest> {
    let Some(part) = part else { return Ok(manifest.clone()) };
    let rows: Vec<usize> = (0..manifest.len()).filter(|&row| manifest.rows[row].part == Some(part)).collect();
    let counts = summary::part_counts(manifest);
    let there = if counts.is_empty() {
        "the manifest is not divided: `radio-ssl dataset split` does that".to_owned()
    } else {
        format!("found {}", counts.iter().map(|(part, n)| format!("{part} {n}")).collect::<Vec<_>>().join(", "))
    };
    ensure!(!rows.is_empty(), "data set {}: no cutout of part {}; {there}", manifest.name, part.text());
    Ok(manifest.select(&rows, &format!("took part {}", part.text()))?)
}

fn read(path: &Path) -> Result<Manifest> {
    let manifest = Manifest::read(path)?;
    ensure!(!manifest.is_empty(), "{}: holds no cutout", path.display());
    Ok(manifest)
}

fn write(manifest: &Manifest, path: &Path) -> Result<()> {
    manifest.write(path).with_context(|| format!("--out {}", path.display()))
}
