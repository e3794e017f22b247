//! A forest as a JSON file: readable by anything, written atomically, checked on load.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::ForestError;
use crate::forest::IsolationForest;
use crate::tree::TreeArrays;

/// Name and version of the file format.
const FORMAT: &str = "isolation-forest/1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForestFile {
    format: String,
    n_features: usize,
    samples_per_tree: usize,
    offset: f64,
    trees: Vec<TreeArrays>,
}

impl IsolationForest {
    /// Write the forest as JSON. A reader sees the old file or the whole new one, never a part.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ForestError> {
        let io = |source| ForestError::Io { path: path.to_path_buf(), source };
        let content = ForestFile {
            format: FORMAT.into(),
            n_features: self.n_features,
            samples_per_tree: self.samples_per_tree,
            offset: self.offset,
            trees: self.to_trees(),
        };
        atomic_file::write_atomically(path, |file| Ok(serde_json::to_writer(file, &content)?)).map_err(io)
    }

    /// Read a forest written by [`Self::save`]; its scores are the same to the last bit.
    ///
    /// # Errors
    /// If the file cannot be read, is no saved forest, or holds a tree that is none (see [`Self::from_trees`]).
    pub fn load(path: &Path) -> Result<Self, ForestError> {
        let text = std::fs::read(path).map_err(|source| ForestError::Io { path: path.to_path_buf(), source })?;
        let file: ForestFile =
            serde_json::from_slice(&text).map_err(|source| ForestError::Format { path: path.to_path_buf(), source })?;
        if file.format != FORMAT {
            return Err(ForestError::WrongFormat { path: path.to_path_buf(), expected: FORMAT, found: file.format });
        }
        Self::from_trees(&file.trees, file.n_features, file.samples_per_tree, file.offset)
            .map_err(|source| ForestError::InvalidFile { path: path.to_path_buf(), source: Box::new(source) })
    }
}
