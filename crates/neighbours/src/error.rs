//! Why neighbours could not be found: one enum for the crate.

/// Why neighbours could not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NeighbourError {
    /// A row is no neighbour of its own, so `n` rows have `n - 1` neighbours each.
    #[error("k: expected 1 to {most} neighbours for {rows} rows, found {k}")]
    BadCount {
        /// Neighbours asked for.
        k: usize,
        /// Rows to choose from.
        rows: usize,
        /// Largest number accepted.
        most: usize,
    },
    /// A table without columns.
    #[error("{table}: expected at least one column, found none")]
    NoColumns {
        /// Which table: `features`, `queries` or `reference`.
        table: &'static str,
    },
    /// More rows or columns than row numbers of 32 bits and the error bound of the products allow.
    #[error("{table}: expected fewer than 2^32 rows and at most 2^19 columns, found {rows} x {columns}")]
    TooLarge {
        /// Which table.
        table: &'static str,
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
    },
    /// NaN and infinity have no distance.
    #[error("{table}: expected a finite value, found {found} in row {row}, column {column}")]
    NotFinite {
        /// Which table.
        table: &'static str,
        /// Row of the first such value, from 0.
        row: usize,
        /// Its column, from 0.
        column: usize,
        /// The value.
        found: f32,
    },
    /// A row of zeros has no direction, hence no cosine.
    #[error("{table}: expected rows with a direction for the cosine distance, found only zeros in row {row}")]
    ZeroRow {
        /// Which table.
        table: &'static str,
        /// The first such row, from 0.
        row: usize,
    },
    /// Queries and reference have different columns.
    #[error("queries: expected {expected} columns as in the reference, found {found}")]
    WrongWidth {
        /// Columns of the reference.
        expected: usize,
        /// Columns of the queries.
        found: usize,
    },
    /// A distance that no pair can keep within.
    #[error("within: expected a finite distance of 0 or more, found {found}")]
    BadDistance {
        /// The distance given.
        found: f64,
    },
    /// So many pairs are close that the list would not end; a smaller distance or a larger limit helps.
    #[error("near-duplicates: more than {at_most} pairs lie within {within}")]
    TooManyPairs {
        /// Largest number of pairs accepted.
        at_most: usize,
        /// The distance given.
        within: f64,
    },
    /// A rank was asked for a row that does not exist, or for a row among its own neighbours.
    #[error("of: expected another row below {rows} for row {row}, found {found}")]
    BadRow {
        /// The row whose list it is in, from 0.
        row: usize,
        /// Rows of the table.
        rows: usize,
        /// The row number found.
        found: u32,
    },
    /// The list of rows to rank is not as long as the table.
    #[error("of: expected {expected} rows as in the table, found {found}")]
    WrongLength {
        /// Rows of the table.
        expected: usize,
        /// Rows of the list.
        found: usize,
    },
    /// A setting of the graph out of its range.
    #[error("{name}: expected {least} to {most}, found {found}")]
    BadSetting {
        /// Which one.
        name: &'static str,
        /// The number given.
        found: usize,
        /// Smallest number accepted.
        least: usize,
        /// Largest number accepted.
        most: usize,
    },
}
