//! `bench-forest`: the isolation forest and the ranking beside scikit-learn, isotree and LightGBM, and a forest over ten million rows, as a
//! table in `docs/benchmarks.md`.
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anomaly_iforest::{Contamination, ForestConfig, IsolationForest, MaxFeatures, MaxSamples};
use anyhow::{Context, Result, ensure};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rank_gbdt::RankConfig;
use rank_gbdt::boost::boost;
use serde::{Deserialize, Serialize};

use crate::bench_page::{circumstances, ensure_quiet, median, write_between};
use crate::bench_sides::{Match, answer_timings, compare, peak_kib};

/// Options of the command.
#[derive(clap::Args)]
pub struct BenchForest {
    /// Python interpreter with scikit-learn, isotree and LightGBM.
    #[arg(long, default_value = "python3", value_name = "PROGRAM")]
    python: PathBuf,
    /// Timings of each side.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(5..))]
    alternations: u16,
    /// Threads of each side.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Rows of the long table.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(1000..))]
    long_rows: u32,
    /// Only cases whose description has this in it; prints the table and leaves the page alone.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The page the table goes to.
    #[arg(long, default_value = "docs/benchmarks.md", value_name = "FILE")]
    page: PathBuf,
}

/// Rows of the forests: the frames of the paper's EMU pilot.
const FRAMES: usize = 55_773;
/// Rows and columns of the ranking: labelled frames and features.
const RANKED: (usize, usize) = (5_800, 512);
/// Columns of the long table: the paper's leading features.
const LONG_COLUMNS: usize = 15;

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Task {
    /// 200 trees of 256 rows: grown, then all rows scored.
    Forest,
    /// 100 rounds of boosting with the paper's parameters.
    Ranking,
}

/// One case, as both sides get it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    task: Task,
    /// The peer's library.
    peer: String,
    rows: usize,
    columns: usize,
    threads: usize,
}

impl Case {
    fn words(&self) -> String {
        let what = match self.task {
            Task::Forest => "forest of 200 trees, fit + score",
            Task::Ranking => "ranking, 100 rounds",
        };
        format!("{what}, {} × {}; {}", self.rows, self.columns, self.peer)
    }
}

/// The cases and the least ratio that is asked.
fn cases(threads: usize) -> Vec<(Case, &'static str)> {
    let case = |task, peer: &str, (rows, columns)| Case { task, peer: peer.to_owned(), rows, columns, threads };
    vec![
        (case(Task::Forest, "scikit-learn", (FRAMES, 10)), "10"),
        (case(Task::Forest, "scikit-learn", (FRAMES, 512)), "10"),
        (case(Task::Forest, "isotree", (FRAMES, 10)), "1"),
        (case(Task::Forest, "isotree", (FRAMES, 512)), "1"),
        (case(Task::Ranking, "LightGBM", RANKED), "0.67"),
    ]
}

/// Runs all cases and writes the table.
pub fn bench_forest(options: &BenchForest) -> Result<()> {
    let threads = usize::from(options.threads);
    let wanted = |words: &str| options.only.as_ref().is_none_or(|only| words.contains(only));
    let how = Match {
        ours: "bench-forest-case",
        script: "forest_peer.py",
        python: &options.python,
        alternations: usize::from(options.alternations),
        threads,
    };
    let mut table = String::from("| case; peer | ours | peer | ours / peer (range) | asked |\n|---|---|---|---|---|\n");
    let (mut versions, mut busiest, mut compared_any) = (vec![version()], 0f64, false);
    for (case, asked) in cases(threads).into_iter().filter(|(case, _)| wanted(&case.words())) {
        eprint!("{}: ", case.words());
        let compared = compare(&case, &how).with_context(|| case.words())?;
        eprintln!("{:.2}, others took {:.0} % of the processor", median(&compared.ratios), 100.0 * compared.others);
        table.push_str(&format!("| {} | {} | {asked} |\n", case.words(), compared.cells(case.rows, "rows/s")));
        busiest = busiest.max(compared.others);
        compared_any = true;
        for version in compared.versions {
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
    }
    let mut text = String::new();
    if compared_any {
        text = format!(
            "{table}\nMedians of {} alternations; the ratio is above 1 where ours is faster. Normal numbers; 256 rows a tree; isotree gets its \
             table in the order it likes best for each of growing and scoring. Other processes took at most {:.0} % of the processor.\n",
            options.alternations,
            100.0 * busiest
        );
    }
    let long = format!("{} × {LONG_COLUMNS}", options.long_rows);
    if wanted(&long) {
        let long_table = long_table(options.long_rows as usize, threads)?;
        text.push_str(&format!("\n{}\n", long_table.words(&long)));
    }
    ensure!(!text.is_empty(), "--only: no case has that in its description");
    text.push_str(&format!("\n{}\n", circumstances(threads, &versions)));
    println!("{text}");
    if options.only.is_some() {
        return Ok(());
    }
    ensure_quiet(busiest, &options.page)?;
    write_between(&options.page, "bench-forest", "Beside scikit-learn, isotree and LightGBM", &text)
}

/// Our side of a case: sets it up and answers every line of the input with a timing.
pub fn bench_forest_case(case: &str) -> Result<()> {
    let case: Case = serde_json::from_str(case).context("the case is no JSON of a known case")?;
    use_threads(case.threads)?;
    let features = normal_table(case.rows, case.columns);
    let mut round: Box<dyn FnMut() -> Result<()>> = match case.task {
        Task::Forest => Box::new(move || {
            let forest = IsolationForest::fit(features.view(), &config())?;
            black_box(forest.scores(features.view())?);
            Ok(())
        }),
        Task::Ranking => {
            let interesting: Vec<bool> =
                features.rows().into_iter().map(|row| row.iter().take(15).sum::<f32>() > 4.0).collect();
            Box::new(move || {
                black_box(boost(features.view(), &interesting, None, &RankConfig::paper())?);
                Ok(())
            })
        }
    };
    answer_timings(&format!("{:?}", case.task), &version(), 1, &mut round)
}

/// A forest over a long table, in a process of its own.
#[derive(Debug, Serialize, Deserialize)]
struct LongTable {
    fit_s: f64,
    score_s: f64,
    /// Of the table itself.
    input_mb: f64,
    /// Largest resident memory of the process less the table; the program and its libraries are part of it.
    beyond_mb: Option<f64>,
}

impl LongTable {
    fn words(&self, what: &str) -> String {
        let memory = self.beyond_mb.map_or("not told by this system".to_owned(), |mb| format!("{mb:.0} MB"));
        format!(
            "A forest of 200 trees over {what} numbers ({:.0} MB): grown in {:.3} s, all rows scored in {:.2} s; peak memory beyond the table, the \
             scores included: {memory} (asked: below 500).",
            self.input_mb, self.fit_s, self.score_s
        )
    }
}

fn long_table(rows: usize, threads: usize) -> Result<LongTable> {
    let output = Command::new(std::env::current_exe().context("this program")?)
        .args(["bench-forest-long", &rows.to_string(), &threads.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start this program again")?;
    ensure!(output.status.success(), "the forest over {rows} rows failed; its own message stands above");
    serde_json::from_slice(&output.stdout).context("answer of the forest over a long table")
}

/// The process of the long table: grows and scores once, prints one JSON line.
pub fn bench_forest_long(rows: usize, threads: usize) -> Result<()> {
    use_threads(threads)?;
    let features = normal_table(rows, LONG_COLUMNS);
    let input_mb = (4 * features.len()) as f64 / 1e6;
    let start = Instant::now();
    let forest = IsolationForest::fit(features.view(), &config())?;
    let fit_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    black_box(forest.scores(features.view())?);
    let score_s = start.elapsed().as_secs_f64();
    let beyond_mb = peak_kib().map(|kib| kib as f64 * 1024.0 / 1e6 - input_mb);
    println!("{}", serde_json::to_string(&LongTable { fit_s, score_s, input_mb, beyond_mb })?);
    Ok(())
}

fn version() -> String {
    format!("radio-ssl {}", env!("CARGO_PKG_VERSION"))
}

fn use_threads(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("threads")
}

fn config() -> ForestConfig {
    ForestConfig {
        n_trees: 200,
        max_samples: MaxSamples::Auto,
        max_features: MaxFeatures::All,
        contamination: Contamination::Auto,
        bootstrap: false,
        seed: 0,
    }
}

/// The sum of four uniform numbers is near enough to a normal one.
fn normal_table(rows: usize, columns: usize) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(columns as u64);
    Array2::from_shape_simple_fn((rows, columns), || (0..4).map(|_| rng.random_range(-0.866_f32..0.866)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_survives_json_and_has_words_of_its_own() {
        let all = cases(2);
        for (case, _) in &all {
            assert_eq!(&serde_json::from_str::<Case>(&serde_json::to_string(case).unwrap()).unwrap(), case);
        }
        let words: std::collections::BTreeSet<String> = all.iter().map(|(case, _)| case.words()).collect();
        assert_eq!(words.len(), all.len());
    }
}
