//! Tables in Parquet files: numbers, truth values and texts, single or one list per row, nullable or not.
//!
//! Units, descriptions and descriptors of the columns travel in the file's metadata under [`COLUMNS_KEY`].

mod astropy_masks;
mod read;
mod write;

pub(super) use read::read_parquet;
pub(super) use write::write_parquet;

/// Key of what is known of the columns beyond their values, as JSON: `{"ra": {"unit": "deg", "ucd": "pos.eq.ra"}}`.
const COLUMNS_KEY: &str = "radio-ssl.columns";

/// What is known of a column.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct ColumnNotes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ucd: Option<String>,
}
