//! Why a metric could not be computed: one enum for the crate, one variant per remedy.

/// Why a metric could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Two parallel slices must have one entry per row each.
    #[error("{what}: expected {expected} entries, found {found}")]
    LengthMismatch {
        /// Which slice has the wrong length.
        what: &'static str,
        /// Length of the slice it is compared with.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A metric over nothing is not zero, it is undefined.
    #[error("{what}: expected at least one entry, found none")]
    Empty {
        /// Which slice is empty.
        what: &'static str,
    },
    /// Class labels count from 0 and stay below the number of classes.
    #[error("{what} of row {row}: expected a class below {n_classes}, found {found}")]
    UnknownClass {
        /// `truth` or `predicted`.
        what: &'static str,
        /// Row of the offending label.
        row: usize,
        /// The label found.
        found: usize,
        /// Number of classes of the matrix.
        n_classes: usize,
    },
    /// Scores are compared, so NaN has no place among them.
    #[error("score of row {row}: expected {expected}, found {found}")]
    BadScore {
        /// Row of the offending score.
        row: usize,
        /// What is accepted.
        expected: &'static str,
        /// The score found.
        found: f64,
    },
    /// A ranking metric needs rows of both kinds.
    #[error("truth: expected at least one {missing} row among {rows}, found none")]
    OneClass {
        /// `positive` or `negative`.
        missing: &'static str,
        /// Number of rows looked at.
        rows: usize,
    },
    /// A number outside its range.
    #[error("{name}: expected {expected}, found {found}")]
    OutOfRange {
        /// Name of the argument.
        name: &'static str,
        /// What is accepted.
        expected: &'static str,
        /// The value found.
        found: f64,
    },
    /// Recall has no meaning without a peculiar frame among the labelled ones.
    #[error("groups: expected at least one peculiar frame among {labelled} labelled frames, found none")]
    NoPeculiar {
        /// Number of labelled frames.
        labelled: usize,
    },
    /// No threshold of the scan selects a peculiar frame, so recall equals precision (both 0) everywhere.
    #[error("threshold scan: expected a row that selects a peculiar frame, found none in {rows} rows")]
    NothingSelected {
        /// Number of rows of the scan.
        rows: usize,
    },
    /// The statistic was undefined in every bootstrap resample.
    #[error("statistic: expected a finite value in some of {resamples} resamples, found none")]
    UndefinedStatistic {
        /// Number of resamples drawn.
        resamples: usize,
    },
}
