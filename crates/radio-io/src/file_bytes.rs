//! The bytes of a FITS file: mapped into memory, `.fits.gz` first inflated into an anonymous temporary file.
//!
//! A map of a file that another program shortens ends the process on the first touch of the lost part. So the length is asked
//! for again before each window is read (one `stat` by name, about a microsecond, so that no file is kept open), which leaves
//! only the moment of reading itself.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    ops::Deref,
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;
use memmap2::Mmap;

use crate::{
    error::FitsError,
    hdu::{BLOCK_BYTES, declared_bytes},
};

/// Most bytes a `.fits.gz` may inflate to.
pub const MOST_INFLATED_BYTES: u64 = 1 << 36;

/// A header that has not ended after so many bytes is none: 26,000 cards.
const MOST_HEADER_BYTES: usize = 1 << 21;

/// Deflate packs at most 1032 bytes into one.
const MOST_DEFLATED: u64 = 1032;

/// A file in memory.
#[derive(Debug)]
pub(crate) struct FileBytes {
    map: Mmap,
    /// `None` for an inflated copy, which nobody else can reach.
    on_disk: Option<OnDisk>,
}

#[derive(Debug)]
struct OnDisk {
    /// Absolute, lest a change of folder leads to another file.
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl FileBytes {
    /// Maps a file; one that begins as gzip files do is inflated first.
    pub fn open(path: &Path) -> Result<Self, FitsError> {
        let refused = |source| FitsError::Io { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(refused)?;
        // SAFETY: the map is private and read-only, and `check_length` runs before each use. What remains is a file that
        // another program shortens while a window is being read: the process ends then. Mosaics are written once, and ours
        // appear atomically.
        let map = unsafe { Mmap::map(&file) }.map_err(refused)?;
        if map.starts_with(&[0x1f, 0x8b]) {
            let inflated = inflate(&map, path)?;
            // SAFETY: the file has no name and belongs to this process alone.
            let map = unsafe { Mmap::map(&inflated) }.map_err(refused)?;
            return Ok(Self { map, on_disk: None });
        }
        let identity = identity(&file.metadata().map_err(refused)?);
        let path = std::path::absolute(path).map_err(refused)?;
        Ok(Self { map, on_disk: Some(OnDisk { path, identity }) })
    }

    /// Whether the file still has the bytes that were mapped. A file put in place of ours, or a deleted one, is no matter:
    /// the map keeps the old one.
    pub fn check_length(&self) -> Result<(), FitsError> {
        let Some(OnDisk { path, identity: ours }) = &self.on_disk else { return Ok(()) };
        let (expected, now) = (self.map.len() as u64, std::fs::metadata(path));
        match now {
            Ok(now) if now.len() < expected && identity(&now) == *ours => {
                Err(FitsError::Shortened { path: path.clone(), expected, found: now.len() })
            }
            _ => Ok(()),
        }
    }

    /// Lets `length` bytes from `start` on leave the memory; touching them reads them again.
    #[cfg(unix)]
    pub fn release(&self, start: usize, length: usize) {
        let start = start.min(self.map.len());
        let length = length.min(self.map.len() - start);
        // SAFETY: a shared read-only map of a file: a page that was let go is read from the file again when it is next
        // touched. A refusal costs memory, not data.
        let _ = unsafe { self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, length) };
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

/// Device and number of a file, where the operating system has such.
#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> Option<(u64, u64)> {
    None
}

/// Inflates gzip members into a file without a name. No more is written than the FITS headers inside announce: what they ask
/// for is known, and refused if absurd, before the pixels are inflated.
fn inflate(gzip: &[u8], path: &Path) -> Result<File, FitsError> {
    let refused = |source| FitsError::Io { path: path.to_path_buf(), source };
    let most = MOST_INFLATED_BYTES.min((gzip.len() as u64).saturating_mul(MOST_DEFLATED));
    let mut target = io::BufWriter::with_capacity(1 << 18, tempfile::tempfile().map_err(refused)?);
    let mut inflater = BufReader::with_capacity(1 << 18, MultiGzDecoder::new(gzip));
    let broken = |source: io::Error| FitsError::Gzip { path: path.to_path_buf(), reason: source.to_string() };
    let (mut hdu, mut written) = (0, 0_u64);
    loop {
        // Header blocks of one header-data unit.
        let mut header = Vec::new();
        let announced = loop {
            let before = header.len();
            (&mut inflater).take(BLOCK_BYTES as u64).read_to_end(&mut header).map_err(broken)?;
            let starts_unit = header.starts_with(if hdu == 0 { b"SIMPLE  " } else { b"XTENSION" });
            let got = header.len() - before;
            if !starts_unit || got < BLOCK_BYTES || header.len() >= MOST_HEADER_BYTES {
                // Not FITS, or cut short: reading it as FITS says what is wrong.
                break None;
            }
            if let Some(bytes) = declared_bytes(&header, hdu, path)? {
                break Some(bytes);
            }
        };
        target.write_all(&header).map_err(refused)?;
        written += header.len() as u64;
        let Some(data_bytes) = announced else { break };
        let padded = data_bytes.div_ceil(BLOCK_BYTES as u64).saturating_mul(BLOCK_BYTES as u64);
        if written.saturating_add(data_bytes) > most {
            return Err(FitsError::InflatedTooLarge {
                path: path.to_path_buf(),
                hdu,
                expected: most,
                found: written.saturating_add(data_bytes),
            });
        }
        let copied = io::copy(&mut (&mut inflater).take(padded), &mut target).map_err(broken)?;
        written += copied;
        hdu += 1;
        if copied < padded {
            break;
        }
    }
    target.into_inner().map_err(|error| refused(error.into_error()))
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};
    use ndarray::{Array2, array};

    use super::*;
    use crate::{image_writer::write_image, mosaic::Mosaic};

    type Test = Result<(), Box<dyn std::error::Error>>;

    fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes)?;
        encoder.finish()
    }

    #[test]
    fn a_gzipped_map_reads_like_the_plain_one_also_in_several_members() -> Test {
        let folder = tempfile::tempdir()?;
        let (plain, packed) = (folder.path().join("map.fits"), folder.path().join("map.fits.gz"));
        let pixels = Array2::from_shape_fn((70, 50), |(row, col)| (100 * row + col) as f32);
        write_image(&plain, &pixels, &[])?;
        let bytes = std::fs::read(&plain)?;
        std::fs::write(&packed, gzip(&bytes)?)?;
        assert_eq!(Mosaic::open(&packed)?.full()?, pixels);
        let members = [gzip(&bytes[..4000])?, gzip(&bytes[4000..])?].concat();
        std::fs::write(&packed, members)?;
        let mosaic = Mosaic::open(&packed)?;
        // The inflated copy is ours: the gzip file may go.
        std::fs::write(&packed, [])?;
        assert_eq!(mosaic.window(69, 48, 1, 2)?, array![[6948.0, 6949.0]]);
        Ok(())
    }

    #[test]
    fn a_bomb_is_refused_from_its_header_and_a_cut_stream_said_so() -> Test {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("bomb.fits.gz");
        let mut bomb = Vec::new();
        for line in ["SIMPLE  = T", "BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 4000000", "NAXIS2  = 4000000", "END"] {
            bomb.extend(format!("{line:<80}").as_bytes());
        }
        bomb.resize(BLOCK_BYTES, b' ');
        bomb.resize(1 << 22, 0);
        std::fs::write(&path, gzip(&bomb)?)?;
        let refused = Mosaic::open(&path).expect_err("64 TB");
        assert!(
            matches!(refused, FitsError::InflatedTooLarge { hdu: 0, found: 64_000_000_002_880, .. }),
            "{refused:?}"
        );
        // A header that never ends is not written out either.
        let endless = [b"SIMPLE  = T".to_vec(), vec![b' '; 1 << 24]].concat();
        std::fs::write(&path, gzip(&endless)?)?;
        let refused = Mosaic::open(&path).expect_err("no END");
        assert!(matches!(refused, FitsError::BadHeader { .. }), "{refused:?}");
        let map = folder.path().join("map.fits");
        write_image(&map, &Array2::from_shape_fn((70, 50), |(row, col)| (row * col) as f32), &[])?;
        let whole = gzip(&std::fs::read(&map)?)?;
        std::fs::write(&path, &whole[..whole.len() / 2])?;
        let refused = Mosaic::open(&path).expect_err("cut");
        assert!(matches!(refused, FitsError::Gzip { .. }) && refused.to_string().contains("bomb.fits.gz"), "{refused}");
        // Trailing rubbish behind the last unit costs nothing.
        let mut longer = std::fs::read(&map)?;
        longer.resize(longer.len() + (1 << 20), b'x');
        std::fs::write(&path, gzip(&longer)?)?;
        assert_eq!(Mosaic::open(&path)?.rows(), 70);
        Ok(())
    }

    #[test]
    fn a_map_that_was_shortened_is_an_error_and_one_that_was_replaced_is_not() -> Test {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("map.fits");
        write_image(&path, &Array2::<f32>::ones((100, 100)), &[])?;
        let mosaic = Mosaic::open(&path)?;
        // Ours appear by renaming: the map keeps the file it has.
        write_image(&path, &Array2::<f32>::zeros((2, 2)), &[])?;
        assert_eq!(mosaic.window(99, 99, 1, 1)?, array![[1.0]]);
        write_image(&path, &Array2::<f32>::ones((100, 100)), &[])?;
        let mosaic = Mosaic::open(&path)?;
        File::options().write(true).open(&path)?.set_len(5760)?;
        let refused = mosaic.window(99, 99, 1, 1).expect_err("bytes are gone");
        assert!(matches!(refused, FitsError::Shortened { found: 5760, .. }), "{refused:?}");
        Ok(())
    }
}
