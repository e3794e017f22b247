//! `bench-peers`: ours and PyTorch's, alternately in one run, as a table of ratios in `docs/benchmarks.md`.
//!
//! Every case runs in two processes of its own, one for each side, both warm and waiting. One timing of ours, one of the
//! peer's, and so on, the order turned round each time: whatever slows the machine down hits both.
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Lines, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use radio_tensor::resnet::Precision;
use serde::de::DeserializeOwned;

use crate::bench_case::{Case, Ready, Task, Timing};
use crate::bench_page::{Watch, circumstances, ensure_quiet, median, ticks_of, write_between};

/// Options of the command.
#[derive(clap::Args)]
pub struct BenchPeers {
    /// Python interpreter with torch and torchvision.
    #[arg(long, default_value = "python3", value_name = "PROGRAM")]
    python: PathBuf,
    /// Timings of each side.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(5..))]
    alternations: u16,
    /// Threads of each side.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Only cases whose description has this in it; prints the table and leaves the page alone.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The page the table goes to.
    #[arg(long, default_value = "docs/benchmarks.md", value_name = "FILE")]
    page: PathBuf,
}

/// The cases of the table; rounds of a timing are such that it takes some tens of milliseconds at least.
fn cases(threads: usize) -> Vec<Case> {
    let case = |task, precision, side, count, repeats| Case { task, precision, side, count, repeats, threads };
    let (f32, bf16) = (Precision::F32, Precision::Bf16);
    vec![
        case(Task::Step, f32, 224, 16, 1),
        case(Task::Step, bf16, 224, 16, 1),
        case(Task::Step, f32, 96, 64, 1),
        case(Task::Step, bf16, 96, 64, 1),
        case(Task::Embed, f32, 224, 32, 1),
        case(Task::Embed, bf16, 224, 32, 1),
        case(Task::Embed, f32, 224, 1, 8),
        case(Task::Embed, bf16, 224, 1, 8),
        case(Task::NtXent, f32, 0, 512, 16),
        case(Task::NtXent, f32, 0, 2048, 2),
        case(Task::NtXent, f32, 0, 4096, 1),
    ]
}

/// Runs all cases and writes the table.
pub fn bench_peers(options: &BenchPeers) -> Result<()> {
    let threads = usize::from(options.threads);
    let mut table = String::from(
        "| case | ours | PyTorch | ours / PyTorch (range) | peak memory, MB | of PyTorch's |\n|---|---|---|---|---|---|\n",
    );
    let (mut versions, mut busiest) = (Vec::new(), 0f64);
    let chosen: Vec<Case> = cases(threads)
        .into_iter()
        .filter(|case| options.only.as_ref().is_none_or(|o| case.words().contains(o)))
        .collect();
    ensure!(!chosen.is_empty(), "--only: no case has that in its description");
    for case in chosen {
        eprint!("{}: ", case.words());
        let compared = compare(&case, options).with_context(|| case.words())?;
        let row = row(&case, &compared);
        eprintln!("{:.2}, others took {:.0} % of the processor", median(&compared.ratios), 100.0 * compared.others);
        table.push_str(&row);
        busiest = busiest.max(compared.others);
        versions = compared.versions;
    }
    let text = format!(
        "{table}\nMedians of {} alternations; the ratio is above 1 where ours is faster, its range is that of the single \
         alternations. Peak memory is VmHWM of a process that runs this case alone, for PyTorch with its libraries. PyTorch: \
         channels last, Adam fused, bf16 by autocast (embedding: bf16 weights). Other processes took at most {:.0} % of the processor. {}\n",
        options.alternations,
        100.0 * busiest,
        circumstances(threads, &versions)
    );
    println!("{text}");
    if options.only.is_some() {
        return Ok(());
    }
    ensure_quiet(busiest, &options.page)?;
    write_between(&options.page, "bench-peers", "Beside PyTorch", &text)
}

/// Timings of both sides.
struct Compared {
    ours: Vec<f64>,
    peer: Vec<f64>,
    /// Peer's seconds over ours, alternation by alternation.
    ratios: Vec<f64>,
    peaks: [Option<u64>; 2],
    /// Share of the processor that other processes took during the alternations.
    others: f64,
    versions: Vec<String>,
}

fn compare(case: &Case, options: &BenchPeers) -> Result<Compared> {
    let json = serde_json::to_string(case)?;
    let mut ours = Command::new(std::env::current_exe().context("this program")?);
    ours.args(["bench-case", &json]);
    let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/peers/torch_peer.py"));
    ensure!(script.exists(), "{} is missing", script.display());
    let mut peer = Command::new(&options.python);
    let threads = case.threads.to_string();
    peer.arg(&script).arg(&json).env("OMP_NUM_THREADS", &threads).env("MKL_NUM_THREADS", &threads);
    let mut sides = [Side::start(ours, "radio-ssl")?, Side::start(peer, "the Python peer")?];
    let used = |sides: &[Side; 2]| sides.iter().filter_map(|side| ticks_of(side.child.id())).sum::<u64>();
    let watch = Watch::start(used(&sides));
    let (mut seconds, mut peaks) = ([Vec::new(), Vec::new()], [None, None]);
    for alternation in 0..usize::from(options.alternations) {
        for turn in 0..2 {
            let side = (alternation + turn) % 2;
            let timing = sides[side].time()?;
            seconds[side].push(timing.seconds);
            peaks[side] = timing.peak_kib;
        }
    }
    let others = watch.others(used(&sides));
    let versions = sides.iter().map(|side| side.version.clone()).collect();
    let [ours, peer] = seconds;
    let ratios = peer.iter().zip(&ours).map(|(peer, ours)| peer / ours).collect();
    Ok(Compared { ours, peer, ratios, peaks, others, versions })
}

fn row(case: &Case, compared: &Compared) -> String {
    let Compared { ours, peer, ratios, peaks, .. } = compared;
    let rate = |seconds: &[f64]| case.count as f64 / median(seconds);
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let digits = |rate: f64| if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") };
    let mut row = format!(
        "| {} | {} {unit} | {} {unit} | **{:.2}** ({least:.2}–{most:.2}) ",
        case.words(),
        digits(rate(ours)),
        digits(rate(peer)),
        median(ratios),
        unit = case.unit(),
    );
    let _ = match peaks {
        [Some(ours), Some(peer)] => {
            let megabytes = |kib: u64| kib as f64 * 1024.0 / 1e6;
            let (ours, peer) = (megabytes(*ours), megabytes(*peer));
            writeln!(row, "| {ours:.0} and {peer:.0} | {:.0} % |", 100.0 * ours / peer)
        }
        _ => writeln!(row, "| not told | |"),
    };
    row
}

/// One warm process that answers requests.
struct Side {
    child: Child,
    requests: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    name: &'static str,
    version: String,
}

impl Side {
    fn start(mut command: Command, name: &'static str) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}: {}", command.get_program().to_string_lossy()))?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("standard output of a child")?).lines();
        let mut side = Self { child, requests, answers, name, version: String::new() };
        side.version = side.answer::<Ready>()?.version;
        Ok(side)
    }

    fn time(&mut self) -> Result<Timing> {
        let name = self.name;
        let requests = self.requests.as_mut().context("standard input of a child")?;
        requests.write_all(b"time\n").and_then(|()| requests.flush()).with_context(|| format!("{name} has stopped"))?;
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        match self.answers.next() {
            Some(line) => {
                let line = line.with_context(|| format!("answer of {}", self.name))?;
                serde_json::from_str(&line).with_context(|| format!("{} answered {line:?}", self.name))
            }
            None => bail!("{} ended before it answered; its own message stands above", self.name),
        }
    }
}

impl Drop for Side {
    /// Closing its input ends the process; waiting for it frees the machine for the next.
    fn drop(&mut self) {
        self.requests.take();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_medians_the_right_way_round() {
        let case = Case { task: Task::NtXent, precision: Precision::F32, side: 0, count: 100, repeats: 1, threads: 2 };
        let compared = Compared {
            ours: vec![0.5, 1.0, 2.0],
            peer: vec![2.0, 2.0, 2.0],
            ratios: vec![4.0, 2.0, 1.0],
            peaks: [Some(1000), Some(4000)],
            others: 0.0,
            versions: Vec::new(),
        };
        let text = row(&case, &compared);
        assert!(text.contains("| 100 pairs/s | 50.0 pairs/s | **2.00** (1.00–4.00) | 1 and 4 | 25 % |"), "{text}");
        assert!(row(&case, &Compared { peaks: [None, Some(1)], ..compared }).contains("not told"));
    }

    #[test]
    fn every_case_survives_json() {
        for case in cases(2) {
            assert_eq!(serde_json::from_str::<Case>(&serde_json::to_string(&case).unwrap()).unwrap(), case);
        }
        assert_eq!(cases(2).len(), 11);
    }

    /// A side that ends without a word is an error with its name, not a wait for ever.
    #[test]
    fn a_side_that_cannot_start_is_named() {
        let error = Side::start(Command::new("/no/such/program"), "the peer").err().unwrap();
        assert!(format!("{error:#}").contains("the peer"), "{error:#}");
        let error = Side::start(Command::new("true"), "the peer").err().unwrap();
        assert!(format!("{error:#}").contains("the peer ended"), "{error:#}");
    }
}
