//! Catalogues from tables of many habits: names, units, notations; and the rows that must not pass.

#![allow(clippy::expect_used, reason = "a test helper that fails is a test that fails")]

use std::path::Path;

use radio_io::{
    Catalogue, CatalogueColumns, Error, Table, TableChoice,
    catalogue::{AngleUnit, Duplicates, FluxColumn, FluxUnit, PositionColumns, SizeColumn},
};

fn table(text: &str) -> Table {
    Table::from_bytes(text.as_bytes().to_vec(), Path::new("cat.csv"), &TableChoice::First).expect("a table")
}

fn guessed(text: &str) -> Catalogue {
    Catalogue::from_table(&table(text), None).expect(text)
}

#[test]
fn columns_are_guessed_by_name() {
    let catalogue = guessed(
        "Source_Name,RAJ2000,DEJ2000,size_arcmin,peak_mjy,Morphology\nJ1,10.5,-30.25,1.5,2.5,FRI;WAT\nJ2,370,0,,,\n"
            .replace("370", "359.5")
            .as_str(),
    );
    let [first, second] = &catalogue.sources[..] else { panic!("two sources") };
    assert_eq!((first.id.as_str(), first.ra_deg, first.dec_deg), ("J1", 10.5, -30.25));
    assert_eq!(first.size_arcsec, Some(90.0));
    assert_eq!(first.labels, ["FRI", "WAT"]);
    assert_eq!((second.size_arcsec, second.peak_jy_beam, second.labels.len()), (None, None, 0));
    // `peak_mjy` is no name of a peak flux that is known.
    assert_eq!(first.peak_jy_beam, None);
    for header in ["ra,dec", "RA_deg,DEC_deg", "alpha_j2000,delta_j2000", "_RAJ2000,_DEJ2000", "Ra_ICRS,Dec_ICRS"] {
        let catalogue = guessed(&format!("{header}\n10.5,-30.25\n"));
        assert_eq!((catalogue.sources[0].id.as_str(), catalogue.sources[0].ra_deg), ("1", 10.5), "{header}");
    }
    // A size without a unit may be anything.
    assert_eq!(guessed("ra,dec,LAS\n10,20,3\n").columns.size, None);
}

#[test]
fn columns_are_guessed_by_descriptor_and_unit() {
    let text = "<VOTABLE><RESOURCE><TABLE>\
        <FIELD name='lon' datatype='double' unit='rad' ucd='pos.eq.ra;meta.main'/><FIELD name='lat' datatype='double' unit='deg' ucd='pos.eq.dec;meta.main'/>\
        <FIELD name='ra' datatype='double' ucd='pos.bodyrc.lon'/><FIELD name='designation' datatype='char' arraysize='*' ucd='meta.id;meta.main'/>\
        <FIELD name='S_peak' datatype='float' unit='mJy/beam'/><FIELD name='LAS' datatype='float' unit='arcmin'/><DATA><TABLEDATA><TR><TD>1</TD><TD>2</TD><TD>3</TD><TD>x</TD><TD>4</TD><TD>5</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>";
    let source = guessed(text).sources[0].clone();
    assert!((source.ra_deg - 57.29577951308232).abs() < 1e-12 && source.dec_deg == 2.0);
    assert_eq!((source.id.as_str(), source.peak_jy_beam, source.size_arcsec), ("x", Some(0.004), Some(300.0)));
    let fk4 = text.replace("<RESOURCE>", "<COOSYS ID='J' system='eq_FK4' equinox='B1950'/><RESOURCE>");
    let refused = Catalogue::from_table(&table(&fk4), None).expect_err("1950").to_string();
    assert!(refused.contains("eq_fk4") && refused.contains("J2000"), "{refused}");
}

#[test]
fn positions_in_every_notation() {
    // astropy 8.0.2: SkyCoord('05:34:31.94 +22:00:52.2', unit=('hourangle', 'deg')) and SkyCoord(l=184.5575, b=-5.7843, unit='deg', frame='galactic').icrs.
    let close = |catalogue: &Catalogue, ra: f64, dec: f64| {
        let source = &catalogue.sources[0];
        assert!((source.ra_deg - ra).abs() < 1e-9 && (source.dec_deg - dec).abs() < 1e-9, "{source:?}");
    };
    close(&guessed("ra,dec\n05:34:31.94,+22:00:52.2\n"), 83.63308333333333, 22.0145);
    close(&guessed("ra,dec\n5h34m31.94s,22d00m52.2s\n"), 83.63308333333333, 22.0145);
    close(&guessed("ra,dec\n83d37m59.1s,-00:30:00\n"), 83.63308333333333, -0.5);
    close(&guessed("glon,glat\n184.5575,-5.7843\n"), 83.6331591921485, 22.014494957683656);
    let hours = CatalogueColumns {
        position: PositionColumns::Equatorial { ra: "ra".into(), dec: "dec".into(), unit: Some(AngleUnit::Hourangle) },
        ..CatalogueColumns::guess(&table("ra,dec\n1,2\n")).expect("a position")
    };
    close(&Catalogue::from_table(&table("ra,dec\n5.5,22\n"), Some(&hours)).expect("hours"), 82.5, 22.0);
    assert_eq!(
        guessed("ra,dec\n-10,0\n360,0\n").sources.iter().map(|source| source.ra_deg).collect::<Vec<_>>(),
        [350.0, 0.0]
    );
}

#[test]
fn rows_that_cannot_be_are_named() {
    for (text, parts) in [
        ("ra,dec\n1,2\n361,3\n", &["cat.csv, row 2, column `ra`", "361 degrees"][..]),
        ("ra,dec\n1,-91\n", &["row 1, column `dec`", "-90 to 90"]),
        ("ra,dec\n1,\n2,3\n", &["row 1, column `dec`", "NaN"]),
        ("ra,dec\n1,inf\n2,3\n", &["row 1, column `dec`", "inf"]),
        ("ra,dec\n1:2:3,4\nhere,5\n", &["row 2, column `ra`", "`here`"]),
        ("ra,dec\n01:61:00,4\n", &["row 1, column `ra`", "01:61:00"]),
        ("name,ra,dec\nx,1,2\ny,1,3\nx,2,4\n", &["row 3, column `name`", "`x` again", "the first is 1"]),
        ("name,ra,dec\nx,1,2\n,1,3\n", &["row 2, column `name`", "no name"]),
        ("ra,dec,size_arcsec\n1,2,-3\n", &["row 1, column `size_arcsec`", "at least 0"]),
        ("ra,dec,xmin,ymin,xmax,ymax\n1,2,5,5,4,9\n", &["row 1, column `xmax`"]),
        ("a,b_\n1,2\n", &["position", "a", "`ra` and `dec`"]),
    ] {
        let refused = Catalogue::from_table(&table(text), None).expect_err(text).to_string();
        for part in parts {
            assert!(refused.contains(part), "{text}: `{refused}` lacks `{part}`");
        }
    }
}

#[test]
fn settings_are_those_of_a_survey_file() {
    let text = r#"
id = "name"
position = { ra = "x", dec = "y", unit = "deg" }
size = { column = "LAS", unit = "arcmin" }
peak = { column = "S", unit = "mJy" }
labels = "kind"
bounds = ["c0", "r0", "c1", "r1"]
duplicates = "keep-first"
"#;
    let columns: CatalogueColumns = toml::from_str(text).expect("settings");
    assert_eq!(columns.duplicates, Duplicates::KeepFirst);
    assert_eq!(columns.peak, Some(FluxColumn { column: "S".into(), unit: Some(FluxUnit::MilliJy) }));
    assert_eq!(
        toml::from_str::<CatalogueColumns>(&toml::to_string(&columns).expect("text")).expect("own text"),
        columns
    );
    assert!(toml::from_str::<CatalogueColumns>(&text.replace("labels", "lables")).is_err());
    assert!(toml::from_str::<CatalogueColumns>(&text.replace("dec =", "deck =")).is_err());
    let rows = table("name,x,y,LAS,S,kind,c0,r0,c1,r1\na,1,2,3,4,A|B,0,1,2,3\na,5,6,7,8,C,0,1,2,3\nb,5,6,7,8,C,,,,\n");
    let catalogue = Catalogue::from_table(&rows, Some(&columns)).expect("a catalogue");
    assert_eq!((catalogue.sources.len(), catalogue.left_out.as_slice()), (2, &[(2, "a".to_owned())][..]));
    let source = &catalogue.sources[0];
    assert_eq!((source.size_arcsec, source.peak_jy_beam, source.labels.len()), (Some(180.0), Some(0.004), 2));
    assert_eq!(source.bounds.map(|bounds| (bounds.col_max, bounds.row_min)), Some((2.0, 1.0)));
    assert_eq!(catalogue.sources[1].bounds, None);
    let missing =
        CatalogueColumns { size: Some(SizeColumn { column: "nowhere".into(), unit: None }), ..columns.clone() };
    assert!(matches!(Catalogue::from_table(&rows, Some(&missing)), Err(Error::NoColumn { .. })));
    let unitless = CatalogueColumns { size: Some(SizeColumn { column: "LAS".into(), unit: None }), ..columns };
    assert!(matches!(Catalogue::from_table(&rows, Some(&unitless)), Err(Error::CatalogueSetting { .. })));
}
