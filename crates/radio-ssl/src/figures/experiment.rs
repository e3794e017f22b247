//! What all figures share: data, pools and encoders of a run, and the methods that come from them.
use std::time::Duration;

use anyhow::{Context, Result};
use radio_sim::Tier;

use super::encoders::{Pools, Pretrained, TrainedEncoder, pretrained};
use super::frozen::{Describer, Frozen, frozen};
use super::labelled::{Labelled, labelled};
use super::linear_heads::linear_heads;
use super::over_sets::{Method, OverSets};
use super::pools::{Pool, blind_pool, centred_pool};
use super::settings::{DataChoice, FigureOptions, FigureSettings};
use super::stage_store::StageStore;
use crate::compute::use_compute;

/// Where the paper describes the classification.
pub const SECTION: &str = "Riggi et al. 2024, section 3";

/// A run of a figure.
pub struct Experiment {
    /// Every number.
    pub settings: FigureSettings,
    /// Finished stages.
    pub store: StageStore,
    /// What is classified.
    pub labelled: Labelled,
    /// What is learnt from.
    pub pools: Pools,
    checkpoint_every: Duration,
}

impl Experiment {
    /// Sets up threads, then reads or simulates the data.
    ///
    /// # Errors
    /// If options contradict each other or data cannot be used.
    pub fn open(options: &FigureOptions, views: bool) -> Result<Self> {
        use_compute(&options.compute)?;
        crate::interrupt::listen();
        let settings = options.settings(views)?;
        let store = StageStore::new(&options.out.join("stages"));
        let labelled = labelled(&store, &settings)?;
        let blind = blind_pool(&store, &settings)?;
        let centred = match centred_pool(&store, &settings)? {
            Some(pool) => pool,
            None => {
                let words = format!("the labelled pictures themselves, without labels: {}", labelled.len());
                Pool::of_pictures(labelled.frames.clone(), &labelled.key, words, settings.draw_seed)
            }
        };
        let pools = Pools { blind, centred };
        Ok(Self { settings, store, labelled, pools, checkpoint_every: options.checkpoints.every() })
    }

    /// A pre-trained encoder.
    ///
    /// # Errors
    /// If training fails, or the user interrupts.
    pub fn encoder(&self, kind: Pretrained, seed: u64) -> Result<TrainedEncoder> {
        pretrained(&self.store, &self.settings, &self.pools, kind, seed, self.checkpoint_every)
    }

    /// The encoder that the paper calls its best, two-stage, or the source-centred one where there are no blind frames.
    ///
    /// # Errors
    /// As [`Self::encoder`].
    pub fn main_encoder(&self, seed: u64) -> Result<TrainedEncoder> {
        let kind = if self.pools.blind.is_some() { Pretrained::TwoStage } else { Pretrained::Centred };
        self.encoder(kind, seed)
    }

    /// Features of all labelled cutouts.
    ///
    /// # Errors
    /// If cutouts or weights cannot be read, or the user interrupts.
    pub fn features(&self, describer: &Describer) -> Result<Frozen> {
        frozen(&self.store, &self.settings, &self.labelled, describer)
    }

    /// Linear heads on several feature sets of one kind, one for each seed.
    ///
    /// # Errors
    /// As [`Self::features`]; if a head cannot be fitted.
    pub fn method(&self, describers: &[Describer]) -> Result<Method> {
        let name = describers.first().context("a method has features")?.name().to_owned();
        let predict = |describer: &Describer| {
            linear_heads(&self.store, &self.settings, &self.labelled, &self.features(describer)?)
        };
        Ok(Method { name, predicted: describers.iter().map(predict).collect::<Result<_>>()? })
    }

    /// All methods of figure 5: first weights, ImageNet's if given, each pre-training, rings and pixels.
    ///
    /// # Errors
    /// As [`Self::method`].
    pub fn methods(&self) -> Result<Vec<Method>> {
        let seeds = &self.settings.seeds;
        let mut methods =
            vec![self.method(&seeds.iter().map(|&seed| Describer::RandomWeights { seed }).collect::<Vec<_>>())?];
        if let Some(file) = &self.settings.imagenet {
            methods.push(self.method(&[Describer::ImageNet { file: file.clone() }])?);
        }
        for kind in self.pools.encoders() {
            let encoders = seeds.iter().map(|&seed| Ok(Describer::Pretrained(self.encoder(kind, seed)?)));
            methods.push(self.method(&encoders.collect::<Result<Vec<_>>>()?)?);
        }
        methods.push(self.method(&[Describer::Rings])?);
        methods.push(self.method(&[Describer::Pixels])?);
        Ok(methods)
    }

    /// Draws for scores and intervals.
    pub fn over_sets(&self) -> OverSets<'_> {
        OverSets::new(&self.labelled, self.settings.seeds.len(), self.settings.resamples, self.settings.draw_seed)
    }

    /// Cards at the head of every page.
    pub fn facts(&self) -> Vec<(String, String)> {
        let [train, test] = self.labelled.per_class;
        let settings = &self.settings;
        let mut facts = vec![
            ("classified", self.labelled.words.clone()),
            ("cutouts", format!("{} of {} classes", self.labelled.len(), self.labelled.classes.len())),
            ("sets", format!("{} of {train} + {test} a class (paper: 5 of 1,000 + 600)", settings.sets)),
            (
                "encoder",
                format!("ResNet-18, width {} (paper 64), {} px (paper 224)", settings.network.width, settings.side),
            ),
            ("pre-training", format!("{} steps of {} cutouts", settings.steps, settings.batch_size)),
            ("learnt from", self.pools.centred.words.clone()),
        ];
        if let Some(blind) = &self.pools.blind {
            facts.push(("and from", blind.words.clone()));
        }
        facts.push(("seeds of encoders", settings.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")));
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What a reader should know before the numbers.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if matches!(self.settings.data, DataChoice::Simulated { tier: Tier::Tiny, .. }) {
            notes.push(
                "A smoke run on one square degree: it shows that every stage works; its verdicts say nothing about the method."
                    .into(),
            );
        }
        if self.settings.is_simulated() {
            notes.push(crate::report::SIMULATED_SKY_NOTE.replace("paper's rows", "paper's figures"));
        } else {
            notes.push(
                "The encoders may have seen cutouts of the test sets, without their labels: pre-training takes all of the data."
                    .into(),
            );
        }
        let batch_norm = if self.settings.recompute_batch_norm {
            "batch-norm statistics taken anew from the labelled cutouts, without labels (the paper keeps those of pre-training)"
        } else {
            "batch-norm statistics of pre-training, as in the paper; those of random weights from the labelled cutouts"
        };
        notes.push(format!(
            "Frozen features: mean over the four quarter turns, {batch_norm}; the head is a multinomial logistic regression \
             (C = {}) where the paper trains a dense softmax layer for 30 epochs.",
            self.settings.inverse_penalty
        ));
        notes.push(
            "Brackets are 95 % intervals: pieces of sky, sets and seeds are drawn anew 1,000 times, the same draws for every \
             method. The paper's error bars are standard errors over its five sets, which share cutouts, and are given beside."
                .replace("1,000", &self.settings.resamples.to_string()),
        );
        notes
    }

    /// What is needed to run it again.
    ///
    /// # Errors
    /// If the settings have no JSON form (they have).
    pub fn provenance(&self, command: &str) -> Result<Vec<(String, String)>> {
        let pairs = [
            ("command", command.to_owned()),
            ("version", format!("radio-ssl {}", env!("CARGO_PKG_VERSION"))),
            ("kernel", radio_tensor::kernel::kernel_in_use().name().to_owned()),
            ("data", self.labelled.key.clone()),
            ("settings", serde_json::to_string(&self.settings)?),
        ];
        Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}
