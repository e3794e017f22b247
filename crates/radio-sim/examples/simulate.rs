//! Simulates a survey into a folder and prints what it holds.
//!
//! `cargo run -p radio-sim --example simulate -- demo 1 runs/sky` or, for another sky than `emu`, with its name at the end.

use radio_sim::config::{SimConfig, SkyName, Tier};
use radio_sim::survey::simulate;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: simulate tiny|demo|quarter|paper SEED FOLDER [emu|smgps|first]";
    let (tier, seed, out, sky) = match words.as_slice() {
        [tier, seed, out] => (tier, seed, out, SkyName::Emu),
        [tier, seed, out, name] => (tier, seed, out, SkyName::ALL.into_iter().find(|s| s.name() == name).ok_or(usage)?),
        _ => return Err(usage.into()),
    };
    let tier = match tier.as_str() {
        "tiny" => Tier::Tiny,
        "demo" => Tier::Demo,
        "quarter" => Tier::Quarter,
        _ => Tier::Paper,
    };
    let config = SimConfig::preset(sky, tier, seed.parse()?);
    let start = Instant::now();
    let made = simulate(&config, Path::new(out), |p| {
        if p.done == p.total {
            println!("{:>8.2} s  {} done", start.elapsed().as_secs_f64(), p.stage);
        }
    })?;
    let s = &made.summary;
    println!("{:.1} deg2, rms {:.1} uJy/beam, median {:.1} uJy/beam", s.area_deg2, s.rms * 1e6, s.median * 1e6);
    println!("{} frames, {} labelled: peculiar, complex, ordinary {:?}", s.frames, s.labelled, s.groups);
    for ((label, n), (_, m)) in s.label_counts.iter().zip(&s.labelled_counts) {
        let share = |n: usize, of: usize| 100.0 * n as f64 / of.max(1) as f64;
        println!(
            "{:>14} {n:>6} {:>6.2} %   labelled {m:>5} {:>6.2} %",
            label.text(),
            share(*n, s.frames),
            share(*m, s.labelled)
        );
    }
    println!("forced {:.1} %, recognisable {:.1} %", 100.0 * s.forced_share, 100.0 * s.recognisable_share);
    for (kind, n) in &s.kinds {
        print!("{} {n}  ", kind.name());
    }
    println!();
    for (class, n) in &s.classes {
        print!("{} {n}  ", class.name());
    }
    println!("SPURIOUS {}", s.spurious);
    Ok(())
}
