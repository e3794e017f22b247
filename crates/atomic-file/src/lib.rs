//! Files that appear whole or not at all: written beside their final place, synced, then renamed.
//!
//! A run that is killed leaves the former file, never half of the new one.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// A file under a temporary name in the folder of its final one. Dropped without [`AtomicFile::commit`], it disappears.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    writer: BufWriter<NamedTempFile>,
}

impl AtomicFile {
    /// Opens a temporary file in the folder of `target`, which must exist.
    ///
    /// # Errors
    /// What the operating system says, for instance when the folder does not exist.
    pub fn create(target: &Path) -> io::Result<Self> {
        let temporary = builder().tempfile_in(folder_of(target))?;
        Ok(Self { target: target.to_path_buf(), writer: BufWriter::with_capacity(1 << 16, temporary) })
    }

    /// Writes the contents to the disk and gives the file its name, over a former one.
    ///
    /// # Errors
    /// What the operating system says; the former file, if any, is then still there.
    pub fn commit(self) -> io::Result<()> {
        let temporary = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        temporary.as_file().sync_all()?;
        temporary.persist(&self.target).map_err(|refused| refused.error)?;
        // The name itself is on the disk only once the folder is; some file systems cannot sync one, which costs no data.
        if let Ok(folder) = File::open(folder_of(&self.target)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// For formats whose first bytes depend on the last ones, such as a checksum in a header.
impl Seek for AtomicFile {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.writer.seek(place)
    }
}

/// Writes a whole file atomically: `fill` gets the temporary file, and what it wrote appears under `target`.
///
/// # Errors
/// What the operating system or `fill` says; the former file, if any, is then still there.
pub fn write_atomically(target: &Path, fill: impl FnOnce(&mut AtomicFile) -> io::Result<()>) -> io::Result<()> {
    let mut file = AtomicFile::create(target)?;
    fill(&mut file)?;
    file.commit()
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// How the names of temporary files begin; one that stays behind belongs to a process that was killed.
pub const TEMPORARY_PREFIX: &str = ".writing-";

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX);
    // Temporary files are private by default; ours becomes the result, so it gets what the user's umask allows.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_former_file_and_nothing_else() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let target = folder.path().join("table.csv");
        write_atomically(&target, |file| file.write_all(b"old"))?;
        let failed = write_atomically(&target, |file| {
            file.write_all(b"new, but")?;
            Err(io::Error::other("the sky fell"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&target)?, b"old");
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 1, "a temporary file was left behind");
        write_atomically(&target, |file| file.write_all(b"new"))?;
        assert_eq!(std::fs::read(&target)?, b"new");
        Ok(())
    }
}
