//! `radio-ssl map`: a feature table in, a plane of points out, as a table, a page and a figure.
//!
//! [`columns`] brings labels and numbers to the rows, [`projection`] makes or applies the map, [`pictures`] finds cutouts,
//! [`page`] writes the page. The method is in `map-umap`.
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use atomic_file::write_atomically;
use map_umap::{Scaling, UmapConfig, trustworthiness};
use radio_io::{Column, ColumnData, FeatureTable, Table};

use crate::compute::{ComputeOptions, use_compute};
use crate::feature_files::read_features;
use crate::progress::Stage;
use crate::report::scatter::figure::scatter_figure;
use crate::report::{Colouring, ScatterMap, drawing_png, drawing_svg};
use crate::run_config::sha256_of;
use columns::Labels;
use pictures::PictureOptions;
use projection::Projection;

pub mod columns;
pub mod page;
pub mod pictures;
pub mod projection;

/// Examples of the verb.
pub const MAP_EXAMPLES: &str = "Examples:\n  \
    radio-ssl map run/features.parquet --survey run/sky/survey.toml --out map        click a point, see its cutout\n  \
    radio-ssl map run/features.parquet --labels run/scores.csv --label-column group \\\n      \
    --colour-by rms,score_top5 --out map                                         coloured by group, noise and score\n  \
    radio-ssl map features.parquet --pca 50 --save map.safetensors --out map         principal components first; keep the map\n  \
    radio-ssl map new.parquet --model map.safetensors --out new-map                  new rows on the same map\n\n\
    OUT gets map.html (needs nothing else, works offline), map.csv or map.parquet, map.svg, map.png and map.toml (every number).\n\
    Distances between far points of a UMAP mean little: what is close on it was close in the table, no more.";

/// Most rows whose trustworthiness is computed: it needs the ranks of all pairs.
const MOST_TRUSTED: usize = 5_000;
/// Points of the fit drawn behind new rows.
const MOST_BACKGROUND: usize = 5_000;

/// What is done to each column of features first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ScalingName {
    /// Columns stay as they are.
    None,
    /// Smallest value to 0, largest to 1.
    MinMax,
    /// Median to 0, distance between the quartiles to 1.
    Robust,
}

/// File format of the coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TableFormat {
    /// Text.
    Csv,
    /// Binary, typed.
    Parquet,
}

/// Options of the verb.
#[derive(Debug, Clone, clap::Args)]
pub struct MapOptions {
    /// A feature table: `.parquet` or `.csv`, as `embed` writes it.
    #[arg(value_name = "FEATURES")]
    pub features: PathBuf,
    /// Table with more about the rows (labels, scores): CSV, VOTable, FITS or Parquet, joined by name.
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Column of it with the class of each row.
    #[arg(long, value_name = "C", requires = "labels")]
    pub label_column: Option<String>,
    /// Column of it with the names of the rows [default: the first of id, frame, file, name].
    #[arg(long, value_name = "C", requires = "labels")]
    pub id_column: Option<String>,
    /// What else can colour the points: rms, blank_fraction, ra, dec, a feature (f012), or columns of --labels.
    #[arg(long, value_name = "C1,C2", value_delimiter = ',', default_value = "rms")]
    pub colour_by: Vec<String>,
    /// Reduce to so many principal components first.
    #[arg(long, value_name = "N", conflicts_with = "model")]
    pub pca: Option<usize>,
    /// Let the labels pull rows of one class together (20 labelled rows or more). Such a map shows no independent evidence of classes.
    #[arg(long, requires = "label_column", conflicts_with = "model")]
    pub supervised: bool,
    /// Rows of a neighbourhood, the row itself included.
    #[arg(long, default_value_t = 15, conflicts_with = "model")]
    pub neighbours: usize,
    /// Distance on the map below which points count as fully similar.
    #[arg(long, default_value_t = 0.1, conflicts_with = "model")]
    pub min_dist: f64,
    /// What is done to each column first.
    #[arg(long, value_enum, default_value_t = ScalingName::None, conflicts_with = "model")]
    pub scaling: ScalingName,
    /// Seed of the map.
    #[arg(long, default_value_t = 42, conflicts_with = "model")]
    pub seed: u64,
    /// Keep the fitted map here (`.safetensors`; the components of --pca beside it).
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub save: Option<PathBuf>,
    /// Place the rows on a map that --save kept.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Where cutouts come from.
    #[command(flatten)]
    pub pictures: PictureOptions,
    /// File format of the coordinates.
    #[arg(long, value_enum, default_value_t = TableFormat::Csv)]
    pub table: TableFormat,
    /// Folder for the result; made if it does not exist.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    compute: ComputeOptions,
}

impl MapOptions {
    fn umap(&self) -> UmapConfig {
        let scaling = match self.scaling {
            ScalingName::None => Scaling::None,
            ScalingName::MinMax => Scaling::MinMax,
            ScalingName::Robust => Scaling::Robust,
        };
        UmapConfig {
            n_neighbours: self.neighbours,
            min_dist: self.min_dist,
            scaling,
            ..UmapConfig::published(self.seed)
        }
    }
}

/// Makes the map and writes everything.
///
/// # Errors
/// If a table, a model or a picture cannot be used, the rows allow no map, or a file cannot be written.
pub fn map(options: &MapOptions) -> Result<()> {
    use_compute(&options.compute)?;
    let table = read_features(std::slice::from_ref(&options.features))?;
    ensure!(!table.is_empty(), "{}: no row", options.features.display());
    let labels =
        options.labels.as_deref().map(|path| Labels::read(path, options.id_column.as_deref(), &table)).transpose()?;
    let colourings = columns::colourings(&table, labels.as_ref(), options.label_column.as_deref(), &options.colour_by)?;
    // Before any work: a folder that cannot be made is an error now.
    std::fs::create_dir_all(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;

    let stage = Stage::start("making the map");
    let classes = match colourings.first() {
        Some(Colouring::Classes { of, .. }) if options.supervised => {
            Some(of.iter().map(|class| class.and_then(|class| u32::try_from(class).ok())).collect::<Vec<_>>())
        }
        _ => None,
    };
    let projection = match &options.model {
        Some(path) => Projection::load(path, table.features.ncols())?,
        None => Projection::fit(table.features.view(), options.pca, classes.as_deref(), &options.umap())?,
    };
    let places = match &options.model {
        Some(_) => projection.transform(table.features.view())?,
        None => projection.umap.embedding.clone(),
    };
    if let Some(path) = &options.save {
        projection.save(path)?;
    }
    let trust = match options.model.is_none() && (32..=MOST_TRUSTED).contains(&table.len()) {
        true => {
            // Neighbours are those of the scaled columns, before any components.
            let scale = projection.components.as_ref().map_or(&projection.umap.scale, |pca| &pca.scale);
            let scaled = scale.apply(table.features.view())?;
            Some(trustworthiness(scaled.view(), places.view(), 15, projection.umap.config.metric)?)
        }
        false => None,
    };
    stage.end(&format!("{} points", table.len()));

    let pictures = pictures::pictures(&options.pictures, &table.ids)?;
    let mut facts = facts(options, &table, &projection, labels.as_ref())?;
    if let Some(trust) = trust {
        facts.push(("trustworthiness, 15 neighbours".into(), format!("{trust:.4}")));
    }
    if let Some(source) = &pictures.source {
        facts.push(("cutouts".into(), format!("{} of {} points, from {source}", pictures.png.len(), table.len())));
    }
    let background = match &options.model {
        Some(_) => {
            let fit = &projection.umap.embedding;
            let step = fit.nrows().div_ceil(MOST_BACKGROUND).max(1);
            fit.outer_iter().step_by(step).map(|row| [row[0], row[1]]).collect()
        }
        None => Vec::new(),
    };
    let scatter = ScatterMap {
        title: format!("Map of {}", options.features.file_name().unwrap_or_default().to_string_lossy()),
        caption: caption(options),
        ids: table.ids.clone(),
        places: places.outer_iter().map(|row| [row[0], row[1]]).collect(),
        colourings,
        background,
        pictures: pictures.png,
    };
    write_all(options, &table, &projection, &scatter, &facts)?;
    println!("{} points: {}", table.len(), options.out.join("map.html").display());
    Ok(())
}

fn caption(options: &MapOptions) -> String {
    let mut words = "Similar rows of the feature table lie close to each other; distances between far points, and the axes, mean nothing.".to_owned();
    if options.supervised {
        words += " Labels pulled the points of a class together: that classes are apart here is no evidence that the features tell them apart.";
    }
    if options.model.is_some() {
        words += " The rows were placed on a map made earlier, whose own rows are drawn pale.";
    }
    words
}

/// What is needed to make the map again.
fn facts(
    options: &MapOptions,
    table: &FeatureTable,
    projection: &Projection,
    labels: Option<&Labels>,
) -> Result<Vec<(String, String)>> {
    let config = &projection.umap.config;
    let mut facts = vec![
        ("radio-ssl".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("features".into(), format!("{} rows of {}", table.len(), table.features.ncols())),
        ("SHA-256 of the features".into(), sha256_of(&options.features)?),
    ];
    if let Some(pca) = &projection.components {
        let share: f64 = pca.variance_fractions().iter().sum();
        facts.push((
            "principal components".into(),
            format!("{}, {:.1} % of the variance", pca.variances.len(), 100.0 * share),
        ));
    }
    facts.push((
        "UMAP".into(),
        format!(
            "{} neighbours, minimal distance {}, {}, seed {}{}",
            config.n_neighbours,
            config.min_dist,
            format!("{:?}", config.metric).to_lowercase(),
            config.seed,
            if options.supervised { ", led by the labels" } else { "" }
        ),
    ));
    if let Some(model) = &options.model {
        facts.push(("map of".into(), format!("{} rows, SHA-256 {}", projection.umap.rows.nrows(), sha256_of(model)?)));
    }
    if let Some(labels) = labels {
        facts.push(("rows in the table of labels".into(), format!("{} of {}", labels.found(), table.len())));
    }
    Ok(facts)
}

fn write_all(
    options: &MapOptions,
    table: &FeatureTable,
    projection: &Projection,
    scatter: &ScatterMap,
    facts: &[(String, String)],
) -> Result<()> {
    let write = |name: &str, bytes: &[u8]| {
        let path = options.out.join(name);
        write_atomically(&path, |file| std::io::Write::write_all(file, bytes))
            .with_context(|| format!("cannot write {}", path.display()))
    };
    let axis = |axis: usize| ColumnData::Float(scatter.places.iter().map(|place| f64::from(place[axis])).collect());
    let mut columns = vec![
        Column::new("id", ColumnData::Text(table.ids.clone())),
        Column::new("x", axis(0)),
        Column::new("y", axis(1)),
    ];
    for colouring in &scatter.colourings {
        let data = match colouring {
            Colouring::Values { values, .. } => ColumnData::Float(values.clone()),
            Colouring::Classes { classes, of, .. } => {
                let word =
                    |class: &Option<usize>| class.and_then(|class| classes.get(class)).cloned().unwrap_or_default();
                ColumnData::Text(of.iter().map(word).collect())
            }
        };
        // A column named as a coordinate would make the table ambiguous.
        let taken = columns.iter().any(|column| column.name == colouring.name());
        let name = if taken { format!("label_{}", colouring.name()) } else { colouring.name().to_owned() };
        columns.push(Column::new(name, data));
    }
    let name = match options.table {
        TableFormat::Csv => "map.csv",
        TableFormat::Parquet => "map.parquet",
    };
    Table::new(columns)?.write(&options.out.join(name))?;
    write("map.toml", projection.numbers(facts)?.as_bytes())?;
    if let Some(drawing) = scatter_figure(scatter, 0) {
        write("map.svg", drawing_svg(&drawing).as_bytes())?;
        write("map.png", &drawing_png(&drawing)?)?;
    }
    write("map.html", page::page(scatter, facts).as_bytes())
}
