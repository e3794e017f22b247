//! The layout: neighbours pull, random points push, one edge after the other.
//!
//! Serial on purpose: one random stream and one order of steps give one result. Steps and schedule are umap-learn's, but the
//! pushes of one draw all start from where the pull has left the point.

use rand::RngCore;

use crate::{curve::Similarity, power::power};

/// One step moves no coordinate by more than this, before the step size.
const LONGEST_STEP: f32 = 4.0;

/// Pushes of one draw that start from the same place: they do not wait for each other. (umap-learn moves the point after each.)
const TOGETHER: usize = 8;

/// Pull and push between points of a map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forces {
    a: f32,
    b: f32,
    repulsion: f32,
}

impl Forces {
    pub fn new(similarity: Similarity, repulsion: f64) -> Self {
        Self { a: similarity.a as f32, b: similarity.b as f32, repulsion: repulsion as f32 }
    }

    /// Times the difference of the points: the step towards a neighbour (negative).
    fn pull(self, squared: f32) -> f32 {
        if squared <= 0.0 {
            return 0.0;
        }
        let power = power(squared, self.b);
        -2.0 * self.a * self.b * (power / squared) / (1.0 + self.a * power)
    }

    /// Times the difference of the points: the step away from any other point. 0 at the same place.
    fn push(self, squared: f32) -> f32 {
        if squared <= 0.0 {
            return 0.0;
        }
        2.0 * self.repulsion * self.b / ((0.001 + squared) * (1.0 + self.a * power(squared, self.b)))
    }
}

/// When an edge is drawn: every so many epochs, by its weight; and when the pushes that belong to it are due.
pub(crate) struct Edge {
    pub head: u32,
    pub tail: u32,
    every: f64,
    next: f64,
    push_every: f64,
    next_push: f64,
}

impl Edge {
    /// An edge of a weight relative to the strongest one, in (0, 1].
    pub fn new(head: u32, tail: u32, weight: f64, pushes: usize) -> Self {
        let every = weight.recip();
        let push_every = every / pushes as f64;
        Self { head, tail, every, next: every, push_every, next_push: push_every }
    }

    /// Whether the edge is drawn in an epoch, and with how many pushes.
    fn draw(&mut self, epoch: f64) -> Option<usize> {
        if self.next > epoch {
            return None;
        }
        self.next += self.every;
        let pushes = ((epoch - self.next_push) / self.push_every).max(0.0) as usize;
        // Without pushes the division is by infinity, and nothing is ever due.
        if pushes > 0 {
            self.next_push += pushes as f64 * self.push_every;
        }
        Some(pushes)
    }
}

/// Moves all points of a map, `[rows, axes]` one after the other.
pub(crate) fn arrange(
    points: &mut [f32],
    axes: usize,
    edges: &mut [Edge],
    forces: Forces,
    epochs: usize,
    rate: f64,
    rng: &mut impl RngCore,
) {
    // A literal number of axes lets the compiler unroll the loops over them.
    match axes {
        2 => arrange_axes(points, 2, edges, forces, epochs, rate, rng),
        3 => arrange_axes(points, 3, edges, forces, epochs, rate, rng),
        _ => arrange_axes(points, axes, edges, forces, epochs, rate, rng),
    }
}

#[inline(always)]
fn arrange_axes(
    points: &mut [f32],
    axes: usize,
    edges: &mut [Edge],
    forces: Forces,
    epochs: usize,
    rate: f64,
    rng: &mut impl RngCore,
) {
    let rows = points.len() / axes;
    for epoch in 0..epochs {
        let rate = step_size(rate, epoch, epochs);
        for edge in edges.iter_mut() {
            let Some(pushes) = edge.draw(epoch as f64) else { continue };
            let (head, tail) = (edge.head as usize * axes, edge.tail as usize * axes);
            let pull = forces.pull(squared_distance(points, head, points, tail, axes));
            for axis in 0..axes {
                let step = rate * clipped(pull * (points[head + axis] - points[tail + axis]));
                points[head + axis] += step;
                points[tail + axis] -= step;
            }
            let mut left = pushes;
            while left > 0 {
                let together = left.min(TOGETHER);
                left -= together;
                let (mut others, mut strengths) = ([0; TOGETHER], [0.0; TOGETHER]);
                for push in 0..together {
                    others[push] = random_below(rng, rows) * axes;
                    strengths[push] = forces.push(squared_distance(points, head, points, others[push], axes));
                }
                for axis in 0..axes {
                    let here = points[head + axis];
                    let steps = others.iter().zip(&strengths).take(together);
                    let step: f32 = steps.map(|(&other, &push)| clipped(push * (here - points[other + axis]))).sum();
                    points[head + axis] += rate * step;
                }
            }
        }
    }
}

/// Moves one new point among the points of a finished map, which stay where they are.
pub(crate) fn place(
    point: &mut [f32],
    map: &[f32],
    edges: &mut [Edge],
    forces: Forces,
    epochs: usize,
    rate: f64,
    rng: &mut impl RngCore,
) {
    let axes = point.len();
    let rows = map.len() / axes;
    for epoch in 0..epochs {
        let rate = step_size(rate, epoch, epochs);
        for edge in edges.iter_mut() {
            let Some(pushes) = edge.draw(epoch as f64) else { continue };
            let tail = edge.tail as usize * axes;
            let pull = forces.pull(squared_distance(point, 0, map, tail, axes));
            for axis in 0..axes {
                point[axis] += rate * clipped(pull * (point[axis] - map[tail + axis]));
            }
            for _ in 0..pushes {
                let other = random_below(rng, rows) * axes;
                let push = forces.push(squared_distance(point, 0, map, other, axes));
                for axis in 0..axes {
                    point[axis] += rate * clipped(push * (point[axis] - map[other + axis]));
                }
            }
        }
    }
}

/// Linear fall; the first two epochs share the first step size, as in umap-learn (no edge is due in epoch 0).
fn step_size(first: f64, epoch: usize, epochs: usize) -> f32 {
    (first * (1.0 - epoch.saturating_sub(1) as f64 / epochs as f64)) as f32
}

fn clipped(step: f32) -> f32 {
    step.clamp(-LONGEST_STEP, LONGEST_STEP)
}

#[inline(always)]
fn squared_distance(a: &[f32], first: usize, b: &[f32], second: usize, axes: usize) -> f32 {
    let mut sum = 0.0;
    for axis in 0..axes {
        let difference = a[first + axis] - b[second + axis];
        sum += difference * difference;
    }
    sum
}

/// A row number below `rows` (fewer than 2^32) from 32 random bits.
fn random_below(rng: &mut impl RngCore, rows: usize) -> usize {
    ((u64::from(rng.next_u32()) * rows as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The forces are the derivatives of the logarithms of similarity and dissimilarity (McInnes et al. 2018, section 3.2).
    #[test]
    fn forces_are_gradients() {
        let forces = Forces::new(Similarity { a: 1.577, b: 0.895 }, 1.0);
        let similarity = |d: f64| (1.0 + 1.577 * d.powf(2.0 * 0.895)).recip();
        for d in [0.05, 0.5, 1.0, 3.0, 12.0] {
            let h = 1e-6 * d;
            let slope = |f: &dyn Fn(f64) -> f64| (f(d + h) - f(d - h)) / (2.0 * h);
            let pull = slope(&|d| similarity(d).ln());
            let push = slope(&|d| (1.0 - similarity(d)).ln());
            let squared = (d * d) as f32;
            assert!((f64::from(forces.pull(squared)) * d / pull - 1.0).abs() < 1e-5, "{d}");
            // The 0.001 that keeps the push finite near 0.
            let softened = push * d * d / (0.001 + d * d);
            assert!((f64::from(forces.push(squared)) * d / softened - 1.0).abs() < 1e-5, "{d}");
        }
        assert_eq!((forces.pull(0.0), forces.push(0.0)), (0.0, 0.0));
        assert!(forces.pull(1e-38).is_finite() && forces.push(1e30).is_finite());
    }

    #[test]
    fn an_edge_is_drawn_by_its_weight() {
        for (weight, times) in [(1.0, 99), (0.5, 49), (0.1, 9)] {
            let mut edge = Edge::new(0, 1, weight, 5);
            let drawn: Vec<usize> = (0..100).filter_map(|epoch| edge.draw(f64::from(epoch))).collect();
            assert_eq!(drawn.len(), times, "{weight}");
            let pushes = drawn.iter().sum::<usize>() as f64 / drawn.len() as f64;
            assert!((pushes - 5.0).abs() < 0.6, "{weight}: {pushes} pushes a draw");
        }
        let mut edge = Edge::new(0, 1, 1.0, 0);
        assert!((0..50).filter_map(|epoch| edge.draw(f64::from(epoch))).all(|pushes| pushes == 0));
    }
}
