//! Discs, halos, relics, large clouds and filaments (specification section 4).

use super::Sketch;
use super::curve::{meander, turning_curve};
use crate::draw::{lognormal, normal, uniform};
use rand::Rng;
use std::f64::consts::{PI, TAU};

/// Exponential disc as eight Gaussians: widths over scale length, and flux shares.
const DISC: [(f64, f64); 8] =
    [(0.1, 0.001), (0.2, 0.004), (0.4, 0.031), (0.7, 0.103), (1.1, 0.256), (1.7, 0.384), (2.4, 0.160), (3.2, 0.061)];

/// Disc of a nearby galaxy with scale length `L/6`, inclined, with up to six bright clumps.
pub fn disc(rng: &mut impl Rng) -> Sketch {
    let (scale, ratio) = (1.0 / 6.0, uniform(rng, 0.2, 1.0));
    let clumps = rng.random_range(0..=6usize);
    let mut smooth = Sketch::default();
    for (width, share) in DISC {
        smooth.push(0.0, 0.0, share, width * scale, width * scale * ratio, 0.0);
    }
    let mut sketch = smooth.normalised(if clumps == 0 { 1.0 } else { 0.85 });
    if clumps > 0 {
        let mut points = Sketch::default();
        for _ in 0..clumps {
            let (r, a) = (scale * uniform(rng, 0.3, 2.0), uniform(rng, 0.0, TAU));
            points.push(r * a.cos(), ratio * r * a.sin(), lognormal(rng, 1.0, 0.2), 0.0, 0.0, 0.0);
        }
        sketch.join(points.normalised(0.15));
    }
    sketch
}

/// Cloud of `n` Gaussians round the origin, flux shares of a Pareto law (index 1.8), squeezed to an axis ratio.
pub fn cloud(rng: &mut impl Rng, n: usize, ratio: f64, sizes: [f64; 2]) -> Sketch {
    let radius = 0.5;
    let mut sketch = Sketch::default();
    for _ in 0..n {
        let (x, y) = (0.45 * radius * normal(rng), 0.45 * radius * ratio * normal(rng));
        let share = (1.0 - rng.random::<f64>()).powf(-1.0 / 1.8).min(8.0);
        let width = radius * uniform(rng, sizes[0], sizes[1]);
        sketch.push(x, y, share, width, width, 0.0);
    }
    sketch.normalised(1.0)
}

/// Cluster halo: a smooth cloud.
pub fn halo(rng: &mut impl Rng) -> Sketch {
    let n = rng.random_range(40..=80usize);
    let ratio = uniform(rng, 0.6, 1.0);
    cloud(rng, n, ratio, [0.15, 0.4])
}

/// Arc of a circle of radius `2L` with a sharp outer and a soft inner edge.
fn arc(rng: &mut impl Rng, thickness: f64) -> Sketch {
    let radius = 1.0;
    let half = 0.5 * uniform(rng, 60.0, 120.0).to_radians() * 0.5;
    let n = 40;
    let mut sketch = Sketch::default();
    let phase = uniform(rng, 0.0, TAU);
    for i in 0..n {
        let u = (f64::from(i) + 0.5) / f64::from(n) * 2.0 - 1.0;
        let a = u * half;
        let bright = (1.0 - 0.7 * u * u) * (1.0 + 0.3 * (5.0 * a + phase).sin()) * lognormal(rng, 1.0, 0.08);
        let step = 2.0 * half / f64::from(n) * radius;
        for (inside, share, width) in [(0.0, 0.5, 0.25), (0.5, 0.3, 0.45), (1.1, 0.2, 0.7)] {
            let r = radius - inside * thickness;
            let (s1, s2) = (step.max(0.6 * width * thickness), width * thickness);
            sketch.push(r * a.cos(), r * a.sin(), share * bright, s1.max(s2), s2.min(s1), a + PI / 2.0);
        }
    }
    sketch
}

/// Cluster relic: one arc, in 40 % a second, wider one on the other side.
pub fn relic(rng: &mut impl Rng) -> Sketch {
    let thickness = uniform(rng, 0.08, 0.2);
    let mut sketch = arc(rng, thickness).normalised(1.0);
    if rng.random::<f64>() < 0.4 {
        let other = arc(rng, 1.6 * thickness).moved(1.0, PI + 0.3 * normal(rng), 0.0, 0.0);
        sketch.join(other.normalised(uniform(rng, 0.3, 0.8)));
    }
    sketch
}

/// Large irregular emission: a clumpy cloud, brighter along one side.
pub fn large_diffuse(rng: &mut impl Rng) -> Sketch {
    let n = rng.random_range(100..=200usize);
    let ratio = uniform(rng, 0.5, 1.0);
    let mut sketch = cloud(rng, n, ratio, [0.05, 0.25]).normalised(0.75);
    let middle = uniform(rng, 0.0, TAU);
    let mut rim = Sketch::default();
    for i in 0..40 {
        let a = middle + (f64::from(i) / 39.0 - 0.5) * 1.8;
        let r = 0.45 * lognormal(rng, 1.0, 0.02);
        rim.push(r * a.cos(), ratio * r * a.sin(), lognormal(rng, 1.0, 0.15), 0.03, 0.02, a + PI / 2.0);
    }
    sketch.join(rim.normalised(0.25));
    sketch
}

/// Filament: one to four strands that wander along a common direction; `beam` is the beam over the size.
pub fn filament(rng: &mut impl Rng, beam: f64) -> Sketch {
    let strands = rng.random_range(1..=4usize);
    let n = super::agn::knots_along(1.0, beam);
    let mut sketch = Sketch::default();
    for _ in 0..strands {
        let wander = meander(rng, 0.45);
        // FWHM of 1 to 2.5 beams.
        let width = beam * uniform(rng, 1.0, 2.5) / crate::gaussian::FWHM_PER_SIGMA;
        let (dx, dy, turn) = (0.15 * normal(rng), 0.08 * normal(rng), 0.15 * normal(rng));
        let mut strand = Sketch::default();
        for k in turning_curve(uniform(rng, 0.6, 1.0), turn, n, &wander) {
            strand.push(k.x + dx, k.y + dy, lognormal(rng, 1.0, 0.2), width, width, 0.0);
        }
        sketch.join(strand.normalised(uniform(rng, 0.5, 1.0)));
    }
    sketch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, Layer};

    #[test]
    fn a_disc_is_an_exponential() {
        // Mean radius of an exponential disc of scale h is 2 h; of a Gaussian sigma sqrt(pi / 2).
        let mean: f64 = DISC.iter().map(|(w, s)| s * w * (PI / 2.0).sqrt()).sum();
        assert!((mean - 2.0).abs() < 0.06, "{mean}");
        assert!((DISC.iter().map(|d| d.1).sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_relic_is_longer_than_thick() {
        for seed in 0..10 {
            let mut rng = Address { seed, layer: Layer::Shape, y: 2, x: 0, index: 0 }.rng();
            let arc = arc(&mut rng, 0.1);
            let width = arc.parts.iter().map(|g| g.y).fold(f64::NEG_INFINITY, f64::max);
            let depth = arc.parts.iter().map(|g| g.x).fold(f64::INFINITY, f64::min);
            assert!(width > 0.2 && depth > 0.5, "{width} {depth}");
        }
    }
}
