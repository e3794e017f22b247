//! How far simple features of labelled frames give PECULIAR away: area under the ROC curve per feature.
//!
//! `cargo run -p radio-sim --example gate -- FOLDER`: against complex frames that hold a possible twin (expected 0.38 to 0.62), and
//! against all other labelled frames. The last rows should show no leak (0.47 to 0.53).

use radio_io::{Mosaic, robust_rms, write_gray_png};
use radio_sim::mask::{ObjectImage, measure};
use std::{collections::HashMap, error::Error, path::Path};

const NAMES: [&str; 9] = [
    "flux above 3 sigma",
    "max S/N",
    "area above 3 sigma",
    "islands",
    "PNG size",
    "local rms",
    "blank share",
    "row",
    "column",
];

const COMPLEX: [&str; 4] = ["EXTENDED", "RADIO-GALAXY", "DIFFUSE", "DIFFUSE-LARGE"];

fn auc(positive: &[f64], negative: &[f64]) -> f64 {
    let wins = positive.iter().flat_map(|p| {
        negative.iter().map(move |n| {
            if p > n {
                1.0
            } else if p == n {
                0.5
            } else {
                0.0
            }
        })
    });
    wins.sum::<f64>() / (positive.len() * negative.len()) as f64
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: gate FOLDER")?;
    let folder = Path::new(&folder);
    let mosaic = Mosaic::open(&folder.join("mosaic.fits"))?;
    let png = std::env::temp_dir().join(format!("gate-{}.png", std::process::id()));
    // Features of peculiar frames, matched complex frames, all others.
    let mut groups: [Vec<[f64; 9]>; 3] = Default::default();
    for row in csv::Reader::from_path(folder.join("frames.csv"))?.deserialize() {
        let row: HashMap<String, String> = row?;
        if row["labelled"] != "1" {
            continue;
        }
        let (r, c): (usize, usize) = (row["row"].parse()?, row["column"].parse()?);
        let frame = mosaic.window(r, c, 256, 256)?.mapv(|v| if v.is_nan() { 0.0 } else { v });
        let rms = f64::from(robust_rms(&frame));
        let bright = frame.iter().filter(|v| f64::from(**v) >= 3.0 * rms);
        let (area, flux) = bright.fold((0.0, 0.0), |(n, s), v| (n + 1.0, s + f64::from(*v)));
        let zscaled = frame.mapv(|v| (255.0 * ((f64::from(v) / rms + 2.0) / 8.0).clamp(0.0, 1.0)) as u8);
        write_gray_png(&png, &zscaled)?;
        let seen = measure(&ObjectImage { row: 0, col: 0, pixels: frame }, rms, 3.0).ok_or("an empty frame")?;
        let size = std::fs::metadata(&png)?.len() as f64;
        let blank: f64 = row["nan_fraction"].parse()?;
        let features = [
            flux,
            seen.peak / rms,
            area,
            seen.islands as f64,
            size,
            row["rms_median"].parse()?,
            blank,
            r as f64,
            c as f64,
        ];
        if row["annotated"].contains("PECULIAR") {
            groups[0].push(features);
        } else if row["has_twin"] == "1" && COMPLEX.iter().any(|l| row["annotated"].split(';').any(|a| a == *l)) {
            groups[1].push(features);
        } else {
            groups[2].push(features);
        }
    }
    std::fs::remove_file(&png)?;
    println!("{} peculiar, {} matched complex, {} others", groups[0].len(), groups[1].len(), groups[2].len());
    for (k, name) in NAMES.iter().enumerate() {
        let column = |g: usize| groups[g].iter().map(|f| f[k]).collect::<Vec<f64>>();
        println!(
            "{name:>20}: {:.3} against matched complex, {:.3} against others",
            auc(&column(0), &column(1)),
            auc(&column(0), &column(2))
        );
    }
    Ok(())
}
