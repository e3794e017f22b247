//! Opening Parquet files that may be damaged: the one place where the library's panics become errors.
//!
//! The library checks much of what it reads, but not all: a page that names a dictionary which the file lacks ends in a panic
//! (found by `cargo xtask fuzz`).

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use parquet::{errors::ParquetError, file::reader::SerializedFileReader};

use crate::error::Error;

/// Opens a file and reads from it.
///
/// # Errors
/// [`Error::Io`], and [`Error::Parquet`] with what `read` or the library refused, its panics included.
pub(crate) fn read_parquet_file<T>(
    path: &Path,
    read: impl FnOnce(&SerializedFileReader<File>) -> Result<T, Error>,
) -> Result<T, Error> {
    let file = File::open(path).map_err(|source| Error::Io { path: path.into(), source })?;
    let refused = |source| Error::Parquet { path: path.into(), source };
    // What a panic leaves behind is the reader alone, and that is dropped.
    let reader = unharmed(|| SerializedFileReader::new(file)).map_err(refused)?;
    // What a panic leaves behind is the reader alone, and that is dropped.
    unharmed(|| Ok(read(&reader))).map_err(refused)?
}

/// Runs `read`; a panic of the library becomes an error with its words. Nothing that `read` was changing may be used after an error.
pub(crate) fn unharmed<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().map(|words| (*words).to_owned());
        let words = words.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(ParquetError::General(format!("damaged: the Parquet library stopped with `{words}`")))
    })
}
