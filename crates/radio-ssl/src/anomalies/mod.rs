//! `radio-ssl anomalies`: frames ranked by how strange their features are, and how good such a ranking is.
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::compute::{ComputeOptions, use_compute};

pub mod eval;
mod rank;

/// Examples of the verb.
pub const ANOMALIES_EXAMPLES: &str = "Examples:\n  \
    radio-ssl anomalies features.parquet --out scores.csv                        strangest first\n  \
    radio-ssl anomalies features.parquet --checkpoint run/checkpoint.safetensors --top 5 --out scores.csv\n  \
    radio-ssl anomalies features.parquet --method lof --neighbours 20 --out scores.csv  sparser than their neighbourhood first\n  \
    radio-ssl anomalies features.parquet --save-forest forest.json --out scores.csv\n  \
    radio-ssl anomalies other.parquet --forest forest.json --out scores.csv      scores that can be compared\n  \
    radio-ssl anomalies eval --scores scores.csv --labels labels.csv --label-column group --positive peculiar --out marks.json\n  \
    radio-ssl anomalies eval --scores labels.csv --score-column protege_score --labels labels.csv \\\n      \
    --label-column score_eval --positive 4,5 --rivals size_pix --out marks.json";

/// Options of the verb.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct AnomaliesCommand {
    #[command(subcommand)]
    verb: Option<AnomaliesVerb>,
    /// A feature table (`.parquet`).
    #[arg(required = true)]
    features: Option<PathBuf>,
    /// Use the leading features of the ranking inside this checkpoint.
    #[arg(long, value_name = "FILE", requires = "top")]
    checkpoint: Option<PathBuf>,
    /// How many leading features.
    #[arg(long, value_name = "K", requires = "checkpoint")]
    top: Option<usize>,
    /// What makes a frame strange.
    #[arg(long, value_enum, default_value_t)]
    method: rank::Method,
    /// Neighbours of `lof` and `knn`.
    #[arg(long, default_value_t = 20, value_name = "K")]
    neighbours: usize,
    /// Seed of the forest.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Score with a saved forest in place of one grown on these frames: of --save-forest, or scikit-learn's as written by
    /// export_scikit_learn.py of the crate anomaly-iforest.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "method", "neighbours"])]
    forest: Option<PathBuf>,
    /// Save the forest (`.json`), to score other frames alike.
    #[arg(long, value_name = "FILE", conflicts_with = "forest")]
    save_forest: Option<PathBuf>,
    /// Scores, highest first (`.csv`).
    #[arg(long, value_name = "FILE", required = true)]
    out: Option<PathBuf>,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// What else can be done about anomalies.
#[derive(Debug, Clone, clap::Subcommand)]
enum AnomaliesVerb {
    /// Score a ranking against labels: average precision and the head of the list, beside chance and rival scores.
    #[command(after_help = ANOMALIES_EXAMPLES)]
    Eval(Box<eval::EvalOptions>),
}

/// Ranks frames, or scores a ranking.
///
/// # Errors
/// If a table cannot be used, or the result not be written.
pub fn run(command: &AnomaliesCommand) -> Result<()> {
    if let Some(AnomaliesVerb::Eval(options)) = &command.verb {
        return eval::eval(options);
    }
    use_compute(&command.compute)?;
    let features = command.features.as_deref().context("FEATURES is missing")?;
    let out = command.out.as_deref().context("--out is missing")?;
    let leading = command.checkpoint.as_deref().zip(command.top);
    let way = match (&command.forest, command.method) {
        (Some(saved), _) => rank::Way::Saved(saved),
        (None, rank::Method::Forest) => rank::Way::Forest { seed: command.seed, save: command.save_forest.as_deref() },
        (None, method) if command.save_forest.is_some() => {
            bail!("--save-forest: there is no forest with --method {method:?}")
        }
        (None, rank::Method::Oblique) => rank::Way::Oblique { seed: command.seed },
        (None, rank::Method::Lof) => rank::Way::Lof(command.neighbours),
        (None, rank::Method::Knn) => rank::Way::Knn(command.neighbours),
    };
    rank::rank(features, leading, &way, out)
}
