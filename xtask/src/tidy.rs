//! The few promises of the house style that no compiler checks.
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Names that say nothing about what a file holds.
const VAGUE: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];

/// Checks every source file, and that the changelog knows the current version.
pub fn tidy() -> Result<()> {
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "benches", "examples"] {
        rust_files(Path::new(folder), &mut files)?;
    }
    if files.len() < 50 {
        bail!("only {} source files found: run this in the root of the workspace", files.len());
    }
    let mut faults = Vec::new();
    for path in &files {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        if !text.starts_with("//!") {
            faults.push(format!("{}: does not open with `//!`: what it is and why it exists", path.display()));
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if VAGUE.contains(&stem) {
            faults.push(format!("{}: find the concept's name", path.display()));
        }
    }
    let changelog = std::fs::read_to_string("CHANGELOG.md").context("CHANGELOG.md")?;
    if !changelog.contains(concat!("[", env!("CARGO_PKG_VERSION"), "]")) {
        faults.push(format!("CHANGELOG.md: no entry for version {}", env!("CARGO_PKG_VERSION")));
    }
    faults.iter().for_each(|fault| println!("{fault}"));
    if !faults.is_empty() {
        bail!("{} faults", faults.len());
    }
    println!("{} source files are tidy", files.len());
    Ok(())
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
