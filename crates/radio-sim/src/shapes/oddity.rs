//! Peculiar jets: X and Z shapes, double-doubles, tails with sharp bends, one-sided sources, one-offs.
//!
//! Together with the circles of [`super::ring`] these are the objects an anomaly search should find. [`limits`] says which
//! sizes and signal-to-noise ratios let an eye recognise each (specification section 4).

use super::agn::{Arms, fr_ii, knots_along, lobe};
use super::curve::{bent_curve, sharp_bends, turning_curve};
use super::ring::{circle, ring_pair};
use super::{Kind, Sketch};
use crate::draw::{lognormal, normal, uniform};
use rand::Rng;
use std::f64::consts::{PI, TAU};

/// Least and greatest size (in beams) and greatest peak S/N at which a kind can be recognised.
pub fn limits(kind: Kind) -> (f64, f64, f64) {
    match kind {
        // 52-110 arcsec of a 15 arcsec beam.
        Kind::Circle => (3.46, 7.34, 60.0),
        // Two rings of about 3 beams that overlap.
        Kind::RingPair => (6.0, 32.0, 60.0),
        Kind::DoubleDouble => (7.0, 32.0, f64::INFINITY),
        Kind::MultiBend => (6.0, 32.0, f64::INFINITY),
        _ => (5.0, 32.0, f64::INFINITY),
    }
}

/// A peculiar object; `beam` is the FWHM of the beam over the size of the object.
pub fn peculiar(rng: &mut impl Rng, kind: Kind, beam: f64) -> Sketch {
    match kind {
        Kind::Circle => circle(rng, beam),
        Kind::RingPair => ring_pair(rng, beam),
        Kind::XShape => x_or_z(rng),
        Kind::DoubleDouble => double_double(rng),
        Kind::MultiBend => multi_bend(rng, beam),
        Kind::OneSided => one_sided(rng, beam),
        _ => one_off(rng, beam),
    }
}

/// FR-II with a second pair of lobes at a large angle; in the Z form the wings leave from the ends of the lobes.
fn x_or_z(rng: &mut impl Rng) -> Sketch {
    let arms = Arms::straight(rng);
    let mut sketch = fr_ii(rng, arms, [0.1, 0.5]).normalised(1.0);
    let share = uniform(rng, 0.2, 0.5);
    let angle = uniform(rng, 50.0, 90.0).to_radians() * if rng.random::<bool>() { 1.0 } else { -1.0 };
    let length = 0.5 * uniform(rng, 0.8, 1.5);
    let z = rng.random::<f64>() < 0.4;
    let mut wings = Sketch::default();
    for side in [0.0, PI] {
        let curve = bent_curve(if z { 0.7 * length } else { length }, angle + side, 0.2 * normal(rng), 60);
        let lobe = lobe(rng, &curve, 0.0);
        let (dx, dy) = if z { (0.45 * side.cos(), 0.45 * side.sin()) } else { (0.0, 0.0) };
        wings.join(lobe.moved(1.0, 0.0, dx, dy));
    }
    sketch = sketch.normalised(1.0 - share);
    sketch.join(wings.normalised(share));
    sketch
}

/// A young double inside an old one, on nearly the same axis.
fn double_double(rng: &mut impl Rng) -> Sketch {
    let arms = Arms::straight(rng);
    let share = uniform(rng, 0.2, 0.6);
    let mut sketch = fr_ii(rng, arms, [0.1, 0.5]).normalised(1.0 - share);
    let inner_arms = Arms::straight(rng);
    let inner = fr_ii(rng, inner_arms, [0.2, 0.6]).normalised(share);
    sketch.join(inner.moved(uniform(rng, 0.3, 0.5), uniform(rng, -10.0, 10.0).to_radians(), 0.0, 0.0));
    sketch
}

/// A tail with two to four sharp bends, in half of the cases with a detached piece beyond its end.
fn multi_bend(rng: &mut impl Rng, beam: f64) -> Sketch {
    let bends = rng.random_range(2..=4usize);
    let head = uniform(rng, 0.05, 0.3);
    let fade = uniform(rng, 0.6, 1.5);
    let law = sharp_bends(rng, bends);
    // The path is longer than the extent, so knots lie closer.
    let knots = turning_curve(1.0, 0.0, knots_along(2.0, beam), law);
    let mut sketch = Sketch::default();
    sketch.push(0.0, 0.0, head, 0.005, 0.005, 0.0);
    let gap = if rng.random::<bool>() { Some(uniform(rng, 0.6, 0.8)) } else { None };
    let mut tail = Sketch::default();
    for k in &knots {
        if gap.is_some_and(|g| (k.t - g).abs() < 0.06) {
            continue;
        }
        let width = 0.015 + 0.02 * k.t;
        tail.push(k.x, k.y, (-k.t / fade).exp() * lognormal(rng, 1.0, 0.12), width, width, 0.0);
    }
    sketch.join(tail.normalised(1.0 - head));
    sketch
}

/// Core, one jet, and on the other side a lobe without a hot spot.
fn one_sided(rng: &mut impl Rng, beam: f64) -> Sketch {
    let mut sketch = Sketch::default();
    sketch.push(0.0, 0.0, uniform(rng, 0.1, 0.35), 0.0, 0.0, 0.0);
    let fade = uniform(rng, 0.4, 1.0);
    let mut jet = Sketch::default();
    for k in bent_curve(0.5, 0.0, 0.4 * normal(rng), knots_along(0.5, beam)) {
        let width = 0.01 + 0.03 * k.t;
        jet.push(k.x, k.y, (-k.t / fade).exp() * lognormal(rng, 1.0, 0.1), width, width, 0.0);
    }
    sketch.join(jet.normalised(uniform(rng, 0.25, 0.5)));
    let far = uniform(rng, 0.5, 1.2);
    let turn = 0.3 * normal(rng);
    let mut relic = Sketch::default();
    for _ in 0..12 {
        relic.push(-far + 0.09 * normal(rng), 0.11 * normal(rng), lognormal(rng, 1.0, 0.15), 0.09, 0.09, 0.0);
    }
    sketch.join(relic.normalised(uniform(rng, 0.3, 0.6)).moved(1.0, turn, 0.0, 0.0));
    sketch
}

/// Three to six strokes (arcs, plumes, blobs, threads) that share a centre or an axis.
fn one_off(rng: &mut impl Rng, beam: f64) -> Sketch {
    let strokes = rng.random_range(3..=6usize);
    let axis = rng.random::<bool>();
    let mut sketch = Sketch::default();
    for i in 0..strokes {
        let mut stroke = Sketch::default();
        match rng.random_range(0..4u32) {
            0 => {
                let (r, half) = (uniform(rng, 0.2, 0.5), uniform(rng, 0.4, 1.3));
                for j in 0..20 {
                    let phi = half * (f64::from(j) / 9.5 - 1.0);
                    stroke.push(r * phi.cos(), r * phi.sin(), lognormal(rng, 1.0, 0.1), 0.025, 0.025, 0.0);
                }
            }
            1 => {
                for k in bent_curve(0.5, 0.0, 0.5 * normal(rng), knots_along(0.5, beam)) {
                    let width = 0.015 + 0.05 * k.t;
                    stroke.push(k.x, k.y, (-k.t / 0.5).exp(), width, width, 0.0);
                }
            }
            2 => {
                let r = uniform(rng, 0.1, 0.45);
                for _ in 0..5 {
                    stroke.push(r + 0.04 * normal(rng), 0.04 * normal(rng), 1.0, 0.05, 0.05, 0.0);
                }
            }
            _ => {
                let law = sharp_bends(rng, 1);
                for k in turning_curve(0.6, 0.0, knots_along(0.6, beam), law) {
                    stroke.push(k.x - 0.15, k.y, lognormal(rng, 1.0, 0.1), 0.012, 0.012, 0.0);
                }
            }
        }
        let turn = if axis { PI * f64::from(i as u32 % 2) + 0.15 * normal(rng) } else { uniform(rng, 0.0, TAU) };
        sketch.join(stroke.normalised(lognormal(rng, 1.0, 0.2)).moved(1.0, turn, 0.0, 0.0));
    }
    sketch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, Layer};

    #[test]
    fn every_peculiar_kind_draws_and_keeps_its_flux() {
        for kind in Kind::PECULIAR {
            for seed in 0..20 {
                let mut rng = Address { seed, layer: Layer::Shape, y: 4, x: 0, index: 0 }.rng();
                let parts = peculiar(&mut rng, kind, 0.15).place(0.01, 40.0, 0.3, 100.0, 100.0);
                let total: f64 = parts.iter().map(|g| g.flux).sum();
                assert!((total - 0.01).abs() < 1e-9, "{kind:?}");
                assert!(parts.len() >= 10 && parts.iter().all(|g| g.flux > 0.0 && g.x.is_finite()), "{kind:?}");
            }
        }
    }
}
