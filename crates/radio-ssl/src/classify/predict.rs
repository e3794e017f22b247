//! Classifies pictures: a catalogue with a row for each, and the probability of every class.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use cls_morph::Classifier;
use cls_morph::classifier::confident_errors::confident_errors;
use cls_morph::classifier::loss::Loss;
use cls_morph::features::Turns;
use cls_morph::probes::probe::Predictions;
use ndarray::{Array2, ArrayView2};
use radio_augment::{Augmenter, FrameSource, ViewLoader};
use radio_io::{Column, ColumnData, Table};

use super::error_gallery::{Judged, write_error_gallery};
use super::eval::errors_page;
use super::held_out::{classes_at, several_words};
use super::images::{ImageOptions, Picture, Pictures};
use crate::interrupt::{self, Interrupted};
use crate::progress::Stage;
use crate::run_config::sha256_of;

/// Endings of picture files.
const ENDINGS: [&str; 4] = ["fits", "fit", "fz", "png"];
/// Sure errors that are printed.
const SHOWN: usize = 12;

/// Pictures to classify.
#[derive(Debug, Clone, clap::Args)]
pub struct PictureOptions {
    /// Folder with the pictures.
    #[arg(long, value_name = "DIR")]
    pub images: PathBuf,
    /// Table that lists them, with positions; without it every FITS and PNG file of the folder.
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Column of the table with the file names.
    #[arg(long, value_name = "C", default_value = "file")]
    pub file_column: String,
    /// Keep rows where a column has one of these values; may be repeated.
    #[arg(long, value_name = "COLUMN=V1,V2", requires = "labels")]
    pub keep: Vec<String>,
    /// Use the middle square of this side, in pixels of the picture (as in training).
    #[arg(long, value_name = "PIXELS")]
    pub crop: Option<usize>,
}

/// Options of `classify predict`.
#[derive(Debug, Clone, clap::Args)]
pub struct PredictOptions {
    /// The classifier (`classifier.safetensors` of `classify train`).
    #[arg(long, value_name = "FILE")]
    pub classifier: PathBuf,
    /// The pictures.
    #[command(flatten)]
    pub pictures: PictureOptions,
    /// Column with known classes: the surest errors are printed, and shown in a page beside the catalogue.
    #[arg(long, value_name = "C", requires = "labels")]
    pub label_column: Option<String>,
    /// Look at every picture once, in place of the mean over the four quarter turns.
    #[arg(long)]
    pub one_turn: bool,
    /// Pictures at once.
    #[arg(long, default_value_t = 64)]
    pub batch_size: usize,
    /// The catalogue: `.csv`, `.vot`, `.fits` or `.parquet`.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Classifies and writes the catalogue.
///
/// # Errors
/// If the classifier or a picture cannot be used, the user interrupts, or the catalogue cannot be written.
pub fn predict(options: &PredictOptions) -> Result<()> {
    let classifier = Classifier::read(&options.classifier)?;
    let mut pictures = find(&options.pictures)?;
    let refused =
        ViewLoader::new(Arc::new(pictures.clone()), classifier.recipe.clone(), Augmenter { steps: Vec::new() }, 0)
            .refused_frames();
    for (place, error) in &refused {
        let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        eprintln!("left out: {}: {cause}", pictures.list[*place].id);
    }
    pictures.without(&refused.iter().map(|(place, _)| *place).collect::<Vec<_>>());
    ensure!(!pictures.list.is_empty(), "{}: no picture can be used", options.pictures.images.display());

    let mut stage = Stage::start("classifying");
    let total = pictures.len();
    let turns = if options.one_turn { Turns::One } else { Turns::Four };
    let probabilities = classifier.predict(Arc::new(pictures.clone()), turns, options.batch_size, |done| {
        stage.at(done as u64, total as u64, "pictures");
        interrupt::flow()
    })?;
    if probabilities.nrows() < total {
        bail!(Interrupted);
    }
    stage.end("");
    if classifier.loss != Loss::CrossEntropy {
        catalogue_of_several(&pictures, &classifier, probabilities.view())?.write(&options.out)?;
        if let Some(column) = &options.label_column {
            let truth = known_sets(&pictures, column, &classifier.classes)?;
            println!(
                "{}",
                several_words(&classifier.classes, truth.view(), probabilities.view(), &classifier.thresholds)?
            );
        }
        println!("{total} pictures, {} left out: {}", refused.len(), options.out.display());
        return Ok(());
    }
    let found = Predictions::of(probabilities);
    catalogue(&pictures, &classifier, &found)?.write(&options.out)?;
    if let Some(column) = &options.label_column {
        let cells = pictures.table.column(column)?;
        let labels: Vec<usize> = pictures
            .rows
            .iter()
            .map(|&row| {
                let cell = cells.cell(row);
                let known = classifier.classes.iter().position(|class| *class == cell);
                known.with_context(|| format!("`{cell}` is none of the classes {:?}", classifier.classes))
            })
            .collect::<Result<_>>()?;
        let right = found.class.iter().zip(&labels).filter(|(found, label)| found == label).count();
        let places: Vec<usize> = (0..total).collect();
        let page = errors_page(&options.out);
        write_error_gallery(
            &Judged {
                pictures: &pictures,
                places: &places,
                labels: &labels,
                classes: &classifier.classes,
                probabilities: found.probabilities.view(),
                method: format!("classifier {}", options.classifier.display()),
                facts: vec![
                    ("radio-ssl".into(), env!("CARGO_PKG_VERSION").into()),
                    ("SHA-256 of the classifier".into(), sha256_of(&options.classifier)?),
                    ("label column".into(), column.clone()),
                ],
            },
            &page,
        )?;
        println!("{right} of {total} as labelled ({}); the surest of the others:", page.display());
        for error in confident_errors(found.probabilities.view(), &labels, SHOWN)? {
            println!(
                "  {:5.1} % {} (label {}): {}",
                100.0 * error.probability,
                classifier.classes[error.predicted],
                classifier.classes[error.truth],
                pictures.list[error.row].id
            );
        }
    }
    println!("{total} pictures, {} left out: {}", refused.len(), options.out.display());
    Ok(())
}

/// The pictures of the table, or of the folder in alphabetical order.
pub(super) fn find(options: &PictureOptions) -> Result<Pictures> {
    if let Some(labels) = &options.labels {
        return Pictures::open(&ImageOptions {
            file_column: options.file_column.clone(),
            keep: options.keep.clone(),
            crop: options.crop,
            ..ImageOptions::of_files(options.images.clone(), labels.clone())
        });
    }
    let entries = std::fs::read_dir(&options.images).with_context(|| options.images.display().to_string())?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| options.images.display().to_string())?.path();
        if is_picture(&path) {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    ensure!(!names.is_empty(), "{}: no FITS and no PNG file", options.images.display());
    let picture = |name: &String| Picture { path: options.images.join(name), id: name.clone(), square: None };
    Ok(Pictures {
        list: names.iter().map(picture).collect(),
        table: Table::default(),
        rows: (0..names.len()).collect(),
        groups: (0..names.len()).collect(),
        grouping: String::new(),
        crop: options.crop,
    })
}

fn is_picture(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    ENDINGS.iter().any(|ending| name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.')))
}

/// Classes by a column of the table, among those the classifier knows.
fn known_sets(pictures: &Pictures, column: &str, classes: &[String]) -> Result<Array2<bool>> {
    let (sets, names) = pictures.label_sets(column)?;
    let place: Vec<usize> = names
        .iter()
        .map(|name| {
            let known = classes.iter().position(|class| class == name);
            known.with_context(|| format!("`{name}` is none of the classes {classes:?}"))
        })
        .collect::<Result<_>>()?;
    let mut truth = Array2::from_elem((sets.nrows(), classes.len()), false);
    for ((row, name), &has) in sets.indexed_iter() {
        truth[(row, place[name])] = has;
    }
    Ok(truth)
}

/// File, position where known, class, its probability, and the probability of every class.
fn catalogue(pictures: &Pictures, classifier: &Classifier, found: &Predictions) -> Result<Table> {
    let mut columns = file_and_place(pictures);
    let class = found.class.iter().map(|&class| classifier.classes[class].clone()).collect();
    let own = found.class.iter().enumerate().map(|(row, &class)| found.probabilities[(row, class)]).collect();
    columns.push(Column::new("class", ColumnData::Text(class)));
    columns.push(Column::new("probability", ColumnData::Float(own)));
    columns.extend(probability_columns(classifier, found.probabilities.view()));
    Ok(Table::new(columns)?)
}

/// File, position where known, the classes above their thresholds apart by `;`, and the probability of every class.
fn catalogue_of_several(pictures: &Pictures, classifier: &Classifier, probabilities: ArrayView2<f64>) -> Result<Table> {
    let mut columns = file_and_place(pictures);
    let called = classes_at(probabilities, &classifier.thresholds);
    let names = |row: ndarray::ArrayView1<bool>| {
        let of = row.iter().zip(&classifier.classes).filter(|(has, _)| **has).map(|(_, name)| name.as_str());
        of.collect::<Vec<_>>().join(";")
    };
    columns.push(Column::new("classes", ColumnData::Text(called.rows().into_iter().map(names).collect())));
    columns.extend(probability_columns(classifier, probabilities));
    Ok(Table::new(columns)?)
}

fn file_and_place(pictures: &Pictures) -> Vec<Column> {
    let mut columns = vec![Column::new("file", ColumnData::Text(pictures.list.iter().map(|p| p.id.clone()).collect()))];
    for (name, ucd) in [("ra", "pos.eq.ra;meta.main"), ("dec", "pos.eq.dec;meta.main")] {
        if let Ok(values) = pictures.table.numbers(name) {
            let values = pictures.rows.iter().map(|&row| values[row]).collect();
            let mut column = Column::new(name, ColumnData::Float(values)).with_unit("deg");
            column.ucd = Some(ucd.into());
            columns.push(column);
        }
    }
    columns
}

fn probability_columns(classifier: &Classifier, probabilities: ArrayView2<f64>) -> Vec<Column> {
    let of = |(class, name): (usize, &String)| {
        Column::new(format!("p_{name}"), ColumnData::Float(probabilities.column(class).to_vec()))
    };
    classifier.classes.iter().enumerate().map(of).collect()
}
