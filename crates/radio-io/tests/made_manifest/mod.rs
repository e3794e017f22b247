//! Manifests made from numbers alone: their mosaics do not exist.

use std::{collections::BTreeMap, error::Error as StdError, path::PathBuf};

use radio_io::{
    CardValue, EdgePolicy, HduChoice, Manifest, Wcs,
    data_set::{Cutting, LeftOut, ManifestRow, MosaicRecord, WcsValue, Window},
};

pub type Test = Result<(), Box<dyn StdError>>;

/// A mosaic of `side` pixels of 2", whose middle lies at `sky`.
pub fn mosaic(id: &str, side: u32, sky: (f64, f64)) -> Result<MosaicRecord, Box<dyn StdError>> {
    let middle = (f64::from(side) - 1.0) / 2.0;
    let cards = Wcs::north_up("SIN", sky, (middle, middle), 2.0)?.cards();
    let value = |value: CardValue| match value {
        CardValue::Float(number) => WcsValue::Number(number),
        CardValue::Text(text) => WcsValue::Text(text),
        other => WcsValue::Text(format!("{other:?}")),
    };
    Ok(MosaicRecord {
        id: id.into(),
        path: PathBuf::from(format!("{id}.fits")),
        hdu: HduChoice::FirstImage,
        planes: Vec::new(),
        bytes: 1000,
        fingerprint: format!("fingerprint of {id}"),
        rows: u64::from(side),
        cols: u64::from(side),
        unit: None,
        pixel_arcsec: Some(2.0),
        beam: None,
        wcs: cards.into_iter().map(|card| (card.keyword, value(card.value))).collect::<BTreeMap<_, _>>(),
    })
}

/// Cutouts at these windows of these mosaics.
pub fn manifest(mosaics: Vec<MosaicRecord>, windows: &[(u32, Window)]) -> Result<Manifest, Box<dyn StdError>> {
    let cutting = Cutting::Blind { size: 256, step: 128, edge: EdgePolicy::Shift, max_blank_fraction: 0.3 };
    let mut manifest = Manifest {
        name: "made".into(),
        cutting,
        complexity: None,
        left_out: LeftOut::default(),
        history: Vec::new(),
        mosaics,
        rows: Vec::new(),
    };
    let skies = manifest.skies()?;
    for &(mosaic, window) in windows {
        let (row, col) = window.centre();
        let id = format!(
            "{}_r{}_c{}_h{}_w{}",
            manifest.mosaics[mosaic as usize].id, window.row, window.col, window.n_rows, window.n_cols
        );
        manifest.rows.push(ManifestRow {
            id,
            mosaic,
            window,
            sky: skies[mosaic as usize].as_ref().and_then(|wcs| wcs.sky(row, col)),
            labels: Vec::new(),
            rms_jy_beam: 30e-6,
            blank_fraction: 0.0,
            complexity: f32::NAN,
            source: None,
            part: None,
        });
    }
    manifest.check("made".as_ref())?;
    Ok(manifest)
}

pub fn window(row: u32, col: u32, side: u32) -> Window {
    Window { row, col, n_rows: side, n_cols: side }
}
