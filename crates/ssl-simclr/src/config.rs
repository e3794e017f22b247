//! Every number a pre-training run depends on.
use radio_augment::{Augmenter, Preparation, Recipe, Sampling};
use radio_tensor::adam::AdamConfig;
use radio_tensor::kernel::bf16_is_faster;
use radio_tensor::resnet::{Depth, Precision, ResNetConfig};
use radio_tensor::schedule::WarmupCosine;
use radio_tensor::trunk::Backbone;
use serde::{Deserialize, Serialize};

use crate::byol::ByolConfig;
use crate::error::{Result, SimClrError};

/// One pre-training run (Riggi et al. 2024, Tables 2 and 3). There is no `Default`: a run states all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimClrConfig {
    /// Seed of weights, order and views.
    pub seed: u64,
    /// What is learnt from.
    #[serde(default, skip_serializing_if = "Method::is_simclr")]
    pub method: Method,
    /// Cutouts per step; the loss sees twice as many views.
    pub batch_size: usize,
    /// Cutouts that go through the trunk at once; all of the batch without it. Memory follows this number, the loss sees
    /// the whole batch either way; each chunk is a batch of its own to batch norm (see [`crate::gradient_cache`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<usize>,
    /// Passes over the cutouts.
    pub epochs: u64,
    /// Epochs of linear warm-up before the cosine decay.
    pub warmup_epochs: u64,
    /// Learning rate at the end of the warm-up.
    pub peak_lr: f64,
    /// Learning rate at the end.
    pub floor_lr: f64,
    /// Softmax temperature of NT-Xent; BYOL has no use for it.
    pub temperature: Temperature,
    /// How an epoch draws its cutouts.
    pub sampling: Sampling,
    /// Numbers the encoder computes with, in training and in embedding.
    #[serde(default)]
    pub precision: Precision,
    /// The encoder: a residual network, or a vision transformer (`kind = "vit"`).
    pub backbone: Backbone,
    /// The projector between features and loss.
    pub projector: ProjectorConfig,
    /// The numbers of BYOL, there if and only if it is the method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byol: Option<ByolConfig>,
    /// The optimiser.
    pub adam: AdamConfig,
    /// Pre-processing of a cutout: a recipe, or a list of the authors' transforms that ends in three channels.
    pub recipe: Preparation,
    /// What makes a view.
    pub augmenter: Augmenter,
    /// When the run counts as collapsed and stops.
    #[serde(default, skip_serializing_if = "CollapseStop::is_default")]
    pub collapse: CollapseStop,
}

/// A run stops once the spread of its embeddings ([`crate::head::embedding_std`]) has been below a limit for some steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollapseStop {
    /// The limit; 0 lets every run go on.
    pub below: f64,
    /// Steps in a row.
    pub steps: u64,
}

impl Default for CollapseStop {
    /// Below a fiftieth of the healthy spread for five hundred steps. Our choice: small SimCLR trainings at a learning rate
    /// of 0.1 sit at 0.007 to 0.02 with the loss of chance, and some of them leave it within 150 steps; at 1e-3 none
    /// was below 0.3. (Chen & He 2021 see 0 from the first steps on.)
    fn default() -> Self {
        Self { below: 0.02, steps: 500 }
    }
}

impl CollapseStop {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the two views of a cutout teach the encoder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Views of a cutout close together, views of different cutouts apart (NT-Xent); the paper's.
    #[default]
    SimClr,
    /// One view predicts what a slowly following network makes of the other ([`crate::byol`]).
    Byol,
}

impl Method {
    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::SimClr => "simclr",
            Self::Byol => "byol",
        }
    }

    fn is_simclr(&self) -> bool {
        *self == Self::SimClr
    }
}

/// Sizes of the two dense layers of the projector; no batch norm in SimCLR (reference-facts D3, D5), one between them in BYOL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectorConfig {
    /// Width of the hidden layer, 256 in the paper.
    pub hidden: usize,
    /// Width of the embedding the loss sees, 128 in the paper.
    pub output: usize,
}

/// Softmax temperature. Invariant: finite and positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Temperature(f64);

impl TryFrom<f64> for Temperature {
    type Error = SimClrError;

    fn try_from(value: f64) -> Result<Self> {
        if value.is_finite() && value > 0.0 {
            Ok(Self(value))
        } else {
            Err(SimClrError::Contradiction { rule: "temperature is finite and positive", found: value.to_string() })
        }
    }
}

impl From<Temperature> for f64 {
    fn from(temperature: Temperature) -> Self {
        temperature.0
    }
}

impl SimClrConfig {
    /// The paper's hulk models: Tables 2 and 3, Adam at 0.1 included (reference-facts D1, H1.22).
    pub fn paper(seed: u64) -> Self {
        Self {
            seed,
            method: Method::SimClr,
            batch_size: 128,
            chunk: None,
            epochs: 100,
            warmup_epochs: 10,
            peak_lr: 0.1,
            floor_lr: 1e-6,
            temperature: Temperature(0.1),
            sampling: Sampling::Shuffle,
            precision: Precision::F32,
            backbone: ResNetConfig { depth: Depth::ResNet18, width: 64 }.into(),
            projector: ProjectorConfig { hidden: 256, output: 128 },
            byol: None,
            adam: AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 },
            recipe: Recipe::paper(224).into(),
            augmenter: Augmenter::hulk(),
            collapse: CollapseStop::default(),
        }
    }

    /// What short runs on a laptop use: the paper's settings with Adam at 1e-3 (at 0.1 Adam does not settle in a few
    /// hundred steps), `side`-pixel inputs, smaller batches.
    pub fn laptop(seed: u64, side: usize, batch_size: usize, epochs: u64) -> Self {
        Self {
            batch_size,
            epochs,
            warmup_epochs: if epochs > 4 { 1 } else { 0 },
            peak_lr: 1e-3,
            recipe: Recipe::paper(side).into(),
            ..Self::paper(seed)
        }
    }

    /// The same run by BYOL.
    pub fn with_byol(self, byol: ByolConfig) -> Self {
        Self { method: Method::Byol, byol: Some(byol), ..self }
    }

    /// The same with the numbers this processor is fastest with: bf16 where its bf16 products are fast, f32 elsewhere.
    pub fn fastest_here(self) -> Self {
        let precision = if bf16_is_faster() { Precision::Bf16 } else { Precision::F32 };
        Self { precision, ..self }
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// On unknown keys, values out of range, or numbers that contradict each other.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|e| SimClrError::Config(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// If a value has no TOML form (none has).
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|e| SimClrError::Config(e.to_string()))
    }

    /// The limits between numbers.
    ///
    /// # Errors
    /// With the rule that is broken.
    pub fn check(&self) -> Result<()> {
        let sizes = [self.projector.hidden, self.projector.output];
        self.backbone.check()?;
        let betas = [self.adam.beta1, self.adam.beta2];
        let (channels, rows, _) = self.recipe.output_shape().map_err(|e| SimClrError::Config(e.to_string()))?;
        self.augmenter.check().map_err(|e| SimClrError::Config(e.to_string()))?;
        let momenta = self.byol.map_or([0.0; 2], |byol| [byol.target_momentum, byol.final_momentum]);
        let rules: [(&'static str, bool, String); 14] = [
            ("batch_size is at least 2", self.batch_size >= 2, self.batch_size.to_string()),
            (
                "chunk divides batch_size",
                self.chunk.is_none_or(|chunk| chunk > 0 && self.batch_size.is_multiple_of(chunk)),
                format!("{} and {}", self.chunk.unwrap_or(0), self.batch_size),
            ),
            ("epochs is at least 1", self.epochs >= 1, self.epochs.to_string()),
            (
                "warmup_epochs is below epochs",
                self.warmup_epochs < self.epochs,
                format!("{} and {}", self.warmup_epochs, self.epochs),
            ),
            (
                "0 <= floor_lr <= peak_lr, both finite",
                self.floor_lr >= 0.0 && self.floor_lr <= self.peak_lr && self.peak_lr.is_finite(),
                format!("{} and {}", self.floor_lr, self.peak_lr),
            ),
            ("projector sizes are 1 to 4096", sizes.iter().all(|size| (1..=4096).contains(size)), format!("{sizes:?}")),
            ("recipe ends in 3 channels", channels == 3, channels.to_string()),
            ("input size is 1 to 2048 pixels", (1..=2048).contains(&rows), rows.to_string()),
            (
                "input size is a whole number of the encoder's patches",
                self.backbone.takes_side(rows),
                format!("{rows} pixels for {}", self.backbone),
            ),
            (
                "[byol] is there if and only if method is byol",
                self.byol.is_some() == (self.method == Method::Byol),
                self.method.name().into(),
            ),
            (
                "predictor_hidden is 1 to 16384",
                self.byol.is_none_or(|byol| (1..=16384).contains(&byol.predictor_hidden)),
                self.byol.map_or(0, |byol| byol.predictor_hidden).to_string(),
            ),
            (
                "0 <= target_momentum <= final_momentum <= 1",
                0.0 <= momenta[0] && momenta[0] <= momenta[1] && momenta[1] <= 1.0,
                format!("{momenta:?}"),
            ),
            (
                "collapse is below a spread of 0 to 1, for 1 or more steps",
                (0.0..=1.0).contains(&self.collapse.below) && self.collapse.steps >= 1,
                format!("{} for {}", self.collapse.below, self.collapse.steps),
            ),
            (
                "Adam has 0 <= beta < 1 and epsilon > 0",
                betas.iter().all(|beta| (0.0..1.0).contains(beta)) && self.adam.epsilon > 0.0,
                format!("{betas:?} and {}", self.adam.epsilon),
            ),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((rule, _, found)) => Err(SimClrError::Contradiction { rule, found }),
            None => Ok(()),
        }
    }

    /// Steps of one epoch over `frames` cutouts; the incomplete last batch is left out.
    ///
    /// # Errors
    /// If there are fewer cutouts than one batch takes.
    pub fn steps_per_epoch(&self, frames: usize) -> Result<u64> {
        match frames / self.batch_size {
            0 => Err(SimClrError::TooFewFrames { batch_size: self.batch_size, frames }),
            steps => Ok(steps as u64),
        }
    }

    /// Chunks a batch goes through the trunk in.
    pub fn chunks(&self) -> usize {
        self.chunk.map_or(1, |chunk| self.batch_size / chunk.max(1))
    }

    /// Rows and columns of the encoder's input; 0 if the recipe does not fix them, which [`SimClrConfig::check`] refuses.
    pub fn input_size(&self) -> usize {
        self.recipe.output_shape().map_or(0, |(_, rows, _)| rows)
    }

    /// Learning rate over the whole run.
    pub fn schedule(&self, steps_per_epoch: u64) -> WarmupCosine {
        WarmupCosine {
            peak: self.peak_lr,
            floor: self.floor_lr,
            warmup_steps: steps_per_epoch * self.warmup_epochs,
            total_steps: steps_per_epoch * self.epochs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use radio_augment::{Preprocessing, Transform};

    #[test]
    fn toml_round_trip_and_unknown_keys() {
        let config = SimClrConfig::paper(3);
        let text = config.to_toml().unwrap();
        assert_eq!(SimClrConfig::from_toml(&text).unwrap(), config);
        let error = SimClrConfig::from_toml(&format!("epoch = 3\n{text}")).unwrap_err().to_string();
        assert!(error.contains("epoch"), "{error}");
        let error =
            SimClrConfig::from_toml(&text.replace("temperature = 0.1", "temperature = -1.0")).unwrap_err().to_string();
        assert!(error.contains("temperature"), "{error}");
    }

    /// Files written before there was a `chunk` stay readable, and a run without it writes the same text as then.
    #[test]
    fn chunk_is_optional() {
        let text = SimClrConfig::paper(3).to_toml().unwrap();
        assert!(!text.contains("chunk"), "{text}");
        let chunked = SimClrConfig { chunk: Some(32), ..SimClrConfig::paper(3) };
        assert_eq!(SimClrConfig::from_toml(&chunked.to_toml().unwrap()).unwrap(), chunked);
        assert_eq!((chunked.chunks(), SimClrConfig::paper(3).chunks()), (4, 1));
        for wrong in [0, 48, 256] {
            let error = SimClrConfig { chunk: Some(wrong), ..SimClrConfig::paper(1) }.check().unwrap_err().to_string();
            assert!(error.contains("chunk divides") && error.contains(&format!("{wrong} and 128")), "{error}");
        }
    }

    /// A file without `method` is SimCLR's, and writes none; BYOL needs its numbers, and they need BYOL.
    #[test]
    fn byol_has_its_own_table() {
        let simclr = SimClrConfig::paper(3);
        let text = simclr.to_toml().unwrap();
        assert!(!text.contains("method") && !text.contains("byol"), "{text}");
        let byol = simclr.clone().with_byol(ByolConfig::grill());
        let written = byol.to_toml().unwrap();
        assert!(written.contains("method = \"byol\"") && written.contains("[byol]"), "{written}");
        assert_eq!(SimClrConfig::from_toml(&written).unwrap(), byol);
        let error = SimClrConfig::from_toml(&format!("method = \"byol\"\n{text}")).unwrap_err().to_string();
        assert!(error.contains("[byol]"), "{error}");
        for momenta in [(0.99, 0.9), (-0.1, 1.0), (0.9, 1.1), (f64::NAN, 1.0)] {
            let numbers = ByolConfig { target_momentum: momenta.0, final_momentum: momenta.1, ..ByolConfig::grill() };
            let error = simclr.clone().with_byol(numbers).check().unwrap_err().to_string();
            assert!(error.contains("target_momentum"), "{error}");
        }
    }

    /// A list of transforms in the place of the recipe; one without a size or with one channel is refused.
    #[test]
    fn the_recipe_may_be_a_list_of_transforms() {
        let list = SimClrConfig { recipe: Preprocessing::paper(96).into(), ..SimClrConfig::paper(3) };
        let text = list.to_toml().unwrap();
        assert_eq!(SimClrConfig::from_toml(&text).unwrap(), list);
        assert_eq!(list.input_size(), 96);
        let refused = |recipe: Preprocessing| {
            SimClrConfig { recipe: recipe.into(), ..SimClrConfig::paper(3) }.check().unwrap_err().to_string()
        };
        let error = refused(Preprocessing::released_model(64));
        assert!(error.contains("3 channels") && error.contains("found 1"), "{error}");
        let unsized_list = Preprocessing { steps: vec![Transform::Channels { count: 3 }], ..Preprocessing::paper(96) };
        let error = refused(unsized_list);
        assert!(error.contains("resize"), "{error}");
    }

    #[test]
    fn contradictions_are_named() {
        let broken = SimClrConfig { warmup_epochs: 100, ..SimClrConfig::paper(1) };
        let error = broken.check().unwrap_err().to_string();
        assert!(error.contains("warmup_epochs") && error.contains("100 and 100"), "{error}");
        let error = SimClrConfig::paper(1).steps_per_epoch(127).unwrap_err().to_string();
        assert!(error.contains("128") && error.contains("127"), "{error}");
        assert_eq!(SimClrConfig::paper(1).steps_per_epoch(178_057).unwrap(), 1391); // reference-facts D6
    }
}
