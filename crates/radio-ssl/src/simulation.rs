//! The verbs that make skies: `simulate`, a survey with its truth, and `tiles`, images and masks for a detector.
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use radio_sim::detector_tiles::tile::TileClass;
use radio_sim::detector_tiles::{TileSettings, write_detector_tiles};
use radio_sim::{SimConfig, SkyName, Tier, TruthImage};

use crate::compute::{ComputeOptions, use_compute};
use crate::progress::Stage;
use crate::stages;

/// Surveys that a simulated sky can resemble.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum SkyArgument {
    /// EMU pilot: 944 MHz, pixels of 2", beam of 15".
    Emu,
    /// MeerKAT Galactic plane survey: 1284 MHz, 1.5", 8".
    Smgps,
    /// VLA FIRST: 1400 MHz, 1.8", 5.4".
    First,
}

impl From<SkyArgument> for SkyName {
    fn from(sky: SkyArgument) -> Self {
        match sky {
            SkyArgument::Emu => Self::Emu,
            SkyArgument::Smgps => Self::Smgps,
            SkyArgument::First => Self::First,
        }
    }
}

/// Sizes of a simulated survey.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum TierName {
    /// 2048² pixels; 225 frames (EMU-like).
    Tiny,
    /// 8192² pixels, 3,969 frames.
    Demo,
    /// 16384² pixels, 16,129 frames.
    Quarter,
    /// 32768² pixels, 65,025 frames.
    Paper,
}

impl From<TierName> for Tier {
    fn from(tier: TierName) -> Self {
        match tier {
            TierName::Tiny => Self::Tiny,
            TierName::Demo => Self::Demo,
            TierName::Quarter => Self::Quarter,
            TierName::Paper => Self::Paper,
        }
    }
}

/// Images beside the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ImageName {
    /// True noise with confusion, Jy/beam.
    Rms,
    /// Rings, rays and stripes, Jy/beam.
    Artefact,
    /// Number of the footprint.
    Footprint,
}

impl From<ImageName> for TruthImage {
    fn from(image: ImageName) -> Self {
        match image {
            ImageName::Rms => Self::Rms,
            ImageName::Artefact => Self::Artefact,
            ImageName::Footprint => Self::Footprint,
        }
    }
}

/// Examples of `simulate`.
pub const SIMULATE_EXAMPLES: &str = "Examples:\n  \
    radio-ssl simulate --out sky                                            EMU-like, 2048 x 2048 pixels\n  \
    radio-ssl simulate --sky smgps --tier demo --seed 2 --out plane         Galactic plane: clouds, shells, bubbles\n  \
    radio-ssl simulate --sky first --tier quarter --seed 1 --out first      with a balanced list of cutouts by class\n  \
    radio-ssl simulate --images rms,artefact --out sky                      with the true noise and the artefacts as images\n\n\
    Sizes: tiny takes a second, demo ten, paper (32768 x 32768 pixels, 9 GB on disk) some minutes.\n\
    The same sky, tier and seed always give the same files.";

/// Examples of `tiles`.
pub const TILES_EXAMPLES: &str = "Examples:\n  \
    radio-ssl tiles --tier demo --train 1000 --test 1000 --out tiles        a smaller set\n  \
    radio-ssl tiles --out tiles                                             3,245 + 5,110 tiles, as published\n\n\
    Tiles of 132 pixels of the three skies. Each half holds images, a mask per object, the lists of caesar and coco.json.";

/// What `simulate` is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct SimulateOptions {
    /// Which survey the sky resembles.
    #[arg(long, value_enum, default_value = "emu")]
    sky: SkyArgument,
    /// Size of the survey.
    #[arg(long, value_enum, default_value = "tiny")]
    tier: TierName,
    /// Seed of every random number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Every number of the sky as TOML (such as the `sim.toml` of another one), in place of --sky, --tier and --seed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sky", "tier", "seed"])]
    config: Option<PathBuf>,
    /// Images beside the map: `rms.fits`, `artefact.fits`, `footprint.fits`.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "IMAGES")]
    images: Vec<ImageName>,
    /// Folder for mosaic, truth and `survey.toml`; made if it does not exist.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// What `tiles` is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct TilesOptions {
    /// Size of each of the three skies.
    #[arg(long, value_enum, default_value = "quarter")]
    tier: TierName,
    /// Seed of every random number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Training tiles.
    #[arg(long, default_value_t = 3245)]
    train: usize,
    /// Test tiles.
    #[arg(long, default_value_t = 5110)]
    test: usize,
    /// Write a label image of each tile too.
    #[arg(long)]
    label_images: bool,
    /// Folder for `train` and `test`.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    compute: ComputeOptions,
}

/// Simulates a survey.
///
/// # Errors
/// If the folder exists or cannot be written, the configuration cannot be read, or the user interrupts.
pub fn simulate(options: &SimulateOptions) -> Result<()> {
    use_compute(&options.compute)?;
    let images: Vec<TruthImage> = options.images.iter().map(|&image| image.into()).collect();
    let config = match &options.config {
        None => SimConfig::preset(options.sky.into(), options.tier.into(), options.seed),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            SimConfig::from_toml(&text).with_context(|| path.display().to_string())?
        }
    };
    stages::simulate_into(&config, &images, &options.out)?;
    println!("{}", options.out.join("survey.toml").display());
    Ok(())
}

/// Draws detector tiles and says which classes they hold.
///
/// # Errors
/// If the folder exists or cannot be written.
pub fn tiles(options: &TilesOptions) -> Result<()> {
    use_compute(&options.compute)?;
    let out = &options.out;
    if out.exists() {
        bail!("{} exists: choose another folder, or remove it", out.display());
    }
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let configs = SkyName::ALL.map(|sky| SimConfig::preset(sky, options.tier.into(), options.seed));
    let settings = TileSettings {
        train: options.train,
        test: options.test,
        label_images: options.label_images,
        ..TileSettings::published(options.seed)
    };
    let stage = Mutex::new(Stage::start("drawing tiles"));
    let made = write_detector_tiles(&configs, &settings, out, |now| {
        if let Ok(mut stage) = stage.lock() {
            stage.at(now.done as u64, now.total as u64, now.stage);
        }
    })?;
    if let Ok(stage) = stage.into_inner() {
        stage.end(&format!("{} training and {} test tiles", made.tiles[0], made.tiles[1]));
    }
    let shares = [settings.train_shares, settings.test_shares];
    for (half, name) in ["train", "test"].into_iter().enumerate() {
        let objects = made.objects[half];
        let total: usize = objects.iter().sum();
        println!("{name}: {} tiles, {total} objects", made.tiles[half]);
        for class in TileClass::ALL {
            let n = objects[class.index()];
            let (share, published) = (100.0 * n as f64 / total.max(1) as f64, shares[half][class.index()]);
            println!("  {:<20} {n:>6}  {share:5.1} %  (published {published:4.1} %)", class.name());
        }
    }
    Ok(())
}
