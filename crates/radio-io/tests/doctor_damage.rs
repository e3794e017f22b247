//! Whatever the bytes, the doctor finishes, and never with a panic.

use std::sync::OnceLock;

use ndarray::Array2;
use proptest::prelude::*;
use radio_io::{Card, Wcs, doctor::examine, write_gray_png, write_image};

/// A good file of each kind.
fn good_files() -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("map.fits");
    let mut cards = Wcs::north_up("SIN", (201.4, -43.0), (3.0, 4.0), 2.0)?.cards();
    cards.extend([Card::new("BMAJ", 0.004, ""), Card::new("BUNIT", "Jy/beam", ""), Card::new("EPOCH", 2000.0, "")]);
    write_image(&path, &Array2::from_shape_fn((7, 9), |(row, col)| (row * col) as f32 * 0.3), &cards)?;
    let mut files = vec![std::fs::read(&path)?];
    write_gray_png(&path, &Array2::from_shape_fn((9, 9), |(row, col)| (row * col) as u8))?;
    files.push(std::fs::read(&path)?);
    let table = folder.path().join("table.csv");
    std::fs::write(&table, "id,ra,dec\na,10.0,-20.0\nb,11.0,20.0\n")?;
    for name in ["a.xml", "a.fits", "a.parquet"] {
        radio_io::Table::read(&table)?.write(&folder.path().join(name))?;
        files.push(std::fs::read(folder.path().join(name))?);
    }
    let texts = [
        "id,ra,dec\na,10.0,-20.0\nb,11.0,20.0\n",
        "name = \"s\"\n[[mosaics]]\npath = \"map.fits\"\n[frames]\nsize = 32\nstep = 16\nedge = \"drop\"\nmax_blank_fraction = 0.3\n",
        "{\"data\": [{\"filepaths\": [\"a.fits\"], \"sname\": \"A\", \"id\": 1}]}",
        "{\"images\": [{\"id\": 1, \"file_name\": \"a\", \"width\": 8, \"height\": 6}], \"categories\": [{\"id\": 1, \"name\": \"c\"}], \"annotations\": [{\"id\": 5, \"image_id\": 1, \"category_id\": 1, \"bbox\": [0, 0, 2, 2], \"segmentation\": {\"size\": [6, 8], \"counts\": [48]}}]}",
        "a.json\nb.json\n",
        "# Region file format: DS9 version 4.1\nglobal color=green\nfk5\ncircle(10,20,5\")\n",
        "#CRTFv0\ncircle [[10deg, 20deg], 5arcsec], coord=J2000\n",
        "frame,labels\na_r00128_c00256_s256,COMPACT\n",
    ];
    files.extend(texts.iter().map(|text| text.as_bytes().to_vec()));
    Ok(files)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_examined(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        keep in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        static FILES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
        let files = FILES.get_or_init(|| good_files().expect("good files"));
        let mut bytes = which.get(files).clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &bytes).expect("written");
        let report = examine(file.path(), |_| None).expect("can be opened");
        prop_assert!(report.facts.len() < 1000 && report.findings.len() < 1000);
    }

    #[test]
    fn any_bytes_are_examined(start in prop::sample::select(vec!["", "SIMPLE  =", "\u{1f}", "{", "#CRTF", "PAR1", "<VOTABLE", "global a=b\n"]), rest in prop::collection::vec(any::<u8>(), 0..3000)) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), [start.as_bytes(), &rest].concat()).expect("written");
        prop_assert!(examine(file.path(), |_| None).is_ok());
    }
}
