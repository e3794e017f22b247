//! The small tables that sclassifier writes beside its features (reference-facts A7), as far as they are input elsewhere:
//! selected features, their ranks and importance, and the rows of classification, clustering and outlier search.
//!
//! The feature tables themselves are read by [`crate::FeatureTable::read_ascii`].

use std::path::Path;

use crate::{
    error::Error,
    table::{Column, ColumnData, Delimiter, Table, TextHeader, TextOptions},
};

/// A line of `featranks.dat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureRank {
    /// Number of the feature, from 0.
    pub feature: usize,
    /// Whether it was selected.
    pub selected: bool,
    /// Its rank, 1 being the best.
    pub rank: u64,
}

/// A line of `feat_importance.dat`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeatureImportance {
    /// Number of the feature, from 0.
    pub feature: usize,
    /// Its importance; the largest is 1.
    pub importance: f64,
}

/// Which table of rows a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowTable {
    /// `classified_data.dat`: name, class, predicted class, probability.
    Classified,
    /// `clustered_data.dat`: name, features or none, class, cluster, probability, outlier score or none.
    Clustered,
    /// `outlier_data.dat`: name, features or none, class (number or word), whether it is an outlier, score.
    Outliers,
}

impl RowTable {
    /// The columns behind the features.
    fn last_columns(self) -> &'static [&'static str] {
        match self {
            Self::Classified => &["id", "id_pred", "prob"],
            Self::Clustered => &["id", "clust_id", "clust_prob"],
            Self::Outliers => &["id", "is_outlier", "outlier_score"],
        }
    }
}

/// Reads `selfeatids.dat`: numbers of features from 0, separated by commas (blanks and line ends will do).
///
/// # Errors
/// [`Error::Io`]; [`Error::Row`] for a word that is no such number, and for one that comes twice.
pub fn read_selected_features(path: &Path) -> Result<Vec<usize>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
    let mut features = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (line, number) in text.lines().zip(1_u64..).filter(|(line, _)| !line.trim_start().starts_with('#')) {
        for word in line.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
            let wrong = |expected: &str| Error::Row {
                path: path.into(),
                line: number,
                found: format!("`{word}`"),
                expected: expected.to_owned(),
            };
            let feature: usize = word.parse().map_err(|_| wrong("the number of a feature, from 0"))?;
            if !seen.insert(feature) {
                return Err(wrong("each feature once"));
            }
            features.push(feature);
        }
    }
    Ok(features)
}

/// Reads `featranks.dat`.
///
/// # Errors
/// [`Error::Io`], [`Error::TableContent`]; [`Error::Columns`] if there are not three columns of whole numbers.
pub fn read_feature_ranks(path: &Path) -> Result<Vec<FeatureRank>, Error> {
    let table = read_blanks(path)?;
    let expected = ["featid", "selected", "rank"];
    let [feature, selected, rank] = &table.columns[..] else {
        return Err(wrong_columns(&table, &expected));
    };
    let whole = |column: &Column| whole_numbers(column).ok_or_else(|| wrong_columns(&table, &expected));
    let (features, selected, ranks) = (whole(feature)?, whole(selected)?, whole(rank)?);
    let row = |((feature, selected), rank): ((u64, u64), u64)| FeatureRank {
        feature: usize::try_from(feature).unwrap_or(usize::MAX),
        selected: selected != 0,
        rank,
    };
    Ok(features.into_iter().zip(selected).zip(ranks).map(row).collect())
}

/// Reads `feat_importance.dat`.
///
/// # Errors
/// [`Error::Io`], [`Error::TableContent`]; [`Error::Columns`] if there are not two columns of numbers.
pub fn read_feature_importance(path: &Path) -> Result<Vec<FeatureImportance>, Error> {
    let table = read_blanks(path)?;
    let expected = ["featid", "importance"];
    let [feature, importance] = &table.columns[..] else {
        return Err(wrong_columns(&table, &expected));
    };
    let wrong = || wrong_columns(&table, &expected);
    let (features, importance) = (whole_numbers(feature).ok_or_else(wrong)?, importance.numbers().ok_or_else(wrong)?);
    let row = |(feature, importance): (u64, f64)| FeatureImportance {
        feature: usize::try_from(feature).unwrap_or(usize::MAX),
        importance,
    };
    Ok(features.into_iter().zip(importance).map(row).collect())
}

/// Reads the rows of a classification, clustering or outlier search, with or without features and header. The columns get
/// the names `sname`, `z1` to `zN`, and those of the kind of table.
///
/// # Errors
/// [`Error::Io`], [`Error::TableContent`]; [`Error::Columns`] if the columns do not fit, or hold words instead of numbers.
pub fn read_rows(path: &Path, kind: RowTable) -> Result<Table, Error> {
    let mut table = read_blanks(path)?;
    let mut last: Vec<&str> = kind.last_columns().to_vec();
    let expected = || [&["sname"], &last[..]].concat();
    let found = table.columns.len();
    // Only the header tells a score behind the probability from a feature before the class.
    let scored = kind == RowTable::Clustered && table.columns.last().is_some_and(|c| c.name == "clust_outlier_score");
    if found < 1 + last.len() + usize::from(scored) || kind == RowTable::Classified && found != 1 + last.len() {
        return Err(wrong_columns(&table, &expected()));
    }
    if scored {
        last.push("clust_outlier_score");
    }
    let n_features = found - 1 - last.len();
    let features = (1..=n_features).map(|number| format!("z{number}"));
    let names: Vec<String> =
        ["sname".to_owned()].into_iter().chain(features).chain(last.iter().map(|name| (*name).to_owned())).collect();
    for (number, (column, name)) in table.columns.iter_mut().zip(names).enumerate() {
        // The name and the class may be words; all others are numbers.
        if number == 0 {
            column.data = ColumnData::Text((0..column.len()).map(|row| column.cell(row)).collect());
        } else if name != "id" && !column.is_empty() && column.numbers().is_none() {
            return Err(wrong_columns(&table, &[&["sname"], kind.last_columns()].concat()));
        }
        column.name = name;
    }
    Ok(table)
}

/// A table of cells between blanks, its header in a comment line or missing.
fn read_blanks(path: &Path) -> Result<Table, Error> {
    let guess = TextOptions { delimiter: Some(Delimiter::Blanks), header: TextHeader::Guess };
    Table::read_text(path, &guess)
}

fn wrong_columns(table: &Table, expected: &[&str]) -> Error {
    let describe = |column: &Column| format!("{} ({})", column.name, column.data.kind());
    Error::Columns {
        path: table.path.clone(),
        found: table.columns.iter().map(describe).collect(),
        expected: expected.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Whole numbers of at least 0, also where they are written as `3.0`.
fn whole_numbers(column: &Column) -> Option<Vec<u64>> {
    let whole = |number: &f64| (*number >= 0.0 && number.fract() == 0.0 && *number < 9e15).then_some(*number as u64);
    column.numbers()?.iter().map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("can be written");
        (folder, path)
    }

    #[test]
    fn feature_lists() -> Result<(), Error> {
        let (_folder, path) = file("selfeatids.dat", "3,0,17\n");
        assert_eq!(read_selected_features(&path)?, [3, 0, 17]);
        let (_folder, path) = file("selfeatids.dat", "3,-1\n");
        assert!(matches!(read_selected_features(&path), Err(Error::Row { line: 1, .. })));
        let (_folder, path) = file("selfeatids.dat", "3,3\n");
        assert!(read_selected_features(&path).is_err());
        let (_folder, path) = file("featranks.dat", "# featid selected rank\n0 1 1\n1 0 7\n");
        let ranks = read_feature_ranks(&path)?;
        assert_eq!(ranks[1], FeatureRank { feature: 1, selected: false, rank: 7 });
        let (_folder, path) = file("feat_importance.dat", "# featid importance\n4 1.0\n2 0.25\n");
        assert_eq!(read_feature_importance(&path)?[1], FeatureImportance { feature: 2, importance: 0.25 });
        assert!(matches!(read_feature_ranks(&path), Err(Error::Columns { .. })));
        Ok(())
    }

    #[test]
    fn rows_with_and_without_features() -> Result<(), Error> {
        let (_folder, path) = file("classified_data.dat", "# sname id id_pred prob\nJ1 2 1 0.9\n17 2 2 0.5\n");
        let table = read_rows(&path, RowTable::Classified)?;
        assert_eq!(
            (table.names(), table.texts("sname")?[1].as_str()),
            (vec!["sname".to_owned(), "id".into(), "id_pred".into(), "prob".into()], "17")
        );
        let (_folder, path) =
            file("outlier_data.dat", "# sname z1 z2 label is_outlier outlier_score\nJ1 1 2 COMPACT 0 0.4\n");
        let table = read_rows(&path, RowTable::Outliers)?;
        assert_eq!((table.numbers("z2")?[0], table.numbers("outlier_score")?[0]), (2.0, 0.4));
        assert_eq!(table.texts("id")?, ["COMPACT"]);
        let (_folder, path) =
            file("clustered_data.dat", "# sname z1 id clust_id clust_prob clust_outlier_score\nJ1 1 2 -1 0 0.4\n");
        let table = read_rows(&path, RowTable::Clustered)?;
        assert_eq!((table.numbers("clust_id")?[0], table.numbers("clust_outlier_score")?[0]), (-1.0, 0.4));
        assert!(matches!(read_rows(&path, RowTable::Classified), Err(Error::Columns { .. })));
        Ok(())
    }
}
