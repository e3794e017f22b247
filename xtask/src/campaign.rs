//! Many runs of Table 4 from one plan: seeds × variants, judged together.
//!
//! One run is an anecdote: a claim about learned features needs skies that no choice was tuned on. Every run resumes,
//! so a campaign does too. Differences are pooled over skies: their mean, and Student's interval of that mean from
//! the scatter between skies; with one sky, the run's own bootstrap over objects.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use radio_ssl::run_config::Preset;
use radio_ssl::table4::{Table4Options, reproduce_table4};
use serde::Deserialize;

/// What is run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    /// Preset of every run.
    preset: Preset,
    /// Skies; a list, so that a reader sees which were tuned on.
    seeds: Vec<u64>,
    /// Settings of every run, as `--set`.
    #[serde(default)]
    settings: Vec<String>,
    /// What is compared.
    variants: Vec<Variant>,
}

/// One way to train.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    /// Its name in the table and, with `-` for what a folder should not hold, of its folders.
    name: String,
    /// Its settings, after the plan's.
    #[serde(default)]
    settings: Vec<String>,
    /// An encoder that is not trained on the sky it is judged on.
    checkpoint: Option<PathBuf>,
}

/// A row of a run's `held-out.csv`.
#[derive(Debug, Clone, Deserialize)]
struct HeldOut {
    features: String,
    recall: f64,
    precision: f64,
    contamination_ordinary: f64,
    average_precision: f64,
    // Empty in the first row, which is compared with itself.
    difference: Option<f64>,
    difference_low: Option<f64>,
    difference_high: Option<f64>,
}

/// Runs, or continues, a campaign and writes `summary.md` and `summary.csv` beside its runs.
///
/// # Errors
/// If the plan is wrong, a run fails, or the user interrupts.
pub fn campaign(plan_path: &Path, checkpoint_every: Duration) -> Result<()> {
    let text = std::fs::read_to_string(plan_path).with_context(|| format!("cannot read {}", plan_path.display()))?;
    let plan: Plan = toml::from_str(&text).with_context(|| format!("{}", plan_path.display()))?;
    if plan.seeds.is_empty() || plan.variants.is_empty() {
        bail!("{}: expected at least one seed and one variant", plan_path.display());
    }
    let stem = plan_path.file_stem().map_or("campaign".into(), |stem| stem.to_string_lossy().into_owned());
    let folder = Path::new("runs").join(stem);
    let mut judged: Vec<(String, Vec<Vec<HeldOut>>)> = Vec::new();
    let total = plan.seeds.len() * plan.variants.len();
    for variant in &plan.variants {
        let mut skies = Vec::new();
        for &seed in &plan.seeds {
            eprintln!(
                "▶ run {} of {total}: {}, seed {seed}",
                judged.len() * plan.seeds.len() + skies.len() + 1,
                variant.name
            );
            let out = folder.join(format!("{}-seed{seed}", folder_name(&variant.name)));
            let options = Table4Options {
                preset: plan.preset,
                seed,
                survey: None,
                checkpoint: variant.checkpoint.clone(),
                out: Some(out.clone()),
                settings: plan.settings.iter().chain(&variant.settings).cloned().collect(),
                checkpoint_every,
            };
            // A finished run is not run again (its report is its last file), but it must be of this plan.
            options.config()?.claim_folder(&out).with_context(|| format!("{}, seed {seed}", variant.name))?;
            let table = out.join("report").join("held-out.csv");
            if !out.join("report").join("index.html").exists() {
                reproduce_table4(&options).with_context(|| format!("{}, seed {seed}", variant.name))?;
            }
            skies.push(read_held_out(&table)?);
        }
        judged.push((variant.name.clone(), skies));
        // After every variant, so that a campaign cut short leaves what it has.
        let summary = summarise(&plan.seeds, &judged);
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            atomic_file::write_atomically(&path, |file| std::io::Write::write_all(file, text.as_bytes()))
                .with_context(|| format!("cannot write {}", path.display()))
        };
        write("summary.md", &summary)?;
        write("summary.csv", &comma_separated(&plan.seeds, &judged))?;
        println!("{summary}");
    }
    Ok(())
}

fn folder_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn read_held_out(path: &Path) -> Result<Vec<HeldOut>> {
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows: Vec<HeldOut> =
        reader.deserialize().collect::<Result<_, _>>().with_context(|| format!("{}", path.display()))?;
    if rows.len() < 2 {
        bail!("{}: expected the learned features and a baseline, found {} rows", path.display(), rows.len());
    }
    Ok(rows)
}

/// Mean and half width of Student's 95 % interval of the mean.
fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, student_975(values.len() - 1) * (variance / n).sqrt())
}

/// The 97.5 % point of Student's distribution (NIST/SEMATECH e-Handbook, table 1.3.6.7.2).
fn student_975(freedom: usize) -> f64 {
    const TABLE: [f64; 9] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];
    match freedom {
        0 => f64::NAN,
        1..=9 => TABLE[freedom - 1],
        _ => 1.96 + 2.5 / freedom as f64,
    }
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    values.sum::<f64>() / n
}

fn number(field: Option<f64>) -> f64 {
    field.unwrap_or(f64::NAN)
}

/// One line for each variant: the learned features, the strongest baseline, and the paired difference.
fn summarise(seeds: &[u64], judged: &[(String, Vec<Vec<HeldOut>>)]) -> String {
    let mut text = format!(
        "Held-out sky, {} simulated {} (seeds {}). AP: peculiar among peculiar and complex frames, percent.\n\n\
         | variant | R | P | C ordinary | AP learned | strongest baseline | its AP | difference | 95 % |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        seeds.len(),
        if seeds.len() == 1 { "sky" } else { "skies" },
        seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    );
    for (name, skies) in judged {
        let learned = |value: fn(&HeldOut) -> f64| 100.0 * mean(skies.iter().map(|rows| value(&rows[0])));
        let Some((baseline, merit)) = strongest(skies) else { continue };
        let rows: Vec<&HeldOut> =
            skies.iter().filter_map(|rows| rows.iter().find(|row| row.features == baseline)).collect();
        let (difference, low, high) = match rows.as_slice() {
            [row] => (number(row.difference), number(row.difference_low), number(row.difference_high)),
            rows => {
                let (mean, half) = mean_and_spread(&rows.iter().map(|row| number(row.difference)).collect::<Vec<_>>());
                (mean, mean - half, mean + half)
            }
        };
        let _ = writeln!(
            text,
            "| {name} | {:.1} | {:.1} | {:.1} | {:.1} | {baseline} | {:.1} | {:+.1} | {:+.1} to {:+.1} |",
            learned(|row| row.recall),
            learned(|row| row.precision),
            learned(|row| row.contamination_ordinary),
            learned(|row| row.average_precision),
            100.0 * merit,
            100.0 * difference,
            100.0 * low,
            100.0 * high,
        );
    }
    text
}

/// The baseline that every sky could judge, with the highest mean average precision.
fn strongest(skies: &[Vec<HeldOut>]) -> Option<(String, f64)> {
    let of = |name: &str| {
        let values: Vec<f64> = skies
            .iter()
            .filter_map(|rows| rows.iter().find(|row| row.features == name).map(|row| row.average_precision))
            .collect();
        (values.len() == skies.len()).then(|| mean(values.iter().copied()))
    };
    let names = skies.first()?[1..].iter().map(|row| row.features.clone());
    names.filter_map(|name| of(&name).map(|merit| (name, merit))).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Every row of every run.
fn comma_separated(seeds: &[u64], judged: &[(String, Vec<Vec<HeldOut>>)]) -> String {
    let mut text = String::from(
        "variant,seed,features,recall,precision,contamination_ordinary,average_precision,difference,difference_low,difference_high\n",
    );
    for (name, skies) in judged {
        for (seed, rows) in seeds.iter().zip(skies) {
            for row in rows {
                let _ = writeln!(
                    text,
                    "\"{}\",{seed},\"{}\",{},{},{},{},{},{},{}",
                    name.replace('"', "\"\""),
                    row.features.replace('"', "\"\""),
                    row.recall,
                    row.precision,
                    row.contamination_ordinary,
                    row.average_precision,
                    text_of(row.difference),
                    text_of(row.difference_low),
                    text_of(row.difference_high)
                );
            }
        }
    }
    text
}

fn text_of(field: Option<f64>) -> String {
    field.map_or(String::new(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(features: &str, average_precision: f64, difference: f64) -> HeldOut {
        HeldOut {
            features: features.into(),
            recall: 0.5,
            precision: 0.5,
            contamination_ordinary: 0.0,
            average_precision,
            difference: Some(difference).filter(|d| d.is_finite()),
            difference_low: Some(difference - 0.1),
            difference_high: Some(difference + 0.1),
        }
    }

    #[test]
    fn the_first_row_of_a_table_has_no_difference() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("held-out.csv");
        let head = "features,recall,precision,contamination_ordinary,average_precision,difference,difference_low,difference_high";
        std::fs::write(&path, format!("{head}\nSimCLR,0.3,0.3,0.1,0.35,,,\nrings,0.2,0.2,0.1,0.3,0.05,-0.1,0.2\n"))
            .unwrap();
        let rows = read_held_out(&path).unwrap();
        assert_eq!((rows[0].difference, rows[1].difference), (None, Some(0.05)));
        std::fs::write(&path, format!("{head}\nSimCLR,0.3,0.3,0.1,0.35,,,\n")).unwrap();
        assert!(read_held_out(&path).unwrap_err().to_string().contains("found 1 rows"));
    }

    #[test]
    fn the_strongest_baseline_is_strongest_on_the_mean_and_differences_are_pooled() {
        let one = vec![row("SimCLR", 0.5, f64::NAN), row("a", 0.45, 0.05), row("b", 0.3, 0.2)];
        let other = vec![row("SimCLR", 0.6, f64::NAN), row("a", 0.35, 0.25), row("b", 0.4, 0.2)];
        let text = summarise(&[1, 2], &[("v".into(), vec![one, other])]);
        // Mean difference 15 points; with two skies Student's factor is 12.7 and the standard error 10 points.
        assert!(text.contains("| 55.0 | a | 40.0 | +15.0 | -112.1 to +142.1 |"), "{text}");
    }

    #[test]
    fn one_sky_keeps_its_bootstrap() {
        let sky = vec![row("SimCLR", 0.5, f64::NAN), row("a", 0.45, 0.05)];
        let text = summarise(&[1], &[("v".into(), vec![sky])]);
        assert!(text.contains("| +5.0 | -5.0 to +15.0 |"), "{text}");
    }

    #[test]
    fn the_plans_of_the_documentation_are_plans() {
        for text in [
            include_str!("../../docs/examples/training-search.toml"),
            include_str!("../../docs/examples/five-skies.toml"),
        ] {
            let plan: Plan = toml::from_str(text).unwrap();
            for variant in &plan.variants {
                let settings: Vec<String> = plan.settings.iter().chain(&variant.settings).cloned().collect();
                radio_ssl::run_config::Table4Config::preset(plan.preset, 1).with_settings(&settings).unwrap();
            }
        }
    }

    #[test]
    fn names_become_folders() {
        assert_eq!(folder_name("Table 2, 96 px"), "table-2--96-px");
    }
}
