//! `reproduce-table4 --check-published`: the counts behind the printed Table 4, through the real scan.
use anyhow::{Result, bail};

/// Builds, for each published row, scores and labels with the counts that give it, and lets the scan find threshold and row.
pub fn check_published() -> Result<()> {
    println!(
        "features  threshold      R %     P %  P+complex  C complex  C ordinary   selected (peculiar, complex, ordinary)"
    );
    let checks = metrics::check_published()?;
    let mut wrong = 0;
    for check in &checks {
        let row = check.found;
        let percent = |fraction: Option<f64>| fraction.map_or("-".into(), |f| format!("{:.1}", 100.0 * f));
        println!(
            "{:8}  {:9.3}  {:>7} {:>7}    {:>7}    {:>7}     {:>7}   {} ({}, {}, {})",
            check.printed.features,
            row.threshold,
            percent(Some(row.recall)),
            percent(row.precision),
            percent(row.precision_with_complex),
            percent(row.contamination_complex),
            percent(row.contamination_ordinary),
            row.selected,
            row.peculiar,
            row.complex,
            row.ordinary
        );
        for difference in &check.differences {
            println!(
                "          differs: {}: printed {}, found {:?}",
                difference.column, difference.printed, difference.found
            );
            wrong += 1;
        }
    }
    if wrong > 0 {
        bail!("{wrong} printed values differ from the paper's Table 4");
    }
    println!("All {} rows agree with the paper's Table 4 to every printed digit.", checks.len());
    Ok(())
}
