//! What can colour the points: columns of the feature table, and of a table joined to it by name.
use std::path::Path;

use anyhow::{Result, bail, ensure};
use radio_io::{Column, FeatureTable, Table};

use crate::name_join::rows_by_name;
use crate::report::Colouring;

/// Most classes: a column with more different values is a name, not a class.
const MOST_CLASSES: usize = 200;

/// A table with more about the rows of a feature table.
pub struct Labels {
    table: Table,
    /// Row of the table for each row of features.
    rows: Vec<Option<usize>>,
}

impl Labels {
    /// Reads the table and finds each row of the features in it.
    ///
    /// # Errors
    /// If it cannot be read, has no column of names, names a row twice, or none of the features.
    pub fn read(path: &Path, id_column: Option<&str>, features: &FeatureTable) -> Result<Self> {
        let table = Table::read(path)?;
        let row_of = rows_by_name(&table, id_column)?;
        let rows: Vec<Option<usize>> = features.ids.iter().map(|id| row_of.get(id).copied()).collect();
        let first = features.ids.first().map_or("", String::as_str);
        ensure!(
            rows.iter().any(Option::is_some),
            "{}: names none of the rows of the features (the first is `{first}`)",
            path.display()
        );
        Ok(Self { rows, table })
    }

    /// Rows of the features that the table knows.
    pub fn found(&self) -> usize {
        self.rows.iter().flatten().count()
    }

    fn classes(&self, column: &Column) -> Result<Colouring> {
        let cell = |row: &Option<usize>| row.map_or(String::new(), |row| column.cell(row));
        let colouring = Colouring::classes(&column.name, &self.rows.iter().map(cell).collect::<Vec<_>>());
        if let Colouring::Classes { classes, .. } = &colouring {
            let found = classes.len();
            ensure!(found <= MOST_CLASSES, "column `{}`: {found} different values: not classes", column.name);
        }
        Ok(colouring)
    }

    fn colouring(&self, name: &str) -> Result<Colouring> {
        let column = self.table.column(name)?;
        let Some(numbers) = column.numbers() else { return self.classes(column) };
        let values = self.rows.iter().map(|row| row.map_or(f64::NAN, |row| numbers[row])).collect();
        Ok(Colouring::Values { name: name.to_owned(), values })
    }
}

/// The label column first, then every other wish, each once.
///
/// # Errors
/// If a column is neither in the feature table nor in the other, or has too many classes.
pub fn colourings(
    features: &FeatureTable,
    labels: Option<&Labels>,
    label_column: Option<&str>,
    wishes: &[String],
) -> Result<Vec<Colouring>> {
    let mut all: Vec<Colouring> = Vec::new();
    if let (Some(labels), Some(column)) = (labels, label_column) {
        all.push(labels.classes(labels.table.column(column)?)?);
    }
    for wish in wishes {
        if all.iter().any(|colouring| colouring.name() == wish) {
            continue;
        }
        let own = own_column(features, wish).map(|values| Colouring::Values { name: wish.clone(), values });
        match (own, labels) {
            // The feature table is the first to be asked: its `rms` is of the very pixels.
            (Some(own), _) => all.push(own),
            (None, Some(labels)) => all.push(labels.colouring(wish)?),
            (None, None) => bail!("--colour-by {wish}: no such column in the feature table; others come from --labels"),
        }
    }
    Ok(all)
}

fn own_column(features: &FeatureTable, name: &str) -> Option<Vec<f64>> {
    let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect();
    match name {
        "rms" => Some(wide(&features.rms_jy_beam)),
        "blank_fraction" => Some(wide(&features.blank_fraction)),
        "ra" => Some(features.ra_deg.clone()),
        "dec" => Some(features.dec_deg.clone()),
        _ => {
            let feature: usize = name.strip_prefix('f')?.parse().ok()?;
            (feature < features.features.ncols())
                .then(|| features.features.column(feature).iter().map(|&v| f64::from(v)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn features() -> FeatureTable {
        FeatureTable {
            ids: vec!["a".into(), "b".into(), "c".into()],
            ra_deg: vec![1.0, 2.0, 3.0],
            dec_deg: vec![0.0; 3],
            rms_jy_beam: vec![1e-5; 3],
            blank_fraction: vec![0.0; 3],
            features: Array2::from_shape_fn((3, 2), |(row, column)| (10 * row + column) as f32),
            metadata: Default::default(),
        }
    }

    fn labels(text: &str, id_column: Option<&str>) -> Result<Labels> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("l.csv");
        std::fs::write(&path, text)?;
        Labels::read(&path, id_column, &features())
    }

    #[test]
    fn rows_are_joined_by_name_in_any_order() -> Result<()> {
        let labels = labels("frame,group,score\nc,odd,0.5\nx,odd,0.1\na,plain,0.25\n", None)?;
        assert_eq!(labels.found(), 2);
        let wishes = ["score", "rms", "f001", "group"].map(str::to_owned);
        let all = colourings(&features(), Some(&labels), Some("group"), &wishes)?;
        assert_eq!(all.iter().map(Colouring::name).collect::<Vec<_>>(), ["group", "score", "rms", "f001"]);
        let Colouring::Classes { classes, of, .. } = &all[0] else { panic!("classes") };
        assert_eq!((classes.join(" "), of.clone()), ("odd plain".to_owned(), vec![Some(1), None, Some(0)]));
        let Colouring::Values { values, .. } = &all[1] else { panic!("values") };
        assert!(values[0] == 0.25 && values[1].is_nan() && values[2] == 0.5);
        assert_eq!(all[3], Colouring::Values { name: "f001".into(), values: vec![1.0, 11.0, 21.0] });
        Ok(())
    }

    #[test]
    fn tables_that_do_not_fit_are_named() {
        let words = |text: &str, column| format!("{:#}", labels(text, column).err().expect(text));
        assert!(words("key,group\na,x\n", None).contains("--id-column"));
        assert!(words("id,group\na,x\na,y\n", None).contains("both about `a`"));
        assert!(words("id,group\nq,x\n", None).contains("none of the rows"));
        let wish = |name: &str| colourings(&features(), None, None, &[name.to_owned()]).expect_err(name).to_string();
        assert!(wish("score").contains("--labels") && wish("f9").contains("no such column"));
    }
}
