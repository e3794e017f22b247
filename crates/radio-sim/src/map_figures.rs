//! What a finished map looks like as a whole, in the figures that surveys publish (specification section 8).
//!
//! Level, noise and density of islands of a simulated map, to be held against those of the real survey.

use crate::error::SimError;
use crate::mask::{ObjectImage, measure};
use crate::sky::Sky;
use crate::truth::ArtefactBoxes;
use radio_io::{PixelSource, robust_rms};
use rayon::prelude::*;

/// Side of the windows that are looked at one by one, pixels: a whole number of boxes.
const WINDOW: usize = 1056;
/// Side of the boxes in which the noise is measured, pixels.
const BOX: usize = 96;
/// Every so many pixels, along rows and columns, one enters median and rms.
const SAMPLE: usize = 8;

/// Figures of a map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapFigures {
    /// Area that is not blank, square degrees.
    pub area_deg2: f64,
    /// Median of the pixels, Jy/beam.
    pub median: f64,
    /// Clipped rms ([`robust_rms`]), Jy/beam.
    pub rms: f64,
    /// Share of the pixels above 5 times the local noise with confusion.
    pub above_5_sigma: f64,
    /// Share of the pixels below -5 times, where the artefacts are below the local noise.
    pub below_minus_5_sigma: f64,
    /// 8-connected islands above 5 sigma per square degree; one that crosses an edge of the windows counts twice.
    pub islands_per_deg2: f64,
    /// Median over boxes of 96 pixels of the clipped standard deviation over the true rms (noise, confusion, artefacts).
    pub box_rms_over_truth: f64,
    /// 95 % over 5 % point of the clipped standard deviation of the boxes.
    pub box_rms_spread: f64,
}

/// What one window adds.
#[derive(Default)]
struct Part {
    sample: Vec<f32>,
    pixels: usize,
    above: usize,
    below: usize,
    islands: usize,
    /// Measured and true rms of each whole box.
    boxes: Vec<[f64; 2]>,
}

/// Measures the map of a sky; `map` is the sky itself or its file.
///
/// # Errors
/// [`SimError::Map`] if the map is smaller than the sky says or cannot be read.
pub fn map_figures(sky: &Sky, artefacts: &ArtefactBoxes, map: &impl PixelSource) -> Result<MapFigures, SimError> {
    let side = sky.config.side;
    let places: Vec<[usize; 2]> =
        (0..side).step_by(WINDOW).flat_map(|r| (0..side).step_by(WINDOW).map(move |c| [r, c])).collect();
    let parts: Vec<Part> =
        places.into_par_iter().map(|place| look_at(sky, artefacts, map, place)).collect::<Result<_, _>>()?;
    let sum = |of: fn(&Part) -> usize| parts.iter().map(of).sum::<usize>() as f64;
    let pixels = sum(|p| p.pixels);
    let area_deg2 = pixels * (sky.config.pixel_arcsec / 3600.0).powi(2);
    let mut sample: Vec<f32> = parts.iter().flat_map(|p| p.sample.iter().copied()).collect();
    sample.sort_by(f32::total_cmp);
    let mut ratio: Vec<f64> = parts.iter().flat_map(|p| p.boxes.iter().map(|[seen, truth]| seen / truth)).collect();
    let mut seen: Vec<f64> = parts.iter().flat_map(|p| p.boxes.iter().map(|b| b[0])).collect();
    ratio.sort_by(f64::total_cmp);
    seen.sort_by(f64::total_cmp);
    let at = |sorted: &[f64], q: f64| sorted.get((q * sorted.len() as f64) as usize).copied().unwrap_or(f64::NAN);
    Ok(MapFigures {
        area_deg2,
        median: sample.get(sample.len() / 2).map_or(f64::NAN, |v| f64::from(*v)),
        rms: f64::from(robust_rms(&sample)),
        above_5_sigma: sum(|p| p.above) / pixels,
        below_minus_5_sigma: sum(|p| p.below) / pixels,
        islands_per_deg2: sum(|p| p.islands) / area_deg2,
        box_rms_over_truth: at(&ratio, 0.5),
        box_rms_spread: at(&seen, 0.95) / at(&seen, 0.05),
    })
}

fn look_at(
    sky: &Sky,
    artefacts: &ArtefactBoxes,
    map: &impl PixelSource,
    [row, col]: [usize; 2],
) -> Result<Part, SimError> {
    let side = sky.config.side;
    let (rows, cols) = (WINDOW.min(side - row), WINDOW.min(side - col));
    let mut pixels = map.window(row, col, rows, cols).map_err(|source| SimError::Map { source })?;
    let mut part = Part::default();
    for r in (0..rows).step_by(SAMPLE) {
        part.sample.extend(pixels.row(r).iter().step_by(SAMPLE).filter(|v| v.is_finite()));
    }
    for (r, c) in (0..rows / BOX).flat_map(|r| (0..cols / BOX).map(move |c| (r * BOX, c * BOX))) {
        let (y, x) = ((row + r + BOX / 2) as i64, (col + c + BOX / 2) as i64);
        let values = pixels.slice(ndarray::s![r..r + BOX, c..c + BOX]);
        if let Some(sigma) = sky.local_sigma(y, x).filter(|_| values.iter().all(|v| v.is_finite())) {
            part.boxes.push([clipped_deviation(values.iter().copied().collect()), sigma.hypot(artefacts.at(y, x))]);
        }
    }
    // From here on in units of the local noise.
    let mut sigma = vec![0f32; cols];
    for (r, mut line) in pixels.outer_iter_mut().enumerate() {
        sky.rms.sigma_row((row + r) as i64, col as i64, &mut sigma);
        line.iter_mut().zip(&sigma).for_each(|(v, s)| *v /= s.hypot(sky.confusion as f32));
    }
    part.pixels = pixels.iter().filter(|v| v.is_finite()).count();
    part.above = pixels.iter().filter(|v| **v > 5.0).count();
    let deep: Vec<(usize, usize)> = pixels.indexed_iter().filter(|(_, v)| **v < -5.0).map(|(place, _)| place).collect();
    if !deep.is_empty() {
        let image = sky.artefact_window(row as i64, col as i64, rows, cols);
        let noise = |(r, c): (usize, usize)| sky.local_sigma((row + r) as i64, (col + c) as i64);
        part.below = deep.into_iter().filter(|&p| noise(p).is_some_and(|s| f64::from(image[p].abs()) < s)).count();
    }
    part.islands = measure(&ObjectImage { row: 0, col: 0, pixels }, 1.0, 5.0).map_or(0, |mask| mask.islands);
    Ok(part)
}

/// Standard deviation about the mean, values beyond 3 of it dropped until none is.
fn clipped_deviation(mut values: Vec<f32>) -> f64 {
    loop {
        let n = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let deviation = (values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n).sqrt();
        let before = values.len();
        values.retain(|v| (f64::from(*v) - mean).abs() <= 3.0 * deviation);
        if values.len() == before || values.is_empty() {
            return deviation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SimConfig, Tier};

    /// Level and density of the survey on 1.3 square degrees (1,300 islands: 3 %), with artefacts of the synthetic array; the
    /// closed form of `tiny` adds hundreds of islands.
    #[test]
    fn a_finished_map_has_the_figures_of_the_survey() {
        let mut config = SimConfig::emu_pilot(Tier::Tiny, 4);
        config.artefacts.bank = 4;
        let sky = Sky::new(&config).unwrap();
        let found = map_figures(&sky, &ArtefactBoxes::new(&sky), &sky).unwrap();
        println!("{found:?}");
        assert!((found.area_deg2 - sky.config.area_deg2()).abs() < 0.01);
        assert!((25e-6..30e-6).contains(&found.rms) && found.median.abs() < 8e-6);
        assert!((0.01..0.04).contains(&found.above_5_sigma) && found.below_minus_5_sigma < 1e-5);
        assert!((850.0..1_100.0).contains(&found.islands_per_deg2));
        assert!((found.box_rms_over_truth - 1.0).abs() < 0.06 && (1.3..3.0).contains(&found.box_rms_spread));
    }

    /// Noise alone: nothing above 5 sigma but for chance, and boxes at the true rms.
    #[test]
    fn noise_alone_has_no_islands() {
        let mut config = SimConfig::emu_pilot(Tier::Tiny, 4);
        config.counts.faintest_ujy = 1e6;
        config.population.discs_per_deg2 = 0.0;
        config.population.clusters_per_deg2 = 0.0;
        config.population.large_diffuse_per_deg2 = 0.0;
        config.population.filaments_per_deg2 = 0.0;
        config.peculiar.per_deg2 = 0.0;
        config.coverage.seam_level_step = [0.0, 0.0];
        let sky = Sky::new(&config).unwrap();
        let found = map_figures(&sky, &ArtefactBoxes::new(&sky), &sky).unwrap();
        println!("{found:?}");
        assert!(found.islands_per_deg2 < 3.0 && found.above_5_sigma < 1e-4, "{found:?}");
        assert!((found.box_rms_over_truth - 1.0).abs() < 0.03 && found.median.abs() < 1e-6, "{found:?}");
    }
}
