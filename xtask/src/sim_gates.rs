//! `sim-gates`: is the simulated sky hard enough, and does nothing but the shape give peculiar objects away?
//!
//! The gates of section 7 of `docs/simulation.md`. They are run on skies that no feature was trained or tuned on, before any
//! anomaly score of the generator's version is looked at. A gate that fails is reported as failing; the generator is not tuned
//! to it here.
mod separation;
mod sky_frames;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use radio_io::FrameLabel;
use radio_sim::config::GENERATOR_VERSION;
use radio_sim::map_figures::MapFigures;
use radio_sim::{SimConfig, Tier};

use separation::{Measured, auc, boosted, compare, held_by_top, measure, precision_at};
use sky_frames::{FEATURES, GateFrame, Group, SINGLE, describe_sky};

/// What the command needs.
#[derive(Debug, clap::Args)]
pub struct SimGates {
    /// Size of the skies; the gates are defined on `quarter`.
    #[arg(long, default_value = "quarter", value_parser = tier)]
    tier: Tier,
    /// Seeds of the skies.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    seeds: Vec<u64>,
    /// Keeps the skies here, and uses those that are there (2 GB for each `quarter`); without it each is removed when measured.
    #[arg(long, value_name = "FOLDER")]
    skies: Option<PathBuf>,
    /// Writes the tables here too, as Markdown.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn tier(text: &str) -> Result<Tier, String> {
    [Tier::Tiny, Tier::Demo, Tier::Quarter, Tier::Paper]
        .into_iter()
        .find(|tier| tier.name() == text)
        .ok_or_else(|| "tiny, demo, quarter or paper".to_owned())
}

/// When a gate fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// When the mean over skies is outside: many frames, small error.
    Mean,
    /// When the whole 95 % interval is outside: the limits are about as narrow as the sampling error.
    Interval,
    /// Never: only printed.
    Printed,
}

/// One line of the table.
struct Gate {
    name: String,
    limits: Option<[f64; 2]>,
    rule: Rule,
    found: Measured,
}

/// What became of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Holds,
    HoldsWithinError,
    CannotTell,
    Fails,
    Inside,
    Outside,
    None,
}

impl Verdict {
    fn text(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::HoldsWithinError => "holds; interval reaches outside",
            Self::CannotTell => "cannot tell: mean outside, interval reaches inside",
            Self::Fails => "**FAILS**",
            Self::Inside => "printed only: inside",
            Self::Outside => "printed only: outside",
            Self::None => "printed only",
        }
    }
}

impl Gate {
    fn verdict(&self) -> Verdict {
        let Some([low, high]) = self.limits else { return Verdict::None };
        let [below, above] = self.found.interval;
        let inside = (low..=high).contains(&self.found.mean);
        match self.rule {
            Rule::Printed if inside => Verdict::Inside,
            Rule::Printed => Verdict::Outside,
            _ if low <= below && above <= high => Verdict::Holds,
            Rule::Interval if above < low || below > high => Verdict::Fails,
            Rule::Mean if !inside => Verdict::Fails,
            _ if inside => Verdict::HoldsWithinError,
            _ => Verdict::CannotTell,
        }
    }
}

/// Simulates the skies, measures all gates, prints the tables, and fails if a gate fails.
pub fn sim_gates(options: &SimGates) -> Result<()> {
    ensure!(!options.seeds.is_empty(), "no seed");
    let (mut skies, mut maps) = (Vec::new(), Vec::new());
    let mut text = format!(
        "Generator version {GENERATOR_VERSION}, preset `emu-pilot`, tier `{}`.\n\n\
         | seed | fingerprint of the parameters | frames | labelled: peculiar | matched complex | other complex | ordinary |\n\
         |---|---|---|---|---|---|---|\n",
        options.tier.name()
    );
    for &seed in &options.seeds {
        let start = Instant::now();
        let config = SimConfig::emu_pilot(options.tier, seed);
        let name = format!("{}-seed{seed}", options.tier.name());
        let temporary = match &options.skies {
            Some(_) => None,
            None => Some(tempfile::tempdir().context("no temporary folder")?),
        };
        let folder = options.skies.as_deref().or(temporary.as_ref().map(|t| t.path())).unwrap_or(Path::new("."));
        let sky = describe_sky(&config, &folder.join(name)).with_context(|| format!("seed {seed}"))?;
        let count = |group| sky.frames.iter().filter(|f| f.labelled && f.group == group).count();
        writeln!(
            text,
            "| {seed} | `{}` | {} | {} | {} | {} | {} |",
            sky.fingerprint,
            sky.frames.len(),
            count(Group::Peculiar),
            count(Group::Matched),
            count(Group::Complex),
            count(Group::Ordinary)
        )?;
        eprintln!("seed {seed}: {} frames in {:.0} s", sky.frames.len(), start.elapsed().as_secs_f64());
        skies.push(sky.frames);
        maps.push(sky.figures);
    }
    let gates = measure_gates(&skies)?;
    text += "\n";
    text += &gate_table(&gates, &options.seeds)?;
    text += "\n";
    text += &label_table(&skies, &options.seeds)?;
    text += "\n";
    text += &map_table(&maps, &options.seeds)?;
    println!("{text}");
    if let Some(path) = &options.out {
        std::fs::write(path, &text).with_context(|| path.display().to_string())?;
    }
    let failed = failing(&gates);
    if !failed.is_empty() {
        bail!("{} of {} gates fail: {}", failed.len(), gates.len(), failed.join("; "));
    }
    Ok(())
}

fn failing(gates: &[Gate]) -> Vec<&str> {
    gates.iter().filter(|gate| gate.verdict() == Verdict::Fails).map(|gate| gate.name.as_str()).collect()
}

/// A number of a frame.
type Score = Box<dyn Fn(&GateFrame) -> f64>;
/// A figure of a map.
type Figure = fn(&MapFigures) -> f64;

/// All gates of section 7, in its order.
fn measure_gates(skies: &[Vec<GateFrame>]) -> Result<Vec<Gate>> {
    let n = skies.len();
    let mut gates = Vec::new();
    let mut add = |name: String, limits, rule, found: Result<Measured>| -> Result<()> {
        let found = found.with_context(|| name.clone())?;
        gates.push(Gate { name, limits, rule, found });
        Ok(())
    };
    let labelled = |frame: &GateFrame| frame.labelled;
    let any = |_: &GateFrame| true;
    let matched = [Group::Matched];
    let complex = [Group::Matched, Group::Complex];
    let others = [Group::Matched, Group::Complex, Group::Ordinary];
    for (k, name) in FEATURES.iter().enumerate().take(SINGLE) {
        let rows = compare(skies, &matched, labelled, |f| f.features[k]);
        add(format!("AUC, matched: {name}"), Some([0.38, 0.62]), Rule::Mean, measure(&rows, n, auc))?;
    }
    for (joint, name) in [(false, "trees per sky"), (true, "trees on all skies")] {
        let found = measure(&boosted(skies, &matched, joint)?, n, auc);
        add(format!("AUC, matched: boosting on the five, {name}"), Some([0.0, 0.72]), Rule::Mean, found)?;
    }
    for (against, words) in [(&complex[..], "all complex"), (&[Group::Ordinary][..], "ordinary")] {
        let limits = (against.len() == 1).then_some([0.85, 0.98]);
        for (k, name) in FEATURES.iter().enumerate().take(SINGLE) {
            let rows = compare(skies, against, labelled, |f| f.features[k]);
            add(format!("AUC, {words}: {name}"), limits, Rule::Printed, measure(&rows, n, auc))?;
        }
        let found = measure(&boosted(skies, against, true)?, n, auc);
        add(format!("AUC, {words}: boosting on the five"), limits, Rule::Printed, found)?;
    }
    for k in SINGLE - 1..FEATURES.len() {
        let rows = compare(skies, &others, any, |f| f.features[k]);
        let found = measure(&rows, n, |rows| held_by_top(rows, 0.05));
        let name = format!("peculiar frames among the 5 % most complex: {}", FEATURES[k]);
        add(name, Some([0.5, 0.9]), Rule::Printed, found)?;
        let rows = compare(skies, &others, labelled, |f| f.features[k]);
        let found = measure(&rows, n, |rows| precision_at(rows, 0.55));
        add(format!("precision at recall 55 %: {}", FEATURES[k]), Some([0.0, 0.45]), Rule::Mean, found)?;
    }
    // No leak: all frames of the skies, so that the draw of labelled blocks adds no error.
    let middle = |k: usize| move |f: &GateFrame| f.objects.first().map_or(f64::NAN, |(_, offset)| offset[k]);
    let leaks: [(&str, Score); 12] = [
        ("row in the mosaic", Box::new(|f| f.place[0] as f64)),
        ("column in the mosaic", Box::new(|f| f.place[1] as f64)),
        ("row of the object in the frame", Box::new(middle(0))),
        ("column of the object in the frame", Box::new(middle(1))),
        ("distance of the object from the middle", Box::new(move |f| middle(0)(f).hypot(middle(1)(f)))),
        ("blank share", Box::new(|f| f.blank)),
        ("local rms", Box::new(|f| f.rms)),
        ("neighbours' flux above 3 sigma", Box::new(|f| f.neighbours[0])),
        ("neighbours' max S/N", Box::new(|f| f.neighbours[1])),
        ("neighbours' area above 3 sigma", Box::new(|f| f.neighbours[2])),
        ("neighbours' islands", Box::new(|f| f.neighbours[3])),
        ("neighbours' gzip", Box::new(|f| f.neighbours[4])),
    ];
    for (name, score) in leaks {
        let rows = compare(skies, &matched, any, score);
        add(format!("no leak, matched: {name}"), Some([0.47, 0.53]), Rule::Interval, measure(&rows, n, auc))?;
    }
    Ok(gates)
}

fn gate_table(gates: &[Gate], seeds: &[u64]) -> Result<String> {
    let mut text = String::from("| gate | asked |");
    seeds.iter().try_for_each(|seed| write!(text, " seed {seed} |"))?;
    text += " mean | 95 % interval | verdict |\n|---|---|";
    text += &"---|".repeat(seeds.len() + 3);
    text += "\n";
    for gate in gates {
        let asked = match gate.limits {
            None => "-".to_owned(),
            Some([0.0, high]) => format!("≤ {high:.2}"),
            Some([low, high]) => format!("{low:.2} to {high:.2}"),
        };
        write!(text, "| {} | {asked} |", gate.name)?;
        gate.found.per_sky.iter().try_for_each(|value| write!(text, " {value:.3} |"))?;
        let [low, high] = gate.found.interval;
        writeln!(text, " {:.3} | {low:.3} to {high:.3} | {} |", gate.found.mean, gate.verdict().text())?;
    }
    Ok(text)
}

/// Shares that section 6 of the specification expects of all frames, in percent.
const EXPECTED: [(FrameLabel, [f64; 2]); 10] = [
    (FrameLabel::Background, [0.3, 1.0]),
    (FrameLabel::Compact, [95.0, 100.0]),
    (FrameLabel::Extended, [5.0, 9.0]),
    (FrameLabel::RadioGalaxy, [18.0, 25.0]),
    (FrameLabel::Diffuse, [1.0, 3.0]),
    (FrameLabel::DiffuseLarge, [0.2, 1.0]),
    (FrameLabel::Filament, [0.1, 0.5]),
    (FrameLabel::Artefact, [4.0, 8.0]),
    (FrameLabel::Peculiar, [2.0, 2.6]),
    (FrameLabel::Mosaicking, [2.0, 4.0]),
];

fn label_table(skies: &[Vec<GateFrame>], seeds: &[u64]) -> Result<String> {
    let mut text = String::from("| true label, % of all frames | expected |");
    seeds.iter().try_for_each(|seed| write!(text, " seed {seed} |"))?;
    text += " mean | |\n|---|---|";
    text += &"---|".repeat(seeds.len() + 2);
    text += "\n";
    for (label, [low, high]) in EXPECTED {
        let share = |frames: &Vec<GateFrame>| {
            100.0 * frames.iter().filter(|f| f.labels.contains(&label)).count() as f64 / frames.len() as f64
        };
        let shares: Vec<f64> = skies.iter().map(share).collect();
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        write!(text, "| {label} | {low} to {high} |")?;
        shares.iter().try_for_each(|share| write!(text, " {share:.2} |"))?;
        writeln!(text, " {mean:.2} | {} |", if (low..=high).contains(&mean) { "inside" } else { "**outside**" })?;
    }
    Ok(text)
}

/// The finished maps against section 8 of the specification.
fn map_table(maps: &[MapFigures], seeds: &[u64]) -> Result<String> {
    let lines: [(&str, [f64; 2], Figure); 7] = [
        ("clipped rms, uJy/beam", [25.0, 30.0], |m| m.rms * 1e6),
        ("median, uJy/beam", [-8.0, 8.0], |m| m.median * 1e6),
        ("pixels above 5 sigma, %", [1.0, 4.0], |m| 100.0 * m.above_5_sigma),
        ("pixels below -5 sigma away from artefacts, 1e-6", [0.0, 10.0], |m| 1e6 * m.below_minus_5_sigma),
        ("islands above 5 sigma per deg2", [850.0, 1_100.0], |m| m.islands_per_deg2),
        ("clipped deviation over true rms, boxes of 96 px", [0.97, 1.03], |m| m.box_rms_over_truth),
        ("its 95 % point over its 5 % point", [1.5, 3.0], |m| m.box_rms_spread),
    ];
    let mut text = String::from("| finished map | expected |");
    seeds.iter().try_for_each(|seed| write!(text, " seed {seed} |"))?;
    text += " |\n|---|---|";
    text += &"---|".repeat(seeds.len() + 1);
    text += "\n";
    for (name, [low, high], of) in lines {
        write!(text, "| {name} | {low} to {high} |")?;
        maps.iter().try_for_each(|map| write!(text, " {:.2} |", of(map)))?;
        let inside = maps.iter().filter(|map| (low..=high).contains(&of(map))).count();
        let verdict = if inside == maps.len() { "inside" } else { "**outside**" };
        writeln!(text, " {verdict} |")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sky whose peculiar frames are brighter than their twins: the gates of that feature and of the boosting fail, no other.
    #[test]
    fn a_feature_that_tells_fails_its_gates() {
        let gates_of = |shift: f64| {
            let mut skies = separation::tests::skies(shift);
            for sky in &mut skies {
                let ordinary = (0..400).map(|i| separation::tests::frame(3000 + i, Group::Ordinary, (i % 7) as f64));
                sky.extend(ordinary);
                // Groups alternate by three, and 31 is prime: no place tells.
                sky.iter_mut().enumerate().for_each(|(i, f)| f.place = [i / 31, i % 31]);
            }
            measure_gates(&skies).unwrap()
        };
        let told: Vec<String> = failing(&gates_of(1.5)).into_iter().map(str::to_owned).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.iter().all(|name| name.contains("flux above") || name.contains("boosting")), "{told:?}");
        assert_eq!(failing(&gates_of(0.0)), Vec::<&str>::new());
    }

    fn verdict(rule: Rule, mean: f64, interval: [f64; 2]) -> Verdict {
        let found = Measured { per_sky: vec![mean], mean, interval };
        Gate { name: String::new(), limits: Some([0.47, 0.53]), rule, found }.verdict()
    }

    #[test]
    fn verdicts_follow_the_rules() {
        assert_eq!(verdict(Rule::Mean, 0.5, [0.48, 0.52]), Verdict::Holds);
        assert_eq!(verdict(Rule::Mean, 0.5, [0.44, 0.56]), Verdict::HoldsWithinError);
        assert_eq!(verdict(Rule::Mean, 0.54, [0.50, 0.58]), Verdict::Fails);
        assert_eq!(verdict(Rule::Interval, 0.54, [0.50, 0.58]), Verdict::CannotTell);
        assert_eq!(verdict(Rule::Interval, 0.57, [0.54, 0.60]), Verdict::Fails);
        assert_eq!(verdict(Rule::Interval, 0.40, [0.36, 0.44]), Verdict::Fails);
        assert_eq!(verdict(Rule::Printed, 0.9, [0.8, 0.95]), Verdict::Outside);
    }
}
