//! Whose neighbours are asked for: rows of the table itself, or the rows of another one.
use std::borrow::Cow;

use anyhow::{Result, bail, ensure};
use ndarray::{Array2, Axis};
use radio_io::FeatureTable;

use super::SimilarOptions;
use crate::feature_files::read_features;
use crate::stages::ENCODER_KEY;

/// Whose neighbours are asked for.
pub(super) enum Questions {
    /// Rows of the table, which are no neighbours of their own.
    Rows(Vec<usize>),
    /// Another table, with the same features.
    Others(FeatureTable),
}

impl Questions {
    /// The questions of the options: rows asked for by name, then those by number.
    ///
    /// # Errors
    /// If a row is not there, or the other table has other features.
    pub(super) fn of(options: &SimilarOptions, table: &FeatureTable) -> Result<Self> {
        if options.all {
            return Ok(Self::Rows((0..table.len()).collect()));
        }
        if let Some(first) = options.features_of.first() {
            let others = read_features(&options.features_of)?;
            ensure!(!others.is_empty(), "{}: holds no row", first.display());
            let (expected, found) = (table.features.ncols(), others.features.ncols());
            ensure!(expected == found, "{}: expected {expected} features, found {found}", first.display());
            if let (Some(expected), Some(found)) = (table.metadata.get(ENCODER_KEY), others.metadata.get(ENCODER_KEY))
                && expected != found
            {
                bail!("{}: made by another encoder: expected {expected}, found {found}", first.display());
            }
            return Ok(Self::Others(others));
        }
        let mut rows = Vec::with_capacity(options.id.len() + options.row.len());
        for id in &options.id {
            let before = rows.len();
            rows.extend((0..table.len()).filter(|&row| table.ids[row] == *id));
            ensure!(rows.len() > before, "--id {id}: no row is called so; the first is called {}", table.ids[0]);
        }
        for &row in &options.row {
            ensure!(row < table.len(), "--row {row}: expected less than {}, the number of rows", table.len());
            rows.push(row);
        }
        Ok(Self::Rows(rows))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.len(),
            Self::Others(others) => others.len(),
        }
    }

    /// Whether they are rows of the table.
    pub(super) fn are_rows(&self) -> bool {
        matches!(self, Self::Rows(_))
    }

    /// Their features, `[len, F]`.
    pub(super) fn features<'a>(&'a self, table: &'a FeatureTable) -> Cow<'a, Array2<f32>> {
        match self {
            Self::Rows(rows) if rows.len() == table.len() && rows.is_sorted_by(|a, b| a < b) => {
                Cow::Borrowed(&table.features)
            }
            Self::Rows(rows) => Cow::Owned(table.features.select(Axis(0), rows)),
            Self::Others(others) => Cow::Borrowed(&others.features),
        }
    }

    /// Name and place on the sky of one question, and the row that it is.
    pub(super) fn record<'a>(
        &'a self,
        question: usize,
        table: &'a FeatureTable,
    ) -> (&'a str, (f64, f64), Option<usize>) {
        let (of, row, own) = match self {
            Self::Rows(rows) => (table, rows[question], Some(rows[question])),
            Self::Others(others) => (others, question, None),
        };
        (&of.ids[row], (of.ra_deg[row], of.dec_deg[row]), own)
    }
}
