//! `radio-ssl embed`: the features of every frame, in one file or in shards.
//!
//! With `--shard-rows` no more than one shard is in memory, and a run that was killed goes on at the first shard that is not
//! there. A frame's features do not depend on the frames beside it, so shards of any size hold the same bits.
mod frame_rows;
mod origin;
mod shard_record;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use radio_augment::Preparation;
use radio_io::FeatureTable;
use ssl_simclr::Encoder;

use crate::compute::{ComputeOptions, use_compute};
use crate::dataset::PartName;
use crate::feature_files::{FeatureFormat, shard_path};
use crate::frame_check::check_text;
use crate::frames::NamedFrames;
use crate::manifest_frames::open_frames;
use crate::progress::{Stage, duration, peak_memory};
use crate::stages::{self, feature_table};
use frame_rows::FrameRows;
use origin::Origin;
use shard_record::ShardRecord;

pub use shard_record::EmbedError;

/// Examples under `radio-ssl embed --help`.
pub const EMBED_EXAMPLES: &str = "Examples:\n  \
    radio-ssl embed sky/survey.toml --checkpoint run/checkpoint.safetensors --out features.parquet\n  \
    radio-ssl embed parted.parquet --part test --checkpoint run/checkpoint.safetensors --out test.npy\n  \
    radio-ssl embed survey.toml --checkpoint run/checkpoint.safetensors --shard-rows 100000 --out features.parquet\n\n\
    NPY holds the features for NumPy; names, places and noise stand in `.ids.csv` beside it. `.dat` and `.txt` are the text layout of the\n\
    paper's tools. Shards are called features-00000-of-00007.parquet and so on; every verb that reads features takes them as features.parquet.\n\
    Beside them features.parquet.embed.json says of which run they are: the same command continues it, any other is refused.";

/// Options of `embed`.
#[derive(Debug, Clone, clap::Args)]
pub struct EmbedOptions {
    /// The survey file, or a manifest (`.parquet`).
    pub survey: PathBuf,
    /// Only this part of a manifest [default: all of it].
    #[arg(long, value_enum)]
    pub part: Option<PartName>,
    /// The encoder.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: PathBuf,
    /// Feature table: `.parquet`, `.npy`, `.csv`, or `.dat` and `.txt` for the paper's tools.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How it is written [default: as the ending of --out says].
    #[arg(long, value_enum)]
    pub format: Option<FeatureFormat>,
    /// Frames in a file; as many files as that takes. A run that was stopped continues at the first missing one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub shard_rows: Option<u32>,
    /// Show whole frames, shrunk, to an encoder that was trained on the middle of pictures at their own resolution.
    #[arg(long)]
    pub whole: bool,
    /// Threads and device.
    #[command(flatten)]
    pub compute: ComputeOptions,
}

/// Embeds the frames, writes the files, and returns what to print.
///
/// # Errors
/// If a file cannot be read or written, the shards there are of another run ([`EmbedError`]), or the user interrupts.
pub fn embed(options: &EmbedOptions) -> Result<String> {
    use_compute(&options.compute)?;
    let format = options.format.map_or_else(|| FeatureFormat::of_name(&options.out), Ok)?;
    let encoder = Encoder::read(&options.checkpoint)?;
    let encoder = if options.whole { encoder.of_whole_cutouts() } else { encoder };
    if let Preparation::Recipe(recipe) = encoder.recipe()
        && let Some(side) = recipe.frame_side()
    {
        eprintln!(
            "the encoder sees the middle {0} x {0} pixels of larger frames (stretched with the middle {side}); --whole shows it all of them, shrunk",
            recipe.size
        );
    }
    let (frames, record) = open_frames(&options.survey, options.part.map(Into::into), encoder.recipe())?;
    eprint!("{}", check_text(frames.checks()));
    let origin = Origin::of(&options.checkpoint, options.whole, &options.survey, frames.as_ref(), &record)?;
    let work = Work { frames, encoder, origin, format, start: Instant::now() };
    match options.shard_rows {
        None => work.whole(&options.out),
        Some(rows) => work.shards(&options.out, rows as usize),
    }
}

/// What is embedded, with what, and how it is written.
struct Work {
    frames: Arc<dyn NamedFrames>,
    encoder: Encoder,
    origin: Origin,
    format: FeatureFormat,
    start: Instant,
}

impl Work {
    fn whole(&self, out: &Path) -> Result<String> {
        let total = self.frames.len();
        let mut stage = Stage::start("embedding");
        let table = self.table(0..total, |done| stage.at(done as u64, total as u64, "frames"))?;
        let files = self.format.write(&table, out)?;
        stage.end(&self.summary(total));
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        Ok(format!("{total} frames, {} features: {}\n", self.encoder.features(), files.join(", ")))
    }

    fn shards(&self, out: &Path, shard_rows: usize) -> Result<String> {
        let rows = self.frames.len();
        let mut record = ShardRecord::open(out, &self.origin, self.format, rows, shard_rows)?;
        let missing = record.missing()?;
        let total = record.shards();
        let there = total - missing.len();
        let rows_of = |shard: usize| shard * shard_rows..rows.min((shard + 1) * shard_rows);
        let left: usize = missing.iter().map(|&shard| rows_of(shard).len()).sum();
        let mut stage = Stage::start("embedding");
        if there > 0 {
            eprintln!("  {there} of {total} shards are there, {left} of {rows} frames are left");
        }
        let mut done = 0;
        for &shard in &missing {
            let note = format!("shard {} of {total}", shard + 1);
            let table = self.table(rows_of(shard), |now| stage.at((done + now) as u64, left as u64, &note))?;
            let files = self.format.write(&table, &shard_path(out, shard, total))?;
            record.add(shard, &files)?;
            done += table.len();
        }
        stage.end(&self.summary(left));
        let (first, last) = (shard_path(out, 0, total), shard_path(out, total - 1, total));
        let features = self.encoder.features();
        let written = if there > 0 { format!(", {there} of them found") } else { String::new() };
        Ok(format!(
            "{rows} frames, {features} features in {total} shards{written}: {} to {}\n",
            first.display(),
            last.display()
        ))
    }

    fn table(&self, rows: std::ops::Range<usize>, progress: impl FnMut(usize)) -> Result<FeatureTable> {
        let rows = FrameRows::new(self.frames.clone(), rows);
        let mut table = feature_table(Arc::new(rows), &self.encoder, progress)?;
        table.metadata.insert(stages::ENCODER_KEY.into(), self.origin.encoder.clone());
        table.metadata.insert("frames".into(), self.origin.frames.clone());
        Ok(table)
    }

    /// Speed and memory, in words.
    fn summary(&self, embedded: usize) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        let memory = peak_memory().map_or(String::new(), |bytes| format!(", at most {} MB", bytes / 1_000_000));
        let each = seconds / embedded.max(1) as f64;
        let speed =
            if each > 1.0 { format!("{} a frame", duration(each)) } else { format!("{:.0} frames/s", 1.0 / each) };
        format!("{embedded} frames, {speed}{memory}")
    }
}
