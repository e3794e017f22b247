//! Scans a survey into a manifest and prints its Table 1: `cargo run --example scan_survey -- SURVEY.toml MANIFEST.parquet`.

use std::{error::Error, path::Path, time::Instant};

use radio_io::{
    Manifest, Survey,
    data_set::{ComplexityMeasure, Watch, table1},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(survey), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("expected a survey file and a name for the manifest".into());
    };
    let survey = Survey::load(Path::new(&survey), |name| std::env::var(name).ok())?;
    // A stand-in for a real measure, such as the gzip complexity of frame-features: mean step between neighbours.
    let roughness = ComplexityMeasure {
        name: "mean step between neighbouring pixels",
        of: &|pixels| {
            let steps = pixels
                .rows()
                .into_iter()
                .flat_map(|row| row.to_vec().windows(2).map(|p| f64::from((p[0] - p[1]).abs())).collect::<Vec<_>>());
            let steps: Vec<f64> = steps.filter(|step| step.is_finite()).collect();
            steps.iter().sum::<f64>() / steps.len().max(1) as f64
        },
    };
    let begun = Instant::now();
    let manifest = Manifest::scan_blind(&survey, Some(roughness), &Watch::default())?;
    manifest.write(Path::new(&out))?;
    let left_out = manifest.left_out;
    println!("{}", table1(&manifest));
    println!("left out: {} too blank, {} constant", left_out.too_blank, left_out.constant);
    println!("{:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}
