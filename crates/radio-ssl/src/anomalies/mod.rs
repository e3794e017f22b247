//! `radio-ssl anomalies`: frames ranked by how strange their features are, and how good such a ranking is.
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::compute::{ComputeOptions, use_compute};

pub mod eval;
mod rank;

/// Examples of the verb.
pub const ANOMALIES_EXAMPLES: &str = "Examples:\n  \
    radio-ssl anomalies features.parquet --out scores.csv                        strangest first\n  \
    radio-ssl anomalies features.parquet --checkpoint run/checkpoint.safetensors --top 5 --out scores.csv\n  \
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
    /// Seed of the forest.
    #[arg(long, default_value_t = 1)]
    seed: u64,
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
    rank::rank(features, command.checkpoint.as_deref().zip(command.top), command.seed, out)
}
