//! `dataset split`: parts that do not see each other's sky.
use std::path::PathBuf;

use anyhow::{Result, ensure};
use radio_io::Manifest;
use radio_io::data_set::{Part, SkySplit, sky_folds, split_by_sky};

use super::summary::{part_counts, summary};
use super::{read, write};

pub(super) const EXAMPLES: &str = "Examples:\n  \
    radio-ssl dataset split frames.parquet --out parted.parquet\n  \
    radio-ssl dataset split frames.parquet --fractions 0.8,0,0.2 --block 0.5 --seed 3 --out parted.parquet\n  \
    radio-ssl dataset split frames.parquet --folds 5 --test-fold 0 --out fold0.parquet\n\n\
    Blocks of sky are dealt to the parts, not cutouts. Cutouts at a border between two parts, which both would see, become part\n\
    `border` and are used for none; groups of overlapping cutouts no larger than a block are kept whole.";

/// Options of `dataset split`.
#[derive(Debug, Clone, clap::Args)]
pub struct SplitOptions {
    /// The manifest.
    manifest: PathBuf,
    /// Shares of the cutouts for training, validation and test.
    #[arg(long, value_name = "TRAIN,VALID,TEST", value_delimiter = ',', default_value = "0.7,0.15,0.15")]
    fractions: Vec<f64>,
    /// Side of a block of sky, degrees [default: four sides of the largest cutout].
    #[arg(long, value_name = "DEG")]
    block: Option<f64>,
    /// Cutouts whose centres are at most so far apart never end in two parts, arc seconds; those that overlap never do.
    #[arg(long, value_name = "ARCSEC", default_value_t = 0.0)]
    guard: f64,
    /// Divide into this many folds of equal size, in place of the fractions.
    #[arg(long, value_name = "K", conflicts_with = "fractions", requires = "test_fold")]
    folds: Option<u32>,
    /// The fold that is the test set, from 0; the others are for training.
    #[arg(long, value_name = "N", requires = "folds")]
    test_fold: Option<u32>,
    /// Chooses which blocks go where.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The divided manifest (`.parquet`).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Divides, writes, and returns the summary.
///
/// # Errors
/// If the manifest cannot be read or written, an option is out of range, or a part that was asked for gets no cutout.
pub(super) fn split(options: &SplitOptions) -> Result<String> {
    let manifest = read(&options.manifest)?;
    let (guard, seed) = (options.guard, options.seed);
    let block = options.block.unwrap_or_else(|| four_sides_deg(&manifest));
    let how = format!("blocks of {block:.4} degrees, guard {guard} arcsec, seed {seed}");
    let (parts, step, wanted) = match (options.folds, options.test_fold) {
        (Some(folds), Some(test)) => {
            ensure!(test < folds, "--test-fold is {test}, expected less than --folds, which is {folds}");
            let parts = sky_folds(&manifest, folds, block, guard, seed)?.parts(test);
            (parts, format!("split by sky: fold {test} of {folds} for test, {how}"), vec![Part::Train, Part::Test])
        }
        _ => {
            let found = options.fractions.len();
            let shares: [f64; 3] = options.fractions.as_slice().try_into().map_err(|_| {
                anyhow::anyhow!("--fractions has {found} numbers, expected 3: training, validation, test")
            })?;
            let parts = split_by_sky(&manifest, &SkySplit { shares, block_deg: block, guard_arcsec: guard, seed })?;
            let all = [Part::Train, Part::Valid, Part::Test].into_iter().zip(shares);
            let wanted = all.filter(|(_, share)| *share > 0.0).map(|(part, _)| part).collect();
            (parts, format!("split by sky: fractions {shares:?}, {how}"), wanted)
        }
    };
    let parted = manifest.with_parts(&parts, &step)?;
    let counts = part_counts(&parted);
    for part in wanted {
        ensure!(
            counts.iter().any(|(name, _)| *name == part.text()),
            "no cutout is left for part {} with blocks of {block:.4} degrees ({}): try a smaller --block or another --seed",
            part.text(),
            counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
        );
    }
    write(&parted, &options.out)?;
    Ok(format!("{step}\n{}", summary(&parted, &options.out)))
}

/// Four sides of the largest cutout, from 0.02 degrees; a degree where no mosaic has a pixel size.
fn four_sides_deg(manifest: &Manifest) -> f64 {
    let side = |row: &radio_io::data_set::ManifestRow| {
        let arcsec = manifest.mosaics.get(row.mosaic as usize)?.pixel_arcsec?;
        Some(f64::from(row.window.n_rows.max(row.window.n_cols)) * arcsec / 3600.0)
    };
    let widest = manifest.rows.iter().filter_map(side).fold(0.0, f64::max);
    if widest > 0.0 { (4.0 * widest).clamp(0.02, 90.0) } else { 1.0 }
}
