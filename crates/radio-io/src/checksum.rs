//! CHECKSUM and DATASUM: whether a file is as it was written.
//!
//! FITS standard 4.0, section 4.4.2.7 and appendix J: the sum of all 32-bit words with the carry added at the low end; CHECKSUM
//! holds, in letters and digits, what makes the sum of the whole unit all ones.

use std::path::Path;

use crate::{
    card::{CARD_BYTES, Card},
    error::FitsError,
    file_bytes::FileBytes,
    hdu::{BLOCK_BYTES, Hdu, walk},
};

/// Bytes of a mapped file that are held at a time.
const PIECE_BYTES: usize = 64 << 20;

/// The sum of bytes that come in pieces.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WordSum {
    sum: u64,
    /// Bytes seen, of which the last ones may be a part of a word.
    bytes: u64,
}

impl WordSum {
    pub fn add(&mut self, bytes: &[u8]) {
        // Up to the next whole word byte by byte.
        let start = bytes.len().min((4 - self.bytes as usize % 4) % 4);
        let (head, words) = bytes.split_at(start);
        self.add_bytes(head);
        let (words, tail) = words.as_chunks::<4>();
        // Below 2^32 words a 64-bit sum of them cannot overflow.
        for part in words.chunks(1 << 24) {
            let part: u64 = part.iter().map(|&word| u64::from(u32::from_be_bytes(word))).sum();
            self.sum = fold(self.sum + u64::from(fold(part))).into();
        }
        self.bytes += 4 * words.len() as u64;
        self.add_bytes(tail);
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let place = 8 * (3 - self.bytes % 4);
            self.sum = fold(self.sum + (u64::from(byte) << place)).into();
            self.bytes += 1;
        }
    }

    pub fn value(&self) -> u32 {
        fold(self.sum)
    }
}

/// Carries go to the low end.
fn fold(mut sum: u64) -> u32 {
    while sum >> 32 != 0 {
        sum = (sum & 0xffff_ffff) + (sum >> 32);
    }
    sum as u32
}

/// The sixteen characters that add what is missing to all ones.
pub(crate) fn encode(sum: u32) -> String {
    let forbidden = |character: u8| (0x3a..=0x40).contains(&character) || (0x5b..=0x60).contains(&character);
    let mut text = [0; 16];
    for (at, byte) in (!sum).to_be_bytes().into_iter().enumerate() {
        // Each byte is the sum of four characters, counted from `0`.
        let mut four = [byte / 4 + b'0'; 4];
        four[0] += byte % 4;
        // Punctuation is avoided by moving pairs apart.
        while four.iter().any(|&character| forbidden(character)) {
            for pair in [0, 2] {
                if forbidden(four[pair]) || forbidden(four[pair + 1]) {
                    four[pair] += 1;
                    four[pair + 1] -= 1;
                }
            }
        }
        for (place, character) in four.into_iter().enumerate() {
            // Strings begin in column 12, one byte before a word does.
            text[(4 * place + at + 1) % 16] = character;
        }
    }
    text.into_iter().map(char::from).collect()
}

/// Cards of a header to be summed: DATASUM known, CHECKSUM all zeros as the standard asks for.
pub(crate) fn checksum_cards(data_sum: u32) -> [Card; 2] {
    [
        Card::new("CHECKSUM", "0".repeat(16), "of the whole unit"),
        Card::new("DATASUM", data_sum.to_string(), "of the data"),
    ]
}

/// Puts the checksum into a header that has the cards of [`checksum_cards`].
pub(crate) fn seal(header: &mut [u8], data: WordSum) {
    let mut sum = data;
    // The data end with a whole word, so the order of the two parts is no matter.
    sum.add(header);
    let text = encode(sum.value());
    for line in header.as_chunks_mut::<CARD_BYTES>().0.iter_mut().filter(|line| line.starts_with(b"CHECKSUM= '")) {
        line[11..27].copy_from_slice(text.as_bytes());
    }
}

/// What a checksum says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChecksumState {
    /// There is none.
    Absent,
    /// The bytes are as they were when it was written.
    Good,
    /// They are not; with the keyword's value and what it should be.
    Wrong {
        /// As in the header.
        found: String,
        /// For the bytes that are there.
        expected: String,
    },
}

/// The checksums of one header-data unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HduChecksum {
    /// Its number, 0 for the primary one.
    pub hdu: usize,
    /// CHECKSUM: header and data.
    pub whole: ChecksumState,
    /// DATASUM: data only.
    pub data: ChecksumState,
}

/// Computes the checksums of all units of a file and compares them with its headers. Reads the whole file.
///
/// # Errors
/// Those of opening a file, and the first header without sense or data that are cut off.
pub fn verify_checksums(path: &Path) -> Result<Vec<HduChecksum>, FitsError> {
    let file = FileBytes::open(path)?;
    let mut checked = Vec::new();
    walk(&file, path, |hdu| {
        hdu.check_end(&file, path)?;
        checked.push(verify(hdu, &file));
        Ok(None::<()>)
    })?;
    Ok(checked)
}

/// The sums of one unit whose data are in the file; data without sums are not read.
pub(crate) fn verify(hdu: &Hdu, file: &FileBytes) -> HduChecksum {
    let data_end = hdu.data_start + hdu.data_bytes as usize;
    // A last block may lack its filling, of zeros for all but text.
    let end = data_end.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES).min(file.len());
    let (mut data, mut whole) = (WordSum::default(), WordSum::default());
    if ["CHECKSUM", "DATASUM"].iter().any(|keyword| hdu.header.text(keyword).is_some()) {
        whole.add(&file[hdu.start..hdu.data_start.min(end)]);
        for start in (hdu.data_start..end).step_by(PIECE_BYTES) {
            let piece = &file[start..end.min(start + PIECE_BYTES)];
            data.add(piece);
            whole.add(piece);
            #[cfg(unix)]
            file.release(start, piece.len());
        }
    }
    let state = |keyword: &str, good: &dyn Fn(&str) -> bool, expected: String| match hdu.header.text(keyword) {
        None => ChecksumState::Absent,
        Some(found) if good(found) => ChecksumState::Good,
        Some(found) => ChecksumState::Wrong { found: found.to_owned(), expected },
    };
    let sum = data.value();
    HduChecksum {
        hdu: hdu.number,
        whole: state(
            "CHECKSUM",
            &|_| matches!(whole.value(), 0 | u32::MAX),
            "one that makes the sum all ones".to_owned(),
        ),
        data: state("DATASUM", &|found| found.parse() == Ok(sum), sum.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;
    use crate::image_writer::write_image;

    #[test]
    fn what_we_write_is_good_and_one_changed_bit_is_not() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("map.fits");
        // Rows of an odd number of bytes, so that words reach over their ends.
        write_image(&path, &Array2::from_shape_fn((31, 7), |(row, col)| (row * 37 + col * 91) as u8), &[])?;
        let good = HduChecksum { hdu: 0, whole: ChecksumState::Good, data: ChecksumState::Good };
        assert_eq!(verify_checksums(&path)?, [good]);
        let bytes = std::fs::read(&path)?;
        for (at, data_is_good) in [(2880 + 100, false), (40, true)] {
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            std::fs::write(&path, changed)?;
            let checked = verify_checksums(&path)?;
            assert!(matches!(checked[0].whole, ChecksumState::Wrong { .. }), "{at}");
            assert_eq!(checked[0].data == ChecksumState::Good, data_is_good, "{at}");
        }
        Ok(())
    }

    #[test]
    fn sums_that_astropy_wrote_are_good() -> Result<(), Box<dyn std::error::Error>> {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/compressed.fits.gz");
        let checked = verify_checksums(&fixture)?;
        assert_eq!(checked.len(), 37);
        assert!(
            checked.iter().all(|hdu| hdu.whole == ChecksumState::Good && hdu.data == ChecksumState::Good),
            "{checked:?}"
        );
        Ok(())
    }

    proptest! {
        #[test]
        fn the_text_adds_up_to_all_ones(sum in any::<u32>(), pieces in prop::collection::vec(0..9_usize, 0..9)) {
            let text = encode(sum);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            // In a card the string begins at byte 11, and a zero stands for nothing.
            let (mut line, mut zeros) = ([0_u8; 32], [0_u8; 32]);
            line[11..27].copy_from_slice(text.as_bytes());
            zeros[11..27].copy_from_slice(&[b'0'; 16]);
            let mut with = WordSum::default();
            let mut rest = line.as_slice();
            for piece in pieces {
                let (now, later) = rest.split_at(piece.min(rest.len()));
                with.add(now);
                rest = later;
            }
            with.add(rest);
            let mut without = WordSum::default();
            without.add(&zeros);
            let added = fold(u64::from(with.value()) + u64::from(!without.value()));
            let total = fold(u64::from(added) + u64::from(sum));
            prop_assert!(matches!(total, 0 | u32::MAX), "{:x}", total);
        }
    }
}
