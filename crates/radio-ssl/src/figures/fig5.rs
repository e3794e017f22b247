//! Figure 5: F1 of a linear head on frozen features, by what made the features, for each class and over all.
use anyhow::Result;
use serde::Serialize;

use super::claims::{Asks, Claim, points};
use super::encoders::Pretrained;
use super::experiment::Experiment;
use super::over_sets::{Method, OverSets};
use super::pages::{Found, bar, difference_table, named, overall_table, write_page};
use super::settings::FigureOptions;
use crate::intervals::Estimate;
use crate::report::class_figures::bars_by_class;
use crate::report::figure_page::PageTable;
use crate::report::method_figures::{Bar, bars_figure};

/// The scores of a method.
#[derive(Debug, Serialize)]
pub struct MethodScores {
    /// Name.
    pub name: String,
    /// F1 over all classes.
    pub f1: Estimate,
    /// F1 of each class.
    pub by_class: Vec<Estimate>,
    /// F1 of each set.
    pub by_set: Vec<f64>,
}

/// What the paper says of features.
const GAIN: &str = "Self-supervised frozen features beat ImageNet's by about 7 to 12 % in overall F1.";
/// How a gain that is not significant is read: an interval that merely is wide shows nothing.
const NO_GAIN: &str = "the interval of the difference holds 0 and stays within 5 points of it";
const SECTION: &str = "section 3, Fig. 5";

/// Makes figure 5 and returns what to print.
///
/// # Errors
/// If data cannot be used, a stage fails, the user interrupts, or a file cannot be written.
pub fn figure5(options: &FigureOptions) -> Result<String> {
    let experiment = Experiment::open(options, false)?;
    let methods = experiment.methods()?;
    let over = experiment.over_sets();
    let scores = methods.iter().map(|method| scores_of(&experiment, &over, method)).collect::<Result<Vec<_>>>()?;
    let claims = claims(&over, &methods)?;
    let best = scores.iter().max_by(|a, b| a.f1.value.total_cmp(&b.f1.value));
    let result = best.map_or(String::new(), |best| {
        let majority = 100.0 / experiment.labelled.classes.len() as f64;
        format!("Best frozen features: {} with F1 {}; chance is {majority:.1} %.", best.name, points(best.f1))
    });
    let found = Found {
        stem: "fig5",
        title: "Figure 5: frozen features by what they learnt from",
        result,
        claims,
        notes: Vec::new(),
        figures: drawings(&experiment, &scores),
        tables: vec![overall_table(&over, &methods)?, class_table(&experiment, &scores), differences(&over, &methods)?],
        data: scores,
    };
    write_page(&experiment, &options.out, "cargo xtask reproduce-fig5", found)
}

fn scores_of(experiment: &Experiment, over: &OverSets, method: &Method) -> Result<MethodScores> {
    Ok(MethodScores {
        name: method.name.clone(),
        f1: over.f1(method, None)?,
        by_class: (0..experiment.labelled.classes.len())
            .map(|class| over.f1(method, Some(class)))
            .collect::<Result<_>>()?,
        by_set: over.by_set(method)?,
    })
}

fn drawings(experiment: &Experiment, scores: &[MethodScores]) -> Vec<crate::report::Drawing> {
    let rows: Vec<Bar> = scores.iter().map(|score| bar(&(score.name.clone(), score.f1))).collect();
    let names: Vec<String> = scores.iter().map(|score| score.name.clone()).collect();
    let percent =
        |found: &Estimate| Estimate { value: 100.0 * found.value, low: 100.0 * found.low, high: 100.0 * found.high };
    let values: Vec<Vec<Estimate>> =
        scores.iter().map(|score| score.by_class.iter().chain([&score.f1]).map(percent).collect()).collect();
    let mut classes = experiment.labelled.classes.clone();
    classes.push("all".into());
    let overall = bars_figure("F1 over all classes, frozen features", "", "F1", false, &rows);
    let by_class = bars_by_class("F1 by class, frozen features", "F1 / %", &classes, &names, &values);
    overall.into_iter().chain(by_class).collect()
}

fn class_table(experiment: &Experiment, scores: &[MethodScores]) -> PageTable {
    let mut columns = vec!["features".to_owned()];
    columns.extend(experiment.labelled.classes.iter().cloned());
    let row = |score: &MethodScores| {
        let cell = |found: &Estimate| {
            format!("{:.1} ({:.0}–{:.0})", 100.0 * found.value, 100.0 * found.low, 100.0 * found.high)
        };
        std::iter::once(score.name.clone()).chain(score.by_class.iter().map(cell)).collect()
    };
    PageTable {
        heading: "F1 by class, %".into(),
        caption: "Mean over sets with its 95 % interval.".into(),
        columns,
        rows: scores.iter().map(row).collect(),
        prose: false,
    }
}

/// Each pre-training against everything else.
fn differences(over: &OverSets, methods: &[Method]) -> Result<PageTable> {
    let mut found = Vec::new();
    for (place, first) in methods.iter().enumerate().filter(|(_, method)| is_pretrained(method)) {
        for (other, second) in methods.iter().enumerate() {
            if other != place && (!is_pretrained(second) || other > place) {
                let name = format!("{} − {}", first.name, second.name);
                found.push((name, over.difference(first, second, None)?));
            }
        }
    }
    Ok(difference_table("Paired differences in F1", "The same sets and pieces of sky for both sides.", &found))
}

fn is_pretrained(method: &Method) -> bool {
    Pretrained::ALL.iter().any(|kind| kind.name() == method.name)
}

/// The statements of section 3 on frozen features.
fn claims(over: &OverSets, methods: &[Method]) -> Result<Vec<Claim>> {
    let of = |kind: Pretrained| named(methods, kind.name());
    let main = of(Pretrained::TwoStage).or(of(Pretrained::Centred));
    let mut claims = Vec::new();
    match (main, named(methods, "ImageNet")) {
        (Some(main), Some(imagenet)) => claims.push(Claim::judged(
            GAIN,
            SECTION,
            "7 to 12 points, with an interval above 0; ImageNet's own input scaling is applied here",
            Asks::Between(0.07, 0.12),
            &format!("{} − ImageNet", main.name),
            over.difference(main, imagenet, None)?,
        )),
        _ => claims.push(Claim::open(
            GAIN,
            SECTION,
            "needs ImageNet weights",
            "no ImageNet weights were given (--imagenet FILE)",
        )),
    }
    let no_blind = "there are no blind frames";
    let best = "smart_hulk_smgps, trained in two stages, is best; its gain over blind pre-training is not significant.";
    claims.push(match (of(Pretrained::TwoStage), of(Pretrained::Blind)) {
        (Some(two), Some(blind)) => Claim::judged(
            best,
            SECTION,
            NO_GAIN,
            Asks::NoneBeyond(0.05),
            "two-stage − blind",
            over.difference(two, blind, None)?,
        ),
        _ => Claim::open(best, SECTION, NO_GAIN, no_blind),
    });
    claims.push(super::views::blind_claim(over, of(Pretrained::Blind), of(Pretrained::Centred))?);
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::claims::Verdict;
    use crate::figures::over_sets::tests::{example, wrong_every};

    #[test]
    fn statements_follow_the_methods_there_are() -> Result<()> {
        let labelled = example(1, 3);
        let over = OverSets::new(&labelled, 1, 200, 1);
        let with = |name: &str, period: usize| Method { name: name.into(), ..wrong_every(&labelled, period, 1) };
        let alone = claims(&over, &[with("source-centred", 20)])?;
        assert!(alone.iter().all(|claim| claim.verdict == Verdict::CannotTell), "{alone:?}");
        let all = [with("blind", 20), with("source-centred", 20), with("two-stage", 20), with("ImageNet", 3)];
        let found = claims(&over, &all)?;
        assert_eq!(found[0].verdict, Verdict::Differs, "the gain is 28 points: {}", found[0].ours);
        assert_eq!(found[1].verdict, Verdict::Agrees);
        assert_eq!(found[2].verdict, Verdict::Differs, "blind is no better than centred here");
        assert_eq!(differences(&over, &all)?.rows.len(), 3 + 3);
        Ok(())
    }
}
