//! Draws detector tiles over the three skies and prints the shares of the classes.
//!
//! `cargo run -p radio-sim --example detector_tiles -- demo 1 1000 1000 runs/tiles`: tier, seed, training tiles, test tiles, folder.

use radio_sim::detector_tiles::tile::TileClass;
use radio_sim::detector_tiles::{TileSettings, write_detector_tiles};
use radio_sim::{SimConfig, SkyName, Tier};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: detector_tiles tiny|demo|quarter|paper SEED TRAIN TEST FOLDER";
    let [tier, seed, train, test, out] = words.as_slice() else { return Err(usage.into()) };
    let tiers = [Tier::Tiny, Tier::Demo, Tier::Quarter, Tier::Paper];
    let tier = tiers.into_iter().find(|t| t.name() == tier).ok_or(usage)?;
    let seed = seed.parse()?;
    let configs: Vec<SimConfig> = SkyName::ALL.into_iter().map(|sky| SimConfig::preset(sky, tier, seed)).collect();
    let settings = TileSettings { train: train.parse()?, test: test.parse()?, ..TileSettings::published(seed) };
    let made = write_detector_tiles(&configs, &settings, Path::new(out), |_| {})?;
    for (part, (tiles, objects)) in ["train", "test"].into_iter().zip(made.tiles.into_iter().zip(made.objects)) {
        let total: usize = objects.iter().sum();
        print!("{part}: {tiles} tiles, {total} objects:");
        for class in TileClass::ALL {
            let n = objects[class.index()];
            print!("  {} {n} ({:.1} %)", class.name(), 100.0 * n as f64 / total.max(1) as f64);
        }
        println!();
    }
    Ok(())
}
