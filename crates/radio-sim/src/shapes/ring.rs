//! Rings: odd radio circles, ring pairs, rings on doubles (specification section 4).

use super::Sketch;
use super::agn::{Arms, fr_ii};
use crate::draw::{lognormal, uniform};
use rand::Rng;
use std::f64::consts::{PI, TAU};

/// One patchy ring of radius 0.5: `beam` is the beam over the diameter.
pub fn ring(rng: &mut impl Rng, beam: f64, width: [f64; 2]) -> Sketch {
    let radius = 0.5;
    let ratio = uniform(rng, 0.85, 1.0);
    let n = ((TAU * radius / (0.3 * beam)).ceil() as usize).clamp(24, 160);
    let sigma = radius * uniform(rng, width[0], width[1]);
    let a = uniform(rng, 0.2, 0.6);
    let phase: [f64; 3] = std::array::from_fn(|_| uniform(rng, 0.0, TAU));
    let mut sketch = Sketch::default();
    for i in 0..n {
        let phi = TAU * i as f64 / n as f64;
        let wave = 1.0
            + a * (phi + phase[0]).cos()
            + 0.5 * a * (2.0 * phi + phase[1]).cos()
            + 0.3 * a * (3.0 * phi + phase[2]).cos();
        sketch.push(
            radius * phi.cos(),
            ratio * radius * phi.sin(),
            wave.max(0.1) * lognormal(rng, 1.0, 0.09),
            sigma,
            sigma,
            0.0,
        );
    }
    sketch.normalised(1.0)
}

/// Faint filling of a ring: 14 broad Gaussians inside.
fn fill(rng: &mut impl Rng) -> Sketch {
    let mut sketch = Sketch::default();
    for _ in 0..14 {
        let (r, a) = (0.4 * rng.random::<f64>().sqrt(), uniform(rng, 0.0, TAU));
        sketch.push(r * a.cos(), r * a.sin(), 1.0, 0.15, 0.15, 0.0);
    }
    sketch.normalised(1.0)
}

/// Odd radio circle: an edge-brightened ring, in 70 % with a core, sometimes with arcs inside.
pub fn circle(rng: &mut impl Rng, beam: f64) -> Sketch {
    let filled = uniform(rng, 0.2, 0.5);
    let core = if rng.random::<f64>() < 0.7 { uniform(rng, 0.0, 0.15) } else { 0.0 };
    let arcs = rng.random_range(0..=3usize);
    let mut sketch = ring(rng, beam, [0.06, 0.15]).normalised(1.0 - core - 0.6 * filled);
    sketch.join(fill(rng).normalised(0.6 * filled));
    if core > 0.0 {
        sketch.push(0.0, 0.0, core, 0.0, 0.0, 0.0);
    }
    for _ in 0..arcs {
        let (r, middle, half) = (uniform(rng, 0.2, 0.4), uniform(rng, 0.0, TAU), uniform(rng, 0.3, 0.8));
        let mut arc = Sketch::default();
        for i in 0..10 {
            let phi = middle + half * (f64::from(i) / 4.5 - 1.0);
            arc.push(r * phi.cos(), r * phi.sin(), 1.0, 0.04, 0.04, 0.0);
        }
        sketch.join(arc.normalised(0.05));
    }
    sketch
}

/// Two overlapping rings, or a ring on one lobe of a double.
pub fn ring_pair(rng: &mut impl Rng, beam: f64) -> Sketch {
    if rng.random::<f64>() < 0.5 {
        let overlap = uniform(rng, 0.2, 0.8);
        let mut sketch = ring(rng, 2.0 * beam, [0.06, 0.12]).normalised(uniform(rng, 0.4, 0.6));
        let other = ring(rng, 2.0 * beam, [0.06, 0.12]).normalised(0.5);
        sketch.join(other.moved(uniform(rng, 0.8, 1.2), 0.0, 1.0 - 0.5 * overlap, 0.0));
        sketch
    } else {
        let arms = Arms::straight(rng);
        let mut sketch = fr_ii(rng, arms, [0.0, 0.4]).normalised(uniform(rng, 0.3, 0.5));
        let share = 1.0 - sketch.total();
        let at = uniform(rng, 0.3, 0.5);
        let turn = uniform(rng, 0.0, PI);
        sketch.join(ring(rng, 1.6 * beam, [0.06, 0.12]).normalised(share).moved(0.8, turn, at, 0.0));
        sketch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{Address, Layer};

    /// A ring is hollow: the mean flux-weighted radius is near 0.5 and nothing lies at the centre.
    #[test]
    fn a_ring_is_hollow() {
        for seed in 0..10 {
            let mut rng = Address { seed, layer: Layer::Shape, y: 3, x: 0, index: 0 }.rng();
            let ring = ring(&mut rng, 0.2, [0.06, 0.15]);
            let mean: f64 = ring.parts.iter().map(|g| g.flux * g.x.hypot(g.y)).sum();
            assert!((0.4..=0.5).contains(&mean), "{mean}");
            assert!(ring.parts.iter().all(|g| g.x.hypot(g.y) > 0.4));
        }
    }
}
