//! The experiments `mirabest`, `first-frg` and `rgz`: every way to describe or train, on one labelled set.
use anyhow::Result;

use super::bench::Bench;
use super::describe::{Describe, Describer, Look, Network};
use super::encoders::EncoderRecipe;
use super::probing::Probing;
use super::result::{Block, ExperimentResult};
use super::sets::{LabelledSet, SetName, Split};
use super::training::{self, Start};
use super::workshop::{ExperimentOptions, Workshop};
use crate::classify::baselines::RINGS;
use crate::intervals::Standing;

/// Shares of the labels.
pub const FRACTIONS: [f64; 3] = [1.0, 0.1, 0.02];

/// A description with the probes it gets, or a training, each for every share of labels.
enum Way {
    Probe(Describe, Vec<(Probing, f64)>),
    Train(Start),
}

impl Way {
    fn name(&self) -> String {
        match self {
            Self::Probe(describe, _) => describe.name(),
            Self::Train(start) => start.name(),
        }
    }
}

/// Everything that is compared.
fn ways(describer: &Describer, recipes: &[EncoderRecipe], options: &ExperimentOptions) -> Vec<Way> {
    let probes = || {
        let shares = FRACTIONS.iter().flat_map(|&share| [(Probing::Fixed, share), (Probing::Chosen, share)]);
        shares.chain([(Probing::Knn, 1.0)]).collect::<Vec<_>>()
    };
    let mut ways = vec![Way::Probe(Describe::Nothing, vec![(Probing::Majority, 1.0)])];
    ways.extend(describer.hand_made_names().into_iter().map(|name| Way::Probe(Describe::HandMade(name), probes())));
    let mut inputs: Vec<EncoderRecipe> = Vec::new();
    for recipe in recipes {
        let same =
            |other: &EncoderRecipe| Network::Random(other.clone()).name() == Network::Random(recipe.clone()).name();
        if !inputs.iter().any(same) {
            inputs.push(recipe.clone());
        }
    }
    for recipe in &inputs {
        for look in [Look::PLAIN, Look::MAIN, Look::SCALES] {
            ways.push(Way::Probe(Describe::Network(Network::Random(recipe.clone()), look), probes()));
        }
    }
    for recipe in recipes {
        for look in Look::ALL {
            ways.push(Way::Probe(Describe::Network(Network::Encoder(recipe.clone()), look), probes()));
        }
    }
    ways.extend(inputs.into_iter().map(|recipe| Way::Train(Start::Scratch(recipe))));
    ways.extend(recipes.iter().map(|recipe| Way::Train(Start::Encoder(recipe.clone()))));
    ways.retain(|way| way.name() == RINGS || options.wants(&way.name()));
    ways
}

/// Runs it.
///
/// # Errors
/// If data cannot be used, a training fails, the user interrupts, or a unit cannot be written.
pub fn on_set(name: SetName, options: &ExperimentOptions) -> Result<ExperimentResult> {
    let mut workshop = Workshop::new(options);
    let set = LabelledSet::read(name, &options.data)?;
    let recipes = options.recipes(true)?;
    let seeds = options.seeds();
    let mut describer = Describer::new(&set);
    let ways = ways(&describer, &recipes, options);
    let splits: Vec<&Split> = set.splits.iter().collect();
    plan(&mut workshop, &ways, &splits, &recipes, seeds.len());

    let mut benches: Vec<Bench> = splits.iter().map(|split| Bench::new(&set, split, options.resamples())).collect();
    // Splits inside ways: a feature table is made once for all of them.
    for way in &ways {
        for (bench, split) in benches.iter_mut().zip(&splits) {
            let shares: &[f64] = if split.name == "folds" { &FRACTIONS } else { &FRACTIONS[..1] };
            match way {
                Way::Probe(describe, probes) => {
                    for (probing, share) in probes.iter().filter(|(_, share)| shares.contains(share)) {
                        bench.probe(&mut workshop, &mut describer, describe, *probing, *share, &seeds)?;
                    }
                }
                Way::Train(start) => {
                    for &share in shares {
                        bench.train(&mut workshop, start, share, &seeds)?;
                    }
                }
            }
        }
        describer.forget();
    }
    let (mut blocks, mut verdict) = (Vec::new(), Vec::new());
    for mut bench in benches {
        verdict.extend(judge(&mut bench, &recipes)?);
        blocks.push(bench.block);
    }
    eprintln!("{}", workshop.ledger.summary());
    Ok(super::finished(name.name(), &workshop, recipes, blocks, verdict))
}

/// Announces the units.
fn plan(workshop: &mut Workshop, ways: &[Way], splits: &[&Split], recipes: &[EncoderRecipe], seeds: usize) {
    for split in splits {
        let all = split.name == "folds";
        for way in ways {
            match way {
                Way::Probe(describe, probes) => {
                    let each = if describe.is_seeded() { seeds } else { 1 };
                    workshop
                        .ledger
                        .plan("probe", each * probes.iter().filter(|(_, share)| all || *share >= 1.0).count());
                }
                Way::Train(_) => {
                    let shares = if all { FRACTIONS.len() } else { 1 };
                    workshop.ledger.plan("search", shares * (training::units(split, 0)));
                    workshop.ledger.plan("training", shares * split.folds.len() * seeds);
                }
            }
        }
    }
    let used = |recipe: &&EncoderRecipe| {
        let of = |way: &Way| match way {
            Way::Probe(Describe::Network(Network::Encoder(other), _), _) | Way::Train(Start::Encoder(other)) => {
                other.name == recipe.name
            }
            _ => false,
        };
        ways.iter().any(of)
    };
    let encoders = recipes
        .iter()
        .filter(used)
        .map(|recipe| seeds * if recipe.strict { splits.iter().map(|split| split.folds.len()).sum() } else { 1 });
    workshop.ledger.plan("encoder", encoders.sum());
}

/// Paired differences and what they say: learned against rings, against random weights, fine-tuned against scratch.
fn judge(bench: &mut Bench, recipes: &[EncoderRecipe]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let heading = bench.block.short_title();
    let rings = bench.best(RINGS, 1.0);
    let mut say = |bench: &mut Bench, first: Option<usize>, second: Option<usize>| -> Result<()> {
        if let (Some(first), Some(second)) = (first, second) {
            let found = bench.compare(first, second)?;
            let words = match found.accuracy.against(0.0) {
                Standing::Above => "is better than",
                Standing::Below => "is worse than",
                Standing::CannotTell => "cannot be told from",
            };
            let (first, second) = (&found.first, &found.second);
            lines.push(format!(
                "{heading}: {first} {words} {second}: accuracy {} points, macro F1 {}.",
                found.accuracy.percent(true),
                found.macro_f1.percent(true)
            ));
        }
        Ok(())
    };
    for recipe in recipes {
        let of = |network: Network, look| Describe::Network(network, look).name();
        let main =
            |bench: &Bench, look| bench.find(&of(Network::Encoder(recipe.clone()), look), Probing::Chosen.name(), 1.0);
        let found = main(bench, Look::MAIN);
        say(bench, found, rings)?;
        for look in [Look::MAIN, Look::SCALES] {
            let name = of(Network::Random(recipe.clone()), look);
            let (found, random) = (main(bench, look), bench.find(&name, Probing::Chosen.name(), 1.0));
            say(bench, found, random)?;
        }
        let with_rings = main(bench, Look { rings: true, ..Look::SCALES });
        say(bench, with_rings, rings)?;
        for fraction in FRACTIONS {
            let tuned = bench.find(&Start::Encoder(recipe.clone()).name(), "trained", fraction);
            let scratch = bench.find(&Start::Scratch(recipe.clone()).name(), "trained", fraction);
            say(bench, tuned, scratch)?;
        }
    }
    lines.extend(against_marks(&bench.block, recipes));
    Ok(lines)
}

/// Our counterparts of the figures of others; those have no predictions, so only our interval decides.
fn against_marks(block: &Block, recipes: &[EncoderRecipe]) -> Vec<String> {
    let counterpart = |mark: &str| -> Option<(String, &str)> {
        let plain = |name: &str| {
            let recipe = recipes.iter().find(|recipe| recipe.name == name)?;
            Some((Describe::Network(Network::Encoder(recipe.clone()), Look::PLAIN).name(), Probing::Fixed.name()))
        };
        match mark {
            "PyTorch: SimCLR probe, mixed pool" => plain("simclr"),
            "PyTorch: SimCLR probe, MiraBest pool" => plain("mirabest"),
            "scikit-learn: ring features, kNN" => Some((RINGS.into(), Probing::Knn.name())),
            "scikit-learn: ring features, logistic" => Some((RINGS.into(), Probing::Fixed.name())),
            mark if mark.starts_with("PyTorch: supervised") => {
                Some((Start::Scratch(recipes.first()?.clone()).name(), "trained"))
            }
            mark if mark.starts_with("PyTorch: fine-tuned") || mark.starts_with("published: fine-tuned") => {
                Some((Start::Encoder(recipes.first()?.clone()).name(), "trained"))
            }
            mark if mark.starts_with("published") => {
                let name = Describe::Network(Network::Encoder(recipes.first()?.clone()), Look::MAIN).name();
                Some((name, Probing::Chosen.name()))
            }
            _ => None,
        }
    };
    let line = |mark: &super::result::Mark| {
        let (name, method) = counterpart(&mark.name)?;
        let row = block.rows.iter().find(|r| r.name == name && r.method == method && r.fraction == mark.fraction)?;
        let printed = mark.accuracy?;
        let share =
            if mark.fraction < 1.0 { format!(" with {} % of labels", 100.0 * mark.fraction) } else { String::new() };
        Some(format!(
            "{}: {}, accuracy {} %, {} {:.1} % ({}{share}).",
            block.short_title(),
            row.words(),
            row.accuracy.percent(false),
            row.accuracy.against(printed).words(),
            100.0 * printed,
            mark.name
        ))
    };
    block.marks.iter().filter_map(line).collect()
}
