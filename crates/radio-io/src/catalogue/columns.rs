//! Which columns of a table hold what a catalogue needs: said by the user, or guessed from descriptors and names.

use serde::{Deserialize, Serialize};

use super::angle::{AngleUnit, FluxUnit};
use crate::table::{Column, ColumnData, Table};

/// The columns of a catalogue, as they stand in a `survey.toml`:
///
/// ```toml
/// [catalogue.columns]
/// id = "Source_Name"
/// position = { ra = "RAJ2000", dec = "DEJ2000" }          # or { l = "GLON", b = "GLAT" }; `unit = "hourangle"` for RA
/// size = { column = "LAS", unit = "arcmin" }
/// peak = { column = "Peak_flux", unit = "mJy" }
/// labels = "Morphology"
/// bounds = ["xmin", "ymin", "xmax", "ymax"]
/// duplicates = "keep-first"
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueColumns {
    /// Name of the source; without it the number of its row, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it is.
    pub position: PositionColumns,
    /// Its largest angular size, or the larger side of its box on the sky.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<SizeColumn>,
    /// Peak brightness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<FluxColumn>,
    /// Flux density.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<FluxColumn>,
    /// Noise at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rms: Option<FluxColumn>,
    /// Labels, several separated by `;` or `|`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// Box in pixels: smallest column, smallest row, largest column, largest row, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<[String; 4]>,
    /// What to do with a name that comes twice.
    #[serde(default)]
    pub duplicates: Duplicates,
}

/// The columns of a position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum PositionColumns {
    /// Right ascension and declination, ICRS or FK5 at J2000.
    Equatorial {
        /// Right ascension.
        ra: String,
        /// Declination.
        dec: String,
        /// Unit of the right ascension, and of the declination unless it is `hourangle` (then that is in degrees); without
        /// it the table's, and degrees where that has none. Text in sexagesimal notation is hours and degrees.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<AngleUnit>,
    },
    /// Galactic longitude and latitude.
    Galactic {
        /// Longitude.
        l: String,
        /// Latitude.
        b: String,
        /// Unit of both; without it the table's, and degrees where that has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<AngleUnit>,
    },
}

/// The column of a size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizeColumn {
    /// Its name.
    pub column: String,
    /// Its unit; without it the table's, or the one at the end of the column's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<AngleUnit>,
}

/// The column of a flux.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FluxColumn {
    /// Its name.
    pub column: String,
    /// Its unit; without it the table's, or the one at the end of the column's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<FluxUnit>,
}

/// What to do with a name that comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// Say so and stop.
    #[default]
    Refuse,
    /// Take the first and leave out the others, which [`super::Catalogue::left_out`] tells.
    KeepFirst,
}

impl CatalogueColumns {
    /// The mapping that the descriptors (UCD) and names of a table suggest; `None` if it has no position. Sizes and fluxes
    /// are taken only where their unit is known, so that no number is ever off by a power of ten.
    pub fn guess(table: &Table) -> Option<Self> {
        let find = |ucds: &[&str], names: &[&str]| find(table, ucds, names);
        let position = match (find(RA_UCDS, RA_NAMES), find(DEC_UCDS, DEC_NAMES)) {
            (Some(ra), Some(dec)) => {
                PositionColumns::Equatorial { ra: ra.name.clone(), dec: dec.name.clone(), unit: None }
            }
            _ => {
                let (l, b) = (find(&["pos.galactic.lon"], L_NAMES)?, find(&["pos.galactic.lat"], B_NAMES)?);
                PositionColumns::Galactic { l: l.name.clone(), b: b.name.clone(), unit: None }
            }
        };
        let flux = |ucds: &[&str], names: &[&str]| -> Option<FluxColumn> {
            let column = find(ucds, names).filter(|column| column.numbers().is_some())?;
            let unit = flux_unit(column).or_else(|| finder_units(table)?.flux)?;
            Some(FluxColumn { column: column.name.clone(), unit: Some(unit) })
        };
        let size = || {
            let column =
                find(&["phys.angSize;src"], SIZE_NAMES).or_else(|| find(&["phys.angSize.smajAxis"], MAJOR_NAMES))?;
            let unit = angle_unit(column).or_else(|| finder_units(table)?.size)?;
            column.numbers().is_some().then(|| SizeColumn { column: column.name.clone(), unit: Some(unit) })
        };
        let exact = |names: [&str; 4]| {
            let all = names.iter().all(|name| table.get(name).is_some_and(|column| column.numbers().is_some()));
            all.then(|| names.map(str::to_owned))
        };
        let labels = find(&["meta.code.class;src", "src.class", "src.morph.type"], LABEL_NAMES);
        Some(Self {
            id: find(&["meta.id;meta.main"], ID_NAMES).map(|column| column.name.clone()),
            position,
            size: size(),
            peak: flux(&["phot.flux.density;stat.max"], PEAK_NAMES),
            total: flux(&["phot.flux.density;em.radio"], TOTAL_NAMES),
            rms: flux(&["instr.det.noise", "stat.stdev;instr.det.noise"], RMS_NAMES),
            labels: labels.filter(|column| column.texts().is_some()).map(|column| column.name.clone()),
            bounds: exact(["xmin", "ymin", "xmax", "ymax"]).or_else(|| exact(["x_min", "y_min", "x_max", "y_max"])),
            duplicates: Duplicates::Refuse,
        })
    }
}

// Names in lower case, without `_`, `-`, `.` and blanks, the more telling first.
const RA_UCDS: &[&str] = &["pos.eq.ra;meta.main", "pos.eq.ra", "POS_EQ_RA_MAIN"];
const DEC_UCDS: &[&str] = &["pos.eq.dec;meta.main", "pos.eq.dec", "POS_EQ_DEC_MAIN"];
const RA_NAMES: &[&str] =
    &["ra", "radeg", "raj2000", "raicrs", "alphaj2000", "ra2000", "rightascension", "radegcont", "rastr"];
const DEC_NAMES: &[&str] = &[
    "dec",
    "decdeg",
    "dedeg",
    "decj2000",
    "dej2000",
    "decicrs",
    "deicrs",
    "deltaj2000",
    "dec2000",
    "declination",
    "decdegcont",
    "decstr",
];
const L_NAMES: &[&str] = &["glon", "l", "gall", "galactilongitude", "galacticlongitude", "ldeg", "glondeg"];
const B_NAMES: &[&str] = &["glat", "b", "galb", "galacticlatitude", "bdeg", "glatdeg"];
const SIZE_NAMES: &[&str] =
    &["las", "lasarcsec", "sizearcsec", "sizearcmin", "largestangularsize", "angularsize", "maxsize", "size"];
const MAJOR_NAMES: &[&str] = &["maj", "majaxis", "majoraxis", "majaxisarcsec", "amajor", "a"];
const PEAK_NAMES: &[&str] = &["peakflux", "fluxpeak", "speak", "peak", "peakfluxdensity", "fpeak"];
const TOTAL_NAMES: &[&str] = &[
    "totalflux",
    "fluxint",
    "intflux",
    "sint",
    "stot",
    "stotal",
    "integratedflux",
    "fluxtotal",
    "totalfluxdensity",
    "fint",
];
const RMS_NAMES: &[&str] = &["rms", "islrms", "localrms", "noise", "rmsimage", "rmsnoise", "rmsjybeam"];
const ID_NAMES: &[&str] = &[
    "id",
    "name",
    "sourcename",
    "sourceid",
    "objid",
    "catalogid",
    "rgzid",
    "uuid",
    "sname",
    "componentname",
    "islandname",
    "isl",
    "file",
];
const LABEL_NAMES: &[&str] = &["class", "label", "labels", "morphology", "type", "morph"];

/// The first column with one of the descriptors, else with one of the names.
fn find<'a>(table: &'a Table, ucds: &[&str], names: &[&str]) -> Option<&'a Column> {
    let by_ucd = |wanted: &&str| {
        let has = |column: &&Column| column.ucd.as_deref().is_some_and(|ucd| ucd.eq_ignore_ascii_case(wanted));
        table.columns.iter().find(has)
    };
    let by_name = |wanted: &&str| {
        let plain = |name: &str| name.to_lowercase().replace(['_', '-', '.', ' '], "");
        table.columns.iter().find(|column| plain(&column.name) == *wanted)
    };
    ucds.iter().find_map(by_ucd).or_else(|| names.iter().find_map(by_name)).filter(|column| is_single(column))
}

fn is_single(column: &Column) -> bool {
    matches!(column.data, ColumnData::Int(_) | ColumnData::Float(_) | ColumnData::Float32(_) | ColumnData::Text(_))
}

/// The unit that a column's own words give.
pub(super) fn angle_unit(column: &Column) -> Option<AngleUnit> {
    column.unit.as_deref().and_then(AngleUnit::parse).or_else(|| AngleUnit::from_name(&column.name))
}

/// The unit that a column's own words give.
pub(super) fn flux_unit(column: &Column) -> Option<FluxUnit> {
    column.unit.as_deref().and_then(FluxUnit::parse).or_else(|| FluxUnit::from_name(&column.name))
}

/// Units of source finders whose text lists do not say them.
struct FinderUnits {
    size: Option<AngleUnit>,
    flux: Option<FluxUnit>,
}

fn finder_units(table: &Table) -> Option<FinderUnits> {
    let has = |names: &[&str]| names.iter().all(|name| table.get(name).is_some());
    if has(&["Isl_id", "E_Maj", "DC_Maj", "Peak_flux"]) {
        // PyBDSF: degrees and janskys.
        return Some(FinderUnits { size: Some(AngleUnit::Deg), flux: Some(FluxUnit::Jy) });
    }
    // Aegean: axes in arc seconds, janskys.
    has(&["island", "err_a", "psf_a", "local_rms"])
        .then_some(FinderUnits { size: Some(AngleUnit::Arcsec), flux: Some(FluxUnit::Jy) })
}
