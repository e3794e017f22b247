//! Cutouts around catalogued sources: where they lie, how large they are, and which sources have none.

use std::{error::Error as StdError, path::Path};

use ndarray::Array2;
use radio_io::{
    Card, Error, Manifest, MosaicPool, Survey, Wcs,
    data_set::{BoxShape, CatalogueSource, Coverage, SourceSettings, Watch, WhyLeftOut, table1},
    separation_arcsec, write_image,
};

type Test = Result<(), Box<dyn StdError>>;

const SETTINGS: SourceSettings = SourceSettings {
    factor: 1.5,
    shape: BoxShape::Square,
    min_side_px: 8,
    coverage: Coverage::Every,
    max_blank_fraction: 0.3,
};

fn map(rows: usize, cols: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, cols), |(row, col)| ((row * 7919 + col * 104_729) % 1009) as f32)
}

/// Two maps of 2" pixels that share a strip of sky: the east one has a blank block in it.
fn survey(folder: &Path) -> Result<(Survey, Wcs, Wcs), Box<dyn StdError>> {
    let east = Wcs::north_up("SIN", (50.0, -30.0), (100.0, 100.0), 2.0)?;
    let west = Wcs::north_up("SIN", (50.0, -30.0), (100.0, -50.0), 2.0)?;
    let mut pixels = map(200, 200);
    pixels.slice_mut(ndarray::s![150..180, 160..190]).fill(f32::NAN);
    pixels.slice_mut(ndarray::s![20..60, 20..60]).fill(1.0);
    write_image(&folder.join("east.fits"), &pixels, &east.cards())?;
    write_image(&folder.join("west.fits"), &map(200, 150), &west.cards())?;
    write_image(&folder.join("blind.fits"), &map(50, 50), &[])?;
    let text = "name = \"pair\"\n[[mosaics]]\npath = \"east.fits\"\n[[mosaics]]\npath = \"west.fits\"\n[[mosaics]]\n\
                path = \"blind.fits\"\n[frames]\nsize = 32\nstep = 16\nedge = \"shift\"\nmax_blank_fraction = 0.3\n";
    Ok((Survey::parse(text, &folder.join("survey.toml"), |_| None)?, east, west))
}

fn source(id: &str, sky: Option<(f64, f64)>, width: f64, height: f64) -> CatalogueSource {
    let (ra_deg, dec_deg) = sky.unwrap_or((f64::NAN, f64::NAN));
    CatalogueSource { id: id.into(), ra_deg, dec_deg, size_arcsec: (width, height), labels: vec!["FR-II".into()] }
}

#[test]
fn boxes_are_one_and_a_half_sources_and_centred_on_them() -> Test {
    let folder = tempfile::tempdir()?;
    let (survey, east, west) = survey(folder.path())?;
    let sources = [
        source("small", east.sky(90.3, 80.7), 2.0, 2.0),
        source("J0319-29 (long)", east.sky(120.0, 60.0), 20.0, 60.0),
        source("both", east.sky(70.0, 170.0), 40.0, 40.0),
    ];
    let cut =
        |settings: &SourceSettings| Manifest::source_centred(&survey, &sources, settings, None, &Watch::default());
    let (manifest, left_out) = cut(&SETTINGS)?;
    assert!(left_out.is_empty(), "{left_out:?}");
    let ids: Vec<&str> = manifest.rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["east@small", "east@J0319-29--long-", "east@both", "west@both"]);
    let windows: Vec<[u32; 4]> = manifest
        .rows
        .iter()
        .map(|row| [row.window.row, row.window.col, row.window.n_rows, row.window.n_cols])
        .collect();
    // 8 pixels at least; 1.5 · 60" / 2" = 45 pixels around 120 and 60; 30 around 70 and 170, seen from the west 150 columns less.
    assert_eq!(windows, [[87, 77, 8, 8], [98, 38, 45, 45], [56, 156, 30, 30], [56, 6, 30, 30]]);
    for row in &manifest.rows {
        let source = row.source.as_ref().ok_or("has a source")?;
        let apart = separation_arcsec(row.sky.ok_or("has a sky")?, (source.ra_deg, source.dec_deg));
        assert!(
            apart <= 2.0 * 0.5f64.sqrt() + 1e-6,
            "{}: the middle is {apart} arcsec off, more than half a pixel",
            row.id
        );
        assert_eq!(row.labels, ["FR-II"]);
    }
    let pixels = MosaicPool::new(&manifest, 1).pixels(&manifest, 3)?;
    assert_eq!(pixels, map(200, 150).slice(ndarray::s![56..86, 6..36]));
    assert_eq!(west.sky(70.0, 20.0).map(|sky| sky.1), east.sky(70.0, 170.0).map(|sky| sky.1));
    let (rectangles, _) = cut(&SourceSettings { shape: BoxShape::Rectangle, ..SETTINGS })?;
    let window = rectangles.rows[1].window;
    assert_eq!((window.n_rows, window.n_cols), (45, 15), "north to south is along rows");
    let (best, _) = cut(&SourceSettings { coverage: Coverage::Best, ..SETTINGS })?;
    let ids: Vec<&str> = best.rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["east@small", "east@J0319-29--long-", "east@both"], "14 pixels from the border beat 6");
    let path = folder.path().join("banner.parquet");
    manifest.write(&path)?;
    assert_eq!(format!("{:?}", Manifest::read(&path)?), format!("{manifest:?}"));
    let table = table1(&manifest);
    let sizes = table.all.source_arcmin.ok_or("has sources")?;
    assert!((sizes.min - 2.0 / 60.0).abs() < 1e-12 && (sizes.max - 1.0).abs() < 1e-12, "{sizes:?}");
    assert!((sizes.mean - (2.0 + 60.0 + 40.0 + 40.0) / 240.0).abs() < 1e-12);
    assert_eq!(table.labels, [("FR-II".to_owned(), 4)]);
    Ok(())
}

#[test]
fn sources_without_a_cutout_are_listed_with_the_reason() -> Test {
    let folder = tempfile::tempdir()?;
    let (survey, east, _) = survey(folder.path())?;
    let sources = [
        source("far", Some((230.0, 30.0)), 20.0, 20.0),
        source("beside", east.sky(100.0, -1.0), 4.0, 4.0),
        source("edge", east.sky(100.0, 3.0), 20.0, 20.0),
        source("giant", east.sky(100.0, 50.0), 1e9, 20.0),
        source("flat", east.sky(40.0, 40.0), 30.0, 30.0),
        source("nowhere", None, 20.0, 20.0),
        source("pointless", east.sky(100.0, 50.0), 0.0, 20.0),
        source("beyond the pole", Some((10.0, 91.0)), 20.0, 20.0),
        source("blank here, seen there", east.sky(165.0, 175.0), 40.0, 40.0),
    ];
    let (manifest, left_out) = Manifest::source_centred(&survey, &sources, &SETTINGS, None, &Watch::default())?;
    let reasons: Vec<(&str, WhyLeftOut)> = left_out.iter().map(|source| (source.id.as_str(), source.why)).collect();
    use WhyLeftOut::{BadNumbers, Constant, OffTheMaps, OverTheBorder};
    let expected = [
        ("far", OffTheMaps),
        ("beside", OffTheMaps),
        ("edge", OverTheBorder),
        ("giant", OverTheBorder),
        ("flat", Constant),
        ("nowhere", BadNumbers),
        ("pointless", BadNumbers),
        ("beyond the pole", BadNumbers),
    ];
    assert_eq!(reasons, expected);
    assert_eq!(manifest.rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["west@blank-here--seen-there"]);
    let small = [source("blank", east.sky(165.0, 164.0), 10.0, 10.0)];
    let mut only_east = survey.clone();
    only_east.mosaics.truncate(1);
    let (_, left_out) = Manifest::source_centred(&only_east, &small, &SETTINGS, None, &Watch::default())?;
    assert_eq!(left_out[0].why, WhyLeftOut::TooBlank);
    // With the best mosaic for each, one is found where another is blank.
    let tolerant = SourceSettings { coverage: Coverage::Best, max_blank_fraction: 1.0, ..SETTINGS };
    let (best, _) = Manifest::source_centred(&survey, &sources[8..], &tolerant, None, &Watch::default())?;
    assert_eq!((best.len(), best.rows[0].blank_fraction, best.rows[0].mosaic), (1, 0.0, 1));
    Ok(())
}

/// On a map turned by 45 degrees, a long narrow box needs a square; the far north has a sky too.
#[test]
fn turned_maps_and_the_pole() -> Test {
    let folder = tempfile::tempdir()?;
    let scale = 2.0 / 3600.0 * 0.5f64.sqrt();
    let cards = [
        Card::new("CTYPE1", "RA---TAN", ""),
        Card::new("CTYPE2", "DEC--TAN", ""),
        Card::new("CRPIX1", 101.0, ""),
        Card::new("CRPIX2", 101.0, ""),
        Card::new("CRVAL1", 10.0, ""),
        Card::new("CRVAL2", 89.95, ""),
        Card::new("CD1_1", -scale, ""),
        Card::new("CD1_2", scale, ""),
        Card::new("CD2_1", scale, ""),
        Card::new("CD2_2", scale, ""),
    ];
    write_image(&folder.path().join("pole.fits"), &map(200, 200), &cards)?;
    let text = "name = \"pole\"\n[[mosaics]]\npath = \"pole.fits\"\n\
                [frames]\nsize = 32\nstep = 16\nedge = \"shift\"\nmax_blank_fraction = 0.3\n";
    let survey = Survey::parse(text, &folder.path().join("survey.toml"), |_| None)?;
    let sources = [source("a", Some((10.0, 89.95)), 80.0, 8.0)];
    for (shape, expected) in
        [(BoxShape::Square, 60), (BoxShape::Rectangle, (88.0 * 1.5 / 2.0 * 0.5f64.sqrt()).ceil() as u32)]
    {
        let settings = SourceSettings { shape, ..SETTINGS };
        let (manifest, _) = Manifest::source_centred(&survey, &sources, &settings, None, &Watch::default())?;
        let window = manifest.rows[0].window;
        assert!(
            window.n_rows.abs_diff(expected) <= 1 && window.n_rows == window.n_cols,
            "{shape:?}: {window:?}, {expected}"
        );
        assert!((window.centre().0 - 100.0).abs() <= 0.5 && (window.centre().1 - 100.0).abs() <= 0.5);
    }
    Ok(())
}

#[test]
fn settings_and_catalogues_with_mistakes_are_refused() -> Test {
    let folder = tempfile::tempdir()?;
    let (survey, east, _) = survey(folder.path())?;
    let one = source("a b", east.sky(90.0, 80.0), 20.0, 20.0);
    let twice = [one.clone(), CatalogueSource { id: "a-b".into(), ..one.clone() }];
    let cut = |sources: &[CatalogueSource], settings: &SourceSettings| {
        Manifest::source_centred(&survey, sources, settings, None, &Watch::default()).err().ok_or("must be refused")
    };
    assert!(matches!(cut(&twice, &SETTINGS)?, Error::DuplicateSource { id } if id == "a-b"));
    for (settings, key) in [
        (SourceSettings { factor: 0.0, ..SETTINGS }, "factor"),
        (SourceSettings { factor: f64::NAN, ..SETTINGS }, "factor"),
        (SourceSettings { min_side_px: 0, ..SETTINGS }, "min_side_px"),
        (SourceSettings { max_blank_fraction: -0.1, ..SETTINGS }, "max_blank_fraction"),
    ] {
        let refused = cut(&twice[..1], &settings)?;
        assert!(refused.to_string().starts_with(key), "{refused}");
    }
    Ok(())
}
