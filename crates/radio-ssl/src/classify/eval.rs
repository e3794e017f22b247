//! Scores an encoder on labelled pictures, beside the simple ways and an encoder with its first weights.
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use cls_morph::classifier::confident_errors::confident_errors;
use cls_morph::classifier::config::ClassifierConfig;
use cls_morph::features::{Extraction, Scale, Turns, extract};
use cls_morph::probes::draws::label_fraction;
use cls_morph::probes::folds::Folds;
use cls_morph::probes::probe::{Predictions, Probe, out_of_fold};
use cls_morph::probes::score::{Resampling, Truth, compare, score};
use cls_morph::{FineTuning, fine_tune, one_class_each};
use metrics::bootstrap::mean_and_error;
use metrics::calibration::{expected_calibration_error, reliability};
use ndarray::{Array2, Axis, concatenate};
use radio_augment::{Augmenter, BlankRule, FlatRule, FrameSource, LoaderError, Recipe, RecipeError, ViewLoader};
use radio_tensor::resnet::{Depth, ResNet, ResNetConfig};
use radio_tensor::weights::{ImportedEncoder, InputChoice, read_encoder};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::baselines::{FeatureSet, catalogue_columns, hand_made};
use super::images::{ImageOptions, Pictures};
use super::marks::{DataMarks, EncoderMarks, FlatMarks, Marks, MethodMarks, SureError};
use crate::interrupt::{self, Interrupted};
use crate::progress::Stage;

/// Name of the feature set that all others are compared with.
const RINGS: &str = "ring features";
/// Intervals of confidence in the calibration error.
const BINS: usize = 10;
/// Sure errors that are kept of each method.
const SURE_ERRORS: usize = 12;

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
    let marks = evaluate(options)?;
    let json = serde_json::to_string_pretty(&marks)?;
    atomic_file::write_atomically(&options.out, |file| std::io::Write::write_all(file, json.as_bytes()))
        .with_context(|| format!("cannot write {}", options.out.display()))?;
    print!("{}", marks.table());
    println!("{}", options.out.display());
    Ok(())
}

/// Everything that [`eval`] writes.
///
/// # Errors
/// As [`eval`].
pub fn evaluate(options: &EvalOptions) -> Result<Marks> {
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
    let simple = hand_made(&pictures, &recipe, options.seed)?;
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
        .map_or(ResNetConfig { depth: Depth::ResNet18, width: options.random_width }, |encoder| encoder.trunk.config());
    let mut scales = vec![Scale { crop: None, size: recipe.size }];
    scales.extend(options.native.iter().map(|&side| Scale::native(side)));
    let extraction =
        Extraction { scales, turns: Turns::One, recompute_batch_norm: true, batch_size: options.batch_size };
    let precision = ClassifierConfig::paper(0).fastest_here().precision;
    let mut random = ResNet::new(network, &mut ChaCha8Rng::seed_from_u64(options.seed));
    random.set_precision(precision);
    for turns in [Turns::One, Turns::Four] {
        let set = network_features("random weights", &mut random, &pictures, &recipe, &extraction, turns, true)?;
        bench.all_probes(&set)?;
    }
    let mut marks = None;
    if let (Some(mut encoder), Some(path)) = (encoder, &options.checkpoint) {
        encoder.trunk.set_precision(precision);
        marks = Some(EncoderMarks {
            file: path.display().to_string(),
            network: format!("{} of width {}, from {}", network.depth.name(), network.width, encoder.origin),
            sha256: crate::run_config::sha256_of(path)?,
            recipe: recipe.clone(),
            extraction: extraction.clone(),
        });
        for recomputed in [false, true] {
            for turns in [Turns::One, Turns::Four] {
                let set = network_features(
                    "checkpoint",
                    &mut encoder.trunk,
                    &pictures,
                    &recipe,
                    &extraction,
                    turns,
                    recomputed,
                )?;
                bench.all_probes(&set)?;
                if turns == Turns::Four {
                    bench.all_probes(&beside(&set, rings)?)?;
                }
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
    let own = encoder.map(encoder_recipe).transpose()?.flatten();
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

/// The recipe that an encoder's file records.
pub(super) fn encoder_recipe(encoder: &ImportedEncoder) -> Result<Option<Recipe>> {
    if let Some(text) = encoder.text.get("simclr.toml") {
        return Ok(Some(ssl_simclr::SimClrConfig::from_toml(text)?.recipe));
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
    name: &str,
    trunk: &mut ResNet,
    pictures: &Arc<Pictures>,
    recipe: &Recipe,
    extraction: &Extraction,
    turns: Turns,
    recompute_batch_norm: bool,
) -> Result<FeatureSet> {
    let mut words = name.to_owned();
    if turns == Turns::Four {
        words += ", 4 turns";
    }
    if recompute_batch_norm && name != "random weights" {
        words += ", batch norm anew";
    }
    let mut stage = Stage::start("features of a network");
    let source: Arc<dyn FrameSource> = pictures.clone();
    let total = (pictures.len() * extraction.scales.len()) as u64;
    let extraction = Extraction { turns, recompute_batch_norm, ..extraction.clone() };
    let rows = extract(trunk, &source, recipe, &extraction, |done| {
        stage.at(done as u64, total, &words);
        interrupt::flow()
    })?;
    stage.end(&words);
    Ok(FeatureSet { name: words, rows: rows.ok_or(Interrupted)? })
}

/// Two feature sets side by side, each of unit spread in all, so that neither rules the cosine.
fn beside(one: &FeatureSet, other: &FeatureSet) -> Result<FeatureSet> {
    let scaled = |set: &FeatureSet| {
        let squares: f64 = set.rows.iter().map(|&v| f64::from(v).powi(2)).sum();
        let length = (squares / set.rows.nrows().max(1) as f64).sqrt().max(f64::MIN_POSITIVE);
        set.rows.mapv(|v| (f64::from(v) / length) as f32)
    };
    let rows = concatenate(Axis(1), &[scaled(one).view(), scaled(other).view()]).context("rows of one number")?;
    Ok(FeatureSet { name: format!("{} + rings", one.name), rows })
}

fn training(options: &EvalOptions, network: ResNetConfig, recipe: &Recipe, epochs: u64, lr: f64) -> ClassifierConfig {
    ClassifierConfig {
        peak_lr: lr,
        backbone: network,
        recipe: recipe.clone(),
        ..ClassifierConfig::laptop(options.seed, recipe.size, options.batch_size, epochs)
    }
    .fastest_here()
}

/// The pictures, the rules, and the methods scored so far.
struct Bench<'a> {
    pictures: &'a Arc<Pictures>,
    labels: &'a [usize],
    classes: &'a [String],
    folds: Folds,
    /// Places of the pictures that are predicted.
    predicted: Vec<usize>,
    resampling: Resampling,
    options: &'a EvalOptions,
    methods: Vec<MethodMarks>,
    /// Predictions of ring features with logistic regression, for each share of labels.
    rings: Vec<(f64, Vec<usize>)>,
}

impl<'a> Bench<'a> {
    fn new(
        pictures: &'a Arc<Pictures>,
        labels: &'a [usize],
        classes: &'a [String],
        folds: Folds,
        options: &'a EvalOptions,
    ) -> Self {
        let resampling = Resampling { resamples: options.resamples, ..Resampling::thousand(options.seed) };
        let predicted = folds.predicted();
        Self {
            pictures,
            labels,
            classes,
            folds,
            predicted,
            resampling,
            options,
            methods: Vec::new(),
            rings: Vec::new(),
        }
    }

    /// kNN and logistic regression with all labels, logistic regression with fewer.
    fn all_probes(&mut self, set: &FeatureSet) -> Result<()> {
        let logistic = Probe::Logistic { inverse_penalty: self.options.inverse_penalty };
        self.probe(set, logistic, 1.0)?;
        self.probe(set, Probe::Knn { neighbours: self.options.neighbours }, 1.0)?;
        for &fraction in &self.options.label_fraction {
            self.probe(set, logistic, fraction)?;
        }
        Ok(())
    }

    fn probe(&mut self, set: &FeatureSet, probe: Probe, fraction: f64) -> Result<()> {
        if interrupt::requested() {
            bail!(Interrupted);
        }
        let draw = |number: u64| {
            out_of_fold(probe, set.rows.view(), self.labels, self.classes.len(), &self.folds, |fold, rows| {
                if fraction >= 1.0 {
                    return Ok(rows);
                }
                label_fraction(&rows, self.labels, fraction, self.draw_seed(number, fold))
            })
        };
        let first = draw(0)?;
        let mut draws = None;
        if fraction < 1.0 && self.options.draws > 1 {
            let mut accuracies = vec![self.accuracy(&first.class, &self.predicted)];
            for number in 1..self.options.draws as u64 {
                accuracies.push(self.accuracy(&draw(number)?.class, &self.predicted));
            }
            draws = Some(mean_and_error(&accuracies)?);
        }
        let columns = set.rows.ncols();
        self.add(&set.name, columns, Some(probe), probe.name(), fraction, &first, draws)
    }

    fn draw_seed(&self, number: u64, fold: usize) -> u64 {
        self.options.seed.wrapping_add(1000 * number + fold as u64)
    }

    fn accuracy(&self, predicted: &[usize], rows: &[usize]) -> f64 {
        let right = rows.iter().filter(|&&row| predicted[row] == self.labels[row]).count();
        right as f64 / rows.len().max(1) as f64
    }

    /// Scores predictions of all pictures (those without a fold are not looked at).
    fn add(
        &mut self,
        features: &str,
        columns: usize,
        probe: Option<Probe>,
        method: &str,
        fraction: f64,
        predictions: &Predictions,
        draws: Option<(f64, f64)>,
    ) -> Result<()> {
        let predicted = &predictions.class;
        let of = |values: &[usize]| self.predicted.iter().map(|&row| values[row]).collect::<Vec<_>>();
        let (labels, groups, found) = (of(self.labels), of(&self.pictures.groups), of(predicted));
        let truth = Truth { labels: &labels, groups: &groups, n_classes: self.classes.len() };
        let reference = self.rings.iter().find(|(of_rings, _)| *of_rings == fraction).map(|(_, found)| found);
        let over_rings = reference.map(|rings| compare(truth, &found, rings, &self.resampling)).transpose()?;
        let probabilities = predictions.probabilities.select(Axis(0), &self.predicted);
        let sure: Vec<f64> =
            found.iter().enumerate().map(|(row, &class)| probabilities[(row, class)].min(1.0)).collect();
        let right: Vec<bool> = found.iter().zip(&labels).map(|(found, label)| found == label).collect();
        let name = |class: usize| self.classes[class].clone();
        let sure_errors =
            confident_errors(probabilities.view(), &labels, SURE_ERRORS)?.into_iter().map(|error| SureError {
                picture: self.pictures.list[self.predicted[error.row]].id.clone(),
                label: name(error.truth),
                predicted: name(error.predicted),
                probability: error.probability,
            });
        let fold_accuracy =
            (0..self.folds.len()).map(|fold| self.accuracy(predicted, &self.folds.test(fold))).collect();
        self.methods.push(MethodMarks {
            features: features.to_owned(),
            columns,
            probe,
            method: method.to_owned(),
            label_fraction: fraction,
            score: score(truth, &found, &self.resampling)?,
            fold_accuracy,
            calibration_error: expected_calibration_error(&reliability(&sure, &right, BINS)?),
            sure_errors: sure_errors.collect(),
            draws,
            over_rings,
        });
        if features == RINGS && matches!(probe, Some(Probe::Logistic { .. })) {
            self.rings.push((fraction, found));
        }
        Ok(())
    }

    /// A network trained anew in every fold, with all labels and with each share of them.
    fn trained(
        &mut self,
        name: &str,
        config: &ClassifierConfig,
        start: impl Fn() -> Result<Option<ResNet>>,
    ) -> Result<()> {
        let fractions: Vec<f64> = std::iter::once(1.0).chain(self.options.label_fraction.iter().copied()).collect();
        for fraction in fractions {
            let probabilities = Array2::zeros((self.labels.len(), self.classes.len()));
            let mut all = Predictions { class: vec![0; self.labels.len()], probabilities };
            for fold in 0..self.folds.len() {
                let (mut train, test) = (self.folds.train(fold), self.folds.test(fold));
                let mut config = ClassifierConfig { seed: config.seed.wrapping_add(fold as u64), ..config.clone() };
                if fraction < 1.0 {
                    train = label_fraction(&train, self.labels, fraction, self.draw_seed(0, fold))?;
                    // Fewer labels are seen more often, at most ten times as often: about the same number of steps.
                    config.epochs = (config.epochs as f64 * (1.0 / fraction).min(10.0)).round() as u64;
                    config.warmup_epochs = config.epochs / 10;
                }
                let found = self.train_and_predict(name, fold, &config, start()?, &train, &test)?;
                for (place, &row) in test.iter().enumerate() {
                    all.class[row] = found.class[place];
                    all.probabilities.row_mut(row).assign(&found.probabilities.row(place));
                }
            }
            self.add(name, config.backbone.features(), None, "trained", fraction, &all, None)?;
        }
        Ok(())
    }

    fn train_and_predict(
        &self,
        name: &str,
        fold: usize,
        config: &ClassifierConfig,
        trunk: Option<ResNet>,
        train: &[usize],
        test: &[usize],
    ) -> Result<Predictions> {
        let known: Vec<usize> = train.iter().map(|&row| self.labels[row]).collect();
        let mut run =
            FineTuning::new(config.clone(), self.classes.to_vec(), one_class_each(&known, self.classes.len()), trunk)?;
        let mut stage = Stage::start("training");
        let complete = fine_tune(&mut run, Arc::new(self.pictures.part(train)), |_, now| {
            let note =
                format!("{name}, fold {}, epoch {}/{}, loss {:.3}", fold + 1, now.epoch + 1, config.epochs, now.loss);
            stage.at(now.step, now.total_steps, &note);
            interrupt::flow()
        })?;
        if !complete {
            bail!(Interrupted);
        }
        stage.end(&format!("{name}, fold {}", fold + 1));
        let classifier = run.into_classifier();
        let images = Arc::new(self.pictures.part(test));
        let go_on = |_| ControlFlow::Continue(());
        let probabilities = classifier.predict(images, Turns::Four, config.batch_size, go_on)?;
        let found = Predictions::of(probabilities);
        let right = found.class.iter().zip(test).filter(|(class, row)| **class == self.labels[**row]).count();
        eprintln!("  {name}, fold {}: {:.1} %", fold + 1, 100.0 * right as f64 / test.len().max(1) as f64);
        Ok(found)
    }
}
