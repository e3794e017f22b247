//! `radio-ssl doctor`: what is wrong with files, where, and what to do about it, as text or JSON.

use std::{fmt::Write as _, path::Path};

use anyhow::Result;
use radio_io::doctor::{Examination, FileKind, Finding, Place, Severity, examine};

/// Examines a file; one that cannot be opened is an error of that file, not of the command.
pub fn examination(path: &Path) -> Examination {
    examine(path, |name| std::env::var(name).ok()).unwrap_or_else(|refused| {
        let cause = std::error::Error::source(&refused).map(|cause| format!(": {cause}")).unwrap_or_default();
        let finding = Finding {
            severity: Severity::Error,
            place: Place::default(),
            found: format!("cannot be read{cause}"),
            remedy: "check that it exists, and the right to read it".to_owned(),
        };
        Examination { path: path.into(), kind: FileKind::Unknown, facts: Vec::new(), findings: vec![finding] }
    })
}

/// One block a file: facts, then findings with a line of remedy each, errors first.
pub fn block(examination: &Examination) -> String {
    let mut text = format!("{}: {}\n", examination.path.display(), examination.kind);
    for fact in &examination.facts {
        let _ = writeln!(text, "  {:18} {}", fact.name, fact.value);
    }
    for Finding { severity, place, found, remedy } in &examination.findings {
        let _ = writeln!(text, "  {}: {place}: {found}", severity.to_string().to_uppercase());
        let _ = writeln!(text, "    -> {remedy}");
    }
    if examination.findings.is_empty() {
        text.push_str("  nothing to complain about\n");
    }
    text
}

/// The last line: how many files, errors, warnings and notes.
pub fn summary(examinations: &[Examination]) -> String {
    let count = |severity| examinations.iter().map(|one| one.count(severity)).sum::<usize>();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    format!("{} file(s): {errors} error(s), {warnings} warning(s), {notes} note(s)", examinations.len())
}

/// How many of the files have an error.
pub fn unusable(examinations: &[Examination]) -> usize {
    examinations.iter().filter(|one| one.count(Severity::Error) > 0).count()
}

/// All examinations as a JSON array.
///
/// # Errors
/// A path that is not UTF-8.
pub fn json(examinations: &[Examination]) -> Result<String> {
    Ok(serde_json::to_string_pretty(examinations)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_an_error_of_that_file() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (good, bad) = (folder.path().join("list.csv"), folder.path().join("none.fits"));
        std::fs::write(&good, "id,ra,dec\na,10.0,-20.0\n")?;
        let examinations = [examination(&good), examination(&bad)];
        assert_eq!(unusable(&examinations), 1);
        let text = block(&examinations[1]);
        assert!(text.contains("none.fits: unknown") && text.contains("ERROR: file: cannot be read"), "{text}");
        assert!(text.contains("    -> check that it exists"), "{text}");
        assert!(block(&examinations[0]).contains("1 rows"), "{}", block(&examinations[0]));
        assert!(summary(&examinations).starts_with("2 file(s): 1 error(s), 0 warning(s)"));
        let parsed: serde_json::Value = serde_json::from_str(&json(&examinations)?)?;
        assert_eq!(parsed[1]["findings"][0]["severity"], "error");
        Ok(())
    }
}
