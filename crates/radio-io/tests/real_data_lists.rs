//! Every table and list of the public test data opens, with the counts that its description gives.

use std::{collections::HashMap, error::Error as StdError, path::PathBuf};

use radio_io::{
    Catalogue, CatalogueColumns, Table, TableChoice,
    catalogue::{Duplicates, PositionColumns},
    data_list::CocoSet,
};

type Outcome = Result<(), Box<dyn StdError>>;

fn data(path: &str) -> Result<PathBuf, Box<dyn StdError>> {
    Ok(PathBuf::from(std::env::var("RADIO_SSL_DATA")?).join(path))
}

/// How often each text of a column occurs.
fn counts(table: &Table, column: &str) -> Result<HashMap<String, usize>, Box<dyn StdError>> {
    let column = table.column(column)?;
    let mut counts = HashMap::new();
    for row in 0..column.len() {
        *counts.entry(column.cell(row)).or_insert(0) += 1;
    }
    Ok(counts)
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_label_lists_have_the_counts_of_their_description() -> Outcome {
    let mirabest = Table::read(&data("mirabest/labels.csv")?)?;
    let codes = counts(&mirabest, "code")?;
    assert_eq!((mirabest.rows(), codes["100"], codes["102"], codes["310"], codes["201"]), (1003, 271, 39, 12, 3));
    assert_eq!(mirabest.numbers("size_arcsec")?[0], 58.67);
    let frg = Table::read(&data("first-frg/labels.csv")?)?;
    let classes = counts(&frg, "class")?;
    assert_eq!(
        (frg.rows(), classes["FRI"], classes["FRII"], classes["Compact"], classes["Bent"]),
        (2001, 438, 835, 391, 337)
    );
    let mgcls = Table::read(&data("mgcls/labels.csv")?)?;
    let scores = counts(&mgcls, "score_eval")?;
    assert_eq!((mgcls.rows(), scores["1"], scores["5"], scores[""]), (1860, 307, 19, 1035));
    assert_eq!(mgcls.numbers("peak_flux")?[0], 0.00023927603299);
    let stats = Table::read(&data("mosaics/stats.csv")?)?;
    assert_eq!((stats.rows(), stats.texts("shape_xyz")?[0].as_str()), (27, "1000x1000"));
    assert_eq!(stats.numbers("bmaj_arcsec")?[0], 6.5);
    Ok(())
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_catalogues_become_sources() -> Outcome {
    let rgz = Catalogue::read(&data("rgz/catalogue.csv")?, None)?;
    assert_eq!(rgz.sources.len(), 11773);
    let source = &rgz.sources[0];
    assert_eq!((source.id.as_str(), source.ra_deg, source.dec_deg), ("72812", 0.029333, 8.279218));
    assert_eq!((source.size_arcsec, source.labels.as_slice()), (Some(24.1328), &["1C-1P".to_owned()][..]));
    let of = |label: &str| rgz.sources.iter().filter(|source| source.labels[0] == label).count();
    assert_eq!(
        [of("1C-1P"), of("1C-2P"), of("1C-3P"), of("2C-2P"), of("2C-3P"), of("3C-3P")],
        [5291, 1321, 1387, 1251, 1194, 1329]
    );
    let mirabest = Catalogue::read(&data("mirabest/labels.csv")?, None)?;
    assert_eq!((mirabest.sources.len(), mirabest.sources[0].size_arcsec), (1003, Some(58.67)));
    let mgcls = Catalogue::read(&data("mgcls/labels.csv")?, None)?;
    assert_eq!((mgcls.sources.len(), mgcls.sources[0].id.as_str()), (1860, "img0_isl1106"));
    let frg = Catalogue::read(&data("first-frg/labels.csv")?, None)?;
    assert_eq!((frg.sources.len(), frg.sources[1].dec_deg), (2001, 16.439));
    Ok(())
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_index_lists_hold_boxes_and_repeated_names() -> Outcome {
    let index = Table::read(&data("rgz/index.csv")?)?;
    assert_eq!((index.rows(), Table::read(&data("rgz/index_first-frg.csv")?)?.rows()), (408, 160));
    // One value per component, `;` between them, is text.
    assert_eq!(index.texts("comp_x")?[0], "74.90;94.01");
    assert_eq!(index.numbers("xmax")?[0], 98.03);
    let catalogue = Table::read(&data("rgz/catalogue.csv")?)?;
    let columns = CatalogueColumns {
        id: Some("rgz_id".to_owned()),
        // The lists give places in images, not on the sky; any two columns of small numbers show what happens to names.
        position: PositionColumns::Equatorial { ra: "n_components".into(), dec: "n_peaks".into(), unit: None },
        bounds: Some(["xmin", "ymin", "xmax", "ymax"].map(str::to_owned)),
        labels: Some("class".to_owned()),
        duplicates: Duplicates::KeepFirst,
        size: None,
        peak: None,
        total: None,
        rms: None,
    };
    let sources = Catalogue::from_table(&index, Some(&columns))?;
    assert_eq!((sources.sources.len(), sources.left_out.len()), (263, 408 - 263));
    let refuse = CatalogueColumns { duplicates: Duplicates::Refuse, ..columns };
    assert!(Catalogue::from_table(&index, Some(&refuse)).is_err());
    assert_eq!(catalogue.rows(), 11773);
    Ok(())
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_source_lists_agree_in_text_and_fits() -> Outcome {
    let text = Table::read(&data("mosaics/pybdsf/sources.srl")?)?;
    let fits = Table::read(&data("mosaics/pybdsf/sources_srl.fits")?)?;
    assert_eq!((text.rows(), text.names().len()), (43, 64));
    assert_eq!((text.names(), text.rows()), (fits.names(), fits.rows()));
    for name in ["RA", "DEC", "Total_flux", "Maj", "Isl_rms"] {
        for (a, b) in text.numbers(name)?.into_iter().zip(fits.numbers(name)?) {
            assert!((a - b).abs() <= 1e-13 * b.abs() + 1e-14, "{name}: {a} {b}");
        }
    }
    let (from_text, from_fits) = (Catalogue::from_table(&text, None)?, Catalogue::from_table(&fits, None)?);
    let (a, b) = (&from_text.sources[0], &from_fits.sources[0]);
    assert_eq!((a.ra_deg, a.dec_deg), (b.ra_deg, b.dec_deg));
    for (a, b) in [
        (a.size_arcsec, b.size_arcsec),
        (a.peak_jy_beam, b.peak_jy_beam),
        (a.total_jy, b.total_jy),
        (a.rms_jy_beam, b.rms_jy_beam),
    ] {
        let (a, b) = a.zip(b).ok_or("both are known")?;
        assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
    }
    let aegean = Table::read_choice(&data("mosaics/parkes/1904_comp.fits")?, &TableChoice::Number(1))?;
    assert_eq!((aegean.rows(), aegean.texts("ra_str")?[0].as_str()), (51, "19:32:37.54"));
    let aegean = Catalogue::from_table(&aegean, None)?;
    let source = &aegean.sources[0];
    // 19:32:37.54 -65:15:45.61; the numbers are of single precision.
    assert!((source.ra_deg - 293.15641666666664).abs() < 1e-4 && (source.dec_deg + 65.26266944444444).abs() < 1e-4);
    assert!(source.size_arcsec.is_some() && source.rms_jy_beam.is_some_and(|rms| (rms - 0.048113763).abs() < 1e-8));
    Ok(())
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_islands_have_masks_that_fill_their_boxes() -> Outcome {
    let set = CocoSet::read(&data("detect/first-islands.json")?)?;
    assert_eq!((set.images.len(), set.annotations.len(), set.categories.len()), (1123, 2314, 3));
    let mut by_class = [[0_usize; 3]; 2];
    for (image, annotations) in set.by_image() {
        let is_full = image.file_name.starts_with("mirabest/full");
        assert!(data("")?.join(&image.file_name).exists(), "{}", image.file_name.display());
        for annotation in annotations {
            by_class[usize::from(is_full)][annotation.category_id as usize - 1] += 1;
            let mask = set.mask(annotation)?.ok_or("each object has a mask")?;
            assert_eq!(Some(mask.area() as f64), annotation.area, "annotation {}", annotation.id);
            assert_eq!(mask.bounding_box().map(|side| side as f64), annotation.bbox, "annotation {}", annotation.id);
        }
    }
    assert_eq!(by_class, [[596, 912, 285], [311, 172, 38]]);
    Ok(())
}
