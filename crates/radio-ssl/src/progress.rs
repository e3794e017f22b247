//! Progress with an estimate of the time left: a bar on a terminal, a line a minute in a log file.
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// One stage of a command, from its first line to its time.
pub struct Stage {
    start: Instant,
    bar: Option<ProgressBar>,
    /// When the last line was written to a log file.
    logged: Instant,
}

/// Time between two lines in a log file.
const LOG_EVERY: Duration = Duration::from_secs(60);

impl Stage {
    /// Announces a stage on standard error.
    pub fn start(name: &'static str) -> Self {
        eprintln!("▸ {name}");
        let now = Instant::now();
        Self { start: now, bar: None, logged: now }
    }

    /// A stage that is one of many: nothing is announced.
    pub fn quiet() -> Self {
        let now = Instant::now();
        Self { start: now, bar: None, logged: now }
    }

    /// Takes the bar away and says nothing.
    pub fn clear(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    /// Shows that `done` of `total` is finished; `note` stands beside the bar.
    pub fn at(&mut self, done: u64, total: u64, note: &str) {
        if !std::io::stderr().is_terminal() {
            if self.logged.elapsed() > LOG_EVERY && done > 0 {
                self.logged = Instant::now();
                let spent = self.start.elapsed().as_secs_f64();
                let left = spent * total.saturating_sub(done) as f64 / done as f64;
                eprintln!("  {done}/{total}  {}, about {} left  {note}", duration(spent), duration(left));
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) =
                ProgressStyle::with_template("  {bar:32} {pos}/{len}  {elapsed} of about {duration}, {eta} left  {msg}")
            {
                bar.set_style(style);
            }
            bar
        });
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(note.to_owned());
    }

    /// Writes a line that stays, above the bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// Ends the stage with its time.
    pub fn end(self, note: &str) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        let seconds = self.start.elapsed().as_secs_f64();
        let comma = if note.is_empty() { "" } else { ", " };
        eprintln!("  done in {}{comma}{note}", duration(seconds));
    }
}

/// Seconds as a reader likes them: `0.4 s`, `3 min 20 s`, `1 h 5 min`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 60.0 => format!("{s:.0} s"),
        s if s < 3600.0 => format!("{} min {:.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
        s => format!("{} h {:.0} min", (s / 3600.0).floor(), (s % 3600.0 / 60.0).floor()),
    }
}

/// Peak resident memory of this process in bytes, where the system tells (Linux).
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_read_well() {
        for (seconds, text) in [(0.44, "0.4 s"), (59.4, "59 s"), (200.0, "3 min 20 s"), (3900.0, "1 h 5 min")] {
            assert_eq!(duration(seconds), text);
        }
    }
}
