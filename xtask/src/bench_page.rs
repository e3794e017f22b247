//! Tables of the bench commands in `docs/benchmarks.md`, between markers, with what a reader needs to judge them.
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// Flags of the processor that decide which kernels run.
const FLAGS: [&str; 8] = ["avx2", "fma", "avx512f", "avx512bw", "avx512_bf16", "amx_bf16", "asimd", "bf16"];

/// Share of the processor others may take; above it figures are not written down.
const QUIET: f64 = 0.1;

/// Puts `text` between the markers of `name`; without markers at the end of the page, under `heading`.
pub fn write_between(page: &Path, name: &str, heading: &str, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let new = between(&old, name, heading, text).with_context(|| page.display().to_string())?;
    atomic_file::write_atomically(page, |file| file.write_all(new.as_bytes()))
        .with_context(|| page.display().to_string())
}

fn between(old: &str, name: &str, heading: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let block = format!("{begin}\n{}\n{end}", text.trim_end());
    match (old.find(&begin), old.find(&end)) {
        (Some(first), Some(last)) if first < last => {
            Ok(format!("{}{block}{}", &old[..first], &old[last + end.len()..]))
        }
        (None, None) => Ok(format!("{}\n\n## {heading}\n\n{block}\n", old.trim_end())),
        _ => bail!("one of the markers {begin} and {end} is missing"),
    }
}

/// Machine, compiler, date, command and what else was running, as one paragraph.
pub fn circumstances(threads: usize, versions: &[String]) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let rustc = rustc.and_then(|out| String::from_utf8(out.stdout).ok()).unwrap_or_else(|| "rustc unknown".into());
    // Paths are of this machine and say nothing to a reader.
    let command: Vec<String> =
        std::env::args().skip(1).map(|argument| argument.rsplit('/').next().unwrap_or_default().to_owned()).collect();
    format!(
        "Machine: {}, {cores} cores; {threads} threads. Versions: {}, {}. Date: {} (UTC). Command: `cargo xtask {}`.",
        processor(),
        versions.join("; "),
        rustc.trim(),
        date(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())),
        command.join(" ")
    )
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|found| found.trim() == key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let number = |key: &str| value(key).unwrap_or_else(|| "?".into());
    let has = value("flags").or_else(|| value("Features")).unwrap_or_default();
    let flags: Vec<&str> = FLAGS.into_iter().filter(|flag| has.split_whitespace().any(|f| f == *flag)).collect();
    let name = value("model name").unwrap_or_else(|| format!("{} processor", std::env::consts::ARCH));
    format!("{name} (family {}, model {}; {})", number("cpu family"), number("model"), flags.join(", "))
}

/// Processor time used by a process so far, in the kernel's ticks.
pub fn ticks_of(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in brackets may hold spaces; after it come state, ten numbers, then user and system time.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// Processor time used by everybody since the start, and the time there was, in ticks.
fn ticks_of_all() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    // user, nice, system, idle, iowait, irq, softirq, steal
    let ticks: Vec<u64> = line.split_whitespace().take(8).filter_map(|t| t.parse().ok()).collect();
    let all: u64 = ticks.iter().sum();
    Some((all.checked_sub(*ticks.get(3)? + *ticks.get(4)?)?, all))
}

/// Looks at how much of the processor other processes take while something is timed.
pub struct Watch {
    all: Option<(u64, u64)>,
    own: u64,
}

impl Watch {
    /// Starts; `own` is the time the timed processes have used so far ([`ticks_of`]).
    pub fn start(own: u64) -> Self {
        Self { all: ticks_of_all(), own }
    }

    /// Share of the processor that others took since the start; 0 where the system does not tell.
    pub fn others(&self, own: u64) -> f64 {
        let (Some((busy, all)), Some((busy_now, all_now))) = (self.all, ticks_of_all()) else { return 0.0 };
        let used = busy_now.saturating_sub(busy).saturating_sub(own.saturating_sub(self.own));
        used as f64 / all_now.saturating_sub(all).max(1) as f64
    }
}

/// Refuses figures that were made beside other work: threads that spin while they wait lose more there than threads that
/// sleep, so that a ratio would flatter us.
pub fn ensure_quiet(others: f64, page: &Path) -> Result<()> {
    if others > QUIET {
        bail!(
            "{} is left as it was: other processes took {:.0} % of the processor; run this on a quiet machine",
            page.display(),
            100.0 * others
        );
    }
    Ok(())
}

/// Civil date of a Unix time (Hinnant's days-to-civil).
fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153; // months from March
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{:02}", day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// The median; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_between_its_markers_and_nowhere_else() {
        let page = "# Page\n\ntext\n";
        let once = between(page, "a", "A", "one").unwrap();
        assert_eq!(once, "# Page\n\ntext\n\n## A\n\n<!-- a: begin -->\none\n<!-- a: end -->\n");
        let both = between(&once, "b", "B", "two").unwrap();
        let again = between(&both, "a", "A", "three\n").unwrap();
        assert_eq!(again, both.replace("one", "three"));
        assert!(between("<!-- a: begin -->", "a", "A", "x").is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn processor_time_grows_and_is_part_of_the_whole() {
        let (busy, all) = ticks_of_all().unwrap();
        assert!(0 < busy && busy < all, "{busy} of {all}");
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 200 {}
        assert!(ticks_of(std::process::id()).unwrap() > 0);
        assert!(ticks_of(u32::MAX).is_none());
    }

    #[test]
    fn dates_and_medians() {
        let dates = [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_735_689_599, "2024-12-31"),
            (1_735_689_600, "2025-01-01"),
        ];
        for (seconds, want) in dates {
            assert_eq!(date(seconds), want);
        }
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }
}
