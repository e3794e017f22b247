//! How many windows of a mosaic are read in a second: `window_speed FILE [SIDE [STEP [REPEATS]]]`.
//!
//! All windows of SIDE (256) pixels, STEP (128) apart, on one thread, pixels in native byte order and a mask of the blank ones;
//! the file is opened anew for each repeat. Prints one line of JSON: the median of REPEATS (7) passes, after one to warm up.

use std::{error::Error, path::Path, time::Instant};

use radio_io::Mosaic;

/// One pass; returns how many windows, and a sum that keeps the reading from being left out.
fn pass(path: &Path, side: usize, step: usize) -> Result<(usize, f64), Box<dyn Error>> {
    let mosaic = Mosaic::open(path)?;
    let (mut pixels, mut blanks) = (Vec::new(), Vec::new());
    let (mut windows, mut sum) = (0, 0.0);
    for row in (0..=mosaic.rows().saturating_sub(side)).step_by(step) {
        for col in (0..=mosaic.cols().saturating_sub(side)).step_by(step) {
            let n_blank = mosaic.window_and_blanks_into(row, col, side, side, &mut pixels, &mut blanks)?;
            sum += f64::from(pixels[0]) + n_blank as f64;
            windows += 1;
        }
    }
    Ok((windows, sum))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("window_speed FILE [SIDE [STEP [REPEATS]]]")?;
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (side, step, repeats) = (number(256)?, number(128)?, number(7)?);
    let path = Path::new(&path);
    let (windows, first) = pass(path, side, step)?;
    let mut seconds = Vec::new();
    for _ in 0..repeats.max(1) {
        let start = Instant::now();
        let (_, sum) = pass(path, side, step)?;
        seconds.push(start.elapsed().as_secs_f64());
        assert!(sum.to_bits() == first.to_bits(), "the same windows gave other pixels");
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let kind = if Mosaic::open(path)?.is_compressed() { "compressed" } else { "plain" };
    let (rate, best) = (windows as f64 / median, windows as f64 / seconds[0]);
    println!(
        r#"{{"name": "windows/{kind}", "tiles_per_s": {rate:.0}, "best_tiles_per_s": {best:.0}, "windows": {windows}, "side": {side}, "step": {step}}}"#
    );
    Ok(())
}
