//! Radio galaxies: FR-I plumes, FR-II lobes, hybrids, bent and head-tail sources (specification section 4).
//!
//! Both arms of a source lie on curves from the core; straight, wide-angle and narrow-angle sources differ only in the angle
//! between the arms and in how they curve.

use super::curve::{Knot, bent_curve};
use super::{Kind, Sketch};
use crate::draw::{beta_lobe, lognormal, normal, uniform};
use rand::Rng;
use std::f64::consts::{PI, TAU};

/// How the two arms leave the core.
#[derive(Debug, Clone, Copy)]
pub struct Arms {
    /// Direction of each arm, radians.
    pub direction: [f64; 2],
    /// How far each arm turns along its length, radians.
    pub turn: [f64; 2],
}

impl Arms {
    /// Opposite arms, misaligned by about 5 degrees.
    pub fn straight(rng: &mut impl Rng) -> Self {
        Self { direction: [0.0, PI + 5f64.to_radians() * normal(rng)], turn: [0.0, 0.0] }
    }

    /// Arms with an opening angle between `low` and `high` degrees that go on curving.
    pub fn open(rng: &mut impl Rng, low: f64, high: f64) -> Self {
        let half = 0.5 * uniform(rng, low, high).to_radians();
        // Both tails bend the same way: into the wind that opened the angle.
        let turn = (0.6 * normal(rng)).clamp(-1.2, 1.2);
        Self { direction: [half, -half], turn: [-turn, turn] }
    }
}

/// A radio galaxy of the given kind; `beam` is the FWHM of the beam over the size of the object.
pub fn radio_galaxy(rng: &mut impl Rng, kind: Kind, beam: f64) -> Sketch {
    match kind {
        Kind::FrI => {
            let arms = Arms::straight(rng);
            fr_i(rng, arms, beam)
        }
        Kind::FrX => {
            let arms = Arms::straight(rng);
            // Hybrids are 1.2 % of the doubles, 12 % of this class.
            if rng.random::<f64>() < 0.12 { hybrid(rng, arms, beam) } else { fr_ii(rng, arms, [0.0, 0.15]) }
        }
        Kind::WideTail | Kind::NarrowTail => {
            let arms = if kind == Kind::WideTail { Arms::open(rng, 60.0, 150.0) } else { Arms::open(rng, 5.0, 50.0) };
            if rng.random::<f64>() < 0.6 { fr_i(rng, arms, beam) } else { fr_ii(rng, arms, [0.1, 0.5]) }
        }
        Kind::HeadTail => head_tail(rng, beam),
        _ => {
            let arms = Arms::straight(rng);
            fr_ii(rng, arms, [0.2, 0.6])
        }
    }
}

/// Knots every 0.3 beams along an arm of unit fraction `length`.
pub fn knots_along(length: f64, beam: f64) -> usize {
    ((length / (0.3 * beam)).ceil() as usize).clamp(5, 80)
}

/// One plume: bright near the core, fading and widening outwards, wiggling.
fn plume(rng: &mut impl Rng, direction: f64, turn: f64, length: f64, fade: f64, beam: f64) -> Sketch {
    let (amplitude, periods, phase) = (0.06, uniform(rng, 0.8, 2.0), uniform(rng, 0.0, TAU));
    let mut sketch = Sketch::default();
    for k in bent_curve(length, direction, turn, knots_along(length, beam)) {
        let side = amplitude * k.t * (TAU * periods * k.t + phase).sin();
        let (s, c) = k.direction.sin_cos();
        let width = 0.015 + 0.07 * k.t;
        sketch.push(k.x - side * s, k.y + side * c, (-k.t / fade).exp() * lognormal(rng, 1.0, 0.15), width, width, 0.0);
    }
    sketch
}

/// FR-I: a core and two plumes.
pub fn fr_i(rng: &mut impl Rng, arms: Arms, beam: f64) -> Sketch {
    let core = uniform(rng, 0.05, 0.3);
    let fade = uniform(rng, 0.25, 0.5);
    let split = uniform(rng, 0.35, 0.65);
    let mut sketch = Sketch::default();
    sketch.push(0.0, 0.0, core, 0.0, 0.0, 0.0);
    for (i, share) in [split, 1.0 - split].into_iter().enumerate() {
        let arm = plume(rng, arms.direction[i], arms.turn[i], 0.5, fade, beam);
        sketch.join(arm.normalised((1.0 - core) * share));
    }
    sketch
}

/// A lobe at the end of a curve: hot spot and ten Gaussians behind it.
pub fn lobe(rng: &mut impl Rng, curve: &[Knot], hot_spot: f64) -> Sketch {
    let mut sketch = Sketch::default();
    let end = curve.len().saturating_sub(1);
    let Some(tip) = curve.get(end) else { return sketch };
    let mut back = Sketch::default();
    for _ in 0..10 {
        let at = ((1.0 - beta_lobe(rng)) * end as f64).round() as usize;
        let k = curve[at.min(end)];
        // The published widths of 0.05-0.1 are full widths of about 1.7 sigma.
        let width = uniform(rng, 0.03, 0.06);
        let across = 0.4 * width * normal(rng);
        let (s, c) = k.direction.sin_cos();
        back.push(k.x - across * s, k.y + across * c, lognormal(rng, 1.0, 0.15), width, 0.8 * width, k.direction);
    }
    if hot_spot > 0.0 {
        sketch.push(tip.x, tip.y, hot_spot, 0.01, 0.01, 0.0);
    }
    sketch.join(back.normalised(1.0 - hot_spot));
    sketch
}

/// FR-II: two lobes with hot spots, in 60 % a core; the share of the hot spots is uniform in `hot`.
pub fn fr_ii(rng: &mut impl Rng, arms: Arms, hot: [f64; 2]) -> Sketch {
    let hot_spot = uniform(rng, hot[0], hot[1]);
    let core = if rng.random::<f64>() < 0.6 { lognormal(rng, 0.02, 0.5).min(0.5) } else { 0.0 };
    let ratio = uniform(rng, 0.85, 1.15);
    let split = uniform(rng, 0.3, 0.7);
    let mut sketch = Sketch::default();
    if core > 0.0 {
        sketch.push(0.0, 0.0, core, 0.0, 0.0, 0.0);
    }
    for (i, (share, length)) in [(split, 0.5), (1.0 - split, 0.5 * ratio)].into_iter().enumerate() {
        let curve = bent_curve(length, arms.direction[i], arms.turn[i], 60);
        sketch.join(lobe(rng, &curve, hot_spot).normalised((1.0 - core) * share));
    }
    sketch
}

/// Hybrid: a plume on one side, a lobe with a hot spot on the other.
fn hybrid(rng: &mut impl Rng, arms: Arms, beam: f64) -> Sketch {
    let core = uniform(rng, 0.05, 0.2);
    let fade = uniform(rng, 0.25, 0.5);
    let mut sketch = Sketch::default();
    sketch.push(0.0, 0.0, core, 0.0, 0.0, 0.0);
    sketch.join(plume(rng, arms.direction[0], arms.turn[0], 0.5, fade, beam).normalised(0.5 * (1.0 - core)));
    let hot_spot = uniform(rng, 0.2, 0.6);
    let curve = bent_curve(0.5, arms.direction[1], arms.turn[1], 60);
    sketch.join(lobe(rng, &curve, hot_spot).normalised(0.5 * (1.0 - core)));
    sketch
}

/// Head-tail: a bright head and one widening tail with gentle bends.
pub fn head_tail(rng: &mut impl Rng, beam: f64) -> Sketch {
    let head = uniform(rng, 0.2, 0.5);
    let fade = uniform(rng, 0.4, 1.0);
    let turn = if rng.random::<f64>() < 0.67 { 0.5 * normal(rng) } else { 0.0 };
    let back = if rng.random::<f64>() < 0.5 { 0.5 * normal(rng) } else { 0.0 };
    let mut sketch = Sketch::default();
    sketch.push(0.0, 0.0, head, 0.01, 0.01, 0.0);
    let mut tail = Sketch::default();
    for k in super::curve::turning_curve(1.0, 0.0, knots_along(1.0, beam), |t| turn * t + back * t * t) {
        let width = 0.02 + 0.05 * k.t;
        tail.push(k.x, k.y, (-k.t / fade).exp() * lognormal(rng, 1.0, 0.12), width, width, 0.0);
    }
    sketch.join(tail.normalised(1.0 - head));
    sketch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, Layer};

    /// FR-II are edge-brightened, FR-I are not: flux in the outer half of each arm.
    #[test]
    fn lobes_are_outside_and_plumes_inside() {
        let mut outer = [0.0; 2];
        for seed in 0..40 {
            let mut rng = Address { seed, layer: Layer::Shape, y: 0, x: 0, index: 0 }.rng();
            for (i, kind) in [Kind::FrI, Kind::FrII].into_iter().enumerate() {
                let sketch = radio_galaxy(&mut rng, kind, 0.15);
                let far: f64 = sketch.parts.iter().filter(|g| g.x.hypot(g.y) > 0.25).map(|g| g.flux).sum();
                outer[i] += far / sketch.total() / 40.0;
            }
        }
        assert!(outer[0] < 0.4 && outer[1] > 0.75, "{outer:?}");
    }

    #[test]
    fn every_radio_galaxy_has_unit_flux() {
        for kind in [Kind::FrI, Kind::FrII, Kind::FrX, Kind::WideTail, Kind::NarrowTail, Kind::HeadTail] {
            for seed in 0..10 {
                let mut rng = Address { seed, layer: Layer::Shape, y: 1, x: 0, index: 0 }.rng();
                let sketch = radio_galaxy(&mut rng, kind, 0.15);
                assert!((sketch.total() - 1.0).abs() < 1e-9, "{kind:?}");
                assert!(sketch.parts.iter().all(|g| g.flux > 0.0 && g.x.is_finite() && g.s1 >= g.s2));
            }
        }
    }
}
