//! Pieces of work that are done once: each is known by the SHA-256 of its settings and kept as one JSON file.
//!
//! A killed experiment continues with the first unit that has no file, and ends with the same JSON. Predictions are kept
//! whole, so that any two methods can be compared on the same objects later.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::interrupt::{self, Interrupted};
use crate::progress::duration;
use crate::run_config::hexadecimal;

/// Changes when results of equal settings would differ from those of earlier versions.
const FORMAT: u32 = 1;

/// SHA-256 of settings as JSON, in hexadecimal.
///
/// # Errors
/// If the settings have no JSON form.
pub fn key_of(settings: &impl Serialize) -> Result<String> {
    Ok(hexadecimal(&Sha256::digest(serde_json::to_vec(&serde_json::to_value(settings)?)?)))
}

/// What a unit's file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: u32,
    settings: Value,
    result: Value,
}

/// The units of an experiment: where they are kept, how many are planned, how long they took.
pub struct Ledger {
    folder: PathBuf,
    planned: BTreeMap<&'static str, usize>,
    done: BTreeMap<&'static str, usize>,
    /// Units made by this process, and their seconds.
    made: BTreeMap<&'static str, (usize, f64)>,
    start: Instant,
    stop_after: Option<usize>,
}

impl Ledger {
    /// Units below `folder/units`.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.join("units"),
            planned: BTreeMap::new(),
            done: BTreeMap::new(),
            made: BTreeMap::new(),
            start: Instant::now(),
            stop_after: None,
        }
    }

    /// Stops, as Ctrl-C would, once so many units were made.
    pub fn stop_after(&mut self, made: Option<usize>) {
        self.stop_after = made;
    }

    /// Announces so many units of a kind.
    pub fn plan(&mut self, kind: &'static str, units: usize) {
        *self.planned.entry(kind).or_default() += units;
    }

    /// The result of a unit, from its file or made now.
    ///
    /// # Errors
    /// As `make`, [`Ledger::find`], [`Ledger::begin`] and [`Ledger::keep`].
    pub fn unit<T: Serialize + DeserializeOwned>(
        &mut self,
        kind: &'static str,
        settings: &impl Serialize,
        words: &str,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if let Some(result) = self.find(kind, settings)? {
            return Ok(result);
        }
        let start = self.begin()?;
        self.keep(kind, settings, words, start, &make()?)
    }

    /// The result of a unit that is there.
    ///
    /// # Errors
    /// If its file cannot be read or is damaged.
    pub fn find<T: DeserializeOwned>(&mut self, kind: &'static str, settings: &impl Serialize) -> Result<Option<T>> {
        let settings = serde_json::to_value(settings)?;
        let found = read(&self.path(kind, &settings)?, &settings)?;
        if found.is_some() {
            *self.done.entry(kind).or_default() += 1;
        }
        Ok(found)
    }

    /// The moment at which the work on a unit begins.
    ///
    /// # Errors
    /// [`Interrupted`], if the user asked to stop.
    pub fn begin(&self) -> Result<Instant> {
        let made: usize = self.made.values().map(|(made, _)| made).sum();
        if interrupt::requested() || self.stop_after.is_some_and(|most| made >= most) {
            bail!(Interrupted);
        }
        Ok(Instant::now())
    }

    /// Writes the result of a unit, says so, and gives what was written: a continued experiment sees the same numbers as an
    /// undisturbed one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn keep<T: Serialize + DeserializeOwned>(
        &mut self,
        kind: &'static str,
        settings: &impl Serialize,
        words: &str,
        start: Instant,
        result: &T,
    ) -> Result<T> {
        let settings = serde_json::to_value(settings)?;
        let path = self.path(kind, &settings)?;
        let kept = Kept { format: FORMAT, settings: settings.clone(), result: serde_json::to_value(result)? };
        write_text(&path, &serde_json::to_string(&kept)?)?;
        let seconds = start.elapsed().as_secs_f64();
        let (made, spent) = self.made.entry(kind).or_default();
        (*made, *spent) = (*made + 1, *spent + seconds);
        *self.done.entry(kind).or_default() += 1;
        eprintln!("  {}  {words}  {}{}", self.place(), duration(seconds), self.left());
        read(&path, &settings)?.with_context(|| format!("{} is gone", path.display()))
    }

    fn path(&self, kind: &str, settings: &Value) -> Result<PathBuf> {
        Ok(self.folder.join(kind).join(format!("{}.json", key_of(settings)?)))
    }

    /// `12/87`.
    fn place(&self) -> String {
        let (done, planned): (usize, usize) = (self.done.values().sum(), self.planned.values().sum());
        format!("{done}/{}", planned.max(done))
    }

    /// The time left, from the mean time of each kind so far; nothing where a kind that is left was never made.
    fn left(&self) -> String {
        let mut seconds = 0.0;
        let mut unknown = false;
        for (kind, planned) in &self.planned {
            let left = planned.saturating_sub(self.done.get(kind).copied().unwrap_or(0));
            match self.made.get(kind) {
                _ if left == 0 => {}
                Some((made, spent)) if *made > 0 => seconds += left as f64 * spent / *made as f64,
                _ => unknown = true,
            }
        }
        match (seconds > 0.0, unknown) {
            (true, false) => format!(", about {} left", duration(seconds)),
            (true, true) => format!(", more than {} left", duration(seconds)),
            _ => String::new(),
        }
    }

    /// How many units there were, how many of them were made now, and in what time.
    pub fn summary(&self) -> String {
        let kinds = self.done.iter().map(|(kind, done)| {
            let (made, spent) = self.made.get(kind).copied().unwrap_or_default();
            format!("{done} {kind} ({made} made now, {})", duration(spent))
        });
        let kinds: Vec<String> = kinds.collect();
        format!("{}; {} in all", kinds.join(", "), duration(self.start.elapsed().as_secs_f64()))
    }
}

fn read<T: DeserializeOwned>(path: &Path, settings: &Value) -> Result<Option<T>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let damaged =
        || format!("{}: expected a unit of this experiment; remove the file, and it is made anew", path.display());
    let kept: Kept = serde_json::from_str(&text).with_context(damaged)?;
    if kept.format != FORMAT {
        return Ok(None);
    }
    if kept.settings != *settings {
        bail!(damaged());
    }
    serde_json::from_value(kept.result).with_context(damaged).map(Some)
}

/// Writes a text file whole or not at all; its folder is made if it does not exist.
///
/// # Errors
/// With the path, if it cannot be written.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    atomic_file::write_atomically(path, |file| std::io::Write::write_all(file, text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_made_once_and_known_by_its_settings() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::new(folder.path());
        ledger.plan("probe", 2);
        let value = 0.1_f64 + 0.2;
        let made = ledger.unit("probe", &("a", 1), "first", || Ok(vec![value])).unwrap();
        assert_eq!(made, [value]);
        let again: Vec<f64> = ledger.unit("probe", &("a", 1), "again", || bail!("made twice")).unwrap();
        assert_eq!(again, [value], "from the file, to the bit");
        let other: Result<Vec<f64>> = ledger.unit("probe", &("a", 2), "other", || bail!("made"));
        assert_eq!(other.unwrap_err().to_string(), "made");
        assert!(ledger.summary().starts_with("2 probe (1 made now"), "{}", ledger.summary());
    }

    #[test]
    fn damaged_and_foreign_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::new(folder.path());
        let one: u32 = ledger.unit("probe", &1, "", || Ok(1)).unwrap();
        let path = folder.path().join("units/probe").join(format!("{}.json", key_of(&1).unwrap()));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(one, 1);
        for broken in [text[..text.len() / 2].to_owned(), text.replace("\"settings\":1", "\"settings\":2")] {
            std::fs::write(&path, broken).unwrap();
            let refused = ledger.unit("probe", &1, "", || Ok(1_u32)).unwrap_err().to_string();
            assert!(refused.contains(".json") && refused.contains("remove"), "{refused}");
        }
    }

    #[test]
    fn it_stops_between_units_and_loses_none() {
        let folder = tempfile::tempdir().unwrap();
        let run = |most| {
            let mut ledger = Ledger::new(folder.path());
            ledger.stop_after(most);
            (0..4).map(|n| ledger.unit("probe", &n, "", || Ok(n * n))).collect::<Result<Vec<i32>>>()
        };
        assert!(run(Some(2)).unwrap_err().is::<Interrupted>());
        assert_eq!(std::fs::read_dir(folder.path().join("units/probe")).unwrap().count(), 2);
        assert_eq!(run(Some(2)).unwrap(), [0, 1, 4, 9], "two are there, two are made");
    }
}
