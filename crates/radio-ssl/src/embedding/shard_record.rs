//! The record beside the shards: of which run they are, and which are finished, each with the SHA-256 of its files.
//!
//! `features.parquet.embed.json` stands beside the shards of `features.parquet`. A shard counts as finished when it is in the record and its
//! files are what the record says. Files that the record does not know belong to somebody else and are left alone.
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Origin;
use crate::feature_files::{FeatureFormat, shard_path};
use crate::run_config::sha256_of;

/// Why shards cannot be continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// The shards are of a run with another encoder, other frames or other settings.
    #[error("{record}: the shards there are of another run: {what}: expected {expected}, found {found}; choose another --out, or remove that file and its shards",
        record = record.display())]
    OtherRun {
        /// The record of the shards there.
        record: PathBuf,
        /// In what the runs differ.
        what: &'static str,
        /// What this run has.
        expected: String,
        /// What the record has.
        found: String,
    },
    /// A shard is not what this run wrote.
    #[error("{shard}: not what this run wrote: expected SHA-256 {expected}, found {found}; remove it to have it made again, or choose another --out",
        shard = shard.display())]
    Changed {
        /// The shard.
        shard: PathBuf,
        /// As recorded.
        expected: String,
        /// As it is.
        found: String,
    },
    /// There is a shard that this run did not write.
    #[error("{shard}: a file of this name is there, and {record} does not say that this run wrote it; remove it, or choose another --out",
        shard = shard.display(), record = record.display())]
    Foreign {
        /// The file.
        shard: PathBuf,
        /// The record, which may not be there either.
        record: PathBuf,
    },
}

/// The record of a run, on disk and here.
pub(super) struct ShardRecord {
    path: PathBuf,
    out: PathBuf,
    text: RecordText,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordText {
    origin: Origin,
    format: String,
    rows: usize,
    shard_rows: usize,
    /// Finished shards: names of their files, and the SHA-256 of each.
    finished: BTreeMap<usize, BTreeMap<String, String>>,
}

impl ShardRecord {
    /// Opens the record of a run, or begins one.
    ///
    /// # Errors
    /// [`EmbedError::OtherRun`]; [`EmbedError::Foreign`] if shards are there without a record; if it cannot be read or written.
    pub(super) fn open(
        out: &Path,
        origin: &Origin,
        format: FeatureFormat,
        rows: usize,
        shard_rows: usize,
    ) -> Result<Self> {
        let text = RecordText {
            origin: origin.clone(),
            format: format!("{format:?}").to_lowercase(),
            rows,
            shard_rows,
            finished: BTreeMap::new(),
        };
        let mut path = out.as_os_str().to_owned();
        path.push(".embed.json");
        let mut record = Self { path: path.into(), out: out.to_path_buf(), text };
        if record.path.exists() {
            record.take_up()?;
            return Ok(record);
        }
        if let Some(shard) = (0..record.shards()).map(|shard| record.shard(shard)).find(|shard| shard.exists()) {
            return Err(EmbedError::Foreign { shard, record: record.path }.into());
        }
        record.write()?;
        Ok(record)
    }

    /// Reads what is on disk, and takes over what is finished if it is of this run.
    fn take_up(&mut self) -> Result<()> {
        let path = &self.path;
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let found: RecordText =
            serde_json::from_str(&text).with_context(|| format!("{}: no record of shards", path.display()))?;
        let (here, there) = (&self.text, &found);
        let differs = |what, expected: &dyn ToString, found: &dyn ToString| {
            let (expected, found) = (expected.to_string(), found.to_string());
            Err(EmbedError::OtherRun { record: path.clone(), what, expected, found }.into())
        };
        if let Some((what, here, there)) = here.origin.difference(&there.origin) {
            return differs(what, &here, &there);
        }
        if here.format != there.format {
            return differs("the format", &here.format, &there.format);
        }
        if here.rows != there.rows {
            return differs("the number of frames", &here.rows, &there.rows);
        }
        if here.shard_rows != there.shard_rows {
            return differs("--shard-rows", &here.shard_rows, &there.shard_rows);
        }
        self.text = found;
        Ok(())
    }

    /// Number of shards of the run.
    pub(super) fn shards(&self) -> usize {
        self.text.rows.div_ceil(self.text.shard_rows)
    }

    /// Shards still to be made, in order.
    ///
    /// # Errors
    /// [`EmbedError::Changed`] and [`EmbedError::Foreign`] for files that are not of this run.
    pub(super) fn missing(&self) -> Result<Vec<usize>> {
        let mut missing = Vec::new();
        // A run that was killed between a shard and its entry leaves one shard unrecorded, the first. It is made again.
        let may_be_ours = (0..self.shards()).find(|shard| !self.text.finished.contains_key(shard));
        for shard in 0..self.shards() {
            let Some(files) = self.text.finished.get(&shard) else {
                let path = self.shard(shard);
                if Some(shard) != may_be_ours && path.exists() {
                    return Err(EmbedError::Foreign { shard: path, record: self.path.clone() }.into());
                }
                missing.push(shard);
                continue;
            };
            let mut gone = false;
            for (name, expected) in files {
                let path = self.out.with_file_name(name);
                if !path.exists() {
                    gone = true;
                    continue;
                }
                let found = sha256_of(&path)?;
                if found != *expected {
                    return Err(EmbedError::Changed { shard: path, expected: expected.clone(), found }.into());
                }
            }
            if gone {
                missing.push(shard);
            }
        }
        Ok(missing)
    }

    /// Enters a finished shard with its files.
    pub(super) fn add(&mut self, shard: usize, files: &[PathBuf]) -> Result<()> {
        let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let files = files.iter().map(|file| Ok((name(file), sha256_of(file)?))).collect::<Result<_>>()?;
        self.text.finished.insert(shard, files);
        self.write()
    }

    fn shard(&self, shard: usize) -> PathBuf {
        shard_path(&self.out, shard, self.shards())
    }

    fn write(&self) -> Result<()> {
        let mut text = serde_json::to_string_pretty(&self.text)?;
        text.push('\n');
        atomic_file::write_atomically(&self.path, |file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}
