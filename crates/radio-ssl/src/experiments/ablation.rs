//! The experiment `ablation`: one number of the base encoder changed at a time, by linear probe on MiraBest.
use anyhow::Result;
use radio_augment::{AugmentStep, Augmenter};

use super::bench::Bench;
use super::describe::{Describe, Describer, Look, Network};
use super::encoders::EncoderRecipe;
use super::pools::without_step;
use super::probing::Probing;
use super::result::ExperimentResult;
use super::sets::{LabelledSet, SetName};
use super::workshop::{ExperimentOptions, Workshop};
use crate::intervals::Standing;

/// Passes over the pool of every variant: as many as fit an hour and a quarter, not those of the base in the table.
pub(super) const EPOCHS: u64 = 30;
const TEMPERATURES: [f64; 4] = [0.05, 0.1, 0.2, 0.5];
const RATES: [f64; 3] = [3e-4, 1e-3, 3e-3];
const SIDES: [usize; 3] = [48, 64, 96];

/// The base and its variants, each with a name of its own.
fn variants(base: &EncoderRecipe) -> Result<Vec<EncoderRecipe>> {
    let mut variants = vec![EncoderRecipe { name: "base".into(), ..base.clone() }];
    for (place, step) in base.augmenter.steps.iter().enumerate() {
        let step = serde_json::to_value(step)?;
        let name = format!("no {}", step["step"].as_str().unwrap_or("step"));
        variants.push(EncoderRecipe { name, augmenter: without_step(&base.augmenter, place), ..base.clone() });
    }
    for (name, step) in added() {
        let steps = [base.augmenter.steps.clone(), vec![step]].concat();
        variants.push(EncoderRecipe { name: name.into(), augmenter: Augmenter { steps }, ..base.clone() });
    }
    let temperatures = TEMPERATURES.into_iter().filter(|t| *t != base.temperature);
    variants.extend(temperatures.map(|temperature| EncoderRecipe {
        name: format!("temperature {temperature}"),
        temperature,
        ..base.clone()
    }));
    let rates = RATES.into_iter().filter(|lr| *lr != base.lr);
    variants.extend(rates.map(|lr| EncoderRecipe { name: format!("learning rate {lr:e}"), lr, ..base.clone() }));
    let sides = SIDES.into_iter().filter(|side| *side != base.side);
    variants.extend(sides.map(|side| EncoderRecipe { name: format!("input {side} px"), side, ..base.clone() }));
    Ok(variants)
}

/// The steps of Table 2 that the base does without.
fn added() -> [(&'static str, AugmentStep); 2] {
    [
        ("with blur", AugmentStep::Blur { probability: 0.1, sigma: [1.0, 3.0] }),
        ("with threshold", AugmentStep::Threshold { probability: 0.5, percentile: [40.0, 60.0] }),
    ]
}

/// Runs it.
///
/// # Errors
/// If data cannot be used, a training fails, the user interrupts, or a unit cannot be written.
pub fn ablation(options: &ExperimentOptions) -> Result<ExperimentResult> {
    let base = ExperimentOptions { encoders: options.ablated(), ..options.clone() }.base()?;
    let variants = variants(&short(base))?;
    let wanted: Vec<EncoderRecipe> =
        variants.into_iter().filter(|variant| variant.name == "base" || options.wants(&variant.name)).collect();
    probe_variants("ablation", options, &wanted, "base")
}

/// With [`EPOCHS`] passes, if it has more.
pub(super) fn short(base: EncoderRecipe) -> EncoderRecipe {
    EncoderRecipe { epochs: base.epochs.min(EPOCHS), ..base }
}

/// Trains every variant, probes it on MiraBest in two ways, and compares it with the one named `base`.
///
/// # Errors
/// As [`ablation`].
pub(super) fn probe_variants(
    experiment: &str,
    options: &ExperimentOptions,
    variants: &[EncoderRecipe],
    base: &str,
) -> Result<ExperimentResult> {
    let mut workshop = Workshop::new(options);
    let set = LabelledSet::read(SetName::Mirabest, &options.data)?;
    let seeds = options.seeds();
    let mut describer = Describer::new(&set);
    let ways = [(Look::PLAIN, Probing::Fixed), (Look::MAIN, Probing::Chosen)];
    workshop.ledger.plan("encoder", variants.len() * seeds.len());
    workshop.ledger.plan("probe", ways.len() * variants.len() * seeds.len());
    let mut bench = Bench::new(&set, &set.splits[0], options.resamples());
    for variant in variants {
        for (look, probing) in ways {
            let describe = Describe::Network(Network::Encoder(variant.clone()), look);
            bench.probe(&mut workshop, &mut describer, &describe, probing, 1.0, &seeds)?;
        }
        describer.forget();
    }
    let mut verdict = Vec::new();
    for (look, probing) in ways {
        let place = |bench: &Bench, name: &str| {
            let rows = bench.block.rows.iter();
            let name = format!("{name}: {}", look.words());
            rows.into_iter().position(|row| row.name == name && row.method == probing.name())
        };
        let Some(reference) = place(&bench, base) else { continue };
        let (mut better, mut worse, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for variant in variants.iter().filter(|variant| variant.name != base) {
            let Some(own) = place(&bench, &variant.name) else { continue };
            let found = bench.compare(own, reference)?.accuracy;
            match found.against(0.0) {
                Standing::Above => better.push(format!("{} {}", variant.name, found.percent(true))),
                Standing::Below => worse.push(format!("{} {}", variant.name, found.percent(true))),
                Standing::CannotTell => open.push(format!("{} {}", variant.name, found.percent(true))),
            }
        }
        let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join("; ") };
        verdict.push(format!("{}, {}: better than {base}: {}.", look.words(), probing.name(), list(better)));
        verdict.push(format!("{}, {}: worse than {base}: {}.", look.words(), probing.name(), list(worse)));
        verdict.push(format!("{}, {}: cannot be told from {base}: {}.", look.words(), probing.name(), list(open)));
    }
    verdict.push(format!(
        "{} variants were compared on the same objects: about one in forty is better, and one in forty worse, by chance alone.",
        variants.len().saturating_sub(1)
    ));
    eprintln!("{}", workshop.ledger.summary());
    Ok(super::finished(experiment, &workshop, variants.to_vec(), vec![bench.block], verdict))
}

#[cfg(test)]
mod tests {
    use super::super::encoders::ABLATED;
    use super::*;

    #[test]
    fn one_number_differs_from_the_base_and_names_differ() {
        let base = super::super::encoders::by_name(ABLATED).unwrap();
        let variants = variants(&base).unwrap();
        assert_eq!(variants.len(), 1 + base.augmenter.steps.len() + 2 + 3 + 2 + 2);
        for (place, variant) in variants.iter().enumerate().skip(1) {
            assert!(variants[..place].iter().all(|other| other.name != variant.name), "{}", variant.name);
            let differs = [
                variant.augmenter != base.augmenter,
                variant.temperature != base.temperature,
                variant.lr != base.lr,
                variant.side != base.side,
            ];
            assert_eq!(differs.iter().filter(|differs| **differs).count(), 1, "{}", variant.name);
            let restored = EncoderRecipe {
                name: base.name.clone(),
                augmenter: base.augmenter.clone(),
                temperature: base.temperature,
                lr: base.lr,
                side: base.side,
                ..variant.clone()
            };
            assert_eq!(restored, base);
        }
    }
}
