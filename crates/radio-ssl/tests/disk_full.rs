//! A disk that is full: the last good state stands, and the same command continues to the same bits once there is room.
//!
//! Full is played by a limit on the size of a file (`ulimit -f`) in a process of its own, so that the tests mean the same to every user.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

mod tiny_sky;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use radio_ssl::run_config::{Preset, Table4Config};
use radio_ssl::table4::reproduce_table4;
use tiny_sky::{contains, files, kind, labels, options, survey};

/// Names the folder of the survey for a process started by a test.
const CHILD: &str = "RADIO_SSL_TEST_DISK_FULL";

/// A command in which no file can grow beyond `blocks` of 512 bytes (1024 in some shells).
fn limited(blocks: usize, program: &Path) -> Command {
    let mut command = Command::new("sh");
    // Without the trap the kernel would end the process instead of refusing the write.
    command.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")).arg(program);
    command
}

/// The run itself, when [`a_full_disk_leaves_scores_and_report`] starts this test in a process of its own; alone it has nothing to do.
#[test]
fn run_in_a_process_of_its_own() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let folder = Path::new(&folder);
    if let Err(error) = reproduce_table4(&options(folder.join("survey.toml"), folder.join("run"), 2)) {
        panic!("{error:#}");
    }
}

#[test]
fn a_full_disk_leaves_scores_and_report() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(folder.path(), |frame| labels(kind(frame)));
    let run = folder.path().join("run");
    reproduce_table4(&options(survey, run.clone(), 2)).unwrap();
    let good = files(&run);
    let again = |blocks: usize| {
        let mut command = limited(blocks, &std::env::current_exe().unwrap());
        command.args(["--exact", "run_in_a_process_of_its_own", "--nocapture"]).env(CHILD, folder.path());
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // Too small for the scores; large enough for them, too small for the report; and one stage after the other taken away before.
    let cases: [(usize, &[&str], &str); 4] = [
        (4, &[], "scores.csv"),
        (100, &[], "/report/"),
        (4, &["baselines"], "random-weights.parquet"),
        (4, &["ranking.json", "features.parquet"], "features.parquet"),
    ];
    for (blocks, removed, refused) in cases {
        for name in removed {
            let path = run.join(name);
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) }.unwrap();
        }
        let left: Vec<_> = good.iter().filter(|(path, _)| path.exists()).cloned().collect();
        let (success, words) = again(blocks);
        assert!(!success, "{blocks} blocks were enough");
        contains(&words, &[refused]);
        let now = files(&run);
        for (path, bytes) in &left {
            let found = now.iter().find(|(name, _)| name == path);
            assert!(found.is_some_and(|(_, found)| found == bytes), "{} after {refused}", path.display());
        }
        assert!(
            now.iter().all(|(path, _)| good.iter().any(|(name, _)| name == path)),
            "a leftover after {refused}: {:?}",
            now.iter().map(|(path, _)| path).collect::<Vec<_>>()
        );
        let (success, words) = again(1 << 30);
        assert!(success, "{words}");
        assert!(files(&run) == good, "other bits after {refused}");
    }
}

/// Training: the state of the last good moment stays, and training continues from it.
#[test]
fn a_full_disk_leaves_the_state_of_training() {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(folder.path(), |_| None);
    let text = std::fs::read_to_string(&survey).unwrap().replace("labels = \"labels.csv\"\n", "");
    std::fs::write(&survey, text).unwrap();
    let settings: Vec<String> =
        ["recipe.size=32", "backbone.width=2", "epochs=40", "projector.hidden=16", "projector.output=8"]
            .map(|setting| format!("simclr.{setting}"))
            .into();
    let config = Table4Config::preset(Preset::Smoke, 3).with_settings(&settings).unwrap();
    let config_file = folder.path().join("simclr.toml");
    std::fs::write(&config_file, config.simclr.to_toml().unwrap()).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_radio-ssl"));
    let pretrain = |mut command: Command, out: &str| {
        command.arg("pretrain").arg(&survey).arg("--config").arg(&config_file);
        command.args(["--checkpoint-every", "0", "--out"]).arg(folder.path().join(out));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let calm = pretrain(Command::new(program), "calm").output().unwrap();
    assert!(calm.status.success(), "{}", String::from_utf8_lossy(&calm.stderr));

    let state = folder.path().join("run/training.safetensors");
    let mut child = pretrain(Command::new(program), "run").spawn().unwrap();
    let start = Instant::now();
    while !state.exists() {
        assert!(child.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(60), "no state was saved");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let saved = std::fs::read(&state).unwrap();
    let full = pretrain(limited(8, program), "run").output().unwrap();
    let words = String::from_utf8_lossy(&full.stderr);
    assert!(!full.status.success(), "{words}");
    contains(&words, &["its state cannot be saved", "training.safetensors"]);
    assert!(std::fs::read(&state).unwrap() == saved, "the state of the last good moment is gone");
    let rest = pretrain(Command::new(program), "run").output().unwrap();
    let words = String::from_utf8_lossy(&rest.stderr);
    assert!(rest.status.success(), "{words}");
    contains(&words, &["continuing after step"]);
    let bits = |out: &str| std::fs::read(folder.path().join(out).join("checkpoint.safetensors")).unwrap();
    assert!(bits("calm") == bits("run"), "other bits after a full disk");
    assert!(!state.exists());
}

#[test]
fn a_full_disk_leaves_no_half_simulated_sky() {
    let folder = tempfile::tempdir().unwrap();
    let sky = folder.path().join("sky");
    let mut command = limited(64, Path::new(env!("CARGO_BIN_EXE_radio-ssl")));
    let output = command.args(["simulate", "--tier", "tiny", "--out"]).arg(&sky).output().unwrap();
    assert!(!output.status.success() && !sky.exists());
    contains(&String::from_utf8_lossy(&output.stderr), &["error:", "sky.partial"]);
}
