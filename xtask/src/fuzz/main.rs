//! `cargo xtask fuzz`: mutated files through every reader. No panic, no allocation beyond a stated limit, no silent short read, no endless
//! loop.
//!
//! A program of its own because its allocator counts, which the benches of `xtask` must not pay for. Good files ([`mod@targets`]) are damaged
//! ([`mod@mutate`]) and read; the same seed gives the same files. Whatever is found is kept in a folder, one file each, with the words of
//! the failure; each such file became a test of the reader.
mod counting_allocator;
mod format_targets;
mod mutate;
mod targets;
mod weight_targets;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::counting_allocator::{CountingAllocator, peak_of};
use crate::mutate::{Damage, damage};
use crate::targets::{Target, targets};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Bytes a reader may hold at once: this, and [`PER_BYTE`] for each byte of the file.
const ALLOWED: usize = 64 << 20;
/// Compressed files grow; a gzip or RICE stream of zeros grows a thousandfold, which [`ALLOWED`] pays for in files as small as these.
const PER_BYTE: usize = 256;
/// A reader that needs longer than this for a file of some kilobytes hangs.
const SLOW: Duration = Duration::from_secs(5);
/// Cases a thread takes at once.
const CHUNK: u64 = 500;
/// Kept failures of one reader.
const KEPT: usize = 20;

/// Mutated files through every reader.
#[derive(Parser)]
#[command(name = "cargo xtask fuzz")]
struct Arguments {
    /// Mutated files, shared out among the readers.
    #[arg(long, default_value_t = 1_000_000)]
    files: u64,
    /// Seed of the mutations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only readers with this in their name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Where files that break a reader are kept.
    #[arg(long, default_value = "runs/fuzz", value_name = "FOLDER")]
    keep: PathBuf,
    /// Threads.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
}

/// What became of the files of one reader.
#[derive(Default)]
struct Tally {
    files: u64,
    refused: u64,
    largest: usize,
    slowest: Duration,
    failures: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let work = tempfile::tempdir().context("a folder for the files")?;
    let chosen: Vec<Target> = targets(work.path())?
        .into_iter()
        .filter(|target| arguments.only.as_ref().is_none_or(|only| target.name.contains(only.as_str())))
        .collect();
    ensure!(!chosen.is_empty(), "--only: no reader has that in its name");
    for target in &chosen {
        check_seeds(target, work.path())?;
    }
    // A panic is a finding to be reported once, not a page on the terminal.
    std::panic::set_hook(Box::new(|_| {}));
    let next = AtomicU64::new(0);
    let tallies: Mutex<BTreeMap<&str, Tally>> = Mutex::default();
    let per_target = arguments.files.div_ceil(chosen.len() as u64);
    let chunks_each = per_target.div_ceil(CHUNK);
    std::thread::scope(|scope| {
        for thread in 0..arguments.threads {
            let (next, tallies, chosen, work) = (&next, &tallies, &chosen, work.path());
            scope.spawn(move || {
                loop {
                    let chunk = next.fetch_add(1, Ordering::Relaxed);
                    let Some(target) = chosen.get((chunk / chunks_each) as usize) else { return };
                    let first = (chunk % chunks_each) * CHUNK;
                    for number in first..(first + CHUNK).min(per_target) {
                        let case = one_case(target, arguments.seed, number, &work.join(format!("case-{thread}")));
                        let Ok(mut tallies) = tallies.lock() else { return };
                        record(tallies.entry(target.name).or_default(), target, case, number, &arguments.keep);
                    }
                }
            });
        }
    });
    let _ = std::panic::take_hook();
    let tallies = tallies.into_inner().map_err(|_| anyhow::anyhow!("a thread of the fuzzer failed"))?;
    println!(
        "{:<28} {:>9} {:>9} {:>12} {:>12} {:>9}",
        "reader", "files", "refused", "largest, kB", "slowest, ms", "failures"
    );
    for (name, tally) in &tallies {
        let (kilobytes, slowest) = (tally.largest / 1000, tally.slowest.as_secs_f64() * 1e3);
        println!(
            "{name:<28} {:>9} {:>9} {kilobytes:>12} {slowest:>12.1} {:>9}",
            tally.files,
            tally.refused,
            tally.failures.len()
        );
    }
    let (files, failures) = tallies
        .values()
        .fold((0, 0), |(files, failures), tally| (files + tally.files, failures + tally.failures.len()));
    for failure in tallies.values().flat_map(|tally| tally.failures.iter().take(3)) {
        println!("{failure}");
    }
    if failures > 0 {
        bail!("{failures} of {files} files broke a reader; they are in {}", arguments.keep.display());
    }
    println!("{files} files, seed {}: no panic, no allocation beyond the limit, no short read", arguments.seed);
    Ok(())
}

/// The good files must be read: a reader that refuses everything would pass any fuzzing.
fn check_seeds(target: &Target, work: &Path) -> Result<()> {
    for (number, seed) in target.seeds.iter().enumerate() {
        let path = work.join(format!("seed.{}", target.extension));
        std::fs::write(&path, seed)?;
        (target.read)(&path)
            .map_err(|refused| anyhow::anyhow!("{}: good file {number} is refused: {refused}", target.name))?;
    }
    ensure!(!target.seeds.is_empty(), "{} has no good file to begin with", target.name);
    Ok(())
}

/// What one damaged file did.
struct Case {
    bytes: Vec<u8>,
    refused: bool,
    largest: usize,
    took: Duration,
    failure: Option<String>,
}

fn one_case(target: &Target, seed: u64, number: u64, place: &Path) -> Case {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ target.name.len() as u64);
    let good = rng.random_range(0..target.seeds.len());
    let (bytes, done) = damage(&target.seeds, good, &mut rng);
    let path = place.with_extension(target.extension);
    let mut case = Case { bytes, refused: false, largest: 0, took: Duration::ZERO, failure: None };
    if let Err(error) = std::fs::write(&path, &case.bytes) {
        case.failure = Some(format!("the fuzzer cannot write: {error}"));
        return case;
    }
    let start = Instant::now();
    let (outcome, largest) = peak_of(|| catch_unwind(AssertUnwindSafe(|| (target.read)(&path))));
    case.took = start.elapsed();
    case.largest = largest;
    case.refused = matches!(outcome, Ok(Err(_)));
    let limit = ALLOWED + PER_BYTE * case.bytes.len();
    case.failure = match outcome {
        Err(panic) => Some(format!("panic: {}", panic_text(panic.as_ref()))),
        Ok(Ok(())) if done == Damage::CutOff && case.bytes.len() < (target.needs)(&target.seeds[good]) => {
            Some(format!("silent short read: {} bytes of {}", case.bytes.len(), target.seeds[good].len()))
        }
        Ok(_) if largest > limit => Some(format!("{largest} bytes allocated at once, {limit} allowed")),
        Ok(_) if case.took > SLOW => Some(format!("took {:.1} s", case.took.as_secs_f64())),
        Ok(_) => None,
    };
    case
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_owned())
}

fn record(tally: &mut Tally, target: &Target, case: Case, number: u64, keep: &Path) {
    tally.files += 1;
    tally.refused += u64::from(case.refused);
    tally.largest = tally.largest.max(case.largest);
    tally.slowest = tally.slowest.max(case.took);
    let Some(failure) = case.failure else { return };
    let file = keep.join(format!("{}-{number}.{}", target.name.replace([' ', '/'], "-"), target.extension));
    if tally.failures.len() < KEPT {
        let _ = std::fs::create_dir_all(keep).and_then(|()| std::fs::write(&file, &case.bytes));
    }
    tally.failures.push(format!("{}: file {number}: {failure} ({})", target.name, file.display()));
}
