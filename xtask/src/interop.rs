//! `interop`: files written here are read by astropy, regions, pyarrow, pycocotools and mocpy, theirs are read here, and every value must be the
//! same. (Footprints go one way: nothing here reads a MOC; forests the other: scikit-learn's are read here.)
//!
//! Each side writes its files with what they hold (`expected.json`, from the values in memory) and reads those of the other. Numbers are compared
//! exactly, positions within 1e-9 degree. The Python side is `xtask/interop/formats.py`. With `--weights`, the same for encoders with torch,
//! torchvision and onnxruntime ([`weights`]).
mod describe;
mod environment;
mod read;
mod same;
mod weights;
mod write;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

#[derive(clap::Args)]
pub struct Interop {
    /// Weights in place of formats: torch, torchvision and onnxruntime (5.6 GB of packages).
    #[arg(long)]
    weights: bool,
    /// A Python that has the packages of xtask/interop/requirements.txt (requirements-weights.txt with --weights); without it, one is set up
    /// below the target folder.
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Only set up that Python; fails where its packages cannot be installed.
    #[arg(long, conflicts_with = "python")]
    only_environment: bool,
    /// Seed of the values written here.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Both directions; the first difference is an error that names file, place, what was found and what was expected.
pub fn interop(options: &Interop) -> Result<()> {
    let python = match &options.python {
        Some(program) => program.clone(),
        None => environment::python(if options.weights { environment::WEIGHTS } else { environment::FORMATS })?,
    };
    if options.only_environment {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    if options.weights {
        weights::check(&python, folder.path(), options.seed)?;
        println!("no difference in weights, in neither direction");
        return Ok(());
    }
    let versions = formats(&python, &["versions"])?;
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    std::fs::create_dir(&ours)?;
    let expected = write::write(&ours, options.seed)?;
    std::fs::write(ours.join("expected.json"), serde_json::to_vec(&expected)?)?;
    let read_there = files(&expected);
    print!("{}", formats(&python, &["check", &text(&ours)?])?);
    print!("{}", formats(&python, &["make", &text(&theirs)?])?);
    let expected: Value = serde_json::from_slice(&std::fs::read(theirs.join("expected.json"))?)?;
    read::read(&theirs, &expected)?;
    println!("no difference in {read_there} files of ours and {} of theirs; {}", files(&expected), versions.trim());
    Ok(())
}

fn files(expected: &Value) -> usize {
    expected.as_object().into_iter().flatten().filter_map(|(_, group)| group.as_array()).map(Vec::len).sum()
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}

fn formats(python: &Path, arguments: &[&str]) -> Result<String> {
    run_script(python, "formats.py", arguments)
}

/// Runs a Python side; its words, or an error with them.
fn run_script(python: &Path, script: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(python);
    let output = command.arg(environment::folder().join(script)).args(arguments).output();
    let output = output.with_context(|| format!("cannot start {}", python.display()))?;
    if !output.status.success() {
        let (said, refused) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{script} {}: {}{}", arguments[0], said, refused.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
