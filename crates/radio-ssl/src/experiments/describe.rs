//! Feature sets: hand-made ones, networks with random weights, encoders, each looked at in several ways.
use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use cls_morph::ClassifierConfig;
use cls_morph::features::{Extraction, Layers, Scale, Turns, extract};
use ndarray::{Array2, Axis, concatenate};
use radio_augment::{BlankRule, Recipe};
use radio_tensor::trunk::Trunk;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::encoders::EncoderRecipe;
use super::sets::{LabelledSet, SetName, Split, View};
use super::workshop::Workshop;
use crate::classify::baselines::{FeatureSet, RINGS, beside, hand_made};
use crate::interrupt::{self, Interrupted};

/// Pictures that go through a network at once.
const BATCH: usize = 64;
/// Sides of the middle squares that a look at several scales adds, pixels, not shrunk.
const NATIVE: [usize; 3] = [32, 64, 96];

/// How a network is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// Turns averaged over.
    pub turns: Turns,
    /// Last map or every stage.
    pub layers: Layers,
    /// Whether batch-norm statistics are taken anew from the labelled pictures (no label is used).
    pub anew: bool,
    /// Whether middle squares of several sides are beside the network's own input.
    pub scales: bool,
    /// Whether ring features are beside.
    pub rings: bool,
}

impl Look {
    /// Every look, from the plainest to the richest.
    pub const ALL: [Self; 7] = [
        Self { turns: Turns::One, layers: Layers::Last, anew: false, scales: false, rings: false },
        Self::FROZEN,
        Self::PLAIN,
        Self { turns: Turns::Four, layers: Layers::EveryStage, anew: true, scales: false, rings: false },
        Self::MAIN,
        Self::SCALES,
        Self { rings: true, ..Self::SCALES },
    ];
    /// What fine-tuning starts from: last map, four turns, statistics of the pre-training.
    pub const FROZEN: Self =
        Self { turns: Turns::Four, layers: Layers::Last, anew: false, scales: false, rings: false };
    /// The look of the marks that other stacks gave: last map, four turns, statistics anew.
    pub const PLAIN: Self = Self { turns: Turns::Four, layers: Layers::Last, anew: true, scales: false, rings: false };
    /// The look that verdicts speak of, on every set.
    pub const MAIN: Self =
        Self { turns: Turns::Dihedral, layers: Layers::EveryStage, anew: true, scales: false, rings: false };

    /// And with middle squares of several sides, for sets whose sources differ in size.
    pub const SCALES: Self = Self { scales: true, ..Self::MAIN };

    /// In words.
    pub fn words(self) -> String {
        let mut words = match self.turns {
            Turns::One => "1 turn",
            Turns::Four => "4 turns",
            Turns::Dihedral => "8 turns",
        }
        .to_owned();
        if self.anew {
            words += ", BN anew";
        }
        if self.layers == Layers::EveryStage {
            words += ", every stage";
        }
        if self.scales {
            words += ", scales";
        }
        if self.rings {
            words += " + rings";
        }
        words
    }
}

/// The network of a feature set.
#[derive(Debug, Clone, PartialEq)]
pub enum Network {
    /// First weights, input as this recipe's.
    Random(EncoderRecipe),
    /// An encoder.
    Encoder(EncoderRecipe),
}

impl Network {
    /// The recipe.
    pub fn recipe(&self) -> &EncoderRecipe {
        match self {
            Self::Random(recipe) | Self::Encoder(recipe) => recipe,
        }
    }

    /// In tables. Random weights are named by their input: recipes of one input share them.
    pub fn name(&self) -> String {
        match self {
            Self::Random(recipe) => format!("random weights ({})", input_words(recipe)),
            Self::Encoder(recipe) => recipe.name.clone(),
        }
    }
}

/// `96 px as 64, width 32`; and whether zeros count, which decides what two recipes share.
pub fn input_words(recipe: &EncoderRecipe) -> String {
    let zeros = if recipe.pool.blanks() == BlankRule::Nan { ", zeros count" } else { "" };
    match recipe.crop_px == recipe.side {
        true => format!("{} px, width {}{zeros}", recipe.side, recipe.width),
        false => format!("{} px as {}, width {}{zeros}", recipe.crop_px, recipe.side, recipe.width),
    }
}

/// What describes a picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Describe {
    /// Nothing: the majority class.
    Nothing,
    /// A hand-made set by its name.
    HandMade(String),
    /// A network.
    Network(Network, Look),
}

impl Describe {
    /// Name in tables.
    pub fn name(&self) -> String {
        match self {
            Self::Nothing => "none".into(),
            Self::HandMade(name) => name.clone(),
            Self::Network(network, look) => format!("{}: {}", network.name(), look.words()),
        }
    }

    /// Whether it depends on a seed.
    pub fn is_seeded(&self) -> bool {
        matches!(self, Self::Network(..))
    }
}

/// A table for every fold, one and the same unless encoders are strict.
pub type Tables = Vec<Arc<Array2<f32>>>;

/// Feature tables of one set, each made when it is first needed.
pub struct Describer<'a> {
    set: &'a LabelledSet,
    hand_made: Option<Vec<FeatureSet>>,
    known: HashMap<String, Arc<Array2<f32>>>,
}

impl<'a> Describer<'a> {
    /// For the pictures of a set.
    pub fn new(set: &'a LabelledSet) -> Self {
        Self { set, hand_made: None, known: HashMap::new() }
    }

    /// What identifies a description, for the settings of a unit: encoders are trained here if they are not there.
    ///
    /// # Errors
    /// As [`Workshop::encoder`].
    pub fn settings(
        &self,
        workshop: &mut Workshop,
        describe: &Describe,
        split: &Split,
        seed: u64,
    ) -> Result<serde_json::Value> {
        Ok(match describe {
            Describe::Nothing => serde_json::json!({ "nothing": true }),
            Describe::HandMade(name) => serde_json::json!({ "hand-made": name }),
            Describe::Network(Network::Random(recipe), look) => serde_json::json!({
                "random": recipe.network(), "seed": seed, "scales": self.scales(recipe, *look), "look": look,
                "blanks": self.set.recipe_of(recipe, input_view(self.set.name, recipe)).blanks,
            }),
            Describe::Network(Network::Encoder(recipe), look) => {
                let keys = self.encoders(workshop, recipe, split, seed)?.into_iter().map(|trained| trained.key);
                let keys: Vec<String> = keys.collect();
                serde_json::json!({ "encoders": keys, "scales": self.scales(recipe, *look), "look": look })
            }
        })
    }

    fn encoders(
        &self,
        workshop: &mut Workshop,
        recipe: &EncoderRecipe,
        split: &Split,
        seed: u64,
    ) -> Result<Vec<super::workshop::Trained>> {
        if !recipe.strict {
            return Ok(vec![workshop.encoder(recipe, seed, None)?]);
        }
        let of_fold = |fold: usize| {
            let places = self.set.positions(&split.folds.test(fold));
            workshop.encoder(recipe, seed, Some((fold, &places)))
        };
        (0..split.folds.len()).map(of_fold).collect()
    }

    /// The tables of a description, `[pictures, columns]`.
    ///
    /// # Errors
    /// If a picture cannot be described, an encoder is missing, or the user interrupts.
    pub fn tables(&mut self, workshop: &mut Workshop, describe: &Describe, split: &Split, seed: u64) -> Result<Tables> {
        Ok(match describe {
            Describe::Nothing => vec![Arc::new(Array2::zeros((self.set.labels.len(), 1)))],
            Describe::HandMade(name) => vec![self.hand_made(name)?],
            Describe::Network(Network::Random(recipe), look) => {
                let key = format!("random {} {seed} {}", input_words(recipe), look.words());
                let mut trunk = Trunk::new(recipe.network().into(), &mut ChaCha8Rng::seed_from_u64(seed))?;
                vec![self.of_network(key, &mut trunk, recipe, *look)?]
            }
            Describe::Network(Network::Encoder(recipe), look) => {
                let encoders = self.encoders(workshop, recipe, split, seed)?;
                let mut tables = Vec::with_capacity(encoders.len());
                for trained in encoders {
                    let key = format!("{} {}", trained.key, look.words());
                    tables.push(self.of_network(key, &mut trained.trunk()?, recipe, *look)?);
                }
                tables
            }
        })
    }

    /// Forgets tables of networks.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    fn hand_made(&mut self, name: &str) -> Result<Arc<Array2<f32>>> {
        let sets = match self.hand_made.take() {
            Some(sets) => sets,
            None => {
                let recipe = self.set.recipe(&Recipe::paper(64));
                let mut sets = {
                    let frames = self.set.frames(View::Own);
                    hand_made(&frames, &|i| frames.id(i).to_owned(), &recipe)?
                };
                sets.extend(self.set.catalogue.iter().cloned());
                sets
            }
        };
        let sets = self.hand_made.insert(sets);
        let found = sets.iter().find(|set| set.name == name);
        Ok(Arc::new(found.with_context(|| format!("no feature set `{name}`"))?.rows.clone()))
    }

    /// Names of the hand-made sets.
    pub fn hand_made_names(&self) -> Vec<String> {
        let own = ["brightness statistics", "pixel PCA", RINGS].map(str::to_owned);
        own.into_iter().chain(self.set.catalogue.iter().map(|set| set.name.clone())).collect()
    }

    /// The network's own input first, then the middle squares.
    fn scales(&self, recipe: &EncoderRecipe, look: Look) -> Vec<(View, usize)> {
        let mut scales = vec![(input_view(self.set.name, recipe), recipe.side)];
        if look.scales {
            let more = NATIVE.into_iter().map(|side| (View::Middle(side + 2 * recipe.margin), side));
            for scale in more {
                if !scales.contains(&scale) {
                    scales.push(scale);
                }
            }
        }
        scales
    }

    fn of_network(
        &mut self,
        key: String,
        trunk: &mut Trunk,
        recipe: &EncoderRecipe,
        look: Look,
    ) -> Result<Arc<Array2<f32>>> {
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        trunk.set_precision(ClassifierConfig::paper(0).fastest_here().precision);
        let mut blocks = Vec::new();
        for (view, size) in self.scales(recipe, look) {
            let extraction = Extraction {
                scales: vec![Scale { crop: None, size }],
                turns: look.turns,
                layers: look.layers,
                recompute_batch_norm: look.anew,
                batch_size: BATCH,
            };
            let own = self.set.recipe_of(recipe, view);
            let rows = extract(trunk, &self.set.source(view), &own, &extraction, |_| interrupt::flow())?;
            blocks.push(rows.ok_or(Interrupted)?);
        }
        let views: Vec<_> = blocks.iter().map(|block| block.view()).collect();
        let mut rows = concatenate(Axis(1), &views).context("blocks of one number of rows")?;
        if look.rings {
            let rings = FeatureSet { name: RINGS.into(), rows: self.hand_made(RINGS)?.as_ref().clone() };
            rows = beside(&FeatureSet { name: String::new(), rows }, &rings)?.rows;
        }
        let rows = Arc::new(rows);
        self.known.insert(key, rows.clone());
        Ok(rows)
    }
}

/// The part of a picture that a network of this recipe sees, margin included. A source of RGZ has a square of its own, which fills
/// the input.
pub fn input_view(set: SetName, recipe: &EncoderRecipe) -> View {
    if set == SetName::Rgz { View::Own } else { View::Middle(recipe.frame_px()) }
}
