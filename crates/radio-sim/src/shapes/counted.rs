//! Doubles and triples whose components and peaks are counted: compact lobes with or without a core, a bridge, a jet.
//!
//! The class that is aimed at decides what lies between the peaks: a bridge joins them to one component, a jet the core to one of
//! the lobes, nothing leaves them apart. Whether the class is met is for the truth to say ([`crate::rgz`]).

use super::curve::bent_curve;
use super::{Sketch, agn::knots_along};
use crate::draw::{lognormal, normal, uniform};
use crate::rgz::RgzClass;
use rand::Rng;
use std::f64::consts::PI;

/// A source of a class, of unit flux and length; `beam` is the FWHM of the beam over the length, `snr` that of its brightest peak.
///
/// Brightness is set first, in units of that peak, so that a bridge stays above the contour (4 sigma) and below the peaks.
pub fn counted(rng: &mut impl Rng, class: RgzClass, beam: f64, snr: f64) -> Sketch {
    let (components, peaks) = class.numbers();
    let turn = 0.15 * normal(rng);
    let directions = [0.0, PI + 0.12 * normal(rng)];
    let faint = uniform(rng, 0.5, 1.0);
    let arm = uniform(rng, 0.85, 1.0);
    let lobes = [(1.0, 0.5), (faint.max(9.0 / snr).min(1.0), 0.5 * arm)];
    let core = uniform(rng, 0.3, 0.8).max(8.5 / snr).min(1.0);
    // 5.5 to 7 sigma, and clearly below the fainter peaks.
    let bridge = (uniform(rng, 5.5, 7.0) / snr).min(0.55);
    let mut sketch = Sketch::default();
    for (arm, (peak, length)) in lobes.into_iter().enumerate() {
        let curve = bent_curve(length, directions[arm], turn, knots_along(length, beam));
        let Some(tip) = curve.last() else { continue };
        // A hot spot and a stubby lobe behind it, half a beam long.
        sketch.push(tip.x, tip.y, 0.75 * peak, 0.08 * beam, 0.08 * beam, 0.0);
        let (s, c) = tip.direction.sin_cos();
        let back = uniform(rng, 0.2, 0.5) * beam;
        sketch.push(tip.x - back * c, tip.y - back * s, 0.35 * peak, 0.25 * beam, 0.15 * beam, tip.direction);
        let joined = components == 1 || (components == 2 && peaks == 3 && arm == 0);
        if joined {
            let n = curve.len();
            // Flux per knot of a thin line of this brightness: spacing over the length of a beam, 1.06 FWHM.
            let flux = bridge * (length / n as f64) / (1.06 * beam);
            let width = uniform(rng, 0.05, 0.25) * beam;
            for k in &curve[..n - 1] {
                sketch.push(k.x, k.y, flux * lognormal(rng, 1.0, 0.05), width, width, 0.0);
            }
        }
    }
    if peaks == 3 {
        sketch.push(0.0, 0.0, core, 0.0, 0.0, 0.0);
    }
    sketch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, Layer};
    use crate::gaussian::BeamShape;
    use crate::mask::{measure, object_image};
    use crate::rgz::rgz_source;

    /// Most sources have the class aimed at, at the published sizes and S/N 12 to 40.
    #[test]
    fn the_class_aimed_at_is_mostly_met() {
        let (beam, sigma) = (BeamShape::new(3.0, 3.0, 0.0), 145e-6);
        for (class, arcsec) in RgzClass::ALL.into_iter().zip([0.0, 20.0, 35.0, 15.0, 26.0, 36.0]).skip(1) {
            let mut met = 0;
            for seed in 0..100 {
                let mut rng = Address { seed, layer: Layer::Shape, y: 0, x: 0, index: 0 }.rng();
                let snr = uniform(&mut rng, 12.0, 40.0);
                let size = lognormal(&mut rng, arcsec, 0.1) / 1.8;
                let sketch = counted(&mut rng, class, beam.fwhm / size, snr);
                let flux = sketch.total() * snr * sigma;
                let parts = sketch.place(flux, size, 0.3, 0.0, 0.0);
                let image = object_image(&parts, &beam);
                let found = measure(&image, sigma, 2.5).and_then(|mask| rgz_source(&image, &mask, sigma, 4.0));
                met += usize::from(found.and_then(|source| source.class()) == Some(class));
            }
            println!("{}: {met} of 100", class.name());
            assert!(met >= 50, "{}: {met} of 100", class.name());
        }
    }
}
