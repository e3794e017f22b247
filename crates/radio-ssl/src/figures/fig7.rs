//! Figure 7: F1 against the number of labels, all layers trained, from a pre-trained encoder and from scratch.
use anyhow::Result;
use cls_morph::classifier::config::FEW_IMAGES;
use serde::Serialize;

use super::claims::{Asks, Claim, points};
use super::experiment::Experiment;
use super::label_shares::{ShareResult, Start, TriedRate, label_shares};
use super::over_sets::{Method, OverSets};
use super::pages::{Found, difference_table, write_page};
use super::settings::FigureOptions;
use crate::intervals::Estimate;
use crate::report::figure_page::PageTable;
use crate::report::method_figures::{LabelAxes, LabelCurve, label_figure};

const SECTION: &str = "section 3, Fig. 7";
const FEW: &str =
    "With fewer than about 10 % of the labels the pre-trained start is more than 20 % better than from scratch.";
const MANY: &str = "With more labels from scratch is slightly better.";
/// The paper's border between few and many labels.
const BORDER: f64 = 0.1;

/// One share of the labels.
#[derive(Debug, Serialize)]
pub struct ShareFound {
    /// The share.
    pub share: f64,
    /// Labels.
    pub labels: usize,
    /// F1 from the pre-trained encoder, and from scratch.
    pub f1: [Estimate; 2],
    /// The first minus the second, paired.
    pub gain: Estimate,
    /// Chosen learning rates of the first seed, by set.
    pub rates: [Vec<f64>; 2],
    /// What they were chosen from; empty where the next larger share's was taken.
    pub tried: [Vec<Vec<TriedRate>>; 2],
}

/// Predictions of both starts with one share.
struct Pair {
    share: f64,
    labels: usize,
    methods: [Method; 2],
    rates: [Vec<f64>; 2],
    tried: [Vec<Vec<TriedRate>>; 2],
}

/// Makes figure 7 and returns what to print.
///
/// # Errors
/// If data cannot be used, a stage fails, the user interrupts, or a file cannot be written.
pub fn figure7(options: &FigureOptions) -> Result<String> {
    let experiment = Experiment::open(options, false)?;
    let mut starts: [Vec<Vec<ShareResult>>; 2] = [Vec::new(), Vec::new()];
    let mut encoder_name = "";
    for &seed in &experiment.settings.seeds {
        let encoder = experiment.main_encoder(seed)?;
        encoder_name = encoder.kind.name();
        for (results, start) in starts.iter_mut().zip([Start::From(encoder), Start::Scratch]) {
            results.push(label_shares(&experiment.store, &experiment.settings, &experiment.labelled, &start, seed)?);
        }
    }
    let pairs = pairs(&starts);
    let over = experiment.over_sets();
    let found = pairs.iter().map(|pair| share_found(&over, pair)).collect::<Result<Vec<_>>>()?;
    let claims = claims(&over, &pairs)?;
    let curve = |(k, name): (usize, &str)| LabelCurve {
        name: name.to_owned(),
        points: found
            .iter()
            .map(|share| (share.labels as f64, share.f1[k].value, share.f1[k].low, share.f1[k].high))
            .collect(),
    };
    let curves: Vec<LabelCurve> = ["pre-trained", "from scratch"].into_iter().enumerate().map(curve).collect();
    let result = found.first().zip(found.last()).map_or(String::new(), |(least, most)| {
        format!(
            "Pre-trained minus scratch: {} with {} labels, {} with {}.",
            points(least.gain),
            least.labels,
            points(most.gain),
            most.labels
        )
    });
    let gains: Vec<(String, Estimate)> = found
        .iter()
        .map(|share| (format!("{} labels ({:.0} %)", share.labels, 100.0 * share.share), share.gain))
        .collect();
    let settings = &experiment.settings.fine_tuning;
    let page = Found {
        stem: "fig7",
        title: "Figure 7: F1 against the number of labels",
        result,
        claims,
        notes: vec![format!(
            "Both starts: the {encoder_name} network, all layers, {} steps of at most {} cutouts, rotations and flips, and the best of the \
             learning rates {:?} (from scratch) or {:?} (pre-trained) on a quarter of the given labels that is put aside in each set (then trained on all of them); with fewer than 8 labels a \
             class the rate of the next larger share is taken. The pre-trained network starts with its head at the linear probe of the given \
             labels; with fewer than {} of them it keeps its batch-norm statistics, and at a rate of 0 stays at the probe. The paper trains 150 epochs and names no learning rate.",
            settings.steps, settings.batch_size, settings.rates, settings.encoder_rates, FEW_IMAGES
        )],
        figures: label_figure(LabelAxes { score: "F1", labels: "number of labels" }, "", &curves).into_iter().collect(),
        tables: vec![
            table(&found),
            difference_table(
                "Pre-trained minus from scratch",
                "Paired: the same labels, sets and pieces of sky.",
                &gains,
            ),
        ],
        data: found,
    };
    write_page(&experiment, &options.out, "cargo xtask reproduce-fig7", page)
}

/// `starts[start][seed][share]` as pairs by share.
fn pairs(starts: &[Vec<Vec<ShareResult>>; 2]) -> Vec<Pair> {
    let shares = starts[0].first().map_or(0, Vec::len);
    let pair = |place: usize| {
        let first = |start: usize| &starts[start][0][place];
        let method = |start: usize, name: &str| Method {
            name: name.to_owned(),
            predicted: starts[start].iter().map(|shares| shares[place].predicted.clone()).collect(),
        };
        Pair {
            share: first(0).share,
            labels: first(0).labels,
            methods: [method(0, "pre-trained"), method(1, "from scratch")],
            rates: [first(0).rates.clone(), first(1).rates.clone()],
            tried: [first(0).tried.clone(), first(1).tried.clone()],
        }
    };
    (0..shares).map(pair).collect()
}

fn share_found(over: &OverSets, pair: &Pair) -> Result<ShareFound> {
    let [first, second] = &pair.methods;
    Ok(ShareFound {
        share: pair.share,
        labels: pair.labels,
        f1: [over.f1(first, None)?, over.f1(second, None)?],
        gain: over.difference(first, second, None)?,
        rates: pair.rates.clone(),
        tried: pair.tried.clone(),
    })
}

/// Few labels: shares below a tenth (or the smallest, where all are above); many: shares above it.
fn claims(over: &OverSets, pairs: &[Pair]) -> Result<Vec<Claim>> {
    let gain = |chosen: Vec<&Pair>| {
        let methods: Vec<(&Method, &Method)> = chosen.iter().map(|pair| (&pair.methods[0], &pair.methods[1])).collect();
        let shares: Vec<String> = chosen.iter().map(|pair| format!("{:.0}", 100.0 * pair.share)).collect();
        let what = format!("pre-trained − scratch, mean of {} % of the labels", shares.join(", "));
        Ok::<_, anyhow::Error>((what, over.mean_difference(&methods, None)?))
    };
    let few: Vec<&Pair> = pairs.iter().filter(|pair| pair.share < BORDER).collect();
    let many: Vec<&Pair> = pairs.iter().filter(|pair| pair.share > BORDER).collect();
    let reading =
        ["mean gain over the shares below 10 %, more than 20 points", "mean gain over the shares above 10 %, below 0"];
    let none = "no such share of the labels was run";
    Ok(vec![
        match few.is_empty() {
            true => Claim::open(FEW, SECTION, reading[0], none),
            false => {
                let (what, found) = gain(few)?;
                Claim::judged(FEW, SECTION, reading[0], Asks::MoreThan(0.2), &what, found)
            }
        },
        match many.is_empty() {
            true => Claim::open(MANY, SECTION, reading[1], none),
            false => {
                let (what, found) = gain(many)?;
                Claim::judged(MANY, SECTION, reading[1], Asks::LessThan(0.0), &what, found)
            }
        },
    ])
}

fn table(found: &[ShareFound]) -> PageTable {
    let row = |share: &ShareFound| {
        let rate = |k: usize| {
            let taken_over = share.tried[k].first().is_none_or(Vec::is_empty);
            let chosen = if taken_over { "taken over" } else { "searched" };
            share.rates[k].first().map_or_else(String::new, |rate| format!("{rate:e}, {chosen}"))
        };
        vec![
            format!("{:.0} %", 100.0 * share.share),
            share.labels.to_string(),
            points(share.f1[0]),
            points(share.f1[1]),
            rate(0),
            rate(1),
        ]
    };
    PageTable {
        heading: "F1 by share of the labels".into(),
        caption: "Mean over sets (and seeds); learning rates are those of the first seed and set.".into(),
        columns: [
            "labels",
            "number",
            "pre-trained (95 %)",
            "from scratch (95 %)",
            "rate, pre-trained",
            "rate, scratch",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: found.iter().map(row).collect(),
        prose: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::claims::Verdict;
    use crate::figures::over_sets::tests::{example, wrong_every};

    #[test]
    fn few_and_many_labels_are_judged_apart() -> Result<()> {
        let labelled = example(1, 3);
        let over = OverSets::new(&labelled, 1, 200, 1);
        let result = |share: f64, period: usize| ShareResult {
            share,
            labels: (200.0 * share) as usize,
            rates: vec![1e-3; 3],
            tried: vec![Vec::new(); 3],
            predicted: wrong_every(&labelled, period, 1).predicted.remove(0),
        };
        // Pre-trained: 5 % wrong with few labels, 17 % with all. Scratch: half wrong with few labels, 2 % with many; what lies on the border counts for neither.
        let starts = [
            vec![vec![result(0.02, 20), result(0.05, 20), result(0.1, 20), result(1.0, 6)]],
            vec![vec![result(0.02, 2), result(0.05, 2), result(0.1, 40), result(1.0, 50)]],
        ];
        let pairs = pairs(&starts);
        let found = claims(&over, &pairs)?;
        assert_eq!(found[0].verdict, Verdict::Agrees, "{}", found[0].ours);
        assert!(found[0].ours.contains("2, 5 %") && found[1].ours.contains("of 100 %"), "{}", found[1].ours);
        assert_eq!(found[1].verdict, Verdict::Agrees, "{}", found[1].ours);
        let only_all = claims(&over, &pairs[3..])?;
        assert_eq!(only_all[0].verdict, Verdict::CannotTell);
        assert_eq!(share_found(&over, &pairs[0])?.labels, 4);
        Ok(())
    }
}
