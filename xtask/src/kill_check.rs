//! `kill-check`: a run that is killed again and again, in every stage, must end with the bits of one that is not.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The stages of a run as they announce themselves on standard error, with the name they have here.
const STAGES: [(&str, &str); 13] = [
    ("simulating the sky", "sky"),
    ("looking at the frames", "frames"),
    ("pre-training", "pre-training"),
    ("embedding", "embedding"),
    ("ranking the features", "ranking"),
    ("growing the forests", "forests"),
    ("random weights", "baselines"),
    ("ring features", "baselines"),
    ("flux statistics", "baselines"),
    ("pixel PCA", "baselines"),
    ("gzip complexity", "baselines"),
    ("judging on held-out sky", "judging"),
    ("writing the report", "report"),
];
/// What precedes a stage's name.
const MARK: &str = "▸ ";
/// Longest wait for a stage before the check gives up.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A run under way, and the stages it announces.
struct Run {
    child: Child,
    stages: Receiver<(Instant, usize)>,
}

/// Runs the smoke preset undisturbed, then again with `kills` SIGKILLs, and compares the folders.
///
/// The kills go through the stages in their order, each at a random moment of its stage; after the last stage the run begins anew.
pub fn kill_check(kills: u64, seed: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (calm, disturbed) = (folder.path().join("calm"), folder.path().join("disturbed"));
    let durations = undisturbed(&calm)?;
    let mut tally: BTreeMap<&str, u32> = BTreeMap::new();
    for kill in 0..kills {
        let aim = (kill % STAGES.len() as u64) as usize;
        if aim == 0 && disturbed.exists() {
            std::fs::remove_dir_all(&disturbed).context("cannot begin anew")?;
        }
        // Not to the very end: a stage may be quicker than it was undisturbed.
        let wait = durations[aim].mul_f64(0.7 * fraction(seed, kill));
        let hit = kill_in(start(&disturbed)?, aim, wait)?;
        let stage = hit.map_or("after the end", |stage| STAGES[stage].1);
        *tally.entry(stage).or_default() += 1;
        let files = files(&disturbed)?.len();
        let (aim, seconds) = (STAGES[aim].0, wait.as_secs_f64());
        println!("kill {:2}: {seconds:5.2} s into \"{aim}\", fell into {stage}: {files} files", kill + 1);
    }
    if !start(&disturbed)?.child.wait()?.success() {
        bail!("the run after the last kill failed");
    }
    let words: Vec<String> = tally.iter().map(|(stage, count)| format!("{stage} {count}")).collect();
    println!("kills by stage: {}", words.join(", "));
    let (want, found) = (files(&calm)?, files(&disturbed)?);
    if want != found {
        bail!("other files: expected {want:?}, found {found:?}");
    }
    for name in &want {
        if std::fs::read(calm.join(name))? != std::fs::read(disturbed.join(name))? {
            bail!("{name} differs after {kills} kills");
        }
    }
    println!("{} files are the same to the last bit after {kills} kills", want.len());
    Ok(())
}

/// A run that nobody kills, and how long each of its stages took.
fn undisturbed(out: &Path) -> Result<Vec<Duration>> {
    let begin = Instant::now();
    let Run { mut child, stages } = start(out)?;
    let seen: Vec<(Instant, usize)> = stages.iter().collect();
    if !child.wait()?.success() {
        bail!("the undisturbed run failed");
    }
    let end = Instant::now();
    println!("undisturbed run: {:.1} s", (end - begin).as_secs_f64());
    (0..STAGES.len())
        .map(|stage| {
            let place = seen.iter().position(|(_, seen)| *seen == stage);
            let place = place.with_context(|| format!("the run never said \"{MARK}{}\"", STAGES[stage].0))?;
            Ok(seen.get(place + 1).map_or(end, |(next, _)| *next) - seen[place].0)
        })
        .collect()
}

/// Kills a run some time after a stage began; the stage it was in then, or `None` if it was complete.
fn kill_in(mut run: Run, aim: usize, wait: Duration) -> Result<Option<usize>> {
    let mut last = None;
    let mut deadline = Instant::now() + PATIENCE;
    loop {
        match run.stages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((begin, stage)) => {
                last = Some(stage);
                // Its stage was quicker than it was undisturbed, or its file is there and it was not run: now, then.
                let moment = if stage == aim { begin + wait } else { begin };
                if stage >= aim {
                    deadline = deadline.min(moment);
                }
            }
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => {
                let finished = run.child.wait()?.success();
                return if finished { Ok(None) } else { bail!("the run failed before it was killed") };
            }
        }
    }
    run.child.kill().context("cannot kill the run")?;
    let finished = run.child.wait()?.success();
    Ok(if finished { None } else { run.stages.try_iter().last().map(|(_, stage)| stage).or(last) })
}

fn start(out: &Path) -> Result<Run> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["reproduce-table4", "--preset", "smoke", "--checkpoint-every", "1", "--out"]).arg(out);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot start the run")?;
    let errors = child.stderr.take().context("the run has no standard error")?;
    let (send, stages) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(|line| line.ok()) {
            let announced = line.strip_prefix(MARK);
            let stage = STAGES.iter().position(|(name, _)| announced == Some(name));
            if let Some(stage) = stage {
                // The check may have ended; then nobody listens.
                let _ = send.send((Instant::now(), stage));
            } else if line.starts_with("error") {
                eprintln!("{line}");
            }
        }
    });
    Ok(Run { child, stages })
}

/// All files below a folder that a later run would use, by relative name (temporary ones of a killed process are no result).
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(here) = open.pop() {
        for entry in std::fs::read_dir(&here).into_iter().flatten() {
            let path = entry?.path();
            let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
            } else if !name.rsplit('/').next().is_some_and(|last| last.starts_with(".writing-")) {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A number in [0, 1) from seed and count (splitmix64).
fn fraction(seed: u64, count: u64) -> f64 {
    let mut z = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(count.wrapping_mul(0xbf58_476d_1ce4_e5b9))
        .wrapping_add(1);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}
