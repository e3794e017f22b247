//! Extra doubles and triples of a sky whose classes are counted: without them the rarest class decides how many cutouts a
//! balanced set has (specification section 6).
//!
//! Class, brightness and size are drawn; what class a source then has at the beam is counted like that of any other.

use crate::address::{Address, Layer};
use crate::config::SimConfig;
use crate::draw::{log_uniform, lognormal, weighted};
use crate::gaussian::BeamShape;
use crate::population::{SkyObject, count_in_cell, place_in_cell};
use crate::rgz::RgzClass;
use crate::shapes::{Kind, counted};
use rand::Rng;

/// Smallest distance of the outer peaks, beams.
const LEAST_BEAMS: f64 = 1.8;

/// The extra sources of one cell; `confusion` is the noise of faint sources, Jy/beam.
pub fn extra_doubles(config: &SimConfig, beam: &BeamShape, confusion: f64, cell: (i64, i64)) -> Vec<SkyObject> {
    let Some(extra) = config.rgz.as_ref().and_then(|rgz| rgz.extra.as_ref()) else { return Vec::new() };
    let sigma = (config.noise.thermal_ujy * 1e-6).hypot(confusion);
    let n = count_in_cell(config, Layer::Doubles, extra.per_deg2.iter().sum(), cell);
    (0..n as u32)
        .map(|index| {
            let mut rng =
                Address { seed: config.seed, layer: Layer::Doubles, y: cell.0, x: cell.1, index: index + 1 }.rng();
            let (x, y, angle) = place_in_cell(&mut rng, cell);
            let class = weighted(&mut rng, &extra.per_deg2);
            let snr = log_uniform(&mut rng, extra.snr[0], extra.snr[1]);
            let size = lognormal(&mut rng, extra.arcsec[class], extra.size_dex) / config.pixel_arcsec;
            let size = size.max(LEAST_BEAMS * beam.fwhm);
            let sketch = counted::counted(&mut rng, RgzClass::ALL[class], beam.fwhm / size, snr);
            let flux = sketch.total() * snr * sigma;
            // Doubles without a bright core or bridge are FR-II, the others neither clearly that nor FR-I.
            let kind = if rng.random::<f64>() < 0.8 { Kind::FrII } else { Kind::FrX };
            SkyObject {
                layer: Layer::Doubles,
                cell,
                index,
                kind,
                x,
                y,
                flux,
                size,
                angle,
                forced: false,
                recognisable: false,
                twin: 0,
                parts: sketch.place(flux, size, angle, x, y),
                bowl: Vec::new(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;

    #[test]
    fn only_a_sky_that_counts_classes_has_extra_doubles() {
        let config = SimConfig::first(Tier::Tiny, 3);
        let beam = BeamShape::new(config.beam_px(), config.beam_px(), 0.0);
        let extra = config.rgz.as_ref().unwrap().extra.clone().unwrap();
        let cells = (0..40).flat_map(|y| (0..40).map(move |x| (y, x)));
        let found: Vec<SkyObject> = cells.flat_map(|cell| extra_doubles(&config, &beam, 9e-6, cell)).collect();
        let area = 1600.0 * (256.0 * config.pixel_arcsec / 3600.0).powi(2);
        let want = extra.per_deg2.iter().sum::<f64>() * area;
        assert!((found.len() as f64 - want).abs() < 4.0 * want.sqrt(), "{} for {want}", found.len());
        assert!(found.iter().all(|o| o.flux > 1e-3 && o.size < 100.0 && o.kind.has_jets()));
        assert!(extra_doubles(&SimConfig::emu_pilot(Tier::Tiny, 3), &beam, 9e-6, (0, 0)).is_empty());
    }
}
