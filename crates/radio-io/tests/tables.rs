//! Tables survive every format, files of other libraries give their values, and damaged files give errors.
//!
//! What is written here was also opened once by other libraries, values compared: VOTable by astropy 8.0.2 with
//! `verify="exception"`, FITS by astropy after `verify("exception")`, Parquet by pyarrow 26.0.1 and pandas 3.1.1; and files
//! of theirs (BINARY, BINARY2, scaled, unsigned, variable-length, dictionary, gzip) by this crate.

#![allow(clippy::expect_used, reason = "a test helper that fails is a test that fails")]

use std::{error::Error as StdError, path::Path};

use proptest::prelude::*;
use radio_io::{Arrays, Column, ColumnData, Error, Table, TableChoice, table::TextOptions};

type Outcome = Result<(), Box<dyn StdError>>;

fn text(path: &Path, contents: &str) -> Result<Table, Error> {
    std::fs::write(path, contents).expect("can be written");
    Table::read(path)
}

/// A table of one row per number, whose values differ with the seed.
fn sample(rows: usize, seed: u64, with_arrays: bool) -> Table {
    let mix = |row: usize, salt: u64| {
        (row as u64 + 1).wrapping_mul(seed | 1).wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    let real = |row: usize| f64::from_bits(mix(row, 1) & !(1 << 62)) * 3.0 + 0.1;
    let words = ["", "a", "b c", " lead", "x,y;z|w", "q\"uo'te", "<&>]]>", "#5", "null", "1e5"];
    let int = |row: usize| (mix(row, 2) % 5 != 0).then_some(mix(row, 3) as i64 >> (row % 60));
    let truth = |row: usize| [Some(true), Some(false), None][mix(row, 4) as usize % 3];
    let mut columns = vec![
        // The first row keeps text columns text, whole numbers whole and real numbers real in formats without types.
        Column::new(
            "name",
            ColumnData::Text(
                (0..rows)
                    .map(
                        |row| if row == 0 { "J1".into() } else { words[mix(row, 5) as usize % words.len()].to_owned() },
                    )
                    .collect(),
            ),
        ),
        Column::new("n", ColumnData::Int((0..rows).map(|row| if row == 0 { Some(7) } else { int(row) }).collect())),
        Column::new("ra", ColumnData::Float((0..rows).map(|row| if row == 0 { 0.5 } else { real(row) }).collect()))
            .with_unit("deg"),
        Column::new(
            "good",
            ColumnData::Bool((0..rows).map(|row| if row == 0 { Some(true) } else { truth(row) }).collect()),
        ),
    ];
    columns[2].description = Some("right ascension, \"J2000\" <deg>".to_owned());
    columns[2].ucd = Some("pos.eq.ra;meta.main".to_owned());
    if with_arrays {
        let lengths = |row: usize| mix(row, 6) as usize % 4;
        let floats: Arrays<f64> = (0..rows).map(|row| (0..lengths(row)).map(|at| real(row + at)).collect()).collect();
        let singles: Arrays<f32> = (0..rows).map(|row| (0..3).map(|at| real(row + at) as f32).collect()).collect();
        let ints: Arrays<Option<i64>> =
            (0..rows).map(|row| (0..lengths(row)).map(|at| int(row + at)).collect()).collect();
        let truths: Arrays<Option<bool>> = (0..rows).map(|row| (0..2).map(|at| truth(row + at)).collect()).collect();
        columns.push(Column::new("single", ColumnData::Float32((0..rows).map(|row| real(row) as f32).collect())));
        columns.push(Column::new("floats", ColumnData::Floats(floats)));
        columns.push(Column::new("singles", ColumnData::Floats32(singles)));
        columns.push(Column::new("ints", ColumnData::Ints(ints)));
        columns.push(Column::new("truths", ColumnData::Bools(truths)));
    }
    Table::new(columns).expect("a table")
}

/// Equal, NaN being equal to NaN and numbers bit for bit.
fn same(a: &Table, b: &Table) -> bool {
    a.rows() == b.rows() && format!("{:?}", a.columns) == format!("{:?}", b.columns)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn typed_formats_keep_every_bit(rows in 0_usize..40, seed in any::<u64>()) {
        let folder = tempfile::tempdir().expect("a folder");
        let table = sample(rows, seed, true);
        for name in ["t.vot", "t.fits", "t.parquet"] {
            let path = folder.path().join(name);
            table.write(&path).expect(name);
            let again = Table::read(&path).expect(name);
            prop_assert!(same(&table, &again), "{}:\n{:?}\n{:?}", name, table, again);
        }
    }

    #[test]
    fn text_formats_keep_every_bit(rows in 2_usize..40, seed in any::<u64>()) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut table = sample(rows, seed, false);
        for column in &mut table.columns {
            (column.unit, column.description, column.ucd) = (None, None, None);
        }
        for name in ["t.csv", "t.tsv", "t.dat"] {
            let path = folder.path().join(name);
            table.write(&path).expect(name);
            let again = Table::read(&path).expect(name);
            prop_assert!(same(&table, &again), "{}:\n{:?}\n{:?}", name, table, again);
        }
    }

    #[test]
    fn damage_is_an_error_or_another_table(
        kind in 0_usize..4,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(["t.vot", "t.fits", "t.parquet", "t.csv"][kind]);
        sample(7, 3, true).write(&path).expect("can be written");
        let mut bytes = std::fs::read(&path).expect("can be read");
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(table) = Table::from_bytes(bytes, &path, &TableChoice::First) {
            table.check().expect("a table that is whole");
        }
    }
}

#[test]
fn files_cut_short_are_never_read_as_shorter_tables() -> Outcome {
    let folder = tempfile::tempdir()?;
    let table = sample(300, 5, true);
    for name in ["t.vot", "t.fits", "t.parquet"] {
        let path = folder.path().join(name);
        table.write(&path)?;
        let bytes = std::fs::read(&path)?;
        // The last block of a FITS file may lack its filling, so its end is no test.
        let most = if name == "t.fits" { bytes.len() - 2880 } else { bytes.len() - 2 };
        for length in (0..most).step_by(most / 97) {
            assert!(
                Table::from_bytes(bytes[..length].to_vec(), &path, &TableChoice::First).is_err(),
                "{name} {length}"
            );
        }
    }
    Ok(())
}

#[test]
fn text_tables_of_many_kinds() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("t.csv");
    let table = text(&path, "\u{feff}id, ra ,name\r\n# a remark\r\n1, 2.5, FRI\r\n\r\n2,-3, FRII\r\n")?;
    assert_eq!(table.names(), ["id", "ra", "name"]);
    assert_eq!(table.numbers("ra")?, [2.5, -3.0]);
    assert_eq!(table.texts("name")?[0], "FRI");
    let table = text(&path, "x;y\n1,5;2\n1,6;3\n")?;
    assert_eq!((table.texts("x")?[0].as_str(), table.numbers("y")?[1]), ("1,5", 3.0));
    let table = text(&path, "x,x,x_2\n1,2,3\n")?;
    assert_eq!(table.names(), ["x", "x_3", "x_2"]);
    let table = text(&path, "name,z\na,\nb,0.5\nc,NA\n")?;
    assert!(table.numbers("z")?[0].is_nan() && table.numbers("z")?[2].is_nan());
    let table = text(&path, "id,n\n007,1\n012,\n")?;
    assert_eq!((table.texts("id")?[0].as_str(), table.column("n")?.integers()), ("007", Some(&[Some(1), None][..])));
    let table = text(&path, "name,n\n\"two\nlines\",1\n")?;
    assert_eq!(table.texts("name")?[0], "two\nlines");
    let table = text(&folder.path().join("t.dat"), "# by hand\n#\n# sname z1 z2 id\n a 1 2 3\n b 1.5 2 3\n")?;
    assert_eq!((table.names().len(), table.numbers("z1")?[1]), (4, 1.5));
    let table = text(&folder.path().join("t.txt"), "1 2 3\n4 5 6\n")?;
    assert_eq!((table.names(), table.rows()), (vec!["col1".to_owned(), "col2".into(), "col3".into()], 2));
    assert_eq!(text(&path, "a,b\n")?.rows(), 0);
    let table = text(&folder.path().join("none.dat"), "# sname id score\n")?;
    assert_eq!((table.names().len(), table.rows()), (3, 0));
    Ok(())
}

#[test]
fn mistakes_in_text_name_line_and_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bad.csv");
    for (contents, parts) in [
        ("a,b\n1,2\n3\n", &["bad.csv, line 3, column `b`", "1 cells", "2 as in the header"][..]),
        ("a,b\n1,2,3\n", &["line 2", "3 cells"]),
        ("# c\n\na,b\n1,2\n\"x\ny\",2\n1\n", &["line 7"]),
        ("a,b\n1,\"2\n3,4\n", &["line 2", "never closed"]),
        ("# only\n", &["no line but comments"]),
        ("a,b\n1,\0\n", &["binary"]),
        ("", &["empty file"]),
        ("<html><body>", &["no VOTable"]),
    ] {
        let refused = text(&path, contents).expect_err(contents).to_string();
        for part in parts {
            assert!(refused.contains(part), "{contents:?}: `{refused}` lacks `{part}`");
        }
    }
    std::fs::write(&path, b"a,b\n1,caf\xe9\n").expect("can be written");
    let refused = Table::read_text(&path, &TextOptions::default()).expect_err("Latin-1").to_string();
    assert!(refused.contains("line 2") && refused.contains("0xe9"), "{refused}");
}

#[test]
fn gzipped_tables_are_read_and_bombs_are_not() -> Outcome {
    use std::io::Write;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("t.csv.gz");
    let mut writer = flate2::write::GzEncoder::new(std::fs::File::create(&path)?, flate2::Compression::fast());
    writer.write_all(b"ra,dec\n1.5,2.5\n")?;
    writer.finish()?;
    assert_eq!(Table::read(&path)?.numbers("dec")?, [2.5]);
    let bytes = std::fs::read(&path)?;
    std::fs::write(&path, &bytes[..bytes.len() - 9])?;
    assert!(matches!(Table::read(&path), Err(Error::Io { .. })));
    Ok(())
}

/// One row of each kind, as astropy 8.0.2 writes it with `tabledata_format="binary2"` and `"binary"`: the bytes of the stream.
fn votable(fields: &str, data: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><VOTABLE version=\"1.4\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\"><RESOURCE><TABLE>{fields}<DATA>{data}</DATA></TABLE></RESOURCE></VOTABLE>"
    )
}

#[test]
fn streams_of_votables() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("t.vot");
    let fields = "<FIELD name='i' datatype='int'><VALUES null='-1'/></FIELD><FIELD name='s' datatype='char' arraysize='*'/>\
        <FIELD name='v' datatype='float' arraysize='2'/><FIELD name='b' datatype='boolean'/><FIELD name='u' datatype='unicodeChar' arraysize='2'/>\
        <FIELD name='z' datatype='unsignedByte'/>";
    // 7, "ab", (1.5, -2), T, "é\0", 200; then -1 (null), "", (0, 0), ?, "xy", 1.
    let bytes = "AAAAB wAAAAJhYj/AAADAAAAAVADpAADI/////wAAAAAAAAAAAAAAAD8AeAB5AQ==";
    let table =
        text(&path, &votable(fields, &format!("<BINARY><STREAM encoding='base64'>\n{bytes}\n</STREAM></BINARY>")))?;
    assert_eq!(table.rows(), 2);
    assert_eq!(table.column("i")?.integers(), Some(&[Some(7), None][..]));
    assert_eq!(
        (table.texts("s")?, table.texts("u")?),
        (&["ab".to_owned(), String::new()][..], &["é".to_owned(), "xy".into()][..])
    );
    assert_eq!(table.column("v")?.cell(0), "1.5;-2.0");
    assert_eq!(table.column("b")?.data, ColumnData::Bool(vec![Some(true), None]));
    assert_eq!(table.numbers("z")?, [200.0, 1.0]);
    // BINARY2: the same rows, a byte of flags before each; the second has `i`, `s` and `z` null.
    let bytes = "AAAAAAcAAAACYWI/wAAAwAAAAFQA6QAAyMT/////AAAAAAAAAAAAAAAAPwB4AHkB";
    let table =
        text(&path, &votable(fields, &format!("<BINARY2><STREAM encoding='base64'>{bytes}</STREAM></BINARY2>")))?;
    assert_eq!(
        (table.column("i")?.integers(), table.column("z")?.integers()),
        (Some(&[Some(7), None][..]), Some(&[Some(200), None][..]))
    );
    let cut = votable(fields, &format!("<BINARY2><STREAM encoding='base64'>{}</STREAM></BINARY2>", &bytes[..60]));
    let refused = text(&path, &cut).expect_err("cut").to_string();
    assert!(refused.contains("row 2, column `u`") && refused.contains("stream ends"), "{refused}");
    Ok(())
}

#[test]
fn votables_with_traps() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trap.vot");
    let field = "<FIELD name='n' datatype='int'/>";
    let rows = |cell: &str| format!("<TABLEDATA><TR><TD>{cell}</TD></TR></TABLEDATA>");
    let bomb =
        votable(field, &rows("&b;")).replace("<VOTABLE", "<!DOCTYPE x [<!ENTITY a '1'><!ENTITY b '&a;&a;'>]><VOTABLE");
    for (contents, part) in [
        (bomb, "the entity &b;"),
        (votable(field, &rows("x")), "line 1, column `n`: `x`"),
        (votable(field, &rows("99999999999999999999")), "64 bits"),
        (votable(field, "<TABLEDATA><TR></TR></TABLEDATA>"), "row of 0 cells"),
        (votable(field, "<TABLEDATA><TR><TD>1</TD><TD>2</TD></TR></TABLEDATA>"), "more cells"),
        (votable("<FIELD name='n' datatype='quark'/>", &rows("1")), "datatype `quark`"),
        (votable("<FIELD name='n' datatype='int' arraysize='9999999999999999999999'/>", &rows("1")), "arraysize"),
        (votable("<FIELD name='n' datatype='int' arraysize='2'/>", &rows("1 2 3")), "3 numbers"),
        (votable(field, "<BINARY><STREAM href='file:///etc/passwd'/></BINARY>"), "another file"),
        (votable(field, "<BINARY><STREAM encoding='gzip'>AAAA</STREAM></BINARY>"), "encoding `gzip`"),
        (votable(field, "<BINARY><STREAM encoding='base64'>A*AA</STREAM></BINARY>"), "base64"),
        (votable("<FIELD name='n' datatype='int' arraysize='*'/>", "<BINARY><STREAM encoding='base64'>f////w==</STREAM></BINARY>"), "stream ends"),
        (votable("<FIELD name='n' datatype='int' arraysize='0'/>", "<BINARY><STREAM encoding='base64'>AAAA</STREAM></BINARY>"), "rows without a single byte"),
        (votable(field, "<FITS><STREAM encoding='base64'>AAAA</STREAM></FITS>"), "FITS"),
        ("<VOTABLE><RESOURCE><INFO name='QUERY_STATUS' value='ERROR'>no such &lt;table&gt;</INFO></RESOURCE></VOTABLE>".to_owned(), "no such <table>"),
        ("<VOTABLE><RESOURCE></VOTABLE>".to_owned(), "well-formed"),
        ("<VOTABLE><RESOURCE></RESOURCE></VOTABLE>".to_owned(), "no table"),
    ] {
        let refused = text(&path, &contents).expect_err(&contents).to_string();
        assert!(refused.contains(part), "{contents}\n`{refused}` lacks `{part}`");
    }
}

#[test]
fn one_of_several_tables_is_chosen() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("many.vot");
    let table = |name: &str, rows: &str| {
        format!(
            "<RESOURCE><TABLE ID='id_{name}' name='{name}'><FIELD name='n' datatype='int'/><DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE>"
        )
    };
    let nested = format!(
        "<VOTABLE><COOSYS system='ICRS'/><RESOURCE>{}{}</RESOURCE>{}<INFO name='QUERY_STATUS' value='OVERFLOW'/></VOTABLE>",
        table("none", ""),
        table("first", "<TR><TD>1</TD></TR>"),
        table("second", "<TR><TD>2</TD></TR>")
    );
    let first = text(&path, &nested)?;
    assert_eq!((first.name.as_deref(), first.numbers("n")?), (Some("first"), vec![1.0]));
    assert_eq!((first.metadata["COOSYS"].as_str(), first.metadata["QUERY_STATUS"].as_str()), ("ICRS", "OVERFLOW"));
    assert_eq!(Table::read_choice(&path, &TableChoice::Number(2))?.numbers("n")?, [2.0]);
    assert_eq!(Table::read_choice(&path, &TableChoice::Name("id_second".into()))?.numbers("n")?, [2.0]);
    assert_eq!(Table::read_choice(&path, &TableChoice::Number(0))?.rows(), 0);
    let refused = Table::read_choice(&path, &TableChoice::Name("third".into())).expect_err("no such").to_string();
    assert!(refused.contains("`third`") && refused.contains("second"), "{refused}");
    Ok(())
}

/// A FITS file of one binary table, from cards and data.
fn fits_table(cards: &[&str], data: &[u8]) -> Vec<u8> {
    let block = |cards: &[&str]| {
        let mut bytes: Vec<u8> =
            cards.iter().chain(&["END"]).flat_map(|card| format!("{card:<80}").into_bytes()).collect();
        bytes.resize(bytes.len().next_multiple_of(2880), b' ');
        bytes
    };
    let mut file =
        block(&["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0"]);
    file.extend(block(cards));
    file.extend(data);
    file.resize(file.len().next_multiple_of(2880), 0);
    file
}

#[test]
fn fits_columns_are_scaled_shifted_and_bounded() -> Outcome {
    let path = Path::new("t.fits");
    let head = ["XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 15", "NAXIS2  = 2", "GCOUNT  = 1"];
    let columns = [
        "PCOUNT  = 6",
        "TFIELDS = 5",
        "TFORM1  = 'I'",
        "TZERO1  = 32768",
        "TTYPE1  = 'u16'",
        "TFORM2  = 'B'",
        "TZERO2  = -128",
        "TTYPE2  = 'i8'",
        "TFORM3  = 'I'",
        "TSCAL3  = 0.5",
        "TNULL3  = -9",
        "TTYPE3  = 'scaled'",
        "TFORM4  = '2A'",
        "TTYPE4  = 'word'",
        "TFORM5  = '1PI(2)'",
        "TTYPE5  = 'var'",
    ];
    let cards: Vec<&str> = head.iter().chain(&columns).copied().collect();
    let mut data = Vec::new();
    for (u16_raw, i8_raw, scaled, word, (count, offset)) in
        [(-32768_i16, 0_u8, 3_i16, b"a ", (2_i32, 2_i32)), (32767, 255, -9, b"b\0", (1, 0))]
    {
        data.extend(u16_raw.to_be_bytes());
        data.push(i8_raw);
        data.extend(scaled.to_be_bytes());
        data.extend(word);
        data.extend(count.to_be_bytes());
        data.extend(offset.to_be_bytes());
    }
    data.extend([0, 1, 0, 2, 0xff, 0xfd]);
    let table = Table::from_bytes(fits_table(&cards, &data), path, &TableChoice::First)?;
    assert_eq!((table.numbers("u16")?, table.numbers("i8")?), (vec![0.0, 65535.0], vec![-128.0, 127.0]));
    assert!(table.numbers("scaled")?[0] == 1.5 && table.numbers("scaled")?[1].is_nan());
    assert_eq!(table.texts("word")?, ["a", "b"]);
    assert_eq!((table.column("var")?.cell(0), table.column("var")?.cell(1)), ("2;-3".to_owned(), "1".to_owned()));
    for (from, to, part) in [
        ("PCOUNT  = 6", "PCOUNT  = 4", "byte 2 of the heap"),
        ("TFORM4  = '2A'", "TFORM4  = '9A'", "15 bytes of a row"),
        ("TFORM3  = 'I'", "TFORM3  = 'Y'", "TFORM3"),
        ("TFORM3  = 'I'", "TFORM3  = '99999999999999999I'", "TFORM3"),
        ("TFIELDS = 5", "TFIELDS = -5", "TFIELDS"),
        ("NAXIS2  = 2", "NAXIS2  = 4000000000000", "ends early"),
        ("PCOUNT  = 6", "PCOUNT  = 9000000000000000000", "ends early"),
        ("NAXIS1  = 15", "NAXIS1  = 4000000000000000000", "ends early"),
    ] {
        let bad: Vec<&str> = cards.iter().map(|card| if *card == from { to } else { card }).collect();
        let refused = Table::from_bytes(fits_table(&bad, &data), path, &TableChoice::First).expect_err(to).to_string();
        assert!(refused.contains(part), "{to}: `{refused}` lacks `{part}`");
    }
    Ok(())
}

#[test]
fn text_tables_in_fits_files() -> Outcome {
    let cards = [
        "XTENSION= 'TABLE   '",
        "BITPIX  = 8",
        "NAXIS   = 2",
        "NAXIS1  = 20",
        "NAXIS2  = 2",
        "PCOUNT  = 0",
        "GCOUNT  = 1",
        "TFIELDS = 3",
        "TFORM1  = 'A4'",
        "TBCOL1  = 1",
        "TTYPE1  = 'name'",
        "TFORM2  = 'I4'",
        "TBCOL2  = 6",
        "TTYPE2  = 'n'",
        "TNULL2  = '-'",
        "TFORM3  = 'D9.2'",
        "TBCOL3  = 11",
        "TTYPE3  = 'x'",
    ];
    let file = fits_table(&cards, b"abc    12   1.50D2  de      -           ");
    let table = Table::from_bytes(file, Path::new("t.fits"), &TableChoice::Number(1))?;
    assert_eq!(
        (table.texts("name")?, table.column("n")?.integers()),
        (&["abc".to_owned(), "de".into()][..], Some(&[Some(12), None][..]))
    );
    assert!(table.numbers("x")?[0] == 150.0 && table.numbers("x")?[1].is_nan());
    let file = fits_table(&cards, b"abc    1x   1.50D2  de      -           ");
    let refused = Table::from_bytes(file, Path::new("t.fits"), &TableChoice::First).expect_err("1x").to_string();
    assert!(refused.contains("row 1, column `n`") && refused.contains("1x"), "{refused}");
    Ok(())
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let one =
        |text: &str| Table::new(vec![Column::new("name", ColumnData::Text(vec![text.to_owned()]))]).expect("a table");
    let write = |text: &str, name: &str| one(text).write(&folder.path().join(name));
    assert!(matches!(write("é", "t.fits"), Err(Error::TableContent { .. })));
    assert!(matches!(write("a\u{1}", "t.vot"), Err(Error::TableContent { .. })));
    assert!(matches!(write("a", "t.xlsx"), Err(Error::TableKind { .. })));
    let uneven = vec![Column::new("a", ColumnData::Int(vec![])), Column::new("b", ColumnData::Int(vec![None]))];
    assert!(matches!(Table::new(uneven), Err(Error::TableColumns { .. })));
    let twice = vec![Column::new("a", ColumnData::Int(vec![])), Column::new("a", ColumnData::Int(vec![]))];
    assert!(matches!(Table::new(twice), Err(Error::TableColumns { .. })));
    let column = one("a");
    assert!(matches!(column.numbers("name"), Err(Error::ColumnKind { .. })));
    assert!(matches!(column.numbers("nome"), Err(Error::NoColumn { .. })));
}

/// Found by fuzzing: six bytes of a FITS file passed for a text table with one column.
#[test]
fn what_is_left_of_a_file_is_no_text_table() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    for (name, text) in [("a.fits", "SIMPLE"), ("a.parquet", "PAR"), ("a.vot", "VOTABLE x\n1 2\n")] {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        let refused = Table::read(&path).err().ok_or(name)?;
        assert!(matches!(refused, Error::TableKind { .. }), "{name}: {refused}");
    }
    let path = folder.path().join("a.srl");
    std::fs::write(&path, "# ra dec\n1 2\n")?;
    assert_eq!(Table::read(&path)?.rows(), 1);
    Ok(())
}
