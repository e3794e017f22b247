//! Curves on which jets, tails, arcs and filaments lie.

use crate::draw::{normal, uniform};
use rand::Rng;

/// A point of a curve: place, direction and how far along it lies (0 at the start, 1 at the end).
#[derive(Debug, Clone, Copy)]
pub struct Knot {
    /// Across.
    pub x: f64,
    /// Up.
    pub y: f64,
    /// Direction of the curve, radians.
    pub direction: f64,
    /// Path length over total length.
    pub t: f64,
}

/// A curve of `length` from the origin that starts in `direction` and turns by `turn` radians in all, evenly.
///
/// `n` knots at `t = 1/n .. 1`.
pub fn bent_curve(length: f64, direction: f64, turn: f64, n: usize) -> Vec<Knot> {
    turning_curve(length, direction, n, |t| turn * t)
}

/// A curve whose direction is `direction + turn(t)`.
pub fn turning_curve(length: f64, direction: f64, n: usize, turn: impl Fn(f64) -> f64) -> Vec<Knot> {
    let step = length / n as f64;
    let (mut x, mut y) = (0.0, 0.0);
    (0..n)
        .map(|i| {
            // The direction in the middle of the step: second order in the step.
            let a = direction + turn((i as f64 + 0.5) / n as f64);
            x += step * a.cos();
            y += step * a.sin();
            Knot { x, y, direction: a, t: (i as f64 + 1.0) / n as f64 }
        })
        .collect()
}

/// Turning law with `bends` sharp bends of 40-120 degrees, each within a tenth of the length, alternating at random.
pub fn sharp_bends<R: Rng>(rng: &mut R, bends: usize) -> impl Fn(f64) -> f64 + use<R> {
    let mut sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
    let places: Vec<(f64, f64)> = (0..bends)
        .map(|i| {
            let at = (i as f64 + uniform(rng, 0.65, 1.35)) / (bends as f64 + 1.0);
            let angle = sign * uniform(rng, 40.0, 120.0).to_radians();
            // Mostly zig-zag, sometimes a curl.
            sign = if rng.random::<f64>() < 0.7 { -sign } else { sign };
            (at, angle)
        })
        .collect();
    move |t| places.iter().map(|(at, angle)| angle * ((t - at) / 0.1 + 0.5).clamp(0.0, 1.0)).sum()
}

/// Turning law of a meandering filament: a few random harmonics.
pub fn meander<R: Rng>(rng: &mut R, amplitude: f64) -> impl Fn(f64) -> f64 + use<R> {
    let terms: Vec<(f64, f64, f64)> = (1..=4)
        .map(|k| {
            (
                amplitude * normal(rng) / f64::from(k),
                std::f64::consts::PI * f64::from(k),
                uniform(rng, 0.0, std::f64::consts::TAU),
            )
        })
        .collect();
    move |t| terms.iter().map(|(a, k, p)| a * (k * t + p).sin()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_circle_ends_where_it_should() {
        let quarter = std::f64::consts::FRAC_PI_2;
        let knots = bent_curve(quarter, 0.0, quarter, 200);
        let end = knots[199];
        assert!((end.x - 1.0).abs() < 1e-4 && (end.y - 1.0).abs() < 1e-4, "{end:?}");
        assert!((end.t - 1.0).abs() < 1e-12);
    }
}
