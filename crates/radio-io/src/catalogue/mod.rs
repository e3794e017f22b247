//! Catalogues: sources on the sky, from a table in any format.
//!
//! Positions come out in degrees (ICRS; FK5 at J2000 is taken as the same), sizes in arc seconds, fluxes in janskys. A source
//! whose position cannot be is an error with its row and column: one bad row in a catalogue of cutouts is one wrong training
//! image that nobody sees.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    celestial::{
        frame::SkyFrame,
        sexagesimal::{Sexagesimal, read_sexagesimal},
    },
    error::Error,
    table::{Column, ColumnData, Table},
};

mod angle;
mod columns;

pub use angle::{AngleUnit, FluxUnit};
pub use columns::{CatalogueColumns, Duplicates, FluxColumn, PositionColumns, SizeColumn};

use columns::{angle_unit, flux_unit};

/// A source.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name.
    pub id: String,
    /// Right ascension, degrees, from 0 to 360.
    pub ra_deg: f64,
    /// Declination, degrees.
    pub dec_deg: f64,
    /// Largest angular size, or the larger side of its box.
    pub size_arcsec: Option<f64>,
    /// Peak brightness.
    pub peak_jy_beam: Option<f64>,
    /// Flux density.
    pub total_jy: Option<f64>,
    /// Noise.
    pub rms_jy_beam: Option<f64>,
    /// What it was called.
    pub labels: Vec<String>,
    /// Its box in the pixels of its image.
    pub bounds: Option<PixelBounds>,
}

/// A box in pixels; centres of pixels have whole numbers from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelBounds {
    /// Smallest column.
    pub col_min: f64,
    /// Smallest row.
    pub row_min: f64,
    /// Largest column.
    pub col_max: f64,
    /// Largest row.
    pub row_max: f64,
}

/// The sources of a table, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// The table file.
    pub path: PathBuf,
    /// The columns that were used.
    pub columns: CatalogueColumns,
    /// The sources.
    pub sources: Vec<Source>,
    /// Row (from 1) and name of the sources left out because their name had come before.
    pub left_out: Vec<(usize, String)>,
}

impl Catalogue {
    /// Reads a catalogue; without `columns` they are guessed ([`CatalogueColumns::guess`]), and
    /// [`Catalogue::columns`] says which were taken.
    ///
    /// # Errors
    /// Those of [`Table::read`] and [`Catalogue::from_table`].
    pub fn read(path: &Path, columns: Option<&CatalogueColumns>) -> Result<Self, Error> {
        Self::from_table(&Table::read(path)?, columns)
    }

    /// The sources of a table.
    ///
    /// # Errors
    /// [`Error::CatalogueSetting`] if no position is found, a unit is unknown or missing, or the table says that its
    /// positions are of 1950; [`Error::NoColumn`]; [`Error::ColumnKind`]; [`Error::CatalogueRow`] for a position that is
    /// missing or out of range, a negative size, and a name used twice.
    pub fn from_table(table: &Table, columns: Option<&CatalogueColumns>) -> Result<Self, Error> {
        let reader = Reader { table };
        let columns = match columns {
            Some(columns) => columns.clone(),
            None => CatalogueColumns::guess(table).ok_or_else(|| {
                let expected = "`ra` and `dec` or `l` and `b`; say which columns hold them";
                reader.setting("position", format!("columns {:?}", table.names()), expected)
            })?,
        };
        reader.check_equinox()?;
        let positions = reader.positions(&columns.position)?;
        let sizes = columns.size.as_ref().map(|size| reader.sizes(size)).transpose()?;
        let flux =
            |flux: &Option<FluxColumn>, key: &str| flux.as_ref().map(|flux| reader.fluxes(flux, key)).transpose();
        let (peak, total, rms) =
            (flux(&columns.peak, "peak")?, flux(&columns.total, "total")?, flux(&columns.rms, "rms")?);
        let labels = columns.labels.as_deref().map(|name| table.column(name)).transpose()?;
        let ids = columns.id.as_deref().map(|name| table.column(name)).transpose()?;
        let bounds = columns.bounds.as_ref().map(|names| reader.bounds(names)).transpose()?;
        let at = |values: &Option<Vec<f64>>, row: usize| {
            values.as_ref().and_then(|values| values.get(row).copied()).filter(|value| value.is_finite())
        };
        let mut first_rows: HashMap<String, usize> = HashMap::new();
        let (mut sources, mut left_out) = (Vec::with_capacity(table.rows()), Vec::new());
        for (row, &(ra_deg, dec_deg)) in positions.iter().enumerate() {
            let id = match ids {
                Some(column) => reader.id(column, row)?,
                None => (row + 1).to_string(),
            };
            if let Some(first) = first_rows.get(&id) {
                if columns.duplicates == Duplicates::Refuse {
                    let column = columns.id.as_deref().unwrap_or_default();
                    let expected =
                        format!("one row per name (the first is {}), or duplicates = \"keep-first\"", first + 1);
                    return Err(reader.row(row, column, format!("`{id}` again"), &expected));
                }
                left_out.push((row + 1, id));
                continue;
            }
            first_rows.insert(id.clone(), row);
            let words = labels.map(|column| column.cell(row)).unwrap_or_default();
            let labels = words.split([';', '|']).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned);
            sources.push(Source {
                id,
                ra_deg,
                dec_deg,
                size_arcsec: at(&sizes, row),
                peak_jy_beam: at(&peak, row),
                total_jy: at(&total, row),
                rms_jy_beam: at(&rms, row),
                labels: labels.collect(),
                bounds: bounds.as_ref().and_then(|bounds| bounds[row]),
            });
        }
        Ok(Self { path: table.path.clone(), columns, sources, left_out })
    }
}

/// Takes values out of a table, with checks.
struct Reader<'a> {
    table: &'a Table,
}

impl Reader<'_> {
    fn setting(&self, key: &str, found: String, expected: &str) -> Error {
        Error::CatalogueSetting {
            path: self.table.path.clone(),
            key: key.to_owned(),
            found,
            expected: expected.to_owned(),
        }
    }

    fn row(&self, row: usize, column: &str, found: String, expected: &str) -> Error {
        Error::CatalogueRow {
            path: self.table.path.clone(),
            row: row + 1,
            column: column.to_owned(),
            found,
            expected: expected.to_owned(),
        }
    }

    /// Positions of 1950 are up to 0.6 degrees from those of 2000.
    fn check_equinox(&self) -> Result<(), Error> {
        let system = self.table.metadata.get("COOSYS").map(|system| system.to_lowercase()).unwrap_or_default();
        if system.contains("fk4") || system.contains("1950") {
            return Err(self.setting("position", format!("coordinate system `{system}`"), "ICRS or FK5 at J2000"));
        }
        Ok(())
    }

    fn id(&self, column: &Column, row: usize) -> Result<String, Error> {
        let id = column.cell(row);
        if id.is_empty() {
            return Err(self.row(row, &column.name, "no name".to_owned(), "a name for each source"));
        }
        Ok(id)
    }

    /// Right ascension and declination of all rows.
    fn positions(&self, columns: &PositionColumns) -> Result<Vec<(f64, f64)>, Error> {
        let (names, unit) = match columns {
            PositionColumns::Equatorial { ra, dec, unit } => ([ra, dec], *unit),
            PositionColumns::Galactic { l, b, unit } => ([l, b], *unit),
        };
        let is_equatorial = matches!(columns, PositionColumns::Equatorial { .. });
        let latitude_unit = unit.filter(|unit| *unit != AngleUnit::Hourangle);
        let default = if is_equatorial { AngleUnit::Hourangle } else { AngleUnit::Deg };
        let longitudes = self.angles(self.table.column(names[0])?, unit, default)?;
        let latitudes = self.angles(self.table.column(names[1])?, latitude_unit, AngleUnit::Deg)?;
        let mut positions = Vec::with_capacity(longitudes.len());
        for (row, (&longitude, &latitude)) in longitudes.iter().zip(&latitudes).enumerate() {
            // Longitudes from -180 to 180 are a common habit; 360 itself comes from rounding.
            if !(-180.0..=360.0).contains(&longitude) {
                return Err(self.row(row, names[0], format!("{longitude} degrees"), "an angle from 0 to 360 degrees"));
            }
            if !(-90.0..=90.0).contains(&latitude) {
                return Err(self.row(row, names[1], format!("{latitude} degrees"), "an angle from -90 to 90 degrees"));
            }
            positions.push(if is_equatorial {
                // The remainder of a tiny negative number rounds to 360.
                let turned = longitude.rem_euclid(360.0);
                (if turned >= 360.0 { 0.0 } else { turned }, latitude)
            } else {
                SkyFrame::Galactic.to_icrs((longitude, latitude))
            });
        }
        Ok(positions)
    }

    /// Angles in degrees. Sexagesimal text is in `sexagesimal` unless its letters or the setting say otherwise.
    fn angles(&self, column: &Column, unit: Option<AngleUnit>, sexagesimal: AngleUnit) -> Result<Vec<f64>, Error> {
        if let Some(numbers) = column.numbers() {
            let named = column.unit.as_deref().filter(|unit| !unit.trim().is_empty());
            let own = match (unit, named) {
                (Some(unit), _) => unit,
                (None, Some(text)) => AngleUnit::parse(text).ok_or_else(|| {
                    let found = format!("unit `{text}` of column `{}`", column.name);
                    self.setting("position", found, "deg, hourangle, arcmin, arcsec, mas or rad")
                })?,
                (None, None) => AngleUnit::from_name(&column.name).unwrap_or(AngleUnit::Deg),
            };
            return Ok(numbers.into_iter().map(|number| own.to_degrees(number)).collect());
        }
        let ColumnData::Text(texts) = &column.data else {
            return Err(self.kind(column, "numbers or sexagesimal text"));
        };
        let angle = |(row, text): (usize, &String)| {
            let plain =
                || text.trim().parse::<f64>().ok().map(|value| unit.unwrap_or(AngleUnit::Deg).to_degrees(value));
            let angle = read_sexagesimal(text).map(|(units, counts)| {
                let own = counts.map(|counts| match counts {
                    Sexagesimal::Hours => AngleUnit::Hourangle,
                    Sexagesimal::Degrees => AngleUnit::Deg,
                });
                own.or(unit).unwrap_or(sexagesimal).to_degrees(units)
            });
            let wrong =
                || self.row(row, &column.name, format!("`{text}`"), "an angle such as 83.63, 05:34:31.9 or 5h34m31.9s");
            angle.or_else(plain).ok_or_else(wrong)
        };
        texts.iter().enumerate().map(angle).collect()
    }

    fn kind(&self, column: &Column, expected: &str) -> Error {
        Error::ColumnKind {
            path: self.table.path.clone(),
            column: column.name.clone(),
            found: column.data.kind().to_owned(),
            expected: expected.to_owned(),
        }
    }

    /// Sizes in arc seconds; NaN where missing.
    fn sizes(&self, size: &SizeColumn) -> Result<Vec<f64>, Error> {
        let column = self.table.column(&size.column)?;
        let numbers = column.numbers().ok_or_else(|| self.kind(column, "one number per row"))?;
        let unit = size.unit.or_else(|| angle_unit(column));
        let unknown = || {
            let found = format!("column `{}` of unit {:?}", column.name, column.unit.as_deref().unwrap_or("none"));
            self.setting("size", found, "unit = \"arcsec\", \"arcmin\" or \"deg\" beside its name")
        };
        let unit = unit.ok_or_else(unknown)?;
        if let Some(row) = numbers.iter().position(|size| *size < 0.0 || size.is_infinite()) {
            return Err(self.row(row, &column.name, numbers[row].to_string(), "a size of at least 0"));
        }
        Ok(numbers.into_iter().map(|number| unit.to_arcsec(number)).collect())
    }

    /// Fluxes in janskys; NaN where missing.
    fn fluxes(&self, flux: &FluxColumn, key: &str) -> Result<Vec<f64>, Error> {
        let column = self.table.column(&flux.column)?;
        let numbers = column.numbers().ok_or_else(|| self.kind(column, "one number per row"))?;
        let unit = flux.unit.or_else(|| flux_unit(column));
        let unknown = || {
            let found = format!("column `{}` of unit {:?}", column.name, column.unit.as_deref().unwrap_or("none"));
            self.setting(key, found, "unit = \"Jy\", \"mJy\" or \"uJy\" beside its name")
        };
        let unit = unit.ok_or_else(unknown)?;
        Ok(numbers.into_iter().map(|number| unit.to_jy(number)).collect())
    }

    fn bounds(&self, names: &[String; 4]) -> Result<Vec<Option<PixelBounds>>, Error> {
        let mut columns = Vec::with_capacity(4);
        for name in names {
            columns.push(self.table.numbers(name)?);
        }
        let bounds = |row: usize| {
            let [col_min, row_min, col_max, row_max] = std::array::from_fn(|number| columns[number][row]);
            if [col_min, row_min, col_max, row_max].iter().any(|value| value.is_nan()) {
                return Ok(None);
            }
            for (low, high, column) in [(col_min, col_max, &names[2]), (row_min, row_max, &names[3])] {
                if !(low <= high && high - low < f64::INFINITY) {
                    return Err(self.row(row, column, high.to_string(), &format!("at least the smallest, {low}")));
                }
            }
            Ok(Some(PixelBounds { col_min, row_min, col_max, row_max }))
        };
        (0..self.table.rows()).map(bounds).collect()
    }
}
