//! Feature tables survive every format, and wrong ones are refused.

use std::{collections::BTreeMap, error::Error as StdError, fs};

use ndarray::Array2;
use proptest::prelude::*;
use radio_io::{Error, FeatureTable};

type Test = Result<(), Box<dyn StdError>>;

fn table(rows: usize, n_features: usize) -> FeatureTable {
    FeatureTable {
        ids: (0..rows).map(|row| format!("emu_r{row:05}_c00000_s256")).collect(),
        ra_deg: (0..rows).map(|row| row as f64 / 7.0).collect(),
        dec_deg: (0..rows).map(|row| -(row as f64) / 11.0).collect(),
        rms_jy_beam: (0..rows).map(|row| 1e-5 * row as f32).collect(),
        blank_fraction: (0..rows).map(|row| row as f32 / rows as f32).collect(),
        features: Array2::from_shape_fn((rows, n_features), |(row, feature)| (row * 1000 + feature) as f32 / 3.0),
        metadata: BTreeMap::from([
            ("weights".to_owned(), "sha256:abc".to_owned()),
            ("seed".to_owned(), "7".to_owned()),
        ]),
    }
}

#[test]
fn parquet_keeps_every_bit_over_several_row_groups() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("features.parquet");
    let mut written = table(40_000, 3);
    written.write_parquet(&path)?;
    assert_eq!(FeatureTable::read_parquet(&path)?, written);
    assert_eq!(written.columns(), ["id", "ra", "dec", "rms", "blank_fraction", "f000", "f001", "f002"]);
    // NaN means unknown, and must stay NaN.
    written.ra_deg[39_999] = f64::NAN;
    written.write_parquet(&path)?;
    let read = FeatureTable::read_parquet(&path)?;
    assert!(read.ra_deg[39_999].is_nan() && read.ra_deg[39_998] == written.ra_deg[39_998]);
    let empty = table(0, 512);
    empty.write_parquet(&path)?;
    let read = FeatureTable::read_parquet(&path)?;
    assert_eq!((read.features.dim(), read.metadata), ((0, 512), empty.metadata));
    Ok(())
}

#[test]
fn text_formats_read_back_what_was_written() -> Test {
    let folder = tempfile::tempdir()?;
    let (csv, dat) = (folder.path().join("features.csv"), folder.path().join("latent_data.dat"));
    let mut written = table(5, 2);
    written.metadata.clear();
    written.write_csv(&csv)?;
    assert_eq!(FeatureTable::read_csv(&csv)?, written);
    assert!(
        fs::read_to_string(&csv)?
            .starts_with("id,ra,dec,rms,blank_fraction,f000,f001\nemu_r00000_c00000_s256,0,-0,0,0,0,0.33333334\n")
    );
    written.write_ascii(&dat, &[1, -1, 0, 2, 3])?;
    assert!(fs::read_to_string(&dat)?.starts_with("# sname z1 z2 id\nemu_r00000_c00000_s256 0 0.33333334 1\n"));
    let (read, class_ids) = FeatureTable::read_ascii(&dat)?;
    assert_eq!((&read.ids, &read.features, class_ids), (&written.ids, &written.features, vec![1, -1, 0, 2, 3]));
    assert!(read.ra_deg.iter().all(|ra| ra.is_nan()) && read.check().is_ok());
    Ok(())
}

#[test]
fn wrong_tables_are_refused() -> Test {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("features.table");
    let mut lopsided = table(3, 2);
    lopsided.dec_deg.pop();
    let refused = lopsided.write_parquet(&path).err().ok_or("dec is short")?;
    assert!(matches!(refused, Error::TableShape { column: "dec", found: 2, expected: 3 }), "{refused:?}");
    assert!(table(3, 2).write_ascii(&path, &[1]).is_err() && !path.exists());
    for (text, parts) in [
        ("id,ra,rms,blank_fraction,f000\n", &["\"rms\"", "\"dec\""][..]),
        ("id,ra,dec,rms,blank_fraction,f001\n", &["\"f001\"", "\"f000\""]),
        ("", &["\"id\""]),
        ("id,ra,dec,rms,blank_fraction,f000\na,1,2,3,4\n", &["line 2", "5 cells", "expected 6"]),
        ("id,ra,dec,rms,blank_fraction,f000\na,1,2,3,4,x\n", &["line 2", "`x` in column 6", "a number"]),
    ] {
        fs::write(&path, text)?;
        let refused = FeatureTable::read_csv(&path).err().ok_or_else(|| format!("accepted: {text}"))?;
        assert!(matches!(refused, Error::Columns { .. } | Error::Row { line: 2, .. }), "{refused:?}");
        for part in parts.iter().chain(&["features.table"]) {
            assert!(refused.to_string().contains(part), "`{refused}` lacks `{part}`");
        }
    }
    for text in [
        "",
        "sname z1 id\n",
        "# sname z1\n",
        "# name z1 id\n",
        "# sname z1 id\na 1\n",
        "# sname z1 id\na b 0\n",
        "# sname z1 id\na 1 0.5\n",
    ] {
        fs::write(&path, text)?;
        let refused = FeatureTable::read_ascii(&path).err().ok_or_else(|| format!("accepted: {text}"))?;
        assert!(matches!(refused, Error::Columns { .. } | Error::Row { line: 2, .. }), "{refused:?}");
    }
    fs::write(&path, "PAR1 but not really")?;
    let refused = FeatureTable::read_parquet(&path).err().ok_or("no table")?;
    assert!(matches!(refused, Error::Parquet { .. }) && refused.to_string().contains("features.table"), "{refused}");
    Ok(())
}

/// A table whose columns have the right names but other types is not ours.
#[test]
fn columns_of_another_type_are_refused() -> Test {
    use parquet::file::{properties::WriterProperties, writer::SerializedFileWriter};
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("other.parquet");
    let schema = "message m { required binary id; required float ra; required double dec; required float rms; optional float blank_fraction; }";
    let schema = std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema)?);
    SerializedFileWriter::new(fs::File::create(&path)?, schema, std::sync::Arc::new(WriterProperties::default()))?
        .close()?;
    let refused = FeatureTable::read_parquet(&path).err().ok_or("other types")?;
    assert!(matches!(refused, Error::Columns { .. }), "{refused:?}");
    for part in ["other.parquet", "\"ra FLOAT\"", "\"ra DOUBLE\"", "\"blank_fraction FLOAT (optional)\""] {
        assert!(refused.to_string().contains(part), "`{refused}` lacks `{part}`");
    }
    Ok(())
}

/// Found by fuzzing: a page that wants a dictionary which the file lacks made the library panic.
#[test]
fn a_missing_dictionary_is_an_error() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("features.parquet");
    table(3, 4).write_parquet(&path)?;
    let good = fs::read(&path)?;
    let mut stopped = 0;
    // In every page header the encoding (plain, 0) becomes a dictionary's (8 in the zigzag of the format).
    for at in 0..good.len() {
        let mut bytes = good.clone();
        if bytes[at] != 0x10 && bytes[at] != 0x00 {
            continue;
        }
        bytes[at] = 0x10;
        fs::write(&path, bytes)?;
        if let Err(refused) = FeatureTable::read_parquet(&path) {
            stopped += usize::from(refused.source().is_some_and(|why| why.to_string().contains("library stopped")));
        }
    }
    assert!(stopped > 0, "no change of a byte made the library panic any more: this test and the guard can go");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_parquet_files_do_not_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), keep in any::<prop::sample::Index>(), cut in any::<bool>()) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("features.parquet");
        table(4, 2).write_parquet(&path).expect("written");
        let mut bytes = fs::read(&path).expect("read");
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        fs::write(&path, bytes).expect("written");
        if let Ok(read) = FeatureTable::read_parquet(&path) {
            prop_assert!(read.check().is_ok());
        }
    }
}
