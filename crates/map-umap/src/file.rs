//! Maps and components as safetensors files: tensors and one text, written atomically, checked on load.

use std::{collections::HashMap, io::Write, path::Path};

use ndarray::{Array1, Array2};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    config::{Start, UmapConfig},
    error::MapError,
    pca::Pca,
    scaling::{ColumnScale, check_table},
    umap::{Umap, similarity},
};

/// Entry of the file's metadata that holds all but the tensors, as JSON.
const TEXT_KEY: &str = "map-umap";
const UMAP_FORMAT: &str = "umap/1";
const PCA_FORMAT: &str = "pca/1";
/// Largest file that is read.
const LARGEST: u64 = 1 << 36;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UmapText {
    format: String,
    config: UmapConfig,
    start: Start,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PcaText {
    format: String,
    total_variance: f64,
}

impl Umap {
    /// Writes the map with the rows of its fit: tensors `rows`, `embedding`, `scale.offset` and `scale.factor`. A reader
    /// sees the old file or the whole new one, never a part.
    ///
    /// # Errors
    /// [`MapError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), MapError> {
        let text = UmapText { format: UMAP_FORMAT.into(), config: self.config, start: self.start };
        let tensors = [
            ("embedding", Dtype::F32, self.embedding.shape().to_vec(), bytes_f32(self.embedding.iter())),
            ("rows", Dtype::F32, self.rows.shape().to_vec(), bytes_f32(self.rows.iter())),
            ("scale.factor", Dtype::F64, vec![self.scale.factor.len()], bytes_f64(self.scale.factor.iter())),
            ("scale.offset", Dtype::F64, vec![self.scale.offset.len()], bytes_f64(self.scale.offset.iter())),
        ];
        write(path, &text, &tensors)
    }

    /// Reads a map written by [`Umap::save`]; new rows get the same places, to the last bit.
    ///
    /// # Errors
    /// [`MapError::Io`]; [`MapError::Format`] if the file is no such map or its parts do not fit together.
    pub fn load(path: &Path) -> Result<Self, MapError> {
        let file = MapFile::read(path)?;
        let text: UmapText = file.text(UMAP_FORMAT)?;
        text.config.check().map_err(|error| file.error("configuration", "a valid one", error))?;
        let embedding = file.matrix_f32("embedding")?;
        let rows = file.matrix_f32("rows")?;
        let scale = file.scale(rows.ncols())?;
        let expected = (rows.nrows(), text.config.n_components);
        if embedding.dim() != expected || rows.nrows() < text.config.n_neighbours {
            let found = format!("{:?}, {} rows", embedding.dim(), rows.nrows());
            let expected = format!("{expected:?}, at least {} rows", text.config.n_neighbours);
            return Err(file.error("embedding", &expected, found));
        }
        for (name, table) in [("embedding", &embedding), ("rows", &rows)] {
            check_table(table.view()).map_err(|error| file.error(name, "finite values", error))?;
        }
        let similarity = similarity(&text.config)?;
        Ok(Self { config: text.config, scale, rows, embedding, similarity, start: text.start })
    }
}

impl Pca {
    /// Writes the components: tensors `mean`, `components`, `variances`, `scale.offset` and `scale.factor`, all F64.
    ///
    /// # Errors
    /// [`MapError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), MapError> {
        let text = PcaText { format: PCA_FORMAT.into(), total_variance: self.total_variance };
        let tensors = [
            ("components", Dtype::F64, self.components.shape().to_vec(), bytes_f64(self.components.iter())),
            ("mean", Dtype::F64, vec![self.mean.len()], bytes_f64(self.mean.iter())),
            ("scale.factor", Dtype::F64, vec![self.scale.factor.len()], bytes_f64(self.scale.factor.iter())),
            ("scale.offset", Dtype::F64, vec![self.scale.offset.len()], bytes_f64(self.scale.offset.iter())),
            ("variances", Dtype::F64, vec![self.variances.len()], bytes_f64(self.variances.iter())),
        ];
        write(path, &text, &tensors)
    }

    /// Reads components written by [`Pca::save`], the same to the last bit.
    ///
    /// # Errors
    /// [`MapError::Io`]; [`MapError::Format`] if the file holds no such components or its parts do not fit together.
    pub fn load(path: &Path) -> Result<Self, MapError> {
        let file = MapFile::read(path)?;
        let text: PcaText = file.text(PCA_FORMAT)?;
        let (mean_shape, mean) = file.values("mean", Dtype::F64, f64::from_le_bytes)?;
        let (shape, components) = file.values("components", Dtype::F64, f64::from_le_bytes)?;
        let (_, variances) = file.values("variances", Dtype::F64, f64::from_le_bytes)?;
        let scale = file.scale(mean.len())?;
        let expected = vec![variances.len(), mean.len()];
        if shape != expected || mean_shape.len() != 1 || mean.is_empty() {
            return Err(file.error("components", &format!("shape {expected:?}"), format!("shape {shape:?}")));
        }
        let all = [&mean, &components, &variances];
        if !all.iter().all(|values| values.iter().all(|v| v.is_finite())) || !text.total_variance.is_finite() {
            return Err(file.error("components", "finite values", "others".to_string()));
        }
        let components = Array2::from_shape_vec((variances.len(), mean.len()), components)
            .map_err(|error| file.error("components", &format!("shape {expected:?}"), error))?;
        Ok(Self { scale, mean: Array1::from(mean), components, variances, total_variance: text.total_variance })
    }
}

fn bytes_f32<'a>(values: impl Iterator<Item = &'a f32>) -> Vec<u8> {
    values.flat_map(|value| value.to_le_bytes()).collect()
}

fn bytes_f64<'a>(values: impl Iterator<Item = &'a f64>) -> Vec<u8> {
    values.flat_map(|value| value.to_le_bytes()).collect()
}

fn write(path: &Path, text: &impl Serialize, tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> Result<(), MapError> {
    let refused = |reason: String| MapError::Format {
        path: path.to_path_buf(),
        what: "contents".into(),
        expected: "values that can be written".into(),
        found: reason,
    };
    let mut views = Vec::with_capacity(tensors.len());
    for (name, dtype, shape, bytes) in tensors {
        views.push((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(|error| refused(error.to_string()))?));
    }
    // One entry: safetensors writes its map in random order, and equal fits give equal bytes.
    let text = serde_json::to_string(text).map_err(|error| refused(error.to_string()))?;
    let bytes = safetensors::serialize(views, Some(HashMap::from([(TEXT_KEY.to_owned(), text)])))
        .map_err(|error| refused(error.to_string()))?;
    atomic_file::write_atomically(path, |file| file.write_all(&bytes))
        .map_err(|source| MapError::Io { path: path.to_path_buf(), source })
}

struct MapFile<'a> {
    path: &'a Path,
    bytes: Vec<u8>,
}

impl<'a> MapFile<'a> {
    fn read(path: &'a Path) -> Result<Self, MapError> {
        let io = |source| MapError::Io { path: path.to_path_buf(), source };
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size > LARGEST {
            let file = Self { path, bytes: Vec::new() };
            return Err(file.error("size", &format!("at most {LARGEST} bytes"), size));
        }
        Ok(Self { path, bytes: std::fs::read(path).map_err(io)? })
    }

    fn error(&self, what: &str, expected: &str, found: impl std::fmt::Display) -> MapError {
        let (what, expected, found) = (what.into(), expected.into(), found.to_string());
        MapError::Format { path: self.path.to_path_buf(), what, expected, found }
    }

    fn text<T: DeserializeOwned>(&self, format: &str) -> Result<T, MapError> {
        let bad = |found: String| self.error("file", &format!("safetensors with a text of format {format}"), found);
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).map_err(|error| bad(error.to_string()))?;
        let text = metadata.metadata().as_ref().and_then(|texts| texts.get(TEXT_KEY));
        let text = text.ok_or_else(|| bad(format!("no entry {TEXT_KEY}")))?;
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        match value.get("format").and_then(serde_json::Value::as_str) {
            Some(found) if found == format => {}
            found => return Err(bad(format!("format {found:?}"))),
        }
        serde_json::from_value(value).map_err(|error| bad(error.to_string()))
    }

    fn values<const N: usize, T>(
        &self,
        name: &str,
        dtype: Dtype,
        from: fn([u8; N]) -> T,
    ) -> Result<(Vec<usize>, Vec<T>), MapError> {
        let bad = |found: String| self.error(name, &format!("a tensor of {dtype:?}"), found);
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|error| bad(error.to_string()))?;
        let tensor = tensors.tensor(name).map_err(|error| bad(error.to_string()))?;
        if tensor.dtype() != dtype {
            return Err(bad(format!("{:?}", tensor.dtype())));
        }
        let values = tensor.data().as_chunks::<N>().0.iter().map(|&bytes| from(bytes)).collect();
        Ok((tensor.shape().to_vec(), values))
    }

    fn matrix_f32(&self, name: &str) -> Result<Array2<f32>, MapError> {
        let (shape, values) = self.values(name, Dtype::F32, f32::from_le_bytes)?;
        let bad = || self.error(name, "two axes", format!("shape {shape:?}"));
        let &[rows, columns] = shape.as_slice() else { return Err(bad()) };
        Array2::from_shape_vec((rows, columns), values).map_err(|_| bad())
    }

    fn scale(&self, columns: usize) -> Result<ColumnScale, MapError> {
        let part = |name: &str| {
            let (shape, values) = self.values(name, Dtype::F64, f64::from_le_bytes)?;
            if shape == [columns] && values.iter().all(|v: &f64| v.is_finite()) {
                Ok(values)
            } else {
                Err(self.error(name, &format!("{columns} finite values"), format!("shape {shape:?}")))
            }
        };
        Ok(ColumnScale { offset: part("scale.offset")?, factor: part("scale.factor")? })
    }
}
