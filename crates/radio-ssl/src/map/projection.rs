//! A map as the command makes, keeps and applies it: UMAP, after principal components if asked.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use map_umap::{Components, Pca, PcaConfig, Scaling, Umap, UmapConfig};
use ndarray::{Array2, ArrayView2};
use serde::Serialize;

/// A fitted map.
pub struct Projection {
    /// What comes first.
    pub components: Option<Pca>,
    /// The map.
    pub umap: Umap,
}

impl Projection {
    /// Fits the map. Scaling is of the features' columns: with components it is done before them.
    ///
    /// # Shapes
    /// - `features`: `[rows, columns]`; `classes`: one a row.
    /// # Errors
    /// If the rows are too few or all equal, a number is not finite, or as many components are asked for as there are columns.
    pub fn fit(
        features: ArrayView2<f32>,
        pca: Option<usize>,
        classes: Option<&[Option<u32>]>,
        config: &UmapConfig,
    ) -> Result<Self> {
        let Some(k) = pca else { return Ok(Self { components: None, umap: umap(features, classes, config)? }) };
        let columns = features.ncols();
        // A saved map knows by their number whether its rows are components.
        ensure!(k < columns, "--pca {k}: expected fewer components than the {columns} columns of the features");
        let pca = Pca::fit(features, &PcaConfig { components: Components::Count(k), scaling: config.scaling })?;
        let reduced = pca.transform(features)?;
        let umap = umap(reduced.view(), classes, &UmapConfig { scaling: Scaling::None, ..*config })?;
        Ok(Self { components: Some(pca), umap })
    }

    /// Places of new rows.
    ///
    /// # Errors
    /// If a number is not finite.
    pub fn transform(&self, features: ArrayView2<f32>) -> Result<Array2<f32>> {
        Ok(match &self.components {
            Some(pca) => self.umap.transform(pca.transform(features)?.view())?,
            None => self.umap.transform(features)?,
        })
    }

    /// Keeps the map, and components in a file beside it: `map.safetensors`, `map.pca.safetensors`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        if let Some(pca) = &self.components {
            pca.save(&beside(path))?;
        }
        Ok(self.umap.save(path)?)
    }

    /// Reads a map for features of so many columns.
    ///
    /// # Errors
    /// If a file is missing or no map, the map has other than two axes, or it was made of other columns.
    pub fn load(path: &Path, columns: usize) -> Result<Self> {
        let umap = Umap::load(path)?;
        let axes = umap.config.n_components;
        ensure!(axes == 2, "{}: expected a map of 2 axes, found {axes}", path.display());
        let width = umap.rows.ncols();
        if width == columns {
            return Ok(Self { components: None, umap });
        }
        let file = beside(path);
        let of_others = || {
            let path = path.display();
            format!(
                "{path}: expected {width} columns as in its fit, found {columns}, and no components that reduce them"
            )
        };
        let pca = Pca::load(&file).with_context(of_others)?;
        let (from, to) = (pca.mean.len(), pca.variances.len());
        ensure!(
            (from, to) == (columns, width),
            "{}: expected {width} components of {columns} columns, found {to} of {from}",
            file.display()
        );
        Ok(Self { components: Some(pca), umap })
    }

    /// Every number of the map as TOML, below the facts.
    ///
    /// # Errors
    /// None for the maps of this module.
    pub fn numbers(&self, facts: &[(String, String)]) -> Result<String> {
        #[derive(Serialize)]
        struct Numbers<'a> {
            facts: std::collections::BTreeMap<&'a str, &'a str>,
            umap: &'a UmapConfig,
            start: map_umap::Start,
        }
        let facts = facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        toml::to_string(&Numbers { start: self.umap.start, facts, umap: &self.umap.config })
            .context("numbers of the map")
    }
}

fn umap(features: ArrayView2<f32>, classes: Option<&[Option<u32>]>, config: &UmapConfig) -> Result<Umap> {
    Ok(match classes {
        Some(classes) => Umap::fit_labelled(features, classes, config)?,
        None => Umap::fit(features, config)?,
    })
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("pca.safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(rows: usize) -> Array2<f32> {
        Array2::from_shape_fn((rows, 6), |(row, column)| {
            ((row * (column + 3)) as f32 * 0.37).sin() + (row % 2 * 4) as f32
        })
    }

    #[test]
    fn a_kept_map_places_rows_as_before() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("map.safetensors");
        let config = UmapConfig { n_epochs: Some(30), scaling: Scaling::Robust, ..UmapConfig::published(3) };
        for pca in [None, Some(3)] {
            let made = Projection::fit(features(60).view(), pca, None, &config)?;
            made.save(&path)?;
            let read = Projection::load(&path, 6)?;
            assert_eq!(read.components.is_some(), pca.is_some());
            assert_eq!(read.transform(features(9).view())?, made.transform(features(9).view())?);
            let refused = format!("{:#}", Projection::load(&path, 7).err().context("7 columns")?);
            assert!(refused.contains("found 7") || refused.contains("of 7 columns"), "{refused}");
        }
        assert!(Projection::fit(features(60).view(), Some(6), None, &config).is_err());
        Ok(())
    }
}
