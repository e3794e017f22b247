//! Draws a window of a simulated sky, or of a FITS map, as a grey picture: from -2 to 10 clipped rms about the median.
//!
//! `cargo run -p radio-sim --example picture -- smgps tiny 1 0 0 1024 sky.png`
//! `cargo run -p radio-sim --example picture -- map.fits 0 0 1000 map.png`

use ndarray::Array2;
use radio_io::{Mosaic, PixelSource, robust_rms, write_gray_png};
use radio_sim::{SimConfig, Sky, SkyName, Tier};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let usage = "usage: picture SKY TIER SEED ROW COLUMN SIDE OUT.png, or picture MAP.fits ROW COLUMN SIDE OUT.png";
    let (source, rest): (Box<dyn PixelSource>, &[&str]) = match words.as_slice() {
        [sky, tier, seed, rest @ ..] if rest.len() == 4 => {
            let sky = SkyName::ALL.into_iter().find(|s| s.name() == *sky).ok_or(usage)?;
            let tiers = [Tier::Tiny, Tier::Demo, Tier::Quarter, Tier::Paper];
            let tier = tiers.into_iter().find(|t| t.name() == *tier).ok_or(usage)?;
            (Box::new(Sky::new(&SimConfig::preset(sky, tier, seed.parse()?))?), rest)
        }
        [map, rest @ ..] if rest.len() == 4 => (Box::new(Mosaic::open(Path::new(map))?), rest),
        _ => return Err(usage.into()),
    };
    let [row, col, side]: [usize; 3] = [rest[0].parse()?, rest[1].parse()?, rest[2].parse()?];
    let window = source.window(row, col, side.min(source.rows() - row), side.min(source.cols() - col))?;
    write_gray_png(Path::new(rest[3]), &grey(&window))?;
    Ok(())
}

/// 8-bit picture, north up.
fn grey(window: &Array2<f32>) -> Array2<u8> {
    let mut good: Vec<f32> = window.iter().copied().filter(|v| v.is_finite()).collect();
    good.sort_by(f32::total_cmp);
    let median = good.get(good.len() / 2).copied().unwrap_or(0.0);
    let rms = robust_rms(&good).max(f32::MIN_POSITIVE);
    let mut picture = window.mapv(|v| (255.0 * ((v - median) / rms + 2.0) / 12.0).clamp(0.0, 255.0) as u8);
    picture.invert_axis(ndarray::Axis(0));
    picture.as_standard_layout().to_owned()
}
