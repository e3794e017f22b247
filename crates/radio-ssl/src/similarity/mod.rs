//! `radio-ssl similar`: the rows of a feature table that lie nearest to others, and rows that are nearly the same.
mod neighbour_table;
mod questions;
mod twins;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use ndarray::{Array2, Axis};
use neighbours::{GraphSettings, Metric, Neighbours, near_in, nearest_in, recall};
use radio_io::FeatureTable;

use crate::compute::{ComputeOptions, use_compute};
use crate::feature_files::read_features;
use crate::progress::{Stage, peak_memory};
use questions::Questions;

/// Examples under `radio-ssl similar --help`.
pub const SIMILAR_EXAMPLES: &str = "Examples:\n  \
    radio-ssl similar features.parquet --id m_r00512_c00768_s256 --out like-it.csv      the ten frames most like one\n  \
    radio-ssl similar 'features-*.parquet' --row 17 --row 42 --top 50 --out near.csv      two rows of a table in shards\n  \
    radio-ssl similar features.npy --features-of new.npy --metric euclidean --out new.csv   the nearest to frames of another table\n  \
    radio-ssl similar features.parquet --all --top 15 --method hnsw --out graph.csv       neighbours of every row\n  \
    radio-ssl similar features.parquet --duplicates --threshold 0.001 --out twins.csv     pairs that are nearly the same\n\n\
    Reads Parquet, NPY (names from .ids.csv), CSV and the paper's text layout; several files or a pattern count as one table, and features.parquet\n\
    stands for its shards. A row is no neighbour of its own. The cosine distance is 1 - cos, from 0 to 2.\n\
    --method auto is exact unless there are more than a million rows and more than 50,000 queries: for fewer queries an exact search is done\n\
    before a graph is built. With a graph the summary says which share of the true neighbours it found, on up to 200 queries.";

/// Rows beyond which a graph is worth its building, if there are queries enough.
const GRAPH_ROWS: usize = 1_000_000;
/// And queries beyond which it is: a rough estimate, carried over from the processor times of `examples/graph_time.rs` in `neighbours`.
const GRAPH_QUERIES: usize = 50_000;
/// Queries whose neighbours by the graph are compared with the true ones.
const SAMPLE: usize = 200;

/// Options of `similar`.
#[derive(Debug, Clone, clap::Args)]
#[command(group(clap::ArgGroup::new("asked").required(true).multiple(true).args(["id", "row", "features_of", "all", "duplicates"])))]
pub struct SimilarOptions {
    /// Feature tables: files, patterns, or the name of a set of shards.
    #[arg(required = true, value_name = "FEATURES")]
    pub features: Vec<PathBuf>,
    /// Neighbours of the row of this name.
    #[arg(long, value_name = "ID")]
    pub id: Vec<String>,
    /// Neighbours of this row, counted from 0.
    #[arg(long, value_name = "N")]
    pub row: Vec<usize>,
    /// Neighbours of every row of another table.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["id", "row"])]
    pub features_of: Vec<PathBuf>,
    /// Neighbours of every row.
    #[arg(long, conflicts_with_all = ["id", "row", "features_of"])]
    pub all: bool,
    /// Pairs of rows that are nearly the same.
    #[arg(long, conflicts_with_all = ["id", "row", "features_of", "all", "top", "method"], requires = "threshold")]
    pub duplicates: bool,
    /// Largest distance of such a pair.
    #[arg(long, value_name = "D", requires = "duplicates", allow_negative_numbers = true)]
    pub threshold: Option<f64>,
    /// Neighbours of each row.
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub top: u32,
    /// What near means.
    #[arg(long, value_enum, default_value_t = MetricName::Cosine)]
    pub metric: MetricName,
    /// How neighbours are found.
    #[arg(long, value_enum, default_value_t = Method::Auto)]
    pub method: Method,
    /// Seed of the graph.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// The neighbours, or the pairs (`.csv`).
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Threads and device.
    #[command(flatten)]
    pub compute: ComputeOptions,
}

/// What near means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum MetricName {
    /// One minus the cosine of the angle between two rows.
    Cosine,
    /// The length of their difference.
    Euclidean,
}

impl MetricName {
    fn metric(self) -> Metric {
        match self {
            Self::Cosine => Metric::Cosine,
            Self::Euclidean => Metric::Euclidean,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Euclidean => "euclidean",
        }
    }
}

/// How neighbours are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Method {
    /// By a graph where there are very many rows and queries, otherwise exactly.
    Auto,
    /// By looking at every row.
    Exact,
    /// By a walk through a graph, which finds nearly all of them.
    Hnsw,
}

impl Method {
    fn by_graph(self, rows: usize, queries: usize) -> bool {
        match self {
            Self::Auto => rows > GRAPH_ROWS && queries > GRAPH_QUERIES,
            Self::Exact => false,
            Self::Hnsw => true,
        }
    }
}

/// Finds neighbours or pairs, writes them, and returns what to print.
///
/// # Errors
/// If a table cannot be read, a row asked for is not there, features are not finite (or all zero, for the cosine), or the output
/// cannot be written.
pub fn similar(options: &SimilarOptions) -> Result<String> {
    use_compute(&options.compute)?;
    let table = read_features(&options.features)?;
    ensure!(!table.is_empty(), "{}: holds no row", options.features[0].display());
    if let Some(threshold) = options.threshold {
        return twins::write_twins(&table, options.metric, threshold, &options.out);
    }
    let questions = Questions::of(options, &table)?;
    let stage = Stage::start("searching");
    let top = options.top as usize;
    let (rows, queries) = (table.len(), questions.len());
    let by_graph = options.method.by_graph(rows, queries);
    let (found, recall) = find(&table, &questions, top, options.metric.metric(), by_graph, options.seed)
        .with_context(|| format!("--metric {}", options.metric.text()))?;
    neighbour_table::write(&table, &questions, &found, top, &options.out)?;
    let method = match recall {
        None => "exact".to_owned(),
        Some((recall, sample)) => {
            format!("by a graph, which found {:.2} % of the true neighbours of {sample} queries", 100.0 * recall)
        }
    };
    stage.end(&peak_memory().map_or(String::new(), |bytes| format!("at most {} MB", bytes / 1_000_000)));
    let (metric, columns, out) = (options.metric.text(), table.features.ncols(), options.out.display());
    Ok(format!(
        "{queries} queries, {top} neighbours each among {rows} rows of {columns} features ({metric}, {method}): {out}\n"
    ))
}

/// The nearest rows of each question, one more than `top` where the questions are rows themselves; and of a graph its recall
/// and on how many queries that was measured.
fn find(
    table: &FeatureTable,
    questions: &Questions,
    top: usize,
    metric: Metric,
    by_graph: bool,
    seed: u64,
) -> Result<(Neighbours, Option<(f64, usize)>)> {
    let own = usize::from(questions.are_rows());
    let most = table.len().saturating_sub(own);
    ensure!(top <= most, "--top {top}: expected at most {most}, as many as there are rows to choose from");
    let (queries, reference, k) = (questions.features(table), table.features.view(), top + own);
    if !by_graph {
        return Ok((nearest_in(queries.view(), reference, k, metric)?, None));
    }
    let found = near_in(queries.view(), reference, k, metric, &GraphSettings::with_seed(seed))?;
    let sample: Vec<usize> = (0..queries.nrows()).step_by(queries.nrows().div_ceil(SAMPLE).max(1)).collect();
    let asked: Array2<f32> = queries.select(Axis(0), &sample);
    let truth = nearest_in(asked.view(), reference, k, metric)?;
    let found_there =
        Neighbours { rows: found.rows.select(Axis(0), &sample), distances: found.distances.select(Axis(0), &sample) };
    Ok((found, Some((recall(&found_there, &truth), sample.len()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_is_built_for_many_rows_and_many_queries_only() {
        for (method, rows, queries, by_graph) in [
            (Method::Auto, 1_000_001, 50_001, true),
            (Method::Auto, 1_000_001, 50_000, false),
            (Method::Auto, 1_000_000, 1_000_000, false),
            (Method::Exact, 2_000_000, 2_000_000, false),
            (Method::Hnsw, 2, 1, true),
        ] {
            assert_eq!(method.by_graph(rows, queries), by_graph, "{method:?} {rows} {queries}");
        }
    }
}
