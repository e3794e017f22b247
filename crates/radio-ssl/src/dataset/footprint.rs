//! `dataset footprint`: which sky a data set covers.
use std::path::PathBuf;

use anyhow::{Result, ensure};
use radio_io::celestial::coverage::Coverage;

use super::{PartName, of_part, read};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    radio-ssl dataset footprint frames.parquet --out moc.fits\n  \
    radio-ssl dataset footprint parted.parquet --part test --order 12 --out test.json\n\n\
    A cell of the order belongs to the footprint if its centre lies on a cutout, blank pixels included. Cells of order 8 are 14' wide, of\n\
    order 10 3.4', of order 12 52\". FITS and JSON open in Aladin and mocpy; any other ending gives the ASCII form.";

/// The whole sky, square degrees.
const SKY_DEG2: f64 = 41_252.961_249_419_27;

/// Options of `dataset footprint`.
#[derive(Debug, Clone, clap::Args)]
pub struct FootprintOptions {
    /// The manifest.
    manifest: PathBuf,
    /// Order of the HEALPix cells.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=18))]
    order: u8,
    /// Only this part of a split.
    #[arg(long, value_enum)]
    part: Option<PartName>,
    /// The MOC: `.fits`, `.json`, or text.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Writes the MOC and returns what it covers.
///
/// # Errors
/// If the manifest cannot be read, no cutout has a place on the sky, the order makes too many cells, or the file cannot be
/// written.
pub(super) fn footprint(options: &FootprintOptions) -> Result<String> {
    let manifest = of_part(&read(&options.manifest)?, options.part.map(Into::into))?;
    let (coverage, without) = Coverage::of_manifest(&manifest, options.order)?;
    ensure!(
        !coverage.is_empty(),
        "{}: none of {} cutouts has a place on the sky, so there is no footprint",
        options.manifest.display(),
        manifest.len()
    );
    coverage.write(&options.out)?;
    let left = if without > 0 { format!(" ({without} more have no place on the sky)") } else { String::new() };
    let area = coverage.sky_fraction() * SKY_DEG2;
    Ok(format!(
        "{} cutouts{left} cover {area:.4} square degrees in cells of order {}: {}\n",
        manifest.len() - without,
        options.order,
        options.out.display()
    ))
}
