//! `kill-check`: a run that is killed again and again must end with the bits of one that is not.
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// What the stages leave, the last stage first.
const LATER: [&str; 6] =
    ["report", "scores.csv", "baselines", "ranking.json", "features.parquet", "checkpoint.safetensors"];

/// Runs the smoke preset undisturbed, then again with `kills` SIGKILLs at random moments, and compares the folders.
pub fn kill_check(kills: u64, seed: u64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (calm, disturbed) = (folder.path().join("calm"), folder.path().join("disturbed"));
    let start = Instant::now();
    if !spawn(&calm)?.wait()?.success() {
        bail!("the undisturbed run failed");
    }
    let whole = start.elapsed();
    println!("undisturbed run: {:.1} s", whole.as_secs_f64());
    for kill in 0..kills {
        // A kill between 2 % and 60 % of a whole run after the start, so that the run gets on between kills.
        let wait = whole.mul_f64(0.02 + 0.58 * fraction(seed, kill));
        let mut child = spawn(&disturbed)?;
        std::thread::sleep(wait);
        child.kill().context("cannot kill the run")?;
        let finished = child.wait()?.success();
        let files = files(&disturbed)?.len();
        println!(
            "kill {:2} after {:5.1} s: {files} files{}",
            kill + 1,
            wait.as_secs_f64(),
            if finished { ", run complete" } else { "" }
        );
        if finished && kill + 1 < kills {
            // Complete: begin anew at a random stage by removing what the later stages left.
            let count = 1 + (fraction(seed ^ 0x5eed, kill) * LATER.len() as f64) as usize;
            for name in LATER.iter().take(count) {
                let path = disturbed.join(name);
                let _ = std::fs::remove_dir_all(&path);
                let _ = std::fs::remove_file(&path);
            }
        }
    }
    if !spawn(&disturbed)?.wait()?.success() {
        bail!("the run after the last kill failed");
    }
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

fn spawn(out: &Path) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["reproduce-table4", "--preset", "smoke", "--checkpoint-every", "1", "--out"]).arg(out);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start the run")
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
