//! Scores an encoder on labelled pictures, beside the simple ways and an encoder with its first weights.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use cls_morph::classifier::config::ClassifierConfig;
use cls_morph::features::{Extraction, Layers, Scale, Turns, extract};
use cls_morph::probes::folds::Folds;
use cls_morph::probes::probe::Probe;
use ndarray::Array2;
use radio_augment::{
    Augmenter, BlankRule, FlatRule, FrameSource, LoaderError, Preparation, Recipe, RecipeError, ViewLoader,
};
use radio_tensor::resnet::{Depth, ResNetConfig};
use radio_tensor::trunk::{Backbone, Trunk};
use radio_tensor::weights::{ImportedEncoder, InputChoice, read_encoder};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::baselines::{FeatureSet, RINGS, beside, catalogue_columns, hand_made};
use super::bench::Bench;
use super::error_gallery::{Judged, write_error_gallery};
use super::images::{ImageOptions, Pictures};
use super::marks::{DataMarks, EncoderMarks, FlatMarks, Marks};
use crate::interrupt::{self, Interrupted};
use crate::progress::Stage;

/// How a network is looked at.
#[derive(Debug, Clone, Copy)]
struct Look {
    turns: Turns,
    layers: Layers,
    /// Whether batch-norm statistics are taken anew from the pictures (no label is used).
    anew: bool,
}

impl Look {
    const RICHEST: Self = Self { turns: Turns::Dihedral, layers: Layers::EveryStage, anew: true };
    const ALL: [Self; 5] = [
        Self { turns: Turns::One, layers: Layers::Last, anew: false },
        Self { turns: Turns::Four, layers: Layers::Last, anew: false },
        Self { turns: Turns::One, layers: Layers::Last, anew: true },
        Self { turns: Turns::Four, layers: Layers::Last, anew: true },
        Self::RICHEST,
    ];

    /// A transformer has neither residual stages nor batch norm.
    fn suits(self, network: &Backbone) -> bool {
        matches!(network, Backbone::ResNet(_)) || (self.layers == Layers::Last && !self.anew)
    }

    fn words(self) -> String {
        let mut words = match self.turns {
            Turns::One => "1 turn",
            Turns::Four => "4 turns",
            Turns::Dihedral => "8 turns",
        }
        .to_owned();
        if self.layers == Layers::EveryStage {
            words += ", every stage";
        }
        if self.anew {
            words += ", BN anew";
        }
        words
    }
}

/// Options of `classify eval`.
#[derive(Debug, Clone, clap::Args)]
pub struct EvalOptions {
    /// Pictures and labels.
    #[command(flatten)]
    pub images: ImageOptions,
    /// Column with the class of each picture.
    #[arg(long, value_name = "C")]
    pub label_column: String,
    /// The encoder: a checkpoint, PyTorch's .pth or .safetensors, Keras' .h5; without it the simple ways alone.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Number of folds.
    #[arg(long, value_name = "K", default_value_t = 5)]
    pub folds: usize,
    /// Column of a published split, in place of folds: rows with --test-value are predicted from all others.
    #[arg(long, value_name = "C", requires = "test_value")]
    pub split_column: Option<String>,
    /// Value of --split-column that marks test rows.
    #[arg(long, value_name = "V", requires = "split_column")]
    pub test_value: Option<String>,
    /// Seed of folds, draws and random weights.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Resamples of an interval.
    #[arg(long, default_value_t = 1000)]
    pub resamples: usize,
    /// Neighbours that vote.
    #[arg(long, default_value_t = 15)]
    pub neighbours: usize,
    /// C of the logistic regression.
    #[arg(long, default_value_t = 0.1)]
    pub inverse_penalty: f64,
    /// Numbers of the table as a rival of their own (as the size of a source); logarithms where all are above 0.
    #[arg(long, value_name = "C1,C2", value_delimiter = ',')]
    pub catalogue: Vec<String>,
    /// Side of the encoder's input, pixels [default: the encoder's own].
    #[arg(long, value_name = "PIXELS")]
    pub side: Option<usize>,
    /// Also take features of the middle squares of these sides, not shrunk.
    #[arg(long, value_name = "PIXELS", value_delimiter = ',')]
    pub native: Vec<usize>,
    /// A value of 0 is no data (pictures that were cut at a noise level).
    #[arg(long)]
    pub zero_is_blank: bool,
    /// Largest share of blank pixels.
    #[arg(long, default_value_t = 0.95)]
    pub max_blank: f64,
    /// Also with this share of the labels of each training part, as the mean of --draws.
    #[arg(long, value_name = "F", value_delimiter = ',')]
    pub label_fraction: Vec<f64>,
    /// Draws of labels.
    #[arg(long, default_value_t = 5)]
    pub draws: usize,
    /// Channels after the first convolution of the encoder with random weights, where there is no checkpoint to copy.
    #[arg(long, default_value_t = 32)]
    pub random_width: usize,
    /// Also fine-tune the encoder for so many epochs in every fold.
    #[arg(long, value_name = "EPOCHS", requires = "checkpoint")]
    pub fine_tune: Option<u64>,
    /// Also train from scratch for so many epochs in every fold.
    #[arg(long, value_name = "EPOCHS")]
    pub scratch: Option<u64>,
    /// Learning rate of --fine-tune.
    #[arg(long, default_value_t = 5e-4)]
    pub fine_tune_lr: f64,
    /// Learning rate of --scratch.
    #[arg(long, default_value_t = 1e-3)]
    pub scratch_lr: f64,
    /// Images at once.
    #[arg(long, default_value_t = 64)]
    pub batch_size: usize,
    /// The result, JSON.
    #[arg(long, value_name = "JSON")]
    pub out: PathBuf,
}

/// Scores everything and writes the result.
///
/// # Errors
/// If pictures, labels or the encoder cannot be used, the user interrupts, or the result cannot be written.
pub fn eval(options: &EvalOptions) -> Result<()> {
    let marks = evaluate_with(options, |judged| write_error_gallery(judged, &errors_page(&options.out)))?;
    let json = serde_json::to_string_pretty(&marks)?;
    atomic_file::write_atomically(&options.out, |file| std::io::Write::write_all(file, json.as_bytes()))
        .with_context(|| format!("cannot write {}", options.out.display()))?;
    print!("{}", marks.table());
    println!("{}\n{}", options.out.display(), errors_page(&options.out).display());
    Ok(())
}

/// Where the gallery of errors stands: `marks.json` has `marks.errors.html` beside it.
pub(super) fn errors_page(result: &Path) -> PathBuf {
    result.with_extension("errors.html")
}

/// The numbers that [`eval`] writes.
///
/// # Errors
/// As [`eval`].
pub fn evaluate(options: &EvalOptions) -> Result<Marks> {
    evaluate_with(options, |_| Ok(()))
}

/// As [`evaluate`], and shows the predictions of the most accurate method.
fn evaluate_with(options: &EvalOptions, show: impl FnOnce(&Judged) -> Result<()>) -> Result<Marks> {
    let encoder = options.checkpoint.as_deref().map(|path| read_encoder(path, InputChoice::Recorded)).transpose()?;
    let recipe = recipe_of(encoder.as_ref(), options)?;
    let mut pictures = Pictures::open(&options.images)?;
    pictures.labels(&options.label_column)?; // before any pixel is read
    let (flat, left_out) = leave_out(&mut pictures, &recipe)?;
    let (labels, classes) = pictures.labels(&options.label_column)?;
    let folds = folds(&pictures, &labels, options)?;
    let pictures = Arc::new(pictures);
    let mut bench = Bench::new(&pictures, &labels, &classes, folds, options);

    let mut stage = Stage::start("simple descriptions");
    let nothing = FeatureSet { name: "none".into(), rows: Array2::zeros((pictures.len(), 1)) };
    bench.probe(&nothing, Probe::Majority, 1.0)?;
    let simple = hand_made(pictures.as_ref(), &|i| pictures.list[i].path.display().to_string(), &recipe)?;
    stage.at(1, 2, "features");
    // Rings first: everything else is compared with them.
    let rings = simple.iter().find(|set| set.name == RINGS).context("ring features")?;
    bench.all_probes(rings)?;
    for set in simple.iter().filter(|set| set.name != RINGS) {
        bench.all_probes(set)?;
    }
    if !options.catalogue.is_empty() {
        bench.all_probes(&catalogue_columns(&pictures, &options.catalogue)?)?;
    }
    stage.end("");

    let network = encoder
        .as_ref()
        .map_or(ResNetConfig { depth: Depth::ResNet18, width: options.random_width }.into(), |e| e.trunk.config());
    let mut scales = vec![Scale { crop: None, size: recipe.size }];
    let native = options.native.iter().map(|&size| Scale { crop: Some(size + 2 * recipe.margin), size });
    scales.extend(native.filter(|scale| recipe.frame_side() != scale.crop));
    let extraction = |look: Look| Extraction {
        scales: scales.clone(),
        turns: look.turns,
        layers: look.layers,
        recompute_batch_norm: look.anew,
        batch_size: options.batch_size,
    };
    let precision = ClassifierConfig::paper(0).fastest_here().precision;
    let mut random = Trunk::new(network, &mut ChaCha8Rng::seed_from_u64(options.seed))?;
    random.set_precision(precision);
    let looks = || Look::ALL.into_iter().filter(|look| look.suits(&network));
    // Statistics of first weights are those of no image: they are always taken anew.
    for look in looks().filter(|look| look.anew || !matches!(network, Backbone::ResNet(_))) {
        let words = format!("random weights, {}", look.words());
        let set = network_features(words, &mut random, &pictures, &recipe, &extraction(look))?;
        bench.all_probes(&set)?;
    }
    let mut marks = None;
    if let (Some(mut encoder), Some(path)) = (encoder, &options.checkpoint) {
        encoder.trunk.set_precision(precision);
        marks = Some(EncoderMarks {
            file: path.display().to_string(),
            network: format!("{network}, from {}", encoder.origin),
            sha256: crate::run_config::sha256_of(path)?,
            recipe: recipe.clone(),
            extraction: extraction(Look::RICHEST),
        });
        for look in looks() {
            let words = format!("checkpoint, {}", look.words());
            let set = network_features(words, &mut encoder.trunk, &pictures, &recipe, &extraction(look))?;
            bench.all_probes(&set)?;
            if look.turns != Turns::One {
                bench.all_probes(&beside(&set, rings)?)?;
            }
        }
        if let Some(epochs) = options.fine_tune {
            let config = training(options, network, &recipe, epochs, options.fine_tune_lr);
            bench.trained("fine-tuned", &config, || Ok(Some(read_encoder(path, InputChoice::Recorded)?.trunk)))?;
        }
    }
    if let Some(epochs) = options.scratch {
        let config = training(options, network, &recipe, epochs, options.scratch_lr);
        bench.trained("from scratch", &config, || Ok(None))?;
    }

    if let Some(best) = &bench.best {
        let of: Vec<usize> = bench.predicted.iter().map(|&place| labels[place]).collect();
        show(&Judged {
            pictures: &pictures,
            places: &bench.predicted,
            labels: &of,
            classes: &classes,
            probabilities: best.probabilities.view(),
            method: format!(
                "{}, the most accurate method of this comparison, each picture predicted by one that had not seen its group",
                best.name
            ),
            facts: vec![
                ("radio-ssl".into(), env!("CARGO_PKG_VERSION").into()),
                ("labels".into(), format!("{}, column {}", options.images.labels.display(), options.label_column)),
                ("folds".into(), bench.folds.len().to_string()),
                ("seed".into(), options.seed.to_string()),
            ],
        })?;
    }
    let count = |class: usize| labels.iter().filter(|&&label| label == class).count();
    let mut distinct = pictures.groups.clone();
    distinct.sort_unstable();
    distinct.dedup();
    Ok(Marks {
        version: env!("CARGO_PKG_VERSION").into(),
        data: DataMarks {
            labels: options.images.labels.display().to_string(),
            label_column: options.label_column.clone(),
            classes: classes.iter().enumerate().map(|(class, name)| (name.clone(), count(class))).collect(),
            pictures: pictures.len(),
            predicted: bench.predicted.len(),
            groups: distinct.len(),
            grouping: pictures.grouping.clone(),
            flat: FlatMarks {
                pictures: flat,
                fallback: "a flat channel becomes 1 on pixels that are neither blank nor 0, and 0 elsewhere".into(),
            },
            left_out,
        },
        folds: bench.folds.len(),
        seed: options.seed,
        resampling: bench.resampling,
        encoder: marks,
        methods: bench.methods,
    })
}

/// The encoder's own pre-processing, or the paper's; flat channels become masks, and the options have their say.
pub(super) fn recipe_of(encoder: Option<&ImportedEncoder>, options: &EvalOptions) -> Result<Recipe> {
    let own = encoder.map(|encoder| encoder_recipe(encoder, &options.images)).transpose()?.flatten();
    let own = own.unwrap_or_else(|| Recipe::paper(96));
    let recipe = Recipe {
        size: options.side.unwrap_or(own.size),
        blanks: if options.zero_is_blank { BlankRule::ZeroIsBlank } else { own.blanks },
        max_blank_fraction: options.max_blank,
        flat: FlatRule::Mask,
        ..own
    };
    recipe.check()?;
    Ok(recipe)
}

/// The recipe that an encoder's file records; a square that the options name fills the input, whatever the encoder was trained on.
pub(super) fn encoder_recipe(encoder: &ImportedEncoder, images: &ImageOptions) -> Result<Option<Recipe>> {
    let recorded = recorded_recipe(encoder)?;
    Ok(match images.names_a_square() {
        true => recorded.map(|recipe| Recipe { native: false, margin: 0, ..recipe }),
        false => recorded,
    })
}

fn recorded_recipe(encoder: &ImportedEncoder) -> Result<Option<Recipe>> {
    if let Some(text) = encoder.text.get("simclr.toml") {
        return match ssl_simclr::SimClrConfig::from_toml(text)?.recipe {
            Preparation::Recipe(recipe) => Ok(Some(recipe)),
            Preparation::Steps(_) => {
                bail!("the encoder was trained on a list of transforms; expected a recipe, which `classify` can resize")
            }
        };
    }
    if let Some(text) = encoder.text.get("classifier.toml") {
        return Ok(Some(ClassifierConfig::from_toml(text)?.recipe));
    }
    let text = encoder.text.get(crate::model_card::RECIPE_KEY);
    text.map(|text| toml::from_str(text).context("recipe of the encoder")).transpose()
}

/// Leaves out what cannot be used, and counts pictures with a flat channel.
fn leave_out(pictures: &mut Pictures, recipe: &Recipe) -> Result<(usize, Vec<(String, String)>)> {
    let source: Arc<dyn FrameSource> = Arc::new(pictures.clone());
    let refused = |flat| {
        let recipe = Recipe { flat, ..recipe.clone() };
        ViewLoader::new(source.clone(), recipe, Augmenter { steps: Vec::new() }, 0).refused_frames()
    };
    let is_flat = |error: &LoaderError| {
        matches!(
            error,
            LoaderError::Recipe { source: RecipeError::ConstantChannel { .. } | RecipeError::AllBlank { .. }, .. }
        )
    };
    let unusable = refused(FlatRule::Mask);
    let places: Vec<usize> = unusable.iter().map(|(place, _)| *place).collect();
    let strict = refused(FlatRule::Refuse);
    let flat = strict.iter().filter(|(place, error)| is_flat(error) && !places.contains(place)).count();
    let words = |(place, error): &(usize, LoaderError)| {
        let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        (pictures.list[*place].id.clone(), cause)
    };
    let left_out: Vec<(String, String)> = unusable.iter().map(words).collect();
    pictures.without(&places);
    ensure!(!pictures.list.is_empty(), "no picture can be used; the first: {:?}", left_out.first());
    Ok((flat, left_out))
}

fn folds(pictures: &Pictures, labels: &[usize], options: &EvalOptions) -> Result<Folds> {
    Ok(match (&options.split_column, &options.test_value) {
        (Some(column), Some(value)) => {
            let column = pictures.table.column(column)?;
            let test: Vec<bool> = pictures.rows.iter().map(|&row| column.cell(row) == *value).collect();
            Folds::fixed(&test).with_context(|| format!("--split-column {} --test-value {value}", column.name))?
        }
        _ => Folds::grouped(labels, &pictures.groups, options.folds, options.seed)?,
    })
}

/// Features of a network under a name that says how they were taken.
fn network_features(
    words: String,
    trunk: &mut Trunk,
    pictures: &Arc<Pictures>,
    recipe: &Recipe,
    extraction: &Extraction,
) -> Result<FeatureSet> {
    let mut stage = Stage::start("features of a network");
    let source: Arc<dyn FrameSource> = pictures.clone();
    let total = (pictures.len() * extraction.scales.len()) as u64;
    let rows = extract(trunk, &source, recipe, extraction, |done| {
        stage.at(done as u64, total, &words);
        interrupt::flow()
    })?;
    stage.end(&words);
    Ok(FeatureSet { name: words, rows: rows.ok_or(Interrupted)? })
}

fn training(options: &EvalOptions, network: Backbone, recipe: &Recipe, epochs: u64, lr: f64) -> ClassifierConfig {
    ClassifierConfig {
        peak_lr: lr,
        backbone: network,
        recipe: recipe.clone(),
        ..ClassifierConfig::laptop(options.seed, recipe.size, options.batch_size, epochs)
    }
    .fastest_here()
}
