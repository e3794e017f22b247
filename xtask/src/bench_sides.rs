//! Two warm processes side by side, ours and a peer's, timed alternately: what `bench-peers`, `bench-data` and `bench-forest` share.
//!
//! Each side gets its case as one JSON argument, says `{"ready", "version"}` once it is warm, and answers every line of its input with
//! `{"seconds", "peak_kib"}`. One timing of ours, one of the peer's, and so on, the order turned round each time: whatever slows the
//! machine down hits both.
use std::io::{BufRead, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bench_page::{Watch, median, ticks_of};

/// Rounds before the first timing.
const WARM_UP: usize = 2;

/// What a process says once it is warm.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ready {
    /// The task.
    pub ready: String,
    /// What computes.
    pub version: String,
}

/// One timing.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Timing {
    /// Of one round.
    pub seconds: f64,
    /// Largest resident memory of the process so far, where the system tells.
    pub peak_kib: Option<u64>,
}

/// How both sides of a case are started and timed.
pub struct Match<'a> {
    /// Hidden command of ours that takes the case.
    pub ours: &'static str,
    /// The peer's script, below `benches/peers`.
    pub script: &'static str,
    /// Python interpreter.
    pub python: &'a Path,
    /// Timings of each side.
    pub alternations: usize,
    /// Threads of each side.
    pub threads: usize,
}

/// The peer's script of that name.
pub fn peer_script(name: &str) -> Result<PathBuf> {
    let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/peers")).join(name);
    ensure!(script.exists(), "{} is missing", script.display());
    Ok(script)
}

/// A peer's process: the interpreter with the script, its number of threads set before any library looks.
pub fn peer_command(python: &Path, script: &str, threads: usize) -> Result<Command> {
    let mut peer = Command::new(python);
    peer.arg(peer_script(script)?);
    for pool in ["OMP", "OPENBLAS", "MKL", "NUMBA"] {
        peer.env(format!("{pool}_NUM_THREADS"), threads.to_string());
    }
    Ok(peer)
}

/// Timings of both sides.
pub struct Compared {
    pub ours: Vec<f64>,
    pub peer: Vec<f64>,
    /// Peer's seconds over ours, alternation by alternation.
    pub ratios: Vec<f64>,
    pub peaks: [Option<u64>; 2],
    /// Share of the processor that other processes took during the alternations.
    pub others: f64,
    pub versions: Vec<String>,
}

/// Runs a case on both sides.
pub fn compare(case: &impl Serialize, how: &Match) -> Result<Compared> {
    let json = serde_json::to_string(case)?;
    let mut ours = Command::new(std::env::current_exe().context("this program")?);
    ours.args([how.ours, &json]);
    let mut peer = peer_command(how.python, how.script, how.threads)?;
    peer.arg(&json);
    let mut sides = [Side::start(ours, "radio-ssl")?, Side::start(peer, "the Python peer")?];
    let used = |sides: &[Side; 2]| sides.iter().filter_map(|side| ticks_of(side.child.id())).sum::<u64>();
    let watch = Watch::start(used(&sides));
    let (mut seconds, mut peaks) = ([Vec::new(), Vec::new()], [None, None]);
    for alternation in 0..how.alternations {
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

impl Compared {
    /// The cells rate of ours, rate of the peer, ratio with its range; `count` items a round.
    pub fn cells(&self, count: usize, unit: &str) -> String {
        let rate = |seconds: &[f64]| {
            let rate = count as f64 / median(seconds);
            if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
        };
        let least = self.ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.ratios.iter().copied().fold(0.0, f64::max);
        let (ours, peer) = (rate(&self.ours), rate(&self.peer));
        format!("{ours} {unit} | {peer} {unit} | **{:.2}** ({least:.2}–{most:.2})", median(&self.ratios))
    }
}

/// Our side of a match: warms up, says so, and answers every line of the input with a timing.
pub fn answer_timings(task: &str, version: &str, repeats: usize, mut round: impl FnMut() -> Result<()>) -> Result<()> {
    for _ in 0..WARM_UP {
        round()?;
    }
    say(&Ready { ready: task.to_owned(), version: version.to_owned() })?;
    for line in std::io::stdin().lock().lines() {
        line.context("standard input")?;
        let start = Instant::now();
        for _ in 0..repeats {
            round()?;
        }
        say(&Timing { seconds: start.elapsed().as_secs_f64() / repeats as f64, peak_kib: peak_kib() })?;
    }
    Ok(())
}

fn say(line: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(line)?)?;
    Ok(out.flush()?)
}

/// VmHWM of this process, KiB.
pub fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
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
    fn cells_have_medians_the_right_way_round() {
        let compared = Compared {
            ours: vec![0.5, 1.0, 2.0],
            peer: vec![2.0, 2.0, 2.0],
            ratios: vec![4.0, 2.0, 1.0],
            peaks: [None, None],
            others: 0.0,
            versions: Vec::new(),
        };
        assert_eq!(compared.cells(100, "pairs/s"), "100 pairs/s | 50.0 pairs/s | **2.00** (1.00–4.00)");
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
