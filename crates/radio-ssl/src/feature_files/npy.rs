//! NumPy's array file (NEP 1), as far as feature tables need it: written as little-endian `f32` in C order, read as `f32` or `f64`
//! in either byte and index order.
//!
//! Our own few lines, because the libraries for it believe the shape in the header before they look at the file, or bring a
//! dozen crates for a parser of Python literals.
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use ndarray::{Array2, ArrayView2, ShapeBuilder};

use super::FeatureFileError;

const MAGIC: &[u8] = b"\x93NUMPY";

/// Data begin at a multiple of this.
const ALIGNMENT: usize = 64;

/// Writes features `[N, F]` as an array of `f32`, atomically.
///
/// # Errors
/// If the file cannot be written.
pub fn write_npy(path: &Path, features: ArrayView2<f32>) -> Result<()> {
    let (rows, cols) = features.dim();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {cols}), }}");
    // Magic, version and length are 10 bytes; a line feed ends the header.
    let unpadded = MAGIC.len() + 4 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(ALIGNMENT) - unpadded));
    header.push('\n');
    let fill = |file: &mut atomic_file::AtomicFile| {
        file.write_all(MAGIC)?;
        file.write_all(&[1, 0])?;
        file.write_all(&(header.len() as u16).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        features.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))
    };
    atomic_file::write_atomically(path, fill).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads an array of two dimensions of `f32` or `f64`; the latter is rounded.
///
/// # Errors
/// [`FeatureFileError::Npy`] if the file is something else, shorter or longer than its header says; if it cannot be read.
pub fn read_npy(path: &Path) -> Result<Array2<f32>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let wrong = |what, expected: &str, found: String| FeatureFileError::Npy {
        path: path.into(),
        what,
        expected: expected.into(),
        found,
    };
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| wrong("first bytes", "\\x93NUMPY", "others".into()))?;
    let (length_bytes, rest) = match rest {
        [1, _, rest @ ..] => (2, rest),
        [2 | 3, _, rest @ ..] => (4, rest),
        _ => return Err(wrong("version", "1, 2 or 3", format!("{:?}", rest.first())).into()),
    };
    let cut_short = || wrong("header", "a whole one", format!("the end of the file at byte {}", bytes.len()));
    let (length, rest) = rest.split_at_checked(length_bytes).ok_or_else(cut_short)?;
    let length = length.iter().rev().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut_short)?;
    let header = String::from_utf8_lossy(header);
    let entry = |key: &'static str| {
        let (_, rest) = header.split_once(&format!("'{key}':"))?;
        Some(rest.trim_start())
    };
    let missing = |key: &'static str| wrong("header", &format!("'{key}'"), header.trim().to_owned());
    let kind = entry("descr").and_then(quoted).ok_or_else(|| missing("descr"))?;
    let (width, number): (usize, fn(&[u8]) -> f32) = match kind {
        "<f4" => (4, |bytes| f32::from_le_bytes(array(bytes))),
        ">f4" => (4, |bytes| f32::from_be_bytes(array(bytes))),
        "<f8" => (8, |bytes| f64::from_le_bytes(array(bytes)) as f32),
        ">f8" => (8, |bytes| f64::from_be_bytes(array(bytes)) as f32),
        other => return Err(wrong("descr", "<f4, >f4, <f8 or >f8", other.to_owned()).into()),
    };
    let fortran = match entry("fortran_order") {
        Some(text) if text.starts_with("True") => true,
        Some(text) if text.starts_with("False") => false,
        _ => return Err(missing("fortran_order").into()),
    };
    let shape = entry("shape").and_then(|text| text.strip_prefix('(')?.split_once(')')).map(|(shape, _)| shape);
    let shape = shape.ok_or_else(|| missing("shape"))?;
    let sides: Option<Vec<usize>> =
        shape.split(',').map(str::trim).filter(|side| !side.is_empty()).map(|side| side.parse().ok()).collect();
    let Some([rows, cols]) = sides.as_deref() else {
        return Err(wrong("shape", "two dimensions, rows and features", format!("({shape})")).into());
    };
    // The file's own length bounds what is believed.
    if rows.checked_mul(*cols).and_then(|count| count.checked_mul(width)) != Some(data.len()) {
        let expected = format!("{rows} x {cols} values of {width} bytes");
        return Err(wrong("data", &expected, format!("{} bytes", data.len())).into());
    }
    let values: Vec<f32> = data.chunks_exact(width).map(number).collect();
    let array = Array2::from_shape_vec((*rows, *cols).set_f(fortran), values)
        .map_err(|refused| wrong("shape", "one that an array can have", refused.to_string()))?;
    Ok(array.as_standard_layout().into_owned())
}

/// The text between the quotes that `text` begins with.
fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.split_once('\'').map(|(text, _)| text)
}

/// The chunks of a slice have the width that they are read with.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(header: &str, data: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        file.write_all(&bytes).unwrap();
        file
    }

    /// NumPy 2: `np.save(f, np.arange(6, dtype='<f4').reshape(2, 3))`.
    #[test]
    fn the_bytes_are_numpys() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let features = ndarray::arr2(&[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
        write_npy(file.path(), features.view()).unwrap();
        let mut expected =
            b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".to_vec();
        expected.resize(127, b' ');
        expected.push(b'\n');
        expected.extend((0..6).flat_map(|value| (value as f32).to_le_bytes()));
        assert_eq!(std::fs::read(file.path()).unwrap(), expected);
        // A view that is not in C order is written as what it shows.
        write_npy(file.path(), features.t()).unwrap();
        assert_eq!(read_npy(file.path()).unwrap(), features.t());
    }

    #[test]
    fn either_order_and_width() {
        let header = "{'descr': '>f8', 'fortran_order': True, 'shape': (2, 3), }\n";
        let data: Vec<u8> = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0_f64].into_iter().flat_map(f64::to_be_bytes).collect();
        let found = read_npy(file(header, &data).path()).unwrap();
        assert_eq!(found, ndarray::arr2(&[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]));
        assert!(found.is_standard_layout());
    }

    #[test]
    fn hostile_headers_are_refused_with_the_reason() {
        let data = [0; 24];
        for (header, word) in [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }", "24 bytes"),
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }",
                "24 bytes",
            ),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616, 1), }", "two dimensions"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", "two dimensions"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -3), }", "two dimensions"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }", "|O"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }", "'descr'"),
            ("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2, 3), }", "'fortran_order'"),
            ("", "'descr'"),
        ] {
            let error = read_npy(file(header, &data).path()).unwrap_err().to_string();
            assert!(error.contains(word), "{header}: {error}");
        }
        let empty = file("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", &[]);
        assert_eq!(read_npy(empty.path()).unwrap().dim(), (0, 3));
    }

    proptest! {
        /// Any number survives, NaN's bits included; a file cut anywhere is an error.
        #[test]
        fn there_and_back(bits in prop::collection::vec(any::<u32>(), 1..60), cut in any::<prop::sample::Index>()) {
            let values: Vec<f32> = bits.iter().map(|&bits| f32::from_bits(bits)).collect();
            let features = Array2::from_shape_vec((1, values.len()), values).unwrap();
            let file = tempfile::NamedTempFile::new().unwrap();
            write_npy(file.path(), features.view()).unwrap();
            let back = read_npy(file.path()).unwrap();
            prop_assert_eq!(back.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), bits);
            let bytes = std::fs::read(file.path()).unwrap();
            std::fs::write(file.path(), &bytes[..cut.index(bytes.len())]).unwrap();
            prop_assert!(read_npy(file.path()).is_err());
        }
    }
}
