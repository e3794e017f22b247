//! `bench-peers`: ours and PyTorch's, alternately in one run, as a table of ratios in `docs/benchmarks.md`.
//!
//! Every case runs in two processes of its own, one for each side ([`crate::bench_sides`]).
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use radio_tensor::resnet::Precision;

use crate::bench_case::{Case, Task};
use crate::bench_page::{circumstances, ensure_quiet, median, write_between};
use crate::bench_sides::{Compared, Match, compare};

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
    let alternations = usize::from(options.alternations);
    let how = Match { ours: "bench-case", script: "torch_peer.py", python: &options.python, alternations, threads };
    ensure!(!chosen.is_empty(), "--only: no case has that in its description");
    for case in chosen {
        eprint!("{}: ", case.words());
        let compared = compare(&case, &how).with_context(|| case.words())?;
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

fn row(case: &Case, compared: &Compared) -> String {
    let memory = match compared.peaks {
        [Some(ours), Some(peer)] => {
            let megabytes = |kib: u64| kib as f64 * 1024.0 / 1e6;
            let (ours, peer) = (megabytes(ours), megabytes(peer));
            format!("{ours:.0} and {peer:.0} | {:.0} %", 100.0 * ours / peer)
        }
        _ => "not told |".to_owned(),
    };
    format!("| {} | {} | {memory} |\n", case.words(), compared.cells(case.count, case.unit()))
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
}
