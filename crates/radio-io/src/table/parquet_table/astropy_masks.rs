//! Missing values the way astropy 8 writes them into Parquet: a column `flux`, and a column of truth values `flux.mask`.
//!
//! Which columns are masks is said in the file's metadata, as YAML. Units stand there too; those are not read.

use std::collections::{BTreeMap, BTreeSet};

use crate::table::{Column, ColumnData};

/// Key of astropy's YAML.
const YAML_KEY: &str = "table_meta_yaml";
/// Keys of the lengths of astropy's texts begin with this.
const LENGTH_KEY: &str = "table::len::";

/// Takes the masks out of the columns and marks what they cover as missing; and astropy's notes out of the metadata: on another table they
/// would be wrong.
pub(super) fn apply_masks(columns: &mut Vec<Column>, metadata: &mut BTreeMap<String, String>) {
    metadata.retain(|key, _| !key.starts_with(LENGTH_KEY));
    let Some(yaml) = metadata.remove(YAML_KEY) else { return };
    // A name with blanks is quoted.
    let says = |name: &str| yaml.contains(&format!("mask: !astropy.table.SerializedColumn {{name: {name}}}"));
    let is_mask = |name: &str| says(name) || says(&format!("'{name}'"));
    let names: BTreeSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    let mut masks = BTreeMap::new();
    columns.retain(|column| match (&column.data, column.name.strip_suffix(".mask")) {
        (ColumnData::Bool(mask), Some(of)) if names.contains(of) && is_mask(&column.name) => {
            masks.insert(of.to_owned(), mask.clone());
            false
        }
        _ => true,
    });
    for column in columns {
        if let Some(mask) = masks.remove(&column.name) {
            mark_missing(&mut column.data, &mask);
        }
    }
}

fn mark_missing(data: &mut ColumnData, mask: &[Option<bool>]) {
    fn fill<T: Clone>(values: &mut [T], mask: &[Option<bool>], missing: T) {
        let masked = values.iter_mut().zip(mask).filter(|(_, mask)| **mask == Some(true));
        masked.for_each(|(value, _)| *value = missing.clone());
    }
    match data {
        ColumnData::Bool(values) => fill(values, mask, None),
        ColumnData::Int(values) => fill(values, mask, None),
        ColumnData::Float(values) => fill(values, mask, f64::NAN),
        ColumnData::Float32(values) => fill(values, mask, f32::NAN),
        ColumnData::Text(values) => fill(values, mask, String::new()),
        // astropy masks the elements of an array, with an array.
        ColumnData::Bools(_) | ColumnData::Ints(_) | ColumnData::Floats(_) | ColumnData::Floats32(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_values_are_missing_and_masks_are_no_columns() {
        let yaml = "meta: !!omap\n- __serialized_columns__:\n    n:\n      __class__: astropy.table.column.MaskedColumn\n      \
                    data: !astropy.table.SerializedColumn {name: n}\n      mask: !astropy.table.SerializedColumn {name: n.mask}";
        let truth = |values: [bool; 2]| ColumnData::Bool(values.map(Some).to_vec());
        let all = vec![
            Column::new("n", ColumnData::Int(vec![Some(1), Some(2)])),
            Column::new("n.mask", truth([true, false])),
            Column::new("x", ColumnData::Float(vec![1.0, 2.0])),
            // Not among astropy's masks.
            Column::new("x.mask", truth([true, true])),
        ];
        let notes = [(YAML_KEY, yaml), ("table::len::name", "3"), ("ORIGIN", "a survey")];
        let mut metadata = notes.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        let mut columns = all.clone();
        apply_masks(&mut columns, &mut metadata);
        assert_eq!(columns[0].data, ColumnData::Int(vec![None, Some(2)]));
        assert_eq!(columns[1..], all[2..]);
        assert_eq!(metadata.into_keys().collect::<Vec<_>>(), ["ORIGIN"]);
        let mut columns = all.clone();
        apply_masks(&mut columns, &mut BTreeMap::new());
        assert_eq!(columns, all, "a file of another library");
    }
}
