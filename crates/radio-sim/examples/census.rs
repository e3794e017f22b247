//! What a sky holds, without a map: component/peak classes, detector classes, artefact islands; any number may be changed.
//!
//! `cargo run -p radio-sim --example census -- first demo 1 rgz.extra.per_deg2=[0.0,0.0,0.0,0.0,0.0,30.0] artefacts.scale=0.5`

use radio_io::robust_rms;
use radio_sim::rgz::{RgzClass, balanced_cutouts};
use radio_sim::spurious::spurious_islands;
use radio_sim::truth::{ArtefactBoxes, DetectionClass, true_objects};
use radio_sim::{SimConfig, Sky, SkyName, Tier, render_window};
use std::error::Error;
use toml::{Table, Value};

/// Puts a value in place of the one at a path like `artefacts.scale`.
fn change(config: &mut Table, path: &str, value: Value) -> Result<(), Box<dyn Error>> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    if rest.is_empty() {
        config.insert(first.to_owned(), value);
        return Ok(());
    }
    let part = config.get_mut(first).and_then(Value::as_table_mut).ok_or_else(|| format!("no part {first}"))?;
    change(part, rest, value)
}

/// Deepest pixel of 150-px cutouts round resolved sources above 10 mJy, in clipped rms: 5, 50 and 95 % points.
fn depths(sky: &Sky) -> Option<[f32; 3]> {
    let last = sky.config.side as f64 - 75.0;
    let inside = |v: f64| (75.0..last).contains(&v);
    let bright = sky.objects.iter().filter(|o| o.flux > 10e-3 && inside(o.x) && inside(o.y));
    let mut depths: Vec<f32> = bright
        .filter_map(|o| {
            let cutout = render_window(sky, o.y as usize - 75, o.x as usize - 75, 150, 150);
            let depth = cutout.iter().copied().fold(0f32, f32::min) / robust_rms(cutout.iter());
            cutout.iter().all(|v| v.is_finite()).then_some(depth)
        })
        .collect();
    depths.sort_by(f32::total_cmp);
    let at = |q: f64| depths.get((q * depths.len() as f64) as usize).copied();
    Some([at(0.05)?, at(0.5)?, at(0.95)?])
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: census SKY TIER SEED [KEY=VALUE ...]";
    let [sky, tier, seed, changes @ ..] = words.as_slice() else { return Err(usage.into()) };
    let sky = SkyName::ALL.into_iter().find(|s| s.name() == sky).ok_or(usage)?;
    let tiers = [Tier::Tiny, Tier::Demo, Tier::Quarter, Tier::Paper];
    let tier = tiers.into_iter().find(|t| t.name() == tier).ok_or(usage)?;
    let mut table: Table = toml::from_str(&SimConfig::preset(sky, tier, seed.parse()?).to_toml()?)?;
    for word in changes {
        let (path, value) = word.split_once('=').ok_or(usage)?;
        let value: Table = toml::from_str(&format!("value = {value}"))?;
        change(&mut table, path, value["value"].clone())?;
    }
    let config = SimConfig::from_toml(&toml::to_string(&table)?)?;
    let sky = Sky::new(&config)?;
    let objects = true_objects(&sky, &ArtefactBoxes::new(&sky));
    let area = config.area_deg2();
    let detectable: Vec<_> = objects.iter().filter(|o| o.detectable).collect();
    println!("{:.1} deg2, {:.1} detectable objects per deg2", area, detectable.len() as f64 / area);
    for class in
        [DetectionClass::Compact, DetectionClass::Extended, DetectionClass::ExtendedMultisland, DetectionClass::Flagged]
    {
        print!("{} {}  ", class.name(), detectable.iter().filter(|o| o.class == class).count());
    }
    let spurious = spurious_islands(&sky, &objects).len();
    println!("SPURIOUS {spurious} ({:.1} per deg2)", spurious as f64 / area);
    if let Some([low, middle, high]) = depths(&sky) {
        println!(
            "deepest pixel of cutouts round sources above 10 mJy: {low:.2} {middle:.2} {high:.2} rms (5, 50, 95 %)"
        );
    }
    let Some(rgz) = &config.rgz else { return Ok(()) };
    let drawn = balanced_cutouts(&config, &objects);
    let shown: Vec<_> = detectable.into_iter().filter(|o| o.snr >= rgz.least_snr).collect();
    println!("{} sources of S/N >= {}", shown.len(), rgz.least_snr);
    for (number, class) in RgzClass::ALL.into_iter().enumerate() {
        let median = |mut sizes: Vec<f64>| {
            sizes.sort_by(f64::total_cmp);
            sizes.get(sizes.len() / 2).map_or(f64::NAN, |v| v * config.pixel_arcsec)
        };
        let sizes: Vec<f64> =
            shown.iter().filter_map(|o| o.rgz).filter(|r| r.class() == Some(class)).map(|r| r.extent()).collect();
        let cut: Vec<f64> = drawn.iter().filter(|c| c.class == class).map(|c| c.extent).collect();
        println!(
            "{}: {} ({:.1} %), median {:.1} arcsec; drawn {}, median {:.1} (published {:.0})",
            class.name(),
            sizes.len(),
            100.0 * sizes.len() as f64 / shown.len() as f64,
            median(sizes.clone()),
            cut.len(),
            median(cut.clone()),
            rgz.median_arcsec[number]
        );
    }
    Ok(())
}
