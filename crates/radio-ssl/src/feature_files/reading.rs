//! Several files of features as one table: shards of a set, or whatever a pattern matches.
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ndarray::Array2;
use radio_io::FeatureTable;

use super::{FeatureFileError, FeatureFormat, ShardName};

/// Reads files of features, in any of the formats, as one table: rows in the order of the files, those of a pattern sorted by
/// name. A name may be a file, a pattern (`features-*.parquet`), or that of a set of shards as it would be called unsharded.
///
/// The table's metadata are what all files agree on.
///
/// # Errors
/// [`FeatureFileError`] if a name stands for nothing, shards are missing, files differ in the number of features or in the
/// encoder, or a row's name stands in two files; if a file cannot be read.
pub fn read_features(names: &[PathBuf]) -> Result<FeatureTable> {
    let mut files = Vec::new();
    for name in names {
        files.extend(files_of(name)?);
    }
    all_shards(&files)?;
    let mut whole: Option<(FeatureTable, PathBuf)> = None;
    let mut values = Vec::new();
    for path in &files {
        let table = FeatureFormat::of_contents(path)?.read(path)?;
        match &mut whole {
            None if files.len() == 1 => return Ok(table),
            None => {
                values.extend(table.features.iter().copied());
                whole = Some((table, path.clone()));
            }
            Some((whole, first)) => {
                same(whole, first, &table, path)?;
                values.extend(table.features.iter().copied());
                append(whole, table);
            }
        }
    }
    // A pattern without a file was refused above.
    let (mut whole, first) = whole.unwrap_or_default();
    let shape = (whole.ids.len(), whole.features.ncols());
    whole.features = Array2::from_shape_vec(shape, values).with_context(|| format!("{}: rows", first.display()))?;
    unique(whole, &first)
}

/// The files that a name stands for.
fn files_of(name: &Path) -> Result<Vec<PathBuf>> {
    let pattern = name.to_string_lossy();
    if name.is_file() {
        return Ok(vec![name.to_path_buf()]);
    }
    // A set that was written in shards.
    let stem = glob::Pattern::escape(&name.file_stem().unwrap_or_default().to_string_lossy());
    let ending = name.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    let folder = name.parent().map(|folder| glob::Pattern::escape(&folder.to_string_lossy())).unwrap_or_default();
    let set = Path::new(&folder).join(format!("{stem}-*-of-*{ending}"));
    for candidate in [pattern.as_ref(), &set.to_string_lossy()] {
        let found = glob::glob(candidate).with_context(|| format!("{candidate}: not a pattern"))?;
        let mut found: Vec<PathBuf> = found.collect::<Result<_, _>>().with_context(|| candidate.to_owned())?;
        found.retain(|path| path.is_file());
        found.sort_by_key(|path| (ShardName::of(path), path.clone()));
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(FeatureFileError::NoSuchFile { pattern: pattern.into_owned() }.into())
}

/// Makes sure that no shard is missing where there is more than one file; a single shard may be read alone.
fn all_shards(files: &[PathBuf]) -> Result<(), FeatureFileError> {
    let mut sets: BTreeMap<(PathBuf, usize), BTreeSet<usize>> = BTreeMap::new();
    for name in files.iter().filter_map(|path| ShardName::of(path)).filter(|_| files.len() > 1) {
        sets.entry((name.set, name.total)).or_default().insert(name.number);
    }
    for ((set, total), numbers) in sets {
        if let Some(first) = (0..total).find(|number| !numbers.contains(number)) {
            return Err(FeatureFileError::MissingShards { set, missing: total - numbers.len(), total, first });
        }
    }
    Ok(())
}

/// Whether a table can follow another.
fn same(whole: &FeatureTable, first: &Path, table: &FeatureTable, path: &Path) -> Result<(), FeatureFileError> {
    let different = |what, expected: String, found: String| FeatureFileError::Different {
        path: path.into(),
        other: first.into(),
        what,
        expected,
        found,
    };
    let (expected, found) = (whole.features.ncols(), table.features.ncols());
    if expected != found {
        return Err(different("features", expected.to_string(), found.to_string()));
    }
    let key = crate::stages::ENCODER_KEY;
    if let (Some(expected), Some(found)) = (whole.metadata.get(key), table.metadata.get(key))
        && expected != found
    {
        return Err(different("encoder", expected.clone(), found.clone()));
    }
    Ok(())
}

fn append(whole: &mut FeatureTable, table: FeatureTable) {
    whole.ids.extend(table.ids);
    whole.ra_deg.extend(table.ra_deg);
    whole.dec_deg.extend(table.dec_deg);
    whole.rms_jy_beam.extend(table.rms_jy_beam);
    whole.blank_fraction.extend(table.blank_fraction);
    whole.metadata.retain(|key, value| table.metadata.get(key) == Some(value));
}

/// A name that stands twice means that rows were read twice, as when shards of two sizes lie side by side.
fn unique(table: FeatureTable, path: &Path) -> Result<FeatureTable> {
    let mut seen = HashSet::with_capacity(table.ids.len());
    match table.ids.iter().position(|id| !seen.insert(id.as_str())) {
        Some(row) => Err(FeatureFileError::SameName { path: path.into(), row, id: table.ids[row].clone() }.into()),
        None => Ok(table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature_files::shard_path;

    fn table(first: usize, rows: usize, cols: usize) -> FeatureTable {
        FeatureTable {
            ids: (first..first + rows).map(|row| format!("frame{row}")).collect(),
            ra_deg: (first..first + rows).map(|row| row as f64).collect(),
            dec_deg: vec![0.5; rows],
            rms_jy_beam: vec![1.0; rows],
            blank_fraction: vec![0.0; rows],
            features: Array2::from_shape_fn((rows, cols), |(row, col)| (10 * (first + row) + col) as f32),
            metadata: BTreeMap::from([("encoder".into(), "e".into()), ("shard".into(), first.to_string())]),
        }
    }

    #[test]
    fn shards_of_any_format_are_one_table() {
        let folder = tempfile::tempdir().unwrap();
        for (name, format) in [("f.parquet", FeatureFormat::Parquet), ("f.npy", FeatureFormat::Npy)] {
            let set = folder.path().join(name);
            for (number, (first, rows)) in [(0, 4), (4, 4), (8, 1)].into_iter().enumerate() {
                format.write(&table(first, rows, 3), &shard_path(&set, number, 3)).unwrap();
            }
            let expected = table(0, 9, 3);
            let ending = set.extension().unwrap().to_string_lossy().into_owned();
            for names in [
                vec![set.clone()],
                vec![folder.path().join(format!("f-*.{ending}"))],
                (0..3).map(|number| shard_path(&set, number, 3)).collect(),
            ] {
                let found = read_features(&names).unwrap();
                assert_eq!((&found.ids, &found.features), (&expected.ids, &expected.features));
                assert_eq!(found.ra_deg, expected.ra_deg);
            }
            // Alone a shard may be read; with another one, none may be missing.
            assert_eq!(read_features(&[shard_path(&set, 2, 3)]).unwrap().ids, ["frame8"]);
            std::fs::remove_file(shard_path(&set, 1, 3)).unwrap();
            let error = read_features(&[set]).unwrap_err().to_string();
            assert!(error.contains("1 of 3 shards are missing") && error.contains("number 1"), "{error}");
        }
        let found = read_features(&[folder.path().join("f-00000-of-00003.parquet")]).unwrap();
        assert_eq!(found.metadata["encoder"], "e");
    }

    #[test]
    fn files_that_are_no_table_together_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        table(0, 2, 3).write_parquet(&path("a.parquet")).unwrap();
        table(2, 2, 4).write_parquet(&path("wide.parquet")).unwrap();
        table(1, 2, 3).write_parquet(&path("again.parquet")).unwrap();
        let mut other = table(2, 2, 3);
        other.metadata.insert("encoder".into(), "another".into());
        other.write_parquet(&path("other.parquet")).unwrap();
        for (second, word) in [
            ("wide.parquet", "features: expected 3"),
            ("again.parquet", "frame1 stands twice"),
            ("other.parquet", "encoder: expected e"),
            ("none-*.parquet", "no such file"),
            ("none.parquet", "no such file"),
        ] {
            let error = read_features(&[path("a.parquet"), path(second)]).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        table(2, 2, 3).write_csv(&path("b.csv")).unwrap();
        let both = read_features(&[path("a.parquet"), path("b.csv")]).unwrap();
        assert_eq!((both.len(), both.metadata.is_empty()), (4, true));
    }
}
