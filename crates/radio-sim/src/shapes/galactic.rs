//! Shells of supernova remnants, HII regions and bubbles (specification section 4).
//!
//! All three are made of many small Gaussians, so that they have the ragged edges and knots of real ones.

use super::Sketch;
use super::diffuse::cloud;
use crate::draw::{lognormal, normal, uniform};
use rand::Rng;
use std::f64::consts::{PI, TAU};

/// Knots along a rim, and along a strand.
const RIM_KNOTS: usize = 160;
const STRAND_KNOTS: usize = 45;

/// A patchy rim of radius 0.5: `modulation` of the brightness along it, `gaps` where it is missing, `widths` of its parts over
/// the radius. The rim wobbles by a few per cent of the radius.
fn rim(rng: &mut impl Rng, ratio: f64, modulation: f64, gaps: usize, widths: [f64; 2]) -> Sketch {
    let phase: [f64; 4] = std::array::from_fn(|_| uniform(rng, 0.0, TAU));
    let holes: Vec<(f64, f64)> = (0..gaps).map(|_| (uniform(rng, 0.0, TAU), uniform(rng, 0.2, 0.6))).collect();
    let wobble = uniform(rng, 0.01, 0.06);
    let mut sketch = Sketch::default();
    for i in 0..RIM_KNOTS {
        let phi = TAU * i as f64 / RIM_KNOTS as f64;
        let wave = 1.0
            + modulation * (phi + phase[0]).cos()
            + 0.5 * modulation * (2.0 * phi + phase[1]).cos()
            + 0.3 * modulation * (5.0 * phi + phase[2]).cos();
        let away = |at: f64| ((phi - at + PI).rem_euclid(TAU) - PI).abs();
        let open = holes.iter().any(|(at, half)| away(*at) < *half);
        let bright = if open { 0.03 } else { wave.max(0.05) } * lognormal(rng, 1.0, 0.2);
        let radius = 0.5 * (1.0 + wobble * (3.0 * phi + phase[3]).sin() + 0.02 * normal(rng));
        let (s1, s2) = (0.5 * uniform(rng, 0.03, 0.06), 0.5 * uniform(rng, widths[0], widths[1]));
        let along = (ratio * phi.cos()).atan2(-phi.sin());
        sketch.push(radius * phi.cos(), ratio * radius * phi.sin(), bright, s1.max(s2), s1.min(s2), along);
    }
    sketch.normalised(1.0)
}

/// Faint patches inside a rim.
fn fill(rng: &mut impl Rng, ratio: f64, patches: usize) -> Sketch {
    let mut sketch = Sketch::default();
    for _ in 0..patches {
        let (r, a) = (0.42 * rng.random::<f64>().sqrt(), uniform(rng, 0.0, TAU));
        let width = uniform(rng, 0.04, 0.14);
        sketch.push(r * a.cos(), ratio * r * a.sin(), lognormal(rng, 1.0, 0.2), width, width, 0.0);
    }
    sketch.normalised(1.0)
}

/// Thin strands that run along a shell of radius 0.5 at slightly different radii, most of them on its bright side.
fn strands(rng: &mut impl Rng, ratio: f64, n: usize) -> Sketch {
    let bright_side = uniform(rng, 0.0, TAU);
    let mut sketch = Sketch::default();
    for _ in 0..n {
        let (middle, half) = (bright_side + 1.3 * normal(rng), uniform(rng, 0.25, 1.1));
        let (radius, drift) = (0.5 * uniform(rng, 0.72, 1.0), 0.05 * normal(rng));
        let (width, phase) = (0.5 * uniform(rng, 0.008, 0.03), uniform(rng, 0.0, TAU));
        let mut strand = Sketch::default();
        for i in 0..STRAND_KNOTS {
            let t = i as f64 / (STRAND_KNOTS - 1) as f64 * 2.0 - 1.0;
            let phi = middle + half * t;
            let r = radius * (1.0 + drift * t + 0.02 * (6.0 * t + phase).sin() + 0.006 * normal(rng));
            let along = (ratio * phi.cos()).atan2(-phi.sin());
            let step = 2.0 * half * radius / STRAND_KNOTS as f64;
            let bright = (1.0 - 0.8 * t * t) * lognormal(rng, 1.0, 0.25);
            let (s1, s2) = (step.max(width), step.min(width));
            strand.push(
                r * phi.cos(),
                ratio * r * phi.sin(),
                bright,
                s1,
                s2,
                along + if step < width { 0.5 * PI } else { 0.0 },
            );
        }
        sketch.join(strand.normalised(lognormal(rng, half, 0.3)));
    }
    sketch.normalised(1.0)
}

/// Shell of a supernova remnant: a patchy rim with up to three gaps, strands along it, faint filling.
pub fn shell(rng: &mut impl Rng) -> Sketch {
    let (ratio, filled) = (uniform(rng, 0.75, 1.0), uniform(rng, 0.1, 0.5));
    let gaps = rng.random_range(0..=3usize);
    let thin = uniform(rng, 0.3, 0.6);
    let n = rng.random_range(6..=12usize);
    let mut sketch = rim(rng, ratio, 0.7, gaps, [0.04, 0.12]).normalised((1.0 - filled) * (1.0 - thin));
    sketch.join(strands(rng, ratio, n).normalised((1.0 - filled) * thin));
    sketch.join(fill(rng, ratio, 40).normalised(filled));
    sketch
}

/// HII region: a cloud of 100 to 200 Gaussians, bright along one side, often with a compact core.
pub fn hii_region(rng: &mut impl Rng) -> Sketch {
    let n = rng.random_range(100..=200usize);
    let ratio = uniform(rng, 0.5, 1.0);
    let core = if rng.random::<f64>() < 0.5 { uniform(rng, 0.05, 0.3) } else { 0.0 };
    let edge = uniform(rng, 0.15, 0.4);
    let mut sketch = cloud(rng, n, ratio, [0.04, 0.2]).normalised(1.0 - core - edge);
    let (middle, half) = (uniform(rng, 0.0, TAU), uniform(rng, 0.5, 1.3));
    let mut arc = Sketch::default();
    for i in 0..60 {
        let phi = middle + half * (f64::from(i) / 29.5 - 1.0);
        let r = 0.33 * lognormal(rng, 1.0, 0.03);
        let width = uniform(rng, 0.012, 0.035);
        arc.push(r * phi.cos(), ratio * r * phi.sin(), lognormal(rng, 1.0, 0.25), width, width, 0.0);
    }
    sketch.join(arc.normalised(edge));
    if core > 0.0 {
        let (r, width) = (0.15 * rng.random::<f64>(), uniform(rng, 0.01, 0.05));
        sketch.push(r * middle.cos(), r * middle.sin(), core, width, width, 0.0);
    }
    sketch
}

/// Bubble: a nearly round, thick and filled ring, in a third of them with a central source.
pub fn bubble(rng: &mut impl Rng) -> Sketch {
    let (ratio, filled) = (uniform(rng, 0.8, 1.0), uniform(rng, 0.3, 0.7));
    let centre = if rng.random::<f64>() < 0.33 { uniform(rng, 0.02, 0.15) } else { 0.0 };
    let modulation = uniform(rng, 0.2, 0.6);
    let mut sketch = rim(rng, ratio, modulation, 0, [0.08, 0.2]).normalised(1.0 - filled - 0.3 * centre);
    sketch.join(fill(rng, ratio, 20).normalised(filled - 0.7 * centre));
    if centre > 0.0 {
        sketch.push(0.0, 0.0, centre, 0.0, 0.0, 0.0);
    }
    sketch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, Layer};

    /// More flux near the rim than a filled disc would have there, and a total of 1.
    #[test]
    fn shells_and_bubbles_are_brighter_at_the_rim() {
        for seed in 0..8 {
            let mut rng = Address { seed, layer: Layer::Shells, y: 1, x: 0, index: 0 }.rng();
            for sketch in [shell(&mut rng), bubble(&mut rng)] {
                assert!((sketch.total() - 1.0).abs() < 1e-9 && sketch.parts.iter().all(|g| g.flux > 0.0));
                let outside: f64 = sketch.parts.iter().filter(|g| g.x.hypot(g.y) > 0.35).map(|g| g.flux).sum();
                // Half of a filled disc of radius 0.5 lies outside 0.35.
                assert!(outside > 0.3, "{outside}");
            }
            assert!((hii_region(&mut rng).total() - 1.0).abs() < 1e-9);
        }
    }
}
