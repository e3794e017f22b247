//! The experiment `claim`: the paper's "more than 20 points over scratch below 10 % of labels", on each labelled set.
use anyhow::Result;

use super::bench::Bench;
use super::describe::{Describe, Describer, Look, Network};
use super::on_set::FRACTIONS;
use super::probing::Probing;
use super::result::ExperimentResult;
use super::sets::{LabelledSet, SetName};
use super::training::{self, Start};
use super::workshop::{ExperimentOptions, Workshop};
use crate::intervals::Estimate;

/// The gain that the paper claims, in accuracy.
const CLAIMED: f64 = 0.2;

/// Runs it: both trainings have the same views, steps, draws of labels and search among three learning rates; the one from an encoder
/// may also stay at the linear probe it starts from. Beside the fine-tuned network stands that probe alone.
///
/// # Errors
/// If data cannot be used, a training fails, the user interrupts, or a unit cannot be written.
pub fn claim(options: &ExperimentOptions) -> Result<ExperimentResult> {
    let mut workshop = Workshop::new(options);
    let (recipes, seeds) = (options.recipes(false)?, options.seeds());
    let (mut blocks, mut verdict) = (Vec::new(), Vec::new());
    let names: Vec<SetName> = SetName::ALL.into_iter().filter(|name| options.wants(name.name())).collect();
    let sets: Vec<LabelledSet> =
        names.iter().map(|&name| LabelledSet::read(name, &options.data)).collect::<Result<_>>()?;
    for set in &sets {
        let arms = recipes.len() * 2 * FRACTIONS.len();
        workshop.ledger.plan("search", arms * training::units(&set.splits[0], 0));
        workshop.ledger.plan("training", arms * set.splits[0].folds.len() * seeds.len());
        workshop.ledger.plan("probe", recipes.len() * FRACTIONS.len() * seeds.len());
    }
    workshop.ledger.plan("encoder", recipes.len() * seeds.len());
    for set in &sets {
        let split = &set.splits[0];
        let mut bench = Bench::new(set, split, options.resamples());
        let mut describer = Describer::new(set);
        for recipe in &recipes {
            let (scratch, tuned) = (Start::Scratch(recipe.clone()), Start::Encoder(recipe.clone()));
            for fraction in FRACTIONS {
                for start in [&scratch, &tuned] {
                    if bench.find(&start.name(), "trained", fraction).is_none() {
                        bench.train(&mut workshop, start, fraction, &seeds)?;
                    }
                }
                let frozen = Describe::Network(Network::Encoder(recipe.clone()), Look::FROZEN);
                bench.probe(&mut workshop, &mut describer, &frozen, Probing::Fixed, fraction, &seeds)?;
                let Some(scratch) = bench.find(&scratch.name(), "trained", fraction) else { continue };
                let tuned = bench.find(&tuned.name(), "trained", fraction);
                let frozen = bench.find(&frozen.name(), Probing::Fixed.name(), fraction);
                for (arm, place) in [("fine-tuned", tuned), ("frozen with a linear head", frozen)] {
                    let Some(place) = place else { continue };
                    let gain = bench.compare(place, scratch)?.accuracy;
                    verdict.push(format!(
                        "{}, {} % of labels, {}: {arm} minus scratch {} points: {}.",
                        bench.block.short_title(),
                        100.0 * fraction,
                        recipe.name,
                        gain.percent(true),
                        words(gain, fraction)
                    ));
                }
            }
        }
        blocks.push(bench.block);
    }
    eprintln!("{}", workshop.ledger.summary());
    Ok(super::finished("claim", &workshop, recipes, blocks, verdict))
}

/// What a gain says of the claim, which speaks of few labels only.
fn words(gain: Estimate, fraction: f64) -> &'static str {
    match (fraction < 0.1, gain) {
        (false, Estimate { low, .. }) if low > 0.0 => "a gain",
        (false, Estimate { high, .. }) if high < 0.0 => "a loss",
        (false, _) => "no gain that can be told from 0",
        (true, Estimate { low, .. }) if low > CLAIMED => "more than 20 points: the claim is confirmed here",
        (true, Estimate { low, high, .. }) if high < CLAIMED && low > 0.0 => {
            "a gain, but less than 20 points: the claim is refuted here"
        }
        (true, Estimate { high, .. }) if high < 0.0 => "a loss: the claim is refuted here",
        (true, Estimate { high, .. }) if high < CLAIMED => {
            "no gain that can be told from 0, and less than 20 points: the claim is refuted here"
        }
        (true, _) => "the claim is undecided here",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_the_interval() {
        let gain = |low, high| Estimate { value: (low + high) / 2.0, low, high };
        for (low, high, fraction, part) in [
            (0.21, 0.3, 0.02, "confirmed"),
            (0.05, 0.19, 0.05, "a gain, but less"),
            (0.05, 0.19, 0.1, "a gain"),
            (-0.05, 0.19, 0.02, "no gain"),
            (-0.05, -0.01, 0.02, "a loss: the claim is refuted"),
            (0.1, 0.3, 0.02, "undecided"),
            (0.3, 0.4, 1.0, "a gain"),
            (-0.1, 0.1, 1.0, "no gain"),
        ] {
            assert!(words(gain(low, high), fraction).contains(part), "{low} {high} {fraction}");
        }
    }
}
