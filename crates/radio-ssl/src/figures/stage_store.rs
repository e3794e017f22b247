//! Finished stages on disk, each in a folder that bears the SHA-256 of everything it depends on.
//!
//! Keys and files are made as those of a unit of work ([`crate::experiments::unit`]), which is one JSON file. A stage leaves more: a
//! sky, a manifest, a training to resume. So it has a folder, and no ledger counts what is left.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::experiments::unit::{key_of, write_text};

/// Digits of the key in a folder's name.
const SHOWN: usize = 12;

/// The folder of all stages.
#[derive(Debug, Clone)]
pub struct StageStore(PathBuf);

/// The place of one stage.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its folder, which exists.
    pub folder: PathBuf,
    /// SHA-256 of its settings: what later stages name it by.
    pub key: String,
}

impl StageStore {
    /// Stages in this folder.
    pub fn new(folder: &Path) -> Self {
        Self(folder.to_path_buf())
    }

    /// The folder of the stage `name` with these settings, made if it does not exist, with the settings in it as JSON. Settings
    /// name the keys of the stages before.
    ///
    /// # Errors
    /// If the folder cannot be made or written.
    pub fn place(&self, name: &str, settings: &impl Serialize) -> Result<Place> {
        let record = serde_json::json!({
            "stage": name,
            "version": env!("CARGO_PKG_VERSION"),
            "settings": serde_json::to_value(settings)?,
        });
        let key = key_of(&record)?;
        let folder = self.0.join(format!("{name}-{}", &key[..SHOWN]));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = folder.join("settings.json");
        if !file.exists() {
            write_text(&file, &serde_json::to_string_pretty(&record)?)?;
        }
        Ok(Place { folder, key })
    }

    /// The result of a stage, from its file or made now. A file that cannot be read is made again.
    ///
    /// # Errors
    /// As `make`; if the result cannot be written.
    pub fn result<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        settings: &impl Serialize,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let file = self.place(name, settings)?.folder.join("result.json");
        let found = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(found) = found {
            return Ok(found);
        }
        let made = make()?;
        write_text(&file, &serde_json::to_string(&made)?)?;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_made_once_for_each_of_its_settings() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let store = StageStore::new(folder.path());
        let mut made = 0;
        let mut take = |settings: &str| {
            store.result("probe", &settings, || {
                made += 1;
                Ok(vec![made as f64 * 0.1])
            })
        };
        let (first, again, other) = (take("a")?, take("a")?, take("b")?);
        assert_eq!((first.as_slice(), again.as_slice(), other.as_slice()), (&[0.1][..], &[0.1][..], &[0.2][..]));
        let place = store.place("probe", &"a")?;
        assert_eq!(place.key.len(), 64);
        let record = serde_json::json!({ "stage": "probe", "version": env!("CARGO_PKG_VERSION"), "settings": "a" });
        assert_eq!(place.key, key_of(&record)?, "the key is that of a unit with these settings");
        assert_ne!(place.key, store.place("probe", &"b")?.key);
        assert_ne!(place.key, store.place("sky", &"a")?.key, "the name of the stage is part of its key");
        std::fs::write(place.folder.join("result.json"), "[0.1")?;
        assert_eq!(store.result("probe", &"a", || Ok(vec![7.0]))?, [7.0], "a broken file is made again");
        assert!(store.result::<u8>("fails", &1, || anyhow::bail!("no")).is_err());
        assert_eq!(store.result("fails", &1, || Ok(3u8))?, 3, "a failure leaves nothing");
        Ok(())
    }
}
