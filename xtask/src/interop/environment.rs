//! The Pythons of `interop`: virtual environments below the target folder with pinned packages, made once.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Interpreters in order of preference; the packages have wheels for the first.
const INTERPRETERS: [&str; 2] = ["python3.11", "python3"];

/// A list of packages and the environment that has them.
#[derive(Clone, Copy)]
pub struct Packages {
    list: &'static str,
    environment: &'static str,
}

/// What reads and writes formats.
pub const FORMATS: Packages = Packages { list: "requirements.txt", environment: "interop-venv" };
/// What reads and writes weights; 5.6 GB, for PyPI has torch with CUDA only.
pub const WEIGHTS: Packages = Packages { list: "requirements-weights.txt", environment: "interop-weights-venv" };

/// Where the Python side and its lists of packages are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop")
}

/// The interpreter of the environment, which is made if it is missing or the list of packages has changed.
pub fn python(packages: Packages) -> Result<PathBuf> {
    let list = folder().join(packages.list);
    let wanted = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| folder().join("../../target"), PathBuf::from);
    let environment = target.join(packages.environment);
    let python = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // Written last: an environment without it is not complete.
    let stamp = environment.join("installed.txt");
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let works = |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let interpreter = INTERPRETERS.iter().find(works).context("no python3 to make a virtual environment with")?;
    eprintln!("installing the packages of {}", list.display());
    let mut make = Command::new(interpreter);
    run(make.args(["-m", "venv", "--clear"]).arg(&environment), "python -m venv fails")?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "--no-cache-dir",
        "-r",
    ]);
    run(install.arg(&list), "pip cannot install the packages (is there a network?)")?;
    std::fs::write(&stamp, wanted).with_context(|| stamp.display().to_string())?;
    Ok(python)
}

fn run(command: &mut Command, failure: &str) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        let (said, refused) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{failure}: {} {}", said.trim(), refused.trim());
    }
    Ok(())
}
