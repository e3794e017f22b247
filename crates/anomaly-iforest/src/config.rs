//! Settings of a forest, each a small enum that says in a file what it means.

use serde::{Deserialize, Serialize};

use crate::error::ForestError;

/// Every number a forest depends on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForestConfig {
    /// Number of trees; the paper uses 200.
    pub n_trees: usize,
    /// Rows each tree sees.
    pub max_samples: MaxSamples,
    /// Columns each tree sees.
    pub max_features: MaxFeatures,
    /// Share of rows expected to be outliers. It sets [`crate::IsolationForest::offset`] only, never a score.
    pub contamination: Contamination,
    /// Draw the rows of a tree with replacement.
    pub bootstrap: bool,
    /// Seed of the run; tree t draws from its own stream (seed, t).
    pub seed: u64,
}

/// Rows each tree sees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MaxSamples {
    /// min(256, rows).
    Auto,
    /// floor(fraction x rows), fraction in (0, 1]; the paper's best is 0.02.
    Fraction(f64),
    /// This many, at most the rows there are.
    Count(usize),
    /// max(at_least, floor(fraction x rows)), capped at the rows there are: the paper's 0.02 of 55,773 frames is 1,115
    /// rows, but of 392 frames it would be 7, too few for any tree.
    FractionAtLeast {
        /// Share of the rows, in (0, 1].
        fraction: f64,
        /// Lower limit in rows.
        at_least: usize,
    },
}

/// Columns each tree sees. Inside a tree every split picks one of them at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MaxFeatures {
    /// All columns (scikit-learn's default).
    All,
    /// One column per tree (the default of the paper's own code).
    One,
    /// This many columns per tree, drawn without replacement.
    Count(usize),
}

/// Share of rows expected to be outliers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Contamination {
    /// Outliers have a score above 0.5.
    Auto,
    /// Outliers are this share of the training rows, in (0, 0.5].
    Fraction(f64),
}

impl MaxSamples {
    /// Rows per tree for a table of `rows` rows.
    ///
    /// # Errors
    /// If a fraction is not in (0, 1], a count exceeds `rows`, or fewer than 2 rows per tree result.
    pub fn resolve(&self, rows: usize) -> Result<usize, ForestError> {
        let bad = |expected: String, found: String| ForestError::BadSetting { name: "max_samples", expected, found };
        let share = |fraction: f64| {
            if fraction > 0.0 && fraction <= 1.0 {
                Ok((fraction * rows as f64).floor() as usize)
            } else {
                Err(bad("a fraction above 0 and at most 1".into(), fraction.to_string()))
            }
        };
        let samples = match *self {
            Self::Auto => rows.min(256),
            Self::Fraction(fraction) => share(fraction)?,
            Self::Count(count) if count > rows => {
                return Err(bad(format!("at most the {rows} rows of the table"), count.to_string()));
            }
            Self::Count(count) => count,
            Self::FractionAtLeast { fraction, at_least } => share(fraction)?.max(at_least).min(rows),
        };
        if samples < 2 {
            return Err(bad(format!("at least 2 of {rows} rows per tree"), format!("{self:?}, which gives {samples}")));
        }
        Ok(samples)
    }
}

impl MaxFeatures {
    /// Columns per tree for a table of `columns` columns.
    ///
    /// # Errors
    /// If a count is 0 or exceeds `columns`.
    pub fn resolve(&self, columns: usize) -> Result<usize, ForestError> {
        match *self {
            Self::All => Ok(columns),
            Self::One => Ok(1),
            Self::Count(count) if count >= 1 && count <= columns => Ok(count),
            Self::Count(count) => Err(ForestError::BadSetting {
                name: "max_features",
                expected: format!("1 to {columns} columns"),
                found: count.to_string(),
            }),
        }
    }
}

impl Contamination {
    /// Score above which a row is an outlier, given the scores of the training rows: 0.5, or the quantile that leaves
    /// this share above (linear interpolation).
    ///
    /// # Errors
    /// If a fraction is not in (0, 0.5], or `scores` is empty.
    pub fn cut(&self, scores: &[f64]) -> Result<f64, ForestError> {
        self.check()?;
        let Self::Fraction(fraction) = *self else { return Ok(0.5) };
        let mut falling = scores.to_vec();
        falling.sort_by(|a, b| b.total_cmp(a));
        let Some(last) = falling.len().checked_sub(1) else {
            return Err(ForestError::TooFewRows { expected: 1, found: 0 });
        };
        let place = fraction * last as f64;
        let before = place.floor() as usize;
        let after = (before + 1).min(last);
        Ok(falling[before] + (falling[after] - falling[before]) * (place - before as f64))
    }

    pub(crate) fn check(&self) -> Result<(), ForestError> {
        match *self {
            Self::Fraction(fraction) if !(fraction > 0.0 && fraction <= 0.5) => Err(ForestError::BadSetting {
                name: "contamination",
                expected: "a fraction above 0 and at most 0.5".into(),
                found: fraction.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

impl ForestConfig {
    /// (rows, columns) per tree for a table of this shape.
    ///
    /// # Errors
    /// If a setting is out of range for such a table.
    pub fn resolve(&self, rows: usize, columns: usize) -> Result<(usize, usize), ForestError> {
        if self.n_trees == 0 {
            return Err(ForestError::BadSetting { name: "n_trees", expected: "at least 1".into(), found: "0".into() });
        }
        self.contamination.check()?;
        Ok((self.max_samples.resolve(rows)?, self.max_features.resolve(columns)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_per_tree() {
        assert_eq!(MaxSamples::Auto.resolve(55_773).unwrap(), 256);
        assert_eq!(MaxSamples::Auto.resolve(100).unwrap(), 100);
        assert_eq!(MaxSamples::Fraction(0.02).resolve(55_773).unwrap(), 1115);
        assert_eq!(MaxSamples::Fraction(1.0).resolve(55_773).unwrap(), 55_773);
        let careful = MaxSamples::FractionAtLeast { fraction: 0.02, at_least: 256 };
        assert_eq!(
            (careful.resolve(55_773).unwrap(), careful.resolve(392).unwrap(), careful.resolve(100).unwrap()),
            (1115, 256, 100)
        );
        assert_eq!(MaxSamples::Count(7).resolve(7).unwrap(), 7);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        for bad in [
            MaxSamples::Fraction(0.0),
            MaxSamples::Fraction(1.1),
            MaxSamples::Fraction(f64::NAN),
            MaxSamples::Fraction(0.001),
            MaxSamples::Count(101),
            MaxSamples::Count(1),
        ] {
            let error = bad.resolve(100).unwrap_err();
            assert!(matches!(error, ForestError::BadSetting { name: "max_samples", .. }), "{bad:?}: {error}");
        }
        for bad in [0, 6] {
            assert!(matches!(
                MaxFeatures::Count(bad).resolve(5),
                Err(ForestError::BadSetting { name: "max_features", .. })
            ));
        }
        for bad in [0.0, 0.6, f64::NAN] {
            assert!(matches!(
                Contamination::Fraction(bad).cut(&[0.5]),
                Err(ForestError::BadSetting { name: "contamination", .. })
            ));
        }
    }

    #[test]
    fn the_cut_leaves_the_share_above() {
        let scores: Vec<f64> = (0..101).map(|i| f64::from(i) / 100.0).collect();
        assert_eq!(Contamination::Auto.cut(&scores).unwrap(), 0.5);
        assert!((Contamination::Fraction(0.1).cut(&scores).unwrap() - 0.9).abs() < 1e-12);
        assert!((Contamination::Fraction(0.105).cut(&scores).unwrap() - 0.895).abs() < 1e-12);
    }
}
