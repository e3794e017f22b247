//! Feature tables on disk: four formats, known by name when written and by contents when read, whole or in shards.
//!
//! | format | holds |
//! |---|---|
//! | Parquet | everything: names, places, noise, blank shares, features, and which encoder made them |
//! | NPY | the features, `[N, F]` in `f32`, for NumPy; the rest in a CSV file beside it (`.ids.csv`) |
//! | ASCII | names and features, in the text layout of the paper's tools; places and noise are lost |
//! | CSV | everything but the encoder |
mod id_list;
mod npy;
mod reading;
mod shard_names;

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use radio_io::FeatureTable;

pub use id_list::id_list_path;
pub use npy::{read_npy, write_npy};
pub use reading::read_features;
pub use shard_names::{ShardName, shard_path};

/// How a feature table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FeatureFormat {
    /// Apache Parquet (`.parquet`).
    Parquet,
    /// NumPy's array (`.npy`), with `.ids.csv` beside it.
    Npy,
    /// The text layout of the paper's tools (`.dat`, `.txt`, `.ascii`): name, features, class number 0.
    Ascii,
    /// Comma-separated values (`.csv`).
    Csv,
}

impl FeatureFormat {
    /// The format that a file's ending asks for.
    ///
    /// # Errors
    /// If the ending is none of the known ones.
    pub fn of_name(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        Ok(match ending.to_ascii_lowercase().as_str() {
            "parquet" => Self::Parquet,
            "npy" => Self::Npy,
            "dat" | "txt" | "ascii" => Self::Ascii,
            "csv" => Self::Csv,
            _ => bail!(
                "--out {}: expected a name that ends in .parquet, .npy, .csv, .dat, .txt or .ascii, or --format",
                path.display()
            ),
        })
    }

    /// The format that a file's first bytes show.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn of_contents(path: &Path) -> Result<Self> {
        let unreadable = || format!("cannot read {}", path.display());
        let mut first = Vec::new();
        std::fs::File::open(path).and_then(|file| file.take(6).read_to_end(&mut first)).with_context(unreadable)?;
        Ok(match first.as_slice() {
            [b'P', b'A', b'R', b'1', ..] => Self::Parquet,
            b"\x93NUMPY" => Self::Npy,
            [b'#', ..] => Self::Ascii,
            _ => Self::Csv,
        })
    }

    /// Writes a table in this format; each file appears whole or not at all. Returns the files.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(self, table: &FeatureTable, path: &Path) -> Result<Vec<PathBuf>> {
        let mut files = vec![path.to_path_buf()];
        match self {
            Self::Parquet => table.write_parquet(path)?,
            Self::Csv => table.write_csv(path)?,
            Self::Ascii => table.write_ascii(path, &[])?,
            Self::Npy => {
                // The array last: where it is, its names are.
                let ids = id_list_path(path);
                table.check()?;
                id_list::write(table, &ids)?;
                write_npy(path, table.features.view())?;
                files.push(ids);
            }
        }
        Ok(files)
    }

    /// Reads one file in this format. What the format does not hold is NaN; rows of an array without names are named by
    /// their numbers from 0.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn read(self, path: &Path) -> Result<FeatureTable> {
        Ok(match self {
            Self::Parquet => FeatureTable::read_parquet(path)?,
            Self::Csv => FeatureTable::read_csv(path)?,
            Self::Ascii => FeatureTable::read_ascii(path)?.0,
            Self::Npy => id_list::named(read_npy(path)?, path)?,
        })
    }
}

/// Why a file of features cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureFileError {
    /// The file is no NPY array of real numbers in two dimensions, or is damaged.
    #[error("{path}: {what}: expected {expected}, found {found}", path = path.display())]
    Npy {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        what: &'static str,
        /// What was expected.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The names beside an array are not as many as its rows, or are damaged.
    #[error("{path}: {what}: expected {expected}, found {found}", path = path.display())]
    IdList {
        /// The file of names.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What was expected.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A pattern or a name that stands for no file.
    #[error("{pattern}: no such file of features")]
    NoSuchFile {
        /// The pattern as given.
        pattern: String,
    },
    /// Some shards of a set are not there.
    #[error("{set}: {} of {total} shards are missing, the first is number {first}; run `radio-ssl embed` again to complete them",
        missing, set = set.display())]
    MissingShards {
        /// The set as it would be called unsharded.
        set: PathBuf,
        /// How many are missing.
        missing: usize,
        /// How many the names promise.
        total: usize,
        /// The first missing one, from 0.
        first: usize,
    },
    /// Files that cannot be one table.
    #[error("{path}: {what}: expected {expected} as in {other}, found {found}", path = path.display(), other = other.display())]
    Different {
        /// The file that differs.
        path: PathBuf,
        /// From this one.
        other: PathBuf,
        /// In what.
        what: &'static str,
        /// What the other has.
        expected: String,
        /// What this one has.
        found: String,
    },
    /// Two rows of one name.
    #[error("{path}: row {row}: the name {id} stands twice; expected each name once", path = path.display())]
    SameName {
        /// The file of the second one.
        path: PathBuf,
        /// Its row there, from 0.
        row: usize,
        /// The name.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn table() -> FeatureTable {
        FeatureTable {
            ids: vec!["m_r00000_c00000_s32".into(), "comma, \"quote\"".into(), "é".into()],
            ra_deg: vec![10.123456789012345, f64::NAN, 359.99999],
            dec_deg: vec![-30.5, f64::NAN, 1e-7],
            rms_jy_beam: vec![1.5e-5, f32::NAN, 2.0],
            blank_fraction: vec![0.0, 0.25, 1.0],
            features: Array2::from_shape_fn((3, 4), |(row, col)| (row as f32 - 1.3) / (col as f32 + 0.7)),
            metadata: Default::default(),
        }
    }

    fn bits(table: &FeatureTable) -> Vec<u64> {
        let wide = table.ra_deg.iter().chain(&table.dec_deg).map(|v| v.to_bits());
        let narrow = table.rms_jy_beam.iter().chain(&table.blank_fraction).chain(&table.features);
        wide.chain(narrow.map(|v| u64::from(v.to_bits()))).collect()
    }

    #[test]
    fn every_format_gives_back_what_it_holds_and_is_known_by_its_contents() {
        let folder = tempfile::tempdir().unwrap();
        let table = table();
        for (name, format) in [
            ("a.parquet", FeatureFormat::Parquet),
            ("a.npy", FeatureFormat::Npy),
            ("a.csv", FeatureFormat::Csv),
            ("a.dat", FeatureFormat::Ascii),
        ] {
            let path = folder.path().join(name);
            assert_eq!(FeatureFormat::of_name(&path).unwrap(), format);
            let files = format.write(&table, &path).unwrap();
            assert!(files.iter().all(|file| file.exists()));
            assert_eq!(FeatureFormat::of_contents(&path).unwrap(), format);
            let back = format.read(&path).unwrap();
            assert_eq!(back.features, table.features, "{name}");
            if format == FeatureFormat::Ascii {
                assert_eq!(back.ids[1], "comma,_\"quote\"");
                assert!(back.ra_deg.iter().all(|value| value.is_nan()));
            } else {
                assert_eq!(back.ids, table.ids, "{name}");
                assert_eq!(bits(&back), bits(&table), "{name}");
            }
        }
        assert!(FeatureFormat::of_name(Path::new("features.fits")).is_err());
    }
}
