//! The `radio-ssl` command: one verb per stage, each a thin call into the library.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use radio_io::Manifest;
use radio_io::data_set::{BoxShape, Coverage, SourceSettings, table1};
use radio_ssl::anomalies::{self, ANOMALIES_EXAMPLES, AnomaliesCommand};
use radio_ssl::compute::{ComputeOptions, use_compute};
use radio_ssl::convert::{ConvertOptions, convert_weights};
use radio_ssl::cutouts;
use radio_ssl::dataset::{self, DatasetVerb};
use radio_ssl::doctor;
use radio_ssl::embedding::{EMBED_EXAMPLES, EmbedOptions, embed};
use radio_ssl::interrupt::{self, EXIT_INTERRUPTED, Interrupted};
use radio_ssl::manifest_frames::is_manifest;
use radio_ssl::map::{self, MAP_EXAMPLES, MapOptions};
use radio_ssl::pretraining::{self, PRETRAIN_EXAMPLES, PretrainOptions};
use radio_ssl::similarity::{SIMILAR_EXAMPLES, SimilarOptions, similar};
use radio_ssl::simulation::{self, SIMULATE_EXAMPLES, SimulateOptions, TILES_EXAMPLES, TilesOptions};
use radio_ssl::stages;

/// Learn from radio maps without labels, and find the peculiar objects in them.
#[derive(Parser)]
#[command(name = "radio-ssl", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "Examples:\n  \
    radio-ssl simulate --tier tiny --out sky              a small simulated survey\n  \
    radio-ssl info sky/survey.toml                        what is in it\n  \
    radio-ssl doctor map.fits                             what is wrong with a file, and what to do about it\n  \
    radio-ssl cutouts sky/survey.toml --out frames.parquet        a data set of cutouts\n  \
    radio-ssl dataset split frames.parquet --out parted.parquet   training, validation and test on different sky\n  \
    radio-ssl pretrain sky/survey.toml --out run          train an encoder on its frames\n  \
    radio-ssl embed sky/survey.toml --checkpoint run/checkpoint.safetensors --out features.parquet\n  \
    radio-ssl anomalies features.parquet --out scores.csv rank the frames\n  \
    radio-ssl map features.parquet --survey sky/survey.toml --out map   the frames as points; a click shows the cutout\n  \
    radio-ssl similar features.parquet --row 17 --out like-it.csv   frames like one of them\n  \
    radio-ssl convert weights encoder.h5 encoder.onnx     an encoder in another format\n\n\
    Exit codes: 0 done, 1 an error, 2 wrong usage, 130 stopped by Ctrl-C (run the same command again to continue).";

const DOCTOR_EXAMPLES: &str = "Examples:\n  \
    radio-ssl doctor maps/*.fits                          is anything wrong with these maps?\n  \
    radio-ssl doctor survey.toml manifest.parquet         keys, and the mosaics that they name\n  \
    radio-ssl doctor --json catalogue.vot ds9.reg         for another program\n\n\
    Knows FITS (plain, gzipped, tile-compressed), PNG, CSV, VOTable, Parquet, manifests, survey files, the lists of sclassifier,\n\
    caesar and COCO, DS9 and CASA regions, by their contents. Every pixel is read once, every checksum verified.\n\n\
    Exit codes: 0 no file has an error (warnings and notes may stand), 1 at least one has, 2 wrong usage.";

#[derive(Subcommand)]
enum Verb {
    /// Make a simulated survey with its truth.
    #[command(after_help = SIMULATE_EXAMPLES)]
    Simulate(SimulateOptions),
    /// Draw tiles for a detector over three simulated skies: images, masks, lists.
    #[command(after_help = TILES_EXAMPLES)]
    Tiles(TilesOptions),
    /// Say what a survey holds (mosaics, frames, labels, and what is left out), or what a manifest holds.
    Info {
        /// The survey file, or a manifest (`.parquet`).
        survey: PathBuf,
    },
    /// Say what is wrong with files, where, and what to do about it.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor {
        /// Maps, pictures, tables, manifests, survey files, data lists, regions.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Print JSON: an array with path, kind, facts and findings of each file.
        #[arg(long)]
        json: bool,
    },
    /// Write a manifest of cutouts: of the survey's grid, or around the sources of a catalogue.
    Cutouts {
        /// The survey file.
        survey: PathBuf,
        /// Sources in CSV, VOTable, FITS or Parquet: name, position, size, labels.
        #[arg(long, value_name = "FILE")]
        catalogue: Option<PathBuf>,
        /// Which columns of the catalogue hold what, as TOML; guessed without it.
        #[arg(long, value_name = "FILE", requires = "catalogue")]
        columns: Option<PathBuf>,
        /// Size of a box in units of its source.
        #[arg(long, default_value_t = 1.5, requires = "catalogue")]
        factor: f64,
        /// Smallest side of a box, pixels.
        #[arg(long, default_value_t = 16, requires = "catalogue")]
        min_side: u32,
        /// One cutout of every mosaic that shows the source, in place of the best.
        #[arg(long, requires = "catalogue")]
        every_mosaic: bool,
        /// The manifest (`.parquet`).
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        compute: ComputeOptions,
    },
    /// Divide, compare, draw from and map data sets of cutouts (manifests).
    Dataset {
        #[command(subcommand)]
        verb: DatasetVerb,
    },
    /// Train an encoder on the frames of a survey or a manifest, without labels. Continues where it was stopped.
    #[command(after_help = PRETRAIN_EXAMPLES)]
    Pretrain(Box<PretrainOptions>),
    /// Write the features of every frame of a survey or a manifest, in one file or in shards. Continues where it was stopped.
    #[command(after_help = EMBED_EXAMPLES)]
    Embed(EmbedOptions),
    /// Find the frames most like others, or pairs that are nearly the same, in feature tables.
    #[command(after_help = SIMILAR_EXAMPLES)]
    Similar(SimilarOptions),
    /// Morphology of sources: score an encoder on labelled pictures, train a classifier, use it.
    Classify(radio_ssl::classify::ClassifyCommand),
    /// Make a map of a feature table: similar rows close to each other, on a page where a click shows the cutout.
    #[command(after_help = MAP_EXAMPLES)]
    Map(Box<MapOptions>),
    /// Bring files into another format.
    Convert {
        #[command(subcommand)]
        what: Convertible,
    },
    /// Rank frames by how easily an isolation forest sets them apart, higher scores being stranger; or score such a ranking.
    #[command(after_help = ANOMALIES_EXAMPLES)]
    Anomalies(AnomaliesCommand),
}

/// What can be converted.
#[derive(Subcommand)]
enum Convertible {
    /// An encoder: our checkpoint, PyTorch's .pth or .safetensors, or Keras' .h5, to .safetensors or .onnx.
    ///
    /// The input's format is known by its contents. Layers are matched by name and every shape is checked. A model card
    /// (OUT.card.json, OUT.card.md) is written beside the output.
    #[command(after_help = CONVERT_EXAMPLES)]
    Weights {
        /// The file to read.
        #[arg(value_name = "IN")]
        from: PathBuf,
        /// The file to write: `.safetensors` or `.onnx`.
        #[arg(value_name = "OUT")]
        to: PathBuf,
        #[command(flatten)]
        options: ConvertOptions,
    },
}

const CONVERT_EXAMPLES: &str = "Examples:\n  \
    radio-ssl convert weights run/checkpoint.safetensors encoder.safetensors   for load_state_dict in PyTorch\n  \
    radio-ssl convert weights run/checkpoint.safetensors encoder.onnx          for onnxruntime, opset 17\n  \
    radio-ssl convert weights encoder_weights.h5 hulk.safetensors              a released Keras encoder\n  \
    radio-ssl convert weights resnet18-f37072fd.pth imagenet.safetensors       the ImageNet baseline\n  \
    radio-ssl convert weights solo-learn.ckpt --input imagenet encoder.safetensors\n\n\
    PyTorch: model = torchvision.models.resnet18(); model.fc = torch.nn.Identity();\n  \
    model.load_state_dict(safetensors.torch.load_file(\"encoder.safetensors\"))";

fn main() -> ExitCode {
    interrupt::listen();
    match run(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<Interrupted>() { ExitCode::from(EXIT_INTERRUPTED) } else { ExitCode::FAILURE }
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Simulate(options) => simulation::simulate(&options),
        Verb::Tiles(options) => simulation::tiles(&options),
        Verb::Info { survey } if is_manifest(&survey) => {
            print!("{}", table1(&Manifest::read(&survey)?));
            Ok(())
        }
        Verb::Convert { what: Convertible::Weights { from, to, options } } => {
            for line in convert_weights(&from, &to, &options)? {
                println!("{line}");
            }
            Ok(())
        }
        Verb::Classify(command) => radio_ssl::classify::run(&command),
        Verb::Info { survey } => info(&survey),
        Verb::Doctor { files, json } => {
            let mut examinations = Vec::with_capacity(files.len());
            for file in &files {
                let examination = doctor::examination(file);
                if !json {
                    println!("{}", doctor::block(&examination));
                }
                examinations.push(examination);
            }
            println!("{}", if json { doctor::json(&examinations)? } else { doctor::summary(&examinations) });
            match doctor::unusable(&examinations) {
                0 => Ok(()),
                sick => bail!("{sick} of {} file(s) cannot be used as they are", files.len()),
            }
        }
        Verb::Cutouts { survey, catalogue, columns, factor, min_side, every_mosaic, out, compute } => {
            use_compute(&compute)?;
            let survey = stages::open_survey(&survey)?;
            let manifest = match catalogue {
                None => cutouts::blind(&survey)?,
                Some(catalogue) => {
                    let settings = SourceSettings {
                        factor,
                        shape: BoxShape::Square,
                        min_side_px: min_side,
                        coverage: if every_mosaic { Coverage::Every } else { Coverage::Best },
                        max_blank_fraction: survey.frames.max_blank_fraction,
                    };
                    let sources = cutouts::read_sources(&catalogue, columns.as_deref())?;
                    let (manifest, left_out) = cutouts::around_sources(&survey, &sources, &settings)?;
                    for words in cutouts::left_out_words(&left_out) {
                        eprintln!("left out: {words}");
                    }
                    manifest
                }
            };
            manifest.write(&out)?;
            println!("{} cutouts: {}", manifest.len(), out.display());
            Ok(())
        }
        Verb::Dataset { verb } => dataset::run(&verb, &mut |text| print!("{text}")),
        Verb::Map(options) => map::map(&options),
        Verb::Pretrain(options) => pretraining::pretrain(&options),
        Verb::Embed(options) => {
            print!("{}", embed(&options)?);
            Ok(())
        }
        Verb::Anomalies(command) => anomalies::run(&command),
        Verb::Similar(options) => {
            print!("{}", similar(&options)?);
            Ok(())
        }
    }
}

fn info(path: &std::path::Path) -> Result<()> {
    let survey = stages::open_survey(path)?;
    let set = radio_io::FrameSet::of_survey(&survey)?;
    println!("survey {}", survey.name);
    for mosaic in set.mosaics() {
        let beam =
            mosaic.beam.map_or("no beam".into(), |b| format!("beam {:.2}\" x {:.2}\"", b.major_arcsec, b.minor_arcsec));
        let (rows, cols) = (mosaic.pixels.rows(), mosaic.pixels.cols());
        println!(
            "  mosaic {}: {rows} x {cols} pixels, {beam}, unit {}",
            mosaic.id,
            mosaic.unit.as_deref().unwrap_or("missing")
        );
        for remark in &mosaic.remarks {
            println!("    {remark}");
        }
    }
    let left = set.left_out();
    let size = set.frame_size();
    println!(
        "  {} frames of {size} x {size} pixels; left out: {} too blank, {} constant",
        set.len(),
        left.too_blank,
        left.constant
    );
    if let Some(labels) = &survey.labels {
        let list = radio_io::FrameLabels::read(labels)?;
        list.join(&set)?; // a label of a frame that is not cut is an error here, as in a run
        let rows = list.rows;
        let mut counts = std::collections::BTreeMap::new();
        for label in rows.iter().flat_map(|(_, labels)| labels) {
            *counts.entry(label.text()).or_insert(0) += 1;
        }
        println!("  {} labelled frames", rows.len());
        for (label, count) in counts {
            println!("    {label:14} {count}");
        }
    }
    Ok(())
}
