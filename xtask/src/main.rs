//! Experiments, benches and checks of the workspace: `cargo xtask <task>`.
//!
//! Thin by design: a task picks a configuration, calls library code, and says in words and in the exit code what came out.
mod bench_case;
mod bench_data;
mod bench_forest;
mod bench_page;
mod bench_peers;
mod bench_pipeline;
mod bench_sides;
mod campaign;
mod check_published;
mod interop;
mod kill_check;
mod sim_gates;
mod tidy;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use radio_ssl::compute::{CheckpointOptions, ComputeOptions, use_compute};
use radio_ssl::experiments::Experiment;
use radio_ssl::experiments::foundation::{FOUNDATION_EXAMPLES, FoundationOptions, foundation};
use radio_ssl::figures::settings::FIGURE_EXAMPLES;
use radio_ssl::figures::{FigureOptions, fig4, fig5, fig6, fig7, views};
use radio_ssl::interrupt::{EXIT_INTERRUPTED, Interrupted};
use radio_ssl::run_config::Preset;
use radio_ssl::table4::{Table4Options, reproduce_table4, resources};

/// Experiments, benches and checks of radio-ssl.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// From a sky to the paper's Table 4 beside ours, with figures and one HTML page.
    ///
    /// Run again after Ctrl-C or a kill, the same command continues and ends with the same bits.
    #[command(after_help = "Examples:\n  \
        cargo xtask reproduce-table4                             simulated sky, at most 20 minutes on two cores\n  \
        cargo xtask reproduce-table4 --preset smoke              does every stage work? under 3 minutes\n  \
        cargo xtask reproduce-table4 --survey survey.toml --checkpoint runs/table4-quick-seed1/checkpoint.safetensors\n  \
        cargo xtask reproduce-table4 --check-published           the counts behind the printed table")]
    ReproduceTable4(ReproduceTable4),
    /// The paper's figure 4: a map (UMAP) of frozen features by class, trained and random encoder.
    #[command(after_help = FIGURE_EXAMPLES)]
    ReproduceFig4(Box<FigureOptions>),
    /// Figure 5: F1 of linear heads on frozen features, by what made them, for each class and over all.
    #[command(after_help = FIGURE_EXAMPLES)]
    ReproduceFig5(Box<FigureOptions>),
    /// Figure 6: the confusion matrix of the best pre-trained encoder.
    #[command(after_help = FIGURE_EXAMPLES)]
    ReproduceFig6(Box<FigureOptions>),
    /// Figure 7: F1 against the number of labels, from a pre-trained encoder and from scratch.
    #[command(after_help = FIGURE_EXAMPLES)]
    ReproduceFig7(Box<FigureOptions>),
    /// Table 4 for several ways to train on several skies, with the differences pooled.
    ///
    /// Run again after Ctrl-C or a kill, the same command continues.
    #[command(after_help = "Example:\n  cargo xtask campaign docs/examples/training-search.toml")]
    Campaign {
        /// The plan: preset, seeds, settings, variants.
        plan: PathBuf,
        #[command(flatten)]
        checkpoints: CheckpointOptions,
        #[command(flatten)]
        compute: ComputeOptions,
    },
    /// What pre-training is worth, on real sets and on the simulated sky: tables with intervals, figures, verdicts.
    ///
    /// Run again after Ctrl-C or a kill, the same command continues and ends with the same JSON.
    #[command(after_help = radio_ssl::experiments::EXAMPLES)]
    Experiment {
        #[command(subcommand)]
        experiment: ExperimentName,
        #[command(flatten)]
        compute: ComputeOptions,
    },
    /// Trains the published encoder `models/radio-ssl-r18.safetensors` on every picture at hand, real and simulated.
    ///
    /// Run again after Ctrl-C or a kill, the same command continues and ends with the same file.
    #[command(after_help = FOUNDATION_EXAMPLES)]
    Foundation {
        #[command(flatten)]
        options: Box<FoundationOptions>,
        #[command(flatten)]
        compute: ComputeOptions,
    },
    /// Runs all tests of the workspace that need no data beside it.
    Test,
    /// Runs the tests against golden values and real data (RADIO_SSL_GOLDEN, RADIO_SSL_DATA).
    Golden,
    /// Kills the smoke run at random moments and compares what is left at the end with an undisturbed run, bit for bit.
    KillCheck {
        /// How often the run is killed.
        #[arg(long, default_value_t = 20)]
        kills: u64,
        /// Seed of the moments.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Measures the gates of the simulated sky (docs/simulation.md, section 7); fails if one fails.
    SimGates(sim_gates::SimGates),
    /// Ours and PyTorch's alternately in one run; writes the table of ratios to docs/benchmarks.md.
    BenchPeers(bench_peers::BenchPeers),
    /// One side of `bench-peers`.
    #[command(hide = true)]
    BenchCase {
        /// The case, as JSON.
        case: String,
    },
    /// Windows, recipe and augmentation beside astropy, fitsio, OpenCV and albumentations; writes docs/benchmarks.md.
    BenchData(bench_data::BenchData),
    /// One side of `bench-data`.
    #[command(hide = true)]
    BenchDataCase {
        /// The case, as JSON.
        case: String,
    },
    /// Isolation forest and ranking beside scikit-learn, isotree and LightGBM, ten million rows; writes docs/benchmarks.md.
    BenchForest(bench_forest::BenchForest),
    /// One side of `bench-forest`.
    #[command(hide = true)]
    BenchForestCase {
        /// The case, as JSON.
        case: String,
    },
    /// The long table of `bench-forest`.
    #[command(hide = true)]
    BenchForestLong {
        /// Its rows.
        rows: usize,
        /// Threads.
        threads: usize,
    },
    /// Pairs a second from FITS to updated weights, with the share of every stage; writes docs/benchmarks.md.
    BenchPipeline(bench_pipeline::BenchPipeline),
    /// Mutated files through every reader: no panic, no allocation beyond a limit, no silent short read.
    #[command(
        after_help = "Example:\n  cargo xtask fuzz --files 1000000 --only VOTable\n\nAll options: cargo xtask fuzz -- --help"
    )]
    Fuzz {
        /// Options of the fuzzer.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Files written here are read by astropy, regions, pyarrow and pycocotools, and theirs are read here: every value must be the same.
    Interop(interop::Interop),
    /// Checks what no compiler checks: module docs, file names, changelog.
    Tidy,
}

#[derive(Subcommand)]
enum ExperimentName {
    #[command(flatten)]
    Real(Experiment),
    /// Blind against source-centred against two-stage pre-training, at equal steps, over three seeds.
    #[command(after_help = FIGURE_EXAMPLES)]
    Views(Box<FigureOptions>),
}

#[derive(clap::Args)]
struct ReproduceTable4 {
    /// How much is run.
    #[arg(long, value_enum, default_value_t = Preset::Quick)]
    preset: Preset,
    /// Mosaics and labels of your own (`survey.toml`); without it the sky is simulated.
    #[arg(long, value_name = "FILE")]
    survey: Option<PathBuf>,
    /// Use this encoder and its ranking instead of training one.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Seed of everything.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: u64,
    /// The run folder; runs/table4-SKY-seedSEED without it.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Another number in place of the preset's, named as in run.toml; may be given several times.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    settings: Vec<String>,
    #[command(flatten)]
    checkpoints: CheckpointOptions,
    #[command(flatten)]
    compute: ComputeOptions,
    /// Only check that the scan finds the published rows from the counts behind them.
    #[arg(long)]
    check_published: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<Interrupted>() { ExitCode::from(EXIT_INTERRUPTED) } else { ExitCode::FAILURE }
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::ReproduceTable4(arguments) if arguments.check_published => check_published::check_published(),
        Task::ReproduceTable4(arguments) => {
            use_compute(&arguments.compute)?;
            let checkpoint_every = arguments.checkpoints.every();
            let ReproduceTable4 { preset, survey, checkpoint, seed, out, settings, .. } = arguments;
            let options = Table4Options { preset, seed, survey, checkpoint, out, settings, checkpoint_every };
            let outcome = reproduce_table4(&options)?;
            println!("{}", outcome.text);
            println!("{}", resources(&outcome.times));
            Ok(())
        }
        Task::ReproduceFig4(options) => print_page(fig4::figure4(&options)?),
        Task::ReproduceFig5(options) => print_page(fig5::figure5(&options)?),
        Task::ReproduceFig6(options) => print_page(fig6::figure6(&options)?),
        Task::ReproduceFig7(options) => print_page(fig7::figure7(&options)?),
        Task::Campaign { plan, checkpoints, compute } => {
            use_compute(&compute)?;
            campaign::campaign(&plan, checkpoints.every())
        }
        Task::Experiment { experiment, compute } => {
            use_compute(&compute)?;
            match experiment {
                ExperimentName::Views(options) => print_page(views::views(&options)?),
                ExperimentName::Real(experiment) => {
                    println!("{}", radio_ssl::experiments::run(&experiment)?.display());
                    Ok(())
                }
            }
        }
        Task::Foundation { options, compute } => {
            use_compute(&compute)?;
            println!("{}", foundation(&options)?.display());
            Ok(())
        }
        Task::Test => cargo(&["test", "--workspace"]),
        Task::Golden => {
            for variable in ["RADIO_SSL_GOLDEN", "RADIO_SSL_DATA"] {
                std::env::var_os(variable)
                    .with_context(|| format!("set {variable} to the folder of the reference values"))?;
            }
            cargo(&["test", "--workspace", "--", "--ignored"])
        }
        Task::KillCheck { kills, seed } => kill_check::kill_check(kills, seed),
        Task::SimGates(options) => sim_gates::sim_gates(&options),
        Task::BenchPeers(options) => bench_peers::bench_peers(&options),
        Task::BenchCase { case } => bench_case::bench_case(&case),
        Task::BenchData(options) => bench_data::bench_data(&options),
        Task::BenchDataCase { case } => bench_data::bench_data_case(&case),
        Task::BenchForest(options) => bench_forest::bench_forest(&options),
        Task::BenchForestCase { case } => bench_forest::bench_forest_case(&case),
        Task::BenchForestLong { rows, threads } => bench_forest::bench_forest_long(rows, threads),
        Task::BenchPipeline(options) => bench_pipeline::bench_pipeline(&options),
        Task::Fuzz { options } => {
            // A program of its own: its allocator counts.
            let mut arguments = vec!["run", "--quiet", "--package", "xtask", "--bin", "fuzz-readers", "--"];
            arguments.extend(options.iter().map(String::as_str));
            cargo(&arguments)
        }
        Task::Interop(options) => interop::interop(&options),
        Task::Tidy => tidy::tidy(),
    }
}

fn print_page(text: String) -> Result<()> {
    println!("{text}");
    Ok(())
}

/// Runs cargo in the workspace.
fn cargo(arguments: &[&str]) -> Result<()> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program).args(arguments).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}
