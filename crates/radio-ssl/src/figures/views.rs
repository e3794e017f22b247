//! The experiment on views: blind, source-centred and two-stage pre-training at equal steps, several seeds, linear heads on the same
//! source-centred cutouts.
use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::claims::{Asks, Claim, points};
use super::encoders::Pretrained;
use super::experiment::Experiment;
use super::frozen::Describer;
use super::over_sets::{Method, OverSets};
use super::pages::{Found, bar, difference_table, overall_table, write_page};
use super::settings::FigureOptions;
use crate::intervals::Estimate;
use crate::report::figure_page::PageTable;
use crate::report::method_figures::bars_figure;

/// What the paper says of blind pre-training.
const BLIND: &str = "Blind pre-training (hulk) is about 5 % better than source-centred (banner).";

/// The numbers of the experiment.
#[derive(Debug, Serialize)]
pub struct ViewsFound {
    /// Name and F1 of each pre-training.
    pub f1: Vec<(String, Estimate)>,
    /// F1 of each seed.
    pub by_seed: Vec<(String, Vec<f64>)>,
    /// Steps that were made.
    pub steps: Vec<(String, u64)>,
    /// Paired differences.
    pub differences: Vec<(String, Estimate)>,
}

/// Runs the experiment and returns what to print.
///
/// # Errors
/// If there are no blind frames, data cannot be used, a stage fails, the user interrupts, or a file cannot be written.
pub fn views(options: &FigureOptions) -> Result<String> {
    let experiment = Experiment::open(options, true)?;
    ensure!(
        experiment.pools.blind.is_some(),
        "blind frames are needed: name the maps with --survey beside --images and --labels"
    );
    let seeds = &experiment.settings.seeds;
    let (mut methods, mut steps) = (Vec::new(), Vec::new());
    for kind in Pretrained::ALL {
        let encoders = seeds.iter().map(|&seed| experiment.encoder(kind, seed)).collect::<Result<Vec<_>>>()?;
        steps.push((kind.name().to_owned(), encoders.first().map_or(0, |encoder| encoder.steps)));
        methods.push(experiment.method(&encoders.into_iter().map(Describer::Pretrained).collect::<Vec<_>>())?);
    }
    let random: Vec<Describer> = seeds.iter().map(|&seed| Describer::RandomWeights { seed }).collect();
    methods.push(experiment.method(&random)?);
    let over = experiment.over_sets();
    let found = numbers(&over, &methods, steps)?;
    let by_seed = PageTable {
        heading: "By seed".into(),
        caption: "F1 over all classes, mean over sets, %; and the optimiser steps that whole epochs came to.".into(),
        columns: ["pre-training".to_owned()]
            .into_iter()
            .chain(seeds.iter().map(|seed| format!("seed {seed}")))
            .chain(["steps".to_owned()])
            .collect(),
        rows: found
            .by_seed
            .iter()
            .map(|(name, values)| {
                let steps = found.steps.iter().find(|(of, _)| of == name).map_or("0".into(), |(_, n)| n.to_string());
                let values = values.iter().map(|value| format!("{:.1}", 100.0 * value));
                std::iter::once(name.clone()).chain(values).chain([steps]).collect()
            })
            .collect(),
        prose: false,
    };
    let bars = |found: &[(String, Estimate)]| found.iter().map(bar).collect::<Vec<_>>();
    let f1 = bars_figure("F1 over all classes", "", "F1", false, &bars(&found.f1));
    let gains = bars_figure("Paired differences", "", "difference in F1", true, &bars(&found.differences));
    let (blind, centred) = (methods.first(), methods.get(1));
    let page = Found {
        stem: "views",
        title: "Blind, source-centred or two-stage pre-training",
        result: found
            .differences
            .first()
            .map_or(String::new(), |(name, found)| format!("{name}: {}, {} seeds.", points(*found), seeds.len())),
        claims: vec![blind_claim(&over, blind, centred)?],
        notes: vec![
            "The paper compares epochs (100 blind, 500 source-centred) on pools of different size; here all three make the same \
             number of optimiser steps."
                .into(),
        ],
        figures: f1.into_iter().chain(gains).collect(),
        tables: vec![
            overall_table(&over, &methods)?,
            by_seed,
            difference_table("Paired differences in F1", "Over the same sets, pieces of sky and seeds.", &found.differences),
        ],
        data: found,
    };
    write_page(&experiment, &options.out, "cargo xtask experiment views", page)
}

fn numbers(over: &OverSets, methods: &[Method], steps: Vec<(String, u64)>) -> Result<ViewsFound> {
    let named = |kind: Pretrained| super::pages::named(methods, kind.name()).context("a pre-training is missing");
    let (blind, centred) = (named(Pretrained::Blind)?, named(Pretrained::Centred)?);
    let (two, random) = (named(Pretrained::TwoStage)?, methods.last().context("no method")?);
    let mut differences = Vec::new();
    for (first, second) in [(blind, centred), (two, blind), (two, centred), (blind, random), (centred, random)] {
        differences.push((format!("{} − {}", first.name, second.name), over.difference(first, second, None)?));
    }
    let each = |method: &Method| Ok((method.name.clone(), over.f1(method, None)?));
    let seeds = |method: &Method| Ok((method.name.clone(), over.by_seed(method)?));
    Ok(ViewsFound {
        f1: methods.iter().map(each).collect::<Result<_>>()?,
        by_seed: methods.iter().map(seeds).collect::<Result<_>>()?,
        steps,
        differences,
    })
}

/// The paper's statement on blind against source-centred pre-training.
///
/// # Errors
/// If a method predicts other sets.
pub fn blind_claim(over: &OverSets, blind: Option<&Method>, centred: Option<&Method>) -> Result<Claim> {
    let (source, reading) = ("summary section", "2.5 to 7.5 points, with an interval above 0");
    Ok(match (blind, centred) {
        (Some(blind), Some(centred)) => Claim::judged(
            BLIND,
            source,
            reading,
            Asks::Between(0.025, 0.075),
            "blind − source-centred",
            over.difference(blind, centred, None)?,
        ),
        _ => Claim::open(BLIND, source, reading, "there are no blind frames"),
    })
}
